//! Alarms: what somebody must look at, once each, until it is over.

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::audit;
use super::sql::{Columns, statements};
use super::{Result, Store, StoreError};
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// An alarm that has not been cleared.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub id: i64,
    pub kind: String,
    pub subject: String,
    /// A Russian sentence: what happened and what to do.
    pub told: String,
    pub raised_at: Timestamp,
}

/// Raises an alarm; while one of the same kind and subject is open, it stays the same one.
pub(super) async fn raise(
    connection: &mut AnyConnection,
    id: i64,
    kind: &str,
    subject: &str,
    told: &str,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(RAISE)
        .bind(id)
        .bind(kind.to_owned())
        .bind(subject.to_owned())
        .bind(told.to_owned())
        .bind(now.as_millisecond())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

impl Store {
    pub async fn raise_alarm(&self, kind: &'static str, subject: &str, told: &str, now: Timestamp) -> Result<()> {
        let (subject, told) = (subject.to_owned(), told.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let id = writing.new_id(now);
                raise(writing.sql, id, kind, &subject, &told, now).await
            })
        })
        .await
    }

    /// The cause is gone.
    pub async fn clear_alarm(&self, kind: &'static str, subject: &str, now: Timestamp) -> Result<()> {
        let subject = subject.to_owned();
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(CLEAR).bind(now.as_millisecond()).bind(kind).bind(subject).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// What the alarms of this kind are about, whose cause goes on as far as is known: open ones, and those somebody has
    /// read.
    pub async fn lasting_alarms(&self, kind: &'static str) -> Result<Vec<String>> {
        let rows = sqlx::query(LASTING).bind(kind).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Columns::of("alarm", row).get("subject")).collect()
    }

    /// Somebody has read it and will see to it. `false`: it is no longer open, or there is no such alarm.
    pub async fn acknowledge_alarm(&self, id: i64, by: &Actor, now: Timestamp) -> Result<bool> {
        let by = by.clone();
        self.write(move |mut writing| {
            Box::pin(async move {
                let row = sqlx::query(ACKNOWLEDGE)
                    .bind(now.as_millisecond())
                    .bind(id)
                    .fetch_optional(&mut *writing.sql)
                    .await?;
                let Some(row) = row else { return Ok::<_, StoreError>(false) };
                let columns = Columns::of("alarm", &row);
                let detail = format!("{} {}", columns.get::<String>("kind")?, columns.get::<String>("subject")?);
                audit::keep(&mut writing, &by, "seen", &format!("alarm {id}"), &detail, "", now);
                Ok(true)
            })
        })
        .await
    }

    /// All open alarms, also those beyond the first 50.
    pub async fn count_alarms(&self) -> Result<i64> {
        Ok(sqlx::query_scalar(COUNT_ALARMS).fetch_one(&self.readers).await?)
    }

    /// Open alarms, newest first, at most 50.
    pub async fn alarms(&self) -> Result<Vec<Alarm>> {
        let rows = sqlx::query(OPEN_ALARMS).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Alarm> {
    let columns = Columns::of("alarm", row);
    Ok(Alarm {
        id: columns.get("id")?,
        kind: columns.get("kind")?,
        subject: columns.get("subject")?,
        told: columns.get("told")?,
        raised_at: columns.time("raised_at")?,
    })
}

statements! {
    RAISE = "
        INSERT INTO alarm (id, kind, subject, told, raised_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (kind, subject) WHERE cleared_at IS NULL DO NOTHING";
    /// Open or read: each has an index of its own. With OR instead every alarm there ever was is read.
    CLEAR = "
        UPDATE alarm SET cleared_at = COALESCE(cleared_at, $1), seen_at = NULL
        WHERE id IN (
            SELECT id FROM alarm WHERE kind = $2 AND subject = $3 AND cleared_at IS NULL
            UNION
            SELECT id FROM alarm WHERE kind = $2 AND subject = $3 AND seen_at IS NOT NULL)";
    LASTING = "
        SELECT subject FROM alarm WHERE kind = $1 AND cleared_at IS NULL
        UNION
        SELECT subject FROM alarm WHERE kind = $1 AND seen_at IS NOT NULL";
    ACKNOWLEDGE = "
        UPDATE alarm SET cleared_at = $1, seen_at = $1
        WHERE id = $2 AND cleared_at IS NULL
        RETURNING id, kind, subject";
    COUNT_ALARMS = "SELECT COUNT(*) FROM alarm WHERE cleared_at IS NULL";
    OPEN_ALARMS = "
        SELECT id, kind, subject, told, raised_at FROM alarm
        WHERE cleared_at IS NULL
        ORDER BY raised_at DESC, id DESC
        LIMIT 50";
}
