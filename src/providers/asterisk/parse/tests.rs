//! What the exchange tells, from requests as a real one sent them.

use super::super::super::Verified;
use super::super::*;
use super::*;
use crate::core::call::DERIVED_ID;
use crate::core::call::{Call, Outcome};
use crate::core::phone::Telephone;
use crate::core::script::offer;

const NOW: i64 = 1_795_350_990;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn exchange() -> Asterisk {
    Asterisk::new(Settings {
        name: "asterisk".into(),
        public_url: "https://calls.example.org".to_owned(),
        tokens: vec!["example-token".to_owned()],
        trunk: "trunk".to_owned(),
        ari: None,
    })
}

fn form(endpoint: &str, body: &str) -> RawRequest {
    RawRequest {
        method: "POST".to_owned(),
        target: format!("/webhooks/asterisk/{endpoint}"),
        endpoint: endpoint.to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: body.to_owned().into(),
    }
}

/// The end of a call as curl sends it, with these bytes as its sound.
fn with_sound(fields: &str, sound: &[u8]) -> RawRequest {
    let mut body = format!(
        "--xyz\r\nContent-Disposition: form-data; name=\"call\"\r\n\r\n{fields}\r\n--xyz\r\nContent-Disposition: \
         form-data; name=\"audio\"; filename=\"pzv-1.wav\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(sound);
    body.extend_from_slice(b"\r\n--xyz--\r\n");
    let headers = vec![("content-type".to_owned(), "multipart/form-data; boundary=xyz".to_owned())];
    RawRequest { headers, body: body.into(), ..form("ended", "") }
}

fn parsed(request: &RawRequest) -> Parsed {
    exchange().parse(Verified(request), now()).unwrap()
}

fn call(request: &RawRequest) -> Call {
    let Parsed { key, events, .. } = parsed(request);
    let mut call = Call::new(1, key.unwrap(), now());
    events.into_iter().for_each(|event| call.apply(event));
    call
}

fn wav(seconds: usize) -> Vec<u8> {
    let length = (seconds * 16_000) as u32;
    let mut sound = b"RIFF".to_vec();
    sound.extend_from_slice(&(length + 36).to_le_bytes());
    sound.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    sound.extend_from_slice(&length.to_le_bytes());
    sound.resize(44 + length as usize, 7);
    sound
}

const END: &str = "id=pbx-1.0&line=89288328088&from=79281234567&started=1795350907&ended=1795350923&dial=&talk=";

#[test]
fn every_request_of_a_real_exchange_is_read() {
    let mut outcomes = Vec::new();
    for line in include_str!("../../../../tests/data/asterisk_webhook_capture.jsonl").lines() {
        let captured: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| captured[field].as_str().unwrap();
        let headers = captured["headers"].as_object().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()));
        let request = RawRequest {
            method: text("method").to_owned(),
            target: text("path").to_owned(),
            endpoint: text("path").trim_start_matches("/asterisk/").to_owned(),
            headers: headers.collect(),
            body: text("body").to_owned().into(),
        };
        assert!(exchange().admit(&request).is_ok() && exchange().verify(&request, now()).is_ok());
        let call = call(&request);
        if request.endpoint == "ended" {
            assert!(
                call.started_at < call.ended_at.unwrap() && call.ended_at.unwrap() < now(),
                "the exchange's own time"
            );
            outcomes.push((text("scenario").to_owned(), call.outcome(), call.other_party().is_some()));
        } else {
            assert_eq!(parsed(&request).step, Some(Step::Arrived));
        }
    }
    let outcomes: Vec<_> =
        outcomes.iter().map(|(name, outcome, visible)| (name.as_str(), *outcome, *visible)).collect();
    assert_eq!(
        outcomes,
        [
            ("voicemail_keys", Outcome::Voicemail, true),
            ("hangup_in_greeting", Outcome::Abandoned, false),
            ("open_answered", Outcome::Answered, true),
            ("open_caller_gives_up", Outcome::Abandoned, true),
            ("open_busy_then_voicemail", Outcome::Voicemail, true),
            ("told_after_outage", Outcome::Voicemail, true),
            ("hostile_caller_number", Outcome::Abandoned, false),
        ]
    );
}

#[test]
fn a_message_comes_with_its_sound_and_without_it_in_the_inbox() {
    let told = parsed(&with_sound(&format!("{END}&record=HANGUP&callback=&cause=0"), &wav(3)));
    let sound = told.sound.unwrap();
    assert_eq!(
        (sound.bytes.len(), sound.rest.len()),
        (44 + 48_000, END.len() + "&record=HANGUP&callback=&cause=0".len())
    );
    let message = told.events.iter().find(|event| is_message(&event.fact)).unwrap();
    assert_eq!(message.at.as_second(), 1_795_350_920, "when it began");
}

