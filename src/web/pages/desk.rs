//! «Перезвонить»: the officer's main page. One question at a time: whom to call now, and how did it go.

mod actions;
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
use self::card::Card;
use self::list::{closed_since, grouped, is_put_off, talk, unclosed};
use super::frame::{Choice, Frame, Here, line_choices};
use super::refused::PageError;
use super::words::{Wall, counted};
use super::{AnyQuery, Visitor, page, query};
use crate::core::line::LineId;
use crate::core::officer::Role;
use crate::store::{CallbackView, StoreError};
use crate::time::Timestamp;
use crate::web::{Error, House};

pub(super) use self::message::{Message, messages};

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/callbacks", get(show))
        .route("/callbacks/{id}", get(one))
        .route("/callbacks/{id}/{verb}", post(actions::act))
}

/// Which part of the list is looked at. Stands in the address, so every view can be kept and sent.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    line: String,
    show: String,
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
        for (name, value) in [("line", &self.line), ("show", &self.show)] {
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
    alarms: Vec<String>,
    told: Option<(i64, String)>,
    undo: Option<card::Undo>,
    groups: Vec<Group>,
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
    let calendar = house.lines.default_calendar();
    let wall = Wall::new(calendar.time_zone(), now);
    let midnight = wall.local(now).start_of_day().map_or(now, |start| start.timestamp());
    let unclosed = unclosed(&house.store, view.line()).await?;
    let closed = closed_since(&house.store, view.line(), midnight).await?;
    let (left, done) = (unclosed.len() as i64, closed.len() as i64);
    let put_off = unclosed.iter().filter(|view| is_put_off(view, now)).count() as i64;
    let strangers = view.line == "unknown" || unclosed.iter().any(|view| view.callback.line.is_unknown());
    let last_closed = closed.iter().filter_map(|view| view.callback.desk.state.closed_at()).max();
    let first_due = unclosed.iter().filter_map(|view| view.callback.due_at).filter(|due_at| *due_at >= now).min();

    let mut wanted: Vec<CallbackView> = Vec::new();
    wanted.extend(
        unclosed
            .into_iter()
            .filter(|entry| view.shows("all") || view.shows(if is_put_off(entry, now) { "later" } else { "open" })),
    );
    if view.shows("all") || view.shows("done") {
        wanted.extend(closed);
    }
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
            let calendar = &house.lines.by_id(&entry.callback.line).calendar;
            let bench = card::Bench { person, calendar, now, reasons: house.lines.regulation_reasons };
            cards.push(Card::of(entry, talk, told.as_ref(), &bench));
        }
        groups.push(Group { title, number, cards });
    }
    unfold(&mut groups, told_at.or(view.at));
    let period = calendar.period_at(now).or_else(|| calendar.next_period(now));
    let page = DeskPage {
        frame: Frame::of(house, person, Here::Desk, now).await?,
        clock: clock(house, &wall),
        open_now: calendar.is_open(now),
        heading: period.map_or("Перезвонить".to_owned(), |period| {
            format!("Перезвонить {}", wall.working_day(period.start))
        }),
        left,
        summary: summary(left, put_off, done, first_due, &wall),
        lines: line_links(house, &view, strangers),
        shows: show_links(&view),
        view: view.plain().query(),
        alarms: match person.role >= Role::Senior {
            true => alarms(house, &wall).await?,
            false => Vec::new(),
        },
        told: told.map(|told| (told.id, told.sentence)),
        undo,
        empty: empty(&view, &groups, last_closed, calendar.next_period(now).map(|period| period.start), &wall),
        groups,
        may_act: visitor.may_act(),
    };
    Ok((status.unwrap_or_default(), self::page(&page)).into_response())
}

/// Opens the entry the address names, else the first, and tells each which comes after it.
fn unfold(groups: &mut [Group], at: Option<i64>) {
    let order: Vec<i64> = groups.iter().flat_map(|group| &group.cards).map(|card| card.id).collect();
    let chosen = at.filter(|at| order.contains(at)).or_else(|| order.first().copied());
    for card in groups.iter_mut().flat_map(|group| &mut group.cards) {
        let place = order.iter().position(|id| *id == card.id).unwrap_or(0);
        card.unfolded = Some(card.id) == chosen;
        card.place = format!("{} из {}", place + 1, order.len());
        card.next = order.get(place + 1).or_else(|| order.get(place.wrapping_sub(1))).copied();
    }
}

fn line_links(house: &House, view: &View, with_unknown: bool) -> Vec<Link> {
    let choices = line_choices(house, view.line().as_ref(), with_unknown).into_iter();
    choices
        .map(|Choice { value, label, chosen }| {
            let address = format!("/callbacks{}", View { line: value, ..view.plain() }.query());
            Link { address, label, chosen }
        })
        .collect()
}

fn show_links(view: &View) -> Vec<Link> {
    [("open", "", "Открытые"), ("later", "later", "Отложенные"), ("done", "done", "Сделанные"), ("all", "all", "Все")]
        .into_iter()
        .map(|(show, value, label)| Link {
            address: format!("/callbacks{}", View { show: value.to_owned(), ..view.plain() }.query()),
            label: label.to_owned(),
            chosen: view.shows(show),
        })
        .collect()
}

/// «Сейчас рабочее время, до 18:00», or when it begins.
fn clock(house: &House, wall: &Wall<'_>) -> String {
    let answer = house.lines.default_calendar().answer(wall.now);
    match (answer.current_period, answer.next_period) {
        (Some(period), _) => format!("Сейчас рабочее время, {}", wall.until(period.end)),
        (None, Some(next)) => {
            format!("Рабочее время начнётся {}. Звонить можно и сейчас, если договорились.", wall.start(next.start))
        }
        (None, None) => "Рабочее время не задано. Скажите администратору.".to_owned(),
    }
}

fn summary(left: i64, put_off: i64, done: i64, first_due: Option<Timestamp>, wall: &Wall<'_>) -> Vec<String> {
    let mut parts = vec![match put_off {
        0 => format!("Осталось {left}"),
        _ => format!("Осталось {left}, из них {}", counted(put_off, ["отложено", "отложены", "отложено"])),
    }];
    parts.push(format!("сделано {done}"));
    parts.extend(first_due.map(|due_at| format!("ближайший срок {}", wall.until(due_at))));
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

async fn alarms(house: &House, wall: &Wall<'_>) -> Result<Vec<String>, StoreError> {
    let alarms = house.store.alarms().await?;
    Ok(alarms.iter().map(|alarm| format!("{} ({})", alarm.told, wall.moment(alarm.raised_at))).collect())
}
