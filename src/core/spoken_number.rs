//! A telephone number said in a message, found in its transcript: Russian numerals read one by one or in groups, and digits
//! as they are written. Only a hint: the number to dial is the caller's own first, and nothing dials this one by itself.

use super::phone::PhoneNumber;

/// What one word adds to a run of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spoken {
    /// Written digits, or a numeral that takes no further one after it: «ноль», «семь», «двенадцать».
    Digits(String),
    /// «девятьсот», «двадцать»: the first digit, and how many may still come inside it (2 or 1).
    Open { digit: u8, places: usize },
    /// «нуля», «семёрки» after «два», «три»: that digit so many times.
    Several(u8),
    /// Said between digits and means nothing: «тире», «так».
    Filler,
}

/// The Russian numbers said in `text`, each once, in the order in which they come.
///
/// A run of digits counts only as a whole (also said twice), or where commas part it as a whole: of twelve digits one was
/// heard wrongly, and a piece of them would be somebody else's number.
pub fn spoken_numbers(text: &str) -> Vec<PhoneNumber> {
    let mut found: Vec<PhoneNumber> = Vec::new();
    for run in runs(text) {
        for number in numbers_of(&run) {
            if !found.contains(&number) {
                found.push(number);
            }
        }
    }
    found
}

/// Digits that follow each other without another word: pieces between commas, and in each the numerals.
type Run = Vec<Vec<String>>;

fn runs(text: &str) -> Vec<Run> {
    let text = text.to_lowercase().replace('ё', "е");
    let mut runs = Vec::new();
    let mut run: Run = vec![Vec::new()];
    // A numeral that may still take smaller ones: its digits so far, and the places left.
    let mut open: Option<(String, usize)> = None;
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let kind = Kind::of(first);
        let end = rest.find(|c| Kind::of(c) != kind).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        rest = after;
        let spoken = match kind {
            Kind::Letters => word(token),
            Kind::Digits => Some(Spoken::Digits(token.to_owned())),
            Kind::Break => {
                close(&mut open, &mut run);
                run.push(Vec::new());
                continue;
            }
            Kind::Other => continue,
        };
        match spoken {
            Some(Spoken::Filler) => close(&mut open, &mut run),
            Some(Spoken::Several(digit)) => several(digit, &mut open, &mut run),
            Some(Spoken::Open { digit, places }) => match &mut open {
                // «девятьсот двадцать»
                Some((digits, left)) if *left > places => {
                    digits.push_str(&"0".repeat(*left - places - 1));
                    digits.push((b'0' + digit) as char);
                    *left = places;
                }
                _ => {
                    close(&mut open, &mut run);
                    open = Some((char::from(b'0' + digit).to_string(), places));
                }
            },
            Some(Spoken::Digits(digits)) => match &mut open {
                // «двадцать восемь», «девятьсот три», «девятьсот двенадцать»; «двадцать ноль» are two numerals.
                Some((before, left)) if kind == Kind::Letters && digits.len() <= *left && !digits.starts_with('0') => {
                    before.push_str(&"0".repeat(*left - digits.len()));
                    before.push_str(&digits);
                    *left = 0;
                    close(&mut open, &mut run);
                }
                _ => {
                    close(&mut open, &mut run);
                    push(&mut run, digits);
                }
            },
            None => {
                close(&mut open, &mut run);
                runs.push(std::mem::replace(&mut run, vec![Vec::new()]));
            }
        }
    }
    close(&mut open, &mut run);
    runs.push(run);
    for run in &mut runs {
        run.retain(|piece| !piece.is_empty());
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letters,
    Digits,
    /// Commas and full stops: the end of a thing said, or only a pause.
    Break,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            '0'..='9' => Self::Digits,
            ',' | '.' | ';' | '…' | '!' | '?' | '\n' => Self::Break,
            c if c.is_alphabetic() => Self::Letters,
            _ => Self::Other,
        }
    }
}

fn push(run: &mut Run, digits: String) {
    if let Some(piece) = run.last_mut() {
        piece.push(digits);
    }
}

/// The open numeral ends: what was not said in it is zeros.
fn close(open: &mut Option<(String, usize)>, run: &mut Run) {
    if let Some((digits, left)) = open.take() {
        push(run, format!("{digits}{}", "0".repeat(left)));
    }
}

