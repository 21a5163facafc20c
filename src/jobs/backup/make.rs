//! Makes a backup: first what waits for the database, then the tables at one instant, then the files that their rows name.
//!
//! Everything is written below a temporary name, verified there, and renamed when it is whole: whatever has the name of a
//! backup is one. What a kill leaves behind is swept by the next backup.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::write::GzEncoder;
use thiserror::Error;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::check::{Problem, check};
use super::files::{self, Copied, Sum, Summing};
use super::manifest::{
    ENCRYPTED_MANIFEST, FileEntry, MANIFEST, MadeBy, Manifest, PREFIX, PlainSum, RECORDINGS, Sha256Hex, TABLES,
    TableEntry, UNFINISHED_PREFIX, backups_in,
};
use super::{ManifestError, blocking};
use crate::recordings::{Checksum, KeyError, KeyFile, RecordingName, Writer, key_for};
use crate::store::{
    FORMER_SPOOL, Present, SPOOL, Snapshot, SpoolFolders, StoreError, TableContent, VoicemailState, set_aside_path,
    spooled_files,
};
use crate::time::{TimeZone, Timestamp};

/// How often a backup begins anew because somebody erased a recording while it was made.
const MAX_TRIES: usize = 3;
/// Chunks of a table that may wait for the disk.
const MAX_CHUNKS_WAITING: usize = 4;

/// What a service holds.
#[derive(Clone, Debug)]
pub struct BackupSource {
    pub database: String,
    pub recordings: PathBuf,
    /// The second folder of the spool.
    pub emergency: PathBuf,
    /// What messages, and so backups, are encrypted to.
    pub key: Option<KeyFile>,
}

/// What is to be copied, and where to.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    pub source: BackupSource,
    /// The folder of all backups; made if it is missing.
    pub into: PathBuf,
    pub made_by: MadeBy,
    pub created_at: Timestamp,
    /// For the name of the folder.
    pub zone: TimeZone,
}

/// A backup that is whole.
#[derive(Clone, Debug)]
pub struct Made {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// How many recordings share their bytes with the backup before.
    pub linked: usize,
}

#[derive(Debug, Error)]
pub enum BackupError {
    /// Each backup would be taken for recordings of nobody's, and would go with them.
    #[error("{0} lies in the folder of the recordings")]
    AmongRecordings(PathBuf),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// A service that encrypts makes no backup that is plain.
    #[error("the backup cannot be encrypted: {0}")]
    Key(#[from] KeyError),
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    #[error("what was written cannot be read again: {0}")]
    Manifest(#[from] ManifestError),
    #[error("what was written is not what was read: {0:?}")]
    Damaged(Vec<Problem>),
}

impl BackupError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Makes a backup while the service runs, in this process or in another.
pub async fn make(request: &BackupRequest) -> Result<Made, BackupError> {
    let into = &request.into;
    let (recordings, key) = (request.source.recordings.clone(), request.source.key.clone());
    let recipient =
        blocking(move |_| key_for(&recordings, key.as_ref()).map(|key| key.map(|key| key.recipient().to_owned())))
            .await?;
    if files::lies_within(into, &request.source.recordings) {
        return Err(BackupError::AmongRecordings(into.clone()));
    }
    files::make_folders(into).map_err(BackupError::at(into))?;
    sweep(into).map_err(BackupError::at(into))?;
    let made = Unfinished::create(request)?;
    let key = request.source.key.clone();
    let previous = Previous::newest_in(into, key.as_ref()).map_err(BackupError::at(into))?;
    let folder = made.folder.clone();
    let (mut manifest, linked) = fill(request, &folder, previous).await?;
    if let Some(recipient) = recipient {
        manifest = manifest.encrypted_to(&recipient);
    }
    let linked_files = linked.clone();
    let (manifest, problems) = blocking(move |stop| {
        write_manifest(&folder, &manifest, key.as_ref()).map_err(BackupError::at(&folder))?;
        let manifest = Manifest::read_with(&folder, key.as_ref())?;
        let problems = check(&folder, &manifest, &linked_files, key.as_ref(), stop);
        Ok::<_, BackupError>((manifest, problems))
    })
    .await?;
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems));
    }
    let folder = made.finish(request).map_err(BackupError::at(into))?;
    let megabytes = manifest.size_bytes() / 1_000_000;
    info!(megabytes, linked = linked.len(), "Made a backup of {megabytes} MB in {}", folder.display());
    Ok(Made { folder, manifest, linked: linked.len() })
}

