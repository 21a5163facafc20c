//! What is published is what the telephone does.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, SET_COOKIE, VARY, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use icalendar::Component;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::super::words::Wall;
use crate::core::calendar::{Calendar, Hours, Period};
use crate::core::line::{Line, LineId, Lines};
use crate::core::phone::PhoneNumber;
use crate::core::wording::day_and_month;
use crate::store::Store;
use crate::time::{Clock, Date, SignedDuration, Timestamp, ToSpan};
use crate::web::{self, House};

struct Stand {
    house: House,
    router: Router,
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
}

/// Six days a week for the staff, a short day before each holiday, and one day closed by the school.
fn staff_hours() -> Value {
    let day = json!(["10:00-13:00", "14:00-16:30"]);
    json!({
        "week": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": ["10:00-12:00"]},
        "short_days": {"policy": "close_early", "minutes": 60},
        "overrides": [{"from": "2026-12-16", "to": "2026-12-17", "mode": "closed", "reason": "педсовет"}],
    })
}

impl Stand {
    async fn open(now: &str, staff: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let line = |id: &str, number: &str, hours: &Value, audience: &str| Line {
            audience: audience.to_owned(),
            email: (id == "parents").then(|| "help@school.example.org".to_owned()),
            ..Line::new(
                LineId::new(id),
                PhoneNumber::parse(number).ok(),
                id,
                Calendar::new(Hours::from_json(hours).unwrap()),
            )
        };
        let lines = vec![
            line("staff", "89288036355", &staff, "сотрудникам"),
            line("parents", "89288328088", &json!({}), "родителям"),
        ];
        let file = folder.path().join("perezvon.db");
        let lines = Lines::new(lines, Calendar::new(Hours::default()));
        let store = Store::open(&format!("sqlite:{}", file.display()), lines).await.unwrap();
        let house = House::on_trial(folder.path(), Clock::standing_at(now.parse().unwrap()), store);
        Self { router: web::router(house.clone()), house, _folder: folder }
    }

    async fn get(&self, address: &str) -> Answer {
        let request = Request::get(address).body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text: text.replace('\u{a0}', " ") }
    }

    async fn ask(&self, method: Method, address: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// The part of a page that tells about this line.
    fn section<'t>(text: &'t str, heading: &str) -> &'t str {
        let start = text.find(&format!(">{heading}</h2>")).unwrap_or_else(|| panic!("no {heading} in {text}"));
        text[start..].split("</section>").next().unwrap()
    }
}

/// `(open, the instant it turns)`, straight from the calendar.
fn turns(calendar: &Calendar, now: Timestamp) -> (bool, Timestamp) {
    match calendar.period_at(now) {
        Some(period) => (true, period.end),
        None => (false, calendar.next_period(now).unwrap().start),
    }
}

#[tokio::test]
async fn page_poster_json_and_calendar_file_say_what_the_telephone_does() {
    let stand = Stand::open("2026-10-30T08:59:59+03:00", staff_hours()).await;
    for _ in 0..40 {
        let now = stand.house.clock.now();
        let (page, poster) = (stand.get("/").await.text, stand.get("/poster").await.text);
        let told: Value = serde_json::from_str(&stand.get("/schedule.json").await.text).unwrap();
        for (at, line) in stand.house.lines().iter().enumerate() {
            let (calendar, heading) = (&line.calendar, ["Сотрудникам", "Родителям"][at]);
            let wall = Wall::new(calendar.time_zone(), now);
            let (open, change) = turns(calendar, now);
            let section = Stand::section(&page, heading);
            let status = match open {
                true => format!("Сейчас: рабочее время, {}.", wall.until(change)),
                false => format!("Сейчас: нерабочее время. Откроемся {}.", wall.start(change)),
            };
            assert!(section.contains(&status.replace('\u{a0}', " ")), "{now} {status}: {section}");
            for text in [section, Stand::section(&poster, heading)] {
                assert!(text.contains(&line.number.as_ref().unwrap().spaced()), "{text}");
                exceptions_are_told(calendar, now, text);
            }
            json_is_right(&told["lines"][at], line, now);
        }
        stand.house.clock.advance(SignedDuration::from_mins(5 * 24 * 60 + 97));
    }
}

/// The next day off, and the next day with other hours, that an ordinary week would not have.
fn exceptions_are_told(calendar: &Calendar, now: Timestamp, text: &str) {
    let dates = (0..150).map(|days| calendar.local_date(now).checked_add(days.days()).unwrap());
    let worked = |date: &Date| calendar.hours().on(date.weekday()).iter().map(|it| it.to_string()).collect::<Vec<_>>();
    let real = |date: &Date| calendar.day(*date).intervals().map(|it| it.to_string()).collect::<Vec<_>>();
    let unusual: Vec<Date> = dates.filter(|date| worked(date) != real(date)).collect();
    let after = |words: &str| text.split_once(words).map_or("", |(_, rest)| rest.split("</p>").next().unwrap());
    if let Some(off) = unusual.iter().find(|date| real(date).is_empty()) {
        let told = after("Ближайшие нерабочие дни: ");
        assert!(told.starts_with(&off.day().to_string()), "{off} {text}");
    }
    if let Some(short) = unusual.iter().find(|date| !real(date).is_empty()) {
        let last = calendar.day(*short).intervals().next_back().unwrap().end_minute();
        let told = after("Работаем иначе: ");
        assert!(told.split(", ").nth(1) == Some(&day_and_month(*short)), "{short} {text}");
        assert!(told.contains(&format!("до {}:{:02}", last / 60, last % 60)), "{short} {text}");
    }
}

