//! Who sent this? Signatures of the TwiML family (provider contract, TwiML §8), and for a refusal, why: most refusals are
//! a public address that is not spelt as at the provider. Strangers are refused at the cost of at most twice an acceptance: what
//! would have fitted is looked for by [`explain`] alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::super::RawRequest;
use super::super::form::{MAX_FIELDS, decoded, has_too_many_fields, is_form};
use super::{Settings, Signature};
use crate::time::Timestamp;

/// A Telnyx request older or newer than this is refused, seconds. The provider's own validator uses the same.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The largest form of which the rare ways to sign are tried, bytes: repeated fields as they come, bytes that are no UTF-8. The
/// largest forms of the contracts stay below 8 kB.
const MAX_RARE_BYTES: usize = 8 * 1024;

const TWILIO_HEADER: &str = "X-Twilio-Signature";
const SIGNALWIRE_HEADER: &str = "X-SignalWire-Signature";
const TELNYX_HEADER: &str = "telnyx-signature-ed25519";
const TELNYX_TIMESTAMP: &str = "telnyx-timestamp";

/// Why a request is not believed, for the administrator. Neither secrets nor the contents of a request are in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the header {0} is missing: the request is not signed")]
    MissingHeader(&'static str),
    #[error("the header {0} cannot be read: it was cut or changed on the way")]
    UnreadableHeader(&'static str),
    #[error("no secret is configured for this provider, so no signature can be checked")]
    NoSecret,
    #[error("no configured public key is the base64 of 32 bytes; copy it from the provider's portal again")]
    UnreadableKey,
    #[error(
        "the signature does not fit the address {url}: {}",
        hint.unwrap_or("the secret is another one, or the address or the form was changed on the way")
    )]
    WrongSignature {
        /// As we believe to be called, without user name, password and query.
        url: String,
        hint: Option<&'static str>,
    },
    #[error("the signature does not fit the body: the public key is another one, or the body was changed on the way")]
    WrongEd25519Signature,
    #[error("the form has more than {MAX_FIELDS} fields, and is not signed")]
    TooManyFields,
    #[error("the body is not the one that bodySHA256 in the address was made from")]
    BodyChanged,
    #[error("the body is no form, and without bodySHA256 in the address it is not signed")]
    BodyNotSigned,
    #[error("a GET request of this provider is not signed; set the method of the webhook to POST")]
    QueryNotSigned,
    #[error("it was signed {0} s ago, more than {TOLERANCE_SECONDS} s; is this machine's clock right?")]
    TooOld(i64),
    #[error("it was signed {0} s in the future, more than {TOLERANCE_SECONDS} s; is this machine's clock right?")]
    TooNew(i64),
}

/// The public address, then each name and value, in their order (provider contract §8.2).
fn signed<T: AsRef<[u8]>>(token: &str, url: &str, fields: &[&(T, T)]) -> Hmac<Sha1> {
    let mut mac = Hmac::new_from_slice(token.as_bytes()).expect("HMAC takes keys of any length");
    #[cfg(test)]
    tests::count_mac(
        url.len() + fields.iter().map(|field| field.0.as_ref().len() + field.1.as_ref().len()).sum::<usize>(),
    );
    mac.update(url.as_bytes());
    for (name, value) in fields {
        mac.update(name.as_ref());
        mac.update(value.as_ref());
    }
    mac
}

/// What a provider of this family writes into `X-Twilio-Signature` for a form sent to `url`, its public address.
pub fn form_signature(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut fields: Vec<_> = form.iter().collect();
    fields.sort();
    fields.dedup();
    STANDARD.encode(signed(token, url, &fields).finalize().into_bytes())
}

/// A form as this provider would send it to `endpoint`, with its signature. `None`: only the provider itself can sign (Telnyx
/// has the private key).
pub(in super::super) fn signed_form(
    settings: &Settings,
    endpoint: &str,
    form: &[(String, String)],
) -> Option<RawRequest> {
    let header = match settings.signature {
        Signature::Twilio => TWILIO_HEADER,
        Signature::SignalWire => SIGNALWIRE_HEADER,
        Signature::Telnyx => return None,
    };
    let target = format!("/webhooks/{}/{endpoint}", settings.name);
    let url = format!("{}{target}", settings.public_url);
    let headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        (header.to_lowercase(), form_signature(settings.auth_tokens.first()?, &url, form)),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into();
    Some(RawRequest { method: "POST".to_owned(), target, endpoint: endpoint.to_owned(), headers, body })
}

