//! Requests of the TwiML family → call events (provider contract, TwiML §2 to §5). Unknown fields are passed over; of
//! the known ones nothing is believed that cannot be: a time in the future, a control character. A request that waits for
//! a script is always read, with whatever of it can be read (R3).

use super::super::form::{Form, MAX_WORD, bare, has_too_many_fields, id_of_nameless_call, id_without_borders, is_form};
use super::super::{Malformed, Parsed, RawRequest};
use super::borders;
use super::signature::is_get;
use super::{Endpoint, Settings};
use crate::core::call::{CallEvent, CallKey, Direction, Fact, MAX_CALL_MS, MAX_REPORT_AGE_MS, RecordingState, Ringing};
use crate::core::phone::{Caller, PhoneNumber};
use crate::core::script::Step;
use crate::time::{Timestamp, from_millisecond};

/// Numbers and SIP addresses, bytes.
const MAX_PARTY: usize = 500;
/// Fields that tell from where a call was forwarded.
const DIVERSIONS: [&str; 3] = ["ForwardedFrom", "Diversion", "SipHeader_Diversion"];
/// Of a call that was forwarded more often than this nobody knows the way.
const MAX_DIVERSIONS: usize = 10;
/// Fields in which Telnyx tells when a call began.
const STARTS: [&str; 2] = ["CallInitiatedAt", "StartTime"];
/// Addresses of recordings, bytes. Pre-signed ones reach about 1,500.
const MAX_URL: usize = 4000;
/// Digits kept of what was typed: a number has at most 15.
const MAX_DIGITS: usize = 20;

/// Reads a request that has been verified.
pub(super) fn parse(settings: &Settings, request: &RawRequest, received_at: Timestamp) -> Result<Parsed, Malformed> {
    let endpoint = Endpoint::read(&request.endpoint)
        .ok_or_else(|| Malformed::UnknownEndpoint(request.endpoint.chars().take(60).collect()))?;
    let is_dialogue = matches!(endpoint, Endpoint::Dialogue(_));
    let encoded = encoded_form(request);
    let form = Form::read(encoded.as_ref().unwrap_or(&b"".as_slice()));
    if !is_dialogue && encoded.as_ref().is_ok_and(|encoded| has_too_many_fields(encoded)) {
        return Err(Malformed::TooManyFields);
    }
    // In an address nothing can be moved: it is signed as it is.
    let moved = if is_get(&request.method) { None } else { borders::moved(settings.signature, &form) };
    let told_id = encoded.and_then(|_| match moved {
        Some(id) => Err(Malformed::MovedBorder(id)),
        None => form.call_id("CallSid"),
    });
    let oddity = told_id.as_ref().err().cloned().or_else(|| form.oddity());
    let (provider_call_id, is_derived) = match (told_id, form.any_call_id("CallSid")) {
        (Ok(id), _) => (id, false),
        (Err(malformed), _) if !is_dialogue => return Err(malformed),
        (Err(_), _) if moved.is_some() => (id_without_borders(&form), true),
        (Err(_), Some(id)) => (id, false),
        (Err(_), None) => {
            let sent = if request.body.is_empty() { request.target.as_bytes() } else { &request.body };
            (id_of_nameless_call(sent, received_at), true)
        }
    };
    if !is_dialogue && is_leg(&form) {
        return Ok(Parsed { key: None, events: Vec::new(), step: None, sound: None, oddity: None });
    }
    let at = told_at(&form, "Timestamp", received_at).unwrap_or(received_at);
    let direction = match direction(&form) {
        // Only who calls us is asked what he hears next; the legs that we dial ask for nothing.
        Direction::Outbound if is_dialogue && is_leg(&form) => Direction::Inbound,
        direction => direction,
    };
    let mut events: Vec<CallEvent> = parties(&form, direction, started_at(&form, at)).into_iter().collect();
    let step = match endpoint {
        Endpoint::Dialogue(step) => {
            events.extend(progress(&form, direction, at));
            events.extend(answer_to(step, &form, at));
            Some(step)
        }
        Endpoint::Status => {
            events.extend(progress(&form, direction, at));
            None
        }
        Endpoint::Recording => {
            events.push(recording_status(&form, received_at)?);
            None
        }
    };
    if is_derived {
        // Nothing more will be told of it that could be known to be of this call.
        events.push(CallEvent { at, fact: Fact::Ended });
    }
    let key = Some(CallKey { provider: settings.name.clone(), provider_call_id });
    Ok(Parsed { key, events, step, sound: None, oddity })
}

