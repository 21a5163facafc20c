//! The small grammar of this room: named statements, statements of many rows, and columns read with a name for errors.

use std::fmt::Write as _;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Arguments, AssertSqlSafe, Decode, Encode, Row, Type};

use super::{Result, Statement, StoreError};
use crate::time::{Timestamp, from_millisecond};

/// Declares constants of SQL and lists them in `STATEMENTS`, so that the test prepares each on both engines.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub(super) use statements;

/// A statement over many rows at once, so that the number of statements does not grow with the batch.
///
/// `head` … `VALUES (…), (…)` … `tail`; the rows are named `given` with `column1`, `column2`, …. Row counts are rounded up
/// to powers of two and the rest padded with NULLs (which the tail drops by `WHERE column1 IS NOT NULL`), so that the
/// prepared statements are few and reused.
pub(super) struct ManyRows {
    pub name: &'static str,
    pub head: &'static str,
    pub columns: &'static [Column],
    pub tail: &'static str,
}

/// The type of a column, so that padding NULLs have the type of the values.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Text,
    Number,
    Bytes,
}

/// How a parameter is written. SQLite finds a numbered one by going through all names before it, which takes a million steps
/// for a statement of a thousand; one without a number is bound at once. PostgreSQL knows numbers only.
#[derive(Clone, Copy)]
enum Marks {
    Numbered,
    Plain,
}

impl Marks {
    fn of(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" { Self::Plain } else { Self::Numbered }
    }
}

impl ManyRows {
    /// The text for `rows` rows.
    fn sql(&self, rows: usize, marks: Marks) -> String {
        let mut sql = String::with_capacity(self.head.len() + self.tail.len() + rows * self.columns.len() * 7 + 24);
        sql.push_str(self.head);
        sql.push_str(" FROM (VALUES ");
        let mut parameter = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns.len() {
                parameter += 1;
                sql.push_str(if column == 0 { "" } else { ", " });
                match marks {
                    Marks::Plain => sql.push('?'),
                    // Writing to a String cannot fail.
                    Marks::Numbered => drop(write!(sql, "${parameter}")),
                }
            }
            sql.push(')');
        }
        sql.push_str(") AS given ");
        sql.push_str(self.tail);
        sql
    }

    /// The statement for `rows` rows on either engine, with the types of its parameters.
    pub fn described(&self, rows: usize) -> Statement {
        let types = self.columns.iter().map(|column| match column {
            Column::Text => "TEXT",
            Column::Number => "BIGINT",
            Column::Bytes => "BYTEA",
        });
        let parameters = (0..rows).flat_map(|_| types.clone()).collect();
        let [for_sqlite, for_postgres] = [Marks::Plain, Marks::Numbered].map(|marks| self.sql(rows, marks));
        Statement { name: self.name, for_sqlite, for_postgres, parameters }
    }

    /// A query over `rows` for the engine of `connection`, each row written into [`Params`] by `bind`.
    pub fn query<'q, T>(
        &self,
        connection: &AnyConnection,
        rows: &[T],
        mut bind: impl FnMut(&mut Params, &T),
    ) -> Query<'q, Any, AnyArguments> {
        let padded = rows.len().next_power_of_two();
        let mut params = Params(AnyArguments::default());
        params.0.reserve(padded * self.columns.len(), 0);
        for row in rows {
            bind(&mut params, row);
        }
        for _ in rows.len()..padded {
            for column in self.columns {
                match column {
                    Column::Text => params.add(None::<String>),
                    Column::Number => params.add(None::<i64>),
                    Column::Bytes => params.add(None::<Vec<u8>>),
                }
            }
        }
        sqlx::query_with(AssertSqlSafe(self.sql(padded, Marks::of(connection))), params.0)
    }
}

/// Arguments in the order of the columns.
pub(super) struct Params(AnyArguments);

impl Params {
    pub fn add<'t, T: Encode<'t, Any> + Type<Any>>(&mut self, value: T) {
        self.0.add(value).expect("texts, numbers and bytes always encode into this buffer");
    }

    pub fn time(&mut self, at: Timestamp) {
        self.add(at.as_millisecond());
    }

    pub fn optional_time(&mut self, at: Option<Timestamp>) {
        self.add(at.map(Timestamp::as_millisecond));
    }
}

/// Reads columns of one row and names them when they are not what they should be.
pub(super) struct Columns<'r> {
    table: &'static str,
    row: &'r AnyRow,
}

impl<'r> Columns<'r> {
    pub fn of(table: &'static str, row: &'r AnyRow) -> Self {
        Self { table, row }
    }

    pub fn get<T: Decode<'r, Any> + Type<Any>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|_| self.corrupt(column))
    }

    pub fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.get::<i64>(column).map(from_millisecond)
    }

    pub fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(column)?.map(from_millisecond))
    }

    /// A text column read into one of our types; what does not parse is corrupt.
    pub fn parsed<T>(&self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let text: String = self.get(column)?;
        parse(&text).ok_or_else(|| self.corrupt(column))
    }

    pub fn optional_parsed<T>(&self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        match self.get::<Option<String>>(column)? {
            Some(text) => parse(&text).map(Some).ok_or_else(|| self.corrupt(column)),
            None => Ok(None),
        }
    }

    pub fn corrupt(&self, column: &'static str) -> StoreError {
        let row = self.row.try_get::<i64, _>("id").map_or_else(|_| "?".to_owned(), |id| id.to_string());
        StoreError::Corrupt { table: self.table, column, row }
    }
}
