//! The database that the store works with: where it is, how a connection is made, what it is for, and whether it is still
//! the one that was opened.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection};
use tracing::{error, info};

use super::sql::statements;
use super::{READ_META, Result, StoreError, WRITE_META, backup, migrator};

/// The key in `meta` of the random word that is made with a database.
const DATABASE_ID: &str = "database_id";
/// The key in `meta` that marks the database of a rehearsal.
const REHEARSAL: &str = "rehearsal";
/// Interval of reading the random word again. The file itself is looked at before each commit, which costs a microsecond.
const ID_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of a reader's connection: whoever waits longer hears that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the database is to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A command works with whatever is there, and makes an SQLite file where there is none.
    Any,
    /// The same for a command that makes no file: one that it made in the place of a file taken away for a while would be
    /// taken for the school's database.
    Existing,
    /// The school's telephone: never the database of a rehearsal.
    Calls,
    /// An empty database, which is marked with these words, or one of an earlier rehearsal.
    Rehearsal { started: String },
}

pub(super) struct Database {
    options: AnyConnectOptions,
    /// `None` for PostgreSQL.
    file: Option<PathBuf>,
    purpose: Purpose,
    connected: Arc<Connected>,
    /// Of the database that the last connection was made to. `None`: there was none yet.
    identity: Option<Identity>,
    id_checked: Instant,
}

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    id: String,
    /// Device and inode of the file.
    inode: Option<(u64, u64)>,
}

/// What the readers must know of the writer's findings.
#[derive(Debug, Default)]
pub(super) struct Connected {
    /// Connections that are older lead to a database that is no longer in its place.
    replaced_at: Mutex<Option<Instant>>,
    replaced: AtomicBool,
}

impl Connected {
    fn note_replacement(&self) {
        *self.replaced_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.replaced.store(true, Ordering::Relaxed);
    }

    fn is_stale(&self, age: Duration) -> bool {
        let replaced_at = *self.replaced_at.lock().unwrap_or_else(PoisonError::into_inner);
        replaced_at.is_some_and(|at| at.elapsed() <= age)
    }

    pub fn take_replaced(&self) -> bool {
        self.replaced.swap(false, Ordering::Relaxed)
    }
}

impl Database {
    pub fn new(url: &str, purpose: Purpose) -> Result<Self> {
        let options = connect_options(url)?;
        Ok(Self {
            options,
            file: sqlite_file(url),
            purpose,
            connected: Arc::default(),
            identity: None,
            id_checked: Instant::now(),
        })
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
            .after_connect(|connection, _| Box::pin(prepare_connection(connection)))
            .connect_lazy_with(self.options.clone())
    }

    /// A connection for writing, with the schema of today; `true` if it leads to another database than the last one did, or
    /// is the first. A missing file is made only for the first.
    pub async fn connect(&mut self) -> Result<(AnyConnection, bool)> {
        match &self.file {
            Some(file) if self.identity.is_none() && self.purpose != Purpose::Existing => {
                make_for_this_user_alone(file)
            }
            Some(file) if !file.exists() => return Err(StoreError::Gone),
            _ => {}
        }
        let mut connection = connect(&self.options).await?;
        backup::refuse_unfinished(&mut connection).await?;
        migrator(connection.backend_name())
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|error| sqlx::Error::Migrate(Box::new(error)))?;
        self.check_purpose(&mut connection).await?;
        let identity = Identity { id: made_id(&mut connection).await?, inode: self.inode() };
        let is_other = self.identity.as_ref().is_none_or(|known| known.id != identity.id);
        if let Some(known) = &self.identity {
            if *known != identity {
                error!(
                    is_other,
                    "The database in its place is not the file that was open: going on with what is there now"
                );
                self.connected.note_replacement();
            } else {
                info!("Connected to the database again");
            }
        }
        self.identity = Some(identity);
        self.id_checked = Instant::now();
        Ok((connection, is_other))
    }

    /// Whether an open connection still leads to the database that is in its place.
    pub async fn is_same(&mut self, connection: &mut AnyConnection) -> Result<bool> {
        let Some(known) = &self.identity else { return Ok(false) };
        if known.inode != self.inode() {
            return Ok(false);
        }
        if self.id_checked.elapsed() < ID_CHECK_INTERVAL {
            return Ok(true);
        }
        let id: Option<String> = sqlx::query_scalar(READ_META).bind(DATABASE_ID).fetch_optional(connection).await?;
        self.id_checked = Instant::now();
        Ok(id.as_deref() == Some(&known.id))
    }

    fn inode(&self) -> Option<(u64, u64)> {
        let metadata = fs::metadata(self.file.as_ref()?).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    async fn check_purpose(&self, connection: &mut AnyConnection) -> Result<()> {
        let mark: Option<String> =
            sqlx::query_scalar(READ_META).bind(REHEARSAL).fetch_optional(&mut *connection).await?;
        match (&self.purpose, mark) {
            (Purpose::Any | Purpose::Existing, _) | (Purpose::Calls, None) | (Purpose::Rehearsal { .. }, Some(_)) => {
                Ok(())
            }
            (Purpose::Calls, Some(_)) => Err(StoreError::WrongPurpose { is_rehearsal: true }),
            (Purpose::Rehearsal { started }, None) => {
                // People and tokens may be there already.
                if sqlx::query(ANY_CALL_OR_CALLBACK).fetch_optional(&mut *connection).await?.is_some() {
                    return Err(StoreError::WrongPurpose { is_rehearsal: false });
                }
                sqlx::query(WRITE_META).bind(REHEARSAL).bind(started.clone()).execute(connection).await?;
                Ok(())
            }
        }
    }
}

/// The random word of the database, made where it has none.
async fn made_id(connection: &mut AnyConnection) -> Result<String> {
    let mut random = [0; 16];
    // Without randomness two databases made alike look the same, which their files do not.
    let _ = getrandom::fill(&mut random);
    let word = format!("{:032x}", u128::from_be_bytes(random));
    sqlx::query(MAKE_ID).bind(DATABASE_ID).bind(word).execute(&mut *connection).await?;
    Ok(sqlx::query_scalar(READ_META).bind(DATABASE_ID).fetch_one(connection).await?)
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

/// What an acknowledged commit means: it survives power loss. WAL lets readers read while the writer writes.
async fn prepare_connection(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let settings: &[&str] = match connection.backend_name() {
        "SQLite" => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA busy_timeout = 5000",
            "PRAGMA cache_size = -8000",
        ],
        _ => &["SET synchronous_commit = on"],
    };
    for setting in settings {
        sqlx::raw_sql(*setting).execute(&mut *connection).await?;
    }
    Ok(())
}

impl super::Store {
    /// Whether no call and no request was ever kept here. People and tokens do not count.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(sqlx::query(ANY_CALL_OR_CALLBACK).fetch_optional(&self.readers).await?.is_none())
    }
}

statements! {
    ANY_CALL_OR_CALLBACK = "SELECT id FROM delivery UNION ALL SELECT id FROM callback LIMIT 1";
    MAKE_ID = "
        INSERT INTO meta (key, value) VALUES ($1, $2)
        ON CONFLICT (key) DO NOTHING";
}
