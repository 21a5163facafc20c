//! What has answered a call between its end and the moment at which it became known, whichever way it came so late: from the
//! spool, by a late webhook, or by a provider's list. Calls that are reported at once are not looked up.

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::Result;
use super::sql::{Column, Columns, ManyRows, statements};
use crate::core::call::Call;
use crate::core::line::LineId;
use crate::time::{SignedDuration, Timestamp};

/// Where nobody wrote down that he dialled or took the callback, the talk counts as over this long before it was closed.
const MIN_TALK: SignedDuration = SignedDuration::from_mins(1);

/// A call whose answers are looked up.
pub(super) struct LateCall {
    pub id: i64,
    /// The number to dial.
    pub number: String,
    /// A talk or a callback after this instant answers the call.
    pub over_at: Timestamp,
    /// What was written by a clock that ran ahead is no answer: nothing counts that is later than this.
    pub until: Timestamp,
}

#[derive(Default)]
pub(super) struct AnswersSince {
    /// The newest talk with the caller.
    talk_id: Option<i64>,
    /// His callbacks that were closed, the earliest first.
    closed: Vec<ClosedCallback>,
}

struct ClosedCallback {
    id: i64,
    line: String,
    /// When the caller was dialled at the latest.
    dialled_at: Timestamp,
}

impl AnswersSince {
    /// The callback of this line that was closed first.
    pub fn closed_on(&self, line: &LineId) -> Option<i64> {
        self.closed.iter().find(|callback| callback.line == line.as_str()).map(|callback| callback.id)
    }

    /// The callback of another line that was closed last.
    fn closed_elsewhere(&self, line: &LineId) -> Option<&ClosedCallback> {
        self.closed.iter().rfind(|callback| callback.line != line.as_str())
    }
}

/// The answers to each of these calls, by its id.
pub(super) async fn find(connection: &mut AnyConnection, calls: &[LateCall]) -> Result<HashMap<i64, AnswersSince>> {
    let mut found: HashMap<i64, AnswersSince> = HashMap::new();
    if calls.is_empty() {
        return Ok(found);
    }
    let query = FIND_ANSWERS.query(connection, calls, |params, call| {
        params.add(call.id);
        params.add(call.number.clone());
        params.time(call.over_at);
        params.time(call.until);
    });
    for row in query.fetch_all(&mut *connection).await? {
        let columns = Columns::of("callback", &row);
        let call_id: i64 = columns.get("call_id")?;
        let answers = found.entry(call_id).or_default();
        answers.talk_id = columns.get("talk_id")?;
        let over_at = calls.iter().find(|call| call.id == call_id).map(|call| call.over_at);
        let callback = read_closed(&columns)?;
        answers.closed.extend(callback.filter(|callback| over_at.is_some_and(|over_at| over_at < callback.dialled_at)));
    }
    Ok(found)
}

fn read_closed(columns: &Columns<'_>) -> Result<Option<ClosedCallback>> {
    let Some(id) = columns.get("callback_id")? else { return Ok(None) };
    // Who rings again after the talk, and before that is written down, has something else to say. A callback that was closed
    // because of a talk, or with one of another line, was not dialled itself.
    let mut dialled_at = None;
    for instant in ["tried_at", "talked_at", "tried_elsewhere_at", "taken_at"] {
        dialled_at = dialled_at.or(columns.optional_time(instant)?);
    }
    let closed_at = columns.time("closed_at")?;
    let dialled_at = dialled_at.unwrap_or_else(|| closed_at.checked_sub(MIN_TALK).unwrap_or(closed_at));
    Ok(Some(ClosedCallback { id, line: columns.get("line")?, dialled_at }))
}

/// R12 and R26: the callback of the call proposes to close where its caller got through since, or was called back on another
/// line, and has not rung again after that. A message closes nothing on another line: nobody has heard it.
pub(super) async fn propose(connection: &mut AnyConnection, call: &Call, answers: &AnswersSince) -> Result<()> {
    let (Some(callback_id), Some(line)) = (call.callback_id, &call.line) else { return Ok(()) };
    if let Some(talk_id) = answers.talk_id {
        sqlx::query(PROPOSE_TALK).bind(talk_id).bind(callback_id).execute(connection).await?;
    } else if let Some(closed) = answers.closed_elsewhere(line).filter(|_| !call.has_message()) {
        sqlx::query(PROPOSE_OUTCOME)
            .bind(closed.id)
            .bind(callback_id)
            .bind(closed.dialled_at.as_millisecond())
            .execute(connection)
            .await?;
    }
    Ok(())
}

statements! {
    PROPOSE_TALK = "
        UPDATE callback SET proposed_call_id = $1, version = version + 1
        WHERE id = $2 AND closed_at IS NULL AND proposed_call_id IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM call AS newer
            WHERE newer.callback_id = callback.id
              AND newer.started_at > (SELECT talk.started_at FROM call AS talk WHERE talk.id = $1))";
    PROPOSE_OUTCOME = "
        UPDATE callback SET proposed_callback_id = $1, version = version + 1
        WHERE id = $2 AND closed_at IS NULL AND proposed_call_id IS NULL AND proposed_callback_id IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM call AS newer WHERE newer.callback_id = callback.id AND newer.started_at > $3)";
}

/// A talk that began, and callbacks that were closed, after the call was over, with what tells when the caller was dialled.
const FIND_ANSWERS: ManyRows = ManyRows {
    name: "FIND_ANSWERS",
    head: "SELECT column1 AS call_id, callback.id AS callback_id, callback.line AS line, callback.closed_at AS closed_at, (
            SELECT talk.id FROM call AS talk
            WHERE talk.caller = column2 AND talk.started_at > column3 AND talk.started_at <= column4
              AND talk.outcome = 'answered' AND talk.id <> column1
            ORDER BY talk.started_at DESC, talk.id DESC
            LIMIT 1) AS talk_id, (
            SELECT MAX(step.at) FROM callback_history AS step
            WHERE step.callback_id = callback.id AND step.kind IN ('dial', 'attempt')
              AND step.undone_at IS NULL) AS tried_at, (
            SELECT talk.started_at FROM call AS talk WHERE talk.id = callback.proposed_call_id) AS talked_at, (
            SELECT MAX(step.at) FROM callback AS sibling
            JOIN callback_history AS step ON step.callback_id = sibling.id
            WHERE sibling.callback_number = column2 AND step.kind IN ('dial', 'attempt') AND step.undone_at IS NULL
              AND step.at >= callback.received_at AND step.at <= callback.closed_at) AS tried_elsewhere_at, (
            SELECT MAX(step.at) FROM callback_history AS step
            WHERE step.callback_id = callback.id AND step.kind = 'claim' AND step.undone_at IS NULL) AS taken_at",
    columns: &[Column::Number, Column::Text, Column::Number, Column::Number],
    tail: "LEFT JOIN callback ON callback.callback_number = column2
            AND callback.closed_at >= column3 AND callback.closed_at <= column4
            AND callback.state IN ('done', 'exceptional')
        WHERE column1 IS NOT NULL
        ORDER BY callback.closed_at, callback.id",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&FIND_ANSWERS];
