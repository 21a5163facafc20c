//! What waits to be done, and whether anybody works at it.

use super::item::Item;
use crate::store::{JobKind, JobsSummary, StoreError};
use crate::time::{Timestamp, elapsed_ms};
use crate::web::pages::words::{counted, span};
use crate::web::{House, health};

/// A recording is usually here within two minutes.
const LATE_MS: i64 = 10 * 60 * 1000;
/// Speech takes its time, and a busy morning brings many messages at once.
const LATE_TRANSCRIPT_MS: i64 = 60 * 60 * 1000;

pub(super) fn worker(house: &House) -> Item {
    match health::worker(house) {
        Ok(()) => Item::good("Фоновые задания", "выполняются"),
        Err(_) => Item::bad(
            "Фоновые задания",
            "остановились: записи не забираются",
            "Перезапустите службу и посмотрите её журнал.",
        ),
    }
}

/// What waits to be done, kind by kind, and what was given up.
pub(super) async fn items(house: &House, now: Timestamp) -> Result<Vec<Item>, StoreError> {
    let jobs = house.store.jobs_summary().await?;
    let fetching = jobs.waiting.iter().find(|(kind, ..)| kind == JobKind::FetchRecording.as_str());
    let mut items = vec![match fetching {
        None => Item::good("Записи в пути", "0, все забраны"),
        Some((_, count, since)) if elapsed_ms(*since, now) < LATE_MS => {
            Item::good("Записи в пути", format!("{count}, обычно до 2 минут"))
        }
        Some((_, count, since)) => Item::fair(
            "Записи в пути",
            format!("{count}, первая ждёт {}", span(elapsed_ms(*since, now))),
            "Проверьте связь с оператором и его ключи. Служба пробует снова сама.",
        ),
    }];
    if jobs.incomplete > 0 {
        let told = counted(jobs.incomplete, ["запись", "записи", "записей"]);
        let told = format!("{told}: слушать можно, остальное служба ещё запрашивает");
        items.push(Item::good("Неполные записи", told));
    }
    items.push(mail(house, &jobs, now));
    items.extend(house.transcribes.then(|| transcripts(&jobs, now)));
    let mail_kind = JobKind::SendMail.as_str();
    let given_up = jobs.given_up.iter().filter(|(kind, _)| kind != mail_kind).map(|(_, number)| number).sum();
    if given_up > 0 {
        let told = counted(given_up, ["задание не выполнено", "задания не выполнены", "заданий не выполнено"]);
        items.push(Item::fair(
            "Оставленные задания",
            told,
            "Причина указана у каждой записи и звонка в журнале. Перезвоните по номерам: они в списке.",
        ));
    }
    Ok(items)
}

/// How many wait of this kind, and since when the first does; and how many were given up.
fn of_kind(jobs: &JobsSummary, kind: JobKind) -> (Option<(i64, Timestamp)>, i64) {
    let waiting = jobs.waiting.iter().find(|(known, ..)| known == kind.as_str());
    let given_up = jobs.given_up.iter().find(|(known, _)| known == kind.as_str());
    (waiting.map(|(_, number, since)| (*number, *since)), given_up.map_or(0, |(_, number)| *number))
}

fn mail(house: &House, jobs: &JobsSummary, now: Timestamp) -> Item {
    let letters = |number| counted(number, ["письмо", "письма", "писем"]);
    match of_kind(jobs, JobKind::SendMail) {
        _ if !house.sends_mail && house.rehearsal => Item::good("Почта", "в репетиции писем не шлём"),
        _ if !house.sends_mail => Item::good("Почта", "не настроена"),
        (Some((number, since)), _) if elapsed_ms(since, now) >= LATE_MS => Item::fair(
            "Почта",
            format!("ждёт отправки {}, первое {}", letters(number), span(elapsed_ms(since, now))),
            "Проверьте связь с почтовым сервером и пароль. Служба пробует снова сама.",
        ),
        (_, given_up) if given_up > 0 => Item::fair(
            "Почта",
            format!("не отправлено {}", letters(given_up)),
            "Проверьте в настройках адреса получателей, почтовый сервер и пароль.",
        ),
        (Some((number, _)), _) => Item::good("Почта", format!("ждёт отправки {}", letters(number))),
        (None, _) => Item::good("Почта", "всё отправлено"),
    }
}

fn transcripts(jobs: &JobsSummary, now: Timestamp) -> Item {
    match of_kind(jobs, JobKind::Transcribe) {
        (None, _) => Item::good("Расшифровки", "0 в очереди"),
        (Some((number, since)), _) if elapsed_ms(since, now) < LATE_TRANSCRIPT_MS => {
            Item::good("Расшифровки", format!("{number} в очереди"))
        }
        (Some((number, since)), _) => Item::fair(
            "Расшифровки",
            format!("{number} в очереди, первая ждёт {}", span(elapsed_ms(since, now))),
            "Проверьте сервер распознавания речи. Сообщения можно слушать и без расшифровки.",
        ),
    }
}
