//! Deliveries of a batch: kept, folded into their calls, and whoever waits for a callback put on the list, with a number
//! of statements that does not grow with the batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use sqlx::AnyConnection;

use super::answers_since::{self, AnswersSince, LateCall};
use super::calls::{self, LOAD_CALLS, SAVE_CALLS};
use super::ids::{self, Ids};
use super::jobs::{self, JobKind, NewJob};
use super::lease::MAX_CLOCK_DIFFERENCE;
use super::sql::{Column, Columns, ManyRows};
use super::{Result, alarms, openings, siblings, voicemails};
use crate::core::call::{Call, CallEvent, CallKey, DERIVED_ID, Direction, Fact, Outcome, RecordingState, TEST_CALL};
use crate::core::line::{LineId, Lines};
use crate::core::phone::PhoneNumber;
use crate::core::placed_call::row_of;
use crate::time::{Timestamp, elapsed_ms, from_millisecond};

/// A call whose first event is older than this when it is received was not reported while it went on.
const MAX_EVENT_AGE_MS: i64 = 60_000;
/// Nobody dials a caller, talks with him and closes his callback within this time.
const MIN_ANSWER_MS: i64 = 10_000;

/// The method of deliveries that hold the answers to our own questions.
pub const OWN: &str = "OWN";

/// One webhook as it came, and what it says.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub provider: Arc<str>,
    /// What follows `/webhooks/{provider}/`.
    pub endpoint: String,
    /// `GET`, `POST`, or [`OWN`] for facts we asked the provider for.
    pub method: String,
    pub target: String,
    pub content_type: String,
    pub body: Bytes,
    pub received_at: Timestamp,
    /// `None`: tells of no call of ours; kept raw.
    pub key: Option<CallKey>,
    pub events: Vec<CallEvent>,
    /// The provider can be asked later what it knows of a call, so lost callbacks are looked for.
    pub can_be_asked: bool,
    /// When it is applied, if it was spooled before. `None`: as soon as it was received.
    pub applied_at: Option<Timestamp>,
}

/// What a delivery led to.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The call after the whole batch.
    pub call: Option<Call>,
}

impl Kept {
    /// Whether somebody who looks at the list of callbacks may see the difference: what the call tells stands there, or the
    /// caller was reached and may stand there from before.
    pub(super) fn is_on_the_list(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.callback_id.is_some() || call.was_talked())
    }
}

/// One call in the hands of the batch.
struct Folded {
    call: Call,
    before: Option<Call>,
    /// Of the newest one of its deliveries that was spooled.
    applied_at: Option<Timestamp>,
    /// Whether its end is one that we assume, since nobody has reported any.
    is_end_assumed: bool,
}

impl Folded {
    fn apply(&mut self, delivery: &Delivery, lines: &Lines) {
        self.applied_at = self.applied_at.max(delivery.applied_at);
        for event in delivery.events.iter().filter_map(|event| event.clone().without_own_numbers(lines)) {
            let is_assumed = delivery.method == OWN && event.at == delivery.received_at;
            self.is_end_assumed |= is_assumed && event.fact == Fact::Ended && self.call.ended_at.is_none();
            self.call.apply(event);
        }
        self.call.decide(lines);
    }

    /// Whether `happened` is true now and was not before this batch.
    fn newly(&self, happened: impl Fn(&Call) -> bool) -> bool {
        happened(&self.call) && !self.before.as_ref().is_some_and(happened)
    }

    /// Whether this batch tells that somebody calls one of our lines.
    fn begins_to_wait(&self) -> bool {
        self.newly(|call| call.line.is_some()) && self.call.direction == Some(Direction::Inbound)
    }

    /// Whether this batch tells which number calls one of our lines: the one that the network shows. One that is typed may be
    /// anybody's.
    fn is_recognised(&self) -> bool {
        self.newly(|call| call.line.is_some() && call.is_inbound() && call.other_party().is_some())
    }

    /// Whether a recording has become complete in this batch.
    fn has_new_message(&self) -> bool {
        self.call.recordings.keys().any(|id| self.newly(|call| is_complete(call, id)))
    }

    /// Whether the call asks for a callback and has none yet.
    fn is_unanswered(&self, lines: &Lines) -> bool {
        let line = self.call.line.as_ref().map(|line| lines.by_id(line));
        self.call.callback_id.is_none() && line.is_some_and(|line| self.call.wants_callback(line))
    }

