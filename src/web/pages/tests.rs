//! Stories of the pages, through the router, on a real database.

mod by_hand;
mod calendar;
mod live;
mod print;
mod prompts;

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
        self.header(SET_COOKIE).split(';').next().unwrap().to_owned()
    }
}

impl School {
    /// Monday, 9:12, with Мадина (`madina`) and Айшат (`aishat`) at the desk.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-23T09:12:00+03:00".parse().unwrap();
        let calendar = Calendar::new(Hours::default());
        let number = PhoneNumber::parse("89288328088").ok();
        let parents = Line::new(LineId::new("parents"), number, "Родители", calendar.clone());
        let lines = Lines::new(vec![parents], calendar);
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
        let new = NewCallback {
            line: LineId::new("parents"),
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

#[tokio::test]
async fn who_has_the_password_gets_a_session_and_the_list() {
    let school = School::open().await;
    let answer = school.try_to_sign_in([192, 0, 2, 1], "madina", PASSWORD).await;
    assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, "/callbacks"));
    let cookie = answer.header(SET_COOKIE);
    for attribute in ["perezvon_session=", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=43200", "Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let list = school.get("/callbacks", &answer.cookie()).await;
    assert_eq!(list.status, StatusCode::OK);
    for words in
        ["Мадина И.", "Перезвонить сегодня, понедельник 23 ноября", "Сейчас рабочее время, до", "Всех обзвонили."]
    {
        assert!(list.text.contains(words), "{words}");
    }
    assert!(list.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    assert!(!list.header(CONTENT_SECURITY_POLICY).contains("unsafe"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_read_the_same() {
    let school = School::open().await;
    for (login, password) in [("madina", "неправильный"), ("nobody", PASSWORD), ("", ""), ("madina", "")] {
        let answer = school.try_to_sign_in([192, 0, 2, 1], login, password).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{login}");
        assert!(answer.text.contains("Логин или пароль не подходят."));
        assert!(answer.headers.get(SET_COOKIE).is_none());
    }
}

#[tokio::test]
async fn after_ten_failures_even_the_right_password_waits_a_quarter_of_an_hour() {
    let school = School::open().await;
    for number in 0..10 {
        school.try_to_sign_in([192, 0, 2, 7], &format!("nobody{number}"), "x").await;
    }
    let refused = school.try_to_sign_in([192, 0, 2, 7], "madina", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.text.contains("Подождите 15\u{a0}минут"), "{}", refused.text);
    let elsewhere = school.try_to_sign_in([192, 0, 2, 8], "madina", PASSWORD).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER);
    school.clock.set(school.clock.now() + SignedDuration::from_mins(15));
    let later = school.try_to_sign_in([192, 0, 2, 7], "madina", PASSWORD).await;
    assert_eq!(later.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn pages_are_for_those_who_are_signed_in() {
    let school = School::open().await;
    for (address, way_in) in [
        ("/callbacks", "/login?to=%2Fcallbacks"),
        ("/callbacks/7", "/login?to=%2Fcallbacks%2F7"),
        ("/calls?line=parents", "/login?to=%2Fcalls%3Fline%3Dparents"),
        ("/calls/7", "/login?to=%2Fcalls%2F7"),
    ] {
        let answer = school.get(address, "perezvon_session=0123456789abcdef").await;
        assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, way_in));
        assert!(!answer.text.contains("Перезвонить"));
    }
    let id = school.callback_of("89281234567").await;
    let answer = school.post(&format!("/callbacks/{id}/done"), "", "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("<h1>Вход</h1>"));
    assert_eq!(school.state(id).await, "open");
}

#[tokio::test]
async fn a_session_ends_by_signing_out_by_time_by_a_new_password_and_with_its_officer() {
    let school = School::open().await;
    let signed_in = async |cookie: &str| school.get("/callbacks", cookie).await.status == StatusCode::OK;

    let (one, two) = (school.sign_in("madina").await, school.sign_in("madina").await);
    assert_ne!(one, two, "each sign-in has an id of its own");
    assert_eq!(school.post("/logout", &one, "").await.header(LOCATION), "/login");
    assert!(!signed_in(&one).await && signed_in(&two).await);

    school.clock.set(school.clock.now() + SignedDuration::from_hours(12));
    assert!(!signed_in(&two).await);

    let three = school.sign_in("madina").await;
    assert!(school.house.store.set_password("madina", &password::hash("новый"), school.clock.now()).await.unwrap());
    assert!(!signed_in(&three).await);

    let four = school.sign_in("aishat").await;
    assert!(school.house.store.disable_officer("aishat", school.clock.now()).await.unwrap());
    assert!(!signed_in(&four).await);
    let refused = school.try_to_sign_in([192, 0, 2, 1], "aishat", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_form_on_another_site_changes_nothing() {
    let school = School::open().await;
    let (cookie, id) = (school.sign_in("madina").await, school.callback_of("89281234567").await);
    let address = format!("/callbacks/{id}/done");
    for (header, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        let request = Request::post(&address).header(COOKIE, &cookie).header("host", "calls.example.org");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(header, value);
        let answer = school.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{header}: {value}");
        assert!(answer.text.contains("Запрос пришёл с другого сайта"));
    }
    assert_eq!(school.state(id).await, "open");
    let behind_proxy = Request::post(&address).header(COOKIE, &cookie).header("host", "127.0.0.1:8080");
    let behind_proxy = behind_proxy.header("origin", "https://calls.example.org");
    let behind_proxy = behind_proxy.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(school.send(behind_proxy.body(Body::empty()).unwrap()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(school.state(id).await, "done");
}

#[tokio::test]
async fn an_entry_is_taken_done_undone_and_done_again_with_plain_forms() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let (first, second) = (school.callback_of("89281234567").await, school.callback_of("89631204517").await);

    let taken = school.post(&format!("/callbacks/{first}/claim?line=parents"), &cookie, "version=2").await;
    assert_eq!(taken.header(LOCATION), format!("/callbacks?line=parents&at={first}#c{first}"));
    let list = school.get(&format!("/callbacks?at={first}"), &cookie).await.text;
    assert!(list.contains("<title>(2) Перезвонить</title>"), "{list}");
    assert!(list.contains("href=\"tel:+79281234567\"") && !list.contains("href=\"tel:+79631204517\""));

    let form = format!("version=3&next={second}&note=%D0%BF%D0%BE%D0%BC%D0%BE%D0%B3%D0%BB%D0%B8");
    let done = school.post(&format!("/callbacks/{first}/done"), &cookie, &form).await;
    assert_eq!(done.header(LOCATION), format!("/callbacks?at={second}&did={first}#c{second}"));
    assert_eq!(school.state(first).await, "done");
    let list = school.get(&format!("/callbacks?at={second}&did={first}"), &cookie).await.text;
    assert!(list.contains("«Готово», 8 928 123-45-67") && list.contains("сделано 1"), "{list}");
    assert!(school.get("/callbacks?show=done", &cookie).await.text.contains("помогли"));

    let undone = school.post(&format!("/callbacks/{first}/undo"), &cookie, "version=4").await;
    assert_eq!(undone.status, StatusCode::SEE_OTHER);
    assert_eq!(school.state(first).await, "claimed");
}

#[tokio::test]
async fn what_was_refused_is_told_and_what_was_typed_is_kept() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    school.post(&format!("/callbacks/{id}/claim"), &madina, "version=2").await;

    let lost = school.post(&format!("/callbacks/{id}/claim"), &aishat, "version=3").await;
    assert_eq!(lost.status, StatusCode::CONFLICT);
    assert!(lost.text.contains("уже в работе: Мадина И., с 9:12. Можно слушать, звонить пока не нужно."));

    let stale = school.post(&format!("/callbacks/{id}/done"), &madina, "version=2&note=typed+words").await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(
        stale.text.contains("Пока вы работали с обращением, оно изменилось")
            && stale.text.contains("value=\"typed words\"")
    );

    let no_note = school.post(&format!("/callbacks/{id}/decline"), &madina, "version=3&reason=not_enough_data").await;
    assert_eq!(no_note.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(no_note.text.contains("Нужна заметка"));
    assert!(no_note.text.contains("value=\"not_enough_data\" required checked"), "{}", no_note.text);

    let no_time = school.post(&format!("/callbacks/{id}/later"), &madina, "version=3&when=at&until=soon").await;
    assert!(no_time.text.contains("Выберите, до какого времени отложить."));
    let past =
        school.post(&format!("/callbacks/{id}/later"), &madina, "version=3&when=at&until=2026-11-20T10:00").await;
    assert!(past.text.contains("Это время уже прошло"), "{}", past.status);
    assert_eq!(school.state(id).await, "claimed");
}

#[tokio::test]
async fn names_and_notes_are_text_and_never_markup() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let id = school.callback_of("89281234567").await;
    let page = school.get("/callbacks", &cookie).await.text;
    assert!(!page.contains("<script>alert") && page.contains("alert(1)") && page.contains("alert("));
    let note = Action::Done { note: "<img src=x onerror=alert(2)>".to_owned() };
    let store = &school.house.store;
    let by = Actor::system();
    store.act(id, None, note, Notes::default(), &by, &school.house.lines(), school.clock.now()).await.unwrap();
    let page = school.get("/callbacks?show=all", &cookie).await.text;
    assert!(!page.contains("<img") && page.contains("onerror"));
    let page = school.get("/calls?number=%22%3E%3Cscript%3E", &cookie).await.text;
    assert!(!page.contains("\"><script>"));
}

#[tokio::test]
async fn a_call_is_found_by_its_number_and_shows_why_and_what_the_provider_sent() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let at: Timestamp = "2026-11-21T19:40:00+03:00".parse().unwrap();
    let parties = Fact::Parties {
        direction: Direction::Inbound,
        dialled: "+79288328088".to_owned(),
        forwarded_from: None,
        caller: Caller::from_provider("+79281234567"),
    };
    let recording =
        Fact::Recording { id: "RE1".to_owned(), state: RecordingState::Completed, url: None, length_seconds: Some(14) };
    let delivery = Delivery {
        provider: "twilio".into(),
        endpoint: "voice".to_owned(),
        method: "POST".to_owned(),
        target: "/webhooks/twilio/voice".to_owned(),
        content_type: "text/plain".to_owned(),
        body: b"CallSid=CA1&x=<script>\xff".as_slice().into(),
        received_at: at,
        key: Some(CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() }),
        events: [parties, recording, Fact::Ended].into_iter().map(|fact| CallEvent { at, fact }).collect(),
        can_be_asked: false,
    };
    let call = school.house.store.deliver(delivery).await.unwrap().call.unwrap();

    let log = school.get("/calls?number=928+123+45+67&outcome=voicemail&line=parents", &cookie).await.text;
    assert!(log.contains("8 928 123-45-67") && log.contains("сб\u{a0}21.11, 19:40"), "{log}");
    assert!(school.get("/calls?outcome=missed", &cookie).await.text.contains("Таких звонков нет."));
    assert!(school.get("/calls?number=12", &cookie).await.text.contains("Слишком коротко."));

    let page = school.get(&format!("/calls/{}", call.id), &cookie).await.text;
    for words in
        ["нерабочее время: выходной; календарь 20", "Запись ещё передаётся", "в понедельник, 23 ноября", "CallSid=CA1"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("x=<script>"));

    let list = school.get("/callbacks", &cookie).await.text;
    assert!(
        list.contains("ждёт 37\u{a0}ч") && list.contains("до\u{a0}18:00") && list.contains("<title>(1) "),
        "{list}"
    );
}

#[tokio::test]
async fn an_observer_reads_and_changes_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("head").await;
    let id = school.callback_of("89281234567").await;
    let list = school.get("/callbacks", &cookie).await;
    assert!(list.text.contains("8 928 123-45-67") && !list.text.contains("Беру и звоню"));
    let refused = school.post(&format!("/callbacks/{id}/claim"), &cookie, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("нужна роль «Сотрудник»"));
    assert_eq!(school.state(id).await, "open");
}

#[tokio::test]
async fn a_wrong_address_has_a_way_on() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    for address in ["/nothing", "/calls/7", "/calls/abc", "/callbacks/abc"] {
        let answer = school.get(address, &cookie).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
        assert!(answer.text.contains("Такой страницы нет.") && answer.text.contains("href=\"/callbacks\""));
    }
    let answer = school.post("/callbacks/7/dance", &cookie, "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn stylesheet_and_script_are_kept_for_good_under_their_hash() {
    let school = School::open().await;
    let page = school.get("/login", "").await.text;
    let css = page.split('"').find(|part| part.ends_with("/perezvon.css")).unwrap();
    let css = school.get(css, "").await;
    assert_eq!(css.status, StatusCode::OK);
    assert!(css.header(axum::http::header::CACHE_CONTROL).contains("immutable"));
    let older = school.get("/assets/0/perezvon.css", "").await;
    assert_eq!(older.header(axum::http::header::CACHE_CONTROL), "no-cache");
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

/// The address of this page's link with this label.
fn link<'p>(page: &'p str, label: &str) -> Option<&'p str> {
    let before = &page[..page.find(&format!("\">{label}</a>"))?];
    Some(&before[before.rfind('"')? + 1..])
}

/// All pages of one view, one after the other.
async fn all_pages(school: &School, cookie: &str, first: &str) -> Vec<String> {
    let mut pages = vec![school.get(first, cookie).await.text];
    while let Some(next) = link(pages.last().unwrap(), "Показать ещё") {
        let next = next.replace("&#38;", "&").replace("&amp;", "&");
        pages.push(school.get(&next, cookie).await.text);
        assert!(pages.len() < 20, "the pages come to an end");
    }
    pages
}

/// The page once read one part of the history by due time: what was closed beyond it was neither shown nor counted.
#[tokio::test]
async fn six_hundred_closures_of_a_day_are_all_counted_and_all_shown() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let ids = school.callbacks_of(610).await;
    school.close(&ids[..600]).await;
    let pages = all_pages(&school, &cookie, "/callbacks?show=done").await;
    assert!(pages.iter().all(|page| page.contains("Осталось 10") && page.contains("сделано 600")), "{}", pages[0]);
    for id in &ids[..600] {
        assert_eq!(pages.iter().filter(|page| page.contains(&format!("id=\"c{id}\""))).count(), 1);
    }
    let pages = all_pages(&school, &cookie, "/callbacks?show=all&line=parents").await;
    for id in &ids {
        assert_eq!(pages.iter().filter(|page| page.contains(&format!("id=\"c{id}\""))).count(), 1);
    }
    school.clock.set(school.clock.now() + SignedDuration::from_hours(24));
    let cookie = school.sign_in("madina").await;
    assert!(school.get("/callbacks", &cookie).await.text.contains("сделано 0"));
}

/// It was cut at 2000, and then said that 2000 were left.
#[tokio::test]
async fn a_list_of_thousands_is_not_cut() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let ids = school.callbacks_of(2010).await;
    let pages = all_pages(&school, &cookie, "/callbacks").await;
    assert!(pages.iter().all(|page| page.contains("Осталось 2010")));
    let shown: usize = pages.iter().map(|page| page.matches("<span class=\"number\">").count()).sum();
    assert_eq!((shown, pages.len()), (2010, 11));
    assert!(link(&pages[0], "К началу списка").is_none() && link(&pages[1], "К началу списка") == Some("/callbacks"));
    let last = ids.iter().find(|id| pages[10].contains(&format!("id=\"c{id}\""))).unwrap();
    let second = link(&pages[9], "Показать ещё").unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let query = second.split_once('?').unwrap().1;
    let done = school.post(&format!("/callbacks/{last}/done?{query}"), &cookie, "").await;
    assert_eq!(done.header(LOCATION), format!("/callbacks?{query}&at={last}&did={last}#c{last}"), "on the same page");
}

/// Nine entries with all their forms were 58 kB.
#[tokio::test]
async fn only_the_unfolded_entry_carries_its_forms() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let ids = school.callbacks_of(200).await;
    let page = school.get(&format!("/callbacks?at={}", ids[7]), &cookie).await.text;
    assert_eq!(page.matches("Беру и звоню").count(), 1);
    assert!(page.contains(&format!("action=\"/callbacks/{}/claim", ids[7])));
    assert!(page.contains(&format!("/callbacks?at={}#c{}\"", ids[8], ids[8])), "the others are links");
    assert!(page.len() < 200 * 1024, "{} bytes", page.len());
}

