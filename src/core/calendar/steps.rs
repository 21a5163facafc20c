//! One change of the hours by a person, and what it makes of the changes in force. Nothing is ever taken away: a step ends or
//! replaces what was, and the store keeps both.

use super::changes::{Exception, HoursChanges, LONGEST_EXCEPTION_DAYS, WeekChange};
use super::closures::Closure;
use super::days::{DataSet, days_after};
use super::interval::Interval;
use super::periods::Period;
use super::published::HolidayData;
use crate::core::line::LineId;
use crate::time::Timestamp;

/// The most exceptions in force at once: many years of a school that makes one for every day.
pub const MOST_EXCEPTIONS: usize = 2000;
/// The longest reason, characters.
pub const LONGEST_REASON: usize = 300;

/// What a person changes about the hours.
#[derive(Clone, Debug, PartialEq)]
pub enum HoursStep {
    /// One from the page, or many from a file. Ids are not looked at.
    Except(Vec<Exception>),
    /// Back to the rule: these exceptions end.
    EndExceptions(Vec<i64>),
    Week {
        line: Option<LineId>,
        week: [Vec<Interval>; 7],
    },
    /// Closes the line from now on.
    Close {
        line: Option<LineId>,
        until: Timestamp,
        reason: String,
    },
    /// Opens a closed line before its time.
    OpenAgain {
        id: i64,
    },
    /// A newer file about holidays.
    TakeData {
        set: DataSet,
        text: String,
    },
    /// Back to the file inside the program.
    TakeBuiltIn {
        set: DataSet,
    },
}

/// Why a step cannot be made. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepRefusal {
    #[error("what should end is in force no longer")]
    Gone,
    #[error("more than {MOST_EXCEPTIONS} exceptions at once")]
    TooMany,
    #[error("longer than {LONGEST_EXCEPTION_DAYS} days")]
    TooLong,
    #[error("the last date is before the first")]
    Backwards,
    #[error("the end is not in the future")]
    InThePast,
    #[error("the reason is too long")]
    LongReason,
    #[error("the file is not as it should be: {}", .0.join(" "))]
    BadData(Vec<String>),
    #[error("this file is in use already")]
    SameData,
}

impl HoursStep {
    /// The word in the audit.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Except(_) => "hours_exception",
            Self::EndExceptions(_) => "hours_rule",
            Self::Week { .. } => "hours_week",
            Self::Close { .. } => "hours_close",
            Self::OpenAgain { .. } => "hours_open_again",
            Self::TakeData { .. } => "hours_data",
            Self::TakeBuiltIn { .. } => "hours_built_in_data",
        }
    }
}

impl HoursChanges {
    /// The changes in force after this step at `now`. Pure: for looking at it before it is done, and for doing it.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn after(&self, step: &HoursStep, now: Timestamp) -> Result<Self, StepRefusal> {
        let mut changes = self.clone();
        match step {
            HoursStep::Except(new) => {
                for exception in new {
                    check(exception)?;
                }
                changes.exceptions.retain(|old| !new.iter().any(|new| replaces(new, old)));
                changes.exceptions.splice(0..0, new.iter().rev().cloned());
                if changes.exceptions.len() > MOST_EXCEPTIONS {
                    return Err(StepRefusal::TooMany);
                }
            }
            HoursStep::EndExceptions(ids) => {
                if ids.is_empty() || !ids.iter().all(|id| self.exceptions.iter().any(|old| old.id == *id)) {
                    return Err(StepRefusal::Gone);
                }
                changes.exceptions.retain(|old| !ids.contains(&old.id));
            }
            HoursStep::Week { line, week } => {
                changes.weeks.retain(|old| !week_replaces(line, old));
                changes.weeks.insert(0, WeekChange { id: 0, line: line.clone(), week: week.clone() });
            }
            HoursStep::Close { line, until, reason } => {
                check_reason(reason)?;
                if *until <= now {
                    return Err(StepRefusal::InThePast);
                }
                if until.duration_since(now).as_hours() > 24 * i64::from(LONGEST_EXCEPTION_DAYS) {
                    return Err(StepRefusal::TooLong);
                }
                let period = Period { start: now, end: *until };
                changes.closures.push((0, line.clone(), Closure { period, reason: reason.clone() }));
            }
            HoursStep::OpenAgain { id } => {
                let is_it =
                    |closure: &&mut (i64, Option<LineId>, Closure)| closure.0 == *id && closure.2.period.contains(now);
                let closure = changes.closures.iter_mut().find(is_it).ok_or(StepRefusal::Gone)?;
                closure.2.period.end = now;
            }
            HoursStep::TakeData { set, text } => {
                let data = self.data.clone().unwrap_or_else(HolidayData::built_in);
                let changed = data.with(*set, text).map_err(StepRefusal::BadData)?;
                if changed == data {
                    return Err(StepRefusal::SameData);
                }
                changes.data = Some(changed);
            }
            HoursStep::TakeBuiltIn { set } => {
                let data = self.data.as_ref().ok_or(StepRefusal::SameData)?;
                let changed = data.with(*set, set.text()).map_err(StepRefusal::BadData)?;
                if changed == *data {
                    return Err(StepRefusal::SameData);
                }
                changes.data = (changed != HolidayData::built_in()).then_some(changed);
            }
        }
        Ok(changes)
    }

    /// The exceptions in force that a step takes the place of.
    pub fn replaced_by(&self, step: &HoursStep) -> Vec<i64> {
        match step {
            HoursStep::Except(new) => {
                let gone = |old: &&Exception| new.iter().any(|new| replaces(new, old));
                self.exceptions.iter().filter(gone).map(|old| old.id).collect()
            }
            HoursStep::EndExceptions(ids) => ids.clone(),
            HoursStep::Week { line, .. } => {
                self.weeks.iter().filter(|old| week_replaces(line, old)).map(|old| old.id).collect()
            }
            HoursStep::Close { .. }
            | HoursStep::OpenAgain { .. }
            | HoursStep::TakeData { .. }
            | HoursStep::TakeBuiltIn { .. } => Vec::new(),
        }
    }
}

