//! When the next attempt is made: inside working time, never outside (R11).

use super::{Bench, LONGEST_DELAY_DAYS, Refusal};
use crate::core::calendar::{Calendar, WorkingHours};
use crate::time::{Timestamp, ToSpan};

/// After an attempt that reached nobody: one working hour later, then the next half-day, then the next working day
/// (UX §3).
pub(super) fn plan_next_attempt(bench: &Bench<'_>) -> Timestamp {
    let (now, calendar) = (bench.now, bench.calendar);
    let planned = match bench.vain_attempts {
        0 => calendar.due_after_hours(now, WorkingHours::from_hours(1)),
        1 => after_lunch(now, calendar).or_else(|| calendar.next_period(now).map(|period| period.start)),
        _ => next_day(now, calendar),
    };
    planned.unwrap_or(now)
}

/// 14:00 of the same date, if that still lies ahead and inside working time.
fn after_lunch(now: Timestamp, calendar: &Calendar) -> Option<Timestamp> {
    let local = now.to_zoned(calendar.time_zone().clone());
    let after_lunch = local.with().hour(14).minute(0).second(0).subsec_nanosecond(0).build().ok()?.timestamp();
    (after_lunch > now && calendar.period_at(after_lunch).is_some()).then_some(after_lunch)
}

/// The first opening of a later date.
fn next_day(now: Timestamp, calendar: &Calendar) -> Option<Timestamp> {
    let local = now.to_zoned(calendar.time_zone().clone());
    let midnight = local.checked_add(1.day()).ok()?.start_of_day().ok()?.timestamp();
    calendar.first_working_instant(midnight)
}

/// Attempts are planned inside working time, never outside (R11).
pub(super) fn into_working_time(wish: Timestamp, bench: &Bench<'_>) -> Result<Timestamp, Refusal> {
    if wish < bench.now {
        return Err(Refusal::InThePast);
    }
    if wish.as_millisecond() - bench.now.as_millisecond() > LONGEST_DELAY_DAYS * 24 * 3_600_000 {
        return Err(Refusal::TooFar);
    }
    bench.calendar.first_working_instant(wish).ok_or(Refusal::NoWorkingHours)
}
