//! One-time links with which somebody chooses a password: for who is new, and for who has forgotten theirs.

use sqlx::Row;

use super::people::{self, Officer, PeopleError, read_officer};
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError, audit};
use crate::core::officer::{Actor, Role};
use crate::time::{SignedDuration, Timestamp};

/// A link that was not used yet; it may have expired.
#[derive(Clone, Copy, Debug)]
pub struct Invitation {
    pub officer_id: i64,
    pub expires_at: Timestamp,
}

impl Invitation {
    /// How long a link can be used.
    pub const VALID: SignedDuration = SignedDuration::from_hours(3 * 24);
}

impl Store {
    /// Adds somebody who will choose a password with the link of this SHA-256. The answer is their id.
    #[expect(clippy::too_many_arguments, reason = "one commit of a person, a link and its audit")]
    pub async fn invite_officer(
        &self,
        login: &str,
        name: &str,
        role: Role,
        link_sha256: Vec<u8>,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<i64, PeopleError> {
        let (login, name, by, address) = (login.to_owned(), name.to_owned(), by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let Some(id) = people::add(&mut writing, &login, &name, role, "", now).await? else {
                    return Err(PeopleError::LoginTaken);
                };
                let detail = format!("{login}, {name}, {}", role.title());
                audit::keep(&mut writing, &by, "officer_add", &format!("officer {id}"), &detail, &address, now);
                keep_link(&mut writing, id, link_sha256, now).await?;
                Ok(id)
            })
        })
        .await
    }

    /// Makes a new link for somebody; an earlier one is void from now on. The password they have goes on until they choose
    /// another one.
    pub async fn renew_link(
        &self,
        officer_id: i64,
        link_sha256: Vec<u8>,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<Officer, PeopleError> {
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let officer = people::hold(&mut writing, officer_id).await?.ok_or(PeopleError::NotFound)?;
                if officer.disabled_at.is_some() {
                    return Err(PeopleError::Disabled);
                }
                keep_link(&mut writing, officer_id, link_sha256, now).await?;
                let object = format!("officer {officer_id}");
                audit::keep(&mut writing, &by, "officer_link", &object, &officer.login, &address, now);
                Ok(officer)
            })
        })
        .await
    }

    /// Whom the link of this SHA-256 invites, if it can still be used.
    pub async fn invited(&self, link_sha256: Vec<u8>, now: Timestamp) -> Result<Option<Officer>> {
        let query = sqlx::query(READ_INVITED).bind(link_sha256).bind(now.as_millisecond());
        query.fetch_optional(&self.readers).await?.as_ref().map(read_officer).transpose()
    }

    /// Uses a link: it works once, however many try at the same time. All sessions made with the old password end. `None`:
    /// it was used, replaced or has expired.
    pub async fn accept_invitation(
        &self,
        link_sha256: Vec<u8>,
        password_hash: &str,
        address: &str,
        now: Timestamp,
    ) -> Result<Option<Officer>> {
        let (hash, address) = (password_hash.to_owned(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query(USE_LINK).bind(link_sha256).bind(now.as_millisecond());
                let Some(used) = query.fetch_optional(&mut *writing.sql).await? else { return Ok(None) };
                let id: i64 = used.try_get(0)?;
                let Some(officer) = people::hold(&mut writing, id).await? else { return Ok(None) };
                if officer.disabled_at.is_some() {
                    return Ok(None);
                }
                people::replace_password(&mut writing, id, &hash).await?;
                let by = Actor::officer(id, &officer.name);
                audit::keep(&mut writing, &by, "password_by_link", &format!("officer {id}"), "", &address, now);
                Ok::<_, StoreError>(Some(Officer { password_hash: hash, ..officer }))
            })
        })
        .await
    }

    /// All links that were not used yet.
    pub async fn invitations(&self) -> Result<Vec<Invitation>> {
        let rows = sqlx::query(LIST_INVITATIONS).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of("invitation", row);
                Ok(Invitation { officer_id: columns.get("officer_id")?, expires_at: columns.time("expires_at")? })
            })
            .collect()
    }
}

async fn keep_link(writing: &mut Writing<'_>, officer_id: i64, sha256: Vec<u8>, now: Timestamp) -> Result<()> {
    sqlx::query(KEEP_LINK)
        .bind(officer_id)
        .bind(sha256)
        .bind(now.as_millisecond())
        .bind((now + Invitation::VALID).as_millisecond())
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

statements! {
    KEEP_LINK = "
        INSERT INTO invitation (officer_id, secret_sha256, created_at, expires_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (officer_id) DO UPDATE
        SET secret_sha256 = excluded.secret_sha256, created_at = excluded.created_at, expires_at = excluded.expires_at";
    READ_INVITED = "
        SELECT officer.* FROM invitation JOIN officer ON officer.id = invitation.officer_id
        WHERE invitation.secret_sha256 = $1 AND invitation.expires_at > $2 AND officer.disabled_at IS NULL";
    USE_LINK = "DELETE FROM invitation WHERE secret_sha256 = $1 AND expires_at > $2 RETURNING officer_id";
    LIST_INVITATIONS = "SELECT officer_id, expires_at FROM invitation";
}
