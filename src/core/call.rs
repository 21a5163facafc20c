//! One telephone call, folded from what its provider told about it.
//!
//! Events come late, twice and in any order, so every field of a [`Call`] only ever moves one way: the earliest time,
//! the furthest state, the first thing known. Any order with any repeats ends in the same call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::{DayRule, Period, TimeState};
use super::line::{Line, LineId, Lines};
use super::phone::{Caller, PhoneNumber, is_erased};
use crate::time::Timestamp;

/// The name of a call in the world: the configured provider and the provider's own id, kept as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    pub provider: Arc<str>,
    pub provider_call_id: String,
}

/// How the provider's id of a test call begins, which nobody makes and no provider knows.
pub const TEST_CALL: &str = "CAtest";

/// How an id begins that we derived ourselves, since the provider told none or one that no database would take. The provider
/// does not know it and cannot be asked about it.
pub const DERIVED_ID: &str = "sha256-";

/// The longest that a call is believed to have lasted, milliseconds: providers end a `Dial` by themselves after so long
/// (provider contract, TwiML §6).
pub const MAX_CALL_MS: i64 = 4 * 3_600_000;

/// How late a report is believed to come, milliseconds: an exchange repeats the end of a call for about two months. A report
/// that tells of an older instant was made by a clock that is wrong.
pub const MAX_REPORT_AGE_MS: i64 = 70 * 24 * 3_600_000;

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.provider_call_id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
}

/// How ringing the officers ended. The furthest one counts: who was reached once was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ringing {
    Failed,
    Cancelled,
    Busy,
    NoAnswer,
    Answered,
}

/// What the provider holds of one message. The furthest state counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// Under way, or only announced.
    Begun,
    /// Nothing was recorded: too short, or silence cut off by the provider.
    Absent,
    /// The provider lost it.
    Failed,
    /// There is sound to fetch.
    Completed,
}

/// One recording, as the provider holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    pub state: RecordingState,
    /// Where the provider says the sound is. From outside: checked against the allowed hosts before any use.
    pub url: Option<String>,
    /// The provider's whole seconds; the real length is measured from the sound.
    pub length_seconds: Option<u32>,
    /// When the message was left: the earliest word of it.
    pub received_at_ms: i64,
}

/// Something a provider told about a call, and when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    pub at: Timestamp,
    pub fact: Fact,
}

impl CallEvent {
    /// The event without our own numbers in a caller's place (R25): a trunk that shows the line instead of who calls it
    /// withholds the caller, and a line that is typed cannot be called back. `None`: nothing is left of it.
    pub fn without_own_numbers(mut self, lines: &Lines) -> Option<Self> {
        match &mut self.fact {
            Fact::Parties { direction: Direction::Inbound, caller, .. } => caller.disown(lines),
            Fact::Keyed { digits } if PhoneNumber::parse(digits).is_ok_and(|number| lines.is_own(&number)) => {
                return None;
            }
            _ => {}
        }
        Some(self)
    }
}

impl Caller {
    fn is_erased(&self) -> bool {
        self.number.as_ref().is_some_and(PhoneNumber::is_erased)
    }

    fn disown(&mut self, lines: &Lines) {
        self.number.take_if(|number| lines.is_own(number));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Who calls whom. Most requests repeat it. An empty `dialled` tells nothing.
    Parties { direction: Direction, dialled: String, forwarded_from: Option<String>, caller: Caller },
    /// Picked up: by the provider's machine for incoming calls.
    Answered,
    /// Ringing an officer's phone is over.
    Rang { ringing: Ringing, talk_seconds: Option<u32> },
    /// The caller typed a number to be called back at.
    Keyed { digits: String },
    /// The record verb is over, whether or not it left a recording.
    MessageOver,
    /// News of one recording.
    Recording { id: String, state: RecordingState, url: Option<String>, length_seconds: Option<u32> },
    /// The call is over.
    Ended,
    /// The provider's list brought in what no webhook had reported.
    Restored,
}

/// Open or closed, decided once, at the start of the call, with the reason (R2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub open: bool,
    pub day_rule: DayRule,
    pub time_state: TimeState,
    pub calendar_version: String,
    /// The working period in which we call back, as told to the caller (R7): the next one when closed, the current
    /// one when open. `None`: no working hours within 400 days, so no date is promised.
    pub promise: Option<Period>,
}

impl Decision {
    /// What holds for a call to `line` that begins at this instant.
    pub fn at(line: &Line, at: Timestamp) -> Self {
        let answer = line.calendar.answer(at);
        Self {
            open: answer.open,
            day_rule: answer.day_rule,
            time_state: answer.time_state,
            calendar_version: line.calendar.version().to_owned(),
            promise: if answer.open { answer.current_period } else { answer.next_period },
        }
    }
}

