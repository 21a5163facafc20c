//! Encryption at rest: off unless a key is configured; with one no voice and no number lies plain among the recordings and in
//! the backups; and whatever happens to the key, no caller is lost.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use perezvon::app::config::{self, Config};
use perezvon::app::demo::{CallPlan, Ending};
use perezvon::app::privacy::{self, ForgetArgs};
use perezvon::app::{backup, check, encryption, verify};
use perezvon::core::callback::Action;
use perezvon::core::greetings::GreetingKind;
use perezvon::core::officer::{Actor, Role};
use perezvon::jobs::FORGOTTEN;
use perezvon::jobs::backup::{ENCRYPTED_MANIFEST, MANIFEST, Manifest, backups_in};
use perezvon::recordings::{Folder, KeyFile, RECIPIENT_MARK, is_encrypted, tone};
use perezvon::store::VoicemailState;
use perezvon::web::password;

use crate::backups::{back_up, backups, contents, drop_again, empty, here, restore};
use crate::exchange::{ended, speech, tell_with, with_an_exchange};
use crate::fetching::{a_message, voicemail};
use crate::greetings::draft;
use crate::harness::{App, Engine, Form, PARENTS, at, stories, stories_on_sqlite};

/// Where the key of a story lies: neither among the recordings nor among the backups.
fn key_path(app: &App) -> PathBuf {
    app.folder.path().join("keys/recordings.key")
}

fn key(app: &App) -> KeyFile {
    KeyFile::new(&key_path(app))
}

async fn name_key(app: &App, path: &Path) {
    let line = format!("key_file = \"{}\"", path.display());
    app.restart(|setup| setup.storage_keys = line).await;
}

/// Makes a key and starts the service with it.
async fn with_key(app: &App) {
    fs::create_dir_all(key_path(app).parent().unwrap()).unwrap();
    KeyFile::create(&key_path(app)).unwrap();
    name_key(app, &key_path(app)).await;
}

fn hide_key(app: &App) {
    fs::rename(key_path(app), key_path(app).with_extension("safe")).unwrap();
}

fn bring_key_back(app: &App) {
    fs::rename(key_path(app).with_extension("safe"), key_path(app)).unwrap();
}

fn recordings(app: &App) -> PathBuf {
    app.folder.path().join("recordings")
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// The files in which these bytes stand as they are.
fn plain_in(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes);
    files(folder).into_iter().filter(holds).collect()
}

/// Some bytes out of the middle of a sound, which nothing else has.
fn piece(sound: &[u8]) -> &[u8] {
    let middle = sound.len() / 2;
    &sound[middle..middle + 48]
}

/// The plain bytes of the only message.
async fn sound(app: &App) -> Vec<u8> {
    let name = voicemail(app).await.sound.expect("the sound is here").name;
    app.worker().folder.read(&name.parse().unwrap()).await.unwrap()
}

async fn path_of_sound(app: &App) -> PathBuf {
    recordings(app).join(voicemail(app).await.sound.expect("the sound is here").name)
}

