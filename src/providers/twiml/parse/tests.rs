//! What requests say, from files as the four providers send them.

use proptest::prelude::*;

use super::super::super::*;
use super::super::examples::{provider, received_at, told};
use super::super::{Signature, signature};
use crate::core::call::{DERIVED_ID, Direction, Fact};

fn request(method: &str, endpoint: &str, target: &str, body: impl Into<bytes::Bytes>) -> RawRequest {
    RawRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        endpoint: endpoint.to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded; charset=UTF-8".to_owned())],
        body: body.into(),
    }
}

fn parse(endpoint: &str, body: &[u8]) -> Result<Parsed, Malformed> {
    parse_of(Signature::Twilio, endpoint, body)
}

fn parse_of(signature: Signature, endpoint: &str, body: &[u8]) -> Result<Parsed, Malformed> {
    let request = request("POST", endpoint, "/", body.to_vec());
    provider(signature).parse(Verified(&request), received_at())
}

const CALL: &str = "0 in: +79280000001 calls +79288328088";
const STAFF: &str = "0 in: +79280000001 calls +79288036355";

/// File, its bytes, the endpoint, and what is told.
type Row = ((&'static str, &'static [u8]), &'static str, &'static [&'static str]);

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../tests/data/twiml/", $name, ".form")).as_slice())
    };
}

