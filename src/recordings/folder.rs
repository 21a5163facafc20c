//! The folder in which the messages are kept, one file each, and how a file is found and read again.

use std::fs;
use std::io::{self, Read, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, Take};

use super::incoming::{Incoming, Kept, Partial};
use super::name::{ARRIVED, Checksum, RecordingName};

/// What is being written lies here, on the same file system as its final place, so that renaming is one step.
const PARTIAL: &str = ".partial";

/// A folder of recordings. Cheap to clone; several processes may hold the same one open.
#[derive(Clone, Debug)]
pub struct Folder {
    root: Arc<Path>,
    /// Set by whoever finds that it is another folder than the database knows: a disk that is not mounted.
    is_foreign: Arc<AtomicBool>,
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
}

/// Why a recording could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("the recording {0} is not there")]
    Missing(RecordingName),
    /// HTTP's 416. A range that begins inside and ends outside is cut instead.
    #[error("the recording has only {size_bytes} bytes")]
    BeyondEnd { size_bytes: u64 },
    #[error("cannot read the recording {name}")]
    Io { name: RecordingName, source: io::Error },
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
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(name.clone()),
            _ => Self::Io { name: name.clone(), source },
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
        let folder = Self { root: root.into(), is_foreign: Arc::default() };
        super::incoming::sweep(&partial).map_err(KeepError::at(&partial))?;
        folder.try_writing()?;
        Ok(folder)
    }

    /// A folder that cannot be opened now: it is made when something is written into it.
    pub fn unchecked(path: &Path) -> Self {
        let root = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).into();
        Self { root, is_foreign: Arc::default() }
    }

    /// Takes no recording while `is_foreign` is set: it would lie below the disk that is mounted later, and its original would
    /// be deleted.
    pub fn refused_while(self, is_foreign: Arc<AtomicBool>) -> Self {
        Self { is_foreign, ..self }
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
        let partial = self.root.join(PARTIAL);
        let (partial, file) = blocking(move || Partial::create(&partial)).await?;
        Ok(Incoming::new(self.root.clone(), name, max_bytes, partial, file))
    }

    /// The file and its length in bytes.
    pub async fn open_recording(&self, name: &RecordingName) -> Result<(File, u64), ReadError> {
        let file = File::open(name.inside(&self.root)).await.map_err(ReadError::of(name))?;
        let size_bytes = file.metadata().await.map_err(ReadError::of(name))?.len();
        Ok((file, size_bytes))
    }

    /// A reader of `length` bytes from `start`, or of fewer where the recording ends earlier.
    pub async fn read_range(&self, name: &RecordingName, start: u64, length: u64) -> Result<Take<File>, ReadError> {
        let (mut file, size_bytes) = self.open_recording(name).await?;
        if start >= size_bytes {
            return Err(ReadError::BeyondEnd { size_bytes });
        }
        file.seek(SeekFrom::Start(start)).await.map_err(ReadError::of(name))?;
        Ok(file.take(length.min(size_bytes - start)))
    }

    /// All of it, for [`super::analyse()`].
    pub async fn read(&self, name: &RecordingName) -> Result<Vec<u8>, ReadError> {
        tokio::fs::read(name.inside(&self.root)).await.map_err(ReadError::of(name))
    }

    /// Reads the whole recording again, in small pieces, and adds it up.
    pub async fn checksum(&self, name: &RecordingName) -> Result<Checksum, ReadError> {
        let path = name.inside(&self.root);
        blocking(move || checksum_of(&path)).await.map_err(ReadError::of(name))
    }

    /// A recording that lies there already, as if it had just been received.
    pub async fn kept(&self, name: &RecordingName) -> Result<Kept, ReadError> {
        let (_, size_bytes) = self.open_recording(name).await?;
        Ok(Kept { name: name.clone(), size_bytes, sha256: self.checksum(name).await? })
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
        blocking(move || folder.try_writing()).await
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

fn checksum_of(path: &Path) -> io::Result<Checksum> {
    let mut file = fs::File::open(path)?;
    let mut sum = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Checksum(sum.finalize().into())),
            count => sum.update(&piece[..count]),
        }
    }
}

/// Runs file work that has no asynchronous form where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("file work does not panic and is never cancelled")
}

#[cfg(test)]
mod tests {
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
            let mut text = String::new();
            folder.read_range(&name, start, length).await.unwrap().read_to_string(&mut text).await.unwrap();
            assert_eq!(text, expected);
        }
        let beyond = folder.read_range(&name, 10, 1).await;
        assert!(matches!(beyond, Err(ReadError::BeyondEnd { size_bytes: 10 })), "{beyond:?}");
        assert_eq!(folder.open_recording(&name).await.unwrap().1, 10);
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
