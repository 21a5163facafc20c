//! Click-to-call: the exchange rings the officer, then the caller (provider contract, Asterisk, «Callback placed by the
//! service»). The exchange of these stories is its REST interface, which counts what rings, and the ends it would tell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use perezvon::core::call::Outcome;
use perezvon::core::callback::{Action, Refusal, State as Desk};
use perezvon::core::officer::{Actor, Role};
use perezvon::core::phone::Telephone;
use perezvon::store::{ActError, Dialling, OfficerChange};
use perezvon::time::SignedDuration;

use crate::harness::{App, Browser, Form, Page, STAFF, lease_jobs, monday, stories};

const CALLER: &str = "+79281112233";
/// 8 809 is dialled at a premium.
const PREMIUM: &str = "+78095550000";
const TOKEN: &str = "token-of-the-exchange";

/// How the exchange answers a request to ring.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Manner {
    #[default]
    Rings,
    /// It rings, and the answer is lost.
    Mute,
    WrongPassword,
    NoSuchTelephone,
    /// Something before it answers, and it rings all the same.
    BadGateway,
}

#[derive(Default)]
struct Inside {
    manner: Manner,
    /// Queries of all requests that made something ring.
    rings: Vec<HashMap<String, String>>,
    channels: HashMap<String, &'static str>,
}

/// The REST interface of an exchange.
#[derive(Clone, Default)]
struct Ari(Arc<Mutex<Inside>>);

impl Ari {
    async fn start(app: &App) -> Self {
        Self::start_with(app, "").await
    }

    /// `tables`: more of the configuration.
    async fn start_with(app: &App, tables: &str) -> Self {
        let ari = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/ari/channels", post(ring))
            .route("/ari/channels/{id}", get(channel))
            .with_state(ari.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        with_an_exchange_and(app, &format!("http://{address}/ari"), tables).await;
        ari
    }

    fn manner(&self, manner: Manner) {
        self.0.lock().unwrap().manner = manner;
    }

    fn rings(&self) -> usize {
        self.0.lock().unwrap().rings.len()
    }

    fn told(&self, name: &str) -> String {
        self.0.lock().unwrap().rings.last().unwrap()[name].clone()
    }

    /// The id of the last call.
    fn id(&self) -> String {
        self.told("channelId")
    }

    fn picked_up(&self) {
        let id = self.id();
        self.0.lock().unwrap().channels.insert(id, "Up");
    }

    fn over(&self) {
        self.0.lock().unwrap().channels.clear();
    }
}

async fn ring(State(ari): State<Ari>, headers: HeaderMap, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut inside = ari.0.lock().unwrap();
    if inside.manner == Manner::WrongPassword || headers["authorization"] != "Basic cGVyZXp2b246c2VjcmV0" {
        return (StatusCode::UNAUTHORIZED, r#"{"message":"Authentication required"}"#).into_response();
    }
    if inside.manner == Manner::NoSuchTelephone {
        return (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"Allocation failed"}"#).into_response();
    }
    let id = query["channelId"].clone();
    if inside.channels.contains_key(&id) {
        return StatusCode::CONFLICT.into_response();
    }
    inside.channels.insert(id.clone(), "Ringing");
    inside.rings.push(query);
    match inside.manner {
        Manner::Mute => {
            // The connection is cut in the midst of the answer.
            let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))]);
            Body::from_stream(broken).into_response()
        }
        Manner::BadGateway => StatusCode::BAD_GATEWAY.into_response(),
        _ => format!(r#"{{"id":"{id}","state":"Down"}}"#).into_response(),
    }
}