#[test]
fn requests_of_all_four_providers_tell_what_happened() {
    let table: &[Row] = &[
        (file!("twilio_voice"), "voice", &[CALL]),
        (file!("twilio_voice_forwarded"), "voice", &["0 in: +79280000001 calls +78001234567 by way of +79288328088"]),
        (file!("twilio_voice_withheld"), "voice", &["0 in: withheld calls +79288328088"]),
        (file!("twilio_dialled_busy"), "dialled/0", &[CALL, "0 Answered", "0 Busy -1"]),
        (file!("twilio_dialled_answered"), "dialled/1", &[CALL, "0 Answered", "0 Answered 75"]),
        (file!("twilio_dialled_not_bridged"), "dialled/0", &[CALL, "0 Answered", "0 NoAnswer -1"]),
        (file!("twilio_signal"), "signal", &[CALL, "0 Answered"]),
        (
            file!("twilio_message_hung_up"),
            "message",
            &[CALL, "0 Ended", "0 MessageOver", "0 recording RE22222222222222222222222222222222 Completed 17 with url"],
        ),
        (file!("twilio_keyed"), "keyed/0", &[CALL, "0 Answered", "0 keyed 89281112233"]),
        (
            file!("twilio_recording_completed"),
            "recording",
            &["-25.5 recording RE22222222222222222222222222222222 Completed 17 with url"],
        ),
        (
            file!("twilio_recording_absent"),
            "recording",
            &["-25.5 recording RE22222222222222222222222222222222 Absent -1 with url"],
        ),
        (file!("twilio_status_completed"), "status", &["-22.5 in: +79280000001 calls +79288328088", "-1.5 Ended"]),
        (file!("twilio_status_officers_leg"), "status", &[]),
        (
            file!("twilio_status_outbound_completed"),
            "status",
            &["-41.5 out: +79288328088 calls +79280000001", "-41.5 Answered", "-1.5 Ended"],
        ),
        (file!("twilio_status_outbound_busy"), "status", &["-1.5 out: +79288328088 calls +79280000001", "-1.5 Ended"]),
        (file!("twilio_fallback"), "fallback", &[CALL]),
        (file!("signalwire_voice"), "voice", &[STAFF]),
        (
            file!("signalwire_message_empty"),
            "message",
            &[
                STAFF,
                "0 Answered",
                "0 MessageOver",
                "0 recording 7e57d004-2b97-4e7a-b45f-5387367791cd Absent 0 with url",
            ],
        ),
        (
            file!("signalwire_message"),
            "message",
            &[
                STAFF,
                "0 Answered",
                "0 MessageOver",
                "0 recording 7e57d004-2b97-4e7a-b45f-5387367791cd Completed 9 with url",
            ],
        ),
        (file!("signalwire_status_no_answer"), "status", &["-1.5 in: +79280000001 calls +79288036355", "-1.5 Ended"]),
        (file!("telnyx_voice"), "voice", &[STAFF]),
        (
            file!("telnyx_recording_completed"),
            "recording",
            &["0 recording 35094891-3290-4142-b2c2-b2eda57534cf Completed 5 with url"],
        ),
        (
            file!("telnyx_recording_in_progress"),
            "recording",
            &["0 recording 35094891-3290-4142-b2c2-b2eda57534cf Begun -1 without url"],
        ),
        (file!("telnyx_status_completed"), "status", &["-31.5 in: +79280000001 calls +79288036355", "-1.5 Ended"]),
        (file!("somleng_voice"), "voice", &["0 in: +79280000001 calls 79288036355"]),
        (
            file!("somleng_message"),
            "message",
            &[
                STAFF,
                "0 Answered",
                "0 MessageOver",
                "0 recording 5f0c4a1e-9d9c-4b6a-8a38-000000000009 Completed 12 with url",
            ],
        ),
        (file!("somleng_status_completed"), "status", &["-49.5 in: +79280000001 calls +79288036355", "-1.5 Ended"]),
    ];
    for ((name, body), endpoint, expected) in table {
        let signature = if name.starts_with("telnyx") { Signature::Telnyx } else { Signature::Twilio };
        let parsed = parse_of(signature, endpoint, body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(told(&parsed.events), *expected, "{name}");
        assert_eq!(parsed.key.is_some(), *name != "twilio_status_officers_leg", "{name}");
        let is_dialogue = !matches!(*endpoint, "status" | "recording");
        assert_eq!(parsed.step.is_some(), is_dialogue, "{name}");
    }
}

#[test]
fn the_step_stands_in_the_path_and_nothing_else_is_a_webhook() {
    let step = |endpoint: &str| parse(endpoint, b"CallSid=CA1&RecordingStatus=absent&RecordingSid=RE1");
    for (endpoint, expected) in [
        ("voice", Step::Arrived),
        ("fallback", Step::Fallback),
        ("signal", Step::Signal),
        ("message", Step::MessageOver),
        ("dialled/0", Step::Dialled(0)),
        ("dialled/12", Step::Dialled(12)),
        ("keyed/1", Step::Keyed(1)),
    ] {
        assert_eq!(step(endpoint).unwrap().step, Some(expected), "{endpoint}");
        assert_eq!(super::Endpoint::Dialogue(expected).path(), endpoint);
    }
    for endpoint in ["status", "recording"] {
        assert_eq!(step(endpoint).unwrap().step, None, "{endpoint}");
    }
    for endpoint in [
        "",
        "Voice",
        "voice/",
        "voices",
        "dialled",
        "dialled/",
        "dialled/00",
        "dialled/-1",
        "dialled/+1",
        "dialled/100",
        "dialled/0/0",
        "keyed/x",
        "../voice",
    ] {
        assert_eq!(step(endpoint), Err(Malformed::UnknownEndpoint(endpoint.to_owned())));
    }
}

#[test]
fn a_get_is_read_from_its_query_and_a_post_from_its_body_only() {
    let provider = provider(Signature::Twilio);
    let get = request("GET", "voice", "/webhooks/twilio/voice?CallSid=CA1&To=%2B79288328088", "CallSid=CA2");
    let parsed = provider.parse(Verified(&get), received_at()).unwrap();
    assert_eq!(parsed.key.unwrap().provider_call_id, "CA1");
    assert_eq!(parsed.step, Some(Step::Arrived));
    let post = request("POST", "status", "/webhooks/twilio/status?CallSid=CA1", "");
    assert_eq!(provider.parse(Verified(&post), received_at()), Err(Malformed::Missing("CallSid")));
}

#[test]
fn callback_that_makes_no_sense_is_refused_with_its_reason() {
    for (endpoint, body, reason) in [
        ("status", "From=%2B79280000001", Malformed::Missing("CallSid")),
        ("status", "CallSid=", Malformed::Missing("CallSid")),
        ("recording", "CallSid=CA1&CallSid=CA2", Malformed::Contradiction("CallSid")),
        ("recording", "CallSid=CA1", Malformed::Missing("RecordingStatus")),
        ("recording", "CallSid=CA1&RecordingStatus=completed", Malformed::Missing("RecordingSid")),
    ] {
        assert_eq!(parse(endpoint, body.as_bytes()), Err(reason), "{body:.60}");
    }
    let mut json = request("POST", "status", "/", "{}");
    json.headers[0].1 = "application/json".to_owned();
    assert_eq!(provider(Signature::Twilio).parse(Verified(&json), received_at()), Err(Malformed::NotAForm));
}

#[derive(serde::Deserialize)]
struct Unreadable {
    what: String,
    /// Latin-1: each character is a byte of the body.
    body: String,
    caller: Option<String>,
    /// `None`: derived from the bytes.
    id: Option<String>,
}

#[test]
fn caller_is_never_refused_for_an_unreadable_request() {
    let cases: Vec<Unreadable> =
        serde_json::from_str(include_str!("../../../../tests/data/cases/unreadable_twiml.json")).unwrap();
    for Unreadable { what, body, caller, id } in cases {
        let body: Vec<u8> = body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        for (endpoint, step) in [
            ("voice", Step::Arrived),
            ("fallback", Step::Fallback),
            ("signal", Step::Signal),
            ("message", Step::MessageOver),
            ("dialled/0", Step::Dialled(0)),
            ("keyed/0", Step::Keyed(0)),
        ] {
            let parsed = parse(endpoint, &body).unwrap_or_else(|error| panic!("{what}, {endpoint}: {error}"));
            assert_eq!(parsed.step, Some(step), "{what}, {endpoint}");
            let key = parsed.key.unwrap().provider_call_id;
            match &id {
                Some(id) => assert_eq!(&key, id, "{what}"),
                None => assert!(key.starts_with(DERIVED_ID) && key.len() < 100, "{what}: {key}"),
            }
            let told = parsed.events.iter().find_map(|event| match &event.fact {
                Fact::Parties { caller, direction: Direction::Inbound, .. } => caller.number.as_ref(),
                _ => None,
            });
            assert_eq!(told.map(|number| number.e164().to_owned()), caller, "{what}, {endpoint}");
            assert_eq!(parse(endpoint, &body).unwrap().key.unwrap().provider_call_id, key, "{what}: told again");
        }
    }
}

#[test]
fn long_id_is_the_same_call_in_every_request() {
    let id = "x".repeat(300);
    let key = |endpoint: &str, more: &str| parse(endpoint, format!("CallSid={id}&{more}").as_bytes()).unwrap().key;
    assert_eq!(key("voice", "CallStatus=ringing"), key("status", "CallStatus=completed"));
    assert!(key("voice", "").is_some_and(|key| key.provider_call_id.starts_with(DERIVED_ID)));
}

#[test]
fn call_without_an_id_is_over_at_once() {
    let arrived = parse("voice", b"From=%2B79280000001&To=%2B79288328088").unwrap();
    assert_eq!(told(&arrived.events), [CALL, "0 Ended"]);
    assert_eq!(arrived.oddity, Some(Malformed::Missing("CallSid")));
    let request = request("POST", "voice", "/", "From=%2B79280000001&To=%2B79288328088");
    let key = |minutes| {
        let at = received_at() + crate::time::SignedDuration::from_mins(minutes);
        provider(Signature::Twilio).parse(Verified(&request), at).unwrap().key
    };
    assert_eq!(key(0), arrived.key, "told again");
    assert_ne!(key(60), arrived.key, "another call");
}

#[test]
fn words_of_a_provider_are_read_in_every_spelling() {
    let events = |endpoint: &str, fields: &str| {
        told(&parse(endpoint, format!("CallSid=CA1&{fields}").as_bytes()).unwrap().events)
    };
    for word in
        ["completed", "COMPLETED", "Completed", "cancelled", "CANCELED", "no_answer", "No-Answer", "noanswer", "Busy"]
    {
        assert_eq!(events("status", &format!("CallStatus={word}")), ["0 Ended"], "{word}");
    }
    for word in ["in-progress", "In_Progress", "IN-PROGRESS", "inprogress", "Answered"] {
        assert_eq!(events("status", &format!("CallStatus={word}")), ["0 Answered"], "{word}");
    }
    for (word, expected) in [
        ("ANSWERED", "0 Answered 5"),
        ("answer", "0 Answered 5"),
        ("Completed", "0 Answered 5"),
        ("NO_ANSWER", "0 NoAnswer -1"),
        ("Cancelled", "0 Cancelled -1"),
        ("BUSY", "0 Busy -1"),
    ] {
        assert_eq!(events("dialled/0", &format!("DialCallDuration=5&DialCallStatus={word}")), [expected], "{word}");
    }
    assert_eq!(events("dialled/0", "DialCallDuration=5&DialCallStatus=completed&DialBridged=False"), ["0 NoAnswer -1"]);
    for (word, state) in [("COMPLETED", "Completed"), ("Absent", "Absent"), ("FAILED", "Failed")] {
        let recording = events("recording", &format!("RecordingSid=RE1&RecordingStatus={word}"));
        assert_eq!(recording, [format!("0 recording RE1 {state} -1 without url")], "{word}");
    }
    for word in ["outbound-dial", "Outbound-Dial", "OUTBOUND_DIAL"] {
        assert_eq!(parse("status", format!("CallSid=CA1&Direction={word}").as_bytes()).unwrap().key, None, "{word}");
    }
    assert_eq!(events("status", "From=1&To=2&Direction=Outbound-API"), ["0 out: withheld calls 2"]);
}

#[test]
fn diversions_of_every_field_are_told_in_their_order() {
    let body = "CallSid=CA1&From=%2B79280000001&To=%2B78001234567&ForwardedFrom=%2B79281110009\
                &ForwardedFrom=%2B79288036355&SipHeader_Diversion=%3Csip%3A89288328088%40a%3E%3Breason%3Dbusy";
    let way = "+79281110009, +79288036355, <sip:89288328088@a>;reason=busy";
    let told = told(&parse("voice", body.as_bytes()).unwrap().events);
    assert_eq!(told, [format!("0 in: +79280000001 calls +78001234567 by way of {way}")]);
}

#[test]
fn no_caller_is_refused_for_an_oddity_beside_his_call() {
    let call = "CallSid=CA1&From=%2B79280000001&To=%2B79288328088&CallStatus=ringing";
    let plain = parse("voice", call.as_bytes()).unwrap();
    for (field, length) in
        [("ForwardedFrom", 600), ("ParentCallSid", 300), ("CallDuration", 300), ("RecordingUrl", 5000)]
    {
        let odd = format!("{call}&{field}={}", "x".repeat(length));
        assert_eq!(parse("voice", odd.as_bytes()).unwrap(), plain, "{field}");
    }
    let tab = parse("voice", call.replace("%2B7928", "%092B7928").as_bytes()).unwrap();
    assert_eq!((tab.key, tab.step), (plain.key, plain.step));
}

#[test]
fn a_providers_clock_is_believed_for_seventy_days_and_never_for_the_future() {
    for (timestamp, seconds) in [
        ("Mon, 24 Nov 2025 16:04:06 +0000", "-0.5"),
        ("Sun, 23 Nov 2025 16:04:06 +0000", "-86400.5"),
        ("Mon, 15 Sep 2025 16:04:07 +0000", "-6047999.5"),
        ("Mon, 15 Sep 2025 16:04:06 +0000", "0"),
        ("Mon, 24 Nov 2025 16:04:07 +0000", "0"),
        ("yesterday", "0"),
        ("", "0"),
    ] {
        let body: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("CallSid", "CA1"), ("CallStatus", "completed"), ("Timestamp", timestamp)])
            .finish();
        let parsed = parse("status", body.as_bytes()).unwrap();
        assert_eq!(told(&parsed.events), [format!("{seconds} Ended")], "{timestamp}");
    }
}

