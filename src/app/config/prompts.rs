//! `[prompts]`: the recorded words of which greetings for an exchange are joined.

use super::mistakes::Notes;
use super::section::Section;
use super::tree::Node;
use crate::recordings::{SOUND_FOLDERS, Sounds};

/// Whether the words are there is for the check to say: a school's telephone does not stand still for want of them.
#[derive(Clone, Debug)]
pub struct Prompts {
    pub sounds: Sounds,
    /// Somebody wrote the folder down, so it must be there.
    pub is_configured: bool,
}

/// `None`: something was noted.
pub(super) fn prompts(root: &Node, notes: &mut Notes) -> Option<Prompts> {
    let usual = || Prompts { sounds: Sounds::installed(), is_configured: false };
    let Some(section) = Section::of(root, "prompts") else { return Some(usual()) };
    if !section.has("sounds") {
        return Some(usual());
    }
    let folder = section.required("sounds", SOUND_FOLDERS[0], notes)?;
    Some(Prompts { sounds: Sounds::within([folder]), is_configured: true })
}
