//! The sound of the messages: kept in a folder, checked, measured, read back.
//!
//! Knows nothing of HTTP, providers or SQL.

mod folder;
mod incoming;
mod name;
pub mod tone;

pub use folder::{Folder, KeepError, ReadError};
pub use incoming::{Incoming, Kept};
pub use name::{BadChecksum, BadRecordingName, Checksum, RecordingName};
