//! Who makes a request: a person with a session or a program with a bearer token, and what their role lets them do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
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

/// Who was found to make this request, so that its extractors ask once.
#[derive(Clone)]
struct Found(Person);

impl FromRequestParts<House> for SignedIn {
    type Rejection = Error;

    /// A bearer token decides if there is one; else the session does.
    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Error> {
        if let Some(Found(person)) = parts.extensions.get() {
            return Ok(Self(person.clone()));
        }
        let person = match bearer(parts) {
            Some(secret) => house.store.token_holder(Sha256::digest(secret).to_vec(), house.clock.now()).await?,
            None => session::person(parts, house).await?,
        };
        let person = person.ok_or(Error::SignInFirst)?;
        parts.extensions.insert(Found(person.clone()));
        Ok(Self(person))
    }
}

/// The house as whoever is signed in may see it. Handlers take this in the place of `State<House>`, so that none forgets
/// whose lines are asked for.
pub struct Seen(pub House);

impl FromRequestParts<House> for Seen {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, house: &House) -> Result<Self, Error> {
        let SignedIn(person) = SignedIn::from_request_parts(parts, house).await?;
        Ok(Self(house.seen_by(&person)))
    }
}

/// Where a request comes from. Whoever connects over loopback is the proxy on this machine: its last entry in
/// `X-Forwarded-For` is the one it wrote itself. From anywhere else that header is what anybody may write, and is not read.
/// Unspecified if the server does not tell: then all share one.
pub fn address(extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
    let connected = extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical());
    if !peer.is_loopback() {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back().and_then(|list| list.to_str().ok());
    let written_by_the_proxy = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
    written_by_the_proxy.map_or(peer, |address| address.to_canonical())
}

/// Whether browsers come over https: cookies are for that alone then.
pub fn is_https(house: &House) -> bool {
    house.public_url.starts_with("https://")
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxy_on_this_machine_is_believed_and_only_its_own_word() {
        for (peer, forwarded, address) in [
            ("127.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            ("127.0.0.1", &["203.0.113.1, 192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1", &["192.0.2.7", "2001:db8::1"], "2001:db8::1"),
            ("::1", &["::ffff:192.0.2.7"], "192.0.2.7"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("198.51.100.2", &["192.0.2.7"], "198.51.100.2"),
        ] {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 40000)));
            let headers = forwarded.iter().map(|list| ("x-forwarded-for".parse().unwrap(), list.parse().unwrap()));
            let told = super::address(&extensions, &headers.collect());
            assert_eq!(told, address.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