async fn checked(app: &App) -> String {
    let mut out = Vec::new();
    let _ = check::run(Ok(here(app)), app.now(), Vec::new(), &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

async fn verified(app: &App) -> (bool, String) {
    let mut out = Vec::new();
    let is_whole = verify::run_both_ways(&app.worker(), false, &mut out).await.unwrap();
    (is_whole, String::from_utf8(out).unwrap())
}

async fn encrypt(app: &App) -> Result<(bool, String), String> {
    let mut out = Vec::new();
    match encryption::encrypt(&here(app), &app.store(), &mut out).await {
        Ok(done) => Ok((done, String::from_utf8(out).unwrap())),
        Err(error) => Err(error.to_string()),
    }
}

async fn verified_backup(folder: &Path, key: Option<&KeyFile>) -> Result<(bool, String), String> {
    let mut out = Vec::new();
    match backup::verify(folder, key, &mut out).await {
        Ok(is_whole) => Ok((is_whole, String::from_utf8(out).unwrap())),
        Err(error) => Err(error.to_string()),
    }
}

async fn back_up_fails(app: &App) -> String {
    backup::make(&here(app), &backups(app), app.now(), &mut Vec::new()).await.unwrap_err().to_string()
}

/// A token that may listen.
async fn listener(app: &App) -> String {
    let (secret, digest) = password::generate_token();
    app.store().add_token("слушает", Role::Officer, digest, None, app.now()).await.unwrap();
    secret
}

/// Status, `Content-Range` and body.
async fn listen(app: &App, token: &str, range: Option<&str>) -> (u16, String, Vec<u8>) {
    let id = app.number("SELECT MIN(id) FROM voicemail").await;
    let mut request =
        Request::get(format!("/api/v1/voicemails/{id}/audio")).header("authorization", format!("Bearer {token}"));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    use tower::ServiceExt;
    let response = app.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 22).await.unwrap().to_vec();
    let length = headers["content-length"].to_str().unwrap();
    assert_eq!(length, body.len().to_string(), "the length that was told");
    (status, headers.get("content-range").map_or("", |it| it.to_str().unwrap()).to_owned(), body)
}

/// The same configuration with a key file, as `--key-file` sets it.
fn with_key_file(config: &Config, key_file: Option<PathBuf>) -> Config {
    let mut config = config.clone();
    config.storage.key_file = key_file;
    config
}

stories! {
    async fn without_a_key_everything_is_as_before(app) {
        a_message(app).await;
        app.run_all_jobs().await;
        let bytes = fs::read(path_of_sound(app).await).unwrap();
        assert!(bytes.starts_with(b"RIFF") && bytes == sound(app).await);
        assert!(!recordings(app).join(RECIPIENT_MARK).exists());
        let folder = back_up(app).await;
        let manifest = fs::read_to_string(folder.join(MANIFEST)).unwrap();
        assert_eq!(Manifest::read(&folder).unwrap().format_version, 1);
        assert!(!manifest.contains("age1") && !manifest.contains("\"plain\""), "{manifest}");
        assert!(!folder.join(ENCRYPTED_MANIFEST).exists() && folder.join("tables/call.jsonl.gz").exists());
        let printed = checked(app).await;
        assert!(["зашифров", "шифруются", "key_file"].iter().all(|word| !printed.contains(word)), "{printed}");
    }

    /// Threat: whoever carries the disk with the recordings away hears the messages.
    async fn no_voice_lies_plain_among_the_recordings(app) {
        with_an_exchange(app).await;
        with_key(app).await;
        a_message(app).await;
        let told = tell_with(app, &ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]), &speech()).await;
        assert_eq!((told.status, told.body.as_str()), (200, "ok"));
        assert_eq!(plain_in(&recordings(app), piece(&speech())), Vec::<PathBuf>::new(), "while it waits to be looked at");
        assert_eq!(fs::read_dir(recordings(app).join("arrived")).unwrap().count(), 1);
        app.run_all_jobs().await;
        let messages = app.voicemails().await;
        assert_eq!(messages.len(), 2);
        for message in messages {
            assert_eq!(message.state, VoicemailState::Stored);
            let stored = message.sound.unwrap();
            let plain = app.worker().folder.read(&stored.name.parse().unwrap()).await.unwrap();
            assert!(plain.starts_with(b"RIFF") && stored.speech_ms > 0, "it was measured");
            assert_eq!(stored.size_bytes, plain.len() as i64, "rows tell of the sound, not of the file");
            assert_eq!(plain_in(app.folder.path(), piece(&plain)), Vec::<PathBuf>::new());
            assert!(is_encrypted(&recordings(app).join(&stored.name)).unwrap());
        }
        assert_eq!(app.exchange.counters().deleted.len(), 1, "the whole copy is here");
        let (is_whole, printed) = verified(app).await;
        assert!(is_whole && printed.contains("✓ Записей проверено: 2, все целы."), "{printed}");
        assert!(!checked(app).await.contains("Сообщений без шифрования"));
    }

    /// Threat: with the key gone, or a wrong one, a message is kept where nobody can read it, or plain, and its original is
    /// deleted.
    async fn message_waits_at_its_provider_until_the_key_is_back(app) {
        with_key(app).await;
        a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!(app.exchange.counters().deleted.len(), 1);
        hide_key(app);
        let other = app.folder.path().join("keys/other.key");
        KeyFile::create(&other).unwrap();
        let mut deleted = 1;
        for (path, why) in [
            (Some(key_path(app)), "файла ключа нет на месте"),
            (Some(other), "ключ в файле не тот"),
            (None, "файл ключа не назван"),
        ] {
            match &path {
                Some(path) => name_key(app, path).await,
                None => app.restart(|setup| setup.storage_keys.clear()).await,
            }
            let caller = format!("+7928000001{deleted}");
            let report = app.exchange.call(CallPlan::new(&caller, PARENTS).leaving(12_000, Ending::HangsUp)).await;
            assert_eq!(report.warnings, Vec::<String>::new(), "{why}: the caller hears the offer");
            app.run_jobs().await;
            app.worker().sweep().await;
            app.worker().heartbeat.beat();
            let waiting = app.voicemails().await.into_iter().filter(|it| it.state == VoicemailState::Pending).count();
            assert_eq!((waiting, app.callbacks().await.len()), (1, deleted + 1), "{why}");
            assert_eq!(app.exchange.counters().deleted.len(), deleted, "{why}");
            let alarms = app.alarms().await;
            assert!(alarms.iter().any(|alarm| alarm.kind == "recordings_key" && alarm.told.contains(why)), "{alarms:?}");
            let ready = app.get("/readyz").await;
            assert!(ready.status == 503 && ready.body.contains("key"), "{why}: {ready:?}");
            let refused = back_up_fails(app).await;
            assert!(refused.contains(why) && refused.contains("без шифрования она не делается"), "{refused}");
            assert!(backups_in(&backups(app)).unwrap_or_default().is_empty());
            let (is_whole, printed) = verified(app).await;
            assert!(!is_whole && printed.contains("зашифрованы и не проверены") && printed.contains(why), "{printed}");
            let printed = checked(app).await;
            assert!(printed.contains("✗ С") || printed.contains("✗ Ш"), "{printed}");
            bring_key_back(app);
            name_key(app, &key_path(app)).await;
            app.advance_minutes(6);
            app.run_jobs().await;
            app.worker().sweep().await;
            app.run_all_jobs().await;
            deleted += 1;
            assert_eq!(app.exchange.counters().deleted.len(), deleted, "{why}");
            assert!(app.voicemails().await.iter().all(|it| it.state == VoicemailState::Stored));
            assert!(!app.alarm_kinds().await.contains(&"recordings_key".to_owned()));
            hide_key(app);
        }
    }

    /// The service is not started anew for it.
    async fn key_that_comes_back_is_used_at_once(app) {
        with_key(app).await;
        hide_key(app);
        app.restart(|_| ()).await;
        a_message(app).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        assert_eq!(files(&recordings(app).join("2026")), Vec::<PathBuf>::new());
        bring_key_back(app);
        app.run_all_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert!(is_encrypted(&path_of_sound(app).await).unwrap());
    }

    /// Threat: whoever carries a backup away reads numbers and hears messages.
    async fn backup_is_encrypted_whole_and_comes_back_in_either_engine(app) {
        with_key(app).await;
        a_message(app).await;
        app.run_all_jobs().await;
        draft(app, GreetingKind::Closed, 7).await;
        app.take_the_database_away().await;
        app.post("voice", &Form::call("CA2").from("+79280000002")).await;
        app.bring_the_database_back().await;
        let plain = sound(app).await;
        let folder = back_up(app).await;
        let outside: Vec<PathBuf> = files(&folder).into_iter().filter(|path| !is_encrypted(path).unwrap()).collect();
        let is_greeting = |path: &&PathBuf| path.starts_with(folder.join("recordings/prompts"));
        assert_eq!(outside.iter().filter(is_greeting).count(), 2, "greetings are public");
        assert_eq!(outside.iter().filter(|path| !is_greeting(path)).collect::<Vec<_>>(), [&folder.join(MANIFEST)]);
        for bytes in [piece(&plain), b"9280000002", b"9280000001", b"\"call\""] {
            assert_eq!(plain_in(&folder, bytes), Vec::<PathBuf>::new(), "{:?}", String::from_utf8_lossy(bytes));
        }
        let (is_whole, printed) = verified_backup(&folder, Some(&key(app))).await.unwrap();
        assert!(is_whole && printed.contains("Зашифрована ключом age1"), "{printed}");
        let live = contents(&app.database).await;
        for engine in [Engine::Sqlite, Engine::Postgres] {
            let config = empty(app, engine, &format!("{engine:?}")).await;
            let printed = restore(&config, &folder).await.unwrap();
            assert!(printed.contains("восстановлены и сверены"), "{printed}");
            assert_eq!(contents(&config.storage.database).await, live, "{engine:?}");
            let restored = Folder::open(&config.storage.recordings).unwrap().encrypted_with(config.storage.key());
            let name = voicemail(app).await.sound.unwrap().name;
            assert_eq!(restored.read(&name.parse().unwrap()).await.unwrap(), plain);
            assert!(is_encrypted(&config.storage.recordings.join(&name)).unwrap());
            let spooled = files(&config.storage.recordings.join(".spool"));
            let spooled: Vec<_> = spooled.iter().filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
            assert_eq!(spooled.len(), 1);
            assert!(fs::read_to_string(spooled[0]).unwrap().contains("CA2"), "the service reads what waits");
            drop_again(config).await;
        }
        app.store().drain_spool(&app.clock).await;
        app.leave_the_jobs().await;
    }

    async fn encrypted_backup_without_its_key_changes_nothing(app) {
        with_key(app).await;
        a_message(app).await;
        app.run_all_jobs().await;
        let folder = back_up(app).await;
        let other = app.folder.path().join("keys/other.key");
        KeyFile::create(&other).unwrap();
        let gone = app.folder.path().join("keys/gone.key");
        let config = empty(app, app.engine, "restored").await;
        for (file, why) in [
            (None, "файл ключа не назван"),
            (Some(gone), "файла ключа нет на месте"),
            (Some(other), "ключ в файле не тот"),
        ] {
            let refused = verified_backup(&folder, file.as_deref().map(KeyFile::new).as_ref()).await.unwrap_err();
            assert!(refused.contains("зашифрован") && refused.contains(why), "{refused}");
            let refused = restore(&with_key_file(&config, file), &folder).await.unwrap_err();
            assert!(refused.contains("зашифрован") && refused.contains(why), "{refused}");
            assert!(files(&config.storage.recordings).is_empty(), "{why}");
        }
        restore(&config, &folder).await.unwrap();
        drop_again(config).await;
    }

    async fn backup_from_before_the_key_comes_back_encrypted(app) {
        a_message(app).await;
        app.run_all_jobs().await;
        let folder = back_up(app).await;
        let plain = sound(app).await;
        with_key(app).await;
        let config = empty(app, app.engine, "restored").await;
        restore(&config, &folder).await.unwrap();
        assert_eq!(contents(&config.storage.database).await, contents(&app.database).await);
        assert_eq!(plain_in(&config.storage.recordings, piece(&plain)), Vec::<PathBuf>::new());
        let restored = Folder::open(&config.storage.recordings).unwrap().encrypted_with(config.storage.key());
        assert_eq!(restored.read(&voicemail(app).await.sound.unwrap().name.parse().unwrap()).await.unwrap(), plain);
        drop_again(config).await;
    }

    async fn nightly_backup_is_encrypted_and_shares_what_has_not_changed(app) {
        with_key(app).await;
        let folder = backups(app);
        app.restart(|setup| setup.tables = format!("[backup]\nfolder = \"{}\"\nat = \"03:00\"\nkeep = 2\n", folder.display())).await;
        a_message(app).await;
        app.run_all_jobs().await;
        for day in ["21", "22", "23"] {
            app.clock.set(at(&format!("2026-11-{day}T03:00:00+03:00")));
            assert!(app.worker().back_up_if_due().await.unwrap(), "{day}");
        }
        let made = backups_in(&folder).unwrap();
        assert_eq!(made.len(), 2, "old ones are deleted by what they say without the key");
        let name = format!("recordings/{}", voicemail(app).await.sound.unwrap().name);
        let inode = |at: usize| fs::metadata(made[at].folder.join(&name)).unwrap().ino();
        assert_eq!(inode(0), inode(1));
        assert_ne!(inode(0), fs::metadata(path_of_sound(app).await).unwrap().ino());
        hide_key(app);
        app.restart(|_| ()).await;
        app.clock.set(at("2026-11-24T03:00:00+03:00"));
        assert!(!app.worker().back_up_if_due().await.unwrap());
        let alarms = app.alarms().await;
        assert!(alarms.iter().any(|it| it.kind == "backup" && it.told.contains("файла ключа нет на месте")), "{alarms:?}");
    }

    /// Threat: what is forgotten stays because it is encrypted, or comes back with a backup; and whoever carries the backups
    /// away tries numbers out against the list beside them.
    /// Threat: the list beside the nightly backups could not be written, the command ends well, and a restore brings the
    /// caller back; or the backup lies elsewhere and nobody looks there.
    async fn forgetting_ends_badly_while_its_list_cannot_be_written(app) {
        with_key(app).await;
        let nightly = app.folder.path().join("nightly");
        fs::create_dir_all(&nightly).unwrap();
        app.restart(|setup| setup.tables = format!("[backup]\nfolder = \"{}\"\n", nightly.display())).await;
        a_message(app).await;
        app.run_all_jobs().await;
        let stick = back_up(app).await;
        let id = app.callback().await.id;
        app.act(id, &Actor::officer(1, "Мадина И."), Action::Done { note: String::new() }).await.unwrap();
        app.advance_minutes(60);
        hide_key(app);
        let args = ForgetArgs { number: "89280000001".to_owned(), dry_run: false };
        let mut out = Vec::new();
        let ended_well = privacy::forget(&here(app), &app.worker(), &args, app.now(), &mut out).await.unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert!(!ended_well && printed.contains("✗ Список стёртых номеров не записан"), "{printed}");
        bring_key_back(app);
        assert!(privacy::forget(&here(app), &app.worker(), &args, app.now(), &mut Vec::new()).await.unwrap());
        fs::remove_file(recordings(app).join(".forgotten")).unwrap();
        let mut config = empty(app, app.engine, "restored").await;
        config.backup = here(app).backup;
        let printed = restore(&config, &stick).await.unwrap();
        assert!(printed.contains("Стёрты снова те"), "{printed}");
        drop_again(config).await;
        app.leave_the_jobs().await;
    }

    async fn forgotten_caller_goes_with_his_encrypted_message_and_stays_away(app) {
        with_key(app).await;
        a_message(app).await;
        app.run_all_jobs().await;
        let (folder, path) = (back_up(app).await, path_of_sound(app).await);
        let id = app.callback().await.id;
        app.act(id, &Actor::officer(1, "Мадина И."), Action::Done { note: String::new() }).await.unwrap();
        app.advance_minutes(60);
        let args = ForgetArgs { number: "89280000001".to_owned(), dry_run: false };
        let mut out = Vec::new();
        assert!(privacy::forget(&here(app), &app.worker(), &args, app.now(), &mut out).await.unwrap());
        assert!(!path.exists());
        back_up(app).await;
        assert!(is_encrypted(&backups(app).join(FORGOTTEN)).unwrap());
        let config = empty(app, app.engine, "restored").await;
        let printed = restore(&config, &folder).await.unwrap();
        assert!(printed.contains("Стёрты снова те"), "{printed}");
        assert!(!config.storage.recordings.join(path.strip_prefix(recordings(app)).unwrap()).exists());
        drop_again(config).await;
        app.leave_the_jobs().await;
    }
}

