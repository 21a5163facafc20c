//! The number inside what a network or a person writes for a party: a SIP or `tel:` address, a channel of an exchange, a
//! name beside the number, an extension behind it. Only the writing is taken apart here; whether the rest is a number is
//! decided by [`super::PhoneNumber::parse`].

use std::net::Ipv4Addr;

/// Schemes whose user part is a telephone number. `client:` and the like name somebody else's accounts.
const SCHEMES: [&str; 4] = ["sip", "sips", "tel", "callto"];

/// Words before an extension, in lower case; what follows them is one of `.:=` or a space, and the digits.
const EXTENSION_WORDS: [&str; 12] =
    ["добавочный", "доб", "внутренний", "внутр", "вн", "extension", "extn", "ext", "x", "х", "#", ","];

/// Digits of the longest extension.
const MAX_EXTENSION: usize = 6;

/// Addresses in one header, which may hold a list of them.
const MAX_ADDRESSES: usize = 20;

/// The texts inside `text` that may be the number, the likeliest first.
pub(super) fn candidates(text: &str) -> Vec<String> {
    let address = inside_brackets(text).trim();
    let mut candidates = match address.split_once(':') {
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.trim().eq_ignore_ascii_case(known)) => {
            in_uri(rest.trim_start_matches('/'))
        }
        _ if is_channel(address) => address.rsplit('/').flat_map(in_channel_part).collect(),
        _ if address.contains(['@', ';']) => in_uri(address),
        _ => beside_words(address).map(str::to_owned).into_iter().collect(),
    };
    candidates.retain(|candidate| candidate.parse::<Ipv4Addr>().is_err());
    candidates
}

/// The addresses of a header that may hold several, separated by commas: the diversions of one call, the newest first.
pub(crate) fn addresses(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_in_brackets) = (false, false);
    let parts = header.split(move |c| {
        match c {
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => is_in_brackets = true,
            '>' if !is_quoted => is_in_brackets = false,
            _ => {}
        }
        c == ',' && !is_quoted && !is_in_brackets
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).take(MAX_ADDRESSES)
}

/// `sip:a@b` of `"A name" <sip:a@b>;tag=1`, whatever stands in the name.
fn inside_brackets(text: &str) -> &str {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => return before(&text[at + 1..], &['>']),
            _ => {}
        }
    }
    match text.rsplit_once('<') {
        // The quotation mark was never closed.
        Some((_, rest)) if is_quoted => before(rest, &['>']),
        _ => text,
    }
}

/// The user part of what follows a scheme, and the same with the `phone-context` of a local number before it.
fn in_uri(rest: &str) -> Vec<String> {
    let user = before(rest, &['@']);
    let number = before(user, &[';', '?', ':']).replace("%2B", "+").replace("%2b", "+").replace("%20", " ");
    let number = number.trim().to_owned();
    let context = rest.to_ascii_lowercase().split_once("phone-context=+").map(|(_, context)| {
        let digits: String = context.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
        format!("+{digits}{number}")
    });
    let bare = beside_words(&number).filter(|bare| *bare != number).map(str::to_owned);
    std::iter::once(number.clone()).chain(bare).chain(context.filter(|_| !number.starts_with('+'))).collect()
}

/// `PJSIP/89281110001@trunk`, `DAHDI/g1/89281110001`: a technology, a slash, and the rest.
fn is_channel(address: &str) -> bool {
    address.split_once('/').is_some_and(|(technology, _)| {
        technology.starts_with(|c: char| c.is_ascii_alphabetic())
            && technology.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// A part between slashes: an address, or a number with the running number of its channel (`89281110001-0000001a`).
fn in_channel_part(part: &str) -> Vec<String> {
    let rest = match part.split_once(':') {
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest,
        _ => before(part, &['@', ';']),
    };
    let is_running = |end: &str| end.len() == 8 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    match rest.rsplit_once('-') {
        Some((number, end)) if is_running(end) => in_uri(number),
        _ => in_uri(rest),
    }
}

/// The number of `Madina +7 928 111-00-01`, `8 928 111-00-01 (Мадина)`, `+79281110001 доб. 12`.
fn beside_words(text: &str) -> Option<&str> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    let start = text.find(|c: char| c == '+' || c.is_ascii_digit())?;
    let (name, rest) = text.split_at(start);
    let end = rest.find(|c| !is_in_number(c)).unwrap_or(rest.len());
    let (number, tail) = rest.split_at(end);
    let is_apart = rest.starts_with('+') || !name.ends_with(char::is_alphanumeric);
    let fits = is_name(name) && is_apart && !is_scheme(name) && (is_extension(tail) || is_name(tail));
    let number = number.trim_end_matches(|c: char| !c.is_ascii_digit());
    (fits && !number.is_empty()).then_some(number)
}

fn is_in_number(c: char) -> bool {
    c.is_ascii_digit() || c.is_whitespace() || matches!(c, '+' | '-' | '(' | ')' | '.' | '‑' | '–' | '—' | '−')
}

/// Words that name somebody, or nothing at all.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_alphabetic() || c.is_whitespace() || matches!(c, '"' | '\'' | '.' | ',' | '-' | '(' | ')' | ':' | '№')
    })
}

/// `client:`, of which nothing is known.
fn is_scheme(name: &str) -> bool {
    name.trim_end().strip_suffix(':').is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_extension(tail: &str) -> bool {
    let tail = tail.trim().to_lowercase();
    EXTENSION_WORDS.iter().filter_map(|word| tail.strip_prefix(word)).any(|digits| {
        let digits = digits.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '.' | ':' | '=' | '№'));
        (1..=MAX_EXTENSION).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn before<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or(text)
}
