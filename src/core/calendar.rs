//! The working calendar of a line: is it open, why, when next, and when an answer is due.
//!
//! The meaning of the words is that of the regulation, «daily 9:00 to 18:00 except weekends and public holidays», made
//! exact: `days` holds what the law says about a date (`published` reads its files), `hours` what the administrator says
//! (`reading` finds his mistakes), `changes` what the school changes while the service runs, `closures` when it closes a line
//! at once, `periods` turns all of it into instants, `terms` counts inside them, `reply` writes the answers down for
//! programs, `ics` for other calendars, and `warnings` says what the data do not know yet.

mod changes;
mod closures;
mod days;
mod differences;
mod hours;
mod ics;
mod interval;
mod periods;
#[cfg(test)]
mod properties;
mod published;
mod reading;
mod reply;
mod special;
mod steps;
mod terms;
mod warnings;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use self::changes::{Exception, ExceptionMode, HoursChanges, LONGEST_EXCEPTION_DAYS, WeekChange};
pub use self::closures::Closure;
pub use self::days::{DataSet, DayRule, UnknownWord};
pub use self::differences::{Difference, differences};
pub use self::hours::{Day, Hours, Override, OverrideMode, ShortDays, week_to_json};
pub use self::ics::{
    CalendarEvent, EventTime, IcsEvent, IcsMistake, LARGEST_ICS, MOST_EVENTS, read_ics, write_calendar, write_ics,
};
pub use self::interval::{Interval, IntervalError};
use self::periods::Schedule;
pub use self::periods::{HORIZON_DAYS, Period};
pub use self::published::{HolidayData, LARGEST_DATA_FILE, data_set_of};
pub use self::reading::{HoursError, week_from_json};
pub use self::reply::{Question, Reply, WrittenPeriod};
pub use self::special::SpecialDays;
pub use self::steps::{HoursStep, LONGEST_REASON, MOST_EXCEPTIONS, StepRefusal};
pub use self::terms::{WorkingHours, WorkingHoursError};
pub use self::warnings::CalendarWarning;
use crate::time::{Date, TimeZone, Timestamp};

/// The hours of a line on the days of the law. Cheap to clone; never panics, whatever the instant.
#[derive(Clone, Debug)]
pub struct Calendar {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    schedule: Schedule,
    version: String,
}

/// How an instant stands to the hours of its local date. The words of [`TimeState::as_str`] are stored with every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeState {
    Open,
    /// The date has no working time at all.
    ClosedDay,
    BeforeOpening,
    AfterClosing,
    /// Between the first start and the last end of the date.
    Break,
    /// Working time, but the school has closed the line for a while.
    ClosedNow,
}

/// Everything a call needs to know about its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub at: Timestamp,
    pub open: bool,
    /// Of the local date.
    pub day_rule: DayRule,
    /// The local date is a short day that closes early.
    pub shortened: bool,
    pub time_state: TimeState,
    /// The period that contains the instant.
    pub current_period: Option<Period>,
    /// The first that starts strictly later, within [`HORIZON_DAYS`].
    pub next_period: Option<Period>,
    /// The year's days off are not published yet.
    pub provisional: bool,
}

impl Calendar {
    pub fn new(hours: Hours) -> Self {
        Self::with_closures(hours, Vec::new())
    }

    /// The hours without the times for which the school closed the line at once.
    pub fn with_closures(hours: Hours, closures: Vec<Closure>) -> Self {
        let version = version(&hours, &closures);
        Self { inner: Arc::new(Inner { schedule: Schedule::new(hours, closures), version }) }
    }

    /// The closure that holds at this instant; of several the one that ends last.
    pub fn closure_at(&self, at: Timestamp) -> Option<&Closure> {
        self.closures().iter().filter(|closure| closure.period.contains(at)).max_by_key(|closure| closure.period.end)
    }

    /// All closures, past ones too.
    pub fn closures(&self) -> &[Closure] {
        self.inner.schedule.closures()
    }

