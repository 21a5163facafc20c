//! The documents a caller's provider gets, for every place in the dialogue, from the real script and calendar.

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::super::*;
use super::examples::{at, provider};
use super::{Settings, Signature, Twiml};
use crate::core::calendar::{Calendar, DayRule, Hours, Period, TimeState};
use crate::core::call::{Call, CallEvent, CallKey, Decision, Direction, Fact, RecordingState, Ringing};
use crate::core::greetings::{GreetingKind, Recorded};
use crate::core::line::{Line, LineId, Lines};
use crate::core::phone::{Caller, PhoneNumber, Telephone};
use crate::core::script::{farewell, next, offer};

fn line() -> Line {
    let number = |text| PhoneNumber::parse(text).unwrap();
    let telephone = |text| Telephone::parse(text).unwrap();
    let calendar = Calendar::new(Hours::default());
    Line {
        audience: "родителям".to_owned(),
        ring: vec![telephone("89285550001"), telephone("89285550002")],
        ..Line::new(LineId::new("parents"), Some(number("89288328088")), "Родители", calendar)
    }
}

/// Monday, half past three in Moscow.
fn afternoon() -> Timestamp {
    at("2026-11-23T12:30:00Z")
}

/// A call in working time, with what was told about it since.
fn call(caller: &str, facts: impl IntoIterator<Item = Fact>) -> Call {
    let key = CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() };
    let mut call = Call::new(1, key, afternoon());
    call.caller = Some(Caller::from_provider(caller));
    call.line = Some(LineId::new("parents"));
    call.decision = Some(Decision {
        open: true,
        day_rule: DayRule::Workday,
        time_state: TimeState::Open,
        calendar_version: "1".to_owned(),
        promise: Some(Period { start: at("2026-11-23T06:00:00Z"), end: at("2026-11-23T15:00:00Z") }),
    });
    for fact in facts {
        call.apply(CallEvent { at: afternoon(), fact });
    }
    call
}

const VISIBLE: &str = "+79280000001";

/// What the provider gets, a line for each verb.
fn document(script: &[Verb]) -> String {
    let reply = provider(Signature::Twilio).render(script);
    assert_eq!(reply.content_type, "text/xml; charset=utf-8");
    reply.body.replace("><", ">\n<")
}

fn document_at(step: Step, call: &Call) -> String {
    document(&next(call, &line(), step, afternoon()))
}

/// A visible caller who calls at this instant, decided by the school's calendar.
fn arriving(at: Timestamp) -> Call {
    let key = CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() };
    let mut call = Call::new(1, key, at);
    let (direction, dialled, caller) = (Direction::Inbound, "+79288328088".to_owned(), Caller::from_provider(VISIBLE));
    call.apply(CallEvent { at, fact: Fact::Parties { direction, dialled, forwarded_from: None, caller } });
    call.decide(&Lines::new(vec![line()], Calendar::new(Hours::default())));
    call
}

/// What a caller hears who calls at this instant.
fn document_for_a_call_at(instant: &str) -> String {
    document(&next(&arriving(at(instant)), &line(), Step::Arrived, at(instant)))
}

#[test]
fn after_hours() {
    insta::assert_snapshot!(document_for_a_call_at("2026-11-20T19:30:00+03:00"));
}

#[test]
fn before_opening() {
    insta::assert_snapshot!(document_for_a_call_at("2026-11-24T07:15:00+03:00"));
}

#[test]
fn on_a_holiday() {
    insta::assert_snapshot!(document_for_a_call_at("2026-11-04T12:00:00+03:00"));
}

#[test]
fn before_a_long_holiday() {
    insta::assert_snapshot!(document_for_a_call_at("2026-12-30T18:00:00+03:00"));
}

#[test]
fn a_caller_who_waits_already() {
    let mut call = arriving(at("2026-11-20T20:00:00+03:00"));
    call.waiting_since = Some(at("2026-11-20T19:30:00+03:00"));
    insta::assert_snapshot!(document(&next(&call, &line(), Step::Arrived, call.started_at)));
}

/// The parents' line with these texts recorded by the school.
fn recorded(kinds: &[GreetingKind]) -> Line {
    let recorded =
        |kind: GreetingKind| Recorded { name: format!("name-of-{}", kind.as_str()).into(), length_ms: 20_000 };
    Line { greetings: kinds.iter().map(|&kind| (kind, recorded(kind))).collect(), ..line() }
}

#[test]
fn after_hours_the_recording_and_the_date_that_it_cannot_know() {
    let call = arriving(at("2026-11-20T19:30:00+03:00"));
    let script = next(&call, &recorded(&GreetingKind::ALL), Step::Arrived, call.started_at);
    insta::assert_snapshot!(document(&script));
}

