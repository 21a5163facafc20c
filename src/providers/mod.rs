//! Pure codecs between a telephony provider's wire and the words of `core`: raw bytes → verified → call events,
//! and scripts → replies. No IO, no clock. One provider family a folder.
//!
//! A provider's way through here: [`Provider::verify`] → [`Provider::parse`] → (the store applies the events) →
//! [`Provider::render`]; later [`Provider::recording_request`] and [`Provider::deletion_request`], and for calls whose
//! webhooks were lost [`Provider::call_request`] with [`Provider::parse_call`].

mod addresses;
mod configured;
pub mod twiml;

use std::fmt;
use std::sync::Arc;

use url::Url;

pub use self::addresses::{ForbiddenUrl, is_public};
pub use self::configured::Providers;
pub use self::twiml::signature::{
    Refused, check_ed25519_signature, check_form_signature, check_request, form_signature,
};
use crate::core::call::{CallEvent, CallKey};
use crate::core::script::{Step, Verb};
use crate::time::Timestamp;

/// One HTTP request of a provider, as it came.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The raw request target, `/webhooks/twilio/voice?x=1`, byte for byte: it is signed.
    pub target: String,
    /// What follows `/webhooks/{name}/` in the path: `voice`, `status`, `fallback`, or a step of our own.
    pub endpoint: String,
    /// Lower-case names, as they came.
    pub headers: Vec<(String, String)>,
    pub body: bytes::Bytes,
}

impl RawRequest {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How one configured provider is reached and believed. Secrets are not printed.
#[derive(Clone)]
pub struct Settings {
    /// The configured name; the webhook path is `/webhooks/{name}/…`.
    pub name: Arc<str>,
    pub signature: Signature,
    /// `https://calls.example.org`, without a slash at the end: as the provider sees us.
    pub public_url: String,
    pub account_sid: String,
    /// The tokens (or Signing Keys; for Telnyx the base64 public keys) any of which may sign. Several while rotating;
    /// the first one is sent when we ask the provider for something, unless there is an API token of its own.
    pub auth_tokens: Vec<String>,
    /// `https://api.twilio.com/2010-04-01`, without a slash at the end.
    pub api_base: String,
    /// Hosts that recordings may be fetched from. `http` is accepted for loopback addresses only.
    pub recording_hosts: Vec<String>,
    /// Voice and language of spoken text.
    pub voice: String,
    pub language: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("signature", &self.signature)
            .field("api_base", &self.api_base)
            .field("recording_hosts", &self.recording_hosts)
            .finish_non_exhaustive()
    }
}

/// Which TwiML dialect and signature a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// `X-Twilio-Signature`: Twilio and Somleng.
    Twilio,
    /// `X-SignalWire-Signature` or the Twilio name.
    SignalWire,
    /// Ed25519 over timestamp and body.
    Telnyx,
}

/// What a webhook says, in the words of `core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// `None`: kept raw, but it tells of no call of ours (for example an officer's leg of a dialled call).
    pub key: Option<CallKey>,
    pub events: Vec<CallEvent>,
    /// Set when the provider waits for a script: the place in the dialogue.
    pub step: Option<Step>,
}

/// A request whose signature has been checked; only [`Provider::verify`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a>(&'a RawRequest);

/// Why a verified request or a provider's answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// For the handler: 404. All other reasons are 400.
    #[error("there is no webhook address «{0}»")]
    UnknownEndpoint(String),
    #[error("the body is no form (application/x-www-form-urlencoded)")]
    NotAForm,
    #[error("the form has a percent sign without two hexadecimal digits after it")]
    PercentEncoding,
    #[error("the form is not UTF-8")]
    NotUtf8,
    #[error("the field {0} is missing")]
    Missing(&'static str),
    #[error("the field {field} is longer than {limit} bytes")]
    TooLong { field: &'static str, limit: usize },
    #[error("the field {0} contains a control character")]
    ControlCharacter(&'static str),
    #[error("the field {0} came twice with different values")]
    Contradiction(&'static str),
    #[error("the answer is not JSON as we know it: {0}")]
    Json(String),
}

/// What is sent back to a provider, with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub content_type: &'static str,
    pub body: String,
}

/// What a provider can do that another cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It can be asked later what it knows of a call and its recordings.
    pub can_be_asked: bool,
}

/// A request to the provider's API. The authorization is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiRequest {
    pub method: &'static str,
    pub url: String,
    /// The whole value of the `Authorization` header. Never to be sent to another host.
    pub authorization: Option<String>,
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// A `GET` for the sound of one recording. The authorization and the query, which may be a signature, are not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchRequest {
    pub url: Url,
    /// The whole value of the `Authorization` header. Redirects: see [`Provider::may_follow`].
    pub authorization: Option<String>,
    /// When the address has expired: asks for the recordings of the call anew, for [`Provider::parse_recordings`].
    pub fallback: Option<ApiRequest>,
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {}{}", self.url.host_str().unwrap_or(""), self.url.path())
    }
}

