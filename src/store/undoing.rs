//! Taking back: the last step of one callback, or an officer's last step wherever it was; and notes that came too late.

use super::callbacks::{Undoable, hold, keep_step};
use super::desk::{ActError, keep};
use super::ids::first_id_at;
use super::siblings::{self, lock_number, siblings_of};
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Store, StoreError, audit};
use crate::core::callback::{Callback, HistoryEntry, Sibling, State};
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// How many of one's own steps of a day can be taken back (UX §3).
pub const STEPS_BACK: i64 = 20;

/// A step as it lies in the history.
struct Last {
    id: i64,
    callback_id: i64,
    kind: String,
}

impl Store {
    /// Takes back the last step of this callback, if it was this officer's.
    pub async fn undo(&self, id: i64, version: Option<i64>, by: &Actor, now: Timestamp) -> Result<Callback, ActError> {
        self.check_callback(id).await?;
        let by = by.clone();
        self.write(move |mut writing| {
            Box::pin(async move {
                lock_number(writing.sql, id).await?;
                let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                if version.is_some_and(|version| version != callback.version) {
                    return Err(ActError::Stale(Box::new(callback)));
                }
                take_back(&mut writing, callback, None, &by, now).await
            })
        })
        .await
    }

    /// Takes back this officer's last step since `since` (the midnight of the day), wherever it was, up to
    /// [`STEPS_BACK`] of them one after the other. Where somebody has gone on from it, nothing changes:
    /// [`ActError::GoneOn`].
    pub async fn undo_last(&self, by: &Actor, since: Timestamp, now: Timestamp) -> Result<Callback, ActError> {
        let (by, scope) = (by.clone(), self.scope.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let found = sqlx::query(LAST_STEP_OF_ACTOR)
                    .bind(by.id.clone())
                    .bind(first_id_at(since))
                    .bind(STEPS_BACK)
                    .fetch_optional(&mut *writing.sql)
                    .await?;
                let step = read(&found.ok_or(ActError::NothingToUndo)?)?;
                lock_number(writing.sql, step.callback_id).await?;
                let callback = hold(writing.sql, step.callback_id).await?.ok_or(ActError::NothingToUndo)?;
                if !scope.allows(&callback.line) {
                    return Err(StoreError::OtherLine.into());
                }
                take_back(&mut writing, callback, Some(step.id), &by, now).await
            })
        })
        .await
    }

    /// Writes into the history what somebody typed beside a step that was refused or done already: nothing told is lost.
    /// The callback stays as it is, and so does its version.
    pub async fn keep_note(&self, id: i64, note: &str, by: &Actor, now: Timestamp) -> Result<(), ActError> {
        self.check_callback(id).await?;
        let (note, by) = (note.to_owned(), by.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                let object = format!("callback {id}");
                audit::keep(&mut writing, &by, "note", &object, "", "", now);
                let before = callback.desk;
                let entry = HistoryEntry { at: now, by, kind: "note", outcome: None, note, before };
                keep_step(&mut writing, id, &entry, None).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Takes back the last step of a held callback. `expected`: it has to be this one.
async fn take_back(
    writing: &mut Writing<'_>,
    mut callback: Callback,
    expected: Option<i64>,
    by: &Actor,
    now: Timestamp,
) -> Result<Callback, ActError> {
    let last = sqlx::query(LAST_STEP).bind(callback.id).fetch_optional(&mut *writing.sql).await?;
    let last = last.ok_or(ActError::NothingToUndo)?;
    let columns = Columns::of("callback_history", &last);
    let step = read(&last)?;
    if expected.is_some_and(|expected| expected != step.id) {
        return Err(ActError::GoneOn(Box::new(callback)));
    }
    if columns.get::<String>("actor_id")? != by.id {
        return Err(ActError::NothingToUndo);
    }
    let before = columns.optional_parsed("before_desk", |text| serde_json::from_str::<Undoable>(text).ok())?;
    let Undoable { desk, dropped_proposal, dropped_outcome } = before.ok_or(ActError::NothingToUndo)?;
    let entry =
        HistoryEntry { at: now, by: by.clone(), kind: "undo", outcome: None, note: step.kind, before: callback.desk };
    callback.desk = desk;
    // Nobody gets a number back that a colleague has begun to work on since, on another line.
    if let State::Claimed { by, .. } = &callback.desk.state
        && let Some(siblings) = siblings_of(writing.sql, std::slice::from_ref(&callback)).await?.get(&callback.id)
        && Sibling::held_by_colleague(siblings, by, now).is_some()
    {
        callback.desk.state = State::Open;
    }
    callback.proposed_call_id = callback.proposed_call_id.or(dropped_proposal);
    callback.proposed_callback_id = callback.proposed_callback_id.or(dropped_outcome);
    callback.version += 1;
    siblings::follow(writing, &callback, &entry.before.state, now).await?;
    sqlx::query(MARK_UNDONE).bind(now.as_millisecond()).bind(step.id).execute(&mut *writing.sql).await?;
    keep(writing, callback, &entry, None).await
}

fn read(row: &sqlx::any::AnyRow) -> super::Result<Last> {
    let columns = Columns::of("callback_history", row);
    Ok(Last { id: columns.get("id")?, callback_id: columns.get("callback_id")?, kind: columns.get("kind")? })
}

statements! {
    LAST_STEP = "
        SELECT id, callback_id, actor_id, kind, before_desk FROM callback_history
        WHERE callback_id = $1 AND undone_at IS NULL AND kind <> 'undo' AND before_desk IS NOT NULL
        ORDER BY id DESC
        LIMIT 1";
    /// The newest that is not taken back among the last few: steps taken back keep their place in the count.
    LAST_STEP_OF_ACTOR = "
        SELECT id, callback_id, kind FROM (
            SELECT id, callback_id, kind, undone_at FROM callback_history
            WHERE actor_id = $1 AND id >= $2 AND before_desk IS NOT NULL
            ORDER BY id DESC
            LIMIT $3
        ) AS newest
        WHERE undone_at IS NULL
        ORDER BY id DESC
        LIMIT 1";
    MARK_UNDONE = "UPDATE callback_history SET undone_at = $1 WHERE id = $2";
}
