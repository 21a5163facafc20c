//! The callback list as officers see it, at instants of the year: whoever waits is on it, and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use perezvon::core::callback::Callback;
use perezvon::store::{ListFilter, ListPeriod, StateFilter};
use perezvon::time::{SignedDuration, Timestamp};
use sqlx::Row;

use super::dialogue::Content;
use super::ledger::{Rule, Violation};
use super::{Year, calendar};

/// A call that nobody has reported for this long is asked about, and may be known in another way than by a webhook.
const ASKED_ABOUT_AFTER: SignedDuration = SignedDuration::from_mins(25);

/// Line and number.
type Waiter = (String, String);

/// Of whom the service has heard that they wait, and whose entry no officer has closed since: as the provider and the
/// officers know it, whatever the tables say. Who became known by asking alone, or without a number, is not among them.
#[derive(Default)]
pub struct Waiting {
    since: BTreeMap<Waiter, Timestamp>,
    /// When an officer last closed an entry of theirs.
    closed: BTreeMap<Waiter, Timestamp>,
}

impl Waiting {
    pub fn begin(&mut self, waiter: Waiter, now: Timestamp) {
        self.since.entry(waiter).or_insert(now);
    }

    /// Whoever has left no message, and was called back after he called, is not called a second time: his call is one of the
    /// entry that was closed before its end became known.
    fn was_called_back(&self, waiter: &Waiter, started_at: Timestamp) -> bool {
        self.closed.get(waiter).is_some_and(|closed_at| *closed_at >= started_at)
    }

    /// An officer did something with this entry: he closed it, or it waits again.
    pub fn handled(&mut self, callback: &Callback, now: Timestamp) {
        let Some(number) = callback.number_to_dial() else { return };
        let waiter = (callback.line.to_string(), number.e164().to_owned());
        if callback.desk.state.closed_at().is_some() {
            self.since.remove(&waiter);
            self.closed.insert(waiter, now);
        } else {
            self.closed.remove(&waiter);
            self.begin(waiter, now);
        }
    }
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: i64,
    line: String,
    number: Option<String>,
    pub due_at: i64,
    received_at: i64,
}

/// What is wrong with a list that has to hold exactly these entries, in its order at this instant.
pub fn faults(listed: &[Listed], expected: &BTreeSet<i64>, now: Timestamp) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut report = |rule, what| found.push(Violation { rule, what });
    let (mut ids, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for entry in listed {
        if !ids.insert(entry.id) {
            report(Rule::ListedOnce, format!("{entry:?} stands on the list twice"));
        } else if let Some(number) = &entry.number
            && !numbers.insert((&entry.line, number))
        {
            report(Rule::ListedOnce, format!("the number of {entry:?} stands on the list twice"));
        }
        if !expected.contains(&entry.id) {
            report(Rule::ListOfThePeriod, format!("{entry:?} is on a list that is not its own at {now}"));
        }
    }
    for id in expected.difference(&ids) {
        report(Rule::ListOfThePeriod, format!("callback {id} waits and is not on its list at {now}"));
    }
    let is_overdue = |entry: &Listed| entry.due_at < now.as_millisecond();
    for pair in listed.windows(2) {
        if is_overdue(&pair[1]) && !is_overdue(&pair[0]) {
            report(Rule::ListOfThePeriod, format!("{:?} is overdue and stands behind {:?}", pair[1], pair[0]));
        } else if (pair[1].due_at, pair[1].received_at) < (pair[0].due_at, pair[0].received_at) {
            report(Rule::ListOfThePeriod, format!("{:?} has waited longer and stands behind {:?}", pair[1], pair[0]));
        }
    }
    found
}

