//! What another file about holidays would change, day by day, for a person to look at before taking it.

use std::fmt;

use super::days::{DataSet, Special, days_after};
use super::published::HolidayData;
use crate::core::wording::day_and_month;
use crate::time::{Date, Weekday};

/// One date, or one year, about which two files differ. Shown in Russian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// What the one and the other say of a date; `None`: nothing. At least one says something.
    Date { date: Date, before: Option<String>, after: Option<String>, short: bool },
    /// Whether the days off of a year are settled.
    Year { year: i16, official: bool },
}

/// In the order of time. The files of other sets are not looked at.
pub fn differences(before: &HolidayData, after: &HolidayData, set: DataSet) -> Vec<Difference> {
    let spans: Vec<_> = [before, after].into_iter().filter_map(|data| data.span(set)).collect();
    let Some(first) = spans.iter().map(|(first, _)| *first).min() else { return Vec::new() };
    let last = spans.iter().map(|(_, last)| *last).max().unwrap_or(first);
    let mut found = Vec::new();
    let mut date = first;
    while date <= last {
        if set == DataSet::Russia && date.day_of_year() == 1 {
            let year = date.year();
            let official = after.is_official(year);
            if official != before.is_official(year) {
                found.push(Difference::Year { year, official });
            }
        }
        let (was, will) = (said(before, set, date), said(after, set, date));
        if was != will {
            let short = set == DataSet::Russia && after.is_short(date);
            found.push(Difference::Date { date, before: was, after: will, short });
        }
        if date == Date::MAX {
            break;
        }
        date = days_after(date, 1);
    }
    found
}

/// «День Победы», «выходной, перенесён с субботы», «сокращённый день».
fn said(data: &HolidayData, set: DataSet, date: Date) -> Option<String> {
    match set {
        DataSet::Chechnya => data.regional_holiday(date).map(str::to_owned),
        DataSet::Russia => {
            let special = data.federal(date).map(|special| match special {
                Special::Holiday { name } => name.to_owned(),
                Special::DayOff { from } => format!("выходной, перенесён {}", moved_from(from)),
                Special::WorkingWeekend { .. } => "рабочий выходной".to_owned(),
            });
            let short = data.is_short(date).then(|| "сокращённый день".to_owned());
            match (special, short) {
                (Some(special), Some(short)) => Some(format!("{special}, {short}")),
                (special, short) => special.or(short),
            }
        }
    }
}

fn moved_from(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "с понедельника",
        Weekday::Tuesday => "со вторника",
        Weekday::Wednesday => "со среды",
        Weekday::Thursday => "с четверга",
        Weekday::Friday => "с пятницы",
        Weekday::Saturday => "с субботы",
        Weekday::Sunday => "с воскресенья",
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Year { year, official: true } => write!(f, "{year} год станет утверждённым."),
            Self::Year { year, official: false } => write!(f, "{year} год станет предварительным."),
            Self::Date { date, before, after, .. } => {
                let day = format!("{} {}", day_and_month(*date), date.year());
                match (before, after) {
                    (None, Some(after)) => write!(f, "Добавится: {day}, {after}."),
                    (Some(before), None) => write!(f, "Исчезнет: {day}, {before}."),
                    (before, after) => {
                        let word = |said: &Option<String>| said.clone().unwrap_or_else(|| "обычный день".to_owned());
                        write!(f, "Изменится: {day}, было «{}», будет «{}».", word(before), word(after))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_newer_file_adds_and_takes_is_told_and_equal_files_differ_in_nothing() {
        let built_in = HolidayData::built_in();
        for set in DataSet::ALL {
            assert_eq!(differences(&built_in, &built_in, set), []);
        }
        let mut file: Value = serde_json::from_str(DataSet::Chechnya.text()).expect("ru-ce.json");
        let days = file["days"].as_array_mut().expect("days");
        days.retain(|day| day["date"] != "2026-03-23");
        for day in days.iter_mut().filter(|day| day["date"] == "2027-03-09") {
            day["status"] = json!("announced");
        }
        let newer = built_in.with(DataSet::Chechnya, &file.to_string()).expect("a good file");
        let told: Vec<String> =
            differences(&built_in, &newer, DataSet::Chechnya).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("Исчезнет: 23 марта 2026, День Конституции"), "{told:?}");
        assert!(told[1].starts_with("Добавится: 9 марта 2027, Ураза"), "{told:?}");
    }

    #[test]
    fn short_days_and_moved_days_are_told_too() {
        let mut file: Value = serde_json::from_str(DataSet::Russia.text()).expect("ru.json");
        let year = &mut file["years"]["2026"];
        let short = year["short_days"].as_array_mut().expect("short days");
        let gone = short.remove(0);
        let hours = year["totals"]["hours_40h_week"].as_u64().expect("hours");
        let count = year["totals"]["short_days"].as_u64().expect("a count");
        year["totals"]["hours_40h_week"] = json!(hours + 1);
        year["totals"]["short_days"] = json!(count - 1);
        let older = HolidayData::built_in().with(DataSet::Russia, &file.to_string()).expect("a good file");
        let found = differences(&older, &HolidayData::built_in(), DataSet::Russia);
        let [Difference::Date { date, short: true, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(json!(date.to_string()), gone["date"]);
        assert!(found[0].to_string().ends_with("сокращённый день."), "{}", found[0]);
    }
}
