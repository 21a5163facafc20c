//! `perezvon check`: everything the administrator should know before the first call, a Russian sentence a line.
//!
//! `✓` is in order, `!` works but is worth a thought, `✗` must be mended.

mod encryption;
mod exchange;
pub mod operators;
mod privacy;
mod providers;
mod sounds;

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use super::config::{Config, Mistakes, ProviderConfig, Storage, reason};
use crate::core::calendar::Calendar;
use crate::core::greetings::{GreetingKind, PATIENCE_MS};
use crate::core::line::Line;
use crate::core::phone::Telephone;
use crate::jobs::backup::{BackupSettings, lies_within};
use crate::providers::twiml::Settings;
use crate::time::{TimeZone, Timestamp};

/// The caller listens to the ringing tone no longer than this without a word.
const PATIENCE_SECONDS: usize = 60;

/// What another room of the house found out, for example whether the database answers.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What was tried, as the beginning of a sentence: «База данных».
    pub name: String,
    /// How it went, or what is wrong and what to do: the end of that sentence, without its full stop.
    pub result: Result<String, String>,
}

/// Writes the report on `config` as of `now` to `out`, with `probes` at its end. Leaves nothing behind: where the service
/// has to write, an empty file is made and removed again. A folder that is missing stays missing.
///
/// Returns whether nothing must be mended: `false` is exit status 1.
///
/// # Errors
/// Only if `out` cannot be written.
pub async fn run(
    config: Result<Config, Mistakes>,
    now: Timestamp,
    probes: Vec<Probe>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut report = Report { findings: Vec::new() };
    match config {
        Ok(config) => {
            report.source(&config);
            report.monitoring(&config);
            report.calendars(&config, now);
            report.disk(&config.storage).await;
            report.second_place(&config.storage);
            report.backup(&config).await;
            report.encryption(&config).await;
            report.privacy(&config);
            report.retention(&config);
            for line in config.lines.iter() {
                report.line(line, &config, now);
            }
            report.providers(&config).await;
            report.prompts(&config);
            report.sounds(&config);
        }
        Err(Mistakes(mistakes)) => {
            for mistake in mistakes {
                report.bad(mistake.to_string());
            }
        }
    }
    for Probe { name, result } in probes {
        match result {
            Ok(how) => report.good(format!("{name}: {how}.")),
            Err(what) => report.bad(format!("{name}: {what}.")),
        }
    }
    report.write(out)
}

struct Report {
    findings: Vec<(Mark, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Fair,
    Bad,
}

impl Report {
    fn good(&mut self, sentence: impl Into<String>) {
        self.findings.push((Mark::Good, sentence.into()));
    }

    fn fair(&mut self, sentence: impl Into<String>) {
        self.findings.push((Mark::Fair, sentence.into()));
    }

    fn bad(&mut self, sentence: impl Into<String>) {
        self.findings.push((Mark::Bad, sentence.into()));
    }

    fn write(self, out: &mut dyn Write) -> anyhow::Result<bool> {
        for (mark, sentence) in &self.findings {
            let sign = match mark {
                Mark::Good => '✓',
                Mark::Fair => '!',
                Mark::Bad => '✗',
            };
            writeln!(out, "{sign} {sentence}")?;
        }
        let to_mend = self.findings.iter().filter(|(mark, _)| *mark == Mark::Bad).count();
        if to_mend > 0 {
            writeln!(out, "✗ Нужно исправить: {to_mend}. Исправьте и запустите perezvon check ещё раз.")?;
        }
        Ok(to_mend == 0)
    }

    fn source(&mut self, config: &Config) {
        match &config.source {
            Some(path) => self.good(format!("Настройки прочитаны из {}, ошибок нет.", path.display())),
            None => self.good(
                "Файла perezvon.toml в текущей папке нет, действуют настройки школы. Чтобы изменить их, скопируйте \
                 perezvon.example.toml в perezvon.toml.",
            ),
        }
    }

    fn monitoring(&mut self, config: &Config) {
        if config.server.monitoring_through_proxy {
            self.fair(
                "Сведения о состоянии службы (/metrics, /readyz) видны всем, кто пришёл через прокси: \
                 server.monitoring_through_proxy. Закройте эти адреса в самом прокси или уберите ключ.",
            );
        }
    }

