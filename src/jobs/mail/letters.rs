//! What the letters say: plain Russian text. Numbers, names and texts stand in them only where the school has allowed it;
//! otherwise counts, times and the address of the list.

use super::days::{Digest, WorkingDay};
use super::settings::{MailSettings, Mailbox};
use crate::core::callback::Callback;
use crate::core::line::Lines;
use crate::core::phone::PhoneNumber;
use crate::core::wording::{day_and_month, plural, since_weekday};
use crate::core::written_text::in_order;
use crate::store::{Alarm, AuditHead, CallbackView, NewMail, Waiting};
use crate::time::{TimeZone, Timestamp, Weekday, Zoned};

const CALLBACKS: [&str; 3] = ["обращение", "обращения", "обращений"];
/// Within so many days a weekday alone says which day is meant.
const DAYS_NAMED: i64 = 6;

/// A letter without its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub subject: String,
    pub body: String,
    /// Its file name and bytes.
    pub attachment: Option<(String, Vec<u8>)>,
}

impl Letter {
    pub fn to(&self, reader: &Mailbox) -> NewMail {
        let recipient = match &reader.name {
            Some(name) => format!("{name} <{}>", reader.email),
            None => reader.email.to_string(),
        };
        NewMail {
            recipient,
            subject: self.subject.clone(),
            body: self.body.clone(),
            attachment: self.attachment.clone(),
        }
    }

    /// «К 9:00: 9 обращений, первое с пятницы 19:40» or «Не закрыто: 2», with the list below.
    pub fn digest(
        settings: &MailSettings,
        lines: &Lines,
        day: &WorkingDay,
        digest: Digest,
        waiting: Waiting,
        listed: &[CallbackView],
        now: Timestamp,
    ) -> Self {
        let desk = Desk { zone: &day.zone, now, lines, personal_data: settings.personal_data };
        let subject = match digest {
            Digest::Morning => {
                let first = waiting.first_received_at.map(|at| desk.since(at)).unwrap_or_default();
                let first = if waiting.count == 1 { first } else { format!("первое {first}") };
                format!("К {}: {}, {first}", desk.clock(day.start), counted(waiting.count))
            }
            Digest::Evening => format!("Не закрыто: {}", waiting.count),
        };
        let mut body = vec![
            format!("{subject}."),
            format!(
                "{}, {}. Рабочее время с {} до {}.",
                capital(weekday(day.date.weekday())),
                day_and_month(day.date),
                desk.clock(day.start),
                desk.end(day)
            ),
        ];
        if waiting.put_off > 0 {
            body.push(format!("Отложено на другие дни: {}.", waiting.put_off));
        }
        body.push(format!("Список: {}/callbacks", settings.public_url));
        body.push(String::new());
        body.extend(listed.iter().enumerate().map(|(index, view)| format!("{}. {}", index + 1, desk.entry(view))));
        let more = waiting.count - i64::try_from(listed.len()).unwrap_or(0);
        if more > 0 {
            body.push(format!("И ещё {more}: они есть в списке."));
        }
        body.push(desk.footer());
        Self { subject, body: body.join("\n"), attachment: None }
    }

    /// The end of the audit's chain, so that whoever keeps the letter can prove the past.
    pub fn with_audit_head(mut self, head: AuditHead) -> Self {
        self.body = format!("{}\nПоследняя запись истории действий: {head}.", self.body);
        self
    }

    /// «Просрочено: 2», once for each callback.
    pub fn overdue(settings: &MailSettings, lines: &Lines, overdue: &[Callback], now: Timestamp) -> Self {
        let desk = Desk::new(settings, lines, now);
        let subject = format!("Просрочено: {}", overdue.len());
        let mut body = vec![
            format!("Срок прошёл, а не перезвонили: {}.", counted(overdue.len() as i64)),
            format!("Список: {}/callbacks", settings.public_url),
            String::new(),
        ];
        body.extend(overdue.iter().enumerate().map(|(index, callback)| {
            let due = callback.due_at.map_or_else(String::new, |due_at| format!(", срок {}", desk.listed(due_at)));
            format!("{}. {}{due}", index + 1, desk.who(callback))
        }));
        body.push(desk.footer());
        Self { subject, body: body.join("\n"), attachment: None }
    }

