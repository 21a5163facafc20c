//! Telephone numbers: parsed once at the edge by a library that knows every numbering plan, kept as E.164.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};

mod address;

pub(super) use self::address::addresses;

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

/// Begins every number that stands in the place of an erased one: nobody's country code, so it can never be dialled.
const ERASED_CODE: &str = "999";
/// Digits of such a number behind its code: as many as E.164 has room for, so that two callers hardly ever share one.
const ERASED_DIGITS: usize = 12;

const HIDDEN_WORDS: [&str; 7] = ["anonymous", "restricted", "blocked", "unavailable", "unknown", "private", "withheld"];

/// Codes of the countries nearby, all of whose numbers are of one length: it is enough to tell them without a plus.
const NEIGHBOURS: [&str; 9] = ["374", "375", "380", "992", "993", "994", "995", "996", "998"];

impl PhoneNumber {
    /// Reads any usual spelling, and the number inside an address (`"Madina" <sip:+7928…@host>`, `tel:…`, `PJSIP/8928…@trunk`)
    /// or beside a name or an extension. Numbers without a country code are Russian (`8 928 …`, `79281234567`, `928 …`) if
    /// they can be, and foreign if only that fits.
    ///
    /// The length is checked against the numbering plan of the country; whether the range is in use today is not,
    /// for new ranges appear before any library knows them and no caller may be lost to that.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        let text = text.trim();
        match Self::parse_bare(text) {
            Err(NotANumber::Unusable(_)) => {}
            read => return read,
        }
        for candidate in address::candidates(text) {
            match Self::parse_bare(&candidate) {
                Err(NotANumber::Unusable(_)) => {}
                read => return read,
            }
        }
        Err(NotANumber::Unusable(text.to_owned()))
    }

    /// Reads a number with nothing around it.
    fn parse_bare(text: &str) -> Result<Self, NotANumber> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() {
            let word = text.to_lowercase();
            let hidden = word.is_empty() || HIDDEN_WORDS.iter().any(|hidden| word.contains(hidden));
            return Err(if hidden { NotANumber::Withheld } else { NotANumber::Unusable(text.to_owned()) });
        }
        if SPELT_WORDS.iter().any(|(spelt, _)| digits == *spelt) && !text.contains(' ') {
            return Err(NotANumber::Withheld);
        }
        if let Some(number) = usual_russian(text, &digits) {
            return Ok(number);
        }
        if text.strip_prefix('+').unwrap_or(text) == digits && is_erased(&digits) {
            return Ok(Self(format!("+{digits}")));
        }
        let unusable = || NotANumber::Unusable(text.to_owned());
        // Marks of the direction of writing come along with a number that is copied.
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        if visible.len() > 40 || visible.chars().any(|c| c.is_alphabetic() || matches!(c, '@' | ':' | ';' | '/')) {
            return Err(unusable());
        }
        Self::parse_with_all_plans(visible.trim()).ok_or_else(unusable)
    }

    fn parse_with_all_plans(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_international = text.starts_with('+');
        if let Some(abroad) = digits.strip_prefix("00").filter(|_| is_international || text.starts_with('0')) {
            let text = format!("+{abroad}");
            return usual_russian(&text, abroad).or_else(|| Self::parse_with_all_plans(&text));
        }
        if let Some(number) = Self::parse_prefixed_twice(&digits) {
            return Some(number);
        }
        if is_international && let Some(number) = Self::parse_without_country_code(&digits) {
            return Some(number);
        }
        // The same prefix in the place of that code, unless it begins a number of the country that it names.
        if is_international
            && let Some(national) = digits.strip_prefix('8').filter(|national| national.len() == 10)
            && is_russian(national)
            && !Self::is_valid_abroad(&digits)
        {
            return Some(Self(format!("+7{national}")));
        }
        let national = PHONE_NUMBER_UTIL.parse(text, Some(Region::RU)).ok().and_then(|number| Self::whole(&number));
        if is_international {
            return national;
        }
        // In Russia no area begins with 0, 1 or 2.
        let is_doubtful = national.as_ref().is_none_or(|number| {
            digits.len() == 11 && number.0.strip_prefix("+7").is_some_and(|rest| rest.starts_with(['0', '1', '2']))
        });
        let is_foreign = (11..=15).contains(&digits.len()) && is_doubtful;
        let foreign = if is_foreign { Self::parse_international(&digits) } else { None };
        let foreign = foreign.filter(|(number, is_valid)| *is_valid || number.is_of_a_neighbour());
        foreign.map(|(number, _)| number).or(national)
    }

    /// The code of the country or the prefix of calls within it, and then one of them once more: +7 8 928 …, 8 (8928) …,
    /// +7 7928 …, 8 7 928 …. A number of the country that these digits name is left alone.
    fn parse_prefixed_twice(digits: &str) -> Option<Self> {
        let national = ["77", "78", "87", "88"].into_iter().find_map(|prefixes| digits.strip_prefix(prefixes))?;
        let is_whole = national.len() == 10 && is_russian(national);
        (is_whole && !Self::is_valid_abroad(digits)).then(|| Self(format!("+7{national}")))
    }

    /// A plus before a Russian number that has lost its 7: +928 832-80-88, whose first digits are the code of Pakistan. It
    /// must be a number in use, a mobile one unless no country has such numbers, and none of the country that it names.
    fn parse_without_country_code(digits: &str) -> Option<Self> {
        let national = Some(digits).filter(|national| national.len() == 10 && is_russian(national))?;
        let (number, _) = Self::parse_international(&format!("7{national}")).filter(|(_, is_valid)| *is_valid)?;
        let is_foreign = match Self::parse_international(digits) {
            Some((_, is_valid)) => is_valid || !national.starts_with('9'),
            None => false,
        };
        (!is_foreign).then_some(number)
    }

    fn is_valid_abroad(digits: &str) -> bool {
        Self::parse_international(digits).is_some_and(|(_, is_valid)| is_valid)
    }

    /// The number whose country code comes first, and whether its range is in use today.
    fn parse_international(digits: &str) -> Option<(Self, bool)> {
        let number = PHONE_NUMBER_UTIL.parse(format!("+{digits}"), None).ok()?;
        Some((Self::whole(&number)?, PHONE_NUMBER_UTIL.is_valid_number(&number)))
    }

    /// A number that is as long as those of its country are, with the area.
    fn whole(number: &rlibphonenumber::PhoneNumber) -> Option<Self> {
        let length = PHONE_NUMBER_UTIL.is_possible_number_with_reason(number);
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        // The 14 digits that the Russian plan also knows are dialled by no caller.
        let is_whole =
            matches!(length, Ok(NumberLengthType::IsPossible)) && (number.country_code != 7 || e164.len() == 12);
        if !is_whole {
            return None;
        }
        // The prefix of calls within a country was dialled twice: what is read once more is read alike.
        match PHONE_NUMBER_UTIL.parse(&e164, None) {
            Ok(again) if again.format_as(PhoneNumberFormat::E164) != e164 => Self::whole(&again),
            _ => Some(Self(e164)),
        }
    }

    fn is_of_a_neighbour(&self) -> bool {
        NEIGHBOURS.iter().any(|code| self.0[1..].starts_with(code))
    }

    /// A number from a row or file of our own. What was once taken for a number is read back, though it may not be taken
    /// for one any more.
    pub fn stored(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or("");
        let is_e164 = (2..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_e164 { Some(Self(text.to_owned())) } else { Self::parse(text).ok() }
    }

    /// The number that stands in the place of an erased one, by twelve digits of `word`: reports tell callers apart by it, and
    /// nobody can dial it.
    pub fn erased(word: u64) -> Self {
        Self(format!("+{ERASED_CODE}{:0ERASED_DIGITS$}", word % 10u64.pow(ERASED_DIGITS as u32)))
    }

    /// Whether the number itself was erased, and this one stands in its place.
    pub fn is_erased(&self) -> bool {
        is_erased(&self.0)
    }

    /// `+79288036355`, for machines.
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// `8 928 803-63-55` for Russian numbers, the usual international spelling for others, «номер стёрт» for erased ones: for
    /// people.
    pub fn spaced(&self) -> String {
        if self.is_erased() {
            return ERASED_NUMBER.to_owned();
        }
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

/// What people read in the place of an erased number.
pub const ERASED_NUMBER: &str = "номер стёрт";

/// Whether this text, with or without its plus, stands in the place of a number that was erased.
pub fn is_erased(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    digits.len() == ERASED_CODE.len() + ERASED_DIGITS && digits.starts_with(ERASED_CODE)
}

/// Nearly every number there is here, without the library, whose numbering plans of the whole world take 5 MiB and some
/// milliseconds the first time they are asked. A test holds the two to the same answers.
fn usual_russian(text: &str, digits: &str) -> Option<PhoneNumber> {
    let rest = text.strip_prefix('+');
    if rest.unwrap_or(text).contains(|c: char| !c.is_ascii_digit() && !matches!(c, ' ' | '-' | '(' | ')')) {
        return None;
    }
    let national = match (rest, digits.len()) {
        // +89 is nobody's code: a trunk has put the plus before the 8 of calls within the country.
        (Some(_), 11) if digits.starts_with("89") => &digits[1..],
        (Some(_), 11) => digits.strip_prefix('7')?,
        (None, 11) => digits.strip_prefix(['7', '8'])?,
        // A leading 8 may be the way out of the country or of the area.
        (None, 10) if !digits.starts_with('8') => digits,
        _ => return None,
    };
    is_russian(national).then(|| PhoneNumber(format!("+7{national}")))
}

/// Mobile, and the areas and services of the country; 6 and 7 are Kazakhstan's.
fn is_russian(national: &str) -> bool {
    national.starts_with(['3', '4', '8', '9'])
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        Self::stored(&text).ok_or(NotANumber::Unusable(text))
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

    #[derive(Debug, serde::Deserialize)]
    struct Case {
        text: String,
        number: Option<String>,
    }

    #[test]
    fn numbers_are_found_in_every_kind_of_address() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/data/cases/numbers.json")).unwrap();
        let wrong: Vec<_> = cases.into_iter().filter(|case| e164(&case.text) != case.number).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(Caller::from_provider(" sip:100@pbx.example ").raw, "sip:100@pbx.example");
    }

    #[test]
    fn hidden_number_in_an_address_is_withheld() {
        for text in [
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            "<sip:anonymous@192.0.2.10:5060>;tag=1",
            "sip:unknown@10.0.0.1",
            "\"+79281110001\" <sip:anonymous@192.0.2.10>",
            "<sip:+7378742833@192.0.2.10>",
            "tel:anonymous",
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(NotANumber::Withheld), "{text}");
        }
    }

    /// Found by fuzzing.
    #[test]
    fn number_with_a_prefix_dialled_twice_is_read_alike_again() {
        for text in ["0064 00 6184 0002", "+64 06 184 0002"] {
            let number = PhoneNumber::parse(text).unwrap();
            assert_eq!(PhoneNumber::parse(number.e164()).as_ref(), Ok(&number), "{text}");
        }
    }

    #[test]
    fn stored_number_is_read_as_it_was_written() {
        for text in ["+72293042", "+79288328088", "+375291234567"] {
            assert_eq!(PhoneNumber::stored(text).unwrap().e164(), text);
            let kept: PhoneNumber = serde_json::from_value(text.into()).unwrap();
            assert_eq!(kept.e164(), text);
        }
        assert_eq!(PhoneNumber::stored("89288328088").unwrap().e164(), "+79288328088");
        assert_eq!(PhoneNumber::stored("nonsense"), None);
    }

    #[test]
    fn addresses_of_a_header_are_split_at_its_own_commas() {
        let header = "\"A, B <c>\" <sip:1@a?x=1,2>;reason=x, sip:2@b ,,tel:3";
        let parts: Vec<&str> = addresses(header).collect();
        assert_eq!(parts, ["\"A, B <c>\" <sip:1@a?x=1,2>;reason=x", "sip:2@b", "tel:3"]);
    }

    proptest::proptest! {
        #[test]
        fn any_spelling_of_a_number_is_one_caller(
            national in "9[0-9]{9}",
            before in proptest::sample::select(vec!["8", "7", "+7", "+8", "", "007", "8107", "+78", "78"]),
            gap in proptest::sample::select(vec!["", " ", "-", ".", "\u{a0}"]),
            around in proptest::sample::select(vec![
                ("", ""), ("sip:", "@192.0.2.10:5060;user=phone"), ("\"Мадина, 5А\" <sip:", "@host.example>;tag=1"),
                ("<tel:", ">"), ("tel:", ";ext=12"), ("", "@from-trunk"), ("PJSIP/", "@trunk"), ("Мадина ", ""),
                ("", " доб. 12"), ("SIPS:", "@host"), ("\u{202a}", "\u{202c}"), ("", " x12"), ("PJSIP/", "-0000001a"),
            ]),
        ) {
            let (area, rest) = national.split_at(3);
            let text = format!("{}{before}{gap}{area}{gap}{rest}{}", around.0, around.1);
            proptest::prop_assert_eq!(e164(&text), Some(format!("+7{national}")), "{}", text);
        }

        #[test]
        fn no_text_is_too_much_for_the_reader(text in ".{0,80}", odd in "[-+0-9<>\"@:;/,. x]{0,60}") {
            for text in [&text, &odd] {
                if let Ok(number) = PhoneNumber::parse(text) {
                    proptest::prop_assert_eq!(PhoneNumber::stored(number.e164()), Some(number));
                }
                let _ = addresses(text).count();
            }
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

    /// Threat: whoever reads an old call dials a stranger in the place of a caller who was erased.
    #[test]
    fn erased_number_is_read_back_and_cannot_be_dialled() {
        let number = PhoneNumber::erased(u64::MAX);
        for text in [number.e164(), &number.e164()[1..], &format!("sip:{number}@pbx.example")] {
            assert_eq!(PhoneNumber::parse(text).as_ref(), Ok(&number), "{text}");
        }
        assert!(number.is_erased() && !PhoneNumber::parse("89280036355").unwrap().is_erased());
        assert_eq!((number.spaced().as_str(), number.e164().len()), (ERASED_NUMBER, 16));
        assert!(PHONE_NUMBER_UTIL.parse(number.e164(), None).is_err(), "nobody's country");
    }

    #[test]
    fn people_read_spaces_and_logs_get_too_little_to_dial() {
        let number = PhoneNumber::parse("+79288036355").unwrap();
        assert_eq!(number.spaced(), "8 928 803-63-55");
        assert_eq!(number.shortened(), "+7928…55");
    }
}
