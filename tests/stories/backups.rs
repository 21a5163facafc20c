//! Backups: everything that was acknowledged comes back, in either engine, and what is not whole is refused.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use perezvon::app::config::{self, Config};
use perezvon::app::demo::{CallPlan, Ending};
use perezvon::app::{backup, check};
use perezvon::core::greetings::GreetingKind;
use perezvon::core::officer::{Actor, Role};
use perezvon::jobs::backup::{MANIFEST, Manifest, backups_in};
use perezvon::recordings::tone;
use perezvon::store::{LEFT_OUT, LastBackup, NIGHTLY_BACKUP, Restoring, Snapshot, Store, StoreError};
use perezvon::time::SignedDuration;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::greetings::draft;
use crate::harness::{
    App, Engine, Form, PARENTS, at, drop_postgres_database, fresh_postgres_database, friday, stories,
};

/// Where a story's backups go.
pub fn backups(app: &App) -> PathBuf {
    app.folder.path().join("backups")
}

/// The configuration of the story with another database and folder.
fn elsewhere(app: &App, database: &str, recordings: &Path) -> Config {
    let environment = [
        ("PEREZVON_STORAGE__DATABASE".to_owned(), database.to_owned()),
        ("PEREZVON_STORAGE__RECORDINGS".to_owned(), recordings.display().to_string()),
    ];
    config::parse(&app.config_text(), None, environment).unwrap()
}

pub fn here(app: &App) -> Config {
    config::parse(&app.config_text(), None, []).unwrap()
}

/// An empty database of this engine, and a folder for its recordings.
pub async fn empty(app: &App, engine: Engine, name: &str) -> Config {
    let folder = app.folder.path().join(name);
    fs::create_dir_all(&folder).unwrap();
    let database = match engine {
        Engine::Sqlite => format!("sqlite:{}", folder.join("perezvon.db").display()),
        Engine::Postgres => fresh_postgres_database().await,
    };
    elsewhere(app, &database, &folder.join("recordings"))
}

pub async fn drop_again(config: Config) {
    if config.storage.database.starts_with("postgres") {
        drop_postgres_database(&config.storage.database).await;
    }
}

/// Makes a backup; the answer is its folder.
pub async fn back_up(app: &App) -> PathBuf {
    let mut out = Vec::new();
    let is_whole = backup::make(&here(app), &backups(app), app.now(), &mut out).await.unwrap();
    assert!(is_whole, "{}", String::from_utf8(out).unwrap());
    backups_in(&backups(app)).unwrap().pop().unwrap().folder
}

/// Restores; the answer is what was printed, or the error.
pub async fn restore(config: &Config, from: &Path) -> Result<String, String> {
    let mut out = Vec::new();
    let done = backup::restore(config, from, None, friday("20:00"), &mut out).await;
    let printed = String::from_utf8(out).unwrap();
    match done {
        Ok(true) => Ok(printed),
        Ok(false) => Err(printed),
        Err(error) => Err(error.to_string()),
    }
}

/// Name, rows and digest of every table of a database, in order. The audit is left out: it says that a backup was made, or
/// restored, after it was copied.
pub async fn contents(database: &str) -> Vec<(String, u64, [u8; 32])> {
    let mut snapshot = Snapshot::open(database).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let draining = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    let mut contents = Vec::new();
    for table in snapshot.tables.clone().into_iter().filter(|table| !table.name.starts_with("audit")) {
        let content = snapshot.read_table(&table, &sender).await.unwrap();
        contents.push((table.name, content.rows, content.digest));
    }
    drop(sender);
    draining.await.unwrap();
    snapshot.release().await.unwrap().close().await;
    contents
}

/// Messages of two callers, whose sound is here.
async fn with_messages(app: &App) {
    for caller in ["+79280000001", "+79280000002"] {
        app.exchange.call(CallPlan::new(caller, PARENTS).leaving(2_000, Ending::HangsUp)).await;
    }
    app.run_all_jobs().await;
    app.leave_the_jobs().await;
}

