//! The simulated provider's own HTTP side: recordings to fetch and delete, calls to look up, all as Twilio serves them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::time::{Timestamp, elapsed_ms};

/// What goes wrong with recordings. Each recording's requests fail in this order, so many times each.
#[derive(Clone, Debug, Default)]
pub struct RestFaults {
    /// 404: not ready yet.
    pub not_ready: u32,
    /// 500.
    pub server_errors: u32,
    /// Half of the body, then the connection breaks.
    pub lost_connections: u32,
    /// Half of the file, in good order.
    pub cut_files: u32,
    /// After all that: a redirect to this address instead of the file.
    pub redirect_to: Option<String>,
    /// How often each deletion fails with 500.
    pub deletion_errors: u32,
    /// How many requests for a page of a list fail with 500, after so many good ones.
    pub list_errors: u32,
    pub good_pages: u32,
    /// Lists are answered with 429 and this `Retry-After`, seconds.
    pub lists_later: Option<u32>,
    /// Pages are shorter than was asked for.
    pub page_size: Option<usize>,
    /// The next page is said to be at this address.
    pub next_page: Option<String>,
}

/// What was asked of the provider so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whole recordings handed out, by recording.
    pub fetched: BTreeMap<String, u32>,
    /// Answers that were a fault instead of a recording.
    pub faults: u32,
    /// Requests without the right name and password.
    pub refused: u32,
    pub deleted: Vec<String>,
    /// Pages of lists handed out, those of the legs of one call apart.
    pub pages: u32,
}

/// What the provider keeps of a call.
#[derive(Clone, Debug)]
pub(super) struct KeptCall {
    pub sid: String,
    pub from: String,
    pub to: String,
    pub forwarded_from: Option<String>,
    pub status: &'static str,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub direction: &'static str,
    pub parent_sid: Option<String>,
}

/// What the provider keeps of a recording.
#[derive(Clone, Debug)]
pub(super) struct KeptRecording {
    pub sid: String,
    pub call_sid: String,
    pub started_at: Timestamp,
    pub duration_seconds: u32,
    pub absent: Option<u32>,
    pub wav: Bytes,
    pub asked: u32,
    pub deletions_asked: u32,
    pub is_deleted: bool,
}

#[derive(Default)]
pub(super) struct Kept {
    pub calls: BTreeMap<String, KeptCall>,
    pub recordings: BTreeMap<String, KeptRecording>,
    pub faults: RestFaults,
    pub counters: Counters,
}

/// The provider's memory, shared by its HTTP side and its calls.
#[derive(Clone)]
pub(super) struct Archive {
    account_sid: Arc<str>,
    /// The whole `Authorization` header that is let in.
    credentials: Arc<str>,
    kept: Arc<Mutex<Kept>>,
}

impl Archive {
    pub fn new(account_sid: &str, auth_token: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{account_sid}:{auth_token}"));
        Self { account_sid: account_sid.into(), credentials: format!("Basic {pair}").into(), kept: Arc::default() }
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics while holding the archive")
    }

    pub fn router(&self) -> Router {
        let account = format!("/2010-04-01/Accounts/{}", self.account_sid);
        Router::new()
            .route(&format!("{account}/Recordings.json"), get(list_recordings))
            .route(&format!("{account}/Recordings/{{name}}"), get(read_recording).delete(delete_recording))
            .route(&format!("{account}/Calls.json"), get(list_calls))
            .route(&format!("{account}/Calls/{{name}}"), get(read_call))
            .fallback(async || problem(StatusCode::NOT_FOUND, 20404))
            .layer(middleware::from_fn_with_state(self.clone(), let_in))
            .with_state(self.clone())
    }
}

async fn let_in(State(archive): State<Archive>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(&*archive.credentials) {
        archive.kept().counters.refused += 1;
        let realm = [(header::WWW_AUTHENTICATE, "Basic realm=\"Twilio API\"")];
        return (realm, problem(StatusCode::UNAUTHORIZED, 20003)).into_response();
    }
    next.run(request).await
}

async fn read_recording(State(archive): State<Archive>, Path(name): Path<String>) -> Response {
    let kept = &mut *archive.kept();
    let sid = name.trim_end_matches(".json").trim_end_matches(".wav");
    let Some(recording) = kept.recordings.get_mut(sid) else { return problem(StatusCode::NOT_FOUND, 20404) };
    if name.ends_with(".json") {
        return axum::Json(recording.describe(&archive.account_sid)).into_response();
    }
    if recording.is_deleted || recording.absent.is_some() {
        return problem(StatusCode::NOT_FOUND, 20404);
    }
    recording.asked += 1;
    let fault = kept.faults.answer(recording);
    match fault {
        Some(_) => kept.counters.faults += 1,
        None => *kept.counters.fetched.entry(sid.to_owned()).or_default() += 1,
    }
    fault.unwrap_or_else(|| sound(recording.wav.clone()))
}

