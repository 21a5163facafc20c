//! `[hours]` and the hours of single lines. Their meaning belongs to `core::calendar`; here its findings are put
//! back onto the lines of the file.

use crate::core::calendar::{Calendar, Hours};

use super::mistakes::{At, Notes};
use super::schema::join;
use super::tree::Node;

/// The calendar of the table `node`, which stands at `path`.
pub(super) fn calendar(node: &Node, path: &str, notes: &mut Notes) -> Option<Calendar> {
    let errors = match Hours::from_json(&node.to_json()) {
        Ok(hours) => return Some(Calendar::new(hours)),
        Err(errors) => errors,
    };
    for error in errors {
        let key = if error.key.is_empty() { path.to_owned() } else { join(path, &error.key) };
        // Unknown keys and wrong types were noted against the schema, with the nearest key; once is enough.
        if !notes.has_one_about(&key) {
            let at = At { place: node.locate(&error.key).clone(), key };
            let (what, instead) = error.problem.split_once("; ").unwrap_or((&error.problem, SEE_EXAMPLE));
            notes.add(&at, what, capitalised(instead));
        }
    }
    None
}

const SEE_EXAMPLE: &str = "Сравните с примером perezvon.example.toml";

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
