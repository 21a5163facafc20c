//! The whole database as one consistent picture, and its way into an empty one. Every table becomes lines of JSON, an array
//! per row, which are the same for both engines: what SQLite wrote PostgreSQL reads, and the other way round.
//!
//! Tables and columns are read from the schema, so that a new table is in the next backup without a change here. The
//! statements that ask for them are the engines' own and not in `STATEMENTS`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments, AssertSqlSafe, Connection, Row};
use tokio::sync::mpsc;

use super::lease::MAX_CLOCK_DIFFERENCE;
use super::sql::{Columns, statements};
use super::{Result, Store, StoreError, VoicemailState, database, schema};
use crate::time::{SignedDuration, Timestamp};

/// Tables that are in no backup. `session`: a copy in the wrong hands signs nobody in, and whoever is signed in types the
/// password once more. `news`: it tells running processes of each other. `lease`: what running processes hold.
pub const LEFT_OUT: [&str; 3] = ["session", "news", "lease"];

/// Tables that are not empty after the migrations: the first restore replaces their rows.
const FILLED_BY_MIGRATIONS: [&str; 2] = ["search_progress", "audit_chain"];
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
/// The key in `meta` of a database whose restore has not been finished.
const UNFINISHED: &str = "unfinished_restore";

/// Without a good backup for this long somebody has to act.
pub const MAX_BACKUP_AGE: SignedDuration = SignedDuration::from_hours(48);
/// The key in `meta` under which the last good backup of the night is described.
const LAST_BACKUP: &str = "last_backup";

/// Lines are handed on in chunks of about this size.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows per INSERT, at most, and parameters: SQLite takes 32,766.
const MAX_ROWS_PER_INSERT: usize = 256;
const MAX_PARAMETERS: usize = 30_000;
/// Rows of a list of files that are read at a time.
const PAGE: i64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    Text,
    Number,
    /// Base64 in the lines.
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumn {
    pub name: String,
    pub kind: ColumnKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// In the order of the values in a line.
    pub columns: Vec<TableColumn>,
}

/// What a table holds, whatever the order of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableContent {
    pub rows: u64,
    /// The SHA-256 of each line, all of them combined by XOR: no two rows of a table with a key are the same.
    pub digest: [u8; 32],
}

impl TableContent {
    /// Counts a line, given without its end.
    pub fn add(&mut self, line: &[u8]) {
        self.rows += 1;
        let sum: [u8; 32] = Sha256::digest(line).into();
        self.digest.iter_mut().zip(sum).for_each(|(digest, byte)| *digest ^= byte);
    }
}

/// A file that a voicemail's row names, or may name soon.
#[derive(Clone, Debug)]
pub struct VoicemailFile {
    pub id: i64,
    pub state: VoicemailState,
    /// Name, size and SHA-256. `None` while it is pending.
    pub stored: Option<(String, u64, Vec<u8>)>,
}

/// The two files of a greeting.
#[derive(Clone, Debug)]
pub struct PromptFiles {
    pub id: i64,
    /// 32 hexadecimal digits.
    pub name: String,
    pub sha256: Vec<u8>,
    pub original_name: String,
    pub original_sha256: Vec<u8>,
}

/// The last good backup of the night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    pub made_at: Timestamp,
    pub verified_at: Timestamp,
    pub folder: String,
    pub size_bytes: u64,
    pub recordings: u64,
}

impl Store {
    /// `None`: there has never been one. One of an instant after `now` was written by a clock that ran ahead, and its age is
    /// unknown: it counts as none. But the clock of another instance may be a little ahead: its backup was made just now.
    pub async fn last_backup(&self, now: Timestamp) -> Result<Option<LastBackup>> {
        let text = self.meta(LAST_BACKUP).await?;
        // What another version of the program wrote is as good as none: the next night writes it anew.
        let last = text.and_then(|text| serde_json::from_str::<LastBackup>(&text).ok());
        let latest = now.checked_add(MAX_CLOCK_DIFFERENCE).unwrap_or(Timestamp::MAX);
        let last = last.filter(|last| last.made_at <= latest);
        Ok(last.map(|last| LastBackup { made_at: last.made_at.min(now), ..last }))
    }

