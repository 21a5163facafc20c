//! Terms: when so many working hours or working days after a receipt are over, and how much working time lies between
//! two instants. Only working time counts; where the clocks change inside a period, the time that really passes does.

use std::str::FromStr;

use super::days::days_after;
use super::periods::{HORIZON_DAYS, Schedule};
use crate::time::{Date, SignedDuration, Timestamp};

/// A length of working time, to the nanosecond; never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkingHours(SignedDuration);

impl WorkingHours {
    pub fn from_hours(hours: u32) -> Self {
        Self(SignedDuration::from_hours(hours.into()))
    }

    pub fn from_milliseconds(milliseconds: u64) -> Self {
        Self(SignedDuration::from_millis(milliseconds.try_into().unwrap_or(i64::MAX)))
    }

    /// For showing; 8.0 for eight hours.
    pub fn as_hours(self) -> f64 {
        self.0.as_secs_f64() / 3600.0
    }
}

/// A text that is not a number of hours. For people, in Russian.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("«{0}» — не число часов; напишите, например, 8 или 0.25")]
pub struct WorkingHoursError(String);

impl FromStr for WorkingHours {
    type Err = WorkingHoursError;

    /// Reads decimal hours such as `8`, `0.25` or, as a program may write it, `2.5e-1`; rounds to the nanosecond.
    fn from_str(text: &str) -> Result<Self, WorkingHoursError> {
        let error = || WorkingHoursError(text.to_owned());
        if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            return Err(error());
        }
        match exact(text) {
            Some(length) => Ok(Self(length)),
            None => {
                let hours: f64 = text.parse().ok().filter(|hours| *hours >= 0.0).ok_or_else(error)?;
                Ok(Self(SignedDuration::try_from_secs_f64(hours * 3600.0).unwrap_or(SignedDuration::MAX)))
            }
        }
    }
}

/// Plain decimals of usual size, without the rounding of binary fractions.
fn exact(text: &str) -> Option<SignedDuration> {
    const NANOSECONDS_AN_HOUR: i128 = 3_600_000_000_000;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let usual = |part: &str| (1..=12).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if !usual(whole) || !usual(fraction) {
        return None;
    }
    let scale = 10_i128.pow(fraction.len() as u32);
    let parts = whole.parse::<i128>().ok()? * scale + fraction.parse::<i128>().ok()?;
    let nanoseconds = (parts * NANOSECONDS_AN_HOUR + scale / 2) / scale;
    Some(SignedDuration::from_nanos_i128(nanoseconds))
}

impl Schedule {
    pub fn first_working_instant(&self, at: Timestamp) -> Option<Timestamp> {
        self.due_after_hours(at, WorkingHours(SignedDuration::ZERO))
    }

    pub fn due_after_hours(&self, at: Timestamp, hours: WorkingHours) -> Option<Timestamp> {
        let mut left = hours.0;
        let mut walk = self.walk(at, days_after(self.date(at), HORIZON_DAYS));
        while let Some(stretch) = walk.next() {
            if stretch.period.end <= at {
                continue;
            }
            let start = stretch.period.start.max(at);
            let length = start.duration_until(stretch.period.end);
            if left <= length {
                return start.checked_add(left).ok();
            }
            left -= length;
            walk.last = days_after(stretch.date, HORIZON_DAYS);
        }
        None
    }

    pub fn due_after_working_days(&self, at: Timestamp, days: u32) -> Option<Timestamp> {
        let start = self.first_working_instant(at)?;
        let mut date = self.date(start);
        if days == 0 {
            // Without hours of its own only where a doubled midnight leads from one date into the next.
            return self.end_on(date).or_else(|| self.around(start).0.map(|period| period.end));
        }
        let (mut left, mut last) = (days, days_after(date, HORIZON_DAYS));
        while date < last {
            date = date.tomorrow().ok()?;
            if let Some(end) = self.end_on(date) {
                left -= 1;
                if left == 0 {
                    return Some(end);
                }
                last = days_after(date, HORIZON_DAYS);
            }
        }
        None
    }

    pub fn working_ms_between(&self, from: Timestamp, until: Timestamp) -> i64 {
        let stretches = self.walk(from, days_after(self.date(until), 1));
        let worked = stretches.take_while(|stretch| stretch.period.start < until).map(|stretch| {
            let (start, end) = (stretch.period.start.max(from), stretch.period.end.min(until));
            start.duration_until(end).max(SignedDuration::ZERO)
        });
        let worked = worked.fold(SignedDuration::ZERO, |sum, length| sum + length);
        worked.as_millis().try_into().unwrap_or(i64::MAX)
    }

