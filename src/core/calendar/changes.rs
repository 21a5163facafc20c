//! Working hours as the school changed them while the service runs: they lie over the configuration, line by line.
//!
//! Of exceptions the newest that covers a date and applies wins, and any of them before what is configured: the same order
//! as in the list of overrides. Of the weeks and of the data the newest holds.

use super::closures::Closure;
use super::days::days_after;
use super::hours::{Hours, Override, OverrideMode};
use super::interval::Interval;
use super::published::HolidayData;
use super::{Calendar, DayRule};
use crate::core::line::LineId;
use crate::time::{Date, Weekday};

/// The longest exception, days: a school year.
pub const LONGEST_EXCEPTION_DAYS: i32 = 366;

/// Everything that was changed and is in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoursChanges {
    /// Newest first.
    pub exceptions: Vec<Exception>,
    /// Newest first.
    pub weeks: Vec<WeekChange>,
    /// Row, and the line or all of them; past ones too, for what was open then was counted then.
    pub closures: Vec<(i64, Option<LineId>, Closure)>,
    /// Data that an administrator put over those inside the program.
    pub data: Option<HolidayData>,
}

/// Some dates that differ from the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// The row; 0 while it is only being tried.
    pub id: i64,
    /// `None`: all lines.
    pub line: Option<LineId>,
    /// First local date.
    pub from: Date,
    /// Last local date, included.
    pub to: Date,
    pub mode: ExceptionMode,
    /// Why, for people. May be empty.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExceptionMode {
    /// A day off.
    Closed,
    /// Worked on every date with its usual hours; where the date has none, with those of the first working weekday.
    Worked,
    /// Open on every date with these hours.
    Open(Vec<Interval>),
    /// These hours on the dates that are worked anyway.
    Hours(Vec<Interval>),
    /// As the rules say: what older exceptions say of these dates does not hold.
    Rule,
}

/// Another ordinary week.
#[derive(Clone, Debug, PartialEq)]
pub struct WeekChange {
    pub id: i64,
    /// `None`: all lines.
    pub line: Option<LineId>,
    /// Monday first.
    pub week: [Vec<Interval>; 7],
}

impl Exception {
    pub fn covers(&self, date: Date) -> bool {
        self.from <= date && date <= self.to
    }

    /// As overrides, for hours without any run-time exception. «Worked» becomes one override for each run of dates with equal hours.
    fn overrides(&self, hours: &Hours) -> Vec<Override> {
        let one = |mode| vec![Override { from: self.from, to: self.to, mode, reason: self.reason.clone() }];
        match &self.mode {
            ExceptionMode::Rule => Vec::new(),
            ExceptionMode::Closed => one(OverrideMode::Closed),
            ExceptionMode::Open(hours) => one(OverrideMode::Open(hours.clone())),
            ExceptionMode::Hours(hours) => one(OverrideMode::Hours(hours.clone())),
            ExceptionMode::Worked => {
                let mut runs: Vec<Override> = Vec::new();
                let last = self.to.min(days_after(self.from, LONGEST_EXCEPTION_DAYS));
                let dates = std::iter::successors(Some(self.from), |date| date.tomorrow().ok());
                for date in dates.take_while(|date| *date <= last) {
                    let mode = OverrideMode::Open(hours.usual(date));
                    match runs.last_mut() {
                        Some(run) if run.mode == mode => run.to = date,
                        _ => runs.push(Override { from: date, to: date, mode, reason: self.reason.clone() }),
                    }
                }
                runs
            }
        }
    }
}

