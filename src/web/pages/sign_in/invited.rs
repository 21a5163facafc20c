//! The page behind a one-time link: somebody chooses a password and is in.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::carried::Onward;
use super::{Door, after_password, hashed};
use crate::core::password::judge;
use crate::web::House;
use crate::web::pages::frame::Frame;
use crate::web::pages::me::weak_in_words;
use crate::web::pages::page;
use crate::web::pages::refused::{Failure, PageError};

pub(super) fn router() -> Router<House> {
    Router::new().route("/invite/{secret}", get(show).post(accept))
}

#[derive(Template)]
#[template(path = "invited.html")]
struct InvitedPage {
    frame: Frame,
    name: String,
    login: String,
    told: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen {
    password: String,
    password_again: String,
}

async fn show(State(house): State<House>, Path(secret): Path<String>) -> Result<Response, PageError> {
    let now = house.clock.now();
    let Some(officer) = house.store.invited(Sha256::digest(&secret).to_vec(), now).await? else { return Ok(void()) };
    let frame = Frame::bare(&house, now);
    Ok(page(&InvitedPage { frame, name: officer.name, login: officer.login, told: None }))
}

async fn accept(
    State(house): State<House>,
    Path(secret): Path<String>,
    door: Door,
    chosen: Result<Form<Chosen>, FormRejection>,
) -> Result<Response, PageError> {
    let link = Sha256::digest(&secret).to_vec();
    let Some(officer) = house.store.invited(link.clone(), door.now).await? else { return Ok(void()) };
    let Chosen { password, password_again } = chosen.map(|Form(chosen)| chosen).unwrap_or_default();
    let wrong = match judge(&password, &officer.login, &officer.name) {
        Err(weak) => Some(weak_in_words(weak)),
        Ok(()) if password != password_again => Some("Пароли не совпадают. Введите одно и то же два раза."),
        Ok(()) => None,
    };
    let form = |told: String| {
        let frame = Frame::bare(&house, door.now);
        let (name, login) = (officer.name.clone(), officer.login.clone());
        page(&InvitedPage { frame, name, login, told: Some(told) })
    };
    if let Some(told) = wrong {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form(told.to_owned())).into_response());
    }
    let origin = door.origin(&house, Some(officer.id)).await?;
    let hash = match hashed(&house, origin, password).await {
        Ok(hash) => hash,
        Err(busy) => return Ok(busy.answer(form(busy.text("")))),
    };
    let address = door.address.to_string();
    match house.store.accept_invitation(link, &hash, &address, door.now).await? {
        Some(officer) => after_password(&house, &door, &officer, Onward::default(), "по ссылке").await,
        None => Ok(void()),
    }
}

/// Used, replaced, too old or made up: nobody is told which.
fn void() -> Response {
    let text = "Ссылка не действует: её уже открыли и выбрали пароль, выдали новую, или прошло три дня. \
                Попросите у администратора новую ссылку.";
    Failure {
        status: StatusCode::GONE, title: "Ссылка не действует".to_owned(), text: text.to_owned()
    }
    .into_response()
}
