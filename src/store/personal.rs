//! Everything there is about one number: what its owner may ask for, and what is to be erased. All tables are read from their
//! beginning to their end, for a number may stand in any text; nothing but a command or an administrator asks for it.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::backup::{ColumnKind, Table, tables};
use super::sql::{Columns, statements};
use super::{Result, Store, calls};
use crate::core::phone::PhoneNumber;
use crate::core::redaction::Redaction;
use crate::time::Timestamp;

/// The key in `meta` of the secret by which a number always leads to the same erased number. Backups carry it.
const PSEUDONYM_KEY: &str = "pseudonym_key";

/// Columns that say nothing to the owner of the number.
const LEFT_OUT: [&str; 4] = ["peaks", "sha256", "before_desk", "stand_in"];

/// Rows of one table about one number.
#[derive(Clone, Debug)]
pub struct PersonalPart {
    pub table: &'static str,
    /// Column by column; instants in RFC 3339.
    pub rows: Vec<Map<String, Value>>,
}

/// All parts as one document, for the number's owner.
pub fn personal_document(number: &PhoneNumber, parts: &[PersonalPart], now: Timestamp) -> Map<String, Value> {
    let head = [("number".to_owned(), number.e164().into()), ("printed_at".to_owned(), now.to_string().into())];
    let parts = parts.iter().map(|part| (part.table.to_owned(), serde_json::json!(part.rows)));
    head.into_iter().chain(parts).collect()
}

/// The rows that name a number, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traces {
    /// Of its owner: he called, was called, or typed it.
    pub calls: Vec<i64>,
    pub callbacks: Vec<i64>,
    pub voicemails: Vec<i64>,
    pub placed_calls: Vec<i64>,
    /// Contacts by their number.
    pub contacts: Vec<String>,
    /// Of its owner's calls, and others that name it.
    pub deliveries: Vec<i64>,
    /// Of other people, where the number is named.
    pub mentions: Mentions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    pub calls: Vec<i64>,
    pub voicemails: Vec<i64>,
    pub callbacks: Vec<i64>,
    pub steps: Vec<i64>,
    pub contacts: Vec<String>,
    /// Blocked numbers whose reason names it.
    pub blocked: Vec<String>,
    pub audit: Vec<i64>,
    pub mails: Vec<i64>,
    pub alarms: Vec<i64>,
    pub jobs: Vec<i64>,
}

impl Store {
    /// All rows about a number, table by table, those without any left out.
    pub async fn personal_data(&self, number: &PhoneNumber) -> Result<Vec<PersonalPart>> {
        let mut connection = self.readers.acquire().await?;
        let numbers = with_stand_in(&mut connection, number).await?;
        let Traces { calls, callbacks, voicemails, placed_calls, contacts, deliveries, mentions } =
            traces(&mut connection, &numbers).await?;
        let schema = tables(&mut connection).await?;
        let joined = |own: Vec<i64>, others: Vec<i64>| [own, others].concat();
        let by_id = [
            ("call", joined(calls, mentions.calls)),
            ("voicemail", joined(voicemails, mentions.voicemails)),
            ("callback", joined(callbacks.clone(), mentions.callbacks)),
            ("callback_history", joined(steps_of(&mut connection, &callbacks).await?, mentions.steps)),
            ("placed_call", placed_calls),
            ("delivery", deliveries),
            ("audit", mentions.audit),
            ("mail", mentions.mails),
            ("alarm", mentions.alarms),
            ("job", mentions.jobs),
        ];
        let mut parts = Vec::new();
        for (table, mut ids) in by_id {
            ids.sort_unstable();
            ids.dedup();
            let mut rows = Vec::new();
            for id in ids {
                rows.extend(read_row(&mut connection, &schema, table, "id", id).await?);
            }
            parts.push(PersonalPart { table, rows });
        }
        let mut rows = Vec::new();
        for number in [contacts, mentions.contacts].concat() {
            rows.extend(read_row(&mut connection, &schema, "contact", "number", number).await?);
        }
        parts.push(PersonalPart { table: "contact", rows });
        let mut rows = Vec::new();
        let own = numbers.iter().map(|number| number.e164().to_owned());
        for number in own.chain(mentions.blocked) {
            rows.extend(read_row(&mut connection, &schema, "blocked_number", "number", number).await?);
        }
        parts.push(PersonalPart { table: "blocked_number", rows });
        parts.retain(|part| !part.rows.is_empty());
        Ok(parts)
    }
}

