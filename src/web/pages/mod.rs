//! The officer's pages. They work with scripts switched off: every action is a form, every answer a page or a redirect.

mod assets;
mod audit;
mod blocklist;
mod by_hand;
mod calendar;
mod call;
mod caller;
mod desk;
mod dial_link;
mod escape;
mod export;
mod frame;
mod health;
mod lines;
mod live;
mod log;
mod me;
mod naming;
mod notes;
mod people;
mod print;
mod prompts;
mod public;
mod qr;
mod refused;
mod reports;
mod sign_in;
mod step_up;
mod steps;
#[cfg(test)]
mod tests;
mod waveform;
mod words;

use std::any::Any;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response_with_state};
use axum::response::{Html, IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};

pub use self::audit::words::ACTIONS as AUDIT_ACTIONS;
pub(super) use self::public::Documents;
use self::refused::{Failure, PageError};
use super::plain_text::{self, Unkeepable};
use super::{Error, House, session};
use crate::core::line_scope::LineScope;
use crate::core::officer::Role;
use crate::store::Person;

/// The largest form: a note of 2000 Cyrillic letters, percent-encoded, with room to spare.
const LARGEST_FORM: usize = 64 * 1024;

const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What every page says to the browser. Pages hold personal data: nothing keeps a copy, and no address of ours leaves.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
    (prompts::PERMISSIONS, "camera=(), geolocation=(), microphone=()"),
];

pub(super) fn router(house: &House) -> Router<House> {
    let pages = Router::new()
        .merge(public::router())
        .merge(sign_in::router())
        .merge(step_up::router())
        .merge(by_hand::router())
        .merge(calendar::router())
        .merge(desk::router())
        .merge(audit::router())
        .merge(health::router())
        .merge(lines::router())
        .merge(live::router())
        .merge(log::router())
        .merge(notes::router())
        .merge(print::router())
        .merge(call::router())
        .merge(people::router())
        .merge(prompts::router())
        .merge(caller::router())
        .merge(blocklist::router())
        .merge(reports::router())
        .fallback(|| async { PageError::from(Error::NotFound) })
        .layer(DefaultBodyLimit::max(LARGEST_FORM));
    dressed(pages, house).merge(assets::router()).layer(CompressionLayer::new())
}

/// What is larger than a form and may take longer.
pub(super) fn uploads(house: &House) -> Router<House> {
    dressed(prompts::uploads(), house)
}

/// With what every page needs around it.
fn dressed(pages: Router<House>, house: &House) -> Router<House> {
    pages
        .layer(from_fn_with_state(house.clone(), step_up::ask))
        .layer(session::layer(house))
        .layer(from_fn_with_state(house.clone(), sign_in::keep_what_was_typed))
        .layer(from_fn(check_text))
        .layer(csrf(house).with_rejection_response(|_: ProtectionError| Failure::foreign_form().into_response()))
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| Failure::ours("a page panicked").into_response()))
        .layer(map_response_with_state(house.clone(), dress))
}

/// Refuses what changes something and comes from a page of another site. The address of `public_url` is trusted
/// whatever `Host` a proxy sends on. Programs with a token send neither `Origin` nor `Sec-Fetch-Site` and pass.
pub(super) fn csrf(house: &House) -> CsrfLayer {
    let origin = url::Url::parse(&house.public_url).map(|url| url.origin().ascii_serialization());
    origin.ok().and_then(|origin| CsrfLayer::new().add_trusted_origin(origin).ok()).unwrap_or_default()
}

