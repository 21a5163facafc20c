//! Sessions of officers.

use axum::http::request::Parts;

use super::House;
use crate::store::{Person, StoreError};

/// The officer of this request's session, unless disabled since.
pub(super) async fn person(_parts: &Parts, _house: &House) -> Result<Option<Person>, StoreError> {
    Ok(None)
}