/// What has nothing to do with the database.
mod files_alone {
    use super::*;

    stories_on_sqlite! {
        async fn every_range_of_an_encrypted_message_is_that_of_the_sound(app) {
            with_key(app).await;
            a_message(app).await;
            app.run_all_jobs().await;
            let (plain, token) = (sound(app).await, listener(app).await);
            const CHUNK: usize = 64 * 1024;
            assert!(plain.len() > 2 * CHUNK + 10, "it has several chunks");
            let (status, _, whole) = listen(app, &token, None).await;
            assert!(status == 200 && whole == plain);
            for (start, end) in [
                (0, 0),
                (CHUNK - 1, CHUNK - 1),
                (CHUNK, CHUNK),
                (CHUNK - 1, CHUNK),
                (CHUNK - 5, 2 * CHUNK + 5),
                (2 * CHUNK, plain.len() - 1),
                (plain.len() - 1, plain.len() - 1),
            ] {
                let (status, range, part) = listen(app, &token, Some(&format!("bytes={start}-{end}"))).await;
                assert_eq!((status, range), (206, format!("bytes {start}-{end}/{}", plain.len())));
                assert_eq!(part, plain[start..=end], "{start}-{end}");
            }
            let (status, _, tail) = listen(app, &token, Some("bytes=-100")).await;
            assert!(status == 206 && tail == plain[plain.len() - 100..]);
            let (status, range, _) = listen(app, &token, Some(&format!("bytes={}-", plain.len()))).await;
            assert_eq!((status, range), (416, format!("bytes */{}", plain.len())));
        }

        async fn page_and_api_say_why_a_message_does_not_play(app) {
            with_key(app).await;
            a_message(app).await;
            app.run_all_jobs().await;
            let call = voicemail(app).await.call_id;
            let token = listener(app).await;
            for (path, why) in [("keys/gone.key", "файла ключа нет на месте"), ("keys/other.key", "ключ в файле не тот")] {
                if path.contains("other") {
                    KeyFile::create(&app.folder.path().join(path)).unwrap();
                }
                name_key(app, &app.folder.path().join(path)).await;
                let (status, _, problem) = listen(app, &token, None).await;
                let problem = String::from_utf8(problem).unwrap();
                assert!(status == 503 && problem.contains("urn:perezvon:voicemail-locked"), "{problem}");
                let mut officer = app.browser(why, Role::Officer).await;
                for address in ["/callbacks".to_owned(), format!("/calls/{call}")] {
                    let page = officer.get(&address).await.body;
                    assert!(page.contains(&format!("зашифровано и пока не звучит: {why}")), "{page}");
                    assert!(!page.contains("<audio"), "{address}");
                }
                let health = officer.get("/health-ui").await.body;
                assert!(health.contains(why) && health.contains("storage.key_file"), "{health}");
            }
        }

        async fn damaged_file_of_ours_keeps_no_message_from_us(app) {
        with_key(app).await;
        a_message(app).await;
        let name = format!("2026/11/{}.wav", voicemail(app).await.id);
        fs::create_dir_all(recordings(app).join("2026/11")).unwrap();
        fs::write(recordings(app).join(&name), b"age-encryption.org/v1\nand no more").unwrap();
        app.run_all_jobs().await;
        assert_eq!(voicemail(app).await.sound.unwrap().name, name);
        assert!(sound(app).await.starts_with(b"RIFF"));
    }

    async fn exchange_keeps_its_sound_while_the_key_is_gone(app) {
            with_an_exchange(app).await;
            with_key(app).await;
            hide_key(app);
            app.restart(|_| ()).await;
            let told = async || tell_with(app, &ended("pbx-1.0", "79281234567", &[("record", "HANGUP")]), &speech()).await;
            assert_eq!(told().await.status, 503);
            assert_eq!((app.callbacks().await.len(), plain_in(&recordings(app), piece(&speech())).len()), (1, 0));
            bring_key_back(app);
            assert_eq!(told().await.status, 200);
            app.run_all_jobs().await;
            assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
            assert_eq!(sound(app).await, speech());
        }

        async fn folder_with_both_kinds_is_read_and_encrypted_on_demand(app) {
            a_message(app).await;
            app.run_all_jobs().await;
            draft(app, GreetingKind::Closed, 7).await;
            let refused = encrypt(app).await.unwrap_err();
            assert!(refused.contains("perezvon key new"), "{refused}");
            let plain = sound(app).await;
            with_key(app).await;
            let (is_whole, printed) = verified(app).await;
            assert!(is_whole && printed.contains("! Сообщений без шифрования: 1 из 1"), "{printed}");
            assert!(checked(app).await.contains("! Сообщений без шифрования: 1 из 1"));
            let copied = back_up(app).await;
            assert_eq!(plain_in(&copied, piece(&plain)), Vec::<PathBuf>::new(), "the backup is encrypted all the same");
            let (done, printed) = encrypt(app).await.unwrap();
            assert!(done && printed.contains("✓ Зашифровано сообщений: 1"), "{printed}");
            assert_eq!(sound(app).await, plain);
            assert_eq!(plain_in(&recordings(app), piece(&plain)), Vec::<PathBuf>::new());
            let (is_whole, printed) = verified(app).await;
            assert!(is_whole && !printed.contains("без шифрования"), "{printed}");
            let (done, printed) = encrypt(app).await.unwrap();
            assert!(done && printed.contains("Зашифровано сообщений: 0") && printed.contains("раньше: 1"), "{printed}");
            let again = back_up(app).await;
            let name = voicemail(app).await.sound.unwrap().name;
            let inode = |folder: &Path| fs::metadata(folder.join("recordings").join(&name)).unwrap().ino();
            assert_eq!(inode(&again), inode(&copied), "the same sound is not copied twice");
        }

        /// Threat: «nothing lies plain any more» is said of messages that nobody has looked at.
        async fn encrypting_says_nothing_of_what_it_has_not_seen(app) {
            with_key(app).await;
            a_message(app).await;
            app.run_all_jobs().await;
            hide_key(app);
            let refused = encrypt(app).await.unwrap_err();
            assert!(refused.contains("ничего не изменено: файла ключа нет на месте"), "{refused}");
            fs::create_dir(key_path(app)).unwrap();
            assert!(encrypt(app).await.is_err(), "a folder is no key");
            fs::remove_dir(key_path(app)).unwrap();
            bring_key_back(app);
            let away = app.folder.path().join("away");
            fs::rename(recordings(app), &away).unwrap();
            assert!(encrypt(app).await.unwrap_err().contains("папки записей"));
            assert!(!recordings(app).exists(), "nothing is made in its place");
            fs::create_dir(recordings(app)).unwrap();
            let refused = encrypt(app).await.unwrap_err();
            assert!(refused.contains("не та папка записей"), "{refused}");
            fs::remove_dir_all(recordings(app)).unwrap();
            fs::rename(away, recordings(app)).unwrap();
            assert!(encrypt(app).await.unwrap().0);
        }

        /// Threat: new messages lie plain, and the administrator reads that they wait at their provider.
        async fn check_tells_what_becomes_of_new_messages_without_the_key(app) {
            with_key(app).await;
            a_message(app).await;
            app.run_all_jobs().await;
            app.restart(|setup| setup.storage_keys = String::new()).await;
            let printed = checked(app).await;
            assert!(printed.contains("новые остаются у оператора связи"), "{printed}");
            fs::remove_file(recordings(app).join(RECIPIENT_MARK)).unwrap();
            let printed = checked(app).await;
            assert!(printed.contains("новые пишутся без шифрования"), "{printed}");
        }

        /// Threat: another user of the machine reads the key, or the key goes with what it protects.
        async fn check_tells_of_a_key_that_others_can_have(app) {
            with_key(app).await;
            let printed = checked(app).await;
            assert!(printed.contains("✓ Сообщения и резервные копии шифруются ключом age1"), "{printed}");
            fs::set_permissions(key_path(app), fs::Permissions::from_mode(0o640)).unwrap();
            assert!(checked(app).await.contains("! Файл ключа"));
            let inside = recordings(app).join("key");
            fs::copy(key_path(app), &inside).unwrap();
            name_key(app, &inside).await;
            let printed = checked(app).await;
            assert!(printed.contains("кто унесёт её, унесёт и ключ"), "{printed}");
            fs::write(&inside, "no key").unwrap();
            assert!(checked(app).await.contains("в файле ключа нет ключа"));
        }

        /// Threat: the file is gone, nobody notices while the service runs, and with its end everything is lost.
    async fn key_file_that_vanishes_is_told_while_the_service_still_has_it(app) {
        with_key(app).await;
        a_message(app).await;
        app.run_all_jobs().await;
        hide_key(app);
        app.worker().sweep().await;
        let alarms = app.alarms().await;
        let told = "после остановки службы их не прочитает никто";
        assert!(alarms.iter().any(|it| it.kind == "recordings_key" && it.told.contains(told)), "{alarms:?}");
        assert!(!sound(app).await.is_empty(), "it still plays");
        bring_key_back(app);
        app.worker().sweep().await;
        assert!(app.alarms().await.is_empty());
    }

    async fn plain_backups_of_before_are_told_of(app) {
        let folder = backups(app);
        back_up(app).await;
        with_key(app).await;
        app.restart(|setup| setup.tables = format!("[backup]\nfolder = \"{}\"\n", folder.display())).await;
        let told = "Резервных копий без шифрования, сделанных раньше: 1";
        assert!(checked(app).await.contains(told));
        for path in backups_in(&folder).unwrap() {
            fs::remove_dir_all(path.folder).unwrap();
        }
        back_up(app).await;
        assert!(!checked(app).await.contains("Резервных копий без шифрования"));
    }

    async fn restore_is_told_the_key_of_another_machine(app) {
            with_key(app).await;
            a_message(app).await;
            app.run_all_jobs().await;
            let folder = back_up(app).await;
            let config = with_key_file(&empty(app, Engine::Sqlite, "restored").await, None);
            let file = app.folder.path().join("restored.toml");
            let text = format!(
                "[storage]\ndatabase = \"{}\"\nrecordings = \"{}\"\n",
                config.storage.database,
                config.storage.recordings.display()
            );
            config::parse(&text, None, []).unwrap();
            fs::write(&file, text).unwrap();
            let run = async |arguments: Vec<String>| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_perezvon"));
                command.args(arguments).arg("--config").arg(&file).current_dir(app.folder.path());
                let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
                (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
            };
            let (folder, key) = (folder.display().to_string(), key_path(app).display().to_string());
            for (command, backup) in [("restore", None), ("verify", Some("--backup"))] {
                let words = |last: &[&str]| {
                    let all = [command].into_iter().chain(backup).chain([folder.as_str()]).chain(last.iter().copied());
                    all.map(str::to_owned).collect::<Vec<_>>()
                };
                let (done, printed) = run(words(&[])).await;
                assert!(!done && printed.contains("--key-file"), "{printed}");
                let (done, printed) = run(words(&["--key-file", &key])).await;
                assert!(done, "{printed}");
            }
        }
    }
}

