//! The sound of a message, whole or in parts. Whoever listens is written down first.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tracing::error;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Acting, Asked, Id, given};
use super::problem::Problem;
use super::refusals::Listening;
use crate::recordings::{ReadError, RecordingName};
use crate::store::{AuditEntry, Person, StoreError, StoredSound, Voicemail, VoicemailState};
use crate::time::SignedDuration;
use crate::web::auth::Seen;
use crate::web::{Error, House, auth};

/// A player fetches one sound in many parts, and who drags its handle in many more: within this time they are one
/// listening.
const ONE_LISTENING: SignedDuration = SignedDuration::from_mins(10);
/// The word for it in the audit.
const LISTEN: &str = "listen";
/// And for taking the file along.
const DOWNLOAD: &str = "download";
/// And for asking for a message of a line that is not one's own.
const OTHER_LINE: &str = "listen_refused";
/// The kind of the problem for want of a key.
const LOCKED: &str = "urn:perezvon:voicemail-locked";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SoundParams {
    /// `1`: to be saved as a file.
    download: Option<String>,
}

/// The bytes of a sound file, as they came from the provider.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct SoundFile(#[expect(dead_code, reason = "only described")] Vec<u8>);

/// The sound of a message.
///
/// One range of bytes is understood, suffixes too; several at once, or what is no range, give the whole. Whoever gets
/// bytes, from wherever in the sound, leaves a row in the audit, one in ten minutes for each message.
#[utoipa::path(
    get, path = "/v1/voicemails/{id}/audio", tag = "calls", operation_id = "listen",
    params(
        ("id" = String, Path, description = "Id of the voicemail"),
        ("Range" = Option<String>, Header, description = "For example `bytes=0-99`"),
        SoundParams
    ),
    responses(
        (status = 200, description = "All of it", body = SoundFile, content_type = "audio/*"),
        (status = 206, description = "The range that was asked for", body = SoundFile, content_type = "audio/*"),
        (status = 304, description = "The ETag in If-None-Match is the present one"),
        Listening
    )
)]
pub async fn listen(
    Seen(house): Seen,
    Acting(person): Acting,
    Id(id): Id,
    Asked(params): Asked<SoundParams>,
    request: Parts,
) -> Result<Response, Problem> {
    let voicemail = match house.store.voicemail(id).await {
        Err(StoreError::OtherLine) => {
            write_down(&house, person, OTHER_LINE, &request, id, 0).await?;
            return Err(Error::OtherLine.into());
        }
        found => found?.ok_or(Error::NotFound)?,
    };
    let sound = stored(&voicemail)?;
    let name: RecordingName = sound.name.parse().map_err(|_| missing(id, "its name is not one of ours"))?;
    let recording = house.folder.open_recording(&name).await.map_err(|failed| unreadable(id, &failed))?;
    let size = recording.size_bytes();
    let headers = described(id, sound, given(&params.download) == Some("1"));
    if is_known(&request.headers, &headers[ETAG]) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let (status, start, length) = match asked_range(&request.headers, &headers[ETAG], size) {
        Asking::Whole => (StatusCode::OK, 0, size),
        Asking::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Asking::Beyond => return Err(beyond(size)),
    };
    if request.method == Method::HEAD {
        return Ok((status, headers, sizes(status, start, length, size)).into_response());
    }
    let action = if given(&params.download) == Some("1") { DOWNLOAD } else { LISTEN };
    write_down(&house, person, action, &request, id, length).await?;
    let body = Body::from_stream(recording.part(start, length));
    Ok((status, headers, sizes(status, start, length, size), body).into_response())
}

/// The sound, or where it is instead.
fn stored(voicemail: &Voicemail) -> Result<&StoredSound, Problem> {
    let (kind, detail) = match (voicemail.state, &voicemail.sound) {
        (VoicemailState::Stored, Some(sound)) => return Ok(sound),
        (VoicemailState::Stored, None) => return Err(missing(voicemail.id, "its row names no file")),
        (VoicemailState::Pending, _) => (
            "urn:perezvon:voicemail-pending",
            "the sound is still with the provider and will be fetched; ask again later",
        ),
        (VoicemailState::Failed, _) => {
            ("urn:perezvon:voicemail-failed", "the sound could not be had from the provider; the voicemail says why")
        }
        (VoicemailState::Erased, _) => {
            ("urn:perezvon:voicemail-erased", "the sound has been erased after its term or on demand")
        }
    };
    Err(Problem::new(StatusCode::NOT_FOUND, kind, "No sound here", detail))
}

