//! The backup of every night: made at its time or as soon after it as can be, by one of the instances that share the database,
//! the older ones beyond `keep` deleted, and an alarm while there is none that is young enough.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{error, info, warn};

use super::blocking;
use super::make::{BackupError, BackupRequest, BackupSource, Made, make};
use super::manifest::{BackupSummary, MadeBy, UNFINISHED_PREFIX, backups_in};
use crate::jobs::forgotten::{FORGOTTEN, add_forgotten};
use crate::jobs::{Worker, keeping_lease};
use crate::store::{LastBackup, MAX_BACKUP_AGE, NIGHTLY_BACKUP, StoreError};
use crate::time::{Time, TimeZone, Timestamp, ToSpan, elapsed_ms};

/// After a failure it is tried again this much later.
const RETRY_PAUSE_MS: i64 = 15 * 60 * 1000;
/// The kind of its alarms, and their subjects.
const ALARM: &str = "backup";
const FAILED: &str = "failed";
const OLD: &str = "old";
const DEFECTS: &str = "defects";
/// Names of recordings that an alarm lists.
const MAX_NAMES: usize = 3;

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    pub folder: PathBuf,
    /// By the school's clock.
    pub at: Time,
    /// How many backups of the night stay.
    pub keep: usize,
}

/// The settings with what they are about, and what is known of this run of the program.
#[derive(Debug)]
pub struct NightlyBackup {
    pub settings: BackupSettings,
    pub source: BackupSource,
    /// Taken while this process makes a backup. The lease in the database keeps the other instances from it, unless the
    /// database takes no lease.
    running: Arc<tokio::sync::Mutex<()>>,
    tries: Mutex<Tries>,
}

#[derive(Debug, Default)]
struct Tries {
    first_looked_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    /// The last one of this process, which a full database may not remember.
    made_at: Option<Timestamp>,
}

impl NightlyBackup {
    pub fn new(settings: BackupSettings, source: BackupSource) -> Self {
        Self { settings, source, running: Arc::default(), tries: Mutex::default() }
    }

    fn tries(&self) -> std::sync::MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a backup is due at `now` and no failure has just put it off. `last` is what the database knows.
    fn is_due(&self, zone: &TimeZone, last: Option<&LastBackup>, now: Timestamp) -> bool {
        let Tries { failed_at, made_at, .. } = *self.tries();
        let is_paused = failed_at.is_some_and(|at| at <= now && elapsed_ms(at, now) < RETRY_PAUSE_MS);
        let made_at = made_at.filter(|at| *at <= now).max(last.map(|last| last.made_at));
        !is_paused && made_at.is_none_or(|at| at < self.last_due(zone, now))
    }

    /// The last instant up to `now` at which a backup was to be made.
    fn last_due(&self, zone: &TimeZone, now: Timestamp) -> Timestamp {
        let today = now.to_zoned(zone.clone()).date();
        let of = |date: crate::time::Date| {
            date.to_datetime(self.settings.at).to_zoned(zone.clone()).map_or(now, |zoned| zoned.timestamp())
        };
        let due = of(today);
        if due <= now { due } else { today.checked_sub(1.days()).map_or(now, of) }
    }
}

impl Worker {
    /// Makes the backup of the night if it is due and nobody else makes it, and sees to its alarms. A night that was missed is
    /// made up for. `true`: a backup was made.
    pub async fn back_up_if_due(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let Some(nightly) = self.backup.clone() else {
            for subject in self.store.lasting_alarms(ALARM).await? {
                self.store.clear_alarm(ALARM, &subject, now).await?;
            }
            return Ok(false);
        };
        let last = self.store.last_backup(now).await?;
        if let Err(failed) = self.watch_backup_age(&nightly, last.as_ref(), now).await {
            // A database that takes no alarm gets its backup all the same.
            warn!(error = %failed, "The age of the last backup could not be reported");
        }
        let zone = self.store.lines().default_calendar().time_zone().clone();
        if !nightly.is_due(&zone, last.as_ref(), now) {
            return Ok(false);
        }
        let Ok(_running) = nightly.running.clone().try_lock_owned() else { return Ok(false) };
        match self.store.take_lease(NIGHTLY_BACKUP, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // A full or read-only database needs its backup most. Every instance makes one then: better two than none.
            Err(failed) => warn!(error = %failed, "The backup is made without a lease: {failed}"),
        }
        let renew = || self.store.renew_lease(NIGHTLY_BACKUP, self.clock.now());
        let made = keeping_lease(self.back_up(&nightly, zone, now), renew).await;
        if let Err(failed) = self.store.give_lease_back(NIGHTLY_BACKUP).await {
            warn!(error = %failed, "The lease of the backup ends by itself");
        }
        made
    }

    /// Makes the backup of the night, unless another instance has made it since this one looked and before it got the lease.
    async fn back_up(&self, nightly: &NightlyBackup, zone: TimeZone, now: Timestamp) -> Result<bool, StoreError> {
        let last = self.store.last_backup(now).await?;
        if !nightly.is_due(&zone, last.as_ref(), now) {
            return Ok(false);
        }
        let request = BackupRequest {
            source: nightly.source.clone(),
            into: nightly.settings.folder.clone(),
            made_by: MadeBy::Nightly,
            created_at: now,
            zone,
        };
        match make(&request).await {
            Ok(made) => {
                {
                    let mut tries = nightly.tries();
                    (tries.failed_at, tries.made_at) = (None, Some(now));
                }
                let forgotten = self.store.forgotten().await?;
                let key = nightly.source.key.as_ref();
                if let Err(failed) = add_forgotten(&nightly.settings.folder.join(FORGOTTEN), &forgotten, key) {
                    warn!(error = %failed, "The list of forgotten numbers is not beside the backup: {failed}");
                }
                self.backup_made(nightly, &made).await?;
                Ok(true)
            }
            Err(failed) => {
                nightly.tries().failed_at = Some(now);
                error!(error = %failed, "The backup failed: {failed}");
                let told = format!(
                    "Резервная копия не сделана: {}. Служба пробует снова каждые 15 минут.",
                    reason_in_russian(&failed, &nightly.settings.folder)
                );
                self.store.raise_alarm(ALARM, FAILED, &told, now).await?;
                Ok(false)
            }
        }
    }

