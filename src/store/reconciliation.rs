//! How far the lists of each provider have been compared with ours, and whose turn it is to compare them.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::any::AnyRow;

use super::calls::ringing_from_word;
use super::lease::{end_of, latest_end_of};
use super::sql::{Column, Columns, ManyRows, statements};
use super::{OWN, Result, Store, StoreError, audit, jobs};
use crate::core::call::Ringing;
use crate::core::officer::Actor;
use crate::time::{SignedDuration, Timestamp};

/// Where one provider stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// The subject of [`super::JobKind::ReconcileProvider`].
    pub id: i64,
    pub provider: String,
    /// Our first day of service: nothing older is brought in by itself.
    pub service_since: Timestamp,
    /// All that began before is compared.
    pub covered_until: Option<Timestamp>,
    /// When the last look over several days ended; `None` when one is wanted.
    pub widely_covered_at: Option<Timestamp>,
    /// The last look, finished or not.
    pub look: Option<Look>,
    /// When the last good look ended.
    pub ended_at: Option<Timestamp>,
    pub failing_since: Option<Timestamp>,
    pub error: Option<String>,
    /// The last go of the look did not end at the end of a page: of the page it was reading, calls may be taken in that are
    /// not counted.
    pub is_broken_off: bool,
}

/// One look through a provider's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Calls of ours in the lists.
    pub listed: i64,
    /// Those of them that we had.
    pub known: i64,
    /// Those that were brought in, or a message of them.
    pub restored: i64,
    /// Where it goes on; `None` when it is finished.
    pub next: Option<LookPlace>,
}

impl Look {
    /// Whether any page has been read.
    pub fn has_begun(&self) -> bool {
        self.next != Some(LookPlace::first())
    }
}

/// A page of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookPlace {
    pub list: LookList,
    /// `None` for the first page.
    pub address: Option<String>,
    /// Pages of this list that the look has read.
    pub pages: u32,
    /// When the list of calls was left because it did not end: such a look cannot end well.
    pub incomplete_since: Option<Timestamp>,
}

/// Which of a provider's lists a look goes through: the calls, then the recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookList {
    Calls,
    Recordings,
}

impl LookList {
    fn word(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Recordings => "recordings",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Calls, Self::Recordings].into_iter().find(|list| list.word() == word)
    }
}

impl LookPlace {
    /// Where every look begins.
    pub fn first() -> Self {
        Self { list: LookList::Calls, address: None, pages: 0, incomplete_since: None }
    }

    /// The place in the row of a look that is not finished. An earlier version wrote more than the name into `next_list`:
    /// such a look begins anew.
    fn of_row(columns: &Columns<'_>) -> Result<Option<Self>> {
        let list: Option<String> = columns.get("next_list")?;
        let Some(list) = list.as_deref().and_then(LookList::from_word) else { return Ok(None) };
        let pages: Option<i64> = columns.get("next_pages")?;
        Ok(Some(Self {
            list,
            address: columns.get("next_address")?,
            pages: pages.and_then(|pages| pages.try_into().ok()).unwrap_or(0),
            incomplete_since: columns.optional_time("incomplete_since")?,
        }))
    }
}

/// A call that we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCall {
    pub id: i64,
    /// See [`crate::core::call::Call::restored_at`].
    pub restored_at: Option<Timestamp>,
    /// Whether we know of an officer's talk. That the first telephone was busy says nothing of the second.
    pub was_talked: bool,
}

/// A look that has not gone on for this long is taken for dead.
const LEASE: SignedDuration = SignedDuration::from_mins(5);

impl Store {
    /// How the provider stands, if it was ever to be asked. Instants after `now` were written by a clock that ran ahead:
    /// they count as unknown.
    pub async fn reconciliation(&self, provider: &str, now: Timestamp) -> Result<Option<Reconciliation>> {
        let row = sqlx::query(READ_RECONCILIATION).bind(provider.to_owned()).fetch_optional(&self.readers).await?;
        row.map(|row| read(&row, now)).transpose()
    }

