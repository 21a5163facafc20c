//! The school's hours once more, in the simplest way there is: Moscow is three hours ahead of UTC, working days are Monday
//! to Friday from 9:00 to 18:00, and the days off of 2026 are written out below.

use perezvon::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const MOSCOW_MS: i64 = 3 * HOUR_MS;
const OPENS_MS: i64 = 9 * HOUR_MS;
const CLOSES_MS: i64 = 18 * HOUR_MS;

/// Month and day of what is not worked in 2026, of Russia and of the Chechen Republic, beside Saturdays and Sundays.
const DAYS_OFF_2026: [(i8, i8); 26] = [
    (1, 1),
    (1, 2),
    (1, 5),
    (1, 6),
    (1, 7),
    (1, 8),
    (1, 9),
    (2, 23),
    (3, 9),
    (3, 19),
    (3, 20),
    (3, 23),
    (4, 16),
    (5, 1),
    (5, 11),
    (5, 27),
    (5, 28),
    (5, 29),
    (6, 12),
    (11, 4),
    (12, 31),
    // They fall on days that are free anyway.
    (1, 3),
    (1, 4),
    (3, 8),
    (3, 21),
    (5, 9),
];

/// The same of the beginning of 2027, as far as promises of 2026 reach.
const DAYS_OFF_2027: [(i8, i8); 6] = [(1, 1), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8)];

/// Days since 1970 in Moscow, and milliseconds of that day.
fn local(at: Timestamp) -> (i64, i64) {
    let local_ms = at.as_millisecond() + MOSCOW_MS;
    (local_ms.div_euclid(DAY_MS), local_ms.rem_euclid(DAY_MS))
}

fn instant(day: i64, ms: i64) -> Timestamp {
    Timestamp::from_millisecond(day * DAY_MS + ms - MOSCOW_MS).expect("an instant of this century")
}

fn is_worked(day: i64) -> bool {
    // 1 January 1970 was a Thursday.
    let is_weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
    let date = instant(day, 12 * HOUR_MS).to_zoned(perezvon::time::TimeZone::UTC).date();
    let days_off: &[(i8, i8)] = match date.year() {
        2026 => &DAYS_OFF_2026,
        2027 => &DAYS_OFF_2027,
        year => panic!("{year} is not simulated"),
    };
    !is_weekend && !days_off.contains(&(date.month(), date.day()))
}

pub fn is_open(at: Timestamp) -> bool {
    let (day, ms) = local(at);
    is_worked(day) && (OPENS_MS..CLOSES_MS).contains(&ms)
}

/// The next instant at which the school opens, after this one.
pub fn next_opening(at: Timestamp) -> Timestamp {
    let (day, ms) = local(at);
    let first = if ms < OPENS_MS { day } else { day + 1 };
    let worked = (first..).find(|day| is_worked(*day)).expect("somebody works some day");
    instant(worked, OPENS_MS)
}

/// The end of the working period in which a caller of this instant must be called back: the present one while open, else
/// the next one.
pub fn due_at(at: Timestamp) -> Timestamp {
    let opening = if is_open(at) { at } else { next_opening(at) };
    instant(local(opening).0, CLOSES_MS)
}

/// How much is called in this hour of the day.
pub fn load(at: Timestamp) -> u64 {
    let (day, ms) = local(at);
    let of_hour = match ms / HOUR_MS {
        0..=5 => 3,
        6..=7 => 20,
        8..=11 => 100,
        12..=17 => 80,
        18..=20 => 60,
        _ => 20,
    };
    if is_worked(day) { of_hour } else { of_hour / 4 + 1 }
}

#[test]
fn simple_calendar_knows_the_holidays() {
    use crate::harness::at;
    for (text, due) in [
        ("2026-01-01T10:00:00+03:00", "2026-01-12T18:00:00+03:00"),
        ("2026-03-18T17:59:59+03:00", "2026-03-18T18:00:00+03:00"),
        ("2026-03-18T18:00:00+03:00", "2026-03-24T18:00:00+03:00"),
        ("2026-05-26T20:00:00+03:00", "2026-06-01T18:00:00+03:00"),
        ("2026-12-30T19:00:00+03:00", "2027-01-11T18:00:00+03:00"),
        ("2026-11-23T08:59:59+03:00", "2026-11-23T18:00:00+03:00"),
    ] {
        assert_eq!(due_at(at(text)), at(due), "{text}");
    }
}
