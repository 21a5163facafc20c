//! The stylesheet, the scripts and the icon, inside the binary. Their addresses carry a hash of all their content, so
//! browsers keep them for good, still see every change, and one script finds another beside itself.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::web::House;
use crate::web::password::hex;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, content type, content. One stylesheet: tokens and elements first, then what each page adds.
const ASSETS: [(&str, &str, &str); 5] = [
    (
        "perezvon.css",
        CSS,
        concat!(
            include_str!("assets/style/base.css"),
            include_str!("assets/style/desk.css"),
            include_str!("assets/style/log.css"),
            include_str!("assets/style/calendar.css"),
            include_str!("assets/style/prompts.css"),
            include_str!("assets/style/people.css"),
            include_str!("assets/style/house.css"),
            include_str!("assets/style/reports.css"),
            include_str!("assets/style/public.css"),
        ),
    ),
    ("desk.js", JS, include_str!("assets/desk.js")),
    ("merge.js", JS, include_str!("assets/merge.js")),
    ("player.js", JS, include_str!("assets/player.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all = ASSETS.iter().fold(Sha256::new(), |all, (_, _, content)| all.chain_update(content));
    hex(&all.finalize()[..6])
});

/// Where the browser finds the asset of this name.
pub(super) fn address(name: &str) -> String {
    debug_assert!(ASSETS.iter().any(|(known, ..)| *known == name), "no asset «{name}»");
    format!("/assets/{}/{name}", *VERSION)
}

pub(super) fn router() -> Router<House> {
    Router::new().route("/assets/{version}/{name}", get(asset))
}

/// A page from before an update asks for an older version: it gets the present one, but may not keep it.
async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let Some((_, content_type, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = match version == *VERSION {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let headers = [(CONTENT_TYPE, *content_type), (CACHE_CONTROL, keep), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, *content).into_response()
}
