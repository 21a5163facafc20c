//! The recorded words of a telephone exchange: Debian's package asterisk-core-sounds-ru-wav (recordings by Maxim Topal,
//! www.ivrvoice.ru, CC-BY 3.0), read where they lie.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Checksum;
use super::telephone::PhoneSound;
use crate::core::announcement::Word;

/// Where packages put the Russian sounds, in the order they are looked for: the link that Asterisk's language setting
/// uses, Debian's asterisk-core-sounds-ru-wav, other voices of Debian, Asterisk built from its sources.
pub const SOUND_FOLDERS: [&str; 4] = [
    "/usr/share/asterisk/sounds/ru",
    "/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU",
    "/usr/share/asterisk/sounds/ru_RU",
    "/var/lib/asterisk/sounds/ru",
];

/// The Debian package of these sounds.
pub const SOUND_PACKAGE: &str = "asterisk-core-sounds-ru-wav";

/// No sentence of such a package is longer.
const LONGEST_MS: i64 = 30_000;
/// As many bytes as that may have, with some room for what else a file carries.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// The package has «обратный звонок» only inside of «…, поэтому обратный звонок не будет выполнен». In the file of this SHA-256
/// (version 1.6.1) both ends of the two words lie in pauses without a sound: of 25 ms before and of 19 ms after.
const CALLBACK_FILE: &str = "40697288a433ebd645fa8d7cc39a829f41b64fdc8c67b1babcbd45817af52398";
/// Its samples that say the two words.
const CALLBACK_SAMPLES: Range<usize> = 23_400..30_900;

/// The folders that may hold a sound package. A clone shares the list.
#[derive(Clone, Debug)]
pub struct Sounds(Arc<[PathBuf]>);

/// The folder of a sound package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFolder(PathBuf);

/// Why a word cannot be said.
#[derive(Debug, Error)]
pub enum NoWord {
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("there is no sound package in {0}")]
    NoPackage(Sounds),
}

/// What a look at all words found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// Names of files below the folder that are not there or no telephone sound.
    pub lacking: Vec<String>,
    /// Whether «обратный звонок» can be said.
    pub says_callback: bool,
}

impl Sounds {
    /// Wherever a package has put them: [`SOUND_FOLDERS`].
    pub fn installed() -> Self {
        Self::within(SOUND_FOLDERS)
    }

    /// In one of these folders, the first of equals.
    pub fn within(folders: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self(folders.into_iter().map(Into::into).collect())
    }

    /// The folder that has most of the words; `None` where none has any. Looked for anew each time, so a package that is
    /// installed while the service runs is found. Blocks shortly.
    pub fn find(&self) -> Option<SoundFolder> {
        let mut best = None;
        for folder in self.0.iter().cloned().map(SoundFolder) {
            let count = Word::all().filter(|word| folder.file(*word).is_file()).count();
            if count > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((count, folder));
            }
        }
        best.map(|(_, folder)| folder)
    }
}

impl fmt::Display for Sounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, folder) in self.0.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { "" } else { ", " }, folder.display())?;
        }
        Ok(())
    }
}

impl SoundFolder {
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The sound of a word; `None` for [`Word::Callback`] where the package does not say it in a way that we know. Blocks
    /// shortly.
    pub fn say(&self, word: Word) -> Result<Option<PhoneSound>, NoWord> {
        let file = self.file(word);
        let failed = |why: String| NoWord::Unreadable { file: file.clone(), why };
        let bytes = match (read(&file), word) {
            // The date is understood without these two words.
            (Err(_), Word::Callback) => return Ok(None),
            (bytes, _) => bytes.map_err(|error| failed(error.to_string()))?,
        };
        if word == Word::Callback && Checksum(Sha256::digest(&bytes).into()).to_string() != CALLBACK_FILE {
            return Ok(None);
        }
        let sound = PhoneSound::read(&bytes, LONGEST_MS).map_err(|unplayable| failed(unplayable.to_string()))?;
        Ok(match word {
            Word::Callback => sound.0.get(CALLBACK_SAMPLES).map(|samples| PhoneSound(samples.to_vec())),
            _ => Some(sound),
        })
    }

    /// Tries every word. Blocks for as long as it takes to read a megabyte.
    pub fn vocabulary(&self) -> Vocabulary {
        let mut found = Vocabulary { lacking: Vec::new(), says_callback: false };
        for word in Word::all() {
            match self.say(word) {
                Ok(sound) if word == Word::Callback => found.says_callback = sound.is_some(),
                Ok(_) => {}
                Err(_) => found.lacking.push(format!("{}.wav", word.file())),
            }
        }
        found
    }

