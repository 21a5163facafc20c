//! The simulated provider's HTTP client: signs each request for the public address, and carries it over loopback.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Method;
use url::{Host, Url};

use crate::jobs::client_builder;
use crate::providers::twiml::form_signature;

/// Twilio reads no larger document (error 11750).
const DOCUMENT_BYTES: usize = 64 * 1024;
/// A prompt of ten minutes.
const SOUND_BYTES: usize = 10 * 1024 * 1024;

/// The names and values of a form, in the order they are sent.
pub type Form = Vec<(String, String)>;

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: Bytes,
}

impl Reply {
    pub fn is_xml(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or("").trim();
        ["text/xml", "application/xml"].iter().any(|xml| kind.eq_ignore_ascii_case(xml))
    }
}

/// The way to the service: what the public address is, and where it listens on this machine.
pub struct Wire {
    client: reqwest::Client,
    auth_token: String,
    public_url: String,
    /// Scheme, host and port in place of `public_url`.
    local_origin: String,
    /// The path below which the provider's webhooks lie, `/webhooks/demo`.
    webhook_path: String,
}

/// Why a request found no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("{0} is not on this machine, and the simulated provider goes nowhere else")]
    Elsewhere(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no answer")]
    Failed(#[from] reqwest::Error),
}

impl Wire {
    /// `webhook_base` is where the service listens, `http://127.0.0.1:8080/webhooks/demo`.
    pub fn new(auth_token: &str, webhook_base: &str, public_url: &str) -> Result<Self, url::ParseError> {
        let base = Url::parse(webhook_base)?;
        let client = client_builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(15))
            .user_agent("TwilioProxy/1.1")
            .build()
            .expect("these settings need nothing from outside");
        Ok(Self {
            client,
            auth_token: auth_token.to_owned(),
            public_url: public_url.trim_end_matches('/').to_owned(),
            local_origin: base.origin().ascii_serialization(),
            webhook_path: base.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The public address of one of the provider's own webhooks: `voice`, `status`, `fallback`.
    pub fn webhook(&self, endpoint: &str) -> String {
        format!("{}{}/{endpoint}", self.public_url, self.webhook_path)
    }

    /// Sends a form, signed, as `POST` or in the query of a `GET`.
    pub async fn send(&self, method: &str, url: &str, form: &Form, token: &str) -> Result<Reply, Unanswered> {
        let url = url.split('#').next().unwrap_or(url);
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        if method.eq_ignore_ascii_case("GET") {
            let joint = if url.contains('?') { '&' } else { '?' };
            let url = if form.is_empty() { url.to_owned() } else { format!("{url}{joint}{encoded}") };
            return self.carry(Method::GET, &url, &[], String::new(), token, DOCUMENT_BYTES).await;
        }
        self.carry(Method::POST, url, form, encoded, token, DOCUMENT_BYTES).await
    }

    /// Fetches a sound that is to be played.
    pub async fn fetch_sound(&self, url: &str, token: &str) -> Result<Reply, Unanswered> {
        self.carry(Method::GET, url, &[], String::new(), token, SOUND_BYTES).await
    }

    async fn carry(
        &self,
        method: Method,
        url: &str,
        signed: &[(String, String)],
        body: String,
        token: &str,
        limit: usize,
    ) -> Result<Reply, Unanswered> {
        let mut request = self
            .client
            .request(method.clone(), self.local(url)?)
            .header("X-Twilio-Signature", form_signature(&self.auth_token, url, signed))
            .header("I-Twilio-Idempotency-Token", token);
        if method == Method::POST {
            request = request.header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8").body(body);
        }
        let mut response = request.send().await?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let (status, content_type) = (response.status().as_u16(), content_type.unwrap_or("").to_owned());
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await? {
            body.extend_from_slice(&part);
            if body.len() > limit {
                return Err(Unanswered::TooLarge(limit));
            }
        }
        Ok(Reply { status, content_type, body: body.freeze() })
    }

    /// Where a public address is found on this machine.
    fn local(&self, url: &str) -> Result<String, Unanswered> {
        match url.strip_prefix(&self.public_url) {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => Ok(format!("{}{rest}", self.local_origin)),
            _ if is_loopback(url) => Ok(url.to_owned()),
            _ => Err(Unanswered::Elsewhere(url.to_owned())),
        }
    }
}

fn is_loopback(url: &str) -> bool {
    match Url::parse(url).as_ref().map(|url| url.host().map(|host| host.to_owned())) {
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        Ok(Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

/// An address out of a document, resolved against the document's own. Absolute ones stay byte for byte: they are signed.
pub fn resolve(document_url: &str, reference: &str) -> String {
    match Url::parse(reference) {
        Ok(_) => reference.to_owned(),
        Err(_) => Url::parse(document_url)
            .and_then(|document| document.join(reference))
            .map_or_else(|_| reference.to_owned(), |url| url.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_address_is_carried_over_loopback_and_no_other_is_left_for() {
        let wire = Wire::new("t", "http://127.0.0.1:8080/webhooks/demo", "https://calls.example.org/").unwrap();
        assert_eq!(wire.webhook("voice"), "https://calls.example.org/webhooks/demo/voice");
        assert_eq!(wire.local("https://calls.example.org/a?b=1").unwrap(), "http://127.0.0.1:8080/a?b=1");
        assert_eq!(wire.local("http://127.0.0.1:9/prompt.wav").unwrap(), "http://127.0.0.1:9/prompt.wav");
        for elsewhere in ["https://calls.example.org.evil.example/a", "https://example.com/", "file:///etc/hosts"] {
            assert!(matches!(wire.local(elsewhere), Err(Unanswered::Elsewhere(_))), "{elsewhere}");
        }
    }

    #[test]
    fn addresses_in_a_document_are_resolved_against_it() {
        let document = "https://calls.example.org/webhooks/demo/voice";
        assert_eq!(resolve(document, "/x?y=1"), "https://calls.example.org/x?y=1");
        assert_eq!(resolve(document, "done"), "https://calls.example.org/webhooks/demo/done");
        assert_eq!(resolve(document, "https://calls.example.org/a?q=%D1%8F"), "https://calls.example.org/a?q=%D1%8F");
    }
}
