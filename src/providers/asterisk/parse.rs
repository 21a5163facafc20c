//! What the exchange tells of a call (provider contract, Asterisk, style webhook).

use bytes::Bytes;
use futures_util::{FutureExt, stream};

use super::super::form::{Form, bare, id_of_nameless_call, is_form};
use super::super::{Malformed, Parsed, RawRequest, Sound};
use super::{Endpoint, RECORDING, Settings};
use crate::core::call::{CallEvent, CallKey, Direction, Fact, MAX_CALL_MS, MAX_REPORT_AGE_MS, RecordingState, Ringing};
use crate::core::phone::Caller;
use crate::core::script::Step;
use crate::core::written_text::before_quotes;
use crate::time::{Timestamp, from_millisecond};

/// Numbers and SIP addresses, bytes.
const MAX_PARTY: usize = 500;
/// Digits kept of what was typed: a number has at most 15.
const MAX_DIGITS: usize = 20;
/// The question where a call goes is asked as it comes in. What is older was asked by a clock that is slow.
const ASKED_WITHIN_MS: i64 = 60_000;
/// Parts of the end of a call: the fields and the sound.
const MOST_PARTS: usize = 4;
/// The header of the exchange's WAV files, bytes; a caller who sent nothing leaves no more.
const HEADER_BYTES: usize = 44;
/// Our dialplan's word for a call in whose middle the exchange itself went down: how far it had come is not known.
const CRASHED: &str = "CRASH";
/// PCM, 16 bit, 8000 Hz, mono: bytes in a millisecond.
const BYTES_PER_MS: usize = 16;

/// How the clock of the exchange stands to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clocks {
    /// Both show the time of the world.
    Alike,
    /// Ours shows the time of a rehearsal: all that the exchange's times tell is how long a call lasted.
    Apart,
}

/// Reads a request that has been verified.
pub(super) fn parse(
    settings: &Settings,
    clocks: Clocks,
    request: &RawRequest,
    received_at: Timestamp,
) -> Result<Parsed, Malformed> {
    let endpoint = Endpoint::read(&request.endpoint)?;
    let is_asked = endpoint == Endpoint::Incoming;
    let (told, sound) = match is_form(request.header("content-type")) {
        true => (request.body.clone(), None),
        false => match parts(request) {
            // Who waits is told where he goes, whatever the exchange sent.
            Err(_) if is_asked => (request.body.clone(), None),
            parts => parts?,
        },
    };
    let form = Form::read(&told);
    let oddity = form.call_id("id").err().or_else(|| form.oddity());
    let is_derived = form.any_call_id("id").is_none();
    let tells_of_a_call = sound.is_some() || ["line", "from"].iter().any(|field| form.text(field, MAX_PARTY).is_some());
    if is_derived && !is_asked && !tells_of_a_call {
        return Err(Malformed::Missing("id"));
    }
    let key = key(settings, endpoint, &form, (&told, sound.as_ref()), received_at);
    let (mut events, step) = match endpoint {
        Endpoint::Incoming => (incoming(&form, clocks, received_at), Some(Step::Arrived)),
        Endpoint::Ended => (ended(&form, sound.as_ref(), clocks, received_at), None),
    };
    if is_derived {
        // Nothing more will be told of it that could be known to be of this call.
        events.push(CallEvent { at: received_at, fact: Fact::Ended });
    }
    let has_sound = events.iter().any(|event| is_message(&event.fact));
    let rest = || match is_derived {
        true => with_id(&told, &key.provider_call_id),
        false => told.clone(),
    };
    let sound = sound.filter(|_| has_sound).map(|bytes| Sound { recording_id: RECORDING, bytes, rest: rest() });
    Ok(Parsed { key: Some(key), events, step, sound, oddity })
}

/// A call without an id is named by what is told of it, its sound included. Nobody is refused for that: the end may bring a
/// message. The exchange repeats it for months, so its name does not depend on when it comes, if its fields say when the call
/// was or its sound tells it from others. The fields alone may be those of two callers who withhold their numbers.
fn key(
    settings: &Settings,
    endpoint: Endpoint,
    form: &Form,
    (told, sound): (&[u8], Option<&Bytes>),
    received_at: Timestamp,
) -> CallKey {
    let sound = sound.filter(|sound| !is_empty(sound));
    let says_when = ["started", "ended"].into_iter().any(|field| told_at(form, field).is_some());
    let named_at = match endpoint {
        Endpoint::Ended if says_when || sound.is_some() => Timestamp::UNIX_EPOCH,
        Endpoint::Ended | Endpoint::Incoming => received_at,
    };
    let derived = || id_of_nameless_call(&[told, sound.map_or(&[][..], |sound| sound)].concat(), named_at);
    CallKey { provider: settings.name.clone(), provider_call_id: form.any_call_id("id").unwrap_or_else(derived) }
}

