//! «Приветствия»: what callers hear, text by text: spoken by a robot, or recorded by the school. Nothing that is uploaded is
//! heard before somebody has listened and switched it on.

mod card;
mod sounds;
mod upload;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Path};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use self::card::{Card, said};
use super::frame::{Frame, Here};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::Wall;
use super::{AnyQuery, Seen, Visitor, page, query};
use crate::core::greetings::GreetingKind;
use crate::core::line::{Line, LineId};
use crate::core::officer::Role;
use crate::recordings::RecordingName;
use crate::store::{Person, Prompt, PromptError};
use crate::time::Timestamp;
use crate::web::{Error, House};

pub(super) fn router() -> Router<House> {
    Router::new().route("/prompts", get(show)).route("/prompts/{id}/{what}", get(sounds::listen).post(switch))
}

/// What takes longer and is larger than a form.
pub(super) fn uploads() -> Router<House> {
    Router::new()
        .route("/prompts", post(upload::take))
        .layer(DefaultBodyLimit::max(upload::LARGEST_REQUEST))
        .layer(Extension(upload::Turns::default()))
}

pub(super) const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
/// The one page that may ask for the microphone.
const WITH_MICROPHONE: HeaderValue = HeaderValue::from_static("camera=(), geolocation=(), microphone=(self)");

/// Which text is unfolded, and what has just been done with it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct View {
    line: String,
    text: String,
    /// `new`, `on`, `off`, `dropped`, `kept`.
    did: String,
}

impl View {
    fn of(line: &LineId, kind: GreetingKind, did: &str) -> Self {
        Self { line: line.to_string(), text: kind.as_str().to_owned(), did: did.to_owned() }
    }

    fn query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("line", &self.line).append_pair("text", &self.text);
        if !self.did.is_empty() {
            pairs.append_pair("did", &self.did);
        }
        pairs.finish()
    }

    /// The page with this text unfolded and in sight.
    fn address(&self) -> String {
        format!("/prompts?{}#{}-{}", self.query(), self.line, self.text)
    }
}

#[derive(Template)]
#[template(path = "prompts.html")]
struct PromptsPage {
    frame: Frame,
    groups: Vec<Group>,
}

struct Group {
    title: String,
    number: Option<String>,
    cards: Vec<Card>,
}

async fn show(Seen(house): Seen, visitor: Visitor, view: AnyQuery<View>) -> Result<Response, PageError> {
    let person = visitor.at_least(Role::Senior)?;
    draw(&house, &person, query(view), None, house.clock.now()).await
}

/// `refused` says in the unfolded card why an upload was not taken.
async fn draw(
    house: &House,
    person: &Person,
    view: View,
    refused: Option<(StatusCode, String)>,
    now: Timestamp,
) -> Result<Response, PageError> {
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let on = house.store.prompts_on().await?;
    let drafts = house.store.prompt_drafts().await?;
    let (status, refused) = refused.unzip();
    let mut groups = Vec::new();
    for line in lines.iter() {
        let mut cards = Vec::new();
        for kind in GreetingKind::ALL {
            let here = |prompt: &&Prompt| prompt.line == line.id && prompt.kind == kind;
            let drafts = drafts.iter().find(|(of, text, _)| *of == line.id && *text == kind).map_or(0, |it| it.2);
            let mut card = Card::folded(line, kind, on.iter().find(here), drafts, &wall);
            if view.line == line.id.as_str() && view.text == kind.as_str() {
                let versions = house.store.prompts(&line.id, kind).await?;
                card.unfold(line, &versions, refused.clone(), said(&view.did), &wall);
            }
            cards.push(card);
        }
        let number = line.number.as_ref().map(|number| number.spaced());
        groups.push(Group { title: line.title.clone(), number, cards });
    }
    let frame = Frame::of(house, person, Here::Prompts, now).await?;
    let page = page(&PromptsPage { frame, groups });
    Ok((status.unwrap_or(StatusCode::OK), [(PERMISSIONS, WITH_MICROPHONE)], page).into_response())
}

/// Switches a version on or off, or throws a draft away.
async fn switch(
    Seen(house): Seen,
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    Address(address): Address,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Senior)?;
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let (store, by) = (&house.store, &person.actor);
    let (did, done) = match verb.as_str() {
        "on" => ("on", store.switch_prompt_on(id, by, &address, now).await),
        "off" => ("off", store.switch_prompt_off(id, by, &address, now).await),
        "drop" => ("dropped", store.drop_prompt(id, by, &address, now).await),
        _ => return Err(Error::NotFound.into()),
    };
    let (did, prompt) = match done {
        Ok(prompt) => (did, prompt),
        Err(PromptError::WasHeard) => ("kept", store.prompt(id).await?.ok_or(Error::NotFound)?),
        Err(PromptError::Store(failed)) => return Err(failed.into()),
        Err(PromptError::NotFound | PromptError::TooManyDrafts) => return Err(Error::NotFound.into()),
    };
    if did == "dropped" {
        remove(&house, &prompt.name, &prompt.original_name).await;
    }
    Ok(Redirect::to(&View::of(&prompt.line, prompt.kind, did).address()).into_response())
}

/// Takes the files of a version away that no row names. What cannot be removed only takes room.
async fn remove(house: &House, name: &str, original_name: &str) {
    for name in [RecordingName::of_prompt(name), original_name.parse()].into_iter().flatten() {
        if let Err(failed) = house.folder.remove(&name).await {
            tracing::warn!(error = %failed, "A greeting that was thrown away still takes room: {failed}");
        }
    }
}

/// The line and the text that a form is about.
fn text_of<'l>(lines: &'l crate::core::line::Lines, view: &View) -> Option<(&'l Line, GreetingKind)> {
    Some((lines.get(&LineId::new(&view.line))?, view.text.parse().ok()?))
}
