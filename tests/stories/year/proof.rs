//! A ledger that cannot fail proves nothing: after a good month each clause of each of its rules is broken, one at a time.

use std::collections::BTreeSet;
use std::path::PathBuf;

use perezvon::core::callback::{Action, Notes};
use perezvon::core::officer::Actor;
use perezvon::jobs::client_builder;
use perezvon::store::{JobKind, ListPeriod};
use perezvon::time::{SignedDuration, Timestamp};

use super::callers::{Call, Network};
use super::changes::{CHANGES, TABLES};
use super::dialogue::{Callback, Content, is_document};
use super::ledger::{self, Rule};
use super::lists::{self, Listed};
use super::oddities::Oddity;
use super::provider::ProviderRecording;
use super::sounds::Sound;
use super::{Settings, Year, calendar};
use crate::harness::{ACCOUNT, Answer, App, Form};

const MONTH: Settings = Settings { seed: 5, calls: 60, days: 30, has_faults: false, odd_per_mille: 0 };

pub async fn every_rule_fails(app: &App) {
    let mut year = Year::begin(app, MONTH).await;
    year.run().await;
    assert_is_good(&mut year).await;
    for (rule, change) in CHANGES {
        save_tables(app).await;
        for statement in change.split(';') {
            app.sql(statement).await;
        }
        assert_is_broken(&mut year, rule, change).await;
        restore_tables(app).await;
    }
    assert_is_good(&mut year).await;
    messages_are_compared_with_the_provider(&mut year).await;
    other_sounds_are_told_from_each_other(&mut year).await;
    early_deletions_are_noticed(&mut year).await;
    promises_are_those_of_the_own_call(&mut year).await;
    late_news_is_waited_for(&mut year).await;
    lists_are_read(&mut year).await;
    two_telephones_are_noticed(&mut year).await;
    faults_are_heard(&mut year).await;
    nameless_callers_are_looked_for(&mut year).await;
    leftovers_are_found(&mut year).await;
    year.provider.close().await;
}

async fn save_tables(app: &App) {
    for table in TABLES {
        app.sql(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
    }
}

async fn restore_tables(app: &App) {
    for table in TABLES {
        app.sql(&format!("DELETE FROM {table}")).await;
        app.sql(&format!("INSERT INTO {table} SELECT * FROM saved_{table}")).await;
        app.sql(&format!("DROP TABLE saved_{table}")).await;
    }
}

async fn assert_is_good(year: &mut Year<'_>) {
    let (_, broken) = ledger::audit(year).await;
    assert!(broken.is_empty(), "{broken:?}");
}

async fn assert_is_broken(year: &mut Year<'_>, rule: Rule, how: &str) {
    let (_, broken) = ledger::audit(year).await;
    assert!(broken.iter().any(|broken| broken.rule == rule), "{rule:?} does not notice: {how}\n{broken:?}");
    year.violations.clear();
}

/// The newest message that is stored: the provider's id, and its file.
async fn stored_message(year: &Year<'_>) -> (String, PathBuf) {
    let app = year.app;
    let newest = "FROM voicemail WHERE state = 'stored' ORDER BY id DESC LIMIT 1";
    let name = app.text(&format!("SELECT name {newest}")).await;
    (app.text(&format!("SELECT recording_id {newest}")).await, app.folder.path().join("recordings").join(name))
}

async fn raise_alarm(app: &App, kind: &str) {
    app.sql(&format!(
        "INSERT INTO alarm (id, kind, subject, told, raised_at)
         SELECT 1, '{kind}', CAST(MAX(id) AS TEXT), '', 1 FROM voicemail WHERE state IN ('stored', 'failed')"
    ))
    .await;
}

async fn messages_are_compared_with_the_provider(year: &mut Year<'_>) {
    let app = year.app;
    let (sid, path) = stored_message(year).await;
    let whole = std::fs::read(&path).unwrap();
    let good = year.provider.records().recording(&sid).cloned().unwrap();
    let mut changed = whole.clone();
    changed[100] ^= 1;
    std::fs::write(&path, changed).unwrap();
    assert_is_broken(year, Rule::MessageStored, "a changed byte").await;
    std::fs::write(&path, &whole).unwrap();

    let set = |year: &Year<'_>, change: &dyn Fn(&mut ProviderRecording)| {
        change(year.provider.records().recording_mut(&sid).expect("it was recorded"));
    };
    set(year, &|recording| recording.deleted_at = None);
    assert_is_broken(year, Rule::MessageStored, "not deleted at the provider").await;
    save_tables(app).await;
    std::fs::write(&path, good.half(&whole)).unwrap();
    raise_alarm(app, "recording_damaged").await;
    assert_is_broken(year, Rule::MessageStored, "half a file, though the provider has the whole one").await;
    set(year, &|recording| recording.cuts = u32::MAX);
    assert_is_good(year).await;
    app.sql("DELETE FROM alarm").await;
    assert_is_broken(year, Rule::MessageStored, "half a file without an alarm").await;
    raise_alarm(app, "recording_unmeasured").await;
    assert_is_broken(year, Rule::MessageStored, "half a file with the alarm of another fault").await;
    app.sql("DELETE FROM alarm").await;
    std::fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    raise_alarm(app, "recording_damaged").await;
    assert_is_broken(year, Rule::MessageStored, "less than the provider has").await;
    std::fs::write(&path, &whole).unwrap();
    restore_tables(app).await;

    save_tables(app).await;
    set(year, &|recording| *recording = ProviderRecording { is_lost: true, deleted_at: None, ..good.clone() });
    app.sql("UPDATE voicemail SET state = 'failed' WHERE id = (SELECT MAX(id) FROM voicemail WHERE state = 'stored')")
        .await;
    assert_is_broken(year, Rule::MessageStored, "a lost message without an alarm").await;
    raise_alarm(app, "recording_lost").await;
    assert_is_good(year).await;
    set(year, &|recording| recording.is_lost = false);
    assert_is_broken(year, Rule::MessageStored, "given up, though the provider has it").await;
    set(year, &|recording| *recording = good.clone());
    restore_tables(app).await;
    assert_is_good(year).await;
}

