//! That the list of callbacks has changed: told to all who listen in this house after each commit that touched it, and to
//! the other houses on the same PostgreSQL database by a row that each house has for itself.
//!
//! Telling costs one atomic step and no statement; only where several houses may share a database each commit that touches
//! the list writes the row as well. Others look at those rows every few seconds, and only while somebody listens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Row};
use tokio::sync::watch;

use super::sql::statements;
use super::{Result, Store};

/// Between two looks at what other houses have told.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What has happened so far. Numbers only ever grow, and begin anew somewhere else with each start of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Grows with each commit that changed the list of callbacks or a message on it.
    pub list: u64,
    /// Grows when somebody may no longer be here: signed out, disabled, with a new password.
    pub people: u64,
    /// The program ends: whoever listens shall stop.
    pub over: bool,
}

/// What one commit touched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touched {
    pub list: bool,
    pub people: bool,
}

impl std::ops::BitOrAssign for Touched {
    fn bitor_assign(&mut self, other: Self) {
        self.list |= other.list;
        self.people |= other.people;
    }
}

/// The one who tells. Cheap to clone.
#[derive(Clone)]
pub(super) struct News(Arc<Parts>);

struct Parts {
    told: watch::Sender<Told>,
    house: i64,
    /// Whether other houses may write to the same database.
    shared: bool,
    others: Mutex<Others>,
}

/// What was last seen of the other houses, and when. At the start nobody has told anything: [`News::begin`] saw to that.
#[derive(Default)]
struct Others {
    looked: Option<Instant>,
    sum: i64,
}

impl News {
    /// `shared`: other houses may write to the same database.
    pub fn new(shared: bool) -> Self {
        let [house, start] = [random(), random()];
        let (told, _) = watch::channel(Told { list: start, people: 0, over: false });
        Self(Arc::new(Parts { told, house: house as i64, shared, others: Mutex::default() }))
    }

    /// `connection` is the one that writes. Rows of earlier starts go; a living house writes its own again.
    pub async fn begin(&self, connection: &mut AnyConnection) -> Result<()> {
        if self.0.shared {
            sqlx::query(FORGET_NEWS).execute(connection).await?;
        }
        Ok(())
    }

    /// Inside the transaction: what the others shall see once it is committed.
    pub async fn write(&self, connection: &mut AnyConnection, touched: Touched) -> Result<()> {
        if self.0.shared && touched.list {
            let next = self.0.told.borrow().list + 1;
            sqlx::query(TELL_OTHER_HOUSES).bind(self.0.house).bind(next as i64).execute(connection).await?;
        }
        Ok(())
    }

    /// After the commit.
    pub fn tell(&self, touched: Touched) {
        if touched.list || touched.people {
            self.0.told.send_modify(|told| {
                told.list += u64::from(touched.list);
                told.people += u64::from(touched.people);
            });
        }
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.0.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to look, which then is taken by whoever asked.
    fn shall_look(&self) -> bool {
        let mut others = self.others();
        let due = self.0.shared && others.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY);
        if due {
            others.looked = Some(Instant::now());
        }
        due
    }

    /// Tells it here if the others have told something since the last look.
    fn seen(&self, sum: i64) {
        let last = std::mem::replace(&mut self.others().sum, sum);
        if last != sum {
            self.tell(Touched { list: true, people: false });
        }
    }
}

/// Below 2^47, so that it may grow for ever and every JSON reader keeps it whole.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness two starts of the program look the same to a page, which then asks once more than it must.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes) >> 17
}

impl Store {
    /// Begins to listen. Several changes that come before one looks are one change.
    pub fn listen(&self) -> watch::Receiver<Told> {
        self.news.0.told.subscribe()
    }

    /// Looks whether another house on the same database has changed the list, at most every few seconds however many ask.
    pub async fn look_at_other_houses(&self) -> Result<()> {
        if self.news.shall_look() {
            let row = sqlx::query(READ_OTHER_HOUSES).bind(self.news.0.house).fetch_one(&self.readers).await?;
            self.news.seen(row.try_get("told")?);
        }
        Ok(())
    }

    /// The program ends: all who listen are told to stop.
    pub fn stop_telling(&self) {
        self.news.0.told.send_modify(|told| told.over = true);
    }
}

statements! {
    FORGET_NEWS = "DELETE FROM news";
    TELL_OTHER_HOUSES = "
        INSERT INTO news (house, generation) VALUES ($1, $2)
        ON CONFLICT (house) DO UPDATE SET generation = excluded.generation";
    /// As many rows as houses run.
    READ_OTHER_HOUSES = "SELECT CAST(COALESCE(SUM(generation), 0) AS BIGINT) AS told FROM news WHERE house <> $1";
}