/// The number, and what stands in its place where a term has erased it.
pub(super) async fn with_stand_in(connection: &mut AnyConnection, number: &PhoneNumber) -> Result<Vec<PhoneNumber>> {
    let key: Option<String> = sqlx::query_scalar(READ_KEY).bind(PSEUDONYM_KEY).fetch_optional(connection).await?;
    Ok([number.clone()].into_iter().chain(key.map(|key| Pseudonyms(key).of(number))).collect())
}

/// Makes the erased numbers of one database.
#[derive(Clone)]
pub(super) struct Pseudonyms(String);

impl Pseudonyms {
    /// With the key of this database, which is made if there is none.
    pub async fn of_database(connection: &mut AnyConnection) -> Result<Self> {
        let key: String = random_bytes::<32>().iter().map(|byte| format!("{byte:02x}")).collect();
        sqlx::query(MAKE_KEY).bind(PSEUDONYM_KEY).bind(key).execute(&mut *connection).await?;
        Ok(Self(sqlx::query_scalar(READ_KEY).bind(PSEUDONYM_KEY).fetch_one(connection).await?))
    }

    /// The same for the same number, always.
    pub fn of(&self, number: &PhoneNumber) -> PhoneNumber {
        if number.is_erased() {
            return number.clone();
        }
        let digest = keyed_digest(self.0.as_bytes(), number);
        let word = digest[..8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        PhoneNumber::erased(word)
    }
}

pub(super) fn keyed_digest(key: &[u8], number: &PhoneNumber) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(number.e164().as_bytes());
    mac.finalize().into_bytes().into()
}

pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes, as every start of the service needs them");
    bytes
}

