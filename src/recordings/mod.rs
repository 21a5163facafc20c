//! The sound of the messages: kept in a folder, checked, measured, read back.
//!
//! Knows nothing of HTTP, providers or SQL. Two halves that never meet here: [`Folder`] keeps bytes and survives power
//! loss, [`analyse()`] listens to bytes and touches no disk.

mod analyse;
mod container;
mod decode;
mod disk;
mod encrypt;
mod encryption;
mod folder;
mod incoming;
mod inventory;
mod joined;
mod line_tone;
mod meter;
mod mpeg;
mod name;
pub mod prompt;
mod sounds;
mod speech;
mod telephone;
pub mod tone;
mod wav;

pub use analyse::{Analysis, Damage, LONGEST_MS, Sound, analyse, measure};
pub use container::{Container, MAX_ZEROS, UNKNOWN_EXTENSION, Unplayable, extensions, sniff};
pub use disk::DiskSpace;
pub use encrypt::{EncryptError, Encrypted};
pub use encryption::{
    Damaged, Key, KeyError, KeyFile, RECIPIENT_MARK, Reader, Writer, begins_encrypted, is_encrypted, key_for,
    mark_folder,
};
pub use folder::{Folder, KeepError, ReadError, Recording};
pub use incoming::{Incoming, Kept};
pub use inventory::files_below;
pub use joined::{Joined, Joiner, NotJoined};
pub use meter::PEAK_COUNT;
pub use name::{BadChecksum, BadRecordingName, Checksum, RecordingName};
pub use sounds::{NoWord, SOUND_FOLDERS, SOUND_PACKAGE, SoundFolder, Sounds, Vocabulary};
pub use speech::LEAST_SPEECH_MS;
pub use telephone::PhoneSound;
pub use wav::{Mended, with_true_lengths};
