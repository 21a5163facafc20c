//! What stands on the list, and in which group.

use super::card::Talk;
use crate::core::callback::State;
use crate::core::line::LineId;
use crate::core::phone::PhoneNumber;
use crate::store::{CallbackPage, CallbackView, ListFilter, ListPeriod, StateFilter, Store, StoreError};
use crate::time::{SignedDuration, Timestamp};
use crate::web::House;

/// Entries of one page of the store's list, and pages read: nobody works through more than this in one day.
const PAGE: u32 = 500;
const MOST_PAGES: usize = 4;
/// How far back «Сделанные» looks for what was due then and closed today.
const LATEST_CLOSED: SignedDuration = SignedDuration::from_hours(14 * 24);

pub(super) fn is_put_off(view: &CallbackView, now: Timestamp) -> bool {
    matches!(view.callback.desk.state, State::Later { until, .. } if now < until)
}

pub(super) async fn unclosed(store: &Store, line: Option<LineId>) -> Result<Vec<CallbackView>, StoreError> {
    let mut filter =
        ListFilter { period: ListPeriod::All, line, state: StateFilter::Unclosed, after: None, limit: PAGE };
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let CallbackPage { items, next } = store.callbacks(&filter).await?;
        all.extend(items);
        filter.after = next;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// What was closed since then, newest first.
pub(super) async fn closed_since(
    store: &Store,
    line: Option<LineId>,
    since: Timestamp,
) -> Result<Vec<CallbackView>, StoreError> {
    let due_since = (since - LATEST_CLOSED).as_millisecond();
    let mut closed = Vec::new();
    for word in ["done", "exceptional", "declined"] {
        let filter = ListFilter {
            period: ListPeriod::All,
            line: line.clone(),
            state: StateFilter::Only(word),
            after: Some((due_since, i64::MIN, i64::MIN)),
            limit: PAGE,
        };
        closed.extend(store.callbacks(&filter).await?.items);
    }
    closed.retain(|view| view.callback.desk.state.closed_at().is_some_and(|at| at >= since));
    closed.sort_by_key(|view| std::cmp::Reverse(view.callback.desk.state.closed_at()));
    Ok(closed)
}

/// The talk in which a waiting caller was reached without his callback.
pub(super) async fn talk(store: &Store, call_id: Option<i64>) -> Result<Option<Talk>, StoreError> {
    let Some(id) = call_id else { return Ok(None) };
    let found = store.call(id).await?;
    Ok(Some(Talk {
        at: found.as_ref().map(|view| view.call.started_at),
        seconds: found.and_then(|view| view.call.talk_seconds),
    }))
}

/// A title, the line's number, and what stands under them.
type Entries = (String, Option<String>, Vec<CallbackView>);

/// By line in their configured order; what others hold, who got through, what is put off and what is done stand apart.
pub(super) fn grouped(house: &House, wanted: Vec<CallbackView>, me: &str, now: Timestamp) -> Vec<Entries> {
    let mut groups: Vec<Entries> = house
        .lines
        .iter()
        .map(|line| (line.title.clone(), line.number.as_ref().map(PhoneNumber::spaced), Vec::new()))
        .collect();
    let first_apart = groups.len();
    for title in ["Неизвестная линия", "Сейчас звонят другие", "Дозвонились сами", "Отложенные", "Сделанные"]
    {
        groups.push((title.to_owned(), None, Vec::new()));
    }
    for entry in wanted {
        let callback = &entry.callback;
        let line = || house.lines.iter().position(|line| line.id == callback.line).unwrap_or(first_apart);
        let group = match &callback.desk.state {
            state if state.closed_at().is_some() => first_apart + 4,
            _ if is_put_off(&entry, now) => first_apart + 3,
            state if state.holder(now).is_some_and(|holder| holder.id != me) => first_apart + 1,
            _ if callback.proposed_call_id.is_some() => first_apart + 2,
            _ => line(),
        };
        groups[group].2.push(entry);
    }
    // What is overdue comes first: so does the line it belongs to.
    groups[..=first_apart].sort_by_key(|(_, _, entries)| !entries.iter().any(|entry| entry.callback.is_overdue(now)));
    groups.retain(|(_, _, entries)| !entries.is_empty());
    groups
}
