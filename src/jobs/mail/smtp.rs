//! One letter over SMTP. The connection is used step by step, for only the answer to the letter itself says whether it was
//! taken: a server that hangs up afterwards has it all the same.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, MultiPart, MultiPartKind, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, transport::smtp};

use super::settings::{MailSecurity, MailSettings, mailbox};
use crate::store::Mail;

/// The longest the sending of one letter may take, with connecting: a minute is five times what slow servers need.
const WITHIN: Duration = Duration::from_secs(60);
/// The longest an administrator waits for the answer of `perezvon check`.
const TRIED_WITHIN: Duration = Duration::from_secs(10);
/// The longest the parting word may take. It changes nothing.
const PARTING: Duration = Duration::from_secs(2);

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the mail server {}", in_short(.0))]
    Smtp(#[from] smtp::Error),
    #[error("the mail server does not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// No try will change it.
    #[error("the letter cannot be written: {0}")]
    Unusable(String),
}

impl SendError {
    /// The same for people: the end of a Russian sentence, without its full stop.
    pub fn in_words(&self) -> String {
        match self {
            Self::Silent(within) => format!("почтовый сервер не отвечает {} с", within.as_secs()),
            Self::Unusable(_) => "письмо не складывается, проверьте адреса".to_owned(),
            Self::Smtp(error) => match error.status().map(|code| code.to_string()).as_deref() {
                Some("530" | "534" | "535" | "538") => "сервер не принял имя или пароль (user, password)".to_owned(),
                Some(code) => format!("сервер ответил отказом {code}: {}", one_line(&chain(error))),
                None if error.is_tls() => {
                    format!("защищённое соединение не получилось: {}", one_line(&chain(error)))
                }
                None => format!("сервер недоступен: {}", why_unreachable(error)),
            },
        }
    }
}

/// In Russian where the reason is a usual one.
fn why_unreachable(error: &smtp::Error) -> String {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    match causes.find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "на этом порту его нет".to_owned(),
        Some(ErrorKind::TimedOut) => "он не отвечает".to_owned(),
        Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => "он прервал разговор".to_owned(),
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "до него нет пути по сети".to_owned(),
        _ => one_line(&chain(error)),
    }
}

/// The same for the log. Of what a server says only the codes: its words may quote a letter, or name who gets it.
fn in_short(error: &smtp::Error) -> String {
    let Some(code) = error.status() else { return format!("cannot be reached: {}", chain(error)) };
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let of_its_own = words.split(' ').next().filter(|word| word.chars().all(|c| c.is_ascii_digit() || c == '.'));
    format!("answered {code} {}", of_its_own.unwrap_or_default()).trim_end().to_owned()
}

/// What an error says with its causes. Servers repeat no passwords.
fn chain(error: &smtp::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn one_line(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether the server can be reached, encrypts, and lets us in: the end of a sentence that begins with «Почта». No letter
/// is sent. At most ten seconds.
pub async fn try_mail(settings: &MailSettings) -> Result<String, String> {
    let trying = async {
        let mut connection = connect(settings).await?;
        let is_there = connection.test_connected().await;
        part(&mut connection).await;
        Ok::<_, SendError>(is_there)
    };
    let tried = tokio::time::timeout(TRIED_WITHIN, trying).await.unwrap_or(Err(SendError::Silent(TRIED_WITHIN)));
    let server = format!("{}:{}", settings.host, settings.port);
    match tried {
        Ok(true) => Ok(format!("сервер {server} отвечает и принимает вход")),
        Ok(false) => Err(format!("сервер {server} прервал разговор. Проверьте smtp")),
        Err(error) => Err(format!("{} ({server}). Проверьте раздел [mail]", error.in_words())),
    }
}

/// Returns once the server has taken the letter. An error may also mean that its answer was lost: then it has the letter,
/// and will get it again under the same `Message-ID`.
pub(super) async fn send(settings: &MailSettings, mail: &Mail) -> Result<(), SendError> {
    let message = message(settings, mail)?;
    let sending = async {
        let mut connection = connect(settings).await?;
        connection.send(message.envelope(), &message.formatted()).await?;
        part(&mut connection).await;
        Ok(())
    };
    tokio::time::timeout(WITHIN, sending).await.unwrap_or(Err(SendError::Silent(WITHIN)))
}

async fn connect(settings: &MailSettings) -> Result<AsyncSmtpConnection, SendError> {
    // Two parts of this program may ask for it; the second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hello = ClientId::Domain(settings.from.email.domain().to_owned());
    let server = (settings.host.as_str(), settings.port);
    let tls = || TlsParameters::new(settings.host.clone());
    let at_once = match settings.security {
        MailSecurity::Tls => Some(tls()?),
        MailSecurity::Plain | MailSecurity::StartTls => None,
    };
    let mut connection = AsyncSmtpConnection::connect_tokio1(server, Some(WITHIN), &hello, at_once, None).await?;
    if settings.security == MailSecurity::StartTls {
        connection.starttls(tls()?, &hello).await?;
    }
    if let Some((user, password)) = &settings.login {
        let credentials = Credentials::new(user.clone(), password.clone());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

async fn part(connection: &mut AsyncSmtpConnection) {
    let _ = tokio::time::timeout(PARTING, connection.quit()).await;
}

/// The letter as it goes over the wire: the same bytes in every try.
fn message(settings: &MailSettings, mail: &Mail) -> Result<Message, SendError> {
    let unusable = |what: &dyn std::fmt::Display| SendError::Unusable(what.to_string());
    let to = mailbox(&mail.recipient).map_err(|error| unusable(&error))?;
    let made_at = Duration::from_millis(u64::try_from(mail.created_at.as_millisecond()).unwrap_or(0));
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let builder = Message::builder()
        .from(settings.from.clone())
        .to(to)
        .subject(one_line(&mail.subject))
        .date(SystemTime::UNIX_EPOCH + made_at)
        .message_id(Some(format!("<perezvon.{}.{}@{}>", mail.kind.as_str(), mail.id, settings.from.email.domain())))
        // Nobody's «I am on holiday» comes back.
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    let written = match &mail.attachment {
        None => builder.singlepart(SinglePart::plain(mail.body.clone())),
        Some((name, bytes)) => {
            let kind = match name.ends_with(".xlsx") {
                true => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                false => "application/octet-stream",
            };
            let kind = ContentType::parse(kind).map_err(|error| unusable(&error))?;
            let attachment = Attachment::new(name.clone()).body(bytes.clone(), kind);
            // A mark of our own between the parts: the library's would be another one in every try.
            let parts = MultiPart::builder().kind(MultiPartKind::Mixed).boundary(format!("perezvon-{}", mail.id));
            builder.multipart(parts.singlepart(SinglePart::plain(mail.body.clone())).singlepart(attachment))
        }
    };
    written.map_err(|error| unusable(&error))
}
