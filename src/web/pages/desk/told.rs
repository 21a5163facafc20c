//! What an officer is told when a colleague was faster.

use super::actions::Typed;
use crate::core::callback::{Callback, State};
use crate::core::officer::Actor;
use crate::web::pages::naming::past;
use crate::web::pages::words::Wall;

/// What the page says above all because something was not done, and at which entry.
pub(super) struct Told {
    pub id: Option<i64>,
    pub sentence: String,
    pub typed: Typed,
}

/// Who has the entry now, so that what was asked for cannot be done any more.
pub(super) enum Faster<'c> {
    Closed(&'c Actor),
    Holds(&'c Actor),
}

impl<'c> Faster<'c> {
    pub fn at(present: &'c Callback, me: &Actor, wall: &Wall<'_>) -> Option<Self> {
        match &present.desk.state {
            State::Done { by, .. } | State::Exceptional { by, .. } | State::Declined { by, .. } => {
                Some(Self::Closed(by))
            }
            state => state.holder(wall.now).filter(|holder| holder.id != me.id).map(Self::Holds),
        }
    }

    /// `kept`: the officer's note went into the history (UX §12).
    pub fn sentence(&self, present: &Callback, me: &Actor, kept: bool, wall: &Wall<'_>) -> String {
        let saved = "Ваша заметка сохранена в истории.";
        match (self, &present.desk.state) {
            (Self::Closed(by), _) if by.id == me.id && kept => format!("Вы уже закрыли это обращение. {saved}"),
            (Self::Closed(by), _) if by.id == me.id => {
                "Вы уже закрыли это обращение. Чтобы продолжить, откройте его снова.".to_owned()
            }
            (Self::Closed(by), _) if kept => {
                format!("Пока вы писали, {by} {} обращение. {saved}", past("закрыл", &by.name))
            }
            (Self::Closed(by), state) => {
                let at = state.closed_at().map_or_else(String::new, |at| format!(", {}", wall.moment(at)));
                format!(
                    "Это обращение уже {} {by}{at}. Чтобы продолжить, откройте его снова.",
                    past("закрыл", &by.name)
                )
            }
            (Self::Holds(by), _) if kept => {
                format!("Пока вы писали, {by} {} обращение. {saved}", past("взял", &by.name))
            }
            (Self::Holds(by), State::Claimed { at, .. }) => format!(
                "Это обращение уже {} {by} в {}. Можно слушать, звонить пока не нужно.",
                past("взял", &by.name),
                wall.clock(*at)
            ),
            (Self::Holds(by), _) => format!("Это обращение уже у коллеги: {by}."),
        }
    }
}
