//! `[backup]`: the copy of every night. Without the section, or without its folder, none is made, and the check says so.

use crate::jobs::backup::BackupSettings;
use crate::time::Time;

use super::mail::time;
use super::mistakes::Notes;
use super::schema::Shape;
use super::section::Section;
use super::tree::{Kind, Node};

const DEFAULT_AT: &str = "03:00";
const DEFAULT_KEEP: usize = 14;
/// About three years of nights.
const MAX_KEEP: i64 = 1000;

pub(super) const KEYS: &[super::schema::Key] = &[
    super::schema::key("folder", Shape::Text),
    super::schema::key("at", Shape::Text),
    super::schema::key("keep", Shape::Whole),
];

/// `None`: no such section, or something was noted.
pub(super) fn backup(root: &Node, notes: &mut Notes) -> Option<BackupSettings> {
    let section = Section::of(root, "backup")?;
    let folder = section.required("folder", "/var/backups/perezvon", notes);
    if let Some(text) = folder.filter(|text| text.contains("://")) {
        let instead = "Напишите папку, например folder = \"/var/backups/perezvon\"";
        notes.add(&section.at("folder"), format!("{} не папка", super::mistakes::shown(text)), instead);
    }
    let at = if section.has("at") { time(&section, "at", DEFAULT_AT, notes) } else { Some(Time::constant(3, 0, 0, 0)) };
    let keep = match section.node.get("keep").map(|node| &node.kind) {
        None => Some(DEFAULT_KEEP),
        Some(Kind::Whole(keep)) if (1..=MAX_KEEP).contains(keep) => usize::try_from(*keep).ok(),
        Some(Kind::Whole(keep)) => {
            let instead = format!("Напишите число от 1 до {MAX_KEEP}, обычно keep = {DEFAULT_KEEP}");
            notes.add(&section.at("keep"), format!("{keep} копий вне пределов"), instead);
            None
        }
        Some(_) => None,
    };
    Some(BackupSettings { folder: folder?.into(), at: at?, keep: keep? })
}
