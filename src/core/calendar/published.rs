//! The data files as they are published, read once and put in order for looking up a date.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};

use super::days::{DataSet, Special};
use crate::time::Date;

pub(super) static FEDERAL: LazyLock<Federal> = LazyLock::new(|| {
    let file = serde_json::from_str::<FederalFile>(DataSet::Russia.text());
    Federal::from(file.expect("ru.json is part of the program and a test reads it"))
});

pub(super) static REGIONAL: LazyLock<RegionalFile> = LazyLock::new(|| {
    let mut file = serde_json::from_str::<RegionalFile>(DataSet::Chechnya.text())
        .expect("ru-ce.json is part of the program and a test reads it");
    file.days.sort_by_key(|day| day.date);
    file
});

pub(super) struct Federal {
    pub updated: Date,
    first_year: i16,
    /// Without holes, from `first_year`.
    years: Vec<FederalYear>,
}

pub(super) struct FederalYear {
    pub official: bool,
    /// By date, each at most once.
    pub special: Vec<(Date, Special)>,
    pub short_days: Vec<Date>,
}

impl Federal {
    pub fn year(&self, year: i16) -> Option<&FederalYear> {
        self.years.get(usize::try_from(year.checked_sub(self.first_year)?).ok()?)
    }
}

impl From<FederalFile<'static>> for Federal {
    fn from(file: FederalFile<'static>) -> Self {
        let first_year = file.years.keys().next().copied().unwrap_or(0);
        let years = file.years.into_values().map(FederalYear::from).collect();
        Self { updated: file.updated, first_year, years }
    }
}

impl From<YearEntry<'static>> for FederalYear {
    fn from(year: YearEntry<'static>) -> Self {
        let holidays = year.holidays.into_iter().map(|day| (day.date, Special::Holiday { name: day.name }));
        let days_off = year.days_off.into_iter().map(|day| (day.date, Special::DayOff { from: day.from.weekday() }));
        let worked = year.working_weekends.into_iter();
        let worked = worked.map(|day| (day.date, Special::WorkingWeekend { instead_of: day.instead_of.weekday() }));
        let mut special: Vec<_> = holidays.chain(days_off).chain(worked).collect();
        special.sort_by_key(|(date, _)| *date);
        let mut short_days: Vec<_> = year.short_days.into_iter().map(|day| day.date).collect();
        short_days.sort();
        Self { official: year.status == YearStatus::Official, special, short_days }
    }
}

#[derive(Deserialize)]
struct FederalFile<'a> {
    #[serde(deserialize_with = "date")]
    updated: Date,
    #[serde(borrow)]
    years: BTreeMap<i16, YearEntry<'a>>,
}

#[derive(Deserialize)]
struct YearEntry<'a> {
    status: YearStatus,
    #[serde(borrow)]
    holidays: Vec<NamedDate<'a>>,
    days_off: Vec<DayOff>,
    working_weekends: Vec<WorkingWeekend>,
    short_days: Vec<ShortDay>,
    #[cfg(test)]
    totals: tests::Totals,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum YearStatus {
    Official,
    Provisional,
}

#[derive(Deserialize)]
struct NamedDate<'a> {
    #[serde(deserialize_with = "date")]
    date: Date,
    name: &'a str,
}

#[derive(Deserialize)]
struct DayOff {
    #[serde(deserialize_with = "date")]
    date: Date,
    #[serde(deserialize_with = "date")]
    from: Date,
    #[cfg(test)]
    basis: String,
}

#[derive(Deserialize)]
struct WorkingWeekend {
    #[serde(deserialize_with = "date")]
    date: Date,
    #[serde(deserialize_with = "date")]
    instead_of: Date,
}

#[derive(Deserialize)]
struct ShortDay {
    #[serde(deserialize_with = "date")]
    date: Date,
}

#[derive(Deserialize)]
pub(super) struct RegionalFile {
    #[serde(deserialize_with = "date")]
    pub updated: Date,
    pub days: Vec<RegionalDay>,
}

