//! Brings a backup back: only into an empty database and folder, and verified before it is called done.
//!
//! The database carries a mark until the end, so that no service runs on half of it; a restore that was broken off is begun
//! anew by the same command.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::sync::mpsc;

use super::blocking;
use super::check::{self, Problem};
use super::files;
use super::manifest::{FileEntry, Manifest, ManifestError, RECORDINGS, TableEntry, is_spooled};
use crate::core::line;
use crate::core::phone::PhoneNumber;
use crate::jobs::forgotten::{FORGOTTEN_BESIDE_RECORDINGS, add_forgotten, spooled_naming};
use crate::recordings::{
    KeyError, KeyFile, RECIPIENT_MARK, RecordingName, files_below, is_encrypted, key_for, mark_folder,
};
use crate::store::{FORMER_SPOOL, ForgottenNumber, RestoreError, Restoring, SPOOL, SPOOL_RESERVE, Store, StoreError};
use crate::time::Timestamp;

/// Rows per commit, and bytes.
const MAX_ROWS: usize = 4096;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What a restore brought back.
#[derive(Clone, Debug)]
pub struct Restored {
    pub manifest: Manifest,
    pub rows: u64,
    pub recordings: usize,
    /// An earlier restore had been broken off here.
    pub was_unfinished: bool,
    /// Callers who were forgotten since the backup, and are again.
    pub forgotten: usize,
}

/// Who is not to come back with the backup.
#[derive(Clone, Debug)]
pub struct Forgetting {
    pub list: BTreeSet<ForgottenNumber>,
    /// The configured lines.
    pub lines: line::Lines,
    pub now: Timestamp,
}

#[derive(Debug, Error)]
pub enum RestoringError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Nothing was touched.
    #[error("the backup is damaged: {0:?}")]
    Damaged(Vec<Problem>),
    /// Nothing was touched.
    #[error("the folder {folder} is not empty: it has {file}")]
    FolderNotEmpty { folder: PathBuf, file: String },
    /// Of the folder that the recordings are to come into. Nothing was touched.
    #[error("the folder of recordings: {0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Database(#[from] RestoreError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// The database keeps its mark.
    #[error("the table {table} has {found} rows of {wanted}, or other contents")]
    TableDiffers { table: String, found: u64, wanted: u64 },
    /// The database keeps its mark.
    #[error("the references between the tables are {found:?} instead of {wanted:?}")]
    ReferencesDiffer { found: BTreeMap<String, i64>, wanted: BTreeMap<String, i64> },
}

impl From<StoreError> for RestoringError {
    fn from(error: StoreError) -> Self {
        Self::Database(error.into())
    }
}

impl RestoringError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Restores the backup in `backup`, without those who were forgotten since. With a key messages are encrypted afterwards,
/// whether or not the backup is.
pub async fn restore(
    backup: &Path,
    database: &str,
    recordings: &Path,
    forgetting: &Forgetting,
    key: Option<&KeyFile>,
) -> Result<Restored, RestoringError> {
    let (manifest, problems) = super::verify(backup, key).await?;
    if !problems.is_empty() {
        return Err(RestoringError::Damaged(problems));
    }
    let (folder, its_key) = (recordings.to_owned(), key.cloned());
    blocking(move |_| key_for(&folder, its_key.as_ref()).map(|_| ())).await?;
    // Where a restore was broken off, the folder may hold what that one brought.
    let in_the_way = files_in_the_way(recordings, &manifest)?;
    if let Some(file) = &in_the_way.foreign {
        return Err(RestoringError::FolderNotEmpty { folder: recordings.to_owned(), file: file.clone() });
    }
    let mut restoring = match in_the_way.of_this_backup {
        Some(file) => Restoring::resume(database, manifest.schema_version)
            .await?
            .ok_or_else(|| RestoringError::FolderNotEmpty { folder: recordings.to_owned(), file })?,
        None => Restoring::begin(database, manifest.schema_version).await?,
    };
    let was_unfinished = restoring.was_unfinished;
    if let Some(unknown) = manifest.tables.iter().find(|entry| !restoring.knows(&entry.table)) {
        return Err(RestoreError::OtherTable(unknown.table.name.clone()).into());
    }
    let restored = bring_recordings(backup, &manifest, recordings, key).await?;
    let mut rows = 0;
    for entry in &manifest.tables {
        fill(&mut restoring, backup, entry, key).await?;
        rows += entry.rows;
    }
    compare(&mut restoring, &manifest).await?;
    let synced = recordings.to_owned();
    blocking(move |_| files::sync_disk_of(&synced)).await.map_err(RestoringError::at(recordings))?;
    let mut forgotten = 0;
    if !forgetting.list.is_empty() {
        // The mark stays until nobody is left who should not be there.
        restoring.pause().await?;
        forgotten = forget_again(forgetting, manifest.created_at, database, recordings).await?;
        restoring = Restoring::go_on(database).await?;
    }
    restoring.finish().await?;
    Ok(Restored { manifest, rows, recordings: restored, was_unfinished, forgotten })
}

