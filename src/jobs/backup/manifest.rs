//! What a backup says of itself, in `manifest.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::files::is_behind_link;
use crate::recordings::{Checksum, KeyError, KeyFile, Reader};
use crate::store::{FORMER_SPOOL, SPOOL, SchemaError, Table, TableContent};
use crate::time::Timestamp;

pub const MANIFEST: &str = "manifest.json";
/// The whole manifest of an encrypted backup; beside it [`MANIFEST`] says only what a list of backups has to know.
pub const ENCRYPTED_MANIFEST: &str = "manifest.age";
const FORMAT: &str = "perezvon-backup";
/// Grows when an older program could not read a backup any more.
const FORMAT_VERSION: u32 = ENCRYPTED_VERSION;
/// Without encryption backups are what they were before there was any.
const PLAIN_VERSION: u32 = 1;
const ENCRYPTED_VERSION: u32 = 2;
/// The folder of the tables inside a backup, and that of the recordings.
pub(super) const TABLES: &str = "tables";
pub(super) const RECORDINGS: &str = "recordings";
/// The end of the name of a delivery that waits. The others are set aside for somebody to look at.
const WAITING: &str = ".json";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: String,
    pub format_version: u32,
    /// The number of the last migration.
    pub schema_version: i64,
    pub created_at: Timestamp,
    pub made_by: MadeBy,
    /// The version of the program.
    pub program: String,
    /// `SQLite` or `PostgreSQL`; a backup of either goes into either.
    pub engine: String,
    pub tables: Vec<TableEntry>,
    /// Rows that named a row that was not there, by reference.
    pub dangling: BTreeMap<String, i64>,
    pub files: Vec<FileEntry>,
    /// Recordings that rows name and that were not in the folder, or not with the checksum of their row.
    pub defects: Vec<String>,
    /// The public part of the key that everything is encrypted to; `None`: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

/// The nightly job deletes its own backups only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    Nightly,
    Command,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableEntry {
    #[serde(flatten)]
    pub table: Table,
    pub rows: u64,
    /// Of all rows, whatever their order: see [`TableContent`].
    pub digest: Sha256Hex,
    /// Path below the backup.
    pub file: String,
}

impl TableEntry {
    pub fn content(&self) -> TableContent {
        TableContent { rows: self.rows, digest: self.digest.0.0 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the backup.
    pub name: String,
    pub size: u64,
    pub sha256: Sha256Hex,
    /// The same of its plain bytes, if it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<PlainSum>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainSum {
    pub size: u64,
    pub sha256: Sha256Hex,
}

/// 64 hexadecimal digits in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Hex(pub Checksum);

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// Why a folder is no backup that can be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    #[error("there is no {MANIFEST}: this is no backup, or one that was not finished")]
    Missing,
    #[error("{MANIFEST} is a link")]
    Link,
    #[error("{MANIFEST} cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("the backup is encrypted: {0}")]
    Key(KeyError),
    #[error("{MANIFEST} is damaged: {0}")]
    Malformed(#[source] serde_json::Error),
    #[error("{MANIFEST} is of another format: {0:?}")]
    OtherFormat(String),
    #[error("{0:?} is no name inside a backup")]
    Outside(String),
    #[error("the table {0:?} is not described")]
    Undescribed(String),
    #[error("the tables are not those of the schema: {}", .0.join(", "))]
    OtherTables(Vec<String>),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the backup has the format {0}, and this program reads up to {FORMAT_VERSION}")]
    Newer(u32),
}

impl Manifest {
    pub(super) fn new(created_at: Timestamp, made_by: MadeBy, engine: &str, schema_version: i64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            format_version: PLAIN_VERSION,
            schema_version,
            created_at,
            made_by,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine.to_owned(),
            tables: Vec::new(),
            dangling: BTreeMap::new(),
            files: Vec::new(),
            defects: Vec::new(),
            recipient: None,
        }
    }

    /// The same for a backup that is encrypted to this key.
    pub(super) fn encrypted_to(self, recipient: &str) -> Self {
        Self { format_version: ENCRYPTED_VERSION, recipient: Some(recipient.to_owned()), ..self }
    }

    /// What may be known without the key: when it was made and by whom.
    pub(super) fn without_contents(&self) -> Self {
        let empty = Self::new(self.created_at, self.made_by, &self.engine, self.schema_version);
        Self { format_version: self.format_version, recipient: self.recipient.clone(), ..empty }
    }

    /// Reads the manifest of the backup in `folder`. No name in it leads out of the backup.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        Self::read_with(folder, None)
    }

    /// The same with the key of an encrypted backup.
    pub fn read_with(folder: &Path, key: Option<&KeyFile>) -> Result<Self, ManifestError> {
        let outside = Self::read_file(folder, MANIFEST, None)?;
        let manifest = match outside.format_version {
            ENCRYPTED_VERSION => Self::read_file(folder, ENCRYPTED_MANIFEST, key)?,
            _ => outside,
        };
        if let Some(file) = manifest.files.iter().find(|file| !leads_inside(&file.name)) {
            return Err(ManifestError::Outside(file.name.clone()));
        }
        for TableEntry { table, file, .. } in &manifest.tables {
            let names = table.columns.iter().map(|column| &column.name).chain([&table.name]);
            let is_plain = |name: &String| {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            };
            if !names.into_iter().all(is_plain) || !manifest.files.iter().any(|known| known.name == *file) {
                return Err(ManifestError::Undescribed(table.name.clone()));
            }
        }
        Ok(manifest)
    }

