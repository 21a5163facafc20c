//! For machines that watch: `/healthz` (the process and its tasks), `/readyz` (what a call needs to be saved, and its message
//! stored), `/metrics` (Prometheus text).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::House;
use crate::core::line::{LineId, Lines};
use crate::providers::listing_of;
use crate::store::StoreError;
use crate::time::{Timestamp, elapsed_ms};

/// A part that has not answered within this time is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// The look at the recordings waits for the disk: whoever asks again within this time is told what was seen last.
const SEEN_FOR: Duration = Duration::from_secs(5);
/// The worker looks for work every second, but first finishes what it has in hand, and a message may come slowly.
const WORKER_SILENT_FOR: Duration = Duration::from_secs(15 * 60);

/// Lists are compared hourly: when the last look ended longer ago than this, somebody should know.
pub(super) const MAX_RECONCILED_AGE_MS: i64 = 3 * 3_600_000;

/// With less room than this nothing is ready: SQLite and the spool need some.
const MIN_FREE_BYTES: u64 = 32 * 1024 * 1024;

/// The last looks that keep a disk busy.
#[derive(Clone, Default)]
struct Seen {
    recordings: Arc<Mutex<Option<Look>>>,
    tables: Arc<Mutex<Option<Look>>>,
}

struct Look {
    at: Instant,
    found: Result<(), String>,
}

/// What was found last, or what `look` finds now.
async fn seen_lately(seen: &Mutex<Option<Look>>, look: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let mut seen = seen.lock().await;
    match &*seen {
        // What was wrong may be mended by now.
        Some(last) if last.found.is_ok() && last.at.elapsed() < SEEN_FOR => Ok(()),
        _ => {
            let found = look.await;
            seen.insert(Look { at: Instant::now(), found }).found.clone()
        }
    }
}

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .layer(Extension(Seen::default()))
}

/// 200 while the process can do its work, else 503: then only a new start helps.
async fn healthz(State(house): State<House>) -> Response {
    match (house.store.has_writer(), house.worker.is_over()) {
        (true, false) => "ok\n".into_response(),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "the task that writes has ended\n").into_response(),
        (true, true) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the task that works off the queue has ended\n").into_response()
        }
    }
}

/// 200 if calls can be saved, messages stored and callbacks followed up, else 503 with what is wrong. `degraded` lists what
/// works less well than it should: nobody is turned away for it.
async fn readyz(State(house): State<House>, Extension(seen): Extension<Seen>) -> Response {
    let (database, tables) = tokio::join!(database(&house), tables(&house, &seen));
    let (recordings, free) = tokio::join!(recordings(&house, &seen), timeout(READY_WITHIN, house.folder.free_bytes()));
    let free_bytes = free.ok().and_then(Result::ok);
    let disk = match free_bytes {
        Some(free) if free < MIN_FREE_BYTES => Err(format!("only {free} bytes are free")),
        _ => Ok(()),
    };
    let depth = house.store.spool_depth();
    let spool = match depth.in_memory {
        0 if house.store.refuses_spooled() => {
            Err(format!("the database answers and does not take {} spooled deliveries", depth.durable))
        }
        0 => Ok(()),
        count => Err(format!("{count} deliveries are in memory alone")),
    };
    let jobs = match timeout(READY_WITHIN, house.store.jobs_summary()).await {
        Ok(jobs) => jobs.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", READY_WITHIN.as_secs())),
    };
    let parts = [
        ("database", database.and(tables)),
        ("recordings", recordings),
        ("worker", worker(&house)),
        ("disk", disk),
        ("spool", spool),
        ("queue", jobs.as_ref().map(drop).map_err(Clone::clone)),
    ];
    let is_ready = parts.iter().all(|(_, part)| part.is_ok());
    let oldest_job = jobs.ok().map(|jobs| jobs.waiting.iter().map(|(_, _, made_at)| *made_at).min());
    let now = house.clock.now();
    let reconciled = timeout(READY_WITHIN, reconciled(&house, now)).await.unwrap_or_default();
    let mut answer = serde_json::Map::new();
    for (name, part) in parts {
        answer.insert(name.to_owned(), part.err().unwrap_or_else(|| "ok".to_owned()).into());
    }
    answer.insert("free_bytes".to_owned(), json!(free_bytes));
    answer.insert("spooled".to_owned(), json!(depth.durable));
    answer.insert("in_memory".to_owned(), json!(depth.in_memory));
    answer.insert("set_aside".to_owned(), json!(depth.set_aside));
    let age = oldest_job.map(|made_at| made_at.map_or(0, |made_at| elapsed_ms(made_at, now) / 1000));
    answer.insert("oldest_job_seconds".to_owned(), json!(age));
    let is_old =
        |provider: &Reconciled| provider.is_listed && provider.age_ms.is_none_or(|age| age > MAX_RECONCILED_AGE_MS);
    let degraded: Vec<String> =
        reconciled.iter().filter(|it| is_old(it)).map(|it| format!("reconciliation {}", it.name)).collect();
    let ages: serde_json::Map<_, _> =
        reconciled.into_iter().map(|it| (it.name, json!(it.age_ms.map(|age| age / 1000)))).collect();
    answer.insert("reconciled_seconds_ago".to_owned(), ages.into());
    answer.insert("degraded".to_owned(), json!(degraded));
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(answer)).into_response()
}

/// How a provider's lists were compared with ours.
struct Reconciled {
    name: String,
    /// Whether it has lists, and is asked for them.
    is_listed: bool,
    /// How long ago the last complete look ended; `None` if none has ended, or if there are no lists.
    age_ms: Option<i64>,
}

