//! The chain of the audit: each row carries the hash of the row before, so that a row that is changed, taken out or put in is
//! found, and whoever has the hash of one row on paper can prove all rows up to it.
//!
//! What a row says (name, object, detail, address) stands in its hash as a salted digest of its own. Content that has to be
//! erased goes together with its salt, without which nobody can guess it back from the digest, and the chain still holds.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::sql::{Column, Columns, ManyRows, statements};
use super::{Result, Store};

/// The first schema in which the audit has a chain.
pub(super) const FIRST_SCHEMA: i64 = 27;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// Hexadecimal digits of a hash that are printed: 48 bits.
const PRINTED_DIGITS: usize = 12;
/// Rows that are checked at a time.
const PAGE: i64 = 1000;

type Hash = [u8; 32];

/// A row of the audit that has no place in the chain yet.
#[derive(Clone, Debug)]
pub(super) struct NewRow {
    pub id: i64,
    pub at_ms: i64,
    pub actor_id: String,
    pub actor_name: String,
    pub action: String,
    pub object: String,
    pub detail: String,
    pub address: String,
}

/// The rows that one transaction writes. They enter the table as its last act: whoever adds to the chain holds its end, and
/// waits for nothing else while he does.
#[derive(Default)]
pub(super) struct NewRows(Vec<NewRow>);

impl NewRows {
    pub fn push(&mut self, row: NewRow) {
        self.0.push(row);
    }

    pub fn extend(&mut self, rows: Self) {
        self.0.extend(rows.0);
    }

    pub async fn write(&self, connection: &mut AnyConnection) -> Result<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => append(connection, &self.0).await,
        }
    }
}

/// Writes the rows at the end of the chain, in their order.
pub(super) async fn append(connection: &mut AnyConnection, rows: &[NewRow]) -> Result<()> {
    let held = sqlx::query(LENGTHEN_CHAIN).bind(rows.len() as i64).fetch_one(&mut *connection).await?;
    let end = read_end(&held)?;
    let first_seq = end.seq - rows.len() as i64 + 1;
    let mut sha256 = end.sha256;
    let links: Vec<(&NewRow, Link)> = rows
        .iter()
        .zip(first_seq..)
        .map(|(row, seq)| {
            let mut salt = [0; SALT_BYTES];
            getrandom::fill(&mut salt)
                .expect("the system gives random numbers: without them nobody could sign in either");
            let content_sha256 = content_hash(&salt, [&row.actor_name, &row.object, &row.detail, &row.address]);
            sha256 = row_hash(sha256, [seq, row.id, row.at_ms], [&row.actor_id, &row.action], content_sha256);
            (row, Link { seq, salt: Some(salt.to_vec()), content_sha256, sha256 })
        })
        .collect();
    APPEND_AUDIT
        .query(connection, &links, |params, (row, link)| {
            params.add(row.id);
            params.add(row.at_ms);
            for text in [&row.actor_id, &row.actor_name, &row.action, &row.object, &row.detail, &row.address] {
                params.add(text.clone());
            }
            params.add(link.seq);
            params.add(link.salt.clone());
            params.add(link.content_sha256.to_vec());
            params.add(link.sha256.to_vec());
        })
        .execute(&mut *connection)
        .await?;
    sqlx::query(SET_END_OF_CHAIN).bind(sha256.to_vec()).execute(connection).await?;
    Ok(())
}

/// What a row of the chain has beside the audit's own columns.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    seq: i64,
    salt: Option<Vec<u8>>,
    content_sha256: Hash,
    sha256: Hash,
}

fn content_hash(salt: &[u8], texts: [&str; 4]) -> Hash {
    let mut hasher = Sha256::new_with_prefix(salt);
    add_texts(&mut hasher, &texts);
    hasher.finalize().into()
}

fn row_hash(before: Hash, [seq, id, at_ms]: [i64; 3], texts: [&str; 2], content: Hash) -> Hash {
    let mut hasher = Sha256::new_with_prefix(before);
    for number in [seq, id, at_ms] {
        hasher.update(number.to_be_bytes());
    }
    add_texts(&mut hasher, &texts);
    hasher.update(content);
    hasher.finalize().into()
}

/// Each with its length, so that no letter can move from one to the next.
fn add_texts(hasher: &mut Sha256, texts: &[&str]) {
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
}

/// Where the chain begins: how many rows there were before it.
fn beginning(older_rows: i64, newest_older_id: i64) -> Hash {
    let hasher = Sha256::new_with_prefix("perezvon audit");
    let hasher = hasher.chain_update(older_rows.to_be_bytes()).chain_update(newest_older_id.to_be_bytes());
    hasher.finalize().into()
}

/// The last row of the chain, for paper: `1234 3f2a-91bc-77de`. Who holds it can prove every row up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    pub seq: i64,
    /// The first six bytes of the hash of that row.
    start: [u8; PRINTED_DIGITS / 2],
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.seq)?;
        for (index, pair) in self.start.chunks(2).enumerate() {
            write!(f, "{}{:02x}{:02x}", if index == 0 { "" } else { "-" }, pair[0], pair[1])?;
        }
        Ok(())
    }
}

