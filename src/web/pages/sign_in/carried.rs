//! What happens to a form that was sent when the session had ended: the page that asks to sign in carries it on in hidden
//! fields, and after that it is shown and sent with one button.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, REFERER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::{SignInPage, own_page};
use crate::store::Person;
use crate::time::Timestamp;
use crate::web::House;
use crate::web::pages::frame::{Frame, Here};
use crate::web::pages::refused::{Failure, NobodySignedIn, PageError};
use crate::web::pages::{LARGEST_FORM, page};

/// What the names of carried fields begin with.
const CARRIED: &str = "kept:";
/// The field with the address that the form was sent to.
const CARRIED_TO: &str = "kept_to";
const MOST_FIELDS: usize = 100;
/// Words in the names of fields that are for our eyes once: such a form is not carried at all.
const SECRETS: [&str; 3] = ["password", "secret", "code"];

/// Where somebody wanted to go when asked to sign in, and what they had written.
#[derive(Clone, Default)]
pub(super) struct Onward {
    /// Path and query of a page of ours.
    to: String,
    kept: Option<Kept>,
}

/// A form of ours that was not taken.
#[derive(Clone)]
struct Kept {
    /// The path and query it was sent to.
    address: String,
    fields: Vec<(String, String)>,
}

impl Onward {
    pub fn to(to: &str) -> Self {
        let to = if to.contains(char::is_control) { "" } else { to };
        Self { to: to.to_owned(), kept: None }
    }

    /// As [`Onward::hidden`] wrote it.
    pub fn of_form(fields: &[(String, String)]) -> Self {
        let one = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let kept = one(CARRIED_TO).filter(|address| own_page(address) == address).map(|address| {
            let fields = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(CARRIED)?, value)));
            Kept {
                address,
                fields: fields.take(MOST_FIELDS).map(|(name, value)| (name.to_owned(), value.clone())).collect(),
            }
        });
        Self { kept, ..Self::to(&one("to").unwrap_or_default()) }
    }

    /// Names and values of the hidden fields with which the next form carries all this on.
    pub fn hidden(&self) -> Vec<(String, String)> {
        let mut hidden = vec![("to".to_owned(), self.to.clone())];
        if let Some(kept) = &self.kept {
            hidden.push((CARRIED_TO.to_owned(), kept.address.clone()));
            hidden.extend(kept.fields.iter().map(|(name, value)| (format!("{CARRIED}{name}"), value.clone())));
        }
        hidden
    }

    /// To the page that was wanted, or to the question whether to send what was written.
    pub async fn lead(self, house: &House, person: &Person, now: Timestamp) -> Result<Response, PageError> {
        let Some(kept) = self.kept else { return Ok(Redirect::to(own_page(&self.to)).into_response()) };
        let written = kept.fields.iter().map(|(_, value)| value.trim()).filter(|value| is_writing(value));
        Ok(page(&KeptPage {
            frame: Frame::of(house, person, Here::Me, now).await?,
            written: written.map(ToOwned::to_owned).collect(),
            name: person.actor.name.clone(),
            back: own_page(&self.to).to_owned(),
            address: kept.address,
            fields: kept.fields,
        }))
    }
}

/// Whether a value was written by a hand rather than by our page: numbers and names of choices are short and Latin.
fn is_writing(value: &str) -> bool {
    !value.is_ascii() || value.contains(char::is_whitespace) || value.len() > 24
}

#[derive(Template)]
#[template(path = "kept.html")]
struct KeptPage {
    frame: Frame,
    written: Vec<String>,
    name: String,
    back: String,
    address: String,
    fields: Vec<(String, String)>,
}

