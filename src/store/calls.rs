//! Calls: their row and the words of its columns, one call with its events.

use std::str::FromStr;

use sqlx::any::AnyRow;

use super::sql::{Column, Columns, ManyRows, Params, statements};
use super::{Result, Store, StoreError, Voicemail, ids, voicemails};
use crate::core::calendar::{DayRule, Period, TimeState};
use crate::core::call::{Call, CallKey, Decision, Direction, Ringing};
use crate::core::line::LineId;
use crate::core::phone::{Caller, PhoneNumber};
use crate::time::{SignedDuration, Timestamp};

/// A call with all that was kept of it.
#[derive(Clone, Debug)]
pub struct CallView {
    pub call: Call,
    pub voicemails: Vec<Voicemail>,
    pub deliveries: Vec<KeptDelivery>,
}

/// A webhook as it was kept.
#[derive(Clone, Debug)]
pub struct KeptDelivery {
    pub id: i64,
    pub endpoint: String,
    pub received_at: Timestamp,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Store {
    pub async fn call(&self, id: i64) -> Result<Option<CallView>> {
        let mut connection = self.readers.acquire().await?;
        let Some(row) = sqlx::query(READ_CALL).bind(id).fetch_optional(&mut *connection).await? else {
            return Ok(None);
        };
        let call = read(&row)?;
        self.check_line(call.line.as_ref())?;
        let rows = sqlx::query(DELIVERIES_OF_CALL).bind(id).fetch_all(&mut *connection).await?;
        let deliveries = rows
            .iter()
            .map(|row| {
                let columns = Columns::of("delivery", row);
                Ok(KeptDelivery {
                    id: columns.get("id")?,
                    endpoint: columns.get("endpoint")?,
                    received_at: columns.time("received_at")?,
                    content_type: columns.get("content_type")?,
                    body: columns.get("body")?,
                })
            })
            .collect::<Result<_>>()?;
        let voicemails = voicemails::of_calls(&mut connection, &[id]).await?;
        Ok(Some(CallView { call, voicemails, deliveries }))
    }

    /// Forgets which call a provider's id means once no provider repeats itself any more: Asterisk's spool does so for
    /// about two months (provider contract, Asterisk, «ended»). A clock that runs ahead for a while forgets none: time counts
    /// as passed when some 20,000 deliveries have come since.
    pub async fn forget_old_call_keys(&self, now: Timestamp) -> Result<()> {
        let Some(row) = sqlx::query(A_DELIVERY_OF_LATE).fetch_optional(&self.readers).await? else { return Ok(()) };
        let now = now.min(ids::made_at(Columns::of("delivery", &row).get("id")?));
        let before = ids::first_id_at(now.checked_sub(REPEATED_FOR).unwrap_or(now));
        self.write(move |writing| {
            Box::pin(async move {
                sqlx::query(FORGET_CALL_KEYS).bind(before).execute(writing.sql).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Calls that began before `before`, of whose end nobody told and about which nobody is asked yet: oldest first, at most
    /// 100, so that none of them waits behind those that are asked about again and again.
    pub async fn calls_going_on(&self, before: Timestamp) -> Result<Vec<Call>> {
        let rows = sqlx::query(LIST_GOING_ON).bind(before.as_millisecond()).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// Calls that began at `began_by` or before, of whose end nobody told, and whose provider is asked about them since
    /// `asked_by` or longer: oldest first, at most 100.
    pub async fn calls_without_answer(&self, began_by: Timestamp, asked_by: Timestamp) -> Result<Vec<Call>> {
        let rows = sqlx::query(LIST_WITHOUT_ANSWER)
            .bind(began_by.as_millisecond())
            .bind(asked_by.as_millisecond())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read).collect()
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Call> {
    let columns = Columns::of("call", row);
    let raw: Option<String> = columns.get("caller_raw")?;
    let number = columns.optional_parsed("caller", PhoneNumber::stored)?;
    let keyed_at = columns.optional_time("keyed_at")?;
    let digits: Option<String> = columns.get("keyed_digits")?;
    let time_state = columns.optional_parsed("time_state", |text| TimeState::from_str(text).ok())?;
    let promise = columns.optional_time("promise_starts_at")?.zip(columns.optional_time("promise_ends_at")?);
    let decision = match time_state {
        Some(time_state) => Some(Decision {
            open: time_state == TimeState::Open,
            day_rule: columns.parsed("day_rule", |text| DayRule::from_str(text).ok())?,
            time_state,
            calendar_version: columns.get("calendar_version")?,
            promise: promise.map(|(start, end)| Period { start, end }),
        }),
        None => None,
    };
    Ok(Call {
        id: columns.get("id")?,
        key: CallKey {
            provider: columns.get::<String>("provider")?.into(),
            provider_call_id: columns.get("provider_call_id")?,
        },
        direction: columns.optional_parsed("direction", direction_from_word)?,
        dialled: columns.get("dialled")?,
        forwarded_from: columns.get("forwarded_from")?,
        caller: raw.map(|raw| Caller { number, raw }),
        started_at: columns.time("started_at")?,
        answered_at: columns.optional_time("answered_at")?,
        ended_at: columns.optional_time("ended_at")?,
        ringing: columns.optional_parsed("ringing", ringing_from_word)?,
        talk_seconds: columns.get::<Option<i64>>("talk_seconds")?.and_then(|seconds| seconds.try_into().ok()),
        keyed: keyed_at.zip(digits),
        message_over_at: columns.optional_time("message_over_at")?,
        recordings: columns.parsed("recordings", |text| serde_json::from_str(text).ok())?,
        line: columns.get::<Option<String>>("line")?.map(|line| LineId::new(&line)),
        decision,
        callback_id: columns.get("callback_id")?,
        waiting_since: columns.optional_time("waiting_since")?,
        restored_at: columns.optional_time("restored_at")?,
        blocked_at: columns.optional_time("blocked_at")?,
    })
}

pub(super) fn bind(params: &mut Params, call: &Call) {
    let (keyed_at, keyed_digits) = call.keyed.clone().unzip();
    let decision = call.decision.as_ref();
    let promise = decision.and_then(|decision| decision.promise);
    let number = call.caller.as_ref().and_then(|caller| caller.number.as_ref());
    params.add(call.id);
    params.add(call.key.provider.to_string());
    params.add(call.key.provider_call_id.clone());
    params.add(call.direction.map(|direction| match direction {
        Direction::Inbound => "inbound".to_owned(),
        Direction::Outbound => "outbound".to_owned(),
    }));
    params.add(call.dialled.clone());
    params.add(call.forwarded_from.clone());
    params.add(number.map(|number| number.e164().to_owned()));
    params.add(call.caller.as_ref().map(|caller| caller.raw.clone()));
    params.add(call.line.as_ref().map(LineId::to_string));
    params.time(call.started_at);
    params.optional_time(call.answered_at);
    params.optional_time(call.ended_at);
    params.add(call.ringing.map(|ringing| ringing_word(ringing).to_owned()));
    params.add(call.talk_seconds.map(i64::from));
    params.add(keyed_digits);
    params.optional_time(keyed_at);
    params.optional_time(call.message_over_at);
    params.add(serde_json::to_string(&call.recordings).expect("a map with text keys always becomes JSON"));
    params.add(call.outcome().as_str().to_owned());
    params.add(decision.map(|decision| decision.day_rule.as_str().to_owned()));
    params.add(decision.map(|decision| decision.time_state.as_str().to_owned()));
    params.add(decision.map(|decision| decision.calendar_version.clone()));
    params.optional_time(promise.map(|promise| promise.start));
    params.optional_time(promise.map(|promise| promise.end));
    params.optional_time(call.waiting_since);
    params.add(call.callback_id);
    params.optional_time(call.restored_at);
    params.optional_time(call.blocked_at);
}

const RINGING_WORDS: [(Ringing, &str); 5] = [
    (Ringing::Failed, "failed"),
    (Ringing::Cancelled, "cancelled"),
    (Ringing::Busy, "busy"),
    (Ringing::NoAnswer, "no_answer"),
    (Ringing::Answered, "answered"),
];

pub(super) fn direction_from_word(word: &str) -> Option<Direction> {
    match word {
        "inbound" => Some(Direction::Inbound),
        "outbound" => Some(Direction::Outbound),
        _ => None,
    }
}

fn ringing_word(ringing: Ringing) -> &'static str {
    RINGING_WORDS.iter().find(|(known, _)| *known == ringing).map_or("failed", |(_, word)| word)
}

pub(super) fn ringing_from_word(word: &str) -> Option<Ringing> {
    RINGING_WORDS.iter().find(|(_, known)| *known == word).map(|(ringing, _)| *ringing)
}

/// The longest time after which a provider may still repeat a delivery, with a month to spare.
const REPEATED_FOR: SignedDuration = SignedDuration::from_hours(90 * 24);

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&LOAD_CALLS, &SAVE_CALLS];

statements! {
    A_DELIVERY_OF_LATE = "SELECT id FROM delivery ORDER BY id DESC LIMIT 1 OFFSET 20000";
    /// Not of calls that are still asked about: what their provider answers is delivered under the key.
    FORGET_CALL_KEYS = "
        DELETE FROM call_key
        WHERE call_id < $1
          AND NOT EXISTS (SELECT 1 FROM call WHERE call.id = call_key.call_id AND call.ended_at IS NULL)
          AND NOT EXISTS (
              SELECT 1 FROM job WHERE job.kind = 'reconcile_call' AND job.subject = call_key.call_id)";
    READ_CALL = "SELECT * FROM call WHERE id = $1";
    DELIVERIES_OF_CALL = "
        SELECT id, endpoint, received_at, content_type, body FROM delivery
        WHERE call_id = $1
        ORDER BY id
        LIMIT 200";
    LIST_GOING_ON = "
        SELECT * FROM call
        WHERE ended_at IS NULL AND started_at < $1
          AND NOT EXISTS (SELECT 1 FROM job WHERE job.kind = 'reconcile_call' AND job.subject = call.id)
        ORDER BY started_at, id
        LIMIT 100";
    LIST_WITHOUT_ANSWER = "
        SELECT * FROM call
        WHERE ended_at IS NULL AND started_at <= $1
          AND EXISTS (
            SELECT 1 FROM job
            WHERE job.kind = 'reconcile_call' AND job.subject = call.id AND job.created_at <= $2)
        ORDER BY started_at, id
        LIMIT 100";
}

/// The calls a batch touches. Their keys are held already.
pub(super) const LOAD_CALLS: ManyRows = ManyRows {
    name: "LOAD_CALLS",
    head: "SELECT call.*",
    columns: &[Column::Number],
    tail: "JOIN call ON call.id = column1",
};

/// Writes calls as they stand after the batch.
pub(super) const SAVE_CALLS: ManyRows = ManyRows {
    name: "SAVE_CALLS",
    head: "INSERT INTO call (id, provider, provider_call_id, direction, dialled, forwarded_from, caller, caller_raw, line,
            started_at, answered_at, ended_at, ringing, talk_seconds, keyed_digits, keyed_at, message_over_at, recordings,
            outcome, day_rule, time_state, calendar_version, promise_starts_at, promise_ends_at, waiting_since, callback_id,
            restored_at, blocked_at)
        SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11,
            column12, column13, column14, column15, column16, column17, column18, column19, column20, column21, column22,
            column23, column24, column25, column26, column27, column28",
    columns: &[
        Column::Number, // id
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text, // line
        Column::Number,
        Column::Number,
        Column::Number,
        Column::Text, // ringing
        Column::Number,
        Column::Text,
        Column::Number,
        Column::Number,
        Column::Text, // recordings
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text, // calendar_version
        Column::Number,
        Column::Number,
        Column::Number,
        Column::Number, // callback_id
        Column::Number, // restored_at
        Column::Number, // blocked_at
    ],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (id) DO UPDATE SET direction = excluded.direction, dialled = excluded.dialled,
            forwarded_from = excluded.forwarded_from, caller = excluded.caller, caller_raw = excluded.caller_raw,
            line = excluded.line, started_at = excluded.started_at, answered_at = excluded.answered_at,
            ended_at = excluded.ended_at, ringing = excluded.ringing, talk_seconds = excluded.talk_seconds,
            keyed_digits = excluded.keyed_digits, keyed_at = excluded.keyed_at,
            message_over_at = excluded.message_over_at, recordings = excluded.recordings, outcome = excluded.outcome,
            day_rule = excluded.day_rule, time_state = excluded.time_state,
            calendar_version = excluded.calendar_version, promise_starts_at = excluded.promise_starts_at,
            promise_ends_at = excluded.promise_ends_at, waiting_since = excluded.waiting_since,
            callback_id = excluded.callback_id, restored_at = excluded.restored_at,
            blocked_at = excluded.blocked_at",
};
