//! The list on paper: A4, 14 callbacks on a sheet, for days without internet and for those who like a pencil.

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::desk::parts;
use super::frame::{Frame, Here};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::{Wall, counted, length, short_weekday};
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::callback::{Channel, State as Standing};
use crate::core::line::{Line, LineId, Lines};
use crate::recordings::LEAST_SPEECH_MS;
use crate::store::{AuditEntry, CallbackView, DeskFilter, VoicemailState};
use crate::time::Timestamp;
use crate::web::House;

/// Rows on one sheet, so that each has room to write in.
const ROWS: usize = 14;
/// Callbacks asked for at once.
const PAGE: usize = 200;
/// What is told of one callback, in characters: four lines of its column.
const LONGEST_TOLD: usize = 110;

pub(super) fn router() -> Router<House> {
    Router::new().route("/callbacks/print", get(show))
}

/// The same filters as those of the list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct View {
    line: String,
    show: String,
}

impl View {
    /// What of the list is printed, where it is not simply all who are to be called.
    fn told(&self, line: Option<&Line>) -> String {
        let part = match self.show.as_str() {
            "later" => Some("отложенные"),
            "done" => Some("сделанные сегодня"),
            "all" => Some("открытые и сделанные сегодня"),
            _ => None,
        };
        let line = line.map(|line| format!("линия «{}»", line.title));
        line.into_iter().chain(part.map(str::to_owned)).collect::<Vec<_>>().join(", ")
    }

    fn back(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("line", &self.line), ("show", &self.show)] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        let pairs = pairs.finish();
        if pairs.is_empty() { "/callbacks".to_owned() } else { format!("/callbacks?{pairs}") }
    }
}

#[derive(Template)]
#[template(path = "print.html")]
struct PrintPage {
    frame: Frame,
    /// «23.11.2026»: the working day the list is for.
    day: String,
    /// «23.11.2026, 9:12»: when it was made.
    made: String,
    told: String,
    count: String,
    back: String,
    sheets: Vec<Vec<Row>>,
}

struct Row {
    place: usize,
    line: String,
    number: String,
    called: String,
    due: String,
    overdue: bool,
    about: String,
    attempts: String,
}

async fn show(
    Seen(house): Seen,
    visitor: Visitor,
    view: AnyQuery<View>,
    Address(address): Address,
) -> Result<Response, PageError> {
    let (now, view) = (house.clock.now(), query(view));
    let school = house.lines();
    let calendar = school.default_calendar();
    let wall = Wall::new(calendar.time_zone(), now);
    let line = (!view.line.is_empty()).then(|| LineId::new(&view.line));
    let mut rows = Vec::new();
    for part in parts(&view.show, wall.midnight()) {
        let mut after = None;
        loop {
            let filter = DeskFilter { part, line: line.clone(), after, limit: PAGE };
            let found = house.store.desk_page(&filter, now).await?;
            for entry in &found.items {
                rows.push(Row::of(rows.len() + 1, entry, &school, visitor.may_act(), now));
            }
            after = found.next;
            if after.is_none() {
                break;
            }
        }
    }
    let count = counted(rows.len() as i64, ["обращение", "обращения", "обращений"]);
    let entry = AuditEntry {
        by: visitor.0.actor.clone(),
        action: "print",
        object: "callbacks".to_owned(),
        detail: format!("{count} {}", view.told(line.as_ref().map(|line| school.by_id(line)))).trim_end().to_owned(),
        address,
    };
    house.store.audit(entry, now).await?;
    let period = calendar.period_at(now).or_else(|| calendar.next_period(now));
    let page = PrintPage {
        frame: Frame::of(&house, &visitor.0, Here::Desk, now).await?,
        day: day(&wall, period.map_or(now, |period| period.start)),
        made: wall.exact(now),
        told: view.told(line.as_ref().map(|line| school.by_id(line))),
        count,
        back: view.back(),
        sheets: sheets(rows),
    };
    Ok(self::page(&page))
}

/// «23.11.2026».
fn day(wall: &Wall<'_>, at: Timestamp) -> String {
    let day = wall.local(at).date();
    format!("{:02}.{:02}.{}", day.day(), day.month(), day.year())
}

/// «пн 23.11, 9:12»: on paper nobody knows what «сегодня» was.
fn instant(wall: &Wall<'_>, at: Timestamp) -> String {
    let local = wall.local(at);
    let weekday = short_weekday(local.weekday());
    format!("{weekday}\u{a0}{:02}.{:02}, {}", local.day(), local.month(), wall.clock(at))
}

/// Sheets of [`ROWS`] rows; an empty list is one sheet that says so.
fn sheets(mut rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut sheets = Vec::new();
    loop {
        let rest = rows.split_off(rows.len().min(ROWS));
        sheets.push(rows);
        rows = rest;
        if rows.is_empty() {
            return sheets;
        }
    }
}

