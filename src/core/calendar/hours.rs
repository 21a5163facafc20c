//! When a line is meant to be answered: the section `[hours]` of the configuration, and what it makes of one date.

use serde::Serialize;
use serde_json::{Value, json};

use super::days::{DataSet, DayRule, Special};
use super::interval::Interval;
use super::published::HolidayData;
use crate::time::{Date, TimeZone, Weekday};

/// The words of the configuration for the days of the week, Monday first.
pub(super) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Working hours as the administrator wrote them. Read with [`Hours::from_json`] or through serde, from the shape
/// `{timezone, week, holidays, short_days, overrides}`; a missing key has the school's value. Always valid.
///
/// The default is the regulation's: daily 9:00 to 18:00, Moscow time, except weekends and public holidays.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    pub(super) time_zone: TimeZone,
    /// Monday first; each list is sorted and its intervals do not overlap, though they may touch.
    pub(super) week: [Vec<Interval>; 7],
    pub(super) holidays: Vec<DataSet>,
    pub(super) short_days: ShortDays,
    pub(super) overrides: Vec<Override>,
    /// What the sets of `holidays` say.
    pub(super) data: HolidayData,
}

/// What happens on the working day before a public holiday, which the Labour Code makes an hour shorter for staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortDays {
    /// The line stays open as on any day: the regulation names no exception.
    Ignore,
    /// The last interval ends this many minutes early.
    CloseEarly { minutes: u16 },
}

/// The administrator's word about some dates. The first of the list that covers a date and applies to it wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// First local date.
    pub from: Date,
    /// Last local date, included.
    pub to: Date,
    pub mode: OverrideMode,
    /// Why, for people. May be empty.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideMode {
    Closed,
    /// Open on any date, holidays too, with these hours.
    Open(Vec<Interval>),
    /// Other hours for the dates that are worked anyway.
    Hours(Vec<Interval>),
}

/// One local date under the rules of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Day<'h> {
    pub date: Date,
    pub rule: DayRule,
    /// A short day that closes early.
    pub shortened: bool,
    /// The name of the holiday, or the reason of the override; may be empty.
    pub title: &'h str,
    intervals: &'h [Interval],
    minutes_early: u16,
}

impl Hours {
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// The hours of this weekday in an ordinary week; empty on its day off.
    pub fn on(&self, weekday: Weekday) -> &[Interval] {
        &self.week[weekday.to_monday_zero_offset() as usize]
    }

    pub fn holidays(&self) -> &[DataSet] {
        &self.holidays
    }

    pub fn short_days(&self) -> ShortDays {
        self.short_days
    }

    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// The same hours with another list of overrides, for changes at run time.
    pub fn with_overrides(self, mut overrides: Vec<Override>) -> Self {
        for entry in &mut overrides {
            if let OverrideMode::Open(hours) | OverrideMode::Hours(hours) = &mut entry.mode {
                *hours = Interval::in_order(std::mem::take(hours));
            }
        }
        Self { overrides, ..self }
    }

    /// The shape that [`Hours::from_json`] reads. Equal hours give equal text.
    pub fn to_json(&self) -> Value {
        json!({
            "timezone": self.time_zone.iana_name().unwrap_or("UTC"),
            "week": week_to_json(&self.week),
            "holidays": self.holidays.iter().map(|set| set.as_str()).collect::<Vec<_>>(),
            "short_days": match self.short_days {
                ShortDays::Ignore => json!({"policy": "ignore"}),
                ShortDays::CloseEarly { minutes } => json!({"policy": "close_early", "minutes": minutes}),
            },
            "overrides": self.overrides.iter().map(Override::to_json).collect::<Vec<_>>(),
        })
    }

