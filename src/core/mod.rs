//! The rules of the school, pure: no IO, no async, no clock. Whoever needs the time passes it in.

pub mod announcement;
pub mod calendar;
pub mod call;
pub mod callback;
pub mod changes;
pub mod dialing;
pub mod greetings;
pub mod line;
pub mod line_scope;
pub mod officer;
pub mod password;
pub mod phone;
pub mod placed_call;
pub mod redaction;
pub mod report;
pub mod retention;
pub mod school;
pub mod script;
pub mod search;
pub mod spoken_number;
pub mod timetable;
pub mod transcript;
pub(crate) mod wording;
pub(crate) mod written_text;
