//! The rarer choices of an entry: until when to put it off, why to decline it, to whom to hand it over.

use super::card::Bench;
use crate::core::callback::Reason;
use crate::core::line::LineId;
use crate::core::officer::{Actor, Role};
use crate::store::{Store, StoreError};
use crate::time::{SignedDuration, Timestamp, ToSpan};
use crate::web::pages::words::Wall;

/// One choice of «Отложить».
pub(super) struct Later {
    pub value: &'static str,
    pub label: String,
    /// The key that chooses it.
    pub digit: usize,
}

/// «на час», «после обеда», «на завтра»: with the instant they lead to, which is never outside working time. Of two that
/// lead to the same instant the first stands for both.
pub(super) fn later_choices(bench: &Bench<'_>, wall: &Wall<'_>) -> Vec<Later> {
    let mut known = Vec::new();
    let mut choices = Vec::new();
    for (place, value) in ["hour", "afternoon", "tomorrow"].into_iter().enumerate() {
        let until = later(value, bench.now, wall).and_then(|at| bench.calendar.first_working_instant(at));
        let Some(until) = until.filter(|until| !known.contains(until)) else { continue };
        known.push(until);
        let label = match value {
            "hour" => format!("На час, {}", wall.until(until)),
            "afternoon" => format!("После обеда, {}", wall.until(until)),
            _ => format!("На следующий день, {}", wall.until(until)),
        };
        choices.push(Later { value, label, digit: place + 1 });
    }
    choices
}

/// The instant a choice of «Отложить» means; `None`: there is no such choice, or not today.
pub(super) fn later(choice: &str, now: Timestamp, wall: &Wall<'_>) -> Option<Timestamp> {
    let at = |day: crate::time::Date, hour| {
        Some(wall.local(now).with().date(day).time(jiff::civil::time(hour, 0, 0, 0)).build().ok()?.timestamp())
    };
    match choice {
        "hour" => Some(now + SignedDuration::from_hours(1)),
        "afternoon" => at(wall.today(), 14).filter(|afternoon| *afternoon > now),
        "tomorrow" => at(wall.today().checked_add(1.day()).ok()?, 9),
        _ => None,
    }
}

/// One choice of «Отклонить».
pub(super) struct WhyNot {
    pub value: &'static str,
    pub title: &'static str,
    pub from_regulation: bool,
    /// The key that chooses it: the same, whichever reasons are switched off.
    pub digit: usize,
    /// The field that has to be filled then: `r` the note, `d` the document.
    pub field: Option<&'static str>,
}

/// «Не дозвонились» is none of them: the entry itself offers it, once there were attempts enough.
pub(super) fn reasons(with_regulation: bool) -> Vec<WhyNot> {
    let all = Reason::ALL.into_iter().enumerate();
    all.filter(|(_, reason)| *reason != Reason::NotReached)
        .filter(|(_, reason)| with_regulation || !reason.is_from_regulation())
        .map(|(place, reason)| WhyNot {
            value: reason.as_str(),
            title: reason.title(),
            from_regulation: reason.is_from_regulation(),
            digit: place + 1,
            field: match reason {
                Reason::NotEnoughData | Reason::NotConstructive => Some("r"),
                Reason::AlreadyAnswered => Some("d"),
                Reason::NotARequest | Reason::NotReached => None,
            },
        })
        .collect()
}

/// An officer to whom an entry can be handed over.
#[derive(Clone)]
pub(super) struct Colleague {
    pub id: i64,
    pub name: String,
}

/// All who work this line but this one, by their logins.
pub(super) async fn colleagues(store: &Store, me: &Actor, line: &LineId) -> Result<Vec<Colleague>, StoreError> {
    let officers = store.officers().await?.into_iter();
    Ok(officers
        .filter(|officer| officer.disabled_at.is_none() && officer.role >= Role::Officer)
        .filter(|officer| officer.scope().allows(line))
        .filter(|officer| Actor::officer(officer.id, "").id != me.id)
        .map(|officer| Colleague { id: officer.id, name: officer.name })
        .collect())
}
