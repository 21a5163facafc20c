//! The files of the exchange: written whole or not at all, with rights that keep secrets, and never over what somebody
//! has changed by hand.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::dialplan::short_hash;
use crate::app::config::reason;

/// The owner writes, the exchange's group reads.
const MODE: u32 = 0o640;
const MARK: &str = "; perezvon pbx config, контрольная сумма ";

/// A file by its name and text.
pub(super) struct File {
    pub name: &'static str,
    pub text: String,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Written,
    /// Another text of ours was there.
    Renewed,
    /// Somebody's own text was there; it is kept, see [`old`].
    Replaced,
    Same,
}

impl File {
    /// Its first line tells later whether anybody has changed it.
    pub fn marked(name: &'static str, text: String) -> Self {
        Self { name, text: format!("{MARK}{}\n{text}", short_hash(&text)) }
    }
}

/// Whether the text is as a command like this one left it.
fn is_ours(text: &str) -> bool {
    let marked = text.strip_prefix(MARK).and_then(|rest| rest.split_once('\n'));
    let token = || text.starts_with("Authorization: Bearer ") && text.trim_end().lines().count() == 1;
    marked.is_some_and(|(sum, rest)| sum == short_hash(rest)) || token()
}

/// Where a text that somebody changed by hand is kept.
pub(super) fn old(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}.old", path.file_name().unwrap_or_default().to_string_lossy()))
}

/// Writes the files, those before the first trouble or none: all are looked at first.
pub(super) fn put(files: &[File], folder: &Path, replace: bool) -> anyhow::Result<Vec<Put>> {
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => bail!("{shown} не папка"),
        Err(error) => bail!("папка {shown} недоступна: {}. Проверьте путь и права", reason(&error)),
    }
    let mut found = Vec::new();
    for file in files {
        let path = folder.join(file.name);
        found.push(match fs::read(&path) {
            Ok(bytes) if bytes == file.text.as_bytes() => Put::Same,
            Ok(bytes) if std::str::from_utf8(&bytes).is_ok_and(is_ours) => Put::Renewed,
            Ok(_) if replace => Put::Replaced,
            Ok(_) => bail!(
                "{} изменён руками или создан не этой командой, он оставлен как есть, и ничего не записано. Сохраните свои \
                 изменения в другом файле и повторите с --replace",
                path.display()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => Put::Written,
            Err(error) => bail!("{} не читается: {}", path.display(), reason(&error)),
        });
    }
    for (file, put) in files.iter().zip(&found) {
        let path = folder.join(file.name);
        if *put == Put::Replaced {
            fs::copy(&path, old(&path)).with_context(|| format!("{} не сохраняется", old(&path).display()))?;
        }
        if *put != Put::Same {
            write(file, &path, folder).with_context(|| format!("{} не записывается", path.display()))?;
        }
    }
    Ok(found)
}

/// A whole file appears under its name, with the group of the exchange's own configuration where we may give it.
fn write(file: &File, path: &Path, folder: &Path) -> std::io::Result<()> {
    let part = path.with_file_name(format!(".{}.new", file.name));
    let _ = fs::remove_file(&part);
    let mut written = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&part)?;
    let group = group(folder)?;
    let given = written.metadata()?.gid() == group || chown(&part, None, Some(group)).is_ok();
    // With a group that is not the exchange's, its right to read would be a stranger's.
    written.set_permissions(fs::Permissions::from_mode(if given { MODE } else { 0o600 }))?;
    written.write_all(file.text.as_bytes())?;
    written.sync_all()?;
    fs::rename(&part, path)
}

/// That of `extensions.conf`, which the exchange reads already; else that of the folder.
fn group(folder: &Path) -> std::io::Result<u32> {
    Ok(fs::metadata(folder.join("extensions.conf")).or_else(|_| fs::metadata(folder))?.gid())
}

/// Whether the exchange may be unable to read one of them: then the administrator is told.
pub(super) fn readable_by_owner_only(files: &[File], folder: &Path) -> bool {
    const ROOT: u32 = 0;
    files.iter().any(|file| {
        fs::metadata(folder.join(file.name)).is_ok_and(|found| found.gid() == ROOT || found.mode() & 0o040 == 0)
    })
}
