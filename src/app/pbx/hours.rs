//! Working hours as the exchange's `GotoIfTime` reads them: `09:00-17:59,mon-fri,*,*,Europe/Moscow`.

use std::collections::BTreeMap;

use crate::core::calendar::{Calendar, Interval};
use crate::time::Weekday;

/// Monday first, as the exchange writes them.
const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "mon"),
    (Weekday::Tuesday, "tue"),
    (Weekday::Wednesday, "wed"),
    (Weekday::Thursday, "thu"),
    (Weekday::Friday, "fri"),
    (Weekday::Saturday, "sat"),
    (Weekday::Sunday, "sun"),
];
/// Minutes of a day.
const MIDNIGHT: u16 = 24 * 60;

/// The ordinary week of a calendar, one time for each interval and all its days. Holidays and exceptions are the service's
/// knowledge. Empty: never open.
pub(super) fn weekly_times(calendar: &Calendar) -> Vec<String> {
    let hours = calendar.hours();
    let zone = hours.time_zone().iana_name().unwrap_or("UTC");
    let mut days_of: BTreeMap<(u16, u16), [bool; 7]> = BTreeMap::new();
    for (index, (weekday, _)) in DAYS.iter().enumerate() {
        for interval in hours.on(*weekday) {
            days_of.entry(minutes(*interval)).or_default()[index] = true;
        }
    }
    days_of
        .into_iter()
        .map(|((from, to), days)| format!("{}-{},{},*,*,{zone}", time(from), time(to), weekdays(days)))
        .collect()
}

/// The first and the last minute: the exchange's times contain their end.
fn minutes(interval: Interval) -> (u16, u16) {
    (interval.start_minute(), interval.end_minute().min(MIDNIGHT) - 1)
}

fn time(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `mon-fri`, `mon&wed&fri-sun`.
fn weekdays(days: [bool; 7]) -> String {
    let mut runs = Vec::new();
    let mut day = 0;
    while day < days.len() {
        let length = days[day..].iter().take_while(|open| **open).count();
        match length {
            0 => day += 1,
            1 => runs.push(DAYS[day].1.to_owned()),
            _ => runs.push(format!("{}-{}", DAYS[day].1, DAYS[day + length - 1].1)),
        }
        day += length;
    }
    runs.join("&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::calendar::Hours;

    fn times(hours: serde_json::Value) -> Vec<String> {
        weekly_times(&Calendar::new(Hours::from_json(&hours).unwrap()))
    }

    #[test]
    fn the_closing_minute_is_not_among_the_times_of_the_exchange() {
        assert_eq!(weekly_times(&Calendar::new(Hours::default())), ["09:00-17:59,mon-fri,*,*,Europe/Moscow"]);
        assert_eq!(times(json!({"week": {"sun": ["23:59-24:00"]}, "timezone": "UTC"})), ["23:59-23:59,sun,*,*,UTC"]);
    }

    #[test]
    fn equal_intervals_share_a_time_whatever_days_they_are_on() {
        let week = json!({"mon": ["09:00-13:00", "14:00-18:00"], "tue": ["09:00-13:00"], "thu": ["09:00-13:00"], "fri": ["14:00-18:00"]});
        assert_eq!(
            times(json!({"week": week, "timezone": "Asia/Yekaterinburg"})),
            ["09:00-12:59,mon-tue&thu,*,*,Asia/Yekaterinburg", "14:00-17:59,mon&fri,*,*,Asia/Yekaterinburg"]
        );
    }

    #[test]
    fn a_week_without_hours_has_no_times() {
        assert_eq!(times(json!({"week": {}})), Vec::<String>::new());
    }
}