fn perezvon(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perezvon"));
    command.args(arguments).arg("--config").arg(config).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn key_new_makes_a_private_key_and_never_overwrites_one() {
    let place = tempfile::tempdir().unwrap();
    let (config, file) = (place.path().join("none.toml"), place.path().join("recordings.key"));
    fs::write(&config, "").unwrap();
    let run = || perezvon(&config, &["key", "new", file.to_str().unwrap()]).output().unwrap();
    let made = run();
    let printed = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success() && printed.contains("Сохраните копию файла отдельно"), "{printed}");
    assert!(!printed.contains("SECRET"), "the key itself is not printed");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    let again = run();
    assert!(!again.status.success() && String::from_utf8(again.stderr).unwrap().contains("уже есть и не изменён"));
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// Threat: `kill -9` in the middle leaves messages in halves, twice, or nowhere.
#[test]
fn encrypting_that_was_killed_goes_on_and_loses_nothing() {
    const MESSAGES: usize = 120;
    let place = tempfile::tempdir().unwrap();
    let [config, key, folder] = ["perezvon.toml", "recordings.key", "recordings"].map(|name| place.path().join(name));
    let text = format!(
        "[storage]\ndatabase = \"sqlite:{}\"\nrecordings = \"{}\"\nkey_file = \"{}\"\n",
        place.path().join("perezvon.db").display(),
        folder.display(),
        key.display()
    );
    fs::write(&config, text).unwrap();
    let refused = perezvon(&config, &["encrypt"]).output().unwrap();
    assert!(!refused.status.success() && !folder.exists(), "without a database this is some other folder");
    assert!(perezvon(&config, &["token", "add", "отчёты", "--role", "observer"]).output().unwrap().status.success());
    KeyFile::create(&key).unwrap();
    let name = |n: usize| folder.join(format!("2026/11/{n}.wav"));
    let voice = |n: usize| tone::wav_bytes(&tone::speech_like(500, n as u64));
    fs::create_dir_all(folder.join("2026/11")).unwrap();
    for n in 0..MESSAGES {
        fs::write(name(n), voice(n)).unwrap();
    }
    let count = || (0..MESSAGES).filter(|n| is_encrypted(&name(*n)).unwrap()).count();
    for target in [1, MESSAGES / 2] {
        let mut running = perezvon(&config, &["encrypt"]).spawn().unwrap();
        while count() < target && running.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        running.kill().unwrap();
        running.wait().unwrap();
        for n in 0..MESSAGES {
            let mut bytes = Vec::new();
            let mut reader = perezvon::recordings::Reader::open(&name(n), Some(&KeyFile::new(&key))).unwrap();
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
            assert!(bytes == voice(n), "message {n} is there once and whole");
        }
    }
    let done = perezvon(&config, &["encrypt"]).output().unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && printed.contains("Без шифрования не осталось ни одного"), "{printed}");
    assert_eq!((count(), files(&folder.join(".partial")).len()), (MESSAGES, 0));
}
