//! «Заблокированные номера»: a senior blocks a number on the card of its caller, and takes that back there or on the list here.

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::caller::{self, named};
use super::frame::{Frame, Here};
use super::log::card_address;
use super::refused::PageError;
use super::sign_in::Address;
use super::words::Wall;
use super::{Seen, Visitor, page};
use crate::core::officer::Role;
use crate::core::phone::PhoneNumber;
use crate::store::BlockedNumber;
use crate::web::{Error, House};

/// The longest reason, in characters.
const MAX_REASON: usize = 300;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/callers/{id}/block", post(block))
        .route("/callers/{id}/unblock", post(unblock))
        .route("/blocked", get(show))
        .route("/blocked/remove", post(remove))
}

#[derive(Template)]
#[template(path = "blocklist.html")]
struct BlocklistPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    /// E.164, sent in forms only.
    e164: String,
    number: String,
    /// «пн 23.11, 9:12, Мадина И.»
    since: String,
    reason: String,
}

async fn show(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    let (now, person) = (house.clock.now(), visitor.at_least(Role::Senior)?);
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let rows = house.store.blocked_numbers().await?.into_iter().map(|blocked| Row {
        e164: blocked.number.e164().to_owned(),
        number: blocked.number.spaced(),
        since: format!("{}, {}", wall.exact(blocked.blocked_at), blocked.by),
        reason: blocked.reason,
    });
    let rows = rows.collect();
    Ok(page(&BlocklistPage { frame: Frame::of(&house, &person, Here::Log, now).await?, rows }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BlockForm {
    reason: String,
}

async fn block(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    Address(address): Address,
    form: Result<Form<BlockForm>, FormRejection>,
) -> Result<Response, PageError> {
    let (now, person) = (house.clock.now(), visitor.at_least(Role::Senior)?);
    let (id, number) = named(&house, &id).await?.ok_or(Error::NotFound)?;
    let reason = form.map(|Form(form)| form.reason).unwrap_or_default();
    let reason: String = reason.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned();
    let refused = if house.lines().is_own(&number) {
        Some("Это номер самой школы, его заблокировать нельзя.")
    } else if reason.is_empty() || reason.chars().count() > MAX_REASON {
        Some("Номер не заблокирован. Напишите причину: одним предложением, не длиннее 300 знаков.")
    } else {
        None
    };
    if let Some(told) = refused {
        return caller::refuse(&house, &person, (id, &number), told, now).await;
    }
    let blocked = BlockedNumber { number, blocked_at: now, by: person.actor, reason };
    house.store.block(blocked, &address).await?;
    Ok(Redirect::to(&card_address(id)).into_response())
}

async fn unblock(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    Address(address): Address,
) -> Result<Redirect, PageError> {
    let (now, person) = (house.clock.now(), visitor.at_least(Role::Senior)?);
    let (id, number) = named(&house, &id).await?.ok_or(Error::NotFound)?;
    house.store.unblock(&number, &person.actor, &address, now).await?;
    Ok(Redirect::to(&card_address(id)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RemoveForm {
    number: String,
}

async fn remove(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    form: Result<Form<RemoveForm>, FormRejection>,
) -> Result<Redirect, PageError> {
    let (now, person) = (house.clock.now(), visitor.at_least(Role::Senior)?);
    let typed = form.map(|Form(form)| form.number).unwrap_or_default();
    let number = PhoneNumber::stored(&typed).ok_or(Error::NotFound)?;
    house.store.unblock(&number, &person.actor, &address, now).await?;
    Ok(Redirect::to("/blocked"))
}
