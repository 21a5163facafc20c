//! The steps of a callback's history, in words: as the button that was pressed, and as what happened.

use crate::core::callback::{CONFIRMED, CONFIRMED_NUMBER, Reason};
use crate::store::Step;

/// The button: «Готово».
pub(super) fn button(step: &Step) -> String {
    match (step.kind.as_str(), step.outcome.as_deref()) {
        ("claim", _) => "Беру".to_owned(),
        ("dial", _) => "Беру и звоню".to_owned(),
        ("call_anyway", _) => "Всё равно перезвонить".to_owned(),
        ("release", _) => "Отпустить".to_owned(),
        ("hand_over", _) => "Передать коллеге".to_owned(),
        ("attempt", Some("reached")) => "Дозвонились".to_owned(),
        ("attempt", Some("busy")) => "Занято".to_owned(),
        ("attempt", _) => "Не дозвонились".to_owned(),
        ("done", _) => "Готово".to_owned(),
        ("later", _) => "Отложить".to_owned(),
        ("clarify", _) => "Уточнить".to_owned(),
        ("exceptional", _) => "Нештатная ситуация".to_owned(),
        ("decline", _) => "Отклонить".to_owned(),
        ("reopen", _) => "Открыть снова".to_owned(),
        ("describe", _) => "Записать".to_owned(),
        _ => "Отменить".to_owned(),
    }
}

/// What happened: «взято в работу».
pub(super) fn past(step: &Step) -> String {
    match (step.kind.as_str(), step.outcome.as_deref()) {
        ("claim", Some(CONFIRMED)) => "взято в работу, хотя номер был в работе на другой линии".to_owned(),
        ("claim", _) => "взято в работу".to_owned(),
        ("call_anyway", _) => "взято в работу, решили всё равно перезвонить".to_owned(),
        ("dial", Some(CONFIRMED)) => "взято в работу, позвонили, хотя номер был в работе на другой линии".to_owned(),
        ("dial", Some(CONFIRMED_NUMBER)) => "взято в работу, позвонили, хотя номер дорогой или чужой".to_owned(),
        ("dial", _) => "взято в работу, позвонили".to_owned(),
        ("hand_over", _) => "передано коллеге".to_owned(),
        ("note", _) => "заметка".to_owned(),
        ("joined", _) => "обратились ещё раз".to_owned(),
        ("release", _) => "отпущено".to_owned(),
        ("attempt", Some("reached")) => "дозвонились".to_owned(),
        ("attempt", Some("busy")) => "было занято".to_owned(),
        ("attempt", _) => "не дозвонились".to_owned(),
        ("done", _) => "готово".to_owned(),
        ("later", _) => "отложено".to_owned(),
        ("clarify", _) => "нужно уточнение".to_owned(),
        ("exceptional", _) => "нештатная ситуация, направлен в поддержку портала".to_owned(),
        ("decline", reason) => {
            let reason = Reason::ALL.into_iter().find(|known| Some(known.as_str()) == reason);
            reason.map_or("отклонено".to_owned(), |reason| format!("отклонено: {}", reason.title()))
        }
        ("reopen", _) => "открыто снова".to_owned(),
        ("describe", _) => "записаны сведения".to_owned(),
        ("not_called", Some("not_picked_up")) => "звонок не состоялся: трубку не сняли".to_owned(),
        ("not_called", Some("not_connected")) => "звонок не состоялся: АТС не соединила с номером".to_owned(),
        ("not_called", Some("no_such_telephone")) => "звонок не состоялся: АТС не знает телефона".to_owned(),
        ("not_called", _) => "звонок не состоялся: АТС не отвечает".to_owned(),
        ("due_moved", _) => "срок изменился вместе с рабочим временем".to_owned(),
        _ => "последнее действие отменено".to_owned(),
    }
}
