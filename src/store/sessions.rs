//! Sessions of officers. A row is known by the SHA-256 of the secret in the cookie, so whoever reads the table cannot sign
//! in with it.

use sqlx::Row;

use super::audit;
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError};
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// How many sessions of one person are shown.
const MOST_SHOWN: i64 = 50;

/// A session as the table keeps it.
#[derive(Clone, Debug)]
pub struct KeptSession {
    /// The SHA-256 of the cookie's value, in hex.
    pub id: String,
    /// JSON, of `web::session`.
    pub content: String,
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps a new session. An id that is there already is an error, never somebody else's session.
    pub async fn add_session(&self, session: KeptSession, officer_id: Option<i64>) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(ADD_SESSION)
                    .bind(session.id)
                    .bind(session.content)
                    .bind(session.expires_at.as_millisecond())
                    .bind(officer_id)
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Changes what a session holds, not how long it lasts. One that has been ended meanwhile stays ended.
    pub async fn change_session(&self, id: &str, content: &str, officer_id: Option<i64>) -> Result<()> {
        let (id, content) = (id.to_owned(), content.to_owned());
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(CHANGE_SESSION).bind(id).bind(content).bind(officer_id).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Lets a session that is there expire later.
    pub async fn extend_session(&self, id: &str, expires_at: Timestamp) -> Result<()> {
        let id = id.to_owned();
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(EXTEND_SESSION).bind(id).bind(expires_at.as_millisecond()).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// A session that has not expired.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<KeptSession>> {
        let query = sqlx::query(READ_SESSION).bind(id.to_owned()).bind(now.as_millisecond());
        query.fetch_optional(&self.readers).await?.as_ref().map(read_session).transpose()
    }

    /// The sessions of one officer that have not expired, at most 50.
    pub async fn sessions_of(&self, officer_id: i64, now: Timestamp) -> Result<Vec<KeptSession>> {
        let query = sqlx::query(LIST_SESSIONS_OF).bind(officer_id).bind(now.as_millisecond()).bind(MOST_SHOWN);
        query.fetch_all(&self.readers).await?.iter().map(read_session).collect()
    }

    pub async fn delete_session(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_people();
                sqlx::query(DELETE_SESSION).bind(id).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Ends all sessions of one officer but `except`, on every instance at once. The answer is how many there were.
    pub async fn end_sessions(
        &self,
        officer_id: i64,
        except: &str,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<u64> {
        let (except, by, address) = (except.to_owned(), by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let ended = end(&mut writing, officer_id, except).await?;
                let object = format!("officer {officer_id}");
                audit::keep(&mut writing, &by, "sessions_end", &object, "", &address, now);
                Ok::<_, StoreError>(ended)
            })
        })
        .await
    }

    /// Removes expired sessions; the answer is how many.
    pub async fn delete_expired_sessions(&self, now: Timestamp) -> Result<u64> {
        self.write(move |writing| {
            Box::pin(async move {
                let query = sqlx::query(DELETE_EXPIRED_SESSIONS).bind(now.as_millisecond());
                Ok::<_, StoreError>(query.execute(writing.sql).await?.rows_affected())
            })
        })
        .await
    }
}

/// Ends all sessions of one officer but `except`, and tells the open pages; the answer is how many there were.
pub(super) async fn end(writing: &mut Writing<'_>, officer_id: i64, except: String) -> Result<u64> {
    writing.touches_people();
    let query = sqlx::query(END_SESSIONS_OF).bind(officer_id).bind(except);
    Ok(query.execute(&mut *writing.sql).await?.rows_affected())
}

fn read_session(row: &sqlx::any::AnyRow) -> Result<KeptSession> {
    let columns = Columns::of("session", row);
    Ok(KeptSession {
        id: row.try_get("id").map_err(|_| columns.corrupt("id"))?,
        content: columns.get("content")?,
        expires_at: columns.time("expires_at")?,
    })
}

statements! {
    ADD_SESSION = "INSERT INTO session (id, content, expires_at, officer_id) VALUES ($1, $2, $3, $4)";
    CHANGE_SESSION = "UPDATE session SET content = $2, officer_id = $3 WHERE id = $1";
    EXTEND_SESSION = "UPDATE session SET expires_at = $2 WHERE id = $1 AND expires_at < $2";
    READ_SESSION = "SELECT id, content, expires_at FROM session WHERE id = $1 AND expires_at > $2";
    LIST_SESSIONS_OF = "
        SELECT id, content, expires_at FROM session
        WHERE officer_id = $1 AND expires_at > $2
        ORDER BY id
        LIMIT $3";
    DELETE_SESSION = "DELETE FROM session WHERE id = $1";
    END_SESSIONS_OF = "DELETE FROM session WHERE officer_id = $1 AND id <> $2";
    DELETE_EXPIRED_SESSIONS = "DELETE FROM session WHERE expires_at <= $1";
}