#[test]
fn end_of_a_call_tells_when_it_began() {
    let ended = "CallSid=CA1&From=%2B79280000001&To=%2B79288328088&CallStatus=completed";
    let at = "Timestamp=Mon%2C+24+Nov+2025+16%3A04%3A05+%2B0000";
    for (fields, seconds) in [
        ("CallDuration=95".to_owned(), "-95"),
        (format!("{at}&CallDuration=95"), "-96.5"),
        (format!("{at}&CallDuration=0"), "-1.5"),
        (format!("{at}&CallDuration=14400"), "-14401.5"),
        (format!("{at}&CallDuration=14401"), "-1.5"),
        (format!("{at}&CallDuration=4294967295"), "-1.5"),
        (format!("{at}&CallDuration=-95"), "-1.5"),
        (format!("{at}&CallDuration=60&CallInitiatedAt=2025-11-24T16%3A02%3A00.5Z"), "-126"),
        (format!("{at}&CallInitiatedAt=2021-04-28+21%3A51%3A18.731479Z&CallDuration=60"), "-61.5"),
        (format!("{at}&CallInitiatedAt=2025-11-24T16%3A04%3A06Z"), "-1.5"),
        (format!("{at}&CallInitiatedAt=&StartTime=Mon%2C+24+Nov+2025+16%3A01%3A06+%2B0000"), "-180.5"),
    ] {
        let events = told(&parse("status", format!("{ended}&{fields}").as_bytes()).unwrap().events);
        assert_eq!(events[0], format!("{seconds} in: +79280000001 calls +79288328088"), "{fields}");
    }
}

