//! The way in and out.

mod carried;
mod door;
mod invited;
mod second_step;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use tracing::{info, warn};

use self::carried::Onward;
pub(super) use self::carried::keep_what_was_typed;
pub(super) use self::door::{Address, Door};
use super::frame::Frame;
use super::gate::Gate;
use super::refused::{PageError, minutes};
use super::{AnyQuery, LARGEST_FORM, Visitor, page, query};
use crate::core::officer::Actor;
use crate::store::{AuditEntry, Officer};
use crate::time::Timestamp;
use crate::web::{Error, House, Rejection, password, session};

/// The longest login that is looked at, in bytes.
pub(super) const LONGEST_LOGIN: usize = 200;

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
        .layer(Extension(Arc::new(Gate::new())))
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

/// Looks whether one more try is allowed, checks the password, begins a session or asks for the second factor.
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
    let again = |status: StatusCode, told: String| {
        let frame = Frame::bare(&house, door.now);
        let form = SignInPage { frame, login: login.to_owned(), onward: onward.clone(), told: Some(told), why: None };
        (status, page(&form)).into_response()
    };
    if let Err(seconds) = door.gate.enter(door.address, &shortened(login), door.now) {
        if house.rejections.is_first(Rejection::TooManySignIns, "") {
            warn!(address = %door.address, "Too many failed sign-ins from {}", door.address);
        }
        return Ok(too_many(seconds, |told| again(StatusCode::TOO_MANY_REQUESTS, told)));
    }
    let known = match login.len() {
        1..=LONGEST_LOGIN => house.store.officer_by_login(login).await?,
        _ => None,
    };
    let by = known.as_ref().map_or_else(Actor::stranger, |officer| Actor::officer(officer.id, &officer.name));
    let Some(officer) = checked(&door.gate, known, password).await else {
        if house.rejections.is_first(Rejection::FailedSignIn, "") {
            warn!(address = %door.address, "A sign-in from {} failed", door.address);
        }
        failure(&house, &door, by, "login_failed", &shortened(login)).await?;
        let told = "Логин или пароль не подходят. Проверьте раскладку клавиатуры и Caps Lock.".to_owned();
        return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, told));
    };
    door.gate.passed(door.address, login);
    after_password(&house, &door, &officer, onward, "").await
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
    onward.lead(house, &person, door.now).await
}

/// The officer, if the password fits. A login nobody has takes as long as a wrong password.
pub(super) async fn checked(gate: &Gate, known: Option<Officer>, password: String) -> Option<Officer> {
    static NOBODY: LazyLock<String> = LazyLock::new(|| password::hash(&password::generate()));
    let _turn = gate.hashing.acquire().await.ok()?;
    let checking = tokio::task::spawn_blocking(move || {
        let nobody = &*NOBODY;
        // Who has chosen no password yet has an empty hash.
        let known = known.filter(Officer::can_come_in);
        let hash = known.as_ref().map_or(nobody, |officer| &officer.password_hash);
        password::verify(&password, hash).then_some(known).flatten()
    });
    checking.await.ok().flatten()
}

/// The hash of a new password.
pub(super) async fn hashed(gate: &Gate, password: String) -> Result<String, PageError> {
    let _turn = gate.hashing.acquire().await.map_err(|_| Error::SlowDown(1))?;
    let hashing = tokio::task::spawn_blocking(move || password::hash(&password));
    hashing.await.map_err(|_| Error::SlowDown(1).into())
}

/// The same sentence wherever somebody tries too often, with the time to wait for programs too.
pub(super) fn too_many(seconds: u64, say: impl FnOnce(String) -> Response) -> Response {
    let told = format!("Слишком много неудачных попыток. Подождите {} и попробуйте ещё раз.", minutes(seconds));
    let mut refused = say(told);
    refused.headers_mut().insert(RETRY_AFTER, seconds.into());
    refused
}

/// Writes down that somebody was not let in. What a flood of tries would write is bounded.
pub(super) async fn failure(
    house: &House,
    door: &Door,
    by: Actor,
    action: &'static str,
    detail: &str,
) -> Result<(), PageError> {
    if door.gate.is_worth_writing_down(door.now) {
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
fn own_page(to: &str) -> &str {
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
