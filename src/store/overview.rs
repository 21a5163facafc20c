//! What the pages about lines and about the state of the house ask: when something last came, and how fast the disk fills.

use super::ids::first_id_at;
use super::sql::{Columns, statements};
use super::{Result, Store};
use crate::core::line::LineId;
use crate::time::Timestamp;

/// What was kept since some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    pub messages: i64,
    /// Of the sound alone.
    pub sound_bytes: i64,
}

impl Store {
    /// When the newest call of this line came in.
    pub async fn last_call_at(&self, line: &LineId) -> Result<Option<Timestamp>> {
        let row = sqlx::query(LAST_CALL_AT).bind(line.to_string()).fetch_optional(&self.readers).await?;
        row.map(|row| Columns::of("call", &row).time("started_at")).transpose()
    }

    /// The messages since `since`. Reads all of them: ask for weeks, not for years.
    pub async fn growth_since(&self, since: Timestamp) -> Result<Growth> {
        let row = sqlx::query(GROWTH).bind(first_id_at(since)).fetch_one(&self.readers).await?;
        let columns = Columns::of("voicemail", &row);
        Ok(Growth { messages: columns.get("messages")?, sound_bytes: columns.get("sound_bytes")? })
    }

    /// Our id of a call the provider names so.
    pub async fn call_named(&self, provider: &str, provider_call_id: &str) -> Result<Option<i64>> {
        let row = sqlx::query(CALL_NAMED)
            .bind(provider.to_owned())
            .bind(provider_call_id.to_owned())
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Columns::of("call_key", &row).get("call_id")).transpose()
    }
}

statements! {
    LAST_CALL_AT = "
        SELECT id, started_at FROM call
        WHERE line = $1
        ORDER BY started_at DESC, id DESC
        LIMIT 1";
    GROWTH = "
        SELECT COUNT(*) AS messages, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS sound_bytes
        FROM voicemail
        WHERE id >= $1";
    CALL_NAMED = "
        SELECT call_id FROM call_key
        WHERE provider = $1 AND provider_call_id = $2";
}
