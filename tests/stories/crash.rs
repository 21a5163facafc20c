//! The real program, killed without warning and asked to end: what it acknowledged is there, and it acknowledges what it
//! has in hand.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use perezvon::providers::twiml::form_signature;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use crate::harness::{Engine, Form, Program, TOKEN, drop_postgres_database, fresh_postgres_database};

const PUBLIC_URL: &str = "https://calls.example.org";
const CONNECTIONS: usize = 6;

/// What all lives of one program share: its folder and its database.
struct Place {
    folder: tempfile::TempDir,
    database: String,
}

/// Requests that were answered with 503: nobody was told that they are kept.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

impl Place {
    async fn new(engine: Engine) -> Self {
        sqlx::any::install_default_drivers();
        let folder = tempfile::Builder::new().prefix("perezvon-crash-").tempdir().unwrap();
        let database = match engine {
            Engine::Sqlite => format!("sqlite:{}/perezvon.db", folder.path().display()),
            Engine::Postgres => fresh_postgres_database().await,
        };
        Self { folder, database }
    }

    async fn leave(self) {
        if self.database.starts_with("postgres:") {
            drop_postgres_database(&self.database).await;
        }
    }
}

fn start(Place { folder, database }: &Place) -> Program {
    let folder = folder.path();
    let config = folder.join("perezvon.toml");
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        public_url = "{PUBLIC_URL}"
        [storage]
        database = "{database}"
        recordings = "{0}/recordings"
        [[providers]]
        name = "twilio"
        kind = "twiml"
        signature = "twilio"
        account_sid = "AC1"
        auth_tokens = ["{TOKEN}"]
        api_base = "http://127.0.0.1:1/nobody"
        "#,
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    Program::start(&config)
}

/// One webhook that was answered with 200.
#[derive(Clone)]
struct Acknowledged {
    sid: String,
    endpoint: &'static str,
    body: String,
}

/// Sends webhooks over several connections that stay open, until `stop`; each call arrives and ends.
fn load(
    address: SocketAddr,
    round: usize,
    stop: &Arc<AtomicBool>,
    acknowledged: &Arc<Mutex<Vec<Acknowledged>>>,
) -> Vec<tokio::task::JoinHandle<()>> {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    // The client asks for ciphers even to speak plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    (0..CONNECTIONS)
        .map(|connection| {
            let (base, stop, acknowledged) = (format!("http://{address}"), stop.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let n = SENT.fetch_add(1, Ordering::Relaxed);
                    let sid = format!("CA{round}x{connection}x{n}");
                    let form = Form::call(&sid).from(&format!("+7928000{:04}", n % 50));
                    for (endpoint, form) in [("voice", form.clone()), ("status", form.status("completed"))] {
                        let path = format!("/webhooks/twilio/{endpoint}");
                        let sent = client
                            .post(format!("{base}{path}"))
                            .header(
                                "x-twilio-signature",
                                form_signature(TOKEN, &format!("{PUBLIC_URL}{path}"), &form.0),
                            )
                            .header("content-type", "application/x-www-form-urlencoded")
                            .body(form.encoded())
                            .send()
                            .await;
                        let Ok(response) = sent else { return };
                        let (status, body) = (response.status(), response.bytes().await);
                        if body.is_err() {
                            return;
                        }
                        // A machine so busy that neither database nor disk is in time acknowledges nothing, and its caller hears the offer.
                        if status == 503 && endpoint == "status" {
                            REFUSED.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        assert_eq!(status, 200);
                        acknowledged.lock().unwrap().push(Acknowledged {
                            sid: sid.clone(),
                            endpoint,
                            body: form.encoded(),
                        });
                    }
                }
            })
        })
        .collect()
}

/// Returns when so many were acknowledged.
async fn wait_for(enough: usize, acknowledged: &Mutex<Vec<Acknowledged>>, connections: &[tokio::task::JoinHandle<()>]) {
    while acknowledged.lock().unwrap().len() < enough {
        assert!(!connections.iter().all(|connection| connection.is_finished()), "all connections broke off");
        tokio::task::yield_now().await;
    }
}

async fn number(database: &mut AnyConnection, sql: &str) -> i64 {
    sqlx::query(AssertSqlSafe(sql)).fetch_one(database).await.unwrap().get(0)
}

