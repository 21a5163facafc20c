//! The log and the list as files, with the filters of their pages. Whoever takes one is written down first.

use axum::response::Response;
use serde::Deserialize;

use super::super::desk::parts;
use super::super::export::write_down;
use super::super::refused::PageError;
use super::super::sign_in::Address;
use super::super::words::{Wall, counted};
use super::super::{AnyQuery, Seen, Visitor, query};
use super::Known;
use super::view::View;
use super::words::{called_back_after_ms, length_of, what_became};
use crate::core::call::Direction;
use crate::core::callback::State as Stands;
use crate::core::line::{LineId, Lines};
use crate::store::{CallbackView, Contact, DeskFilter, LogEntry, Person};
use crate::web::House;
use crate::web::sheet::{Cell, Column, MOST_ROWS, Sheet, SheetFormat};

/// Callbacks read at a time.
const PIECE: usize = 200;

pub(super) async fn calls_csv(
    Seen(house): Seen,
    visitor: Visitor,
    view: AnyQuery<View>,
    Address(address): Address,
) -> Result<Response, PageError> {
    calls(&house, visitor.officer()?, query(view), &address, SheetFormat::Csv).await
}

pub(super) async fn calls_xlsx(
    Seen(house): Seen,
    visitor: Visitor,
    view: AnyQuery<View>,
    Address(address): Address,
) -> Result<Response, PageError> {
    calls(&house, visitor.officer()?, query(view), &address, SheetFormat::Xlsx).await
}

pub(super) async fn callbacks_csv(
    Seen(house): Seen,
    visitor: Visitor,
    view: AnyQuery<DeskView>,
    Address(address): Address,
) -> Result<Response, PageError> {
    callbacks(&house, visitor.officer()?, &query(view), &address, SheetFormat::Csv).await
}

pub(super) async fn callbacks_xlsx(
    Seen(house): Seen,
    visitor: Visitor,
    view: AnyQuery<DeskView>,
    Address(address): Address,
) -> Result<Response, PageError> {
    callbacks(&house, visitor.officer()?, &query(view), &address, SheetFormat::Xlsx).await
}

async fn calls(
    house: &House,
    person: Person,
    view: View,
    address: &str,
    format: SheetFormat,
) -> Result<Response, PageError> {
    let (now, lines) = (house.clock.now(), house.lines());
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let filter = view.with_after("").filter(&wall, 0);
    let found = house.store.calls_to_export(&filter, MOST_ROWS).await?;
    let known = Known::of(&house.store, &found.entries).await?;
    let rows: Vec<Vec<Cell>> = found.entries.iter().map(|entry| call_row(entry, &known, &lines)).collect();
    let cut = (found.next.is_some() || found.newest_only).then(|| cut(rows.len()));
    write_down(house, &person, address, &format!("calls.{}", format.extension()), &view.described(), rows.len(), now)
        .await?;
    let sheet = Sheet { title: "Журнал звонков".to_owned(), columns: call_columns(), rows, cut };
    Ok(sheet.response(&format!("Журнал звонков {}", wall.today()), format).await)
}

fn call_columns() -> Vec<Column> {
    [
        ("Когда", 17),
        ("Линия", 14),
        ("Направление", 13),
        ("Телефон", 15),
        ("Имя", 24),
        ("Итог", 34),
        ("Длительность", 13),
        ("Кто", 18),
        ("Перезвонили через, раб. время", 20),
    ]
    .map(|(title, width)| Column::new(title, width))
    .to_vec()
}

fn call_row(entry: &LogEntry, known: &Known, lines: &Lines) -> Vec<Cell> {
    let call = &entry.call;
    let line = call.line.as_ref().map(|id| lines.by_id(id));
    let calendar = line.map_or_else(|| lines.default_calendar(), |line| &line.calendar);
    let number = call.other_party();
    let who = entry.solved.as_ref().and_then(|solved| solved.by.clone());
    vec![
        Cell::instant(call.started_at, calendar.time_zone()),
        Cell::text(line.map_or("", |line| &line.title)),
        Cell::text(if call.direction == Some(Direction::Outbound) { "исходящий" } else { "входящий" }),
        Cell::phone(number.as_ref()),
        Cell::text(known.name(number.as_ref())),
        Cell::text(what_became(entry)),
        length_of(call, known.voicemails(call.id)).map_or(Cell::Empty, Cell::Length),
        Cell::text(who.unwrap_or_default()),
        called_back_after_ms(entry, calendar).map_or(Cell::Empty, Cell::Length),
    ]
}

