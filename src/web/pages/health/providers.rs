//! What the providers bring: the last call of each line, their lists compared with ours, the words for an exchange.

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::time::timeout;

use super::item::Item;
use crate::core::officer::Role;
use crate::providers::{Kind, NoListing, Provider, listing_of};
use crate::store::{Reconciliation, StoreError};
use crate::time::elapsed_ms;
use crate::web::pages::refused::PageError;
use crate::web::pages::sign_in::Address;
use crate::web::pages::words::{Wall, ago, counted};
use crate::web::pages::{Seen, Visitor};
use crate::web::{Error, House, health};

/// When somebody last called each line.
pub(super) async fn last_calls(house: &House, wall: &Wall<'_>) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    for line in house.lines().iter() {
        let title = format!("Линия «{}»", line.title);
        items.push(match house.store.last_call_at(&line.id).await? {
            Some(at) => Item::good(title, format!("последний звонок {} ({})", ago(at, wall.now), wall.moment(at))),
            None => Item::fair(
                title,
                "звонков ещё не было",
                "Позвоните на линию. Если звонок не появится в журнале, откройте «Линии» и проверьте адреса у оператора.",
            ),
        });
    }
    Ok(items)
}

/// «Сверка с оператором twilio»: what its lists said that its webhooks did not.
pub(super) async fn comparisons(house: &House, wall: &Wall<'_>) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    let mut providers: Vec<_> = house.providers.iter().collect();
    providers.sort_by(|one, other| one.name().cmp(other.name()));
    for provider in providers {
        let title = format!("Сверка с оператором {}", provider.name());
        items.push(match listing_of(provider) {
            Err(why @ NoListing::RepeatsItself) => Item::good(title, why.in_words()),
            Err(why) => Item::fair(title, why.in_words(), "Сверяйте журнал с кабинетом оператора сами."),
            Ok(_) if house.rehearsal => Item::good(title, "в репетиции операторов не спрашиваем"),
            Ok(_) => comparison(title, house.store.reconciliation(provider.name(), wall.now).await?, wall),
        });
    }
    Ok(items)
}

fn comparison(title: String, row: Option<Reconciliation>, wall: &Wall<'_>) -> Item {
    const REMEDY: &str = "Проверьте ключи и связь с оператором. Служба пробует снова сама.";
    let Some(row) = row else {
        return Item::good(title, "ещё не было, первая будет при запуске службы");
    };
    let done = row.ended_at.map_or("ещё не было".to_owned(), |at| format!("последняя {}", ago(at, wall.now)));
    match (&row.error, &row.look) {
        (Some(error), _) => Item::fair(title, format!("{done}. Не удаётся: {error}"), REMEDY),
        (None, Some(look)) if look.next.is_some() => {
            Item::good(title, format!("{done}. Идёт: сверено звонков {}", look.listed))
        }
        (None, _) if row.ended_at.is_some_and(|at| elapsed_ms(at, wall.now) > health::MAX_RECONCILED_AGE_MS) => {
            Item::fair(title, done, "Посмотрите журнал службы: сверка должна идти каждый час.")
        }
        (None, _) if row.widely_covered_at.is_none() => Item::good(title, format!("{done}. Идёт")),
        (None, Some(look)) => Item::good(
            title,
            format!(
                "{done}, с {} по {}: звонков у оператора {}, уже были {}, восстановлено: {}",
                wall.exact(look.from),
                wall.exact(look.to),
                look.listed,
                look.known,
                look.restored
            ),
        ),
        (None, None) => Item::good(title, done),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ReconcileForm {
    provider: String,
}

/// «Сверить с оператором»: the worker looks as soon as it has a hand free.
pub(super) async fn reconcile(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    form: Result<Form<ReconcileForm>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Senior)?;
    let name = form.map(|Form(form)| form.provider).unwrap_or_default();
    let provider = house.providers.get(&name).filter(|provider| listing_of(*provider).is_ok() && !house.rehearsal);
    let provider = provider.ok_or(Error::NotFound)?;
    house.store.request_look(provider.name(), &person.actor, &address, now).await?;
    Ok(Redirect::to("/health-ui").into_response())
}

/// The providers that can be asked at once, by name. A rehearsal asks nobody.
pub(super) fn askable(house: &House) -> Vec<String> {
    let is_askable = |provider: &&dyn Provider| !house.rehearsal && listing_of(*provider).is_ok();
    let mut names: Vec<String> =
        house.providers.iter().filter(is_askable).map(|provider| provider.name().to_string()).collect();
    names.sort();
    names
}

/// The words that greetings of the school's own exchange are joined of.
pub(super) async fn sounds(house: &House) -> Option<Item> {
    if !house.providers.iter().any(|provider| provider.kind() == Kind::Asterisk) {
        return None;
    }
    const TITLE: &str = "Слова приветствий для своей АТС";
    const REMEDY: &str = "Поставьте на сервер пакет asterisk-core-sounds-ru-wav или впишите папку в prompts.sounds.";
    let joiner = house.joiner.clone();
    let looking = house.checks.sounds.run(async move { joiner.vocabulary().await });
    Some(match timeout(health::ANSWER_TIMEOUT, looking).await {
        Ok(Some((folder, found))) => match found.lacking.len() as i64 {
            0 => Item::good(TITLE, format!("{}, дата перезвона произносится", folder.path().display())),
            count => Item::fair(
                TITLE,
                format!(
                    "в папке {} не хватает: {}",
                    folder.path().display(),
                    counted(count, ["файл", "файла", "файлов"])
                ),
                REMEDY,
            ),
        },
        Ok(None) => Item::fair(TITLE, "не найдены, дату перезвона звонящий не услышит", REMEDY),
        Err(_) => Item::bad(TITLE, "диск не отвечает", "Проверьте диск."),
    })
}
