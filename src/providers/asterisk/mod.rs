//! The school's own exchange: Asterisk with our dialplan (provider contract, Asterisk, style webhook). It asks once where a
//! call goes, plays the greeting and records by itself, and tells the end with the sound. What was not taken it repeats for
//! weeks, over restarts of either side.

mod dialler;
mod parse;

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use self::dialler::Rest;
pub use self::dialler::{digits, endpoint};
use self::parse::Clocks;
use super::form::is_form;
use super::{Dialler, Kind, LARGEST_FORM, Malformed, Parsed, Provider, RawRequest, Refused, Reply, TestCall, Verified};
use crate::core::phone::PhoneNumber;
use crate::core::script::{Step, Verb};
use crate::time::Timestamp;

/// The largest end of a call with its sound, bytes: ten minutes, the longest message a line may take, have 9.6 MB.
pub const LARGEST_SOUND: usize = 16 * 1024 * 1024;
/// The recording of a call: there is one at most.
const RECORDING: &str = "message";

/// How an exchange is believed and reached. Secrets are not printed.
#[derive(Clone)]
pub struct Settings {
    /// The configured name; the webhook path is `/webhooks/{name}/…`.
    pub name: Arc<str>,
    /// `https://calls.example.org`, without a slash at the end: as the exchange sees us.
    pub public_url: String,
    /// The bearer tokens any of which the exchange may send; several while rotating.
    pub tokens: Vec<String>,
    /// The name of its PJSIP endpoint towards the telephone company.
    pub trunk: String,
    /// `None`: it places no calls for us.
    pub ari: Option<Ari>,
}

/// The REST interface of an exchange.
#[derive(Clone)]
pub struct Ari {
    /// `http://127.0.0.1:8088/ari`, without a slash at the end.
    pub base: String,
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("trunk", &self.trunk)
            .field("ari", &self.ari.as_ref().map(|ari| &ari.base))
            .finish_non_exhaustive()
    }
}

/// Why a request is not the exchange's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongToken {
    #[error("the header Authorization is missing")]
    Missing,
    #[error("the header Authorization does not begin with «Bearer »")]
    NotBearer,
    #[error("the bearer token is another one; compare it with tokens in the configuration")]
    Another,
}

/// `Authorization: Bearer TOKEN`.
pub fn check_token(request: &RawRequest, tokens: &[String]) -> Result<(), WrongToken> {
    let value = request.header("authorization").ok_or(WrongToken::Missing)?;
    // The name of the scheme is written in letters of any size (RFC 9110 §11.1).
    let (scheme, given) = value.trim_start().split_once(' ').ok_or(WrongToken::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(WrongToken::NotBearer);
    }
    let given = given.trim();
    let known = tokens.iter().any(|token| !token.trim().is_empty() && equal(token, given));
    known.then_some(()).ok_or(WrongToken::Another)
}

/// Compares two secrets in a time that does not tell where they differ.
fn equal(a: &str, b: &str) -> bool {
    let mac = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"comparison").expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        mac
    };
    mac(a).verify(&mac(b).finalize().into_bytes()).is_ok()
}

/// What a webhook address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Incoming,
    Ended,
}

impl Endpoint {
    fn read(text: &str) -> Result<Self, Malformed> {
        match text {
            "incoming" => Ok(Self::Incoming),
            "ended" => Ok(Self::Ended),
            other => Err(Malformed::UnknownEndpoint(other.chars().take(60).collect())),
        }
    }
}

/// A configured exchange.
#[derive(Clone)]
pub struct Asterisk {
    settings: Settings,
    clocks: Clocks,
    /// `None`: it places no calls for us.
    rest: Option<Rest>,
}

impl fmt::Debug for Asterisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Asterisk {
    pub fn new(settings: Settings) -> Self {
        let rest = Rest::of(&settings);
        Self { settings, clocks: Clocks::Alike, rest }
    }

    /// The same exchange in a rehearsal, whose clock is not the world's.
    pub fn rehearsed(self) -> Self {
        Self { clocks: Clocks::Apart, ..self }
    }

    fn request(&self, endpoint: &str, form: &[(&str, &str)]) -> Option<RawRequest> {
        let token = self.settings.tokens.first()?;
        Some(RawRequest {
            method: "POST".to_owned(),
            target: format!("/webhooks/{}/{endpoint}", self.settings.name),
            endpoint: endpoint.to_owned(),
            headers: vec![
                ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
                ("authorization".to_owned(), format!("Bearer {token}")),
            ],
            body: form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into(),
        })
    }
}

impl Provider for Asterisk {
    fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    fn kind(&self) -> Kind {
        Kind::Asterisk
    }

    fn keys(&self) -> usize {
        self.settings.tokens.len()
    }

    /// Only who has the token may send as much as a message.
    fn admit(&self, request: &RawRequest) -> Result<usize, Refused> {
        check_token(request, &self.settings.tokens)?;
        match is_form(request.header("content-type")) {
            true => Ok(LARGEST_FORM),
            false => Ok(LARGEST_SOUND),
        }
    }

    fn verify<'a>(&self, request: &'a RawRequest, _: Timestamp) -> Result<Verified<'a>, Refused> {
        check_token(request, &self.settings.tokens)?;
        Ok(Verified(request))
    }

    fn step_at(&self, endpoint: &str) -> Option<Step> {
        matches!(Endpoint::read(endpoint), Ok(Endpoint::Incoming)).then_some(Step::Arrived)
    }

    fn parse(&self, verified: Verified<'_>, received_at: Timestamp) -> Result<Parsed, Malformed> {
        parse::parse(&self.settings, self.clocks, verified.0, received_at)
    }

    fn parse_kept(&self, request: &RawRequest, received_at: Timestamp) -> Result<Parsed, Malformed> {
        parse::parse_kept(&self.settings, self.clocks, request, received_at)
    }

    /// One word: whether officers' telephones ring first. What comes after it the exchange knows itself.
    fn render(&self, script: &[Verb]) -> Reply {
        let word = if matches!(script, [Verb::Dial { .. }, ..]) { "open" } else { "voicemail" };
        Reply { content_type: "text/plain; charset=utf-8", body: word.to_owned() }
    }

    fn nothing(&self) -> Reply {
        Reply { content_type: "text/plain; charset=utf-8", body: "ok".to_owned() }
    }

    fn test_call(&self, id: &str, dialled: &PhoneNumber, now: Timestamp) -> Option<TestCall> {
        let now = now.as_second().to_string();
        let call = [("id", id), ("line", dialled.e164()), ("from", ""), ("started", now.as_str())];
        let end =
            [("ended", now.as_str()), ("dial", ""), ("talk", ""), ("record", ""), ("callback", ""), ("cause", "0")];
        Some(TestCall {
            arrives: self.request("incoming", &call)?,
            ends: self.request("ended", &[&call[..], &end].concat())?,
            rings: "open",
            offers: "voicemail",
        })
    }

    fn dialler(&self) -> Option<&dyn Dialler> {
        self.rest.as_ref().map(|rest| rest as &dyn Dialler)
    }
}