    /// Short text such as `2026-11-22-1a2b3c4d`: when the data were last checked, and a hash of hours and data. Stored with
    /// each call's decision, so that it can be explained after the calendar has changed.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    pub fn hours(&self) -> &Hours {
        &self.inner.schedule.hours
    }

    pub fn time_zone(&self) -> &TimeZone {
        self.hours().time_zone()
    }

    /// The date at that instant in the calendar's zone.
    pub fn local_date(&self, at: Timestamp) -> Date {
        self.inner.schedule.date(at)
    }

    /// One local date by the wall clock: its rule, its hours, and the name of its holiday.
    pub fn day(&self, date: Date) -> Day<'_> {
        self.hours().day(date)
    }

    pub fn answer(&self, at: Timestamp) -> Answer {
        let date = self.local_date(at);
        let day = self.day(date);
        let (current_period, next_period) = self.inner.schedule.around(at);
        Answer {
            at,
            open: current_period.is_some(),
            day_rule: day.rule,
            shortened: day.shortened,
            time_state: if current_period.is_some() { TimeState::Open } else { self.while_closed(at, date) },
            current_period,
            next_period,
            provisional: self.provisional(at),
        }
    }

    fn while_closed(&self, at: Timestamp, date: Date) -> TimeState {
        if self.inner.schedule.would_be_open(at) {
            return TimeState::ClosedNow;
        }
        let mut periods = self.inner.schedule.by_the_hours(date);
        let Some(first) = periods.next() else { return TimeState::ClosedDay };
        let last = periods.next_back().unwrap_or(first);
        match at {
            _ if at < first.start => TimeState::BeforeOpening,
            _ if at >= last.end => TimeState::AfterClosing,
            _ => TimeState::Break,
        }
    }

    pub fn is_open(&self, at: Timestamp) -> bool {
        self.inner.schedule.is_open(at)
    }

    /// The working period that contains the instant, with all that touches it. Hours around the clock are shown from 400
    /// days before to 400 days after.
    pub fn period_at(&self, at: Timestamp) -> Option<Period> {
        self.inner.schedule.around(at).0
    }

    /// The first working period that starts strictly after the instant; `None` if none starts on the next 400 local dates.
    pub fn next_period(&self, at: Timestamp) -> Option<Period> {
        self.inner.schedule.around(at).1
    }

    /// The instant at which so many working hours after `at` are complete: the end of a period, if it is just that, and
    /// not the next opening. Zero hours give the first working instant. `None` where 400 dates in a row are without hours,
    /// or at the end of the library's years. Later than this instant is overdue; the instant itself is not.
    pub fn due_after_hours(&self, at: Timestamp, hours: WorkingHours) -> Option<Timestamp> {
        self.inner.schedule.due_after_hours(at, hours)
    }

    /// The end of the last interval of the N-th date with working time after the date of the first working instant.
    /// `None` as in [`Calendar::due_after_hours`].
    pub fn due_after_working_days(&self, at: Timestamp, days: u32) -> Option<Timestamp> {
        self.inner.schedule.due_after_working_days(at, days)
    }

    /// Milliseconds of working time in `[from, until)`; 0 if `until` is not later. Goes through the dates between them one
    /// by one, so the cost is linear and ends with the library's years: even unoptimised, from now to 9999 in seconds.
    pub fn working_ms_between(&self, from: Timestamp, until: Timestamp) -> i64 {
        self.inner.schedule.working_ms_between(from, until)
    }

    /// The instant itself if it lies in a period, else the start of the next.
    pub fn first_working_instant(&self, at: Timestamp) -> Option<Timestamp> {
        self.inner.schedule.first_working_instant(at)
    }

    /// Whether the line follows the federal calendar and the local year has no official entry in it.
    pub fn provisional(&self, at: Timestamp) -> bool {
        self.hours().follows(DataSet::Russia) && !self.hours().data.is_official(self.local_date(at).year())
    }
}

