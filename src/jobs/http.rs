//! The way out: requests to providers, with bounds on time and size, and credentials for configured hosts alone.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};

use crate::providers::{ApiRequest, Archive, FetchRequest, Listing, is_public};
use crate::time::{SignedDuration, Timestamp};

/// Timeout of a question to a provider's REST interface, with its answer.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(120);
/// A download of any recording may take as long as this, and the largest as long as it takes at [`MIN_BYTES_PER_SECOND`].
const MIN_DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// A download that goes on more slowly is given up: 64 kbit/s, a telephone line's worth.
const MIN_BYTES_PER_SECOND: u64 = 8000;
/// A host that sends nothing for this long has gone.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The same of a question to the exchange, for which an officer waits.
const EXCHANGE_CONNECTS_WITHIN: Duration = Duration::from_secs(3);
const EXCHANGE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Timeout of a question of `perezvon check` to an operator.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(30);
/// Redirects followed for one recording. SignalWire and Somleng need one.
const MOST_REDIRECTS: usize = 3;
/// The largest answer of a provider's REST interface.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Why a provider's answer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// In words, without the address: it may be signed.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    #[error("the provider answered {status}")]
    Status { status: StatusCode, retry_after: Option<RetryAfter> },
    #[error("the provider sends us on to {0}, which the configuration does not trust")]
    ForbiddenRedirect(String),
    #[error("the provider's answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
}

impl HttpError {
    pub(super) fn of(response: &Response) -> Self {
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| RetryAfter::parse(value.to_str().ok()?));
        Self::Status { status: response.status(), retry_after }
    }

    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the provider does not want to be asked so, at any time.
    fn is_rejection(&self) -> bool {
        self.status().is_some_and(|status| status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS)
    }

    /// Whether the provider says that there is no such thing, or no more.
    pub fn is_gone(&self) -> bool {
        matches!(self.status(), Some(StatusCode::NOT_FOUND | StatusCode::GONE))
    }

    /// For alarms: what the provider did, in Russian.
    pub(super) fn in_russian(&self) -> String {
        match self {
            Self::Status { status: status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), .. } => {
                format!("оператор не принял ключ ({})", status.as_u16())
            }
            Self::Status { status, retry_after: Some(_) } => {
                format!("оператор ответил {} и просит подождать", status.as_u16())
            }
            Self::Status { status, retry_after: None } => format!("оператор ответил {}", status.as_u16()),
            Self::Unreachable(why) => format!("оператор недоступен ({why})"),
            Self::ForbiddenRedirect(host) => format!("оператор отсылает на {host}, чего нет в recording_hosts"),
            Self::TooLarge => "ответ оператора слишком велик".to_owned(),
        }
    }

    /// The pause that the provider asks for, if it does. `outside` is the time of the world, which it goes by.
    pub fn pause_asked_for(&self, outside: Timestamp) -> Option<SignedDuration> {
        match self {
            Self::Status { retry_after: Some(RetryAfter::Seconds(seconds)), .. } => {
                Some(SignedDuration::from_secs(*seconds))
            }
            Self::Status { retry_after: Some(RetryAfter::At(at)), .. } => Some(at.duration_since(outside)),
            _ => None,
        }
    }
}

/// When a provider wants to be asked again (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds(i64),
    At(Timestamp),
}

impl RetryAfter {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than a number of seconds can have mean: not soon.
            return Some(Self::Seconds(text.parse().ok().filter(|seconds| *seconds < 1 << 40).unwrap_or(1 << 40)));
        }
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(Self::At)
    }
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        Self::Unreachable(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}

/// Why an exchange gave no answer to a request that is sent once.
#[derive(Debug)]
pub enum NoAnswer {
    /// No connection came about, so nothing was asked.
    NothingSent(String),
    /// It may have been asked.
    Lost(String),
}

/// A client that follows no redirect by itself and reaches no private address by a public name. It is made when it is
/// first needed: reading the machine's certificates takes longer than all the rest of a start.
#[derive(Clone)]
pub struct Http {
    public: Arc<LazyLock<Client>>,
    /// For the exchange, which the school has named itself: it may be in the school's own network.
    own: Arc<LazyLock<Client>>,
}

impl Http {
    pub fn new() -> Self {
        Self { public: Arc::new(LazyLock::new(Self::public)), own: Arc::new(LazyLock::new(Self::own)) }
    }

    fn public() -> Client {
        let client = client_builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(READ_TIMEOUT)
            .timeout(QUESTION_TIMEOUT);
        built(client.dns_resolver(Arc::new(PublicNames)))
    }

    /// A connection for each request: one that waits may just have been closed, and would lose what is sent once.
    fn own() -> Client {
        let client = client_builder().connect_timeout(EXCHANGE_CONNECTS_WITHIN).timeout(EXCHANGE_ANSWERS_WITHIN);
        built(client.pool_max_idle_per_host(0))
    }