    fn file(&self, word: Word) -> PathBuf {
        self.0.join(format!("{}.wav", word.file()))
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
impl SoundFolder {
    /// The package on this machine.
    pub(crate) fn installed() -> Self {
        Sounds::installed().find().expect("this test needs human speech: apt-get install asterisk-core-sounds-ru-wav")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> SoundFolder {
        SoundFolder::installed()
    }

    /// Folders of these names, in which there is nothing.
    fn folders<const N: usize>(names: [&str; N]) -> (tempfile::TempDir, [PathBuf; N]) {
        let root = tempfile::tempdir().unwrap();
        let folders = names.map(|name| root.path().join(name));
        (root, folders)
    }

    fn put(folder: &Path, word: Word) {
        let file = SoundFolder(folder.to_owned()).file(word);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::copy(package().file(word), file).unwrap();
    }

    /// Debian's package makes only the folder of its voice, and no link of the language's name.
    #[test]
    fn sounds_are_found_where_only_the_package_has_put_them() {
        let (_root, [link, package]) = folders(["ru", "ru_RU_f_IvrvoiceRU"]);
        let sounds = Sounds::within([link, package.clone()]);
        assert_eq!(sounds.find(), None);
        put(&package, Word::Hello);
        assert_eq!(sounds.find().unwrap().path(), package);
    }

    #[test]
    fn the_fullest_folder_is_taken_and_the_first_of_equals() {
        let (_root, [first, second, third]) = folders(["first", "second", "third"]);
        let sounds = Sounds::within([first.clone(), second.clone(), third.clone()]);
        for folder in [&second, &third] {
            put(folder, Word::Hello);
        }
        assert_eq!(sounds.find().unwrap().path(), second);
        put(&third, Word::Today);
        assert_eq!(sounds.find().unwrap().path(), third);
        // A package for another codec, with no file that we can play.
        std::fs::create_dir_all(&first).unwrap();
        std::fs::write(first.join("hello.gsm"), "").unwrap();
        assert_eq!(sounds.find().unwrap().path(), third);
    }

    /// Loudest sample of a hundredth of a second at this place.
    fn loudest(samples: &[i16], at: usize) -> u16 {
        samples[at..at + 80].iter().map(|sample| sample.unsigned_abs()).max().unwrap()
    }

    #[test]
    fn every_word_is_in_the_package() {
        let found = package().vocabulary();
        assert_eq!(found, Vocabulary { lacking: Vec::new(), says_callback: true });
        for word in Word::all() {
            let length_ms = package().say(word).unwrap().unwrap().length_ms();
            assert!((250..6_000).contains(&length_ms), "{word:?}: {length_ms} ms");
        }
    }

    #[test]
    fn the_callback_is_cut_where_nothing_is_to_be_heard() {
        let callback = package().say(Word::Callback).unwrap().unwrap();
        assert_eq!(callback.length_ms(), 938);
        let (first, last) = (callback.0.first_chunk::<40>().unwrap(), callback.0.last_chunk::<20>().unwrap());
        assert!(first.iter().chain(last).all(|sample| sample.abs() < 8), "no click at its ends: {first:?} {last:?}");
        let heard: Vec<u16> = (0..93).map(|block| loudest(&callback.0, block * 80)).collect();
        assert!(heard[1..90].iter().filter(|level| **level > 1_000).count() > 60, "two words: {heard:?}");
    }

    #[test]
    fn another_version_of_the_sentence_is_never_cut() {
        let folder = tempfile::tempdir().unwrap();
        let sounds = SoundFolder(folder.path().to_owned());
        assert_eq!(sounds.say(Word::Callback).unwrap(), None, "not there");
        let mut other = std::fs::read(package().file(Word::Callback)).unwrap();
        *other.last_mut().unwrap() ^= 1;
        std::fs::write(sounds.file(Word::Callback), other).unwrap();
        assert_eq!(sounds.say(Word::Callback).unwrap(), None, "not the same");
        std::fs::remove_file(sounds.file(Word::Callback)).unwrap();
        std::fs::create_dir(sounds.file(Word::Callback)).unwrap();
        assert_eq!(sounds.say(Word::Callback).unwrap(), None, "not a file");
    }

    #[test]
    fn what_is_no_telephone_sound_is_lacking() {
        let folder = tempfile::tempdir().unwrap();
        let sounds = SoundFolder(folder.path().to_owned());
        let everything = Word::all().count() - 1;
        assert_eq!(sounds.vocabulary().lacking.len(), everything, "an empty folder");
        std::fs::write(sounds.file(Word::Hello), "Здравствуйте!").unwrap();
        std::fs::create_dir(sounds.file(Word::LeaveMessage)).unwrap();
        assert_eq!(sounds.vocabulary().lacking.len(), everything);
        std::fs::write(sounds.file(Word::NobodyAvailable), PhoneSound(vec![100; 8_000]).wav()).unwrap();
        let found = sounds.vocabulary();
        assert_eq!((found.lacking.len(), found.says_callback), (everything - 1, false));
        assert!(!found.lacking.contains(&"vm-nobodyavail.wav".to_owned()), "{found:?}");
        let error = sounds.say(Word::Weekday(crate::time::Weekday::Sunday)).unwrap_err().to_string();
        assert!(error.contains("digits/day-0.wav"), "{error}");
    }
}
