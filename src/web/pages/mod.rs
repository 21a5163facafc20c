//! The officer's pages.

use axum::Router;

use super::House;

pub(super) fn router(_house: &House) -> Router<House> {
    Router::new()
}
