//! The four answers of a report, in sentences.

use super::super::words::{counted, weekday};
use crate::core::report::{Ending, Heat, Kept, Month, Waiting, percent};
use crate::core::wording::WEEK;

const MESSAGES: [&str; 3] = ["сообщение", "сообщения", "сообщений"];
const CALLS: [&str; 3] = ["звонок", "звонка", "звонков"];

/// What the figures mean, so that nobody has to guess.
pub(super) const DEFINITION: &str = "Сообщение здесь: тот, кто позвонил и попал в список «Перезвонить», с голосовым \
    сообщением или без; несколько звонков одного номера подряд считаются за одно. Перезвонили в первое рабочее время: \
    первая попытка или закрытие не позже конца рабочего времени, которое назвали звонившему; если звонили в рабочее \
    время, то не позже его конца.";

/// «В ноябре», «В ноябре 2025 года» of another year.
pub(super) fn within(month: Month, today: Month) -> String {
    let year = match month.first().year() == today.first().year() {
        true => String::new(),
        false => format!(" {} года", month.first().year()),
    };
    let words = month.within();
    format!("В{}{year}", words.strip_prefix('в').unwrap_or(words))
}

/// «В ноябре оставили 86 сообщений. В первое рабочее время перезвонили по 84 (98 %).»
pub(super) fn promise(month: Month, today: Month, kept: &Kept) -> String {
    let within = within(month, today);
    if month > today {
        return format!("{within}: этот месяц ещё не начался.");
    }
    if kept.total() == 0 {
        return format!("{within} сообщений не оставляли.");
    }
    format!("{within} оставили {}. {}", counted(kept.total() as i64, MESSAGES), answered(kept))
}

/// «В первое рабочее время перезвонили по 84 (98 %). Не успели по 2. Ещё по 3 срок не вышел, в долю они не входят.»
pub(super) fn answered(kept: &Kept) -> String {
    let Some(share) = kept.percent() else {
        return "Срок не вышел ещё ни по одному.".to_owned();
    };
    let first = match (kept.kept, kept.broken) {
        (0, _) => "В первое рабочее время не перезвонили ни по одному".to_owned(),
        (_, 0) if kept.undecided == 0 => "В первое рабочее время перезвонили по всем".to_owned(),
        (part, _) => format!("В первое рабочее время перезвонили по {part}"),
    };
    let late = if kept.broken > 0 { format!(" Не успели по {}.", kept.broken) } else { String::new() };
    let undecided = match kept.undecided {
        0 => String::new(),
        some => format!(" Ещё по {some} срок не вышел, в долю они не входят."),
    };
    format!("{first} ({share}\u{a0}%).{late}{undecided}")
}

/// «Мадина И.: 40 сообщений. В первое рабочее время …»
pub(super) fn promise_of(name: &str, kept: &Kept) -> String {
    match kept.total() {
        0 => format!("{name}: первых попыток нет."),
        some => format!("{name}: первая попытка по {some}. {}", answered(kept)),
    }
}

/// «Всего 310 звонков. Чаще всего звонили в понедельник…» as nouns, so that no weekday needs its case.
pub(super) fn calling(heat: &Heat) -> String {
    let all: i64 = heat.iter().flatten().sum();
    let cells = (0..7).flat_map(|day| (0..24).map(move |hour| (heat[day][hour], day, hour)));
    // The first of equals: the earlier in the week.
    let busiest = cells.rev().max_by_key(|(count, ..)| *count);
    match busiest {
        Some((most, day, hour)) if most > 0 => format!(
            "Всего {}. Больше всего: {}, с\u{a0}{hour}:00 до\u{a0}{}:00, {}.",
            counted(all, CALLS),
            weekday(WEEK[day]),
            hour + 1,
            counted(most, CALLS)
        ),
        _ => "Звонков не было.".to_owned(),
    }
}