/// One configured provider: its dialect, its addresses and its secrets.
#[derive(Clone, Debug)]
pub struct Provider {
    settings: Settings,
    api_token: Option<ApiToken>,
    trusted: addresses::Trusted,
}

#[derive(Clone)]
struct ApiToken(String);

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Provider {
    pub fn new(settings: Settings) -> Self {
        let trusted = addresses::Trusted::new(&settings.api_base, &settings.recording_hosts);
        Self { settings, api_token: None, trusted }
    }

    /// Gives a token for asking the provider that is not the one that signs: SignalWire has a Signing Key beside its
    /// API token, Telnyx a public key beside its API key (provider contract, TwiML §8 and §9).
    pub fn with_api_token(mut self, token: impl Into<String>) -> Self {
        self.api_token = Some(ApiToken(token.into()));
        self
    }

    pub fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn capabilities(&self) -> Capabilities {
        Capabilities { can_be_asked: true }
    }

    /// Checks that the provider sent this, by its signature over the public address and the body.
    pub fn verify<'a>(&self, request: &'a RawRequest, now: Timestamp) -> Result<Verified<'a>, Refused> {
        let url = format!("{}{}", self.settings.public_url, request.target);
        check_request(self.settings.signature, &self.settings.auth_tokens, &url, request, now)?;
        Ok(Verified(request))
    }

    /// A form as this provider would send it to `endpoint`, with its signature: for a test call. `None`: only the provider
    /// itself can sign (Telnyx has the private key).
    pub fn signed_form(&self, endpoint: &str, form: &[(String, String)]) -> Option<RawRequest> {
        twiml::signature::signed_form(&self.settings, endpoint, form)
    }

    /// Reads what a request says. `received_at` is the instant of facts that carry no time of their own.
    pub fn parse(&self, verified: Verified<'_>, received_at: Timestamp) -> Result<Parsed, Malformed> {
        twiml::parse::parse(&self.settings, verified.0, received_at)
    }

    /// The script as the provider's document, never over its 64 kB.
    pub fn render(&self, script: &[Verb]) -> Reply {
        twiml::render::render(&self.settings, script)
    }

    /// The answer to whoever expects no script. An empty document instead of 204, since it is right for both kinds of
    /// request: should a dialogue request ever get it, the call ends without an error message.
    pub fn nothing(&self) -> Reply {
        self.render(&[])
    }

    /// How to fetch the sound of one recording. `url` is what the provider's event told, if it told any.
    ///
    /// # Errors
    /// When the address is not one that the configuration trusts: see [`ForbiddenUrl`].
    pub fn recording_request(
        &self,
        provider_call_id: &str,
        recording_id: &str,
        url: Option<&str>,
    ) -> Result<FetchRequest, ForbiddenUrl> {
        twiml::recordings::recording_request(self, provider_call_id, recording_id, url)
    }

    /// Whether a redirect while fetching a recording may be followed, and if so, with the credentials.
    /// The fetcher still has to refuse names that resolve to an address that is not [`is_public`].
    pub fn may_follow(&self, from: &Url, to: &Url) -> Option<bool> {
        self.trusted.may_follow(from, to)
    }

    /// Deletes a recording at the provider. `None`: it has no such operation. 404 counts as done.
    pub fn deletion_request(&self, recording_id: &str) -> Option<ApiRequest> {
        twiml::recordings::deletion_request(self, recording_id)
    }

    /// Asks how a call stands; the answer is for [`Provider::parse_call`].
    pub fn call_request(&self, provider_call_id: &str) -> ApiRequest {
        twiml::rest::call_request(self, provider_call_id)
    }

    /// Asks for the recordings of a call; the answer is for [`Provider::parse_recordings`].
    pub fn recordings_of_call_request(&self, provider_call_id: &str) -> ApiRequest {
        twiml::rest::recordings_of_call_request(self, provider_call_id)
    }

    /// Reads the answer to [`Provider::call_request`] as the events the lost webhooks would have told.
    pub fn parse_call(&self, json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
        twiml::rest::parse_call(json, key, now)
    }

    /// Reads a list of recordings, or a single one, as events. Recordings of other calls and those that are no
    /// messages (whole-call recordings) are passed over.
    pub fn parse_recordings(&self, json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
        twiml::rest::parse_recordings(json, key, now)
    }
}
