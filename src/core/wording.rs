//! The sentences a caller hears, word for word from the school's UX texts, with dates and hours filled in.

use super::calendar::{DayRule, Period};
use super::call::Decision;
use super::greetings::GreetingKind;
use super::line::Line;
use super::phone::PhoneNumber;
use crate::time::{Date, TimeZone, Timestamp, Weekday, elapsed_ms};

/// Said when nothing is known but that somebody calls.
pub const OFFER: &str = "Здравствуйте! Гимназия Культуры мира. После сигнала назовите имя, вопрос и номер телефона, \
                         по одной цифре. Мы перезвоним в рабочее время. Закончив, повесьте трубку.";
/// UX §2, «Recording notice»: said before the signal where the school has switched it on.
pub const RECORDING_NOTICE: &str = "Сообщение будет записано.";

/// The same of one line, for a document that stands somewhere on its own: it knows neither the hour nor the date.
pub fn offer_of(line: &Line) -> String {
    let who = "Гимназия Культуры мира";
    let offer = match line.audience.as_str() {
        "" => OFFER.to_owned(),
        audience => OFFER.replacen(&format!("{who}."), &format!("{who}, помощь {audience} по Школьному порталу."), 1),
    };
    offer.replacen("Мы перезвоним", &format!("{}Мы перезвоним", notice(line)), 1)
}

/// The notice with a space behind it, or nothing.
fn notice(line: &Line) -> String {
    if line.recording_notice { format!("{RECORDING_NOTICE} ") } else { String::new() }
}

pub const RECORDED: &str = "Спасибо. Сообщение записано. До свидания.";
pub const SAVED: &str = "Спасибо. Сообщение записано.";
pub const ASK_NUMBER: &str = "Мы не видим ваш номер. Наберите номер для связи и нажмите решётку.";
pub const ASK_NUMBER_AGAIN: &str = "Номер не распознан. Наберите десять или одиннадцать цифр и нажмите решётку.";
/// UX §2 D. The school's regulation names no e-mail address for staff, so none is said.
pub const FAULT: &str = "Извините, сейчас записать сообщение нельзя.";
pub const GOODBYE: &str = "До свидания.";

/// The days in their order.
pub const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// With less than this left of the working period nobody promises «сегодня» (UX §2 B).
const SOON_OVER_MS: i64 = 30 * 60 * 1000;

/// UX §2 A and A-п: after hours, with the date of the callback.
pub fn greeting_closed(line: &Line, decision: &Decision, at: Timestamp) -> String {
    let zone = line.calendar.time_zone();
    let why = match (kind_closed(decision), &decision.promise) {
        (GreetingKind::Holiday, Some(promise)) => {
            let day = promise.start.to_zoned(zone.clone()).date();
            format!("Сегодня праздничный день. Мы работаем с {}.", day_and_month(day))
        }
        _ => closed_until(line),
    };
    closed(line, &why, &promise_closed(decision, zone, at))
}

/// Which of the two texts after hours this call hears.
pub fn kind_closed(decision: &Decision) -> GreetingKind {
    let holiday = matches!(decision.day_rule, DayRule::Holiday | DayRule::RegionalHoliday);
    if holiday && decision.promise.is_some() { GreetingKind::Holiday } else { GreetingKind::Closed }
}

fn closed(line: &Line, why: &str, promise: &str) -> String {
    let who = match line.audience.as_str() {
        "" => "Здравствуйте! Гимназия Культуры мира.".to_owned(),
        audience => format!("Здравствуйте! Гимназия Культуры мира, помощь {audience} по Школьному порталу."),
    };
    let what = "После сигнала назовите имя, вопрос и номер телефона, по одной цифре.";
    format!("{who} {why} {what} {}{promise} Закончив, повесьте трубку.", notice(line))
}

fn closed_until(line: &Line) -> String {
    let now = "Сейчас нерабочее время.";
    match daily_hours(line) {
        Some((from, to)) => format!(
            "{now} Мы работаем ежедневно с {} до {}, кроме выходных и праздничных дней.",
            hour_genitive(from),
            hour_genitive(to)
        ),
        None => now.to_owned(),
    }
}

/// What the school reads into the microphone: the texts without dates, for a recording says the same on every day.
pub fn to_read(kind: GreetingKind, line: &Line) -> String {
    match kind {
        GreetingKind::Closed => closed(line, &closed_until(line), "Мы перезвоним в рабочее время."),
        GreetingKind::Holiday => closed(line, "Сегодня праздничный день.", "Мы перезвоним в ближайший рабочий день."),
        GreetingKind::Busy => busy(line, "сегодня"),
        GreetingKind::BusyLate => busy(line, "в ближайшее рабочее время"),
        GreetingKind::Thanks => RECORDED.to_owned(),
        GreetingKind::Fault => FAULT.to_owned(),
    }
}

/// A caller who is on the list already: told so, and free to add something.
pub fn greeting_again(line: &Line, decision: &Decision, at: Timestamp) -> String {
    format!(
        "Здравствуйте! Гимназия Культуры мира. Ваш прошлый звонок у нас записан. {} Если хотите добавить, говорите \
         после сигнала. {}Закончив, повесьте трубку.",
        promise_closed(decision, line.calendar.time_zone(), at),
        notice(line)
    )
}

/// UX §2 B: in working hours, nobody could answer.
pub fn greeting_busy(line: &Line, decision: &Decision, now: Timestamp) -> String {
    busy(
        line,
        match kind_busy(decision, now) {
            GreetingKind::BusyLate => "в ближайшее рабочее время",
            _ => "сегодня",
        },
    )
}