/// All providers by name. Where the database does not answer the ages are unknown.
async fn reconciled(house: &House, now: Timestamp) -> Vec<Reconciled> {
    let mut reconciled = Vec::new();
    for provider in house.providers.iter() {
        let is_listed = !house.rehearsal && listing_of(provider).is_ok();
        let row = if is_listed { house.store.reconciliation(provider.name(), now).await.ok().flatten() } else { None };
        let age_ms = row.and_then(|row| row.ended_at).map(|at| elapsed_ms(at, now));
        reconciled.push(Reconciled { name: provider.name().to_string(), is_listed, age_ms });
    }
    reconciled.sort_by(|one, other| one.name.cmp(&other.name));
    reconciled
}

/// Whether the worker looks for work.
pub(super) fn worker(house: &House) -> Result<(), String> {
    match house.worker.age() {
        None => Err("does not run".to_owned()),
        Some(age) if age > WORKER_SILENT_FOR => Err(format!("silent for {} s", age.as_secs())),
        Some(_) => Ok(()),
    }
}

/// Whether it can be read and written.
pub(super) async fn database(house: &House) -> Result<(), String> {
    let asking = async { tokio::join!(house.store.ping_writer(), house.store.ping()) };
    match timeout(READY_WITHIN, asking).await {
        // The writer knows why.
        Ok((writer, reader)) => writer.and(reader).map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", READY_WITHIN.as_secs())),
    }
}

/// A real commit and a real read of the main tables, not older than some seconds.
async fn tables(house: &House, seen: &Seen) -> Result<(), String> {
    let looking = seen_lately(&seen.tables, async {
        house.store.probe(house.clock.now()).await.map_err(|error| error.to_string())
    });
    timeout(READY_WITHIN, looking)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", READY_WITHIN.as_secs())))
}

async fn recordings(house: &House, seen: &Seen) -> Result<(), String> {
    let looking =
        seen_lately(&seen.recordings, async { house.folder.probe().await.map_err(|error| error.to_string()) });
    timeout(READY_WITHIN, looking).await.unwrap_or_else(|_| Err("the disk does not answer".to_owned()))
}

/// Always answers: what counts while the database is away is needed most then. Gauges that are read from it keep their last
/// values, and `perezvon_database_up` says so.
async fn scrape(State(house): State<House>) -> Response {
    metrics::gauge!("perezvon_writer_waiting").set(house.store.waiting() as f64);
    let measured = async { timeout(READY_WITHIN, measure(&house)).await.is_ok_and(|measured| measured.is_ok()) };
    let (measured, database) = tokio::join!(measured, database(&house));
    metrics::gauge!("perezvon_database_up").set(f64::from(u8::from(measured && database.is_ok())));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], house.metrics.render()).into_response()
}

/// Gauges are read from the tables when somebody asks.
async fn measure(house: &House) -> Result<(), StoreError> {
    let now = house.clock.now();
    for (line, open, overdue) in for_every_line(&house.lines(), house.store.count_open(now).await?) {
        metrics::gauge!("perezvon_callbacks_open", "line" => line.to_string()).set(open as f64);
        metrics::gauge!("perezvon_callbacks_overdue", "line" => line.to_string()).set(overdue as f64);
    }
    let jobs = house.store.jobs_summary().await?;
    for kind in crate::store::JobKind::ALL {
        let waiting = jobs.waiting.iter().find(|(word, _, _)| word == kind.as_str());
        let (count, oldest) = waiting.map_or((0, 0), |(_, count, made_at)| (*count, elapsed_ms(*made_at, now)));
        metrics::gauge!("perezvon_jobs_waiting", "kind" => kind.as_str()).set(count as f64);
        metrics::gauge!("perezvon_jobs_oldest_seconds", "kind" => kind.as_str()).set(oldest as f64 / 1000.0);
    }
    metrics::gauge!("perezvon_jobs_given_up").set(jobs.given_up.iter().map(|(_, number)| number).sum::<i64>() as f64);
    if let Some(last) = house.store.last_backup(now).await? {
        metrics::gauge!("perezvon_backup_age_seconds").set(elapsed_ms(last.made_at, now) as f64 / 1000.0);
        metrics::gauge!("perezvon_backup_bytes").set(last.size_bytes as f64);
    }
    metrics::gauge!("perezvon_alarms_open").set(house.store.count_alarms().await? as f64);
    Ok(())
}

/// Open and overdue callbacks of each line, those included on which nobody waits: they have no row, and a gauge nobody sets
/// keeps its last value.
fn for_every_line(lines: &Lines, mut waiting: Vec<(LineId, i64, i64)>) -> Vec<(LineId, i64, i64)> {
    for id in lines.iter().map(|line| line.id.clone()).chain([LineId::unknown()]) {
        if waiting.iter().all(|(line, ..)| *line != id) {
            waiting.push((id, 0, 0));
        }
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::line::Line;

    #[test]
    fn a_line_whose_last_callback_is_closed_counts_none() {
        let calendar = Calendar::new(Hours::default());
        let line = |id| Line::new(LineId::new(id), None, "Линия", calendar.clone());
        let lines = Lines::new(vec![line("staff"), line("parents")], calendar.clone());
        let told = for_every_line(&lines, vec![(LineId::new("parents"), 3, 1), (LineId::new("gone"), 1, 0)]);
        let told: Vec<_> = told.iter().map(|(id, open, overdue)| (id.as_str(), *open, *overdue)).collect();
        assert_eq!(told, [("parents", 3, 1), ("gone", 1, 0), ("staff", 0, 0), ("unknown", 0, 0)]);
    }
}
