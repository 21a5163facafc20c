//! The attempts to reach a caller, read from the history of a callback.

use super::callback_list::Step;
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// One try to reach the caller: from dialling to what its officer wrote down of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// When the number was dialled, or, where that was not told, when the outcome was written down.
    pub at: Timestamp,
    pub by: Actor,
    /// `reached`, `no_answer`, `busy`; `dialled`: nobody has told how it ended.
    pub outcome: &'static str,
    pub note: String,
}

/// Oldest first. A number that was dialled and the outcome that its officer wrote down afterwards are one attempt.
pub(super) fn attempts(history: &[Step]) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    // The last attempt goes on until its officer tells how it ended, or leaves the callback.
    let mut goes_on = false;
    for step in history {
        let own = attempts.last().is_some_and(|last| goes_on && last.by.id == step.by.id);
        let attempt = |outcome| Attempt { at: step.at, by: step.by.clone(), outcome, note: step.note.clone() };
        match step.kind.as_str() {
            "dial" => {
                attempts.push(attempt("dialled"));
                goes_on = true;
            }
            "attempt" => {
                let told = attempt(outcome(step));
                match attempts.last_mut().filter(|_| own) {
                    Some(last) => *last = Attempt { at: last.at, ..told },
                    None => attempts.push(told),
                }
                goes_on = false;
            }
            // Who closes it with an answer has spoken with somebody.
            "done" | "clarify" | "exceptional" => {
                if let Some(last) = attempts.last_mut().filter(|_| own) {
                    *last = Attempt { outcome: "reached", note: step.note.clone(), ..last.clone() };
                }
                goes_on = false;
            }
            "later" | "decline" | "release" | "hand_over" => goes_on = false,
            _ => {}
        }
    }
    attempts
}

fn outcome(step: &Step) -> &'static str {
    match step.outcome.as_deref() {
        Some("reached") => "reached",
        Some("busy") => "busy",
        _ => "no_answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millisecond;

    fn step(minute: i64, by: i64, kind: &str, outcome: Option<&str>) -> Step {
        Step {
            at: from_millisecond(minute * 60_000),
            by: Actor::officer(by, "Мадина"),
            kind: kind.to_owned(),
            outcome: outcome.map(str::to_owned),
            note: String::new(),
            undoable: true,
        }
    }

    fn told(history: &[Step]) -> Vec<(i64, &'static str)> {
        attempts(history).into_iter().map(|it| (it.at.as_millisecond() / 60_000, it.outcome)).collect()
    }

    #[test]
    fn what_was_dialled_and_how_it_ended_is_one_attempt() {
        let dialled = |ending: &[Step]| told(&[&[step(1, 1, "dial", None)], ending].concat());
        assert_eq!(dialled(&[]), [(1, "dialled")]);
        assert_eq!(dialled(&[step(2, 1, "attempt", Some("busy"))]), [(1, "busy")]);
        assert_eq!(dialled(&[step(2, 1, "done", None)]), [(1, "reached")]);
        assert_eq!(dialled(&[step(2, 1, "decline", None)]), [(1, "dialled")]);
    }

    #[test]
    fn another_officer_or_another_day_begins_anew() {
        assert_eq!(
            told(&[step(1, 1, "dial", None), step(2, 2, "attempt", Some("no_answer")), step(3, 1, "done", None)]),
            [(1, "dialled"), (2, "no_answer")]
        );
        assert_eq!(
            told(&[step(1, 1, "dial", None), step(2, 1, "release", None), step(3, 1, "attempt", Some("reached"))]),
            [(1, "dialled"), (3, "reached")]
        );
        assert_eq!(told(&[step(1, 1, "claim", None), step(2, 1, "done", None)]), [], "nobody has dialled");
    }
}
