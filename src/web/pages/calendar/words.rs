//! Days, weeks and hours in words.

use crate::core::calendar::{Calendar, Closure, DayRule, Hours, Interval, Period, TimeState};
use crate::core::line::{Line, Lines};
use crate::core::wording::{WEEK, day_and_month};
use crate::time::{Date, Timestamp, Weekday, from_millisecond};
use crate::web::pages::words::{Wall, short_weekday, weekday};

/// Why a date is worked or not.
pub(in crate::web::pages) fn rule_words(rule: DayRule) -> &'static str {
    match rule {
        DayRule::Holiday => "праздничный день",
        DayRule::RegionalHoliday => "праздничный день республики",
        DayRule::TransferredDayOff => "перенесённый выходной",
        DayRule::WorkingWeekend => "рабочий выходной",
        DayRule::Weekend => "выходной",
        DayRule::Workday => "рабочий день",
        DayRule::OverrideClosed => "закрыто по решению школы",
        DayRule::OverrideOpen => "открыто по решению школы",
        DayRule::OverrideHours => "другие часы по решению школы",
    }
}

/// How an instant stands to the hours of its date.
pub(in crate::web::pages) fn time_words(state: TimeState) -> &'static str {
    match state {
        TimeState::Open => "рабочее время",
        TimeState::ClosedDay => "нерабочее время",
        TimeState::BeforeOpening => "нерабочее время, до открытия",
        TimeState::AfterClosing => "нерабочее время, после закрытия",
        TimeState::Break => "нерабочее время, перерыв",
        TimeState::ClosedNow => "линия закрыта экстренно",
    }
}

/// «09:00–13:00, 14:00–18:00».
pub(super) fn hours_words(hours: impl IntoIterator<Item = Interval>) -> String {
    let hours: Vec<String> = hours.into_iter().map(|it| it.to_string().replace('-', "–")).collect();
    hours.join(", ")
}

/// «праздничный день: День народного единства», «рабочий день, 09:00–18:00».
pub(super) fn day_words(calendar: &Calendar, date: Date) -> String {
    let day = calendar.day(date);
    let mut words = rule_words(day.rule).to_owned();
    if !day.title.is_empty() {
        words = format!("{words}: {}", day.title);
    }
    if day.shortened {
        words.push_str(", сокращённый");
    }
    let hours = hours_words(day.intervals());
    if !hours.is_empty() {
        words = format!("{words}, {hours}");
    }
    for closure in closures_on(calendar, date) {
        let clock = |at: Timestamp| at.to_zoned(calendar.time_zone().clone()).strftime("%d.%m, %-H:%M").to_string();
        let Period { start, end } = closure.period;
        words = format!("{words}; закрыто экстренно с {} до {}", clock(start), clock(end));
        if !closure.reason.is_empty() {
            words = format!("{words}, {}", closure.reason);
        }
    }
    words
}

/// The closures that take anything of a date.
pub(super) fn closures_on(calendar: &Calendar, date: Date) -> impl Iterator<Item = &Closure> {
    calendar.closures().iter().filter(move |closure| {
        let last = from_millisecond(closure.period.end.as_millisecond() - 1);
        (calendar.local_date(closure.period.start)..=calendar.local_date(last)).contains(&date)
    })
}

/// «до конца дня», «до 15:00», «до вт 24.11, 12:00».
pub(super) fn until_words(wall: &Wall<'_>, end: Timestamp) -> String {
    let local = wall.local(end);
    let is_midnight = local.hour() == 0 && local.minute() == 0;
    match is_midnight && wall.today().tomorrow().is_ok_and(|tomorrow| tomorrow == local.date()) {
        true => "до конца дня".to_owned(),
        false => wall.until(end),
    }
}

/// «пн–пт 09:00–18:00; сб, вс выходные».
pub(super) fn week_words(hours: &Hours) -> String {
    let mut runs: Vec<(Vec<Weekday>, String)> = Vec::new();
    let mut off: Vec<&str> = Vec::new();
    for day in WEEK {
        let words = hours_words(hours.on(day).iter().copied());
        match runs.last_mut() {
            _ if words.is_empty() => off.push(short_weekday(day)),
            Some((days, same)) if *same == words && days.last().is_some_and(|last| last.next() == day) => {
                days.push(day)
            }
            _ => runs.push((vec![day], words)),
        }
    }
    let named = |days: &[Weekday]| match days {
        [one] => short_weekday(*one).to_owned(),
        [first, .., last] => format!("{}–{}", short_weekday(*first), short_weekday(*last)),
        [] => String::new(),
    };
    let mut parts: Vec<String> = runs.iter().map(|(days, hours)| format!("{} {hours}", named(days))).collect();
    match off[..] {
        [] => {}
        [one] => parts.push(format!("{one} выходной")),
        _ => parts.push(format!("{} выходные", off.join(", "))),
    }
    parts.join("; ")
}

