//! The reports as pages, through the router.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use calamine::{Data, Reader, Xlsx};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::core::calendar::{Calendar, Hours};
use crate::core::call::{CallEvent, CallKey, Direction, Fact};
use crate::core::callback::{Action, AttemptOutcome, Notes};
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::{Actor, Role};
use crate::core::phone::{Caller, PhoneNumber};
use crate::store::{Delivery, Store};
use crate::time::{Clock, SignedDuration, Timestamp};
use crate::web::{self, House, password};

struct School {
    house: House,
    router: Router,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap().replace('\u{a0}', " ")
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const PASSWORD: &str = "correct-horse-battery";
const FRIDAY: &str = "2026-11-20T19:30:00+03:00";

impl School {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let calendar = Calendar::new(Hours::default());
        let line = |id: &str, number: &str, title: &str| {
            Line::new(LineId::new(id), PhoneNumber::parse(number).ok(), title, calendar.clone())
        };
        let lines = vec![line("staff", "89288036355", "Сотрудники"), line("parents", "89288328088", "Родители")];
        let lines = Lines::new(lines, calendar.clone());
        let file = folder.path().join("perezvon.db");
        let store = Store::open(&format!("sqlite:{}", file.display()), lines).await.unwrap();
        let clock = Clock::standing_at(at(FRIDAY));
        let hash = password::hash(PASSWORD);
        for (login, role) in [("head", Role::Observer), ("senior", Role::Senior), ("admin", Role::Admin)] {
            assert!(store.add_officer(login, login, role, &hash, clock.now()).await.unwrap());
        }
        let house = House::on_trial(folder.path(), clock, store);
        Self { router: web::router(house.clone()), house, _folder: folder }
    }

    async fn get(&self, address: &str, login: &str) -> Answer {
        let form = format!("login={login}&password={PASSWORD}");
        let form =
            Request::post("/login").header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form));
        let answer = self.router.clone().oneshot(form.unwrap()).await.unwrap();
        let mut cookies = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.find(|cookie| cookie.contains("perezvon_session=")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let request = Request::get(address).header(COOKIE, cookie).body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
        }
    }

    /// Somebody calls now and hangs up in the greeting. His callback.
    async fn caller(&self, sid: &str, line: &str) -> i64 {
        let (house, now) = (&self.house, self.house.clock.now());
        let parties = Fact::Parties {
            direction: Direction::Inbound,
            dialled: if line == "staff" { "+79288036355" } else { "+79288328088" }.to_owned(),
            forwarded_from: None,
            caller: Caller::from_provider(&format!("+7928{:0>7}", sid.trim_start_matches("CA"))),
        };
        let delivery = Delivery {
            provider: "twilio".into(),
            endpoint: "status".to_owned(),
            method: "POST".to_owned(),
            target: String::new(),
            content_type: String::new(),
            body: Vec::new().into(),
            received_at: now,
            key: Some(CallKey { provider: "twilio".into(), provider_call_id: sid.to_owned() }),
            events: [parties, Fact::Ended].into_iter().map(|fact| CallEvent { at: now, fact }).collect(),
            can_be_asked: false,
            applied_at: None,
        };
        house.store.deliver(delivery).await.unwrap().call.unwrap().callback_id.unwrap()
    }

    async fn act(&self, id: i64, by: &Actor, action: Action) {
        let (store, lines) = (&self.house.store, self.house.lines());
        store.act(id, None, action, Notes::default(), by, &lines, self.house.clock.now()).await.unwrap();
    }

    /// Three callers on Friday evening: one tried and one closed on Monday, one nobody has called by Tuesday.
    async fn busy() -> Self {
        let school = Self::open().await;
        let mut ids = Vec::new();
        for (sid, line) in [("CA1", "parents"), ("CA2", "parents"), ("CA3", "staff")] {
            ids.push(school.caller(sid, line).await);
            school.house.clock.advance(SignedDuration::from_mins(10));
        }
        let (madina, aishat) = (Actor::officer(91, "Мадина <b>И.</b>"), Actor::officer(92, "Айшат М."));
        school.house.clock.set(at("2026-11-23T09:12:00+03:00"));
        let vain = Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None };
        school.act(ids[0], &madina, vain).await;
        school.house.clock.set(at("2026-11-23T11:00:00+03:00"));
        school.act(ids[1], &aishat, Action::Done { note: String::new() }).await;
        school.house.clock.set(at("2026-11-24T10:00:00+03:00"));
        school
    }
}

#[tokio::test]
async fn four_questions_are_answered_in_words_first() {
    let school = School::busy().await;
    let text = school.get("/reports", "head").await.text();
    for sentence in [
        "Отчёт: ноябрь 2026",
        "В ноябре оставили 3 сообщения. В первое рабочее время перезвонили по 2 (67 %). Не успели по 1.",
        "Всего 3 звонка. Больше всего: пятница, с 19:00 до 20:00, 3 звонка.",
        "у половины не больше 12 мин, у 9 из 10 не больше 2 ч, дольше всего 2 ч.",
        "<th scope=\"row\">16–22.11</th><td>3</td><td>12 мин</td><td>2 ч</td><td>2 ч</td>",
        "<th scope=\"row\">Сделано</th><td class=\"right\">1</td><td class=\"right\">33 %</td>",
        "<th scope=\"row\">Открыто</th><td class=\"right\">2</td>",
        "цель 9 ч",
        "первая попытка или закрытие не позже конца рабочего времени",
    ] {
        assert!(text.contains(sentence), "{sentence} in {text}");
    }
    assert!(!text.contains("style="), "no inline style");
}

