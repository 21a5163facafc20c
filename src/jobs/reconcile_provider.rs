//! What was never reported is asked for (R22): the provider's lists of calls and recordings are compared with ours, and what
//! is missing goes the way of a delivery. A look goes page by page and remembers its place, so that neither an outage of the
//! provider nor an end of the service leaves a gap.

mod missing;
mod pages;
mod report;

use std::sync::Arc;

use tracing::warn;

pub(super) use self::missing::{RESTORED, RestoredBody};
use self::pages::Run;
use super::{Ended, Http, Worker};
use crate::providers::{Listing, Provider, Providers, listing_of};
use crate::store::{Job, Look, LookPlace, Reconciliation, Store, StoreError};
use crate::time::{Clock, EARLIEST_PLAUSIBLE, SignedDuration, Timestamp, elapsed_ms};

/// The interval between two looks.
const INTERVAL_MS: i64 = 3_600_000;
/// How far a look goes back behind the last good one. A call is listed as finished after at most four hours, and its
/// recording some time after that.
const OVERLAP: SignedDuration = SignedDuration::from_hours(6);
/// How far a wide look goes back: nightly and on demand.
const WIDE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The hours of the night in which the wide look is due, by the clock of the school, and how old the last one must be then.
const NIGHT_HOURS: std::ops::Range<i8> = 2..5;
const NIGHTLY_MS: i64 = 12 * 3_600_000;
/// A wide look is due at any hour if the last one is older than this.
const WIDE_OVERDUE_MS: i64 = 36 * 3_600_000;
/// No look goes further back: older keys of calls may be forgotten (90 days), and a call that we had would come twice.
const MAX_LOOK_BACK: SignedDuration = SignedDuration::from_hours(80 * 24);
/// A look that was broken off is begun anew after this: the addresses of its pages may have expired.
const MAX_LOOK_AGE_MS: i64 = 24 * 3_600_000;

/// Compares providers' lists with ours; for the worker and for the command line.
#[derive(Clone)]
pub struct Reconciler {
    pub clock: Clock,
    pub store: Store,
    pub providers: Providers,
    pub http: Http,
}

/// What one go of a look came to.
#[derive(Clone, Debug)]
pub struct LookReport {
    pub provider: Arc<str>,
    pub look: Look,
    pub end: LookEnd,
}

/// How one go of a look ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookEnd {
    Finished,
    /// There are more pages than are read in one go: it goes on where it stands.
    Paused,
    /// Another look through the same provider's lists is under way.
    Busy,
    Failed {
        /// In Russian: the administrator reads it.
        error: String,
        /// The pause that the provider asks for.
        pause: Option<SignedDuration>,
    },
}

impl Worker {
    pub fn reconciler(&self) -> Reconciler {
        Reconciler {
            clock: self.clock.clone(),
            store: self.store.clone(),
            providers: self.providers.clone(),
            http: self.http.clone(),
        }
    }

    /// Plans the looks whose time has come: at the start of the service, hourly, and at night over several days.
    pub async fn plan_looks(&self, at_start: bool) -> Result<(), StoreError> {
        if !self.reconciles {
            return Ok(());
        }
        let now = self.clock.now();
        // A clock that was never set knows nothing of our first day, from which on calls are taken in.
        if now < EARLIEST_PLAUSIBLE {
            warn!(%now, "The clock shows a time before this program was made: the providers are not compared");
            return Ok(());
        }
        let reconciler = self.reconciler();
        for (provider, _) in reconciler.listed() {
            let row = reconciler.row(provider.name(), now).await?;
            let is_due = row.covered_until.is_none_or(|until| elapsed_ms(until, now) >= INTERVAL_MS);
            if at_start || is_due || self.is_wide_due(&row, now) {
                self.store.plan_look(row.id, at_start, now).await?;
            }
        }
        Ok(())
    }

    fn is_wide_due(&self, row: &Reconciliation, now: Timestamp) -> bool {
        let zone = self.store.lines().default_calendar().time_zone().clone();
        let is_night = NIGHT_HOURS.contains(&now.to_zoned(zone).hour());
        row.widely_covered_at.is_none_or(|at| {
            let age_ms = elapsed_ms(at, now);
            age_ms >= WIDE_OVERDUE_MS || (is_night && age_ms >= NIGHTLY_MS)
        })
    }

