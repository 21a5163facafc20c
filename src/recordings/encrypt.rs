//! What lies plain in the folder becomes encrypted, file by file, while the service may run beside it.
//!
//! Whenever this is broken off, each message is there once, whole, plain or encrypted, and the next run goes on with the rest.

use std::fs;
use std::io::{self, BufReader, Read, Write};

use thiserror::Error;

use super::encryption::{KeyError, KeyFile, Reader, begins_encrypted, is_encrypted};
use super::folder::{Folder, KeepError, blocking, sum};
use super::inventory::files_below;
use super::name::RecordingName;

/// What became of the messages of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encrypted {
    pub files: u64,
    /// Of their plain bytes.
    pub bytes: u64,
    /// Encrypted before this run.
    pub before: u64,
    /// Encrypted to another key, or damaged: left as they are.
    pub unreadable: Vec<RecordingName>,
}

/// Why not everything is encrypted. What is, stays so.
#[derive(Debug, Error)]
pub enum EncryptError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the recordings cannot be listed: {0}")]
    List(#[source] io::Error),
    #[error("{name}: {source}")]
    File { name: RecordingName, source: KeepError },
}

enum Outcome {
    Encrypted(u64),
    Before,
    Unreadable,
    /// Erased, moved or written anew meanwhile: whoever did that has the key, too.
    Gone,
}

impl Folder {
    /// Encrypts every message that lies plain. Greetings stay as they are.
    pub async fn encrypt_messages(&self) -> Result<Encrypted, EncryptError> {
        let folder = self.clone();
        blocking(move || {
            let key = folder.key_file().ok_or(KeyError::NotConfigured)?;
            let mut done = Encrypted::default();
            for name in folder.messages().map_err(EncryptError::List)? {
                match folder.encrypt_message(&name, key) {
                    Ok(Outcome::Encrypted(bytes)) => {
                        done.files += 1;
                        done.bytes += bytes;
                    }
                    Ok(Outcome::Before) => done.before += 1,
                    Ok(Outcome::Unreadable) => done.unreadable.push(name),
                    Ok(Outcome::Gone) => {}
                    Err(KeepError::NoKey(error)) => return Err(error.into()),
                    Err(source) => return Err(EncryptError::File { name, source }),
                }
            }
            Ok(done)
        })
        .await
    }

