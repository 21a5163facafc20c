use proptest::prelude::*;
use serde_json::json;

use super::super::super::*;
use super::super::examples::{at, provider, received_at, told};
use super::super::{Settings, Signature, Twiml};

fn twilio() -> Twiml {
    provider(Signature::Twilio)
}

fn calls(json: &[u8]) -> Page<ListedCall> {
    twilio().parse_call_page(json, received_at()).unwrap()
}

#[test]
fn each_dialect_is_asked_for_its_lists_in_its_own_way() {
    let since = at("2025-11-24T07:30:00Z");
    for (signature, list, url) in [
        (
            Signature::Twilio,
            List::Calls,
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json?StartTime%3E=2025-11-24T07%3A30%3A00Z&PageSize=100",
        ),
        (
            Signature::Twilio,
            List::Recordings,
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings.json?DateCreated%3E=2025-11-24T07%3A30%3A00Z&PageSize=100",
        ),
        (
            Signature::SignalWire,
            List::Calls,
            "https://school.signalwire.com/api/laml/2010-04-01/Accounts/AC1/Calls.json?StartTime%3E=2025-11-24&PageSize=100",
        ),
        (
            Signature::Telnyx,
            List::Calls,
            "https://api.telnyx.com/v2/texml/Accounts/AC1/Calls?StartTime_gt=2025-11-23&PageSize=100",
        ),
    ] {
        let request = provider(signature).list_request(list, since);
        assert_eq!((request.method, request.url.as_str()), ("GET", url));
        assert_eq!(request.authorization.is_some(), signature != Signature::Telnyx);
    }
}

#[test]
fn a_provider_without_lists_or_key_says_so() {
    let somleng = Settings { api_base: "https://api.somleng.org/2010-04-01".into(), ..twilio().settings.clone() };
    let why = |provider: Twiml| provider.listing().err();
    assert_eq!(why(Twiml::new(somleng)), Some(NoListing::NotOffered));
    assert_eq!(why(provider(Signature::Telnyx)), Some(NoListing::NoKey));
    assert_eq!(why(provider(Signature::Telnyx).with_api_token("KEY1")), None);
    assert_eq!(why(twilio()), None);
    assert_eq!(why(provider(Signature::SignalWire)), None);
}

#[test]
fn the_next_page_is_on_the_configured_host_only() {
    let own = "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json?Page=1&PageToken=PA1";
    let request = twilio().page_request(own).unwrap();
    assert_eq!((request.url.as_str(), request.authorization.as_deref()), (own, Some("Basic QUMxOnNlY3JldA==")));
    for foreign in [
        "https://evil.example/Calls.json",
        "http://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json",
        "https://api.twilio.com:8443/Calls.json",
        "https://api.twilio.com@evil.example/",
        "https://user:secret@api.twilio.com/",
        "/2010-04-01/Accounts/AC1/Calls.json",
        "",
    ] {
        assert!(twilio().page_request(foreign).is_err(), "{foreign}");
    }
}

#[test]
fn a_page_of_twilio_is_read_with_its_odd_entries() {
    let page = calls(include_bytes!("calls_twilio.json"));
    let next = "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json?StartTime%3E=2025-11-24&PageSize=5&Page=1&PageToken=PACA5";
    assert_eq!(page.next.as_deref(), Some(next));
    let ids: Vec<&str> = page.entries.iter().map(|call| call.provider_call_id.as_str()).collect();
    assert_eq!(ids, ["CA1", "CA2", "CA3", "CA4"], "an entry without an id or a status is passed over");
    let [missed, leg, outbound, going_on] = &page.entries[..] else { panic!("{ids:?}") };
    assert_eq!((&missed.kind, missed.is_over), (&ListedKind::Inbound, true));
    assert_eq!((missed.dialled.as_str(), missed.forwarded_from.as_deref()), ("+78712000100", Some("+79288328088")));
    assert_eq!(
        told(&missed.events),
        ["-60.5 in: +79280000001 calls +78712000100 by way of +79288328088", "-0.5 Ended"]
    );
    let ListedKind::Leg { parent_call_id, ringing } = &leg.kind else { panic!("{leg:?}") };
    assert_eq!(parent_call_id.as_deref(), Some("CA1"));
    assert_eq!(told(&ringing.iter().cloned().collect::<Vec<_>>()), ["-0.5 Answered 40"]);
    assert_eq!(outbound.kind, ListedKind::Outbound);
    assert_eq!((&going_on.kind, going_on.is_over), (&ListedKind::Inbound, false));
}

