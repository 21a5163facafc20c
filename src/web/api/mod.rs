//! The JSON API below `/api`: the same list, log and rules as the officer's pages, for programs. Errors are problem
//! documents (RFC 9457).
//!
//! Every route is declared once, together with its description, so `/api/openapi.json` cannot leave one out.

mod actions;
pub(super) mod audio;
mod callbacks;
mod calls;
mod extract;
mod hours;
mod objects;
mod problem;
mod refusals;
mod retry;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::middleware::from_fn;
use axum::routing::get;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Document, RefOr, Schema};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::Problem;
use super::document::Document as KeptDocument;
use super::{Error, House};

/// What is true of the whole API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Perezvon",
        description = "The callback list and the log of a school's phone lines.\n\nTimes are RFC 3339 with the offset of \
            the line's zone, durations milliseconds, telephone numbers E.164, ids opaque strings. Every field is always \
            present; what is not known is null. Roles: an observer reads, an officer also acts and listens. Request \
            bodies have at most 64 kB, and no control characters: line breaks and tabs are allowed in `note` and `summary` \
            alone. Errors are problem documents (RFC 9457)."
    ),
    security(("bearer" = []), ("session" = [])),
    tags(
        (name = "callbacks", description = "Who waits to be called back."),
        (name = "calls", description = "Every call to a published line."),
        (name = "lines", description = "The published lines and their hours.")
    ),
    components(schemas(Problem)),
    modifiers(&Schemes, &AllFields)
)]
struct About;

/// Both ways to sign in.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_with(Components::new);
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token made by `perezvon token add`. It decides if both are sent."))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            "perezvon_session",
            "The session of an officer who signed in at /login. Under https its name is __Host-perezvon_session.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// What we answer has all of its fields always; only what is sent to us, and a problem's extras, may be left out.
struct AllFields;

impl Modify for AllFields {
    fn modify(&self, document: &mut Document) {
        let Some(components) = &mut document.components else { return };
        for (name, schema) in &mut components.schemas {
            if let RefOr::T(Schema::Object(object)) = schema
                && name != "Problem"
                && object.additional_properties.is_none()
            {
                object.required = object.properties.keys().cloned().collect();
            }
        }
    }
}

fn described() -> OpenApiRouter<House> {
    OpenApiRouter::new()
        .routes(routes!(callbacks::list, callbacks::register))
        .routes(routes!(callbacks::claim_next))
        .routes(routes!(callbacks::read))
        .routes(routes!(actions::claim))
        .routes(routes!(actions::call_anyway))
        .routes(routes!(actions::release))
        .routes(routes!(actions::attempts))
        .routes(routes!(actions::done))
        .routes(routes!(actions::later))
        .routes(routes!(actions::clarify))
        .routes(routes!(actions::exceptional))
        .routes(routes!(actions::decline))
        .routes(routes!(actions::reopen))
        .routes(routes!(actions::same))
        .routes(routes!(actions::undo))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(audio::listen))
        .routes(routes!(retry::retry))
        .routes(routes!(hours::at))
        .routes(routes!(hours::lines))
}

/// The description of all routes, as `/api/openapi.json` gives it.
fn document() -> Document {
    let mut document = OpenApiRouter::with_openapi(About::openapi()).nest("/api", described()).into_openapi();
    // Once more: the schemas came with the routes.
    AllFields.modify(&mut document);
    document
}

pub(super) fn router() -> Router<House> {
    let description = serde_json::to_vec(&document()).expect("a description is JSON");
    let description = Arc::new(KeptDocument::new("application/json", description));
    let (routes, _) = described().split_for_parts();
    routes
        .route("/openapi.json", get(async move |headers: HeaderMap| description.response(&headers)))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .fallback(async || Error::NotFound)
        .layer(from_fn(extract::check_address))
}
