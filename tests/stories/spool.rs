//! Acknowledged means durable, whatever is broken (R20), and the service answers from its first second (R21).

use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use perezvon::app::{config, house, replay};
use perezvon::core::call::Outcome;
use perezvon::core::officer::Role;
use perezvon::providers::twiml::form_signature;
use perezvon::store::SpoolDepth;
use sqlx::{AnyConnection, Connection};

use crate::harness::{
    App, Engine, Form, MailServer, Program, TOKEN, at, friday, patiently, stories, stories_on_sqlite,
};

pub(crate) fn ended(sid: &str) -> Form {
    Form::call(sid).status("completed")
}

/// Where the database of a story on SQLite lies.
pub(crate) fn file(app: &App) -> PathBuf {
    app.folder.path().join("perezvon.db")
}

/// The file and what SQLite keeps beside it, under another name.
pub(crate) fn rename_database(app: &App, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let [from, to] = [from, to].map(|name| app.folder.path().join(format!("{name}{end}")));
        if from.exists() {
            std::fs::rename(from, to).unwrap();
        }
    }
}

const PAGE_BYTES: u64 = 4096;

fn read_page(app: &App, page: u64) -> Vec<u8> {
    let database = std::fs::read(file(app)).unwrap();
    database[((page - 1) * PAGE_BYTES) as usize..][..PAGE_BYTES as usize].to_vec()
}

/// Writes a page of the file behind the back of SQLite.
fn write_page(app: &App, page: u64, bytes: &[u8]) {
    let database = std::fs::OpenOptions::new().write(true).open(file(app)).unwrap();
    database.write_all_at(bytes, (page - 1) * PAGE_BYTES).unwrap();
}

