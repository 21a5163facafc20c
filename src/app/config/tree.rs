//! The configuration as a tree in which every value knows where it was written: a line of the file or a variable.

use toml_edit::{Document, Item, Table, TableLike, TomlError, Value};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of the configuration file, from one; `None`: the file as a whole.
    File {
        line: Option<usize>,
    },
    /// The environment variable of this name.
    Variable(String),
    BuiltIn,
}

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    /// A bare TOML date or time, as it is spelt.
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands; a value may begin on a later line.
    pub place: Place,
    pub node: Node,
}

impl Node {
    pub fn table(place: Place) -> Self {
        Self { place, kind: Kind::Table(Vec::new()) }
    }

    /// The tree of a TOML text; every place is made from a line number by `place`.
    pub fn parse(text: &str, place: impl Fn(Option<usize>) -> Place) -> Result<Self, TomlError> {
        let document = Document::parse(text)?;
        let from = Source { text, place: &place };
        Ok(Self { place: place(None), kind: from.table(document.as_table()) })
    }

    /// The entries of a table; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none for anything else.
    pub fn elements(&self) -> &[Node] {
        match &self.kind {
            Kind::List(elements) => elements,
            _ => &[],
        }
    }

    pub fn elements_mut(&mut self) -> &mut [Node] {
        match &mut self.kind {
            Kind::List(elements) => elements,
            _ => &mut [],
        }
    }

    pub fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table(_))
    }

    /// The table with these keys alone.
    pub fn only(&self, keys: &[&str]) -> Node {
        let entries = self.entries().iter().filter(|entry| keys.contains(&entry.key.as_str())).cloned().collect();
        Node { place: self.place.clone(), kind: Kind::Table(entries) }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Table(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node),
            _ => None,
        }
    }

    /// Puts a value in place of what was there. Does nothing to a node that is no table.
    pub fn set(&mut self, key: &str, node: Node) {
        if let Kind::Table(entries) = &mut self.kind {
            entries.retain(|entry| entry.key != key);
            entries.push(Entry { key: key.to_owned(), place: node.place.clone(), node });
        }
    }

    /// Takes from `other` the keys that are not here.
    pub fn fill_from(&mut self, other: &Node) {
        if let Kind::Table(entries) = &mut self.kind {
            for entry in other.entries() {
                if !entries.iter().any(|known| known.key == entry.key) {
                    entries.push(entry.clone());
                }
            }
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The place of what `path` (`week.mon[0]`) names, or of the nearest thing above it that exists.
    pub fn locate(&self, path: &str) -> &Place {
        let mut node = self;
        let mut place = &self.place;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match step.strip_suffix(']') {
                Some(index) => {
                    index.parse().ok().and_then(|index: usize| node.elements().get(index)).map(|node| (node, None))
                }
                None => {
                    let entry = node.entries().iter().find(|entry| entry.key == step);
                    entry.map(|entry| (&entry.node, Some(&entry.place)))
                }
            };
            let Some((found, key_place)) = next else { break };
            node = found;
            place = key_place.unwrap_or(&found.place);
        }
        place
    }

    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Text(text) | Kind::Date(text) => text.as_str().into(),
            Kind::Whole(number) => (*number).into(),
            Kind::Number(number) => (*number).into(),
            Kind::Flag(flag) => (*flag).into(),
            Kind::List(elements) => elements.iter().map(Node::to_json).collect(),
            Kind::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// The text being read, for turning byte offsets into lines.
struct Source<'a> {
    text: &'a str,
    place: &'a dyn Fn(Option<usize>) -> Place,
}

impl Source<'_> {
    fn at(&self, span: Option<std::ops::Range<usize>>) -> Place {
        (self.place)(span.map(|span| line_and_column(self.text, span.start).0))
    }

    fn table(&self, table: &dyn TableLike) -> Kind {
        let entry = |(key, item): (&str, &Item)| {
            let (key_node, _) = table.get_key_value(key)?;
            let place = self.at(key_node.span());
            let mut node = self.item(item)?;
            // A table that exists only through its children, [hours.week] without [hours], has no span of its own.
            if node.place == (self.place)(None) {
                node.place = place.clone();
            }
            Some(Entry { key: key.to_owned(), place, node })
        };
        Kind::Table(table.iter().filter_map(entry).collect())
    }

    fn item(&self, item: &Item) -> Option<Node> {
        let header = |table: &Table| Node { place: self.at(table.span()), kind: self.table(table) };
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.value(value)),
            Item::Table(table) => Some(header(table)),
            Item::ArrayOfTables(tables) => {
                let elements: Vec<Node> = tables.iter().map(header).collect();
                let place = elements.first().map_or_else(|| (self.place)(None), |first| first.place.clone());
                Some(Node { place, kind: Kind::List(elements) })
            }
        }
    }

    fn value(&self, value: &Value) -> Node {
        let kind = match value {
            Value::String(text) => Kind::Text(text.value().clone()),
            Value::Integer(number) => Kind::Whole(*number.value()),
            Value::Float(number) => Kind::Number(*number.value()),
            Value::Boolean(flag) => Kind::Flag(*flag.value()),
            Value::Datetime(date) => Kind::Date(date.value().to_string()),
            Value::Array(array) => Kind::List(array.iter().map(|value| self.value(value)).collect()),
            Value::InlineTable(table) => self.table(table),
        };
        Node { place: self.at(value.span()), kind }
    }
}

/// The line and the column (in characters) of a byte offset, both from one.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut before = &text.as_bytes()[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    if let Some(newline) = before.iter().rposition(|byte| *byte == b'\n') {
        before = &before[newline + 1..];
    }
    (line, 1 + String::from_utf8_lossy(before).chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_however_tables_are_written() {
        let text =
            "\n[hours.week]\nmon = [\n  \"09:00-18:00\",\n  \"x\",\n]\n[hours]\nshort_days.policy = \"ignore\"\n";
        let tree = Node::parse(text, |line| Place::File { line }).unwrap();
        let hours = tree.get("hours").unwrap();
        for (path, line) in
            [("week", 2), ("week.mon", 3), ("week.mon[1]", 5), ("week.tue", 2), ("short_days.policy", 8)]
        {
            assert_eq!(hours.locate(path), &Place::File { line: Some(line) }, "{path}");
        }
    }

    #[test]
    fn a_bare_date_is_the_text_it_looks_like() {
        let tree = Node::parse("from = 2026-05-08\nminutes = 60", |line| Place::File { line }).unwrap();
        assert_eq!(tree.to_json(), serde_json::json!({"from": "2026-05-08", "minutes": 60}));
    }
}
