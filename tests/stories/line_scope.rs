//! Whoever is limited to lines sees, counts, finds, takes along and works on what belongs to them, and nothing else.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use perezvon::core::callback::{Action, AttemptOutcome};
use perezvon::core::line::LineId;
use perezvon::core::line_scope::LineScope;
use perezvon::core::officer::{Actor, Role};
use perezvon::core::phone::PhoneNumber;
use perezvon::store::{ActError, Contact, OfficerChange, StoreError};
use perezvon::time::SignedDuration;
use perezvon::web::password;

use crate::entrances;
use crate::harness::{App, Browser, Form, STAFF, monday, stories};

const PASSWORD: &str = "кот ест сыр по утрам";
const OWN: &str = "+79280000001";
const FOREIGN: &str = "+79639999999";

fn of(lines: &[&str]) -> LineScope {
    LineScope::of(lines.iter().map(|id| LineId::new(id)))
}

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

async fn hires(app: &App, login: &str, role: Role, lines: LineScope) -> i64 {
    let hash = password::hash(PASSWORD);
    let store = app.store();
    assert!(store.add_limited_officer(login, &format!("{login} И."), role, lines, &hash, app.now()).await.unwrap());
    app.number(&format!("SELECT id FROM officer WHERE login = '{login}'")).await
}

async fn limited(app: &App) -> Browser<'_> {
    hires(app, "aishat", Role::Officer, of(&["parents"])).await;
    Browser::signed_in(app, "aishat", PASSWORD).await
}

/// A message on the staff's line.
async fn message_to_staff(app: &App, sid: &str, caller: &str) {
    let form = Form::call(sid).from(caller).to(STAFF);
    app.post("voice", &form).await;
    let ended = form.clone().status("completed").recording(&format!("RE{sid}"), "7", app.exchange.api_base());
    app.post("message", &ended.clone().with("Digits", "hangup")).await;
    app.post("recording", &ended.with("RecordingStatus", "completed")).await;
    app.post("status", &form.status("completed").with("CallDuration", "20")).await;
}

/// What lies on the line of others.
struct Foreign {
    call: i64,
    callback: i64,
    voicemail: i64,
}

/// A message on each line; the caller of the staff's line has a name.
async fn one_on_each_line(app: &App) -> Foreign {
    app.message_from("CA1", OWN).await;
    message_to_staff(app, "CA2", FOREIGN).await;
    app.leave_the_jobs().await;
    let contact = Contact { name: "Чужая Тайна".to_owned(), note: String::new() };
    let number = PhoneNumber::parse(FOREIGN).unwrap();
    app.store().set_contact(&number, contact, &madina(), "", app.now()).await.unwrap();
    let view = app.view("CA2").await;
    Foreign { call: view.call.id, callback: view.call.callback_id.unwrap(), voicemail: view.voicemails[0].id }
}

impl Foreign {
    /// An address of this template that names what is theirs.
    fn address(&self, template: &str) -> String {
        let id = if template.contains("/voicemails/") {
            self.voicemail
        } else if template.contains("/callbacks/") {
            self.callback
        } else {
            self.call
        };
        let names = [("{id}", id), ("{voicemail}", self.voicemail)];
        let address =
            names.into_iter().fold(template.to_owned(), |path, (name, id)| path.replace(name, &id.to_string()));
        address.replace("{verb}", "claim")
    }
}

/// Whether a template names one call, callback, caller or message.
fn names_one(template: &str) -> bool {
    let roots = [
        "/callbacks/{id}",
        "/calls/{id}",
        "/callers/{id}",
        "/api/v1/callbacks/{id}",
        "/api/v1/calls/{id}",
        "/api/v1/voicemails/{id}",
    ];
    roots.iter().any(|root| template.starts_with(root))
}

/// Pages and documents whose body ends.
fn readable() -> impl Iterator<Item = &'static str> {
    entrances::templates("GET").filter(|template| !template.contains("/events") && !template.contains("/webhooks"))
}

fn tells_of_them(body: &str) -> bool {
    let body = body.replace('\u{a0}', " ");
    ["963 999-99-99", "9639999999", "Чужая Тайна"].iter().any(|mark| body.contains(mark))
}

async fn asks(app: &App, secret: &str, method: &str, address: &str, body: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(address).header(AUTHORIZATION, format!("Bearer {secret}"));
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_owned())).unwrap();
    let (parts, body) = app.whole(request).await;
    (parts.status.as_u16(), body)
}

