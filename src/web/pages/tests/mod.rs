//! Stories of the pages, through the router, on a real database.

mod alarms;
mod by_hand;
mod calendar;
mod desk;
mod every_page;
mod faster;
mod live;
mod log;
mod paging;
mod print;
mod prompts;
mod siblings;
mod signing_in;
mod undoing;

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::core::calendar::{Calendar, Hours};
use crate::core::call::{CallEvent, CallKey, Direction, Fact, RecordingState, Ringing};
use crate::core::callback::{Action, Channel, Notes};
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::{Actor, Role};
use crate::core::phone::{Caller, PhoneNumber};
use crate::store::{Delivery, NewCallback, Store};
use crate::time::{Clock, SignedDuration, Timestamp};
use crate::web::{self, House, password};

const PASSWORD: &str = "правильный пароль";

struct School {
    house: House,
    router: Router,
    clock: Clock,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: axum::http::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The session this answer gives, as a browser would send it back.
    fn cookie(&self) -> String {
        let cookies = self.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
        let session = cookies.into_iter().find(|cookie| cookie.contains("perezvon_session="));
        session.unwrap().split(';').next().unwrap().to_owned()
    }
}

impl School {
    /// Monday, 9:12, with Мадина (`madina`) and Айшат (`aishat`) at the desk.
    async fn open() -> Self {
        let number = PhoneNumber::parse("89288328088").ok();
        let calendar = Calendar::new(Hours::default());
        Self::open_with(vec![Line::new(LineId::new("parents"), number, "Родители", calendar)]).await
    }

    async fn open_with(lines: Vec<Line>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-23T09:12:00+03:00".parse().unwrap();
        let lines = Lines::new(lines, Calendar::new(Hours::default()));
        let file = folder.path().join("perezvon.db");
        let store = Store::open(&format!("sqlite:{}", file.display()), lines).await.unwrap();
        let hash = password::hash(PASSWORD);
        for (login, name, role) in [
            ("madina", "Мадина И.", Role::Officer),
            ("aishat", "Айшат <script>alert(1)</script>", Role::Senior),
            ("head", "Директор", Role::Observer),
        ] {
            assert!(store.add_officer(login, name, role, &hash, now).await.unwrap());
        }
        let clock = Clock::standing_at(now);
        let house = House::on_trial(folder.path(), clock.clone(), store);
        Self { router: web::router(house.clone()), house, clock, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, address: &str, cookie: &str) -> Answer {
        self.send(Request::get(address).header(COOKIE, cookie).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, address: &str, cookie: &str, form: &str) -> Answer {
        self.send(posted(address, cookie).body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn try_to_sign_in(&self, from: [u8; 4], login: &str, password: &str) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair("login", login).append_pair("password", password).finish();
        let connected = ConnectInfo(SocketAddr::from((from, 40000)));
        self.send(posted("/login", "").extension(connected).body(Body::from(form)).unwrap()).await
    }

    async fn sign_in(&self, login: &str) -> String {
        let answer = self.try_to_sign_in([192, 0, 2, 1], login, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.cookie()
    }

    async fn callback_of(&self, number: &str) -> i64 {
        self.waits_on("parents", number).await
    }

    async fn waits_on(&self, line: &str, number: &str) -> i64 {
        let new = NewCallback {
            line: LineId::new(line),
            callback_number: PhoneNumber::parse(number).ok(),
            channel: Channel::Telephone,
            notes: Notes { summary: Some("<script>alert('сводка')</script>".to_owned()), ..Notes::default() },
        };
        let by = Actor::system();
        self.house.store.register_by_hand(new, &by, &self.house.lines(), self.clock.now()).await.unwrap().id
    }

    async fn state(&self, id: i64) -> &'static str {
        self.house.store.callback(id).await.unwrap().unwrap().callback.desk.state.as_str()
    }
}

/// A form of our own page in a present-day browser.
fn posted(address: &str, cookie: &str) -> Builder {
    Request::builder()
        .method(Method::POST)
        .uri(address)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header(COOKIE, cookie)
}

impl School {
    /// Callbacks of so many callers.
    async fn callbacks_of(&self, count: usize) -> Vec<i64> {
        let each = (0..count).map(|n| async move { self.callback_of(&format!("8928{n:07}")).await });
        futures_util::future::join_all(each).await
    }

    async fn close(&self, ids: &[i64]) {
        let (store, lines) = (&self.house.store, &self.house.lines());
        let by = Actor::system();
        let done = || Action::Done { note: String::new() };
        let each = ids.iter().map(|id| store.act(*id, None, done(), Notes::default(), &by, lines, self.clock.now()));
        for closed in futures_util::future::join_all(each).await {
            closed.unwrap();
        }
    }
}

/// What a provider tells of one call from this number to the parents' line.
fn told_of(sid: &str, caller: &str, facts: Vec<Fact>, at: Timestamp) -> Delivery {
    let parties = Fact::Parties {
        direction: Direction::Inbound,
        dialled: "+79288328088".to_owned(),
        forwarded_from: None,
        caller: Caller::from_provider(caller),
    };
    Delivery {
        provider: "twilio".into(),
        endpoint: "voice".to_owned(),
        method: "POST".to_owned(),
        target: "/webhooks/twilio/voice".to_owned(),
        content_type: "text/plain".to_owned(),
        body: b"CallSid=CA1&x=<script>\xff".as_slice().into(),
        received_at: at,
        key: Some(CallKey { provider: "twilio".into(), provider_call_id: sid.to_owned() }),
        events: std::iter::once(parties).chain(facts).map(|fact| CallEvent { at, fact }).collect(),
        can_be_asked: false,
        applied_at: None,
    }
}

/// A form as a browser sends it.
fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
