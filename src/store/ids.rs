//! Row ids made from time: milliseconds * 1024 + a counter. They grow, so big indexes grow at their end, and they stay
//! below 2^53, so every JSON reader keeps them whole.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::{AnyConnection, Row};

use super::Result;
use crate::time::{Timestamp, from_millisecond};

const STEP: i64 = 1024;

/// Every writer makes ids of one remainder by this number: two of them at one database, which may work in the same
/// millisecond, hardly ever make the same. If they do, the database refuses the second.
const WRITERS: i64 = 64;

/// Hands out row ids; owned by the writer.
pub(super) struct Ids {
    last: i64,
    remainder: i64,
}

impl Ids {
    pub fn new() -> Self {
        static FIRST: OnceLock<i64> = OnceLock::new();
        static WRITERS_HERE: AtomicI64 = AtomicI64::new(0);
        let first = *FIRST.get_or_init(|| {
            let mut random = [0];
            // Without randomness two processes make ids of the same remainder.
            let _ = getrandom::fill(&mut random);
            i64::from(random[0])
        });
        let remainder = (first + WRITERS_HERE.fetch_add(1, Ordering::Relaxed)).rem_euclid(WRITERS);
        Self { last: 0, remainder }
    }

    /// Goes on after `newest`, which somebody else has made.
    pub fn go_on_after(&mut self, newest: i64) {
        self.last = self.last.max(newest);
    }

    /// The next id at `now`. A clock set back does not make ids repeat: they go on from the last one.
    pub fn next(&mut self, now: Timestamp) -> i64 {
        let least = (self.last + 1).max(first_id_at(now));
        self.last = least + (self.remainder - least).rem_euclid(WRITERS);
        self.last
    }
}

/// The smallest id that could be made at `at`.
pub(super) fn first_id_at(at: Timestamp) -> i64 {
    at.as_millisecond().saturating_mul(STEP)
}

/// When the row of this id was made, as far as its maker's clock told.
pub(super) fn made_at(id: i64) -> Timestamp {
    from_millisecond(id / STEP)
}

/// The newest id of the tables that ids are made for.
pub(super) async fn newest(connection: &mut AnyConnection) -> Result<i64> {
    let mut newest = 0;
    for (_, sql) in STATEMENTS {
        let row = sqlx::query(*sql).fetch_one(&mut *connection).await?;
        newest = newest.max(row.try_get::<Option<i64>, _>(0)?.unwrap_or(0));
    }
    Ok(newest)
}

super::sql::statements! {
    NEWEST_DELIVERY = "SELECT MAX(id) FROM delivery";
    NEWEST_CALL = "SELECT MAX(id) FROM call";
    NEWEST_CALLBACK = "SELECT MAX(id) FROM callback";
    NEWEST_HISTORY = "SELECT MAX(id) FROM callback_history";
    NEWEST_HOURS_CHANGE = "SELECT MAX(id) FROM hours_change";
    NEWEST_VOICEMAIL = "SELECT MAX(id) FROM voicemail";
    NEWEST_JOB = "SELECT MAX(id) FROM job";
    NEWEST_MAIL = "SELECT MAX(id) FROM mail";
    NEWEST_ALARM = "SELECT MAX(id) FROM alarm";
    NEWEST_AUDIT = "SELECT MAX(id) FROM audit";
    NEWEST_OFFICER = "SELECT MAX(id) FROM officer";
    NEWEST_PLACED_CALL = "SELECT MAX(id) FROM placed_call";
    NEWEST_RECONCILIATION = "SELECT MAX(id) FROM reconciliation";
    NEWEST_PROMPT = "SELECT MAX(id) FROM prompt";
    NEWEST_TOKEN = "SELECT MAX(id) FROM token";
}
