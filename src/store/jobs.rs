//! The durable queue: what must happen later, planned in the commit that causes it, leased to one worker at a time.

use sqlx::AnyConnection;
use url::Url;

use super::ids::Ids;
use super::lease::{self, LEASE, end_of, latest_end_of};
use super::sql::{Column, Columns, ManyRows, statements};
use super::{Result, Store, StoreError, alarms};
use crate::core::call::Call;
use crate::time::{SignedDuration, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Copies a message's sound from the provider. Subject: voicemail.
    FetchRecording,
    /// Deletes the provider's copy. Subject: voicemail.
    DeleteRecording,
    /// Asks the provider what became of a call. Subject: call.
    ReconcileCall,
    /// Compares the lists of a provider with ours. Subject: reconciliation.
    ReconcileProvider,
    /// Has an exchange ring an officer, and follows the call. Subject: placed call.
    PlaceCall,
    /// Writes down what the exchange told of the end of such a call. Subject: placed call.
    EndPlacedCall,
    /// Sends a letter of the outbox. Subject: mail.
    SendMail,
    /// Asks the speech server for the words of a message. Subject: voicemail.
    Transcribe,
}

impl JobKind {
    pub const ALL: [Self; 8] = [
        Self::FetchRecording,
        Self::DeleteRecording,
        Self::ReconcileCall,
        Self::ReconcileProvider,
        Self::PlaceCall,
        Self::EndPlacedCall,
        Self::SendMail,
        Self::Transcribe,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FetchRecording => "fetch_recording",
            Self::DeleteRecording => "delete_recording",
            Self::ReconcileCall => "reconcile_call",
            Self::ReconcileProvider => "reconcile_provider",
            Self::PlaceCall => "place_call",
            Self::EndPlacedCall => "end_placed_call",
            Self::SendMail => "send_mail",
            Self::Transcribe => "transcribe",
        }
    }

    /// How long after its cause a job is first tried. Recordings are there at once or soon; a lost callback is only
    /// lost once the provider has stopped repeating it.
    fn first_pause(self) -> SignedDuration {
        match self {
            Self::FetchRecording
            | Self::DeleteRecording
            | Self::ReconcileProvider
            | Self::PlaceCall
            | Self::EndPlacedCall
            | Self::SendMail
            | Self::Transcribe => SignedDuration::ZERO,
            Self::ReconcileCall => SignedDuration::from_mins(5),
        }
    }
}

/// Workers that only run jobs of some kinds, so that a slow host keeps nobody else waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobPool {
    Downloads,
    /// Questions and requests to a provider's interface.
    Questions,
    /// An officer waits for these.
    Calls,
    Mail,
    /// The speech server takes one message at a time: whoever leases from this pool has its turn.
    Transcriptions,
}

impl JobPool {
    /// Those whose jobs need nothing but a free slot.
    pub const WITH_SLOTS: [Self; 4] = [Self::Calls, Self::Downloads, Self::Questions, Self::Mail];

    /// How many of its jobs run at once. A school's uplink is thin.
    pub fn size(self) -> usize {
        match self {
            Self::Downloads => 6,
            Self::Questions | Self::Calls => 4,
            Self::Mail => 2,
            Self::Transcriptions => 1,
        }
    }

    /// Which jobs it runs.
    fn kinds(self) -> [JobKind; 3] {
        match self {
            Self::Downloads => [JobKind::FetchRecording; 3],
            Self::Questions => [JobKind::ReconcileCall, JobKind::ReconcileProvider, JobKind::DeleteRecording],
            Self::Calls => [JobKind::PlaceCall, JobKind::EndPlacedCall, JobKind::EndPlacedCall],
            Self::Mail => [JobKind::SendMail; 3],
            Self::Transcriptions => [JobKind::Transcribe; 3],
        }
    }
}

/// At most this many lanes are full while a slot of their pool is free.
const MAX_FULL_LANES: usize = 3;

/// A job in the hands of a worker, until its lease ends.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: i64,
    pub kind: JobKind,
    pub subject: i64,
    /// Whose slowness it shares.
    pub lane: Option<String>,
    pub created_at: Timestamp,
    /// When it was due. If the row says otherwise when the job ends, somebody planned it anew meanwhile.
    pub run_at: Timestamp,
    /// Tries before this one.
    pub attempts: i64,
    /// Why the last one of them failed.
    pub last_error: Option<String>,
    /// How many of them in a row, up to the last one, failed for that reason.
    pub same_error: i64,
    /// Whether an alarm tells that it waits.
    pub has_alarm: bool,
}

