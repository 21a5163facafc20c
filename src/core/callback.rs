//! A callback: somebody waits for us to call. Opened by the event that causes it, worked by officers, never lost.
//!
//! Officers' actions may be refused; each accepted one leaves a [`HistoryEntry`] with the desk as it was before, so
//! every step can be taken back.

mod planning;
mod siblings;
mod terms;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

use self::planning::{into_working_time, plan_next_attempt};
pub use self::siblings::{Sibling, SiblingAttempt, SiblingHolder};
pub use self::terms::Terms;
pub use self::words::{ASKERS, AttemptOutcome, Channel, LONGEST_NOTE, Notes, Reason, TOPICS};
use self::words::{check_length, check_notes};
use super::calendar::{Calendar, Period};
use super::dialing::DialingRules;
use super::line::LineId;
use super::officer::Actor;
use super::phone::PhoneNumber;
use crate::time::{SignedDuration, Timestamp};

/// How far an officer may put a callback off: the summer holidays. A slip of the keyboard must not hide a caller for years.
pub const LONGEST_DELAY_DAYS: i64 = 100;

/// Attempts that reached nobody before a callback may be closed as not reached (UX §3).
pub const ATTEMPTS_BEFORE_GIVING_UP: usize = 3;

/// What the note of [`Refusal::NoteNeeded`] has to say when it is declined for want of knowledge.
pub const WHAT_IS_MISSING: &str = "what is missing";
/// The same when it is declined for the way it was put.
pub const HOW_IT_WAS_PUT: &str = "how the question was put";

/// The outcome in history of a claim whose officer was asked, since a colleague holds the same number on another line.
pub const CONFIRMED: &str = "confirmed";

/// The same where the officer was asked, since the number is none that is dialed without asking.
pub const CONFIRMED_NUMBER: &str = "confirmed_number";

/// How long a claim holds without a sign of life from its officer (R10).
pub const LEASE: SignedDuration = SignedDuration::from_mins(15);

/// Where a callback stands, with the facts of that state and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Open,
    /// One officer works on it; nobody else may until `until` has passed.
    Claimed {
        by: Actor,
        at: Timestamp,
        until: Timestamp,
    },
    /// Put off, by an officer or after an attempt that reached nobody.
    Later {
        by: Actor,
        at: Timestamp,
        until: Timestamp,
    },
    Done {
        by: Actor,
        at: Timestamp,
        note: String,
    },
    /// The exceptional situation: the caller turns to portal support himself; we send nothing to anyone (R11).
    Exceptional {
        by: Actor,
        at: Timestamp,
        note: String,
    },
    Declined {
        by: Actor,
        at: Timestamp,
        reason: Reason,
        note: String,
    },
}

impl State {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed { .. } => "claimed",
            Self::Later { .. } => "later",
            Self::Done { .. } => "done",
            Self::Exceptional { .. } => "exceptional",
            Self::Declined { .. } => "declined",
        }
    }

    /// When it was closed; `None` while somebody still waits.
    pub fn closed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Done { at, .. } | Self::Exceptional { at, .. } | Self::Declined { at, .. } => Some(*at),
            Self::Open | Self::Claimed { .. } | Self::Later { .. } => None,
        }
    }

    /// The officer who holds it at `now`. An expired lease holds nothing.
    pub fn holder(&self, now: Timestamp) -> Option<&Actor> {
        match self {
            Self::Claimed { by, until, .. } if now < *until => Some(by),
            _ => None,
        }
    }

    /// Whether this officer claimed it last, though the lease may have run out.
    fn is_claimed_by(&self, officer: &Actor) -> bool {
        matches!(self, Self::Claimed { by, .. } if by.id == officer.id)
    }
}

/// The part of a callback that officers change, and that undo brings back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    #[serde(flatten)]
    pub state: State,
    pub notes: Notes,
}

/// A callback as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    pub id: i64,
    pub line: LineId,
    /// The caller's number as the network showed it; `None` if withheld.
    pub caller: Option<PhoneNumber>,
    /// The caller's number, or the one typed on the keypad or told. To dial: [`Callback::number_to_dial`].
    pub callback_number: Option<PhoneNumber>,
    pub channel: Channel,
    pub received_at: Timestamp,
    /// Set by the first action of an officer, with a number that has no gaps in its year (R9).
    pub registered_at: Option<Timestamp>,
    pub registration_number: Option<String>,
    /// The working period on whose list it stands; `None`: no working hours are configured.
    pub period: Option<Period>,
    /// To be answered by the end of that period (R7).
    pub due_at: Option<Timestamp>,
    /// The regulation's own term, only if the school has set one (R8).
    pub term_due_at: Option<Timestamp>,
    pub desk: Desk,
    /// The call in which the caller was reached without this callback: it proposes to close (R12).
    pub proposed_call_id: Option<i64>,
    /// The callback of the same number on another line whose outcome is proposed here too (R26).
    pub proposed_callback_id: Option<i64>,
    /// Grows by one with each change of an officer and with each call or message that joins.
    pub version: i64,
}

