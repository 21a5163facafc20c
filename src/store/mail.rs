//! The outbox: letters written in one commit with the fact that they were planned, and sent by a job of the queue.

use sqlx::any::AnyRow;

use super::ids::first_id_at;
use super::jobs::{self, JobKind};
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Alarm, Result, Store, StoreError, callbacks};
use crate::core::callback::Callback;
use crate::time::{SignedDuration, Timestamp, from_millisecond};

/// How many callbacks or alarms one letter tells of. The rest come with the next one.
const IN_ONE_LETTER: i64 = 200;
/// How long sent letters and what was planned are remembered: far longer than a restored backup is old.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    Morning,
    Evening,
    Overdue,
    Alarm,
}

impl MailKind {
    pub const ALL: [Self; 4] = [Self::Morning, Self::Evening, Self::Overdue, Self::Alarm];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Morning => "morning",
            Self::Evening => "evening",
            Self::Overdue => "overdue",
            Self::Alarm => "alarm",
        }
    }
}

/// A letter to one reader, about to be kept.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// The mailbox as it was configured: `Имя <name@example.org>`.
    pub recipient: String,
    pub subject: String,
    pub body: String,
    /// Its file name and bytes.
    pub attachment: Option<(String, Vec<u8>)>,
}

/// A letter as it was kept.
#[derive(Clone, Debug)]
pub struct Mail {
    pub id: i64,
    pub kind: MailKind,
    pub recipient: String,
    pub subject: String,
    pub body: String,
    pub attachment: Option<(String, Vec<u8>)>,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
}

/// Letters, and what must be true for them to be written.
#[derive(Clone, Debug)]
pub struct MailPlan {
    pub kind: MailKind,
    /// The day of a digest: planned once for ever. Empty: collected, and planned again after the `pause`.
    pub day: String,
    pub pause: SignedDuration,
    pub mails: Vec<NewMail>,
    /// What the letters tell, so that no later one does.
    pub overdue: Vec<i64>,
    pub alarms: Vec<i64>,
    pub alarms_over: Vec<i64>,
}

/// What waits, for a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: i64,
    /// When the first of them called.
    pub first_received_at: Option<Timestamp>,
    /// Put off to a later day; not in `count`.
    pub put_off: i64,
}

impl Store {
    /// Whether this was planned already; a collected one, within the pause.
    pub async fn mail_is_planned(
        &self,
        kind: MailKind,
        day: &str,
        pause: SignedDuration,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(row) =
            sqlx::query(READ_PLAN).bind(kind.as_str()).bind(day.to_owned()).fetch_optional(&self.readers).await?
        else {
            return Ok(false);
        };
        let planned_at = Columns::of("mail_plan", &row).time("planned_at")?;
        // A collected one of the future was planned by a clock that ran ahead.
        Ok(!day.is_empty() || planned_at <= now && planned_at > before(now, pause))
    }