/// The alarm of all jobs of one kind that wait for one cause at one provider.
#[derive(Clone, Debug)]
pub struct SharedAlarm {
    pub kind: &'static str,
    /// The provider and the cause, without anything that differs between two tries.
    pub subject: String,
    /// A Russian sentence.
    pub told: String,
}

/// A job to be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewJob {
    pub kind: JobKind,
    pub subject: i64,
    /// Whose slowness it shares: see [`lane_of`]. `None`: nobody's.
    pub lane: Option<String>,
}

/// The host a recording is fetched from, as far as its address tells; otherwise the name of its provider.
pub(super) fn lane_of(url: Option<&str>, provider: &str) -> String {
    let url = url.and_then(|url| Url::parse(url).ok());
    let host = url.as_ref().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    host.unwrap_or_else(|| provider.to_owned())
}

/// How the queue stands.
#[derive(Clone, Debug, Default)]
pub struct JobsSummary {
    /// (kind, waiting, oldest made), without `incomplete`.
    pub waiting: Vec<(String, i64, Timestamp)>,
    /// Messages of which a part is kept and can be heard, while their provider is asked for the rest, for weeks perhaps.
    pub incomplete: i64,
    /// (kind, how many were given up).
    pub given_up: Vec<(String, i64)>,
}

/// The lease of a job that waits for an officer's telephone is shorter: an exchange answers within seconds.
const LEASE_OF_A_CALL: SignedDuration = SignedDuration::from_secs(30);

/// No job is put off for longer than this at a time.
pub const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(6);