/// The recordings below a folder, with their bytes.
fn recordings(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fn enter(folder: &Path, root: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => enter(&path, root, found),
                // Room that the spool keeps for itself, the names of the instances that run, and whose recordings these are.
                false
                    if path.ends_with(".spool/reserve")
                        || path.ends_with(".database")
                        || path.parent().is_some_and(|it| it.ends_with(".instances")) => {}
                false => {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    found.push((name, fs::read(&path).unwrap()));
                }
            }
        }
    }
    let mut found = Vec::new();
    enter(folder, folder, &mut found);
    found.sort();
    found
}

fn text(manifest: &Manifest) -> Vec<(String, u64, [u8; 32])> {
    manifest
        .tables
        .iter()
        .filter(|entry| !entry.table.name.starts_with("audit"))
        .map(|entry| (entry.table.name.clone(), entry.rows, entry.content().digest))
        .collect()
}

fn other(engine: Engine) -> Engine {
    match engine {
        Engine::Sqlite => Engine::Postgres,
        Engine::Postgres => Engine::Sqlite,
    }
}

/// What is wrong with a backup, as the command prints it.
async fn wrong_with(folder: &Path) -> String {
    let mut out = Vec::new();
    let is_whole = backup::verify(folder, None, &mut out).await;
    let printed = String::from_utf8(out).unwrap();
    match is_whole {
        Ok(true) => String::new(),
        Ok(false) => printed,
        Err(error) => error.to_string(),
    }
}

fn change_one_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A nightly backup at three, of which so many stay.
async fn nightly(app: &App, keep: usize) {
    let folder = backups(app);
    app.restart(|setup| {
        setup.tables = format!("[backup]\nfolder = \"{}\"\nat = \"03:00\"\nkeep = {keep}\n", folder.display());
    })
    .await;
}

/// A backup by the command, which the nightly one never deletes.
async fn by_hand(app: &App) {
    back_up(app).await;
}

/// Lets the database refuse every new row of these tables, as a full one refuses all.
async fn refuse_rows_of(app: &App, tables: &[&str]) {
    if app.engine == Engine::Postgres {
        app.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$")
            .await;
    }
    for table in tables {
        let refuse = match app.engine {
            Engine::Sqlite => "BEGIN SELECT RAISE(ABORT, 'full'); END",
            Engine::Postgres => "FOR EACH ROW EXECUTE FUNCTION refuse()",
        };
        app.sql(&format!("CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} {refuse}")).await;
    }
}

/// Returns when a backup has been begun.
async fn backup_is_begun(app: &App) {
    while fs::read_dir(backups(app)).map_or(0, Iterator::count) == 0 {
        tokio::task::yield_now().await;
    }
}

