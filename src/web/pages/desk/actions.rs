//! What an officer does with an entry: a form, a rule of `core`, a row, and back to the list at the right place.

use axum::Form;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::DateTime;
use serde::Deserialize;

use super::calling::dialling_now;
use super::choices::later;
use super::draw;
use super::siblings::{only_to_holder, question};
use super::told::{Faster, Told};
use super::view::View;
use crate::core::callback::{
    Action, AttemptOutcome, Callback, LONGEST_NOTE, Notes, Reason, Refusal, State as DeskState,
};
use crate::core::line::LineId;
use crate::core::officer::{Actor, Role};
use crate::core::placed_call::Ending;
use crate::store::{ActError, Store};
use crate::time::Timestamp;
use crate::web::Error;
use crate::web::pages::refused::{NUMBER_NOT_ALLOWED, PageError, sentence};
use crate::web::pages::sign_in::Address;
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Seen, Visitor, query};

/// The form of every action. Fields that an action does not ask for are not there.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ActForm {
    version: Option<i64>,
    /// The entry to go on with.
    next: Option<i64>,
    /// Not empty: the officer goes on though a colleague holds the same number on another line, or it is not allowed.
    confirm: String,
    /// The message that is to be tried again.
    voicemail: Option<i64>,
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
    /// The officer to whom it is handed over.
    pub to: String,
}

impl Typed {
    /// All that would be lost with the form.
    fn said(&self) -> String {
        let said = [self.note.trim(), self.reference.trim()].into_iter().filter(|text| !text.is_empty());
        said.collect::<Vec<_>>().join(". ").chars().take(LONGEST_NOTE).collect()
    }
}

/// One action on one entry.
pub(super) async fn act(
    Seen(house): Seen,
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    view: AnyQuery<View>,
    Address(address): Address,
    form: Result<Form<ActForm>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let visitor = Visitor(visitor.officer()?);
    let by = &visitor.0.actor;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let Ok(Form(ActForm { version, next, confirm, voicemail, mut typed })) = form else {
        return Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into());
    };
    typed.verb = verb;
    let view = query(view).plain();
    let entry = house.store.callback(id).await?.ok_or(Error::NotFound)?;
    let lines = house.lines();
    let wall = Wall::new(lines.by_id(&entry.callback.line).calendar.time_zone(), now);
    let done = match typed.verb.as_str() {
        "undo" => house.store.undo(id, version, by, now).await,
        // Whoever was faster, or the sound itself, makes this nothing.
        "retry" => {
            let shown = entry.voicemails.iter().find(|shown| Some(shown.id) == voicemail).ok_or(Error::NotFound)?;
            house.store.retry_voicemail(shown.id, by, &address, now).await?;
            Ok(entry.callback)
        }
        "note" => match typed.said() {
            said if said.is_empty() => Ok(entry.callback),
            said => house.store.keep_note(id, &said, by, now).await.map(|()| entry.callback),
        },
        "same" => {
            let note = Some(typed.note.trim().to_owned());
            house.store.accept_proposed_outcome(id, version, note, by, &lines, now).await
        }
        verb => match asked(&house.store, verb, &typed, &entry.callback.line, now, &wall).await? {
            Ok((action, notes)) => {
                let number = entry.callback.number_to_dial();
                let exchange = match action {
                    Action::Dial => dialling_now(&house, &visitor.0, number, now).await?.zip(version),
                    _ => None,
                };
                match exchange {
                    Some((with, version)) => {
                        house.store.dial(id, version, with, !confirm.is_empty(), by, &lines, now).await
                    }
                    None => {
                        let is_confirmed = action.claims() && !confirm.is_empty();
                        let action = if is_confirmed { Action::Confirmed(Box::new(action)) } else { action };
                        house.store.act(id, version, action, notes, by, &lines, now).await
                    }
                }
            }
            Err(missing) => {
                let told = Told { id: Some(id), sentence: missing.to_owned(), typed };
                return draw(&house, &visitor, view, Some((StatusCode::UNPROCESSABLE_ENTITY, told)), now).await;
            }
        },
    };
    // The call that was placed for him has told it first: his own word is the same.
    let done = match done {
        Err(ActError::Stale(present)) if is_told(&house.store, &typed, &present, by).await? => {
            let said = typed.said();
            match said.is_empty() {
                true => Ok(*present),
                false => house.store.keep_note(id, &said, by, now).await.map(|()| *present),
            }
        }
        done => done,
    };
    let error = match done {
        Ok(_) => {
            let stays = matches!(
                typed.verb.as_str(),
                "claim" | "dial" | "call-anyway" | "release" | "reopen" | "undo" | "note" | "retry"
            );
            let did = (!stays || typed.verb == "reopen").then_some(id);
            let undone = (typed.verb == "undo").then_some(id);
            // A note comes after its entry: the one in hand stays in hand. Behind the last one there is none.
            let at = if stays && typed.verb != "note" { Some(id) } else { next };
            let anchor = at.map_or_else(String::new, |at| format!("#c{at}"));
            let address = View { at, did, undone, ..view }.address();
            return Ok(Redirect::to(&format!("{address}{anchor}")).into_response());
        }
        Err(error) => error,
    };
    let present = house.store.callback(id).await?.ok_or(Error::NotFound)?.callback;
    let overtaken = match is_overtaken(&error) {
        true => overtaken(&house.store, &present, &typed, by, &wall).await?,
        false => None,
    };
    let asks = match &error {
        ActError::Refused(Refusal::HeldOnOtherLine(holder)) if typed.verb == "hand-over" => {
            Some(only_to_holder(holder, &present.line, &lines, &wall))
        }
        ActError::Refused(Refusal::HeldOnOtherLine(holder)) => {
            let question = question(holder, &present.line, &lines, &wall);
            let is_allowed = present.number_to_dial().is_none_or(|number| lines.dialing.allows(number));
            // The same button answers both.
            let asks_twice = typed.verb == "dial" && !is_allowed;
            Some(if asks_twice { format!("{question} {NUMBER_NOT_ALLOWED}") } else { question })
        }
        _ => None,
    };
    let Some(sentence) = overtaken.or(asks).or_else(|| sentence(&error, &wall)) else { return Err(error.into()) };
    let told = Told { id: Some(id), sentence, typed };
    draw(&house, &visitor, view, Some((Error::from(error).status(), told)), now).await
}

