//! The dates to come as the calendar will really answer them: what the public page, the poster and the school's site are
//! told. It is read from the calendar's own periods, the ones that decide about calls, so the two cannot disagree.

use super::calendar::{Calendar, DayRule, Period};
use crate::time::{Date, Timestamp, ToSpan, Weekday};

/// Minutes after midnight by the clock on the wall, start and end; 1440 is the end of the day.
pub type Span = (u16, u16);

const MINUTES_A_DAY: u16 = 24 * 60;

/// One date to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayToCome {
    pub date: Date,
    pub rule: DayRule,
    /// The name of the holiday; may be empty. Empty where the school itself made an exception: its reason is not for the public.
    pub name: String,
    /// When calls are answered, in order; empty on a day off.
    pub hours: Vec<Span>,
    /// The hours are those of its weekday.
    pub usual: bool,
}

/// Dates without working time that follow one another, weekends in between included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaysOff {
    pub first: Date,
    pub last: Date,
    /// Of a single day; may be empty.
    pub name: String,
}

/// All working periods that end after `from` and begin before `until`, in order.
pub fn periods(calendar: &Calendar, from: Timestamp, until: Timestamp) -> Vec<Period> {
    let first = calendar.period_at(from).or_else(|| calendar.next_period(from));
    std::iter::successors(first, |period| calendar.next_period(period.end.max(period.start)))
        .take_while(|period| period.start < until)
        .collect()
}

/// The local date of `now` and the `count - 1` dates after it.
pub fn days(calendar: &Calendar, now: Timestamp, count: i32) -> Vec<DayToCome> {
    let today = calendar.local_date(now);
    let dates: Vec<Date> = (0..count).map_while(|day| today.checked_add(day.days()).ok()).collect();
    let midnight = |date: Date| date.to_zoned(calendar.time_zone().clone()).map_or(Timestamp::MAX, |at| at.timestamp());
    let Some(end) = dates.last().and_then(|last| last.tomorrow().ok()) else { return Vec::new() };
    let periods = periods(calendar, midnight(today), midnight(end));
    let mut hours = periods.iter().flat_map(|period| by_date(calendar, *period, today, end)).peekable();
    let day = |date: Date| {
        let mut of_date = Vec::new();
        while let Some((_, span)) = hours.next_if(|(day, _)| *day <= date) {
            of_date.push(span);
        }
        let day = calendar.day(date);
        let usual = of_date == usual_hours(calendar, date.weekday());
        let name = if day.rule.is_of_the_school() { "" } else { day.title };
        DayToCome { date, rule: day.rule, name: name.to_owned(), hours: of_date, usual }
    };
    dates.into_iter().map(day).collect()
}

/// The part of a period that lies on each of its dates, from `first` on and before `end`.
fn by_date(calendar: &Calendar, period: Period, first: Date, end: Date) -> impl Iterator<Item = (Date, Span)> + use<> {
    let local = |at: Timestamp| {
        let at = at.to_zoned(calendar.time_zone().clone());
        (at.date(), at.hour() as u16 * 60 + at.minute() as u16)
    };
    let ((from_date, from), (until_date, until)) = (local(period.start), local(period.end));
    std::iter::successors(Some(first.max(from_date)), |date| date.tomorrow().ok())
        .take_while(move |date| *date < end && (*date, 0) < (until_date, until))
        .map(move |date| {
            let start = if date == from_date { from } else { 0 };
            (date, (start, if date == until_date { until } else { MINUTES_A_DAY }))
        })
}

/// The hours of an ordinary week on this weekday; intervals that touch are one, as periods are.
pub fn usual_hours(calendar: &Calendar, weekday: Weekday) -> Vec<Span> {
    let mut hours: Vec<Span> = Vec::new();
    for interval in calendar.hours().on(weekday) {
        match hours.last_mut() {
            Some((_, end)) if *end == interval.start_minute() => *end = interval.end_minute(),
            _ => hours.push((interval.start_minute(), interval.end_minute())),
        }
    }
    hours
}

