//! The tables of the database: the steps by which they came to be, and how an older database gets those of today.

use std::time::{Duration, Instant};

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tokio::task::JoinHandle;
use tracing::info;

use super::{DatabaseCause, Result, StoreError};

/// Timeout of an upgrade on PostgreSQL: one that takes longer has lost its server.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Pause before a step that another process is making is looked at again.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// The schema of this program.
pub(super) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Whether there has ever been this schema.
pub(super) fn is_known(version: i64) -> bool {
    MIGRATIONS.iter().any(|(it, ..)| *it == version)
}

/// Makes the tables of this schema in an empty database.
pub(super) async fn make(version: i64, connection: &mut AnyConnection) -> Result<()> {
    let mut migrator = migrator(connection.backend_name());
    migrator.migrations =
        migrator.migrations.iter().filter(|it| it.version <= version).cloned().collect::<Vec<_>>().into();
    migrator.run_direct(None, connection, false).await.map_err(failed)
}

/// How many steps a database still lacks.
///
/// # Errors
/// Also where it has had steps that this program does not know, or other ones of the same number.
pub(super) async fn missing_steps(connection: &mut AnyConnection) -> Result<usize> {
    let migrator = migrator(connection.backend_name());
    // The list is missing in an empty database. Another process may make it at this moment, in its turn: not here.
    let missing =
        missing_versions(&migrator, connection).await.map_or(migrator.iter().count(), |missing| missing.len());
    if missing == 0 {
        migrator.run_direct(None, connection, false).await.map_err(failed)?;
    }
    Ok(missing)
}

async fn missing_versions(migrator: &Migrator, connection: &mut AnyConnection) -> Result<Vec<i64>> {
    let applied = connection.list_applied_migrations(&migrator.table_name).await.map_err(failed)?;
    let is_applied = |version: i64| applied.iter().any(|migration| migration.version == version);
    Ok(migrator.iter().map(|migration| migration.version).filter(|version| !is_applied(*version)).collect())
}

/// Brings the schema up to date. Of several processes that start on one database one does it and the others wait: on
/// PostgreSQL for the lock that the migrator takes. On SQLite it takes none, so each step holds the lock for writing while it
/// looks whether it is still to be made.
async fn upgrade(connection: &mut AnyConnection) -> Result<()> {
    let migrator = migrator(connection.backend_name());
    if connection.backend_name() == "SQLite" {
        connection.ensure_migrations_table(&migrator.table_name).await.map_err(failed)?;
        for version in missing_versions(&migrator, connection).await? {
            let mut step = loop {
                // Another process may take minutes over the same step.
                match connection.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::from) {
                    Err(failed) if failed.cause() == DatabaseCause::Locked => tokio::time::sleep(BUSY_PAUSE).await,
                    begun => break begun?,
                }
            };
            migrator.run_direct(Some(version), &mut *step, false).await.map_err(failed)?;
            step.commit().await?;
        }
    }
    migrator.run_direct(None, connection, false).await.map_err(failed)
}

fn failed(error: MigrateError) -> StoreError {
    sqlx::Error::Migrate(Box::new(error)).into()
}

/// An upgrade in a task of its own: a step through a large log takes minutes, and goes on when whoever waits for it runs out
/// of time.
#[derive(Default)]
pub(super) struct Upgrade {
    task: Option<JoinHandle<Result<AnyConnection>>>,
}

impl Upgrade {
    pub fn is_under_way(&self) -> bool {
        self.task.is_some()
    }

    pub fn begin(&mut self, mut connection: AnyConnection, missing_steps: usize) {
        self.task = Some(tokio::spawn(async move {
            let begun = Instant::now();
            info!(missing_steps, "Bringing the database to this version of the program, {missing_steps} steps");
            match connection.backend_name() {
                "SQLite" => upgrade(&mut connection).await?,
                _ => tokio::time::timeout(UPGRADE_TIMEOUT, upgrade(&mut connection))
                    .await
                    .unwrap_or(Err(StoreError::TimedOut))?,
            }
            info!("The database is of this version of the program, after {} s", begun.elapsed().as_secs());
            Ok(connection)
        }));
    }

    /// Waits for it, and may be broken off and asked again. The connection that it was begun with comes back.
    pub async fn end(&mut self) -> Result<AnyConnection> {
        let Some(task) = &mut self.task else { return Err(StoreError::Closed) };
        let ended = task.await;
        self.task = None;
        // The task itself ends early when the program does.
        ended.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The same schema for both engines but for two words. In SQLite only a key of the type INTEGER is the number of the row
/// itself; any other is an index beside the table, which costs another page in each commit and another search in each read.
fn migrator(engine: &str) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, schema)| {
        let schema = match engine {
            "SQLite" => schema
                .replace("BIGINT NOT NULL PRIMARY KEY", "INTEGER NOT NULL PRIMARY KEY")
                .replace("/* WITHOUT ROWID */", "WITHOUT ROWID"),
            _ => (*schema).to_owned(),
        };
        let schema = sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(schema));
        Migration::new(*version, (*name).into(), MigrationType::Simple, schema, false)
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}

/// Number, name and text of each, in their order.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "desk", include_str!("../../migrations/0002_desk.sql")),
    (3, "news", include_str!("../../migrations/0003_news.sql")),
    (4, "contacts", include_str!("../../migrations/0004_contacts.sql")),
    (5, "hours", include_str!("../../migrations/0005_hours.sql")),
    (6, "prompts", include_str!("../../migrations/0006_prompts.sql")),
    (7, "people", include_str!("../../migrations/0007_people.sql")),
    (8, "reports", include_str!("../../migrations/0008_reports.sql")),
    (9, "mail and transcripts", include_str!("../../migrations/0009_mail_and_transcripts.sql")),
    (10, "audit", include_str!("../../migrations/0010_audit.sql")),
    (11, "search", include_str!("../../migrations/0011_search.sql")),
    (12, "alarms", include_str!("../../migrations/0012_alarms.sql")),
    (13, "placed calls", include_str!("../../migrations/0013_placed_calls.sql")),
    (14, "recognise", include_str!("../../migrations/0014_recognise.sql")),
    (15, "messages", include_str!("../../migrations/0015_messages.sql")),
    (16, "lines", include_str!("../../migrations/0016_lines.sql")),
    (18, "reconcile", include_str!("../../migrations/0018_reconcile.sql")),
    (19, "shared alarms", include_str!("../../migrations/0019_shared_alarms.sql")),
    (20, "place of a look", include_str!("../../migrations/0020_place_of_a_look.sql")),
    (21, "leases", include_str!("../../migrations/0021_lease.sql")),
    (23, "privacy", include_str!("../../migrations/0023_privacy.sql")),
    (25, "dialing", include_str!("../../migrations/0025_dialing.sql")),
    (26, "token use", include_str!("../../migrations/0026_token_use.sql")),
    (27, "audit chain", include_str!("../../migrations/0027_audit_chain.sql")),
    (28, "line scope", include_str!("../../migrations/0028_line_scope.sql")),
];
