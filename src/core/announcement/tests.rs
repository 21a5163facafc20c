use serde_json::json;

use super::*;
use crate::core::calendar::{Calendar, Closure, Hours};
use crate::core::line::LineId;
use crate::time::{SignedDuration, elapsed_ms};

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn with_hours(hours: serde_json::Value) -> Line {
    let calendar = Calendar::new(Hours::from_json(&hours).expect("good hours"));
    Line::new(LineId::new("parents"), None, "Родители", calendar)
}

fn school() -> Line {
    Line::new(LineId::new("parents"), None, "Родители", Calendar::new(Hours::default()))
}

fn recording(line: Line, kind: GreetingKind) -> Line {
    let mut line = line;
    line.greetings.insert(kind, Recorded { name: kind.as_str().into(), length_ms: 9_000 });
    line
}

/// The pieces as a line of text: files of words, `[names]` of recordings; no pauses.
fn said(greeting: &[Sentence]) -> String {
    let names = greeting.iter().flatten().filter_map(|piece| match piece {
        Piece::Word(word) => Some(word.file().trim_start_matches("digits/").to_owned()),
        Piece::Recorded(recorded) => Some(format!("[{}]", recorded.name)),
        Piece::Pause(_) => None,
    });
    names.collect::<Vec<_>>().join(" ")
}

fn closed(line: &Line, at: &str) -> String {
    said(&greeting(line, Reason::Closed, instant(at)))
}

fn busy(line: &Line, at: &str) -> String {
    said(&greeting(line, Reason::Busy, instant(at)))
}

/// What is said of the callback where the school recorded nothing.
fn date(line: &Line, at: &str) -> String {
    let whole = closed(line, at);
    let date = whole.strip_prefix("hello vm-nobodyavail").and_then(|rest| rest.strip_suffix("vm-intro")).expect(&whole);
    date.trim().trim_start_matches("unidentified-no-callback").trim().to_owned()
}

#[test]
fn after_hours_the_day_of_the_callback_is_told_between_the_sentences() {
    assert_eq!(
        closed(&school(), "2026-11-20T19:30:00+03:00"),
        "hello vm-nobodyavail unidentified-no-callback day-1 20 h-3 mon-10 vm-intro"
    );
}

#[test]
fn the_next_day_is_called_tomorrow_and_the_same_day_today() {
    let school = school();
    assert_eq!(date(&school, "2026-11-23T18:00:00+03:00"), "tomorrow day-2 20 h-4 mon-10");
    assert_eq!(date(&school, "2026-11-23T00:00:00+03:00"), "today day-1 20 h-3 mon-10");
    assert_eq!(date(&school, "2026-11-22T23:59:59.999+03:00"), "tomorrow day-1 20 h-3 mon-10");
    assert_eq!(date(&school, "2026-11-21T23:59:59.999+03:00"), "day-1 20 h-3 mon-10");
}

#[test]
fn the_last_moment_before_the_opening_promises_the_same_period_as_the_first_one_after() {
    let school = school();
    assert_eq!(date(&school, "2026-11-23T08:59:59.999+03:00"), "today day-1 20 h-3 mon-10");
    // Called a second before nine, played a second after: the period has begun, and the next day would be wrong.
    for at in ["2026-11-23T09:00:00+03:00", "2026-11-23T09:00:01+03:00", "2026-11-23T17:30:00+03:00"] {
        assert_eq!(date(&school, at), "today", "{at}");
    }
}

#[test]
fn nobody_promises_today_in_the_last_half_hour_nor_after_telephones_that_rang_until_the_line_closed() {
    let school = school();
    let in_hours = "hello vm-nobodyavail unidentified-no-callback today vm-intro";
    assert_eq!(busy(&school, "2026-11-23T09:00:00+03:00"), in_hours);
    assert_eq!(busy(&school, "2026-11-23T17:30:00+03:00"), in_hours);
    assert_eq!(
        busy(&school, "2026-11-23T17:30:00.001+03:00"),
        "hello vm-nobodyavail vm-intro",
        "no word of today any more"
    );
    for at in ["2026-11-23T17:59:59.999+03:00", "2026-11-23T18:00:00+03:00"] {
        assert_eq!(busy(&school, at), "hello vm-nobodyavail vm-intro", "{at}");
    }
}

#[test]
fn the_promise_told_is_the_promise_that_a_call_at_this_instant_stores() {
    let school = school();
    let mut at = instant("2026-11-01T00:00:00+03:00");
    while at < instant("2027-01-20T00:00:00+03:00") {
        let decision = Decision::at(&school, at);
        let promise = decision.promise.expect("hours ahead");
        let day = promise.start.to_zoned(school.calendar.time_zone().clone()).date();
        let told = said(&greeting(&school, Reason::Closed, at));
        let month = Word::OfMonth(small(day.month())).file().replace("digits/", "");
        match decision.open {
            true => assert_eq!(told.contains("today"), elapsed_ms(at, promise.end) >= 30 * 60 * 1_000, "{at} {told}"),
            false => assert!(told.contains(&month), "{at} {told}"),
        }
        at += SignedDuration::from_mins(47);
    }
}

#[test]
fn holidays_lead_to_the_first_working_day_after_them() {
    let school = school();
    assert_eq!(date(&school, "2027-01-01T12:00:00+03:00"), "day-1 11 mon-0".replace("11", "h-11"));
    let recorded = recording(recording(school, GreetingKind::Holiday), GreetingKind::Closed);
    assert_eq!(closed(&recorded, "2027-01-01T12:00:00+03:00"), "[holiday] unidentified-no-callback day-1 h-11 mon-0");
}