impl RestFaults {
    /// The fault due for this request, if any.
    fn answer(&self, recording: &KeptRecording) -> Option<Response> {
        let half = recording.wav.slice(..recording.wav.len() / 2);
        let mut asked = recording.asked;
        let mut is_due = |times: u32| {
            let due = asked > 0 && asked <= times;
            asked = asked.saturating_sub(times);
            due
        };
        if is_due(self.not_ready) {
            Some(problem(StatusCode::NOT_FOUND, 20404))
        } else if is_due(self.server_errors) {
            Some(problem(StatusCode::INTERNAL_SERVER_ERROR, 20500))
        } else if is_due(self.lost_connections) {
            // The half must have left before the break: hyper gives up what is not yet sent, the header included.
            let breaks = stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("the connection breaks"))
            });
            let body = Body::from_stream(stream::iter([Ok(half)]).chain(breaks));
            Some(([(header::CONTENT_LENGTH, recording.wav.len().to_string())], body).into_response())
        } else if is_due(self.cut_files) {
            Some(sound(half))
        } else {
            let location = self.redirect_to.clone()?;
            Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response())
        }
    }
}

async fn delete_recording(State(archive): State<Archive>, Path(name): Path<String>) -> Response {
    let kept = &mut *archive.kept();
    let deletion_errors = kept.faults.deletion_errors;
    let recording = kept.recordings.get_mut(name.trim_end_matches(".json")).filter(|recording| !recording.is_deleted);
    let Some(recording) = recording else { return problem(StatusCode::NOT_FOUND, 20404) };
    recording.deletions_asked += 1;
    if recording.deletions_asked <= deletion_errors {
        kept.counters.faults += 1;
        return problem(StatusCode::INTERNAL_SERVER_ERROR, 20500);
    }
    recording.is_deleted = true;
    kept.counters.deleted.push(recording.sid.clone());
    StatusCode::NO_CONTENT.into_response()
}

type Asked = Query<BTreeMap<String, String>>;

async fn list_recordings(State(archive): State<Archive>, Query(asked): Asked) -> Response {
    let kept = &mut *archive.kept();
    let of_call = |recording: &&KeptRecording| asked.get("CallSid").is_none_or(|sid| *sid == recording.call_sid);
    let since = since(&asked, "DateCreated>");
    let there = kept.recordings.values().filter(|recording| !recording.is_deleted && recording.started_at >= since);
    let mut found: Vec<_> = there.filter(of_call).cloned().collect();
    found.sort_by(|one, other| (other.started_at, &other.sid).cmp(&(one.started_at, &one.sid)));
    let list = found.iter().map(|recording| recording.describe(&archive.account_sid)).collect();
    archive.page(kept, "Recordings.json", "recordings", &asked, list)
}

async fn list_calls(State(archive): State<Archive>, Query(asked): Asked) -> Response {
    let kept = &mut *archive.kept();
    let since = since(&asked, "StartTime>");
    let wanted = |name: &str, value: &str| asked.get(name).is_none_or(|wanted| wanted == value);
    let mut found: Vec<_> = kept
        .calls
        .values()
        .filter(|call| wanted("ParentCallSid", call.parent_sid.as_deref().unwrap_or_default()))
        .filter(|call| wanted("From", &call.from) && wanted("To", &call.to) && wanted("Status", call.status))
        .filter(|call| call.started_at >= since)
        .cloned()
        .collect();
    found.sort_by(|one, other| (other.started_at, &other.sid).cmp(&(one.started_at, &one.sid)));
    let list = found.iter().map(|call| call.describe(&archive.account_sid)).collect();
    archive.page(kept, "Calls.json", "calls", &asked, list)
}

async fn read_call(State(archive): State<Archive>, Path(name): Path<String>) -> Response {
    match archive.kept().calls.get(name.trim_end_matches(".json")) {
        Some(call) => axum::Json(call.describe(&archive.account_sid)).into_response(),
        None => problem(StatusCode::NOT_FOUND, 20404),
    }
}

