//! Where calls and messages are kept: the database, the folder of recordings, the disks under them.

use std::sync::atomic::Ordering;

use super::item::Item;
use crate::store::{DatabaseCause, StoreError};
use crate::time::{SignedDuration, Timestamp};
use crate::web::House;
use crate::web::health::{self, DatabaseError, Disk, Holding};
use crate::web::pages::words::counted;

/// The growth of this many days is taken for the growth of the days to come.
const LOOKED_BACK_DAYS: i64 = 30;
/// Below this the administrator has to do something today.
const LITTLE_BYTES: u64 = 500 * 1024 * 1024;
/// Below this many days he has to think of something.
const FEW_DAYS: u64 = 30;
const DAYS_OF_A_YEAR: u64 = 365;

pub(super) fn database(state: &Result<(), DatabaseError>) -> Item {
    const TITLE: &str = "База данных";
    const MEANWHILE: &str = "Звонящим предлагают оставить сообщение, события сохраняются отдельно";
    match state {
        Ok(()) => Item::good(TITLE, "отвечает, пишет"),
        Err(DatabaseError::Away(error)) => {
            let (what, remedy) = in_words(error.cause());
            Item::bad(TITLE, format!("{what}. {MEANWHILE}"), remedy)
        }
        Err(DatabaseError::Unusable(error)) => {
            let (what, remedy) = in_words(error.cause());
            let what = match error.cause() {
                DatabaseCause::NoAnswer | DatabaseCause::Other => String::new(),
                _ => format!(": {what}"),
            };
            Item::bad(TITLE, format!("отвечает, но не сохраняет звонки{what}. {MEANWHILE}"), remedy)
        }
        Err(DatabaseError::RefusesSpooled(_)) => Item::bad(
            TITLE,
            "отвечает, но принимает не все звонки. Они сохранены отдельно",
            "Посмотрите журнал службы и запустите perezvon check и perezvon verify.",
        ),
    }
}

/// What is the matter with a database, and what to do.
fn in_words(cause: DatabaseCause) -> (&'static str, &'static str) {
    match cause {
        DatabaseCause::NoAnswer => {
            ("не отвечает", "Проверьте, работает ли сервер базы данных, доступен ли диск, и посмотрите журнал службы.")
        }
        DatabaseCause::Other => (
            "отвечает ошибкой",
            "Проверьте, есть ли место на диске и разрешена ли запись, и посмотрите журнал службы: ошибка названа там.",
        ),
        DatabaseCause::Gone => (
            "файла нет на месте",
            "Подключите диск с базой данных, верните её файл на место или восстановите её из копии: perezvon restore. Чтобы \
             начать с пустой, уберите отметки о прежней: журнал службы называет их.",
        ),
        DatabaseCause::Damaged => (
            "повреждена, не читается",
            "Остановите службу, сохраните все файлы базы данных и восстановите её из копии: perezvon restore.",
        ),
        DatabaseCause::DiskFull => ("на диске нет места", "Освободите место на диске с базой данных."),
        DatabaseCause::ReadOnly => (
            "запись в неё запрещена",
            "Проверьте права на файл базы данных и его папку и не подключён ли диск только для чтения.",
        ),
        DatabaseCause::NotOpened => {
            ("файл не открывается", "Проверьте, подключён ли диск, и права на файл базы данных и его папку.")
        }
        DatabaseCause::Locked => (
            "занята другой программой",
            "Подождите: так бывает, пока другая служба переводит базу данных на новую версию. Иначе закройте программу, в \
             которой она открыта.",
        ),
        DatabaseCause::LoginRefused => {
            ("сервер не принимает имя или пароль", "Проверьте имя и пароль в storage.database.")
        }
        DatabaseCause::NoSuchDatabase => {
            ("на сервере такой базы нет", "Создайте её или проверьте адрес в storage.database.")
        }
        DatabaseCause::Newer => {
            ("новее этой версии программы", "Запустите ту версию программы, которая с ней уже работала, или новее.")
        }
        DatabaseCause::Upgrading => (
            "переходит на эту версию программы",
            "Подождите: при миллионе звонков это занимает минуты. Не выключайте службу, иначе последний шаг начнётся заново.",
        ),
        DatabaseCause::UnfinishedRestore => {
            ("восстановлена из копии не до конца", "Закончите восстановление: perezvon restore.")
        }
        DatabaseCause::WrongPurpose { is_rehearsal: true } => {
            ("осталась от репетиции", "Укажите в storage.database базу данных для настоящих звонков.")
        }
        DatabaseCause::WrongPurpose { is_rehearsal: false } => {
            ("хранит настоящие звонки", "Для репетиции укажите в storage.database другую, пустую.")
        }
    }
}