impl Year<'_> {
    /// The provider had an answer to what tells of this call: from now on its caller may wait on the list.
    pub fn begins_to_wait(&mut self, index: usize, content: Content) {
        let (now, is_durable) = (self.now(), self.faults.is_durable());
        let call = &self.calls[index];
        let is_known_already = call.waits_since.is_some();
        let is_first = match content {
            Content::Nothing => return,
            Content::Message => call.message_heard_at.is_none(),
            Content::Over => {
                !is_known_already && !call.has_talked && now.duration_since(call.started_at) < ASKED_ABOUT_AFTER
            }
        };
        let is_heard = is_first && is_durable && call.is_line_known && !self.may_have_asked(index);
        let waiter = call.number_to_dial().map(|number| (call.line.to_owned(), number.to_owned()));
        let is_answered =
            |waiter: &Waiter| content == Content::Over && self.waiting.was_called_back(waiter, call.started_at);
        if let Some(waiter) = waiter.filter(|waiter| is_heard && !is_answered(waiter)) {
            self.waiting.begin(waiter, now);
        }
        self.calls[index].waits_since.get_or_insert(now);
    }

    /// Whether the service may know of this call, or of its message, by asking: then an officer may have closed its entry
    /// before the webhook came.
    fn may_have_asked(&self, index: usize) -> bool {
        let (call, records) = (&self.calls[index], self.provider.records());
        let is_listed = |sid: &String| records.recording(sid).is_some_and(|recording| recording.listed_at.is_some());
        records.is_call_listed(&call.sid) || call.messages.iter().any(is_listed)
    }

    /// Looks at the lists, if it is time and everything works that they depend on.
    pub async fn check_lists_if_due(&mut self) {
        if !self.is_list_due || self.faults.is_any_of_ours() {
            return;
        }
        let store = self.app.store();
        store.drain_spool(&self.app.clock).await;
        if store.spool_depth().is_empty() {
            self.is_list_due = false;
            check(self).await;
        }
    }

    /// Whoever stands on the list of these periods, in its order, all pages of it.
    pub async fn list(&self, period: ListPeriod) -> Vec<Listed> {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let filter = ListFilter { period, line: None, state: StateFilter::Unclosed, after, limit: 500 };
            let page = self.app.store().callbacks(&filter).await.expect("the list can be read");
            listed.extend(page.items.into_iter().map(|view| Listed {
                id: view.callback.id,
                line: view.callback.line.to_string(),
                number: view.callback.number_to_dial().map(|number| number.e164().to_owned()),
                due_at: view.callback.due_at.map_or(i64::MAX, Timestamp::as_millisecond),
                received_at: view.callback.received_at.as_millisecond(),
            }));
            after = page.next;
            if after.is_none() {
                return listed;
            }
        }
    }
}

/// The list that is worked now, and the one after it.
pub async fn check(year: &mut Year<'_>) {
    let (now, lines) = (year.now(), year.app.store().lines());
    let rows = year.app.rows("SELECT id, due_at FROM callback WHERE closed_at IS NULL").await;
    let open: BTreeMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let due_at = calendar::due_at(now).as_millisecond();
    let current: BTreeSet<i64> = open.iter().filter(|(_, due)| **due <= due_at).map(|(id, _)| *id).collect();
    let next: BTreeSet<i64> = open.keys().copied().filter(|id| !current.contains(id)).collect();
    let listed = year.list(ListPeriod::current(lines.default_calendar(), now).1).await;
    year.violations.extend(faults(&listed, &current, now));
    let here: BTreeSet<Waiter> =
        listed.iter().filter_map(|entry| Some((entry.line.clone(), entry.number.clone()?))).collect();
    let missing = year.waiting.since.iter().filter(|(waiter, _)| !here.contains(*waiter));
    let missing: Vec<Violation> = missing
        .map(|(waiter, since)| format!("{waiter:?} has waited since {since} and is not on the list at {now}"))
        .map(|what| Violation { rule: Rule::ListOfThePeriod, what })
        .collect();
    year.violations.extend(missing);
    let after_it = year.list(ListPeriod::next(lines.default_calendar(), now).1).await;
    let expected = if calendar::is_open(now) { &next } else { &current };
    year.violations.extend(faults(&after_it, expected, now));
    year.figures.lists += 1;
}

/// Everybody who waits, whenever it is due.
pub async fn check_whole(year: &mut Year<'_>) {
    let now = year.now();
    let rows = year.app.rows("SELECT id FROM callback WHERE closed_at IS NULL").await;
    let open: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let listed = year.list(ListPeriod::All).await;
    year.violations.extend(faults(&listed, &open, now));
}