/// «среда, 4 ноября».
pub(super) fn date_words(date: Date) -> String {
    format!("{}, {}", weekday(date.weekday()), day_and_month(date))
}

/// «4 ноября 2026».
pub(super) fn full_date(date: Date) -> String {
    format!("{} {}", day_and_month(date), date.year())
}

/// «4 ноября 2026», «4–8 ноября 2026», «30 декабря 2026 – 10 января 2027».
pub(super) fn dates_words(from: Date, to: Date) -> String {
    match (from, to) {
        _ if from == to => full_date(from),
        _ if from.year() == to.year() && from.month() == to.month() => format!("{}–{}", from.day(), full_date(to)),
        _ => format!("{} – {}", full_date(from), full_date(to)),
    }
}

/// «ноябрь 2026» with a capital.
pub(super) fn month_words(date: Date) -> String {
    const MONTHS: [&str; 12] = [
        "Январь",
        "Февраль",
        "Март",
        "Апрель",
        "Май",
        "Июнь",
        "Июль",
        "Август",
        "Сентябрь",
        "Октябрь",
        "Ноябрь",
        "Декабрь",
    ];
    format!("{} {}", MONTHS[date.month() as usize - 1], date.year())
}

/// What is said of each line; where all say the same, once for all. One line alone needs no name.
pub(super) fn by_line<'l>(lines: impl Iterator<Item = &'l Line>, say: impl Fn(&Line) -> String) -> Vec<String> {
    let said: Vec<(&str, String)> = lines.map(|line| (line.title.as_str(), say(line))).collect();
    match &said[..] {
        [] => Vec::new(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, words)| words == first) => vec![first.clone()],
        all => all.iter().map(|(title, words)| format!("{title}: {words}")).collect(),
    }
}

/// The closures that hold now, for the strip of every page: «Линия «Родители» закрыта до 18:00: авария.»
pub(in crate::web::pages) fn closed_now(lines: &Lines, now: Timestamp) -> Vec<String> {
    let mut held: Vec<(&Closure, Vec<&Line>)> = Vec::new();
    for line in lines.iter() {
        if let Some(closure) = line.calendar.closure_at(now) {
            match held.iter_mut().find(|(known, _)| *known == closure) {
                Some((_, lines)) => lines.push(line),
                None => held.push((closure, vec![line])),
            }
        }
    }
    let all = lines.iter().count();
    let told = held.into_iter().map(|(closure, closed)| {
        let zone = closed[0].calendar.time_zone();
        let until = until_words(&Wall::new(zone, now), closure.period.end);
        let titles: Vec<String> = closed.iter().map(|line| format!("«{}»", line.title)).collect();
        let who = match titles.len() {
            1 => format!("Линия {} закрыта", titles[0]),
            2 if all == 2 => "Обе линии закрыты".to_owned(),
            count if count == all => "Все линии закрыты".to_owned(),
            _ => format!("Линии {} закрыты", titles.join(", ")),
        };
        let reason = if closure.reason.is_empty() { String::new() } else { format!(": {}", closure.reason) };
        format!("{who} {until}{reason}.")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_week_reads_in_one_breath() {
        let words = |week| week_words(&Hours::from_json(&json!({"week": week})).unwrap());
        assert_eq!(week_words(&Hours::default()), "пн–пт 09:00–18:00; сб, вс выходные");
        assert_eq!(
            words(json!({"mon": ["09:00-13:00", "14:00-18:00"], "wed": ["10:00-12:00"], "thu": ["10:00-12:00"]})),
            "пн 09:00–13:00, 14:00–18:00; ср–чт 10:00–12:00; вт, пт, сб, вс выходные"
        );
        assert_eq!(words(json!({})), "пн, вт, ср, чт, пт, сб, вс выходные");
    }

    #[test]
    fn dates_in_a_row_share_their_month_and_year() {
        let date = |text: &str| text.parse().unwrap();
        assert_eq!(dates_words(date("2026-11-04"), date("2026-11-04")), "4 ноября 2026");
        assert_eq!(dates_words(date("2026-11-04"), date("2026-11-08")), "4–8 ноября 2026");
        assert_eq!(dates_words(date("2026-12-30"), date("2027-01-10")), "30 декабря 2026 – 10 января 2027");
    }
}
