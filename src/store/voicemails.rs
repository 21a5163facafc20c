//! Voicemails: what we hold, or shall hold, of the messages callers left.

use std::collections::HashMap;

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::audit;
use super::jobs::{self, JobKind, NewJob};
use super::search;
use super::sql::{Column, Columns, ManyRows, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError};
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::core::spoken_number;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoicemailState {
    /// Still with the provider.
    Pending,
    Stored,
    /// Could not be had; the reason is in [`Voicemail::failure`].
    Failed,
    /// Erased after its term, or on demand: then the reason is in [`Voicemail::failure`].
    Erased,
}

impl VoicemailState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Stored => "stored",
            Self::Failed => "failed",
            Self::Erased => "erased",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Stored, Self::Failed, Self::Erased].into_iter().find(|state| state.as_str() == word)
    }
}

/// One message.
#[derive(Clone, Debug)]
pub struct Voicemail {
    pub id: i64,
    pub call_id: i64,
    /// The configured provider and its ids, to fetch the sound by.
    pub provider: String,
    pub provider_call_id: String,
    pub recording_id: String,
    pub url: Option<String>,
    pub received_at: Timestamp,
    /// Whole seconds, as the provider said.
    pub provider_seconds: Option<i64>,
    pub state: VoicemailState,
    pub sound: Option<StoredSound>,
    pub failure: Option<String>,
    pub deleted_at_provider_at: Option<Timestamp>,
    /// The number the network showed for its call; `None` if withheld.
    pub caller: Option<PhoneNumber>,
    /// What a speech model took from it; may contain mistakes. Never of an erased one.
    pub transcript: Option<Transcript>,
}

/// The words of a message as a speech model wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub text: String,
    /// The configured name of the model.
    pub model: String,
    pub made_at: Timestamp,
}

impl Voicemail {
    /// Whether another try to fetch it may bring more of it than is here. Only a whole message is deleted at its provider.
    pub fn may_become_whole(&self) -> bool {
        match self.state {
            VoicemailState::Pending | VoicemailState::Failed => true,
            VoicemailState::Stored => self.sound.as_ref().is_some_and(|sound| !sound.is_whole()),
            VoicemailState::Erased => false,
        }
    }

    /// The number said in the message, if it is another one than the network showed. A hint: nothing dials it by itself.
    pub fn said_number(&self) -> Option<PhoneNumber> {
        let said = spoken_number::spoken_numbers(&self.transcript.as_ref()?.text);
        said.into_iter().find(|number| Some(number) != self.caller.as_ref())
    }
}

/// What was kept and measured of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSound {
    /// File below the recordings folder.
    pub name: String,
    pub format: String,
    pub content_type: String,
    pub size_bytes: i64,
    pub sha256: Vec<u8>,
    pub length_ms: i64,
    /// How much of it a voice detector takes for speech.
    pub speech_ms: i64,
    /// dBFS times ten.
    pub loudness_centibels: i64,
    /// 200 values 0–255 for the picture; none if it could not be measured.
    pub peaks: Vec<u8>,
    /// What was wrong with the file, in words; empty if nothing.
    pub damage: String,
}

impl StoredSound {
    /// Whether all of it is here, as far as can be told.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.measured_ms().is_some()
    }

    /// How long it is. `None`: it could not be measured, which says nothing about what is in it.
    pub fn measured_ms(&self) -> Option<i64> {
        (!self.peaks.is_empty()).then_some(self.length_ms)
    }
}