#[tokio::test]
async fn only_an_administrator_sees_who_called_back() {
    let school = School::busy().await;
    for login in ["head", "senior"] {
        let text = school.get("/reports?officer=officer:92", login).await.text();
        assert!(!text.contains("Айшат") && !text.contains("Мадина"), "{login}: {text}");
        assert!(text.contains("оставили 3 сообщения"), "the filter does not count");
    }
    let text = school.get("/reports", "admin").await.text();
    assert!(text.contains("Айшат М.") && text.contains("Мадина &#60;b&#62;И."), "{text}");
    let own = school.get("/reports?officer=officer:92", "admin").await.text();
    assert!(
        own.contains("Айшат М.: первая попытка по 1. В первое рабочее время перезвонили по всем (100 %)."),
        "{own}"
    );
}

#[tokio::test]
async fn a_line_and_a_month_are_chosen_by_the_address_and_nonsense_is_this_month() {
    let school = School::busy().await;
    let staff = school.get("/reports?month=2026-11&line=staff", "head").await.text();
    assert!(staff.contains("ноябрь 2026, линия «Сотрудники»"), "{staff}");
    assert!(
        staff.contains("оставили 1 сообщение. В первое рабочее время не перезвонили ни по одному (0 %)."),
        "{staff}"
    );
    let empty = school.get("/reports?month=2025-05", "head").await.text();
    assert!(empty.contains("В мае 2025 года сообщений не оставляли."), "{empty}");
    assert!(empty.contains("Звонков не было.") && empty.contains("Попыток ещё не было."), "{empty}");
    for month in ["2026-13", "%D0%BD", "99999-01", "2026-11-11", ""] {
        let text = school.get(&format!("/reports?month={month}"), "head").await.text();
        assert!(text.contains("Отчёт: ноябрь 2026"), "{month}");
        assert!(!text.contains("rel=\"next\""), "the next month has not begun");
    }
}

#[tokio::test]
async fn the_sheet_tells_totals_by_line_and_waits_for_a_signature() {
    let school = School::busy().await;
    let text = school.get("/reports/sheet?month=2026-11", "admin").await.text();
    for part in [
        "Справка о перезвонах за ноябрь 2026 года",
        "<th scope=\"col\">Сотрудники</th><th scope=\"col\">Родители</th><th scope=\"col\">Всего</th>",
        "<th scope=\"row\">Сообщений</th><td>1</td><td>2</td><td>3</td>",
        "<th scope=\"row\">Перезвонили в первое рабочее время</th><td>0</td><td>2</td><td>2</td>",
        "<th scope=\"row\">Доля</th><td>0 %</td><td>100 %</td><td>67 %</td>",
        "<th scope=\"row\">Позже или никогда</th><td>1</td><td>0</td><td>1</td>",
        "<th scope=\"row\">Половине перезвонили за</th><td>—</td><td>12 мин</td><td>12 мин</td>",
        "<th scope=\"row\">Самое долгое ожидание</th><td>10 ч</td><td>2 ч</td><td>10 ч</td>",
        "Самое долгое ожидание: 10 ч рабочего времени (линия «Сотрудники», звонок 20.11.2026, 19:50).",
        "Директор",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("Айшат") && !text.contains("Мадина"), "the paper tells totals");
}

#[tokio::test]
async fn the_file_has_a_row_for_each_callback_and_no_number_of_a_caller() {
    let school = School::busy().await;
    for (login, columns) in [("head", 7), ("admin", 8)] {
        let answer = school.get("/reports/xlsx?month=2026-11", login).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers[CONTENT_TYPE].to_str().unwrap().contains("spreadsheetml"));
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(answer.body)).unwrap();
        let sheet = book.worksheet_range_at(0).unwrap().unwrap();
        assert_eq!((sheet.height(), sheet.width()), (4, columns));
        assert!(matches!(sheet[(1, 1)], Data::DateTime(_)), "{:?}", sheet[(1, 1)]);
        let promises: Vec<String> = (1..4).map(|row| sheet[(row, 5)].to_string()).collect();
        assert_eq!(promises, ["да", "да", "нет"]);
        let told: String = sheet.cells().map(|(_, _, cell)| cell.to_string()).collect();
        assert!(!told.contains("+7928"), "{told}");
        assert_eq!(told.contains("Айшат М."), login == "admin");
    }
}

#[tokio::test]
async fn reports_are_for_those_who_are_signed_in() {
    let school = School::open().await;
    for address in ["/reports", "/reports/sheet", "/reports/xlsx"] {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let answer = school.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{address}");
    }
}