#[test]
fn a_page_of_telnyx_is_read_and_is_the_last_one() {
    let telnyx = provider(Signature::Telnyx).with_api_token("KEY1");
    let page = telnyx.parse_call_page(include_bytes!("calls_telnyx.json"), received_at()).unwrap();
    assert_eq!(page.next, None);
    assert_eq!(page.entries[0].provider_call_id, "v2:abc");
    assert_eq!(told(&page.entries[0].events), ["-60.5 in: +79280000001 calls +79288328088", "-0.5 Ended"]);
    assert!(page.entries[0].is_over, "a status we do not know, but with an end");
}

#[test]
fn only_finished_messages_of_a_recording_list_are_read() {
    let page = twilio().parse_recording_page(include_bytes!("recordings_twilio.json"), received_at()).unwrap();
    let read: Vec<_> = page.entries.iter().map(|it| (it.provider_call_id.as_str(), it.recording_id.as_str())).collect();
    assert_eq!(read, [("CA1", "RE1")]);
    assert_eq!(told(&[page.entries[0].event.clone()]), ["-60.5 recording RE1 Completed 17 without url"]);
    assert_eq!(page.next, None);
}

#[test]
fn an_answer_that_is_no_list_is_an_error() {
    for wrong in ["", "[]", "{}", r#"{"calls":7}"#, r#"{"recordings":[]}"#, "<xml/>"] {
        assert!(twilio().parse_call_page(wrong.as_bytes(), received_at()).is_err(), "{wrong}");
    }
    assert_eq!(calls(br#"{"calls":[]}"#), Page { entries: vec![], next: None });
}

#[test]
fn numbers_are_read_with_the_address_their_calls_go_to() {
    let json = br#"{"incoming_phone_numbers":[
        {"phone_number":"+79288328088","voice_url":"https://calls.example.org/webhooks/twilio/voice"},
        {"phone_number":"+78712000199","voice_url":""}, {"phone_number":"short"}, 7]}"#;
    let numbers = twilio().parse_numbers(json).unwrap();
    let read: Vec<_> = numbers.iter().map(|it| (it.number.e164(), it.voice_url.as_deref())).collect();
    let wanted = [("+79288328088", Some("https://calls.example.org/webhooks/twilio/voice")), ("+78712000199", None)];
    assert_eq!(read, wanted);
    assert!(twilio().parse_numbers(b"{}").is_err());
    assert!(provider(Signature::Telnyx).numbers_request().is_none());
}

proptest! {
    #[test]
    fn no_list_at_all_is_too_much_for_the_reader(json: Vec<u8>, word in ".{0,20}", number: f64) {
        let entry = json!({"sid": word, "status": word, "to": word, "duration": number, "direction": word,
            "parent_call_sid": word, "start_time": word, "call_sid": word});
        let list = json!({"calls": [entry], "recordings": [entry, number], "incoming_phone_numbers": [{"phone_number": word}, number], "next_page_uri": word});
        for json in [json, list.to_string().into_bytes()] {
            let _ = twilio().parse_call_page(&json, received_at());
            let _ = twilio().parse_recording_page(&json, received_at());
            let _ = twilio().parse_numbers(&json);
            let _ = twilio().page_request(&word);
        }
    }
}