/// Tables and files. The answer names the files that are links.
async fn fill(
    request: &BackupRequest,
    folder: &Path,
    previous: Previous,
) -> Result<(Manifest, HashSet<String>), BackupError> {
    let previous = Arc::new(previous);
    for attempt in 1..=MAX_TRIES {
        // Before the tables: what waits now is either here or in them. What is in both bears being delivered twice.
        let spooled = copy_spools(request, folder).await?;
        let mut snapshot = Snapshot::open(&request.source.database).await?;
        let mut manifest =
            Manifest::new(request.created_at, request.made_by, &snapshot.engine, snapshot.schema_version);
        manifest.files = spooled;
        for table in snapshot.tables.clone() {
            let key = request.source.key.as_ref();
            let file = format!("{TABLES}/{}.jsonl.gz{}", table.name, if key.is_some() { ".age" } else { "" });
            let (content, sum) = write_table(&mut snapshot, &table, &folder.join(&file), key).await?;
            let TableContent { rows, digest } = content;
            manifest.files.push(entry(file.clone(), sum));
            manifest.tables.push(TableEntry { table, rows, digest: Sha256Hex(Checksum(digest)), file });
        }
        manifest.dangling = snapshot.dangling().await?.into_iter().collect();
        let (wanted, waiting) = wanted(&mut snapshot).await?;
        let mut present = snapshot.release().await?;
        let (brought, absent, linked) = bring_all(request, folder, previous.clone(), wanted).await?;
        manifest.files.extend(brought.files);
        manifest.defects = brought.changed;
        let mut erased_meanwhile = false;
        for file in absent {
            erased_meanwhile |= file.was_erased(&mut present).await?;
            manifest.defects.push(file.name);
        }
        let sounds = bring_sounds_on_their_way(request, folder, &mut present, waiting).await;
        present.close().await;
        manifest.files.extend(sounds?);
        if erased_meanwhile && attempt < MAX_TRIES {
            warn!("A recording was erased while the backup was made; it begins anew");
            for part in [TABLES, RECORDINGS] {
                let part = folder.join(part);
                fs::remove_dir_all(&part).or_else(absent_is_fine).map_err(BackupError::at(&part))?;
            }
            continue;
        }
        for name in &manifest.defects {
            warn!(recording = name, "The backup lacks a recording that is not in the folder as its row says: {name}");
        }
        return Ok((manifest, linked));
    }
    unreachable!("the last try returns");
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn entry(name: String, (size, sha256): Sum) -> FileEntry {
    FileEntry { name, size, sha256: Sha256Hex(sha256), plain: None }
}

fn copied_entry(name: String, Copied { sum, plain }: Copied) -> FileEntry {
    let plain = plain.map(|(size, sha256)| PlainSum { size, sha256: Sha256Hex(sha256) });
    FileEntry { plain, ..entry(name, sum) }
}

/// Deliveries that wait for the database, in files of their own. One that is taken in at this moment is in the tables.
async fn copy_spools(request: &BackupRequest, folder: &Path) -> Result<Vec<FileEntry>, BackupError> {
    let (BackupSource { recordings, emergency, key, .. }, folder) = (request.source.clone(), folder.to_owned());
    blocking(move |_| {
        let SpoolFolders { first, emergency, former } = SpoolFolders::new(&recordings, &emergency);
        let spools = [
            // Before the folder that its files are moved to.
            (former, FORMER_SPOOL),
            (first, SPOOL),
            // Restored beside the recordings: the second folder may not be there on another machine.
            (emergency, SPOOL),
        ];
        let mut copied = Vec::new();
        for (spool, name_there) in spools {
            for path in spooled_files(&spool, &recordings).map_err(BackupError::at(&spool))? {
                copied.extend(copy_spooled(&path, &folder, &format!("{RECORDINGS}/{name_there}"), key.as_ref())?);
            }
        }
        Ok(copied)
    })
    .await
}

/// Copies a delivery of the spool to `there` in the backup, under its new name if it has been set aside since it was listed.
/// `None`: it has been applied since.
fn copy_spooled(
    path: &Path,
    folder: &Path,
    there: &str,
    key: Option<&KeyFile>,
) -> Result<Option<FileEntry>, BackupError> {
    for path in [path.to_owned(), set_aside_path(path)] {
        let file = format!("{there}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        match files::copy_encrypted(&path, &folder.join(&file), key) {
            Ok(copied) => return Ok(Some(copied_entry(file, copied))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::at(&folder.join(file))(error)),
        }
    }
    Ok(None)
}

/// A thread compresses and writes what the database hands on.
async fn write_table(
    snapshot: &mut Snapshot,
    table: &crate::store::Table,
    path: &Path,
    key: Option<&KeyFile>,
) -> Result<(TableContent, Sum), BackupError> {
    let (sender, mut chunks) = mpsc::channel::<Vec<u8>>(MAX_CHUNKS_WAITING);
    let writing = {
        let (path, key) = (path.to_owned(), key.cloned());
        tokio::task::spawn_blocking(move || {
            files::make_folders(path.parent().unwrap_or(&path))?;
            let key = key.as_ref().map(KeyFile::key).transpose()?;
            let file = Writer::new(Summing::new(files::create(&path)?), key.as_ref())?;
            let mut out = GzEncoder::new(file, Compression::fast());
            while let Some(chunk) = chunks.blocking_recv() {
                out.write_all(&chunk)?;
            }
            Ok::<_, io::Error>(out.finish()?.finish()?.finish().1)
        })
    };
    let content = snapshot.read_table(table, &sender).await;
    drop(sender);
    let written = writing.await.expect("writing a table does not panic and is never cancelled");
    // If the disk failed, the reading ended early.
    let sum = written.map_err(BackupError::at(path))?;
    Ok((content?, sum))
}

/// A file that a row names.
struct Wanted {
    /// Below the recordings folder.
    name: String,
    size: Option<u64>,
    sha256: Vec<u8>,
    owner: Owner,
}

#[derive(Clone, Copy)]
enum Owner {
    Voicemail(i64),
    Prompt(i64),
}

impl Wanted {
    /// Greetings are public: they stay plain.
    fn key<'a>(&self, key: Option<&'a KeyFile>) -> Option<&'a KeyFile> {
        match self.owner {
            Owner::Voicemail(_) => key,
            Owner::Prompt(_) => None,
        }
    }

    /// Whether its row says no longer that it is there.
    async fn was_erased(&self, present: &mut Present) -> Result<bool, StoreError> {
        Ok(match self.owner {
            Owner::Prompt(id) => !present.has_prompt(id).await?,
            Owner::Voicemail(id) => match present.voicemail_file(id).await? {
                Some(row) => {
                    row.state == VoicemailState::Erased || row.stored.is_none_or(|(name, ..)| name != self.name)
                }
                None => true,
            },
        })
    }
}

