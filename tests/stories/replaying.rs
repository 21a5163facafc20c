//! All that was ever delivered, applied once more to an empty database, on the other engine: the same calls, messages and
//! callbacks.

use std::collections::BTreeSet;

use perezvon::app::demo::{CallPlan, Ending, HeldCall, Numbers, Purpose, friday_evening};
use perezvon::app::{config, replay};
use perezvon::core::calendar::HoursStep;
use perezvon::core::callback::Action;
use perezvon::core::line::LineId;
use perezvon::core::officer::Actor;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use crate::harness::{App, Engine, Form, PARENTS, drop_postgres_database, fresh_postgres_database, friday, stories};

/// What deliveries alone decide, without the ids of rows.
pub const DERIVED: [(&str, &str); 5] = [
    (
        "delivery",
        "SELECT provider, endpoint, method, target, content_type, CAST(LENGTH(body) AS TEXT), CAST(received_at AS TEXT)
         FROM delivery",
    ),
    (
        "call_key",
        "SELECT call_key.provider, call_key.provider_call_id FROM call_key JOIN call ON call.id = call_key.call_id",
    ),
    (
        "call",
        "SELECT provider, provider_call_id, direction, dialled, forwarded_from, caller, caller_raw, line,
             CAST(started_at AS TEXT), CAST(answered_at AS TEXT), CAST(ended_at AS TEXT), ringing,
             CAST(talk_seconds AS TEXT), keyed_digits, CAST(keyed_at AS TEXT), CAST(message_over_at AS TEXT), recordings,
             outcome, day_rule, time_state, calendar_version, CAST(promise_starts_at AS TEXT),
             CAST(promise_ends_at AS TEXT), CAST(waiting_since AS TEXT), CAST(restored_at AS TEXT),
             CASE WHEN callback_id IS NULL THEN 'no callback' ELSE 'a callback' END
         FROM call",
    ),
    (
        "voicemail",
        "SELECT call.provider_call_id, voicemail.recording_id, voicemail.url, CAST(voicemail.received_at AS TEXT),
             CAST(voicemail.provider_seconds AS TEXT)
         FROM voicemail JOIN call ON call.id = voicemail.call_id",
    ),
    (
        "callback",
        "SELECT line, caller, callback_number, channel, CAST(received_at AS TEXT), CAST(period_starts_at AS TEXT),
             CAST(period_ends_at AS TEXT), CAST(due_at AS TEXT), CAST(term_due_at AS TEXT), state,
             CAST(version AS TEXT), CAST((SELECT COUNT(*) FROM call WHERE call.callback_id = callback.id) AS TEXT)
         FROM callback",
    ),
];

/// The rows of a query, each as texts, in an order that does not depend on the engine.
pub async fn derived(database: &str, query: &str) -> Vec<Vec<Option<String>>> {
    let mut connection = AnyConnection::connect(database).await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
    let mut rows: Vec<Vec<Option<String>>> =
        rows.iter().map(|row| (0..row.len()).map(|column| row.get(column)).collect()).collect();
    rows.sort();
    connection.close().await.unwrap();
    rows
}

/// Replays into the other engine; the answer is the address of that database.
pub async fn replay(app: &App) -> String {
    let url = match app.engine {
        Engine::Postgres => format!("sqlite:{}", app.folder.path().join("replayed.db").display()),
        Engine::Sqlite => fresh_postgres_database().await,
    };
    let config = config::parse(&app.config_text(), None, []).unwrap();
    let mut out = Vec::new();
    let is_whole = replay::into(&config, &app.store(), &url, &mut out).await.unwrap();
    assert!(is_whole, "{}", String::from_utf8(out).unwrap());
    url
}

pub async fn drop_replayed(app: &App, url: &str) {
    if app.engine == Engine::Sqlite {
        drop_postgres_database(url).await;
    }
}

