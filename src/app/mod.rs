//! Configuration, commands, and the wiring of the house.

pub mod backup;
pub mod check;
pub mod cli;
pub mod config;
pub mod demo;
pub mod encryption;
pub mod hours;
pub mod house;
pub mod listener;
pub mod log_writer;
pub mod pbx;
pub mod people;
pub mod privacy;
pub mod provider;
pub mod reconcile;
pub mod replay;
pub mod serve;
pub mod telemetry;
pub mod verify;
pub mod webhook_verify;
