//! Texts that are kept: each field carries one of its own, which is looked for on every page, in every export, letter, document
//! for a provider and file of a command, with the parser of whoever reads it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, COOKIE};
use perezvon::app::cli::{OfficerCommand, TokenCommand};
use perezvon::app::demo::{CallPlan, Ending};
use perezvon::app::hours::{self, HoursArgs};
use perezvon::app::privacy::{self, FindArgs};
use perezvon::app::{backup, pbx, people, provider};
use perezvon::core::greetings::GreetingKind;
use perezvon::core::officer::Role;
use perezvon::jobs::backup::MANIFEST;
use tower::ServiceExt;

use super::surfaces::{self, LINE, OVERRIDE, Texts};
use super::{ATTACK, fields};
use crate::backups::{back_up, here};
use crate::entrances::templates;
use crate::greetings::draft;
use crate::harness::{App, Browser, Engine, Form, MailServer, PARENTS, Page, hidden_fields, monday, stories};
use crate::transcripts::Speech;

/// What begins a formula where a sheet does not take care.
const FORMULAS: [char; 4] = ['=', '+', '-', '@'];
const FIRST: &str = "+79281230701";
const SECOND: &str = "+79281230702";
const BLOCKED: &str = "+79281230703";
/// Addresses that are no document, or never end.
const NOT_READ: [&str; 5] = ["/callbacks/events", "/assets/", "/greetings/", "/logout", "/webhooks/"];
/// Pages of one address, by its further words: months and filters go on for ever.
const MAX_PAGES_OF_ADDRESS: usize = 6;

/// Where each text stands at least.
const STANDS_ON: &str = "
    calendar: config line audience; config override reason; config school name; config line email;
        form reason of a day; day of an uploaded calendar
    csv: config line title; form name of an officer; form name of a caller; form note of a caller;
        form reason of a block; form summary; form note of an outcome; form summary by hand; form email;
        form name of who is invited; form reason of a day; form reason of a closure; day of an uploaded calendar;
        command officer add; command officer add --login; command token add
    dialplan: config line title
    json: config line title; config line audience; config override reason; config school name;
        config transcription model; config line email; config school site; config school regulation_url; transcript;
        twilio From; twilio CallSid; twilio RecordingSid; twilio RecordingUrl; twilio To; twilio ForwardedFrom;
        twilio Diversion; twilio SipHeader_Diversion; twilio Caller; twilio Called; asterisk id; asterisk from;
        asterisk line; asterisk diversion; form name of an officer; form name of a caller; form note of a caller;
        form reason of a block; form summary; form reference; form note of an attempt; form note of an outcome;
        form summary by hand; form reference by hand; form email; form reason of a day; day of an uploaded calendar;
        program voicemail damage; program voicemail failure; program placed_call actor_name
    letter: config line title; config mail to; config mail alarms_to; config mail from; twilio To; twilio Called;
        asterisk line; form summary; form summary by hand; form email; program alarm told
    page: config line title; config line audience; config school name; config school order; config line email;
        config school site; config school regulation_url; transcript; twilio From; twilio CallSid;
        twilio RecordingSid; twilio RecordingUrl; twilio To; twilio ForwardedFrom; twilio Diversion;
        twilio SipHeader_Diversion; twilio Caller; twilio Called; asterisk id; asterisk from; asterisk line;
        asterisk diversion; form name of an officer; form name of a caller; form note of a caller;
        form reason of a block; form summary; form reference; form note of an attempt; form note of an outcome;
        form summary by hand; form reference by hand; form email; form name of who is invited; form reason of a day;
        form reason of a closure; day of an uploaded calendar; program prompt read_text; program prompt uploader_name;
        program alarm told; program reconciliation error; command officer add; command officer add --login;
        command token add
    printed: config override reason; transcript; form name of an officer; form name of a caller;
        form note of a caller; form reason of a block; form summary; form note of an attempt; form note of an outcome;
        form name of who is invited; program placed_call actor_name; command officer add; command officer add --login;
        command token add
    twiml: config line audience; config provider voice; config provider language
    xlsx: config line title; form name of an officer; form name of a caller; form note of a caller;
        form reason of a block; form summary; form note of an outcome; form summary by hand; form email;
        form name of who is invited; form reason of a day; form reason of a closure; day of an uploaded calendar;
        command officer add; command officer add --login; command token add";

