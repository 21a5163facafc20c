//! The officers' page of the list: who is to be called, who is put off, what was closed today, and how much there is of each.

use super::callback_list::{CallbackPage, with_everything};
use super::callbacks::{self, NEVER};
use super::sql::{Columns, statements};
use super::{Result, Store};
use crate::core::line::LineId;
use crate::time::{Timestamp, from_millisecond};

/// A part of the desk's list, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeskPart {
    /// All that wait, by due time.
    Waiting,
    /// Those who wait and are not put off, by due time.
    ToCall,
    /// Put off until later than now, by due time.
    PutOff,
    /// Closed at this instant or later, newest first.
    ClosedSince(Timestamp),
}

/// One page of one part.
#[derive(Clone, Debug)]
pub struct DeskFilter {
    pub part: DeskPart,
    pub line: Option<LineId>,
    /// Cursor: `due_at` and `received_at` (of a closed one: `closed_at` twice), id of the last one seen.
    pub after: Option<(i64, i64, i64)>,
    pub limit: usize,
}

/// How much there is of everything, whatever fits on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Put off ones included.
    pub waiting: i64,
    pub put_off: i64,
    /// Past their due time.
    pub overdue: i64,
    /// The earliest due time that has not passed.
    pub first_due: Option<Timestamp>,
    /// Whether somebody waits who called a number that nobody configured, whichever line was asked for.
    pub strangers: bool,
    pub closed: i64,
    pub last_closed: Option<Timestamp>,
}

/// How many calls and messages of one callback a page of the desk shows.
const NEWEST: i64 = 20;

impl Store {
    pub async fn desk_page(&self, filter: &DeskFilter, now: Timestamp) -> Result<CallbackPage> {
        let DeskFilter { part, ref line, after, limit } = *filter;
        let (sql, start, at, order) = match part {
            DeskPart::Waiting => (LIST_WAITING, i64::MIN, None, "due_at"),
            DeskPart::ToCall => (LIST_TO_CALL, i64::MIN, Some(now), "due_at"),
            DeskPart::PutOff => (LIST_PUT_OFF, i64::MIN, Some(now), "due_at"),
            DeskPart::ClosedSince(since) => (LIST_CLOSED_SINCE, i64::MAX, Some(since), "closed_at"),
        };
        let then = if order == "due_at" { "received_at" } else { "closed_at" };
        let (first, second, id) = after.unwrap_or((start, start, start));
        let listed = sqlx::query(sql)
            .bind(first)
            .bind(second)
            .bind(id)
            .bind(self.asked_lines(line.as_ref())?)
            .bind(limit as i64 + 1);
        let listed = match at {
            Some(at) => listed.bind(at.as_millisecond()),
            None => listed,
        };
        let mut connection = self.readers.acquire().await?;
        let mut rows = listed.fetch_all(&mut *connection).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last().filter(|_| more) {
            Some(row) => {
                let columns = Columns::of("callback", row);
                Some((columns.get(order)?, columns.get(then)?, columns.get("id")?))
            }
            None => None,
        };
        let found = rows.iter().map(callbacks::read).collect::<Result<Vec<_>>>()?;
        let items = with_everything(&mut connection, found, NEWEST).await?;
        Ok(CallbackPage { items: self.without_other_lines(items), next })
    }

    /// How much waits, of one line or of all, and what was closed since then.
    pub async fn standing(&self, line: Option<&LineId>, since: Timestamp, now: Timestamp) -> Result<Standing> {
        let line = self.asked_lines(line)?;
        let mut connection = self.readers.acquire().await?;
        let row = sqlx::query(COUNT_WAITING)
            .bind(now.as_millisecond())
            .bind(NEVER)
            .bind(line.clone())
            .fetch_one(&mut *connection)
            .await?;
        let waiting = Columns::of("callback", &row);
        let row =
            sqlx::query(COUNT_CLOSED_SINCE).bind(since.as_millisecond()).bind(line).fetch_one(&mut *connection).await?;
        let closed = Columns::of("callback", &row);
        Ok(Standing {
            waiting: waiting.get("waiting")?,
            put_off: waiting.get("put_off")?,
            overdue: waiting.get("overdue")?,
            first_due: waiting.get::<Option<i64>>("first_due")?.map(from_millisecond),
            strangers: self.sees_all() && waiting.get::<i64>("strangers")? > 0,
            closed: closed.get("closed")?,
            last_closed: closed.get::<Option<i64>>("last_closed")?.map(from_millisecond),
        })
    }
}

statements! {
    LIST_WAITING = "
        SELECT * FROM callback
        WHERE closed_at IS NULL AND (due_at, received_at, id) > ($1, $2, $3)
          AND (CAST($4 AS TEXT) IS NULL OR REPLACE($4, ',' || line || ',', '') <> $4)
        ORDER BY due_at, received_at, id
        LIMIT $5";
    LIST_TO_CALL = "
        SELECT * FROM callback
        WHERE closed_at IS NULL AND (due_at, received_at, id) > ($1, $2, $3)
          AND (CAST($4 AS TEXT) IS NULL OR REPLACE($4, ',' || line || ',', '') <> $4) AND (state <> 'later' OR until_at <= $6)
        ORDER BY due_at, received_at, id
        LIMIT $5";
    LIST_PUT_OFF = "
        SELECT * FROM callback
        WHERE closed_at IS NULL AND state = 'later' AND (due_at, received_at, id) > ($1, $2, $3)
          AND (CAST($4 AS TEXT) IS NULL OR REPLACE($4, ',' || line || ',', '') <> $4) AND until_at > $6
        ORDER BY due_at, received_at, id
        LIMIT $5";
    LIST_CLOSED_SINCE = "
        SELECT * FROM callback
        WHERE closed_at >= $6 AND (closed_at, id) < ($1, $3) AND closed_at <= $2
          AND (CAST($4 AS TEXT) IS NULL OR REPLACE($4, ',' || line || ',', '') <> $4)
        ORDER BY closed_at DESC, id DESC
        LIMIT $5";
    COUNT_WAITING = "
        SELECT CAST(COALESCE(SUM(asked), 0) AS BIGINT) AS waiting,
            CAST(COALESCE(SUM(CASE WHEN state = 'later' AND until_at > $1 THEN asked ELSE 0 END), 0) AS BIGINT) AS put_off,
            CAST(COALESCE(SUM(CASE WHEN due_at < $1 THEN asked ELSE 0 END), 0) AS BIGINT) AS overdue,
            MIN(CASE WHEN asked = 1 AND due_at >= $1 AND due_at < $2 THEN due_at END) AS first_due,
            CAST(COALESCE(SUM(CASE WHEN line = 'unknown' THEN 1 ELSE 0 END), 0) AS BIGINT) AS strangers
        FROM (
            SELECT state, until_at, due_at, line,
                CASE WHEN CAST($3 AS TEXT) IS NULL OR REPLACE($3, ',' || line || ',', '') <> $3 THEN 1 ELSE 0 END AS asked
            FROM callback
            WHERE closed_at IS NULL
        ) AS open";
    COUNT_CLOSED_SINCE = "
        SELECT COUNT(*) AS closed, MAX(closed_at) AS last_closed
        FROM callback
        WHERE closed_at >= $1 AND (CAST($2 AS TEXT) IS NULL OR REPLACE($2, ',' || line || ',', '') <> $2)";
}
