//! The ledger of a year: what the provider and the callers know, against what the service made of it. It takes nothing on
//! trust from the service but its rows and files.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use perezvon::time::Timestamp;
use sqlx::Row;

use super::callers::Call;
use super::oddities::Oddity;
use super::sounds::Sound;
use super::tables::{Entry, LoggedCall, Tables};
use super::{Figures, Year, calendar, lists};

/// What must hold of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every call of the provider to our lines is in the log once, on its line, with its caller.
    LoggedOnce,
    /// The log has no call that nobody made.
    NothingInvented,
    /// Every webhook that was acknowledged as durable is in the inbox as it came, beside its call.
    AcknowledgedIsKept,
    /// Every message is here, byte for byte as its provider has it, or an alarm says what is the matter with it.
    MessageStored,
    /// The provider deletes a recording only when we hold it whole.
    DeletedWhenHeld,
    /// Whoever needs to be called back has an entry of his line and number.
    HasCallback,
    /// No call has two entries, no entry is without a call, and callers without a number do not share one.
    OneEntryForCall,
    /// The entry is due at the end of the working period that was promised to the first of its callers.
    DueInTime,
    /// Nobody was put into an entry that was closed before he called, or before his message was known.
    NotPutAway,
    /// Whom an officer has talked with, and who cannot be called back, is not on the list.
    NobodyWithoutNeed,
    /// No number is dialled by two officers at once.
    OneDialsAtATime,
    /// Nobody stands on the list twice.
    ListedOnce,
    /// The list of a working period holds exactly whoever waits in it or was carried over, overdue first; the whole list
    /// everybody who waits.
    ListOfThePeriod,
    /// No job is left over, none is leased for ever.
    NoJobLeft,
    /// The spool is empty.
    SpoolEmpty,
    /// Whoever is connected gets a document, and every callback that is durable gets a good answer.
    CallerHearsNoFault,
}

#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// What the ledger counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    calls: usize,
    /// Of which no webhook ever arrived.
    unheard: usize,
    /// Whose first request could not be read in some field.
    unreadable: usize,
    /// Webhooks that were acknowledged as durable.
    acknowledged: usize,
    messages: usize,
    stored: usize,
    /// Of which so many are no plain WAV.
    other_sounds: usize,
    damaged: usize,
    lost_by_provider: usize,
    /// Kept as they came, since nobody can measure them.
    unmeasured: usize,
    too_large: usize,
    /// Requests that name no call, each a call of its own in the log.
    nameless: usize,
    need_callback: usize,
    callbacks: usize,
    open: usize,
    /// Entries of talks with an officer that came to light after the end of their call.
    late_talks: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, unheard, unreadable, nameless, acknowledged, messages, .. } = self;
        writeln!(
            f,
            "{calls} calls logged once, {unheard} of them found by asking alone, {unreadable} that began with a request that \
             cannot be read, {nameless} requests without the id of a call; {acknowledged} acknowledged webhooks kept"
        )?;
        let Self { stored, other_sounds, damaged, unmeasured, too_large, lost_by_provider, .. } = self;
        writeln!(
            f,
            "{messages} messages: {stored} stored whole, {other_sounds} of them no plain WAV; with an alarm {damaged} as cut \
             as the provider has them, {unmeasured} that nobody can measure, {too_large} too large and {lost_by_provider} \
             lost by it"
        )?;
        let Self { need_callback, callbacks, open, late_talks, .. } = self;
        write!(
            f,
            "{need_callback} callers to call back in {callbacks} entries, {open} still open, {late_talks} entries of talks \
             that were reported late; lost: 0"
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { webhooks, unheard, unsaved, repeated, at_once, .. } = self;
        writeln!(
            f,
            "{webhooks} webhooks, {unheard} never heard, {unsaved} answered with 503, {repeated} repeated, {at_once} twice at \
             once"
        )?;
        let Self { kills, outages, moved_files, blocked_spools, rest_faults, jobs, .. } = self;
        writeln!(
            f,
            "{kills} kills, {outages} outages of the database, {moved_files} times its file away or replaced, \
             {blocked_spools} outages of the spool, {rest_faults} of the provider's interface, {jobs} jobs"
        )?;
        let Self { attempts, closed, contests, warned, lists, trace, .. } = self;
        write!(
            f,
            "{attempts} times dialled, {closed} entries closed, {contests} contests of two officers, {warned} kept from \
             dialling, {lists} lists compared; trace {trace:016x}"
        )
    }
}

