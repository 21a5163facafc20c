//! The terms of the school: what is older goes, chunk by chunk. Each pass asks for what is due and not done yet, so a run that
//! was broken off goes on where it was. Whoever waits for a call keeps everything until his callback is closed.

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::ids::first_id_at;
use super::personal::{Pseudonyms, ids};
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError, audit, calls, redact, search, voicemails};
use crate::core::line::Lines;
use crate::core::phone::PhoneNumber;
use crate::core::redaction::{Redaction, numbers_in};
use crate::core::retention::Terms;
use crate::time::{SignedDuration, Timestamp};

/// Why a message is gone, as its row says.
const REASON: &str = "стёрто по сроку хранения";
/// Rows of one commit.
const CHUNK: i64 = 20;

/// Keys in `meta`: all rows up to this one are done.
const CALLS_DONE: &str = "retention_calls";
const CALLBACKS_DONE: &str = "retention_callbacks";
const DELIVERIES_DONE: &str = "retention_deliveries";
const AUDIT_DONE: &str = "retention_audit";

/// What a run erases: how many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionCounts {
    /// Messages whose sound goes.
    pub voicemails: u64,
    /// Calls whose numbers go.
    pub calls: u64,
    /// Callbacks whose numbers and texts go.
    pub callbacks: u64,
    pub contacts: u64,
    /// Raw requests whose numbers go.
    pub deliveries: u64,
    /// Rows of the audit whose numbers go.
    pub audit: u64,
    /// Calls and callbacks that go altogether.
    pub old_calls: u64,
    pub old_callbacks: u64,
}

impl RetentionCounts {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The instant before which a term ends, and the first id that is not due.
#[derive(Clone, Copy)]
struct Cutoff {
    at: Timestamp,
    id: i64,
}

impl Cutoff {
    fn before(now: Timestamp, days: u32) -> Self {
        let at = now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN);
        Self { at, id: first_id_at(at) }
    }

    fn ms(self) -> i64 {
        self.at.as_millisecond()
    }
}

impl Store {
    /// Marks the messages as erased whose term is over. Their files are taken away afterwards ([`Store::files_to_erase`]).
    pub async fn erase_old_audio(
        &self,
        terms: &Terms,
        now: Timestamp,
        dry_run: bool,
        counts: &mut RetentionCounts,
    ) -> Result<()> {
        let Some(days) = terms.days_of_audio() else { return Ok(()) };
        let cutoff = Cutoff::before(now, days);
        let mut last = 0;
        loop {
            let rows = sqlx::query(OLD_AUDIO).bind(last).bind(cutoff.id).bind(CHUNK).fetch_all(&self.readers).await?;
            let due = ids(rows)?;
            let Some(newest) = due.last() else { return Ok(()) };
            last = *newest;
            counts.voicemails += match dry_run {
                true => due.len() as u64,
                false => self.erase_audio(due, cutoff, now).await?,
            };
        }
    }

