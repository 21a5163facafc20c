//! The file of the database is missing, replaced or cut: nothing is acknowledged into a file that is not the school's (R20).

use std::fs::{self, OpenOptions};

use perezvon::core::officer::Role;
use sqlx::{AnyConnection, Connection};

use crate::fetching::a_message;
use crate::harness::{App, Engine, Form, patiently, stories, stories_on_sqlite};
use crate::spool::{count_calls, ended, file, rename_database};

/// A copy of the database as it is now, closed in good order.
async fn copy(app: &App, name: &str) {
    app.restart(|_| ()).await;
    app.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    fs::copy(file(app), app.folder.path().join(name)).unwrap();
}

async fn is_whole(app: &App, name: &str) -> bool {
    let url = format!("sqlite:{}", app.folder.path().join(name).display());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let found: String = sqlx::query_scalar("PRAGMA quick_check").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found == "ok"
}

stories_on_sqlite! {
    /// SQLite folded the former file's log into the new one: 20 acknowledged calls went into a damaged database.
    async fn log_of_the_former_file_damages_no_other(app) {
        copy(app, "other.db").await;
        app.post("status", &ended("CA0").from("+79280000000")).await;
        let [former, other] = ["former.db", "other.db"].map(|name| app.folder.path().join(name));
        // As administrators do it: the log stays behind.
        fs::rename(file(app), &former).unwrap();
        fs::rename(&other, file(app)).unwrap();
        assert_eq!(app.post("status", &ended("CA1")).await.status, 200);
        app.store().drain_spool(&app.clock).await;
        assert!(is_whole(app, "perezvon.db").await);
        assert_eq!(count_calls(&file(app)).await, 1);
        fs::rename(app.folder.path().join("perezvon.db-former-1-wal"), app.folder.path().join("former.db-wal")).unwrap();
        assert_eq!(count_calls(&former).await, 1, "its newest calls are in the log that was laid aside");
        app.leave_the_jobs().await;
    }

    /// An empty one was made, and six callers were off the list.
    async fn file_that_is_missing_at_the_start_is_waited_for(app) {
        app.post("status", &ended("CA0").from("+79280000000")).await;
        app.crash().await;
        rename_database(app, "perezvon.db", "away.db");
        app.restart(|_| ()).await;
        app.worker().heartbeat.beat();
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        let ready = app.get("/readyz").await;
        assert!(ready.status == 503 && ready.body.contains("the file of the database is gone"), "{ready:?}");
        assert!(!file(app).exists());
        // Nor is an empty file taken for it.
        fs::write(file(app), "").unwrap();
        assert_eq!(app.store().drain_spool(&app.clock).await, 0);
        fs::remove_file(file(app)).unwrap();
        rename_database(app, "away.db", "perezvon.db");
        assert_eq!(app.store().drain_spool(&app.clock).await, 1);
        assert!(app.find("CA0").await.is_some() && app.find("CA1").await.is_some());
        app.leave_the_jobs().await;
    }

    /// The disk with the database and the recordings was not mounted at the start: a second, empty database took the calls,
    /// and they were gone with it when the disk came.
    async fn disk_of_everything_that_is_not_mounted_gets_no_new_database(app) {
        app.post("status", &ended("CA0").from("+79280000000")).await;
        app.crash().await;
        let names = ["perezvon.db", "perezvon.db-wal", "perezvon.db-shm", "recordings"];
        let [here, disk] = [app.folder.path().to_owned(), app.folder.path().join("disk")];
        fs::create_dir(&disk).unwrap();
        names.iter().filter(|name| here.join(name).exists()).for_each(|name| fs::rename(here.join(name), disk.join(name)).unwrap());
        fs::create_dir(here.join("recordings")).unwrap();
        app.restart(|_| ()).await;
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        assert!(!file(app).exists());
        app.worker().heartbeat.beat();
        assert!(app.get("/readyz").await.body.contains("the file of the database is gone"));
        let page = app.get("/health-ui").await.body;
        assert!(page.contains("файла нет на месте") && page.contains("perezvon restore"), "{page}");
        // The disk hides whatever lies in its place.
        fs::rename(here.join("recordings"), here.join("hidden")).unwrap();
        names.iter().filter(|name| disk.join(name).exists()).for_each(|name| fs::rename(disk.join(name), here.join(name)).unwrap());
        assert_eq!(app.store().drain_spool(&app.clock).await, 1, "it waited on another disk");
        assert!(app.find("CA0").await.is_some() && app.find("CA1").await.is_some());
        app.leave_the_jobs().await;
    }

    /// Thirteen acknowledged calls were in a log that went with the process.
    async fn log_that_is_removed_costs_no_call(app) {
        app.post("status", &ended("CA0").from("+79280000000")).await;
        let log = app.folder.path().join("perezvon.db-wal");
        assert!(fs::metadata(&log).unwrap().len() > 0);
        fs::remove_file(&log).unwrap();
        for n in 1..4 {
            assert_eq!(app.post("status", &ended(&format!("CA{n}")).from(&format!("+7928000000{n}"))).await.status, 200);
        }
        // What a power cut leaves.
        for end in ["", "-wal"] {
            fs::copy(app.folder.path().join(format!("perezvon.db{end}")), app.folder.path().join(format!("left.db{end}"))).unwrap();
        }
        assert_eq!(count_calls(&app.folder.path().join("left.db")).await, 4);
        assert!(is_whole(app, "left.db").await);
        app.worker().sweep().await;
        assert!(app.find("CA3").await.is_some());
        app.leave_the_jobs().await;
    }

    /// Hundreds of webhooks were acknowledged into the log of a file that nobody could read again.
    async fn file_that_was_cut_gets_no_calls(app) {
        for n in 0..30 {
            app.post("status", &ended(&format!("CA{n}")).from(&format!("+792800000{n:02}"))).await;
        }
        app.leave_the_jobs().await;
        app.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
        app.post("status", &ended("CA30")).await;
        let whole = fs::read(file(app)).unwrap();
        OpenOptions::new().write(true).open(file(app)).unwrap().set_len(8192).unwrap();
        app.worker().heartbeat.beat();
        assert_eq!(app.post("status", &ended("CA31")).await.status, 200);
        assert_eq!(app.spooled_files(), 1);
        assert!(app.get("/readyz").await.body.contains("shorter than it was"));
        fs::write(file(app), whole).unwrap();
        assert_eq!(app.store().drain_spool(&app.clock).await, 1);
        assert!(is_whole(app, "perezvon.db").await);
        app.restart(|_| ()).await;
        assert_eq!(count_calls(&file(app)).await, 32);
        app.leave_the_jobs().await;
    }
}

