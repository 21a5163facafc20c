//! Instants, civil dates and zones (from jiff, zone data inside the binary), and the one clock of the process.
//!
//! Everything below `web` and `jobs` receives `now` as a value; one request or job asks the clock once, at its top.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use jiff::civil::{Date, Time, Weekday};
pub use jiff::tz::TimeZone;
pub use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// Where `now` comes from. Instants are cut to whole milliseconds, the precision of the database.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A rehearsal: the machine's clock moved by this many milliseconds.
    Rehearsal { offset_ms: i64 },
    /// Stands still until somebody moves it (Unix milliseconds). For tests and the simulated night of the demo.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows `at` now and runs on with the machine's.
    pub fn starting_at(at: Timestamp) -> Self {
        Self::Rehearsal { offset_ms: at.as_millisecond() - Self::System.now().as_millisecond() }
    }

    /// A clock that shows `at` until it is moved.
    pub fn standing_at(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.as_millisecond())))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        let system_ms = || Timestamp::now().as_millisecond();
        from_millisecond(match self {
            Self::System => system_ms(),
            Self::Rehearsal { offset_ms } => system_ms() + offset_ms,
            Self::Manual(at_ms) => at_ms.load(Ordering::SeqCst),
        })
    }

    /// Moves a standing clock. The other clocks run by themselves and are left alone.
    pub fn set(&self, at: Timestamp) {
        if let Self::Manual(at_ms) = self {
            at_ms.store(at.as_millisecond(), Ordering::SeqCst);
        }
    }
}

/// The instant of `ms` Unix milliseconds. Values outside the library's years (-9999 to 9999) are held at its ends,
/// so that a nonsense number in a row or request never panics.
pub fn from_millisecond(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// From `start` to `end` in milliseconds, never negative: a clock that was set back makes no negative durations.
pub fn elapsed_ms(start: Timestamp, end: Timestamp) -> i64 {
    (end.as_millisecond() - start.as_millisecond()).max(0)
}
