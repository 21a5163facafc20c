//! What the log of a whole evening holds: calls, people and faults, and of nobody a number, a name, a word or a secret (R16).

use std::io::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use perezvon::app::config;
use perezvon::app::demo::{CallPlan, Ending};
use perezvon::app::privacy::{self, FindArgs, ForgetArgs};
use perezvon::app::reconcile::{self, ReconcileArgs};
use perezvon::core::officer::Role;
use perezvon::web::password;
use tracing_subscriber::EnvFilter;

use crate::backups::{back_up, here};
use crate::harness::{App, Browser, Engine, Form, MailServer, Manners, PARENTS, STAFF, TOKEN, at, monday, tell_on};
use crate::people::{code, invites, switches_factor_on};
use crate::transcripts::Speech;

/// As talkative as an administrator makes it who looks for a fault.
const LEVEL: &str = "info,perezvon=debug";

const EXCHANGE_TOKEN: &str = "tokenOfTheExchange81";
const ARI_PASSWORD: &str = "passwordOfTheExchange82";
const SPEECH_TOKEN: &str = "tokenOfTheSpeechServer83";
const MAIL_PASSWORD: &str = "passwordOfTheMail84";
const SPARE_TOKEN: &str = "tokenOfTheSpareProvider85";
const PASSWORD: &str = "синий чайник на плите 86";
const WRONG_PASSWORD: &str = "зелёный чайник на плите 87";

/// Ten digits of everybody's number, as no spelling changes them.
const CALLER: &str = "9281230801";
const STAFF_CALLER: &str = "9281230802";
const NAMED_CALLER: &str = "9281230803";
const TYPED: &str = "9281230804";
const SPOKEN: &str = "9281230805";
const REFUSED: &str = "9281230806";
const FORWARDED: &str = "9281230807";
const BY_HAND: &str = "9281230808";
const BLOCKED: &str = "9281230809";
const SEARCHED: &str = "9281230810";
const QUOTED: &str = "9281230811";
const WHILE_AWAY: &str = "9281230812";
const NUMBERS: [&str; 12] = [
    CALLER,
    STAFF_CALLER,
    NAMED_CALLER,
    TYPED,
    SPOKEN,
    REFUSED,
    FORWARDED,
    BY_HAND,
    BLOCKED,
    SEARCHED,
    QUOTED,
    WHILE_AWAY,
];
/// Of names, notes and messages; none of them is a word of ours.
const WORDS: [&str; 12] = [
    "Зулихан",
    "Мурадова",
    "Адилгирей",
    "контрольную",
    "троечник",
    "директриса",
    "рассылка",
    "ремонтбуфета",
    "Zulihan",
    "director@school",
    "zulihan@mail",
    "aishat87",
];

/// Takes what is written to the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// What must not stand in the log and does.
    fn leaks(&self, secrets: &[String]) -> Vec<String> {
        let text = self.text();
        // However a number is spelt, its digits follow each other when what stands between them is gone.
        let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '-' | '(' | ')')).collect();
        let lower = text.to_lowercase();
        let mut leaks: Vec<String> = NUMBERS.iter().filter(|it| bare.contains(**it)).map(ToString::to_string).collect();
        leaks.extend(WORDS.iter().filter(|word| lower.contains(&word.to_lowercase())).map(ToString::to_string));
        for secret in secrets {
            if secret.bytes().all(|byte| byte.is_ascii_digit()) {
                // A code: in a longer number it is none.
                let is_there = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits == secret);
                leaks.extend(is_there.then(|| secret.clone()));
                continue;
            }
            let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let spellings = [secret.clone(), encoded, BASE64_STANDARD.encode(secret)];
            leaks.extend(spellings.into_iter().filter(|it| text.contains(it.as_str())));
        }
        leaks.iter().map(|leak| format!("{leak}: {}", line_with(&text, &bare, leak))).collect()
    }
}

fn line_with(text: &str, bare: &str, leak: &str) -> String {
    let found = text.lines().chain(bare.lines()).find(|line| line.to_lowercase().contains(&leak.to_lowercase()));
    found.unwrap_or_default().to_owned()
}

/// The log of the story on each engine.
static LOGS: LazyLock<[Lines; 2]> = LazyLock::new(Default::default);

