//! «История действий»: who did what, when, from where. It can be read and taken along, never changed.

pub mod words;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::export::write_down;
use super::frame::{Choice, Frame, Here};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::Wall;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::officer::{Actor, Role};
use crate::store::{AuditFilter, AuditHead, AuditRow};
use crate::time::{Date, TimeZone, Timestamp, ToSpan};
use crate::web::House;
use crate::web::sheet::{Cell, Column, MOST_ROWS, Sheet, SheetFormat};

const PAGE: u32 = 100;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/audit", get(show))
        .route(
            "/audit.csv",
            get(|house, visitor, address, view| export(house, visitor, address, view, SheetFormat::Csv)),
        )
        .route(
            "/audit.xlsx",
            get(|house, visitor, address, view| export(house, visitor, address, view, SheetFormat::Xlsx)),
        )
}

/// The filters, as they stand in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    who: String,
    what: String,
    from: String,
    to: String,
    /// The id of the last line seen.
    before: String,
}

impl View {
    fn filter(&self, zone: &TimeZone, limit: u32) -> AuditFilter {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        AuditFilter {
            actor: given(&self.who),
            action: given(&self.what),
            from: midnight(&self.from, 0, zone),
            until: midnight(&self.to, 1, zone),
            before: self.before.parse().ok(),
            limit,
        }
    }

    fn query(&self, before: &str) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let given =
            [("who", &*self.who), ("what", &self.what), ("from", &self.from), ("to", &self.to), ("before", before)];
        for (name, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
            pairs.append_pair(name, value);
        }
        let pairs = pairs.finish();
        if pairs.is_empty() { pairs } else { format!("?{pairs}") }
    }
}

/// The beginning of the day of this text and `days` more; what is no date asks for nothing.
fn midnight(text: &str, days: i64, zone: &TimeZone) -> Option<Timestamp> {
    let day: Date = text.parse().ok()?;
    Some(day.checked_add(days.days()).ok()?.to_zoned(zone.clone()).ok()?.timestamp())
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    people: Vec<Choice>,
    actions: Vec<Choice>,
    from: String,
    to: String,
    rows: Vec<Row>,
    more: Option<String>,
    head: Option<AuditHead>,
    files: String,
    filtered: bool,
}

struct Row {
    at: String,
    who: String,
    what: String,
    object: String,
    link: Option<String>,
    detail: String,
    address: String,
}

async fn show(Seen(house): Seen, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    let (now, view) = (house.clock.now(), query(view));
    let person = visitor.at_least(Role::Admin)?;
    let lines = house.lines();
    let zone = lines.default_calendar().time_zone();
    let found = house.store.audit_page(&view.filter(zone, PAGE)).await?;
    let more = (found.len() == PAGE as usize).then(|| found.last()).flatten();
    let wall = Wall::new(zone, now);
    let page = AuditPage {
        frame: Frame::of(&house, &person, Here::Audit, now).await?,
        people: people(&house, &view.who).await?,
        actions: actions(&view.what),
        more: more.map(|last| format!("/audit{}", view.query(&last.id.to_string()))),
        head: house.store.audit_head().await?,
        files: view.query(""),
        filtered: !view.query("").is_empty(),
        rows: found.into_iter().map(|row| shown(row, &wall)).collect(),
        from: view.from,
        to: view.to,
    };
    Ok(self::page(&page))
}

async fn export(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    view: AnyQuery<View>,
    format: SheetFormat,
) -> Result<Response, PageError> {
    let (now, view) = (house.clock.now(), query(view));
    let person = visitor.at_least(Role::Admin)?;
    let lines = house.lines();
    let zone = lines.default_calendar().time_zone();
    let found = house.store.audit_page(&view.filter(zone, MOST_ROWS as u32)).await?;
    let file = format!("audit.{}", format.extension());
    write_down(&house, &person, &address, &file, &view.query(""), found.len(), now).await?;
    let cut =
        (found.len() == MOST_ROWS).then(|| format!("Это последние {MOST_ROWS} строк. Выберите более короткий срок."));
    let rows = found.into_iter().map(|row| {
        vec![
            Cell::instant(row.at, zone),
            Cell::text(row.by.name),
            Cell::text(words::action(&row.action)),
            Cell::text(words::object(&row.object)),
            Cell::text(row.detail),
            Cell::text(row.address),
        ]
    });
    let columns = [("Когда", 17), ("Кто", 24), ("Что", 28), ("Над чем", 30), ("Подробно", 60), ("Откуда", 18)];
    let sheet = Sheet {
        title: "История действий".to_owned(),
        columns: columns.map(|(title, width)| Column::new(title, width)).into(),
        rows: rows.collect(),
        cut,
    };
    Ok(sheet.response("История действий", format).await)
}

fn shown(row: AuditRow, wall: &Wall<'_>) -> Row {
    Row {
        at: wall.moment(row.at),
        who: row.by.name,
        what: words::action(&row.action),
        object: words::object(&row.object),
        link: words::link(&row.object),
        detail: row.detail,
        address: row.address,
    }
}

async fn people(house: &House, chosen: &str) -> Result<Vec<Choice>, PageError> {
    let choice = |value: String, label: String| Choice { chosen: value == chosen, value, label };
    let mut people = vec![choice(String::new(), "Все".to_owned())];
    for officer in house.store.officers().await? {
        people.push(choice(Actor::officer(officer.id, &officer.name).id, officer.name));
    }
    for token in house.store.tokens().await? {
        let program = Actor::token(token.id, &token.name);
        people.push(choice(program.id, format!("{} (программа)", program.name)));
    }
    for nobody in [Actor::command_line(), Actor::stranger(), Actor::system()] {
        people.push(choice(nobody.id, nobody.name));
    }
    Ok(people)
}

fn actions(chosen: &str) -> Vec<Choice> {
    let any = Choice { value: String::new(), label: "Любое".to_owned(), chosen: chosen.is_empty() };
    let known = words::ACTIONS.iter().map(|(value, label)| Choice {
        value: (*value).to_owned(),
        label: (*label).to_owned(),
        chosen: *value == chosen,
    });
    std::iter::once(any).chain(known).collect()
}
