//! The callback list: a page of it, one callback, the next one for me, and requests that came in another way.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{self, Acting, Asked, Id, Sent, given};
use super::objects::{Callback, Period, only_for_listeners, shown_state};
use super::problem::Problem;
use super::refusals::{Claiming, Listing, Reading, Registering};
use super::words;
use crate::core::callback::{self, Channel, Notes};
use crate::core::phone::PhoneNumber;
use crate::store::{CallbackPage, CallbackView, ListFilter, ListPeriod, NewCallback, StateFilter};
use crate::time::Timestamp;
use crate::web::auth::{Seen, SignedIn};
use crate::web::{Error, House};

/// Items of a page, unless asked for more.
const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    #[param(schema_with = words::period_filter, required = false)]
    period: Option<String>,
    /// Id of a line; `unknown` for numbers that nobody configured.
    line: Option<String>,
    #[param(schema_with = words::state_filter, required = false)]
    state: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of the page, default 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// A page of the list: overdue first, then by due time, then oldest first.
#[derive(Serialize, ToSchema)]
pub struct CallbackList {
    /// The period that was asked for (of `all`: of `current`); null if no working hours are configured.
    period: Option<Period>,
    items: Vec<Callback>,
    /// Null on the last page. A page may have fewer items than its limit and yet not be the last one.
    next_cursor: Option<String>,
}

/// The callback list, page by page.
#[utoipa::path(
    get, path = "/v1/callbacks", tag = "callbacks", operation_id = "list_callbacks", params(ListParams),
    responses(
        (status = 200, description = "A page", body = CallbackList),
        Listing,
    )
)]
pub async fn list(
    Seen(house): Seen,
    SignedIn(person): SignedIn,
    Asked(params): Asked<ListParams>,
) -> Result<Json<CallbackList>, Problem> {
    let now = house.clock.now();
    let lines = house.lines();
    let line = extract::line(&lines, given(&params.line))?;
    let calendar = line.map_or(lines.default_calendar(), |line| &line.calendar);
    let (period, wanted) = match given(&params.period).unwrap_or("all") {
        "current" => ListPeriod::current(calendar, now),
        "next" => ListPeriod::next(calendar, now),
        "all" => (ListPeriod::current(calendar, now).0, ListPeriod::All),
        other => return Err(Error::BadRequest(format!("period: «{other}» is none of current, next, all")).into()),
    };
    let state = state_filter(given(&params.state).unwrap_or("open"))?;
    let filter = ListFilter {
        period: wanted,
        line: line.map(|line| line.id.clone()),
        state,
        after: extract::cursor(given(&params.cursor), CallbackPage::parse_cursor)?,
        limit: extract::limit(given(&params.limit), PAGE, LARGEST_PAGE)?,
    };
    let mut page = house.store.callbacks(&filter).await?;
    page.items.iter_mut().for_each(|view| only_for_listeners(&person, &mut view.voicemails));
    // The row of a claim that ran out still says «claimed».
    let is_meant = |view: &&CallbackView| match state {
        StateFilter::Only(word) => shown_state(&view.callback.desk.state, now) == word,
        StateFilter::Unclosed | StateFilter::All => true,
    };
    let items = page.items.iter().filter(is_meant).map(|view| Callback::of(view, &lines, now)).collect();
    Ok(Json(CallbackList {
        period: period.map(|period| Period::of(calendar, period)),
        items,
        next_cursor: page.next.map(CallbackPage::cursor),
    }))
}

fn state_filter(word: &str) -> Result<StateFilter, Error> {
    match word {
        "open" => Ok(StateFilter::Unclosed),
        "all" => Ok(StateFilter::All),
        word => extract::word("state", word, &words::STATES, |word| word).map(StateFilter::Only),
    }
}

