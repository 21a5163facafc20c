//! Registering by hand (R13): who came in person, spoke at a meeting or wrote stands on the same list as who called.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Router};
use serde::Deserialize;

use super::frame::{Choice, Frame, Here};
use super::notes::{Mistake, NoteChoices, NotesTyped, mistake, place, tidy};
use super::refused::{PageError, sentence};
use super::words::Wall;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::callback::{Channel, LONGEST_NOTE};
use crate::core::line::LineId;
use crate::core::phone::PhoneNumber;
use crate::store::{NewCallback, Person};
use crate::time::Timestamp;
use crate::web::{Error, House};

/// The longest address of e-mail there can be.
const LONGEST_EMAIL: usize = 254;

pub(super) fn router() -> Router<House> {
    Router::new().route("/callbacks/new", get(show).post(register))
}

/// The form, as typed. The query of the address fills it in beforehand.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Typed {
    line: String,
    channel: String,
    number: String,
    email: String,
    #[serde(flatten)]
    notes: NotesTyped,
}

#[derive(Template)]
#[template(path = "by_hand.html")]
struct ByHandPage {
    frame: Frame,
    lines: Vec<Choice>,
    channels: Vec<Choice>,
    choices: NoteChoices,
    typed: Typed,
    mistakes: Vec<Mistake>,
}

impl ByHandPage {
    /// What was wrong with this field, if anything.
    fn wrong(&self, field: &str) -> Option<&str> {
        mistake(&self.mistakes, field)
    }
}

async fn show(Seen(house): Seen, visitor: Visitor, typed: AnyQuery<Typed>) -> Result<Response, PageError> {
    let person = visitor.officer()?;
    draw(&house, &person, query(typed), Vec::new(), house.clock.now()).await
}

async fn register(
    Seen(house): Seen,
    visitor: Visitor,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.officer()?;
    let Ok(Form(mut typed)) = form else {
        return Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into());
    };
    typed.notes.tidy();
    let new = match read(&house, &typed) {
        Ok(new) => new,
        Err(mistakes) => return draw(&house, &person, typed, mistakes, now).await,
    };
    let lines = house.lines();
    let wall = Wall::new(lines.by_id(&new.line).calendar.time_zone(), now);
    match house.store.register_by_hand(new, &person.actor, &lines, now).await {
        Ok(registered) => Ok(Redirect::to(&place(&registered, now)).into_response()),
        Err(refused) => match sentence(&refused, &wall) {
            Some(told) => draw(&house, &person, typed, vec![Mistake::new("summary", told)], now).await,
            None => Err(refused.into()),
        },
    }
}

/// What the form asks for, or all that is wrong with it, in the order of its fields.
fn read(house: &House, typed: &Typed) -> Result<NewCallback, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let lines = house.lines();
    let line = lines.get(&LineId::new(&typed.line)).map(|line| line.id.clone());
    if line.is_none() {
        mistakes.push(Mistake::new("line", "Выберите линию."));
    }
    let channel = Channel::ALL.into_iter().find(|channel| channel.as_str() == typed.channel);
    if channel.is_none() {
        mistakes.push(Mistake::new("channel", "Выберите, как обратились."));
    }
    let number = match tidy(&typed.number) {
        none if none.is_empty() => None,
        number => {
            let read = PhoneNumber::parse(&number).ok();
            let told = match &read {
                None => Some("Телефон не распознан. Напишите его целиком, например 8 928 803-63-55."),
                Some(number) if lines.is_own(number) => {
                    Some("Это номер самой линии. Впишите номер, по которому перезвонить.")
                }
                Some(_) => None,
            };
            mistakes.extend(told.map(|told| Mistake::new("number", told)));
            read
        }
    };
    let email = tidy(&typed.email);
    if !email.is_empty() && !is_email(&email) {
        mistakes.push(Mistake::new("email", "Адрес почты не распознан. Напишите его целиком, например mama@mail.ru."));
    }
    if typed.number.trim().is_empty() && email.is_empty() && typed.notes.summary.is_empty() {
        mistakes.push(Mistake::new("number", "Укажите телефон, адрес почты или суть вопроса: иначе ответить некому."));
    }
    typed.notes.check(&mut mistakes);
    let mut notes = typed.notes.clone();
    if !email.is_empty() {
        let told = format!("Ответить на почту: {email}");
        notes.summary = [notes.summary.as_str(), &told].join(" ").trim().to_owned();
        if notes.summary.chars().count() > LONGEST_NOTE && mistake(&mistakes, "summary").is_none() {
            mistakes.push(Mistake::new("summary", "Суть вопроса вместе с адресом почты слишком длинная. Сократите."));
        }
    }
    let (Some(line), Some(channel), true) = (line, channel, mistakes.is_empty()) else { return Err(mistakes) };
    Ok(NewCallback { line, callback_number: number, channel, notes: only_told(notes) })
}

/// What was left empty clears nothing of a callback that this one joins.
fn only_told(typed: NotesTyped) -> crate::core::callback::Notes {
    let mut notes = typed.notes();
    for note in [&mut notes.asker, &mut notes.topic, &mut notes.summary, &mut notes.reference] {
        note.take_if(|text| text.is_empty());
    }
    notes
}

/// Something before and after the sign, and no spaces: whether it exists only a letter can tell.
fn is_email(text: &str) -> bool {
    let whole = text.len() <= LONGEST_EMAIL && !text.contains(char::is_whitespace);
    whole
        && text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.contains('@') && host.trim_matches('.').contains('.'))
}

async fn draw(
    house: &House,
    person: &Person,
    typed: Typed,
    mistakes: Vec<Mistake>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines: Vec<Choice> = house
        .lines()
        .iter()
        .filter(|line| house.store.sees(&line.id))
        .map(|line| Choice {
            value: line.id.to_string(),
            label: line.title.clone(),
            chosen: line.id.as_str() == typed.line,
        })
        .collect();
    let channels = [Channel::InPerson, Channel::Meeting, Channel::Email, Channel::Telephone];
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = ByHandPage {
        frame: Frame::of(house, person, Here::Desk, now).await?,
        lines,
        channels: channels
            .into_iter()
            .map(|channel| Choice {
                value: channel.as_str().to_owned(),
                label: channel.title().to_owned(),
                chosen: channel.as_str() == typed.channel,
            })
            .collect(),
        choices: NoteChoices::of(&typed.notes),
        typed,
        mistakes,
    };
    Ok((status, self::page(&page)).into_response())
}
