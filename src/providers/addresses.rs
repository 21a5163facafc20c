//! Which addresses may be asked for a recording. The address comes from outside, so nothing but the configured hosts is
//! asked, and never an address inside somebody's network (provider contract, TwiML §9, download rules).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Why a recording is not fetched from the address that was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenUrl {
    #[error("the provider told no address for the recording; ask for the recordings of the call")]
    Missing,
    #[error("the address of the recording is not a URL")]
    Unreadable,
    #[error("the address of the recording is not https")]
    NotHttps,
    #[error("the address of the recording contains a user name or password")]
    WithCredentials,
    #[error("the address of the recording points into a private network ({0})")]
    Private(String),
    #[error("the host {0} is not among the recording_hosts of this provider")]
    UnlistedHost(String),
}

impl ForbiddenUrl {
    /// For alarms.
    pub fn in_russian(&self) -> String {
        match self {
            Self::Missing => "оператор связи не назвал её адреса".to_owned(),
            Self::Unreadable => "её адрес не читается".to_owned(),
            Self::NotHttps => "её адрес не https".to_owned(),
            Self::WithCredentials => "в её адресе стоит имя или пароль".to_owned(),
            Self::Private(host) => format!("её адрес ведёт во внутреннюю сеть ({host})"),
            Self::UnlistedHost(host) => format!("узла {host} нет в recording_hosts"),
        }
    }
}

/// The hosts that the configuration trusts with recordings and credentials.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    listed: Vec<Listed>,
    /// The configuration names this very machine: a rehearsal or a test. Only then may loopback be asked, by http.
    is_loopback: bool,
}

#[derive(Clone, Debug)]
struct Listed {
    host: String,
    /// `None`: the usual port of the scheme; on a loopback host, any port but for redirects.
    port: Option<u16>,
    is_loopback: bool,
}

impl Listed {
    /// Reads `api.twilio.com`, `127.0.0.1:9000`, `::1` or a whole URL.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let url = match text.parse::<Ipv6Addr>() {
            Ok(address) => Url::parse(&format!("https://[{address}]")),
            Err(_) if text.contains("://") => Url::parse(text),
            Err(_) => Url::parse(&format!("https://{text}")),
        };
        let url = url.ok()?;
        Some(Self { host: url.host_str()?.to_owned(), port: url.port(), is_loopback: is_loopback(&url) })
    }

    /// Whether the address is on the configured port, or on the usual one if none is configured.
    fn has_port_of(&self, url: &Url) -> bool {
        let is_on_port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        url.host_str() == Some(&self.host) && is_on_port
    }

    fn contains(&self, url: &Url) -> bool {
        let is_on_any_port = self.port.is_none() && self.is_loopback && url.host_str() == Some(&self.host);
        self.has_port_of(url) || is_on_any_port
    }
}

impl Trusted {
    pub(super) fn new(api_base: &str, recording_hosts: &[String]) -> Self {
        let hosts = recording_hosts.iter().map(String::as_str);
        let listed: Vec<Listed> = std::iter::once(api_base).chain(hosts).filter_map(Listed::read).collect();
        Self { is_loopback: listed.iter().any(|listed| listed.is_loopback), listed }
    }

    /// The address, if it may be asked with credentials.
    pub(super) fn check(&self, url: &str) -> Result<Url, ForbiddenUrl> {
        let url = Url::parse(url).map_err(|_| ForbiddenUrl::Unreadable)?;
        self.refuse_the_dangerous(&url)?;
        match self.is_listed(&url) {
            true => Ok(url),
            false => Err(ForbiddenUrl::UnlistedHost(shown_host(&url))),
        }
    }

    /// `Some(true)`: follow with credentials, `Some(false)`: follow without, `None`: do not follow.
    pub(super) fn may_follow(&self, from: &Url, to: &Url) -> Option<bool> {
        self.refuse_the_dangerous(to).ok()?;
        let is_same = from.origin() == to.origin();
        // Whatever else listens on this machine is no provider's: a redirect reads none of it.
        if is_loopback(to) && !is_same && !self.listed.iter().any(|listed| listed.has_port_of(to)) {
            return None;
        }
        Some(is_same && self.is_listed(to))
    }

    fn is_listed(&self, url: &Url) -> bool {
        self.listed.iter().any(|listed| listed.contains(url))
    }

    fn refuse_the_dangerous(&self, url: &Url) -> Result<(), ForbiddenUrl> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ForbiddenUrl::WithCredentials);
        }
        if !matches!(url.scheme(), "https" | "http") {
            return Err(ForbiddenUrl::NotHttps);
        }
        let own_machine = self.is_loopback && is_loopback(url);
        if !own_machine && is_private(url) {
            return Err(ForbiddenUrl::Private(shown_host(url)));
        }
        match url.scheme() == "https" || own_machine {
            true => Ok(()),
            false => Err(ForbiddenUrl::NotHttps),
        }
    }
}

/// Whether an address is encrypted, or leads to this machine.
pub(super) fn may_be_asked(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url))
}

fn shown_host(url: &Url) -> String {
    url.host_str().unwrap_or("").chars().take(100).collect()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(_)) => is_loopback(url),
        None => true,
    }
}

/// Whether an address belongs to the public internet. A fetcher asks this of what a name resolved to, for a name on the
/// list may be made to point anywhere.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared_by_carriers = a == 100 && (64..128).contains(&b);
    let for_protocols = (a, b, c) == (192, 0, 0);
    let for_benchmarks = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 224
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || shared_by_carriers
        || for_protocols
        || for_benchmarks)
}

