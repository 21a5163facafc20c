//! A look under way: it reads a provider's lists page by page, and saves after each where it goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Reconciler;
use crate::core::call::CallEvent;
use crate::core::line::Lines;
use crate::jobs::http::HttpError;
use crate::providers::{ApiRequest, ForbiddenUrl, List, Listing, Malformed, Page};
use crate::store::{Look, LookList, LookPlace, Reconciliation, StoreError};
use crate::time::Timestamp;

/// Pages read in one go, and how long that may take. The rest follows in the next go.
const MAX_PAGES: u32 = 50;
const LOOK_TIMEOUT: Duration = Duration::from_secs(180);
/// Pages in a row without an entry that is new to this go, after which a list counts as endless. An honest list repeats a
/// page or two at most, when new calls push its entries down while it is read.
const MAX_REPEATED_PAGES: u32 = 20;
/// Pages of one list in one look, however many goes that takes: at a hundred entries a page more than 6,000 calls a day for
/// as long as any look goes back. At ten seconds a page they are read before [`super::MAX_LOOK_AGE_MS`] begins the count anew.
pub(super) const MAX_LIST_PAGES: u32 = 5_000;

/// Why a look cannot go on.
pub(super) enum Stop {
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

/// A look under way.
pub(super) struct Run<'a> {
    pub(super) reconciler: &'a Reconciler,
    pub(super) listing: &'a dyn Listing,
    pub(super) provider: Arc<str>,
    pub(super) lines: Lines,
    pub(super) row: Reconciliation,
    pub(super) lease: i64,
    pub(super) look: Look,
    /// An earlier go has read some of its pages.
    pub(super) goes_on: bool,
    /// Pages that this go has read.
    pub(super) pages: u32,
    /// Entries of the list that this go has read, by the provider's id.
    seen: HashSet<String>,
    /// The last pages, in a row, that had nothing but such entries.
    repeated_pages: u32,
    /// The list that does not end: it is left, and the look fails once the other list is read.
    endless: Option<List>,
    /// When the first call that this go has read began.
    pub(super) begins_at: Option<Timestamp>,
    /// The officers' telephones that were rung, by the call in which they were rung: lists have them before that call.
    pub(super) legs: HashMap<String, Vec<CallEvent>>,
    /// Calls that this look has restored, by the provider's id.
    pub(super) restored: HashSet<String>,
    /// Calls that it has counted as known.
    pub(super) known: HashSet<i64>,
}

impl<'a> Run<'a> {
    /// A look that goes on at `look.next`; `goes_on`: an earlier go has read some of its pages.
    pub(super) fn new(
        reconciler: &'a Reconciler,
        listing: &'a dyn Listing,
        provider: Arc<str>,
        row: Reconciliation,
        lease: i64,
        look: Look,
        goes_on: bool,
    ) -> Self {
        let is_incomplete = look.next.as_ref().is_some_and(|place| place.incomplete_since.is_some());
        Self {
            reconciler,
            listing,
            provider,
            lines: reconciler.store.lines(),
            row,
            lease,
            look,
            goes_on,
            pages: 0,
            seen: HashSet::new(),
            repeated_pages: 0,
            endless: is_incomplete.then_some(List::Calls),
            begins_at: None,
            legs: HashMap::new(),
            restored: HashSet::new(),
            known: HashSet::new(),
        }
    }
}

impl Run<'_> {
    /// Reads pages until the lists end, or as many as one go may have. `true`: the lists have ended.
    pub(super) async fn run(&mut self) -> Result<bool, Stop> {
        let started = Instant::now();
        while let Some(place) = self.look.next.clone() {
            let is_over = self.pages >= MAX_PAGES || started.elapsed() > LOOK_TIMEOUT;
            // Pages that repeat themselves are counted to the end: the next go does not know what this one has seen.
            if is_over && self.repeated_pages == 0 {
                return Ok(false);
            }
            self.look.next = self.read_page(place).await?;
            self.pages += 1;
            let now = self.reconciler.clock.now();
            if !self.reconciler.store.save_look(self.row.id, self.lease, &self.look, now).await? {
                return Err(Stop::LostTurn);
            }
        }
        match self.endless {
            Some(list) => Err(Stop::Endless(list)),
            None => Ok(true),
        }
    }

    /// Reads one page and takes in what is missing. The answer is the place of the next one.
    async fn read_page(&mut self, place: LookPlace) -> Result<Option<LookPlace>, Stop> {
        let list = list_of(&place);
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
        Ok(self.next_place(place, next, now))
    }

    /// Where the look goes on after the page at `place`, which gave the address `next`. A list that does not end is left.
    fn next_place(&mut self, place: LookPlace, next: Option<String>, now: Timestamp) -> Option<LookPlace> {
        let list = list_of(&place);
        let pages = place.pages.saturating_add(1);
        let has_too_many = self.repeated_pages >= MAX_REPEATED_PAGES || pages >= MAX_LIST_PAGES;
        if next.is_some() && has_too_many {
            self.endless = self.endless.or(Some(list));
        }
        match (next, list) {
            (Some(address), _) if !has_too_many => Some(LookPlace { address: Some(address), pages, ..place }),
            (_, List::Calls) => {
                (self.seen, self.repeated_pages) = (HashSet::new(), 0);
                let incomplete_since = self.endless.is_some().then_some(now);
                Some(LookPlace { list: LookList::Recordings, address: None, pages: 0, incomplete_since })
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
}

/// The list of a place, as providers know it.
fn list_of(place: &LookPlace) -> List {
    match place.list {
        LookList::Calls => List::Calls,
        LookList::Recordings => List::Recordings,
    }
}
