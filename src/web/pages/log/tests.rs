//! Stories of the log, the files and the card of a caller, through the router, on a real database.

use std::io::Cursor;
use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, StatusCode};
use calamine::{Data, Reader, Xlsx};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::core::calendar::{Calendar, Hours};
use crate::core::call::{CallEvent, CallKey, Direction, Fact, RecordingState};
use crate::core::callback::{Action, Notes};
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::{Actor, Role};
use crate::core::phone::{Caller, PhoneNumber};
use crate::store::{Contact, Delivery, Store};
use crate::time::{Clock, SignedDuration, Timestamp};
use crate::web::{self, House, password};

const PASSWORD: &str = "correct-horse";
const HOSTILE: &str = "=cmd|' /C calc'!A0 <script>alert(1)</script>";

/// Made once: it takes its time by design.
static HASH: LazyLock<String> = LazyLock::new(|| password::hash(PASSWORD));

struct School {
    house: House,
    router: Router,
    clock: Clock,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    told: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap().replace('\u{a0}', " ")
    }
}

impl School {
    /// Friday, 19:40.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-20T19:40:00+03:00".parse().unwrap();
        let calendar = Calendar::new(Hours::default());
        let number = PhoneNumber::parse("89288328088").ok();
        let parents = Line::new(LineId::new("parents"), number, "Родители", calendar.clone());
        let lines = Lines::new(vec![parents], calendar);
        let file = folder.path().join("perezvon.db");
        let store = Store::open(&format!("sqlite:{}", file.display()), lines).await.unwrap();
        for (login, role) in [("head", Role::Observer), ("madina", Role::Officer), ("admin", Role::Admin)] {
            assert!(store.add_officer(login, login, role, &HASH, now).await.unwrap());
        }
        let clock = Clock::standing_at(now);
        let house = House::on_trial(folder.path(), clock.clone(), store);
        Self { router: web::router(house.clone()), house, clock, _folder: folder }
    }

    /// A call to the parents' line that left a message of 14 s. The answer is its id.
    async fn message_from(&self, caller: &str) -> i64 {
        let recording = |id: &str| Fact::Recording {
            id: id.to_owned(),
            state: RecordingState::Completed,
            url: None,
            length_seconds: Some(14),
        };
        self.call(caller, "+79288328088", vec![recording("RE1"), Fact::Ended]).await
    }

    async fn call(&self, caller: &str, dialled: &str, mut facts: Vec<Fact>) -> i64 {
        let now = self.clock.now();
        facts.insert(
            0,
            Fact::Parties {
                direction: Direction::Inbound,
                dialled: dialled.to_owned(),
                forwarded_from: None,
                caller: Caller::from_provider(caller),
            },
        );
        let sid = format!("CA{caller}{}", now.as_millisecond());
        let delivery = Delivery {
            provider: "twilio".into(),
            endpoint: "status".to_owned(),
            method: "POST".to_owned(),
            target: "/webhooks/twilio/status".to_owned(),
            content_type: "text/plain".to_owned(),
            body: b"CallSid=CA1".as_slice().into(),
            received_at: now,
            key: Some(CallKey { provider: "twilio".into(), provider_call_id: sid }),
            events: facts.into_iter().map(|fact| CallEvent { at: now, fact }).collect(),
            can_be_asked: false,
            applied_at: None,
        };
        self.house.store.deliver(delivery).await.unwrap().call.unwrap().id
    }

    async fn sign_in(&self, login: &str) -> String {
        let form = Body::from(format!("login={login}&password={PASSWORD}"));
        let (parts, _) = self.router.clone().oneshot(posted("/login", "", form)).await.unwrap().into_parts();
        let mut cookies = parts.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.find(|cookie| cookie.contains("perezvon_session=")).expect("the password is right");
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn get(&self, address: &str, cookie: &str) -> Answer {
        self.send(Request::get(address).header(COOKIE, cookie).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, address: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(posted(address, cookie, Body::from(form))).await
    }

    async fn act(&self, id: i64, action: Action) {
        let (by, lines) = (Actor::officer(2, "Мадина И."), self.house.lines());
        self.house.store.act(id, None, action, Notes::default(), &by, &lines, self.clock.now()).await.unwrap();
    }

    async fn callback_of(&self, call: i64) -> i64 {
        self.house.store.call(call).await.unwrap().unwrap().call.callback_id.unwrap()
    }

    async fn name(&self, number: &str, name: &str) {
        let (by, number) = (Actor::officer(2, "Мадина И."), PhoneNumber::parse(number).unwrap());
        let contact = Contact { name: name.to_owned(), note: String::new() };
        self.house.store.set_contact(&number, contact, &by, "", self.clock.now()).await.unwrap();
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let header = if parts.status.is_redirection() { LOCATION } else { CONTENT_DISPOSITION };
        let told = parts.headers.get(header).map_or("", |value| value.to_str().unwrap()).to_owned();
        Answer { status: parts.status, told, body: to_bytes(body, usize::MAX).await.unwrap().to_vec() }
    }
}

/// A form of our own page in a present-day browser.
fn posted(address: &str, cookie: &str, form: Body) -> Request<Body> {
    Request::post(address)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header(COOKIE, cookie)
        .body(form)
        .unwrap()
}

fn rows(page: &str) -> usize {
    page.matches("<td class=\"when\">").count()
}

#[tokio::test]
async fn any_three_digits_of_a_number_find_its_calls_and_no_others() {
    let school = School::open().await;
    school.message_from("+79281234567").await;
    school.clock.advance(SignedDuration::from_hours(24 * 400));
    school.message_from("+79631204517").await;
    let cookie = school.sign_in("madina").await;
    for typed in ["123-45", "12345", "8 (928) 123", "%2B7928", "8928", "4567", "89281234567", "9281234567"] {
        let page = school.get(&format!("/calls?search={}", typed.replace(' ', "+")), &cookie).await.text();
        assert!(page.contains("Найдено 1<") && page.contains("8 928 123-45-67"), "{typed}: {page}");
        assert!(!page.contains("8 963 120-45-17"), "{typed}");
    }
    let both = school.get("/calls?search=45", &cookie).await.text();
    assert!(both.contains("Слишком коротко") && both.contains("Найдено 0"), "{both}");
    assert!(school.get("/calls?search=999888", &cookie).await.text().contains("Таких звонков нет."));
}

#[tokio::test]
async fn names_and_what_officers_wrote_find_calls_and_stay_text() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let named = school.message_from("+79281234567").await;
    school.clock.advance(SignedDuration::from_mins(1));
    let noted = school.message_from("+79631204517").await;
    school.name("+79281234567", &format!("Петрова {HOSTILE}")).await;
    let note = "Не видны оценки за четверть".to_owned();
    school.act(school.callback_of(noted).await, Action::Done { note }).await;
    for (typed, found) in [("петровой", named), ("ПЕТРОВА", named), ("оценка", noted), ("четверть видны", noted)]
    {
        let page = school.get(&format!("/calls?search={}", typed.replace(' ', "+")), &cookie).await.text();
        assert_eq!(rows(&page), 1, "{typed}: {page}");
        assert!(page.contains(&format!("/calls/{found}\"")), "{typed}");
        assert!(!page.contains("<script>alert"), "{page}");
    }
    for nothing in ["оценки+Петрова", "script2", "сидоров"] {
        assert_eq!(rows(&school.get(&format!("/calls?search={nothing}"), &cookie).await.text()), 0, "{nothing}");
    }
    let call = school.get(&format!("/calls/{named}"), &cookie).await.text();
    assert!(call.contains("Петрова") && !call.contains("<script>alert"));
}

