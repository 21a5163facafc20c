//! Instants, civil dates and zones (from jiff, zone data inside the binary), and the one clock of the process.
//!
//! Everything below `web` and `jobs` receives `now` as a value; one request or job asks the clock once, at its top.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use jiff::civil::{Date, DateTime, Time, Weekday};
pub use jiff::tz::TimeZone;
pub use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// Where `now` comes from. Instants are cut to whole milliseconds, the precision of the database.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A rehearsal: the machine's clock moved by this many milliseconds.
    Rehearsal { offset_ms: i64 },
    /// Stands still until somebody moves it or lets it run on. For tests and the simulated evening of the demo.
    Standing(Arc<Standing>),
}

/// The hands of a standing clock, Unix milliseconds.
#[derive(Debug)]
pub struct Standing {
    shows: AtomicI64,
    /// What the machine's clock showed when this one was let go; 0 while it stands.
    runs_since: AtomicI64,
}

impl Clock {
    /// A clock that shows `at` now and runs on with the machine's.
    pub fn starting_at(at: Timestamp) -> Self {
        Self::Rehearsal { offset_ms: at.as_millisecond() - Self::System.now().as_millisecond() }
    }

    /// A clock that shows `at` until it is moved.
    pub fn standing_at(at: Timestamp) -> Self {
        Self::Standing(Arc::new(Standing { shows: AtomicI64::new(at.as_millisecond()), runs_since: AtomicI64::new(0) }))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        let system_ms = || Timestamp::now().as_millisecond();
        from_millisecond(match self {
            Self::System => system_ms(),
            Self::Rehearsal { offset_ms } => system_ms() + offset_ms,
            Self::Standing(hands) => {
                let run_ms = match hands.runs_since.load(Ordering::SeqCst) {
                    0 => 0,
                    since => system_ms() - since,
                };
                hands.shows.load(Ordering::SeqCst) + run_ms
            }
        })
    }

    /// The time of the world outside, which people's telephones show too, whatever a rehearsal pretends. A clock that
    /// stands has no other time than its own.
    pub fn outside(&self) -> Timestamp {
        match self {
            Self::Standing(hands) if hands.runs_since.load(Ordering::SeqCst) == 0 => self.now(),
            _ => Self::System.now(),
        }
    }

    /// Whether this clock jumps when the machine's does, and only then.
    pub fn follows_the_machine(&self) -> bool {
        !matches!(self, Self::Standing(_))
    }

    /// Moves a standing clock. The other clocks run by themselves and are left alone.
    pub fn set(&self, at: Timestamp) {
        if let Self::Standing(hands) = self {
            hands.shows.store(at.as_millisecond(), Ordering::SeqCst);
        }
    }

    /// Moves a standing clock on (or back) by this much.
    pub fn advance(&self, by: SignedDuration) {
        let now = self.now();
        self.set(now.checked_add(by).unwrap_or(now));
    }

    /// Lets a standing clock run on from what it shows.
    pub fn run_on(&self) {
        if let Self::Standing(hands) = self {
            hands.runs_since.store(Self::System.now().as_millisecond(), Ordering::SeqCst);
        }
    }
}

/// A sign of life that one task gives and others look at. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<Mutex<Life>>);

#[derive(Clone, Copy, Debug, Default)]
enum Life {
    #[default]
    NotBegun,
    BeatAt(Instant),
    Over,
}

impl Heartbeat {
    pub fn beat(&self) {
        *self.lock() = Life::BeatAt(Instant::now());
    }

    /// No beat will follow.
    pub fn stop(&self) {
        *self.lock() = Life::Over;
    }

    /// How long ago the last beat was. `None`: not begun, or over.
    pub fn age(&self) -> Option<Duration> {
        match *self.lock() {
            Life::BeatAt(last) => Some(last.elapsed()),
            Life::NotBegun | Life::Over => None,
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(*self.lock(), Life::Over)
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 1 January 2025, before this program was made: a clock that shows less was never set.
pub const EARLIEST_PLAUSIBLE: Timestamp = Timestamp::constant(1_735_689_600, 0);

/// The instant of `ms` Unix milliseconds. Values outside the library's years (-9999 to 9999) are held at its ends,
/// so that a nonsense number in a row or request never panics.
pub fn from_millisecond(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// From `start` to `end` in milliseconds, never negative: a clock that was set back makes no negative durations.
pub fn elapsed_ms(start: Timestamp, end: Timestamp) -> i64 {
    (end.as_millisecond() - start.as_millisecond()).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephones_do_not_take_part_in_a_rehearsal() {
        let at: Timestamp = "2001-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        let standing = Clock::standing_at(at);
        assert_eq!(standing.outside(), at, "a clock that stands is all there is");
        standing.run_on();
        assert!(standing.now() < later && standing.outside() > later);
        let rehearsal = Clock::starting_at(at);
        assert!(rehearsal.now() < later && rehearsal.outside() > later);
    }
}
