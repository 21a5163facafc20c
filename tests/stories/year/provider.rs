//! The telephone provider of a year: what it has of calls and recordings, and its REST interface with faults of its own.
//! Its records are the truth that the ledger compares the service with.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use perezvon::time::{Clock, SignedDuration, Timestamp};
use sqlx::{AnyConnection, Connection};

use super::listing::{Page, bound};
use super::sounds::Sound;
use crate::harness::ACCOUNT;

/// More than the service takes of one message, bytes.
const TOO_LARGE: u64 = 128 * 1024 * 1024 + 1;

/// How the REST interface answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestFault {
    Nothing,
    /// 401 to everything.
    WrongPassword,
    /// 500 to everything.
    ServerErrors,
    /// 429 with this `Retry-After`.
    Busy(i64),
    /// 503 with a `Retry-After` that names an instant so many seconds ahead.
    BusyUntil(i64),
    /// 500 to whoever asks for a list.
    NoLists,
    /// Lists of few entries a page.
    SmallPages,
    /// A page of some proxy instead of an answer.
    Nonsense,
    /// 404 to whoever asks for sound.
    NoSound,
    /// Sound breaks off in the middle.
    BrokenSound,
    /// Each answer takes so many seconds.
    Slow(i64),
}

pub const REST_FAULTS: [RestFault; 10] = [
    RestFault::WrongPassword,
    RestFault::ServerErrors,
    RestFault::Busy(600),
    RestFault::BusyUntil(900),
    RestFault::NoLists,
    RestFault::SmallPages,
    RestFault::Nonsense,
    RestFault::NoSound,
    RestFault::BrokenSound,
    RestFault::Slow(20),
];

/// What the provider has of one call.
#[derive(Clone, Debug)]
pub struct ProviderCall {
    pub sid: String,
    pub from: String,
    pub to: String,
    pub forwarded_from: Option<String>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub direction: &'static str,
    pub parent: Option<String>,
    /// When it first was shown as over to the service, which asked for it.
    pub listed_at: Option<Timestamp>,
}

/// What the provider has of one message.
#[derive(Clone, Debug)]
pub struct ProviderRecording {
    pub sid: String,
    pub call_sid: String,
    pub started_at: Timestamp,
    pub length_ms: u32,
    pub sound: Sound,
    /// Before that, there is no file yet.
    pub ready_at: Timestamp,
    /// So many answers are half of the file.
    pub cuts: u32,
    /// The provider has lost it.
    pub is_lost: bool,
    pub answers: u32,
    /// When it first stood in a list that the service asked for.
    pub listed_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
}

impl ProviderRecording {
    /// The whole file, as it is sent: the same for the same recording, and for no other.
    pub fn sent(&self) -> Vec<u8> {
        self.sound.file(&self.sid, self.length_ms)
    }

    /// The bytes that are to be kept of it.
    pub fn kept(&self) -> Vec<u8> {
        self.sound.kept(self.sent())
    }

    /// What is sent of the file where it is cut.
    pub fn half<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        &file[..file.len() / 2]
    }

    /// No answer is ever the whole file.
    pub fn is_cut_for_good(&self) -> bool {
        self.cuts == u32::MAX
    }

    pub fn seconds(&self) -> u32 {
        (self.length_ms + 500) / 1000
    }
}

#[derive(Default)]
pub struct Records {
    calls: BTreeMap<(Timestamp, String), ProviderCall>,
    started_at: HashMap<String, Timestamp>,
    recordings: BTreeMap<(Timestamp, String), ProviderRecording>,
    recorded_at: HashMap<String, Timestamp>,
    recordings_of: HashMap<String, Vec<String>>,
    pub fault: Option<RestFault>,
    /// Recordings that were deleted before the service held them whole.
    pub deleted_early: Vec<String>,
    pub deleted: u64,
    /// Requests that got no good answer.
    pub refused: u64,
    pub requests: u64,
}

impl Records {
    pub fn insert_call(&mut self, call: ProviderCall) {
        self.started_at.insert(call.sid.clone(), call.started_at);
        self.calls.insert((call.started_at, call.sid.clone()), call);
    }

    pub fn end_call(&mut self, sid: &str, at: Timestamp) {
        if let Some(call) = self.call_mut(sid) {
            call.ended_at = Some(at);
        }
    }

    fn call_mut(&mut self, sid: &str) -> Option<&mut ProviderCall> {
        let at = *self.started_at.get(sid)?;
        self.calls.get_mut(&(at, sid.to_owned()))
    }

    pub fn insert_recording(&mut self, recording: ProviderRecording) {
        self.recorded_at.insert(recording.sid.clone(), recording.started_at);
        self.recordings_of.entry(recording.call_sid.clone()).or_default().push(recording.sid.clone());
        self.recordings.insert((recording.started_at, recording.sid.clone()), recording);
    }