#[tokio::test]
async fn the_log_says_what_became_of_a_call_and_in_how_much_working_time() {
    let school = School::open().await;
    let call = school.message_from("+79281234567").await;
    school.clock.set("2026-11-23T09:12:00+03:00".parse().unwrap());
    school.act(school.callback_of(call).await, Action::Done { note: String::new() }).await;
    let cookie = school.sign_in("madina").await;
    let page = school.get("/calls", &cookie).await.text();
    assert!(page.contains("сообщение, перезвонили <span class=\"muted\">через 0 ч 12 мин раб. времени"), "{page}");
    assert!(page.contains("0:14") && page.contains("<td class=\"who\">Мадина И.</td>"), "{page}");
    let timeline = school.get(&format!("/calls/{call}"), &cookie).await.text();
    for words in ["Звонок принят", "Запись 0:14", "В списке", "Готово: Мадина И."]
    {
        assert!(timeline.contains(words), "{words}: {timeline}");
    }
}

#[tokio::test]
async fn the_working_time_until_the_call_is_that_until_it_was_dialled_first() {
    let school = School::open().await;
    let call = school.message_from("+79281234567").await;
    let id = school.callback_of(call).await;
    for (at, action) in [
        ("2026-11-23T09:12:00+03:00", Action::Dial),
        ("2026-11-23T09:30:00+03:00", Action::Dial),
        ("2026-11-23T10:00:00+03:00", Action::Done { note: String::new() }),
    ] {
        school.clock.set(at.parse().unwrap());
        school.act(id, action).await;
    }
    let page = school.get("/calls", &school.sign_in("madina").await).await.text();
    assert!(page.contains("через 0 ч 12 мин раб. времени"), "{page}");
}

