//! Telephone numbers: parsed once at the edge by a library that knows every numbering plan, kept as E.164.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};

/// A number that can be dialled, as E.164 (`+79288328088`). Spelling is settled here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PhoneNumber(String);

/// Why a text is not a telephone number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    #[error("the number is withheld")]
    Withheld,
    #[error("«{0}» is not a telephone number that can be dialled; write it as 8 928 832-80-88 or +79288328088")]
    Unusable(String),
}

/// Words spelt on a keypad after a plus, sent by some carriers in place of a hidden number.
/// Source: `contracts/twiml.md` §2. `+7378742833` (RESTRICTED) looks like a Russian number and is none.
const SPELT_WORDS: [(&str, &str); 5] = [
    ("266696687", "ANONYMOUS"),
    ("7378742833", "RESTRICTED"),
    ("2562533", "BLOCKED"),
    ("86282452253", "UNAVAILABLE"),
    ("8656696", "UNKNOWN"),
];

const HIDDEN_WORDS: [&str; 7] = ["anonymous", "restricted", "blocked", "unavailable", "unknown", "private", "withheld"];

impl PhoneNumber {
    /// Reads any usual spelling. Numbers without a country code are Russian (`8 928 …`, `79281234567`, `928 …`).
    ///
    /// The length is checked against the numbering plan of the country; whether the range is in use today is not,
    /// for new ranges appear before any library knows them and no caller may be lost to that.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        let text = text.trim();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() {
            let word = text.to_lowercase();
            let hidden = word.is_empty() || HIDDEN_WORDS.iter().any(|hidden| word.contains(hidden));
            return Err(if hidden { NotANumber::Withheld } else { NotANumber::Unusable(text.to_owned()) });
        }
        if SPELT_WORDS.iter().any(|(spelt, _)| digits == *spelt) && !text.contains(' ') {
            return Err(NotANumber::Withheld);
        }
        let unusable = || NotANumber::Unusable(text.to_owned());
        if text.len() > 40 || text.chars().any(|c| c.is_alphabetic() || matches!(c, '@' | ':' | ';' | '/')) {
            return Err(unusable());
        }
        if let Some(number) = usual_russian(text, &digits) {
            return Ok(number);
        }
        Self::parse_with_all_plans(text).ok_or_else(unusable)
    }

    fn parse_with_all_plans(text: &str) -> Option<Self> {
        let number = PHONE_NUMBER_UTIL.parse(text, Some(Region::RU)).ok()?;
        let possible = PHONE_NUMBER_UTIL.is_possible_number(&number);
        possible.then(|| Self(number.format_as(PhoneNumberFormat::E164).into_owned()))
    }

    /// `+79288036355`, for machines.
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// `8 928 803-63-55` for Russian numbers, the usual international spelling for others: for people.
    pub fn spaced(&self) -> String {
        match self.0.strip_prefix("+7") {
            Some(rest) if rest.len() == 10 => {
                format!("8 {} {}-{}-{}", &rest[..3], &rest[3..6], &rest[6..8], &rest[8..])
            }
            _ => match PHONE_NUMBER_UTIL.parse(&self.0, Some(Region::RU)) {
                Ok(number) => number.format_as(PhoneNumberFormat::International).into_owned(),
                Err(_) => self.0.clone(),
            },
        }
    }

    /// `+7928…55`: enough to find a call in the log, too little to dial. All that log lines may carry.
    pub fn shortened(&self) -> String {
        let (head, tail) = (self.0.get(..5).unwrap_or(""), self.0.get(self.0.len().saturating_sub(2)..).unwrap_or(""));
        format!("{head}…{tail}")
    }
}

/// Nearly every number there is here, without the library, whose numbering plans of the whole world take 5 MiB and some
/// milliseconds the first time they are asked. A test holds the two to the same answers.
fn usual_russian(text: &str, digits: &str) -> Option<PhoneNumber> {
    let rest = text.strip_prefix('+');
    if rest.unwrap_or(text).contains(|c: char| !c.is_ascii_digit() && !matches!(c, ' ' | '-' | '(' | ')')) {
        return None;
    }
    let national = match (rest, digits.len()) {
        (Some(_), 11) => digits.strip_prefix('7')?,
        (None, 11) => digits.strip_prefix(['7', '8'])?,
        // A leading 8 may be the way out of the country or of the area.
        (None, 10) if !digits.starts_with('8') => digits,
        _ => return None,
    };
    // Mobile, and the areas and services of the country; 6 and 7 are Kazakhstan's.
    national.starts_with(['3', '4', '8', '9']).then(|| PhoneNumber(format!("+7{national}")))
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        Self::parse(&text)
    }
}