/// Erases those who were forgotten since the backup: rows, files, and deliveries that waited for the database when it was made.
async fn forget_again(
    forgetting: &Forgetting,
    made_at: Timestamp,
    database: &str,
    recordings: &Path,
) -> Result<usize, RestoringError> {
    let Forgetting { list, lines, now } = forgetting;
    let store = Store::open_restored(database, lines.clone()).await?;
    let count = store.forget_again(&list.iter().cloned().collect::<Vec<_>>(), made_at, *now).await?;
    loop {
        let files = store.files_to_erase().await?;
        if files.is_empty() {
            break;
        }
        for (id, name) in files {
            match fs::remove_file(recordings.join(&name)) {
                Err(failed) if failed.kind() != io::ErrorKind::NotFound => {
                    return Err(RestoringError::at(&recordings.join(&name))(failed));
                }
                _ => store.file_erased(id).await?,
            }
        }
    }
    let all = store.forgotten().await?;
    store.empty_log().await?;
    store.close().await;
    let is_forgotten = |number: &PhoneNumber| list.iter().any(|it| it.forgotten_at >= made_at && it.is(number));
    for spool in [SPOOL, FORMER_SPOOL].map(|name| recordings.join(name)) {
        for (path, _) in spooled_naming(&spool, recordings, is_forgotten).map_err(RestoringError::at(&spool))? {
            fs::remove_file(&path).map_err(RestoringError::at(&path))?;
        }
    }
    let file = recordings.join(FORGOTTEN_BESIDE_RECORDINGS);
    add_forgotten(&file, &all, None).map_err(RestoringError::at(&file))?;
    Ok(count)
}

#[derive(Default)]
struct InTheWay {
    /// A file that the backup does not have.
    foreign: Option<String>,
    of_this_backup: Option<String>,
}

/// Temporary files count for nothing, and neither do empty folders.
fn files_in_the_way(recordings: &Path, manifest: &Manifest) -> Result<InTheWay, RestoringError> {
    let known: HashSet<&str> = manifest.recordings().map(|(name, _)| name).collect();
    let mut in_the_way = InTheWay::default();
    // Room that the spool keeps for itself: it holds nothing.
    let reserve = format!("{SPOOL}/{SPOOL_RESERVE}");
    for name in files_below(recordings).map_err(RestoringError::at(recordings))? {
        match name.as_str() {
            name if name.starts_with(".partial/") || name.ends_with(PARTIAL) || name == reserve => {}
            name if name.starts_with(".instances/")
                || name == FORGOTTEN_BESIDE_RECORDINGS
                || name == RECIPIENT_MARK => {}
            name if known.contains(name) => in_the_way.of_this_backup = Some(name.to_owned()),
            name => in_the_way.foreign = Some(name.to_owned()),
        }
    }
    Ok(in_the_way)
}

/// The end of the name of a file that is being written.
const PARTIAL: &str = ".partial";

