//! Who makes a request: a person with a session or a program with a bearer token, and what their role lets them do.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use super::{Error, House, session};
use crate::core::officer::Role;
use crate::store::Person;

/// Whoever is signed in. As an extractor it refuses everybody else with 401.
pub struct SignedIn(pub Person);

impl SignedIn {
    /// The person, if their role is enough.
    pub fn at_least(self, role: Role) -> Result<Person, Error> {
        match self.0.role >= role {
            true => Ok(self.0),
            false => Err(Error::RoleNeeded(role)),
        }
    }
}

impl FromRequestParts<House> for SignedIn {
    type Rejection = Error;

    /// A bearer token decides if there is one; else the session does.
    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Error> {
        let person = match bearer(parts) {
            Some(secret) => house.store.token_holder(Sha256::digest(secret).to_vec()).await?,
            None => session::person(parts, house).await?,
        };
        person.map(Self).ok_or(Error::SignInFirst)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}
