//! Truths about any calendar: any zone, any week, any instant.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::hours::WEEKDAYS;
use super::{Calendar, Closure, Hours, Period, TimeState, WorkingHours};
use crate::time::{SignedDuration, Timestamp, from_millisecond};

/// Zones with changes by an hour, by half an hour, at midnight, over midnight, by a whole day, and with none.
const ZONES: [&str; 16] = [
    "Europe/Moscow",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Almaty",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Atlantic/Azores",
    "UTC",
];

const HOUR_MS: i64 = 3_600_000;

/// Quarters of hours, so that midnight, touching and overlapping intervals are common.
fn intervals() -> impl Strategy<Value = Vec<String>> {
    let interval = (0_u16..96, 1_u16..=96).prop_map(|(start, length)| {
        let end = (start + length).min(96);
        format!("{:02}:{:02}-{:02}:{:02}", start / 4, start % 4 * 15, end / 4, end % 4 * 15)
    });
    prop::collection::vec(interval, 0..3)
}

fn hours() -> impl Strategy<Value = Value> {
    let week = prop::collection::vec(intervals(), 7);
    let sets = prop::sample::select(vec![json!([]), json!(["ru"]), json!(["ru", "ru-ce"])]);
    (prop::sample::select(ZONES.to_vec()), week, sets, 0_u16..300).prop_map(|(zone, week, sets, minutes)| {
        let week: serde_json::Map<String, Value> =
            WEEKDAYS.into_iter().zip(week).map(|(day, intervals)| (day.to_owned(), json!(intervals))).collect();
        let short = match minutes {
            0 => json!({"policy": "ignore"}),
            minutes => json!({"policy": "close_early", "minutes": minutes}),
        };
        json!({"timezone": zone, "week": week, "holidays": sets, "short_days": short})
    })
}

fn calendar() -> impl Strategy<Value = Calendar> {
    hours().prop_map(|hours| Calendar::new(Hours::from_json(&hours).expect("good hours")))
}

/// Any time of 2007 to 2030 by the millisecond, or near a change of the clocks of one of the zones.
fn instant() -> impl Strategy<Value = Timestamp> {
    let any = (1_167_609_600_000_i64..1_924_992_000_000).prop_map(from_millisecond);
    let near_a_change =
        (prop::sample::select(ZONES.to_vec()), 0_usize..40, -100_i64..100).prop_map(|(zone, skip, quarters)| {
            let zone = crate::time::TimeZone::get(zone).expect("a zone");
            let start = from_millisecond(1_167_609_600_000);
            let change = zone.following(start).take(skip + 1).last().map_or(start, |change| change.timestamp());
            change + SignedDuration::from_mins(15 * quarters)
        });
    prop_oneof![any, near_a_change]
}