/// Reads all tables for rows that name one of these numbers.
pub(super) async fn traces(connection: &mut AnyConnection, numbers: &[PhoneNumber]) -> Result<Traces> {
    let nobody = PhoneNumber::erased(0);
    let sought = Redaction::new(numbers.iter().map(|number| (number.clone(), nobody.clone())));
    let is_own = |number: Option<PhoneNumber>| number.is_some_and(|number| numbers.contains(&number));
    let mut traces = Traces::default();
    for id in naming(connection, SCAN_CALLBACKS, &sought).await? {
        let row = sqlx::query(NUMBERS_OF_CALLBACK).bind(id).fetch_one(&mut *connection).await?;
        let columns = Columns::of("callback", &row);
        let number = |column| columns.optional_parsed(column, PhoneNumber::stored);
        match is_own(number("caller")?) || is_own(number("callback_number")?) {
            true => traces.callbacks.push(id),
            false => traces.mentions.callbacks.push(id),
        }
    }
    let mut calls_seen: Vec<i64> = naming(connection, SCAN_CALLS, &sought).await?;
    for callback in &traces.callbacks {
        calls_seen.extend(ids(sqlx::query(CALLS_OF_CALLBACK).bind(*callback).fetch_all(&mut *connection).await?)?);
    }
    let mut last = 0;
    loop {
        let rows = sqlx::query(SCAN_DELIVERIES).bind(last).fetch_all(&mut *connection).await?;
        for row in &rows {
            let columns = Columns::of("delivery", row);
            last = columns.get("id")?;
            if sought.is_in(columns.get::<String>("target")?) || sought.is_in(columns.get::<Vec<u8>>("body")?) {
                traces.deliveries.push(last);
                calls_seen.extend(columns.get::<Option<i64>>("call_id")?);
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    calls_seen.sort_unstable();
    calls_seen.dedup();
    for id in calls_seen {
        let Some(row) = sqlx::query(READ_CALL).bind(id).fetch_optional(&mut *connection).await? else { continue };
        let call = calls::read(&row)?;
        let is_on_own_callback = call.callback_id.is_some_and(|id| traces.callbacks.contains(&id));
        if is_own(call.number_to_dial()) || is_on_own_callback && call.other_party().is_none() {
            traces.calls.push(id);
        } else {
            traces.mentions.calls.push(id);
        }
    }
    for call in &traces.calls {
        traces.voicemails.extend(ids(sqlx::query(VOICEMAILS_OF_CALL).bind(*call).fetch_all(&mut *connection).await?)?);
        traces.deliveries.extend(ids(sqlx::query(DELIVERIES_OF_CALL).bind(*call).fetch_all(&mut *connection).await?)?);
    }
    traces.deliveries.sort_unstable();
    traces.deliveries.dedup();
    traces.placed_calls = naming(connection, SCAN_PLACED_CALLS, &sought).await?;
    let contacts = numbers_naming(connection, SCAN_CONTACTS, &sought, numbers).await?;
    let blocked = numbers_naming(connection, SCAN_BLOCKED, &sought, numbers).await?;
    let is_owners = |number: &String| is_own(PhoneNumber::stored(number));
    (traces.contacts, traces.mentions.contacts) = contacts.into_iter().partition(is_owners);
    let mentions = &mut traces.mentions;
    mentions.blocked = blocked.into_iter().filter(|number| !is_owners(number)).collect();
    mentions.voicemails = naming(connection, SCAN_VOICEMAILS, &sought).await?;
    mentions.voicemails.retain(|id| !traces.voicemails.contains(id));
    mentions.steps = naming(connection, SCAN_STEPS, &sought).await?;
    mentions.audit = naming(connection, SCAN_AUDIT, &sought).await?;
    mentions.alarms = naming(connection, SCAN_ALARMS, &sought).await?;
    mentions.jobs = naming(connection, SCAN_JOBS, &sought).await?;
    mentions.mails = naming(connection, SCAN_MAILS, &sought).await?;
    Ok(traces)
}

/// The rows whose column `text` names one of the numbers, in a table that is read page by page.
async fn naming(connection: &mut AnyConnection, page: &'static str, sought: &Redaction) -> Result<Vec<i64>> {
    let (mut found, mut last) = (Vec::new(), 0);
    loop {
        let rows = sqlx::query(page).bind(last).fetch_all(&mut *connection).await?;
        for row in &rows {
            last = row.try_get("id")?;
            if sought.is_in(row.try_get::<String, _>("text")?) {
                found.push(last);
            }
        }
        if rows.is_empty() {
            return Ok(found);
        }
    }
}

/// The same in a table whose key is a number: also the rows of the numbers themselves.
async fn numbers_naming(
    connection: &mut AnyConnection,
    page: &'static str,
    sought: &Redaction,
    numbers: &[PhoneNumber],
) -> Result<Vec<String>> {
    let (mut found, mut last) = (Vec::new(), String::new());
    loop {
        let rows = sqlx::query(page).bind(last.clone()).fetch_all(&mut *connection).await?;
        for row in &rows {
            last = row.try_get("number")?;
            let is_own = PhoneNumber::stored(&last).is_some_and(|number| numbers.contains(&number));
            if is_own || sought.is_in(row.try_get::<String, _>("text")?) {
                found.push(last.clone());
            }
        }
        if rows.is_empty() {
            return Ok(found);
        }
    }
}

async fn steps_of(connection: &mut AnyConnection, callbacks: &[i64]) -> Result<Vec<i64>> {
    let mut steps = Vec::new();
    for callback in callbacks {
        steps.extend(ids(sqlx::query(STEPS_OF_CALLBACK).bind(*callback).fetch_all(&mut *connection).await?)?);
    }
    Ok(steps)
}

pub(super) fn ids(rows: Vec<AnyRow>) -> Result<Vec<i64>> {
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// One row, whatever its table. Tables and columns come from the schema, so a new column is in the answer by itself.
async fn read_row<'q, K>(
    connection: &mut AnyConnection,
    schema: &[Table],
    table: &str,
    key_column: &str,
    key: K,
) -> Result<Option<Map<String, Value>>>
where
    K: 'q + sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any> + Send,
{
    let Some(table) = schema.iter().find(|known| known.name == table) else { return Ok(None) };
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let sql = format!("SELECT {} FROM {} WHERE {key_column} = $1", columns.join(", "), table.name);
    let row = sqlx::query(AssertSqlSafe(sql)).bind(key).fetch_optional(connection).await?;
    row.map(|row| object(table, &row)).transpose()
}

fn object(table: &Table, row: &AnyRow) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for (index, column) in table.columns.iter().enumerate() {
        if LEFT_OUT.contains(&column.name.as_str()) {
            continue;
        }
        let value = match column.kind {
            ColumnKind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::String),
            ColumnKind::Number => row.try_get::<Option<i64>, _>(index)?.map(|number| {
                let is_instant = column.name == "at" || column.name.ends_with("_at");
                let at = Timestamp::from_millisecond(number).ok().filter(|_| is_instant);
                at.map_or_else(|| number.into(), |at| at.to_string().into())
            }),
            ColumnKind::Bytes => row
                .try_get::<Option<Vec<u8>>, _>(index)?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned().into()),
        };
        object.insert(column.name.clone(), value.unwrap_or(Value::Null));
    }
    Ok(object)
}

