//! The rows of one call, delivery or callback without the numbers that go. Whoever erases decides which rows; here each of
//! them is written so that a replay of the deliveries still comes to the same calls.

use sqlx::AnyConnection;

use super::sql::{Columns, statements};
use super::{Result, search};
use crate::core::phone::PhoneNumber;
use crate::core::redaction::Redaction;

/// The call, its messages' addresses, and all its deliveries.
pub(super) async fn call(connection: &mut AnyConnection, id: i64, redaction: &Redaction) -> Result<()> {
    let Some(row) = sqlx::query(NUMBERS_OF_CALL).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(());
    };
    let columns = Columns::of("call", &row);
    let field =
        |column| Ok::<_, super::StoreError>(columns.get::<Option<String>>(column)?.map(|it| redaction.field(&it)));
    let caller = columns.optional_parsed("caller", PhoneNumber::stored)?.map(|number| redaction.number(&number));
    let provider_call_id: String = columns.get("provider_call_id")?;
    sqlx::query(REDACT_CALL)
        .bind(id)
        .bind(redaction.field(&provider_call_id))
        .bind(field("dialled")?)
        .bind(field("forwarded_from")?)
        .bind(caller.map(|number| number.e164().to_owned()))
        .bind(field("caller_raw")?)
        .bind(field("keyed_digits")?)
        .bind(redaction.json(&columns.get::<String>("recordings")?))
        .execute(&mut *connection)
        .await?;
    if redaction.is_in(&provider_call_id) {
        let instead = redaction.field(&provider_call_id);
        sqlx::query(REDACT_CALL_KEY).bind(id).bind(instead).execute(&mut *connection).await?;
    }
    for row in sqlx::query(VOICEMAILS_OF_CALL).bind(id).fetch_all(&mut *connection).await? {
        let columns = Columns::of("voicemail", &row);
        sqlx::query(REDACT_VOICEMAIL)
            .bind(columns.get::<i64>("id")?)
            .bind(redaction.field(&columns.get::<String>("recording_id")?))
            .bind(columns.get::<Option<String>>("url")?.map(|url| redaction.field(&url)))
            .bind(columns.get::<Option<String>>("failure")?.map(|failure| redaction.prose(&failure)))
            .execute(&mut *connection)
            .await?;
    }
    for row in sqlx::query(DELIVERIES_OF_CALL).bind(id).fetch_all(&mut *connection).await? {
        delivery(connection, Columns::of("delivery", &row).get("id")?, redaction).await?;
    }
    Ok(())
}

/// A delivery as it came, but for the numbers. `false`: it named none.
pub(super) async fn delivery(connection: &mut AnyConnection, id: i64, redaction: &Redaction) -> Result<bool> {
    let Some(row) = sqlx::query(READ_DELIVERY).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(false);
    };
    let columns = Columns::of("delivery", &row);
    let (target, body): (String, Vec<u8>) = (columns.get("target")?, columns.get("body")?);
    let content_type: String = columns.get("content_type")?;
    if !redaction.is_in(&target) && !redaction.is_in(&body) {
        return Ok(false);
    }
    sqlx::query(REDACT_DELIVERY)
        .bind(id)
        .bind(redaction.target(&target))
        .bind(redaction.body(&content_type, &body))
        .execute(connection)
        .await?;
    Ok(true)
}

/// A closed callback: its numbers, all that was written about it, and the words it is found by. What was done, when and by whom
/// stays, and so do asker, topic and reason, which the reports count.
pub(super) async fn callback(connection: &mut AnyConnection, id: i64, redaction: &Redaction) -> Result<()> {
    let Some(row) = sqlx::query(NUMBERS_OF_CALLBACK).bind(id).fetch_optional(&mut *connection).await? else {
        return Ok(());
    };
    let columns = Columns::of("callback", &row);
    let number = |column| {
        let number = columns.optional_parsed(column, PhoneNumber::stored)?;
        Ok::<_, super::StoreError>(number.map(|number| redaction.number(&number).e164().to_owned()))
    };
    let redacted = sqlx::query(REDACT_CALLBACK)
        .bind(id)
        .bind(number("caller")?)
        .bind(number("callback_number")?)
        .bind(number("dial_number")?)
        .execute(&mut *connection)
        .await?;
    if redacted.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(EMPTY_STEPS).bind(id).execute(&mut *connection).await?;
    for row in sqlx::query(PLACED_CALLS_OF_CALLBACK).bind(id).fetch_all(&mut *connection).await? {
        let columns = Columns::of("placed_call", &row);
        let number = columns.parsed("number", PhoneNumber::stored)?;
        sqlx::query(REDACT_PLACED_CALL)
            .bind(columns.get::<i64>("id")?)
            .bind(redaction.number(&number).e164().to_owned())
            .execute(&mut *connection)
            .await?;
    }
    search::renew_words(connection, id).await
}

/// The name, the note and the words of a number, and the digits it is found by.
pub(super) async fn contact(connection: &mut AnyConnection, number: &PhoneNumber) -> Result<()> {
    for statement in [FORGET_CONTACT, FORGET_CONTACT_WORDS] {
        sqlx::query(statement).bind(number.e164().to_owned()).execute(&mut *connection).await?;
    }
    search::forget_number(connection, number).await
}

statements! {
    NUMBERS_OF_CALL = "
        SELECT id, provider_call_id, dialled, forwarded_from, caller, caller_raw, keyed_digits, recordings FROM call
        WHERE id = $1";
    REDACT_CALL = "
        UPDATE call
        SET provider_call_id = $2, dialled = $3, forwarded_from = $4, caller = $5, caller_raw = $6, keyed_digits = $7,
            recordings = $8
        WHERE id = $1";
    REDACT_CALL_KEY = "UPDATE call_key SET provider_call_id = $2 WHERE call_id = $1";
    VOICEMAILS_OF_CALL = "SELECT id, recording_id, url, failure FROM voicemail WHERE call_id = $1";
    REDACT_VOICEMAIL = "UPDATE voicemail SET recording_id = $2, url = $3, failure = $4 WHERE id = $1";
    DELIVERIES_OF_CALL = "SELECT id FROM delivery WHERE call_id = $1";
    READ_DELIVERY = "SELECT id, target, content_type, body FROM delivery WHERE id = $1";
    REDACT_DELIVERY = "UPDATE delivery SET target = $2, body = $3 WHERE id = $1";
    NUMBERS_OF_CALLBACK = "SELECT id, caller, callback_number, dial_number FROM callback WHERE id = $1";
    /// One that an officer has opened again meanwhile keeps its number: its caller waits.
    REDACT_CALLBACK = "
        UPDATE callback
        SET caller = $2, callback_number = $3, dial_number = $4, summary = NULL, reference = NULL,
            note = CASE WHEN note IS NULL THEN NULL ELSE '' END
        WHERE id = $1 AND closed_at IS NOT NULL";
    /// The notes of these two are words of the program.
    EMPTY_STEPS = "
        UPDATE callback_history
        SET before_desk = NULL, note = CASE WHEN kind IN ('undo', 'due_moved') THEN note ELSE '' END
        WHERE callback_id = $1";
    PLACED_CALLS_OF_CALLBACK = "SELECT id, number FROM placed_call WHERE callback_id = $1";
    REDACT_PLACED_CALL = "UPDATE placed_call SET number = $2 WHERE id = $1";
    FORGET_CONTACT = "DELETE FROM contact WHERE number = $1";
    FORGET_CONTACT_WORDS = "DELETE FROM contact_word WHERE number = $1";
}
