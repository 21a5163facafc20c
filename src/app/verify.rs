//! `perezvon verify`: is every kept message, and every greeting, still what it was when it came?

use std::io::Write;

use crate::recordings::{Checksum, Folder, ReadError, RecordingName};
use crate::store::Store;

/// Reads every stored recording and compares its checksum. `false`: something is missing or changed.
pub async fn run(store: &Store, folder: &Folder, out: &mut dyn Write) -> anyhow::Result<bool> {
    let (mut checked, mut wrong, mut last) = (0u64, 0u64, 0);
    loop {
        let page = store.stored_voicemails(last).await?;
        if page.is_empty() {
            break;
        }
        for voicemail in page {
            last = voicemail.id;
            let Some(sound) = voicemail.sound else { continue };
            checked += 1;
            if let Err(what) = check(folder, &sound.name, &sound.sha256).await {
                wrong += 1;
                writeln!(out, "✗ {}: {what}", sound.name)?;
            }
        }
    }
    let mut last = 0;
    loop {
        let page = store.all_prompts(last).await?;
        if page.is_empty() {
            break;
        }
        for prompt in page {
            last = prompt.id;
            let heard =
                RecordingName::of_prompt(&prompt.name).map_or_else(|_| prompt.name.clone(), |it| it.to_string());
            for (name, sha256) in [(heard, &prompt.sha256), (prompt.original_name, &prompt.original_sha256)] {
                checked += 1;
                if let Err(what) = check(folder, &name, sha256).await {
                    wrong += 1;
                    writeln!(out, "✗ {name}: {what}")?;
                }
            }
        }
    }
    match wrong {
        0 => writeln!(out, "✓ Записей проверено: {checked}, все целы.")?,
        _ => writeln!(out, "Записей проверено: {checked}, не сошлось: {wrong}. Верните файлы из резервной копии.")?,
    }
    Ok(wrong == 0)
}

async fn check(folder: &Folder, name: &str, sha256: &[u8]) -> Result<(), String> {
    let name: RecordingName = name.parse().map_err(|error| format!("{error}"))?;
    match folder.checksum(&name).await {
        Ok(Checksum(found)) if found[..] == *sha256 => Ok(()),
        Ok(found) => Err(format!("файл изменился, контрольная сумма теперь {found}")),
        Err(ReadError::Missing(_)) => Err("файла нет".to_owned()),
        Err(error) => Err(format!("файл не читается: {error}")),
    }
}
