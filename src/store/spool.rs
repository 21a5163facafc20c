//! The spool: verified deliveries that the database cannot take now. Each lies in a durable file of its own until the
//! database has it, so that an acknowledged webhook outlives whatever breaks (R20). What cannot even be written to a file is
//! held in memory, and everybody is told.
//!
//! A delivery may be applied twice if the end comes between applying it and removing its file: its events bear repeating.

mod disk;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{error, info, warn};

use self::disk::Disk;
pub use self::disk::from_line;
use super::{Delivery, Kept, Store, StoreError};
use crate::time::Timestamp;

/// The most that memory holds of what no disk takes: a week of a school's calls.
const MAX_IN_MEMORY: usize = 10_000;
/// Timeout of writing a file. A disk that hangs may be why the database does; what takes longer goes on behind the answer.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// Applied at once: they share a commit.
const CHUNK: usize = 64;
/// Timeout of the last attempt when the service stops.
const LAST_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

const DATABASE_WAS_AWAY: &str = "База данных какое-то время не принимала звонки. Звонившим предлагали оставить сообщение, эти \
    звонки теперь в журнале и в списке. Проверьте место на диске и журнал службы за это время.";
const SET_ASIDE: &str = "Звонок, пришедший при неисправной базе данных, внести в неё не удалось. Он отложен в папку .spool \
    внутри папки записей. Найдите звонившего у провайдера и покажите файл администратору.";
const LOST: &str = "В прошлый раз служба остановилась, не сумев записать на диск часть звонков: он был полон или недоступен для \
    записи. Они напечатаны в журнале службы, внесите их: perezvon replay --spool ФАЙЛ. Сверьте и список звонков у оператора.";

/// How a delivery was taken in.
#[expect(clippy::large_enum_variant, reason = "nearly all are applied: boxing them would cost each one an allocation")]
#[derive(Debug)]
pub enum Accepted {
    /// It is in the database.
    Applied(Kept),
    /// It is in a file, and will be in the database when that can take it.
    Spooled(StoreError),
    /// It is in memory alone: not to be acknowledged to anybody who could repeat it.
    InMemory(StoreError),
}

/// How much waits for the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolDepth {
    /// In files.
    pub durable: usize,
    /// In memory alone.
    pub in_memory: usize,
}

/// `None` for a store without a disk of its own, as commands and tests have it.
pub(super) struct Spool {
    disk: Option<Arc<Disk>>,
    in_memory: Mutex<VecDeque<Delivery>>,
    /// Files whose delivery still waits for the writer: a second copy behind it would be work for nothing.
    in_writer: Mutex<BTreeSet<PathBuf>>,
    durable: AtomicUsize,
}

impl Spool {
    pub fn without_disk() -> Self {
        Self::on(None)
    }

    fn on(disk: Option<Disk>) -> Self {
        Self {
            disk: disk.map(Arc::new),
            in_memory: Mutex::default(),
            in_writer: Mutex::default(),
            durable: AtomicUsize::new(0),
        }
    }

    fn in_memory(&self) -> MutexGuard<'_, VecDeque<Delivery>> {
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_writer(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.in_writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn depth(&self) -> SpoolDepth {
        SpoolDepth { durable: self.durable.load(Ordering::Relaxed), in_memory: self.in_memory().len() }
    }

    fn count(&self) {
        let SpoolDepth { durable, in_memory } = self.depth();
        metrics::gauge!("perezvon_deliveries_spooled").set(durable as f64);
        metrics::gauge!("perezvon_deliveries_in_memory").set(in_memory as f64);
    }

    /// The file of the delivery, once it is durable.
    async fn write(&self, delivery: &Delivery) -> Option<PathBuf> {
        let (disk, delivery) = (self.disk.clone()?, delivery.clone());
        let writing = tokio::task::spawn_blocking(move || disk.write(&delivery));
        match tokio::time::timeout(WRITE_TIMEOUT, writing).await {
            Ok(Ok(Ok(path))) => {
                self.durable.fetch_add(1, Ordering::Relaxed);
                self.count();
                Some(path)
            }
            Ok(Ok(Err(failed))) => {
                error!(error = %failed, "A delivery is in memory alone, no disk takes it: {failed}");
                None
            }
            Ok(Err(_)) | Err(_) => {
                error!("A delivery is in memory alone, the disk does not answer");
                None
            }
        }
    }

    fn remember(&self, delivery: Delivery) {
        let mut in_memory = self.in_memory();
        if in_memory.len() == MAX_IN_MEMORY {
            error!("More than {MAX_IN_MEMORY} deliveries are in memory alone; the oldest is lost");
            metrics::counter!("perezvon_deliveries_lost_total").increment(1);
            in_memory.pop_front();
        }
        in_memory.push_back(delivery);
        drop(in_memory);
        self.count();
    }

    async fn remove(&self, path: PathBuf) {
        match tokio::fs::remove_file(&path).await {
            Ok(()) => self.uncount(),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            Err(failed) => warn!(error = %failed, "A spooled file is applied and cannot be removed: {failed}"),
        }
    }

    fn uncount(&self) {
        let _ = self.durable.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_sub(1)));
        self.count();
    }
}

