//! The way in and out.

mod carried;
mod door;
mod invited;
mod second_step;

use std::sync::LazyLock;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use tracing::{info, warn};

use self::carried::Onward;
pub(super) use self::carried::keep_what_was_typed;
pub(super) use self::door::{Address, Door};
use super::frame::Frame;
use super::refused::{PageError, minutes};
use super::{AnyQuery, LARGEST_FORM, Visitor, page, query};
use crate::core::officer::Actor;
use crate::store::{AuditEntry, Officer};
use crate::time::Timestamp;
use crate::web::login_throttle::{Origin, Target};
use crate::web::work_queue::WorkError;
use crate::web::{Error, House, Rejection, known_device, password, session};

/// The longest login that is looked at, in bytes.
pub(super) const LONGEST_LOGIN: usize = 200;

/// When to come again after too many others: the queue is some 2 s long.
const BUSY_SECONDS: u64 = 5;

/// The form besides what it carries on from another one.
pub(super) const LARGEST_SIGN_IN: usize = LARGEST_FORM + 16 * 1024;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .merge(second_step::router())
        .layer(DefaultBodyLimit::max(LARGEST_SIGN_IN))
        .route("/logout", post(sign_out))
        .merge(invited::router())
        .merge(super::me::router())
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    login: String,
    onward: Onward,
    told: Option<String>,
    /// Why this page appears where another was wanted.
    why: Option<&'static str>,
}

#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    to: String,
}

async fn show(State(house): State<House>, wanted: AnyQuery<Wanted>) -> Response {
    let frame = Frame::bare(&house, house.clock.now());
    let onward = Onward::to(&query(wanted).to);
    page(&SignInPage { frame, login: String::new(), onward, told: None, why: None })
}

/// Checks the password if one more try is allowed, begins a session or asks for the second factor.
async fn sign_in(
    State(house): State<House>,
    door: Door,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, PageError> {
    let field = |fields: &[(String, String)], name: &str| {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let (Some(login), Some(password)) = (field(&fields, "login"), field(&fields, "password")) else {
        return Err(Error::BadRequest("Заполните логин и пароль.".to_owned()).into());
    };
    let (login, onward) = (login.trim(), Onward::of_form(&fields));
    let known = match login.len() {
        1..=LONGEST_LOGIN => house.store.officer_by_login(login).await?,
        _ => None,
    };
    let by = known.as_ref().map_or_else(Actor::stranger, |officer| Actor::officer(officer.id, &officer.name));
    // What stands in the field for the login may be a password.
    let known_login = known.as_ref().map_or_else(String::new, |officer| officer.login.clone());
    let origin = door.origin(&house, known.as_ref().map(|officer| officer.id)).await?;
    let not_proved =
        match try_password(&house, origin, Target::password(&shortened(login)), known, password, door.now).await {
            Ok(officer) => return after_password(&house, &door, &officer, onward, "").await,
            Err(not_proved) => not_proved,
        };
    if house.rejections.is_first(Rejection::FailedSignIn, "") {
        warn!(address = %door.address, "A sign-in from {} was refused: {not_proved}", door.address);
    }
    if let NotProved::Wrong = not_proved {
        failure(&house, &door, by, "login_failed", &known_login).await?;
    }
    let (frame, login) = (Frame::bare(&house, door.now), login.to_owned());
    let told = not_proved.text("Логин или пароль не подходят. Проверьте раскладку клавиатуры и Caps Lock.");
    Ok(not_proved.answer(page(&SignInPage { frame, login, onward, told: Some(told), why: None })))
}

/// The password is proved: who has a second factor is asked for it, everybody else is in. `how`: for the audit.
async fn after_password(
    house: &House,
    door: &Door,
    officer: &Officer,
    onward: Onward,
    how: &str,
) -> Result<Response, PageError> {
    match officer.has_factor {
        true => {
            session::begin_half(house, &door.session, officer, door.now).await?;
            Ok(second_step::ask(house, onward, None, door.now))
        }
        false => come_in(house, door, officer, onward, how).await,
    }
}

/// All is proved: a session begins, and the answer leads on.
async fn come_in(
    house: &House,
    door: &Door,
    officer: &Officer,
    onward: Onward,
    how: &str,
) -> Result<Response, PageError> {
    session::begin(house, &door.session, officer, &door.headers, door.address, door.now).await?;
    let person = session::person_of(officer);
    house.store.signed_in(officer.id, &person.actor, how, &door.address.to_string(), door.now).await?;
    info!(officer.id = officer.id, "Officer {} signed in", officer.id);
    let device = known_device::remember(house, &door.headers, officer.id, door.now).await?;
    let mut answer = onward.lead(house, &person, door.now).await?;
    if let Some(device) = device {
        answer.headers_mut().append(SET_COOKIE, device);
    }
    Ok(answer)
}

/// Why nobody is taken for who they say they are.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProved {
    #[error("the password or code is wrong")]
    Wrong,
    /// This try was not made; seconds until the next may be.
    #[error("too many tries before it")]
    TooMany(u64),
    /// The password was not looked at.
    #[error("too many others wait")]
    Busy,
}

impl NotProved {
    /// What stands beside the form; `wrong` where the password or code does not fit.
    pub fn text(&self, wrong: &str) -> String {
        match self {
            Self::Wrong => wrong.to_owned(),
            Self::TooMany(seconds) => {
                format!("Слишком много неудачных попыток. Подождите {} и попробуйте ещё раз.", minutes(*seconds))
            }
            Self::Busy => {
                "Сейчас входят сразу очень многие. Подождите несколько секунд и попробуйте ещё раз.".to_owned()
            }
        }
    }

    /// The form once more, with the status and the time to wait, for programs too.
    pub fn answer(&self, form: Response) -> Response {
        match self {
            Self::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, form).into_response(),
            Self::TooMany(seconds) => {
                (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())], form).into_response()
            }
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, BUSY_SECONDS.to_string())], form).into_response()
            }
        }
    }
}

