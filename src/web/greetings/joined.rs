//! `/greetings/{number}/{reason}.wav`: what a caller of this number hears at this moment, before the signal, on an exchange
//! that plays it by itself. The school's own recording and the date of the callback, in one file.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tracing::{error, warn};

use super::{AT_ONCE, House, busy, not_here, tell_of_the_loss};
use crate::core::announcement::{self, Piece, Reason};
use crate::core::line::Line;
use crate::recordings::{Joined, NotJoined};
use crate::time::Timestamp;
use crate::web::api::audio::is_known;

/// A caller listens to nothing meanwhile. Afterwards the exchange plays what it has itself.
const JOINED_WITHIN: Duration = Duration::from_secs(2);

/// `number` is any spelling of a line's number or alias; any other text is the line of unknown numbers (R18).
pub(super) async fn greeting(
    State(house): State<House>,
    Path((number, file)): Path<(String, String)>,
    asked: HeaderMap,
) -> Response {
    let now = house.clock.now();
    let Some(reason) = file.strip_suffix(".wav").and_then(|reason| reason.parse().ok()) else { return not_here() };
    let Ok(_turn) = AT_ONCE.try_acquire() else { return busy() };
    let lines = house.lines();
    let line = lines.of_call(&number, None);
    match tokio::time::timeout(JOINED_WITHIN, joined(&house, line, reason, now)).await {
        Ok(Some(joined)) => answer(joined, &asked),
        Ok(None) => not_here(),
        Err(_) => {
            error!(line = %line.id, "A greeting of the {} line was not ready in time", line.id);
            busy()
        }
    }
}

/// Asterisk keeps what it has fetched, and asks each time whether it still holds.
fn answer(Joined { wav, sum }: Joined, asked: &HeaderMap) -> Response {
    let etag = HeaderValue::try_from(format!("\"{sum}\"")).expect("quotes and hexadecimal digits stand in any header");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("audio/wav")),
        // What is said changes with the hours, at midnight, and whenever a recording is switched on.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (ETAG, etag.clone()),
    ];
    match is_known(asked, &etag) {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, wav).into_response(),
    }
}

/// A lost recording is replaced by words, missing words leave the recording alone; `None` if there is neither.
async fn joined(house: &House, line: &Line, reason: Reason, now: Timestamp) -> Option<Joined> {
    let pieces = announcement::greeting(line, reason, now);
    let failed = match house.joiner.join(&pieces).await {
        Ok(joined) => return Some(joined),
        Err(failed) => failed,
    };
    let instead = match failed {
        NotJoined::Recording { .. } => {
            error!(line = %line.id, error = %failed, "A greeting cannot be read: {failed}");
            tell_of_the_loss(house, now);
            announcement::greeting(&line.spoken(), reason, now)
        }
        NotJoined::NoWord(_) => {
            warn!(line = %line.id, error = %failed, "No date is spoken on the {} line: {failed}", line.id);
            pieces.into_iter().filter(|piece| matches!(piece, Piece::Recorded(_))).collect()
        }
    };
    if instead.is_empty() {
        return None;
    }
    house.joiner.join(&instead).await.ok()
}