async fn limited_token(app: &App) -> String {
    let (secret, digest) = password::generate_token();
    app.store().add_limited_token("crm", Role::Officer, of(&["parents"]), digest, None, app.now()).await.unwrap();
    secret
}

stories! {
    /// Threat: an officer of one line reads the callers of another.
    async fn limited_officer_reads_nothing_of_another_line(app) {
        let foreign = one_on_each_line(app).await;
        let mut aishat = limited(app).await;
        let mut madina = { hires(app, "madina", Role::Officer, LineScope::all()).await; Browser::signed_in(app, "madina", PASSWORD).await };
        let mut told = 0;
        for template in readable().filter(|template| !template.starts_with("/api")) {
            let address = foreign.address(template);
            told += usize::from(tells_of_them(&madina.get(&address).await.body));
            let page = aishat.get(&address).await;
            assert!(!tells_of_them(&page.body), "{template}: {page:?}");
            if names_one(template) {
                assert_eq!(page.status, 403, "{template}: {page:?}");
            }
        }
        assert!(told > 5, "whoever sees all is told of them: {told}");
        for view in ["", "?show=all", "?show=later", "?show=done"] {
            let list = aishat.get(&format!("/callbacks{view}")).await;
            assert!(list.status == 200 && !tells_of_them(&list.body), "{view}");
        }
        for address in ["/callbacks", "/calls", "/reports", "/reports/sheet", "/callbacks/print", "/calls.csv", "/callbacks.csv"] {
            let page = aishat.get(&format!("{address}?line=staff")).await;
            assert_eq!(page.status, 403, "{address}: {page:?}");
            assert_eq!(aishat.get(&format!("{address}?line=parents")).await.status, 200, "{address}");
        }
        let moved = aishat.get(&format!("/callbacks?show=all&at={}&keep=1&did={0}", foreign.callback)).await;
        assert!(!tells_of_them(&moved.body), "{moved:?}");
    }

    /// Threat: the same through the API.
    async fn limited_token_reads_nothing_of_another_line(app) {
        let foreign = one_on_each_line(app).await;
        let secret = limited_token(app).await;
        for template in readable().filter(|template| template.starts_with("/api")) {
            let (status, body) = asks(app, &secret, "GET", &foreign.address(template), "").await;
            assert!(!tells_of_them(&body), "{template}: {body}");
            if names_one(template) {
                assert_eq!(status, 403, "{template}: {body}");
            }
        }
        for list in ["/api/v1/callbacks?period=all", "/api/v1/callbacks?state=all", "/api/v1/calls"] {
            let (status, body) = asks(app, &secret, "GET", list, "").await;
            assert!(status == 200 && !tells_of_them(&body) && body.contains(OWN), "{list}: {body}");
        }
        for list in ["/api/v1/callbacks?line=staff", "/api/v1/calls?line=staff", "/api/v1/callbacks?line=unknown"] {
            assert_eq!(asks(app, &secret, "GET", list, "").await.0, 403, "{list}");
        }
        let (_, lines) = asks(app, &secret, "GET", "/api/v1/lines", "").await;
        assert!(lines.contains("parents") && !lines.contains("staff"), "{lines}");
        let (_, found) = asks(app, &secret, "GET", "/api/v1/calls?number=9639999", "").await;
        assert!(found.contains("\"items\":[]"), "{found}");
    }

    /// Threat: what is not shown is done all the same.
    async fn nothing_is_done_on_another_line(app) {
        let foreign = one_on_each_line(app).await;
        let mut aishat = limited(app).await;
        let secret = limited_token(app).await;
        let before = app.store().callback(foreign.callback).await.unwrap().unwrap().callback;
        for template in entrances::templates("POST").filter(|template| names_one(template)) {
            let address = foreign.address(template);
            let status = if template.starts_with("/api") {
                let body = match template.rsplit('/').next().unwrap() {
                    "attempts" => r#"{"outcome":"no_answer"}"#,
                    "later" => r#"{"until":"2030-01-01T10:00:00+03:00"}"#,
                    "clarify" => r#"{"note":"что?"}"#,
                    "decline" => r#"{"reason":"not_a_request"}"#,
                    _ => "{}",
                };
                asks(app, &secret, "POST", &address, body).await.0
            } else {
                aishat.post(&address, &[("name", "Я"), ("note", "тут была я"), ("summary", "моё"), ("version", "1")]).await.status
            };
            assert_eq!(status, 403, "{template}");
        }
        for verb in ["dial", "done", "no-answer", "note", "undo", "same", "retry", "hand-over"] {
            let page = aishat.post(&format!("/callbacks/{}/{verb}", foreign.callback), &[("note", "тут была я")]).await;
            assert_eq!(page.status, 403, "{verb}");
        }
        let typed = [("line", "staff"), ("channel", "in_person"), ("number", "8 928 000-00-09"), ("summary", "вопрос")];
        assert_eq!(aishat.post("/callbacks/new", &typed).await.status, 403);
        let form = aishat.get("/callbacks/new").await.body;
        assert!(form.contains("value=\"parents\"") && !form.contains("value=\"staff\""), "{form}");
        assert!(app.store().callback(foreign.callback).await.unwrap().unwrap().callback == before);
        // The next one is one's own.
        let (status, next) = asks(app, &secret, "POST", "/api/v1/callbacks/next", "{}").await;
        assert!(status == 200 && next.contains(OWN), "{next}");
        let (status, next) = asks(app, &secret, "POST", "/api/v1/callbacks/next", r#"{"line":"staff"}"#).await;
        assert_eq!(status, 403, "{next}");
    }

    async fn everything_is_counted_by_own_lines(app) {
        one_on_each_line(app).await;
        message_to_staff(app, "CA3", "+79639999998").await;
        app.leave_the_jobs().await;
        let mut aishat = limited(app).await;
        app.clock.set(monday("09:30"));
        let mut all = app.browser("Мадина", Role::Officer).await;
        aishat.sign_in("aishat", PASSWORD).await;
        for (browser, waiting, found) in [(&mut aishat, 1, 1), (&mut all, 3, 3)] {
            let list = browser.get("/callbacks").await.body;
            assert!(list.contains(&format!("<span class=\"count\">{waiting}</span>")), "{list}");
            assert!(browser.get("/calls").await.body.contains(&format!("Найдено {found}")));
            // The head of every page counts the same.
            assert!(browser.get("/me").await.body.contains(&format!("<span class=\"count\">{waiting}</span>")));
        }
        let report = aishat.get("/reports/sheet").await.body;
        assert!(report.contains("Родители") && !report.contains("Сотрудники"), "{report}");
        for search in ["963 999", "Тайна"] {
            let search: String = form_urlencoded::byte_serialize(search.as_bytes()).collect();
            assert!(aishat.get(&format!("/calls?search={search}")).await.body.contains("Найдено 0"), "{search}");
        }
        assert_eq!(aishat.get("/calls.xlsx").await.status, 200);
        let row = app.text("SELECT detail FROM audit WHERE object = 'calls.xlsx'").await.replace('\u{a0}', " ");
        assert!(row.starts_with("выгрузка, 1 строка"), "{row}");
        assert_eq!(aishat.post("/callers", &[("number", FOREIGN)]).await.status, 404);
    }

    /// R19. Threat: an officer listens to the messages of another line, and nobody knows of it.
    async fn message_of_another_line_is_refused_and_written_down(app) {
        let foreign = one_on_each_line(app).await;
        let mut aishat = limited(app).await;
        let sound = format!("/api/v1/voicemails/{}/audio", foreign.voicemail);
        assert_eq!(aishat.get(&sound).await.status, 403);
        assert_eq!(asks(app, &limited_token(app).await, "GET", &sound, "").await.0, 403);
        let rows = "FROM audit WHERE action = 'listen_refused'";
        assert_eq!(app.number(&format!("SELECT COUNT(*) {rows}")).await, 2);
        let object = app.text(&format!("SELECT object {rows} ORDER BY id LIMIT 1")).await;
        assert_eq!(object, format!("voicemail {}", foreign.voicemail));
        let own = app.view("CA1").await.voicemails[0].id;
        assert_ne!(aishat.get(&format!("/api/v1/voicemails/{own}/audio")).await.status, 403);
    }

    /// R26 holds across lines that are not seen: that the number waits there, who has it, how it ended; no details.
    async fn number_that_waits_on_another_line_is_guarded_without_details(app) {
        app.message_from("CA1", OWN).await;
        message_to_staff(app, "CA2", OWN).await;
        app.leave_the_jobs().await;
        app.clock.set(monday("09:30"));
        let mut aishat = limited(app).await;
        let there = app.view("CA2").await.call.callback_id.unwrap();
        let here = app.view("CA1").await.call.callback_id.unwrap();
        let list = aishat.get("/callbacks").await.body;
        assert!(list.to_lowercase().contains("ждёт также на линии «сотрудники»"), "{list}");
        assert!(!list.contains("Показать то обращение") && !list.contains(&format!("/callbacks/{there}")), "{list}");
        app.act(there, &madina(), Action::Dial).await.unwrap();
        let page = aishat.post(&format!("/callbacks/{here}/dial"), &[]).await;
        assert_eq!(page.status, 409, "{page:?}");
        assert!(page.body.contains("Мадина И."), "{page:?}");
        let note = "развод родителей, не говорить классу".to_owned();
        app.act(there, &madina(), Action::Done { note }).await.unwrap();
        let list = aishat.get("/callbacks").await.body;
        assert!(list.contains("Уже ответили на линии «Сотрудники»") && !list.contains("развод"), "{list}");
        let page = aishat.post(&format!("/callbacks/{here}/same"), &[]).await;
        assert_eq!(page.status, 303, "{page:?}");
        let card = aishat.get(&format!("/callers/{here}")).await.body;
        assert!(card.contains("сделано") && !card.contains("развод") && !card.contains("Сотрудники"), "{card}");
    }

    async fn number_that_waits_on_another_line_alone_is_not_dialled_past_it(app) {
        app.message_from("CA1", OWN).await;
        let here = app.view("CA1").await.call.callback_id.unwrap();
        app.act(here, &madina(), Action::Done { note: String::new() }).await.unwrap();
        message_to_staff(app, "CA2", OWN).await;
        app.leave_the_jobs().await;
        let mut aishat = limited(app).await;
        let card = aishat.get(&format!("/callers/{here}")).await.body;
        assert!(card.contains("Этот номер ждёт звонка: линия «Сотрудники»"), "{card}");
        assert!(!card.contains("href=\"tel:"), "{card}");
    }

    async fn administrator_sets_lines_and_it_holds_at_once(app) {
        let foreign = one_on_each_line(app).await;
        let id = hires(app, "aishat", Role::Officer, LineScope::all()).await;
        let mut aishat = Browser::signed_in(app, "aishat", PASSWORD).await;
        let mut admin = app.browser("Завуч", Role::Admin).await;
        let address = format!("/people/{id}/lines");
        assert_eq!(aishat.get(&format!("/calls/{}", foreign.call)).await.status, 200);
        assert_eq!(admin.post(&address, &[("line", "parents")]).await.location, format!("/people/{id}?done=lines"));
        assert_eq!(aishat.get(&format!("/calls/{}", foreign.call)).await.status, 403);
        let row = app.text("SELECT detail FROM audit WHERE action = 'officer_lines'").await;
        assert_eq!(row, "aishat: все → Родители");
        let page = admin.get(&format!("/people/{id}")).await.body;
        assert!(page.contains("value=\"parents\" checked") && page.contains("value=\"staff\">"), "{page}");
        assert_eq!(admin.post(&address, &[("line", "cellar")]).await.status, 404, "no such line");
        // Whoever answers for the whole list sees all of it, whatever stands there.
        assert_eq!(admin.post(&format!("/people/{id}/role"), &[("role", "senior")]).await.status, 303);
        assert_eq!(aishat.get(&format!("/calls/{}", foreign.call)).await.status, 200);
        assert!(admin.get(&format!("/people/{id}")).await.body.contains("видят все линии"));
        assert_eq!(admin.post(&format!("/people/{id}/role"), &[("role", "observer")]).await.status, 303);
        assert_eq!(aishat.get(&format!("/calls/{}", foreign.call)).await.status, 403);
        assert_eq!(admin.post(&address, &[]).await.status, 303, "none ticked: all");
        assert_eq!(aishat.get(&format!("/calls/{}", foreign.call)).await.status, 200);
        // Not without the password.
        app.clock.advance(SignedDuration::from_mins(6));
        let asked = admin.post(&address, &[("line", "staff")]).await.body;
        assert!(asked.contains("Подтвердите паролем") && asked.contains("Сотрудники"), "{asked}");
    }

    /// Threat: a line is taken out of the configuration, and its officers see everything.
    async fn whoever_had_only_a_line_that_is_gone_sees_nothing(app) {
        one_on_each_line(app).await;
        let mut aishat = limited(app).await;
        app.sql("UPDATE officer SET lines = ',cellar,'").await;
        let list = aishat.get("/callbacks?show=all").await.body;
        assert!(list.contains("<span class=\"count\">0</span>") && !list.contains("928 000-00-01"), "{list}");
        assert!(aishat.get("/calls").await.body.contains("Найдено 0"));
        assert_eq!(aishat.get("/reports").await.status, 200);
    }

    async fn what_was_done_before_on_another_line_is_taken_back_by_others(app) {
        let foreign = one_on_each_line(app).await;
        app.clock.set(monday("09:30"));
        let id = hires(app, "aishat", Role::Officer, LineScope::all()).await;
        let me = Actor::officer(id, "aishat И.");
        let tried = Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None };
        app.act(foreign.callback, &me, tried).await.unwrap();
        let change = OfficerChange::Lines(of(&["parents"]));
        app.store().change_officer(id, change, &Actor::command_line(), "", app.now()).await.unwrap();
        let store = app.store().limited_to(&of(&["parents"]));
        let undone = store.undo_last(&me, monday("00:00"), app.now()).await;
        assert!(matches!(undone, Err(ActError::Store(StoreError::OtherLine))), "{undone:?}");
        assert!(app.store().undo_last(&me, monday("00:00"), app.now()).await.is_ok());
    }

    /// Threat: whoever types a number has its name and note from another line, and writes over them.
    async fn number_that_is_typed_opens_no_name_of_another_line(app) {
        one_on_each_line(app).await;
        let mut aishat = limited(app).await;
        let typed = [("line", "parents"), ("channel", "in_person"), ("number", FOREIGN), ("summary", "вопрос")];
        assert_eq!(aishat.post("/callbacks/new", &typed).await.status, 303);
        let sql = format!("SELECT MAX(id) FROM callback WHERE callback_number = '{FOREIGN}' AND line = 'parents'");
        let id = app.number(&sql).await;
        for address in [format!("/callers/{id}"), "/callbacks".to_owned()] {
            let page = aishat.get(&address).await;
            assert!(page.status == 200 && !page.body.contains("Тайна"), "{address}: {}", page.body);
        }
        let form = [("name", "переписано"), ("note", "")];
        let refused = aishat.post(&format!("/callers/{id}"), &form).await;
        assert!(refused.status == 422 && !refused.body.contains("Тайна"), "{refused:?}");
        let number = PhoneNumber::parse(FOREIGN).unwrap();
        assert_eq!(app.store().contacts(std::slice::from_ref(&number)).await.unwrap()[&number].name, "Чужая Тайна");
        // A number that has called nobody is whoever's who writes it down.
        let typed = [("line", "parents"), ("channel", "in_person"), ("number", "+79280000077"), ("summary", "вопрос")];
        assert_eq!(aishat.post("/callbacks/new", &typed).await.status, 303);
        let id = app.number("SELECT MAX(id) FROM callback WHERE callback_number = '+79280000077'").await;
        assert_eq!(aishat.post(&format!("/callers/{id}"), &[("name", "Петрова А."), ("note", "")]).await.status, 303);
        assert!(aishat.get(&format!("/callers/{id}")).await.body.contains("Петрова А."));
    }

    async fn nobody_is_handed_what_he_may_not_see(app) {
        one_on_each_line(app).await;
        let own = app.view("CA1").await.call.callback_id.unwrap();
        let staff = hires(app, "ruslan", Role::Officer, of(&["staff"])).await;
        let both = hires(app, "zarema", Role::Officer, of(&["staff", "parents"])).await;
        let mut aishat = limited(app).await;
        let list = aishat.get(&format!("/callbacks?at={own}")).await.body;
        assert!(list.contains("zarema И.") && !list.contains("ruslan И."), "{list}");
        let hand = |to: i64| to.to_string();
        let refused = aishat.post(&format!("/callbacks/{own}/hand-over"), &[("to", &hand(staff))]).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_eq!(aishat.post(&format!("/callbacks/{own}/hand-over"), &[("to", &hand(both))]).await.status, 303);
    }
}

/// Threat: a new page asks the house as it is, and shows every line to everybody.
#[test]
fn handlers_behind_the_sign_in_take_the_house_as_it_is_seen() {
    const OTHERS: [&str; 6] =
        ["pages/mod.rs", "pages/sign_in", "pages/me", "pages/public", "pages/step_up.rs", "pages/live.rs"];
    fn read(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap().to_owned();
            if path.is_dir() {
                read(&path, found);
            } else if !OTHERS.iter().any(|other| name.contains(other))
                && std::fs::read_to_string(&path).is_ok_and(|text| text.contains("State<House>"))
            {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    read(&web.join("pages"), &mut found);
    read(&web.join("api"), &mut found);
    assert!(found.is_empty(), "these take State<House> and not Seen: {found:?}");
}
