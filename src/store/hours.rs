//! Working hours as the school changed them while the service runs: each change a row that is ended or replaced, never
//! deleted. A change, the due times it moves, their history and the audit are one commit.

use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use tracing::{error, warn};

use super::callbacks;
use super::sql::{Columns, statements};
use super::writer::{WriteError, Writing};
use super::{Result, Store, StoreError, audit};
use crate::core::calendar::{
    Closure, DataSet, Exception, ExceptionMode, HolidayData, HoursChanges, HoursStep, Interval, Period, StepRefusal,
    WeekChange, week_from_json, week_to_json,
};
use crate::core::callback::{Callback, Terms};
use crate::core::changes::Changes;
use crate::core::line::{LineId, Lines};
use crate::core::officer::Actor;
use crate::time::{Date, Timestamp};

/// In force at once, at most; more are refused long before.
const MOST_IN_FORCE: i64 = 5000;
/// Closures, the newest: one each week for twenty years.
const MOST_CLOSURES: i64 = 1000;
/// Callbacks whose due times one change looks at: all who wait, unless a school has been abandoned for years.
const MOST_WAITING: i64 = 20_000;

/// A change as it is kept, for people.
#[derive(Clone, Debug)]
pub struct HoursChange {
    pub id: i64,
    pub what: ChangedHours,
    /// `None`: all lines.
    pub line: Option<LineId>,
    pub reason: String,
    pub made_at: Timestamp,
    pub by: Actor,
    /// When it was taken back or replaced, and by whom.
    pub ended: Option<(Timestamp, String)>,
}

#[derive(Clone, Debug)]
pub enum ChangedHours {
    Exception(Exception),
    Week([Vec<Interval>; 7]),
    Closure(Period),
    Data(DataSet),
}

/// What a step would do, or has done.
#[derive(Clone, Debug)]
pub struct HoursEffect {
    pub before: Lines,
    pub after: Lines,
    /// Open callbacks whose due times it moves, in the order of the list.
    pub moved: Vec<(Callback, Terms)>,
    /// Counts the changes so far: who saves what he looked at names it.
    pub revision: i64,
}

