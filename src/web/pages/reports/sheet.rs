//! The month on paper, one page with a line for the signature, and as a file with a row for each callback.

use askama::Template;
use axum::response::Response;

use super::super::export::write_down;
use super::super::frame::{Frame, Here};
use super::super::refused::PageError;
use super::super::sign_in::Address;
use super::super::words::Wall;
use super::super::{AnyQuery, Seen, Visitor, page, query};
use super::month::{Asked, MonthView};
use super::words::{self, share, working};
use crate::core::officer::Role;
use crate::core::report::{Entry, Kept, Promise, Waiting};
use crate::core::school::School;
use crate::store::AuditHead;

use crate::web::sheet::{Cell, Column, Sheet, SheetFormat};

#[derive(Template)]
#[template(path = "report_sheet.html")]
struct SheetPage<'a> {
    frame: Frame,
    school: &'a School,
    /// «ноябрь 2026».
    month: String,
    back: String,
    promise: String,
    definition: &'static str,
    waiting: String,
    calls: i64,
    /// The lines, and «Всего» where they are several.
    titles: Vec<String>,
    /// Each with a value for each of `titles`.
    measures: Vec<(&'static str, Vec<String>)>,
    endings: Vec<(String, usize)>,
    longest: Option<String>,
    cut: bool,
    /// «22.11.2026, 21:30».
    made_at: String,
    audit_head: Option<AuditHead>,
}

/// What is told of each line, in this order.
const MEASURES: [&str; 7] = [
    "Сообщений",
    "Перезвонили в первое рабочее время",
    "Доля",
    "Позже или никогда",
    "Срок ещё не вышел",
    "Половине перезвонили за",
    "Самое долгое ожидание",
];

pub(super) async fn show(Seen(house): Seen, visitor: Visitor, asked: AnyQuery<Asked>) -> Result<Response, PageError> {
    // The paper tells totals, whoever prints it.
    let view = MonthView::gather(&house, Role::Observer, &query(asked)).await?;
    let lines = view.told_lines();
    let mut titles: Vec<String> = lines.iter().map(|line| line.title.clone()).collect();
    let mut columns: Vec<_> = lines.iter().map(|line| column(&view, view.of_line(line))).collect();
    if columns.len() > 1 {
        titles.push("Всего".to_owned());
        columns.push(column(&view, view.entries.iter()));
    }
    let values = |place: usize| columns.iter().map(|column| column[place].clone()).collect();
    let measures = MEASURES.into_iter().enumerate().map(|(place, measure)| (measure, values(place))).collect();
    let wall = Wall::new(view.lines.default_calendar().time_zone(), view.now);
    let longest = view.entries.iter().max_by_key(|entry| view.waited_ms(entry)).map(|entry| {
        let line = view.lines.by_id(&entry.line);
        let called = Wall::new(line.calendar.time_zone(), view.now).exact(entry.received_at);
        format!("{} рабочего времени (линия «{}», звонок {called})", working(view.waited_ms(entry)), line.title)
    });
    let sheet = SheetPage {
        frame: Frame::of(&house, &visitor.0, Here::Reports, view.now).await?,
        school: &house.school,
        month: view.month.title(),
        back: format!("/reports?{}", view.query(view.month)),
        promise: words::promise(view.month, view.today, &view.kept()),
        definition: words::DEFINITION,
        waiting: words::waiting(view.waiting(view.entries.iter()).as_ref()),
        calls: view.heat.iter().flatten().sum(),
        titles,
        measures,
        endings: super::endings(&view).into_iter().map(|row| (row.label, row.count)).collect(),
        longest,
        cut: view.cut,
        made_at: wall.exact(view.now),
        audit_head: house.store.audit_head().await?,
    };
    Ok(page(&sheet))
}

/// The values of [`MEASURES`].
fn column<'e>(view: &MonthView, entries: impl Iterator<Item = &'e Entry>) -> [String; MEASURES.len()] {
    let entries: Vec<&Entry> = entries.collect();
    let kept = Kept::of(entries.iter().copied(), view.now);
    let tried = view.waiting(entries.iter().copied());
    // Who was never tried waits still: the paper does not leave him out.
    let all = Waiting::of(entries.iter().map(|entry| view.waited_ms(entry)).collect());
    let told = |ms: Option<i64>| ms.map_or_else(|| "—".to_owned(), working);
    [
        kept.total().to_string(),
        kept.kept.to_string(),
        share(kept.kept, kept.kept + kept.broken),
        kept.broken.to_string(),
        kept.undecided.to_string(),
        told(tried.map(|waiting| waiting.median_ms)),
        told(all.map(|waiting| waiting.longest_ms)),
    ]
}

/// One row for each callback. No numbers and no names of callers; officers for administrators alone.
pub(super) async fn xlsx(
    Seen(house): Seen,
    visitor: Visitor,
    Address(address): Address,
    asked: AnyQuery<Asked>,
) -> Result<Response, PageError> {
    let role = visitor.0.role;
    let view = MonthView::gather(&house, role, &query(asked)).await?;
    let mut columns = vec![
        Column::new("Линия", 16),
        Column::new("Звонок", 17),
        Column::new("Срок", 17),
        Column::new("Первая попытка", 17),
        Column::new("Рабочего времени до неё", 14),
        Column::new("В первое рабочее время", 16),
        Column::new("Итог", 44),
    ];
    if role >= Role::Admin {
        columns.push(Column::new("Кто", 24));
    }
    let line = |entry: &Entry| {
        let line = view.lines.by_id(&entry.line);
        let zone = line.calendar.time_zone();
        let first = entry.first.as_ref();
        let promise = match entry.promise(view.now) {
            Promise::Kept => "да",
            Promise::Broken => "нет",
            Promise::Undecided => "срок не вышел",
        };
        let mut cells = vec![
            Cell::text(&*line.title),
            Cell::instant(entry.received_at, zone),
            Cell::optional_instant(entry.due_at, zone),
            Cell::optional_instant(first.map(|first| first.at), zone),
            first.map_or(Cell::Empty, |_| Cell::Length(view.waited_ms(entry))),
            Cell::text(promise),
            Cell::text(words::ending(entry.ending)),
        ];
        if role >= Role::Admin {
            cells.push(first.map_or(Cell::Empty, |first| Cell::text(&*first.by.name)));
        }
        cells
    };
    let rows: Vec<Vec<Cell>> = view.entries.iter().map(line).collect();
    let filters = view.query(view.month);
    write_down(&house, &visitor.0, &address, "report.xlsx", &filters, rows.len(), view.now).await?;
    let cut = view.cut.then(|| format!("Это первые {} обращений месяца.", view.entries.len()));
    let sheet = Sheet { title: view.month.title(), columns, rows, cut };
    Ok(sheet.response(&format!("Отчёт {}", view.month), SheetFormat::Xlsx).await)
}