    /// A talk or a callback after this instant answers the call too. Nothing that was before the first event of a call that was
    /// reported while it went on answers it, however slow its provider's clock is.
    fn over_at(&self) -> Timestamp {
        let call = &self.call;
        let ended_at = call.ended_at.filter(|_| !self.is_end_assumed);
        let over_at = ended_at.max(call.message_over_at).unwrap_or(call.started_at);
        let known_at = ids::made_at(call.id);
        let is_reported_live = |before: &Call| elapsed_ms(before.started_at, known_at) < MAX_EVENT_AGE_MS;
        if self.before.as_ref().is_some_and(is_reported_live) { over_at.max(known_at) } else { over_at }
    }

    /// The call as one that becomes known later than it was over, so that it may have been answered since.
    fn as_late(&self, now: Timestamp) -> Option<LateCall> {
        let over_at = self.over_at();
        let is_late = self.applied_at.is_some() || elapsed_ms(over_at, now) > MIN_ANSWER_MS;
        let (_, number) = waiter(&self.call).filter(|_| is_late && self.call.is_inbound())?;
        let until = self.applied_at.unwrap_or(now);
        // Another instance, whose clock may be ahead, may have written the answer.
        let until = until.checked_add(MAX_CLOCK_DIFFERENCE).unwrap_or(until);
        Some(LateCall { id: self.call.id, number, over_at, until })
    }
}

fn is_complete(call: &Call, recording_id: &str) -> bool {
    call.recordings.get(recording_id).is_some_and(|known| known.state == RecordingState::Completed)
}

pub(super) async fn ingest(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    lines: &Lines,
    deliveries: &[Delivery],
) -> Result<Vec<Kept>> {
    if deliveries.is_empty() {
        return Ok(Vec::new());
    }
    let mut calls = hold_calls(connection, ids, deliveries).await?;
    keep_deliveries(connection, ids, &calls, deliveries).await?;
    for delivery in deliveries {
        if let Some(folded) = delivery.key.as_ref().and_then(|key| calls.get_mut(key)) {
            folded.apply(delivery, lines);
        }
    }
    let now = deliveries.iter().map(|delivery| delivery.received_at).max().expect("the batch is not empty");
    lock_numbers(connection, &calls, now).await?;
    recognise_callers(connection, &mut calls, now).await?;
    bring_late_messages(connection, &mut calls).await?;
    let since = answers_since(connection, lines, &calls, now).await?;
    join_callbacks_closed_since(lines, &mut calls, &since);
    let left = leave_unknown_line(connection, &mut calls).await?;
    open_callbacks(connection, ids, lines, &mut calls).await?;
    move_to_own_line(connection, &mut calls, left).await?;
    learn_numbers(connection, &mut calls).await?;
    let mut jobs = keep_voicemails(connection, ids, &calls).await?;
    retry_messages_told_again(connection, ids, deliveries, &calls, now).await?;
    let askable: BTreeSet<_> = deliveries
        .iter()
        .filter(|delivery| delivery.can_be_asked)
        .filter_map(|delivery| delivery.key.as_ref())
        .collect();
    jobs.extend(calls_to_ask_about(&calls, &askable));
    jobs.extend(placed_calls_that_ended(&calls));
    jobs::plan(connection, ids, now, &jobs).await?;
    let changed: Vec<&Call> = calls
        .values()
        .filter(|folded| folded.before.as_ref() != Some(&folded.call))
        .map(|folded| &folded.call)
        .collect();
    if !changed.is_empty() {
        SAVE_CALLS
            .query(connection, &changed, |params, call| calls::bind(params, call))
            .execute(&mut *connection)
            .await?;
    }
    tell_rare_things(connection, ids, lines, &calls, now).await?;
    for call in calls.values().map(|folded| &folded.call) {
        if let Some(answers) = since.get(&call.id) {
            answers_since::propose(connection, call, answers).await?;
        }
    }
    Ok(deliveries
        .iter()
        .map(|delivery| Kept {
            call: delivery.key.as_ref().and_then(|key| calls.get(key)).map(|folded| folded.call.clone()),
        })
        .collect())
}

