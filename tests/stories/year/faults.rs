//! What breaks, for minutes or days, and how it is mended.

use std::path::Path;

use perezvon::time::{SignedDuration, Timestamp};

use super::dialogue::Callback;
use super::provider::{REST_FAULTS, RestFault};
use super::{BEGINS, Event, FAULTLESS_DAYS, Year};
use crate::harness::{Engine, at, lease_jobs};
use crate::spool::{file, rename_database};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    DatabaseAway(Away),
    /// A copy of the file of the database comes into its place.
    FileReplaced,
    /// No disk takes a delivery; or only the first place does not.
    SpoolBlocked {
        both: bool,
    },
    /// `kill -9`, and a start some time later; now and then with jobs in hand.
    Killed {
        with_jobs: bool,
    },
    /// The provider's requests do not reach us.
    Unreachable,
    /// The provider's own interface.
    Rest(RestFault),
}

/// How the database is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// It takes and gives nothing.
    Whole,
    /// Its file has another name: on SQLite alone.
    File,
}

/// What is broken now.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    away: Option<Away>,
    pub is_down: bool,
    pub is_unreachable: bool,
    /// The places of the spool that are files now.
    blocked: Vec<&'static str>,
}

/// The names of the file of the database, in its place and out of it.
const DATABASE: &str = "perezvon.db";
const AWAY: &str = "away.db";
const SPOOLS: [&str; 2] = ["recordings/.spool", "emergency"];

impl Faults {
    pub fn is_database_away(&self) -> bool {
        self.away.is_some()
    }

    /// Whether what is acknowledged now is in the database or on a disk.
    pub fn is_durable(&self) -> bool {
        !self.is_database_away() || self.blocked.len() < SPOOLS.len()
    }

    /// Whether anything of the service itself is broken.
    pub fn is_any_of_ours(&self) -> bool {
        self.is_database_away() || self.is_down || !self.blocked.is_empty()
    }
}

