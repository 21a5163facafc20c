//! The terms of the school, applied every night by one of the instances that share the database: at 1:30 by the school's clock,
//! or as soon after it as can be.

use std::sync::{Mutex, PoisonError};

use tracing::{error, info, warn};

use super::{Worker, keeping_lease};
use crate::core::officer::Actor;
use crate::core::retention::Terms;
use crate::store::{AuditEntry, RETENTION, RetentionCounts, StoreError};
use crate::time::{Time, Timestamp, ToSpan, elapsed_ms};

/// When it is due, by the school's clock.
const AT: Time = Time::constant(1, 30, 0, 0);
/// After a failure it is tried again this much later.
const RETRY_PAUSE_MS: i64 = 60 * 60 * 1000;
/// Kept in `meta`: when the last whole run began.
const RAN_AT: &str = "retention_ran_at";

/// The terms, and what is known of this run of the program.
#[derive(Debug, Default)]
pub struct Retention {
    pub terms: Terms,
    failed_at: Mutex<Option<Timestamp>>,
}

impl Retention {
    pub fn new(terms: Terms) -> Self {
        Self { terms, failed_at: Mutex::default() }
    }

    fn failed_at(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Applies the terms if that is due and nobody else does. `true`: they were applied.
    pub async fn retain_if_due(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        if self.retention.terms.is_empty() || !self.retention_is_due(now).await? {
            return Ok(false);
        }
        if !self.store.take_lease(RETENTION, now).await? {
            return Ok(false);
        }
        let renew = || self.store.renew_lease(RETENTION, self.clock.now());
        let ran = keeping_lease(self.retain(&self.retention.terms, &Actor::system(), false), renew).await;
        let ran = match ran {
            Ok(counts) => {
                *self.retention.failed_at() = None;
                info!(?counts, "Applied the terms of retention");
                self.store.set_meta(RAN_AT, &now.to_string()).await.map(|()| true)
            }
            Err(failed) => {
                *self.retention.failed_at() = Some(now);
                error!(error = %failed, "The terms of retention could not be applied: {failed}");
                Ok(false)
            }
        };
        if let Err(failed) = self.store.give_lease_back(RETENTION).await {
            warn!(error = %failed, "The lease of the retention ends by itself");
        }
        ran
    }

    async fn retention_is_due(&self, now: Timestamp) -> Result<bool, StoreError> {
        if self.retention.failed_at().is_some_and(|at| at <= now && elapsed_ms(at, now) < RETRY_PAUSE_MS) {
            return Ok(false);
        }
        let zone = self.store.lines().default_calendar().time_zone().clone();
        let today = now.to_zoned(zone.clone()).date();
        let of = |date: crate::time::Date| date.to_datetime(AT).to_zoned(zone.clone()).map_or(now, |it| it.timestamp());
        let due = if of(today) <= now { of(today) } else { today.checked_sub(1.days()).map_or(now, of) };
        let ran_at = self.store.meta(RAN_AT).await?.and_then(|text| text.parse::<Timestamp>().ok());
        // An instant after now was written by a clock that ran ahead.
        Ok(ran_at.is_none_or(|at| at < due || at > now))
    }

    /// Applies the terms, and writes into the audit what went. A dry run counts and changes nothing.
    ///
    /// # Errors
    /// What was done until then stays done, and the next run goes on there.
    pub async fn retain(&self, terms: &Terms, by: &Actor, dry_run: bool) -> Result<RetentionCounts, StoreError> {
        let now = self.clock.now();
        let mut counts = RetentionCounts::default();
        let ended = self.retain_step_by_step(terms, dry_run, now, &mut counts).await;
        if !dry_run && !counts.is_empty() {
            let entry = AuditEntry {
                by: by.clone(),
                action: "retention",
                object: "retention".to_owned(),
                detail: in_words(&counts),
                address: String::new(),
            };
            self.store.audit(entry, now).await?;
            if !self.store.empty_log().await? {
                warn!("The log of the database still holds what was erased: somebody reads. The next run empties it");
            }
        }
        ended.map(|()| counts)
    }

    async fn retain_step_by_step(
        &self,
        terms: &Terms,
        dry_run: bool,
        now: Timestamp,
        counts: &mut RetentionCounts,
    ) -> Result<(), StoreError> {
        self.store.erase_old_audio(terms, now, dry_run, counts).await?;
        if !dry_run {
            self.erase_files().await?;
        }
        self.store.apply_terms(terms, now, dry_run, counts).await
    }
}

/// «записей 2, звонков 5»: what is not zero.
pub fn in_words(counts: &RetentionCounts) -> String {
    let each = [
        ("записей без звука", counts.voicemails),
        ("звонков без номера", counts.calls),
        ("обращений без номера и текста", counts.callbacks),
        ("имён и заметок", counts.contacts),
        ("запросов операторов без номеров", counts.deliveries),
        ("строк журнала действий без номеров", counts.audit),
        ("звонков целиком", counts.old_calls),
        ("обращений целиком", counts.old_callbacks),
    ];
    let words = each.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what} {count}"));
    words.collect::<Vec<_>>().join(", ")
}
