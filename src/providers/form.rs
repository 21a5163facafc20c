//! The fields of a provider's form. Unknown ones are passed over; of the known ones nothing is believed that cannot be: a
//! field twice with different values, a control character.

use std::borrow::Cow;

use super::Malformed;

/// Ids and words of a provider, bytes. The longest known id, Telnyx's, has about 60.
pub(super) const MAX_WORD: usize = 200;

/// The fields of one request.
pub(super) struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn read(encoded: &'a [u8]) -> Result<Self, Malformed> {
        check_encoding(encoded)?;
        Ok(Self(form_urlencoded::parse(encoded).collect()))
    }

    /// A field as it came. Blank is as good as missing; so is one that is too long or holds control characters, for a caller
    /// is not refused for an oddity beside his call. The raw delivery keeps it.
    pub fn text(&self, field: &'static str, limit: usize) -> Result<Option<&str>, Malformed> {
        let odd = |value: &str| value.len() > limit || value.contains(char::is_control);
        Ok(self.single(field)?.filter(|value| !odd(value)))
    }

    fn single(&self, field: &'static str) -> Result<Option<&str>, Malformed> {
        let mut values = self.0.iter().filter(|(name, _)| name == field).map(|(_, value)| &**value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.any(|other| other != value) {
            return Err(Malformed::Contradiction(field));
        }
        Ok(Some(value).filter(|value| !value.trim().is_empty()))
    }

    pub fn word(&self, field: &'static str) -> Result<Option<&str>, Malformed> {
        self.text(field, MAX_WORD)
    }

    pub fn required(&self, field: &'static str, limit: usize) -> Result<&str, Malformed> {
        let value = self.single(field)?.ok_or(Malformed::Missing(field))?;
        if value.len() > limit {
            return Err(Malformed::TooLong { field, limit });
        }
        match value.contains(char::is_control) {
            true => Err(Malformed::ControlCharacter(field)),
            false => Ok(value),
        }
    }

    pub fn seconds(&self, field: &'static str) -> Result<Option<u32>, Malformed> {
        Ok(self.word(field)?.and_then(whole_seconds))
    }
}

/// Seconds as text, whole or with a fraction that is dropped. Nonsense is as good as missing.
pub(super) fn whole_seconds(text: &str) -> Option<u32> {
    text.trim().split('.').next()?.parse().ok()
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
