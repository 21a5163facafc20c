//! The keys that exist, and the check of a tree against them: unknown keys and wrong types, everywhere at once.

use super::mistakes::{At, Notes, nearest};
use super::tree::{Kind, Node};

/// One key and what may stand behind it.
pub(super) struct Key {
    pub name: &'static str,
    pub shape: Shape,
}

#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// A list of texts.
    Texts,
    /// `2026-05-08`, with quotes or without.
    Date,
    Whole,
    /// A number with or without a fraction.
    Number,
    Flag,
    Table(&'static [Key]),
    /// A list of tables, each called by its key `by`.
    Named {
        by: &'static str,
        keys: &'static [Key],
    },
    /// A list of tables without names.
    Tables(&'static [Key]),
}

pub(super) const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape }
}

pub(super) const ROOT: &[Key] = &[
    key("school", Shape::Table(SCHOOL)),
    key("server", Shape::Table(SERVER)),
    key("storage", Shape::Table(STORAGE)),
    key("hours", Shape::Table(HOURS)),
    key("callbacks", Shape::Table(CALLBACKS)),
    key("lines", Shape::Named { by: "id", keys: LINE }),
    key("prompts", Shape::Table(PROMPTS)),
    key("providers", Shape::Named { by: "name", keys: PROVIDER }),
    key("mail", Shape::Table(MAIL)),
    key("transcription", Shape::Table(TRANSCRIPTION)),
    key("backup", Shape::Table(super::backup::KEYS)),
    key("retention", Shape::Table(super::retention::KEYS)),
    key("dialing", Shape::Table(super::dialing::KEYS)),
];

const SCHOOL: &[Key] = &[
    key("name", Shape::Text),
    key("site", Shape::Text),
    key("regulation_url", Shape::Text),
    key("order", Shape::Text),
];

const SERVER: &[Key] =
    &[key("listen", Shape::Text), key("public_url", Shape::Text), key("monitoring_through_proxy", Shape::Flag)];

const STORAGE: &[Key] = &[
    key("database", Shape::Text),
    key("recordings", Shape::Text),
    key("emergency", Shape::Text),
    key("key_file", Shape::Text),
];

const CALLBACKS: &[Key] = &[key("regulation_reasons", Shape::Flag)];

const HOURS: &[Key] = &[
    key("timezone", Shape::Text),
    key("week", Shape::Table(WEEK)),
    key("holidays", Shape::Texts),
    key("short_days", Shape::Table(&[key("policy", Shape::Text), key("minutes", Shape::Whole)])),
    key("overrides", Shape::Tables(OVERRIDE)),
];

const WEEK: &[Key] = &[
    key("mon", Shape::Texts),
    key("tue", Shape::Texts),
    key("wed", Shape::Texts),
    key("thu", Shape::Texts),
    key("fri", Shape::Texts),
    key("sat", Shape::Texts),
    key("sun", Shape::Texts),
];

const OVERRIDE: &[Key] = &[
    key("from", Shape::Date),
    key("to", Shape::Date),
    key("mode", Shape::Text),
    key("hours", Shape::Texts),
    key("reason", Shape::Text),
];

const LINE: &[Key] = &[
    key("id", Shape::Text),
    key("number", Shape::Text),
    key("aliases", Shape::Texts),
    key("title", Shape::Text),
    key("audience", Shape::Text),
    key("email", Shape::Text),
    key("ring", Shape::Texts),
    key("ring_seconds", Shape::Whole),
    key("max_message_seconds", Shape::Whole),
    key("response_term_hours", Shape::Number),
    key("callback_without_message", Shape::Flag),
    key("recording_notice", Shape::Flag),
    key("hours", Shape::Table(HOURS)),
];

const PROMPTS: &[Key] = &[key("sounds", Shape::Text)];

const PROVIDER: &[Key] = &[
    key("name", Shape::Text),
    key("kind", Shape::Text),
    key("signature", Shape::Text),
    key("account_sid", Shape::Text),
    key("auth_tokens", Shape::Texts),
    key("auth_tokens_file", Shape::Text),
    key("api_token", Shape::Text),
    key("api_token_file", Shape::Text),
    key("api_base", Shape::Text),
    key("recording_hosts", Shape::Texts),
    key("voice", Shape::Text),
    key("language", Shape::Text),
    key("tokens", Shape::Texts),
    key("tokens_file", Shape::Text),
    key("trunk", Shape::Text),
    key("ari_base", Shape::Text),
    key("ari_user", Shape::Text),
    key("ari_password", Shape::Text),
    key("ari_password_file", Shape::Text),
];

const MAIL: &[Key] = &[
    key("smtp", Shape::Text),
    key("user", Shape::Text),
    key("password", Shape::Text),
    key("password_file", Shape::Text),
    key("from", Shape::Text),
    key("to", Shape::Texts),
    key("alarms_to", Shape::Texts),
    key("morning", Shape::Text),
    key("evening", Shape::Text),
    key("personal_data", Shape::Flag),
];

