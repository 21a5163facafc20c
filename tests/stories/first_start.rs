//! Several processes that start on one new database at once: one makes the schema, the others wait, and all of them find the
//! same database.

use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use perezvon::app::config;
use perezvon::store::{Purpose, Store};

use crate::harness::{drop_postgres_database, fresh_postgres_database};

/// How often it is tried: each round is a new database.
const ROUNDS: usize = 4;
const PROCESSES: usize = 8;

/// Stores that begin at once, each with its own writer, as processes have; with the value that each of them finds in `meta`.
async fn start_at_once(url: &str, key: &str, purpose: impl Fn(usize) -> Purpose) -> Vec<(Store, Option<String>)> {
    let starts = (0..PROCESSES).map(|number| {
        let lines = config::parse("", None, []).unwrap().lines;
        let store = Store::begin(url, lines, purpose(number)).unwrap();
        async move {
            store.ready().await.unwrap_or_else(|failed| panic!("process {number}: {failed}"));
            let value = store.meta(key).await.unwrap();
            (store, value)
        }
    });
    join_all(starts).await
}

async fn close(started: Vec<(Store, Option<String>)>) {
    for (store, _) in started {
        store.close().await;
    }
}

/// All of them serve the same database, which the recordings are marked with.
async fn services_share(url: &str, folder: &Path) {
    let recordings = folder.join("recordings");
    std::fs::create_dir_all(&recordings).unwrap();
    let emergency = folder.join("emergency");
    let purpose = |_| Purpose::Calls { recordings: recordings.clone(), emergency: emergency.clone() };
    let started = start_at_once(url, "database_id", purpose).await;
    let id = started[0].1.clone().unwrap();
    assert!(started.iter().all(|(_, found)| found.as_ref() == Some(&id)));
    let files = std::fs::read_dir(&recordings).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<Vec<_>>(), [".database"], "nothing half written is left");
    assert!(std::fs::read_to_string(recordings.join(".database")).unwrap().contains(&id));
    assert_eq!(started[0].0.meta("recordings_marked").await.unwrap().as_deref(), Some("yes"));
    close(started).await;
}

/// All of them are one rehearsal.
async fn rehearsals_share(url: &str) {
    let started =
        start_at_once(url, "rehearsal", |number| Purpose::Rehearsal { started: format!("process {number}") }).await;
    assert!(started[0].1.is_some() && started.iter().all(|(_, mark)| *mark == started[0].1));
    close(started).await;
}

/// The real program.
fn commands_share(url: &str, folder: &Path) {
    let config = folder.join("perezvon.toml");
    let recordings = folder.join("recordings");
    let text = format!("[storage]\ndatabase = \"{url}\"\nrecordings = \"{}\"\n", recordings.display());
    std::fs::write(&config, text).unwrap();
    let perezvon = |words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perezvon"));
        command.args(["--config", config.to_str().unwrap()]).args(words.split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let started: Vec<_> = (0..4)
        .map(|number| perezvon(&format!("officer add Зарема{number} --login z{number} --role officer")))
        .collect();
    for command in started {
        let done = command.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let listed = perezvon("officer list").wait_with_output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!((0..4).all(|number| listed.contains(&format!("Зарема{number}"))), "{listed}");
}

mod sqlite {
    use super::*;

    fn new_database() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
        (folder, url)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn services_that_start_at_once_share_one_new_database() {
        for _ in 0..ROUNDS {
            let (folder, url) = new_database();
            services_share(&url, folder.path()).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rehearsals_that_start_at_once_are_one() {
        for _ in 0..ROUNDS {
            let (_folder, url) = new_database();
            rehearsals_share(&url).await;
        }
    }

    #[test]
    fn commands_that_start_at_once_share_one_new_database() {
        let (folder, url) = new_database();
        commands_share(&url, folder.path());
    }
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn services_that_start_at_once_share_one_new_database() {
        for _ in 0..ROUNDS {
            let (folder, url) = (tempfile::tempdir().unwrap(), fresh_postgres_database().await);
            services_share(&url, folder.path()).await;
            drop_postgres_database(&url).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rehearsals_that_start_at_once_are_one() {
        for _ in 0..ROUNDS {
            let url = fresh_postgres_database().await;
            rehearsals_share(&url).await;
            drop_postgres_database(&url).await;
        }
    }

    #[tokio::test]
    async fn commands_that_start_at_once_share_one_new_database() {
        let (folder, url) = (tempfile::tempdir().unwrap(), fresh_postgres_database().await);
        commands_share(&url, folder.path());
        drop_postgres_database(&url).await;
    }
}
