//! A month of the school's calendar.

use std::fmt;
use std::str::FromStr;

use crate::time::{Date, TimeZone, Timestamp, ToSpan};

/// One month, written `2026-11`. From 2000 to 2199: what lies outside is a slip of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    first: Date,
}

impl Month {
    /// The month of a date, held within the years that are reported.
    pub fn of(date: Date) -> Self {
        let year = date.year().clamp(2000, 2199);
        Self { first: Date::new(year, date.month(), 1).expect("each month of these years begins") }
    }

    pub fn first(self) -> Date {
        self.first
    }

    pub fn last(self) -> Date {
        self.first.last_of_month()
    }

    pub fn next(self) -> Self {
        Self::of(self.first.checked_add(1.month()).unwrap_or(self.first))
    }

    pub fn previous(self) -> Self {
        Self::of(self.first.checked_sub(1.month()).unwrap_or(self.first))
    }

    /// Its first instant and that of the next month.
    pub fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let midnight = |date: Date| date.to_zoned(zone.clone()).map_or(Timestamp::MAX, |midnight| midnight.timestamp());
        (midnight(self.first), midnight(self.last().tomorrow().unwrap_or(Date::MAX)))
    }

    /// Its weeks from Monday to Sunday, first and last date; the outer ones are cut at its ends.
    pub fn weeks(self) -> Vec<(Date, Date)> {
        let mut weeks = Vec::new();
        let mut first = self.first;
        while first <= self.last() {
            let sunday = first.checked_add((6 - i64::from(first.weekday().to_monday_zero_offset())).days());
            let last = sunday.unwrap_or(Date::MAX).min(self.last());
            weeks.push((first, last));
            first = last.tomorrow().unwrap_or(Date::MAX);
        }
        weeks
    }

    /// «ноябрь 2026».
    pub fn title(self) -> String {
        const NAMES: [&str; 12] = [
            "январь",
            "февраль",
            "март",
            "апрель",
            "май",
            "июнь",
            "июль",
            "август",
            "сентябрь",
            "октябрь",
            "ноябрь",
            "декабрь",
        ];
        format!("{} {}", NAMES[self.first.month() as usize - 1], self.first.year())
    }

    /// «в ноябре».
    pub fn within(self) -> &'static str {
        const NAMES: [&str; 12] = [
            "в январе",
            "в феврале",
            "в марте",
            "в апреле",
            "в мае",
            "в июне",
            "в июле",
            "в августе",
            "в сентябре",
            "в октябре",
            "в ноябре",
            "в декабре",
        ];
        NAMES[self.first.month() as usize - 1]
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

/// A text that is no month that can be reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("«{0}» is not a month; write it as 2026-11")]
pub struct NotAMonth(String);

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let date: Option<Date> = (text.len() == 7).then(|| format!("{text}-01").parse().ok()).flatten();
        let known = date.filter(|date| (2000..=2199).contains(&date.year()));
        known.map(Self::of).ok_or_else(|| NotAMonth(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_as_they_are_written_and_nonsense_is_refused() {
        for text in ["2026-11", "2000-01", "2199-12"] {
            assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
        }
        for text in ["", "2026", "2026-13", "2026-1", "2026-11-01", "1999-12", "2200-01", "-999-01", "двадцат"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }

    #[test]
    fn neighbours_are_found_over_the_new_year_and_the_ends_hold() {
        let december: Month = "2026-12".parse().unwrap();
        assert_eq!(
            (december.next().to_string(), december.previous().to_string()),
            ("2027-01".into(), "2026-11".into())
        );
        let last: Month = "2199-12".parse().unwrap();
        assert!(last.next().next() >= Month::of(Date::new(2000, 1, 1).unwrap()));
    }

    #[test]
    fn a_month_begins_and_ends_at_the_midnights_of_its_zone() {
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        let (from, to) = "2026-11".parse::<Month>().unwrap().bounds(&zone);
        assert_eq!((from.to_string(), to.to_string()), ("2026-10-31T21:00:00Z".into(), "2026-11-30T21:00:00Z".into()));
    }

    #[test]
    fn the_weeks_of_a_month_cover_it_once() {
        let weeks = "2026-11".parse::<Month>().unwrap().weeks();
        let days: Vec<(i8, i8)> = weeks.iter().map(|(first, last)| (first.day(), last.day())).collect();
        assert_eq!(days, [(1, 1), (2, 8), (9, 15), (16, 22), (23, 29), (30, 30)]);
        assert_eq!("2027-02".parse::<Month>().unwrap().weeks().len(), 4);
    }
}
