//! Where a number on a page leads. Whoever waits for a call is called from his callback, which asks whether a colleague calls
//! him already and notes the attempt (R26); every other number is dialled at once, or after one more press where it is a premium or foreign one (R27).

use std::collections::HashMap;

use super::desk::{Message, held_number, sentence};
use super::words::Wall;
use crate::core::callback::{Callback, Sibling, SiblingHolder, State};
use crate::core::line::Lines;
use crate::core::line_scope::LineScope;
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::store::{Person, Store, StoreError};
use crate::web::House;

/// The address behind a number, and why it is not the number itself.
#[derive(Clone)]
pub(super) struct DialLink {
    pub href: String,
    /// Set where it leads to a callback.
    pub note: Option<String>,
    /// A premium or foreign number: whoever dials it is asked before (R27).
    pub not_allowed: bool,
}

impl DialLink {
    /// Dials; at once where the number is allowed.
    fn of_number(number: &PhoneNumber) -> Self {
        Self { href: format!("tel:{}", number.e164()), note: None, not_allowed: false }
    }

    fn to_callback(id: i64, note: String) -> Self {
        Self { href: format!("/callbacks/{id}"), note: Some(note), not_allowed: false }
    }

    /// The callback is not to be seen by this person, but nobody calls twice: the way leads to the list.
    fn to_other_line(note: String) -> Self {
        Self { href: "/callbacks".to_owned(), note: Some(note), not_allowed: false }
    }

    fn marked(self, number: &PhoneNumber, lines: &Lines) -> Self {
        Self { not_allowed: !lines.dialing.allows(number), ..self }
    }

    /// Whether it needs one more press to dial. A callback asks by itself.
    pub fn asks(&self) -> bool {
        self.not_allowed && self.note.is_none()
    }

    /// Leads to the callback of this number that a colleague works on, else to one's own, else to the oldest that waits; `None`
    /// where none waits.
    fn to_waiting(waiting: &[Sibling], viewer: &Viewer<'_>) -> Option<Self> {
        let Viewer { me, sees, lines, wall } = viewer;
        let here = |holder: &SiblingHolder| format!("линия «{}»", lines.by_id(&holder.line).title);
        if let Some(holder) = Sibling::held_by_colleague(waiting, me, wall.now) {
            let note = sentence(&held_number(&holder, &here(&holder), wall));
            return Some(match sees.allows(&holder.line) {
                true => Self::to_callback(holder.callback_id, note),
                false => Self::to_other_line(note),
            });
        }
        if let Some(holder) = waiting.iter().find_map(|callback| callback.holder(wall.now)) {
            let (line, since) = (here(&holder), wall.clock(holder.since));
            let note = format!("Обращение с этим номером у вас, {line}, с\u{a0}{since}. Звоните из него.");
            return Some(Self::to_callback(holder.callback_id, note));
        }
        let Some(callback) = waiting.iter().find(|callback| sees.allows(&callback.line)) else {
            let line = &lines.by_id(&waiting.first()?.line).title;
            return Some(Self::to_other_line(format!("Этот номер ждёт звонка: линия «{line}». Позвонят оттуда.")));
        };
        let put_off = match &callback.state {
            State::Later { until, .. } if wall.now < *until => format!(", отложено {}", wall.until(*until)),
            _ => String::new(),
        };
        let line = &lines.by_id(&callback.line).title;
        let note = format!(
            "Этот номер ждёт звонка: линия «{line}»{put_off}. Звоните из обращения, чтобы попытка была отмечена."
        );
        Some(Self::to_callback(callback.id, note))
    }
}

/// The officer who looks, and how lines and times are called for him.
struct Viewer<'a> {
    me: &'a Actor,
    sees: &'a LineScope,
    lines: &'a Lines,
    wall: &'a Wall<'a>,
}

/// Where this number leads.
pub(super) async fn dial_link(
    house: &House,
    number: &PhoneNumber,
    person: &Person,
    wall: &Wall<'_>,
) -> Result<DialLink, StoreError> {
    let lines = house.lines();
    let viewer = Viewer { me: &person.actor, sees: &person.lines, lines: &lines, wall };
    let waiting = house.store.waiting_callbacks(std::slice::from_ref(number)).await?;
    let link = waiting.get(number).and_then(|waiting| DialLink::to_waiting(waiting, &viewer));
    Ok(link.unwrap_or_else(|| DialLink::of_number(number)).marked(number, &lines))
}

/// Where the numbers said in the messages of a call lead: a number that waits itself to its callback, every other one to the
/// callback of the call while that is open.
pub(super) async fn link_said_numbers(
    house: &House,
    messages: &mut [Message],
    of_call: Option<&Callback>,
    person: &Person,
    wall: &Wall<'_>,
) -> Result<(), StoreError> {
    let lines = house.lines();
    let viewer = Viewer { me: &person.actor, sees: &person.lines, lines: &lines, wall };
    let waiting = waiting_for_said(&house.store, messages).await?;
    let of_call = of_call.filter(|callback| callback.desk.state.closed_at().is_none());
    for said in messages.iter_mut().filter_map(|message| message.said_number.as_mut()) {
        let own = waiting.get(&said.number).and_then(|waiting| DialLink::to_waiting(waiting, &viewer));
        let of_call = || {
            let note = "Звоните из обращения, чтобы попытка была отмечена.".to_owned();
            of_call.map(|callback| DialLink::to_callback(callback.id, note))
        };
        let link = own.or_else(of_call).unwrap_or_else(|| DialLink::of_number(&said.number));
        said.dial = Some(link.marked(&said.number, &lines));
    }
    Ok(())
}

/// The same on the card of a callback: whom a colleague has in hand, here or on another line, nobody dials past him, and the
/// number of the callback itself has its button there.
pub(super) async fn link_said_numbers_of_card(
    house: &House,
    messages: &mut [Message],
    callback_id: i64,
    is_held_by_colleague: bool,
    person: &Person,
    wall: &Wall<'_>,
) -> Result<(), StoreError> {
    let lines = house.lines();
    let viewer = Viewer { me: &person.actor, sees: &person.lines, lines: &lines, wall };
    let waiting = waiting_for_said(&house.store, messages).await?;
    for said in messages.iter_mut().filter_map(|message| message.said_number.as_mut()) {
        let waiting = waiting.get(&said.number).map_or(&[][..], Vec::as_slice);
        said.dial = match DialLink::to_waiting(waiting, &viewer) {
            _ if is_held_by_colleague || waiting.iter().any(|sibling| sibling.id == callback_id) => None,
            link => Some(link.unwrap_or_else(|| DialLink::of_number(&said.number)).marked(&said.number, &lines)),
        };
    }
    Ok(())
}

async fn waiting_for_said(
    store: &Store,
    messages: &[Message],
) -> Result<HashMap<PhoneNumber, Vec<Sibling>>, StoreError> {
    let said = messages.iter().filter_map(|message| Some(message.said_number.as_ref()?.number.clone()));
    store.waiting_callbacks(&said.collect::<Vec<_>>()).await
}