/// A leg that `Dial` created: the officer's, not a call of its own.
fn is_leg(form: &Form) -> bool {
    let direction = form.word("Direction").map(bare);
    direction.as_deref() == Some("outbounddial")
        || (form.word("ParentCallSid").is_some() && direction.as_deref() != Some("inbound"))
}

/// When the call began, as far as a request of this instant tells: in a field of its own, or by how long the call has lasted.
/// The request may be the first that is heard of the call, and open or closed is decided by the start.
fn started_at(form: &Form, at: Timestamp) -> Timestamp {
    let starts = STARTS.iter().filter_map(|field| form.word(field));
    let started_at = starts.filter_map(|text| instant(text, at, MAX_CALL_MS)).min();
    started_at.unwrap_or_else(|| before(at, form.seconds("CallDuration")))
}

/// So long before `at`. A length that no call has is not believed.
pub(super) fn before(at: Timestamp, seconds: Option<u32>) -> Timestamp {
    let ms = seconds.map_or(0, |seconds| i64::from(seconds) * 1000);
    if ms <= MAX_CALL_MS { from_millisecond(at.as_millisecond() - ms) } else { at }
}

/// Who calls whom, if the request tells: recording callbacks do not. A trunk may leave out the dialled number; the caller is
/// told all the same.
fn parties(form: &Form, direction: Direction, at: Timestamp) -> Option<CallEvent> {
    let caller = party(form, ["From", "Caller"]);
    let dialled = party(form, ["To", "Called"]);
    if caller.is_none() && dialled.is_none() {
        return None;
    }
    let diversions: Vec<&str> =
        DIVERSIONS.iter().flat_map(|field| form.values(field, MAX_PARTY)).map(str::trim).take(MAX_DIVERSIONS).collect();
    let fact = Fact::Parties {
        direction,
        dialled: dialled.unwrap_or("").trim().to_owned(),
        forwarded_from: Some(diversions.join(", ")).filter(|diversions| !diversions.is_empty()),
        caller: Caller::from_provider(caller.unwrap_or("")),
    };
    Some(CallEvent { at, fact })
}

