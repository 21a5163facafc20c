//! Pure codecs between a telephony provider's wire and the words of `core`: raw bytes → verified → call events,
//! and scripts → replies. No IO, no clock. One provider family a file.
//!
//! A provider's way through here: [`Provider::verify`] → [`Provider::parse`] → (the store applies the events) →
//! [`Provider::render`]; later [`Provider::recording_request`] and [`Provider::deletion_request`].

use std::sync::Arc;

use crate::core::call::{CallEvent, CallKey};
use crate::core::script::Step;

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
    /// the first one is sent when we ask the provider for something.
    pub auth_tokens: Vec<String>,
    /// `https://api.twilio.com/2010-04-01`, without a slash at the end.
    pub api_base: String,
    /// Hosts that recordings may be fetched from. `http` is accepted for loopback addresses only.
    pub recording_hosts: Vec<String>,
    /// Voice and language of spoken text.
    pub voice: String,
    pub language: String,
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

// STUB until the codec lands.
pub struct Verified<'a>(&'a RawRequest);
pub enum Malformed { UnknownEndpoint(String) }
impl std::fmt::Display for Malformed { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
pub struct Reply { pub content_type: &'static str, pub body: String }
pub struct Provider { settings: Settings }
impl RawRequest { pub fn header(&self, _: &str) -> Option<&str> { None } }
impl Provider {
    pub fn name(&self) -> &Arc<str> { &self.settings.name }
    pub fn verify<'a>(&self, r: &'a RawRequest, _: crate::time::Timestamp) -> Result<Verified<'a>, Malformed> { Ok(Verified(r)) }
    pub fn parse(&self, v: Verified<'_>, _: crate::time::Timestamp) -> Result<Parsed, Malformed> { let _ = v.0; todo!() }
    pub fn render(&self, _: &[crate::core::script::Verb]) -> Reply { todo!() }
    pub fn nothing(&self) -> Reply { todo!() }
    pub fn can_be_asked(&self) -> bool { true }
}
#[derive(Clone, Default)]
pub struct Providers(Arc<std::collections::HashMap<String, Provider>>);
impl Providers { pub fn get(&self, name: &str) -> Option<&Provider> { self.0.get(name) } }