impl Store {
    /// Spools to `folder` and, where that cannot be written, to `emergency`. `former` is where an older version spooled.
    ///
    /// # Errors
    /// Never for a disk that fails now: it is tried again at each delivery.
    pub fn with_spool(mut self, folder: &Path, emergency: &Path, former: &Path) -> Self {
        let disk = Disk::new(folder.to_owned(), emergency.to_owned());
        if let Err(failed) = disk.prepare().and_then(|()| disk::take_over(former, folder)) {
            error!(error = %failed, "The spool {} cannot be prepared: {failed}", folder.display());
        }
        self.spool = Arc::new(Spool::on(Some(disk)));
        self
    }

    /// Takes in a delivery that is to be acknowledged: into the database if that answers within `limit`, else into the spool.
    pub async fn accept(&self, limit: Duration, delivery: Delivery) -> Accepted {
        let (store, copy) = (self.clone(), delivery.clone());
        let mut applying = Box::pin(async move { store.deliver(copy).await });
        let failed = match tokio::time::timeout(limit, &mut applying).await {
            Ok(Ok(applied)) => return Accepted::Applied(applied),
            Ok(Err(failed)) => {
                return match self.spool.write(&delivery).await {
                    Some(_) => Accepted::Spooled(failed),
                    None => {
                        self.spool.remember(delivery);
                        Accepted::InMemory(failed)
                    }
                };
            }
            Err(_) => StoreError::TimedOut,
        };
        // It still waits for the writer. If that takes it after all, the copy goes.
        let file = self.spool.write(&delivery).await;
        let is_durable = file.is_some();
        self.spool.in_writer().extend(file.clone());
        let store = self.clone();
        tokio::spawn(async move {
            let applied = applying.await.is_ok();
            match file {
                Some(path) => {
                    if applied {
                        store.spool.remove(path.clone()).await;
                    }
                    store.spool.in_writer().remove(&path);
                }
                None if !applied => store.spool.remember(delivery),
                None => {}
            }
        });
        if is_durable { Accepted::Spooled(failed) } else { Accepted::InMemory(failed) }
    }

    /// How much waits for the database.
    pub fn spool_depth(&self) -> SpoolDepth {
        self.spool.depth()
    }

    /// Applies what waits, oldest first, for as long as the database takes any of it. The answer is how many were applied.
    pub async fn drain_spool(&self) -> usize {
        let (applied_from_files, since) = self.drain_files().await;
        let (applied_from_memory, since_in_memory) = self.drain_memory().await;
        let applied = applied_from_files + applied_from_memory;
        if let Some(since) = since.into_iter().chain(since_in_memory).min() {
            info!("Applied {applied} deliveries that came while the database was away");
            self.alarm_of_ours("database", DATABASE_WAS_AWAY, since).await;
        }
        applied
    }

    async fn drain_files(&self) -> (usize, Option<Timestamp>) {
        let Some(disk) = self.spool.disk.clone() else { return (0, None) };
        let listing = tokio::task::spawn_blocking(move || disk.spooled()).await;
        let mut files = listing.unwrap_or_default();
        self.spool.durable.store(files.len(), Ordering::Relaxed);
        self.spool.count();
        {
            let in_writer = self.spool.in_writer();
            files.retain(|path| !in_writer.contains(path));
        }
        // One attempt where the database is away, not one for each file.
        if files.is_empty() || self.ping_writer().await.is_err() {
            return (0, None);
        }
        let (mut applied, mut since) = (0, None);
        for chunk in files.chunks(CHUNK) {
            let taken = join_all(chunk.iter().map(|path| self.apply_file(path))).await;
            since = since.or(taken.iter().flatten().copied().min());
            let count = taken.iter().flatten().count();
            applied += count;
            // The database is still away. One that it can never take lets those beside it pass.
            if count == 0 {
                break;
            }
        }
        (applied, since)
    }

