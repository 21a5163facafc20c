//! The forms that have a page of their own: the ordinary week, and closing a line at once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::asked::{Asked, DAYS, Mistake};
use super::words::{by_line, hours_words, week_words};
use super::{Scope, View};
use crate::core::line::LineId;
use crate::core::officer::Role;
use crate::store::Person;
use crate::time::{Timestamp, Weekday};
use crate::web::House;
use crate::web::pages::frame::{Choice, Frame, Here, line_choices};
use crate::web::pages::refused::PageError;
use crate::web::pages::{AnyQuery, Seen, Visitor, page, query};

#[derive(Template)]
#[template(path = "calendar_week.html")]
struct WeekPage {
    frame: Frame,
    mistakes: Vec<Mistake>,
    asked: Asked,
    lines: Vec<Choice>,
    now: Vec<String>,
    days: [(&'static str, &'static str); 7],
}

#[derive(Template)]
#[template(path = "calendar_close.html")]
struct ClosePage {
    frame: Frame,
    mistakes: Vec<Mistake>,
    asked: Asked,
    lines: Vec<Choice>,
}

pub(super) async fn week(Seen(house): Seen, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    let (now, view) = (house.clock.now(), query(view));
    let person = visitor.at_least(Role::Senior)?;
    let lines = house.lines();
    let scope = Scope::of(&lines, &view.line);
    let mut asked = Asked::default();
    asked.set("step", "week");
    asked.set("line", scope.only.as_ref().map_or(String::new(), LineId::to_string));
    let weekdays = std::iter::successors(Some(Weekday::Monday), |day| Some(day.next()));
    for ((day, _), weekday) in DAYS.into_iter().zip(weekdays) {
        asked.set(day, hours_words(scope.calendar().hours().on(weekday).iter().copied()));
    }
    draw_week(&house, &person, asked, Vec::new(), now).await
}

pub(super) async fn draw_week(
    house: &House,
    person: &Person,
    asked: Asked,
    mistakes: Vec<Mistake>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let status = status(&mistakes);
    let page = WeekPage {
        frame: Frame::of(house, person, Here::Calendar, now).await?,
        mistakes,
        lines: line_choices(house, asked.line().as_ref(), false),
        now: by_line(house.lines().iter(), |line| week_words(line.calendar.hours())),
        asked,
        days: DAYS,
    };
    Ok((status, self::page(&page)).into_response())
}

pub(super) async fn close(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Senior)?;
    let mut asked = Asked::default();
    asked.set("step", "close");
    asked.set("until", "day");
    draw_close(&house, &person, asked, Vec::new(), house.clock.now()).await
}

pub(super) async fn draw_close(
    house: &House,
    person: &Person,
    asked: Asked,
    mistakes: Vec<Mistake>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let status = status(&mistakes);
    let page = ClosePage {
        frame: Frame::of(house, person, Here::Calendar, now).await?,
        mistakes,
        lines: line_choices(house, asked.line().as_ref(), false),
        asked,
    };
    Ok((status, self::page(&page)).into_response())
}

pub(super) fn status(mistakes: &[Mistake]) -> StatusCode {
    if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}