/// The officer, if one more try is allowed and the password fits. A login nobody has takes as long as a wrong password.
pub(super) async fn try_password(
    house: &House,
    origin: Origin,
    target: Target,
    known: Option<Officer>,
    password: String,
    now: Timestamp,
) -> Result<Officer, NotProved> {
    static NOBODY: LazyLock<String> = LazyLock::new(|| password::hash(&password::generate()));
    house.throttle.try_acquire(origin, &target, now).map_err(NotProved::TooMany)?;
    let check = move || {
        let nobody = &*NOBODY;
        // Who has chosen no password yet has an empty hash.
        let known = known.filter(Officer::can_come_in);
        let hash = known.as_ref().map_or(nobody, |officer| &officer.password_hash);
        password::verify(&password, hash).then_some(known).flatten()
    };
    match house.hashing.of(origin).run(origin, check).await {
        Ok(Some(officer)) => {
            house.throttle.reset(origin, &target);
            Ok(officer)
        }
        Ok(None) | Err(WorkError::Panicked(_)) => Err(NotProved::Wrong),
        Err(WorkError::QueueFull) => {
            house.throttle.take_back(origin, &target);
            Err(NotProved::Busy)
        }
    }
}

/// The hash of a new password.
pub(super) async fn hashed(house: &House, origin: Origin, password: String) -> Result<String, NotProved> {
    house.hashing.of(origin).run(origin, move || password::hash(&password)).await.map_err(|_| NotProved::Busy)
}

/// Writes down that somebody was not let in. What a flood of tries would write is bounded.
pub(super) async fn failure(
    house: &House,
    door: &Door,
    by: Actor,
    action: &'static str,
    detail: &str,
) -> Result<(), PageError> {
    if house.throttle.is_worth_writing_down(door.now) {
        let object = by.id.replace(':', " ");
        let entry = AuditEntry { by, action, object, detail: detail.to_owned(), address: door.address.to_string() };
        house.store.audit(entry, door.now).await?;
    }
    Ok(())
}

fn shortened(login: &str) -> String {
    login.chars().take(LONGEST_LOGIN / 2).collect()
}

async fn sign_out(
    State(house): State<House>,
    visitor: Result<Visitor, PageError>,
    door: Door,
) -> Result<Response, PageError> {
    match visitor {
        Ok(Visitor(person)) => {
            session::end(&door.session).await?;
            audit(&house, person.actor, "logout", &door.address.to_string(), door.now).await?;
        }
        Err(nobody) if nobody.is_nobody() => session::end(&door.session).await?,
        Err(failed) => return Err(failed),
    }
    Ok(Redirect::to("/login").into_response())
}

async fn audit(house: &House, by: Actor, action: &'static str, address: &str, now: Timestamp) -> Result<(), PageError> {
    let object = by.id.replace(':', " ");
    let entry = AuditEntry { by, action, object, detail: String::new(), address: address.to_owned() };
    Ok(house.store.audit(entry, now).await?)
}

/// Where to go after signing in: only ever a page of ours.
pub(super) fn own_page(to: &str) -> &str {
    let is_odd = |c: char| c == '\\' || c.is_control() || !c.is_ascii();
    let stays = to.starts_with('/') && !to.starts_with("//");
    if stays && !to.contains(is_odd) { to } else { "/callbacks" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        for (to, page) in [
            ("/calls/7?x=1", "/calls/7?x=1"),
            ("", "/callbacks"),
            ("//evil.example", "/callbacks"),
            ("/\\evil.example", "/callbacks"),
            ("/\t/evil.example", "/callbacks"),
            ("/calls\0", "/callbacks"),
            ("/calls\u{7f}", "/callbacks"),
            ("https://evil.example", "/callbacks"),
            ("javascript:alert(1)", "/callbacks"),
        ] {
            assert_eq!(own_page(to), page, "{to}");
        }
    }
}
