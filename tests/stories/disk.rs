//! A file system that is really full or read-only under the real program: what it has acknowledged outlives `kill -9` (R20).

use std::path::{Path, PathBuf};
use std::time::Duration;

use perezvon::providers::twiml::form_signature;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::harness::{App, Form, MailServer, Program, SmallDisk, TOKEN, patiently, stories_on_sqlite};

/// A configuration with all that the program holds below `folder`, and the second folder of its spool at `emergency`.
fn config_on(app: &App, folder: &Path, emergency: &Path) -> PathBuf {
    let own = app.folder.path().display().to_string();
    let text = app.config_text().replace(&format!("{own}/emergency"), &emergency.display().to_string());
    let text = text.replace(&format!("{own}/perezvon.db"), &folder.join("perezvon.db").display().to_string());
    let text = text.replace(&format!("{own}/recordings"), &folder.join("recordings").display().to_string());
    let config = app.folder.path().join("program.toml");
    std::fs::write(&config, text.replace("[server]", "[server]\nlisten = \"127.0.0.1:0\"")).unwrap();
    config
}

/// Sends a signed webhook. The answer is its status and its text.
async fn post(program: &Program, endpoint: &str, form: &Form) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let signature = form_signature(TOKEN, &format!("https://calls.example.org/webhooks/twilio/{endpoint}"), &form.0);
    let request = client
        .post(format!("http://{}/webhooks/twilio/{endpoint}", program.address))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", signature.to_string());
    let answer = request.body(form.encoded()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Calls in and hangs up. The answer is the status of the second request.
async fn call(program: &Program, sid: &str) -> u16 {
    let caller = format!("+7928000{:04}", sid.trim_start_matches("CA").parse::<u32>().unwrap());
    let begun = Form::call(sid).from(&caller);
    let (status, text) = post(program, "voice", &begun).await;
    // By the real clock: the line may be open or closed.
    assert!(status == 200 && text.contains("<Response>"), "{sid}: {status} {text}");
    post(program, "status", &begun.status("completed")).await.0
}

const ENDED_CALLS: &str = "SELECT COUNT(*) FROM call WHERE ended_at IS NOT NULL";

/// Returns when this query of the database on the disk answers so.
async fn comes_to(app: &App, disk: &SmallDisk, query: &str, count: i64) {
    // SQLite follows links, and would look for the file where the disk is not mounted.
    let copy = app.folder.path().join("copy.db");
    let answer = async || -> Option<i64> {
        for end in ["", "-wal"] {
            let (from, to) = (disk.path(&format!("perezvon.db{end}")), format!("{}{end}", copy.display()));
            std::fs::copy(from, to).ok()?;
        }
        let mut connection = AnyConnection::connect(&format!("sqlite:{}", copy.display())).await.ok()?;
        let answer = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.ok();
        connection.close().await.ok()?;
        answer
    };
    patiently(query, async {
        while answer().await != Some(count) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Takes in what a program printed at its stop: ten deliveries, into the database of this configuration.
fn replay(app: &App, disk: &SmallDisk, config: &Path, log: &str) {
    let saved = app.folder.path().join("log.txt");
    std::fs::write(&saved, log).unwrap();
    let [config, saved] = [config, &saved].map(|path| path.to_str().unwrap());
    let (all, said) = disk.run(&["replay", "--config", config, "--spool", saved]);
    assert!(all && said.contains("Внесено событий: 10. Не внесено: 0."), "{said}");
}

fn write_mail_table(config: &Path, server: &MailServer) {
    let table = format!(
        "\n[mail]\nsmtp = \"smtp://{}\"\nfrom = \"perezvon@school.example\"\nalarms_to = [\"admin@school.example\"]\n",
        server.address
    );
    let text = std::fs::read_to_string(config).unwrap();
    std::fs::write(config, text + &table).unwrap();
}

async fn readyz_answers(program: &Program, status: u16) {
    let url = format!("http://{}/readyz", program.address);
    patiently("the truth on /readyz", async {
        while reqwest::get(&url).await.unwrap().status() != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

stories_on_sqlite! {
    /// Memory alone held them once, and 14 of 30 callers were lost.
    async fn full_disk_loses_no_acknowledged_call(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=64m") else { return };
        let config = config_on(app, &folder, &folder.join("emergency"));
        let mut program = disk.start(&config);
        assert_eq!(call(&program, "CA0").await, 200);
        readyz_answers(&program, 200).await;
        disk.fill();
        for n in 1..40 {
            assert_eq!(call(&program, &format!("CA{n}")).await, 200);
        }
        readyz_answers(&program, 503).await;
        program.kill();
        let again = disk.start(&config);
        assert_eq!(call(&again, "CA40").await, 200);
        disk.make_room();
        comes_to(app, &disk, ENDED_CALLS, 41).await;
    }

    /// Only the disk of the recordings was looked at.
    async fn full_disk_of_the_database_is_named(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=64m") else { return };
        let config = config_on(app, &folder, &app.folder.path().join("emergency"));
        let recordings = app.folder.path().join("messages").display().to_string();
        let text = std::fs::read_to_string(&config).unwrap();
        let on_disk = folder.join("recordings").display().to_string();
        std::fs::write(&config, text.replace(&on_disk, &recordings)).unwrap();
        let program = disk.start(&config);
        readyz_answers(&program, 200).await;
        disk.fill();
        readyz_answers(&program, 503).await;
        let text = reqwest::get(format!("http://{}/readyz", program.address)).await.unwrap().text().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["disk"], "only 0 bytes are free for database", "{text}");
        assert_eq!((&answer["free_bytes"], &answer["disks"]["database"]), (&0.into(), &0.into()), "{text}");
        assert!(answer["disks"]["recordings"].as_u64() > Some(0), "{text}");
    }

    /// A balancer took the service away, and callers got nobody, although each call was safe.
    async fn small_disk_of_the_second_folder_turns_nobody_away(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=16m") else { return };
        let home = app.folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let config = config_on(app, &home, &folder.join("emergency"));
        let program = disk.start(&config);
        readyz_answers(&program, 200).await;
        let text = reqwest::get(format!("http://{}/readyz", program.address)).await.unwrap().text().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        let degraded = answer["degraded"].as_array().unwrap();
        assert!(degraded.contains(&"disk emergency".into()) && answer["disk"] == "ok", "{text}");
    }

    async fn read_only_disk_loses_no_acknowledged_call(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=64m,ro") else { return };
        let config = config_on(app, &folder, &app.folder.path().join("emergency"));
        let mut program = disk.start(&config);
        for n in 0..10 {
            assert_eq!(call(&program, &format!("CA{n}")).await, 200);
        }
        readyz_answers(&program, 503).await;
        program.kill();
        disk.remount("rw");
        let _again = disk.start(&config);
        comes_to(app, &disk, ENDED_CALLS, 10).await;
        assert_eq!(app.spooled_files(), 0);
    }

    /// An orderly stop threw them away and ended with 0.
    async fn stop_on_a_full_disk_prints_the_calls(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=64m") else { return };
        let server = MailServer::start().await;
        let config = config_on(app, &folder, &folder.join("emergency"));
        write_mail_table(&config, &server);
        // Full before the first start, it gives no reserve either.
        disk.fill();
        let program = disk.start(&config);
        for n in 0..5 {
            assert_eq!(call(&program, &format!("CA{n}")).await, 503);
        }
        readyz_answers(&program, 503).await;
        patiently("a letter that needs no database", async {
            while server.letters().is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let letter = server.only();
        assert_eq!(letter.subject(), "Перезвон: звонки не попадают в базу данных");
        assert!(letter.text().contains("Только в памяти, потому что диск не принимает и их"), "{}", letter.text());
        let (status, log) = tokio::task::block_in_place(|| program.end());
        assert_eq!(status, Some(1), "{log}");
        disk.make_room();
        let again = disk.start(&config);
        readyz_answers(&again, 200).await;
        let lost = "SELECT COUNT(*) FROM alarm WHERE kind = 'we_failed' AND subject = 'lost deliveries'";
        comes_to(app, &disk, lost, 1).await;
        replay(app, &disk, &config, &log);
        comes_to(app, &disk, ENDED_CALLS, 5).await;
    }

    async fn stop_without_postgres_and_disk_prints_the_calls(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=64m") else { return };
        let config = config_on(app, &folder, &folder.join("emergency"));
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = std::fs::read_to_string(&config).unwrap();
        let sqlite = format!("sqlite:{}", folder.join("perezvon.db").display());
        assert!(text.contains(&sqlite), "{text}");
        std::fs::write(&config, text.replace(&sqlite, &format!("postgres://perezvon@{nobody}/perezvon"))).unwrap();
        disk.fill();
        let program = disk.start(&config);
        for n in 0..5 {
            assert_eq!(call(&program, &format!("CA{n}")).await, 503);
        }
        let (status, log) = tokio::task::block_in_place(|| program.end());
        // A sweep without a database waited for it in each of its parts, and a container is killed ten seconds after it was asked.
        assert!(status == Some(1) && !log.contains("hangs"), "{log}");
        let own_config = app.folder.path().join("own.toml");
        std::fs::write(&own_config, app.config_text()).unwrap();
        replay(app, &disk, &own_config, &log);
        assert_eq!(app.count("call").await, 5);
        app.leave_the_jobs().await;
    }
}
