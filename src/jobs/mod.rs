//! What must happen later and may not be forgotten: one durable queue, worked off by one worker.
//!
//! Jobs are planned in the commit that causes them and leased before they run, so a `kill -9` at any moment leads to a
//! second try, never to none. Every job therefore bears being done twice.

mod adopt;
mod arrived;
pub mod backup;
mod fetch;
mod forgotten;
mod http;
mod mail;
mod place;
mod reconcile;
mod reconcile_provider;
mod replay;
mod retention;
mod rounds;
mod transcribe;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::{error, info, warn};

pub use self::adopt::{NotAdopted, Orphan, OrphansError};
pub use self::forgotten::{FORGOTTEN, FORGOTTEN_BESIDE_RECORDINGS, add_forgotten, read_forgotten, spooled_naming};
use self::http::HttpError;
pub use self::http::{Http, NoAnswer, client_builder};
pub use self::mail::{MailSecurity, MailSettings, Mailbox, MailboxError, mailbox, try_mail};
pub use self::reconcile_provider::{LookEnd, LookReport, Reconciler};
pub use self::replay::{Replayed, replay};
pub use self::retention::{Retention, in_words as retention_in_words};
use self::rounds::Rounds;
pub use self::transcribe::{Transcriber, TranscriptionSettings};
use crate::core::written_text::before_quotes;
use crate::providers::Providers;
use crate::recordings::Folder;
use crate::store::{Job, JobKind, JobPool, SharedAlarm, Store, StoreError};
use crate::time::{Clock, Heartbeat, SignedDuration, Timestamp, elapsed_ms};

/// How often the worker looks for work.
const TICK: Duration = Duration::from_secs(1);
/// How many downloads from one host, or questions to one provider, run at once: the other slots are for other hosts.
const MAX_IN_LANE: usize = 2;
/// How long the jobs in hand may take to end when the program stops. A second try is safe.
const PARTING: Duration = Duration::from_secs(5);

/// A provider may shorten our pauses to this, and not further however often it asks.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Interval of renewing the lease of work that goes on; a lease is longer.
const LEASE_RENEWAL_INTERVAL: Duration = Duration::from_secs(4 * 60);

/// Works off the queue. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    pub clock: Clock,
    pub store: Store,
    pub folder: Folder,
    pub providers: Providers,
    pub http: Http,
    /// `None`: nobody is written to.
    pub mail: Option<Arc<MailSettings>>,
    /// `None`: messages are not written down.
    pub transcriber: Option<Transcriber>,
    /// Whether the lists of the providers are compared with ours. Not in a rehearsal: its calls are nobody's.
    pub reconciles: bool,
    /// `None`: no nightly backup is configured, or this is a rehearsal.
    pub backup: Option<Arc<backup::NightlyBackup>>,
    /// Without terms in a rehearsal: nothing of it is anybody's.
    pub retention: Arc<Retention>,
    pub heartbeat: Heartbeat,
}

/// How a job ended.
enum Ended {
    Done,
    /// Tried again after a growing pause; counted from the cause.
    Later(String),
    /// Tried again after this long, whatever went before.
    After(SignedDuration, String),
    /// Tried again after the pause that the provider asked for, within bounds.
    AsAsked(SignedDuration, String),
    /// Nothing more can be done; the reason stays where somebody sees it.
    GivenUp(String),
}

/// How a job ended, and the alarm about what it waits for. Jobs of one kind that wait for one cause at one provider share
/// it, and it lasts as long as any of them waits: three hundred messages behind one wrong password are one thing to mend.
struct JobEnd {
    ended: Ended,
    alarm: Option<SharedAlarm>,
}

impl From<Ended> for JobEnd {
    fn from(ended: Ended) -> Self {
        Self { ended, alarm: None }
    }
}

impl From<StoreError> for JobEnd {
    fn from(error: StoreError) -> Self {
        Ended::from(error).into()
    }
}

impl Ended {
    /// After the provider could not be asked: when it wants to be asked again, or after a growing pause.
    fn after(error: &HttpError, outside: Timestamp) -> Self {
        match error.pause_asked_for(outside) {
            Some(pause) => Self::AsAsked(pause, error.to_string()),
            None => Self::Later(error.to_string()),
        }
    }

