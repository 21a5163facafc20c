//! «Перезвонить»: the officer's main page. One question at a time: whom to call now, and how did it go.

mod actions;
mod alarms;
mod calling;
mod card;
mod choices;
mod headline;
mod keys;
mod list;
mod message;
mod siblings;
mod told;
mod undo;
mod view;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use self::alarms::Alarms;
use self::calling::{Calling, dialling};
use self::card::Card;
use self::choices::colleagues;
use self::headline::{Part, clock, empty, summary};
use self::list::{Entries, grouped, listed, talk};
use self::told::Told;
use self::undo::Undo;
use self::view::{Link, View, line_links, show_links};
use super::dial_link::link_said_numbers_of_card;
use super::frame::{Frame, Here};
use super::refused::{PageError, call_limit};
use super::words::Wall;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::officer::Role;
use crate::time::Timestamp;
use crate::web::{Error, House};

pub(super) use self::message::{Message, messages, tell_locked};
pub(super) use self::siblings::{held_number, sentence};
pub(super) use self::view::parts;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/callbacks", get(show))
        .route("/callbacks/undo", post(undo::undo_last).get(|| async { Redirect::to("/callbacks") }))
        .route("/callbacks/{id}", get(one))
        // Whoever reloads the answer to a refused form comes back to its entry.
        .route("/callbacks/{id}/{verb}", post(actions::act).get(after_a_form))
        .route("/alarms/{id}/seen", post(alarms::seen).get(|| async { Redirect::to("/callbacks") }))
}

#[derive(Template)]
#[template(path = "desk.html")]
struct DeskPage {
    frame: Frame,
    clock: String,
    /// Of what time this list is: «9:14».
    at: String,
    open_now: bool,
    heading: String,
    left: i64,
    summary: Vec<Part>,
    lines: Vec<Link>,
    shows: Vec<Link>,
    /// The query of the forms and links: the view.
    view: String,
    alarms: Alarms,
    /// Events that are not in the database yet, so that callers may be missing here.
    incomplete: Option<String>,
    /// Why the exchange places no more calls for now.
    call_limit: Option<String>,
    told: Option<(Option<i64>, String)>,
    undo: Option<Undo>,
    undone: Option<String>,
    groups: Vec<Group>,
    /// The address of the next page, and of the first where this is another one.
    more: Option<String>,
    start: Option<String>,
    empty: Vec<String>,
    may_act: bool,
    keys: &'static [keys::Key],
}

struct Group {
    key: String,
    title: String,
    number: Option<String>,
    /// How many there are, where all of them are on this page.
    count: Option<usize>,
    cards: Vec<Card>,
}

async fn show(Seen(house): Seen, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    draw(&house, &visitor, query(view), None, house.clock.now()).await
}

/// One entry: the list with this entry unfolded, wherever it stands.
async fn one(Seen(house): Seen, _: Visitor, Path(id): Path<String>) -> Result<Redirect, PageError> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    house.store.check_callback(id).await?;
    Ok(Redirect::to(&format!("/callbacks?show=all&at={id}#c{id}")))
}

async fn after_a_form(
    house: Seen,
    visitor: Visitor,
    Path((id, _)): Path<(String, String)>,
) -> Result<Redirect, PageError> {
    one(house, visitor, Path(id)).await
}

