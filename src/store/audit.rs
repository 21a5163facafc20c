//! Who did what and when. Rows are only ever added, at the end of their chain, and nothing is taken out of one but the number of
//! a caller.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection};

use super::audit_chain::{self, NewRow};
use super::ids::{Ids, first_id_at};
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, Store, backup, database};
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// One line of the audit.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    pub by: Actor,
    /// `listen`, `login`, `claim`, …
    pub action: &'static str,
    /// `voicemail 7…`, `callback 7…`.
    pub object: String,
    pub detail: String,
    /// Of the person's machine, if known.
    pub address: String,
}

/// One kept line of the audit.
#[derive(Clone, Debug)]
pub struct AuditRow {
    pub id: i64,
    pub at: Timestamp,
    pub by: Actor,
    pub action: String,
    pub object: String,
    pub detail: String,
    pub address: String,
}

/// Which lines of the audit are looked at. Empty filters ask for all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// [`Actor::id`].
    pub actor: Option<String>,
    pub action: Option<String>,
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// Older than the line of this id: the next page.
    pub before: Option<i64>,
    pub limit: u32,
}

impl Store {
    /// A page of the audit, newest first. Each filter has its index; ids are made from time, so they serve the dates.
    pub async fn audit_page(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        let from = filter.from.map_or(0, first_id_at);
        let until = filter.until.map_or(i64::MAX, first_id_at).min(filter.before.unwrap_or(i64::MAX));
        let limit = i64::from(filter.limit);
        let query = match (&filter.actor, &filter.action) {
            (None, None) => sqlx::query(AUDIT_PAGE),
            (Some(actor), None) => sqlx::query(AUDIT_OF_ACTOR).bind(actor.clone()),
            (None, Some(action)) => sqlx::query(AUDIT_OF_ACTION).bind(action.clone()),
            (Some(actor), Some(action)) => {
                sqlx::query(AUDIT_OF_ACTOR_AND_ACTION).bind(actor.clone()).bind(action.clone())
            }
        };
        let rows = query.bind(from).bind(until).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    pub async fn audit(&self, entry: AuditEntry, now: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let AuditEntry { by, action, object, detail, address } = entry;
                keep(&mut writing, &by, action, &object, &detail, &address, now);
                Ok(())
            })
        })
        .await
    }

    /// Whether this person did this to this thing since `since`.
    pub async fn audited_since(&self, by: &Actor, action: &str, object: &str, since: Timestamp) -> Result<bool> {
        let row = sqlx::query(AUDITED_SINCE)
            .bind(first_id_at(since))
            .bind(by.id.clone())
            .bind(action.to_owned())
            .bind(object.to_owned())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }
}

fn read(row: &AnyRow) -> Result<AuditRow> {
    let columns = Columns::of("audit", row);
    Ok(AuditRow {
        id: columns.get("id")?,
        at: columns.time("at")?,
        by: Actor { id: columns.get("actor_id")?, name: columns.get("actor_name")? },
        action: columns.get("action")?,
        object: columns.get("object")?,
        detail: columns.get("detail")?,
        address: columns.get("address")?,
    })
}

/// Writes a row with the commit of this errand.
pub(super) fn keep(
    writing: &mut Writing<'_>,
    by: &Actor,
    action: &str,
    object: &str,
    detail: &str,
    address: &str,
    now: Timestamp,
) {
    let id = writing.new_id(now);
    writing.audit.push(row(id, by, action, [object, detail, address], now));
}

fn row(id: i64, by: &Actor, action: &str, [object, detail, address]: [&str; 3], now: Timestamp) -> NewRow {
    NewRow {
        id,
        at_ms: now.as_millisecond(),
        actor_id: by.id.clone(),
        actor_name: by.name.clone(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.to_owned(),
        address: address.to_owned(),
    }
}

/// Takes a number out of a line that was kept. Nothing else ever changes one.
pub(super) async fn rewrite(connection: &mut AnyConnection, id: i64, object: &str, detail: &str) -> Result<()> {
    let query = sqlx::query(REWRITE_AUDIT).bind(id).bind(object.to_owned()).bind(detail.to_owned());
    query.execute(connection).await?;
    Ok(())
}

/// Writes a line into the audit of a database of any version, for a command that does not bring its schema up to date.
pub async fn audit_without_migrating(url: &str, entry: &AuditEntry, now: Timestamp) -> Result<()> {
    sqlx::any::install_default_drivers();
    let mut connection = database::connect(&database::connect_options(url)?).await?;
    let AuditEntry { by, action, object, detail, address } = entry;
    let row = row(Ids::new().next(now), by, action, [object, detail, address], now);
    // What is read here is written upon: on SQLite a lock that is only asked for then is refused at once, not waited for.
    let mut transaction = match connection.backend_name() {
        "SQLite" => connection.begin_with("BEGIN IMMEDIATE").await?,
        _ => connection.begin().await?,
    };
    match backup::schema_version_if_any(&mut transaction).await >= audit_chain::FIRST_SCHEMA {
        true => audit_chain::append(&mut transaction, &[row]).await?,
        false => insert(&mut transaction, row).await?,
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

/// Into a table that has no chain yet.
async fn insert(connection: &mut AnyConnection, row: NewRow) -> Result<()> {
    let NewRow { id, at_ms, actor_id, actor_name, action, object, detail, address } = row;
    let query = sqlx::query(KEEP_AUDIT).bind(id).bind(at_ms).bind(actor_id).bind(actor_name).bind(action);
    query.bind(object).bind(detail).bind(address).execute(connection).await?;
    Ok(())
}

statements! {
    KEEP_AUDIT = "
        INSERT INTO audit (id, at, actor_id, actor_name, action, object, detail, address)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    /// The chain holds without the salt, and nobody can guess the number from the digest.
    REWRITE_AUDIT = "UPDATE audit SET object = $2, detail = $3, salt = NULL WHERE id = $1";
    AUDIT_PAGE = "
        SELECT id, at, actor_id, actor_name, action, object, detail, address FROM audit
        WHERE id >= $1 AND id < $2
        ORDER BY id DESC
        LIMIT $3";
    AUDIT_OF_ACTOR = "
        SELECT id, at, actor_id, actor_name, action, object, detail, address FROM audit
        WHERE actor_id = $1 AND id >= $2 AND id < $3
        ORDER BY id DESC
        LIMIT $4";
    AUDIT_OF_ACTION = "
        SELECT id, at, actor_id, actor_name, action, object, detail, address FROM audit
        WHERE action = $1 AND id >= $2 AND id < $3
        ORDER BY id DESC
        LIMIT $4";
    AUDIT_OF_ACTOR_AND_ACTION = "
        SELECT id, at, actor_id, actor_name, action, object, detail, address FROM audit
        WHERE actor_id = $1 AND action = $2 AND id >= $3 AND id < $4
        ORDER BY id DESC
        LIMIT $5";
    /// Ids are made from time, so the last minutes are the end of the table's own key: no further index.
    AUDITED_SINCE = "
        SELECT id FROM audit
        WHERE id >= $1 AND actor_id = $2 AND action = $3 AND object = $4
        LIMIT 1";
}
