//! `perezvon find`, `forget` and `retention`: all there is about one number, one number erased, and the terms of the school.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::config::{Config, reason};
use crate::core::officer::Actor;
use crate::core::phone::PhoneNumber;
use crate::core::written_text::in_one_line;
use crate::jobs::{
    FORGOTTEN, FORGOTTEN_BESIDE_RECORDINGS, Worker, add_forgotten, read_forgotten, retention_in_words, spooled_naming,
};
use crate::recordings::{KeyError, KeyFile};
use crate::store::{ForgetCounts, ForgetError, ForgottenNumber, SpoolFolders, personal_document};
use crate::time::Timestamp;

#[derive(Clone, Debug, Args)]
pub struct FindArgs {
    /// Номер телефона в любом привычном виде
    #[arg(value_name = "НОМЕР")]
    pub number: String,
    /// Всё целиком, в JSON: файл, который можно отдать
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ForgetArgs {
    /// Номер телефона в любом привычном виде
    #[arg(value_name = "НОМЕР")]
    pub number: String,
    /// Только сказать, что будет стёрто, и ничего не менять
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Args)]
pub struct RetentionArgs {
    /// Только сказать, что будет стёрто, и ничего не менять
    #[arg(long)]
    pub dry_run: bool,
}

/// What a table is called, and its columns that are printed for people.
const TABLES: [(&str, &str, &[&str]); 12] = [
    ("call", "Звонки", &["started_at", "line", "direction", "outcome"]),
    ("voicemail", "Сообщения", &["received_at", "state", "name", "transcript"]),
    ("callback", "Обращения", &["received_at", "registration_number", "line", "state", "summary", "note"]),
    ("callback_history", "История обращений", &["at", "actor_name", "kind", "outcome", "note"]),
    ("placed_call", "Звонки с АТС", &["asked_at", "actor_name", "ending"]),
    ("contact", "Имя и заметка", &["name", "note"]),
    ("blocked_number", "Блокировка", &["blocked_at", "actor_name", "reason"]),
    ("delivery", "Запросы операторов", &["received_at", "provider", "endpoint"]),
    ("audit", "История действий", &["at", "actor_name", "action", "object", "detail"]),
    ("mail", "Письма", &["created_at", "subject"]),
    ("alarm", "Предупреждения", &["raised_at", "told"]),
    ("job", "Задания", &["kind", "last_error"]),
];

fn read_number(text: &str, worker: &Worker) -> anyhow::Result<PhoneNumber> {
    let Ok(number) = PhoneNumber::parse(text) else {
        bail!("«{text}» не номер телефона. Напишите номер с кодом: \"8 928 111-00-01\" или \"+79281110001\"");
    };
    if worker.store.lines().is_own(&number) {
        bail!("{} это номер линии школы, а не звонящего", number.spaced());
    }
    Ok(number)
}

/// Prints all there is about a number. `false`: there is nothing.
pub async fn find(
    config: &Config,
    worker: &Worker,
    args: &FindArgs,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let number = read_number(&args.number, worker)?;
    let parts = worker.store.personal_data(&number).await?;
    let spooled = spooled(config, &number)?;
    if args.json {
        let mut all = personal_document(&number, &parts, now);
        let files: Vec<String> = spooled.iter().map(|(path, _)| path.display().to_string()).collect();
        all.insert("spool".to_owned(), files.into());
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        return Ok(!parts.is_empty() || !spooled.is_empty());
    }
    writeln!(out, "{}", number.spaced())?;
    for (table, title, columns) in TABLES {
        let Some(part) = parts.iter().find(|part| part.table == table) else { continue };
        writeln!(out, "{title}: {}", part.rows.len())?;
        for row in &part.rows {
            let shown = columns.iter().filter_map(|column| row.get(*column).and_then(printed));
            writeln!(out, "  {}", shown.collect::<Vec<_>>().join(" · "))?;
        }
    }
    for (path, waits) in &spooled {
        let why = if *waits { "ждёт базу данных" } else { "отложено без разбора" };
        writeln!(out, "Событие на диске, {why}: {}", path.display())?;
    }
    if parts.is_empty() && spooled.is_empty() {
        writeln!(out, "Об этом номере ничего нет.")?;
        return Ok(false);
    }
    writeln!(out, "Всё целиком: perezvon find {} --json.", number.e164())?;
    Ok(true)
}