/// «два нуля», «двести двадцать два нуля»: the two before was a count and no digit.
fn several(digit: u8, open: &mut Option<(String, usize)>, run: &mut Run) {
    close(open, run);
    let digit = char::from(b'0' + digit).to_string();
    let Some(piece) = run.last_mut() else { return };
    let Some(last) = piece.last_mut().filter(|last| last.ends_with(['2', '3', '4']) && !last.starts_with('1')) else {
        return piece.push(digit);
    };
    let count = last.pop().and_then(|count| count.to_digit(10)).unwrap_or(1) as usize;
    match last.is_empty() {
        true => drop(piece.pop()),
        false => last.push('0'),
    }
    piece.extend(std::iter::repeat_n(digit, count));
}

fn word(word: &str) -> Option<Spoken> {
    const DIGITS: [&[&str]; 10] = [
        &["ноль", "нуль"],
        &["один", "одна", "одно", "единица", "единичка", "раз"],
        &["два", "две", "двойка", "двоечка"],
        &["три", "тройка", "троечка"],
        &["четыре", "четверка"],
        &["пять", "пятерка", "пятерочка"],
        &["шесть", "шестерка"],
        &["семь", "семерка", "семерочка"],
        &["восемь", "восьмерка"],
        &["девять", "девятка"],
    ];
    const TEENS: [&str; 10] = [
        "десять",
        "одиннадцать",
        "двенадцать",
        "тринадцать",
        "четырнадцать",
        "пятнадцать",
        "шестнадцать",
        "семнадцать",
        "восемнадцать",
        "девятнадцать",
    ];
    const TENS: [&str; 8] =
        ["двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто"];
    const HUNDREDS: [&str; 9] =
        ["сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот"];
    const SEVERAL: [&[&str]; 10] = [
        &["нуля", "нулей", "ноля", "нолика", "ноликов"],
        &["единицы", "единички"],
        &["двойки"],
        &["тройки"],
        &["четверки"],
        &["пятерки"],
        &["шестерки"],
        &["семерки"],
        &["восьмерки"],
        &["девятки"],
    ];
    const FILLERS: [&str; 15] = [
        "тире",
        "дефис",
        "черточка",
        "плюс",
        "и",
        "э",
        "ээ",
        "эээ",
        "эм",
        "ну",
        "так",
        "потом",
        "дальше",
        "далее",
        "затем",
    ];
    let place = |words: &[&str]| words.iter().position(|known| *known == word);
    let group = |groups: &[&[&str]]| groups.iter().position(|words| words.contains(&word));
    let small = |index: usize| u8::try_from(index).unwrap_or(0);
    if let Some(digit) = group(&DIGITS) {
        Some(Spoken::Digits(digit.to_string()))
    } else if let Some(index) = place(&TEENS) {
        Some(Spoken::Digits((index + 10).to_string()))
    } else if let Some(index) = place(&TENS) {
        Some(Spoken::Open { digit: small(index) + 2, places: 1 })
    } else if let Some(index) = place(&HUNDREDS) {
        Some(Spoken::Open { digit: small(index) + 1, places: 2 })
    } else if let Some(digit) = group(&SEVERAL) {
        Some(Spoken::Several(small(digit)))
    } else {
        FILLERS.contains(&word).then_some(Spoken::Filler)
    }
}

fn numbers_of(run: &Run) -> Vec<PhoneNumber> {
    let whole: Vec<&String> = run.iter().flatten().collect();
    let joined = |numerals: &[&String]| numerals.iter().map(|part| part.as_str()).collect::<String>();
    if let Some(number) = russian(&joined(&whole)) {
        return vec![number];
    }
    // Two numbers one after the other, or one said twice.
    let may_be_two = (20..=22).contains(&whole.iter().map(|numeral| numeral.len()).sum::<usize>());
    for middle in 1..if may_be_two { whole.len() } else { 1 } {
        if let (Some(first), Some(second)) = (russian(&joined(&whole[..middle])), russian(&joined(&whole[middle..]))) {
            return vec![first, second];
        }
    }
    run.iter().filter_map(|piece| russian(&piece.concat())).collect()
}

