//! `/metrics`: gauges that are set when somebody asks, beside the counters of all other modules.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::checks::{self, ANSWER_TIMEOUT};
use super::disks::{self, Holding};
use crate::core::line::{LineId, Lines};
use crate::store::{JobKind, StoreError};
use crate::time::elapsed_ms;
use crate::web::House;

/// Always answers: what counts while the database is away is needed most then. Gauges that are read from it keep their last
/// values then, and where it is slow: `perezvon_database_measured` is 0.
pub(super) async fn scrape(State(house): State<House>) -> Response {
    metrics::gauge!("perezvon_writer_waiting").set(house.store.waiting() as f64);
    let measured = async { timeout(ANSWER_TIMEOUT, measure(&house)).await.is_ok_and(|measured| measured.is_ok()) };
    let (measured, database, ()) = tokio::join!(measured, checks::database(&house), measure_disks(&house));
    metrics::gauge!("perezvon_database_up").set(f64::from(u8::from(database.is_ok())));
    metrics::gauge!("perezvon_database_measured").set(f64::from(u8::from(measured)));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], house.metrics.render()).into_response()
}

/// A disk that does not answer is NaN: a gauge that nobody sets keeps its last value.
async fn measure_disks(house: &House) {
    let disks = disks::of(house).await;
    for holding in Holding::ALL {
        let Some(disk) = disks.iter().find(|disk| disk.holds.contains(&holding)) else { continue };
        let free_bytes = disk.free_bytes.map_or(f64::NAN, |free_bytes| free_bytes as f64);
        metrics::gauge!("perezvon_disk_free_bytes", "holds" => holding.name()).set(free_bytes);
    }
}

/// Gauges are read from the tables when somebody asks.
async fn measure(house: &House) -> Result<(), StoreError> {
    let now = house.clock.now();
    for (line, open, overdue) in for_every_line(&house.lines(), house.store.count_open(now).await?) {
        metrics::gauge!("perezvon_callbacks_open", "line" => line.to_string()).set(open as f64);
        metrics::gauge!("perezvon_callbacks_overdue", "line" => line.to_string()).set(overdue as f64);
    }
    let jobs = house.store.jobs_summary().await?;
    for kind in JobKind::ALL {
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
