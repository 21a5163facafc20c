//! A telephone provider made of arithmetic, for `perezvon demo` and the story tests.
//!
//! It knows nothing of the house: it calls in over loopback HTTP with signed webhooks, follows the replies as TwiML,
//! keeps the recordings behind its own HTTP side, and tells afterwards what every caller heard. A call takes no time:
//! the provider counts its seconds itself, and moves a standing clock along if it is asked to.

mod account;
mod dialogue;
mod exchange;
mod message;
mod plan;
mod requests;
mod rest;
mod run;
mod scenario;
mod sounds;
#[cfg(test)]
mod tests;
mod twiml;
mod verbs;
pub mod wire;

pub use account::tell;
pub use exchange::{Exchange, ExchangeSettings, HeldCall};
pub use plan::{AtPrompt, AtSignal, CallPlan, CallReport, Delivery, Ended, Ending, Officer, Purpose, Recorded, Sent};
pub use rest::{Counters, RestFaults};
pub use run::run;
pub use scenario::{Numbers, friday_evening};
pub use sounds::{Sound, Voices};
