//! What the service has: its rows, read past it.

use std::collections::{BTreeSet, HashMap};

use sqlx::Row;

use super::callers::Call;
use crate::harness::App;

pub struct LoggedCall {
    pub id: i64,
    pub outcome: String,
    pub line: Option<String>,
    pub caller: Option<String>,
    pub has_typed: bool,
    pub callback_id: Option<i64>,
    pub restored_at: Option<i64>,
}

pub struct Entry {
    pub line: String,
    pub number: Option<String>,
    pub due_at: i64,
    pub closed_at: Option<i64>,
    pub proposed_call_id: Option<i64>,
}

impl Entry {
    pub fn is_of(&self, call: &Call) -> bool {
        self.line == call.line && self.number.as_deref() == call.number_to_dial()
    }
}

pub struct Message {
    pub id: i64,
    pub state: String,
    pub name: Option<String>,
}

pub struct Tables {
    /// By the provider's id of the call.
    pub calls: HashMap<String, Vec<LoggedCall>>,
    pub entries: HashMap<i64, Entry>,
    /// By the provider's id of the recording.
    pub messages: HashMap<String, Vec<Message>>,
    /// Kind and subject of the alarms that are open.
    alarms: BTreeSet<(String, String)>,
}

impl Tables {
    pub async fn read(app: &App) -> Self {
        let mut tables =
            Self { calls: HashMap::new(), entries: HashMap::new(), messages: HashMap::new(), alarms: BTreeSet::new() };
        let calls = "SELECT provider_call_id, line, caller, callback_id, restored_at, id, outcome, keyed_at FROM call";
        for row in app.rows(calls).await {
            tables.calls.entry(row.get(0)).or_default().push(LoggedCall {
                line: row.get(1),
                caller: row.get(2),
                callback_id: row.get(3),
                restored_at: row.get(4),
                id: row.get(5),
                outcome: row.get(6),
                has_typed: row.get::<Option<i64>, _>(7).is_some(),
            });
        }
        let entries =
            "SELECT id, line, COALESCE(caller, callback_number) AS number, due_at, closed_at, proposed_call_id
                       FROM callback";
        for row in app.rows(entries).await {
            let entry = Entry {
                line: row.get(1),
                number: row.get(2),
                due_at: row.get(3),
                closed_at: row.get(4),
                proposed_call_id: row.get(5),
            };
            tables.entries.insert(row.get(0), entry);
        }
        for row in app.rows("SELECT recording_id, id, state, name FROM voicemail").await {
            let message = Message { id: row.get(1), state: row.get(2), name: row.get(3) };
            tables.messages.entry(row.get(0)).or_default().push(message);
        }
        for row in app.rows("SELECT kind, subject FROM alarm WHERE cleared_at IS NULL").await {
            tables.alarms.insert((row.get(0), row.get(1)));
        }
        tables
    }

    pub fn calls_of(&self, call: &Call) -> &[LoggedCall] {
        self.calls.get(&call.id_in_log()).map_or(&[], Vec::as_slice)
    }

    /// What the administrator is told of this message.
    pub fn alarms_of(&self, message: &Message) -> Vec<&'static str> {
        let is_raised = |kind: &&str| self.alarms.contains(&((*kind).to_owned(), message.id.to_string()));
        ["recording_damaged", "recording_lost", "recording_unmeasured"].into_iter().filter(is_raised).collect()
    }
}
