//! Browsers that officers have signed in from: a signed cookie, so that guesses from elsewhere do not count against them.
//!
//! The cookie proves nothing but that: whoever steals it gets a count of tries of his own, no more.

use std::net::IpAddr;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::login_throttle::Origin;
use super::password::{hex, random};
use super::{House, auth};
use crate::store::Result;
use crate::time::{SignedDuration, Timestamp, elapsed_ms, from_millisecond};

/// A browser that nobody signs in from for so long is forgotten.
const LIFETIME: SignedDuration = SignedDuration::from_hours(180 * 24);
/// Officers that one browser is known for. Beyond that the oldest is forgotten.
const MAX_OFFICERS: usize = 8;
/// The key in `meta` of the key of the signatures, in hex. Made at the first sign-in.
const KEY: &str = "device_key";
/// Officer, instant of sign-in, random id of the browser, signature.
const ENTRY_BYTES: usize = 8 + 8 + 16 + 32;

/// «This browser has signed in as this officer», without the signature.
#[derive(Clone, Copy)]
struct Entry {
    officer_id: i64,
    /// Unix milliseconds.
    signed_in_at: i64,
    device_id: [u8; 16],
}

impl Entry {
    fn signature(&self, key: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(b"known device\n");
        mac.update(&self.officer_id.to_be_bytes());
        mac.update(&self.signed_in_at.to_be_bytes());
        mac.update(&self.device_id);
        mac
    }

    fn written(&self, key: &str) -> String {
        let parts: [&[u8]; 4] = [
            &self.officer_id.to_be_bytes(),
            &self.signed_in_at.to_be_bytes(),
            &self.device_id,
            &self.signature(key).finalize().into_bytes(),
        ];
        URL_SAFE_NO_PAD.encode(parts.concat())
    }

    /// `None`: not signed by us, or too old.
    fn read(text: &str, key: &str, now: Timestamp) -> Option<Self> {
        let bytes: [u8; ENTRY_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (officer_id, rest) = bytes.split_first_chunk::<8>()?;
        let (signed_in_at, rest) = rest.split_first_chunk::<8>()?;
        let (device_id, signature) = rest.split_first_chunk::<16>()?;
        let entry = Self {
            officer_id: i64::from_be_bytes(*officer_id),
            signed_in_at: i64::from_be_bytes(*signed_in_at),
            device_id: *device_id,
        };
        entry.signature(key).verify_slice(signature).ok()?;
        let age_ms = elapsed_ms(from_millisecond(entry.signed_in_at), now);
        (age_ms < LIFETIME.as_millis() as i64).then_some(entry)
    }
}

/// What counts the tries of this request at the officer's password or code; of nobody's (`None`) too.
pub(super) async fn origin(
    house: &House,
    headers: &HeaderMap,
    address: IpAddr,
    officer_id: Option<i64>,
    now: Timestamp,
) -> Result<Origin> {
    let elsewhere = Origin::address(address);
    let (Some(officer_id), Some(cookie)) = (officer_id, cookie(headers, name(house))) else { return Ok(elsewhere) };
    let Some(key) = house.store.meta(KEY).await? else { return Ok(elsewhere) };
    let known = entries(cookie, &key, now).find(|entry| entry.officer_id == officer_id);
    Ok(known.map_or(elsewhere, |Entry { device_id, .. }| Origin::Device { officer_id, device_id }))
}

/// The `Set-Cookie` by which this browser is known as the officer's from now on, besides those it was known for.
pub(super) async fn remember(
    house: &House,
    headers: &HeaderMap,
    officer_id: i64,
    now: Timestamp,
) -> Result<Option<HeaderValue>> {
    let key = house.store.meta_or_insert(KEY, &hex(&random::<32>())).await?;
    let new = Entry { officer_id, signed_in_at: now.as_millisecond(), device_id: random() };
    let name = name(house);
    let known = cookie(headers, name).into_iter().flat_map(|cookie| entries(cookie, &key, now));
    let others = known.filter(|entry| entry.officer_id != officer_id);
    let entries: Vec<String> =
        std::iter::once(new).chain(others).take(MAX_OFFICERS).map(|entry| entry.written(&key)).collect();
    let secure = if auth::is_https(house) { "; Secure" } else { "" };
    let cookie = format!(
        "{name}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        entries.join("."),
        LIFETIME.as_secs()
    );
    Ok(HeaderValue::try_from(cookie).ok())
}

fn name(house: &House) -> &'static str {
    if auth::is_https(house) { "__Host-perezvon_device" } else { "perezvon_device" }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

fn entries<'c>(cookie: &'c str, key: &'c str, now: Timestamp) -> impl Iterator<Item = Entry> + 'c {
    cookie.split('.').take(MAX_OFFICERS).filter_map(move |text| Entry::read(text, key, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_here_is_known_and_not_for_ever() {
        let now = Timestamp::UNIX_EPOCH;
        let entry = Entry { officer_id: 7, signed_in_at: now.as_millisecond(), device_id: [3; 16] };
        let written = entry.written("key");
        let read = |text: &str, key: &str, now| Entry::read(text, key, now).map(|entry| entry.officer_id);
        assert_eq!(read(&written, "key", now), Some(7));
        assert_eq!(read(&written, "other key", now), None);
        let forged = Entry { officer_id: 8, ..entry };
        let mut bytes = URL_SAFE_NO_PAD.decode(forged.written("")).unwrap();
        bytes[32..].copy_from_slice(&URL_SAFE_NO_PAD.decode(&written).unwrap()[32..]);
        assert_eq!(read(&URL_SAFE_NO_PAD.encode(bytes), "key", now), None, "somebody else's signature");
        for text in ["", "x", &written[1..], &written[..80]] {
            assert_eq!(read(text, "key", now), None, "{text}");
        }
        assert_eq!(read(&written, "key", now + LIFETIME - SignedDuration::from_millis(1)), Some(7));
        assert_eq!(read(&written, "key", now + LIFETIME), None);
    }
}
