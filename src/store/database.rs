//! The database that the store works with: where it is, how a connection is made, what it is for, and whether it is still
//! the one that was opened.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, Row};
use tracing::{error, info, warn};

use super::schema::{self, Upgrade};
use super::sql::statements;
use super::{READ_META, Result, StoreError, WRITE_META, backup, spool};

/// The key in `meta` of the random word that is made with a database.
const DATABASE_ID: &str = "database_id";
/// The file in the folder of recordings that says which database they belong to. Another one lies in the second folder of the
/// spool ([`emergency_mark`]), for database and recordings may be missing together, with their disk. Whoever removes both may
/// begin a new database.
pub(super) const MARK: &str = ".database";
/// The key in `meta` that says that the folder of recordings has got that file. It is left out of backups: a restored folder
/// has none.
pub(super) const HAS_MARK: &str = "recordings_marked";
/// The key in `meta` that marks the database of a rehearsal.
const REHEARSAL: &str = "rehearsal";
/// Interval of reading the random word again. The file itself is looked at before each commit, which costs a microsecond.
const ID_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of writing the mark in the second folder of the spool.
const MARK_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Timeout of a reader's connection: whoever waits longer hears that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of turning a new SQLite file to its write-ahead log while others do the same, and the pause between two attempts.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What the database is to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A command works with whatever is there, and makes an SQLite file where there is none.
    Any,
    /// The same for a command that makes no file: one that it made in the place of a file taken away for a while would be
    /// taken for the school's database.
    Existing,
    /// The same while its restore goes on.
    Restored,
    /// The school's telephone: never the database of a rehearsal, and none but the one that the folder of recordings belongs
    /// to is made or taken without a word.
    Calls { recordings: PathBuf, emergency: PathBuf },
    /// An empty database, which is marked with these words, or one of an earlier rehearsal.
    Rehearsal { started: String },
}

pub(super) struct Database {
    options: AnyConnectOptions,
    /// `None` for PostgreSQL.
    file: Option<PathBuf>,
    purpose: Purpose,
    connected: Arc<Connected>,
    /// Of the database that the last connection was made to, by this process or, as the mark says, by the one before.
    /// `None`: there was none yet.
    identity: Option<Identity>,
    /// Whether this process has had a connection.
    has_connected: bool,
    /// The mark that says that there was a database, while there is none.
    told_missing: bool,
    /// Whether the folder of recordings has, or had, its mark.
    is_marked: bool,
    /// No file of a database that is written to shrinks. Bytes.
    longest: u64,
    id_checked: Instant,
    upgrade: Upgrade,
    /// The file that it was begun with.
    upgraded_file: Option<Inode>,
    /// When the mark in the second folder of the spool was written last.
    marked: Instant,
}

/// Which database it is, and by which files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    id: String,
    inode: Option<Inode>,
    /// Of its write-ahead log.
    log_inode: Option<Inode>,
}

/// Device and inode of a file.
type Inode = (u64, u64);

fn inode(file: &Path) -> Option<Inode> {
    fs::metadata(file).ok().as_ref().map(inode_of)
}

