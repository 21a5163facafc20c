//! What has answered a call between its end and the moment at which it became known, whichever way it came so late: from the
//! spool, by a late webhook, or by a provider's list. A call that is heard of at once has nothing behind it.

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::Result;
use super::sql::{Column, Columns, ManyRows, statements};
use crate::core::call::Call;
use crate::core::line::LineId;
use crate::time::Timestamp;

/// A call of which it is asked.
pub(super) struct AskingCall {
    pub id: i64,
    /// The number to dial.
    pub number: String,
    /// What happened before this does not answer the call.
    pub over_at: Timestamp,
}

#[derive(Default)]
pub(super) struct AnswersSince {
    /// The newest talk with the caller.
    talk_id: Option<i64>,
    /// The lines and ids of his callbacks that were closed, the earliest first.
    closed: Vec<(String, i64)>,
}

impl AnswersSince {
    /// The callback of this line that was closed first.
    pub fn closed_on(&self, line: &LineId) -> Option<i64> {
        self.closed.iter().find(|(closed_on, _)| closed_on == line.as_str()).map(|(_, id)| *id)
    }

    /// The callback of another line that was closed last.
    fn closed_elsewhere(&self, line: &LineId) -> Option<i64> {
        self.closed.iter().rfind(|(closed_on, _)| closed_on != line.as_str()).map(|(_, id)| *id)
    }
}

/// The answers to each of these calls, by its id.
pub(super) async fn find(connection: &mut AnyConnection, calls: &[AskingCall]) -> Result<HashMap<i64, AnswersSince>> {
    let mut found: HashMap<i64, AnswersSince> = HashMap::new();
    if calls.is_empty() {
        return Ok(found);
    }
    let query = FIND_ANSWERS.query(connection, calls, |params, call| {
        params.add(call.id);
        params.add(call.number.clone());
        params.time(call.over_at);
    });
    for row in query.fetch_all(&mut *connection).await? {
        let columns = Columns::of("callback", &row);
        let answers = found.entry(columns.get("call_id")?).or_default();
        answers.talk_id = columns.get("talk_id")?;
        answers.closed.extend(columns.get::<Option<String>>("line")?.zip(columns.get("callback_id")?));
    }
    Ok(found)
}

/// R12 and R26: the callback of the call proposes to close where its caller got through since, or was called back on another
/// line. A message closes nothing on another line: nobody has heard it.
pub(super) async fn propose(connection: &mut AnyConnection, call: &Call, answers: &AnswersSince) -> Result<()> {
    let (Some(callback_id), Some(line)) = (call.callback_id, &call.line) else { return Ok(()) };
    if let Some(talk_id) = answers.talk_id {
        sqlx::query(PROPOSE_TALK).bind(talk_id).bind(callback_id).execute(connection).await?;
    } else if let Some(outcome_id) = answers.closed_elsewhere(line).filter(|_| !call.has_message()) {
        sqlx::query(PROPOSE_OUTCOME).bind(outcome_id).bind(callback_id).execute(connection).await?;
    }
    Ok(())
}

statements! {
    PROPOSE_TALK = "
        UPDATE callback SET proposed_call_id = $1
        WHERE id = $2 AND closed_at IS NULL AND proposed_call_id IS NULL";
    PROPOSE_OUTCOME = "
        UPDATE callback SET proposed_callback_id = $1
        WHERE id = $2 AND closed_at IS NULL AND proposed_call_id IS NULL AND proposed_callback_id IS NULL";
}

/// A talk that began, or a callback that was closed and last dialled, after the call was over: who rings again after he was
/// talked with, and before that is written down, has something else to say. Where nobody wrote down that he dialled, the talk
/// counts as over a minute before it was written down.
const FIND_ANSWERS: ManyRows = ManyRows {
    name: "FIND_ANSWERS",
    head: "SELECT column1 AS call_id, callback.id AS callback_id, callback.line AS line, (
            SELECT MAX(talk.id) FROM call AS talk
            WHERE talk.caller = column2 AND talk.started_at > column3 AND talk.outcome = 'answered'
              AND talk.id <> column1) AS talk_id",
    columns: &[Column::Number, Column::Text, Column::Number],
    tail: "LEFT JOIN callback ON callback.callback_number = column2 AND callback.closed_at >= column3
            AND callback.state IN ('done', 'exceptional')
            AND column3 < COALESCE((
                SELECT MAX(step.at) FROM callback_history AS step
                WHERE step.callback_id = callback.id AND step.kind IN ('dial', 'attempt') AND step.undone_at IS NULL),
                callback.closed_at - 60000)
        WHERE column1 IS NOT NULL
        ORDER BY callback.closed_at, callback.id",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&FIND_ANSWERS];