/// What became of a call, in the log's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Still going on, as far as we know.
    InProgress,
    /// Talked with an officer.
    Answered,
    /// Left a message.
    Voicemail,
    /// Heard the signal and left nothing.
    NoMessage,
    /// Hung up in the greeting, after hours.
    Abandoned,
    /// In working hours, nobody answered, and no message.
    Missed,
}

impl Outcome {
    pub const ALL: [Self; 6] =
        [Self::InProgress, Self::Answered, Self::Voicemail, Self::NoMessage, Self::Abandoned, Self::Missed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Answered => "answered",
            Self::Voicemail => "voicemail",
            Self::NoMessage => "no_message",
            Self::Abandoned => "abandoned",
            Self::Missed => "missed",
        }
    }
}

/// A call as it stands. Build one with [`Call::new`], feed it with [`Call::apply`], then [`Call::decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Our row id, made from the time of the first delivery.
    pub id: i64,
    pub key: CallKey,
    pub direction: Option<Direction>,
    pub dialled: Option<String>,
    pub forwarded_from: Option<String>,
    pub caller: Option<Caller>,
    pub started_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub ringing: Option<Ringing>,
    pub talk_seconds: Option<u32>,
    /// The last number typed, and when.
    pub keyed: Option<(Timestamp, String)>,
    pub message_over_at: Option<Timestamp>,
    pub recordings: BTreeMap<String, Recording>,
    /// Set once, by [`Call::decide`].
    pub line: Option<LineId>,
    pub decision: Option<Decision>,
    /// The callback this call opened or joined.
    pub callback_id: Option<i64>,
    /// Set when the caller was waiting for a callback already as this call began: the greeting says so.
    pub waiting_since: Option<Timestamp>,
    /// When a look through the provider's lists brought in the call, or a message of it, that no webhook had reported.
    pub restored_at: Option<Timestamp>,
    /// When its caller's number was found on the list of blocked ones, once, as the call came: it comes to no list.
    pub blocked_at: Option<Timestamp>,
}

impl Call {
    pub fn new(id: i64, key: CallKey, at: Timestamp) -> Self {
        Self {
            id,
            key,
            direction: None,
            dialled: None,
            forwarded_from: None,
            caller: None,
            started_at: at,
            answered_at: None,
            ended_at: None,
            ringing: None,
            talk_seconds: None,
            keyed: None,
            message_over_at: None,
            recordings: BTreeMap::new(),
            line: None,
            decision: None,
            callback_id: None,
            waiting_since: None,
            restored_at: None,
            blocked_at: None,
        }
    }

    /// Takes in one event. The order and number of events do not matter.
    pub fn apply(&mut self, event: CallEvent) {
        let CallEvent { at, fact } = event;
        self.started_at = self.started_at.min(at);
        match fact {
            Fact::Parties { direction, dialled, forwarded_from, caller } => {
                fill(&mut self.direction, direction);
                if !dialled.is_empty() {
                    // A call that ended is on the unknown line for want of this.
                    if self.dialled.is_none() {
                        self.line = None;
                    }
                    fill_number(&mut self.dialled, dialled);
                }
                if let Some(forwarded_from) = forwarded_from {
                    fill_number(&mut self.forwarded_from, forwarded_from);
                }
                self.caller = Some(match self.caller.take() {
                    // A repeated report does not bring back a number that was erased.
                    Some(known) if known.is_erased() => known,
                    Some(_) if caller.is_erased() => caller,
                    Some(known) if known.number.is_some() && caller.number.is_none() => known,
                    Some(known) if known.number.is_none() && caller.number.is_some() => caller,
                    Some(known) => known.min(caller),
                    None => caller,
                });
            }
            Fact::Answered => fill(&mut self.answered_at, at),
            Fact::Rang { ringing, talk_seconds } => {
                self.ringing = self.ringing.max(Some(ringing));
                self.talk_seconds = self.talk_seconds.max(talk_seconds);
            }
            Fact::Keyed { digits } => {
                let keyed = self.keyed.take().into_iter().chain([(at, digits)]);
                self.keyed = keyed.max_by_key(|(at, digits)| (is_erased(digits), *at, digits.clone()));
            }
            Fact::MessageOver => fill(&mut self.message_over_at, at),
            Fact::Recording { id, state, url, length_seconds } => {
                let at_ms = at.as_millisecond();
                let known = self.recordings.entry(id).or_insert_with(|| Recording {
                    state,
                    url: None,
                    length_seconds: None,
                    received_at_ms: at_ms,
                });
                known.state = known.state.max(state);
                known.length_seconds = known.length_seconds.max(length_seconds);
                known.received_at_ms = known.received_at_ms.min(at_ms);
                if let Some(url) = url {
                    fill(&mut known.url, url);
                }
            }
            Fact::Ended => fill(&mut self.ended_at, at),
            Fact::Restored => fill(&mut self.restored_at, at),
        }
    }