    async fn erase_audio(&self, due: Vec<i64>, cutoff: Cutoff, now: Timestamp) -> Result<u64> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let mut count = 0;
                for id in due {
                    // It may have been opened again since.
                    let is_due = sqlx::query(OLD_AUDIO).bind(id - 1).bind(cutoff.id.min(id + 1)).bind(1_i64);
                    if is_due.fetch_optional(&mut *writing.sql).await?.is_some() {
                        count += u64::from(voicemails::erase(&mut writing, id, REASON, now).await?);
                    }
                }
                Ok::<_, StoreError>(count)
            })
        })
        .await
    }

    /// Applies all terms but that of the sound.
    pub async fn apply_terms(
        &self,
        terms: &Terms,
        now: Timestamp,
        dry_run: bool,
        counts: &mut RetentionCounts,
    ) -> Result<()> {
        let pass = Pass { store: self, lines: self.lines(), dry_run };
        // While the calls still know their numbers.
        if let Some(days) = terms.days_of_deliveries() {
            let cutoff = Cutoff::before(now, days);
            pass.rows(DELIVERIES_DONE, OLD_DELIVERIES, cutoff, Step::Delivery, &mut counts.deliveries).await?;
        }
        if let Some(days) = terms.days_of_numbers() {
            let cutoff = Cutoff::before(now, days);
            pass.rows(CALLS_DONE, OLD_CALLS, cutoff, Step::Call, &mut counts.calls).await?;
            pass.callbacks(cutoff, &mut counts.callbacks).await?;
            pass.contacts(cutoff, &mut counts.contacts).await?;
            pass.rows(AUDIT_DONE, OLD_AUDIT, cutoff, Step::Audit, &mut counts.audit).await?;
        }
        if let Some(days) = terms.days_of_statistics() {
            let cutoff = Cutoff::before(now, days);
            pass.old(cutoff, ANCIENT_CALLBACKS, Step::OldCallback, &mut counts.old_callbacks).await?;
            pass.old(cutoff, ANCIENT_CALLS, Step::OldCall, &mut counts.old_calls).await?;
            pass.old(cutoff, ANCIENT_DELIVERIES, Step::OldDelivery, &mut 0).await?;
        }
        Ok(())
    }

    /// Folds the write-ahead log of SQLite into the database and empties it: what was erased is in neither any more. `false`:
    /// somebody reads an older state, so the next run does it.
    pub async fn empty_log(&self) -> Result<bool> {
        if !self.is_sqlite {
            return Ok(true);
        }
        let mut connection = super::database::connect(&self.readers.connect_options()).await?;
        // It holds the lock for writing while it waits for readers: callers must not wait for it.
        sqlx::query("PRAGMA busy_timeout = 100").execute(&mut connection).await?;
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
        let is_busy: i64 = sqlx::Row::try_get(&row, 0)?;
        sqlx::Connection::close(connection).await?;
        Ok(is_busy == 0)
    }
}

/// What is done with one row that is due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Call,
    Callback,
    Delivery,
    Audit,
    OldCall,
    OldCallback,
    OldDelivery,
}

struct Pass<'a> {
    store: &'a Store,
    lines: Lines,
    dry_run: bool,
}

