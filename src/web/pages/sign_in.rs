//! The way in and out.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, RequestExt, Router};
use serde::Deserialize;
use tracing::{info, warn};

use super::frame::Frame;
use super::gate::Gate;
use super::refused::{PageError, minutes};
use super::{AnyQuery, Visitor, page, query};
use crate::core::officer::Actor;
use crate::store::{AuditEntry, Officer};
use crate::web::{Error, House, auth, password, session};

/// The longest login that is looked at, in bytes.
const LONGEST_LOGIN: usize = 200;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
        .layer(Extension(Arc::new(Gate::new())))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    login: String,
    to: String,
    told: Option<String>,
}

#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    to: String,
}

async fn show(State(house): State<House>, wanted: AnyQuery<Wanted>) -> Response {
    let frame = Frame::bare(&house, house.clock.now());
    page(&SignInPage { frame, login: String::new(), to: query(wanted).to, told: None })
}

#[derive(Deserialize)]
struct Credentials {
    login: String,
    password: String,
    #[serde(default)]
    to: String,
}

/// Looks whether one more try is allowed, checks the password, begins a session.
async fn sign_in(
    State(house): State<House>,
    Extension(gate): Extension<Arc<Gate>>,
    request: Request,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let (headers, address) = (request.headers().clone(), auth::address(request.extensions(), request.headers()));
    let Ok(Form(credentials)) = request.extract::<Form<Credentials>, _>().await else {
        return Err(Error::BadRequest("Заполните логин и пароль.".to_owned()).into());
    };
    let login = credentials.login.trim();
    let again = |status: StatusCode, told: String| {
        let frame = Frame::bare(&house, now);
        let form = SignInPage { frame, login: login.to_owned(), to: credentials.to.clone(), told: Some(told) };
        (status, page(&form)).into_response()
    };
    if let Err(seconds) = gate.enter(address, &login.chars().take(LONGEST_LOGIN).collect::<String>(), now) {
        warn!(%address, "Too many failed sign-ins from {address}");
        let told = format!("Слишком много неудачных попыток. Подождите {} и попробуйте ещё раз.", minutes(seconds));
        let mut refused = again(StatusCode::TOO_MANY_REQUESTS, told);
        refused.headers_mut().insert(RETRY_AFTER, seconds.into());
        return Ok(refused);
    }
    let known = match login.len() {
        1..=LONGEST_LOGIN => house.store.officer_by_login(login).await?,
        _ => None,
    };
    let Some(officer) = checked(&gate, known, credentials.password.clone()).await else {
        warn!(%address, "A sign-in from {address} failed");
        let told = "Логин или пароль не подходят. Проверьте раскладку клавиатуры и Caps Lock.".to_owned();
        return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, told));
    };
    gate.passed(address, login);
    let cookie = session::begin(&house, &headers, &officer, now).await?;
    let by = Actor::officer(officer.id, &officer.name);
    audit(&house, by, "login", address, now).await?;
    info!(officer.id = officer.id, "Officer {} signed in", officer.id);
    Ok(([(SET_COOKIE, cookie)], Redirect::to(own_page(&credentials.to))).into_response())
}

/// The officer, if the password fits. A login nobody has takes as long as a wrong password.
async fn checked(gate: &Gate, known: Option<Officer>, password: String) -> Option<Officer> {
    static NOBODY: LazyLock<String> = LazyLock::new(|| password::hash(&password::generate()));
    let _turn = gate.hashing.acquire().await.ok()?;
    let checking = tokio::task::spawn_blocking(move || {
        let nobody = &*NOBODY;
        let hash = known.as_ref().map_or(nobody, |officer| &officer.password_hash);
        password::verify(&password, hash).then_some(known).flatten()
    });
    checking.await.ok().flatten()
}

async fn sign_out(
    State(house): State<House>,
    visitor: Result<Visitor, PageError>,
    request: Request,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    if let Ok(Visitor(person)) = visitor {
        let address = auth::address(request.extensions(), request.headers());
        audit(&house, person.actor, "logout", address, now).await?;
    }
    let cookie = session::end(&house, request.headers()).await?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

async fn audit(
    house: &House,
    by: Actor,
    action: &'static str,
    address: IpAddr,
    now: crate::time::Timestamp,
) -> Result<(), PageError> {
    let object = by.id.replace(':', " ");
    let entry = AuditEntry { by, action, object, detail: String::new(), address: address.to_string() };
    Ok(house.store.audit(entry, now).await?)
}

/// Where to go after signing in: only ever a page of ours.
fn own_page(to: &str) -> &str {
    let stays = to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\r', '\n', '\t']);
    if stays && to.is_ascii() { to } else { "/callbacks" }
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
            ("https://evil.example", "/callbacks"),
            ("javascript:alert(1)", "/callbacks"),
        ] {
            assert_eq!(own_page(to), page, "{to}");
        }
    }
}
