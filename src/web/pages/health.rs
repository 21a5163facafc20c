//! «Состояние»: whether the house does what it promises, in words, with what to do about what does not.

use std::collections::BTreeSet;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::time::timeout;

use super::frame::{Frame, Here};
use super::refused::PageError;
use super::sign_in::Address;
use super::words::{Wall, ago, counted, span};
use super::{Visitor, page};
use crate::core::officer::Role;
use crate::providers::{Kind, NoListing, Provider, listing_of};
use crate::store::{JobKind, JobsSummary, MAX_BACKUP_AGE, Reconciliation, SpoolDepth, StoreError};
use crate::time::{SignedDuration, Timestamp, elapsed_ms};
use crate::web::{Error, House, health};

/// A disk that has not answered by then does not answer.
const DISK_WITHIN: Duration = Duration::from_secs(2);
/// The growth of this many days is taken for the growth of the days to come.
const LOOKED_BACK_DAYS: i64 = 30;
/// Below this the administrator has to do something today.
const LITTLE_BYTES: u64 = 500 * 1024 * 1024;
/// Below this many days he has to think of something.
const FEW_DAYS: u64 = 30;
const DAYS_OF_A_YEAR: u64 = 365;
const NO_ROOM: &str = "Освободите место сегодня: новые записи не поместятся.";
/// A recording is usually here within two minutes.
const LATE_MS: i64 = 10 * 60 * 1000;
/// Speech takes its time, and a busy morning brings many messages at once.
const LATE_TRANSCRIPT_MS: i64 = 60 * 60 * 1000;

pub(super) fn router() -> Router<House> {
    Router::new().route("/health-ui", get(show)).route("/health-ui/reconcile", post(reconcile))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Good,
    Fair,
    Bad,
}

/// One thing that may be well or not.
struct Item {
    mark: Mark,
    title: String,
    told: String,
    /// «Что делать».
    remedy: &'static str,
}

impl Item {
    fn good(title: impl Into<String>, told: impl Into<String>) -> Self {
        Self { mark: Mark::Good, title: title.into(), told: told.into(), remedy: "" }
    }

    fn fair(title: impl Into<String>, told: impl Into<String>, remedy: &'static str) -> Self {
        Self { mark: Mark::Fair, title: title.into(), told: told.into(), remedy }
    }

    fn bad(title: impl Into<String>, told: impl Into<String>, remedy: &'static str) -> Self {
        Self { mark: Mark::Bad, title: title.into(), told: told.into(), remedy }
    }

    fn sign(&self) -> &'static str {
        match self.mark {
            Mark::Good => "✓",
            Mark::Fair => "!",
            Mark::Bad => "✗",
        }
    }

    fn class(&self) -> &'static str {
        match self.mark {
            Mark::Good => "good",
            Mark::Fair => "fair",
            Mark::Bad => "bad",
        }
    }

    fn spoken(&self) -> &'static str {
        match self.mark {
            Mark::Good => "в порядке",
            Mark::Fair => "замечание",
            Mark::Bad => "не работает",
        }
    }
}

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    frame: Frame,
    verdict: &'static str,
    class: &'static str,
    items: Vec<Item>,
    alarms_count: i64,
    /// Those that are told word for word: they may hold numbers of callers, so as on the desk only from the senior on.
    alarms: Vec<AlarmShown>,
    more_alarms: i64,
    may_read: bool,
    /// The providers that can be asked at once, for whoever may.
    askable: Vec<String>,
}

struct AlarmShown {
    id: i64,
    at: String,
    told: String,
}

