//! What stands around the content of every page: name, navigation, whose session it is, and the banner of a rehearsal.

use super::assets;
use super::calendar::words::closed_now;
use super::words::Wall;
use crate::core::line::LineId;
use crate::core::officer::Role;
use crate::store::{Person, StoreError};
use crate::time::Timestamp;
use crate::web::House;

pub(super) struct Frame {
    /// What the clock of a rehearsal shows.
    pub rehearsal: Option<String>,
    /// What is closed at once just now, for officers to see on every page.
    pub closed: Vec<String>,
    /// «московское», or the zone by its name.
    pub zone: String,
    pub signed_in: Option<SignedIn>,
}

pub(super) struct SignedIn {
    pub name: String,
    pub role: Role,
    /// All who wait to be called back.
    pub open: i64,
    pub here: Here,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Desk,
    Log,
    Reports,
    Calendar,
    Prompts,
    Lines,
    People,
    Audit,
    Health,
    /// One's own page, which the menu does not have: the name leads there.
    Me,
}

/// A page in the menu.
pub(super) struct Entry {
    pub here: Here,
    pub address: &'static str,
    pub title: &'static str,
    /// From this role on it is shown.
    role: Role,
}

/// The menu; what comes after the fourth is under «Ещё».
const MENU: [Entry; 9] = [
    Entry { here: Here::Desk, address: "/callbacks", title: "Перезвонить", role: Role::Observer },
    Entry { here: Here::Log, address: "/calls", title: "Журнал", role: Role::Observer },
    Entry { here: Here::Reports, address: "/reports", title: "Отчёты", role: Role::Observer },
    Entry { here: Here::Calendar, address: "/calendar", title: "Календарь", role: Role::Observer },
    Entry { here: Here::Prompts, address: "/prompts", title: "Приветствия", role: Role::Senior },
    Entry { here: Here::Lines, address: "/lines", title: "Линии", role: Role::Admin },
    Entry { here: Here::People, address: "/people", title: "Сотрудники", role: Role::Admin },
    Entry { here: Here::Audit, address: "/audit", title: "История", role: Role::Admin },
    Entry { here: Here::Health, address: "/health-ui", title: "Состояние", role: Role::Observer },
];
const IN_SIGHT: usize = 4;

impl SignedIn {
    pub fn in_sight(&self) -> impl Iterator<Item = &'static Entry> {
        self.entries(&MENU[..IN_SIGHT])
    }

    pub fn further(&self) -> impl Iterator<Item = &'static Entry> {
        self.entries(&MENU[IN_SIGHT..])
    }

    fn entries(&self, of: &'static [Entry]) -> impl Iterator<Item = &'static Entry> {
        let role = self.role;
        of.iter().filter(move |entry| entry.role <= role)
    }

    pub fn is_own_page(&self) -> bool {
        self.here == Here::Me
    }

    pub fn is_at(&self, entry: &Entry) -> bool {
        self.here == entry.here
    }
}

impl Frame {
    /// Where the browser finds the asset of this name.
    pub fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// For nobody in particular.
    pub fn bare(house: &House, now: Timestamp) -> Self {
        let lines = house.lines();
        let zone = lines.default_calendar().time_zone();
        Self {
            rehearsal: house.rehearsal.then(|| Wall::new(zone, now).exact(now)),
            zone: match zone.iana_name() {
                Some("Europe/Moscow") | None => "московское".to_owned(),
                Some(name) => name.to_owned(),
            },
            closed: Vec::new(),
            signed_in: None,
        }
    }

    pub async fn of(house: &House, person: &Person, here: Here, now: Timestamp) -> Result<Self, StoreError> {
        let open = house.seen_by(person).store.count_open(now).await?.iter().map(|(_, open, _)| open).sum();
        let signed_in = SignedIn { name: person.actor.name.clone(), role: person.role, open, here };
        let closed = closed_now(&house.lines(), now);
        Ok(Self { signed_in: Some(signed_in), closed, ..Self::bare(house, now) })
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
    let school = house.lines();
    let lines = school.iter().filter(|line| house.store.sees(&line.id)).map(|line| (&line.id, line.title.as_str()));
    let unknown = LineId::unknown();
    let named = lines
        .chain((with_unknown && house.store.sees_all()).then_some((&unknown, "Неизвестная")))
        .map(|(id, title)| Choice { value: id.to_string(), label: title.to_owned(), chosen: chosen == Some(id) });
    std::iter::once(all).chain(named).collect()
}
