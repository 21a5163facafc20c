//! The lines and their hours.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{self, Asked, given};
use super::problem::Problem;
use super::refusals::{Asking, Signing};
use super::words;
use crate::core::calendar::{Question, Reply};
use crate::core::line;
use crate::time::Timestamp;

use crate::web::auth::{Seen, SignedIn};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HoursParams {
    /// Id of a line; without it the hours of the house.
    line: Option<String>,
    /// An instant, RFC 3339; now if left out.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<String>,
}

/// Open or closed at an instant, and why: the same object as `perezvon hours --json` prints.
#[utoipa::path(
    get, path = "/v1/hours", tag = "lines", operation_id = "hours", params(HoursParams),
    responses((status = 200, description = "The answer", body = Reply), Asking)
)]
pub async fn at(Seen(house): Seen, _: SignedIn, Asked(params): Asked<HoursParams>) -> Result<Json<Reply>, Problem> {
    let lines = house.lines();
    let line = extract::line(&lines, given(&params.line))?;
    let at = extract::instant("at", given(&params.at))?.unwrap_or_else(|| house.clock.now());
    let calendar = line.map_or(lines.default_calendar(), |line| &line.calendar);
    Ok(Json(calendar.reply(&Question::at(at))))
}

/// One published line.
#[derive(Serialize, ToSchema)]
pub struct Line {
    id: String,
    /// E.164.
    number: Option<String>,
    title: String,
    #[schema(schema_with = words::aliases)]
    aliases: Vec<String>,
    /// How long each officer's phone rings.
    ring_seconds: u32,
    max_message_seconds: u32,
    /// The regulation's response term in working hours; null: not set.
    response_term_hours: Option<f64>,
    open_now: bool,
    /// The line is closed at once, whatever its hours say, until this instant; null: it is not.
    #[schema(format = DateTime)]
    closed_until: Option<String>,
    #[schema(schema_with = words::configured_hours)]
    hours: serde_json::Value,
}

impl Line {
    fn of(line: &line::Line, now: Timestamp) -> Self {
        Self {
            id: line.id.to_string(),
            number: line.number.as_ref().map(ToString::to_string),
            title: line.title.clone(),
            aliases: line.aliases.clone(),
            ring_seconds: line.ring_seconds,
            max_message_seconds: line.max_message_seconds,
            response_term_hours: line.response_term.map(|term| term.as_hours()),
            open_now: line.calendar.is_open(now),
            closed_until: line.calendar.closure_at(now).map(|closure| line.calendar.written(closure.period.end)),
            hours: line.calendar.hours().to_json(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct LineList {
    items: Vec<Line>,
}

/// All published lines, in the order of the configuration.
#[utoipa::path(
    get, path = "/v1/lines", tag = "lines", operation_id = "lines",
    responses((status = 200, description = "All that may be seen", body = LineList), Signing)
)]
pub async fn lines(Seen(house): Seen, _: SignedIn) -> Json<LineList> {
    let now = house.clock.now();
    let lines = house.lines();
    let seen = lines.iter().filter(|line| house.store.sees(&line.id));
    Json(LineList { items: seen.map(|line| Line::of(line, now)).collect() })
}
