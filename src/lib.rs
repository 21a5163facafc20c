//! Perezvon («Перезвон») keeps one promise: no caller is forgotten, and nobody is called twice.
//!
//! The rooms of the house, and the only way the arrows between them may point:
//!
//! ```text
//! main -> app -> { web, jobs } -> { store, recordings, providers } -> core -> time
//! ```
//!
//! * [`time`]: instants, the zone library and the one clock.
//! * [`core`]: the rules of the school, pure: no IO, no async, no clock.
//! * [`providers`]: pure codecs between a telephony provider's wire and the words of [`core`].
//! * [`store`]: all SQL, one writer that shares its commits.
//! * [`recordings`]: the sound of the messages, on disk and measured.
//! * [`jobs`]: what must happen later and may not be forgotten.
//! * [`web`]: webhooks, JSON API, the officer's pages, health.
//! * [`app`]: configuration, commands, and the wiring of all the above.

pub mod app;
pub mod core;
pub mod jobs;
pub mod providers;
pub mod recordings;
pub mod store;
pub mod time;
pub mod web;