stories! {
    async fn one_of_two_instances_makes_the_nightly_backup(app) {
        with_messages(app).await;
        nightly(app, 9).await;
        let (store, other) = app.second_house().await;
        let worker = app.worker();
        for day in ["21", "22", "23"] {
            app.clock.set(at(&format!("2026-11-{day}T03:00:00+03:00")));
            let (one, two) = tokio::join!(worker.back_up_if_due(), other.back_up_if_due());
            assert!(one.unwrap() ^ two.unwrap(), "{day}");
        }
        assert_eq!(backups_in(&backups(app)).unwrap().len(), 3);
        drop(other);
        store.close().await;
    }

    async fn killed_instance_leaves_its_backup_to_the_next(app) {
        with_messages(app).await;
        nightly(app, 9).await;
        let (store, other) = app.second_house().await;
        tokio::select! {
            biased;
            _ = other.back_up_if_due() => panic!("it was to be killed"),
            () = backup_is_begun(app) => {}
        }
        drop(other);
        store.close().await;
        assert!(!app.worker().back_up_if_due().await.unwrap(), "it may live");
        app.advance_minutes(10);
        assert!(app.worker().back_up_if_due().await.unwrap());
        assert_eq!(backups_in(&backups(app)).unwrap().len(), 1);
    }

    async fn restarted_instance_leaves_no_lease_of_its_former_life(app) {
        nightly(app, 9).await;
        let (store, other) = app.second_house().await;
        assert!(store.take_lease(NIGHTLY_BACKUP, app.now()).await.unwrap());
        drop(other);
        store.close().await;
        let (store, other) = app.second_house().await;
        other.resume().await.unwrap();
        assert!(app.worker().back_up_if_due().await.unwrap());
        drop(other);
        store.close().await;
    }

    async fn lease_of_a_clock_that_ran_ahead_binds_nobody(app) {
        nightly(app, 9).await;
        let (store, other) = app.second_house().await;
        for (seconds, is_made) in [(1, false), (60, false), (61, true)] {
            let ahead = app.now() + SignedDuration::from_secs(seconds);
            assert!(store.take_lease(NIGHTLY_BACKUP, ahead).await.unwrap());
            assert_eq!(app.worker().back_up_if_due().await.unwrap(), is_made, "{seconds} s");
            store.give_lease_back(NIGHTLY_BACKUP).await.unwrap();
        }
        drop(other);
        store.close().await;
    }

    async fn backup_of_a_clock_a_little_ahead_counts(app) {
        nightly(app, 9).await;
        let made_at = app.now() + SignedDuration::from_secs(30);
        let folder = backups(app).display().to_string();
        let last = LastBackup { made_at, verified_at: made_at, folder, size_bytes: 1, recordings: 0 };
        app.store().set_last_backup(&last).await.unwrap();
        assert!(!app.worker().back_up_if_due().await.unwrap());
        let metrics = app.get("/metrics").await.body;
        assert!(metrics.contains("perezvon_backup_age_seconds 0"), "{metrics}");
    }

    /// After two days the alarm that it could not take kept it from its backup, and so did a lease.
    async fn database_that_takes_nothing_gets_its_backup(app) {
        nightly(app, 9).await;
        assert!(app.worker().back_up_if_due().await.unwrap());
        refuse_rows_of(app, &["lease", "meta", "alarm"]).await;
        for (count, day) in [(2, "23"), (3, "24"), (4, "27")] {
            app.clock.set(at(&format!("2026-11-{day}T03:00:00+03:00")));
            for _ in 0..2 {
                // That it was made cannot be written down.
                let _ = app.worker().back_up_if_due().await;
                assert_eq!(backups_in(&backups(app)).unwrap().len(), count, "{day}");
            }
        }
    }

    async fn backup_under_load_is_one_consistent_picture(app) {
        with_messages(app).await;
        let load = async {
            for n in 0..60 {
                let form = Form::call(&format!("CAload{n}")).from(&format!("+7928100{n:04}"));
                app.post("voice", &form).await;
                app.post("status", &form.status("completed")).await;
            }
        };
        let (folder, ()) = tokio::join!(back_up(app), load);
        let manifest = Manifest::read(&folder).unwrap();
        assert!(manifest.dangling.values().all(|count| *count == 0), "{:?}", manifest.dangling);
        let rows = |name: &str| manifest.tables.iter().find(|entry| entry.table.name == name).unwrap().rows;
        assert!(rows("call") >= 2 && rows("call") == rows("call_key") && rows("voicemail") == 2);
        let config = empty(app, app.engine, "restored").await;
        restore(&config, &folder).await.unwrap();
        assert_eq!(contents(&config.storage.database).await, text(&manifest));
        drop_again(config).await;
        app.leave_the_jobs().await;
    }

    /// The way up from one machine to PostgreSQL, and the way back.
    async fn backup_of_one_engine_is_restored_into_the_other(app) {
        with_messages(app).await;
        draft(app, GreetingKind::Closed, 7).await;
        let callback = app.callbacks().await.remove(0).callback;
        app.store().claim_next(None, &Actor::officer(1, "Мадина «И.»\n"), &app.lines(), app.now()).await.unwrap();
        let folder = back_up(app).await;
        let live = contents(&app.database).await;
        for engine in [app.engine, other(app.engine)] {
            let config = empty(app, engine, &format!("{engine:?}")).await;
            let printed = restore(&config, &folder).await.unwrap();
            assert!(printed.contains("✓"), "{printed}");
            assert_eq!(contents(&config.storage.database).await, live, "{engine:?}");
            assert_eq!(recordings(&config.storage.recordings), recordings(&app.folder.path().join("recordings")));
            let store = Store::open(&config.storage.database, app.lines()).await.unwrap();
            assert_eq!(store.callback(callback.id).await.unwrap().unwrap().callback.received_at, callback.received_at);
            // A clock that was set back makes no id twice.
            store.raise_alarm("we_failed", "x", "x", perezvon::time::Timestamp::UNIX_EPOCH).await.unwrap();
            let newest = store.alarms().await.unwrap().iter().map(|alarm| alarm.id).max().unwrap();
            assert!(newest > callback.id, "ids go on after the newest");
            store.close().await;
            drop_again(config).await;
        }
    }

    async fn second_backup_shares_unchanged_recordings(app) {
        with_messages(app).await;
        let first = back_up(app).await;
        app.advance_minutes(60);
        app.exchange.call(CallPlan::new("+79280000003", PARENTS).leaving(2_000, Ending::HangsUp)).await;
        app.run_all_jobs().await;
        let second = back_up(app).await;
        assert_ne!(first, second);
        let (before, now) = (recordings(&first.join("recordings")), recordings(&second.join("recordings")));
        assert_eq!((before.len(), now.len()), (2, 3));
        for (name, _) in &before {
            let inode = |folder: &Path| fs::metadata(folder.join("recordings").join(name)).unwrap().ino();
            assert_eq!(inode(&first), inode(&second), "{name}");
        }
        // Bytes that went bad in the older copy are not passed on.
        change_one_byte(&second.join("recordings").join(&now[0].0));
        app.advance_minutes(60);
        let third = back_up(app).await;
        assert_eq!(wrong_with(&third).await, "");
        assert_eq!(recordings(&third.join("recordings")), now);
        app.leave_the_jobs().await;
    }

    async fn damaged_backup_is_refused_and_nothing_is_touched(app) {
        with_messages(app).await;
        let folder = back_up(app).await;
        let manifest = Manifest::read(&folder).unwrap();
        let recording = manifest.recordings().next().unwrap().1.name.clone();
        let config = empty(app, app.engine, "restored").await;
        type Damage = fn(&Path);
        let damages: [(&str, Damage); 3] = [
            ("tables/call.jsonl.gz", change_one_byte),
            (&recording, change_one_byte),
            (&recording, |path| fs::remove_file(path).unwrap()),
        ];
        for (name, damage) in damages {
            let good = fs::read(folder.join(name)).unwrap();
            damage(&folder.join(name));
            assert!(wrong_with(&folder).await.contains(name));
            let refused = restore(&config, &folder).await.unwrap_err();
            assert!(refused.contains(name) && refused.contains("ничего не изменено"), "{refused}");
            assert!(!config.storage.recordings.exists());
            fs::write(folder.join(name), good).unwrap();
        }
        let whole = fs::read(folder.join(MANIFEST)).unwrap();
        fs::write(folder.join(MANIFEST), &whole[..whole.len() / 2]).unwrap();
        assert!(restore(&config, &folder).await.unwrap_err().contains("повреждена"));
        fs::remove_file(folder.join(MANIFEST)).unwrap();
        assert!(restore(&config, &folder).await.unwrap_err().contains("не закончена"));
        fs::write(folder.join(MANIFEST), whole).unwrap();
        restore(&config, &folder).await.unwrap();
        drop_again(config).await;
    }

    async fn backup_without_the_tables_of_its_schema_is_refused(app) {
        let folder = back_up(app).await;
        let config = empty(app, app.engine, "restored").await;
        let whole = fs::read(folder.join(MANIFEST)).unwrap();
        type Change = fn(&mut Manifest);
        let changes: [Change; 7] = [
            |manifest| manifest.tables.clear(),
            |manifest| manifest.tables.retain(|entry| entry.table.name != "callback"),
            |manifest| manifest.tables.push(manifest.tables[0].clone()),
            |manifest| manifest.tables[0].table.name.push('s'),
            |manifest| manifest.schema_version = -1,
            |manifest| manifest.schema_version = 1,
            |manifest| manifest.schema_version = 999,
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut manifest: Manifest = serde_json::from_slice(&whole).unwrap();
            change(&mut manifest);
            fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
            assert_ne!(wrong_with(&folder).await, "", "{n}");
            assert!(restore(&config, &folder).await.is_err(), "{n}");
            assert!(!config.storage.recordings.exists());
        }
        fs::write(folder.join(MANIFEST), whole).unwrap();
        assert_eq!(wrong_with(&folder).await, "");
        restore(&config, &folder).await.unwrap();
        drop_again(config).await;
    }

    async fn links_in_a_backup_are_refused(app) {
        with_messages(app).await;
        let folder = back_up(app).await;
        let config = empty(app, app.engine, "restored").await;
        let recording = Manifest::read(&folder).unwrap().recordings().next().unwrap().1.name.clone();
        for name in ["tables/call.jsonl.gz", "tables", &recording, "recordings", MANIFEST] {
            let (place, elsewhere) = (folder.join(name), app.folder.path().join("moved"));
            fs::rename(&place, &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
            assert!(wrong_with(&folder).await.contains("ссылка"), "{name}");
            assert!(restore(&config, &folder).await.unwrap_err().contains("ссылка"), "{name}");
            fs::remove_file(&place).unwrap();
            fs::rename(&elsewhere, &place).unwrap();
        }
        assert_eq!(wrong_with(&folder).await, "");
        drop_again(config).await;
    }

    async fn backup_among_the_recordings_is_refused(app) {
        let recordings = app.folder.path().join("recordings");
        let link = app.folder.path().join("link");
        std::os::unix::fs::symlink(&recordings, &link).unwrap();
        for into in [recordings.clone(), recordings.join("backups/new"), link.join("backups")] {
            let refused = backup::make(&here(app), &into, app.now(), &mut Vec::new()).await.unwrap_err().to_string();
            assert!(refused.contains("лежит в папке записей"), "{refused}");
            assert!(!recordings.join("backups").exists());
            let text = format!("{}\n[backup]\nfolder = \"{}\"", app.config_text(), into.display());
            let (config, mut out) = (config::parse(&text, None, []).unwrap(), Vec::new());
            assert!(!check::run(Ok(config), app.now(), Vec::new(), &mut out).await.unwrap());
            let printed = String::from_utf8(out).unwrap();
            assert!(printed.contains("лежит в папке записей, копии в неё не делаются"), "{printed}");
        }
    }

    async fn commands_about_backups_stand_in_the_audit(app) {
        let folder = back_up(app).await;
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let of = |action| format!("SELECT object FROM audit WHERE action = '{action}' AND actor_id = 'command_line'");
        assert_eq!(app.text(&of("backup")).await, format!("backup {name}"));
        let config = empty(app, app.engine, "restored").await;
        restore(&config, &folder).await.unwrap();
        let mut restored = AnyConnection::connect(&config.storage.database).await.unwrap();
        let object: String = sqlx::query_scalar(AssertSqlSafe(of("restore"))).fetch_one(&mut restored).await.unwrap();
        assert_eq!(object, format!("backup {name}"));
        restored.close().await.unwrap();
        drop_again(config).await;
    }

    async fn restore_goes_into_an_empty_place_only(app) {
        with_messages(app).await;
        let folder = back_up(app).await;
        let before = contents(&app.database).await;
        let in_use = elsewhere(app, &app.database, &app.folder.path().join("other"));
        let refused = restore(&in_use, &folder).await.unwrap_err();
        assert!(refused.contains("не пуста") && !in_use.storage.recordings.exists(), "{refused}");
        assert_eq!(contents(&app.database).await, before);
        let config = empty(app, app.engine, "restored").await;
        fs::create_dir_all(&config.storage.recordings).unwrap();
        fs::write(config.storage.recordings.join("letter.txt"), "somebody's").unwrap();
        let refused = restore(&config, &folder).await.unwrap_err();
        assert!(refused.contains("letter.txt"), "{refused}");
        assert_eq!(recordings(&config.storage.recordings).len(), 1);
        fs::remove_file(config.storage.recordings.join("letter.txt")).unwrap();
        // A database whose schema is there and which nobody has used is empty.
        Store::open(&config.storage.database, app.lines()).await.unwrap().close().await;
        restore(&config, &folder).await.unwrap();
        let again = restore(&config, &folder).await.unwrap_err();
        assert!(again.contains("не пуст"), "{again}");
        drop_again(config).await;
    }

    async fn restore_that_was_broken_off_is_not_served_and_begins_anew(app) {
        with_messages(app).await;
        let folder = back_up(app).await;
        let manifest = Manifest::read(&folder).unwrap();
        let config = empty(app, app.engine, "restored").await;
        // It had the schema, one row and one recording.
        let mut half = Restoring::begin(&config.storage.database, manifest.schema_version).await.unwrap();
        let officer = manifest.tables.iter().find(|entry| entry.table.name == "registration").unwrap();
        half.insert(&officer.table, &[b"[2026,1]".to_vec()], 1).await.unwrap();
        drop(half);
        let (name, _) = manifest.recordings().next().unwrap();
        let recording = config.storage.recordings.join(name);
        fs::create_dir_all(recording.parent().unwrap()).unwrap();
        fs::write(&recording, "half").unwrap();
        let opened = Store::open(&config.storage.database, app.lines()).await;
        assert!(matches!(opened, Err(StoreError::UnfinishedRestore)));
        let copied = backup::make(&config, &backups(app), app.now(), &mut Vec::new()).await;
        assert!(copied.is_err(), "half a database is not copied either");
        let printed = restore(&config, &folder).await.unwrap();
        assert!(printed.contains("начато сначала"), "{printed}");
        assert_eq!(contents(&config.storage.database).await, contents(&app.database).await);
        Store::open(&config.storage.database, app.lines()).await.unwrap().close().await;
        drop_again(config).await;
    }

    /// Where nobody else has a copy any more: sound that an exchange has handed over, and deliveries that no provider repeats.
    async fn what_is_on_its_way_is_in_the_backup(app) {
        app.message_from("CA1", "+79280000001").await;
        let id = app.number("SELECT id FROM voicemail").await;
        let folder = app.folder.path().join("recordings");
        fs::create_dir_all(folder.join("arrived")).unwrap();
        fs::write(folder.join(format!("arrived/{id}.raw")), tone::wav_bytes(&tone::speech_like(2_000, 1))).unwrap();
        app.take_the_database_away().await;
        app.post("voice", &Form::call("CA2").from("+79280000002")).await;
        app.post("voice", &Form::call("CA3").from("+79280000003")).await;
        app.bring_the_database_back().await;
        // As if the first folder of the spool had been full.
        let emergency = app.folder.path().join("emergency");
        fs::create_dir_all(&emergency).unwrap();
        let spooled = app.spool_names().into_iter().find(|name| name.ends_with(".json")).unwrap();
        fs::rename(folder.join(".spool").join(&spooled), emergency.join(&spooled)).unwrap();
        let made = back_up(app).await;
        let config = empty(app, app.engine, "restored").await;
        restore(&config, &made).await.unwrap();
        let mut waiting = recordings(&folder);
        assert_eq!(waiting.len(), 2);
        waiting.push((format!(".spool/{spooled}"), fs::read(emergency.join(&spooled)).unwrap()));
        waiting.sort();
        assert_eq!(recordings(&config.storage.recordings), waiting, "the second folder of the spool too");
        drop_again(config).await;
        app.store().drain_spool(&app.clock).await;
        app.leave_the_jobs().await;
    }

    async fn lost_recording_does_not_keep_the_rest_from_the_backup(app) {
        with_messages(app).await;
        let name = app.text("SELECT name FROM voicemail ORDER BY id LIMIT 1").await;
        fs::remove_file(app.folder.path().join("recordings").join(&name)).unwrap();
        let mut out = Vec::new();
        let is_whole = backup::make(&here(app), &backups(app), app.now(), &mut out).await.unwrap();
        let printed = String::from_utf8(out).unwrap();
        assert!(!is_whole && printed.contains(&name), "{printed}");
        let folder = backups_in(&backups(app)).unwrap().pop().unwrap().folder;
        let manifest = Manifest::read(&folder).unwrap();
        assert_eq!((manifest.defects, wrong_with(&folder).await), (vec![name], String::new()));
    }

    async fn nightly_backup_is_made_at_its_time_and_the_newest_stay(app) {
        with_messages(app).await;
        nightly(app, 2).await;
        app.clock.set(friday("20:00"));
        assert!(app.worker().back_up_if_due().await.unwrap(), "the night before was missed");
        by_hand(app).await;
        fs::create_dir(backups(app).join("perezvon-photos")).unwrap();
        app.clock.set(at("2026-11-21T02:59:59+03:00"));
        assert!(!app.worker().back_up_if_due().await.unwrap());
        for day in ["21", "22", "23"] {
            app.clock.set(at(&format!("2026-11-{day}T03:00:00+03:00")));
            assert!(app.worker().back_up_if_due().await.unwrap(), "{day}");
            app.advance_minutes(1);
            assert!(!app.worker().back_up_if_due().await.unwrap(), "once a night");
        }
        let names = fs::read_dir(backups(app)).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        let [hand, old, new] = ["2026-11-20T20-00-00-2", "2026-11-22T03-00-00", "2026-11-23T03-00-00"];
        assert_eq!(names, [hand, old, new, "photos"].map(|name| format!("perezvon-{name}")));
        let page = app.browser("Завуч", Role::Admin).await.get("/health-ui").await.body;
        let line = "сегодня, 3:00, ";
        assert!(page.contains(line) && page.contains("КБ, проверена"), "{page}");
        let metrics = app.get("/metrics").await.body;
        assert!(metrics.contains("perezvon_backup_age_seconds 60"), "{metrics}");
    }

    async fn clock_that_ran_ahead_ends_no_nightly_backups(app) {
        with_messages(app).await;
        nightly(app, 2).await;
        for year in ["2036", "2037"] {
            app.clock.set(at(&format!("{year}-11-20T20:00:00+03:00")));
            assert!(app.worker().back_up_if_due().await.unwrap());
        }
        app.clock.set(friday("20:00"));
        let page = app.browser("Завуч", Role::Admin).await.get("/health-ui").await.body;
        assert!(page.contains("ещё не сделана"), "{page}");
        for day in ["20", "21", "22"] {
            app.clock.set(at(&format!("2026-11-{day}T20:00:00+03:00")));
            assert!(app.worker().back_up_if_due().await.unwrap(), "{day}");
        }
        let years = backups_in(&backups(app)).unwrap().into_iter().map(|it| it.created_at.to_string());
        assert_eq!(years.map(|at| at[..10].to_owned()).collect::<Vec<_>>(), ["2026-11-21", "2026-11-22"]);
    }

    async fn nightly_backup_that_fails_raises_an_alarm_until_one_is_good(app) {
        with_messages(app).await;
        nightly(app, 2).await;
        fs::write(backups(app), "a file where a folder should be").unwrap();
        assert!(!app.worker().back_up_if_due().await.unwrap());
        assert_eq!(app.alarm_kinds().await, ["backup"]);
        fs::remove_file(backups(app)).unwrap();
        assert!(!app.worker().back_up_if_due().await.unwrap(), "not at once");
        app.advance_minutes(15);
        assert!(app.worker().back_up_if_due().await.unwrap());
        assert_eq!(app.alarms().await.len(), 0);
        fs::rename(backups(app), app.folder.path().join("away")).unwrap();
        fs::write(backups(app), "a file where a folder should be").unwrap();
        app.advance_minutes(48 * 60 + 1);
        app.worker().back_up_if_due().await.unwrap();
        assert_eq!(app.alarm_kinds().await, ["backup", "backup"], "it failed, and the last one is too old");
        let page = app.browser("Завуч", Role::Admin).await.get("/health-ui").await.body;
        assert!(page.contains("Проверьте, доступна ли папка копий"), "{page}");
        fs::remove_file(backups(app)).unwrap();
        app.advance_minutes(15);
        assert!(app.worker().back_up_if_due().await.unwrap());
        assert_eq!(app.alarms().await.len(), 0);
    }

    /// A missed night must not cost the only copy, nor may a broken one.
    async fn failed_night_deletes_no_backup(app) {
        with_messages(app).await;
        nightly(app, 1).await;
        assert!(app.worker().back_up_if_due().await.unwrap());
        let before = backups_in(&backups(app)).unwrap().remove(0).folder;
        app.clock.set(at("2026-11-21T03:00:00+03:00"));
        app.sql("ALTER TABLE callback_word RENAME TO \"callback-word\"").await;
        assert!(!app.worker().back_up_if_due().await.unwrap());
        let after: Vec<_> = backups_in(&backups(app)).unwrap().into_iter().map(|it| it.folder).collect();
        assert_eq!(after, [before]);
        assert_eq!(fs::read_dir(backups(app)).unwrap().count(), 1, "nothing half is left");
    }

    async fn without_a_folder_the_health_page_says_there_is_no_backup(app) {
        let page = app.browser("Завуч", Role::Admin).await.get("/health-ui").await.body;
        assert!(page.contains("ночная копия не настроена"), "{page}");
        assert!(!app.worker().back_up_if_due().await.unwrap());
    }

    async fn backup_has_every_table_but_those_left_out_by_name(app) {
        let snapshot = Snapshot::open(&app.database).await.unwrap();
        let copied: Vec<String> = snapshot.tables.iter().map(|table| table.name.clone()).collect();
        snapshot.release().await.unwrap().close().await;
        let listed = match app.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            Engine::Postgres => "SELECT CAST(relname AS TEXT) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        };
        let mut there: Vec<String> = app.rows(listed).await.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        for left_out in LEFT_OUT {
            assert!(there.iter().any(|table| table == left_out), "{left_out} is no table any more");
        }
        there.retain(|table| !LEFT_OUT.contains(&table.as_str()) && table != "_sqlx_migrations");
        there.sort();
        assert_eq!(copied, there);
    }
}

/// What moves rows from one engine to the other: the same tables with the same columns in the same order.
#[tokio::test]
async fn both_engines_have_the_same_columns() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("perezvon.db").display());
    let postgres = fresh_postgres_database().await;
    let mut tables = Vec::new();
    for url in [&sqlite, &postgres] {
        let lines = config::parse("", None, []).unwrap().lines;
        Store::open(url, lines).await.unwrap().close().await;
        let snapshot = Snapshot::open(url).await.unwrap();
        tables.push(snapshot.tables.clone());
        snapshot.release().await.unwrap().close().await;
    }
    assert!(tables[0].len() > 20);
    assert_eq!(tables[0], tables[1]);
    drop_postgres_database(&postgres).await;
}

