//! What a month looks like: was the promise kept, when do people call, how long did they wait, how did it end.
//!
//! The promise is kept for a callback when its first attempt, or its closing, came by its due time, the end of the
//! working period told to the caller (R7). A callback whose due time has not come and that nobody tried is undecided.

mod month;

pub use self::month::{Month, NotAMonth};
use super::calendar::Calendar;
use super::callback::Reason;
use super::line::LineId;
use super::officer::Actor;
use super::timetable::usual_hours;
use super::wording::WEEK;
use crate::time::{TimeZone, Timestamp};

/// One callback as a report sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub line: LineId,
    pub received_at: Timestamp,
    /// `None`: no working hours are configured.
    pub due_at: Option<Timestamp>,
    /// The first attempt, whatever came of it, or the closing without one.
    pub first: Option<First>,
    pub ending: Ending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    pub at: Timestamp,
    pub by: Actor,
}

/// How a callback stands today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Done,
    NotReached,
    /// With any other reason.
    Declined(Reason),
    /// Sent to portal support.
    Exceptional,
    /// Still waits, held or put off included.
    Open,
}

impl Ending {
    /// In the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::NotReached,
        Self::Declined(Reason::NotEnoughData),
        Self::Declined(Reason::NotConstructive),
        Self::Declined(Reason::NotARequest),
        Self::Declined(Reason::AlreadyAnswered),
        Self::Exceptional,
        Self::Open,
    ];
}

/// Whether the promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    Kept,
    Broken,
    /// The due time has not come, and nobody tried yet.
    Undecided,
}

impl Entry {
    pub fn promise(&self, now: Timestamp) -> Promise {
        match (&self.first, self.due_at) {
            (Some(first), due_at) if due_at.is_none_or(|due_at| first.at <= due_at) => Promise::Kept,
            (None, due_at) if due_at.is_none_or(|due_at| now <= due_at) => Promise::Undecided,
            _ => Promise::Broken,
        }
    }

    /// Milliseconds of working time until the first attempt, or until now if there was none.
    pub fn waited_ms(&self, calendar: &Calendar, now: Timestamp) -> i64 {
        calendar.working_ms_between(self.received_at, self.first.as_ref().map_or(now, |first| first.at))
    }
}

/// How many promises were kept, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub kept: usize,
    pub broken: usize,
    pub undecided: usize,
}

impl Kept {
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>, now: Timestamp) -> Self {
        let mut counts = Self::default();
        for entry in entries {
            match entry.promise(now) {
                Promise::Kept => counts.kept += 1,
                Promise::Broken => counts.broken += 1,
                Promise::Undecided => counts.undecided += 1,
            }
        }
        counts
    }

    pub fn total(&self) -> usize {
        self.kept + self.broken + self.undecided
    }

    /// Of those that are decided. `None`: none is.
    pub fn percent(&self) -> Option<usize> {
        percent(self.kept, self.kept + self.broken)
    }
}

/// Rounded, but 100 only for all and 0 only for none. `None` of nothing.
pub fn percent(part: usize, of: usize) -> Option<usize> {
    let rounded = (part * 200 + of).checked_div(of * 2)?;
    Some(match part {
        0 => 0,
        part if part == of => 100,
        _ => rounded.clamp(1, 99),
    })
}

/// How long people waited. Each value is one that occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Half waited no longer.
    pub median_ms: i64,
    /// Nine of ten waited no longer.
    pub nine_of_ten_ms: i64,
    pub longest_ms: i64,
}

impl Waiting {
    /// `None` of nothing.
    pub fn of(mut waited_ms: Vec<i64>) -> Option<Self> {
        waited_ms.sort_unstable();
        // The nearest rank: the smallest value that so many tenths do not exceed.
        let rank = |tenths: usize| waited_ms.get((waited_ms.len() * tenths).div_ceil(10).checked_sub(1)?).copied();
        Some(Self { median_ms: rank(5)?, nine_of_ten_ms: rank(9)?, longest_ms: *waited_ms.last()? })
    }
}

/// The longest working time of an ordinary day, in milliseconds: nobody whose promise is kept waits longer. 0 without hours.
pub fn longest_day_ms(calendar: &Calendar) -> i64 {
    let day = |weekday| usual_hours(calendar, weekday).iter().map(|(from, until)| i64::from(until - from)).sum::<i64>();
    WEEK.into_iter().map(day).max().unwrap_or(0) * 60_000
}

/// How many calls began in each hour of the week: Monday first, then the hour by the clock on the wall.
pub type Heat = [[i64; 24]; 7];