/// Only 2000::/3 is given out. Of it, Teredo (2001::/32) and 6to4 (2002::/16) carry an IPv4 address inside, as do the
/// mapped and translated forms outside of it: none is ever needed, and each has been a way round such a check.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    a & 0xe000 == 0x2000 && a != 0x2002 && (a, b) != (0x2001, 0) && (a, b) != (0x2001, 0x0db8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twilio() -> Trusted {
        Trusted::new(
            "https://api.twilio.com/2010-04-01",
            &["Media.Example.org".into(), "media.example.org:8443".into()],
        )
    }

    #[test]
    fn only_listed_hosts_are_asked_for_a_recording() {
        for url in [
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1",
            "https://API.TWILIO.COM:443/x",
            "https://media.example.org/a",
            "https://media.example.org:8443/a",
        ] {
            assert!(twilio().check(url).is_ok(), "{url}");
        }
        for (url, reason) in [
            ("https://evil.example/RE1", ForbiddenUrl::UnlistedHost("evil.example".into())),
            ("https://api.twilio.com.evil.example/", ForbiddenUrl::UnlistedHost("api.twilio.com.evil.example".into())),
            ("https://api.twilio.com:8443/", ForbiddenUrl::UnlistedHost("api.twilio.com".into())),
            ("http://api.twilio.com/RE1", ForbiddenUrl::NotHttps),
            ("ftp://api.twilio.com/RE1", ForbiddenUrl::NotHttps),
            ("file:///etc/passwd", ForbiddenUrl::NotHttps),
            ("https://api.twilio.com@evil.example/", ForbiddenUrl::WithCredentials),
            ("https://user:secret@api.twilio.com/", ForbiddenUrl::WithCredentials),
            ("nonsense", ForbiddenUrl::Unreadable),
            ("", ForbiddenUrl::Unreadable),
        ] {
            assert_eq!(twilio().check(url), Err(reason), "{url}");
        }
    }

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "localhost",
            "LOCALHOST.",
            "x.localhost",
            "10.0.0.1",
            "172.16.5.5",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::a00:1]",
            "[2002:7f00:1::]",
        ] {
            let refused = twilio().check(&format!("https://{host}/RE1"));
            assert!(matches!(refused, Err(ForbiddenUrl::Private(_))), "{host}: {refused:?}");
            let to = Url::parse(&format!("https://{host}/RE1")).unwrap();
            assert_eq!(twilio().may_follow(&Url::parse("https://api.twilio.com/").unwrap(), &to), None, "{host}");
        }
        assert!(is_public("8.8.8.8".parse().unwrap()) && is_public("2a00:1450::1".parse().unwrap()));
    }

    #[test]
    fn a_configuration_on_this_machine_may_ask_this_machine_and_no_other_private_one() {
        for (api_base, hosts) in [
            ("http://127.0.0.1:9000/2010-04-01", vec![]),
            ("https://api.twilio.com/2010-04-01", vec!["127.0.0.1:9000".to_owned()]),
            ("https://api.twilio.com/2010-04-01", vec!["127.0.0.1".to_owned()]),
        ] {
            let trusted = Trusted::new(api_base, &hosts);
            assert!(trusted.check("http://127.0.0.1:9000/RE1").is_ok(), "{api_base} {hosts:?}");
            assert!(matches!(trusted.check("http://10.0.0.1:9000/RE1"), Err(ForbiddenUrl::Private(_))));
        }
        let one_port = Trusted::new("http://127.0.0.1:9000", &[]);
        assert!(matches!(one_port.check("http://127.0.0.1:9001/RE1"), Err(ForbiddenUrl::UnlistedHost(_))));
    }

    /// Threat: a provider's redirect reads what listens on this machine for nobody else.
    #[test]
    fn a_loopback_entry_opens_one_port_to_redirects_and_no_other() {
        let from = Url::parse("https://api.twilio.com/RE1").unwrap();
        for (listed, open) in [("127.0.0.1:9000", "http://127.0.0.1:9000/x"), ("127.0.0.1", "http://127.0.0.1/x")] {
            let trusted = Trusted::new("https://api.twilio.com/2010-04-01", &[listed.to_owned()]);
            assert_eq!(trusted.may_follow(&from, &Url::parse(open).unwrap()), Some(false), "{listed}");
            for other in ["127.0.0.1:9001", "127.0.0.1:5432", "localhost:9000", "127.0.0.2:9000", "[::1]:9000"] {
                let other = Url::parse(&format!("http://{other}/x")).unwrap();
                assert_eq!(trusted.may_follow(&from, &other), None, "{listed} {other}");
            }
        }
    }

    #[test]
    fn a_redirect_to_another_host_loses_the_credentials() {
        let follow =
            |to: &str| twilio().may_follow(&Url::parse("https://api.twilio.com/a").unwrap(), &Url::parse(to).unwrap());
        assert_eq!(follow("https://api.twilio.com/b"), Some(true));
        assert_eq!(follow("https://media.example.org/b"), Some(false));
        assert_eq!(follow("https://storage.example/b?signature=1"), Some(false));
        assert_eq!(follow("https://api.twilio.com:8443/b"), Some(false));
        assert_eq!(follow("http://api.twilio.com/b"), None);
        assert_eq!(follow("http://storage.example/b"), None);
        assert_eq!(follow("https://user@storage.example/b"), None);
        assert_eq!(follow("https://169.254.169.254/latest"), None);
    }
}