fn printed(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(in_one_line(text)),
        other => Some(other.to_string()),
    }
}

/// The spooled deliveries that name the number, in all folders of the spool.
fn spooled(config: &Config, number: &PhoneNumber) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    let recordings = &config.storage.recordings;
    let SpoolFolders { first, emergency, former } = SpoolFolders::new(recordings, &config.storage.emergency_folder());
    let mut found = Vec::new();
    for folder in [first, emergency, former] {
        let named = spooled_naming(&folder, recordings, |named| named == number);
        found.extend(named.with_context(|| format!("{} не читается", folder.display()))?);
    }
    Ok(found)
}

/// Erases all about a number. `false`: its owner still waits, and nothing was changed.
pub async fn forget(
    config: &Config,
    worker: &Worker,
    args: &ForgetArgs,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let number = read_number(&args.number, worker)?;
    let spooled = spooled(config, &number)?;
    if let Some((path, _)) = spooled.iter().find(|(_, waits)| *waits) {
        writeln!(
            out,
            "✗ Ничего не стёрто: событие этого номера ещё не внесено в базу данных ({}). Запустите службу, дождитесь, пока \
             файл исчезнет, и повторите.",
            path.display()
        )?;
        return Ok(false);
    }
    let counts = match worker.store.forget_preview(&number).await {
        Ok(counts) => counts,
        Err(refused) => return refuse(refused, config, out),
    };
    if args.dry_run {
        writeln!(out, "Будет стёрто: {}.", in_words(&counts, spooled.len()))?;
        writeln!(out, "Ничего не изменено. Чтобы стереть, повторите без --dry-run.")?;
        return Ok(true);
    }
    let counts = match worker.store.forget(&number, &Actor::command_line(), "", now).await {
        Ok(counts) => counts,
        Err(refused) => return refuse(refused, config, out),
    };
    for (path, _) in &spooled {
        std::fs::remove_file(path).with_context(|| format!("{} не удаляется", path.display()))?;
    }
    worker.erase_files().await?;
    worker.sweep_arrived().await?;
    let is_log_empty = worker.store.empty_log().await?;
    writeln!(out, "✓ Стёрто: {}.", in_words(&counts, spooled.len()))?;
    let left = worker.store.files_to_erase().await?;
    for (_, name) in &left {
        writeln!(out, "✗ {name}: файл пока не удаляется. Служба попробует сама раз в минуту.")?;
    }
    if !is_log_empty {
        writeln!(out, "! База данных занята чтением: её журнал (-wal) очистится позже, не позднее остановки службы.")?;
    }
    let list = worker.store.forgotten().await?;
    let mut is_listed = write_list(&config.storage.recordings.join(FORGOTTEN_BESIDE_RECORDINGS), &list, None, out)?;
    if let Some(backup) = config.backup.as_ref().filter(|backup| backup.folder.is_dir()) {
        is_listed &= write_list(&backup.folder.join(FORGOTTEN), &list, config.storage.key().as_ref(), out)?;
    }
    writeln!(
        out,
        "  В прежних резервных копиях номер остаётся, пока их не удалят. Восстановление сотрёт его снова: по списку в папке \
         копий (файл {FORGOTTEN}) или в папке записей ({FORGOTTEN_BESIDE_RECORDINGS}). Копии в других местах восстанавливайте \
         с ключом --forgotten ФАЙЛ."
    )?;
    writeln!(out, "  Новый звонок с этого номера будет обычным новым звонком.")?;
    Ok(left.is_empty() && is_listed)
}