statements! {
    READ_KEY = "SELECT value FROM meta WHERE key = $1";
    MAKE_KEY = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    READ_CALL = "SELECT * FROM call WHERE id = $1";
    NUMBERS_OF_CALLBACK = "SELECT id, caller, callback_number FROM callback WHERE id = $1";
    CALLS_OF_CALLBACK = "SELECT id FROM call WHERE callback_id = $1 ORDER BY id";
    VOICEMAILS_OF_CALL = "SELECT id FROM voicemail WHERE call_id = $1 ORDER BY id";
    DELIVERIES_OF_CALL = "SELECT id FROM delivery WHERE call_id = $1 ORDER BY id";
    STEPS_OF_CALLBACK = "SELECT id FROM callback_history WHERE callback_id = $1 ORDER BY id";
    SCAN_CALLS = "
        SELECT id, COALESCE(caller, '') || ' ' || COALESCE(caller_raw, '') || ' ' || COALESCE(dialled, '') || ' '
            || COALESCE(forwarded_from, '') || ' ' || COALESCE(keyed_digits, '') || ' ' || provider_call_id || ' '
            || recordings AS text
        FROM call
        WHERE id > $1
        ORDER BY id
        LIMIT 1000";
    SCAN_CALLBACKS = "
        SELECT id, COALESCE(caller, '') || ' ' || COALESCE(callback_number, '') || ' ' || COALESCE(note, '') || ' '
            || COALESCE(summary, '') || ' ' || COALESCE(reference, '') AS text
        FROM callback
        WHERE id > $1
        ORDER BY id
        LIMIT 1000";
    SCAN_DELIVERIES = "SELECT id, call_id, target, body FROM delivery WHERE id > $1 ORDER BY id LIMIT 500";
    SCAN_VOICEMAILS = "
        SELECT id, recording_id || ' ' || COALESCE(url, '') || ' ' || COALESCE(transcript, '') || ' '
            || COALESCE(failure, '') AS text
        FROM voicemail
        WHERE id > $1
        ORDER BY id
        LIMIT 1000";
    SCAN_STEPS = "
        SELECT id, note || ' ' || COALESCE(before_desk, '') AS text FROM callback_history
        WHERE id > $1
        ORDER BY id
        LIMIT 1000";
    SCAN_CONTACTS = "
        SELECT number, name || ' ' || note AS text FROM contact
        WHERE number > $1
        ORDER BY number
        LIMIT 1000";
    SCAN_BLOCKED = "SELECT number, reason AS text FROM blocked_number WHERE number > $1 ORDER BY number LIMIT 1000";
    SCAN_PLACED_CALLS = "SELECT id, number AS text FROM placed_call WHERE id > $1 ORDER BY id LIMIT 1000";
    SCAN_AUDIT = "SELECT id, object || ' ' || detail AS text FROM audit WHERE id > $1 ORDER BY id LIMIT 1000";
    SCAN_MAILS = "SELECT id, subject || ' ' || body AS text FROM mail WHERE id > $1 ORDER BY id LIMIT 1000";
    SCAN_ALARMS = "SELECT id, subject || ' ' || told AS text FROM alarm WHERE id > $1 ORDER BY id LIMIT 1000";
    SCAN_JOBS = "
        SELECT id, COALESCE(last_error, '') || ' ' || COALESCE(alarm_subject, '') AS text FROM job
        WHERE id > $1
        ORDER BY id
        LIMIT 1000";
}
