//! How long personal data is kept: what the school has decided.

use super::item::Item;
use crate::web::House;

pub(super) fn item(house: &House) -> Item {
    const TITLE: &str = "Сроки хранения";
    if house.rehearsal {
        return Item::good(TITLE, "в репетиции ничего не стирается");
    }
    let undecided = house.retention.undecided_words();
    if undecided.is_empty() {
        return Item::good(TITLE, house.retention.in_words());
    }
    let text = format!("школа не решила, как долго хранить {undecided}: хранится без срока");
    Item::fair(TITLE, text, "Впишите сроки в раздел [retention] настроек, как в примере perezvon.example.toml.")
}