/// What is no head as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number and twelve hexadecimal digits")]
pub struct NotAHead;

impl FromStr for AuditHead {
    type Err = NotAHead;

    /// As it was printed, with any signs between the digits.
    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (seq, digits) = text.trim().split_once(|sign: char| !sign.is_ascii_digit()).ok_or(NotAHead)?;
        let seq = seq.parse().map_err(|_| NotAHead)?;
        let digits: Vec<u8> = digits
            .chars()
            .filter(|sign| !matches!(sign, ' ' | '-' | '\u{a0}'))
            .map(|sign| sign.to_digit(16).map(|digit| digit as u8).ok_or(NotAHead))
            .collect::<Result<_, _>>()?;
        if digits.len() != PRINTED_DIGITS {
            return Err(NotAHead);
        }
        let mut start = [0; PRINTED_DIGITS / 2];
        start.iter_mut().zip(digits.chunks(2)).for_each(|(byte, pair)| *byte = pair[0] << 4 | pair[1]);
        Ok(Self { seq, start })
    }
}

/// Something that is wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// Rows of these places are not there.
    Missing { first: i64, last: i64 },
    /// The row is not what was written.
    Changed { seq: i64, id: i64 },
    /// The row does not follow the one before: one of the two is not what was written.
    Unlinked { seq: i64, id: i64 },
    /// A row that nobody has added to the chain.
    Added { id: i64 },
    /// The hash that stands for the end of the chain is not that of its last row.
    WrongEnd { seq: i64 },
    /// Not as many rows from before the chain as there were when it began.
    OlderRows { written: i64, found: i64 },
    /// The row of this place is not the one that was printed.
    NotAsPrinted { seq: i64 },
}

/// What a look through the chain has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCheck {
    /// Rows of the chain that are what was written.
    pub good: u64,
    /// Of which the content was erased.
    pub erased: u64,
    /// Rows from before there was a chain, which nothing protects.
    pub older: i64,
    pub head: Option<AuditHead>,
    /// At most [`MAX_FAULTS`].
    pub faults: Vec<AuditFault>,
}

/// Of a chain that is wrong everywhere so many faults tell enough.
pub const MAX_FAULTS: usize = 100;

struct End {
    seq: i64,
    sha256: Hash,
    older_rows: i64,
    newest_older_id: i64,
}

impl End {
    fn head(&self) -> Option<AuditHead> {
        (self.seq > 0).then(|| AuditHead { seq: self.seq, start: start_of(&self.sha256) })
    }
}

fn start_of(sha256: &Hash) -> [u8; PRINTED_DIGITS / 2] {
    std::array::from_fn(|index| sha256[index])
}

fn read_end(row: &AnyRow) -> Result<End> {
    let columns = Columns::of("audit_chain", row);
    let (older_rows, newest_older_id) = (columns.get("older_rows")?, columns.get("newest_older_id")?);
    let sha256 = match columns.get::<Option<Vec<u8>>>("sha256")? {
        Some(bytes) => hash_of(&columns, "sha256", bytes)?,
        None => beginning(older_rows, newest_older_id),
    };
    Ok(End { seq: columns.get("seq")?, sha256, older_rows, newest_older_id })
}

fn hash_of(columns: &Columns<'_>, column: &'static str, bytes: Vec<u8>) -> Result<Hash> {
    bytes.try_into().map_err(|_| columns.corrupt(column))
}

impl Store {
    /// `None`: nothing has been written yet.
    pub async fn audit_head(&self) -> Result<Option<AuditHead>> {
        Ok(self.end_of_audit().await?.head())
    }

    async fn end_of_audit(&self) -> Result<End> {
        read_end(&sqlx::query(END_OF_CHAIN).fetch_one(&self.readers).await?)
    }

    /// Goes through the whole chain. `printed`: the head of some day, as paper has it.
    pub async fn check_audit(&self, printed: Option<AuditHead>) -> Result<AuditCheck> {
        let end = self.end_of_audit().await?;
        let mut walk = Walk::from(&end, printed);
        loop {
            let rows = sqlx::query(PAGE_OF_CHAIN).bind(walk.seq).bind(end.seq).bind(PAGE);
            let rows = rows.fetch_all(&self.readers).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                walk.step(row)?;
            }
        }
        walk.ends_at(&end);
        let outside = sqlx::query(OUTSIDE_CHAIN).bind(end.newest_older_id).bind(MAX_FAULTS as i64);
        for row in outside.fetch_all(&self.readers).await? {
            walk.report(AuditFault::Added { id: row.try_get("id")? });
        }
        let older: i64 = sqlx::query_scalar(COUNT_OLDER).bind(end.newest_older_id).fetch_one(&self.readers).await?;
        if older != end.older_rows {
            walk.report(AuditFault::OlderRows { written: end.older_rows, found: older });
        }
        Ok(AuditCheck { older, head: end.head(), ..walk.found })
    }
}