    pub async fn set_last_backup(&self, last: &LastBackup) -> Result<()> {
        let text = serde_json::to_string(last).expect("plain fields always become JSON");
        self.set_meta(LAST_BACKUP, &text).await
    }
}

/// The database at one instant. Writers go on meanwhile; on SQLite the write-ahead log is not cut shorter until
/// [`Snapshot::release`].
pub struct Snapshot {
    connection: AnyConnection,
    /// `SQLite` or `PostgreSQL`.
    pub engine: String,
    /// The number of the last migration.
    pub schema_version: i64,
    pub tables: Vec<Table>,
}

impl Snapshot {
    /// Opens a database that exists, without migrating it: a backup is also taken by a newer program.
    pub async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let mut connection = database::connect(&database::connect_options(url)?).await?;
        let engine = connection.backend_name().to_owned();
        let begin = match engine.as_str() {
            "SQLite" => "BEGIN",
            _ => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        sqlx::raw_sql(begin).execute(&mut connection).await?;
        // The first read takes the picture.
        let schema_version = schema_version(&mut connection).await?;
        refuse_unfinished(&mut connection).await?;
        let tables = tables(&mut connection).await?;
        let tables = tables.into_iter().filter(|table| !LEFT_OUT.contains(&table.name.as_str())).collect();
        Ok(Self { connection, engine, schema_version, tables })
    }

    /// Hands on all rows of a table as lines, chunk by chunk. If nobody takes them any more, it ends early.
    pub async fn read_table(&mut self, table: &Table, chunks: &mpsc::Sender<Vec<u8>>) -> Result<TableContent> {
        read_table(&mut self.connection, table, Some(chunks)).await
    }

    /// How many rows name a row that is not there, by reference.
    pub async fn dangling(&mut self) -> Result<Vec<(String, i64)>> {
        dangling(&mut self.connection).await
    }

    /// The files of all voicemails but the erased ones.
    pub async fn voicemail_files(&mut self) -> Result<Vec<VoicemailFile>> {
        let (mut files, mut last) = (Vec::new(), 0);
        loop {
            let rows =
                sqlx::query(PAGE_OF_VOICEMAIL_FILES).bind(last).bind(PAGE).fetch_all(&mut self.connection).await?;
            for row in &rows {
                let file = voicemail_file(row)?;
                last = file.id;
                files.push(file);
            }
            if rows.is_empty() {
                return Ok(files);
            }
        }
    }

    pub async fn prompt_files(&mut self) -> Result<Vec<PromptFiles>> {
        let (mut files, mut last) = (Vec::new(), 0);
        loop {
            let rows = sqlx::query(PAGE_OF_PROMPT_FILES).bind(last).bind(PAGE).fetch_all(&mut self.connection).await?;
            for row in &rows {
                let columns = Columns::of("prompt", row);
                last = columns.get("id")?;
                files.push(PromptFiles {
                    id: last,
                    name: columns.get("name")?,
                    sha256: columns.get("sha256")?,
                    original_name: columns.get("original_name")?,
                    original_sha256: columns.get("original_sha256")?,
                });
            }
            if rows.is_empty() {
                return Ok(files);
            }
        }
    }

    /// Ends the picture: from here on the rows are read as they are now.
    pub async fn release(mut self) -> Result<Present> {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await?;
        Ok(Present(self.connection))
    }
}

/// The database as it is now, for what has changed since a [`Snapshot`].
pub struct Present(AnyConnection);

impl Present {
    /// `None`: there is no such row.
    pub async fn voicemail_file(&mut self, id: i64) -> Result<Option<VoicemailFile>> {
        let row = sqlx::query(READ_VOICEMAIL_FILE).bind(id).fetch_optional(&mut self.0).await?;
        row.as_ref().map(voicemail_file).transpose()
    }

    pub async fn has_prompt(&mut self, id: i64) -> Result<bool> {
        Ok(sqlx::query(FIND_PROMPT).bind(id).fetch_optional(&mut self.0).await?.is_some())
    }

