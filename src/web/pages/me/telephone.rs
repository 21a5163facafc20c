//! The telephone that rings before the caller's when its owner calls back.

use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use serde::Deserialize;

use super::{About, Door, Me, refuse};
use crate::core::line::Lines;
use crate::core::phone::{NotANumber, Telephone};
use crate::store::{OfficerChange, PeopleError};
use crate::web::pages::Visitor;
use crate::web::pages::refused::PageError;
use crate::web::{Error, House};

pub(super) fn router() -> Router<House> {
    Router::new().route("/me/telephone", post(change))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TelephoneForm {
    telephone: String,
}

async fn change(
    State(house): State<House>,
    me: Me,
    door: Door,
    form: Result<Form<TelephoneForm>, FormRejection>,
) -> Result<Response, PageError> {
    let by = Visitor(me.person()).officer()?.actor;
    let typed = form.map(|Form(form)| form.telephone).unwrap_or_default();
    let telephone = match read(&typed, &house.lines()) {
        Ok(telephone) => telephone,
        Err(told) => return refuse(&house, &me, &door, About::Telephone(typed), told).await,
    };
    let change = OfficerChange::Telephone(telephone);
    match house.store.change_officer(me.0.id, change, &by, &door.address.to_string(), door.now).await {
        Ok(_) => Ok(Redirect::to("/me?done=telephone").into_response()),
        Err(PeopleError::Store(failed)) => Err(failed.into()),
        Err(_) => Err(Error::SignInFirst.into()),
    }
}

/// Nothing typed is no telephone. `Err`: why it cannot be rung, and what to do.
fn read(typed: &str, lines: &Lines) -> Result<Option<Telephone>, &'static str> {
    if typed.trim().is_empty() {
        return Ok(None);
    }
    match Telephone::parse(typed) {
        Ok(Telephone::Number(number)) if lines.iter().any(|line| line.number.as_ref() == Some(&number)) => {
            Err("Это номер самой линии. Впишите номер телефона, который стоит у вас.")
        }
        Ok(telephone) if !lines.dialing.allows_telephone(&telephone) => Err(
            "Это дорогой или чужой номер, на него АТС не звонит. Впишите внутренний номер или российский: 8 928 123-45-67.",
        ),
        Ok(telephone) => Ok(Some(telephone)),
        Err(NotANumber::Withheld | NotANumber::Unusable(_)) => {
            Err("Впишите внутренний номер, от 2 до 6 цифр, или номер мобильного: 8 928 123-45-67.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::{Calendar, Hours};
    use crate::core::line::{Line, LineId};
    use crate::core::phone::PhoneNumber;

    #[test]
    fn a_telephone_is_an_extension_or_a_number_but_never_the_line_itself() {
        let calendar = Calendar::new(Hours::default());
        let number = PhoneNumber::parse("89288328088").ok();
        let lines = Lines::new(vec![Line::new(LineId::new("parents"), number, "", calendar.clone())], calendar);
        let shown = |typed| read(typed, &lines).map(|it| it.map(|telephone| telephone.to_string()));
        assert_eq!(shown(" "), Ok(None));
        assert_eq!(shown("101"), Ok(Some("101".to_owned())));
        assert_eq!(shown("8 928 000-00-55"), Ok(Some("+79280000055".to_owned())));
        for typed in
            ["+7 928 832-80-88", "PJSIP/101", "1", "скрыт", "8 809 555-00-00", "+882 16 2012-34", "+1 900 555-12-34"]
        {
            assert!(shown(typed).is_err(), "{typed}");
        }
    }
}
