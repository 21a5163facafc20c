//! All SQL of the house, in one portable dialect for SQLite and PostgreSQL.
//!
//! The dialect: TEXT, BIGINT, BYTEA; `$1`; times in Unix milliseconds; no database clock, no `LIKE`, no JSON functions,
//! sums cast, NULL order written out, keyset pages. Statements stand beside the functions that run them and are all
//! in [`statements`], so that a test prepares each on both engines.
//!
//! One task writes (`writer.rs`), and shares each commit among all who wait; readers have their own small pool and never
//! wait for it.

mod alarms;
mod answers_since;
mod attempts;
mod audit;
mod audit_chain;
mod backup;
mod blocklist;
mod callback_list;
mod callbacks;
mod calls;
mod contacts;
mod database;
mod desk;
mod desk_page;
mod error;
mod factors;
mod fast_clock;
mod forget;
mod hours;
mod ids;
mod ingest;
mod instance;
mod invitations;
mod jobs;
mod lease;
mod limited;
mod log;
mod mail;
mod news;
mod openings;
mod overview;
mod people;
mod personal;
mod placed_calls;
mod prompts;
mod reconciliation;
mod redact;
mod replay;
mod reports;
mod retention;
mod schema;
mod search;
mod sessions;
mod siblings;
mod spool;
mod sql;
mod tokens;
mod undoing;
mod voicemails;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::AnyPool;
use tokio::sync::{Mutex, mpsc};

pub use alarms::Alarm;
pub use attempts::Attempt;
pub use audit::{AuditEntry, AuditFilter, AuditRow, audit_without_migrating};
pub use audit_chain::{AuditCheck, AuditFault, AuditHead, MAX_FAULTS as MAX_AUDIT_FAULTS};
pub use backup::{
    ColumnKind, LEFT_OUT, LastBackup, MAX_BACKUP_AGE, Present, PromptFiles, RestoreError, Restoring, SchemaError,
    Snapshot, Table, TableColumn, TableContent, VoicemailFile, tables_of_schema,
};
pub use blocklist::BlockedNumber;
pub use callback_list::{CallBrief, CallbackPage, CallbackView, ListFilter, ListPeriod, StateFilter, Step};
pub use calls::{CallView, KeptDelivery};
pub use contacts::Contact;
pub use database::{Purpose, marks_of, sqlite_file};
pub use desk::{ActError, NewCallback};
pub use desk_page::{DeskFilter, DeskPart, Standing};
pub use error::{DatabaseCause, Result, StoreError};
pub use factors::Factor;
pub use fast_clock::PutRight;
pub use forget::{ForgetCounts, ForgetError, ForgottenNumber};
pub use hours::{ChangedHours, HoursChange, HoursEffect, HoursError};
pub use ingest::{Delivery, Kept, OWN};
pub use instance::Instance;
pub use invitations::Invitation;
pub use jobs::{Job, JobKind, JobPool, JobsSummary, MAX_PAUSE, SharedAlarm};
pub use lease::{NIGHTLY_BACKUP, RETENTION};
pub use log::{CallFilter, CallPage, Found, LogEntry, Resolution, Solved};
pub use mail::{Mail, MailKind, MailPlan, NewMail, Waiting};
pub use news::Told;
pub use overview::Growth;
pub use people::{Officer, OfficerChange, PeopleError, Person};
pub use personal::{PersonalPart, personal_document};
pub use placed_calls::{Dialling, PlacedCall, RING_WITHIN};
pub use prompts::{MOST_DRAFTS, NewPrompt, Prompt, PromptError};
pub use reconciliation::{KnownCall, Look, LookList, LookPlace, Reconciliation};
pub use replay::InboxDelivery;
pub use reports::{MOST_REPORTED, Reported};
pub use retention::RetentionCounts;
pub use sessions::KeptSession;
pub use spool::{
    Accepted, FORMER_SPOOL, RESERVE as SPOOL_RESERVE, SPOOL, SpoolDepth, SpoolFolders, from_line as read_spooled,
    set_aside_path, spooled_files,
};
pub use tokens::Token;
pub use undoing::STEPS_BACK;
pub use voicemails::{StoredSound, Transcript, Voicemail, VoicemailState};

use crate::core::changes::Changes;
use crate::core::line::{Lines, LiveLines};
use crate::core::line_scope::LineScope;
use crate::time::Timestamp;