/// What an officer does with a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Claim,
    /// «Беру и звоню»: claims and begins an attempt. How it ended is told by the officer's next step.
    Dial,
    /// «Всё равно перезвонить»: claims a callback that proposes to close, and drops the proposal (R12).
    CallAnyway,
    Release,
    /// «Передать коллеге»: from now on another officer holds it.
    HandOver {
        to: Actor,
    },
    /// `next_at`: the officer's wish for the next attempt; moved into working time if it lies outside.
    Attempt {
        outcome: AttemptOutcome,
        note: String,
        next_at: Option<Timestamp>,
    },
    Done {
        note: String,
    },
    Later {
        until: Timestamp,
        note: String,
    },
    /// The wording must be clear and specific: the note says what has to be cleared up.
    Clarify {
        note: String,
        next_at: Option<Timestamp>,
    },
    Exceptional {
        note: String,
    },
    Decline {
        reason: Reason,
        note: String,
    },
    Reopen,
    /// Only notes are written.
    Describe,
    /// The officer was asked, since a colleague holds the same number on another line (R26) or the number is a premium or
    /// foreign one (R27), and goes on.
    Confirmed(Box<Action>),
}

impl Action {
    /// The word in history, API and audit.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Dial => "dial",
            Self::CallAnyway => "call_anyway",
            Self::Release => "release",
            Self::HandOver { .. } => "hand_over",
            Self::Attempt { .. } => "attempt",
            Self::Done { .. } => "done",
            Self::Later { .. } => "later",
            Self::Clarify { .. } => "clarify",
            Self::Exceptional { .. } => "exceptional",
            Self::Decline { .. } => "decline",
            Self::Reopen => "reopen",
            Self::Describe => "describe",
            Self::Confirmed(action) => action.as_str(),
        }
    }

    /// The same step with another note.
    pub fn with_note(self, note: String) -> Self {
        match self {
            Self::Attempt { outcome, next_at, .. } => Self::Attempt { outcome, note, next_at },
            Self::Done { .. } => Self::Done { note },
            Self::Later { until, .. } => Self::Later { until, note },
            Self::Clarify { next_at, .. } => Self::Clarify { note, next_at },
            Self::Exceptional { .. } => Self::Exceptional { note },
            Self::Decline { reason, .. } => Self::Decline { reason, note },
            Self::Confirmed(action) => Self::Confirmed(Box::new(action.with_note(note))),
            action => action,
        }
    }

    /// Whether it ends with the caller's telephone ringing, so that it is guarded by the siblings.
    pub fn claims(&self) -> bool {
        match self {
            Self::Claim | Self::Dial | Self::CallAnyway => true,
            Self::Confirmed(action) => action.claims(),
            _ => false,
        }
    }

    /// Whether the telephone rings at once.
    fn dials(&self) -> bool {
        match self {
            Self::Dial => true,
            Self::Confirmed(action) => action.dials(),
            _ => false,
        }
    }

    /// Whether somebody is to call then, so that it depends on the siblings.
    pub fn depends_on_siblings(&self) -> bool {
        self.claims() || matches!(self, Self::HandOver { .. })
    }
}