    /// Where calls are saved when neither the database nor the folder of recordings takes them.
    fn second_place(&mut self, storage: &Storage) {
        let folder = storage.emergency_folder();
        let name = folder.display();
        match try_second_place(&folder) {
            Err(error) => self.fair(format!(
                "Запасная папка для звонков {name} недоступна: {}. {} или укажите другую: storage.emergency.",
                reason(&error),
                mend(&error)
            )),
            Ok(disk) if disk.is_memory => self.fair(format!(
                "Запасная папка для звонков {name} в памяти: выключение сервера она не переживёт. Укажите папку на \
                 диске: storage.emergency."
            )),
            Ok(disk) if Some(disk.device) == device(&storage.recordings) => self.fair(format!(
                "Запасная папка для звонков {name} на том же диске, что и записи: если он заполнится или откажет, \
                 откажут обе. Укажите папку на другом диске: storage.emergency."
            )),
            Ok(_) => self.good(format!("Запасная папка для звонков {name} доступна для записи.")),
        }
    }

    /// Each different calendar once: most lines share one.
    fn calendars(&mut self, config: &Config, now: Timestamp) {
        let common = ("Календарь".to_owned(), &config.default_calendar);
        let own = config.lines.iter().map(|line| (format!("Календарь линии «{}»", line.title), &line.calendar));
        let mut seen = HashSet::new();
        for (name, calendar) in [common].into_iter().chain(own) {
            if seen.insert(calendar.version()) {
                self.good(format!("{name}: версия {}.", calendar.version()));
                for warning in calendar.warnings(now) {
                    self.fair(format!("{name}. {warning}"));
                }
            }
        }
    }

    async fn disk(&mut self, storage: &Storage) {
        let recordings = &storage.recordings;
        let has_database = storage.database_file().is_some_and(|file| file.exists());
        match writable(nearest(recordings)).await {
            _ if is_missing(recordings) && has_database => self.bad(format!(
                "Папка записей {} не найдена, хотя база данных есть: диск не подключён? Подключите его, исправьте \
                 storage.recordings или, если служба ещё не запускалась, создайте папку сами.",
                recordings.display()
            )),
            Ok(()) if is_missing(recordings) => self.fair(format!(
                "Папки записей {} ещё нет, её сделает служба при запуске. Если служба уже работала, подключите диск с записями \
                 или исправьте storage.recordings.",
                recordings.display()
            )),
            Ok(()) => self.good(format!("Папка записей {} доступна для записи.", recordings.display())),
            Err(error) => self.bad(format!(
                "Папка записей {} недоступна: {}. {} или укажите другую: storage.recordings.",
                recordings.display(),
                reason(&error),
                mend(&error)
            )),
        }
        let Some(file) = storage.database_file() else {
            return match storage.database.starts_with("sqlite:") {
                true => {
                    self.fair("База данных в памяти: после остановки всё пропадёт. Укажите файл: storage.database.")
                }
                false => self.good(format!("База данных: {}.", storage.database_shown())),
            };
        };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match writable(folder).await {
            Ok(()) if !file.exists() => self.fair(format!(
                "База данных {}: файла ещё нет, его сделает служба при первом запуске. Если служба уже работала, остановите её и \
                 верните файл на место или исправьте storage.database.",
                file.display()
            )),
            Ok(()) => self.good(format!("База данных {}: папка доступна для записи.", file.display())),
            Err(error) => self.bad(format!(
                "В папку базы данных {} нельзя писать: {}. {} или укажите другую: storage.database.",
                folder.display(),
                reason(&error),
                mend(&error)
            )),
        }
    }