impl Row {
    fn of(place: usize, entry: &CallbackView, school: &Lines, may_listen: bool, now: Timestamp) -> Self {
        let callback = &entry.callback;
        let line = school.by_id(&callback.line);
        let wall = Wall::new(line.calendar.time_zone(), now);
        let overdue = callback.is_overdue(now);
        Self {
            place,
            line: line.title.clone(),
            number: match callback.number_to_dial() {
                Some(number) if !school.dialing.allows(number) => format!("{}, дорогой или чужой", number.spaced()),
                Some(number) => number.spaced(),
                None if callback.channel == Channel::Telephone => "скрыт".to_owned(),
                None => "нет".to_owned(),
            },
            called: instant(&wall, callback.received_at),
            due: match callback.due_at {
                _ if callback.desk.state.closed_at().is_some() => "—".to_owned(),
                Some(due_at) if overdue => format!("просрочено: {}", instant(&wall, due_at)),
                Some(due_at) => format!("до {}", instant(&wall, due_at)),
                None => "без срока".to_owned(),
            },
            overdue,
            about: about(entry, school, &wall, may_listen),
            attempts: match entry.attempts().len() {
                0 => String::new(),
                attempts => attempts.to_string(),
            },
        }
    }
}

/// What it is about: what somebody else does with it now, the difficulty as noted, else what is to be listened to.
fn about(entry: &CallbackView, school: &Lines, wall: &Wall<'_>, may_listen: bool) -> String {
    let callback = &entry.callback;
    let standing = match &callback.desk.state {
        Standing::Claimed { by, at, until } if wall.now < *until => {
            Some(format!("В работе: {by}, с {}.", wall.clock(*at)))
        }
        Standing::Later { until, .. } if wall.now < *until => Some(format!("Отложено до {}.", instant(wall, *until))),
        Standing::Done { by, at, .. } => Some(format!("Готово: {by}, {}.", wall.clock(*at))),
        Standing::Exceptional { by, at, .. } => Some(format!("В поддержку портала: {by}, {}.", wall.clock(*at))),
        Standing::Declined { by, at, .. } => Some(format!("Отклонено: {by}, {}.", wall.clock(*at))),
        Standing::Open | Standing::Claimed { .. } | Standing::Later { .. } => None,
    };
    let channel = (callback.channel != Channel::Telephone).then(|| format!("{}.", callback.channel.title()));
    let told = match &callback.desk.notes.summary {
        Some(summary) => Some(summary.clone()),
        None if callback.channel != Channel::Telephone => None,
        None => Some(words(entry, may_listen).unwrap_or_else(|| sounds(entry))),
    };
    let also: Vec<String> =
        entry.siblings.iter().map(|sibling| format!("«{}»", school.by_id(&sibling.line).title)).collect();
    let also = (!also.is_empty()).then(|| format!("Ждёт также: {}.", also.join(", ")));
    let all = standing.into_iter().chain(also).chain(channel).chain(told).collect::<Vec<_>>().join(" ");
    match all.char_indices().nth(LONGEST_TOLD) {
        Some((end, _)) => format!("{}…", all[..end].trim_end()),
        None => all,
    }
}

/// «расшифровка, может содержать ошибки: «…»», for whoever may listen; the newest message that has one.
fn words(entry: &CallbackView, may_listen: bool) -> Option<String> {
    let written = entry.voicemails.iter().rev().find_map(|message| message.transcript.as_ref());
    let text = &written.filter(|_| may_listen)?.text;
    Some(format!("Расшифровка, может содержать ошибки: «{text}»"))
}

/// «слушать: № 2026-000123, 0:14», or that there is nothing to listen to.
fn sounds(entry: &CallbackView) -> String {
    let heard: Vec<String> = entry
        .voicemails
        .iter()
        .filter(|message| message.state != VoicemailState::Erased)
        .map(|message| match &message.sound {
            Some(sound) if sound.measured_ms().is_none() => "не измерено".to_owned(),
            Some(sound) if sound.speech_ms < LEAST_SPEECH_MS => "без речи".to_owned(),
            Some(sound) => length(sound.length_ms),
            None => "запись".to_owned(),
        })
        .collect();
    if heard.is_empty() {
        return "без сообщения".to_owned();
    }
    let number = entry.callback.registration_number.as_ref().map(|number| format!("№\u{a0}{number}"));
    format!("слушать: {}", number.into_iter().chain(heard).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<Row> {
        let row = |place| Row {
            place,
            line: String::new(),
            number: String::new(),
            called: String::new(),
            due: String::new(),
            overdue: false,
            about: String::new(),
            attempts: String::new(),
        };
        (1..=count).map(row).collect()
    }

    #[test]
    fn a_sheet_has_fourteen_rows_and_none_is_lost() {
        for (count, sizes) in
            [(0, &[0][..]), (1, &[1]), (14, &[14]), (15, &[14, 1]), (28, &[14, 14]), (40, &[14, 14, 12])]
        {
            let sheets = sheets(rows(count));
            assert_eq!(sheets.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{count}");
            let places: Vec<usize> = sheets.iter().flatten().map(|row| row.place).collect();
            assert_eq!(places, (1..=count).collect::<Vec<_>>());
        }
    }
}
