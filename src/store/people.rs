//! Officers: who works here, with which role, and what is changed about them.

use sqlx::any::AnyRow;

use super::sql::{Columns, statements};
use super::writer::{WriteError, Writing};
use super::{Result, Store, StoreError, audit, factors};
use crate::core::line::Lines;
use crate::core::line_scope::LineScope;
use crate::core::officer::{Actor, Role};
use crate::core::phone::Telephone;
use crate::time::Timestamp;

/// A person who works here.
#[derive(Clone, Debug)]
pub struct Officer {
    pub id: i64,
    pub login: String,
    pub name: String,
    pub role: Role,
    /// Argon2id in PHC text; empty as long as they have chosen no password.
    pub password_hash: String,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    pub last_sign_in_at: Option<Timestamp>,
    /// Whether a code of an authenticator app is asked for besides the password.
    pub has_factor: bool,
    /// Rung before the caller when they call back. `None`: they dial by hand.
    pub telephone: Option<Telephone>,
    /// As an administrator has set them; not in force for whoever sees all by their role. See [`Officer::scope`].
    pub lines: LineScope,
}

/// Whoever is allowed in: how they sign and what they may do.
#[derive(Clone, Debug)]
pub struct Person {
    pub actor: Actor,
    pub role: Role,
    /// Rung before the caller when they call back.
    pub telephone: Option<Telephone>,
    /// What they may see and work on.
    pub lines: LineScope,
}

/// What an administrator changes about an officer, and they themselves about their telephone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfficerChange {
    Name(String),
    Role(Role),
    Telephone(Option<Telephone>),
    Lines(LineScope),
    Disable,
    Enable,
}

