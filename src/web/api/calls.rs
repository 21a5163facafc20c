//! The log of calls.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{self, Asked, Id, given};
use super::objects::{Call, Event, calendar_of, only_for_listeners};
use super::problem::Problem;
use super::refusals::{Listing, Reading};
use super::words;
use crate::core::call::Outcome;
use crate::core::officer::Role;
use crate::core::search::Search;
use crate::store::{CallFilter, CallPage, CallView, LogEntry, Voicemail};
use crate::web::Error;
use crate::web::auth::{Seen, SignedIn};

/// Items of a page, unless asked for more.
const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogParams {
    /// Id of a line; `unknown` for numbers that nobody configured.
    line: Option<String>,
    /// Calls that began at this instant or later, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Calls that began before this instant, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    #[param(schema_with = words::outcome, required = false)]
    outcome: Option<String>,
    /// The caller's number, or three or more digits in a row of it, in any usual spelling.
    number: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of the page, default 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// A page of the log, newest first.
#[derive(Serialize, ToSchema)]
pub struct CallList {
    items: Vec<Call>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// The log of calls, newest first, page by page. All filters are combined with «and».
#[utoipa::path(
    get, path = "/v1/calls", tag = "calls", operation_id = "list_calls", params(LogParams),
    responses((status = 200, description = "A page", body = CallList), Listing)
)]
pub async fn list(
    Seen(house): Seen,
    SignedIn(person): SignedIn,
    Asked(params): Asked<LogParams>,
) -> Result<Json<CallList>, Problem> {
    let outcome = |text| extract::word("outcome", text, &Outcome::ALL, Outcome::as_str);
    let filter = CallFilter {
        line: extract::line(&house.lines(), given(&params.line))?.map(|line| line.id.clone()),
        from: extract::instant("from", given(&params.from))?,
        to: extract::instant("to", given(&params.to))?,
        outcome: given(&params.outcome).map(outcome).transpose()?,
        search: given(&params.number).map(number).transpose()?,
        after: extract::cursor(given(&params.cursor), CallPage::parse_cursor)?,
        limit: extract::limit(given(&params.limit), PAGE, LARGEST_PAGE)?,
        ..CallFilter::default()
    };
    let page = house.store.calls(&filter).await?;
    let ids: Vec<i64> = page.entries.iter().map(|entry| entry.call.id).collect();
    let mut voicemails = house.store.voicemails_of_calls(&ids).await?;
    only_for_listeners(&person, &mut voicemails);
    let items = page.entries.iter().map(|LogEntry { call, .. }| {
        let own: Vec<Voicemail> = voicemails.iter().filter(|voicemail| voicemail.call_id == call.id).cloned().collect();
        Call::of(call, &own, None, &house.lines())
    });
    Ok(Json(CallList { items: items.collect(), next_cursor: page.next.map(CallPage::cursor) }))
}

/// A number or part of one; words are for the page of the log.
fn number(text: &str) -> Result<Search, Error> {
    let bad = || {
        let detail =
            format!("number: «{text}» is no number and no three digits of one; write 8 928 832-80-88 or 832-80");
        Error::BadRequest(detail)
    };
    match Search::parse(text) {
        Some(found @ (Search::Number(_) | Search::Part(_))) => Ok(found),
        _ => Err(bad()),
    }
}

/// One call with its events: the webhooks as they were kept, oldest first, at most 200.
#[utoipa::path(
    get, path = "/v1/calls/{id}", tag = "calls", operation_id = "read_call",
    params(("id" = String, Path, description = "Id of the call")),
    responses((status = 200, description = "The call", body = Call), Reading)
)]
pub async fn read(Seen(house): Seen, SignedIn(person): SignedIn, Id(id): Id) -> Result<Json<Call>, Problem> {
    let CallView { call, mut voicemails, deliveries } = house.store.call(id).await?.ok_or(Error::NotFound)?;
    let may_listen = person.role >= Role::Officer;
    only_for_listeners(&person, &mut voicemails);
    let lines = house.lines();
    let calendar = calendar_of(&call, &lines);
    let events = deliveries.iter().map(|delivery| Event::of(delivery, may_listen, calendar)).collect();
    Ok(Json(Call::of(&call, &voicemails, Some(events), &house.lines())))
}
