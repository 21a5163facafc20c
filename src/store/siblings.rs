//! Callbacks of one number on several lines: who holds them, and the outcome of one proposed to the others (R26).

use std::collections::{BTreeSet, HashMap};

use sqlx::AnyConnection;

use super::callbacks;
use super::sql::{Column, Columns, ManyRows, statements};
use super::writer::Writing;
use super::{Result, Store};
use crate::core::callback::{Callback, Sibling, SiblingAttempt, State};
use crate::core::line::LineId;
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::time::Timestamp;

/// Locks the number of this callback until the commit; taken before any row of a callback, so that all who work on one
/// number queue here. SQLite needs none: its one write lock does the same.
pub(super) async fn lock_number(connection: &mut AnyConnection, callback_id: i64) -> Result<()> {
    if connection.backend_name() != "SQLite" {
        sqlx::query(LOCK_NUMBER).bind(callback_id).execute(connection).await?;
    }
    Ok(())
}

/// The same for numbers of which the callbacks are not known yet, in one order for all who do so.
pub(super) async fn lock_numbers(connection: &mut AnyConnection, numbers: BTreeSet<String>) -> Result<()> {
    if connection.backend_name() == "SQLite" {
        return Ok(());
    }
    let tails: BTreeSet<&str> =
        numbers.iter().filter_map(|number| number.get(number.len().checked_sub(3)?..)).collect();
    for tail in tails {
        sqlx::query(LOCK_TAIL).bind(tail.to_owned()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The open siblings of each callback that has a number, by the id of the callback.
pub(super) async fn siblings_of(
    connection: &mut AnyConnection,
    callbacks: &[Callback],
) -> Result<HashMap<i64, Vec<Sibling>>> {
    let numbered: Vec<(i64, String)> = callbacks
        .iter()
        .filter_map(|callback| Some((callback.id, callback.callback_number.as_ref()?.e164().to_owned())))
        .collect();
    let mut siblings: HashMap<i64, Vec<Sibling>> = HashMap::new();
    if numbered.is_empty() {
        return Ok(siblings);
    }
    let query = SIBLINGS_OF_CALLBACKS.query(connection, &numbered, |params, (id, number)| {
        params.add(*id);
        params.add(number.clone());
    });
    for row in query.fetch_all(&mut *connection).await? {
        let columns = Columns::of("callback", &row);
        siblings.entry(columns.get("sibling_of")?).or_default().push(read(&columns)?);
    }
    Ok(siblings)
}

impl Store {
    /// The callbacks of each of these numbers that wait, on all lines, the oldest first.
    pub async fn waiting_callbacks(&self, numbers: &[PhoneNumber]) -> Result<HashMap<PhoneNumber, Vec<Sibling>>> {
        let mut waiting: HashMap<PhoneNumber, Vec<Sibling>> = HashMap::new();
        if numbers.is_empty() {
            return Ok(waiting);
        }
        let mut connection = self.readers.acquire().await?;
        // No callback has an id below zero, so none is left out.
        let numbered: Vec<(i64, &PhoneNumber)> = (1..).map(|place: i64| -place).zip(numbers).collect();
        let query = SIBLINGS_OF_CALLBACKS.query(&connection, &numbered, |params, (place, number)| {
            params.add(*place);
            params.add(number.e164().to_owned());
        });
        for row in query.fetch_all(&mut *connection).await? {
            let columns = Columns::of("callback", &row);
            let place: i64 = columns.get("sibling_of")?;
            if let Some((_, number)) = numbered.iter().find(|(known, _)| *known == place) {
                let mut sibling = read(&columns)?;
                self.shorten_sibling(&mut sibling);
                waiting.entry((*number).clone()).or_default().push(sibling);
            }
        }
        Ok(waiting)
    }
}

fn read(columns: &Columns<'_>) -> Result<Sibling> {
    let placed_call = columns.get::<Option<String>>("placed_actor_id")?.zip(columns.get("placed_actor_name")?);
    let placed_call = placed_call.map(|(id, name)| Actor { id, name }).zip(columns.optional_time("placed_at")?);
    let tried_by = columns.get::<Option<String>>("tried_actor_id")?.zip(columns.get("tried_actor_name")?);
    let tried_by = tried_by.map(|(id, name)| Actor { id, name }).zip(columns.optional_time("tried_at")?);
    let kind: Option<String> = columns.get("tried_kind")?;
    let outcome: Option<String> = columns.get("tried_outcome")?;
    let outcome = match (kind.as_deref(), outcome.as_deref()) {
        (Some("dial"), _) => "dialled",
        (_, Some("reached")) => "reached",
        (_, Some("busy")) => "busy",
        _ => "no_answer",
    };
    Ok(Sibling {
        id: columns.get("id")?,
        line: LineId::new(&columns.get::<String>("line")?),
        state: callbacks::read_state(columns)?,
        placed_call,
        last_attempt: tried_by.map(|(by, at)| SiblingAttempt { at, by, outcome }),
    })
}

/// The callbacks whose outcomes are proposed to these, by their ids. No statement where nothing is proposed.
pub(super) async fn proposed_outcomes(
    connection: &mut AnyConnection,
    callbacks: &[Callback],
) -> Result<HashMap<i64, Callback>> {
    let ids: Vec<i64> = callbacks.iter().filter_map(|callback| callback.proposed_callback_id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = PROPOSED_OUTCOMES.query(connection, &ids, |params, id| params.add(*id)).fetch_all(connection).await?;
    rows.iter().map(|row| callbacks::read(row).map(|callback| (callback.id, callback))).collect()
}

/// After a step: a new outcome is proposed to the siblings, and one that was taken back is proposed no longer. Whoever is
/// called again before his time needs no statement: [`Callback::outcome_for_siblings`] is `None` then.
pub(super) async fn follow(
    writing: &mut Writing<'_>,
    callback: &Callback,
    before: &State,
    now: Timestamp,
) -> Result<()> {
    let state = &callback.desk.state;
    let Some(number) = callback.callback_number.as_ref().filter(|_| state != before) else { return Ok(()) };
    let number = number.e164().to_owned();
    match state {
        State::Open | State::Claimed { .. } if before.closed_at().is_some() => {
            sqlx::query(WITHDRAW_OUTCOME).bind(callback.id).bind(number).execute(&mut *writing.sql).await?;
        }
        State::Open | State::Claimed { .. } => {}
        State::Later { until, .. } => propose(writing, callback.id, number, Some(*until), now).await?,
        State::Done { .. } | State::Exceptional { .. } | State::Declined { .. } => {
            propose(writing, callback.id, number, None, now).await?;
        }
    }
    Ok(())
}

async fn propose(
    writing: &mut Writing<'_>,
    id: i64,
    number: String,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(PROPOSE_OUTCOME)
        .bind(id)
        .bind(number)
        .bind(until.map(Timestamp::as_millisecond))
        .bind(now.as_millisecond())
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

statements! {
    LOCK_NUMBER = "
        INSERT INTO number_lock (tail)
        SELECT SUBSTR(callback_number, LENGTH(callback_number) - 2) FROM callback
        WHERE id = $1 AND callback_number IS NOT NULL
        ON CONFLICT (tail) DO UPDATE SET tail = excluded.tail";
    LOCK_TAIL = "INSERT INTO number_lock (tail) VALUES ($1) ON CONFLICT (tail) DO UPDATE SET tail = excluded.tail";
    /// Whoever sees the sibling's page from before has to look again. A callback that is put off as long already needs no
    /// proposal to put it off, and neither does one that an officer holds: he decides himself.
    PROPOSE_OUTCOME = "
        UPDATE callback SET proposed_callback_id = $1, version = version + 1
        WHERE callback_number = $2 AND closed_at IS NULL AND id <> $1
          AND (CAST($3 AS BIGINT) IS NULL
               OR NOT ((state = 'later' AND until_at >= $3) OR (state = 'claimed' AND until_at > $4)))";
    WITHDRAW_OUTCOME = "
        UPDATE callback SET proposed_callback_id = NULL, version = version + 1
        WHERE callback_number = $2 AND closed_at IS NULL AND proposed_callback_id = $1";
}

const SIBLINGS_OF_CALLBACKS: ManyRows = ManyRows {
    name: "SIBLINGS_OF_CALLBACKS",
    head: "SELECT column1 AS sibling_of, sibling.id AS id, sibling.line AS line, sibling.state AS state,
        sibling.actor_id AS actor_id, sibling.actor_name AS actor_name, sibling.acted_at AS acted_at,
        sibling.until_at AS until_at, sibling.reason AS reason, sibling.note AS note,
        placed.actor_id AS placed_actor_id, placed.actor_name AS placed_actor_name, placed.asked_at AS placed_at,
        tried.actor_id AS tried_actor_id, tried.actor_name AS tried_actor_name, tried.at AS tried_at,
        tried.kind AS tried_kind, tried.outcome AS tried_outcome",
    columns: &[Column::Number, Column::Text],
    tail: "JOIN callback AS sibling
            ON sibling.callback_number = column2 AND sibling.closed_at IS NULL AND sibling.id <> column1
        LEFT JOIN placed_call AS placed ON placed.callback_id = sibling.id AND placed.over_at IS NULL
        LEFT JOIN callback_history AS tried ON tried.id = (
            SELECT MAX(step.id) FROM callback_history AS step
            WHERE step.callback_id = sibling.id AND step.kind IN ('dial', 'attempt') AND step.undone_at IS NULL)
        ORDER BY sibling.id",
};

const PROPOSED_OUTCOMES: ManyRows = ManyRows {
    name: "PROPOSED_OUTCOMES",
    head: "SELECT callback.*",
    columns: &[Column::Number],
    tail: "JOIN callback ON callback.id = column1",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&SIBLINGS_OF_CALLBACKS, &PROPOSED_OUTCOMES];
