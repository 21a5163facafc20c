//! Greetings that the school recorded itself: which texts there are, and which of them a line plays instead of having them
//! spoken.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::line::LineId;

/// Longer than this no greeting should be: callers hang up (UX §2).
pub const PATIENCE_MS: i64 = 25_000;

/// The texts of a line that may be recorded (UX §2), each one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GreetingKind {
    /// A: outside working time.
    Closed,
    /// A-п: on a holiday.
    Holiday,
    /// B: in working time, nobody answered.
    Busy,
    /// B with less than half an hour of the day left: nobody promises «сегодня» any more.
    BusyLate,
    /// C: the message is recorded.
    Thanks,
    /// D: no message can be recorded. Only an exchange that records on our own disk ever says it.
    Fault,
}

impl GreetingKind {
    pub const ALL: [Self; 6] = [Self::Closed, Self::Holiday, Self::Busy, Self::BusyLate, Self::Thanks, Self::Fault];

    /// The word in rows and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Holiday => "holiday",
            Self::Busy => "busy",
            Self::BusyLate => "busy-late",
            Self::Thanks => "thanks",
            Self::Fault => "fault",
        }
    }

    /// What officers call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Closed => "После рабочего времени",
            Self::Holiday => "Праздник, каникулы",
            Self::Busy => "В рабочее время, не ответили",
            Self::BusyLate => "Не ответили, до конца дня меньше 30 минут",
            Self::Thanks => "После записи",
            Self::Fault => "Ошибка на нашей стороне",
        }
    }
}

impl FromStr for GreetingKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// A recording that is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Random, so that nobody guesses the address: 32 hexadecimal digits.
    pub name: Arc<str>,
    pub length_ms: i64,
}

impl Recorded {
    /// Where a provider finds the sound, below the public address of the house.
    pub fn address(&self) -> String {
        format!("/greetings/{}.wav", self.name)
    }

    /// The name in an address that [`Recorded::address`] made.
    pub fn name_in(address: &str) -> Option<&str> {
        address.strip_prefix("/greetings/")?.strip_suffix(".wav")
    }
}

/// The recordings of one line that are switched on.
pub type OfLine = BTreeMap<GreetingKind, Recorded>;

/// All recordings that are switched on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Greetings(BTreeMap<LineId, OfLine>);

impl Greetings {
    pub fn of(&self, line: &LineId) -> OfLine {
        self.0.get(line).cloned().unwrap_or_default()
    }

    pub fn switch_on(&mut self, line: LineId, kind: GreetingKind, recorded: Recorded) {
        self.0.entry(line).or_default().insert(kind, recorded);
    }
}
