//! The log of calls, newest first, page by page, over all history.
//!
//! A page walks an index in pieces of narrow rows, keeps those that fit, and stops after a bounded number of them: a filter
//! that hardly anything fits costs no more than one that everything fits, and the next page goes on from there.

mod merged;

use std::collections::{BTreeSet, HashMap};

use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use self::merged::Merged;
use super::calls::{self, LOAD_CALLS, direction_from_word};
use super::search::Source;
use super::sql::{Column, Columns, ManyRows, statements};
use super::{Result, Store};
use crate::core::call::{Call, Direction, Outcome};
use crate::core::callback::Reason;
use crate::core::line::LineId;
use crate::core::phone::PhoneNumber;
use crate::core::search::{PartOfNumber, Search};
use crate::time::{Timestamp, from_millisecond};

/// Which calls of the log are wanted. All are combined with «and».
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub line: Option<LineId>,
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
    pub direction: Option<Direction>,
    pub outcome: Option<Outcome>,
    /// What became of the callback that the call led to.
    pub resolution: Option<Resolution>,
    pub search: Option<Search>,
    /// `started_at` and id of the last call seen.
    pub after: Option<(Timestamp, i64)>,
    /// At most 200.
    pub limit: u32,
}

/// A page of the log, newest first.
#[derive(Clone, Debug)]
pub struct CallPage {
    pub entries: Vec<LogEntry>,
    /// Set if there are, or may be, more. A page with fewer entries than asked for and a cursor was broken off here.
    pub next: Option<(Timestamp, i64)>,
    /// The words looked for stand in more places than are looked through: only the newest are here.
    pub newest_only: bool,
}

/// One call of the log, and what became of its callback.
#[derive(Clone, Debug)]
pub struct LogEntry {
    pub call: Call,
    pub solved: Option<Solved>,
}

/// What became of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    pub callback_id: i64,
    pub resolution: Resolution,
    /// Who brought it there.
    pub by: Option<String>,
    pub closed_at: Option<Timestamp>,
    /// The first attempt: when the number was dialled, or the outcome written down.
    pub tried_at: Option<Timestamp>,
}

/// How a callback stands, in the log's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    Waiting,
    CalledBack,
    /// The caller got through in another way.
    GotThrough,
    NotReached,
    Declined,
    /// Sent to portal support.
    Exceptional,
}

impl Resolution {
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::CalledBack, Self::GotThrough, Self::NotReached, Self::Declined, Self::Exceptional];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::CalledBack => "called_back",
            Self::GotThrough => "got_through",
            Self::NotReached => "not_reached",
            Self::Declined => "declined",
            Self::Exceptional => "exceptional",
        }
    }

    fn of(state: &str, reason: Option<&str>, was_proposed: bool) -> Option<Self> {
        Some(match state {
            "open" | "claimed" | "later" => Self::Waiting,
            "done" if was_proposed => Self::GotThrough,
            "done" => Self::CalledBack,
            "declined" if reason == Some(Reason::NotReached.as_str()) => Self::NotReached,
            "declined" => Self::Declined,
            "exceptional" => Self::Exceptional,
            _ => return None,
        })
    }
}

/// How many calls fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub number: usize,
    /// There are, or may be, more than were counted.
    pub or_more: bool,
}

/// Rows read at a time.
const PIECE: usize = 1_000;
/// Rows that one page looks through at most.
const LONGEST_WALK: usize = 10_000;
/// Rows that one export looks through at most.
const LONGEST_EXPORT_WALK: usize = 200_000;
/// Calls loaded at a time.
const LOADED_AT_ONCE: usize = 500;

/// Where a call stands in the order of the log, milliseconds and id.
type Place = (i64, i64);

/// What a walk reads of a call.
struct Narrow {
    place: Place,
    line: Option<String>,
    outcome: String,
    direction: Option<Direction>,
    number: Option<PhoneNumber>,
    resolution: Option<Resolution>,
}

/// What a walk found.
struct Walk {
    places: Vec<Place>,
    /// Where to go on.
    next: Option<Place>,
    newest_only: bool,
}

impl Walk {
    fn found(&self) -> Found {
        Found { number: self.places.len(), or_more: self.next.is_some() || self.newest_only }
    }
}

