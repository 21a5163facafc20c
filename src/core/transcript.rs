//! What of a speech model's answer may be shown. Models write what they were taught on: where nobody speaks, the credits of
//! films. Such inventions are dropped; what is left may still contain mistakes, and the page says so.

/// The longest text kept, characters. Ten minutes of fast speech are about nine thousand.
const LONGEST: usize = 10_000;
/// Nobody says more words in a second; the slack is for very short messages.
const WORDS_IN_A_SECOND: i64 = 5;
const SLACK_WORDS: i64 = 4;
/// So many times in a row is a model that has lost its way.
const LOOP: usize = 4;
/// The longest phrase that is looked for in loops, words.
const LONGEST_LOOPED: usize = 12;

/// From such words on a sentence is the credits of subtitles.
const CREDITS: [&str; 17] = [
    "субтитры сделал",
    "субтитры делал",
    "субтитры создавал",
    "субтитры создал",
    "субтитры подготов",
    "субтитры подогнал",
    "субтитры добавил",
    "субтитры предостав",
    "субтитры выполн",
    "субтитры и перевод",
    "добавил субтитры",
    "создал субтитры",
    "редактор субтитров",
    "корректор субтитров",
    "перевод субтитров",
    "субтитры by",
    "dimatorzok",
];

/// Sentences that are inventions where they stand alone, in small letters without marks.
const INVENTIONS: [&str; 37] = [
    "продолжение следует",
    "продолжение в следующей серии",
    "продолжение в следующем видео",
    "смотрите продолжение в следующей серии",
    "смотрите продолжение во второй части видео",
    "спасибо за просмотр",
    "спасибо за просмотр видео",
    "спасибо что смотрели",
    "спасибо за внимание",
    "всем спасибо за внимание",
    "спасибо за субтитры",
    "подписывайтесь на канал",
    "подписывайтесь на мой канал",
    "подписывайтесь на наш канал",
    "подпишись на канал",
    "подпишись",
    "ставьте лайки",
    "ставьте лайк",
    "ставьте лайки и подписывайтесь на канал",
    "не забудьте подписаться на канал",
    "до новых встреч",
    "до встречи в следующем видео",
    "увидимся в следующем видео",
    "с вами был игорь негода",
    "девушки отдыхают",
    "музыка",
    "музыкальная заставка",
    "динамичная музыка",
    "спокойная музыка",
    "тревожная музыка",
    "веселая музыка",
    "аплодисменты",
    "смех",
    "тишина",
    "телефонный звонок",
    "гудок",
    "thank you for watching",
];

