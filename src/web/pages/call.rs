//! One call: what it was, how it went, why we answered as we did, and the raw words of the provider.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::calendar::words::{rule_words, time_words};
use super::desk::{Message, messages};
use super::frame::{Frame, Here};
use super::log::{lasted, other_party, outcome_words};
use super::refused::PageError;
use super::words::Wall;
use super::{Visitor, page, steps};
use crate::core::calendar::TimeState;
use crate::core::call::{Call, Decision, Direction, RecordingState, Ringing};
use crate::core::line::Line;
use crate::store::{CallView, CallbackView};
use crate::time::{Timestamp, from_millisecond};
use crate::web::{Error, House};

/// As much of a provider's request as a page shows, in characters.
const LONGEST_BODY: usize = 20_000;

pub(super) fn router() -> Router<House> {
    Router::new().route("/calls/{id}", get(show))
}

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    number: String,
    tel: Option<String>,
    started: String,
    facts: Vec<(&'static str, String)>,
    callback: Option<i64>,
    timeline: Vec<(String, String)>,
    messages: Vec<Message>,
    deliveries: Vec<RawDelivery>,
}

struct RawDelivery {
    at: String,
    endpoint: String,
    content_type: String,
    body: String,
}

async fn show(State(house): State<House>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    let now = house.clock.now();
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let CallView { call, voicemails, deliveries } = house.store.call(id).await?.ok_or(Error::NotFound)?;
    let callback = match call.callback_id {
        Some(id) => house.store.callback(id).await?,
        None => None,
    };
    let lines = house.lines();
    let line = call.line.as_ref().map(|id| lines.by_id(id));
    let calendar = line.map_or_else(|| lines.default_calendar(), |line| &line.calendar);
    let wall = Wall::new(calendar.time_zone(), now);
    let page = CallPage {
        frame: Frame::of(&house, &visitor.0, Here::Log, now).await?,
        number: other_party(&call),
        tel: call.other_party().map(|number| format!("tel:{}", number.e164())),
        started: wall.exact(call.started_at),
        facts: facts(&call, line, &wall),
        callback: call.callback_id,
        timeline: timeline(&call, callback.as_ref(), &wall),
        messages: messages(&voicemails, &visitor.0, &wall),
        deliveries: deliveries
            .into_iter()
            .map(|delivery| RawDelivery {
                at: wall.seconds(delivery.received_at),
                endpoint: delivery.endpoint,
                content_type: delivery.content_type,
                body: String::from_utf8_lossy(&delivery.body).chars().take(LONGEST_BODY).collect(),
            })
            .collect(),
    };
    Ok(self::page(&page))
}

fn facts(call: &Call, line: Option<&Line>, wall: &Wall<'_>) -> Vec<(&'static str, String)> {
    let direction = match call.direction {
        Some(Direction::Inbound) => "входящий",
        Some(Direction::Outbound) => "исходящий",
        None => "неизвестно",
    };
    let mut facts = vec![
        ("Начало", wall.exact(call.started_at)),
        ("Линия", line.map_or("—", |line| &line.title).to_owned()),
        ("Направление", direction.to_owned()),
        ("Итог", outcome_words(call).to_owned()),
    ];
    let length = lasted(call);
    if !length.is_empty() {
        facts.push(("Длительность", length));
    }
    if let Some(decision) = &call.decision {
        facts.push(("Решение", decision_words(decision)));
        let closure = line.and_then(|line| line.calendar.closure_at(call.started_at));
        if let Some(closure) = closure.filter(|_| decision.time_state == TimeState::ClosedNow) {
            facts.push(("Почему закрыта", closure.reason.clone()));
        }
        if let Some(promise) = &decision.promise {
            facts.push(("Обещали перезвонить", wall.named_day(promise.start)));
        }
    }
    if let Some((_, digits)) = &call.keyed {
        facts.push(("Набрал номер для связи", digits.clone()));
    }
    if let Some(forwarded_from) = &call.forwarded_from {
        facts.push(("Переадресован с", forwarded_from.clone()));
    }
    facts
}

/// «нерабочее время: выходной; календарь 2026-11-22-1a2b3c4d».
fn decision_words(decision: &Decision) -> String {
    let (time, day) = (time_words(decision.time_state), rule_words(decision.day_rule));
    format!("{time}: {day}; календарь {}", decision.calendar_version)
}

/// What happened, in order: from the ringing to the end of the callback.
fn timeline(call: &Call, callback: Option<&CallbackView>, wall: &Wall<'_>) -> Vec<(String, String)> {
    let mut events: Vec<(Timestamp, String)> = vec![(call.started_at, "Звонок поступил".to_owned())];
    if call.direction == Some(Direction::Outbound) {
        events[0].1 = "Начали звонить".to_owned();
    }
    events.extend(call.answered_at.map(|at| (at, "Трубку сняли".to_owned())));
    if let Some((at, digits)) = &call.keyed {
        events.push((*at, format!("Набран номер для связи: {digits}")));
    }
    for recording in call.recordings.values() {
        let words = match recording.state {
            RecordingState::Begun => "Запись началась",
            RecordingState::Absent => "Записи нет: тишина или слишком коротко",
            RecordingState::Failed => "Оператор связи запись потерял",
            RecordingState::Completed => "Сообщение записано",
        };
        events.push((from_millisecond(recording.received_at_ms), words.to_owned()));
    }
    events.extend(call.ended_at.map(|at| (at, "Звонок закончен".to_owned())));
    if let Some(view) = callback {
        let since_then = view.history.iter().filter(|step| step.at >= call.started_at);
        events.extend(since_then.map(|step| (step.at, format!("Обращение: {}, {}", steps::past(step), step.by))));
    }
    events.sort_by_key(|(at, _)| *at);
    let ringing = call.ringing.map(|ringing| match ringing {
        Ringing::Answered => "Сотрудник ответил",
        Ringing::NoAnswer => "Сотрудники не ответили",
        Ringing::Busy => "У сотрудников было занято",
        Ringing::Cancelled => "Звонящий не дождался",
        Ringing::Failed => "До сотрудников дозвониться не удалось",
    });
    let mut told: Vec<(String, String)> = events.into_iter().map(|(at, words)| (wall.listed(at), words)).collect();
    if let Some(words) = ringing {
        told.insert(1, (String::new(), words.to_owned()));
    }
    told
}
