//! One number on several lines: its callbacks know each other, so that nobody is called twice (R26).

use super::{Action, Callback, State};
use crate::core::line::LineId;
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// Another callback of the same number to dial that still waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    pub id: i64,
    pub line: LineId,
    pub state: State,
    /// The officer for whom a call about it was placed that is not over, and since when.
    pub placed_call: Option<(Actor, Timestamp)>,
    pub last_attempt: Option<SiblingAttempt>,
}

/// The last attempt to reach the caller by a sibling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingAttempt {
    pub at: Timestamp,
    pub by: Actor,
    /// `reached`, `no_answer`, `busy`; `dialled`: the outcome is not known.
    pub outcome: &'static str,
}

/// Who works on a sibling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingHolder {
    pub callback_id: i64,
    pub line: LineId,
    pub by: Actor,
    pub since: Timestamp,
    /// Whether the number was dialled since, as far as anybody knows: by hand or by a placed call.
    pub is_calling: bool,
}

impl Sibling {
    /// Whoever calls about it or holds it at `now`.
    pub fn holder(&self, now: Timestamp) -> Option<SiblingHolder> {
        let claim = match &self.state {
            State::Claimed { by, at, until } if now < *until => Some((by, at)),
            _ => None,
        };
        let (by, since) = self.placed_call.as_ref().map(|(by, at)| (by, at)).or(claim)?;
        let has_dialled =
            |attempt: &SiblingAttempt| attempt.outcome == "dialled" && attempt.by.id == by.id && attempt.at >= *since;
        Some(SiblingHolder {
            callback_id: self.id,
            line: self.line.clone(),
            by: by.clone(),
            since: *since,
            is_calling: self.placed_call.is_some() || self.last_attempt.as_ref().is_some_and(has_dialled),
        })
    }

    /// The first of them that a colleague of this officer holds.
    pub fn held_by_colleague(siblings: &[Self], me: &Actor, now: Timestamp) -> Option<SiblingHolder> {
        siblings.iter().filter_map(|sibling| sibling.holder(now)).find(|holder| holder.by.id != me.id)
    }
}

impl State {
    /// Whether an officer has decided something that siblings should follow: it is closed or put off.
    pub fn is_outcome(&self) -> bool {
        match self {
            Self::Later { .. } | Self::Done { .. } | Self::Exceptional { .. } | Self::Declined { .. } => true,
            Self::Open | Self::Claimed { .. } => false,
        }
    }
}

impl Callback {
    /// The action that gives a sibling the outcome of this callback; `None`: it is worked on again, or its time has come.
    pub fn outcome_for_siblings(&self, now: Timestamp) -> Option<Action> {
        match &self.desk.state {
            State::Done { note, .. } => Some(Action::Done { note: note.clone() }),
            State::Exceptional { note, .. } => Some(Action::Exceptional { note: note.clone() }),
            State::Declined { reason, note, .. } => Some(Action::Decline { reason: *reason, note: note.clone() }),
            State::Later { until, .. } if now < *until => Some(Action::Later { until: *until, note: String::new() }),
            State::Open | State::Claimed { .. } | State::Later { .. } => None,
        }
    }
}
