//! Sessions of officers: a random secret in a cookie, its SHA-256 and the officer in our table.
//!
//! Times come from the house's clock, and every request asks the table, so an officer who was disabled, whose password
//! was changed or who signed out elsewhere is out at once, on every instance.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::House;
use super::password::{hex, random};
use crate::core::officer::Actor;
use crate::store::{Officer, Person, StoreError};
use crate::time::{SignedDuration, Timestamp};

/// How long a session lasts: one working day with all its edges, then everybody signs in again.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
const COOKIE_NAME: &str = "perezvon_session";

/// What the table keeps of a session.
#[derive(Serialize, Deserialize)]
struct Content {
    officer: i64,
    /// Of the password in force at sign-in: a new password ends all sessions made with the old one.
    password: String,
}

/// The officer of this request's session, unless disabled since.
pub(super) async fn person(parts: &Parts, house: &House) -> Result<Option<Person>, StoreError> {
    let Some(secret) = secret(&parts.headers) else { return Ok(None) };
    let Some(content) = house.store.session(&kept_id(secret), house.clock.now()).await? else { return Ok(None) };
    let Ok(content) = serde_json::from_str::<Content>(&content) else { return Ok(None) };
    let officer = house.store.officer(content.officer).await?;
    Ok(officer
        .filter(|officer| fingerprint(officer) == content.password)
        .map(|officer| Person { actor: Actor::officer(officer.id, &officer.name), role: officer.role }))
}

/// Begins a session with an id of its own, ends the one the browser came with, and sweeps out what has expired. The
/// answer is the value of `Set-Cookie`.
pub(super) async fn begin(
    house: &House,
    headers: &HeaderMap,
    officer: &Officer,
    now: Timestamp,
) -> Result<String, StoreError> {
    end(house, headers).await?;
    house.store.delete_expired_sessions(now).await?;
    let secret = hex(&random::<32>());
    let content = Content { officer: officer.id, password: fingerprint(officer) };
    let content = serde_json::to_string(&content).expect("a number and a text always become JSON");
    house.store.save_session(&kept_id(&secret), &content, now + LIFETIME).await?;
    Ok(cookie(house, &secret, LIFETIME.as_secs()))
}

/// Ends the session of this browser, if it has one. The answer is the value of `Set-Cookie`.
pub(super) async fn end(house: &House, headers: &HeaderMap) -> Result<String, StoreError> {
    if let Some(secret) = secret(headers) {
        house.store.delete_session(&kept_id(secret)).await?;
    }
    Ok(cookie(house, "", 0))
}

fn cookie(house: &House, secret: &str, max_age: i64) -> String {
    let secure = if house.public_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={secret}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, secret)| *name == COOKIE_NAME && !secret.is_empty() && secret.len() <= 100)
        .map(|(_, secret)| secret)
}

/// Whoever reads the table cannot sign in with what stands there.
fn kept_id(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

fn fingerprint(officer: &Officer) -> String {
    hex(&Sha256::digest(&officer.password_hash)[..8])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        for (cookie, found) in [
            ("perezvon_session=abc", Some("abc")),
            ("theme=dark; perezvon_session=abc; x=1", Some("abc")),
            ("other_perezvon_session=abc", None),
            ("perezvon_session=", None),
            ("perezvon_session", None),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookie))]);
            assert_eq!(secret(&headers), found, "{cookie}");
        }
    }
}
