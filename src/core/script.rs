//! What the caller hears next: a short list of verbs, chosen from the stored call.
//!
//! A script is asked for at a [`Step`] of the dialogue. The answer depends on the call's stored state alone, so the
//! same request twice gets the same answer, and a request out of turn still gets a way on: there are no dead ends.

use super::call::{Call, Decision, RecordingState};
use super::greetings::GreetingKind;
use super::line::Line;
use super::phone::Telephone;
use super::wording;
use crate::time::Timestamp;

/// A place in the dialogue. The codec turns it into an address and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The call comes in.
    Arrived,
    /// Ringing officer's phone number `n` (counted from 0) is over.
    Dialled(usize),
    /// The caller pressed a key in the greeting: straight to the signal.
    Signal,
    /// The record verb is over, or was passed over without a recording.
    MessageOver,
    /// The caller was asked for a number for the `n`-th time (counted from 0).
    Keyed(usize),
    /// The provider could not get an answer before.
    Fallback,
}

/// What the provider is to do. The common subset that all TwiML dialects run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Say(String),
    /// A prompt as sound, by its address: one that begins with `/` is below the public address of the house.
    Play(String),
    /// Plays `prompt`; a key leads to `next` at once. Without a key the verbs after it run.
    Gather {
        prompt: Vec<Verb>,
        max_digits: Option<u32>,
        timeout_seconds: u32,
        next: Step,
    },
    /// Beeps and records until `#`, silence or a hang-up.
    Record {
        max_seconds: u32,
        silence_seconds: u32,
        next: Step,
    },
    Dial {
        telephone: Telephone,
        seconds: u32,
        next: Step,
    },
    Redirect(Step),
    Hangup,
}

pub type Script = Vec<Verb>;

/// Seconds of silence that end a message: long enough to look for a paper with the number.
const SILENCE_SECONDS: u32 = 10;
/// Seconds in which a withheld caller may type the next digit.
const KEYPAD_SECONDS: u32 = 8;
/// How often a withheld caller is asked for a number (UX §2 C: one repeat).
const KEYPAD_TRIES: usize = 2;

/// The next part of the dialogue (DESIGN R3–R7, UX §2).
pub fn next(call: &Call, line: &Line, step: Step, now: Timestamp) -> Script {
    let Some(decision) = &call.decision else { return offer() };
    match step {
        // Whoever is blocked hears the greeting, and no officer's telephone rings.
        Step::Arrived if decision.open && call.blocked_at.is_some() => offer_busy(line, decision, now),
        Step::Arrived if decision.open => ring_or_offer(call, line, decision, 0, now),
        Step::Arrived => greet_and_record(greeting_closed(call, line, decision), line),
        Step::Dialled(_) if call.was_talked() => vec![Verb::Hangup],
        Step::Dialled(n) => ring_or_offer(call, line, decision, n + 1, now),
        Step::Signal => vec![record(line), Verb::Redirect(Step::MessageOver)],
        Step::MessageOver => thank(call, line),
        Step::Keyed(n) => after_the_keypad(call, n),
        Step::Fallback => offer(),
    }
}

/// The offer that needs nothing: no line, no calendar, no database. A caller never hears our failure (R3).
pub fn offer() -> Script {
    vec![
        Verb::Say(wording::OFFER.to_owned()),
        Verb::Record { max_seconds: 180, silence_seconds: SILENCE_SECONDS, next: Step::MessageOver },
        Verb::Redirect(Step::MessageOver),
    ]
}

/// The offer of a document that stands at a place of its own and answers while the service cannot be reached: nothing is
/// asked of us but to take note of the recording. No key cuts the greeting short, for there would be nobody to ask.
pub fn offer_without_service(line: &Line) -> Script {
    vec![Verb::Say(wording::offer_of(line)), record(line), Verb::Hangup]
}

/// The end of the dialogue when the state of the call is out of reach: whatever was recorded is at the provider.
pub fn farewell() -> Script {
    vec![Verb::Say(wording::RECORDED.to_owned()), Verb::Hangup]
}

