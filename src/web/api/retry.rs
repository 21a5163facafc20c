//! A message that is not here yet is tried again, now: for whoever has mended what kept it away.

use axum::Json;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::extract::{Acting, Id};
use super::objects::Voicemail;
use super::problem::Problem;
use super::refusals::Retrying;
use crate::web::auth::Seen;
use crate::web::{Error, auth};

/// Tries to get the sound of a message again, now. It is fetched behind this answer; a message that had been given up waits
/// again. One whose whole sound is here, or erased, is a conflict.
#[utoipa::path(
    post, path = "/v1/voicemails/{id}/retry", tag = "calls", operation_id = "retry",
    params(("id" = String, Path, description = "Id of the voicemail")),
    responses((status = 200, description = "It is tried; the voicemail as it stands now", body = Voicemail), Retrying)
)]
pub async fn retry(
    Seen(house): Seen,
    Acting(person): Acting,
    Id(id): Id,
    request: Parts,
) -> Result<Json<Voicemail>, Problem> {
    let now = house.clock.now();
    house.store.voicemail(id).await?.ok_or(Error::NotFound)?;
    let address = auth::address(&request.extensions, &request.headers).to_string();
    if !house.store.retry_voicemail(id, &person.actor, &address, now).await? {
        let detail = "its whole sound is here already, or has been erased";
        let kind = "urn:perezvon:voicemail-not-waiting";
        return Err(Problem::new(StatusCode::CONFLICT, kind, "Nothing to try again", detail));
    }
    let voicemail = house.store.voicemail(id).await?.ok_or(Error::NotFound)?;
    let call = house.store.call(voicemail.call_id).await?.ok_or(Error::NotFound)?.call;
    let lines = house.lines();
    let calendar = call.line.as_ref().map_or_else(|| lines.default_calendar(), |line| &lines.by_id(line).calendar);
    Ok(Json(Voicemail::of(&voicemail, calendar)))
}
