//! The one task that writes. It takes all that waits, folds it into one transaction, commits once, answers all.
//!
//! While one flush runs, the next batch gathers: no timer, no delay when idle. A batch that fails is rolled back and
//! redone piece by piece, so that neither one bad row nor another instance fails its neighbours.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, Connection};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::audit_chain::NewRows;
use super::database::Database;
use super::ids::Ids;
use super::ingest::{self, Delivery, Kept};
use super::news::{News, Touched};
use super::{Result, Store, StoreError};
use crate::core::line::LiveLines;
use crate::time::Timestamp;

/// How many requests may wait for the writer. Beyond that the answer is «busy», never an unbounded queue.
pub(super) const QUEUE: usize = 4096;
/// The longest a commit may take. A locked SQLite file gives up after 5 s by itself.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);
/// The largest batch of one commit.
const BATCH: usize = 512;
/// Attempts of a piece that loses its ids or its locks to another instance.
const MAX_ATTEMPTS: usize = 5;

/// What waits for the writer.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all work is deliveries: boxing them would cost each one an allocation"
)]
pub(super) enum Work {
    Deliver(Delivery, oneshot::Sender<Result<Kept>>),
    Errand(Box<dyn Errand>),
    Close(oneshot::Sender<()>),
}

/// The writing connection inside a transaction, with the ids for new rows.
pub(super) struct Writing<'c> {
    pub sql: &'c mut AnyConnection,
    /// Rows of the audit, which enter it as the last act of the commit.
    pub audit: &'c mut NewRows,
    ids: &'c mut Ids,
    touched: &'c mut Touched,
}

impl Writing<'_> {
    pub fn new_id(&mut self, now: Timestamp) -> i64 {
        self.ids.next(now)
    }

    /// What is written changes the list of callbacks, or a message on it: open pages are told after the commit.
    pub fn touches_the_list(&mut self) {
        self.touched.list = true;
    }

    /// Somebody may no longer be here after the commit: open pages look whose they are.
    pub fn touches_people(&mut self) {
        self.touched.people = true;
    }
}

/// The error of a piece of writing: a refusal of ours, or the database's.
pub(super) trait WriteError: From<StoreError> + Send + 'static {
    /// The database's error, if it is one.
    fn as_store_error(&self) -> Option<&StoreError>;
}