    /// The same by the id of the row.
    pub async fn reconciliation_of(&self, id: i64, now: Timestamp) -> Result<Option<Reconciliation>> {
        let row = sqlx::query(READ_RECONCILIATION_BY_ID).bind(id).fetch_optional(&self.readers).await?;
        row.map(|row| read(&row, now)).transpose()
    }

    /// When the first webhook of a provider came.
    pub async fn first_delivery_at(&self, provider: &str) -> Result<Option<Timestamp>> {
        let row = sqlx::query(FIRST_DELIVERY).bind(provider.to_owned()).fetch_optional(&self.readers).await?;
        row.map(|row| Columns::of("delivery", &row).time("received_at")).transpose()
    }

    /// When the newest webhook of a provider up to `now` came.
    pub async fn last_delivery_at(&self, provider: &str, now: Timestamp) -> Result<Option<Timestamp>> {
        let row = sqlx::query(LAST_DELIVERY)
            .bind(provider.to_owned())
            .bind(now.as_millisecond())
            .bind(OWN)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Columns::of("delivery", &row).time("received_at")).transpose()
    }

    /// Begins the row of a provider. The first one written stays, unless its first day of service is later than this one.
    pub async fn begin_reconciliation(&self, provider: &str, service_since: Timestamp, now: Timestamp) -> Result<()> {
        let provider = provider.to_owned();
        self.write(move |mut writing| {
            Box::pin(async move {
                sqlx::query(BEGIN_RECONCILIATION)
                    .bind(writing.new_id(now))
                    .bind(provider)
                    .bind(service_since.as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Takes the turn to look. `None`: another look is under way. The answer is to be shown with everything that is
    /// written of the look.
    pub async fn lease_look(&self, id: i64, now: Timestamp) -> Result<Option<i64>> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let lease = writing.new_id(now);
                let taken = sqlx::query(LEASE_LOOK)
                    .bind(id)
                    .bind(now.as_millisecond())
                    .bind(end_of(LEASE, now).as_millisecond())
                    .bind(lease)
                    .bind(latest_end_of(LEASE, now).as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>((taken.rows_affected() == 1).then_some(lease))
            })
        })
        .await
    }

    /// Writes how far a look has come, and keeps the turn. `false`: the turn has been lost to somebody else.
    pub async fn save_look(&self, id: i64, lease: i64, look: &Look, now: Timestamp) -> Result<bool> {
        let look = look.clone();
        self.write(move |writing| {
            Box::pin(async move {
                let place = look.next.as_ref();
                let saved = sqlx::query(SAVE_LOOK)
                    .bind(id)
                    .bind(lease)
                    .bind(end_of(LEASE, now).as_millisecond())
                    .bind(look.from.as_millisecond())
                    .bind(look.to.as_millisecond())
                    .bind(place.map(|place| place.list.word()))
                    .bind(place.and_then(|place| place.address.clone()))
                    .bind(place.map(|place| i64::from(place.pages)))
                    .bind(place.and_then(|place| place.incomplete_since).map(Timestamp::as_millisecond))
                    .bind(look.listed)
                    .bind(look.known)
                    .bind(look.restored)
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(saved.rows_affected() == 1)
            })
        })
        .await
    }

    /// A look has come to its end. `covered_until` is where the next one begins; `None` when this one left a gap before it.
    pub async fn finish_look(
        &self,
        id: i64,
        lease: i64,
        covered_until: Option<Timestamp>,
        wide: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(FINISH_LOOK)
                    .bind(id)
                    .bind(lease)
                    .bind(covered_until.map(Timestamp::as_millisecond))
                    .bind(wide.then_some(now.as_millisecond()))
                    .bind(now.as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// A look has failed, and the turn is free. `starts_over`: the page it stood at cannot be had any more.
    pub async fn fail_look(&self, id: i64, lease: i64, error: &str, starts_over: bool, now: Timestamp) -> Result<()> {
        let error = error.to_owned();
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(FAIL_LOOK)
                    .bind(id)
                    .bind(lease)
                    .bind(error)
                    .bind(now.as_millisecond())
                    .execute(&mut *writing.sql)
                    .await?;
                if starts_over {
                    sqlx::query(FORGET_PLACE).bind(id).bind(lease).execute(writing.sql).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Frees the turn of a look that goes on later, with the page after the last one saved.
    pub async fn pause_look(&self, id: i64, lease: i64) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(PAUSE_LOOK).bind(id).bind(lease).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Frees the turn of a look that was broken off within a page.
    pub async fn break_off_look(&self, id: i64, lease: i64) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(BREAK_OFF_LOOK).bind(id).bind(lease).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Plans a look for now. `at_once`: one that waits after a failure need not wait any longer.
    pub async fn plan_look(&self, id: i64, at_once: bool, now: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let job = writing.new_id(now);
                match at_once {
                    true => jobs::replan(writing.sql, job, &look_job(id), now).await,
                    false => jobs::plan_one(writing.sql, job, jobs::JobKind::ReconcileProvider, id, now).await,
                }
            })
        })
        .await
    }

    /// «Сверить с оператором»: a look over several days, as soon as the worker has a hand free.
    pub async fn request_look(&self, provider: &str, by: &Actor, address: &str, now: Timestamp) -> Result<()> {
        let Some(row) = self.reconciliation(provider, now).await? else { return Ok(()) };
        let (by, address) = (by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                sqlx::query(WANT_WIDE_LOOK).bind(row.id).execute(&mut *writing.sql).await?;
                let job = writing.new_id(now);
                jobs::replan(writing.sql, job, &look_job(row.id), now).await?;
                audit::keep(&mut writing, &by, "reconcile", &format!("provider {}", row.provider), "", &address, now);
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Which of these calls of a provider we have, by the provider's id.
    pub async fn known_calls(
        &self,
        provider: &str,
        provider_call_ids: &[String],
    ) -> Result<HashMap<String, KnownCall>> {
        if provider_call_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut connection = self.readers.acquire().await?;
        let known = KNOWN_CALLS.query(&connection, provider_call_ids, |params, id| {
            params.add(provider.to_owned());
            params.add(id.clone());
        });
        let rows = known.fetch_all(&mut *connection).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns::of("call_key", row);
                let call = KnownCall {
                    id: columns.get("call_id")?,
                    restored_at: columns.optional_time("restored_at")?,
                    was_talked: columns.optional_parsed("ringing", ringing_from_word)? == Some(Ringing::Answered),
                };
                Ok((columns.get("provider_call_id")?, call))
            })
            .collect()
    }

    /// The recordings of these calls that we have or had, by call and the provider's id.
    pub async fn known_recordings(&self, calls: &[i64]) -> Result<HashSet<(i64, String)>> {
        if calls.is_empty() {
            return Ok(HashSet::new());
        }
        let mut connection = self.readers.acquire().await?;
        let known = KNOWN_RECORDINGS.query(&connection, calls, |params, id| params.add(*id));
        let rows = known.fetch_all(&mut *connection).await?;
        rows.iter().map(|row| Ok((row.try_get("call_id")?, row.try_get("recording_id")?))).collect()
    }
}

fn read(row: &AnyRow, now: Timestamp) -> Result<Reconciliation> {
    let columns = Columns::of("reconciliation", row);
    let past = |column| Ok::<_, StoreError>(columns.optional_time(column)?.filter(|at| *at <= now));
    let span = columns.optional_time("look_from")?.zip(columns.optional_time("look_to")?);
    let look = match span {
        Some((from, to)) => Some(Look {
            from,
            to,
            listed: columns.get("listed")?,
            known: columns.get("known")?,
            restored: columns.get("restored")?,
            next: LookPlace::of_row(&columns)?,
        }),
        None => None,
    };
    Ok(Reconciliation {
        id: columns.get("id")?,
        provider: columns.get("provider")?,
        service_since: columns.time("service_since")?,
        covered_until: past("covered_until")?,
        widely_covered_at: past("widely_covered_at")?,
        look,
        ended_at: past("ended_at")?,
        failing_since: past("failing_since")?,
        error: columns.get("error")?,
        is_broken_off: columns.get::<Option<i64>>("lease_id")?.is_some(),
    })
}

const KNOWN_CALLS: ManyRows = ManyRows {
    name: "KNOWN_CALLS",
    head: "SELECT call_key.provider_call_id AS provider_call_id, call_key.call_id AS call_id,
        call.restored_at AS restored_at, call.ringing AS ringing",
    columns: &[Column::Text, Column::Text],
    tail: "JOIN call_key ON call_key.provider = column1 AND call_key.provider_call_id = column2
        LEFT JOIN call ON call.id = call_key.call_id",
};

const KNOWN_RECORDINGS: ManyRows = ManyRows {
    name: "KNOWN_RECORDINGS",
    head: "SELECT voicemail.call_id AS call_id, voicemail.recording_id AS recording_id",
    columns: &[Column::Number],
    tail: "JOIN voicemail ON voicemail.call_id = column1",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&KNOWN_CALLS, &KNOWN_RECORDINGS];

fn look_job(subject: i64) -> jobs::NewJob {
    jobs::NewJob { kind: jobs::JobKind::ReconcileProvider, subject, lane: None }
}

statements! {
    READ_RECONCILIATION = "SELECT * FROM reconciliation WHERE provider = $1";
    READ_RECONCILIATION_BY_ID = "SELECT * FROM reconciliation WHERE id = $1";
    FIRST_DELIVERY = "SELECT id, received_at FROM delivery WHERE provider = $1 ORDER BY id LIMIT 1";
    LAST_DELIVERY = "
        SELECT id, received_at FROM delivery
        WHERE provider = $1 AND received_at <= $2 AND method <> $3
        ORDER BY id DESC LIMIT 1";
    BEGIN_RECONCILIATION = "
        INSERT INTO reconciliation (id, provider, service_since, listed, known, restored)
        VALUES ($1, $2, $3, 0, 0, 0)
        ON CONFLICT (provider) DO UPDATE SET service_since = excluded.service_since
        WHERE reconciliation.service_since > excluded.service_since";
    /// A turn that ends after $5 was taken by a clock that ran ahead.
    LEASE_LOOK = "
        UPDATE reconciliation SET lease_id = $4, leased_until = $3
        WHERE id = $1 AND (leased_until IS NULL OR leased_until <= $2 OR leased_until > $5)";
    SAVE_LOOK = "
        UPDATE reconciliation
        SET leased_until = $3, look_from = $4, look_to = $5, next_list = $6, next_address = $7, next_pages = $8,
            incomplete_since = $9, listed = $10, known = $11, restored = $12
        WHERE id = $1 AND lease_id = $2";
    FINISH_LOOK = "
        UPDATE reconciliation
        SET covered_until = COALESCE(CAST($3 AS BIGINT), covered_until),
            widely_covered_at = COALESCE(CAST($4 AS BIGINT), widely_covered_at),
            ended_at = $5, next_list = NULL, next_address = NULL, next_pages = NULL, incomplete_since = NULL,
            failing_since = NULL, error = NULL, lease_id = NULL, leased_until = NULL
        WHERE id = $1 AND lease_id = $2";
    /// The id of the turn stays as the mark that the look was broken off.
    FAIL_LOOK = "
        UPDATE reconciliation
        SET error = $3, failing_since = CASE WHEN failing_since <= $4 THEN failing_since ELSE $4 END,
            leased_until = NULL
        WHERE id = $1 AND lease_id = $2";
    /// Follows a failure, and only if nobody has taken the turn meanwhile.
    FORGET_PLACE = "
        UPDATE reconciliation
        SET next_list = NULL, next_address = NULL, next_pages = NULL, incomplete_since = NULL
        WHERE id = $1 AND lease_id = $2";
    PAUSE_LOOK = "UPDATE reconciliation SET lease_id = NULL, leased_until = NULL WHERE id = $1 AND lease_id = $2";
    BREAK_OFF_LOOK = "UPDATE reconciliation SET leased_until = NULL WHERE id = $1 AND lease_id = $2";
    WANT_WIDE_LOOK = "UPDATE reconciliation SET widely_covered_at = NULL WHERE id = $1";
}