/// Texts that the database keeps and nobody is shown: a word of ours is shown in their place.
const SHOWN_NOWHERE: [&str; 2] = ["program prompt damage", "program job last_error"];

/// Columns that hold texts of people and of other programs.
const COLUMNS_OF_TEXTS: &str = "
    alarm: subject told
    audit: actor_name detail
    blocked_number: actor_name reason
    call: caller_raw dialled forwarded_from provider_call_id recordings
    call_key: provider_call_id
    callback: actor_name note reference summary
    callback_history: actor_name before_desk note
    contact: name note
    hours_change: actor_name ended_by_name reason
    job: last_error
    mail: recipient
    officer: login name
    placed_call: actor_name
    prompt: damage read_text uploader_name
    reconciliation: error
    token: name
    voicemail: damage failure recording_id transcript transcript_model url";

/// Columns that hold words of a list, numbers, ids, digests and addresses of our own, or what another column holds too.
const COLUMNS_OF_WORDS: &str = "
    alarm: kind
    audit: action actor_id address object
    blocked_number: actor_id number
    call: calendar_version caller day_rule direction keyed_digits line outcome provider ringing time_state
    call_key: provider
    callback: actor_id asker callback_number caller channel dial_number line reason registration_number state topic
    callback_history: actor_id kind outcome
    contact: number
    contact_word: number
    delivery: content_type endpoint method provider target
    forgotten: stand_in
    hours_change: actor_id content data_set ended_by_id from_date greeting kind line to_date
    job: alarm_subject kind lane leased_by
    lease: leased_by name
    mail: about attachment_name body kind subject
    mail_plan: about kind
    meta: key value
    number_lock: tail
    number_tail: number
    officer: lines password_hash role telephone
    placed_call: actor_id ending line_number number provider telephone
    prompt: kind line name original_name original_type uploader_id
    reconciliation: next_address next_list provider
    search_progress: part
    session: content id
    token: lines role
    voicemail: content_type format name state";

/// The texts that are kept, each with a number of its own.
#[derive(Default)]
struct Marks(Vec<String>);

impl Marks {
    /// A text that acts wherever it is taken for more, for this field.
    fn text(&mut self, field: &str) -> String {
        let number = self.0.len();
        self.0.push(field.to_owned());
        format!("{}zq{number:02}q{ATTACK}{OVERRIDE}", FORMULAS[number % FORMULAS.len()])
    }

    /// The same in a field that may have lines.
    fn lines(&mut self, field: &str) -> String {
        format!("{}\r\n{LINE}\r\nBEGIN:VEVENT\r\n\t=1+1", self.text(field))
    }

    /// The same in an address, which has no quotes and no spaces.
    fn word(&mut self, field: &str) -> String {
        let number = self.0.len();
        self.0.push(field.to_owned());
        format!("=zq{number:02}q&'{{}}$`|")
    }
}

/// What was read, and on which surfaces each text stood.
#[derive(Default)]
struct Surfaces {
    seen: BTreeMap<usize, BTreeSet<&'static str>>,
    wrong: Vec<String>,
    read: BTreeMap<&'static str, usize>,
}

impl Surfaces {
    fn add(&mut self, surface: &'static str, name: &str, texts: Texts) {
        *self.read.entry(surface).or_default() += 1;
        match texts {
            Ok(texts) => {
                let marks = texts.iter().flat_map(|text| text.split("zq").skip(1));
                for number in marks.filter_map(|rest| rest.split_once('q')?.0.parse().ok()) {
                    self.seen.entry(number).or_default().insert(surface);
                }
            }
            Err(what) => self.wrong.push(format!("{surface} {name}: {what}")),
        }
    }

    fn document(&mut self, name: &str, content_type: &str, bytes: &[u8]) {
        let surface = match content_type.split(';').next().unwrap_or_default() {
            "text/html" => "page",
            "application/json" | "application/problem+json" => "json",
            "text/csv" => "csv",
            "text/calendar" => "calendar",
            "text/xml" => "twiml",
            kind if kind.ends_with("sheet") => "xlsx",
            _ => "other",
        };
        self.add(surface, name, surfaces::read(content_type, bytes));
    }

    fn page(&mut self, name: &str, page: &Page) {
        assert!(page.status < 400 && !page.location.contains("zq"), "{name}: {page:?}");
        self.document(name, &page.content_type, page.body.as_bytes());
    }
}

