//! The second factor: the secret shared with an authenticator app, the steps of time already used, recovery codes.

use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError};
use super::{audit, sessions};
use crate::core::officer::Actor;
use crate::time::Timestamp;

/// What checks the codes of an app. The secret must be kept as it is, or no code could be checked.
pub struct Factor {
    pub secret: Vec<u8>,
}

impl Store {
    /// `None`: this officer has no second factor.
    pub async fn factor(&self, officer_id: i64) -> Result<Option<Factor>> {
        let row = sqlx::query(READ_FACTOR).bind(officer_id).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Factor { secret: Columns::of("officer", &row).get("factor_secret")? }))
    }

    /// Switches the second factor on, with the step whose code proved the app and the SHA-256 of new recovery codes, and
    /// ends all other sessions. `false`: there is one already.
    #[expect(clippy::too_many_arguments, reason = "one commit of three tables and their audit")]
    pub async fn switch_factor_on(
        &self,
        officer_id: i64,
        secret: Vec<u8>,
        step: i64,
        codes: Vec<Vec<u8>>,
        this_session: &str,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (this_session, by, address) = (this_session.to_owned(), by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query(SWITCH_FACTOR_ON).bind(officer_id).bind(secret).bind(step);
                if query.execute(&mut *writing.sql).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                sqlx::query(DELETE_CODES).bind(officer_id).execute(&mut *writing.sql).await?;
                for code in codes {
                    sqlx::query(ADD_CODE).bind(code).bind(officer_id).execute(&mut *writing.sql).await?;
                }
                writing.touches_people();
                sessions::end(&mut writing, officer_id, this_session).await?;
                audit::keep(&mut writing, &by, "factor_on", &format!("officer {officer_id}"), "", &address, now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// Takes the code of this step as used. `false`: it or a later one was used before, or there is no factor any more.
    pub async fn use_factor_step(&self, officer_id: i64, step: i64) -> Result<bool> {
        self.write(move |writing| {
            Box::pin(async move {
                let query = sqlx::query(USE_FACTOR_STEP).bind(officer_id).bind(step);
                Ok::<_, StoreError>(query.execute(writing.sql).await?.rows_affected() == 1)
            })
        })
        .await
    }

    /// Takes a recovery code as used. `false`: it is none, or was used before.
    pub async fn use_recovery_code(
        &self,
        officer_id: i64,
        sha256: Vec<u8>,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let query = sqlx::query(USE_CODE).bind(officer_id).bind(sha256);
                if query.execute(&mut *writing.sql).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                let object = format!("officer {officer_id}");
                audit::keep(&mut writing, &by, "recovery_code", &object, "", &address, now);
                Ok::<_, StoreError>(true)
            })
        })
        .await
    }

    /// How many recovery codes are left.
    pub async fn recovery_codes_left(&self, officer_id: i64) -> Result<i64> {
        Ok(sqlx::query_scalar(COUNT_CODES).bind(officer_id).fetch_one(&self.readers).await?)
    }

    /// Takes the second factor away. `false`: there was none.
    pub async fn switch_factor_off(&self, officer_id: i64, by: &Actor, address: &str, now: Timestamp) -> Result<bool> {
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move { switch_off(&mut writing, officer_id, &by, &address, now).await })
        })
        .await
    }
}

/// Takes the second factor and its recovery codes away. `false`: there was none.
pub(super) async fn switch_off(
    writing: &mut Writing<'_>,
    officer_id: i64,
    by: &Actor,
    address: &str,
    now: Timestamp,
) -> Result<bool> {
    if sqlx::query(SWITCH_FACTOR_OFF).bind(officer_id).execute(&mut *writing.sql).await?.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(DELETE_CODES).bind(officer_id).execute(&mut *writing.sql).await?;
    audit::keep(writing, by, "factor_off", &format!("officer {officer_id}"), "", address, now);
    Ok(true)
}

statements! {
    READ_FACTOR = "SELECT id, factor_secret FROM officer WHERE id = $1 AND factor_secret IS NOT NULL";
    SWITCH_FACTOR_ON = "
        UPDATE officer SET factor_secret = $2, factor_step = $3
        WHERE id = $1 AND factor_secret IS NULL";
    SWITCH_FACTOR_OFF = "
        UPDATE officer SET factor_secret = NULL, factor_step = NULL
        WHERE id = $1 AND factor_secret IS NOT NULL";
    USE_FACTOR_STEP = "
        UPDATE officer SET factor_step = $2
        WHERE id = $1 AND factor_secret IS NOT NULL AND factor_step < $2";
    ADD_CODE = "INSERT INTO recovery_code (sha256, officer_id) VALUES ($1, $2)";
    USE_CODE = "DELETE FROM recovery_code WHERE officer_id = $1 AND sha256 = $2";
    DELETE_CODES = "DELETE FROM recovery_code WHERE officer_id = $1";
    COUNT_CODES = "SELECT COUNT(*) FROM recovery_code WHERE officer_id = $1";
}
