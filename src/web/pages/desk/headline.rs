//! What stands above the list and in its place when it is empty: how much is left, until when, and what comes next.

use super::view::View;
use crate::store::{SpoolDepth, Standing};
use crate::time::Timestamp;
use crate::web::House;
use crate::web::pages::words::{Wall, counted};

/// A piece of the summary.
pub(super) struct Part {
    pub text: String,
    /// It is late: never told by colour alone.
    pub late: bool,
}

/// «Сейчас рабочее время, до 18:00», or when it begins.
pub(super) fn clock(house: &House, wall: &Wall<'_>) -> String {
    let answer = house.lines().default_calendar().answer(wall.now);
    match (answer.current_period, answer.next_period) {
        (Some(period), _) => format!("Сейчас рабочее время, {}", wall.until(period.end)),
        (None, Some(next)) => {
            format!("Рабочее время начнётся {}. Звонить можно и сейчас, если договорились.", wall.start(next.start))
        }
        (None, None) => "Рабочее время не задано. Скажите администратору.".to_owned(),
    }
}

/// «Осталось 9 · сделано 3 · просрочено 2 · первый срок 10:00».
pub(super) fn summary(standing: &Standing, wall: &Wall<'_>) -> Vec<Part> {
    let left = standing.waiting;
    let plain = |text| Part { text, late: false };
    let mut parts = vec![plain(match standing.put_off {
        0 => format!("Осталось {left}"),
        put_off => format!("Осталось {left}, из них {}", counted(put_off, ["отложено", "отложены", "отложено"])),
    })];
    parts.push(plain(format!("сделано {}", standing.closed)));
    if standing.overdue > 0 {
        parts.push(Part { text: format!("просрочено {}", standing.overdue), late: true });
    }
    parts.extend(standing.first_due.map(|due_at| {
        let today = wall.local(due_at).date() == wall.today();
        plain(format!("первый срок {}", if today { wall.clock(due_at) } else { wall.listed(due_at) }))
    }));
    parts
}

/// What is said while the database does not take calls.
pub(super) fn incomplete(depth: SpoolDepth) -> Option<String> {
    let count = (depth.durable + depth.in_memory) as i64;
    let waits = counted(count, ["событие ждёт", "события ждут", "событий ждут"]);
    (count > 0).then(|| format!("Список может быть неполным: {waits} базу данных. Недостающее появится здесь само."))
}

/// What an empty view says; `next`: when the next working period begins.
pub(super) fn empty(
    view: &View,
    last_closed: Option<Timestamp>,
    next: Option<Timestamp>,
    wall: &Wall<'_>,
) -> Vec<String> {
    let mut sentences = vec![match last_closed {
        _ if !view.after.is_empty() => "Дальше никого нет.".to_owned(),
        _ if view.shows("later") => "Отложенных обращений нет.".to_owned(),
        _ if view.shows("done") => "Сегодня ещё ничего не закрыто.".to_owned(),
        Some(at) => format!("Всех обзвонили. Последнее обращение закрыто в {}.", wall.clock(at)),
        None => "Всех обзвонили.".to_owned(),
    }];
    if let Some(next) = next.filter(|_| !view.shows("later") && !view.shows("done")) {
        sentences.push(format!("Следующее рабочее время: {}.", wall.coming(next)));
    }
    sentences
}
