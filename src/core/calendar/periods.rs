//! From the clock on the wall to instants: working periods, and the walk from one to the next.
//!
//! A wall time that occurs twice starts an interval with its first occurrence and ends one with its last. A wall time that
//! does not occur stands for the first instant after the gap. Both readings keep the order of wall times, so the stretches
//! of a walk come in order too, whatever the clocks do.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset};

use super::closures::{Closure, Cuts};
use super::days::days_after;
use super::hours::{Day, Hours};
use super::interval::{Interval, MINUTES_A_DAY};
use crate::time::{Date, Time, TimeZone, Timestamp};

/// How many days we look for something before we say that there is none.
pub const HORIZON_DAYS: i32 = 400;

/// Time in which the line is answered. Half-open: the start belongs to it, the end does not. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Period {
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// The wall clock of one place.
#[derive(Clone, Debug)]
pub(super) struct Walls {
    time_zone: TimeZone,
    /// From this wall time on the clocks are never changed again, as far as the zone data know.
    settled: (DateTime, Offset),
}

impl Walls {
    pub fn new(time_zone: TimeZone) -> Self {
        let last_change =
            time_zone.preceding(Timestamp::MAX).next().map_or(Timestamp::MIN, |change| change.timestamp());
        // Two days after a change no wall time is near enough to it to be missing or doubled.
        let date = days_after(time_zone.to_datetime(last_change).date(), 2);
        let offset = time_zone.to_offset(Timestamp::MAX);
        Self { settled: (date.to_datetime(Time::midnight()), offset), time_zone }
    }

    pub fn date(&self, at: Timestamp) -> Date {
        self.time_zone.to_datetime(at).date()
    }

    /// The instants of an interval on a date; `None` if a change of the clocks leaves nothing of it.
    fn period(&self, date: Date, interval: Interval) -> Option<Period> {
        let start = self.instant(date, interval.start, Occurrence::First);
        let end = self.instant(date, interval.end, Occurrence::Last);
        (start < end).then_some(Period { start, end })
    }

    fn instant(&self, date: Date, minute: u16, which: Occurrence) -> Timestamp {
        let Some(wall) = wall_time(date, minute) else { return Timestamp::MAX };
        if wall >= self.settled.0 {
            return held(wall, self.settled.1);
        }
        match (self.time_zone.to_ambiguous_timestamp(wall).offset(), which) {
            (AmbiguousOffset::Unambiguous { offset }, _) => held(wall, offset),
            (AmbiguousOffset::Fold { before, .. }, Occurrence::First) => held(wall, before),
            (AmbiguousOffset::Fold { after, .. }, Occurrence::Last) => held(wall, after),
            (AmbiguousOffset::Gap { before, after }, _) => self.end_of_gap(wall, before, after),
        }
    }

    /// The missing wall time lies, read with the later offset, before the change and, read with the earlier, after it.
    fn end_of_gap(&self, wall: DateTime, before: Offset, after: Offset) -> Timestamp {
        let (earliest, latest) = (held(wall, after), held(wall, before));
        let mut changes = self.time_zone.following(earliest).take_while(|change| change.timestamp() <= latest);
        changes.find(|change| change.offset() == after).map_or(latest, |change| change.timestamp())
    }
}

#[derive(Clone, Copy)]
enum Occurrence {
    First,
    Last,
}

/// `None` only for the last midnight of the library's years.
fn wall_time(date: Date, minute: u16) -> Option<DateTime> {
    let (date, minute) = if minute < MINUTES_A_DAY { (date, minute) } else { (date.tomorrow().ok()?, 0) };
    Some(date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0))
}

