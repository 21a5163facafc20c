//! The spool: verified deliveries that the database cannot take now. Each lies in a durable file of its own until the
//! database has it, so that an acknowledged webhook outlives whatever breaks (R20). What cannot even be written to a file is
//! held in memory, and everybody is told.
//!
//! A delivery may be applied twice if the end comes between applying it and removing its file: its events bear repeating.

mod disk;
mod folders;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{error, info, warn};

pub(super) use self::disk::make_folder;
use self::disk::{Disk, ReadError};
pub use self::disk::{RESERVE, from_line, set_aside_path, spooled_files};
pub use self::folders::{FORMER_SPOOL, SPOOL, SpoolFolders};
use super::{Delivery, Kept, Store, StoreError};
use crate::time::{Clock, Timestamp, elapsed_ms};

/// The most that memory holds of what no disk takes, bytes: a week of a school's calls.
const MAX_IN_MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// What a delivery occupies beside its texts.
const DELIVERY_BYTES: usize = 2048;
/// After this long a file that the database does not take, though it answers, is told of.
const STUCK_MS: i64 = 60_000;
/// Timeout of writing a file. A disk that hangs may be why the database does; what takes longer goes on behind the answer.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// Applied at once: they share a commit.
const CHUNK: usize = 64;
/// Timeout of the last attempt when the service stops: of memory, of the files and of the alarm each.
const LAST_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// A database that takes longer to answer does not take what memory holds: a disk may.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

const DATABASE_WAS_AWAY: &str = "База данных какое-то время не принимала звонки. Звонившим предлагали оставить сообщение, эти \
    звонки теперь в журнале и в списке. Проверьте место на диске и журнал службы за это время.";
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
    /// In files that the database can never take: they wait for somebody to look at them.
    pub set_aside: usize,
}

impl SpoolDepth {
    /// Whether nothing waits for the database.
    pub fn is_empty(self) -> bool {
        self.durable == 0 && self.in_memory == 0
    }
}

/// A delivery that is nowhere durable.
struct Unsaved {
    delivery: Delivery,
    /// The writer has it and has not answered yet.
    is_in_writer: bool,
}

/// What no disk takes, in the order in which it came.
#[derive(Default)]
struct Memory {
    deliveries: BTreeMap<u64, Unsaved>,
    next: u64,
    bytes: usize,
}

impl Memory {
    /// The place of the delivery, and the oldest that had to give way to it.
    fn push(&mut self, delivery: Delivery, is_in_writer: bool) -> (u64, Vec<Delivery>) {
        self.bytes += size_of(&delivery);
        let place = self.next;
        self.next += 1;
        self.deliveries.insert(place, Unsaved { delivery, is_in_writer });
        let mut dropped = Vec::new();
        while self.bytes > MAX_IN_MEMORY_BYTES
            && let Some((_, oldest)) = self.deliveries.pop_first()
        {
            self.bytes -= size_of(&oldest.delivery);
            dropped.push(oldest.delivery);
        }
        (place, dropped)
    }

    fn remove(&mut self, place: u64) {
        if let Some(saved) = self.deliveries.remove(&place) {
            self.bytes -= size_of(&saved.delivery);
        }
    }
}

fn size_of(delivery: &Delivery) -> usize {
    DELIVERY_BYTES + delivery.body.len() + delivery.target.len()
}

