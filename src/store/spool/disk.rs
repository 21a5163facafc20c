//! Where spooled deliveries lie: one durable file each, in the first folder that can be written.
//!
//! The first folder stands beside the recordings. A reserve file lies in it, which gives its blocks back to a full disk bit
//! by bit, so that deliveries can be written when nothing else can. The second folder is for a disk that cannot be written at
//! all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::super::Delivery;
use crate::core::call::{CallEvent, CallKey};
use crate::time::Timestamp;

/// The end of a spooled file's name. Names sort by the time of receipt.
const SPOOLED: &str = "json";
/// The end of the name of a file that the database can never take.
const SET_ASIDE: &str = "set_aside";
/// The end of the name of a file that is being written.
const PARTIAL: &str = "partial";
const RESERVE: &str = "reserve";
/// Its being there says that an earlier life of the service lost deliveries.
const LOST: &str = "lost";
/// Some thousand deliveries of 1 to 3 kB.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// Given back at once: enough for a file and its name, and little for others to take away.
const RESERVE_STEP: u64 = 64 * 1024;

/// Writes a new file so that it is whole or absent after a power cut.
type WriteFile = fn(&Path, &[u8]) -> io::Result<()>;

#[derive(Debug)]
pub(super) struct Disk {
    /// In the order in which they are tried.
    folders: Vec<PathBuf>,
    /// One at a time: two that give back the reserve at once would give back too much.
    reserve: Mutex<()>,
    write_file: WriteFile,
}

impl Disk {
    /// `folder` stands beside the recordings; `emergency` may stand where everybody may write.
    pub fn new(folder: PathBuf, emergency: PathBuf) -> Self {
        Self { folders: vec![folder, emergency], reserve: Mutex::default(), write_file: write_durably }
    }

    /// A disk that fails as a test wants.
    #[cfg(test)]
    pub fn failing(folder: PathBuf, emergency: PathBuf, write_file: WriteFile) -> Self {
        Self { write_file, ..Self::new(folder, emergency) }
    }

    /// Makes the folders and the reserve where they are missing. What cannot be made now is tried again at each writing.
    pub fn prepare(&self) -> io::Result<()> {
        let folder = &self.folders[0];
        make_folder(folder)?;
        sweep_partial_files(folder)?;
        self.refill_reserve()
    }

    /// Fills the reserve up again once there is room.
    pub fn refill_reserve(&self) -> io::Result<()> {
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
        for folder in &self.folders {
            let path = folder.join(&name);
            let written = make_folder(folder).and_then(|()| self.write_giving_way(&path, text.as_bytes()));
            match written {
                Ok(()) => return Ok(path),
                Err(error) => failed = error,
            }
        }
        Err(failed)
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
        let entries =
            self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == SPOOLED)).collect();
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        files
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
        self.folders.iter().any(|folder| folder.join(LOST).exists())
    }

    pub fn forget_loss(&self) {
        for folder in &self.folders {
            let _ = fs::remove_file(folder.join(LOST));
        }
    }
}

/// Moves what an older version spooled under another name of the folder to where it is looked for now.
pub(super) fn take_over(former: &Path, folder: &Path) -> io::Result<()> {
    let files = match fs::read_dir(former) {
        Ok(files) => files,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(failed) => return Err(failed),
    };
    for file in files {
        let path = file?.path();
        fs::rename(&path, folder.join(path.file_name().unwrap_or_default()))?;
    }
    fs::remove_dir(former)
}

/// Renames a file that the database can never take, for somebody to look at.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, path.with_extension(SET_ASIDE))
}

/// Makes the folder for this user alone, for bodies of webhooks hold telephone numbers. One that is there already must not
/// be open to others: in the system's temporary folder anybody could have made it. The folder above is not made: where it is
/// missing, a disk is not mounted.
fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = fs::symlink_metadata(folder)?;
    if metadata.is_dir() && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        let reason = format!("{} is no folder of this user alone", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
    }
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
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let random = u64::from_be_bytes(random);
    Ok(format!("{:015}-{random:016x}.{SPOOLED}", delivery.received_at.as_millisecond()))
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
    })
}

pub(super) fn read(path: &Path) -> io::Result<Delivery> {
    from_line(&fs::read_to_string(path)?)
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
        }
    }

    fn on_disk(write_file: WriteFile) -> (tempfile::TempDir, Disk) {
        let root = tempfile::tempdir().unwrap();
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
        let (root, disk) = on_disk(write_durably);
        let former = root.path().join(".late");
        fs::create_dir(&former).unwrap();
        fs::write(former.join("1.json"), "{}").unwrap();
        take_over(&former, &disk.folders[0]).unwrap();
        take_over(&former, &disk.folders[0]).unwrap();
        assert!(disk.folders[0].join("1.json").exists() && !former.exists());
    }
}
