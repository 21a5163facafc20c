//! `[retention]`: how long personal data is kept. Without a key it is kept without end, and the check says so.

use crate::core::retention::Terms;

use super::mistakes::Notes;
use super::schema::{Key, Shape, key};
use super::section::Section;
use super::tree::{Kind, Node};

/// About ten years.
const MAX_DAYS: i64 = 3660;
const MAX_YEARS: i64 = 100;

pub(super) const KEYS: &[Key] = &[
    key("audio_days", Shape::Whole),
    key("numbers_days", Shape::Whole),
    key("deliveries_days", Shape::Whole),
    key("statistics_years", Shape::Whole),
];

pub(super) fn retention(root: &Node, notes: &mut Notes) -> Terms {
    let Some(section) = Section::of(root, "retention") else { return Terms::default() };
    Terms {
        audio_days: term(&section, "audio_days", MAX_DAYS, "дней", notes),
        numbers_days: term(&section, "numbers_days", MAX_DAYS, "дней", notes),
        deliveries_days: term(&section, "deliveries_days", MAX_DAYS, "дней", notes),
        statistics_years: term(&section, "statistics_years", MAX_YEARS, "лет", notes),
    }
}

fn term(section: &Section<'_>, key: &str, max: i64, unit: &str, notes: &mut Notes) -> Option<u32> {
    match section.node.get(key).map(|node| &node.kind) {
        Some(Kind::Whole(term)) if (1..=max).contains(term) => u32::try_from(*term).ok(),
        Some(Kind::Whole(term)) => {
            let instead = format!(
                "Напишите целое число {unit} от 1 до {max}, а если срок не установлен, уберите ключ: данные хранятся"
            );
            notes.add(&section.at(key), format!("срок {term} вне пределов"), instead);
            None
        }
        _ => None,
    }
}