    /// How many messages lie plain, and how many there are.
    pub async fn count_plain(&self) -> io::Result<(u64, u64)> {
        let folder = self.clone();
        blocking(move || {
            let (mut plain, mut all) = (0, 0);
            for name in folder.messages()? {
                match is_encrypted(&name.inside(folder.path())) {
                    Ok(is_encrypted) => {
                        all += 1;
                        plain += u64::from(!is_encrypted);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((plain, all))
        })
        .await
    }

    fn messages(&self) -> io::Result<Vec<RecordingName>> {
        let names = files_below(self.path())?.into_iter().filter_map(|name| name.parse::<RecordingName>().ok());
        Ok(names.filter(|name| name.voicemail_id().is_some()).collect())
    }

    fn encrypt_message(&self, name: &RecordingName, key: &KeyFile) -> Result<Outcome, KeepError> {
        let path = name.inside(self.path());
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Gone),
            Err(error) => return Err(KeepError::at(&path)(error)),
        };
        let seen = file.metadata().map_err(KeepError::at(&path))?;
        // It lies among what is half written for a moment, and a start that sweeps there spares what is locked.
        let _ = file.try_lock();
        let mut plain = BufReader::new(&file);
        if begins_encrypted(&mut plain).map_err(KeepError::at(&path))? {
            let read = Reader::open(&path, Some(key));
            return Ok(if read.is_ok() { Outcome::Before } else { Outcome::Unreadable });
        }
        let (partial, mut writer) = self.begin_file(true)?;
        let encrypt = || {
            let before = sum(Tee { from: plain, to: &mut writer })?;
            writer.finish()?.sync_all()?;
            // Only what can be read again takes the place of what it was made of.
            let after = Reader::open(partial.path(), Some(key)).and_then(sum)?;
            if before != after {
                return Err(io::Error::other("what was encrypted reads back as something else"));
            }
            Ok(before.0)
        };
        let size_bytes = encrypt().map_err(KeepError::at(partial.path()))?;
        let took_its_place = partial.take_place_of(&path, &seen).map_err(KeepError::at(&path))?;
        Ok(if took_its_place { Outcome::Encrypted(size_bytes) } else { Outcome::Gone })
    }
}

/// Writes down what is read through it.
struct Tee<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.to.write_all(&into[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _root: tempfile::TempDir,
        folder: Folder,
    }

    fn place() -> Place {
        let root = tempfile::tempdir().unwrap();
        let key = KeyFile::create(&root.path().join("key")).unwrap();
        let folder = Folder::open(root.path().join("recordings")).unwrap().encrypted_with(Some(key));
        Place { _root: root, folder }
    }

    fn write(folder: &Folder, name: &str, bytes: &[u8]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Threat: half of the messages, or two copies of one, after a run that was broken off.
    #[tokio::test]
    async fn messages_become_encrypted_once_and_greetings_stay() {
        let Place { folder, _root } = place();
        let greeting = "prompts/0123456789abcdef0123456789abcdef.wav";
        for name in ["2026/11/1.wav", "2026/12/2.mp3", "arrived/3.raw", greeting, "letter.txt"] {
            write(&folder, name, b"voice");
        }
        assert_eq!(folder.count_plain().await.unwrap(), (3, 3));
        write(&folder, ".partial/1-1", b"voice, of a run that was killed");
        let done = folder.encrypt_messages().await.unwrap();
        assert_eq!((done.files, done.bytes, done.before, done.unreadable.len()), (3, 15, 0, 0));
        for name in ["2026/11/1.wav", "2026/12/2.mp3", "arrived/3.raw"] {
            assert!(is_encrypted(&folder.path().join(name)).unwrap(), "{name}");
            assert_eq!(folder.read(&name.parse().unwrap()).await.unwrap(), b"voice");
        }
        for name in [greeting, "letter.txt"] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"voice", "{name}");
        }
        write(&folder, "2026/12/4.wav", b"later");
        let done = folder.encrypt_messages().await.unwrap();
        assert_eq!((done.files, done.before), (1, 3));
        Folder::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join(".partial")).unwrap().count(), 0);
    }

    /// Threat: a message that is erased while its file is encrypted comes back.
    #[tokio::test]
    async fn file_that_went_or_changed_meanwhile_is_left_alone() {
        let Place { folder, _root } = place();
        write(&folder, "2026/11/1.wav", b"voice");
        let path = folder.path().join("2026/11/1.wav");
        let seen = fs::metadata(&path).unwrap();
        let encrypted = |bytes: &[u8]| {
            let (partial, mut writer) = folder.begin_file(true).unwrap();
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap();
            partial
        };
        let partial = encrypted(b"voice");
        write(&folder, "2026/11/new", b"mended");
        fs::rename(folder.path().join("2026/11/new"), &path).unwrap();
        assert!(!partial.take_place_of(&path, &seen).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"mended");
        let partial = encrypted(b"voice");
        fs::remove_file(&path).unwrap();
        assert!(!partial.take_place_of(&path, &seen).unwrap());
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path().join(".partial")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn message_of_another_key_is_named_and_left() {
        let Place { folder, _root } = place();
        let other = KeyFile::create(&_root.path().join("other")).unwrap();
        let theirs = Folder::open(_root.path().join("theirs")).unwrap().encrypted_with(Some(other));
        write(&theirs, "2026/11/1.wav", b"voice");
        theirs.encrypt_messages().await.unwrap();
        let bytes = fs::read(theirs.path().join("2026/11/1.wav")).unwrap();
        write(&folder, "2026/11/1.wav", &bytes);
        let done = folder.encrypt_messages().await.unwrap();
        assert_eq!((done.files, done.unreadable.len()), (0, 1));
        assert_eq!(fs::read(folder.path().join("2026/11/1.wav")).unwrap(), bytes);
    }
}
