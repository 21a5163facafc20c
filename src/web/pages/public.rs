//! What everybody may see without a login (UX §10, R14): the page for the school's site, the poster for the info stand,
//! and the schedule for programs. All from the calendars that answer the telephone; none asks the database.

mod documents;
mod feeds;
#[cfg(test)]
mod tests;
mod told;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

pub(in crate::web) use self::documents::Documents;
use self::documents::{Which, answer};
use self::told::Told;
use super::frame::Frame;
use super::qr::Picture;
use super::{AnyQuery, query};
use crate::core::line::{Line, Lines};
use crate::core::school::School;
use crate::core::wording::day_and_month;
use crate::time::Timestamp;
use crate::web::House;
use crate::web::edge::RESOURCE_POLICY;

/// The page stands in a frame on the school's site, whatever its address. Nothing on it can be pressed to any effect.
const FRAMED: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors *";

/// Long enough for a crowd of visitors to be answered by a proxy, short enough for «Сейчас».
const BRIEFLY: &str = "public, max-age=60";

/// The school's site may take what is published into its own pages.
const FOR_OTHER_SITES: (HeaderName, &str) = (RESOURCE_POLICY, "cross-origin");

const HTML: &str = "text/html; charset=utf-8";

/// Of the poster that is cut into strips: as many as fit the width of the page.
const STRIPS: usize = 8;

pub(super) fn router() -> Router<House> {
    Router::new()
        .route("/", get(show))
        .route("/poster", get(poster))
        .route("/schedule.json", get(feeds::json))
        .route("/schedule.ics", get(feeds::ics))
}

/// Presence of a name in the query, whatever its value but 0.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wish {
    large: String,
    strips: String,
}

fn is_wished(value: &str) -> bool {
    !matches!(value, "" | "0")
}

#[derive(Template)]
#[template(path = "public.html")]
struct PublicPage<'a> {
    frame: Frame,
    school: &'a School,
    large: bool,
    lines: Vec<Contact>,
    /// What holds of all lines; `None`: each line says its own.
    common: Option<Told>,
}

#[derive(Template)]
#[template(path = "poster.html")]
struct Poster<'a> {
    frame: Frame,
    school: &'a School,
    lines: Vec<Contact>,
    common: Option<Told>,
    /// The numbers once more, to be cut apart.
    strips: usize,
    /// «22 ноября 2026 года».
    today: String,
}

/// One line as it is published.
struct Contact {
    /// «Сотрудникам», or the title of the line.
    heading: String,
    spaced: String,
    e164: String,
    email: Option<String>,
    told: Told,
    picture: Option<Picture>,
}

async fn show(State(house): State<House>, wish: AnyQuery<Wish>, headers: HeaderMap) -> Response {
    let large = is_wished(&query(wish).large);
    let shown = answer(&house, Which::Page { is_large: large }, &headers, HTML, |all, now| {
        let (lines, common) = contacts(all, now);
        let page = PublicPage { frame: Frame::bare(&house, now), school: &house.school, large, lines, common };
        Ok(page.render()?.into_bytes())
    });
    ([(CONTENT_SECURITY_POLICY, FRAMED), (CACHE_CONTROL, BRIEFLY), FOR_OTHER_SITES], shown).into_response()
}

async fn poster(State(house): State<House>, wish: AnyQuery<Wish>, headers: HeaderMap) -> Response {
    let strips = if is_wished(&query(wish).strips) { STRIPS } else { 0 };
    let shown = answer(&house, Which::Poster { strips }, &headers, HTML, |all, now| {
        let (lines, common) = contacts(all, now);
        let today = all.default_calendar().local_date(now);
        let poster = Poster {
            frame: Frame::bare(&house, now),
            school: &house.school,
            lines,
            common,
            strips,
            today: format!("{} {} года", day_and_month(today), today.year()),
        };
        Ok(poster.render()?.into_bytes())
    });
    ([(CACHE_CONTROL, BRIEFLY), FOR_OTHER_SITES], shown).into_response()
}

/// The published lines, and what is told of all of them at once where it is the same.
fn contacts(lines: &Lines, now: Timestamp) -> (Vec<Contact>, Option<Told>) {
    let contacts: Vec<Contact> = lines.iter().filter_map(|line| contact(line, now)).collect();
    let first = contacts.first().map(|contact| contact.told.clone());
    let common = first.filter(|first| contacts.iter().all(|contact| contact.told == *first));
    (contacts, common)
}

fn contact(line: &Line, now: Timestamp) -> Option<Contact> {
    let number = line.number.as_ref()?;
    Some(Contact {
        heading: heading(line),
        spaced: number.spaced(),
        e164: number.e164().to_owned(),
        email: line.email.clone(),
        told: Told::of(&line.calendar, now),
        picture: Picture::of(&format!("tel:{}", number.e164())),
    })
}

/// «Сотрудникам»: whom the line helps; its title if that is not said.
fn heading(line: &Line) -> String {
    let mut letters = line.audience.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => line.title.clone(),
    }
}