#[tokio::test]
async fn every_filter_stands_in_the_address_and_is_still_chosen_on_the_page() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    school.call("+79281234567", "+79990000000", vec![Fact::Ended]).await;
    school.message_from("+79631204517").await;
    for (query, found) in [
        ("line=unknown", 1),
        ("line=parents", 1),
        ("outcome=voicemail", 1),
        ("outcome=waiting", 2),
        ("outcome=called_back", 0),
        ("direction=inbound", 2),
        ("direction=outbound", 0),
        ("period=today", 2),
        ("period=yesterday", 0),
        ("from=2026-11-20&to=2026-11-20", 2),
        ("from=2026-11-21", 0),
        ("period=yesterday&to=2026-11-20", 2),
        ("period=nonsense&outcome=nonsense&from=nonsense&after=nonsense", 2),
    ] {
        let page = school.get(&format!("/calls?{query}"), &cookie).await.text();
        assert_eq!(rows(&page), found, "{query}: {page}");
        assert!(page.contains(&format!("Найдено {found}")), "{query}");
    }
    let unknown = school.get("/calls?line=unknown", &cookie).await.text();
    assert!(unknown.contains("<option value=\"unknown\" selected>Неизвестная"), "{unknown}");
    assert!(
        unknown.contains("/calls?period=today&#38;line=unknown") || unknown.contains("period=today&amp;line=unknown")
    );
}

#[tokio::test]
async fn a_long_log_is_shown_page_by_page_without_gap_or_repeat() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    for number in 0..120 {
        school.message_from(&format!("+7928{:07}", 1_000_000 + number)).await;
        if number % 3 == 0 {
            school.clock.advance(SignedDuration::from_secs(1));
        }
    }
    for query in ["", "search=8928", "search=928100"] {
        let (mut seen, mut address) = (Vec::new(), format!("/calls?{query}"));
        loop {
            let page = school.get(&address, &cookie).await.text();
            assert!(page.contains("Найдено 120"), "{query}");
            let ids = page.split("<td class=\"when\"><a href=\"/calls/").skip(1);
            seen.extend(ids.map(|rest| rest.split('"').next().unwrap().to_owned()));
            let Some(more) = page.split("<p class=\"more\"><a class=\"button\" href=\"").nth(1) else { break };
            address = more.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        }
        assert_eq!(seen.len(), 120, "{query}");
        assert!(seen.windows(2).all(|two| two[0].parse::<i64>().unwrap() > two[1].parse::<i64>().unwrap()));
    }
}

