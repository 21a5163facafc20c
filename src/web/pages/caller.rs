//! «Карточка звонящего»: a number, what the school calls it, and all its calls and callbacks. A page of its own, and a part
//! without a frame for the panel beside the list. Its address has the id of a call or callback, never the number.

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::dial_link::{DialLink, dial_link};
use super::frame::{Frame, Here};
use super::log::{card_address, lasted, outcome_words};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::Wall;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::callback::State as Stands;
use crate::core::officer::Role;
use crate::core::phone::PhoneNumber;
use crate::core::search::Search;
use crate::store::{AuditEntry, CallFilter, CallPage, CallbackView, Contact, Person, personal_document};
use crate::time::Timestamp;
use crate::web::{Error, House};

/// Calls, and callbacks, of one page.
const PAGE: u32 = 20;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// The longest note, in characters.
const LONGEST_NOTE: usize = 1000;
/// Told to whoever is limited to lines.
const OF_ANOTHER_LINE: &str = "Не сохранено: этот человек звонил на другую линию, имя и заметку ведут её сотрудники.";
/// A script may ask for the part by this header too.
const FRAGMENT: &str = "x-fragment";

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/callers", get(ask).post(find))
        .route("/callers/{id}", get(show).post(save))
        .route("/callers/{id}/personal.json", get(hand_over))
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    /// Anything: the part without a frame.
    fragment: String,
    /// Where the calls, and the callbacks, of this page begin.
    calls: String,
    callbacks: String,
    /// Anything: it was saved just now.
    saved: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContactForm {
    name: String,
    note: String,
    fragment: String,
}

#[derive(Template)]
#[template(path = "caller.html")]
struct CallerPage {
    frame: Frame,
    card: Card,
}

#[derive(Template)]
#[template(path = "caller_card.html")]
struct CallerFragment {
    card: Card,
}

struct Card {
    /// The address of this page.
    address: String,
    number: String,
    dial: DialLink,
    /// The number was erased: nobody can be called or named by it.
    is_erased: bool,
    /// The file with all there is; only for whoever may hand it over.
    personal: Option<String>,
    contact: Contact,
    told: Option<String>,
    /// «пн 23.11, 9:12, Мадина И.: рассылка»; `None`: not blocked.
    blocked: Option<String>,
    /// Whether this person may block the number, and take that back.
    may_block: bool,
    saved: bool,
    fragment: bool,
    callbacks: Vec<CallbackLine>,
    more_callbacks: Option<String>,
    calls: Vec<CallLine>,
    more_calls: Option<String>,
}

struct CallbackLine {
    id: i64,
    received: String,
    line: String,
    state: String,
    /// What it was about, and what was noted.
    notes: Vec<String>,
}

struct CallLine {
    id: i64,
    started: String,
    line: String,
    outcome: &'static str,
    is_blocked: bool,
    length: String,
}

/// The way to a card by the number, which is sent in a form and stands in no address.
#[derive(Template)]
#[template(path = "find_caller.html")]
struct FindPage {
    frame: Frame,
    told: Option<&'static str>,
    number: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FindForm {
    number: String,
}

async fn ask(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    draw_search(&house, &visitor.officer()?, StatusCode::OK, None, String::new()).await
}

async fn find(
    Seen(house): Seen,
    visitor: Visitor,
    form: Result<Form<FindForm>, FormRejection>,
) -> Result<Response, PageError> {
    let person = visitor.officer()?;
    let typed = form.map(|Form(form)| form.number).unwrap_or_default();
    let Ok(number) = PhoneNumber::parse(&typed) else {
        let told = "Это не номер телефона. Впишите его целиком: 8 928 123-45-67.";
        return draw_search(&house, &person, StatusCode::UNPROCESSABLE_ENTITY, Some(told), typed).await;
    };
    match newest_id(&house, &number).await? {
        Some(id) => Ok(Redirect::to(&card_address(id)).into_response()),
        None => {
            let told = "Звонков и обращений с этим номером нет.";
            draw_search(&house, &person, StatusCode::NOT_FOUND, Some(told), typed).await
        }
    }
}

async fn draw_search(
    house: &House,
    person: &Person,
    status: StatusCode,
    told: Option<&'static str>,
    number: String,
) -> Result<Response, PageError> {
    let frame = Frame::of(house, person, Here::Log, house.clock.now()).await?;
    Ok((status, page(&FindPage { frame, told, number })).into_response())
}

/// The newest call of this number, or else its newest callback.
async fn newest_id(house: &House, number: &PhoneNumber) -> Result<Option<i64>, Error> {
    let filter = CallFilter { search: Some(Search::Number(number.clone())), limit: 1, ..CallFilter::default() };
    if let Some(entry) = house.store.calls(&filter).await?.entries.first() {
        return Ok(Some(entry.call.id));
    }
    let callbacks = house.store.callbacks_of_number(number, None, 1).await?;
    Ok(callbacks.items.first().map(|view| view.callback.id))
}

/// The id of a call or callback, and its number.
pub(super) async fn named(house: &House, id: &str) -> Result<Option<(i64, PhoneNumber)>, Error> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let number = match house.store.callback(id).await? {
        Some(view) => view.callback.number_to_dial().cloned(),
        None => house.store.call(id).await?.and_then(|view| view.call.other_party()),
    };
    Ok(number.map(|number| (id, number)))
}

