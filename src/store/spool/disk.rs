//! Where spooled deliveries lie: one durable file each, in the first folder that can be written.
//!
//! The first folder stands beside the recordings. A reserve file lies in it, which gives its blocks back to a full disk bit
//! by bit, so that deliveries can be written when nothing else can. The second folder is for a disk that cannot be written at
//! all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::super::Delivery;
use super::super::database::MARK;
use super::folders::SpoolFolders;
use crate::core::call::{CallEvent, CallKey};
use crate::time::Timestamp;

/// The end of a spooled file's name. Names sort by the time of receipt.
const SPOOLED: &str = "json";
/// The end of the name of a file that the database can never take.
const SET_ASIDE: &str = "set_aside";
/// The end of the name of a file that is being written.
const PARTIAL: &str = "partial";
pub const RESERVE: &str = "reserve";
/// Its being there says that an earlier life of the service lost deliveries.
const LOST: &str = "lost";
/// Some thousand deliveries of 1 to 3 kB.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// Given back at once: enough for a file and its name, and little for others to take away.
const RESERVE_STEP: u64 = 64 * 1024;

/// The largest spooled file that is read: more than the largest body in base64 with the events of it.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Writes a new file so that it is whole or absent after a power cut.
type WriteFile = fn(&Path, &[u8]) -> io::Result<()>;

#[derive(Debug)]
pub(super) struct Disk {
    /// In the order in which they are tried, as a rule.
    folders: [PathBuf; 2],
    /// Where an older version spooled.
    former: PathBuf,
    /// One at a time: two that give back the reserve at once would give back too much.
    reserve: Mutex<()>,
    write_file: WriteFile,
}

impl Disk {
    pub fn new(folders: SpoolFolders) -> Self {
        let SpoolFolders { first, emergency, former } = folders;
        Self { folders: [first, emergency], former, reserve: Mutex::default(), write_file: write_durably }
    }

    /// A disk that fails as a test wants.
    #[cfg(test)]
    pub fn failing(folder: PathBuf, emergency: PathBuf, write_file: WriteFile) -> Self {
        let former = folder.with_extension("former");
        Self { write_file, ..Self::new(SpoolFolders { first: folder, emergency, former }) }
    }

    /// For a start: what an earlier life left half written is swept away, and the rest is done as by [`Disk::tend`].
    pub fn prepare(&self) -> io::Result<()> {
        let tended = self.tend();
        if self.folders[1].exists() && !is_ours(&self.folders[1]) {
            warn!("{} is open to others: it cannot be the second folder of the spool", self.folders[1].display());
        }
        let usable = self.folders.iter().filter(|folder| is_ours(folder));
        usable.map(|folder| sweep_partial_files(folder)).fold(tended, Result::and)
    }

    /// Makes the first folder and the reserve where they are missing. One that fails holds up no other; the error is the first
    /// one, and what cannot be done now is tried again later.
    pub fn tend(&self) -> io::Result<()> {
        let made = make_folder(&self.folders[0]);
        let taken_over = self.take_over();
        let refilled = self.refill_reserve();
        made.and(taken_over).and(refilled)
    }

    /// Moves what an older version spooled under another name of the folder to where it is looked for now.
    fn take_over(&self) -> io::Result<()> {
        let files = match fs::read_dir(&self.former) {
            Ok(files) => files,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(failed) => return Err(failed),
        };
        for file in files {
            let path = file?.path();
            fs::rename(&path, self.folders[0].join(path.file_name().unwrap_or_default()))?;
        }
        fs::remove_dir(&self.former)
    }

