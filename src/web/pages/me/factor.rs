//! Switching the second factor on and off.

use askama::Template;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;

use super::{About, Me, prove};
use crate::web::pages::frame::{Frame, Here};
use crate::web::pages::page;
use crate::web::pages::qr::Picture;
use crate::web::pages::refused::PageError;
use crate::web::pages::sign_in::Door;
use crate::web::second_factor::{Shared, kept_code, recovery_codes};
use crate::web::{House, session};

/// Where a session holds the secret until the first code proves that an app has it.
const NEW_SECRET: &str = "new_factor";

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/me/factor", get(show).post(switch_on))
        .route("/me/factor/new", post(begin))
        .route("/me/factor/off", post(switch_off))
}

#[derive(Template)]
#[template(path = "factor.html")]
struct FactorPage {
    frame: Frame,
    /// `None`: the link is too long for any code.
    picture: Option<Picture>,
    link: String,
    /// The secret in groups of four, to be typed by hand.
    secret: String,
    told: Option<String>,
}

#[derive(Template)]
#[template(path = "codes.html")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
}

/// Makes a secret and asks for its first code.
async fn begin(me: Me, door: Door) -> Result<Response, PageError> {
    if me.0.has_factor {
        return Ok(Redirect::to("/me").into_response());
    }
    session::remember(&door.session, NEW_SECRET, &Shared::generate().to_base32()).await?;
    Ok(Redirect::to("/me/factor").into_response())
}

async fn show(State(house): State<House>, me: Me, door: Door) -> Result<Response, PageError> {
    match coming(&me, &door).await? {
        Some(shared) => draw(&house, &me, &door, &shared, None).await,
        None => Ok(Redirect::to("/me").into_response()),
    }
}

/// The secret that awaits its first code.
async fn coming(me: &Me, door: &Door) -> Result<Option<Shared>, PageError> {
    let kept = session::remembered(&door.session, NEW_SECRET).await?;
    Ok(kept.filter(|_| !me.0.has_factor).as_deref().and_then(Shared::from_base32))
}

async fn draw(
    house: &House,
    me: &Me,
    door: &Door,
    shared: &Shared,
    told: Option<String>,
) -> Result<Response, PageError> {
    let link = shared.link(&me.0.login).unwrap_or_default();
    let letters: Vec<char> = shared.to_base32().chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    Ok(page(&FactorPage {
        frame: Frame::of(house, &me.person(), Here::Me, door.now).await?,
        picture: Picture::of(&link),
        link,
        secret: groups.join(" "),
        told,
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CodeForm {
    code: String,
}

/// The first code is right: from now on signing in asks for one. The recovery codes are shown once.
async fn switch_on(
    State(house): State<House>,
    me: Me,
    door: Door,
    form: Result<Form<CodeForm>, FormRejection>,
) -> Result<Response, PageError> {
    let typed = form.map(|Form(form)| form.code).unwrap_or_default();
    let Some(shared) = coming(&me, &door).await? else { return Ok(Redirect::to("/me").into_response()) };
    let digits: String = typed.chars().filter(|letter| !letter.is_whitespace()).collect();
    let Some(step) = shared.step(&digits, house.clock.outside()) else {
        let told = "Код не подходит. Проверьте, что на телефоне точное время, и введите следующий код.".to_owned();
        let page = draw(&house, &me, &door, &shared, Some(told)).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    let codes = recovery_codes();
    let kept = codes.iter().map(|code| kept_code(code)).collect();
    let (by, address, this) = (me.person().actor, door.address.to_string(), session::row_of(&door.session));
    let on = house.store.switch_factor_on(me.0.id, shared.bytes(), step, kept, &this, &by, &address, door.now).await?;
    if !on {
        return Ok(Redirect::to("/me").into_response());
    }
    session::forget(&door.session, NEW_SECRET).await?;
    let frame = Frame::of(&house, &me.person(), Here::Me, door.now).await?;
    Ok(page(&CodesPage { frame, codes }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OffForm {
    password: String,
}

async fn switch_off(
    State(house): State<House>,
    me: Me,
    door: Door,
    form: Result<Form<OffForm>, FormRejection>,
) -> Result<Response, PageError> {
    let password = form.map(|Form(form)| form.password).unwrap_or_default();
    if let Some(refused) = prove(&house, &me, &door, About::Factor, password).await? {
        return Ok(refused);
    }
    house.store.switch_factor_off(me.0.id, &me.person().actor, &door.address.to_string(), door.now).await?;
    Ok(Redirect::to("/me?done=factor-off").into_response())
}