/// Puts counts of calls onto the week of a zone. Each count is of calls that began within a quarter of an hour from its
/// instant on, the finest step by which zones differ.
pub fn heat(counts: &[(Timestamp, i64)], zone: &TimeZone) -> Heat {
    let mut heat = Heat::default();
    for (at, count) in counts {
        let local = at.to_zoned(zone.clone());
        heat[local.weekday().to_monday_zero_offset() as usize][local.hour() as usize] += count;
    }
    heat
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::calendar::Hours;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(received: &str, due: Option<&str>, first: Option<&str>) -> Entry {
        Entry {
            line: LineId::new("parents"),
            received_at: at(received),
            due_at: due.map(at),
            first: first.map(|first| First { at: at(first), by: Actor::system() }),
            ending: Ending::Open,
        }
    }

    const FRIDAY_EVENING: &str = "2026-11-20T19:40:00+03:00";
    const DUE: &str = "2026-11-23T18:00:00+03:00";

    #[test]
    fn a_promise_is_kept_up_to_its_due_time_and_broken_after_it() {
        for (first, now, promise) in [
            (Some("2026-11-23T09:05:00+03:00"), DUE, Promise::Kept),
            (Some("2026-11-23T18:00:00+03:00"), "2026-12-01T00:00:00Z", Promise::Kept),
            (Some("2026-11-23T18:00:00.001+03:00"), "2026-12-01T00:00:00Z", Promise::Broken),
            (None, DUE, Promise::Undecided),
            (None, "2026-11-23T18:00:00.001+03:00", Promise::Broken),
        ] {
            assert_eq!(entry(FRIDAY_EVENING, Some(DUE), first).promise(at(now)), promise, "{first:?} {now}");
        }
    }

    #[test]
    fn without_working_hours_nothing_is_broken() {
        assert_eq!(entry(FRIDAY_EVENING, None, None).promise(at(DUE)), Promise::Undecided);
        assert_eq!(entry(FRIDAY_EVENING, None, Some(DUE)).promise(at(DUE)), Promise::Kept);
    }

    #[test]
    fn closed_hours_do_not_count_as_waiting() {
        let school = Calendar::new(Hours::default());
        let now = at("2026-11-23T10:30:00+03:00");
        assert_eq!(
            entry(FRIDAY_EVENING, Some(DUE), Some("2026-11-23T09:12:00+03:00")).waited_ms(&school, now),
            12 * 60_000
        );
        assert_eq!(entry(FRIDAY_EVENING, Some(DUE), None).waited_ms(&school, now), 90 * 60_000);
        assert_eq!(entry(FRIDAY_EVENING, Some(DUE), Some("2026-11-21T12:00:00+03:00")).waited_ms(&school, now), 0);
    }

    #[test]
    fn shares_are_rounded_but_never_up_to_all_nor_down_to_none() {
        for (part, of, told) in [
            (84, 86, Some(98)),
            (86, 86, Some(100)),
            (999, 1000, Some(99)),
            (1, 1000, Some(1)),
            (0, 7, Some(0)),
            (1, 2, Some(50)),
            (1, 3, Some(33)),
            (2, 3, Some(67)),
            (0, 0, None),
        ] {
            assert_eq!(percent(part, of), told, "{part} of {of}");
        }
    }

    #[test]
    fn the_undecided_are_in_the_total_and_not_in_the_share() {
        let now = at("2026-11-23T12:00:00+03:00");
        let entries = [
            entry(FRIDAY_EVENING, Some(DUE), Some("2026-11-23T09:05:00+03:00")),
            entry(FRIDAY_EVENING, Some(DUE), None),
            entry("2026-11-18T19:40:00+03:00", Some("2026-11-19T18:00:00+03:00"), None),
        ];
        let kept = Kept::of(&entries, now);
        assert_eq!(kept, Kept { kept: 1, broken: 1, undecided: 1 });
        assert_eq!((kept.total(), kept.percent()), (3, Some(50)));
        assert_eq!(Kept::of(&[], now).percent(), None);
    }

    #[test]
    fn the_median_and_nine_of_ten_are_values_that_occurred() {
        let of = |values: &[i64]| {
            Waiting::of(values.to_vec()).map(|told| (told.median_ms, told.nine_of_ten_ms, told.longest_ms))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((7, 7, 7)));
        assert_eq!(of(&[9, 1]), Some((1, 9, 9)));
        assert_eq!(of(&[3, 1, 2]), Some((2, 3, 3)));
        assert_eq!(of(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), Some((5, 9, 10)));
        assert_eq!(of(&(1..=11).collect::<Vec<_>>()), Some((6, 10, 11)));
        assert_eq!(of(&(1..=100).collect::<Vec<_>>()), Some((50, 90, 100)));
    }

    #[test]
    fn the_goal_is_the_longest_ordinary_day_without_its_break() {
        let of = |hours| longest_day_ms(&Calendar::new(Hours::from_json(&hours).unwrap())) / 60_000;
        assert_eq!(of(json!({})), 540);
        assert_eq!(of(json!({"week": {"mon": ["09:00-13:00", "14:00-18:00"], "sat": ["09:00-12:00"]}})), 480);
        assert_eq!(of(json!({"week": {}})), 0);
    }

    #[test]
    fn calls_are_put_on_the_hour_and_weekday_of_the_zone() {
        let counts =
            [(at("2026-11-22T21:00:00Z"), 2), (at("2026-11-22T21:45:00Z"), 3), (at("2026-11-22T22:00:00Z"), 5)];
        let moscow = heat(&counts, &TimeZone::get("Europe/Moscow").unwrap());
        assert_eq!((moscow[0][0], moscow[0][1]), (5, 5));
        let delhi = heat(&counts, &TimeZone::get("Asia/Kolkata").unwrap());
        assert_eq!((delhi[0][2], delhi[0][3]), (2, 8));
        assert_eq!(delhi.iter().flatten().sum::<i64>(), 10);
    }
}