impl Pass<'_> {
    /// Goes through the rows after the mark, oldest first; the mark moves behind those that are done without a gap.
    async fn rows(
        &self,
        mark: &'static str,
        page: &'static str,
        cutoff: Cutoff,
        step: Step,
        count: &mut u64,
    ) -> Result<()> {
        let mut last: i64 = self.store.meta(mark).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut has_gap = false;
        loop {
            let query = sqlx::query(page).bind(last).bind(cutoff.id).bind(cutoff.ms()).bind(CHUNK);
            let rows = query.fetch_all(&self.store.readers).await?;
            let Some(newest) = rows.last() else { return Ok(()) };
            last = Columns::of("retention", newest).get("id")?;
            let (mut due, mut done_up_to) = (Vec::new(), None);
            for row in &rows {
                let columns = Columns::of("retention", row);
                let id: i64 = columns.get("id")?;
                match columns.get::<i64>("is_due")? > 0 {
                    true => due.push(id),
                    false => has_gap = true,
                }
                done_up_to = if has_gap { done_up_to } else { Some(id) };
            }
            let mark = done_up_to.map(|id| (mark, id.to_string()));
            *count += self.write(due, mark, step, cutoff).await?;
        }
    }

    /// Closed callbacks, in the order of their closing.
    async fn callbacks(&self, cutoff: Cutoff, count: &mut u64) -> Result<()> {
        let mark = self.store.meta(CALLBACKS_DONE).await?;
        let (mut at, mut id) = mark
            .and_then(|text| text.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?))))
            .unwrap_or((i64::MIN, 0_i64));
        loop {
            let query = sqlx::query(OLD_CALLBACKS).bind(at).bind(id).bind(cutoff.ms()).bind(CHUNK);
            let rows: Vec<AnyRow> = query.fetch_all(&self.store.readers).await?;
            let Some(newest) = rows.last() else { return Ok(()) };
            (at, id) = {
                let columns = Columns::of("callback", newest);
                (columns.get("closed_at")?, columns.get("id")?)
            };
            *count +=
                self.write(ids(rows)?, Some((CALLBACKS_DONE, format!("{at} {id}"))), Step::Callback, cutoff).await?;
        }
    }

    /// Names and notes of numbers that nobody has called from since.
    async fn contacts(&self, cutoff: Cutoff, count: &mut u64) -> Result<()> {
        let mut last = String::new();
        loop {
            let query = sqlx::query(OLD_CONTACTS).bind(last).bind(cutoff.id).bind(cutoff.ms()).bind(CHUNK);
            let rows = query.fetch_all(&self.store.readers).await?;
            let Some(newest) = rows.last() else { return Ok(()) };
            last = Columns::of("contact", newest).get("number")?;
            let numbers = rows.iter().map(|row| Columns::of("contact", row).parsed("number", PhoneNumber::stored));
            let numbers = numbers.collect::<Result<Vec<_>>>()?;
            *count += numbers.len() as u64;
            if self.dry_run {
                continue;
            }
            self.store
                .write(move |writing| {
                    Box::pin(async move {
                        for number in numbers {
                            redact::contact(writing.sql, &number).await?;
                        }
                        Ok::<_, StoreError>(())
                    })
                })
                .await?;
        }
    }

    /// What is older than the statistics reach.
    async fn old(&self, cutoff: Cutoff, page: &'static str, step: Step, count: &mut u64) -> Result<()> {
        let mut last = 0;
        loop {
            let query = sqlx::query(page).bind(last).bind(cutoff.id).bind(cutoff.ms()).bind(CHUNK);
            let due = ids(query.fetch_all(&self.store.readers).await?)?;
            let Some(newest) = due.last() else { return Ok(()) };
            last = *newest;
            *count += self.write(due, None, step, cutoff).await?;
        }
    }

    /// One commit, with the mark. The answer is how many rows changed, or would change.
    async fn write(
        &self,
        due: Vec<i64>,
        mark: Option<(&'static str, String)>,
        step: Step,
        cutoff: Cutoff,
    ) -> Result<u64> {
        let lines = self.lines.clone();
        if self.dry_run {
            let mut connection = self.store.readers.acquire().await?;
            let mut count = 0;
            for id in due {
                count += u64::from(would_change(&mut connection, &lines, step, id).await?);
            }
            return Ok(count);
        }
        self.store
            .write(move |mut writing| {
                Box::pin(async move {
                    let pseudonyms = Pseudonyms::of_database(writing.sql).await?;
                    let mut count = 0;
                    for id in due {
                        count += u64::from(erase(&mut writing, &pseudonyms, &lines, step, id, cutoff).await?);
                    }
                    if let Some((key, value)) = mark {
                        sqlx::query(WRITE_MARK).bind(key).bind(value).execute(writing.sql).await?;
                    }
                    Ok::<_, StoreError>(count)
                })
            })
            .await
    }
}

async fn would_change(connection: &mut AnyConnection, lines: &Lines, step: Step, id: i64) -> Result<bool> {
    match step {
        Step::Call => Ok(!numbers_of_call(connection, lines, id).await?.iter().all(PhoneNumber::is_erased)),
        Step::Delivery => {
            let Some(delivery) = Delivery::read(connection, lines, id).await? else { return Ok(false) };
            // Which number stands for another one is not known before the first run: none is needed to find them.
            let pairs = delivery.candidates.into_iter().map(|number| (number, PhoneNumber::erased(0)));
            Ok(Redaction::new(pairs).is_in([delivery.target.as_bytes(), b" ", &delivery.body].concat()))
        }
        Step::Audit => Ok(audit_row(connection, lines, id).await?.is_some_and(|(_, _, numbers)| !numbers.is_empty())),
        Step::Callback | Step::OldCall | Step::OldCallback | Step::OldDelivery => Ok(true),
    }
}

