//! Alarms above the list: what somebody must look at, and the button that says somebody has.

use axum::extract::Path;
use axum::response::Redirect;

use super::view::View;
use crate::core::officer::Role;
use crate::store::{Store, StoreError};
use crate::web::Error;
use crate::web::pages::refused::PageError;
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Seen, Visitor, query};

/// Open alarms, newest first.
#[derive(Default)]
pub(super) struct Alarms {
    /// Id and sentence.
    pub shown: Vec<(i64, String)>,
    /// How many more there are.
    pub more: i64,
}

impl Alarms {
    pub async fn open(store: &Store, wall: &Wall<'_>) -> Result<Self, StoreError> {
        let open = store.alarms().await?;
        let more = (store.count_alarms().await? - open.len() as i64).max(0);
        let told = |raised_at| wall.moment(raised_at);
        let shown =
            open.iter().map(|alarm| (alarm.id, format!("{} ({})", alarm.told, told(alarm.raised_at)))).collect();
        Ok(Self { shown, more })
    }
}

/// «Прочитано»: the alarm goes, the audit keeps who has read it. Read twice is read once.
pub(super) async fn seen(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    view: AnyQuery<View>,
) -> Result<Redirect, PageError> {
    let person = visitor.at_least(Role::Senior)?;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    house.store.acknowledge_alarm(id, &person.actor, house.clock.now()).await?;
    Ok(Redirect::to(&query(view).plain().address()))
}
