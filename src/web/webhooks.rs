//! Providers' webhooks: `/webhooks/{name}/…`. Verified, read, kept, answered; no outside call on this way.
//!
//! Whatever fails on our side, a request that waits for a script gets the offer to record (R3).

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use tracing::{error, info, warn};

use super::{House, greetings};
use crate::core::script::{self, Script, Step};
use crate::providers::{Malformed, Parsed, Provider, RawRequest, Reply};
use crate::store::{Delivery, Kept, StoreError};
use crate::time::Timestamp;

/// The largest webhook, bytes. Real ones have about 600; the largest forms of the contracts stay below 8 kB.
pub const LARGEST_BODY: usize = 64 * 1024;
/// How long a body may take to come. Providers send theirs in one piece; this is for those who hold connections.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How long a waiting caller's script may take. Providers give 5 s at the most and most never ask again.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

const ASKED_FOR_THE_FALLBACK: &str = "Провайдер не получил от нас ответа и попросил запасной: звонившему предложили \
    оставить сообщение. Проверьте, что служба и прокси перед ней работают, и посмотрите журнал службы за это время.";

pub(super) fn router() -> Router<House> {
    Router::new().route("/webhooks/{name}/{*endpoint}", on(MethodFilter::GET.or(MethodFilter::POST), webhook))
}

/// Keep the event, apply it to its call, answer with what the caller hears next.
async fn webhook(
    State(house): State<House>,
    Path((name, endpoint)): Path<(String, String)>,
    request: Request,
) -> Response {
    let now = house.clock.now();
    let Some(provider) = house.providers.get(&name) else {
        return (StatusCode::NOT_FOUND, "unknown provider\n").into_response();
    };
    let counted = |result: &'static str| {
        metrics::counter!("perezvon_deliveries_total", "provider" => name.clone(), "result" => result).increment(1);
    };
    let request = match raw(request, endpoint).await {
        Ok(request) => request,
        Err(refused) => {
            counted("unreadable");
            return refused;
        }
    };
    let verified = match provider.verify(&request, now) {
        Ok(verified) => verified,
        Err(refused) => {
            counted("refused");
            metrics::counter!("perezvon_refused_signatures_total", "provider" => name.clone()).increment(1);
            warn!(provider = %name, endpoint = %request.endpoint, reason = %refused, "Refused a webhook of {name}: {refused}");
            return (StatusCode::FORBIDDEN, format!("{refused}\n")).into_response();
        }
    };
    let parsed = match provider.parse(verified, now) {
        Ok(parsed) => parsed,
        Err(Malformed::UnknownEndpoint(_)) => return (StatusCode::NOT_FOUND, "unknown address\n").into_response(),
        Err(malformed) => {
            counted("malformed");
            warn!(provider = %name, endpoint = %request.endpoint, reason = %malformed, "A webhook of {name} makes no sense: {malformed}");
            return (StatusCode::BAD_REQUEST, format!("{malformed}\n")).into_response();
        }
    };
    let step = parsed.step;
    if step == Some(Step::Fallback) {
        let (store, name) = (house.store.clone(), name.clone());
        // The caller does not wait for it.
        tokio::spawn(async move { store.alarm_of_ours(&name, ASKED_FOR_THE_FALLBACK, now).await });
    }
    match (keep(&house, provider, delivery(provider, request, parsed, now), step).await, step) {
        (Ok(kept), Some(step)) => {
            counted("accepted");
            replied(provider.render(&next_script(&house, &kept, step, now).await))
        }
        (Ok(_), None) => {
            counted("accepted");
            replied(provider.nothing())
        }
        (Err(failed), Some(step)) => {
            counted("unavailable");
            error!(provider = %name, error = %failed, "A caller gets the offer to record without the database: {failed}");
            replied(provider.render(&script_without_state(step)))
        }
        (Err(failed), None) => {
            counted("unavailable");
            error!(provider = %name, error = %failed, "A webhook of {name} could not be kept: {failed}");
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], "not kept, please repeat\n").into_response()
        }
    }
}

/// Reads the request as it came; too large a body is refused with 413, too slow a one with 408.
pub async fn raw(request: Request, endpoint: String) -> Result<RawRequest, Response> {
    raw_within(BODY_WITHIN, request, endpoint).await
}

async fn raw_within(limit: Duration, request: Request, endpoint: String) -> Result<RawRequest, Response> {
    let (parts, body): (_, Body) = request.into_parts();
    let body = match tokio::time::timeout(limit, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let told = format!("a webhook may have at most {LARGEST_BODY} bytes\n");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, told).into_response());
        }
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response()),
    };
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let target = parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string);
    let method = if parts.method == Method::GET { "GET" } else { parts.method.as_str() }.to_owned();
    Ok(RawRequest { method, target, endpoint, headers, body })
}

fn delivery(provider: &Provider, request: RawRequest, parsed: Parsed, now: Timestamp) -> Delivery {
    Delivery {
        provider: provider.name().clone(),
        content_type: request.header(CONTENT_TYPE.as_str()).unwrap_or("").chars().take(200).collect(),
        endpoint: request.endpoint,
        method: request.method,
        target: request.target,
        body: request.body,
        received_at: now,
        key: parsed.key,
        events: parsed.events,
        can_be_asked: provider.capabilities().can_be_asked,
    }
}

/// Keeps the delivery. What a caller waits for may not take long, and is not asked for again: if it cannot be kept now,
/// it is kept as soon as the database is back.
async fn keep(house: &House, provider: &Provider, delivery: Delivery, step: Option<Step>) -> Result<Kept, StoreError> {
    if step.is_none() {
        return house.store.deliver(delivery).await;
    }
    let arrived = step == Some(Step::Arrived);
    let kept = house.store.deliver_within(ANSWER_WITHIN, delivery).await;
    if let Ok(Kept { call: Some(call) }) = &kept
        && arrived
    {
        info!(
            call.id = call.id,
            provider = %provider.name(),
            line.id = call.line.as_ref().map_or("?", |line| line.as_str()),
            caller = call.caller.as_ref().map(|caller| caller.shortened()),
            "A call on the {} line",
            call.line.as_ref().map_or("?", |line| line.as_str()),
        );
    }
    kept
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
    use super::*;

    #[tokio::test]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("CallSid=")]);
        let trickling = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        let request = Request::post("/webhooks/twilio/voice").body(Body::from_stream(trickling)).unwrap();
        let refused = raw_within(Duration::from_millis(20), request, "voice".to_owned()).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