/// The filters of «Перезвонить».
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DeskView {
    line: String,
    show: String,
}

async fn callbacks(
    house: &House,
    person: Person,
    view: &DeskView,
    address: &str,
    format: SheetFormat,
) -> Result<Response, PageError> {
    let (now, lines) = (house.clock.now(), house.lines());
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let line = (!view.line.is_empty()).then(|| LineId::new(&view.line));
    let (mut rows, mut is_cut) = (Vec::new(), false);
    'parts: for part in parts(&view.show, wall.midnight()) {
        let mut after = None;
        loop {
            let filter = DeskFilter { part, line: line.clone(), after, limit: PIECE };
            let page = house.store.desk_page(&filter, now).await?;
            let numbers: Vec<_> =
                page.items.iter().filter_map(|view| view.callback.number_to_dial().cloned()).collect();
            let contacts = house.store.contacts(&numbers).await?;
            for view in &page.items {
                let number = view.callback.number_to_dial();
                rows.push(callback_row(view, number.and_then(|number| contacts.get(number)), &lines));
            }
            match page.next {
                Some(_) if rows.len() >= MOST_ROWS => {
                    is_cut = true;
                    break 'parts;
                }
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    let described = format!("show={}&line={}", view.show, view.line);
    write_down(house, &person, address, &format!("callbacks.{}", format.extension()), &described, rows.len(), now)
        .await?;
    let cut = is_cut.then(|| cut(rows.len()));
    let sheet = Sheet { title: "Перезвонить".to_owned(), columns: callback_columns(), rows, cut };
    Ok(sheet.response(&format!("Перезвонить {}", wall.today()), format).await)
}

fn callback_columns() -> Vec<Column> {
    [
        ("Номер обращения", 16),
        ("Линия", 14),
        ("Телефон", 15),
        ("Имя", 24),
        ("Как обратились", 16),
        ("Когда", 17),
        ("Срок", 17),
        ("Состояние", 20),
        ("Кто", 18),
        ("О чём", 40),
        ("Заметка", 40),
        ("Сообщений", 11),
        ("Попыток", 9),
        ("Последняя попытка", 17),
        ("Закрыто", 17),
        ("Ждёт также на линии", 20),
    ]
    .map(|(title, width)| Column::new(title, width))
    .to_vec()
}

fn callback_row(view: &CallbackView, contact: Option<&Contact>, lines: &Lines) -> Vec<Cell> {
    let callback = &view.callback;
    let line = lines.by_id(&callback.line);
    let zone = line.calendar.time_zone();
    let desk = &callback.desk;
    let (state, by, note) = match &desk.state {
        Stands::Open => ("открыто", None, ""),
        Stands::Claimed { by, .. } => ("в работе", Some(by), ""),
        Stands::Later { by, .. } => ("отложено", Some(by), ""),
        Stands::Done { by, note, .. } => ("сделано", Some(by), note.as_str()),
        Stands::Exceptional { by, note, .. } => ("передано в поддержку портала", Some(by), note.as_str()),
        Stands::Declined { by, reason, note, .. } => {
            let note = if note.is_empty() { reason.title() } else { note.as_str() };
            ("отклонено", Some(by), note)
        }
    };
    vec![
        Cell::text(callback.registration_number.clone().unwrap_or_default()),
        Cell::text(line.title.clone()),
        Cell::phone(callback.number_to_dial()),
        Cell::text(contact.map_or("", |contact| &contact.name)),
        Cell::text(callback.channel.title()),
        Cell::instant(callback.received_at, zone),
        Cell::optional_instant(callback.due_at, zone),
        Cell::text(state),
        Cell::text(by.map_or("", |by| &by.name)),
        Cell::text(desk.notes.summary.clone().unwrap_or_default()),
        Cell::text(note),
        Cell::Number(view.voicemails_count),
        Cell::Number(view.attempts().len() as i64),
        Cell::optional_instant(view.attempts().last().map(|attempt| attempt.at), zone),
        Cell::optional_instant(desk.state.closed_at(), zone),
        Cell::text(view.siblings.iter().map(|it| lines.by_id(&it.line).title.as_str()).collect::<Vec<_>>().join(", ")),
    ]
}

fn cut(rows: usize) -> String {
    let rows = counted(rows as i64, ["строка", "строки", "строк"]);
    format!("Это не всё: в файле {rows}. Чтобы получить остальное, выберите период короче.")
}
