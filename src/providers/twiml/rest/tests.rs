use proptest::prelude::*;

use super::super::super::*;
use super::super::examples::{provider, received_at, told};
use super::super::{Settings, Signature, Twiml};
use crate::core::call::{Fact, RecordingState};

#[test]
fn a_recording_is_asked_for_as_wav_with_the_credentials_of_its_provider() {
    let ask = |signature, url| provider(signature).recording_request("CA1", "RE/../1", url);
    let basic = Some("Basic QUMxOnNlY3JldA==");
    for (signature, told, asked, authorization) in [
        (
            Signature::Twilio,
            Some("https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1"),
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1.wav",
            basic,
        ),
        (Signature::Twilio, Some("https://api.twilio.com/RE1.mp3"), "https://api.twilio.com/RE1.mp3", basic),
        (Signature::Twilio, None, "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE%2F..%2F1.wav", basic),
        (
            Signature::SignalWire,
            Some("https://school.signalwire.com/a/RE1?b=1"),
            "https://school.signalwire.com/a/RE1.wav?b=1",
            basic,
        ),
        (
            Signature::Telnyx,
            Some("https://s3.amazonaws.com/a/RE1?X-Amz-Signature=0f"),
            "https://s3.amazonaws.com/a/RE1?X-Amz-Signature=0f",
            None,
        ),
    ] {
        let request = ask(signature, told).unwrap();
        assert_eq!((request.url.as_str(), request.authorization.as_deref()), (asked, authorization));
        assert_eq!(request.fallback.is_some(), signature == Signature::Telnyx);
        assert!(!format!("{request:?}").contains("QUMx") && !format!("{request:?}").contains("0f"), "{request:?}");
    }
    assert_eq!(ask(Signature::Telnyx, None), Err(ForbiddenUrl::Missing));
    let unlisted = ask(Signature::Twilio, Some("https://evil.example/RE1"));
    assert_eq!(unlisted, Err(ForbiddenUrl::UnlistedHost("evil.example".into())));
}

#[test]
fn whatever_an_id_looks_like_it_stays_one_segment_of_the_path() {
    for (id, segment) in [
        ("RE1", "RE1"),
        ("v2:a_b-c", "v2%3Aa_b-c"),
        ("../../Calls", "..%2F..%2FCalls"),
        ("a?b#c d%2F", "a%3Fb%23c%20d%252F"),
        ("..", "%252E%252E"),
        ("ё", "%D1%91"),
    ] {
        let request = provider(Signature::Twilio).deletion_request(id).unwrap();
        let expected = format!("https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/{segment}.json");
        assert_eq!((request.method, request.url.as_str()), ("DELETE", expected.as_str()));
        assert_eq!(Url::parse(&request.url).unwrap().as_str(), expected, "the path is not climbed");
    }
}

#[test]
fn each_dialect_is_asked_in_its_own_way() {
    let twilio = provider(Signature::Twilio);
    assert_eq!(twilio.call_request("CA1").url, "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1.json");
    assert_eq!(
        twilio.recordings_of_call_request("CA1").url,
        "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings.json?CallSid=CA1"
    );
    assert_eq!(twilio.call_request("CA1").authorization.unwrap(), "Basic QUMxOnNlY3JldA==");
    let telnyx = provider(Signature::Telnyx);
    assert_eq!(telnyx.call_request("v2:x").url, "https://api.telnyx.com/v2/texml/Accounts/AC1/Calls/v2%3Ax");
    assert_eq!(telnyx.call_request("v2:x").authorization, None, "a public key is no token");
    let telnyx = telnyx.with_api_token("KEY1");
    assert_eq!(telnyx.call_request("v2:x").authorization.unwrap(), "Bearer KEY1");
    let somleng = Settings { api_base: "https://api.somleng.org/2010-04-01".into(), ..twilio.settings.clone() };
    assert_eq!(Twiml::new(somleng).deletion_request("RE1"), None);
    for printed in [format!("{twilio:?}"), format!("{telnyx:?}"), format!("{:?}", telnyx.call_request("v2:x"))] {
        assert!(!printed.contains("KEY1") && !printed.contains("\"secret\""), "{printed}");
    }
}

fn key() -> CallKey {
    CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() }
}

