//! Rows and files, compared both ways: what is missing, what changed, and what no row knows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use perezvon::app::demo::{CallPlan, Ending};
use perezvon::app::verify;
use perezvon::recordings::tone;
use perezvon::store::{Voicemail, VoicemailState};
use sqlx::{AnyConnection, Connection};

use crate::harness::{App, Engine, PARENTS, stories};

fn path(app: &App, name: &str) -> PathBuf {
    app.folder.path().join("recordings").join(name)
}

fn write(app: &App, name: &str, bytes: &[u8]) {
    fs::create_dir_all(path(app, name).parent().unwrap()).unwrap();
    fs::write(path(app, name), bytes).unwrap();
}

/// What the command prints, and whether everything is whole.
async fn run(app: &App, adopt: bool) -> (bool, String) {
    let mut out = Vec::new();
    let is_whole = verify::run_both_ways(&app.worker(), adopt, &mut out).await.unwrap();
    (is_whole, String::from_utf8(out).unwrap())
}

async fn voicemail(app: &App) -> Voicemail {
    app.voicemails().await.remove(0)
}

stories! {
    async fn verifying_takes_no_lock_for_writing(app) {
        app.exchange.call(CallPlan::new("+79280000001", PARENTS).leaving(2_000, Ending::HangsUp)).await;
        app.run_all_jobs().await;
        let mut writer = AnyConnection::connect(&app.database).await.unwrap();
        let lock = match app.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE meta, call, voicemail, prompt IN EXCLUSIVE MODE",
        };
        sqlx::raw_sql(lock).execute(&mut writer).await.unwrap();
        let config = app.folder.path().join("verify.toml");
        fs::write(&config, app.config_text()).unwrap();
        let program = env!("CARGO_BIN_EXE_perezvon");
        let command = move || Command::new(program).args(["verify", "--config"]).arg(config).output();
        let done = tokio::task::spawn_blocking(command).await.unwrap().expect("the program is there");
        writer.close().await.unwrap();
        let printed = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && printed.contains("✓ Записей проверено: 1"), "{printed} {:?}", done.stderr);
    }

    async fn missing_and_changed_recordings_are_named(app) {
        for caller in ["+79280000001", "+79280000002"] {
            app.exchange.call(CallPlan::new(caller, PARENTS).leaving(2_000, Ending::HangsUp)).await;
        }
        app.run_all_jobs().await;
        assert_eq!(run(app, false).await, (true, "✓ Записей проверено: 2, все целы.\n".to_owned()));
        let names: Vec<String> = app.voicemails().await.into_iter().map(|it| it.sound.unwrap().name).collect();
        fs::remove_file(path(app, &names[0])).unwrap();
        fs::write(path(app, &names[1]), "changed").unwrap();
        let (is_whole, printed) = run(app, true).await;
        assert!(!is_whole && printed.contains(&format!("✗ {}: файла нет", names[0])), "{printed}");
        assert!(printed.contains(&format!("✗ {}: файл изменился", names[1])), "{printed}");
    }

    /// The row was lost behind its file: an older database was put back, or the message had been given up.
    async fn file_of_a_waiting_message_is_adopted_on_demand(app) {
        app.message_from("CA1", "+79280000001").await;
        let waiting = voicemail(app).await;
        let name = format!("2026/11/{}.wav", waiting.id);
        write(app, &name, &tone::wav_bytes(&tone::speech_like(7_000, 1)));
        app.store().voicemail_failed(waiting.id, "given up").await.unwrap();
        let (is_whole, printed) = run(app, false).await;
        assert!(is_whole && printed.contains(&name) && printed.contains("perezvon verify --adopt"), "{printed}");
        assert_eq!(voicemail(app).await.state, VoicemailState::Failed, "looking changes nothing");
        let (is_whole, printed) = run(app, true).await;
        assert!(is_whole && printed.contains("присоединена"), "{printed}");
        let adopted = voicemail(app).await;
        let sound = adopted.sound.unwrap();
        assert_eq!((adopted.state, sound.name.as_str(), sound.length_ms), (VoicemailState::Stored, &*name, 7_000));
        assert_eq!((adopted.failure, sound.damage.as_str()), (None, ""));
        let deletes = "SELECT COUNT(*) FROM job WHERE kind = 'delete_recording'";
        assert_eq!(app.number(deletes).await, 1, "it is whole, so the provider's copy may go");
        assert_eq!(run(app, false).await.1, "✓ Записей проверено: 1, все целы.\n");
        app.leave_the_jobs().await;
    }

    async fn sound_that_arrived_for_a_lost_message_is_fetched_again(app) {
        app.message_from("CA1", "+79280000001").await;
        let waiting = voicemail(app).await;
        app.leave_the_jobs().await;
        app.store().voicemail_failed(waiting.id, "given up").await.unwrap();
        write(app, &format!("arrived/{}.raw", waiting.id), &tone::wav_bytes(&tone::speech_like(7_000, 1)));
        assert!(run(app, true).await.1.contains("в ближайшую минуту"));
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        app.leave_the_jobs().await;
    }

    async fn foreign_file_is_named_and_left_alone(app) {
        app.message_from("CA1", "+79280000001").await;
        let erased = voicemail(app).await.id;
        app.sql(&format!("UPDATE voicemail SET state = 'erased' WHERE id = {erased}")).await;
        for name in ["2026/11/7.wav", "letter.txt", &format!("2026/11/{erased}.wav")] {
            write(app, name, b"something");
        }
        let (is_whole, printed) = run(app, true).await;
        assert!(is_whole, "a file too many is nothing missing: {printed}");
        assert!(printed.contains("! 2026/11/7.wav: файл никому не известен"), "{printed}");
        assert!(printed.contains("! letter.txt: файл никому не известен"), "{printed}");
        assert!(printed.contains(&format!("! 2026/11/{erased}.wav: сообщение стёрто")), "{printed}");
        assert!(["2026/11/7.wav", "letter.txt"].iter().all(|name| path(app, name).exists()));
        app.leave_the_jobs().await;
    }

    async fn leftovers_of_a_crash_are_removed_after_a_day(app) {
        for (name, hours) in [(".late/old.partial", 25), (".late/young.partial", 23)] {
            write(app, name, b"half");
            let file = fs::OpenOptions::new().write(true).open(path(app, name)).unwrap();
            file.set_modified(modified(hours)).unwrap();
        }
        assert!(run(app, false).await.1.contains(".late/old.partial: остаток"));
        assert!(!path(app, ".late/old.partial").exists() && path(app, ".late/young.partial").exists());
    }
}

#[expect(clippy::disallowed_methods, reason = "the file system has no other clock")]
fn modified(hours_ago: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(hours_ago * 60 * 60)
}
