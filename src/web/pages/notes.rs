//! What an officer may note about a callback (R19): who asks, the topic, the difficulty in one sentence, where it was
//! discussed before. None of it is needed to close one.

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Router};
use serde::Deserialize;

use super::frame::{Choice, Frame, Here};
use super::refused::{PageError, sentence};
use super::words::{Wall, counted};
use super::{Seen, Visitor, page};
use crate::core::callback::{ASKERS, Action, Callback, Channel, LONGEST_NOTE, Notes, State as Standing, TOPICS};
use crate::store::Person;
use crate::time::Timestamp;
use crate::web::{Error, House};

pub(super) fn router() -> Router<House> {
    Router::new().route("/callbacks/{id}/notes", get(show).post(save))
}

/// «Родитель» for `parent`. Any other word stands for itself.
pub(super) fn asker_title(word: &str) -> &str {
    match word {
        "employee" => "Сотрудник",
        "parent" => "Родитель",
        "legal_representative" => "Законный представитель",
        "not_established" => "Не установлено",
        other => other,
    }
}

/// «Оценки» for `marks`: the four areas of the regulation, and other. Any other word stands for itself.
pub(super) fn topic_title(word: &str) -> &str {
    match word {
        "marks" => "Оценки",
        "attendance" => "Посещаемость",
        "lesson_planning" => "Планирование уроков",
        "conducting_lessons" => "Проведение уроков",
        "other" => "Другое",
        other => other,
    }
}

/// A field that was not understood: its id on the page and what to write instead.
pub(super) struct Mistake {
    pub field: &'static str,
    pub sentence: String,
}

impl Mistake {
    pub fn new(field: &'static str, sentence: impl Into<String>) -> Self {
        Self { field, sentence: sentence.into() }
    }
}

/// What was wrong with this field, if anything.
pub(super) fn mistake<'m>(mistakes: &'m [Mistake], field: &str) -> Option<&'m str> {
    mistakes.iter().find(|mistake| mistake.field == field).map(|mistake| mistake.sentence.as_str())
}

/// The fields of the notes, as typed.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NotesTyped {
    pub asker: String,
    pub topic: String,
    pub summary: String,
    pub reference: String,
}

impl NotesTyped {
    fn of(notes: &Notes) -> Self {
        let known = |note: &Option<String>| note.clone().unwrap_or_default();
        Self {
            asker: known(&notes.asker),
            topic: known(&notes.topic),
            summary: known(&notes.summary),
            reference: known(&notes.reference),
        }
    }

    /// Texts without their edges, and without what PostgreSQL keeps in no text.
    pub fn tidy(&mut self) {
        for text in [&mut self.asker, &mut self.topic, &mut self.summary, &mut self.reference] {
            *text = tidy(text);
        }
    }

    pub fn check(&self, mistakes: &mut Vec<Mistake>) {
        for (field, value, known) in [("asker", &self.asker, &ASKERS[..]), ("topic", &self.topic, &TOPICS[..])] {
            if !value.is_empty() && !known.contains(&value.as_str()) {
                mistakes.push(Mistake::new(field, "Выберите значение из списка."));
            }
        }
        let most = counted(LONGEST_NOTE as i64, ["знака", "знаков", "знаков"]);
        for (field, title, value) in
            [("summary", "Суть вопроса", &self.summary), ("reference", "Где обсуждали раньше", &self.reference)]
        {
            if value.chars().count() > LONGEST_NOTE {
                mistakes.push(Mistake::new(field, format!("«{title}»: не больше {most}.")));
            }
        }
    }

    /// All four: an empty one clears what was noted.
    pub fn notes(self) -> Notes {
        let Self { asker, topic, summary, reference } = self;
        Notes {
            asker: Some(asker),
            topic: Some(topic),
            summary: Some(summary),
            reference: Some(reference),
            remark: None,
        }
    }
}

pub(super) fn tidy(text: &str) -> String {
    text.trim().to_owned()
}

/// The choices of «Кто обращается» and «Тема».
pub(super) struct NoteChoices {
    pub askers: Vec<Choice>,
    pub topics: Vec<Choice>,
}

impl NoteChoices {
    pub fn of(typed: &NotesTyped) -> Self {
        Self {
            askers: choices(&ASKERS, &typed.asker, asker_title),
            topics: choices(&TOPICS, &typed.topic, topic_title),
        }
    }
}

