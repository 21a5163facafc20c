//! `[mail]`: letters to the school's people. Without the section nobody is written to.

use url::Url;

use super::mistakes::{Notes, shown};
use super::places::is_loopback;
use super::providers::ReadFile;
use super::secret::secret;
use super::section::Section;
use super::tree::Node;
use crate::jobs::{MailSecurity, MailSettings, Mailbox, MailboxError, mailbox};
use crate::time::Time;

/// More readers than this are better served by a list of the mail server.
const MOST_READERS: usize = 20;

/// `None`: no such section, or something was noted. All keys are read before the first is missed.
pub(super) fn mail(
    root: &Node,
    public_url: Option<&str>,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Option<MailSettings> {
    let section = Section::of(root, "mail")?;
    let server = server(&section, notes);
    let login = login(&section, read_file, notes);
    let from = section
        .required("from", "Перезвон <perezvon@example.org>", notes)
        .and_then(|text| read_mailbox(text, &section.at("from"), notes));
    let to = mailboxes(&section, "to", notes);
    let alarms_to = mailboxes(&section, "alarms_to", notes);
    if section.texts("to").is_empty() && section.texts("alarms_to").is_empty() {
        let instead = "Напишите to = [\"имя@example.org\"] для утренних и вечерних писем, alarms_to для замечаний или \
                       уберите раздел";
        notes.add(&section.at("to"), "писать некому", instead);
    }
    let morning = time(&section, "morning", "08:55", notes);
    let evening = time(&section, "evening", "17:30", notes);
    let (host, port, security) = server?;
    Some(MailSettings {
        host,
        port,
        security,
        login,
        from: from?,
        to,
        alarms_to,
        morning,
        evening,
        personal_data: section.flag("personal_data").unwrap_or(false),
        public_url: public_url?.to_owned(),
    })
}

fn server(section: &Section<'_>, notes: &mut Notes) -> Option<(String, u16, MailSecurity)> {
    let text = section.required("smtp", "smtp://mail.example.org:587", notes)?;
    let at = section.at("smtp");
    let example = "Напишите \"smtp://узел:587\" или \"smtps://узел:465\"";
    let Ok(url) = Url::parse(text) else {
        notes.add(&at, format!("{} не адрес почтового сервера", shown(text)), example);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        notes.add(&at, "в адресе стоят имя или пароль", "Перенесите их в user и password или password_file");
        return None;
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    // The library that reads addresses knows hosts of web schemes only: localhost is a plain name here.
    let is_here = is_loopback(&url) || host.eq_ignore_ascii_case("localhost") || is_loopback_ip(&host);
    let (security, usual_port) = match url.scheme() {
        "smtps" => (MailSecurity::Tls, 465),
        "smtp" if is_here => (MailSecurity::Plain, 25),
        "smtp" => (MailSecurity::StartTls, 587),
        _ => {
            notes.add(&at, format!("{} не адрес почтового сервера", shown(text)), example);
            return None;
        }
    };
    if host.is_empty() || !is_bare {
        notes.add(&at, format!("в {} нужен только узел с портом", shown(text)), example);
        return None;
    }
    Some((host, url.port().unwrap_or(usual_port), security))
}

fn is_loopback_ip(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn login(section: &Section<'_>, read_file: ReadFile<'_>, notes: &mut Notes) -> Option<(String, String)> {
    let password = secret(section, "password", "пароля", read_file, notes);
    let has_password = section.has("password") || section.has("password_file");
    match section.text("user").filter(|user| !user.is_empty()) {
        Some(user) if has_password => Some((user.to_owned(), password?)),
        Some(_) => {
            let instead = "Добавьте password или password_file, а если сервер входа не просит, уберите user";
            notes.add(&section.at("user"), "нет пароля", instead);
            None
        }
        None if has_password => {
            let instead = "Добавьте user, обычно это адрес отправителя, или уберите пароль";
            notes.add(&section.at("user"), "есть пароль, а имени нет", instead);
            None
        }
        None => None,
    }
}

fn read_mailbox(text: &str, at: &super::mistakes::At, notes: &mut Notes) -> Option<Mailbox> {
    match mailbox(text) {
        Ok(mailbox) => Some(mailbox),
        Err(MailboxError::NotAnAddress) => {
            let instead = "Напишите \"имя@example.org\" или \"Название <имя@example.org>\"";
            notes.add(at, format!("{} не почтовый адрес", shown(text)), instead);
            None
        }
        Err(MailboxError::NotLatin) => {
            let instead = "Напишите адрес латинскими буквами, домен можно в виде xn--…";
            notes.add(at, format!("в адресе {} не только латинские буквы", shown(text)), instead);
            None
        }
    }
}

/// Each address once.
fn mailboxes(section: &Section<'_>, key: &str, notes: &mut Notes) -> Vec<Mailbox> {
    let mut readers: Vec<Mailbox> = Vec::new();
    for (at, text) in section.texts(key) {
        if let Some(reader) = read_mailbox(text, &at, notes)
            && !readers.iter().any(|known| known.email == reader.email)
        {
            readers.push(reader);
        }
    }
    if readers.len() > MOST_READERS {
        let instead = format!("Оставьте до {MOST_READERS} адресов или заведите рассылку на почтовом сервере");
        notes.add(&section.at(key), format!("адресов {}", readers.len()), instead);
    }
    readers
}

pub(super) fn time(section: &Section<'_>, key: &str, example: &str, notes: &mut Notes) -> Option<Time> {
    let text = section.text(key)?;
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let two = |part: &str| {
            let plain = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok())?
        };
        Time::new(two(hours)?, two(minutes).filter(|_| minutes.len() == 2)?, 0, 0).ok()
    };
    let time = read();
    if time.is_none() {
        notes.add(&section.at(key), format!("{} не время", shown(text)), format!("Напишите {key} = \"{example}\""));
    }
    time
}