async fn show(State(house): State<House>, visitor: Result<Visitor, PageError>) -> Result<Response, PageError> {
    let visitor = match visitor {
        Ok(visitor) => visitor,
        Err(_) if health::database(&house).await.is_err() => return Ok(without_database(&house).await),
        Err(refused) => return Err(refused),
    };
    let now = house.clock.now();
    let lines = house.lines();
    let wall = Wall::new(lines.default_calendar().time_zone(), now);
    let mut items = foundations(&house).await;
    items.extend(queue(&house, now).await?);
    items.push(disk(&house, now).await?);
    items.extend(reconciliations(&house, &wall).await?);
    items.push(backup(&house, &wall).await?);
    for line in lines.iter() {
        let title = format!("Линия «{}»", line.title);
        items.push(match house.store.last_call_at(&line.id).await? {
            Some(at) => Item::good(title, format!("последний звонок {} ({})", ago(at, now), wall.moment(at))),
            None => Item::fair(
                title,
                "звонков ещё не было",
                "Позвоните на линию. Если звонок не появится в журнале, откройте «Линии» и проверьте адреса у оператора.",
            ),
        });
    }
    let calendars = std::iter::once(lines.default_calendar()).chain(lines.iter().map(|line| &line.calendar));
    let warnings: BTreeSet<String> = calendars.flat_map(|it| it.warnings(now)).map(|it| it.to_string()).collect();
    items.extend(warnings.into_iter().map(|told| Item::fair("Календарь", told, "Откройте «Календарь».")));
    if house.providers.iter().any(|provider| provider.kind() == Kind::Asterisk) {
        items.push(sounds(&house).await);
    }
    items.push(Item::good("Часы", format!("{}, по ним решается, открыта ли линия", wall.exact(now))));
    let (open, all) = (house.store.alarms().await?, house.store.count_alarms().await?);
    let worst = items.iter().map(|item| item.mark).max().unwrap_or(Mark::Good);
    let worst = if open.is_empty() { worst } else { worst.max(Mark::Fair) };
    let may_read = visitor.0.role >= Role::Senior;
    let shown = if may_read { open.as_slice() } else { &[] };
    let is_askable = |provider: &&dyn Provider| may_read && !house.rehearsal && listing_of(*provider).is_ok();
    let mut askable: Vec<String> =
        house.providers.iter().filter(is_askable).map(|provider| provider.name().to_string()).collect();
    askable.sort();
    let page = HealthPage {
        frame: Frame::of(&house, &visitor.0, Here::Health, now).await?,
        verdict: match worst {
            Mark::Good => "Всё работает",
            Mark::Fair => "Есть замечания",
            Mark::Bad => "Не работает",
        },
        class: match worst {
            Mark::Good => "good",
            Mark::Fair => "fair",
            Mark::Bad => "bad",
        },
        items,
        alarms_count: all,
        more_alarms: all - shown.len() as i64,
        alarms: shown
            .iter()
            .map(|alarm| AlarmShown { id: alarm.id, at: wall.moment(alarm.raised_at), told: alarm.told.clone() })
            .collect(),
        may_read,
        askable,
    };
    Ok(self::page(&page))
}

/// What can be told to anybody while nobody can be asked to sign in: no calls and no names.
async fn without_database(house: &House) -> Response {
    let now = house.clock.now();
    let lines = house.lines();
    let mut items = foundations(house).await;
    items.push(free_space(house).await);
    let clock = Wall::new(lines.default_calendar().time_zone(), now).exact(now);
    items.push(Item::good("Часы", format!("{clock}, по ним решается, открыта ли линия")));
    let page = HealthPage {
        frame: Frame::bare(house, now),
        verdict: "Не работает",
        class: "bad",
        items,
        alarms_count: 0,
        more_alarms: 0,
        alarms: Vec::new(),
        askable: Vec::new(),
        may_read: true,
    };
    (StatusCode::SERVICE_UNAVAILABLE, self::page(&page)).into_response()
}

/// What can be told without the database.
async fn foundations(house: &House) -> Vec<Item> {
    let database = database(house).await;
    let spool = spool(house, database.mark == Mark::Good);
    vec![database, worker(house), recordings(house).await, spool]
}

