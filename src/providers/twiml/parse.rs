//! Requests of the TwiML family → call events (provider contract, TwiML §2 to §5). Unknown fields are passed over; of
//! the known ones nothing is believed that cannot be: a time in the future, a field twice, a control character.

use super::super::form::{Form, MAX_WORD, is_form};
use super::super::{Malformed, Parsed, RawRequest};
use super::signature::is_get;
use super::{Endpoint, Settings};
use crate::core::call::{CallEvent, CallKey, Direction, Fact, RecordingState, Ringing};
use crate::core::phone::Caller;
use crate::core::script::Step;
use crate::time::{Timestamp, from_millisecond};

/// Numbers and SIP addresses, bytes.
const MAX_PARTY: usize = 500;
/// Addresses of recordings, bytes. Pre-signed ones reach about 1,500.
const MAX_URL: usize = 4000;
/// Digits kept of what was typed: a number has at most 15.
const MAX_DIGITS: usize = 20;
/// How far back a provider's own time is believed, milliseconds. Statuses come late, but not by days.
const MAX_AGE_MS: i64 = 24 * 60 * 60 * 1000;

/// Reads a request that has been verified.
pub(super) fn parse(settings: &Settings, request: &RawRequest, received_at: Timestamp) -> Result<Parsed, Malformed> {
    let endpoint = Endpoint::read(&request.endpoint)
        .ok_or_else(|| Malformed::UnknownEndpoint(request.endpoint.chars().take(60).collect()))?;
    let form = form_of(request)?;
    let provider_call_id = form.required("CallSid", MAX_WORD)?.to_owned();
    if is_leg(&form)? {
        return Ok(Parsed { key: None, events: Vec::new(), step: None, sound: None });
    }
    let at = told_at(&form, "Timestamp", received_at)?.unwrap_or(received_at);
    let mut events: Vec<CallEvent> = parties(&form, at)?.into_iter().collect();
    let step = match endpoint {
        Endpoint::Dialogue(step) => {
            events.extend(progress(&form, at)?);
            events.extend(answer_to(step, &form, at)?);
            Some(step)
        }
        Endpoint::Status => {
            events.extend(progress(&form, at)?);
            None
        }
        Endpoint::Recording => {
            events.extend(recording_status(&form, received_at)?);
            None
        }
    };
    let key = Some(CallKey { provider: settings.name.clone(), provider_call_id });
    Ok(Parsed { key, events, step, sound: None })
}

/// A leg that `Dial` created: the officer's, not a call of its own.
fn is_leg(form: &Form) -> Result<bool, Malformed> {
    let direction = form.word("Direction")?;
    Ok(direction == Some("outbound-dial") || (form.word("ParentCallSid")?.is_some() && direction != Some("inbound")))
}

/// Who calls whom, if the request tells: recording callbacks do not. A trunk may leave out the dialled number; the caller is
/// told all the same.
fn parties(form: &Form, at: Timestamp) -> Result<Option<CallEvent>, Malformed> {
    let either = |names: [&'static str; 2]| -> Result<Option<&str>, Malformed> {
        Ok(form.text(names[0], MAX_PARTY)?.or(form.text(names[1], MAX_PARTY)?))
    };
    let caller = either(["From", "Caller"])?;
    let forwarded_from = form.text("ForwardedFrom", MAX_PARTY)?.map(|number| number.trim().to_owned());
    let dialled = either(["To", "Called"])?;
    if caller.is_none() && dialled.is_none() {
        return Ok(None);
    }
    let fact = Fact::Parties {
        direction: direction(form)?,
        dialled: dialled.unwrap_or("").trim().to_owned(),
        forwarded_from,
        caller: Caller::from_provider(caller.unwrap_or("")),
    };
    Ok(Some(CallEvent { at, fact }))
}

fn direction(form: &Form) -> Result<Direction, Malformed> {
    Ok(direction_of(form.word("Direction")?.unwrap_or("inbound")))
}

pub(super) fn direction_of(word: &str) -> Direction {
    if word.starts_with("outbound") { Direction::Outbound } else { Direction::Inbound }
}

/// What `CallStatus` tells. A caller who hangs up shows in whatever request comes next, so it is read in all of them.
fn progress(form: &Form, at: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
    let talked = form.seconds("CallDuration")?;
    Ok(progress_of(form.word("CallStatus")?.unwrap_or(""), direction(form)?, talked, at))
}

/// `seconds` is the length of the whole call after it was picked up. Only for a call of ours it tells of somebody who
/// answered: an incoming one is always picked up by the provider's machine.
pub(super) fn progress_of(status: &str, direction: Direction, seconds: Option<u32>, at: Timestamp) -> Vec<CallEvent> {
    match status {
        "in-progress" | "answered" => vec![CallEvent { at, fact: Fact::Answered }],
        "completed" => {
            let ended = CallEvent { at, fact: Fact::Ended };
            match (direction, seconds) {
                (Direction::Outbound, Some(seconds @ 1..)) => {
                    let answered_at = from_millisecond(at.as_millisecond() - i64::from(seconds) * 1000);
                    vec![CallEvent { at: answered_at, fact: Fact::Answered }, ended]
                }
                _ => vec![ended],
            }
        }
        "busy" | "failed" | "no-answer" | "canceled" => vec![CallEvent { at, fact: Fact::Ended }],
        _ => Vec::new(),
    }
}