/// One callback.
#[utoipa::path(
    get, path = "/v1/callbacks/{id}", tag = "callbacks", operation_id = "read_callback",
    params(("id" = String, Path, description = "Id of the callback")),
    responses(
        (status = 200, description = "The callback", body = Callback),
        Reading,
    )
)]
pub async fn read(Seen(house): Seen, SignedIn(person): SignedIn, Id(id): Id) -> Result<Json<Callback>, Problem> {
    let mut view = house.store.callback(id).await?.ok_or(Error::NotFound)?;
    only_for_listeners(&person, &mut view.voicemails);
    Ok(Json(Callback::of(&view, &house.lines(), house.clock.now())))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Next {
    /// Only of this line.
    line: Option<String>,
}

/// Claims for me the first one that nobody else holds, for 15 minutes: overdue first, then by due time, then oldest first.
///
/// What is put off waits until its time. What I hold already counts as well: it comes again until it is finished or
/// released. Two who ask at once never get the same one, nor two of one number on different lines.
#[utoipa::path(
    post, path = "/v1/callbacks/next", tag = "callbacks", operation_id = "claim_next", request_body = Option<Next>,
    responses(
        (status = 200, description = "Now mine", body = Callback),
        Claiming,
    )
)]
pub async fn claim_next(
    Seen(house): Seen,
    Acting(person): Acting,
    Sent(next): Sent<Next>,
) -> Result<Json<Callback>, Problem> {
    let now = house.clock.now();
    let line = extract::line(&house.lines(), given(&next.line))?.map(|line| line.id.clone());
    let claimed = house.store.claim_next(line, &person.actor, &house.lines(), now).await.map_err(Error::from)?;
    Ok(Json(with_everything(&house, claimed, now).await?))
}

/// A request that came in another way than by telephone. The channel is `in_person` unless said otherwise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// Id of the line whose list it belongs to.
    line: String,
    /// The number to dial, in any usual spelling; may be left out.
    callback_number: Option<String>,
    #[schema(schema_with = words::channel, required = false)]
    channel: Option<String>,
    /// For the history; at most 2000 characters.
    note: Option<String>,
    #[schema(schema_with = words::asker, required = false)]
    asker: Option<String>,
    #[schema(schema_with = words::topic, required = false)]
    topic: Option<String>,
    /// The difficulty in one clear sentence; at most 2000 characters.
    summary: Option<String>,
    /// An earlier callback or document where it was discussed before; at most 2000 characters.
    reference: Option<String>,
}

/// Registers a request that came in person, at a meeting or by e-mail.
///
/// It joins the open callback of the same line and number, if there is one: then that one is the answer.
#[utoipa::path(
    post, path = "/v1/callbacks", tag = "callbacks", operation_id = "register_callback", request_body = ByHand,
    responses(
        (status = 201, description = "On the list", body = Callback, headers(("Location" = String, description = "The callback"))),
        Registering,
    )
)]
pub async fn register(
    Seen(house): Seen,
    Acting(person): Acting,
    Sent(sent): Sent<ByHand>,
) -> Result<Response, Problem> {
    let now = house.clock.now();
    let line = extract::line(&house.lines(), Some(&sent.line))?.map(|line| line.id.clone());
    let number = given(&sent.callback_number).map(PhoneNumber::parse).transpose();
    if let Ok(Some(number)) = &number
        && house.lines().is_own(number)
    {
        return Err(Error::BadRequest("callback_number: this is a number of the school's own lines".to_owned()).into());
    }
    let channel = given(&sent.channel).unwrap_or(Channel::InPerson.as_str());
    let new = NewCallback {
        line: line.ok_or_else(|| Error::BadRequest("line: missing".to_owned()))?,
        callback_number: number.map_err(|bad| Error::BadRequest(format!("callback_number: {bad}")))?,
        channel: extract::word("channel", channel, &Channel::ALL, Channel::as_str)?,
        notes: Notes {
            asker: sent.asker,
            topic: sent.topic,
            summary: sent.summary,
            reference: sent.reference,
            remark: sent.note,
        },
    };
    let registered =
        house.store.register_by_hand(new, &person.actor, &house.lines(), now).await.map_err(Error::from)?;
    let location = format!("/api/v1/callbacks/{}", registered.id);
    let callback = with_everything(&house, registered, now).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(callback)).into_response())
}

/// The callback as the action left it, with its calls, messages and attempts.
pub async fn with_everything(house: &House, callback: callback::Callback, now: Timestamp) -> Result<Callback, Problem> {
    let view = house.store.callback(callback.id).await?.ok_or(Error::NotFound)?;
    Ok(Callback::of(&CallbackView { callback, ..view }, &house.lines(), now))
}
