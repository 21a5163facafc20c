//! What a request at the door brings besides its form: from where, in which session, and when.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::store::StoreError;
use crate::time::Timestamp;
use crate::web::login_throttle::Origin;
use crate::web::pages::refused::Failure;
use crate::web::session::Session;
use crate::web::{House, auth, known_device};

/// Somebody at the door, known or not.
pub(in crate::web::pages) struct Door {
    pub session: Session,
    pub headers: HeaderMap,
    pub address: IpAddr,
    pub now: Timestamp,
}

impl Door {
    /// What counts the tries of this request at the officer's password or code; of nobody's (`None`) too.
    pub async fn origin(&self, house: &House, officer_id: Option<i64>) -> Result<Origin, StoreError> {
        known_device::origin(house, &self.headers, self.address, officer_id, self.now).await
    }
}

impl FromRequestParts<House> for Door {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Failure> {
        let Some(session) = parts.extensions.get::<Session>() else {
            return Err(Failure::ours("this address was given no session"));
        };
        Ok(Self {
            session: session.clone(),
            headers: parts.headers.clone(),
            address: auth::address(&parts.extensions, &parts.headers),
            now: house.clock.now(),
        })
    }
}

/// Where a request comes from, for the audit.
pub(in crate::web::pages) struct Address(pub String);

impl FromRequestParts<House> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &House) -> Result<Self, Self::Rejection> {
        Ok(Self(auth::address(&parts.extensions, &parts.headers).to_string()))
    }
}
