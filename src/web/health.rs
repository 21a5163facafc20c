//! For machines that watch: `/healthz` (the process), `/readyz` (database, recordings), `/metrics` (Prometheus text).

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::House;
use crate::core::line::LineId;
use crate::store::StoreError;
use crate::time::elapsed_ms;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
}

/// 200 if calls can be kept and messages stored, else 503 with what is wrong.
async fn readyz(State(house): State<House>) -> Response {
    let database = house.store.ping().await.map_err(|error| error.to_string());
    let recordings = house.folder.probe().await.map_err(|error| error.to_string());
    let status = match database.is_ok() && recordings.is_ok() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let word = |part: Result<(), String>| part.err().unwrap_or_else(|| "ok".to_owned());
    (status, Json(json!({ "database": word(database), "recordings": word(recordings) }))).into_response()
}

async fn scrape(State(house): State<House>) -> Response {
    if let Err(error) = measure(&house).await {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response();
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], house.metrics.render()).into_response()
}

/// Gauges are read from the tables when somebody asks.
async fn measure(house: &House) -> Result<(), StoreError> {
    let now = house.clock.now();
    let waiting = house.store.count_open(now).await?;
    let all = house.lines.iter().map(|line| line.id.clone()).chain([LineId::unknown()]);
    // A line nobody waits on has no row, and a gauge nobody sets keeps its last value.
    let silent = all.filter(|id| waiting.iter().all(|(line, ..)| line != id)).map(|id| (id, 0, 0));
    let silent: Vec<_> = silent.collect();
    for (line, open, overdue) in waiting.into_iter().chain(silent) {
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
    metrics::gauge!("perezvon_jobs_given_up").set(jobs.given_up as f64);
    metrics::gauge!("perezvon_writer_waiting").set(house.store.waiting() as f64);
    metrics::gauge!("perezvon_alarms_open").set(house.store.alarms().await?.len() as f64);
    Ok(())
}