async fn draw(
    house: &House,
    visitor: &Visitor,
    view: View,
    told: Option<(StatusCode, Told)>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let Visitor(person) = visitor;
    let (school, store) = (house.lines(), &house.store);
    let calendar = school.default_calendar();
    let wall = Wall::new(calendar.time_zone(), now);
    let midnight = wall.midnight();
    let standing = store.standing(view.line().as_ref(), midnight, now).await?;
    let (mut wanted, more) = listed(store, &view.parts(midnight), view.line(), &view.after, now).await?;
    let whole = view.after.is_empty() && more.is_none();
    let told_at = told.as_ref().and_then(|(_, told)| told.id);
    let at = told_at.or(view.at);
    if let Some(at) = at
        && !wanted.iter().any(|entry| entry.callback.id == at)
        && (told_at.is_some() || view.keeps())
        && let Some(entry) = store.callback(at).await?
    {
        wanted.insert(0, entry);
    }
    let may_act = visitor.may_act();
    let (mut undo, mut undone) = (None, None);
    if let Some(entry) = entry_of(house, view.did.filter(|_| may_act)).await? {
        undo = Undo::of(&entry, &person.actor, &wall);
    }
    if let Some(entry) = entry_of(house, view.undone.filter(|_| may_act)).await? {
        undone = undo::undone_words(&entry, &person.actor);
    }
    let (status, told) = told.unzip();
    let callers: Vec<_> = wanted.iter().filter_map(|entry| entry.callback.number_to_dial().cloned()).collect();
    let names = store.contacts(&callers).await?;
    let may_ring = may_act && dialling(house, person).is_some();
    let is_limit_reached = may_ring && store.has_reached_call_limit(&school.dialing, now).await?;
    let rings = may_ring && !is_limit_reached;
    let mut groups = Vec::new();
    for Entries { key, title, number, entries } in grouped(&school, wanted, &person.actor.id, now) {
        let mut cards = Vec::with_capacity(entries.len());
        for entry in entries {
            let talk = talk(store, entry.callback.proposed_call_id).await?;
            let line = entry.callback.line.clone();
            let calendar = &school.by_id(&line).calendar;
            let bench = card::Bench { person, lines: &school, calendar, now, reasons: school.regulation_reasons };
            let name =
                entry.callback.number_to_dial().and_then(|number| names.get(number)).map(|known| known.name.clone());
            let mut card = Card::of(entry, talk, told.as_ref(), &bench);
            card.name = name.filter(|name| !name.is_empty());
            let has_numbers = card.number.is_some() && school.by_id(&line).number.is_some();
            card.rings = rings && has_numbers && !card.not_allowed;
            cards.push(card);
        }
        let count = whole.then_some(cards.len());
        groups.push(Group { key, title, number, count, cards });
    }
    unfold(&mut groups, at, &view);
    if let Some(card) = groups.iter_mut().flat_map(|group| &mut group.cards).find(|card| card.unfolded) {
        let is_held = card.is_held_by_colleague() || card.held_elsewhere();
        tell_locked(&house.folder, &mut card.messages).await;
        link_said_numbers_of_card(house, &mut card.messages, card.id, is_held, person, &wall).await?;
    }
    if may_act && let Some(card) = groups.iter_mut().flat_map(|group| &mut group.cards).find(|card| card.unfolded) {
        card.colleagues = colleagues(store, &person.actor, &card.line_id).await?;
        if let Some(call) = store.newest_placed_call(card.id, &person.actor).await? {
            let calling = Calling::of(&call, &card.desk, now);
            // What he is told to do about a call that is over is for a colleague to do now.
            card.calling = calling.filter(|calling| calling.goes_on || !card.is_held_by_colleague());
        }
    }
    let period = calendar.period_at(now).or_else(|| calendar.next_period(now));
    let next_opening = calendar.next_period(now).map(|period| period.start);
    let page = DeskPage {
        frame: Frame::of(house, person, Here::Desk, now).await?,
        clock: clock(house, &wall),
        at: wall.clock(now),
        open_now: calendar.is_open(now),
        heading: period.map_or("Перезвонить".to_owned(), |period| {
            format!("Перезвонить {}", wall.working_day(period.start))
        }),
        left: standing.waiting,
        summary: summary(&standing, &wall),
        lines: line_links(house, &view, standing.strangers || view.line == "unknown"),
        shows: show_links(&view),
        view: view.plain().query(),
        alarms: match person.role >= Role::Senior {
            true => Alarms::open(store, &wall).await?,
            false => Alarms::default(),
        },
        incomplete: headline::incomplete(store.spool_depth()),
        call_limit: is_limit_reached.then(|| call_limit(school.dialing.max_calls_per_hour)),
        told: told.map(|told| (told.id, told.sentence)),
        undo,
        undone,
        more: more.map(|after| View { after, ..view.plain() }.address()),
        start: (!view.after.is_empty()).then(|| view.first_page().address()),
        // Nobody knows yet whether everybody has been called.
        empty: match groups.is_empty() && store.spool_depth().is_empty() {
            true => empty(&view, standing.last_closed, next_opening, &wall),
            false => Vec::new(),
        },
        groups,
        may_act,
        keys: &keys::KEYS,
    };
    Ok((status.unwrap_or_default(), self::page(&page)).into_response())
}

async fn entry_of(house: &House, id: Option<i64>) -> Result<Option<crate::store::CallbackView>, PageError> {
    match id {
        Some(id) => Ok(house.store.callback(id).await?),
        None => Ok(None),
    }
}

/// Unfolds the entry the address names, else the first, and tells each which comes after it: one that can be worked on,
/// where there is any.
fn unfold(groups: &mut [Group], at: Option<i64>, view: &View) {
    let cards = || groups.iter().flat_map(|group| &group.cards);
    let order: Vec<(i64, bool)> = cards().map(|card| (card.id, card.workable())).collect();
    let chosen = at.filter(|at| order.iter().any(|(id, _)| id == at)).or_else(|| order.first().map(|(id, _)| *id));
    for card in groups.iter_mut().flat_map(|group| &mut group.cards) {
        for (id, address) in &mut card.jumps {
            if order.iter().any(|(known, _)| known == id) {
                *address = format!("{}#c{id}", View { at: Some(*id), ..view.plain() }.address());
            }
        }
    }
    for (place, card) in groups.iter_mut().flat_map(|group| &mut group.cards).enumerate() {
        card.unfolded = Some(card.id) == chosen;
        let id = card.id;
        let retry = |message: &mut Message| {
            message.retry = message.retry.take().map(|_| format!("/callbacks/{id}/retry{}", view.plain().query()));
        };
        card.messages.iter_mut().for_each(retry);
        card.link = format!("{}#c{}", View { at: Some(card.id), ..view.plain() }.address(), card.id);
        if card.unfolded {
            let (before, after) = (&order[..place], &order[place + 1..]);
            let workable = |(id, workable): &(i64, bool)| workable.then_some(*id);
            let next = after.iter().find_map(workable).or_else(|| before.iter().rev().find_map(workable));
            card.next = next.or_else(|| after.first().or(before.last()).map(|(id, _)| *id));
        }
    }
}