fn log_of(engine: Engine) -> Lines {
    LOGS[usize::from(engine == Engine::Postgres)].clone()
}

/// Tells the story on threads that all log into memory.
fn tell_logged(engine: Engine) {
    let lines = log_of(engine);
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(EnvFilter::new(LEVEL));
    let log = tracing::Dispatch::new(log.with_writer(move || lines.clone()).finish());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let of_threads = log.clone();
    runtime.worker_threads(2).on_thread_start(move || {
        // For as long as the thread lives.
        std::mem::forget(tracing::dispatcher::set_default(&of_threads));
    });
    let _guard = tracing::dispatcher::set_default(&log);
    tell_on(&mut runtime, engine, |app| Box::pin(an_evening(app)));
}

/// Threat: whoever may read the log learns who called, what they said, or how to come in.
#[test]
fn log_of_an_evening_holds_nobodys_number_name_or_secret_on_sqlite() {
    tell_logged(Engine::Sqlite);
}

#[test]
fn log_of_an_evening_holds_nobodys_number_name_or_secret_on_postgres() {
    tell_logged(Engine::Postgres);
}

async fn an_evening(app: &App) {
    let (mail, speech, spare) = (MailServer::start().await, Speech::start().await, Speech::start().await);
    configure(app, &mail, &speech, &spare).await;
    let mut secrets: Vec<String> =
        [EXCHANGE_TOKEN, ARI_PASSWORD, SPEECH_TOKEN, MAIL_PASSWORD, SPARE_TOKEN, TOKEN, PASSWORD, WRONG_PASSWORD]
            .map(str::to_owned)
            .into();
    calls(app, &speech).await;
    refused_requests(app).await;
    sign_ins(app, &mut secrets).await;
    while_the_database_is_away(app).await;
    work(app).await;
    letters(app, &mail).await;
    failing_providers(app, &spare).await;
    privacy_commands(app).await;
    let log = log_of(app.engine);
    wrong_configurations(&mut log.clone());
    writeln!(log.clone(), "{:?}", here(app)).unwrap();
    for expected in [
        "A call on the parents line",
        "+7928…01",
        "signed in",
        "Refused a webhook",
        "was refused",
        "spooled",
        "the mail server answered 451 4.7.1",
        "could not be compared",
        "не адрес",
    ] {
        assert!(log.text().contains(expected), "{expected}: {}", log.text());
    }
    let leaks = log.leaks(&secrets);
    assert!(leaks.is_empty(), "{leaks:#?}");
    app.leave_the_jobs().await;
}

async fn configure(app: &App, mail: &MailServer, speech: &Speech, spare: &Speech) {
    let (mail, speech, spare) = (mail.address, &speech.url, &spare.url);
    let tables = format!(
        r#"
        [[providers]]
        name = "asterisk"
        kind = "asterisk"
        tokens = ["{EXCHANGE_TOKEN}"]
        ari_base = "http://127.0.0.1:9/ari"
        ari_user = "perezvon"
        ari_password = "{ARI_PASSWORD}"
        [[providers]]
        name = "spare"
        kind = "twiml"
        account_sid = "AC2"
        auth_tokens = ["{SPARE_TOKEN}"]
        api_base = "{spare}/2010-04-01"
        [mail]
        smtp = "smtp://{mail}"
        user = "perezvon"
        password = "{MAIL_PASSWORD}"
        from = "Перезвон <perezvon@school.example>"
        to = ["Директор <director@school.example>"]
        alarms_to = ["director@school.example"]
        personal_data = true
        [transcription]
        url = "{speech}"
        model = "small"
        token = "{SPEECH_TOKEN}"
        "#
    );
    app.restart(|setup| setup.tables = tables).await;
}

