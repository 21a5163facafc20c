//! One call: what it was, how it went, why we answered as we did, and the raw words of the provider.

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tracing::error;

use super::calendar::words::{rule_words, time_words};
use super::desk::{Message, messages, tell_locked};
use super::dial_link::{DialLink, dial_link, link_said_numbers};
use super::frame::{Frame, Here};
use super::log::{card_address, lasted, other_party, outcome_words};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::{Wall, length};
use super::{Seen, Visitor, page, steps};
use crate::core::calendar::TimeState;
use crate::core::call::{Call, Decision, Direction, RecordingState, Ringing};
use crate::core::line::Line;
use crate::core::officer::Role;
use crate::recordings::RecordingName;
use crate::store::{CallView, CallbackView, Person, StoredSound, Voicemail, VoicemailState};
use crate::time::{Timestamp, from_millisecond};
use crate::web::{Error, House};

/// As much of a provider's request as a page shows, in characters.
const LONGEST_BODY: usize = 20_000;
/// The longest reason for erasing a message, in characters.
const LONGEST_REASON: usize = 300;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/calls/{id}", get(show))
        .route("/calls/{id}/recordings/{voicemail}/erase", post(erase))
        .route("/calls/{id}/recordings/{voicemail}/retry", post(retry))
}

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    id: i64,
    number: String,
    name: String,
    /// The address of the caller's card.
    card: Option<String>,
    told: Option<&'static str>,
    dial: Option<DialLink>,
    started: String,
    facts: Vec<(&'static str, String)>,
    callback: Option<i64>,
    timeline: Vec<(String, String)>,
    messages: Vec<Recorded>,
    deliveries: Vec<RawDelivery>,
}

/// A message and what may be done with its sound.
struct Recorded {
    id: i64,
    message: Message,
    /// The address of the file to be saved, and its kind: «WAV».
    file: Option<(String, String)>,
    may_erase: bool,
}

struct RawDelivery {
    at: String,
    endpoint: String,
    content_type: String,
    body: String,
}

async fn show(Seen(house): Seen, visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    draw(&house, &visitor, id, None, house.clock.now()).await
}

async fn draw(
    house: &House,
    visitor: &Visitor,
    id: i64,
    told: Option<&'static str>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let CallView { call, voicemails, deliveries } = house.store.call(id).await?.ok_or(Error::NotFound)?;
    let callback = match call.callback_id {
        Some(id) => house.store.callback(id).await?,
        None => None,
    };
    let lines = house.lines();
    let line = call.line.as_ref().map(|id| lines.by_id(id));
    let calendar = line.map_or_else(|| lines.default_calendar(), |line| &line.calendar);
    let wall = Wall::new(calendar.time_zone(), now);
    let number = call.other_party();
    let page = CallPage {
        frame: Frame::of(house, &visitor.0, Here::Log, now).await?,
        id,
        number: other_party(&call),
        name: match &number {
            Some(number) => house.store.contacts(std::slice::from_ref(number)).await?.remove(number),
            None => None,
        }
        .map_or_else(String::new, |contact| contact.name),
        card: number.as_ref().filter(|_| visitor.may_act()).map(|_| card_address(id)),
        told,
        dial: match &number {
            Some(number) if number.is_erased() => None,
            Some(number) => Some(dial_link(house, number, &visitor.0, &wall).await?),
            None => None,
        },
        started: wall.exact(call.started_at),
        facts: facts(&call, line, &wall),
        callback: call.callback_id,
        timeline: timeline(&call, callback.as_ref(), &voicemails, &wall),
        messages: recorded(house, &voicemails, callback.as_ref(), &visitor.0, &wall).await?,
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
    let status = if told.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, self::page(&page)).into_response())
}

async fn recorded(
    house: &House,
    voicemails: &[Voicemail],
    callback: Option<&CallbackView>,
    person: &Person,
    wall: &Wall<'_>,
) -> Result<Vec<Recorded>, Error> {
    let mut messages = messages(voicemails, person, wall);
    tell_locked(&house.folder, &mut messages).await;
    link_said_numbers(house, &mut messages, callback.map(|view| &view.callback), person, wall).await?;
    let with_what_may_be_done = messages.into_iter().zip(voicemails).map(|(message, voicemail)| {
        let name = voicemail.sound.as_ref().filter(|_| message.audio.is_some()).map(|sound| &sound.name);
        let kind = name.map(|name| name.rsplit('.').next().unwrap_or("wav").to_uppercase());
        Recorded {
            id: voicemail.id,
            file: kind.map(|kind| (format!("/api/v1/voicemails/{}/audio?download=1", voicemail.id), kind)),
            may_erase: person.role >= Role::Admin && voicemail.state != VoicemailState::Erased,
            message,
        }
    });
    Ok(with_what_may_be_done.collect())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Erasing {
    reason: String,
}

/// Erases a message for good: its row says why and stays, its file goes, and the provider's copy too.
async fn erase(
    Seen(house): Seen,
    visitor: Visitor,
    Path((id, voicemail)): Path<(String, String)>,
    Address(address): Address,
    form: Result<Form<Erasing>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Admin)?;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let voicemail: i64 = voicemail.parse().map_err(|_| Error::NotFound)?;
    let voicemail = house.store.voicemail(voicemail).await?.filter(|known| known.call_id == id);
    let voicemail = voicemail.ok_or(Error::NotFound)?;
    let reason = form.map(|Form(form)| form.reason).unwrap_or_default();
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        let told = "Запись не удалена. Напишите причину: одним предложением, не длиннее 300 знаков.";
        return draw(&house, &Visitor(person), id, Some(told), now).await;
    }
    let by = &person.actor;
    let erased = house.store.erase_voicemail(voicemail.id, by, &reason, &address, now).await?;
    if let (true, Some(sound)) = (erased, &voicemail.sound) {
        erase_file(&house, voicemail.id, &sound.name).await?;
    }
    Ok(Redirect::to(&format!("/calls/{id}")).into_response())
}