    /// What the rules make of one local date.
    pub fn day(&self, date: Date) -> Day<'_> {
        let plain = self.by_the_law(date);
        let overridden = self.overrides.iter().filter(|entry| entry.covers(date)).find_map(|entry| {
            let (rule, intervals): (_, &[Interval]) = match &entry.mode {
                OverrideMode::Closed => (DayRule::OverrideClosed, &[]),
                OverrideMode::Open(hours) => (DayRule::OverrideOpen, hours),
                OverrideMode::Hours(_) if plain.intervals.is_empty() => return None,
                OverrideMode::Hours(hours) => (DayRule::OverrideHours, hours),
            };
            Some(Day { rule, intervals, title: &entry.reason, ..plain.clone() })
        });
        overridden.unwrap_or_else(|| self.shortened(plain))
    }

    /// The same hours by other data about holidays.
    pub fn with_data(self, data: HolidayData) -> Self {
        Self { data, ..self }
    }

    pub fn data(&self) -> &HolidayData {
        &self.data
    }

    /// The same hours with another week, Monday first.
    pub fn with_week(self, week: [Vec<Interval>; 7]) -> Self {
        Self { week: week.map(Interval::in_order), ..self }
    }

    /// What the published calendars and the week say of a date, without overrides and short days.
    pub fn by_the_law(&self, date: Date) -> Day<'_> {
        let closed = |rule, title| Day { date, rule, shortened: false, title, intervals: &[], minutes_early: 0 };
        let federal = if self.follows(DataSet::Russia) { self.data.federal(date) } else { None };
        if let Some(Special::Holiday { name }) = federal {
            return closed(DayRule::Holiday, name);
        }
        if self.follows(DataSet::Chechnya)
            && let Some(name) = self.data.regional_holiday(date)
        {
            return closed(DayRule::RegionalHoliday, name);
        }
        let usual = self.on(date.weekday());
        match federal {
            // In a six-day week a Saturday is no day off, so there is nothing to move from it.
            Some(Special::DayOff { from }) if self.on(from).is_empty() => closed(DayRule::TransferredDayOff, ""),
            Some(Special::WorkingWeekend { instead_of }) if usual.is_empty() => {
                Day { intervals: self.on(instead_of), ..closed(DayRule::WorkingWeekend, "") }
            }
            _ if usual.is_empty() => closed(DayRule::Weekend, ""),
            _ => Day { intervals: usual, ..closed(DayRule::Workday, "") },
        }
    }

    fn shortened<'h>(&'h self, day: Day<'h>) -> Day<'h> {
        match self.short_days {
            ShortDays::CloseEarly { minutes }
                if !day.intervals.is_empty() && self.follows(DataSet::Russia) && self.data.is_short(day.date) =>
            {
                Day { shortened: true, minutes_early: minutes, ..day }
            }
            _ => day,
        }
    }

    pub(super) fn follows(&self, set: DataSet) -> bool {
        self.holidays.contains(&set)
    }
}

impl Default for Hours {
    fn default() -> Self {
        let nine_to_six = || vec![Interval { start: 9 * 60, end: 18 * 60 }];
        Self {
            time_zone: TimeZone::get("Europe/Moscow").expect("the zone data is inside the program"),
            week: std::array::from_fn(|day| if day < 5 { nine_to_six() } else { Vec::new() }),
            holidays: DataSet::ALL.to_vec(),
            short_days: ShortDays::Ignore,
            overrides: Vec::new(),
            data: HolidayData::built_in(),
        }
    }
}

impl Serialize for Hours {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'h> Day<'h> {
    /// The hours of the date by the clock on the wall, in order; none on a day off.
    pub fn intervals(&self) -> impl DoubleEndedIterator<Item = Interval> + use<'h> {
        let last = self.intervals.len().saturating_sub(1);
        let early = self.minutes_early;
        self.intervals
            .iter()
            .enumerate()
            .map(move |(at, interval)| match at == last {
                true => Interval { end: interval.end.saturating_sub(early), ..*interval },
                false => *interval,
            })
            .filter(|interval| interval.start < interval.end)
    }
}

impl Override {
    pub fn covers(&self, date: Date) -> bool {
        self.from <= date && date <= self.to
    }

    fn to_json(&self) -> Value {
        let (mode, hours) = match &self.mode {
            OverrideMode::Closed => ("closed", None),
            OverrideMode::Open(hours) => ("open", Some(hours)),
            OverrideMode::Hours(hours) => ("hours", Some(hours)),
        };
        let mut entry = json!({
            "from": self.from.to_string(), "to": self.to.to_string(), "mode": mode, "reason": self.reason,
        });
        if let Some(hours) = hours {
            entry["hours"] = texts(hours);
        }
        entry
    }
}

/// `{mon: ["09:00-18:00"], …}`, without the days off.
pub fn week_to_json(week: &[Vec<Interval>; 7]) -> Value {
    let worked = WEEKDAYS.iter().zip(week).filter(|(_, intervals)| !intervals.is_empty());
    worked.map(|(day, intervals)| ((*day).to_owned(), texts(intervals))).collect::<serde_json::Map<_, _>>().into()
}