    pub async fn close(self) {
        let _ = self.0.close().await;
    }
}

/// Why it is not known which tables a backup must have.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("this program knows the schema up to {known}, the backup has the schema {wanted}")]
    Newer { known: i64, wanted: i64 },
    #[error("there has never been a schema {0}")]
    Unknown(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tables that a backup of this schema has, by name: read from a database in memory that is brought up to it.
pub async fn tables_of_schema(version: i64) -> Result<Vec<Table>, SchemaError> {
    let known = schema::newest();
    if version > known {
        return Err(SchemaError::Newer { known, wanted: version });
    }
    if !schema::is_known(version) {
        return Err(SchemaError::Unknown(version));
    }
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect("sqlite::memory:").await.map_err(StoreError::from)?;
    schema::make(version, &mut connection).await?;
    let tables = tables(&mut connection).await?;
    connection.close().await.map_err(StoreError::from)?;
    Ok(tables.into_iter().filter(|table| !LEFT_OUT.contains(&table.name.as_str())).collect())
}

/// Why a database cannot take a backup.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the database is not empty: the table {0} has rows")]
    NotEmpty(String),
    #[error("the database has the schema {found}, the backup the schema {wanted}")]
    OtherSchema { found: i64, wanted: i64 },
    #[error("the backup's table {0} is not that of its schema")]
    OtherTable(String),
    #[error("line {line} of the table {table} does not fit its columns")]
    BadLine { table: String, line: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RestoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A database that is being filled. Until [`Restoring::finish`] it carries a mark, and [`super::Store::open`] refuses it.
pub struct Restoring {
    connection: AnyConnection,
    tables: Vec<Table>,
    /// A restore that was broken off has begun here before.
    pub was_unfinished: bool,
}

impl Restoring {
    /// Makes the schema in an empty database, or begins anew where a restore was broken off. The schema is one that
    /// [`tables_of_schema`] knows.
    ///
    /// # Errors
    /// Where there is anything else, and then nothing is changed.
    pub async fn begin(url: &str, schema_version: i64) -> Result<Self, RestoreError> {
        sqlx::any::install_default_drivers();
        if let Some(file) = database::sqlite_file(url) {
            database::make_for_this_user_alone(&file);
        }
        let mut connection = database::connect(&database::connect_options(url)?).await?;
        let was_unfinished = is_unfinished(&mut connection).await;
        let found = tables(&mut connection).await?;
        if found.is_empty() {
            schema::make(schema_version, &mut connection).await?;
        } else {
            if !was_unfinished {
                let says_nothing = |table: &&Table| {
                    let name = table.name.as_str();
                    // The service fills it by itself, whether anybody has called or not.
                    name == "meta" || FILLED_BY_MIGRATIONS.contains(&name) || LEFT_OUT.contains(&name)
                };
                for table in found.iter().filter(|table| !says_nothing(table)) {
                    let any = AssertSqlSafe(format!("SELECT 1 FROM {} LIMIT 1", table.name));
                    if sqlx::query(any).fetch_optional(&mut connection).await?.is_some() {
                        return Err(RestoreError::NotEmpty(table.name.clone()));
                    }
                }
            }
            let found = schema_version_if_any(&mut connection).await;
            if found != schema_version {
                return Err(RestoreError::OtherSchema { found, wanted: schema_version });
            }
        }
        let tables = tables(&mut connection).await?;
        let mut transaction = connection.begin().await?;
        sqlx::query(MARK_UNFINISHED).bind(UNFINISHED).execute(&mut *transaction).await?;
        for table in &tables {
            let all = format!("DELETE FROM {}{}", table.name, without_mark(table));
            sqlx::query(AssertSqlSafe(all)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Self { connection, tables, was_unfinished })
    }

    /// Begins anew where a restore was broken off. `None`: none was, and nothing is changed.
    pub async fn resume(url: &str, schema_version: i64) -> Result<Option<Self>, RestoreError> {
        sqlx::any::install_default_drivers();
        // A file that is not there is no unfinished restore.
        let Ok(mut connection) = database::connect(&database::connect_options(url)?).await else { return Ok(None) };
        let is_unfinished = is_unfinished(&mut connection).await;
        connection.close().await?;
        if is_unfinished { Self::begin(url, schema_version).await.map(Some) } else { Ok(None) }
    }

    /// Whether the schema has this table with these columns.
    pub fn knows(&self, table: &Table) -> bool {
        self.tables.contains(table)
    }

    /// Inserts lines in one commit. `first_line` counts from 1, for errors.
    pub async fn insert(&mut self, table: &Table, lines: &[Vec<u8>], first_line: u64) -> Result<(), RestoreError> {
        if !self.knows(table) {
            return Err(RestoreError::OtherTable(table.name.clone()));
        }
        let is_sqlite = self.connection.backend_name() == "SQLite";
        let at_once = (MAX_PARAMETERS / table.columns.len().max(1)).clamp(1, MAX_ROWS_PER_INSERT);
        let mut transaction = self.connection.begin().await?;
        let mut line_number = first_line;
        for lines in lines.chunks(at_once) {
            let mut arguments = AnyArguments::default();
            for line in lines {
                let bad_line = || RestoreError::BadLine { table: table.name.clone(), line: line_number };
                let values: Vec<Value> = serde_json::from_slice(line).map_err(|_| bad_line())?;
                if values.len() != table.columns.len() {
                    return Err(bad_line());
                }
                for (column, value) in table.columns.iter().zip(values) {
                    bind(&mut arguments, column.kind, value).ok_or_else(bad_line)?;
                }
                line_number += 1;
            }
            let insert = AssertSqlSafe(insert_sql(table, lines.len(), is_sqlite));
            sqlx::query_with(insert, arguments).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// What a table holds now, read back from the database.
    pub async fn content(&mut self, table: &Table) -> Result<TableContent> {
        read_table(&mut self.connection, table, None).await
    }

    pub async fn dangling(&mut self) -> Result<Vec<(String, i64)>> {
        dangling(&mut self.connection).await
    }

    /// Lets go of the database, which keeps its mark, while something else is done with it.
    pub async fn pause(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }

    /// Goes on after [`Restoring::pause`]. There is nothing left to insert.
    pub async fn go_on(url: &str) -> Result<Self> {
        let connection = database::connect(&database::connect_options(url)?).await?;
        Ok(Self { connection, tables: Vec::new(), was_unfinished: true })
    }

    /// Takes the mark away: the database is whole.
    pub async fn finish(mut self) -> Result<()> {
        sqlx::query(REMOVE_MARK).bind(UNFINISHED).execute(&mut self.connection).await?;
        if self.connection.backend_name() == "SQLite" {
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.connection).await?;
        }
        self.connection.close().await?;
        Ok(())
    }
}

/// A half restored database is neither served nor copied.
pub(super) async fn refuse_unfinished(connection: &mut AnyConnection) -> Result<()> {
    if is_unfinished(connection).await { Err(StoreError::UnfinishedRestore) } else { Ok(()) }
}

/// A database without the table has no mark.
async fn is_unfinished(connection: &mut AnyConnection) -> bool {
    let mark = sqlx::query(READ_MARK).bind(UNFINISHED).fetch_optional(connection).await;
    mark.is_ok_and(|row| row.is_some())
}

async fn schema_version(connection: &mut AnyConnection) -> Result<i64> {
    Ok(sqlx::query_scalar(SCHEMA_VERSION).fetch_one(connection).await?)
}

pub(super) async fn schema_version_if_any(connection: &mut AnyConnection) -> i64 {
    schema_version(connection).await.unwrap_or(0)
}

/// All tables but that of the migrations, by name, with their columns in order.
pub(super) async fn tables(connection: &mut AnyConnection) -> Result<Vec<Table>> {
    let sql = match connection.backend_name() {
        "SQLite" => {
            "SELECT listed.name AS table_name, info.name AS column_name, info.type AS column_type
             FROM sqlite_master AS listed
             JOIN pragma_table_info(listed.name) AS info
             WHERE listed.type = 'table'
             ORDER BY listed.name, info.cid"
        }
        _ => {
            "SELECT CAST(info.table_name AS TEXT) AS table_name, CAST(info.column_name AS TEXT) AS column_name,
                 CAST(info.data_type AS TEXT) AS column_type
             FROM information_schema.columns AS info
             JOIN information_schema.tables AS listed
                 ON listed.table_schema = info.table_schema AND listed.table_name = info.table_name
             WHERE info.table_schema = current_schema() AND listed.table_type = 'BASE TABLE'
             ORDER BY info.table_name, info.ordinal_position"
        }
    };
    let mut tables: Vec<Table> = Vec::new();
    for row in sqlx::query(sql).fetch_all(connection).await? {
        let (table, column): (String, String) = (row.try_get("table_name")?, row.try_get("column_name")?);
        if table == MIGRATIONS_TABLE || table.starts_with("sqlite_") {
            continue;
        }
        let kind = match row.try_get::<String, _>("column_type")?.to_ascii_lowercase().as_str() {
            "text" => ColumnKind::Text,
            "bigint" | "integer" => ColumnKind::Number,
            "bytea" => ColumnKind::Bytes,
            _ => return Err(StoreError::Corrupt { table: "schema", column: "type", row: format!("{table}.{column}") }),
        };
        let column = TableColumn { name: column, kind };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Table { name: table, columns: vec![column] }),
        }
    }
    // The engines order names each by its own rule.
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

/// The mark of an unfinished restore belongs to no backup.
fn without_mark(table: &Table) -> String {
    match table.name.as_str() {
        "meta" => format!(" WHERE key NOT IN ('{UNFINISHED}', '{}')", database::HAS_MARK),
        _ => String::new(),
    }
}

/// Reads a table row by row; only a chunk of it is in memory.
async fn read_table(
    connection: &mut AnyConnection,
    table: &Table,
    chunks: Option<&mpsc::Sender<Vec<u8>>>,
) -> Result<TableContent> {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    // By the first column, which begins the key of every table: a restored SQLite table then grows at its end.
    let sql =
        format!("SELECT {} FROM {}{} ORDER BY {}", columns.join(", "), table.name, without_mark(table), columns[0]);
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(connection);
    let mut content = TableContent::default();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4096);
    while let Some(row) = rows.try_next().await? {
        let start = chunk.len();
        write_line(&mut chunk, table, &row)?;
        content.add(&chunk[start..]);
        chunk.push(b'\n');
        if chunk.len() >= CHUNK_BYTES {
            match chunks {
                Some(chunks) => {
                    let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + 4096));
                    if chunks.send(full).await.is_err() {
                        return Ok(content);
                    }
                }
                None => chunk.clear(),
            }
        }
    }
    if let Some(chunks) = chunks.filter(|_| !chunk.is_empty()) {
        // Whoever does not listen any more has an error of his own.
        let _ = chunks.send(chunk).await;
    }
    Ok(content)
}