    pub fn is_call_listed(&self, sid: &str) -> bool {
        let at = self.started_at.get(sid);
        at.and_then(|at| self.calls.get(&(*at, sid.to_owned()))).is_some_and(|call| call.listed_at.is_some())
    }

    pub fn recording(&self, sid: &str) -> Option<&ProviderRecording> {
        let at = *self.recorded_at.get(sid)?;
        self.recordings.get(&(at, sid.to_owned()))
    }

    pub fn recording_mut(&mut self, sid: &str) -> Option<&mut ProviderRecording> {
        let at = *self.recorded_at.get(sid)?;
        self.recordings.get_mut(&(at, sid.to_owned()))
    }

    pub fn fault(&self) -> RestFault {
        self.fault.unwrap_or(RestFault::Nothing)
    }
}

/// The running provider. Its doors close when it is dropped.
pub struct FakeProvider {
    pub api_base: String,
    interface: Interface,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

#[derive(Clone)]
struct Interface {
    records: Arc<Mutex<Records>>,
    clock: Clock,
    /// Looks into the tables and the folder of the service while it asks for a deletion.
    witness: Arc<tokio::sync::Mutex<Option<AnyConnection>>>,
    database: Arc<str>,
    folder: Arc<PathBuf>,
}

impl FakeProvider {
    pub async fn open(clock: Clock, database: &str, folder: PathBuf) -> Self {
        let interface = Interface {
            records: Arc::default(),
            clock,
            witness: Arc::default(),
            database: database.into(),
            folder: Arc::new(folder),
        };
        let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
        let router = Router::new()
            .route(&format!("{account}/Recordings.json"), get(list_recordings))
            .route(&format!("{account}/Recordings/{{name}}"), get(read_recording).delete(delete_recording))
            .route(&format!("{account}/Calls.json"), get(list_calls))
            .route(&format!("{account}/Calls/{{name}}"), get(read_call))
            .with_state(interface.clone());
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port is free");
        let api_base = format!("http://{}/2010-04-01", listener.local_addr().expect("it is bound"));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Self { api_base, interface, serving }
    }

    pub fn records(&self) -> MutexGuard<'_, Records> {
        self.interface.records()
    }

    /// The address of a recording, as webhooks name it.
    pub fn recording_url(&self, sid: &str) -> String {
        format!("{}/Accounts/{ACCOUNT}/Recordings/{sid}", self.api_base)
    }

    pub async fn close(self) {
        self.leave_the_database().await;
    }

    /// Its next look at the tables of the service opens them anew.
    pub async fn leave_the_database(&self) {
        if let Some(witness) = self.interface.witness.lock().await.take() {
            let _ = witness.close().await;
        }
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Interface {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().expect("nobody panics over the records")
    }

    /// The answer of the fault, if it gives one: to a list, to sound, or to anything else.
    fn fault_answer(&self, is_list: bool, is_sound: bool) -> Option<Response> {
        let mut records = self.records();
        records.requests += 1;
        let answer = match records.fault() {
            RestFault::WrongPassword => StatusCode::UNAUTHORIZED.into_response(),
            RestFault::ServerErrors => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            RestFault::Busy(seconds) => {
                (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())]).into_response()
            }
            RestFault::BusyUntil(seconds) => {
                let until = self.clock.now() + SignedDuration::from_secs(seconds);
                let until = until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, until)]).into_response()
            }
            RestFault::NoLists if is_list => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            RestFault::Nonsense => axum::response::Html("<!DOCTYPE html><p>Подождите").into_response(),
            RestFault::Slow(seconds) => {
                self.clock.advance(SignedDuration::from_secs(seconds));
                return None;
            }
            RestFault::NoSound if is_sound => StatusCode::NOT_FOUND.into_response(),
            _ => return None,
        };
        records.refused += 1;
        Some(answer)
    }

    /// Whether the service holds this recording whole right now: its row says that it is stored, and its file has the bytes.
    async fn is_held(&self, recording: &ProviderRecording) -> bool {
        let mut witness = self.witness.lock().await;
        for _ in 0..2 {
            let connection = match witness.take() {
                Some(connection) => connection,
                None => AnyConnection::connect(&self.database).await.expect("the database is there"),
            };
            let connection = witness.insert(connection);
            let found = sqlx::query_scalar::<_, String>(
                "SELECT voicemail.name AS name FROM job JOIN voicemail ON voicemail.id = job.subject
                 WHERE job.kind = 'delete_recording' AND voicemail.recording_id = $1 AND voicemail.state = 'stored'",
            )
            .bind(recording.sid.clone())
            .fetch_optional(connection)
            .await;
            match found {
                Ok(name) => {
                    let bytes = name.and_then(|name| std::fs::read(self.folder.join(name)).ok());
                    return bytes.is_some_and(|bytes| bytes == recording.kept());
                }
                // The connection broke in an outage of the database.
                Err(_) => *witness = None,
            }
        }
        false
    }
}

