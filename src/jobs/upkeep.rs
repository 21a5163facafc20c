//! What the worker watches over beside its queue: that the database is the one it was, that it is whole, and that somebody
//! hears of an outage while there is no database to keep an alarm in.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::Worker;
use super::mail::send_notice;
use crate::store::{SpoolDepth, StoreError};
use crate::time::{SignedDuration, Timestamp};

/// An outage is told by mail when it has lasted this long: a restart of the database is shorter.
const OUTAGE_BEFORE_MAIL: Duration = Duration::from_secs(120);
/// Interval of the letters about one outage.
const OUTAGE_MAIL_INTERVAL: Duration = Duration::from_secs(3600);
/// The whole database is read at this hour of the school's clock, when nobody calls.
const INTEGRITY_HOUR: i8 = 2;
/// Interval of the checks that one night may see. A database that cannot take down when it was checked is not checked each
/// minute.
pub(super) const INTEGRITY_CHECK_INTERVAL: Duration = Duration::from_secs(2 * 3600);
/// Kept in `meta`: when the whole database was read last.
const INTEGRITY_CHECKED_AT: &str = "integrity_checked_at";

const RECORDINGS_ELSEWHERE: &str = "Папка записей не та, что была: диск не подключён? Новые сообщения ждут у оператора связи и на АТС. \
    Если папка новая и так задумано, создайте в ней пустой файл .database.";
const DATABASE_REPLACED: &str = "На месте файла базы данных оказался другой файл: его заменили, пока служба работала. Служба пишет теперь \
    в него. Если это вышло случайно, остановите службу и верните прежний файл; звонки после замены лежат в новом.";
const LOG_REMOVED: &str = "Журнал базы данных (файл …-wal) удалили, пока служба работала. Служба успела сохранить всё, что в нём было. \
    Перезапустите службу, а до этого не запускайте других команд perezvon. Не трогайте файлы рядом с базой данных.";
const DATABASE_DAMAGED: &str = "Ночная проверка нашла повреждения в базе данных. Сделайте копию всех файлов, проверьте диск и память сервера и \
    восстановите базу из резервной копии.";

/// An outage that goes on, as the worker has seen it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    mailed_at: Option<Instant>,
}

impl Outage {
    /// Whether a letter is due now: at once where deliveries are in memory alone, after a while where they are durable.
    fn is_mail_due(&mut self, depth: SpoolDepth, now: Instant) -> bool {
        if depth.is_empty() {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_urgent = depth.in_memory > 0 || now.duration_since(since) >= OUTAGE_BEFORE_MAIL;
        let is_due = is_urgent && self.mailed_at.is_none_or(|at| now.duration_since(at) >= OUTAGE_MAIL_INTERVAL);
        if is_due {
            self.mailed_at = Some(now);
        }
        is_due
    }
}

impl Worker {
    /// Goes on with another database that was put in the place of the one before, and raises an alarm.
    pub(super) async fn watch_database(&self) {
        if self.store.take_removed_log() {
            self.store.alarm_of_ours("database log removed", LOG_REMOVED, self.clock.now()).await;
        }
        if self.store.take_replaced() {
            self.store.alarm_of_ours("database replaced", DATABASE_REPLACED, self.clock.now()).await;
            if let Err(failed) = self.store.renew_lines().await {
                warn!(error = %failed, "The lines could not be read from the other database: {failed}");
            }
        }
    }

    /// An alarm for as long as the folder of recordings is not the one that the database knows.
    pub(super) async fn watch_recordings(&self, now: Timestamp) -> Result<(), StoreError> {
        self.watch_key(now).await?;
        const ALARM: &str = "recordings_elsewhere";
        if self.store.foreign_recordings().load(Ordering::Relaxed) {
            return self.store.raise_alarm(ALARM, "", RECORDINGS_ELSEWHERE, now).await;
        }
        if self.store.lasting_alarms(ALARM).await?.is_empty() {
            return Ok(());
        }
        self.store.clear_alarm(ALARM, "", now).await
    }

    /// An alarm for as long as messages cannot be encrypted or decrypted, or could not after a start.
    async fn watch_key(&self, now: Timestamp) -> Result<(), StoreError> {
        const ALARM: &str = "recordings_key";
        if let Err(error) = self.folder.key_state().await {
            let told = format!(
                "Записи сообщений не принимаются и не звучат: {}. Новые остаются у оператора связи, звонки приняты. {}",
                error.in_russian(),
                error.remedy()
            );
            return self.store.raise_alarm(ALARM, "", &told, now).await;
        }
        if let Err(error) = self.folder.look_at_key_file().await {
            let told = format!(
                "Записи пока принимаются и звучат, ключ у службы в памяти, но {}: после остановки службы их не прочитает никто. \
                 Верните копию файла сейчас.",
                error.in_russian()
            );
            return self.store.raise_alarm(ALARM, "", &told, now).await;
        }
        if self.store.lasting_alarms(ALARM).await?.is_empty() {
            return Ok(());
        }
        self.store.clear_alarm(ALARM, "", now).await
    }

