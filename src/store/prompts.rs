//! Greetings that the school recorded itself, in all their versions.

use std::sync::Arc;

use sqlx::Row;
use sqlx::any::AnyRow;
use tracing::{error, warn};

use super::audit;
use super::sql::{Columns, statements};
use super::writer::{WriteError, Writing};
use super::{Result, Store, StoreError};
use crate::core::greetings::{GreetingKind, Greetings, Recorded};
use crate::core::line::LineId;
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// Versions of one text that no caller has heard. Who makes more throws some away first.
pub const MOST_DRAFTS: i64 = 10;

/// One version of a greeting.
#[derive(Clone, Debug)]
pub struct Prompt {
    pub id: i64,
    pub line: LineId,
    pub kind: GreetingKind,
    /// 32 random hexadecimal digits.
    pub name: String,
    /// What was to be read when it was recorded.
    pub read_text: String,
    pub uploaded_at: Timestamp,
    pub uploader: String,
    /// As callers hear it.
    pub length_ms: i64,
    pub sha256: Vec<u8>,
    /// File of the upload as it came, below the recordings folder.
    pub original_name: String,
    pub original_type: String,
    pub original_length_ms: i64,
    pub original_sha256: Vec<u8>,
    /// dB times ten by which it was made louder; negative: softer.
    pub raised_centibels: i64,
    /// Places where the microphone was overdriven; 0 where none can be heard.
    pub clipped: i64,
    /// What was wrong with the uploaded file; empty if nothing.
    pub damage: String,
    /// `None`: a draft, which no caller has heard.
    pub first_on_at: Option<Timestamp>,
    /// `None`: switched off.
    pub on_since: Option<Timestamp>,
}

/// A version whose files are on the disk already.
#[derive(Clone, Debug)]
pub struct NewPrompt {
    pub line: LineId,
    pub kind: GreetingKind,
    pub name: String,
    pub read_text: String,
    pub length_ms: i64,
    pub sha256: Vec<u8>,
    pub original_name: String,
    pub original_type: String,
    pub original_length_ms: i64,
    pub original_sha256: Vec<u8>,
    pub raised_centibels: i64,
    pub clipped: i64,
    pub damage: String,
}