    /// What broke, and what works again.
    pub fn alarms(settings: &MailSettings, lines: &Lines, raised: &[Alarm], over: &[Alarm], now: Timestamp) -> Self {
        let desk = Desk::new(settings, lines, now);
        let subject = match (raised.len(), over.len()) {
            (0, over) => format!("Снова в порядке: {over}"),
            (raised, 0) => format!("Нужно внимание: {raised}"),
            (raised, over) => format!("Нужно внимание: {raised}, снова в порядке: {over}"),
        };
        let mut body = Vec::new();
        for (head, alarms) in [("Нужно внимание:", raised), ("Снова в порядке:", over)] {
            if !alarms.is_empty() {
                body.push(head.to_owned());
                body.extend(alarms.iter().map(|alarm| {
                    let told = if desk.personal_data { alarm.told.clone() } else { without_numbers(&alarm.told) };
                    format!("— {}: {}", desk.listed(alarm.raised_at), one_line(&told))
                }));
                body.push(String::new());
            }
        }
        body.push(format!("Подробности: {}/callbacks", settings.public_url));
        body.push(desk.footer());
        Self { subject, body: body.join("\n"), attachment: None }
    }
}

/// What every line of a letter is written with.
struct Desk<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
    lines: &'a Lines,
    personal_data: bool,
}

impl<'a> Desk<'a> {
    fn new(settings: &MailSettings, lines: &'a Lines, now: Timestamp) -> Self {
        let zone = lines.default_calendar().time_zone();
        Self { zone, now, lines, personal_data: settings.personal_data }
    }

