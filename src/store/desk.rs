//! The officers' desk: each action holds the row first, asks `core`, and writes row, history and audit in one commit.

use sqlx::Row;

use super::callbacks::{Undoable, hold, save};
use super::openings::{Opening, open_or_join, term_due_at};
use super::placed_calls::PlacedCall;
use super::siblings::{self, lock_number, siblings_of};
use super::sql::{Columns, statements};
use super::writer::{WriteError, Writing};
use super::{Result, Store, StoreError, limited};
use crate::core::callback::{Action, Bench, Callback, Channel, HistoryEntry, Notes, Refusal};
use crate::core::line::{LineId, Lines};
use crate::core::line_scope::LineScope;
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::time::Timestamp;

/// Why an officer's action changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ActError {
    #[error("there is no callback {0}")]
    NotFound(i64),
    /// The officer saw an older state; the present one is here.
    #[error("the callback has changed meanwhile (version {})", .0.version)]
    Stale(Box<Callback>),
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Reopening or undoing would make two open callbacks of one number.
    #[error("another callback of this number is open already")]
    AnotherOpen,
    /// The last step of this callback was not yours, or cannot be taken back.
    #[error("there is nothing of yours to undo here")]
    NothingToUndo,
    /// Somebody else has gone on from there; the present state is here.
    #[error("somebody has gone on with the callback (version {})", .0.version)]
    GoneOn(Box<Callback>),
    /// A call that was placed before goes on: nothing rings twice.
    #[error("a call goes on already")]
    AlreadyCalling(Box<PlacedCall>),
    /// Exchanges have placed as many calls within the last hour as `[dialing] max_calls_per_hour` lets them.
    #[error("{max} calls were placed within the last hour, which is the limit")]
    TooManyCalls { max: u32 },
    #[error("nobody waits")]
    NobodyWaits,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError for ActError {
    fn as_store_error(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl From<sqlx::Error> for ActError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A request that came in another way than by telephone (R13).
#[derive(Clone, Debug)]
pub struct NewCallback {
    pub line: LineId,
    pub callback_number: Option<PhoneNumber>,
    pub channel: Channel,
    pub notes: Notes,
}

impl Store {
    /// One action of an officer. `version`: the one the officer saw; `None` takes whatever is there.
    #[expect(
        clippy::too_many_arguments,
        reason = "who does what to which, seen how, by which rules, when: none is optional"
    )]
    pub async fn act(
        &self,
        id: i64,
        version: Option<i64>,
        action: Action,
        notes: Notes,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        self.check_callback(id).await?;
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let callback = hold_seen(&mut writing, id, version).await?;
                act(&mut writing, callback, &action, notes, &by, &lines, now).await
            })
        })
        .await
    }

    /// Gives a callback the outcome that another line proposes. What the officer noted stands in the place of the note there;
    /// the callback refers to the other one.
    pub async fn accept_proposed_outcome(
        &self,
        id: i64,
        version: Option<i64>,
        note: Option<String>,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        self.check_callback(id).await?;
        let (by, lines, scope) = (by.clone(), lines.clone(), self.scope.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let callback = hold_seen(&mut writing, id, version).await?;
                let (action, notes) = proposed_step(&mut writing, &callback, &scope, note, now).await?;
                act(&mut writing, callback, &action, notes, &by, &lines, now).await
            })
        })
        .await
    }

    /// Claims the next one nobody holds: overdue first, then by due time, then oldest (R10); those who got through in
    /// another way come last, for they only have to be closed, and so do those to whom another line proposes its outcome. What
    /// is put off waits until its time. Whom a colleague calls on another line is handed to nobody (R26).
    pub async fn claim_next(
        &self,
        line: Option<LineId>,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        let asked_lines = self.asked_lines(line.as_ref())?;
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                loop {
                    let found = sqlx::query(FIND_NEXT)
                        .bind(now.as_millisecond())
                        .bind(asked_lines.clone())
                        .bind(by.id.clone())
                        .fetch_optional(&mut *writing.sql)
                        .await?;
                    let id: i64 = found.ok_or(ActError::NobodyWaits)?.try_get("id")?;
                    lock_number(writing.sql, id).await?;
                    let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                    match act(&mut writing, callback, &Action::Claim, Notes::default(), &by, &lines, now).await {
                        // Taken between finding and holding, by another instance: look again.
                        Err(ActError::Refused(_)) => continue,
                        claimed => return claimed,
                    }
                }
            })
        })
        .await
    }

    /// Registers a request that came in another way. Joins the open callback of the same line and number, if any.
    pub async fn register_by_hand(
        &self,
        new: NewCallback,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        self.check_line(Some(&new.line))?;
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                let line = lines.by_id(&new.line);
                let opening = Opening {
                    id: writing.new_id(now),
                    line: new.line.clone(),
                    caller: new.callback_number.clone(),
                    callback_number: new.callback_number,
                    channel: new.channel,
                    received_at: now,
                    period: line.calendar.period_at(now).or_else(|| line.calendar.next_period(now)),
                    term_due_at: term_due_at(line, now),
                };
                let own_id = opening.id;
                let number = opening.callback_number.iter().map(|number| number.e164().to_owned()).collect();
                siblings::lock_numbers(writing.sql, number).await?;
                let id = open_or_join(writing.sql, &[opening]).await?[0];
                let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                let is_held = callback.desk.state.holder(now).is_some_and(|holder| holder.id != by.id);
                let mut notes = new.notes;
                if id != own_id {
                    let told = [Some(new.channel.title().to_owned()), notes.remark.filter(|remark| !remark.is_empty())];
                    let known = &callback.desk.notes;
                    let also = notes.summary.take_if(|summary| known.summary.as_ref().is_some_and(|it| it != summary));
                    notes.remark = Some(told.into_iter().flatten().chain(also).collect::<Vec<_>>().join(": "));
                }
                match is_held {
                    false => act(&mut writing, callback, &Action::Describe, notes, &by, &lines, now).await,
                    true => join_by_hand(&mut writing, callback, &notes, &by, now).await,
                }
            })
        })
        .await
    }
}

