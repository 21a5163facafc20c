//! The row of a callback: held, read, written with its history and audit.

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::audit;
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, StoreError};
use crate::core::calendar::Period;
use crate::core::callback::{Callback, Channel, Desk, HistoryEntry, Notes, Reason, State, Terms};
use crate::core::line::LineId;
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::time::{TimeZone, Timestamp, from_millisecond};

/// `due_at` of a callback that no working hours will ever answer: last in every order.
pub(super) const NEVER: i64 = i64::MAX;

/// What undo brings back, as the history keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Undoable {
    #[serde(flatten)]
    pub desk: Desk,
    /// The proposal to close that this step dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_proposal: Option<i64>,
    /// The callback whose outcome was proposed here until this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_outcome: Option<i64>,
}

/// Takes the row lock (PostgreSQL) or the write lock (SQLite) and reads the callback.
pub(super) async fn hold(connection: &mut AnyConnection, id: i64) -> Result<Option<Callback>> {
    let row = sqlx::query(HOLD_CALLBACK).bind(id).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

/// Writes the callback, its history and the audit row. `undoable`: what undo would bring back. `false`: another
/// callback of this line and number is open, so this one cannot be; the transaction must be rolled back.
pub(super) async fn save(
    writing: &mut Writing<'_>,
    callback: &Callback,
    entry: &HistoryEntry,
    undoable: Option<&Undoable>,
) -> Result<bool> {
    let state = StateColumns::of(&callback.desk.state);
    let notes = callback.desk.notes.clone();
    let saved = sqlx::query(SAVE_CALLBACK)
        .bind(callback.id)
        .bind(callback.registered_at.map(Timestamp::as_millisecond))
        .bind(callback.registration_number.clone())
        .bind(callback.desk.state.as_str())
        .bind(state.actor.map(|actor| actor.id.clone()))
        .bind(state.actor.map(|actor| actor.name.clone()))
        .bind(state.at.map(Timestamp::as_millisecond))
        .bind(state.until.map(Timestamp::as_millisecond))
        .bind(state.reason.map(|reason| reason.as_str().to_owned()))
        .bind(state.note.map(str::to_owned))
        .bind(notes.asker)
        .bind(notes.topic)
        .bind(notes.summary)
        .bind(notes.reference)
        .bind(callback.proposed_call_id)
        .bind(callback.version)
        .bind(callback.desk.state.closed_at().map(Timestamp::as_millisecond))
        .bind(callback.proposed_callback_id)
        .execute(&mut *writing.sql)
        .await;
    match saved {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(false),
        saved => saved?,
    };
    keep_step(writing, callback.id, entry, undoable).await?;
    let object = format!("callback {}", callback.id);
    let detail = format!("{} → {}", entry.before.state.as_str(), callback.desk.state.as_str());
    audit::keep(writing, &entry.by, entry.kind, &object, &detail, "", entry.at);
    Ok(true)
}

/// One line of the history.
pub(super) async fn keep_step(
    writing: &mut Writing<'_>,
    callback_id: i64,
    entry: &HistoryEntry,
    undoable: Option<&Undoable>,
) -> Result<()> {
    writing.touches_the_list();
    let id = writing.new_id(entry.at);
    let before = undoable.map(|before| serde_json::to_string(before).expect("a desk has text keys and plain values"));
    sqlx::query(KEEP_STEP)
        .bind(id)
        .bind(callback_id)
        .bind(entry.at.as_millisecond())
        .bind(entry.by.id.clone())
        .bind(entry.by.name.clone())
        .bind(entry.kind)
        .bind(entry.outcome.map(str::to_owned))
        .bind(entry.note.clone())
        .bind(before)
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

/// Writes new due times of a callback that is still open, with its history and the audit row. Its version stays: nobody's page
/// becomes invalid by it.
pub(super) async fn move_terms(
    writing: &mut Writing<'_>,
    callback: &Callback,
    terms: &Terms,
    zone: &TimeZone,
    by: &Actor,
    now: Timestamp,
) -> Result<()> {
    let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    let moved = sqlx::query(MOVE_TERMS)
        .bind(callback.id)
        .bind(ms(terms.period.map(|period| period.start)))
        .bind(ms(terms.due_at()))
        .bind(ms(terms.due_at()).unwrap_or(NEVER))
        .bind(ms(terms.term_due_at))
        .execute(&mut *writing.sql)
        .await?;
    if moved.rows_affected() == 0 {
        return Ok(());
    }
    writing.touches_the_list();
    let change = |was, will| format!("{} → {}", shown(was, zone), shown(will, zone));
    let mut note = change(callback.due_at, terms.due_at());
    if callback.term_due_at != terms.term_due_at {
        note = format!("{note}; срок регламента {}", change(callback.term_due_at, terms.term_due_at));
    }
    let id = writing.new_id(now);
    sqlx::query(KEEP_STEP)
        .bind(id)
        .bind(callback.id)
        .bind(now.as_millisecond())
        .bind(by.id.clone())
        .bind(by.name.clone())
        .bind("due_moved")
        .bind(None::<String>)
        .bind(note.clone())
        .bind(None::<String>)
        .execute(&mut *writing.sql)
        .await?;
    audit::keep(writing, by, "due_moved", &format!("callback {}", callback.id), &note, "", now);
    Ok(())
}

/// «24.11.2026, 18:00».
fn shown(at: Option<Timestamp>, zone: &TimeZone) -> String {
    match at {
        Some(at) => at.to_zoned(zone.clone()).strftime("%d.%m.%Y, %-H:%M").to_string(),
        None => "без срока".to_owned(),
    }
}

/// The columns that hold a [`State`].
#[derive(Default)]
struct StateColumns<'a> {
    actor: Option<&'a Actor>,
    at: Option<Timestamp>,
    until: Option<Timestamp>,
    reason: Option<Reason>,
    note: Option<&'a str>,
}

impl<'a> StateColumns<'a> {
    fn of(state: &'a State) -> Self {
        let of = |actor, at: &Timestamp| Self { actor: Some(actor), at: Some(*at), ..Self::default() };
        match state {
            State::Open => Self::default(),
            State::Claimed { by, at, until } | State::Later { by, at, until } => {
                Self { until: Some(*until), ..of(by, at) }
            }
            State::Done { by, at, note } | State::Exceptional { by, at, note } => {
                Self { note: Some(note), ..of(by, at) }
            }
            State::Declined { by, at, reason, note } => Self { reason: Some(*reason), note: Some(note), ..of(by, at) },
        }
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Callback> {
    let columns = Columns::of("callback", row);
    let number = PhoneNumber::stored;
    let period = columns.optional_time("period_starts_at")?.zip(columns.optional_time("period_ends_at")?);
    let due_at: i64 = columns.get("due_at")?;
    Ok(Callback {
        id: columns.get("id")?,
        line: LineId::new(&columns.get::<String>("line")?),
        caller: columns.optional_parsed("caller", number)?,
        callback_number: columns.optional_parsed("callback_number", number)?,
        channel: columns.parsed("channel", |text| Channel::ALL.into_iter().find(|channel| channel.as_str() == text))?,
        received_at: columns.time("received_at")?,
        registered_at: columns.optional_time("registered_at")?,
        registration_number: columns.get("registration_number")?,
        period: period.map(|(start, end)| Period { start, end }),
        due_at: (due_at != NEVER).then(|| from_millisecond(due_at)),
        term_due_at: columns.optional_time("term_due_at")?,
        desk: Desk {
            state: read_state(&columns)?,
            notes: Notes {
                asker: columns.get("asker")?,
                topic: columns.get("topic")?,
                summary: columns.get("summary")?,
                reference: columns.get("reference")?,
                remark: None,
            },
        },
        proposed_call_id: columns.get("proposed_call_id")?,
        proposed_callback_id: columns.get("proposed_callback_id")?,
        version: columns.get("version")?,
    })
}

pub(super) fn read_state(columns: &Columns<'_>) -> Result<State> {
    let state: String = columns.get("state")?;
    if state == "open" {
        return Ok(State::Open);
    }
    let by = Actor { id: columns.get("actor_id")?, name: columns.get("actor_name")? };
    let at = columns.time("acted_at")?;
    let note = || Ok::<_, StoreError>(columns.get::<Option<String>>("note")?.unwrap_or_default());
    Ok(match state.as_str() {
        "claimed" => State::Claimed { by, at, until: columns.time("until_at")? },
        "later" => State::Later { by, at, until: columns.time("until_at")? },
        "done" => State::Done { by, at, note: note()? },
        "exceptional" => State::Exceptional { by, at, note: note()? },
        "declined" => {
            let reason = |text: &str| Reason::ALL.into_iter().find(|reason| reason.as_str() == text);
            State::Declined { by, at, reason: columns.parsed("reason", reason)?, note: note()? }
        }
        _ => return Err(columns.corrupt("state")),
    })
}

statements! {
    HOLD_CALLBACK = "UPDATE callback SET id = id WHERE id = $1 RETURNING *";
    SAVE_CALLBACK = "
        UPDATE callback
        SET registered_at = $2, registration_number = $3, state = $4, actor_id = $5, actor_name = $6, acted_at = $7,
            until_at = $8, reason = $9, note = $10, asker = $11, topic = $12, summary = $13, reference = $14,
            proposed_call_id = $15, version = $16, closed_at = $17, proposed_callback_id = $18
        WHERE id = $1";
    MOVE_TERMS = "
        UPDATE callback SET period_starts_at = $2, period_ends_at = $3, due_at = $4, term_due_at = $5
        WHERE id = $1 AND closed_at IS NULL";
    KEEP_STEP = "
        INSERT INTO callback_history (id, callback_id, at, actor_id, actor_name, kind, outcome, note, before_desk)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
}
