//! The schedule for programs: JSON for a widget on the school's site, iCalendar for anybody's calendar.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::super::{AnyQuery, query};
use super::documents::{Which, answer};
use super::{BRIEFLY, FOR_OTHER_SITES, heading, told};
use crate::core::calendar::{CalendarEvent, EventTime, write_calendar};
use crate::core::line::{Line, LineId};
use crate::core::timetable::{self, DayToCome, Span, usual_hours};
use crate::time::{TimeZone, Timestamp, ToSpan, Weekday};
use crate::web::House;

const DAYS: i32 = 60;
const YEAR_DAYS: i64 = 365;

/// `/schedule.json`. Anybody's script may read it. Instants are RFC 3339 with the offset of the line's zone, hours
/// `09:00-18:00` by the clock on the wall, `24:00` the end of a day. Keys are only ever added.
#[derive(Serialize)]
struct Schedule {
    school: SchoolTold,
    /// Of the school, by its IANA name; a line may have its own.
    time_zone: String,
    /// When this was made of the data: it stays the same until they change.
    updated_at: String,
    /// In the order of the configuration.
    lines: Vec<LineTold>,
}

#[derive(Serialize)]
struct SchoolTold {
    name: String,
    site: Option<String>,
    regulation_url: Option<String>,
}

#[derive(Serialize)]
struct LineTold {
    id: String,
    title: String,
    /// «Родителям».
    heading: String,
    /// E.164, for `tel:`.
    number: Option<String>,
    /// `8 928 832-80-88`, for people.
    number_shown: Option<String>,
    email: Option<String>,
    time_zone: String,
    open_now: bool,
    /// When `open_now` turns; null where no working hours are known for 400 days.
    next_change_at: Option<String>,
    /// The next working period begins; later than now, though it be open.
    next_opening_at: Option<String>,
    /// «Ежедневно с 9:00 до 18:00, кроме выходных и праздничных дней».
    hours_in_words: String,
    /// The ordinary week, `mon` to `sun`.
    week: BTreeMap<&'static str, Vec<String>>,
    /// Today and the 59 dates after it.
    days: Vec<DayTold>,
}

#[derive(Serialize)]
struct DayTold {
    date: String,
    /// Empty on a day off.
    hours: Vec<String>,
    /// `workday`, `weekend`, `holiday`, … as everywhere in the API.
    rule: &'static str,
    /// Of the holiday, or the reason; may be empty.
    name: String,
    /// Not the hours of an ordinary week.
    exception: bool,
}

pub(super) async fn json(State(house): State<House>, headers: HeaderMap) -> Response {
    let schedule = answer(&house, Which::Json, &headers, "application/json", |lines, now| {
        let zone = lines.default_calendar().time_zone();
        let schedule = Schedule {
            school: SchoolTold {
                name: house.school.name.clone(),
                site: house.school.site.clone(),
                regulation_url: house.school.regulation_url.clone(),
            },
            time_zone: zone_name(zone),
            updated_at: instant(zone, now),
            lines: lines.iter().map(|line| line_told(line, now)).collect(),
        };
        Ok(serde_json::to_vec(&schedule).expect("texts, numbers and lists are JSON"))
    });
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, BRIEFLY), FOR_OTHER_SITES], schedule).into_response()
}

fn line_told(line: &Line, now: Timestamp) -> LineTold {
    let calendar = &line.calendar;
    let zone = calendar.time_zone();
    let answer = calendar.answer(now);
    let opens = answer.next_period.map(|period| period.start);
    let changes = answer.current_period.map(|period| period.end).or(opens);
    LineTold {
        id: line.id.to_string(),
        title: line.title.clone(),
        heading: heading(line),
        number: line.number.as_ref().map(|number| number.e164().to_owned()),
        number_shown: line.number.as_ref().map(|number| number.spaced()),
        email: line.email.clone(),
        time_zone: zone_name(zone),
        open_now: answer.open,
        next_change_at: changes.map(|at| instant(zone, at)),
        next_opening_at: opens.map(|at| instant(zone, at)),
        hours_in_words: told::in_words(calendar).replace('\u{a0}', " "),
        week: WEEK.map(|(name, day)| (name, written(&usual_hours(calendar, day)))).into(),
        days: timetable::days(calendar, now, DAYS).iter().map(day_told).collect(),
    }
}

const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn day_told(day: &DayToCome) -> DayTold {
    DayTold {
        date: day.date.to_string(),
        hours: written(&day.hours),
        rule: day.rule.as_str(),
        name: day.name.clone(),
        exception: !day.usual,
    }
}

fn written(hours: &[Span]) -> Vec<String> {
    let clock = |minute: &u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    hours.iter().map(|(from, until)| format!("{}-{}", clock(from), clock(until))).collect()
}

fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

fn instant(zone: &TimeZone, at: Timestamp) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Id of the only line; empty or unknown: all.
    line: String,
}

/// The working periods of today and the coming year, one event each. An event keeps its UID when its hours change.
pub(super) async fn ics(State(house): State<House>, wanted: AnyQuery<Wanted>, headers: HeaderMap) -> Response {
    let wanted = LineId::new(&query(wanted).line);
    let wanted = house.lines().get(&wanted).is_some().then_some(wanted);
    let calendar =
        answer(&house, Which::Ics(wanted.clone()), &headers, "text/calendar; charset=utf-8", |lines, now| {
            let host = url::Url::parse(&house.public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let host = host.unwrap_or_else(|| "perezvon".to_owned());
            let name = format!("Помощь по Школьному порталу: {}", house.school.name);
            let is_wanted = |line: &&Line| wanted.as_ref().is_none_or(|wanted| line.id == *wanted);
            let events = lines.iter().filter(is_wanted).flat_map(|line| events(line, &host, now));
            Ok(write_calendar(&name, events, now).into_bytes())
        });
    ([(CACHE_CONTROL, BRIEFLY), (ACCESS_CONTROL_ALLOW_ORIGIN, "*"), FOR_OTHER_SITES], calendar).into_response()
}

fn events(line: &Line, host: &str, now: Timestamp) -> Vec<CalendarEvent> {
    let zone = line.calendar.time_zone();
    let today = line.calendar.local_date(now);
    let until = now.checked_add((YEAR_DAYS * 24).hours()).unwrap_or(now);
    let from = today.to_zoned(zone.clone()).map_or(now, |midnight| midnight.timestamp());
    let number = line.number.as_ref().map(|number| number.spaced());
    let summary = [Some(heading(line)), number].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let mut before = None;
    let mut place = 0;
    let event = |period: crate::core::calendar::Period| {
        let date = line.calendar.local_date(period.start);
        place = if before == Some(date) { place + 1 } else { 1 };
        before = Some(date);
        CalendarEvent {
            uid: format!("{}-{date}-{place}@{host}", line.id),
            summary: summary.clone(),
            description: line.email.clone().unwrap_or_default(),
            start: EventTime::Instant(period.start),
            end: EventTime::Instant(period.end),
            worked: false,
        }
    };
    timetable::periods(&line.calendar, from, until).into_iter().map(event).collect()
}
