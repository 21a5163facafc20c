//! Calls that an exchange places for officers: asked for in the commit that claims, sent once, and their end written into
//! the callback as the officer's own attempt.

use sqlx::any::AnyRow;

use super::callbacks::{hold, keep_step};
use super::desk::{ActError, act};
use super::jobs::{self, JobKind};
use super::siblings::lock_number;
use super::sql::{Columns, statements};
use super::writer::Writing;
use super::{Result, Store, StoreError, alarms, audit, calls};
use crate::core::callback::{Action, AttemptOutcome, Callback, HistoryEntry, Notes, Refusal, State};
use crate::core::dialing::DialingRules;
use crate::core::line::Lines;
use crate::core::officer::Actor;
use crate::core::phone::{PhoneNumber, Telephone};
use crate::core::placed_call::{Ending, provider_call_id};
use crate::time::{SignedDuration, Timestamp, elapsed_ms};

/// A call that was asked for rings within this time or not at all: nobody's telephone rings out of the blue because
/// the service was away.
pub const RING_WITHIN: SignedDuration = SignedDuration::from_secs(20);

/// The time in which calls are counted against `[dialing] max_calls_per_hour`.
const LIMIT_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// With what an officer dials.
#[derive(Clone, Debug)]
pub struct Dialling {
    pub telephone: Telephone,
    /// The configured name of the exchange.
    pub provider: String,
}

/// A call placed for an officer.
#[derive(Clone, Debug)]
pub struct PlacedCall {
    pub id: i64,
    pub callback_id: i64,
    pub by: Actor,
    pub telephone: Telephone,
    pub number: PhoneNumber,
    pub line_number: PhoneNumber,
    pub provider: String,
    pub asked_at: Timestamp,
    /// Set before the request goes out.
    pub placed_at: Option<Timestamp>,
    /// The officer has taken up the receiver.
    pub answered_at: Option<Timestamp>,
    /// His telephone is free again.
    pub over_at: Option<Timestamp>,
    pub ending: Option<Ending>,
    pub talk_seconds: Option<i64>,
}