/// Checks a request as the given kind of provider signs it. `url` is the public address as the provider knows it.
pub fn check_request(
    signature: Signature,
    secrets: &[String],
    url: &str,
    request: &RawRequest,
    now: Timestamp,
) -> Result<(), Refused> {
    if signature == Signature::Telnyx {
        // The URL is not signed, so whatever stands in its query proves nothing.
        if is_get(&request.method) {
            return Err(Refused::QueryNotSigned);
        }
        let value = request.header(TELNYX_HEADER).ok_or(Refused::MissingHeader(TELNYX_HEADER))?;
        let timestamp = request.header(TELNYX_TIMESTAMP).ok_or(Refused::MissingHeader(TELNYX_TIMESTAMP))?;
        return check_ed25519_signature(timestamp, &request.body, secrets, value, now);
    }
    let signatures = signatures(signature, request)?;
    let claim = Claim::new(signatures, secrets)?;
    claim.check(url, &request.method, request.header("content-type"), &request.body)
}

/// What the headers of this kind of provider say that the signature is.
fn signatures(signature: Signature, request: &RawRequest) -> Result<Vec<Vec<u8>>, Refused> {
    let headers = match signature {
        Signature::Twilio => &[TWILIO_HEADER][..],
        Signature::SignalWire => &[SIGNALWIRE_HEADER, TWILIO_HEADER][..],
        Signature::Telnyx => return Err(Refused::MissingHeader(TELNYX_HEADER)),
    };
    let mut refused = Refused::MissingHeader(headers[0]);
    let mut readable = Vec::new();
    for name in headers {
        match request.header(&name.to_ascii_lowercase()).map(read_signature) {
            Some(Some(signature)) => readable.push(signature),
            Some(None) => refused = Refused::UnreadableHeader(name),
            None => {}
        }
    }
    if readable.is_empty() { Err(refused) } else { Ok(readable) }
}

fn read_signature(header: &str) -> Option<Vec<u8>> {
    STANDARD.decode(header).ok().filter(|bytes| bytes.len() == 20)
}

/// The reason with a hint to what would have made the signature fit, if anything would: for the administrator. Costs as much as
/// some thirty acceptances.
pub fn explain(signature: Signature, secrets: &[String], url: &str, request: &RawRequest, refused: Refused) -> Refused {
    let hint = || {
        let claim = Claim::new(signatures(signature, request).ok()?, secrets).ok()?;
        claim.find_hint(url, &request.method, request.header("content-type"), &request.body)
    };
    match refused {
        Refused::WrongSignature { url, hint: None } => Refused::WrongSignature { url, hint: hint() },
        refused => refused,
    }
}

/// Whether the fields of such a request stand in its query and not in its body.
pub(super) fn is_get(method: &str) -> bool {
    method.eq_ignore_ascii_case("GET")
}

/// HMAC-SHA1 in base64 over the address and the sorted form: Twilio, SignalWire, Somleng. `header` is the value of the
/// signature header, `tokens` the secrets any of which may have signed. A JSON body needs `bodySHA256` in the address.
pub fn check_form_signature(
    url: &str,
    method: &str,
    content_type: Option<&str>,
    body: &[u8],
    tokens: &[String],
    header: &str,
) -> Result<(), Refused> {
    let signature = read_signature(header).ok_or(Refused::UnreadableHeader(TWILIO_HEADER))?;
    Claim::new(vec![signature], tokens)?.check(url, method, content_type, body)
}

type Fields = Vec<(String, String)>;

