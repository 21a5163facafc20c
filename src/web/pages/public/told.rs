//! The hours of a line in the words of the info stand.

use super::super::words::{Wall, short_weekday};
use crate::core::calendar::Calendar;
use crate::core::timetable::{self, DaysOff, Span, usual_hours};
use crate::core::wording::{WEEK, day_and_month, on_weekday};
use crate::time::{Date, Timestamp};

/// How far the page looks for days off: from any day of the year the next holiday lies nearer.
const LOOKS_AHEAD_DAYS: i32 = 150;
/// As many exceptions as one reads on a wall.
const MOST_EXCEPTIONS: usize = 4;

/// What is said of one line's hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub open: bool,
    /// «нерабочее время. Откроемся в понедельник, 23 ноября, в 9:00.»
    pub status: String,
    /// «Ежедневно с 9:00 до 18:00, кроме выходных и праздничных дней»
    pub hours: String,
    /// «4 ноября (День народного единства)»; `None`: none near.
    pub days_off: Option<String>,
    /// «в четверг, 30 апреля, с 9:00 до 17:00»: worked, but otherwise than usual.
    pub other_hours: Option<String>,
}

impl Told {
    pub fn of(calendar: &Calendar, now: Timestamp) -> Self {
        let wall = Wall::new(calendar.time_zone(), now);
        let answer = calendar.answer(now);
        let status = match (answer.current_period, answer.next_period) {
            (Some(period), _) => format!("рабочее время, {}.", wall.until(period.end)),
            (None, Some(next)) => format!("нерабочее время. Откроемся {}.", wall.start(next.start)),
            (None, None) => "нерабочее время.".to_owned(),
        };
        let days = timetable::days(calendar, now, LOOKS_AHEAD_DAYS);
        let off = timetable::days_off(&days);
        let other = days.iter().filter(|day| !day.hours.is_empty() && !day.usual);
        Self {
            open: answer.open,
            status,
            hours: in_words(calendar),
            days_off: listed(", ", off.iter().map(stretch)),
            other_hours: listed(
                "; ",
                other.map(|day| {
                    format!("{}, {}, {}", on_weekday(day.date.weekday()), date(day.date), spans(&day.hours))
                }),
            ),
        }
    }
}

fn listed(between: &str, mut items: impl Iterator<Item = String>) -> Option<String> {
    let first: Vec<String> = items.by_ref().take(MOST_EXCEPTIONS).collect();
    (!first.is_empty()).then(|| first.join(between))
}

/// «4 ноября», never parted by the end of a line.
fn date(date: Date) -> String {
    day_and_month(date).replace(' ', "\u{a0}")
}

/// «4 ноября (День народного единства)», «1–8 января», «31 декабря — 8 января».
fn stretch(off: &DaysOff) -> String {
    let DaysOff { first, last, name } = off;
    match (first == last, (first.year(), first.month()) == (last.year(), last.month())) {
        (true, _) if name.is_empty() => date(*first),
        (true, _) => format!("{} ({name})", date(*first)),
        (false, true) => format!("{}–{}", first.day(), date(*last)),
        (false, false) => format!("{} — {}", date(*first), date(*last)),
    }
}

/// «с 9:00 до 13:00 и с 14:00 до 18:00», «круглосуточно».
fn spans(hours: &[Span]) -> String {
    let clock = |minute: u16| format!("{}:{:02}", minute / 60, minute % 60);
    match hours {
        [(0, 1440)] => "круглосуточно".to_owned(),
        hours => {
            let parts: Vec<String> = hours
                .iter()
                .map(|(from, until)| format!("с\u{a0}{} до\u{a0}{}", clock(*from), clock(*until)))
                .collect();
            parts.join(" и ")
        }
    }
}

/// The ordinary week in one sentence, without its full stop. «Ежедневно … кроме выходных» is the regulation's own wording
/// and said of Monday to Friday alone; other weeks name their days.
pub(super) fn in_words(calendar: &Calendar) -> String {
    let hours = WEEK.map(|day| usual_hours(calendar, day));
    let rests = !calendar.hours().holidays().is_empty();
    let except =
        |days: &[&str]| if days.is_empty() { String::new() } else { format!(", кроме {}", days.join(" и ")) };
    let holidays = if rests { &["праздничных дней"][..] } else { &[] };
    let worked: Vec<bool> = hours.iter().map(|hours| !hours.is_empty()).collect();
    let alike = hours.iter().filter(|hours| !hours.is_empty()).all(|day| *day == hours[0]);
    match worked.iter().filter(|worked| **worked).count() {
        0 => "Часы работы не заданы".to_owned(),
        7 if alike => format!("Ежедневно {}{}", spans(&hours[0]), except(holidays)),
        5 if alike && worked[..5].iter().all(|worked| *worked) => {
            format!("Ежедневно {}{}", spans(&hours[0]), except(&[&["выходных"], holidays].concat()))
        }
        _ => {
            let text = day_by_day(&hours);
            let mut letters = text.chars();
            let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
            format!("{first}{}{}", letters.as_str(), except(holidays))
        }
    }
}