impl Year<'_> {
    /// Each kind of fault comes again and again, at any hour, beside the others.
    pub fn plan_faults(&mut self) {
        let begins_at = at(BEGINS);
        let last = self.settings.end() - SignedDuration::from_hours(24 * FAULTLESS_DAYS);
        // A year of few calls gets as many of them for each call as it has time for.
        let rarity = if self.settings.is_short() { 3 } else { 1 };
        // Mean pause in hours, and how long it lasts at least and at most, in seconds.
        for (kind, pause, shortest, longest) in [
            (0, 9 * 24, 300, 5 * 3_600),
            (1, 15 * 24, 3_600, 8 * 3_600),
            (2, 5 * 24, 10, 4 * 3_600),
            (3, 8 * 24, 600, 8 * 3_600),
            (4, 4 * 24, 1_800, 36 * 3_600),
            (5, 20 * 24, 60, 1_800),
            (6, 20 * 24, 60, 60),
        ] {
            if kind > 4 && self.app.engine == Engine::Postgres {
                continue;
            }
            let mut next = begins_at;
            loop {
                next += SignedDuration::from_secs(self.random.between(3_600, 2 * rarity * pause * 3_600));
                let ends_at = next + SignedDuration::from_secs(self.random.between(shortest, longest));
                if ends_at > last {
                    break;
                }
                self.plan_fault(kind, next, ends_at);
                next = ends_at;
            }
        }
    }

    fn plan_fault(&mut self, kind: u8, begins_at: Timestamp, ends_at: Timestamp) {
        let fault = match kind {
            0 => {
                // A full disk often takes both away.
                if self.random.chance(300) {
                    let fault = Fault::SpoolBlocked { both: true };
                    let pause = SignedDuration::from_secs(self.random.between(60, 1_800));
                    self.on(begins_at + pause, Event::FaultBegins(fault));
                    let pause = SignedDuration::from_secs(self.random.between(-60, 600));
                    self.on(ends_at + pause, Event::FaultEnds(fault));
                }
                Fault::DatabaseAway(Away::Whole)
            }
            1 => Fault::SpoolBlocked { both: self.random.chance(500) },
            2 => Fault::Killed { with_jobs: self.random.chance(500) },
            3 => Fault::Unreachable,
            4 => Fault::Rest(self.random.pick(&REST_FAULTS)),
            5 => Fault::DatabaseAway(Away::File),
            _ => Fault::FileReplaced,
        };
        self.on(begins_at, Event::FaultBegins(fault));
        self.on(ends_at, Event::FaultEnds(fault));
    }

    pub async fn begin_fault(&mut self, fault: Fault) {
        self.trace(1);
        match fault {
            Fault::DatabaseAway(away) if !self.faults.is_database_away() => {
                self.faults.away = Some(away);
                match away {
                    Away::Whole => {
                        self.figures.outages += 1;
                        self.app.take_the_database_away().await;
                    }
                    Away::File => {
                        self.figures.moved_files += 1;
                        rename_database(self.app, DATABASE, AWAY);
                    }
                }
            }
            Fault::FileReplaced if !self.faults.is_database_away() => {
                self.figures.moved_files += 1;
                self.replace_file().await;
            }
            Fault::SpoolBlocked { both } if self.faults.blocked.is_empty() => {
                self.figures.blocked_spools += 1;
                self.faults.blocked = SPOOLS[..if both { 2 } else { 1 }].to_vec();
                for spool in &self.faults.blocked {
                    block(self.app.folder.path(), spool);
                }
            }
            Fault::Killed { with_jobs } if !self.faults.is_down => {
                self.figures.kills += 1;
                if with_jobs && !self.faults.is_database_away() {
                    lease_jobs(&self.app.store(), self.now()).await;
                }
                self.app.crash().await;
                self.faults.is_down = true;
            }
            Fault::Unreachable => self.faults.is_unreachable = true,
            Fault::Rest(fault) => {
                self.figures.rest_faults += 1;
                self.provider.records().fault = Some(fault);
            }
            // It is broken already.
            Fault::DatabaseAway(_) | Fault::FileReplaced | Fault::SpoolBlocked { .. } | Fault::Killed { .. } => {}
        }
    }

    pub async fn end_fault(&mut self, fault: Fault) {
        self.trace(2);
        self.is_list_due = true;
        match fault {
            Fault::DatabaseAway(away) if self.faults.away == Some(away) => {
                self.faults.away = None;
                match away {
                    Away::Whole => self.app.bring_the_database_back().await,
                    Away::File => rename_database(self.app, AWAY, DATABASE),
                }
            }
            Fault::SpoolBlocked { .. } => {
                for spool in std::mem::take(&mut self.faults.blocked) {
                    unblock(self.app.folder.path(), spool);
                }
            }
            Fault::Killed { .. } if self.faults.is_down => {
                self.app.restart(|_| ()).await;
                self.faults.is_down = false;
                if !self.faults.is_database_away() {
                    self.app.worker().plan_looks(true).await.expect("the database is there");
                }
            }
            Fault::Unreachable => self.faults.is_unreachable = false,
            Fault::Rest(_) => self.provider.records().fault = None,
            Fault::DatabaseAway(_) | Fault::FileReplaced | Fault::Killed { .. } => {}
        }
        self.after(1, Event::Callback(Callback::nothing()));
    }

    /// As an administrator does it who copies the database to another disk: everything that was acknowledged is in the copy.
    async fn replace_file(&mut self) {
        let (app, copy) = (self.app, self.app.folder.path().join("copy.db"));
        assert_eq!(app.number("PRAGMA wal_checkpoint(TRUNCATE)").await, 0, "nobody reads or writes meanwhile");
        app.leave_the_database().await;
        self.provider.leave_the_database().await;
        std::fs::copy(file(app), &copy).expect("there is room for a copy");
        rename_database(app, DATABASE, "former.db");
        std::fs::rename(copy, file(app)).expect("its place is free");
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(app.folder.path().join(format!("former.db{end}")));
        }
    }

    /// The end of the year: whatever is still broken works again.
    pub async fn end_all_faults(&mut self) {
        for fault in [
            Fault::DatabaseAway(Away::Whole),
            Fault::DatabaseAway(Away::File),
            Fault::SpoolBlocked { both: true },
            Fault::Killed { with_jobs: false },
            Fault::Unreachable,
            Fault::Rest(RestFault::Nothing),
        ] {
            self.end_fault(fault).await;
        }
    }
}

/// A file stands in the place of the folder; what waits in it is not lost.
fn block(folder: &Path, spool: &str) {
    let place = folder.join(spool);
    if place.exists() {
        std::fs::rename(&place, aside(folder, spool)).expect("the folder can be moved");
    }
    std::fs::write(place, "").expect("a file can be made");
}

fn unblock(folder: &Path, spool: &str) {
    let place = folder.join(spool);
    std::fs::remove_file(&place).expect("the file is there");
    let aside = aside(folder, spool);
    if aside.exists() {
        std::fs::rename(aside, place).expect("the folder can be moved back");
    }
}

fn aside(folder: &Path, spool: &str) -> std::path::PathBuf {
    folder.join(format!("aside-{}", spool.replace('/', "-")))
}