fn texts(intervals: &[Interval]) -> Value {
    intervals.iter().map(Interval::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn hours(value: Value) -> Hours {
        Hours::from_json(&value).expect("good hours")
    }

    fn shown(day: &Day<'_>) -> String {
        let intervals: Vec<_> = day.intervals().map(|interval| interval.to_string()).collect();
        format!("{} {}{}", day.rule, intervals.join(" "), if day.shortened { " shortened" } else { "" })
    }

    #[test]
    fn a_day_off_is_not_moved_from_a_saturday_that_is_worked() {
        let five = Hours::default();
        let six = hours(json!({"week": {"mon": ["09:00-18:00"], "fri": ["09:00-18:00"], "sat": ["09:00-14:00"]}}));
        // 29 April 2024 was a day off for Saturday the 27th, which was worked instead.
        assert_eq!(shown(&five.day(date("2024-04-29"))), "transferred_day_off ");
        assert_eq!(shown(&five.day(date("2024-04-27"))), "working_weekend 09:00-18:00");
        assert_eq!(shown(&six.day(date("2024-04-29"))), "workday 09:00-18:00");
        assert_eq!(shown(&six.day(date("2024-04-27"))), "workday 09:00-14:00");
    }

    #[test]
    fn a_worked_weekend_instead_of_a_day_without_hours_stays_empty() {
        let no_mondays = hours(json!({"week": {"tue": ["09:00-18:00"]}}));
        assert_eq!(shown(&no_mondays.day(date("2024-04-27"))), "working_weekend ");
    }

    #[test]
    fn the_first_override_that_applies_wins_and_hours_alone_open_no_holiday() {
        let edited = hours(json!({"overrides": [
            {"from": "2026-12-30", "to": "2027-01-11", "mode": "hours", "hours": ["10:00-12:00"]},
            {"from": "2027-01-04", "to": "2027-01-05", "mode": "closed"},
            {"from": "2027-01-04", "to": "2027-01-06", "mode": "open", "hours": ["13:00-14:00"], "reason": "дежурство"},
        ]}));
        assert_eq!(shown(&edited.day(date("2026-12-30"))), "override_hours 10:00-12:00");
        assert_eq!(shown(&edited.day(date("2027-01-03"))), "holiday ");
        assert_eq!(shown(&edited.day(date("2027-01-05"))), "override_closed ");
        assert_eq!(shown(&edited.day(date("2027-01-06"))), "override_open 13:00-14:00");
        assert_eq!(edited.day(date("2027-01-06")).title, "дежурство");
        assert_eq!(shown(&edited.day(date("2027-01-11"))), "override_hours 10:00-12:00");
        assert_eq!(shown(&edited.day(date("2027-01-12"))), "workday 09:00-18:00");
    }

    #[test]
    fn a_short_day_loses_its_minutes_in_the_last_interval_only() {
        let short = |minutes: u16, intervals: &[&str]| {
            let week = json!({"fri": intervals});
            let policy = json!({"policy": "close_early", "minutes": minutes});
            shown(&hours(json!({"week": week, "short_days": policy})).day(date("2023-11-03")))
        };
        assert_eq!(short(60, &["09:00-18:00"]), "workday 09:00-17:00 shortened");
        assert_eq!(short(30, &["14:00-18:00", "09:00-13:00"]), "workday 09:00-13:00 14:00-17:30 shortened");
        assert_eq!(short(240, &["09:00-13:00", "14:00-18:00"]), "workday 09:00-13:00 shortened");
        assert_eq!(short(60, &["09:00-17:30", "17:30-18:00"]), "workday 09:00-17:30 shortened");
        assert_eq!(short(600, &["00:00-05:00"]), "workday  shortened");
    }

    #[test]
    fn an_override_or_a_line_without_the_federal_calendar_knows_no_short_days() {
        let policy = json!({"policy": "close_early", "minutes": 60});
        let entry = json!({"from": "2023-11-03", "to": "2023-11-03", "mode": "hours", "hours": ["09:00-16:00"]});
        let edited = hours(json!({"short_days": policy, "overrides": [entry]}));
        assert_eq!(shown(&edited.day(date("2023-11-03"))), "override_hours 09:00-16:00");
        let regional = hours(json!({"short_days": policy, "holidays": ["ru-ce"]}));
        assert_eq!(shown(&regional.day(date("2023-11-03"))), "workday 09:00-18:00");
    }

    #[test]
    fn hours_read_back_from_what_they_write() {
        let edited = hours(json!({"timezone": "Asia/Almaty", "short_days": {"policy": "close_early", "minutes": 45},
            "overrides": [{"from": "2027-01-04", "to": "2027-01-05", "mode": "open", "hours": ["13:00-24:00"]}]}));
        for hours in [edited, Hours::default()] {
            assert_eq!(Hours::from_json(&hours.to_json()), Ok(hours));
        }
    }
}