/// A row as a JSON array, without the end of the line.
fn write_line(out: &mut Vec<u8>, table: &Table, row: &AnyRow) -> Result<()> {
    use std::io::Write;
    for (index, column) in table.columns.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        let is_null = match column.kind {
            ColumnKind::Text => match row.try_get::<Option<&str>, _>(index)? {
                Some(text) => serde_json::to_writer(&mut *out, text).is_err(),
                None => true,
            },
            ColumnKind::Number => match row.try_get::<Option<i64>, _>(index)? {
                Some(number) => write!(out, "{number}").is_err(),
                None => true,
            },
            ColumnKind::Bytes => match row.try_get::<Option<&[u8]>, _>(index)? {
                Some(bytes) => write!(out, "\"{}\"", BASE64_STANDARD.encode(bytes)).is_err(),
                None => true,
            },
        };
        if is_null {
            out.extend_from_slice(b"null");
        }
    }
    out.push(b']');
    Ok(())
}

/// `None`: the value is not of this kind.
fn bind(arguments: &mut AnyArguments, kind: ColumnKind, value: Value) -> Option<()> {
    let added = match (kind, value) {
        (ColumnKind::Text, Value::Null) => arguments.add(None::<String>),
        (ColumnKind::Number, Value::Null) => arguments.add(None::<i64>),
        (ColumnKind::Bytes, Value::Null) => arguments.add(None::<Vec<u8>>),
        (ColumnKind::Text, Value::String(text)) => arguments.add(text),
        (ColumnKind::Number, Value::Number(number)) => arguments.add(number.as_i64()?),
        (ColumnKind::Bytes, Value::String(text)) => arguments.add(BASE64_STANDARD.decode(text).ok()?),
        _ => return None,
    };
    added.ok()
}

