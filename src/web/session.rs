//! Sessions of officers, by `tower-sessions`: it carries the cookie, our [`Keeper`] keeps the row.
//!
//! Times come from the house's clock, and every request asks the table, so an officer who was disabled, whose password
//! was changed or who was signed out everywhere is out at once, on every instance.

mod keeper;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::{Expiry, SessionManagerLayer, session, session_store};

pub use tower_sessions::Session;

use self::keeper::{Keeper, kept_id};
use super::auth::is_https;
use super::password::hex;
use super::{Error, House};
use crate::core::officer::Actor;
use crate::store::{Officer, Person, StoreError};
use crate::time::{SignedDuration, Timestamp, elapsed_ms, from_millisecond};

/// How long a session lasts at most: one working day with all its edges, then everybody signs in again.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// How long it lasts without a request. An open list that updates itself asks all the time.
const IDLE_TIMEOUT: SignedDuration = SignedDuration::from_hours(2);
/// Use is written down at most this often: not every request is a commit.
const USE_INTERVAL: SignedDuration = SignedDuration::from_mins(5);
/// How long the code of the second factor may be awaited after the password.
const HALF_WAY: SignedDuration = SignedDuration::from_mins(10);

/// How long a typed password counts for what asks for it again.
const CONFIRMED_FOR: SignedDuration = SignedDuration::from_mins(5);

/// Keys of a session's content.
const ENTERED: &str = "entered";
const HALF: &str = "half";
const CONFIRMED: &str = "confirmed";

/// Who came in, and from where: the content of a session.
#[derive(Clone, Serialize, Deserialize)]
struct Entered {
    officer: i64,
    /// Of the password in force at sign-in: a new password ends all sessions made with the old one.
    password: String,
    /// Unix milliseconds.
    at: i64,
    address: String,
    browser: String,
}

/// One of somebody's own sessions, as they are shown it.
pub(super) struct OwnSession {
    pub began_at: Timestamp,
    pub address: String,
    pub browser: String,
    /// The one that asks.
    pub is_this: bool,
}

/// Gives every request its [`Session`], and the answer its cookie when the session begins or ends.
pub(super) fn layer(house: &House) -> SessionManagerLayer<Keeper> {
    SessionManagerLayer::new(Keeper::new(house.clone()))
        .with_name(if is_https(house) { "__Host-perezvon_session" } else { "perezvon_session" })
        .with_path("/")
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(is_https(house))
        // Only the cookie's Max-Age comes from this; when a session ends, the keeper decides by the house's clock.
        .with_expiry(Expiry::OnInactivity(Duration::seconds(LIFETIME.as_secs())))
}

/// The officer of this request's session, unless disabled since.
pub(super) async fn officer(parts: &Parts, house: &House) -> Result<Option<Officer>, Error> {
    let Some(session) = parts.extensions.get::<Session>() else { return Ok(None) };
    let Some(entered) = session.get::<Entered>(ENTERED).await.map_err(failed)? else { return Ok(None) };
    of_password(house, entered.officer, &entered.password).await
}

/// The same as whom they act as.
pub(super) async fn person(parts: &Parts, house: &House) -> Result<Option<Person>, Error> {
    Ok(officer(parts, house).await?.map(|officer| person_of(&officer)))
}

/// Whether the session of a request that goes on for long still holds: its row is read anew.
pub(super) async fn still_holds(parts: &Parts, house: &House) -> Result<bool, Error> {
    if let Some(session) = parts.extensions.get::<Session>() {
        session.load().await.map_err(failed)?;
    }
    Ok(officer(parts, house).await?.is_some())
}

/// Whom an officer acts as.
pub(super) fn person_of(officer: &Officer) -> Person {
    Person {
        actor: Actor::officer(officer.id, &officer.name),
        role: officer.role,
        telephone: officer.telephone.clone(),
        lines: officer.scope(),
    }
}

/// Begins a session under a new id, ends the one the browser came with, and sweeps out what has expired.
pub(super) async fn begin(
    house: &House,
    session: &Session,
    officer: &Officer,
    headers: &HeaderMap,
    address: IpAddr,
    now: Timestamp,
) -> Result<(), Error> {
    let entered = Entered {
        officer: officer.id,
        password: fingerprint(officer),
        at: now.as_millisecond(),
        address: address.to_string(),
        browser: browser(headers).to_owned(),
    };
    anew(house, session, ENTERED, &entered, now).await
}

/// The password was right, the code of the second factor is awaited: nobody is signed in yet.
pub(super) async fn begin_half(
    house: &House,
    session: &Session,
    officer: &Officer,
    now: Timestamp,
) -> Result<(), Error> {
    let half = Half { officer: officer.id, password: fingerprint(officer), at: now.as_millisecond() };
    anew(house, session, HALF, &half, now).await
}

#[derive(Serialize, Deserialize)]
struct Half {
    officer: i64,
    password: String,
    at: i64,
}

