//! What the worker looks after beside its queue: each second what waits for the database, each minute all the rest.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tracing::warn;

use super::Worker;
use super::upkeep::{INTEGRITY_CHECK_INTERVAL, Outage};
use crate::store::{PutRight, StoreError};
use crate::time::Timestamp;

/// Interval of the sweeps. A database that is away is asked for no more often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// A step of the machine's clock larger than this is a jump, not the work of its steering.
const JUMP_MS: i64 = 30_000;
/// A clock that was not set in this time since the start, or since its last jump, is believed: machines that start with a wrong
/// one set it within seconds or minutes.
const SETTLED_AFTER: Duration = Duration::from_secs(10 * 60);
const CLOCK_RAN_AHEAD: &str = "Часы сервера спешили. Проверьте их: время этих обращений в журнале неверно.";

/// What is remembered from one round to the next.
pub(super) struct Rounds {
    /// What the clock showed in the last round, and when that was.
    shown: (Timestamp, Instant),
    /// The start, or the last jump of the clock.
    steady_since: Instant,
    has_resumed: bool,
    has_planned_first_looks: bool,
    swept: Option<Instant>,
    integrity_checked: Option<Instant>,
    outage: Outage,
}

impl Rounds {
    pub fn new(now: Timestamp) -> Self {
        Self {
            shown: (now, Instant::now()),
            steady_since: Instant::now(),
            has_resumed: false,
            has_planned_first_looks: false,
            swept: None,
            integrity_checked: None,
            outage: Outage::default(),
        }
    }

    /// Whether what an earlier life of this instance had in hand is given back.
    pub fn has_resumed(&self) -> bool {
        self.has_resumed
    }
}

impl Worker {
    /// May be broken off at any moment: the next start does the same.
    pub(super) async fn make_round(&self, rounds: &mut Rounds, in_hand: &mut JoinSet<Result<(), StoreError>>) {
        if !rounds.has_resumed {
            match self.resume().await {
                Ok(()) => rounds.has_resumed = true,
                Err(failed) => warn!(error = %failed, "The queue cannot be taken up; trying again"),
            }
        }
        self.look_at_the_clock(rounds).await;
        self.store.drain_spool(&self.clock).await;
        self.watch_database().await;
        self.mail_outage(&mut rounds.outage).await;
        let is_sweep_due = rounds.swept.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL);
        if is_sweep_due {
            rounds.swept = Some(Instant::now());
            // Without the database each part of a sweep would wait for it in vain, and hold up the letter about that. One that
            // may only be read is backed up.
            if self.store.ping().await.is_ok() {
                self.sweep_all(rounds, in_hand).await;
            }
        }
    }

    async fn look_at_the_clock(&self, rounds: &mut Rounds) {
        let (before, steady) = rounds.shown;
        rounds.shown = (self.clock.now(), Instant::now());
        let expected_ms = i64::try_from(steady.elapsed().as_millis()).unwrap_or(i64::MAX);
        let jump_ms = rounds.shown.0.as_millisecond() - before.as_millisecond() - expected_ms;
        if jump_ms.abs() > JUMP_MS && self.clock.follows_the_machine() {
            rounds.steady_since = Instant::now();
            self.clock_jumped(jump_ms, before).await;
        }
    }

    async fn sweep_all(&self, rounds: &mut Rounds, in_hand: &mut JoinSet<Result<(), StoreError>>) {
        self.sweep().await;
        if rounds.steady_since.elapsed() >= SETTLED_AFTER
            && let Err(failed) = self.put_right_after_a_fast_clock().await
        {
            warn!(error = %failed, "Callbacks of a clock that ran ahead could not be put right; trying again");
        }
        self.store.tend_spool(self.clock.now()).await;
        let is_checked = rounds.integrity_checked.is_some_and(|at| at.elapsed() < INTEGRITY_CHECK_INTERVAL);
        if !is_checked && self.integrity_check_is_due().await {
            rounds.integrity_checked = Some(Instant::now());
            let worker = self.clone();
            in_hand.spawn(async move { worker.check_integrity().await });
        }
        match self.plan_looks(!rounds.has_planned_first_looks).await {
            Ok(()) => rounds.has_planned_first_looks = true,
            Err(failed) => {
                warn!(error = %failed, "The comparison with the providers could not be planned; trying again")
            }
        }
        if let Err(failed) = self.plan_mail().await {
            warn!(error = %failed, "Letters could not be planned; trying again");
        }
        let worker = self.clone();
        in_hand.spawn(async move { worker.back_up_if_due().await.map(drop) });
        // What is erased too early does not come back.
        if rounds.steady_since.elapsed() >= SETTLED_AFTER {
            let worker = self.clone();
            in_hand.spawn(async move { worker.retain_if_due().await.map(drop) });
        }
    }

    /// Whoever rang while the clock ran ahead, or was put off by it, does not wait until its date comes.
    pub async fn put_right_after_a_fast_clock(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let PutRight { brought_near, freed } = self.store.put_right_after_a_fast_clock(now).await?;
        if brought_near + freed > 0 {
            let told = format!(
                "{CLOCK_RAN_AHEAD} Перенесено в нынешний список: {brought_near}. Снова ждут, хотя были отложены или взяты: {freed}."
            );
            self.store.raise_alarm("clock_ahead", "", &told, now).await?;
        }
        Ok(())
    }

    /// The machine's clock jumped by `by_ms` after it had shown `before`.
    pub async fn clock_jumped(&self, by_ms: i64, before: Timestamp) {
        warn!(by_ms, "The clock jumped by {} s; claims and jobs move along", by_ms / 1000);
        if let Err(failed) = self.store.move_leases(by_ms, before).await {
            warn!(error = %failed, "The claims could not be moved along with the clock");
        }
        if let Err(failed) = self.store.move_jobs_near(self.clock.now()).await {
            warn!(error = %failed, "The jobs could not be moved along with the clock");
        }
    }
}