fn choices(words: &[&'static str], chosen: &str, title: fn(&str) -> &str) -> Vec<Choice> {
    let none = Choice { value: String::new(), label: "Не указано".to_owned(), chosen: chosen.is_empty() };
    let known = words.iter().map(|word| Choice {
        value: (*word).to_owned(),
        label: title(word).to_owned(),
        chosen: chosen == *word,
    });
    std::iter::once(none).chain(known).collect()
}

#[derive(Template)]
#[template(path = "notes.html")]
struct NotesPage {
    frame: Frame,
    id: i64,
    version: i64,
    /// «8 928 803-63-55», «Номер скрыт», «Без номера».
    number: String,
    registration: Option<String>,
    back: String,
    typed: NotesTyped,
    choices: NoteChoices,
    mistakes: Vec<Mistake>,
}

impl NotesPage {
    /// What was wrong with this field, if anything.
    fn wrong(&self, field: &str) -> Option<&str> {
        mistake(&self.mistakes, field)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NotesForm {
    version: Option<i64>,
    #[serde(flatten)]
    typed: NotesTyped,
}

async fn show(Seen(house): Seen, visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.officer()?;
    let callback = find(&house, &id).await?;
    let typed = NotesTyped::of(&callback.desk.notes);
    draw(&house, &person, &callback, typed, Vec::new(), StatusCode::OK, now).await
}

async fn save(
    Seen(house): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<NotesForm>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.officer()?;
    let callback = find(&house, &id).await?;
    let Ok(Form(NotesForm { version, mut typed })) = form else {
        return Err(Error::BadRequest("Форма пришла не целиком. Вернитесь и повторите.".to_owned()).into());
    };
    typed.tidy();
    let mut mistakes = Vec::new();
    typed.check(&mut mistakes);
    if !mistakes.is_empty() {
        return draw(&house, &person, &callback, typed, mistakes, StatusCode::UNPROCESSABLE_ENTITY, now).await;
    }
    let lines = house.lines();
    let notes = typed.clone().notes();
    match house.store.act(callback.id, version, Action::Describe, notes, &person.actor, &lines, now).await {
        Ok(callback) => Ok(Redirect::to(&place(&callback, now)).into_response()),
        Err(refused) => {
            let wall = Wall::new(lines.by_id(&callback.line).calendar.time_zone(), now);
            let Some(told) = sentence(&refused, &wall) else { return Err(refused.into()) };
            // The version of now: whoever reads what has changed and saves once more means it.
            let callback = find(&house, &id).await?;
            draw(
                &house,
                &person,
                &callback,
                typed,
                vec![Mistake::new("summary", told)],
                Error::from(refused).status(),
                now,
            )
            .await
        }
    }
}

async fn find(house: &House, id: &str) -> Result<Callback, PageError> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    Ok(house.store.callback(id).await?.ok_or(Error::NotFound)?.callback)
}

async fn draw(
    house: &House,
    person: &Person,
    callback: &Callback,
    typed: NotesTyped,
    mistakes: Vec<Mistake>,
    status: StatusCode,
    now: Timestamp,
) -> Result<Response, PageError> {
    let page = NotesPage {
        frame: Frame::of(house, person, Here::Desk, now).await?,
        id: callback.id,
        version: callback.version,
        number: match callback.number_to_dial() {
            Some(number) => number.spaced(),
            None if callback.channel == Channel::Telephone => "Номер скрыт".to_owned(),
            None => "Без номера".to_owned(),
        },
        registration: callback.registration_number.clone(),
        back: place(callback, now),
        choices: NoteChoices::of(&typed),
        typed,
        mistakes,
    };
    Ok((status, self::page(&page)).into_response())
}

/// Where on the list the callback stands: what is closed or put off is only in the view of all.
pub(super) fn place(callback: &Callback, now: Timestamp) -> String {
    let id = callback.id;
    match callback.desk.state {
        Standing::Later { until, .. } if now < until => format!("/callbacks/{id}"),
        Standing::Done { .. } | Standing::Exceptional { .. } | Standing::Declined { .. } => format!("/callbacks/{id}"),
        Standing::Open | Standing::Claimed { .. } | Standing::Later { .. } => format!("/callbacks?at={id}#c{id}"),
    }
}