#[tokio::test]
async fn the_files_hold_the_same_calls_and_no_formula_and_are_written_down() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    school.message_from("+79281234567").await;
    school.message_from("+79631204517").await;
    school.name("+79281234567", HOSTILE).await;
    let file = school.get("/calls.csv?search=123-45", &cookie).await;
    assert!(file.told.contains("filename*=UTF-8''%D0%96"), "{}", file.told);
    let text = file.text();
    assert!(text.starts_with("\u{feff}Когда;Линия;"), "{text}");
    assert!(text.contains("20.11.2026 19:40;Родители;входящий;'+79281234567;'=cmd|"), "{text}");
    assert!(text.contains(";0:00:14;") && !text.contains("963"), "{text}");
    let file = school.get("/calls.xlsx", &cookie).await;
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(file.body)).unwrap();
    let sheet = book.worksheet_range("Журнал звонков").unwrap();
    assert_eq!(sheet.height(), 3);
    assert!(matches!(sheet.get((1, 0)), Some(Data::DateTime(_))));
    let phones: Vec<String> = (1..3).map(|row| sheet.get((row, 3)).unwrap().to_string()).collect();
    assert!(phones.contains(&"+79281234567".to_owned()), "{phones:?}");
    let list = school.get("/callbacks.csv?show=all", &cookie).await.text();
    assert!(list.contains("'+79631204517") && list.contains("открыто"), "{list}");
    assert!(school.get("/callbacks.xlsx", &cookie).await.body.starts_with(b"PK"));
    for (file, who) in [("/calls.csv", "head"), ("/callbacks.xlsx", "head")] {
        let cookie = school.sign_in(who).await;
        assert_eq!(school.get(file, &cookie).await.status, StatusCode::FORBIDDEN);
        assert!(!school.get("/calls", &cookie).await.text().contains(".csv"));
    }
    let by = school.house.store.officer_by_login("madina").await.unwrap().unwrap();
    let by = Actor::officer(by.id, &by.name);
    for file in ["calls.csv", "calls.xlsx", "callbacks.csv", "callbacks.xlsx"] {
        assert!(school.house.store.audited_since(&by, "export", file, Timestamp::UNIX_EPOCH).await.unwrap(), "{file}");
    }
}