/// Deliveries that wait for the database.
fn spool(house: &House, is_database_there: bool) -> Item {
    const TITLE: &str = "Отложенные звонки";
    let count = |number: usize, forms| counted(number as i64, forms);
    match house.store.spool_depth() {
        SpoolDepth { durable: 0, in_memory: 0, set_aside: 0 } => Item::good(TITLE, "нет, всё в базе данных"),
        SpoolDepth { durable: 0, in_memory: 0, set_aside } => Item::bad(
            TITLE,
            format!("не разобрано: {}", count(set_aside, ["событие", "события", "событий"])),
            "Файлы .set_aside лежат в папке .spool внутри папки записей или во второй папке, [storage] emergency. Найдите \
             звонивших у оператора связи, покажите файлы администратору, потом уберите их.",
        ),
        SpoolDepth { durable, in_memory: 0, .. } if is_database_there => {
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

async fn free_space(house: &House) -> Item {
    match timeout(DISK_WITHIN, house.folder.free_bytes()).await {
        Ok(Ok(free)) if free < LITTLE_BYTES => Item::bad("Диск", room(free), NO_ROOM),
        Ok(Ok(free)) => Item::good("Диск", room(free)),
        Ok(Err(_)) | Err(_) => Item::bad("Диск", "не отвечает", "Проверьте диск с папкой записей."),
    }
}

/// «свободно 12 ГБ».
fn room(free_bytes: u64) -> String {
    match free_bytes / (1024 * 1024) {
        megabytes @ ..10_240 => format!("свободно {megabytes}\u{a0}МБ"),
        megabytes => format!("свободно {}\u{a0}ГБ", megabytes / 1024),
    }
}

/// «Сверка с оператором twilio»: what its lists said that its webhooks did not.
async fn reconciliations(house: &House, wall: &Wall<'_>) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    let mut providers: Vec<_> = house.providers.iter().collect();
    providers.sort_by(|one, other| one.name().cmp(other.name()));
    for provider in providers {
        let title = format!("Сверка с оператором {}", provider.name());
        items.push(match listing_of(provider) {
            Err(why @ NoListing::RepeatsItself) => Item::good(title, why.in_words()),
            Err(why) => Item::fair(title, why.in_words(), "Сверяйте журнал с кабинетом оператора сами."),
            Ok(_) if house.rehearsal => Item::good(title, "в репетиции операторов не спрашиваем"),
            Ok(_) => reconciliation(title, house.store.reconciliation(provider.name(), wall.now).await?, wall),
        });
    }
    Ok(items)
}

fn reconciliation(title: String, row: Option<Reconciliation>, wall: &Wall<'_>) -> Item {
    const REMEDY: &str = "Проверьте ключи и связь с оператором. Служба пробует снова сама, ничего не пропадёт.";
    let Some(row) = row else {
        return Item::good(title, "ещё не было, первая будет при запуске службы");
    };
    let done = row.ended_at.map_or("ещё не было".to_owned(), |at| format!("последняя {}", ago(at, wall.now)));
    match (&row.error, &row.look) {
        (Some(error), _) => Item::fair(title, format!("{done}. Не удаётся: {error}"), REMEDY),
        (None, Some(look)) if look.next.is_some() => {
            Item::good(title, format!("{done}. Идёт: сверено звонков {}", look.listed))
        }
        (None, _) if row.ended_at.is_some_and(|at| elapsed_ms(at, wall.now) > health::MAX_RECONCILED_AGE_MS) => {
            Item::fair(title, done, "Посмотрите журнал службы: сверка должна идти каждый час.")
        }
        (None, _) if row.widely_covered_at.is_none() => Item::good(title, format!("{done}. Идёт")),
        (None, Some(look)) => Item::good(
            title,
            format!(
                "{done}, за время с {}: у оператора {}, восстановлено: {}",
                wall.exact(look.from),
                look.listed,
                look.restored
            ),
        ),
        (None, None) => Item::good(title, done),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReconcileForm {
    provider: String,
}

/// «Сверить с оператором»: the worker looks as soon as it has a hand free.
async fn reconcile(
    State(house): State<House>,
    visitor: Visitor,
    Address(address): Address,
    form: Result<Form<ReconcileForm>, FormRejection>,
) -> Result<Response, PageError> {
    let now = house.clock.now();
    let person = visitor.at_least(Role::Senior)?;
    let name = form.map(|Form(form)| form.provider).unwrap_or_default();
    let provider = house.providers.get(&name).filter(|provider| listing_of(*provider).is_ok() && !house.rehearsal);
    let provider = provider.ok_or(Error::NotFound)?;
    house.store.request_look(provider.name(), &person.actor, &address, now).await?;
    Ok(Redirect::to("/health-ui").into_response())
}

async fn database(house: &House) -> Item {
    match health::database(house).await {
        Ok(()) => Item::good("База данных", "отвечает, пишет"),
        Err(_) => Item::bad(
            "База данных",
            "не отвечает. Звонящим предлагают оставить сообщение, события сохраняются отдельно",
            "Проверьте место на диске и журнал службы.",
        ),
    }
}

fn worker(house: &House) -> Item {
    match health::worker(house) {
        Ok(()) => Item::good("Фоновые задания", "выполняются"),
        Err(_) => Item::bad(
            "Фоновые задания",
            "остановились: записи не забираются",
            "Перезапустите службу и посмотрите её журнал.",
        ),
    }
}

async fn recordings(house: &House) -> Item {
    match timeout(DISK_WITHIN, house.folder.probe()).await {
        Ok(Ok(())) => Item::good("Папка записей", "доступна, в неё можно писать"),
        Ok(Err(_)) | Err(_) => Item::bad(
            "Папка записей",
            "в неё нельзя писать: записи остаются у оператора связи",
            "Проверьте место на диске и права на папку.",
        ),
    }
}

/// What waits to be done, kind by kind, and what was given up.
async fn queue(house: &House, now: Timestamp) -> Result<Vec<Item>, StoreError> {
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
    items.push(mail(house, &jobs, now));
    items.extend(house.transcribes.then(|| transcripts(&jobs, now)));
    let mail_kind = JobKind::SendMail.as_str();
    let given_up = jobs.given_up.iter().filter(|(kind, _)| kind != mail_kind).map(|(_, number)| number).sum();
    if given_up > 0 {
        let told = counted(given_up, ["задание не выполнено", "задания не выполнены", "заданий не выполнено"]);
        items.push(Item::fair(
            "Оставленные задания",
            told,
            "Причины стоят у записей и звонков в журнале. Перезвоните по номерам: они на списке.",
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

/// The words that greetings of the school's own exchange are joined of.
async fn sounds(house: &House) -> Item {
    const TITLE: &str = "Слова приветствий для своей АТС";
    const REMEDY: &str = "Поставьте на сервер пакет asterisk-core-sounds-ru-wav или впишите папку в prompts.sounds.";
    match timeout(DISK_WITHIN, house.joiner.vocabulary()).await {
        Ok(Some((folder, found))) => match found.lacking.len() as i64 {
            0 => Item::good(TITLE, format!("{}, дата перезвона произносится", folder.path().display())),
            count => Item::fair(
                TITLE,
                format!(
                    "в папке {} не хватает: {}",
                    folder.path().display(),
                    counted(count, ["файл", "файла", "файлов"])
                ),
                REMEDY,
            ),
        },
        Ok(None) => Item::fair(TITLE, "не найдены, дату перезвона звонящий не услышит", REMEDY),
        Err(_) => Item::bad(TITLE, "диск не отвечает", "Проверьте диск."),
    }
}

/// «сегодня, 3:00, 18 МБ, проверена».
async fn backup(house: &House, clock: &Wall<'_>) -> Result<Item, StoreError> {
    const TITLE: &str = "Резервная копия";
    const REMEDY: &str = "Проверьте, доступна ли папка копий и есть ли в ней место.";
    if house.rehearsal {
        return Ok(Item::good(TITLE, "в репетиции не делается"));
    }
    if !house.backs_up {
        let remedy = "Задайте папку ночных копий в настройках службы, как сказано в описании для администратора.";
        return Ok(Item::fair(TITLE, "ночная копия не настроена", remedy));
    }
    let Some(last) = house.store.last_backup(clock.now).await? else {
        return Ok(Item::fair(TITLE, "ещё не сделана", REMEDY));
    };
    let size = match last.size_bytes {
        bytes @ ..1_000_000 => format!("{}\u{a0}КБ", bytes.div_ceil(1000)),
        bytes => format!("{}\u{a0}МБ", bytes / 1_000_000),
    };
    let text = format!("{}, {size}, проверена", clock.moment(last.made_at));
    Ok(match clock.now.duration_since(last.made_at) > MAX_BACKUP_AGE {
        true => Item::bad(TITLE, text, REMEDY),
        false => Item::good(TITLE, text),
    })
}

/// «хватит на 412 дней».
async fn disk(house: &House, now: Timestamp) -> Result<Item, StoreError> {
    let Ok(Ok(free)) = timeout(DISK_WITHIN, house.folder.free_bytes()).await else {
        return Ok(Item::bad("Диск", "не отвечает", "Проверьте диск с папкой записей."));
    };
    let since = now - SignedDuration::from_hours(24 * LOOKED_BACK_DAYS);
    let grown = house.store.growth_since(since).await?.sound_bytes.unsigned_abs() / LOOKED_BACK_DAYS.unsigned_abs();
    let room = room(free);
    Ok(match free.checked_div(grown) {
        _ if free < LITTLE_BYTES => Item::bad("Диск", room, NO_ROOM),
        None => Item::good("Диск", room),
        Some(days) if days < FEW_DAYS => Item::fair(
            "Диск",
            format!("{room}, хватит на {}", counted(days as i64, ["день", "дня", "дней"])),
            "Освободите место или перенесите папку записей на больший диск.",
        ),
        Some(days) if days > DAYS_OF_A_YEAR => Item::good("Диск", format!("{room}, хватит больше чем на год")),
        Some(days) => {
            Item::good("Диск", format!("{room}, хватит на {}", counted(days as i64, ["день", "дня", "дней"])))
        }
    })
}