/// Compares everything. What was broken on the way is in the answer, too.
pub async fn audit(year: &mut Year<'_>) -> (Totals, Vec<Violation>) {
    lists::check_whole(year).await;
    lists::check(year).await;
    let tables = Tables::read(year.app).await;
    for call in &mut year.calls {
        // What was typed while nothing was durable counts if the service has it after all.
        let has_typed = tables.calls_of(call).iter().any(|logged| logged.has_typed);
        call.typed = call.typed.take().or(call.may_have_typed.clone().filter(|_| has_typed));
    }
    let mut ledger = Ledger { year, tables: &tables, totals: Totals::default(), violations: Vec::new() };
    ledger.calls();
    ledger.inbox().await;
    ledger.messages();
    ledger.callbacks();
    ledger.entries();
    ledger.leftovers().await;
    let Ledger { totals, mut violations, .. } = ledger;
    violations.extend(year.violations.iter().cloned());
    (totals, violations)
}

struct Ledger<'a, 'b> {
    year: &'a Year<'b>,
    tables: &'a Tables,
    totals: Totals,
    violations: Vec<Violation>,
}

impl Ledger<'_, '_> {
    fn report(&mut self, rule: Rule, what: String) {
        self.violations.push(Violation { rule, what });
    }

    /// Whether the service must have this call: it is one of our lines, or it was reported. Of numbers that are not
    /// configured the provider's list is not ours to take in.
    fn is_due(call: &Call) -> bool {
        (call.line != "unknown" && !call.is_nameless) || call.is_reported
    }

    fn calls(&mut self) {
        let (year, tables) = (self.year, self.tables);
        let mut known = BTreeSet::new();
        for call in year.known_calls() {
            known.insert(call.id_in_log());
            let rows = tables.calls_of(call);
            let [logged] = rows else {
                if Self::is_due(call) || rows.len() > 1 {
                    self.report(Rule::LoggedOnce, format!("{} times in the log: {call:?}", rows.len()));
                }
                continue;
            };
            self.totals.calls += usize::from(!call.is_nameless);
            self.totals.nameless += usize::from(call.is_nameless);
            self.totals.unheard += usize::from(call.heard_at.is_none());
            let is_unreadable = call.oddity.is_some_and(|oddity| oddity != Oddity::NoId) && call.heard_at.is_some();
            self.totals.unreadable += usize::from(is_unreadable);
            if logged.line.as_deref() != Some(call.line) || logged.caller != call.number {
                let what = format!("on line {:?} with caller {:?}: {call:?}", logged.line, logged.caller);
                self.report(Rule::LoggedOnce, what);
            }
        }
        for sid in tables.calls.keys().filter(|sid| !known.contains(*sid)) {
            self.report(Rule::NothingInvented, format!("call {sid} was made by nobody"));
        }
    }

    async fn inbox(&mut self) {
        self.totals.acknowledged = self.year.inbox.size();
        let missing = self.year.inbox.missing(self.year.app).await;
        missing.into_iter().for_each(|what| self.report(Rule::AcknowledgedIsKept, what));
    }

