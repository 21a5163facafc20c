//! What a clock that ran ahead has written, put right once the clock shows less again. Who rang meanwhile stands on the list
//! of some later day, and whom an officer has taken or put off waits until then.

use sqlx::Row;

use super::callbacks;
use super::sql::statements;
use super::{Result, Store, StoreError};
use crate::core::officer::Actor;
use crate::time::{EARLIEST_PLAUSIBLE, SignedDuration, Timestamp};

/// Nobody notices a clock that is wrong by less, and the clocks of two instances differ by less.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// How many callbacks were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutRight {
    /// They were received later than now, and stand on the list of the period that is right now.
    pub brought_near: usize,
    /// They were taken or put off later than now, and wait for everybody.
    pub freed: usize,
}

impl Store {
    /// Only for a clock that has been right for a while: one that is behind takes everything for written ahead.
    pub async fn put_right_after_a_fast_clock(&self, now: Timestamp) -> Result<PutRight> {
        let Some(latest) = now.checked_add(TOLERANCE).ok().filter(|_| now >= EARLIEST_PLAUSIBLE) else {
            return Ok(PutRight::default());
        };
        let rows = sqlx::query(FIND_AHEAD).bind(latest.as_millisecond()).fetch_all(&self.readers).await?;
        if rows.is_empty() {
            return Ok(PutRight::default());
        }
        let ids = rows.iter().map(|row| row.try_get("id")).collect::<sqlx::Result<Vec<i64>>>()?;
        let lines = self.lines();
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_the_list();
                let mut done = PutRight::default();
                for id in ids {
                    let freed = sqlx::query(FREE)
                        .bind(id)
                        .bind(now.as_millisecond())
                        .bind(latest.as_millisecond())
                        .execute(&mut *writing.sql)
                        .await?;
                    done.freed += usize::from(freed.rows_affected() > 0);
                    let Some(callback) = callbacks::hold(writing.sql, id).await? else { continue };
                    let line = lines.by_id(&callback.line);
                    let Some(terms) = callback.brought_near(line, latest, now) else { continue };
                    let (zone, by) = (line.calendar.time_zone(), Actor::system());
                    callbacks::move_terms(&mut writing, &callback, &terms, zone, &by, now).await?;
                    sqlx::query(RECEIVED_NOW).bind(id).bind(now.as_millisecond()).execute(&mut *writing.sql).await?;
                    done.brought_near += 1;
                }
                Ok::<_, StoreError>(done)
            })
        })
        .await
    }
}

statements! {
    FIND_AHEAD = "
        SELECT id FROM callback
        WHERE closed_at IS NULL
          AND (received_at > $1 OR state IN ('claimed', 'later') AND acted_at > $1)
        ORDER BY due_at, received_at, id
        LIMIT 500";
    FREE = "
        UPDATE callback SET until_at = $2
        WHERE id = $1 AND closed_at IS NULL AND state IN ('claimed', 'later') AND acted_at > $3 AND until_at > $2";
    /// A talk of today answers it.
    RECEIVED_NOW = "UPDATE callback SET received_at = $2 WHERE id = $1 AND closed_at IS NULL";
}
