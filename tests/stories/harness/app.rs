//! The house of one story: built from a real configuration text, asked through its router, looked at through its store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use perezvon::app::demo::{Exchange, ExchangeSettings, Voices};
use perezvon::app::{config, house};
use perezvon::core::call::Call;
use perezvon::core::callback::{Action, Callback, Notes};
use perezvon::core::line::Lines;
use perezvon::core::officer::Actor;
use perezvon::jobs::Worker;
use perezvon::providers::twiml::form_signature;
use perezvon::store::{
    ActError, Alarm, CallView, CallbackView, Job, JobPool, ListFilter, ListPeriod, SpoolDepth, StateFilter, Store,
    Voicemail,
};
use perezvon::time::{Clock, SignedDuration, Timestamp};
use perezvon::web;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tokio::sync::Mutex;
use tower::ServiceExt;

use super::{Answer, Engine, Form, friday, patiently, postgres};

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "12345678901234567890123456789012";
pub const PUBLIC_URL: &str = "https://calls.example.org";
pub const STAFF: &str = "+79288036355";
pub const PARENTS: &str = "+79288328088";
/// What the parents' number is forwarded to.
pub const TECHNICAL: &str = "+78712000100";

const TABLES: [&str; 14] = [
    "meta",
    "delivery",
    "call_key",
    "call",
    "voicemail",
    "callback",
    "callback_history",
    "registration",
    "job",
    "alarm",
    "audit",
    "officer",
    "token",
    "hours_change",
];

/// What a story may change in its configuration before it starts the house again.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Lines of the table `[hours]`; empty: the school's own.
    pub hours: String,
    /// The address of the service, as a provider knows it.
    pub public_url: String,
    /// Further keys of `[server]`.
    pub server_keys: String,
    /// Further keys of `[storage]`.
    pub storage_keys: String,
    /// The phones of the officers, of both lines.
    pub ring: Vec<&'static str>,
    /// Further keys of both lines.
    pub line_keys: String,
    pub provider: &'static str,
    /// How it signs and is asked.
    pub provider_keys: String,
    pub api_base: String,
    /// Whole further tables: `[mail]`, …
    pub tables: String,
}

impl Setup {
    fn text(&self, database: &str, folder: &Path) -> String {
        let Self {
            hours,
            public_url,
            server_keys,
            storage_keys,
            ring,
            line_keys,
            provider,
            provider_keys,
            api_base,
            tables,
        } = self;
        let recordings = folder.join("recordings");
        format!(
            r#"
            [server]
            public_url = "{public_url}"
            {server_keys}
            [storage]
            database = "{database}"
            recordings = "{}"
            emergency = "{}"
            {storage_keys}
            [hours]
            {hours}
            [[lines]]
            id = "staff"
            number = "{STAFF}"
            ring = {ring:?}
            {line_keys}
            [[lines]]
            id = "parents"
            number = "{PARENTS}"
            aliases = ["{TECHNICAL}"]
            ring = {ring:?}
            {line_keys}
            [[providers]]
            name = "{provider}"
            kind = "twiml"
            {provider_keys}
            account_sid = "{ACCOUNT}"
            api_base = "{api_base}"
            recording_hosts = ["127.0.0.1"]
            {tables}
            "#,
            recordings.display(),
            folder.join("emergency").display()
        )
    }
}

struct Open {
    router: Router,
    store: Store,
    worker: Worker,
    lines: Lines,
}

