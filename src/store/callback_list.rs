//! The callback list, page by page, and one callback with everything about it.

use std::collections::HashMap;

use sqlx::{AnyConnection, Row};

use super::attempts::{Attempt, attempts};
use super::callbacks;
use super::siblings::{proposed_outcomes, siblings_of};
use super::sql::{Column, Columns, ManyRows, statements};
use super::voicemails::{self, Voicemail};
use super::{Result, Store};
use crate::core::calendar::{Calendar, Period};
use crate::core::callback::{Callback, Sibling};
use crate::core::line::LineId;
use crate::core::officer::Actor;
use crate::time::{Timestamp, from_millisecond};

/// Which working period's list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPeriod {
    /// The list of the period that starts here, with all that was carried over from earlier ones.
    UpTo(Timestamp),
    /// What stands on the lists of all periods that start from here to there, both included.
    Between(Timestamp, Timestamp),
    All,
}

impl ListPeriod {
    /// The list that is worked now, with all that was carried over; while closed, the one being prepared. Lines have hours
    /// of their own, so it is all that starts before the period ends, not only what starts together with it.
    pub fn current(calendar: &Calendar, now: Timestamp) -> (Option<Period>, Self) {
        let period = calendar.period_at(now).or_else(|| calendar.next_period(now));
        (period, period.map_or(Self::All, |period| Self::UpTo(last_instant(period))))
    }

    /// While open, the list after the present one; while closed, the one being prepared, as [`ListPeriod::current`]. The
    /// two leave no gap, so no callback is in neither.
    pub fn next(calendar: &Calendar, now: Timestamp) -> (Option<Period>, Self) {
        match (calendar.period_at(now), calendar.next_period(now)) {
            (None, _) => Self::current(calendar, now),
            (Some(current), next) => (next, Self::Between(current.end, next.map_or(Timestamp::MAX, last_instant))),
        }
    }
}

