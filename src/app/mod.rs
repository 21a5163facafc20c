//! Configuration, commands, and the wiring of the house.

pub mod config;
pub mod hours;
