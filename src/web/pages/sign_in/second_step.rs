//! The second step of signing in: a code of the authenticator app, or a recovery code.

use askama::Template;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};

use super::carried::Onward;
use super::{Door, NotProved, SignInPage, come_in, failure};
use crate::core::officer::Actor;
use crate::store::Officer;
use crate::time::Timestamp;
use crate::web::login_throttle::Target;
use crate::web::pages::frame::Frame;
use crate::web::pages::page;
use crate::web::pages::refused::PageError;
use crate::web::second_factor::{Shared, kept_code};
use crate::web::{House, session};

pub(super) fn router() -> Router<House> {
    Router::new().route("/login/code", get(show).post(check))
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    frame: Frame,
    onward: Onward,
    told: Option<String>,
}

/// The page that asks for the code.
pub(super) fn ask(house: &House, onward: Onward, told: Option<String>, now: Timestamp) -> Response {
    page(&CodePage { frame: Frame::bare(house, now), onward, told })
}

async fn show(State(house): State<House>, door: Door) -> Result<Response, PageError> {
    match session::half_way(&house, &door.session, door.now).await? {
        Some(_) => Ok(ask(&house, Onward::default(), None, door.now)),
        None => Ok(begin_anew(&house, Onward::default(), door.now)),
    }
}

async fn check(
    State(house): State<House>,
    door: Door,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, PageError> {
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let typed = fields.iter().find(|(name, _)| name == "code").map(|(_, value)| value.trim()).unwrap_or_default();
    let onward = Onward::of_form(&fields);
    let Some(officer) = session::half_way(&house, &door.session, door.now).await? else {
        return Ok(begin_anew(&house, onward, door.now));
    };
    let by = Actor::officer(officer.id, &officer.name);
    // Counted apart from passwords: who knows the password must not get ten tries at the code with each of them.
    let (origin, target) =
        (door.origin(&house, Some(officer.id)).await?, Target::SecondFactor { officer_id: officer.id });
    let again = |not_proved: NotProved| {
        let told = not_proved.text("Код не подходит. Дождитесь следующего кода в приложении и введите его.");
        not_proved.answer(ask(&house, onward.clone(), Some(told), door.now))
    };
    if let Err(seconds) = house.throttle.try_acquire(origin, &target, door.now) {
        return Ok(again(NotProved::TooMany(seconds)));
    }
    let Some(how) = proved(&house, &door, &officer, &by, typed).await? else {
        failure(&house, &door, by, "factor_failed", "").await?;
        return Ok(again(NotProved::Wrong));
    };
    house.throttle.reset(origin, &target);
    come_in(&house, &door, &officer, onward, how).await
}

/// With what the second factor was proved, in words for the audit. Each code is taken once.
async fn proved(
    house: &House,
    door: &Door,
    officer: &Officer,
    by: &Actor,
    typed: &str,
) -> Result<Option<&'static str>, PageError> {
    let digits: String = typed.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
    if digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        // Taken away by an administrator meanwhile: the password is typed once more, and is enough then.
        let Some(factor) = house.store.factor(officer.id).await? else { return Ok(None) };
        let step = Shared::from_bytes(&factor.secret).step(&digits, house.clock.outside());
        let Some(step) = step else { return Ok(None) };
        return Ok(house.store.use_factor_step(officer.id, step).await?.then_some("код из приложения"));
    }
    let address = door.address.to_string();
    let used = house.store.use_recovery_code(officer.id, kept_code(typed), by, &address, door.now).await?;
    Ok(used.then_some("запасной код"))
}

fn begin_anew(house: &House, onward: Onward, now: Timestamp) -> Response {
    let frame = Frame::bare(house, now);
    let why = "Код ждали 10 минут. Введите логин и пароль ещё раз.";
    let form = SignInPage { frame, login: String::new(), onward, told: None, why: Some(why) };
    (StatusCode::UNAUTHORIZED, page(&form)).into_response()
}
