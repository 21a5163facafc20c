//! The shapes of the API. Their names are promises: add to them, rename none.

use serde::Serialize;
use utoipa::ToSchema;

use super::words;
use crate::core::calendar::{self, Calendar};
use crate::core::call::{self, Direction};
use crate::core::callback::{self, SiblingHolder, State};
use crate::core::line::Lines;
use crate::core::officer::Role;
use crate::recordings::LEAST_SPEECH_MS;
use crate::store::{self, CallbackView, KeptDelivery, Person, StoredSound, VoicemailState};
use crate::time::Timestamp;

/// RFC 3339 with the offset of the line's zone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-20T19:30:00+03:00")]
pub struct Time(String);

impl Time {
    pub fn of(calendar: &Calendar, at: Timestamp) -> Self {
        Self(calendar.written(at))
    }
}

/// A working period; `ends_at` is not part of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Period {
    pub starts_at: Time,
    pub ends_at: Time,
}

impl Period {
    pub fn of(calendar: &Calendar, period: calendar::Period) -> Self {
        Self { starts_at: Time::of(calendar, period.start), ends_at: Time::of(calendar, period.end) }
    }
}

/// Somebody waits for us to call, or waited.
#[derive(Debug, Serialize, ToSchema)]
pub struct Callback {
    pub id: String,
    /// `2026-000123`, given with the first action of an officer; without gaps in its year.
    pub registration_number: Option<String>,
    pub line: String,
    pub line_title: String,
    /// E.164; null if withheld.
    pub caller: Option<String>,
    /// The number to dial, E.164: the caller's, or the one typed on the keypad.
    pub callback_number: Option<String>,
    #[schema(schema_with = words::channel)]
    pub channel: &'static str,
    pub received_at: Time,
    /// The first action of an officer.
    pub registered_at: Option<Time>,
    /// The working period on whose list it stands; null if no working hours are configured.
    pub period: Option<Period>,
    /// The end of that period.
    pub due_at: Option<Time>,
    /// By the regulation's response term, if the school has set one.
    pub term_due_at: Option<Time>,
    #[schema(schema_with = words::state)]
    pub state: &'static str,
    /// Grows by one with each action and with each call or message that joins.
    pub version: i64,
    /// Name of the officer who holds it.
    pub claimed_by: Option<String>,
    /// When a claim runs out, or until when it is put off.
    pub until: Option<Time>,
    pub closed_at: Option<Time>,
    pub closed_by: Option<String>,
    /// The note it was closed with.
    pub note: Option<String>,
    #[schema(schema_with = words::reason_or_null)]
    pub decision_reason: Option<&'static str>,
    /// The id of a call in which the caller was reached in another way: it may be closed with that.
    pub proposal: Option<String>,
    /// The id of a callback of the same number whose outcome `same` would give this one; null if there is none.
    pub proposed_callback: Option<String>,
    /// Other open callbacks of the same number, oldest first.
    pub siblings: Vec<Sibling>,
    #[schema(schema_with = words::asker)]
    pub asker: Option<String>,
    #[schema(schema_with = words::topic)]
    pub topic: Option<String>,
    pub summary: Option<String>,
    pub reference: Option<String>,
    /// Ids of its newest 200 calls, oldest first.
    pub calls: Vec<String>,
    /// How many calls it has, also those not named in `calls`.
    pub calls_count: i64,
    /// The newest 200, oldest first.
    pub voicemails: Vec<Voicemail>,
    /// How many messages it has, also those not in `voicemails`.
    pub voicemails_count: i64,
    /// Oldest first, without those taken back.
    pub attempts: Vec<Attempt>,
}

