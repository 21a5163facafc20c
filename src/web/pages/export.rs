//! Files that are taken along, whatever page they come from.

use super::words::counted;
use crate::store::{AuditEntry, Person, StoreError};
use crate::time::Timestamp;
use crate::web::House;

/// No file leaves the house without a row. If it cannot be written, there is no file.
///
/// `file`: «calls.csv»; `filters`: what was chosen, as the address has it; `rows`: how many there are in it.
pub(super) async fn write_down(
    house: &House,
    by: &Person,
    address: &str,
    file: &str,
    filters: &str,
    rows: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = counted(rows as i64, ["строка", "строки", "строк"]);
    let filters = filters.trim_start_matches('?');
    let entry = AuditEntry {
        by: by.actor.clone(),
        action: "export",
        object: file.to_owned(),
        detail: format!("выгрузка, {rows}: {}", if filters.is_empty() { "всё" } else { filters }),
        address: address.to_owned(),
    };
    house.store.audit(entry, now).await
}
