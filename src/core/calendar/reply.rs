//! What the calendar says about an instant, written down for programs: one shape for the command line and the API.

use jiff::tz::Offset;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{Answer, Calendar, Period, WorkingHours};
use crate::time::Timestamp;

/// A question about an instant. Terms and later instants keep the text they were written with: it names them in the answer.
pub struct Question {
    pub at: Timestamp,
    pub due_hours: Vec<(String, WorkingHours)>,
    pub due_working_days: Vec<(String, u32)>,
    pub until: Vec<(String, Timestamp)>,
}

impl Question {
    /// Only whether it is open, and when next.
    pub fn at(at: Timestamp) -> Self {
        Self { at, due_hours: Vec::new(), due_working_days: Vec::new(), until: Vec::new() }
    }
}

/// Open or closed at an instant, why, and when next.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hours)]
pub struct Reply {
    pub open: bool,
    /// The instant on the clock of the line, RFC 3339.
    pub local: String,
    /// Why the local date is worked or not, for example `workday`, `weekend`, `holiday`.
    pub day_rule: &'static str,
    /// The date is a short day and closes early.
    pub shortened: bool,
    /// `open`, `closed_day`, `before_opening`, `after_closing`, `break` or `closed_now`.
    pub time_state: &'static str,
    /// The working period that contains the instant.
    pub current_period: Option<WrittenPeriod>,
    /// The first that starts strictly later, within 400 days.
    pub next_period: Option<WrittenPeriod>,
    /// For each term that was asked about, in working hours: when it is over.
    #[serde(serialize_with = "as_object")]
    #[schema(value_type = std::collections::HashMap<String, Option<String>>)]
    pub due_hours: Vec<(String, Option<String>)>,
    /// The same in working days.
    #[serde(serialize_with = "as_object")]
    #[schema(value_type = std::collections::HashMap<String, Option<String>>)]
    pub due_working_days: Vec<(String, Option<String>)>,
    /// For each later instant that was asked about: milliseconds of working time until then.
    #[serde(serialize_with = "as_object")]
    #[schema(value_type = std::collections::HashMap<String, i64>)]
    pub working_ms_until: Vec<(String, i64)>,
}

/// A working period, RFC 3339 with the offset of the line's zone. The end is not part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HoursPeriod)]
pub struct WrittenPeriod {
    pub start: String,
    pub end: String,
}

impl Calendar {
    pub fn reply(&self, question: &Question) -> Reply {
        let Question { at, due_hours, due_working_days, until } = question;
        let Answer { open, day_rule, shortened, time_state, current_period, next_period, .. } = self.answer(*at);
        let write = |at: Timestamp| self.written(at);
        let period = |period: Period| WrittenPeriod { start: write(period.start), end: write(period.end) };
        let due_hours =
            due_hours.iter().map(|(name, hours)| (name.clone(), self.due_after_hours(*at, *hours).map(write)));
        let due_working_days = due_working_days
            .iter()
            .map(|(name, days)| (name.clone(), self.due_after_working_days(*at, *days).map(write)));
        let until = until.iter().map(|(name, until)| (name.clone(), self.working_ms_between(*at, *until)));
        Reply {
            open,
            local: write(*at),
            day_rule: day_rule.as_str(),
            shortened,
            time_state: time_state.as_str(),
            current_period: current_period.map(period),
            next_period: next_period.map(period),
            due_hours: due_hours.collect(),
            due_working_days: due_working_days.collect(),
            working_ms_until: until.collect(),
        }
    }

    /// RFC 3339 with the zone's offset at that instant. An offset of odd seconds (before 1920 or so) has no RFC 3339 form;
    /// it is rounded to minutes and the wall time with it, so that the instant stays the same.
    pub fn written(&self, at: Timestamp) -> String {
        let seconds = self.time_zone().to_offset(at).seconds();
        let minutes = (seconds + 30 * seconds.signum()) / 60;
        let offset = Offset::from_seconds(minutes * 60).unwrap_or(Offset::UTC);
        at.display_with_offset(offset).to_string()
    }
}

fn as_object<V: Serialize, S: Serializer>(entries: &[(String, V)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(name, value)| (name, value)))
}
