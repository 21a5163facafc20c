//! Callbacks: opened by ingest, worked by officers. Every change of an officer holds the row first, asks `core`, writes.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::audit;
use super::sql::{Column, Columns, ManyRows, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError};
use crate::core::calendar::Period;
use crate::core::call::Call;
use crate::core::callback::{Action, Bench, Callback, Channel, Desk, HistoryEntry, Notes, Reason, Refusal, State};
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::time::{Timestamp, from_millisecond};

/// `due_at` of a callback that no working hours will ever answer: last in every order.
const NEVER: i64 = i64::MAX;

/// Why an officer's action changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ActError {
    #[error("there is no callback {0}")]
    NotFound(i64),
    /// The officer saw an older state; the present one is here.
    #[error("the callback has changed meanwhile (version {})", .0.version)]
    Stale(Box<Callback>),
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Reopening or undoing would make two open callbacks of one number.
    #[error("another callback of this number is open already")]
    AnotherOpen,
    /// The last step of this callback was not yours, or cannot be taken back.
    #[error("there is nothing of yours to undo here")]
    NothingToUndo,
    #[error("nobody waits")]
    NobodyWaits,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ActError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A callback about to be opened.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    id: i64,
    line: LineId,
    caller: Option<PhoneNumber>,
    callback_number: Option<PhoneNumber>,
    channel: Channel,
    received_at: Timestamp,
    period: Option<Period>,
    term_due_at: Option<Timestamp>,
}

impl Opening {
    /// The callback a call causes. It stands on the list of the period that was told to the caller (R7).
    pub fn for_call(id: i64, call: &Call, line: &Line) -> Self {
        let received_at = call.started_at;
        Self {
            id,
            line: line.id.clone(),
            caller: call.other_party(),
            callback_number: call.other_party().or_else(|| call.keyed_number()),
            channel: Channel::Telephone,
            received_at,
            period: call.decision.as_ref().and_then(|decision| decision.promise),
            term_due_at: term_due_at(line, received_at),
        }
    }
}

/// R8: the regulation's own term exists only where the school has set one.
fn term_due_at(line: &Line, received_at: Timestamp) -> Option<Timestamp> {
    line.calendar.due_after_hours(received_at, line.response_term?)
}

/// A request that came in another way than by telephone (R13).
#[derive(Clone, Debug)]
pub struct NewCallback {
    pub line: LineId,
    pub callback_number: Option<PhoneNumber>,
    pub channel: Channel,
    pub notes: Notes,
}

/// Opens each callback, or joins the open one of the same line and number. The answer has an id for each opening.
pub(super) async fn open_or_join(connection: &mut AnyConnection, openings: &[Opening]) -> Result<Vec<i64>> {
    if openings.is_empty() {
        return Ok(Vec::new());
    }
    let rows = OPEN_OR_JOIN
        .query(connection, openings, |params, opening| {
            params.add(opening.id);
            params.add(opening.line.to_string());
            params.add(opening.caller.as_ref().map(|number| number.e164().to_owned()));
            params.add(opening.callback_number.as_ref().map(|number| number.e164().to_owned()));
            params.add(opening.channel.as_str().to_owned());
            params.time(opening.received_at);
            params.optional_time(opening.period.map(|period| period.start));
            params.optional_time(opening.period.map(|period| period.end));
            params.add(opening.period.map_or(NEVER, |period| period.end.as_millisecond()));
            params.optional_time(opening.term_due_at);
        })
        .fetch_all(&mut *connection)
        .await?;
    let mut id_of = HashMap::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::of("callback", row);
        let (line, caller): (String, Option<String>) = (columns.get("line")?, columns.get("caller")?);
        if let Some(caller) = caller {
            id_of.insert((line, caller), columns.get("id")?);
        }
    }
    let opened = |opening: &Opening| {
        let caller = opening.caller.as_ref()?.e164().to_owned();
        id_of.get(&(opening.line.to_string(), caller)).copied()
    };
    Ok(openings.iter().map(|opening| opened(opening).unwrap_or(opening.id)).collect())
}