/// Whoever sends a form or asks from a script without a session gets 401 and the page that asks to sign in, which carries
/// the form on. Who only looks was led to `/login` already. Files are not carried.
pub(in crate::web::pages) async fn keep_what_was_typed(
    State(house): State<House>,
    request: Request,
    next: Next,
) -> Response {
    let (headers, sent) = (request.headers().clone(), request.method() == Method::POST);
    let address = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let (request, body) = match sent && is_small_form(&headers) {
        true => {
            let (parts, body) = request.into_parts();
            let Ok(body) = to_bytes(body, LARGEST_FORM).await else {
                let text = "Форма пришла не целиком. Вернитесь и повторите.".to_owned();
                let title = "Запрос не понят".to_owned();
                return Failure { status: StatusCode::BAD_REQUEST, title, text }.into_response();
            };
            (Request::from_parts(parts, Body::from(body.clone())), Some(body))
        }
        false => (request, None),
    };
    let response = next.run(request).await;
    if response.extensions().get::<NobodySignedIn>().is_none() || !(sent || is_asked_by_script(&headers)) {
        return response;
    }
    let fields = body.map(|body| form_urlencoded::parse(&body).into_owned().take(MOST_FIELDS + 1).collect());
    let kept = fields.and_then(|fields| keepable(&address, fields));
    let why = match (&kept, sent) {
        (Some(_), _) => "Вход закончился. Войдите ещё раз: то, что вы написали, не потеряется.",
        (None, true) => "Вход закончился, поэтому ничего не изменено. Войдите и повторите.",
        (None, false) => "Вход закончился. Войдите ещё раз.",
    };
    let onward = Onward { to: came_from(&headers), kept };
    let frame = Frame::bare(&house, house.clock.now());
    let asked = page(&SignInPage { frame, login: String::new(), onward, told: None, why: Some(why) });
    (StatusCode::UNAUTHORIZED, asked).into_response()
}

/// A form of text fields whose length is told beforehand, as browsers do.
fn is_small_form(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let length = text(CONTENT_LENGTH).parse::<usize>();
    text(CONTENT_TYPE).starts_with("application/x-www-form-urlencoded")
        && length.is_ok_and(|length| length <= LARGEST_FORM)
}

/// Whether a script, a player or a picture asks: whoever cannot follow to another page and use it.
fn is_asked_by_script(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|mode| mode != "navigate")
}

/// `None`: a form with a password or code in it, one that is too large, or nothing to repeat.
fn keepable(address: &str, fields: Vec<(String, String)>) -> Option<Kept> {
    let secret = |(name, _): &(String, String)| SECRETS.iter().any(|word| name.to_lowercase().contains(word));
    let repeats = !["/login", "/logout", "/invite"].iter().any(|page| address.starts_with(page));
    let keeps = repeats && own_page(address) == address && fields.len() <= MOST_FIELDS && !fields.iter().any(secret);
    keeps.then(|| Kept { address: address.to_owned(), fields })
}

/// Path and query of the page that the form stands on. Browsers tell it to us and to nobody else.
fn came_from(headers: &HeaderMap) -> String {
    let page = headers.get(REFERER).and_then(|page| page.to_str().ok()).and_then(|page| url::Url::parse(page).ok());
    page.map_or_else(String::new, |page| match page.query() {
        Some(query) => format!("{}?{query}", page.path()),
        None => page.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_carried_comes_out_as_it_went_in() {
        let typed = fields(&[("note", "Перезвонить маме\nАйшат"), ("reason", "a"), ("reason", "b"), ("to", "7")]);
        let onward =
            Onward { to: "/callbacks?line=parents".to_owned(), kept: keepable("/callbacks/7/done?x=1", typed.clone()) };
        let back = Onward::of_form(&onward.hidden());
        assert_eq!(back.to, "/callbacks?line=parents");
        let kept = back.kept.unwrap();
        assert_eq!((kept.address.as_str(), kept.fields), ("/callbacks/7/done?x=1", typed));
    }

    #[test]
    fn no_password_is_ever_carried() {
        for name in ["password", "new_password", "Password", "code", "secret"] {
            let form = fields(&[("note", "текст"), (name, "x")]);
            assert!(keepable("/callbacks/7/done", form).is_none(), "{name}");
        }
        for address in ["/login", "/login/code", "/logout", "/invite/abc", "//evil.example", "https://evil.example"] {
            assert!(keepable(address, fields(&[("note", "текст")])).is_none(), "{address}");
        }
    }

    #[test]
    fn a_form_from_outside_is_led_to_no_other_site() {
        let evil = fields(&[("kept_to", "https://evil.example/"), ("kept:note", "x"), ("to", "//evil.example")]);
        assert!(Onward::of_form(&evil).kept.is_none());
    }

    #[test]
    fn only_what_a_hand_wrote_is_shown() {
        for (value, shown) in [("7", false), ("insufficient", false), ("Перезвоню", true), ("see 2026-000123", true)]
        {
            assert_eq!(is_writing(value), shown, "{value}");
        }
    }
}
