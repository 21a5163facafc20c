//! What the tests of this folder share: a made-up configuration of each dialect, and events in short.

use super::{Settings, Signature, Twiml};
use crate::core::call::{CallEvent, Direction, Fact};
use crate::time::Timestamp;

/// A made-up configuration of each dialect.
pub(super) fn provider(signature: Signature) -> Twiml {
    let (name, api_base, hosts) = match signature {
        Signature::Twilio => ("twilio", "https://api.twilio.com/2010-04-01", vec!["api.twilio.com"]),
        Signature::SignalWire => ("signalwire", "https://school.signalwire.com/api/laml/2010-04-01", vec![]),
        Signature::Telnyx => ("telnyx", "https://api.telnyx.com/v2/texml", vec!["s3.amazonaws.com"]),
    };
    Twiml::new(Settings {
        name: name.into(),
        signature,
        public_url: "https://calls.example.org".to_owned(),
        account_sid: "AC1".to_owned(),
        auth_tokens: vec!["secret".to_owned()],
        api_base: api_base.to_owned(),
        recording_hosts: hosts.into_iter().map(str::to_owned).collect(),
        voice: "Polly.Tatyana".to_owned(),
        language: "ru-RU".to_owned(),
    })
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the requests of these tests come in: 1.5 s after the time that stands in the files.
pub(super) fn received_at() -> Timestamp {
    at("2025-11-24T16:04:06.500Z")
}

/// Events in short: seconds relative to the reception, then the fact.
pub(super) fn told(events: &[CallEvent]) -> Vec<String> {
    let fact = |fact: &Fact| match fact {
        Fact::Parties { direction, dialled, forwarded_from, caller } => format!(
            "{} {} calls {dialled}{}",
            if *direction == Direction::Inbound { "in:" } else { "out:" },
            caller.number.as_ref().map_or("withheld", |number| number.e164()),
            forwarded_from.as_ref().map_or(String::new(), |number| format!(" by way of {number}"))
        ),
        Fact::Rang { ringing, talk_seconds } => format!("{ringing:?} {}", talk_seconds.map_or(-1, i64::from)),
        Fact::Recording { id, state, url, length_seconds } => format!(
            "recording {id} {state:?} {} {}",
            length_seconds.map_or(-1, i64::from),
            if url.is_some() { "with url" } else { "without url" }
        ),
        Fact::Keyed { digits } => format!("keyed {digits}"),
        Fact::Answered | Fact::MessageOver | Fact::Ended | Fact::Restored => format!("{fact:?}"),
    };
    let seconds = |event: &CallEvent| (event.at.as_millisecond() - received_at().as_millisecond()) as f64 / 1000.0;
    events.iter().map(|event| format!("{} {}", seconds(event), fact(&event.fact))).collect()
}