impl FromStr for PhoneNumber {
    type Err = NotANumber;
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        Self::parse(text)
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An officer's telephone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Telephone {
    Number(PhoneNumber),
    /// Of the school's own exchange, which alone can ring it: 2 to 6 digits.
    Extension(String),
}

impl Telephone {
    /// Reads an extension, or any usual spelling of a number.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        let text = text.trim();
        match (2..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(Self::Extension(text.to_owned())),
            false => PhoneNumber::parse(text).map(Self::Number),
        }
    }

    /// `8 928 803-63-55`, or `101`: for people.
    pub fn spaced(&self) -> String {
        match self {
            Self::Number(number) => number.spaced(),
            Self::Extension(extension) => extension.clone(),
        }
    }
}

/// `+79288036355`, or `101`: for rows and machines.
impl fmt::Display for Telephone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Extension(extension) => f.write_str(extension),
        }
    }
}

/// Who calls, as far as the network tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Caller {
    /// `None`: withheld, or nothing that could be dialled.
    pub number: Option<PhoneNumber>,
    /// The provider's own word for the caller, whatever it was.
    pub raw: String,
}

impl Caller {
    pub fn from_provider(raw: &str) -> Self {
        Self { number: PhoneNumber::parse(raw).ok(), raw: raw.trim().chars().take(100).collect() }
    }

    /// The number in short, or `withheld`: for log lines.
    pub fn shortened(&self) -> String {
        self.number.as_ref().map_or_else(|| "withheld".to_owned(), PhoneNumber::shortened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e164(text: &str) -> Option<String> {
        PhoneNumber::parse(text).ok().map(|number| number.e164().to_owned())
    }

    #[test]
    fn every_usual_spelling_is_the_same_number() {
        for text in
            ["89288328088", "8 928 832-80-88", "+79288328088", "+7 (928) 832 80 88", "79288328088", "9288328088"]
        {
            assert_eq!(e164(text).as_deref(), Some("+79288328088"), "{text}");
        }
    }

    #[test]
    fn the_numbers_of_dagestan_chechnya_and_8_800_are_not_damaged() {
        for (text, kept) in [
            ("+78722670000", "+78722670000"),
            ("88712222222", "+78712222222"),
            ("+78712222222", "+78712222222"),
            ("8 800 555-35-35", "+78005553535"),
            ("+78005553535", "+78005553535"),
        ] {
            assert_eq!(e164(text).as_deref(), Some(kept), "{text}");
        }
    }

    #[test]
    fn a_word_spelt_on_the_keypad_is_a_withheld_number() {
        for text in [
            "+7378742833",
            "7378742833",
            "+266696687",
            "+2562533",
            "+86282452253",
            "+8656696",
            "",
            "  ",
            "anonymous",
            "Restricted",
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(NotANumber::Withheld), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_no_number_and_its_words_are_kept() {
        for text in ["client:anna", "sip:100@pbx.example", "12", "+7", "000", "' OR 1=1 --", "../../etc/passwd"] {
            assert!(matches!(PhoneNumber::parse(text), Err(NotANumber::Unusable(_))), "{text}");
        }
        assert_eq!(Caller::from_provider("sip:100@pbx.example").raw, "sip:100@pbx.example");
    }

    #[test]
    fn few_digits_are_an_extension_of_the_schools_own_exchange() {
        for (text, shown) in [("101", "101"), (" 42 ", "42"), ("8 928 803-63-55", "8 928 803-63-55")] {
            assert_eq!(Telephone::parse(text).unwrap().spaced(), shown);
        }
        for text in ["1", "10a", "", "PJSIP/101", "1;2"] {
            assert!(Telephone::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_usual_numbers_are_read_as_the_library_reads_them() {
        for prefix in 0..1000 {
            for rest in ["0000000", "1234567", "5553535", "8888888"] {
                let national = format!("{prefix:03}{rest}");
                let (area, subscriber) = national.split_at(3);
                for text in [
                    format!("+7{national}"),
                    format!("7{national}"),
                    format!("8{national}"),
                    national.clone(),
                    format!("8 ({area}) {subscriber}"),
                    format!("+7 {area}-{subscriber}"),
                ] {
                    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                    if let Some(number) = usual_russian(&text, &digits) {
                        assert_eq!(Some(number), PhoneNumber::parse_with_all_plans(&text), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn people_read_spaces_and_logs_get_too_little_to_dial() {
        let number = PhoneNumber::parse("+79288036355").unwrap();
        assert_eq!(number.spaced(), "8 928 803-63-55");
        assert_eq!(number.shortened(), "+7928…55");
    }
}