fn ring_or_offer(call: &Call, line: &Line, decision: &Decision, phone: usize, now: Timestamp) -> Script {
    match line.ring.get(phone) {
        Some(telephone) if call.ended_at.is_none() => {
            vec![
                Verb::Dial { telephone: telephone.clone(), seconds: line.ring_seconds, next: Step::Dialled(phone) },
                // Run only where a provider leaves the Dial without asking.
                Verb::Redirect(Step::Dialled(phone)),
            ]
        }
        _ => offer_busy(line, decision, now),
    }
}

fn offer_busy(line: &Line, decision: &Decision, now: Timestamp) -> Script {
    let spoken = || wording::greeting_busy(line, decision, now);
    greet_and_record(vec![greeting(line, wording::kind_busy(decision, now), spoken)], line)
}

/// The school's recording where it is switched on, else the text.
fn greeting(line: &Line, kind: GreetingKind, text: impl FnOnce() -> String) -> Verb {
    match line.greetings.get(&kind) {
        Some(recorded) => Verb::Play(recorded.address()),
        None => Verb::Say(text()),
    }
}

/// After a recording, which says «в рабочее время» on every day, the date is spoken: it is promised to each caller (R7).
/// Who waits already is told so, and that nobody has recorded.
fn greeting_closed(call: &Call, line: &Line, decision: &Decision) -> Vec<Verb> {
    if call.waiting_since.is_some() {
        return vec![Verb::Say(wording::greeting_again(line, decision, call.started_at))];
    }
    let spoken = || wording::greeting_closed(line, decision, call.started_at);
    let greeting = greeting(line, wording::kind_closed(decision), spoken);
    let date = (matches!(greeting, Verb::Play(_)) && decision.promise.is_some())
        .then(|| Verb::Say(wording::promise_closed(decision, line.calendar.time_zone(), call.started_at)));
    std::iter::once(greeting).chain(date).collect()
}

/// One greeting, which any key cuts short, then the signal.
fn greet_and_record(greeting: Vec<Verb>, line: &Line) -> Script {
    vec![
        Verb::Gather { prompt: greeting, max_digits: Some(1), timeout_seconds: 1, next: Step::Signal },
        record(line),
        Verb::Redirect(Step::MessageOver),
    ]
}

fn record(line: &Line) -> Verb {
    Verb::Record { max_seconds: line.max_message_seconds, silence_seconds: SILENCE_SECONDS, next: Step::MessageOver }
}

/// The message is safe by now: only here may anything be asked (R4).
fn thank(call: &Call, line: &Line) -> Script {
    let visible = call.other_party().is_some() || call.keyed_number().is_some();
    // Some providers announce an empty recording as well; nobody is thanked for that.
    let heard =
        call.recordings.values().any(|it| matches!(it.state, RecordingState::Begun | RecordingState::Completed));
    match (heard, visible) {
        (true, true) => vec![greeting(line, GreetingKind::Thanks, || wording::RECORDED.to_owned()), Verb::Hangup],
        (false, true) => vec![Verb::Say(wording::not_heard(call.wants_callback(line))), Verb::Hangup],
        (true, false) => ask_for_a_number(format!("{} {}", wording::SAVED, wording::ASK_NUMBER), 0),
        (false, false) => ask_for_a_number(wording::ASK_NUMBER.to_owned(), 0),
    }
}

fn after_the_keypad(call: &Call, asked: usize) -> Script {
    match call.keyed_number() {
        Some(number) => vec![Verb::Say(wording::number_taken(&number)), Verb::Hangup],
        None if asked + 1 < KEYPAD_TRIES => ask_for_a_number(wording::ASK_NUMBER_AGAIN.to_owned(), asked + 1),
        None => vec![Verb::Say(wording::GOODBYE.to_owned()), Verb::Hangup],
    }
}

fn ask_for_a_number(prompt: String, asked: usize) -> Script {
    vec![
        Verb::Gather {
            prompt: vec![Verb::Say(prompt)],
            max_digits: None,
            timeout_seconds: KEYPAD_SECONDS,
            next: Step::Keyed(asked),
        },
        Verb::Redirect(Step::Keyed(asked)),
    ]
}
