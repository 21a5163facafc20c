//! What an officer does with one callback. Each action is one step of its history and can be taken back.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::callbacks::with_everything;
use super::extract::{Acting, Id, Sent, given};
use super::objects::Callback;
use super::problem::Problem;
use super::refusals::Changing;
use super::words;
use crate::core::callback::{Action, AttemptOutcome, Notes, Reason, Refusal};
use crate::store::{ActError, CallbackView};
use crate::time::{Timestamp, from_millisecond};
use crate::web::auth::Seen;
use crate::web::{Error, House};

/// The body of an action: fields of its own, and what may be said along with any.
macro_rules! said {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$attribute])* $field: $type,)*
            /// The version that was seen; if it is not the present one any more, the answer is 409 and nothing changes.
            version: Option<i64>,
            /// At most 2000 characters.
            note: Option<String>,
            #[schema(schema_with = words::asker, required = false)]
            asker: Option<String>,
            #[schema(schema_with = words::topic, required = false)]
            topic: Option<String>,
            /// The difficulty in one clear sentence; at most 2000 characters.
            summary: Option<String>,
            /// An earlier callback or document where it was discussed before; at most 2000 characters.
            reference: Option<String>,
        }

        impl Along for $name {
            fn along(self) -> (Option<i64>, Notes) {
                let Self { version, note, asker, topic, summary, reference, .. } = self;
                (version, Notes { asker, topic, summary, reference, remark: note })
            }
        }
    )*};
}

/// What is said along with any action.
trait Along {
    /// The version that was seen, and the notes. The note itself is the remark.
    fn along(self) -> (Option<i64>, Notes);
}

