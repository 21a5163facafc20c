//! What the law says about a date: the data sets `ru` (federal) and `ru-ce` (Chechen Republic) and the years nobody has
//! published yet. The files are facts taken from legal acts; where each comes from is written in the files themselves.

use std::fmt;
use std::str::FromStr;

use super::published::{HolidayData, RegionalDay, RegionalStatus};
use crate::time::{Date, ToSpan, Weekday};

/// Public holidays of the Labour Code, article 112 part 1, as (month, day). The first eight move no day off by themselves:
/// the yearly act of the government decides about 1 to 8 January.
pub(super) const FIXED_HOLIDAYS: [(i8, i8); 14] =
    [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)];

/// A list of public holidays that a line can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataSet {
    /// `ru`: the federal calendar.
    Russia,
    /// `ru-ce`: regional holidays of the Chechen Republic.
    Chechnya,
}

impl DataSet {
    pub const ALL: [Self; 2] = [Self::Russia, Self::Chechnya];

    /// The word of the configuration: `ru` or `ru-ce`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Russia => "ru",
            Self::Chechnya => "ru-ce",
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Russia => include_str!("ru.json"),
            Self::Chechnya => include_str!("ru-ce.json"),
        }
    }
}

/// Why a date is worked or not. The words of [`DayRule::as_str`] are stored with every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DayRule {
    Holiday,
    RegionalHoliday,
    TransferredDayOff,
    WorkingWeekend,
    Weekend,
    Workday,
    OverrideClosed,
    OverrideOpen,
    OverrideHours,
}

impl DayRule {
    pub const ALL: [Self; 9] = [
        Self::Holiday,
        Self::RegionalHoliday,
        Self::TransferredDayOff,
        Self::WorkingWeekend,
        Self::Weekend,
        Self::Workday,
        Self::OverrideClosed,
        Self::OverrideOpen,
        Self::OverrideHours,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holiday => "holiday",
            Self::RegionalHoliday => "regional_holiday",
            Self::TransferredDayOff => "transferred_day_off",
            Self::WorkingWeekend => "working_weekend",
            Self::Weekend => "weekend",
            Self::Workday => "workday",
            Self::OverrideClosed => "override_closed",
            Self::OverrideOpen => "override_open",
            Self::OverrideHours => "override_hours",
        }
    }

    /// Decided by the school, not by the law or its week.
    pub fn is_of_the_school(self) -> bool {
        matches!(self, Self::OverrideClosed | Self::OverrideOpen | Self::OverrideHours)
    }
}

impl fmt::Display for DayRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DayRule {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == word).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

/// A word from outside (a row of the database, a request) that is none of the calendar's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("«{0}» is not a word of the working calendar")]
pub struct UnknownWord(pub String);

/// What the federal calendar says about a date that is not an ordinary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special<'d> {
    Holiday {
        name: &'d str,
    },
    /// Not worked, because the day off of a date with this weekday was moved here.
    DayOff {
        from: Weekday,
    },
    /// A Saturday or Sunday that is worked with the hours of this weekday.
    WorkingWeekend {
        instead_of: Weekday,
    },
}

impl HolidayData {
    pub(super) fn federal(&self, date: Date) -> Option<Special<'_>> {
        match self.federal.year(date.year()) {
            Some(year) => year.special(date),
            None => unpublished(date),
        }
    }

    /// Whether the date is an hour shorter for staff (Labour Code, article 95). Known for published years only.
    pub(super) fn is_short(&self, date: Date) -> bool {
        self.federal.year(date.year()).is_some_and(|year| year.short_days.binary_search(&date).is_ok())
    }

    /// Whether the government's act on the days off of this year is out and in our data.
    pub(super) fn is_official(&self, year: i16) -> bool {
        self.federal.year(year).is_some_and(|year| year.official)
    }

    /// The regional holiday on this date, if an act names it.
    pub(super) fn regional_holiday(&self, date: Date) -> Option<&str> {
        let at = self.regional.days.binary_search_by_key(&date, |day| day.date).ok()?;
        let day = &self.regional.days[at];
        (day.status == RegionalStatus::Announced).then_some(day.name.as_str())
    }

    /// All days of the republic between two dates, both included, whatever their status.
    pub(super) fn regional_days(&self, from: Date, to: Date) -> impl Iterator<Item = &RegionalDay> {
        let first = self.regional.days.partition_point(|day| day.date < from);
        self.regional.days[first..].iter().take_while(move |day| day.date <= to)
    }
}

/// A year without an entry: the fixed dates, and the Code's own shift. A holiday on a weekend, 1 to 8 January aside, moves
/// its day off to the next working day.
pub(super) fn unpublished(date: Date) -> Option<Special<'static>> {
    if is_fixed_holiday(date) {
        return Some(Special::Holiday { name: "Праздничный день" });
    }
    if is_weekend(date) {
        return None;
    }
    let mut before = date.yesterday().ok()?;
    while is_weekend(before) || is_fixed_holiday(before) {
        if is_weekend(before) && is_fixed_holiday(before) && before.month() != 1 {
            return Some(Special::DayOff { from: before.weekday() });
        }
        before = before.yesterday().ok()?;
    }
    None
}

pub(super) fn is_fixed_holiday(date: Date) -> bool {
    FIXED_HOLIDAYS.contains(&(date.month(), date.day()))
}

pub(super) fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The date so many days away, held at the ends of the library's years.
pub(super) fn days_after(date: Date, days: i32) -> Date {
    date.checked_add(days.days()).unwrap_or(if days < 0 { Date::MIN } else { Date::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn data() -> HolidayData {
        HolidayData::built_in()
    }

    #[test]
    fn an_unpublished_year_shifts_a_weekend_holiday_to_the_next_working_day_but_not_january() {
        // In 2033, 1 May is a Sunday and 8 January a Saturday; 12 June is a Sunday.
        assert_eq!(data().federal(day("2033-05-02")), Some(Special::DayOff { from: Weekday::Sunday }));
        assert_eq!(data().federal(day("2033-06-13")), Some(Special::DayOff { from: Weekday::Sunday }));
        assert_eq!(data().federal(day("2033-01-10")), None);
        assert!(matches!(data().federal(day("2033-01-08")), Some(Special::Holiday { .. })));
        assert!(!data().is_official(2028) && !data().is_official(2033) && data().is_official(2027));
    }

    #[test]
    fn only_announced_days_of_the_republic_are_holidays() {
        assert!(data().regional_holiday(day("2026-05-27")).is_some());
        assert!(data().regional_holiday(day("2027-03-09")).is_none(), "estimated");
        assert!(data().regional_holiday(day("2024-03-25")).is_none(), "uncertain");
    }

    #[test]
    fn the_words_of_the_day_rules_read_back() {
        for rule in DayRule::ALL {
            assert_eq!(rule.as_str().parse(), Ok(rule));
        }
        assert!("Holiday".parse::<DayRule>().is_err());
    }
}
