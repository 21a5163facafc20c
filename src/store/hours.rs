//! Working hours as the school changed them while the service runs.

use super::{Result, Store};
use crate::core::calendar::HoursChanges;

impl Store {
    pub async fn hours_changes(&self) -> Result<HoursChanges> {
        Ok(HoursChanges::default())
    }
}
