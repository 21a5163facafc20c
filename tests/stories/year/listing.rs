//! The lists of the provider, page by page, and what an entry of them tells.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use perezvon::time::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::provider::{ProviderCall, ProviderRecording, RestFault};
use crate::harness::ACCOUNT;

/// A bound of a list: an instant, or a date.
pub fn bound(question: &BTreeMap<String, String>, name: &str) -> Timestamp {
    question.get(name).and_then(|text| text.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// One page of a list that is newest first.
#[derive(Clone, Copy)]
pub struct Page {
    size: usize,
    number: usize,
}

impl Page {
    pub fn of(fault: RestFault, question: &BTreeMap<String, String>) -> Self {
        let number = |name: &str| question.get(name).and_then(|text| text.parse::<usize>().ok());
        let size = if fault == RestFault::SmallPages { 7 } else { number("PageSize").unwrap_or(50) };
        Self { size, number: number("Page").unwrap_or(0) }
    }

    /// What stands on this page, and whether there are more after it.
    pub fn cut<T>(self, entries: impl Iterator<Item = T>) -> (Vec<T>, bool) {
        let mut cut: Vec<T> = entries.skip(self.number * self.size).take(self.size + 1).collect();
        let has_more = cut.len() > self.size;
        cut.truncate(self.size);
        (cut, has_more)
    }

    pub fn answer(
        self,
        resource: &str,
        name: &str,
        question: &BTreeMap<String, String>,
        shown: Vec<Value>,
        has_more: bool,
    ) -> Response {
        let next = has_more.then(|| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(question.iter().filter(|(name, _)| *name != "Page"));
            query.append_pair("Page", &(self.number + 1).to_string());
            format!("/2010-04-01/Accounts/{ACCOUNT}/{resource}?{}", query.finish())
        });
        Json(json!({ name: shown, "page": self.number, "page_size": self.size, "next_page_uri": next })).into_response()
    }
}

fn rfc2822(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

impl ProviderCall {
    /// The service sees it now.
    pub fn shown(&mut self, now: Timestamp) -> Value {
        let ended_at = self.ended_at.filter(|at| *at <= now);
        if ended_at.is_some() {
            self.listed_at.get_or_insert(now);
        }
        let seconds = ended_at.map(|at| at.duration_since(self.started_at).as_secs().to_string());
        json!({
            "sid": self.sid, "parent_call_sid": self.parent, "from": self.from, "to": self.to,
            "forwarded_from": self.forwarded_from, "direction": self.direction,
            "status": if ended_at.is_some() { "completed" } else { "in-progress" }, "duration": seconds,
            "start_time": rfc2822(self.started_at), "end_time": ended_at.map(rfc2822),
            "date_created": rfc2822(self.started_at),
        })
    }
}

impl ProviderRecording {
    pub fn is_listed(&self, now: Timestamp) -> bool {
        self.deleted_at.is_none() && self.started_at + SignedDuration::from_millis(self.length_ms.into()) <= now
    }

    /// The service sees it now.
    pub fn shown(&mut self, now: Timestamp) -> Value {
        if now >= self.ready_at {
            self.listed_at.get_or_insert(now);
        }
        let status = if now < self.ready_at { "processing" } else { "completed" };
        json!({
            "sid": self.sid, "call_sid": self.call_sid, "source": "RecordVerb", "status": status,
            "duration": self.seconds().to_string(), "start_time": rfc2822(self.started_at),
            "date_created": rfc2822(self.started_at),
        })
    }
}
