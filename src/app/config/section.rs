//! Reads single values out of a checked tree. What is missing or of the wrong type is `None` or empty here: the check
//! against the schema has noted it.

use std::ops::RangeInclusive;

use super::mistakes::{At, Notes};
use super::schema::join;
use super::tree::{Kind, Node, Place};

/// One table and its name.
pub(super) struct Section<'a> {
    pub node: &'a Node,
    pub path: String,
}

impl<'a> Section<'a> {
    pub fn new(node: &'a Node, path: String) -> Self {
        Self { node, path }
    }

    /// The table `key` of `root`, if it is a table.
    pub fn of(root: &'a Node, key: &str) -> Option<Self> {
        root.get(key).filter(|node| node.is_table()).map(|node| Self::new(node, key.to_owned()))
    }

    /// Where `key` is written, or would have to be.
    pub fn at(&self, key: &str) -> At {
        At { place: self.node.locate(key).clone(), key: join(&self.path, key) }
    }

    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.node.get(key).and_then(Node::text).map(str::trim)
    }

    /// A text that must be there and must say something.
    pub fn required(&self, key: &str, example: &str, notes: &mut Notes) -> Option<&'a str> {
        if !self.has(key) {
            notes.add(&self.at(key), format!("не хватает ключа {key}"), format!("Добавьте {key} = \"{example}\""));
        }
        let text = self.text(key)?;
        if text.is_empty() {
            notes.add(&self.at(key), "значение пустое", format!("Напишите, например, {key} = \"{example}\""));
            return None;
        }
        Some(text)
    }

    pub fn texts(&self, key: &str) -> Vec<(At, &'a str)> {
        let elements = self.node.get(key).map(Node::elements).unwrap_or_default();
        let at = |index: usize, place: &Place| At {
            place: place.clone(),
            key: format!("{}[{index}]", join(&self.path, key)),
        };
        let texts = elements.iter().enumerate();
        texts.filter_map(|(index, node)| Some((at(index, &node.place), node.text()?.trim()))).collect()
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.node.get(key)?.kind {
            Kind::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        match self.node.get(key)?.kind {
            Kind::Whole(number) => Some(number as f64),
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whole seconds within `limits`.
    pub fn seconds(&self, key: &str, limits: RangeInclusive<u32>, default: u32, notes: &mut Notes) -> u32 {
        let Some(Kind::Whole(seconds)) = self.node.get(key).map(|node| &node.kind) else { return default };
        match u32::try_from(*seconds).ok().filter(|seconds| limits.contains(seconds)) {
            Some(seconds) => seconds,
            None => {
                let (least, most) = limits.into_inner();
                let instead = format!("Напишите число секунд от {least} до {most}, обычно {key} = {default}");
                notes.add(&self.at(key), format!("{seconds} с вне пределов"), instead);
                default
            }
        }
    }
}