/// What the rows of the picture name, and the voicemails whose sound may be on its way.
async fn wanted(snapshot: &mut Snapshot) -> Result<(Vec<Wanted>, Vec<i64>), StoreError> {
    let (mut wanted, mut waiting) = (Vec::new(), Vec::new());
    for voicemail in snapshot.voicemail_files().await? {
        match voicemail.stored {
            // A row that no part of this program writes: its name leads nowhere.
            Some((name, ..)) if name.parse::<RecordingName>().is_err() => {
                warn!(voicemail.id = voicemail.id, "A voicemail names a file that is no recording")
            }
            Some((name, size, sha256)) => {
                wanted.push(Wanted { name, size: Some(size), sha256, owner: Owner::Voicemail(voicemail.id) })
            }
            None => waiting.push(voicemail.id),
        }
    }
    for prompt in snapshot.prompt_files().await? {
        let owner = Owner::Prompt(prompt.id);
        let heard = RecordingName::of_prompt(&prompt.name).map(|name| (name, prompt.sha256));
        let original = prompt.original_name.parse::<RecordingName>().map(|name| (name, prompt.original_sha256));
        for (name, sha256) in [heard, original].into_iter().flatten() {
            wanted.push(Wanted { name: name.to_string(), size: None, sha256, owner });
        }
    }
    Ok((wanted, waiting))
}

#[derive(Default)]
struct Brought {
    files: Vec<FileEntry>,
    /// Names of those that are not what their row says.
    changed: Vec<String>,
}