    fn read_file(folder: &Path, name: &str, key: Option<&KeyFile>) -> Result<Self, ManifestError> {
        if is_behind_link(folder, name) {
            return Err(ManifestError::Link);
        }
        let mut text = Vec::new();
        let read = Reader::open(&folder.join(name), key).and_then(|mut file| file.read_to_end(&mut text));
        if let Err(error) = read {
            return Err(match (error.kind(), KeyError::of(&error)) {
                (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => ManifestError::Missing,
                (_, Some(error)) => ManifestError::Key(error.clone()),
                (_, None) => ManifestError::Io(error),
            });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(ManifestError::Malformed)?;
        if manifest.format != FORMAT {
            return Err(ManifestError::OtherFormat(manifest.format));
        }
        if manifest.format_version > FORMAT_VERSION {
            return Err(ManifestError::Newer(manifest.format_version));
        }
        Ok(manifest)
    }

    /// Whether every table of the schema is here, each once and with its columns, and no other.
    pub(super) fn check_tables(&self, wanted: &[Table]) -> Result<(), ManifestError> {
        let count = |table: &Table| self.tables.iter().filter(|entry| entry.table == *table).count();
        let wrong = wanted.iter().filter(|table| count(table) != 1);
        let unknown = self.tables.iter().map(|entry| &entry.table).filter(|table| !wanted.contains(table));
        let names: BTreeSet<String> = wrong.chain(unknown).map(|table| table.name.clone()).collect();
        if names.is_empty() { Ok(()) } else { Err(ManifestError::OtherTables(names.into_iter().collect())) }
    }

    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The recordings, and what waited for the database, by their names below the recordings folder.
    pub fn recordings(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.files.iter().filter_map(|file| Some((file.name.strip_prefix(RECORDINGS)?.strip_prefix('/')?, file)))
    }

    /// How many recordings there are.
    pub fn count_recordings(&self) -> usize {
        self.recordings().filter(|(name, _)| !is_spooled(name)).count()
    }

    /// How many deliveries waited for the database.
    pub fn count_waiting(&self) -> usize {
        self.recordings().filter(|(name, _)| is_spooled(name) && name.ends_with(WAITING)).count()
    }
}

/// A delivery that waited for the database.
pub(super) fn is_spooled(name: &str) -> bool {
    [SPOOL, FORMER_SPOOL].iter().any(|spool| Path::new(name).starts_with(spool))
}

/// Only plain names behind one another.
fn leads_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// What a list of backups needs to know of each; its long list of files is passed over.
#[derive(Clone, Debug, Deserialize)]
pub struct BackupSummary {
    #[serde(skip)]
    pub folder: PathBuf,
    format: String,
    pub created_at: Timestamp,
    pub made_by: MadeBy,
    #[serde(default)]
    recipient: Option<String>,
}

impl BackupSummary {
    pub fn is_encrypted(&self) -> bool {
        self.recipient.is_some()
    }
}

/// The finished backups in `folder`, oldest first. What is no backup of ours is passed over.
pub fn backups_in(folder: &Path) -> io::Result<Vec<BackupSummary>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_named_so = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let manifest = if is_named_so { fs::read(path.join(MANIFEST)).ok() } else { None };
        let summary = manifest.and_then(|text| serde_json::from_slice::<BackupSummary>(&text).ok());
        if let Some(summary) = summary.filter(|summary| summary.format == FORMAT) {
            found.push(BackupSummary { folder: path, ..summary });
        }
    }
    found.sort_by(|one, other| (one.created_at, &one.folder).cmp(&(other.created_at, &other.folder)));
    Ok(found)
}

/// The beginning of the name of every finished backup, and of one that is being made.
pub(super) const PREFIX: &str = "perezvon-";
pub(super) const UNFINISHED_PREFIX: &str = ".unfinished-perezvon-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_that_leads_out_of_its_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::new(Timestamp::UNIX_EPOCH, MadeBy::Command, "SQLite", 1);
        let write = |manifest: &Manifest| {
            fs::write(folder.path().join(MANIFEST), serde_json::to_vec(manifest).unwrap()).unwrap();
            Manifest::read(folder.path())
        };
        assert!(write(&manifest).is_ok());
        for name in ["../perezvon.db", "/etc/passwd", "recordings/../../x", ""] {
            manifest.files =
                vec![FileEntry { name: name.to_owned(), size: 1, sha256: Sha256Hex(Checksum([0; 32])), plain: None }];
            assert!(matches!(write(&manifest), Err(ManifestError::Outside(_))), "{name}");
        }
        manifest.files.clear();
        manifest.format_version = FORMAT_VERSION + 1;
        assert!(matches!(write(&manifest), Err(ManifestError::Newer(_))));
    }

    #[test]
    fn deliveries_are_no_recordings() {
        let mut manifest = Manifest::new(Timestamp::UNIX_EPOCH, MadeBy::Command, "SQLite", 1);
        let names = ["2026/11/1.wav", ".spool/1.json", ".spool/2.set_aside", ".late/3.json", ".spool/reserve"];
        let files = names.map(|name| format!("{RECORDINGS}/{name}")).into_iter().chain(["tables/call.jsonl.gz".into()]);
        let sha256 = Sha256Hex(Checksum([0; 32]));
        manifest.files = files.map(|name| FileEntry { name, size: 1, sha256, plain: None }).collect();
        assert_eq!((manifest.count_recordings(), manifest.count_waiting()), (1, 2));
    }
}
