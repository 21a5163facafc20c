//! Configuration, commands, and the wiring of the house.

pub mod demo;
pub mod hours;
pub mod webhook_verify;