    /// Keeps the letters, plans their sending and marks what they tell, all in one commit. `false`: somebody has planned
    /// the same already, and nothing was kept.
    pub async fn plan_mail(&self, plan: MailPlan, now: Timestamp) -> Result<bool> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let is_digest = !plan.day.is_empty();
                let (again_from, again_to) = match is_digest {
                    true => (i64::MIN, i64::MAX),
                    false => (before(now, plan.pause).as_millisecond(), now.as_millisecond()),
                };
                let won = sqlx::query(PLAN)
                    .bind(plan.kind.as_str())
                    .bind(plan.day.clone())
                    .bind(now.as_millisecond())
                    .bind(again_from)
                    .bind(again_to)
                    .fetch_optional(&mut *writing.sql)
                    .await?;
                if won.is_none() {
                    return Ok::<_, StoreError>(false);
                }
                let about = if is_digest { plan.day } else { now.as_millisecond().to_string() };
                for mail in plan.mails {
                    keep(&mut writing, plan.kind, &about, mail, now).await?;
                }
                let marks =
                    [(MARK_OVERDUE, plan.overdue), (MARK_ALARM, plan.alarms), (MARK_ALARM_OVER, plan.alarms_over)];
                for (statement, ids) in marks {
                    for id in ids {
                        sqlx::query(statement).bind(id).bind(now.as_millisecond()).execute(&mut *writing.sql).await?;
                    }
                }
                let old = before(now, REMEMBERED);
                sqlx::query(FORGET_MAIL).bind(first_id_at(old)).execute(&mut *writing.sql).await?;
                sqlx::query(FORGET_PLANS).bind(old.as_millisecond()).execute(&mut *writing.sql).await?;
                sqlx::query(FORGET_OVERDUE).bind(old.as_millisecond()).execute(&mut *writing.sql).await?;
                Ok(true)
            })
        })
        .await
    }

    pub async fn mail(&self, id: i64) -> Result<Option<Mail>> {
        let row = sqlx::query(READ_MAIL).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The server has taken it. What it said is not kept any longer.
    pub async fn mail_sent(&self, id: i64, now: Timestamp) -> Result<()> {
        self.empty_mail(id, Some(now)).await
    }

    /// It will never be sent. What it said is not kept any longer.
    pub async fn mail_given_up(&self, id: i64) -> Result<()> {
        self.empty_mail(id, None).await
    }

    async fn empty_mail(&self, id: i64, sent_at: Option<Timestamp>) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                let sent_at = sent_at.map(Timestamp::as_millisecond);
                sqlx::query(EMPTY_MAIL).bind(id).bind(sent_at).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Everybody who is to be called by `until`, as the list of that instant has them: those put off for longer wait for
    /// another day.
    pub async fn waiting_until(&self, until: Timestamp) -> Result<Waiting> {
        let row = sqlx::query(SUM_WAITING).bind(until.as_millisecond()).fetch_one(&self.readers).await?;
        let columns = Columns::of("callback", &row);
        Ok(Waiting {
            count: columns.get("waiting")?,
            first_received_at: columns.get::<Option<i64>>("first_received_at")?.map(from_millisecond),
            put_off: columns.get("put_off")?,
        })
    }

    /// Callbacks that are overdue and were not told yet, earliest due first, at most 200.
    pub async fn overdue_untold(&self, now: Timestamp) -> Result<Vec<Callback>> {
        let rows =
            sqlx::query(OVERDUE_UNTOLD).bind(now.as_millisecond()).bind(IN_ONE_LETTER).fetch_all(&self.readers).await?;
        rows.iter().map(callbacks::read).collect()
    }

    /// Open alarms that were not told by e-mail, and told ones that are over; oldest first, at most 200 of each. Alarms
    /// about the mail itself are left out: the mail cannot tell them.
    pub async fn alarms_untold(&self) -> Result<(Vec<Alarm>, Vec<Alarm>)> {
        let raised = sqlx::query(ALARMS_UNTOLD).bind(IN_ONE_LETTER).fetch_all(&self.readers).await?;
        let over = sqlx::query(ALARMS_OVER_UNTOLD).bind(IN_ONE_LETTER).fetch_all(&self.readers).await?;
        let read = |rows: Vec<AnyRow>| rows.iter().map(super::alarms::read).collect::<Result<Vec<_>>>();
        Ok((read(raised)?, read(over)?))
    }
}

fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

async fn keep(writing: &mut Writing<'_>, kind: MailKind, about: &str, mail: NewMail, now: Timestamp) -> Result<()> {
    let id = writing.new_id(now);
    let (attachment_name, attachment) = mail.attachment.unzip();
    let kept = sqlx::query(KEEP_MAIL)
        .bind(id)
        .bind(kind.as_str())
        .bind(about.to_owned())
        .bind(mail.recipient)
        .bind(mail.subject)
        .bind(mail.body)
        .bind(attachment_name)
        .bind(attachment)
        .bind(now.as_millisecond())
        .execute(&mut *writing.sql)
        .await?;
    if kept.rows_affected() > 0 {
        let job_id = writing.new_id(now);
        jobs::plan_one(writing.sql, job_id, JobKind::SendMail, id, now).await?;
    }
    Ok(())
}

