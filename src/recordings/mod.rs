//! The sound of the messages: kept in a folder, measured, read back.

pub mod tone;
