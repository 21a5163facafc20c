//! Days off for other calendars and from them: iCalendar files (RFC 5545) with events of whole days.

use icalendar::parser::{Component, Property, read_components, unfold};
use icalendar::{Calendar, Component as _, Event};

use super::days::days_after;
use crate::core::written_text::in_order;
use crate::time::{Date, Timestamp};

/// The largest file that is read, bytes.
pub const LARGEST_ICS: usize = 1024 * 1024;
/// The most events that are taken from one file.
pub const MOST_EVENTS: usize = 1000;
/// The longest text taken as a reason, characters.
const LONGEST_SUMMARY: usize = 200;
/// The longest event, days.
const LONGEST_EVENT_DAYS: i32 = super::changes::LONGEST_EXCEPTION_DAYS;
/// Marks our own worked days, so that nobody takes them back in as days off.
const WORKED: &str = "X-PEREZVON-WORKED";

/// Whole days with one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcsEvent {
    pub from: Date,
    /// Included.
    pub to: Date,
    pub summary: String,
    /// Not a day off: worked though it seems otherwise, or with other hours.
    pub worked: bool,
}

/// An event that cannot be taken, in Russian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcsMistake {
    /// Of the file, counted from 1: where the event begins.
    pub line: usize,
    pub problem: String,
}

/// An event as it is written, from `start` to before `end`.
#[derive(Clone, Debug)]
pub struct CalendarEvent {
    /// Stays the same when the event changes.
    pub uid: String,
    pub summary: String,
    /// May be empty.
    pub description: String,
    pub start: EventTime,
    pub end: EventTime,
    /// Marks our own worked days, so that nobody takes them back in as days off.
    pub worked: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum EventTime {
    Day(Date),
    Instant(Timestamp),
}

/// The iCalendar file of these events, named `name`. `made_at` is written as their stamp. No event makes anybody busy.
pub fn write_calendar(name: &str, events: impl IntoIterator<Item = CalendarEvent>, made_at: Timestamp) -> String {
    let mut calendar = Calendar::empty();
    calendar.append_property(("VERSION", "2.0"));
    calendar.append_property(("PRODID", "-//Perezvon//RU"));
    calendar.append_property(("CALSCALE", "GREGORIAN"));
    calendar.name(&plain(name));
    let time = |key: &str, time: EventTime| match time {
        EventTime::Day(date) => {
            icalendar::Property::new(key, date.strftime("%Y%m%d").to_string()).add_parameter("VALUE", "DATE").done()
        }
        EventTime::Instant(at) => icalendar::Property::new(key, instant(at)),
    };
    for event in events {
        let mut written = Event::with_uid(&event.uid);
        written.append_property(time("DTSTART", event.start));
        written.append_property(time("DTEND", event.end));
        written.add_property("DTSTAMP", instant(made_at));
        written.summary(&plain(&event.summary));
        if !event.description.is_empty() {
            written.description(&plain(&event.description));
        }
        written.add_property("TRANSP", "TRANSPARENT");
        if event.worked {
            written.add_property(WORKED, "1");
        }
        written.class(icalendar::Class::Public);
        calendar.push(written.done());
    }
    calendar.to_string()
}

/// A text that stays in its property. The library escapes a line feed, and no other control character.
fn plain(text: &str) -> String {
    in_order(text).chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// `20261123T060000Z`.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The file of these events, named `name`. `made_at` is written as their stamp.
pub fn write_ics(name: &str, events: &[IcsEvent], made_at: Timestamp) -> String {
    let written = events.iter().map(|event| {
        let kind = if event.worked { "worked" } else { "off" };
        CalendarEvent {
            uid: format!("{}-{}-{kind}@perezvon", event.from, event.to),
            summary: event.summary.clone(),
            description: String::new(),
            start: EventTime::Day(event.from),
            end: EventTime::Day(days_after(event.to, 1)),
            worked: event.worked,
        }
    });
    write_calendar(name, written, made_at)
}

/// The days off of a file, and the events that are none.
///
/// # Errors
/// The file is no calendar, or too large: a sentence in Russian.
pub fn read_ics(text: &str) -> Result<(Vec<IcsEvent>, Vec<IcsMistake>), String> {
    let no_calendar = || "Это не календарь: нужен файл .ics со строками BEGIN:VCALENDAR и END:VCALENDAR.".to_owned();
    if text.len() > LARGEST_ICS {
        return Err("Файл больше 1 МБ. Выгрузите календарь за один год.".to_owned());
    }
    let text = text.trim_start_matches('\u{feff}');
    let unfolded = unfold(text);
    let starts = beginnings(&unfolded).ok_or_else(no_calendar)?;
    if starts.len() > MOST_EVENTS {
        return Err(format!("В файле больше {MOST_EVENTS} событий. Выгрузите календарь за один год."));
    }
    let roots = read_components(unfolded.trim()).map_err(|_| no_calendar())?;
    if !roots.first().is_some_and(|root| root.name.as_str().eq_ignore_ascii_case("VCALENDAR")) {
        return Err(no_calendar());
    }
    let mut found = Vec::new();
    for root in &roots {
        events_of(root, &mut found);
    }
    // A line that begins with a space goes on with the one before it.
    let whole = |(_, line): &(usize, &str)| !line.starts_with([' ', '\t']);
    let numbers: Vec<usize> = text.lines().enumerate().filter(whole).map(|(at, _)| at + 1).collect();
    let line_of = |event: usize| starts.get(event).and_then(|start| numbers.get(*start)).copied().unwrap_or(0);
    let (mut events, mut mistakes) = (Vec::new(), Vec::new());
    for (at, event) in found.into_iter().enumerate() {
        match read_event(event) {
            Ok(event) => events.push(event),
            Err(problem) => mistakes.push(IcsMistake { line: line_of(at), problem }),
        }
    }
    Ok((events, mistakes))
}

/// The lines of the unfolded text on which events begin, from 0. `None`: the parts do not nest as in a calendar, and deep
/// nests are not read at all, for the parser calls itself for each.
fn beginnings(text: &str) -> Option<Vec<usize>> {
    const DEEPEST: usize = 8;
    let (mut depth, mut starts) = (0_usize, Vec::new());
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("BEGIN")) {
            depth += 1;
            if depth > DEEPEST {
                return None;
            }
            if line[5..].trim_start_matches(':').trim().eq_ignore_ascii_case("VEVENT") {
                starts.push(at);
            }
        } else if line.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("END")) {
            depth = depth.checked_sub(1)?;
        }
    }
    (depth == 0).then_some(starts)
}

