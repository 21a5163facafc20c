//! Numbers that a senior has blocked: their calls are logged and their messages kept, and they come to no list. Calls look here as
//! they come, in the statement that looks for waiting callers (`ingest`).

use super::sql::{Columns, statements};
use super::{Result, Store, StoreError, audit};
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::time::Timestamp;

/// As many as one page shows, the newest first.
const MAX_LISTED: i64 = 1000;

/// A number that is blocked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedNumber {
    pub number: PhoneNumber,
    pub blocked_at: Timestamp,
    pub by: Actor,
    pub reason: String,
}

impl Store {
    /// Blocks a number. `false`: it is blocked already, and stays as it is.
    pub async fn block(&self, blocked: BlockedNumber, address: &str) -> Result<bool> {
        let address = address.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                let BlockedNumber { number, blocked_at, by, reason } = blocked;
                let inserted = sqlx::query(BLOCK)
                    .bind(number.e164().to_owned())
                    .bind(blocked_at.as_millisecond())
                    .bind(by.id.clone())
                    .bind(by.name.clone())
                    .bind(reason.clone())
                    .execute(&mut *writing.sql)
                    .await?;
                if inserted.rows_affected() == 0 {
                    return Ok::<_, StoreError>(false);
                }
                let object = format!("caller {}", number.e164());
                audit::keep(&mut writing, &by, "block", &object, &reason, &address, blocked_at);
                Ok(true)
            })
        })
        .await
    }

    /// Takes it back. `false`: the number is not blocked.
    pub async fn unblock(&self, number: &PhoneNumber, by: &Actor, address: &str, now: Timestamp) -> Result<bool> {
        let (number, by, address) = (number.clone(), by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let deleted = sqlx::query(UNBLOCK).bind(number.e164().to_owned()).execute(&mut *writing.sql).await?;
                if deleted.rows_affected() == 0 {
                    return Ok::<_, StoreError>(false);
                }
                let object = format!("caller {}", number.e164());
                audit::keep(&mut writing, &by, "unblock", &object, "", &address, now);
                Ok(true)
            })
        })
        .await
    }

    pub async fn blocked_number(&self, number: &PhoneNumber) -> Result<Option<BlockedNumber>> {
        let row = sqlx::query(READ_BLOCKED).bind(number.e164().to_owned()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Numbers that are blocked, the newest first, at most 1000.
    pub async fn blocked_numbers(&self) -> Result<Vec<BlockedNumber>> {
        let rows = sqlx::query(LIST_BLOCKED).bind(MAX_LISTED).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &sqlx::any::AnyRow) -> Result<BlockedNumber> {
    let columns = Columns::of("blocked_number", row);
    Ok(BlockedNumber {
        number: columns.parsed("number", PhoneNumber::stored)?,
        blocked_at: columns.time("blocked_at")?,
        by: Actor { id: columns.get("actor_id")?, name: columns.get("actor_name")? },
        reason: columns.get("reason")?,
    })
}

statements! {
    BLOCK = "
        INSERT INTO blocked_number (number, blocked_at, actor_id, actor_name, reason) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (number) DO NOTHING";
    UNBLOCK = "DELETE FROM blocked_number WHERE number = $1";
    READ_BLOCKED = "SELECT * FROM blocked_number WHERE number = $1";
    LIST_BLOCKED = "SELECT * FROM blocked_number ORDER BY blocked_at DESC, number LIMIT $1";
}
