//! Who did what and when. Rows are only ever added.

use super::ids::first_id_at;
use super::sql::statements;
use super::writer::Writing;
use super::{Result, Store};
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

impl Store {
    pub async fn audit(&self, entry: AuditEntry, now: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let AuditEntry { by, action, object, detail, address } = entry;
                keep(&mut writing, &by, action, &object, &detail, &address, now).await
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

pub(super) async fn keep(
    writing: &mut Writing<'_>,
    by: &Actor,
    action: &str,
    object: &str,
    detail: &str,
    address: &str,
    now: Timestamp,
) -> Result<()> {
    let id = writing.new_id(now);
    sqlx::query(KEEP_AUDIT)
        .bind(id)
        .bind(now.as_millisecond())
        .bind(by.id.clone())
        .bind(by.name.clone())
        .bind(action.to_owned())
        .bind(object.to_owned())
        .bind(detail.to_owned())
        .bind(address.to_owned())
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

statements! {
    KEEP_AUDIT = "
        INSERT INTO audit (id, at, actor_id, actor_name, action, object, detail, address)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    /// Ids are made from time, so the last minutes are the end of the table's own key: no further index.
    AUDITED_SINCE = "
        SELECT id FROM audit
        WHERE id >= $1 AND actor_id = $2 AND action = $3 AND object = $4
        LIMIT 1";
}
