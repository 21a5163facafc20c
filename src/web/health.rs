//! For machines that watch: `/healthz` (the process and its tasks), `/readyz` (what a call needs to be saved, and its message
//! stored), `/metrics` (Prometheus text).

mod checks;
mod disks;
mod gauges;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

pub(super) use self::checks::{ANSWER_TIMEOUT, Checks, DatabaseError, database, recordings, worker};
pub(super) use self::disks::{Disk, Holding, of as disks_of};
use super::House;
use crate::providers::listing_of;
use crate::store::{JobsSummary, StoreError};
use crate::time::{Timestamp, elapsed_ms};

/// Lists are compared hourly: when the last look ended longer ago than this, somebody should know.
pub(super) const MAX_RECONCILED_AGE_MS: i64 = 3 * 3_600_000;

pub(super) fn router() -> Router<House> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(gauges::scrape))
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
async fn readyz(State(house): State<House>) -> Response {
    let now = house.clock.now();
    let (database, recordings, disks, jobs, reconciled) = tokio::join!(
        database(&house),
        recordings(&house),
        disks_of(&house),
        jobs(&house),
        timeout(ANSWER_TIMEOUT, reconciled(&house, now)),
    );
    let parts = [
        ("database", database.map_err(|error| error.to_string())),
        ("recordings", recordings),
        ("worker", worker(&house)),
        ("disk", disks::have_room(&disks)),
        ("spool", spool(&house)),
        ("queue", jobs.as_ref().map(drop).map_err(Clone::clone)),
    ];
    let is_ready = parts.iter().all(|(_, part)| part.is_ok());
    let parts = parts.map(|(name, part)| (name.to_owned(), part.err().unwrap_or_else(|| "ok".to_owned()).into()));
    let mut answer = Map::from_iter(parts);
    answer.extend(room(&disks));
    answer.extend(backlog(&house, jobs.ok(), now));
    let (ages, late) = comparisons(reconciled.unwrap_or_default());
    answer.insert("reconciled_seconds_ago".to_owned(), ages);
    answer.insert("degraded".to_owned(), json!([late, disks::degraded(&disks)].concat()));
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(answer)).into_response()
}

/// What no disk takes is lost by a stop.
fn spool(house: &House) -> Result<(), String> {
    match house.store.spool_depth().in_memory {
        0 => Ok(()),
        count => Err(format!("{count} deliveries are in memory alone")),
    }
}

async fn jobs(house: &House) -> Result<JobsSummary, String> {
    match timeout(ANSWER_TIMEOUT, house.store.jobs_summary()).await {
        Ok(jobs) => jobs.map_err(|error| error.to_string()),
        Err(_) => Err(StoreError::TimedOut.to_string()),
    }
}

/// `free_bytes` is that of the disk with the least room; `disks` has that of each thing that may lie on a disk of its own.
fn room(disks: &[Disk]) -> [(String, Value); 2] {
    let each: Map<String, Value> = disks
        .iter()
        .flat_map(|disk| disk.holds.iter().map(|holding| (holding.name().to_owned(), json!(disk.free_bytes))))
        .collect();
    let least = disks.iter().filter_map(|disk| disk.free_bytes).min();
    [("free_bytes".to_owned(), json!(least)), ("disks".to_owned(), each.into())]
}

/// What waits to be done.
fn backlog(house: &House, jobs: Option<JobsSummary>, now: Timestamp) -> [(String, Value); 4] {
    let depth = house.store.spool_depth();
    let oldest_job = jobs.map(|jobs| jobs.waiting.iter().map(|(_, _, made_at)| *made_at).min());
    let age = oldest_job.map(|made_at| made_at.map_or(0, |made_at| elapsed_ms(made_at, now) / 1000));
    [
        ("spooled".to_owned(), json!(depth.durable)),
        ("in_memory".to_owned(), json!(depth.in_memory)),
        ("set_aside".to_owned(), json!(depth.set_aside)),
        ("oldest_job_seconds".to_owned(), json!(age)),
    ]
}

/// How long ago each provider's lists were compared with ours, and which of them too long ago.
fn comparisons(reconciled: Vec<Reconciled>) -> (Value, Vec<String>) {
    let is_old =
        |provider: &&Reconciled| provider.is_listed && provider.age_ms.is_none_or(|age| age > MAX_RECONCILED_AGE_MS);
    let late = reconciled.iter().filter(is_old).map(|it| format!("reconciliation {}", it.name)).collect();
    let ages: Map<String, Value> =
        reconciled.into_iter().map(|it| (it.name, json!(it.age_ms.map(|age| age / 1000)))).collect();
    (ages.into(), late)
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
