//! What an officer reads when something was not done: what happened, what was kept, and the way on.

use askama::Template;
use axum::Extension;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Redirect, Response};
use tracing::error;

use super::frame::Frame;
use super::words::{Wall, counted};
use crate::core::callback::{
    ATTEMPTS_BEFORE_GIVING_UP, Callback, HOW_IT_WAS_PUT, LONGEST_DELAY_DAYS, LONGEST_NOTE, Refusal, State,
};
use crate::store::{ActError, PlacedCall, StoreError};
use crate::web::password::{hex, random};
use crate::web::{Error, House};

/// Marks an answer to somebody without a session, for whoever still has the form that was sent.
#[derive(Clone, Copy)]
pub(super) struct NobodySignedIn;

/// An [`Error`] on its way to an officer.
pub(super) struct PageError {
    error: Error,
    /// The page that was wanted, for the way back after signing in.
    wanted: String,
}

impl PageError {
    pub fn sign_in(wanted: String) -> Self {
        Self { error: Error::SignInFirst, wanted }
    }

    /// Whether all that is missing is a session.
    pub fn is_nobody(&self) -> bool {
        matches!(self.error, Error::SignInFirst)
    }
}

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self { error: error.into(), wanted: String::new() }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.error.status();
        match self.error {
            Error::SignInFirst => {
                let to: String = form_urlencoded::byte_serialize(self.wanted.as_bytes()).collect();
                let way_in = match to.is_empty() {
                    true => Redirect::to("/login"),
                    false => Redirect::to(&format!("/login?to={to}")),
                };
                (Extension(NobodySignedIn), way_in).into_response()
            }
            Error::RoleNeeded(role) => Failure {
                status,
                title: "Нет доступа".to_owned(),
                text: format!("Нет доступа: нужна роль «{}». Роли меняет администратор.", role.title()),
            }
            .into_response(),
            Error::OtherLine => Failure {
                status,
                title: "Нет доступа".to_owned(),
                text: "Нет доступа: это другая линия. Какие линии ваши, решает администратор.".to_owned(),
            }
            .into_response(),
            Error::Store(cause) => Failure::of_store(&cause).into_response(),
            Error::SessionsAway(cause) => Failure { status, ..Failure::ours(&cause) }.into_response(),
            Error::SlowDown(seconds) => {
                let text = format!("Слишком много попыток. Подождите {}.", minutes(seconds));
                let failure = Failure { status, title: "Слишком много попыток".to_owned(), text };
                ([(RETRY_AFTER, seconds.to_string())], failure).into_response()
            }
            Error::BadRequest(text) => Failure { status, title: "Запрос не понят".to_owned(), text }.into_response(),
            Error::NotFound
            | Error::SoundMissing
            | Error::NobodyWaits
            | Error::Refused(_)
            | Error::Stale(_)
            | Error::AnotherOpen
            | Error::NothingToUndo
            | Error::AlreadyCalling => Failure {
                status,
                title: "Такой страницы нет".to_owned(),
                text: "Такой страницы нет. Возможно, в адресе опечатка.".to_owned(),
            }
            .into_response(),
        }
    }
}

/// A page without content of its own. Travels in the response's extensions until the house is at hand to draw it.
#[derive(Clone)]
pub(super) struct Failure {
    pub status: StatusCode,
    pub title: String,
    pub text: String,
}

impl Failure {
    /// Our fault: the officer quotes the code, the log has it with the cause.
    pub fn ours(cause: &str) -> Self {
        let code = hex(&random::<2>()).to_uppercase();
        error!(code, cause, "A page failed, code {code}: {cause}");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "Ошибка у нас".to_owned(),
            text: format!("Ошибка у нас, код {code}. Ничего не потеряно: звонки записываются."),
        }
    }

    fn of_store(cause: &StoreError) -> Self {
        match cause {
            StoreError::Corrupt { .. } | StoreError::OtherLine => Self::ours(&cause.to_string()),
            StoreError::Unavailable(_)
            | StoreError::Busy
            | StoreError::TimedOut
            | StoreError::Upgrading
            | StoreError::Gone
            | StoreError::Shrunk
            | StoreError::WrongPurpose { .. }
            | StoreError::Closed
            | StoreError::UnfinishedRestore => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, ..Self::ours(&cause.to_string()) }
            }
        }
    }

    /// A form that stands on somebody else's page.
    pub fn foreign_form() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            title: "Запрос с другого сайта".to_owned(),
            text: "Запрос пришёл с другого сайта, поэтому ничего не изменено. Откройте «Перезвонить» и повторите."
                .to_owned(),
        }
    }

    pub fn page(self, house: &House) -> Response {
        let frame = Frame::bare(house, house.clock.now());
        let page = FailurePage { frame, title: &self.title, text: &self.text };
        (self.status, Html(page.render().unwrap_or(self.text.clone()))).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
}

/// «15 минут», never 0.
pub(super) fn minutes(seconds: u64) -> String {
    counted(seconds.div_ceil(60).max(1) as i64, ["минуту", "минуты", "минут"])
}

