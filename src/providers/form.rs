//! The fields of a provider's form. Unknown ones are passed over, and so is of the known ones whatever cannot be: bytes that
//! are no UTF-8, a control character, a value that is too long. Of a field that comes more than once the first value that
//! can be is taken. A caller who waits is not refused for an oddity of his provider; the raw delivery keeps it.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::Malformed;
use crate::core::call::DERIVED_ID;
use crate::time::Timestamp;

/// Ids and words of a provider, bytes. The longest known id, Telnyx's, has about 60.
pub(super) const MAX_WORD: usize = 200;

/// Fields of a form that are read. Real ones have about 40, with the headers of a SIP trunk about 100.
pub(super) const MAX_FIELDS: usize = 200;

/// Within this time a provider repeats a request that it believes lost, seconds.
const REPEATED_WITHIN_SECONDS: i64 = 600;

/// The fields of one request.
pub(super) struct Form<'a> {
    encoded: &'a [u8],
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// Reads `application/x-www-form-urlencoded`, whatever came.
    pub fn read(encoded: &'a [u8]) -> Self {
        Self { encoded, fields: form_urlencoded::parse(encoded).take(MAX_FIELDS).collect() }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| &**name)
    }

    /// All values of a field that are not blank, in their order.
    pub fn told(&self, field: &'static str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(name, _)| name == field)
            .map(|(_, value)| &**value)
            .filter(|value| !is_blank(value))
    }

    /// The values of a field that can be: not blank, not too long, without control characters.
    pub fn values(&self, field: &'static str, limit: usize) -> impl Iterator<Item = &str> {
        self.told(field).filter(move |value| value.len() <= limit && !value.contains(char::is_control))
    }

    pub fn text(&self, field: &'static str, limit: usize) -> Option<&str> {
        self.values(field, limit).next()
    }

    pub fn word(&self, field: &'static str) -> Option<&str> {
        self.text(field, MAX_WORD)
    }

    pub fn required(&self, field: &'static str) -> Result<&str, Malformed> {
        self.word(field).ok_or(Malformed::Missing(field))
    }

    pub fn seconds(&self, field: &'static str) -> Option<u32> {
        self.word(field).and_then(whole_seconds)
    }

    /// The provider's id of the call. One that no database would take is replaced by its checksum, which is the same in
    /// every request about the call.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn call_id(&self, field: &'static str) -> Result<String, Malformed> {
        let mut ids = self.told(field);
        let id = ids.next().ok_or(Malformed::Missing(field))?;
        if ids.any(|other| other != id) {
            return Err(Malformed::Contradiction(field));
        }
        Ok(usable_id(id))
    }

    /// The first id of the call that is told. `None`: there is none.
    pub fn any_call_id(&self, field: &'static str) -> Option<String> {
        self.told(field).next().map(usable_id)
    }

    /// What cannot be read as it was meant, if anything, for the log.
    pub fn oddity(&self) -> Option<Malformed> {
        check_encoding(self.encoded)
            .err()
            .or_else(|| has_too_many_fields(self.encoded).then_some(Malformed::TooManyFields))
    }
}

/// Whether a form has more fields than are read. Costs no more than a look at each byte.
pub(super) fn has_too_many_fields(encoded: &[u8]) -> bool {
    encoded.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).nth(MAX_FIELDS).is_some()
}

fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// An id as we have it, which is the same in webhooks and in the provider's lists.
pub(super) fn usable_id(id: &str) -> String {
    match id.len() <= MAX_WORD && !id.contains(char::is_control) {
        true => id.to_owned(),
        false => derived_id(id.as_bytes()),
    }
}

/// An id for a call whose own cannot be believed: the same for all forms that one signature fits, wherever their borders are.
pub(super) fn id_without_borders(form: &Form) -> String {
    let mut fields: Vec<_> = form.fields.iter().collect();
    fields.sort();
    derived_id(fields.into_iter().map(|(name, value)| format!("{name}{value}")).collect::<String>().as_bytes())
}

/// An id for a call of which the provider told none. A request that is repeated soon is not a second call; the same bytes at
/// another time are, for requests of different callers may be alike.
pub(super) fn id_of_nameless_call(request: &[u8], received_at: Timestamp) -> String {
    let part_of_day = received_at.as_second().div_euclid(REPEATED_WITHIN_SECONDS);
    derived_id(&[request, &part_of_day.to_be_bytes()].concat())
}

fn derived_id(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(DERIVED_ID.to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// A word of a provider for comparing: small letters alone, so that `no-answer`, `NO_ANSWER` and `NoAnswer` are one.
pub(super) fn bare(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Seconds as text, whole or with a fraction that is dropped. Nonsense is as good as missing.
pub(super) fn whole_seconds(text: &str) -> Option<u32> {
    text.trim().split('.').next()?.parse().ok()
}

/// Names and values as the bytes they spell, whatever these are.
pub(super) fn decoded(encoded: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fields = encoded.split(|byte| *byte == b'&').filter(|field| !field.is_empty());
    fields
        .map(|field| match field.iter().position(|byte| *byte == b'=') {
            Some(at) => (decoded_text(&field[..at]), decoded_text(&field[at + 1..])),
            None => (decoded_text(field), Vec::new()),
        })
        .collect()
}

fn decoded_text(mut encoded: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(encoded.len());
    while let [first, rest @ ..] = encoded {
        let spelt = match encoded {
            [b'%', high, low, rest @ ..] => digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low, rest)),
            _ => None,
        };
        let (byte, rest) = match spelt {
            Some((byte, rest)) => (byte as u8, rest),
            None => (if *first == b'+' { b' ' } else { *first }, rest),
        };
        bytes.push(byte);
        encoded = rest;
    }
    bytes
}

/// Every `%` has its two digits, and what they spell is UTF-8.
fn check_encoding(encoded: &[u8]) -> Result<(), Malformed> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(Malformed::PercentEncoding);
                decoded.push((digit(high)? * 16 + digit(low)?) as u8);
                rest
            }
            [b'%', ..] => return Err(Malformed::PercentEncoding),
            [byte, rest @ ..] => {
                decoded.push(*byte);
                rest
            }
        }
    }
    std::str::from_utf8(&decoded).map(|_| ()).map_err(|_| Malformed::NotUtf8)
}

/// A request that does not say what it is counts as a form, as the providers send no other without saying so.
pub(super) fn is_form(content_type: Option<&str>) -> bool {
    content_type.is_none_or(|value| {
        let kind = value.split(';').next().unwrap_or("");
        kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}