fn json_is_right(told: &Value, line: &Line, now: Timestamp) {
    let (calendar, instant) = (&line.calendar, |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap());
    let (open, change) = turns(calendar, now);
    assert_eq!((told["open_now"].as_bool().unwrap(), instant(&told["next_change_at"])), (open, change));
    assert_eq!(instant(&told["next_opening_at"]), calendar.next_period(now).unwrap().start);
    assert_eq!(told["number"], line.number.as_ref().unwrap().e164());
    assert_eq!(told["email"].as_str(), line.email.as_deref());
    let days = told["days"].as_array().unwrap();
    assert_eq!(days.len(), 60);
    for day in days {
        let date: Date = day["date"].as_str().unwrap().parse().unwrap();
        assert_eq!(day["rule"], calendar.day(date).rule.as_str());
        for minute in (0..1440).step_by(30) {
            let wall = format!("{:02}:{:02}", minute / 60, minute % 60);
            let at = date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0).to_zoned(calendar.time_zone().clone());
            let is_told = day["hours"].as_array().unwrap().iter().any(|hours| {
                let (from, until) = hours.as_str().unwrap().split_once('-').unwrap();
                from <= wall.as_str() && wall.as_str() < until
            });
            assert_eq!(is_told, calendar.is_open(at.unwrap().timestamp()), "{} {date} {wall}", line.id);
        }
    }
}

