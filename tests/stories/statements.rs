//! The one dialect: every statement of the house is understood by both engines.

use perezvon::core::calendar::{Calendar, Hours};
use perezvon::core::line::Lines;
use perezvon::store::{Store, statements};
use sqlx::postgres::PgTypeInfo;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};

use crate::harness::{drop_postgres_database, fresh_postgres_database};

async fn make_schema(url: &str) {
    let store = Store::open(url, Lines::new(Vec::new(), Calendar::new(Hours::default()))).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn sqlite_understands_every_statement() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
    make_schema(&url).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for statement in statements() {
        let prepared = (&mut connection).prepare(AssertSqlSafe(statement.for_sqlite.clone()).into_sql_str()).await;
        prepared.unwrap_or_else(|error| panic!("{}: {error}\n{}", statement.name, statement.for_sqlite));
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn postgresql_understands_every_statement() {
    let url = fresh_postgres_database().await;
    make_schema(&url).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut seen = 0;
    for statement in statements() {
        let types: Vec<_> = statement.parameters.iter().map(|name| PgTypeInfo::with_name(name)).collect();
        let prepared =
            (&mut connection).prepare_with(AssertSqlSafe(statement.for_postgres.clone()).into_sql_str(), &types).await;
        prepared.unwrap_or_else(|error| panic!("{}: {error}\n{}", statement.name, statement.for_postgres));
        seen += 1;
    }
    assert!(seen > 60, "{seen} statements");
    connection.close().await.unwrap();
    drop_postgres_database(&url).await;
}

/// What only one engine knows, or what gives different answers on both.
#[test]
fn no_statement_leaves_the_common_dialect() {
    for statement in statements() {
        let sql = statement.for_postgres.to_uppercase();
        for word in [
            " LIKE ",
            "NOW()",
            "CURRENT_TIMESTAMP",
            "JSON_",
            "->>",
            "AUTOINCREMENT",
            "ROWID",
            "::",
            "ILIKE",
            "BOOLEAN",
            "?",
        ] {
            assert!(!sql.contains(word), "{} uses {word}:\n{}", statement.name, statement.for_postgres);
        }
    }
}