/// The files, those that are not there, and the names of those that are links.
async fn bring_all(
    request: &BackupRequest,
    folder: &Path,
    previous: Arc<Previous>,
    wanted: Vec<Wanted>,
) -> Result<(Brought, Vec<Wanted>, HashSet<String>), BackupError> {
    let (BackupSource { recordings, key, .. }, folder) = (request.source.clone(), folder.to_owned());
    blocking(move |stop| {
        let (mut brought, mut absent, mut linked) = (Brought::default(), Vec::new(), HashSet::new());
        for file in wanted {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("{RECORDINGS}/{}", file.name);
            let to = folder.join(&name);
            let key = file.key(key.as_ref());
            if let Some(entry) = previous.link(&file, &name, &to, key).map_err(BackupError::at(&to))? {
                linked.insert(name);
                brought.files.push(entry);
                continue;
            }
            match files::copy_encrypted(&recordings.join(&file.name), &to, key) {
                Ok(copied) => {
                    let of_row = if key.is_some() { copied.plain } else { Some(copied.sum) };
                    if of_row.is_none_or(|(_, sha256)| sha256.0[..] != file.sha256) {
                        brought.changed.push(file.name);
                    }
                    brought.files.push(copied_entry(name, copied));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => absent.push(file),
                Err(error) => return Err(BackupError::at(&to)(error)),
            }
        }
        Ok((brought, absent, linked))
    })
    .await
}

/// Sound that came by itself and has not been looked at. What was stored between the picture and this moment is laid where it
/// waited, so that the restored job finds it: its provider may have no copy any more.
async fn bring_sounds_on_their_way(
    request: &BackupRequest,
    folder: &Path,
    present: &mut Present,
    waiting: Vec<i64>,
) -> Result<Vec<FileEntry>, BackupError> {
    let mut brought = Vec::new();
    for id in waiting {
        let Ok(arrived) = RecordingName::of_arrived(id) else { continue };
        let name = format!("{RECORDINGS}/{arrived}");
        let to = folder.join(&name);
        let copy = |from: &str| {
            let (from, to, key) = (request.source.recordings.join(from), to.clone(), request.source.key.clone());
            blocking(move |_| files::copy_encrypted(&from, &to, key.as_ref()))
        };
        let copied = match copy(arrived.as_str()).await {
            // It is taken away only after the row says where the sound is.
            Err(error) if error.kind() == io::ErrorKind::NotFound => match present.voicemail_file(id).await? {
                Some(row) if row.state == VoicemailState::Stored => match row.stored {
                    Some((stored, ..)) => copy(&stored).await,
                    None => continue,
                },
                _ => continue,
            },
            other => other,
        };
        match copied {
            Ok(copied) => brought.push(copied_entry(name, copied)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::at(&to)(error)),
        }
    }
    Ok(brought)
}

/// The newest backup beside the one that is made, to share its recordings.
struct Previous {
    folder: PathBuf,
    files: HashMap<String, FileEntry>,
}

impl Previous {
    fn newest_in(into: &Path, key: Option<&KeyFile>) -> io::Result<Self> {
        // One that cannot be read shares nothing; the check of all backups is not the business of this one.
        let newest = backups_in(into)?.pop().map(|newest| newest.folder);
        let files =
            newest.as_deref().and_then(|folder| Manifest::read_with(folder, key).ok()).map(|manifest| manifest.files);
        let (folder, files) = (newest.unwrap_or_default(), files.unwrap_or_default());
        let files = files.into_iter().filter(|file| file.name.starts_with(RECORDINGS));
        Ok(Self { folder, files: files.map(|file| (file.name.clone(), file)).collect() })
    }

    /// Links the same recording as the previous backup has it, if it has it and its bytes are still good. `None`: it is to
    /// be copied.
    fn link(&self, wanted: &Wanted, name: &str, to: &Path, key: Option<&KeyFile>) -> io::Result<Option<FileEntry>> {
        let Some(known) = self.files.get(name) else { return Ok(None) };
        // Without encryption nothing is shared with it, and the other way round.
        let (size, sha256) = match (key, known.plain) {
            (Some(_), Some(plain)) => (plain.size, plain.sha256),
            (None, None) => (known.size, known.sha256),
            _ => return Ok(None),
        };
        if sha256.0.0[..] != wanted.sha256 || wanted.size.is_some_and(|it| it != size) {
            return Ok(None);
        }
        files::make_folders(to.parent().unwrap_or(to))?;
        // Another disk, or a file system without links.
        if fs::hard_link(self.folder.join(name), to).is_err() {
            return Ok(None);
        }
        match files::sum(to) {
            Ok((size, sha256)) if size == known.size && sha256 == known.sha256.0 => Ok(Some(known.clone())),
            _ => {
                fs::remove_file(to)?;
                Ok(None)
            }
        }
    }
}

/// A backup below its temporary name. Dropped unfinished, it is removed.
struct Unfinished {
    folder: PathBuf,
    /// Its lock tells other processes that it is alive.
    _alive: fs::File,
}

impl Unfinished {
    fn create(request: &BackupRequest) -> Result<Self, BackupError> {
        let create = || {
            let folder = tempfile::Builder::new().prefix(UNFINISHED_PREFIX).tempdir_in(&request.into)?.keep();
            let alive = fs::File::open(&folder)?;
            // Without locks (some network file systems) leftovers stay, and nothing worse.
            let _ = alive.try_lock();
            Ok(Self { folder, _alive: alive })
        };
        create().map_err(BackupError::at(&request.into))
    }

    /// Gives it its name, in one step and durably.
    fn finish(self, request: &BackupRequest) -> io::Result<PathBuf> {
        files::sync_disk_of(&self.folder)?;
        let date = request.created_at.to_zoned(request.zone.clone()).strftime("%Y-%m-%dT%H-%M-%S").to_string();
        let mut again = 1;
        let name = loop {
            let name = match again {
                1 => request.into.join(format!("{PREFIX}{date}")),
                _ => request.into.join(format!("{PREFIX}{date}-{again}")),
            };
            // Another instance may take the name between a look and the renaming: a folder that is not empty refuses.
            match fs::rename(&self.folder, &name) {
                Ok(()) => break name,
                Err(_) if name.exists() => again += 1,
                Err(failed) => return Err(failed),
            }
        };
        files::sync_folder(&request.into)?;
        Ok(name)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder).or_else(absent_is_fine) {
            warn!(error = %error, "What is left of an unfinished backup stays until the next one");
        }
    }
}