/// The text as it may be kept and shown, on one line; `None` if nothing in it was said by the caller.
///
/// `length_ms` is the length of the message: a text that nobody could have said in it is dropped whole.
pub fn cleaned(text: &str, length_ms: i64) -> Option<String> {
    let text = without_remarks(text);
    let said: Vec<&str> = sentences(&text).into_iter().filter_map(before_the_credits).collect();
    let words: Vec<&str> = said.iter().flat_map(|sentence| sentence.split_whitespace()).collect();
    if words.iter().filter(|word| word.chars().any(char::is_alphanumeric)).count() == 0
        || is_too_fast(&words, length_ms)
    {
        return None;
    }
    let words = without_loops(words)?;
    let text = words.join(" ");
    Some(match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

/// Without remarks in square or round brackets («музыка», «шум»), notes and control characters.
fn without_remarks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut until: Option<char> = None;
    for (at, c) in text.char_indices() {
        match (until, c) {
            (Some(end), c) if c == end => until = None,
            (Some(_), _) => {}
            (None, '[') if text[at..].contains(']') => until = Some(']'),
            // A number may be written with its code in brackets.
            (None, '(')
                if text[at..]
                    .find(')')
                    .is_some_and(|end| !text[at..at + end].contains(|c: char| c.is_ascii_digit())) =>
            {
                until = Some(')');
            }
            (None, '♪' | '♫' | '*') => kept.push(' '),
            (None, c) => kept.push(if c.is_control() { ' ' } else { c }),
        }
    }
    kept
}

/// A full stop after a single letter is an initial's: «Корректор А. Егорова» is one sentence.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let is_over = matches!(c, '.' | '!' | '?' | '…') && text[end..].chars().next().is_none_or(char::is_whitespace);
        let last_word = text[start..at].split(|c: char| !c.is_alphanumeric()).next_back().unwrap_or("");
        let is_initial = c == '.' && last_word.chars().count() == 1 && last_word.chars().all(char::is_alphabetic);
        if is_over && !is_initial {
            sentences.push(text[start..end].trim());
            start = end;
        }
    }
    sentences.push(text[start..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// What of a sentence was said: nothing of an invention, and only the beginning where credits were hung on.
fn before_the_credits(sentence: &str) -> Option<&str> {
    let plain = plain(sentence);
    if INVENTIONS.contains(&plain.as_str()) {
        return None;
    }
    // Small letters have the length of the big ones in Russian and English; else the whole sentence goes.
    let small = sentence.to_lowercase();
    let credits = CREDITS.iter().filter_map(|credits| small.find(credits)).min();
    match credits {
        Some(at) => {
            let before = sentence.get(..at)?.trim_end_matches(|c: char| !c.is_alphanumeric());
            (!before.is_empty()).then_some(before)
        }
        None => Some(sentence),
    }
}

/// Small letters and digits, words parted by one space.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace('ё', "е");
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn is_too_fast(words: &[&str], length_ms: i64) -> bool {
    let count = i64::try_from(words.len()).unwrap_or(i64::MAX);
    count > SLACK_WORDS + length_ms.max(0).saturating_mul(WORDS_IN_A_SECOND) / 1000
}

/// A phrase that comes four times in a row or more stands once: people say «алло» again and again. `None` if there was nothing
/// but a longer phrase over and over: that is nobody. Digits are left as they are, for a number may repeat them.
fn without_loops(words: Vec<&str>) -> Option<Vec<&str>> {
    let small: Vec<String> = words.iter().map(|word| plain(word)).collect();
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let looped = (1..=LONGEST_LOOPED.min((words.len() - at) / LOOP)).find_map(|length| {
            let phrase = &small[at..at + length];
            let times = small[at..].chunks_exact(length).take_while(|chunk| *chunk == phrase).count();
            let is_counting = phrase.iter().all(|word| is_numeral(word));
            (times >= LOOP && !is_counting).then_some((length, times))
        });
        match looped {
            Some((length, times)) => {
                let is_all = at == 0 && length * times >= words.len().saturating_sub(length);
                if is_all && length > 1 {
                    return None;
                }
                kept.extend_from_slice(&words[at..at + length]);
                at += length * times;
            }
            None => {
                kept.push(words[at]);
                at += 1;
            }
        }
    }
    Some(kept)
}

fn is_numeral(word: &str) -> bool {
    const DIGITS: [&str; 10] = ["ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять"];
    word.chars().any(|c| c.is_ascii_digit()) || DIGITS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn what_models_invent_on_silence_is_dropped() {
        for invented in [
            "",
            " \n ",
            "...",
            "♪♪♪",
            "Субтитры сделал DimaTorzok",
            "Субтитры сделал DimaTorzok.",
            "Субтитры создавал DimaTorzok",
            "Субтитры подготовлены специально для вас",
            "СУБТИТРЫ ДЕЛАЛ ДМИТРИЙ",
            "Редактор субтитров А.Семкин Корректор А.Егорова",
            "Редактор субтитров А. Семкин Корректор А. Егорова",
            "Продолжение следует...",
            "Продолжение следует… Продолжение следует…",
            "Спасибо за просмотр!",
            "Спасибо за просмотр! Подписывайтесь на канал. Ставьте лайки!",
            "Продолжение следует... Субтитры сделал DimaTorzok",
            "[музыка]",
            "(тихая музыка)",
            "ТРЕВОЖНАЯ МУЗЫКА",
            "Музыка",
            "*",
            "Я не знаю. Я не знаю. Я не знаю. Я не знаю. Я не знаю.",
        ] {
            assert_eq!(cleaned(invented, MINUTE), None, "{invented}");
        }
    }

    #[test]
    fn what_was_said_stays_and_inventions_hung_on_go() {
        for (text, kept) in [
            ("Не отображаются оценки за вторую четверть.", "Не отображаются оценки за вторую четверть."),
            ("  Здравствуйте!\n Это  Петрова. ", "Здравствуйте! Это Петрова."),
            ("Не видно оценок. Спасибо за внимание.", "Не видно оценок."),
            ("Перезвоните мне. Субтитры сделал DimaTorzok", "Перезвоните мне."),
            ("Перезвоните мне, субтитры сделал DimaTorzok", "Перезвоните мне"),
            ("Перезвоните. Редактор субтитров А.Семкин Корректор А.Егорова", "Перезвоните."),
            ("[шум] Алло, это школа?", "Алло, это школа?"),
            ("Номер 8 (928) 832-80-88.", "Номер 8 (928) 832-80-88."),
            ("Учитель добавил субтитров к музыке урока", "Учитель добавил субтитров к музыке урока"),
            ("На уроке музыки не ставят оценки", "На уроке музыки не ставят оценки"),
            ("Спасибо. До свидания.", "Спасибо. До свидания."),
            ("Класс 5 А. Учитель И. И. Иванова.", "Класс 5 А. Учитель И. И. Иванова."),
        ] {
            assert_eq!(cleaned(text, MINUTE).as_deref(), Some(kept), "{text}");
        }
    }

    #[test]
    fn words_said_again_and_again_stand_once_and_digits_stay() {
        assert_eq!(cleaned("Алло, алло, алло, алло, алло", MINUTE).as_deref(), Some("Алло,"));
        assert_eq!(cleaned("Алло? Алло? Алло? Вы слышите?", MINUTE).as_deref(), Some("Алло? Алло? Алло? Вы слышите?"));
        assert_eq!(cleaned("Это Петрова и всё и всё и всё и всё и всё", MINUTE).as_deref(), Some("Это Петрова и всё"));
        let number = "восемь девять два восемь восемь восемь восемь восемь ноль ноль ноль";
        assert_eq!(cleaned(number, MINUTE).as_deref(), Some(number));
        assert_eq!(cleaned("8 8 8 8 8 8", MINUTE).as_deref(), Some("8 8 8 8 8 8"));
    }

    #[test]
    fn a_text_that_nobody_could_say_so_fast_is_nobodys() {
        let sentence = "Раз два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать";
        assert!(cleaned(sentence, 2_000).is_some(), "twelve words in two seconds are hurried but possible");
        assert_eq!(cleaned(sentence, 1_000), None);
        assert_eq!(cleaned("Алло", 400).as_deref(), Some("Алло"));
    }

    #[test]
    fn no_text_is_longer_than_its_bound_and_none_brings_it_down() {
        let long: String = (0..20_000).map(|n| format!("слово{n} ")).collect();
        let kept = cleaned(&long, i64::MAX).expect("words");
        assert_eq!(kept.chars().count(), LONGEST + 1);
        for odd in
            ["İİİ субтитры сделал", "[[[[", "((((", "]", "\u{0}\u{7}", "А.Б.В.", "…", &"İ субтитры by ".repeat(50)]
        {
            let _ = cleaned(odd, MINUTE);
        }
    }
}