/// Replays and compares every derived table.
async fn replay_is_equal(app: &App) {
    let url = replay(app).await;
    for (table, query) in DERIVED {
        let (live, replayed) = (derived(&app.database, query).await, derived(&url, query).await);
        assert!(!live.is_empty(), "{table}");
        assert_eq!(replayed, live, "{table}");
    }
    let config = config::parse(&app.config_text(), None, []).unwrap();
    let again = replay::into(&config, &app.store(), &url, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(again.contains("не пуста"), "{again}");
    drop_replayed(app, &url).await;
}

stories! {
    /// They are no deliveries: what he closed is open in the replay, and who calls again joins it.
    async fn replay_knows_no_step_of_an_officer(app) {
        let madina = Actor::officer(1, "Мадина И.");
        let [first, second] = ["+79280000001", "+79280000002"];
        for (sid, caller) in [("CA1", first), ("CA2", second)] {
            app.post("voice", &Form::call(sid).from(caller)).await;
            app.post("status", &Form::call(sid).from(caller).status("completed")).await;
        }
        let waiting = app.callbacks().await;
        for (view, action) in waiting.iter().zip([Action::Done { note: String::new() }, Action::Claim]) {
            app.act(view.callback.id, &madina, action).await.unwrap();
        }
        app.advance_minutes(5);
        app.post("voice", &Form::call("CA3").from(first)).await;
        app.post("status", &Form::call("CA3").from(first).status("completed")).await;
        let url = replay(app).await;
        let callbacks = "SELECT caller, state, CAST(version AS TEXT) FROM callback";
        let calls = "SELECT provider_call_id, CASE WHEN waiting_since IS NULL THEN 'new' ELSE 'waits' END FROM call";
        let row = |words: &[&str]| words.iter().map(|word| Some((*word).to_owned())).collect::<Vec<_>>();
        let live = [row(&[first, "done", "2"]), row(&[first, "open", "1"]), row(&[second, "claimed", "2"])];
        assert_eq!(derived(&app.database, callbacks).await, live);
        assert_eq!(derived(&url, callbacks).await, [row(&[first, "open", "2"]), row(&[second, "open", "1"])]);
        let of_calls = |third| [row(&["CA1", "new"]), row(&["CA2", "new"]), row(&["CA3", third])];
        assert_eq!(derived(&app.database, calls).await, of_calls("new"));
        assert_eq!(derived(&url, calls).await, of_calls("waits"));
        for (table, query) in DERIVED.iter().filter(|(table, _)| ["delivery", "call_key"].contains(table)) {
            assert_eq!(derived(&url, query).await, derived(&app.database, query).await, "{table}");
        }
        drop_replayed(app, &url).await;
        app.leave_the_jobs().await;
    }

    async fn replayed_evening_equals_the_live_one(app) {
        app.clock.set(friday("17:00"));
        let plans: Vec<CallPlan> = friday_evening(&Numbers::default(), friday("19:30"));
        assert!(plans.iter().map(|plan| &plan.caller).collect::<BTreeSet<_>>().len() > 20);
        for plan in plans {
            app.exchange.call(plan).await;
            app.run_jobs().await;
        }
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        replay_is_equal(app).await;
    }

    async fn replay_knows_what_looks_have_restored(app) {
        app.clock.set(friday("17:00"));
        let held = |caller, time| HeldCall::new(caller, PARENTS, friday(time));
        app.exchange.hold_call(held("+79280000001", "14:00").leaving(9_000));
        app.exchange.hold_call(held("+79280000002", "14:10"));
        let leg = |parent: &str| HeldCall {
            direction: "outbound-dial",
            parent: Some(parent.to_owned()),
            ..HeldCall::new("+79280000003", "+79280000055", friday("14:20:05"))
        };
        let answered = app.exchange.hold_call(held("+79280000003", "14:20"));
        app.exchange.hold_call(leg(&answered));
        let known = app.exchange.hold_call(held("+79280000004", "14:20"));
        app.exchange.hold_call(leg(&known));
        app.post("voice", &Form::call(&known).from("+79280000004")).await;
        app.worker().plan_looks(true).await.unwrap();
        app.run_all_jobs().await;
        for sid in [answered, known] {
            let call = app.call(&sid).await;
            assert!(call.was_talked() && call.restored_at.is_some(), "{call:?}");
        }
        replay_is_equal(app).await;
        app.leave_the_jobs().await;
    }

    /// The hours of the instant decide, not those of today; and what we asked for ourselves counts like what was sent.
    async fn replay_knows_closures_and_what_was_asked_for(app) {
        app.clock.set(friday("12:00"));
        app.post("voice", &Form::call("CA1").from("+79280000001")).await;
        app.advance_minutes(1);
        let close = HoursStep::Close {
            line: Some(LineId::new("parents")), until: friday("15:00"), reason: "нет связи".to_owned(),
        };
        let head = Actor::officer(2, "Айшат М.");
        app.store().change_hours(close, None, &head, "", app.now()).await.unwrap();
        app.advance_minutes(5);
        app.post("voice", &Form::call("CA2").from("+79280000002")).await;
        let closure = app.number("SELECT id FROM hours_change").await;
        app.advance_minutes(5);
        app.store().change_hours(HoursStep::OpenAgain { id: closure }, None, &head, "", app.now()).await.unwrap();
        app.advance_minutes(5);
        app.post("voice", &Form::call("CA3").from("+79280000003")).await;
        let states = app.rows("SELECT time_state FROM call ORDER BY started_at").await;
        let states: Vec<String> = states.iter().map(|row| row.get(0)).collect();
        assert_eq!(states, ["open", "closed_now", "open"]);
        let mut plan = CallPlan::new("+79280000004", PARENTS).patient(5_000);
        plan.delivery.lost = vec![Purpose::Status];
        app.exchange.call(plan).await;
        app.exchange.call(CallPlan::new("+79280000005", PARENTS).leaving(9_000, Ending::HangsUp)).await;
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        assert!(app.number("SELECT COUNT(*) FROM delivery WHERE method = 'OWN'").await > 0);
        replay_is_equal(app).await;
        app.leave_the_jobs().await;
    }
}
