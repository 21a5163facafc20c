//! The call that the exchange has placed for this officer, as his entry tells of it.

use crate::core::callback::State;
use crate::core::phone::{PhoneNumber, Telephone};
use crate::core::placed_call::Ending;
use crate::store::{Dialling, Person, PlacedCall, StoreError};
use crate::time::{Timestamp, elapsed_ms};
use crate::web::House;
use crate::web::pages::words::length;

/// How long an ended call is told of.
const TOLD_FOR_MS: i64 = 15 * 60_000;

/// With what this officer dials; `None`: by hand.
pub(super) fn dialling(house: &House, person: &Person) -> Option<Dialling> {
    let provider = house.dialler()?.name().to_string();
    let telephone = person.telephone.clone().filter(|telephone| house.lines().dialing.allows_telephone(telephone))?;
    Some(Dialling { telephone, provider })
}

/// The same for one number now: one that is not allowed is dialed by hand, and so is every one above the limit of the hour.
pub(super) async fn dialling_now(
    house: &House,
    person: &Person,
    number: Option<&PhoneNumber>,
    now: Timestamp,
) -> Result<Option<Dialling>, StoreError> {
    let rules = house.lines().dialing;
    let Some(dialling) = dialling(house, person).filter(|_| number.is_none_or(|number| rules.allows(number))) else {
        return Ok(None);
    };
    Ok(if house.store.has_reached_call_limit(&rules, now).await? { None } else { Some(dialling) })
}

/// What stands in the entry.
pub(super) struct Calling {
    pub text: String,
    /// It goes on, so there is nothing to press.
    pub goes_on: bool,
    /// The exchange was no help: the number is offered to be dialled by hand.
    pub by_hand: bool,
    /// The telephone itself may be the wrong one.
    pub check_telephone: bool,
}

impl Calling {
    pub fn of(call: &PlacedCall, desk: &State, now: Timestamp) -> Option<Self> {
        let over_ms = call.over_at.map_or(0, |over_at| elapsed_ms(over_at, now));
        if desk.closed_at().is_some() && call.over_at.is_some() || over_ms > TOLD_FOR_MS {
            return None;
        }
        let put_off = matches!(desk, State::Later { by, .. } if by.id == call.by.id);
        Some(Self {
            text: words(call, put_off),
            goes_on: call.over_at.is_none(),
            by_hand: call.ending.is_some_and(Ending::never_came_to_the_caller)
                && call.ending != Some(Ending::NotPickedUp),
            check_telephone: call.ending == Some(Ending::NoSuchTelephone),
        })
    }
}

fn words(call: &PlacedCall, put_off: bool) -> String {
    let (telephone, number) = (Telephone::spaced(&call.telephone), PhoneNumber::spaced(&call.number));
    let tried = |what: &str| match put_off {
        true => format!("{what}: отложили сами. Вернуть: Z."),
        false => format!("{what}."),
    };
    match (call.ending, call.over_at, call.answered_at) {
        (None, None, None) => format!("Звоним: снимите трубку на {telephone}."),
        (None, None, Some(_)) => format!("Соединяем с {number}."),
        (None, Some(_), _) => "Звонок окончен.".to_owned(),
        (Some(Ending::Talked), ..) => {
            let lasted = call.talk_seconds.map_or_else(String::new, |seconds| format!(" {}", length(seconds * 1000)));
            format!("Говорили{lasted}. Отметьте, как прошло.")
        }
        (Some(Ending::Busy), ..) => tried("Занято"),
        (Some(Ending::NoAnswer), ..) => tried("Не ответили"),
        (Some(Ending::GaveUp), ..) => "Вы положили трубку до ответа. Позвонить ещё раз: Enter.".to_owned(),
        (Some(Ending::NotConnected), ..) => "АТС не соединила с номером. Ещё раз: Enter. Или наберите сами.".to_owned(),
        (Some(Ending::NotPickedUp), ..) => format!("Вы не сняли трубку на {telephone}. Позвонить ещё раз: Enter."),
        (Some(Ending::NoSuchTelephone), ..) => format!("АТС не знает телефона {telephone}. Наберите номер сами."),
        (Some(Ending::WrongPassword), ..) => "АТС нам отказала, администратор узнает. Наберите номер сами.".to_owned(),
        (Some(Ending::OutOfReach), ..) => "АТС не отвечает. Наберите номер сами.".to_owned(),
        (Some(Ending::Unknown), ..) => "АТС не сказала, чем кончился звонок. Отметьте, как прошло.".to_owned(),
    }
}