/// The fields that are signed beside the address. The decoding is the one that `parse` uses.
fn signed_fields(url: &str, method: &str, content_type: Option<&str>, body: &[u8]) -> Result<Fields, Refused> {
    if is_get(method) {
        return Ok(Fields::new());
    }
    if is_form(content_type) {
        return Ok(form_urlencoded::parse(body).into_owned().collect());
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256") {
        Some((_, claimed)) if claimed.eq_ignore_ascii_case(&hex(&Sha256::digest(body))) => Ok(Fields::new()),
        Some(_) => Err(Refused::BodyChanged),
        None if body.is_empty() => Ok(Fields::new()),
        None => Err(Refused::BodyNotSigned),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signatures, any of which may be the right one, and those who may have made it.
struct Claim<'a> {
    signatures: Vec<Vec<u8>>,
    tokens: Vec<&'a str>,
}

impl<'a> Claim<'a> {
    fn new(signatures: Vec<Vec<u8>>, tokens: &'a [String]) -> Result<Self, Refused> {
        // An empty secret would let anybody sign.
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).filter(|token| !token.trim().is_empty()).collect();
        if tokens.is_empty() { Err(Refused::NoSecret) } else { Ok(Self { signatures, tokens }) }
    }

    fn check(&self, url: &str, method: &str, content_type: Option<&str>, body: &[u8]) -> Result<(), Refused> {
        let url = without_fragment(url);
        let is_overfull = !is_get(method) && is_form(content_type) && has_too_many_fields(body);
        let fields = signed_fields(url, method, content_type, body)?;
        if is_overfull {
            // Not worth a search, but a caller whose provider has really signed this is not turned away.
            let fits = self.fits_message(url, &sorted(&fields));
            return fits.then_some(()).ok_or(Refused::TooManyFields);
        }
        let is_small = body.len() <= MAX_RARE_BYTES;
        // Of bytes that are no UTF-8 the sender may have signed what it sent.
        let fits_as_sent = || {
            let is_odd = fields.iter().any(|(name, value)| name.contains('\u{FFFD}') || value.contains('\u{FFFD}'));
            is_small && is_odd && self.fits_any_port(url, &decoded(body), is_small)
        };
        match self.fits_any_port(url, &fields, is_small) || fits_as_sent() {
            true => Ok(()),
            false => Err(Refused::WrongSignature { url: shown(url), hint: None }),
        }
    }

    /// Senders are not of one mind about the port: with it and without it are both right (provider contract §8.5).
    fn fits_any_port<T: AsRef<[u8]> + Ord>(&self, url: &str, fields: &[(T, T)], is_small: bool) -> bool {
        spellings_of_port(url).iter().any(|url| self.fits(url, fields, is_small))
    }

    fn fits<T: AsRef<[u8]> + Ord>(&self, url: &str, fields: &[(T, T)], is_small: bool) -> bool {
        let distinct = sorted(fields);
        if self.fits_message(url, &distinct) {
            return true;
        }
        // Of a repeated key Twilio signs the distinct values in order, SignalWire the values as they come.
        let mut as_they_come: Vec<&(T, T)> = fields.iter().collect();
        as_they_come.sort_by(|a, b| a.0.cmp(&b.0));
        is_small && distinct != as_they_come && self.fits_message(url, &as_they_come)
    }

    fn fits_message<T: AsRef<[u8]>>(&self, url: &str, fields: &[&(T, T)]) -> bool {
        self.tokens.iter().any(|token| {
            let mac = signed(token, url, fields);
            // Takes the same time whatever the difference.
            self.signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        })
    }

    fn find_hint(&self, url: &str, method: &str, content_type: Option<&str>, body: &[u8]) -> Option<&'static str> {
        let url = without_fragment(url);
        self.hint(url, &signed_fields(url, method, content_type, body).ok()?)
    }

    /// What would have made the signature fit: tried only after a refusal, and never a reason to accept.
    fn hint(&self, url: &str, fields: &[(String, String)]) -> Option<&'static str> {
        let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
        let with_query = |address: &str| query.map_or(address.to_owned(), |query| format!("{address}?{query}"));
        let mut addresses = Vec::new();
        if let Some(rest) = url.strip_prefix("http://") {
            addresses.push((
                format!("https://{rest}"),
                "it fits with https instead of http; write https in server.public_url",
            ));
        }
        if let Some(rest) = url.strip_prefix("https://") {
            addresses.push((format!("http://{rest}"), "it fits with http instead of https; set https at the provider"));
        }
        match address.strip_suffix('/') {
            Some(bare) => addresses.push((with_query(bare), "it fits without the slash at the end of the path")),
            None => addresses.push((with_query(&format!("{address}/")), "it fits with a slash at the end of the path")),
        }
        if let Some(query) = query {
            addresses.push((address.to_owned(), "it fits without the query"));
            let mut sorted: Vec<&str> = query.split('&').collect();
            sorted.sort_unstable();
            let sorted = format!("{address}?{}", sorted.join("&"));
            addresses.push((sorted, "it fits with the query in alphabetical order; use no query"));
        }
        if let Some((_, hint)) = addresses.iter().find(|(url, _)| self.fits_any_port(url, fields, true)) {
            return Some(hint);
        }
        let without = |left_out: &[&str]| -> Fields {
            fields.iter().filter(|(name, _)| !left_out.contains(&name.as_str())).cloned().collect()
        };
        let forms = [
            (without(&["CallToken"]), "it fits without the field CallToken, which is not accepted"),
            (without(&["StirVerstat"]), "it fits without the field StirVerstat, which is not accepted"),
            (
                without(&["CallToken", "StirVerstat"]),
                "it fits without the fields CallToken and StirVerstat, which is not accepted",
            ),
            (Fields::new(), "it fits the address alone: the form was not signed, or was added on the way"),
        ];
        let form =
            forms.iter().find(|(shorter, _)| shorter.len() < fields.len() && self.fits_any_port(url, shorter, true));
        if let Some((_, hint)) = form {
            return Some(hint);
        }
        let trimmed = Self {
            signatures: self.signatures.clone(),
            tokens: self.tokens.iter().map(|token| token.trim()).collect(),
        };
        let has_blanks = trimmed.tokens != self.tokens;
        (has_blanks && trimmed.fits_any_port(url, fields, true))
            .then_some("it fits when the blanks around the configured secret are removed")
    }
}

