//! Greetings for whoever plays them to a caller, without a login, for a provider has none: the school's own as
//! `/greetings/{name}.wav`, and those with the date of the callback, which exchanges ask for, see [`joined`]. The name is
//! random, and only what callers hear, or once heard, is given out.

mod joined;

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tracing::error;

use super::{House, Rejection};
use crate::core::greetings::Recorded;
use crate::core::script::Verb;
use crate::recordings::{ReadError, RecordingName};
use crate::time::Timestamp;

/// How long a caller may wait for a disk before the text is spoken instead.
const LOOK_WITHIN: Duration = Duration::from_millis(500);
/// How many are read at once; providers keep what they have, so more are hardly ever asked for.
static AT_ONCE: Semaphore = Semaphore::const_new(16);

const MISSING: &str = "Файл приветствия не читается, звонящие слышат текст, который читает робот. Проверьте папку записей \
    командой perezvon verify и верните файлы из резервной копии или загрузите приветствие заново.";

pub(super) fn router() -> Router<House> {
    Router::new().route("/greetings/{file}", get(sound)).route("/greetings/{number}/{file}", get(joined::greeting))
}

fn not_here() -> Response {
    (StatusCode::NOT_FOUND, "no such greeting\n").into_response()
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "busy, please repeat\n").into_response()
}

async fn sound(State(house): State<House>, Path(file): Path<String>) -> Response {
    let Some((name, recording)) =
        file.strip_suffix(".wav").and_then(|name| Some((name, RecordingName::of_prompt(name).ok()?)))
    else {
        return not_here();
    };
    let Ok(_turn) = AT_ONCE.try_acquire() else { return busy() };
    match is_given_out(&house, name).await {
        Some(true) => {}
        Some(false) => return not_here(),
        None => return busy(),
    }
    let headers = [
        (CONTENT_TYPE, "audio/wav"),
        // Whatever is under a name never changes.
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match house.folder.read(&recording).await {
        Ok(bytes) => (headers, [(ETAG, format!("\"{name}\""))], bytes).into_response(),
        Err(ReadError::Missing(_)) => not_here(),
        Err(failed) => {
            if house.rejections.is_first(Rejection::UnreadableGreeting, "") {
                error!(error = %failed, "A greeting cannot be read: {failed}");
            }
            busy()
        }
    }
}

/// Asked of memory first: a greeting that is switched on is given out while the database is away. `None`: not known.
async fn is_given_out(house: &House, name: &str) -> Option<bool> {
    let on = house.lines().iter().any(|line| line.greetings.values().any(|recorded| *recorded.name == *name));
    if on { Some(true) } else { house.store.is_heard(name).await.ok() }
}

/// Whether every greeting that this script plays can be read; told as an alarm where not.
pub(super) async fn are_here(house: &House, script: &[Verb], now: Timestamp) -> bool {
    for verb in script {
        let played = match verb {
            Verb::Gather { prompt, .. } => prompt,
            verb => std::slice::from_ref(verb),
        };
        for name in played.iter().filter_map(name_of) {
            let open = async {
                let recording = RecordingName::of_prompt(name).ok()?;
                house.folder.open_recording(&recording).await.ok().filter(|found| found.size_bytes() > 0)
            };
            if !matches!(tokio::time::timeout(LOOK_WITHIN, open).await, Ok(Some(_))) {
                raise_alarm(house, "greeting", MISSING, now);
                return false;
            }
        }
    }
    true
}

/// The caller does not wait for it.
fn raise_alarm(house: &House, subject: &'static str, message: &'static str, now: Timestamp) {
    let store = house.store.clone();
    tokio::spawn(async move { store.alarm_of_ours(subject, message, now).await });
}

fn name_of(verb: &Verb) -> Option<&str> {
    match verb {
        Verb::Play(address) => Recorded::name_in(address),
        _ => None,
    }
}