pub(crate) async fn count_calls(file: &Path) -> i64 {
    let mut connection = AnyConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM call").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

async fn replay(app: &App, text: &str) -> (bool, String) {
    let mut out = Vec::new();
    let all = replay::spool(Path::new("-"), &app.store(), app.now(), &mut text.as_bytes(), &mut out).await.unwrap();
    (all, String::from_utf8(out).unwrap())
}

/// Starts the real program with its log led elsewhere by a shell, and returns when it listens.
async fn program_logging_to(app: &App, redirection: &str) -> (Child, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = app.config_text().replace("[server]", &format!("[server]\nlisten = \"127.0.0.1:{port}\""));
    let config = app.folder.path().join("program.toml");
    std::fs::write(&config, text.replace("perezvon.db", "program.db").replace("recordings\"", "of_program\"")).unwrap();
    let program = env!("CARGO_BIN_EXE_perezvon");
    let start = format!("exec setpriv --pdeathsig KILL -- {program} serve --config {} {redirection}", config.display());
    let child = Command::new("bash").args(["-c", &start]).spawn().unwrap();
    patiently("the program to listen", async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    (child, format!("http://127.0.0.1:{port}"))
}

stories! {
    async fn every_webhook_is_acknowledged_once_it_is_spooled(app) {
        app.take_the_database_away().await;
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        let message = Form::call("CA1").recording("RE1", "7", app.exchange.api_base());
        assert_eq!(app.post("recording", &message.with("RecordingStatus", "completed")).await.status, 200);
        assert_eq!(app.post("status", &ended("CA1")).await.status, 200);
        assert_eq!(app.spooled_files(), 3);
        app.bring_the_database_back().await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 3);
        assert_eq!(app.call("CA1").await.outcome(), Outcome::Voicemail);
        assert_eq!(app.count("voicemail").await, 1);
        assert_eq!(app.spool_names(), ["reserve"]);
        app.leave_the_jobs().await;
    }

    async fn what_no_disk_takes_is_acknowledged_to_nobody(app) {
        app.worker().heartbeat.beat();
        app.take_the_database_away().await;
        app.block_the_spool();
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record(), "the caller hears nothing of it");
        assert_eq!(app.post("status", &ended("CA1")).await.status, 503);
        let ready = app.get("/readyz").await;
        assert!(ready.status == 503 && ready.body.contains("2 deliveries are in memory alone"), "{ready:?}");
        app.unblock_the_spool();
        assert_eq!(app.store().drain_spool(&app.clock).await, 0, "now a disk takes them");
        assert_eq!((app.spooled_files(), app.store().spool_depth().in_memory), (2, 0));
        app.crash().await;
        app.bring_the_database_back().await;
        app.restart(|_| ()).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_eq!(app.callback().await.caller.unwrap().e164(), "+79280000001");
        app.leave_the_jobs().await;
    }

    async fn stop_prints_what_it_can_save_nowhere(app) {
        app.take_the_database_away().await;
        app.block_the_spool();
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        assert_eq!(app.post("status", &ended("CA1")).await.status, 503);
        let printed = app.store().drain_spool_at_stop(&app.clock).await;
        assert_eq!(printed.len(), 2);
        app.unblock_the_spool();
        app.bring_the_database_back().await;
        // As a log has them: among other lines, and perhaps twice.
        let log = format!("{{\"level\":\"ERROR\"}}\n{}\n\n{}\n", printed.join("\n"), printed[0]);
        let (all, said) = replay(app, &log).await;
        assert!(all && said.contains("Внесено событий: 3. Не внесено: 0. Пропущено других строк: 1."), "{said}");
        assert_eq!(app.callback().await.caller.unwrap().e164(), "+79280000001");
        assert_eq!(app.count("call").await, 1);
        app.leave_the_jobs().await;
    }

    /// A commit that hangs takes longer than the last attempt of a stop.
    async fn drain_that_is_broken_off_loses_nothing(app) {
        app.take_the_database_away().await;
        app.block_the_spool();
        for sid in ["CA1", "CA2"] {
            assert!(app.post("voice", &Form::call(sid)).await.offers_to_record());
        }
        let store = app.store();
        for turns in 0..200 {
            tokio::select! {
                biased;
                _ = store.drain_spool(&app.clock) => {}
                () = async { for _ in 0..turns { tokio::task::yield_now().await } } => {}
            }
            assert_eq!(store.spool_depth().in_memory, 2, "broken off after {turns} turns");
        }
        assert_eq!(app.store().drain_spool_at_stop(&app.clock).await.len(), 2);
        app.unblock_the_spool();
        app.bring_the_database_back().await;
    }

    async fn what_is_no_delivery_is_set_aside_and_told_of(app) {
        app.restart(|_| ()).await;
        let spool = app.folder.path().join("recordings/.spool");
        std::fs::write(spool.join("001763656200000-00.json"), "{\"provider\":\"twilio\"").unwrap();
        assert_eq!(app.store().drain_spool(&app.clock).await, 0);
        assert_eq!(app.alarm_kinds().await, ["we_failed"]);
        assert!(app.spool_names().contains(&"001763656200000-00.set_aside".to_owned()));
        assert_eq!(app.store().spool_depth(), SpoolDepth { set_aside: 1, ..SpoolDepth::default() });
        assert!(app.get("/readyz").await.body.contains("\"set_aside\":1"));
        app.restart(|_| ()).await;
        app.store().drain_spool(&app.clock).await;
        assert_eq!(app.store().spool_depth().set_aside, 1, "a restart forgets nothing");
    }

    /// It was passed over in silence, with status 0.
    async fn lines_of_a_journal_are_taken_in(app) {
        app.take_the_database_away().await;
        app.block_the_spool();
        app.post("voice", &Form::call("CA1")).await;
        let line = app.store().drain_spool_at_stop(&app.clock).await.remove(0);
        app.unblock_the_spool();
        app.bring_the_database_back().await;
        let journal = format!("Nov 30 07:05:34 host perezvon[123]: {line}\r\n");
        let (all, said) = replay(app, &journal).await;
        assert!(all && said.contains("Внесено событий: 1. Не внесено: 0."), "{said}");
        let (all, said) = replay(app, &journal[..journal.len() / 2]).await;
        assert!(!all && said.contains("Внесено событий: 0. Не внесено: 1."), "{said}");
        let year = app.now().to_string()[..4].to_owned();
        for (other, ends_well) in [("1970", false), ("9998", false), (year.as_str(), true)] {
            let (all, said) = replay(app, &line.replace(&format!("\"{year}-"), &format!("\"{other}-"))).await;
            assert_eq!(all, ends_well, "{other}: {said}");
        }
        let (all, said) = replay(app, "Nov 30 07:05:34 host perezvon[123]: Ended\n").await;
        assert!(!all && said.contains("Сохранённых событий здесь нет."), "{said}");
        assert_eq!(app.count("call").await, 1);
        app.leave_the_jobs().await;
    }

    /// The list was whole, and nobody heard that callers had got the offer in place of the officers.
    async fn stop_that_applies_what_memory_holds_tells_of_it(app) {
        app.take_the_database_away().await;
        app.block_the_spool();
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        app.bring_the_database_back().await;
        assert_eq!(app.store().drain_spool_at_stop(&app.clock).await, Vec::<String>::new());
        assert!(app.find("CA1").await.is_some());
        let alarm = app.alarms().await.remove(0);
        assert_eq!((alarm.kind.as_str(), alarm.subject.as_str()), ("we_failed", "database"));
        app.unblock_the_spool();
    }

    async fn orderly_stop_saves_what_memory_holds(app) {
        app.take_the_database_away().await;
        app.block_the_spool();
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        app.unblock_the_spool();
        assert_eq!(app.store().drain_spool_at_stop(&app.clock).await, Vec::<String>::new());
        assert_eq!(app.spooled_files(), 1);
        app.bring_the_database_back().await;
        app.restart(|_| ()).await;
        app.store().drain_spool(&app.clock).await;
        assert!(app.find("CA1").await.is_some());
    }

    async fn more_than_ten_thousand_come_in_without_a_restart(app) {
        app.take_the_database_away().await;
        app.post("status", &ended("CA0").from("+79280000000")).await;
        app.bring_the_database_back().await;
        let spool = app.folder.path().join("recordings/.spool");
        let name = app.spool_names().into_iter().find(|name| name.ends_with(".json")).unwrap();
        let text = std::fs::read_to_string(spool.join(&name)).unwrap();
        for n in 1..10_100 {
            let text = text.replace("\"CA0\"", &format!("\"CA{n}\""));
            std::fs::write(spool.join(name.replace('-', &format!("-{n:05}"))), text).unwrap();
        }
        assert_eq!(app.store().drain_spool(&app.clock).await, 10_100);
        assert_eq!((app.count("call").await, app.spooled_files()), (10_100, 0));
        app.leave_the_jobs().await;
    }

    async fn database_that_is_away_at_the_start_is_waited_for(app) {
        let before = app.post("voice", &Form::call("CA0").from("+79280000000")).await;
        assert_eq!(before.status, 200);
        app.crash().await;
        match app.engine {
            Engine::Postgres => app.take_the_database_away().await,
            Engine::Sqlite => {
                rename_database(app, "perezvon.db", "away.db");
                std::fs::write(file(app), "this is no database, whatever its name says").unwrap();
            }
        }
        app.restart(|_| ()).await;
        app.worker().heartbeat.beat();
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        assert_eq!(app.post("status", &ended("CA1")).await.status, 200);
        assert_eq!((app.get("/healthz").await.status, app.get("/readyz").await.status), (200, 503));
        let page = app.get("/health-ui").await;
        assert!(page.status == 503 && page.body.contains("Не работает"), "{page:?}");
        let what = if app.engine == Engine::Sqlite { "повреждена, не читается" } else { "не отвечает" };
        assert!(page.body.contains(&format!("{what}. Звонящим предлагают оставить сообщение")), "{page:?}");
        assert!(page.body.contains("2\u{a0}события ждут базу данных, они сохранены на диске"), "{page:?}");
        match app.engine {
            Engine::Postgres => app.bring_the_database_back().await,
            Engine::Sqlite => rename_database(app, "away.db", "perezvon.db"),
        }
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert!(app.find("CA0").await.is_some() && app.find("CA1").await.is_some());
        app.becomes_ready().await;
        app.leave_the_jobs().await;
    }

    async fn rehearsal_and_real_calls_never_share_a_database(app) {
        app.post("voice", &Form::call("CA1")).await;
        let config = config::parse(&app.config_text(), None, []).unwrap();
        let refused = house::build(&config, app.clock.clone(), true).await.err().unwrap().to_string();
        assert!(refused.contains("уже хранит настоящие звонки"), "{refused}");
        app.crash().await;
        app.sql("INSERT INTO meta (key, value) VALUES ('rehearsal', '2026-11-20T16:30:00Z')").await;
        let refused = house::build(&config, app.clock.clone(), false).await.err().unwrap().to_string();
        assert!(refused.contains("осталась от учения"), "{refused}");
        app.sql("DELETE FROM meta WHERE key = 'rehearsal'").await;
        app.restart(|_| ()).await;
    }

    async fn metrics_are_there_while_the_database_is_away(app) {
        let up = app.get("/metrics").await;
        assert!(up.status == 200 && up.body.contains("perezvon_database_up 1"), "{up:?}");
        match app.engine {
            Engine::Postgres => app.take_the_database_away().await,
            Engine::Sqlite => rename_database(app, "perezvon.db", "away.db"),
        }
        app.post("voice", &Form::call("CA1")).await;
        let down = app.get("/metrics").await;
        assert!(down.status == 200 && down.body.contains("perezvon_database_up 0"), "{down:?}");
        assert!(down.body.contains("perezvon_deliveries_spooled"), "{down:?}");
        match app.engine {
            Engine::Postgres => app.bring_the_database_back().await,
            Engine::Sqlite => rename_database(app, "away.db", "perezvon.db"),
        }
        app.store().drain_spool(&app.clock).await;
        assert!(app.get("/metrics").await.body.contains("perezvon_database_up 1"));
        app.leave_the_jobs().await;
    }

    async fn clock_that_ran_ahead_ends_no_check_of_the_database(app) {
        app.clock.set(at("2036-11-20T02:30:00+03:00"));
        app.worker().check_integrity().await.unwrap();
        assert!(!app.worker().integrity_check_is_due().await, "it was just now");
        app.clock.set(friday("02:30"));
        assert!(app.worker().integrity_check_is_due().await);
        app.worker().check_integrity().await.unwrap();
        assert!(!app.worker().integrity_check_is_due().await);
    }

    async fn health_page_counts_what_waits_for_the_database(app) {
        let mut officer = app.browser("Мадина", Role::Officer).await;
        assert!(officer.get("/health-ui").await.body.contains("ни одного события"));
    }
}