impl Store {
    /// One page. What the search goes by is brought up to date first.
    pub async fn calls(&self, filter: &CallFilter) -> Result<CallPage> {
        let limit = filter.limit.clamp(1, 200) as usize;
        let walk = self.walk(filter, limit, LONGEST_WALK).await?;
        self.loaded(walk).await
    }

    /// One page, and how many there are, counted to `most`. The first page costs one walk for both.
    pub async fn calls_counted(&self, filter: &CallFilter, most: usize) -> Result<(CallPage, Found)> {
        if filter.after.is_some() {
            return Ok((self.calls(filter).await?, self.count_calls(filter, most).await?));
        }
        let limit = filter.limit.clamp(1, 200) as usize;
        let mut walk = self.walk(filter, most.max(limit), LONGEST_WALK).await?;
        let found = walk.found();
        if walk.places.len() > limit {
            walk.places.truncate(limit);
            walk.next = walk.places.last().copied();
        }
        Ok((self.loaded(walk).await?, found))
    }

    /// All of them from the newest, at most `most`: for a file.
    pub async fn calls_to_export(&self, filter: &CallFilter, most: usize) -> Result<CallPage> {
        let walk = self.walk(filter, most, LONGEST_EXPORT_WALK).await?;
        self.loaded(walk).await
    }

    /// How many there are, counted to `most`, wherever the filter's page begins.
    pub async fn count_calls(&self, filter: &CallFilter, most: usize) -> Result<Found> {
        let filter = CallFilter { after: None, ..filter.clone() };
        Ok(self.walk(&filter, most, LONGEST_WALK).await?.found())
    }

    async fn loaded(&self, walk: Walk) -> Result<CallPage> {
        let mut connection = self.readers.acquire().await?;
        let ids: Vec<i64> = walk.places.iter().map(|(_, id)| *id).collect();
        let mut entries = Vec::with_capacity(ids.len());
        for ids in ids.chunks(LOADED_AT_ONCE) {
            let rows =
                LOAD_CALLS.query(&connection, ids, |params, id| params.add(*id)).fetch_all(&mut *connection).await?;
            let mut calls = HashMap::with_capacity(ids.len());
            for row in &rows {
                let call = calls::read(row)?;
                calls.insert(call.id, call);
            }
            let callbacks: BTreeSet<i64> = calls.values().filter_map(|call| call.callback_id).collect();
            let solved = solved(&mut connection, &callbacks.into_iter().collect::<Vec<_>>()).await?;
            entries.extend(ids.iter().filter_map(|id| calls.remove(id)).map(|call| {
                let solved = call.callback_id.and_then(|id| solved.get(&id)).cloned();
                LogEntry { call, solved }
            }));
        }
        let next = walk.next.map(|(at, id)| (from_millisecond(at), id));
        Ok(CallPage { entries, next, newest_only: walk.newest_only })
    }

    /// The places of the next `wanted` calls that fit, after looking at no more than about `most` rows.
    async fn walk(&self, filter: &CallFilter, wanted: usize, most: usize) -> Result<Walk> {
        let narrowed = self.narrowed(filter)?;
        let filter = &narrowed;
        let source = match &filter.search {
            Some(search) => self.source(search).await?,
            None => Source::default(),
        };
        let last = filter.after.map_or((i64::MAX, i64::MAX), |(at, id)| (at.as_millisecond(), id));
        // One upper bound, for with two SQLite takes a shorter index. No id is smaller than the smallest number.
        let mut before = last.min((filter.to.map_or(i64::MAX, Timestamp::as_millisecond), i64::MIN));
        let mut connection = self.readers.acquire().await?;
        let mut merged = source.among.map(|among| Merged::of(among, before));
        let (mut places, mut walked) = (Vec::new(), 0);
        loop {
            let (rows, next) = match &mut merged {
                None => piece_of_log(&mut connection, filter, before).await?,
                Some(merged) => merged.piece(&mut connection, filter).await?,
            };
            walked += rows.len();
            for row in rows {
                if self.shows(&row) && fits(&row, filter, source.part.as_ref()) {
                    if places.len() == wanted {
                        return Ok(Walk { next: places.last().copied(), places, newest_only: source.newest_only });
                    }
                    places.push(row.place);
                }
            }
            match next {
                Some(next) if walked < most => before = next,
                next => return Ok(Walk { places, next, newest_only: source.newest_only }),
            }
        }
    }
}