#[test]
fn every_day_of_a_month_has_its_ordinal() {
    let open = with_hours(json!({"week": {"mon": ["09:00-18:00"], "tue": ["09:00-18:00"], "wed": ["09:00-18:00"],
        "thu": ["09:00-18:00"], "fri": ["09:00-18:00"], "sat": ["09:00-18:00"], "sun": ["09:00-18:00"]}, "holidays": []}));
    for (day, words) in [
        ("01", "h-1"),
        ("02", "h-2"),
        ("10", "h-10"),
        ("11", "h-11"),
        ("19", "h-19"),
        ("20", "h-20"),
        ("21", "20 h-1"),
        ("29", "20 h-9"),
        ("30", "h-30"),
        ("31", "30 h-1"),
    ] {
        let told = date(&open, &format!("2026-08-{day}T03:00:00+03:00"));
        assert!(told.ends_with(&format!(" {words} mon-7")), "{day}: {told}");
    }
}

#[test]
fn every_weekday_and_every_month_has_its_own_word() {
    let days: Vec<_> = wording::WEEK.into_iter().map(|day| Word::Weekday(day).file().into_owned()).collect();
    assert_eq!(days.join(" ").replace("digits/day-", ""), "1 2 3 4 5 6 0");
    let open = with_hours(json!({"week": {"wed": ["09:00-18:00"], "sun": ["09:00-18:00"]}, "holidays": []}));
    assert_eq!(date(&open, "2026-11-24T03:00:00+03:00"), "tomorrow day-3 20 h-5 mon-10");
    assert_eq!(date(&open, "2026-11-29T03:00:00+03:00"), "today day-0 20 h-9 mon-10");
    for (month, word) in [("01", "mon-0"), ("06", "mon-5"), ("12", "mon-11")] {
        let told = date(&open, &format!("2026-{month}-10T03:00:00+03:00"));
        assert!(told.ends_with(&format!(" {word}")), "{month}: {told}");
    }
}

#[test]
fn the_day_is_that_of_the_lines_own_zone() {
    let far = with_hours(json!({"timezone": "Asia/Vladivostok", "week": {"mon": ["09:00-18:00"]}, "holidays": []}));
    assert_eq!(date(&far, "2026-11-22T17:00:00+03:00"), "today day-1 20 h-3 mon-10");
}

#[test]
fn a_break_is_followed_by_the_same_day() {
    let lunch = with_hours(json!({"week": {"mon": ["09:00-13:00", "14:00-18:00"]}, "holidays": []}));
    assert_eq!(date(&lunch, "2026-11-23T13:00:00+03:00"), "today day-1 20 h-3 mon-10");
}

#[test]
fn a_line_without_hours_ahead_promises_no_date() {
    let never = with_hours(json!({"week": {}, "holidays": []}));
    assert_eq!(closed(&never, "2026-11-23T12:00:00+03:00"), "hello vm-nobodyavail vm-intro");
    assert_eq!(busy(&never, "2026-11-23T12:00:00+03:00"), "hello vm-nobodyavail vm-intro");
    let recorded = recording(never, GreetingKind::Closed);
    assert_eq!(closed(&recorded, "2026-11-23T12:00:00+03:00"), "[closed]");
}

#[test]
fn a_line_closed_for_a_while_promises_what_comes_after() {
    let (start, end) = (instant("2026-11-23T10:00:00+03:00"), instant("2026-11-24T12:30:00+03:00"));
    let closure = Closure { period: Period { start, end }, reason: String::new() };
    let calendar = Calendar::with_closures(Hours::default(), vec![closure]);
    let line = Line::new(LineId::new("parents"), None, "Родители", calendar);
    assert_eq!(date(&line, "2026-11-23T11:00:00+03:00"), "tomorrow day-2 20 h-4 mon-10");
}

#[test]
fn the_schools_own_recording_comes_first_and_the_date_after_it() {
    let line = recording(recording(school(), GreetingKind::Closed), GreetingKind::Busy);
    assert_eq!(closed(&line, "2026-11-20T19:30:00+03:00"), "[closed] unidentified-no-callback day-1 20 h-3 mon-10");
    assert_eq!(busy(&line, "2026-11-23T10:00:00+03:00"), "[busy]", "it says «сегодня» itself");
    assert_eq!(closed(&line, "2026-11-23T10:00:00+03:00"), "[busy]", "nobody to be rung in working time");
    assert_eq!(busy(&line, "2026-11-23T17:45:00+03:00"), "hello vm-nobodyavail vm-intro", "it would say «сегодня»");
    let line = recording(line, GreetingKind::BusyLate);
    assert_eq!(busy(&line, "2026-11-23T17:45:00+03:00"), "[busy-late]");
    assert_eq!(busy(&line, "2026-11-23T18:00:01+03:00"), "[busy-late]", "the telephones rang until the line closed");
}

#[test]
fn whatever_is_said_is_among_all_words() {
    let line = school();
    let all: Vec<Word> = Word::all().collect();
    for hours in 0..24 * 400 {
        let at = instant("2026-01-01T00:30:00Z") + SignedDuration::from_hours(hours);
        for piece in spoken(&greeting(&line, Reason::Closed, at)) {
            let Piece::Word(word) = piece else { continue };
            assert!(all.contains(&word), "{at}: {word:?}");
        }
    }
}

#[test]
fn the_words_of_the_reasons_read_back() {
    for reason in [Reason::Closed, Reason::Busy] {
        assert_eq!(reason.as_str().parse(), Ok(reason));
    }
    assert_eq!("".parse::<Reason>(), Err(()));
}