/// Has a message that is not here yet tried again, now. One that has come meanwhile is simply shown.
async fn retry(
    Seen(house): Seen,
    visitor: Visitor,
    Path((id, voicemail)): Path<(String, String)>,
    Address(address): Address,
) -> Result<Redirect, PageError> {
    let person = visitor.officer()?;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let voicemail: i64 = voicemail.parse().map_err(|_| Error::NotFound)?;
    let known = house.store.voicemail(voicemail).await?.filter(|known| known.call_id == id);
    let voicemail = known.ok_or(Error::NotFound)?.id;
    house.store.retry_voicemail(voicemail, &person.actor, &address, house.clock.now()).await?;
    Ok(Redirect::to(&format!("/calls/{id}")))
}

/// What does not succeed now is done by the worker a minute later: the row remembers the file until it is gone.
async fn erase_file(house: &House, id: i64, name: &str) -> Result<(), Error> {
    let Ok(name) = name.parse::<RecordingName>() else { return Ok(()) };
    match house.folder.remove(&name).await {
        Ok(_) => house.store.file_erased(id).await?,
        Err(failed) => error!(voicemail.id = id, error = %failed, "The file of an erased message is still there"),
    }
    Ok(())
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
    if let Some(at) = call.blocked_at {
        facts.push(("Заблокирован", format!("{}, номер в списке заблокированных", wall.moment(at))));
    }
    if let Some(at) = call.restored_at {
        facts.push((
            "Восстановлен",
            format!("{}, из списка оператора связи: сам он о звонке не сообщил", wall.moment(at)),
        ));
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
fn timeline(
    call: &Call,
    callback: Option<&CallbackView>,
    voicemails: &[Voicemail],
    wall: &Wall<'_>,
) -> Vec<(String, String)> {
    let mut events: Vec<(Timestamp, String)> = vec![(call.started_at, "Звонок принят".to_owned())];
    if call.direction == Some(Direction::Outbound) {
        events[0].1 = "Начали звонить".to_owned();
    }
    let greeted = match (call.direction, &call.decision) {
        (Some(Direction::Outbound), _) => "Трубку сняли",
        (_, Some(decision)) if decision.open => "Звоним сотрудникам",
        _ => "Приветствие",
    };
    events.extend(call.answered_at.map(|at| (at, greeted.to_owned())));
    if let Some((at, digits)) = &call.keyed {
        events.push((*at, format!("Набран номер для связи: {digits}")));
    }
    for (recording_id, recording) in &call.recordings {
        let voicemail = voicemails.iter().find(|voicemail| voicemail.recording_id == *recording_id);
        let measured = voicemail.and_then(|voicemail| voicemail.sound.as_ref()).and_then(StoredSound::measured_ms);
        let told = recording.length_seconds.map(|seconds| i64::from(seconds) * 1000);
        let words = match recording.state {
            RecordingState::Begun => "Запись началась".to_owned(),
            RecordingState::Absent => "Записи нет: тишина или слишком коротко".to_owned(),
            RecordingState::Failed => "Оператор связи запись потерял".to_owned(),
            RecordingState::Completed => match measured.or(told) {
                Some(ms) => format!("Запись {}", length(ms)),
                None => "Запись".to_owned(),
            },
        };
        events.push((from_millisecond(recording.received_at_ms), words));
    }
    events.extend(call.ended_at.map(|at| (at, "Звонок закончен".to_owned())));
    if let Some(view) = callback {
        let messages = call.recordings.values().filter(|recording| recording.state == RecordingState::Completed);
        let message_at = messages.map(|recording| from_millisecond(recording.received_at_ms)).min();
        let joined_at = [Some(view.callback.received_at), message_at].into_iter().flatten().max();
        let joined_at = joined_at.unwrap_or(call.started_at).max(call.started_at);
        let joined = if view.callback.received_at < call.started_at {
            "В списке, ждёт и раньше"
        } else {
            "В списке"
        };
        events.push((joined_at, joined.to_owned()));
        let since_then = view.history.iter().filter(|step| step.at >= call.started_at);
        events.extend(since_then.map(|step| (step.at, capital(&format!("{}: {}", steps::past(step), step.by)))));
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

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
