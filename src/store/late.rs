//! Deliveries that could not be kept when they came, though their provider will not repeat them: kept in memory, and each
//! in a file of its own beside the recordings, until the database is back. A stop or a crash meanwhile loses no caller.
//!
//! A delivery may be kept twice if the end comes between keeping it and taking its file away: its events bear repeating.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use std::{fs, io};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::{Delivery, Kept, Result, Store, StoreError};
use crate::core::call::{CallEvent, CallKey};
use crate::time::Timestamp;

/// How many may wait. A school has a call a minute: this is a week without a database.
const MOST: usize = 10_000;
/// How long a caller's answer waits for the file. A disk that hangs may be why the database does.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);
/// So many failures end one pass: the database is still away, or those few are what it cannot take.
const FAILURES_IN_ONE_PASS: usize = 3;
/// The end of a file's name.
const WAITING: &str = "json";
/// The end of the name of one that can never be kept.
const SET_ASIDE: &str = "set_aside";

const TOLD: &str = "База данных какое-то время не принимала звонки. Звонившим предлагали оставить сообщение, эти звонки \
                    теперь в журнале и в списке. Проверьте место на диске и журнал службы за это время.";
const TOLD_SET_ASIDE: &str = "Звонок, пришедший при неисправной базе данных, внести в неё не удалось. Он отложен в папку \
                              .late внутри папки записей. Найдите звонившего у провайдера и покажите файл администратору.";

#[derive(Default)]
pub(super) struct Late {
    waiting: Mutex<VecDeque<Waiting>>,
    folder: OnceLock<PathBuf>,
}

/// One delivery that waits, and the file that remembers it.
struct Waiting {
    delivery: Delivery,
    file: Option<PathBuf>,
}

impl Late {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, late: Waiting) {
        let mut waiting = self.lock();
        if waiting.len() == MOST {
            error!("More than {MOST} deliveries wait for the database; the oldest stays in its file alone");
            waiting.pop_front();
        }
        waiting.push_back(late);
        metrics::gauge!("perezvon_deliveries_late").set(waiting.len() as f64);
    }

    fn pop(&self) -> Option<Waiting> {
        let mut waiting = self.lock();
        let oldest = waiting.pop_front();
        metrics::gauge!("perezvon_deliveries_late").set(waiting.len() as f64);
        oldest
    }

    /// A name for the delivery's file; names sort by the time of receiving.
    fn file_for(&self, delivery: &Delivery) -> Option<PathBuf> {
        let mut apart = [0; 8];
        getrandom::fill(&mut apart).ok()?;
        let name = format!("{:015}-{:016x}", delivery.received_at.as_millisecond(), u64::from_be_bytes(apart));
        Some(self.folder.get()?.join(name).with_extension(WAITING))
    }
}

impl Waiting {
    /// Writes the file. If the disk is full too, memory remains.
    async fn write_down(&self) {
        let Some(file) = self.file.clone() else { return };
        let text = serde_json::to_vec(&Written::from(&self.delivery));
        let writing = tokio::task::spawn_blocking(move || {
            let written = text.map_err(io::Error::from).and_then(|text| write_durably(&file, &text));
            if let Err(failed) = written {
                error!(error = %failed, "A delivery waits for the database in memory alone: {failed}");
            }
        });
        // What takes longer goes on behind the answer.
        let _ = tokio::time::timeout(WRITTEN_WITHIN, writing).await;
    }

    async fn forget(self) {
        if let Some(file) = self.file
            && let Err(failed) = tokio::fs::remove_file(&file).await
            && failed.kind() != io::ErrorKind::NotFound
        {
            warn!(error = %failed, "The file of a delivery that is kept stays and will be kept again: {failed}");
        }
    }

    async fn set_aside(self) {
        if let Some(file) = self.file
            && let Err(failed) = tokio::fs::rename(&file, file.with_extension(SET_ASIDE)).await
        {
            warn!(error = %failed, "The file of a delivery that cannot be kept could not be set aside: {failed}");
        }
    }
}

