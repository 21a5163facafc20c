//! The folder in which the messages are kept, one file each, and how a file is found and read again.

use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::encryption::{self, KeyError, KeyFile, Reader, Writer};
use super::incoming::{Incoming, Kept, Partial};
use super::name::{ARRIVED, Checksum, RecordingName};

/// What is being written lies here, on the same file system as its final place, so that renaming is one step.
pub(super) const PARTIAL: &str = ".partial";
/// How much of a recording is read at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A folder of recordings. Cheap to clone; several processes may hold the same one open.
#[derive(Clone, Debug)]
pub struct Folder {
    root: Arc<Path>,
    /// Set by whoever finds that it is another folder than the database knows: a disk that is not mounted.
    is_foreign: Arc<AtomicBool>,
    /// What messages are encrypted to. Greetings are public, and stay plain.
    key: Option<KeyFile>,
}

/// A recording that is being read: its plain bytes, whatever lies on the disk.
pub struct Recording {
    reader: Reader,
    size_bytes: u64,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

impl Recording {
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// `length` bytes from `start`, or fewer where the recording ends earlier. Between two pieces no thread waits.
    pub fn part(self, start: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        try_unfold((self.reader, Some(start), length), |(mut reader, seek_to, left)| async move {
            blocking(move || {
                if let Some(start) = seek_to {
                    reader.seek(SeekFrom::Start(start))?;
                }
                let mut piece = Vec::with_capacity(left.min(CHUNK_BYTES) as usize);
                (&mut reader).take(left.min(CHUNK_BYTES)).read_to_end(&mut piece)?;
                let left = left - piece.len() as u64;
                Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (reader, None, left))))
            })
            .await
        })
    }
}

/// Why bytes could not be kept.
#[derive(Debug, Error)]
pub enum KeepError {
    #[error("the recording is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    /// Retrying helps only after somebody made room.
    #[error("no space left for recordings")]
    NoSpace(#[source] io::Error),
    #[error("cannot write {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// What comes in is to be encrypted, and cannot be. It is not kept plain instead.
    #[error("cannot be encrypted: {0}")]
    NoKey(#[from] KeyError),
}

/// Why a recording could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("the recording {0} is not there")]
    Missing(RecordingName),
    #[error("cannot read the recording {name}")]
    Io { name: RecordingName, source: io::Error },
    #[error("cannot decrypt the recording {name}: {error}")]
    Locked { name: RecordingName, error: KeyError },
}

impl KeepError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(source),
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

impl ReadError {
    fn of(name: &RecordingName) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match (source.kind(), KeyError::of(&source)) {
            (io::ErrorKind::NotFound, _) => Self::Missing(name.clone()),
            (_, Some(error)) => Self::Locked { name: name.clone(), error: error.clone() },
            (_, None) => Self::Io { name: name.clone(), source },
        }
    }
}

