//! Which numbers are dialed without asking, and how many an hour by machine (R27): a caller id is easily forged, and whoever
//! calls back a premium or satellite number pays for it.

use super::phone::{PhoneNumber, Telephone};

/// The usual numbers of Russia, with the country code: a digit, `X` for any digit, `[0-36-9]` for some.
///
/// Sources: the Russian numbering plan (order No. 75 of the ministry of digital development, 31.01.2022) and the metadata of
/// libphonenumber for Russia and Kazakhstan. Left out are the services 80x beside the free 800 and 804 (803 televoting and
/// 809 at a premium, 801, 802, 805 to 808 paid in other ways), the reserves 88x and 89x, 954 (satellites of Globalstar),
/// what answers abroad under +7 (6xx, 7xx and 336 Kazakhstan, 840 and 940 Abkhazia), and 0, 1, 2, 5, which nobody has.
const RUSSIAN: [&str; 9] = [
    "73[0-24-9]XXXXXXXX",
    "74XXXXXXXXX",
    "7800XXXXXXX",
    "7804XXXXXXX",
    "78[1-35-7]XXXXXXXX",
    "784[1-9]XXXXXXX",
    "79[0-36-9]XXXXXXXX",
    "794[1-9]XXXXXXX",
    "795[0-35-9]XXXXXXX",
];

/// The entry of the configuration that stands for [`RUSSIAN`].
const RUSSIAN_ENTRY: &str = "ru";
/// A whole number has at most 15 digits, and a prefix leaves some of them open.
const MAX_PREFIX_DIGITS: usize = 12;

/// Numbers that may be dialed without asking, and the most calls that are placed by machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialingRules {
    allowed: Vec<Range>,
    /// Calls that exchanges place for officers, all together within an hour.
    pub max_calls_per_hour: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Range {
    Russian,
    /// Digits that a number begins with, the country code first.
    Prefix(String),
}

impl Default for DialingRules {
    fn default() -> Self {
        Self { allowed: vec![Range::Russian], max_calls_per_hour: Self::DEFAULT_MAX_CALLS_PER_HOUR }
    }
}

impl DialingRules {
    /// One call a minute: more than a school's officers talk, and little enough to be noticed before the bill.
    pub const DEFAULT_MAX_CALLS_PER_HOUR: u32 = 60;

    /// Reads the entries of the configuration: `ru`, or a prefix with a plus and the country code (`+374`).
    ///
    /// # Errors
    /// The places of the entries that are neither.
    pub fn parse(entries: &[&str], max_calls_per_hour: u32) -> Result<Self, Vec<usize>> {
        let (mut allowed, mut errors) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            match Range::parse(entry) {
                Some(range) => allowed.push(range),
                None => errors.push(place),
            }
        }
        if errors.is_empty() { Ok(Self { allowed, max_calls_per_hour }) } else { Err(errors) }
    }

    /// Whether this number may be dialed without asking. By machine no other one ever is.
    pub fn allows(&self, number: &PhoneNumber) -> bool {
        let digits = number.e164().trim_start_matches('+');
        self.patterns().any(|pattern| matches(&pattern, digits))
    }

    /// Extensions of the school's own exchange cost nothing.
    pub fn allows_telephone(&self, telephone: &Telephone) -> bool {
        match telephone {
            Telephone::Number(number) => self.allows(number),
            Telephone::Extension(_) => true,
        }
    }

    /// The allowed numbers as a dialplan writes them: digits after the plus, `X` for any digit, `[0-36-9]` for some, a full
    /// stop at the end for one or more of whatever follows.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        self.allowed.iter().flat_map(|range| match range {
            Range::Russian => RUSSIAN.map(str::to_owned).to_vec(),
            Range::Prefix(digits) => vec![format!("{digits}.")],
        })
    }
}

impl Range {
    fn parse(entry: &str) -> Option<Self> {
        if entry == RUSSIAN_ENTRY {
            return Some(Self::Russian);
        }
        let digits = entry.strip_prefix('+')?;
        let is_prefix = (1..=MAX_PREFIX_DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        is_prefix.then(|| Self::Prefix(digits.to_owned()))
    }
}

fn matches(pattern: &str, digits: &str) -> bool {
    let (mut pattern, mut digits) = (pattern.chars(), digits.chars());
    loop {
        let Some(expected) = pattern.next() else { return digits.next().is_none() };
        let Some(digit) = digits.next() else { return false };
        let fits = match expected {
            '.' => return true,
            'X' => true,
            '[' => {
                let class: Vec<char> = pattern.by_ref().take_while(|c| *c != ']').collect();
                is_in_class(&class, digit)
            }
            expected => expected == digit,
        };
        if !fits {
            return false;
        }
    }
}

/// `0-36-9`: single digits, and ranges with a dash.
fn is_in_class(class: &[char], digit: char) -> bool {
    match class {
        [first, '-', last, rest @ ..] => (*first..=*last).contains(&digit) || is_in_class(rest, digit),
        [one, rest @ ..] => *one == digit || is_in_class(rest, digit),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rules: &DialingRules, number: &str) -> bool {
        rules.allows(&PhoneNumber::parse(number).unwrap())
    }

    /// Threat: toll fraud by forged caller ids of premium, satellite and foreign numbers.
    #[test]
    fn premium_satellite_and_foreign_numbers_are_not_allowed() {
        let rules = DialingRules::default();
        for number in [
            "88095550000",
            "88035550000",
            "88015550000",
            "88085550000",
            "+78815550000",
            "+78905550000",
            "+79545550000",
            "+77012345678",
            "+76012345678",
            "+73362212345",
            "+78401234567",
            "+79401234567",
            "+88216201234",
            "+881612345678",
            "+870773112345",
            "+19005551234",
            "+12125551234",
            "+37411223344",
            "+375291112233",
            "+380441234567",
        ] {
            assert!(!rules.allows(&PhoneNumber::stored(number).unwrap()), "{number}");
        }
    }

    #[test]
    fn usual_russian_numbers_are_allowed() {
        let rules = DialingRules::default();
        for number in [
            "89281234567",
            "89001234567",
            "89411234567",
            "89501234567",
            "89991234567",
            "88712222222",
            "88722670000",
            "84951234567",
            "83012123456",
            "88431234567",
            "83652123456",
            "88005553535",
            "88041234567",
        ] {
            assert!(allows(&rules, number), "{number}");
        }
    }

    #[test]
    fn entries_are_ru_and_prefixes_with_a_plus() {
        let rules = DialingRules::parse(&["+374", "+7809"], 60).unwrap();
        for (number, is_allowed) in
            [("+37411223344", true), ("+375291112233", false), ("88095550000", true), ("89281234567", false)]
        {
            assert_eq!(allows(&rules, number), is_allowed, "{number}");
        }
        let bad = ["RU", "374", "+", "", "+0374", "+7 928", "+1234567890123", "*"];
        assert_eq!(DialingRules::parse(&bad, 60), Err((0..bad.len()).collect()));
        assert!(!allows(&DialingRules::parse(&[], 60).unwrap(), "89281234567"), "an empty list allows nothing");
    }

    #[test]
    fn extensions_are_always_allowed_and_telephones_like_numbers() {
        let rules = DialingRules::default();
        for (telephone, is_allowed) in [("101", true), ("89281234567", true), ("88095550000", false)] {
            assert_eq!(rules.allows_telephone(&Telephone::parse(telephone).unwrap()), is_allowed, "{telephone}");
        }
    }
}
