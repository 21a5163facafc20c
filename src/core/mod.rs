//! The rules of the school, pure: no IO, no async, no clock. Whoever needs the time passes it in.

pub mod calendar;
