//! Configuration, commands, and the wiring of the house.

pub mod webhook_verify;