/// Addresses of before had the number. They lead to the form, so that nobody has to look for it.
async fn not_named(house: &House, person: &Person, text: &str) -> Result<Response, PageError> {
    if PhoneNumber::parse(text).is_err() {
        return Err(Error::NotFound.into());
    }
    let told =
        "Номера больше не стоят в адресах страниц: адреса остаются в браузере и на серверах. Введите номер в поиск.";
    draw_search(house, person, StatusCode::GONE, Some(told), String::new()).await
}

async fn show(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    view: AnyQuery<View>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let person = visitor.officer()?;
    let Some((id, number)) = named(&house, &id).await? else { return not_named(&house, &person, &id).await };
    let mut view = query(view);
    if headers.contains_key(FRAGMENT) {
        view.fragment = "1".to_owned();
    }
    draw(&house, &person, (id, &number), &view, None, house.clock.now()).await
}

async fn save(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    Address(address): Address,
    form: Result<Form<ContactForm>, FormRejection>,
) -> Result<Response, PageError> {
    let (now, person) = (house.clock.now(), visitor.officer()?);
    let Some((id, number)) = named(&house, &id).await? else { return not_named(&house, &person, &id).await };
    let Ok(Form(form)) = form else {
        return Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into());
    };
    // PostgreSQL keeps no zero character, and nobody sees the others.
    let clean =
        |text: &str| text.chars().filter(|c| *c == '\n' || !c.is_control()).collect::<String>().trim().to_owned();
    let contact = Contact { name: clean(&form.name).replace('\n', " "), note: clean(&form.note) };
    let too_long = |what: &str, most: usize| format!("{what} слишком длинное: не больше {most} знаков.");
    let told = match (contact.name.chars().count(), contact.note.chars().count()) {
        _ if !house.store.knows_caller(&number).await? => Some(OF_ANOTHER_LINE.to_owned()),
        (name, _) if name > LONGEST_NAME => Some(too_long("Имя", LONGEST_NAME)),
        (_, note) if note > LONGEST_NOTE => Some(format!("Заметка слишком длинная: не больше {LONGEST_NOTE} знаков.")),
        _ => None,
    };
    if let Some(told) = told {
        let view = View { fragment: form.fragment, ..View::default() };
        return draw(&house, &person, (id, &number), &view, Some((contact, told)), now).await;
    }
    house.store.set_contact(&number, contact, &person.actor, &address, now).await?;
    let fragment = if form.fragment.is_empty() { "" } else { "&fragment=1" };
    Ok(Redirect::to(&format!("{}?saved=1{fragment}", card_address(id))).into_response())
}

/// The card with why something was not done.
pub(super) async fn refuse(
    house: &House,
    person: &Person,
    (id, number): (i64, &PhoneNumber),
    told: &str,
    now: Timestamp,
) -> Result<Response, PageError> {
    let contact = house.store.contacts(std::slice::from_ref(number)).await?.remove(number).unwrap_or_default();
    draw(house, person, (id, number), &View::default(), Some((contact, told.to_owned())), now).await
}

