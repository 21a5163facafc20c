//! Whether the parts that a call needs do their work: asked in one way by `/readyz`, `/metrics` and «Состояние».

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::disks::Holding;
use crate::store::{DatabaseCause, StoreError};
use crate::web::House;

/// A part that has not answered within this time does not answer.
pub(in crate::web) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A check that waits for the disk is made again after this time: whoever asks earlier is told what was found last.
const FOUND_FOR: Duration = Duration::from_secs(5);
/// The worker beats in each of its rounds, every second; one may take in a long spool before.
const MAX_WORKER_SILENCE: Duration = Duration::from_secs(15 * 60);

/// What the checks that keep a disk busy found last, for all who ask.
#[derive(Clone, Default)]
pub(in crate::web) struct Checks {
    recordings: Arc<Mutex<Option<Finding<String>>>>,
    tables: Arc<Mutex<Option<Finding<StoreError>>>>,
    probe: SingleFlight,
    /// By `Holding`.
    pub disks: [SingleFlight; Holding::ALL.len()],
    pub sounds: SingleFlight,
}

/// Runs one look at a disk at a time. A thread that waits for a disk cannot be taken back: if each request started one of
/// its own, a disk that hangs would use up the threads with which the spool on another disk is written.
#[derive(Clone, Default)]
pub(in crate::web) struct SingleFlight(Arc<Mutex<()>>);

impl SingleFlight {
    /// What `look` finds. It begins when the one before has ended, and ends whether or not somebody still waits for it.
    pub async fn run<T: Send + 'static>(&self, look: impl Future<Output = T> + Send + 'static) -> T {
        let turn = self.0.clone().lock_owned().await;
        let looking = tokio::spawn(async move {
            let found = look.await;
            drop(turn);
            found
        });
        looking.await.expect("a look at a disk does not panic and is never cancelled")
    }
}

struct Finding<E> {
    at: Instant,
    result: Result<(), E>,
}

/// What was found last, or what `check` finds now.
async fn found_lately<E: Clone>(
    last: &Mutex<Option<Finding<E>>>,
    check: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let mut last = last.lock().await;
    match &*last {
        // What was wrong may be mended by now.
        Some(finding) if finding.result.is_ok() && finding.at.elapsed() < FOUND_FOR => Ok(()),
        _ => {
            let result = check.await;
            last.insert(Finding { at: Instant::now(), result }).result.clone()
        }
    }
}

/// Why calls do not come into the database.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::web) enum DatabaseError {
    /// It does not answer, or is not in its place.
    #[error("{0}")]
    Away(StoreError),
    /// It answers and takes no commit, or its main tables cannot be read: a full disk, a damaged file, a database that may
    /// only be read.
    #[error("{0}")]
    Unusable(StoreError),
    /// It answers and takes commits, and does not take so many deliveries that are spooled: damaged, as a rule.
    #[error("the database answers and does not take {0} spooled deliveries")]
    RefusesSpooled(usize),
}

impl DatabaseError {
    /// Whether nothing at all can be written, so that nobody can sign in.
    pub fn is_total(&self) -> bool {
        match self {
            Self::Away(_) | Self::Unusable(_) => true,
            Self::RefusesSpooled(_) => false,
        }
    }
}

/// Whether the database takes calls: it answers, has taken a real commit and read its main tables some seconds ago, and
/// refuses nothing that waits for it.
pub(in crate::web) async fn database(house: &House) -> Result<(), DatabaseError> {
    let probing = found_lately(&house.checks.tables, house.store.probe(house.clock.now()));
    let (answer, tables) = tokio::join!(ping(house), timeout(ANSWER_TIMEOUT, probing));
    answer?;
    tables.unwrap_or(Err(StoreError::TimedOut)).map_err(DatabaseError::Unusable)?;
    if house.store.refuses_spooled() {
        return Err(DatabaseError::RefusesSpooled(house.store.spool_depth().durable));
    }
    Ok(())
}

/// Whether the database answers whoever reads and whoever writes.
async fn ping(house: &House) -> Result<(), DatabaseError> {
    let (writer, reader) =
        tokio::join!(timeout(ANSWER_TIMEOUT, house.store.ping_writer()), timeout(ANSWER_TIMEOUT, house.store.ping()));
    let answer = |answer: Result<Result<(), StoreError>, Elapsed>| match answer {
        Ok(answer) => answer,
        Err(_) if house.store.is_upgrading() => Err(StoreError::Upgrading),
        Err(_) => Err(StoreError::TimedOut),
    };
    match (answer(writer), answer(reader)) {
        (Ok(()), Ok(())) => Ok(()),
        // Whoever reads may still have a file open that is gone.
        (Err(error), Ok(())) if ![DatabaseCause::Gone, DatabaseCause::Upgrading].contains(&error.cause()) => {
            Err(DatabaseError::Unusable(error))
        }
        // The writer knows why.
        (Err(error), _) | (Ok(()), Err(error)) => Err(DatabaseError::Away(error)),
    }
}

/// Whether the folder of recordings can be written.
pub(in crate::web) async fn recordings(house: &House) -> Result<(), String> {
    let folder = house.folder.clone();
    let probing = house.checks.probe.run(async move { folder.probe().await.map_err(|error| error.to_string()) });
    let writing = found_lately(&house.checks.recordings, probing);
    timeout(ANSWER_TIMEOUT, writing).await.unwrap_or_else(|_| Err("the disk does not answer".to_owned()))
}

/// Whether the worker looks for work.
pub(in crate::web) fn worker(house: &House) -> Result<(), String> {
    match house.worker.age() {
        None => Err("does not run".to_owned()),
        Some(age) if age > MAX_WORKER_SILENCE => Err(format!("silent for {} s", age.as_secs())),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn disk_that_hangs_keeps_one_look_busy() {
        let (flight, disk, begun) =
            (SingleFlight::default(), Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let look = || {
            let (disk, begun) = (disk.clone(), begun.clone());
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                disk.acquire().await.unwrap().forget();
            }
        };
        for _ in 0..3 {
            assert!(timeout(Duration::ZERO, flight.run(look())).await.is_err());
            tokio::task::yield_now().await;
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        disk.add_permits(2);
        flight.run(look()).await;
        assert_eq!(begun.load(Ordering::Relaxed), 2, "it is looked at again once it answers");
    }
}