/// Finds or makes the row of every call the batch touches. Holding the key row keeps other writers off the call.
async fn hold_calls(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    deliveries: &[Delivery],
) -> Result<BTreeMap<CallKey, Folded>> {
    let first_seen = first_seen(deliveries);
    if first_seen.is_empty() {
        return Ok(BTreeMap::new());
    }
    let proposed: Vec<(&CallKey, i64)> = first_seen.iter().map(|(key, seen)| (*key, ids.next(seen.at))).collect();
    let held = HOLD_CALL_KEYS
        .query(connection, &proposed, |params, (key, id)| {
            params.add(key.provider.to_string());
            params.add(key.provider_call_id.clone());
            params.add(*id);
        })
        .fetch_all(&mut *connection)
        .await?;
    let mut id_of = HashMap::with_capacity(held.len());
    for row in &held {
        let columns = Columns::of("call_key", row);
        let key = (columns.get::<String>("provider")?, columns.get::<String>("provider_call_id")?);
        id_of.insert(key, columns.get::<i64>("call_id")?);
    }
    let mut calls = BTreeMap::new();
    let mut known = Vec::new();
    for (key, proposed_id) in proposed {
        let name = (key.provider.to_string(), key.provider_call_id.clone());
        let id = id_of.get(&name).copied().unwrap_or(proposed_id);
        if id != proposed_id {
            known.push(id);
        }
        let seen = &first_seen[key];
        let call = Call::new(id, key.clone(), seen.event_at.unwrap_or(seen.at));
        let folded = Folded { call, before: None, applied_at: None, is_end_assumed: false };
        calls.insert(key.clone(), folded);
    }
    if !known.is_empty() {
        let rows =
            LOAD_CALLS.query(connection, &known, |params, id| params.add(*id)).fetch_all(&mut *connection).await?;
        for row in &rows {
            let call = calls::read(row)?;
            if let Some(folded) = calls.get_mut(&call.key) {
                folded.before = Some(call.clone());
                folded.call = call;
            }
        }
    }
    Ok(calls)
}

/// When a batch first hears of a call, and of what: a new call starts with its earliest event.
struct FirstSeen {
    at: Timestamp,
    event_at: Option<Timestamp>,
}

fn first_seen(deliveries: &[Delivery]) -> BTreeMap<&CallKey, FirstSeen> {
    let mut first_seen: BTreeMap<&CallKey, FirstSeen> = BTreeMap::new();
    for delivery in deliveries {
        if let Some(key) = &delivery.key {
            let seen = first_seen.entry(key).or_insert(FirstSeen { at: delivery.received_at, event_at: None });
            seen.at = seen.at.min(delivery.received_at);
            let events = delivery.events.iter().map(|event| event.at);
            seen.event_at = events.chain(seen.event_at).min();
        }
    }
    first_seen
}

