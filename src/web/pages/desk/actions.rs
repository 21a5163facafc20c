//! What an officer does with an entry: a form, a rule of `core`, a row, and back to the list at the right place.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::DateTime;
use serde::Deserialize;

use super::{Told, View, card, draw};
use crate::core::callback::{Action, AttemptOutcome, Notes, Reason};
use crate::time::Timestamp;
use crate::web::pages::refused::{PageError, sentence};
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Visitor, query};
use crate::web::{Error, House};

/// The form of every action. Fields that an action does not ask for are not there.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ActForm {
    version: Option<i64>,
    /// The entry to go on with.
    next: Option<i64>,
    #[serde(flatten)]
    typed: Typed,
}

/// What was typed, to be shown again if it was not taken.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    pub verb: String,
    pub note: String,
    pub reference: String,
    pub reason: String,
    /// `hour`, `afternoon`, `tomorrow`, `at`.
    pub when: String,
    /// `2026-11-24T10:30`, as a browser's field writes it.
    pub until: String,
}

/// One action on one entry.
pub(super) async fn act(
    State(house): State<House>,
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    view: AnyQuery<View>,
    form: Result<Form<ActForm>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let visitor = Visitor(visitor.officer()?);
    let by = &visitor.0.actor;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let Ok(Form(ActForm { version, next, mut typed })) = form else {
        return Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into());
    };
    typed.verb = verb;
    let view = query(view).plain();
    let entry = house.store.callback(id).await?.ok_or(Error::NotFound)?;
    let lines = house.lines();
    let wall = Wall::new(lines.by_id(&entry.callback.line).calendar.time_zone(), now);
    let done = match typed.verb.as_str() {
        "undo" => house.store.undo(id, version, by, now).await,
        verb => match action(verb, &typed, now, &wall).ok_or(Error::NotFound)? {
            Ok((action, notes)) => house.store.act(id, version, action, notes, by, &lines, now).await,
            Err(missing) => {
                let told = Told { id, sentence: missing.to_owned(), typed };
                return draw(&house, &visitor, view, Some((StatusCode::UNPROCESSABLE_ENTITY, told)), now).await;
            }
        },
    };
    match done {
        Ok(_) => {
            let goes_on = !matches!(typed.verb.as_str(), "claim" | "call-anyway" | "release" | "reopen" | "undo");
            let at = if goes_on { next.unwrap_or(id) } else { id };
            let did = (goes_on || typed.verb == "reopen").then_some(id);
            let address = format!("/callbacks{}#c{at}", View { at: Some(at), did, ..view }.query());
            Ok(Redirect::to(&address).into_response())
        }
        Err(error) => match sentence(&error, &wall) {
            Some(sentence) => {
                let told = Told { id, sentence, typed };
                draw(&house, &visitor, view, Some((Error::from(error).status(), told)), now).await
            }
            None => Err(error.into()),
        },
    }
}

/// What the form asks for. `None`: there is no such action; `Some(Err)`: something is missing, in a sentence.
type Asked = Result<(Action, Notes), &'static str>;

fn action(verb: &str, typed: &Typed, now: Timestamp, wall: &Wall<'_>) -> Option<Asked> {
    let note = typed.note.trim().to_owned();
    let attempt = |outcome| Action::Attempt { outcome, note: note.clone(), next_at: None };
    let action = match verb {
        "claim" => Action::Claim,
        "call-anyway" => Action::CallAnyway,
        "release" => Action::Release,
        "reopen" => Action::Reopen,
        "done" => Action::Done { note },
        "no-answer" => attempt(AttemptOutcome::NoAnswer),
        "busy" => attempt(AttemptOutcome::Busy),
        "clarify" => Action::Clarify { note, next_at: None },
        "exceptional" => Action::Exceptional { note },
        "later" => match until(typed, now, wall) {
            Some(until) => Action::Later { until, note },
            None => return Some(Err("Выберите, до какого времени отложить.")),
        },
        "decline" => match Reason::ALL.into_iter().find(|reason| reason.as_str() == typed.reason) {
            Some(reason) => Action::Decline { reason, note },
            None => return Some(Err("Выберите причину.")),
        },
        _ => return None,
    };
    let reference = Some(typed.reference.trim().to_owned()).filter(|reference| !reference.is_empty());
    Some(Ok((action, Notes { reference, ..Notes::default() })))
}

fn until(typed: &Typed, now: Timestamp, wall: &Wall<'_>) -> Option<Timestamp> {
    match typed.when.as_str() {
        "at" => {
            let local: DateTime = typed.until.parse().ok()?;
            Some(local.to_zoned(wall.local(now).time_zone().clone()).ok()?.timestamp())
        }
        choice => card::later(choice, now, wall),
    }
}