fn insert_sql(table: &Table, rows: usize, is_sqlite: bool) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let mut parameter = 0;
    let mut mark = || {
        parameter += 1;
        // SQLite binds a parameter without a number at once and searches for one with a number.
        if is_sqlite { "?".to_owned() } else { format!("${parameter}") }
    };
    let rows: Vec<String> =
        (0..rows).map(|_| format!("({})", columns.iter().map(|_| mark()).collect::<Vec<_>>().join(", "))).collect();
    format!("INSERT INTO {} ({}) VALUES {}", table.name, columns.join(", "), rows.join(", "))
}

async fn dangling(connection: &mut AnyConnection) -> Result<Vec<(String, i64)>> {
    let mut counts = Vec::new();
    for (reference, sql) in REFERENCES {
        counts.push(((*reference).to_owned(), sqlx::query_scalar(*sql).fetch_one(&mut *connection).await?));
    }
    Ok(counts)
}

fn voicemail_file(row: &AnyRow) -> Result<VoicemailFile> {
    let columns = Columns::of("voicemail", row);
    let name: Option<String> = columns.get("name")?;
    let stored = match name {
        Some(name) => {
            let size = columns.get::<i64>("size_bytes")?;
            Some((name, size.try_into().map_err(|_| columns.corrupt("size_bytes"))?, columns.get("sha256")?))
        }
        None => None,
    };
    Ok(VoicemailFile { id: columns.get("id")?, state: columns.parsed("state", VoicemailState::from_word)?, stored })
}

