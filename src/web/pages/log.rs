//! «Журнал звонков»: every call, newest first. Every filter stands in the address.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::frame::{Choice, Frame, Here, line_choices};
use super::refused::PageError;
use super::words::{Wall, length};
use super::{AnyQuery, Visitor, page, query};
use crate::core::call::{Call, Direction, Outcome};
use crate::core::line::LineId;
use crate::core::phone::PhoneNumber;
use crate::store::{CallFilter, CallPage};
use crate::time::elapsed_ms;
use crate::web::House;

const PAGE: u32 = 50;

pub(super) fn router() -> Router<House> {
    Router::new().route("/calls", get(show))
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    line: String,
    outcome: String,
    number: String,
    after: String,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    lines: Vec<Choice>,
    outcomes: Vec<Choice>,
    number: String,
    /// The number typed is none.
    told: Option<&'static str>,
    rows: Vec<Row>,
    /// The address of the next page.
    more: Option<String>,
    filtered: bool,
}

struct Row {
    id: i64,
    started: String,
    line: String,
    number: String,
    outcome: &'static str,
    length: String,
}

async fn show(State(house): State<House>, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    let (now, view) = (house.clock.now(), query(view));
    let wanted = view.number.trim();
    let number = (!wanted.is_empty()).then(|| PhoneNumber::parse(wanted));
    let line = (!view.line.is_empty()).then(|| LineId::new(&view.line));
    let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == view.outcome);
    let (told, found) = match number {
        Some(Err(_)) => {
            let told = "Такой номер не распознан. Напишите его целиком, например 8 928 803-63-55.";
            (Some(told), CallPage { calls: Vec::new(), next: None })
        }
        number => {
            let caller = number.and_then(Result::ok);
            let after = CallPage::parse_cursor(&view.after);
            let filter =
                CallFilter { line: line.clone(), outcome, caller, after, limit: PAGE, ..CallFilter::default() };
            (None, house.store.calls(&filter).await?)
        }
    };
    let rows = found.calls.iter().map(|call| row(&house, call, now)).collect();
    let page = LogPage {
        frame: Frame::of(&house, &visitor.0, Here::Log, now).await?,
        lines: line_choices(&house, line.as_ref(), true),
        outcomes: outcome_choices(outcome),
        filtered: !(view.line.is_empty() && view.outcome.is_empty() && wanted.is_empty()),
        number: view.number.clone(),
        told,
        rows,
        more: found.next.map(|next| address(&view, &CallPage::cursor(next))),
    };
    Ok(self::page(&page))
}

fn row(house: &House, call: &Call, now: crate::time::Timestamp) -> Row {
    let lines = house.lines();
    let line = call.line.as_ref().map(|id| lines.by_id(id));
    let calendar = line.map_or_else(|| lines.default_calendar(), |line| &line.calendar);
    Row {
        id: call.id,
        started: Wall::new(calendar.time_zone(), now).listed(call.started_at),
        line: line.map_or_else(|| "—".to_owned(), |line| line.title.clone()),
        number: other_party(call),
        outcome: outcome_words(call),
        length: lasted(call),
    }
}

/// The number on the other side, as people write it.
pub(super) fn other_party(call: &Call) -> String {
    match call.other_party() {
        Some(number) => number.spaced(),
        None => "номер скрыт".to_owned(),
    }
}

/// How long it took: the talk if there was one, else the whole call.
pub(super) fn lasted(call: &Call) -> String {
    match (call.talk_seconds, call.ended_at) {
        (Some(seconds), _) if call.outcome() == Outcome::Answered => length(i64::from(seconds) * 1000),
        (_, Some(ended_at)) => length(elapsed_ms(call.started_at, ended_at)),
        (_, None) => String::new(),
    }
}

pub(super) fn outcome_words(call: &Call) -> &'static str {
    match (call.outcome(), call.direction) {
        (Outcome::Answered, Some(Direction::Outbound)) => "перезвонили",
        (Outcome::Answered, _) => "разговор",
        (_, Some(Direction::Outbound)) => "перезванивали, не дозвонились",
        (outcome, _) => outcome_title(outcome),
    }
}

fn outcome_title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::InProgress => "идёт",
        Outcome::Answered => "разговор",
        Outcome::Voicemail => "сообщение",
        Outcome::NoMessage => "без сообщения",
        Outcome::Abandoned => "нерабочее время, повесил трубку",
        Outcome::Missed => "не ответили",
    }
}

fn outcome_choices(chosen: Option<Outcome>) -> Vec<Choice> {
    let any = Choice { value: String::new(), label: "Любой".to_owned(), chosen: chosen.is_none() };
    let known = Outcome::ALL.into_iter().map(|outcome| Choice {
        value: outcome.as_str().to_owned(),
        label: outcome_title(outcome).to_owned(),
        chosen: chosen == Some(outcome),
    });
    std::iter::once(any).chain(known).collect()
}

fn address(view: &View, after: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in
        [("line", view.line.as_str()), ("outcome", &view.outcome), ("number", &view.number), ("after", after)]
    {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!("/calls?{}", query.finish())
}