    /// Why it has not succeeded.
    fn into_reason(self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Later(reason) | Self::After(_, reason) | Self::AsAsked(_, reason) | Self::GivenUp(reason) => {
                Some(reason)
            }
        }
    }

    fn with_alarm(self, kind: &'static str, subject: String, text: String) -> JobEnd {
        JobEnd { ended: self, alarm: Some(SharedAlarm { kind, subject, told: text }) }
    }

    /// The same, in other words.
    fn with_reason(self, reason: String) -> Self {
        match self {
            Self::Later(_) => Self::Later(reason),
            Self::After(pause, _) => Self::After(pause, reason),
            Self::AsAsked(pause, _) => Self::AsAsked(pause, reason),
            Self::GivenUp(_) => Self::GivenUp(reason),
            Self::Done => Self::Done,
        }
    }

    /// The same, but no later than this.
    fn within(self, job: &Job, limit: SignedDuration) -> Self {
        match self {
            Self::Later(reason) => Self::After(pause_after(job).min(limit), reason),
            Self::After(pause, reason) => Self::After(pause.min(limit), reason),
            Self::AsAsked(pause, reason) => Self::AsAsked(pause.min(limit), reason),
            ended @ (Self::Done | Self::GivenUp(_)) => ended,
        }
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

impl Worker {
    /// Works until `stop` changes; what is in hand then has some seconds to end. A job that waits for a silent host holds
    /// up no delivery, no sweep and no stop, and neither does a round that waits for the database.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut rounds, mut in_hand) = (Rounds::new(self.clock.now()), JoinSet::new());
        let slots = Slots::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => tokio::select! {
                    () = self.make_round(&mut rounds, &mut in_hand) => {}
                    _ = stop.changed() => break,
                },
                Some(ended) = in_hand.join_next() => told(ended),
                _ = stop.changed() => break,
            }
            self.heartbeat.beat();
            // What this instance left in the middle is given back first.
            if rounds.has_resumed()
                && let Err(failed) = self.take_in_hand(&slots, &mut in_hand).await
            {
                warn!(error = %failed, "The queue cannot be read; trying again");
            }
        }
        let all_ended = async {
            while let Some(ended) = in_hand.join_next().await {
                told(ended);
            }
        };
        if tokio::time::timeout(PARTING, all_ended).await.is_err() {
            warn!(jobs = in_hand.len(), "Jobs are broken off; they are tried again at the next start");
            in_hand.shutdown().await;
        }
        if let Err(failed) = self.store.give_leases_back().await {
            warn!(error = %failed, "The jobs in hand wait for the next start, or ten minutes");
        }
    }

    /// Begins as many of the jobs that are due as their pools have free slots.
    async fn take_in_hand(
        &self,
        slots: &Slots,
        in_hand: &mut JoinSet<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        for pool in JobPool::WITH_SLOTS {
            while slots.taken(pool) < pool.size() {
                let job = self.store.lease_one(pool, &slots.full_lanes(pool), self.clock.now()).await?;
                let Some(job) = job else { break };
                let (worker, slot) = (self.clone(), slots.take(pool, job.lane.clone()));
                in_hand.spawn(async move {
                    let _slot = slot;
                    worker.work(&job).await
                });
            }
        }
        if let Some((job, turn)) = self.lease_transcription().await? {
            let worker = self.clone();
            in_hand.spawn(async move {
                let _turn = turn;
                worker.work(&job).await
            });
        }
        Ok(())
    }

    /// Runs every job whose time has come, until none is left: for whoever waits for the end of them. The answer is how many ran.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        let (slots, mut in_hand) = (Slots::default(), JoinSet::new());
        let mut ran = 0;
        loop {
            self.take_in_hand(&slots, &mut in_hand).await?;
            if in_hand.is_empty() {
                return Ok(ran);
            }
            while let Some(ended) = in_hand.join_next().await {
                ended.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))?;
                ran += 1;
            }
        }
    }

    /// What the administrator must know of the calendars, as alarms that come and go with their cause.
    async fn watch_calendars(&self, now: Timestamp) -> Result<(), StoreError> {
        let lines = self.store.lines();
        let mut told: Vec<String> = std::iter::once(lines.default_calendar())
            .chain(lines.iter().map(|line| &line.calendar))
            .flat_map(|calendar| calendar.warnings(now))
            .map(|warning| warning.to_string())
            .collect();
        told.sort();
        told.dedup();
        let known = self.store.lasting_alarms("calendar").await?;
        for subject in known.iter().filter(|subject| !told.contains(subject)) {
            self.store.clear_alarm("calendar", subject, now).await?;
        }
        for warning in told.iter().filter(|warning| !known.contains(warning)) {
            self.store.raise_alarm("calendar", warning, warning, now).await?;
        }
        Ok(())
    }

    async fn work(&self, job: &Job) -> Result<(), StoreError> {
        let end: JobEnd = match job.kind {
            JobKind::FetchRecording => {
                let renew = || self.store.renew_job_lease(job.id, self.clock.now());
                keeping_lease(self.fetch_recording(job), renew).await
            }
            JobKind::DeleteRecording => self.delete_recording(job).await,
            JobKind::ReconcileCall => self.reconcile_call(job).await.into(),
            JobKind::ReconcileProvider => self.reconcile_provider(job).await.into(),
            JobKind::PlaceCall => self.place_call(job).await.into(),
            JobKind::EndPlacedCall => self.end_placed_call(job).await.into(),
            JobKind::SendMail => self.send_mail(job).await.into(),
            JobKind::Transcribe => self.transcribe(job).await.into(),
        };
        let now = self.clock.now();
        self.write_down(job, end, now).await?;
        if job.has_alarm {
            self.store.clear_shared_alarms(now).await?;
        }
        Ok(())
    }

    /// How a job ended, into its row.
    async fn write_down(&self, job: &Job, end: JobEnd, now: Timestamp) -> Result<(), StoreError> {
        let (pause, reason) = match end.ended {
            Ended::Done => return self.store.job_done(job.id).await,
            // Nobody has to act: the message is on the list with or without its words.
            Ended::GivenUp(reason) if job.kind == JobKind::Transcribe => {
                warn!(job.subject, reason, "Gave up writing a message down: {reason}");
                return self.store.job_given_up(job, &reason, now).await;
            }
            Ended::GivenUp(reason) => {
                error!(job.kind = job.kind.as_str(), job.subject, reason, "Gave up a job: {reason}");
                return self.store.job_given_up(job, &reason, now).await;
            }
            Ended::Later(reason) => (pause_after(job), reason),
            Ended::After(pause, reason) => (pause, reason),
            Ended::AsAsked(pause, reason) => (pause.max(pause_after(job).min(SHORT_PAUSE)), reason),
        };
        self.store.job_later(job, pause, &reason, end.alarm, now).await
    }

    /// What must be looked at once when the service starts. Whoever mends the access to a provider has everything of it
    /// tried again, what was given up too.
    pub async fn resume(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.give_leases_back().await?;
        self.store.move_jobs_near(now).await?;
        for provider in self.providers.iter() {
            let Some(archive) = provider.archive() else { continue };
            let (key, access) = (format!("access {}", provider.name()), archive.access_digest());
            if self.store.meta(&key).await?.as_ref() != Some(&access) {
                let count = self.store.retry_provider(provider.name(), now).await?;
                info!(provider = %provider.name(), count, "The access to a provider is new: {count} messages are tried again");
                self.store.set_meta(&key, &access).await?;
            }
        }
        Ok(())
    }

    fn later(&self, error: &HttpError) -> Ended {
        Ended::after(error, self.clock.outside())
    }

    /// How long a job has been waiting to succeed.
    fn age_ms(&self, job: &Job) -> i64 {
        elapsed_ms(job.created_at, self.clock.now())
    }

    async fn alarm(&self, kind: &'static str, subject: i64, told: &str, now: Timestamp) {
        if let Err(failed) = self.store.raise_alarm(kind, &subject.to_string(), told, now).await {
            error!(error = %failed, alarm = kind, "An alarm could not be kept: {told}");
        }
    }

    async fn clear_alarm(&self, kind: &'static str, subject: i64, now: Timestamp) {
        if let Err(failed) = self.store.clear_alarm(kind, &subject.to_string(), now).await {
            warn!(error = %failed, alarm = kind, "An alarm could not be cleared");
        }
    }
}

