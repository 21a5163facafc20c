//! What a report is made of: the month that was asked for, its callbacks and its calls.

use serde::Deserialize;

use super::super::refused::PageError;
use crate::core::calendar::Calendar;
use crate::core::line::{Line, LineId, Lines};
use crate::core::line_scope::LineScope;
use crate::core::officer::Role;
use crate::core::report::{self, Entry, Heat, Kept, Month, Waiting};
use crate::core::timetable::{Span, usual_hours};
use crate::core::wording::WEEK;
use crate::time::{Date, Timestamp};
use crate::web::House;

/// The filters as they stand in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// `2026-11`; anything else is the present month.
    month: String,
    line: String,
    /// Id of an officer. Only an administrator's counts.
    officer: String,
}

/// All of one report.
pub(super) struct MonthView {
    pub now: Timestamp,
    pub month: Month,
    /// The month of `now`.
    pub today: Month,
    pub line: Option<LineId>,
    pub lines: Lines,
    /// Whether this line is told of.
    scope: LineScope,
    /// Of the whole month, or those of one officer.
    pub entries: Vec<Entry>,
    /// The month has more callbacks than are read.
    pub cut: bool,
    pub heat: Heat,
    /// Whose first attempts there are, by name; empty unless an administrator asks.
    pub officers: Vec<Worker>,
    /// The officer whose callbacks alone are told.
    pub officer: Option<Worker>,
}

/// One officer and his part.
#[derive(Clone)]
pub(super) struct Worker {
    pub id: String,
    pub name: String,
    pub kept: Kept,
    pub waiting: Option<Waiting>,
}

impl MonthView {
    pub async fn gather(house: &House, role: Role, asked: &Asked) -> Result<Self, PageError> {
        let (now, lines) = (house.clock.now(), house.lines());
        let today = Month::of(lines.default_calendar().local_date(now));
        let month = asked.month.parse().unwrap_or(today);
        let line = (!asked.line.is_empty()).then(|| LineId::new(&asked.line));
        let calendar = line.as_ref().map_or(lines.default_calendar(), |id| &lines.by_id(id).calendar);
        let (from, to) = month.bounds(calendar.time_zone());
        let reported = house.store.reported(from, to, line.as_ref()).await?;
        let calls = house.store.calls_by_quarter(from, to, line.as_ref()).await?;
        let heat = report::heat(&calls, calendar.time_zone());
        let mut view = Self {
            now,
            month,
            today,
            line,
            entries: reported.entries,
            cut: reported.cut,
            heat,
            officers: Vec::new(),
            officer: None,
            scope: house.store.scope().clone(),
            lines,
        };
        if role >= Role::Admin {
            view.officers = view.by_officer();
            view.officer = view.officers.iter().find(|officer| officer.id == asked.officer).cloned();
            if let Some(officer) = &view.officer {
                view.entries.retain(|entry| entry.first.as_ref().is_some_and(|first| first.by.id == officer.id));
            }
        }
        Ok(view)
    }

    fn by_officer(&self) -> Vec<Worker> {
        let mut known: Vec<(String, String)> = Vec::new();
        for first in self.entries.iter().filter_map(|entry| entry.first.as_ref()) {
            // The latest name, for people marry.
            known.retain(|(id, _)| *id != first.by.id);
            known.push((first.by.id.clone(), first.by.name.clone()));
        }
        known.sort_by(|one, other| one.1.cmp(&other.1));
        let worker = |(id, name): (String, String)| {
            let own = |entry: &&Entry| entry.first.as_ref().is_some_and(|first| first.by.id == id);
            let waited = self.entries.iter().filter(own).map(|entry| self.waited_ms(entry)).collect();
            let kept = Kept::of(self.entries.iter().filter(own), self.now);
            Worker { kept, waiting: Waiting::of(waited), id, name }
        };
        known.into_iter().map(worker).collect()
    }

    /// The lines that are told of: the one asked for, or all with callbacks or a number.
    pub fn told_lines(&self) -> Vec<&Line> {
        match &self.line {
            Some(id) => vec![self.lines.by_id(id)],
            None => {
                let strangers = LineId::unknown();
                let has_strangers = self.entries.iter().any(|entry| self.lines.get(&entry.line).is_none());
                let unknown = has_strangers.then(|| self.lines.by_id(&strangers));
                self.lines.iter().filter(|line| self.scope.allows(&line.id)).chain(unknown).collect()
            }
        }
    }

    /// The callbacks of this line; those of lines that are configured no longer belong to the unknown one.
    pub fn of_line<'s>(&'s self, line: &'s Line) -> impl Iterator<Item = &'s Entry> {
        self.entries.iter().filter(move |entry| self.lines.by_id(&entry.line).id == line.id)
    }

    pub fn kept(&self) -> Kept {
        Kept::of(&self.entries, self.now)
    }

    /// Milliseconds of the line's working time until the first attempt, or until now.
    pub fn waited_ms(&self, entry: &Entry) -> i64 {
        entry.waited_ms(&self.lines.by_id(&entry.line).calendar, self.now)
    }

    /// How long those waited who were tried.
    pub fn waiting<'e>(&self, entries: impl Iterator<Item = &'e Entry>) -> Option<Waiting> {
        Waiting::of(entries.filter(|entry| entry.first.is_some()).map(|entry| self.waited_ms(entry)).collect())
    }

    /// The calendars of the lines told of.
    fn calendars(&self) -> Vec<&Calendar> {
        match &self.line {
            Some(id) => vec![&self.lines.by_id(id).calendar],
            None => self.lines.iter().map(|line| &line.calendar).collect(),
        }
    }

    /// When at least one of the lines is answered, for each weekday.
    pub fn hours(&self) -> [Vec<Span>; 7] {
        WEEK.map(|day| {
            let mut hours: Vec<Span> =
                self.calendars().into_iter().flat_map(|calendar| usual_hours(calendar, day)).collect();
            hours.sort_unstable();
            hours.dedup_by(|next, kept| {
                let touches = next.0 <= kept.1;
                if touches {
                    kept.1 = kept.1.max(next.1);
                }
                touches
            });
            hours
        })
    }

    /// The longest that nobody waits whose promise is kept.
    pub fn goal_ms(&self) -> i64 {
        self.calendars().into_iter().map(report::longest_day_ms).max().unwrap_or(0)
    }

    /// The weeks of the month, each with its callbacks.
    pub fn weeks(&self) -> Vec<(String, Vec<&Entry>)> {
        let date = |entry: &Entry| self.lines.by_id(&entry.line).calendar.local_date(entry.received_at);
        let week = |(first, last): (Date, Date)| {
            let label = match first == last {
                true => format!("{}.{:02}", first.day(), first.month()),
                false => format!("{}–{}.{:02}", first.day(), last.day(), last.month()),
            };
            (label, self.entries.iter().filter(|entry| (first..=last).contains(&date(entry))).collect())
        };
        self.month.weeks().into_iter().map(week).collect()
    }

    /// `?month=…&line=…&officer=…`, of this or another month.
    pub fn query(&self, month: Month) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("month", &month.to_string());
        if let Some(line) = &self.line {
            query.append_pair("line", line.as_str());
        }
        if let Some(officer) = &self.officer {
            query.append_pair("officer", &officer.id);
        }
        query.finish()
    }
}
