//! API tokens: programs that work here. Only the command line makes and revokes them.

use sqlx::any::AnyRow;

use super::audit;
use super::people::{self, Person};
use super::sql::{Columns, statements};
use super::{Result, Store, StoreError};
use crate::core::line_scope::LineScope;
use crate::core::officer::{Actor, Role};
use crate::time::{SignedDuration, Timestamp, elapsed_ms};

/// A program that works here.
#[derive(Clone, Debug)]
pub struct Token {
    pub id: i64,
    pub name: String,
    pub role: Role,
    /// As they were set; not in force for a role that sees all.
    pub lines: LineScope,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// From this instant on it opens nothing. `None`: good until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// As it was some minutes ago at the most.
    pub last_used_at: Option<Timestamp>,
}

/// How often the use of a token is written down: often enough to find out which ones nobody needs.
const USE_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

impl Store {
    /// Adds a token by the SHA-256 of its secret, as the command line; the answer is its id.
    pub async fn add_token(
        &self,
        name: &str,
        role: Role,
        secret_sha256: Vec<u8>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<i64> {
        self.add_limited_token(name, role, LineScope::all(), secret_sha256, expires_at, now).await
    }

    /// The same, of some lines.
    pub async fn add_limited_token(
        &self,
        name: &str,
        role: Role,
        lines: LineScope,
        secret_sha256: Vec<u8>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<i64> {
        let (name, titles) = (name.to_owned(), lines.titles(&self.lines()));
        self.write(move |mut writing| {
            Box::pin(async move {
                let id = writing.new_id(now);
                sqlx::query(ADD_TOKEN)
                    .bind(id)
                    .bind(name.clone())
                    .bind(role.as_str())
                    .bind(secret_sha256)
                    .bind(now.as_millisecond())
                    .bind(expires_at.map(Timestamp::as_millisecond))
                    .bind(lines.to_text())
                    .execute(&mut *writing.sql)
                    .await?;
                let (by, mut detail) = (Actor::command_line(), format!("{name}, {}", role.title()));
                if !lines.is_all() {
                    detail.push_str(&format!(", линии: {titles}"));
                }
                audit::keep(&mut writing, &by, "token_add", &format!("token {id}"), &detail, "", now);
                Ok::<_, StoreError>(id)
            })
        })
        .await
    }

    /// As the command line. `false`: there is no such token, or it is revoked already.
    pub async fn revoke_token(&self, id: i64, now: Timestamp) -> Result<bool> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query_scalar(REVOKE_TOKEN).bind(id).bind(now.as_millisecond());
                let Some(name) = query.fetch_optional(&mut *writing.sql).await? else { return Ok(false) };
                let (by, name): (_, String) = (Actor::command_line(), name);
                audit::keep(&mut writing, &by, "token_revoke", &format!("token {id}"), &name, "", now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    pub async fn tokens(&self) -> Result<Vec<Token>> {
        sqlx::query(LIST_TOKENS).fetch_all(&self.readers).await?.iter().map(read_token).collect()
    }

    /// Who holds the secret with this SHA-256, unless it is revoked or has expired. That it was used is written down.
    pub async fn token_holder(&self, secret_sha256: Vec<u8>, now: Timestamp) -> Result<Option<Person>> {
        let row = sqlx::query(READ_TOKEN).bind(secret_sha256).fetch_optional(&self.readers).await?;
        let token = row.as_ref().map(read_token).transpose()?;
        let token = token.filter(|token| token.expires_at.is_none_or(|expires_at| now < expires_at));
        if let Some(token) = &token {
            self.record_use(token, now);
        }
        Ok(token.map(|token| Person {
            actor: Actor::token(token.id, &token.name),
            role: token.role,
            telephone: None,
            lines: people::scope(token.role, &token.lines),
        }))
    }
}

impl Store {
    fn record_use(&self, token: &Token, now: Timestamp) {
        let is_recent =
            |at: Timestamp| u128::from(elapsed_ms(at, now).unsigned_abs()) < USE_INTERVAL.unsigned_abs().as_millis();
        if token.last_used_at.is_some_and(is_recent) {
            return;
        }
        let id = token.id;
        self.write_unattended(move |writing| {
            Box::pin(async move {
                sqlx::query(RECORD_USE).bind(id).bind(now.as_millisecond()).execute(writing.sql).await?;
                Ok(())
            })
        });
    }
}

fn read_token(row: &AnyRow) -> Result<Token> {
    let columns = Columns::of("token", row);
    Ok(Token {
        id: columns.get("id")?,
        name: columns.get("name")?,
        role: columns.parsed("role", |word| word.parse().ok())?,
        lines: LineScope::of_text(columns.get::<Option<String>>("lines")?.as_deref()),
        created_at: columns.time("created_at")?,
        revoked_at: columns.optional_time("revoked_at")?,
        expires_at: columns.optional_time("expires_at")?,
        last_used_at: columns.optional_time("last_used_at")?,
    })
}

statements! {
    ADD_TOKEN = "
        INSERT INTO token (id, name, role, secret_sha256, created_at, expires_at, lines)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    RECORD_USE = "UPDATE token SET last_used_at = $2 WHERE id = $1";
    REVOKE_TOKEN = "UPDATE token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING name";
    LIST_TOKENS = "SELECT * FROM token ORDER BY id";
    READ_TOKEN = "SELECT * FROM token WHERE secret_sha256 = $1 AND revoked_at IS NULL";
}