/// All there is about the number, as a file for its owner. It leaves a line in the audit, or there is no file.
async fn hand_over(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    Address(address): Address,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Admin)?;
    let Some((_, number)) = named(&house, &id).await? else { return not_named(&house, &person, &id).await };
    if house.lines().is_own(&number) || number.is_erased() {
        return Err(Error::NotFound.into());
    }
    let parts = house.store.personal_data(&number).await?;
    let entry = AuditEntry {
        by: person.actor.clone(),
        action: "find",
        object: format!("caller {}", number.e164()),
        detail: String::new(),
        address,
    };
    house.store.audit(entry, now).await?;
    let all = personal_document(&number, &parts, now);
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"personal-data.json\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, serde_json::Value::Object(all).to_string()).into_response())
}

async fn draw(
    house: &House,
    person: &Person,
    (id, number): (i64, &PhoneNumber),
    view: &View,
    refused: Option<(Contact, String)>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let filter = CallFilter {
        search: Some(Search::Number(number.clone())),
        after: CallPage::parse_cursor(&view.calls),
        limit: PAGE,
        ..CallFilter::default()
    };
    let calls = house.store.calls(&filter).await?;
    let after = CallPage::parse_cursor(&view.callbacks);
    let callbacks = house.store.callbacks_of_number(number, after, PAGE as usize).await?;
    let title = |id| lines.by_id(id).title.clone();
    let address = card_address(id);
    let fragment = !view.fragment.is_empty();
    let at =
        |name: &str, cursor: String| format!("{address}?{name}={cursor}{}", if fragment { "&fragment=1" } else { "" });
    let (contact, told) = match refused {
        Some((contact, told)) => (contact, Some(told)),
        None => (house.store.contacts(std::slice::from_ref(number)).await?.remove(number).unwrap_or_default(), None),
    };
    let status = if told.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let last_callback = callbacks.next.and(callbacks.items.last());
    let card = Card {
        number: number.spaced(),
        is_erased: number.is_erased(),
        personal: (person.role >= Role::Admin && !number.is_erased()).then(|| format!("{address}/personal.json")),
        dial: dial_link(house, number, person, &wall).await?,
        contact,
        told,
        blocked: house
            .store
            .blocked_number(number)
            .await?
            .map(|blocked| format!("{}, {}: {}", wall.exact(blocked.blocked_at), blocked.by, blocked.reason)),
        may_block: person.role >= Role::Senior && !lines.is_own(number) && !number.is_erased(),
        saved: !view.saved.is_empty(),
        fragment,
        more_callbacks: last_callback
            .map(|last| at("callbacks", CallPage::cursor((last.callback.received_at, last.callback.id)))),
        callbacks: callbacks
            .items
            .iter()
            .map(|view| CallbackLine {
                id: view.callback.id,
                received: wall.listed(view.callback.received_at),
                line: title(&view.callback.line),
                state: state(&view.callback.desk.state, &wall),
                notes: notes(view),
            })
            .collect(),
        more_calls: calls.next.map(|next| at("calls", CallPage::cursor(next))),
        calls: calls
            .entries
            .iter()
            .map(|entry| CallLine {
                id: entry.call.id,
                started: wall.listed(entry.call.started_at),
                line: entry.call.line.as_ref().map_or_else(|| "—".to_owned(), title),
                outcome: outcome_words(&entry.call),
                is_blocked: entry.call.blocked_at.is_some(),
                length: lasted(&entry.call),
            })
            .collect(),
        address,
    };
    let drawn = match fragment {
        true => page(&CallerFragment { card }),
        false => page(&CallerPage { frame: Frame::of(house, person, Here::Log, now).await?, card }),
    };
    Ok((status, drawn).into_response())
}

fn state(state: &Stands, wall: &Wall<'_>) -> String {
    match state {
        Stands::Open => "открыто".to_owned(),
        Stands::Claimed { by, .. } => format!("в работе: {by}"),
        Stands::Later { until, .. } => format!("отложено {}", wall.until(*until)),
        Stands::Done { by, at, .. } => format!("сделано {}: {by}", wall.moment(*at)),
        Stands::Exceptional { by, at, .. } => format!("передано в поддержку портала {}: {by}", wall.moment(*at)),
        Stands::Declined { by, at, reason, .. } => {
            format!("отклонено {}: {by}. {}", wall.moment(*at), reason.title())
        }
    }
}

fn notes(view: &CallbackView) -> Vec<String> {
    let summary = view.callback.desk.notes.summary.iter().cloned();
    // What was taken back stands in the note of an undoing, as a word of the program.
    let said = view.history.iter().filter(|step| !step.note.is_empty() && step.kind != "undo");
    summary.chain(said.map(|step| format!("{}: {}", step.by, step.note))).collect()
}
