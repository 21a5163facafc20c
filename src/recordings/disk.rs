//! Room on a disk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::folder::blocking;

/// The disk on which a file or folder lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Two paths with the same number share one disk.
    pub device: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
}

impl DiskSpace {
    /// Of the disk on which this path lies, or will lie once it is made.
    ///
    /// # Errors
    /// When the disk does not tell.
    pub async fn of(path: PathBuf) -> io::Result<Self> {
        blocking(move || {
            let present = path.ancestors().find(|it| it.exists()).unwrap_or(Path::new("."));
            let space = rustix::fs::statvfs(present)?;
            let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
            Ok(Self { device: fs::metadata(present)?.dev(), free_bytes })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn path_that_is_not_there_yet_has_the_disk_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let of = async |path: PathBuf| DiskSpace::of(path).await.unwrap().device;
        let device = fs::metadata(folder.path()).unwrap().dev();
        assert_eq!(of(folder.path().to_owned()).await, device);
        assert_eq!(of(folder.path().join("spool/of/tomorrow")).await, device);
        assert_eq!(of("not-there.db".into()).await, fs::metadata(".").unwrap().dev());
    }
}
