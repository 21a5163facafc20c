//! The one dialect: every statement of the house is understood by both engines.

use perezvon::core::calendar::{Calendar, Hours};
use perezvon::core::line::Lines;
use perezvon::store::{Store, statements};
use sqlx::postgres::PgTypeInfo;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection};

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

/// A list that read the whole log for one line's calls was fast for a week and slow for ever after.
#[tokio::test]
async fn no_list_walks_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
    make_schema(&url).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let (mut indices, mut wrong) = (std::collections::BTreeMap::new(), Vec::new());
    for statement in statements() {
        let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.for_sqlite)).into_sql_str();
        let plan: Vec<String> = sqlx::query(explained)
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", statement.name))
            .iter()
            .map(|row| row.get("detail"))
            .collect();
        let told = plan.join("; ");
        let whole = |table: &str| plan.iter().any(|step| step.strip_prefix("SCAN ").is_some_and(|it| it == table));
        if ["call", "callback", "alarm"].iter().any(|table| whole(table)) {
            wrong.push(format!("{}: {told}", statement.name));
        }
        if statement.name.starts_with("LIST_") && statement.for_sqlite.contains("FROM call") {
            assert!(!told.contains("SCAN") && !told.contains("TEMP B-TREE"), "{}: {told}", statement.name);
        }
        indices.insert(statement.name, told);
    }
    assert_eq!(wrong, Vec::<String>::new());
    for (name, index) in [
        ("LIST_CALLS", "call_by_start"),
        ("LIST_CALLS_OF_LINE", "call_by_line"),
        ("LIST_CALLS_OF_OUTCOME", "call_by_outcome"),
        ("LIST_CALLS_OF_LINE_AND_OUTCOME", "call_by_line_and_outcome"),
        ("LIST_CALLS_OUT", "call_out"),
        ("LIST_CALLS_FROM_NUMBER", "call_by_caller"),
        ("LIST_CALLS_TO_NUMBER", "call_to_number"),
        ("LIST_CALLBACKS_OF_NUMBER", "callback_by_number"),
        ("LIST_UNCLOSED", "callback_open_by_due"),
        ("LIST_ALL", "callback_by_due"),
        ("LIST_IN_STATE", "callback_by_state"),
        ("LIST_TO_CALL", "callback_open_by_due"),
        ("LIST_CLOSED_SINCE", "callback_by_closing"),
        ("FIND_ANSWERS", "callback_by_number"),
        ("FIND_ANSWERS", "call_by_caller"),
        ("CLEAR", "alarm_one_open"),
        ("CLEAR_SHARED_ALARMS", "alarm_one_open"),
        ("COUNT_CLOSED_SINCE", "callback_by_closing"),
        ("REPORTED", "callback_by_receipt"),
        ("COUNT_CALLS", "call_by_start"),
        ("COUNT_CALLS_OF_LINE", "call_by_line"),
    ] {
        assert!(indices[name].contains(&format!("INDEX {index} (")), "{name}: {}", indices[name]);
    }
    connection.close().await.unwrap();
}
