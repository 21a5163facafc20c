//! What the search of the log goes by: the digits of every number, the words of what officers wrote, the names of numbers.
//!
//! Nothing of it is written while a call comes in. What is new since the last look is gone through before a search, and
//! from time to time by the worker, so there is never much.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::log::Among;
use super::sql::{Column, Columns, ManyRows, statements};
use super::{Result, Store, StoreError};
use crate::core::call::Direction;
use crate::core::phone::PhoneNumber;
use crate::core::search::{FEWEST_DIGITS, MOST_DIGITS, PartOfNumber, Search, words};

/// So many numbers are asked for one by one; digits that are in more are looked for along the log itself.
const MOST_NUMBERS: usize = 100;
/// So many callbacks that a word is in are looked at, the newest.
const MOST_CALLBACKS: usize = 1_000;
/// So many places of a word are read; a word that is in more is looked for in the newest callbacks.
const MOST_PLACES: i64 = 5_000;
/// So many of the newest callbacks are gone through for words that are in many.
const MOST_LOOKED_THROUGH: usize = 10_000;
/// So many of the words typed are looked for.
const MOST_WORDS: usize = 8;
/// Rows gone through in one commit.
const PIECE: i64 = 2_000;
/// Commits of one look, so that no search waits for long after a long time without one.
const PIECES: usize = 20;

/// What a search comes down to.
#[derive(Default)]
pub(super) struct Source {
    /// The numbers and callbacks whose calls are wanted; `None`: the whole log.
    pub among: Option<Among>,
    /// What is then still to be compared.
    pub part: Option<PartOfNumber>,
    /// Older callbacks with these words were left out.
    pub newest_only: bool,
}

impl Store {
    /// Where the calls are that this finds.
    pub(super) async fn source(&self, search: &Search) -> Result<Source> {
        let found = |among| Ok(Source { among: Some(among), ..Source::default() });
        match search {
            Search::TooShort => found(Among::default()),
            Search::Number(number) => found(Among { numbers: vec![number.clone()], ..Among::default() }),
            Search::Part(part) => {
                self.renew_search().await?;
                match self.numbers_with(part).await? {
                    Some(numbers) => found(Among { numbers, ..Among::default() }),
                    None => Ok(Source { part: Some(part.clone()), ..Source::default() }),
                }
            }
            Search::Words(words) => {
                self.renew_search().await?;
                self.with_words(words).await
            }
        }
    }

    /// The numbers with these digits; `None`: too many to be asked for one by one.
    async fn numbers_with(&self, part: &PartOfNumber) -> Result<Option<Vec<PhoneNumber>>> {
        let mut numbers = BTreeSet::new();
        for digits in [&part.anywhere, &part.beginning].into_iter().flatten() {
            let Some((from, to)) = range(digits) else { continue };
            // A number may hold the digits more than once, and shorter ones look as if filled up with zeros.
            let most = (MOST_NUMBERS * MOST_DIGITS) as i64;
            let rows = sqlx::query(NUMBERS_WITH).bind(from).bind(to).bind(most).fetch_all(&self.readers).await?;
            let is_cut = rows.len() as i64 == most;
            for row in &rows {
                let columns = Columns::of("number_tail", row);
                let number = columns.parsed("number", PhoneNumber::stored)?;
                if part.is_in(&number) {
                    numbers.insert(number);
                }
            }
            if is_cut || numbers.len() > MOST_NUMBERS {
                return Ok(None);
            }
        }
        Ok(Some(numbers.into_iter().collect()))
    }

    /// All words must be there: in what was written about one callback, or in the name and note of one number.
    async fn with_words(&self, words: &[String]) -> Result<Source> {
        let mut connection = self.readers.acquire().await?;
        let words = &words[..words.len().min(MOST_WORDS)];
        let (callbacks, older_left) = callbacks_with(&mut connection, words).await?;
        let (numbers, more_left) = numbers_named(&mut connection, words).await?;
        Ok(Source { among: Some(Among { numbers, callbacks }), part: None, newest_only: older_left || more_left })
    }