/// Erases what is due of one row. `false`: there was nothing, or it is not due any more.
async fn erase(
    writing: &mut Writing<'_>,
    pseudonyms: &Pseudonyms,
    lines: &Lines,
    step: Step,
    id: i64,
    cutoff: Cutoff,
) -> Result<bool> {
    let redaction =
        |numbers: &[PhoneNumber]| Redaction::new(numbers.iter().map(|number| (number.clone(), pseudonyms.of(number))));
    match step {
        Step::Call => {
            if sqlx::query(LOCK_CALL).bind(id).bind(cutoff.ms()).fetch_optional(&mut *writing.sql).await?.is_none() {
                return Ok(false);
            }
            let numbers = numbers_of_call(writing.sql, lines, id).await?;
            let redaction = redaction(&numbers);
            let spoken = sqlx::query(EMPTY_TRANSCRIPTS).bind(id).execute(&mut *writing.sql).await?.rows_affected();
            if redaction.is_empty() && spoken == 0 {
                return Ok(false);
            }
            redact::call(writing.sql, id, &redaction).await?;
            if spoken > 0
                && let Some(row) = sqlx::query(CALLBACK_OF_CALL).bind(id).fetch_optional(&mut *writing.sql).await?
            {
                search::renew_words(writing.sql, Columns::of("call", &row).get("callback_id")?).await?;
            }
            forget_unused(writing.sql, &numbers).await?;
            Ok(!redaction.is_empty())
        }
        Step::Callback => {
            let locked =
                sqlx::query(LOCK_CALLBACK).bind(id).bind(cutoff.ms()).fetch_optional(&mut *writing.sql).await?;
            let Some(row) = locked else { return Ok(false) };
            let numbers = numbers_of_callback(&row)?;
            redact::callback(writing.sql, id, &redaction(&numbers)).await?;
            forget_unused(writing.sql, &numbers).await?;
            Ok(true)
        }
        Step::Delivery => {
            let Some(delivery) = Delivery::read(writing.sql, lines, id).await? else { return Ok(false) };
            let redaction = redaction(&delivery.numbers(pseudonyms));
            redact::delivery(writing.sql, id, &redaction).await
        }
        Step::Audit => {
            let Some((object, detail, numbers)) = audit_row(writing.sql, lines, id).await? else { return Ok(false) };
            if numbers.is_empty() {
                return Ok(false);
            }
            let redaction = redaction(&numbers);
            let (object, detail) = match object.strip_prefix("caller ").and_then(PhoneNumber::stored) {
                // The detail is the name that somebody gave to the number.
                Some(number) => (format!("caller {}", redaction.number(&number)), String::new()),
                None => (redaction.prose(&object), redaction.prose(&detail)),
            };
            audit::rewrite(writing.sql, id, &object, &detail).await?;
            Ok(true)
        }
        Step::OldCall => delete(writing, id, LOCK_CALL, cutoff, &DELETE_CALL).await,
        Step::OldCallback => {
            let locked =
                sqlx::query(LOCK_CALLBACK).bind(id).bind(cutoff.ms()).fetch_optional(&mut *writing.sql).await?;
            if locked.is_none() {
                return Ok(false);
            }
            let calls = ids(sqlx::query(CALLS_OF_CALLBACK).bind(id).fetch_all(&mut *writing.sql).await?)?;
            for call in calls {
                for statement in DELETE_CALL {
                    sqlx::query(statement).bind(call).execute(&mut *writing.sql).await?;
                }
            }
            delete(writing, id, LOCK_CALLBACK, cutoff, &DELETE_CALLBACK).await
        }
        Step::OldDelivery => {
            sqlx::query(DELETE_DELIVERY).bind(id).execute(&mut *writing.sql).await?;
            Ok(true)
        }
    }
}

