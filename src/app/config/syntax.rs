//! The TOML parser's words for a slip of the keyboard, in Russian.

/// The commonest slips; whatever is not listed keeps the parser's own words.
const SLIPS: [(&str, &str); 15] = [
    ("duplicate key", "этот ключ или раздел уже был выше"),
    ("key with no value", "у ключа нет значения: нужно ключ = значение"),
    ("missing value for key", "после знака = нет значения"),
    ("missing assignment between key-value pairs", "между ключом и значением нет знака ="),
    ("string values must be quoted", "текст нужно взять в кавычки"),
    ("invalid basic string", "кавычки не закрыты или в тексте недопустимый знак"),
    ("invalid literal string", "кавычки не закрыты или в тексте недопустимый знак"),
    ("missing comma between array elements", "между значениями списка нет запятой"),
    ("missing comma between key-value pairs", "между ключами в фигурных скобках нет запятой"),
    ("unclosed array table", "не закрыты скобки ]]"),
    ("unclosed array", "список не закрыт скобкой ]"),
    ("unclosed inline table", "таблица не закрыта скобкой }"),
    ("unclosed table", "название раздела не закрыто скобкой ]"),
    ("invalid unquoted key", "в ключе недопустимый знак"),
    ("unexpected key or value", "лишнее в конце строки: одна строка, один ключ"),
];

pub(super) fn in_russian(message: &str) -> String {
    let known = SLIPS.iter().find(|(slip, _)| message.starts_with(slip));
    known.map_or_else(|| message.to_owned(), |(_, russian)| (*russian).to_owned())
}