impl Store {
    /// One action of an officer. `version`: the one the officer saw; `None` takes whatever is there.
    #[expect(
        clippy::too_many_arguments,
        reason = "who does what to which, seen how, by which rules, when: none is optional"
    )]
    pub async fn act(
        &self,
        id: i64,
        version: Option<i64>,
        action: Action,
        notes: Notes,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                if version.is_some_and(|version| version != callback.version) {
                    return Err(ActError::Stale(Box::new(callback)));
                }
                act(&mut writing, callback, &action, notes, &by, &lines, now).await
            })
        })
        .await
    }

    /// Claims the next one nobody holds: overdue first, then by due time, then oldest (R10). What is put off waits until
    /// its time.
    pub async fn claim_next(
        &self,
        line: Option<LineId>,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                loop {
                    let found = sqlx::query(FIND_NEXT)
                        .bind(now.as_millisecond())
                        .bind(line.as_ref().map(LineId::to_string))
                        .bind(by.id.clone())
                        .fetch_optional(&mut *writing.sql)
                        .await?;
                    let id: i64 = found.ok_or(ActError::NobodyWaits)?.try_get("id")?;
                    let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                    match act(&mut writing, callback, &Action::Claim, Notes::default(), &by, &lines, now).await {
                        // Taken between finding and holding, by another instance: look again.
                        Err(ActError::Refused(_)) => continue,
                        claimed => return claimed,
                    }
                }
            })
        })
        .await
    }

    /// Registers a request that came in another way. Joins the open callback of the same line and number, if any.
    pub async fn register_by_hand(
        &self,
        new: NewCallback,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let line = lines.by_id(&new.line);
                let opening = Opening {
                    id: writing.new_id(now),
                    line: new.line.clone(),
                    caller: new.callback_number.clone(),
                    callback_number: new.callback_number,
                    channel: new.channel,
                    received_at: now,
                    period: line.calendar.period_at(now).or_else(|| line.calendar.next_period(now)),
                    term_due_at: term_due_at(line, now),
                };
                let id = open_or_join(writing.sql, &[opening]).await?[0];
                let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                act(&mut writing, callback, &Action::Describe, new.notes, &by, &lines, now).await
            })
        })
        .await
    }

    /// Takes back the last step of this callback, if it was this officer's.
    pub async fn undo(&self, id: i64, version: Option<i64>, by: &Actor, now: Timestamp) -> Result<Callback, ActError> {
        let by = by.clone();
        self.write(move |mut writing| {
            Box::pin(async move {
                let mut callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                if version.is_some_and(|version| version != callback.version) {
                    return Err(ActError::Stale(Box::new(callback)));
                }
                let last = sqlx::query(LAST_STEP).bind(id).fetch_optional(&mut *writing.sql).await?;
                let last = last.ok_or(ActError::NothingToUndo)?;
                let columns = Columns::of("callback_history", &last);
                if columns.get::<String>("actor_id")? != by.id {
                    return Err(ActError::NothingToUndo);
                }
                let before = columns.optional_parsed("before_desk", |text| serde_json::from_str::<Desk>(text).ok())?;
                let entry = HistoryEntry {
                    at: now,
                    by: by.clone(),
                    kind: "undo",
                    outcome: None,
                    note: columns.get("kind")?,
                    before: callback.desk.clone(),
                };
                callback.desk = before.ok_or(ActError::NothingToUndo)?;
                callback.version += 1;
                sqlx::query(MARK_UNDONE)
                    .bind(now.as_millisecond())
                    .bind(columns.get::<i64>("id")?)
                    .execute(&mut *writing.sql)
                    .await?;
                save(&mut writing, &callback, &entry, None).await?;
                Ok(callback)
            })
        })
        .await
    }
}

impl Store {
    /// The machine's clock was set on or back by `by_ms`: claims that were alive at `before` (its old time) are moved
    /// along, so that an officer who is on the telephone keeps what he holds.
    pub async fn move_leases(&self, by_ms: i64, before: Timestamp) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(MOVE_LEASES).bind(by_ms).bind(before.as_millisecond()).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }
}

/// The action on a held callback: decided by `core`, registered, written, with history and audit.
async fn act(
    writing: &mut Writing<'_>,
    mut callback: Callback,
    action: &Action,
    notes: Notes,
    by: &Actor,
    lines: &Lines,
    now: Timestamp,
) -> Result<Callback, ActError> {
    let line = lines.by_id(&callback.line);
    let vain: i64 =
        sqlx::query(COUNT_VAIN_ATTEMPTS).bind(callback.id).fetch_one(&mut *writing.sql).await?.try_get(0)?;
    let bench = Bench {
        now,
        by,
        calendar: &line.calendar,
        vain_attempts: vain.try_into().unwrap_or(0),
        regulation_reasons: lines.regulation_reasons,
    };
    let before = callback.desk.clone();
    let entry = callback.act(action, notes, &bench)?;
    if callback.registration_number.is_none() && callback.registered_at.is_some() {
        let year = i64::from(now.to_zoned(line.calendar.time_zone().clone()).year());
        let number: i64 = sqlx::query(NEXT_REGISTRATION).bind(year).fetch_one(&mut *writing.sql).await?.try_get(0)?;
        callback.registration_number = Some(format!("{year}-{number:06}"));
    }
    // A renewed lease is no step of its own: undo goes back to what the officer did before it.
    let is_renewal =
        matches!(action, Action::Claim) && before.state.as_str() == "claimed" && holder_is(&before.state, by);
    save(writing, &callback, &entry, (!is_renewal).then_some(&entry.before)).await?;
    Ok(callback)
}