/// The first of the values of these fields that is a number; if none is, the first.
fn party<'a>(form: &'a Form, fields: [&'static str; 2]) -> Option<&'a str> {
    let values: Vec<&str> = fields.iter().flat_map(|field| form.values(field, MAX_PARTY)).collect();
    let first = *values.first()?;
    let is_said_twice = values.iter().any(|value| *value != first);
    let number = values.iter().find(|value| PhoneNumber::parse(value).is_ok()).filter(|_| is_said_twice);
    Some(number.copied().unwrap_or(first))
}

fn direction(form: &Form) -> Direction {
    direction_of(form.word("Direction").unwrap_or("inbound"))
}

pub(super) fn direction_of(word: &str) -> Direction {
    let word = bare(word);
    if word.starts_with("outbound") || word.starts_with("outgoing") { Direction::Outbound } else { Direction::Inbound }
}

/// What `CallStatus` tells. A caller who hangs up shows in whatever request comes next, so it is read in all of them.
fn progress(form: &Form, direction: Direction, at: Timestamp) -> Vec<CallEvent> {
    progress_of(form.word("CallStatus").unwrap_or(""), direction, form.seconds("CallDuration"), at)
}

/// `seconds` is the length of the whole call after it was picked up. Only for a call of ours it tells of somebody who
/// answered: an incoming one is always picked up by the provider's machine.
pub(super) fn progress_of(status: &str, direction: Direction, seconds: Option<u32>, at: Timestamp) -> Vec<CallEvent> {
    match bare(status).as_str() {
        "inprogress" | "answered" => vec![CallEvent { at, fact: Fact::Answered }],
        "completed" => {
            let ended = CallEvent { at, fact: Fact::Ended };
            match (direction, seconds) {
                (Direction::Outbound, Some(1..)) => {
                    vec![CallEvent { at: before(at, seconds), fact: Fact::Answered }, ended]
                }
                _ => vec![ended],
            }
        }
        "busy" | "failed" | "noanswer" | "canceled" | "cancelled" => vec![CallEvent { at, fact: Fact::Ended }],
        _ => Vec::new(),
    }
}

/// What the verb before this step tells.
fn answer_to(step: Step, form: &Form, at: Timestamp) -> Vec<CallEvent> {
    let event = |fact| CallEvent { at, fact };
    match step {
        Step::Arrived | Step::Fallback | Step::Signal => Vec::new(),
        Step::Dialled(_) => ringing(form).map(event).into_iter().collect(),
        Step::MessageOver => {
            let recording = recording(form, recorded(form)).map(event);
            std::iter::once(event(Fact::MessageOver)).chain(recording).collect()
        }
        Step::Keyed(_) => {
            let typed = form.text("Digits", MAX_PARTY).unwrap_or("");
            let digits: String = typed.chars().filter(char::is_ascii_digit).take(MAX_DIGITS).collect();
            if digits.is_empty() { Vec::new() } else { vec![event(Fact::Keyed { digits })] }
        }
    }
}

/// How the `Dial` ended. It counts as answered only if caller and officer can have talked: bridged, or at least not
/// told otherwise and of some length. Otherwise the caller gets the offer to record, so that nobody is forgotten.
fn ringing(form: &Form) -> Option<Fact> {
    let talk_seconds = form.seconds("DialCallDuration");
    let ringing = match bare(form.word("DialCallStatus")?).as_str() {
        "completed" | "answered" | "answer" => match (form.word("DialBridged").map(bare).as_deref(), talk_seconds) {
            (Some("false"), _) | (None, Some(0)) => Ringing::NoAnswer,
            _ => Ringing::Answered,
        },
        "busy" => Ringing::Busy,
        "noanswer" => Ringing::NoAnswer,
        "failed" => Ringing::Failed,
        "canceled" | "cancelled" | "cancel" => Ringing::Cancelled,
        _ => return None,
    };
    let talk_seconds = talk_seconds.filter(|_| ringing == Ringing::Answered);
    Some(Fact::Rang { ringing, talk_seconds })
}

/// The state that `Record`'s own request tells: it comes when the message is over. Length 0 is nothing (SignalWire and
/// Somleng ask all the same); an untold length is taken for a message, which fetching will show.
fn recorded(form: &Form) -> RecordingState {
    completed(form.seconds("RecordingDuration"))
}

pub(super) fn completed(length_seconds: Option<u32>) -> RecordingState {
    if length_seconds == Some(0) { RecordingState::Absent } else { RecordingState::Completed }
}

/// A recording's own callback. It happened when the recording began, if that is told.
fn recording_status(form: &Form, received_at: Timestamp) -> Result<CallEvent, Malformed> {
    let at = told_at(form, "RecordingStartTime", received_at).unwrap_or(received_at);
    let state = match bare(form.required("RecordingStatus")?).as_str() {
        "completed" => recorded(form),
        "absent" => RecordingState::Absent,
        "failed" => RecordingState::Failed,
        _ => RecordingState::Begun,
    };
    let fact = recording(form, state).ok_or(Malformed::Missing("RecordingSid"))?;
    Ok(CallEvent { at, fact })
}

/// The recording of a request. Without `RecordingSid` (Somleng, SignalWire) the address ends in it.
fn recording(form: &Form, state: RecordingState) -> Option<Fact> {
    let url = form.text("RecordingUrl", MAX_URL);
    let id = match (form.word("RecordingSid"), url) {
        (Some(id), _) => Some(id),
        (None, Some(url)) => last_segment(url).filter(|id| id.len() <= MAX_WORD),
        (None, None) => None,
    };
    let length_seconds = form.seconds("RecordingDuration");
    id.map(|id| Fact::Recording { id: id.to_owned(), state, url: url.map(str::to_owned), length_seconds })
}

/// `RE1` of `https://host/…/Recordings/RE1.wav?x=1`.
fn last_segment(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split(['?', '#']).next()?.split_once('/')?;
    let segment = path.rsplit('/').find(|segment| !segment.is_empty())?;
    Some(segment.rsplit_once('.').map_or(segment, |(name, _)| name)).filter(|id| !id.is_empty())
}

/// Only what was signed is read: the query of a GET, the body of everything else.
fn encoded_form(request: &RawRequest) -> Result<&[u8], Malformed> {
    if is_get(&request.method) {
        Ok(request.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
    } else if is_form(request.header("content-type")) {
        Ok(&request.body)
    } else {
        Err(Malformed::NotAForm)
    }
}

/// The provider's own time, if it can be true.
fn told_at(form: &Form, field: &'static str, received_at: Timestamp) -> Option<Timestamp> {
    form.word(field).and_then(|text| instant(text, received_at, MAX_REPORT_AGE_MS))
}

/// RFC 2822, `Mon, 24 Nov 2025 16:04:05 +0000`, or RFC 3339, which no contract promises and some dialect may send; not
/// after `now` and not more than `max_age_ms` before it.
pub(super) fn instant(text: &str, now: Timestamp, max_age_ms: i64) -> Option<Timestamp> {
    let text = text.trim();
    let rfc2822 = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    let at: Timestamp = rfc2822.or_else(|_| text.parse()).ok()?;
    (0..=max_age_ms).contains(&(now.as_millisecond() - at.as_millisecond())).then_some(at)
}

#[cfg(test)]
mod tests;
