//! The calls of several numbers and of found callbacks in the one order of the log, each row read once.

use std::collections::VecDeque;

use sqlx::AnyConnection;

use super::{
    Among, CALLS_OF_FOUND_CALLBACKS, CallFilter, LIST_CALLS_FROM_NUMBER, LIST_CALLS_TO_NUMBER, Narrow, PIECE, Place,
    narrow,
};
use crate::core::call::Direction;
use crate::core::phone::PhoneNumber;
use crate::store::Result;

/// Rows that a list reads at a time at least.
const SMALLEST_PART: usize = 20;

/// Lists that are read as far as they are asked for, merged.
pub(super) struct Merged {
    lists: Vec<List>,
    /// Rows that a list of one number reads at a time: all lists together read about one piece.
    part: usize,
    /// The last row given away: a call may stand in more lists than one.
    last: Option<Place>,
}

/// The calls of one number in one direction, or of all the callbacks.
struct List {
    of: Of,
    /// Read and not yet given away, newest first.
    rows: VecDeque<Narrow>,
    /// Where to read on; `None`: all is read.
    before: Option<Place>,
}

enum Of {
    Number(PhoneNumber, Direction),
    Callbacks(Vec<i64>),
}

impl Merged {
    pub fn of(among: Among, before: Place) -> Self {
        let mut lists: Vec<Of> = Vec::new();
        for number in among.numbers {
            lists.push(Of::Number(number.clone(), Direction::Inbound));
            lists.push(Of::Number(number, Direction::Outbound));
        }
        if !among.callbacks.is_empty() {
            lists.push(Of::Callbacks(among.callbacks));
        }
        let part = (PIECE / lists.len().max(1)).max(SMALLEST_PART);
        let lists = lists.into_iter().map(|of| List { of, rows: VecDeque::new(), before: Some(before) });
        Self { lists: lists.collect(), part, last: None }
    }

    /// The next rows, and where they end if there may be more.
    pub async fn piece(
        &mut self,
        connection: &mut AnyConnection,
        filter: &CallFilter,
    ) -> Result<(Vec<Narrow>, Option<Place>)> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            for list in &mut self.lists {
                list.fill(connection, filter, self.part).await?;
            }
            let newest = self.lists.iter_mut().max_by_key(|list| list.rows.front().map(|row| row.place));
            let Some(row) = newest.and_then(|list| list.rows.pop_front()) else { return Ok((piece, None)) };
            if self.last != Some(row.place) {
                self.last = Some(row.place);
                piece.push(row);
            }
        }
        Ok((piece, self.last))
    }
}

impl List {
    /// Reads on until there is a row to give away or nothing more to read.
    async fn fill(&mut self, connection: &mut AnyConnection, filter: &CallFilter, part: usize) -> Result<()> {
        let from = filter.from.map_or(i64::MIN, |from| from.as_millisecond());
        while self.rows.is_empty()
            && let Some(before) = self.before
        {
            let (rows, most) = match &self.of {
                Of::Number(number, direction) => {
                    let sql = match direction {
                        Direction::Outbound => LIST_CALLS_TO_NUMBER,
                        Direction::Inbound => LIST_CALLS_FROM_NUMBER,
                    };
                    let asked = sqlx::query(sql).bind(before.0).bind(before.1).bind(from).bind(part as i64);
                    (asked.bind(number.e164().to_owned()).fetch_all(&mut *connection).await?, part)
                }
                Of::Callbacks(ids) => {
                    let asked = CALLS_OF_FOUND_CALLBACKS.query(connection, ids, |params, id| {
                        for value in [*id, before.0, before.1, from] {
                            params.add(value);
                        }
                    });
                    (asked.fetch_all(&mut *connection).await?, PIECE)
                }
            };
            let rows = rows.iter().map(narrow).collect::<Result<Vec<_>>>()?;
            self.before = rows.last().filter(|_| rows.len() == most).map(|row| row.place);
            let is_of_the_list = |row: &Narrow| match &self.of {
                // Where we called out, our own number stands in the caller's place.
                Of::Number(_, direction) => row.direction.unwrap_or(Direction::Inbound) == *direction,
                Of::Callbacks(_) => true,
            };
            self.rows.extend(rows.into_iter().filter(is_of_the_list));
        }
        Ok(())
    }
}
