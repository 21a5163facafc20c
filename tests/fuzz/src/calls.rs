//! Requests of providers, and their answers to us.

use bytes::Bytes;
use perezvon::core::call::CallKey;
use perezvon::providers::twiml::{Settings, Signature, Twiml, form_signature};
use perezvon::providers::{Provider, RawRequest, asterisk, listing_of};
use perezvon::time::Timestamp;

const URL: &str = "https://calls.example.org";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn now() -> Timestamp {
    Timestamp::from_second(1_764_000_247).expect("it is in 2025")
}

/// The first line of an input names what it is for, in words that a mutation may break: then the first choice is meant.
fn head_and_body(input: &[u8]) -> (Vec<&str>, &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let body = input.get(end + 1..).unwrap_or_default();
    (std::str::from_utf8(&input[..end]).unwrap_or("").split(' ').collect(), body)
}

fn dialect(word: Option<&&str>) -> Signature {
    match word {
        Some(&"telnyx") => Signature::Telnyx,
        Some(&"signalwire") => Signature::SignalWire,
        _ => Signature::Twilio,
    }
}

fn provider(signature: Signature) -> Twiml {
    Twiml::new(Settings {
        name: "twilio".into(),
        signature,
        public_url: URL.to_owned(),
        account_sid: "AC1".to_owned(),
        auth_tokens: vec![TOKEN.to_owned()],
        api_base: "https://api.twilio.com/2010-04-01".to_owned(),
        recording_hosts: vec!["api.twilio.com".to_owned()],
        voice: String::new(),
        language: "ru-RU".to_owned(),
    })
}

fn request(method: &str, endpoint: &str, content_type: &str, body: &[u8]) -> RawRequest {
    let is_get = method == "GET";
    let query = if is_get { String::from_utf8_lossy(body).into_owned() } else { String::new() };
    RawRequest {
        method: method.to_owned(),
        target: format!("/webhooks/twilio/{endpoint}?{query}"),
        endpoint: endpoint.to_owned(),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: if is_get { Bytes::new() } else { Bytes::copy_from_slice(body) },
    }
}

/// Is read alike twice, tells nothing of the future, and who waits for a document gets one whatever he sent.
pub fn twiml(input: &[u8]) {
    let (head, body) = head_and_body(input);
    let provider = provider(dialect(head.first()));
    let method = if head.get(1) == Some(&"GET") { "GET" } else { "POST" };
    let endpoint = head.get(2).copied().unwrap_or("voice");
    let request = request(method, endpoint, "application/x-www-form-urlencoded", body);
    let parsed = provider.parse_kept(&request, now());
    assert_eq!(parsed, provider.parse_kept(&request, now()));
    assert!(provider.step_at(endpoint).is_none() || parsed.is_ok(), "a caller waits: {parsed:?}");
    for event in parsed.iter().flat_map(|parsed| &parsed.events) {
        assert!(event.at <= now(), "{event:?}");
    }
}

/// What is signed is believed, and not where one byte of the signature is another.
pub fn twiml_signature(input: &[u8]) {
    let (head, body) = head_and_body(input);
    let signature = dialect(head.first());
    let provider = provider(signature);
    let mut request = request("POST", "voice", "application/x-www-form-urlencoded", body);
    let header = head.get(1).map_or(String::new(), |word| (*word).to_owned());
    for name in ["x-twilio-signature", "telnyx-signature-ed25519", "telnyx-timestamp"] {
        request.headers.push((name.to_owned(), header.clone()));
    }
    if let Err(refused) = provider.verify(&request, now()).map(drop) {
        let explained = provider.explain(&request, refused).to_string();
        assert!(!explained.contains(TOKEN), "{explained}");
    }
    let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    if signature != Signature::Telnyx && fields.len() <= 200 {
        let url = format!("{URL}{}", request.target);
        let signed = form_signature(TOKEN, &url, &fields);
        request.headers = vec![("x-twilio-signature".to_owned(), signed.clone())];
        assert!(provider.verify(&request, now()).is_ok(), "{signed}");
        let other = if signed.starts_with('A') { 'B' } else { 'A' };
        request.headers = vec![("x-twilio-signature".to_owned(), format!("{other}{}", &signed[1..]))];
        assert!(provider.verify(&request, now()).is_err());
    }
}

/// Answers of the provider's interface.
pub fn twiml_lists(json: &[u8]) {
    for signature in [Signature::Twilio, Signature::SignalWire, Signature::Telnyx] {
        let provider = provider(signature);
        let key = CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() };
        if let Some(archive) = provider.archive() {
            for events in [archive.parse_call(json, &key, now()), archive.parse_recordings(json, &key, now())] {
                assert!(events.into_iter().flatten().all(|event| event.at <= now()));
            }
        }
        if let Ok(listing) = listing_of(&provider) {
            let calls = listing.parse_call_page(json, now());
            assert!(calls.iter().flat_map(|page| &page.entries).all(|call| call.started_at.is_none_or(|at| at <= now())));
            drop(listing.parse_recording_page(json, now()));
            drop(listing.parse_numbers(json));
        }
    }
}

/// Requests of an exchange, forms and forms of several parts.
pub fn asterisk(input: &[u8]) {
    let (head, body) = head_and_body(input);
    let provider = asterisk::Asterisk::new(asterisk::Settings {
        name: "asterisk".into(),
        public_url: URL.to_owned(),
        tokens: vec![TOKEN.to_owned()],
        trunk: "trunk".to_owned(),
        ari: None,
    });
    let endpoint = head.first().copied().unwrap_or("incoming");
    let content_type = match head.get(1) {
        Some(&"multipart") => "multipart/form-data; boundary=x",
        _ => "application/x-www-form-urlencoded",
    };
    let request = request("POST", endpoint, content_type, body);
    let parsed = provider.parse_kept(&request, now());
    assert!(parsed.iter().flat_map(|parsed| &parsed.events).all(|event| event.at <= now()), "{parsed:?}");
}