mod refuses {
    use super::*;

    stories! {
        /// Messages lay below the disk that was mounted later, and their originals were deleted.
        async fn folder_of_a_disk_that_is_not_mounted_takes_no_recording(app) {
            let sid = a_message(app).await;
            let [folder, away] = ["recordings", "away"].map(|name| app.folder.path().join(name));
            fs::rename(&folder, &away).unwrap();
            fs::create_dir(&folder).unwrap();
            app.restart(|_| ()).await;
            app.run_jobs().await;
            app.worker().sweep().await;
            assert_eq!(app.alarm_kinds().await, ["recordings_elsewhere"]);
            app.worker().heartbeat.beat();
            let ready = app.get("/readyz").await;
            assert!(ready.status == 503 && ready.body.contains("not mounted"), "{ready:?}");
            assert_eq!(app.exchange.counters().deleted, Vec::<String>::new());
            fs::remove_dir_all(&folder).unwrap();
            fs::rename(&away, &folder).unwrap();
            app.restart(|_| ()).await;
            app.advance_minutes(60);
            app.run_jobs().await;
            app.worker().sweep().await;
            assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
            assert_eq!(app.exchange.counters().deleted, [sid]);
            app.leave_the_jobs().await;
        }

        /// With a damaged index no call came to the list, and `/readyz` was 200 until somebody looked.
        async fn database_that_takes_no_call_is_not_ready(app) {
            let refuse: &[&str] = match app.engine {
                Engine::Sqlite => &["CREATE TRIGGER refuse BEFORE INSERT ON call_key BEGIN SELECT RAISE(ABORT, 'damaged'); END"],
                Engine::Postgres => &[
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'damaged'; END $$",
                    "CREATE TRIGGER refuse BEFORE INSERT ON call_key FOR EACH ROW EXECUTE FUNCTION refuse()",
                ],
            };
            for statement in refuse {
                app.sql(statement).await;
            }
            assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
            assert_eq!(app.store().drain_spool(&app.clock).await, 0);
            app.worker().heartbeat.beat();
            let ready = app.get("/readyz").await;
            assert!(ready.status == 503 && ready.body.contains("does not take 1 spooled"), "{ready:?}");
            let page = app.browser("Мадина", Role::Officer).await.get("/health-ui").await.body;
            assert!(page.contains("принимает не все звонки") && page.contains("Не работает"), "{page}");
            app.advance_minutes(2);
            app.store().tend_spool(app.now()).await;
            let told = app.alarms().await;
            assert!(told.len() == 1 && told[0].told.contains("хотя она отвечает"), "{told:?}");
            let table = if app.engine == Engine::Postgres { " ON call_key" } else { "" };
            app.sql(&format!("DROP TRIGGER refuse{table}")).await;
            assert_eq!(app.store().drain_spool(&app.clock).await, 1);
            app.becomes_ready().await;
            app.leave_the_jobs().await;
        }

        /// `/metrics` and «Состояние» called it up, for it answers.
        async fn database_that_takes_no_commit_is_down_for_all_who_ask(app) {
            let mut madina = app.browser("Мадина", Role::Officer).await;
            let refuse: &[&str] = match app.engine {
                Engine::Sqlite => &["CREATE TRIGGER refuse BEFORE INSERT ON meta WHEN NEW.key = 'probed_at' \
                                     BEGIN SELECT RAISE(ABORT, 'full'); END"],
                Engine::Postgres => &[
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$",
                    "CREATE TRIGGER refuse BEFORE INSERT ON meta FOR EACH ROW WHEN (NEW.key = 'probed_at') EXECUTE FUNCTION refuse()",
                ],
            };
            for statement in refuse {
                app.sql(statement).await;
            }
            app.worker().heartbeat.beat();
            let ready = app.get("/readyz").await;
            assert!(ready.status == 503 && ready.body.contains("full"), "{ready:?}");
            let page = madina.get("/health-ui").await.body;
            assert!(page.contains("отвечает, но не сохраняет звонки"), "{page}");
            let stranger = app.get("/health-ui").await;
            assert!(stranger.status == 503 && stranger.body.contains("Не работает"), "{stranger:?}");
            // All stories share one recorder.
            patiently("the truth on /metrics", async {
                while !app.get("/metrics").await.body.contains("perezvon_database_up 0") {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            })
            .await;
            let table = if app.engine == Engine::Postgres { " ON meta" } else { "" };
            app.sql(&format!("DROP TRIGGER refuse{table}")).await;
            app.becomes_ready().await;
            assert!(madina.get("/health-ui").await.body.contains("отвечает, пишет"));
        }

        async fn spooled_calls_are_taken_in_as_they_came(app) {
            app.take_the_database_away().await;
            for n in 0..150 {
                app.post("status", &ended(&format!("CA{n}")).from(&format!("+7928000{n:04}"))).await;
            }
            app.bring_the_database_back().await;
            assert_eq!(app.store().drain_spool(&app.clock).await, 150);
            let bodies = app.rows("SELECT body FROM delivery ORDER BY id").await;
            let sids: Vec<String> = bodies.iter().map(|row| String::from_utf8(sqlx::Row::get(row, 0)).unwrap()).collect();
            for (n, body) in sids.iter().enumerate() {
                assert!(body.contains(&format!("CallSid=CA{n}&")), "place {n}: {body}");
            }
            app.leave_the_jobs().await;
        }
    }
}