async fn delete(
    writing: &mut Writing<'_>,
    id: i64,
    lock: &'static str,
    cutoff: Cutoff,
    statements: &[&'static str],
) -> Result<bool> {
    if sqlx::query(lock).bind(id).bind(cutoff.ms()).fetch_optional(&mut *writing.sql).await?.is_none() {
        return Ok(false);
    }
    for statement in statements {
        sqlx::query(*statement).bind(id).execute(&mut *writing.sql).await?;
    }
    Ok(true)
}

/// Whoever called, was called or typed a number, whatever of it stands in the rows by now. Never our own lines.
async fn numbers_of_call(connection: &mut AnyConnection, lines: &Lines, id: i64) -> Result<Vec<PhoneNumber>> {
    let Some(row) = sqlx::query(READ_CALL).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(Vec::new());
    };
    let call = calls::read(&row)?;
    let shown = call.caller.as_ref().filter(|_| call.is_inbound());
    let shown = shown.and_then(|caller| caller.number.clone().or_else(|| PhoneNumber::parse(&caller.raw).ok()));
    let mut numbers: Vec<PhoneNumber> =
        shown.into_iter().chain(call.other_party()).chain(call.keyed_number()).collect();
    if let Some(callback) = call.callback_id
        && let Some(row) = sqlx::query(READ_CALLBACK).bind(callback).fetch_optional(connection).await?
    {
        numbers.extend(numbers_of_callback(&row)?);
    }
    numbers.retain(|number| !lines.is_own(number));
    numbers.sort();
    numbers.dedup();
    Ok(numbers)
}

fn numbers_of_callback(row: &AnyRow) -> Result<Vec<PhoneNumber>> {
    let columns = Columns::of("callback", row);
    let number = |column| columns.optional_parsed(column, PhoneNumber::stored);
    Ok([number("caller")?, number("callback_number")?, number("dial_number")?].into_iter().flatten().collect())
}

/// A delivery with the numbers that may have to go from it.
struct Delivery {
    target: String,
    body: Vec<u8>,
    /// Of its call; `None`: it tells of none.
    of_call: Option<Vec<PhoneNumber>>,
    candidates: Vec<PhoneNumber>,
}

impl Delivery {
    async fn read(connection: &mut AnyConnection, lines: &Lines, id: i64) -> Result<Option<Self>> {
        let Some(row) = sqlx::query(READ_DELIVERY).bind(id).fetch_optional(&mut *connection).await? else {
            return Ok(None);
        };
        let columns = Columns::of("delivery", &row);
        let (target, body): (String, Vec<u8>) = (columns.get("target")?, columns.get("body")?);
        let of_call = match columns.get::<Option<i64>>("call_id")? {
            Some(call) => Some(numbers_of_call(connection, lines, call).await?),
            None => None,
        };
        let mut candidates = of_call.clone().unwrap_or_default();
        if candidates.is_empty() || candidates.iter().any(PhoneNumber::is_erased) {
            candidates.extend(numbers_in(&[target.as_bytes(), b"&", &body].concat()));
        }
        candidates.retain(|number| !number.is_erased() && !lines.is_own(number));
        if of_call.as_ref().is_some_and(Vec::is_empty) {
            candidates.clear();
        }
        Ok(Some(Self { target, body, of_call, candidates }))
    }

    /// Those that are the callers of its call, though the call may not know them any more: a report that came again after they
    /// were erased.
    fn numbers(&self, pseudonyms: &Pseudonyms) -> Vec<PhoneNumber> {
        let is_theirs = |number: &&PhoneNumber| match &self.of_call {
            Some(known) => known.contains(number) || known.contains(&pseudonyms.of(number)),
            None => true,
        };
        self.candidates.iter().filter(is_theirs).cloned().collect()
    }
}

/// Object, detail, and the numbers of callers in them.
async fn audit_row(
    connection: &mut AnyConnection,
    lines: &Lines,
    id: i64,
) -> Result<Option<(String, String, Vec<PhoneNumber>)>> {
    let Some(row) = sqlx::query(READ_AUDIT).bind(id).fetch_optional(connection).await? else { return Ok(None) };
    let columns = Columns::of("audit", &row);
    let (object, detail): (String, String) = (columns.get("object")?, columns.get("detail")?);
    let of_object = object.strip_prefix("caller ").and_then(PhoneNumber::stored).filter(|number| !number.is_erased());
    let numbers = of_object.into_iter().chain(numbers_in(detail.as_bytes()));
    let numbers = numbers.filter(|number| !lines.is_own(number)).collect();
    Ok(Some((object, detail, numbers)))
}