/// The fields of a call without an id, with the one we have given it: the inbox keeps no sound to make it of again.
fn with_id(told: &[u8], id: &str) -> Bytes {
    [told, b"&id=", id.as_bytes()].concat().into()
}

/// Reads a request whose sound was taken out of it before it was kept. The length of that sound is not known any more, so the
/// message began at the end of its call.
pub(super) fn parse_kept(
    settings: &Settings,
    clocks: Clocks,
    request: &RawRequest,
    received_at: Timestamp,
) -> Result<Parsed, Malformed> {
    let had_sound = !is_form(request.header("content-type")) && !request.body.starts_with(b"--");
    let endpoint = Endpoint::read(&request.endpoint)?;
    if !had_sound || endpoint != Endpoint::Ended {
        return parse(settings, clocks, request, received_at);
    }
    let form = Form::read(&request.body);
    let key = key(settings, endpoint, &form, (&request.body, None), received_at);
    let some_sound = Bytes::from_static(b"some sound");
    let events = ended(&form, Some(&some_sound), clocks, received_at);
    Ok(Parsed { key: Some(key), events, step: None, sound: None, oddity: form.oddity() })
}

fn is_message(fact: &Fact) -> bool {
    matches!(fact, Fact::Recording { state: RecordingState::Completed, .. })
}

