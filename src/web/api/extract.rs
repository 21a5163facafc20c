//! What a request says, read once at the edge; what makes no sense is refused with a problem that names it.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::core::line::{Line, LineId, Lines};
use crate::core::officer::Role;
use crate::store::Person;
use crate::time::Timestamp;
use crate::web::auth::SignedIn;
use crate::web::plain_text::{self, Unkeepable};
use crate::web::{Error, House, came_too_slowly};

/// The largest body of a request, bytes. The longest texts of an officer have together about a tenth of it.
pub const LARGEST_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Whoever may act and listen: an officer at least. Observers are refused before their body is read.
pub struct Acting(pub Person);

impl FromRequestParts<House> for Acting {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Error> {
        SignedIn::from_request_parts(parts, house).await?.at_least(Role::Officer).map(Self)
    }
}

/// The id in the path. A text that is none names nothing of ours.
pub struct Id(pub i64);

impl FromRequestParts<House> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Error> {
        let Path(text) = Path::<String>::from_request_parts(parts, house).await.map_err(|_| Error::NotFound)?;
        text.parse().map(Self).map_err(|_| Error::NotFound)
    }
}

/// The query. Unknown names are refused: a misspelt filter would silently show too much.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<House> for Asked<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &House) -> Result<Self, Error> {
        let query = Query::try_from_uri(&parts.uri).map_err(|bad| {
            let reason = std::error::Error::source(&bad).map_or_else(|| bad.to_string(), ToString::to_string);
            Error::BadRequest(format!("query: {reason}"))
        })?;
        Ok(Self(query.0))
    }
}

/// The JSON body. No body at all counts as an empty object.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned> FromRequest<House> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &House) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = tokio::time::timeout(BODY_WITHIN, to_bytes(body, LARGEST_BODY)).await.map_err(|_| {
            Problem::plain(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body took longer than {} s", BODY_WITHIN.as_secs()),
            )
        })?;
        let body = body.map_err(|failed| {
            if came_too_slowly(&failed) {
                return Problem::plain(StatusCode::REQUEST_TIMEOUT, "the body came too slowly");
            }
            Problem::plain(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have at most {LARGEST_BODY} bytes"))
        })?;
        let body = match body.trim_ascii() {
            b"" => b"{}",
            body if is_json(&parts.headers) => body,
            _ => {
                let detail = "send the body as application/json";
                return Err(Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
            }
        };
        read_object(body).map(Self).map_err(Into::into)
    }
}

/// Refuses control characters in the path and the query.
pub(super) async fn check_address(request: Request, next: Next) -> Response {
    match plain_text::check_address(request.uri()) {
        Ok(()) => next.run(request).await,
        Err(found) => unkeepable(found).into_response(),
    }
}

fn unkeepable(found: Unkeepable) -> Error {
    match found {
        Unkeepable::Path => Error::NotFound,
        Unkeepable::BrokenOff => Error::BadRequest("the form broke off".to_owned()),
        Unkeepable::Field(name) => Error::BadRequest(format!(
            "{name}: control characters cannot be kept, U+0000 to U+001F and U+007F to U+009F; line breaks and tabs are \
             allowed in note and summary"
        )),
    }
}

/// A missing type passes: what comes then has to be JSON anyway.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if body.first() != Some(&b'{') {
        return Err(Error::BadRequest("body: a JSON object is expected at line 1 column 1".to_owned()));
    }
    if let Ok(value) = serde_json::from_slice(body) {
        plain_text::check_json(&value).map_err(unkeepable)?;
    }
    serde_json::from_slice(body).map_err(|bad| Error::BadRequest(format!("body: {bad}")))
}

/// The value of a parameter; an empty one counts as not given.
pub fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// The line of this name, or which names there are.
pub fn line<'l>(lines: &'l Lines, name: Option<&str>) -> Result<Option<&'l Line>, Error> {
    let Some(name) = name else { return Ok(None) };
    let id = LineId::new(name);
    if lines.get(&id).is_none() && !id.is_unknown() {
        let known: Vec<_> = lines.iter().map(|line| line.id.as_str()).collect();
        return Err(Error::BadRequest(format!("line: there is no line «{name}»; lines are {}", known.join(", "))));
    }
    Ok(Some(lines.by_id(&id)))
}

/// An instant of a query. A plus sign that was not escaped arrives as a space.
pub fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text else { return Ok(None) };
    let bad = |_| {
        let detail = format!("{name}: «{text}» is no instant; write it as 2026-11-20T19:30:00+03:00");
        Error::BadRequest(detail)
    };
    text.replace(' ', "+").parse().map(Some).map_err(bad)
}

/// A number of items for one page.
pub fn limit(text: Option<&str>, default: u32, most: u32) -> Result<u32, Error> {
    let Some(text) = text else { return Ok(default) };
    match text.parse() {
        Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(Error::BadRequest(format!("limit: «{text}» is no number from 1 to {most}"))),
    }
}

/// A cursor that one of our pages gave.
pub fn cursor<T>(text: Option<&str>, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
    let bad = || Error::BadRequest("cursor: this is not a next_cursor of an earlier page".to_owned());
    text.map(|text| parse(text).ok_or_else(bad)).transpose()
}

/// One of the known words.
pub fn word<T: Copy>(name: &str, text: &str, known: &[T], spell: fn(T) -> &'static str) -> Result<T, Error> {
    known.iter().copied().find(|word| spell(*word) == text).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|word| spell(*word)).collect();
        Error::BadRequest(format!("{name}: «{text}» is none of {}", known.join(", ")))
    })
}