fn read(row: &AnyRow) -> Result<Mail> {
    let columns = Columns::of("mail", row);
    let name: Option<String> = columns.get("attachment_name")?;
    let bytes: Option<Vec<u8>> = columns.get("attachment")?;
    Ok(Mail {
        id: columns.get("id")?,
        kind: columns.parsed("kind", |word| MailKind::ALL.into_iter().find(|kind| kind.as_str() == word))?,
        recipient: columns.get("recipient")?,
        subject: columns.get("subject")?,
        body: columns.get("body")?,
        attachment: name.zip(bytes),
        created_at: columns.time("created_at")?,
        sent_at: columns.optional_time("sent_at")?,
    })
}

statements! {
    READ_PLAN = "SELECT planned_at FROM mail_plan WHERE kind = $1 AND about = $2";
    /// A row comes back to the one who planned it: the first of all, or the first after the pause.
    PLAN = "
        INSERT INTO mail_plan (kind, about, planned_at) VALUES ($1, $2, $3)
        ON CONFLICT (kind, about) DO UPDATE SET planned_at = excluded.planned_at
        WHERE mail_plan.planned_at <= $4 OR mail_plan.planned_at > $5
        RETURNING kind";
    KEEP_MAIL = "
        INSERT INTO mail (id, kind, about, recipient, subject, body, attachment_name, attachment, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (kind, about, recipient) DO NOTHING";
    READ_MAIL = "SELECT * FROM mail WHERE id = $1";
    EMPTY_MAIL = "
        UPDATE mail SET sent_at = COALESCE(sent_at, $2), body = '', attachment = NULL, attachment_name = NULL
        WHERE id = $1";
    MARK_OVERDUE = "
        INSERT INTO overdue_told (callback_id, told_at) VALUES ($1, $2)
        ON CONFLICT (callback_id) DO NOTHING";
    MARK_ALARM = "UPDATE alarm SET mailed_at = $2 WHERE id = $1 AND mailed_at IS NULL";
    MARK_ALARM_OVER = "UPDATE alarm SET over_mailed_at = $2 WHERE id = $1 AND over_mailed_at IS NULL";
    FORGET_MAIL = "DELETE FROM mail WHERE id < $1";
    FORGET_PLANS = "DELETE FROM mail_plan WHERE planned_at < $1";
    /// What is still open was told and stays so.
    FORGET_OVERDUE = "
        DELETE FROM overdue_told
        WHERE told_at < $1
          AND callback_id NOT IN (SELECT id FROM callback WHERE closed_at IS NULL AND due_at < $1)";
    SUM_WAITING = "
        SELECT
            CAST(COALESCE(SUM(CASE WHEN state = 'later' AND until_at > $1 THEN 0 ELSE 1 END), 0) AS BIGINT) AS waiting,
            CAST(COALESCE(SUM(CASE WHEN state = 'later' AND until_at > $1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS put_off,
            MIN(CASE WHEN state = 'later' AND until_at > $1 THEN NULL ELSE received_at END) AS first_received_at
        FROM callback
        WHERE closed_at IS NULL";
    OVERDUE_UNTOLD = "
        SELECT callback.* FROM callback
        LEFT JOIN overdue_told ON overdue_told.callback_id = callback.id
        WHERE callback.closed_at IS NULL AND callback.due_at < $1 AND overdue_told.callback_id IS NULL
        ORDER BY callback.due_at, callback.received_at, callback.id
        LIMIT $2";
    ALARMS_UNTOLD = "
        SELECT id, kind, subject, told, raised_at FROM alarm
        WHERE cleared_at IS NULL AND mailed_at IS NULL AND kind <> 'mail'
        ORDER BY id
        LIMIT $1";
    ALARMS_OVER_UNTOLD = "
        SELECT id, kind, subject, told, raised_at FROM alarm
        WHERE cleared_at IS NOT NULL AND seen_at IS NULL AND mailed_at IS NOT NULL AND over_mailed_at IS NULL
        ORDER BY id
        LIMIT $1";
}