/// The database of one house. Cheap to clone; the last clone dropped lets the writer finish and stop.
#[derive(Clone)]
pub struct Store {
    readers: AnyPool,
    writer: mpsc::Sender<writer::Work>,
    spool: Arc<spool::Spool>,
    connected: Arc<database::Connected>,
    is_sqlite: bool,
    lines: LiveLines,
    /// What whoever asks may see: all, unless [`Store::limited_to`] says otherwise.
    scope: LineScope,
    news: news::News,
    /// In whose name leases are taken here. `None` for a command: nobody takes them back.
    instance: Option<Arc<Instance>>,
    /// One renewal at a time: an older reading must not come after a newer one.
    renewing: Arc<Mutex<()>>,
}

impl Store {
    /// Opens the database (`sqlite:FILE` is made if it is not there, or `postgres://…`) for a command: it must answer.
    /// `configured` are the lines without what the school changed since: they decide which line a call belongs to, and open
    /// or closed.
    pub async fn open(url: &str, configured: Lines) -> Result<Self> {
        let store = Self::begin(url, configured, Purpose::Any)?;
        store.ready_after_upgrade().await?;
        Ok(store)
    }

    /// The same, and never makes a file.
    ///
    /// # Errors
    /// [`StoreError::Gone`] where the file is not there.
    pub async fn open_existing(url: &str, configured: Lines) -> Result<Self> {
        let store = Self::begin(url, configured, Purpose::Existing)?;
        store.ready_after_upgrade().await?;
        Ok(store)
    }

    /// The same for a command that only reads: it takes no lock for writing, so that it works while another process holds that.
    /// A database of an older version is brought up to date first, as by every command.
    ///
    /// # Errors
    /// [`StoreError::Gone`] where the file is not there or empty.
    pub async fn open_to_read(url: &str, configured: Lines) -> Result<Self> {
        let store = Self::begin(url, configured, Purpose::Existing)?;
        if !database::has_schema_of_today(url).await? {
            store.ready_after_upgrade().await?;
        }
        Ok(store)
    }

    /// Opens a database whose restore has not been finished, for what belongs to the restore.
    pub async fn open_restored(url: &str, configured: Lines) -> Result<Self> {
        let store = Self::begin(url, configured, Purpose::Restored)?;
        store.ready_after_upgrade().await?;
        Ok(store)
    }

