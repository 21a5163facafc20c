//! The alarms that nobody has read.

use crate::store::StoreError;
use crate::web::House;
use crate::web::pages::words::Wall;

/// How many there are, and those that are displayed.
#[derive(Default)]
pub(super) struct Alarms {
    pub count: i64,
    /// They may hold numbers of callers, so as on the desk only from the senior on.
    pub displayed: Vec<DisplayedAlarm>,
}

pub(super) struct DisplayedAlarm {
    pub id: i64,
    pub at: String,
    pub text: String,
}

impl Alarms {
    /// `may_read`: whoever looks may read them.
    pub async fn read(house: &House, may_read: bool, wall: &Wall<'_>) -> Result<Self, StoreError> {
        let count = house.store.count_alarms().await?;
        let alarms = if may_read { house.store.alarms().await? } else { Vec::new() };
        let displayed = alarms
            .into_iter()
            .map(|alarm| DisplayedAlarm { id: alarm.id, at: wall.moment(alarm.raised_at), text: alarm.told })
            .collect();
        Ok(Self { count, displayed })
    }

    /// How many are there beside those that are displayed.
    pub fn more(&self) -> i64 {
        self.count - self.displayed.len() as i64
    }
}
