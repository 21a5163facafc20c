//! «Календарь»: the month, what one day is and why, when somebody would be called back, and everything that changes hours.
//!
//! Every change goes the same way: a form, then a page that shows what it would do, then the saving of just that.

mod asked;
mod check;
mod files;
mod forms;
mod history;
mod month;
pub(super) mod words;

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::civil::DateTime;
use serde::Deserialize;

use self::asked::{Asked, Mistake};
use self::month::Month;
use self::words::{by_line, date_words, day_words, hours_words, rule_words, week_words};
use super::frame::{Choice, Frame, Here, line_choices};
use super::refused::PageError;
use super::words::{Wall, counted, short_weekday};
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::calendar::{Calendar, ExceptionMode, TimeState};
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::Role;
use crate::store::{ChangedHours, HoursChange, Person};
use crate::time::{Date, Timestamp};
use crate::web::House;

/// The largest form: a file of the greatest size, carried on in base64, with room for the rest.
const LARGEST_FORM: usize = 2 * 1024 * 1024;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/calendar", get(show))
        .route("/calendar.ics", get(files::write))
        .route("/calendar/check", post(check::check))
        .route("/calendar/edit", post(check::edit))
        .route("/calendar/save", post(check::save))
        .route("/calendar/week", get(forms::week))
        .route("/calendar/close", get(forms::close))
        .route("/calendar/data", get(files::data).post(files::take_data))
        .route("/calendar/ics", get(files::ics).post(files::take_ics))
        .route("/calendar/history", get(history::show))
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
}

/// What is looked at. Everything stands in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    /// `2026-11-04`; today if left out. The month is its month.
    day: String,
    /// A line; all if left out.
    line: String,
    /// The question «Позвонят в»: `2026-11-20T19:40`.
    at: String,
    /// How many due times the change that has just been saved has moved.
    moved: Option<usize>,
}

impl View {
    fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("day", &self.day), ("line", &self.line), ("at", &self.at)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(moved) = self.moved {
            query.append_pair("moved", &moved.to_string());
        }
        format!("/calendar?{}", query.finish())
    }
}

/// The lines that are looked at: one, or all.
struct Scope<'l> {
    lines: &'l Lines,
    only: Option<LineId>,
}

impl<'l> Scope<'l> {
    fn of(lines: &'l Lines, line: &str) -> Self {
        Self { lines, only: Some(LineId::new(line)).filter(|id| lines.get(id).is_some()) }
    }

    fn lines(&self) -> impl Iterator<Item = &'l Line> {
        let only = self.only.clone();
        self.lines.iter().filter(move |line| only.as_ref().is_none_or(|only| line.id == *only))
    }

    /// Whose clock is shown.
    fn calendar(&self) -> &'l Calendar {
        let first = self.lines().next();
        first.map_or(self.lines.default_calendar(), |line| &line.calendar)
    }
}

#[derive(Template)]
#[template(path = "calendar.html")]
struct CalendarPage {
    frame: Frame,
    mistakes: Vec<Mistake>,
    /// What has just been saved.
    saved: Option<String>,
    may_change: bool,
    hours: Vec<String>,
    terms: Vec<String>,
    warnings: Vec<String>,
    /// Row and sentence of what is closed at once.
    closed: Vec<(i64, String)>,
    month: Month,
    day: String,
    said: Vec<String>,
    exceptions: Vec<String>,
    /// What the general rule says of the day.
    rule: String,
    asked: Asked,
    lines: Vec<Choice>,
    line: String,
    at: String,
    answers: Vec<String>,
}

async fn show(Seen(house): Seen, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    draw(&house, &visitor.0, query(view), None, house.clock.now()).await
}

/// The page; `again`: with a form as it was typed and what is wrong with it.
async fn draw(
    house: &House,
    person: &Person,
    view: View,
    again: Option<(Asked, Vec<Mistake>)>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let scope = Scope::of(&lines, &view.line);
    let calendar = scope.calendar();
    let wall = Wall::new(calendar.time_zone(), now);
    let today = wall.today();
    let chosen: Date = view.day.parse().ok().filter(|day: &Date| (1990..2200).contains(&day.year())).unwrap_or(today);
    let in_force = house.store.hours_in_force().await?;
    let day = chosen.to_string();
    let saved = view.moved;
    let view = View { line: scope.only.as_ref().map_or(String::new(), LineId::to_string), moved: None, day, ..view };
    let at = asked_instant(&view.at, &wall);
    let (asked, mistakes) = match again {
        Some((asked, mistakes)) => (asked, mistakes),
        None => (form_of_the_day(&scope, &in_force, chosen), Vec::new()),
    };
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = CalendarPage {
        frame: Frame::of(house, person, Here::Calendar, now).await?,
        saved: saved.map(saved_words),
        may_change: person.role >= Role::Senior,
        hours: by_line(lines.iter(), |line| week_words(line.calendar.hours())),
        terms: by_line(lines.iter(), |line| match line.response_term {
            Some(term) => format!("{} рабочих часов", term.as_hours()),
            None => "не задан: в регламенте он не указан, поэтому не считается".to_owned(),
        }),
        warnings: warnings(&lines, now),
        closed: in_force.iter().filter_map(|change| closed_words(change, &lines, now)).collect(),
        month: Month::of(&scope, &view, chosen, today),
        day: date_words(chosen),
        said: by_line(scope.lines(), |line| day_words(&line.calendar, chosen)),
        exceptions: in_force
            .iter()
            .filter(|change| concerns(change, &scope, chosen))
            .map(|change| history::told(change, &lines, &wall))
            .collect(),
        rule: by_line(scope.lines(), |line| rule_words(line.calendar.hours().by_the_law(chosen).rule).to_owned())
            .join("; "),
        asked,
        mistakes,
        lines: line_choices(house, scope.only.as_ref(), false),
        at: at.map_or(String::new(), |at| wall.local(at).strftime("%Y-%m-%dT%H:%M").to_string()),
        answers: at.map_or(Vec::new(), |at| by_line(scope.lines(), |line| answer_words(&line.calendar, at, now))),
        line: view.line.clone(),
    };
    Ok((status, self::page(&page)).into_response())
}

