//! The lists of calls and recordings of the TwiML family, page by page (provider contract, TwiML §9). The lists are the
//! account's: what concerns our lines is for the reader to say, since a call may be known by the number it was forwarded
//! from alone.

use serde_json::Value;
use url::{Url, form_urlencoded};

use super::super::{
    ApiRequest, ForbiddenUrl, List, ListedCall, ListedKind, ListedNumber, ListedRecording, Malformed, NoListing, Page,
};
use super::{Signature, Twiml, recordings, rest};
use crate::core::call::{CallEvent, Fact, RecordingState, Ringing};
use crate::core::phone::PhoneNumber;
use crate::time::{SignedDuration, Timestamp};

/// Entries asked for in one page. A call has about 1.5 kB, so that a page stays far below what is read of an answer.
const PAGE_SIZE: &str = "100";

pub(super) fn availability(provider: &Twiml) -> Result<(), NoListing> {
    if recordings::is_somleng(&provider.settings.api_base) {
        return Err(NoListing::NotOffered);
    }
    rest::authorization(provider).map(drop).ok_or(NoListing::NoKey)
}

/// SignalWire and Telnyx filter by whole days. Telnyx spells its bound of calls in its own way, and leaves that day out.
pub(super) fn list_request(provider: &Twiml, list: List, since: Timestamp) -> ApiRequest {
    let signature = provider.settings.signature;
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let (resource, bound) = match (list, signature) {
        (List::Calls, Signature::Telnyx) => ("Calls", "StartTime_gt"),
        (List::Calls, _) => ("Calls.json", "StartTime>"),
        (List::Recordings, _) => ("Recordings.json", "DateCreated>"),
    };
    let since = match signature {
        Signature::Twilio => since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Signature::SignalWire => day(since),
        Signature::Telnyx => day(since.checked_sub(SignedDuration::from_hours(24)).unwrap_or(since)),
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(bound, &since)
        .append_pair("PageSize", PAGE_SIZE)
        .finish();
    rest::request(provider, "GET", &format!("{resource}?{query}"))
}

/// Telnyx may pass the filter over; whoever reads the page sees whose legs it lists.
pub(super) fn legs_request(provider: &Twiml, provider_call_id: &str) -> ApiRequest {
    let resource = if provider.settings.signature == Signature::Telnyx { "Calls" } else { "Calls.json" };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("ParentCallSid", provider_call_id)
        .append_pair("PageSize", PAGE_SIZE)
        .finish();
    rest::request(provider, "GET", &format!("{resource}?{query}"))
}

pub(super) fn page_request(provider: &Twiml, address: &str) -> Result<ApiRequest, ForbiddenUrl> {
    let url = Url::parse(address).map_err(|_| ForbiddenUrl::Unreadable)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ForbiddenUrl::WithCredentials);
    }
    let configured = Url::parse(&provider.settings.api_base).map_err(|_| ForbiddenUrl::Unreadable)?;
    if url.origin() != configured.origin() {
        let host = url.host_str().unwrap_or("").chars().take(100).collect();
        return Err(ForbiddenUrl::UnlistedHost(host));
    }
    Ok(ApiRequest { method: "GET", url: url.into(), authorization: rest::authorization(provider) })
}

pub(super) fn parse_call_page(provider: &Twiml, json: &[u8], now: Timestamp) -> Result<Page<ListedCall>, Malformed> {
    parse_page(provider, json, "calls", |entry| read_call(entry, now))
}

/// Only messages that are ready: what is still being processed is ready at a later look, and what was deleted is gone.
pub(super) fn parse_recording_page(
    provider: &Twiml,
    json: &[u8],
    now: Timestamp,
) -> Result<Page<ListedRecording>, Malformed> {
    parse_page(provider, json, "recordings", |entry| read_recording(entry, now))
}

/// Of Twilio and SignalWire: Telnyx keeps its addresses with an application, not with the number.
pub(super) fn numbers_request(provider: &Twiml) -> Option<ApiRequest> {
    let has_addresses = provider.settings.signature != Signature::Telnyx;
    has_addresses.then(|| rest::request(provider, "GET", &format!("IncomingPhoneNumbers.json?PageSize={PAGE_SIZE}")))
}