/// The distinct fields in their order.
fn sorted<T: Ord>(fields: &[(T, T)]) -> Vec<&(T, T)> {
    let mut fields: Vec<&(T, T)> = fields.iter().collect();
    fields.sort();
    fields.dedup();
    fields
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

/// The address as given, without its port, and with the usual port of its scheme. The official validators drop the port
/// whatever it is.
fn spellings_of_port(url: &str) -> Vec<String> {
    let mut spellings = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return spellings };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    // The colons of an IPv6 address stand before its closing bracket.
    let after_bracket = authority.rfind(']').unwrap_or(host_at);
    match authority.get(after_bracket..).and_then(|end| end.find(':')) {
        Some(colon) => spellings.push(format!("{scheme}://{}{path}", &authority[..after_bracket + colon])),
        None => {
            let port = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
            spellings.push(format!("{scheme}://{authority}:{port}{path}"));
        }
    }
    spellings
}

/// The address for a log line: a user name, a password and the query, which on GET is the whole form, left out.
fn shown(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, ""), |(address, _)| (address, "?…"));
    let address = match address.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            match authority.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://…@{host}{path}"),
                None => address.to_owned(),
            }
        }
        None => address.to_owned(),
    };
    address.chars().take(300).chain(query.chars()).collect()
}

/// Ed25519 in base64 over timestamp, `|` and raw body: Telnyx. `header` is the value of `telnyx-signature-ed25519`,
/// `timestamp` that of `telnyx-timestamp` in Unix seconds, `public_keys` base64 of 32 bytes each.
pub fn check_ed25519_signature(
    timestamp: &str,
    body: &[u8],
    public_keys: &[String],
    header: &str,
    now: Timestamp,
) -> Result<(), Refused> {
    let signature = STANDARD.decode(header).ok();
    let signature = signature.and_then(|bytes| ed25519_dalek::Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or(Refused::UnreadableHeader(TELNYX_HEADER))?;
    let digits = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let signed_at: i64 =
        digits.then(|| timestamp.parse().ok()).flatten().ok_or(Refused::UnreadableHeader(TELNYX_TIMESTAMP))?;
    if public_keys.is_empty() {
        return Err(Refused::NoSecret);
    }
    let keys: Vec<VerifyingKey> = public_keys.iter().filter_map(|key| public_key(key)).collect();
    if keys.is_empty() {
        return Err(Refused::UnreadableKey);
    }
    let message = [timestamp.as_bytes(), b"|", body].concat();
    if !keys.iter().any(|key| key.verify_strict(&message, &signature).is_ok()) {
        return Err(Refused::WrongEd25519Signature);
    }
    match now.as_second() - signed_at {
        age if age > TOLERANCE_SECONDS => Err(Refused::TooOld(age)),
        age if age < -TOLERANCE_SECONDS => Err(Refused::TooNew(-age)),
        _ => Ok(()),
    }
}

fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests;