/// Which file is to be kept, which alarm there has to be and which original must stay, by the kind of sound.
async fn other_sounds_are_told_from_each_other(year: &mut Year<'_>) {
    let app = year.app;
    let (sid, path) = stored_message(year).await;
    let good = year.provider.records().recording(&sid).cloned().unwrap();
    let whole = std::fs::read(&path).unwrap();
    save_tables(app).await;
    raise_alarm(app, "recording_unmeasured").await;
    assert_is_broken(year, Rule::MessageStored, "an alarm for a healthy message").await;
    app.sql("DELETE FROM alarm").await;

    let become_of = |year: &Year<'_>, sound, deleted_at| {
        let recording = ProviderRecording { sound, deleted_at, ..good.clone() };
        std::fs::write(&path, recording.sent()).unwrap();
        *year.provider.records().recording_mut(&sid).unwrap() = recording;
    };
    become_of(year, Sound::Streamed(0), good.deleted_at);
    assert_is_broken(year, Rule::MessageStored, "a file with no length in its header").await;
    std::fs::write(&path, &whole).unwrap();
    assert_is_good(year).await;

    become_of(year, Sound::Unknown(b"#!AMR\n"), None);
    assert_is_broken(year, Rule::MessageStored, "unmeasured without an alarm").await;
    raise_alarm(app, "recording_unmeasured").await;
    assert_is_good(year).await;
    std::fs::write(&path, &whole).unwrap();
    assert_is_broken(year, Rule::MessageStored, "unmeasured, and not as it came").await;
    become_of(year, Sound::Unknown(b"#!AMR\n"), good.deleted_at);
    assert_is_broken(year, Rule::MessageStored, "unmeasured, and its original deleted").await;
    become_of(year, Sound::Wav, good.deleted_at);
    restore_tables(app).await;
    assert_is_good(year).await;
    too_large_is_no_loss(year, &good).await;
}