/// The way along the chain.
struct Walk {
    /// The place reached, and the hash that is written there.
    seq: i64,
    sha256: Hash,
    printed: Option<AuditHead>,
    found: AuditCheck,
}

impl Walk {
    fn from(end: &End, printed: Option<AuditHead>) -> Self {
        let sha256 = beginning(end.older_rows, end.newest_older_id);
        Self { seq: 0, sha256, printed, found: AuditCheck::default() }
    }

    fn report(&mut self, fault: AuditFault) {
        if self.found.faults.len() < MAX_FAULTS {
            self.found.faults.push(fault);
        }
    }

    fn step(&mut self, row: &AnyRow) -> Result<()> {
        let columns = Columns::of("audit", row);
        let (seq, id, at_ms): (i64, i64, i64) = (columns.get("seq")?, columns.get("id")?, columns.get("at")?);
        let text = |column| columns.get::<String>(column);
        let (actor_id, action) = (text("actor_id")?, text("action")?);
        let content = [text("actor_name")?, text("object")?, text("detail")?, text("address")?];
        // What stands there may be anything.
        let written =
            |column| columns.get::<Option<Vec<u8>>>(column).map(|bytes| bytes.and_then(|it| it.try_into().ok()));
        let (content_sha256, sha256): (Option<Hash>, Option<Hash>) = (written("content_sha256")?, written("sha256")?);
        let salt: Option<Vec<u8>> = columns.get("salt")?;
        let content_hash = salt.as_ref().map(|salt| content_hash(salt, content.each_ref().map(String::as_str)));
        let is_content_good = content_sha256.is_some() && content_hash.is_none_or(|hash| content_sha256 == Some(hash));
        let follows = |before| {
            content_sha256.map(|content| row_hash(before, [seq, id, at_ms], [&actor_id, &action], content)) == sha256
        };
        let is_next = seq == self.seq + 1;
        if !is_next {
            self.report(AuditFault::Missing { first: self.seq + 1, last: seq - 1 });
        }
        match is_content_good {
            false => self.report(AuditFault::Changed { seq, id }),
            // Behind a gap there is nothing to compare with.
            true if is_next && !follows(self.sha256) => self.report(AuditFault::Unlinked { seq, id }),
            true => {
                self.found.good += 1;
                self.found.erased += u64::from(salt.is_none());
            }
        }
        if let Some(printed) = self.printed.take_if(|printed| printed.seq == seq)
            && sha256.is_none_or(|sha256| start_of(&sha256) != printed.start)
        {
            self.report(AuditFault::NotAsPrinted { seq });
        }
        (self.seq, self.sha256) = (seq, sha256.unwrap_or_default());
        Ok(())
    }

    fn ends_at(&mut self, end: &End) {
        if self.seq < end.seq {
            self.report(AuditFault::Missing { first: self.seq + 1, last: end.seq });
        } else if self.sha256 != end.sha256 {
            self.report(AuditFault::WrongEnd { seq: end.seq });
        }
        if let Some(printed) = self.printed.take() {
            self.report(AuditFault::NotAsPrinted { seq: printed.seq });
        }
    }
}

pub(super) const MANY_ROW_STATEMENTS: &[&ManyRows] = &[&APPEND_AUDIT];

const APPEND_AUDIT: ManyRows = ManyRows {
    name: "APPEND_AUDIT",
    head: "
        INSERT INTO audit
            (id, at, actor_id, actor_name, action, object, detail, address, seq, salt, content_sha256, sha256)
        SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11, column12",
    columns: &[
        Column::Number,
        Column::Number,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Text,
        Column::Number,
        Column::Bytes,
        Column::Bytes,
        Column::Bytes,
    ],
    tail: "WHERE column1 IS NOT NULL",
};

statements! {
    /// Holds the end until the commit.
    LENGTHEN_CHAIN = "
        UPDATE audit_chain SET seq = seq + $1 WHERE id = 1
        RETURNING seq, sha256, older_rows, newest_older_id";
    SET_END_OF_CHAIN = "
        UPDATE audit_chain SET sha256 = $1 WHERE id = 1";
    END_OF_CHAIN = "
        SELECT seq, sha256, older_rows, newest_older_id FROM audit_chain WHERE id = 1";
    PAGE_OF_CHAIN = "
        SELECT id, at, actor_id, actor_name, action, object, detail, address, seq, salt, content_sha256, sha256
        FROM audit
        WHERE seq > $1 AND seq <= $2
        ORDER BY seq
        LIMIT $3";
    /// One statement, so that a row that is added to the chain meanwhile is seen with its end or not at all.
    OUTSIDE_CHAIN = "
        SELECT id FROM audit
        WHERE seq IS NULL AND id > $1
            OR seq > (SELECT seq FROM audit_chain WHERE id = 1)
        ORDER BY id
        LIMIT $2";
    COUNT_OLDER = "
        SELECT COUNT(*) FROM audit WHERE seq IS NULL AND id <= $1";
}
