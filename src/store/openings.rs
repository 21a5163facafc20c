//! Opening callbacks: in the commit of the event that causes them, and never two open ones of a line and a number to dial
//! (R6), whether the network showed it or the caller typed it.

use std::collections::HashMap;

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::Result;
use super::callbacks::NEVER;
use super::search;
use super::sql::{Column, Columns, ManyRows, statements};
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
            callback_number: call.number_to_dial(),
            channel: Channel::Telephone,
            received_at,
            period: call.decision.as_ref().and_then(|decision| decision.promise),
            term_due_at: term_due_at(line, received_at),
        }
    }

    fn number_to_dial(&self) -> Option<&str> {
        self.caller.as_ref().or(self.callback_number.as_ref()).map(PhoneNumber::e164)
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
            params.add(opening.number_to_dial().map(str::to_owned));
        })
        .fetch_all(&mut *connection)
        .await?;
    let mut id_of = HashMap::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::of("callback", row);
        let (line, number): (String, Option<String>) = (columns.get("line")?, columns.get("dial_number")?);
        if let Some(number) = number {
            id_of.insert((line, number), columns.get("id")?);
        }
    }
    let opened =
        |opening: &Opening| id_of.get(&(opening.line.to_string(), opening.number_to_dial()?.to_owned())).copied();
    Ok(openings.iter().map(|opening| opened(opening).unwrap_or(opening.id)).collect())
}

/// Where a callback stands after its number became known.
pub(super) struct Learnt {
    pub id: i64,
    /// The callback that is no more: its calls stand at `id` now. The same as `id` if nothing joined.
    pub left: i64,
}

/// A withheld caller has typed a number, or the network has shown it later than it told of the call: his callback becomes one
/// that can be dialled. If an open one of this number waits on the line already, the two become one, in the older place of
/// the two. Of two that officers have both begun to work on neither goes: they show the same number, and both are closed by
/// hand. `caller` is the number that the network shows, `number` the one to dial.
pub(super) async fn learn_number(
    connection: &mut AnyConnection,
    id: i64,
    caller: Option<PhoneNumber>,
    number: &PhoneNumber,
) -> Result<Learnt> {
    let stays = Learnt { id, left: id };
    let Some(own) = sqlx::query(HOLD_NUMBERLESS).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(stays);
    };
    let caller = caller.map(|caller| caller.e164().to_owned());
    let own = Place { caller: caller.clone(), ..Place::read(&own)? };
    let waiting = sqlx::query(HOLD_WAITING).bind(own.line.clone()).bind(number.e164().to_owned());
    let waiting = waiting.fetch_optional(&mut *connection).await?.as_ref().map(Place::read).transpose()?;
    match waiting.filter(|_| own.is_open) {
        Some(waiting) if !own.is_worked_on => join(connection, &own, waiting.id, number).await,
        Some(waiting) if !waiting.is_worked_on => {
            let waiting = Place { caller: waiting.caller.clone().or(caller), ..waiting };
            join(connection, &waiting, own.id, number).await
        }
        Some(_) => {
            let query = sqlx::query(NOTE_NUMBER).bind(number.e164().to_owned()).bind(id).bind(caller);
            query.execute(&mut *connection).await?;
            Ok(stays)
        }
        None => {
            let query = sqlx::query(LEARN_NUMBER).bind(number.e164().to_owned()).bind(id).bind(caller);
            query.execute(&mut *connection).await?;
            Ok(stays)
        }
    }
}

/// Whether a callback can be given up for another one of its call: nobody can be called back at it, and no officer has worked
/// on it.
pub(super) async fn is_numberless_and_untouched(connection: &mut AnyConnection, id: i64) -> Result<bool> {
    let row = sqlx::query(HOLD_NUMBERLESS).bind(id).fetch_optional(connection).await?;
    let place = row.as_ref().map(Place::read).transpose()?;
    Ok(place.is_some_and(|place| place.is_open && !place.is_worked_on))
}

/// The calls of `from`, with their messages, become calls of `into`; its row goes.
pub(super) async fn replace(connection: &mut AnyConnection, from: i64, into: i64) -> Result<()> {
    search::move_words(connection, from, into).await?;
    sqlx::query(MOVE_CALLS).bind(into).bind(from).execute(&mut *connection).await?;
    sqlx::query(FORGET_CALLBACK).bind(from).execute(connection).await?;
    Ok(())
}

/// What one callback brings along when it joins another.
struct Place {
    id: i64,
    line: String,
    caller: Option<String>,
    received_at: i64,
    period_starts_at: Option<i64>,
    period_ends_at: Option<i64>,
    due_at: i64,
    term_due_at: Option<i64>,
    is_open: bool,
    /// An officer has done something with it: it has a number of registration, or a history.
    is_worked_on: bool,
}

impl Place {
    fn read(row: &AnyRow) -> Result<Self> {
        let columns = Columns::of("callback", row);
        Ok(Self {
            id: columns.get("id")?,
            line: columns.get("line")?,
            caller: columns.get("caller")?,
            received_at: columns.get("received_at")?,
            period_starts_at: columns.get("period_starts_at")?,
            period_ends_at: columns.get("period_ends_at")?,
            due_at: columns.get("due_at")?,
            term_due_at: columns.get("term_due_at")?,
            is_open: columns.get::<Option<i64>>("closed_at")?.is_none(),
            is_worked_on: columns.get::<Option<i64>>("registered_at")?.is_some() || columns.get::<i64>("steps")? > 0,
        })
    }
}

