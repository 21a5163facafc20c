//! «Состояние»: whether the service does what it promises, in words, with what to do about what does not.

mod alarms;
mod backup;
mod calendar;
mod item;
mod providers;
mod queue;
mod retention;
mod spool;
mod storage;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use self::alarms::Alarms;
use self::item::{Item, Mark};
use super::frame::{Frame, Here};
use super::refused::PageError;
use super::words::Wall;
use super::{Seen, Visitor, page};
use crate::core::officer::Role;
use crate::store::StoreError;
use crate::web::House;
use crate::web::health::{self, DatabaseError};

pub(super) fn router() -> Router<House> {
    Router::new().route("/health-ui", get(show)).route("/health-ui/reconcile", post(providers::reconcile))
}

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    frame: Frame,
    verdict: &'static str,
    class: &'static str,
    items: Vec<Item>,
    alarms: Alarms,
    may_read: bool,
    /// The providers that can be asked at once, for whoever may.
    askable: Vec<String>,
}

/// Where nobody can sign in, or the pages cannot be read, what can be told without the database is told.
async fn show(Seen(house): Seen, visitor: Result<Visitor, PageError>) -> Result<Response, PageError> {
    let database = health::database(&house).await;
    let page = match visitor {
        Ok(visitor) => whole_page(&house, &visitor, &database).await.map_err(PageError::from),
        Err(refused) => Err(refused),
    };
    match (page, database) {
        (Ok(page), _) => Ok(self::page(&page)),
        (Err(_), Err(error)) if error.is_total() => Ok(page_without_database(&house, &Err(error)).await),
        (Err(refused), _) => Err(refused),
    }
}

async fn whole_page(
    house: &House,
    visitor: &Visitor,
    database: &Result<(), DatabaseError>,
) -> Result<HealthPage, StoreError> {
    let now = house.clock.now();
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let mut items = foundations(house, database).await;
    items.extend(queue::items(house, now).await?);
    items.extend(storage::disks(house, now).await?);
    items.extend(providers::comparisons(house, &wall).await?);
    items.push(backup::item(house, &wall).await?);
    items.push(retention::item(house));
    items.extend(providers::last_calls(house, &wall).await?);
    items.extend(calendar::warnings(house, &wall));
    items.extend(providers::sounds(house).await);
    items.push(calendar::clock(&wall));
    let may_read = visitor.0.role >= Role::Senior;
    let alarms = Alarms::read(house, may_read, &wall).await?;
    let worst = items.iter().map(|item| item.mark).max().unwrap_or(Mark::Good);
    let worst = if alarms.count == 0 { worst } else { worst.max(Mark::Fair) };
    Ok(HealthPage {
        frame: Frame::of(house, &visitor.0, Here::Health, now).await?,
        verdict: worst.verdict(),
        class: worst.class(),
        items,
        alarms,
        may_read,
        askable: if may_read { providers::askable(house) } else { Vec::new() },
    })
}

/// What can be told to anybody while nobody can be asked to sign in: no calls and no names.
async fn page_without_database(house: &House, database: &Result<(), DatabaseError>) -> Response {
    let now = house.clock.now();
    let lines = house.lines();
    let mut items = foundations(house, database).await;
    items.extend(storage::disks_without_database(house).await);
    items.push(calendar::clock(&Wall::new(lines.default_calendar().time_zone(), now)));
    let page = HealthPage {
        frame: Frame::bare(house, now),
        verdict: Mark::Bad.verdict(),
        class: Mark::Bad.class(),
        items,
        alarms: Alarms::default(),
        askable: Vec::new(),
        may_read: true,
    };
    (StatusCode::SERVICE_UNAVAILABLE, self::page(&page)).into_response()
}

/// What can be told without the database.
async fn foundations(house: &House, database: &Result<(), DatabaseError>) -> Vec<Item> {
    let takes_commits = database.as_ref().err().is_none_or(|error| !error.is_total());
    vec![
        storage::database(database),
        queue::worker(house),
        storage::recordings(house).await,
        spool::item(house, takes_commits),
    ]
}