impl Store {
    /// Whoever sees one line alone walks that one.
    fn narrowed(&self, filter: &CallFilter) -> Result<CallFilter> {
        if let Some(line) = &filter.line {
            self.check_line(Some(line))?;
        }
        let mut own = self.scope.named();
        let only = own.next().filter(|_| own.next().is_none()).cloned();
        Ok(CallFilter { line: filter.line.clone().or(only), ..filter.clone() })
    }

    fn shows(&self, row: &Narrow) -> bool {
        self.sees_all() || row.line.as_deref().is_some_and(|line| self.sees(&LineId::new(line)))
    }
}

/// What the statements do not ask for by themselves.
fn fits(row: &Narrow, filter: &CallFilter, part: Option<&PartOfNumber>) -> bool {
    let is = |wanted: Option<&str>, it: Option<&str>| wanted.is_none_or(|wanted| it == Some(wanted));
    is(filter.line.as_ref().map(LineId::as_str), row.line.as_deref())
        && is(filter.outcome.map(Outcome::as_str), Some(&row.outcome))
        && filter.direction.is_none_or(|wanted| row.direction.unwrap_or(Direction::Inbound) == wanted)
        && filter.resolution.is_none_or(|wanted| row.resolution == Some(wanted))
        && part.is_none_or(|part| row.number.as_ref().is_some_and(|number| part.is_in(number)))
}

/// The next rows of the log before this place, and where to go on.
async fn piece_of_log(
    connection: &mut AnyConnection,
    filter: &CallFilter,
    before: Place,
) -> Result<(Vec<Narrow>, Option<Place>)> {
    let part = |sql: &'static str| {
        sqlx::query(sql)
            .bind(before.0)
            .bind(before.1)
            .bind(filter.from.map_or(i64::MIN, |from| from.as_millisecond()))
            .bind(PIECE as i64)
    };
    let line = filter.line.as_ref().map(LineId::to_string);
    let outcome = filter.outcome.map(|outcome| outcome.as_str().to_owned());
    // Each combination has a statement of its own, so that each walks an index that begins with what is asked for.
    let listed = match (line, outcome) {
        // There are few of them, if any.
        _ if filter.direction == Some(Direction::Outbound) => part(LIST_CALLS_OUT),
        (Some(line), Some(outcome)) => part(LIST_CALLS_OF_LINE_AND_OUTCOME).bind(line).bind(outcome),
        (Some(line), None) => part(LIST_CALLS_OF_LINE).bind(line),
        (None, Some(outcome)) => part(LIST_CALLS_OF_OUTCOME).bind(outcome),
        (None, None) => part(LIST_CALLS),
    };
    let rows = listed.fetch_all(&mut *connection).await?;
    let rows = rows.iter().map(narrow).collect::<Result<Vec<_>>>()?;
    let next = if rows.len() == PIECE { rows.last().map(|row| row.place) } else { None };
    Ok((rows, next))
}

/// The calls among which is searched.
#[derive(Default)]
pub(super) struct Among {
    pub numbers: Vec<PhoneNumber>,
    pub callbacks: Vec<i64>,
}

fn narrow(row: &AnyRow) -> Result<Narrow> {
    let columns = Columns::of("call", row);
    let direction = columns.optional_parsed("direction", direction_from_word)?;
    let number: Option<String> = match direction {
        Some(Direction::Outbound) => columns.get("dialled")?,
        _ => columns.get("caller")?,
    };
    let state: Option<String> = columns.get("state")?;
    let reason: Option<String> = columns.get("reason")?;
    let was_proposed = columns.get::<Option<i64>>("proposed_call_id")?.is_some();
    Ok(Narrow {
        place: (columns.get("started_at")?, columns.get("id")?),
        line: columns.get("line")?,
        outcome: columns.get("outcome")?,
        direction,
        number: number.and_then(|number| PhoneNumber::stored(&number)),
        resolution: state.and_then(|state| Resolution::of(&state, reason.as_deref(), was_proposed)),
    })
}