/// `None` for a store without a disk of its own, as commands and tests have it.
pub(super) struct Spool {
    disk: Option<Arc<Disk>>,
    in_memory: Mutex<Memory>,
    /// Files whose delivery still waits for the writer: a second copy behind it would be work for nothing.
    in_writer: Mutex<BTreeSet<PathBuf>>,
    /// Files that stay where they are: each is reported once.
    troubled: Mutex<BTreeMap<PathBuf, Trouble>>,
    durable: AtomicUsize,
    set_aside: AtomicUsize,
    /// The database answers and takes no file.
    is_refused: AtomicBool,
    /// When the oldest of the deliveries came that were applied and of which no alarm tells yet.
    applied_since: Mutex<Option<Timestamp>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The database has it, and it cannot be removed.
    Applied,
    Unreadable,
    /// The database can never take it, and it cannot be set aside.
    Hopeless,
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
            troubled: Mutex::default(),
            durable: AtomicUsize::new(0),
            set_aside: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
            applied_since: Mutex::default(),
        }
    }

    fn in_memory(&self) -> MutexGuard<'_, Memory> {
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_writer(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.in_writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn troubled(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Trouble>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn applied_since(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.applied_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes at once that a delivery is in the database: a drain may be broken off before it comes to the alarm.
    fn note_applied(&self, received_at: Timestamp) {
        let mut since = self.applied_since();
        *since = Some(since.map_or(received_at, |earlier| earlier.min(received_at)));
    }

    fn depth(&self) -> SpoolDepth {
        SpoolDepth {
            durable: self.durable.load(Ordering::Relaxed),
            in_memory: self.in_memory().deliveries.len(),
            set_aside: self.set_aside.load(Ordering::Relaxed),
        }
    }

    fn count(&self) {
        let SpoolDepth { durable, in_memory, set_aside } = self.depth();
        metrics::gauge!("perezvon_deliveries_spooled").set(durable as f64);
        metrics::gauge!("perezvon_deliveries_in_memory").set(in_memory as f64);
        metrics::gauge!("perezvon_deliveries_set_aside").set(set_aside as f64);
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

    /// Holds in memory what no disk takes. The answer is its place.
    fn remember(&self, delivery: Delivery, is_in_writer: bool) -> u64 {
        let (place, dropped) = self.in_memory().push(delivery, is_in_writer);
        for delivery in dropped {
            let line = disk::to_line(&delivery).unwrap_or_default();
            error!("Memory is full of deliveries that no disk takes; the oldest is here alone: {line}");
            metrics::counter!("perezvon_deliveries_lost_total").increment(1);
        }
        self.count();
        place
    }

    fn forget(&self, place: u64) {
        self.in_memory().remove(place);
        self.count();
    }

    /// Removes the file of a delivery that the database has.
    async fn remove(&self, path: PathBuf) {
        match tokio::fs::remove_file(&path).await {
            Ok(()) => self.uncount(),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            Err(failed) => {
                if self.troubled().insert(path.clone(), Trouble::Applied) != Some(Trouble::Applied) {
                    warn!(error = %failed, "A spooled file is applied and cannot be removed: {failed}");
                }
                return;
            }
        }
        self.troubled().remove(&path);
    }

    fn uncount(&self) {
        let _ = self.durable.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_sub(1)));
        self.count();
    }
}

impl Store {
    /// Spools to the first of these folders and, where that cannot be written, to the second.
    ///
    /// # Errors
    /// Never for a disk that fails now: it is tried again at each delivery.
    pub fn with_spool(mut self, folders: SpoolFolders) -> Self {
        let first = folders.first.display().to_string();
        let disk = Disk::new(folders);
        if let Err(failed) = disk.prepare() {
            error!(error = %failed, "The spool {first} cannot be prepared: {failed}");
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
                        self.spool.remember(delivery, false);
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
        let place = file.is_none().then(|| self.spool.remember(delivery, true));
        let store = self.clone();
        tokio::spawn(async move {
            let applied = applying.await.is_ok();
            if let Some(path) = file {
                if applied {
                    store.spool.remove(path.clone()).await;
                }
                store.spool.in_writer().remove(&path);
            }
            match place {
                Some(place) if applied => store.spool.forget(place),
                Some(place) => {
                    if let Some(unsaved) = store.spool.in_memory().deliveries.get_mut(&place) {
                        unsaved.is_in_writer = false;
                    }
                }
                None => {}
            }
        });
        if is_durable { Accepted::Spooled(failed) } else { Accepted::InMemory(failed) }
    }

    /// How much waits for the database.
    pub fn spool_depth(&self) -> SpoolDepth {
        self.spool.depth()
    }

    /// Whether the database answers and does not take what is spooled: it is damaged, as a rule.
    pub fn refuses_spooled(&self) -> bool {
        self.spool.is_refused.load(Ordering::Relaxed)
    }

    /// Applies what waits, oldest first, for as long as the database takes any of it. The answer is how many were applied.
    pub async fn drain_spool(&self, clock: &Clock) -> usize {
        let applied = self.drain_files(clock).await + self.drain_memory(clock).await;
        if applied > 0 {
            info!("Applied {applied} deliveries that came while the database was away");
        }
        self.report_outage().await;
        applied
    }

    /// Raises the alarm about what was applied, wherever it had waited and whether or not its drain came to an end.
    async fn report_outage(&self) {
        let since = *self.spool.applied_since();
        if let Some(since) = since
            && self.raise_alarm("we_failed", "database", DATABASE_WAS_AWAY, since).await.is_ok()
        {
            *self.spool.applied_since() = None;
        }
    }

    async fn drain_files(&self, clock: &Clock) -> usize {
        let Some(disk) = self.spool.disk.clone() else { return 0 };
        let listing = tokio::task::spawn_blocking(move || (disk.spooled(), disk.count_set_aside())).await;
        let (mut files, set_aside) = listing.unwrap_or_default();
        self.spool.durable.store(files.len(), Ordering::Relaxed);
        self.spool.set_aside.store(set_aside, Ordering::Relaxed);
        self.spool.count();
        {
            let in_writer = self.spool.in_writer();
            files.retain(|path| !in_writer.contains(path));
        }
        // One attempt where the database is away, not one for each file.
        if files.is_empty() || self.ping_writer().await.is_err() {
            self.spool.is_refused.store(false, Ordering::Relaxed);
            return 0;
        }
        let (mut applied, mut refused) = (0, 0);
        for chunk in files.chunks(CHUNK) {
            // All are read first, so that the writer gets them in the order of receipt.
            let read = join_all(chunk.iter().map(|path| self.read_file(path))).await;
            let readable = chunk.iter().zip(read).filter_map(|(path, delivery)| Some((path, delivery?)));
            let applied_now = |delivery| Delivery { applied_at: Some(clock.now()), ..delivery };
            let taken = join_all(readable.map(|(path, delivery)| self.apply_file(path, applied_now(delivery)))).await;
            let count = taken.iter().filter(|taken| matches!(taken, Ok(true))).count();
            applied += count;
            refused += taken.iter().filter(|taken| taken.is_err()).count();
            // Those that the database can never take let the ones behind them pass.
            if count == 0 && self.ping_writer().await.is_err() {
                break;
            }
        }
        let is_refused = refused > 0 && self.ping_writer().await.is_ok();
        self.spool.is_refused.store(is_refused, Ordering::Relaxed);
        applied
    }

    /// The delivery of a file that is to be applied.
    async fn read_file(&self, path: &Path) -> Option<Delivery> {
        if self.spool.troubled().get(path) == Some(&Trouble::Applied) {
            self.spool.remove(path.to_owned()).await;
            return None;
        }
        let reading = path.to_owned();
        let read = tokio::task::spawn_blocking(move || disk::read(&reading)).await;
        match read.unwrap_or_else(|died| Err(ReadError::Unreadable(io::Error::other(died)))) {
            Ok(delivery) => {
                self.spool.troubled().remove(path);
                Some(delivery)
            }
            Err(ReadError::Unreadable(failed)) => {
                if failed.kind() != io::ErrorKind::NotFound
                    && self.spool.troubled().insert(path.to_owned(), Trouble::Unreadable).is_none()
                {
                    error!(error = %failed, "{} cannot be read; trying again: {failed}", path.display());
                }
                None
            }
            Err(failed @ ReadError::NoDelivery(_)) => {
                self.set_aside(path, &failed.to_string(), None).await;
                None
            }
        }
    }

    /// Whether the database has got the delivery now; `false` if it can never take it.
    async fn apply_file(&self, path: &Path, delivery: Delivery) -> Result<bool, StoreError> {
        let received_at = delivery.received_at;
        match self.deliver(delivery).await {
            Ok(_) => {
                self.spool.note_applied(received_at);
                self.spool.remove(path.to_owned()).await;
                Ok(true)
            }
            Err(failed @ StoreError::Corrupt { .. }) => {
                self.set_aside(path, &failed.to_string(), Some(received_at)).await;
                Ok(false)
            }
            Err(failed) => Err(failed),
        }
    }

    /// Puts away what can never be applied, and tells of it. Without `received_at` the name of the file says when it came.
    async fn set_aside(&self, path: &Path, why: &str, received_at: Option<Timestamp>) {
        if self.spool.troubled().insert(path.to_owned(), Trouble::Hopeless) != Some(Trouble::Hopeless) {
            error!(error = why, "{} cannot be applied and is set aside: {why}", path.display());
            let at = received_at.or_else(|| disk::received_at(path)).unwrap_or(Timestamp::UNIX_EPOCH);
            let told = format!(
                "Звонок, пришедший при неисправной базе данных, внести в неё не удалось. Он отложен в папку {}. \
                 Найдите звонившего у оператора связи и покажите файл администратору.",
                path.parent().unwrap_or(path).display()
            );
            self.alarm_of_ours("late", &told, at).await;
        }
        let moved = path.to_owned();
        match tokio::task::spawn_blocking(move || disk::set_aside(&moved)).await.map_err(io::Error::other).flatten() {
            Ok(()) => {
                self.spool.troubled().remove(path);
                self.spool.set_aside.fetch_add(1, Ordering::Relaxed);
                self.spool.uncount();
            }
            Err(failed) => warn!(error = %failed, "A spooled file could not be set aside: {failed}"),
        }
    }

    /// Each delivery stays where it is until the database or a disk has it: whoever breaks off loses none.
    async fn drain_memory(&self, clock: &Clock) -> usize {
        let mut applied = 0;
        let places: Vec<u64> = {
            let in_memory = self.spool.in_memory();
            let waiting = in_memory.deliveries.iter().filter(|(_, unsaved)| !unsaved.is_in_writer);
            waiting.map(|(place, _)| *place).collect()
        };
        let ping = tokio::time::timeout(ANSWER_TIMEOUT, self.ping_writer());
        let mut has_database = !places.is_empty() && ping.await.is_ok_and(|answer| answer.is_ok());
        for place in places {
            let delivery = self.spool.in_memory().deliveries.get(&place).map(|unsaved| unsaved.delivery.clone());
            let Some(delivery) = delivery else { continue };
            let delivery = Delivery { applied_at: Some(clock.now()), ..delivery };
            let received_at = delivery.received_at;
            has_database = has_database && self.deliver(delivery.clone()).await.is_ok();
            if has_database {
                applied += 1;
                self.spool.note_applied(received_at);
            } else if self.spool.write(&delivery).await.is_none() {
                break;
            }
            self.spool.forget(place);
        }
        applied
    }

    /// The last attempt of a service that stops: what neither the database nor a disk takes, as lines for
    /// `perezvon replay --spool`. The next start raises an alarm about them where any disk could remember that.
    pub async fn drain_spool_at_stop(&self, clock: &Clock) -> Vec<String> {
        if !self.spool.depth().is_empty() {
            // Files outlive the stop by themselves.
            let _ = tokio::time::timeout(LAST_ATTEMPT_TIMEOUT, self.drain_memory(clock)).await;
            let _ = tokio::time::timeout(LAST_ATTEMPT_TIMEOUT, self.drain_spool(clock)).await;
        }
        let _ = tokio::time::timeout(LAST_ATTEMPT_TIMEOUT, self.report_outage()).await;
        let left = std::mem::take(&mut *self.spool.in_memory()).deliveries;
        let lines: Vec<String> = left.values().filter_map(|unsaved| disk::to_line(&unsaved.delivery).ok()).collect();
        if let Some(disk) = self.spool.disk.clone().filter(|_| !lines.is_empty()) {
            let _ = tokio::task::spawn_blocking(move || disk.remember_loss()).await;
        }
        lines
    }

    /// What a start and each minute after it does for the spool: alarms about what an earlier life lost and about files that
    /// stay, and the reserve filled up again once the disk has room.
    pub async fn tend_spool(&self, now: Timestamp) {
        let Some(disk) = self.spool.disk.clone() else { return };
        let looked = tokio::task::spawn_blocking(move || {
            let oldest = disk.spooled().into_iter().next();
            if oldest.is_none() {
                let _ = disk.tend();
            }
            (oldest, disk.lost_before().then_some(disk))
        });
        let Ok((oldest, lost)) = looked.await else { return };
        if let Some(path) = oldest
            && self.spool.troubled().get(&path) != Some(&Trouble::Applied)
            && disk::received_at(&path).is_some_and(|at| elapsed_ms(at, now) >= STUCK_MS)
            && self.ping_writer().await.is_ok()
        {
            let told = format!(
                "Звонок, принятый при неисправной базе данных, не удаётся внести в неё, хотя она отвечает. Он лежит в папке {}, \
                 в журнал и в список он ещё не попал. Причина стоит в журнале службы.",
                path.parent().unwrap_or(&path).display()
            );
            self.alarm_of_ours("stuck", &told, now).await;
        }
        if let Some(disk) = lost
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
