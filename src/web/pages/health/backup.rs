//! The last backup.

use super::item::Item;
use crate::store::{MAX_BACKUP_AGE, StoreError};
use crate::web::House;
use crate::web::pages::words::Wall;

/// «сегодня, 3:00, 18 МБ, проверена».
pub(super) async fn item(house: &House, wall: &Wall<'_>) -> Result<Item, StoreError> {
    const TITLE: &str = "Резервная копия";
    const REMEDY: &str = "Проверьте, доступна ли папка копий и есть ли в ней место.";
    if house.rehearsal {
        return Ok(Item::good(TITLE, "в репетиции не делается"));
    }
    if !house.backs_up {
        let remedy = "Укажите папку, лучше на другом диске: backup.folder.";
        return Ok(Item::fair(TITLE, "ночная копия не настроена", remedy));
    }
    let Some(last) = house.store.last_backup(wall.now).await? else {
        return Ok(Item::fair(TITLE, "ещё не сделана", REMEDY));
    };
    let size = match last.size_bytes {
        bytes @ ..1_000_000 => format!("{}\u{a0}КБ", bytes.div_ceil(1000)),
        bytes => format!("{}\u{a0}МБ", bytes / 1_000_000),
    };
    let text = format!("{}, {size}, проверена", wall.moment(last.made_at));
    let is_old = wall.now.duration_since(last.made_at) > MAX_BACKUP_AGE;
    Ok(if is_old { Item::bad(TITLE, text, REMEDY) } else { Item::good(TITLE, text) })
}
