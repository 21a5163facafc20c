//! Greetings that the school recorded itself.

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Greetings {}