/// Why the hours were not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HoursError {
    /// Somebody changed them after this person had looked.
    #[error("the hours have changed meanwhile")]
    Stale,
    #[error(transparent)]
    Refused(#[from] StepRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError for HoursError {
    fn as_store_error(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<sqlx::Error> for HoursError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// What is in force.
    pub async fn hours_changes(&self) -> Result<HoursChanges> {
        in_force(&mut *self.readers.acquire().await?).await
    }

    /// What a step would do at `now`. Nothing is written.
    pub async fn look_at_hours(&self, step: &HoursStep, now: Timestamp) -> Result<HoursEffect, HoursError> {
        let mut connection = self.readers.acquire().await.map_err(StoreError::from)?;
        let revision = sqlx::query_scalar::<_, String>(READ_REVISION).fetch_optional(&mut *connection).await?;
        let current = in_force(&mut connection).await?;
        let revision = revision.and_then(|text| text.parse().ok()).unwrap_or(0);
        self.effect(&mut connection, &current, step, revision, now).await
    }

    /// Makes the change if `seen` is still the revision (`None` takes whatever is there), and takes it up at once. `address`: of
    /// the person's machine.
    pub async fn change_hours(
        &self,
        step: HoursStep,
        seen: Option<i64>,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<HoursEffect, HoursError> {
        let (by, address, store) = (by.clone(), address.to_owned(), self.clone());
        let done = self
            .write(move |mut writing| {
                Box::pin(async move {
                    let revision: i64 = sqlx::query(HOLD_REVISION).fetch_one(&mut *writing.sql).await?.try_get(0)?;
                    if seen.is_some_and(|seen| seen != revision - 1) {
                        return Err(HoursError::Stale);
                    }
                    let current = in_force(writing.sql).await?;
                    let effect = store.effect(writing.sql, &current, &step, revision, now).await?;
                    keep(&mut writing, &current, &step, &by, now).await?;
                    for (callback, terms) in &effect.moved {
                        let line = effect.after.by_id(&callback.line);
                        callbacks::move_terms(&mut writing, callback, terms, line.calendar.time_zone(), &by, now)
                            .await?;
                    }
                    let detail = format!("{} → {}", versions(&effect.before), versions(&effect.after));
                    let detail = format!("{}; {detail}; due times moved: {}", told(&step), effect.moved.len());
                    audit::keep(&mut writing, &by, step.as_str(), "hours", &detail, &address, now);
                    Ok(effect)
                })
            })
            .await?;
        // It is kept: whoever made it is not told otherwise. The worker takes it up within a minute.
        if let Err(failed) = self.renew_lines().await {
            warn!(error = %failed, "Changed hours are kept but could not be taken up at once");
        }
        Ok(done)
    }

    /// All changes, newest first, at most `limit`, from before the row `before`.
    pub async fn hours_history(&self, before: Option<i64>, limit: u32) -> Result<Vec<HoursChange>> {
        let rows = sqlx::query(LIST_HOURS_HISTORY)
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    /// What is in force, newest first, with who made it; past closures too.
    pub async fn hours_in_force(&self) -> Result<Vec<HoursChange>> {
        let rows = rows_in_force(&mut *self.readers.acquire().await?).await?;
        rows.iter().map(read).collect()
    }

    async fn effect(
        &self,
        connection: &mut AnyConnection,
        current: &HoursChanges,
        step: &HoursStep,
        revision: i64,
        now: Timestamp,
    ) -> Result<HoursEffect, HoursError> {
        let lines = |hours: HoursChanges| self.lines.with(&Changes { hours, ..Changes::default() });
        let (before, after) = (lines(current.clone()), lines(current.after(step, now)?));
        let rows = sqlx::query(EVERYBODY_WHO_WAITS).bind(MOST_WAITING).fetch_all(&mut *connection).await?;
        let mut moved = Vec::new();
        for row in &rows {
            let callback = callbacks::read(row)?;
            let (was, will) = (before.by_id(&callback.line), after.by_id(&callback.line));
            if let Some(terms) = callback.moved(was, will, now) {
                moved.push((callback, terms));
            }
        }
        Ok(HoursEffect { before, after, moved, revision })
    }
}

/// The versions of all calendars, each once.
fn versions(lines: &Lines) -> String {
    let mut versions: Vec<&str> = lines.iter().map(|line| line.calendar.version()).collect();
    versions.dedup();
    versions.join(", ")
}

/// What a step changes, for the audit.
fn told(step: &HoursStep) -> String {
    let of = |line: &Option<LineId>| line.as_ref().map_or_else(|| "all lines".to_owned(), LineId::to_string);
    match step {
        HoursStep::Except(new) => {
            let shown = new.iter().take(20).map(|it| {
                format!("{} {}..{} {} «{}»", of(&it.line), it.from, it.to, mode_to_json(&it.mode), it.reason)
            });
            shown.collect::<Vec<_>>().join("; ")
        }
        HoursStep::EndExceptions(ids) => format!("ended {ids:?}"),
        HoursStep::Week { line, week } => format!("{} {}", of(line), week_to_json(week)),
        HoursStep::Close { line, until, reason } => format!("{} until {until} «{reason}»", of(line)),
        HoursStep::OpenAgain { id } => format!("closure {id}"),
        HoursStep::TakeData { set, .. } | HoursStep::TakeBuiltIn { set } => set.as_str().to_owned(),
    }
}

async fn keep(
    writing: &mut Writing<'_>,
    current: &HoursChanges,
    step: &HoursStep,
    by: &Actor,
    now: Timestamp,
) -> Result<()> {
    for id in current.replaced_by(step) {
        end(writing, id, by, now).await?;
    }
    match step {
        HoursStep::Except(new) => {
            for exception in new {
                insert(writing, &NewRow::of(exception), by, now).await?;
            }
        }
        HoursStep::EndExceptions(_) => {}
        HoursStep::Week { line, week } => {
            let row = NewRow { line: line.clone(), content: week_to_json(week).to_string(), ..NewRow::new("week") };
            insert(writing, &row, by, now).await?;
        }
        HoursStep::Close { line, until, reason } => {
            let row = NewRow {
                line: line.clone(),
                between: Some((now, *until)),
                reason: reason.clone(),
                ..NewRow::new("closure")
            };
            insert(writing, &row, by, now).await?;
        }
        HoursStep::OpenAgain { id } => end(writing, *id, by, now).await?,
        HoursStep::TakeData { set, text } => {
            end_data(writing, *set, by, now).await?;
            let row = NewRow { set: Some(*set), content: text.clone(), ..NewRow::new("data") };
            insert(writing, &row, by, now).await?;
        }
        HoursStep::TakeBuiltIn { set } => end_data(writing, *set, by, now).await?,
    }
    Ok(())
}

/// A row about to be written.
struct NewRow {
    kind: &'static str,
    line: Option<LineId>,
    dates: Option<(Date, Date)>,
    between: Option<(Timestamp, Timestamp)>,
    set: Option<DataSet>,
    content: String,
    reason: String,
}

impl NewRow {
    fn new(kind: &'static str) -> Self {
        Self { kind, line: None, dates: None, between: None, set: None, content: String::new(), reason: String::new() }
    }

    fn of(exception: &Exception) -> Self {
        Self {
            line: exception.line.clone(),
            dates: Some((exception.from, exception.to)),
            content: mode_to_json(&exception.mode).to_string(),
            reason: exception.reason.clone(),
            ..Self::new("exception")
        }
    }
}

async fn insert(writing: &mut Writing<'_>, row: &NewRow, by: &Actor, now: Timestamp) -> Result<()> {
    let id = writing.new_id(now);
    sqlx::query(KEEP_HOURS_CHANGE)
        .bind(id)
        .bind(row.kind)
        .bind(row.line.as_ref().map(LineId::to_string))
        .bind(row.dates.map(|(from, _)| from.to_string()))
        .bind(row.dates.map(|(_, to)| to.to_string()))
        .bind(row.between.map(|(start, _)| start.as_millisecond()))
        .bind(row.between.map(|(_, end)| end.as_millisecond()))
        .bind(row.set.map(DataSet::as_str))
        .bind(row.content.clone())
        .bind(row.reason.clone())
        .bind(now.as_millisecond())
        .bind(by.id.clone())
        .bind(by.name.clone())
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

async fn end(writing: &mut Writing<'_>, id: i64, by: &Actor, now: Timestamp) -> Result<()> {
    sqlx::query(END_HOURS_CHANGE)
        .bind(id)
        .bind(now.as_millisecond())
        .bind(by.id.clone())
        .bind(by.name.clone())
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

async fn end_data(writing: &mut Writing<'_>, set: DataSet, by: &Actor, now: Timestamp) -> Result<()> {
    sqlx::query(END_HOLIDAY_DATA)
        .bind(set.as_str())
        .bind(now.as_millisecond())
        .bind(by.id.clone())
        .bind(by.name.clone())
        .execute(&mut *writing.sql)
        .await?;
    Ok(())
}

async fn rows_in_force(connection: &mut AnyConnection) -> Result<Vec<AnyRow>> {
    let mut rows = sqlx::query(LIST_HOURS_IN_FORCE).bind(MOST_IN_FORCE).fetch_all(&mut *connection).await?;
    rows.extend(sqlx::query(LIST_CLOSURES).bind(MOST_CLOSURES).fetch_all(&mut *connection).await?);
    Ok(rows)
}

/// The changes in force, folded. A row that makes no sense is left out and told: one fault in the hours must not keep the
/// whole house from answering.
async fn in_force(connection: &mut AnyConnection) -> Result<HoursChanges> {
    folded(&rows_in_force(connection).await?, None)
}

/// The changes that were in force at `at`, as they were known then.
pub(super) async fn changes_at(connection: &mut AnyConnection, at: Timestamp) -> Result<HoursChanges> {
    let statements = [(LIST_HOURS_IN_FORCE_AT, MOST_IN_FORCE), (LIST_CLOSURES_MADE_BY, MOST_CLOSURES)];
    let mut rows = Vec::new();
    for (sql, most) in statements {
        rows.extend(sqlx::query(sql).bind(at.as_millisecond()).bind(most).fetch_all(&mut *connection).await?);
    }
    folded(&rows, Some(at))
}

/// `known_at`: what was ended later had not ended. `None`: now.
fn folded(rows: &[AnyRow], known_at: Option<Timestamp>) -> Result<HoursChanges> {
    let mut changes = HoursChanges::default();
    for row in rows {
        let HoursChange { id, what, line, reason, ended, .. } = match read(row) {
            Ok(change) => change,
            Err(failed) => {
                error!(error = %failed, "A change of the hours is not understood and does not hold");
                continue;
            }
        };
        match what {
            ChangedHours::Exception(exception) => changes.exceptions.push(exception),
            ChangedHours::Week(week) => changes.weeks.push(WeekChange { id, line, week }),
            ChangedHours::Closure(mut period) => {
                let ended = ended.filter(|(at, _)| known_at.is_none_or(|known_at| *at <= known_at));
                period.end = ended.map_or(period.end, |(at, _)| at.min(period.end));
                if period.start < period.end {
                    changes.closures.push((id, line, Closure { period, reason }));
                }
            }
            ChangedHours::Data(set) => {
                take_data(&mut changes, set, &Columns::of("hours_change", row).get::<String>("content")?)
            }
        }
    }
    // As they were made, so that equal changes give equal versions.
    changes.closures.reverse();
    Ok(changes)
}

/// A file that an older program does not understand must not keep callers from being answered: the program's own holds.
fn take_data(changes: &mut HoursChanges, set: DataSet, text: &str) {
    let data = changes.data.clone().unwrap_or_else(HolidayData::built_in);
    match data.with(set, text) {
        Ok(data) => changes.data = Some(data),
        Err(mistakes) => {
            warn!(set = set.as_str(), ?mistakes, "The stored holidays are not understood; the program's own hold")
        }
    }
}

fn read(row: &AnyRow) -> Result<HoursChange> {
    let columns = Columns::of("hours_change", row);
    let id = columns.get("id")?;
    let kind: String = columns.get("kind")?;
    let line = columns.get::<Option<String>>("line")?.map(|line| LineId::new(&line));
    let reason: String = columns.get("reason")?;
    let what = match kind.as_str() {
        "exception" => ChangedHours::Exception(Exception {
            id,
            line: line.clone(),
            from: columns.parsed("from_date", |text| text.parse().ok())?,
            to: columns.parsed("to_date", |text| text.parse().ok())?,
            mode: columns.parsed("content", mode_from_json)?,
            reason: reason.clone(),
        }),
        "week" => ChangedHours::Week(
            columns.parsed("content", |text| week_from_json(&serde_json::from_str::<Value>(text).ok()?).ok())?,
        ),
        "closure" => ChangedHours::Closure(Period { start: columns.time("starts_at")?, end: columns.time("ends_at")? }),
        "data" => ChangedHours::Data(
            columns.parsed("data_set", |text| DataSet::ALL.into_iter().find(|set| set.as_str() == text))?,
        ),
        _ => return Err(columns.corrupt("kind")),
    };
    let ended_by = columns.get::<Option<String>>("ended_by_name")?.unwrap_or_default();
    Ok(HoursChange {
        id,
        what,
        line,
        reason,
        made_at: columns.time("made_at")?,
        by: Actor { id: columns.get("actor_id")?, name: columns.get("actor_name")? },
        ended: columns.optional_time("ended_at")?.map(|at| (at, ended_by)),
    })
}

fn mode_to_json(mode: &ExceptionMode) -> Value {
    let texts = |hours: &[Interval]| hours.iter().map(Interval::to_string).collect::<Vec<_>>();
    match mode {
        ExceptionMode::Rule => json!({"mode": "rule"}),
        ExceptionMode::Closed => json!({"mode": "closed"}),
        ExceptionMode::Worked => json!({"mode": "worked"}),
        ExceptionMode::Open(hours) => json!({"mode": "open", "hours": texts(hours)}),
        ExceptionMode::Hours(hours) => json!({"mode": "hours", "hours": texts(hours)}),
    }
}

fn mode_from_json(text: &str) -> Option<ExceptionMode> {
    let value: Value = serde_json::from_str(text).ok()?;
    let hours = || -> Option<Vec<Interval>> {
        value.get("hours")?.as_array()?.iter().map(|text| text.as_str()?.parse().ok()).collect()
    };
    match value.get("mode")?.as_str()? {
        "rule" => Some(ExceptionMode::Rule),
        "closed" => Some(ExceptionMode::Closed),
        "worked" => Some(ExceptionMode::Worked),
        "open" => hours().map(ExceptionMode::Open),
        "hours" => hours().map(ExceptionMode::Hours),
        _ => None,
    }
}

statements! {
    LIST_HOURS_IN_FORCE = "
        SELECT * FROM hours_change
        WHERE ended_at IS NULL AND kind <> 'closure'
        ORDER BY id DESC
        LIMIT $1";
    LIST_CLOSURES = "
        SELECT * FROM hours_change
        WHERE kind = 'closure'
        ORDER BY id DESC
        LIMIT $1";
    LIST_HOURS_IN_FORCE_AT = "
        SELECT * FROM hours_change
        WHERE kind <> 'closure' AND made_at <= $1 AND (ended_at IS NULL OR ended_at > $1)
        ORDER BY id DESC
        LIMIT $2";
    LIST_CLOSURES_MADE_BY = "
        SELECT * FROM hours_change
        WHERE kind = 'closure' AND made_at <= $1
        ORDER BY id DESC
        LIMIT $2";
    LIST_HOURS_HISTORY = "SELECT * FROM hours_change WHERE id < $1 ORDER BY id DESC LIMIT $2";
    KEEP_HOURS_CHANGE = "
        INSERT INTO hours_change (id, kind, line, from_date, to_date, starts_at, ends_at, data_set, content, reason,
            made_at, actor_id, actor_name)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    END_HOURS_CHANGE = "
        UPDATE hours_change SET ended_at = $2, ended_by_id = $3, ended_by_name = $4
        WHERE id = $1 AND ended_at IS NULL";
    END_HOLIDAY_DATA = "
        UPDATE hours_change SET ended_at = $2, ended_by_id = $3, ended_by_name = $4
        WHERE kind = 'data' AND data_set = $1 AND ended_at IS NULL";
    READ_REVISION = "SELECT value FROM meta WHERE key = 'hours_revision'";
    /// Counts the change, and lets nobody else change the hours until the transaction ends.
    HOLD_REVISION = "
        INSERT INTO meta (key, value) VALUES ('hours_revision', '1')
        ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)
        RETURNING CAST(value AS BIGINT)";
    /// All of the partial index, for a change of the hours concerns everybody in it.
    EVERYBODY_WHO_WAITS = "
        SELECT * FROM callback
        WHERE closed_at IS NULL
        ORDER BY due_at, received_at, id
        LIMIT $1";
}