impl Store {
    /// The machine's clock was set on or back by `by_ms`: claims that were alive at `before` (its old time) are moved
    /// along, so that an officer who is on the telephone keeps what he holds.
    pub async fn move_leases(&self, by_ms: i64, before: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_the_list();
                sqlx::query(MOVE_LEASES).bind(by_ms).bind(before.as_millisecond()).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }
}

/// A request that joins what a colleague holds is written into the history: nothing told is lost, and his desk stays as
/// it is.
async fn join_by_hand(
    writing: &mut Writing<'_>,
    callback: Callback,
    notes: &Notes,
    by: &Actor,
    now: Timestamp,
) -> Result<Callback, ActError> {
    let told = [notes.remark.as_deref(), notes.summary.as_deref()];
    let entry = HistoryEntry {
        at: now,
        by: by.clone(),
        kind: "joined",
        outcome: None,
        note: told.into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": "),
        before: callback.desk.clone(),
    };
    keep(writing, callback, &entry, None).await
}

/// The action on a held callback: decided by `core`, registered, written, with history and audit.
pub(super) async fn act(
    writing: &mut Writing<'_>,
    mut callback: Callback,
    action: &Action,
    notes: Notes,
    by: &Actor,
    lines: &Lines,
    now: Timestamp,
) -> Result<Callback, ActError> {
    let line = lines.by_id(&callback.line);
    let mut bench = Bench {
        now,
        by,
        calendar: &line.calendar,
        vain_attempts: 0,
        vain_on_two_days: false,
        regulation_reasons: lines.regulation_reasons,
        dialing: &lines.dialing,
        siblings: &[],
    };
    let siblings;
    if action.depends_on_siblings() {
        siblings = siblings_of(writing.sql, std::slice::from_ref(&callback)).await?.remove(&callback.id);
        bench.siblings = siblings.as_deref().unwrap_or_default();
    } else {
        let query = sqlx::query(COUNT_VAIN_ATTEMPTS).bind(callback.id).bind(callback.proposed_callback_id);
        let vain = query.fetch_one(&mut *writing.sql).await?;
        let vain = Columns::of("callback_history", &vain);
        let day = |column| -> Result<_> {
            let at = vain.optional_time(column)?;
            Ok(at.map(|at| at.to_zoned(line.calendar.time_zone().clone()).date()))
        };
        bench.vain_attempts = vain.get::<i64>("number")?.try_into().unwrap_or(0);
        bench.vain_on_two_days = day("first_at")? != day("last_at")?;
    }
    let (seen, proposed) = (callback.version, callback.proposed_call_id);
    let proposed_outcome = callback.proposed_callback_id;
    let entry = callback.act(action, notes, &bench)?;
    if callback.registration_number.is_none() && callback.registered_at.is_some() {
        let year = i64::from(now.to_zoned(line.calendar.time_zone().clone()).year());
        let number: i64 = sqlx::query(NEXT_REGISTRATION).bind(year).fetch_one(&mut *writing.sql).await?.try_get(0)?;
        callback.registration_number = Some(format!("{year}-{number:06}"));
    }
    // A renewed lease is no step of its own: undo goes back to what the officer did before it.
    let is_step = callback.version > seen;
    let dropped_proposal = proposed.filter(|_| callback.proposed_call_id.is_none());
    let dropped_outcome = proposed_outcome.filter(|_| callback.proposed_callback_id.is_none());
    let undoable = is_step.then(|| Undoable { desk: entry.before.clone(), dropped_proposal, dropped_outcome });
    siblings::follow(writing, &callback, &entry.before.state, now).await?;
    keep(writing, callback, &entry, undoable).await
}