fn inode_of(metadata: &fs::Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

/// What SQLite lays beside a file.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What the readers must know of the writer's findings.
#[derive(Debug, Default)]
pub(super) struct Connected {
    /// Connections that are older lead to a database that is no longer in its place.
    replaced_at: Mutex<Option<Instant>>,
    replaced: AtomicBool,
    removed_log: AtomicBool,
    /// Its tables are being brought to those of this program.
    pub upgrading: AtomicBool,
    /// The folder of recordings lacks the mark that it had.
    pub foreign_recordings: Arc<AtomicBool>,
}

impl Connected {
    fn note_replacement(&self) {
        self.begin_anew();
        self.replaced.store(true, Ordering::Relaxed);
    }

    fn note_removed_log(&self) {
        self.begin_anew();
        self.removed_log.store(true, Ordering::Relaxed);
    }

    /// No reader goes on with a connection of before.
    fn begin_anew(&self) {
        *self.replaced_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_stale(&self, age: Duration) -> bool {
        let replaced_at = *self.replaced_at.lock().unwrap_or_else(PoisonError::into_inner);
        replaced_at.is_some_and(|at| at.elapsed() <= age)
    }

    pub fn take_replaced(&self) -> bool {
        self.replaced.swap(false, Ordering::Relaxed)
    }

    pub fn take_removed_log(&self) -> bool {
        self.removed_log.swap(false, Ordering::Relaxed)
    }
}

impl Database {
    pub fn new(url: &str, purpose: Purpose) -> Result<Self> {
        let options = connect_options(url)?;
        let mut database = Self {
            options,
            file: sqlite_file(url),
            purpose,
            connected: Arc::default(),
            identity: None,
            has_connected: false,
            told_missing: false,
            is_marked: false,
            longest: 0,
            id_checked: Instant::now(),
            upgrade: Upgrade::default(),
            upgraded_file: None,
            marked: Instant::now(),
        };
        database.identity = database.marks().iter().find_map(|mark| read_mark(mark));
        Ok(database)
    }

    pub fn is_sqlite(&self) -> bool {
        self.options.database_url.scheme() == "sqlite"
    }

    pub fn connected(&self) -> Arc<Connected> {
        self.connected.clone()
    }

    /// A small pool of connections that read, made when they are needed. None of them makes a database.
    pub fn readers(&self) -> AnyPool {
        let connected = self.connected.clone();
        AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A file does not go away as a server may, and asking first doubles the time of a short read.
            .test_before_acquire(!self.is_sqlite())
            .before_acquire(move |_, connection| {
                let is_usable = !connected.is_stale(connection.age);
                Box::pin(async move { Ok(is_usable) })
            })
            .after_connect(|connection, _| {
                Box::pin(async move {
                    prepare_connection(connection).await?;
                    if connection.backend_name() != "SQLite" {
                        sqlx::raw_sql(WAIT_BRIEFLY_FOR_LOCKS).execute(connection).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// A connection for writing, with the schema of today; `true` if it leads to another database than the last one did, or
    /// is the first of this process. An upgrade goes on when this is broken off.
    pub async fn connect(&mut self) -> Result<(AnyConnection, bool)> {
        let mut connection = if self.upgrade.is_under_way() { self.upgraded().await? } else { self.open().await? };
        self.check_purpose(&mut connection).await?;
        let id = made_id(&mut connection).await?;
        let identity = Identity {
            id,
            inode: self.file.as_deref().and_then(inode),
            log_inode: self.file.as_deref().and_then(|file| inode(&beside(file, "-wal"))),
        };
        let is_first = !self.has_connected;
        let is_other = self.identity.as_ref().is_none_or(|known| known.id != identity.id);
        if let Some(known) = &self.identity {
            // A whole copy that the service is started on is no surprise.
            if is_other || !is_first && known.inode != identity.inode {
                error!(
                    is_other,
                    "The database in its place is not the file that was open: going on with what is there now"
                );
                self.connected.note_replacement();
            } else if !is_first {
                info!("Connected to the database again");
            }
        }
        self.mark_recordings(&identity, &mut connection).await?;
        self.mark_emergency_folder(&identity);
        self.identity = Some(identity);
        self.is_same_file()?;
        self.has_connected = true;
        self.id_checked = Instant::now();
        Ok((connection, is_other || is_first))
    }

    /// A missing file is made only where nothing says that there was one.
    async fn open(&mut self) -> Result<AnyConnection> {
        match &self.file {
            Some(file) if self.identity.is_none() && !matches!(self.purpose, Purpose::Existing | Purpose::Restored) => {
                make_for_this_user_alone(file)
            }
            Some(file) if fs::metadata(file).map_or(0, |metadata| metadata.len()) == 0 => {
                self.tell_missing();
                return Err(StoreError::Gone);
            }
            _ => {}
        }
        if !self.is_same_file()? {
            self.longest = 0;
            self.lay_foreign_log_aside()?;
        }
        let mut connection = connect(&self.options).await?;
        if self.purpose != Purpose::Restored {
            backup::refuse_unfinished(&mut connection).await?;
        }
        if self.identity.is_some() && !has_id(&mut connection).await? {
            return Err(StoreError::Gone);
        }
        match schema::missing_steps(&mut connection).await? {
            0 => Ok(connection),
            missing => {
                self.upgraded_file = self.file.as_deref().and_then(inode);
                self.upgrade.begin(connection, missing);
                self.connected.upgrading.store(true, Ordering::Relaxed);
                self.upgraded().await
            }
        }
    }

    fn tell_missing(&mut self) {
        let marks: Vec<_> = self.marks().into_iter().filter(|mark| mark.exists()).collect();
        if !marks.is_empty() && !std::mem::replace(&mut self.told_missing, true) {
            error!("The database is not in its place, and none is made anew: {marks:?} say that there was one");
        }
    }

    pub fn is_upgrading(&self) -> bool {
        self.upgrade.is_under_way()
    }

    /// # Errors
    /// Another file lies in its place meanwhile.
    async fn upgraded(&mut self) -> Result<AnyConnection> {
        let ended = self.upgrade.end().await;
        self.connected.upgrading.store(false, Ordering::Relaxed);
        let connection = ended?;
        // Those who read meanwhile know the tables as they were: a row with more columns than they expect is none to them.
        self.connected.begin_anew();
        match self.file.as_deref().and_then(inode) == self.upgraded_file {
            true => Ok(connection),
            false => Err(StoreError::Gone),
        }
    }

    /// Whether an open connection still leads to the database that is in its place.
    pub async fn is_same(&mut self, connection: &mut AnyConnection) -> Result<bool> {
        if !self.is_same_file()? {
            return Ok(false);
        }
        let Some(known) = &self.identity else { return Ok(false) };
        if self.id_checked.elapsed() < ID_CHECK_INTERVAL {
            return Ok(true);
        }
        let id: Option<String> = sqlx::query_scalar(READ_META).bind(DATABASE_ID).fetch_optional(connection).await?;
        self.id_checked = Instant::now();
        if self.marked.elapsed() >= MARK_INTERVAL {
            let known = known.clone();
            self.mark_emergency_folder(&known);
        }
        if let Some(mark) = self.mark().filter(|_| self.is_marked) {
            self.note_recordings(!mark.exists());
        }
        Ok(id.is_some_and(|id| self.identity.as_ref().is_some_and(|known| known.id == id)))
    }

    /// Whether the file in its place is the one that is known. One look at it for each commit.
    ///
    /// # Errors
    /// It was cut off: such a file takes commits into its log, and is unreadable once that is folded in.
    fn is_same_file(&mut self) -> Result<bool> {
        let metadata = self.file.as_deref().and_then(|file| fs::metadata(file).ok());
        let inode = metadata.as_ref().map(inode_of);
        if self.identity.as_ref().is_none_or(|known| known.inode != inode) {
            return Ok(false);
        }
        let length = metadata.map_or(0, |metadata| metadata.len());
        if length < self.longest {
            return Err(StoreError::Shrunk);
        }
        self.longest = length;
        Ok(true)
    }

    /// Where another file was put in the place of the one that is known, the log beside it may still be the former's: SQLite
    /// would fold it into the wrong file and damage it. It is kept, for it may hold the newest calls.
    fn lay_foreign_log_aside(&self) -> Result<()> {
        let (Some(file), Some(known)) = (&self.file, &self.identity) else { return Ok(()) };
        let log = beside(file, "-wal");
        if known.log_inode.is_none() || known.log_inode != inode(&log) {
            return Ok(());
        }
        let aside = (1..).map(|n| format!("-former-{n}")).find(|end| !beside(file, &format!("{end}-wal")).exists());
        let end = aside.unwrap_or_default();
        for part in ["-wal", "-shm"] {
            match fs::rename(beside(file, part), beside(file, &format!("{end}{part}"))) {
                Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => {
                    return Err(sqlx::Error::Io(failed).into());
                }
                _ => {}
            }
        }
        error!(
            "{} is another file, and the log beside it was that of the former one: it lies in {} now. Beside the former file, \
             as its -wal, it gives the newest calls back",
            file.display(),
            beside(file, &format!("{end}-wal")).display()
        );
        Ok(())
    }

    /// Whether the log beside the file is still the one that the open connections write to.
    fn has_its_log(&self) -> bool {
        let (Some(file), Some(known)) = (&self.file, &self.identity) else { return true };
        known.log_inode.is_none() || known.log_inode == inode(&beside(file, "-wal"))
    }

    /// Folds in the log if somebody has removed it from beside the file: what is committed since would be lost with the process.
    /// `true`: it was, and the connection is of no more use.
    ///
    /// # Errors
    /// [`StoreError::Busy`]: whoever reads is in the way. The connection is to be kept, for no other one leads to that log.
    pub async fn fold_in_removed_log(&mut self, connection: &mut AnyConnection) -> Result<bool> {
        if self.has_its_log() || !self.is_same_file()? {
            return Ok(false);
        }
        let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
        if folded.try_get::<i64, _>(0)? != 0 {
            return Err(StoreError::Busy);
        }
        error!("The log beside the database was removed while it was in use: what was in it is in the database now");
        self.connected.note_removed_log();
        Ok(true)
    }

    /// That of the recordings, which are marked first, and that in the second folder of the spool.
    fn marks(&self) -> Vec<PathBuf> {
        let Purpose::Calls { recordings, emergency } = &self.purpose else { return Vec::new() };
        // PostgreSQL has its database elsewhere, and needs no second one.
        let second = self.file.as_deref().map(|file| emergency_mark(file, emergency));
        [recordings.join(MARK)].into_iter().chain(second).collect()
    }

    fn mark(&self) -> Option<PathBuf> {
        self.marks().into_iter().next()
    }

    /// Without a mark a later start would make an empty database in the place of one that is away. Recordings that had one
    /// get no other: the folder in their place may be that below a disk which is not mounted.
    async fn mark_recordings(&mut self, identity: &Identity, connection: &mut AnyConnection) -> Result<()> {
        let Some(mark) = self.mark() else { return Ok(()) };
        let had_mark = sqlx::query(READ_META).bind(HAS_MARK).fetch_optional(&mut *connection).await?.is_some();
        let is_foreign = had_mark && !mark.exists();
        self.is_marked = had_mark;
        self.note_recordings(is_foreign);
        if is_foreign || (had_mark && read_mark(&mark).as_ref() == Some(identity)) {
            return Ok(());
        }
        match write_mark(&mark, identity) {
            Ok(()) if !had_mark => {
                self.is_marked = true;
                sqlx::query(WRITE_META).bind(HAS_MARK).bind("yes").execute(connection).await?;
            }
            Ok(()) => {}
            Err(failed) => warn!(error = %failed, "{} cannot be written: {failed}", mark.display()),
        }
        Ok(())
    }

    /// Written anew from time to time: what is old goes from the system's temporary folders.
    fn mark_emergency_folder(&mut self, identity: &Identity) {
        self.marked = Instant::now();
        let (Some(file), Purpose::Calls { emergency, .. }) = (&self.file, &self.purpose) else { return };
        let mark = emergency_mark(file, emergency);
        if let Err(failed) = spool::make_folder(emergency).and_then(|()| write_mark(&mark, identity)) {
            warn!(error = %failed, "{} cannot be written: {failed}", mark.display());
        }
    }

    fn note_recordings(&self, is_foreign: bool) {
        let was_foreign = self.connected.foreign_recordings.swap(is_foreign, Ordering::Relaxed);
        if is_foreign && !was_foreign {
            error!("The folder of recordings is another one than before, and takes none: is a disk not mounted?");
        }
    }

    async fn check_purpose(&self, connection: &mut AnyConnection) -> Result<()> {
        let mark: Option<String> =
            sqlx::query_scalar(READ_META).bind(REHEARSAL).fetch_optional(&mut *connection).await?;
        match (&self.purpose, mark) {
            (Purpose::Any | Purpose::Existing | Purpose::Restored, _)
            | (Purpose::Calls { .. }, None)
            | (Purpose::Rehearsal { .. }, Some(_)) => Ok(()),
            (Purpose::Calls { .. }, Some(_)) => Err(StoreError::WrongPurpose { is_rehearsal: true }),
            (Purpose::Rehearsal { started }, None) => {
                // People and tokens may be there already.
                if sqlx::query(ANY_CALL_OR_CALLBACK).fetch_optional(&mut *connection).await?.is_some() {
                    return Err(StoreError::WrongPurpose { is_rehearsal: false });
                }
                // Of two rehearsals that begin at once the first one marks it.
                sqlx::query(MAKE_META).bind(REHEARSAL).bind(started.clone()).execute(connection).await?;
                Ok(())
            }
        }
    }
}

/// Several services may share this folder.
fn emergency_mark(file: &Path, emergency: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let digest = Sha256::digest(file.as_os_str().as_encoded_bytes());
    let word: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    emergency.join(format!("{MARK}-{word}"))
}

fn read_mark(mark: &Path) -> Option<Identity> {
    serde_json::from_slice(&fs::read(mark).ok()?).ok()
}

/// Another process may make the same mark at this moment: each has a file of its own until it is whole.
fn write_mark(mark: &Path, identity: &Identity) -> std::io::Result<()> {
    let text = serde_json::to_vec(identity).map_err(std::io::Error::other)?;
    let partial = mark.with_extension(format!("{}.partial", random_word()));
    let written = fs::write(&partial, text)
        .and_then(|()| fs::File::open(&partial)?.sync_all())
        .and_then(|()| fs::rename(&partial, mark));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Whether it was ever opened by the service. An empty database has no table to ask.
async fn has_id(connection: &mut AnyConnection) -> Result<bool> {
    match sqlx::query(READ_META).bind(DATABASE_ID).fetch_optional(connection).await {
        Ok(row) => Ok(row.is_some()),
        Err(sqlx::Error::Database(error)) if error.message().contains("meta") => Ok(false),
        Err(failed) => Err(failed.into()),
    }
}

/// Whether the schema is that of this program, found out without writing.
pub(super) async fn has_schema_of_today(url: &str) -> Result<bool> {
    // SQLite makes a database of an empty file already when it is prepared.
    if sqlite_file(url).is_some_and(|file| fs::metadata(file).map_or(0, |metadata| metadata.len()) == 0) {
        return Err(StoreError::Gone);
    }
    let mut connection = connect(&connect_options(url)?).await?;
    backup::refuse_unfinished(&mut connection).await?;
    let version = backup::schema_version_if_any(&mut connection).await;
    connection.close().await?;
    Ok(version == schema::newest())
}

/// The random word of the database, made where it has none.
async fn made_id(connection: &mut AnyConnection) -> Result<String> {
    sqlx::query(MAKE_META).bind(DATABASE_ID).bind(random_word()).execute(&mut *connection).await?;
    Ok(sqlx::query_scalar(READ_META).bind(DATABASE_ID).fetch_one(connection).await?)
}

fn random_word() -> String {
    let mut random = [0; 16];
    // Without randomness two databases made alike have the same word, and their files still tell them apart.
    let _ = getrandom::fill(&mut random);
    format!("{:032x}", u128::from_be_bytes(random))
}

/// The marks that say that a service with these folders has had this database: none is to be made in its place.
pub fn marks_of(url: &str, recordings: &Path, emergency: &Path) -> Vec<PathBuf> {
    let second = sqlite_file(url).map(|file| emergency_mark(&file, emergency));
    [recordings.join(MARK)].into_iter().chain(second).filter(|mark| mark.exists()).collect()
}

/// The file of an SQLite database; `None` for PostgreSQL and for a database in memory.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let file = url.strip_prefix("sqlite:")?;
    let file = file.strip_prefix("//").unwrap_or(file).split('?').next().unwrap_or_default();
    (!file.is_empty() && file != ":memory:").then(|| PathBuf::from(file))
}

/// How a connection is made. None makes a file: [`make_for_this_user_alone`] does that where one may be made.
pub(super) fn connect_options(url: &str) -> Result<AnyConnectOptions> {
    let url = match url.strip_prefix("sqlite:") {
        Some(file) if file.contains('?') => format!("sqlite:{}", file.replace("mode=rwc", "mode=rw")),
        Some(file) => format!("sqlite:{file}?mode=rw"),
        None => url.to_owned(),
    };
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}

pub(super) async fn connect(options: &AnyConnectOptions) -> Result<AnyConnection> {
    let mut connection = AnyConnection::connect_with(options).await?;
    prepare_connection(&mut connection).await?;
    Ok(connection)
}

/// Makes a missing SQLite file before SQLite does, for it holds telephone numbers. What cannot be made here is told by the
/// connection, in its own words.
pub(super) fn make_for_this_user_alone(file: &Path) {
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
}

/// Whoever reads hears soon that somebody else has locked a table, and a stop of the service does not wait for him.
const WAIT_BRIEFLY_FOR_LOCKS: &str = "SET lock_timeout = '5s'";

/// What an acknowledged commit means: it survives power loss. WAL lets readers read while the writer writes.
async fn prepare_connection(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let is_sqlite = connection.backend_name() == "SQLite";
    if is_sqlite {
        begin_write_ahead_log(connection).await?;
    }
    // What is erased is overwritten in the file, whichever statement erases it.
    let settings: &[&str] = if is_sqlite {
        &[
            "PRAGMA synchronous = FULL",
            "PRAGMA busy_timeout = 5000",
            "PRAGMA cache_size = -8000",
            "PRAGMA secure_delete = ON",
        ]
    } else {
        &["SET synchronous_commit = on"]
    };

    for setting in settings {
        sqlx::raw_sql(*setting).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Two connections that turn a new file to its write-ahead log at once are in each other's way. SQLite waits for a lock at
/// other times, and answers at once here.
async fn begin_write_ahead_log(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let started = Instant::now();
    loop {
        match sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
            Err(failed) if is_busy(&failed) && started.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            done => return done.map(drop),
        }
    }
}

/// The lower byte of SQLITE_BUSY.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.parse::<u32>().is_ok_and(|code| code & 0xFF == 5))
}

impl super::Store {
    /// Whether this folder is not the one in which the recordings of this database were: the disk is not mounted.
    pub async fn misses_recordings(&self, folder: &Path) -> Result<bool> {
        let had_mark = sqlx::query(READ_META).bind(HAS_MARK).fetch_optional(&self.readers).await?.is_some();
        Ok(had_mark && !folder.join(MARK).exists())
    }

    /// Whether no call and no request was ever kept here. People and tokens do not count.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(sqlx::query(ANY_CALL_OR_CALLBACK).fetch_optional(&self.readers).await?.is_none())
    }
}

statements! {
    ANY_CALL_OR_CALLBACK = "SELECT id FROM delivery UNION ALL SELECT id FROM callback LIMIT 1";
    /// The first one written stays.
    MAKE_META = "
        INSERT INTO meta (key, value) VALUES ($1, $2)
        ON CONFLICT (key) DO NOTHING";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of the schema before the last one, which somebody else has locked, with its upgrade under way: the lock
    /// makes it last.
    async fn begin_upgrade(file: &Path, outside: &mut AnyConnection) -> Database {
        schema::make(schema::newest() - 1, outside).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(outside).await.unwrap();
        let mut database = Database::new(&url(file), Purpose::Any).unwrap();
        let mut patience = Duration::from_millis(5);
        while !database.is_upgrading() {
            assert!(tokio::time::timeout(patience, database.connect()).await.is_err(), "it takes longer");
            patience *= 2;
        }
        assert!(database.connected.upgrading.load(Ordering::Relaxed));
        database
    }

    fn url(file: &Path) -> String {
        format!("sqlite:{}", file.display())
    }

    async fn connect_to(file: &Path) -> AnyConnection {
        sqlx::any::install_default_drivers();
        make_for_this_user_alone(file);
        connect(&connect_options(&url(file)).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn upgrade_outlives_whoever_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("perezvon.db");
        let mut outside = connect_to(&file).await;
        let mut database = begin_upgrade(&file, &mut outside).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut outside).await.unwrap();
        let upgraded = async {
            while backup::schema_version_if_any(&mut outside).await < schema::newest() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), upgraded).await.expect("nobody waits for it, and it goes on");
        let (_connection, is_other) = database.connect().await.unwrap();
        assert!(is_other && !database.is_upgrading() && !database.connected.upgrading.load(Ordering::Relaxed));
        assert!(database.connected.is_stale(Duration::MAX), "no reader of before goes on with the tables of before");
    }

    #[tokio::test]
    async fn upgraded_file_that_was_taken_away_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (file, former) = (folder.path().join("perezvon.db"), folder.path().join("former.db"));
        let mut outside = connect_to(&file).await;
        let mut database = begin_upgrade(&file, &mut outside).await;
        fs::rename(&file, &former).unwrap();
        fs::copy(&former, &file).unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut outside).await.unwrap();
        assert!(matches!(database.connect().await, Err(StoreError::Gone)));
    }
}
