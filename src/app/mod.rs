//! Configuration, commands, and the wiring of the house.

pub mod check;
pub mod cli;
pub mod config;
pub mod hours;