const TRANSCRIPTION: &[Key] =
    &[key("url", Shape::Text), key("model", Shape::Text), key("token", Shape::Text), key("token_file", Shape::Text)];

/// Notes every unknown key and every wrong type below `node`. Afterwards a reader may take what has the right type
/// and pass over the rest in silence: it has been said. Values are not quoted, for some of them are secrets.
pub(super) fn check(node: &Node, keys: &[Key], path: &str, notes: &mut Notes) {
    for entry in node.entries() {
        let at = At { place: entry.place.clone(), key: join(path, &entry.key) };
        match keys.iter().find(|key| key.name == entry.key) {
            Some(key) => check_value(&entry.node, key.name, key.shape, &at, notes),
            None => unknown(&entry.key, keys, &at, notes),
        }
    }
}

fn unknown(word: &str, keys: &[Key], at: &At, notes: &mut Notes) {
    let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let instead = match nearest(word, known.iter().copied()) {
        Some(near) => format!("Вероятно, имелось в виду {near}; здесь известны: {}", known.join(", ")),
        None => format!("Уберите его; здесь известны: {}", known.join(", ")),
    };
    notes.add(at, format!("неизвестный ключ {word}"), instead);
}

fn check_value(node: &Node, name: &str, shape: Shape, at: &At, notes: &mut Notes) {
    match (shape, &node.kind) {
        (Shape::Text, Kind::Text(_))
        | (Shape::Date, Kind::Text(_) | Kind::Date(_))
        | (Shape::Whole, Kind::Whole(_))
        | (Shape::Number, Kind::Whole(_) | Kind::Number(_))
        | (Shape::Flag, Kind::Flag(_)) => {}
        (Shape::Texts, Kind::List(elements)) => {
            for (index, element) in elements.iter().enumerate() {
                let at = At { place: element.place.clone(), key: format!("{}[{index}]", at.key) };
                check_value(element, name, Shape::Text, &at, notes);
            }
        }
        (Shape::Table(keys), Kind::Table(_)) => check(node, keys, &at.key, notes),
        (Shape::Named { keys, .. } | Shape::Tables(keys), Kind::List(elements)) => {
            for (index, element) in elements.iter().enumerate() {
                let path = element_path(&at.key, index, element, shape);
                match element.kind {
                    Kind::Table(_) => check(element, keys, &path, notes),
                    _ => wrong_type(element, name, shape, &At { place: element.place.clone(), key: path }, notes),
                }
            }
        }
        _ => wrong_type(node, name, shape, at, notes),
    }
}

fn wrong_type(node: &Node, name: &str, shape: Shape, at: &At, notes: &mut Notes) {
    let found = match node.kind {
        Kind::Text(_) => "текст",
        Kind::Whole(_) => "целое число",
        Kind::Number(_) => "дробное число",
        Kind::Flag(_) => "true или false",
        Kind::Date(_) => "дата или время",
        Kind::List(_) => "список",
        Kind::Table(_) => "таблица",
    };
    let (wanted, instead) = match shape {
        Shape::Text => ("текст", format!("Возьмите значение в кавычки: {name} = \"…\"")),
        Shape::Texts => ("список текстов", format!("Возьмите значения в кавычки и в скобки: {name} = [\"…\", \"…\"]")),
        Shape::Date => ("дата", format!("Напишите {name} = \"2026-05-08\"")),
        Shape::Whole => ("целое число", format!("Напишите целое число без кавычек: {name} = 20")),
        Shape::Number => ("число", format!("Напишите число без кавычек: {name} = 8")),
        Shape::Flag => ("true или false", format!("Напишите {name} = true или {name} = false, без кавычек")),
        Shape::Table(_) => ("таблица", format!("Начните раздел строкой [{}]", at.key)),
        Shape::Named { .. } | Shape::Tables(_) => (
            "список таблиц",
            format!("Начните каждую таблицу строкой [[{}]]", at.key.split('[').next().unwrap_or(name)),
        ),
    };
    notes.add(at, format!("здесь нужно: {wanted}, а стоит: {found}"), instead);
}

/// `lines.parents` where the element has its name, `lines[0]` where it has none.
pub(super) fn element_path(list: &str, index: usize, element: &Node, shape: Shape) -> String {
    match shape {
        Shape::Named { by, .. } => match element.get(by).and_then(Node::text) {
            Some(name) if is_name(name) => format!("{list}.{name}"),
            _ => format!("{list}[{index}]"),
        },
        _ => format!("{list}[{index}]"),
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Names stand in addresses and in the names of variables, where `__` parts them: Latin letters, digits, `-`, `_`.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=40).contains(&text.len())
        && text.chars().all(plain)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("__")
        && !text.ends_with('_')
}

/// Two names that fold to one could not be told apart in the names of variables.
pub(super) fn folded(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