/// Callers of both lines, as they come on an evening.
async fn calls(app: &App, speech: &Speech) {
    speech.says(&format!("Зулихан Мурадова, не вижу контрольную, перезвоните 8 {}", spelt(SPOKEN)));
    // It is no answer as it should be, and it has the words.
    speech.answers(StatusCode::OK, &format!("\"Зулихан, контрольную, {SPOKEN}\""));
    speech.answers(StatusCode::BAD_REQUEST, "не понимаю: Зулихан");
    for (caller, line) in [(CALLER, PARENTS), (STAFF_CALLER, STAFF), (NAMED_CALLER, PARENTS)] {
        let caller = match caller {
            NAMED_CALLER => format!("\"Зулихан М.\" <sip:8{caller}@10.0.0.1>"),
            _ => format!("+7{caller}"),
        };
        app.exchange.call(CallPlan::new(&caller, line).leaving(9_000, Ending::HangsUp)).await;
        app.run_jobs().await;
        app.run_jobs().await;
    }
    let withheld = Form::call("CA-withheld").from("anonymous");
    app.post("voice", &withheld).await;
    app.post("message", &withheld.clone().with("Digits", "1")).await;
    app.post("keyed", &withheld.clone().with("Digits", &format!("8{TYPED}"))).await;
    app.post("keyed/0", &withheld.with("Digits", &format!("8{TYPED}"))).await;
    let unknown = Form::call("CA-unknown").from(&format!("+7{BLOCKED}")).to(&format!("+7{FORWARDED}"));
    app.post("voice", &unknown).await;
    app.post("voice", &Form::call("CA-forwarded").with("ForwardedFrom", &format!("sip:{FORWARDED}@x"))).await;
    let odd = Form::call("CA-odd").with("CallerName", "Зулихан").encoded() + &format!("&X=%zz8{FORWARDED}");
    app.post_bytes("voice", odd.as_bytes()).await;
}

/// `928 123-08-05`
fn spelt(number: &str) -> String {
    format!("{} {}-{}-{}", &number[..3], &number[3..6], &number[6..8], &number[8..])
}

/// What strangers, and providers with wrong keys, send.
async fn refused_requests(app: &App) {
    let form = Form::call(&format!("CA{REFUSED}")).from(&format!("+7{REFUSED}")).with("CallerName", "Зулихан");
    let encoded = form.encoded().into_bytes();
    assert_eq!(app.post_raw("voice", encoded.clone(), "AAAAAAAAAAAAAAAAAAAAAAAAAAA=").await.status, 403);
    assert_eq!(app.post_raw("voice", encoded.clone(), REFUSED).await.status, 403);
    app.post(&format!("status/{REFUSED}"), &form).await;
    app.post(&format!("recording?From={REFUSED}"), &form).await;
    app.post("recording", &form.clone().with("RecordingStatus", &format!("8{REFUSED}"))).await;
    app.post("status", &Form(vec![("From".to_owned(), format!("+7{REFUSED}"))])).await;
    app.post_bytes("status", format!("CallSid=CA1&CallSid=CA{REFUSED}&From=%zz").as_bytes()).await;
    for (path, authorization) in [
        (format!("/webhooks/{REFUSED}/voice"), String::new()),
        (format!("/webhooks/asterisk/{REFUSED}"), format!("Bearer {EXCHANGE_TOKEN}")),
        ("/webhooks/asterisk/incoming".to_owned(), format!("Bearer {REFUSED}")),
        ("/webhooks/asterisk/ended".to_owned(), format!("Bearer {EXCHANGE_TOKEN}")),
    ] {
        let request = Request::post(path).header(CONTENT_TYPE, "multipart/form-data; boundary=b");
        let broken = format!("--b\r\nContent-Disposition: form-data; name=\"8{REFUSED}\"\r\n\r\nЗулихан {REFUSED}");
        let answer = app.request(request.header(AUTHORIZATION, authorization).body(Body::from(broken)).unwrap()).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    for path in [
        format!("/calls?search={SEARCHED}"),
        format!("/callers/+7{SEARCHED}"),
        format!("/api/v1/calls?number={SEARCHED}"),
    ] {
        app.get(&path).await;
    }
}

/// Right and wrong passwords, a second factor, an invitation and a token.
async fn sign_ins(app: &App, secrets: &mut Vec<String>) {
    let hash = password::hash(PASSWORD);
    assert!(app.store().add_officer("zulihan", "Зулихан А.", Role::Admin, &hash, app.now()).await.unwrap());
    let mut browser = Browser::new(app);
    for (login, password) in [("zulihan", WRONG_PASSWORD), (WRONG_PASSWORD, PASSWORD), (REFUSED, "x"), ("zulihan", "")]
    {
        browser.sign_in(login, password).await;
    }
    let mut admin = Browser::signed_in(app, "zulihan", PASSWORD).await;
    let (factor, recovery) = switches_factor_on(app, &mut admin).await;
    secrets.push(factor.clone());
    secrets.extend(recovery);
    browser.sign_in("zulihan", PASSWORD).await;
    let wrong = browser.post("/login/code", &[("code", "918273")]).await;
    assert_ne!(wrong.status, 303);
    app.advance_minutes(1);
    let right = code(app, &factor);
    assert_eq!(browser.post("/login/code", &[("code", &right)]).await.status, 303);
    secrets.extend(["918273".to_owned(), right]);
    let invitation = invites(&mut admin, "aishat87").await;
    let mut invited = Browser::new(app);
    let chosen = [("password", WRONG_PASSWORD), ("password_again", WRONG_PASSWORD)];
    assert_eq!(invited.post(&invitation, &chosen).await.status, 303);
    assert_eq!(invited.post(&invitation, &chosen).await.status, 410);
    secrets.push(invitation.trim_start_matches("/invite/").to_owned());
    let (token, digest) = password::generate_token();
    app.store().add_token("Адилгирей", Role::Officer, digest, None, app.now()).await.unwrap();
    for bearer in [&token, &format!("{token}0")] {
        let request = Request::get("/api/v1/callbacks").header(AUTHORIZATION, format!("Bearer {bearer}"));
        app.request(request.body(Body::empty()).unwrap()).await;
    }
    secrets.push(token);
    for cookie in [&admin, &browser, &invited].into_iter().flat_map(|browser| [&browser.cookie, &browser.device]) {
        secrets.extend(cookie.split_once('=').map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty()));
    }
}