/// Which of the two texts in hours this call hears.
pub fn kind_busy(decision: &Decision, now: Timestamp) -> GreetingKind {
    let soon_over = decision.promise.as_ref().is_none_or(|period| elapsed_ms(now, period.end) < SOON_OVER_MS);
    if soon_over { GreetingKind::BusyLate } else { GreetingKind::Busy }
}

fn busy(line: &Line, when: &str) -> String {
    format!(
        "Сейчас все сотрудники заняты. Оставьте сообщение после сигнала: имя, номер телефона и вопрос. {}Мы \
         перезвоним {when}.",
        notice(line)
    )
}

/// Nothing could be heard, but the number is there. Only what will be done is promised.
pub fn not_heard(is_called_back: bool) -> String {
    let promise = if is_called_back {
        "Мы перезвоним на ваш номер в рабочее время. "
    } else {
        ""
    };
    format!("Мы вас не услышали. {promise}До свидания.")
}

/// Reads the typed number back digit by digit, a Russian one with the 8 that people dial.
pub fn number_taken(number: &PhoneNumber) -> String {
    let digits: Vec<String> =
        number.spaced().chars().filter(char::is_ascii_digit).map(|digit| digit.to_string()).collect();
    format!("Спасибо. Мы перезвоним по номеру {}. До свидания.", digits.join(" "))
}

/// «Мы перезвоним в понедельник, 23 ноября, в рабочее время.»: the date stored is the date told (R7).
pub fn promise_closed(decision: &Decision, zone: &TimeZone, at: Timestamp) -> String {
    match &decision.promise {
        Some(period) => promise_on(period, zone, at),
        None => "Мы перезвоним в рабочее время.".to_owned(),
    }
}

/// The same, of the working period in which we call back.
pub fn promise_on(period: &Period, zone: &TimeZone, at: Timestamp) -> String {
    let day = period.start.to_zoned(zone.clone()).date();
    let today = if at.to_zoned(zone.clone()).date() == day { "сегодня, " } else { "" };
    format!("Мы перезвоним {today}{}, {}, в рабочее время.", on_weekday(day.weekday()), day_and_month(day))
}

/// «23 ноября».
pub fn day_and_month(day: Date) -> String {
    const MONTHS: [&str; 12] = [
        "января",
        "февраля",
        "марта",
        "апреля",
        "мая",
        "июня",
        "июля",
        "августа",
        "сентября",
        "октября",
        "ноября",
        "декабря",
    ];
    format!("{} {}", day.day(), MONTHS[day.month() as usize - 1])
}

/// The form of a noun after a number: 1 обращение, 2 обращения, 5 обращений, 11 обращений, 21 обращение.
pub fn plural(number: i64, [one, few, many]: [&str; 3]) -> &str {
    match (number.unsigned_abs() % 10, number.unsigned_abs() % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    }
}

/// «с понедельника», «со вторника».
pub fn since_weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "с понедельника",
        Weekday::Tuesday => "со вторника",
        Weekday::Wednesday => "со среды",
        Weekday::Thursday => "с четверга",
        Weekday::Friday => "с пятницы",
        Weekday::Saturday => "с субботы",
        Weekday::Sunday => "с воскресенья",
    }
}

/// «в понедельник», «во вторник».
pub fn on_weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "в понедельник",
        Weekday::Tuesday => "во вторник",
        Weekday::Wednesday => "в среду",
        Weekday::Thursday => "в четверг",
        Weekday::Friday => "в пятницу",
        Weekday::Saturday => "в субботу",
        Weekday::Sunday => "в воскресенье",
    }
}

/// The hours that all working days of the week share, minutes after midnight; `None` where they differ or have a break:
/// then no single sentence tells them.
fn daily_hours(line: &Line) -> Option<(u16, u16)> {
    let hours = line.calendar.hours();
    let mut working = WEEK.into_iter().map(|day| hours.on(day)).filter(|intervals| !intervals.is_empty());
    let first = working.next()?;
    match first {
        [interval] if working.all(|intervals| intervals == first) => {
            Some((interval.start_minute(), interval.end_minute()))
        }
        _ => None,
    }
}

/// «девяти», «восемнадцати тридцати»: a time of day as it is said after «с» and «до».
fn hour_genitive(minutes: u16) -> String {
    match (minutes / 60, minutes % 60) {
        (hour, 0) => number_genitive(hour),
        (hour, minute) => format!("{} {}", number_genitive(hour), number_genitive(minute)),
    }
}

/// Numbers from 0 to 59 in the genitive, feminine-neutral as in clock times.
fn number_genitive(number: u16) -> String {
    const SMALL: [&str; 20] = [
        "нуля",
        "одного",
        "двух",
        "трёх",
        "четырёх",
        "пяти",
        "шести",
        "семи",
        "восьми",
        "девяти",
        "десяти",
        "одиннадцати",
        "двенадцати",
        "тринадцати",
        "четырнадцати",
        "пятнадцати",
        "шестнадцати",
        "семнадцати",
        "восемнадцати",
        "девятнадцати",
    ];
    const TENS: [&str; 6] = ["", "", "двадцати", "тридцати", "сорока", "пятидесяти"];
    let number = usize::from(number.min(59));
    match (number / 10, number % 10) {
        (0 | 1, _) => SMALL[number].to_owned(),
        (tens, 0) => TENS[tens].to_owned(),
        (tens, ones) => format!("{} {}", TENS[tens], SMALL[ones]),
    }
}
