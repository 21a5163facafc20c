//! The words of a message, asked of a speech server that the school has chosen. A help for the eye and nothing else: the
//! message is on the list before, without and after it.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::http::{HttpError, client_builder};
use super::{Ended, Worker};
use crate::core::transcript;
use crate::core::written_text::json_error;
use crate::recordings::{LEAST_SPEECH_MS, ReadError, RecordingName};
use crate::store::{Job, JobPool, StoreError, StoredSound, VoicemailState};
use crate::time::SignedDuration;

/// The longest one message may take: ten minutes of speech on a slow machine. Shorter than a lease.
const WITHIN: Duration = Duration::from_secs(300);
/// The largest file sent. Servers of this kind take 25 MB; ten minutes of a telephone line are 9.6 MB.
const LARGEST_FILE: i64 = 25_000_000;
/// The largest answer read.
const LARGEST_ANSWER: usize = 256 * 1024;
/// A server that cannot be reached for this long is not asked about this message any more.
const HOPELESS_MS: i64 = 24 * 3_600_000;
/// A message whose key is not there is looked at again after this time.
const KEY_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The section `[transcription]`. Its `Debug` holds no token.
#[derive(Clone)]
pub struct TranscriptionSettings {
    /// `http(s)://host:port`, perhaps with a path, without `/v1` and without a slash at the end.
    pub url: String,
    /// As the server knows it; kept beside each transcript.
    pub model: String,
    pub token: Option<String>,
}

impl fmt::Debug for TranscriptionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TranscriptionSettings")
            .field("url", &self.url)
            .field("model", &self.model)
            .field("token", &self.token.as_ref().map(|_| "hidden"))
            .finish()
    }
}

/// Asks the speech server, one message at a time: it is slow, and recordings still to be fetched come first. Cheap to clone.
#[derive(Clone)]
pub struct Transcriber {
    settings: Arc<TranscriptionSettings>,
    client: Arc<LazyLock<Client>>,
    free: Arc<Semaphore>,
}

/// Why there is no answer.
enum NoAnswer {
    Http(HttpError),
    /// It is no answer of such a server.
    Unreadable(String),
}

impl NoAnswer {
    /// Whether the server has looked at this very file and will never take it.
    fn is_final(&self) -> bool {
        let Self::Http(error) = self else { return false };
        matches!(
            error.status(),
            Some(StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY)
        )
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(HttpError::Status { status, .. }) => write!(f, "the speech server answered {status}"),
            Self::Http(HttpError::Unreachable(why)) => write!(f, "the speech server cannot be reached: {why}"),
            Self::Http(HttpError::TooLarge) => {
                write!(f, "the speech server's answer is larger than {LARGEST_ANSWER} bytes")
            }
            Self::Http(other) => write!(f, "{other}"),
            Self::Unreadable(what) => write!(f, "the speech server's answer cannot be read: {what}"),
        }
    }
}

/// All that is taken from an answer, whether `json` or `verbose_json`.
#[derive(Deserialize)]
struct Answer {
    text: String,
}

impl Transcriber {
    pub fn new(settings: TranscriptionSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            client: Arc::new(LazyLock::new(client)),
            free: Arc::new(Semaphore::new(1)),
        }
    }

    /// The turn to ask, until it is dropped. `None`: another message is being written down.
    fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// What the model writes, as it wrote it. The token goes to the configured host alone: no redirect is followed.
    async fn ask(&self, file: Vec<u8>, name: &str, content_type: &str) -> Result<String, NoAnswer> {
        let Self { settings, client, .. } = self;
        let unreachable = |error: reqwest::Error| NoAnswer::Http(error.into());
        let sound = Part::bytes(file).file_name(name.to_owned()).mime_str(content_type).map_err(unreachable)?;
        let form = Form::new()
            .part("file", sound)
            .text("model", settings.model.clone())
            .text("language", "ru")
            .text("response_format", "json")
            .text("temperature", "0");
        let mut asked = client.post(format!("{}/v1/audio/transcriptions", settings.url)).multipart(form);
        if let Some(token) = &settings.token {
            asked = asked.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut response = asked.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(NoAnswer::Http(HttpError::of(&response)));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(NoAnswer::Http(HttpError::TooLarge));
            }
            body.extend_from_slice(&chunk);
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| NoAnswer::Unreadable(json_error(&error)))?;
        Ok(answer.text)
    }
}

/// It follows no redirect. The school has named the host itself, so it may be in the school's own network.
fn client() -> Client {
    let client = client_builder().connect_timeout(Duration::from_secs(10)).timeout(WITHIN);
    client.build().expect("these settings need nothing from outside")
}

impl Worker {
    /// Whether words are to be looked for: only where a server is configured and a voice is heard. On silence a model
    /// invents.
    pub(super) fn is_worth_transcribing(&self, sound: &StoredSound) -> bool {
        self.transcriber.is_some() && sound.speech_ms >= LEAST_SPEECH_MS && sound.size_bytes <= LARGEST_FILE
    }

    /// The next message to be written down with the turn to do so, which is taken first: a job that waits for others is not
    /// touched, and its waiting counts as no failure. `None`: no message waits, or another is being written down.
    pub(super) async fn lease_transcription(&self) -> Result<Option<(Job, Option<OwnedSemaphorePermit>)>, StoreError> {
        let turn = match &self.transcriber {
            Some(transcriber) => match transcriber.turn() {
                Some(turn) => Some(turn),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(self.store.lease_one(JobPool::Transcriptions, &[], self.clock.now()).await?.map(|job| (job, turn)))
    }

    pub(super) async fn transcribe(&self, job: &Job) -> Ended {
        let Some(transcriber) = &self.transcriber else { return Ended::Done };
        let voicemail = match self.store.voicemail(job.subject).await {
            Ok(Some(voicemail)) if voicemail.state == VoicemailState::Stored && voicemail.transcript.is_none() => {
                voicemail
            }
            Ok(_) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        let Some(sound) = voicemail.sound.filter(|sound| self.is_worth_transcribing(sound)) else {
            return Ended::Done;
        };
        let name = match sound.name.parse::<RecordingName>() {
            Ok(name) => name,
            Err(error) => return Ended::GivenUp(error.to_string()),
        };
        let file = match self.folder.read(&name).await {
            Ok(file) => file,
            // The key may come back.
            Err(error @ ReadError::Locked { .. }) => return Ended::After(KEY_PAUSE, error.to_string()),
            Err(error) => return Ended::GivenUp(error.to_string()),
        };
        // The name of the file tells the kind of sound, and nothing about the caller.
        let ending = sound.name.rsplit_once('.').map_or("wav", |(_, ending)| ending);
        let asked = transcriber.ask(file, &format!("message.{ending}"), &sound.content_type).await;
        let now = self.clock.now();
        let count =
            |result: &'static str| metrics::counter!("perezvon_transcripts_total", "result" => result).increment(1);
        match asked {
            Ok(text) => {
                let text = transcript::cleaned(&text, sound.length_ms);
                count(if text.is_some() { "kept" } else { "invented" });
                match self.store.voicemail_transcribed(voicemail.id, text, &transcriber.settings.model, now).await {
                    Ok(()) => Ended::Done,
                    Err(failed) => failed.into(),
                }
            }
            Err(none) => {
                count("failed");
                match &none {
                    _ if none.is_final() || self.age_ms(job) > HOPELESS_MS => Ended::GivenUp(none.to_string()),
                    NoAnswer::Http(error) => self.later(error).with_reason(none.to_string()),
                    NoAnswer::Unreadable(_) => Ended::Later(none.to_string()),
                }
            }
        }
    }
}
