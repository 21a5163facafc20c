//! The working calendar of a line.
use crate::time::{Time, TimeZone, Timestamp};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeState {
    Open,
    ClosedDay,
    BeforeOpening,
    AfterClosing,
    Break,
}
#[derive(Clone, Debug)]
pub struct Calendar;
pub struct Answer {
    pub open: bool,
    pub day_rule: DayRule,
    pub time_state: TimeState,
    pub current_period: Option<Period>,
    pub next_period: Option<Period>,
}
impl Calendar {
    pub fn answer(&self, _: Timestamp) -> Answer {
        todo!()
    }
    pub fn time_zone(&self) -> &TimeZone {
        todo!()
    }
    pub fn version(&self) -> &str {
        todo!()
    }
    pub fn daily_hours(&self) -> Option<(Time, Time)> {
        todo!()
    }
    pub fn period_at(&self, _: Timestamp) -> Option<Period> {
        todo!()
    }
    pub fn next_period(&self, _: Timestamp) -> Option<Period> {
        todo!()
    }
    pub fn first_working_instant(&self, _: Timestamp) -> Option<Timestamp> {
        todo!()
    }
    pub fn due_after_hours(&self, _: Timestamp, _: i64) -> Option<Timestamp> {
        todo!()
    }
}

impl DayRule {
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl TimeState {
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl std::str::FromStr for DayRule {
    type Err = ();
    fn from_str(_: &str) -> Result<Self, ()> {
        todo!()
    }
}
impl std::str::FromStr for TimeState {
    type Err = ();
    fn from_str(_: &str) -> Result<Self, ()> {
        todo!()
    }
}