pub(super) fn parse_numbers(provider: &Twiml, json: &[u8]) -> Result<Vec<ListedNumber>, Malformed> {
    let read = |entry: &Value| {
        let number = PhoneNumber::parse(rest::text(entry, "phone_number")?).ok()?;
        let text = |field| rest::text(entry, field).map(str::to_owned);
        let answered_by = text("voice_application_sid").or_else(|| text("trunk_sid"));
        Some(ListedNumber { number, voice_url: text("voice_url"), answered_by })
    };
    Ok(parse_page(provider, json, "incoming_phone_numbers", read)?.entries)
}

/// An entry that cannot be read is passed over: one odd call must not hide all others.
fn parse_page<T>(
    provider: &Twiml,
    json: &[u8],
    field: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Page<T>, Malformed> {
    let answer = rest::read(json)?;
    let Value::Array(entries) = &answer[field] else { return Err(Malformed::Missing(field)) };
    let next = match rest::text(&answer, "next_page_uri") {
        Some(next) => {
            let base = Url::parse(&provider.settings.api_base).ok();
            let next = base.and_then(|base| base.join(next).ok());
            Some(next.ok_or(Malformed::Json("next_page_uri is no address".to_owned()))?.into())
        }
        None => None,
    };
    Ok(Page { entries: entries.iter().filter_map(read).collect(), next })
}

fn read_call(entry: &Value, now: Timestamp) -> Option<ListedCall> {
    let mut events = rest::call_events(entry, now).ok()?;
    let ended_at = rest::time(entry, "end_time", now);
    let reports_end = events.iter().any(|event| event.fact == Fact::Ended);
    if let (false, Some(at)) = (reports_end, ended_at) {
        events.push(CallEvent { at, fact: Fact::Ended });
    }
    Some(ListedCall {
        provider_call_id: rest::call_id(entry, "sid")?,
        kind: kind_of(entry, now),
        dialled: rest::text(entry, "to").unwrap_or("").to_owned(),
        forwarded_from: rest::text(entry, "forwarded_from").map(str::to_owned),
        started_at: rest::started_at(entry, now),
        is_over: reports_end || ended_at.is_some(),
        events,
        json: serde_json::to_vec(entry).ok()?,
    })
}

fn kind_of(entry: &Value, now: Timestamp) -> ListedKind {
    let direction = rest::text(entry, "direction").unwrap_or("inbound");
    let parent = rest::call_id(entry, "parent_call_sid");
    let is_inbound = direction.starts_with("inbound");
    if direction == "outbound-dial" || (parent.is_some() && !is_inbound) {
        return ListedKind::Leg { parent_call_id: parent, ringing: ringing_of(entry, now) };
    }
    if is_inbound { ListedKind::Inbound } else { ListedKind::Outbound }
}

/// How ringing an officer ended. As in the dialogue, an answer counts only if the two can have talked.
fn ringing_of(entry: &Value, now: Timestamp) -> Option<CallEvent> {
    let talk_seconds = rest::seconds(entry);
    let ringing = match rest::text(entry, "status")? {
        "completed" if talk_seconds != Some(0) => Ringing::Answered,
        "completed" | "no-answer" => Ringing::NoAnswer,
        "busy" => Ringing::Busy,
        "failed" => Ringing::Failed,
        "canceled" => Ringing::Cancelled,
        _ => return None,
    };
    let talk_seconds = talk_seconds.filter(|_| ringing == Ringing::Answered);
    let at = rest::time(entry, "end_time", now).or_else(|| rest::started_at(entry, now))?;
    Some(CallEvent { at, fact: Fact::Rang { ringing, talk_seconds } })
}

fn read_recording(entry: &Value, now: Timestamp) -> Option<ListedRecording> {
    let event = rest::read_recording(entry, now).filter(|_| rest::is_message(entry))?;
    let Fact::Recording { id, state: RecordingState::Completed, .. } = &event.fact else { return None };
    Some(ListedRecording {
        provider_call_id: rest::call_id(entry, "call_sid")?,
        recording_id: id.clone(),
        created_at: rest::started_at(entry, now),
        json: serde_json::to_vec(entry).ok()?,
        event,
    })
}

#[cfg(test)]
mod tests;