/// Rows that name a row of another table. They are counted over whole tables, once a backup, and so are not in `STATEMENTS`.
const REFERENCES: &[(&str, &str)] = &[
    (
        "call.callback_id",
        "SELECT COUNT(*) FROM call
         WHERE callback_id IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM callback WHERE callback.id = call.callback_id)",
    ),
    (
        "voicemail.call_id",
        "SELECT COUNT(*) FROM voicemail
         WHERE NOT EXISTS (SELECT 1 FROM call WHERE call.id = voicemail.call_id)",
    ),
    (
        "callback_history.callback_id",
        "SELECT COUNT(*) FROM callback_history
         WHERE NOT EXISTS (SELECT 1 FROM callback WHERE callback.id = callback_history.callback_id)",
    ),
    (
        "delivery.call_id",
        "SELECT COUNT(*) FROM delivery
         WHERE call_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM call WHERE call.id = delivery.call_id)",
    ),
];

statements! {
    SCHEMA_VERSION = "SELECT MAX(version) FROM _sqlx_migrations";
    READ_MARK = "SELECT value FROM meta WHERE key = $1";
    MARK_UNFINISHED = "
        INSERT INTO meta (key, value) VALUES ($1, 'a restore has begun here and not ended')
        ON CONFLICT (key) DO NOTHING";
    REMOVE_MARK = "DELETE FROM meta WHERE key = $1";
    PAGE_OF_VOICEMAIL_FILES = "
        SELECT id, state, name, size_bytes, sha256 FROM voicemail
        WHERE id > $1 AND state <> 'erased'
        ORDER BY id
        LIMIT $2";
    READ_VOICEMAIL_FILE = "SELECT id, state, name, size_bytes, sha256 FROM voicemail WHERE id = $1";
    PAGE_OF_PROMPT_FILES = "
        SELECT id, name, sha256, original_name, original_sha256 FROM prompt
        WHERE id > $1
        ORDER BY id
        LIMIT $2";
    FIND_PROMPT = "SELECT id FROM prompt WHERE id = $1";
}
