//! `[dialing]`: which numbers are dialed without asking, and how many an hour by machine.

use crate::core::dialing::DialingRules;

use super::mistakes::{Notes, shown};
use super::schema::{Key, Shape, key};
use super::section::Section;
use super::tree::{Kind, Node};

/// More than ten officers can talk in an hour.
const MAX_CALLS_PER_HOUR: i64 = 1000;

pub(super) const KEYS: &[Key] = &[key("allowed", Shape::Texts), key("max_calls_per_hour", Shape::Whole)];

/// The usual rules where something was noted.
pub(super) fn dialing(root: &Node, notes: &mut Notes) -> DialingRules {
    let Some(section) = Section::of(root, "dialing") else { return DialingRules::default() };
    let entries = section.texts("allowed");
    let texts: Vec<&str> = entries.iter().map(|(_, text)| *text).collect();
    let max_calls_per_hour = max_calls_per_hour(&section, notes);
    DialingRules::parse(&texts, max_calls_per_hour).unwrap_or_else(|places| {
        for (at, text) in places.into_iter().map(|place| &entries[place]) {
            let instead =
                "Напишите \"ru\" (обычные номера России) или начало номера с плюсом и кодом страны, до 12 цифр: \"+374\"";
            notes.add(at, format!("{} не начало номера", shown(text)), instead);
        }
        DialingRules::default()
    })
}

fn max_calls_per_hour(section: &Section<'_>, notes: &mut Notes) -> u32 {
    let default = DialingRules::DEFAULT_MAX_CALLS_PER_HOUR;
    let Some(Kind::Whole(calls)) = section.node.get("max_calls_per_hour").map(|node| &node.kind) else {
        return default;
    };
    match u32::try_from(*calls).ok().filter(|_| (1..=MAX_CALLS_PER_HOUR).contains(calls)) {
        Some(calls) => calls,
        None => {
            let instead = format!("Напишите число от 1 до {MAX_CALLS_PER_HOUR}, обычно max_calls_per_hour = {default}");
            notes.add(&section.at("max_calls_per_hour"), format!("{calls} звонков в час вне пределов"), instead);
            default
        }
    }
}
