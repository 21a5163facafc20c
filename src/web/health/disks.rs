//! The disks under what the service writes: how much room each has, for readiness, metrics and the page.

use std::path::PathBuf;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::checks::ANSWER_TIMEOUT;
use crate::recordings::DiskSpace;
use crate::web::{House, StoragePaths};

/// With less room than this a disk is short of it: SQLite and the spool need some.
const MIN_FREE_BYTES: u64 = 32 * 1024 * 1024;

/// What may lie on a disk of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Holding {
    Recordings,
    Database,
    /// The second folder of the spool.
    Emergency,
}

impl Holding {
    pub const ALL: [Self; 3] = [Self::Recordings, Self::Database, Self::Emergency];

    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Database => "database",
            Self::Emergency => "emergency",
        }
    }

    fn path(self, paths: &StoragePaths) -> Option<PathBuf> {
        match self {
            Self::Recordings => Some(paths.recordings.clone()),
            Self::Database => paths.database.clone(),
            Self::Emergency => Some(paths.emergency.clone()),
        }
    }
}

/// A disk and what lies on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Disk {
    pub holds: Vec<Holding>,
    /// `None` when it does not answer.
    pub free_bytes: Option<u64>,
}

impl Disk {
    pub fn is_short(&self) -> bool {
        self.free_bytes.is_some_and(|free_bytes| free_bytes < MIN_FREE_BYTES)
    }

    /// Whether nothing lies on it but the second folder of the spool, which calls need only where all else fails.
    pub fn is_spare(&self) -> bool {
        self.holds == [Holding::Emergency]
    }
}

/// Each disk once, that of the recordings first.
pub(in crate::web) async fn of(house: &House) -> Vec<Disk> {
    let held = Holding::ALL.into_iter().filter_map(|holding| Some((holding, holding.path(&house.paths)?)));
    let asked = held.map(async |(holding, path)| {
        let looking = house.checks.disks[holding as usize].run(DiskSpace::of(path));
        (holding, timeout(ANSWER_TIMEOUT, looking).await.ok().and_then(Result::ok))
    });
    each_once(join_all(asked).await)
}

/// What lies on one device shares its room; a disk that does not answer has no device to know it by.
fn each_once(found: Vec<(Holding, Option<DiskSpace>)>) -> Vec<Disk> {
    let mut disks: Vec<(Option<u64>, Disk)> = Vec::new();
    for (holding, space) in found {
        let device = space.map(|space| space.device);
        let known = disks.iter_mut().find(|(other, _)| device.is_some() && *other == device);
        match known {
            Some((_, disk)) => disk.holds.push(holding),
            None => {
                disks.push((device, Disk { holds: vec![holding], free_bytes: space.map(|space| space.free_bytes) }));
            }
        }
    }
    disks.into_iter().map(|(_, disk)| disk).collect()
}

/// `only 1024 bytes are free for database, emergency`, for every disk that has too little for calls and messages.
///
/// # Errors
/// That sentence.
pub(super) fn have_room(disks: &[Disk]) -> Result<(), String> {
    let short: Vec<String> = disks
        .iter()
        .filter(|disk| disk.is_short() && !disk.is_spare())
        .map(|disk| {
            let holds: Vec<&str> = disk.holds.iter().map(|holding| holding.name()).collect();
            format!("only {} bytes are free for {}", disk.free_bytes.unwrap_or(0), holds.join(", "))
        })
        .collect();
    if short.is_empty() { Ok(()) } else { Err(short.join("; ")) }
}

/// `disk emergency`, for what lies on a disk that does not answer, or has too little room while calls are safe without it.
pub(super) fn degraded(disks: &[Disk]) -> Vec<String> {
    let is_degraded = |disk: &&Disk| disk.free_bytes.is_none() || (disk.is_short() && disk.is_spare());
    let holds = disks.iter().filter(is_degraded).flat_map(|disk| &disk.holds);
    holds.map(|holding| format!("disk {}", holding.name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: u64 = 64 * MIN_FREE_BYTES;

    fn on(device: u64, free_bytes: u64) -> Option<DiskSpace> {
        Some(DiskSpace { device, free_bytes })
    }

    #[test]
    fn one_device_is_one_disk() {
        let [recordings, database, emergency] = Holding::ALL;
        let disks =
            each_once(vec![(recordings, on(2, PLENTY)), (database, on(1, PLENTY - 1)), (emergency, on(2, PLENTY))]);
        let expected = [(vec![recordings, emergency], PLENTY), (vec![database], PLENTY - 1)];
        let expected = expected.map(|(holds, free_bytes)| Disk { holds, free_bytes: Some(free_bytes) });
        assert_eq!(disks, expected);
    }

    #[test]
    fn disks_that_do_not_answer_are_not_taken_for_one() {
        let disks = each_once(vec![(Holding::Recordings, None), (Holding::Database, None)]);
        assert_eq!(disks.len(), 2);
        assert!(have_room(&disks).is_ok());
        assert_eq!(degraded(&disks), ["disk recordings", "disk database"]);
    }

    #[test]
    fn spare_disk_without_room_makes_nothing_unready() {
        let disks =
            each_once(vec![(Holding::Recordings, on(1, PLENTY)), (Holding::Emergency, on(2, MIN_FREE_BYTES - 1))]);
        assert_eq!((have_room(&disks), degraded(&disks)), (Ok(()), vec!["disk emergency".to_owned()]));
    }

    #[test]
    fn short_disk_is_named_whatever_room_the_others_have() {
        let disks = each_once(vec![
            (Holding::Recordings, on(1, PLENTY)),
            (Holding::Database, on(2, MIN_FREE_BYTES - 1)),
            (Holding::Emergency, on(2, MIN_FREE_BYTES - 1)),
        ]);
        let error = have_room(&disks).unwrap_err();
        assert_eq!(error, format!("only {} bytes are free for database, emergency", MIN_FREE_BYTES - 1));
        assert!(have_room(&each_once(vec![(Holding::Database, on(2, MIN_FREE_BYTES))])).is_ok());
    }
}
