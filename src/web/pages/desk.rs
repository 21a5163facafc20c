//! «Перезвонить»: the officer's main page. One question at a time: whom to call now, and how did it go.

mod actions;
mod alarms;
mod card;
mod list;
mod message;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use self::actions::Typed;
use self::alarms::Alarms;
use self::card::Card;
use self::list::{grouped, listed, talk};
use super::frame::{Choice, Frame, Here, line_choices};
use super::refused::PageError;
use super::words::{Wall, counted};
use super::{AnyQuery, Visitor, page, query};
use crate::core::line::LineId;
use crate::core::officer::Role;
use crate::store::{DeskPart, Standing};
use crate::time::Timestamp;
use crate::web::{Error, House};

pub(super) use self::message::{Message, messages};

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/callbacks", get(show))
        .route("/callbacks/{id}", get(one))
        .route("/callbacks/{id}/{verb}", post(actions::act))
        .route("/alarms/{id}/seen", post(alarms::seen))
}

/// Which part of the list is looked at. Stands in the address, so every view can be kept and sent.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    line: String,
    show: String,
    /// Where this page of the list begins; empty for the first.
    after: String,
    /// The entry that is unfolded.
    at: Option<i64>,
    /// The entry just worked on: it offers to be undone.
    did: Option<i64>,
}

impl View {
    fn line(&self) -> Option<LineId> {
        (!self.line.is_empty()).then(|| LineId::new(&self.line))
    }

    fn shows(&self, show: &str) -> bool {
        match self.show.as_str() {
            known @ ("later" | "done" | "all") => known == show,
            _ => show == "open",
        }
    }

    /// `?line=parents&show=all`, or nothing.
    fn query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("line", &self.line), ("show", &self.show), ("after", &self.after)] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        for (name, value) in [("at", self.at), ("did", self.did)] {
            if let Some(value) = value {
                pairs.append_pair(name, &value.to_string());
            }
        }
        let pairs = pairs.finish();
        if pairs.is_empty() { pairs } else { format!("?{pairs}") }
    }

    fn parts(&self, midnight: Timestamp) -> Vec<DeskPart> {
        match self.show.as_str() {
            "later" => vec![DeskPart::PutOff],
            "done" => vec![DeskPart::ClosedSince(midnight)],
            "all" => vec![DeskPart::Waiting, DeskPart::ClosedSince(midnight)],
            _ => vec![DeskPart::ToCall],
        }
    }

    /// The same from its first page.
    fn first_page(&self) -> Self {
        Self { after: String::new(), ..self.plain() }
    }

    /// The view itself, without what happened in it.
    fn plain(&self) -> Self {
        Self { at: None, did: None, ..self.clone() }
    }
}

/// What the page says above all because something was not done, and at which entry.
struct Told {
    id: i64,
    sentence: String,
    typed: Typed,
}

#[derive(Template)]
#[template(path = "desk.html")]
struct DeskPage {
    frame: Frame,
    clock: String,
    open_now: bool,
    heading: String,
    left: i64,
    summary: Vec<String>,
    lines: Vec<Link>,
    shows: Vec<Link>,
    /// The query of the forms and links: the view.
    view: String,
    alarms: Alarms,
    told: Option<(i64, String)>,
    undo: Option<card::Undo>,
    groups: Vec<Group>,
    /// The address of the next page, and of the first where this is another one.
    more: Option<String>,
    start: Option<String>,
    empty: Vec<String>,
    may_act: bool,
}

/// One view of the list.
struct Link {
    address: String,
    label: String,
    chosen: bool,
}

struct Group {
    title: String,
    number: Option<String>,
    /// How many there are, where all of them are on this page.
    count: Option<usize>,
    cards: Vec<Card>,
}

async fn show(State(house): State<House>, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    draw(&house, &visitor, query(view), None, house.clock.now()).await
}

/// One entry: the list with this entry unfolded, wherever it stands.
async fn one(_: Visitor, Path(id): Path<String>) -> Result<Redirect, PageError> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    Ok(Redirect::to(&format!("/callbacks?show=all&at={id}#c{id}")))
}