/// Everything acknowledged is kept raw and applied, no call is there twice, nobody stands on the list twice.
async fn check(database: &str, acknowledged: &[Acknowledged]) -> i64 {
    let mut database = AnyConnection::connect(database).await.unwrap();
    for Acknowledged { sid, endpoint, body } in acknowledged {
        let kept = sqlx::query(
            "SELECT call.ended_at, call.line, call.callback_id FROM delivery JOIN call ON call.id = delivery.call_id
             WHERE call.provider_call_id = $1 AND delivery.endpoint = $2 AND delivery.body = $3",
        )
        .bind(sid)
        .bind(*endpoint)
        .bind(body.as_bytes())
        .fetch_all(&mut database)
        .await
        .unwrap();
        assert_eq!(kept.len(), 1, "{endpoint} of {sid} was acknowledged");
        assert_eq!(kept[0].get::<Option<String>, _>("line").as_deref(), Some("parents"));
        if *endpoint == "status" {
            assert!(kept[0].get::<Option<i64>, _>("ended_at").is_some(), "the end of {sid} was applied");
            assert!(kept[0].get::<Option<i64>, _>("callback_id").is_some(), "{sid} is on the list");
        }
    }
    for twice in [
        "SELECT COUNT(*) - COUNT(DISTINCT provider_call_id) FROM call",
        "SELECT COUNT(*) - COUNT(DISTINCT line || caller) FROM callback WHERE closed_at IS NULL",
        "SELECT COUNT(*) FROM call WHERE callback_id IS NOT NULL AND callback_id NOT IN (SELECT id FROM callback)",
        "SELECT COUNT(*) FROM delivery WHERE call_id NOT IN (SELECT id FROM call)",
    ] {
        assert_eq!(number(&mut database, twice).await, 0, "{twice}");
    }
    let deliveries = number(&mut database, "SELECT COUNT(*) FROM delivery").await;
    database.close().await.unwrap();
    deliveries
}

/// A small generator, so that a run can be had again by its seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *seed >> 33
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_a_kill_at_any_moment() {
    storm(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_on_postgres_survives_a_kill_at_any_moment() {
    storm(Engine::Postgres).await;
}

async fn storm(engine: Engine) {
    let rounds: usize = std::env::var("PEREZVON_TEST_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let given = std::env::var("PEREZVON_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let mut seed = given.unwrap_or_else(|| RandomState::new().hash_one(()) >> 1);
    println!("PEREZVON_TEST_SEED={seed}");
    let place = Place::new(engine).await;
    let acknowledged: Arc<Mutex<Vec<Acknowledged>>> = Arc::default();
    for round in 0..rounds {
        let mut program = start(&place);
        let stop = Arc::default();
        let before = acknowledged.lock().unwrap().len();
        let connections = load(program.address, round, &stop, &acknowledged);
        let enough = before + 1 + (next(&mut seed) % 150) as usize;
        wait_for(enough, &acknowledged, &connections).await;
        program.kill();
        stop.store(true, Ordering::Relaxed);
        for connection in connections {
            connection.await.unwrap();
        }
        drop(start(&place));
        let all = acknowledged.lock().unwrap().clone();
        check(&place.database, &all).await;
    }
    place.leave().await;
    println!("{engine:?}: {} webhooks acknowledged in {rounds} lives", acknowledged.lock().unwrap().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_it_answers_what_it_has_in_hand_and_ends_well() {
    let place = Place::new(Engine::Sqlite).await;
    let acknowledged: Arc<Mutex<Vec<Acknowledged>>> = Arc::default();
    let program = start(&place);
    let stop = Arc::default();
    let connections = load(program.address, 0, &stop, &acknowledged);
    wait_for(200, &acknowledged, &connections).await;
    let (status, _) = tokio::task::block_in_place(|| program.end());
    assert_eq!(status, Some(0));
    stop.store(true, Ordering::Relaxed);
    for connection in connections {
        connection.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let kept = check(&place.database, &acknowledged).await;
    let unanswered = kept as usize - acknowledged.len();
    assert!(unanswered <= REFUSED.load(Ordering::Relaxed), "{unanswered} were kept without an answer");
}
