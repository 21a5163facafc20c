//! Providers' webhooks: `/webhooks/{name}/…`. Verified, read, kept, answered; no outside call on this way.
//!
//! Whatever fails on our side, a request that waits for a script gets the offer to record (R3). Sound that comes with its
//! request is on our disk before it is answered.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use super::{House, Rejection, came_too_slowly, greetings};
use crate::core::script::{self, Script, Step};
use crate::providers::twiml::signature::Refused as SignatureRefused;
use crate::providers::{LARGEST_FORM, Malformed, Parsed, Provider, RawRequest, Refused, Reply, Sound};
use crate::recordings::{KeepError, RecordingName};
use crate::store::{Accepted, Delivery, Kept, StoreError, VoicemailState};
use crate::time::Timestamp;

/// How long a form may take to come. Providers send theirs in one piece; this is for those who hold connections.
const FORM_WITHIN: Duration = Duration::from_secs(10);
/// How long sound may take: the exchange gives up after a minute and begins anew.
const SOUND_WITHIN: Duration = Duration::from_secs(60);
/// How many requests with sound are in hand at once; each holds its body in memory. The others wait.
static SOUND_AT_ONCE: Semaphore = Semaphore::const_new(8);
/// How long a waiting caller's script may take. Telephone companies give 5 s and most never ask again, an exchange gives 3.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

const ASKED_FOR_THE_FALLBACK: &str = "Провайдер не получил от нас ответа и попросил запасной: звонившему предложили \
    оставить сообщение. Проверьте, что служба и прокси перед ней работают, и посмотрите журнал службы за это время.";

pub(super) fn router() -> Router<House> {
    Router::new().route("/webhooks/{name}/{*endpoint}", on(MethodFilter::GET.or(MethodFilter::POST), webhook))
}

/// A panic is ours, and no caller hears it. Who waits for no script is asked to repeat: nothing was saved.
async fn webhook(
    State(house): State<House>,
    Path((name, endpoint)): Path<(String, String)>,
    request: Request,
) -> Response {
    let answering = answer(&house, &name, endpoint.clone(), request);
    if let Ok(response) = AssertUnwindSafe(answering).catch_unwind().await {
        return response;
    }
    metrics::counter!("perezvon_deliveries_total", "provider" => name.clone(), "result" => "panicked").increment(1);
    let provider = house.providers.get(&name);
    match provider.and_then(|provider| Some((provider, provider.step_at(&endpoint)?))) {
        Some((provider, step)) => replied(provider.render(&script_without_state(step))),
        None => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], "not saved, please repeat\n").into_response(),
    }
}

