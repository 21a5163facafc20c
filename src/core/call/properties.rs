//! What holds for every order of events: late, twice, reversed, they end in the same call.

use proptest::prelude::*;

use super::*;
use crate::core::calendar::{Calendar, Hours};
use crate::time::from_millisecond;

/// Friday, 20 November 2026, 17:59:30 in Moscow: half a minute before closing, so that times lie on both sides of it.
const FRIDAY_MS: i64 = 1_795_186_770_000;

fn lines() -> Lines {
    Lines::new(Vec::new(), Calendar::new(Hours::default()))
}

fn key() -> CallKey {
    CallKey { provider: "twilio".into(), provider_call_id: "CA1".to_owned() }
}

fn state() -> impl Strategy<Value = RecordingState> {
    use RecordingState::{Absent, Begun, Completed, Failed};
    prop::sample::select(vec![Begun, Absent, Failed, Completed])
}

fn ringing() -> impl Strategy<Value = Ringing> {
    use Ringing::{Answered, Busy, Cancelled, Failed, NoAnswer};
    prop::sample::select(vec![Failed, Cancelled, Busy, NoAnswer, Answered])
}

/// Of few words, so that they often meet.
fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn fact() -> impl Strategy<Value = Fact> {
    let caller = word(&["+79280000001", "+79280000002", "anonymous", "", "sip:100@pbx.example"]);
    let direction = prop::sample::select(vec![Direction::Inbound, Direction::Outbound]);
    let dialled = word(&["+79288328088", "+79288036355", "+78712000199"]);
    let forwarded = prop::option::of(word(&["+79288328088", "+79288036355"]));
    let seconds = || prop::option::of(0_u32..4);
    prop_oneof![
        (direction, dialled, forwarded, caller).prop_map(|(direction, dialled, forwarded_from, caller)| {
            Fact::Parties { direction, dialled, forwarded_from, caller: Caller::from_provider(&caller) }
        }),
        Just(Fact::Answered),
        (ringing(), seconds()).prop_map(|(ringing, talk_seconds)| Fact::Rang { ringing, talk_seconds }),
        word(&["12", "89280000301", "89280000302"]).prop_map(|digits| Fact::Keyed { digits }),
        Just(Fact::MessageOver),
        (word(&["RE1", "RE2"]), state(), prop::option::of(word(&["https://a/1", "https://a/2"])), seconds())
            .prop_map(|(id, state, url, length_seconds)| Fact::Recording { id, state, url, length_seconds }),
        Just(Fact::Ended),
        Just(Fact::Restored),
    ]
}

fn event() -> impl Strategy<Value = CallEvent> {
    (0_i64..60, fact()).prop_map(|(seconds, fact)| CallEvent { at: from_millisecond(FRIDAY_MS + seconds * 1000), fact })
}

/// Some events, and the same events shuffled with some of them repeated.
fn events_twice_told() -> impl Strategy<Value = (Vec<CallEvent>, Vec<CallEvent>)> {
    prop::collection::vec(event(), 1..12).prop_flat_map(|events| {
        let repeats = prop::collection::vec(prop::sample::select(events.clone()), 0..6);
        repeats.prop_flat_map(move |repeats| {
            let again: Vec<CallEvent> = events.iter().cloned().chain(repeats).collect();
            (Just(events.clone()), Just(again).prop_shuffle())
        })
    })
}

fn told(events: &[CallEvent]) -> Call {
    let first = events.iter().map(|event| event.at).min().expect("there are some");
    let mut call = Call::new(7, key(), first);
    events.iter().for_each(|event| call.apply(event.clone()));
    call
}

