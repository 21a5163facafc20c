//! What was never reported is asked for (R22): the provider's lists of calls and recordings are compared with ours, and what
//! is missing goes the way of a delivery. A look goes page by page and remembers its place, so that neither an outage of the
//! provider nor an end of the service leaves a gap.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::http::HttpError;
use super::{Ended, Http, Worker};
use crate::core::call::{CallEvent, CallKey, Fact, Ringing};
use crate::core::line::Lines;
use crate::providers::{
    ApiRequest, ForbiddenUrl, List, ListedCall, ListedKind, ListedRecording, Listing, Malformed, Page, Provider,
    Providers, legs_of, listing_of,
};
use crate::store::{Delivery, Job, KnownCall, Look, LookPlace, OWN, Reconciliation, Store, StoreError};
use crate::time::{Clock, SignedDuration, Timestamp, elapsed_ms};

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
/// Pages read in one go, and how long that may take. The rest follows in the next go.
const MAX_PAGES: u32 = 50;
const LOOK_TIMEOUT: Duration = Duration::from_secs(180);
/// Pages in a row without an entry that is new to this go, after which a list counts as endless. An honest list repeats a
/// page or two at most, when new calls push its entries down while it is read.
const MAX_REPEATED_PAGES: u32 = 20;
/// Pages of one list in one look, however many goes that takes: at a hundred entries a page more than 6,000 calls a day for
/// as long as any look goes back. At ten seconds a page they are read before [`MAX_LOOK_AGE_MS`] begins the count anew.
const MAX_LIST_PAGES: u32 = 5_000;
/// The webhook about a recording, or about a talk, that is younger than this may still be on its way.
const WEBHOOK_GRACE_MS: i64 = 5 * 60_000;
/// The officers' telephones are rung no later than this after a call began.
const MAX_RINGING_MS: i64 = 30 * 60_000;
/// Looks that have failed for this long raise an alarm.
const FAILING_ALARM_MS: i64 = 2 * 3_600_000;

/// The endpoint of deliveries that a look makes; their body is a [`RestoredBody`].
pub(super) const RESTORED: &str = "restored";