/// The real program, killed while it copies: nothing there has the name of a backup, and the next one cleans up.
#[test]
fn killed_backup_leaves_nothing_that_looks_whole() {
    use std::process::{Command, Stdio};
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let config = at("perezvon.toml");
    let text = format!(
        "[storage]\ndatabase = \"sqlite:{}\"\nrecordings = \"{}\"\n",
        at("perezvon.db").display(),
        at("recordings").display()
    );
    fs::write(&config, text).unwrap();
    let perezvon = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perezvon"));
        command.args(["--config", config.to_str().unwrap()]).args(words).stdout(Stdio::null());
        command
    };
    let add = ["officer", "add", "Зарема", "--login", "zarema", "--role", "admin"];
    assert!(perezvon(&add).status().unwrap().success(), "the database is made");
    // A pipe that nobody writes to: reading it never ends.
    fs::create_dir_all(at("recordings/.late")).unwrap();
    let pipe = at("recordings/.late/1.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let into = at("backups");
    let left = || fs::read_dir(&into).map_or(0, Iterator::count);
    let mut killed = perezvon(&["backup", into.to_str().unwrap()]).spawn().unwrap();
    while left() == 0 {
        std::thread::yield_now();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(backups_in(&into).unwrap().is_empty() && left() == 1);
    fs::remove_file(pipe).unwrap();
    assert!(perezvon(&["backup", into.to_str().unwrap()]).status().unwrap().success());
    assert_eq!((backups_in(&into).unwrap().len(), left()), (1, 1));
    let folder = backups_in(&into).unwrap().remove(0).folder;
    assert!(perezvon(&["verify", "--backup", folder.to_str().unwrap()]).status().unwrap().success());
}
