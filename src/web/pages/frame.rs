//! What stands around the content of every page: name, navigation, whose session it is, and the banner of a rehearsal.

use super::assets;
use super::words::Wall;
use crate::core::line::LineId;
use crate::store::{Person, StoreError};
use crate::time::Timestamp;
use crate::web::House;

pub(super) struct Frame {
    pub css: &'static str,
    pub js: &'static str,
    pub icon: &'static str,
    /// What the clock of a rehearsal shows.
    pub rehearsal: Option<String>,
    /// «московское», or the zone by its name.
    pub zone: String,
    pub signed_in: Option<SignedIn>,
}

pub(super) struct SignedIn {
    pub name: String,
    pub role: &'static str,
    /// All who wait to be called back.
    pub open: i64,
    pub here: Here,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Desk,
    Log,
}

impl SignedIn {
    pub fn at_desk(&self) -> bool {
        self.here == Here::Desk
    }

    pub fn at_log(&self) -> bool {
        self.here == Here::Log
    }
}

impl Frame {
    /// For nobody in particular.
    pub fn bare(house: &House, now: Timestamp) -> Self {
        let zone = house.lines.default_calendar().time_zone();
        Self {
            css: assets::css(),
            js: assets::js(),
            icon: assets::icon(),
            rehearsal: house.rehearsal.then(|| Wall::new(zone, now).exact(now)),
            zone: match zone.iana_name() {
                Some("Europe/Moscow") | None => "московское".to_owned(),
                Some(name) => name.to_owned(),
            },
            signed_in: None,
        }
    }

    pub async fn of(house: &House, person: &Person, here: Here, now: Timestamp) -> Result<Self, StoreError> {
        let open = house.store.count_open(now).await?.iter().map(|(_, open, _)| open).sum();
        let signed_in = SignedIn { name: person.actor.name.clone(), role: person.role.title(), open, here };
        Ok(Self { signed_in: Some(signed_in), ..Self::bare(house, now) })
    }
}

/// One choice of a filter.
pub(super) struct Choice {
    pub value: String,
    pub label: String,
    pub chosen: bool,
}

/// All lines as choices; calls to unknown numbers too, where there may be any.
pub(super) fn line_choices(house: &House, chosen: Option<&LineId>, with_unknown: bool) -> Vec<Choice> {
    let all = Choice { value: String::new(), label: "Все".to_owned(), chosen: chosen.is_none() };
    let lines = house.lines.iter().map(|line| (&line.id, line.title.as_str()));
    let unknown = LineId::unknown();
    let named = lines.chain(with_unknown.then_some((&unknown, "Неизвестная"))).map(|(id, title)| Choice {
        value: id.to_string(),
        label: title.to_owned(),
        chosen: chosen == Some(id),
    });
    std::iter::once(all).chain(named).collect()
}
