//! The TwiML family: Twilio, SignalWire cXML, Telnyx TeXML, Somleng. One codec, three small dialects.
//! Facts come from the provider contract, TwiML; the sections are named where they matter.

mod borders;
pub mod listing;
pub mod parse;
pub mod recordings;
pub mod render;
pub mod rest;
pub mod signature;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod snapshots_of_the_dialogue;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use url::Url;

pub use self::signature::{check_ed25519_signature, check_form_signature, check_request, explain, form_signature};
use super::addresses::Trusted;
use super::{
    ApiRequest, Archive, FetchRequest, ForbiddenUrl, Kind, LARGEST_FORM, List, ListedCall, ListedNumber,
    ListedRecording, Listing, Malformed, NoListing, Page, Parsed, Provider, RawRequest, Refused, Reply, TestCall,
    Verified,
};
use crate::core::call::{CallEvent, CallKey};
use crate::core::phone::PhoneNumber;
use crate::core::script::{Step, Verb};
use crate::time::Timestamp;

/// The largest form for which the reason of a wrong signature is looked for, bytes. Genuine forms stay below it.
const MAX_EXPLAINED_BYTES: usize = 8 * 1024;

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

/// A provider of this family: its dialect, its addresses and its secrets.
#[derive(Clone, Debug)]
pub struct Twiml {
    settings: Settings,
    api_token: Option<ApiToken>,
    trusted: Trusted,
}

#[derive(Clone)]
struct ApiToken(String);

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Twiml {
    pub fn new(settings: Settings) -> Self {
        let trusted = Trusted::new(&settings.api_base, &settings.recording_hosts);
        Self { settings, api_token: None, trusted }
    }

    /// Gives a token for asking the provider that is not the one that signs: SignalWire has a Signing Key beside its
    /// API token, Telnyx a public key beside its API key (provider contract, TwiML §8 and §9).
    pub fn with_api_token(mut self, token: impl Into<String>) -> Self {
        self.api_token = Some(ApiToken(token.into()));
        self
    }

    /// The address of this request as the provider knows it.
    fn signed_url(&self, request: &RawRequest) -> String {
        format!("{}{}", self.settings.public_url, request.target)
    }
}

impl Provider for Twiml {
    fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    fn kind(&self) -> Kind {
        Kind::Twiml
    }

    fn keys(&self) -> usize {
        self.settings.auth_tokens.len()
    }

    /// The signature is over the body: its head tells nothing.
    fn admit(&self, _: &RawRequest) -> Result<usize, Refused> {
        Ok(LARGEST_FORM)
    }

