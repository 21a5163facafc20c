//! The JSON API, `/api/v1`. Errors are problem documents (RFC 9457).

use axum::Router;

use super::House;

pub(super) fn router() -> Router<House> {
    Router::new()
}
