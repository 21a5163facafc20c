//! A number taken out of whatever names it: rows, bodies of webhooks, what people wrote. In what machines read another
//! number stands in its place, so that a delivery is still understood as it was; people read «номер стёрт».

use std::borrow::Cow;

use super::phone::{ERASED_NUMBER, PhoneNumber};

/// Marks between two digits of one number, at most.
const MAX_MARKS: usize = 3;
/// What may stand between the digits, as it is written and as it is encoded in addresses, forms and JSON.
const MARKS: [&[u8]; 21] = [
    b" ",
    b"-",
    b"(",
    b")",
    b".",
    b"+",
    b"/",
    b"%20",
    b"%28",
    b"%29",
    b"%2D",
    b"%2d",
    b"%2E",
    b"%2e",
    b"\xC2\xA0",
    b"\xE2\x80\x91",
    b"\xE2\x80\x93",
    b"\xE2\x80\x94",
    b"\xE2\x88\x92",
    b"\\u00a0",
    b"\\u00A0",
];
/// What may stand before the ten digits of a Russian number, the longest first.
const RUSSIAN_PREFIXES: [&[u8]; 6] = [b"8107", b"007", b"78", b"88", b"7", b"8"];
/// What may stand before the digits of a number of another country.
const FOREIGN_PREFIXES: [&[u8]; 2] = [b"810", b"00"];
/// Fields of a webhook that tell who and where the caller is, beside his number. Nothing here reads them.
const PERSONAL_FIELDS: [&str; 9] = [
    "CallerName",
    "CallerCity",
    "CallerState",
    "CallerZip",
    "CallerCountry",
    "FromCity",
    "FromState",
    "FromZip",
    "FromCountry",
];

/// Which numbers go, and what stands in the place of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction(Vec<Pair>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    number: PhoneNumber,
    instead: PhoneNumber,
}

/// Where a number is spelt in a text, without the plus before it.
struct Spelling {
    start: usize,
    end: usize,
}

