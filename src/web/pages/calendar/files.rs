//! Files in and out: the days off as `.ics`, and newer data about holidays.

use askama::Template;
use axum::extract::Multipart;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::asked::{Asked, Mistake};
use super::check::{self, differences_words};
use super::forms::status;
use super::history::set_words;
use super::{Scope, View};
use crate::core::calendar::{DataSet, HolidayData, IcsEvent, LARGEST_DATA_FILE, LARGEST_ICS, write_ics};
use crate::core::officer::Role;
use crate::store::{ChangedHours, HoursChange, Person};
use crate::time::Timestamp;
use crate::web::pages::frame::{Choice, Frame, Here, line_choices};
use crate::web::pages::refused::PageError;
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Seen, Visitor, page, query};
use crate::web::{Error, House};

/// The days of a year ahead are written.
const DAYS_AHEAD: i32 = 366;
const MOST_DIFFERENCES: usize = 200;

#[derive(Template)]
#[template(path = "calendar_data.html")]
struct DataPage {
    frame: Frame,
    mistakes: Vec<Mistake>,
    may_change: bool,
    sets: Vec<Set>,
}

struct Set {
    id: &'static str,
    title: &'static str,
    applied: String,
    /// What taking the data of the program would change; `None`: they are in use.
    built_in: Option<Vec<String>>,
}

#[derive(Template)]
#[template(path = "calendar_ics.html")]
struct IcsPage {
    frame: Frame,
    mistakes: Vec<Mistake>,
    lines: Vec<Choice>,
}

/// `[Выгрузить .ics]`: days off and exceptions of the coming year.
pub(super) async fn write(Seen(house): Seen, _: Visitor, view: AnyQuery<View>) -> Response {
    let (now, view) = (house.clock.now(), query(view));
    let lines = house.lines();
    let scope = Scope::of(&lines, &view.line);
    let of_line = |calendar: &crate::core::calendar::Calendar| -> Vec<IcsEvent> {
        let special = calendar.special_days(calendar.local_date(now), DAYS_AHEAD);
        special.iter().map(|days| days.event()).collect()
    };
    let each: Vec<(&str, Vec<IcsEvent>)> =
        scope.lines().map(|line| (line.title.as_str(), of_line(&line.calendar))).collect();
    let is_same = each.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let mut events: Vec<IcsEvent> = Vec::new();
    for (title, own) in each {
        if is_same {
            events = own;
            break;
        }
        events.extend(own.into_iter().map(|it| IcsEvent { summary: format!("{title}: {}", it.summary), ..it }));
    }
    let headers = [
        (CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"perezvon-calendar.ics\""),
    ];
    (headers, write_ics("Перезвон: нерабочие дни", &events, now)).into_response()
}

pub(super) async fn ics(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Senior)?;
    draw_ics(&house, &person, Asked::default(), Vec::new(), house.clock.now()).await
}

pub(super) async fn draw_ics(
    house: &House,
    person: &Person,
    asked: Asked,
    mistakes: Vec<Mistake>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let status = status(&mistakes);
    let frame = Frame::of(house, person, Here::Calendar, now).await?;
    let lines = line_choices(house, asked.line().as_ref(), false);
    Ok((status, page(&IcsPage { frame, mistakes, lines })).into_response())
}

pub(super) async fn take_ics(Seen(house): Seen, visitor: Visitor, upload: Multipart) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Senior)?;
    taken(&house, &person, "ics", LARGEST_ICS, "1 МБ", upload).await
}

pub(super) async fn data(Seen(house): Seen, visitor: Visitor) -> Result<Response, PageError> {
    draw_data(&house, &visitor.0, Vec::new(), house.clock.now()).await
}

pub(super) async fn draw_data(
    house: &House,
    person: &Person,
    mistakes: Vec<Mistake>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let in_force = house.store.hours_in_force().await?;
    let current = house.store.hours_changes().await?.data.unwrap_or_else(HolidayData::built_in);
    let built_in = HolidayData::built_in();
    let sets = DataSet::ALL.into_iter().map(|set| {
        let stored = |change: &&HoursChange| matches!(change.what, ChangedHours::Data(of) if of == set);
        let stored = in_force.iter().filter(|change| change.ended.is_none()).find(stored);
        let updated = current.updated(set).strftime("%d.%m.%Y");
        let is_built_in = current.digest(set) == built_in.digest(set);
        Set {
            id: set.as_str(),
            title: set_words(set),
            applied: match stored {
                Some(change) if !is_built_in => {
                    format!("загружены: {}, {}; проверены {updated}", change.by, wall.moment(change.made_at))
                }
                _ => format!("встроенные, проверены {updated}"),
            },
            built_in: (!is_built_in).then(|| {
                let mut told = differences_words(&current, &built_in, set, &lines);
                told.truncate(MOST_DIFFERENCES);
                told
            }),
        }
    });
    let status = status(&mistakes);
    let page = DataPage {
        frame: Frame::of(house, person, Here::Calendar, now).await?,
        may_change: person.role >= Role::Admin,
        sets: sets.collect(),
        mistakes,
    };
    Ok((status, self::page(&page)).into_response())
}

pub(super) async fn take_data(Seen(house): Seen, visitor: Visitor, upload: Multipart) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Admin)?;
    taken(&house, &person, "data", LARGEST_DATA_FILE, "512 КБ", upload).await
}

/// The uploaded file, on to the page that shows what it would do.
async fn taken(
    house: &House,
    person: &Person,
    step: &'static str,
    largest: usize,
    largest_words: &str,
    mut upload: Multipart,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let (mut file, mut line) = (Vec::new(), String::new());
    let broken = |_| Error::BadRequest("Файл пришёл не целиком или слишком велик. Вернитесь и повторите.".to_owned());
    while let Some(field) = upload.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        let content = field.bytes().await.map_err(broken)?;
        match name.as_str() {
            "file" => file = content.to_vec(),
            "line" => line = String::from_utf8_lossy(&content).into_owned(),
            _ => {}
        }
    }
    let problem = match file.len() {
        0 => Some("Выберите файл.".to_owned()),
        size if size > largest => Some(format!("Файл больше {largest_words}.")),
        _ => None,
    };
    let asked = Asked::with_file(step, &line, &file);
    match problem {
        Some(text) => check::again(house, person, asked, vec![Mistake { field: "file", text }], now).await,
        None => check::preview(house, person, asked, None, now).await,
    }
}