impl Callback {
    pub fn of(view: &CallbackView, lines: &Lines, now: Timestamp) -> Self {
        let CallbackView { callback, calls, voicemails, .. } = view;
        let line = lines.by_id(&callback.line);
        let calendar = &line.calendar;
        let time = |at: Timestamp| Time::of(calendar, at);
        let (state, notes) = (&callback.desk.state, &callback.desk.notes);
        let holder = state.holder(now);
        let (until, closed_by, note, reason) = match state {
            State::Open => (None, None, None, None),
            State::Claimed { until, .. } => (holder.is_some().then_some(until), None, None, None),
            State::Later { until, .. } => (Some(until), None, None, None),
            State::Done { by, note, .. } | State::Exceptional { by, note, .. } => (None, Some(by), Some(note), None),
            State::Declined { by, note, reason, .. } => (None, Some(by), Some(note), Some(reason)),
        };
        Self {
            id: callback.id.to_string(),
            registration_number: callback.registration_number.clone(),
            line: callback.line.to_string(),
            line_title: line.title.clone(),
            caller: callback.caller.as_ref().map(ToString::to_string),
            callback_number: callback.callback_number.as_ref().map(ToString::to_string),
            channel: callback.channel.as_str(),
            received_at: time(callback.received_at),
            registered_at: callback.registered_at.map(time),
            period: callback.period.map(|period| Period::of(calendar, period)),
            due_at: callback.due_at.map(time),
            term_due_at: callback.term_due_at.map(time),
            state: shown_state(state, now),
            version: callback.version,
            claimed_by: holder.map(|by| by.name.clone()),
            until: until.copied().map(time),
            closed_at: state.closed_at().map(time),
            closed_by: closed_by.map(|by| by.name.clone()),
            note: note.cloned(),
            decision_reason: reason.map(|reason| reason.as_str()),
            proposal: callback.proposed_call_id.map(|id| id.to_string()),
            proposed_callback: view
                .proposed_outcome
                .as_ref()
                .filter(|source| state.closed_at().is_none() && source.outcome_for_siblings(now).is_some())
                .map(|source| source.id.to_string()),
            siblings: view.siblings.iter().map(|sibling| Sibling::of(sibling, lines, now)).collect(),
            asker: notes.asker.clone(),
            topic: notes.topic.clone(),
            summary: notes.summary.clone(),
            reference: notes.reference.clone(),
            calls: calls.iter().map(|call| call.id.to_string()).collect(),
            calls_count: view.calls_count,
            voicemails: voicemails.iter().map(|voicemail| Voicemail::of(voicemail, calendar)).collect(),
            voicemails_count: view.voicemails_count,
            attempts: view.attempts().into_iter().map(|attempt| Attempt::of(attempt, calendar)).collect(),
        }
    }
}

/// Another open callback of the same number.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sibling {
    pub id: String,
    pub line: String,
    pub line_title: String,
    #[schema(schema_with = words::state)]
    pub state: &'static str,
    /// Name of the officer who holds it, or for whom a call about it goes on.
    pub held_by: Option<String>,
    pub held_since: Option<Time>,
    pub last_attempt: Option<SiblingAttempt>,
}

/// The last try to reach the caller there.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiblingAttempt {
    pub at: Time,
    /// Name of the officer.
    pub by: String,
    #[schema(schema_with = words::attempt)]
    pub outcome: &'static str,
}

impl Sibling {
    fn of(sibling: &callback::Sibling, lines: &Lines, now: Timestamp) -> Self {
        let line = lines.by_id(&sibling.line);
        let holder = sibling.holder(now);
        Self {
            id: sibling.id.to_string(),
            line: sibling.line.to_string(),
            line_title: line.title.clone(),
            state: shown_state(&sibling.state, now),
            held_by: holder.as_ref().map(|holder| holder.by.name.clone()),
            held_since: holder.map(|holder| Time::of(&line.calendar, holder.since)),
            last_attempt: sibling.last_attempt.as_ref().map(|attempt| SiblingAttempt {
                at: Time::of(&line.calendar, attempt.at),
                by: attempt.by.name.clone(),
                outcome: attempt.outcome,
            }),
        }
    }
}