    async fn backup(&mut self, config: &Config) {
        let Some(BackupSettings { folder, at, keep }) = &config.backup else {
            return self.fair(
                "Ночной резервной копии нет. Укажите папку, лучше на другом диске: backup.folder. Копию сейчас делает команда \
                 perezvon backup.",
            );
        };
        if lies_within(folder, &config.storage.recordings) {
            return self.bad(format!(
                "Папка резервных копий {} лежит в папке записей, копии в неё не делаются. Укажите другую, лучше на другом \
                 диске: backup.folder.",
                folder.display()
            ));
        }
        match writable(nearest(folder)).await {
            Ok(()) => self.good(format!(
                "Резервная копия: каждую ночь в {}:{:02} в папку {}, хранятся последние {keep}.",
                at.hour(),
                at.minute(),
                folder.display()
            )),
            Err(error) => {
                return self.bad(format!(
                    "Папка резервных копий {} недоступна: {}. {} или укажите другую: backup.folder.",
                    folder.display(),
                    reason(&error),
                    mend(&error)
                ));
            }
        }
        if is_missing(folder) {
            self.fair(format!(
                "Папки резервных копий {} ещё нет, её сделает служба с первой копией. Если копии уже делались, подключите диск \
                 с ними или исправьте backup.folder.",
                folder.display()
            ));
        }
        if device(folder).is_some() && device(folder) == device(&config.storage.recordings) {
            self.fair(
                "Папка резервных копий на том же диске, что и записи: поломки диска копия не переживёт. Укажите папку на \
                 другом диске: backup.folder.",
            );
        }
    }

    fn retention(&mut self, config: &Config) {
        let terms = &config.retention;
        if !terms.is_empty() {
            self.good(format!("Сроки хранения: {}; стирает служба, каждую ночь в 1:30.", terms.in_words()));
        }
        let undecided = terms.undecided_words();
        if !undecided.is_empty() {
            self.fair(format!(
                "Школа не решила, как долго хранить {undecided}: хранится без срока. Когда решит, впишите сроки в раздел [retention]."
            ));
        }
    }

    fn line(&mut self, line: &Line, config: &Config, now: Timestamp) {
        let name = format!("Линия «{}»", line.title);
        let number = line.number.as_ref().map(|number| number.spaced()).unwrap_or_default();
        self.good(format!("{name} ({}), {number}: {}.", line.id, hours_now(&line.calendar, now)));
        match line.ring.len() {
            0 => self.fair(format!(
                "{name}: телефоны сотрудников не заданы, и в рабочее время звонящий сразу слышит предложение оставить \
                 сообщение. Если отвечать должны сотрудники, впишите их телефоны в ring."
            )),
            phones if phones * line.ring_seconds as usize > PATIENCE_SECONDS => self.fair(format!(
                "{name}: до предложения оставить сообщение пройдёт до {} с ({phones} × {} с). Уменьшите ring_seconds \
                 или число телефонов: дольше {PATIENCE_SECONDS} с ждут немногие.",
                phones * line.ring_seconds as usize,
                line.ring_seconds
            )),
            phones => self.good(format!(
                "{name}: в рабочее время звонят телефоны сотрудников, {phones} по {} с каждый.",
                line.ring_seconds
            )),
        }
        let has_exchange = config.providers.iter().any(|provider| matches!(provider, ProviderConfig::Asterisk(_)));
        if line.recording_notice && has_exchange {
            self.fair(format!(
                "{name}: «Сообщение будет записано» своя АТС произнесёт, только если школа записала приветствие с этими словами: в \
                 пакете звуков их нет. Запишите его на странице «Приветствия»."
            ));
        }
        let extensions: Vec<_> = line.ring.iter().filter(|it| matches!(it, Telephone::Extension(_))).collect();
        if let (false, Some(extension)) = (has_exchange, extensions.first()) {
            self.bad(format!(
                "{name}: внутренний номер {extension} может набрать только своя АТС (kind = \"asterisk\"), а её в настройках нет. \
                 Впишите в ring обычный номер телефона."
            ));
        }
        if line.aliases.is_empty() && !config.providers.is_empty() {
            self.fair(format!(
                "{name}: технические номера не заданы. Номер мобильный, звонки приходят переадресацией: впишите в aliases \
                 номер, на который она настроена, иначе звонок попадёт на «неизвестную линию»."
            ));
        }
        match line.response_term {
            Some(_) => self.good(format!("{name}: срок ответа задан (response_term_hours).")),
            None => self.fair(format!(
                "{name}: срок ответа не задан. В нашем экземпляре регламента он не указан, поэтому не считается. Когда школа \
                 установит срок, впишите response_term_hours."
            )),
        }
    }