    fn messages(&mut self) {
        let tables = self.tables;
        let records = self.year.provider.records();
        let folder = self.year.app.folder.path().join("recordings");
        let mut faulty: Vec<String> = Vec::new();
        let due = self.year.calls.iter().filter(|call| Self::is_due(call)).flat_map(|call| &call.messages);
        for sid in due {
            self.totals.messages += 1;
            let recording = records.recording(sid).expect("the provider recorded it");
            let [message] = tables.messages.get(sid).map_or(&[][..], Vec::as_slice) else {
                faulty.push(format!("{:?} rows of {recording:?}", tables.messages.get(sid).map(Vec::len)));
                continue;
            };
            let bytes = message.name.as_ref().and_then(|name| std::fs::read(folder.join(name)).ok());
            let is_whole = bytes.as_ref().is_some_and(|bytes| *bytes == recording.kept());
            // The provider itself has no more of it.
            let is_all_there_is = recording.is_cut_for_good()
                && bytes.as_ref().is_some_and(|bytes| *bytes == recording.half(&recording.sent()));
            let (is_deleted, can_be_measured) = (recording.deleted_at.is_some(), recording.sound.can_be_measured());
            let alarms = tables.alarms_of(message);
            match (message.state.as_str(), &alarms[..]) {
                ("stored", []) if is_whole && is_deleted && can_be_measured => {
                    self.totals.stored += 1;
                    self.totals.other_sounds += usize::from(recording.sound != Sound::Wav);
                }
                ("stored", ["recording_damaged"]) if is_all_there_is && !is_deleted && can_be_measured => {
                    self.totals.damaged += 1;
                }
                ("stored", ["recording_unmeasured"])
                    if (is_whole || is_all_there_is) && !is_deleted && !can_be_measured =>
                {
                    self.totals.unmeasured += 1;
                }
                ("failed", ["recording_lost"]) if recording.is_lost => self.totals.lost_by_provider += 1,
                ("failed", ["recording_lost"]) if recording.sound == Sound::TooLarge && !is_deleted => {
                    self.totals.too_large += 1;
                }
                (state, alarms) => faulty.push(format!(
                    "{state} with alarms {alarms:?}, whole: {is_whole}, deleted: {is_deleted}: {recording:?}"
                )),
            }
        }
        let early = records.deleted_early.clone();
        drop(records);
        faulty.into_iter().for_each(|what| self.report(Rule::MessageStored, what));
        early.into_iter().for_each(|sid| self.report(Rule::DeletedWhenHeld, format!("{sid} was not here")));
    }

    fn callbacks(&mut self) {
        let (year, tables) = (self.year, self.tables);
        for call in year.known_calls() {
            let [logged] = tables.calls_of(call) else { continue };
            if !Self::is_due(call) {
                continue;
            }
            match (call.needs_callback(), logged.callback_id) {
                (true, id) => {
                    self.totals.need_callback += 1;
                    match id.and_then(|id| tables.entries.get(&id)) {
                        Some(entry) => self.callback(call, logged, entry),
                        None => self.report(Rule::HasCallback, format!("no entry: {call:?}")),
                    }
                }
                // The talk came to light after the end of the call: the entry proposes to close, or an officer has closed it.
                (false, Some(id))
                    if call.has_talked
                        && logged.outcome == "answered"
                        && tables.entries.get(&id).is_some_and(|entry| {
                            (entry.closed_at.is_some() || entry.proposed_call_id == Some(logged.id))
                                && entry.is_of(call)
                        }) =>
                {
                    self.totals.late_talks += 1;
                }
                (false, Some(_)) => self.report(Rule::NobodyWithoutNeed, format!("on the list: {call:?}")),
                (false, None) => {}
            }
        }
    }

    /// The entry of a call that needs one.
    fn callback(&mut self, call: &Call, logged: &LoggedCall, entry: &Entry) {
        if !entry.is_of(call) {
            let what =
                format!("the entry is of {} on {}: {call:?}", entry.number.as_deref().unwrap_or("-"), entry.line);
            self.report(Rule::HasCallback, what);
        }
        let closed_at = entry.closed_at.unwrap_or(i64::MAX);
        let known_at = self.message_known_at(call).unwrap_or(call.started_at);
        if closed_at < known_at.as_millisecond() {
            self.report(Rule::NotPutAway, format!("the entry was closed at {}: {call:?}", instant(closed_at)));
        }
        // Who was called back before anybody knew of this call was not kept waiting by it.
        let is_answered_already = logged.restored_at.is_some_and(|restored_at| closed_at < restored_at);
        let due_at = calendar::due_at(call.started_at).as_millisecond();
        if entry.due_at > due_at && !is_answered_already {
            let what = format!("due at {} instead of {}: {call:?}", instant(entry.due_at), instant(due_at));
            self.report(Rule::DueInTime, what);
        }
    }