    /// Writes to whoever gets alarms, without the database. The letter is sent beside the work and not repeated when it
    /// fails: the next one comes in an hour.
    pub(super) async fn mail_outage(&self, outage: &mut Outage) {
        let depth = self.store.spool_depth();
        if !outage.is_mail_due(depth, Instant::now()) {
            return;
        }
        error!(spooled = depth.durable, in_memory = depth.in_memory, "Calls wait for the database");
        let worker = self.clone();
        tokio::spawn(async move {
            worker.mail_notice("Перезвон: звонки не попадают в базу данных", &outage_text(depth)).await
        });
    }

    /// Sends a letter to whoever gets alarms, past the database. It is not repeated when it fails.
    async fn mail_notice(&self, subject: &str, text: &str) {
        let Some(settings) = self.mail.as_ref().filter(|settings| !settings.alarms_to.is_empty()) else { return };
        if let Err(failed) = send_notice(settings, subject, text, self.clock.now()).await {
            warn!(error = %failed, "A letter about the database could not be sent: {failed}");
        }
    }

    /// Once a night.
    pub async fn integrity_check_is_due(&self) -> bool {
        let now = self.clock.now();
        let hour = now.to_zoned(self.store.lines().default_calendar().time_zone().clone()).hour();
        if hour != INTEGRITY_HOUR {
            return false;
        }
        let checked_at = self.store.meta(INTEGRITY_CHECKED_AT).await.ok().flatten();
        let checked_at = checked_at.and_then(|text| text.parse::<Timestamp>().ok());
        // An instant after now was written by a clock that ran ahead.
        checked_at.is_none_or(|at| at > now || now.duration_since(at) > SignedDuration::from_hours(2))
    }

    /// Reads the whole database; an alarm says what is wrong, and goes when nothing is any more.
    pub async fn check_integrity(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let faults = self.store.integrity_faults().await?;
        if faults.is_empty() {
            info!("The database is whole");
            self.store.clear_alarm("database_damaged", "", now).await?;
        } else {
            error!(faults = faults.join("; "), "The database is damaged");
            // It may be too damaged to take the alarm.
            if let Err(failed) = self.store.raise_alarm("database_damaged", "", DATABASE_DAMAGED, now).await {
                error!(error = %failed, "The alarm about the damaged database could not be saved: {failed}");
                self.mail_notice("Перезвон: база данных повреждена", DATABASE_DAMAGED).await;
            }
        }
        self.store.set_meta(INTEGRITY_CHECKED_AT, &now.to_string()).await
    }
}

fn outage_text(depth: SpoolDepth) -> String {
    let SpoolDepth { durable, in_memory, .. } = depth;
    let mut text = format!(
        "База данных не принимает звонки. Звонящим предлагают оставить сообщение. Сохранено на диске и ждёт: {durable}.\n"
    );
    if in_memory > 0 {
        text += &format!(
            "Только в памяти, потому что диск не принимает и их: {in_memory}. Не выключайте службу: освободите место на диске \
             или верните право записи.\n"
        );
    }
    text + "Проверьте место на диске, базу данных и журнал службы. Состояние: страница /health-ui или /readyz.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outage_is_mailed_once_an_hour() {
        let mut outage = Outage::default();
        let (start, durable) = (Instant::now(), SpoolDepth { durable: 3, ..SpoolDepth::default() });
        let mut is_due = |depth, seconds| outage.is_mail_due(depth, start + Duration::from_secs(seconds));
        assert!(!is_due(durable, 0) && !is_due(durable, 119));
        assert!(is_due(durable, 120));
        assert!(!is_due(durable, 3_700), "an hour after the letter");
        assert!(is_due(durable, 3_720));
        assert!(!is_due(SpoolDepth::default(), 3_721), "over");
        assert!(!is_due(durable, 3_722), "another one begins");
    }

    #[test]
    fn loss_that_threatens_is_mailed_at_once() {
        let in_memory = SpoolDepth { in_memory: 1, ..SpoolDepth::default() };
        assert!(Outage::default().is_mail_due(in_memory, Instant::now()));
        assert!(outage_text(in_memory).contains("Не выключайте службу"));
    }
}