pub(super) async fn recordings(house: &House) -> Item {
    const TITLE: &str = "Папка записей";
    match health::recordings(house).await {
        Ok(()) => Item::good(TITLE, "доступна, в неё можно писать"),
        Err(_) if house.store.foreign_recordings().load(Ordering::Relaxed) => Item::bad(
            TITLE,
            "не та, что была: записи остаются у оператора связи",
            "Подключите диск с записями. Если папка новая и так задумано, создайте в ней пустой файл .database.",
        ),
        Err(_) => match house.folder.key_state().await {
            Err(error) => Item::bad(
                TITLE,
                format!("{}: сообщения не звучат, новые записи остаются у оператора связи", error.in_russian()),
                error.remedy(),
            ),
            Ok(()) => Item::bad(
                TITLE,
                "в неё нельзя писать: записи остаются у оператора связи",
                "Проверьте место на диске и права на папку.",
            ),
        },
    }
}

/// Each disk with its room, and for how many days that of the recordings is enough: «хватит на 412 дней».
pub(super) async fn disks(house: &House, now: Timestamp) -> Result<Vec<Item>, StoreError> {
    let since = now - SignedDuration::from_hours(24 * LOOKED_BACK_DAYS);
    let grown = house.store.growth_since(since).await?.sound_bytes.unsigned_abs() / LOOKED_BACK_DAYS.unsigned_abs();
    Ok(items(&health::disks_of(house).await, grown))
}

/// The same while nobody can say how fast the recordings grow.
pub(super) async fn disks_without_database(house: &House) -> Vec<Item> {
    items(&health::disks_of(house).await, 0)
}

/// `grown`: bytes of recordings a day.
fn items(disks: &[Disk], grown: u64) -> Vec<Item> {
    let is_only_one = disks.len() == 1;
    let title = |disk: &Disk| if is_only_one { "Диск".to_owned() } else { title(&disk.holds) };
    disks.iter().map(|disk| item(title(disk), disk, grown)).collect()
}

/// «Диск с записями и базой данных».
fn title(holds: &[Holding]) -> String {
    let names: Vec<&str> = holds
        .iter()
        .map(|holding| match holding {
            Holding::Recordings => "записями",
            Holding::Database => "базой данных",
            Holding::Emergency => "запасной папкой для звонков",
        })
        .collect();
    format!("Диск с {}", names.join(" и "))
}