    /// Every entry is of the calls that stand beside it, and due when one of them was promised. A call whose message became
    /// known after its entry was closed has left that one for another: nobody has heard it.
    fn entries(&mut self) {
        let (year, tables) = (self.year, self.tables);
        let (mut calls_of, mut callers): (HashMap<i64, Vec<&Call>>, HashMap<_, Vec<&Call>>) = Default::default();
        for call in year.known_calls() {
            for id in tables.calls_of(call).iter().filter_map(|logged| logged.callback_id) {
                calls_of.entry(id).or_default().push(call);
            }
            if !call.messages.is_empty() {
                callers.entry((call.line, call.number_to_dial())).or_default().push(call);
            }
        }
        for (id, entry) in &tables.entries {
            let own = calls_of.get(id).map_or(&[][..], Vec::as_slice);
            let of_number = callers.get(&(entry.line.as_str(), entry.number.as_deref())).into_iter().flatten();
            let has_left = |call: &&&Call| {
                entry.closed_at.is_some_and(|closed_at| {
                    let is_known = call.message_kept_at.is_some_and(|at| at.as_millisecond() <= closed_at);
                    call.started_at.as_millisecond() <= closed_at && !is_known
                })
            };
            let mut due = own.iter().chain(of_number.filter(has_left)).map(|call| call.started_at).peekable();
            if due.peek().is_none() {
                self.report(Rule::OneEntryForCall, format!("callback {id} belongs to no call"));
            } else if !due.any(|at| calendar::due_at(at).as_millisecond() == entry.due_at) {
                let what = format!("callback {id} is due at {}, which was promised to nobody", instant(entry.due_at));
                self.report(Rule::DueInTime, what);
            }
            if entry.number.is_none() && own.len() > 1 {
                self.report(
                    Rule::OneEntryForCall,
                    format!("callback {id} is of several callers without a number: {own:?}"),
                );
            }
        }
        self.totals.callbacks = tables.entries.len();
        self.totals.open = tables.entries.values().filter(|entry| entry.closed_at.is_none()).count();
    }

    /// When the service can have known of the first message of this call at the earliest: by a webhook or by asking.
    fn message_known_at(&self, call: &Call) -> Option<Timestamp> {
        let records = self.year.provider.records();
        let listed_at = call.messages.iter().filter_map(|sid| records.recording(sid)?.listed_at).min();
        listed_at.into_iter().chain(call.message_heard_at).min()
    }

    async fn leftovers(&mut self) {
        let jobs = "SELECT kind, subject, run_at, leased_until, given_up_at, last_error FROM job";
        for row in self.year.app.rows(jobs).await {
            let (kind, subject): (String, i64) = (row.get(0), row.get(1));
            let (is_given_up, is_leased) =
                (row.get::<Option<i64>, _>(4).is_some(), row.get::<Option<i64>, _>(3).is_some());
            let is_of_lost_recording = kind == "fetch_recording"
                && self.tables.messages.values().flatten().any(|it| it.id == subject && it.state == "failed");
            if !is_given_up || is_leased || !is_of_lost_recording {
                let error: Option<String> = row.get(5);
                self.report(Rule::NoJobLeft, format!("{kind} of {subject}, leased: {is_leased}, {error:?}"));
            }
        }
        let spooled: Vec<String> =
            self.year.app.spool_names().into_iter().filter(|name| name.as_str() != "reserve").collect();
        let depth = self.year.app.store().spool_depth();
        if !spooled.is_empty() || depth != Default::default() {
            self.report(Rule::SpoolEmpty, format!("{depth:?}, {spooled:?}"));
        }
    }
}

fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "never".to_owned(), |at| at.to_string())
}