#[tokio::test]
async fn the_card_of_a_caller_keeps_a_name_as_text_and_shows_all_of_the_number() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let call = school.message_from("+79281234567").await;
    let other = school.message_from("+79631204517").await;
    let address = &*format!("/callers/{call}");
    let saved = school.post(address, &cookie, &[("name", HOSTILE), ("note", "мама 5 «Б»")]).await;
    assert_eq!((saved.status, saved.told.as_str()), (StatusCode::SEE_OTHER, &*format!("{address}?saved=1")));
    let page = school.get(address, &cookie).await.text();
    assert!(page.contains("8 928 123-45-67") && page.contains("мама 5 «Б»") && page.contains("<nav"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains(&format!("/calls/{call}\"")) && !page.contains(&format!("/calls/{other}\"")));
    assert!(page.contains(&format!("/callbacks/{}\"", school.callback_of(call).await)));
    let part = school.get(&format!("{address}?fragment=1"), &cookie).await.text();
    assert!(part.trim_start().starts_with("<article") && !part.contains("<nav"), "{part}");
    let saved = school.post(address, &cookie, &[("name", "Петрова"), ("fragment", "1")]).await;
    assert_eq!(saved.told, format!("{address}?saved=1&fragment=1"));
    assert!(school.get(&saved.told, &cookie).await.text().contains("Сохранено."));
    let long = "я".repeat(101);
    let refused = school.post(address, &cookie, &[("name", &long)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains(&long) && refused.text().contains("слишком длинное"));
    for nobody in ["/callers/anna", "/callers/12"] {
        assert_eq!(school.get(nobody, &cookie).await.status, StatusCode::NOT_FOUND, "{nobody}");
    }
    let observer = school.sign_in("head").await;
    assert_eq!(school.get(address, &observer).await.status, StatusCode::FORBIDDEN);
    assert_eq!(school.post(address, &observer, &[("name", "я")]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_was_taken_back_is_no_word_on_the_card_of_the_caller_and_none_to_search_for() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let call = school.message_from("+79281234567").await;
    let id = school.callback_of(call).await;
    school.act(id, Action::Dial).await;
    school.act(id, Action::Exceptional { note: "Пояснение".to_owned() }).await;
    let by = Actor::officer(2, "Мадина И.");
    school.house.store.undo(id, None, &by, school.clock.now()).await.unwrap();
    let card = school.get(&format!("/callers/{call}"), &cookie).await.text();
    assert!(card.contains("в работе: Мадина И.") && !card.contains("exceptional"), "{card}");
    assert_eq!(rows(&school.get("/calls?search=пояснение", &cookie).await.text()), 1);
    assert_eq!(rows(&school.get("/calls?search=exceptional", &cookie).await.text()), 0);
}

#[tokio::test]
async fn only_an_administrator_erases_a_message_and_says_why() {
    let school = School::open().await;
    let call = school.message_from("+79281234567").await;
    let voicemail = school.house.store.voicemails_of_calls(&[call]).await.unwrap()[0].id;
    let address = format!("/calls/{call}/recordings/{voicemail}/erase");
    let officer = school.sign_in("madina").await;
    let page = school.get(&format!("/calls/{call}"), &officer).await.text();
    assert!(!page.contains("Удалить запись"), "{page}");
    assert_eq!(school.post(&address, &officer, &[("reason", "просьба")]).await.status, StatusCode::FORBIDDEN);
    let admin = school.sign_in("admin").await;
    let refused = school.post(&address, &admin, &[("reason", "  ")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("Напишите причину"));
    let elsewhere = school.message_from("+79631204517").await;
    let crossed = format!("/calls/{elsewhere}/recordings/{voicemail}/erase");
    assert_eq!(school.post(&crossed, &admin, &[("reason", "просьба")]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(school.house.store.voicemail(voicemail).await.unwrap().unwrap().state.as_str(), "pending");
    let erased = school.post(&address, &admin, &[("reason", "просьба <b>родителя</b>")]).await;
    assert_eq!((erased.status, erased.told), (StatusCode::SEE_OTHER, format!("/calls/{call}")));
    let page = school.get(&format!("/calls/{call}"), &admin).await.text();
    assert!(page.contains("Запись удалена: просьба &#60;b&#62;родителя"), "{page}");
    assert_eq!(page.matches("Удалить запись").count(), 0);
}

/// Threat: full numbers in addresses, which browsers, proxies and other servers keep.
#[tokio::test]
async fn no_address_of_a_page_has_a_callers_number() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let call = school.message_from("+79281234567").await;
    let callback = school.callback_of(call).await;
    for page in ["/calls", "/callbacks", &format!("/calls/{call}"), &format!("/callers/{call}")] {
        let text = school.get(page, &cookie).await.text();
        for address in text.split(['"', '\'']).filter(|text| text.starts_with(['/', '?'])) {
            assert!(!address.contains("9281234567"), "{page}: {address}");
        }
    }
    let card = school.get(&format!("/callers/{callback}"), &cookie).await.text();
    assert!(card.contains("8 928 123-45-67"), "the id of a callback leads to it too: {card}");
    let found = school.post("/callers", &cookie, &[("number", "8 928 123 45 67")]).await;
    assert_eq!((found.status, found.told.as_str()), (StatusCode::SEE_OTHER, &*format!("/callers/{call}")));
    let unknown = school.post("/callers", &cookie, &[("number", "8 928 999-99-99")]).await;
    assert!(unknown.status == StatusCode::NOT_FOUND && unknown.text().contains("нет"));
    assert_eq!(school.post("/callers", &cookie, &[("number", "Аня")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// Threat: kept addresses of before, with the number, that are opened again.
#[tokio::test]
async fn old_address_with_a_number_leads_to_the_search() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    school.message_from("+79281234567").await;
    for old in ["/callers/+79281234567", "/callers/79281234567", "/callers/+79281234567?fragment=1"] {
        let page = school.get(old, &cookie).await;
        assert_eq!(page.status, StatusCode::GONE, "{old}");
        assert!(!page.text().contains("1234567") && page.text().contains("Введите номер в поиск"), "{}", page.text());
        let stranger = school.get(old, "").await;
        assert_eq!(stranger.told, "/login?to=%2Fcallers", "nor is it handed on");
    }
}