fn events_of<'c, 't>(part: &'c Component<'t>, found: &mut Vec<&'c Component<'t>>) {
    if part.name.as_str().eq_ignore_ascii_case("VEVENT") {
        found.push(part);
    }
    for inner in &part.components {
        events_of(inner, found);
    }
}

fn read_event(event: &Component<'_>) -> Result<IcsEvent, String> {
    let property = |name: &str| event.properties.iter().find(|it| it.name.as_str().eq_ignore_ascii_case(name));
    let summary = property("SUMMARY").map_or(String::new(), |it| one_line(it.val.as_str()));
    let named = |what: &str| match summary.as_str() {
        "" => format!("событие без названия {what}"),
        summary => format!("«{summary}» {what}"),
    };
    if property(WORKED).is_some() {
        return Err(named("— рабочий день из нашей же выгрузки"));
    }
    if ["RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"].into_iter().any(|name| property(name).is_some()) {
        return Err(named("повторяется. Внесите каждую дату отдельно"));
    }
    if property("STATUS").is_some_and(|it| it.val.as_str().eq_ignore_ascii_case("CANCELLED")) {
        return Err(named("отменено"));
    }
    let start = property("DTSTART").ok_or_else(|| named("не имеет даты"))?;
    let from = whole_day(start).ok_or_else(|| named("не на весь день. Загружаются только события на весь день"))?;
    let to = match (property("DTEND"), property("DURATION")) {
        // The end of an event is the first date after it.
        (Some(end), _) => days_after(whole_day(end).ok_or_else(|| named("кончается не в полночь"))?, -1),
        (None, Some(length)) => {
            let days = days_of(length.val.as_str()).ok_or_else(|| named("длится не целое число дней"))?;
            days_after(from, days - 1)
        }
        (None, None) => from,
    };
    // Some programs write the same date twice for one day.
    let to = to.max(days_after(from, if to == days_after(from, -1) { 0 } else { -1 }));
    if to < from {
        return Err(named("кончается раньше, чем начинается"));
    }
    if days_after(from, LONGEST_EVENT_DAYS - 1) < to {
        return Err(named("длиннее года"));
    }
    Ok(IcsEvent { from, to, summary, worked: false })
}

