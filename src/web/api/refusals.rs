//! Which refusals a route may answer with, for the description.

use std::collections::BTreeMap;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

use super::problem::Problem;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $($status:literal)+;)*) => {
        $($(#[$doc])* pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                described(&[$($status),+])
            }
        })*
    };
}

refusals! {
    /// Of a list.
    Listing: 400 401 403 503;
    /// Of one object.
    Reading: 401 403 404 503;
    /// Of a question.
    Asking: 400 401;
    /// Of what has no parameters.
    Signing: 401;
    /// Of the sound.
    Listening: 400 401 403 404 416 503;
    /// Of a message that is to be fetched again.
    Retrying: 401 403 404 409 503;
    /// Of an action on one callback.
    Changing: 400 401 403 404 408 409 413 415 422 503;
    /// Of an action on whichever callback comes first.
    Claiming: 400 401 403 404 408 413 415 503;
    /// Of a new callback.
    Registering: 400 401 403 408 409 413 415 422 503;
}

fn described(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let of = |status: &u16| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response =
            ResponseBuilder::new().description(meaning(*status)).content("application/problem+json", content).build();
        (status.to_string(), response.into())
    };
    statuses.iter().map(of).collect()
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "What was sent makes no sense; `detail` names the field or the place",
        401 => "Not signed in, or the token is revoked or has expired",
        403 => "The role is not enough, or this belongs to another line",
        404 => "There is no such thing, or not now; `detail` says which",
        408 => "The body did not arrive within 10 s",
        409 => "Somebody was faster, or the state does not allow it; `current` is the present state where there is one",
        413 => "The body has more than 64 kB",
        415 => "The body is not JSON",
        416 => "The range begins behind the end",
        422 => "The rules of the house refuse it",
        _ => "The database is not available; try again after `retry` seconds",
    }
}