    pub(super) async fn reconcile_provider(&self, job: &Job) -> Ended {
        let row = match self.store.reconciliation_of(job.subject, self.clock.now()).await {
            Ok(Some(row)) => row,
            Ok(None) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        let reconciler = self.reconciler();
        let listed = reconciler.listed().into_iter().find(|(provider, _)| **provider.name() == *row.provider);
        let Some((provider, listing)) = listed.filter(|_| self.reconciles) else { return Ended::Done };
        let wide = self.is_wide_due(&row, self.clock.now());
        match reconciler.look(provider, listing, None, wide).await.map(|report| report.end) {
            Ok(LookEnd::Finished) => Ended::Done,
            Ok(LookEnd::Paused) => Ended::After(SignedDuration::from_secs(1), "the look goes on".to_owned()),
            Ok(LookEnd::Busy) => Ended::After(SignedDuration::from_mins(1), "another look is under way".to_owned()),
            Ok(LookEnd::Failed { error, pause: Some(pause) }) => Ended::After(pause, error),
            Ok(LookEnd::Failed { error, pause: None }) => Ended::Later(error),
            Err(failed) => failed.into(),
        }
    }
}

impl Reconciler {
    /// The providers that list their calls, by name.
    pub fn listed(&self) -> Vec<(&dyn Provider, &dyn Listing)> {
        let mut listed: Vec<_> =
            self.providers.iter().filter_map(|provider| Some((provider, listing_of(provider).ok()?))).collect();
        listed.sort_by(|(one, _), (other, _)| one.name().cmp(other.name()));
        listed
    }

    /// Where a provider stands. The first time its first day of service is settled, and anew if a clock that ran ahead has
    /// settled it.
    async fn row(&self, provider: &str, now: Timestamp) -> Result<Reconciliation, StoreError> {
        loop {
            if let Some(row) = self.store.reconciliation(provider, now).await?
                && row.service_since <= now
            {
                return Ok(row);
            }
            let first = self.store.first_delivery_at(provider).await?.map_or(now, |at| at.min(now));
            let zone = self.store.lines().default_calendar().time_zone().clone();
            let day = first.to_zoned(zone).start_of_day().map_or(first, |day| day.timestamp());
            self.store.begin_reconciliation(provider, day, now).await?;
        }
    }

    /// One go of a look through a provider's lists, from `since` on or from where the last good one ended.
    pub async fn look(
        &self,
        provider: &dyn Provider,
        listing: &dyn Listing,
        since: Option<Timestamp>,
        wide: bool,
    ) -> Result<LookReport, StoreError> {
        let now = self.clock.now();
        let row = self.row(provider.name(), now).await?;
        let last = self.store.last_delivery_at(provider.name(), now).await?;
        let from = begin_of_look(&row, since, last, wide, now);
        let unfinished = row
            .look
            .clone()
            .filter(|look| look.next.is_some() && look.from <= from && look.to <= now)
            .filter(|look| elapsed_ms(look.to, now) < MAX_LOOK_AGE_MS);
        let goes_on = unfinished.is_some();
        let first = Some(LookPlace::first());
        let look = unfinished.unwrap_or(Look { from, to: now, listed: 0, known: 0, restored: 0, next: first });
        let name = provider.name().clone();
        let Some(lease) = self.store.lease_look(row.id, now).await? else {
            return Ok(LookReport { provider: name, look, end: LookEnd::Busy });
        };
        let mut run = Run::new(self, listing, name.clone(), row, lease, look, goes_on);
        let ended = run.run().await;
        let end = run.end(since, ended).await?;
        Ok(LookReport { provider: name, look: run.look, end })
    }
}

/// Where a look begins. Never before our first day of service, unless somebody says since when. Where nothing is known to be
/// compared, it goes back over several days, and further if the last webhook of the provider, at `last`, is older.
fn begin_of_look(
    row: &Reconciliation,
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    wide: bool,
    now: Timestamp,
) -> Timestamp {
    let before = |at: Timestamp, span: SignedDuration| at.checked_sub(span).unwrap_or(Timestamp::MIN);
    let horizon = before(now, MAX_LOOK_BACK);
    if let Some(since) = since {
        return since.clamp(horizon, now);
    }
    let narrow = match row.covered_until {
        Some(until) => before(until, OVERLAP),
        None => last.map_or(now, |last| before(last, OVERLAP)).min(before(now, WIDE)),
    };
    let from = if wide { narrow.min(before(now, WIDE)) } else { narrow };
    from.max(row.service_since).clamp(horizon, now)
}