fn holder_is(state: &State, by: &Actor) -> bool {
    matches!(state, State::Claimed { by: holder, .. } if holder.id == by.id)
}

/// Takes the row lock (PostgreSQL) or the write lock (SQLite) and reads the callback.
async fn hold(connection: &mut AnyConnection, id: i64) -> Result<Option<Callback>> {
    let row = sqlx::query(HOLD_CALLBACK).bind(id).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

/// Writes the callback, its history and the audit row. `undoable`: the desk that undo would bring back.
async fn save(
    writing: &mut Writing<'_>,
    callback: &Callback,
    entry: &HistoryEntry,
    undoable: Option<&Desk>,
) -> Result<(), ActError> {
    let id = writing.new_id(entry.at);
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
        .execute(&mut *writing.sql)
        .await;
    match saved {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Err(ActError::AnotherOpen),
        saved => saved?,
    };
    let before = undoable.map(|desk| serde_json::to_string(desk).expect("a desk has text keys and plain values"));
    sqlx::query(KEEP_STEP)
        .bind(id)
        .bind(callback.id)
        .bind(entry.at.as_millisecond())
        .bind(entry.by.id.clone())
        .bind(entry.by.name.clone())
        .bind(entry.kind)
        .bind(entry.outcome.map(str::to_owned))
        .bind(entry.note.clone())
        .bind(before)
        .execute(&mut *writing.sql)
        .await?;
    let object = format!("callback {}", callback.id);
    let detail = format!("{} → {}", entry.before.state.as_str(), callback.desk.state.as_str());
    audit::keep(writing, &entry.by, entry.kind, &object, &detail, "", entry.at).await?;
    Ok(())
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
    let number = |text: &str| PhoneNumber::parse(text).ok();
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
        version: columns.get("version")?,
    })
}

fn read_state(columns: &Columns<'_>) -> Result<State> {
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

/// Opens callbacks; an open one of the same line and number is joined instead. The version grows, so that nobody closes it
/// without having seen who joined; and whoever calls again was not helped by the talk that proposed to close it.
pub(super) const OPEN_OR_JOIN: ManyRows = ManyRows {
    name: "OPEN_OR_JOIN",
    head: "INSERT INTO callback (id, line, caller, callback_number, channel, received_at, period_starts_at,
            period_ends_at, due_at, term_due_at, state, version)
        SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, 'open', 1",
    columns: &[
        Column::Number,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Number,
        Column::Number,
        Column::Number,
        Column::Number,
        Column::Number,
    ],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (line, caller) WHERE closed_at IS NULL AND caller IS NOT NULL
        DO UPDATE SET version = callback.version + 1, proposed_call_id = NULL
        RETURNING id, line, caller",
};

statements! {
    HOLD_CALLBACK = "UPDATE callback SET id = id WHERE id = $1 RETURNING *";
    SAVE_CALLBACK = "
        UPDATE callback
        SET registered_at = $2, registration_number = $3, state = $4, actor_id = $5, actor_name = $6, acted_at = $7,
            until_at = $8, reason = $9, note = $10, asker = $11, topic = $12, summary = $13, reference = $14,
            proposed_call_id = $15, version = $16, closed_at = $17
        WHERE id = $1";
    KEEP_STEP = "
        INSERT INTO callback_history (id, callback_id, at, actor_id, actor_name, kind, outcome, note, before_desk)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LAST_STEP = "
        SELECT id, actor_id, kind, before_desk FROM callback_history
        WHERE callback_id = $1 AND undone_at IS NULL AND kind <> 'undo' AND before_desk IS NOT NULL
        ORDER BY id DESC
        LIMIT 1";
    MARK_UNDONE = "UPDATE callback_history SET undone_at = $1 WHERE id = $2";
    COUNT_VAIN_ATTEMPTS = "
        SELECT COUNT(*) FROM callback_history
        WHERE callback_id = $1 AND kind = 'attempt' AND outcome <> 'reached' AND undone_at IS NULL";
    NEXT_REGISTRATION = "
        INSERT INTO registration (year, last_number) VALUES ($1, 1)
        ON CONFLICT (year) DO UPDATE SET last_number = registration.last_number + 1
        RETURNING last_number";
    MOVE_LEASES = "
        UPDATE callback SET until_at = until_at + $1
        WHERE closed_at IS NULL AND state = 'claimed' AND until_at > $2";
    FIND_NEXT = "
        SELECT id FROM callback
        WHERE closed_at IS NULL
          AND (CAST($2 AS TEXT) IS NULL OR line = $2)
          AND (state = 'open' OR (state = 'later' AND until_at <= $1)
               OR (state = 'claimed' AND (until_at <= $1 OR actor_id = $3)))
        ORDER BY due_at, received_at, id
        LIMIT 1";
}
