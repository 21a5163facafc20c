//! `/greetings/{number}/{reason}.wav`: what a caller of this number hears at this moment, before the signal, on an exchange
//! that plays it by itself. The school's own recording and the date of the callback, in one file.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tracing::{error, warn};

use super::{AT_ONCE, House, MISSING, Rejection, busy, not_here, raise_alarm};
use crate::core::announcement::{self, Reason, spoken};
use crate::core::line::Line;
use crate::recordings::{Joined, NotJoined};
use crate::time::Timestamp;
use crate::web::api::audio::is_known;

/// A caller listens to nothing meanwhile. Afterwards the exchange plays what it has itself.
const JOINED_WITHIN: Duration = Duration::from_secs(2);

const NOTHING_TO_SAY: &str = "Своей АТС нечего проиграть звонящему: нет ни записи школы, ни слов, из которых складывается \
    приветствие. Звонящие слышат слова самой АТС, без даты перезвона. Поставьте на сервер пакет asterisk-core-sounds-ru-wav или \
    загрузите свою запись на странице «Приветствия».";

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
            if house.rejections.is_first(Rejection::LateGreeting, line.id.as_str()) {
                error!(line = %line.id, "A greeting of the {} line was not ready in time", line.id);
            }
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

/// A lost recording is replaced by words; a sentence that lacks a word is left out, the date first of all. `None` where
/// nothing at all can be said: the exchange plays words of its own then.
async fn joined(house: &House, line: &Line, reason: Reason, now: Timestamp) -> Option<Joined> {
    let sentences = announcement::greeting(line, reason, now);
    let sentences = match house.joiner.join(&spoken(&sentences)).await {
        Ok(joined) => return Some(joined),
        Err(NotJoined::NoWord(_)) => sentences,
        Err(lost @ NotJoined::Recording { .. }) => {
            if house.rejections.is_first(Rejection::UnreadableGreeting, line.id.as_str()) {
                error!(line = %line.id, error = %lost, "A greeting cannot be read: {lost}");
            }
            raise_alarm(house, "greeting", MISSING, now);
            announcement::greeting(&line.spoken(), reason, now)
        }
    };
    let (sentences, lacking) = house.joiner.speakable(sentences).await;
    if let Some(no_word) = &lacking
        && house.rejections.is_first(Rejection::IncompleteGreeting, line.id.as_str())
    {
        warn!(line = %line.id, error = %no_word, "The greeting of the {} line lacks a sentence: {no_word}", line.id);
    }
    if sentences.is_empty() {
        raise_alarm(house, "greeting words", NOTHING_TO_SAY, now);
        return None;
    }
    house.joiner.join(&spoken(&sentences)).await.ok()
}
