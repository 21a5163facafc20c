//! One caller is forgotten: his number goes from every table, his messages and what was written about him with it. In its place
//! stands a random number that nobody can dial, so that reports and replays stay true. The list of forgotten numbers knows
//! only keyed digests; a restored backup of before is gone through with it.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::personal::{Pseudonyms, Traces, ids, keyed_digest, random_bytes, traces, with_stand_in};
use super::sql::{Columns, statements};
use super::writer::{WriteError, Writing};
use super::{Result, Store, StoreError, audit, redact, search, voicemails};
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::core::redaction::Redaction;
use crate::time::Timestamp;

/// Why a message of a forgotten caller is gone, as its row says.
const REASON: &str = "стёрто вместе со всем об этом номере";
/// Calls, callbacks or deliveries erased in one commit, which others wait for.
const CHUNK: usize = 20;

/// What is erased of a number: how many rows of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgetCounts {
    pub calls: usize,
    pub callbacks: usize,
    pub voicemails: usize,
    pub deliveries: usize,
    pub contacts: usize,
    /// Rows about others that name the number.
    pub mentions: usize,
}

impl ForgetCounts {
    fn of(traces: &Traces) -> Self {
        let mentions = &traces.mentions;
        Self {
            calls: traces.calls.len(),
            callbacks: traces.callbacks.len(),
            voicemails: traces.voicemails.len(),
            deliveries: traces.deliveries.len(),
            contacts: traces.contacts.len(),
            mentions: mentions.calls.len()
                + mentions.voicemails.len()
                + mentions.callbacks.len()
                + mentions.steps.len()
                + mentions.contacts.len()
                + mentions.blocked.len()
                + mentions.audit.len()
                + mentions.mails.len()
                + mentions.alarms.len()
                + mentions.jobs.len()
                + traces.placed_calls.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line of the list of forgotten numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForgottenNumber {
    /// The key of the digest.
    pub salt: Vec<u8>,
    /// HMAC-SHA256 of the number as E.164.
    pub digest: Vec<u8>,
    pub forgotten_at: Timestamp,
}

impl ForgottenNumber {
    fn new(number: &PhoneNumber, now: Timestamp) -> Self {
        let salt = random_bytes::<16>().to_vec();
        Self { digest: keyed_digest(&salt, number).to_vec(), salt, forgotten_at: now }
    }

    pub fn is(&self, number: &PhoneNumber) -> bool {
        keyed_digest(&self.salt, number)[..] == self.digest
    }
}

/// Why a number is not forgotten now.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The callbacks of the number that are open.
    #[error("the caller waits for a call: {0:?}")]
    Waiting(Vec<i64>),
    #[error("a call of this number goes on")]
    CallGoesOn,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ForgetError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl WriteError for ForgetError {
    fn as_store_error(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

/// What happens to a caller who still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Nothing is erased: no caller is forgotten who waits for a call.
    Refuses,
    /// His callback is closed: he was forgotten after it was, and an old backup has brought it back.
    Closes,
}

impl Store {
    /// What forgetting this number would erase, or why it cannot be forgotten now. Changes nothing.
    pub async fn forget_preview(&self, number: &PhoneNumber) -> Result<ForgetCounts, ForgetError> {
        let mut connection = self.readers.acquire().await?;
        let numbers = with_stand_in(&mut connection, number).await?;
        refuse_waiting(&mut connection, &numbers).await?;
        Ok(ForgetCounts::of(&traces(&mut connection, &numbers).await?))
    }

    /// Erases all about this number, chunk by chunk. Broken off, it goes on where it was when it is asked for again. Files of
    /// messages are taken away afterwards ([`Store::files_to_erase`]).
    pub async fn forget(
        &self,
        number: &PhoneNumber,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<ForgetCounts, ForgetError> {
        let (counts, stand_in) = self.erase_number(number, Waiting::Refuses, now).await?;
        let (by, address) = (by.clone(), address.to_owned());
        let detail = format!(
            "звонков {}, обращений {}, записей {}, запросов {}, упоминаний {}",
            counts.calls, counts.callbacks, counts.voicemails, counts.deliveries, counts.mentions
        );
        self.write(move |mut writing| {
            Box::pin(async move {
                audit::keep(&mut writing, &by, "forget", "caller", &detail, &address, now);
                end(writing.sql, &stand_in, now).await
            })
        })
        .await?;
        Ok(counts)
    }

    /// The list of forgotten numbers, oldest first.
    pub async fn forgotten(&self) -> Result<Vec<ForgottenNumber>> {
        let rows = sqlx::query(LIST_FORGOTTEN).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// Takes the list of another place into this database, and erases those on it who were forgotten at `since` or later: a
    /// backup of that instant has brought them back. The answer is how many.
    pub async fn forget_again(&self, list: &[ForgottenNumber], since: Timestamp, now: Timestamp) -> Result<usize> {
        let known: BTreeSet<ForgottenNumber> = self.forgotten().await?.into_iter().collect();
        let new: Vec<ForgottenNumber> = list.iter().filter(|it| !known.contains(*it)).cloned().collect();
        for forgotten in new.clone() {
            self.write(move |writing| {
                Box::pin(async move {
                    keep(writing.sql, &forgotten, None).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        }
        let list: Vec<&ForgottenNumber> = list.iter().filter(|forgotten| forgotten.forgotten_at >= since).collect();
        let mut count = 0;
        for number in self.known_numbers().await? {
            if list.iter().any(|forgotten| forgotten.is(&number)) {
                match self.erase_number(&number, Waiting::Closes, now).await {
                    Ok((_, stand_in)) => {
                        self.write(move |writing| Box::pin(async move { end(writing.sql, &stand_in, now).await }))
                            .await?;
                        count += 1;
                    }
                    Err(ForgetError::Store(failed)) => return Err(failed),
                    Err(ForgetError::Waiting(_) | ForgetError::CallGoesOn) => {}
                }
            }
        }
        self.write(move |writing| {
            Box::pin(async move {
                for ForgottenNumber { salt, forgotten_at, .. } in new {
                    let query = sqlx::query(END_WHAT_ENDED).bind(salt).bind(forgotten_at.as_millisecond());
                    query.execute(&mut *writing.sql).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await?;
        Ok(count)
    }

    /// Every number that a call, a callback or a contact names.
    async fn known_numbers(&self) -> Result<BTreeSet<PhoneNumber>> {
        let mut numbers = BTreeSet::new();
        for statement in [NUMBERS_OF_CALLS, NUMBERS_OF_CALLBACKS, NUMBERS_OF_CONTACTS, NUMBERS_BLOCKED] {
            for row in sqlx::query(statement).fetch_all(&self.readers).await? {
                let text: String = Columns::of("call", &row).get("number")?;
                numbers.extend(PhoneNumber::parse(&text).ok().filter(|number| !number.is_erased()));
            }
        }
        Ok(numbers)
    }

    /// What was erased, and the number that stands in its place.
    async fn erase_number(
        &self,
        number: &PhoneNumber,
        waiting: Waiting,
        now: Timestamp,
    ) -> Result<(ForgetCounts, PhoneNumber), ForgetError> {
        let sought = number.clone();
        let (stand_in, pseudonym) = self
            .write(move |writing| {
                Box::pin(async move {
                    let pseudonym = Pseudonyms::of_database(writing.sql).await?.of(&sought);
                    if waiting == Waiting::Refuses {
                        refuse_waiting(writing.sql, &[sought.clone(), pseudonym.clone()]).await?;
                    }
                    Ok::<_, ForgetError>((stand_in(writing.sql, &sought, now).await?, pseudonym))
                })
            })
            .await?;
        let numbers = [number.clone(), pseudonym];
        let traces = {
            let mut connection = self.readers.acquire().await?;
            traces(&mut connection, &numbers).await?
        };
        let counts = ForgetCounts::of(&traces);
        let redaction = Redaction::new(numbers.iter().map(|number| (number.clone(), stand_in.clone())));
        let erasing = Erasing { numbers: numbers.to_vec(), redaction, waiting, now };
        // Callbacks after their calls: by them the calls of a withheld number are known.
        let parts = [
            (Part::Calls, &traces.calls),
            (Part::Callbacks, &traces.callbacks),
            (Part::Deliveries, &traces.deliveries),
        ];
        for (part, ids) in parts {
            for chunk in ids.chunks(CHUNK) {
                let (erasing, chunk) = (erasing.clone(), chunk.to_vec());
                self.write(move |mut writing| {
                    Box::pin(async move {
                        erasing.look_again(&mut writing).await?;
                        for id in chunk {
                            match part {
                                Part::Calls => erasing.call(&mut writing, id).await?,
                                Part::Callbacks => erasing.callback(&mut writing, id).await?,
                                Part::Deliveries => {
                                    redact::delivery(writing.sql, id, &erasing.redaction).await?;
                                }
                            }
                        }
                        Ok::<_, ForgetError>(())
                    })
                })
                .await?;
            }
        }
        self.write(move |mut writing| {
            Box::pin(async move {
                erasing.look_again(&mut writing).await?;
                erasing.the_rest(&mut writing, traces).await?;
                Ok::<_, ForgetError>(())
            })
        })
        .await?;
        Ok((counts, stand_in))
    }
}

/// What is erased in chunks.
#[derive(Clone, Copy)]
enum Part {
    Calls,
    Callbacks,
    Deliveries,
}

/// Which numbers go, and how.
#[derive(Clone)]
struct Erasing {
    numbers: Vec<PhoneNumber>,
    redaction: Redaction,
    waiting: Waiting,
    now: Timestamp,
}

impl Erasing {
    /// He may have called again since the last commit.
    async fn look_again(&self, writing: &mut Writing<'_>) -> Result<(), ForgetError> {
        match self.waiting {
            Waiting::Refuses => refuse_waiting(writing.sql, &self.numbers).await,
            Waiting::Closes => Ok(()),
        }
    }

    async fn call(&self, writing: &mut Writing<'_>, id: i64) -> Result<()> {
        for voicemail in ids(sqlx::query(VOICEMAILS_OF_CALL).bind(id).fetch_all(&mut *writing.sql).await?)? {
            voicemails::erase(writing, voicemail, REASON, self.now).await?;
        }
        sqlx::query(FORGET_QUESTION).bind(id).execute(&mut *writing.sql).await?;
        redact::call(writing.sql, id, &self.redaction).await
    }

    async fn callback(&self, writing: &mut Writing<'_>, id: i64) -> Result<()> {
        writing.touches_the_list();
        if self.waiting == Waiting::Closes {
            let system = Actor::system();
            sqlx::query(CLOSE_CALLBACK)
                .bind(id)
                .bind(system.id)
                .bind(system.name)
                .bind(self.now.as_millisecond())
                .execute(&mut *writing.sql)
                .await?;
        }
        redact::callback(writing.sql, id, &self.redaction).await
    }

    async fn the_rest(&self, writing: &mut Writing<'_>, traces: Traces) -> Result<()> {
        writing.touches_the_list();
        let mentions = traces.mentions;
        for id in mentions.calls {
            redact::call(writing.sql, id, &self.redaction).await?;
        }
        for number in &self.numbers {
            redact::contact(writing.sql, number).await?;
            sqlx::query(UNBLOCK).bind(number.e164().to_owned()).execute(&mut *writing.sql).await?;
        }
        for id in traces.placed_calls {
            let number = self.redaction.number(&self.numbers[0]).e164().to_owned();
            sqlx::query(NAME_PLACED_CALL).bind(id).bind(number).execute(&mut *writing.sql).await?;
        }
        self.empty_attachments(writing.sql).await?;
        let texts = [
            (mentions.voicemails.clone(), READ_VOICEMAIL, WRITE_VOICEMAIL),
            (mentions.callbacks.clone(), READ_CALLBACK, WRITE_CALLBACK),
            (mentions.steps.clone(), READ_STEP, WRITE_STEP),
            (mentions.mails, READ_MAIL, WRITE_MAIL),
            (mentions.alarms, READ_ALARM, WRITE_ALARM),
            (mentions.jobs, READ_JOB, WRITE_JOB),
        ];
        for (ids, read, write) in texts {
            for id in ids {
                self.texts(writing.sql, id, read, write).await?;
            }
        }
        for id in mentions.audit {
            self.audit_row(writing.sql, id).await?;
        }
        for number in mentions.contacts {
            self.contact_of_another(writing.sql, &number).await?;
        }
        for number in mentions.blocked {
            self.reason_of_another_block(writing.sql, number).await?;
        }
        let mut renewed: BTreeSet<i64> = mentions.callbacks.into_iter().collect();
        let of_steps = mentions.steps.into_iter().map(|id| (CALLBACK_OF_STEP, id));
        let of_messages = mentions.voicemails.into_iter().map(|id| (CALLBACK_OF_VOICEMAIL, id));
        for (statement, id) in of_steps.chain(of_messages) {
            let row = sqlx::query(statement).bind(id).fetch_optional(&mut *writing.sql).await?;
            renewed.extend(row.map(|row| Columns::of("callback", &row).get::<i64>("callback_id")).transpose()?);
        }
        for id in renewed {
            search::renew_words(writing.sql, id).await?;
        }
        Ok(())
    }

    /// Up to three texts of a row that people wrote or read.
    async fn texts(
        &self,
        connection: &mut AnyConnection,
        id: i64,
        read: &'static str,
        write: &'static str,
    ) -> Result<()> {
        let Some(row) = sqlx::query(read).bind(id).fetch_optional(&mut *connection).await? else { return Ok(()) };
        let columns = Columns::of("text", &row);
        let text = |column| {
            Ok::<_, StoreError>(columns.get::<Option<String>>(column)?.map(|text| self.redaction.prose(&text)))
        };
        let query = sqlx::query(write).bind(id).bind(text("one")?).bind(text("two")?).bind(text("three")?);
        query.execute(connection).await?;
        Ok(())
    }

    /// What was done stays; a row about the number itself says no name either.
    async fn audit_row(&self, connection: &mut AnyConnection, id: i64) -> Result<()> {
        let Some(row) = sqlx::query(READ_AUDIT).bind(id).fetch_optional(&mut *connection).await? else { return Ok(()) };
        let columns = Columns::of("audit", &row);
        let (object, detail): (String, String) = (columns.get("object")?, columns.get("detail")?);
        let detail = if self.redaction.is_in(&object) { String::new() } else { self.redaction.prose(&detail) };
        audit::rewrite(connection, id, &self.redaction.prose(&object), &detail).await
    }

    async fn contact_of_another(&self, connection: &mut AnyConnection, number: &str) -> Result<()> {
        let row = sqlx::query(READ_CONTACT).bind(number.to_owned()).fetch_optional(&mut *connection).await?;
        let Some((row, number)) = row.zip(PhoneNumber::stored(number)) else { return Ok(()) };
        let columns = Columns::of("contact", &row);
        let [name, note] = [columns.get::<String>("name")?, columns.get::<String>("note")?];
        let [name, note] = [self.redaction.prose(&name), self.redaction.prose(&note)];
        search::keep_contact_words(connection, &number, &format!("{name} {note}")).await?;
        let query = sqlx::query(WRITE_CONTACT).bind(number.e164().to_owned()).bind(name).bind(note);
        query.execute(connection).await?;
        Ok(())
    }

    async fn reason_of_another_block(&self, connection: &mut AnyConnection, number: String) -> Result<()> {
        let row = sqlx::query(READ_BLOCK).bind(number.clone()).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(()) };
        let reason = self.redaction.prose(&Columns::of("blocked_number", &row).get::<String>("reason")?);
        sqlx::query(WRITE_BLOCK).bind(number).bind(reason).execute(connection).await?;
        Ok(())
    }

    /// A list that waits to be sent may name him, and one that is no text cannot be looked through.
    async fn empty_attachments(&self, connection: &mut AnyConnection) -> Result<()> {
        for row in sqlx::query(ATTACHMENTS).fetch_all(&mut *connection).await? {
            let columns = Columns::of("mail", &row);
            let bytes: Vec<u8> = columns.get("attachment")?;
            if self.redaction.is_in(&bytes) || str::from_utf8(&bytes).is_err() {
                let query = sqlx::query(EMPTY_ATTACHMENT).bind(columns.get::<i64>("id")?);
                query.bind("\n\nПриложение убрано: в нём мог быть стёртый номер.\n").execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}

async fn refuse_waiting(connection: &mut AnyConnection, numbers: &[PhoneNumber]) -> Result<(), ForgetError> {
    let mut waiting = Vec::new();
    for number in numbers {
        let number = number.e164().to_owned();
        waiting.extend(ids(sqlx::query(OPEN_CALLBACKS).bind(number.clone()).fetch_all(&mut *connection).await?)?);
        if sqlx::query(CALL_GOING_ON).bind(number).fetch_optional(&mut *connection).await?.is_some() {
            return Err(ForgetError::CallGoesOn);
        }
    }
    if waiting.is_empty() { Ok(()) } else { Err(ForgetError::Waiting(waiting)) }
}

/// What stands in the place of the number: the same as before where an erasing was broken off.
async fn stand_in(connection: &mut AnyConnection, number: &PhoneNumber, now: Timestamp) -> Result<PhoneNumber> {
    for row in sqlx::query(LIST_UNFINISHED).fetch_all(&mut *connection).await? {
        if read(&row)?.is(number) {
            return Columns::of("forgotten", &row).parsed("stand_in", PhoneNumber::stored);
        }
    }
    let stand_in = PhoneNumber::erased(u64::from_be_bytes(random_bytes()));
    keep(connection, &ForgottenNumber::new(number, now), Some(&stand_in)).await?;
    Ok(stand_in)
}

/// Everything is erased: nobody knows any more which number it was.
async fn end(connection: &mut AnyConnection, stand_in: &PhoneNumber, now: Timestamp) -> Result<()> {
    let query = sqlx::query(END_FORGETTING).bind(now.as_millisecond()).bind(stand_in.e164().to_owned());
    query.execute(connection).await?;
    Ok(())
}

async fn keep(
    connection: &mut AnyConnection,
    forgotten: &ForgottenNumber,
    stand_in: Option<&PhoneNumber>,
) -> Result<()> {
    sqlx::query(KEEP_FORGOTTEN)
        .bind(forgotten.salt.clone())
        .bind(forgotten.digest.clone())
        .bind(forgotten.forgotten_at.as_millisecond())
        .bind(stand_in.map(|number| number.e164().to_owned()))
        .execute(connection)
        .await?;
    Ok(())
}

fn read(row: &sqlx::any::AnyRow) -> Result<ForgottenNumber> {
    let columns = Columns::of("forgotten", row);
    Ok(ForgottenNumber {
        salt: columns.get("salt")?,
        digest: columns.get("digest")?,
        forgotten_at: columns.time("forgotten_at")?,
    })
}

statements! {
    /// All of them from one end to the other: only whoever erases asks.
    OPEN_CALLBACKS = "
        SELECT id FROM callback
        WHERE id > 0 AND closed_at IS NULL AND (caller = $1 OR callback_number = $1 OR dial_number = $1)
        ORDER BY id";
    CALL_GOING_ON = "SELECT id FROM call WHERE ended_at IS NULL AND caller = $1 LIMIT 1";
    LIST_FORGOTTEN = "SELECT salt, digest, forgotten_at FROM forgotten ORDER BY forgotten_at, digest";
    LIST_UNFINISHED = "SELECT salt, digest, forgotten_at, stand_in FROM forgotten WHERE stand_in IS NOT NULL";
    KEEP_FORGOTTEN = "
        INSERT INTO forgotten (salt, digest, forgotten_at, stand_in) VALUES ($1, $2, $3, $4)
        ON CONFLICT (salt) DO NOTHING";
    /// A backup that was made while it went on may have the number still.
    END_FORGETTING = "UPDATE forgotten SET stand_in = NULL, forgotten_at = $1 WHERE stand_in = $2";
    /// The backup was made between the last commit of an erasing and its end: nothing of the number is left to be found.
    END_WHAT_ENDED = "
        UPDATE forgotten SET stand_in = NULL, forgotten_at = $2
        WHERE salt = $1 AND stand_in IS NOT NULL AND forgotten_at < $2";
    NUMBERS_OF_CALLS = "
        SELECT DISTINCT caller AS number FROM call WHERE caller IS NOT NULL
        UNION
        SELECT DISTINCT dialled AS number FROM call WHERE direction = 'outbound' AND dialled IS NOT NULL
        UNION
        SELECT DISTINCT keyed_digits AS number FROM call WHERE id > 0 AND keyed_digits IS NOT NULL";
    NUMBERS_OF_CALLBACKS = "
        SELECT DISTINCT callback_number AS number FROM callback WHERE callback_number IS NOT NULL
        UNION
        SELECT DISTINCT number AS number FROM placed_call";
    NUMBERS_OF_CONTACTS = "SELECT number FROM contact";
    NUMBERS_BLOCKED = "SELECT number FROM blocked_number";
    VOICEMAILS_OF_CALL = "SELECT id FROM voicemail WHERE call_id = $1";
    FORGET_QUESTION = "DELETE FROM job WHERE kind = 'reconcile_call' AND subject = $1";
    CLOSE_CALLBACK = "
        UPDATE callback
        SET state = 'done', actor_id = $2, actor_name = $3, acted_at = $4, until_at = NULL, closed_at = $4,
            version = version + 1
        WHERE id = $1 AND closed_at IS NULL";
    NAME_PLACED_CALL = "UPDATE placed_call SET number = $2 WHERE id = $1";
    ATTACHMENTS = "SELECT id, attachment FROM mail WHERE attachment IS NOT NULL";
    EMPTY_ATTACHMENT = "
        UPDATE mail SET attachment = NULL, attachment_name = NULL, body = body || $2 WHERE id = $1";
    READ_VOICEMAIL = "SELECT url AS one, transcript AS two, failure AS three FROM voicemail WHERE id = $1";
    WRITE_VOICEMAIL = "UPDATE voicemail SET url = $2, transcript = $3, failure = $4 WHERE id = $1";
    READ_CALLBACK = "SELECT note AS one, summary AS two, reference AS three FROM callback WHERE id = $1";
    WRITE_CALLBACK = "UPDATE callback SET note = $2, summary = $3, reference = $4 WHERE id = $1";
    READ_STEP = "SELECT note AS one, before_desk AS two, NULL AS three FROM callback_history WHERE id = $1";
    WRITE_STEP = "
        UPDATE callback_history SET note = $2, before_desk = COALESCE($3, CAST($4 AS TEXT)) WHERE id = $1";
    CALLBACK_OF_STEP = "SELECT callback_id FROM callback_history WHERE id = $1";
    CALLBACK_OF_VOICEMAIL = "
        SELECT call.callback_id AS callback_id FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        WHERE voicemail.id = $1 AND call.callback_id IS NOT NULL";
    READ_MAIL = "SELECT subject AS one, body AS two, NULL AS three FROM mail WHERE id = $1";
    WRITE_MAIL = "UPDATE mail SET subject = $2, body = COALESCE($3, CAST($4 AS TEXT)) WHERE id = $1";
    READ_ALARM = "SELECT subject AS one, told AS two, NULL AS three FROM alarm WHERE id = $1";
    WRITE_ALARM = "UPDATE alarm SET subject = $2, told = COALESCE($3, CAST($4 AS TEXT)) WHERE id = $1";
    READ_JOB = "SELECT last_error AS one, alarm_subject AS two, NULL AS three FROM job WHERE id = $1";
    WRITE_JOB = "UPDATE job SET last_error = $2, alarm_subject = COALESCE($3, CAST($4 AS TEXT)) WHERE id = $1";
    READ_AUDIT = "SELECT id, object, detail FROM audit WHERE id = $1";
    UNBLOCK = "DELETE FROM blocked_number WHERE number = $1";
    READ_BLOCK = "SELECT reason FROM blocked_number WHERE number = $1";
    WRITE_BLOCK = "UPDATE blocked_number SET reason = $2 WHERE number = $1";
    READ_CONTACT = "SELECT name, note FROM contact WHERE number = $1";
    WRITE_CONTACT = "UPDATE contact SET name = $2, note = $3 WHERE number = $1";
}
