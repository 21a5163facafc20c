//! `[school]`: what the public page and the poster say about the school itself.

use crate::core::school::School;

use super::mistakes::Notes;
use super::places::base_url;
use super::section::Section;
use super::tree::Node;

/// The longest name that still fits the poster, in characters.
const LONGEST_NAME: usize = 120;

pub(super) fn school(root: &Node, notes: &mut Notes) -> Option<School> {
    let section = Section::of(root, "school")?;
    let name = section.required("name", "Гимназия № 1", notes);
    if name.is_some_and(|name| name.chars().count() > LONGEST_NAME) {
        let instead = format!("Сократите до {LONGEST_NAME} знаков: иначе не поместится на плакат");
        notes.add(&section.at("name"), "название слишком длинное", instead);
    }
    let mut address = |key: &str, example: &str| {
        let text = section.text(key).filter(|text| !text.is_empty())?;
        base_url(text, &section.at(key), example, notes).map(|url| url.to_string())
    };
    let site = address("site", "https://school.example.org");
    let regulation_url = address("regulation_url", "https://school.example.org/regulation.pdf");
    let order = section.text("order").filter(|order| !order.is_empty()).map(str::to_owned);
    Some(School { name: name?.to_owned(), site, regulation_url, order })
}