/// The instant, held at the ends of the library's years.
fn held(wall: DateTime, offset: Offset) -> Timestamp {
    offset.to_timestamp(wall).unwrap_or(if wall.year() < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// The hours of a line on the wall clock of its place.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub hours: Hours,
    walls: Walls,
    closures: Vec<Closure>,
    cuts: Cuts,
}

impl Schedule {
    pub fn new(hours: Hours, closures: Vec<Closure>) -> Self {
        let cuts = Cuts::of(&closures);
        Self { walls: Walls::new(hours.time_zone().clone()), hours, closures, cuts }
    }

    pub fn closures(&self) -> &[Closure] {
        &self.closures
    }

    pub fn date(&self, at: Timestamp) -> Date {
        self.walls.date(at)
    }

    /// The working time that the rules give to one date, in order. It may touch or, where a midnight occurs twice, overlap
    /// that of its neighbours.
    pub fn by_the_hours(&self, date: Date) -> impl DoubleEndedIterator<Item = Period> {
        self.hours.day(date).intervals().filter_map(move |interval| self.walls.period(date, interval))
    }

    /// The same without what is closed at once.
    pub fn on(&self, date: Date) -> impl DoubleEndedIterator<Item = Period> {
        self.by_the_hours(date).flat_map(|period| self.cuts.leave(period))
    }

    pub fn is_open(&self, at: Timestamp) -> bool {
        !self.cuts.contain(at) && self.would_be_open(at)
    }

    /// Whether the hours alone say open.
    pub fn would_be_open(&self, at: Timestamp) -> bool {
        let today = self.date(at);
        // An interval that ends or starts at a doubled midnight reaches into the neighbour's day.
        [days_after(today, -1), today, days_after(today, 1)]
            .into_iter()
            .any(|date| self.by_the_hours(date).any(|period| period.contains(at)))
    }

    /// Everything that may matter at `at` and later, up to and including the date `last`.
    pub fn walk(&self, at: Timestamp, last: Date) -> Walk<'_> {
        // One day for a doubled midnight and one for a date that the zone left out (Apia, 30 December 2011).
        let first = days_after(self.date(at), -2);
        Walk { schedule: self, day: self.hours.day(first), next_interval: 0, rest: None, reached: Timestamp::MIN, last }
    }

    /// The period around `at` and the first one that starts strictly after it, within 400 local dates. Hours around the
    /// clock have no ends: such a period is shown from 400 days before to 400 days after.
    pub fn around(&self, at: Timestamp) -> (Option<Period>, Option<Period>) {
        let mut walk = self.walk(at, days_after(self.date(at), HORIZON_DAYS));
        let mut current = None;
        let mut period: Option<(Date, Period)> = None;
        while let Some(stretch) = walk.next() {
            match &mut period {
                Some((_, period)) if stretch.continues => period.end = stretch.period.end,
                Some((_, period)) if period.start > at => return (current, Some(*period)),
                _ => {
                    current = current.or(self.holding(at, period));
                    if stretch.period.start > at {
                        walk.last = days_after(stretch.date, HORIZON_DAYS);
                    }
                    period = Some((stretch.date, stretch.period));
                }
            }
        }
        match period {
            Some((_, period)) if period.start > at => (current, Some(period)),
            _ => (current.or(self.holding(at, period)), None),
        }
    }

    /// The period, if `at` lies in it, with all that touches it from before.
    fn holding(&self, at: Timestamp, period: Option<(Date, Period)>) -> Option<Period> {
        let (first_date, mut period) = period.filter(|(_, period)| period.contains(at))?;
        let mut dates_without_hours = 0;
        for days in 1..=HORIZON_DAYS {
            let mut periods = self.on(days_after(first_date, -days)).rev().peekable();
            // A date that the zone left out parts nothing, so one date without hours is not yet the end.
            dates_without_hours = if periods.peek().is_some() { 0 } else { dates_without_hours + 1 };
            for before in periods {
                if before.end < period.start {
                    return Some(period);
                }
                period.start = period.start.min(before.start);
            }
            if dates_without_hours == 2 {
                break;
            }
        }
        Some(period)
    }
}

/// Part of a period that one interval of one date gives. Stretches come in order and do not overlap.
pub(super) struct Stretch {
    pub date: Date,
    pub period: Period,
    /// No closed time lies between this stretch and the one before.
    pub continues: bool,
}

/// From date to date through the working time, without allocating.
pub(super) struct Walk<'s> {
    schedule: &'s Schedule,
    day: Day<'s>,
    next_interval: usize,
    /// Of the interval in hand, behind a closure.
    rest: Option<Period>,
    reached: Timestamp,
    /// The walk ends after this date; whoever walks may put it off.
    pub last: Date,
}

