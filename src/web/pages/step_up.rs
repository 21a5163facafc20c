//! The password once more before what opens the house to somebody, carries much away or erases: an open browser alone is not
//! enough for that. Asked for on one page in between, which says what will be done and goes on with exactly that.
//!
//! What is guarded stands in [`Guarded::of`] and nowhere else. A file that the audit calls an export is guarded; the printed
//! list of the morning and one recording are everyday work and are not.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use serde::Deserialize;

use super::caller::named;
use super::frame::{Frame, Here};
use super::me::Me;
use super::refused::PageError;
use super::sign_in::{Door, NotProved, failure, own_page, try_password};
use super::{LARGEST_FORM, page};
use crate::core::line::LineId;
use crate::core::line_scope::LineScope;
use crate::core::officer::Role;
use crate::store::Officer;
use crate::web::login_throttle::Target;
use crate::web::{Error, House, session};

/// The field that is added to the guarded form.
const PASSWORD: &str = "confirm_password";

pub(super) fn router() -> Router<House> {
    Router::new().route("/confirm", post(confirm))
}

/// Something that asks for the password.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    what: What<'a>,
    /// Whoever has less is refused by the handler, and is asked for no password.
    role: Role,
}

#[derive(Clone, Copy)]
enum What<'a> {
    /// A file, in the accusative, and the page it belongs to.
    Export(&'static str, &'static str, Here),
    /// All there is about the caller of this call or callback.
    Personal(&'a str),
    Invite,
    /// What changes who may come in as whom.
    Person {
        id: &'a str,
        verb: &'a str,
    },
    /// The sound of a message of this call.
    Erase(&'a str),
    Telephone,
    Factor,
}

impl<'a> Guarded<'a> {
    /// Paths are compared as they came. A verb that is written otherwise is guarded too: only two are not.
    fn of(method: &Method, path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (what, role) = match (method.as_str(), parts[..].as_ref()) {
            ("GET" | "HEAD", [file]) => {
                (Self::file(file)?, if file.starts_with("audit") { Role::Admin } else { Role::Officer })
            }
            ("GET" | "HEAD", ["reports", "xlsx"]) => {
                (What::Export("отчёт, XLSX", "/reports", Here::Reports), Role::Observer)
            }
            ("GET" | "HEAD", ["callers", id, "personal.json"]) => (What::Personal(id), Role::Admin),
            ("POST", ["people"]) => (What::Invite, Role::Admin),
            ("POST", ["people", id, verb]) if !matches!(*verb, "name" | "logout") => {
                (What::Person { id, verb }, Role::Admin)
            }
            ("POST", ["calls", id, "recordings", _, "erase"]) => (What::Erase(id), Role::Admin),
            ("POST", ["me", "telephone"]) => (What::Telephone, Role::Officer),
            ("POST", ["me", "factor", "new"]) => (What::Factor, Role::Observer),
            _ => return None,
        };
        Some(Self { what, role })
    }

    fn file(name: &str) -> Option<What<'static>> {
        Some(match name {
            "calls.csv" => What::Export("журнал звонков, CSV", "/calls", Here::Log),
            "calls.xlsx" => What::Export("журнал звонков, XLSX", "/calls", Here::Log),
            "callbacks.csv" => What::Export("список «Перезвонить», CSV", "/callbacks", Here::Desk),
            "callbacks.xlsx" => What::Export("список «Перезвонить», XLSX", "/callbacks", Here::Desk),
            "audit.csv" => What::Export("историю действий, CSV", "/audit", Here::Audit),
            "audit.xlsx" => What::Export("историю действий, XLSX", "/audit", Here::Audit),
            _ => return None,
        })
    }
}

