//! Asking a provider of the TwiML family how a call stands, for when its webhooks were lost (provider contract, TwiML §9).
//! The answers become the same events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::addresses::may_be_asked;
use super::super::{ApiRequest, Malformed, form};
use super::{Signature, Twiml, parse, path_segment};
use crate::core::call::{CallEvent, CallKey, Fact, RecordingState};
use crate::core::phone::Caller;
use crate::core::written_text::json_error;
use crate::time::Timestamp;

/// How far back the times of an answer are believed, milliseconds: providers forget after about that long.
const MAX_AGE_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// Sources of recordings that are no messages.
const OTHER_SOURCES: [&str; 6] =
    ["DialVerb", "Conference", "OutboundAPI", "Trunking", "StartCallRecordingAPI", "StartConferenceRecordingAPI"];

pub(super) fn call_request(provider: &Twiml, provider_call_id: &str) -> ApiRequest {
    // Of the resources of a call, Telnyx has recordings with the suffix and calls without it.
    let suffix = if provider.settings.signature == Signature::Telnyx { "" } else { ".json" };
    request(provider, "GET", &format!("Calls/{}{suffix}", path_segment(provider_call_id)))
}

pub(super) fn recordings_of_call_request(provider: &Twiml, provider_call_id: &str) -> ApiRequest {
    request(provider, "GET", &format!("Recordings.json?CallSid={}", path_segment(provider_call_id)))
}

pub(super) fn request(provider: &Twiml, method: &'static str, resource: &str) -> ApiRequest {
    let url = format!("{}/{resource}", account_url(provider));
    ApiRequest { method, url, authorization: authorization(provider) }
}

pub(super) fn account_url(provider: &Twiml) -> String {
    let settings = &provider.settings;
    format!("{}/Accounts/{}", settings.api_base, path_segment(&settings.account_sid))
}

/// The `Authorization` header. A public key of Telnyx is never sent as a token.
pub(super) fn authorization(provider: &Twiml) -> Option<String> {
    let settings = &provider.settings;
    let own = provider.api_token.as_ref().map(|token| token.0.as_str());
    match settings.signature {
        Signature::Telnyx => own.map(|token| format!("Bearer {token}")),
        Signature::Twilio | Signature::SignalWire => {
            let token = own.or(settings.auth_tokens.first().map(String::as_str))?;
            Some(format!("Basic {}", STANDARD.encode(format!("{}:{token}", settings.account_sid))))
        }
    }
}

/// Reads one call.
pub(super) fn parse_call(json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
    let call = read(json)?;
    if text(&call, "sid").is_some_and(|sid| sid != key.provider_call_id) {
        return Err(Malformed::Json("it tells of another call".to_owned()));
    }
    call_events(&call, now)
}

/// What the webhooks of a call would have reported, from its resource.
pub(super) fn call_events(call: &Value, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
    let status = text(call, "status").ok_or(Malformed::Missing("status"))?;
    let direction = parse::direction_of(text(call, "direction").unwrap_or("inbound"));
    // A call that is going on was picked up at its start, one that is over ended at its end.
    let is_going_on = form::bare(status) == "inprogress";
    let heard_at = if is_going_on { now } else { time(call, "end_time", now).unwrap_or(now) };
    let started_at = started_at(call, now).unwrap_or_else(|| parse::before(heard_at, seconds(call)));
    let mut events = Vec::new();
    if let Some(dialled) = text(call, "to") {
        let fact = Fact::Parties {
            direction,
            dialled: dialled.to_owned(),
            forwarded_from: text(call, "forwarded_from").map(str::to_owned),
            caller: Caller::from_provider(text(call, "from").unwrap_or("")),
        };
        events.push(CallEvent { at: started_at, fact });
    }
    let at = if is_going_on { started_at } else { heard_at };
    events.extend(parse::progress_of(status, direction, seconds(call), at));
    Ok(events)
}

pub(super) fn started_at(call: &Value, now: Timestamp) -> Option<Timestamp> {
    time(call, "start_time", now).or_else(|| time(call, "date_created", now))
}

/// Reads a list of recordings, or one.
pub(super) fn parse_recordings(json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
    let answer = read(json)?;
    let recordings = match &answer["recordings"] {
        Value::Array(recordings) => recordings.as_slice(),
        _ if text(&answer, "sid").is_some() => std::slice::from_ref(&answer),
        _ => return Err(Malformed::Missing("recordings")),
    };
    let of_this_call = |recording: &&Value| {
        call_id(recording, "call_sid").is_none_or(|sid| sid == key.provider_call_id) && is_message(recording)
    };
    Ok(recordings.iter().filter(of_this_call).filter_map(|recording| read_recording(recording, now)).collect())
}

/// Whether a caller left it, and not that a whole call was recorded.
pub(super) fn is_message(recording: &Value) -> bool {
    text(recording, "source").is_none_or(|source| !OTHER_SOURCES.iter().any(|other| source.eq_ignore_ascii_case(other)))
}

pub(super) fn read_recording(recording: &Value, now: Timestamp) -> Option<CallEvent> {
    let length_seconds = seconds(recording);
    let state = match form::bare(text(recording, "status")?).as_str() {
        "completed" => parse::completed(length_seconds),
        "absent" => RecordingState::Absent,
        // Deleted by somebody: of one that we hold the furthest state stays, one that we do not hold is lost.
        "failed" | "deleted" => RecordingState::Failed,
        _ => RecordingState::Begun,
    };
    let id = text(recording, "sid")?.to_owned();
    // Twilio's own example has it without encryption; such an address is never asked, and ours is as good.
    let url = text(recording, "media_url").filter(|url| may_be_asked(url)).map(str::to_owned);
    let at = started_at(recording, now).unwrap_or(now);
    Some(CallEvent { at, fact: Fact::Recording { id, state, url, length_seconds } })
}

pub(super) fn read(json: &[u8]) -> Result<Value, Malformed> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Ok(Value::Object(object)),
        Ok(_) => Err(Malformed::Json("it is no object".to_owned())),
        Err(error) => Err(Malformed::Json(json_error(&error))),
    }
}

/// A text that is not blank, not absurdly long and without control characters, which a database may refuse.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    let text = value[field].as_str()?.trim();
    (!text.is_empty() && text.len() <= 4000 && !text.contains(char::is_control)).then_some(text)
}

/// The id of a call, as webhooks about the same call are kept under.
pub(super) fn call_id(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(str::trim).filter(|id| !id.is_empty()).map(form::usable_id)
}

/// Seconds come as text from some and as a number from others.
pub(super) fn seconds(value: &Value) -> Option<u32> {
    match &value["duration"] {
        Value::Number(number) => number.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u32),
        Value::String(text) => form::whole_seconds(text),
        _ => None,
    }
}

pub(super) fn time(value: &Value, field: &str, now: Timestamp) -> Option<Timestamp> {
    parse::instant(text(value, field)?, now, MAX_AGE_MS)
}

#[cfg(test)]
mod tests;