/// Why a version was not kept, switched or thrown away.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PromptError {
    #[error("there is no such version of a greeting")]
    NotFound,
    #[error("there are {MOST_DRAFTS} drafts of this text already")]
    TooManyDrafts,
    /// Callers have heard it: it stays.
    #[error("a greeting that was heard by callers is kept")]
    WasHeard,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError for PromptError {
    fn as_store_error(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<sqlx::Error> for PromptError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Those that are switched on. A row that makes no sense is left out and told: one fault in a greeting must not keep the
    /// whole house from answering.
    pub async fn greetings(&self) -> Result<Greetings> {
        let mut greetings = Greetings::default();
        for row in sqlx::query(PROMPTS_ON).fetch_all(&self.readers).await? {
            match read(&row) {
                Ok(Prompt { line, kind, name, length_ms, .. }) => {
                    greetings.switch_on(line, kind, Recorded { name: Arc::from(name), length_ms });
                }
                Err(failed) => error!(error = %failed, "A greeting is not understood and is not played"),
            }
        }
        Ok(greetings)
    }

    /// The versions that are switched on, of all lines.
    pub async fn prompts_on(&self) -> Result<Vec<Prompt>> {
        sqlx::query(PROMPTS_ON).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// How many drafts there are of each text that has any.
    pub async fn prompt_drafts(&self) -> Result<Vec<(LineId, GreetingKind, i64)>> {
        let rows = sqlx::query(COUNT_ALL_DRAFTS).fetch_all(&self.readers).await?;
        let counts = rows.iter().map(|row| {
            let columns = Columns::of("prompt", row);
            let kind = columns.parsed("kind", |word| word.parse().ok())?;
            Ok((LineId::new(&columns.get::<String>("line")?), kind, columns.get("drafts")?))
        });
        counts.collect()
    }

    pub async fn prompt(&self, id: i64) -> Result<Option<Prompt>> {
        let row = sqlx::query(READ_PROMPT).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest 20 versions of a text, newest first, after the one that is switched on.
    pub async fn prompts(&self, line: &LineId, kind: GreetingKind) -> Result<Vec<Prompt>> {
        let rows = sqlx::query(LIST_PROMPTS)
            .bind(line.to_string())
            .bind(kind.as_str().to_owned())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Versions with an id after `after`, at most 100, by id: for the check of all checksums.
    pub async fn all_prompts(&self, after: i64) -> Result<Vec<Prompt>> {
        let rows = sqlx::query(LIST_ALL_PROMPTS).bind(after).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// Whether callers hear, or once heard, the version of this name.
    pub async fn is_heard(&self, name: &str) -> Result<bool> {
        Ok(sqlx::query(IS_HEARD).bind(name.to_owned()).fetch_optional(&self.readers).await?.is_some())
    }

    /// Keeps a new version as a draft: nobody hears it before [`Store::switch_prompt_on`].
    pub async fn add_prompt(
        &self,
        new: NewPrompt,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<i64, PromptError> {
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let (line, kind) = (new.line.to_string(), new.kind.as_str().to_owned());
                let drafts: i64 = sqlx::query(COUNT_DRAFTS)
                    .bind(line.clone())
                    .bind(kind.clone())
                    .fetch_one(&mut *writing.sql)
                    .await?
                    .try_get(0)?;
                if drafts >= MOST_DRAFTS {
                    return Err(PromptError::TooManyDrafts);
                }
                let id = writing.new_id(now);
                let detail = told(&line, &kind, new.length_ms);
                sqlx::query(ADD_PROMPT)
                    .bind(id)
                    .bind(line)
                    .bind(kind)
                    .bind(new.name)
                    .bind(new.read_text)
                    .bind(now.as_millisecond())
                    .bind(by.id.clone())
                    .bind(by.name.clone())
                    .bind(new.length_ms)
                    .bind(new.sha256)
                    .bind(new.original_name)
                    .bind(new.original_type)
                    .bind(new.original_length_ms)
                    .bind(new.original_sha256)
                    .bind(new.raised_centibels)
                    .bind(new.clipped)
                    .bind(new.damage)
                    .execute(&mut *writing.sql)
                    .await?;
                audit::keep(&mut writing, &by, "prompt_upload", &object(id), &detail, &address, now);
                Ok(id)
            })
        })
        .await
    }

    /// From the next call on this version is heard, and the one before it no longer. The answer is the version.
    pub async fn switch_prompt_on(
        &self,
        id: i64,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<Prompt, PromptError> {
        let switched = self.switch_prompt(id, true, by, address, now).await?;
        self.take_up_the_switch().await;
        Ok(switched)
    }

    /// From the next call on the text is spoken.
    pub async fn switch_prompt_off(
        &self,
        id: i64,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<Prompt, PromptError> {
        let switched = self.switch_prompt(id, false, by, address, now).await?;
        self.take_up_the_switch().await;
        Ok(switched)
    }

    /// The switch is written: if it cannot be read now, the next sweep takes it up.
    async fn take_up_the_switch(&self) {
        if let Err(failed) = self.renew_lines().await {
            warn!(error = %failed, "A switched greeting is not heard yet");
        }
    }

    /// Switching what is so already changes nothing and leaves no row.
    async fn switch_prompt(
        &self,
        id: i64,
        on: bool,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<Prompt, PromptError> {
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let prompt = hold(&mut writing, id).await?;
                if prompt.on_since.is_some() == on {
                    return Ok(prompt);
                }
                let (line, kind) = (prompt.line.to_string(), prompt.kind.as_str().to_owned());
                let detail = told(&line, &kind, prompt.length_ms);
                sqlx::query(SWITCH_OFF).bind(line).bind(kind).execute(&mut *writing.sql).await?;
                if on {
                    sqlx::query(SWITCH_ON).bind(id).bind(now.as_millisecond()).execute(&mut *writing.sql).await?;
                }
                let action = if on { "prompt_on" } else { "prompt_off" };
                audit::keep(&mut writing, &by, action, &object(id), &detail, &address, now);
                hold(&mut writing, id).await
            })
        })
        .await
    }

    /// Throws a draft away. The answer is what it was; its files are the caller's to remove.
    pub async fn drop_prompt(&self, id: i64, by: &Actor, address: &str, now: Timestamp) -> Result<Prompt, PromptError> {
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let prompt = hold(&mut writing, id).await?;
                if prompt.first_on_at.is_some() {
                    return Err(PromptError::WasHeard);
                }
                sqlx::query(DROP_PROMPT).bind(id).execute(&mut *writing.sql).await?;
                let detail = told(prompt.line.as_str(), prompt.kind.as_str(), prompt.length_ms);
                audit::keep(&mut writing, &by, "prompt_drop", &object(id), &detail, &address, now);
                Ok(prompt)
            })
        })
        .await
    }
}