/// What will be done, as the page says it.
struct Plan {
    here: Here,
    what: String,
    facts: Vec<(&'static str, String)>,
    back: String,
}

impl Plan {
    /// `fields`: of the form, as typed.
    async fn of(house: &House, what: What<'_>, fields: &[(String, String)]) -> Result<Self, Error> {
        let typed = |name: &str| {
            let value = fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
            if value.is_empty() { "не указано".to_owned() } else { value.to_owned() }
        };
        let role = || typed("role").parse::<Role>().map_or_else(|_| typed("role"), |role| role.title().to_owned());
        Ok(match what {
            What::Export(file, back, here) => {
                Self { here, what: format!("Выгрузить {file}"), facts: Vec::new(), back: back.to_owned() }
            }
            What::Personal(id) => Self {
                here: Here::Log,
                what: "Скачать всё об одном номере".to_owned(),
                facts: named(house, id).await?.map(|(_, number)| ("Номер", number.spaced())).into_iter().collect(),
                back: format!("/callers/{id}"),
            },
            What::Invite => Self {
                here: Here::People,
                what: "Пригласить сотрудника".to_owned(),
                facts: vec![("Имя", typed("name")), ("Логин", typed("login")), ("Роль", role())],
                back: "/people".to_owned(),
            },
            What::Person { id, verb } => {
                let officer = match id.parse() {
                    Ok(id) => house.store.any_officer(id).await?,
                    Err(_) => None,
                };
                let mut facts: Vec<_> = officer.map(|officer| ("Сотрудник", officer.name)).into_iter().collect();
                match verb {
                    "role" => facts.push(("Новая роль", role())),
                    "lines" => {
                        let lines = fields.iter().filter(|(name, _)| name == "line").map(|(_, id)| LineId::new(id));
                        facts.push(("Линии", LineScope::of(lines).titles(&house.lines())));
                    }
                    _ => {}
                }
                Self { here: Here::People, what: person_words(verb).to_owned(), facts, back: format!("/people/{id}") }
            }
            What::Erase(id) => Self {
                here: Here::Log,
                what: "Удалить запись сообщения навсегда".to_owned(),
                facts: vec![("Причина", typed("reason"))],
                back: format!("/calls/{id}"),
            },
            What::Telephone => Self {
                here: Here::Me,
                what: "Изменить телефон, на который звонит АТС".to_owned(),
                facts: vec![("Телефон", typed("telephone"))],
                back: "/me".to_owned(),
            },
            What::Factor => Self {
                here: Here::Me,
                what: "Включить второй фактор".to_owned(),
                facts: Vec::new(),
                back: "/me".to_owned(),
            },
        })
    }
}

fn person_words(verb: &str) -> &'static str {
    match verb {
        "role" => "Изменить роль",
        "lines" => "Изменить линии сотрудника",
        "disable" => "Отключить сотрудника",
        "enable" => "Включить сотрудника",
        "link" => "Выдать новую ссылку для входа",
        "factor-off" => "Снять второй фактор",
        _ => "Изменить доступ сотрудника",
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    plan: Plan,
    /// Where the password is sent, with what else.
    address: String,
    fields: Vec<(String, String)>,
    told: Option<String>,
}

/// Asks for the password where it is needed and was not typed within the last minutes. A form goes on by itself, a file by
/// [`confirm`].
pub(super) async fn ask(State(house): State<House>, request: Request, next: Next) -> Response {
    match first_password(&house, request).await {
        Ok(request) => next.run(request).await,
        Err(answer) => answer,
    }
}

/// The request, if it may go on; else the answer.
async fn first_password(house: &House, request: Request) -> Result<Request, Response> {
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.clone();
    let Some(guarded) = Guarded::of(&parts.method, uri.path()) else {
        return Ok(Request::from_parts(parts, body));
    };
    let officer = session::officer(&parts, house).await.map_err(answer)?;
    let Some(officer) = officer.filter(|officer| officer.role >= guarded.role) else {
        return Ok(Request::from_parts(parts, body));
    };
    let door = Door::from_request_parts(&mut parts, house).await.map_err(IntoResponse::into_response)?;
    if session::is_confirmed(&door.session, door.now).await.map_err(answer)? {
        return Ok(Request::from_parts(parts, body));
    }
    let address = uri.path_and_query().map_or("", |address| address.as_str()).to_owned();
    if parts.method != Method::POST {
        let fields = vec![("to".to_owned(), address)];
        return Err(draw(house, &officer, &door, guarded.what, "/confirm".to_owned(), fields, None).await);
    }
    let Ok(body) = to_bytes(body, LARGEST_FORM).await else {
        return Err(answer(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned())));
    };
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let typed = fields.extract_if(.., |(name, _)| name == PASSWORD).last();
    let told = match typed {
        None => None,
        Some((_, password)) => {
            match prove(house, &officer, &door, password).await.map_err(IntoResponse::into_response)? {
                None => return Ok(Request::from_parts(parts, Body::from(body))),
                Some(not_proved) => Some(not_proved),
            }
        }
    };
    Err(draw(house, &officer, &door, guarded.what, address, fields, told).await)
}