#[test]
fn an_empty_file_is_no_message_and_one_whose_header_says_zero_is_one() {
    let end = format!("{END}&record=HANGUP&callback=&cause=0");
    for nothing in [&b""[..], &wav(0)] {
        let request = with_sound(&end, nothing);
        assert_eq!((call(&request).outcome(), parsed(&request).sound), (Outcome::NoMessage, None));
    }
    let mut crashed = wav(2);
    crashed[4..8].fill(0);
    crashed[40..44].fill(0);
    for (sound, record) in [(crashed.as_slice(), "&record="), (b"<html>", "&record=HANGUP")] {
        let request = with_sound(&format!("{END}{record}"), sound);
        assert_eq!(call(&request).outcome(), Outcome::Voicemail, "{record}");
        assert_eq!(parsed(&request).sound.unwrap().bytes, sound);
    }
    assert_eq!(call(&form("ended", &end)).outcome(), Outcome::NoMessage);
    assert_eq!(call(&form("ended", &format!("{END}&record=CRASH"))).outcome(), Outcome::Abandoned);
    assert_eq!(call(&with_sound(&format!("{END}&record=CRASH"), &wav(2))).outcome(), Outcome::Voicemail);
}

#[test]
fn what_a_caller_chooses_stays_what_it_is() {
    for (from, number) in [
        ("%2B7+928+123-45-67", Some("+79281234567")),
        ("%22%3B+DROP+TABLE%3B%22", None),
        ("%24%28reboot%29", None),
        ("..%2F..%2Fetc", None),
        ("", None),
    ] {
        let body = format!("id=..%2F..%2Fetc%2Fpasswd&line=89288328088&from={from}&started={NOW}");
        let call = call(&form("incoming", &body));
        assert_eq!(call.other_party().map(|number| number.e164().to_owned()).as_deref(), number, "{from}");
        assert_eq!(call.key.provider_call_id, "../../etc/passwd");
    }
}

#[test]
fn a_clock_that_is_wrong_is_believed_for_how_long_the_call_lasted() {
    let times = |started: i64, ended: i64| {
        let call =
            call(&form("ended", &format!("id=1&line=89288328088&from=&started={started}&ended={ended}&record=")));
        (call.started_at.as_second() - NOW, call.ended_at.unwrap().as_second() - NOW)
    };
    assert_eq!(times(NOW - 30, NOW - 10), (-30, -10));
    assert_eq!(times(NOW - 3_000_000, NOW - 2_999_900), (-3_000_000, -2_999_900), "told weeks later");
    assert_eq!(times(NOW + 500, NOW + 520), (-20, 0), "ahead");
    assert_eq!(times(NOW - 100_000_000, NOW - 99_999_990), (-10, 0), "behind by years");
    assert_eq!(times(NOW - 10, NOW - 900), (-900, -900), "ended before it began");
    assert_eq!(times(0, NOW), (-14_400, 0), "no call lasts for years");
    let without_start = |fields: &str| {
        call(&form("ended", &format!("id=1&line=89288328088&ended={}&{fields}", NOW - 10))).started_at.as_second() - NOW
    };
    assert_eq!((without_start("dial=ANSWER&talk=90"), without_start("dial=&talk=")), (-100, -10));
    let left = call(&with_sound(&format!("id=1&line=89288328088&ended={NOW}&record=HANGUP"), &wav(7)));
    assert_eq!(left.started_at.as_second() - NOW, -7, "as long ago as the message began");
    let asked = |started: i64| {
        call(&form("incoming", &format!("id=1&line=89288328088&from=&started={started}"))).started_at.as_second() - NOW
    };
    assert_eq!((asked(NOW - 1), asked(NOW - 600), asked(NOW + 600)), (-1, 0, 0));
}

#[test]
fn in_a_rehearsal_the_house_knows_only_how_long_a_call_lasted() {
    for started in [NOW - 3_000_000, NOW - 20, NOW + 3_000_000] {
        let request = form("ended", &format!("id=1&line=89288328088&started={started}&ended={}&record=", started + 15));
        let events = exchange().rehearsed().parse(Verified(&request), now()).unwrap().events;
        let times: Vec<_> = events.iter().map(|event| event.at.as_second() - NOW).collect();
        assert_eq!(times, [-15, 0], "{started}");
    }
}

#[test]
fn a_call_that_we_asked_for_is_an_outgoing_one() {
    let end = "id=perezvon-7&line=%2B79288328088&to=%2B79281234567&from=&started=1795350907&ended=1795350923&record=";
    let talked = call(&form("ended", &format!("{end}&dial=ANSWER&talk=9")));
    assert!(!talked.is_inbound() && talked.was_talked());
    assert_eq!(talked.other_party().unwrap().e164(), "+79281234567");
    let busy = call(&form("ended", &format!("{end}&dial=BUSY&talk=")));
    assert_eq!((busy.was_talked(), busy.ringing), (false, Some(Ringing::Busy)));
}