/// «пн–чт с 9:00 до 18:00, пт с 9:00 до 17:00»: neighbours with the same hours together, days off left out.
fn day_by_day(hours: &[Vec<Span>; 7]) -> String {
    let days: Vec<usize> = (0..7).collect();
    let runs = days.chunk_by(|one, next| hours[*one] == hours[*next]).filter(|run| !hours[run[0]].is_empty());
    let told = runs.map(|run| {
        let name = |day: usize| short_weekday(WEEK[day]);
        let names = match run {
            [day] => name(*day).to_owned(),
            [first, second] => format!("{}, {}", name(*first), name(*second)),
            [first, .., last] => format!("{}–{}", name(*first), name(*last)),
            [] => String::new(),
        };
        format!("{names} {}", spans(&hours[run[0]]))
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::calendar::Hours;
    use crate::time::Weekday;

    fn told(hours: Value, now: &str) -> Told {
        Told::of(&Calendar::new(Hours::from_json(&hours).unwrap()), now.parse().unwrap())
    }

    fn plain(text: &str) -> String {
        text.replace('\u{a0}', " ")
    }

    #[test]
    fn the_school_tells_its_hours_as_the_regulation_does() {
        let school = told(json!({}), "2026-11-20T19:30:00+03:00");
        assert_eq!(school.status, "нерабочее время. Откроемся в понедельник, 23 ноября, в 9:00.");
        assert_eq!(plain(&school.hours), "Ежедневно с 9:00 до 18:00, кроме выходных и праздничных дней");
        let open = told(json!({}), "2026-11-20T17:59:59+03:00");
        assert_eq!((plain(&open.status).as_str(), open.open), ("рабочее время, до 18:00.", true));
    }

    #[test]
    fn other_weeks_name_their_days() {
        let day = json!(["09:00-18:00"]);
        for (week, text) in [
            (
                json!({"mon": day, "tue": day, "wed": day, "thu": day, "fri": ["09:00-17:00"]}),
                "Пн–чт с 9:00 до 18:00, пт с 9:00 до 17:00, кроме праздничных дней",
            ),
            (
                json!({"mon": day, "tue": day, "thu": ["09:00-13:00", "14:00-18:30"]}),
                "Пн, вт с 9:00 до 18:00, чт с 9:00 до 13:00 и с 14:00 до 18:30, кроме праздничных дней",
            ),
            (json!({}), "Часы работы не заданы"),
        ] {
            assert_eq!(plain(&told(json!({"week": week}), "2026-11-20T19:30:00+03:00").hours), text);
        }
        let all = WEEK.map(|day| (short_english(day).to_owned(), json!(["00:00-24:00"])));
        let always = json!({"week": serde_json::Map::from_iter(all), "holidays": []});
        let always = told(always, "2026-11-20T19:30:00+03:00");
        assert_eq!((always.hours.as_str(), always.days_off), ("Ежедневно круглосуточно", None));
    }

    fn short_english(day: Weekday) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][day.to_monday_zero_offset() as usize]
    }

    #[test]
    fn days_off_and_short_days_are_named() {
        let short = json!({"short_days": {"policy": "close_early", "minutes": 60}, "holidays": ["ru"]});
        let autumn = told(short, "2026-11-01T12:00:00+03:00");
        let off = autumn.days_off.unwrap();
        assert!(plain(&off).starts_with("4 ноября (День народного единства)"), "{off}");
        let other = plain(&autumn.other_hours.unwrap());
        assert!(other.starts_with("во вторник, 3 ноября, с 9:00 до 17:00"), "{other}");
    }

    #[test]
    fn a_stretch_of_days_off_is_told_from_its_first_to_its_last_day() {
        let off = |first: &str, last: &str, name: &str| {
            let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
            plain(&stretch(&DaysOff { first, last, name: name.to_owned() }))
        };
        assert_eq!(off("2027-01-01", "2027-01-08", ""), "1–8 января");
        assert_eq!(off("2026-12-31", "2027-01-08", ""), "31 декабря — 8 января");
        assert_eq!(off("2026-12-31", "2026-12-31", ""), "31 декабря");
    }
}
