//! The words of the audit: what was done, and to what.

/// What the rows call an action, and what people call it. In the order of the filter.
pub const ACTIONS: &[(&str, &str)] = &[
    ("login", "вход"),
    ("login_failed", "неудачный вход"),
    ("factor_failed", "неверный код"),
    ("confirm_failed", "неверный пароль при подтверждении"),
    ("recovery_code", "вход запасным кодом"),
    ("logout", "выход"),
    ("sessions_end", "выход на всех устройствах"),
    ("password_change", "смена пароля"),
    ("password_by_link", "пароль по ссылке"),
    ("factor_on", "второй фактор включён"),
    ("factor_off", "второй фактор снят"),
    ("listen", "прослушивание записи"),
    ("download", "скачивание записи"),
    ("listen_refused", "отказано: запись другой линии"),
    ("erase", "удаление записи"),
    ("retry", "запись запрошена снова"),
    ("find", "выдано всё о номере"),
    ("forget", "номер стёрт"),
    ("retention", "стёрто по срокам хранения"),
    ("export", "выгрузка"),
    ("print", "печать списка"),
    ("contact", "карточка звонящего"),
    ("block", "номер заблокирован"),
    ("unblock", "номер разблокирован"),
    ("claim", "взято в работу"),
    ("dial", "взято, звонок"),
    ("call_anyway", "взято, хотя дозвонились сами"),
    ("release", "отпущено"),
    ("hand_over", "передано коллеге"),
    ("attempt", "попытка"),
    ("not_called", "звонок не состоялся"),
    ("done", "готово"),
    ("later", "отложено"),
    ("clarify", "нужно уточнение"),
    ("exceptional", "нештатная ситуация"),
    ("decline", "отклонено"),
    ("reopen", "открыто снова"),
    ("describe", "записаны сведения"),
    ("note", "заметка"),
    ("joined", "обратились ещё раз"),
    ("undo", "отмена действия"),
    ("due_moved", "срок изменён календарём"),
    ("hours_exception", "календарь: особый день"),
    ("hours_rule", "календарь: по общему правилу"),
    ("hours_week", "календарь: часы недели"),
    ("hours_close", "линия закрыта экстренно"),
    ("hours_open_again", "линия снова открыта"),
    ("hours_data", "календарь: новые праздники"),
    ("hours_built_in_data", "календарь: встроенные праздники"),
    ("prompt_upload", "приветствие загружено"),
    ("prompt_on", "приветствие включено"),
    ("prompt_off", "приветствие выключено"),
    ("prompt_drop", "приветствие удалено"),
    ("officer_add", "сотрудник добавлен"),
    ("officer_rename", "сотрудник переименован"),
    ("officer_role", "роль изменена"),
    ("officer_telephone", "телефон сотрудника"),
    ("officer_lines", "линии сотрудника"),
    ("officer_disable", "сотрудник отключён"),
    ("officer_enable", "сотрудник включён"),
    ("officer_link", "ссылка для входа"),
    ("officer_reset", "пароль сброшен"),
    ("token_add", "ключ выдан"),
    ("token_revoke", "ключ отозван"),
    ("seen", "предупреждение прочитано"),
    ("reconcile", "сверка с оператором"),
    ("test_call", "проверочный звонок"),
    ("backup", "резервная копия"),
    ("restore", "восстановление из копии"),
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
        "callbacks" => "список обращений".to_owned(),
        "calls" => "журнал звонков".to_owned(),
        "caller" => format!("звонящий {name}"),
        "prompt" => "приветствие".to_owned(),
        "officer" => "сотрудник".to_owned(),
        "stranger" => "никто не вошёл".to_owned(),
        "token" => "ключ программы".to_owned(),
        "hours" => "календарь".to_owned(),
        "provider" => format!("оператор {name}"),
        "backup" => format!("копия {name}"),
        "retention" => "сроки хранения".to_owned(),
        _ => object.to_owned(),
    }
}

/// Where it can be looked at.
pub(super) fn link(object: &str) -> Option<String> {
    match object.split_once(' ')? {
        ("callback", id) => Some(format!("/callbacks/{id}")),
        ("call", id) => Some(format!("/calls/{id}")),
        ("officer", id) => Some(format!("/people/{id}")),
        _ => None,
    }
}
