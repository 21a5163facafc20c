//! What a replay of all deliveries reads of one database, and how another takes them in: as they came, by the hours that
//! were in force when they came.

use super::hours::changes_at;
use super::sql::{Columns, statements};
use super::{Result, Store};
use crate::core::call::CallKey;
use crate::core::changes::Changes;
use crate::time::Timestamp;

/// Deliveries of a page.
const PAGE: i64 = 500;

/// A delivery as the inbox keeps it.
#[derive(Clone, Debug)]
pub struct InboxDelivery {
    pub id: i64,
    pub provider: String,
    pub endpoint: String,
    pub method: String,
    pub target: String,
    pub content_type: String,
    pub body: Vec<u8>,
    pub received_at: Timestamp,
    /// The call it was applied to.
    pub key: Option<CallKey>,
}

impl Store {
    /// The deliveries after the row `after`, oldest first, at most a page of them.
    pub async fn deliveries_after(&self, after: i64) -> Result<Vec<InboxDelivery>> {
        let rows = sqlx::query(LIST_DELIVERIES).bind(after).bind(PAGE).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of("delivery", row);
                let call_id: Option<String> = columns.get("provider_call_id")?;
                let call_provider: Option<String> = columns.get("call_provider")?;
                Ok(InboxDelivery {
                    id: columns.get("id")?,
                    provider: columns.get("provider")?,
                    endpoint: columns.get("endpoint")?,
                    method: columns.get("method")?,
                    target: columns.get("target")?,
                    content_type: columns.get("content_type")?,
                    body: columns.get("body")?,
                    received_at: columns.time("received_at")?,
                    key: call_provider
                        .zip(call_id)
                        .map(|(provider, provider_call_id)| CallKey { provider: provider.into(), provider_call_id }),
                })
            })
            .collect()
    }

    /// The instants at which the hours were changed, or a change was taken back, in order.
    pub async fn hours_change_instants(&self) -> Result<Vec<Timestamp>> {
        let rows = sqlx::query(LIST_HOURS_INSTANTS).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Columns::of("hours_change", row).time("at")).collect()
    }

    /// What had been changed about the hours at `at`.
    pub async fn hours_at(&self, at: Timestamp) -> Result<Changes> {
        let hours = changes_at(&mut *self.readers.acquire().await?, at).await?;
        Ok(Changes { hours, ..Changes::default() })
    }

    /// Decides from now on by the hours with these changes, whatever this database itself holds.
    pub fn decide_by(&self, changes: &Changes) {
        self.lines.change(changes);
    }
}

statements! {
    LIST_DELIVERIES = "
        SELECT delivery.id, delivery.provider, delivery.endpoint, delivery.method, delivery.target,
            delivery.content_type, delivery.body, delivery.received_at, call.provider AS call_provider,
            call.provider_call_id
        FROM delivery
        LEFT JOIN call ON call.id = delivery.call_id
        WHERE delivery.id > $1
        ORDER BY delivery.id
        LIMIT $2";
    LIST_HOURS_INSTANTS = "
        SELECT made_at AS at FROM hours_change
        UNION
        SELECT ended_at AS at FROM hours_change WHERE ended_at IS NOT NULL
        ORDER BY at";
}