async fn keep_deliveries(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    calls: &BTreeMap<CallKey, Folded>,
    deliveries: &[Delivery],
) -> Result<()> {
    KEEP_DELIVERIES
        .query(connection, deliveries, |params, delivery| {
            params.add(ids.next(delivery.received_at));
            params.add(delivery.provider.to_string());
            params.add(delivery.endpoint.clone());
            params.add(delivery.method.clone());
            params.add(delivery.target.clone());
            params.add(delivery.content_type.clone());
            params.add(delivery.body.to_vec());
            params.time(delivery.received_at);
            params.add(delivery.key.as_ref().and_then(|key| calls.get(key)).map(|folded| folded.call.id));
        })
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Callers who begin a call while they wait for a callback already, and those whose number is blocked. One statement for
/// both; none where nobody arrives.
async fn recognise_callers(
    connection: &mut AnyConnection,
    calls: &mut BTreeMap<CallKey, Folded>,
    now: Timestamp,
) -> Result<()> {
    let arriving: Vec<(String, String)> = calls
        .values()
        .filter(|folded| folded.begins_to_wait() || folded.is_recognised())
        .filter_map(|folded| waiter(&folded.call))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if arriving.is_empty() {
        return Ok(());
    }
    let rows = FIND_CALLERS
        .query(connection, &arriving, |params, (line, number)| {
            params.add(line.clone());
            params.add(number.clone());
        })
        .fetch_all(&mut *connection)
        .await?;
    let mut since = HashMap::new();
    let mut blocked = HashMap::new();
    for row in &rows {
        let columns = Columns::of("callback", row);
        let (line, number): (String, String) = (columns.get("line")?, columns.get("dial_number")?);
        if let Some(blocked_at) = columns.optional_time("blocked_at")? {
            blocked.insert(number.clone(), blocked_at);
        }
        if let Some(received_at) = columns.optional_time("received_at")? {
            since.insert((line, number), received_at);
        }
    }
    for folded in calls.values_mut() {
        // Who called before that waits as everybody does, however late his call becomes known.
        let started_at = folded.call.started_at;
        let is_blocked = |number: PhoneNumber| blocked.get(number.e164()).is_some_and(|at| *at <= started_at);
        if folded.is_recognised() && folded.call.other_party().is_some_and(is_blocked) {
            folded.call.blocked_at = Some(now);
        }
        if folded.begins_to_wait()
            && let Some(received_at) = waiter(&folded.call).and_then(|waiter| since.get(&waiter))
            && *received_at <= folded.call.started_at
        {
            folded.call.waiting_since = Some(*received_at);
        }
    }
    Ok(())
}

/// The line and number under which a caller would wait.
fn waiter(call: &Call) -> Option<(String, String)> {
    Some((call.line.as_ref()?.to_string(), call.number_to_dial()?.e164().to_owned()))
}

/// Messages that become known after their call has its callback. If that one is open, its version grows, so that nobody
/// closes it unheard, and what was put off comes back in the period promised; if it is closed, nobody has heard the message: the call leaves it, and [`open_callbacks`] puts it on
/// the list again.
async fn bring_late_messages(connection: &mut AnyConnection, calls: &mut BTreeMap<CallKey, Folded>) -> Result<()> {
    for folded in calls.values_mut() {
        let Some(callback_id) = folded.call.callback_id else { continue };
        let promised_at =
            folded.call.decision.as_ref().and_then(|decision| decision.promise).map(|promise| promise.start);
        if folded.has_new_message()
            && sqlx::query(SHOW_MESSAGE)
                .bind(callback_id)
                .bind(promised_at.map(Timestamp::as_millisecond))
                .execute(&mut *connection)
                .await?
                .rows_affected()
                == 0
        {
            folded.call.callback_id = None;
        }
    }
    Ok(())
}

/// What has happened between the end of calls and the moment at which they become known. No statement for calls that are
/// reported at once.
async fn answers_since(
    connection: &mut AnyConnection,
    lines: &Lines,
    calls: &BTreeMap<CallKey, Folded>,
    now: Timestamp,
) -> Result<HashMap<i64, AnswersSince>> {
    let is_new = |folded: &&Folded| folded.is_unanswered(lines) || folded.newly(|call| call.restored_at.is_some());
    let late: Vec<LateCall> = calls.values().filter(is_new).filter_map(|folded| folded.as_late(now)).collect();
    answers_since::find(connection, &late).await
}

/// Calls without a message whose callers were called back since: they join that callback instead of opening another one, for
/// nobody is called twice. A message is another matter: nobody has heard it.
fn join_callbacks_closed_since(
    lines: &Lines,
    calls: &mut BTreeMap<CallKey, Folded>,
    since: &HashMap<i64, AnswersSince>,
) {
    for folded in calls.values_mut().filter(|folded| folded.is_unanswered(lines) && !folded.call.has_message()) {
        let answers = since.get(&folded.call.id).zip(folded.call.line.as_ref());
        folded.call.callback_id = answers.and_then(|(answers, line)| answers.closed_on(line));
    }
}

/// Calls that were on the unknown line, and whose own line is known now: they are to be on its list. The answer is their
/// callbacks of before; one that an officer has worked on stays where it is.
async fn leave_unknown_line(
    connection: &mut AnyConnection,
    calls: &mut BTreeMap<CallKey, Folded>,
) -> Result<Vec<(CallKey, i64)>> {
    let mut left = Vec::new();
    for (key, folded) in calls.iter_mut() {
        let is_unknown = |call: &Call| call.line.as_ref().is_some_and(LineId::is_unknown);
        let has_left = folded.before.as_ref().is_some_and(is_unknown) && !is_unknown(&folded.call);
        if let Some(id) = folded.call.callback_id.filter(|_| has_left)
            && openings::is_numberless_and_untouched(connection, id).await?
        {
            folded.call.callback_id = None;
            left.push((key.clone(), id));
        }
    }
    Ok(left)
}

/// What is known of them goes to the callbacks that they have now.
async fn move_to_own_line(
    connection: &mut AnyConnection,
    calls: &mut BTreeMap<CallKey, Folded>,
    left: Vec<(CallKey, i64)>,
) -> Result<()> {
    for (key, id) in left {
        let Some(Folded { call, .. }) = calls.get_mut(&key) else { continue };
        match call.callback_id {
            Some(into) => openings::replace(connection, id, into).await?,
            None => call.callback_id = Some(id),
        }
    }
    Ok(())
}

/// Opens the callbacks that this batch causes, or joins the open one of the same line and number (R6).
async fn open_callbacks(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    lines: &Lines,
    calls: &mut BTreeMap<CallKey, Folded>,
) -> Result<()> {
    let mut opening: Vec<openings::Opening> = Vec::new();
    let mut joined: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut opening_of: Vec<(CallKey, usize)> = Vec::new();
    for (key, Folded { call, .. }) in calls.iter() {
        let Some(line) = call.line.as_ref().map(|line| lines.by_id(line)) else { continue };
        if call.callback_id.is_some() || !call.wants_callback(line) {
            continue;
        }
        let new = openings::Opening::for_call(ids.next(call.started_at), call, line);
        let index = match waiter(call) {
            Some(waiter) => {
                let index = *joined.entry(waiter).or_insert_with(|| push(&mut opening, new.clone()));
                // Of two calls in one batch the network may have shown the number in one alone.
                opening[index].caller = opening[index].caller.take().or(new.caller);
                index
            }
            None => push(&mut opening, new),
        };
        opening_of.push((key.clone(), index));
    }
    let opened = openings::open_or_join(connection, &opening).await?;
    for (key, index) in opening_of {
        if let Some(folded) = calls.get_mut(&key) {
            folded.call.callback_id = Some(opened[index]);
        }
    }
    Ok(())
}

/// Callers whose number becomes known after their callback was opened without one, typed by themselves or shown by the network
/// in a later report: it becomes one that can be dialled, or joins the one that waits for this number already (R6).
async fn learn_numbers(connection: &mut AnyConnection, calls: &mut BTreeMap<CallKey, Folded>) -> Result<()> {
    // A callback that is opened in this batch has the number from the beginning.
    let had_callback = |folded: &&Folded| folded.before.as_ref().is_some_and(|before| before.callback_id.is_some());
    let learnt: Vec<(i64, Option<PhoneNumber>, PhoneNumber)> = calls
        .values()
        .filter(had_callback)
        .filter(|folded| folded.newly(|call| call.number_to_dial().is_some()))
        .filter_map(|Folded { call, .. }| Some((call.callback_id?, call.other_party(), call.number_to_dial()?)))
        .collect();
    for (id, caller, number) in learnt {
        let joined = openings::learn_number(connection, id, caller, &number).await?;
        for folded in calls.values_mut() {
            if let Some(callback_id) = &mut folded.call.callback_id
                && *callback_id == joined.left
            {
                *callback_id = joined.id;
            }
        }
    }
    Ok(())
}

fn push<T>(items: &mut Vec<T>, item: T) -> usize {
    items.push(item);
    items.len() - 1
}

/// A row for every recording that has just become complete, and the job that fetches it.
async fn keep_voicemails(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    calls: &BTreeMap<CallKey, Folded>,
) -> Result<Vec<NewJob>> {
    let mut new = Vec::new();
    let mut lanes = HashMap::new();
    for folded in calls.values() {
        for (recording_id, recording) in &folded.call.recordings {
            if folded.newly(|call| is_complete(call, recording_id)) {
                let received_at = from_millisecond(recording.received_at_ms);
                let lane = jobs::lane_of(recording.url.as_deref(), &folded.call.key.provider);
                lanes.insert((folded.call.id, recording_id.clone()), lane);
                new.push((ids.next(received_at), folded.call.id, recording_id, recording));
            }
        }
    }
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let rows = KEEP_VOICEMAILS
        .query(connection, &new, |params, (id, call_id, recording_id, recording)| {
            params.add(*id);
            params.add(*call_id);
            params.add((*recording_id).clone());
            params.add(recording.url.clone());
            params.add(recording.received_at_ms);
            params.add(recording.length_seconds.map(i64::from));
        })
        .fetch_all(&mut *connection)
        .await?;
    let fetch = |row| {
        let columns = Columns::of("voicemail", row);
        let lane = lanes.remove(&(columns.get("call_id")?, columns.get("recording_id")?));
        Ok(NewJob { kind: JobKind::FetchRecording, subject: columns.get("id")?, lane })
    };
    rows.iter().map(fetch).collect()
}

/// A provider that tells of a finished recording once more has it: what could not be had so far is tried at once. Our own
/// questions about calls do not count, or they would undo the pauses.
async fn retry_messages_told_again(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    deliveries: &[Delivery],
    calls: &BTreeMap<CallKey, Folded>,
    now: Timestamp,
) -> Result<()> {
    for delivery in deliveries.iter().filter(|delivery| delivery.method != OWN) {
        let Some(folded) = delivery.key.as_ref().and_then(|key| calls.get(key)) else { continue };
        for event in &delivery.events {
            if let Fact::Recording { id, state: RecordingState::Completed, url, .. } = &event.fact
                && !folded.newly(|call| is_complete(call, id))
            {
                let told = (folded.call.id, id.as_str(), url.clone());
                voicemails::retry_recording(connection, ids.next(now), told, now).await?;
            }
        }
    }
    Ok(())
}

/// Calls that ended without a message: their provider is asked later whether a recording callback was lost.
fn calls_to_ask_about<'a>(
    calls: &'a BTreeMap<CallKey, Folded>,
    askable: &'a BTreeSet<&CallKey>,
) -> impl Iterator<Item = NewJob> + 'a {
    let ended_silently = |call: &Call| {
        call.ended_at.is_some()
            && call.is_inbound()
            && !matches!(call.outcome(), Outcome::Voicemail | Outcome::Answered)
    };
    calls
        .iter()
        .filter(move |(key, folded)| askable.contains(key) && folded.newly(ended_silently))
        .filter(|(key, _)| ![TEST_CALL, DERIVED_ID].iter().any(|unknown| key.provider_call_id.starts_with(unknown)))
        .map(|(key, folded)| NewJob {
            kind: JobKind::ReconcileCall,
            subject: folded.call.id,
            lane: Some(key.provider.to_string()),
        })
}

