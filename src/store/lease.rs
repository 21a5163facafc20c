//! Leases: work that one instance does at a time, however many share the database. An instance gives its leases back when it
//! stops, and at its start what it left in a crash. The lease of one that never comes back ends by itself.

use sqlx::AnyConnection;

use super::sql::statements;
use super::{Result, Store, StoreError};
use crate::time::{SignedDuration, Timestamp};

/// The lease on the nightly backup.
pub const NIGHTLY_BACKUP: &str = "nightly_backup";

/// The lease on the nightly erasing of what is over its term.
pub const RETENTION: &str = "retention";

/// An instance that has not renewed its lease for this long is taken for dead.
pub(super) const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// The clocks of two instances may differ by this much.
pub(super) const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(1);

/// When a lease that is taken at `now` ends.
pub(super) fn end_of(lease: SignedDuration, now: Timestamp) -> Timestamp {
    now.checked_add(lease).unwrap_or(now)
}

/// A lease that ends later than this was taken by a clock that ran ahead, and binds nobody.
pub(super) fn latest_end_of(lease: SignedDuration, now: Timestamp) -> Timestamp {
    end_of(lease, now).checked_add(MAX_CLOCK_DIFFERENCE).unwrap_or(Timestamp::MAX)
}

impl Store {
    /// Takes a lease for this instance. `false`: another one holds it.
    pub async fn take_lease(&self, name: &'static str, now: Timestamp) -> Result<bool> {
        let instance = self.instance_name();
        self.write(move |writing| {
            Box::pin(async move {
                let taken = sqlx::query(TAKE_LEASE)
                    .bind(name)
                    .bind(instance)
                    .bind(end_of(LEASE, now).as_millisecond())
                    .bind(now.as_millisecond())
                    .bind(latest_end_of(LEASE, now).as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(taken.rows_affected() == 1)
            })
        })
        .await
    }

    /// Holds a lease for longer, if this instance still has it.
    pub async fn renew_lease(&self, name: &'static str, now: Timestamp) -> Result<()> {
        let instance = self.instance_name();
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(RENEW_LEASE)
                    .bind(name)
                    .bind(instance)
                    .bind(end_of(LEASE, now).as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Gives a lease back, if this instance still has it.
    pub async fn give_lease_back(&self, name: &'static str) -> Result<()> {
        let instance = self.instance_name();
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(GIVE_LEASE_BACK).bind(name).bind(instance).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }
}

/// Gives back all that `instance` holds.
pub(super) async fn give_all_back(connection: &mut AnyConnection, instance: Option<String>) -> Result<()> {
    sqlx::query(GIVE_ALL_LEASES_BACK).bind(instance).execute(connection).await?;
    Ok(())
}

statements! {
    TAKE_LEASE = "
        INSERT INTO lease (name, leased_by, leased_until) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET leased_by = excluded.leased_by, leased_until = excluded.leased_until
        WHERE lease.leased_until IS NULL OR lease.leased_until <= $4 OR lease.leased_until > $5";
    RENEW_LEASE = "UPDATE lease SET leased_until = $3 WHERE name = $1 AND leased_by = $2";
    GIVE_LEASE_BACK = "UPDATE lease SET leased_until = NULL, leased_by = NULL WHERE name = $1 AND leased_by = $2";
    GIVE_ALL_LEASES_BACK = "UPDATE lease SET leased_until = NULL, leased_by = NULL WHERE leased_by = $1";
}