/// Locks the number and the callback. The officer's page has to show its present version.
async fn hold_seen(writing: &mut Writing<'_>, id: i64, version: Option<i64>) -> Result<Callback, ActError> {
    lock_number(writing.sql, id).await?;
    let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
    if version.is_some_and(|version| version != callback.version) {
        return Err(ActError::Stale(Box::new(callback)));
    }
    Ok(callback)
}

/// The step that gives this callback the outcome of the other line.
async fn proposed_step(
    writing: &mut Writing<'_>,
    callback: &Callback,
    scope: &LineScope,
    typed: Option<String>,
    now: Timestamp,
) -> Result<(Action, Notes), ActError> {
    let mut outcomes = siblings::proposed_outcomes(writing.sql, std::slice::from_ref(callback)).await?;
    outcomes.values_mut().for_each(|source| limited::shorten(scope, source));
    let source = callback.proposed_callback_id.and_then(|id| outcomes.get(&id));
    let (action, source) = source
        .and_then(|source| Some((source.outcome_for_siblings(now)?, source)))
        .ok_or(ActError::Refused(Refusal::NothingProposed))?;
    let action = match typed.filter(|typed| !typed.is_empty()) {
        Some(typed) => action.with_note(typed),
        None => action,
    };
    let there = source.desk.notes.reference.clone().or_else(|| source.registration_number.clone());
    let reference = there.filter(|_| callback.desk.notes.reference.is_none());
    Ok((action, Notes { reference, ..Notes::default() }))
}

/// Writes the step; two open callbacks of one number are refused.
pub(super) async fn keep(
    writing: &mut Writing<'_>,
    callback: Callback,
    entry: &HistoryEntry,
    undoable: Option<Undoable>,
) -> Result<Callback, ActError> {
    match save(writing, &callback, entry, undoable.as_ref()).await? {
        true => Ok(callback),
        false => Err(ActError::AnotherOpen),
    }
}

statements! {
    /// Attempts of the callback whose outcome is proposed here went to the same number.
    COUNT_VAIN_ATTEMPTS = "
        SELECT COUNT(*) AS number, MIN(at) AS first_at, MAX(at) AS last_at FROM callback_history
        WHERE callback_id IN ($1, $2) AND kind = 'attempt' AND outcome <> 'reached' AND undone_at IS NULL";
    NEXT_REGISTRATION = "
        INSERT INTO registration (year, last_number) VALUES ($1, 1)
        ON CONFLICT (year) DO UPDATE SET last_number = registration.last_number + 1
        RETURNING last_number";
    MOVE_LEASES = "
        UPDATE callback SET until_at = until_at + $1
        WHERE closed_at IS NULL AND state = 'claimed' AND until_at > $2";
    FIND_NEXT = "
        SELECT id FROM callback
        WHERE closed_at IS NULL
          AND (CAST($2 AS TEXT) IS NULL OR REPLACE($2, ',' || line || ',', '') <> $2)
          AND (state = 'open' OR (state = 'later' AND until_at <= $1)
               OR (state = 'claimed' AND (until_at <= $1 OR actor_id = $3)))
          AND NOT EXISTS (
              SELECT 1 FROM callback AS sibling
              LEFT JOIN placed_call AS placed ON placed.callback_id = sibling.id AND placed.over_at IS NULL
              WHERE sibling.callback_number = callback.callback_number AND sibling.closed_at IS NULL
                AND sibling.id <> callback.id
                AND (placed.actor_id <> $3
                     OR (sibling.state = 'claimed' AND sibling.until_at > $1 AND sibling.actor_id <> $3)))
        ORDER BY
            CASE
                WHEN proposed_call_id IS NOT NULL THEN 1
                WHEN EXISTS (
                    SELECT 1 FROM callback AS source
                    WHERE source.id = callback.proposed_callback_id
                      AND (source.closed_at IS NOT NULL OR (source.state = 'later' AND source.until_at > $1))) THEN 1
                ELSE 0
            END,
            due_at, received_at, id
        LIMIT 1";
}