/// Refuses control characters in the path, the query and the form, but for tabs, which are spaces.
async fn check_text(mut request: Request, next: Next) -> Response {
    plain_text::take_tabs_out_of_query(request.uri_mut());
    let checked = match plain_text::check_address(request.uri()) {
        Ok(()) => plain_text::check_form(request, sign_in::LARGEST_SIGN_IN).await,
        Err(found) => Err(found),
    };
    match checked {
        Ok(request) => next.run(request).await,
        Err(Unkeepable::Path) => PageError::from(Error::NotFound).into_response(),
        Err(Unkeepable::BrokenOff) => {
            let text = "Форма пришла не целиком, ничего не изменено. Вернитесь назад и отправьте ещё раз.";
            PageError::from(Error::BadRequest(text.to_owned())).into_response()
        }
        Err(Unkeepable::Field(name)) => {
            let text = format!(
                "В поле «{name}» есть невидимый управляющий символ, сохранить его нельзя. Ничего не изменено. Вернитесь \
                 назад, наберите это поле заново и отправьте ещё раз."
            );
            PageError::from(Error::BadRequest(text)).into_response()
        }
    }
}

/// The last hand on every answer: a failure becomes a page, and all get their headers.
async fn dress(State(house): State<House>, mut response: Response) -> Response {
    let bare = response.status() == StatusCode::INTERNAL_SERVER_ERROR && !response.headers().contains_key(CONTENT_TYPE);
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = failure.page(&house);
    } else if bare {
        response = Failure::ours("the session could not be saved after the answer").page(&house);
    }
    // What is meant for frames of other sites says so itself, and the older header has no word for it.
    let is_framed = response.headers().contains_key(CONTENT_SECURITY_POLICY);
    for (name, value) in HEADERS.into_iter().filter(|(name, _)| !(is_framed && *name == X_FRAME_OPTIONS)) {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whoever looks at a page. Others are shown the way in.
struct Visitor(Person);

impl Visitor {
    fn may_act(&self) -> bool {
        self.0.role >= Role::Officer
    }

    /// The person, if their role lets them work the list.
    fn officer(self) -> Result<Person, PageError> {
        Ok(self.at_least(Role::Officer)?)
    }

    /// The person, if their role is enough.
    fn at_least(self, role: Role) -> Result<Person, Error> {
        match self.0.role >= role {
            true => Ok(self.0),
            false => Err(Error::RoleNeeded(role)),
        }
    }
}

impl FromRequestParts<House> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, PageError> {
        let person = looker(parts, house).await?;
        let wanted = || match parts.method {
            Method::GET => wanted_again(parts.uri.path_and_query().map_or("", |wanted| wanted.as_str())),
            _ => String::new(),
        };
        person.map(Self).ok_or_else(|| PageError::sign_in(wanted()))
    }
}

/// Who was found to look, so that the extractors of one request ask once.
#[derive(Clone)]
struct Looker(Person);

async fn looker(parts: &mut Parts, house: &House) -> Result<Option<Person>, Error> {
    if let Some(Looker(person)) = parts.extensions.get() {
        return Ok(Some(person.clone()));
    }
    let person = session::person(parts, house).await?;
    if let Some(person) = &person {
        parts.extensions.insert(Looker(person.clone()));
    }
    Ok(person)
}

/// The house as whoever looks may see it. Handlers behind the sign-in take this in the place of `State<House>`, so that none
/// forgets whose lines are asked for. Whoever is not signed in is refused by [`Visitor`], and sees no line.
struct Seen(House);

impl FromRequestParts<House> for Seen {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, PageError> {
        let person = looker(parts, house).await?;
        Ok(Self(person.map_or_else(|| house.limited_to(&LineScope::nothing()), |person| house.seen_by(&person))))
    }
}

/// The page to come back to after signing in. Cards of callers once had the number in their address: it is not handed on.
fn wanted_again(address: &str) -> String {
    const MIN_ID_DIGITS: usize = 16;
    let is_old = address.strip_prefix("/callers/").is_some_and(|rest| {
        let id = rest.split('?').next().unwrap_or(rest);
        id.len() < MIN_ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_old { "/callers".to_owned() } else { address.to_owned() }
}

/// A query that makes no sense is no query.
type AnyQuery<T> = Result<Query<T>, QueryRejection>;

fn query<T: Default>(query: AnyQuery<T>) -> T {
    query.map(|Query(query)| query).unwrap_or_default()
}

/// A template as a page.
fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(Body::from(html)).into_response(),
        Err(error) => Failure::ours(&error.to_string()).into_response(),
    }
}
