//! The name of this running instance, which no other running one has. A start after a crash takes the same name again, and with
//! it the jobs that were left in the middle.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

/// Instances that may share one folder.
const MAX_INSTANCES: usize = 64;
/// Hexadecimal digits of a name.
const DIGITS: usize = 32;

/// Holds its name as long as it lives: the file with the name is locked, and the system unlocks it however the process ends.
#[derive(Debug)]
pub struct Instance {
    name: String,
    /// `None` where no file can be locked: then the name is new at every start.
    _lock: Option<fs::File>,
}

impl Instance {
    /// Takes the first name in this folder that no running instance holds.
    pub fn take(folder: &Path) -> Self {
        Self::locked(folder).unwrap_or_else(|_| Self { name: new_name(), _lock: None })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn locked(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        for number in 1..=MAX_INSTANCES {
            let path = folder.join(number.to_string());
            let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => continue,
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            let mut name = String::new();
            file.read_to_string(&mut name)?;
            if name.len() != DIGITS || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                name = new_name();
                file.set_len(0)?;
                io::Seek::rewind(&mut file)?;
                file.write_all(name.as_bytes())?;
                file.sync_all()?;
            }
            // A copy of this folder on another machine is another instance.
            let machine = rustix::system::uname();
            let host = machine.nodename().to_string_lossy();
            return Ok(Self { name: format!("{name}@{host}"), _lock: Some(file) });
        }
        Err(io::Error::other("all names are taken"))
    }
}

fn new_name() -> String {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_takes_its_name_again_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let first = Instance::take(folder.path());
        let second = Instance::take(folder.path());
        assert_ne!(first.name(), second.name(), "both live");
        let name = first.name().to_owned();
        drop(first);
        let again = Instance::take(folder.path());
        assert_eq!(again.name(), name);
        assert_ne!(again.name(), second.name());
    }

    #[test]
    fn without_a_folder_the_name_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "in the way").unwrap();
        assert_ne!(Instance::take(&file).name(), Instance::take(&file).name());
    }
}