/// `20261104`, by its type or by its shape.
fn whole_day(property: &Property<'_>) -> Option<Date> {
    let text = property.val.as_str().trim();
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok()
}

/// `P3D`, `P1W`.
fn days_of(length: &str) -> Option<i32> {
    let rest = length.trim().strip_prefix('P')?;
    let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
    let number: i32 = number.parse().ok().filter(|number| (1..=LONGEST_EVENT_DAYS).contains(number))?;
    match unit {
        "D" => Some(number),
        "W" => Some(number * 7),
        _ => None,
    }
}

/// Without line ends and other characters that nobody sees, and of bounded length.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    words.join(" ").chars().take(LONGEST_SUMMARY).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn file(events: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{events}END:VCALENDAR\r\n")
            .replace('\n', "\r\n")
            .replace("\r\r", "\r")
    }

    /// Threat: a reason or the name of the school begins a line of its own in everybody's calendar, by a carriage return that the
    /// library leaves as it is.
    #[test]
    fn text_of_a_calendar_stays_in_its_property() {
        let day = date("2026-12-03");
        let summary = "Ремонт\r\nATTENDEE:x@evil.example\rBEGIN:VALARM\u{202e}; зал, столовая".to_owned();
        let text = write_ics(
            "Школа\rX-EVIL:1",
            &[IcsEvent { from: day, to: day, summary, worked: false }],
            Timestamp::UNIX_EPOCH,
        );
        let unfolded = text.replace("\r\n ", "");
        let lines: Vec<&str> = unfolded.split("\r\n").collect();
        assert!(!unfolded.replace("\r\n", "").contains(['\r', '\n', '\u{202e}']), "{unfolded:?}");
        assert!(
            lines.contains(&"SUMMARY:Ремонт\\nATTENDEE:x@evil.exampleBEGIN:VALARM\\; зал\\, столовая"),
            "{lines:#?}"
        );
        assert!(lines.contains(&"NAME:ШколаX-EVIL:1"), "{lines:#?}");
    }

    /// The schedule for everybody and the days off had a writer each, with different heads.
    #[test]
    fn one_writer_writes_days_and_instants() {
        let instant = |text: &str| text.parse().expect("an instant");
        let event = |start, end| CalendarEvent {
            uid: "1@school".to_owned(),
            summary: "Родителям".to_owned(),
            description: String::new(),
            start,
            end,
            worked: false,
        };
        let events = [
            event(EventTime::Day(date("2026-11-04")), EventTime::Day(date("2026-11-05"))),
            event(
                EventTime::Instant(instant("2026-11-23T06:00:00Z")),
                EventTime::Instant(instant("2026-11-23T15:00:00Z")),
            ),
        ];
        let text = write_calendar("Школа", events, instant("2026-11-22T10:00:00Z"));
        for line in [
            "PRODID:-//Perezvon//RU",
            "DTSTART;VALUE=DATE:20261104",
            "DTSTART:20261123T060000Z",
            "DTEND:20261123T150000Z",
            "DTSTAMP:20261122T100000Z",
            "UID:1@school",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }

    #[test]
    fn parts_that_nest_deeply_are_refused_however_their_lines_are_folded() {
        for fold in ["", "\r\n ", "\r\n\t", "\n ", "\n\t"] {
            let (begin, end) = (format!("BEG{fold}IN:A\r\n"), format!("EN{fold}D:A\r\n"));
            let deep = format!("BEGIN:VCALENDAR\r\n{}{}END:VCALENDAR\r\n", begin.repeat(3_000), end.repeat(3_000));
            assert!(read_ics(&deep).unwrap_err().contains("Это не календарь"), "{fold:?}");
        }
        let event = "BEGIN:VE\r\n VENT\r\nDTSTART:20261104\r\nEND:VEVENT\r\n".repeat(MOST_EVENTS + 1);
        let many = format!("BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n");
        assert!(read_ics(&many).unwrap_err().contains("больше"), "folded events are counted too");
    }

    #[test]
    fn what_is_written_reads_back_but_for_worked_days() {
        let day = |from: &str, to: &str, summary: &str, worked| IcsEvent {
            from: date(from),
            to: date(to),
            summary: summary.to_owned(),
            worked,
        };
        let off = day(
            "2026-12-31",
            "2027-01-11",
            "Новый год; каникулы, \"ёлка\" и очень длинное название, которое не помещается в строку",
            false,
        );
        let events = [off.clone(), day("2027-02-20", "2027-02-20", "Рабочий день", true)];
        let text = write_ics("Перезвон", &events, "2026-11-22T10:00:00Z".parse().expect("an instant"));
        assert!(text.contains("DTSTART;VALUE=DATE:20261231") && text.contains("DTEND;VALUE=DATE:20270112"), "{text}");
        assert!(text.contains("DTSTAMP:20261122T100000Z"), "{text}");
        let (read, refused) = read_ics(&text).expect("a calendar");
        assert_eq!(read, [off]);
        assert_eq!(refused.len(), 1);
        assert!(refused[0].problem.contains("рабочий день из нашей же выгрузки"), "{refused:?}");
    }

    /// Threat: a file of somebody else brings a character in that no database keeps, and no call of that day is decided.
    #[test]
    fn no_control_character_comes_out_of_a_file() {
        let (events, _) = read_ics(&file(
            "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261104\nSUMMARY:День\u{0} на\u{1b}родного\u{85}единства\nEND:VEVENT\n",
        ))
        .unwrap();
        assert_eq!(events[0].summary, "День на родного единства");
    }

    #[test]
    fn timed_and_recurring_events_are_refused_with_their_line() {
        let text = file(
            "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261104\nSUMMARY:День народного\n  единства\nEND:VEVENT\n\
             BEGIN:VEVENT\nDTSTART:20261105T090000Z\nSUMMARY:Совещание\nEND:VEVENT\n\
             BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261106\nRRULE:FREQ=YEARLY\nSUMMARY:Каждый год\nEND:VEVENT\n\
             BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261109\nDURATION:P2D\nEND:VEVENT\n",
        );
        let (read, refused) = read_ics(&text).expect("a calendar");
        assert_eq!(read[0].summary, "День народного единства");
        assert_eq!((read[1].from, read[1].to), (date("2026-11-09"), date("2026-11-10")));
        let told: Vec<_> = refused.iter().map(|it| (it.line, it.problem.as_str())).collect();
        assert_eq!(
            told,
            [
                (9, "«Совещание» не на весь день. Загружаются только события на весь день"),
                (13, "«Каждый год» повторяется. Внесите каждую дату отдельно"),
            ]
        );
    }

    #[test]
    fn what_is_no_calendar_is_told_and_nothing_deep_or_large_is_read() {
        for text in ["", "привет", "BEGIN:VCALENDAR\nEND:VEVENT\nEND:VEVENT", "BEGIN:VEVENT\nEND:VEVENT\n", "%PDF-1.7"]
        {
            assert!(read_ics(text).unwrap_err().starts_with("Это не календарь"), "{text}");
        }
        let deep = "BEGIN:A\n".repeat(100_000);
        assert!(read_ics(&deep).is_err());
        let many = file(&"BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261104\nEND:VEVENT\n".repeat(MOST_EVENTS + 1));
        assert!(read_ics(&many).unwrap_err().contains("больше 1000 событий"));
        assert!(read_ics(&"x".repeat(LARGEST_ICS + 1)).unwrap_err().contains("1 МБ"));
    }
}