#[test]
fn a_call_asked_for_tells_what_its_lost_webhooks_would_have_told() {
    let ask = |json: &str| provider(Signature::Twilio).parse_call(json.as_bytes(), &key(), received_at());
    let inbound =
        ask(r#"{"sid":"CA1","status":"completed","direction":"inbound","from":"+79280000001","to":"+79288328088",
        "start_time":"Mon, 24 Nov 2025 16:03:06 +0000","end_time":"Mon, 24 Nov 2025 16:04:06 +0000","duration":"60",
        "forwarded_from":null}"#);
    assert_eq!(told(&inbound.unwrap()), ["-60.5 in: +79280000001 calls +79288328088", "-0.5 Ended"]);
    let outbound =
        ask(r#"{"sid":"CA1","status":"completed","direction":"outbound-api","from":"+79288328088","to":"+79280000001",
        "start_time":"Mon, 24 Nov 2025 16:03:06 +0000","end_time":"Mon, 24 Nov 2025 16:04:06 +0000","duration":40}"#);
    let expected = ["-60.5 out: +79288328088 calls +79280000001", "-40.5 Answered", "-0.5 Ended"];
    assert_eq!(told(&outbound.unwrap()), expected);
    let without_start = ask(r#"{"status":"completed","to":"+79288328088","from":"+79280000001","duration":"60",
        "end_time":"Mon, 24 Nov 2025 16:04:06 +0000"}"#);
    assert_eq!(told(&without_start.unwrap()), ["-60.5 in: +79280000001 calls +79288328088", "-0.5 Ended"]);
    let going_on = ask(r#"{"status":"in-progress","start_time":"Mon, 24 Nov 2025 16:03:06 +0000"}"#);
    assert_eq!(told(&going_on.unwrap()), ["-60.5 Answered"]);
    assert_eq!(told(&ask(r#"{"status":"queued"}"#).unwrap()), [""; 0]);
    for wrong in ["", "[]", "{}", r#"{"sid":"CA2","status":"completed"}"#, r#"{"status":7}"#, "\u{0}"] {
        assert!(ask(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn recordings_asked_for_are_the_messages_of_this_call() {
    let ask = |json: &str| provider(Signature::Twilio).parse_recordings(json.as_bytes(), &key(), received_at());
    let listed = ask(r#"{"page":0,"recordings":[
        {"sid":"RE1","call_sid":"CA1","status":"completed","duration":"17","source":"RecordVerb",
         "media_url":"https://api.twilio.com/RE1","start_time":"Mon, 24 Nov 2025 16:03:06 +0000"},
        {"sid":"RE2","call_sid":"CA1","status":"processing","duration":null},
        {"sid":"RE3","call_sid":"CA1","status":"completed","duration":0},
        {"sid":"RE4","call_sid":"CA1","status":"absent"},
        {"sid":"RE5","call_sid":"CA1","status":"deleted"},
        {"sid":"RE6","call_sid":"CA1","status":"completed","source":"OutboundAPI"},
        {"sid":"RE7","call_sid":"CA2","status":"completed"},
        {"sid":null,"status":"completed"}]}"#);
    let expected = [
        "-60.5 recording RE1 Completed 17 with url",
        "0 recording RE2 Begun -1 without url",
        "0 recording RE3 Absent 0 without url",
        "0 recording RE4 Absent -1 without url",
        "0 recording RE5 Failed -1 without url",
    ];
    assert_eq!(told(&listed.unwrap()), expected);
    let single = ask(r#"{"sid":"RE1","call_sid":"CA1","status":"completed","duration":"17"}"#).unwrap();
    assert!(matches!(&single[0].fact, Fact::Recording { state: RecordingState::Completed, .. }));
    assert_eq!(ask(r#"{"recordings":[]}"#), Ok(vec![]));
    assert_eq!(ask(r#"{"recordings":7}"#), Err(Malformed::Missing("recordings")));
    assert!(ask("<xml/>").is_err());
}

proptest! {
    #[test]
    fn no_answer_at_all_is_too_much_for_the_reader(json: Vec<u8>, word in ".{0,20}", number: f64) {
        let provider = provider(Signature::Twilio);
        let object = serde_json::json!({"sid": "CA1", "status": word, "to": word, "duration": number,
            "recordings": [{"sid": word, "status": word, "duration": word, "start_time": word}]});
        for json in [json, object.to_string().into_bytes()] {
            let _ = provider.parse_call(&json, &key(), received_at());
            let _ = provider.parse_recordings(&json, &key(), received_at());
        }
    }
}