/// A message over the limit stays at its provider, and an alarm says so.
async fn too_large_is_no_loss(year: &mut Year<'_>, good: &ProviderRecording) {
    let app = year.app;
    save_tables(app).await;
    app.sql("UPDATE voicemail SET state = 'failed' WHERE id = (SELECT MAX(id) FROM voicemail WHERE state = 'stored')")
        .await;
    let set = |year: &Year<'_>, deleted_at| {
        let recording = ProviderRecording { sound: Sound::TooLarge, deleted_at, ..good.clone() };
        *year.provider.records().recording_mut(&good.sid).unwrap() = recording;
    };
    set(year, None);
    assert_is_broken(year, Rule::MessageStored, "too large without an alarm").await;
    raise_alarm(app, "recording_lost").await;
    assert_is_good(year).await;
    set(year, good.deleted_at);
    assert_is_broken(year, Rule::MessageStored, "too large, and its original deleted").await;
    *year.provider.records().recording_mut(&good.sid).unwrap() = good.clone();
    restore_tables(app).await;
    assert_is_good(year).await;
}

/// Somebody with our password deletes a recording that we do not hold, or not whole.
async fn early_deletions_are_noticed(year: &mut Year<'_>) {
    let (app, now) = (year.app, year.app.now());
    let (sid, path) = stored_message(year).await;
    let good = year.provider.records().recording(&sid).cloned().unwrap();
    let unknown = ProviderRecording { sid: "RE-early".to_owned(), deleted_at: None, ..good.clone() };
    year.provider.records().insert_recording(unknown);
    delete_at_provider(year, "RE-early").await;
    assert_is_broken(year, Rule::DeletedWhenHeld, "deleted, and no row says that we have it").await;
    year.provider.records().deleted_early.clear();

    let whole = std::fs::read(&path).unwrap();
    save_tables(app).await;
    let id = app.number("SELECT MAX(id) FROM voicemail WHERE state = 'stored'").await;
    app.store().plan_job(JobKind::DeleteRecording, id, now).await.unwrap();
    for held in [good.half(&whole), &whole[..]] {
        std::fs::write(&path, held).unwrap();
        year.provider.records().recording_mut(&sid).unwrap().deleted_at = None;
        delete_at_provider(year, &sid).await;
        let early = std::mem::take(&mut year.provider.records().deleted_early);
        assert_eq!(early.is_empty(), held.len() == whole.len(), "{early:?}");
    }
    restore_tables(app).await;
    *year.provider.records().recording_mut(&sid).unwrap() = good;
    assert_is_good(year).await;
}

async fn delete_at_provider(year: &Year<'_>, sid: &str) {
    let url = format!("{}/Accounts/{ACCOUNT}/Recordings/{sid}.json", year.provider.api_base);
    assert_eq!(client_builder().build().unwrap().delete(url).send().await.unwrap().status(), 204);
}

/// An entry that is due when its call was heard of.
async fn promises_are_those_of_the_own_call(year: &mut Year<'_>) {
    let app = year.app;
    let sid = app
        .text(
            "SELECT provider_call_id FROM call WHERE callback_id IN (
                 SELECT callback_id FROM call GROUP BY callback_id HAVING COUNT(*) = 1) ORDER BY id DESC LIMIT 1",
        )
        .await;
    let index = year.calls.iter().position(|call| call.sid == sid).unwrap();
    let good = year.calls[index].clone();
    let later = good.started_at + SignedDuration::from_hours(10 * 24);
    let due_at = calendar::due_at(later).as_millisecond();
    save_tables(app).await;
    app.sql(&format!(
        "UPDATE callback SET due_at = {due_at}
         WHERE id = (SELECT callback_id FROM call WHERE provider_call_id = '{sid}')"
    ))
    .await;
    year.calls[index].heard_at = Some(later);
    assert_is_broken(year, Rule::DueInTime, "due since it was heard of").await;
    restore_tables(app).await;
    year.calls[index] = good;
    assert_is_good(year).await;
}