#[test]
fn nobody_talked_who_did_not_talk_for_a_second() {
    for (dial, talk, told) in [
        ("ANSWER", "3", Ringing::Answered),
        ("ANSWER", "0", Ringing::NoAnswer),
        ("ANSWER", "", Ringing::NoAnswer),
        ("CONGESTION", "", Ringing::Failed),
        ("CHANUNAVAIL", "5", Ringing::Failed),
        ("ANSWERED", "12", Ringing::Answered),
        ("answer", "12", Ringing::Answered),
        ("no_answer", "", Ringing::NoAnswer),
        ("NO ANSWER", "", Ringing::NoAnswer),
        ("Busy", "", Ringing::Busy),
        ("CANCELLED", "", Ringing::Cancelled),
    ] {
        let call = call(&form("ended", &format!("id=1&line=89288328088&from=&dial={dial}&talk={talk}&record=")));
        assert_eq!((call.ringing, call.was_talked()), (Some(told), told == Ringing::Answered), "{dial} {talk}");
    }
}

#[test]
fn end_without_an_id_is_the_same_call_whenever_it_comes() {
    let fields = END.replace("id=pbx-1.0", "id=%0A") + "&record=HANGUP";
    let request = with_sound(&fields, &wav(3));
    let told = parsed(&request);
    let key = told.key.clone().unwrap();
    assert!(key.provider_call_id.starts_with(DERIVED_ID), "{key}");
    assert_eq!(told.oddity, Some(Malformed::Missing("id")));
    assert_eq!(call(&request).outcome(), Outcome::Voicemail);
    let later = Timestamp::from_second(NOW + 30 * 24 * 3600).unwrap();
    assert_eq!(exchange().parse(Verified(&request), later).unwrap().key, told.key);
    let kept = RawRequest { headers: request.headers.clone(), body: told.sound.unwrap().rest, ..form("ended", "") };
    assert_eq!(exchange().parse_kept(&kept, later).unwrap().key, told.key);
    let contradiction = parsed(&form("ended", "id=1&id=2"));
    assert_eq!(
        (contradiction.key.unwrap().provider_call_id.as_str(), contradiction.oddity),
        ("1", Some(Malformed::Contradiction("id")))
    );
}

/// Two callers who withhold their numbers once were one, and the second message was never kept.
#[test]
fn ends_without_an_id_are_of_one_call_only_if_all_of_them_is_equal() {
    let minutes = |count: i64| Timestamp::from_second(NOW + count * 60).unwrap();
    let key = |request: &RawRequest, at| exchange().parse(Verified(request), at).unwrap().key.unwrap();
    let timeless = "line=89288328088&from=&record=HANGUP";
    for fields in [timeless, &format!("{timeless}&started=1795350907&ended=1795350923")] {
        let (one, other) = (with_sound(fields, &wav(3)), with_sound(fields, &wav(4)));
        assert_ne!(key(&one, minutes(0)), key(&other, minutes(0)), "{fields}");
        assert_eq!(key(&one, minutes(0)), key(&one, minutes(60 * 24 * 30)), "{fields}");
        let rest = parsed(&one).sound.unwrap().rest;
        let kept = RawRequest { headers: one.headers.clone(), body: rest, ..form("ended", "") };
        let again = exchange().parse_kept(&kept, minutes(1)).unwrap();
        assert_eq!(again.key.unwrap(), key(&one, minutes(0)), "a replay has no sound: {fields}");
    }
    for silent in [form("ended", timeless), with_sound(timeless, &wav(0))] {
        assert_eq!(key(&silent, minutes(0)), key(&silent, minutes(0)));
        assert_ne!(key(&silent, minutes(0)), key(&silent, minutes(20)), "nothing says that it is the same call");
    }
}

#[test]
fn nonsense_is_refused_with_the_reason() {
    let refused = |request: &RawRequest| exchange().parse(Verified(request), now()).unwrap_err();
    assert_eq!(refused(&form("ended", "")), Malformed::Missing("id"));
    assert_eq!(refused(&form("ended", "id=%0A&dial=BUSY")), Malformed::Missing("id"));
    assert!(matches!(refused(&form("end", "id=1")), Malformed::UnknownEndpoint(_)));
    let mut broken = with_sound(END, b"abc");
    broken.body = broken.body.slice(..broken.body.len() - 10);
    assert!(matches!(refused(&broken), Malformed::NotMultipart(_)));
    broken.body = "--xyz\r\nContent-Disposition: form-data; name=\"audio\"\r\n\r\nabc\r\n--xyz--\r\n".into();
    assert_eq!(refused(&broken), Malformed::Missing("call"));
    broken.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    assert!(matches!(refused(&broken), Malformed::NotMultipart(_)));
}

