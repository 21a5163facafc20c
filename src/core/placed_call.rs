//! A call that the school's own exchange places for an officer: his telephone rings first, then the caller's.

use super::call::{Call, Ringing};
use super::callback::AttemptOutcome;

const PREFIX: &str = "perezvon-";

/// The exchange's own id of the call of this row. It is made from the row's, so it is unique for ever and known before
/// anything rings.
pub fn provider_call_id(id: i64) -> String {
    format!("{PREFIX}{id}")
}

/// The row that an exchange's call belongs to, if it is one of those.
pub fn row_of(provider_call_id: &str) -> Option<i64> {
    let id: i64 = provider_call_id.strip_prefix(PREFIX)?.parse().ok()?;
    (self::provider_call_id(id) == provider_call_id && id > 0).then_some(id)
}

/// How a placed call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Talked,
    Busy,
    NoAnswer,
    /// The officer put the receiver down before anybody answered: what it was he says himself.
    GaveUp,
    /// The exchange could not put the call through to the caller.
    NotConnected,
    /// Nobody took up the officer's own telephone.
    NotPickedUp,
    /// The exchange does not know the officer's telephone. Nothing rang.
    NoSuchTelephone,
    /// The exchange does not believe us. Nothing rang.
    WrongPassword,
    /// The exchange could not be asked in time. Nothing rang.
    OutOfReach,
    /// It was placed, and nobody ever told how it ended.
    Unknown,
}

impl Ending {
    pub const ALL: [Self; 10] = [
        Self::Talked,
        Self::Busy,
        Self::NoAnswer,
        Self::GaveUp,
        Self::NotConnected,
        Self::NotPickedUp,
        Self::NoSuchTelephone,
        Self::WrongPassword,
        Self::OutOfReach,
        Self::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Talked => "talked",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::GaveUp => "gave_up",
            Self::NotConnected => "not_connected",
            Self::NotPickedUp => "not_picked_up",
            Self::NoSuchTelephone => "no_such_telephone",
            Self::WrongPassword => "wrong_password",
            Self::OutOfReach => "out_of_reach",
            Self::Unknown => "unknown",
        }
    }

    /// What the exchange told of the call; `None`: it still goes on. Once a call has ended, any order and any repeats of
    /// what was told give the same.
    pub fn told(call: &Call) -> Option<Self> {
        call.ended_at?;
        Some(match call.ringing {
            _ if call.was_talked() => Self::Talked,
            Some(Ringing::Busy) => Self::Busy,
            Some(Ringing::NoAnswer | Ringing::Answered) => Self::NoAnswer,
            Some(Ringing::Cancelled) => Self::GaveUp,
            Some(Ringing::Failed) => Self::NotConnected,
            None => Self::Unknown,
        })
    }

    /// The attempt that it was.
    pub fn attempt(self) -> Option<AttemptOutcome> {
        match self {
            Self::Talked => Some(AttemptOutcome::Reached),
            Self::Busy => Some(AttemptOutcome::Busy),
            Self::NoAnswer => Some(AttemptOutcome::NoAnswer),
            _ => None,
        }
    }

    /// The caller's telephone has not rung, so nothing counts against him.
    pub fn never_came_to_the_caller(self) -> bool {
        match self {
            Self::NotConnected | Self::NotPickedUp | Self::NoSuchTelephone | Self::WrongPassword | Self::OutOfReach => {
                true
            }
            Self::Talked | Self::Busy | Self::NoAnswer | Self::GaveUp | Self::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::call::{CallEvent, CallKey, Fact};
    use crate::time::from_millisecond;

    #[test]
    fn only_the_ids_of_our_own_calls_lead_to_a_row() {
        assert_eq!(row_of(&provider_call_id(42)), Some(42));
        for other in ["perezvon-1795350861.0", "perezvon-test-1", "perezvon-", "perezvon-042", "perezvon--1", "42"] {
            assert_eq!(row_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_the_exchange_told_gives_the_same_ending_in_any_order() {
        let end = |ringing: Option<Ringing>, talk_seconds: Option<u32>| {
            let mut facts = vec![Fact::Ended];
            if talk_seconds.is_some() {
                facts.push(Fact::Answered);
            }
            facts.extend(ringing.map(|ringing| Fact::Rang { ringing, talk_seconds }));
            facts.push(Fact::Parties {
                direction: crate::core::call::Direction::Outbound,
                dialled: "79281112233".to_owned(),
                forwarded_from: None,
                caller: crate::core::phone::Caller::from_provider("79288328088"),
            });
            let told = |facts: &[Fact]| {
                let key = CallKey { provider: "asterisk".into(), provider_call_id: provider_call_id(1) };
                let mut call = Call::new(1, key, from_millisecond(5));
                facts.iter().for_each(|fact| call.apply(CallEvent { at: from_millisecond(5), fact: fact.clone() }));
                Ending::told(&call)
            };
            let forwards = told(&facts);
            facts.reverse();
            facts.extend(facts.clone());
            assert_eq!(told(&facts), forwards);
            forwards
        };
        assert_eq!(end(Some(Ringing::Answered), Some(7)), Some(Ending::Talked));
        assert_eq!(end(Some(Ringing::NoAnswer), None), Some(Ending::NoAnswer));
        assert_eq!(end(Some(Ringing::Busy), None), Some(Ending::Busy));
        assert_eq!(end(Some(Ringing::Cancelled), None), Some(Ending::GaveUp));
        assert_eq!(end(Some(Ringing::Failed), None), Some(Ending::NotConnected));
        assert_eq!(end(None, None), Some(Ending::Unknown), "the exchange crashed");
    }
}