/// A bound of a list, as a date or an instant.
fn since(asked: &BTreeMap<String, String>, name: &str) -> Timestamp {
    let since = asked.get(name).and_then(|text| text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok());
    since.unwrap_or(Timestamp::MIN)
}

impl Archive {
    /// One page of a list that is newest first, with the address of the next one.
    fn page(
        &self,
        kept: &mut Kept,
        resource: &str,
        name: &str,
        asked: &BTreeMap<String, String>,
        list: Vec<Value>,
    ) -> Response {
        if let Some(seconds) = kept.faults.lists_later {
            kept.counters.faults += 1;
            let later = [(header::RETRY_AFTER, seconds.to_string())];
            return (later, problem(StatusCode::TOO_MANY_REQUESTS, 20429)).into_response();
        }
        match kept.faults.good_pages.checked_sub(1) {
            Some(fewer) => kept.faults.good_pages = fewer,
            None if kept.faults.list_errors > 0 => {
                kept.faults.list_errors -= 1;
                kept.counters.faults += 1;
                return problem(StatusCode::INTERNAL_SERVER_ERROR, 20500);
            }
            None => {}
        }
        if !asked.contains_key("ParentCallSid") {
            kept.counters.pages += 1;
        }
        let number = |name: &str| asked.get(name).and_then(|text| text.parse::<usize>().ok());
        let wanted = number("PageSize").unwrap_or(50).clamp(1, 1000);
        let size = kept.faults.page_size.map_or(wanted, |size| size.min(wanted));
        let page = number("Page").unwrap_or(0);
        let uri = |page: usize| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            let same = asked.iter().filter(|(name, _)| !matches!(name.as_str(), "Page" | "PageToken"));
            for (name, value) in same {
                query.append_pair(name, value);
            }
            query.append_pair("Page", &page.to_string()).append_pair("PageToken", &format!("PA{page}"));
            format!("/2010-04-01/Accounts/{}/{resource}?{}", self.account_sid, query.finish())
        };
        let start = (page * size).min(list.len());
        let end = (start + size).min(list.len());
        let next = (end < list.len()).then(|| kept.faults.next_page.clone().unwrap_or_else(|| uri(page + 1)));
        axum::Json(json!({
            name: list[start..end], "page": page, "page_size": size, "start": start, "end": end.saturating_sub(1),
            "uri": uri(page), "first_page_uri": uri(0), "next_page_uri": next,
            "previous_page_uri": page.checked_sub(1).map(uri),
        }))
        .into_response()
    }
}

fn sound(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "audio/x-wav")], bytes).into_response()
}

fn problem(status: StatusCode, code: u32) -> Response {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    let problem = json!({ "code": code, "message": status.to_string(), "more_info": more, "status": status.as_u16() });
    (status, axum::Json(problem)).into_response()
}

/// `Mon, 24 Nov 2025 16:04:05 +0000`.
pub(super) fn rfc2822(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

impl KeptRecording {
    fn describe(&self, account_sid: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account_sid}/Recordings/{}.json", self.sid);
        let status = match (self.is_deleted, self.absent) {
            (true, _) => "deleted",
            (false, Some(_)) => "absent",
            (false, None) => "completed",
        };
        json!({
            "sid": self.sid, "account_sid": account_sid, "call_sid": self.call_sid, "api_version": "2010-04-01",
            "conference_sid": null, "channels": 1, "source": "RecordVerb", "status": status,
            "error_code": self.absent, "duration": self.absent.is_none().then(|| self.duration_seconds.to_string()),
            "start_time": rfc2822(self.started_at), "date_created": rfc2822(self.started_at),
            "date_updated": rfc2822(self.started_at), "price": null, "price_unit": "USD",
            "encryption_details": null, "uri": uri,
        })
    }
}

impl KeptCall {
    fn describe(&self, account_sid: &str) -> Value {
        let duration = self.ended_at.map(|at| (elapsed_ms(self.started_at, at) / 1_000).to_string());
        json!({
            "sid": self.sid, "account_sid": account_sid, "parent_call_sid": self.parent_sid, "api_version": "2010-04-01",
            "from": self.from, "to": self.to, "forwarded_from": self.forwarded_from, "caller_name": null,
            "direction": self.direction, "status": self.status, "duration": duration,
            "start_time": rfc2822(self.started_at), "end_time": self.ended_at.map(rfc2822),
            "date_created": rfc2822(self.started_at), "date_updated": self.ended_at.map(rfc2822),
            "price": null, "price_unit": "USD",
            "uri": format!("/2010-04-01/Accounts/{account_sid}/Calls/{}.json", self.sid),
        })
    }
}