/// Why an action on a callback was not done, as a sentence beside that callback; `None` where a whole page must say it.
pub(super) fn sentence(error: &ActError, wall: &Wall<'_>) -> Option<String> {
    Some(match error {
        ActError::Stale(present) => changed_meanwhile(present, wall),
        ActError::Refused(refusal) => refused(refusal, wall),
        ActError::AnotherOpen => {
            "По этому номеру уже открыто другое обращение. Новое сообщение попадёт в него, это останется закрытым."
                .to_owned()
        }
        ActError::GoneOn(present) => {
            let now = now_words(present, wall);
            format!("Отменить уже нельзя: после вас с обращением работали дальше, {now}.")
        }
        ActError::NothingToUndo => "Отменить нечего: последнее действие здесь не ваше или уже отменено.".to_owned(),
        ActError::AlreadyCalling(call) => calling(call),
        ActError::TooManyCalls { max } => call_limit(*max),
        ActError::NobodyWaits => "Всех обзвонили: свободных обращений нет.".to_owned(),
        ActError::NotFound(_) | ActError::Store(_) => return None,
    })
}

/// Why the exchange places no more calls for now, and the way on.
pub(super) fn call_limit(max: u32) -> String {
    let times = counted(i64::from(max), ["раз", "раза", "раз"]);
    format!("АТС позвонила за последний час {times}, это предел: так школа защищена от чужих трат. Пока звоните сами.")
}

/// Why a number is not dialed at once, and the way on.
pub(super) const NUMBER_NOT_ALLOWED: &str = "Это дорогой или чужой номер: звонок на него может стоить школе больших денег. \
    Сверьте номер, и если позвонить нужно, нажмите «Всё равно позвонить».";

/// What goes on instead of another call.
pub(super) fn calling(call: &PlacedCall) -> String {
    let (number, telephone) = (call.number.spaced(), call.telephone.spaced());
    match call.answered_at {
        Some(_) => format!("Вы уже звоните: {number}. Сначала закончите этот разговор."),
        None => format!("Уже звоним: снимите трубку на {telephone}, потом соединим с {number}."),
    }
}

fn changed_meanwhile(present: &Callback, wall: &Wall<'_>) -> String {
    let now = now_words(present, wall);
    format!("Пока вы работали с обращением, оно изменилось: {now}. То, что вы написали, осталось в поле.")
}

fn now_words(present: &Callback, wall: &Wall<'_>) -> String {
    match &present.desk.state {
        State::Open => "теперь оно открыто".to_owned(),
        State::Claimed { by, at, .. } => format!("теперь оно в работе: {by}, с {}", wall.clock(*at)),
        State::Later { by, until, .. } => format!("теперь оно отложено {}: {by}", wall.until(*until)),
        State::Done { by, at, .. } | State::Exceptional { by, at, .. } | State::Declined { by, at, .. } => {
            format!("теперь оно закрыто: {by}, {}", wall.moment(*at))
        }
    }
}

fn refused(refusal: &Refusal, wall: &Wall<'_>) -> String {
    match refusal {
        Refusal::ClaimedByOther { by, at } => {
            format!("Это обращение уже в работе: {by}, с {}. Можно слушать, звонить пока не нужно.", wall.clock(*at))
        }
        Refusal::HeldOnOtherLine(holder) => {
            let (by, since) = (&holder.by, wall.clock(holder.since));
            format!("По этому номеру сейчас работает {by}, на другой линии, с {since}. Звонить пока не нужно.")
        }
        Refusal::NumberNotAllowed => NUMBER_NOT_ALLOWED.to_owned(),
        Refusal::NothingProposed => {
            "Повторить решение другой линии уже нельзя: там снова работают с этим номером.".to_owned()
        }
        Refusal::Closed { .. } => "Это обращение уже закрыто. Чтобы продолжить, откройте его снова.".to_owned(),
        Refusal::NotClosed => "Это обращение и так открыто.".to_owned(),
        Refusal::NoteNeeded(HOW_IT_WAS_PUT) => {
            "Нужна заметка: напишите одним предложением, как был задан вопрос.".to_owned()
        }
        Refusal::NoteNeeded(_) => "Нужна заметка: напишите одним предложением, чего не хватает.".to_owned(),
        Refusal::ReferenceNeeded => "Укажите, где уже есть ответ: номер обращения или документ.".to_owned(),
        Refusal::ReasonOff(reason) => format!("Причина «{reason}» выключена администратором. Выберите другую."),
        Refusal::TooLong { .. } => {
            format!("Слишком длинно: не больше {}.", counted(LONGEST_NOTE as i64, ["знака", "знаков", "знаков"]))
        }
        Refusal::UnknownWord { .. } => "Выберите значение из списка.".to_owned(),
        Refusal::TooFar => format!("Отложить можно не дальше чем на {LONGEST_DELAY_DAYS} дней."),
        Refusal::NotTried => {
            let needed = counted(ATTEMPTS_BEFORE_GIVING_UP as i64, ["попытка", "попытки", "попыток"]);
            format!("Чтобы закрыть как «Не дозвонились», нужно не меньше: {needed}, в разные дни.")
        }
        Refusal::InThePast => "Это время уже прошло. Выберите более позднее.".to_owned(),
        Refusal::NoWorkingHours => "Рабочее время не задано, отложить не на что. Скажите администратору.".to_owned(),
    }
}