/// One callback joins another: nothing else is known of it than its calls and its place.
async fn join(connection: &mut AnyConnection, from: &Place, into: i64, number: &PhoneNumber) -> Result<Learnt> {
    replace(connection, from.id, into).await?;
    sqlx::query(JOIN_CALLBACK)
        .bind(into)
        .bind(from.received_at)
        .bind(from.period_starts_at)
        .bind(from.period_ends_at)
        .bind(from.due_at)
        .bind(from.term_due_at)
        .bind(from.caller.clone())
        .bind(number.e164().to_owned())
        .execute(&mut *connection)
        .await?;
    Ok(Learnt { id: into, left: from.id })
}

statements! {
    /// A callback that nobody can be called back at yet, held until the transaction ends.
    HOLD_NUMBERLESS = "
        UPDATE callback SET id = id WHERE id = $1 AND caller IS NULL AND dial_number IS NULL
        RETURNING id, line, caller, received_at, period_starts_at, period_ends_at, due_at, term_due_at, closed_at,
            registered_at, (SELECT COUNT(*) FROM callback_history WHERE callback_history.callback_id = callback.id) AS steps";
    /// The open one of this line and number, held until the transaction ends.
    HOLD_WAITING = "
        UPDATE callback SET id = id WHERE line = $1 AND dial_number = $2 AND closed_at IS NULL
        RETURNING id, line, caller, received_at, period_starts_at, period_ends_at, due_at, term_due_at, closed_at,
            registered_at, (SELECT COUNT(*) FROM callback_history WHERE callback_history.callback_id = callback.id) AS steps";
    LEARN_NUMBER = "UPDATE callback SET callback_number = $1, dial_number = $1, caller = $3 WHERE id = $2";
    NOTE_NUMBER = "UPDATE callback SET callback_number = $1, caller = $3 WHERE id = $2";
    MOVE_CALLS = "UPDATE call SET callback_id = $1 WHERE callback_id = $2";
    FORGET_CALLBACK = "DELETE FROM callback WHERE id = $1";
    JOIN_CALLBACK = "
        UPDATE callback
        SET version = version + 1, proposed_call_id = NULL, proposed_callback_id = NULL,
            caller = COALESCE(caller, $7), callback_number = COALESCE(callback_number, $8), dial_number = $8,
            received_at = CASE WHEN $2 < received_at THEN $2 ELSE received_at END,
            period_starts_at = CASE WHEN $5 < due_at THEN $3 ELSE period_starts_at END,
            period_ends_at = CASE WHEN $5 < due_at THEN $4 ELSE period_ends_at END,
            due_at = CASE WHEN $5 < due_at THEN $5 ELSE due_at END,
            term_due_at = CASE WHEN $6 < term_due_at THEN $6 ELSE term_due_at END,
            until_at = CASE WHEN state = 'later' AND $3 < until_at THEN $3 ELSE until_at END
        WHERE id = $1";
}

/// Opens callbacks; an open one of the same line and number is joined instead. The version grows, so that nobody closes it
/// without having seen who joined; whoever calls again was not helped by the talk that proposed to close it; and what was put
/// off comes back in the period that the caller has just been promised (R7). A call that becomes known late may be the earlier
/// one: the caller has waited since then, and by the earlier promise.
const OPEN_OR_JOIN: ManyRows = ManyRows {
    name: "OPEN_OR_JOIN",
    head: "INSERT INTO callback (id, line, caller, callback_number, channel, received_at, period_starts_at,
            period_ends_at, due_at, term_due_at, dial_number, state, version)
        SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11,
            'open', 1",
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
        Column::Text, // dial_number
    ],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (line, dial_number) WHERE closed_at IS NULL AND dial_number IS NOT NULL
        DO UPDATE SET version = callback.version + 1, proposed_call_id = NULL, proposed_callback_id = NULL,
            caller = COALESCE(callback.caller, excluded.caller),
            until_at = CASE
                WHEN callback.state = 'later' AND excluded.period_starts_at < callback.until_at
                THEN excluded.period_starts_at
                ELSE callback.until_at
            END,
            received_at = CASE WHEN excluded.received_at < callback.received_at
                THEN excluded.received_at ELSE callback.received_at END,
            period_starts_at = CASE WHEN excluded.due_at < callback.due_at
                THEN excluded.period_starts_at ELSE callback.period_starts_at END,
            period_ends_at = CASE WHEN excluded.due_at < callback.due_at
                THEN excluded.period_ends_at ELSE callback.period_ends_at END,
            due_at = CASE WHEN excluded.due_at < callback.due_at THEN excluded.due_at ELSE callback.due_at END,
            term_due_at = CASE WHEN excluded.term_due_at < callback.term_due_at
                THEN excluded.term_due_at ELSE callback.term_due_at END
        RETURNING id, line, dial_number",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&OPEN_OR_JOIN];