/// `false`: it could not be written, which is told.
fn write_list(
    file: &Path,
    list: &[ForgottenNumber],
    key: Option<&KeyFile>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let Err(failed) = add_forgotten(file, list, key) else { return Ok(true) };
    writeln!(
        out,
        "✗ Список стёртых номеров не записан в {}: {}. Исправьте и повторите команду, иначе копии из этой папки вернут номер.",
        file.display(),
        reason(&failed)
    )?;
    Ok(false)
}

fn refuse(refused: ForgetError, config: &Config, out: &mut dyn Write) -> anyhow::Result<bool> {
    match refused {
        ForgetError::Store(failed) => return Err(failed.into()),
        ForgetError::CallGoesOn => {
            writeln!(out, "✗ Ничего не стёрто: с этого номера сейчас звонят. Повторите, когда разговор закончится.")?;
        }
        ForgetError::Waiting(callbacks) => {
            writeln!(out, "✗ Ничего не стёрто: этот человек ещё ждёт звонка. Закройте его обращения и повторите:")?;
            for id in callbacks {
                writeln!(out, "  {}/callbacks/{id}", config.server.public_url)?;
            }
        }
    }
    Ok(false)
}

fn in_words(counts: &ForgetCounts, spooled: usize) -> String {
    let ForgetCounts { calls, callbacks, voicemails, deliveries, contacts, mentions } = counts;
    if counts.is_empty() && spooled == 0 {
        return "ничего, об этом номере ничего нет".to_owned();
    }
    format!(
        "звонков {calls}, обращений {callbacks}, сообщений {voicemails}, запросов операторов {deliveries}, имён и заметок \
         {contacts}, упоминаний {mentions}, файлов с отложенными событиями {spooled}"
    )
}

/// Applies the terms of the configuration now.
pub async fn retention(
    config: &Config,
    worker: &Worker,
    args: &RetentionArgs,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let terms = &config.retention;
    if terms.is_empty() {
        writeln!(out, "Сроки хранения не заданы, ничего не стирается. Впишите их в раздел [retention] настроек.")?;
        return Ok(true);
    }
    let counts = worker.retain(terms, &Actor::command_line(), args.dry_run).await?;
    let words = retention_in_words(&counts);
    match (counts.is_empty(), args.dry_run) {
        (true, _) => writeln!(out, "✓ По срокам ({}) стирать нечего.", terms.in_words())?,
        (false, true) => writeln!(out, "По срокам ({}) будет стёрто: {words}.\nНичего не изменено.", terms.in_words())?,
        (false, false) => writeln!(out, "✓ По срокам ({}) стёрто: {words}.", terms.in_words())?,
    }
    Ok(true)
}

/// The lists of forgotten numbers that a restore goes by: the one that was named, the one beside the backup, that of the
/// nightly backups, and the one that lies in the folder of recordings.
pub(super) fn lists_for_restore(
    config: &Config,
    backup: &Path,
    named: Option<&Path>,
) -> anyhow::Result<BTreeSet<ForgottenNumber>> {
    let backup = std::path::absolute(backup).unwrap_or_else(|_| backup.to_owned());
    let beside = backup.parent().map(|folder| folder.join(FORGOTTEN));
    let nightly = config.backup.as_ref().map(|settings| settings.folder.join(FORGOTTEN));
    let of_recordings = config.storage.recordings.join(FORGOTTEN_BESIDE_RECORDINGS);
    let key = config.storage.key();
    let mut all = BTreeSet::new();
    if let Some(named) = named.filter(|named| !named.exists()) {
        bail!("списка стёртых номеров {} нет, ничего не изменено", named.display());
    }
    for file in named.map(Path::to_owned).into_iter().chain(beside).chain(nightly).chain([of_recordings]) {
        let list = read_forgotten(&file, key.as_ref());
        if let Some(error) = list.as_ref().err().and_then(KeyError::of) {
            bail!(
                "список стёртых номеров {} зашифрован, ничего не изменено: {}. {}",
                file.display(),
                error.in_russian(),
                error.remedy()
            );
        }
        all.extend(list.with_context(|| {
            format!(
                "список стёртых номеров {} не читается, ничего не изменено. Исправьте или уберите его",
                file.display()
            )
        })?);
    }
    Ok(all)
}
