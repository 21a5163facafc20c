//! Deliveries that wait for the database.

use super::item::Item;
use crate::store::SpoolDepth;
use crate::web::House;
use crate::web::pages::words::counted;

/// `takes_commits`: the database is there, and what still waits is refused by it.
pub(super) fn item(house: &House, takes_commits: bool) -> Item {
    const TITLE: &str = "Ждут базу данных";
    let count = |number: usize, forms| counted(number as i64, forms);
    match house.store.spool_depth() {
        SpoolDepth { durable: 0, in_memory: 0, set_aside: 0 } => Item::good(TITLE, "ни одного события"),
        SpoolDepth { durable: 0, in_memory: 0, set_aside } => Item::bad(
            TITLE,
            format!("не разобрано: {}", count(set_aside, ["событие", "события", "событий"])),
            "Файлы .set_aside лежат в папке .spool внутри папки записей или в запасной папке, [storage] emergency. Найдите \
             звонивших у оператора связи, покажите файлы администратору, потом уберите их.",
        ),
        SpoolDepth { durable, in_memory: 0, .. } if takes_commits => {
            let forms = [
                "событие не внесено в базу данных, оно сохранено на диске",
                "события не внесены в базу данных, они сохранены на диске",
                "событий не внесено в базу данных, они сохранены на диске",
            ];
            let remedy = "Посмотрите журнал службы: там сказано, почему база данных их не приняла. Помогут проверки \
                          perezvon verify и perezvon check.";
            Item::fair(TITLE, count(durable, forms), remedy)
        }
        SpoolDepth { durable, in_memory: 0, .. } => Item::fair(
            TITLE,
            count(
                durable,
                [
                    "событие ждёт базу данных, оно сохранено на диске",
                    "события ждут базу данных, они сохранены на диске",
                    "событий ждут базу данных, они сохранены на диске",
                ],
            ),
            "Ничего: они попадут в журнал и в список сами, как только база данных ответит.",
        ),
        SpoolDepth { in_memory, .. } => Item::bad(
            TITLE,
            count(
                in_memory,
                [
                    "событие ждёт базу данных, оно только в памяти: диск его не принимает",
                    "события ждут базу данных, они только в памяти: диск их не принимает",
                    "событий ждут базу данных, они только в памяти: диск их не принимает",
                ],
            ),
            "Не выключайте службу. Освободите место на диске или верните право записи, события сохранятся сами.",
        ),
    }
}