/// Saves the event, applies it to its call, answers with what the caller hears next.
async fn answer(house: &House, name: &str, endpoint: String, request: Request) -> Response {
    let now = house.clock.now();
    let Some(provider) = house.providers.get(name) else {
        metrics::counter!("perezvon_deliveries_total", "provider" => "", "result" => "unknown_provider").increment(1);
        if house.rejections.is_first(Rejection::UnknownProvider, "") {
            warn!("Refused a webhook of a provider that is not configured");
        }
        return (StatusCode::NOT_FOUND, "unknown provider\n").into_response();
    };
    let counted = |result: &'static str| {
        metrics::counter!("perezvon_deliveries_total", "provider" => name.to_owned(), "result" => result).increment(1);
    };
    let (head, body) = split(request, endpoint);
    let limit = match provider.admit(&head) {
        Ok(limit) => limit,
        Err(refused) => return refusal(house, provider, &head, refused),
    };
    let _turn = match limit > LARGEST_FORM {
        true => SOUND_AT_ONCE.acquire().await.ok(),
        false => None,
    };
    let request = match with_body(head, body, limit).await {
        Ok(request) => request,
        Err(refused) => {
            counted("unreadable");
            let kind = match refused.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Rejection::TooLarge,
                _ => Rejection::TooSlow,
            };
            if house.rejections.is_first(kind, name) {
                warn!(provider = %name, "Refused a webhook of {name}: {}", kind.as_str());
            }
            return refused;
        }
    };
    let verified = match provider.verify(&request, now) {
        Ok(verified) => verified,
        Err(refused) => return refusal(house, provider, &request, refused),
    };
    let parsed = match provider.parse(verified, now) {
        Ok(parsed) => parsed,
        Err(Malformed::UnknownEndpoint(_)) => return (StatusCode::NOT_FOUND, "unknown address\n").into_response(),
        Err(malformed) => {
            counted("malformed");
            if house.rejections.is_first(Rejection::Malformed, name) {
                warn!(provider = %name, endpoint = known_endpoint(&request.endpoint), reason = %malformed, "A webhook of {name} makes no sense: {malformed}");
            }
            return (StatusCode::BAD_REQUEST, format!("{malformed}\n")).into_response();
        }
    };
    let Parsed { key, events, step, sound, oddity } = parsed;
    if let Some(oddity) = oddity
        && house.rejections.is_first(Rejection::Oddity, name)
    {
        warn!(provider = %name, endpoint = known_endpoint(&request.endpoint), reason = %oddity, "A webhook of {name} was read without a part of it: {oddity}");
    }
    if step == Some(Step::Fallback) {
        let (store, name) = (house.store.clone(), name.to_owned());
        // The caller does not wait for it.
        tokio::spawn(async move { store.alarm_of_ours(&name, ASKED_FOR_THE_FALLBACK, now).await });
    }
    let body = sound.as_ref().map_or(&request.body, |sound| &sound.rest).clone();
    let delivery = Delivery {
        provider: provider.name().clone(),
        content_type: request.header(CONTENT_TYPE.as_str()).unwrap_or("").chars().take(200).collect(),
        endpoint: request.endpoint,
        method: request.method,
        target: request.target,
        body,
        received_at: now,
        key,
        events,
        can_be_asked: provider.archive().is_some(),
        applied_at: None,
    };
    let outcome = match sound {
        Some(sound) => save_with_sound(house, delivery, sound).await,
        None => house.store.accept(ANSWER_WITHIN, delivery).await.into(),
    };
    let reply = match (&outcome, step) {
        (Outcome::Applied(applied), Some(step)) => {
            if step == Step::Arrived {
                log_arrival(provider, applied);
            }
            provider.render(&next_script(house, applied, step, now).await)
        }
        (Outcome::Spooled | Outcome::Unsaved, Some(step)) => provider.render(&script_without_state(step)),
        (Outcome::Applied(_) | Outcome::Spooled, None) => provider.nothing(),
        (Outcome::Unsaved, None) => {
            counted("unavailable");
            return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], "not saved, please repeat\n")
                .into_response();
        }
    };
    counted(match outcome {
        Outcome::Applied(_) => "accepted",
        Outcome::Spooled => "spooled",
        Outcome::Unsaved => "unavailable",
    });
    replied(reply)
}

/// The endpoint as the log may name it. Ours are short words; a longer one, or one with a number, is a stranger's.
fn known_endpoint(endpoint: &str) -> &str {
    const MAX_LENGTH: usize = 24;
    const MAX_DIGITS: usize = 3;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    let digits = endpoint.bytes().filter(u8::is_ascii_digit).count();
    match endpoint.len() <= MAX_LENGTH && digits <= MAX_DIGITS && endpoint.bytes().all(is_plain) {
        true => endpoint,
        false => "unknown",
    }
}

/// Refuses a webhook that its provider has not sent. The reason is looked for only where it is the first of a minute: many
/// wrong ones would cost more than the genuine ones.
fn refusal(house: &House, provider: &dyn Provider, request: &RawRequest, refused: Refused) -> Response {
    let name = provider.name();
    metrics::counter!("perezvon_deliveries_total", "provider" => name.to_string(), "result" => "refused").increment(1);
    metrics::counter!("perezvon_refused_signatures_total", "provider" => name.to_string()).increment(1);
    let kind = match refused {
        Refused::Signature(SignatureRefused::TooManyFields) => Rejection::Malformed,
        Refused::Signature(_) => Rejection::Signature,
        Refused::Token(_) => Rejection::Token,
    };
    let is_first = house.rejections.is_first(kind, name);
    let refused = if is_first { provider.explain(request, refused) } else { refused };
    if is_first {
        warn!(provider = %name, endpoint = known_endpoint(&request.endpoint), reason = %refused, "Refused a webhook of {name}: {refused}");
    }
    let reason = format!("{refused}\n");
    match refused {
        Refused::Signature(SignatureRefused::TooManyFields) => (StatusCode::BAD_REQUEST, reason).into_response(),
        Refused::Signature(_) => (StatusCode::FORBIDDEN, reason).into_response(),
        Refused::Token(_) => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], reason).into_response(),
    }
}

