//! What people type into the search field of the log, and the words by which texts are found again.

use std::collections::BTreeSet;

use super::phone::PhoneNumber;

/// As few digits in a row as are looked for: fewer fit nearly every number.
pub const FEWEST_DIGITS: usize = 3;
/// As many digits as a number has at most (E.164).
pub const MOST_DIGITS: usize = 15;
/// The longest word that is kept apart, in letters; longer ones are cut.
const LONGEST_WORD: usize = 32;
/// So many different words of one text are kept.
const MOST_WORDS: usize = 300;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// A whole number.
    Number(PhoneNumber),
    /// Part of one.
    Part(PartOfNumber),
    /// The beginnings of words, each of which must be there.
    Words(Vec<String>),
    /// Fewer digits or letters than can be looked for.
    TooShort,
}

/// Digits in a row of a number, however they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartOfNumber {
    /// Anywhere in the number, as E.164 has it.
    pub anywhere: Option<String>,
    /// At its very beginning: what follows a plus sign, and `7…` for `8…`.
    pub beginning: Option<String>,
}

impl Search {
    /// Reads what was typed: a number in any spelling or part, else words. `None`: nothing was typed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if let Some(digits) = digits_alone(text) {
            let whole = PhoneNumber::parse(text).ok().filter(|_| (10..=MOST_DIGITS).contains(&digits.len()));
            return Some(match whole {
                Some(number) => Self::Number(number),
                None if digits.len() < FEWEST_DIGITS => Self::TooShort,
                None => Self::Part(PartOfNumber::of(text, digits)),
            });
        }
        let words: Vec<String> = words(text).into_iter().map(|word| stem(&word)).collect();
        Some(if words.is_empty() { Self::TooShort } else { Self::Words(words) })
    }
}

/// The digits, if nothing else was typed but what stands between them in a number.
fn digits_alone(text: &str) -> Option<String> {
    let is_between =
        |c: char| c.is_whitespace() || matches!(c, '+' | '-' | '(' | ')' | '.' | '/' | '‑' | '–' | '—' | '−');
    let only = text.chars().all(|c| c.is_ascii_digit() || is_between(c));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (only && !digits.is_empty()).then_some(digits)
}

impl PartOfNumber {
    fn of(text: &str, digits: String) -> Self {
        if text.starts_with('+') {
            return Self { anywhere: None, beginning: Some(digits) };
        }
        // Shown and spoken as 8 928 …, kept as 7928….
        let beginning = digits.strip_prefix('8').map(|rest| format!("7{rest}"));
        Self { anywhere: Some(digits), beginning }
    }

    pub fn is_in(&self, number: &PhoneNumber) -> bool {
        let digits = number.e164().trim_start_matches('+');
        self.anywhere.as_ref().is_some_and(|part| digits.contains(part.as_str()))
            || self.beginning.as_ref().is_some_and(|part| digits.starts_with(part.as_str()))
    }
}

/// The different words of a text: letters and digits, small, «ё» as «е», of two letters or more.
pub fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase().replace('ё', "е");
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().nth(1).is_some());
    words.map(|word| word.chars().take(LONGEST_WORD).collect()).take(MOST_WORDS).collect()
}

/// The word without its ending, so that «оценки» finds «оценка» and «Петрова» finds «Петровой».
fn stem(word: &str) -> String {
    const SHORTEST: usize = 3;
    let mut letters: Vec<char> = word.chars().collect();
    for _ in 0..2 {
        let is_ending = |c: &char| "аеийоуыьэюя".contains(*c);
        if letters.len() > SHORTEST && letters.last().is_some_and(is_ending) {
            letters.pop();
        }
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(typed: &str, number: &str) -> bool {
        let number = PhoneNumber::parse(number).unwrap();
        match Search::parse(typed) {
            Some(Search::Number(whole)) => whole == number,
            Some(Search::Part(part)) => part.is_in(&number),
            _ => false,
        }
    }

    #[test]
    fn any_three_digits_in_a_row_find_a_number_in_any_spelling() {
        for typed in [
            "803-63",
            "80363",
            "8 (928) 803",
            "+7928",
            "+7 928 80",
            "8928",
            "928",
            "355",
            "63-55",
            "803 63 55",
            "89288036355",
            "+7 (928) 803-63-55",
            "9288036355",
        ] {
            assert!(finds(typed, "+79288036355"), "{typed}");
        }
        for typed in ["804-63", "+928", "+7355", "5536", "89288036356"] {
            assert!(!finds(typed, "+79288036355"), "{typed}");
        }
    }

    #[test]
    fn fewer_than_three_digits_are_too_few_and_nothing_is_nothing() {
        assert_eq!(Search::parse("80"), Some(Search::TooShort));
        assert_eq!(Search::parse("а !"), Some(Search::TooShort));
        assert_eq!(Search::parse("  "), None);
    }

    #[test]
    fn words_are_found_whatever_their_ending_and_case() {
        for (typed, word) in
            [("ОЦЕНКИ", "оценка"), ("Петрова", "петровой"), ("учёба", "учебы"), ("журнал", "журналом"), ("5а", "5а")]
        {
            let Some(Search::Words(wanted)) = Search::parse(typed) else { panic!("{typed}") };
            assert!(word.starts_with(&wanted[0]), "{typed}: {wanted:?}");
        }
        assert_eq!(
            words("Не видно оценок, оценок <b>ЁЖ</b>!").into_iter().collect::<Vec<_>>(),
            ["видно", "еж", "не", "оценок"]
        );
    }
}