/// A callback of the same number that a colleague holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldSibling {
    pub id: String,
    pub line: String,
    pub line_title: String,
    /// Name of the officer.
    pub held_by: String,
    pub held_since: Time,
}

impl HeldSibling {
    pub fn of(holder: &SiblingHolder, lines: &Lines) -> Self {
        let line = lines.by_id(&holder.line);
        Self {
            id: holder.callback_id.to_string(),
            line: holder.line.to_string(),
            line_title: line.title.clone(),
            held_by: holder.by.name.clone(),
            held_since: Time::of(&line.calendar, holder.since),
        }
    }
}

/// A lease that has run out holds nothing.
pub fn shown_state(state: &State, now: Timestamp) -> &'static str {
    match state {
        State::Claimed { .. } if state.holder(now).is_none() => State::Open.as_str(),
        state => state.as_str(),
    }
}

/// One try to reach the caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    pub at: Time,
    /// Name of the officer.
    pub by: String,
    #[schema(schema_with = words::attempt)]
    pub outcome: &'static str,
    pub note: String,
}

impl Attempt {
    fn of(attempt: store::Attempt, calendar: &Calendar) -> Self {
        let store::Attempt { at, by, outcome, note } = attempt;
        Self { at: Time::of(calendar, at), by: by.name, outcome, note }
    }
}

/// A message of a caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Voicemail {
    pub id: String,
    pub call_id: String,
    pub received_at: Time,
    #[schema(schema_with = words::voicemail)]
    pub state: &'static str,
    /// Measured; null while it is not stored, and if it could not be measured.
    pub duration_ms: Option<i64>,
    /// Whether a voice is heard in it; null while it is not stored, and if it could not be measured: then listen to it.
    pub has_speech: Option<bool>,
    /// Null unless it is stored.
    pub audio_url: Option<String>,
    /// Why it could not be had.
    pub failure: Option<String>,
    /// Its words as a speech model wrote them; may contain mistakes. Null if there are none, and for observers.
    pub transcript: Option<String>,
    /// Another number than the caller's own that is said in it, as the transcript has it. A hint: do not dial it unasked.
    pub said_number: Option<String>,
}

impl Voicemail {
    pub fn of(voicemail: &store::Voicemail, calendar: &Calendar) -> Self {
        let stored = voicemail.sound.as_ref().filter(|_| voicemail.state == VoicemailState::Stored);
        let measured_ms = stored.and_then(StoredSound::measured_ms);
        Self {
            id: voicemail.id.to_string(),
            call_id: voicemail.call_id.to_string(),
            received_at: Time::of(calendar, voicemail.received_at),
            state: voicemail.state.as_str(),
            duration_ms: measured_ms,
            has_speech: stored.filter(|_| measured_ms.is_some()).map(|sound| sound.speech_ms >= LEAST_SPEECH_MS),
            audio_url: stored.map(|_| format!("/api/v1/voicemails/{}/audio", voicemail.id)),
            failure: voicemail.failure.clone(),
            transcript: voicemail.transcript.as_ref().map(|transcript| transcript.text.clone()),
            said_number: voicemail.said_number().map(|number| number.to_string()),
        }
    }
}

/// What is said in a message is for those who may listen to it.
pub fn only_for_listeners(person: &Person, voicemails: &mut [store::Voicemail]) {
    if person.role < Role::Officer {
        voicemails.iter_mut().for_each(|voicemail| voicemail.transcript = None);
    }
}