    /// Begins a download of at most `max_bytes`. Redirects are followed only where the provider's configuration allows, and the
    /// credentials go along only where it says so.
    pub(super) async fn fetch(
        &self,
        archive: &dyn Archive,
        request: FetchRequest,
        max_bytes: u64,
    ) -> Result<Response, HttpError> {
        let (mut url, mut authorization) = (request.url, request.authorization);
        for _ in 0..=MOST_REDIRECTS {
            let mut get = self.public.get(url.clone()).timeout(download_timeout(max_bytes));
            if let Some(authorization) = &authorization {
                get = get.header(AUTHORIZATION, authorization);
            }
            let response = get.send().await?;
            if !response.status().is_redirection() {
                return match response.status().is_success() {
                    true => Ok(response),
                    false => Err(HttpError::of(&response)),
                };
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok()).ok_or_else(|| HttpError::of(&response))?;
            match archive.may_follow(&url, &next) {
                Some(with_credentials) => {
                    if !with_credentials {
                        authorization = None;
                    }
                    url = next;
                }
                None => return Err(HttpError::ForbiddenRedirect(host_of(&next))),
            }
        }
        Err(HttpError::ForbiddenRedirect(host_of(&url)))
    }

    /// One request to a provider's REST interface; the answer whole.
    pub(super) async fn ask(&self, request: ApiRequest) -> Result<Vec<u8>, HttpError> {
        let response = asked(&self.public, &request).send().await?;
        match response.status().is_success() {
            true => whole(response).await,
            false => Err(HttpError::of(&response)),
        }
    }

    /// The list of officers' telephones that were rung in a call. `None`: the provider does not want to be asked so, and the
    /// call is judged without.
    pub(super) async fn ask_for_legs(&self, listing: &dyn Listing, sid: &str) -> Result<Option<Vec<u8>>, HttpError> {
        match self.ask(listing.legs_request(sid)).await {
            Ok(json) => Ok(Some(json)),
            Err(failed) if failed.is_rejection() => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// One request to the exchange, sent once: the status and the body of its answer, whatever they say.
    pub async fn answer(&self, request: ApiRequest) -> Result<(u16, Vec<u8>), NoAnswer> {
        answer_to(asked(&self.own, &request)).await
    }

    /// The same of an operator, who may be far away and slow.
    pub async fn answer_from_afar(&self, request: ApiRequest) -> Result<(u16, Vec<u8>), NoAnswer> {
        answer_to(asked(&self.public, &request).timeout(OPERATOR_TIMEOUT)).await
    }
}

/// What every HTTP client of the service has in common: it follows no redirect by itself and asks no proxy. It can always
/// be built.
pub fn client_builder() -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("perezvon/", env!("CARGO_PKG_VERSION")))
}

/// Trusts the authorities of this machine; those of the binary where it has none, as a small server without the package
/// ca-certificates, or recordings would stay where they are.
fn tls() -> ClientConfig {
    // Several parts of this program may ask for it; after the first time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth()
}

fn built(client: ClientBuilder) -> Client {
    client.build().expect("these settings need nothing from outside")
}

fn asked(client: &Client, request: &ApiRequest) -> RequestBuilder {
    let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::GET);
    let asked = client.request(method, &request.url);
    match &request.authorization {
        Some(authorization) => asked.header(AUTHORIZATION, authorization),
        None => asked,
    }
}

async fn answer_to(asked: RequestBuilder) -> Result<(u16, Vec<u8>), NoAnswer> {
    let response = asked.send().await.map_err(|error| match error.is_connect() {
        true => NoAnswer::NothingSent(HttpError::from(error).to_string()),
        false => NoAnswer::Lost(HttpError::from(error).to_string()),
    })?;
    let status = response.status().as_u16();
    let body = whole(response).await.map_err(|error| NoAnswer::Lost(error.to_string()))?;
    Ok((status, body))
}

/// Timeout of a whole download. A long message over a thin uplink takes its time: a host that has gone is known by its
/// silence.
fn download_timeout(max_bytes: u64) -> Duration {
    Duration::from_secs(max_bytes / MIN_BYTES_PER_SECOND).max(MIN_DOWNLOAD_TIMEOUT)
}

async fn whole(mut response: Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(HttpError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or("nowhere").to_owned()
}

/// Names are resolved by the system, but only public addresses count: a name from a webhook may not lead into the
/// school's own network. `localhost` is left as it is; whether it may be asked at all is the configuration's word.
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let loopback_wanted = name.as_str() == "localhost";
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| loopback_wanted || is_public(address.ip())).collect();
            match allowed.is_empty() {
                true => Err("the name leads to no public address".into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes of 8 kHz, 16 bit are 9.6 MB.
    #[test]
    fn long_message_arrives_over_a_thin_uplink() {
        let takes = |kilobits_per_second: u64| Duration::from_secs(9_600_000 * 8 / 1000 / kilobits_per_second);
        assert!(takes(64) > QUESTION_TIMEOUT, "as long as a question may take is not enough");
        assert!(takes(64) < download_timeout(9_600_000));
        assert_eq!(download_timeout(1000), Duration::from_secs(3600));
        assert!(download_timeout(128 * 1024 * 1024) > Duration::from_secs(4 * 3600));
    }

    #[test]
    fn retry_after_is_seconds_or_an_http_date() {
        assert_eq!(RetryAfter::parse(" 120 "), Some(RetryAfter::Seconds(120)));
        let at = "2026-11-20T16:45:00Z".parse().unwrap();
        assert_eq!(RetryAfter::parse("Fri, 20 Nov 2026 16:45:00 GMT"), Some(RetryAfter::At(at)));
        for nothing in ["", "soon", "-5", "1.5"] {
            assert_eq!(RetryAfter::parse(nothing), None, "{nothing}");
        }
        assert!(matches!(RetryAfter::parse(&"9".repeat(40)), Some(RetryAfter::Seconds(many)) if many > 1 << 30));
    }
}