/// Eleven digits from 7 or 8, or ten without it where no 8 could stand for the way out.
fn russian(digits: &str) -> Option<PhoneNumber> {
    let national = match digits.len() {
        11 => digits.strip_prefix(['7', '8'])?,
        10 if !digits.starts_with('8') => digits,
        _ => return None,
    };
    // 6 and 7 are Kazakhstan's; no area or service begins with the others.
    national.starts_with(['3', '4', '8', '9']).then(|| PhoneNumber::parse(&format!("+7{national}")).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        spoken_numbers(text).iter().map(|number| number.e164().to_owned()).collect()
    }

    #[test]
    fn a_number_is_understood_however_it_is_said() {
        for text in [
            "восемь девять два восемь восемь три два восемь ноль восемь восемь",
            "Мой номер: восемь, девять, два, восемь, восемь, три, два, восемь, ноль, восемь, восемь. Спасибо.",
            "восемь девятьсот двадцать восемь, восемьсот тридцать два, восемьдесят, восемьдесят восемь",
            "плюс семь девятьсот двадцать восемь восемьсот тридцать два восемьдесят восемьдесят восемь",
            "девятьсот двадцать восемь восемьсот тридцать два восемьдесят восемьдесят восемь",
            "позвоните 8 928 832-80-88, пожалуйста",
            "8 (928) 832 80 88",
            "+7 928 832-80-88",
            "89288328088",
            "9288328088",
            "8, 9, 2, 8, 8, 3, 2, 8, 0, 8, 8",
            "8-9-2-8-8-3-2-8-0-8-8",
            "ВОСЕМЬ ДЕВЯТЬСОТ ДВАДЦАТЬ ВОСЕМЬ 832 восемьдесят тире восемьдесят восемь",
            "восемь девять двадцать восемь восемь три два восемь ноль две восьмёрки",
            "восемь девять два восемь потом восемь три два и восемь ноль восемь восемь",
            "8 928 832 80 88, повторяю, восемь девять два восемь восемь три два восемь ноль восемь восемь",
            "8 928 832-80-88, 8 928 832-80-88",
            "12, 8 928 832-80-88",
        ] {
            assert_eq!(said(text), ["+79288328088"], "{text}");
        }
    }

    #[test]
    fn numerals_take_smaller_ones_and_no_others() {
        for (text, expected) in [
            ("восемь девятьсот три сто два ноль ноль одиннадцать", "+79031020011"),
            ("восемь девятьсот двенадцать триста сорок пять шестьдесят семь восемьдесят девять", "+79123456789"),
            ("восемь восемьсот двести двадцать два нуля ноль один", "+78002200001"),
            ("восемь восемьсот двести двадцать два нуля двенадцать", "+78002200012"),
            ("восемь восемьсот пятьсот пятьдесят пять тридцать пять тридцать пять", "+78005553535"),
            ("восемь восемьсот двести три нуля десять", ""),
            ("восемь девять два восемь два нуля один ноль один ноль один", "+79280010101"),
            ("восемь девять два восемь три семёрки сорок сорок", "+79287774040"),
            ("восемь девять два восемь двойка тройка четвёрка сорок сорок", "+79282344040"),
            ("восемь восемьсот семьдесят один двадцать два тридцать три сорок четыре", ""),
            ("восемь восемьсот семьдесят один два двадцать два тридцать три сорок четыре", "+78712223344"),
            ("четыреста девяносто пять сто двадцать три сорок пять шестьдесят семь", "+74951234567"),
        ] {
            let expected: Vec<&str> = Some(expected).into_iter().filter(|number| !number.is_empty()).collect();
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_russian_number_is_not_offered() {
        for text in [
            "",
            "не отображаются оценки за вторую четверть",
            "в пятом классе двадцать восемь человек",
            "восемь девять два восемь восемь три два",
            "8 928 832-80-8",
            "8 928 832-80-888",
            "8, 9, 2, 8, 8, 3, 2, 8, 0, 8, 8, 8",
            "восемь девять два восемь восемь три два восемь ноль восемь восемь восемь",
            "8 928 школа 832-80-88",
            // «восемьдесят, ноль»: one digit too many.
            "восемь девятьсот двадцать восемь восемьсот тридцать два восемьдесят ноль восемь восемь",
            "1 2 3 4 5 6 7 8 9 0 1",
            "77012345678",
            "+1 212 555 01 00",
            "с 9:00 до 18:00 23.11.2026",
            "00000000000",
            &"восемь ".repeat(5_000),
        ] {
            assert_eq!(said(text), Vec::<String>::new(), "{:.60}", text);
        }
    }

    #[test]
    fn two_numbers_are_two() {
        let both = ["+79288328088", "+79288036355"];
        assert_eq!(said("8 928 832-80-88 или 8 928 803-63-55"), both);
        assert_eq!(said("89288328088 89288036355"), both);
        assert_eq!(said("8 928 832-80-88, 8 928 803-63-55"), both);
    }
}
