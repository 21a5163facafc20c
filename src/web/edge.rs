//! What holds for every request and every answer, whichever part of the service it is for: places under overload, who may
//! ask how the service is, and the headers that a browser is told to obey.

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderName, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::warn;

use super::{House, Rejection};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Whose pages may take an answer into themselves. What is published for other sites says `cross-origin` itself.
pub(super) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

/// A year. Other names of the school's domain are not ours to speak for.
const HTTPS_ALONE: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Marks a request for which there is no place: see [`has_reserved_place`].
#[derive(Clone, Copy)]
pub struct Overloaded;

/// Whether a request is answered however many others there are: webhooks, the greetings that their callers hear, and the
/// question whether the service is well.
pub fn has_reserved_place(path: &str) -> bool {
    ["/webhooks/", "/greetings/"].iter().any(|prefix| path.starts_with(prefix))
        || ["/healthz", "/readyz", "/metrics"].contains(&path)
}

/// Whether a body broke off because it came too slowly, rather than being too large.
pub fn came_too_slowly(failed: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(failed);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The first and last hand on every request.
pub(super) async fn guard(State(house): State<House>, request: Request, next: Next) -> Response {
    let mut response = if request.extensions().get::<Overloaded>().is_some() {
        overloaded(&house)
    } else if is_monitoring(request.uri().path()) && is_forwarded(request.headers()) && !house.monitoring_through_proxy
    {
        let text = "Сведения о состоянии службы отдаются только запросам, пришедшим не через прокси. Разрешить иначе: \
            monitoring_through_proxy в разделе [server].\n";
        (StatusCode::FORBIDDEN, text).into_response()
    } else {
        next.run(request).await
    };
    let https_alone = house.public_url.starts_with("https://").then_some((STRICT_TRANSPORT_SECURITY, HTTPS_ALONE));
    for (name, value) in HEADERS.into_iter().chain(https_alone) {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

fn overloaded(house: &House) -> Response {
    if house.rejections.is_first(Rejection::TooManyRequests, "") {
        warn!(
            "More requests for pages are in hand than are allowed: further ones are turned away, webhooks are answered"
        );
    }
    metrics::counter!("perezvon_requests_turned_away_total").increment(1);
    let text =
        "Сейчас слишком много запросов. Повторите через несколько секунд: звонки записываются, ничего не потеряно.\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5"), (CONNECTION, "close")], text).into_response()
}

fn is_monitoring(path: &str) -> bool {
    ["/readyz", "/metrics"].contains(&path)
}

/// Whether a proxy has passed this request on: it comes from whoever can reach the proxy.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded")
}