impl WriteError for StoreError {
    fn as_store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// A piece of writing other than a delivery, with the one who waits for its answer.
pub(super) trait Errand: Send {
    /// Runs it from its beginning. `false`: it failed, and nothing of it may stay.
    fn run<'a>(&'a mut self, writing: Writing<'a>) -> BoxFuture<'a, bool>;
    /// The database's error that ended the last run.
    fn failure(&self) -> Option<&StoreError>;
    /// `committed` is the error that undid it all, if any.
    fn answer(self: Box<Self>, committed: Option<StoreError>);
}

struct Writeup<F, T, E> {
    /// Cloned for each run: another instance may have undone the one before.
    task: F,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Errand for Writeup<F, T, E>
where
    F: for<'c> FnOnce(Writing<'c>) -> BoxFuture<'c, Result<T, E>> + Clone + Send,
    T: Send,
    E: WriteError,
{
    fn run<'a>(&'a mut self, writing: Writing<'a>) -> BoxFuture<'a, bool> {
        let task = self.task.clone();
        Box::pin(async move { self.result.insert(task(writing).await).is_ok() })
    }

    fn failure(&self) -> Option<&StoreError> {
        self.result.as_ref()?.as_ref().err()?.as_store_error()
    }

    fn answer(self: Box<Self>, committed: Option<StoreError>) {
        let result = match (committed, self.result) {
            // A refusal changed nothing, so a failed commit does not make it untrue.
            (_, Some(Err(refused))) => Err(refused),
            (Some(failed), _) => Err(failed.into()),
            (None, Some(done)) => done,
            (None, None) => Err(StoreError::Closed.into()),
        };
        let _ = self.answer.send(result);
    }
}

impl Store {
    /// Keeps a delivery and applies it to its call. When this returns, both have survived power loss.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Kept> {
        let (answer, kept) = oneshot::channel();
        self.writer.try_send(Work::Deliver(delivery, answer)).map_err(|full| match full {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        kept.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `task` inside the writer's next transaction. An error rolls back what the task did, and nothing else. What another
    /// instance undoes runs again.
    pub(super) async fn write<T, E, F>(&self, task: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: for<'c> FnOnce(Writing<'c>) -> BoxFuture<'c, Result<T, E>> + Clone + Send + 'static,
    {
        let (answer, done) = oneshot::channel();
        let errand = Writeup { task, result: None, answer };
        self.writer.send(Work::Errand(Box::new(errand))).await.map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }

    /// The same for what nobody waits for and what may be lost: where the writer has no room, it is.
    pub(super) fn write_unattended<F>(&self, task: F)
    where
        F: for<'c> FnOnce(Writing<'c>) -> BoxFuture<'c, Result<()>> + Clone + Send + 'static,
    {
        let (answer, _) = oneshot::channel();
        let errand = Writeup::<F, (), StoreError> { task, result: None, answer };
        let _ = self.writer.try_send(Work::Errand(Box::new(errand)));
    }
}

#[cfg(test)]
impl Store {
    /// Ends the task that writes, as a fault of ours would.
    pub async fn panic_in_the_writer(&self) {
        let ended = self.write::<(), StoreError, _>(|_| Box::pin(async { panic!("a test ends the writer") })).await;
        assert!(matches!(ended, Err(StoreError::Closed)), "{ended:?}");
    }
}

/// Works until the last [`Store`] is gone or one asks to close.
pub(super) async fn run(database: Database, mut inbox: mpsc::Receiver<Work>, lines: LiveLines, news: News) {
    let mut writer = Writer { connection: None, database, ids: Ids::new(), lines, news };
    let mut waiting = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut waiting, BATCH).await > 0 {
        let mut batch = Batch::default();
        let mut closing = Vec::new();
        for work in waiting.drain(..) {
            match work {
                Work::Deliver(delivery, answer) => {
                    batch.deliveries.push(delivery);
                    batch.answers.push(answer);
                }
                Work::Errand(errand) => batch.errands.push(errand),
                Work::Close(done) => closing.push(done),
            }
        }
        writer.take(batch).await;
        if !closing.is_empty() {
            inbox.close();
            if let Some(connection) = writer.connection.take()
                && let Err(failed) = connection.close().await
            {
                warn!(error = %failed, "Closing the writing connection failed");
            }
            closing.into_iter().for_each(|done| {
                let _ = done.send(());
            });
            return;
        }
    }
}

#[derive(Default)]
struct Batch {
    deliveries: Vec<Delivery>,
    answers: Vec<oneshot::Sender<Result<Kept>>>,
    errands: Vec<Box<dyn Errand>>,
}

struct Writer {
    /// `None` at first and after a failure: the next batch connects.
    connection: Option<AnyConnection>,
    database: Database,
    ids: Ids,
    lines: LiveLines,
    news: News,
}

impl Writer {
    async fn take(&mut self, batch: Batch) {
        let Batch { deliveries, answers, mut errands } = batch;
        let started = Instant::now();
        let size = deliveries.len() + errands.len();
        match self.commit(&deliveries, &mut errands).await {
            Ok(kept) => {
                metrics::histogram!("perezvon_commit_batch_size").record(size as f64);
                metrics::histogram!("perezvon_commit_seconds").record(started.elapsed().as_secs_f64());
                for (answer, kept) in answers.into_iter().zip(kept) {
                    let _ = answer.send(Ok(kept));
                }
                for mut errand in errands {
                    let deserves_a_turn = errand.failure().is_some_and(StoreError::may_be_one_rows_fault);
                    let failed = if deserves_a_turn {
                        self.commit_alone(&[], std::slice::from_mut(&mut errand)).await.err()
                    } else {
                        None
                    };
                    errand.answer(failed);
                }
            }
            Err(failed) => {
                metrics::counter!("perezvon_commit_failures_total").increment(1);
                warn!(error = %failed, batch = size, "A commit of {size} failed");
                let deserve_a_turn = failed.may_be_one_rows_fault();
                for (delivery, answer) in deliveries.into_iter().zip(answers) {
                    let alone = if deserve_a_turn {
                        self.commit_alone(std::slice::from_ref(&delivery), &mut []).await
                    } else {
                        Err(failed.clone())
                    };
                    if let Err(failed) = &alone {
                        debug!(error = %failed, provider = %delivery.provider, "A delivery is not in the database");
                    }
                    // One delivery went in, so one comes out.
                    let _ = answer.send(alone.map(|mut kept| kept.remove(0)));
                }
                for mut errand in errands {
                    let failed = if deserve_a_turn {
                        self.commit_alone(&[], std::slice::from_mut(&mut errand)).await.err()
                    } else {
                        Some(failed.clone())
                    };
                    errand.answer(failed);
                }
            }
        }
    }