    /// The end of the last interval of a date; `None` if the date has no working time.
    fn end_on(&self, date: Date) -> Option<Timestamp> {
        self.on(date).next_back().map(|period| period.end)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::calendar::Hours;

    fn school() -> Schedule {
        Schedule::new(Hours::default(), Vec::new())
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn hours(text: &str) -> WorkingHours {
        text.parse().expect("hours")
    }

    #[test]
    fn the_examples_of_the_calendars_description_hold() {
        let early = json!({"short_days": {"policy": "close_early", "minutes": 60}});
        let early = Schedule::new(Hours::from_json(&early).expect("good hours"), Vec::new());
        for (schedule, received, term, due) in [
            (&school(), "2026-11-27T17:00:00+03:00", "2", "2026-11-30T10:00:00+03:00"),
            (&school(), "2026-11-27T18:00:00+03:00", "9", "2026-11-30T18:00:00+03:00"),
            (&school(), "2026-12-30T18:30:00+03:00", "1", "2027-01-11T10:00:00+03:00"),
            (&school(), "2024-11-02T17:30:00+03:00", "1", "2024-11-05T09:30:00+03:00"),
            (&early, "2024-11-02T17:30:00+03:00", "1", "2024-11-05T10:00:00+03:00"),
        ] {
            assert_eq!(
                schedule.due_after_hours(instant(received), hours(term)),
                Some(instant(due)),
                "{received} {term}"
            );
        }
    }

    #[test]
    fn no_hours_are_due_at_the_start_and_no_days_at_the_end_of_that_day() {
        let open = instant("2026-11-27T10:00:00+03:00");
        assert_eq!(school().due_after_hours(open, hours("0")), Some(open));
        assert_eq!(school().due_after_working_days(open, 0), Some(instant("2026-11-27T18:00:00+03:00")));
        let closed = instant("2026-11-27T18:00:00+03:00");
        assert_eq!(school().due_after_hours(closed, hours("0")), Some(instant("2026-11-30T09:00:00+03:00")));
        assert_eq!(school().due_after_working_days(closed, 0), Some(instant("2026-11-30T18:00:00+03:00")));
        assert_eq!(school().due_after_working_days(closed, 1), Some(instant("2026-12-01T18:00:00+03:00")));
    }

    #[test]
    fn the_hour_that_changes_counts_as_it_passes() {
        let night = json!({"timezone": "Europe/Berlin", "week": {"sun": ["00:00-06:00"]}, "holidays": []});
        let night = Schedule::new(Hours::from_json(&night).expect("good hours"), Vec::new());
        let (spring, autumn) = (instant("2026-03-29T00:00:00+01:00"), instant("2026-10-25T00:00:00+02:00"));
        assert_eq!(night.due_after_hours(spring, hours("5")), Some(instant("2026-03-29T06:00:00+02:00")));
        assert_eq!(night.due_after_hours(autumn, hours("7")), Some(instant("2026-10-25T06:00:00+01:00")));
        assert_eq!(night.working_ms_between(autumn, instant("2026-10-26T00:00:00+01:00")), 7 * 3_600_000);
    }

    #[test]
    fn without_working_hours_nothing_is_ever_due() {
        let closed = Schedule::new(Hours::from_json(&json!({"week": {}})).expect("good hours"), Vec::new());
        let at = instant("2026-11-27T10:00:00+03:00");
        assert_eq!(closed.due_after_hours(at, hours("0")), None);
        assert_eq!(closed.due_after_working_days(at, 0), None);
        assert_eq!(closed.working_ms_between(at, Timestamp::MAX), 0);
    }

    #[test]
    fn absurd_lengths_end_at_the_ends_of_time() {
        assert_eq!(school().due_after_hours(instant("9990-01-01T00:00:00Z"), hours("1e300")), None);
        assert_eq!(school().due_after_working_days(instant("9990-01-01T00:00:00Z"), u32::MAX), None);
        assert!(school().working_ms_between(instant("9990-01-01T00:00:00Z"), Timestamp::MAX) > 0);
        assert_eq!(school().working_ms_between(Timestamp::MAX, Timestamp::MIN), 0);
        assert_eq!(school().due_after_hours(Timestamp::MAX, hours("1")), None);
    }

    #[test]
    fn hours_are_read_exactly() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0.25", 900_000_000_000),
            ("0.1", 360_000_000_000),
            ("24.0", 86_400_000_000_000),
            ("0.000000000001", 4),
            ("2.5e-1", 900_000_000_000),
        ] {
            assert_eq!(hours(text).0.as_nanos(), nanoseconds, "{text}");
        }
        for text in ["", "-1", "0,25", "NaN", "inf", "1h", "٣", "1.2.3", "-0.5"] {
            assert!(text.parse::<WorkingHours>().is_err(), "{text}");
        }
    }
}
