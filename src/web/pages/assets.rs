//! The stylesheet, the script and the icon, inside the binary. Their addresses carry a hash of their content, so
//! browsers keep them for good and still see every change.

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

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
    address: String,
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: &'static str) -> Self {
        let address = format!("/assets/{}/{name}", hex(&Sha256::digest(content)[..6]));
        Self { name, content_type, content, address }
    }
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("perezvon.css", "text/css; charset=utf-8", include_str!("assets/perezvon.css")),
        Asset::new("desk.js", "text/javascript; charset=utf-8", include_str!("assets/desk.js")),
        Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ]
});

pub(super) fn css() -> &'static str {
    &ASSETS[0].address
}

pub(super) fn js() -> &'static str {
    &ASSETS[1].address
}

pub(super) fn icon() -> &'static str {
    &ASSETS[2].address
}

pub(super) fn router() -> Router<House> {
    Router::new().route("/assets/{version}/{name}", get(asset))
}

/// A page from before an update asks for an older version: it gets the present one, but may not keep it.
async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = match asset.address.split('/').nth(2) == Some(version.as_str()) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let headers = [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, keep), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, asset.content).into_response()
}