    fn local(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    /// «9:05».
    fn clock(&self, at: Timestamp) -> String {
        let at = self.local(at);
        format!("{}:{:02}", at.hour(), at.minute())
    }

    /// The end of the day: midnight is «24:00».
    fn end(&self, day: &WorkingDay) -> String {
        match self.local(day.end).date() == day.date {
            true => self.clock(day.end),
            false => "24:00".to_owned(),
        }
    }

    /// «сегодня, 9:05», «пт 20.11, 19:40», with the year where it is another one.
    fn listed(&self, at: Timestamp) -> String {
        let (date, today) = (self.local(at).date(), self.local(self.now).date());
        if date == today {
            return format!("сегодня, {}", self.clock(at));
        }
        let short = ["пн", "вт", "ср", "чт", "пт", "сб", "вс"][date.weekday().to_monday_zero_offset() as usize];
        let year = if date.year() == today.year() { String::new() } else { format!(".{}", date.year()) };
        format!("{short} {:02}.{:02}{year}, {}", date.day(), date.month(), self.clock(at))
    }

    /// «с 7:15», «с пятницы 19:40», «с 12 ноября».
    fn since(&self, at: Timestamp) -> String {
        let (date, today) = (self.local(at).date(), self.local(self.now).date());
        let days = i64::from((today - date).get_days());
        match days {
            ..=0 => format!("с {}", self.clock(at)),
            1..=DAYS_NAMED => format!("{} {}", since_weekday(date.weekday()), self.clock(at)),
            _ => {
                let article = if date.day() == 2 { "со" } else { "с" };
                format!("{article} {}", day_and_month(date))
            }
        }
    }

    /// «№ 2026-000123, Родители, звонил пт 20.11, 19:40», before it the number where it may stand.
    fn who(&self, callback: &Callback) -> String {
        let mut parts = Vec::new();
        if self.personal_data {
            let number = callback.number_to_dial();
            parts.push(number.map_or_else(|| "номер скрыт".to_owned(), PhoneNumber::spaced));
        }
        if let Some(number) = &callback.registration_number {
            parts.push(format!("№ {number}"));
        }
        parts.push(self.lines.by_id(&callback.line).title.clone());
        parts.push(format!("обращение {}", self.listed(callback.received_at)));
        one_line(&parts.join(", "))
    }

    fn entry(&self, view: &CallbackView) -> String {
        let callback = &view.callback;
        let mut entry = self.who(callback);
        match callback.due_at {
            Some(due_at) if callback.is_overdue(self.now) => {
                entry.push_str(&format!(", просрочено, срок был {}", self.listed(due_at)));
            }
            Some(due_at) => entry.push_str(&format!(", срок {}", self.listed(due_at))),
            None => {}
        }
        let lengths: Vec<String> = view
            .voicemails
            .iter()
            .filter_map(|voicemail| voicemail.sound.as_ref())
            .map(|sound| {
                let seconds = (sound.length_ms + 500) / 1000;
                format!("{}:{:02}", seconds / 60, seconds % 60)
            })
            .collect();
        match (view.voicemails_count, lengths.is_empty()) {
            (0, _) => entry.push_str(", без сообщения"),
            (_, true) => entry.push_str(", есть сообщение"),
            (_, false) => entry.push_str(&format!(", сообщение {}", lengths.join(", "))),
        }
        match view.attempts().len() {
            0 => {}
            attempts => entry.push_str(&format!(", попыток {attempts}")),
        }
        for sibling in &view.siblings {
            entry.push_str(&format!(", ждёт также на линии «{}»", self.lines.by_id(&sibling.line).title));
        }
        if self.personal_data
            && let Some(summary) = callback.desk.notes.summary.as_deref().filter(|summary| !summary.trim().is_empty())
        {
            entry.push_str(&format!(". {}", one_line(summary)));
        }
        entry
    }

    fn footer(&self) -> String {
        let zone = match self.zone.iana_name() {
            Some("Europe/Moscow") | None => "Время московское.".to_owned(),
            Some(zone) => format!("Время: {zone}."),
        };
        let what = if self.personal_data {
            "В письме есть личные данные: не пересылайте его."
        } else {
            "Номеров, имён и текстов в письме нет: они в списке."
        };
        format!("\n{what} {zone}")
    }
}

fn counted(count: i64) -> String {
    format!("{count} {}", plural(count, CALLBACKS))
}

fn weekday(day: Weekday) -> &'static str {
    ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"]
        [day.to_monday_zero_offset() as usize]
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What people or providers wrote, without line breaks and read in its own order, so that it stays where it was put.
fn one_line(text: &str) -> String {
    in_order(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The text with the telephone numbers in it shortened to their last two digits.
fn without_numbers(text: &str) -> String {
    let is_spelling = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '\u{a0}');
    let mut shortened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '+') {
        let (before, from) = rest.split_at(start);
        shortened.push_str(before);
        let after_plus = from.strip_prefix('+').unwrap_or(from);
        let plus = from.len() - after_plus.len();
        let end = plus + after_plus.find(|c| !is_spelling(c)).unwrap_or(after_plus.len());
        let end = from[..end].trim_end_matches(|c: char| !c.is_ascii_digit()).len().max(1);
        let (spelt, after) = from.split_at(end);
        let digits: String = spelt.chars().filter(char::is_ascii_digit).collect();
        match digits.len() {
            ..=6 => shortened.push_str(spelt),
            count => {
                shortened.push('…');
                shortened.push_str(&digits[count - 2..]);
            }
        }
        rest = after;
    }
    shortened.push_str(rest);
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::{Calendar, Hours};

    fn at(text: &str) -> Timestamp {
        format!("{text}+03:00").parse().expect("an instant")
    }

    #[test]
    fn the_first_caller_is_named_by_his_weekday_while_it_is_clear_which() {
        let lines = Lines::new(Vec::new(), Calendar::new(Hours::default()));
        let zone = lines.default_calendar().time_zone();
        let desk = Desk { zone, now: at("2026-11-23T08:55:00"), lines: &lines, personal_data: false };
        for (instant, since) in [
            ("2026-11-23T07:15:00", "с 7:15"),
            ("2026-11-23T00:00:00", "с 0:00"),
            ("2026-11-22T23:59:00", "с воскресенья 23:59"),
            ("2026-11-20T19:40:00", "с пятницы 19:40"),
            ("2026-11-18T19:40:00", "со среды 19:40"),
            ("2026-11-17T18:01:00", "со вторника 18:01"),
            ("2026-11-16T18:01:00", "с 16 ноября"),
            ("2026-11-02T18:01:00", "со 2 ноября"),
        ] {
            assert_eq!(desk.since(at(instant)), since, "{instant}");
        }
        assert_eq!(desk.listed(at("2025-12-31T09:05:00")), "ср 31.12.2025, 9:05");
    }

    #[test]
    fn numbers_in_what_an_alarm_says_are_shortened_and_the_rest_stays() {
        for (told, expected) in [
            ("Звонок на номер «+78712000100», которого нет.", "Звонок на номер «…00», которого нет."),
            ("Номер 8 928 832-80-88 и 8 (928) 803-63-55.", "Номер …88 и …55."),
            ("С 23.11, 19:40, попыток 3 из 10.", "С 23.11, 19:40, попыток 3 из 10."),
            ("Ответ 404, ещё + и -", "Ответ 404, ещё + и -"),
            ("89288328088", "…88"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(told), expected);
        }
    }

    /// Threat: a caller's words begin a line of the letter, or turn round the number beside them.
    #[test]
    fn words_of_others_stay_in_their_line() {
        assert_eq!(
            one_line("Оценки\r\nСписок: https://evil.example\u{202e}!"),
            "Оценки  Список: https://evil.example!"
        );
    }
}