pub struct App {
    pub engine: Engine,
    pub clock: Clock,
    /// The provider, which calls in over loopback and keeps the recordings.
    pub exchange: Exchange,
    pub folder: tempfile::TempDir,
    pub database: String,
    /// Where whatever house is open listens.
    pub address: SocketAddr,
    setup: RwLock<Setup>,
    open: Arc<RwLock<Option<Open>>>,
    /// Looks at the tables from outside, and breaks them when a story asks for it.
    outside: Mutex<Option<AnyConnection>>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl App {
    pub async fn start(engine: Engine) -> Self {
        let clock = Clock::standing_at(friday("19:30"));
        let folder = tempfile::Builder::new().prefix("perezvon-story-").tempdir().expect("a temporary folder");
        let database = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join("perezvon.db").display()),
            Engine::Postgres => postgres::database().await,
        };
        let open: Arc<RwLock<Option<Open>>> = Arc::default();
        let (address, serving) = listen(open.clone()).await;
        let exchange = Exchange::start(ExchangeSettings {
            account_sid: ACCOUNT.to_owned(),
            auth_token: TOKEN.to_owned(),
            webhook_base: format!("http://{address}/webhooks/twilio"),
            public_url: PUBLIC_URL.to_owned(),
            clock: clock.clone(),
            advances_clock: true,
            voices: Voices::generated(),
        })
        .await
        .expect("a loopback port is free");
        let setup = Setup {
            hours: String::new(),
            public_url: PUBLIC_URL.to_owned(),
            server_keys: String::new(),
            storage_keys: String::new(),
            ring: vec!["+79280000055", "+79280000056"],
            line_keys: String::new(),
            provider: "twilio",
            provider_keys: format!("signature = \"twilio\"\nauth_tokens = [\"{TOKEN}\"]"),
            api_base: exchange.api_base().to_owned(),
            tables: String::new(),
        };
        let app = Self {
            engine,
            clock,
            exchange,
            folder,
            database,
            address,
            setup: RwLock::new(setup),
            open,
            outside: Mutex::default(),
            serving,
        };
        app.open_house().await;
        app
    }

    async fn open_house(&self) {
        let text = self.config_text();
        let config = config::parse(&text, None, []).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        let built = house::build(&config, self.clock.clone(), false).await.expect("the house is built");
        // Where the database is away the worker does it later.
        let _ = built.worker.resume().await;
        let open = Open {
            router: web::router(built.house),
            store: built.store,
            worker: built.worker,
            lines: config.lines.clone(),
        };
        *self.open.write().unwrap() = Some(open);
    }

    async fn close_house(&self) {
        let open = self.open.write().unwrap().take();
        if let Some(Open { router, store, worker, .. }) = open {
            drop((router, worker));
            store.close().await;
        }
    }

    /// The configuration of the house, as text.
    pub fn config_text(&self) -> String {
        self.setup.read().unwrap().text(&self.database, self.folder.path())
    }

    /// Ends the house at once: what only its memory holds is gone.
    pub async fn crash(&self) {
        self.open.write().unwrap().take();
    }

    /// Returns when `/readyz` says so: it asks the database for two seconds, which a busy machine may need.
    pub async fn becomes_ready(&self) {
        patiently("readiness", async {
            while self.get("/readyz").await.status != 200 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// The spooled deliveries that wait for the database.
    pub fn spooled_files(&self) -> usize {
        self.spool_names().iter().filter(|name| name.ends_with(".json")).count()
    }

    /// Takes in what was spooled since this machine stood still for longer than a provider may wait.
    pub async fn take_in_the_spool(&self) {
        patiently("the spool to be empty", async {
            while self.store().spool_depth() != SpoolDepth::default() {
                self.store().drain_spool(&self.clock).await;
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// The names of all files in the folders of the spool but the mark of the database.
    pub fn spool_names(&self) -> Vec<String> {
        let folders = ["recordings/.spool", "emergency"].map(|folder| self.folder.path().join(folder));
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with(".database")).collect()
    }

    /// Lets no disk take a delivery: the folders of the spool become files.
    pub fn block_the_spool(&self) {
        let spool = self.folder.path().join("recordings/.spool");
        std::fs::remove_dir_all(&spool).unwrap();
        std::fs::write(spool, "").unwrap();
        let [emergency, aside] = ["emergency", "emergency-aside"].map(|folder| self.folder.path().join(folder));
        let _ = std::fs::rename(&emergency, aside);
        std::fs::write(emergency, "").unwrap();
    }

    pub fn unblock_the_spool(&self) {
        std::fs::remove_file(self.folder.path().join("recordings/.spool")).unwrap();
        let [emergency, aside] = ["emergency", "emergency-aside"].map(|folder| self.folder.path().join(folder));
        std::fs::remove_file(&emergency).unwrap();
        let _ = std::fs::rename(aside, emergency);
    }

    /// Stops the house and starts it again on the same database with another configuration.
    pub async fn restart(&self, change: impl FnOnce(&mut Setup)) {
        self.close_house().await;
        change(&mut self.setup.write().unwrap());
        self.open_house().await;
    }

    /// Another house on the same database, as a second process would be: its store and its worker.
    pub async fn second_house(&self) -> (Store, Worker) {
        let text = self.config_text();
        let config = config::parse(&text, None, []).expect("it was read before");
        let built = house::build(&config, self.clock.clone(), false).await.expect("the second house is built");
        (built.store, built.worker)
    }

    pub async fn end(self) {
        self.close_house().await;
        self.serving.abort();
        self.exchange.stop().await;
        if let Some(outside) = self.outside.into_inner() {
            let _ = outside.close().await;
        }
        if self.engine == Engine::Postgres {
            postgres::drop_database(&self.database).await;
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Open) -> T) -> T {
        look(self.open.read().unwrap().as_ref().expect("the house is open"))
    }

    pub fn store(&self) -> Store {
        self.with(|open| open.store.clone())
    }

    pub fn worker(&self) -> Worker {
        self.with(|open| open.worker.clone())
    }

    pub fn lines(&self) -> Lines {
        self.with(|open| open.lines.clone())
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance_minutes(&self, minutes: i64) {
        self.clock.advance(SignedDuration::from_mins(minutes));
    }

    // What the provider does.

    pub fn router(&self) -> Router {
        self.with(|open| open.router.clone())
    }

    /// One request, as it stands.
    pub async fn request(&self, request: Request<Body>) -> Answer {
        let response = self.router().oneshot(request).await.expect("routers do not fail");
        let status = response.status().as_u16();
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("").to_owned();
        let body = to_bytes(response.into_body(), 1 << 20).await.expect("answers come whole");
        Answer { status, content_type, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// One request, with the headers of its answer.
    pub async fn whole(&self, request: Request<Body>) -> (axum::http::response::Parts, String) {
        let response = self.with(|open| open.router.clone()).oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("answers come whole");
        (parts, String::from_utf8_lossy(&body).into_owned())
    }

    /// A webhook of the provider, signed.
    pub async fn post(&self, endpoint: &str, form: &Form) -> Answer {
        let signed = form_signature(TOKEN, &format!("{PUBLIC_URL}/webhooks/twilio/{endpoint}"), &form.0);
        self.post_raw(endpoint, form.encoded().into_bytes(), &signed).await
    }

    /// A body as it comes over the wire, signed over the fields that a form reader finds in it.
    pub async fn post_bytes(&self, endpoint: &str, body: &[u8]) -> Answer {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let signed = form_signature(TOKEN, &format!("{PUBLIC_URL}/webhooks/twilio/{endpoint}"), &fields);
        self.post_raw(endpoint, body.to_vec(), &signed).await
    }

    /// A body and a signature of whatever kind.
    pub async fn post_raw(&self, endpoint: &str, body: Vec<u8>, signed: &str) -> Answer {
        let request = Request::post(format!("/webhooks/twilio/{endpoint}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signed);
        self.request(request.body(Body::from(body)).expect("a good request")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Request::get(path).body(Body::empty()).expect("a good request")).await
    }

    /// A caller of the parents' line leaves a message after hours: the voice request, the end of `Record` at his hanging
    /// up, the recording callback, the end of the call. The provider does not hold the sound.
    pub async fn message_from(&self, sid: &str, caller: &str) -> Answer {
        let form = Form::call(sid).from(caller);
        let greeting = self.post("voice", &form).await;
        self.clock.advance(SignedDuration::from_secs(20));
        let ended = form.clone().status("completed").recording(&format!("RE{sid}"), "7", self.exchange.api_base());
        self.post("message", &ended.clone().with("Digits", "hangup")).await;
        self.post("recording", &ended.with("RecordingStatus", "completed")).await;
        self.post("status", &form.status("completed").with("CallDuration", "20")).await;
        greeting
    }

    // What became of it.

    pub async fn view(&self, sid: &str) -> CallView {
        self.find(sid).await.unwrap_or_else(|| panic!("no call {sid}"))
    }

    pub async fn find(&self, sid: &str) -> Option<CallView> {
        let id =
            self.optional_number(&format!("SELECT call_id FROM call_key WHERE provider_call_id = '{sid}'")).await?;
        self.store().call(id).await.expect("calls can be read")
    }

    pub async fn call(&self, sid: &str) -> Call {
        self.view(sid).await.call
    }

    /// Everybody who still waits, in the order of the list.
    pub async fn callbacks(&self) -> Vec<CallbackView> {
        self.list(ListPeriod::All, StateFilter::Unclosed).await
    }

    pub async fn list(&self, period: ListPeriod, state: StateFilter) -> Vec<CallbackView> {
        let filter = ListFilter { period, line: None, state, after: None, limit: 500 };
        self.store().callbacks(&filter).await.expect("the list can be read").items
    }

    /// The only one who waits.
    pub async fn callback(&self) -> Callback {
        let mut waiting = self.callbacks().await;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        waiting.remove(0).callback
    }

    pub async fn voicemails(&self) -> Vec<Voicemail> {
        self.callbacks().await.into_iter().flat_map(|view| view.voicemails).collect()
    }

    pub async fn alarms(&self) -> Vec<Alarm> {
        self.store().alarms().await.expect("alarms can be read")
    }

    /// The kinds of the open alarms.
    pub async fn alarm_kinds(&self) -> Vec<String> {
        self.alarms().await.into_iter().map(|alarm| alarm.kind).collect()
    }

    /// An officer does something with a callback, whatever its version.
    pub async fn act(&self, id: i64, by: &Actor, action: Action) -> Result<Callback, ActError> {
        self.act_with(id, by, action, Notes::default()).await
    }

    pub async fn act_with(&self, id: i64, by: &Actor, action: Action, notes: Notes) -> Result<Callback, ActError> {
        self.store().act(id, None, action, notes, by, &self.lines(), self.now()).await
    }

    pub async fn next(&self, by: &Actor) -> Result<Callback, ActError> {
        self.store().claim_next(None, by, &self.lines(), self.now()).await
    }

    // What happens later.

    /// Plans the letters whose time has come and sends them.
    pub async fn write_letters(&self) {
        self.worker().plan_mail().await.expect("letters can be planned");
        self.run_jobs().await;
    }

    /// Runs what is due now. The answer is how many jobs ran.
    pub async fn run_jobs(&self) -> usize {
        self.worker().run_due().await.expect("the queue can be read")
    }

    /// Moves the clock from job to job until none is left.
    pub async fn run_all_jobs(&self) {
        for _ in 0..500 {
            let Some(next_at) = self.store().next_job_at().await.expect("the queue can be read") else { return };
            self.clock.set(self.now().max(next_at));
            self.run_jobs().await;
        }
        panic!("the jobs never end: {:?}", self.unfinished_jobs().await);
    }

    /// Takes the jobs away: they are not what this story is about.
    pub async fn leave_the_jobs(&self) {
        self.sql("DELETE FROM job").await;
    }

    /// Jobs that should have run by now. Those planned for later are told on standard output.
    pub async fn unfinished_jobs(&self) -> Vec<String> {
        let now = self.now().as_millisecond();
        let rows = self.rows("SELECT kind, run_at FROM job WHERE given_up_at IS NULL ORDER BY run_at").await;
        let jobs = rows.iter().map(|row| (row.get::<String, _>(0), row.get::<i64, _>(1)));
        let (due, later): (Vec<_>, Vec<_>) = jobs.partition(|(_, run_at)| *run_at <= now);
        for (kind, run_at) in later {
            println!("left for later: {kind} in {} s", (run_at - now) / 1000);
        }
        due.into_iter().map(|(kind, _)| kind).collect()
    }

    // What lies in the tables.

    /// Actions in the audit that the page about it could not name.
    pub async fn wordless_actions(&self) -> Vec<String> {
        let kept = self.rows("SELECT DISTINCT action FROM audit").await;
        let kept = kept.iter().map(|row| sqlx::Row::get::<String, _>(row, 0));
        kept.filter(|action| perezvon::web::AUDIT_ACTIONS.iter().all(|(known, _)| known != action)).collect()
    }

    /// Closes the connection that looks at the tables from outside; the next look opens another.
    pub async fn leave_the_database(&self) {
        if let Some(outside) = self.outside.lock().await.take() {
            let _ = outside.close().await;
        }
    }

    pub async fn rows(&self, sql: &str) -> Vec<sqlx::any::AnyRow> {
        let mut outside = self.outside.lock().await;
        let connection = match outside.take() {
            Some(connection) => connection,
            None => AnyConnection::connect(&self.database).await.expect("the database is there"),
        };
        let connection = outside.insert(connection);
        sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub async fn sql(&self, sql: &str) {
        self.rows(sql).await;
    }

    pub async fn optional_number(&self, sql: &str) -> Option<i64> {
        self.rows(sql).await.first().and_then(|row| row.try_get(0).ok())
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.optional_number(sql).await.unwrap_or_else(|| panic!("{sql}: no number"))
    }

    /// The text in the first column of the first row.
    pub async fn text(&self, sql: &str) -> String {
        self.rows(sql).await[0].get(0)
    }

    pub async fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}")).await
    }

    /// How many rows each table has.
    pub async fn counts(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        for table in TABLES {
            counts.insert(table, self.count(table).await);
        }
        counts
    }

    /// Takes the database away: nothing can be kept or read until [`App::bring_the_database_back`]. PostgreSQL lets nobody
    /// in and breaks the open connections; SQLite has nobody to refuse, so its tables are gone.
    pub async fn take_the_database_away(&self) {
        match self.engine {
            Engine::Postgres => {
                self.outside.lock().await.take();
                postgres::set_reachable(&self.database, false).await;
            }
            Engine::Sqlite => self.sql("ALTER TABLE call_key RENAME TO call_key_away").await,
        }
    }

    pub async fn bring_the_database_back(&self) {
        match self.engine {
            Engine::Postgres => postgres::set_reachable(&self.database, true).await,
            Engine::Sqlite => self.sql("ALTER TABLE call_key_away RENAME TO call_key").await,
        }
    }
}

/// Leases all jobs whose time has come, as a worker does before it runs them.
pub async fn lease_jobs(store: &Store, now: Timestamp) -> Vec<Job> {
    let mut jobs = Vec::new();
    for pool in JobPool::WITH_SLOTS {
        while let Some(job) = store.lease_one(pool, &[], now).await.expect("the queue can be read") {
            jobs.push(job);
        }
    }
    jobs
}

/// A loopback port that leads to whatever house is open.
async fn listen(open: Arc<RwLock<Option<Open>>>) -> (SocketAddr, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("it is bound");
    let entry = Router::new().fallback(async move |request: Request<Body>| {
        let router = open.read().unwrap().as_ref().map(|open| open.router.clone());
        router.expect("the house is open").oneshot(request).await
    });
    (address, tokio::spawn(async move { axum::serve(listener, entry).await }))
}