/// Does what may take longer than its lease, and renews the lease meanwhile.
async fn keeping_lease<T, R>(work: impl Future<Output = T>, renew: impl Fn() -> R) -> T
where
    R: Future<Output = Result<(), StoreError>>,
{
    let mut work = std::pin::pin!(work);
    let mut renewals = tokio::time::interval(LEASE_RENEWAL_INTERVAL);
    renewals.tick().await;
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = renewals.tick() => {
                if let Err(failed) = renew().await {
                    warn!(error = %failed, "A lease could not be renewed; its work may be begun twice");
                }
            }
        }
    }
}

/// A job in hand: its pool, and its lane if it has one.
type InHand = (JobPool, Option<String>);

/// All jobs in hand.
#[derive(Clone, Default)]
struct Slots(Arc<Mutex<Vec<InHand>>>);

/// One job in hand, until this is dropped.
struct Slot {
    slots: Slots,
    job: InHand,
}

impl Slots {
    fn all(&self) -> MutexGuard<'_, Vec<InHand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self, pool: JobPool) -> usize {
        self.all().iter().filter(|(taken, _)| *taken == pool).count()
    }

    fn full_lanes(&self, pool: JobPool) -> Vec<String> {
        let mut counts = BTreeMap::<String, usize>::new();
        for lane in self.all().iter().filter(|(taken, _)| *taken == pool).filter_map(|(_, lane)| lane.clone()) {
            *counts.entry(lane).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count >= MAX_IN_LANE).map(|(lane, _)| lane).collect()
    }

    fn take(&self, pool: JobPool, lane: Option<String>) -> Slot {
        let job = (pool, lane);
        self.all().push(job.clone());
        Slot { slots: self.clone(), job }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut all = self.slots.all();
        if let Some(at) = all.iter().position(|job| *job == self.job) {
            all.swap_remove(at);
        }
    }
}