#[test]
fn a_holiday_has_a_recording_of_its_own_or_the_spoken_text() {
    let call = arriving(at("2026-11-04T12:00:00+03:00"));
    let played = |kinds: &[GreetingKind]| document(&next(&call, &recorded(kinds), Step::Arrived, call.started_at));
    let own = played(&[GreetingKind::Closed, GreetingKind::Holiday]);
    assert!(own.contains("/greetings/name-of-holiday.wav</Play>") && own.contains("в четверг, 5 ноября"), "{own}");
    assert_eq!(played(&[GreetingKind::Closed]), document_for_a_call_at("2026-11-04T12:00:00+03:00"));
}

#[test]
fn the_offer_in_hours_recorded() {
    let silent = Fact::Rang { ringing: Ringing::NoAnswer, talk_seconds: None };
    let call = call(VISIBLE, [silent]);
    let script = |at| document(&next(&call, &recorded(&[GreetingKind::Busy]), Step::Dialled(1), at));
    insta::assert_snapshot!(script(afternoon()));
    // A recording that says «сегодня» is not played half an hour before closing.
    let late = script(at("2026-11-23T14:45:00Z"));
    assert!(late.contains("в ближайшее рабочее время") && !late.contains("<Play>"), "{late}");
}

#[test]
fn the_thanks_recorded() {
    let line = recorded(&[GreetingKind::Thanks]);
    let thanks = |caller| {
        document(&next(&call(caller, message(RecordingState::Completed)), &line, Step::MessageOver, afternoon()))
    };
    insta::assert_snapshot!(thanks(VISIBLE));
    assert!(!thanks("anonymous").contains("<Play>"), "who has no number is asked for one");
}

#[test]
fn a_caller_who_waits_already_is_told_so_whatever_is_recorded() {
    let mut call = arriving(at("2026-11-20T20:00:00+03:00"));
    call.waiting_since = Some(at("2026-11-20T19:30:00+03:00"));
    let script = |line| document(&next(&call, line, Step::Arrived, call.started_at));
    assert_eq!(script(&recorded(&GreetingKind::ALL)), script(&line()));
}

#[test]
fn hours_that_differ_from_day_to_day_are_not_told() {
    let hours = serde_json::json!({ "week": { "mon": ["09:00-18:00"], "tue": ["10:00-13:00", "14:00-18:00"] } });
    let line = Line { calendar: Calendar::new(Hours::from_json(&hours).unwrap()), ..line() };
    let mut call = arriving(at("2026-11-20T19:30:00+03:00"));
    call.line = None;
    call.decide(&Lines::new(vec![line.clone()], line.calendar.clone()));
    insta::assert_snapshot!(document(&next(&call, &line, Step::Arrived, call.started_at)));
}

#[test]
fn in_hours_the_first_officer_is_rung() {
    insta::assert_snapshot!(document_at(Step::Arrived, &call(VISIBLE, [])));
}

#[test]
fn then_the_second_officer() {
    let busy = Fact::Rang { ringing: Ringing::Busy, talk_seconds: None };
    insta::assert_snapshot!(document_at(Step::Dialled(0), &call(VISIBLE, [busy])));
}

#[test]
fn then_the_offer() {
    let silent = Fact::Rang { ringing: Ringing::NoAnswer, talk_seconds: None };
    insta::assert_snapshot!(document_at(Step::Dialled(1), &call(VISIBLE, [silent])));
}

#[test]
fn shortly_before_closing_nobody_promises_today() {
    let silent = Fact::Rang { ringing: Ringing::NoAnswer, talk_seconds: None };
    let call = call(VISIBLE, [silent]);
    let script = next(&call, &line(), Step::Dialled(1), at("2026-11-23T14:45:00Z"));
    insta::assert_snapshot!(document(&script));
}

#[test]
fn after_the_talk_with_an_officer() {
    let talked = Fact::Rang { ringing: Ringing::Answered, talk_seconds: Some(75) };
    insta::assert_snapshot!(document_at(Step::Dialled(0), &call(VISIBLE, [talked])));
}

#[test]
fn a_caller_who_hung_up_while_it_rang_is_not_rung_for_any_more() {
    insta::assert_snapshot!(document_at(Step::Dialled(0), &call(VISIBLE, [Fact::Ended])));
}

#[test]
fn a_key_leads_to_the_signal() {
    insta::assert_snapshot!(document_at(Step::Signal, &call(VISIBLE, [])));
}

fn message(state: RecordingState) -> [Fact; 2] {
    [Fact::MessageOver, Fact::Recording { id: "RE1".to_owned(), state, url: None, length_seconds: None }]
}

#[test]
fn after_a_message() {
    insta::assert_snapshot!(document_at(Step::MessageOver, &call(VISIBLE, message(RecordingState::Completed))));
}

#[test]
fn after_a_message_from_a_withheld_number() {
    insta::assert_snapshot!(document_at(Step::MessageOver, &call("anonymous", message(RecordingState::Completed))));
}

#[test]
fn after_a_signal_into_which_nobody_spoke() {
    insta::assert_snapshot!(document_at(Step::MessageOver, &call(VISIBLE, [Fact::MessageOver])));
}

