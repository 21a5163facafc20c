//! Letters by e-mail: the list before the working day, what is left before its end, what became overdue, and faults.
//!
//! [`Worker::plan_mail`] looks what is to be told and keeps it in the outbox, in one commit with the fact that it was
//! planned; a job of the queue sends it. So a restart or a second worker makes no second letter, and a lost connection
//! no lost one.

mod attachment;
mod days;
mod letters;
mod settings;
mod smtp;

use tracing::{error, info, warn};

use self::days::{Digest, WorkingDay};
use self::letters::Letter;
pub use self::settings::{MailSecurity, MailSettings, Mailbox, MailboxError, mailbox};
use self::smtp::SendError;
pub use self::smtp::try_mail;
use super::{Ended, Worker};
use crate::store::{Alarm, DeskFilter, DeskPart, Job, Mail, MailKind, MailPlan, NewMail, StoreError};
use crate::time::{SignedDuration, Timestamp};

/// Overdue callbacks are collected: at most one letter in this time.
const OVERDUE_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// So are alarms: one that comes and goes fills nobody's mailbox.
const ALARM_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// A letter that could not be sent for this long is of no use any more.
const HOPELESS_MS: i64 = 24 * 3_600_000;
/// After this long somebody is told.
const LATE_MS: i64 = 3_600_000;
/// How many callbacks a letter lists.
const LISTED: usize = 200;

/// Sends a letter to whoever gets alarms, past the outbox: for when there is no database to keep it in. The error is the last
/// one.
pub(super) async fn send_notice(
    settings: &MailSettings,
    subject: &str,
    body: &str,
    now: Timestamp,
) -> Result<(), String> {
    let mut result = Ok(());
    for (id, recipient) in (now.as_millisecond()..).zip(&settings.alarms_to) {
        let mail = Mail {
            id,
            kind: MailKind::Alarm,
            recipient: recipient.to_string(),
            subject: subject.to_owned(),
            body: body.to_owned(),
            attachment: None,
            created_at: now,
            sent_at: None,
        };
        if let Err(failed) = smtp::send(settings, &mail).await {
            result = Err(failed.in_words());
        }
    }
    result
}

impl Worker {
    /// Keeps every letter whose time has come. Asked each minute; a letter is planned once, whoever asks.
    pub async fn plan_mail(&self) -> Result<(), StoreError> {
        let Some(settings) = &self.mail else { return Ok(()) };
        let now = self.clock.now();
        if !settings.to.is_empty() {
            let lines = self.store.lines();
            if let Some(day) = WorkingDay::at(&lines, now) {
                for digest in day.digests(settings.morning, settings.evening, now) {
                    self.plan_digest(settings, &day, digest, now).await?;
                }
            }
        }
        if !settings.alarms_to.is_empty() {
            self.plan_overdue(settings, now).await?;
            self.plan_alarms(settings, now).await?;
        }
        Ok(())
    }

    async fn plan_digest(
        &self,
        settings: &MailSettings,
        day: &WorkingDay,
        digest: Digest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let kind = match digest {
            Digest::Morning => MailKind::Morning,
            Digest::Evening => MailKind::Evening,
        };
        let date = day.date.to_string();
        if self.store.mail_is_planned(kind, &date, SignedDuration::ZERO, now).await? {
            return Ok(());
        }
        let waiting = self.store.waiting_until(day.end).await?;
        let letter = match waiting.count {
            0 => None,
            _ => {
                let filter = DeskFilter { part: DeskPart::ToCall, line: None, after: None, limit: LISTED };
                let listed = self.store.desk_page(&filter, day.end).await?.items;
                let lines = self.store.lines();
                let mut letter = Letter::digest(settings, &lines, day, digest, waiting, &listed, now);
                if digest == Digest::Morning {
                    if let Some(head) = self.store.audit_head().await? {
                        letter = letter.with_audit_head(head);
                    }
                    match attachment::table(&listed, &lines, &day.zone, settings.personal_data) {
                        Ok(table) => letter.attachment = Some((format!("perezvon-{date}.xlsx"), table)),
                        // The list stands in the letter as well.
                        Err(failed) => error!(error = %failed, "The table of a letter could not be made"),
                    }
                }
                Some(letter)
            }
        };
        self.keep_letters(kind, &date, SignedDuration::ZERO, letter, &settings.to, Told::default(), now).await
    }

    async fn plan_overdue(&self, settings: &MailSettings, now: Timestamp) -> Result<(), StoreError> {
        if self.store.mail_is_planned(MailKind::Overdue, "", OVERDUE_PAUSE, now).await? {
            return Ok(());
        }
        let overdue = self.store.overdue_untold(now).await?;
        if overdue.is_empty() {
            return Ok(());
        }
        let letter = Letter::overdue(settings, &self.store.lines(), &overdue, now);
        let told = Told { overdue: overdue.iter().map(|callback| callback.id).collect(), ..Told::default() };
        self.keep_letters(MailKind::Overdue, "", OVERDUE_PAUSE, Some(letter), &settings.alarms_to, told, now).await
    }