/// Whether nothing of the old one is left in force under the new one.
fn replaces(new: &Exception, old: &Exception) -> bool {
    (new.line.is_none() || new.line == old.line) && new.from <= old.from && old.to <= new.to && applies_everywhere(new)
}

/// Hours for worked dates alone leave the others to what lies beneath.
fn applies_everywhere(exception: &Exception) -> bool {
    !matches!(exception.mode, super::ExceptionMode::Hours(_))
}

fn week_replaces(line: &Option<LineId>, old: &WeekChange) -> bool {
    line.is_none() || *line == old.line
}

fn check(exception: &Exception) -> Result<(), StepRefusal> {
    check_reason(&exception.reason)?;
    if exception.to < exception.from {
        return Err(StepRefusal::Backwards);
    }
    if days_after(exception.from, LONGEST_EXCEPTION_DAYS - 1) < exception.to {
        return Err(StepRefusal::TooLong);
    }
    Ok(())
}

fn check_reason(reason: &str) -> Result<(), StepRefusal> {
    if reason.chars().count() > LONGEST_REASON { Err(StepRefusal::LongReason) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::ExceptionMode;
    use super::*;
    use crate::time::Date;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00+03:00".parse().expect("an instant")
    }

    fn off(id: i64, line: Option<&str>, from: i8, to: i8, mode: ExceptionMode) -> Exception {
        let date = |day| Date::constant(2026, 11, day);
        let line = line.map(LineId::new);
        Exception { id, line, from: date(from), to: date(to), mode, reason: String::new() }
    }

    #[test]
    fn an_exception_takes_the_place_of_what_it_covers_and_of_nothing_else() {
        let closed = || ExceptionMode::Closed;
        let old = HoursChanges {
            exceptions: vec![
                off(3, Some("staff"), 24, 24, closed()),
                off(2, None, 24, 25, closed()),
                off(1, None, 23, 25, closed()),
            ],
            ..HoursChanges::default()
        };
        let replaced = |new: Exception| old.replaced_by(&HoursStep::Except(vec![new]));
        assert_eq!(replaced(off(0, None, 24, 25, closed())), [3, 2]);
        assert_eq!(replaced(off(0, Some("staff"), 20, 27, closed())), [3]);
        assert_eq!(replaced(off(0, None, 20, 27, ExceptionMode::Hours(Vec::new()))), [0; 0]);
        let after = old.after(&HoursStep::Except(vec![off(0, None, 24, 25, closed())]), now()).expect("a good step");
        assert_eq!(after.exceptions.iter().map(|it| it.id).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(old.after(&HoursStep::EndExceptions(vec![2, 9]), now()), Err(StepRefusal::Gone));
    }

    #[test]
    fn a_closure_ends_in_the_future_and_is_ended_once() {
        let close = |until: &str| {
            let until = until.parse().expect("an instant");
            HoursStep::Close { line: None, until, reason: String::new() }
        };
        let none = HoursChanges::default();
        assert_eq!(none.after(&close("2026-11-23T12:00:00+03:00"), now()), Err(StepRefusal::InThePast));
        assert_eq!(none.after(&close("2028-11-23T12:00:00+03:00"), now()), Err(StepRefusal::TooLong));
        let closed = none.after(&close("2026-11-23T15:00:00+03:00"), now()).expect("a good step");
        let later = "2026-11-23T13:00:00+03:00".parse().expect("an instant");
        let open = closed.after(&HoursStep::OpenAgain { id: 0 }, later).expect("a good step");
        assert_eq!(open.closures[0].2.period, Period { start: now(), end: later });
        assert_eq!(open.after(&HoursStep::OpenAgain { id: 0 }, later), Err(StepRefusal::Gone));
    }

    #[test]
    fn data_are_taken_once_and_given_back_to_the_program() {
        let none = HoursChanges::default();
        let set = DataSet::Chechnya;
        assert_eq!(none.after(&HoursStep::TakeBuiltIn { set }, now()), Err(StepRefusal::SameData));
        let same = HoursStep::TakeData { set, text: set.text().to_owned() };
        assert_eq!(none.after(&same, now()), Err(StepRefusal::SameData));
        let text = set.text().replace("\"estimated\"", "\"announced\"");
        let taken = none.after(&HoursStep::TakeData { set, text }, now()).expect("a good file");
        assert!(taken.data.is_some());
        assert_eq!(taken.after(&HoursStep::TakeBuiltIn { set }, now()), Ok(none));
    }
}