#[test]
fn only_an_officer_who_can_have_talked_has_answered() {
    for (fields, expected) in [
        ("DialCallStatus=completed&DialCallDuration=5", "0 Answered 5"),
        ("DialCallStatus=answered&DialCallDuration=5", "0 Answered 5"),
        ("DialCallStatus=completed", "0 Answered -1"),
        ("DialCallStatus=completed&DialCallDuration=0&DialBridged=true", "0 Answered 0"),
        ("DialCallStatus=completed&DialCallDuration=0", "0 NoAnswer -1"),
        ("DialCallStatus=completed&DialCallDuration=7&DialBridged=false", "0 NoAnswer -1"),
        ("DialCallStatus=no-answer", "0 NoAnswer -1"),
        ("DialCallStatus=failed", "0 Failed -1"),
        ("DialCallStatus=canceled", "0 Cancelled -1"),
    ] {
        let parsed = parse("dialled/0", format!("CallSid=CA1&{fields}").as_bytes()).unwrap();
        assert_eq!(told(&parsed.events), [expected], "{fields}");
    }
    for fields in ["", "DialCallStatus=", "DialCallStatus=teleported"] {
        let parsed = parse("dialled/0", format!("CallSid=CA1&{fields}").as_bytes()).unwrap();
        assert_eq!((parsed.events, parsed.step), (vec![], Some(Step::Dialled(0))), "{fields}");
    }
}

