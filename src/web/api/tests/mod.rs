//! The API as a program meets it: requests go through the router of the house, rows into a real database.

mod actions;
mod audio;
mod calls;
mod description;
mod joining;
mod lists;
mod problems;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::core::calendar::{Calendar, Hours};
use crate::core::call::{CallEvent, CallKey, Direction, Fact, RecordingState};
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::Role;
use crate::core::phone::{Caller, PhoneNumber};
use crate::store::{Delivery, Store, StoredSound};
use crate::time::{Clock, Timestamp, ToSpan};
use crate::web::{House, router};

/// Friday evening, after hours.
const FRIDAY_EVENING: &str = "2026-11-20T19:30:00+03:00";
const MONDAY_MORNING: &str = "2026-11-23T09:05:00+03:00";
const OFFICER: &str = "Мадина";
const COLLEAGUE: &str = "Айшат";
const OBSERVER: &str = "Директор";
const CALLER: &str = "+79281112233";

/// A house with two lines, three people who hold tokens, and a clock that stands.
struct School {
    house: House,
    place: TempDir,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|bad| panic!("{bad}: {:?}", self.bytes))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an answer that must be good.
    #[track_caller]
    fn good(&self) -> Value {
        assert!(self.status.is_success(), "{} {:?}", self.status, self.bytes);
        self.json()
    }

    /// The body of an answer that must be a problem document of this status.
    #[track_caller]
    fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.bytes);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {problem}");
        }
        problem
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn line(id: &str, number: &str, hours: Value) -> Line {
    let number = PhoneNumber::parse(number).unwrap();
    let calendar = Calendar::new(Hours::from_json(&hours).unwrap());
    Line {
        aliases: vec!["88712000000".to_owned() + &id.len().to_string()],
        ..Line::new(LineId::new(id), Some(number), &id.to_uppercase(), calendar)
    }
}

impl School {
    async fn at(now: &str) -> Self {
        Self::with_hours(now, json!({})).await
    }

    /// `parents`: the hours of that line alone.
    async fn with_hours(now: &str, parents: Value) -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Clock::standing_at(instant(now));
        let lines = vec![line("staff", "89288036355", json!({})), line("parents", "89288328088", parents)];
        let lines = Lines::new(lines, Calendar::new(Hours::default()));
        let url = format!("sqlite:{}", place.path().join("house.db").display());
        let store = Store::open(&url, lines).await.unwrap();
        for (name, role) in [(OFFICER, Role::Officer), (COLLEAGUE, Role::Officer), (OBSERVER, Role::Observer)] {
            store.add_token(name, role, Sha256::digest(secret(name)).to_vec(), None, clock.now()).await.unwrap();
        }
        let house = House::on_trial(place.path(), clock, store);
        Self { house, place }
    }

    /// A look past the house at its rows.
    async fn database(&self) -> sqlx::AnyPool {
        sqlx::AnyPool::connect(&format!("sqlite:{}", self.place.path().join("house.db").display())).await.unwrap()
    }

    fn moves_to(&self, now: &str) {
        self.house.clock.set(instant(now));
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        let response = router(self.house.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answered { status: parts.status, headers: parts.headers, bytes }
    }

    async fn get(&self, who: &str, path: &str) -> Answered {
        self.send(signed(who, "GET", path).body(Body::empty()).unwrap()).await
    }

    /// Without a body, if it is null.
    async fn post(&self, who: &str, path: &str, body: Value) -> Answered {
        let request = signed(who, "POST", path);
        self.send(match body {
            Value::Null => request.body(Body::empty()).unwrap(),
            body => request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap(),
        })
        .await
    }

    async fn act(&self, who: &str, id: &str, action: &str, body: Value) -> Answered {
        self.post(who, &format!("/api/v1/callbacks/{id}/{action}"), body).await
    }

    /// The callback as it stands.
    async fn callback(&self, id: &str) -> Value {
        self.get(OBSERVER, &format!("/api/v1/callbacks/{id}")).await.good()
    }

    /// A caller of the line for parents: the call, a minute of it, and its end.
    async fn rings(&self, caller: &str, facts: Vec<Fact>) -> (i64, Option<String>) {
        self.rings_line("+79288328088", caller, facts).await
    }

    async fn rings_line(&self, dialled: &str, caller: &str, facts: Vec<Fact>) -> (i64, Option<String>) {
        let now = self.house.clock.now();
        let facts = [vec![parties(dialled, caller), Fact::Answered], facts, vec![Fact::Ended]].concat();
        self.tells(&format!("CA{caller}{dialled}{}", now.as_millisecond()), now, facts).await
    }

    /// News of one call, delivered now: the ids of the call and of its callback.
    async fn tells(&self, provider_call_id: &str, at: Timestamp, facts: Vec<Fact>) -> (i64, Option<String>) {
        let delivery = Delivery {
            provider: "twilio".into(),
            endpoint: "status".to_owned(),
            method: "POST".to_owned(),
            target: "/webhooks/twilio/status".to_owned(),
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: format!("CallSid={provider_call_id}").into(),
            received_at: self.house.clock.now(),
            key: Some(CallKey { provider: "twilio".into(), provider_call_id: provider_call_id.to_owned() }),
            events: facts.into_iter().map(|fact| CallEvent { at, fact }).collect(),
            can_be_asked: false,
            applied_at: None,
        };
        let call = self.house.store.deliver(delivery).await.unwrap().call.unwrap();
        (call.id, call.callback_id.map(|id| id.to_string()))
    }

    /// A caller who leaves a message and waits: the id of the callback.
    async fn leaves_a_message(&self, caller: &str) -> String {
        self.rings(caller, vec![message()]).await.1.expect("a callback")
    }

    /// `count` callers, one a second.
    async fn leave_messages(&self, count: i64) -> Vec<String> {
        let mut ids = Vec::new();
        for n in 0..count {
            self.house.clock.set(self.house.clock.now() + 1.second());
            ids.push(self.leaves_a_message(&format!("+7928000000{n}")).await);
        }
        ids
    }

    /// Brings the sound of a voicemail into the folder.
    async fn stores_sound(&self, voicemail: &Value, bytes: &[u8], speech_ms: i64) -> i64 {
        let id: i64 = voicemail["id"].as_str().unwrap().parse().unwrap();
        let name = format!("2026/11/{id}.wav");
        let mut incoming = self.house.folder.begin(name.parse().unwrap(), 1_000_000).await.unwrap();
        incoming.write(bytes).await.unwrap();
        incoming.finish().await.unwrap();
        let sound = StoredSound {
            name,
            format: "wav".to_owned(),
            content_type: "audio/wav".to_owned(),
            size_bytes: bytes.len() as i64,
            sha256: Sha256::digest(bytes).to_vec(),
            length_ms: 12_345,
            speech_ms,
            loudness_centibels: -200,
            peaks: vec![0; 200],
            damage: String::new(),
        };
        self.house.store.voicemail_stored(id, sound, &[], self.house.clock.now()).await.unwrap();
        id
    }
}

fn parties(dialled: &str, caller: &str) -> Fact {
    Fact::Parties {
        direction: Direction::Inbound,
        dialled: dialled.to_owned(),
        forwarded_from: None,
        caller: Caller::from_provider(caller),
    }
}

fn message() -> Fact {
    Fact::Recording { id: "RE1".to_owned(), state: RecordingState::Completed, url: None, length_seconds: Some(12) }
}

/// The secret of a token; a header carries no Cyrillic letters.
fn secret(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(who: &str, method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {}", secret(who)))
}

/// The names of an object's fields.
fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}
