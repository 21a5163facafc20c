//! `perezvon backup`, `restore` and `verify --backup`: a copy of everything while the service runs, and the way back.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use super::config::{Config, reason};
use super::privacy;
use crate::core::officer::Actor;
use crate::jobs::backup::{
    self, BackupError, BackupRequest, Forgetting, MadeBy, Manifest, ManifestError, Problem, RestoringError,
};
use crate::jobs::{FORGOTTEN, FORGOTTEN_BESIDE_RECORDINGS, add_forgotten, read_forgotten};
use crate::recordings::KeyFile;
use crate::store::{AuditEntry, RestoreError, SchemaError, StoreError, audit_without_migrating};
use crate::time::Timestamp;

/// Problems that are listed one by one.
const MAX_LISTED: usize = 20;

/// Makes a backup below `into`. `false`: it is whole, but recordings were missing before it was made.
pub async fn make(config: &Config, into: &Path, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<bool> {
    if let Some(missing) = config.storage.missing_database() {
        bail!(missing);
    }
    let request = BackupRequest {
        source: config.storage.backup_source(),
        into: into.to_owned(),
        made_by: MadeBy::Command,
        created_at: now,
        zone: config.default_calendar.time_zone().clone(),
    };
    let made = backup::make(&request).await.map_err(|error| match error {
        BackupError::AmongRecordings(folder) => anyhow::anyhow!(
            "копия не сделана: папка {} лежит в папке записей. Укажите другую, лучше на другом диске",
            folder.display()
        ),
        BackupError::Io { path, source } => {
            anyhow::anyhow!("копия не сделана: {}: {}", path.display(), reason(&source))
        }
        BackupError::Key(error) => anyhow::anyhow!(
            "копия не сделана: {}; без шифрования она не делается. {}",
            error.in_russian(),
            error.remedy()
        ),
        BackupError::Store(error) => {
            anyhow::anyhow!("копия не сделана: база {}: {}", config.storage.database_shown(), store_in_words(&error))
        }
        BackupError::Manifest(error) => {
            anyhow::anyhow!(
                "копия не сделана, записанное не прочиталось обратно: {}. Проверьте диск",
                not_a_backup(into, &error)
            )
        }
        BackupError::Damaged(problems) => {
            let problems: Vec<String> = problems.iter().take(MAX_LISTED).map(ToString::to_string).collect();
            anyhow::anyhow!(
                "копия не сделана, записанное не прочиталось обратно: {}. Проверьте диск",
                problems.join("; ")
            )
        }
    })?;
    let manifest = &made.manifest;
    writeln!(out, "✓ Копия: {}", made.folder.display())?;
    keep_list_beside(config, into, out).await?;
    write_into_audit(config, "backup", &made.folder, now, out).await?;
    describe(manifest, out)?;
    if made.linked > 0 {
        writeln!(out, "  Записей общих с прежней копией (места не занимают): {}", made.linked)?;
    }
    writeln!(out, "✓ Копия перечитана и проверена.")?;
    for name in manifest.defects.iter().take(MAX_LISTED) {
        writeln!(out, "✗ {name}: в папке записей файла нет, или он изменился, или зашифрован другим ключом")?;
    }
    if !manifest.defects.is_empty() {
        writeln!(
            out,
            "✗ Недостающих записей: {}. Остальное в копии целое. Что случилось: perezvon verify.",
            manifest.defects.len()
        )?;
    }
    Ok(manifest.defects.is_empty())
}

/// Restores the backup in `folder` into the configured database and recordings folder, both empty.
/// Callers on the list of forgotten numbers, `forgotten` or one that lies in its place, do not come back.
pub async fn restore(
    config: &Config,
    folder: &Path,
    forgotten: Option<&Path>,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let storage = &config.storage;
    let forgotten = privacy::lists_for_restore(config, folder, forgotten)?;
    let is_list_empty = forgotten.is_empty();
    let forgetting = Forgetting { list: forgotten, lines: config.lines.clone(), now };
    let (database, recordings) = (storage.database_shown(), storage.recordings.display());
    let key = storage.key();
    let restored = backup::restore(folder, &storage.database, &storage.recordings, &forgetting, key.as_ref());
    let restored = match restored.await {
        Ok(restored) => restored,
        Err(RestoringError::Damaged(problems)) => {
            list(&problems, out)?;
            writeln!(out, "✗ Копия повреждена, ничего не изменено. Возьмите другую.")?;
            return Ok(false);
        }
        Err(error) => bail!(match error {
            RestoringError::Manifest(error) => not_a_backup(folder, &error),
            RestoringError::Key(error) => {
                format!("папка записей {recordings}: {}, ничего не изменено. {}", error.in_russian(), error.remedy())
            }
            RestoringError::FolderNotEmpty { folder, file } => format!(
                "папка записей {} не пуста (есть {file}), ничего не изменено. Укажите пустую: storage.recordings",
                folder.display()
            ),
            RestoringError::Database(RestoreError::NotEmpty(table)) => format!(
                "база {database} не пуста (есть строки в {table}), ничего не изменено. Укажите новую: storage.database"
            ),
            RestoringError::Database(RestoreError::OtherSchema { found, wanted }) => format!(
                "в базе {database} уже есть таблицы другой версии ({found}, а в копии {wanted}), ничего не изменено. \
                 Укажите новую: storage.database"
            ),
            RestoringError::Io { path, source } => format!(
                "восстановление прервано: {}: {}. Исправьте и запустите его ещё раз: оно начнётся сначала",
                path.display(),
                reason(&source)
            ),
            error => {
                format!(
                    "восстановление прервано: {}. Запустите его ещё раз: оно начнётся сначала",
                    why_broken_off(&error)
                )
            }
        }),
    };
    if restored.was_unfinished {
        writeln!(out, "! Прежнее восстановление было прервано, начато сначала.")?;
    }
    describe(&restored.manifest, out)?;
    writeln!(out, "✓ База {database} и папка записей {recordings} восстановлены и сверены с копией.")?;
    match restored.forgotten {
        0 => {}
        count => writeln!(out, "✓ Стёрты снова те, кого стёрли после этой копии: {count}.")?,
    }
    if is_list_empty {
        writeln!(
            out,
            "  Списка стёртых номеров не найдено. Если после этой копии кого-то стирали, он вернулся: сотрите его снова, perezvon \
             forget НОМЕР, или восстановите заново с ключом --forgotten ФАЙЛ."
        )?;
    }
    write_into_audit(config, "restore", folder, now, out).await?;
    for name in restored.manifest.defects.iter().take(MAX_LISTED) {
        writeln!(out, "! {name}: этой записи не было уже при копировании")?;
    }
    Ok(true)
}

/// The list of forgotten numbers lies beside every backup. An older database has none.
async fn keep_list_beside(config: &Config, into: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let key = config.storage.key();
    let list = read_forgotten(&config.storage.recordings.join(FORGOTTEN_BESIDE_RECORDINGS), None);
    let kept =
        list.and_then(|list| add_forgotten(&into.join(FORGOTTEN), &list.into_iter().collect::<Vec<_>>(), key.as_ref()));
    if let Err(failed) = kept {
        writeln!(out, "! Список стёртых номеров не записан рядом с копией: {}.", reason(&failed))?;
    }
    Ok(())
}

/// What the command did stands in the audit of the database. That it could not be written costs no backup.
async fn write_into_audit(
    config: &Config,
    action: &'static str,
    folder: &Path,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    let entry = AuditEntry {
        by: Actor::command_line(),
        action,
        object: format!("backup {name}"),
        detail: folder.display().to_string(),
        address: String::new(),
    };
    if let Err(error) = audit_without_migrating(&config.storage.database, &entry, now).await {
        writeln!(out, "! В журнал действий это не записано: {}.", store_in_words(&error))?;
    }
    Ok(())
}

/// For the end of a sentence. What the database says of itself is quoted as it is.
fn why_broken_off(error: &RestoringError) -> String {
    match error {
        RestoringError::TableDiffers { table, found, wanted } => {
            format!("в таблице {table} не то, что в копии (строк {found} из {wanted})")
        }
        RestoringError::ReferencesDiffer { .. } => "ссылки между таблицами не те, что в копии".to_owned(),
        RestoringError::Database(RestoreError::OtherTable(table)) => {
            format!("таблица {table} в копии не такая, как в её версии таблиц")
        }
        RestoringError::Database(RestoreError::BadLine { table, line }) => {
            format!("строка {line} таблицы {table} в копии не подходит к её столбцам")
        }
        RestoringError::Database(RestoreError::Store(error)) => store_in_words(error),
        error => format!("«{error}»"),
    }
}

fn store_in_words(error: &StoreError) -> String {
    match error {
        StoreError::UnfinishedRestore => {
            "в ней незаконченное восстановление, закончите его: perezvon restore".to_owned()
        }
        StoreError::Gone => "её файла нет на месте".to_owned(),
        StoreError::Unavailable(error) => format!("ошибка базы данных: {error}"),
        error => format!("база данных отвечает «{error}»"),
    }
}

/// Reads the backup in `folder` again, with the key if it is encrypted. `false`: something is missing or changed.
pub async fn verify(folder: &Path, key: Option<&KeyFile>, out: &mut dyn Write) -> anyhow::Result<bool> {
    let (manifest, problems) = match backup::verify(folder, key).await {
        Ok(verified) => verified,
        Err(error) => bail!(not_a_backup(folder, &error)),
    };
    list(&problems, out)?;
    describe(&manifest, out)?;
    match problems.len() {
        0 => writeln!(out, "✓ Копия целая: файлов {}.", manifest.files.len())?,
        count => writeln!(out, "✗ Копия повреждена, файлов с ошибкой: {count}. Возьмите другую.")?,
    }
    Ok(problems.is_empty())
}

fn list(problems: &[Problem], out: &mut dyn Write) -> anyhow::Result<()> {
    for problem in problems.iter().take(MAX_LISTED) {
        writeln!(out, "✗ {problem}")?;
    }
    if problems.len() > MAX_LISTED {
        writeln!(out, "✗ … и ещё {}", problems.len() - MAX_LISTED)?;
    }
    Ok(())
}

fn describe(manifest: &Manifest, out: &mut dyn Write) -> anyhow::Result<()> {
    let rows: u64 = manifest.tables.iter().map(|entry| entry.rows).sum();
    let calls = manifest.tables.iter().find(|entry| entry.table.name == "call").map_or(0, |entry| entry.rows);
    writeln!(
        out,
        "  {}, {}: строк {rows} (звонков {calls}), записей {}, всего {}",
        manifest.created_at,
        manifest.engine,
        manifest.count_recordings(),
        size(manifest.size_bytes())
    )
    .context("ответ не печатается")?;
    if let Some(recipient) = &manifest.recipient {
        writeln!(out, "  Зашифрована ключом {recipient}")?;
    }
    let waiting = manifest.count_waiting();
    if waiting > 0 {
        writeln!(out, "  Событий, которые ждут базу данных: {waiting}")?;
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    match bytes {
        ..1_000_000 => format!("{} КБ", bytes.div_ceil(1000)),
        _ => format!("{} МБ", bytes / 1_000_000),
    }
}

fn not_a_backup(folder: &Path, error: &ManifestError) -> String {
    let folder = folder.display();
    match error {
        ManifestError::Missing => {
            format!("{folder} не резервная копия, или она не закончена: нет файла {}", backup::MANIFEST)
        }
        ManifestError::Link => format!("копия {folder} повреждена: {} не файл, а ссылка", backup::MANIFEST),
        ManifestError::Io(error) => format!("{folder} не читается: {}", reason(error)),
        ManifestError::Key(error) => format!(
            "копия {folder} зашифрована: {}. {} Или назовите файл ключа в команде: --key-file",
            error.in_russian(),
            error.remedy()
        ),
        ManifestError::Malformed(_) => format!("копия {folder} повреждена: {} не разобрать", backup::MANIFEST),
        ManifestError::OtherFormat(format) => format!("{folder} не копия этой программы, а «{format}»"),
        ManifestError::Outside(name) => format!("копия {folder} повреждена: имя {name:?} ведёт за её пределы"),
        ManifestError::Undescribed(table) => format!("копия {folder} повреждена: таблица {table:?} не описана"),
        ManifestError::OtherTables(names) => {
            format!("копия {folder} повреждена: таблицы не те, что должны быть ({}). Возьмите другую", names.join(", "))
        }
        ManifestError::Schema(SchemaError::Newer { known, wanted }) => format!(
            "копия {folder} сделана более новой программой (версия таблиц {wanted}, эта знает до {known}). Обновите perezvon"
        ),
        ManifestError::Schema(SchemaError::Unknown(version)) => {
            format!("копия {folder} повреждена: версии таблиц {version} никогда не было")
        }
        ManifestError::Schema(SchemaError::Store(error)) => {
            format!("копия {folder} не проверена: {}", store_in_words(error))
        }
        ManifestError::Newer(version) => {
            format!("копия {folder} сделана более новой программой (формат {version}). Обновите perezvon")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_off_restore_is_told_in_russian() {
        let table = || "call".to_owned();
        let errors = [
            RestoringError::TableDiffers { table: table(), found: 3, wanted: 5 },
            RestoringError::ReferencesDiffer { found: [].into(), wanted: [].into() },
            RestoreError::OtherTable(table()).into(),
            RestoreError::BadLine { table: table(), line: 7 }.into(),
            StoreError::UnfinishedRestore.into(),
            StoreError::Gone.into(),
        ];
        for error in errors {
            let told = why_broken_off(&error).replace("call", "").replace("perezvon restore", "");
            assert!(!told.contains(|c: char| c.is_ascii_alphabetic()), "{told}");
        }
    }
}