/// One call of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Call {
    pub id: String,
    pub provider: String,
    pub provider_call_id: String,
    /// `unknown` for a number nobody configured; null until the provider has told both parties.
    pub line: Option<String>,
    #[schema(schema_with = words::direction)]
    pub direction: Option<&'static str>,
    /// E.164; null if withheld.
    pub caller: Option<String>,
    /// As the provider wrote it.
    pub dialled: Option<String>,
    /// As the provider wrote it.
    pub forwarded_from: Option<String>,
    pub started_at: Time,
    /// By an officer or by the machine that plays the greeting.
    pub answered_at: Option<Time>,
    pub ended_at: Option<Time>,
    /// Talk with an officer.
    pub talk_ms: Option<i64>,
    pub decision: Option<Decision>,
    /// The working period in which the caller was promised a callback.
    pub promised_period: Option<Period>,
    #[schema(schema_with = words::outcome)]
    pub outcome: &'static str,
    /// Oldest first.
    pub voicemails: Vec<Voicemail>,
    /// No webhook reported it, or a message of it: the provider's list did, when it was asked.
    pub restored: bool,
    /// The caller's number was blocked as it came, so that it is on no list.
    pub blocked: bool,
    /// The callback that this call opened or joined.
    pub callback_id: Option<String>,
    /// Null in lists.
    pub events: Option<Vec<Event>>,
}

/// Open or closed, decided once, at the start of the call.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    pub open: bool,
    #[schema(schema_with = words::day_rule)]
    pub day_rule: &'static str,
    #[schema(schema_with = words::time_state)]
    pub time_state: &'static str,
    pub calendar_version: String,
}

impl Call {
    pub fn of(call: &call::Call, voicemails: &[store::Voicemail], events: Option<Vec<Event>>, lines: &Lines) -> Self {
        let calendar = calendar_of(call, lines);
        let time = |at: Timestamp| Time::of(calendar, at);
        let decision = call.decision.as_ref();
        Self {
            id: call.id.to_string(),
            provider: call.key.provider.to_string(),
            provider_call_id: call.key.provider_call_id.clone(),
            line: call.line.as_ref().map(ToString::to_string),
            direction: call.direction.map(|direction| match direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            }),
            caller: call.caller.as_ref().and_then(|caller| caller.number.as_ref()).map(ToString::to_string),
            dialled: call.dialled.clone(),
            forwarded_from: call.forwarded_from.clone(),
            started_at: time(call.started_at),
            answered_at: call.answered_at.map(time),
            ended_at: call.ended_at.map(time),
            talk_ms: call.talk_seconds.map(|seconds| i64::from(seconds) * 1000),
            decision: decision.map(|decision| Decision {
                open: decision.open,
                day_rule: decision.day_rule.as_str(),
                time_state: decision.time_state.as_str(),
                calendar_version: decision.calendar_version.clone(),
            }),
            promised_period: decision.and_then(|decision| decision.promise).map(|period| Period::of(calendar, period)),
            outcome: call.outcome().as_str(),
            voicemails: voicemails.iter().map(|voicemail| Voicemail::of(voicemail, calendar)).collect(),
            restored: call.restored_at.is_some(),
            blocked: call.blocked_at.is_some(),
            callback_id: call.callback_id.map(|id| id.to_string()),
            events,
        }
    }
}

pub fn calendar_of<'l>(call: &call::Call, lines: &'l Lines) -> &'l Calendar {
    call.line.as_ref().map_or(lines.default_calendar(), |line| &lines.by_id(line).calendar)
}

/// The longest body of an event that is shown, in characters.
const LONGEST_BODY: usize = 8000;

/// A webhook of the provider, as it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    pub id: String,
    pub received_at: Time,
    /// What follows `/webhooks/{provider}/`.
    pub endpoint: String,
    pub content_type: String,
    /// At most 8000 characters. Null for observers: it may say where the provider keeps the sound.
    pub body: Option<String>,
}

impl Event {
    pub fn of(delivery: &KeptDelivery, may_listen: bool, calendar: &Calendar) -> Self {
        let body = || String::from_utf8_lossy(&delivery.body).chars().take(LONGEST_BODY).collect();
        Self {
            id: delivery.id.to_string(),
            received_at: Time::of(calendar, delivery.received_at),
            endpoint: delivery.endpoint.clone(),
            content_type: delivery.content_type.clone(),
            body: may_listen.then(body),
        }
    }
}