async fn hold(writing: &mut Writing<'_>, id: i64) -> Result<Prompt, PromptError> {
    let row = sqlx::query(HOLD_PROMPT).bind(id).fetch_optional(&mut *writing.sql).await?;
    Ok(read(&row.ok_or(PromptError::NotFound)?)?)
}

fn object(id: i64) -> String {
    format!("prompt {id}")
}

/// The detail of an audit row: «parents closed, 23 s».
fn told(line: &str, kind: &str, length_ms: i64) -> String {
    format!("{line} {kind}, {} s", (length_ms + 500) / 1_000)
}

fn read(row: &AnyRow) -> Result<Prompt> {
    let columns = Columns::of("prompt", row);
    Ok(Prompt {
        id: columns.get("id")?,
        line: LineId::new(&columns.get::<String>("line")?),
        kind: columns.parsed("kind", |word| word.parse().ok())?,
        name: columns.get("name")?,
        read_text: columns.get("read_text")?,
        uploaded_at: columns.time("uploaded_at")?,
        uploader: columns.get("uploader_name")?,
        length_ms: columns.get("length_ms")?,
        sha256: columns.get("sha256")?,
        original_name: columns.get("original_name")?,
        original_type: columns.get("original_type")?,
        original_length_ms: columns.get("original_length_ms")?,
        original_sha256: columns.get("original_sha256")?,
        raised_centibels: columns.get("raised_centibels")?,
        clipped: columns.get("clipped")?,
        damage: columns.get("damage")?,
        first_on_at: columns.optional_time("first_on_at")?,
        on_since: columns.optional_time("on_since")?,
    })
}

statements! {
    /// At most one for each text of each line.
    PROMPTS_ON = "SELECT * FROM prompt WHERE on_since IS NOT NULL";
    READ_PROMPT = "SELECT * FROM prompt WHERE id = $1";
    LIST_PROMPTS = "
        SELECT * FROM prompt
        WHERE line = $1 AND kind = $2
        ORDER BY CASE WHEN on_since IS NULL THEN 1 ELSE 0 END, id DESC
        LIMIT 20";
    LIST_ALL_PROMPTS = "SELECT * FROM prompt WHERE id > $1 ORDER BY id LIMIT 100";
    IS_HEARD = "SELECT id FROM prompt WHERE name = $1 AND first_on_at IS NOT NULL";
    COUNT_DRAFTS = "
        SELECT COUNT(*) FROM prompt
        WHERE line = $1 AND kind = $2 AND first_on_at IS NULL";
    /// Drafts are few: each text has ten at most.
    COUNT_ALL_DRAFTS = "
        SELECT line, kind, COUNT(*) AS drafts FROM prompt
        WHERE first_on_at IS NULL
        GROUP BY line, kind";
    ADD_PROMPT = "
        INSERT INTO prompt (id, line, kind, name, read_text, uploaded_at, uploader_id, uploader_name, length_ms, sha256,
            original_name, original_type, original_length_ms, original_sha256, raised_centibels, clipped, damage)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    /// Holds the version until the transaction ends.
    HOLD_PROMPT = "UPDATE prompt SET id = id WHERE id = $1 RETURNING *";
    SWITCH_OFF = "UPDATE prompt SET on_since = NULL WHERE line = $1 AND kind = $2 AND on_since IS NOT NULL";
    SWITCH_ON = "UPDATE prompt SET on_since = $2, first_on_at = COALESCE(first_on_at, $2) WHERE id = $1";
    DROP_PROMPT = "DELETE FROM prompt WHERE id = $1";
}