/// A job whose end could not be written keeps its lease and is tried again after it.
fn told(ended: Result<Result<(), StoreError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => warn!(error = %failed, "How a job ended could not be kept; trying again"),
        Err(died) => error!(error = before_quotes(&died.to_string()), "A job died; trying again"),
    }
}

/// Pauses between tries: seconds at first, for a recording is often there a moment later, an hour at the end. What is copied
/// or deleted at a provider is tried for months: six hours at the end.
fn pause_after(job: &Job) -> SignedDuration {
    const SECONDS: [i64; 12] = [2, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600];
    let steps = match job.kind {
        JobKind::FetchRecording | JobKind::DeleteRecording => SECONDS.len(),
        _ => SECONDS.len() - 2,
    };
    let index = usize::try_from(job.attempts).unwrap_or(0).min(steps - 1);
    SignedDuration::from_secs(SECONDS[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MAX_PAUSE;

    fn pauses(kind: JobKind) -> Vec<SignedDuration> {
        let at = Timestamp::UNIX_EPOCH;
        let job = Job {
            id: 1,
            kind,
            subject: 1,
            lane: None,
            created_at: at,
            run_at: at,
            attempts: 0,
            last_error: None,
            same_error: 0,
            has_alarm: false,
        };
        (0..20).map(|attempts| pause_after(&Job { attempts, ..job.clone() })).collect()
    }

    #[test]
    fn a_lane_is_full_with_two_and_free_again_after_them() {
        let slots = Slots::default();
        let _other = slots.take(JobPool::Downloads, Some("b".to_owned()));
        let slow = [0; 2].map(|_| slots.take(JobPool::Downloads, Some("a".to_owned())));
        let _nowhere = [0; 3].map(|_| slots.take(JobPool::Downloads, None));
        assert_eq!((slots.full_lanes(JobPool::Downloads), slots.taken(JobPool::Downloads)), (vec!["a".to_owned()], 6));
        assert_eq!((slots.full_lanes(JobPool::Calls), slots.taken(JobPool::Calls)), (vec![], 0));
        drop(slow);
        assert_eq!((slots.full_lanes(JobPool::Downloads), slots.taken(JobPool::Downloads)), (vec![], 4));
    }

    #[test]
    fn pauses_grow_to_six_hours_for_recordings() {
        let pauses = pauses(JobKind::FetchRecording);
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[19]), (SignedDuration::from_secs(2), MAX_PAUSE));
    }

    #[test]
    fn pauses_grow_to_an_hour_for_other_jobs() {
        let pauses = pauses(JobKind::ReconcileCall);
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[19]), (SignedDuration::from_secs(2), SignedDuration::from_hours(1)));
    }
}