/// The question of the simulator; now if nothing sensible was asked.
fn asked_instant(text: &str, wall: &Wall<'_>) -> Option<Timestamp> {
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned(wall.local(wall.now).time_zone().clone()).ok()?.timestamp())
}

/// «нерабочее время, перезвонить пн 23.11, 09:00–18:00. Почему: рабочий день, 09:00–18:00; после закрытия.»
fn answer_words(calendar: &Calendar, at: Timestamp, now: Timestamp) -> String {
    let answer = calendar.answer(at);
    let wall = Wall::new(calendar.time_zone(), now);
    let period = if answer.open { answer.current_period } else { answer.next_period };
    let call_back = match period {
        Some(period) => {
            let (start, end) = (wall.local(period.start), wall.local(period.end));
            let day = format!("{} {}", short_weekday(start.weekday()), start.strftime("%d.%m"));
            let end_day = if start.date() == end.date() { String::new() } else { end.strftime("%d.%m, ").to_string() };
            format!("{day}, {}–{end_day}{}", start.strftime("%H:%M"), end.strftime("%H:%M"))
        }
        None => "некогда: рабочие часы не заданы".to_owned(),
    };
    let state = match answer.time_state {
        TimeState::Open => "рабочее время, не ответят —",
        TimeState::ClosedNow => "линия закрыта экстренно,",
        _ => "нерабочее время,",
    };
    let mut why = day_words(calendar, calendar.local_date(at));
    match answer.time_state {
        TimeState::BeforeOpening => why.push_str("; до открытия"),
        TimeState::AfterClosing => why.push_str("; после закрытия"),
        TimeState::Break => why.push_str("; перерыв"),
        TimeState::Open | TimeState::ClosedDay | TimeState::ClosedNow => {}
    }
    let doubt = if answer.provisional {
        " Переносы выходных на этот год ещё не утверждены."
    } else {
        ""
    };
    format!("{state} перезвонить {call_back}. Почему: {why}.{doubt}")
}

/// What the administrator must find out, each once.
fn warnings(lines: &Lines, now: Timestamp) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for warning in lines.iter().flat_map(|line| line.calendar.warnings(now)) {
        let warning = warning.to_string();
        if !told.contains(&warning) {
            told.push(warning);
        }
    }
    told
}

/// What is closed at once at this moment, with its row for opening it again.
fn closed_words(change: &HoursChange, lines: &Lines, now: Timestamp) -> Option<(i64, String)> {
    let ChangedHours::Closure(period) = change.what else { return None };
    if !period.contains(now) || change.ended.is_some() {
        return None;
    }
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    Some((change.id, history::told(change, lines, &wall)))
}

/// Whether an exception in force is about this date and the lines that are looked at.
fn concerns(change: &HoursChange, scope: &Scope<'_>, date: Date) -> bool {
    let ChangedHours::Exception(exception) = &change.what else { return false };
    let seen = |line: &LineId| scope.only.as_ref().is_none_or(|only| only == line);
    change.ended.is_none() && exception.covers(date) && exception.line.as_ref().is_none_or(seen)
}

/// The form as it stands for a date: the newest exception that covers it, else the general rule.
fn form_of_the_day(scope: &Scope<'_>, in_force: &[HoursChange], date: Date) -> Asked {
    let mut asked = Asked::default();
    asked.set("step", "exception");
    asked.set("from", date.to_string());
    asked.set("to", date.to_string());
    asked.set("line", scope.only.as_ref().map_or(String::new(), LineId::to_string));
    let usual = hours_words(scope.calendar().hours().on(date.weekday()).iter().copied());
    asked.set("hours", if usual.is_empty() { "09:00–18:00".to_owned() } else { usual });
    asked.set("mode", "rule");
    let found = in_force.iter().filter(|change| concerns(change, scope, date)).find_map(|change| match &change.what {
        ChangedHours::Exception(exception) => Some(exception),
        _ => None,
    });
    if let Some(exception) = found {
        let (mode, hours) = match &exception.mode {
            ExceptionMode::Rule => ("rule", None),
            ExceptionMode::Closed => ("closed", None),
            ExceptionMode::Worked => ("worked", None),
            ExceptionMode::Open(hours) | ExceptionMode::Hours(hours) => ("hours", Some(hours)),
        };
        asked.set("mode", mode);
        asked.set("reason", exception.reason.clone());
        if let Some(hours) = hours {
            asked.set("hours", hours_words(hours.iter().copied()));
        }
    }
    asked
}

/// «Сохранено. Срок изменился у 3 открытых обращений.»
fn saved_words(moved: usize) -> String {
    match moved {
        0 => "Сохранено. Сроки открытых обращений не изменились.".to_owned(),
        moved => {
            let whose = counted(moved as i64, ["открытого обращения", "открытых обращений", "открытых обращений"]);
            format!("Сохранено. Срок изменился у {whose}.")
        }
    }
}