/// What a look brought in, as the inbox keeps it. A replay applies the events as they are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RestoredBody {
    pub events: Vec<CallEvent>,
    /// The entry of the provider's list; `null` where the events are of officers' telephones.
    listed: serde_json::Value,
}

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
        let reconciler = self.reconciler();
        for (provider, _) in reconciler.listed() {
            let now = self.clock.now();
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
        let endless = look.next.as_ref().filter(|place| place.is_incomplete).map(|_| List::Calls);
        let name = provider.name().clone();
        let Some(lease) = self.store.lease_look(row.id, now).await? else {
            return Ok(LookReport { provider: name, look, end: LookEnd::Busy });
        };
        let mut run = Run {
            reconciler: self,
            listing,
            provider: name.clone(),
            lines: self.store.lines(),
            row,
            lease,
            look,
            goes_on,
            pages: 0,
            seen: HashSet::new(),
            repeated_pages: 0,
            endless,
            begins_at: None,
            legs: HashMap::new(),
            restored: HashSet::new(),
            known: HashSet::new(),
        };
        let ended = run_pages(&mut run).await;
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

/// Why a look cannot go on.
enum Stop {
    Store(StoreError),
    /// The turn has gone to somebody else.
    LostTurn,
    Http(HttpError),
    Malformed(Malformed),
    /// The address of the next page may not be asked.
    Forbidden {
        why: ForbiddenUrl,
        address: String,
    },
    /// The pages of a list have no end.
    Endless(List),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Whether the officer whose telephone was rung took the call.
fn is_talk(leg: &CallEvent) -> bool {
    matches!(leg.fact, Fact::Rang { ringing: Ringing::Answered, .. })
}

/// A look under way.
struct Run<'a> {
    reconciler: &'a Reconciler,
    listing: &'a dyn Listing,
    provider: Arc<str>,
    lines: Lines,
    row: Reconciliation,
    lease: i64,
    look: Look,
    /// An earlier go has read some of its pages.
    goes_on: bool,
    /// Pages that this go has read.
    pages: u32,
    /// Entries of the list that this go has read, by the provider's id.
    seen: HashSet<String>,
    /// The last pages, in a row, that had nothing but such entries.
    repeated_pages: u32,
    /// The list that does not end: it is left, and the look fails once the other list is read.
    endless: Option<List>,
    /// When the first call that this go has read began.
    begins_at: Option<Timestamp>,
    /// The officers' telephones that were rung, by the call in which they were rung: lists have them before that call.
    legs: HashMap<String, Vec<CallEvent>>,
    /// Calls that this look has restored, by the provider's id.
    restored: HashSet<String>,
    /// Calls that it has counted as known.
    known: HashSet<i64>,
}

/// Reads pages until the lists end, or as many as one go may have. `true`: the lists have ended.
async fn run_pages(run: &mut Run<'_>) -> Result<bool, Stop> {
    let started = Instant::now();
    while let Some(place) = run.look.next.clone() {
        let is_over = run.pages >= MAX_PAGES || started.elapsed() > LOOK_TIMEOUT;
        // Pages that repeat themselves are counted to the end: the next go does not know what this one has seen.
        if is_over && run.repeated_pages == 0 {
            return Ok(false);
        }
        run.look.next = run.read_page(place).await?;
        run.pages += 1;
        let now = run.reconciler.clock.now();
        if !run.reconciler.store.save_look(run.row.id, run.lease, &run.look, now).await? {
            return Err(Stop::LostTurn);
        }
    }
    match run.endless {
        Some(list) => Err(Stop::Endless(list)),
        None => Ok(true),
    }
}

impl Run<'_> {
    /// Reads one page and takes in what is missing. The answer is the place of the next one.
    async fn read_page(&mut self, place: LookPlace) -> Result<Option<LookPlace>, Stop> {
        let list = if place.list == LookPlace::CALLS { List::Calls } else { List::Recordings };
        let request: ApiRequest = match &place.address {
            Some(address) => {
                let forbidden = |why| Stop::Forbidden { why, address: address.clone() };
                self.listing.page_request(address).map_err(forbidden)?
            }
            None => self.listing.list_request(list, self.look.from),
        };
        let json = self.reconciler.http.ask(request).await.map_err(Stop::Http)?;
        let now = self.reconciler.clock.now();
        let (next, is_repeated) = match list {
            List::Calls => {
                let mut page = self.listing.parse_call_page(&json, now).map_err(Stop::Malformed)?;
                let next = self.next_address(&page, |call| call.started_at);
                self.begins_at = self.begins_at.or_else(|| page.entries.iter().find_map(|call| call.started_at));
                self.leave_out_seen(&mut page.entries, |call| call.provider_call_id.as_str());
                let is_repeated = page.entries.is_empty();
                self.take_in_calls(page.entries, now).await?;
                (next, is_repeated)
            }
            List::Recordings => {
                let mut page = self.listing.parse_recording_page(&json, now).map_err(Stop::Malformed)?;
                let next = self.next_address(&page, |recording| recording.created_at);
                // A page of recordings that are no messages reads as an empty one, and may be as new as any.
                let has_messages = !page.entries.is_empty();
                self.leave_out_seen(&mut page.entries, |recording| recording.recording_id.as_str());
                let is_repeated = has_messages && page.entries.is_empty();
                self.take_in_recordings(page.entries, now).await?;
                (next, is_repeated)
            }
        };
        self.repeated_pages = if is_repeated { self.repeated_pages + 1 } else { 0 };
        Ok(self.next_place(place, list, next))
    }

    /// Where the look goes on after the page at `place`, which gave the address `next`. A list that does not end is left.
    fn next_place(&mut self, place: LookPlace, list: List, next: Option<String>) -> Option<LookPlace> {
        let pages = place.pages.saturating_add(1);
        let has_too_many = self.repeated_pages >= MAX_REPEATED_PAGES || pages >= MAX_LIST_PAGES;
        if next.is_some() && has_too_many {
            self.endless = self.endless.or(Some(list));
        }
        match (next, list) {
            (Some(address), _) if !has_too_many => Some(LookPlace { address: Some(address), pages, ..place }),
            (_, List::Calls) => {
                (self.seen, self.repeated_pages) = (HashSet::new(), 0);
                let is_incomplete = self.endless.is_some();
                Some(LookPlace { list: LookPlace::RECORDINGS.to_owned(), address: None, pages: 0, is_incomplete })
            }
            (_, List::Recordings) => None,
        }
    }

    /// Leaves out the entries that this go has seen: what a list repeats is neither taken in nor counted again.
    fn leave_out_seen<T>(&mut self, entries: &mut Vec<T>, id: impl Fn(&T) -> &str) {
        entries.retain(|entry| self.seen.insert(id(entry).to_owned()));
    }

    /// The next page, unless the list has come to what is older than this look: a provider may list more than it was asked for.
    fn next_address<T>(&self, page: &Page<T>, at: impl Fn(&T) -> Option<Timestamp>) -> Option<String> {
        let first = page.entries.first().and_then(&at);
        let last = page.entries.last().and_then(&at);
        let is_newest_first = page.entries.len() > 1 && first >= last;
        let is_past = is_newest_first && last.is_some_and(|last| last < self.look.from);
        page.next.clone().filter(|_| !is_past)
    }

    /// Only calls to our lines that are over: one that is going on is there at the next look, with its end.
    async fn take_in_calls(&mut self, entries: Vec<ListedCall>, now: Timestamp) -> Result<(), Stop> {
        let mut ours = Vec::new();
        for mut call in entries {
            match std::mem::replace(&mut call.kind, ListedKind::Outbound) {
                ListedKind::Inbound if self.concerns_us(&call) => ours.push(call),
                ListedKind::Leg { parent_call_id: Some(parent), ringing: Some(ringing) } => {
                    self.legs.entry(parent).or_default().push(ringing);
                }
                ListedKind::Inbound | ListedKind::Leg { .. } | ListedKind::Outbound => {}
            }
        }
        ours.sort_by_key(|call| call.started_at);
        let ids: Vec<String> =
            ours.iter().map(|call| call.provider_call_id.clone()).chain(self.legs.keys().cloned()).collect();
        let known = self.reconciler.store.known_calls(&self.provider, &ids).await?;
        self.take_in_talks(&known, now).await?;
        for call in ours {
            if self.restored.contains(&call.provider_call_id) {
                continue;
            }
            match known.get(&call.provider_call_id) {
                // Taken in, but not yet counted, before the service ended.
                Some(known) if self.has_restored(known) && self.is_at_broken_page() => {
                    self.restored.insert(call.provider_call_id);
                    self.look.listed += 1;
                    self.look.restored += 1;
                }
                // An earlier go has counted it: the list repeats itself.
                Some(known) if self.has_restored(known) => {}
                Some(known) if self.known.insert(known.id) => {
                    self.look.listed += 1;
                    self.look.known += 1;
                }
                Some(_) => {}
                None => {
                    let legs = self.legs_of(&call, now).await?;
                    let events = call.events.into_iter().chain(legs).collect();
                    self.deliver(&call.provider_call_id, call.json, events, true, now).await?;
                    self.restored.insert(call.provider_call_id);
                    self.look.listed += 1;
                    self.look.restored += 1;
                }
            }
        }
        // A list in another order: the call came first.
        let late: Vec<String> = self.legs.keys().filter(|id| self.restored.contains(*id)).cloned().collect();
        for provider_call_id in late {
            let legs = self.legs.remove(&provider_call_id).unwrap_or_default();
            self.deliver_legs(&provider_call_id, legs, now).await?;
        }
        Ok(())
    }

    /// Talks of calls that we have and of which no webhook told how the ringing ended: without them such a call counts as
    /// missed, and its caller is called back for nothing.
    async fn take_in_talks(&mut self, known: &HashMap<String, KnownCall>, now: Timestamp) -> Result<(), Stop> {
        for (provider_call_id, call) in known {
            let Some(legs) = self.legs.remove(provider_call_id) else { continue };
            let is_restored = self.restored.contains(provider_call_id) || self.has_restored(call);
            let is_due = |leg: &CallEvent| is_restored || elapsed_ms(leg.at, now) >= WEBHOOK_GRACE_MS;
            if call.was_talked || !legs.iter().any(|leg| is_talk(leg) && is_due(leg)) {
                continue;
            }
            self.deliver_legs(provider_call_id, legs, now).await?;
            if !is_restored {
                self.count_as_restored(provider_call_id, call);
            }
        }
        Ok(())
    }

    /// The officers' telephones that were rung in a call. Where an earlier go has read the pages before it, they may have
    /// been there, and it has forgotten them.
    async fn legs_of(&mut self, call: &ListedCall, now: Timestamp) -> Result<Vec<CallEvent>, Stop> {
        let legs = self.legs.remove(&call.provider_call_id).unwrap_or_default();
        let is_near =
            call.started_at.zip(self.begins_at).is_none_or(|(at, begin)| elapsed_ms(at, begin) < MAX_RINGING_MS);
        if !self.goes_on || !legs.is_empty() || !is_near {
            return Ok(legs);
        }
        let sid = &call.provider_call_id;
        let json = self.reconciler.http.ask_for_legs(self.listing, sid).await.map_err(Stop::Http)?;
        let Some(json) = json else { return Ok(legs) };
        let page = self.listing.parse_call_page(&json, now).map_err(Stop::Malformed)?;
        Ok(legs_of(page, sid))
    }

    async fn deliver_legs(
        &self,
        provider_call_id: &str,
        legs: Vec<CallEvent>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.deliver(provider_call_id, Vec::new(), legs, false, now).await
    }

    /// A call that we have, of which this look has brought in what no webhook told.
    fn count_as_restored(&mut self, provider_call_id: &str, call: &KnownCall) {
        if self.known.remove(&call.id) {
            self.look.known -= 1;
        } else {
            self.look.listed += 1;
        }
        self.look.restored += 1;
        self.restored.insert(provider_call_id.to_owned());
    }

    /// Whether an earlier go of this look brought in the call.
    fn has_restored(&self, call: &KnownCall) -> bool {
        self.goes_on && call.restored_at.is_some_and(|at| at >= self.look.to)
    }

    /// Whether an earlier go may have taken in calls of this page without counting them.
    fn is_at_broken_page(&self) -> bool {
        self.pages == 0 && self.row.is_broken_off
    }

    fn concerns_us(&self, call: &ListedCall) -> bool {
        call.is_over
            && call.started_at.is_some_and(|at| at >= self.look.from)
            && !self.lines.of_call(&call.dialled, call.forwarded_from.as_deref()).id.is_unknown()
    }

    /// Messages of calls that we have. All calls of ours in the span of the look are here by now; others are not ours.
    async fn take_in_recordings(&mut self, entries: Vec<ListedRecording>, now: Timestamp) -> Result<(), Stop> {
        let store = &self.reconciler.store;
        let ids: Vec<String> = entries.iter().map(|recording| recording.provider_call_id.clone()).collect();
        let calls = store.known_calls(&self.provider, &ids).await?;
        let known = store.known_recordings(&calls.values().map(|call| call.id).collect::<Vec<_>>()).await?;
        for recording in entries {
            let ListedRecording { provider_call_id, recording_id, created_at, event, json } = recording;
            let Some(call) = calls.get(&provider_call_id) else { continue };
            if known.contains(&(call.id, recording_id)) {
                continue;
            }
            let is_restored = self.restored.contains(&provider_call_id) || self.has_restored(call);
            let length_seconds = match &event.fact {
                Fact::Recording { length_seconds, .. } => length_seconds.unwrap_or(0),
                _ => 0,
            };
            let age_ms = created_at.map_or(i64::MAX, |at| elapsed_ms(at, now) - i64::from(length_seconds) * 1000);
            if !is_restored && age_ms < WEBHOOK_GRACE_MS {
                continue;
            }
            self.deliver(&provider_call_id, json, vec![event], false, now).await?;
            if !is_restored {
                self.count_as_restored(&provider_call_id, call);
            }
        }
        Ok(())
    }

    /// Keeps what the list says like a webhook, with the mark that it was asked for.
    async fn deliver(
        &self,
        provider_call_id: &str,
        json: Vec<u8>,
        mut events: Vec<CallEvent>,
        can_be_asked: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        events.push(CallEvent { at: now, fact: Fact::Restored });
        let key = CallKey { provider: self.provider.clone(), provider_call_id: provider_call_id.to_owned() };
        let body = RestoredBody { events, listed: serde_json::from_slice(&json).unwrap_or_default() };
        let delivery = Delivery {
            provider: self.provider.clone(),
            endpoint: RESTORED.to_owned(),
            method: OWN.to_owned(),
            target: String::new(),
            content_type: "application/json".to_owned(),
            body: serde_json::to_vec(&body).expect("plain fields always become JSON").into(),
            received_at: now,
            key: Some(key),
            events: body.events,
            can_be_asked,
        };
        self.reconciler.store.deliver(delivery).await.map(drop)
    }

    /// Writes down how this go ended, and raises or clears the alarms about it.
    async fn end(&self, since: Option<Timestamp>, ended: Result<bool, Stop>) -> Result<LookEnd, StoreError> {
        let Self { reconciler, provider, row, lease, look, .. } = self;
        let store = &reconciler.store;
        let now = reconciler.clock.now();
        let end = match ended {
            Ok(true) => {
                let leaves_no_gap = since.is_none() || look.from <= row.covered_until.unwrap_or(row.service_since);
                let is_wide = look.from <= look.to.checked_sub(WIDE).unwrap_or(look.to).max(row.service_since);
                store.finish_look(row.id, *lease, leaves_no_gap.then_some(look.to), is_wide, now).await?;
                store.clear_alarm("reconcile_failing", provider, now).await?;
                LookEnd::Finished
            }
            Ok(false) => {
                store.pause_look(row.id, *lease).await?;
                LookEnd::Paused
            }
            Err(Stop::LostTurn) => LookEnd::Busy,
            Err(Stop::Store(failed)) => {
                // Best effort: the turn ends by itself after some minutes.
                let _ = store.break_off_look(row.id, *lease).await;
                return Err(failed);
            }
            Err(stop) => self.fail(stop, now).await?,
        };
        if look.restored > 0 && end != LookEnd::Busy {
            metrics::counter!("perezvon_calls_restored_total").increment(self.restored.len() as u64);
            info!(provider = %provider, restored = look.restored, "The provider knew of calls that nobody had reported");
            self.raise_restored(now).await?;
        }
        Ok(end)
    }

    async fn fail(&self, stop: Stop, now: Timestamp) -> Result<LookEnd, StoreError> {
        let Self { reconciler, provider, row, lease, look, .. } = self;
        let is_at_address = look.next.as_ref().is_some_and(|place| place.address.is_some());
        let is_expired = match &stop {
            Stop::Http(HttpError::Status { status, .. }) => {
                status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Stop::Http(_) => false,
            _ => true,
        };
        let pause = match &stop {
            Stop::Http(error) => {
                let pause = error.pause_asked_for(reconciler.clock.outside());
                pause.map(|pause| pause.clamp(MIN_PAUSE, MAX_PAUSE))
            }
            _ => None,
        };
        let error = in_words(&stop);
        warn!(provider = %provider, error, "The provider's lists could not be compared with ours: {error}");
        let store = &reconciler.store;
        store.fail_look(row.id, *lease, &error, is_at_address && is_expired, now).await?;
        let failing_since = row.failing_since.unwrap_or(now);
        if elapsed_ms(failing_since, now) >= FAILING_ALARM_MS {
            let text = format!(
                "Сверка с оператором «{provider}» не удаётся с {}: {error}. Звонки, о которых он не сообщил, служба пока не \
                 видит. Проверьте ключи и связь; служба пробует снова сама.",
                self.when(failing_since)
            );
            store.raise_alarm("reconcile_failing", provider, &text, now).await?;
        }
        Ok(LookEnd::Failed { error, pause })
    }

    /// Once for each look, whatever it took.
    async fn raise_restored(&self, now: Timestamp) -> Result<(), StoreError> {
        let Look { from, to, restored, .. } = &self.look;
        let text = format!(
            "Оператор «{}» знал о звонках, о которых не сообщил службе: восстановлено {restored} (с {} по {}). Они в журнале \
             и в списке с пометкой «восстановлен». Проверьте, доходят ли до службы его запросы.",
            self.provider,
            self.when(*from),
            self.when(*to)
        );
        let subject = format!("{} {}", self.provider, to.as_millisecond());
        self.reconciler.store.raise_alarm("restored", &subject, &text, now).await
    }

    fn when(&self, at: Timestamp) -> String {
        let zone = self.lines.default_calendar().time_zone().clone();
        at.to_zoned(zone).strftime("%d.%m.%Y, %H:%M").to_string()
    }
}

/// Bounds of a pause that a provider asks for.
const MIN_PAUSE: SignedDuration = SignedDuration::from_secs(1);
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// For the administrator.
fn in_words(stop: &Stop) -> String {
    match stop {
        Stop::Http(error) => error.in_russian(),
        Stop::Malformed(why) => format!("список оператора не разобрать ({why})"),
        Stop::Forbidden { why: ForbiddenUrl::WithCredentials, .. } => {
            "в адресе следующей страницы списка есть имя или пароль, служба по нему не идёт".to_owned()
        }
        Stop::Forbidden { address, .. } => format!(
            "следующая страница списка на {}, а служба спрашивает только узел и порт из api_base; если оператор переехал, \
             исправьте api_base",
            origin_of(address)
        ),
        Stop::Endless(list) => {
            let list = match list {
                List::Calls => "звонков",
                List::Recordings => "записей",
            };
            format!("список {list} у оператора не кончается: страницы повторяются, или их больше {MAX_LIST_PAGES}")
        }
        Stop::Store(failed) => format!("база данных недоступна ({failed})"),
        Stop::LostTurn => "идёт другая сверка".to_owned(),
    }
}

/// The scheme, host and port of an address, as `api_base` begins. The rest of it may be signed.
fn origin_of(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return "непонятном адресе".to_owned() };
    url.origin().ascii_serialization().chars().take(100).collect()
}