impl Iterator for Walk<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        while self.day.date <= self.last {
            while let Some(whole) = self.rest.take().or_else(|| self.next_of_the_day()) {
                let Some(period) = self.schedule.cuts.leave(whole).next() else { continue };
                if period.end < whole.end {
                    self.rest = Some(Period { start: period.end, end: whole.end });
                }
                let continues = period.start <= self.reached;
                let start = period.start.max(self.reached);
                if start < period.end {
                    self.reached = period.end;
                    return Some(Stretch { date: self.day.date, period: Period { start, end: period.end }, continues });
                }
            }
            self.day = self.schedule.hours.day(self.day.date.tomorrow().ok()?);
            self.next_interval = 0;
        }
        None
    }
}

impl Walk<'_> {
    /// The next interval of the day in hand that the clocks leave anything of.
    fn next_of_the_day(&mut self) -> Option<Period> {
        while let Some(interval) = self.day.intervals().nth(self.next_interval) {
            self.next_interval += 1;
            let period = self.schedule.walls.period(self.day.date, interval);
            if period.is_some() {
                return period;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schedule(zone: &str, week: serde_json::Value) -> Schedule {
        let hours = json!({"timezone": zone, "week": week, "holidays": []});
        Schedule::new(Hours::from_json(&hours).expect("good hours"), Vec::new())
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn on(schedule: &Schedule, date: &str) -> Vec<String> {
        let periods = schedule.on(date.parse().expect("a date"));
        periods.map(|period| format!("{} {}", period.start, period.end)).collect()
    }

    fn every_day(interval: &str) -> serde_json::Value {
        super::super::hours::WEEKDAYS.into_iter().map(|day| (day.to_owned(), json!([interval]))).collect()
    }

    #[test]
    fn a_period_opens_with_its_first_instant_and_closes_with_its_last() {
        let moscow = schedule("Europe/Moscow", every_day("09:00-18:00"));
        for (at, open) in [
            ("2024-07-16T08:59:59.999+03:00", false),
            ("2024-07-16T09:00:00+03:00", true),
            ("2024-07-16T17:59:59.999999999+03:00", true),
            ("2024-07-16T18:00:00+03:00", false),
        ] {
            assert_eq!(moscow.is_open(instant(at)), open, "{at}");
        }
    }

    #[test]
    fn a_wall_time_in_a_gap_stands_for_the_first_instant_after_it() {
        // In Berlin 2:00 to 3:00 did not occur on 29 March 2026; the clocks jumped at 1:00 UTC.
        let starts_inside = schedule("Europe/Berlin", json!({"sun": ["02:30-04:00"]}));
        assert_eq!(on(&starts_inside, "2026-03-29"), ["2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"]);
        let ends_inside = schedule("Europe/Berlin", json!({"sun": ["01:30-02:30"]}));
        assert_eq!(on(&ends_inside, "2026-03-29"), ["2026-03-29T00:30:00Z 2026-03-29T01:00:00Z"]);
        let all_inside = schedule("Europe/Berlin", json!({"sun": ["02:15-02:45", "02:00-03:00"]}));
        assert!(on(&all_inside, "2026-03-29").is_empty());
        assert!(!all_inside.is_open(instant("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn a_wall_time_that_occurs_twice_starts_with_the_first_and_ends_with_the_last() {
        // In Berlin 2:00 to 3:00 occurred twice on 25 October 2026, from 0:00 and from 1:00 UTC.
        let both = schedule("Europe/Berlin", json!({"sun": ["02:15-02:45"]}));
        assert_eq!(on(&both, "2026-10-25"), ["2026-10-25T00:15:00Z 2026-10-25T01:45:00Z"]);
        let touching = schedule("Europe/Berlin", json!({"sun": ["01:30-02:30", "02:30-04:00"]}));
        let whole = Period { start: instant("2026-10-24T23:30:00Z"), end: instant("2026-10-25T03:00:00Z") };
        assert_eq!(touching.around(instant("2026-10-25T01:15:00Z")).0, Some(whole));
    }

    #[test]
    fn a_midnight_that_occurs_twice_belongs_to_the_evening_before() {
        // In Havana 0:00 to 1:00 occurred twice on 1 November 2020, from 4:00 and from 5:00 UTC.
        let evening = schedule("America/Havana", json!({"sat": ["20:00-24:00"]}));
        assert_eq!(on(&evening, "2020-10-31"), ["2020-11-01T00:00:00Z 2020-11-01T05:00:00Z"]);
        assert!(evening.is_open(instant("2020-11-01T04:30:00Z")), "a Sunday by the date");
        assert!(!evening.is_open(instant("2020-11-01T05:00:00Z")));
    }

    #[test]
    fn a_morning_goes_on_when_the_clocks_fall_back_into_the_evening() {
        // In St. John's the clocks went from 0:01 on 7 November 2010 back to 23:01 of the 6th, at 2:31 UTC.
        let morning = schedule("America/St_Johns", json!({"sun": ["00:00-06:00"]}));
        assert!(!morning.is_open(instant("2010-11-07T02:29:59Z")));
        assert!(morning.is_open(instant("2010-11-07T02:30:00Z")));
        assert!(morning.is_open(instant("2010-11-07T03:00:00Z")), "a Saturday by the date");
    }

    #[test]
    fn shifts_over_midnight_are_one_period() {
        let night = schedule("Europe/Moscow", json!({"mon": ["22:00-24:00"], "tue": ["00:00-06:00"]}));
        let shift = Period { start: instant("2026-11-23T22:00:00+03:00"), end: instant("2026-11-24T06:00:00+03:00") };
        for at in ["2026-11-23T22:00:00+03:00", "2026-11-24T00:00:00+03:00", "2026-11-24T05:59:59+03:00"] {
            assert_eq!(night.around(instant(at)).0, Some(shift), "{at}");
        }
        assert_eq!(night.around(instant("2026-11-20T12:00:00+03:00")), (None, Some(shift)));
    }

    #[test]
    fn a_day_that_never_was_parts_nothing() {
        // In Apia 30 December 2011 was left out: Thursday was followed by Saturday.
        let nights =
            schedule("Pacific/Apia", json!({"thu": ["20:00-24:00"], "fri": ["09:00-18:00"], "sat": ["00:00-06:00"]}));
        assert!(on(&nights, "2011-12-30").is_empty());
        let whole = Period { start: instant("2011-12-29T20:00:00-10:00"), end: instant("2011-12-31T06:00:00+14:00") };
        for at in ["2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00"] {
            assert_eq!(nights.around(instant(at)).0, Some(whole), "{at}");
        }
    }

    #[test]
    fn hours_around_the_clock_are_shown_for_400_days_each_way() {
        let always = schedule("Europe/Moscow", every_day("00:00-24:00"));
        let (current, next) = always.around(instant("2026-11-23T12:00:00+03:00"));
        let current = current.expect("open");
        assert_eq!(current.end, instant("2027-12-29T00:00:00+03:00"));
        assert!(current.start <= instant("2025-10-21T00:00:00+03:00"), "{}", current.start);
        assert_eq!(next, None);
    }

    #[test]
    fn the_next_period_is_looked_for_on_400_dates() {
        let open_on = |date: &str| {
            let entry = json!({"from": date, "to": date, "mode": "open", "hours": ["10:00-12:00"]});
            let hours = json!({"week": {}, "holidays": [], "overrides": [entry]});
            Schedule::new(Hours::from_json(&hours).expect("good hours"), Vec::new())
        };
        let at = instant("2026-01-01T00:00:00+03:00");
        assert!(open_on("2027-02-05").around(at).1.is_some());
        assert!(open_on("2027-02-06").around(at).1.is_none());
    }

    #[test]
    fn the_ends_of_time_are_held() {
        for zone in ["Europe/Moscow", "Pacific/Apia", "America/New_York", "UTC", "Pacific/Kiritimati"] {
            let always = schedule(zone, every_day("00:00-24:00"));
            for at in [Timestamp::MIN, Timestamp::MAX, instant("-009999-01-02T02:00:00Z")] {
                let _ = (always.around(at), always.is_open(at), always.walk(at, Date::MAX).take(3).count());
            }
        }
    }

    #[test]
    fn the_settled_clock_of_moscow_reads_as_the_zone_data_do() {
        let walls = Walls::new(TimeZone::get("Europe/Moscow").expect("a zone"));
        assert_eq!(walls.settled.0, "2014-10-28T00:00:00".parse().expect("a wall time"));
        let berlin = Walls::new(TimeZone::get("Europe/Berlin").expect("a zone"));
        assert!(berlin.settled.0.year() > 9000, "the clocks of Berlin go on changing");
    }
}
