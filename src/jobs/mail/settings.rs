//! Where letters go, and what they may say.

use std::fmt;

pub use lettre::message::Mailbox;

use crate::core::written_text::in_order;
use crate::time::Time;

/// How the connection to the mail server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// Not at all: this very machine only.
    Plain,
    /// Begun plain and encrypted before anything is said; no letter goes if the server cannot.
    StartTls,
    /// Encrypted from the first byte.
    Tls,
}

/// The section `[mail]`. Its `Debug` holds no password.
#[derive(Clone)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    /// User and password, if the server asks for them.
    pub login: Option<(String, String)>,
    pub from: Mailbox,
    /// Who gets the list in the morning and in the evening.
    pub to: Vec<Mailbox>,
    /// Who is told what is overdue or broken.
    pub alarms_to: Vec<Mailbox>,
    /// By the clock of the school. `None`: five minutes before the working time begins.
    pub morning: Option<Time>,
    /// `None`: half an hour before it ends.
    pub evening: Option<Time>,
    /// Whether numbers, names and texts may stand in a letter.
    pub personal_data: bool,
    /// Where the list is, without a slash at the end.
    pub public_url: String,
}

impl fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailSettings")
            .field("server", &format_args!("{}:{}", self.host, self.port))
            .field("security", &self.security)
            .field("login", &self.login.as_ref().map(|_| "hidden"))
            .field("personal_data", &self.personal_data)
            .finish_non_exhaustive()
    }
}

/// Why a text is no mailbox that a letter can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    #[error("not a mail address")]
    NotAnAddress,
    /// Most servers take Latin letters in an address only; the name before it may be of any.
    #[error("the address has letters other than Latin ones")]
    NotLatin,
}

/// Reads `name@example.org` or `Имя <name@example.org>`. A line break or another control character makes it no mailbox.
pub fn mailbox(text: &str) -> Result<Mailbox, MailboxError> {
    if text.chars().any(char::is_control) {
        return Err(MailboxError::NotAnAddress);
    }
    // The library wants quotes around most names; people leave them out.
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (in_order(name.trim().trim_matches('"').trim()), address.trim()),
        None => (String::new(), text.trim()),
    };
    let email: lettre::Address = address.parse().map_err(|_| MailboxError::NotAnAddress)?;
    if !address.is_ascii() {
        return Err(MailboxError::NotLatin);
    }
    Ok(Mailbox::new((!name.is_empty()).then_some(name), email))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_an_address_with_or_without_a_name() {
        let read = |text: &str| mailbox(text).map(|mailbox| (mailbox.name, mailbox.email.to_string()));
        assert_eq!(read("director@school.ru"), Ok((None, "director@school.ru".to_owned())));
        assert_eq!(read("Мадина И. <m.i@school.ru>"), Ok((Some("Мадина И.".to_owned()), "m.i@school.ru".to_owned())));
        assert_eq!(read("\"Перезвон\" <p@school.ru>"), Ok((Some("Перезвон".to_owned()), "p@school.ru".to_owned())));
        for bad in [
            "",
            "школа",
            "a@",
            "a@b@c",
            "a b@school.ru",
            "a@school.ru\nBcc: x@y.ru",
            "<a@school.ru>\r\n",
            "a@b.ru, c@d.ru",
        ] {
            assert_eq!(read(bad), Err(MailboxError::NotAnAddress), "{bad:?}");
        }
        assert_eq!(read("почта@school.ru"), Err(MailboxError::NotLatin));
    }

    #[test]
    fn the_password_is_never_printed() {
        let settings = MailSettings {
            host: "mail.school.ru".to_owned(),
            port: 587,
            security: MailSecurity::StartTls,
            login: Some(("perezvon".to_owned(), "s3cret".to_owned())),
            from: mailbox("p@school.ru").unwrap(),
            to: Vec::new(),
            alarms_to: Vec::new(),
            morning: None,
            evening: None,
            personal_data: false,
            public_url: String::new(),
        };
        let printed = format!("{settings:?}");
        assert!(printed.contains("mail.school.ru:587") && !printed.contains("s3cret"), "{printed}");
    }
}