/// What the verb before this step tells.
fn answer_to(step: Step, form: &Form, at: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
    let event = |fact| CallEvent { at, fact };
    Ok(match step {
        Step::Arrived | Step::Fallback | Step::Signal => Vec::new(),
        Step::Dialled(_) => ringing(form)?.map(event).into_iter().collect(),
        Step::MessageOver => {
            let recording = recording(form, recorded(form)?)?.map(event);
            std::iter::once(event(Fact::MessageOver)).chain(recording).collect()
        }
        Step::Keyed(_) => {
            let typed = form.text("Digits", MAX_PARTY)?.unwrap_or("");
            let digits: String = typed.chars().filter(char::is_ascii_digit).take(MAX_DIGITS).collect();
            if digits.is_empty() { Vec::new() } else { vec![event(Fact::Keyed { digits })] }
        }
    })
}

/// How the `Dial` ended. It counts as answered only if caller and officer can have talked: bridged, or at least not
/// told otherwise and of some length. Otherwise the caller gets the offer to record, so that nobody is forgotten.
fn ringing(form: &Form) -> Result<Option<Fact>, Malformed> {
    let talk_seconds = form.seconds("DialCallDuration")?;
    let ringing = match form.word("DialCallStatus")? {
        Some("completed" | "answered") => match (form.word("DialBridged")?, talk_seconds) {
            (Some("false"), _) | (None, Some(0)) => Ringing::NoAnswer,
            _ => Ringing::Answered,
        },
        Some("busy") => Ringing::Busy,
        Some("no-answer") => Ringing::NoAnswer,
        Some("failed") => Ringing::Failed,
        Some("canceled") => Ringing::Cancelled,
        _ => return Ok(None),
    };
    let talk_seconds = talk_seconds.filter(|_| ringing == Ringing::Answered);
    Ok(Some(Fact::Rang { ringing, talk_seconds }))
}

/// The state that `Record`'s own request tells: it comes when the message is over. Length 0 is nothing (SignalWire and
/// Somleng ask all the same); an untold length is taken for a message, which fetching will show.
fn recorded(form: &Form) -> Result<RecordingState, Malformed> {
    Ok(completed(form.seconds("RecordingDuration")?))
}

pub(super) fn completed(length_seconds: Option<u32>) -> RecordingState {
    if length_seconds == Some(0) { RecordingState::Absent } else { RecordingState::Completed }
}

/// A recording's own callback. It happened when the recording began, if that is told.
fn recording_status(form: &Form, received_at: Timestamp) -> Result<Option<CallEvent>, Malformed> {
    let at = told_at(form, "RecordingStartTime", received_at)?.unwrap_or(received_at);
    let state = match form.required("RecordingStatus", MAX_WORD)? {
        "completed" => recorded(form)?,
        "absent" => RecordingState::Absent,
        "failed" => RecordingState::Failed,
        _ => RecordingState::Begun,
    };
    match recording(form, state)? {
        Some(fact) => Ok(Some(CallEvent { at, fact })),
        None => Err(Malformed::Missing("RecordingSid")),
    }
}

/// The recording of a request. Without `RecordingSid` (Somleng, SignalWire) the address ends in it.
fn recording(form: &Form, state: RecordingState) -> Result<Option<Fact>, Malformed> {
    let url = form.text("RecordingUrl", MAX_URL)?;
    let id = match (form.word("RecordingSid")?, url) {
        (Some(id), _) => Some(id),
        (None, Some(url)) => last_segment(url).filter(|id| id.len() <= MAX_WORD),
        (None, None) => None,
    };
    let length_seconds = form.seconds("RecordingDuration")?;
    Ok(id.map(|id| Fact::Recording { id: id.to_owned(), state, url: url.map(str::to_owned), length_seconds }))
}

/// `RE1` of `https://host/…/Recordings/RE1.wav?x=1`.
fn last_segment(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split(['?', '#']).next()?.split_once('/')?;
    let segment = path.rsplit('/').find(|segment| !segment.is_empty())?;
    Some(segment.rsplit_once('.').map_or(segment, |(name, _)| name)).filter(|id| !id.is_empty())
}

/// Only what was signed is read: the query of a GET, the body of everything else.
fn form_of(request: &RawRequest) -> Result<Form<'_>, Malformed> {
    if is_get(&request.method) {
        Form::read(request.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
    } else if is_form(request.header("content-type")) {
        Form::read(&request.body)
    } else {
        Err(Malformed::NotAForm)
    }
}

/// The provider's own time, if it can be true.
fn told_at(form: &Form, field: &'static str, received_at: Timestamp) -> Result<Option<Timestamp>, Malformed> {
    Ok(form.word(field)?.and_then(|text| instant(text, received_at, MAX_AGE_MS)))
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