impl Surfaces {
    /// Each text was seen where it belongs, or nothing was tried.
    fn check_that_all_stand(&self, marks: &Marks) {
        let names: BTreeSet<&String> = marks.0.iter().collect();
        let untried: Vec<_> = fields::texts()
            .into_iter()
            .filter(|field| !names.iter().any(|name| name.starts_with(field.as_str())))
            .collect();
        assert!(untried.is_empty(), "fields whose text is not tried: {untried:?}");
        let mut missing = Vec::new();
        let listed: Vec<(&str, Vec<&str>)> = fields::lists(STANDS_ON, "; ").into_iter().collect();
        for (number, field) in marks.0.iter().enumerate() {
            let seen = self.seen.get(&number).cloned().unwrap_or_default();
            let expected: Vec<&str> = listed
                .iter()
                .filter(|(_, fields)| fields.contains(&field.as_str()))
                .map(|(surface, _)| *surface)
                .collect();
            let is_hidden = SHOWN_NOWHERE.contains(&field.as_str());
            if expected.is_empty() != is_hidden || seen.is_empty() != is_hidden {
                missing.push(format!("{field}: not in the lists, or seen nowhere: {seen:?}"));
            }
            let absent = expected.iter().filter(|surface| !seen.contains(**surface));
            missing.extend(absent.map(|surface| format!("{field} does not stand on {surface}")));
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

/// Each column that holds texts has one that acts, and a new column is known.
async fn check_columns(app: &App) {
    let columns = |list| {
        let tables = fields::lists(list, " ");
        let columns =
            tables.iter().flat_map(|(table, columns)| columns.iter().map(move |column| format!("{table}.{column}")));
        columns.collect::<BTreeSet<String>>()
    };
    let (texts, words) = (columns(COLUMNS_OF_TEXTS), columns(COLUMNS_OF_WORDS));
    let mut there = BTreeSet::new();
    let mut empty = Vec::new();
    for (table, column) in text_columns(app).await {
        let name = format!("{table}.{column}");
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE {column} LIKE '%zq__q%'");
        if texts.contains(&name) && app.number(&sql).await == 0 {
            empty.push(name.clone());
        }
        there.insert(name);
    }
    let known: BTreeSet<String> = texts.union(&words).cloned().collect();
    assert_eq!(there, known, "columns of texts that nobody knows, or that are gone");
    assert!(empty.is_empty(), "columns of texts without one: {empty:?}");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A school whose every text is one that acts.
async fn configure(app: &App, marks: &mut Marks, mail: &MailServer, speech: &Speech) {
    let mut text = |field: &str| quoted(&marks.text(field));
    let line_keys = [("title", text("config line title")), ("audience", text("config line audience"))];
    let mut line_keys: String = line_keys.map(|(key, value)| format!("{key} = {value}\n")).concat();
    let reason = text("config override reason");
    let spoken =
        format!("voice = {}\nlanguage = {}\n", text("config provider voice"), text("config provider language"));
    let [name, order, model] =
        ["config school name", "config school order", "config transcription model"].map(&mut text);
    let [to, alarms_to] = ["config mail to", "config mail alarms_to"]
        .map(|field| quoted(&format!("{} <{}@school.example>", marks.text(field), marks.word(field))));
    let from = quoted(&format!("{} <perezvon@school.example>", marks.text("config mail from")));
    line_keys += &format!("email = {}\n", quoted(&format!("{}@example.org", marks.word("config line email"))));
    let [site, regulation] = ["config school site", "config school regulation_url"]
        .map(|field| quoted(&format!("https://school.example.org/{}\"><zq>", marks.word(field))));
    let (address, url) = (mail.address, &speech.url);
    let others = [("signalwire", "12345678901234567890"), ("telnyx", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")];
    let others = others.map(|(signature, token)| {
        format!(
            "[[providers]]\nname = \"{signature}\"\nkind = \"twiml\"\nsignature = \"{signature}\"\naccount_sid = \"AC-{signature}\"\n\
             auth_tokens = [\"{token}\"]\napi_base = \"http://127.0.0.1:9/{signature}\"\n{spoken}"
        )
    });
    let tables = format!(
        "{}[[providers]]\nname = \"asterisk\"\nkind = \"asterisk\"\ntokens = [\"token-of-the-exchange\"]\n\
         [school]\nname = {name}\norder = {order}\nsite = {site}\nregulation_url = {regulation}\n\
         [mail]\nsmtp = \"smtp://{address}\"\nfrom = {from}\nto = [{to}]\nalarms_to = [{alarms_to}]\npersonal_data = true\n\
         [transcription]\nurl = \"{url}\"\nmodel = {model}\n",
        others.concat()
    );
    app.restart(|setup| {
        setup.hours =
            format!("overrides = [{{ from = 2026-12-24, to = 2026-12-24, mode = \"closed\", reason = {reason} }}]");
        setup.line_keys = line_keys;
        setup.provider_keys += &format!("\n{spoken}");
        setup.tables = tables;
    })
    .await;
}

/// Callers of three kinds, whose providers tell the strangest things. The answers are documents for a provider.
async fn callers(app: &App, marks: &mut Marks, speech: &Speech, found: &mut Surfaces) {
    let transcript = marks.text("transcript");
    speech.says(&transcript);
    app.exchange.call(CallPlan::new(FIRST, PARENTS).leaving(12_000, Ending::HangsUp)).await;
    app.run_all_jobs().await;
    let mut odd = async |endpoint: &str, form: &Form| {
        let answer = app.post(endpoint, form).await;
        assert_eq!(answer.status, 200, "{endpoint}: {answer:?}");
        found.document(endpoint, &answer.content_type, answer.body.as_bytes());
    };
    // A display name, and numbers that are none.
    let name = marks.text("twilio From");
    let form = Form::call(&marks.text("twilio CallSid")).from(&format!("{name} <sip:{SECOND}@x>"));
    let recorded = form
        .clone()
        .with("RecordingSid", &marks.text("twilio RecordingSid"))
        .with("RecordingUrl", &format!("https://{}.example/", marks.word("twilio RecordingUrl")))
        .with("RecordingDuration", "7");
    odd("voice", &form).await;
    odd("message", &recorded).await;
    odd("recording", &recorded.with("RecordingStatus", "completed")).await;
    odd("status", &form.status("completed")).await;
    let forwarded = Form::call("CA2").from(SECOND).to(&marks.text("twilio To"));
    let forwarded = ["ForwardedFrom", "Diversion", "SipHeader_Diversion"]
        .into_iter()
        .fold(forwarded, |form, field| form.with(field, &marks.text(&format!("twilio {field}"))));
    odd("voice", &forwarded).await;
    let others = Form::call("CA3").without("From").without("To");
    let others = ["Caller", "Called"]
        .into_iter()
        .fold(others, |form, field| form.with(field, &marks.text(&format!("twilio {field}"))));
    odd("voice", &others).await;
    odd("voice", &Form::call("CA4").from(BLOCKED)).await;
    for field in ["id", "from", "line", "diversion"] {
        let mut form = Form(
            [("id", "pbx-1.0"), ("line", PARENTS), ("from", SECOND)].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        );
        form = form.with(field, &marks.text(&format!("asterisk {field}")));
        if field != "id" {
            form = form.with("id", &format!("pbx-{field}"));
        }
        let request = Request::post("/webhooks/asterisk/incoming")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("authorization", "Bearer token-of-the-exchange");
        let answer = app.request(request.body(Body::from(form.encoded())).unwrap()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "voicemail"), "{field}");
    }
    app.run_jobs().await;
}

/// The callback of the first caller who has this number.
async fn callback_of(app: &App, number: &str) -> (String, String) {
    let callbacks = app.callbacks().await;
    let of =
        |view: &&perezvon::store::CallbackView| view.callback.caller.as_ref().is_some_and(|it| it.e164() == number);
    let callback = &callbacks.iter().find(of).unwrap_or_else(|| panic!("{number} does not wait")).callback;
    (callback.id.to_string(), callback.version.to_string())
}

/// Sends the form of an action on the callback of this caller.
async fn act(app: &App, admin: &mut Browser<'_>, number: &str, verb: &str, fields: &[(&str, &str)]) {
    let (id, version) = callback_of(app, number).await;
    let fields = [&[("version", version.as_str())], fields].concat();
    let done = admin.post(&format!("/callbacks/{id}/{verb}"), &fields).await;
    assert_eq!(done.status, 303, "{verb}: {done:?}");
}

/// Looks at what a change of the hours would do, and saves it.
async fn change_hours(admin: &mut Browser<'_>, found: &mut Surfaces, looked: Page) {
    found.page("/calendar/check", &looked);
    let fields = hidden_fields(&looked);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let saved = admin.post("/calendar/save", &fields).await;
    assert_eq!(saved.status, 303, "{saved:?}");
}

async fn upload(admin: &mut Browser<'_>, address: &str, file: &str) -> Page {
    let request = Request::post(address)
        .header(CONTENT_TYPE, "multipart/form-data; boundary=zz")
        .header("sec-fetch-site", "same-origin");
    let head = "--zz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
    admin.send(request, format!("{head}{file}\r\n--zz--\r\n")).await
}

/// What officers write on the forms.
async fn officers<'a>(app: &'a App, marks: &mut Marks, found: &mut Surfaces) -> Browser<'a> {
    let mut admin = app.browser(&marks.text("form name of an officer"), Role::Admin).await;
    let card = async |number: &str| {
        format!("/callers/{}", app.number(&format!("SELECT MIN(id) FROM call WHERE caller = '{number}'")).await)
    };
    let (name, note) = (marks.text("form name of a caller"), marks.lines("form note of a caller"));
    assert_eq!(admin.post(&card(FIRST).await, &[("name", &name), ("note", &note)]).await.status, 303);
    let blocked = format!("{}/block", card(BLOCKED).await);
    assert_eq!(admin.post(&blocked, &[("reason", &marks.text("form reason of a block"))]).await.status, 303);
    let summary = marks.lines("form summary");
    act(app, &mut admin, FIRST, "notes", &[("summary", &summary), ("reference", &marks.text("form reference"))]).await;
    act(app, &mut admin, FIRST, "no-answer", &[("note", &marks.lines("form note of an attempt"))]).await;
    act(app, &mut admin, FIRST, "claim", &[]).await;
    act(app, &mut admin, SECOND, "claim", &[]).await;
    act(app, &mut admin, SECOND, "done", &[("note", &marks.lines("form note of an outcome"))]).await;
    let (summary, reference) = (marks.lines("form summary by hand"), marks.text("form reference by hand"));
    let email = format!("{}@example.org", marks.word("form email"));
    let by_hand =
        [("line", "staff"), ("channel", "email"), ("email", &email), ("summary", &summary), ("reference", &reference)];
    let registered = admin.post("/callbacks/new", &by_hand).await;
    assert_eq!(registered.status, 303, "{registered:?}");
    let invited = [("name", &*marks.text("form name of who is invited")), ("login", "zarema"), ("role", "officer")];
    found.page("/people", &admin.post("/people", &invited).await);
    let reason = marks.text("form reason of a day");
    let day = [("step", "exception"), ("from", "2026-12-25"), ("mode", "closed"), ("reason", &reason)];
    let looked = admin.post("/calendar/check", &day).await;
    change_hours(&mut admin, found, looked).await;
    let reason = marks.text("form reason of a closure");
    let looked = admin
        .post("/calendar/check", &[("step", "close"), ("line", "staff"), ("until", "day"), ("reason", &reason)])
        .await;
    change_hours(&mut admin, found, looked).await;
    let closure = app.number("SELECT id FROM hours_change WHERE kind = 'closure'").await.to_string();
    let looked = admin.post("/calendar/check", &[("step", "open"), ("id", &closure)]).await;
    change_hours(&mut admin, found, looked).await;
    let summary =
        marks.text("day of an uploaded calendar").replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,");
    let days = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "DTSTART;VALUE=DATE:20261228",
        &format!("SUMMARY:{summary}"),
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ];
    let looked = upload(&mut admin, "/calendar/ics", &days.join("\r\n")).await;
    change_hours(&mut admin, found, looked).await;
    admin
}

/// Texts that programs write, of which nobody knows how much of somebody's is in them; and the names of people who are gone.
async fn programs(app: &App, marks: &mut Marks, found: &mut Surfaces) {
    draft(app, GreetingKind::Closed, 1).await;
    app.store().raise_alarm("unknown_line", "zq", "zq", app.now()).await.unwrap();
    let (callback, _) = callback_of(app, FIRST).await;
    app.sql(&format!(
        "INSERT INTO placed_call (id, callback_id, actor_id, actor_name, telephone, number, line_number, provider, asked_at, over_at)
         VALUES (1, {callback}, 'officer 7', '', '101', '{FIRST}', '{PARENTS}', 'asterisk', 1, 1)"
    ))
    .await;
    app.sql(
        "INSERT INTO reconciliation (id, provider, service_since, listed, known, restored)
         VALUES (1, 'twilio', 1, 0, 0, 0) ON CONFLICT (provider) DO NOTHING",
    )
    .await;
    for (column, table, rows) in [
        ("read_text", "prompt", "id > 0"),
        ("damage", "prompt", "id > 0"),
        ("uploader_name", "prompt", "id > 0"),
        ("damage", "voicemail", "state = 'stored'"),
        ("failure", "voicemail", "state <> 'stored'"),
        ("told", "alarm", "subject = 'zq'"),
        ("last_error", "job", "id > 0"),
        ("error", "reconciliation", "provider = 'twilio'"),
        ("actor_name", "placed_call", "id = 1"),
    ] {
        let text = marks.text(&format!("program {table} {column}")).replace('\'', "''");
        app.sql(&format!("UPDATE {table} SET {column} = '{text}' WHERE {rows}")).await;
    }
    app.sql("UPDATE reconciliation SET failing_since = 1 WHERE provider = 'twilio'").await;
    app.sql("UPDATE job SET given_up_at = 1 WHERE kind = 'fetch_recording'").await;
    let (store, now) = (app.store(), app.now());
    let name = marks.text("command officer add");
    let login = marks.text("command officer add --login");
    let token = marks.text("command token add");
    let mut out = Vec::new();
    let add = OfficerCommand::Add { name, login, role: Role::Officer, lines: Vec::new() };
    for command in [add, OfficerCommand::List] {
        people::officer(&command, &store, now, &mut out).await.unwrap();
    }
    let add = TokenCommand::Add { name: token, role: Role::Officer, expires: None, lines: Vec::new() };
    for command in [add, TokenCommand::List] {
        people::token(&command, &store, now, &mut out).await.unwrap();
    }
    found.add("printed", "officer and token", surfaces::printed(&String::from_utf8(out).unwrap()));
}

/// Every page and export that can be reached, first by the table of addresses and then from link to link.
async fn read_pages(app: &App, cookie: &str, found: &mut Surfaces) {
    let ids = async |table: &str| {
        let rows = app.rows(&format!("SELECT id FROM {table}")).await;
        rows.iter().map(|row| sqlx::Row::get::<i64, _>(row, 0)).collect::<Vec<_>>()
    };
    let (callbacks, calls, people) = (ids("callback").await, ids("call").await, ids("officer").await);
    let mut addresses = VecDeque::new();
    for template in templates("GET") {
        let ids = match template.trim_start_matches("/api/v1").split('/').nth(1).unwrap_or_default() {
            "callbacks" => &callbacks,
            "calls" | "callers" => &calls,
            "people" => &people,
            _ => &Vec::new(),
        };
        match template.contains('{') {
            true => addresses
                .extend(ids.iter().map(|id| template.replace("{id}", &id.to_string()).replace("{verb}", "claim"))),
            false => addresses.push_back(template.to_owned()),
        }
    }
    for list in ["/callbacks", "/callbacks.csv", "/callbacks.xlsx", "/callbacks/print"] {
        addresses.extend(["later", "done", "all"].map(|show| format!("{list}?show={show}")));
    }
    addresses.push_back("/api/v1/callbacks?period=all&state=all".to_owned());
    addresses.push_back("/prompts?line=parents&text=closed".to_owned());
    addresses.extend(["2026-12", "2026-11"].map(|month| format!("/calendar?month={month}")));
    let (mut known, mut times): (BTreeSet<String>, BTreeMap<String, usize>) = Default::default();
    while let Some(address) = addresses.pop_front() {
        let path = address.split('?').next().unwrap_or_default().to_owned();
        let times = times.entry(path).or_default();
        let is_document = address.starts_with('/') && !NOT_READ.iter().any(|other| address.starts_with(other));
        if !is_document
            || address.ends_with("/audio")
            || *times >= MAX_PAGES_OF_ADDRESS
            || !known.insert(address.clone())
        {
            continue;
        }
        *times += 1;
        let request = Request::get(&address).header(COOKIE, cookie).body(Body::empty()).unwrap();
        let (parts, body) = app.router().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        assert_ne!(parts.status, 500, "{address}");
        let content_type = parts.headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
        found.document(&address, content_type, &body);
        if content_type.starts_with("text/html") {
            addresses.extend(links(&String::from_utf8_lossy(&body)));
        }
    }
}

/// Where a page leads on this site, without the place on the page.
fn links(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split(['"', '#']).next());
    links.map(|link| link.replace("&#38;", "&").replace("&amp;", "&")).filter(|link| link.starts_with('/')).collect()
}

/// What the commands print and write.
async fn read_commands(app: &App, found: &mut Surfaces) {
    let config = here(app);
    for number in [FIRST, SECOND, BLOCKED] {
        for json in [true, false] {
            let (args, mut out) = (FindArgs { number: number.to_owned(), json }, Vec::new());
            assert!(privacy::find(&config, &app.worker(), &args, app.now(), &mut out).await.unwrap());
            match json {
                true => found.document("find --json", "application/json", &out),
                false => found.add("printed", "find", surfaces::printed(&String::from_utf8(out).unwrap())),
            }
        }
    }
    for name in ["twilio", "signalwire", "telnyx"] {
        let (args, mut out) =
            (provider::FallbackArgs { name: name.to_owned(), line: "parents".to_owned() }, Vec::new());
        provider::fallback(&config, &args, &mut out).unwrap();
        found.document(&format!("fallback {name}"), "text/xml", &out);
    }
    let (args, mut out) =
        (pbx::ConfigArgs { url: Some("http://127.0.0.1:8080".to_owned()), ..Default::default() }, Vec::new());
    pbx::config(&config, &args, &mut out).unwrap();
    found.add("dialplan", "pbx config", surfaces::dialplan(&String::from_utf8(out).unwrap()));
    let (args, mut out) =
        (HoursArgs { at: Some("2026-12-24T12:00:00+03:00".to_owned()), ..HoursArgs::default() }, Vec::new());
    hours::run(&args, &config.default_calendar, &mut std::io::empty(), &mut out).unwrap();
    found.add("printed", "hours", surfaces::printed(&String::from_utf8(out).unwrap()));
    let backup = back_up(app).await;
    found.document("manifest", "application/json", &std::fs::read(backup.join(MANIFEST)).unwrap());
    let mut out = Vec::new();
    assert!(backup::verify(&backup, None, &mut out).await.unwrap());
    found.add("printed", "verify --backup", surfaces::printed(&String::from_utf8(out).unwrap()));
}

/// Every column of the database that holds text.
async fn text_columns(app: &App) -> Vec<(String, String)> {
    let sql = match app.engine {
        Engine::Sqlite => {
            "SELECT CAST(m.name AS TEXT), CAST(c.name AS TEXT) FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.type = 'TEXT' AND m.name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY 1, 2"
        }
        Engine::Postgres => {
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
             WHERE table_schema = 'public' AND data_type = 'text' AND table_name NOT LIKE '\\_%' ORDER BY 1, 2"
        }
    };
    app.rows(sql).await.iter().map(|row| (sqlx::Row::get(row, 0), sqlx::Row::get(row, 1))).collect()
}

stories! {
    /// Threat: a text that somebody has given us once acts wherever it is read: as markup, a formula, a header, a line of a
    /// calendar, a verb of a provider, or a command of the exchange.
    async fn no_kept_text_acts_on_any_surface(app) {
        let (mail, speech) = (MailServer::start().await, Speech::start().await);
        let (mut marks, mut found) = (Marks::default(), Surfaces::default());
        configure(app, &mut marks, &mail, &speech).await;
        callers(app, &mut marks, &speech, &mut found).await;
        app.clock.set(monday("08:55"));
        let admin = officers(app, &mut marks, &mut found).await;
        programs(app, &mut marks, &mut found).await;
        app.write_letters().await;
        for letter in mail.letters() {
            found.add("letter", &letter.subject(), surfaces::letter(&letter));
        }
        read_commands(app, &mut found).await;
        let officer = app.browser("Мадина И.", Role::Officer).await.cookie;
        for cookie in [&admin.cookie, &officer, ""] {
            read_pages(app, cookie, &mut found).await;
        }
        assert!(found.wrong.is_empty(), "{:#?}", found.wrong);
        found.check_that_all_stand(&marks);
        check_columns(app).await;
        app.leave_the_jobs().await;
    }
}