    /// Begins to work with a database that may be away: the writer opens it and brings its schema up to date when it can,
    /// at its first work and again at each that follows.
    ///
    /// # Errors
    /// Only where `url` is no address of a database.
    pub fn begin(url: &str, configured: Lines, purpose: Purpose) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let database = database::Database::new(url, purpose)?;
        let (connected, is_sqlite) = (database.connected(), database.is_sqlite());
        let readers = database.readers();
        let (sender, inbox) = mpsc::channel(writer::QUEUE);
        let lines = LiveLines::new(configured);
        let news = news::News::new(!is_sqlite);
        tokio::spawn(writer::run(database, inbox, lines.clone(), news.clone()));
        let (renewing, spool) = (Arc::default(), Arc::new(spool::Spool::without_disk()));
        Ok(Self {
            readers,
            writer: sender,
            spool,
            connected,
            is_sqlite,
            lines,
            scope: LineScope::all(),
            news,
            instance: None,
            renewing,
        })
    }

    /// Whether the database is there and of the right purpose, with the lines as the school has them.
    pub async fn ready(&self) -> Result<()> {
        self.ping_writer().await?;
        self.renew_lines().await
    }

    /// The same for a command, which waits for an upgrade of the database however long that takes.
    async fn ready_after_upgrade(&self) -> Result<()> {
        loop {
            match self.ready().await {
                Err(StoreError::Upgrading) => {}
                answer => return answer,
            }
        }
    }

    /// Whether the tables are being brought to those of this program.
    pub fn is_upgrading(&self) -> bool {
        self.connected.upgrading.load(Ordering::Relaxed)
    }

    /// Whether the task that writes is alive. If not, only a new start helps.
    pub fn has_writer(&self) -> bool {
        !self.writer.is_closed()
    }

    /// Returns when the task that writes has ended, by a panic too.
    pub async fn writer_ended(&self) {
        self.writer.closed().await;
    }

    /// Whether the writer has found another database in the place of the one it knew since this was asked last.
    pub fn take_replaced(&self) -> bool {
        self.connected.take_replaced()
    }

    /// Whether somebody has removed the log beside the database since this was asked last.
    pub fn take_removed_log(&self) -> bool {
        self.connected.take_removed_log()
    }

    /// Set while the folder of recordings is another one than the database knows.
    pub fn foreign_recordings(&self) -> Arc<AtomicBool> {
        self.connected.foreign_recordings.clone()
    }

    /// Takes leases in the name of this instance.
    pub fn with_instance(self, instance: Instance) -> Self {
        Self { instance: Some(Arc::new(instance)), ..self }
    }

    /// The lines as the school has them now. One request or job takes them once and keeps to them.
    pub fn lines(&self) -> Lines {
        self.lines.now()
    }

    /// Takes up what the school changed: after each change, and from time to time for what another instance wrote.
    pub async fn renew_lines(&self) -> Result<()> {
        let _turn = self.renewing.lock().await;
        let changes = Changes { hours: self.hours_changes().await?, greetings: self.greetings().await? };
        self.lines.change(&changes);
        Ok(())
    }

    /// Whether a reader gets an answer: for readiness.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Whether the writer can write: for readiness. Nothing changes, so no disk is kept busy by whoever asks, but the
    /// lock for writing is taken, and what may only be read refuses.
    pub async fn ping_writer(&self) -> Result<()> {
        self.write(|writing| {
            Box::pin(async move {
                sqlx::query(TOUCH_NOTHING).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Commits something and reads the newest rows of the main tables: for readiness.
    pub async fn probe(&self, now: Timestamp) -> Result<()> {
        self.set_meta(PROBED_AT, &now.to_string()).await?;
        for table in READ_NEWEST {
            sqlx::query(*table).fetch_all(&self.readers).await?;
        }
        Ok(())
    }

    /// What a check of the whole database finds, in the engine's words; empty if all is well. A database that is too damaged to
    /// be checked is a finding too. Takes as long as reading all of it.
    pub async fn integrity_faults(&self) -> Result<Vec<String>> {
        match self.look_for_faults().await {
            Err(failed) if failed.cause() == DatabaseCause::Damaged => Ok(vec![failed.to_string()]),
            found => found,
        }
    }

    /// On a connection of its own: the pool tries again for as long as a connection cannot be prepared, and forgets why.
    async fn look_for_faults(&self) -> Result<Vec<String>> {
        let mut connection = database::connect(&self.readers.connect_options()).await?;
        if self.is_sqlite {
            let found: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(10)").fetch_all(&mut connection).await?;
            return Ok(found.into_iter().filter(|line| line != "ok").collect());
        }
        let mut faults = Vec::new();
        for (name, statement) in COUNT_MAIN_TABLES {
            match sqlx::query(*statement).execute(&mut connection).await.map_err(StoreError::from) {
                Ok(_) => {}
                Err(failed) if failed.cause() == DatabaseCause::Damaged => faults.push(format!("{name}: {failed}")),
                Err(failed) => return Err(failed),
            }
        }
        Ok(faults)
    }

    /// Requests that wait for the writer, for metrics.
    pub fn waiting(&self) -> usize {
        self.writer.max_capacity() - self.writer.capacity()
    }

    /// Lets the writer finish what waits, then closes all connections.
    pub async fn close(self) {
        let Self { readers, writer, .. } = self;
        let (done, closed) = tokio::sync::oneshot::channel();
        if writer.send(writer::Work::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
        readers.close().await;
    }

    /// A value of the `meta` table.
    pub async fn meta(&self, key: &str) -> Result<Option<String>> {
        Ok(sqlx::query_scalar(READ_META).bind(key.to_owned()).fetch_optional(&self.readers).await?)
    }

    /// A value of the `meta` table; `fresh` is inserted where there is none. Two instances that ask at once get the same.
    pub async fn meta_or_insert(&self, key: &str, fresh: &str) -> Result<String> {
        if let Some(value) = self.meta(key).await? {
            return Ok(value);
        }
        let (key, fresh) = (key.to_owned(), fresh.to_owned());
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(INSERT_META).bind(key.clone()).bind(fresh).execute(&mut *writing.sql).await?;
                Ok::<_, StoreError>(sqlx::query_scalar(READ_META).bind(key).fetch_one(&mut *writing.sql).await?)
            })
        })
        .await
    }

    pub async fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(WRITE_META).bind(key).bind(value).execute(connection.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }
}

/// The key in `meta` of the last commit made for readiness.
const PROBED_AT: &str = "probed_at";

/// The newest rows of the main tables.
const READ_NEWEST: &[&str] =
    &[NEWEST_DELIVERIES, NEWEST_CALLS, NEWEST_VOICEMAILS, NEWEST_CALLBACKS, NEWEST_STEPS, NEWEST_JOBS];

/// Statements that read every row of the main tables.
const COUNT_MAIN_TABLES: &[(&str, &str)] = &[
    ("delivery", COUNT_DELIVERIES),
    ("call", COUNT_CALLS),
    ("voicemail", COUNT_VOICEMAILS),
    ("callback", COUNT_CALLBACKS),
];

sql::statements! {
    NEWEST_DELIVERIES = "SELECT * FROM delivery WHERE id > 0 ORDER BY id DESC LIMIT 20";
    NEWEST_CALLS = "SELECT * FROM call WHERE id > 0 ORDER BY id DESC LIMIT 100";
    NEWEST_VOICEMAILS = "SELECT * FROM voicemail WHERE id > 0 ORDER BY id DESC LIMIT 100";
    NEWEST_CALLBACKS = "SELECT * FROM callback WHERE id > 0 ORDER BY id DESC LIMIT 100";
    NEWEST_STEPS = "SELECT * FROM callback_history WHERE id > 0 ORDER BY id DESC LIMIT 20";
    NEWEST_JOBS = "SELECT * FROM job WHERE id > 0 ORDER BY id DESC LIMIT 20";
    COUNT_DELIVERIES = "SELECT CAST(SUM(LENGTH(body)) AS BIGINT) AS bytes FROM delivery";
    COUNT_CALLS = "SELECT COUNT(outcome) AS calls FROM call";
    COUNT_VOICEMAILS = "SELECT COUNT(state) AS voicemails FROM voicemail";
    COUNT_CALLBACKS = "SELECT COUNT(state) AS callbacks FROM callback";
    TOUCH_NOTHING = "UPDATE meta SET value = value WHERE key = ''";
    READ_META = "SELECT value FROM meta WHERE key = $1";
    INSERT_META = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    WRITE_META = "
        INSERT INTO meta (key, value) VALUES ($1, $2)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
}

/// One statement of the house, for the test that prepares each on both engines.
#[derive(Clone, Debug)]
pub struct Statement {
    pub name: &'static str,
    pub for_sqlite: String,
    pub for_postgres: String,
    /// `TEXT`, `BIGINT` or `BYTEA` of each parameter where the text alone does not tell; empty where it does.
    pub parameters: Vec<&'static str>,
}

/// Every statement of the house; those of many rows at one row and at two.
pub fn statements() -> Vec<Statement> {
    [
        STATEMENTS,
        alarms::STATEMENTS,
        answers_since::STATEMENTS,
        audit::STATEMENTS,
        audit_chain::STATEMENTS,
        backup::STATEMENTS,
        blocklist::STATEMENTS,
        callback_list::STATEMENTS,
        callbacks::STATEMENTS,
        calls::STATEMENTS,
        contacts::STATEMENTS,
        database::STATEMENTS,
        desk::STATEMENTS,
        desk_page::STATEMENTS,
        factors::STATEMENTS,
        fast_clock::STATEMENTS,
        forget::STATEMENTS,
        hours::STATEMENTS,
        ids::STATEMENTS,
        ingest::STATEMENTS,
        invitations::STATEMENTS,
        jobs::STATEMENTS,
        lease::STATEMENTS,
        limited::STATEMENTS,
        overview::STATEMENTS,
        news::STATEMENTS,
        mail::STATEMENTS,
        openings::STATEMENTS,
        people::STATEMENTS,
        personal::STATEMENTS,
        placed_calls::STATEMENTS,
        sessions::STATEMENTS,
        siblings::STATEMENTS,
        tokens::STATEMENTS,
        prompts::STATEMENTS,
        reconciliation::STATEMENTS,
        redact::STATEMENTS,
        log::STATEMENTS,
        search::STATEMENTS,
        replay::STATEMENTS,
        reports::STATEMENTS,
        retention::STATEMENTS,
        undoing::STATEMENTS,
        voicemails::STATEMENTS,
    ]
    .concat()
    .into_iter()
    .map(|(name, sql)| Statement {
        name,
        for_sqlite: sql.to_owned(),
        for_postgres: sql.to_owned(),
        parameters: Vec::new(),
    })
    .chain(
        [
            answers_since::MANY_ROW_STATEMENTS,
            audit_chain::MANY_ROW_STATEMENTS,
            calls::MANY_ROW_STATEMENTS,
            callback_list::MANY_ROW_STATEMENTS,
            ingest::MANY_ROW_STATEMENTS,
            contacts::MANY_ROW_STATEMENTS,
            jobs::MANY_ROW_STATEMENTS,
            log::MANY_ROW_STATEMENTS,
            openings::MANY_ROW_STATEMENTS,
            reconciliation::MANY_ROW_STATEMENTS,
            search::MANY_ROW_STATEMENTS,
            siblings::MANY_ROW_STATEMENTS,
            voicemails::MANY_ROW_STATEMENTS,
        ]
        .concat()
        .into_iter()
        .flat_map(|statement| [1, 2].map(|rows| statement.described(rows))),
    )
    .collect()
}
