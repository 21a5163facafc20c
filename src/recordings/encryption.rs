//! Encryption at rest in the format of age (<https://age-encryption.org/v1>): the file with the key, and streams that are
//! encrypted or plain.
//!
//! A file says by its first line whether it is encrypted, so both kinds may lie side by side.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::secrecy::ExposeSecret;
use age::stream::{StreamReader, StreamWriter};
use age::x25519::Identity;
use age::{DecryptError, Decryptor, Encryptor};
use thiserror::Error;

use super::folder::sync_folders;

/// The first line of an encrypted file.
const FIRST_LINE: &[u8] = b"age-encryption.org/v1\n";
/// In the folder of recordings: the public part of the key that they are encrypted to. It opens nothing.
pub const RECIPIENT_MARK: &str = ".recipient";
/// A key file has one line and some comments.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// A key in memory. Its `Debug` shows the public part alone.
#[derive(Clone)]
pub struct Key {
    identity: Identity,
    recipient: String,
}

/// Why something cannot be encrypted, or read again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("it is encrypted, and no key file is configured")]
    NotConfigured,
    #[error("the key file {} is not there", .0.display())]
    Missing(PathBuf),
    #[error("the key file {} cannot be read: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("there is no key in {}", .0.display())]
    NoKey(PathBuf),
    #[error("it is encrypted to another key than the one in {}", .0.display())]
    OtherKey(PathBuf),
}

impl KeyError {
    /// The end of a sentence.
    pub fn in_russian(&self) -> &'static str {
        match self {
            Self::NotConfigured => "файл ключа не назван в настройках",
            Self::Missing(_) => "файла ключа нет на месте",
            Self::Unreadable { .. } => "файл ключа не читается",
            Self::NoKey(_) => "в файле ключа нет ключа",
            Self::OtherKey(_) => "ключ в файле не тот, которым зашифровано",
        }
    }

    /// What helps: a sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotConfigured => "Впишите файл ключа в настройки: storage.key_file.",
            Self::Missing(_) => "Верните файл ключа или его копию на место: storage.key_file.",
            Self::Unreadable { .. } => "Дайте службе право читать файл ключа: storage.key_file.",
            Self::NoKey(_) => "Верните на место файл, который сделала команда perezvon key new: storage.key_file.",
            Self::OtherKey(_) => "Назовите в storage.key_file прежний файл ключа.",
        }
    }

    /// The reason inside an error of reading or writing, if it is the key.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<KeyError> for io::Error {
    fn from(error: KeyError) -> Self {
        Self::other(error)
    }
}

impl Key {
    fn new(identity: Identity) -> Self {
        let recipient = identity.to_public().to_string();
        Self { identity, recipient }
    }

    fn read(path: &Path) -> Result<Self, KeyError> {
        let mut text = String::new();
        let read = fs::File::open(path).and_then(|file| file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyError::Missing(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(KeyError::NoKey(path.to_owned())),
            Err(error) => return Err(KeyError::Unreadable { path: path.to_owned(), reason: error.to_string() }),
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next().map(str::parse), lines.next()) {
            (Some(Ok(identity)), None) => Ok(Self::new(identity)),
            _ => Err(KeyError::NoKey(path.to_owned())),
        }
    }

    /// The public part: whoever has it can encrypt and nothing more.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.recipient).finish()
    }
}

/// The configured file with the key. It is read when it is first needed, and again until it can be read and fits: a file that
/// is missing or another one at the start may come back.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: Arc<Path>,
    in_memory: Arc<Mutex<Option<Key>>>,
}

