//! The TwiML family: Twilio, SignalWire cXML, Telnyx TeXML, Somleng. One codec, three small dialects.
//! Facts come from the provider contract, TwiML; the sections are named where they matter.

pub mod parse;
pub mod recordings;
pub mod render;
pub mod rest;
pub mod signature;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod snapshots_of_the_dialogue;

use std::fmt::Write as _;

use super::Settings;
use crate::core::script::Step;

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
