//! «Моя учётная запись»: everybody's own password, second factor and sessions.

mod factor;
mod telephone;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;

use super::frame::{Frame, Here};
use super::refused::PageError;
use super::sign_in::{Door, NotProved, failure, hashed, try_password};
use super::words::{Wall, counted};
use super::{AnyQuery, Visitor, page, query};
use crate::core::officer::Role;
use crate::core::password::{LONGEST_BYTES, SHORTEST, Weak, judge};
use crate::core::phone::Telephone;
use crate::store::{Officer, Person};
use crate::web::login_throttle::Target;
use crate::web::{Error, House, session};

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/me", get(show))
        .route("/me/password", post(change_password))
        .route("/me/logout", post(sign_out_everywhere))
        .merge(factor::router())
        .merge(telephone::router())
}

/// The officer whose own page this is. Others are shown the way in.
pub(super) struct Me(pub Officer);

impl FromRequestParts<House> for Me {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, PageError> {
        match session::officer(parts, house).await? {
            Some(officer) => Ok(Self(officer)),
            None => match Visitor::from_request_parts(parts, house).await {
                Err(refused) => Err(refused),
                // Signed in between the two looks: the next try succeeds.
                Ok(_) => Err(Error::SignInFirst.into()),
            },
        }
    }
}

impl Me {
    fn person(&self) -> Person {
        session::person_of(&self.0)
    }
}

#[derive(Template)]
#[template(path = "me.html")]
struct MePage {
    frame: Frame,
    name: String,
    login: String,
    role: &'static str,
    has_factor: bool,
    /// What stands in the field of the telephone; `None`: nothing would ring it.
    telephone: Option<String>,
    /// «5 запасных кодов».
    codes_left: String,
    sessions: Vec<SessionRow>,
    /// What went well.
    done: Option<&'static str>,
    /// What did not.
    told: Option<Told>,
}

struct SessionRow {
    began: String,
    browser: String,
    address: String,
    is_this: bool,
}

impl About {
    fn is_telephone(&self) -> bool {
        matches!(self, Self::Telephone(_))
    }
}

/// A sentence about one form.
struct Told {
    about: About,
    text: String,
}