    fn prompts(&mut self, config: &Config) {
        for provider in &config.providers {
            let ProviderConfig::Twiml { settings: Settings { name, voice, language, .. }, .. } = provider else {
                continue;
            };
            match language.starts_with("ru") {
                true => self.good(format!("Приветствия, подключение {name}: читает голос {voice} ({language}).")),
                false => self.fair(format!(
                    "Приветствия, подключение {name}: тексты русские, а язык {language}. Напишите language = \"ru-RU\"."
                )),
            }
        }
        for line in config.lines.iter() {
            self.recorded(line);
            match line.audience.as_str() {
                "" => self.fair(format!(
                    "Приветствие линии «{}» не скажет, кому она помогает. Впишите audience, например \"родителям\".",
                    line.title
                )),
                audience => {
                    self.good(format!("Приветствие линии «{}»: «помощь {audience} по Школьному порталу».", line.title))
                }
            }
        }
    }

    /// What the school recorded itself, if anything.
    fn recorded(&mut self, line: &Line) {
        if line.greetings.is_empty() {
            return;
        }
        self.good(format!(
            "Приветствия линии «{}»: своих записей {} из {}, остальное читает робот.",
            line.title,
            line.greetings.len(),
            GreetingKind::ALL.len()
        ));
        for (kind, recorded) in line.greetings.iter().filter(|(_, recorded)| recorded.length_ms > PATIENCE_MS) {
            self.fair(format!(
                "Приветствие линии «{}», «{}», длится {} с. Дольше {} секунд звонящие вешают трубку: запишите короче на \
                 странице «Приветствия».",
                line.title,
                kind.title(),
                (recorded.length_ms + 999) / 1_000,
                PATIENCE_MS / 1_000
            ));
        }
    }
}

/// «сейчас открыта до пн, 23.11.2026, 18:00».
fn hours_now(calendar: &Calendar, now: Timestamp) -> String {
    let answer = calendar.answer(now);
    let zone = calendar.time_zone();
    match (answer.current_period, answer.next_period) {
        (Some(period), _) => format!("сейчас открыта до {}", when(period.end, zone)),
        (None, Some(period)) => format!("сейчас закрыта, откроется {}", when(period.start, zone)),
        (None, None) => "закрыта, рабочих часов впереди нет".to_owned(),
    }
}

fn when(at: Timestamp, zone: &TimeZone) -> String {
    const DAYS: [&str; 7] = ["пн", "вт", "ср", "чт", "пт", "сб", "вс"];
    let local = at.to_zoned(zone.clone());
    let day = DAYS[local.weekday().to_monday_zero_offset() as usize];
    format!("{day}, {}, {}:{:02}", local.strftime("%d.%m.%Y"), local.hour(), local.minute())
}

/// The disk of a folder.
struct Disk {
    device: u64,
    /// A file system in memory, as the temporary folder of many systems.
    is_memory: bool,
}

/// Writes into the second folder of the spool, and leaves nothing behind. Like the service it makes the folder, but not the
/// one above.
fn try_second_place(folder: &Path) -> std::io::Result<Disk> {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58F6;
    let is_new = !folder.exists();
    if is_new {
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    }
    let tried = || {
        let file = folder.join(probe_name());
        std::fs::write(&file, b"")?;
        std::fs::remove_file(&file)?;
        // The width of the number differs between machines.
        let kind = rustix::fs::statfs(folder)?.f_type as u64 & 0xFFFF_FFFF;
        Ok(Disk { device: std::fs::metadata(folder)?.dev(), is_memory: kind == TMPFS || kind == RAMFS })
    };
    let disk = tried();
    if is_new {
        std::fs::remove_dir(folder)?;
    }
    disk
}

/// The disk on which this folder is, or will be once it is made.
fn device(folder: &Path) -> Option<u64> {
    std::fs::metadata(nearest(folder)).ok().map(|it| it.dev())
}

/// A link that leads nowhere is there: no folder can be made in its place.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}

/// The folder itself, or that above it in which it can be made.
fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|it| !is_missing(it)).unwrap_or(Path::new("."))
}

/// What helps against an error of writing: the beginning of a sentence that goes on with «или».
fn mend(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => "Подключите диск для записи",
        std::io::ErrorKind::StorageFull => "Освободите место",
        std::io::ErrorKind::PermissionDenied => "Дайте службе право писать в неё",
        _ => "Создайте её и дайте службе право писать в неё",
    }
}

fn probe_name() -> String {
    format!(".perezvon-check-{}", std::process::id())
}

async fn writable(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(probe_name());
    tokio::fs::write(&file, b"").await?;
    tokio::fs::remove_file(&file).await
}

#[cfg(test)]
mod tests;