fn answer(error: Error) -> Response {
    PageError::from(error).into_response()
}

/// The page that asks. `not_proved`: why it asks once more.
async fn draw(
    house: &House,
    officer: &Officer,
    door: &Door,
    what: What<'_>,
    address: String,
    fields: Vec<(String, String)>,
    not_proved: Option<NotProved>,
) -> Response {
    let drawn = async {
        let plan = Plan::of(house, what, &fields).await?;
        let frame = Frame::of(house, &session::person_of(officer), plan.here, door.now).await?;
        let told =
            not_proved.as_ref().map(|it| it.text("Пароль не подходит. Проверьте раскладку клавиатуры и Caps Lock."));
        Ok::<_, Error>(page(&ConfirmPage { frame, plan, address, fields, told }))
    };
    match (drawn.await, not_proved) {
        (Ok(page), None) => page,
        (Ok(page), Some(not_proved)) => not_proved.answer(page),
        (Err(failed), _) => answer(failed),
    }
}

/// Checks the password, which then counts for some minutes. `Some`: why it does not. These tries have a count of their own,
/// which nobody can use up without the session.
async fn prove(
    house: &House,
    officer: &Officer,
    door: &Door,
    password: String,
) -> Result<Option<NotProved>, PageError> {
    let origin = door.origin(house, Some(officer.id)).await?;
    let target = Target::Confirmation { officer_id: officer.id };
    match try_password(house, origin, target, Some(officer.clone()), password, door.now).await {
        Ok(_) => {
            session::confirm(&door.session, door.now).await?;
            Ok(None)
        }
        Err(not_proved) => {
            if let NotProved::Wrong = not_proved {
                let by = session::person_of(officer).actor;
                failure(house, door, by, "confirm_failed", &officer.login).await?;
            }
            Ok(Some(not_proved))
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfirmForm {
    /// The address of the file.
    to: String,
    confirm_password: String,
}

/// The password for a file: the answer leads back to it.
async fn confirm(
    State(house): State<House>,
    Me(officer): Me,
    door: Door,
    form: Result<Form<ConfirmForm>, FormRejection>,
) -> Result<Response, PageError> {
    let ConfirmForm { to, confirm_password } = form.map(|Form(form)| form).unwrap_or_default();
    let to = own_page(&to);
    let path = to.split('?').next().unwrap_or(to);
    let guarded = Guarded::of(&Method::GET, path).filter(|guarded| officer.role >= guarded.role);
    let Some(guarded) = guarded else { return Ok(Redirect::to(to).into_response()) };
    let Some(not_proved) = prove(&house, &officer, &door, confirm_password).await? else {
        return Ok(Redirect::to(to).into_response());
    };
    let fields = vec![("to".to_owned(), to.to_owned())];
    Ok(draw(&house, &officer, &door, guarded.what, "/confirm".to_owned(), fields, Some(not_proved)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_in_other_letters_is_guarded_too() {
        for verb in ["role", "r%6Fle", "disable", "enable", "link", "factor-off", "lines", "n%61me"] {
            assert!(Guarded::of(&Method::POST, &format!("/people/7/{verb}")).is_some(), "{verb}");
        }
        for verb in ["name", "logout"] {
            assert!(Guarded::of(&Method::POST, &format!("/people/7/{verb}")).is_none(), "{verb}");
        }
    }

    #[test]
    fn everyday_work_asks_for_no_password() {
        for path in
            ["/callbacks", "/callbacks/print", "/calls", "/calls/7", "/reports", "/reports/sheet", "/calendar.ics"]
        {
            assert!(Guarded::of(&Method::GET, path).is_none(), "{path}");
        }
        for path in ["/callbacks/7/done", "/callbacks/new", "/callers/7", "/callers/7/block", "/me/logout", "/logout"] {
            assert!(Guarded::of(&Method::POST, path).is_none(), "{path}");
        }
    }

    #[test]
    fn asking_for_the_head_of_a_file_is_asking_for_it() {
        for path in ["/calls.csv", "/callbacks.xlsx", "/audit.csv", "/reports/xlsx", "/callers/7/personal.json"] {
            for method in [Method::GET, Method::HEAD] {
                assert!(Guarded::of(&method, path).is_some(), "{method} {path}");
            }
        }
    }
}
