//! A file system that is really full or read-only under the real program: what it has acknowledged outlives `kill -9` (R20).

use std::path::{Path, PathBuf};
use std::time::Duration;

use perezvon::providers::twiml::form_signature;
use sqlx::{AnyConnection, Connection};

use crate::harness::{App, Form, Program, SmallDisk, TOKEN, patiently, stories_on_sqlite};

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

/// Calls in and hangs up. Both requests are acknowledged.
async fn call(program: &Program, sid: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let caller = format!("+7928000{:04}", sid.trim_start_matches("CA").parse::<u32>().unwrap());
    let begun = Form::call(sid).from(&caller);
    for (endpoint, form) in [("voice", begun.clone()), ("status", begun.status("completed"))] {
        let signature =
            form_signature(TOKEN, &format!("https://calls.example.org/webhooks/twilio/{endpoint}"), &form.0);
        let request = client
            .post(format!("http://{}/webhooks/twilio/{endpoint}", program.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature.to_string());
        let answer = request.body(form.encoded()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{sid} {endpoint}");
        // By the real clock: the line may be open or closed.
        assert!(endpoint != "voice" || answer.text().await.unwrap().contains("<Response>"), "{sid}");
    }
}

/// Returns when so many calls have ended in the database.
async fn has_calls(app: &App, disk: &SmallDisk, count: i64) {
    // SQLite follows links, and would look for the file where the disk is not mounted.
    let copy = app.folder.path().join("copy.db");
    let ended = async || -> Option<i64> {
        for end in ["", "-wal"] {
            let (from, to) = (disk.path(&format!("perezvon.db{end}")), format!("{}{end}", copy.display()));
            std::fs::copy(from, to).ok()?;
        }
        let mut connection = AnyConnection::connect(&format!("sqlite:{}", copy.display())).await.ok()?;
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM call WHERE ended_at IS NOT NULL");
        let ended = query.fetch_one(&mut connection).await.ok();
        connection.close().await.ok()?;
        ended
    };
    patiently("the calls in the database", async {
        while ended().await != Some(count) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
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
        call(&program, "CA0").await;
        readyz_answers(&program, 200).await;
        disk.fill();
        for n in 1..40 {
            call(&program, &format!("CA{n}")).await;
        }
        readyz_answers(&program, 503).await;
        program.kill();
        let again = disk.start(&config);
        call(&again, "CA40").await;
        disk.make_room();
        has_calls(app, &disk, 41).await;
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

    async fn read_only_disk_loses_no_acknowledged_call(app) {
        let folder = app.folder.path().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "size=64m,ro") else { return };
        let config = config_on(app, &folder, &app.folder.path().join("emergency"));
        let mut program = disk.start(&config);
        for n in 0..10 {
            call(&program, &format!("CA{n}")).await;
        }
        readyz_answers(&program, 503).await;
        program.kill();
        disk.remount("rw");
        let _again = disk.start(&config);
        has_calls(app, &disk, 10).await;
        assert_eq!(app.spooled_files(), 0);
    }
}