impl Folder {
    /// Opens the folder, made where it is missing; sweeps out what earlier runs left half written (not what another
    /// living process is writing: such files are locked) and makes sure that it can be written to. Blocks shortly.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeepError> {
        let path = path.as_ref();
        let root = std::path::absolute(path).map_err(KeepError::at(path))?;
        let partial = root.join(PARTIAL);
        // People's voices: a folder made here is for this user alone.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&partial).map_err(KeepError::at(&partial))?;
        let folder = Self { root: root.into(), is_foreign: Arc::default(), key: None };
        super::incoming::sweep(&partial).map_err(KeepError::at(&partial))?;
        folder.try_writing()?;
        Ok(folder)
    }

    /// A folder that cannot be opened now: it is made when something is written into it.
    pub fn unchecked(path: &Path) -> Self {
        let root = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).into();
        Self { root, is_foreign: Arc::default(), key: None }
    }

    /// Takes no recording while `is_foreign` is set: it would lie below the disk that is mounted later, and its original would
    /// be deleted.
    pub fn refused_while(self, is_foreign: Arc<AtomicBool>) -> Self {
        Self { is_foreign, ..self }
    }

    /// Encrypts the messages that come in from here on, and reads those that are encrypted.
    pub fn encrypted_with(self, key: Option<KeyFile>) -> Self {
        Self { key, ..self }
    }

    pub fn key_file(&self) -> Option<&KeyFile> {
        self.key.as_ref()
    }

    /// Whether messages can be taken in and read as far as the key goes.
    pub async fn key_state(&self) -> Result<(), KeyError> {
        let folder = self.clone();
        blocking(move || encryption::key_for(&folder.root, folder.key.as_ref()).map(|_| ())).await
    }

    /// Whether the file of a key that is in memory is still in its place: after the next start there is no other.
    pub async fn look_at_key_file(&self) -> Result<(), KeyError> {
        let Some(key) = self.key.clone() else { return Ok(()) };
        blocking(move || key.look()).await
    }

    fn refuse_foreign(&self) -> Result<(), KeepError> {
        if self.is_foreign.load(Ordering::Relaxed) {
            let reason = "it is not the folder that the database knows: is a disk not mounted?";
            return Err(KeepError::at(&self.root)(io::Error::other(reason)));
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Begins to receive a recording of at most `max_bytes`. Nothing is visible under its name before
    /// [`Incoming::finish`].
    pub async fn begin(&self, name: RecordingName, max_bytes: u64) -> Result<Incoming, KeepError> {
        self.refuse_foreign()?;
        let (folder, is_message) = (self.clone(), name.voicemail_id().is_some());
        let opened = blocking(move || folder.begin_file(is_message)).await?;
        Ok(Incoming::new(self.root.clone(), name, max_bytes, opened, self.key.clone()))
    }

    /// Opens a file for what comes in, encrypted where it is to be.
    pub(super) fn begin_file(&self, is_message: bool) -> Result<(Partial, Writer<fs::File>), KeepError> {
        let key = if is_message { encryption::key_for(&self.root, self.key.as_ref())? } else { None };
        let folder = self.root.join(PARTIAL);
        let (partial, file) = Partial::create(&folder)?;
        if let Some(key) = &key {
            encryption::mark_folder(&self.root, &folder, key).map_err(KeepError::at(&self.root))?;
        }
        let writer = Writer::new(file, key.as_ref()).map_err(KeepError::at(partial.path()))?;
        Ok((partial, writer))
    }

    pub async fn open_recording(&self, name: &RecordingName) -> Result<Recording, ReadError> {
        let (path, key) = (name.inside(&self.root), self.key.clone());
        let open = move || {
            let mut reader = Reader::open(&path, key.as_ref())?;
            let size_bytes = reader.size_bytes()?;
            Ok(Recording { reader, size_bytes })
        };
        blocking(open).await.map_err(ReadError::of(name))
    }

    /// Whether it is there, and encrypted.
    pub async fn is_encrypted(&self, name: &RecordingName) -> bool {
        let path = name.inside(&self.root);
        blocking(move || encryption::is_encrypted(&path)).await.unwrap_or(false)
    }

    /// All of it, for [`super::analyse()`].
    pub async fn read(&self, name: &RecordingName) -> Result<Vec<u8>, ReadError> {
        let (path, key) = (name.inside(&self.root), self.key.clone());
        let read = move || {
            let mut bytes = Vec::new();
            Reader::open(&path, key.as_ref())?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        blocking(read).await.map_err(ReadError::of(name))
    }

    /// Reads the whole recording again, in small pieces, and adds it up.
    pub async fn checksum(&self, name: &RecordingName) -> Result<Checksum, ReadError> {
        Ok(self.kept(name).await?.sha256)
    }

    /// A recording that lies there already, as if it had just been received.
    pub async fn kept(&self, name: &RecordingName) -> Result<Kept, ReadError> {
        let (path, key) = (name.inside(&self.root), self.key.clone());
        let summed = blocking(move || Reader::open(&path, key.as_ref()).and_then(sum)).await;
        let (size_bytes, sha256) = summed.map_err(ReadError::of(name))?;
        Ok(Kept { name: name.clone(), size_bytes, sha256 })
    }

    /// Erases a recording for good; `false` if it was not there (any more).
    pub async fn remove(&self, name: &RecordingName) -> Result<bool, KeepError> {
        let path = name.inside(&self.root);
        blocking(move || match fs::remove_file(&path) {
            Ok(()) => sync_folders(&path, 1).map(|()| true).map_err(KeepError::at(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(KeepError::at(&path)(error)),
        })
        .await
    }

    /// The voicemails whose sound came by itself and waits to be looked at.
    pub async fn arrived(&self) -> io::Result<Vec<i64>> {
        let folder = self.root.join(ARRIVED);
        blocking(move || {
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut waiting = Vec::new();
            for entry in entries {
                let name = entry?.file_name();
                waiting.extend(Path::new(&name).file_stem().and_then(|id| id.to_str()?.parse::<i64>().ok()));
            }
            Ok(waiting)
        })
        .await
    }

    /// For the readiness check: writes some bytes to the disk and takes them away again.
    pub async fn probe(&self) -> Result<(), KeepError> {
        self.refuse_foreign()?;
        let folder = self.clone();
        blocking(move || {
            encryption::key_for(&folder.root, folder.key.as_ref())?;
            folder.try_writing()
        })
        .await
    }

    fn try_writing(&self) -> Result<(), KeepError> {
        let (partial, mut file) = Partial::create(&self.root.join(PARTIAL))?;
        let written = io::Write::write_all(&mut file, &[0; 4_096]).and_then(|()| file.sync_all());
        written.map_err(KeepError::at(partial.path()))
    }
}

/// Makes the last entries of these folders durable: `path` itself is a file, `levels` of its parents are synced.
pub(super) fn sync_folders(path: &Path, levels: usize) -> io::Result<()> {
    path.ancestors().skip(1).take(levels).try_for_each(|folder| fs::File::open(folder)?.sync_all())
}

/// Length and checksum of all that comes.
pub(super) fn sum(mut source: impl Read) -> io::Result<(u64, Checksum)> {
    let (mut size_bytes, mut sum, mut piece) = (0, Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match source.read(&mut piece)? {
            0 => return Ok((size_bytes, Checksum(sum.finalize().into()))),
            count => {
                size_bytes += count as u64;
                sum.update(&piece[..count]);
            }
        }
    }
}

/// Runs file work that has no asynchronous form where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("file work does not panic and is never cancelled")
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn with_digits() -> (tempfile::TempDir, Folder, RecordingName) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let name: RecordingName = "2026/11/17.wav".parse().unwrap();
        let mut incoming = folder.begin(name.clone(), 10).await.unwrap();
        incoming.write(b"0123456789").await.unwrap();
        incoming.finish().await.unwrap();
        (place, folder, name)
    }

    #[tokio::test]
    async fn a_range_is_what_a_player_asks_for() {
        let (_place, folder, name) = with_digits().await;
        for (start, length, expected) in [(0, 10, "0123456789"), (3, 4, "3456"), (8, u64::MAX, "89"), (9, 0, "")] {
            let part = folder.open_recording(&name).await.unwrap().part(start, length);
            let part: Vec<Bytes> = part.try_collect().await.unwrap();
            assert_eq!(part.concat(), expected.as_bytes());
        }
        assert_eq!(folder.open_recording(&name).await.unwrap().size_bytes(), 10);
    }

    #[tokio::test]
    async fn erasing_twice_is_no_error() {
        let (_place, folder, name) = with_digits().await;
        assert!(folder.remove(&name).await.unwrap());
        assert!(!folder.remove(&name).await.unwrap());
        assert!(matches!(folder.open_recording(&name).await, Err(ReadError::Missing(_))));
        assert!(matches!(folder.checksum(&name).await, Err(ReadError::Missing(_))));
    }

    #[tokio::test]
    async fn the_probe_notices_that_nothing_can_be_written() {
        let (place, folder, _) = with_digits().await;
        folder.probe().await.unwrap();
        assert_eq!(fs::read_dir(place.path().join(PARTIAL)).unwrap().count(), 0);
        fs::remove_dir(place.path().join(PARTIAL)).unwrap();
        fs::write(place.path().join(PARTIAL), b"a file where a folder should be").unwrap();
        assert!(matches!(folder.probe().await, Err(KeepError::Io { .. })));
        assert!(matches!(Folder::open(place.path()), Err(KeepError::Io { .. })));
    }
}
