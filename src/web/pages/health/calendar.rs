//! The clock and the calendars by which a line is open or closed.

use std::collections::BTreeSet;

use super::item::Item;
use crate::web::House;
use crate::web::pages::words::Wall;

/// Each warning of the calendars once: most lines share one.
pub(super) fn warnings(house: &House, wall: &Wall<'_>) -> Vec<Item> {
    let lines = house.lines();
    let calendars = std::iter::once(lines.default_calendar()).chain(lines.iter().map(|line| &line.calendar));
    let warnings: BTreeSet<String> = calendars.flat_map(|it| it.warnings(wall.now)).map(|it| it.to_string()).collect();
    warnings.into_iter().map(|warning| Item::fair("Календарь", warning, "Откройте «Календарь».")).collect()
}

pub(super) fn clock(wall: &Wall<'_>) -> Item {
    Item::good("Часы", format!("{}, по ним решается, открыта ли линия", wall.exact(wall.now)))
}
