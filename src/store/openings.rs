//! Opening callbacks: in the commit of the event that causes them, and never two open ones of a line and a number (R6).

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::Result;
use super::callbacks::NEVER;
use super::sql::{Column, Columns, ManyRows};
use crate::core::calendar::Period;
use crate::core::call::Call;
use crate::core::callback::Channel;
use crate::core::line::{Line, LineId};
use crate::core::phone::PhoneNumber;
use crate::time::Timestamp;

/// A callback about to be opened.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub id: i64,
    pub line: LineId,
    pub caller: Option<PhoneNumber>,
    pub callback_number: Option<PhoneNumber>,
    pub channel: Channel,
    pub received_at: Timestamp,
    pub period: Option<Period>,
    pub term_due_at: Option<Timestamp>,
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
pub(super) fn term_due_at(line: &Line, received_at: Timestamp) -> Option<Timestamp> {
    line.calendar.due_after_hours(received_at, line.response_term?)
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

/// Opens callbacks; an open one of the same line and number is joined instead. The version grows, so that nobody closes it
/// without having seen who joined; whoever calls again was not helped by the talk that proposed to close it; and what was put
/// off comes back in the period that the caller has just been promised (R7).
const OPEN_OR_JOIN: ManyRows = ManyRows {
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
        DO UPDATE SET version = callback.version + 1, proposed_call_id = NULL, proposed_callback_id = NULL,
            until_at = CASE
                WHEN callback.state = 'later' AND excluded.period_starts_at < callback.until_at
                THEN excluded.period_starts_at
                ELSE callback.until_at
            END
        RETURNING id, line, caller",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&OPEN_OR_JOIN];