fn described(id: i64, sound: &StoredSound, download: bool) -> HeaderMap {
    let sum: String = sound.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, text: &str, otherwise: &'static str| {
        headers.insert(name, text.parse().unwrap_or(HeaderValue::from_static(otherwise)));
    };
    put(CONTENT_TYPE, &sound.content_type, "application/octet-stream");
    put(ETAG, &format!("\"{sum}\""), "\"\"");
    put(CACHE_CONTROL, "private, no-store", "private, no-store");
    put(X_CONTENT_TYPE_OPTIONS, "nosniff", "nosniff");
    put(ACCEPT_RANGES, "bytes", "bytes");
    if download {
        let extension = sound.name.rsplit('.').next().unwrap_or("wav");
        put(CONTENT_DISPOSITION, &format!("attachment; filename=\"voicemail-{id}.{extension}\""), "attachment");
    }
    headers
}

pub(in crate::web) fn sizes(status: StatusCode, start: u64, length: u64, size: u64) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_LENGTH, length.into())]);
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = format!("bytes {start}-{}/{size}", start + length - 1).parse()
    {
        headers.insert(CONTENT_RANGE, range);
    }
    headers
}

/// Whether the listener has this very sound already.
pub(in crate::web) fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = asked.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or("");
    known.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag.as_bytes() == etag)
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) enum Asking {
    Whole,
    Part {
        start: u64,
        /// At least 1.
        length: u64,
    },
    Beyond,
}

/// RFC 9110 §14: what cannot be understood is as if it were not there.
pub(in crate::web) fn asked_range(asked: &HeaderMap, etag: &HeaderValue, size: u64) -> Asking {
    let is_same = asked.get(IF_RANGE).is_none_or(|known| known == etag);
    let range = asked.get(RANGE).filter(|_| is_same).and_then(|range| range.to_str().ok());
    range.and_then(|range| read_range(range, size)).unwrap_or(Asking::Whole)
}

fn read_range(range: &str, size: u64) -> Option<Asking> {
    let (unit, set) = range.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a number of bytes can have lie behind every end.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (start, end) = match (first, last) {
        ("", last) => (size - number(last)?.min(size), size),
        (first, "") => (number(first)?, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(size))
        }
    };
    Some(if start < end { Asking::Part { start, length: end - start } } else { Asking::Beyond })
}

fn beyond(size: u64) -> Problem {
    let detail = format!("the sound has {size} bytes");
    let range = HeaderValue::try_from(format!("bytes */{size}")).unwrap_or(HeaderValue::from_static("bytes */*"));
    Problem::plain(StatusCode::RANGE_NOT_SATISFIABLE, detail).with_header(CONTENT_RANGE, range)
}

/// R16: no listening without a row. If it cannot be written, nothing is heard.
async fn write_down(
    house: &House,
    by: Person,
    action: &'static str,
    request: &Parts,
    id: i64,
    length: u64,
) -> Result<(), Error> {
    let (now, object) = (house.clock.now(), format!("voicemail {id}"));
    let since = now.checked_sub(ONE_LISTENING).unwrap_or(now);
    if house.store.audited_since(&by.actor, action, &object, since).await? {
        return Ok(());
    }
    let address = auth::address(&request.extensions, &request.headers);
    let entry =
        AuditEntry { by: by.actor, action, object, detail: format!("{length} bytes"), address: address.to_string() };
    Ok(house.store.audit(entry, now).await?)
}

fn unreadable(id: i64, failed: &ReadError) -> Problem {
    match failed {
        ReadError::Missing(_) => missing(id, failed),
        ReadError::Locked { error, .. } => {
            error!(voicemail.id = id, error = %error, "The sound of voicemail {id} cannot be decrypted: {error}");
            let detail =
                "the sound is encrypted, and the key that opens it is not there; it plays again once the key is back";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, LOCKED, "The sound is locked", detail)
        }
        ReadError::Io { source, .. } => {
            error!(voicemail.id = id, error = %source, "The sound of voicemail {id} cannot be read: {source}");
            Problem::plain(StatusCode::SERVICE_UNAVAILABLE, "the disk with the recordings cannot be read")
        }
    }
}

fn missing(id: i64, reason: impl std::fmt::Display) -> Problem {
    error!(voicemail.id = id, error = %reason, "The sound of voicemail {id} is missing: {reason}");
    Error::SoundMissing.into()
}