/// A day of the republic. Only announced days are applied; the others are for the administrator to decide.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RegionalDay {
    #[serde(deserialize_with = "date")]
    pub date: Date,
    pub name: String,
    pub status: RegionalStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RegionalStatus {
    Announced,
    Estimated,
    Uncertain,
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::super::days::{FIXED_HOLIDAYS, federal, is_weekend, unpublished};
    use super::*;

    /// The check sums of `ru.json`.
    #[derive(Deserialize)]
    pub struct Totals {
        days: usize,
        days_off: usize,
        working_days: usize,
        short_days: usize,
        hours_40h_week: usize,
    }

    fn file() -> FederalFile<'static> {
        serde_json::from_str(DataSet::Russia.text()).expect("ru.json")
    }

    #[test]
    fn every_date_of_the_federal_file_lies_in_its_year_and_in_one_list() {
        for (year, entry) in file().years {
            let off: Vec<Date> = entry.days_off.iter().map(|day| day.date).collect();
            let mut closed: Vec<Date> = entry.holidays.iter().map(|day| day.date).chain(off).collect();
            let worked = entry.working_weekends.iter().map(|day| day.date);
            let short = entry.short_days.iter().map(|day| day.date);
            assert!(
                closed.iter().copied().chain(worked.clone()).chain(short).all(|date| date.year() == year),
                "{year}"
            );
            assert!(worked.clone().all(|date| is_weekend(date) && !closed.contains(&date)), "{year}");
            closed.sort();
            let count = closed.len();
            closed.dedup();
            assert_eq!(closed.len(), count, "{year}: a date is both a holiday and a moved day off");
        }
    }

    #[test]
    fn a_decree_moves_days_off_from_weekends_and_every_worked_weekend_is_given_back() {
        for (year, entry) in file().years {
            for moved in entry.days_off.iter().filter(|day| day.basis == "decree") {
                assert!(is_weekend(moved.from), "{year}: {}", moved.from);
            }
            for worked in &entry.working_weekends {
                assert!(
                    entry.days_off.iter().any(|day| day.from == worked.date && day.date == worked.instead_of),
                    "{year}: {}",
                    worked.date
                );
            }
        }
    }

    #[test]
    fn the_totals_of_each_year_add_up() {
        for (year, entry) in file().years {
            let totals = &entry.totals;
            let all = std::iter::successors(Some(Date::constant(year, 1, 1)), |date| date.tomorrow().ok())
                .take_while(|date| date.year() == year);
            let off = all.clone().filter(|&date| match federal(date) {
                Some(Special::WorkingWeekend { .. }) => false,
                Some(_) => true,
                None => is_weekend(date),
            });
            assert_eq!((all.count(), off.count()), (totals.days, totals.days_off), "{year}");
            assert_eq!(totals.working_days, totals.days - totals.days_off, "{year}");
            assert_eq!(totals.short_days, entry.short_days.len(), "{year}");
            assert_eq!(totals.hours_40h_week, 8 * totals.working_days - totals.short_days, "{year}");
        }
    }

    #[test]
    fn the_years_of_the_federal_file_have_no_holes() {
        let years: Vec<i16> = file().years.into_keys().collect();
        assert!(years.windows(2).all(|pair| pair[1] == pair[0] + 1), "{years:?}");
    }

    #[test]
    fn the_fixed_dates_and_the_codes_own_shift_are_those_of_every_published_year() {
        for (year, entry) in file().years {
            let fixed: Vec<_> = entry.holidays.iter().map(|day| (day.date.month(), day.date.day())).collect();
            assert_eq!(fixed, FIXED_HOLIDAYS, "{year}");
            for moved in entry.days_off.iter().filter(|day| day.basis == "art112") {
                let shifted = Some(Special::DayOff { from: moved.from.weekday() });
                assert_eq!(unpublished(moved.date), shifted, "{year}: {}", moved.date);
            }
        }
    }
}
