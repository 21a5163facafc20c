//! What was changed about the hours, by whom and when: nothing is ever taken out of it.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::words::{dates_words, hours_words, week_words};
use crate::core::calendar::{DataSet, Exception, ExceptionMode, Hours};
use crate::core::line::{LineId, Lines};
use crate::store::{ChangedHours, HoursChange};

use crate::web::pages::frame::{Frame, Here};
use crate::web::pages::refused::PageError;
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Seen, Visitor, page, query};

const PAGE: u32 = 50;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct From {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "calendar_history.html")]
struct HistoryPage {
    frame: Frame,
    rows: Vec<String>,
    more: Option<i64>,
}

pub(super) async fn show(Seen(house): Seen, visitor: Visitor, from: AnyQuery<From>) -> Result<Response, PageError> {
    let now = house.clock.now();
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let mut changes = house.store.hours_history(query(from).before, PAGE + 1).await?;
    let more = (changes.len() > PAGE as usize).then(|| {
        changes.truncate(PAGE as usize);
        changes.last().map(|change| change.id)
    });
    Ok(page(&HistoryPage {
        frame: Frame::of(&house, &visitor.0, Here::Calendar, now).await?,
        rows: changes.iter().map(|change| told(change, &lines, &wall)).collect(),
        more: more.flatten(),
    }))
}

/// «Все линии, 4–8 ноября 2026: выходной, ремонт. Мадина И., вчера, 9:05. Отменила Айшат М., сегодня, 9:10.»
pub(super) fn told(change: &HoursChange, lines: &Lines, wall: &Wall<'_>) -> String {
    let who = who(change.line.as_ref(), lines);
    let what = match &change.what {
        ChangedHours::Exception(exception) => exception_words(exception, lines),
        ChangedHours::Week(week) => {
            format!("{who}: рабочее время {}", week_words(&Hours::default().with_week(week.clone())))
        }
        ChangedHours::Closure(period) => {
            let (start, end) = (wall.exact(period.start), wall.exact(period.end));
            format!("{who}: закрыто с {start} до {end}")
        }
        ChangedHours::Data(set) => format!("Загружены данные о праздниках: {}", set_words(*set)),
    };
    let reason = if change.reason.is_empty() { String::new() } else { format!(", {}", change.reason) };
    let ended = match &change.ended {
        Some((at, by)) => format!(" Больше не действует: {by}, {}.", wall.moment(*at)),
        None => String::new(),
    };
    format!("{what}{reason}. {}, {}.{ended}", change.by, wall.moment(change.made_at))
}

fn who(line: Option<&LineId>, lines: &Lines) -> String {
    match line {
        Some(line) => format!("Линия «{}»", lines.by_id(line).title),
        None => "Все линии".to_owned(),
    }
}

/// «Все линии, 4–8 ноября 2026: выходной».
pub(super) fn exception_words(exception: &Exception, lines: &Lines) -> String {
    let dates = dates_words(exception.from, exception.to);
    format!("{}, {dates}: {}", who(exception.line.as_ref(), lines), mode_words(&exception.mode))
}

fn mode_words(mode: &ExceptionMode) -> String {
    match mode {
        ExceptionMode::Rule => "по общему правилу".to_owned(),
        ExceptionMode::Closed => "выходной".to_owned(),
        ExceptionMode::Worked => "рабочий".to_owned(),
        ExceptionMode::Open(hours) => hours_words(hours.iter().copied()),
        ExceptionMode::Hours(hours) => format!("в рабочие дни {}", hours_words(hours.iter().copied())),
    }
}

pub(super) fn set_words(set: DataSet) -> &'static str {
    match set {
        DataSet::Russia => "Россия",
        DataSet::Chechnya => "Чеченская Республика",
    }
}
