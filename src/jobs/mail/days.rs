//! When a digest is due: by the working days of the lines, as they are now.

use crate::core::calendar::{Calendar, Period};
use crate::core::line::Lines;
use crate::time::{Date, SignedDuration, Time, TimeZone, Timestamp};

/// A morning's letter that nobody has chosen a time for goes this long before the working time begins.
const BEFORE_OPENING: SignedDuration = SignedDuration::from_mins(5);
/// An evening's, this long before it ends.
const BEFORE_CLOSING: SignedDuration = SignedDuration::from_mins(30);
/// A digest that could not be planned in time is planned this much later at most: then it would tell old news.
const AT_THE_LATEST: SignedDuration = SignedDuration::from_hours(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Morning,
    Evening,
}

/// A date on which at least one line works.
#[derive(Clone, Debug)]
pub(super) struct WorkingDay {
    pub date: Date,
    pub zone: TimeZone,
    /// The first opening and the last closing of all lines.
    pub start: Timestamp,
    pub end: Timestamp,
}

impl WorkingDay {
    /// The school's date at `now`, if it is one of work.
    pub fn at(lines: &Lines, now: Timestamp) -> Option<Self> {
        let common = lines.default_calendar();
        let (zone, date) = (common.time_zone().clone(), common.local_date(now));
        let mut calendars: Vec<&Calendar> = lines.iter().map(|line| &line.calendar).collect();
        if calendars.is_empty() {
            calendars.push(common);
        }
        let hours: Vec<Period> = calendars.into_iter().filter_map(|calendar| hours_of(calendar, date)).collect();
        let start = hours.iter().map(|period| period.start).min()?;
        let end = hours.iter().map(|period| period.end).max()?;
        Some(Self { date, zone, start, end })
    }

    /// The digests that should have been planned by now. A time outside the working hours of this very day gives way to the
    /// usual distance from them.
    pub fn digests(&self, morning: Option<Time>, evening: Option<Time>, now: Timestamp) -> Vec<Digest> {
        let usual_morning = earlier(self.start, BEFORE_OPENING);
        let usual_evening = earlier(self.end, BEFORE_CLOSING);
        let chosen =
            |time: Option<Time>| Some(self.date.to_datetime(time?).to_zoned(self.zone.clone()).ok()?.timestamp());
        let morning_at = chosen(morning).filter(|at| *at < self.start).unwrap_or(usual_morning);
        let evening_at = chosen(evening).filter(|at| *at > self.start && *at <= self.end).unwrap_or(usual_evening);
        let is_due = |at: Timestamp| now >= at && now < at.checked_add(AT_THE_LATEST).unwrap_or(at);
        // A morning's letter in the evening would only repeat the evening's.
        let morning = (is_due(morning_at) && now < evening_at).then_some(Digest::Morning);
        let evening = is_due(evening_at).then_some(Digest::Evening);
        morning.into_iter().chain(evening).collect()
    }
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(at)
}