#[tokio::test]
async fn who_got_through_by_himself_is_not_called_again_by_habit() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let deliver = async |sid: &str, facts: Vec<Fact>| {
        let at = school.clock.now();
        let parties = Fact::Parties {
            direction: Direction::Inbound,
            dialled: "+79288328088".to_owned(),
            forwarded_from: None,
            caller: Caller::from_provider("+79281234567"),
        };
        let delivery = Delivery {
            provider: "twilio".into(),
            endpoint: "voice".to_owned(),
            method: "POST".to_owned(),
            target: "/webhooks/twilio/voice".to_owned(),
            content_type: "text/plain".to_owned(),
            body: b"".as_slice().into(),
            received_at: at,
            key: Some(CallKey { provider: "twilio".into(), provider_call_id: sid.to_owned() }),
            events: std::iter::once(parties).chain(facts).map(|fact| CallEvent { at, fact }).collect(),
            can_be_asked: false,
        };
        school.house.store.deliver(delivery).await.unwrap().call.unwrap()
    };
    let missed = Fact::Rang { ringing: Ringing::NoAnswer, talk_seconds: None };
    let id = deliver("CA1", vec![missed, Fact::Ended]).await.callback_id.unwrap();
    school.clock.set(school.clock.now() + SignedDuration::from_mins(5));
    let talk = Fact::Rang { ringing: Ringing::Answered, talk_seconds: Some(180) };
    deliver("CA2", vec![Fact::Answered, talk, Fact::Ended]).await;

    let page = school.get("/callbacks", &cookie).await.text;
    assert!(page.contains("<strong class=\"reached\">Дозвонились сами</strong>"), "on the folded line too: {page}");
    for words in ["говорили сегодня", "Закрыть", "Всё равно перезвонить"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for words in ["Беру и звоню", "/no-answer", "data-key=\"Enter\""] {
        assert!(!page.contains(words), "{words}: {page}");
    }

    let anyway = school.post(&format!("/callbacks/{id}/call-anyway"), &cookie, "").await;
    assert_eq!(anyway.header(LOCATION), format!("/callbacks?at={id}#c{id}"));
    assert_eq!(school.state(id).await, "claimed");
    let page = school.get(&format!("/callbacks?at={id}"), &cookie).await.text;
    assert!(page.contains("href=\"tel:+79281234567\"") && !page.contains("/call-anyway"), "{page}");
}

