//! Officers, API tokens and sessions.

use sqlx::any::AnyRow;

use super::sql::{Columns, statements};
use super::{Result, Store, StoreError};
use crate::core::officer::{Actor, Role};
use crate::time::Timestamp;

/// A person who works here.
#[derive(Clone, Debug)]
pub struct Officer {
    pub id: i64,
    pub login: String,
    pub name: String,
    pub role: Role,
    /// Argon2id in PHC text.
    pub password_hash: String,
    pub disabled_at: Option<Timestamp>,
}

/// A program that works here.
#[derive(Clone, Debug)]
pub struct Token {
    pub id: i64,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// Whoever is allowed in: how they sign and what they may do.
#[derive(Clone, Debug)]
pub struct Person {
    pub actor: Actor,
    pub role: Role,
}

impl Store {
    /// `false`: the login is taken.
    pub async fn add_officer(&self, login: &str, name: &str, role: Role, hash: &str, now: Timestamp) -> Result<bool> {
        let (login, name, hash) = (login.to_owned(), name.to_owned(), hash.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let added = sqlx::query(ADD_OFFICER)
                    .bind(writing.new_id(now))
                    .bind(login)
                    .bind(name)
                    .bind(role.as_str())
                    .bind(hash)
                    .bind(now.as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(added.rows_affected() == 1)
            })
        })
        .await
    }

    /// Sets a new password. `false`: there is no such login.
    pub async fn set_password(&self, login: &str, hash: &str) -> Result<bool> {
        let (login, hash) = (login.to_owned(), hash.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_people();
                let set = sqlx::query(SET_PASSWORD).bind(login).bind(hash).execute(writing.sql).await?;
                Ok::<_, StoreError>(set.rows_affected() == 1)
            })
        })
        .await
    }

    /// `false`: there is no such login.
    pub async fn disable_officer(&self, login: &str, now: Timestamp) -> Result<bool> {
        let login = login.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_people();
                let query = sqlx::query(DISABLE_OFFICER).bind(login).bind(now.as_millisecond());
                Ok::<_, StoreError>(query.execute(writing.sql).await?.rows_affected() == 1)
            })
        })
        .await
    }

    pub async fn officers(&self) -> Result<Vec<Officer>> {
        sqlx::query(LIST_OFFICERS).fetch_all(&self.readers).await?.iter().map(read_officer).collect()
    }

    pub async fn officer_by_login(&self, login: &str) -> Result<Option<Officer>> {
        let row = sqlx::query(READ_OFFICER_BY_LOGIN).bind(login.to_owned()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read_officer).transpose()
    }

    /// The officer of a session, unless disabled since.
    pub async fn officer(&self, id: i64) -> Result<Option<Officer>> {
        let row = sqlx::query(READ_OFFICER).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read_officer).transpose()
    }

    /// Adds a token by the SHA-256 of its secret; the answer is its id.
    pub async fn add_token(&self, name: &str, role: Role, secret_sha256: Vec<u8>, now: Timestamp) -> Result<i64> {
        let name = name.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                let id = writing.new_id(now);
                sqlx::query(ADD_TOKEN)
                    .bind(id)
                    .bind(name)
                    .bind(role.as_str())
                    .bind(secret_sha256)
                    .bind(now.as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(id)
            })
        })
        .await
    }

    /// `false`: there is no such token, or it is revoked already.
    pub async fn revoke_token(&self, id: i64, now: Timestamp) -> Result<bool> {
        self.write(move |writing| {
            Box::pin(async move {
                let query = sqlx::query(REVOKE_TOKEN).bind(id).bind(now.as_millisecond());
                Ok::<_, StoreError>(query.execute(writing.sql).await?.rows_affected() == 1)
            })
        })
        .await
    }

    pub async fn tokens(&self) -> Result<Vec<Token>> {
        sqlx::query(LIST_TOKENS).fetch_all(&self.readers).await?.iter().map(read_token).collect()
    }

    /// Who holds the secret with this SHA-256, unless revoked.
    pub async fn token_holder(&self, secret_sha256: Vec<u8>) -> Result<Option<Person>> {
        let row = sqlx::query(READ_TOKEN).bind(secret_sha256).fetch_optional(&self.readers).await?;
        let token = row.as_ref().map(read_token).transpose()?;
        Ok(token.map(|token| Person { actor: Actor::token(token.id, &token.name), role: token.role }))
    }

    /// Writes a session's content; `expires_at` is when it stops to count.
    pub async fn save_session(&self, id: &str, content: &str, expires_at: Timestamp) -> Result<()> {
        let (id, content) = (id.to_owned(), content.to_owned());
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(SAVE_SESSION)
                    .bind(id)
                    .bind(content)
                    .bind(expires_at.as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// The content of a session that has not expired.
    pub async fn session(&self, id: &str, now: Timestamp) -> Result<Option<String>> {
        let query = sqlx::query_scalar(READ_SESSION).bind(id.to_owned()).bind(now.as_millisecond());
        Ok(query.fetch_optional(&self.readers).await?)
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

fn read_officer(row: &AnyRow) -> Result<Officer> {
    let columns = Columns::of("officer", row);
    Ok(Officer {
        id: columns.get("id")?,
        login: columns.get("login")?,
        name: columns.get("name")?,
        role: columns.parsed("role", |word| word.parse().ok())?,
        password_hash: columns.get("password_hash")?,
        disabled_at: columns.optional_time("disabled_at")?,
    })
}

fn read_token(row: &AnyRow) -> Result<Token> {
    let columns = Columns::of("token", row);
    Ok(Token {
        id: columns.get("id")?,
        name: columns.get("name")?,
        role: columns.parsed("role", |word| word.parse().ok())?,
        created_at: columns.time("created_at")?,
        revoked_at: columns.optional_time("revoked_at")?,
    })
}

statements! {
    ADD_OFFICER = "
        INSERT INTO officer (id, login, name, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (login) DO NOTHING";
    SET_PASSWORD = "UPDATE officer SET password_hash = $2, disabled_at = NULL WHERE login = $1";
    DISABLE_OFFICER = "UPDATE officer SET disabled_at = $2 WHERE login = $1";
    LIST_OFFICERS = "SELECT * FROM officer ORDER BY login";
    READ_OFFICER = "SELECT * FROM officer WHERE id = $1 AND disabled_at IS NULL";
    READ_OFFICER_BY_LOGIN = "SELECT * FROM officer WHERE login = $1 AND disabled_at IS NULL";
    ADD_TOKEN = "INSERT INTO token (id, name, role, secret_sha256, created_at) VALUES ($1, $2, $3, $4, $5)";
    REVOKE_TOKEN = "UPDATE token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    LIST_TOKENS = "SELECT * FROM token ORDER BY id";
    READ_TOKEN = "SELECT * FROM token WHERE secret_sha256 = $1 AND revoked_at IS NULL";
    SAVE_SESSION = "
        INSERT INTO session (id, content, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at";
    READ_SESSION = "SELECT content FROM session WHERE id = $1 AND expires_at > $2";
    DELETE_SESSION = "DELETE FROM session WHERE id = $1";
    DELETE_EXPIRED_SESSIONS = "DELETE FROM session WHERE expires_at <= $1";
}