/// The end of a call tells when it began; its voice webhook may have waited in a spool, and says so later.
#[test]
fn first_word_decides_and_the_earliest_start_stays() {
    let event = |seconds: i64, fact| CallEvent { at: from_millisecond(FRIDAY_MS + seconds * 1000), fact };
    let parties = || Fact::Parties {
        direction: Direction::Inbound,
        dialled: "+79288328088".to_owned(),
        forwarded_from: None,
        caller: Caller::from_provider("+79280000001"),
    };
    let end = [event(0, parties()), event(95, Fact::Ended)];
    for (arrives_at, is_open) in [(0, [true, true]), (1, [true, true]), (40, [true, false])] {
        let arrival = [event(arrives_at, parties())];
        for (first, second, is_open) in [(&end[..], &arrival[..], is_open[0]), (&arrival[..], &end[..], is_open[1])] {
            let mut call = told(first);
            call.decide(&lines());
            second.iter().for_each(|event| call.apply(event.clone()));
            call.decide(&lines());
            assert_eq!(call.started_at, from_millisecond(FRIDAY_MS), "arrives at {arrives_at}");
            assert_eq!(call.decision.unwrap().open, is_open, "arrives at {arrives_at}");
        }
    }
}

proptest! {
    #[test]
    fn any_order_with_any_repeats_ends_in_the_same_call((straight, shuffled) in events_twice_told()) {
        let (mut one, mut other) = (told(&straight), told(&shuffled));
        prop_assert_eq!(&one, &other);
        one.decide(&lines());
        other.decide(&lines());
        prop_assert_eq!(&one.outcome(), &other.outcome());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn own_numbers_are_nobodys_in_any_order((straight, shuffled) in events_twice_told()) {
        let line = Line::new(LineId::new("parents"), PhoneNumber::parse("+79280000001").ok(), "", Calendar::new(Hours::default()));
        let lines = Lines::new(vec![line], Calendar::new(Hours::default()));
        let own = |events: &[CallEvent]| -> Vec<CallEvent> {
            events.iter().filter_map(|event| event.clone().without_own_numbers(&lines)).collect()
        };
        let (straight, shuffled) = (own(&straight), own(&shuffled));
        prop_assume!(!straight.is_empty());
        let (mut one, mut other) = (told(&straight), told(&shuffled));
        one.decide(&lines);
        other.decide(&lines);
        prop_assert!(!one.is_inbound() || one.other_party().is_none_or(|number| !lines.is_own(&number)));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn decision_on_a_known_number_stays(before in prop::collection::vec(event(), 1..8), after in event()) {
        let mut call = told(&before);
        call.decide(&lines());
        let (is_known, line, decision) = (call.dialled.is_some(), call.line.clone(), call.decision.clone());
        call.apply(after);
        call.decide(&lines());
        if is_known {
            prop_assert_eq!((call.line, call.decision), (line, decision));
        }
    }

    /// The end of a call came first: the call is on the unknown line, until the number that was dialled is told.
    #[test]
    fn decision_without_a_number_waits_for_the_number(before in prop::collection::vec(event(), 0..8), after in event()) {
        let end = CallEvent { at: from_millisecond(FRIDAY_MS), fact: Fact::Ended };
        let without_number = before.into_iter().filter(|event| !matches!(event.fact, Fact::Parties { .. }));
        let mut call = told(&without_number.chain([end]).collect::<Vec<_>>());
        call.decide(&lines());
        let unknown = call.line.clone();
        prop_assert!(unknown.is_some() && call.decision.is_some());
        call.apply(after);
        let is_known = call.dialled.is_some();
        prop_assert_eq!(call.line.is_none(), is_known);
        call.decide(&lines());
        prop_assert!(is_known || call.line == unknown);
    }

    #[test]
    fn an_ended_call_stays_ended_and_a_talk_stays_a_talk(before in prop::collection::vec(event(), 1..8), after in event()) {
        let mut call = told(&before);
        let (was_ended, had_rung) = (call.ended_at.is_some(), call.ringing);
        let had_message = call.has_message();
        call.apply(after);
        prop_assert!(!was_ended || call.ended_at.is_some());
        prop_assert!(call.ringing >= had_rung);
        prop_assert!(!had_message || call.has_message());
    }
}