/// Equal for equal hours, data and closures, on every machine.
fn version(hours: &Hours, closures: &[Closure]) -> String {
    let data = hours.data();
    let mut hash = Sha256::new();
    hash.update(hours.to_json().to_string());
    for set in hours.holidays() {
        hash.update(data.digest(*set));
    }
    for Closure { period, reason } in closures {
        hash.update(format!("closed {} {} {reason}\n", period.start, period.end));
    }
    let digest = hash.finalize();
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    match hours.holidays().iter().map(|set| data.updated(*set)).max() {
        Some(updated) => format!("{updated}-{short}"),
        None => short,
    }
}

impl TimeState {
    pub const ALL: [Self; 6] =
        [Self::Open, Self::ClosedDay, Self::BeforeOpening, Self::AfterClosing, Self::Break, Self::ClosedNow];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ClosedDay => "closed_day",
            Self::BeforeOpening => "before_opening",
            Self::AfterClosing => "after_closing",
            Self::Break => "break",
            Self::ClosedNow => "closed_now",
        }
    }
}

impl fmt::Display for TimeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TimeState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn calendar(hours: serde_json::Value) -> Calendar {
        Calendar::new(Hours::from_json(&hours).expect("good hours"))
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn each_part_of_a_day_has_its_word() {
        let lunch = calendar(json!({"week": {"mon": ["14:00-18:00", "09:00-13:00"]}}));
        for (time, state) in [
            ("08:59:59.999", TimeState::BeforeOpening),
            ("09:00:00", TimeState::Open),
            ("12:59:59.999", TimeState::Open),
            ("13:00:00", TimeState::Break),
            ("13:59:59.999", TimeState::Break),
            ("14:00:00", TimeState::Open),
            ("18:00:00", TimeState::AfterClosing),
        ] {
            let answer = lunch.answer(instant(&format!("2026-11-23T{time}+03:00")));
            assert_eq!((answer.time_state, answer.open), (state, state == TimeState::Open), "{time}");
        }
        assert_eq!(lunch.answer(instant("2026-11-24T13:00:00+03:00")).time_state, TimeState::ClosedDay);
    }

    #[test]
    fn the_local_date_decides_whatever_offset_the_instant_was_written_with() {
        let school = Calendar::new(Hours::default());
        let monday = school.answer(instant("2026-11-22T20:00:00-10:00"));
        assert_eq!((monday.open, monday.day_rule), (true, DayRule::Workday));
    }

    #[test]
    fn hours_that_a_gap_swallows_leave_a_closed_day() {
        let hidden = calendar(json!({"timezone": "Europe/Berlin", "week": {"sun": ["02:15-02:45"]}, "holidays": []}));
        let answer = hidden.answer(instant("2026-03-29T01:00:00Z"));
        assert_eq!((answer.open, answer.time_state), (false, TimeState::ClosedDay));
        assert_eq!(answer.next_period.map(|period| period.start), Some(instant("2026-04-05T00:15:00Z")));
    }

    #[test]
    fn a_year_without_an_act_is_provisional_for_those_who_follow_the_federal_calendar() {
        let school = Calendar::new(Hours::default());
        assert!(!school.provisional(instant("2027-12-31T20:59:59Z")));
        assert!(school.provisional(instant("2027-12-31T21:00:00Z")), "midnight in Moscow");
        assert!(school.answer(instant("2040-01-01T00:00:00Z")).provisional);
        assert!(school.provisional(instant("2022-06-01T00:00:00Z")));
        assert!(!calendar(json!({"holidays": []})).provisional(instant("2040-01-01T00:00:00Z")));
    }

    #[test]
    fn the_version_changes_with_hours_and_data_and_with_nothing_else() {
        let school = Calendar::new(Hours::default());
        assert_eq!(school.version(), Calendar::new(Hours::default()).version());
        assert!(school.version().starts_with("2026-11-22-"), "{}", school.version());
        let other = calendar(json!({"week": {"mon": ["09:00-17:00"]}}));
        assert_ne!(school.version(), other.version());
        assert_ne!(school.version(), calendar(json!({"holidays": ["ru"]})).version());
    }

    #[test]
    fn the_words_of_the_time_states_read_back() {
        for state in TimeState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