/// What became of a verified webhook.
#[expect(clippy::large_enum_variant, reason = "nearly all are applied: boxing them would cost each one an allocation")]
enum Outcome {
    Applied(Kept),
    /// Durable, and applied when the database takes it.
    Spooled,
    /// Durable nowhere: acknowledged to nobody who could repeat it.
    Unsaved,
}

impl From<Accepted> for Outcome {
    fn from(accepted: Accepted) -> Self {
        match accepted {
            Accepted::Applied(applied) => Self::Applied(applied),
            Accepted::Spooled(failed) => {
                warn!(error = %failed, "A webhook is spooled, the database does not take it: {failed}");
                Self::Spooled
            }
            Accepted::InMemory(failed) => {
                error!(error = %failed, "A webhook is in memory alone, neither the database nor a disk takes it: {failed}");
                Self::Unsaved
            }
        }
    }
}

fn log_arrival(provider: &dyn Provider, applied: &Kept) {
    let Some(call) = &applied.call else { return };
    info!(
        call.id = call.id,
        provider = %provider.name(),
        line.id = call.line.as_ref().map_or("?", |line| line.as_str()),
        caller = call.caller.as_ref().map(|caller| caller.shortened()),
        "A call on the {} line",
        call.line.as_ref().map_or("?", |line| line.as_str()),
    );
}

/// The head of the request, and the body that has not come yet.
pub fn split(request: Request, endpoint: String) -> (RawRequest, Body) {
    let (parts, body) = request.into_parts();
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let target = parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string);
    let method = if parts.method == Method::GET { "GET" } else { parts.method.as_str() }.to_owned();
    (RawRequest { method, target, endpoint, headers, body: Bytes::new() }, body)
}

/// Too large a body is refused with 413, too slow a one with 408.
pub async fn with_body(head: RawRequest, body: Body, limit: usize) -> Result<RawRequest, Response> {
    let within = if limit > LARGEST_FORM { SOUND_WITHIN } else { FORM_WITHIN };
    with_body_within(within, head, body, limit).await
}

async fn with_body_within(
    within: Duration,
    head: RawRequest,
    body: Body,
    limit: usize,
) -> Result<RawRequest, Response> {
    match tokio::time::timeout(within, to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(RawRequest { body, ..head }),
        Ok(Err(failed)) if came_too_slowly(&failed) => {
            Err((StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response())
        }
        Ok(Err(_)) => {
            let told = format!("this webhook may have at most {limit} bytes\n");
            Err((StatusCode::PAYLOAD_TOO_LARGE, told).into_response())
        }
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response()),
    }
}

/// Why sound could not be saved.
#[derive(Debug, thiserror::Error)]
enum SoundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the sound could not be written down: {0}")]
    Disk(#[from] KeepError),
    /// Never seen; but sound that belongs nowhere is not answered for, so that the exchange keeps it.
    #[error("the sound belongs to no message")]
    NoMessage,
}

/// Sound is not spooled: the exchange keeps it, and repeats it until it hears that it is saved.
async fn save_with_sound(house: &House, delivery: Delivery, sound: Sound) -> Outcome {
    let now = delivery.received_at;
    let save = async {
        let applied = house.store.deliver(delivery).await?;
        let call = applied.call.as_ref().ok_or(SoundError::NoMessage)?;
        keep_sound(house, call.id, sound, now).await?;
        Ok::<_, SoundError>(applied)
    };
    save.await.map_or_else(
        |failed| {
            error!(error = %failed, "The end of a call with its sound could not be saved: {failed}");
            Outcome::Unsaved
        },
        Outcome::Applied,
    )
}

/// Writes the sound down durably, beside the others that wait to be looked at. The call and the row of its message are kept
/// by now: should the power fail here, the same sound comes again. One that is stored already is not replaced.
async fn keep_sound(house: &House, call_id: i64, sound: Sound, now: Timestamp) -> Result<(), SoundError> {
    let voicemail = house.store.voicemail_of(call_id, sound.recording_id).await?.ok_or(SoundError::NoMessage)?;
    if !matches!(voicemail.state, VoicemailState::Pending | VoicemailState::Failed) {
        return Ok(());
    }
    let name = RecordingName::of_arrived(voicemail.id).expect("ids of rows are made of the time, which is after 1970");
    let mut incoming = house.folder.begin(name, sound.bytes.len() as u64).await?;
    incoming.write(&sound.bytes).await?;
    incoming.finish().await?;
    Ok(house.store.sound_arrived(voicemail.id, now).await?)
}