impl HoursChanges {
    /// The calendar of this line with what was changed for it or for all.
    pub fn over(&self, line: &LineId, calendar: &Calendar) -> Calendar {
        let concerns = |of: &Option<LineId>| of.as_ref().is_none_or(|of| of == line);
        let mut hours = calendar.hours().clone();
        if let Some(data) = &self.data {
            hours = hours.with_data(data.clone());
        }
        if let Some(change) = self.weeks.iter().find(|change| concerns(&change.line)) {
            hours = hours.with_week(change.week.clone());
        }
        let (mut overrides, mut by_the_rule): (Vec<Override>, Vec<&Exception>) = (Vec::new(), Vec::new());
        for exception in self.exceptions.iter().filter(|exception| concerns(&exception.line)) {
            if exception.mode == ExceptionMode::Rule {
                by_the_rule.push(exception);
            } else {
                overrides.extend(without(exception.overrides(&hours), &by_the_rule));
            }
        }
        overrides.extend_from_slice(hours.overrides());
        let closures = self.closures.iter().filter(|(_, of, _)| concerns(of)).map(|(.., closure)| closure.clone());
        Calendar::with_closures(hours.with_overrides(overrides), closures.collect())
    }

    /// Whether no exception changes this date of this line.
    pub fn is_by_the_rule(&self, line: &LineId, date: Date) -> bool {
        let concerns = |of: &Option<LineId>| of.as_ref().is_none_or(|of| of == line);
        let newest = self.exceptions.iter().find(|it| it.covers(date) && concerns(&it.line));
        newest.is_none_or(|newest| newest.mode == ExceptionMode::Rule)
    }
}

/// What is left of the overrides outside the dates of these exceptions.
fn without(mut left: Vec<Override>, exceptions: &[&Exception]) -> Vec<Override> {
    for Exception { from, to, .. } in exceptions {
        let parts = left.into_iter().flat_map(|it| {
            let before = (it.from < *from).then(|| Override { to: it.to.min(days_after(*from, -1)), ..it.clone() });
            let after = (it.to > *to).then(|| Override { from: it.from.max(days_after(*to, 1)), ..it });
            [before, after].into_iter().flatten()
        });
        left = parts.collect();
    }
    left
}