#[test]
fn caller_is_never_refused_for_an_unreadable_question() {
    for (body, id, number) in [
        ("id=1&line=89288328088&from=%CC%E0%E4", Some("1"), None),
        ("id=1&line=89288328088&from=89281110001&name=100%", Some("1"), Some("+79281110001")),
        ("id=1&id=2&line=89288328088&from=&from=89281110001", Some("1"), Some("+79281110001")),
        ("id=1&line=89288328088&from=anonymous&from=89281110001", Some("1"), Some("+79281110001")),
        ("id=1&line=1&line=2&from=%22Madina%22+%3C79281110001%3E", Some("1"), Some("+79281110001")),
        ("line=89288328088&from=89281110001", None, Some("+79281110001")),
        ("id=a%00b&line=89288328088&from=89281110001", None, Some("+79281110001")),
        ("", None, None),
    ] {
        for kind in ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"] {
            let mut request = form("incoming", body);
            kind.clone_into(&mut request.headers[0].1);
            assert_eq!(parsed(&request).step, Some(Step::Arrived), "{body} as {kind}");
            let call = call(&request);
            assert_eq!(call.other_party().map(|number| number.e164().to_owned()).as_deref(), number, "{body}");
            match id {
                Some(id) => assert_eq!(call.key.provider_call_id, id, "{body}"),
                None => assert!(call.key.provider_call_id.starts_with(DERIVED_ID), "{body}"),
            }
        }
    }
}

#[test]
fn line_is_told_with_the_way_the_call_came() {
    let told =
        call(&form("incoming", "id=1&line=sip%3A84951112233%40trunk&from=&diversion=%3Csip%3A89288036355%40a%3E"));
    assert_eq!(told.dialled.as_deref(), Some("sip:84951112233@trunk"));
    assert_eq!(told.forwarded_from.as_deref(), Some("<sip:89288036355@a>"));
}

#[test]
fn the_exchange_hears_one_word() {
    let dial = Verb::Dial { telephone: Telephone::Extension("101".to_owned()), seconds: 20, next: Step::Dialled(0) };
    assert_eq!(exchange().render(&[dial]).body, "open");
    assert_eq!(exchange().render(&offer()).body, "voicemail");
    assert_eq!(exchange().render(&[]).body, "voicemail");
    assert_eq!(exchange().nothing().body, "ok");
}

#[test]
fn who_has_no_token_may_not_even_send_a_body() {
    let ask = |value: Option<&str>| {
        let headers = value.map(|value| ("authorization".to_owned(), value.to_owned()));
        let request = RawRequest { headers: headers.into_iter().collect(), ..form("ended", "") };
        exchange().admit(&request)
    };
    assert_eq!(ask(None), Err(Refused::Token(WrongToken::Missing)));
    assert_eq!(ask(Some("Basic eDp5")), Err(Refused::Token(WrongToken::NotBearer)));
    assert_eq!(ask(Some("Bearer example")), Err(Refused::Token(WrongToken::Another)));
    for right in ["Bearer example-token", "bearer example-token", "BEARER  example-token"] {
        assert_eq!(ask(Some(right)), Ok(LARGEST_FORM), "{right}");
    }
    assert_eq!(ask(Some("Bearerexample-token")), Err(Refused::Token(WrongToken::NotBearer)));
}

#[test]
fn kept_request_reads_like_the_one_with_its_sound() {
    let request = with_sound(&format!("{END}&record=HANGUP"), &wav(5));
    let parsed = parsed(&request);
    let kept = RawRequest { body: parsed.sound.as_ref().unwrap().rest.clone(), ..request.clone() };
    let again = exchange().parse_kept(&kept, now()).unwrap();
    // The length of the sound told when the message began, and went with it.
    let facts = |parsed: &Parsed| parsed.events.iter().map(|event| event.fact.clone()).collect::<Vec<_>>();
    assert_eq!((&again.key, facts(&again)), (&parsed.key, facts(&parsed)));
    assert_eq!(again.sound, None);
    // What was kept whole is read as it came.
    let empty = with_sound(&format!("{END}&record=HANGUP"), &[]);
    assert_eq!(exchange().parse_kept(&empty, now()), exchange().parse(Verified(&empty), now()));
    let arrives = form("incoming", "id=pbx-1.0&line=89288328088&from=79281234567");
    assert_eq!(exchange().parse_kept(&arrives, now()), exchange().parse(Verified(&arrives), now()));
}