/// Why an officer's action was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("claimed by {by} since {at}")]
    ClaimedByOther { by: Actor, at: Timestamp },
    #[error("{} holds callback {} of the same number on line {} since {}", .0.by, .0.callback_id, .0.line, .0.since)]
    HeldOnOtherLine(Box<SiblingHolder>),
    #[error("the number is none of those that are dialed without asking")]
    NumberNotAllowed,
    #[error("no outcome of another line is proposed")]
    NothingProposed,
    #[error("the callback is closed already ({state})")]
    Closed { state: &'static str },
    #[error("the callback is not closed")]
    NotClosed,
    #[error("a note is needed: say {0}")]
    NoteNeeded(&'static str),
    #[error("a reference to the document with the answer is needed")]
    ReferenceNeeded,
    #[error("the reason «{0}» is switched off")]
    ReasonOff(&'static str),
    #[error("{field} may be at most {LONGEST_NOTE} characters long")]
    TooLong { field: &'static str },
    #[error("{field}: «{value}» is none of {known}")]
    UnknownWord { field: &'static str, value: String, known: String },
    #[error("the time lies in the past")]
    InThePast,
    #[error("the time lies more than {LONGEST_DELAY_DAYS} days ahead")]
    TooFar,
    #[error("«not reached» needs at least {ATTEMPTS_BEFORE_GIVING_UP} attempts on two different days")]
    NotTried,
    #[error("no working hours are configured within 400 days")]
    NoWorkingHours,
}

/// One line of a callback's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    pub at: Timestamp,
    pub by: Actor,
    pub kind: &'static str,
    pub outcome: Option<&'static str>,
    pub note: String,
    /// The desk before this step, for undo.
    pub before: Desk,
}

/// What deciding about an action needs beside the callback itself.
pub struct Bench<'a> {
    pub now: Timestamp,
    pub by: &'a Actor,
    pub calendar: &'a Calendar,
    /// Attempts that reached nobody so far.
    pub vain_attempts: usize,
    /// Whether they were made on different days.
    pub vain_on_two_days: bool,
    /// Whether the two reasons of the regulation may be used.
    pub regulation_reasons: bool,
    /// Which numbers are dialed without asking.
    pub dialing: &'a DialingRules,
    /// Other open callbacks of the same number, where [`Action::depends_on_siblings`].
    pub siblings: &'a [Sibling],
}

impl Callback {
    /// Takes one action of an officer, or says why not. Claiming one's own again renews the lease.
    pub fn act(&mut self, action: &Action, notes: Notes, bench: &Bench<'_>) -> Result<HistoryEntry, Refusal> {
        check_notes(&notes)?;
        self.check_turn(action, bench)?;
        let confirmed = self.check_siblings(action, bench)?.then_some(CONFIRMED);
        let confirmed = confirmed.or(self.check_number(action, bench)?.then_some(CONFIRMED_NUMBER));
        let action = match action {
            Action::Confirmed(action) => &**action,
            action => action,
        };
        let before = self.desk.clone();
        let mut desk = before.clone();
        let remark = notes.remark.clone().unwrap_or_default();
        desk.notes.update(notes);
        desk.state = next_state(action, &desk, bench)?;
        let (outcome, note) = match action {
            Action::Attempt { outcome, note, .. } => (Some(outcome.as_str()), note),
            Action::Decline { reason, note } => (Some(reason.as_str()), note),
            Action::Done { note }
            | Action::Later { note, .. }
            | Action::Clarify { note, .. }
            | Action::Exceptional { note } => (None, note),
            Action::HandOver { to } => (None, &to.name),
            Action::Claim
            | Action::Dial
            | Action::CallAnyway
            | Action::Release
            | Action::Reopen
            | Action::Describe
            | Action::Confirmed(_) => (None, &remark),
        };
        let outcome = outcome.or(confirmed);
        check_length("note", note)?;
        let entry = HistoryEntry {
            at: bench.now,
            by: bench.by.clone(),
            kind: action.as_str(),
            outcome,
            note: note.clone(),
            before,
        };
        // A renewed lease changes nothing that anybody could have overlooked: pages that show it stay valid.
        let renews = matches!(action, Action::Claim) && entry.before.state.is_claimed_by(bench.by);
        self.desk = desk;
        self.version += i64::from(!renews);
        self.registered_at = self.registered_at.or(Some(bench.now));
        if matches!(action, Action::CallAnyway) {
            self.proposed_call_id = None;
        }
        // The officer has decided: a proposal of another line would only repeat itself.
        let has_decided = self.desk.state.is_outcome() && self.desk.state != entry.before.state;
        if matches!(action, Action::CallAnyway) || has_decided {
            self.proposed_callback_id = None;
        }
        Ok(entry)
    }

    /// Nobody works on what another officer holds, and nobody but reopening touches what is closed.
    fn check_turn(&self, action: &Action, bench: &Bench<'_>) -> Result<(), Refusal> {
        match &self.desk.state {
            State::Claimed { by, at, until } if by.id != bench.by.id && bench.now < *until => {
                Err(Refusal::ClaimedByOther { by: by.clone(), at: *at })
            }
            state => match (action, state.closed_at()) {
                (Action::Reopen, None) => Err(Refusal::NotClosed),
                (Action::Reopen | Action::Describe, _) | (_, None) => Ok(()),
                (_, Some(_)) => Err(Refusal::Closed { state: state.as_str() }),
            },
        }
    }

    /// A premium or foreign number is dialed only by an officer who was asked (R27). `true`: he was, and goes on.
    fn check_number(&self, action: &Action, bench: &Bench<'_>) -> Result<bool, Refusal> {
        let is_allowed = self.number_to_dial().is_none_or(|number| bench.dialing.allows(number));
        match action {
            Action::Dial if !is_allowed => Err(Refusal::NumberNotAllowed),
            Action::Confirmed(action) => Ok(!is_allowed && matches!(**action, Action::Dial)),
            _ => Ok(false),
        }
    }

    /// One number is called by one officer at a time, whatever the line. Who holds this callback already was asked before he
    /// took it; before the number is dialled he is asked again, for it may have become known since that both are one
    /// caller's. `true`: a colleague holds a sibling, and this officer goes on.
    fn check_siblings(&self, action: &Action, bench: &Bench<'_>) -> Result<bool, Refusal> {
        if let Action::HandOver { to } = action {
            // Nobody asks the recipient: his colleague may get this callback too, or release the other one.
            let holder = Sibling::held_by_colleague(bench.siblings, to, bench.now);
            return holder.map_or(Ok(false), |holder| Err(Refusal::HeldOnOtherLine(Box::new(holder))));
        }
        let is_mine = self.desk.state.holder(bench.now).is_some_and(|holder| holder.id == bench.by.id);
        if !action.claims() || is_mine && !action.dials() {
            return Ok(false);
        }
        match (Sibling::held_by_colleague(bench.siblings, bench.by, bench.now), action) {
            (Some(_), Action::Confirmed(_)) => Ok(true),
            (Some(holder), _) => Err(Refusal::HeldOnOtherLine(Box::new(holder))),
            (None, _) => Ok(false),
        }
    }

    /// The network's number first: what was typed or told may be wrong.
    pub fn number_to_dial(&self) -> Option<&PhoneNumber> {
        self.caller.as_ref().or(self.callback_number.as_ref())
    }

    /// First in the order of the list: overdue, then by due time, then oldest (the order of `due_at` is both).
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.desk.state.closed_at().is_none() && self.due_at.is_some_and(|due_at| now > due_at)
    }
}

fn next_state(action: &Action, desk: &Desk, bench: &Bench<'_>) -> Result<State, Refusal> {
    let (by, at) = (bench.by.clone(), bench.now);
    Ok(match action {
        Action::Claim | Action::Dial | Action::CallAnyway => {
            State::Claimed { by, at: claimed_at(&desk.state, bench), until: lease_end(at) }
        }
        Action::HandOver { to } => State::Claimed { by: to.clone(), at, until: lease_end(at) },
        Action::Release | Action::Reopen => State::Open,
        Action::Describe => desk.state.clone(),
        Action::Confirmed(action) => next_state(action, desk, bench)?,
        Action::Attempt { outcome: AttemptOutcome::Reached, .. } => {
            State::Claimed { by, at: claimed_at(&desk.state, bench), until: lease_end(at) }
        }
        Action::Attempt { next_at, .. } => {
            let wish = next_at.unwrap_or_else(|| plan_next_attempt(bench));
            State::Later { by, at, until: into_working_time(wish, bench)? }
        }
        Action::Later { until, .. } => State::Later { by, at, until: into_working_time(*until, bench)? },
        Action::Clarify { note, next_at } => {
            if note.trim().is_empty() {
                return Err(Refusal::NoteNeeded("what has to be cleared up"));
            }
            let wish = next_at.unwrap_or_else(|| plan_next_attempt(bench));
            State::Later { by, at, until: into_working_time(wish, bench)? }
        }
        Action::Done { note } => State::Done { by, at, note: note.clone() },
        Action::Exceptional { note } => State::Exceptional { by, at, note: note.clone() },
        Action::Decline { reason, note } => {
            if reason.is_from_regulation() && !bench.regulation_reasons {
                return Err(Refusal::ReasonOff(reason.as_str()));
            }
            if reason.is_from_regulation() && note.trim().is_empty() {
                return Err(Refusal::NoteNeeded(match reason {
                    Reason::NotConstructive => HOW_IT_WAS_PUT,
                    _ => WHAT_IS_MISSING,
                }));
            }
            let is_tried = bench.vain_attempts >= ATTEMPTS_BEFORE_GIVING_UP && bench.vain_on_two_days;
            if *reason == Reason::NotReached && !is_tried {
                return Err(Refusal::NotTried);
            }
            if *reason == Reason::AlreadyAnswered && desk.notes.reference.is_none() {
                return Err(Refusal::ReferenceNeeded);
            }
            State::Declined { by, at, reason: *reason, note: note.clone() }
        }
    })
}

fn claimed_at(state: &State, bench: &Bench<'_>) -> Timestamp {
    match state {
        State::Claimed { at, .. } if state.is_claimed_by(bench.by) => *at,
        _ => bench.now,
    }
}

fn lease_end(now: Timestamp) -> Timestamp {
    now.checked_add(LEASE).unwrap_or(now)
}