/// An alarm without an end of its own stood above the list for ever.
#[tokio::test]
async fn an_alarm_that_was_read_goes_and_the_audit_keeps_who_read_it() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let store = &school.house.store;
    for n in 0..53 {
        store.raise_alarm("unknown_line", &n.to_string(), &format!("Линия {n}."), school.clock.now()).await.unwrap();
    }
    assert!(!school.get("/callbacks", &madina).await.text.contains("Прочитано"), "an officer is not asked");
    let page = school.get("/callbacks", &aishat).await.text;
    assert!(page.contains("Линия 52.") && page.contains("И ещё 3.") && !page.contains("Линия 2."), "{page}");

    let newest = store.alarms().await.unwrap()[0].id;
    let refused = school.post(&format!("/alarms/{newest}/seen"), &madina, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for _ in 0..2 {
        let seen = school.post(&format!("/alarms/{newest}/seen?line=parents"), &aishat, "").await;
        assert_eq!(seen.header(LOCATION), "/callbacks?line=parents");
    }
    let page = school.get("/callbacks", &aishat).await.text;
    assert!(!page.contains("Линия 52.") && page.contains("И ещё 2."));
    let by = Actor::system();
    assert!(!store.acknowledge_alarm(newest, &by, school.clock.now()).await.unwrap(), "once");

    sqlx::any::install_default_drivers();
    let file = format!("sqlite:{}", school._folder.path().join("perezvon.db").display());
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&file).await.unwrap();
    let kept: Vec<(String, String)> = sqlx::query_as("SELECT actor_name, detail FROM audit WHERE action = 'seen'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, [("Айшат <script>alert(1)</script>".to_owned(), "unknown_line 52".to_owned())]);
}