/// Whoever's message became known after his entry was closed has another one; this one here was known in time.
async fn late_news_is_waited_for(year: &mut Year<'_>) {
    let app = year.app;
    let row = "SELECT call.provider_call_id, callback.closed_at FROM call
               JOIN callback ON callback.id = call.callback_id
               WHERE call.outcome = 'voicemail' AND callback.closed_at IS NOT NULL ORDER BY call.id DESC LIMIT 1";
    let sid = app.text(row).await;
    let index = year.calls.iter().position(|call| call.sid == sid).unwrap();
    let good = year.calls[index].clone();
    let heard_at = app.now();
    year.calls[index].message_heard_at = Some(heard_at);
    let recording = good.messages[0].clone();
    let listed_at = year.provider.records().recording_mut(&recording).unwrap().listed_at.take();
    assert_is_broken(year, Rule::NotPutAway, "closed before the message was known").await;
    year.provider.records().recording_mut(&recording).unwrap().listed_at = listed_at;
    year.calls[index] = good;
    assert_is_good(year).await;
}

async fn lists_are_read(year: &mut Year<'_>) {
    let app = year.app;
    let id = app.number("SELECT MAX(id) FROM callback WHERE dial_number IS NOT NULL").await;
    let closed = app.store().callback(id).await.unwrap().unwrap().callback;
    save_tables(app).await;
    app.sql(&format!("UPDATE callback SET state = 'open', closed_at = NULL WHERE id = {id}")).await;
    let waiting = app.store().callback(id).await.unwrap().unwrap().callback;
    year.waiting.handled(&waiting, app.now());
    assert_is_good(year).await;
    restore_tables(app).await;
    assert_is_broken(year, Rule::ListOfThePeriod, "closed, and not by an officer").await;
    year.waiting.handled(&closed, app.now());
    assert_is_good(year).await;

    save_tables(app).await;
    app.sql(
        "UPDATE callback SET state = 'open', closed_at = NULL
         WHERE id IN (SELECT MAX(id) FROM callback WHERE dial_number IS NOT NULL GROUP BY line, dial_number)",
    )
    .await;
    let (good, now) = (year.list(ListPeriod::All).await, app.now());
    let expected: BTreeSet<i64> = good.iter().map(|entry| entry.id).collect();
    assert!(good[0].due_at < good[good.len() - 1].due_at, "{good:?}");
    assert!(lists::faults(&good, &expected, now).is_empty(), "{good:?}");
    let rule_of =
        |listed: &[Listed], now| lists::faults(listed, &expected, now).into_iter().next().map(|found| found.rule);
    let twice: Vec<_> = good.iter().chain(good.last()).cloned().collect();
    assert_eq!(rule_of(&twice, now), Some(Rule::ListedOnce));
    let backwards: Vec<_> = good.iter().rev().cloned().collect();
    assert_eq!(rule_of(&backwards, now), Some(Rule::ListOfThePeriod), "among those who are overdue");
    let between = Timestamp::from_millisecond(good[0].due_at + 1).unwrap();
    assert_eq!(rule_of(&backwards, between), Some(Rule::ListOfThePeriod), "overdue behind those who are not");
    assert_eq!(rule_of(&good[1..], now), Some(Rule::ListOfThePeriod), "one is missing");
    restore_tables(app).await;
    assert_is_good(year).await;
}

/// A claim is taken from its officer while he talks.
async fn two_telephones_are_noticed(year: &mut Year<'_>) {
    let (app, now) = (year.app, year.app.now());
    save_tables(app).await;
    let id = app.number("SELECT MAX(id) FROM callback WHERE dial_number IS NOT NULL").await;
    app.sql(&format!("UPDATE callback SET state = 'open', closed_at = NULL WHERE id = {id}")).await;
    for officer in [0, 1] {
        let by = Actor::officer(officer, "Специалист");
        let dialled = app.store().act(id, None, Action::Dial, Notes::default(), &by, &app.lines(), now).await.unwrap();
        year.telephone_rings(officer as usize, &dialled);
        app.sql(&format!("UPDATE callback SET until_at = 1 WHERE id = {id}")).await;
    }
    assert_is_broken(year, Rule::OneDialsAtATime, "two officers dial one number").await;
    restore_tables(app).await;
    assert_is_good(year).await;
}

