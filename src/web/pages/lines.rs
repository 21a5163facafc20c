//! «Линии и подключение»: what each line is, where its provider sends its webhooks, and a test call through the whole path.

mod test_call;

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;

use self::test_call::{Checked, test_call};
use super::frame::{Frame, Here};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::{Wall, ago, counted};
use super::{Seen, Visitor, page};
use crate::core::line::{Line, LineId};
use crate::core::officer::Role;
use crate::core::phone::{PhoneNumber, Telephone};
use crate::providers::{Kind, Provider};
use crate::store::{AuditEntry, Person};
use crate::time::Timestamp;
use crate::web::{Error, House};

pub(super) fn router() -> Router<House> {
    Router::new().route("/lines", get(show)).route("/lines/{id}/test", post(test))
}

#[derive(Template)]
#[template(path = "lines.html")]
struct LinesPage {
    frame: Frame,
    lines: Vec<Shown>,
    connections: Vec<Connection>,
    /// The test call that was just made: the line's id and what was found.
    tested: Option<(String, String, Vec<Checked>)>,
}

struct Shown {
    id: String,
    title: String,
    number: String,
    /// Name and value, in the order of the card.
    facts: Vec<(&'static str, String)>,
    /// The connections by which a test call can be made.
    may_test: Vec<String>,
}

struct Connection {
    name: String,
    /// What to do with the addresses.
    told: &'static str,
    /// Where the provider leads what.
    addresses: Vec<(&'static str, String)>,
    keys: String,
}

async fn show(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    draw(&house, &visitor.at_least(Role::Admin)?, None, house.clock.now()).await
}

/// A call that nobody makes, from a withheld number and without a message: it stands in the log, and on no list.
async fn test(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    Address(address): Address,
    form: Result<Form<Wanted>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Admin)?;
    let lines = house.lines();
    let line = lines.get(&LineId::new(&id)).ok_or(Error::NotFound)?;
    let wanted = form.map(|Form(form)| form).unwrap_or_default();
    let provider = house.providers.get(&wanted.provider).ok_or(Error::NotFound)?;
    let found = test_call(&house, provider, line, now).await?;
    let entry = AuditEntry {
        by: person.actor.clone(),
        action: "test_call",
        object: format!("line {}", line.id),
        detail: format!("{}: {} из {}", provider.name(), found.iter().filter(|it| it.good).count(), found.len()),
        address,
    };
    house.store.audit(entry, now).await?;
    draw(&house, &person, Some((id, line.title.clone(), found)), now).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    provider: String,
}

async fn draw(
    house: &House,
    person: &Person,
    tested: Option<(String, String, Vec<Checked>)>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let school = house.lines();
    let mut lines = Vec::new();
    for line in school.iter() {
        lines.push(shown(house, line, now).await?);
    }
    let mut connections: Vec<_> = house.providers.iter().map(|it| connection(house, it)).collect();
    connections.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(page(&LinesPage { frame: Frame::of(house, person, Here::Lines, now).await?, lines, connections, tested }))
}

async fn shown(house: &House, line: &Line, now: Timestamp) -> Result<Shown, PageError> {
    let wall = Wall::new(line.calendar.time_zone(), now);
    let answer = line.calendar.answer(now);
    let state = match (answer.current_period, answer.next_period) {
        (Some(period), _) => format!("рабочее время, {}", wall.until(period.end)),
        (None, Some(next)) => format!("нерабочее время, откроется {}", wall.start(next.start)),
        (None, None) => "рабочее время не задано".to_owned(),
    };
    let last = match house.store.last_call_at(&line.id).await? {
        Some(at) => format!("{} ({})", ago(at, now), wall.moment(at)),
        None => "звонков ещё не было".to_owned(),
    };
    let or = |text: String, empty: &str| if text.is_empty() { empty.to_owned() } else { text };
    let mut may_test: Vec<String> = house.providers.iter().map(|provider| provider.name().to_string()).collect();
    may_test.sort();
    Ok(Shown {
        id: line.id.to_string(),
        title: line.title.clone(),
        number: line.number.as_ref().map_or_else(String::new, PhoneNumber::spaced),
        facts: vec![
            ("Сейчас", state),
            ("Последний звонок", last),
            ("Технические номера", or(line.aliases.join(", "), "не заданы")),
            ("В рабочее время", ringing(line)),
            ("Если не ответили", "звонящему предлагают оставить сообщение".to_owned()),
            ("Самое длинное сообщение", format!("{} с", line.max_message_seconds)),
            (
                "Предупреждение о записи",
                match line.recording_notice {
                    true => "звучит в приветствии".to_owned(),
                    false => "не звучит; включается в настройках линии".to_owned(),
                },
            ),
            (
                "Без сообщения, номер виден",
                if line.callback_without_message {
                    "перезваниваем"
                } else {
                    "только в журнал"
                }
                .to_owned(),
            ),
            (
                "Срок ответа",
                match line.response_term {
                    Some(_) => "задан в настройках".to_owned(),
                    None => "не задан: в нашем экземпляре регламента он не указан".to_owned(),
                },
            ),
        ],
        may_test,
    })
}

/// «звонит 2 телефона по 20 с: 8 928 111-22-33, …».
fn ringing(line: &Line) -> String {
    let phones: Vec<_> = line.ring.iter().map(Telephone::spaced).collect();
    match phones.len() as i64 {
        0 => "сразу предложение оставить сообщение: телефоны сотрудников не заданы".to_owned(),
        number => format!(
            "по очереди {}, каждый {} с: {}",
            counted(number, ["телефон", "телефона", "телефонов"]),
            line.ring_seconds,
            phones.join(", ")
        ),
    }
}

fn connection(house: &House, provider: &dyn Provider) -> Connection {
    let name = provider.name();
    let address = |endpoint| format!("{}/webhooks/{name}/{endpoint}", house.public_url);
    let (told, addresses) = match provider.kind() {
        Kind::Twiml => (
            "Впишите эти адреса у оператора, метод POST:",
            vec![
                ("Входящие звонки", address("voice")),
                ("Состояние звонка", address("status")),
                ("Запасной адрес", address("fallback")),
            ],
        ),
        Kind::Asterisk => (
            "Это своя АТС. Её настройки с этими адресами печатает на сервере команда perezvon pbx config:",
            vec![("Куда идёт звонок", address("incoming")), ("Конец звонка", address("ended"))],
        ),
    };
    Connection {
        name: name.to_string(),
        told,
        addresses,
        keys: counted(provider.keys() as i64, ["ключ", "ключа", "ключей"]),
    }
}