/// Stretches of days off with at least one that an ordinary week would work, from the first such to the last.
pub fn days_off(days: &[DayToCome]) -> Vec<DaysOff> {
    let stretches = days.split(|day| !day.hours.is_empty());
    stretches
        .filter_map(|stretch| {
            let (first, last) = (stretch.iter().find(|day| !day.usual)?, stretch.iter().rfind(|day| !day.usual)?);
            let name = if first.date == last.date { first.name.clone() } else { String::new() };
            Some(DaysOff { first: first.date, last: last.date, name })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::calendar::Hours;

    fn calendar(hours: serde_json::Value) -> Calendar {
        Calendar::new(Hours::from_json(&hours).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shown(days: &[DayToCome]) -> Vec<String> {
        let day = |day: &DayToCome| format!("{} {:?} {}", day.date, day.hours, if day.usual { "" } else { "!" });
        days.iter().map(day).collect()
    }

    #[test]
    fn an_ordinary_weekend_is_usual_and_a_holiday_is_not() {
        let school = calendar(json!({}));
        let days = days(&school, at("2026-11-03T23:59:00+03:00"), 6);
        assert_eq!(
            shown(&days),
            [
                "2026-11-03 [(540, 1080)] ",
                "2026-11-04 [] !",
                "2026-11-05 [(540, 1080)] ",
                "2026-11-06 [(540, 1080)] ",
                "2026-11-07 [] ",
                "2026-11-08 [] ",
            ]
        );
        assert_eq!(
            days_off(&days)[..],
            [DaysOff { first: days[1].date, last: days[1].date, name: days[1].name.clone() }]
        );
        assert!(!days[1].name.is_empty());
    }

    #[test]
    fn holidays_around_a_weekend_are_one_stretch_that_begins_and_ends_with_them() {
        let closed = json!([{"from": "2026-12-10", "to": "2026-12-15", "mode": "closed", "reason": "ремонт"}]);
        let days = days(&calendar(json!({"overrides": closed})), at("2026-12-01T12:00:00+03:00"), 20);
        let off = days_off(&days);
        assert_eq!(off.len(), 1, "{off:?}");
        assert_eq!((off[0].first.day(), off[0].last.day(), off[0].name.as_str()), (10, 15, ""));
    }

    #[test]
    fn the_reason_of_an_exception_is_not_told_and_the_name_of_a_holiday_is() {
        let closed =
            |reason: &str| json!([{"from": "2026-11-05", "to": "2026-11-05", "mode": "closed", "reason": reason}]);
        let with = |reason: &str| {
            let days = days(&calendar(json!({"overrides": closed(reason)})), at("2026-11-03T12:00:00+03:00"), 4);
            assert!(!days[1].name.is_empty(), "{days:?}");
            days
        };
        assert_eq!(with("Мадина И. на больничном"), with("отключат свет"));
    }

    #[test]
    fn a_short_day_and_a_break_are_told_as_they_will_be() {
        let week = json!({"thu": ["09:00-13:00", "14:00-18:00"], "fri": ["09:00-12:00", "12:00-18:00"]});
        let short = json!({"policy": "close_early", "minutes": 60});
        // Friday 30 April 2027 is the working day before a holiday.
        let days = days(&calendar(json!({"week": week, "short_days": short})), at("2027-04-29T20:00:00+03:00"), 2);
        assert!(days[0].usual && days[0].hours == [(540, 780), (840, 1080)], "{days:?}");
        assert!(!days[1].usual && days[1].hours == [(540, 1020)], "{days:?}");
    }

    #[test]
    fn hours_around_the_clock_fill_each_date() {
        let all = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|day| (day.to_owned(), json!(["00:00-24:00"])));
        let always = calendar(json!({"week": serde_json::Map::from_iter(all), "holidays": []}));
        let days = days(&always, at("2026-11-20T19:30:00+03:00"), 120);
        assert!(days.len() == 120 && days.iter().all(|day| day.usual && day.hours == [(0, 1440)]), "{days:?}");
    }

    #[test]
    fn hours_over_midnight_lie_on_both_dates() {
        let night = calendar(json!({"week": {"fri": ["20:00-24:00"], "sat": ["00:00-02:00"]}, "holidays": []}));
        let days = days(&night, at("2026-11-20T12:00:00+03:00"), 3);
        assert_eq!(shown(&days), ["2026-11-20 [(1200, 1440)] ", "2026-11-21 [(0, 120)] ", "2026-11-22 [] "]);
    }

    #[test]
    fn the_dates_hold_exactly_the_instants_that_are_open() {
        let week = json!({"mon": ["09:00-13:00", "14:00-18:00"], "wed": ["00:00-24:00"], "thu": ["00:00-01:30"]});
        let closed = json!([{"from": "2026-11-25", "to": "2026-11-25", "mode": "closed"}]);
        let school = calendar(json!({"week": week, "overrides": closed}));
        let days = days(&school, at("2026-11-20T12:00:00+03:00"), 30);
        for day in &days {
            for minute in (0..1440).step_by(30) {
                let instant =
                    day.date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0).to_zoned(school.time_zone().clone());
                let told = day.hours.iter().any(|(from, until)| (*from..*until).contains(&(minute as u16)));
                assert_eq!(told, school.is_open(instant.unwrap().timestamp()), "{} {minute}", day.date);
            }
        }
    }

    #[test]
    fn without_working_hours_there_are_no_periods_and_every_day_is_usual() {
        let never = calendar(json!({"week": {}}));
        assert!(periods(&never, at("2026-11-20T12:00:00Z"), at("2027-11-20T12:00:00Z")).is_empty());
        let days = days(&never, at("2026-11-20T12:00:00Z"), 10);
        assert!(days_off(&days).is_empty() && days.len() == 10);
    }
}
