//! Why the store could not do what was asked, and what that tells whoever has to mend it.

use std::sync::Arc;

use sqlx::migrate::MigrateError;

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is full, or refuses: worth trying again.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// A row holds something that no part of this program writes.
    #[error("{table}.{column} of row {row} is not what it should be")]
    Corrupt { table: &'static str, column: &'static str, row: String },
    /// More requests wait for the writer than may wait: worth trying again.
    #[error("too many requests wait for the database")]
    Busy,
    /// A commit did not end in time: the connection hangs. Worth trying again.
    #[error("the database does not answer")]
    TimedOut,
    /// Its tables are still being brought to those of this program, which takes minutes with a large log.
    #[error("the database is being brought to this version of the program")]
    Upgrading,
    /// The database is not in its place, or an empty one is. None is made anew: whoever took it away may bring it back.
    #[error("the file of the database is gone")]
    Gone,
    /// Somebody cut or overwrote the file under the running service.
    #[error("the file of the database is shorter than it was")]
    Shrunk,
    /// A rehearsal needs an empty database or that of a rehearsal, and real calls need one without.
    #[error("the database {}", if *.is_rehearsal { "is that of a rehearsal" } else { "holds real calls" })]
    WrongPurpose { is_rehearsal: bool },
    /// The writer has stopped: the service is shutting down.
    #[error("the store is closed")]
    Closed,
    /// A restore was broken off: what is there is not whole. `perezvon restore` begins it anew.
    #[error("the database is an unfinished restore")]
    UnfinishedRestore,
    /// It belongs to a line that whoever asks may not see: see [`crate::store::Store::limited_to`].
    #[error("this belongs to another line")]
    OtherLine,
}

impl StoreError {
    /// Whether it may be the fault of one row, or of another instance that locked rows in another order, so that each of the
    /// batch deserves a turn of its own. Trying each alone on a database that is away or locked would only make all wait longer.
    pub(super) fn may_be_one_rows_fault(&self) -> bool {
        use sqlx::error::ErrorKind;
        match self {
            Self::Corrupt { .. } => true,
            Self::Unavailable(error) => error.as_database_error().is_some_and(|error| {
                !matches!(error.kind(), ErrorKind::Other)
                    || error.code().is_some_and(|code| code.starts_with("22"))
                    || self.is_lost_to_another()
            }),
            _ => false,
        }
    }

    /// Whether another transaction went first: a deadlock, or two that do not fit together, in PostgreSQL's codes.
    pub(super) fn is_lost_to_another(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["40P01", "40001"].contains(&code.as_ref()))
    }

    pub(super) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error.as_database_error().is_some_and(|it| it.is_unique_violation()))
    }

    /// What keeps the database from its work.
    pub fn cause(&self) -> DatabaseCause {
        match self {
            Self::Unavailable(error) => DatabaseCause::of(error),
            Self::Busy | Self::TimedOut | Self::Closed => DatabaseCause::NoAnswer,
            Self::Upgrading => DatabaseCause::Upgrading,
            Self::Gone => DatabaseCause::Gone,
            Self::Shrunk => DatabaseCause::Damaged,
            Self::WrongPurpose { is_rehearsal } => DatabaseCause::WrongPurpose { is_rehearsal: *is_rehearsal },
            Self::UnfinishedRestore => DatabaseCause::UnfinishedRestore,
            Self::Corrupt { .. } | Self::OtherLine => DatabaseCause::Other,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What keeps a database from its work, as far as its engine tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseCause {
    /// It cannot be reached, or does not answer in time.
    NoAnswer,
    Gone,
    /// It cannot be read where it lies: damaged, cut off, or on a disk that fails.
    Damaged,
    DiskFull,
    /// It may only be read.
    ReadOnly,
    /// Its file cannot be opened.
    NotOpened,
    /// Another program holds it.
    Locked,
    /// Its server does not accept the name or the password.
    LoginRefused,
    /// Its server has no database of this name.
    NoSuchDatabase,
    /// A newer version of this program has worked with it.
    Newer,
    Upgrading,
    UnfinishedRestore,
    WrongPurpose {
        is_rehearsal: bool,
    },
    Other,
}

impl DatabaseCause {
    fn of(error: &sqlx::Error) -> Self {
        if let sqlx::Error::Migrate(error) = error {
            return match &**error {
                MigrateError::VersionMissing(_) => Self::Newer,
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Self::of(error),
                _ => Self::Other,
            };
        }
        let Some(error) = error.as_database_error() else { return Self::NoAnswer };
        let code = error.code().unwrap_or_default();
        // PostgreSQL's codes have five characters, SQLite's extended ones up to four, with the code in their lower byte.
        if code.len() == 5 { Self::of_postgres(&code) } else { Self::of_sqlite(code.parse().unwrap_or(0)) }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of_postgres(code: &str) -> Self {
        match code {
            "53100" => Self::DiskFull,
            "25006" | "42501" => Self::ReadOnly,
            "3D000" => Self::NoSuchDatabase,
            "55P03" => Self::Locked,
            _ => match &code[..2] {
                "28" => Self::LoginRefused,
                // Internal errors, among them damaged data, and errors of the disk.
                "XX" | "58" => Self::Damaged,
                // Too many connections, or none is taken; the server starts or stops.
                "08" | "53" | "55" | "57" => Self::NoAnswer,
                _ => Self::Other,
            },
        }
    }

    /// <https://www.sqlite.org/rescode.html>
    fn of_sqlite(code: u32) -> Self {
        match code & 0xFF {
            5 | 6 => Self::Locked,
            8 => Self::ReadOnly,
            10 | 11 | 26 => Self::Damaged,
            13 => Self::DiskFull,
            14 => Self::NotOpened,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_engines_tell_the_cause() {
        for (code, cause) in [
            ("53100", DatabaseCause::DiskFull),
            ("53300", DatabaseCause::NoAnswer),
            ("57P03", DatabaseCause::NoAnswer),
            ("28P01", DatabaseCause::LoginRefused),
            ("3D000", DatabaseCause::NoSuchDatabase),
            ("25006", DatabaseCause::ReadOnly),
            ("XX001", DatabaseCause::Damaged),
            ("42P01", DatabaseCause::Other),
        ] {
            assert_eq!(DatabaseCause::of_postgres(code), cause, "{code}");
        }
        for (code, cause) in [
            (5, DatabaseCause::Locked),
            (1032, DatabaseCause::ReadOnly),
            (778, DatabaseCause::Damaged),
            (11, DatabaseCause::Damaged),
            (13, DatabaseCause::DiskFull),
            (1550, DatabaseCause::NotOpened),
            (1, DatabaseCause::Other),
        ] {
            assert_eq!(DatabaseCause::of_sqlite(code), cause, "{code}");
        }
    }
}