/// The last millisecond that belongs to the period.
fn last_instant(period: Period) -> Timestamp {
    from_millisecond(period.end.as_millisecond() - 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// Somebody still waits: open, claimed, later.
    Unclosed,
    /// One state by its word.
    Only(&'static str),
    All,
}

#[derive(Clone, Debug)]
pub struct ListFilter {
    pub period: ListPeriod,
    pub line: Option<LineId>,
    pub state: StateFilter,
    /// Cursor: `due_at` (milliseconds), `received_at` (milliseconds), id of the last one seen.
    pub after: Option<(i64, i64, i64)>,
    /// At most 500.
    pub limit: u32,
}

/// One page: overdue first, then by due time, then oldest first.
#[derive(Clone, Debug)]
pub struct CallbackPage {
    pub items: Vec<CallbackView>,
    pub next: Option<(i64, i64, i64)>,
}

/// A callback with its calls, messages and attempts.
#[derive(Clone, Debug)]
pub struct CallbackView {
    pub callback: Callback,
    /// The newest of them, oldest first.
    pub calls: Vec<CallBrief>,
    /// All of them, also those not in `calls`.
    pub calls_count: i64,
    /// The newest of them, oldest first.
    pub voicemails: Vec<Voicemail>,
    pub voicemails_count: i64,
    /// All steps, oldest first, without those taken back.
    pub history: Vec<Step>,
    /// Other open callbacks of the same number, oldest first (R26).
    pub siblings: Vec<Sibling>,
    /// The callback of another line whose outcome is proposed here.
    pub proposed_outcome: Option<Callback>,
}

/// How many calls, and how many messages, come with one callback at most: who calls all night makes no page endless.
pub const NEWEST: i64 = 200;

/// What the list says of a call.
#[derive(Clone, Debug)]
pub struct CallBrief {
    pub id: i64,
    pub started_at: Timestamp,
    /// The word of [`crate::core::call::Outcome`].
    pub outcome: String,
    /// See [`crate::core::call::Call::restored_at`].
    pub restored_at: Option<Timestamp>,
}

/// One step of a callback's history.
#[derive(Clone, Debug)]
pub struct Step {
    pub at: Timestamp,
    pub by: Actor,
    /// The word of [`crate::core::callback::Action`], or `undo`.
    pub kind: String,
    pub outcome: Option<String>,
    pub note: String,
    /// Whether it changed the desk, so that it can be taken back: not a renewed claim, nor a note that came too late.
    pub undoable: bool,
}

impl CallbackView {
    /// The attempts to reach the caller, oldest first.
    pub fn attempts(&self) -> Vec<Attempt> {
        attempts(&self.history)
    }
}

impl CallbackPage {
    pub fn cursor((due_at, received_at, id): (i64, i64, i64)) -> String {
        format!("{due_at}.{received_at}.{id}")
    }

    pub fn parse_cursor(text: &str) -> Option<(i64, i64, i64)> {
        let mut parts = text.splitn(3, '.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    }
}

impl Store {
    pub async fn callbacks(&self, filter: &ListFilter) -> Result<CallbackPage> {
        let limit = filter.limit.clamp(1, 500) as usize;
        let (from, to) = match filter.period {
            ListPeriod::UpTo(start) => (i64::MIN, start.as_millisecond()),
            ListPeriod::Between(from, to) => (from.as_millisecond(), to.as_millisecond()),
            ListPeriod::All => (i64::MIN, i64::MAX),
        };
        // What stands on a period's list is due at that period's end: never before the first of the periods begins.
        let (due, received, id) = filter.after.unwrap_or(FIRST).max((from, i64::MIN, i64::MIN));
        let (sql, state) = match filter.state {
            StateFilter::Only(word @ ("open" | "claimed" | "later")) => (LIST_UNCLOSED_IN_STATE, Some(word)),
            StateFilter::Unclosed => (LIST_UNCLOSED, None),
            StateFilter::Only(word) => (LIST_IN_STATE, Some(word)),
            StateFilter::All => (LIST_ALL, None),
        };
        let mut connection = self.readers.acquire().await?;
        let listed = sqlx::query(sql)
            .bind(due)
            .bind(received)
            .bind(id)
            .bind(from)
            .bind(to)
            .bind(self.asked_lines(filter.line.as_ref())?)
            .bind(limit as i64 + 1);
        let rows = match state {
            Some(word) => listed.bind(word).fetch_all(&mut *connection).await?,
            None => listed.fetch_all(&mut *connection).await?,
        };
        let mut keys = rows
            .iter()
            .map(|row| Ok((row.try_get("due_at")?, row.try_get("received_at")?, row.try_get("id")?)))
            .collect::<Result<Vec<(i64, i64, i64)>>>()?;
        let mut found = rows.iter().map(callbacks::read).collect::<Result<Vec<_>>>()?;
        let more = found.len() > limit;
        found.truncate(limit);
        keys.truncate(limit);
        let next = if more { keys.last().copied() } else { None };
        let items = with_everything(&mut connection, found, NEWEST).await?;
        Ok(CallbackPage { items: self.without_other_lines(items), next })
    }

    pub async fn callback(&self, id: i64) -> Result<Option<CallbackView>> {
        let mut connection = self.readers.acquire().await?;
        let Some(row) = sqlx::query(READ_CALLBACK).bind(id).fetch_optional(&mut *connection).await? else {
            return Ok(None);
        };
        let callback = callbacks::read(&row)?;
        self.check_line(Some(&callback.line))?;
        let found = with_everything(&mut connection, vec![callback], NEWEST).await?;
        Ok(self.without_other_lines(found).pop())
    }

    /// Open and overdue callbacks of each line, for metrics and the page head: (line, open, overdue).
    pub async fn count_open(&self, now: Timestamp) -> Result<Vec<(LineId, i64, i64)>> {
        let rows = sqlx::query(COUNT_OPEN).bind(now.as_millisecond()).fetch_all(&self.readers).await?;
        let counted = rows.iter().map(|row| {
            let columns = Columns::of("callback", row);
            Ok((LineId::new(&columns.get::<String>("line")?), columns.get("open")?, columns.get("overdue")?))
        });
        counted.filter(|counted| counted.as_ref().map_or(true, |(line, ..)| self.sees(line))).collect()
    }
}

/// Before every callback in the order of the list.
const FIRST: (i64, i64, i64) = (i64::MIN, i64::MIN, i64::MIN);

/// These callbacks with their steps and the `newest` calls and messages of each.
pub(super) async fn with_everything(
    connection: &mut AnyConnection,
    callbacks: Vec<Callback>,
    newest: i64,
) -> Result<Vec<CallbackView>> {
    if callbacks.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = callbacks.iter().map(|callback| callback.id).collect();
    let mut calls: HashMap<i64, (i64, Vec<CallBrief>)> = HashMap::new();
    let asked = CALLS_OF_CALLBACKS.query(connection, &ids, |params, id| {
        params.add(*id);
        params.add(newest);
    });
    for row in asked.fetch_all(&mut *connection).await? {
        let columns = Columns::of("call", &row);
        let brief = CallBrief {
            id: columns.get("id")?,
            started_at: columns.time("started_at")?,
            outcome: columns.get("outcome")?,
            restored_at: columns.optional_time("restored_at")?,
        };
        let (count, briefs) = calls.entry(columns.get("callback_id")?).or_default();
        *count = columns.get("of_all")?;
        briefs.push(brief);
    }
    let mut history: HashMap<i64, Vec<Step>> = HashMap::new();
    for row in
        STEPS_OF_CALLBACKS.query(connection, &ids, |params, id| params.add(*id)).fetch_all(&mut *connection).await?
    {
        let columns = Columns::of("callback_history", &row);
        let step = Step {
            at: columns.time("at")?,
            by: Actor { id: columns.get("actor_id")?, name: columns.get("actor_name")? },
            kind: columns.get("kind")?,
            outcome: columns.get("outcome")?,
            note: columns.get("note")?,
            undoable: columns.get::<i64>("undoable")? != 0,
        };
        history.entry(columns.get("callback_id")?).or_default().push(step);
    }
    let mut messages = voicemails::of_callbacks(connection, &ids, newest).await?;
    let mut siblings = siblings_of(connection, &callbacks).await?;
    let outcomes = proposed_outcomes(connection, &callbacks).await?;
    Ok(callbacks
        .into_iter()
        .map(|callback| {
            let (calls_count, calls) = calls.remove(&callback.id).unwrap_or_default();
            let (voicemails_count, voicemails) = messages.remove(&callback.id).unwrap_or_default();
            let history = history.remove(&callback.id).unwrap_or_default();
            let siblings = siblings.remove(&callback.id).unwrap_or_default();
            let proposed_outcome = callback.proposed_callback_id.and_then(|id| outcomes.get(&id)).cloned();
            CallbackView {
                callback,
                calls,
                calls_count,
                voicemails,
                voicemails_count,
                history,
                siblings,
                proposed_outcome,
            }
        })
        .collect())
}

// LEFT JOIN: else SQLite would rather walk all calls in the order wanted than sort these few.
const CALLS_OF_CALLBACKS: ManyRows = ManyRows {
    name: "CALLS_OF_CALLBACKS",
    head: "SELECT call.id AS id, call.started_at AS started_at, call.outcome AS outcome,
        call.restored_at AS restored_at, call.callback_id AS callback_id, joined.of_all AS of_all
        FROM (
            SELECT call.id AS id, column2 AS newest, COUNT(*) OVER (PARTITION BY call.callback_id) AS of_all,
                ROW_NUMBER() OVER (PARTITION BY call.callback_id ORDER BY call.id DESC) AS place",
    columns: &[Column::Number, Column::Number],
    tail: "JOIN call ON call.callback_id = column1
        ) AS joined
        LEFT JOIN call ON call.id = joined.id
        WHERE joined.place <= joined.newest
        ORDER BY joined.id",
};

const STEPS_OF_CALLBACKS: ManyRows = ManyRows {
    name: "STEPS_OF_CALLBACKS",
    head: "SELECT step.id AS id, step.callback_id AS callback_id, step.at AS at, step.actor_id AS actor_id,
        step.actor_name AS actor_name, step.kind AS kind, step.outcome AS outcome, step.note AS note,
        CAST(CASE WHEN step.before_desk IS NULL THEN 0 ELSE 1 END AS BIGINT) AS undoable",
    columns: &[Column::Number],
    tail: "JOIN callback_history AS step ON step.callback_id = column1 AND step.undone_at IS NULL ORDER BY step.id",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&CALLS_OF_CALLBACKS, &STEPS_OF_CALLBACKS];

statements! {
    READ_CALLBACK = "SELECT * FROM callback WHERE id = $1";
    LIST_UNCLOSED = "
        SELECT * FROM callback
        WHERE closed_at IS NULL AND (due_at, received_at, id) > ($1, $2, $3)
          AND (period_starts_at IS NULL OR period_starts_at BETWEEN $4 AND $5)
          AND (CAST($6 AS TEXT) IS NULL OR REPLACE($6, ',' || line || ',', '') <> $6)
        ORDER BY due_at, received_at, id
        LIMIT $7";
    LIST_UNCLOSED_IN_STATE = "
        SELECT * FROM callback
        WHERE closed_at IS NULL AND state = $8 AND (due_at, received_at, id) > ($1, $2, $3)
          AND (period_starts_at IS NULL OR period_starts_at BETWEEN $4 AND $5)
          AND (CAST($6 AS TEXT) IS NULL OR REPLACE($6, ',' || line || ',', '') <> $6)
        ORDER BY due_at, received_at, id
        LIMIT $7";
    LIST_ALL = "
        SELECT * FROM callback
        WHERE (due_at, received_at, id) > ($1, $2, $3)
          AND (period_starts_at IS NULL OR period_starts_at BETWEEN $4 AND $5)
          AND (CAST($6 AS TEXT) IS NULL OR REPLACE($6, ',' || line || ',', '') <> $6)
        ORDER BY due_at, received_at, id
        LIMIT $7";
    LIST_IN_STATE = "
        SELECT * FROM callback
        WHERE state = $8 AND (due_at, received_at, id) > ($1, $2, $3)
          AND (period_starts_at IS NULL OR period_starts_at BETWEEN $4 AND $5)
          AND (CAST($6 AS TEXT) IS NULL OR REPLACE($6, ',' || line || ',', '') <> $6)
        ORDER BY due_at, received_at, id
        LIMIT $7";
    COUNT_OPEN = "
        SELECT line, COUNT(*) AS open, CAST(SUM(CASE WHEN due_at < $1 THEN 1 ELSE 0 END) AS BIGINT) AS overdue
        FROM callback
        WHERE closed_at IS NULL
        GROUP BY line
        ORDER BY line";
}
