//! What can be listened to of one version: as it was uploaded, as it is kept, and as it arrives at a caller's ear.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::core::officer::Role;
use crate::recordings::prompt::LONGEST_UPLOAD_MS;
use crate::recordings::{PhoneSound, ReadError, RecordingName};
use crate::web::Error;
use crate::web::api::audio::{Asking, asked_range, sizes};
use crate::web::pages::refused::{Failure, PageError};
use crate::web::pages::{Seen, Visitor};
use crate::web::work_queue::{WorkError, WorkQueue};

/// `heard`, `original` or `line`: whole, or the range that a player asks for.
pub(super) async fn listen(
    Seen(house): Seen,
    visitor: Visitor,
    Path((id, what)): Path<(String, String)>,
    request: Parts,
) -> Result<Response, PageError> {
    visitor.at_least(Role::Senior)?;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let prompt = house.store.prompt(id).await?.ok_or(Error::NotFound)?;
    let (name, content_type) = match what.as_str() {
        "heard" | "line" => (RecordingName::of_prompt(&prompt.name), "audio/wav"),
        "original" => (prompt.original_name.parse(), prompt.original_type.as_str()),
        _ => return Err(Error::NotFound.into()),
    };
    let name = name.map_err(|_| Error::SoundMissing)?;
    let bytes = match house.folder.read(&name).await {
        Ok(bytes) => bytes,
        Err(ReadError::Io { source, .. }) => return Ok(Failure::ours(&source.to_string()).into_response()),
        // Greetings are kept plain.
        Err(ReadError::Locked { error, .. }) => return Ok(Failure::ours(&error.to_string()).into_response()),
        Err(ReadError::Missing(_)) => return Err(Error::SoundMissing.into()),
    };
    let bytes = match what.as_str() {
        "line" => through_the_line(bytes).await?,
        _ => bytes,
    };
    let etag = format!("\"{}-{what}\"", prompt.name);
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, content_type.parse().unwrap_or(HeaderValue::from_static("application/octet-stream"))),
        (ETAG, etag.parse().unwrap_or(HeaderValue::from_static("\"\""))),
        (CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600")),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ]);
    let size = bytes.len() as u64;
    let (status, start, length) = match asked_range(&request.headers, &headers[ETAG], size) {
        Asking::Whole => (StatusCode::OK, 0, size),
        Asking::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Asking::Beyond => return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response()),
    };
    let part = bytes::Bytes::from(bytes).slice(start as usize..(start + length) as usize);
    Ok((status, headers, sizes(status, start, length, size), part).into_response())
}

/// Two at once; the sixth that waits is asked to come again.
async fn through_the_line(bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    static LISTENING: LazyLock<WorkQueue<()>> = LazyLock::new(|| WorkQueue::new(2, 5));
    let work = move || PhoneSound::read(&bytes, LONGEST_UPLOAD_MS).ok().map(|sound| sound.through_the_line().wav());
    match LISTENING.run((), work).await {
        Ok(sound) => sound.ok_or(Error::SoundMissing),
        Err(WorkError::QueueFull) => Err(Error::SlowDown(1)),
        Err(WorkError::Panicked(_)) => Err(Error::SoundMissing),
    }
}