impl KeyFile {
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), in_memory: Arc::default() }
    }

    /// Makes a new key in a file of its own, for its user alone. A file that is there is not touched.
    pub fn create(path: &Path) -> io::Result<Self> {
        let key = Key::new(Identity::generate());
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let secret = key.identity.to_string();
        let written = writeln!(
            file,
            "# Ключ Перезвона: без него не прочитать ни записей, ни резервных копий.\n# Храните его копию отдельно от сервера и \
             никому не показывайте.\n# public key: {}\n{}",
            key.recipient,
            secret.expose_secret()
        );
        written.and_then(|()| file.sync_all()).and_then(|()| sync_folders(&std::path::absolute(path)?, 1))?;
        Ok(Self { path: path.into(), in_memory: Arc::new(Mutex::new(Some(key))) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file again, whatever is in memory: is it still there, and still the same?
    pub fn look(&self) -> Result<(), KeyError> {
        let now = Key::read(&self.path)?;
        match self.in_memory().as_ref() {
            Some(key) if key.recipient != now.recipient => Err(KeyError::OtherKey(self.path.to_path_buf())),
            _ => Ok(()),
        }
    }

    /// Reads the file unless it has been read.
    pub fn key(&self) -> Result<Key, KeyError> {
        let mut in_memory = self.in_memory();
        if in_memory.is_none() {
            *in_memory = Some(Key::read(&self.path)?);
        }
        Ok(in_memory.clone().expect("it was read"))
    }

    /// The key with this public part. One that does not fit gives way to what lies in the file now, if that fits.
    fn key_of(&self, recipient: &str) -> Result<Key, KeyError> {
        let key = self.key()?;
        if key.recipient == recipient {
            return Ok(key);
        }
        match Key::read(&self.path)? {
            key if key.recipient == recipient => Ok(self.in_memory().insert(key).clone()),
            _ => Err(KeyError::OtherKey(self.path.to_path_buf())),
        }
    }

    fn in_memory(&self) -> MutexGuard<'_, Option<Key>> {
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key that recordings in this folder are to be encrypted to; `None`: they are kept plain. A folder with the mark of a key
/// takes nothing under another one, and nothing plain. Blocks shortly.
pub fn key_for(folder: &Path, file: Option<&KeyFile>) -> Result<Option<Key>, KeyError> {
    let mark_path = folder.join(RECIPIENT_MARK);
    let mark = match fs::read_to_string(&mark_path) {
        Ok(mark) => Some(mark),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        // Not knowing is no reason to go on under whatever key there is.
        Err(error) => return Err(KeyError::Unreadable { path: mark_path, reason: error.to_string() }),
    };
    match (file, mark.as_deref().map(str::trim)) {
        (Some(file), Some(mark)) => file.key_of(mark).map(Some),
        (Some(file), None) => file.key().map(Some),
        (None, Some(_)) => Err(KeyError::NotConfigured),
        (None, None) => Ok(None),
    }
}

/// Writes down for which key this folder is, unless that is known. `partial`: a folder below it for what is half written.
pub fn mark_folder(folder: &Path, partial: &Path, key: &Key) -> io::Result<()> {
    let mark = folder.join(RECIPIENT_MARK);
    if mark.exists() {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(partial)?;
    writeln!(file, "{}", key.recipient)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(&mark) {
        Ok(_) => sync_folders(&mark, 1),
        // Another instance was faster.
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(failed.error),
    }
}

/// Writes through to `W`, encrypted where there is a key.
pub enum Writer<W: Write> {
    Plain(W),
    Encrypted(StreamWriter<W>),
}

impl<W: Write> Writer<W> {
    pub fn new(inner: W, key: Option<&Key>) -> io::Result<Self> {
        let Some(key) = key else { return Ok(Self::Plain(inner)) };
        let recipient = key.identity.to_public();
        let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as _)).map_err(io::Error::other)?;
        Ok(Self::Encrypted(encryptor.wrap_output(inner)?))
    }

    /// Writes what is left. Without this the end of an encrypted file is missing, and that is noticed when it is read.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Encrypted(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(bytes),
            Self::Encrypted(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            Self::Encrypted(writer) => writer.flush(),
        }
    }
}

/// The plain bytes of a file, whichever kind it is.
pub enum Reader {
    Plain(BufReader<fs::File>),
    Encrypted(Box<StreamReader<BufReader<fs::File>>>),
}

impl Reader {
    /// The error holds a [`KeyError`] where the file is encrypted and cannot be read for want of its key.
    pub fn open(path: &Path, key: Option<&KeyFile>) -> io::Result<Self> {
        Self::of(fs::File::open(path)?, key)
    }

    pub fn of(file: fs::File, key: Option<&KeyFile>) -> io::Result<Self> {
        let mut file = BufReader::new(file);
        if !begins_encrypted(&mut file)? {
            return Ok(Self::Plain(file));
        }
        let key_file = key.ok_or(KeyError::NotConfigured)?;
        let key = key_file.key()?;
        let opened = Decryptor::new_buffered(file)
            .and_then(|decryptor| decryptor.decrypt(std::iter::once(&key.identity as &dyn age::Identity)));
        match opened {
            Ok(reader) => Ok(Self::Encrypted(Box::new(reader))),
            Err(DecryptError::NoMatchingKeys) => Err(KeyError::OtherKey(key_file.path().to_owned()).into()),
            Err(DecryptError::Io(error)) => Err(as_damage(error)),
            Err(_) => Err(io::Error::other(Damaged)),
        }
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// The length of the plain bytes. Of an encrypted file the end is read, which shows whether it was cut.
    pub fn size_bytes(&mut self) -> io::Result<u64> {
        match self {
            Self::Plain(file) => Ok(file.get_ref().metadata()?.len()),
            Self::Encrypted(reader) => {
                let size_bytes = reader.seek(SeekFrom::End(0)).map_err(as_damage)?;
                reader.seek(SeekFrom::Start(0)).map_err(as_damage)?;
                Ok(size_bytes)
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(into),
            Self::Encrypted(reader) => reader.read(into).map_err(as_damage),
        }
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.seek(to),
            Self::Encrypted(reader) => reader.seek(to).map_err(as_damage),
        }
    }
}

/// An encrypted file does not fit together: inside an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the encrypted file is cut or changed")]
pub struct Damaged;

impl Damaged {
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

fn as_damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => io::Error::other(Damaged),
        _ => error,
    }
}

/// Whether this file is encrypted, to whatever key.
pub fn is_encrypted(path: &Path) -> io::Result<bool> {
    begins_encrypted(&mut BufReader::with_capacity(FIRST_LINE.len(), fs::File::open(path)?))
}

/// Looks at the first line and takes nothing.
pub fn begins_encrypted(file: &mut impl BufRead) -> io::Result<bool> {
    Ok(file.fill_buf()?.starts_with(FIRST_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path, bytes: &[u8], key: Option<&Key>) {
        let mut writer = Writer::new(fs::File::create(path).unwrap(), key).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap();
    }

    fn key_in(folder: &Path, name: &str) -> KeyFile {
        KeyFile::create(&folder.join(name)).unwrap()
    }

    /// A player jumps; the format has chunks of 64 KiB, and both sides of their borders are easily taken for one another.
    #[test]
    fn every_part_of_an_encrypted_file_is_that_of_the_plain_one() {
        const CHUNK: usize = 64 * 1024;
        let place = tempfile::tempdir().unwrap();
        let (key, file) = (key_in(place.path(), "key"), place.path().join("sound"));
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
            let plain: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
            written(&file, &plain, Some(&key.key().unwrap()));
            let mut reader = Reader::open(&file, Some(&key)).unwrap();
            assert!(reader.is_encrypted());
            assert_eq!(reader.size_bytes().unwrap(), length as u64);
            let mut whole = Vec::new();
            reader.read_to_end(&mut whole).unwrap();
            assert_eq!(whole, plain, "{length}");
            for start in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, length].into_iter() {
                if start > length {
                    continue;
                }
                reader.seek(SeekFrom::Start(start as u64)).unwrap();
                let mut part = Vec::new();
                (&mut reader).take(10).read_to_end(&mut part).unwrap();
                assert_eq!(part, plain[start..length.min(start + 10)], "{length} from {start}");
            }
        }
    }

    /// Threat: a file that was cut, or changed, plays as if it were whole.
    #[test]
    fn encrypted_file_that_was_cut_or_changed_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let (key, file) = (key_in(place.path(), "key"), place.path().join("sound"));
        written(&file, &[7; 200_000], Some(&key.key().unwrap()));
        let whole = fs::read(&file).unwrap();
        let read = || {
            let mut bytes = Vec::new();
            Reader::open(&file, Some(&key)).and_then(|mut reader| reader.read_to_end(&mut bytes))
        };
        assert_eq!(read().unwrap(), 200_000);
        for length in [whole.len() - 1, whole.len() - 3_500, 70_000, 30] {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(read().is_err(), "cut to {length}");
        }
        let mut changed = whole.clone();
        changed[100_000] ^= 1;
        fs::write(&file, changed).unwrap();
        assert!(read().is_err());
    }

    #[test]
    fn each_reason_why_a_key_does_not_help_is_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let (key, other) = (key_in(place.path(), "key"), key_in(place.path(), "other"));
        let file = place.path().join("sound");
        written(&file, b"voice", Some(&key.key().unwrap()));
        let why = |key: Option<&KeyFile>| match Reader::open(&file, key) {
            Ok(_) => None,
            Err(error) => KeyError::of(&error).cloned(),
        };
        assert_eq!(why(Some(&key)), None);
        assert_eq!(why(None), Some(KeyError::NotConfigured));
        assert_eq!(why(Some(&other)), Some(KeyError::OtherKey(other.path().to_owned())));
        let gone = KeyFile::new(&place.path().join("gone"));
        assert_eq!(why(Some(&gone)), Some(KeyError::Missing(gone.path().to_owned())));
        for text in ["", "# only a comment", "AGE-SECRET-KEY-1ABC", "two\nlines"] {
            fs::write(place.path().join("no key"), text).unwrap();
            let no_key = KeyFile::new(&place.path().join("no key"));
            assert_eq!(why(Some(&no_key)), Some(KeyError::NoKey(no_key.path().to_owned())), "{text}");
        }
    }

    #[test]
    fn key_file_that_comes_back_is_read() {
        let place = tempfile::tempdir().unwrap();
        key_in(place.path(), "safe");
        let file = KeyFile::new(&place.path().join("key"));
        assert!(file.key().is_err());
        fs::copy(place.path().join("safe"), file.path()).unwrap();
        assert!(file.key().is_ok() && file.look().is_ok());
        fs::copy(key_in(place.path(), "other").path(), file.path()).unwrap();
        assert_eq!(file.look(), Err(KeyError::OtherKey(file.path().to_owned())));
        fs::remove_file(file.path()).unwrap();
        assert_eq!(file.look(), Err(KeyError::Missing(file.path().to_owned())));
        assert!(file.key().is_ok(), "it is in memory");
    }

    /// Threat: the key lies open to others, or its file is overwritten and everything encrypted is lost.
    #[test]
    fn new_key_is_private_and_overwrites_nothing() {
        use std::os::unix::fs::MetadataExt;
        let place = tempfile::tempdir().unwrap();
        let made = key_in(place.path(), "key");
        assert_eq!(fs::metadata(made.path()).unwrap().mode() & 0o777, 0o600);
        let before = fs::read(made.path()).unwrap();
        assert_eq!(KeyFile::create(made.path()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(made.path()).unwrap(), before);
        assert_eq!(KeyFile::new(made.path()).key().unwrap().recipient(), made.key().unwrap().recipient());
        let shown = format!("{made:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
    }

    /// Threat: under a wrong key file, or without the line in the configuration, new messages are kept where nobody can read
    /// them, or plain.
    #[test]
    fn marked_folder_takes_its_own_key_alone() {
        let place = tempfile::tempdir().unwrap();
        let (key, other) = (key_in(place.path(), "key"), key_in(place.path(), "other"));
        let folder = place.path().join("recordings");
        fs::create_dir(&folder).unwrap();
        assert!(key_for(&folder, None).unwrap().is_none());
        assert!(key_for(&folder, Some(&other)).unwrap().is_some());
        mark_folder(&folder, &folder, &key.key().unwrap()).unwrap();
        mark_folder(&folder, &folder, &other.key().unwrap()).unwrap();
        assert!(key_for(&folder, Some(&key)).unwrap().is_some());
        assert_eq!(key_for(&folder, Some(&other)).unwrap_err(), KeyError::OtherKey(other.path().to_owned()));
        assert_eq!(key_for(&folder, None).unwrap_err(), KeyError::NotConfigured);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
    }

    /// Threat: a wrong file that was seen once is believed until the next start, though the right one is back.
    #[test]
    fn wrong_key_gives_way_to_the_right_one() {
        let place = tempfile::tempdir().unwrap();
        let (right, wrong) = (key_in(place.path(), "right"), key_in(place.path(), "wrong"));
        mark_folder(place.path(), place.path(), &right.key().unwrap()).unwrap();
        let configured = KeyFile::new(&place.path().join("key"));
        fs::copy(wrong.path(), configured.path()).unwrap();
        assert!(key_for(place.path(), Some(&configured)).is_err());
        fs::copy(right.path(), configured.path()).unwrap();
        let key = key_for(place.path(), Some(&configured)).unwrap().unwrap();
        assert_eq!(key.recipient(), right.key().unwrap().recipient());
        assert!(configured.look().is_ok());
        fs::remove_file(configured.path()).unwrap();
        assert!(key_for(place.path(), Some(&configured)).unwrap().is_some(), "it is in memory");
    }
}