impl Redaction {
    pub fn new(pairs: impl IntoIterator<Item = (PhoneNumber, PhoneNumber)>) -> Self {
        let pairs = pairs.into_iter().filter(|(number, instead)| number != instead);
        Self(pairs.map(|(number, instead)| Pair { number, instead }).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the numbers is spelt in these bytes, in any usual way.
    pub fn is_in(&self, text: impl AsRef<[u8]>) -> bool {
        self.0.iter().any(|pair| spelling(text.as_ref(), &pair.number, 0).is_some())
    }

    /// The number of a row.
    pub fn number(&self, number: &PhoneNumber) -> PhoneNumber {
        self.0.iter().find(|pair| pair.number == *number).map_or(number, |pair| &pair.instead).clone()
    }

    /// A field: where it is the number, with a name or an address around it, nothing of that stays.
    pub fn field(&self, text: &str) -> String {
        if !self.is_in(text) {
            return text.to_owned();
        }
        let whole = PhoneNumber::parse(text).ok();
        match self.0.iter().find(|pair| whole.as_ref() == Some(&pair.number)) {
            Some(pair) if text.trim_start().starts_with('+') => pair.instead.e164().to_owned(),
            Some(pair) => pair.instead.e164()[1..].to_owned(),
            None => text_of(self.bytes(text.as_bytes())),
        }
    }

    /// What people wrote.
    pub fn prose(&self, text: &str) -> String {
        let mut prose = text.as_bytes().to_vec();
        for pair in &self.0 {
            prose = replaced(&prose, &pair.number, ERASED_NUMBER.as_bytes(), true);
        }
        text_of(prose)
    }

    /// The body of a webhook, in whatever form it came. One that names no number stays byte for byte.
    pub fn body(&self, content_type: &str, body: &[u8]) -> Vec<u8> {
        if !self.is_in(body) {
            return body.to_vec();
        }
        if let Ok(mut value) = serde_json::from_slice(body)
            && let serde_json::Value::Object(_) | serde_json::Value::Array(_) = &value
        {
            self.value(&mut value);
            return serde_json::to_vec(&value).unwrap_or_default();
        }
        match str::from_utf8(body) {
            Ok(form) if content_type.contains("form-urlencoded") => self.form(form).into_bytes(),
            _ => self.bytes(body),
        }
    }

    /// The address of a request, with its fields.
    pub fn target(&self, target: &str) -> String {
        match target.split_once('?') {
            _ if !self.is_in(target) => target.to_owned(),
            Some((path, fields)) => format!("{}?{}", text_of(self.bytes(path.as_bytes())), self.form(fields)),
            None => text_of(self.bytes(target.as_bytes())),
        }
    }

    /// JSON of a row.
    pub fn json(&self, text: &str) -> String {
        if self.is_in(text) { text_of(self.body("application/json", text.as_bytes())) } else { text.to_owned() }
    }

    fn form(&self, form: &str) -> String {
        let fields = form.split('&').map(|field| {
            let Some((name, value)) = field.split_once('=').filter(|(name, _)| !self.is_in(name)) else {
                return Cow::Owned(text_of(self.bytes(field.as_bytes())));
            };
            if PERSONAL_FIELDS.contains(&name) {
                return Cow::Owned(format!("{name}="));
            }
            let decoded = decoded(value);
            match self.is_in(&decoded) {
                true => {
                    let encoded: String = form_urlencoded::byte_serialize(self.field(&decoded).as_bytes()).collect();
                    Cow::Owned(format!("{name}={encoded}"))
                }
                false => Cow::Borrowed(field),
            }
        });
        fields.collect::<Vec<_>>().join("&")
    }

    fn value(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text) => *text = self.field(text),
            Value::Number(number) => {
                let digits = number.to_string();
                if self.is_in(&digits)
                    && let Ok(instead) = self.field(&digits).parse::<u64>()
                {
                    *value = instead.into();
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(fields) => {
                let taken = std::mem::take(fields);
                fields.extend(taken.into_iter().map(|(name, mut value)| {
                    self.value(&mut value);
                    (self.field(&name), value)
                }));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn bytes(&self, text: &[u8]) -> Vec<u8> {
        let replaced =
            |text: Vec<u8>, pair: &Pair| replaced(&text, &pair.number, &pair.instead.e164().as_bytes()[1..], false);
        self.0.iter().fold(text.to_vec(), replaced)
    }
}

/// The numbers that stand by themselves in a body or an address: as the whole value of a field, or as a row of digits. For
/// what names no call, so that nobody knows which field is the caller.
pub fn numbers_in(text: &[u8]) -> Vec<PhoneNumber> {
    let mut numbers: Vec<PhoneNumber> = Vec::new();
    let mut add = |text: &str| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if (10..=15).contains(&digits) {
            numbers.extend(PhoneNumber::parse(text).ok().filter(|number| !number.is_erased()));
        }
    };
    for value in text.split(|byte| b"&=?\"<>;,\n".contains(byte)) {
        if let Ok(value) = str::from_utf8(value) {
            add(&decoded(value));
        }
    }
    for digits in text.split(|byte| !byte.is_ascii_digit()) {
        if let Ok(digits) = str::from_utf8(digits) {
            add(digits);
        }
    }
    numbers.sort();
    numbers.dedup();
    numbers
}

fn decoded(value: &str) -> String {
    form_urlencoded::parse(format!("v={value}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

fn replaced(text: &[u8], number: &PhoneNumber, instead: &[u8], with_plus: bool) -> Vec<u8> {
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    while let Some(Spelling { start, end }) = spelling(text, number, from) {
        let start = if with_plus && text[from..start].ends_with(b"+") { start - 1 } else { start };
        out.extend_from_slice(&text[from..start]);
        out.extend_from_slice(instead);
        from = end;
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// The first spelling of the number at or after `from`.
fn spelling(text: &[u8], number: &PhoneNumber, from: usize) -> Option<Spelling> {
    let digits = number.e164().trim_start_matches('+');
    let (tail, prefixes) = match digits.strip_prefix('7').filter(|national| national.len() == 10) {
        Some(national) => (national.as_bytes(), &RUSSIAN_PREFIXES[..]),
        None => (digits.as_bytes(), &FOREIGN_PREFIXES[..]),
    };
    (from..text.len().saturating_sub(tail.len() - 1)).find_map(|at| {
        let end = if is_digit(text, at) { end_of(text, at, tail)? } else { return None };
        let start = beginning(text, from, at, prefixes)?;
        (!is_digit(text, end)).then_some(Spelling { start, end })
    })
}

/// Where the digits end that begin at `at`, if they are there, with marks between them.
fn end_of(text: &[u8], at: usize, digits: &[u8]) -> Option<usize> {
    let mut at = at;
    for (index, digit) in digits.iter().enumerate() {
        for _ in 0..MAX_MARKS {
            match MARKS.iter().find(|mark| index > 0 && text[at..].starts_with(mark)) {
                Some(mark) => at += mark.len(),
                None => break,
            }
        }
        if text.get(at) != Some(digit) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// Where the number begins whose last digits begin at `at`. `None`: these are the last digits of something else.
fn beginning(text: &[u8], from: usize, at: usize, prefixes: &[&[u8]]) -> Option<usize> {
    let is_free = |at: usize| at <= from || !is_digit(text, at - 1);
    let mut before = at;
    for _ in 0..=MAX_MARKS {
        let prefix = prefixes.iter().find(|prefix| {
            let start = before.checked_sub(prefix.len()).filter(|start| *start >= from);
            start.is_some_and(|start| text[start..before] == ***prefix && is_digit(text, start) && is_free(start))
        });
        if let Some(prefix) = prefix {
            return Some(before - prefix.len());
        }
        match MARKS.iter().find(|mark| text[from..before].ends_with(mark)) {
            Some(mark) => before -= mark.len(),
            None => break,
        }
    }
    is_free(at).then_some(at)
}

/// Whether there is a digit that is no part of an encoded character (`%20`).
fn is_digit(text: &[u8], at: usize) -> bool {
    let is_hex = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    let is_encoded =
        at >= 1 && text[at - 1] == b'%' && is_hex(at + 1) || at >= 2 && text[at - 2] == b'%' && is_hex(at - 1);
    text.get(at).is_some_and(u8::is_ascii_digit) && !is_encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> PhoneNumber {
        PhoneNumber::parse("89280036355").unwrap()
    }

    fn redaction() -> Redaction {
        Redaction::new([(number(), PhoneNumber::erased(5))])
    }

    /// Threat: a number that somebody spelt in another way outlives its erasing.
    #[test]
    fn number_is_found_in_every_usual_spelling() {
        for text in [
            "+79280036355",
            "79280036355",
            "89280036355",
            "9280036355",
            "8 928 003-63-55",
            "8 (928) 003 63 55",
            "+7.928.003.63.55",
            "From=%2B79280036355&To=1",
            "From=%2079280036355",
            "a=8+928+003-63-55",
            "tel:+79280036355;x=1",
            "0079280036355",
            "\u{a0}8\u{a0}928\u{a0}003\u{2011}63\u{2011}55",
            "звонил с 8928-003-63-55.",
            "PJSIP/89280036355-0000001a",
            "8(8928)0036355",
            "sip:+79280036355@host",
            "20261120-79280036355.wav",
            "{\"from\":79280036355}",
        ] {
            assert!(redaction().is_in(text), "{text}");
            assert!(!redaction().is_in(redaction().prose(text)), "{text}");
            assert!(
                !redaction().is_in(redaction().body("application/x-www-form-urlencoded", text.as_bytes())),
                "{text}"
            );
        }
        for text in ["+79280036356", "179280036355", "792800363551", "1679280036355000", "+69280036355", ""] {
            assert!(!redaction().is_in(text), "{text}");
        }
    }

    /// Threat: a delivery without its number is understood as another one.
    #[test]
    fn redacted_body_is_read_as_the_same_fields() {
        let form = "CallSid=CA1&From=%2B79280036355&Caller=%22Madina%22+%3Csip%3A%2B79280036355%40h%3E&CallerName=MADINA&To=%2B79288328088";
        assert_eq!(
            redaction().body("application/x-www-form-urlencoded; charset=UTF-8", form.as_bytes()),
            b"CallSid=CA1&From=%2B999000000000005&Caller=999000000000005&CallerName=&To=%2B79288328088"
        );
        let json = r#"{"a":[{"raw":"89280036355"},1],"n":79280036355,"x":"8 928 832-80-88"}"#;
        assert_eq!(
            redaction().json(json),
            r#"{"a":[{"raw":"999000000000005"},1],"n":999000000000005,"x":"8 928 832-80-88"}"#
        );
        assert_eq!(redaction().target("/webhooks/a/x?from=89280036355&b=1"), "/webhooks/a/x?from=999000000000005&b=1");
        let other = b"From=%2b79288328088&a=%zz";
        assert_eq!(redaction().body("application/x-www-form-urlencoded", other), other);
    }

    #[test]
    fn people_read_that_the_number_was_erased() {
        assert_eq!(redaction().prose("мама: +7 928 003-63-55, вечером"), "мама: номер стёрт, вечером");
        let two =
            Redaction::new([(number(), PhoneNumber::erased(1)), (PhoneNumber::erased(7), PhoneNumber::erased(1))]);
        assert_eq!(two.field(PhoneNumber::erased(7).e164()), PhoneNumber::erased(1).e164());
        assert!(redaction().field("+79280036355").starts_with("+999"));
    }

    #[test]
    fn numbers_that_stand_by_themselves_are_found() {
        let found = numbers_in(b"From=%2B79280036355&Body=8+928+832-80-88&CallDuration=12&Sid=CA0123456789abcdef");
        let found: Vec<&str> = found.iter().map(PhoneNumber::e164).collect();
        assert!(found.contains(&"+79280036355") && found.contains(&"+79288328088"), "{found:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_much_for_the_redaction(text in "[-+0-9%2Bab&= ]{0,60}", bytes in proptest::collection::vec(0u8..=255, 0..80)) {
            let redaction = redaction();
            for text in [text.as_bytes(), &bytes[..]] {
                let left = redaction.body("application/x-www-form-urlencoded", text);
                if !redaction.is_in(text) {
                    proptest::prop_assert_eq!(&left[..], text);
                }
                let _ = numbers_in(text);
            }
        }
    }
}