    /// By its signature over the public address and the body.
    fn verify<'a>(&self, request: &'a RawRequest, now: Timestamp) -> Result<Verified<'a>, Refused> {
        check_request(self.settings.signature, &self.settings.auth_tokens, &self.signed_url(request), request, now)?;
        Ok(Verified(request))
    }

    fn explain(&self, request: &RawRequest, refused: Refused) -> Refused {
        let Settings { signature, auth_tokens, .. } = &self.settings;
        match refused {
            Refused::Signature(refused) if request.body.len() <= MAX_EXPLAINED_BYTES => {
                explain(*signature, auth_tokens, &self.signed_url(request), request, refused).into()
            }
            refused => refused,
        }
    }

    fn step_at(&self, endpoint: &str) -> Option<Step> {
        match Endpoint::read(endpoint)? {
            Endpoint::Dialogue(step) => Some(step),
            Endpoint::Status | Endpoint::Recording => None,
        }
    }

    fn parse(&self, verified: Verified<'_>, received_at: Timestamp) -> Result<Parsed, Malformed> {
        parse::parse(&self.settings, verified.0, received_at)
    }

    /// The script as a document, never over the 64 kB that all dialects take.
    fn render(&self, script: &[Verb]) -> Reply {
        render::render(&self.settings, script)
    }

    /// An empty document instead of 204, since it is right for both kinds of request: should a dialogue request ever get
    /// it, the call ends without an error message.
    fn nothing(&self) -> Reply {
        self.render(&[])
    }

    fn test_call(&self, id: &str, dialled: &PhoneNumber, _: Timestamp) -> Option<TestCall> {
        let form = |status: &str| {
            [
                ("CallSid", id),
                ("AccountSid", &self.settings.account_sid),
                ("From", "anonymous"),
                ("To", dialled.e164()),
                ("Direction", "inbound"),
                ("CallStatus", status),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Some(TestCall {
            arrives: signature::signed_form(&self.settings, "voice", &form("ringing"))?,
            ends: signature::signed_form(&self.settings, "status", &form("completed"))?,
            rings: "<Dial",
            offers: "<Record",
        })
    }

    fn archive(&self) -> Option<&dyn Archive> {
        Some(self)
    }
}

impl Archive for Twiml {
    fn access_digest(&self) -> String {
        let Settings { account_sid, auth_tokens, api_base, recording_hosts, .. } = &self.settings;
        let token = self.api_token.as_ref().map_or("", |token| &token.0);
        let parts = [account_sid.as_str(), api_base, token].into_iter();
        let parts = parts.chain(auth_tokens.iter().chain(recording_hosts).map(String::as_str));
        let mut sum = Sha256::new();
        parts.for_each(|part| {
            sum.update((part.len() as u64).to_le_bytes());
            sum.update(part);
        });
        sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn recording_request(
        &self,
        provider_call_id: &str,
        recording_id: &str,
        url: Option<&str>,
    ) -> Result<FetchRequest, ForbiddenUrl> {
        recordings::recording_request(self, provider_call_id, recording_id, url)
    }

    fn may_follow(&self, from: &Url, to: &Url) -> Option<bool> {
        self.trusted.may_follow(from, to)
    }

    fn deletion_request(&self, recording_id: &str) -> Option<ApiRequest> {
        recordings::deletion_request(self, recording_id)
    }

    fn call_request(&self, provider_call_id: &str) -> ApiRequest {
        rest::call_request(self, provider_call_id)
    }

    fn recordings_of_call_request(&self, provider_call_id: &str) -> ApiRequest {
        rest::recordings_of_call_request(self, provider_call_id)
    }

    fn parse_call(&self, json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
        rest::parse_call(json, key, now)
    }

    fn parse_recordings(&self, json: &[u8], key: &CallKey, now: Timestamp) -> Result<Vec<CallEvent>, Malformed> {
        rest::parse_recordings(json, key, now)
    }

    fn listing(&self) -> Result<&dyn Listing, NoListing> {
        listing::availability(self).map(|()| self as &dyn Listing)
    }
}

impl Listing for Twiml {
    fn list_request(&self, list: List, since: Timestamp) -> ApiRequest {
        listing::list_request(self, list, since)
    }

    fn legs_request(&self, provider_call_id: &str) -> ApiRequest {
        listing::legs_request(self, provider_call_id)
    }

    fn page_request(&self, address: &str) -> Result<ApiRequest, ForbiddenUrl> {
        listing::page_request(self, address)
    }

    fn parse_call_page(&self, json: &[u8], now: Timestamp) -> Result<Page<ListedCall>, Malformed> {
        listing::parse_call_page(self, json, now)
    }

    fn parse_recording_page(&self, json: &[u8], now: Timestamp) -> Result<Page<ListedRecording>, Malformed> {
        listing::parse_recording_page(self, json, now)
    }

    fn numbers_request(&self) -> Option<ApiRequest> {
        listing::numbers_request(self)
    }

    fn parse_numbers(&self, json: &[u8]) -> Result<Vec<ListedNumber>, Malformed> {
        listing::parse_numbers(self, json)
    }
}

/// What a webhook address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The provider waits for a script.
    Dialogue(Step),
    /// The call's own status callback.
    Status,
    /// The callback of a recording that our script began.
    Recording,
}

impl Endpoint {
    /// Reads what follows `/webhooks/{name}/`. `voice`, `status` and `fallback` are set at the provider, the others are
    /// our own and stand in our replies. Paths instead of a query, for a query may arrive in another order than it was
    /// signed in (provider contract, TwiML §8).
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(match text {
            "voice" => Self::Dialogue(Step::Arrived),
            "fallback" => Self::Dialogue(Step::Fallback),
            "signal" => Self::Dialogue(Step::Signal),
            "message" => Self::Dialogue(Step::MessageOver),
            "status" => Self::Status,
            "recording" => Self::Recording,
            _ => match text.split_once('/')? {
                ("dialled", number) => Self::Dialogue(Step::Dialled(small_number(number)?)),
                ("keyed", number) => Self::Dialogue(Step::Keyed(small_number(number)?)),
                _ => return None,
            },
        })
    }

    pub(super) fn path(self) -> String {
        match self {
            Self::Dialogue(Step::Arrived) => "voice".to_owned(),
            Self::Dialogue(Step::Fallback) => "fallback".to_owned(),
            Self::Dialogue(Step::Signal) => "signal".to_owned(),
            Self::Dialogue(Step::MessageOver) => "message".to_owned(),
            Self::Dialogue(Step::Dialled(phone)) => format!("dialled/{phone}"),
            Self::Dialogue(Step::Keyed(asked)) => format!("keyed/{asked}"),
            Self::Status => "status".to_owned(),
            Self::Recording => "recording".to_owned(),
        }
    }

    /// The whole address, as it is written into a document. Absolute: Somleng does not resolve all relative ones.
    pub(super) fn url(self, settings: &Settings) -> String {
        format!("{}/webhooks/{}/{}", settings.public_url, path_segment(&settings.name), self.path())
    }
}

/// One spelling for one number, so that one step has one address.
fn small_number(text: &str) -> Option<usize> {
    let canonical = matches!(text.as_bytes(), [b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
    canonical.then(|| text.parse().ok()).flatten()
}

/// A text as one segment of a URL path, whatever it looks like. A segment of dots alone would climb up the path even
/// when its dots are percent-encoded, so their percent signs are encoded once more: no such thing exists anywhere.
fn path_segment(text: &str) -> String {
    if matches!(text, "." | "..") {
        return text.replace('.', "%252E");
    }
    text.bytes().fold(String::with_capacity(text.len()), |mut segment, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => segment.push(byte.into()),
            _ => write!(segment, "%{byte:02X}").expect("writing to memory does not fail"),
        }
        segment
    })
}