#[test]
fn an_empty_recording_is_not_thanked_for() {
    let silent = document_at(Step::MessageOver, &call(VISIBLE, [Fact::MessageOver]));
    for state in [RecordingState::Absent, RecordingState::Failed] {
        assert_eq!(document_at(Step::MessageOver, &call(VISIBLE, message(state))), silent, "{state:?}");
    }
}

#[test]
fn after_a_signal_into_which_nobody_spoke_from_a_withheld_number() {
    insta::assert_snapshot!(document_at(Step::MessageOver, &call("", [Fact::MessageOver])));
}

fn keyed(digits: &str) -> Call {
    call("anonymous", [Fact::Keyed { digits: digits.to_owned() }])
}

#[test]
fn a_number_typed() {
    insta::assert_snapshot!(document_at(Step::Keyed(0), &keyed("89281112233")));
}

#[test]
fn a_number_typed_that_is_none() {
    insta::assert_snapshot!(document_at(Step::Keyed(0), &keyed("12")));
}

#[test]
fn a_number_typed_that_is_none_for_the_second_time() {
    insta::assert_snapshot!(document_at(Step::Keyed(1), &keyed("12")));
}

#[test]
fn the_fallback() {
    insta::assert_snapshot!(document_at(Step::Fallback, &call(VISIBLE, [])));
}

#[test]
fn the_farewell_when_our_state_is_out_of_reach() {
    insta::assert_snapshot!(document(&farewell()));
}

#[test]
fn the_other_dialects_differ_in_their_addresses_and_telnyx_in_its_channels() {
    let body = |signature| provider(signature).render(&offer()).body;
    let twilio = body(Signature::Twilio);
    assert_eq!(body(Signature::SignalWire).replace("/signalwire/", "/twilio/"), twilio);
    let telnyx = body(Signature::Telnyx).replace("/telnyx/", "/twilio/");
    assert_eq!(telnyx.replace(r#" channels="single""#, ""), twilio);
    assert_ne!(telnyx, twilio);
}

#[test]
fn who_expects_no_script_gets_an_empty_document() {
    let body = provider(Signature::Twilio).nothing().body;
    assert_eq!(body, r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#);
}

#[test]
fn a_document_stays_below_64_kb_and_a_caller_is_never_left_without_the_offer() {
    let long = vec![Verb::Say("&".repeat(100_000)); 4];
    let body = provider(Signature::Twilio).render(&long).body;
    assert_eq!(body, provider(Signature::Twilio).render(&offer()).body);
    let one = provider(Signature::Twilio).render(&long[..1]).body;
    assert!(one.contains(&"&amp;".repeat(4_000)) && one.len() < 64_000);
}

#[test]
fn markup_and_forbidden_characters_do_not_reach_the_document() {
    let script =
        [Verb::Say("<Hangup/> & \"'\u{0}\u{1b}\u{FFFE}".to_owned()), Verb::Play("https://a/?x=1&y=2".to_owned())];
    insta::assert_snapshot!(document(&script));
}

#[test]
fn a_provider_may_have_any_name() {
    let strange = Settings { name: "мой/тест".into(), ..provider(Signature::Twilio).settings.clone() };
    let body = Twiml::new(strange).render(&[Verb::Redirect(Step::Signal)]).body;
    assert!(body.contains("/webhooks/%D0%BC%D0%BE%D0%B9%2F%D1%82%D0%B5%D1%81%D1%82/signal"), "{body}");
}

/// Every text of a document, joined, after reading it to its end.
fn texts(document: &str) -> Result<String, quick_xml::Error> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().check_end_names = true;
    let mut texts = String::new();
    loop {
        match reader.read_event()? {
            Event::Eof => return Ok(texts),
            Event::Text(text) => texts.push_str(&text),
            Event::GeneralRef(name) => {
                texts.push_str(&quick_xml::escape::unescape(&format!("&{};", &*name)).expect("a known entity"));
            }
            Event::Start(tag) | Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    attribute.expect("attributes are well formed");
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_said_the_document_can_be_read_back(said: String, voice: String, number in 0..9_u32) {
        let settings = Settings { voice, ..provider(Signature::Telnyx).settings.clone() };
        let script = [
            Verb::Gather {
                prompt: vec![Verb::Say(said.clone()), Verb::Hangup],
                max_digits: (number > 0).then_some(number),
                timeout_seconds: number,
                next: Step::Keyed(0),
            },
            Verb::Record { max_seconds: number, silence_seconds: number, next: Step::MessageOver },
        ];
        let body = Twiml::new(settings).render(&script).body;
        prop_assert!(body.len() < 64_000);
        let carried = |c: &char| matches!(c, '\t' | '\n') || !(c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'));
        let heard: String = said.chars().filter(carried).collect();
        prop_assert_eq!(texts(&body).unwrap(), heard);
    }
}
