//! The page of one person, with all that an administrator may change about them.

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;

use super::{Row, in_words, name_mistake, new_link, role_choices, row, show_link};
use crate::core::line::{Line, LineId, Lines};
use crate::core::line_scope::LineScope;
use crate::core::officer::Role;
use crate::store::{OfficerChange, PeopleError, Person};
use crate::time::Timestamp;
use crate::web::pages::frame::{Choice, Frame, Here};
use crate::web::pages::refused::PageError;
use crate::web::pages::sign_in::Address;
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Seen, Visitor, page, query};
use crate::web::{Error, House};

pub(super) fn router() -> Router<House> {
    Router::new().route("/people/{id}", get(show)).route("/people/{id}/{verb}", post(change))
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    row: Row,
    roles: Vec<Choice>,
    /// Those to which this person is limited are chosen; `None`: the role sees all.
    lines: Option<Vec<Choice>>,
    done: Option<&'static str>,
    told: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Done {
    done: String,
}

async fn show(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    done: AnyQuery<Done>,
) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Admin)?;
    let done = match query(done).done.as_str() {
        "name" => Some("Имя изменено."),
        "role" => Some("Роль изменена, она действует сразу."),
        "lines" => Some("Линии изменены, это действует сразу."),
        "disable" => Some("Сотрудник отключён и вышел на всех устройствах. История осталась."),
        "enable" => Some("Сотрудник снова может войти."),
        "logout" => Some("Сотрудник вышел на всех устройствах."),
        "factor-off" => Some("Второй фактор снят. Теперь для входа хватит пароля."),
        _ => None,
    };
    draw(&house, &person, number(&id)?, done, None, house.clock.now()).await
}

fn number(id: &str) -> Result<i64, PageError> {
    id.parse().map_err(|_| Error::NotFound.into())
}

async fn draw(
    house: &House,
    person: &Person,
    id: i64,
    done: Option<&'static str>,
    told: Option<String>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let officer = house.store.any_officer(id).await?.ok_or(Error::NotFound)?;
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let invitations = house.store.invitations().await?;
    Ok(page(&PersonPage {
        frame: Frame::of(house, person, Here::People, now).await?,
        row: row(&officer, &invitations, &lines, &wall),
        roles: role_choices(officer.role),
        lines: (officer.role < Role::Senior).then(|| line_boxes(&officer.lines, &lines)),
        done,
        told,
    }))
}

/// A box for each line; none is ticked where all are seen.
fn line_boxes(own: &LineScope, lines: &Lines) -> Vec<Choice> {
    let is_own = |id: &LineId| own.named().any(|line| line == id);
    let choice =
        |line: &Line| Choice { value: line.id.to_string(), label: line.title.clone(), chosen: is_own(&line.id) };
    lines.iter().map(choice).collect()
}

/// The lines that were ticked.
fn ticked(fields: &[(String, String)], lines: &Lines) -> Result<LineScope, PeopleError> {
    let named = fields.iter().filter(|(name, _)| name == "line").map(|(_, id)| LineId::new(id));
    let named: Vec<LineId> = named.collect();
    match named.iter().all(|id| lines.get(id).is_some()) {
        true => Ok(LineScope::of(named)),
        false => Err(PeopleError::NotFound),
    }
}

async fn change(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    Path((id, verb)): Path<(String, String)>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, PageError> {
    let (now, person, id) = (house.clock.now(), visitor.at_least(Role::Admin)?, number(&id)?);
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
    let (store, by) = (&house.store, &person.actor);
    let altered = async |change| store.change_officer(id, change, by, &address, now).await.map(drop);
    let name = field("name");
    let done = match (verb.as_str(), field("role").parse::<Role>()) {
        ("name", _) => match name_mistake(name) {
            Some(mistake) => return refuse(&house, &person, id, mistake.to_owned(), now).await,
            None => altered(OfficerChange::Name(name.to_owned())).await,
        },
        ("role", Ok(role)) => altered(OfficerChange::Role(role)).await,
        ("lines", _) => match ticked(&fields, &house.lines()) {
            Ok(lines) => altered(OfficerChange::Lines(lines)).await,
            Err(unknown) => Err(unknown),
        },
        ("disable", _) => altered(OfficerChange::Disable).await,
        ("enable", _) => altered(OfficerChange::Enable).await,
        ("link", _) => {
            let (secret, sha256) = new_link();
            match store.renew_link(id, sha256, by, &address, now).await {
                Ok(officer) => return show_link(&house, &person, &officer.name, &officer.login, &secret, now).await,
                Err(refused) => Err(refused),
            }
        }
        ("logout", _) => {
            let officer = store.any_officer(id).await?.ok_or(Error::NotFound)?;
            store.end_sessions(officer.id, "", by, &address, now).await.map(drop).map_err(PeopleError::Store)
        }
        ("factor-off", _) => store.switch_factor_off(id, by, &address, now).await.map(drop).map_err(PeopleError::Store),
        _ => Err(PeopleError::NotFound),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/people/{id}?done={verb}")).into_response()),
        Err(refused) => refuse(&house, &person, id, in_words(refused)?, now).await,
    }
}

async fn refuse(house: &House, person: &Person, id: i64, told: String, now: Timestamp) -> Result<Response, PageError> {
    let page = draw(house, person, id, None, Some(told), now).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
