//! «Журнал звонков»: every call, newest first. Every filter stands in the address, so a view can be kept and sent.

pub(super) mod export;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use self::view::{Link, View};
pub(super) use self::words::{lasted, other_party, outcome_words};
use super::frame::{Choice, Frame, Here, line_choices};
use super::refused::PageError;
use super::words::Wall;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::line::Lines;
use crate::core::phone::PhoneNumber;
use crate::core::search::Search;
use crate::store::{CallPage, Contact, Found, LogEntry, Store, StoreError, Voicemail};
use crate::time::Timestamp;
use crate::web::House;

const PAGE: u32 = 50;
/// So many are counted; then it is «больше».
const COUNTED: usize = 1_000;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/calls", get(show))
        .route("/calls.csv", get(export::calls_csv))
        .route("/calls.xlsx", get(export::calls_xlsx))
        .route("/callbacks.csv", get(export::callbacks_csv))
        .route("/callbacks.xlsx", get(export::callbacks_xlsx))
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    periods: Vec<Link>,
    lines: Vec<Choice>,
    outcomes: Vec<Choice>,
    directions: Vec<Choice>,
    view: View,
    /// What was typed cannot be looked for, or only in part.
    told: Option<&'static str>,
    found: String,
    rows: Vec<Row>,
    /// The address of the next page, and whether the walk was broken off before this one was full.
    more: Option<String>,
    broken_off: Option<String>,
    newest_only: bool,
    /// The addresses of the files, for whoever may have them.
    files: Option<(String, String)>,
    filtered: bool,
}

struct Row {
    id: i64,
    started: String,
    line: String,
    number: String,
    /// The address of the caller's card.
    card: Option<String>,
    name: String,
    outcome: String,
    /// No webhook reported it: the provider's list did.
    restored: bool,
    is_blocked: bool,
    /// «через 0 ч 12 мин раб. времени».
    after: Option<String>,
    length: String,
    who: String,
}

async fn show(Seen(house): Seen, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    let (now, view) = (house.clock.now(), query(view));
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let filter = view.filter(&wall, PAGE);
    let (found, count) = house.store.calls_counted(&filter, COUNTED).await?;
    let known = Known::of(&house.store, &found.entries).await?;
    let may_act = visitor.may_act();
    let rows: Vec<Row> = found.entries.iter().map(|entry| row(entry, &known, &lines, now, may_act)).collect();
    let more = found.next.map(|next| view.with_after(&CallPage::cursor(next)).address("/calls"));
    let broken_off = found.next.filter(|_| rows.len() < PAGE as usize).map(|(at, _)| wall.listed(at));
    let page = LogPage {
        frame: Frame::of(&house, &visitor.0, Here::Log, now).await?,
        periods: view.periods(),
        lines: line_choices(&house, filter.line.as_ref(), true),
        outcomes: view.outcomes(),
        directions: view.directions(),
        told: told(filter.search.as_ref()),
        found: found_words(count),
        rows,
        more,
        broken_off,
        newest_only: found.newest_only,
        files: may_act.then(|| {
            let whole = view.with_after("");
            (whole.address("/calls.xlsx"), whole.address("/calls.csv"))
        }),
        filtered: view.is_filtered(),
        view,
    };
    Ok(self::page(&page))
}

fn told(search: Option<&Search>) -> Option<&'static str> {
    match search {
        Some(Search::TooShort) => Some("Слишком коротко. Напишите хотя бы 3 цифры номера подряд или слово от 2 букв."),
        _ => None,
    }
}

/// «Найдено 128», «Найдено больше 1000».
fn found_words(found: Found) -> String {
    match found {
        Found { number, or_more: true } if number >= COUNTED => format!("Найдено больше {COUNTED}"),
        Found { number, or_more: true } => format!("Найдено не меньше {number}"),
        Found { number, .. } => format!("Найдено {number}"),
    }
}

/// What is shown of calls besides themselves: names of numbers and messages of calls.
pub(super) struct Known {
    contacts: HashMap<PhoneNumber, Contact>,
    voicemails: HashMap<i64, Vec<Voicemail>>,
}

impl Known {
    pub async fn of(store: &Store, entries: &[LogEntry]) -> Result<Self, StoreError> {
        const AT_ONCE: usize = 500;
        let mut numbers: Vec<PhoneNumber> = entries.iter().filter_map(|entry| entry.call.other_party()).collect();
        numbers.sort();
        numbers.dedup();
        let mut voicemails: HashMap<i64, Vec<Voicemail>> = HashMap::new();
        let with_message = entries.iter().filter(|entry| entry.call.has_message());
        let ids: Vec<i64> = with_message.map(|entry| entry.call.id).collect();
        for ids in ids.chunks(AT_ONCE) {
            for voicemail in store.voicemails_of_calls(ids).await? {
                voicemails.entry(voicemail.call_id).or_default().push(voicemail);
            }
        }
        Ok(Self { contacts: store.contacts(&numbers).await?, voicemails })
    }

    pub fn name(&self, number: Option<&PhoneNumber>) -> String {
        number.and_then(|number| self.contacts.get(number)).map_or_else(String::new, |contact| contact.name.clone())
    }

    pub fn voicemails(&self, call_id: i64) -> &[Voicemail] {
        self.voicemails.get(&call_id).map_or(&[], Vec::as_slice)
    }
}

fn row(entry: &LogEntry, known: &Known, lines: &Lines, now: Timestamp, may_act: bool) -> Row {
    let call = &entry.call;
    let line = call.line.as_ref().map(|id| lines.by_id(id));
    let calendar = line.map_or_else(|| lines.default_calendar(), |line| &line.calendar);
    let number = call.other_party();
    Row {
        id: call.id,
        started: Wall::new(calendar.time_zone(), now).listed(call.started_at),
        line: line.map_or_else(|| "—".to_owned(), |line| line.title.clone()),
        number: other_party(call),
        card: number.as_ref().filter(|_| may_act).map(|_| card_address(call.id)),
        name: known.name(number.as_ref()),
        outcome: words::what_became(entry),
        restored: call.restored_at.is_some(),
        is_blocked: call.blocked_at.is_some(),
        after: words::called_back_after_ms(entry, calendar).map(words::after),
        length: words::length_of(call, known.voicemails(call.id)).map_or_else(String::new, super::words::length),
        who: entry.solved.as_ref().and_then(|solved| solved.by.clone()).unwrap_or_default(),
    }
}

/// The address of «Карточка звонящего» with the number of this call or callback. The number itself stands in no address:
/// those are kept by browsers and by the logs of whatever lies between.
pub(super) fn card_address(id: i64) -> String {
    format!("/callers/{id}")
}
