//! A recording on its way in: written beside the others, counted and hashed as it comes, visible only when complete.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::encryption::{KeyFile, Reader, Writer};
use super::folder::{KeepError, blocking, sync_folders};
use super::name::{Checksum, RecordingName};

/// A recording that is being received. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    root: Arc<Path>,
    name: RecordingName,
    max_bytes: u64,
    size_bytes: u64,
    sum: Sha256,
    sink: Sink,
    partial: Partial,
    /// To read it again.
    key: Option<KeyFile>,
}

/// The file that is being written.
enum Sink {
    Plain(File),
    /// `None` while a thread encrypts, and for good if nobody waited for it.
    Encrypted(Option<Writer<fs::File>>),
    /// Encrypted to its end.
    Sealed(fs::File),
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Encrypted(_) => "Encrypted",
            Self::Sealed(_) => "Sealed",
        })
    }
}

impl Sink {
    async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(piece).await,
            Self::Encrypted(writer) => {
                let mut taken = writer.take().ok_or_else(broken_off)?;
                let piece = piece.to_vec();
                let (taken, written) = blocking(move || {
                    let written = taken.write_all(&piece);
                    (taken, written)
                })
                .await;
                *writer = Some(taken);
                written
            }
            Self::Sealed(_) => Err(io::Error::other("what is encrypted to its end takes no more")),
        }
    }

    /// Everything is in the file from here on; one that is encrypted takes no more.
    async fn complete(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush().await,
            Self::Encrypted(writer) => {
                let taken = writer.take().ok_or_else(broken_off)?;
                *self = Self::Sealed(blocking(move || taken.finish()).await?);
                Ok(())
            }
            Self::Sealed(_) => Ok(()),
        }
    }

    async fn sync(mut self) -> io::Result<()> {
        self.complete().await?;
        match self {
            Self::Plain(file) => file.sync_all().await,
            Self::Sealed(file) => blocking(move || file.sync_all()).await,
            Self::Encrypted(_) => Err(broken_off()),
        }
    }
}

fn broken_off() -> io::Error {
    io::Error::other("the writing was broken off")
}

/// A recording that survives the loss of power from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub name: RecordingName,
    pub size_bytes: u64,
    pub sha256: Checksum,
}

impl Incoming {
    pub(super) fn new(
        root: Arc<Path>,
        name: RecordingName,
        max_bytes: u64,
        (partial, file): (Partial, Writer<fs::File>),
        key: Option<KeyFile>,
    ) -> Self {
        let sink = match file {
            Writer::Plain(file) => Sink::Plain(File::from_std(file)),
            encrypted => Sink::Encrypted(Some(encrypted)),
        };
        Self { root, name, max_bytes, size_bytes: 0, sum: Sha256::new(), sink, partial, key }
    }

    /// Adds bytes in the order of calls. A piece that would pass the limit is refused whole.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), KeepError> {
        let size_bytes = self.size_bytes.saturating_add(piece.len() as u64);
        if size_bytes > self.max_bytes {
            return Err(KeepError::TooLarge { max_bytes: self.max_bytes });
        }
        self.sink.write(piece).await.map_err(KeepError::at(self.partial.path()))?;
        self.sum.update(piece);
        self.size_bytes = size_bytes;
        Ok(())
    }

    /// All that has come, read from the disk as it will be read later. Nothing more can be written.
    pub async fn read(&mut self) -> Result<Vec<u8>, KeepError> {
        let path = self.partial.path();
        self.sink.complete().await.map_err(KeepError::at(path))?;
        let (from, key) = (path.to_owned(), self.key.clone());
        let read = move || {
            let mut bytes = Vec::new();
            Reader::open(&from, key.as_ref())?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        blocking(read).await.map_err(KeepError::at(path))
    }

    /// What [`Incoming::finish`] will keep if nothing more comes.
    pub fn so_far(&self) -> Kept {
        Kept {
            name: self.name.clone(),
            size_bytes: self.size_bytes,
            sha256: Checksum(self.sum.clone().finalize().into()),
        }
    }

    /// Brings the bytes to the disk, gives them their name in one step (replacing a recording that has it already) and
    /// brings the name to the disk. Only then it is time to delete the provider's copy.
    pub async fn finish(self) -> Result<Kept, KeepError> {
        let kept = self.so_far();
        let Self { root, name, sink, partial, .. } = self;
        sink.sync().await.map_err(KeepError::at(partial.path()))?;
        let path = name.inside(&root);
        blocking(move || partial.rename_to(&path).map_err(KeepError::at(&path))).await?;
        Ok(kept)
    }
}

