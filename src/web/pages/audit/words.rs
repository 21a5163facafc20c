//! The words of the audit: what was done, and to what.

/// What the rows call an action, and what people call it. In the order of the filter.
pub(super) const ACTIONS: &[(&str, &str)] = &[
    ("login", "вход"),
    ("login_failed", "неудачный вход"),
    ("logout", "выход"),
    ("listen", "прослушивание записи"),
    ("claim", "взято в работу"),
    ("call_anyway", "взято, хотя дозвонились сами"),
    ("release", "отпущено"),
    ("attempt", "попытка"),
    ("done", "готово"),
    ("later", "отложено"),
    ("clarify", "нужно уточнение"),
    ("exceptional", "нештатная ситуация"),
    ("decline", "отклонено"),
    ("reopen", "открыто снова"),
    ("describe", "записаны сведения"),
    ("joined", "обратились ещё раз"),
    ("register", "записано вручную"),
    ("undo", "отмена действия"),
    ("seen", "предупреждение прочитано"),
    ("test-call", "проверочный звонок"),
];

pub(super) fn action(word: &str) -> String {
    let known = ACTIONS.iter().find(|(known, _)| *known == word);
    known.map_or_else(|| "другое действие".to_owned(), |(_, told)| (*told).to_owned())
}

/// `callback 7…` → «обращение».
pub(super) fn object(object: &str) -> String {
    let (kind, name) = object.split_once(' ').unwrap_or((object, ""));
    match kind {
        "callback" => "обращение".to_owned(),
        "call" => "звонок".to_owned(),
        "voicemail" => "запись".to_owned(),
        "alarm" => "предупреждение".to_owned(),
        "line" => format!("линия {name}"),
        "officer" => format!("сотрудник {name}"),
        "token" => format!("ключ {name}"),
        _ => name.to_owned(),
    }
}

/// Where it can be looked at.
pub(super) fn link(object: &str) -> Option<String> {
    match object.split_once(' ')? {
        ("callback", id) => Some(format!("/callbacks/{id}")),
        ("call", id) => Some(format!("/calls/{id}")),
        _ => None,
    }
}