fn item(title: String, disk: &Disk, grown: u64) -> Item {
    let holds = |holding| disk.holds.contains(&holding);
    let remedy = if holds(Holding::Recordings) {
        "Освободите место сегодня: новые записи не поместятся."
    } else if holds(Holding::Database) {
        "Освободите место сегодня: новые звонки не поместятся в базу данных."
    } else {
        "Освободите место или укажите папку на другом диске: storage.emergency."
    };
    // Calls and messages are safe without the second folder of the spool.
    let unwell: fn(String, String, &'static str) -> Item = if disk.is_spare() { Item::fair } else { Item::bad };
    let Some(free) = disk.free_bytes else {
        let remedy = if holds(Holding::Recordings) {
            "Проверьте диск с папкой записей."
        } else {
            "Проверьте этот диск."
        };
        return unwell(title, "не отвечает".to_owned(), remedy);
    };
    let (room, days) = (room(free), free.checked_div(grown).filter(|_| holds(Holding::Recordings)));
    let lasting = |days: u64| format!("{room}, хватит на {}", counted(days as i64, ["день", "дня", "дней"]));
    match days {
        // The second folder of the spool needs little.
        _ if disk.is_short() || (free < LITTLE_BYTES && !disk.is_spare()) => unwell(title, room, remedy),
        None => Item::good(title, room),
        Some(days) if days < FEW_DAYS => {
            Item::fair(title, lasting(days), "Освободите место или перенесите папку записей на больший диск.")
        }
        Some(days) if days > DAYS_OF_A_YEAR => Item::good(title, format!("{room}, хватит больше чем на год")),
        Some(days) => Item::good(title, lasting(days)),
    }
}

/// «свободно 12 ГБ».
fn room(free_bytes: u64) -> String {
    match free_bytes / (1024 * 1024) {
        megabytes @ ..10_240 => format!("свободно {megabytes}\u{a0}МБ"),
        megabytes => format!("свободно {}\u{a0}ГБ", megabytes / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::Mark;
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    fn disk(holds: &[Holding], free_bytes: u64) -> Disk {
        Disk { holds: holds.to_vec(), free_bytes: Some(free_bytes) }
    }

    fn lines(disks: &[Disk]) -> Vec<String> {
        items(disks, GIB / 100).iter().map(|item| format!("{} {}: {}", item.sign(), item.title, item.text)).collect()
    }

    #[test]
    fn one_disk_is_one_line_without_its_parts() {
        assert_eq!(lines(&[disk(&Holding::ALL, GIB)]), ["✓ Диск: свободно 1024\u{a0}МБ, хватит на 100\u{a0}дней"]);
    }

    #[test]
    fn each_disk_says_what_lies_on_it() {
        let disks = [
            disk(&[Holding::Recordings], 20 * GIB),
            disk(&[Holding::Database], LITTLE_BYTES - 1),
            disk(&[Holding::Emergency], LITTLE_BYTES - 1),
        ];
        assert_eq!(
            lines(&disks),
            [
                "✓ Диск с записями: свободно 20\u{a0}ГБ, хватит больше чем на год",
                "✗ Диск с базой данных: свободно 499\u{a0}МБ",
                "✓ Диск с запасной папкой для звонков: свободно 499\u{a0}МБ",
            ]
        );
    }

    #[test]
    fn disk_that_makes_the_service_unready_is_bad() {
        let items = items(&[disk(&[Holding::Recordings], GIB), disk(&[Holding::Database, Holding::Emergency], 1)], 0);
        assert!(items[1].mark == Mark::Bad && items[1].remedy.contains("в базу данных"));
    }

    #[test]
    fn spare_disk_in_trouble_is_worth_a_remark() {
        for (free_bytes, remedy) in [(Some(1), "storage.emergency"), (None, "Проверьте этот диск")] {
            let spare = Disk { holds: vec![Holding::Emergency], free_bytes };
            let items = items(&[disk(&[Holding::Recordings], GIB), spare], 0);
            assert!(items[1].mark == Mark::Fair && items[1].remedy.contains(remedy), "{}", items[1].remedy);
        }
    }

    #[test]
    fn database_that_answers_and_saves_nothing_is_bad() {
        let states = [
            (DatabaseError::Away(StoreError::TimedOut), "не отвечает"),
            (DatabaseError::Away(StoreError::Gone), "файла нет на месте"),
            (DatabaseError::Away(StoreError::Upgrading), "переходит на эту версию"),
            (DatabaseError::Unusable(StoreError::TimedOut), "отвечает, но не сохраняет звонки. Звонящим"),
            (DatabaseError::Unusable(StoreError::Shrunk), "отвечает, но не сохраняет звонки: повреждена"),
            (DatabaseError::RefusesSpooled(1), "отвечает, но принимает не все"),
        ];
        for (error, text) in states {
            let item = database(&Err(error));
            assert!(item.mark == Mark::Bad && item.text.starts_with(text), "{}", item.text);
        }
    }
}
