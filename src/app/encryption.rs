//! `perezvon key new` and `perezvon encrypt`: the key of the recordings and backups, and what lies unencrypted from before.

use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;

use super::config::{Config, reason};
use crate::recordings::{EncryptError, Encrypted, Folder, KeepError, KeyFile};
use crate::store::Store;

/// Messages that are named one by one.
const MAX_LISTED: usize = 20;

/// Makes a new key in `file`, which must not be there.
pub fn new_key(file: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let file = &std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let shown = file.display();
    let key = match KeyFile::create(file) {
        Ok(key) => key,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("файл {shown} уже есть и не изменён: в нём может быть ключ, без которого записи не прочитать")
        }
        Err(error) => bail!("ключ не записан: {shown}: {}", reason(&error)),
    };
    writeln!(out, "✓ Ключ записан в {shown}. Читать этот файл может только его владелец.")?;
    if let Ok(key) = key.key() {
        writeln!(out, "  Открытая часть: {}", key.recipient())?;
    }
    writeln!(
        out,
        "! Сохраните копию файла отдельно от сервера и от резервных копий: на бумаге в сейфе, на флешке. Если ключ потерян, \
         записи и копии не прочитает никто."
    )?;
    writeln!(
        out,
        "  Дальше: впишите в настройки [storage] key_file = \"{shown}\", запустите службу заново, затем perezvon encrypt."
    )?;
    Ok(())
}

/// Encrypts the messages that lie plain. `false`: some are encrypted to another key, or damaged.
pub async fn encrypt(config: &Config, store: &Store, out: &mut dyn Write) -> anyhow::Result<bool> {
    let recordings = config.storage.recordings.display();
    let Some(key) = config.storage.key() else {
        bail!(
            "ничего не изменено: файл ключа не назван. Сделайте его: perezvon key new ФАЙЛ, и впишите в storage.key_file"
        );
    };
    if !config.storage.recordings.is_dir() {
        bail!("ничего не изменено: папки записей {recordings} нет. Проверьте storage.recordings, текущую папку и диск");
    }
    if store.misses_recordings(&config.storage.recordings).await? {
        bail!("ничего не изменено: {recordings} не та папка записей, что была: диск не подключён?");
    }
    let folder = match Folder::open(&config.storage.recordings) {
        Ok(folder) => folder.encrypted_with(Some(key)),
        Err(error) => bail!("папка записей {recordings}: {}", not_written(&error)),
    };
    if let Err(error) = folder.key_state().await {
        bail!("ничего не изменено: {}. {}", error.in_russian(), error.remedy());
    }
    let done = match folder.encrypt_messages().await {
        Ok(done) => done,
        Err(EncryptError::Key(error)) => bail!(
            "шифрование прервано: {}. Что зашифровано, так и осталось, остальное лежит как было. {}",
            error.in_russian(),
            error.remedy()
        ),
        Err(EncryptError::List(error)) => bail!("папка записей {recordings}: {}", reason(&error)),
        Err(EncryptError::File { name, source }) => bail!(
            "шифрование прервано на {name}: {}. Что зашифровано, так и осталось, остальное лежит как было. Исправьте и повторите",
            not_written(&source)
        ),
    };
    let Encrypted { files, bytes, before, unreadable } = done;
    for name in unreadable.iter().take(MAX_LISTED) {
        writeln!(out, "✗ {name}: зашифровано другим ключом или повреждено, оставлено как есть")?;
    }
    if unreadable.len() > MAX_LISTED {
        writeln!(out, "✗ … и ещё {}", unreadable.len() - MAX_LISTED)?;
    }
    writeln!(
        out,
        "✓ Зашифровано сообщений: {files} ({} КБ), были зашифрованы раньше: {before}.{}",
        bytes.div_ceil(1000),
        if unreadable.is_empty() {
            " Без шифрования не осталось ни одного."
        } else {
            ""
        }
    )?;
    if files > 0 {
        writeln!(
            out,
            "! Прежние резервные копии и стёртые места диска ещё хранят эти сообщения без шифрования. Удалите старые копии, \
             когда появится новая."
        )?;
    }
    Ok(unreadable.is_empty())
}

fn not_written(error: &KeepError) -> String {
    match error {
        KeepError::NoSpace(_) => "на диске нет места".to_owned(),
        KeepError::Io { path, source } => format!("{}: {}", path.display(), reason(source)),
        KeepError::NoKey(error) => error.in_russian().to_owned(),
        KeepError::TooLarge { max_bytes } => format!("больше {max_bytes} байт"),
    }
}
