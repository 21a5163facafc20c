//! Which passwords people may choose. Only what is guessed first is refused: rules about digits and signs make passwords
//! that are harder to remember and no harder to guess.

/// The fewest letters of a password.
pub const SHORTEST: usize = 10;
/// The most bytes: more would only keep the processor busy.
pub const LONGEST_BYTES: usize = 1024;

/// Why a password may not be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    #[error("a password has at least {SHORTEST} letters")]
    TooShort,
    #[error("a password has at most {LONGEST_BYTES} bytes")]
    TooLong,
    #[error("the password is the person's own login or name")]
    OwnName,
    #[error("the password is among the first that are guessed")]
    Commonplace,
}

/// What guessers try first, in small letters and without what is added at the end: see [`judge`].
const COMMONPLACE: [&str; 40] = [
    "password",
    "passwort",
    "parol",
    "пароль",
    "мойпароль",
    "моипароль",
    "qwerty",
    "qwertyuiop",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedc",
    "qazwsxedcrfv",
    "йцукен",
    "йцукенгшщз",
    "йцукенгшщзхъ",
    "фывапролд",
    "фывапролджэ",
    "ячсмить",
    "ячсмитьбю",
    "admin",
    "administrator",
    "администратор",
    "админ",
    "welcome",
    "letmein",
    "iloveyou",
    "superman",
    "princess",
    "gimnaziya",
    "gimnazia",
    "гимназия",
    "школа",
    "shkola",
    "school",
    "perezvon",
    "перезвон",
    "директор",
    "учитель",
];

/// Looks whether the password is one that a guesser would try early. `login` and `name` are the person's own.
pub fn judge(password: &str, login: &str, name: &str) -> Result<(), Weak> {
    if password.chars().count() < SHORTEST {
        return Err(Weak::TooShort);
    }
    if password.len() > LONGEST_BYTES {
        return Err(Weak::TooLong);
    }
    let small = password.to_lowercase();
    let bare: String = small.chars().filter(|letter| letter.is_alphanumeric()).collect();
    // «Parol2026!» is «parol» to a guesser.
    let word = bare.trim_matches(|letter: char| letter.is_ascii_digit());
    let own = |text: &str| {
        let text: String = text.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()).collect();
        !text.is_empty() && (text == bare || text == word)
    };
    if own(login) || own(name) {
        return Err(Weak::OwnName);
    }
    let mut letters: Vec<char> = small.chars().collect();
    let climbs = |by: i64| {
        letters.windows(2).filter(|two| i64::from(u32::from(two[1])) - i64::from(u32::from(two[0])) == by).count()
    };
    // 1234567890 and zyxwvutsrq, with a break or two.
    let runs = climbs(1).max(climbs(-1)) + 2 >= letters.len().saturating_sub(1);
    letters.sort_unstable();
    letters.dedup();
    // A word said twice, «qwertyqwerty».
    let half = word.chars().count() / 2;
    let twice = half > 0 && word.chars().take(half).eq(word.chars().skip(half));
    let once: String = word.chars().take(half).collect();
    let known = COMMONPLACE.contains(&word) || (twice && COMMONPLACE.contains(&once.as_str()));
    match runs || letters.len() < 5 || known {
        true => Err(Weak::Commonplace),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_first_is_refused() {
        for (password, weak) in [
            ("короткий", Weak::TooShort),
            ("123456789", Weak::TooShort),
            ("1234567890", Weak::Commonplace),
            ("0987654321", Weak::Commonplace),
            ("abcdefghij", Weak::Commonplace),
            ("aaaaaaaaaaaa", Weak::Commonplace),
            ("1212121212", Weak::Commonplace),
            ("qwertyuiop", Weak::Commonplace),
            ("Йцукенгшщз", Weak::Commonplace),
            ("Password123!", Weak::Commonplace),
            ("Пароль-2026", Weak::Commonplace),
            ("qwertyqwerty", Weak::Commonplace),
            ("madina.isaeva", Weak::OwnName),
            ("Мадина Исаева", Weak::OwnName),
            ("madina-isaeva-1990", Weak::OwnName),
        ] {
            assert_eq!(judge(password, "madina.isaeva", "Мадина Исаева"), Err(weak), "{password}");
        }
        assert_eq!(judge(&"долгий пароль ".repeat(100), "m", "М"), Err(Weak::TooLong));
    }

    #[test]
    fn a_sentence_of_ones_own_is_good() {
        for password in ["кот ест сыр по утрам", "правильный пароль", "kx3fm-7hq2a", "8dF!u2-pqZ", "синий чайник 42"]
        {
            assert_eq!(judge(password, "madina", "Мадина И."), Ok(()), "{password}");
        }
    }
}