/// Whether «Не дозвонились» is written down already, by the call that was placed for this officer.
async fn is_told(store: &Store, typed: &Typed, present: &Callback, by: &Actor) -> Result<bool, PageError> {
    let is_put_off = matches!(&present.desk.state, DeskState::Later { by: whose, .. } if whose.id == by.id);
    if !is_put_off || !matches!(typed.verb.as_str(), "no-answer" | "busy") {
        return Ok(false);
    }
    let call = store.newest_placed_call(present.id, by).await?;
    Ok(call.and_then(|call| call.ending).and_then(Ending::attempt).is_some())
}

/// Whether somebody else may have been faster.
fn is_overtaken(error: &ActError) -> bool {
    matches!(error, ActError::Stale(_) | ActError::Refused(Refusal::ClaimedByOther { .. } | Refusal::Closed { .. }))
}

/// What is told if a colleague holds or has closed the entry; what was typed goes into its history then, for its forms are
/// gone.
async fn overtaken(
    store: &Store,
    present: &Callback,
    typed: &Typed,
    me: &Actor,
    wall: &Wall<'_>,
) -> Result<Option<String>, PageError> {
    let Some(faster) = Faster::at(present, me, wall) else { return Ok(None) };
    let said = typed.said();
    if !said.is_empty() {
        store.keep_note(present.id, &said, me, wall.now).await?;
    }
    Ok(Some(faster.sentence(present, me, !said.is_empty(), wall)))
}

/// What the form asks for. `Err`: something is missing, in a sentence.
type Asked = Result<(Action, Notes), &'static str>;

async fn asked(
    store: &Store,
    verb: &str,
    typed: &Typed,
    line: &LineId,
    now: Timestamp,
    wall: &Wall<'_>,
) -> Result<Asked, PageError> {
    if verb != "hand-over" {
        return Ok(action(verb, typed, now, wall).ok_or(Error::NotFound)?);
    }
    let officer = match typed.to.parse() {
        Ok(id) => store.officer(id).await?,
        Err(_) => None,
    };
    let officer = officer.filter(|officer| officer.role >= Role::Officer && officer.scope().allows(line));
    Ok(match officer {
        Some(officer) => Ok((Action::HandOver { to: Actor::officer(officer.id, &officer.name) }, Notes::default())),
        None => Err("Выберите, кому передать."),
    })
}

fn action(verb: &str, typed: &Typed, now: Timestamp, wall: &Wall<'_>) -> Option<Asked> {
    let note = typed.note.trim().to_owned();
    let attempt = |outcome| Action::Attempt { outcome, note: note.clone(), next_at: None };
    let action = match verb {
        "claim" => Action::Claim,
        "dial" => Action::Dial,
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
        choice => later(choice, now, wall),
    }
}