impl Store {
    pub async fn voicemail(&self, id: i64) -> Result<Option<Voicemail>> {
        self.check_voicemail(id).await?;
        let row = sqlx::query(READ_VOICEMAIL).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The voicemail made of this recording of a call.
    pub async fn voicemail_of(&self, call_id: i64, recording_id: &str) -> Result<Option<Voicemail>> {
        let row = sqlx::query(FIND_VOICEMAIL).bind(call_id).bind(recording_id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The sound of a message has come by itself: it is looked at now, even if it had been given up.
    pub async fn sound_arrived(&self, id: i64, now: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let row = sqlx::query(RETRY_ONE).bind(id).fetch_optional(&mut *writing.sql).await?;
                retry_rows(&mut writing, row.as_slice(), now).await
            })
        })
        .await
    }

    /// Somebody wants a message to be tried again, now, of which not all is here. `false`: it is whole, or erased.
    pub async fn retry_voicemail(&self, id: i64, by: &Actor, address: &str, now: Timestamp) -> Result<bool> {
        self.check_voicemail(id).await?;
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let row = sqlx::query(RETRY_ONE).bind(id).fetch_optional(&mut *writing.sql).await?;
                if row.is_none() {
                    return Ok(false);
                }
                retry_rows(&mut writing, row.as_slice(), now).await?;
                audit::keep(&mut writing, &by, "retry", &format!("voicemail {id}"), "", &address, now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// Everything of a provider that waits or was given up is tried again, now: messages, deletions and questions about
    /// calls. The answer is how many messages.
    pub async fn retry_provider(&self, provider: &str, now: Timestamp) -> Result<usize> {
        let mut count = 0;
        let mut after = 0;
        loop {
            let name = provider.to_owned();
            let ids = self
                .write(move |mut writing| {
                    Box::pin(async move {
                        let rows = sqlx::query(RETRY_SOME).bind(name).bind(after).fetch_all(&mut *writing.sql).await?;
                        retry_rows(&mut writing, &rows, now).await?;
                        rows.iter().map(|row| Columns::of("voicemail", row).get("id")).collect::<Result<Vec<i64>>>()
                    })
                })
                .await?;
            count += ids.len();
            match ids.into_iter().max() {
                Some(last) => after = last,
                None => break,
            }
        }
        let name = provider.to_owned();
        self.write(move |writing| {
            Box::pin(async move {
                for statement in [RETRY_COPIES, RETRY_QUESTIONS] {
                    let query = sqlx::query(statement).bind(name.clone()).bind(now.as_millisecond());
                    query.execute(&mut *writing.sql).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await?;
        Ok(count)
    }

    /// The voicemails of these calls, oldest first.
    pub async fn voicemails_of_calls(&self, call_ids: &[i64]) -> Result<Vec<Voicemail>> {
        of_calls(&mut *self.readers.acquire().await?, call_ids).await
    }

    /// Stored voicemails with an id after `after`, at most 100, by id: for the check of all checksums.
    pub async fn stored_voicemails(&self, after: i64) -> Result<Vec<Voicemail>> {
        let rows = sqlx::query(LIST_STORED).bind(after).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// The sound is safe on our disk: the row says so, and what is to be done next is planned, in one commit.
    pub async fn voicemail_stored(
        &self,
        id: i64,
        sound: StoredSound,
        next: &'static [JobKind],
        now: Timestamp,
    ) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_the_list();
                let name = sound.name.clone();
                let stored = sqlx::query(MARK_STORED)
                    .bind(id)
                    .bind(now.as_millisecond())
                    .bind(sound.name)
                    .bind(sound.format)
                    .bind(sound.content_type)
                    .bind(sound.size_bytes)
                    .bind(sound.sha256)
                    .bind(sound.length_ms)
                    .bind(sound.speech_ms)
                    .bind(sound.loudness_centibels)
                    .bind(sound.peaks)
                    .bind(sound.damage)
                    .execute(&mut *writing.sql)
                    .await?;
                if stored.rows_affected() == 0 {
                    sqlx::query(LEAVE_TO_ERASE).bind(id).bind(name).execute(&mut *writing.sql).await?;
                }
                for kind in next {
                    let job_id = writing.new_id(now);
                    plan_next(writing.sql, job_id, *kind, id, now).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// The sound cannot be had, in words.
    pub async fn voicemail_failed(&self, id: i64, failure: &str) -> Result<()> {
        let failure = failure.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_the_list();
                sqlx::query(MARK_FAILED).bind(id).bind(failure).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Erases a message on demand: from now on its row says so, the reason is in the audit, and the provider's copy is to be
    /// deleted. The file is taken away afterwards ([`Store::files_to_erase`]). `false`: there is nothing to erase.
    pub async fn erase_voicemail(
        &self,
        id: i64,
        by: &Actor,
        reason: &str,
        address: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (by, reason, address) = (by.clone(), reason.to_owned(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                if !erase(&mut writing, id, &reason, now).await? {
                    return Ok(false);
                }
                audit::keep(&mut writing, &by, "erase", &format!("voicemail {id}"), &reason, &address, now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// Files of erased messages that are still on the disk, with the ids of their messages, at most 100.
    pub async fn files_to_erase(&self) -> Result<Vec<(i64, String)>> {
        let rows = sqlx::query(LIST_FILES_TO_ERASE).fetch_all(&self.readers).await?;
        let file = |row| {
            let columns = Columns::of("voicemail", row);
            Ok((columns.get("id")?, columns.get("name")?))
        };
        rows.iter().map(file).collect()
    }

    /// The file of an erased message is gone, and with it all that was measured of its sound.
    pub async fn file_erased(&self, id: i64) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(FORGET_FILE).bind(id).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// The speech model has answered. `text`: `None` if nothing in its answer was said by the caller.
    pub async fn voicemail_transcribed(
        &self,
        id: i64,
        text: Option<String>,
        model: &str,
        now: Timestamp,
    ) -> Result<()> {
        let model = model.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                let marked = sqlx::query(MARK_TRANSCRIBED)
                    .bind(id)
                    .bind(text)
                    .bind(model)
                    .bind(now.as_millisecond())
                    .execute(&mut *writing.sql)
                    .await?;
                if let (1, Some((callback_id, text))) = (marked.rows_affected(), said(writing.sql, id).await?) {
                    writing.touches_the_list();
                    search::keep_words(writing.sql, &[(callback_id, text)]).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    pub async fn voicemail_deleted_at_provider(&self, id: i64, now: Timestamp) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(MARK_DELETED_THERE).bind(id).bind(now.as_millisecond()).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }
}

/// Marks a message as erased, with its words. Its file is taken away afterwards; where its provider still has a copy, that is to
/// be deleted. `false`: there is nothing to erase.
pub(super) async fn erase(writing: &mut Writing<'_>, id: i64, reason: &str, now: Timestamp) -> Result<bool> {
    let said = said(writing.sql, id).await?;
    let row = sqlx::query(MARK_ERASED).bind(id).bind(reason.to_owned()).fetch_optional(&mut *writing.sql).await?;
    let Some(row) = row else { return Ok(false) };
    if let Some((callback_id, _)) = said {
        search::renew_words(writing.sql, callback_id).await?;
    }
    writing.touches_the_list();
    sqlx::query(FORGET_FETCHING).bind(id).execute(&mut *writing.sql).await?;
    if Columns::of("voicemail", &row).optional_time("deleted_at_provider_at")?.is_none() {
        let job_id = writing.new_id(now);
        plan_next(writing.sql, job_id, JobKind::DeleteRecording, id, now).await?;
    }
    Ok(true)
}

/// Plans what follows the fetching of a message. What asks the provider stands in the provider's lane.
async fn plan_next(connection: &mut AnyConnection, job_id: i64, kind: JobKind, id: i64, now: Timestamp) -> Result<()> {
    let lane = match kind {
        JobKind::DeleteRecording => sqlx::query_scalar(PROVIDER_OF).bind(id).fetch_optional(&mut *connection).await?,
        _ => None,
    };
    jobs::plan_in_lane(connection, job_id, &NewJob { kind, subject: id, lane }, now).await
}

/// Plans the fetching of these rows anew. Columns: id, url, provider.
async fn retry_rows(writing: &mut Writing<'_>, rows: &[AnyRow], now: Timestamp) -> Result<()> {
    for row in rows {
        writing.touches_the_list();
        let job = fetching(row)?;
        let job_id = writing.new_id(now);
        jobs::replan(writing.sql, job_id, &job, now).await?;
    }
    Ok(())
}

fn fetching(row: &AnyRow) -> Result<NewJob> {
    let columns = Columns::of("voicemail", row);
    let lane = jobs::lane_of(columns.get::<Option<String>>("url")?.as_deref(), &columns.get::<String>("provider")?);
    Ok(NewJob { kind: JobKind::FetchRecording, subject: columns.get("id")?, lane: Some(lane) })
}

/// Tries a recording of this call again of which not all is here: its provider has told of it once more, perhaps at a new
/// address.
pub(super) async fn retry_recording(
    connection: &mut AnyConnection,
    job_id: i64,
    (call_id, recording_id, url): (i64, &str, Option<String>),
    now: Timestamp,
) -> Result<()> {
    let row = sqlx::query(RETRY_TOLD_AGAIN).bind(call_id).bind(recording_id.to_owned()).bind(url);
    if let Some(row) = row.fetch_optional(&mut *connection).await? {
        jobs::replan(connection, job_id, &fetching(&row)?, now).await?;
    }
    Ok(())
}

/// What the message said, if it is known, and the callback it belongs to.
async fn said(connection: &mut AnyConnection, id: i64) -> Result<Option<(i64, String)>> {
    let row = sqlx::query(SAID).bind(id).fetch_optional(connection).await?;
    row.map(|row| {
        let columns = Columns::of("voicemail", &row);
        Ok((columns.get("callback_id")?, columns.get("transcript")?))
    })
    .transpose()
}

/// The voicemails of these calls, oldest first.
pub(super) async fn of_calls(connection: &mut AnyConnection, call_ids: &[i64]) -> Result<Vec<Voicemail>> {
    if call_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = VOICEMAILS_OF_CALLS
        .query(connection, call_ids, |params, id| params.add(*id))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(read).collect()
}

/// The `newest` voicemails of each of these callbacks, oldest first, after the count of all it has. Asked for by callback:
/// one of them may have more calls than a statement may have parameters.
pub(super) async fn of_callbacks(
    connection: &mut AnyConnection,
    callback_ids: &[i64],
    newest: i64,
) -> Result<HashMap<i64, (i64, Vec<Voicemail>)>> {
    let asked = VOICEMAILS_OF_CALLBACKS.query(connection, callback_ids, |params, id| {
        params.add(*id);
        params.add(newest);
    });
    let mut messages: HashMap<i64, (i64, Vec<Voicemail>)> = HashMap::new();
    for row in asked.fetch_all(&mut *connection).await? {
        let columns = Columns::of("call", &row);
        let (count, voicemails) = messages.entry(columns.get("callback_id")?).or_default();
        *count = columns.get("of_all")?;
        voicemails.push(read(&row)?);
    }
    Ok(messages)
}

fn read(row: &AnyRow) -> Result<Voicemail> {
    let columns = Columns::of("voicemail", row);
    let state = columns.parsed("state", VoicemailState::from_word)?;
    let sound = match columns.get::<Option<String>>("name")?.filter(|_| state != VoicemailState::Erased) {
        Some(name) => Some(StoredSound {
            name,
            format: columns.get("format")?,
            content_type: columns.get("content_type")?,
            size_bytes: columns.get("size_bytes")?,
            sha256: columns.get("sha256")?,
            length_ms: columns.get("length_ms")?,
            speech_ms: columns.get("speech_ms")?,
            loudness_centibels: columns.get("loudness_centibels")?,
            peaks: columns.get("peaks")?,
            damage: columns.get("damage")?,
        }),
        None => None,
    };
    let state = columns.parsed("state", VoicemailState::from_word)?;
    let transcript = match columns.get::<Option<String>>("transcript")? {
        Some(text) if state != VoicemailState::Erased => {
            Some(Transcript { text, model: columns.get("transcript_model")?, made_at: columns.time("transcribed_at")? })
        }
        _ => None,
    };
    Ok(Voicemail {
        id: columns.get("id")?,
        call_id: columns.get("call_id")?,
        provider: columns.get("provider")?,
        provider_call_id: columns.get("provider_call_id")?,
        recording_id: columns.get("recording_id")?,
        url: columns.get("url")?,
        received_at: columns.time("received_at")?,
        provider_seconds: columns.get("provider_seconds")?,
        state,
        sound,
        failure: columns.get("failure")?,
        deleted_at_provider_at: columns.optional_time("deleted_at_provider_at")?,
        caller: columns.optional_parsed("caller", PhoneNumber::stored)?,
        transcript,
    })
}

const VOICEMAILS_OF_CALLS: ManyRows = ManyRows {
    name: "VOICEMAILS_OF_CALLS",
    head: "SELECT voicemail.*, call.provider AS provider, call.provider_call_id AS provider_call_id,
        call.caller AS caller",
    columns: &[Column::Number],
    tail: "JOIN voicemail ON voicemail.call_id = column1
        JOIN call ON call.id = voicemail.call_id
        ORDER BY voicemail.received_at, voicemail.id",
};

const VOICEMAILS_OF_CALLBACKS: ManyRows = ManyRows {
    name: "VOICEMAILS_OF_CALLBACKS",
    head: "SELECT voicemail.*, call.provider AS provider, call.provider_call_id AS provider_call_id,
        call.caller AS caller, call.callback_id AS callback_id, left_there.of_all AS of_all
        FROM (
            SELECT voicemail.id AS id, column2 AS newest, COUNT(*) OVER (PARTITION BY call.callback_id) AS of_all,
                ROW_NUMBER() OVER (
                    PARTITION BY call.callback_id ORDER BY voicemail.received_at DESC, voicemail.id DESC
                ) AS place",
    columns: &[Column::Number, Column::Number],
    tail: "JOIN call ON call.callback_id = column1
            JOIN voicemail ON voicemail.call_id = call.id
        ) AS left_there
        LEFT JOIN voicemail ON voicemail.id = left_there.id
        LEFT JOIN call ON call.id = voicemail.call_id
        WHERE left_there.place <= left_there.newest
        ORDER BY voicemail.received_at, voicemail.id",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&VOICEMAILS_OF_CALLS, &VOICEMAILS_OF_CALLBACKS];

statements! {
    READ_VOICEMAIL = "
        SELECT voicemail.*, call.provider AS provider, call.provider_call_id AS provider_call_id,
            call.caller AS caller
        FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        WHERE voicemail.id = $1";
    FIND_VOICEMAIL = "
        SELECT voicemail.*, call.provider AS provider, call.provider_call_id AS provider_call_id,
            call.caller AS caller
        FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        WHERE voicemail.call_id = $1 AND voicemail.recording_id = $2";
    /// Half a message that is kept stays on the list while the rest is fetched.
    RETRY_ONE = "
        UPDATE voicemail SET state = CASE state WHEN 'stored' THEN 'stored' ELSE 'pending' END, failure = NULL
        WHERE id = $1 AND (state IN ('pending', 'failed')
            OR state = 'stored' AND (damage <> '' OR COALESCE(LENGTH(peaks), 0) = 0))
        RETURNING id, url, (SELECT call.provider FROM call WHERE call.id = voicemail.call_id) AS provider";
    RETRY_TOLD_AGAIN = "
        UPDATE voicemail SET state = CASE state WHEN 'stored' THEN 'stored' ELSE 'pending' END, failure = NULL,
            url = COALESCE($3, url)
        WHERE call_id = $1 AND recording_id = $2 AND (state IN ('pending', 'failed')
            OR state = 'stored' AND (damage <> '' OR COALESCE(LENGTH(peaks), 0) = 0))
        RETURNING id, url, (SELECT call.provider FROM call WHERE call.id = voicemail.call_id) AS provider";
    RETRY_SOME = "
        UPDATE voicemail SET state = 'pending', failure = NULL
        WHERE id IN (
            SELECT voicemail.id FROM voicemail
            JOIN call ON call.id = voicemail.call_id
            WHERE call.provider = $1 AND voicemail.id > $2 AND voicemail.state IN ('pending', 'failed')
            ORDER BY voicemail.id
            LIMIT 100)
        RETURNING id, url, (SELECT call.provider FROM call WHERE call.id = voicemail.call_id) AS provider";
    /// Deletions, and what is asked for once more though a part of it is kept.
    RETRY_COPIES = "
        UPDATE job SET run_at = $2, planned_at = $2, attempts = 0, given_up_at = NULL,
            created_at = CASE WHEN given_up_at IS NULL THEN created_at ELSE CAST($2 AS BIGINT) END
        WHERE kind IN ('delete_recording', 'fetch_recording') AND EXISTS (
            SELECT 1 FROM voicemail
            JOIN call ON call.id = voicemail.call_id
            WHERE voicemail.id = job.subject AND call.provider = $1)";
    RETRY_QUESTIONS = "
        UPDATE job SET run_at = $2, planned_at = $2, attempts = 0, given_up_at = NULL
        WHERE kind = 'reconcile_call' AND attempts > 0
          AND EXISTS (SELECT 1 FROM call WHERE call.id = job.subject AND call.provider = $1)";
    PROVIDER_OF = "
        SELECT call.provider FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        WHERE voicemail.id = $1";
    LIST_STORED = "
        SELECT voicemail.*, call.provider AS provider, call.provider_call_id AS provider_call_id,
            call.caller AS caller
        FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        WHERE voicemail.id > $1 AND voicemail.state = 'stored'
        ORDER BY voicemail.id
        LIMIT 100";
    MARK_STORED = "
        UPDATE voicemail
        SET state = 'stored', stored_at = $2, name = $3, format = $4, content_type = $5, size_bytes = $6, sha256 = $7,
            length_ms = $8, speech_ms = $9, loudness_centibels = $10, peaks = $11, damage = $12, failure = NULL
        WHERE id = $1 AND state <> 'erased'";
    MARK_FAILED = "UPDATE voicemail SET state = 'failed', failure = $2 WHERE id = $1 AND state = 'pending'";
    /// Its words go with its sound.
    MARK_ERASED = "
        UPDATE voicemail
        SET state = 'erased', failure = $2, transcript = NULL, transcript_model = NULL, transcribed_at = NULL
        WHERE id = $1 AND state <> 'erased'
        RETURNING id, deleted_at_provider_at";
    SAID = "
        SELECT voicemail.id, voicemail.transcript, call.callback_id
        FROM voicemail
        JOIN call ON call.id = voicemail.call_id
        WHERE voicemail.id = $1 AND voicemail.transcript IS NOT NULL AND call.callback_id IS NOT NULL";
    MARK_TRANSCRIBED = "
        UPDATE voicemail SET transcript = $2, transcript_model = $3, transcribed_at = $4
        WHERE id = $1 AND state = 'stored'";
    /// What is not here yet is not fetched any more.
    FORGET_FETCHING = "DELETE FROM job WHERE kind IN ('fetch_recording', 'transcribe') AND subject = $1";
    LIST_FILES_TO_ERASE = "
        SELECT id, name FROM voicemail
        WHERE state = 'erased' AND name IS NOT NULL
        LIMIT 100";
    FORGET_FILE = "UPDATE voicemail SET name = NULL, peaks = NULL, sha256 = NULL WHERE id = $1 AND state = 'erased'";
    /// A message erased while it was being fetched: its file is taken away as any other.
    LEAVE_TO_ERASE = "UPDATE voicemail SET name = $2 WHERE id = $1 AND state = 'erased'";
    MARK_DELETED_THERE = "UPDATE voicemail SET deleted_at_provider_at = $2 WHERE id = $1";
}
