//! Whether a backup is still what its manifest says: every file, and every row of every table.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;

use super::files;
use super::manifest::{FileEntry, Manifest, TableEntry};
use crate::recordings::{KeyFile, Reader};
use crate::store::TableContent;

/// What is wrong with one file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    Missing(String),
    Changed(String),
    Unreadable(String, String),
    /// It, or a folder on the way to it, is a link: what it leads to may be anything, and another thing later.
    Link(String),
    /// The file is as it was written, and yet not the table that was counted.
    OtherRows(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(formatter, "{name}: файла нет"),
            Self::Changed(name) => write!(formatter, "{name}: файл изменился"),
            Self::Unreadable(name, error) => write!(formatter, "{name}: файл не читается: {error}"),
            Self::Link(name) => write!(formatter, "{name}: ссылка вместо файла"),
            Self::OtherRows(name) => write!(formatter, "{name}: строки таблицы не те, что были посчитаны"),
        }
    }
}

/// Reads all of the backup but the files in `checked_before`. Blocks; `stop` ends it early, and then nobody waits for it.
pub(super) fn check(
    folder: &Path,
    manifest: &Manifest,
    checked_before: &HashSet<String>,
    key: Option<&KeyFile>,
    stop: &AtomicBool,
) -> Vec<Problem> {
    let mut problems: Vec<Problem> = manifest
        .files
        .iter()
        .take_while(|_| !stop.load(Ordering::Relaxed))
        .filter(|file| !checked_before.contains(&file.name))
        .filter_map(|file| check_file(folder, file))
        .collect();
    for entry in manifest.tables.iter().take_while(|_| !stop.load(Ordering::Relaxed)) {
        if problems.iter().all(|problem| !problem.is_about(&entry.file)) {
            match table_content(folder, entry, key) {
                Ok(content) if content == entry.content() => {}
                Ok(_) => problems.push(Problem::OtherRows(entry.file.clone())),
                Err(error) => problems.push(Problem::Unreadable(entry.file.clone(), error.to_string())),
            }
        }
    }
    problems
}

impl Problem {
    fn is_about(&self, file: &str) -> bool {
        match self {
            Self::Missing(name)
            | Self::Changed(name)
            | Self::Unreadable(name, _)
            | Self::Link(name)
            | Self::OtherRows(name) => name == file,
        }
    }
}

pub(super) fn check_file(folder: &Path, file: &FileEntry) -> Option<Problem> {
    if files::is_behind_link(folder, &file.name) {
        return Some(Problem::Link(file.name.clone()));
    }
    match files::sum(&folder.join(&file.name)) {
        Ok((size, sha256)) if size == file.size && sha256 == file.sha256.0 => None,
        Ok(_) => Some(Problem::Changed(file.name.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Problem::Missing(file.name.clone())),
        Err(error) => Some(Problem::Unreadable(file.name.clone(), error.to_string())),
    }
}

fn table_content(folder: &Path, entry: &TableEntry, key: Option<&KeyFile>) -> io::Result<TableContent> {
    let mut content = TableContent::default();
    let mut lines = Lines::open(&folder.join(&entry.file), key)?;
    while let Some(line) = lines.next_line()? {
        content.add(line);
    }
    Ok(content)
}

/// The lines of a table, one at a time.
pub(super) struct Lines {
    reader: BufReader<GzDecoder<BufReader<Reader>>>,
    line: Vec<u8>,
}

impl Lines {
    pub fn open(path: &Path, key: Option<&KeyFile>) -> io::Result<Self> {
        let compressed = BufReader::new(Reader::open(path, key)?);
        Ok(Self { reader: BufReader::with_capacity(128 * 1024, GzDecoder::new(compressed)), line: Vec::new() })
    }

    /// The next one without its end; `None` after the last.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        if self.reader.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        Ok(Some(self.line.strip_suffix(b"\n").unwrap_or(&self.line)))
    }
}