/// A file that is removed when this is dropped; an empty path after it was renamed. Its lock tells other processes that
/// it is alive.
#[derive(Debug)]
pub(super) struct Partial(PathBuf);

impl Partial {
    pub fn create(folder: &Path) -> Result<(Self, fs::File), KeepError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut was_made = false;
        loop {
            let path = folder.join(format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Without locks (some network file systems) a second process may sweep it: then finishing fails
                    // and the download is repeated.
                    let _ = file.try_lock();
                    return Ok((Self(path), file));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                // Somebody tidied up. The folder above it is not made: where it is missing, a disk is not mounted.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !was_made => {
                    was_made = true;
                    match fs::create_dir(folder) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(KeepError::at(folder)(error));
                        }
                        _ => {}
                    }
                }
                Err(error) => return Err(KeepError::at(&path)(error)),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn rename_to(mut self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::rename(&self.0, path)?;
        self.0.clear();
        // Month, year and root: a folder that a neighbour made a moment ago may not be on the disk yet.
        sync_folders(path, 3)
    }

    /// Changes places with the file at `path`, which is removed. `false`: that one is gone, or no longer the one that was
    /// seen, and stays as it is.
    pub(super) fn take_place_of(self, path: &Path, seen: &fs::Metadata) -> io::Result<bool> {
        let is_seen = |now: &fs::Metadata| (now.dev(), now.ino()) == (seen.dev(), seen.ino());
        let exchange = || renameat_with(CWD, &self.0, CWD, path, RenameFlags::EXCHANGE).map_err(io::Error::from);
        match exchange() {
            Ok(()) => {
                if !is_seen(&fs::metadata(&self.0)?) {
                    exchange()?;
                    return Ok(false);
                }
                sync_folders(path, 1)?;
                fs::remove_file(&self.0)?;
                sync_folders(&self.0, 1)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // A file system that cannot do it in one step: whoever erases the file in this very moment is late.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                match fs::metadata(path) {
                    Ok(now) if is_seen(&now) => self.rename_to(path).map(|()| true),
                    Ok(_) => Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What cannot be removed now is swept at the next start.
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Removes what nobody is writing any more.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_alive =
            fs::File::open(&path).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)));
        if !is_alive {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::folder::Folder;
    use super::*;

    fn name() -> RecordingName {
        "2026/11/17.wav".parse().unwrap()
    }

    fn left_in(folder: &Folder) -> usize {
        fs::read_dir(folder.path().join(".partial")).unwrap().count()
    }

    #[tokio::test]
    async fn a_recording_is_visible_only_when_it_is_complete() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path().join("recordings")).unwrap();
        let mut incoming = folder.begin(name(), 100).await.unwrap();
        incoming.write(b"hello, ").await.unwrap();
        incoming.write(b"school").await.unwrap();
        assert_eq!(incoming.read().await.unwrap(), b"hello, school");
        assert!(!folder.path().join("2026").exists());
        assert_eq!(left_in(&folder), 1);

        let kept = incoming.finish().await.unwrap();
        assert_eq!((kept.name, kept.size_bytes), (name(), 13));
        assert_eq!(kept.sha256, folder.checksum(&name()).await.unwrap());
        assert_eq!(folder.read(&name()).await.unwrap(), b"hello, school");
        assert_eq!(left_in(&folder), 0);
    }

    /// Threat: the disk is carried away while a message comes in.
    #[tokio::test]
    async fn half_a_message_is_encrypted_on_the_disk() {
        let place = tempfile::tempdir().unwrap();
        let key = KeyFile::create(&place.path().join("key")).unwrap();
        let folder = Folder::open(place.path().join("recordings")).unwrap().encrypted_with(Some(key));
        let voice: Vec<u8> = b"a voice ".repeat(40_000);
        let mut incoming = folder.begin(name(), 1_000_000).await.unwrap();
        for piece in voice.chunks(10_001) {
            incoming.write(piece).await.unwrap();
            let on_disk = fs::read(incoming.partial.path()).unwrap();
            assert!(!on_disk.windows(8).any(|window| window == b"a voice "));
        }
        assert_eq!(incoming.read().await.unwrap(), voice);
        assert!(incoming.write(b"more").await.is_err(), "it is encrypted to its end");
        let kept = incoming.finish().await.unwrap();
        assert_eq!((kept.size_bytes, kept.sha256), (320_000, folder.checksum(&name()).await.unwrap()));
        assert_eq!(folder.read(&name()).await.unwrap(), voice);
        assert!(folder.is_encrypted(&name()).await);
        assert_eq!(left_in(&folder), 0);
    }

    #[tokio::test]
    async fn the_checksum_is_that_of_sha256sum() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut incoming = folder.begin(name(), 3).await.unwrap();
        incoming.write(b"abc").await.unwrap();
        let kept = incoming.finish().await.unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(kept.sha256.to_string(), expected);
    }

    #[tokio::test]
    async fn what_is_dropped_unfinished_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut incoming = folder.begin(name(), 100).await.unwrap();
        incoming.write(b"half a mess").await.unwrap();
        drop(incoming);
        assert_eq!(left_in(&folder), 0);
        assert!(folder.read(&name()).await.is_err());
    }

    #[tokio::test]
    async fn a_recording_over_the_limit_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut incoming = folder.begin(name(), 10).await.unwrap();
        incoming.write(&[1; 10]).await.unwrap();
        assert!(matches!(incoming.write(&[1]).await, Err(KeepError::TooLarge { max_bytes: 10 })));
    }

    #[tokio::test]
    async fn the_same_recording_again_replaces_the_first() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        for text in ["first", "second"] {
            let mut incoming = folder.begin(name(), 100).await.unwrap();
            incoming.write(text.as_bytes()).await.unwrap();
            incoming.finish().await.unwrap();
        }
        assert_eq!(folder.read(&name()).await.unwrap(), b"second");
    }

    /// Every fetch once failed until the next start.
    #[tokio::test]
    async fn a_partial_folder_that_somebody_deleted_is_made_again_but_never_a_disk_that_is_not_mounted() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path().join("recordings")).unwrap();
        fs::remove_dir_all(folder.path().join(".partial")).unwrap();
        let mut incoming = folder.begin(name(), 100).await.unwrap();
        incoming.write(b"sound").await.unwrap();
        incoming.finish().await.unwrap();
        assert_eq!(folder.read(&name()).await.unwrap(), b"sound");

        fs::remove_dir_all(folder.path()).unwrap();
        assert!(matches!(folder.begin(name(), 100).await, Err(KeepError::Io { .. })));
        assert!(!folder.path().exists());
    }

    #[tokio::test]
    async fn a_start_sweeps_what_died_and_spares_what_lives() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        fs::write(place.path().join(".partial/1-1"), b"from a run that was killed").unwrap();
        let mut living = folder.begin(name(), 100).await.unwrap();
        living.write(b"still").await.unwrap();
        Folder::open(place.path()).unwrap();
        assert_eq!(left_in(&folder), 1);
        living.write(b" here").await.unwrap();
        living.finish().await.unwrap();
        assert_eq!(folder.read(&name()).await.unwrap(), b"still here");
    }

    #[tokio::test]
    async fn recordings_that_come_together_do_not_mix() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut together = tokio::task::JoinSet::new();
        for id in 1..=16_u8 {
            let folder = folder.clone();
            together.spawn(async move {
                let mut incoming = folder.begin(format!("2026/12/{id}.wav").parse().unwrap(), 10_000).await.unwrap();
                for _ in 0..10 {
                    incoming.write(&[id; 1_000]).await.unwrap();
                }
                incoming.finish().await.unwrap()
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(300), together.join_all()).await.unwrap();
        for kept in all {
            assert_eq!(folder.checksum(&kept.name).await.unwrap(), kept.sha256);
        }
        assert_eq!(left_in(&folder), 0);
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(KeepError::at(Path::new("x"))(full), KeepError::NoSpace(_)));
        let other = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(KeepError::at(Path::new("x"))(other), KeepError::Io { .. }));
    }
}