async fn next_script(house: &House, kept: &Kept, step: Step, now: Timestamp) -> Script {
    let Some((call, line)) = kept.call.as_ref().and_then(|call| Some((call, call.line.as_ref()?))) else {
        return script_without_state(step);
    };
    let lines = house.lines();
    let line = lines.by_id(line);
    let script = script::next(call, line, step, now);
    match greetings::are_here(house, &script, now).await {
        true => script,
        // The text is always there.
        false => script::next(call, &line.spoken(), step, now),
    }
}

/// The way on when nothing is known: the offer at the beginning, a farewell once there may be a message.
fn script_without_state(step: Step) -> Script {
    match step {
        Step::MessageOver | Step::Keyed(_) => script::farewell(),
        Step::Arrived | Step::Dialled(_) | Step::Signal | Step::Fallback => script::offer(),
    }
}

/// A provider's document with status 200.
pub fn replied(reply: Reply) -> Response {
    ([(CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::line::Lines;
    use crate::core::phone::PhoneNumber;
    use crate::core::script::Verb;
    use crate::providers::asterisk::{Asterisk, Settings};
    use crate::providers::{Kind, Providers, TestCall, Verified};
    use crate::store::Store;
    use crate::time::Clock;

    /// Threat: whoever asks for an address of his own making writes into the log, a number for one.
    #[test]
    fn log_names_only_endpoints_like_ours() {
        for ours in ["voice", "status", "dialled/1", "incoming"] {
            assert_eq!(known_endpoint(ours), ours);
        }
        for other in ["voice/89281234567", "a b", "voice\nx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"] {
            assert_eq!(known_endpoint(other), "unknown", "{other:?}");
        }
    }

    /// The codec of an exchange with a fault of ours in it.
    #[derive(Debug)]
    struct Faulty(Asterisk);

    impl Provider for Faulty {
        fn name(&self) -> &Arc<str> {
            self.0.name()
        }

        fn kind(&self) -> Kind {
            self.0.kind()
        }

        fn keys(&self) -> usize {
            self.0.keys()
        }

        fn admit(&self, request: &RawRequest) -> Result<usize, Refused> {
            self.0.admit(request)
        }

        fn verify<'a>(&self, request: &'a RawRequest, now: Timestamp) -> Result<Verified<'a>, Refused> {
            self.0.verify(request, now)
        }

        fn step_at(&self, endpoint: &str) -> Option<Step> {
            self.0.step_at(endpoint)
        }

        fn parse(&self, _: Verified<'_>, _: Timestamp) -> Result<Parsed, Malformed> {
            panic!("a fault of ours")
        }

        fn render(&self, script: &[Verb]) -> Reply {
            self.0.render(script)
        }

        fn nothing(&self) -> Reply {
            self.0.nothing()
        }

        fn test_call(&self, id: &str, dialled: &PhoneNumber, now: Timestamp) -> Option<TestCall> {
            self.0.test_call(id, dialled, now)
        }
    }

    #[tokio::test]
    async fn panic_is_answered_with_the_offer() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
        let lines = Lines::new(Vec::new(), Calendar::new(Hours::default()));
        let store = Store::open(&url, lines).await.unwrap();
        let settings = Settings {
            name: "pbx".into(),
            public_url: "https://calls.example.org".to_owned(),
            tokens: vec!["token".to_owned()],
            trunk: "trunk".to_owned(),
            ari: None,
        };
        let faulty: Box<dyn Provider> = Box::new(Faulty(Asterisk::new(settings)));
        let house = House::on_trial_with(folder.path(), Clock::System, store, Providers::new([faulty]));
        let post = async |endpoint: &str| {
            let request = Request::post(format!("/webhooks/pbx/{endpoint}"))
                .header("authorization", "Bearer token")
                .header("content-type", "application/x-www-form-urlencoded");
            let response = router().with_state(house.clone());
            let response =
                tower::ServiceExt::oneshot(response, request.body(Body::from("id=1")).unwrap()).await.unwrap();
            let status = response.status().as_u16();
            (status, to_bytes(response.into_body(), 1000).await.unwrap())
        };
        assert_eq!(post("incoming").await, (200, "voicemail".into()));
        assert_eq!(post("ended").await.0, 503, "nobody waits, and nothing is saved");
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("CallSid=")]);
        let trickling = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        let request = Request::post("/webhooks/twilio/voice").body(Body::from_stream(trickling)).unwrap();
        let (head, body) = split(request, "voice".to_owned());
        let refused = with_body_within(Duration::from_millis(20), head, body, LARGEST_FORM).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
