//! The diary: structured logs on standard error, counters and distributions for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;
use tracing::error;
use tracing_subscriber::EnvFilter;

use super::log_writer::{LogWriter, duplicate};
use crate::core::written_text::before_quotes;

/// What is told unless somebody asks for other things. The library of sessions warns of every session that has run out, and
/// tells errors that we tell ourselves.
const TOLD: &str = "warn,perezvon=info,tower_sessions=error,tower_sessions_core=off";

/// Logs as text on a terminal, as JSON lines elsewhere (journald, a file). `PEREZVON_LOG` chooses what is told, in the
/// usual syntax of filters; by default the diary of the house and warnings of the libraries. Panics are logged as errors.
pub fn start_logs() -> LogWriter {
    let filter = EnvFilter::try_from_env("PEREZVON_LOG").unwrap_or_else(|_| EnvFilter::new(TOLD));
    // Where it cannot be duplicated it is closed, and its lines are lost anyway.
    let writer = match duplicate(std::io::stderr()) {
        Ok(output) => LogWriter::new(output),
        Err(_) => LogWriter::new(std::io::stderr()),
    };
    // The subscriber must not complain on standard error of a line that it could not write: that panics where it is closed.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer.clone()).log_internal_errors(false);
    let started = match std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        true => logs.try_init(),
        false => logs.json().flatten_event(true).with_ansi(false).try_init(),
    };
    // Somebody has started logs already: theirs go on.
    let _ = started;
    std::panic::set_hook(Box::new(|panic| {
        let message = before_quotes(panic.payload_as_str().unwrap_or("no message"));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "A part of the program panicked: {message}");
    }));
    writer
}

/// Folds what the distributions have gathered, until `stop` changes. They keep every value until somebody reads them, and
/// where nobody does they would grow for ever.
pub async fn keep_metrics_small(metrics: PrometheusHandle, mut stop: watch::Receiver<bool>) {
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = minutes.tick() => metrics.run_upkeep(),
            _ = stop.changed() => return,
        }
    }
}

/// The metrics of this process. One recorder serves all houses in it.
pub fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS
        .get_or_init(|| {
            let bounded = |name: &str, bounds: &[f64]| (Matcher::Full(name.to_owned()), bounds.to_vec());
            let (sizes, size_bounds) =
                bounded("perezvon_commit_batch_size", &[1., 2., 4., 8., 16., 32., 64., 128., 256., 512.]);
            let (times, time_bounds) =
                bounded("perezvon_commit_seconds", &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5]);
            PrometheusBuilder::new()
                .set_buckets_for_metric(sizes, &size_bounds)
                .and_then(|builder| builder.set_buckets_for_metric(times, &time_bounds))
                .and_then(|builder| builder.install_recorder())
                .expect("the buckets are not empty, and this is the only recorder of the process")
        })
        .clone()
}
