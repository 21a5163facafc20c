//! What `perezvon check` says of the key that messages and backups are encrypted to.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::Report;
use crate::app::config::{Config, reason};
use crate::jobs::backup::{backups_in, lies_within};
use crate::recordings::Folder;

impl Report {
    /// Without a key there is nothing to say, unless something is encrypted all the same.
    pub(super) async fn encryption(&mut self, config: &Config) {
        let storage = &config.storage;
        let folder = Folder::unchecked(&storage.recordings).encrypted_with(storage.key());
        let state = folder.key_state().await;
        let (plain, all) = match folder.count_plain().await {
            Ok(counts) => counts,
            // Whether the folder can be used at all is told elsewhere.
            Err(_) if storage.key_file.is_none() => return,
            Err(error) => return self.fair(format!("Какие сообщения зашифрованы, неизвестно: {}.", reason(&error))),
        };
        let Some(file) = &storage.key_file else {
            if state.is_err() || plain < all {
                let of_new = if state.is_err() {
                    "новые остаются у оператора связи"
                } else {
                    "новые пишутся без шифрования"
                };
                self.bad(format!(
                    "Сообщения зашифрованы ({} из {all}), а файл ключа не назван: они не звучат, и {of_new}. Впишите его: \
                     storage.key_file.",
                    all - plain
                ));
            }
            return;
        };
        let name = file.display();
        if let Err(error) = state {
            return self.bad(format!(
                "Шифрование, {name}: {}. Сообщения не звучат, и новые остаются у оператора связи. {}",
                error.in_russian(),
                error.remedy()
            ));
        }
        let key = folder.key_file().and_then(|file| file.key().ok());
        let recipient = key.as_ref().map_or("", |key| key.recipient());
        self.good(format!(
            "Сообщения и резервные копии шифруются ключом {recipient} из файла {name}. Копия этого файла должна лежать и в другом \
             месте: без него их не прочитать."
        ));
        if fs::metadata(file).is_ok_and(|file| file.mode() & 0o077 != 0) {
            self.fair(format!(
                "Файл ключа {name} могут читать другие пользователи этой машины. Закройте его: chmod 600 {name}."
            ));
        }
        let backups = config.backup.as_ref().map(|backup| &backup.folder);
        for folder in [Some(&storage.recordings), backups].into_iter().flatten() {
            if lies_within(file, folder) {
                self.fair(format!(
                    "Файл ключа {name} лежит в папке {}: кто унесёт её, унесёт и ключ. Переложите его и исправьте \
                     storage.key_file.",
                    folder.display()
                ));
            }
        }
        let older = backups.and_then(|folder| backups_in(folder).ok()).unwrap_or_default();
        let plain_backups = older.iter().filter(|backup| !backup.is_encrypted()).count();
        if plain_backups > 0 {
            self.fair(format!(
                "Резервных копий без шифрования, сделанных раньше: {plain_backups}. Удалите их, когда появятся новые."
            ));
        }
        if plain > 0 {
            self.fair(format!("Сообщений без шифрования: {plain} из {all}. Зашифровать их: perezvon encrypt."));
        }
    }
}