/// Removes what earlier processes left unfinished.
fn sweep(into: &Path) -> io::Result<()> {
    for entry in fs::read_dir(into)? {
        let path = entry?.path();
        let is_unfinished =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(UNFINISHED_PREFIX));
        if is_unfinished && fs::File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            fs::remove_dir_all(&path).or_else(absent_is_fine)?;
        }
    }
    Ok(())
}

/// Encrypted, with what may be known of it beside it, or plain.
fn write_manifest(folder: &Path, manifest: &Manifest, key: Option<&KeyFile>) -> io::Result<()> {
    let write = |name: &str, manifest: &Manifest, key: Option<&KeyFile>| {
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        let key = key.map(KeyFile::key).transpose()?;
        let mut file = Writer::new(files::create(&folder.join(name))?, key.as_ref())?;
        file.write_all(&text)?;
        file.finish().map(drop)
    };
    if key.is_none() {
        return write(MANIFEST, manifest, None);
    }
    write(ENCRYPTED_MANIFEST, manifest, key)?;
    write(MANIFEST, &manifest.without_contents(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_that_is_set_aside_meanwhile_is_copied() {
        let place = tempfile::tempdir().unwrap();
        let listed = place.path().join("1.json");
        assert!(copy_spooled(&listed, place.path(), "spool", None).unwrap().is_none(), "it was applied");
        fs::write(set_aside_path(&listed), "{").unwrap();
        let copied = copy_spooled(&listed, place.path(), "spool", None).unwrap().unwrap();
        assert_eq!((copied.name.as_str(), copied.size), ("spool/1.set_aside", 1));
        assert!(place.path().join("spool/1.set_aside").exists());
    }

    #[test]
    fn unfinished_backup_is_swept_unless_it_is_being_made() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join(format!("{UNFINISHED_PREFIX}1-0"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), b"a table").unwrap();
        let alive = fs::File::open(&left).unwrap();
        alive.try_lock().unwrap();
        sweep(place.path()).unwrap();
        assert!(left.exists(), "somebody is making it");
        drop(alive);
        fs::create_dir(place.path().join("perezvon-photos")).unwrap();
        sweep(place.path()).unwrap();
        assert!(!left.exists() && place.path().join("perezvon-photos").exists());
        assert!(backups_in(place.path()).unwrap().is_empty(), "a folder without a manifest is no backup of ours");
    }
}
