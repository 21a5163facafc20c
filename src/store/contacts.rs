//! Contacts: the name and note that the school gives to a number, and all that one number led to.

use std::collections::HashMap;

use super::callback_list::{CallbackPage, with_everything};
use super::callbacks;
use super::sql::{Column, Columns, ManyRows, statements};
use super::{Result, Store, StoreError, audit, search};
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::time::Timestamp;

/// What the school knows of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// «Петрова А.»; empty if nobody wrote it.
    pub name: String,
    pub note: String,
}

/// Numbers asked for in one statement.
const AT_ONCE: usize = 1_000;
/// How many calls and messages of one callback a caller's page knows.
const NEWEST: i64 = 20;

impl Store {
    /// What is known of these numbers; of most, nothing. Nothing of whoever is no caller of the lines that may be seen.
    pub async fn contacts(&self, numbers: &[PhoneNumber]) -> Result<HashMap<PhoneNumber, Contact>> {
        let mut contacts = HashMap::new();
        if numbers.is_empty() {
            return Ok(contacts);
        }
        let mut connection = self.readers.acquire().await?;
        for numbers in numbers.chunks(AT_ONCE) {
            let asked = CONTACTS.query(&connection, numbers, |params, number| params.add(number.e164().to_owned()));
            for row in asked.fetch_all(&mut *connection).await? {
                let columns = Columns::of("contact", &row);
                let number = columns.parsed("number", PhoneNumber::stored)?;
                contacts.insert(number, Contact { name: columns.get("name")?, note: columns.get("note")? });
            }
        }
        drop(connection);
        if !self.sees_all() {
            for number in contacts.keys().cloned().collect::<Vec<_>>() {
                if !self.knows_caller(&number).await? {
                    contacts.remove(&number);
                }
            }
        }
        Ok(contacts)
    }

    /// Writes the name and note of a number, the audit with what they were, and the words to find it by.
    pub async fn set_contact(
        &self,
        number: &PhoneNumber,
        contact: Contact,
        by: &Actor,
        address: &str,
        now: Timestamp,
    ) -> Result<()> {
        let (number, by, address) = (number.clone(), by.clone(), address.to_owned());
        self.write(move |mut writing| {
            Box::pin(async move {
                let row = sqlx::query(HOLD_CONTACT)
                    .bind(number.e164().to_owned())
                    .bind(now.as_millisecond())
                    .fetch_one(&mut *writing.sql)
                    .await?;
                let columns = Columns::of("contact", &row);
                let before = Contact { name: columns.get("name")?, note: columns.get("note")? };
                if before == contact {
                    return Ok::<_, StoreError>(());
                }
                sqlx::query(SAVE_CONTACT)
                    .bind(number.e164().to_owned())
                    .bind(contact.name.clone())
                    .bind(contact.note.clone())
                    .bind(now.as_millisecond())
                    .execute(&mut *writing.sql)
                    .await?;
                writing.touches_the_list();
                let text = format!("{} {}", contact.name, contact.note);
                search::keep_contact_words(writing.sql, &number, &text).await?;
                let change = |before: &str, after: &str| format!("«{before}» → «{after}»");
                let mut detail = change(&before.name, &contact.name);
                if before.note != contact.note {
                    detail = format!("{detail}; {}", change(&before.note, &contact.note));
                }
                let object = format!("caller {}", number.e164());
                audit::keep(&mut writing, &by, "contact", &object, &detail, &address, now);
                Ok(())
            })
        })
        .await
    }

    /// The callbacks of a number, newest first. `after`: `received_at` and id of the last one seen; `limit`: at most 200.
    pub async fn callbacks_of_number(
        &self,
        number: &PhoneNumber,
        after: Option<(Timestamp, i64)>,
        limit: usize,
    ) -> Result<CallbackPage> {
        let limit = limit.clamp(1, 200);
        let (at, id) = after.map_or((i64::MAX, i64::MAX), |(at, id)| (at.as_millisecond(), id));
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query(LIST_CALLBACKS_OF_NUMBER)
            .bind(number.e164().to_owned())
            .bind(at)
            .bind(id)
            .bind(limit as i64 + 1)
            .bind(self.asked_lines(None)?)
            .fetch_all(&mut *connection)
            .await?;
        let mut found = rows.iter().map(callbacks::read).collect::<Result<Vec<_>>>()?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| (0, last.received_at.as_millisecond(), last.id));
        let items = with_everything(&mut connection, found, NEWEST).await?;
        Ok(CallbackPage { items: self.without_other_lines(items), next })
    }
}

const CONTACTS: ManyRows = ManyRows {
    name: "CONTACTS",
    head: "SELECT contact.number AS number, contact.name AS name, contact.note AS note",
    columns: &[Column::Text],
    tail: "JOIN contact ON contact.number = column1",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&CONTACTS];

statements! {
    /// Reads what is known of the number, making an empty row if it is new, and holds it until the transaction ends.
    HOLD_CONTACT = "
        INSERT INTO contact (number, name, note, changed_at) VALUES ($1, '', '', $2)
        ON CONFLICT (number) DO UPDATE SET number = excluded.number
        RETURNING name, note";
    SAVE_CONTACT = "UPDATE contact SET name = $2, note = $3, changed_at = $4 WHERE number = $1";
    LIST_CALLBACKS_OF_NUMBER = "
        SELECT * FROM callback
        WHERE callback_number = $1 AND (received_at, id) < ($2, $3)
          AND (CAST($5 AS TEXT) IS NULL OR REPLACE($5, ',' || line || ',', '') <> $5)
        ORDER BY received_at DESC, id DESC
        LIMIT $4";
}