type Question = Query<BTreeMap<String, String>>;

async fn list_calls(State(interface): State<Interface>, Query(question): Question) -> Response {
    if let Some(answer) = interface.fault_answer(true, false) {
        return answer;
    }
    let (mut records, now) = (interface.records(), interface.clock.now());
    let since = bound(&question, "StartTime>");
    let page = Page::of(records.fault(), &question);
    let keys = records.calls.range((since, String::new())..).rev().map(|(key, _)| key.clone());
    let (keys, has_more) = page.cut(keys);
    let calls = keys.iter().filter_map(|(_, sid)| records.call_mut(sid).map(|call| call.shown(now))).collect();
    page.answer("Calls.json", "calls", &question, calls, has_more)
}

async fn list_recordings(State(interface): State<Interface>, Query(question): Question) -> Response {
    if let Some(answer) = interface.fault_answer(true, false) {
        return answer;
    }
    let (mut records, now) = (interface.records(), interface.clock.now());
    let page = Page::of(records.fault(), &question);
    let is_listed = |sid: &String| records.recording(sid).is_some_and(|recording| recording.is_listed(now));
    let (sids, has_more) = match question.get("CallSid") {
        Some(call_sid) => {
            page.cut(records.recordings_of.get(call_sid).into_iter().flatten().filter(|sid| is_listed(sid)).cloned())
        }
        None => {
            let since = bound(&question, "DateCreated>");
            let all = records.recordings.range((since, String::new())..).rev();
            page.cut(all.filter(|(_, recording)| recording.is_listed(now)).map(|((_, sid), _)| sid.clone()))
        }
    };
    let shown = sids.iter().filter_map(|sid| records.recording_mut(sid).map(|recording| recording.shown(now)));
    let shown = shown.collect();
    page.answer("Recordings.json", "recordings", &question, shown, has_more)
}

async fn read_call(State(interface): State<Interface>, Path(name): Path<String>) -> Response {
    if let Some(answer) = interface.fault_answer(false, false) {
        return answer;
    }
    let (mut records, now) = (interface.records(), interface.clock.now());
    match records.call_mut(name.trim_end_matches(".json")) {
        Some(call) => Json(call.shown(now)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn read_recording(State(interface): State<Interface>, Path(name): Path<String>) -> Response {
    if let Some(answer) = interface.fault_answer(false, true) {
        return answer;
    }
    let (mut records, now) = (interface.records(), interface.clock.now());
    let fault = records.fault();
    let Some(recording) = records.recording_mut(name.trim_end_matches(".wav")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if recording.is_lost || recording.deleted_at.is_some() || now < recording.ready_at {
        return StatusCode::NOT_FOUND.into_response();
    }
    recording.answers += 1;
    let sent = Bytes::from(recording.sent());
    let half = sent.slice_ref(recording.half(&sent));
    match recording.sound {
        // Whoever does not believe the length it tells would have to take it all to see it.
        Sound::TooLarge => return breaking_off(TOO_LARGE, half),
        _ if fault == RestFault::BrokenSound => return breaking_off(sent.len() as u64, half),
        _ => {}
    }
    let body = if recording.answers <= recording.cuts { half } else { sent };
    ([(header::CONTENT_TYPE, "audio/x-wav")], body).into_response()
}

/// An answer that is to have so many bytes, and whose connection breaks after these.
fn breaking_off(length_bytes: u64, beginning: Bytes) -> Response {
    let breaks = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::other("the connection breaks"))
    });
    let body = Body::from_stream(stream::iter([Ok(beginning)]).chain(breaks));
    ([(header::CONTENT_LENGTH, length_bytes.to_string())], body).into_response()
}

async fn delete_recording(State(interface): State<Interface>, Path(name): Path<String>) -> Response {
    if let Some(answer) = interface.fault_answer(false, false) {
        return answer;
    }
    let sid = name.trim_end_matches(".json");
    let there = interface.records().recording(sid).filter(|recording| recording.deleted_at.is_none()).cloned();
    let Some(recording) = there else { return StatusCode::NOT_FOUND.into_response() };
    let is_held = interface.is_held(&recording).await;
    let (mut records, now) = (interface.records(), interface.clock.now());
    if !is_held {
        records.deleted_early.push(sid.to_owned());
    }
    records.deleted += 1;
    if let Some(recording) = records.recording_mut(sid) {
        recording.deleted_at = Some(now);
    }
    StatusCode::NO_CONTENT.into_response()
}