/// «До первой попытки: половине перезвонили не позже чем через 40 мин рабочего времени, …»
pub(super) fn waiting(waiting: Option<&Waiting>) -> String {
    match waiting {
        Some(Waiting { median_ms, nine_of_ten_ms, longest_ms }) => format!(
            "До первой попытки прошло рабочего времени: у половины не больше {}, у 9 из 10 не больше {}, дольше всего {}.",
            working(*median_ms),
            working(*nine_of_ten_ms),
            working(*longest_ms)
        ),
        None => "Попыток ещё не было.".to_owned(),
    }
}

/// «8 ч 50 мин», «120 ч»: never in days, for a working day has no 24 hours.
pub(super) fn working(ms: i64) -> String {
    let minutes = (ms + 30_000) / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}\u{a0}мин"),
        (hours, 0) => format!("{hours}\u{a0}ч"),
        (hours, minutes) => format!("{hours}\u{a0}ч {minutes}\u{a0}мин"),
    }
}

pub(super) fn ending(ending: Ending) -> String {
    match ending {
        Ending::Done => "Сделано".to_owned(),
        Ending::NotReached => "Не дозвонились".to_owned(),
        Ending::Declined(reason) => format!("Отклонено: {}", lower(reason.title())),
        Ending::Exceptional => "Передано в поддержку портала".to_owned(),
        Ending::Open => "Открыто".to_owned(),
    }
}

/// «98 %», «—» of nothing.
pub(super) fn share(part: usize, of: usize) -> String {
    percent(part, of).map_or_else(|| "—".to_owned(), |share| format!("{share}\u{a0}%"))
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn plain(text: String) -> String {
        text.replace('\u{a0}', " ")
    }

    #[test]
    fn the_first_answer_is_the_one_of_the_house_rule() {
        let (november, of) = (month("2026-11"), |kept, broken, undecided| Kept { kept, broken, undecided });
        for (kept, text) in [
            (
                of(84, 2, 0),
                "В ноябре оставили 86 сообщений. В первое рабочее время перезвонили по 84 (98 %). Не успели по 2.",
            ),
            (of(1, 0, 0), "В ноябре оставили 1 сообщение. В первое рабочее время перезвонили по всем (100 %)."),
            (of(2, 0, 0), "В ноябре оставили 2 сообщения. В первое рабочее время перезвонили по всем (100 %)."),
            (
                of(0, 5, 0),
                "В ноябре оставили 5 сообщений. В первое рабочее время не перезвонили ни по одному (0 %). Не успели по 5.",
            ),
            (
                of(10, 0, 1),
                "В ноябре оставили 11 сообщений. В первое рабочее время перезвонили по 10 (100 %). Ещё по 1 срок не вышел, в долю они не входят.",
            ),
            (of(21, 0, 0), "В ноябре оставили 21 сообщение. В первое рабочее время перезвонили по всем (100 %)."),
            (of(0, 0, 3), "В ноябре оставили 3 сообщения. Срок не вышел ещё ни по одному."),
            (of(0, 0, 0), "В ноябре сообщений не оставляли."),
        ] {
            assert_eq!(plain(promise(november, november, &kept)), text);
        }
        let other = promise(month("2025-05"), november, &of(0, 0, 0));
        assert_eq!(other, "В мае 2025 года сообщений не оставляли.");
        assert_eq!(promise(month("2026-12"), november, &of(0, 0, 0)), "В декабре: этот месяц ещё не начался.");
    }

    #[test]
    fn the_busiest_hour_is_the_first_of_equals() {
        let mut heat = Heat::default();
        assert_eq!(calling(&heat), "Звонков не было.");
        (heat[2][19], heat[4][8], heat[0][23]) = (4, 4, 1);
        assert_eq!(plain(calling(&heat)), "Всего 9 звонков. Больше всего: среда, с 19:00 до 20:00, 4 звонка.");
    }

    #[test]
    fn working_time_is_told_in_hours_however_long() {
        for (ms, text) in [
            (0, "0 мин"),
            (29_999, "0 мин"),
            (12 * 60_000, "12 мин"),
            (9 * 3_600_000, "9 ч"),
            (61 * 3_600_000 + 59 * 60_000, "61 ч 59 мин"),
            (3_599_999, "1 ч"),
        ] {
            assert_eq!(plain(working(ms)), text, "{ms}");
        }
    }
}