    /// When the delivery was received, if the database has it now.
    async fn apply_file(&self, path: &Path) -> Option<Timestamp> {
        let reading = path.to_owned();
        let read = tokio::task::spawn_blocking(move || disk::read(&reading)).await.map_err(io::Error::other).flatten();
        let delivery = match read {
            Ok(delivery) => delivery,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return None,
            Err(failed) => {
                error!(error = %failed, "{} is no delivery and is set aside: {failed}", path.display());
                self.set_aside(path).await;
                return None;
            }
        };
        let received_at = delivery.received_at;
        match self.deliver(delivery).await {
            Ok(_) => {
                self.spool.remove(path.to_owned()).await;
                Some(received_at)
            }
            Err(failed @ StoreError::Corrupt { .. }) => {
                error!(error = %failed, "A spooled delivery cannot be applied and is set aside: {failed}");
                self.set_aside(path).await;
                self.alarm_of_ours("late", SET_ASIDE, received_at).await;
                None
            }
            Err(_) => None,
        }
    }

    async fn set_aside(&self, path: &Path) {
        let path = path.to_owned();
        match tokio::task::spawn_blocking(move || disk::set_aside(&path)).await.map_err(io::Error::other).flatten() {
            Ok(()) => self.spool.uncount(),
            Err(failed) => warn!(error = %failed, "A spooled file could not be set aside: {failed}"),
        }
    }

    async fn drain_memory(&self) -> (usize, Option<Timestamp>) {
        let (mut applied, mut since) = (0, None);
        loop {
            let Some(delivery) = self.spool.in_memory().pop_front() else { break };
            let received_at = delivery.received_at;
            if self.deliver(delivery.clone()).await.is_ok() {
                applied += 1;
                since.get_or_insert(received_at);
            } else if self.spool.write(&delivery).await.is_none() {
                self.spool.in_memory().push_front(delivery);
                break;
            }
        }
        self.spool.count();
        (applied, since)
    }

    /// The last attempt of a service that stops: what neither the database nor a disk takes, as lines for
    /// `perezvon replay --spool`. The next start raises an alarm about them where any disk could remember that.
    pub async fn drain_spool_at_stop(&self) -> Vec<String> {
        if self.spool.depth() == SpoolDepth::default() {
            return Vec::new();
        }
        let _ = tokio::time::timeout(LAST_ATTEMPT_TIMEOUT, self.drain_spool()).await;
        let left = std::mem::take(&mut *self.spool.in_memory());
        let lines: Vec<String> = left.iter().filter_map(|delivery| disk::to_line(delivery).ok()).collect();
        if let Some(disk) = self.spool.disk.clone().filter(|_| !lines.is_empty()) {
            let _ = tokio::task::spawn_blocking(move || disk.remember_loss()).await;
        }
        lines
    }

    /// What a start and each minute after it does for the spool: an alarm about what an earlier life lost, and the reserve
    /// filled up again once the disk has room.
    pub async fn tend_spool(&self, now: Timestamp) {
        let Some(disk) = self.spool.disk.clone() else { return };
        let lost = tokio::task::spawn_blocking(move || {
            if disk.spooled().is_empty() {
                let _ = disk.refill_reserve();
            }
            disk.lost_before().then_some(disk)
        });
        if let Ok(Some(disk)) = lost.await
            && self.raise_alarm("we_failed", "lost deliveries", LOST, now).await.is_ok()
        {
            let _ = tokio::task::spawn_blocking(move || disk.forget_loss()).await;
        }
    }

    /// R3: a fault of ours is never heard by a caller, and always seen by somebody.
    pub async fn alarm_of_ours(&self, subject: &str, told: &str, at: Timestamp) {
        if let Err(failed) = self.raise_alarm("we_failed", subject, told, at).await {
            error!(error = %failed, alarm = "we_failed", "An alarm could not be kept: {told}");
        }
    }
}