/// From the first opening to the last closing of a local date.
fn hours_of(calendar: &Calendar, date: Date) -> Option<Period> {
    let day = calendar.day(date);
    let mut intervals = day.intervals();
    let first = intervals.next()?;
    let last = intervals.next_back().unwrap_or(first);
    let midnight = date.to_zoned(calendar.time_zone().clone()).ok()?;
    // By the wall clock: a day on which clocks are changed has other hours than 24.
    let wall = |minute: u16| match minute {
        1440 => Some(midnight.tomorrow().ok()?.timestamp()),
        _ => {
            let time = Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
            Some(date.to_datetime(time).to_zoned(calendar.time_zone().clone()).ok()?.timestamp())
        }
    };
    Some(Period { start: wall(first.start_minute())?, end: wall(last.end_minute())? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::calendar::Hours;
    use crate::core::line::{Line, LineId};

    fn lines(hours: &[serde_json::Value]) -> Lines {
        let calendar = |hours: &serde_json::Value| Calendar::new(Hours::from_json(hours).expect("good hours"));
        let line = |hours| Line::new(LineId::new("line"), None, "Линия", calendar(hours));
        Lines::new(hours.iter().map(line).collect(), Calendar::new(Hours::default()))
    }

    fn due(lines: &Lines, at: &str, times: (Option<Time>, Option<Time>)) -> Vec<Digest> {
        let now = format!("{at}+03:00").parse().expect("an instant");
        WorkingDay::at(lines, now).map_or_else(Vec::new, |day| day.digests(times.0, times.1, now))
    }

    const SCHOOL: (Option<Time>, Option<Time>) =
        (Some(Time::constant(8, 55, 0, 0)), Some(Time::constant(17, 30, 0, 0)));

    #[test]
    fn the_letters_of_a_working_day_are_due_from_their_minute_on_and_not_for_ever() {
        let school = lines(&[json!({})]);
        for (at, expected) in [
            ("2026-11-23T08:54:59", vec![]),
            ("2026-11-23T08:55:00", vec![Digest::Morning]),
            ("2026-11-23T11:54:59", vec![Digest::Morning]),
            ("2026-11-23T11:55:00", vec![]),
            ("2026-11-23T17:29:59", vec![]),
            ("2026-11-23T17:30:00", vec![Digest::Evening]),
            ("2026-11-23T20:29:59", vec![Digest::Evening]),
            ("2026-11-23T20:30:00", vec![]),
        ] {
            assert_eq!(due(&school, at, SCHOOL), expected, "{at}");
            assert_eq!(due(&school, at, (None, None)), expected, "{at}, by the distance from the working hours");
        }
    }

    #[test]
    fn days_without_work_have_no_letters() {
        let school = lines(&[json!({})]);
        for day in ["2026-11-22", "2026-11-04", "2027-01-05"] {
            for time in ["08:56:00", "17:31:00"] {
                assert_eq!(due(&school, &format!("{day}T{time}"), SCHOOL), [], "{day} {time}");
            }
        }
        let later = lines(&[json!({"week": {"sun": ["10:00-12:00"]}, "holidays": []})]);
        assert_eq!(due(&later, "2026-11-22T08:56:00", SCHOOL), [Digest::Morning]);
    }

    #[test]
    fn a_day_with_other_hours_moves_what_would_lie_outside_them() {
        let short = lines(&[json!({"week": {"mon": ["08:00-13:00"]}})]);
        assert_eq!(due(&short, "2026-11-23T07:55:00", SCHOOL), [Digest::Morning]);
        assert_eq!(due(&short, "2026-11-23T12:29:59", SCHOOL), []);
        assert_eq!(due(&short, "2026-11-23T12:30:00", SCHOOL), [Digest::Evening]);
        assert_eq!(due(&short, "2026-11-23T17:30:00", SCHOOL), []);
    }

    #[test]
    fn lines_with_hours_of_their_own_share_one_letter_from_the_first_opening_to_the_last_closing() {
        let both = lines(&[
            json!({"week": {"mon": ["09:00-13:00", "14:00-18:00"]}}),
            json!({"week": {"mon": ["08:00-24:00"]}}),
        ]);
        let day = WorkingDay::at(&both, "2026-11-23T12:00:00+03:00".parse().unwrap()).unwrap();
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!((day.start, day.end), (instant("2026-11-23T08:00:00+03:00"), instant("2026-11-24T00:00:00+03:00")));
        assert_eq!(due(&both, "2026-11-23T07:55:00", (None, None)), [Digest::Morning]);
        assert_eq!(due(&both, "2026-11-23T23:30:00", (None, None)), [Digest::Evening]);
    }

    #[test]
    fn a_house_without_lines_follows_the_common_calendar() {
        assert_eq!(due(&lines(&[]), "2026-11-23T08:55:00", SCHOOL), [Digest::Morning]);
    }
}
