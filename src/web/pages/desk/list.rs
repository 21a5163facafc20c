//! What stands on the list, and in which group.

use super::card::Talk;
use super::siblings::is_answered_elsewhere;
use crate::core::callback::State;
use crate::core::line::{Line, LineId, Lines};
use crate::core::phone::PhoneNumber;
use crate::store::{CallbackPage, CallbackView, DeskFilter, DeskPart, Store, StoreError};
use crate::time::Timestamp;

/// Entries of one page. What does not fit stands on the next one: nothing falls out of the list.
pub(super) const PAGE: usize = 200;

pub(super) fn is_put_off(view: &CallbackView, now: Timestamp) -> bool {
    matches!(view.callback.desk.state, State::Later { until, .. } if now < until)
}

/// One page of the parts, one part after the other, and where the next page begins.
pub(super) async fn listed(
    store: &Store,
    parts: &[DeskPart],
    line: Option<LineId>,
    after: &str,
    now: Timestamp,
) -> Result<(Vec<CallbackView>, Option<String>), StoreError> {
    let (first, mut after) = place(after).unwrap_or((0, None));
    let mut entries = Vec::new();
    for (number, part) in parts.iter().enumerate().skip(first) {
        if entries.len() >= PAGE {
            return Ok((entries, Some(format!("{number}"))));
        }
        let filter = DeskFilter { part: *part, line: line.clone(), after: after.take(), limit: PAGE - entries.len() };
        let CallbackPage { items, next } = store.desk_page(&filter, now).await?;
        entries.extend(items);
        if let Some(next) = next {
            return Ok((entries, Some(format!("{number}.{}", CallbackPage::cursor(next)))));
        }
    }
    Ok((entries, None))
}

/// The number of the part and its cursor; of a part not begun, none.
type Place = (usize, Option<(i64, i64, i64)>);

/// «0.1795…», as [`listed`] writes it. What is not so begins anew.
fn place(after: &str) -> Option<Place> {
    match after.split_once('.') {
        Some((number, cursor)) => Some((number.parse().ok()?, Some(CallbackPage::parse_cursor(cursor)?))),
        None => Some((after.parse().ok()?, None)),
    }
}

/// The talk in which a waiting caller was reached without his callback.
pub(super) async fn talk(store: &Store, call_id: Option<i64>) -> Result<Option<Talk>, StoreError> {
    let Some(id) = call_id else { return Ok(None) };
    let found = match store.call(id).await {
        // That he was reached is known, no more.
        Err(StoreError::OtherLine) => None,
        found => found?,
    };
    Ok(Some(Talk {
        at: found.as_ref().map(|view| view.call.started_at),
        seconds: found.and_then(|view| view.call.talk_seconds),
    }))
}

/// What stands under one title.
pub(super) struct Entries {
    /// `parents`, or what the group is of all lines: a part of the element's id.
    pub key: String,
    pub title: String,
    /// The line's, spaced for the eye.
    pub number: Option<String>,
    pub entries: Vec<CallbackView>,
}

/// The groups that stand apart from the lines, in their order.
const APART: [(&str, &str); 6] = [
    ("unknown", "Неизвестная линия"),
    ("others", "Сейчас звонят другие"),
    ("reached", "Дозвонились сами"),
    ("answered", "Закрыто на другой линии"),
    ("later", "Отложенные"),
    ("closed", "Сделанные"),
];

/// By line in their configured order; what others hold, who got through, what is put off and what is done stand apart.
/// The groups keep their order whatever is overdue in them, so that nothing moves under the eye.
pub(super) fn grouped(school: &Lines, wanted: Vec<CallbackView>, me: &str, now: Timestamp) -> Vec<Entries> {
    let of_line = |line: &Line| Entries {
        key: format!("line-{}", line.id),
        title: line.title.clone(),
        number: line.number.as_ref().map(PhoneNumber::spaced),
        entries: Vec::new(),
    };
    let mut groups: Vec<Entries> = school.iter().map(of_line).collect();
    let first_apart = groups.len();
    groups.extend(APART.map(|(key, title)| Entries {
        key: key.to_owned(),
        title: title.to_owned(),
        number: None,
        entries: Vec::new(),
    }));
    for entry in wanted {
        let callback = &entry.callback;
        let line = || school.iter().position(|line| line.id == callback.line).unwrap_or(first_apart);
        let group = match &callback.desk.state {
            state if state.closed_at().is_some() => first_apart + 5,
            _ if is_put_off(&entry, now) => first_apart + 4,
            state if state.holder(now).is_some_and(|holder| holder.id != me) => first_apart + 1,
            _ if is_answered_elsewhere(&entry) => first_apart + 3,
            _ if callback.proposed_call_id.is_some() => first_apart + 2,
            _ => line(),
        };
        groups[group].entries.push(entry);
    }
    groups.retain(|group| !group.entries.is_empty());
    groups
}
