//! One call that nobody makes: signed as the provider signs, and taken the way every webhook takes.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt;

use super::super::words::Wall;
use crate::core::call::TEST_CALL;
use crate::core::line::Line;
use crate::providers::{LARGEST_FORM, Provider, RawRequest, TestCall};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::web::password::{hex, random};
use crate::web::{House, webhooks};

/// One of the five things a test call shows.
pub(super) struct Checked {
    pub good: bool,
    pub told: String,
}

impl Checked {
    fn of(good: bool, yes: impl Into<String>, no: impl Into<String>) -> Self {
        Self { good, told: if good { yes.into() } else { no.into() } }
    }
}

/// Rings, hears what the caller would hear, hangs up. What failed once makes the rest pointless, and is the last line.
pub(super) async fn test_call(
    house: &House,
    provider: &dyn Provider,
    line: &Line,
    now: Timestamp,
) -> Result<Vec<Checked>, StoreError> {
    let sid = format!("{TEST_CALL}{}", hex(&random::<13>()));
    let dialled = line.number.as_ref();
    let Some(TestCall { arrives, ends, rings, offers }) =
        dialled.and_then(|dialled| provider.test_call(&sid, dialled, now))
    else {
        let told = "Подписать может только сам оператор: позвоните на линию с телефона.";
        return Ok(vec![Checked { good: false, told: told.to_owned() }]);
    };
    let (status, heard) = send(house, arrives).await;
    let mut found = vec![Checked::of(
        status == StatusCode::OK,
        "Подпись принята.",
        format!("Запрос не принят ({}): {}", status.as_u16(), heard.trim()),
    )];
    let id = house.store.call_named(provider.name(), &sid).await?;
    let call = match id {
        Some(id) => house.store.call(id).await?.map(|view| view.call),
        None => None,
    };
    let Some(call) = call else {
        found.push(Checked {
            good: false, told: "Звонок не записан. Посмотрите «Состояние».".to_owned()
        });
        return Ok(found);
    };
    found.push(Checked { good: true, told: "Звонок записан в журнал.".to_owned() });
    found.push(Checked::of(
        call.line.as_ref() == Some(&line.id),
        format!("Линия узнана: «{}».", line.title),
        "Линия не узнана. Проверьте номер и технические номера.",
    ));
    let wall = Wall::new(line.calendar.time_zone(), now);
    found.push(match &call.decision {
        Some(decision) => {
            let state = if decision.open { "рабочее время" } else { "нерабочее время" };
            let promise = decision
                .promise
                .as_ref()
                .map_or_else(|| "срока нет".to_owned(), |period| format!("список {}", wall.working_day(period.start)));
            Checked { good: decision.promise.is_some(), told: format!("Решено: {state}, {promise}.") }
        }
        None => Checked { good: false, told: "Рабочее время не определено.".to_owned() },
    });
    let rings = heard.contains(rings);
    found.push(Checked::of(
        rings || heard.contains(offers),
        match rings {
            true => "Звонящий услышит гудки: зазвонит телефон сотрудника, потом предложение оставить сообщение.",
            false => "Звонящий услышит приветствие и предложение оставить сообщение.",
        },
        "Звонящий не услышит предложения оставить сообщение.",
    ));
    send(house, ends).await;
    Ok(found)
}

/// The way of a webhook from its arrival on; only the network before it is left out.
async fn send(house: &House, request: RawRequest) -> (StatusCode, String) {
    let RawRequest { method, target, headers, body, .. } = request;
    let mut sent = Request::builder().method(method.as_str()).uri(target);
    for (name, value) in headers {
        sent = sent.header(name, value);
    }
    let Ok(sent) = sent.body(Body::from(body)) else { return (StatusCode::BAD_REQUEST, String::new()) };
    let Ok(response) = webhooks::router().with_state(house.clone()).oneshot(sent).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), LARGEST_FORM).await.unwrap_or_default();
    (status, String::from_utf8_lossy(&body).into_owned())
}