async fn channel(State(ari): State<Ari>, Path(id): Path<String>) -> Response {
    match ari.0.lock().unwrap().channels.get(&id) {
        Some(state) => format!(r#"{{"id":"{id}","state":"{state}"}}"#).into_response(),
        None => (StatusCode::NOT_FOUND, r#"{"message":"Channel not found"}"#).into_response(),
    }
}

async fn with_an_exchange(app: &App, ari: &str) {
    with_an_exchange_and(app, ari, "").await;
}

async fn with_an_exchange_and(app: &App, ari: &str, tables: &str) {
    let exchange = format!(
        "[[providers]]\nname = \"asterisk\"\nkind = \"asterisk\"\ntokens = [\"{TOKEN}\"]\nari_base = \"{ari}\"\n\
         ari_user = \"perezvon\"\nari_password = \"secret\"\n{tables}"
    );
    app.restart(|setup| setup.tables = exchange).await;
}

/// Monday morning: one caller of the parents' line waits, and Мадина has the telephone 101.
async fn morning(app: &App) -> Browser<'_> {
    app.message_from("CA1", CALLER).await;
    app.leave_the_jobs().await;
    app.clock.set(monday("09:05"));
    officer(app, "Мадина И.", "101").await
}

async fn officer<'a>(app: &'a App, name: &str, telephone: &str) -> Browser<'a> {
    let mut browser = app.browser(name, Role::Officer).await;
    let saved = browser.post("/me/telephone", &[("telephone", telephone)]).await;
    assert_eq!(saved.location, "/me?done=telephone", "{}", saved.body);
    browser
}

/// «Беру и звоню», with the version that the page shows.
async fn press(app: &App, browser: &mut Browser<'_>) -> Page {
    let callback = app.callback().await;
    dial(browser, callback.id, callback.version).await
}

async fn dial(browser: &mut Browser<'_>, id: i64, version: i64) -> Page {
    browser.post(&format!("/callbacks/{id}/dial"), &[("version", &version.to_string())]).await
}

/// The page of the list, wherever the entry is.
async fn desk(browser: &mut Browser<'_>) -> String {
    browser.get("/callbacks?show=all").await.body
}

/// The exchange tells the end of the last call.
async fn tell_end(app: &App, ari: &Ari, dial: &str, talk: &str) {
    tell_end_of(app, &ari.id(), dial, talk).await;
}