/// Calls that were placed for an officer: their end is written into his callback.
fn placed_calls_that_ended(calls: &BTreeMap<CallKey, Folded>) -> impl Iterator<Item = NewJob> {
    let ended = calls.values().filter(|folded| folded.newly(|call| call.ended_at.is_some() && !call.is_inbound()));
    ended.filter_map(|folded| {
        let subject = row_of(&folded.call.key.provider_call_id)?;
        Some(NewJob { kind: JobKind::EndPlacedCall, subject, lane: None })
    })
}

/// What happens seldom enough for statements of one row.
async fn tell_rare_things(
    connection: &mut AnyConnection,
    ids: &mut Ids,
    lines: &Lines,
    calls: &BTreeMap<CallKey, Folded>,
    now: Timestamp,
) -> Result<()> {
    for folded in calls.values() {
        let call = &folded.call;
        if folded.newly(|call| call.own_number_shown(lines).is_some())
            && let Some(number) = call.own_number_shown(lines)
        {
            let provider = &*call.key.provider;
            let told = format!(
                "Оператор связи показывает вместо номера звонящего наш собственный номер {} (подключение «{provider}»). \
                 Такие звонящие считаются скрывшими номер: перезвонить можно только тем, кто оставил сообщение или набрал \
                 свой номер. Попросите оператора передавать при переадресации номер звонящего, а не номер линии; на своей \
                 АТС проверьте, не подменяет ли его транк.",
                number.spaced()
            );
            alarms::raise(connection, ids.next(now), "own_number", provider, &told, now).await?;
        }
        if folded.newly(|call| call.line.as_ref().is_some_and(LineId::is_unknown)) {
            let dialled = call.dialled.as_deref().unwrap_or("");
            // However the number is packed, it is one alarm.
            let number = PhoneNumber::parse(dialled).ok();
            let dialled = number.as_ref().map_or(dialled, PhoneNumber::e164);
            let told = match dialled {
                "" => "Звонок без номера, на который звонили: оператор связи его не передал. Звонящему предложено оставить \
                       сообщение. Проверьте подключение у оператора."
                    .to_owned(),
                dialled => format!(
                    "Звонок на номер «{dialled}», которого нет в настройках. Звонящему предложено оставить сообщение. \
                     Впишите номер в технические номера нужной линии."
                ),
            };
            alarms::raise(connection, ids.next(now), "unknown_line", dialled, &told, now).await?;
        }
        if folded.newly(Call::was_talked)
            && let Some((_, number)) = waiter(call)
        {
            sqlx::query(PROPOSE_TO_CLOSE)
                .bind(call.id)
                .bind(number)
                .bind(call.started_at.as_millisecond())
                .bind(row_of(&call.key.provider_call_id))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// A talk writes into the callbacks of its number on all lines, as officers do, and a call that becomes known late depends on
/// what they do meanwhile: both queue with them for the number first.
async fn lock_numbers(connection: &mut AnyConnection, calls: &BTreeMap<CallKey, Folded>, now: Timestamp) -> Result<()> {
    let is_about_others = |folded: &&Folded| folded.newly(Call::was_talked) || folded.as_late(now).is_some();
    let numbers = calls.values().filter(is_about_others).filter_map(|folded| Some(waiter(&folded.call)?.1));
    siblings::lock_numbers(connection, numbers.collect()).await
}

super::sql::statements! {
    /// R12: the caller was reached in another way, after he began to wait; one key closes the callback, on whatever line he
    /// waits (R26). The talk of the officer who has just called back proposes nothing: he is about to say how it went, and
    /// that is proposed to the other lines.
    PROPOSE_TO_CLOSE = "
        UPDATE callback SET proposed_call_id = $1, version = version + 1
        WHERE callback_number = $2 AND received_at <= $3 AND closed_at IS NULL
          AND NOT EXISTS (
              SELECT 1 FROM placed_call
              WHERE placed_call.id = $4 AND placed_call.number = callback.callback_number)";
    SHOW_MESSAGE = "
        UPDATE callback
        SET version = version + 1, proposed_call_id = NULL, proposed_callback_id = NULL,
            until_at = CASE WHEN state = 'later' AND $2 < until_at THEN $2 ELSE until_at END
        WHERE id = $1 AND closed_at IS NULL";
}

const HOLD_CALL_KEYS: ManyRows = ManyRows {
    name: "HOLD_CALL_KEYS",
    head: "INSERT INTO call_key (provider, provider_call_id, call_id) SELECT column1, column2, column3",
    columns: &[Column::Text, Column::Text, Column::Number],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (provider, provider_call_id) DO UPDATE SET call_id = call_key.call_id
        RETURNING provider, provider_call_id, call_id",
};

const KEEP_DELIVERIES: ManyRows = ManyRows {
    name: "KEEP_DELIVERIES",
    head: "INSERT INTO delivery (id, provider, endpoint, method, target, content_type, body, received_at, call_id)
        SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9",
    columns: &[
        Column::Number,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Bytes,
        Column::Number,
        Column::Number,
    ],
    tail: "WHERE column1 IS NOT NULL",
};

const FIND_CALLERS: ManyRows = ManyRows {
    name: "FIND_CALLERS",
    head: "SELECT column1 AS line, column2 AS dial_number, callback.received_at AS received_at,
        blocked_number.blocked_at AS blocked_at",
    columns: &[Column::Text, Column::Text],
    tail: "LEFT JOIN callback
            ON callback.line = column1 AND callback.dial_number = column2 AND callback.closed_at IS NULL
        LEFT JOIN blocked_number ON blocked_number.number = column2
        WHERE callback.received_at IS NOT NULL OR blocked_number.blocked_at IS NOT NULL",
};

const KEEP_VOICEMAILS: ManyRows = ManyRows {
    name: "KEEP_VOICEMAILS",
    head: "INSERT INTO voicemail (id, call_id, recording_id, url, received_at, provider_seconds, state)
        SELECT column1, column2, column3, column4, column5, column6, 'pending'",
    columns: &[Column::Number, Column::Number, Column::Text, Column::Text, Column::Number, Column::Number],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (call_id, recording_id) DO NOTHING
        RETURNING id, call_id, recording_id",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] =
    &[&HOLD_CALL_KEYS, &KEEP_DELIVERIES, &FIND_CALLERS, &KEEP_VOICEMAILS];