    /// Fills the reserve up again once there is room.
    fn refill_reserve(&self) -> io::Result<()> {
        let _turn = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folders[0].join(RESERVE);
        let present = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if present >= RESERVE_BYTES {
            return Ok(());
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        // Real bytes: a hole would own no block of the disk.
        let zeros = vec![0; RESERVE_STEP as usize];
        for _ in 0..(RESERVE_BYTES - present).div_ceil(RESERVE_STEP) {
            if let Err(full) = file.write_all(&zeros) {
                // As much as the disk has left is not ours to take.
                let _ = file.set_len(present);
                return Err(full);
            }
        }
        file.sync_all()
    }

    /// Writes the delivery durably. The error is that of the last folder.
    pub fn write(&self, delivery: &Delivery) -> io::Result<PathBuf> {
        let text = to_line(delivery)?;
        let name = new_name(delivery)?;
        let mut failed = io::Error::other("there is no folder for spooled deliveries");
        for folder in self.in_order() {
            let path = folder.join(&name);
            let written = make_folder(folder).and_then(|()| self.write_giving_way(&path, text.as_bytes()));
            match written {
                Ok(()) => return Ok(path),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Recordings without the mark of a database may be the folder below their disk, which is not mounted yet: what is written
    /// there is hidden by the disk.
    fn in_order(&self) -> impl Iterator<Item = &PathBuf> {
        let is_marked = self.folders[0].parent().is_some_and(|recordings| recordings.join(MARK).exists());
        let (first, second) = if is_marked { (0, 1) } else { (1, 0) };
        [&self.folders[first], &self.folders[second]].into_iter()
    }

    fn write_giving_way(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        loop {
            match (self.write_file)(path, text) {
                Err(full) if is_full(&full) && self.give_back() => {}
                written => return written,
            }
        }
    }

    /// Whether a part of the reserve could be given back to the disk.
    fn give_back(&self) -> bool {
        let _turn = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(file) = OpenOptions::new().write(true).open(self.folders[0].join(RESERVE)) else { return false };
        let left = file.metadata().map_or(0, |metadata| metadata.len());
        left > 0 && file.set_len(left.saturating_sub(RESERVE_STEP)).is_ok()
    }

    /// All spooled files, oldest first. A folder that cannot be read is left out.
    pub fn spooled(&self) -> Vec<PathBuf> {
        let mut files = self.files(SPOOLED);
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        files
    }

    /// How many files wait for somebody to look at them.
    pub fn count_set_aside(&self) -> usize {
        self.files(SET_ASIDE).len()
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let folders = self.folders.iter().filter(|folder| is_ours(folder));
        let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
    }

    /// Notes that deliveries were lost, for the next start. Renaming needs no room on a full disk.
    pub fn remember_loss(&self) {
        for folder in &self.folders {
            let renamed = fs::rename(folder.join(RESERVE), folder.join(LOST));
            if renamed.is_ok() || make_folder(folder).and_then(|()| File::create(folder.join(LOST))).is_ok() {
                return;
            }
        }
    }

    pub fn lost_before(&self) -> bool {
        self.folders.iter().any(|folder| is_ours(folder) && folder.join(LOST).exists())
    }

    pub fn forget_loss(&self) {
        for folder in &self.folders {
            let _ = fs::remove_file(folder.join(LOST));
        }
    }
}

/// The files of all deliveries in a folder of the spool, those set aside too: for a backup, which another user may make. A
/// folder that belongs neither to us nor to him who has `recordings` is a stranger's, and there is nothing in it.
///
/// # Errors
/// The folder is there and cannot be read.
pub fn spooled_files(folder: &Path, recordings: &Path) -> io::Result<Vec<PathBuf>> {
    let owner = fs::metadata(recordings).ok().map(|metadata| metadata.uid());
    if !is_ours(folder) && !owner.is_some_and(|owner| belongs_to(folder, owner)) {
        if folder.exists() {
            warn!("{} is a folder of another user and is left out of the backup", folder.display());
        }
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // The folder of an older version goes once its files are taken over.
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(failed) => return Err(failed),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let is_delivery = |path: &PathBuf| path.extension().is_some_and(|it| it == SPOOLED || it == SET_ASIDE);
    Ok(paths?.into_iter().filter(is_delivery).collect())
}

/// When the delivery of this file came, as its name says.
pub(super) fn received_at(path: &Path) -> Option<Timestamp> {
    let name = path.file_stem()?.to_str()?;
    Timestamp::from_millisecond(name.split_once('-')?.0.parse().ok()?).ok()
}

/// Renames a file that the database can never take, for somebody to look at.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, set_aside_path(path))
}

/// Where the file of a delivery lies once it is set aside.
pub fn set_aside_path(path: &Path) -> PathBuf {
    path.with_extension(SET_ASIDE)
}

/// Makes the folder for this user alone, for bodies of webhooks hold telephone numbers. The folder above is not made: where it
/// is missing, a disk is not mounted.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {
            if let Some(parent) = folder.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
    }
    if is_ours(folder) {
        Ok(())
    } else {
        let reason = format!("{} is no folder of this user alone", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
    }
}

/// Whether nobody else can write there. In the system's temporary folder anybody could have made it: then it must be this
/// user's own, or a stranger would invent calls.
fn is_ours(folder: &Path) -> bool {
    belongs_to(folder, rustix::process::geteuid().as_raw())
}

fn belongs_to(folder: &Path, owner: u32) -> bool {
    let Ok(metadata) = fs::symlink_metadata(folder) else { return false };
    let is_public = |metadata: &fs::Metadata| metadata.mode() & 0o002 != 0;
    let stands_in_public = folder.parent().and_then(|parent| fs::metadata(parent).ok()).is_none_or(|it| is_public(&it));
    metadata.is_dir() && metadata.mode() & 0o022 == 0 && (!stands_in_public || metadata.uid() == owner)
}

fn sweep_partial_files(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == PARTIAL) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn new_name(delivery: &Delivery) -> io::Result<String> {
    /// Those of one millisecond stay in their order.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let (number, random) = (NEXT.fetch_add(1, Ordering::Relaxed), u32::from_be_bytes(random));
    Ok(format!("{:015}-{number:08x}{random:08x}.{SPOOLED}", delivery.received_at.as_millisecond()))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn write_durably(path: &Path, text: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(PARTIAL);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })
}

/// A delivery as a line of text: in its file, or on its way to `perezvon replay --spool`.
#[derive(Serialize, Deserialize)]
struct Line {
    provider: String,
    endpoint: String,
    method: String,
    target: String,
    content_type: String,
    /// In base64: whatever bytes came.
    body: String,
    received_at: Timestamp,
    /// The provider and its id of the call.
    call: Option<(String, String)>,
    events: Vec<CallEvent>,
    can_be_asked: bool,
}

pub(super) fn to_line(delivery: &Delivery) -> io::Result<String> {
    let call = delivery.key.as_ref().map(|key| (key.provider.to_string(), key.provider_call_id.clone()));
    let line = Line {
        provider: delivery.provider.to_string(),
        endpoint: delivery.endpoint.clone(),
        method: delivery.method.clone(),
        target: delivery.target.clone(),
        content_type: delivery.content_type.clone(),
        body: BASE64_STANDARD.encode(&delivery.body),
        received_at: delivery.received_at,
        call,
        events: delivery.events.clone(),
        can_be_asked: delivery.can_be_asked,
    };
    Ok(serde_json::to_string(&line)?)
}

/// Reads one line of spooled text.
pub fn from_line(line: &str) -> io::Result<Delivery> {
    let line: Line = serde_json::from_str(line)?;
    let body = BASE64_STANDARD.decode(&line.body).map_err(io::Error::other)?;
    let key = line.call.map(|(provider, provider_call_id)| CallKey { provider: provider.into(), provider_call_id });
    Ok(Delivery {
        provider: line.provider.into(),
        endpoint: line.endpoint,
        method: line.method,
        target: line.target,
        content_type: line.content_type,
        body: body.into(),
        received_at: line.received_at,
        key,
        events: line.events,
        can_be_asked: line.can_be_asked,
        applied_at: None,
    })
}

/// Why a file gives no delivery.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Now, perhaps not a moment later.
    #[error(transparent)]
    Unreadable(io::Error),
    #[error("it is no spooled delivery: {0}")]
    NoDelivery(io::Error),
}

/// Reads a spooled file; never waits for one that is no file.
pub(super) fn read(path: &Path) -> Result<Delivery, ReadError> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let no_delivery = |reason: &str| ReadError::NoDelivery(io::Error::other(reason.to_owned()));
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(_) if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) => {
            return Err(no_delivery("a link"));
        }
        Err(failed) => return Err(ReadError::Unreadable(failed)),
    };
    let metadata = file.metadata().map_err(ReadError::Unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(no_delivery("no file of this size or kind is written here"));
    }
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(ReadError::Unreadable)?;
    let text = str::from_utf8(&text).map_err(|bad| ReadError::NoDelivery(io::Error::other(bad)))?;
    from_line(text).map_err(ReadError::NoDelivery)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn delivery(received_at: &str) -> Delivery {
        Delivery {
            provider: "twilio".into(),
            endpoint: "voice".to_owned(),
            method: "POST".to_owned(),
            target: "/webhooks/twilio/voice".to_owned(),
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: vec![0xFF, b'=', 0].into(),
            received_at: received_at.parse().unwrap(),
            key: Some(CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() }),
            events: Vec::new(),
            can_be_asked: true,
            applied_at: None,
        }
    }

    fn on_disk(write_file: WriteFile) -> (tempfile::TempDir, Disk) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(MARK), "").unwrap();
        let disk = Disk::failing(root.path().join("spool"), root.path().join("emergency"), write_file);
        disk.prepare().unwrap();
        (root, disk)
    }

    fn reserve_bytes(disk: &Disk) -> u64 {
        fs::metadata(disk.folders[0].join(RESERVE)).unwrap().len()
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn spooled_delivery_is_read_as_it_was() {
        let (_root, disk) = on_disk(write_durably);
        let written = delivery("2026-11-20T16:30:00Z");
        let path = disk.write(&written).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "numbers are in it");
        assert_eq!(format!("{:?}", read(&path).unwrap()), format!("{written:?}"));
        assert_eq!(disk.spooled(), [path]);
    }

    #[test]
    fn full_disk_gets_the_reserve_back_bit_by_bit() {
        thread_local! { static ATTEMPTS: Cell<u32> = const { Cell::new(0) }; }
        // Two steps of the reserve make enough room.
        let (_root, disk) = on_disk(|path, text| match ATTEMPTS.replace(ATTEMPTS.get() + 1) {
            0 | 1 => Err(full()),
            _ => write_durably(path, text),
        });
        let path = disk.write(&delivery("2026-11-20T16:30:00Z")).unwrap();
        assert!(path.starts_with(&disk.folders[0]));
        assert_eq!(reserve_bytes(&disk), RESERVE_BYTES - 2 * RESERVE_STEP);
        disk.refill_reserve().unwrap();
        assert_eq!(reserve_bytes(&disk), RESERVE_BYTES);
    }

    #[test]
    fn emergency_folder_takes_what_the_first_cannot() {
        let (_root, disk) = on_disk(|path, text| match path.to_string_lossy().contains("/spool/") {
            true => Err(full()),
            false => write_durably(path, text),
        });
        let path = disk.write(&delivery("2026-11-20T16:30:00Z")).unwrap();
        assert!(path.starts_with(&disk.folders[1]));
        assert_eq!(reserve_bytes(&disk), 0, "all of it was tried first");
        assert_eq!(disk.spooled(), [path]);
    }

    #[test]
    fn recordings_without_their_mark_are_tried_last() {
        let (root, disk) = on_disk(write_durably);
        fs::remove_file(root.path().join(MARK)).unwrap();
        let path = disk.write(&delivery("2026-11-20T16:30:00Z")).unwrap();
        assert!(path.starts_with(&disk.folders[1]), "their disk may not be mounted");
        fs::remove_dir_all(&disk.folders[1]).unwrap();
        fs::write(&disk.folders[1], "").unwrap();
        assert!(disk.write(&delivery("2026-11-20T16:30:01Z")).unwrap().starts_with(&disk.folders[0]));
    }

    #[test]
    fn read_only_disk_is_tried_once_and_keeps_its_reserve() {
        let (_root, disk) = on_disk(|_, _| Err(io::ErrorKind::ReadOnlyFilesystem.into()));
        assert_eq!(
            disk.write(&delivery("2026-11-20T16:30:00Z")).unwrap_err().kind(),
            io::ErrorKind::ReadOnlyFilesystem
        );
        assert_eq!(reserve_bytes(&disk), RESERVE_BYTES);
        assert_eq!(disk.spooled(), Vec::<PathBuf>::new());
    }

    #[test]
    fn files_of_both_folders_come_in_the_order_of_receipt() {
        let (_root, disk) = on_disk(write_durably);
        let second = disk.write(&delivery("2026-11-20T16:30:02Z")).unwrap();
        make_folder(&disk.folders[1]).unwrap();
        let third = disk.write(&delivery("2026-11-20T16:30:03Z")).unwrap();
        let first = disk.write(&delivery("2026-11-20T16:30:01Z")).unwrap();
        let moved = disk.folders[1].join(second.file_name().unwrap());
        fs::rename(second, &moved).unwrap();
        assert_eq!(disk.spooled(), [first, moved, third]);
    }

    #[test]
    fn half_written_file_is_swept_and_never_read() {
        let (_root, disk) = on_disk(write_durably);
        fs::write(disk.folders[0].join("000.partial"), "{").unwrap();
        assert_eq!(disk.spooled(), Vec::<PathBuf>::new());
        disk.prepare().unwrap();
        assert!(!disk.folders[0].join("000.partial").exists());
    }

    #[test]
    fn folder_open_to_others_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let (_root, disk) = on_disk(|path, text| match path.to_string_lossy().contains("/spool/") {
            true => Err(full()),
            false => write_durably(path, text),
        });
        fs::create_dir(&disk.folders[1]).unwrap();
        fs::set_permissions(&disk.folders[1], fs::Permissions::from_mode(0o777)).unwrap();
        let refused = disk.write(&delivery("2026-11-20T16:30:00Z")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn loss_is_remembered_until_somebody_was_told() {
        let (_root, disk) = on_disk(write_durably);
        assert!(!disk.lost_before());
        disk.remember_loss();
        assert!(disk.lost_before());
        disk.forget_loss();
        assert!(!disk.lost_before());
    }

    #[test]
    fn files_of_an_older_version_are_taken_over() {
        let (_root, disk) = on_disk(write_durably);
        fs::create_dir(&disk.former).unwrap();
        fs::write(disk.former.join("1.json"), "{}").unwrap();
        disk.take_over().unwrap();
        disk.take_over().unwrap();
        assert!(disk.folders[0].join("1.json").exists() && !disk.former.exists());
    }

    #[test]
    fn stranger_in_a_public_folder_invents_no_calls() {
        use std::os::unix::fs::PermissionsExt;
        let (root, disk) = on_disk(write_durably);
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let emergency = &disk.folders[1];
        make_folder(emergency).unwrap();
        fs::write(emergency.join("1.json"), "{}").unwrap();
        assert_eq!(disk.spooled().len(), 1, "it is this user's own");
        let ours = rustix::process::geteuid().as_raw();
        assert!(belongs_to(emergency, ours) && !belongs_to(emergency, ours + 1));
        fs::set_permissions(emergency, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(disk.spooled(), Vec::<PathBuf>::new());
    }

    #[test]
    fn backup_by_another_user_takes_only_what_the_service_has_spooled() {
        use std::os::unix::fs::PermissionsExt;
        let (root, disk) = on_disk(write_durably);
        let recordings = root.path().join("recordings");
        fs::create_dir(&recordings).unwrap();
        let (spooled, public) = (disk.write(&delivery("2026-11-20T16:30:00Z")).unwrap(), root.path().join("public"));
        fs::rename(&spooled, spooled.with_extension(SET_ASIDE)).unwrap();
        let spooled = [spooled.with_extension(SET_ASIDE), disk.write(&delivery("2026-11-20T16:30:01Z")).unwrap()];
        let mut found = spooled_files(&disk.folders[0], &recordings).unwrap();
        found.sort();
        assert_eq!(found, spooled);
        fs::create_dir(&public).unwrap();
        fs::set_permissions(&public, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(public.join("1.json"), "{}").unwrap();
        assert_eq!(spooled_files(&public, &recordings).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(spooled_files(&root.path().join("missing"), &recordings).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn nothing_but_a_small_file_is_read() {
        let (root, disk) = on_disk(write_durably);
        let path = |name: &str| disk.folders[0].join(name);
        fs::write(path("big"), vec![b'{'; MAX_FILE_BYTES as usize + 1]).unwrap();
        fs::write(path("text"), "no delivery").unwrap();
        fs::write(path("bytes"), [0xFF, 0xFE]).unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("link")).unwrap();
        let pipe = path("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for name in ["big", "text", "bytes", "folder", "link", "pipe"] {
            assert!(matches!(read(&path(name)), Err(ReadError::NoDelivery(_))), "{name}");
        }
        assert!(matches!(read(&root.path().join("missing")), Err(ReadError::Unreadable(_))));
    }
}