fn later(at: Timestamp, ms: i64) -> Timestamp {
    from_millisecond(at.as_millisecond() + ms)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_opening_is_open_and_nothing_open_lies_before_it(calendar in calendar(), at in instant()) {
        let answer = calendar.answer(at);
        let closed_from = answer.current_period.map_or(at, |period| period.end);
        if let Some(next) = answer.next_period {
            prop_assert!(next.start > at && next.start > closed_from - SignedDuration::from_nanos(1));
            prop_assert!(calendar.is_open(next.start) && !calendar.is_open(later(next.start, -1)));
            prop_assert!(!calendar.is_open(next.end) && calendar.is_open(later(next.end, -1)));
            prop_assert_eq!(calendar.period_at(next.start), Some(next));
            let mut between = closed_from;
            while between < next.start && between < later(closed_from, 8 * 24 * HOUR_MS) {
                prop_assert!(!calendar.is_open(between), "{}", between);
                between = later(between, HOUR_MS / 4);
            }
        }
    }

    #[test]
    fn the_parts_of_an_answer_agree(calendar in calendar(), at in instant()) {
        let answer = calendar.answer(at);
        prop_assert_eq!(answer.open, calendar.is_open(at));
        prop_assert_eq!(answer.open, answer.time_state == TimeState::Open);
        prop_assert_eq!(answer.open, answer.current_period.is_some_and(|period| period.contains(at)));
        let first = if answer.open { Some(at) } else { answer.next_period.map(|period| period.start) };
        prop_assert_eq!(calendar.first_working_instant(at), first);
    }

    #[test]
    fn a_period_looks_the_same_from_everywhere_inside(calendar in calendar(), at in instant(), part in 0_i64..1000) {
        if let Some(period) = calendar.next_period(at) {
            let length = period.end.as_millisecond() - period.start.as_millisecond();
            let inside = later(period.start, length / 1000 * part);
            // A period of years is cut 400 days away, so it looks different from its middle.
            if length < 300 * 24 * HOUR_MS {
                prop_assert_eq!(calendar.period_at(inside), Some(period));
            }
        }
    }

    #[test]
    fn a_term_ends_inside_a_period_after_just_that_much_working_time(calendar in calendar(), at in instant(), ms in 0_u64..400_000_000) {
        let due = calendar.due_after_hours(at, WorkingHours::from_milliseconds(ms));
        let longer = calendar.due_after_hours(at, WorkingHours::from_milliseconds(ms + 1));
        prop_assert_eq!(due.is_some(), calendar.first_working_instant(at).is_some());
        if let (Some(due), Some(longer)) = (due, longer) {
            prop_assert!(calendar.is_open(due) || calendar.is_open(later(due, -1)), "{}", due);
            prop_assert!(due < longer);
            prop_assert_eq!(calendar.working_ms_between(at, due), ms as i64);
        }
    }

    #[test]
    fn more_working_days_are_never_due_earlier(calendar in calendar(), at in instant(), days in 0_u32..40) {
        let dues = (calendar.due_after_working_days(at, days), calendar.due_after_working_days(at, days + 1));
        if let (Some(due), Some(longer)) = dues {
            prop_assert!(due <= longer, "{} {}", due, longer);
            prop_assert!(calendar.is_open(later(due, -1)), "{}", due);
        }
    }

    #[test]
    fn working_time_adds_up(calendar in calendar(), mut ends in prop::collection::vec(instant(), 3)) {
        ends.sort();
        let parts = calendar.working_ms_between(ends[0], ends[1]) + calendar.working_ms_between(ends[1], ends[2]);
        prop_assert_eq!(parts, calendar.working_ms_between(ends[0], ends[2]));
        prop_assert_eq!(calendar.working_ms_between(ends[2], ends[0]), 0);
    }

    #[test]
    fn nothing_is_open_in_a_closure_and_its_end_belongs_to_the_open_time_again(
        hours in hours(), at in instant(), cuts in prop::collection::vec((-300_i64..300, 1_i64..300), 1..4)
    ) {
        let quarter = HOUR_MS / 4;
        let hours = Hours::from_json(&hours).expect("good hours");
        let closures: Vec<Closure> = cuts.iter().map(|(start, length)| {
            let start = later(at, start * quarter);
            Closure { period: Period { start, end: later(start, length * quarter) }, reason: String::new() }
        }).collect();
        let cut = Calendar::with_closures(hours.clone(), closures.clone());
        let whole = Calendar::new(hours);
        prop_assert_ne!(cut.version(), whole.version());
        let closed = |at| closures.iter().any(|closure| closure.period.contains(at));
        for step in -400..400 {
            let at = later(at, step * quarter + 1);
            let answer = cut.answer(at);
            prop_assert_eq!(answer.open, whole.is_open(at) && !closed(at), "{}", at);
            prop_assert_eq!(answer.open, cut.is_open(at));
            prop_assert_eq!(answer.time_state == TimeState::ClosedNow, whole.is_open(at) && closed(at));
            prop_assert_eq!(cut.closure_at(at).is_some(), closed(at));
        }
        let answer = cut.answer(at);
        if let Some(next) = answer.next_period {
            prop_assert!(!closed(next.start) && cut.is_open(next.start) && !cut.is_open(later(next.start, -1)));
            prop_assert!(!cut.is_open(next.end));
            prop_assert_eq!(cut.period_at(next.start), Some(next));
        }
        for closure in &closures {
            let end = closure.period.end;
            prop_assert_eq!(cut.is_open(end), whole.is_open(end) && !closed(end));
        }
        if let Some(due) = cut.due_after_hours(at, WorkingHours::from_milliseconds(90 * 60_000)) {
            prop_assert!(!closed(later(due, -1)), "{}", due);
            prop_assert_eq!(cut.working_ms_between(at, due), 90 * 60_000);
        }
    }

    #[test]
    fn no_instant_is_too_extreme(calendar in calendar(), ms in any::<i64>()) {
        let at = from_millisecond(ms);
        let answer = calendar.answer(at);
        prop_assert_eq!(answer.open, calendar.is_open(at));
        let _ = (calendar.due_after_hours(at, WorkingHours::from_hours(9)), calendar.due_after_working_days(at, 9));
        let _ = (calendar.warnings(at), calendar.working_ms_between(at, later(at, 1000 * HOUR_MS)));
    }
}