    /// Finds the line and settles open or closed, as soon as the dialled number is known; afterwards it stays. A call that
    /// ended without one is on the unknown line until it is: its caller is not forgotten (R18).
    pub fn decide(&mut self, lines: &Lines) {
        if self.is_inbound()
            && let Some(caller) = &mut self.caller
        {
            caller.disown(lines);
        }
        let dialled = match (&self.line, &self.dialled) {
            (None, Some(dialled)) => dialled.as_str(),
            (None, None) if self.ended_at.is_some() => "",
            _ => return,
        };
        let line = match self.direction {
            // We dial out from the published number: it stands in the caller's place.
            Some(Direction::Outbound) => lines.of_call(self.caller.as_ref().map_or("", |caller| &caller.raw), None),
            _ => lines.of_call(dialled, self.forwarded_from.as_deref()),
        };
        self.line = Some(line.id.clone());
        self.decision = Some(Decision::at(line, self.started_at));
    }

    pub fn is_inbound(&self) -> bool {
        self.direction != Some(Direction::Outbound)
    }

    pub fn was_talked(&self) -> bool {
        match self.is_inbound() {
            true => self.ringing == Some(Ringing::Answered),
            false => self.answered_at.is_some() && self.talk_seconds.is_none_or(|seconds| seconds > 0),
        }
    }

    /// The other party: who called us, or whom we called.
    pub fn other_party(&self) -> Option<PhoneNumber> {
        match self.is_inbound() {
            true => self.caller.as_ref()?.number.clone(),
            false => PhoneNumber::parse(self.dialled.as_ref()?).ok(),
        }
    }

    /// Our own number that stood in the caller's place, if one did.
    pub fn own_number_shown(&self, lines: &Lines) -> Option<PhoneNumber> {
        let caller = self.caller.as_ref().filter(|caller| self.is_inbound() && caller.number.is_none())?;
        PhoneNumber::parse(&caller.raw).ok().filter(|number| lines.is_own(number))
    }

    /// The number to call back at: the one the network showed, or else the one that was typed.
    pub fn number_to_dial(&self) -> Option<PhoneNumber> {
        self.other_party().or_else(|| self.keyed_number())
    }

    /// The number typed on the keypad, if it can be dialled.
    pub fn keyed_number(&self) -> Option<PhoneNumber> {
        let (_, digits) = self.keyed.as_ref()?;
        PhoneNumber::parse(digits).ok().filter(|number| number.e164().len() >= 11)
    }

    pub fn has_message(&self) -> bool {
        self.recordings.values().any(|recording| recording.state == RecordingState::Completed)
    }

    pub fn outcome(&self) -> Outcome {
        let came_to_the_signal = self.message_over_at.is_some() || !self.recordings.is_empty();
        match &self.decision {
            _ if self.was_talked() => Outcome::Answered,
            _ if self.has_message() => Outcome::Voicemail,
            _ if self.ended_at.is_none() && !came_to_the_signal => Outcome::InProgress,
            _ if self.recordings.values().any(|recording| recording.state == RecordingState::Begun)
                && self.ended_at.is_none() =>
            {
                Outcome::InProgress
            }
            _ if came_to_the_signal => Outcome::NoMessage,
            Some(decision) if decision.open => Outcome::Missed,
            _ => Outcome::Abandoned,
        }
    }

    /// Whether somebody waits to be called back after this call (R6 and UX §2, «What becomes an entry on the list»).
    /// A withheld number without a message stays in the log alone, for there is nobody to dial, and so does a blocked one.
    pub fn wants_callback(&self, line: &Line) -> bool {
        let without_message = match self.outcome() {
            Outcome::NoMessage | Outcome::Abandoned | Outcome::Missed => {
                self.keyed_number().is_some() || (self.other_party().is_some() && line.callback_without_message)
            }
            Outcome::InProgress | Outcome::Answered | Outcome::Voicemail => false,
        };
        // A message counts whatever else happened: it may have been left after a talk that broke off.
        self.is_inbound() && self.blocked_at.is_none() && (self.has_message() || without_message)
    }
}

/// Fills what was unknown. Of two different words the smaller one stays, so that their order does not matter.
fn fill<T: Ord>(slot: &mut Option<T>, value: T) {
    match slot {
        Some(known) if *known <= value => {}
        _ => *slot = Some(value),
    }
}

/// The same for a number. A repeated report does not bring back one that was erased.
fn fill_number(slot: &mut Option<String>, text: String) {
    match slot.as_deref().map(is_erased) {
        Some(is_known_erased) if is_known_erased != is_erased(&text) => {
            if !is_known_erased {
                *slot = Some(text);
            }
        }
        _ => fill(slot, text),
    }
}

#[cfg(test)]
mod properties;