#[test]
fn leaning_on_the_keypad_is_no_error() {
    for (digits, expected) in [
        ("%2A%2A89281112233%23", vec!["0 keyed 89281112233"]),
        ("111111111122222222223", vec!["0 keyed 11111111112222222222"]),
        ("", vec![]),
        ("hangup", vec![]),
        ("%2A", vec![]),
    ] {
        let parsed = parse("keyed/0", format!("CallSid=CA1&Digits={digits}").as_bytes()).unwrap();
        assert_eq!(told(&parsed.events), expected, "{digits}");
    }
}

#[test]
fn a_message_without_a_recording_is_over_all_the_same() {
    for body in ["CallSid=CA1", "CallSid=CA1&RecordingUrl=https%3A%2F%2Fapi.twilio.com"] {
        assert_eq!(told(&parse("message", body.as_bytes()).unwrap().events), ["0 MessageOver"], "{body}");
    }
}

#[test]
fn an_officers_leg_is_no_call_and_an_incoming_call_always_is_one() {
    for (fields, is_call) in [
        ("Direction=outbound-dial", false),
        ("ParentCallSid=CA0", false),
        ("ParentCallSid=CA0&Direction=outbound-api", false),
        ("ParentCallSid=&Direction=inbound", true),
        ("ParentCallSid=CA0&Direction=inbound", true),
        ("Direction=outbound-api", true),
    ] {
        let parsed = parse("status", format!("CallSid=CA1&CallStatus=completed&{fields}").as_bytes()).unwrap();
        assert_eq!((parsed.key.is_some(), !parsed.events.is_empty()), (is_call, is_call), "{fields}");
    }
}