/// Copies all recordings; the answer is how many. They share no bytes with the backup: what happens to one copy spares the
/// other.
async fn bring_recordings(
    backup: &Path,
    manifest: &Manifest,
    recordings: &Path,
    key: Option<&KeyFile>,
) -> Result<usize, RestoringError> {
    let (backup, recordings, key) = (backup.to_owned(), recordings.to_owned(), key.cloned());
    let wanted: Vec<(String, FileEntry)> =
        manifest.recordings().map(|(name, entry)| (name.to_owned(), entry.clone())).collect();
    blocking(move |stop| {
        let partial = recordings.join(".partial");
        files::make_folders(&partial).map_err(RestoringError::at(&recordings))?;
        if let Some(key) = key.as_ref().map(KeyFile::key).transpose()? {
            mark_folder(&recordings, &partial, &key).map_err(RestoringError::at(&recordings))?;
        }
        let mut count = 0;
        for (name, entry) in wanted {
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
            let to = recordings.join(&name);
            let partial = recordings.join(format!("{name}{PARTIAL}"));
            let from = backup.join(RECORDINGS).join(&name);
            if !bring(&from, &partial, &name, &entry, key.as_ref()).map_err(RestoringError::at(&to))? {
                return Err(RestoringError::Damaged(vec![Problem::Changed(entry.name)]));
            }
            fs::rename(&partial, &to).map_err(RestoringError::at(&to))?;
            count += 1;
        }
        Ok(count)
    })
    .await
}

/// Copies one file; `false`: it is not what the manifest says. Deliveries come plain, for the service reads them so, and
/// messages encrypted if there is a key.
fn bring(from: &Path, to: &Path, name: &str, entry: &FileEntry, key: Option<&KeyFile>) -> io::Result<bool> {
    let stored = (entry.size, entry.sha256.0);
    let is_message = name.parse::<RecordingName>().is_ok_and(|name| name.voicemail_id().is_some());
    match entry.plain {
        Some(plain) if is_spooled(name) => Ok(files::copy_plain(from, to, key)? == (plain.size, plain.sha256.0)),
        None if is_message && key.is_some() && !is_encrypted(from)? => {
            Ok(files::copy_encrypted(from, to, key)?.plain == Some(stored))
        }
        _ => Ok(files::copy(from, to)? == stored),
    }
}

/// Reads a table from its file on a thread of its own, and inserts it chunk by chunk.
async fn fill(
    restoring: &mut Restoring,
    backup: &Path,
    entry: &TableEntry,
    key: Option<&KeyFile>,
) -> Result<(), RestoringError> {
    let path = backup.join(&entry.file);
    let (sender, mut chunks) = mpsc::channel::<Vec<Vec<u8>>>(2);
    let reading = {
        let (path, key) = (path.clone(), key.cloned());
        tokio::task::spawn_blocking(move || {
            let mut lines = check::Lines::open(&path, key.as_ref())?;
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            loop {
                let line = lines.next_line()?.map(<[u8]>::to_vec);
                let is_last = line.is_none();
                if let Some(line) = line {
                    bytes += line.len();
                    chunk.push(line);
                }
                let is_full = chunk.len() >= MAX_ROWS || bytes >= MAX_BYTES;
                if (is_last || is_full) && !chunk.is_empty() {
                    bytes = 0;
                    if sender.blocking_send(std::mem::take(&mut chunk)).is_err() {
                        return Ok(());
                    }
                }
                if is_last {
                    return Ok::<_, io::Error>(());
                }
            }
        })
    };
    let mut next_line = 1;
    while let Some(chunk) = chunks.recv().await {
        restoring.insert(&entry.table, &chunk, next_line).await?;
        next_line += chunk.len() as u64;
    }
    let read = reading.await.expect("reading a table does not panic and is never cancelled");
    read.map_err(RestoringError::at(&path))
}

/// Reads everything back from the database: rows and contents of each table, and what names what.
async fn compare(restoring: &mut Restoring, manifest: &Manifest) -> Result<(), RestoringError> {
    for entry in &manifest.tables {
        let found = restoring.content(&entry.table).await?;
        if found != entry.content() {
            let (table, wanted) = (entry.table.name.clone(), entry.rows);
            return Err(RestoringError::TableDiffers { table, found: found.rows, wanted });
        }
    }
    let dangling: BTreeMap<String, i64> = restoring.dangling().await?.into_iter().collect();
    if dangling == manifest.dangling {
        return Ok(());
    }
    Err(RestoringError::ReferencesDiffer { found: dangling, wanted: manifest.dangling.clone() })
}