    async fn plan_alarms(&self, settings: &MailSettings, now: Timestamp) -> Result<(), StoreError> {
        if self.store.mail_is_planned(MailKind::Alarm, "", ALARM_PAUSE, now).await? {
            return Ok(());
        }
        let (raised, over) = self.store.alarms_untold().await?;
        if raised.is_empty() && over.is_empty() {
            return Ok(());
        }
        let letter = Letter::alarms(settings, &self.store.lines(), &raised, &over, now);
        let ids = |alarms: &[Alarm]| alarms.iter().map(|alarm| alarm.id).collect();
        let told = Told { alarms: ids(&raised), alarms_over: ids(&over), ..Told::default() };
        self.keep_letters(MailKind::Alarm, "", ALARM_PAUSE, Some(letter), &settings.alarms_to, told, now).await
    }

    #[expect(clippy::too_many_arguments, reason = "one commit is made of all of them, and three places make one")]
    async fn keep_letters(
        &self,
        kind: MailKind,
        day: &str,
        pause: SignedDuration,
        letter: Option<Letter>,
        to: &[Mailbox],
        told: Told,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mails: Vec<NewMail> = letter.iter().flat_map(|letter| to.iter().map(|to| letter.to(to))).collect();
        let count = mails.len();
        let Told { overdue, alarms, alarms_over } = told;
        let plan = MailPlan { kind, day: day.to_owned(), pause, mails, overdue, alarms, alarms_over };
        if self.store.plan_mail(plan, now).await? && count > 0 {
            info!(mail.kind = kind.as_str(), count, "Planned {count} letters of the kind {}", kind.as_str());
        }
        Ok(())
    }

    /// Sends a letter of the outbox. Its `Message-ID` stays the same in every try, so that a second copy after an answer
    /// that never came can be told from a second letter.
    pub(super) async fn send_mail(&self, job: &Job) -> Ended {
        let mail = match self.store.mail(job.subject).await {
            Ok(Some(mail)) if mail.sent_at.is_none() => mail,
            Ok(_) => return Ended::Done,
            Err(failed) => return failed.into(),
        };
        let now = self.clock.now();
        let Some(settings) = &self.mail else {
            return self.give_up_mail(mail.id, "mail is configured no longer".to_owned()).await;
        };
        match smtp::send(settings, &mail).await {
            Ok(()) => {
                if let Err(failed) = self.store.clear_alarm("mail", &mail.recipient, now).await {
                    warn!(error = %failed, "An alarm of the mail could not be cleared");
                }
                metrics::counter!("perezvon_mail_sent_total", "kind" => mail.kind.as_str()).increment(1);
                match self.store.mail_sent(mail.id, now).await {
                    Ok(()) => Ended::Done,
                    Err(failed) => failed.into(),
                }
            }
            Err(error) => {
                let age_ms = self.age_ms(job);
                metrics::counter!("perezvon_mail_failed_total", "kind" => mail.kind.as_str()).increment(1);
                if matches!(error, SendError::Unusable(_)) || age_ms > HOPELESS_MS {
                    let told = format!("Письмо не отправлено: {}. Проверьте раздел [mail].", error.in_words());
                    self.mail_alarm(&mail, &told, now).await;
                    return self.give_up_mail(mail.id, error.to_string()).await;
                }
                if age_ms >= LATE_MS {
                    let told = format!("Почта не уходит уже час: {}. Попытки продолжаются.", error.in_words());
                    self.mail_alarm(&mail, &told, now).await;
                }
                warn!(mail.id, error = %error, "A letter could not be sent; trying again");
                Ended::Later(error.to_string())
            }
        }
    }

    /// One alarm for each reader: a good address does not make a bad one good.
    async fn mail_alarm(&self, mail: &Mail, told: &str, now: Timestamp) {
        if let Err(failed) = self.store.raise_alarm("mail", &mail.recipient, told, now).await {
            error!(error = %failed, "An alarm of the mail could not be kept; the next try tells it again");
        }
    }

    async fn give_up_mail(&self, id: i64, reason: String) -> Ended {
        match self.store.mail_given_up(id).await {
            Ok(()) => Ended::GivenUp(reason),
            Err(failed) => failed.into(),
        }
    }
}

/// What a letter tells, so that no later one does.
#[derive(Default)]
struct Told {
    overdue: Vec<i64>,
    alarms: Vec<i64>,
    alarms_over: Vec<i64>,
}