#[tokio::test]
async fn the_calendar_file_has_each_working_period_of_the_year_once_and_keeps_its_names() {
    let stand = Stand::open("2026-11-20T19:30:00+03:00", staff_hours()).await;
    let now = stand.house.clock.now();
    let read = |answer: &Answer| -> Vec<(String, Period)> {
        assert_eq!(answer.header(CONTENT_TYPE), "text/calendar; charset=utf-8");
        let calendar: icalendar::Calendar = answer.text.parse().unwrap();
        let instant = |text: &str| -> Timestamp {
            crate::time::Zoned::strptime("%Y%m%dT%H%M%S%z", text.replace('Z', "+0000")).unwrap().timestamp()
        };
        let event = |event: &icalendar::Event| {
            let at = |key: &str| instant(event.property_value(key).unwrap());
            let period = Period { start: at("DTSTART"), end: at("DTEND") };
            (event.get_uid().unwrap().to_owned(), period)
        };
        calendar.events().map(event).collect()
    };
    let all = read(&stand.get("/schedule.ics").await);
    let lines = stand.house.lines();
    for line in lines.iter() {
        let of_line: Vec<Period> = all
            .iter()
            .filter(|(uid, _)| uid.starts_with(&format!("{}-2", line.id)))
            .map(|(_, period)| *period)
            .collect();
        assert!(of_line.iter().all(|period| line.calendar.period_at(period.start) == Some(*period)));
        for quarter in 0..364 * 24 * 4 {
            let at = now.checked_add(SignedDuration::from_mins(15 * quarter)).unwrap();
            let times = of_line.iter().filter(|period| period.contains(at)).count();
            assert_eq!(times, usize::from(line.calendar.is_open(at)), "{} {at}", line.id);
        }
        let only = read(&stand.get(&format!("/schedule.ics?line={}", line.id)).await);
        assert_eq!(only.len(), of_line.len());
    }
    let mut names: Vec<&String> = all.iter().map(|(uid, _)| uid).collect();
    assert!(names.iter().all(|uid| uid.ends_with("@calls.example.org")), "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len(), "each event has a name of its own");
    stand.house.clock.advance(SignedDuration::from_hours(24));
    let later = read(&stand.get("/schedule.ics").await);
    let kept = later.iter().filter(|event| all.contains(event)).count();
    assert!(kept > all.len() - 6, "{kept} of {}", all.len());
}

#[tokio::test]
async fn lines_with_the_same_hours_say_them_once() {
    let stand = Stand::open("2026-11-20T19:30:00+03:00", json!({})).await;
    let page = stand.get("/").await.text;
    assert_eq!(page.matches("Сейчас: нерабочее время. Откроемся в понедельник, 23 ноября, в 9:00.").count(), 1);
    assert_eq!(page.matches("Ежедневно с 9:00 до 18:00, кроме выходных и праздничных дней").count(), 1);
    for text in
        ["tel:+79288036355", "8 928 832-80-88", "mailto:help@school.example.org", "support.dnevnik.ru", "/poster"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("Регламент"), "nobody said where it is");
}

#[tokio::test]
async fn the_public_page_may_stand_in_a_frame_and_nothing_else_may() {
    let stand = Stand::open("2026-11-20T19:30:00+03:00", staff_hours()).await;
    for address in ["/", "/?large=1", "/poster", "/poster?strips=1", "/schedule.json", "/schedule.ics"] {
        let answer = stand.get(address).await;
        assert_eq!((answer.status, answer.header(SET_COOKIE)), (StatusCode::OK, ""), "{address}");
        assert_eq!(answer.header(CACHE_CONTROL), "public, max-age=60", "{address}");
        let is_page = address.split('?').next() == Some("/");
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        assert_eq!(policy.contains("frame-ancestors *"), is_page, "{address} {policy}");
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header(X_FRAME_OPTIONS), if is_page { "" } else { "DENY" }, "{address}");
        for word in ["<script", "style=", "http:", "<form", "<iframe", "<img"] {
            assert!(!answer.text.contains(word), "{word} in {address}");
        }
        let outside = answer.text.matches("https:").count();
        assert_eq!(outside, usize::from(is_page), "only support is named, in {address}");
    }
    assert_eq!(stand.get("/schedule.json").await.header(axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
}

/// Threat: documents that take ten milliseconds each, asked for by everybody.
#[tokio::test]
async fn public_documents_are_made_once_until_their_data_change() {
    let stand = Stand::open("2026-11-20T12:00:00+03:00", staff_hours()).await;
    let etag = async |address: &str| stand.ask(Method::GET, address, &[]).await.header(ETAG).to_owned();
    let addresses = [
        "/",
        "/?large=1",
        "/poster",
        "/poster?strips=1",
        "/schedule.json",
        "/schedule.ics",
        "/schedule.ics?line=staff",
    ];
    for address in addresses {
        let first = etag(address).await;
        assert!(first.starts_with('"') && first.len() > 30, "{address} {first}");
        stand.house.clock.set("2026-11-20T12:59:59+03:00".parse().unwrap());
        assert_eq!(etag(address).await, first, "{address}: nothing has changed");
        let again = stand.ask(Method::GET, address, &[(IF_NONE_MATCH, &first)]).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{address}");
        assert_eq!(again.header(CACHE_CONTROL), "public, max-age=60", "{address}");
        let (whole, head) = (stand.ask(Method::GET, address, &[]).await, stand.ask(Method::HEAD, address, &[]).await);
        assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""), "{address}");
        assert_eq!(head.header(ETAG), first, "{address}");
        assert_eq!(head.header(CONTENT_LENGTH), whole.text.len().to_string(), "{address}");
        let packed = stand.ask(Method::GET, address, &[(ACCEPT_ENCODING, "gzip")]).await;
        assert_eq!((packed.header(CONTENT_ENCODING), packed.header(VARY)), ("gzip", "accept-encoding"), "{address}");
        assert_ne!(packed.header(ETAG), first, "{address}");
        // The break of the staff begins; the poster does not say what is now.
        stand.house.clock.set("2026-11-20T13:00:00+03:00".parse().unwrap());
        assert_eq!(etag(address).await == first, address.starts_with("/poster"), "{address}");
        stand.house.clock.set("2026-11-20T12:00:00+03:00".parse().unwrap());
    }
    let poster = etag("/poster").await;
    stand.house.clock.set("2026-11-21T00:00:00+03:00".parse().unwrap());
    assert_ne!(etag("/poster").await, poster, "another day");
    let description = etag("/api/openapi.json").await;
    let again = stand.ask(Method::GET, "/api/openapi.json", &[(IF_NONE_MATCH, &description)]).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn what_is_public_is_answered_without_the_database() {
    let stand = Stand::open("2026-11-20T19:30:00+03:00", staff_hours()).await;
    stand.house.store.clone().close().await;
    for address in ["/", "/poster", "/schedule.json", "/schedule.ics"] {
        assert_eq!(stand.get(address).await.status, StatusCode::OK, "{address}");
    }
}

#[tokio::test]
async fn the_poster_can_be_had_with_strips_and_carries_a_code_for_each_line() {
    let stand = Stand::open("2026-11-20T19:30:00+03:00", staff_hours()).await;
    let (whole, cut) = (stand.get("/poster").await.text, stand.get("/poster?strips=1").await.text);
    assert_eq!(whole.matches("8 928 832-80-88</p>").count(), 1);
    assert_eq!(whole.matches("class=\"qr\"").count(), 2);
    assert_eq!(cut.matches("8 928 832-80-88").count(), whole.matches("8 928 832-80-88").count() + 8);
    assert!(whole.contains("Сведения на 20 ноября 2026 года."), "{whole}");
    assert!(!whole.contains("приказу"), "no order is configured here");
}
