//! `[[lines]]` and `[callbacks]`: the published lines, what must hold between them, and what all callbacks share.

use std::collections::HashSet;

use crate::core::calendar::{Calendar, Hours, WorkingHours};
use crate::core::dialing::DialingRules;
use crate::core::line::{Line, LineId, Lines};
use crate::core::phone::{PhoneNumber, Telephone};

use super::hours;
use super::mistakes::{At, Notes, shown};
use super::schema::{Shape, element_path, folded, is_name};
use super::section::Section;
use super::tree::{Kind, Node};

/// The limit and the usual value of `ring_seconds` and `max_message_seconds`.
const RING_SECONDS: (std::ops::RangeInclusive<u32>, u32) = (5..=120, 20);
const MESSAGE_SECONDS: (std::ops::RangeInclusive<u32>, u32) = (10..=600, 180);
/// All phones of a line together, seconds.
const LONGEST_RINGING_SECONDS: u64 = 120;
/// About a working year; a longer term would never be over and is a slip of the keyboard.
const LONGEST_TERM_HOURS: f64 = 2000.0;

const HOW_TO_WRITE_A_NUMBER: &str = "Напишите номер с кодом: \"8 928 832-80-88\" или \"+79288328088\"";

/// A number of a line, for what must hold between lines.
struct Taken {
    at: At,
    /// E.164, or the provider's word.
    number: String,
    /// Which element of `[[lines]]`, and its name for people.
    line: usize,
    path: String,
}

/// Gives `default_calendar` to lines without hours of their own.
pub(super) fn lines(
    root: &Node,
    default_calendar: Option<&Calendar>,
    dialing: DialingRules,
    notes: &mut Notes,
) -> Option<Lines> {
    let list = root.get("lines")?;
    // Bad common hours have been noted: the lines are read on with the school's, for there may be more to say.
    let common = default_calendar.cloned().unwrap_or_else(|| Calendar::new(Hours::default()));
    let mut taken = Vec::new();
    let mut rung = Vec::new();
    let mut ids = HashSet::new();
    let mut lines = Vec::new();
    for (index, node) in list.elements().iter().enumerate().filter(|(_, node)| node.is_table()) {
        let shape = Shape::Named { by: "id", keys: &[] };
        let section = Section::new(node, element_path("lines", index, node, shape));
        let id = id(&section, &mut ids, notes);
        let number = section.required("number", "8 928 832-80-88", notes);
        let number = number.and_then(|text| phone(text, &section.at("number"), notes));
        let mut take = |at, number: &str| {
            taken.push(Taken { at, number: number.to_owned(), line: index, path: section.path.clone() });
        };
        if let Some(number) = &number {
            take(section.at("number"), number.e164());
        }
        let aliases = aliases(&section, notes);
        for (at, alias) in &aliases {
            take(at.clone(), alias);
        }
        let ring: Vec<_> = section
            .texts("ring")
            .into_iter()
            .filter_map(|(at, text)| Some((telephone(text, &at, notes)?, at)))
            .collect();
        rung.extend(ring.iter().cloned());
        let line = Line {
            title: section.text("title").or(id).unwrap_or_default().to_owned(),
            audience: section.text("audience").unwrap_or_default().to_owned(),
            email: email(&section, notes),
            ring: ring.into_iter().map(|(telephone, _)| telephone).collect(),
            ring_seconds: section.seconds("ring_seconds", RING_SECONDS.0, RING_SECONDS.1, notes),
            max_message_seconds: section.seconds("max_message_seconds", MESSAGE_SECONDS.0, MESSAGE_SECONDS.1, notes),
            response_term: response_term(&section, notes),
            recording_notice: section.flag("recording_notice").unwrap_or(false),
            callback_without_message: section.flag("callback_without_message").unwrap_or(true),
            aliases: aliases.into_iter().map(|(_, alias)| alias).collect(),
            number,
            greetings: Default::default(),
            id: LineId::new(id.unwrap_or_default()),
            calendar: match section.node.get("hours") {
                Some(own) => hours::calendar(own, &section.at("hours").key, notes).unwrap_or_else(|| common.clone()),
                None => common.clone(),
            },
        };
        ringing_ends(&line, &section, notes);
        lines.push(line);
    }
    if matches!(&list.kind, Kind::List(elements) if elements.is_empty()) {
        let at = At { place: list.place.clone(), key: "lines".to_owned() };
        let instead =
            "Опишите линию строкой [[lines]] с ключами id и number или уберите lines: тогда будут обе линии школы";
        notes.add(&at, "нет ни одной линии", instead);
    }
    one_line_a_number(&taken, notes);
    no_line_rings_itself(&taken, &rung, notes);
    no_line_rings_what_is_not_allowed(&dialing, &rung, notes);
    let mut lines = Lines::new(lines, common);
    let callbacks = Section::of(root, "callbacks");
    lines.regulation_reasons = callbacks.and_then(|callbacks| callbacks.flag("regulation_reasons")).unwrap_or(true);
    lines.dialing = dialing;
    Some(lines)
}

