//! Where `tower-sessions` keeps its records: our table, through the one writer, by the house's clock.
//!
//! The library proposes a time of expiry by the machine's clock; a rehearsal has another one, so that is not used. Neither
//! is an id that it proposes for a new row: after `flush` it would be the one that came in the cookie.

use std::collections::HashMap;
use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tower_sessions::SessionStore;
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};
use tracing::warn;

use super::{ENTERED, HALF, IDLE_TIMEOUT, LIFETIME, USE_INTERVAL};
use crate::core::written_text::json_error;
use crate::store::{KeptSession, StoreError};
use crate::time::{Timestamp, from_millisecond};
use crate::web::House;
use crate::web::password::hex;

/// Keeps sessions in the `session` table.
#[derive(Clone)]
pub(in crate::web) struct Keeper(House);

impl Keeper {
    pub fn new(house: House) -> Self {
        Self(house)
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// Under which name the row of this session stands. Whoever reads the table cannot sign in with what stands there.
pub(super) fn kept_id(id: Id) -> String {
    hex(&Sha256::digest(id.to_string()))
}

#[async_trait]
impl SessionStore for Keeper {
    async fn create(&self, record: &mut Record) -> Result<()> {
        record.id = Id::default();
        let expires_at = self.0.clock.now() + IDLE_TIMEOUT;
        let kept = KeptSession { id: kept_id(record.id), content: written(&record.data)?, expires_at };
        self.0.store.add_session(kept, owner(&record.data)).await.map_err(away)
    }

    /// A session that has been ended meanwhile stays ended.
    async fn save(&self, record: &Record) -> Result<()> {
        let (id, content) = (kept_id(record.id), written(&record.data)?);
        self.0.store.change_session(&id, &content, owner(&record.data)).await.map_err(away)
    }

    /// To ask for a session is to use it.
    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let now = self.0.clock.now();
        let Some(kept) = self.0.store.session(&kept_id(*id), now).await.map_err(away)? else {
            return Ok(None);
        };
        let data = serde_json::from_str(&kept.content).map_err(|bad| Error::Decode(json_error(&bad)))?;
        if let Some(expires_at) = extended(&data, kept.expires_at, now)
            && let Err(failed) = self.0.store.extend_session(&kept.id, expires_at).await
        {
            warn!(error = %failed, "The use of a session could not be written down: {failed}");
        }
        let expiry_date = OffsetDateTime::from_unix_timestamp(kept.expires_at.as_second())
            .map_err(|bad| Error::Decode(bad.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.store.delete_session(&kept_id(*id)).await.map_err(away)
    }
}

/// When a session that is used now shall expire, if that is worth writing down. Nobody's session, and that of somebody whose
/// code is awaited, live no longer for being used.
fn extended(data: &HashMap<String, Value>, expires_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let ends_at = from_millisecond(data.get(ENTERED)?.get("at")?.as_i64()?) + LIFETIME;
    let idle_at = (now + IDLE_TIMEOUT).min(ends_at);
    let is_due = idle_at == ends_at || idle_at.duration_since(expires_at) >= USE_INTERVAL;
    (idle_at > expires_at && is_due).then_some(idle_at)
}

fn written(data: &HashMap<String, Value>) -> Result<String> {
    serde_json::to_string(data).map_err(|bad| Error::Encode(bad.to_string()))
}

/// Whose session it is, or is about to become.
fn owner(data: &HashMap<String, Value>) -> Option<i64> {
    data.get(ENTERED).or(data.get(HALF))?.get("officer")?.as_i64()
}

fn away(failed: StoreError) -> Error {
    Error::Backend(failed.to_string())
}