    /// Goes through what was kept since the last look: by the worker from time to time, and before each search.
    pub async fn renew_search(&self) -> Result<()> {
        for _ in 0..PIECES {
            let (deliveries, steps) = (self.is_behind("delivery").await?, self.is_behind("callback_history").await?);
            if !deliveries && !steps {
                return Ok(());
            }
            self.write(move |writing| {
                Box::pin(async move {
                    if deliveries {
                        keep_new_numbers(writing.sql).await?;
                    }
                    if steps {
                        keep_new_words(writing.sql).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        }
        Ok(())
    }

    async fn is_behind(&self, part: &'static str) -> Result<bool> {
        let sql = if part == "delivery" { ANY_NEW_DELIVERY } else { ANY_NEW_STEP };
        Ok(sqlx::query(sql).bind(part).fetch_optional(&self.readers).await?.is_some())
    }
}

/// The newest callbacks with all these words, newest first, and whether older ones are left out.
async fn callbacks_with(connection: &mut AnyConnection, words: &[String]) -> Result<(Vec<i64>, bool)> {
    let mut rarest: Option<(usize, Vec<i64>)> = None;
    for (index, word) in words.iter().enumerate() {
        let ids: Vec<i64> = places(connection, CALLBACKS_WITH, word).await?;
        if rarest.as_ref().is_none_or(|(_, known)| ids.len() < known.len()) {
            rarest = Some((index, ids));
        }
    }
    let Some((rarest, ids)) = rarest else { return Ok((Vec::new(), false)) };
    if ids.len() < MOST_PLACES as usize {
        let others = words.iter().enumerate().filter(|(index, _)| *index != rarest).map(|(_, word)| word);
        let others: Vec<&String> = others.collect();
        let ids: BTreeSet<i64> = ids.into_iter().collect();
        let ids: Vec<i64> = ids.into_iter().rev().collect();
        let mut found = Vec::new();
        for ids in ids.chunks(MOST_CALLBACKS) {
            found.extend(those_with(connection, ids.to_vec(), &others).await?);
        }
        let is_cut = found.len() > MOST_CALLBACKS;
        found.truncate(MOST_CALLBACKS);
        return Ok((found, is_cut));
    }
    // Each word is in many: the newest callbacks are gone through, for most of what is looked for is there.
    let (mut found, mut before, words) = (Vec::new(), i64::MAX, words.iter().collect::<Vec<_>>());
    for _ in 0..MOST_LOOKED_THROUGH / MOST_CALLBACKS {
        let rows = sqlx::query(NEWEST_CALLBACKS).bind(before).bind(MOST_CALLBACKS as i64).fetch_all(&mut *connection);
        let ids = rows.await?.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>>>()?;
        let Some(last) = ids.last() else { return Ok((found, false)) };
        before = *last;
        found.extend(those_with(connection, ids, &words).await?);
        if found.len() > MOST_CALLBACKS {
            found.truncate(MOST_CALLBACKS);
            break;
        }
    }
    Ok((found, true))
}

/// Those of these callbacks that have all the words, in their order.
async fn those_with(connection: &mut AnyConnection, mut ids: Vec<i64>, words: &[&String]) -> Result<Vec<i64>> {
    for word in words {
        if ids.is_empty() {
            break;
        }
        let query = THOSE_WITH.query(connection, &ids, |params, id| {
            params.add(*id);
            params.add(word.as_bytes().to_vec());
            params.add(after_all_with(word));
        });
        let rows = query.fetch_all(&mut *connection).await?;
        let having = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<i64>>>()?;
        ids.retain(|id| having.contains(id));
    }
    Ok(ids)
}

/// Numbers with all these words in their names and notes, and whether there are, or may be, more.
async fn numbers_named(connection: &mut AnyConnection, words: &[String]) -> Result<(Vec<PhoneNumber>, bool)> {
    let (mut numbers, mut is_cut): (Option<BTreeSet<String>>, bool) = (None, false);
    for word in words {
        let named: Vec<String> = places(connection, CONTACTS_WITH, word).await?;
        is_cut |= named.len() == MOST_PLACES as usize;
        let named: BTreeSet<String> = named.into_iter().collect();
        numbers = Some(numbers.map_or(named.clone(), |known| &known & &named));
    }
    let numbers = numbers.unwrap_or_default();
    is_cut |= numbers.len() > MOST_NUMBERS;
    Ok((numbers.iter().filter_map(|number| PhoneNumber::stored(number)).take(MOST_NUMBERS).collect(), is_cut))
}

/// Where words with this beginning stand, as many as are read.
async fn places<T>(connection: &mut AnyConnection, sql: &'static str, word: &str) -> Result<Vec<T>>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    let query = sqlx::query(sql).bind(word.as_bytes().to_vec()).bind(after_all_with(word)).bind(MOST_PLACES);
    query.fetch_all(&mut *connection).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The words of texts about callbacks, by the id of each, to be found by.
pub(super) async fn keep_words(connection: &mut AnyConnection, texts: &[(i64, String)]) -> Result<()> {
    let new: BTreeSet<(String, i64)> =
        texts.iter().flat_map(|(id, text)| words(text).into_iter().map(|word| (word, *id))).collect();
    let new: Vec<(String, i64)> = new.into_iter().collect();
    for new in new.chunks(1_000) {
        let query = KEEP_CALLBACK_WORDS.query(connection, new, |params, (word, id)| {
            params.add(word.as_bytes().to_vec());
            params.add(*id);
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// What was said or written about a callback is erased: it is found by the words that are left.
pub(super) async fn renew_words(connection: &mut AnyConnection, callback_id: i64) -> Result<()> {
    sqlx::query(FORGET_CALLBACK_WORDS).bind(callback_id).execute(&mut *connection).await?;
    let rows = sqlx::query(STEPS_OF_CALLBACK).bind(callback_id).fetch_all(&mut *connection).await?;
    keep_words(connection, &written(&rows)?).await?;
    let rows = sqlx::query(SAID_ABOUT_CALLBACK).bind(callback_id).fetch_all(&mut *connection).await?;
    let said = rows.iter().map(|row| Ok((callback_id, Columns::of("voicemail", row).get("transcript")?)));
    keep_words(connection, &said.collect::<Result<Vec<_>>>()?).await
}

/// What the messages of one callback say is found under another, which they are about to join.
pub(super) async fn move_words(connection: &mut AnyConnection, from: i64, into: i64) -> Result<()> {
    for row in sqlx::query(SAID_ABOUT_CALLBACK).bind(from).fetch_all(&mut *connection).await? {
        let text: String = Columns::of("voicemail", &row).get("transcript")?;
        for word in words(&text) {
            sqlx::query(FORGET_CALLBACK_WORD).bind(word.into_bytes()).bind(from).execute(&mut *connection).await?;
        }
        keep_words(connection, &[(into, text)]).await?;
    }
    Ok(())
}

/// No search finds this number any more.
pub(super) async fn forget_number(connection: &mut AnyConnection, number: &PhoneNumber) -> Result<()> {
    for tail in tails(number) {
        let query = sqlx::query(FORGET_TAIL).bind(tail).bind(number.e164().to_owned());
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// The words of the name and note of this number, in place of those it had.
pub(super) async fn keep_contact_words(connection: &mut AnyConnection, number: &PhoneNumber, text: &str) -> Result<()> {
    sqlx::query(FORGET_CONTACT_WORDS).bind(number.e164().to_owned()).execute(&mut *connection).await?;
    let words: Vec<String> = words(text).into_iter().collect();
    if words.is_empty() {
        return Ok(());
    }
    let query = KEEP_CONTACT_WORDS.query(connection, &words, |params, word| {
        params.add(word.as_bytes().to_vec());
        params.add(number.e164().to_owned());
    });
    query.execute(&mut *connection).await?;
    Ok(())
}

async fn up_to(connection: &mut AnyConnection, part: &'static str) -> Result<i64> {
    let row = sqlx::query(HOLD_PROGRESS).bind(part).fetch_one(&mut *connection).await?;
    Ok(row.try_get("up_to")?)
}

async fn seen_up_to(connection: &mut AnyConnection, part: &'static str, id: i64) -> Result<()> {
    sqlx::query(KEEP_PROGRESS).bind(part).bind(id).execute(&mut *connection).await?;
    Ok(())
}

async fn keep_new_numbers(connection: &mut AnyConnection) -> Result<()> {
    let from = up_to(connection, "delivery").await?;
    let rows = sqlx::query(NEW_PARTIES).bind(from).bind(PIECE).fetch_all(&mut *connection).await?;
    let mut numbers = BTreeSet::new();
    let mut last = from;
    for row in &rows {
        let columns = Columns::of("delivery", row);
        last = last.max(columns.get("id")?);
        let direction = columns.optional_parsed("direction", super::calls::direction_from_word)?;
        let party: Option<String> = match direction {
            Some(Direction::Outbound) => columns.get("dialled")?,
            _ => columns.get("caller")?,
        };
        numbers.extend(party.and_then(|party| PhoneNumber::stored(&party)));
    }
    keep_numbers(connection, numbers.into_iter().collect()).await?;
    seen_up_to(connection, "delivery", last).await
}

async fn keep_numbers(connection: &mut AnyConnection, numbers: Vec<PhoneNumber>) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let query = KNOWN_NUMBERS.query(connection, &numbers, |params, number| {
        params.add(tails(number).next());
        params.add(number.e164().to_owned());
    });
    let known = query.fetch_all(&mut *connection).await?;
    let known = known.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<String>>>()?;
    let new: Vec<(i64, &PhoneNumber)> = numbers
        .iter()
        .filter(|number| !known.contains(number.e164()))
        .flat_map(|number| tails(number).map(move |tail| (tail, number)))
        .collect();
    for new in new.chunks(1_000) {
        let query = KEEP_TAILS.query(connection, new, |params, (tail, number)| {
            params.add(*tail);
            params.add(number.e164().to_owned());
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn keep_new_words(connection: &mut AnyConnection) -> Result<()> {
    let from = up_to(connection, "callback_history").await?;
    let rows = sqlx::query(NEW_STEPS).bind(from).bind(PIECE).fetch_all(&mut *connection).await?;
    keep_words(connection, &written(&rows)?).await?;
    let last = rows.iter().map(|row| Columns::of("callback_history", row).get("id"));
    let last = last.collect::<Result<Vec<i64>>>()?.into_iter().max().unwrap_or(from);
    seen_up_to(connection, "callback_history", last).await
}

/// What officers wrote in these steps and about their callbacks, with the callback's id.
fn written(rows: &[AnyRow]) -> Result<Vec<(i64, String)>> {
    let mut texts = Vec::new();
    for row in rows {
        let columns = Columns::of("callback_history", row);
        let id = columns.get("callback_id")?;
        // The note of an undoing is the kind of step it took back.
        if columns.get::<String>("kind")? != "undo" {
            texts.push((id, columns.get::<String>("step_note")?));
        }
        for column in ["note", "summary", "reference"] {
            texts.extend(columns.get::<Option<String>>(column)?.map(|text| (id, text)));
        }
    }
    Ok(texts)
}

/// The digits of a number from each place on, filled up with zeros; the whole number first.
fn tails(number: &PhoneNumber) -> impl Iterator<Item = i64> + use<'_> {
    let digits = number.e164().trim_start_matches('+');
    let places = 0..(digits.len() + 1).saturating_sub(FEWEST_DIGITS);
    places.filter_map(move |place| filled(&digits[place..], '0'))
}

/// All tails that begin with these digits.
fn range(digits: &str) -> Option<(i64, i64)> {
    Some((filled(digits, '0')?, filled(digits, '9')?))
}

fn filled(digits: &str, with: char) -> Option<i64> {
    let rest = MOST_DIGITS.checked_sub(digits.len())?;
    let filled: String = digits.chars().chain(std::iter::repeat_n(with, rest)).collect();
    filled.parse().ok()
}

/// Bytes greater than every word with this beginning: no letter of UTF-8 has the byte 255.
fn after_all_with(beginning: &str) -> Vec<u8> {
    [beginning.as_bytes(), &[0xff]].concat()
}

const KNOWN_NUMBERS: ManyRows = ManyRows {
    name: "KNOWN_NUMBERS",
    head: "SELECT number_tail.number AS number",
    columns: &[Column::Number, Column::Text],
    tail: "JOIN number_tail ON number_tail.tail = column1 AND number_tail.number = column2",
};

const KEEP_TAILS: ManyRows = ManyRows {
    name: "KEEP_TAILS",
    head: "INSERT INTO number_tail (tail, number) SELECT column1, column2",
    columns: &[Column::Number, Column::Text],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (tail, number) DO NOTHING",
};

const KEEP_CALLBACK_WORDS: ManyRows = ManyRows {
    name: "KEEP_CALLBACK_WORDS",
    head: "INSERT INTO callback_word (word, callback_id) SELECT column1, column2",
    columns: &[Column::Bytes, Column::Number],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (word, callback_id) DO NOTHING",
};

const KEEP_CONTACT_WORDS: ManyRows = ManyRows {
    name: "KEEP_CONTACT_WORDS",
    head: "INSERT INTO contact_word (word, number) SELECT column1, column2",
    columns: &[Column::Bytes, Column::Text],
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (word, number) DO NOTHING",
};

const THOSE_WITH: ManyRows = ManyRows {
    name: "THOSE_WITH",
    head: "SELECT DISTINCT callback_word.callback_id AS id",
    columns: &[Column::Number, Column::Bytes, Column::Bytes],
    tail: "JOIN callback_word ON callback_word.callback_id = column1
            AND callback_word.word >= column2 AND callback_word.word < column3",
};

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] =
    &[&KNOWN_NUMBERS, &KEEP_TAILS, &KEEP_CALLBACK_WORDS, &KEEP_CONTACT_WORDS, &THOSE_WITH];

statements! {
    FORGET_CALLBACK_WORDS = "DELETE FROM callback_word WHERE callback_id = $1";
    FORGET_TAIL = "DELETE FROM number_tail WHERE tail = $1 AND number = $2";
    FORGET_CALLBACK_WORD = "DELETE FROM callback_word WHERE word = $1 AND callback_id = $2";
    SAID_ABOUT_CALLBACK = "
        SELECT voicemail.id AS id, voicemail.transcript AS transcript
        FROM call
        JOIN voicemail ON voicemail.call_id = call.id
        WHERE call.callback_id = $1 AND voicemail.transcript IS NOT NULL
        ORDER BY voicemail.id DESC
        LIMIT 1000";
    STEPS_OF_CALLBACK = "
        SELECT step.id, step.callback_id, step.kind, step.note AS step_note, callback.note, callback.summary, callback.reference
        FROM callback_history AS step
        JOIN callback ON callback.id = step.callback_id
        WHERE step.callback_id = $1";
    NUMBERS_WITH = "
        SELECT number FROM number_tail
        WHERE tail BETWEEN $1 AND $2
        LIMIT $3";
    CALLBACKS_WITH = "
        SELECT callback_id FROM callback_word
        WHERE word >= $1 AND word < $2
        LIMIT $3";
    NEWEST_CALLBACKS = "
        SELECT id FROM callback
        WHERE id < $1
        ORDER BY id DESC
        LIMIT $2";
    CONTACTS_WITH = "
        SELECT number FROM contact_word
        WHERE word >= $1 AND word < $2
        LIMIT $3";
    FORGET_CONTACT_WORDS = "DELETE FROM contact_word WHERE number = $1";
    HOLD_PROGRESS = "UPDATE search_progress SET up_to = up_to WHERE part = $1 RETURNING up_to";
    KEEP_PROGRESS = "UPDATE search_progress SET up_to = $2 WHERE part = $1";
    ANY_NEW_DELIVERY = "
        SELECT delivery.id AS id FROM search_progress
        JOIN delivery ON delivery.id > search_progress.up_to
        WHERE search_progress.part = $1
        LIMIT 1";
    ANY_NEW_STEP = "
        SELECT step.id AS id FROM search_progress
        JOIN callback_history AS step ON step.id > search_progress.up_to
        WHERE search_progress.part = $1
        LIMIT 1";
    NEW_PARTIES = "
        SELECT delivery.id AS id, call.direction AS direction, call.caller AS caller, call.dialled AS dialled
        FROM delivery
        LEFT JOIN call ON call.id = delivery.call_id
        WHERE delivery.id > $1
        ORDER BY delivery.id
        LIMIT $2";
    NEW_STEPS = "
        SELECT step.id AS id, step.callback_id AS callback_id, step.kind AS kind, step.note AS step_note,
            callback.note AS note, callback.summary AS summary, callback.reference AS reference
        FROM callback_history AS step
        LEFT JOIN callback ON callback.id = step.callback_id
        WHERE step.id > $1
        ORDER BY step.id
        LIMIT $2";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_number_lies_in_the_range_of_its_digits() {
        let number = PhoneNumber::parse("89280036355").unwrap();
        let digits = number.e164().trim_start_matches('+').to_owned();
        for from in 0..digits.len() - 2 {
            for to in from + 3..=digits.len() {
                let (low, high) = range(&digits[from..to]).unwrap();
                assert!(tails(&number).any(|tail| (low..=high).contains(&tail)), "{}", &digits[from..to]);
            }
        }
        assert!(range("1234567890123456").is_none());
    }
}