/// Nothing can be saved, and everybody is told so.
async fn while_the_database_is_away(app: &App) {
    app.take_the_database_away().await;
    let form = Form::call("CA-away").from(&format!("+7{WHILE_AWAY}")).with("CallerName", "Зулихан");
    app.block_the_spool();
    assert!(app.post("voice", &form.clone().with("CallSid", "CA-in-memory")).await.offers_to_record());
    app.unblock_the_spool();
    assert!(app.post("voice", &form).await.offers_to_record());
    let mut browser = Browser::new(app);
    browser.sign_in("zulihan", PASSWORD).await;
    for path in ["/callbacks", "/", "/readyz", "/api/v1/calls"] {
        browser.get(path).await;
    }
    app.store().alarm_of_ours("an evening", "Проверка", app.now()).await;
    app.bring_the_database_back().await;
    app.take_in_the_spool().await;
    assert!(app.find("CA-away").await.is_some() && app.find("CA-in-memory").await.is_some());
}

/// What officers write and carry away.
async fn work(app: &App) {
    app.clock.set(monday("09:30"));
    let mut admin = app.browser("Зулихан Мурадова", Role::Admin).await;
    let call = app.number(&format!("SELECT MIN(id) FROM call WHERE caller = '+7{CALLER}'")).await;
    let blocked = app.number(&format!("SELECT MIN(id) FROM call WHERE caller = '+7{BLOCKED}'")).await;
    let callbacks = app.callbacks().await;
    let entry = |number: &str| {
        let of = |view: &&perezvon::store::CallbackView| {
            view.callback.caller.as_ref().is_some_and(|it| it.e164().ends_with(number))
        };
        let found = &callbacks.iter().find(of).unwrap_or_else(|| panic!("{number} does not wait")).callback;
        (format!("/callbacks/{}", found.id), found.version.to_string())
    };
    let note = format!("троечник, мать Зулихан Мурадова, 8 {}", spelt(SPOKEN));
    for (address, fields) in [
        (format!("/callers/{call}"), vec![("name", "Зулихан Мурадова"), ("note", &note)]),
        (format!("/callers/{blocked}/block"), vec![("reason", "рассылка")]),
        ("/callers".to_owned(), vec![("number", SEARCHED)]),
        (
            "/callbacks/new".to_owned(),
            vec![
                ("line", "staff"),
                ("channel", "email"),
                ("number", BY_HAND),
                ("email", "zulihan@mail.example"),
                ("summary", &note),
            ],
        ),
        (
            "/callbacks/new".to_owned(),
            vec![("line", "staff"), ("channel", "Зулихан"), ("number", "928123081"), ("summary", "а\0")],
        ),
        (
            "/calendar/save".to_owned(),
            vec![("step", "close"), ("until", "day"), ("reason", "ремонтбуфета"), ("seen", "0")],
        ),
        ("/me/telephone".to_owned(), vec![("telephone", BY_HAND)]),
    ] {
        admin.post(&address, &fields).await;
    }
    let (address, version) = entry(CALLER);
    for (verb, fields) in [
        ("dial", vec![("version", version.as_str())]),
        ("claim", vec![("version", version.as_str())]),
        ("note", vec![("note", &note)]),
        ("done", vec![("version", "999"), ("note", &note)]),
    ] {
        admin.post(&format!("{address}/{verb}"), &fields).await;
    }
    app.run_jobs().await;
    for path in [
        "/callbacks.csv?period=all&state=all",
        "/callbacks.xlsx?period=all&state=all",
        "/calls.csv",
        "/audit.csv",
        "/audit.xlsx",
        "/reports/xlsx",
        "/health-ui",
        "/callbacks/print",
        &format!("/calls?search={SEARCHED}"),
        &format!("/callers/{call}/personal.json"),
    ] {
        let page = admin.get(path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
    }
}

/// A mail server that says what it does not like.
async fn letters(app: &App, mail: &MailServer) {
    mail.behave(&[Manners::Quotes; 4]);
    mail.quote(&format!("<director@school.example>: Зулихан's letter about 8 {} is spam", spelt(QUOTED)));
    app.clock.set(at("2026-11-24T08:55:00+03:00"));
    app.write_letters().await;
    app.run_all_jobs().await;
    assert!(mail.received().iter().any(|letter| letter.text().contains("Зулихан")), "{:?}", mail.received());
}

/// Lists that are none, recordings that are elsewhere, and words of all kinds in them.
async fn failing_providers(app: &App, spare: &Speech) {
    let quoting = format!("Зулихан 8 {}", spelt(QUOTED));
    for (status, body) in [
        (StatusCode::OK, format!("\"{quoting}\"")),
        (StatusCode::OK, format!("{{\"calls\": \"{quoting}\", \"next_page_uri\": \"{quoting}\"}}")),
        (StatusCode::OK, format!("{{\"calls\": [{{\"sid\": 7, \"from\": \"{quoting}\"")),
        (StatusCode::INTERNAL_SERVER_ERROR, quoting.clone()),
        (StatusCode::FOUND, format!("http://elsewhere.example/{QUOTED}")),
        (StatusCode::UNAUTHORIZED, quoting.clone()),
    ] {
        spare.answers(status, &body);
        let args = ReconcileArgs { since: None, provider: Some("spare".to_owned()), json: true };
        assert!(!reconcile::run(&app.worker().reconciler(), &args, &mut Vec::new()).await.unwrap(), "{body}");
        app.advance_minutes(61);
    }
    for url in [format!("https://elsewhere.example/{QUOTED}"), format!("http://127.0.0.1:9/{QUOTED}?Зулихан"), quoting]
    {
        let form = Form::call("CA-lost-sound").from(&format!("+7{CALLER}"));
        let form = form.with("RecordingSid", &format!("RE{}", url.len())).with("RecordingUrl", &url);
        app.post("recording", &form.with("RecordingStatus", "completed").with("RecordingDuration", "7")).await;
    }
    app.run_jobs().await;
    app.worker().sweep().await;
    app.run_jobs().await;
}

/// Everything about a number, and then nothing any more.
async fn privacy_commands(app: &App) {
    app.leave_the_jobs().await;
    back_up(app).await;
    let (config, worker, now) = (here(app), app.worker(), app.now());
    let mut out = Vec::new();
    let find = FindArgs { number: format!("8{CALLER}"), json: true };
    assert!(privacy::find(&config, &worker, &find, now, &mut out).await.unwrap());
    for dry_run in [true, false] {
        let forget = ForgetArgs { number: BLOCKED.to_owned(), dry_run };
        let _ = privacy::forget(&config, &worker, &forget, now, &mut out).await;
    }
}

/// What is said of a configuration that cannot be used: it is printed, and stands in the log of the system.
fn wrong_configurations(log: &mut impl io::Write) {
    let provider =
        |keys: &str| format!("[[providers]]\nname = \"a\"\nkind = \"twiml\"\naccount_sid = \"AC1\"\n{keys}\n");
    let mail = |keys: &str| {
        format!("[mail]\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\nsmtp = \"smtp://127.0.0.1\"\n{keys}\n")
    };
    let secret = MAIL_PASSWORD;
    for text in [
        provider(&format!("auth_tokens = \"{secret}\"")),
        provider(&format!("auth_tokens = [\"{secret} x\"]")),
        provider(&format!("auth_tokens = [\"{secret}\"")),
        provider(&format!("auth_tokens = [{secret}]")),
        provider(&format!("auth_token = \"{secret}\"")),
        provider(&format!("auth_tokens_file = \"{secret}\"")),
        provider(&format!("signature = \"telnyx\"\nauth_tokens = [\"{secret}\"]")),
        provider(&format!("auth_tokens = [\"x\"]\napi_token = [\"{secret}\"]")),
        provider(&format!("auth_tokens = [\"x\"]\napi_base = \"https://AC1:{secret}@api.example.org/\"")),
        mail(&format!("password = \"{secret}\"")),
        mail(&format!("user = \"a\"\npassword = [\"{secret}\"]")),
        mail(&format!("user = \"a\"\npassword = '{secret}")),
        mail(&format!("user = \"a\"\npassword = {secret}")),
        mail(&format!("user = \"a\"\npassword_file = \"{secret}\"")),
        mail(&format!("passwort = \"{secret}\"")),
        mail("").replace("127.0.0.1", &format!("a:{secret}@127.0.0.1")),
        format!("[storage]\ndatabase = \"postgres://a:{secret}@db.example.org:x/calls\"\n"),
        format!("[storage]\ndatabase = \"mysql://a:{secret}@db.example.org/calls\"\n"),
        format!("[transcription]\nurl = \"http://a:{secret}@127.0.0.1:1/\"\nmodel = \"a\"\n"),
        format!("[transcription]\nurl = \"http://127.0.0.1:1/\"\nmodel = \"a\"\ntoken = {{ a = \"{secret}\" }}\n"),
        format!("[server]\npublic_url = \"https://a:{secret}@calls.example.org\"\n"),
        format!("[mail]\nsmtp = \"не адрес\"\npassword = \"{secret}\"\nuser = 7\n"),
    ] {
        let mistakes = config::parse(&text, None, []).err().unwrap_or_else(|| panic!("{text}"));
        writeln!(log, "{mistakes}").unwrap();
    }
    for name in [
        "PEREZVON_MAIL__PASSWORD_FILE",
        "PEREZVON_MAIL__PASSWORT",
        "PEREZVON_PROVIDERS__A__API_TOKEN_FILE",
        "PEREZVON_CALLBACKS__REGULATION_REASONS",
        "PEREZVON_BACKUP__KEEP",
        "PEREZVON_PROVIDERS",
    ] {
        let text = mail("user = \"a\"") + &provider("auth_tokens = [\"x\"]");
        let mistakes = config::parse(&text, None, [(name.to_owned(), secret.to_owned())]).err();
        let mistakes = mistakes.unwrap_or_else(|| panic!("{name}"));
        writeln!(log, "{mistakes}").unwrap();
    }
}

#[test]
fn what_leaks_is_found_however_it_is_spelt() {
    let secret = "пароль из слов";
    for line in [
        format!("caller=+7{CALLER}"),
        format!("GET /x?From=%2B7{CALLER}"),
        format!("8\u{a0}({}) {}-{}-{}", &CALLER[..3], &CALLER[3..6], &CALLER[6..8], &CALLER[8..]),
        "имя ЗУЛИХАН".to_owned(),
        secret.to_owned(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        BASE64_STANDARD.encode(secret),
    ] {
        let mut lines = Lines::default();
        lines.write_all(line.as_bytes()).unwrap();
        assert_eq!(lines.leaks(&[secret.to_owned()]).len(), 1, "{line}");
    }
}
