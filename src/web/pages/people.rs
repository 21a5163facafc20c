//! «Сотрудники»: who may come in, with which role. For administrators.

mod person;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::frame::{Choice, Frame, Here};
use super::refused::PageError;
use super::sign_in::{Address, LONGEST_LOGIN};
use super::words::Wall;
use super::{Seen, Visitor, page};
use crate::core::line::Lines;
use crate::core::officer::Role;
use crate::core::phone::Telephone;
use crate::store::{Invitation, Officer, PeopleError, Person};
use crate::time::Timestamp;
use crate::web::password::{hex, random};
use crate::web::{Error, House};

/// The longest name, in letters: a column of the list.
const LONGEST_NAME: usize = 100;

pub(super) fn router() -> Router<House> {
    Router::new().route("/people", get(show).post(add)).merge(person::router())
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    rows: Vec<Row>,
    name: String,
    login: String,
    roles: Vec<Choice>,
    told: Option<String>,
}

/// One person of the list.
struct Row {
    id: i64,
    name: String,
    login: String,
    role: &'static str,
    last_sign_in: String,
    has_factor: bool,
    telephone: String,
    /// «все», «Родители».
    lines: String,
    state: String,
    is_disabled: bool,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    frame: Frame,
    name: String,
    login: String,
    link: String,
    until: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct NewPerson {
    name: String,
    login: String,
    role: String,
}

async fn show(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Admin)?;
    draw(&house, &person, NewPerson::default(), None, house.clock.now()).await
}

async fn draw(
    house: &House,
    person: &Person,
    typed: NewPerson,
    told: Option<String>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let invitations = house.store.invitations().await?;
    let officers = house.store.officers().await?;
    let rows = officers.iter().map(|officer| row(officer, &invitations, &lines, &wall)).collect();
    Ok(page(&PeoplePage {
        frame: Frame::of(house, person, Here::People, now).await?,
        rows,
        roles: role_choices(typed.role.parse().unwrap_or(Role::Officer)),
        name: typed.name,
        login: typed.login,
        told,
    }))
}

fn row(officer: &Officer, invitations: &[Invitation], lines: &Lines, wall: &Wall<'_>) -> Row {
    Row {
        id: officer.id,
        name: officer.name.clone(),
        login: officer.login.clone(),
        role: officer.role.title(),
        last_sign_in: officer.last_sign_in_at.map_or_else(|| "ещё не входил".to_owned(), |at| wall.moment(at)),
        has_factor: officer.has_factor,
        telephone: officer.telephone.as_ref().map_or_else(|| "нет".to_owned(), Telephone::spaced),
        lines: officer.scope().titles(lines),
        state: state(officer, invitations, wall),
        is_disabled: officer.disabled_at.is_some(),
    }
}

/// In words: may they come in, and if not yet, until when can they.
fn state(officer: &Officer, invitations: &[Invitation], wall: &Wall<'_>) -> String {
    let link = invitations.iter().find(|invitation| invitation.officer_id == officer.id);
    let waits = link.filter(|link| link.expires_at > wall.now);
    match (officer.disabled_at, officer.can_come_in(), waits) {
        (Some(at), ..) => format!("отключён {}", wall.moment(at)),
        (None, true, None) => "работает".to_owned(),
        (None, true, Some(link)) => format!("работает, новая ссылка до {}", wall.listed(link.expires_at)),
        (None, false, Some(link)) => format!("приглашён, ссылка до {}", wall.listed(link.expires_at)),
        (None, false, None) => "ссылка больше не действует, нужна новая".to_owned(),
    }
}

fn role_choices(chosen: Role) -> Vec<Choice> {
    let choice = |role: Role| Choice {
        value: role.as_str().to_owned(),
        label: format!("{}: {}", role.title(), may(role)),
        chosen: role == chosen,
    };
    Role::ALL.into_iter().map(choice).collect()
}

/// What a role may do, in few words.
fn may(role: Role) -> &'static str {
    match role {
        Role::Observer => "смотрит, записи не слушает",
        Role::Officer => "перезванивает",
        Role::Senior => "ещё отчёты, приветствия, календарь",
        Role::Admin => "ещё люди, линии, удаление",
    }
}

async fn add(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    form: Result<Form<NewPerson>, FormRejection>,
) -> Result<Response, PageError> {
    let (now, person) = (house.clock.now(), visitor.at_least(Role::Admin)?);
    let typed = form.map(|Form(form)| form).unwrap_or_default();
    let (name, login) = (typed.name.trim(), typed.login.trim());
    let role: Result<Role, _> = typed.role.parse();
    let told = match (name_mistake(name), login_mistake(login), role) {
        (Some(mistake), ..) | (None, Some(mistake), _) => Some(mistake.to_owned()),
        (None, None, Err(_)) => Some("Выберите роль из списка.".to_owned()),
        (None, None, Ok(role)) => {
            let (secret, sha256) = new_link();
            match house.store.invite_officer(login, name, role, sha256, &person.actor, &address, now).await {
                Ok(_) => return show_link(&house, &person, name, login, &secret, now).await,
                Err(refused) => Some(in_words(refused)?),
            }
        }
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, draw(&house, &person, typed.clone(), told, now).await?).into_response())
}

fn name_mistake(name: &str) -> Option<&'static str> {
    match name.chars().count() {
        0 => Some("Напишите имя, каким его видят коллеги, например «Мадина И.»."),
        1..=LONGEST_NAME if name.chars().any(char::is_control) => Some("В имени есть знаки, которых не видно."),
        1..=LONGEST_NAME => None,
        _ => Some("Слишком длинное имя: хватит 100 знаков."),
    }
}

/// A login is typed by hand every day, so it is plain.
fn login_mistake(login: &str) -> Option<&'static str> {
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@');
    match login.len() {
        0 => Some("Напишите логин, например madina."),
        1..=LONGEST_LOGIN if login.chars().all(plain) => None,
        1..=LONGEST_LOGIN => Some("В логине могут быть буквы, цифры, точка, дефис, подчёркивание и @."),
        _ => Some("Слишком длинный логин."),
    }
}

/// The secret of a one-time link (256 random bits), to be shown once, and its SHA-256, to be kept.
fn new_link() -> (String, Vec<u8>) {
    let secret = hex(&random::<32>());
    let sha256 = Sha256::digest(&secret).to_vec();
    (secret, sha256)
}

/// The only page that shows the link.
async fn show_link(
    house: &House,
    person: &Person,
    name: &str,
    login: &str,
    secret: &str,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    Ok(page(&LinkPage {
        frame: Frame::of(house, person, Here::People, now).await?,
        name: name.to_owned(),
        login: login.to_owned(),
        link: format!("{}/invite/{secret}", house.public_url.trim_end_matches('/')),
        until: wall.exact(now + Invitation::VALID),
    }))
}

/// A refusal as a sentence; what is no refusal goes on as an error.
fn in_words(refused: PeopleError) -> Result<String, PageError> {
    let told = match refused {
        PeopleError::LoginTaken => "Такой логин уже есть. Возьмите другой.",
        PeopleError::LastAdmin => {
            "Это последний администратор: без него никто не сможет управлять людьми и линиями. \
             Сначала назначьте ещё одного."
        }
        PeopleError::Disabled => "Сотрудник отключён. Сначала включите его.",
        PeopleError::NotFound => return Err(Error::NotFound.into()),
        PeopleError::Store(failed) => return Err(failed.into()),
    };
    Ok(told.to_owned())
}