#[derive(Clone, PartialEq, Eq)]
enum About {
    Password,
    Factor,
    /// With what was typed into its field.
    Telephone(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Done {
    done: String,
}

async fn show(State(house): State<House>, me: Me, door: Door, done: AnyQuery<Done>) -> Result<Response, PageError> {
    let done = match query(done).done.as_str() {
        "password" => Some("Пароль изменён. На других устройствах нужно войти заново."),
        "telephone" => Some("Телефон сохранён."),
        "factor-off" => Some("Второй фактор выключен."),
        _ => None,
    };
    draw(&house, &me, &door, done, None).await
}

async fn draw(
    house: &House,
    me: &Me,
    door: &Door,
    done: Option<&'static str>,
    told: Option<Told>,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), door.now);
    let sessions = session::own(house, &door.session, &me.0, door.now).await?;
    let own = || me.0.telephone.as_ref().map_or_else(String::new, Telephone::spaced);
    let telephone = house.dialler().filter(|_| me.0.role >= Role::Officer).map(|_| match &told {
        Some(Told { about: About::Telephone(typed), .. }) => typed.clone(),
        _ => own(),
    });
    let left = house.store.recovery_codes_left(me.0.id).await?;
    Ok(page(&MePage {
        frame: Frame::of(house, &me.person(), Here::Me, door.now).await?,
        name: me.0.name.clone(),
        login: me.0.login.clone(),
        role: me.0.role.title(),
        has_factor: me.0.has_factor,
        telephone,
        codes_left: counted(left, ["запасной код", "запасных кода", "запасных кодов"]),
        sessions: sessions
            .into_iter()
            .map(|session| SessionRow {
                began: wall.moment(session.began_at),
                browser: session.browser,
                address: session.address,
                is_this: session.is_this,
            })
            .collect(),
        done,
        told,
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PasswordForm {
    password: String,
    new_password: String,
    new_password_again: String,
}

/// The old password is asked for, or whoever finds an open browser could keep the account.
async fn change_password(
    State(house): State<House>,
    me: Me,
    door: Door,
    form: Result<Form<PasswordForm>, FormRejection>,
) -> Result<Response, PageError> {
    let form = form.map(|Form(form)| form).unwrap_or_default();
    if let Err(weak) = judge(&form.new_password, &me.0.login, &me.0.name) {
        return refuse(&house, &me, &door, About::Password, weak_in_words(weak)).await;
    }
    if form.new_password != form.new_password_again {
        let told = "Пароли не совпадают. Введите новый пароль два раза одинаково.";
        return refuse(&house, &me, &door, About::Password, told).await;
    }
    if let Some(refused) = prove(&house, &me, &door, About::Password, form.password).await? {
        return Ok(refused);
    }
    let origin = door.origin(&house, Some(me.0.id)).await?;
    let hash = match hashed(&house, origin, form.new_password).await {
        Ok(hash) => hash,
        Err(busy) => return not_proved_answer(&house, &me, &door, About::Password, &busy).await,
    };
    let (by, address) = (me.person().actor, door.address.to_string());
    house.store.change_password(me.0.id, &hash, &by, &address, door.now).await?;
    let officer = Officer { password_hash: hash, ..me.0 };
    session::begin(&house, &door.session, &officer, &door.headers, door.address, door.now).await?;
    Ok(Redirect::to("/me?done=password").into_response())
}

/// Asks for the password once more. `Some`: it did not prove anything, and this is the answer.
async fn prove(
    house: &House,
    me: &Me,
    door: &Door,
    about: About,
    password: String,
) -> Result<Option<Response>, PageError> {
    let (login, origin) = (&me.0.login, door.origin(house, Some(me.0.id)).await?);
    match try_password(house, origin, Target::password(login), Some(me.0.clone()), password, door.now).await {
        Ok(_) => Ok(None),
        Err(not_proved) => {
            if let NotProved::Wrong = not_proved {
                failure(house, door, me.person().actor, "login_failed", login).await?;
            }
            not_proved_answer(house, me, door, about, &not_proved).await.map(Some)
        }
    }
}

async fn not_proved_answer(
    house: &House,
    me: &Me,
    door: &Door,
    about: About,
    not_proved: &NotProved,
) -> Result<Response, PageError> {
    let told = Told { about, text: not_proved.text("Нынешний пароль не подходит.") };
    Ok(not_proved.answer(draw(house, me, door, None, Some(told)).await?))
}

async fn refuse(house: &House, me: &Me, door: &Door, about: About, told: &str) -> Result<Response, PageError> {
    let told = Told { about, text: told.to_owned() };
    let page = draw(house, me, door, None, Some(told)).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// «Выйти на всех устройствах», this one too.
async fn sign_out_everywhere(State(house): State<House>, me: Me, door: Door) -> Result<Response, PageError> {
    let (by, address) = (me.person().actor, door.address.to_string());
    house.store.end_sessions(me.0.id, "", &by, &address, door.now).await?;
    session::end(&door.session).await?;
    Ok(Redirect::to("/login").into_response())
}

/// Why a password may not be chosen, and what to do.
pub(super) fn weak_in_words(weak: Weak) -> &'static str {
    const { assert!(SHORTEST == 10 && LONGEST_BYTES == 1024) };
    match weak {
        Weak::TooShort => "Слишком короткий пароль: нужно не меньше 10 знаков. Хорошо подходит короткая фраза.",
        Weak::TooLong => "Слишком длинный пароль: хватит 500 знаков.",
        Weak::OwnName => "Пароль совпадает с вашим логином или именем. Придумайте другой.",
        Weak::Commonplace => "Такой пароль подбирают первым. Хорошо подходит фраза из нескольких слов.",
    }
}