/// No search finds a number that no call and no callback has any more.
async fn forget_unused(connection: &mut AnyConnection, numbers: &[PhoneNumber]) -> Result<()> {
    for number in numbers.iter().filter(|number| !number.is_erased()) {
        let is_used =
            sqlx::query(NUMBER_IN_USE).bind(number.e164().to_owned()).fetch_optional(&mut *connection).await?;
        if is_used.is_none() {
            search::forget_number(connection, number).await?;
        }
    }
    Ok(())
}

/// What goes with a call, whatever names it before what is named.
const DELETE_CALL: [&str; 5] = [DELETE_DELIVERIES, DELETE_KEY, DELETE_QUESTION, DELETE_VOICEMAILS, DELETE_THE_CALL];
const DELETE_CALLBACK: [&str; 5] =
    [DELETE_STEPS, DELETE_WORDS, DELETE_PLACED_CALLS, DELETE_OVERDUE, DELETE_THE_CALLBACK];

statements! {
    OLD_AUDIO = "
        SELECT voicemail.id AS id FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        LEFT JOIN callback ON callback.id = call.callback_id
        WHERE voicemail.id > $1 AND voicemail.id < $2 AND voicemail.state <> 'erased'
          AND call.ended_at IS NOT NULL AND (call.callback_id IS NULL OR callback.closed_at IS NOT NULL)
          AND NOT EXISTS (
              SELECT 1 FROM job
              WHERE job.kind IN ('fetch_recording', 'transcribe') AND job.subject = voicemail.id AND job.given_up_at IS NULL)
        ORDER BY voicemail.id
        LIMIT $3";
    OLD_CALLS = "
        SELECT call.id AS id,
            CAST(CASE WHEN call.ended_at IS NOT NULL AND (call.callback_id IS NULL OR callback.closed_at < $3)
                AND NOT EXISTS (SELECT 1 FROM job WHERE job.kind = 'reconcile_call' AND job.subject = call.id)
            THEN 1 ELSE 0 END AS BIGINT) AS is_due
        FROM call
        LEFT JOIN callback ON callback.id = call.callback_id
        WHERE call.id > $1 AND call.id < $2
        ORDER BY call.id
        LIMIT $4";
    OLD_CALLBACKS = "
        SELECT id, closed_at FROM callback
        WHERE closed_at IS NOT NULL AND (closed_at, id) > ($1, $2) AND closed_at < $3
        ORDER BY closed_at, id
        LIMIT $4";
    OLD_CONTACTS = "
        SELECT number FROM contact
        WHERE number > $1 AND changed_at < $3
          AND NOT EXISTS (SELECT 1 FROM call WHERE call.caller = contact.number AND call.id >= $2)
          AND NOT EXISTS (
              SELECT 1 FROM callback
              WHERE callback.callback_number = contact.number AND (callback.closed_at IS NULL OR callback.closed_at >= $3))
        ORDER BY number
        LIMIT $4";
    OLD_AUDIT = "
        SELECT id, CAST(CASE WHEN at < $3 THEN 1 ELSE 0 END AS BIGINT) AS is_due FROM audit
        WHERE id > $1 AND id < $2 AND action <> 'officer_telephone'
        ORDER BY id
        LIMIT $4";
    /// Those of a caller who waits stay as they came: a replay brings him back.
    OLD_DELIVERIES = "
        SELECT delivery.id AS id,
            CAST(CASE WHEN delivery.call_id IS NULL
                OR call.ended_at IS NOT NULL AND (call.callback_id IS NULL OR callback.closed_at < $3)
            THEN 1 ELSE 0 END AS BIGINT) AS is_due
        FROM delivery
        LEFT JOIN call ON call.id = delivery.call_id
        LEFT JOIN callback ON callback.id = call.callback_id
        WHERE delivery.id > $1 AND delivery.id < $2
        ORDER BY delivery.id
        LIMIT $4";
    /// Neither a message with a file nor a job for one: those go first.
    ANCIENT_CALLBACKS = "
        SELECT id FROM callback
        WHERE id > $1 AND id < $2 AND closed_at < $3
          AND NOT EXISTS (SELECT 1 FROM call WHERE call.callback_id = callback.id AND (call.id >= $2 OR call.ended_at IS NULL))
          AND NOT EXISTS (
              SELECT 1 FROM call
              JOIN voicemail ON voicemail.call_id = call.id
              WHERE call.callback_id = callback.id
                AND (voicemail.state <> 'erased' OR voicemail.name IS NOT NULL
                    OR EXISTS (SELECT 1 FROM job WHERE job.subject = voicemail.id)))
          AND NOT EXISTS (
              SELECT 1 FROM placed_call WHERE placed_call.callback_id = callback.id AND placed_call.over_at IS NULL)
        ORDER BY id
        LIMIT $4";
    ANCIENT_CALLS = "
        SELECT id FROM call
        WHERE id > $1 AND id < $2 AND started_at < $3 AND callback_id IS NULL AND ended_at IS NOT NULL
          AND NOT EXISTS (
              SELECT 1 FROM voicemail
              WHERE voicemail.call_id = call.id
                AND (voicemail.state <> 'erased' OR voicemail.name IS NOT NULL
                    OR EXISTS (SELECT 1 FROM job WHERE job.subject = voicemail.id)))
        ORDER BY id
        LIMIT $4";
    ANCIENT_DELIVERIES = "
        SELECT id FROM delivery
        WHERE id > $1 AND id < $2 AND received_at < $3 AND call_id IS NULL
        ORDER BY id
        LIMIT $4";
    LOCK_CALL = "
        UPDATE call SET id = id
        WHERE id = $1 AND ended_at IS NOT NULL
          AND NOT EXISTS (
              SELECT 1 FROM callback
              WHERE callback.id = call.callback_id AND (callback.closed_at IS NULL OR callback.closed_at >= $2))
        RETURNING id";
    LOCK_CALLBACK = "
        UPDATE callback SET id = id WHERE id = $1 AND closed_at < $2
        RETURNING id, caller, callback_number, dial_number";
    WRITE_MARK = "
        INSERT INTO meta (key, value) VALUES ($1, $2)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    READ_CALL = "SELECT * FROM call WHERE id = $1";
    READ_CALLBACK = "SELECT caller, callback_number, dial_number FROM callback WHERE id = $1";
    READ_DELIVERY = "SELECT id, call_id, target, body FROM delivery WHERE id = $1";
    READ_AUDIT = "SELECT object, detail FROM audit WHERE id = $1";
    CALLBACK_OF_CALL = "SELECT callback_id FROM call WHERE id = $1 AND callback_id IS NOT NULL";
    CALLS_OF_CALLBACK = "SELECT id FROM call WHERE callback_id = $1";
    /// What was said may name the number.
    EMPTY_TRANSCRIPTS = "
        UPDATE voicemail SET transcript = NULL, transcript_model = NULL, transcribed_at = NULL
        WHERE call_id = $1 AND transcript IS NOT NULL";
    NUMBER_IN_USE = "
        SELECT id FROM call WHERE caller = $1
        UNION
        SELECT id FROM call WHERE direction = 'outbound' AND dialled = $1
        UNION
        SELECT id FROM callback WHERE callback_number = $1
        LIMIT 1";
    DELETE_DELIVERIES = "DELETE FROM delivery WHERE call_id = $1";
    DELETE_KEY = "DELETE FROM call_key WHERE call_id = $1";
    DELETE_QUESTION = "DELETE FROM job WHERE kind = 'reconcile_call' AND subject = $1";
    DELETE_VOICEMAILS = "DELETE FROM voicemail WHERE call_id = $1";
    DELETE_THE_CALL = "DELETE FROM call WHERE id = $1";
    DELETE_STEPS = "DELETE FROM callback_history WHERE callback_id = $1";
    DELETE_WORDS = "DELETE FROM callback_word WHERE callback_id = $1";
    DELETE_PLACED_CALLS = "DELETE FROM placed_call WHERE callback_id = $1";
    DELETE_OVERDUE = "DELETE FROM overdue_told WHERE callback_id = $1";
    DELETE_THE_CALLBACK = "DELETE FROM callback WHERE id = $1";
    DELETE_DELIVERY = "DELETE FROM delivery WHERE id = $1";
}