/// Plans the jobs of a batch, each after its kind's first pause. A job that is planned already stays as it is.
pub(super) async fn plan(connection: &mut AnyConnection, ids: &mut Ids, now: Timestamp, jobs: &[NewJob]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    PLAN_JOBS
        .query(connection, jobs, |params, job| {
            params.add(ids.next(now));
            params.add(job.kind.as_str().to_owned());
            params.add(job.subject);
            params.time(now);
            params.time(now.checked_add(job.kind.first_pause()).unwrap_or(now));
            params.add(job.lane.clone());
        })
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Plans one job for now, unless it is planned already.
pub(super) async fn plan_one(
    connection: &mut AnyConnection,
    id: i64,
    kind: JobKind,
    subject: i64,
    now: Timestamp,
) -> Result<()> {
    plan_by(PLAN_ONE, connection, id, &NewJob { kind, subject, lane: None }, now).await
}

/// The same of a job with a lane.
pub(super) async fn plan_in_lane(connection: &mut AnyConnection, id: i64, job: &NewJob, now: Timestamp) -> Result<()> {
    plan_by(PLAN_ONE, connection, id, job, now).await
}

/// Plans one job for now, or brings it there as if it had never been tried: what it waited for may have come. One that runs
/// right now runs once more.
pub(super) async fn replan(connection: &mut AnyConnection, id: i64, job: &NewJob, now: Timestamp) -> Result<()> {
    plan_by(REPLAN, connection, id, job, now).await
}

async fn plan_by(
    statement: &'static str,
    connection: &mut AnyConnection,
    id: i64,
    job: &NewJob,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(statement)
        .bind(id)
        .bind(job.kind.as_str())
        .bind(job.subject)
        .bind(now.as_millisecond())
        .bind(job.lane.clone())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

impl Store {
    /// Leases the job of this pool that has been due for longest, of those whose lane is not full.
    pub async fn lease_one(&self, pool: JobPool, full_lanes: &[String], now: Timestamp) -> Result<Option<Job>> {
        let due = sqlx::query(DUE_IN_POOL).bind(now.as_millisecond());
        let due = pool.kinds().into_iter().fold(due, |due, kind| due.bind(kind.as_str()));
        let lane = |n: usize| full_lanes.get(n).cloned().unwrap_or_default();
        let due = (0..MAX_FULL_LANES).fold(due, |due, n| due.bind(lane(n)));
        let Some(row) = due.fetch_optional(&self.readers).await? else { return Ok(None) };
        let id: i64 = Columns::of("job", &row).get("id")?;
        // Another instance may be faster: there is another tick.
        Ok(self.take_leases(LEASE_BY_ID, id, now).await?.pop())
    }

    pub(super) fn instance_name(&self) -> Option<String> {
        self.instance.as_ref().map(|instance| instance.name().to_owned())
    }

    /// Holds a job that is still being done for another lease.
    pub async fn renew_job_lease(&self, id: i64, now: Timestamp) -> Result<()> {
        let instance = self.instance_name();
        let until = end_of(LEASE, now);
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(RENEW_LEASE)
                    .bind(id)
                    .bind(until.as_millisecond())
                    .bind(instance)
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Gives back all leases of this instance: nothing that it began is still being done.
    pub async fn give_leases_back(&self) -> Result<()> {
        let instance = self.instance_name();
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(GIVE_BACK).bind(instance.clone()).execute(&mut *writing.sql).await?;
                lease::give_all_back(writing.sql, instance).await
            })
        })
        .await
    }

    /// `which`: the third parameter of the statement.
    async fn take_leases(&self, lease: &'static str, which: i64, now: Timestamp) -> Result<Vec<Job>> {
        let instance = self.instance_name();
        let (until, call_until) = (end_of(LEASE, now), end_of(LEASE_OF_A_CALL, now));
        self.write(move |writing| {
            Box::pin(async move {
                let rows = sqlx::query(lease)
                    .bind(now.as_millisecond())
                    .bind(until.as_millisecond())
                    .bind(which)
                    .bind(call_until.as_millisecond())
                    .bind(instance)
                    .fetch_all(writing.sql)
                    .await?;
                rows.iter()
                    .map(|row| {
                        let columns = Columns::of("job", row);
                        let kind = |word: &str| JobKind::ALL.into_iter().find(|kind| kind.as_str() == word);
                        Ok(Job {
                            id: columns.get("id")?,
                            kind: columns.parsed("kind", kind)?,
                            subject: columns.get("subject")?,
                            lane: columns.get("lane")?,
                            created_at: columns.time("created_at")?,
                            run_at: columns.time("run_at")?,
                            same_error: columns.get("same_error")?,
                            has_alarm: columns.get::<Option<String>>("alarm_subject")?.is_some(),
                            attempts: columns.get("attempts")?,
                            last_error: columns.get("last_error")?,
                        })
                    })
                    .collect()
            })
        })
        .await
    }

    /// Plans a job for now, unless it is planned already.
    pub async fn plan_job(&self, kind: JobKind, subject: i64, now: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                let id = writing.new_id(now);
                plan_one(writing.sql, id, kind, subject, now).await
            })
        })
        .await
    }

    /// Plans to ask the provider about a call, unless that is planned already.
    pub async fn plan_question(&self, call: &Call, now: Timestamp) -> Result<()> {
        let lane = Some(call.key.provider.to_string());
        let job = NewJob { kind: JobKind::ReconcileCall, subject: call.id, lane };
        self.write(move |mut writing| {
            Box::pin(async move {
                let id = writing.new_id(now);
                plan_in_lane(writing.sql, id, &job, now).await
            })
        })
        .await
    }

    pub async fn job_done(&self, id: i64) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(FINISH_JOB).bind(id).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Not yet: tried again after `pause`, or at once if somebody planned it anew meanwhile. `alarm` tells of the cause.
    pub async fn job_later(
        &self,
        job: &Job,
        pause: SignedDuration,
        error: &str,
        alarm: Option<SharedAlarm>,
        now: Timestamp,
    ) -> Result<()> {
        let (id, was_due_at, error) = (job.id, job.run_at, error.to_owned());
        let run_at = now.checked_add(pause.min(MAX_PAUSE)).unwrap_or(now);
        self.write(move |mut writing| {
            Box::pin(async move {
                if let Some(SharedAlarm { kind, subject, told }) = &alarm {
                    let id = writing.new_id(now);
                    alarms::raise(writing.sql, id, kind, subject, told, now).await?;
                }
                sqlx::query(RETRY_JOB)
                    .bind(id)
                    .bind(run_at.as_millisecond())
                    .bind(error)
                    .bind(was_due_at.as_millisecond())
                    .bind(now.as_millisecond())
                    .bind(alarm.map(|alarm| alarm.subject))
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Never, unless somebody planned it anew meanwhile: the reason stays in the row, where somebody can see it.
    pub async fn job_given_up(&self, job: &Job, error: &str, now: Timestamp) -> Result<()> {
        let (id, was_due_at, error) = (job.id, job.run_at, error.to_owned());
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(GIVE_UP_JOB)
                    .bind(id)
                    .bind(now.as_millisecond())
                    .bind(error)
                    .bind(was_due_at.as_millisecond())
                    .execute(writing.sql)
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// The clock was set back to `now`, perhaps while nothing ran here: what was planned, leased or made by a clock that ran
    /// ahead would wait until that time comes again. Each job waits its own pause, from now on.
    pub async fn move_jobs_near(&self, now: Timestamp) -> Result<()> {
        let longest_pause = now.checked_add(MAX_PAUSE).unwrap_or(now);
        let latest_end = latest_end_of(LEASE, now);
        self.write(move |writing| {
            Box::pin(async move {
                for (statement, limit) in [
                    (KEEP_OWN_PAUSES, now),
                    (BRING_JOBS_NEAR, longest_pause),
                    (FREE_FAR_LEASES, latest_end),
                    (MAKE_JOBS_NO_YOUNGER_THAN_NOW, now),
                    (WAIT_FOR_GIVEN_UP_LATER, now),
                    (TRY_GIVEN_UP_LATER, now),
                ] {
                    sqlx::query(statement).bind(limit.as_millisecond()).execute(&mut *writing.sql).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// When the next waiting job is due, if any waits.
    pub async fn next_job_at(&self) -> Result<Option<Timestamp>> {
        let row = sqlx::query(NEXT_JOB_AT).fetch_optional(&self.readers).await?;
        row.map(|row| Columns::of("job", &row).time("run_at")).transpose()
    }

    /// Clears the shared alarms whose cause no waiting job has any more.
    pub async fn clear_shared_alarms(&self, now: Timestamp) -> Result<()> {
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(CLEAR_SHARED_ALARMS).bind(now.as_millisecond()).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    pub async fn jobs_summary(&self) -> Result<JobsSummary> {
        let mut summary = JobsSummary::default();
        for row in sqlx::query(SUM_JOBS).fetch_all(&self.readers).await? {
            let columns = Columns::of("job", &row);
            summary.waiting.push((columns.get("kind")?, columns.get("waiting")?, columns.time("oldest")?));
        }
        let incomplete = sqlx::query(COUNT_INCOMPLETE).fetch_one(&self.readers).await?;
        summary.incomplete = Columns::of("job", &incomplete).get("incomplete")?;
        for row in sqlx::query(COUNT_GIVEN_UP).fetch_all(&self.readers).await? {
            let columns = Columns::of("job", &row);
            summary.given_up.push((columns.get("kind")?, columns.get("given_up")?));
        }
        Ok(summary)
    }
}

pub(super) const PLAN_JOBS: ManyRows = ManyRows {
    name: "PLAN_JOBS",
    head: "INSERT INTO job (id, kind, subject, created_at, run_at, planned_at, lane, attempts)
        SELECT column1, column2, column3, column4, column5, column4, column6, 0",
    columns: &[Column::Number, Column::Text, Column::Number, Column::Number, Column::Number, Column::Text],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (kind, subject) DO NOTHING",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&PLAN_JOBS];

statements! {
    PLAN_ONE = "
        INSERT INTO job (id, kind, subject, created_at, run_at, planned_at, lane, attempts)
        VALUES ($1, $2, $3, $4, $4, $4, $5, 0)
        ON CONFLICT (kind, subject) DO NOTHING";
    REPLAN = "
        INSERT INTO job (id, kind, subject, created_at, run_at, planned_at, lane, attempts)
        VALUES ($1, $2, $3, $4, $4, $4, $5, 0)
        ON CONFLICT (kind, subject) DO UPDATE SET
            created_at = CASE WHEN job.given_up_at IS NULL THEN job.created_at ELSE excluded.created_at END,
            run_at = excluded.run_at, planned_at = excluded.planned_at, lane = excluded.lane, attempts = 0,
            same_error = 0, given_up_at = NULL";
    DUE_IN_POOL = "
        SELECT id FROM job
        WHERE given_up_at IS NULL AND run_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
          AND kind IN ($2, $3, $4) AND COALESCE(lane, 'none') NOT IN ($5, $6, $7)
        ORDER BY run_at, id
        LIMIT 1";
    LEASE_BY_ID = "
        UPDATE job SET leased_by = $5,
            leased_until = CASE WHEN kind = 'place_call' THEN CAST($4 AS BIGINT) ELSE CAST($2 AS BIGINT) END
        WHERE id = $3 AND given_up_at IS NULL AND run_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
        RETURNING id, kind, subject, lane, created_at, run_at, attempts, last_error, same_error, alarm_subject";
    RENEW_LEASE = "
        UPDATE job SET leased_until = $2
        WHERE id = $1 AND leased_until IS NOT NULL AND COALESCE(leased_by, '') = COALESCE(CAST($3 AS TEXT), '')";
    GIVE_BACK = "
        UPDATE job SET leased_until = NULL, leased_by = NULL
        WHERE leased_by = $1 AND leased_until IS NOT NULL";
    FINISH_JOB = "DELETE FROM job WHERE id = $1";
    RETRY_JOB = "
        UPDATE job
        SET run_at = CASE WHEN run_at = $4 THEN CAST($2 AS BIGINT) ELSE run_at END, planned_at = $5,
            same_error = CASE WHEN last_error = $3 THEN same_error + 1 ELSE 1 END, last_error = $3,
            attempts = attempts + 1, leased_until = NULL, leased_by = NULL, alarm_subject = $6
        WHERE id = $1";
    GIVE_UP_JOB = "
        UPDATE job
        SET given_up_at = CASE WHEN run_at = $4 THEN CAST($2 AS BIGINT) ELSE given_up_at END, last_error = $3,
            attempts = attempts + 1, leased_until = NULL, leased_by = NULL
        WHERE id = $1";
    KEEP_OWN_PAUSES = "
        UPDATE job SET run_at = CAST($1 AS BIGINT) + run_at - planned_at, planned_at = $1
        WHERE given_up_at IS NULL AND planned_at > $1";
    BRING_JOBS_NEAR = "UPDATE job SET run_at = $1 WHERE given_up_at IS NULL AND run_at > $1";
    FREE_FAR_LEASES = "UPDATE job SET leased_until = NULL, leased_by = NULL WHERE leased_until > $1";
    MAKE_JOBS_NO_YOUNGER_THAN_NOW = "UPDATE job SET created_at = $1 WHERE created_at > $1";
    /// What was given up later than now was given up by a clock that ran ahead.
    WAIT_FOR_GIVEN_UP_LATER = "
        UPDATE voicemail SET state = 'pending', failure = NULL
        WHERE state = 'failed' AND id IN (
            SELECT subject FROM job WHERE kind = 'fetch_recording' AND given_up_at > $1)";
    TRY_GIVEN_UP_LATER = "UPDATE job SET given_up_at = NULL, run_at = $1 WHERE given_up_at > $1";
    NEXT_JOB_AT = "
        SELECT id, run_at FROM job
        WHERE given_up_at IS NULL
        ORDER BY run_at, id
        LIMIT 1";
    CLEAR_SHARED_ALARMS = "
        UPDATE alarm SET cleared_at = COALESCE(cleared_at, $1), seen_at = NULL
        WHERE id IN (
            SELECT id FROM alarm WHERE kind IN ('recording_late', 'recording_not_deleted') AND cleared_at IS NULL
            UNION
            SELECT id FROM alarm WHERE kind IN ('recording_late', 'recording_not_deleted') AND seen_at IS NOT NULL)
          AND NOT EXISTS (
            SELECT 1 FROM job
            WHERE job.alarm_subject = alarm.subject AND job.given_up_at IS NULL
              AND job.kind = CASE alarm.kind WHEN 'recording_late' THEN 'fetch_recording' ELSE 'delete_recording' END)";
    SUM_JOBS = "
        SELECT kind, COUNT(*) AS waiting, MIN(created_at) AS oldest
        FROM job
        WHERE given_up_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM voicemail
            WHERE job.kind = 'fetch_recording' AND voicemail.id = job.subject AND voicemail.state = 'stored')
        GROUP BY kind
        ORDER BY kind";
    COUNT_INCOMPLETE = "
        SELECT COUNT(*) AS incomplete
        FROM job
        JOIN voicemail ON voicemail.id = job.subject
        WHERE job.kind = 'fetch_recording' AND job.given_up_at IS NULL AND voicemail.state = 'stored'";
    COUNT_GIVEN_UP = "
        SELECT kind, COUNT(*) AS given_up
        FROM job
        WHERE given_up_at IS NOT NULL
        GROUP BY kind
        ORDER BY kind";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_download_holds_up_a_call_for_an_officer_or_a_letter() {
        let pool_of =
            |kind| JobPool::WITH_SLOTS.into_iter().filter(|pool| pool.kinds().contains(&kind)).collect::<Vec<_>>();
        assert_eq!(pool_of(JobKind::FetchRecording), [JobPool::Downloads]);
        assert_eq!(pool_of(JobKind::PlaceCall), [JobPool::Calls]);
        assert_eq!(pool_of(JobKind::EndPlacedCall), [JobPool::Calls]);
        assert_eq!(pool_of(JobKind::SendMail), [JobPool::Mail]);
    }
}
