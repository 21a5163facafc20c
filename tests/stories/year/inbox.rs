//! What the provider was told is durable, and whether the inbox of the service has it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use perezvon::time::Timestamp;
use sqlx::Row;

use super::oddities;
use crate::harness::App;

/// Rows of the inbox that are read at once.
const PAGE: usize = 5_000;

/// One request, as the provider sent it and as a row has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    /// The id of the call, as the log has it.
    call: String,
    target: String,
    body: u64,
    received_at_ms: i64,
}

impl Request {
    fn new(call: &str, target: &str, body: &[u8], received_at_ms: i64) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self { call: call.to_owned(), target: target.to_owned(), body: hasher.finish(), received_at_ms }
    }
}

/// How often each request was acknowledged while the database or a disk could take it.
#[derive(Default)]
pub struct Inbox {
    acknowledged: HashMap<Request, usize>,
}

impl Inbox {
    pub fn acknowledged(&mut self, endpoint: &str, body: &[u8], at: Timestamp) {
        let target = format!("/webhooks/twilio/{endpoint}");
        let request = Request::new(&oddities::id_in_log(body, at), &target, body, at.as_millisecond());
        *self.acknowledged.entry(request).or_default() += 1;
    }

    pub fn size(&self) -> usize {
        self.acknowledged.values().sum()
    }

    /// What was acknowledged and is no row of its own beside its call.
    pub async fn missing(&self, app: &App) -> Vec<String> {
        let mut left = self.acknowledged.clone();
        let mut last = i64::MIN;
        loop {
            let page = format!(
                "SELECT delivery.id, call.provider_call_id, delivery.target, delivery.body, delivery.received_at
                 FROM delivery JOIN call ON call.id = delivery.call_id
                 WHERE delivery.id > {last} AND delivery.method <> 'OWN' ORDER BY delivery.id LIMIT {PAGE}"
            );
            let rows = app.rows(&page).await;
            for row in &rows {
                let (call, target, body): (String, String, Vec<u8>) = (row.get(1), row.get(2), row.get(3));
                if let Some(count) = left.get_mut(&Request::new(&call, &target, &body, row.get(4))) {
                    *count = count.saturating_sub(1);
                }
                last = row.get(0);
            }
            if rows.len() < PAGE {
                break;
            }
        }
        let missing = left.into_iter().filter(|(_, count)| *count > 0);
        let mut missing: Vec<String> =
            missing.map(|(request, count)| format!("{count} times not in the inbox: {request:?}")).collect();
        missing.sort();
        missing
    }
}