/// What became of these callbacks.
async fn solved(connection: &mut AnyConnection, ids: &[i64]) -> Result<HashMap<i64, Solved>> {
    let mut solved = HashMap::with_capacity(ids.len());
    if ids.is_empty() {
        return Ok(solved);
    }
    let asked = SOLVED.query(connection, ids, |params, id| params.add(*id));
    for row in asked.fetch_all(&mut *connection).await? {
        let columns = Columns::of("callback", &row);
        let state: String = columns.get("state")?;
        let reason: Option<String> = columns.get("reason")?;
        let was_proposed = columns.get::<Option<i64>>("proposed_call_id")?.is_some();
        let resolution = Resolution::of(&state, reason.as_deref(), was_proposed);
        let callback_id = columns.get("id")?;
        let found = Solved {
            callback_id,
            resolution: resolution.ok_or_else(|| columns.corrupt("state"))?,
            by: columns.get("actor_name")?,
            closed_at: columns.optional_time("closed_at")?,
            tried_at: columns.optional_time("tried_at")?,
        };
        solved.insert(callback_id, found);
    }
    Ok(solved)
}

/// A cursor of the log as text, and back.
impl CallPage {
    pub fn cursor(next: (Timestamp, i64)) -> String {
        format!("{}.{}", next.0.as_millisecond(), next.1)
    }

    pub fn parse_cursor(text: &str) -> Option<(Timestamp, i64)> {
        let (at, id) = text.split_once('.')?;
        Some((from_millisecond(at.parse().ok()?), id.parse().ok()?))
    }
}

const CALLS_OF_FOUND_CALLBACKS: ManyRows = ManyRows {
    name: "CALLS_OF_FOUND_CALLBACKS",
    head: "SELECT call.id AS id, call.started_at AS started_at, call.line AS line, call.outcome AS outcome,
        call.direction AS direction, call.caller AS caller, call.dialled AS dialled, callback.state AS state,
        callback.reason AS reason, callback.proposed_call_id AS proposed_call_id",
    columns: &[Column::Number, Column::Number, Column::Number, Column::Number],
    tail: "JOIN call ON call.callback_id = column1 AND (call.started_at, call.id) < (column2, column3)
            AND call.started_at >= column4
        LEFT JOIN callback ON callback.id = call.callback_id
        ORDER BY call.started_at DESC, call.id DESC
        LIMIT 1000",
};

const SOLVED: ManyRows = ManyRows {
    name: "SOLVED",
    head: "SELECT callback.id AS id, callback.state AS state, callback.reason AS reason,
        callback.proposed_call_id AS proposed_call_id, callback.actor_name AS actor_name, callback.closed_at AS closed_at,
        (SELECT MIN(step.at) FROM callback_history AS step
         WHERE step.callback_id = callback.id AND step.kind IN ('dial', 'attempt')
           AND step.undone_at IS NULL) AS tried_at",
    columns: &[Column::Number],
    tail: "JOIN callback ON callback.id = column1",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&CALLS_OF_FOUND_CALLBACKS, &SOLVED];

/// A statement of the walk: which calls, in the order of the log.
macro_rules! list {
    ($only:literal) => {
        concat!(
            "
        SELECT call.id AS id, call.started_at AS started_at, call.line AS line, call.outcome AS outcome,
            call.direction AS direction, call.caller AS caller, call.dialled AS dialled, callback.state AS state,
            callback.reason AS reason, callback.proposed_call_id AS proposed_call_id
        FROM call
        LEFT JOIN callback ON callback.id = call.callback_id
        WHERE (call.started_at, call.id) < ($1, $2) AND call.started_at >= $3",
            $only,
            "
        ORDER BY call.started_at DESC, call.id DESC
        LIMIT $4"
        )
    };
}

statements! {
    LIST_CALLS = list!("");
    LIST_CALLS_OUT = list!(" AND call.direction = 'outbound'");
    LIST_CALLS_OF_LINE = list!(" AND call.line = $5");
    LIST_CALLS_OF_OUTCOME = list!(" AND call.outcome = $5");
    LIST_CALLS_OF_LINE_AND_OUTCOME = list!(" AND call.line = $5 AND call.outcome = $6");
    LIST_CALLS_FROM_NUMBER = list!(" AND call.caller = $5");
    LIST_CALLS_TO_NUMBER = list!(" AND call.dialled = $5 AND call.direction = 'outbound'");
}
