//! Backups: one consistent copy of the database and of every recording it names, made while the service runs, verified,
//! and brought back into an empty database of either engine.
//!
//! ```text
//! perezvon-2026-11-21T03-00-00/
//!     manifest.json                      what is here: versions, rows per table, size and SHA-256 of every file
//!     tables/call.jsonl.gz               a table: gzip, a JSON array a row, values in the order of the manifest's columns
//!     recordings/2026/11/1806….wav       below here everything has its name in the recordings folder
//! ```
//!
//! With a key everything but the greetings is encrypted to it: tables (`….jsonl.gz.age`), messages as they lie in their folder,
//! deliveries, and the manifest (`manifest.age`), beside which `manifest.json` says when the backup was made.

mod check;
mod files;
mod make;
mod manifest;
mod nightly;
mod restore;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::recordings::KeyFile;
use crate::store::tables_of_schema;

pub use check::Problem;
pub use files::lies_within;
pub use make::{BackupError, BackupRequest, BackupSource, Made, make};
pub use manifest::{
    BackupSummary, ENCRYPTED_MANIFEST, FileEntry, MANIFEST, MadeBy, Manifest, ManifestError, TableEntry, backups_in,
};
pub use nightly::{BackupSettings, NightlyBackup};
pub use restore::{Forgetting, Restored, RestoringError, restore};

/// Reads a whole backup again, with the key if it is encrypted. The answer is what is wrong with it.
///
/// # Errors
/// When it has no manifest that can be read, or one whose tables are not those of its schema.
pub async fn verify(folder: &Path, key: Option<&KeyFile>) -> Result<(Manifest, Vec<Problem>), ManifestError> {
    let (of, its_key) = (folder.to_owned(), key.cloned());
    let manifest = blocking(move |_| Manifest::read_with(&of, its_key.as_ref())).await?;
    manifest.check_tables(&tables_of_schema(manifest.schema_version).await?)?;
    let (folder, key) = (folder.to_owned(), key.cloned());
    blocking(move |stop| {
        let problems = check::check(&folder, &manifest, &HashSet::new(), key.as_ref(), stop);
        Ok((manifest, problems))
    })
    .await
}

/// Runs file work on a thread of its own. If nobody waits for it any more, the work is told to stop: the end of the program
/// would wait for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> T {
    struct StopOnDrop(Arc<AtomicBool>);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let _stop_on_drop = StopOnDrop(stop.clone());
    tokio::task::spawn_blocking(move || work(&stop)).await.expect("file work does not panic and is never cancelled")
}