    /// One delivery or one errand. Two instances on one PostgreSQL may make the same id in the same millisecond: then ours go
    /// on somewhere after the newest that is there. They may lock rows in another order: then one of them is undone. Both times
    /// the piece is tried again.
    async fn commit_alone(&mut self, delivery: &[Delivery], errand: &mut [Box<dyn Errand>]) -> Result<Vec<Kept>> {
        let mut attempts = 1;
        loop {
            let done = self.commit(delivery, errand).await;
            let Some(failed) = done.as_ref().err().or_else(|| errand.first()?.failure()) else { return done };
            let has_taken_ids = failed.is_unique_violation();
            if attempts == MAX_ATTEMPTS || !has_taken_ids && !failed.is_lost_to_another() {
                return done;
            }
            attempts += 1;
            if has_taken_ids {
                let Some(connection) = self.connection.as_mut() else { return done };
                let mut apart = [0];
                // Without randomness both instances may meet once more, and try once more.
                let _ = getrandom::fill(&mut apart);
                let newest = tokio::time::timeout(COMMIT_WITHIN, super::ids::newest(connection));
                let Ok(newest) = newest.await else {
                    self.connection = None;
                    return Err(StoreError::TimedOut);
                };
                self.ids.go_on_after(newest? + 16 * i64::from(apart[0]));
            }
        }
    }

    /// One transaction over everything, within a bounded time: a connection that hangs is dropped, the next batch connects
    /// anew. On an error nothing of it has happened, or nobody has been told so.
    async fn commit(&mut self, deliveries: &[Delivery], errands: &mut [Box<dyn Errand>]) -> Result<Vec<Kept>> {
        let within = tokio::time::timeout(COMMIT_WITHIN, self.commit_unbounded(deliveries, errands));
        match within.await {
            Ok(done) => done,
            Err(_) if self.database.is_upgrading() => Err(StoreError::Upgrading),
            Err(_) => Err(StoreError::TimedOut),
        }
    }

    /// The open connection if it still leads to the database that it was opened for, else a new one. Nothing is committed into
    /// a file that somebody has taken away.
    async fn usable_connection(&mut self) -> Result<AnyConnection> {
        // In its place until it is known to be of no more use: no other one leads to a log that was removed.
        if let Some(connection) = &mut self.connection {
            match self.database.fold_in_removed_log(connection).await {
                Ok(false) => {}
                Ok(true) => self.connection = None,
                Err(StoreError::Busy) => return Err(StoreError::Busy),
                Err(failed) => {
                    self.connection = None;
                    return Err(failed);
                }
            }
        }
        if let Some(mut connection) = self.connection.take()
            && self.database.is_same(&mut connection).await?
        {
            return Ok(connection);
        }
        let (mut connection, is_other) = self.database.connect().await?;
        if is_other {
            self.ids.go_on_after(super::ids::newest(&mut connection).await?);
            self.news.begin(&mut connection).await?;
        }
        Ok(connection)
    }

    async fn commit_unbounded(
        &mut self,
        deliveries: &[Delivery],
        errands: &mut [Box<dyn Errand>],
    ) -> Result<Vec<Kept>> {
        let mut connection = self.usable_connection().await?;
        let mut transaction = connection.begin().await?;
        let kept = ingest::ingest(&mut transaction, &mut self.ids, &self.lines.now(), deliveries).await;
        let kept = match kept {
            Ok(kept) => kept,
            Err(failed) => {
                // The rollback may fail with the connection; then it is dropped with it.
                if transaction.rollback().await.is_ok() {
                    self.connection = Some(connection);
                }
                return Err(failed);
            }
        };
        let mut touched = Touched { list: kept.iter().any(Kept::is_on_the_list), people: false };
        let mut audit = NewRows::default();
        for errand in errands {
            let mut savepoint = transaction.begin().await?;
            let (mut by_this, mut rows) = (Touched::default(), NewRows::default());
            let writing = Writing { sql: &mut savepoint, audit: &mut rows, ids: &mut self.ids, touched: &mut by_this };
            match errand.run(writing).await {
                true => {
                    savepoint.commit().await?;
                    touched |= by_this;
                    audit.extend(rows);
                }
                false => savepoint.rollback().await?,
            }
        }
        self.news.write(&mut transaction, touched).await?;
        audit.write(&mut transaction).await?;
        transaction.commit().await?;
        self.news.tell(touched);
        self.connection = Some(connection);
        Ok(kept)
    }
}