impl Store {
    /// Remembers late deliveries in `folder`, and takes up those that an earlier life left there.
    pub fn with_late_folder(self, folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == WAITING));
        files.sort();
        for file in files {
            match read(&file) {
                Ok(delivery) => self.late.push(Waiting { delivery, file: Some(file) }),
                Err(failed) => error!(error = %failed, "{} is no delivery: {failed}", file.display()),
            }
        }
        let _ = self.late.folder.set(folder.to_owned());
        Ok(self)
    }

    /// Keeps a delivery somebody waits for and nobody repeats. If that fails or takes longer than `limit` the answer is
    /// an error, and the delivery is kept when the database lets it be.
    pub async fn deliver_within(&self, limit: Duration, delivery: Delivery) -> Result<Kept> {
        let (store, copy) = (self.clone(), delivery.clone());
        let mut keeping = Box::pin(async move { store.deliver(copy).await });
        match tokio::time::timeout(limit, &mut keeping).await {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(failed)) => {
                self.deliver_later(delivery).await;
                Err(failed)
            }
            Err(_) => {
                // It stands in the writer's queue: a second one behind it would be kept twice.
                let late = Waiting { file: self.late.file_for(&delivery), delivery };
                late.write_down().await;
                let store = self.clone();
                tokio::spawn(async move {
                    match keeping.await {
                        Ok(_) => late.forget().await,
                        Err(_) => store.late.push(late),
                    }
                });
                Err(StoreError::Busy)
            }
        }
    }

    /// Remembers a delivery for [`Store::deliver_late`].
    pub async fn deliver_later(&self, delivery: Delivery) {
        let late = Waiting { file: self.late.file_for(&delivery), delivery };
        late.write_down().await;
        self.late.push(late);
    }

    /// Tries to keep what waits, oldest first. The answer is how many were kept.
    pub async fn deliver_late(&self) -> usize {
        let (mut kept, mut since, mut failures) = (0, None, Vec::new());
        while failures.len() < FAILURES_IN_ONE_PASS {
            let Some(oldest) = self.late.pop() else { break };
            let received_at = oldest.delivery.received_at;
            match self.deliver(oldest.delivery.clone()).await {
                Ok(_) => {
                    oldest.forget().await;
                    kept += 1;
                    since.get_or_insert(received_at);
                }
                Err(failed @ StoreError::Corrupt { .. }) => {
                    error!(error = %failed, "A late delivery cannot be kept and is set aside: {failed}");
                    oldest.set_aside().await;
                    self.alarm_of_ours("late", TOLD_SET_ASIDE, received_at).await;
                }
                Err(_) => failures.push(oldest),
            }
        }
        // To the end: one that the database can never take lets those behind it pass.
        failures.into_iter().for_each(|late| self.late.push(late));
        if let Some(since) = since {
            info!("Kept {kept} deliveries that came while the database was away");
            self.alarm_of_ours("database", TOLD, since).await;
        }
        kept
    }

    /// R3: a fault of ours is never heard by a caller, and always seen by somebody.
    pub async fn alarm_of_ours(&self, subject: &str, told: &str, at: Timestamp) {
        if let Err(failed) = self.raise_alarm("we_failed", subject, told, at).await {
            error!(error = %failed, alarm = "we_failed", "An alarm could not be kept: {told}");
        }
    }
}

/// A delivery as it lies in its file.
#[derive(Serialize, Deserialize)]
struct Written {
    provider: String,
    endpoint: String,
    method: String,
    target: String,
    content_type: String,
    /// In base64: whatever bytes came.
    body: String,
    received_at: Timestamp,
    /// The provider and its id of the call.
    call: Option<(String, String)>,
    events: Vec<CallEvent>,
    can_be_asked: bool,
}

impl From<&Delivery> for Written {
    fn from(delivery: &Delivery) -> Self {
        let call = delivery.key.as_ref().map(|key| (key.provider.to_string(), key.provider_call_id.clone()));
        Self {
            provider: delivery.provider.to_string(),
            endpoint: delivery.endpoint.clone(),
            method: delivery.method.clone(),
            target: delivery.target.clone(),
            content_type: delivery.content_type.clone(),
            body: BASE64_STANDARD.encode(&delivery.body),
            received_at: delivery.received_at,
            call,
            events: delivery.events.clone(),
            can_be_asked: delivery.can_be_asked,
        }
    }
}

fn read(file: &Path) -> io::Result<Delivery> {
    let written: Written = serde_json::from_slice(&fs::read(file)?)?;
    let body = BASE64_STANDARD.decode(&written.body).map_err(io::Error::other)?;
    let key = written.call.map(|(provider, provider_call_id)| CallKey { provider: provider.into(), provider_call_id });
    Ok(Delivery {
        provider: written.provider.into(),
        endpoint: written.endpoint,
        method: written.method,
        target: written.target,
        content_type: written.content_type,
        body: body.into(),
        received_at: written.received_at,
        key,
        events: written.events,
        can_be_asked: written.can_be_asked,
    })
}

/// All of it or nothing, and there after a power cut.
fn write_durably(file: &Path, text: &[u8]) -> io::Result<()> {
    let partial = file.with_extension("partial");
    let mut writing = fs::File::create(&partial)?;
    writing.write_all(text)?;
    writing.sync_all()?;
    fs::rename(&partial, file)?;
    file.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}
