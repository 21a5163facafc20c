//! The environment over the file. One rule names every variable: `PEREZVON_`, then the way to the key in capitals with
//! `__` between its parts; a line is called by its id, a provider by its name, and `-` in them is written `_`.
//!
//! ```text
//! PEREZVON_SERVER__LISTEN=0.0.0.0:8080
//! PEREZVON_LINES__PARENTS__RING="8 928 111-22-33, 8 928 111-22-34"
//! PEREZVON_PROVIDERS__TWILIO__AUTH_TOKENS_FILE=/run/secrets/twilio
//! PEREZVON_HOURS__WEEK__FRI=09:00-17:00
//! ```
//!
//! A value is read as the type its key has: a text as it stands (or as TOML in quotes), a list as TOML in brackets or
//! parted by commas, anything else as TOML. `PEREZVON_LINES` and `PEREZVON_PROVIDERS` take whole lists of tables.

use super::mistakes::{At, Notes, nearest};
use super::schema::{Key, ROOT, Shape, element_path, folded, join};
use super::tree::{Kind, Node, Place};

const PREFIX: &str = "PEREZVON_";

/// Variables of the programs around us: the exchange's script, the logs, the tests.
fn is_foreign(name: &str) -> bool {
    name.starts_with("PEREZVON_TEST_")
        || ["PEREZVON_URL", "PEREZVON_TOKEN", "PEREZVON_GREETING", "PEREZVON_LOG"].contains(&name)
}

/// A variable that may be set for the tree as it is now.
struct Known {
    variable: String,
    /// The way to the value: keys, and indices of elements.
    steps: Vec<Step>,
    /// The same for people.
    path: String,
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Element(usize),
}

/// Writes every `PEREZVON_…` variable into the tree. `root` already holds the defaults, so that a variable for one
/// weekday leaves the other six alone.
pub(super) fn apply(root: &mut Node, variables: &[(String, String)], notes: &mut Notes) {
    let mut ours: Vec<_> = variables.iter().filter(|(name, _)| name.starts_with(PREFIX) && !is_foreign(name)).collect();
    // Whole sections first, their parts after; what lines inherit before the lines.
    ours.sort_by_key(|(name, _)| (name.starts_with("PEREZVON_LINES__"), name.matches("__").count(), name.clone()));
    for (name, text) in ours {
        let known = known_variables(root);
        let place = Place::Variable(name.clone());
        match known.iter().find(|known| known.variable == *name) {
            Some(known) => {
                let at = At { place: place.clone(), key: known.path.clone() };
                if let Some(value) = value(text, known.shape, &at, notes) {
                    put(root, &known.steps, value);
                }
            }
            None => {
                let ends = known.iter().map(|known| &known.variable[PREFIX.len()..]);
                let near = nearest(&name[PREFIX.len()..], ends).map(|end| format!("{PREFIX}{end}"));
                let instead = match near {
                    Some(near) => format!("Вероятно, имелось в виду {near}"),
                    None => "Уберите её: такого ключа, линии или подключения в настройках нет".to_owned(),
                };
                notes.add(&At { place, key: String::new() }, "неизвестная переменная", instead);
            }
        }
    }
}

fn known_variables(root: &Node) -> Vec<Known> {
    let mut known = Vec::new();
    list(
        Some(root),
        ROOT,
        &Known { variable: String::new(), steps: vec![], path: String::new(), shape: Shape::Table(ROOT) },
        &mut known,
    );
    known
}

fn list(node: Option<&Node>, keys: &'static [Key], above: &Known, known: &mut Vec<Known>) {
    for key in keys {
        let here = above.below(key.name, &join(&above.path, key.name), Step::Key(key.name), key.shape);
        let value = node.and_then(|node| node.get(key.name));
        match key.shape {
            Shape::Table(keys) => list(value, keys, &here, known),
            Shape::Named { by, keys } => {
                for (index, element) in value.map(Node::elements).unwrap_or_default().iter().enumerate() {
                    if let Some(name) = element.get(by).and_then(Node::text) {
                        let path = element_path(&here.path, index, element, key.shape);
                        let element_here = here.below(name, &path, Step::Element(index), Shape::Table(keys));
                        list(Some(element), keys, &element_here, known);
                    }
                }
            }
            _ => {}
        }
        known.push(here);
    }
}

impl Known {
    fn below(&self, part: &str, path: &str, step: Step, shape: Shape) -> Self {
        let variable = match self.variable.as_str() {
            "" => format!("{PREFIX}{}", folded(part)),
            above => format!("{above}__{}", folded(part)),
        };
        let steps = self.steps.iter().copied().chain([step]).collect();
        Self { variable, steps, path: path.to_owned(), shape }
    }
}

/// Reads the text of a variable as `shape`. What is no TOML where only TOML will do is noted; its text, which may be
/// a secret, is not quoted.
fn value(text: &str, shape: Shape, at: &At, notes: &mut Notes) -> Option<Node> {
    let toml = |text: &str| {
        let tree = Node::parse(&format!("value = {text}"), |_| at.place.clone()).ok()?;
        (tree.entries().len() == 1).then(|| tree.get("value").cloned())?
    };
    let plain = |text: &str| Node { place: at.place.clone(), kind: Kind::Text(text.to_owned()) };
    let read = toml(text);
    match shape {
        Shape::Text | Shape::Date => Some(read.filter(|node| node.text().is_some()).unwrap_or_else(|| plain(text))),
        Shape::Texts => Some(read.clone().filter(|node| matches!(node.kind, Kind::List(_))).unwrap_or_else(|| {
            let text = read.as_ref().and_then(Node::text).unwrap_or(text);
            let elements = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(plain).collect();
            Node { place: at.place.clone(), kind: Kind::List(elements) }
        })),
        Shape::Whole | Shape::Number | Shape::Flag => Some(read.unwrap_or_else(|| plain(text))),
        Shape::Table(_) | Shape::Named { .. } | Shape::Tables(_) => {
            if read.is_none() {
                let instead = match shape {
                    Shape::Table(_) => "Напишите таблицу в фигурных скобках, например { policy = \"ignore\" }",
                    _ => "Напишите список таблиц в одну строку: [{ … }, { … }]",
                };
                notes.add(at, "значение не читается как TOML", instead);
            }
            read
        }
    }
}

/// Sets a value, making the tables on the way. A line without hours of its own begins with a copy of the common ones.
fn put(root: &mut Node, steps: &[Step], value: Node) {
    let common_hours = root.get("hours").cloned();
    let Some((Step::Key(last), way)) = steps.split_last() else { return };
    let mut node = root;
    for step in way {
        let next = match step {
            Step::Key(key) => {
                if node.get(key).is_none() {
                    let common = common_hours.as_ref().filter(|_| *key == "hours");
                    node.set(key, common.cloned().unwrap_or_else(|| Node::table(value.place.clone())));
                }
                node.get_mut(key)
            }
            Step::Element(index) => match &mut node.kind {
                Kind::List(elements) => elements.get_mut(*index),
                _ => None,
            },
        };
        let Some(next) = next else { return };
        node = next;
    }
    node.set(last, value);
}
