//! What `perezvon check` says of what others on this machine can read, and of secrets that can be guessed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Report;
use super::exchange::SHORTEST_TOKEN;
use crate::app::config::Config;
use crate::providers::twiml::{Settings, Signature};

/// Readers beside the user: his group and others.
const OTHERS: u32 = 0o044;
/// Files that are looked at; where there are more, those tell enough.
const MAX_FILES: usize = 100_000;

impl Report {
    pub(super) fn privacy(&mut self, config: &Config) {
        self.settings_file(config);
        let storage = &config.storage;
        let database = storage.database_file().filter(|file| is_readable(file));
        if let Some(file) = database {
            self.fair(format!(
                "Базу данных {} могут читать другие пользователи этой машины. Закройте её: chmod go-rwx {}*.",
                file.display(),
                file.display()
            ));
        }
        let backups = config.backup.as_ref().map(|backup| &backup.folder);
        for folder in [Some(&storage.recordings), backups].into_iter().flatten() {
            let (count, first) = readable_files(folder);
            if let Some(first) = first {
                self.fair(format!(
                    "В папке {} файлов, которые могут читать другие пользователи этой машины: {count}, например {}. Закройте их: \
                     chmod -R go-rwx {}.",
                    folder.display(),
                    first.display(),
                    folder.display()
                ));
            }
        }
    }

    /// Those who administrate the machine may be a group.
    fn settings_file(&mut self, config: &Config) {
        let has_secrets = !config.providers.is_empty() || config.mail.is_some();
        let source = config.source.as_deref().filter(|_| has_secrets);
        if let Some(file) = source.filter(|file| mode(file).is_some_and(|mode| mode & 0o004 != 0)) {
            self.fair(format!(
                "Настройки {} могут читать все пользователи этой машины, а в них ключи. Закройте файл: chmod o-rwx {}.",
                file.display(),
                file.display()
            ));
        }
    }

    /// Keys of an operator that cannot be real.
    pub(super) fn operators_keys(&mut self, settings: &Settings) {
        let Settings { name, account_sid, auth_tokens, signature, .. } = settings;
        let is_of_twilio = |sid: &str| {
            sid.strip_prefix("AC").is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|it| it.is_ascii_hexdigit()))
        };
        if *signature == Signature::Twilio && !is_of_twilio(account_sid) {
            self.fair(format!(
                "Подключение {name}: счёт у Twilio называется AC и ещё 32 знака (0–9, a–f), а в account_sid другое."
            ));
        }
        if auth_tokens.iter().any(|token| token.chars().count() < SHORTEST_TOKEN) {
            self.fair(format!(
                "Подключение {name}: ключ в auth_tokens короче {SHORTEST_TOKEN} знаков, его можно подобрать или он не тот."
            ));
        }
    }
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|it| it.mode())
}

fn is_readable(path: &Path) -> bool {
    mode(path).is_some_and(|mode| mode & OTHERS != 0) && is_reachable(path)
}

/// Below a folder that others cannot enter nothing can be read.
fn is_reachable(path: &Path) -> bool {
    let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole.ancestors().skip(1).all(|folder| mode(folder).is_none_or(|mode| mode & 0o011 != 0))
}

/// How many files below this folder others can read, and one of them.
fn readable_files(folder: &Path) -> (usize, Option<PathBuf>) {
    let (mut count, mut first, mut looked_at) = (0, None, 0);
    let mut folders = if is_reachable(folder) { vec![folder.to_owned()] } else { Vec::new() };
    while let Some(folder) = folders.pop() {
        if mode(&folder).is_none_or(|mode| mode & 0o011 == 0) {
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            looked_at += 1;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && mode(&entry.path()).is_some_and(|mode| mode & OTHERS != 0) {
                count += 1;
                first.get_or_insert_with(|| entry.path());
            }
            if looked_at == MAX_FILES {
                return (count, first);
            }
        }
    }
    (count, first)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Threat: another user of the machine reads messages.
    #[test]
    fn files_that_others_can_read_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let inside = folder.path().join("2026");
        fs::create_dir(&inside).unwrap();
        for (name, mode) in [("a.wav", 0o600), ("b.wav", 0o640), ("c.wav", 0o604)] {
            fs::write(inside.join(name), "sound").unwrap();
            allow(&inside.join(name), mode);
        }
        allow(folder.path(), 0o755);
        allow(&inside, 0o755);
        assert_eq!(readable_files(folder.path()).0, 2);
        allow(&inside, 0o700);
        assert_eq!(readable_files(folder.path()), (0, None), "nobody else can enter");
        allow(folder.path(), 0o700);
        allow(&inside, 0o755);
        assert_eq!(readable_files(folder.path()), (0, None), "nobody else comes so far");
    }
}
