//! The names of the folders of the spool: for the service, its backups, and whoever restores one.

use std::path::{Path, PathBuf};

/// The folder beside the recordings in which deliveries wait for the database.
pub const SPOOL: &str = ".spool";
/// Its name in older versions.
pub const FORMER_SPOOL: &str = ".late";

/// Where deliveries wait for the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolFolders {
    /// Beside the recordings. It is tried first, unless their disk may not be mounted.
    pub first: PathBuf,
    /// For a disk that cannot be written; it may stand where everybody may write.
    pub emergency: PathBuf,
    /// Where an older version spooled.
    pub former: PathBuf,
}

impl SpoolFolders {
    /// Those of a service whose messages lie in `recordings`.
    pub fn new(recordings: &Path, emergency: &Path) -> Self {
        Self { first: recordings.join(SPOOL), emergency: emergency.to_owned(), former: recordings.join(FORMER_SPOOL) }
    }

    /// Those of a rehearsal beside them: invented callers never come to a real list, and real ones never to that of a
    /// rehearsal.
    pub fn for_rehearsal(self) -> Self {
        let renamed = |folder: PathBuf| {
            let mut name = folder.into_os_string();
            name.push("-rehearsal");
            name.into()
        };
        Self { first: renamed(self.first), emergency: renamed(self.emergency), former: renamed(self.former) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rehearsal_shares_no_spool_folder_with_real_calls() {
        let real = SpoolFolders::new(Path::new("recordings"), Path::new("/var/tmp/spool"));
        let rehearsal = real.clone().for_rehearsal();
        for folder in [&rehearsal.first, &rehearsal.emergency, &rehearsal.former] {
            assert!(![&real.first, &real.emergency, &real.former].contains(&folder), "{}", folder.display());
        }
        assert_eq!(rehearsal.emergency, Path::new("/var/tmp/spool-rehearsal"));
    }
}