/// Whoever is connected hears no document, or a callback gets no good answer.
async fn faults_are_heard(year: &mut Year<'_>) {
    let call = year.calls.iter().position(|call| call.network == Network::Good).unwrap();
    year.deliver(Callback::astray(call)).await;
    assert_is_broken(year, Rule::CallerHearsNoFault, "a callback that is not understood").await;
    year.ask(call, "nowhere", &Form::call("CA-astray"), Content::Nothing).await;
    assert_is_broken(year, Rule::CallerHearsNoFault, "a caller who gets no document").await;
    assert_is_good(year).await;
    let answer = |status, content_type: &str, body: &str| {
        is_document(&Answer { status, content_type: content_type.to_owned(), body: body.to_owned() })
    };
    assert!(answer(200, "text/xml; charset=utf-8", "<Response><Record/></Response>"));
    assert!(!answer(500, "text/xml", "<Response><Record/></Response>"));
    assert!(!answer(200, "text/html", "<Response><Record/></Response>"));
    assert!(!answer(200, "text/xml", "<Response/>"));
}

/// Whoever called without an id is in the log, in the inbox and on the list.
async fn nameless_callers_are_looked_for(year: &mut Year<'_>) {
    let app = year.app;
    let is_seen = |call: &Call| call.network == Network::Good && call.number.is_some() && call.line == "parents";
    let call = year.calls.iter().position(is_seen).unwrap();
    year.calls[call].oddity = Some(Oddity::NoId);
    let form = Form::call("CA1").from(&year.calls[call].from).to(&year.calls[call].to);
    assert!(year.ask(call, "voice", &form, Content::Nothing).await.is_some());
    year.calls[call].oddity = None;
    assert_is_good(year).await;
    let newest = "(SELECT MAX(id) FROM call WHERE provider_call_id LIKE 'sha256-%')";
    for (rule, change) in [
        (Rule::LoggedOnce, format!("DELETE FROM call WHERE id = {newest}")),
        (Rule::AcknowledgedIsKept, format!("DELETE FROM delivery WHERE call_id = {newest}")),
        (Rule::HasCallback, format!("UPDATE call SET callback_id = NULL WHERE id = {newest}")),
        (
            Rule::ListOfThePeriod,
            format!(
                "UPDATE callback SET state = 'done', closed_at = 4000000000000
                 WHERE id = (SELECT callback_id FROM call WHERE id = {newest})"
            ),
        ),
    ] {
        save_tables(app).await;
        app.sql(&change).await;
        assert_is_broken(year, rule, &change).await;
        restore_tables(app).await;
    }
    assert_is_good(year).await;
}

async fn leftovers_are_found(year: &mut Year<'_>) {
    let app = year.app;
    save_tables(app).await;
    app.store().plan_job(JobKind::ReconcileCall, 1, app.now()).await.unwrap();
    assert_is_broken(year, Rule::NoJobLeft, "a job that waits").await;
    app.sql("UPDATE job SET given_up_at = 1").await;
    assert_is_broken(year, Rule::NoJobLeft, "a job that was given up, and not of a lost message").await;
    let id = app.number("SELECT MAX(id) FROM voicemail").await;
    app.sql(&format!("UPDATE voicemail SET state = 'failed' WHERE id = {id}")).await;
    app.sql(&format!("UPDATE job SET kind = 'fetch_recording', subject = {id}, leased_until = 1")).await;
    assert_is_broken(year, Rule::NoJobLeft, "a job that is leased for ever").await;
    restore_tables(app).await;
    assert_is_good(year).await;

    let file = app.folder.path().join("recordings/.spool/1.json");
    std::fs::write(&file, "").unwrap();
    assert_is_broken(year, Rule::SpoolEmpty, "a file in the spool").await;
    std::fs::remove_file(&file).unwrap();
    app.take_the_database_away().await;
    app.block_the_spool();
    assert_eq!(app.post("status", &Form::call("CA-memory").status("completed")).await.status, 503);
    app.unblock_the_spool();
    app.bring_the_database_back().await;
    assert_is_broken(year, Rule::SpoolEmpty, "a delivery in memory").await;
}