impl Hours {
    /// The hours of a date if it is worked: by the rules, else of its weekday, else of the first weekday that has any.
    fn usual(&self, date: Date) -> Vec<Interval> {
        let plain = self.by_the_law(date);
        if plain.rule == DayRule::Workday || plain.rule == DayRule::WorkingWeekend {
            return plain.intervals().collect();
        }
        let week = std::iter::successors(Some(Weekday::Monday), |day| Some(day.next())).take(7);
        let days = std::iter::once(date.weekday()).chain(week);
        days.map(|day| self.on(day)).find(|hours| !hours.is_empty()).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::Timestamp;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn exception(line: Option<&str>, from: &str, to: &str, mode: ExceptionMode) -> Exception {
        let line = line.map(LineId::new);
        Exception { id: 0, line, from: date(from), to: date(to), mode, reason: String::new() }
    }

    fn nine_to(hour: u16) -> Vec<Interval> {
        vec![Interval { start: 9 * 60, end: hour * 60 }]
    }

    fn shown(changes: &HoursChanges, configured: &Calendar, on: &str) -> String {
        let calendar = changes.over(&LineId::new("parents"), configured);
        let day = calendar.day(date(on));
        let hours: Vec<String> = day.intervals().map(|interval| interval.to_string()).collect();
        format!("{} {}", day.rule, hours.join(" "))
    }

    #[test]
    fn without_changes_the_calendar_and_its_version_stay() {
        let school = Calendar::new(Hours::default());
        let same = HoursChanges::default().over(&LineId::new("parents"), &school);
        assert_eq!(same.version(), school.version());
    }

    #[test]
    fn the_newest_exception_wins_and_any_of_them_before_the_configured_one() {
        let entry = json!({"from": "2026-11-25", "to": "2026-11-27", "mode": "closed"});
        let configured = Calendar::new(Hours::from_json(&json!({"overrides": [entry]})).expect("good hours"));
        let changes = HoursChanges {
            exceptions: vec![
                exception(None, "2026-11-26", "2026-11-26", ExceptionMode::Open(nine_to(12))),
                exception(None, "2026-11-26", "2026-11-28", ExceptionMode::Hours(nine_to(17))),
                exception(Some("staff"), "2026-11-26", "2026-11-28", ExceptionMode::Closed),
            ],
            ..HoursChanges::default()
        };
        assert_eq!(shown(&changes, &configured, "2026-11-25"), "override_closed ");
        assert_eq!(shown(&changes, &configured, "2026-11-26"), "override_open 09:00-12:00");
        assert_eq!(shown(&changes, &configured, "2026-11-27"), "override_hours 09:00-17:00");
        assert_eq!(shown(&changes, &configured, "2026-11-28"), "weekend ", "hours alone open no weekend");
        let changed = changes.over(&LineId::new("parents"), &configured);
        assert_ne!(changed.version(), configured.version());
    }

    #[test]
    fn worked_dates_have_the_hours_of_their_weekday_or_of_the_first_one_that_has_any() {
        let week = json!({"tue": ["10:00-16:00"], "wed": ["09:00-18:00"]});
        let configured = Calendar::new(Hours::from_json(&json!({"week": week})).expect("good hours"));
        let changes = HoursChanges {
            exceptions: vec![exception(None, "2026-11-01", "2026-11-04", ExceptionMode::Worked)],
            ..HoursChanges::default()
        };
        for (on, hours) in [
            ("2026-11-01", "override_open 10:00-16:00"),
            ("2026-11-02", "override_open 10:00-16:00"),
            ("2026-11-03", "override_open 10:00-16:00"),
            ("2026-11-04", "override_open 09:00-18:00"),
            ("2026-11-05", "weekend "),
        ] {
            assert_eq!(shown(&changes, &configured, on), hours, "{on}");
        }
    }

    #[test]
    fn back_to_the_rule_takes_its_dates_and_its_line_out_of_older_exceptions_alone() {
        let school = Calendar::new(Hours::default());
        let changes = HoursChanges {
            exceptions: vec![
                exception(None, "2026-11-24", "2026-11-24", ExceptionMode::Open(nine_to(12))),
                exception(Some("parents"), "2026-11-24", "2026-11-25", ExceptionMode::Rule),
                exception(None, "2026-11-23", "2026-11-26", ExceptionMode::Closed),
            ],
            ..HoursChanges::default()
        };
        for (on, hours) in [
            ("2026-11-23", "override_closed "),
            ("2026-11-24", "override_open 09:00-12:00"),
            ("2026-11-25", "workday 09:00-18:00"),
            ("2026-11-26", "override_closed "),
        ] {
            assert_eq!(shown(&changes, &school, on), hours, "{on}");
        }
        let staff = changes.over(&LineId::new("staff"), &school);
        assert_eq!(staff.day(date("2026-11-25")).rule, DayRule::OverrideClosed);
        assert!(changes.is_by_the_rule(&LineId::new("parents"), date("2026-11-25")));
        assert!(!changes.is_by_the_rule(&LineId::new("staff"), date("2026-11-25")));
    }

    #[test]
    fn the_newest_week_of_a_line_holds_and_a_closure_is_of_its_line_alone() {
        let school = Calendar::new(Hours::default());
        let week = |line: Option<&str>, hour: u16| WeekChange {
            id: 0,
            line: line.map(LineId::new),
            week: std::array::from_fn(|day| if day == 0 { nine_to(hour) } else { Vec::new() }),
        };
        let instant = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let period = super::super::Period {
            start: instant("2026-11-23T10:00:00+03:00"),
            end: instant("2026-11-23T11:00:00+03:00"),
        };
        let changes = HoursChanges {
            weeks: vec![week(Some("staff"), 12), week(None, 15)],
            closures: vec![(1, Some(LineId::new("staff")), Closure { period, reason: "авария".to_owned() })],
            ..HoursChanges::default()
        };
        assert_eq!(shown(&changes, &school, "2026-11-23"), "workday 09:00-15:00");
        let staff = changes.over(&LineId::new("staff"), &school);
        let parents = changes.over(&LineId::new("parents"), &school);
        assert!(!staff.is_open(period.start) && parents.is_open(period.start));
        assert!(staff.is_open(period.end), "the end belongs to the open time again");
        assert_eq!(staff.answer(period.start).time_state, super::super::TimeState::ClosedNow);
        assert_eq!(staff.closure_at(period.start).map(|closure| closure.reason.as_str()), Some("авария"));
    }
}