/// The officer whose code is awaited. `None`: nobody's, or too long ago.
pub(super) async fn half_way(house: &House, session: &Session, now: Timestamp) -> Result<Option<Officer>, Error> {
    let Some(half) = session.get::<Half>(HALF).await.map_err(failed)? else { return Ok(None) };
    if elapsed_ms(from_millisecond(half.at), now) >= HALF_WAY.as_millis() as i64 {
        return Ok(None);
    }
    of_password(house, half.officer, &half.password).await
}

/// A new row under a new id with this alone in it. Written here and not after the answer, so that its failure is told.
async fn anew(
    house: &House,
    session: &Session,
    key: &str,
    value: &impl Serialize,
    now: Timestamp,
) -> Result<(), Error> {
    house.store.delete_expired_sessions(now).await?;
    session.cycle_id().await.map_err(failed)?;
    session.clear().await;
    session.insert(key, value).await.map_err(failed)?;
    session.save().await.map_err(failed)
}

/// Whether the password was typed in this session within the last minutes, to come in or since.
pub(super) async fn is_confirmed(session: &Session, now: Timestamp) -> Result<bool, Error> {
    let entered = session.get::<Entered>(ENTERED).await.map_err(failed)?.map(|entered| entered.at);
    let confirmed = session.get::<i64>(CONFIRMED).await.map_err(failed)?;
    let recent = (now - CONFIRMED_FOR).as_millisecond() + 1..=now.as_millisecond();
    Ok([entered, confirmed].into_iter().flatten().any(|at| recent.contains(&at)))
}

/// The password was typed again.
pub(super) async fn confirm(session: &Session, now: Timestamp) -> Result<(), Error> {
    session.insert(CONFIRMED, now.as_millisecond()).await.map_err(failed)?;
    session.save().await.map_err(failed)
}

/// Ends the session of this browser, if it has one.
pub(super) async fn end(session: &Session) -> Result<(), Error> {
    match session.id() {
        Some(_) => session.flush().await.map_err(failed),
        None => Ok(()),
    }
}

/// Remembers something until the session ends.
pub(super) async fn remember(session: &Session, key: &str, value: &str) -> Result<(), Error> {
    session.insert(key, value).await.map_err(failed)?;
    session.save().await.map_err(failed)
}

/// What [`remember`] was told.
pub(super) async fn remembered(session: &Session, key: &str) -> Result<Option<String>, Error> {
    session.get(key).await.map_err(failed)
}

pub(super) async fn forget(session: &Session, key: &str) -> Result<(), Error> {
    session.remove_value(key).await.map_err(failed)?;
    session.save().await.map_err(failed)
}

/// The name of this session's row; empty if there is none.
pub(super) fn row_of(session: &Session) -> String {
    session.id().map(kept_id).unwrap_or_default()
}

/// All sessions of an officer, the newest first.
pub(super) async fn own(
    house: &House,
    session: &Session,
    officer: &Officer,
    now: Timestamp,
) -> Result<Vec<OwnSession>, Error> {
    let this = row_of(session);
    let mut own: Vec<OwnSession> = house
        .store
        .sessions_of(officer.id, now)
        .await?
        .into_iter()
        .filter_map(|kept| {
            let mut content: serde_json::Value = serde_json::from_str(&kept.content).ok()?;
            let entered: Entered = serde_json::from_value(content.get_mut(ENTERED)?.take()).ok()?;
            (entered.password == fingerprint(officer)).then(|| OwnSession {
                began_at: from_millisecond(entered.at),
                address: entered.address,
                browser: entered.browser,
                is_this: kept.id == this,
            })
        })
        .collect();
    own.sort_by_key(|session| std::cmp::Reverse((session.is_this, session.began_at)));
    Ok(own)
}

async fn of_password(house: &House, id: i64, password: &str) -> Result<Option<Officer>, Error> {
    Ok(house.store.officer(id).await?.filter(|officer| fingerprint(officer) == password))
}

fn fingerprint(officer: &Officer) -> String {
    hex(&Sha256::digest(&officer.password_hash)[..8])
}

/// A session that cannot be read is a failure of ours: whoever has one stays signed in.
fn failed(error: session::Error) -> Error {
    match error {
        session::Error::Store(session_store::Error::Backend(told)) => Error::SessionsAway(told),
        session::Error::Store(_) | session::Error::SerdeJson(_) => {
            Error::Store(StoreError::Corrupt { table: "session", column: "content", row: "?".to_owned() })
        }
    }
}

/// The browser's family, as its owner would call it.
fn browser(headers: &HeaderMap) -> &'static str {
    let told = headers.get(USER_AGENT).and_then(|told| told.to_str().ok()).unwrap_or("");
    // Nearly all call themselves Chrome and Safari too, so those stand last.
    let families = [
        ("YaBrowser", "Яндекс Браузер"),
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrom", "Chrome"),
        ("CriOS", "Chrome"),
        ("Safari", "Safari"),
    ];
    families
        .into_iter()
        .find(|(mark, _)| told.contains(mark))
        .map_or("Другой браузер", |(_, family)| family)
}