fn id<'a>(section: &Section<'a>, known: &mut HashSet<String>, notes: &mut Notes) -> Option<&'a str> {
    let id = section.required("id", "parents", notes)?;
    let at = section.at("id");
    if !is_name(id) {
        let instead = "Напишите имя латинскими буквами, цифрами, - или _, до 40 знаков: \"parents\"";
        notes.add(&at, format!("{} не годится в имена линии", shown(id)), instead);
    } else if LineId::new(&id.to_lowercase()).is_unknown() {
        let instead = "Назовите линию иначе: так называются звонки на неизвестный номер";
        notes.add(&at, format!("имя {} занято", shown(id)), instead);
    } else if !known.insert(folded(id)) {
        notes.add(&at, format!("линия {} уже есть", shown(id)), "Дайте каждой линии своё имя");
    }
    Some(id)
}

fn email(section: &Section<'_>, notes: &mut Notes) -> Option<String> {
    let text = section.text("email").filter(|text| !text.is_empty())?;
    if text.parse::<lettre::Address>().is_err() {
        let instead = "Напишите адрес вида nuradilovo1@mail.ru, а если его нет, уберите ключ";
        notes.add(&section.at("email"), format!("{} не адрес электронной почты", shown(text)), instead);
    }
    Some(text.to_owned())
}

fn phone(text: &str, at: &At, notes: &mut Notes) -> Option<PhoneNumber> {
    let number = PhoneNumber::parse(text).ok();
    if number.is_none() {
        notes.add(at, format!("{} не номер телефона", shown(text)), HOW_TO_WRITE_A_NUMBER);
    }
    number
}

/// A number, or an extension of the school's own exchange.
fn telephone(text: &str, at: &At, notes: &mut Notes) -> Option<Telephone> {
    let telephone = Telephone::parse(text).ok();
    if telephone.is_none() {
        let instead = format!("{HOW_TO_WRITE_A_NUMBER}; внутренний номер своей АТС: от 2 до 6 цифр, \"101\"");
        notes.add(at, format!("{} не номер телефона", shown(text)), instead);
    }
    telephone
}

/// E.164 where the alias is a number, the provider's word otherwise. Each once.
fn aliases(section: &Section<'_>, notes: &mut Notes) -> Vec<(At, String)> {
    let mut aliases: Vec<(At, String)> = Vec::new();
    for (at, text) in section.texts("aliases") {
        if text.is_empty() {
            notes.add(&at, "пустой номер", "Уберите его или напишите технический номер, который присылает оператор");
            continue;
        }
        let alias = PhoneNumber::parse(text).map_or_else(|_| text.to_owned(), |number| number.e164().to_owned());
        if !aliases.iter().any(|(_, known)| *known == alias) {
            aliases.push((at, alias));
        }
    }
    aliases
}

fn response_term(section: &Section<'_>, notes: &mut Notes) -> Option<WorkingHours> {
    let hours = section.number("response_term_hours")?;
    if hours > 0.0 && hours <= LONGEST_TERM_HOURS {
        return Some(WorkingHours::from_milliseconds((hours * 3_600_000.0).round() as u64));
    }
    let instead = format!(
        "Напишите число рабочих часов больше 0 и не больше {LONGEST_TERM_HOURS}, а если срок не установлен, уберите ключ"
    );
    notes.add(&section.at("response_term_hours"), format!("срок {hours} ч вне пределов"), instead);
    None
}

fn one_line_a_number(taken: &[Taken], notes: &mut Notes) {
    for (index, second) in taken.iter().enumerate() {
        let same = |first: &&Taken| first.line != second.line && first.number.eq_ignore_ascii_case(&second.number);
        if let Some(first) = taken[..index].iter().find(same) {
            let what = format!("номер {} уже принадлежит {}", shown(&second.number), first.path);
            notes.add(&second.at, what, "Оставьте номер только у одной линии, иначе неясно, кому звонят");
        }
    }
}

/// However many phones ring, the caller gets the offer within a bounded time (R3).
fn ringing_ends(line: &Line, section: &Section<'_>, notes: &mut Notes) {
    let seconds = line.ring.len() as u64 * u64::from(line.ring_seconds);
    if seconds > LONGEST_RINGING_SECONDS {
        let instead = format!(
            "Уменьшите ring_seconds или число телефонов: все вместе не дольше {LONGEST_RINGING_SECONDS} с, никто не \
             ждёт дольше"
        );
        notes.add(&section.at("ring"), format!("звонящий слушал бы гудки {seconds} с"), &instead);
    }
}

/// A line that rings a published number would call itself, and again, until the balance is spent.
fn no_line_rings_itself(taken: &[Taken], rung: &[(Telephone, At)], notes: &mut Notes) {
    for (telephone, at) in rung {
        let Telephone::Number(number) = telephone else { continue };
        if let Some(line) = taken.iter().find(|line| line.number == number.e164()) {
            let what = format!("{} это номер самой линии {}", number.spaced(), line.path);
            notes.add(at, what, "Напишите телефон сотрудника: иначе линия звонила бы сама себе");
        }
    }
}

/// The school's money rings them, call after call (R27).
fn no_line_rings_what_is_not_allowed(dialing: &DialingRules, rung: &[(Telephone, At)], notes: &mut Notes) {
    for (telephone, at) in rung.iter().filter(|(telephone, _)| !dialing.allows_telephone(telephone)) {
        let what = format!("{} дорогой или чужой номер, его нет в dialing.allowed", telephone.spaced());
        notes.add(at, what, "Напишите телефон сотрудника; если номер верный, добавьте его начало в dialing.allowed");
    }
}
