//! The list of forgotten numbers as a file: beside the recordings, and in each folder of backups, so that a backup of before
//! does not bring anybody back. It holds keyed digests and no number.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::core::phone::PhoneNumber;
use crate::core::redaction::numbers_in;
use crate::recordings::{KeyFile, Reader, Writer};
use crate::store::{Delivery, ForgottenNumber, read_spooled, spooled_files};

/// In a folder of backups, beside them.
pub const FORGOTTEN: &str = "forgotten";
/// In the folder of recordings.
pub const FORGOTTEN_BESIDE_RECORDINGS: &str = ".forgotten";

/// The numbers of a list. A file that is not there has none.
///
/// # Errors
/// It cannot be read, or a line of it is no digest.
pub fn read_forgotten(file: &Path, key: Option<&KeyFile>) -> io::Result<BTreeSet<ForgottenNumber>> {
    Ok(read_list(file, key)?.0)
}

/// The list, and whether its file is encrypted.
fn read_list(file: &Path, key: Option<&KeyFile>) -> io::Result<(BTreeSet<ForgottenNumber>, bool)> {
    let mut reader = match Reader::open(file, key) {
        Ok(reader) => reader,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok((BTreeSet::new(), key.is_some())),
        Err(failed) => return Err(failed),
    };
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    Ok((numbers_of(&text)?, reader.is_encrypted()))
}

fn numbers_of(text: &str) -> io::Result<BTreeSet<ForgottenNumber>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| from_line(line).ok_or_else(|| io::Error::other(format!("{line:?} is no forgotten number"))))
        .collect()
}

/// Adds what is missing to the list in this file, which is whole at every moment; with a key it is encrypted from then on.
pub fn add_forgotten(file: &Path, numbers: &[ForgottenNumber], key: Option<&KeyFile>) -> io::Result<()> {
    let (known, is_encrypted) = read_list(file, key)?;
    let all: BTreeSet<ForgottenNumber> = known.iter().chain(numbers).cloned().collect();
    if all == known && is_encrypted == key.is_some() {
        return Ok(());
    }
    let mut lines = vec![
        "# Стёртые номера: по этому списку perezvon restore стирает их и из старой копии. Самих номеров здесь нет."
            .to_owned(),
    ];
    lines.extend(all.iter().map(to_line));
    let folder = file.parent().unwrap_or(Path::new("."));
    let partial = tempfile::Builder::new().prefix(".forgotten-").suffix(".partial").tempfile_in(folder)?;
    let mut writer = Writer::new(partial, key.map(KeyFile::key).transpose()?.as_ref())?;
    writer.write_all((lines.join("\n") + "\n").as_bytes())?;
    let partial = writer.finish()?;
    partial.as_file().sync_all()?;
    partial.persist(file).map_err(|failed| failed.error)?;
    fs::File::open(folder)?.sync_all()
}

/// The spooled deliveries in `folder` that name one of the numbers sought, with whether each still waits for the database.
/// A file that cannot be read names nobody.
pub fn spooled_naming(
    folder: &Path,
    recordings: &Path,
    is_sought: impl Fn(&PhoneNumber) -> bool,
) -> io::Result<Vec<(PathBuf, bool)>> {
    let mut found = Vec::new();
    for path in spooled_files(folder, recordings)? {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Ok(Delivery { target, body, events, .. }) = read_spooled(&text) else { continue };
        let events = serde_json::to_vec(&events)?;
        if numbers_in(&[target.as_bytes(), b"&", &body, b"&", &events].concat()).iter().any(&is_sought) {
            let waits = path.extension().is_some_and(|extension| extension == "json");
            found.push((path, waits));
        }
    }
    Ok(found)
}

fn to_line(forgotten: &ForgottenNumber) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{} {} {}", hex(&forgotten.salt), hex(&forgotten.digest), forgotten.forgotten_at)
}

fn from_line(line: &str) -> Option<ForgottenNumber> {
    let bytes = |hex: &str| {
        let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
        pairs.collect::<Option<Vec<u8>>>()
    };
    let mut words = line.split_whitespace();
    let (salt, digest) = (bytes(words.next()?)?, bytes(words.next()?)?);
    let forgotten_at = words.next()?.parse().ok()?;
    (digest.len() == 32 && words.next().is_none()).then_some(ForgottenNumber { salt, digest, forgotten_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// Threat: a torn or foreign list lets a restored backup bring a forgotten caller back without a word.
    #[test]
    fn list_grows_and_a_foreign_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FORGOTTEN);
        assert!(read_forgotten(&file, None).unwrap().is_empty());
        let number = |salt: u8| ForgottenNumber {
            salt: vec![salt; 16],
            digest: vec![salt; 32],
            forgotten_at: Timestamp::from_millisecond(i64::from(salt)).unwrap(),
        };
        add_forgotten(&file, &[number(1)], None).unwrap();
        add_forgotten(&file, &[number(2), number(1)], None).unwrap();
        assert_eq!(read_forgotten(&file, None).unwrap(), [number(1), number(2)].into());
        fs::write(&file, "abc").unwrap();
        assert!(read_forgotten(&file, None).is_err() && add_forgotten(&file, &[number(1)], None).is_err());
    }

    /// Threat: whoever carries the backups away tries all numbers out against the digests beside them.
    #[test]
    fn list_is_encrypted_as_soon_as_there_is_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FORGOTTEN);
        let key = KeyFile::create(&folder.path().join("key")).unwrap();
        let number = ForgottenNumber { salt: vec![1; 16], digest: vec![1; 32], forgotten_at: Timestamp::UNIX_EPOCH };
        add_forgotten(&file, std::slice::from_ref(&number), None).unwrap();
        add_forgotten(&file, &[], Some(&key)).unwrap();
        assert!(crate::recordings::is_encrypted(&file).unwrap() && read_forgotten(&file, None).is_err());
        assert_eq!(read_forgotten(&file, Some(&key)).unwrap(), [number].into());
    }
}