/// Why nothing was changed about an officer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("there is no such officer")]
    NotFound,
    #[error("the login is taken")]
    LoginTaken,
    #[error("nobody else could change people and lines any more")]
    LastAdmin,
    #[error("the officer is disabled")]
    Disabled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError for PeopleError {
    fn as_store_error(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<sqlx::Error> for PeopleError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Adds somebody with a password, as the command line. `false`: the login is taken.
    pub async fn add_officer(&self, login: &str, name: &str, role: Role, hash: &str, now: Timestamp) -> Result<bool> {
        self.add_limited_officer(login, name, role, LineScope::all(), hash, now).await
    }

    /// The same, of some lines.
    pub async fn add_limited_officer(
        &self,
        login: &str,
        name: &str,
        role: Role,
        lines: LineScope,
        hash: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (login, name, hash, titles) =
            (login.to_owned(), name.to_owned(), hash.to_owned(), lines.titles(&self.lines()));
        self.write(move |mut writing| {
            Box::pin(async move {
                let Some(id) = add(&mut writing, &login, &name, role, &hash, now).await? else { return Ok(false) };
                let mut detail = format!("{login}, {name}, {}", role.title());
                if !lines.is_all() {
                    sqlx::query(SET_LINES).bind(id).bind(lines.to_text()).execute(&mut *writing.sql).await?;
                    detail.push_str(&format!(", линии: {titles}"));
                }
                by_command_line(&mut writing, "officer_add", id, &detail, now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// Sets a new password, as the command line: all sessions end, a waiting link is void, the second factor is taken away,
    /// who was disabled may come in again. `false`: there is no such login.
    pub async fn set_password(&self, login: &str, hash: &str, now: Timestamp) -> Result<bool> {
        let (login, hash) = (login.to_owned(), hash.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query_scalar(ENABLE_LOGIN).bind(login.clone());
                let Some(id) = query.fetch_optional(&mut *writing.sql).await? else { return Ok(false) };
                replace_password(&mut writing, id, &hash).await?;
                by_command_line(&mut writing, "officer_reset", id, &login, now);
                // The only administrator may have lost the telephone too.
                factors::switch_off(&mut writing, id, &Actor::command_line(), "", now).await?;
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// Disables, as the command line: the last administrator too, for whoever has the machine can add another. `false`:
    /// there is no such login.
    pub async fn disable_officer(&self, login: &str, now: Timestamp) -> Result<bool> {
        let login = login.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query_scalar(DISABLE_LOGIN).bind(login.clone()).bind(now.as_millisecond());
                let Some(id) = query.fetch_optional(&mut *writing.sql).await? else { return Ok(false) };
                shut_out(&mut writing, id).await?;
                by_command_line(&mut writing, "officer_disable", id, &login, now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// Changes one thing about an officer. The answer is how they were before; if nothing had to be changed, nothing is
    /// written down.
    pub async fn change_officer(
        &self,
        id: i64,
        change: OfficerChange,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<Officer, PeopleError> {
        let (by, address, lines) = (by.clone(), address.to_owned(), self.lines());
        self.write(move |mut writing| {
            Box::pin(async move { alter(&mut writing, id, change, &lines, &by, &address, now).await })
        })
        .await
    }

    /// The officer's own new password: all their sessions end, and a waiting link is void.
    pub async fn change_password(
        &self,
        id: i64,
        hash: &str,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (hash, by, address) = (hash.to_owned(), by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                replace_password(&mut writing, id, &hash).await?;
                audit::keep(&mut writing, &by, "password_change", &format!("officer {id}"), "", &address, now);
                Ok(())
            })
        })
        .await
    }

    /// Writes down that an officer came in, and when.
    pub async fn signed_in(&self, id: i64, by: &Actor, detail: &str, address: &str, now: Timestamp) -> Result<()> {
        let (by, detail, address) = (by.clone(), detail.to_owned(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query(MARK_SIGN_IN).bind(id).bind(now.as_millisecond());
                query.execute(&mut *writing.sql).await?;
                audit::keep(&mut writing, &by, "login", &format!("officer {id}"), &detail, &address, now);
                Ok(())
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

    /// The officer, disabled or not.
    pub async fn any_officer(&self, id: i64) -> Result<Option<Officer>> {
        let row = sqlx::query(READ_ANY_OFFICER).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read_officer).transpose()
    }
}

/// Adds a row; an empty hash fits no password. `None`: the login is taken.
pub(super) async fn add(
    writing: &mut Writing<'_>,
    login: &str,
    name: &str,
    role: Role,
    hash: &str,
    now: Timestamp,
) -> Result<Option<i64>> {
    let id = writing.new_id(now);
    let added = sqlx::query(ADD_OFFICER)
        .bind(id)
        .bind(login.to_owned())
        .bind(name.to_owned())
        .bind(role.as_str())
        .bind(hash.to_owned())
        .bind(now.as_millisecond())
        .execute(&mut *writing.sql)
        .await?;
    Ok((added.rows_affected() == 1).then_some(id))
}

/// The officer, held until the transaction ends.
pub(super) async fn hold(writing: &mut Writing<'_>, id: i64) -> Result<Option<Officer>> {
    let row = sqlx::query(HOLD_OFFICER).bind(id).fetch_optional(&mut *writing.sql).await?;
    row.as_ref().map(read_officer).transpose()
}

/// A new password; whatever let the old one's holder in is void.
pub(super) async fn replace_password(writing: &mut Writing<'_>, id: i64, hash: &str) -> Result<()> {
    sqlx::query(SET_PASSWORD).bind(id).bind(hash.to_owned()).execute(&mut *writing.sql).await?;
    shut_out(writing, id).await
}

/// Ends all sessions and voids a waiting link.
async fn shut_out(writing: &mut Writing<'_>, id: i64) -> Result<()> {
    writing.touches_people();
    sqlx::query(END_ALL_SESSIONS).bind(id).execute(&mut *writing.sql).await?;
    sqlx::query(VOID_LINK).bind(id).execute(&mut *writing.sql).await?;
    Ok(())
}

async fn alter(
    writing: &mut Writing<'_>,
    id: i64,
    change: OfficerChange,
    known: &Lines,
    by: &Actor,
    address: &str,
    now: Timestamp,
) -> Result<Officer, PeopleError> {
    writing.touches_people();
    // All administrators are held, or two who demote each other at once would leave none.
    let admins = sqlx::query(HOLD_ADMINS).fetch_all(&mut *writing.sql).await?;
    let officer = hold(writing, id).await?.ok_or(PeopleError::NotFound)?;
    let admins: Vec<Officer> = admins.iter().map(read_officer).collect::<Result<_>>()?;
    let others = admins.iter().filter(|admin| admin.id != id && admin.can_come_in()).count();
    let is_last = officer.role == Role::Admin && officer.can_come_in() && others == 0;
    let (action, detail) = match &change {
        OfficerChange::Name(name) if *name == officer.name => return Ok(officer),
        OfficerChange::Name(name) => {
            sqlx::query(RENAME_OFFICER).bind(id).bind(name.clone()).execute(&mut *writing.sql).await?;
            ("officer_rename", format!("{} → {name}", officer.name))
        }
        OfficerChange::Role(role) if *role == officer.role => return Ok(officer),
        OfficerChange::Role(_) | OfficerChange::Disable if is_last => return Err(PeopleError::LastAdmin),
        OfficerChange::Role(role) => {
            sqlx::query(SET_ROLE).bind(id).bind(role.as_str()).execute(&mut *writing.sql).await?;
            ("officer_role", format!("{}: {} → {}", officer.login, officer.role.title(), role.title()))
        }
        OfficerChange::Telephone(telephone) if *telephone == officer.telephone => return Ok(officer),
        OfficerChange::Telephone(telephone) => {
            let text = telephone.as_ref().map(Telephone::to_string);
            sqlx::query(SET_TELEPHONE).bind(id).bind(text).execute(&mut *writing.sql).await?;
            let shown = |it: &Option<Telephone>| it.as_ref().map_or_else(|| "нет".to_owned(), Telephone::spaced);
            ("officer_telephone", format!("{} → {}", shown(&officer.telephone), shown(telephone)))
        }
        OfficerChange::Lines(lines) if *lines == officer.lines => return Ok(officer),
        OfficerChange::Lines(lines) => {
            // Their open pages ask anew.
            writing.touches_the_list();
            sqlx::query(SET_LINES).bind(id).bind(lines.to_text()).execute(&mut *writing.sql).await?;
            let (before, now) = (officer.lines.titles(known), lines.titles(known));
            ("officer_lines", format!("{}: {before} → {now}", officer.login))
        }
        OfficerChange::Disable if officer.disabled_at.is_some() => return Ok(officer),
        OfficerChange::Disable => {
            let at = Some(now.as_millisecond());
            sqlx::query(SET_DISABLED).bind(id).bind(at).execute(&mut *writing.sql).await?;
            shut_out(writing, id).await?;
            ("officer_disable", officer.login.clone())
        }
        OfficerChange::Enable if officer.disabled_at.is_none() => return Ok(officer),
        OfficerChange::Enable => {
            sqlx::query(SET_DISABLED).bind(id).bind(None::<i64>).execute(&mut *writing.sql).await?;
            ("officer_enable", officer.login.clone())
        }
    };
    audit::keep(writing, by, action, &format!("officer {id}"), &detail, address, now);
    Ok(officer)
}

fn by_command_line(writing: &mut Writing<'_>, action: &str, id: i64, detail: &str, now: Timestamp) {
    audit::keep(writing, &Actor::command_line(), action, &format!("officer {id}"), detail, "", now);
}

impl Officer {
    /// Whether there is a password and nobody has disabled them.
    pub fn can_come_in(&self) -> bool {
        self.disabled_at.is_none() && !self.password_hash.is_empty()
    }

    /// The lines they may see.
    pub fn scope(&self) -> LineScope {
        scope(self.role, &self.lines)
    }
}

/// Whoever answers for the whole list sees all of it.
pub(super) fn scope(role: Role, lines: &LineScope) -> LineScope {
    match role {
        Role::Observer | Role::Officer => lines.clone(),
        Role::Senior | Role::Admin => LineScope::all(),
    }
}

pub(super) fn read_officer(row: &AnyRow) -> Result<Officer> {
    let columns = Columns::of("officer", row);
    Ok(Officer {
        id: columns.get("id")?,
        login: columns.get("login")?,
        name: columns.get("name")?,
        role: columns.parsed("role", |word| word.parse().ok())?,
        password_hash: columns.get("password_hash")?,
        created_at: columns.time("created_at")?,
        disabled_at: columns.optional_time("disabled_at")?,
        last_sign_in_at: columns.optional_time("last_sign_in_at")?,
        has_factor: columns.get::<Option<Vec<u8>>>("factor_secret")?.is_some(),
        telephone: columns.optional_parsed("telephone", |text| Telephone::parse(text).ok())?,
        lines: LineScope::of_text(columns.get::<Option<String>>("lines")?.as_deref()),
    })
}

statements! {
    ADD_OFFICER = "
        INSERT INTO officer (id, login, name, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (login) DO NOTHING";
    SET_PASSWORD = "UPDATE officer SET password_hash = $2 WHERE id = $1";
    ENABLE_LOGIN = "UPDATE officer SET disabled_at = NULL WHERE login = $1 RETURNING id";
    DISABLE_LOGIN = "UPDATE officer SET disabled_at = $2 WHERE login = $1 RETURNING id";
    RENAME_OFFICER = "UPDATE officer SET name = $2 WHERE id = $1";
    SET_TELEPHONE = "UPDATE officer SET telephone = $2 WHERE id = $1";
    SET_LINES = "UPDATE officer SET lines = $2 WHERE id = $1";
    SET_ROLE = "UPDATE officer SET role = $2 WHERE id = $1";
    SET_DISABLED = "UPDATE officer SET disabled_at = $2 WHERE id = $1";
    MARK_SIGN_IN = "UPDATE officer SET last_sign_in_at = $2 WHERE id = $1";
    /// The update that changes nothing takes the row's lock on PostgreSQL and the write lock on SQLite.
    HOLD_OFFICER = "UPDATE officer SET id = id WHERE id = $1 RETURNING *";
    HOLD_ADMINS = "UPDATE officer SET id = id WHERE role = 'admin' RETURNING *";
    LIST_OFFICERS = "SELECT * FROM officer ORDER BY login";
    READ_OFFICER = "SELECT * FROM officer WHERE id = $1 AND disabled_at IS NULL";
    READ_ANY_OFFICER = "SELECT * FROM officer WHERE id = $1";
    READ_OFFICER_BY_LOGIN = "SELECT * FROM officer WHERE login = $1 AND disabled_at IS NULL";
    END_ALL_SESSIONS = "DELETE FROM session WHERE officer_id = $1";
    VOID_LINK = "DELETE FROM invitation WHERE officer_id = $1";
}
