//! «Отчёты»: one month, four questions, each answered in words first. And the sheet of paper for the head of the school.

mod charts;
mod month;
mod sheet;
#[cfg(test)]
mod tests;
mod words;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use self::charts::{Bars, CELL, HeatMap, TALL, TOP};
use self::month::{Asked, MonthView, Worker};
use self::words::{share, working};
use super::frame::{Choice, Frame, Here, line_choices};
use super::refused::PageError;
use super::words::short_weekday;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::report::{Ending, Month};
use crate::core::wording::WEEK;
use crate::web::House;

/// Months that can be chosen without typing an address.
const MONTHS_OFFERED: usize = 13;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/reports", get(show))
        .route("/reports/sheet", get(sheet::show))
        .route("/reports/xlsx", get(sheet::xlsx))
}

#[derive(Template)]
#[template(path = "reports.html")]
struct ReportPage {
    frame: Frame,
    title: String,
    months: Vec<Choice>,
    lines: Vec<Choice>,
    /// Empty unless an administrator looks.
    officers: Vec<Choice>,
    /// The filters of this report, for its sheet and its file.
    query: String,
    before: (String, String),
    /// `None`: the next month has not begun.
    after: Option<(String, String)>,
    promise: String,
    definition: &'static str,
    cut: bool,
    calling: String,
    heat: HeatMap,
    waiting: String,
    weeks: Vec<WeekRow>,
    bars: Bars,
    endings: Vec<EndingRow>,
    workers: Vec<WorkerRow>,
}

impl ReportPage {
    /// «пн».
    fn weekday(&self, day: &usize) -> &'static str {
        short_weekday(WEEK[*day])
    }
}

struct WeekRow {
    label: String,
    messages: usize,
    median: String,
    nine_of_ten: String,
    longest: String,
}

struct EndingRow {
    label: String,
    count: usize,
    share: String,
    /// Of the bar, percent.
    width: usize,
}

struct WorkerRow {
    name: String,
    address: String,
    first: usize,
    kept: String,
    median: String,
}

async fn show(Seen(house): Seen, visitor: Visitor, asked: AnyQuery<Asked>) -> Result<Response, PageError> {
    let view = MonthView::gather(&house, visitor.0.role, &query(asked)).await?;
    let kept = view.kept();
    let link = |month: Month| (format!("/reports?{}", view.query(month)), month.title());
    let weeks = view.weeks();
    let bars: Vec<(String, Option<i64>)> = weeks
        .iter()
        .map(|(label, entries)| {
            (label.clone(), view.waiting(entries.iter().copied()).map(|waiting| waiting.nine_of_ten_ms))
        })
        .collect();
    let report = ReportPage {
        frame: Frame::of(&house, &visitor.0, Here::Reports, view.now).await?,
        title: title(&view),
        months: months(&view),
        lines: line_choices(&house, view.line.as_ref(), true),
        officers: officers(&view),
        query: view.query(view.month),
        before: link(view.month.previous()),
        after: (view.month < view.today).then(|| link(view.month.next())),
        promise: match &view.officer {
            Some(officer) => words::promise_of(&officer.name, &kept),
            None => words::promise(view.month, view.today, &kept),
        },
        definition: words::DEFINITION,
        cut: view.cut,
        calling: words::calling(&view.heat),
        heat: HeatMap::of(&view.heat, &view.hours()),
        waiting: words::waiting(view.waiting(view.entries.iter()).as_ref()),
        weeks: weeks.iter().map(|(label, entries)| week(&view, label, entries)).collect(),
        bars: Bars::of(&bars, view.goal_ms()),
        endings: endings(&view),
        workers: view.officers.iter().map(|officer| worker(&view, officer)).collect(),
    };
    Ok(page(&report))
}

/// «ноябрь 2026», «ноябрь 2026, линия «Родители»».
fn title(view: &MonthView) -> String {
    let month = view.month.title();
    match &view.line {
        Some(line) => format!("{month}, линия «{}»", view.lines.by_id(line).title),
        None => month,
    }
}

fn months(view: &MonthView) -> Vec<Choice> {
    let offered = std::iter::successors(Some(view.today), |month| Some(month.previous())).take(MONTHS_OFFERED);
    let mut months: Vec<Month> = offered.collect();
    if !months.contains(&view.month) {
        months.push(view.month);
    }
    let choice = |month: Month| Choice { value: month.to_string(), label: month.title(), chosen: month == view.month };
    months.into_iter().map(choice).collect()
}

fn officers(view: &MonthView) -> Vec<Choice> {
    if view.officers.is_empty() {
        return Vec::new();
    }
    let chosen = view.officer.as_ref().map(|officer| &officer.id);
    let all = Choice { value: String::new(), label: "Все".to_owned(), chosen: chosen.is_none() };
    let named = view.officers.iter().map(|officer| Choice {
        value: officer.id.clone(),
        label: officer.name.clone(),
        chosen: chosen == Some(&officer.id),
    });
    std::iter::once(all).chain(named).collect()
}

fn week(view: &MonthView, label: &str, entries: &[&crate::core::report::Entry]) -> WeekRow {
    let waiting = view.waiting(entries.iter().copied());
    // May break between hours and minutes, or a phone is too narrow.
    let told = |ms: Option<i64>| ms.map_or_else(|| "—".to_owned(), |ms| working(ms).replace('\u{a0}', " "));
    WeekRow {
        label: label.to_owned(),
        messages: entries.len(),
        median: told(waiting.map(|waiting| waiting.median_ms)),
        nine_of_ten: told(waiting.map(|waiting| waiting.nine_of_ten_ms)),
        longest: told(waiting.map(|waiting| waiting.longest_ms)),
    }
}

fn endings(view: &MonthView) -> Vec<EndingRow> {
    let all = view.entries.len();
    let row = |ending: Ending| {
        let count = view.entries.iter().filter(|entry| entry.ending == ending).count();
        let width = crate::core::report::percent(count, all).unwrap_or(0);
        EndingRow { label: words::ending(ending), count, share: share(count, all), width }
    };
    Ending::ALL.into_iter().map(row).collect()
}

fn worker(view: &MonthView, officer: &Worker) -> WorkerRow {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("month", &view.month.to_string()).append_pair("officer", &officer.id);
    WorkerRow {
        name: officer.name.clone(),
        address: format!("/reports?{}", query.finish()),
        first: officer.kept.total(),
        kept: format!("{} ({})", officer.kept.kept, share(officer.kept.kept, officer.kept.total())),
        median: officer.waiting.map_or_else(|| "—".to_owned(), |waiting| working(waiting.median_ms)),
    }
}