    /// It is whole and verified: older ones are deleted, it is remembered, and its alarms are cleared.
    async fn backup_made(&self, nightly: &NightlyBackup, made: &Made) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (folder, newest, keep) = (nightly.settings.folder.clone(), made.folder.clone(), nightly.settings.keep);
        match blocking(move |_| prune(&folder, &newest, keep, now)).await {
            Ok(0) => {}
            Ok(count) => info!(count, "Deleted {count} old backups"),
            Err(failed) => warn!(error = %failed, "Old backups could not be deleted: {failed}"),
        }
        let last = LastBackup {
            made_at: made.manifest.created_at,
            verified_at: now,
            folder: made.folder.display().to_string(),
            size_bytes: made.manifest.size_bytes(),
            recordings: made.manifest.count_recordings() as u64,
        };
        self.store.set_last_backup(&last).await?;
        for subject in [FAILED, OLD] {
            self.store.clear_alarm(ALARM, subject, now).await?;
        }
        match made.manifest.defects.as_slice() {
            [] => self.store.clear_alarm(ALARM, DEFECTS, now).await?,
            defects => {
                let names = defects.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
                let told = format!(
                    "В папке записей нет целых файлов: {} ({names}). Верните их из прежней копии; все перечислит perezvon verify.",
                    defects.len()
                );
                self.store.raise_alarm(ALARM, DEFECTS, &told, now).await?;
            }
        }
        Ok(())
    }

    async fn watch_backup_age(
        &self,
        nightly: &NightlyBackup,
        last: Option<&LastBackup>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let since = {
            let mut tries = nightly.tries();
            let looked_since = tries.first_looked_at.map_or(now, |at| at.min(now));
            tries.first_looked_at = Some(looked_since);
            let made_at = tries.made_at.filter(|at| *at <= now).max(last.map(|last| last.made_at));
            made_at.unwrap_or(looked_since)
        };
        if now.duration_since(since) <= MAX_BACKUP_AGE {
            return Ok(());
        }
        let told = "Резервной копии больше двух суток. Проверьте, доступна ли папка копий и есть ли в ней место.";
        self.store.raise_alarm(ALARM, OLD, told, now).await
    }
}

/// Deletes the oldest backups of the night beyond `keep`. Whatever else lies there stays, and so does `newest`, which is good.
/// Backups of instants after `now` were made before the clock was put right: they are the oldest.
fn prune(folder: &Path, newest: &Path, keep: usize, now: Timestamp) -> io::Result<usize> {
    let nightly = |backup: BackupSummary| (backup.made_by == MadeBy::Nightly).then_some(backup);
    let mut backups: Vec<BackupSummary> = backups_in(folder)?.into_iter().filter_map(nightly).collect();
    backups.sort_by_key(|backup| backup.created_at <= now);
    let backups: Vec<PathBuf> = backups.into_iter().map(|backup| backup.folder).collect();
    let too_many = backups.len().saturating_sub(keep.max(1));
    let mut deleted = 0;
    for path in backups.iter().take(too_many).filter(|path| *path != newest) {
        // Should the deleting be broken off, the next backup sweeps what is left.
        let going = folder.join(format!("{UNFINISHED_PREFIX}{deleted}-{}", std::process::id()));
        fs::rename(path, &going)?;
        fs::remove_dir_all(&going)?;
        deleted += 1;
    }
    Ok(deleted)
}

fn reason_in_russian(failed: &BackupError, folder: &Path) -> String {
    match failed {
        BackupError::AmongRecordings(folder) => format!("папка {} лежит в папке записей", folder.display()),
        BackupError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            format!("в папке {} нет места", folder.display())
        }
        BackupError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            format!("у службы нет права писать в папку {}", folder.display())
        }
        BackupError::Io { path, .. } => format!("файл или папка {} недоступны", path.display()),
        BackupError::Store(_) => "база данных не читается".to_owned(),
        BackupError::Key(error) => format!("{}; без шифрования копия не делается", error.in_russian()),
        BackupError::Manifest(_) | BackupError::Damaged(_) => {
            "записанное не прочиталось обратно, проверьте диск".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backup_is_due_at_its_local_time() {
        let settings = BackupSettings { folder: "x".into(), at: Time::constant(3, 0, 0, 0), keep: 1 };
        let nowhere =
            BackupSource { database: String::new(), recordings: PathBuf::new(), emergency: PathBuf::new(), key: None };
        let nightly = NightlyBackup::new(settings, nowhere);
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (now, due) in [
            ("2026-11-21T03:00:00+03:00", "2026-11-21T03:00:00+03:00"),
            ("2026-11-21T02:59:59+03:00", "2026-11-20T03:00:00+03:00"),
            ("2026-11-21T23:59:59+03:00", "2026-11-21T03:00:00+03:00"),
        ] {
            assert_eq!(nightly.last_due(&zone, at(now)), at(due), "{now}");
        }
    }
}