async fn draw(
    house: &House,
    visitor: &Visitor,
    view: View,
    told: Option<(StatusCode, Told)>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let Visitor(person) = visitor;
    let school = house.lines();
    let calendar = school.default_calendar();
    let wall = Wall::new(calendar.time_zone(), now);
    let midnight = wall.local(now).start_of_day().map_or(now, |start| start.timestamp());
    let standing = house.store.standing(view.line().as_ref(), midnight, now).await?;
    let strangers = view.line == "unknown" || standing.strangers;
    let (mut wanted, more) = listed(&house.store, &view.parts(midnight), view.line(), &view.after, now).await?;
    let whole = view.after.is_empty() && more.is_none();
    let told_at = told.as_ref().map(|(_, told)| told.id);
    if let Some(at) = told_at.or(view.at)
        && !wanted.iter().any(|entry| entry.callback.id == at)
        && (told_at.is_some() || view.shows("all"))
        && let Some(entry) = house.store.callback(at).await?
    {
        wanted.insert(0, entry);
    }
    let undo = match view.did {
        Some(id) if visitor.may_act() => {
            house.store.callback(id).await?.and_then(|entry| card::Undo::of(&entry, &person.actor, &wall))
        }
        _ => None,
    };
    let (status, told) = told.unzip();
    let mut groups = Vec::new();
    for (title, number, entries) in grouped(house, wanted, &person.actor.id, now) {
        let mut cards = Vec::with_capacity(entries.len());
        for entry in entries {
            let talk = talk(&house.store, entry.callback.proposed_call_id).await?;
            let calendar = &school.by_id(&entry.callback.line).calendar;
            let bench = card::Bench { person, calendar, now, reasons: school.regulation_reasons };
            cards.push(Card::of(entry, talk, told.as_ref(), &bench));
        }
        let count = whole.then_some(cards.len());
        groups.push(Group { title, number, count, cards });
    }
    unfold(&mut groups, told_at.or(view.at), &view);
    let period = calendar.period_at(now).or_else(|| calendar.next_period(now));
    let page = DeskPage {
        frame: Frame::of(house, person, Here::Desk, now).await?,
        clock: clock(house, &wall),
        open_now: calendar.is_open(now),
        heading: period.map_or("Перезвонить".to_owned(), |period| {
            format!("Перезвонить {}", wall.working_day(period.start))
        }),
        left: standing.waiting,
        summary: summary(&standing, &wall),
        lines: line_links(house, &view, strangers),
        shows: show_links(&view),
        view: view.plain().query(),
        alarms: match person.role >= Role::Senior {
            true => Alarms::open(&house.store, &wall).await?,
            false => Alarms::default(),
        },
        told: told.map(|told| (told.id, told.sentence)),
        undo,
        more: more.map(|after| format!("/callbacks{}", View { after, ..view.plain() }.query())),
        start: (!view.after.is_empty()).then(|| format!("/callbacks{}", view.first_page().query())),
        empty: empty(&view, &groups, standing.last_closed, calendar.next_period(now).map(|period| period.start), &wall),
        groups,
        may_act: visitor.may_act(),
    };
    Ok((status.unwrap_or_default(), self::page(&page)).into_response())
}

/// Unfolds the entry the address names, else the first, and tells each its place and which comes after it.
fn unfold(groups: &mut [Group], at: Option<i64>, view: &View) {
    let order: Vec<i64> = groups.iter().flat_map(|group| &group.cards).map(|card| card.id).collect();
    let chosen = at.filter(|at| order.contains(at)).or_else(|| order.first().copied());
    for card in groups.iter_mut().flat_map(|group| &mut group.cards) {
        let place = order.iter().position(|id| *id == card.id).unwrap_or(0);
        card.unfolded = Some(card.id) == chosen;
        card.link = format!("/callbacks{}#c{}", View { at: Some(card.id), ..view.plain() }.query(), card.id);
        card.place = format!("{} из {}", place + 1, order.len());
        card.next = order.get(place + 1).or_else(|| order.get(place.wrapping_sub(1))).copied();
    }
}

fn line_links(house: &House, view: &View, with_unknown: bool) -> Vec<Link> {
    let choices = line_choices(house, view.line().as_ref(), with_unknown).into_iter();
    choices
        .map(|Choice { value, label, chosen }| {
            let address = format!("/callbacks{}", View { line: value, ..view.first_page() }.query());
            Link { address, label, chosen }
        })
        .collect()
}

fn show_links(view: &View) -> Vec<Link> {
    [("open", "", "Открытые"), ("later", "later", "Отложенные"), ("done", "done", "Сделанные"), ("all", "all", "Все")]
        .into_iter()
        .map(|(show, value, label)| Link {
            address: format!("/callbacks{}", View { show: value.to_owned(), ..view.first_page() }.query()),
            label: label.to_owned(),
            chosen: view.shows(show),
        })
        .collect()
}

/// «Сейчас рабочее время, до 18:00», or when it begins.
fn clock(house: &House, wall: &Wall<'_>) -> String {
    let answer = house.lines().default_calendar().answer(wall.now);
    match (answer.current_period, answer.next_period) {
        (Some(period), _) => format!("Сейчас рабочее время, {}", wall.until(period.end)),
        (None, Some(next)) => {
            format!("Рабочее время начнётся {}. Звонить можно и сейчас, если договорились.", wall.start(next.start))
        }
        (None, None) => "Рабочее время не задано. Скажите администратору.".to_owned(),
    }
}

fn summary(standing: &Standing, wall: &Wall<'_>) -> Vec<String> {
    let left = standing.waiting;
    let mut parts = vec![match standing.put_off {
        0 => format!("Осталось {left}"),
        put_off => format!("Осталось {left}, из них {}", counted(put_off, ["отложено", "отложены", "отложено"])),
    }];
    parts.push(format!("сделано {}", standing.closed));
    parts.extend(standing.first_due.map(|due_at| format!("ближайший срок {}", wall.until(due_at))));
    parts
}

fn empty(
    view: &View,
    groups: &[Group],
    last_closed: Option<Timestamp>,
    next: Option<Timestamp>,
    wall: &Wall<'_>,
) -> Vec<String> {
    if !groups.is_empty() {
        return Vec::new();
    }
    let mut sentences = vec![match last_closed {
        _ if !view.after.is_empty() => "Дальше никого нет.".to_owned(),
        _ if view.shows("later") => "Отложенных обращений нет.".to_owned(),
        _ if view.shows("done") => "Сегодня ещё ничего не закрыто.".to_owned(),
        Some(at) => format!("Всех обзвонили. Последнее обращение закрыто в {}.", wall.clock(at)),
        None => "Всех обзвонили.".to_owned(),
    }];
    if let Some(next) = next.filter(|_| !view.shows("later") && !view.shows("done")) {
        sentences.push(format!("Следующее рабочее время: {}.", wall.coming(next)));
    }
    sentences
}
