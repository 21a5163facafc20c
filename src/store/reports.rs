//! A month for the reports: its callbacks with their first attempts, and how many calls began in each quarter of an hour.
//! Both walk one stretch of an index, as long as the month and no longer.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::callbacks::NEVER;
use super::sql::{Columns, statements};
use super::{Result, Store};
use crate::core::callback::{Channel, Reason};
use crate::core::line::LineId;
use crate::core::officer::Actor;
use crate::core::report::{Ending, Entry, First};
use crate::time::{Timestamp, from_millisecond};

/// More callbacks than any house has in a month: a bound for the worst case, told to the reader when it is met.
pub const MOST_REPORTED: usize = 50_000;

/// The callbacks of a month.
#[derive(Clone, Debug)]
pub struct Reported {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// There are more than [`MOST_REPORTED`]; the latest are left out.
    pub cut: bool,
}

impl Store {
    /// The callbacks that telephone calls opened in `[from, to)`, of one line or of all.
    pub async fn reported(&self, from: Timestamp, to: Timestamp, line: Option<&LineId>) -> Result<Reported> {
        let rows = sqlx::query(REPORTED)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .bind(self.asked_lines(line)?)
            .bind(Channel::Telephone.as_str().to_owned())
            .bind(MOST_REPORTED as i64 + 1)
            .fetch_all(&self.readers)
            .await?;
        let mut entries = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let cut = entries.len() > MOST_REPORTED;
        entries.truncate(MOST_REPORTED);
        Ok(Reported { entries, cut })
    }

    /// How many calls came in, by the quarter of an hour in which they began. At most 3000 counts for a month.
    pub async fn calls_by_quarter(
        &self,
        from: Timestamp,
        to: Timestamp,
        line: Option<&LineId>,
    ) -> Result<Vec<(Timestamp, i64)>> {
        let part = |sql: &'static str| sqlx::query(sql).bind(from.as_millisecond()).bind(to.as_millisecond());
        let asked: Option<Vec<&LineId>> = match line {
            Some(line) => {
                self.check_line(Some(line))?;
                Some(vec![line])
            }
            None if self.sees_all() => None,
            None => Some(self.scope.named().collect()),
        };
        let mut rows = Vec::new();
        match asked {
            None => rows = part(COUNT_CALLS).fetch_all(&self.readers).await?,
            Some(lines) => {
                for line in lines {
                    rows.extend(part(COUNT_CALLS_OF_LINE).bind(line.to_string()).fetch_all(&self.readers).await?);
                }
            }
        }
        let mut counted: BTreeMap<i64, i64> = BTreeMap::new();
        for row in &rows {
            let columns = Columns::of("call", row);
            *counted.entry(columns.get("quarter")?).or_default() += columns.get::<i64>("calls")?;
        }
        Ok(counted.into_iter().map(|(quarter, calls)| (from_millisecond(quarter * QUARTER_MS), calls)).collect())
    }
}

/// What the statements below divide by.
const QUARTER_MS: i64 = 900_000;

fn entry(row: &AnyRow) -> Result<Entry> {
    let columns = Columns::of("callback", row);
    let due_at: i64 = columns.get("due_at")?;
    let by = columns.get::<Option<String>>("actor_id")?.zip(columns.get::<Option<String>>("actor_name")?);
    let first = columns.optional_time("first_at")?.zip(by);
    let ending = match columns.get::<String>("state")?.as_str() {
        "done" => Ending::Done,
        "exceptional" => Ending::Exceptional,
        "declined" => {
            let reason = |text: &str| Reason::ALL.into_iter().find(|reason| reason.as_str() == text);
            match columns.parsed("reason", reason)? {
                Reason::NotReached => Ending::NotReached,
                reason => Ending::Declined(reason),
            }
        }
        "open" | "claimed" | "later" => Ending::Open,
        _ => return Err(columns.corrupt("state")),
    };
    Ok(Entry {
        line: LineId::new(&columns.get::<String>("line")?),
        received_at: columns.time("received_at")?,
        due_at: (due_at != NEVER).then(|| from_millisecond(due_at)),
        first: first.map(|(at, (id, name))| First { at, by: Actor { id, name } }),
        ending,
    })
}

statements! {
    /// Dialling begins an attempt. Steps that were taken back do not count; a talk that ended in a question to be cleared up does.
    REPORTED = "
        SELECT callback.id AS id, callback.line AS line, callback.received_at AS received_at,
            callback.due_at AS due_at, callback.state AS state, callback.reason AS reason,
            step.at AS first_at, step.actor_id AS actor_id, step.actor_name AS actor_name
        FROM callback
        LEFT JOIN callback_history AS step ON step.id = (
            SELECT MIN(tried.id) FROM callback_history AS tried
            WHERE tried.callback_id = callback.id AND tried.undone_at IS NULL
              AND tried.kind IN ('dial', 'attempt', 'clarify', 'done', 'exceptional', 'decline'))
        WHERE callback.received_at >= $1 AND callback.received_at < $2
          AND (CAST($3 AS TEXT) IS NULL OR REPLACE($3, ',' || callback.line || ',', '') <> $3) AND callback.channel = $4
        ORDER BY callback.received_at, callback.id
        LIMIT $5";
    COUNT_CALLS = "
        SELECT started_at / 900000 AS quarter, COUNT(*) AS calls
        FROM call
        WHERE started_at >= $1 AND started_at < $2 AND (direction IS NULL OR direction = 'inbound')
        GROUP BY started_at / 900000
        ORDER BY quarter";
    COUNT_CALLS_OF_LINE = "
        SELECT started_at / 900000 AS quarter, COUNT(*) AS calls
        FROM call
        WHERE line = $3 AND started_at >= $1 AND started_at < $2 AND (direction IS NULL OR direction = 'inbound')
        GROUP BY started_at / 900000
        ORDER BY quarter";
}