async fn tell_end_of(app: &App, id: &str, dial: &str, talk: &str) {
    let now = app.now().as_second();
    let [started, ended] = [now - 60, now].map(|at| at.to_string());
    let fields = [
        ("id", id),
        ("line", "79288328088"),
        ("from", ""),
        ("to", "79281112233"),
        ("started", &started),
        ("ended", &ended),
        ("dial", dial),
        ("talk", talk),
        ("record", ""),
        ("callback", ""),
        ("cause", "16"),
    ];
    let form = Form(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    let request = Request::post("/webhooks/asterisk/ended")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Bearer {TOKEN}"));
    let answer = app.request(request.body(Body::from(form.encoded())).unwrap()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
}

async fn wait(app: &App, seconds: i64) {
    app.clock.advance(SignedDuration::from_secs(seconds));
    app.run_jobs().await;
}

/// Kinds and outcomes of the history, without what was taken back.
async fn history(app: &App) -> Vec<(String, Option<String>)> {
    let id = app.number("SELECT MIN(id) FROM callback").await;
    let view = app.store().callback(id).await.unwrap().unwrap();
    view.history.into_iter().map(|step| (step.kind, step.outcome)).collect()
}

fn step(kind: &str, outcome: &str) -> (String, Option<String>) {
    (kind.to_owned(), Some(outcome.to_owned()).filter(|outcome| !outcome.is_empty()))
}

/// The outcomes of the attempts to reach the caller.
async fn attempts(app: &App) -> Vec<&'static str> {
    let id = app.number("SELECT MIN(id) FROM callback").await;
    let view = app.store().callback(id).await.unwrap().unwrap();
    view.attempts().into_iter().map(|attempt| attempt.outcome).collect()
}

async fn ending(app: &App) -> String {
    app.text("SELECT COALESCE(ending, 'none') FROM placed_call ORDER BY id DESC").await
}

async fn talks_though_the_answer_is_lost(app: &App, manner: Manner) {
    let ari = Ari::start(app).await;
    ari.manner(manner);
    let mut madina = morning(app).await;
    press(app, &mut madina).await;
    app.run_jobs().await;
    wait(app, 2).await;
    wait(app, 2).await;
    assert!(desk(&mut madina).await.contains("Звоним: снимите трубку на 101."));
    ari.picked_up();
    wait(app, 2).await;
    tell_end(app, &ari, "ANSWER", "12").await;
    app.run_all_jobs().await;
    assert_eq!((ari.rings(), ending(app).await.as_str()), (1, "talked"));
}

stories! {
    async fn the_officers_telephone_rings_first_then_the_caller_and_the_talk_is_written_down(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        let page = desk(&mut madina).await;
        assert!(!page.contains("data-dials"), "no telephone of the computer is opened");
        assert_eq!(press(app, &mut madina).await.status, 303);
        assert_eq!(ari.rings(), 0, "not before the commit");
        assert!(desk(&mut madina).await.contains("Звоним: снимите трубку на 101."));
        app.run_jobs().await;
        assert_eq!(ari.rings(), 1);
        let told = ["endpoint", "context", "extension", "callerId"].map(|name| ari.told(name));
        assert_eq!(told, ["PJSIP/101", "perezvon-callback", "79281112233", "79288328088"]);
        ari.picked_up();
        wait(app, 2).await;
        assert!(desk(&mut madina).await.contains("Соединяем с 8 928 111-22-33."));
        let before = app.callback().await;
        ari.over();
        tell_end(app, &ari, "ANSWER", "185").await;
        app.run_jobs().await;
        let page = desk(&mut madina).await;
        assert!(page.contains("Говорили 3:05. Отметьте, как прошло."), "{page}");
        let after = app.callback().await;
        assert_eq!(after.proposed_call_id, None, "he is about to say himself how it went");
        assert_eq!(after.version, before.version, "a note that he types meanwhile is taken");
        assert!(matches!(after.desk.state, Desk::Claimed { .. }), "nothing closes by itself");
        assert_eq!(history(app).await[..], [step("dial", ""), step("attempt", "reached")]);
        assert_eq!(attempts(app).await, ["reached"]);
        let call = app.call(&ari.id()).await;
        assert_eq!((call.outcome(), call.line.unwrap().as_str()), (Outcome::Answered, "parents"));
        let done = madina.post(&format!("/callbacks/{}/done", after.id), &[("version", &before.version.to_string())]).await;
        assert_eq!(done.status, 303);
        app.run_all_jobs().await;
        assert_eq!(ari.rings(), 1);
    }

    async fn two_tabs_a_double_press_and_a_repeated_form_ring_once(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        let callback = app.callback().await;
        let mut other_tab = Browser::new(app);
        other_tab.cookie = madina.cookie.clone();
        let (one, other) = tokio::join!(
            dial(&mut madina, callback.id, callback.version),
            dial(&mut other_tab, callback.id, callback.version)
        );
        let mut statuses = [one.status, other.status];
        statuses.sort();
        assert_eq!(statuses, [303, 409]);
        let told = if one.status == 409 { one.body } else { other.body };
        assert!(told.contains("Уже звоним: снимите трубку на 101"), "{told}");
        app.run_jobs().await;
        assert_eq!(press(app, &mut madina).await.status, 409, "with the newest version too");
        app.run_jobs().await;
        tell_end(app, &ari, "CANCEL", "").await;
        app.run_jobs().await;
        assert_eq!(dial(&mut madina, callback.id, callback.version).await.status, 409, "an old form is stale");
        wait(app, 10).await;
        assert_eq!((ari.rings(), app.count("placed_call").await), (1, 1));
        assert!(desk(&mut madina).await.contains("Вы положили трубку до ответа."));
        assert_eq!(attempts(app).await, ["dialled"], "how it went he says himself");
        app.run_all_jobs().await;
    }

    async fn a_second_caller_waits_until_the_first_talk_is_over(app) {
        let ari = Ari::start(app).await;
        app.message_from("CA2", "+79281112244").await;
        let mut madina = morning(app).await;
        let waiting = app.callbacks().await;
        let [one, other] = [0, 1].map(|n| (waiting[n].callback.id, waiting[n].callback.version));
        assert_eq!(dial(&mut madina, one.0, one.1).await.status, 303);
        app.run_jobs().await;
        ari.picked_up();
        wait(app, 2).await;
        let refused = dial(&mut madina, other.0, other.1).await;
        assert_eq!(refused.status, 409);
        assert!(refused.body.contains("Сначала закончите этот разговор"), "{}", refused.body);
        ari.over();
        wait(app, 5).await;
        assert_eq!(dial(&mut madina, other.0, other.1).await.status, 303, "his telephone is free, told or not");
        app.run_jobs().await;
        assert_eq!(ari.rings(), 2);
        ari.over();
        app.run_all_jobs().await;
    }

    async fn a_house_that_dies_before_the_request_goes_out_rings_nobody_later(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        assert_eq!(lease_jobs(&app.store(), app.now()).await.len(), 1);
        app.crash().await;
        app.restart(|_| {}).await;
        app.clock.advance(SignedDuration::from_secs(31));
        assert_eq!(press(app, &mut madina).await.status, 303, "and he may press again");
        app.run_jobs().await;
        app.run_jobs().await;
        assert_eq!(ari.rings(), 1, "the second one alone");
        assert_eq!(history(app).await[1], step("not_called", "out_of_reach"));
        ari.over();
        app.run_all_jobs().await;
    }

    async fn a_house_that_dies_between_the_mark_and_the_request_never_sends_it(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        let [job] = &lease_jobs(&app.store(), app.now()).await[..] else { panic!("one job") };
        assert!(app.store().call_goes_out(job.subject, app.now()).await.unwrap().is_some());
        assert!(app.store().call_goes_out(job.subject, app.now()).await.unwrap().is_none(), "marked once");
        app.crash().await;
        app.restart(|_| {}).await;
        wait(app, 31).await;
        wait(app, 5).await;
        assert_eq!((ari.rings(), ending(app).await.as_str()), (0, "not_picked_up"));
        assert!(desk(&mut madina).await.contains("Вы не сняли трубку на 101. Позвонить ещё раз: Enter."));
        assert_eq!(attempts(app).await, [""; 0]);
    }

    async fn an_answer_that_is_lost_is_looked_for_and_not_asked_for_again(app) {
        talks_though_the_answer_is_lost(app, Manner::Mute).await;
    }

    async fn an_answer_from_something_before_the_exchange_is_no_reason_to_ring_again(app) {
        talks_though_the_answer_is_lost(app, Manner::BadGateway).await;
    }

    async fn an_exchange_that_is_away_or_refuses_rings_nobody_and_the_number_is_offered(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        for (manner, told, alarm) in [
            (Manner::WrongPassword, "АТС нам отказала", "calls_not_placed"),
            (Manner::NoSuchTelephone, "АТС не знает телефона 101", "calls_not_placed"),
        ] {
            ari.manner(manner);
            assert_eq!(press(app, &mut madina).await.status, 303);
            app.run_jobs().await;
            let page = desk(&mut madina).await;
            assert!(page.contains(told), "{page}");
            assert!(page.contains(&format!("<a class=\"tel\" href=\"tel:{CALLER}\"")), "{page}");
            assert_eq!(app.alarm_kinds().await, [alarm]);
        }
        with_an_exchange(app, "http://127.0.0.1:1/ari").await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        assert!(desk(&mut madina).await.contains("АТС не отвечает. Наберите номер сами."));
        assert_eq!((ari.rings(), attempts(app).await.len()), (0, 0), "nothing counts against the caller");
        assert!(matches!(app.callback().await.desk.state, Desk::Claimed { .. }), "it stays with her");
        let steps = history(app).await;
        assert_eq!(steps.iter().filter(|(kind, _)| kind == "not_called").count(), 3, "{steps:?}");
        assert_eq!(app.unfinished_jobs().await, [""; 0]);
        let id = app.callback().await.id;
        assert_eq!(madina.post(&format!("/callbacks/{id}/release"), &[]).await.status, 303);
        let page = desk(&mut madina).await;
        assert!(page.contains("Наберите номер сами.") && !page.contains("href=\"tel:"), "nobody holds it: {page}");
        app.act(id, &Actor::officer(2, "Айшат М."), Action::Dial).await.unwrap();
        let page = desk(&mut madina).await;
        assert!(!page.contains("Наберите номер сами.") && !page.contains("href=\"tel:"), "a colleague calls: {page}");
    }

    async fn an_officer_who_does_not_pick_up_may_press_again(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.over();
        wait(app, 2).await;
        assert!(!desk(&mut madina).await.contains("Позвонить ещё раз"), "the end may still be told");
        wait(app, 5).await;
        assert!(desk(&mut madina).await.contains("Вы не сняли трубку на 101."));
        assert_eq!(history(app).await[..], [step("claim", ""), step("not_called", "not_picked_up")]);
        assert_eq!(press(app, &mut madina).await.status, 303);
        app.run_jobs().await;
        assert_eq!(ari.rings(), 2);
        ari.over();
        app.run_all_jobs().await;
    }

    async fn busy_and_no_answer_put_it_off_and_z_takes_that_back(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        for (dialled, outcome, told) in [("BUSY", "busy", "Занято"), ("NOANSWER", "no_answer", "Не ответили")] {
            press(app, &mut madina).await;
            app.run_jobs().await;
            ari.picked_up();
            wait(app, 2).await;
            tell_end(app, &ari, dialled, "").await;
            app.run_jobs().await;
            let page = desk(&mut madina).await;
            assert!(page.contains(&format!("{told}: отложили сами. Вернуть: Z.")), "{page}");
            let callback = app.callback().await;
            let Desk::Later { by, until, .. } = &callback.desk.state else { panic!("{callback:?}") };
            assert_eq!(by.name, "Мадина И.");
            assert!(app.lines().by_id(&callback.line).calendar.is_open(*until), "inside working time");
            assert_eq!(attempts(app).await.last(), Some(&outcome));
            assert_eq!(madina.post("/callbacks/undo", &[]).await.status, 303);
            assert!(matches!(app.callback().await.desk.state, Desk::Claimed { .. }));
        }
        app.run_all_jobs().await;
    }

    async fn the_officers_own_word_stands_whatever_is_told_afterwards(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.picked_up();
        wait(app, 2).await;
        let callback = app.callback().await;
        let version = callback.version.to_string();
        let put_off = madina.post(&format!("/callbacks/{}/no-answer", callback.id), &[("version", &version)]).await;
        assert_eq!(put_off.status, 303);
        let steps = history(app).await;
        tell_end(app, &ari, "ANSWER", "40").await;
        app.run_all_jobs().await;
        assert_eq!(history(app).await, steps);
        assert_eq!(attempts(app).await, ["no_answer"]);
        assert_eq!(app.callback().await.proposed_call_id, None);
    }

    async fn whoever_says_what_the_call_has_just_told_is_not_refused(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.picked_up();
        let callback = app.callback().await;
        tell_end(app, &ari, "NOANSWER", "").await;
        app.run_jobs().await;
        let said = [("version", &*callback.version.to_string()), ("note", "длинные гудки")];
        assert_eq!(madina.post(&format!("/callbacks/{}/no-answer", callback.id), &said).await.status, 303);
        assert_eq!(attempts(app).await, ["no_answer"], "one attempt");
        let notes = app.text("SELECT note FROM callback_history WHERE kind = 'note'").await;
        assert_eq!(notes, "длинные гудки");
        app.run_all_jobs().await;
    }

    async fn an_end_told_before_anybody_looks_twice_or_late_leads_to_the_same(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        tell_end(app, &ari, "ANSWER", "30").await;
        tell_end(app, &ari, "ANSWER", "30").await;
        ari.over();
        wait(app, 2).await;
        tell_end(app, &ari, "ANSWER", "30").await;
        app.run_all_jobs().await;
        let expected = [step("dial", ""), step("attempt", "reached")];
        assert_eq!((&history(app).await[..], ending(app).await.as_str()), (&expected[..], "talked"));
        // The next one is told long after it was taken for one that nobody had picked up.
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.over();
        wait(app, 2).await;
        wait(app, 5).await;
        assert_eq!(ending(app).await, "not_picked_up");
        wait(app, 300).await;
        tell_end(app, &ari, "ANSWER", "31").await;
        app.run_all_jobs().await;
        assert_eq!(ending(app).await, "talked");
        let steps = history(app).await;
        assert_eq!(steps.iter().filter(|(kind, _)| kind == "not_called").count(), 0, "{steps:?}");
        assert_eq!(attempts(app).await, ["reached", "reached"]);
        assert_eq!(ari.rings(), 2);
    }

    async fn an_end_that_nobody_tells_is_left_to_the_officer(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.picked_up();
        wait(app, 2).await;
        ari.over();
        wait(app, 5).await;
        assert!(desk(&mut madina).await.contains("Звонок окончен."));
        app.run_all_jobs().await;
        assert!(desk(&mut madina).await.contains("АТС не сказала, чем кончился звонок."));
        assert_eq!(attempts(app).await, ["dialled"]);
    }

    async fn without_a_telephone_or_in_another_hand_nothing_rings(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        let mut aishat = app.browser("Айшат", Role::Officer).await;
        assert!(desk(&mut aishat).await.contains("data-dials"), "she dials by hand");
        press(app, &mut aishat).await;
        assert_eq!(app.run_jobs().await, 0);
        let refused = press(app, &mut madina).await;
        assert_eq!(refused.status, 409);
        assert!(refused.body.contains("Айшат"), "{}", refused.body);
        assert_eq!((ari.rings(), app.count("placed_call").await), (0, 0));
        let mut observer = app.browser("Директор", Role::Observer).await;
        assert!(!observer.get("/me").await.body.contains("Ваш телефон"));
        assert_eq!(observer.post("/me/telephone", &[("telephone", "102")]).await.status, 403);
        let wrong = aishat.post("/me/telephone", &[("telephone", "8 928 832-80-88")]).await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.body.contains("Это номер самой линии"), "{}", wrong.body);
    }

    async fn a_call_of_another_officer_who_lost_the_entry_still_holds_the_caller(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.picked_up();
        app.advance_minutes(20);
        app.run_jobs().await;
        let patimat = Actor::officer(99, "Патимат");
        let callback = app.callback().await;
        app.act(callback.id, &patimat, Action::Claim).await.unwrap();
        let with = Dialling { telephone: Telephone::parse("102").unwrap(), provider: "asterisk".to_owned() };
        let version = app.callback().await.version;
        let dialled = app.store().dial(callback.id, version, with, false, &patimat, &app.lines(), app.now()).await;
        assert!(matches!(dialled, Err(ActError::AlreadyCalling(_))), "{dialled:?}");
        tell_end(app, &ari, "BUSY", "").await;
        app.run_all_jobs().await;
        assert_eq!(attempts(app).await, ["busy"], "Мадина's attempt");
        assert_eq!(app.callback().await.desk.state.holder(app.now()), Some(&patimat), "whose entry it stays");
    }

    async fn a_placed_call_guards_the_other_line_until_it_is_over(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        press(app, &mut madina).await;
        app.run_jobs().await;
        ari.picked_up();
        app.post("status", &Form::call("CA2").from(CALLER).to(STAFF).status("completed")).await;
        app.advance_minutes(20);
        app.run_jobs().await;
        let patimat = Actor::officer(99, "Патимат");
        let on_staff = app.number("SELECT id FROM callback WHERE line = 'staff'").await;
        let asked = app.act(on_staff, &patimat, Action::Dial).await;
        let Err(ActError::Refused(Refusal::HeldOnOtherLine(holder))) = asked else { panic!("{asked:?}") };
        assert!(holder.is_calling && holder.by.name == "Мадина И.", "though her claim ran out: {holder:?}");
        let with = || Dialling { telephone: Telephone::parse("102").unwrap(), provider: "asterisk".to_owned() };
        let version = app.store().callback(on_staff).await.unwrap().unwrap().callback.version;
        let asked = app.store().dial(on_staff, version, with(), false, &patimat, &app.lines(), app.now()).await;
        assert!(matches!(asked, Err(ActError::Refused(Refusal::HeldOnOtherLine(_)))), "{asked:?}");
        tell_end(app, &ari, "ANSWER", "65").await;
        app.run_all_jobs().await;
        let waiting = app.store().callback(on_staff).await.unwrap().unwrap().callback;
        assert_eq!(waiting.proposed_call_id, None, "Мадина is about to say how it went");
        app.store().dial(on_staff, waiting.version, with(), false, &patimat, &app.lines(), app.now()).await.unwrap();
        assert_eq!(app.run_jobs().await, 1);
        app.leave_the_jobs().await;
    }

    async fn an_end_of_a_call_that_nobody_placed_is_a_call_like_any_other(app) {
        let _ari = Ari::start(app).await;
        let _madina = morning(app).await;
        tell_end_of(app, "perezvon-1795350861", "ANSWER", "9").await;
        assert_eq!(app.run_jobs().await, 1);
        assert!(app.callback().await.proposed_call_id.is_some(), "R12: reached in another way");
    }

    async fn the_telephone_is_seen_by_administrators_and_in_the_audit(app) {
        let _ari = Ari::start(app).await;
        let mut madina = officer(app, "Мадина И.", "8 928 000-00-55").await;
        assert!(madina.get("/me").await.body.contains("value=\"8 928 000-00-55\""));
        let mut admin = app.browser("Директор", Role::Admin).await;
        assert!(admin.get("/people").await.body.contains("8 928 000-00-55"));
        assert_eq!(app.text("SELECT detail FROM audit WHERE action = 'officer_telephone'").await, "нет → 8 928 000-00-55");
        let id = app.store().officers().await.unwrap()[0].id;
        let before = app.store().change_officer(id, OfficerChange::Telephone(None), &Actor::system(), "", app.now()).await;
        assert_eq!(before.unwrap().telephone, Telephone::parse("+79280000055").ok());
    }

    /// Threat: toll fraud. A forged caller id of a premium or satellite number, and one press that calls it back.
    async fn exchange_never_dials_a_premium_number(app) {
        let ari = Ari::start(app).await;
        app.message_from("CA1", PREMIUM).await;
        app.leave_the_jobs().await;
        app.clock.set(monday("09:05"));
        let mut madina = officer(app, "Мадина И.", "101").await;
        let page = desk(&mut madina).await;
        assert!(page.contains("дорогой или чужой номер") && !page.contains("href=\"tel:"), "{page}");
        let asked = press(app, &mut madina).await;
        assert_eq!(asked.status, 422, "{}", asked.body);
        assert!(asked.body.contains("Сверьте номер") && asked.body.contains("Всё равно позвонить"), "{}", asked.body);
        let callback = app.callback().await;
        assert_eq!(callback.desk.state, Desk::Open, "nothing is claimed by that");

        let by = Actor::officer(99, "Патимат");
        let with = || Dialling { telephone: Telephone::parse("102").unwrap(), provider: "asterisk".to_owned() };
        let placed = app.store().dial(callback.id, callback.version, with(), true, &by, &app.lines(), app.now()).await;
        assert!(matches!(placed, Err(ActError::Refused(Refusal::NumberNotAllowed))), "whatever the page sent: {placed:?}");

        let form = [("version", &*callback.version.to_string()), ("confirm", "1")];
        assert_eq!(madina.post(&format!("/callbacks/{}/dial", callback.id), &form).await.status, 303);
        let page = desk(&mut madina).await;
        assert!(page.contains(&format!("href=\"tel:{PREMIUM}\"")), "by hand, with a telephone: {page}");
        assert_eq!(history(app).await[..], [step("dial", "confirmed_number")]);
        app.run_all_jobs().await;
        assert_eq!((ari.rings(), app.count("placed_call").await), (0, 0));
    }

    /// Threat: toll fraud. An officer's session, without his password, makes the exchange ring a premium telephone.
    async fn officers_telephone_is_never_a_premium_number(app) {
        let ari = Ari::start(app).await;
        let mut madina = morning(app).await;
        for telephone in ["8 809 555-00-00", "+882 16 201-23-45", "+1 900 555-12-34", "8 701 234-56-78"] {
            let refused = madina.post("/me/telephone", &[("telephone", telephone)]).await;
            assert_eq!(refused.status, 422, "{telephone}");
        }
        let id = app.store().officers().await.unwrap()[0].id;
        let premium = OfficerChange::Telephone(Telephone::parse(PREMIUM).ok());
        app.store().change_officer(id, premium, &Actor::system(), "", app.now()).await.unwrap();
        assert!(desk(&mut madina).await.contains("data-dials"), "one from before is not rung: by hand");
        let callback = app.callback().await;
        let with = Dialling { telephone: Telephone::parse(PREMIUM).unwrap(), provider: "asterisk".to_owned() };
        let by = Actor::officer(id, "Мадина И.");
        let placed = app.store().dial(callback.id, callback.version, with, true, &by, &app.lines(), app.now()).await;
        assert!(matches!(placed, Err(ActError::Refused(Refusal::NumberNotAllowed))), "{placed:?}");
        assert_eq!(press(app, &mut madina).await.status, 303);
        app.run_all_jobs().await;
        assert_eq!((ari.rings(), app.count("placed_call").await), (0, 0));
    }

    /// Threat: toll fraud. A stolen session dials call after call all night.
    async fn exchange_dials_at_most_the_limit_of_an_hour(app) {
        let ari = Ari::start_with(app, "[dialing]\nmax_calls_per_hour = 2\n").await;
        for (sid, number) in [("CA2", "+79281112244"), ("CA3", "+79281112255")] {
            app.message_from(sid, number).await;
        }
        let mut madina = morning(app).await;
        let waiting = app.callbacks().await;
        for view in &waiting[..2] {
            assert_eq!(dial(&mut madina, view.callback.id, view.callback.version).await.status, 303);
            app.run_jobs().await;
            ari.picked_up();
            wait(app, 2).await;
            ari.over();
            wait(app, 5).await;
        }
        let alarms = app.count("alarm WHERE kind = 'calls_per_hour'").await;
        assert_eq!((ari.rings(), alarms), (2, 1));
        let page = desk(&mut madina).await;
        assert!(page.contains("АТС позвонила за последний час 2\u{a0}раза, это предел"), "{page}");
        let third = &waiting[2].callback;
        let with = || Dialling { telephone: Telephone::parse("102").unwrap(), provider: "asterisk".to_owned() };
        let by = Actor::officer(99, "Патимат");
        let placed = app.store().dial(third.id, third.version, with(), false, &by, &app.lines(), app.now()).await;
        assert!(matches!(placed, Err(ActError::TooManyCalls { max: 2 })), "the last gate: {placed:?}");
        app.clock.advance(SignedDuration::from_hours(1));
        let page = desk(&mut madina).await;
        assert!(!page.contains("это предел"), "{page}");
        assert_eq!(dial(&mut madina, third.id, third.version).await.status, 303);
        app.run_jobs().await;
        assert_eq!(ari.rings(), 3);
        ari.over();
        app.run_all_jobs().await;
    }

    /// Threat: toll fraud. A telephone in the hand dials a forged foreign number as quickly as a neighbour's.
    async fn premium_number_is_dialed_by_hand_after_one_more_press(app) {
        app.message_from("CA1", PREMIUM).await;
        app.leave_the_jobs().await;
        app.clock.set(monday("09:05"));
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        let callback = app.callback().await;
        let claim = [("version", &*callback.version.to_string())];
        assert_eq!(madina.post(&format!("/callbacks/{}/claim", callback.id), &claim).await.status, 303);
        let page = desk(&mut madina).await;
        assert!(page.contains("Всё равно позвонить") && !page.contains("href=\"tel:"), "claimed, not asked yet: {page}");
        assert_eq!(press(app, &mut madina).await.status, 422);
        let call = app.call("CA1").await.id;
        assert_eq!(madina.post(&format!("/callbacks/{}/done", callback.id), &[("note", "")]).await.status, 303);
        let page = madina.get(&format!("/calls/{call}")).await.body;
        let asks = format!("<details><summary class=\"button quiet\">Позвонить</summary><p><a class=\"button\" href=\"tel:{PREMIUM}\">");
        assert!(page.contains("Дорогой или чужой номер") && page.contains(&asks), "{page}");
        assert_eq!(page.matches("href=\"tel:").count(), 1, "{page}");
    }
}
