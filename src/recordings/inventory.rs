//! All files of the recordings folder, known to rows or not.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::folder::{Folder, blocking, sync_folders};

/// The end of the name of a file that is being written.
const PARTIAL: &str = ".partial";

impl Folder {
    /// The names of all files below the folder, hidden ones included, in order.
    pub async fn files(&self) -> io::Result<Vec<String>> {
        let root = self.path().to_owned();
        blocking(move || files_below(&root)).await
    }

    /// Removes temporary files beside the recordings that nobody has touched for so long. The answer is their names.
    pub async fn remove_leftovers(&self, older_than: Duration) -> io::Result<Vec<String>> {
        let root = self.path().to_owned();
        blocking(move || {
            let mut removed = Vec::new();
            for name in files_below(&root)?.into_iter().filter(|name| name.ends_with(PARTIAL)) {
                let path = root.join(&name);
                // A time in the future is no reason to keep or to remove: it is left alone.
                let is_old = fs::metadata(&path)?.modified()?.elapsed().is_ok_and(|age| age > older_than);
                if is_old {
                    fs::remove_file(&path)?;
                    sync_folders(&path, 1)?;
                    removed.push(name);
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// The files below `folder`, with their paths below it, in order. A folder that is not there has none.
pub fn files_below(folder: &Path) -> io::Result<Vec<String>> {
    fn enter(folder: &Path, above: &str, found: &mut Vec<String>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = format!("{above}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                enter(&entry.path(), &format!("{name}/"), found)?;
            } else {
                found.push(name);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    enter(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}