/// What only a file can meet.
mod a_file {
    use super::*;

    stories_on_sqlite! {
        async fn nothing_is_committed_into_a_deleted_file(app) {
            app.post("voice", &Form::call("CA0").from("+79280000000")).await;
            rename_database(app, "perezvon.db", "away.db");
            app.worker().heartbeat.beat();
            assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
            assert_eq!(app.post("status", &ended("CA1")).await.status, 200);
            assert_eq!(app.spooled_files(), 2);
            let ready = app.get("/readyz").await;
            assert!(ready.status == 503 && ready.body.contains("the file of the database is gone"), "{ready:?}");
            assert!(!file(app).exists(), "nobody makes an empty one meanwhile");
            rename_database(app, "away.db", "perezvon.db");
            assert_eq!(app.store().drain_spool(&app.clock).await, 2);
            app.restart(|_| ()).await;
            assert!(app.find("CA0").await.is_some() && app.find("CA1").await.is_some());
            app.leave_the_jobs().await;
        }

        async fn list_says_that_callers_may_be_missing(app) {
            let mut madina = app.browser("Мадина И.", Role::Officer).await;
            assert!(madina.get("/callbacks").await.body.contains("Всех обзвонили"));
            app.take_the_database_away().await;
            app.post("voice", &Form::call("CA1")).await;
            let page = madina.get("/callbacks").await.body;
            assert!(page.contains("Список может быть неполным: 1\u{a0}событие ждёт базу данных."), "{page}");
            assert!(!page.contains("Всех обзвонили"), "nobody knows that");
            app.bring_the_database_back().await;
            assert_eq!(app.store().drain_spool(&app.clock).await, 1);
            assert!(!madina.get("/callbacks").await.body.contains("неполным"));
            app.leave_the_jobs().await;
        }

        async fn replaced_file_gets_the_calls_from_then_on(app) {
            app.restart(|_| ()).await;
            std::fs::copy(file(app), app.folder.path().join("other.db")).unwrap();
            app.post("voice", &Form::call("CA0").from("+79280000000")).await;
            rename_database(app, "perezvon.db", "former.db");
            std::fs::rename(app.folder.path().join("other.db"), file(app)).unwrap();
            assert_eq!(app.post("voice", &Form::call("CA1")).await.status, 200);
            assert_eq!(app.spooled_files(), 0);
            assert_eq!(count_calls(&file(app)).await, 1, "what was acknowledged is in the file that is there");
            assert_eq!(app.store().call(1).await.unwrap().map(|_| ()), None, "readers read there too");
            assert!(app.store().take_replaced());
            assert!(!app.store().take_replaced(), "told once");
            app.restart(|_| ()).await;
            assert_eq!(count_calls(&file(app)).await, 1, "and it is still there after a restart");
        }

        async fn log_that_cannot_be_written_costs_lines_and_no_caller(app) {
            for redirection in ["2>&-", "2> >(true)", "2>/dev/full"] {
                let (mut child, url) = program_logging_to(app, redirection).await;
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                for n in 0..10 {
                    let form = Form::call(&format!("CA{n}")).from(&format!("+792800000{n:02}"));
                    let signature = form_signature(TOKEN, "https://calls.example.org/webhooks/twilio/voice", &form.0);
                    let request = client
                        .post(format!("{url}/webhooks/twilio/voice"))
                        .header("content-type", "application/x-www-form-urlencoded")
                        .header("x-twilio-signature", signature.to_string());
                    let answer = request.body(form.encoded()).send().await.unwrap();
                    assert_eq!(answer.status(), 200, "{redirection}");
                    // By the real clock: the line may be open or closed.
                    assert!(answer.text().await.unwrap().contains("<Response>"), "{redirection}");
                }
                if redirection.ends_with("full") {
                    let metrics = client.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
                    assert!(metrics.contains("perezvon_log_lines_lost_total"), "{metrics}");
                }
                assert_eq!(client.get(format!("{url}/healthz")).send().await.unwrap().status(), 200, "{redirection}");
                child.kill().unwrap();
                child.wait().unwrap();
                let database = app.folder.path().join("program.db");
                let (mut again, _) = program_logging_to(app, "2>/dev/null").await;
                again.kill().unwrap();
                again.wait().unwrap();
                assert_eq!(count_calls(&database).await, 10, "{redirection}");
                std::fs::remove_file(database).unwrap();
                // With it the marks that say that there was one: the next start makes a new database.
                for folder in ["of_program", "emergency"] {
                    std::fs::remove_dir_all(app.folder.path().join(folder)).unwrap();
                }
            }
        }

        /// A server that has been cut off refuses nobody and answers nobody.
        async fn first_webhook_is_answered_while_the_database_is_silent(app) {
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let database = format!("postgres://perezvon@{}/perezvon", silent.local_addr().unwrap());
            let text = app.config_text().replace(&app.database, &database).replace("recordings\"", "of_program\"");
            let config = app.folder.path().join("program.toml");
            std::fs::write(&config, text.replace("[server]", "[server]\nlisten = \"127.0.0.1:0\"")).unwrap();
            let started = std::time::Instant::now();
            let program = Program::start(&config);
            let listens_after = started.elapsed();
            let form = Form::call("CA1");
            let signature = form_signature(TOKEN, "https://calls.example.org/webhooks/twilio/voice", &form.0);
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client
                .post(format!("http://{}/webhooks/twilio/voice", program.address))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-twilio-signature", signature.to_string());
            let answer = request.body(form.encoded()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.text().await.unwrap().contains("<Record"), "a call that cannot be looked up gets the offer");
            // Providers wait five seconds; whoever asked for the officers first took that long by itself.
            assert!(listens_after < Duration::from_secs(5), "{listens_after:?}");
        }

        async fn damaged_database_raises_an_alarm_and_a_whole_one_clears_it(app) {
            for n in 0..30 {
                app.post("status", &ended(&format!("CA{n}")).from(&format!("+792800000{n:02}"))).await;
            }
            let page = app.number("SELECT rootpage FROM sqlite_master WHERE name = 'callback'").await as u64;
            app.leave_the_jobs().await;
            app.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
            app.crash().await;
            let whole = read_page(app, page);
            write_page(app, page, &[0x5A; 4096]);
            app.restart(|_| ()).await;
            app.worker().check_integrity().await.unwrap();
            assert_eq!(app.alarm_kinds().await, ["database_damaged"]);
            app.crash().await;
            write_page(app, page, &whole);
            app.restart(|_| ()).await;
            app.worker().check_integrity().await.unwrap();
            assert_eq!(app.alarm_kinds().await, [""; 0]);
        }

        /// The check itself fails, and there is no place for an alarm.
        async fn database_too_damaged_for_an_alarm_is_told_by_mail(app) {
            app.post("status", &ended("CA1")).await;
            app.leave_the_jobs().await;
            app.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
            app.crash().await;
            // The last page of the list of tables.
            let root = read_page(app, 1);
            assert_eq!(root[100], 5, "the list of tables has several pages");
            let page = u64::from(u32::from_be_bytes(root[108..112].try_into().unwrap()));
            let whole = read_page(app, page);
            write_page(app, page, &[0x5A; 4096]);
            let server = MailServer::start().await;
            let address = server.address;
            let mail = format!("[mail]\nsmtp = \"smtp://{address}\"\nfrom = \"perezvon@school.example\"\nalarms_to = [\"admin@school.example\"]");
            app.restart(|setup| setup.tables = mail).await;
            assert!(app.worker().check_integrity().await.is_err(), "it cannot even note when it was checked");
            let letter = server.only();
            assert_eq!(letter.subject(), "Перезвон: база данных повреждена");
            assert!(letter.text().contains("восстановите"), "{}", letter.text());
            app.crash().await;
            write_page(app, page, &whole);
            app.restart(|setup| setup.tables.clear()).await;
        }

        async fn corrupt_page_of_a_main_table_is_not_ready(app) {
            app.worker().heartbeat.beat();
            for n in 0..30 {
                app.post("status", &ended(&format!("CA{n}")).from(&format!("+792800000{n:02}"))).await;
            }
            app.becomes_ready().await;
            let page = app.number("SELECT rootpage FROM sqlite_master WHERE name = 'callback'").await as u64;
            app.leave_the_jobs().await;
            app.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
            app.crash().await;
            write_page(app, page, &[0x5A; 4096]);
            app.restart(|_| ()).await;
            app.worker().heartbeat.beat();
            let ready = app.get("/readyz").await;
            assert!(ready.status == 503 && ready.body.contains("malformed"), "{ready:?}");
            assert!(app.post("voice", &Form::call("CA99")).await.offers_to_record());
        }
    }
}
