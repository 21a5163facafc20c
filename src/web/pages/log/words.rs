//! What became of a call, in the words of the log.

use super::super::words::length;
use crate::core::calendar::Calendar;
use crate::core::call::{Call, Direction, Outcome};
use crate::store::{LogEntry, Resolution, StoredSound, Voicemail};
use crate::time::elapsed_ms;

const MINUTE_MS: i64 = 60_000;

/// The number on the other side, as people write it.
pub(in crate::web::pages) fn other_party(call: &Call) -> String {
    match call.other_party() {
        Some(number) => number.spaced(),
        None => "номер скрыт".to_owned(),
    }
}

/// How long the talk took if there was one, else the whole call. `None`: it has not ended.
fn took_ms(call: &Call) -> Option<i64> {
    match (call.talk_seconds, call.ended_at) {
        (Some(seconds), _) if call.outcome() == Outcome::Answered => Some(i64::from(seconds) * 1000),
        (_, ended_at) => ended_at.map(|ended_at| elapsed_ms(call.started_at, ended_at)),
    }
}

/// [`took_ms`] on the screen; empty while it goes on.
pub(in crate::web::pages) fn lasted(call: &Call) -> String {
    took_ms(call).map_or_else(String::new, length)
}

/// The messages of a call that left any, else how long the call took, in milliseconds.
pub(super) fn length_of(call: &Call, voicemails: &[Voicemail]) -> Option<i64> {
    let message_ms = |voicemail: &Voicemail| {
        let measured_ms = voicemail.sound.as_ref().and_then(StoredSound::measured_ms);
        measured_ms.or_else(|| voicemail.provider_seconds.map(|seconds| seconds * 1000))
    };
    let left = call.outcome() == Outcome::Voicemail;
    let messages: Option<i64> = voicemails.iter().filter(|_| left).map(message_ms).sum();
    messages.filter(|ms| *ms > 0).or_else(|| took_ms(call))
}

pub(in crate::web::pages) fn outcome_words(call: &Call) -> &'static str {
    match (call.outcome(), call.direction) {
        (Outcome::Answered, Some(Direction::Outbound)) => "перезвонили",
        (Outcome::Answered, _) => "разговор",
        (_, Some(Direction::Outbound)) => "перезванивали, не дозвонились",
        (outcome, _) => outcome_title(outcome),
    }
}

/// «сообщение, перезвонили».
pub(super) fn what_became(entry: &LogEntry) -> String {
    let outcome = outcome_words(&entry.call);
    let solved = entry.solved.as_ref().filter(|_| entry.call.is_inbound() && !entry.call.was_talked());
    match solved {
        Some(solved) => format!("{outcome}, {}", resolution_title(solved.resolution)),
        None => outcome.to_owned(),
    }
}

pub(super) fn outcome_title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::InProgress => "идёт",
        Outcome::Answered => "разговор",
        Outcome::Voicemail => "сообщение",
        Outcome::NoMessage => "без сообщения",
        Outcome::Abandoned => "нерабочее время, повесил трубку",
        Outcome::Missed => "не ответили, без сообщения",
    }
}

pub(super) fn resolution_title(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Waiting => "ждёт звонка",
        Resolution::CalledBack => "перезвонили",
        Resolution::GotThrough => "дозвонился сам",
        Resolution::NotReached => "не дозвонились",
        Resolution::Declined => "отклонено",
        Resolution::Exceptional => "передано в поддержку портала",
    }
}

/// The working time from this call until its caller was called back, in milliseconds.
pub(super) fn called_back_after_ms(entry: &LogEntry, calendar: &Calendar) -> Option<i64> {
    let solved = entry.solved.as_ref().filter(|solved| solved.resolution == Resolution::CalledBack)?;
    let started_at = entry.call.started_at;
    let called_back_at = [solved.tried_at, solved.closed_at].into_iter().flatten().find(|at| *at >= started_at)?;
    (entry.call.is_inbound() && !entry.call.was_talked())
        .then(|| calendar.working_ms_between(started_at, called_back_at))
}

/// «через 0 ч 12 мин раб. времени».
pub(super) fn after(ms: i64) -> String {
    let minutes = ms / MINUTE_MS;
    format!("через {}\u{a0}ч {}\u{a0}мин раб.\u{a0}времени", minutes / 60, minutes % 60)
}
