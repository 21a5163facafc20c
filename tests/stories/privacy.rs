//! Personal data: everything about one number is found and erased, and what is older than the school's terms goes by itself.
//! No caller who still waits loses anything, and reports and replays stay true.

use std::fs;
use std::path::Path;

use perezvon::app::demo::{CallPlan, Ending, HeldCall};
use perezvon::app::privacy::{self, FindArgs, ForgetArgs, RetentionArgs};
use perezvon::app::reconcile::{self, ReconcileArgs};
use perezvon::core::callback::{Action, Notes};
use perezvon::core::officer::{Actor, Role};
use perezvon::core::phone::PhoneNumber;
use perezvon::core::search::Search;
use perezvon::store::{BlockedNumber, CallFilter, Contact, ListPeriod, Snapshot, StateFilter};
use perezvon::time::SignedDuration;
use sqlx::Row;

use crate::backups::{back_up, backups, contents, drop_again, empty, here, restore};
use crate::harness::{App, Engine, Form, PARENTS, friday, stories};
use crate::replaying::{DERIVED, derived, drop_replayed, replay};

const MADINA_HASANOVA: &str = "+79281110001";
const ANOTHER: &str = "+79282220002";

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}

/// A message with its sound, and the id of its callback.
async fn message(app: &App, caller: &str) -> i64 {
    app.exchange.call(CallPlan::new(caller, PARENTS).leaving(2_000, Ending::HangsUp)).await;
    app.run_all_jobs().await;
    let waiting = app.callbacks().await;
    waiting.iter().find(|view| view.callback.callback_number == Some(number(caller))).expect("he waits").callback.id
}

async fn close(app: &App, id: i64) {
    let notes = Notes {
        summary: Some("Не видит оценки, мама Хасановой".to_owned()), ..Notes::default()
    };
    app.act_with(id, &madina(), Action::Done { note: "перезвонила Хасановой".to_owned() }, notes).await.unwrap();
}

async fn all_callbacks(app: &App) -> i64 {
    app.list(ListPeriod::All, StateFilter::All).await.len() as i64
}

async fn find(app: &App, typed: &str) -> (bool, serde_json::Value) {
    let args = FindArgs { number: typed.to_owned(), json: true };
    let mut out = Vec::new();
    let found = privacy::find(&here(app), &app.worker(), &args, app.now(), &mut out).await.unwrap();
    (found, serde_json::from_slice(&out).unwrap())
}

async fn forget(app: &App, typed: &str, dry_run: bool) -> anyhow::Result<(bool, String)> {
    let args = ForgetArgs { number: typed.to_owned(), dry_run };
    let mut out = Vec::new();
    let done = privacy::forget(&here(app), &app.worker(), &args, app.now(), &mut out).await?;
    Ok((done, String::from_utf8(out).unwrap()))
}

async fn set_terms(app: &App, terms: &str) {
    let table = format!("[retention]\n{terms}");
    app.restart(|setup| setup.tables = table).await;
}

fn advance_days(app: &App, days: i64) {
    app.clock.advance(SignedDuration::from_hours(24 * days));
}

/// The files below a folder that hold these bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

