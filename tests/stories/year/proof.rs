//! A ledger that cannot fail proves nothing: after a good month each of its rules is broken, one at a time.

use perezvon::core::callback::{Action, Notes};
use perezvon::core::officer::Actor;
use perezvon::jobs::client_builder;
use perezvon::store::JobKind;

use super::dialogue::Callback;
use super::ledger::{self, Rule};
use super::provider::ProviderRecording;
use super::{Settings, Year};
use crate::harness::{ACCOUNT, App};

const MONTH: Settings = Settings { seed: 5, calls: 60, days: 30, has_faults: false };

/// One change of the tables, and the rule that must notice it.
const CHANGES: [(Rule, &str); 9] = [
    // A call is hidden from the log, or stands there twice, or nobody made it.
    (Rule::LoggedOnce, "DELETE FROM call WHERE id = (SELECT MAX(id) FROM call)"),
    (
        Rule::LoggedOnce,
        "UPDATE call SET provider_call_id = (SELECT provider_call_id FROM call ORDER BY id LIMIT 1)
         WHERE id = (SELECT MAX(id) FROM call)",
    ),
    (Rule::NothingInvented, "UPDATE call SET provider_call_id = 'CA-nobody' WHERE id = (SELECT MAX(id) FROM call)"),
    (Rule::MessageStored, "UPDATE voicemail SET state = 'pending' WHERE id = (SELECT MAX(id) FROM voicemail)"),
    (
        Rule::HasCallback,
        "UPDATE call SET callback_id = NULL WHERE id = (SELECT MAX(id) FROM call WHERE callback_id IS NOT NULL)",
    ),
    (Rule::DueInTime, "UPDATE callback SET due_at = due_at + 604800000 WHERE id = (SELECT MAX(id) FROM callback)"),
    (Rule::NotPutAway, "UPDATE callback SET closed_at = 1 WHERE id = (SELECT MAX(id) FROM callback)"),
    (
        Rule::NobodyWithoutNeed,
        "UPDATE call SET callback_id = (SELECT MAX(id) FROM callback)
         WHERE id = (SELECT MAX(id) FROM call WHERE callback_id IS NULL)",
    ),
    (
        Rule::ListedOnce,
        "UPDATE callback SET state = 'open', closed_at = NULL, line = 'staff', caller = '+79280000999', dial_number = NULL
         WHERE id IN (SELECT id FROM callback ORDER BY id LIMIT 2)",
    ),
];

pub async fn every_rule_fails(app: &App) {
    let mut year = Year::begin(app, MONTH).await;
    year.run().await;
    assert_is_good(&mut year).await;
    for (rule, change) in CHANGES {
        for table in ["call", "callback", "voicemail"] {
            app.sql(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
        }
        app.sql(change).await;
        assert_is_broken(&mut year, rule).await;
        for table in ["call", "callback", "voicemail"] {
            app.sql(&format!("DELETE FROM {table}")).await;
            app.sql(&format!("INSERT INTO {table} SELECT * FROM saved_{table}")).await;
            app.sql(&format!("DROP TABLE saved_{table}")).await;
        }
        assert_is_good(&mut year).await;
    }
    a_changed_byte_is_noticed(&mut year).await;
    an_early_deletion_is_noticed(&mut year).await;
    two_telephones_are_noticed(&mut year).await;
    year.deliver(Callback::astray()).await;
    assert_is_broken(&mut year, Rule::CallerHearsNoFault).await;
    app.store().plan_job(JobKind::ReconcileCall, 1, app.now()).await.unwrap();
    assert_is_broken(&mut year, Rule::NoJobLeft).await;
    app.leave_the_jobs().await;
    std::fs::write(app.folder.path().join("recordings/.spool/1.json"), "").unwrap();
    assert_is_broken(&mut year, Rule::SpoolEmpty).await;
    year.provider.close().await;
}

async fn assert_is_good(year: &mut Year<'_>) {
    let (_, broken) = ledger::audit(year).await;
    assert!(broken.is_empty(), "{broken:?}");
}

async fn assert_is_broken(year: &mut Year<'_>, rule: Rule) {
    let (_, broken) = ledger::audit(year).await;
    assert!(broken.iter().any(|broken| broken.rule == rule), "{rule:?} notices nothing: {broken:?}");
    year.violations.clear();
}

async fn a_changed_byte_is_noticed(year: &mut Year<'_>) {
    let name = year.app.text("SELECT name FROM voicemail WHERE state = 'stored' ORDER BY id LIMIT 1").await;
    let path = year.app.folder.path().join("recordings").join(name);
    let whole = std::fs::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[100] ^= 1;
    std::fs::write(&path, changed).unwrap();
    assert_is_broken(year, Rule::MessageStored).await;
    std::fs::write(&path, whole).unwrap();
    assert_is_good(year).await;
}

/// Somebody with our password deletes a recording that we do not hold.
async fn an_early_deletion_is_noticed(year: &mut Year<'_>) {
    let now = year.app.now();
    year.provider.records().insert_recording(ProviderRecording {
        sid: "RE-early".to_owned(),
        call_sid: "CA-early".to_owned(),
        started_at: now,
        length_ms: 600,
        ready_at: now,
        cuts: 0,
        is_lost: false,
        answers: 0,
        listed_at: None,
        deleted_at: None,
    });
    let url = format!("{}/Accounts/{ACCOUNT}/Recordings/RE-early.json", year.provider.api_base);
    let client = client_builder().build().unwrap();
    assert_eq!(client.delete(url).send().await.unwrap().status(), 204);
    assert_is_broken(year, Rule::DeletedWhenHeld).await;
    year.provider.records().deleted_early.clear();
    assert_is_good(year).await;
}

/// A claim is taken from its officer while he talks.
async fn two_telephones_are_noticed(year: &mut Year<'_>) {
    let (app, now) = (year.app, year.app.now());
    let id = app.number("SELECT MAX(id) FROM callback WHERE dial_number IS NOT NULL").await;
    app.sql(&format!("UPDATE callback SET state = 'open', closed_at = NULL WHERE id = {id}")).await;
    for officer in [0, 1] {
        let by = Actor::officer(officer, "Специалист");
        let dialled = app.store().act(id, None, Action::Dial, Notes::default(), &by, &app.lines(), now).await.unwrap();
        year.telephone_rings(officer as usize, &dialled);
        app.sql(&format!("UPDATE callback SET until_at = 1 WHERE id = {id}")).await;
    }
    assert_is_broken(year, Rule::OneDialsAtATime).await;
}