#[test]
fn a_webhook_is_verified_by_the_configured_address_and_then_read() {
    let provider = provider(Signature::Twilio);
    let mut request = request("POST", "voice", "/webhooks/twilio/voice", "CallSid=CA1&To=%2B79288328088");
    let missing = signature::Refused::MissingHeader("X-Twilio-Signature");
    assert_eq!(provider.verify(&request, received_at()).unwrap_err(), Refused::Signature(missing));
    // HMAC-SHA1 of "https://calls.example.org/webhooks/twilio/voiceCallSidCA1To+79288328088" with "secret".
    request.headers.push(("x-twilio-signature".to_owned(), "MP/WL/Fh8uBELo2vQgAP/2z/Xzs=".to_owned()));
    request.headers.push(("host".to_owned(), "evil.example".to_owned()));
    let verified = provider.verify(&request, received_at()).unwrap();
    assert_eq!(provider.parse(verified, received_at()).unwrap().step, Some(Step::Arrived));
}

const ENDPOINTS: [&str; 8] = ["voice", "status", "fallback", "signal", "message", "recording", "dialled/0", "keyed/0"];

proptest! {
    #[test]
    fn no_bytes_at_all_are_too_much_for_the_reader(endpoint in 0..ENDPOINTS.len(), body: Vec<u8>) {
        let _ = parse(ENDPOINTS[endpoint], &body);
        let _ = parse(ENDPOINTS[endpoint], &[b"CallSid=CA1&".as_slice(), &body].concat());
        prop_assert!(parse("voice", &body).is_ok() && parse("fallback", &body).is_ok());
    }

    #[test]
    fn no_values_at_all_are_too_much_for_the_reader(
        endpoint in 0..ENDPOINTS.len(),
        values in prop::collection::vec(".{0,40}", 12),
    ) {
        const FIELDS: [&str; 12] = [
            "From", "To", "Direction", "CallStatus", "CallDuration", "Timestamp", "DialCallStatus", "DialCallDuration",
            "RecordingUrl", "RecordingStatus", "RecordingDuration", "Digits",
        ];
        let body: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("CallSid", "CA1")
            .extend_pairs(FIELDS.iter().zip(&values))
            .finish();
        if let Ok(parsed) = parse(ENDPOINTS[endpoint], body.as_bytes()) {
            prop_assert!(parsed.events.iter().all(|event| event.at <= received_at()));
        }
    }
}