said! {
    /// Nothing of this is needed. An empty text clears a note; what is left out stays.
    Said {}

    /// Nothing of this is needed.
    ToClaim {
        /// `true`: claim it though a colleague holds the same number on another line.
        confirm_other_line: Option<bool>,
    }

    AttemptMade {
        #[schema(schema_with = words::attempt)]
        outcome: AttemptOutcome,
        /// After `no_answer` or `busy`: when to try again; moved into working time, planned by the rules if left out.
        #[schema(value_type = Option<String>, format = DateTime)]
        next_attempt_at: Option<Timestamp>,
    }

    PutOff {
        /// When to call; moved into working time, never into the past.
        #[schema(value_type = String, format = DateTime)]
        until: Timestamp,
    }

    ToClarify {
        /// When to call; moved into working time, planned by the rules if left out.
        #[schema(value_type = Option<String>, format = DateTime)]
        next_attempt_at: Option<Timestamp>,
    }

    Declined {
        #[schema(schema_with = words::reason)]
        reason: Reason,
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakenBack {
    /// The version that was seen; if it is not the present one any more, the answer is 409 and nothing changes.
    version: Option<i64>,
}

/// One route for each action: its address, its body, and the action it makes of body and note.
macro_rules! actions {
    ($($(#[$doc:meta])* $path:literal $name:ident($said:ident: $body:ty as $sent:ty, $note:ident) => $action:expr;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "callbacks", request_body = $sent,
            params(("id" = String, Path, description = "Id of the callback")),
            responses((status = 200, description = "Done; the callback as it stands now", body = Callback), Changing)
        )]
        pub async fn $name(
            Seen(house): Seen,
            Acting(person): Acting,
            Id(id): Id,
            Sent($said): Sent<$body>,
        ) -> Result<Json<Callback>, Problem> {
            let $note = given(&$said.note).unwrap_or_default().to_owned();
            let action = $action;
            let (version, notes) = $said.along();
            let now = house.clock.now();
            let acted = house.store.act(id, version, action, notes, &person.actor, &house.lines(), now).await;
            answer(&house, id, acted, now).await
        }
    )*};
}

actions! {
    /// Takes the callback for 15 minutes. Claiming one's own again renews that; a colleague's claim is refused with 409, and
    /// so is the first try where a colleague holds the same number on another line (`urn:perezvon:held-on-other-line`).
    "/v1/callbacks/{id}/claim" claim(said: ToClaim as Option<ToClaim>, _note) =>
        confirmed(Action::Claim, said.confirm_other_line);

    /// Takes one that proposes an outcome (the caller got through in another way, or another line has answered or put off
    /// the same number), and drops the proposal.
    "/v1/callbacks/{id}/call-anyway" call_anyway(said: ToClaim as Option<ToClaim>, _note) =>
        confirmed(Action::CallAnyway, said.confirm_other_line);

    /// Gives it back to all.
    "/v1/callbacks/{id}/release" release(said: Said as Option<Said>, _note) => Action::Release;

    /// Writes down one attempt to reach the caller. `reached` keeps the callback claimed; after the others the next attempt
    /// is planned inside working time.
    "/v1/callbacks/{id}/attempts" attempts(said: AttemptMade as AttemptMade, note) => Action::Attempt {
        outcome: said.outcome,
        note,
        next_at: said.next_attempt_at.map(to_millisecond),
    };

    /// Closes it: the caller has been helped.
    "/v1/callbacks/{id}/done" done(said: Said as Option<Said>, note) => Action::Done { note };

    /// Puts it off.
    "/v1/callbacks/{id}/later" later(said: PutOff as PutOff, note) => Action::Later {
        until: to_millisecond(said.until),
        note,
    };

    /// Something has to be cleared up first; the note says what and is needed.
    "/v1/callbacks/{id}/clarify" clarify(said: ToClarify as ToClarify, note) => Action::Clarify {
        note,
        next_at: said.next_attempt_at.map(to_millisecond),
    };

    /// Closes it by the exceptional situation: our consultant cannot help, the caller turns to portal support himself.
    /// Nothing is sent to anyone.
    "/v1/callbacks/{id}/exceptional" exceptional(said: Said as Option<Said>, note) => Action::Exceptional { note };

    /// Closes it with a listed reason. `not_enough_data` and `not_constructive` stand in the regulation, need a note, and
    /// may be switched off; `already_answered` needs a reference.
    "/v1/callbacks/{id}/decline" decline(said: Declined as Declined, note) => Action::Decline { reason: said.reason, note };

    /// Opens a closed one again.
    "/v1/callbacks/{id}/reopen" reopen(said: Said as Option<Said>, _note) => Action::Reopen;
}

fn confirmed(action: Action, is_confirmed: Option<bool>) -> Action {
    match is_confirmed {
        Some(true) => Action::Confirmed(Box::new(action)),
        _ => action,
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToAccept {
    /// The version that was seen; if it is not the present one any more, the answer is 409 and nothing changes.
    version: Option<i64>,
    /// In the place of the note there; at most 2000 characters.
    note: Option<String>,
}

/// Gives it the outcome of `proposed_callback`: closed in the same way, or put off until the same time.
#[utoipa::path(
    post, path = "/v1/callbacks/{id}/same", tag = "callbacks", request_body = Option<ToAccept>,
    params(("id" = String, Path, description = "Id of the callback")),
    responses((status = 200, description = "Done; the callback as it stands now", body = Callback), Changing)
)]
pub async fn same(
    Seen(house): Seen,
    Acting(person): Acting,
    Id(id): Id,
    Sent(said): Sent<ToAccept>,
) -> Result<Json<Callback>, Problem> {
    let (now, lines) = (house.clock.now(), house.lines());
    let note = given(&said.note).map(str::to_owned);
    let accepted = house.store.accept_proposed_outcome(id, said.version, note, &person.actor, &lines, now).await;
    answer(&house, id, accepted, now).await
}

/// Takes back the last step, if it was mine.
#[utoipa::path(
    post, path = "/v1/callbacks/{id}/undo", tag = "callbacks", request_body = Option<TakenBack>,
    params(("id" = String, Path, description = "Id of the callback")),
    responses((status = 200, description = "Done; the callback as it stands now", body = Callback), Changing)
)]
pub async fn undo(
    Seen(house): Seen,
    Acting(person): Acting,
    Id(id): Id,
    Sent(said): Sent<TakenBack>,
) -> Result<Json<Callback>, Problem> {
    let now = house.clock.now();
    let undone = house.store.undo(id, said.version, &person.actor, now).await;
    answer(&house, id, undone, now).await
}

/// The callback as it stands now. A conflict carries the present state along, so that nobody has to ask for it.
async fn answer(
    house: &House,
    id: i64,
    acted: Result<crate::core::callback::Callback, ActError>,
    now: Timestamp,
) -> Result<Json<Callback>, Problem> {
    let refused = match acted {
        Ok(callback) => return Ok(Json(with_everything(house, callback, now).await?)),
        Err(ActError::Refused(Refusal::HeldOnOtherLine(holder))) => {
            Problem::held_on_other_line(&holder, &house.lines())
        }
        Err(refused) => Problem::from(Error::from(refused)),
    };
    if !refused.is_conflict() {
        return Err(refused);
    }
    let current = house.store.callback(id).await?;
    Err(refused.with_current(current.map(|view: CallbackView| Callback::of(&view, &house.lines(), now))))
}

/// The precision of the database.
fn to_millisecond(at: Timestamp) -> Timestamp {
    from_millisecond(at.as_millisecond())
}