async fn callers(app: &App) -> Vec<String> {
    let rows = app.rows("SELECT caller FROM call WHERE caller IS NOT NULL ORDER BY id").await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Every table that deliveries alone decide is the same after a replay; of callbacks what no officer changes.
async fn replay_is_equal(app: &App) {
    let url = replay(app).await;
    let of_callbacks = ("callback", "SELECT line, caller, callback_number, channel FROM callback");
    for (table, query) in DERIVED.into_iter().filter(|(table, _)| *table != "callback").chain([of_callbacks]) {
        assert_eq!(derived(&url, query).await, derived(&app.database, query).await, "{table}");
    }
    drop_replayed(app, &url).await;
}

stories! {
    /// Threat: a person asks what there is about him, and gets half of it.
    async fn everything_about_a_number_is_found_in_any_spelling(app) {
        let id = message(app, MADINA_HASANOVA).await;
        close(app, id).await;
        let contact = Contact { name: "Хасанова М.".to_owned(), note: String::new() };
        app.store().set_contact(&number(MADINA_HASANOVA), contact, &madina(), "", app.now()).await.unwrap();
        let other = message(app, ANOTHER).await;
        close(app, other).await;
        let (found, all) = find(app, "8 (928) 111-00-01").await;
        assert!(found);
        for table in ["call", "voicemail", "callback", "callback_history", "contact", "delivery", "audit"] {
            assert!(all[table].as_array().is_some_and(|rows| !rows.is_empty()), "{table}: {all}");
        }
        assert_eq!(all["callback"][0]["summary"], "Не видит оценки, мама Хасановой");
        assert!(all["voicemail"][0]["name"].as_str().unwrap().ends_with(".wav"), "{all}");
        assert!(!all.to_string().contains("9282220002"), "{all}");
        let (found, nothing) = find(app, "+79283330003").await;
        assert!(!found && nothing["call"].is_null(), "{nothing}");
        let own = FindArgs { number: PARENTS.to_owned(), json: false };
        let refused = privacy::find(&here(app), &app.worker(), &own, app.now(), &mut Vec::new()).await.unwrap_err();
        assert!(refused.to_string().contains("номер линии школы"), "{refused}");
    }

    /// Threat: a number is left over in the reason why another one is blocked.
    async fn number_in_the_reason_of_another_block_is_found_and_forgotten(app) {
        let id = message(app, MADINA_HASANOVA).await;
        close(app, id).await;
        message(app, ANOTHER).await;
        let reason = "называет себя Хасановой, 8 928 111-00-01".to_owned();
        let blocked = BlockedNumber { number: number(ANOTHER), blocked_at: app.now(), by: madina(), reason };
        app.store().block(blocked, "").await.unwrap();
        let (_, all) = find(app, MADINA_HASANOVA).await;
        assert_eq!(all["blocked_number"][0]["number"], ANOTHER, "{all}");
        assert!(forget(app, MADINA_HASANOVA, false).await.unwrap().0);
        let reason = app.text("SELECT reason FROM blocked_number").await;
        assert_eq!(reason, "называет себя Хасановой, номер стёрт", "who is blocked stays so");
    }

    /// Threat: whoever is signed in carries a caller's whole history away.
    async fn file_about_a_caller_is_handed_over_by_an_admin_and_audited(app) {
        let id = message(app, MADINA_HASANOVA).await;
        close(app, id).await;
        let address = format!("/callers/{id}/personal.json");
        for role in [Role::Observer, Role::Officer, Role::Senior] {
            assert_eq!(app.browser("Ася", role).await.get(&address).await.status, 403, "{role:?}");
        }
        let mut admin = app.browser("Айшат", Role::Admin).await;
        assert!(admin.get(&format!("/callers/{id}")).await.body.contains("personal.json"));
        let file = admin.get(&address).await;
        assert_eq!((file.status, file.content_type.as_str()), (200, "application/json"));
        assert!(file.body.contains("перезвонила Хасановой"), "{}", file.body);
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'find'").await, 1);
    }

    /// Threat: a number that was erased is still in the file of the database, in its log, in a queue or in a recording.
    async fn forgotten_number_is_nowhere_any_more(app) {
        let id = message(app, MADINA_HASANOVA).await;
        let other = message(app, ANOTHER).await;
        let file = app.folder.path().join("recordings").join(&app.voicemails().await[0].sound.as_ref().unwrap().name);
        close(app, id).await;
        let note = "сестра: 8 928 111-00-01, звонить вечером".to_owned();
        app.act(other, &madina(), Action::Done { note }).await.unwrap();
        let contact = Contact { name: "Хасанова М.".to_owned(), note: String::new() };
        app.store().set_contact(&number(MADINA_HASANOVA), contact, &madina(), "", app.now()).await.unwrap();
        app.store().renew_search().await.unwrap();
        let before = app.counts().await;
        let (done, told) = forget(app, "89281110001", false).await.unwrap();
        assert!(done && told.contains("звонков 1, обращений 1, сообщений 1"), "{told}");
        app.run_all_jobs().await;
        assert!(!file.exists());
        assert!(!find(app, MADINA_HASANOVA).await.0, "{:?}", find(app, MADINA_HASANOVA).await);
        for text in ["9281110001", "928 111-00-01", "Хасанов"] {
            assert_eq!(files_with(app.folder.path(), text.as_bytes()), Vec::<String>::new(), "{text}");
        }
        for (table, rows) in app.counts().await {
            if !["audit", "meta", "job"].contains(&table) {
                assert_eq!(rows, before[table], "{table}: reports stay true");
            }
        }
        let callers = callers(app).await;
        assert_eq!(callers[1], ANOTHER);
        assert!(number(&callers[0]).is_erased(), "{callers:?}");
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'forget'").await, 1);
        let note = app.text(&format!("SELECT note FROM callback WHERE id = {other}")).await;
        assert_eq!(note, "сестра: номер стёрт, звонить вечером");
        let mut officer = app.browser("Ася", Role::Officer).await;
        for page in [format!("/callbacks?show=all&at={id}"), "/calls".to_owned(), format!("/callers/{id}")] {
            let body = officer.get(&page).await.body;
            assert!(body.contains("номер стёрт") && !body.contains(&format!("tel:{}", callers[0])), "{page}: {body}");
        }
        replay_is_equal(app).await;
    }

    /// Threat: a caller who waits is erased and never called.
    async fn caller_who_waits_is_not_forgotten(app) {
        let id = message(app, MADINA_HASANOVA).await;
        let before = contents(&app.database).await;
        let (done, told) = forget(app, MADINA_HASANOVA, false).await.unwrap();
        assert!(!done && told.contains("ещё ждёт звонка") && told.contains(&format!("/callbacks/{id}")), "{told}");
        assert_eq!(contents(&app.database).await, before);
        close(app, id).await;
        let before = contents(&app.database).await;
        let (done, told) = forget(app, MADINA_HASANOVA, true).await.unwrap();
        assert!(done && told.contains("Ничего не изменено") && told.contains("звонков 1"), "{told}");
        assert_eq!(contents(&app.database).await, before, "a dry run changes nothing");
        forget(app, MADINA_HASANOVA, false).await.unwrap();
        app.run_all_jobs().await;
        message(app, MADINA_HASANOVA).await;
        assert_eq!(callers(app).await[1], MADINA_HASANOVA, "a new call is an ordinary new call");
        assert_eq!(all_callbacks(app).await, 2);
    }

    /// Threat: an erasing that is broken off leaves two persons, or half of one.
    async fn forgetting_goes_on_where_it_was_broken_off(app) {
        let id = message(app, MADINA_HASANOVA).await;
        close(app, id).await;
        app.sql("ALTER TABLE callback_word RENAME TO callback_word_away").await;
        assert!(forget(app, MADINA_HASANOVA, false).await.is_err());
        let half = callers(app).await;
        assert!(number(&half[0]).is_erased(), "the calls were done");
        assert_eq!(app.text("SELECT caller FROM callback").await, MADINA_HASANOVA);
        app.sql("ALTER TABLE callback_word_away RENAME TO callback_word").await;
        forget(app, ANOTHER, false).await.unwrap();
        let unfinished = "SELECT COUNT(*) FROM forgotten WHERE stand_in IS NOT NULL";
        assert_eq!(app.number(unfinished).await, 1, "to forget another ends nothing of his");
        assert!(forget(app, MADINA_HASANOVA, false).await.unwrap().0);
        assert_eq!((callers(app).await, app.text("SELECT caller FROM callback").await), (half.clone(), half[0].clone()));
        assert_eq!(app.number(unfinished).await, 0);
        app.run_all_jobs().await;
    }

    /// Threat: the number comes back with a report that its provider repeats.
    async fn repeated_report_does_not_bring_a_forgotten_number_back(app) {
        let call = Form::call("CA1").from(MADINA_HASANOVA);
        app.post("voice", &call).await;
        let end = call.status("completed");
        app.post("status", &end).await;
        let id = app.callback().await.id;
        close(app, id).await;
        app.leave_the_jobs().await;
        forget(app, MADINA_HASANOVA, false).await.unwrap();
        app.post("status", &end).await;
        assert!(number(&callers(app).await[0]).is_erased());
        assert_eq!(all_callbacks(app).await, 1);
        app.leave_the_jobs().await;
    }

    /// Threat: an event of the number waits on the disk, and comes into the database after the erasing.
    async fn number_is_not_forgotten_while_an_event_of_it_waits(app) {
        app.take_the_database_away().await;
        app.post("voice", &Form::call("CA1").from(MADINA_HASANOVA)).await;
        app.bring_the_database_back().await;
        let (done, told) = forget(app, MADINA_HASANOVA, false).await.unwrap();
        assert!(!done && told.contains("ещё не внесено в базу данных"), "{told}");
        let spool = app.folder.path().join("recordings/.spool");
        let name = app.spool_names().into_iter().find(|name| name.ends_with(".json")).unwrap();
        fs::rename(spool.join(&name), spool.join(name.replace(".json", ".set_aside"))).unwrap();
        let (done, told) = forget(app, MADINA_HASANOVA, false).await.unwrap();
        assert!(done && told.contains("файлов с отложенными событиями 1"), "{told}");
        assert!(app.spool_names().iter().all(|name| !name.ends_with(".set_aside")), "{:?}", app.spool_names());
    }

    /// Threat: an old backup brings a forgotten caller back.
    async fn restored_backup_does_not_bring_a_forgotten_caller_back(app) {
        let folder = backups(app);
        let id = message(app, MADINA_HASANOVA).await;
        let other = message(app, ANOTHER).await;
        let backup = back_up(app).await;
        for id in [id, other] {
            close(app, id).await;
        }
        app.advance_minutes(5);
        let table = format!("[backup]\nfolder = \"{}\"", folder.display());
        app.restart(|setup| setup.tables = table).await;
        assert!(forget(app, MADINA_HASANOVA, false).await.unwrap().0);
        assert!(folder.join("forgotten").exists() && app.folder.path().join("recordings/.forgotten").exists());
        let config = empty(app, app.engine, "restored").await;
        let printed = restore(&config, &backup).await.unwrap();
        assert!(printed.contains("Стёрты снова те, кого стёрли после этой копии: 1"), "{printed}");
        let numbers = derived(&config.storage.database, "SELECT caller FROM callback").await;
        let numbers: Vec<String> = numbers.into_iter().map(|row| row[0].clone().unwrap()).collect();
        assert!(numbers.iter().any(|it| it == ANOTHER) && numbers.iter().all(|it| it != MADINA_HASANOVA), "{numbers:?}");
        if app.engine == Engine::Sqlite {
            let restored = app.folder.path().join("restored");
            assert_eq!(files_with(&restored, b"9281110001"), Vec::<String>::new());
        }
        let open = "SELECT line FROM callback WHERE closed_at IS NULL";
        assert_eq!(derived(&config.storage.database, open).await.len(), 1, "the other one still waits");
        drop_again(config).await;
        // Whoever called after he was forgotten is in the backups made since, and stays there.
        app.advance_minutes(5);
        message(app, MADINA_HASANOVA).await;
        let later = back_up(app).await;
        let config = empty(app, app.engine, "restored-later").await;
        restore(&config, &later).await.unwrap();
        let open = derived(&config.storage.database, "SELECT caller FROM callback WHERE closed_at IS NULL").await;
        assert_eq!(open, [[Some(MADINA_HASANOVA.to_owned())]]);
        drop_again(config).await;
        app.leave_the_jobs().await;
    }

    /// Threat: a backup of the very end of an erasing says for ever which number is whose.
    async fn erasing_that_ended_after_the_backup_is_ended_again(app) {
        let id = message(app, MADINA_HASANOVA).await;
        close(app, id).await;
        forget(app, MADINA_HASANOVA, false).await.unwrap();
        let ended = app.store().forgotten().await.unwrap();
        let stand_in = callers(app).await.remove(0);
        app.sql(&format!("UPDATE forgotten SET stand_in = '{stand_in}', forgotten_at = forgotten_at - 1")).await;
        let unended = app.store().forgotten().await.unwrap();
        for (list, unfinished) in [(&unended, 1), (&ended, 0)] {
            assert_eq!(app.store().forget_again(list, app.now(), app.now()).await.unwrap(), 0);
            assert_eq!(app.number("SELECT COUNT(*) FROM forgotten WHERE stand_in IS NOT NULL").await, unfinished);
        }
        assert_eq!(app.store().forgotten().await.unwrap(), ended);
        app.run_all_jobs().await;
    }

    /// Threat: the provider's list brings back who was erased, where a restored backup is older than his call.
    async fn list_of_the_provider_brings_no_forgotten_caller_back(app) {
        let id = message(app, MADINA_HASANOVA).await;
        close(app, id).await;
        let call_of = |caller: &str, minutes| HeldCall::new(caller, PARENTS, app.now() - SignedDuration::from_mins(minutes));
        app.exchange.hold_call(call_of(MADINA_HASANOVA, 50));
        app.exchange.hold_call(call_of(ANOTHER, 40));
        app.clock.advance(SignedDuration::from_mins(5));
        assert!(forget(app, MADINA_HASANOVA, false).await.unwrap().0);
        app.clock.advance(SignedDuration::from_mins(60));
        app.exchange.hold_call(call_of(MADINA_HASANOVA, 20));
        let args = ReconcileArgs { since: Some(app.now() - SignedDuration::from_hours(6)), provider: None, json: true };
        assert!(reconcile::run(&app.worker().reconciler(), &args, &mut Vec::new()).await.unwrap());
        let waiting: Vec<_> = app.callbacks().await.into_iter().map(|view| view.callback.caller.unwrap()).collect();
        assert_eq!(waiting, [number(ANOTHER), number(MADINA_HASANOVA)], "he has called again since");
        assert_eq!(app.count("call").await, 3);
        app.leave_the_jobs().await;
    }

    /// Threat: voices are kept without end, or the message of a caller who waits is gone before anybody heard it.
    async fn sound_goes_after_its_term_and_waiting_callers_keep_theirs(app) {
        let closed = message(app, MADINA_HASANOVA).await;
        let open = message(app, ANOTHER).await;
        close(app, closed).await;
        set_terms(app, "audio_days = 30").await;
        advance_days(app, 29);
        assert!(app.worker().retain_if_due().await.unwrap());
        let states = || async {
            let rows = app.rows("SELECT state FROM voicemail ORDER BY id").await;
            rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>()
        };
        assert_eq!(states().await, ["stored", "stored"]);
        assert!(!app.worker().retain_if_due().await.unwrap(), "once a night");
        advance_days(app, 2);
        let before = contents(&app.database).await;
        let mut out = Vec::new();
        let args = RetentionArgs { dry_run: true };
        privacy::retention(&here(app), &app.worker(), &args, &mut out).await.unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("записей без звука 1") && told.contains("Ничего не изменено"), "{told}");
        assert_eq!(contents(&app.database).await, before);
        assert!(app.worker().retain_if_due().await.unwrap());
        assert_eq!(states().await, ["erased", "stored"]);
        assert_eq!(app.number("SELECT COUNT(*) FROM voicemail WHERE peaks IS NOT NULL OR name IS NOT NULL").await, 1);
        assert_eq!(app.text("SELECT detail FROM audit WHERE action = 'retention'").await, "записей без звука 1");
        close(app, open).await;
        advance_days(app, 1);
        assert!(app.worker().retain_if_due().await.unwrap());
        assert_eq!(states().await, ["erased", "erased"]);
        assert_eq!(files_with(&app.folder.path().join("recordings"), b"RIFF"), Vec::<String>::new());
        app.run_all_jobs().await;
    }

    /// Threat: erased numbers make reports untrue, or a replay comes to other calls.
    async fn numbers_become_stable_stand_ins_and_a_replay_is_equal(app) {
        for (sid, caller) in [("CA1", MADINA_HASANOVA), ("CA2", ANOTHER), ("CA3", "anonymous")] {
            app.message_from(sid, caller).await;
        }
        app.leave_the_jobs().await;
        for view in app.callbacks().await {
            close(app, view.callback.id).await;
        }
        let contact = Contact { name: "Хасанова М.".to_owned(), note: String::new() };
        app.store().set_contact(&number(MADINA_HASANOVA), contact, &madina(), "", app.now()).await.unwrap();
        set_terms(app, "numbers_days = 30").await;
        advance_days(app, 31);
        // She called again not long ago, and he still waits.
        app.post("voice", &Form::call("CA4").from("+79283330003")).await;
        app.post("status", &Form::call("CA4").from("+79283330003").status("completed")).await;
        app.leave_the_jobs().await;
        assert!(app.worker().retain_if_due().await.unwrap());
        let first = callers(app).await;
        assert!(number(&first[0]).is_erased() && number(&first[1]).is_erased() && first[0] != first[1], "{first:?}");
        assert_eq!(first[2], "+79283330003", "whoever waits keeps his number");
        assert!(!find(app, "+79289999999").await.0);
        for text in ["9281110001", "9282220002", "Хасанов"] {
            if app.engine == Engine::Sqlite {
                assert_eq!(files_with(app.folder.path(), text.as_bytes()), Vec::<String>::new(), "{text}");
            }
        }
        assert_eq!((app.count("contact").await, app.count("callback_word").await), (0, 0));
        let filter = CallFilter { search: Some(Search::Number(number(MADINA_HASANOVA))), limit: 10, ..CallFilter::default() };
        assert!(app.store().calls(&filter).await.unwrap().entries.is_empty());
        replay_is_equal(app).await;
        let audit = app.number("SELECT COUNT(*) FROM audit WHERE action = 'retention'").await;
        advance_days(app, 1);
        assert!(app.worker().retain_if_due().await.unwrap());
        assert_eq!((callers(app).await, app.number("SELECT COUNT(*) FROM audit WHERE action = 'retention'").await), (first.clone(), audit));
        // The same number later has the same stand-in, and its owner still gets everything about it.
        app.message_from("CA5", MADINA_HASANOVA).await;
        app.leave_the_jobs().await;
        let again = app.callbacks().await.into_iter().find(|it| it.callback.callback_number == Some(number(MADINA_HASANOVA)));
        close(app, again.unwrap().callback.id).await;
        advance_days(app, 31);
        assert!(app.worker().retain_if_due().await.unwrap());
        assert_eq!(callers(app).await[3], first[0]);
        let (_, all) = find(app, MADINA_HASANOVA).await;
        assert_eq!(all["call"].as_array().unwrap().len(), 2, "{all}");
    }

    /// Threat: a run that is killed in the middle begins anew, erases twice, or never ends.
    async fn retention_goes_on_where_it_was_broken_off(app) {
        for index in 0..30 {
            let form = Form::call(&format!("CA{index}")).from(&format!("+792811100{index:02}"));
            app.post("voice", &form).await;
            app.post("status", &form.status("completed")).await;
        }
        app.leave_the_jobs().await;
        for view in app.callbacks().await {
            close(app, view.callback.id).await;
        }
        set_terms(app, "numbers_days = 10").await;
        advance_days(app, 11);
        let broken = app.number("SELECT id FROM call ORDER BY id LIMIT 1 OFFSET 25").await;
        app.sql(&format!("UPDATE call SET time_state = 'broken ' || time_state WHERE id = {broken}")).await;
        let terms = here(app).retention;
        assert!(app.worker().retain(&terms, &Actor::system(), false).await.is_err());
        // Two requests of each call: those of the twenty-sixth are in the third commit.
        let erased = |callers: Vec<String>| callers.iter().filter(|caller| number(caller).is_erased()).count();
        assert_eq!(erased(callers(app).await), 0);
        let told = app.text("SELECT detail FROM audit WHERE action = 'retention'").await;
        assert_eq!(told, "запросов операторов без номеров 40");
        app.sql(&format!("UPDATE call SET time_state = SUBSTR(time_state, 8) WHERE id = {broken}")).await;
        let counts = app.worker().retain(&terms, &Actor::system(), false).await.unwrap();
        assert_eq!((counts.deliveries, counts.calls, counts.callbacks), (20, 30, 30));
        assert_eq!(erased(callers(app).await), 30);
        assert!(app.worker().retain(&terms, &Actor::system(), false).await.unwrap().is_empty());
        replay_is_equal(app).await;
    }

    /// Threat: raw requests outlive the numbers, or those of a caller who waits are no longer good for a replay.
    async fn raw_requests_lose_their_numbers_after_their_own_term(app) {
        for (sid, caller) in [("CA1", MADINA_HASANOVA), ("CA2", ANOTHER)] {
            app.message_from(sid, caller).await;
        }
        app.leave_the_jobs().await;
        let first = app.callbacks().await.remove(0).callback.id;
        close(app, first).await;
        set_terms(app, "deliveries_days = 10").await;
        advance_days(app, 11);
        assert!(app.worker().retain_if_due().await.unwrap());
        let mut bodies = String::new();
        for delivery in app.store().deliveries_after(0).await.unwrap() {
            bodies += &String::from_utf8(delivery.body).unwrap();
        }
        assert!(!bodies.contains("9281110001") && bodies.contains("9282220002"), "{bodies}");
        assert!(bodies.contains("%2B79288328088"), "our own line stays: {bodies}");
        assert_eq!(callers(app).await, [MADINA_HASANOVA, ANOTHER], "calls keep theirs for their own term");
        let url = replay(app).await;
        assert_eq!(derived(&url, "SELECT provider_call_id FROM call").await.len(), 2);
        drop_replayed(app, &url).await;
    }

    /// Threat: what is older than the statistics reach stays, or leaves rows that name nothing.
    async fn old_calls_go_altogether_and_nothing_names_them(app) {
        let old = message(app, MADINA_HASANOVA).await;
        close(app, old).await;
        let waits = message(app, ANOTHER).await;
        set_terms(app, "statistics_years = 1").await;
        advance_days(app, 400);
        message(app, "+79283330003").await;
        let registered = app.number("SELECT last_number FROM registration").await;
        assert!(app.worker().retain_if_due().await.unwrap());
        app.run_all_jobs().await;
        advance_days(app, 1);
        app.worker().retain_if_due().await.unwrap();
        assert_eq!(callers(app).await, [ANOTHER, "+79283330003"]);
        let callbacks = app.callbacks().await;
        assert!(callbacks.len() == 2 && callbacks.iter().any(|view| view.callback.id == waits), "{callbacks:?}");
        assert_eq!(app.number("SELECT last_number FROM registration").await, registered);
        let mut snapshot = Snapshot::open(&app.database).await.unwrap();
        assert!(snapshot.dangling().await.unwrap().iter().all(|(_, count)| *count == 0));
        snapshot.release().await.unwrap().close().await;
        assert_eq!(app.number("SELECT COUNT(*) FROM delivery WHERE call_id IS NULL").await, 0);
        app.run_all_jobs().await;
    }

    /// Threat: nobody notices that the school keeps everything without end.
    async fn state_says_what_the_school_has_not_decided(app) {
        let mut admin = app.browser("Айшат", Role::Admin).await;
        let page = admin.get("/health-ui").await.body;
        assert!(page.contains("школа не решила, как долго хранить звук сообщений (audio_days)"), "{page}");
        set_terms(app, "audio_days = 90\nnumbers_days = 365\ndeliveries_days = 365\nstatistics_years = 5").await;
        let page = admin.get("/health-ui").await.body;
        assert!(page.contains("звук сообщений 90 дн.") && !page.contains("школа не решила"), "{page}");
    }

    /// Threat: callers are recorded without being told where the law wants it.
    async fn recording_notice_is_said_where_it_is_switched_on(app) {
        app.clock.set(friday("19:30"));
        let notice = "Сообщение будет записано.";
        assert!(!app.post("voice", &Form::call("CA1")).await.said().contains(notice));
        app.restart(|setup| setup.line_keys = "recording_notice = true".to_owned()).await;
        for (sid, time) in [("CA2", "19:40"), ("CA3", "12:00")] {
            app.clock.set(friday(time));
            app.post("voice", &Form::call(sid).from(ANOTHER)).await;
            let mut said = String::new();
            for path in ["dialled/0", "dialled/1"].iter().filter(|_| time == "12:00") {
                said = app.post(path, &Form::call(sid).from(ANOTHER).with("DialCallStatus", "no-answer")).await.said();
            }
            if time != "12:00" {
                said = app.post("voice", &Form::call(sid).from(ANOTHER)).await.said();
            }
            assert_eq!(said.matches(notice).count(), 1, "{time}: {said}");
        }
        app.leave_the_jobs().await;
    }
}