impl Store {
    /// «Беру и звоню» for an officer with a telephone: claims, writes the attempt down and has the exchange ring, in one
    /// commit. While a call of this officer or of this callback goes on, no other is placed: [`ActError::AlreadyCalling`].
    /// Where there is no number to dial or to show, it is the same as [`Action::Dial`]. `confirmed`: the officer goes on
    /// though a colleague holds the same number on another line.
    ///
    /// # Errors
    /// Whoever asks and whatever was confirmed: a number, or a telephone, that is not allowed
    /// ([`Refusal::NumberNotAllowed`]), and a call above the limit of the hour ([`ActError::TooManyCalls`]) are not dialed.
    #[expect(clippy::too_many_arguments, reason = "as for any action, and with what is dialled")]
    pub async fn dial(
        &self,
        id: i64,
        version: i64,
        with: Dialling,
        confirmed: bool,
        by: &Actor,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<Callback, ActError> {
        self.check_callback(id).await?;
        let (by, lines) = (by.clone(), lines.clone());
        self.write(move |mut writing| {
            Box::pin(async move {
                lock_number(writing.sql, id).await?;
                let callback = hold(writing.sql, id).await?.ok_or(ActError::NotFound(id))?;
                for placed in going_on(&mut writing, id, &by).await? {
                    if placed.placed_at.is_some() || elapsed_ms(placed.asked_at, now) < RING_WITHIN.as_millis() as i64 {
                        return Err(ActError::AlreadyCalling(Box::new(placed)));
                    }
                    end(&mut writing, placed, Ending::OutOfReach, None, &lines, now).await?;
                }
                if version != callback.version {
                    return Err(ActError::Stale(Box::new(callback)));
                }
                let is_allowed = callback.number_to_dial().is_none_or(|number| lines.dialing.allows(number));
                if !is_allowed || !lines.dialing.allows_telephone(&with.telephone) {
                    return Err(Refusal::NumberNotAllowed.into());
                }
                let action = if confirmed { Action::Confirmed(Box::new(Action::Dial)) } else { Action::Dial };
                let callback = act(&mut writing, callback, &action, Notes::default(), &by, &lines, now).await?;
                let line_number = &lines.by_id(&callback.line).number;
                if let (Some(number), Some(line_number)) = (callback.number_to_dial(), line_number) {
                    count_against_limit(&mut writing, &lines.dialing, now).await?;
                    let placed = writing.new_id(now);
                    let asked = sqlx::query(ASK_FOR_CALL)
                        .bind(placed)
                        .bind(id)
                        .bind(by.id.clone())
                        .bind(by.name.clone())
                        .bind(with.telephone.to_string())
                        .bind(number.e164().to_owned())
                        .bind(line_number.e164().to_owned())
                        .bind(with.provider)
                        .bind(now.as_millisecond())
                        .execute(&mut *writing.sql)
                        .await?;
                    if asked.rows_affected() == 0 {
                        // Another house was faster with this officer's next call.
                        let other = going_on(&mut writing, id, &by).await?.into_iter().next();
                        return Err(other.map_or(ActError::NotFound(id), |it| ActError::AlreadyCalling(Box::new(it))));
                    }
                    let job = writing.new_id(now);
                    jobs::plan_one(writing.sql, job, JobKind::PlaceCall, placed, now).await?;
                }
                Ok(callback)
            })
        })
        .await
    }

    /// Whether as many calls were placed within the last hour as may be.
    pub async fn has_reached_call_limit(&self, rules: &DialingRules, now: Timestamp) -> Result<bool> {
        let placed = sqlx::query_scalar(COUNT_SINCE).bind(window_start_ms(now)).fetch_one(&self.readers).await?;
        Ok(i64::from(rules.max_calls_per_hour) <= placed)
    }

    pub async fn placed_call(&self, id: i64) -> Result<Option<PlacedCall>> {
        let row = sqlx::query(READ_PLACED_CALL).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest call that was placed for this officer about this callback.
    pub async fn newest_placed_call(&self, callback_id: i64, by: &Actor) -> Result<Option<PlacedCall>> {
        let query = sqlx::query(NEWEST_OF_CALLBACK).bind(callback_id).bind(by.id.clone());
        query.fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    /// Marks that the one request goes out. `None`: it went out before, or is not wanted any more.
    pub async fn call_goes_out(&self, id: i64, now: Timestamp) -> Result<Option<PlacedCall>> {
        self.write(move |writing| {
            Box::pin(async move {
                let marked = sqlx::query(MARK_PLACED).bind(id).bind(now.as_millisecond());
                marked.fetch_optional(writing.sql).await?.as_ref().map(read).transpose()
            })
        })
        .await
    }

    /// The officer has taken up the receiver.
    pub async fn call_answered(&self, id: i64, now: Timestamp) -> Result<()> {
        self.mark(MARK_ANSWERED, id, now).await
    }

    /// The exchange does not know the call any more: the officer's telephone is free.
    pub async fn call_over(&self, id: i64, now: Timestamp) -> Result<()> {
        self.mark(MARK_OVER, id, now).await
    }

    async fn mark(&self, statement: &'static str, id: i64, now: Timestamp) -> Result<()> {
        self.write(move |mut writing| {
            Box::pin(async move {
                writing.touches_the_list();
                sqlx::query(statement).bind(id).bind(now.as_millisecond()).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Writes down how a placed call ended: as the exchange told it, whenever it did; else `otherwise`. Doing it again
    /// changes nothing.
    pub async fn end_call(
        &self,
        id: i64,
        otherwise: Option<Ending>,
        lines: &Lines,
        now: Timestamp,
    ) -> Result<(), ActError> {
        let lines = lines.clone();
        self.write(move |mut writing| {
            Box::pin(async move {
                let held = sqlx::query(HOLD_PLACED_CALL).bind(id).fetch_optional(&mut *writing.sql).await?;
                let Some(placed) = held.as_ref().map(read).transpose()? else { return Ok(()) };
                let told = sqlx::query(CALL_OF_EXCHANGE)
                    .bind(placed.provider.clone())
                    .bind(provider_call_id(id))
                    .fetch_optional(&mut *writing.sql)
                    .await?;
                let call = told.as_ref().map(calls::read).transpose()?;
                let told = call.as_ref().and_then(Ending::told);
                let talk_seconds = call.and_then(|call| call.talk_seconds).map(i64::from);
                match (told, otherwise, placed.ending) {
                    (Some(told), _, known) if known.is_none_or(|known| known != told && !was_told(known)) => {
                        end(&mut writing, placed, told, talk_seconds, &lines, now).await
                    }
                    (None, Some(ending), None) => end(&mut writing, placed, ending, None, &lines, now).await,
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}

fn window_start_ms(now: Timestamp) -> i64 {
    now.as_millisecond() - LIMIT_WINDOW.as_millis() as i64
}

/// Refuses the call above the limit, and raises the alarm with the last one below it. Instances queue here: SQLite has one
/// writer, PostgreSQL the row of a lock that is taken after those of numbers and callbacks.
async fn count_against_limit(writing: &mut Writing<'_>, rules: &DialingRules, now: Timestamp) -> Result<(), ActError> {
    if writing.sql.backend_name() != "SQLite" {
        sqlx::query(LOCK_LIMIT).execute(&mut *writing.sql).await?;
    }
    let max = i64::from(rules.max_calls_per_hour);
    let placed: i64 = sqlx::query_scalar(COUNT_SINCE).bind(window_start_ms(now)).fetch_one(&mut *writing.sql).await?;
    if placed >= max {
        return Err(ActError::TooManyCalls { max: rules.max_calls_per_hour });
    }
    if placed + 1 == max {
        let text = format!(
            "За час АТС позвонила столько раз, сколько разрешено (dialing.max_calls_per_hour = {max}), и пока больше не \
             звонит. Если это не ваши сотрудники, посмотрите «Историю» и смените пароли."
        );
        let id = writing.new_id(now);
        alarms::raise(writing.sql, id, "calls_per_hour", "", &text, now).await?;
    }
    Ok(())
}

/// Whether only the exchange itself can have told this.
fn was_told(ending: Ending) -> bool {
    matches!(ending, Ending::Talked | Ending::Busy | Ending::NoAnswer | Ending::GaveUp | Ending::NotConnected)
}

/// Calls of this officer or of this callback that are not over, the callback's first.
async fn going_on(writing: &mut Writing<'_>, callback_id: i64, by: &Actor) -> Result<Vec<PlacedCall>> {
    let query = sqlx::query(GOING_ON).bind(callback_id).bind(by.id.clone());
    query.fetch_all(&mut *writing.sql).await?.iter().map(read).collect()
}

async fn end(
    writing: &mut Writing<'_>,
    placed: PlacedCall,
    ending: Ending,
    talk_seconds: Option<i64>,
    lines: &Lines,
    now: Timestamp,
) -> Result<(), ActError> {
    writing.touches_the_list();
    sqlx::query(END_PLACED_CALL)
        .bind(placed.id)
        .bind(now.as_millisecond())
        .bind(ending.as_str())
        .bind(talk_seconds)
        .execute(&mut *writing.sql)
        .await?;
    lock_number(writing.sql, placed.callback_id).await?;
    let Some(callback) = hold(writing.sql, placed.callback_id).await? else { return Ok(()) };
    let own = |statement| sqlx::query(statement).bind(placed.callback_id).bind(placed.by.id.clone()).bind(placed.id);
    if placed.ending.is_some_and(Ending::never_came_to_the_caller) {
        // The exchange told late, and better.
        own(RETRACT_NOT_CALLED).bind(now.as_millisecond()).execute(&mut *writing.sql).await?;
    }
    if own(OWN_WORD).fetch_optional(&mut *writing.sql).await?.is_some() {
        return Ok(());
    }
    if let Some(outcome) = ending.attempt() {
        return attempt(writing, &placed, callback, outcome, talk_seconds, lines, now).await;
    }
    if ending.never_came_to_the_caller() {
        // What is left of the dialling is that he took the entry.
        own(FORGET_DIALLING).execute(&mut *writing.sql).await?;
        fact(writing, &placed, &callback, "not_called", ending.as_str(), String::new(), now).await?;
    }
    Ok(())
}

/// The attempt of the officer for whom it was placed. Nobody answered: the same as his «Не дозвонились», as long as he has
/// the entry in hand. A talk closes nothing.
async fn attempt(
    writing: &mut Writing<'_>,
    placed: &PlacedCall,
    callback: Callback,
    outcome: AttemptOutcome,
    talk_seconds: Option<i64>,
    lines: &Lines,
    now: Timestamp,
) -> Result<(), ActError> {
    let newer =
        sqlx::query(ANY_NEWER).bind(placed.callback_id).bind(placed.id).fetch_optional(&mut *writing.sql).await?;
    let in_hand = matches!(&callback.desk.state, State::Claimed { by, .. } if by.id == placed.by.id);
    if outcome != AttemptOutcome::Reached && in_hand && newer.is_none() {
        let action = Action::Attempt { outcome, note: String::new(), next_at: None };
        match act(writing, callback.clone(), &action, Notes::default(), &placed.by, lines, now).await {
            Err(ActError::Refused(_)) => {}
            done => return done.map(drop),
        }
    }
    let note = talk_seconds.map_or_else(String::new, |it| format!("{}:{:02}", it / 60, it % 60));
    fact(writing, placed, &callback, "attempt", outcome.as_str(), note, now).await?;
    Ok(())
}

/// A line of the history that leaves the desk, and everybody's page, as it is.
async fn fact(
    writing: &mut Writing<'_>,
    placed: &PlacedCall,
    callback: &Callback,
    kind: &'static str,
    outcome: &'static str,
    note: String,
    now: Timestamp,
) -> Result<()> {
    let object = format!("callback {}", callback.id);
    audit::keep(writing, &placed.by, kind, &object, outcome, "", now);
    let before = callback.desk.clone();
    let entry = HistoryEntry { at: now, by: placed.by.clone(), kind, outcome: Some(outcome), note, before };
    keep_step(writing, callback.id, &entry, None).await
}

fn read(row: &AnyRow) -> Result<PlacedCall> {
    let columns = Columns::of("placed_call", row);
    let number = PhoneNumber::stored;
    Ok(PlacedCall {
        id: columns.get("id")?,
        callback_id: columns.get("callback_id")?,
        by: Actor { id: columns.get("actor_id")?, name: columns.get("actor_name")? },
        telephone: columns.parsed("telephone", |text| Telephone::parse(text).ok())?,
        number: columns.parsed("number", number)?,
        line_number: columns.parsed("line_number", number)?,
        provider: columns.get("provider")?,
        asked_at: columns.time("asked_at")?,
        placed_at: columns.optional_time("placed_at")?,
        answered_at: columns.optional_time("answered_at")?,
        over_at: columns.optional_time("over_at")?,
        ending: columns.optional_parsed("ending", |text| Ending::ALL.into_iter().find(|it| it.as_str() == text))?,
        talk_seconds: columns.get("talk_seconds")?,
    })
}

statements! {
    GOING_ON = "
        SELECT * FROM placed_call
        WHERE over_at IS NULL AND (callback_id = $1 OR actor_id = $2)
        ORDER BY CASE WHEN callback_id = $1 THEN 0 ELSE 1 END, id
        LIMIT 2";
    ASK_FOR_CALL = "
        INSERT INTO placed_call (id, callback_id, actor_id, actor_name, telephone, number, line_number, provider, asked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT DO NOTHING";
    COUNT_SINCE = "SELECT COUNT(*) FROM placed_call WHERE asked_at > $1";
    LOCK_LIMIT = "
        INSERT INTO number_lock (tail) VALUES ('limit') ON CONFLICT (tail) DO UPDATE SET tail = excluded.tail";
    READ_PLACED_CALL = "SELECT * FROM placed_call WHERE id = $1";
    HOLD_PLACED_CALL = "UPDATE placed_call SET id = id WHERE id = $1 RETURNING *";
    NEWEST_OF_CALLBACK = "
        SELECT * FROM placed_call
        WHERE callback_id = $1 AND actor_id = $2
        ORDER BY id DESC
        LIMIT 1";
    ANY_NEWER = "SELECT id FROM placed_call WHERE callback_id = $1 AND id > $2 LIMIT 1";
    MARK_PLACED = "
        UPDATE placed_call SET placed_at = $2
        WHERE id = $1 AND placed_at IS NULL AND over_at IS NULL
        RETURNING *";
    MARK_ANSWERED = "UPDATE placed_call SET answered_at = $2 WHERE id = $1 AND answered_at IS NULL AND over_at IS NULL";
    MARK_OVER = "UPDATE placed_call SET over_at = $2 WHERE id = $1 AND over_at IS NULL";
    END_PLACED_CALL = "
        UPDATE placed_call SET over_at = COALESCE(over_at, $2), ending = $3, talk_seconds = $4
        WHERE id = $1";
    CALL_OF_EXCHANGE = "
        SELECT call.* FROM call_key
        JOIN call ON call.id = call_key.call_id
        WHERE call_key.provider = $1 AND call_key.provider_call_id = $2";
    /// What the officer has said since, and not taken back: how it went, or that it is no longer his.
    OWN_WORD = "
        SELECT id FROM callback_history
        WHERE callback_id = $1 AND actor_id = $2 AND id > $3 AND undone_at IS NULL
          AND kind IN ('attempt', 'done', 'later', 'clarify', 'exceptional', 'decline', 'release', 'hand_over')
        LIMIT 1";
    FORGET_DIALLING = "
        UPDATE callback_history SET kind = 'claim'
        WHERE id = (
            SELECT MAX(id) FROM callback_history
            WHERE callback_id = $1 AND actor_id = $2 AND id < $3 AND kind = 'dial')";
    RETRACT_NOT_CALLED = "
        UPDATE callback_history SET undone_at = $4
        WHERE id = (
            SELECT MIN(id) FROM callback_history
            WHERE callback_id = $1 AND actor_id = $2 AND id > $3 AND kind = 'not_called' AND undone_at IS NULL)";
}