/// The fields, and the sound if there is any.
fn parts(request: &RawRequest) -> Result<(Bytes, Option<Bytes>), Malformed> {
    let boundary = multer::parse_boundary(request.header("content-type").unwrap_or("")).map_err(unreadable)?;
    let whole = stream::iter([Ok::<_, multer::Error>(request.body.clone())]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let (mut told, mut sound) = (None, None);
    for _ in 0..MOST_PARTS {
        let Some(part) = at_once(parts.next_field())? else { break };
        match part.name() {
            Some("call") => told = Some(at_once(part.bytes())?),
            Some("audio") => sound = Some(at_once(part.bytes())?),
            _ => {}
        }
    }
    Ok((told.ok_or(Malformed::Missing("call"))?, sound))
}

/// The body is in memory, so nothing of it has ever to be waited for.
fn at_once<T>(reading: impl Future<Output = multer::Result<T>>) -> Result<T, Malformed> {
    reading.now_or_never().unwrap_or(Err(multer::Error::IncompleteStream)).map_err(unreadable)
}

fn unreadable(error: multer::Error) -> Malformed {
    Malformed::NotMultipart(before_quotes(&error.to_string()))
}

fn incoming(form: &Form, clocks: Clocks, received_at: Timestamp) -> Vec<CallEvent> {
    let started = told_at(form, "started");
    let at = started.filter(|at| clocks.believe(*at, received_at, ASKED_WITHIN_MS)).unwrap_or(received_at);
    vec![parties(form, at)]
}

/// A call that the exchange placed for us has `to`, the number it dialled.
fn parties(form: &Form, at: Timestamp) -> CallEvent {
    let line = form.text("line", MAX_PARTY).unwrap_or("").trim().to_owned();
    let fact = match form.word("to") {
        Some(to) => Fact::Parties {
            direction: Direction::Outbound,
            dialled: to.trim().to_owned(),
            forwarded_from: None,
            caller: Caller::from_provider(&line),
        },
        None => {
            let mut callers = form.values("from", MAX_PARTY).map(Caller::from_provider);
            let first = callers.next().unwrap_or_else(|| Caller::from_provider(""));
            let caller = if first.number.is_some() { None } else { callers.find(|caller| caller.number.is_some()) };
            Fact::Parties {
                direction: Direction::Inbound,
                dialled: line,
                forwarded_from: form.text("diversion", MAX_PARTY).map(|diversion| diversion.trim().to_owned()),
                caller: caller.unwrap_or(first),
            }
        }
    };
    CallEvent { at, fact }
}

fn ended(form: &Form, sound: Option<&Bytes>, clocks: Clocks, received_at: Timestamp) -> Vec<CallEvent> {
    let talk_seconds = form.seconds("talk").filter(|seconds| *seconds > 0);
    let sound = sound.filter(|sound| !is_empty(sound));
    let length_ms = sound.map_or(0, |sound| (sound.len().saturating_sub(HEADER_BYTES) / BYTES_PER_MS) as i64);
    let at_least_ms = length_ms.max(talk_seconds.map_or(0, |seconds| i64::from(seconds) * 1000));
    let (started_at, ended_at) = times(form, clocks, received_at, at_least_ms);
    let at_end = |fact| CallEvent { at: ended_at, fact };
    let mut events = vec![parties(form, started_at), at_end(Fact::Ended)];
    if let Some(ringing) = form.word("dial").map(|word| ringing(word, talk_seconds)) {
        let talked = talk_seconds.filter(|_| ringing == Ringing::Answered);
        if let Some(seconds) = talked {
            events.push(CallEvent { at: before(ended_at, i64::from(seconds) * 1000), fact: Fact::Answered });
        }
        events.push(at_end(Fact::Rang { ringing, talk_seconds: talked }));
    }
    let digits: String =
        form.word("callback").unwrap_or("").chars().filter(char::is_ascii_digit).take(MAX_DIGITS).collect();
    if !digits.is_empty() {
        events.push(at_end(Fact::Keyed { digits }));
    }
    let came_to_the_signal = form.word("record").is_some_and(|how| !how.trim().eq_ignore_ascii_case(CRASHED));
    if came_to_the_signal {
        events.push(at_end(Fact::MessageOver));
    }
    if sound.is_some() || came_to_the_signal {
        events.push(CallEvent {
            at: before(ended_at, length_ms).max(started_at),
            fact: Fact::Recording {
                id: RECORDING.to_owned(),
                state: if sound.is_some() { RecordingState::Completed } else { RecordingState::Absent },
                url: None,
                // Of a file that came whole the sound itself tells.
                length_seconds: None,
            },
        });
    }
    events
}

/// Nothing but the header. A file whose header says zero and that goes on behind it is a message: the exchange crashed.
fn is_empty(sound: &[u8]) -> bool {
    sound.is_empty() || sound.starts_with(b"RIFF") && sound.len() <= HEADER_BYTES
}

/// When the call began and ended. An exchange whose clock is ahead, or years behind, is believed for how long the call
/// lasted; then it has ended now. One that does not say when the call began tells by talk and message that it was at least
/// so long before.
fn times(form: &Form, clocks: Clocks, received_at: Timestamp, at_least_ms: i64) -> (Timestamp, Timestamp) {
    let (started, ended) = (told_at(form, "started"), told_at(form, "ended"));
    let ended_at = ended.filter(|at| clocks.believe(*at, received_at, MAX_REPORT_AGE_MS)).unwrap_or(received_at);
    let lasted_ms = match (started, ended) {
        (Some(started), Some(ended)) => ended.as_millisecond() - started.as_millisecond(),
        (Some(started), None) => ended_at.as_millisecond() - started.as_millisecond(),
        (None, _) => at_least_ms,
    };
    (before(ended_at, lasted_ms.clamp(0, MAX_CALL_MS)), ended_at)
}

/// Unix seconds. Nonsense is as good as missing.
fn told_at(form: &Form, field: &'static str) -> Option<Timestamp> {
    let seconds = form.word(field).and_then(|text| text.trim().parse().ok());
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok())
}

impl Clocks {
    /// Not in the future, and not longer ago than this.
    fn believe(self, at: Timestamp, now: Timestamp, max_age_ms: i64) -> bool {
        self == Self::Alike && (0..=max_age_ms).contains(&(now.as_millisecond() - at.as_millisecond()))
    }
}

fn before(at: Timestamp, ms: i64) -> Timestamp {
    from_millisecond(at.as_millisecond() - ms)
}

/// How ringing the officer, or whom the officer calls, ended. Without a second of talk nobody has talked.
fn ringing(word: &str, talk_seconds: Option<u32>) -> Ringing {
    match bare(word).as_str() {
        "answer" | "answered" if talk_seconds.is_some() => Ringing::Answered,
        "answer" | "answered" | "noanswer" => Ringing::NoAnswer,
        "busy" => Ringing::Busy,
        "cancel" | "canceled" | "cancelled" => Ringing::Cancelled,
        _ => Ringing::Failed,
    }
}

#[cfg(test)]
mod tests;
