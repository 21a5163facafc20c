//! What a clock that ran ahead has written, put right once the clock shows less again. Who rang meanwhile stands on the list
//! of some later day, and whom an officer has taken is held until then.

use sqlx::Row;

use super::callbacks;
use super::lease::{MAX_CLOCK_DIFFERENCE, latest_end_of};
use super::sql::statements;
use super::{Result, Store, StoreError};
use crate::core::callback::LEASE;
use crate::core::officer::Actor;
use crate::time::Timestamp;

impl Store {
    /// Brings callbacks that were received later than now to the list of the period that is right now, and ends claims that
    /// last longer than any. The answer is how many callbacks were changed.
    pub async fn put_right_after_a_fast_clock(&self, now: Timestamp) -> Result<usize> {
        let latest = now.checked_add(MAX_CLOCK_DIFFERENCE).unwrap_or(now);
        let latest_claim = latest_end_of(LEASE, now);
        let rows = sqlx::query(FIND_AHEAD)
            .bind(latest.as_millisecond())
            .bind(latest_claim.as_millisecond())
            .fetch_all(&self.readers)
            .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let ids = rows.iter().map(|row| row.try_get("id")).collect::<sqlx::Result<Vec<i64>>>()?;
        let lines = self.lines();
        self.write(move |mut writing| {
            Box::pin(async move {
                let mut changed = 0;
                for id in ids {
                    let freed = sqlx::query(END_CLAIM)
                        .bind(id)
                        .bind(now.as_millisecond())
                        .bind(latest_claim.as_millisecond())
                        .execute(&mut *writing.sql)
                        .await?;
                    let Some(callback) = callbacks::hold(writing.sql, id).await? else { continue };
                    let line = lines.by_id(&callback.line);
                    let near = callback.brought_near(line, latest, now);
                    if let Some(terms) = &near {
                        let (zone, by) = (line.calendar.time_zone(), Actor::system());
                        callbacks::move_terms(&mut writing, &callback, terms, zone, &by, now).await?;
                    }
                    changed += usize::from(near.is_some() || freed.rows_affected() > 0);
                }
                writing.touches_the_list();
                Ok::<_, StoreError>(changed)
            })
        })
        .await
    }
}

statements! {
    FIND_AHEAD = "
        SELECT id FROM callback
        WHERE closed_at IS NULL
          AND (received_at > $1 AND due_at > $1 OR state = 'claimed' AND until_at > $2)
        ORDER BY due_at, received_at, id
        LIMIT 500";
    END_CLAIM = "
        UPDATE callback SET until_at = $2
        WHERE id = $1 AND closed_at IS NULL AND state = 'claimed' AND until_at > $3";
}
