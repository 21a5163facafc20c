//! «Отменить»: the officer's last own step, wherever the entry stands now.

use axum::response::{IntoResponse, Redirect, Response};

use super::draw;
use super::told::Told;
use super::view::View;
use crate::core::callback::State as DeskState;
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::store::{ActError, CallbackView, Step};
use crate::web::Error;
use crate::web::pages::refused::{PageError, sentence};
use crate::web::pages::words::Wall;
use crate::web::pages::{AnyQuery, Seen, Visitor, query, steps};

/// An officer's own last step, ready to be taken back.
pub(super) struct Undo {
    pub id: i64,
    pub version: i64,
    /// «Готово».
    pub what: String,
    /// What followed from it, if it is good to know.
    pub followed: Option<String>,
    pub number: String,
    /// Whether a note may still be added to it.
    pub notable: bool,
}

impl Undo {
    pub fn of(view: &CallbackView, me: &Actor, wall: &Wall<'_>) -> Option<Self> {
        let last = view.history.iter().rev().find(|step| step.undoable)?;
        if last.by.id != me.id {
            return None;
        }
        let followed = match &view.callback.desk.state {
            DeskState::Later { until, .. } => Some(format!("Следующая попытка: {}.", wall.coming(*until))),
            DeskState::Claimed { by, .. } if last.kind == "hand_over" => {
                Some(format!("Теперь обращение у коллеги: {by}."))
            }
            _ => None,
        };
        Some(Self {
            id: view.callback.id,
            version: view.callback.version,
            what: steps::button(last),
            followed,
            number: number(view),
            notable: last.kind == "done" && last.note.is_empty(),
        })
    }
}

/// «Отменено: «Готово», 8 928 123-45-67.»
pub(super) fn undone_words(view: &CallbackView, me: &Actor) -> Option<String> {
    let last = view.history.iter().rev().find(|step| step.kind == "undo" && step.by.id == me.id)?;
    let what = steps::button(&Step { kind: last.note.clone(), outcome: None, ..last.clone() });
    Some(format!("Отменено: «{what}», {}.", number(view)))
}

fn number(view: &CallbackView) -> String {
    let number = view.callback.number_to_dial();
    number.map_or_else(|| "номер скрыт".to_owned(), PhoneNumber::spaced)
}

/// Takes back the last own step of this day and shows the entry as it stands then.
pub(super) async fn undo_last(
    Seen(house): Seen,
    visitor: Visitor,
    view: AnyQuery<View>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let visitor = Visitor(visitor.officer()?);
    let by = &visitor.0.actor;
    let view = query(view).plain();
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    match house.store.undo_last(by, wall.midnight(), now).await {
        Ok(callback) => {
            let id = callback.id;
            let address = View { at: Some(id), undone: Some(id), ..view }.address();
            Ok(Redirect::to(&format!("{address}#c{id}")).into_response())
        }
        Err(error) => {
            let id = match &error {
                ActError::GoneOn(present) => Some(present.id),
                _ => None,
            };
            let sentence = match &error {
                ActError::NothingToUndo => {
                    Some("Отменить нечего: сегодня вы ничего не делали или уже всё отменили.".to_owned())
                }
                error => sentence(error, &wall),
            };
            let Some(sentence) = sentence else { return Err(error.into()) };
            let told = Told { id, sentence, typed: Default::default() };
            draw(&house, &visitor, view, Some((Error::from(error).status(), told)), now).await
        }
    }
}
