//! Calls that nobody reported: the provider's lists are compared with ours, and what is missing is on the list.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{StatusCode, Uri};
use perezvon::app::demo::{CallPlan, Ending, HeldCall, RestFaults};
use perezvon::app::reconcile::{self, ReconcileArgs};
use perezvon::core::call::Outcome;
use perezvon::core::callback::Action;
use perezvon::core::officer::{Actor, Role};
use perezvon::store::{Look, LookList, LookPlace, Reconciliation, VoicemailState};
use perezvon::time::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{App, Form, PARENTS, STAFF, TECHNICAL, at, friday, monday, stories};

/// What `perezvon reconcile --json` prints of the one provider, and whether it ends with 0.
async fn ask(app: &App, since: Option<Timestamp>) -> (Value, bool) {
    let args = ReconcileArgs { since, provider: None, json: true };
    let mut out = Vec::new();
    let is_good = reconcile::run(&app.worker().reconciler(), &args, &mut out).await.unwrap();
    let mut answers: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    (answers.remove(0), is_good)
}

/// Listed, known and restored of a look that must succeed.
async fn counts(app: &App) -> [i64; 3] {
    let (answer, is_good) = ask(app, None).await;
    assert!(is_good && answer["error"].is_null(), "{answer}");
    ["listed", "known", "restored"].map(|name| answer[name].as_i64().unwrap())
}

/// The service's own look, as its start plans it.
async fn look_at_start(app: &App) {
    app.worker().plan_looks(true).await.unwrap();
    app.run_jobs().await;
}

async fn standing(app: &App) -> Reconciliation {
    app.store().reconciliation("twilio", app.now()).await.unwrap().expect("a look was begun")
}

fn missed(caller: &str, time: &str) -> HeldCall {
    HeldCall::new(caller, PARENTS, friday(time))
}

async fn alarms_of(app: &App, kind: &str) -> Vec<String> {
    app.alarms().await.into_iter().filter(|alarm| alarm.kind == kind).map(|alarm| alarm.told).collect()
}

/// An officer was talking when the service went down, so that all webhooks after the first were lost.
async fn talk_without_its_end(app: &App) -> String {
    let sid = app.exchange.hold_call(missed("+79280000001", "14:00"));
    app.exchange.hold_call(leg(&sid, "14:00:05"));
    assert_eq!(app.post("voice", &Form::call(&sid)).await.verbs()[0], "Dial");
    sid
}

/// An officer's telephone that was rung within a call and picked up.
fn leg(parent: &str, time: &str) -> HeldCall {
    HeldCall {
        direction: "outbound-dial",
        parent: Some(parent.to_owned()),
        ..HeldCall::new("+79280000001", "+79280000055", friday(time))
    }
}

/// A provider whose list of calls never ends: each page has one call and a next page at a new address. Its list of
/// recordings has one message, of the first call.
struct EndlessCalls {
    api_base: String,
    /// Pages handed out of the list of calls.
    pages: Arc<AtomicU32>,
}

impl EndlessCalls {
    /// The calls are the same again after so many pages.
    async fn start(period: u32) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_base = format!("http://{}/2010-04-01", listener.local_addr().unwrap());
        let provider = Self { api_base, pages: Arc::default() };
        let pages = provider.pages.clone();
        let router = axum::Router::new().fallback(async move |uri: Uri| -> (StatusCode, axum::Json<Value>) {
            let is_legs = uri.query().is_some_and(|query| query.contains("ParentCallSid"));
            let answer = match uri.path().rsplit('/').next() {
                Some("Calls.json") if is_legs => json!({ "calls": [] }),
                Some("Calls.json") => {
                    let page = pages.fetch_add(1, Ordering::Relaxed);
                    let next = format!("{}?Page={}", uri.path(), page + 1);
                    json!({ "calls": [listed_call(page % period)], "next_page_uri": next })
                }
                Some("Recordings.json") => json!({ "recordings": [listed_message()] }),
                _ => return (StatusCode::NOT_FOUND, axum::Json(Value::Null)),
            };
            (StatusCode::OK, axum::Json(answer))
        });
        tokio::spawn(async { axum::serve(listener, router).await });
        provider
    }

    fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }
}

fn listed_call(number: u32) -> Value {
    json!({
        "sid": format!("CA{number}"), "from": format!("+792800003{number:02}"), "to": PARENTS, "direction": "inbound",
        "status": "completed", "duration": "30", "start_time": "Fri, 20 Nov 2026 11:00:00 +0000",
        "end_time": "Fri, 20 Nov 2026 11:00:30 +0000",
    })
}

fn listed_message() -> Value {
    json!({
        "sid": "RE0", "call_sid": "CA0", "source": "RecordVerb", "status": "completed", "duration": "6",
        "start_time": "Fri, 20 Nov 2026 11:00:20 +0000", "date_created": "Fri, 20 Nov 2026 11:00:20 +0000",
    })
}

/// A provider that lists one call under this id, and its message. The answer is the address of its interface.
async fn provider_with_one_call(sid: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_base = format!("http://{}/2010-04-01", listener.local_addr().unwrap());
    let (mut call, mut message) = (listed_call(0), listed_message());
    (call["sid"], message["call_sid"]) = (sid.into(), sid.into());
    let router = axum::Router::new().fallback(async move |uri: Uri| -> axum::Json<Value> {
        let is_legs = uri.query().is_some_and(|query| query.contains("ParentCallSid"));
        axum::Json(match uri.path().ends_with("Calls.json") {
            true if is_legs => json!({ "calls": [] }),
            true => json!({ "calls": [call.clone()] }),
            false => json!({ "recordings": [message.clone()] }),
        })
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    api_base
}

/// Listed, known and restored of the last look.
fn counts_of(row: &Reconciliation) -> Option<[i64; 3]> {
    row.look.as_ref().map(|look| [look.listed, look.known, look.restored])
}

/// Ten calls to our lines between 11:00 and 17:00 that reach nobody, and four that are not for us to call back.
fn six_hours_of_calls(app: &App) -> Vec<String> {
    let mut ours: Vec<String> = (1..=6)
        .map(|hour| missed(&format!("+7928000010{hour}"), &format!("{}:15", 10 + hour)).leaving(6_000))
        .chain([missed("anonymous", "12:40").leaving(9_000), missed("+79280000108", "13:00")])
        .chain([HeldCall::new("+79280000109", STAFF, friday("13:30"))])
        .map(|call| app.exchange.hold_call(call))
        .collect();
    let forwarded = HeldCall { forwarded_from: Some(PARENTS.to_owned()), ..missed("+79280000110", "14:00") };
    ours.push(app.exchange.hold_call(HeldCall { called: TECHNICAL.to_owned(), ..forwarded }));
    app.exchange.hold_call(HeldCall::new("+79280000111", "+74950000000", friday("14:10")));
    app.exchange
        .hold_call(HeldCall { direction: "outbound-api", ..HeldCall::new(PARENTS, "+79280000112", friday("14:20")) });
    app.exchange.hold_call(HeldCall { status: "in-progress", ..missed("+79280000113", "16:59") });
    app.exchange.hold_call(HeldCall::new("+79280000114", PARENTS, at("2026-11-19T15:00:00+03:00")));
    ours
}

stories! {
    async fn six_hours_of_absence_leave_nobody_forgotten(app) {
        app.clock.set(friday("10:30"));
        look_at_start(app).await;
        let sids = six_hours_of_calls(app);
        app.clock.set(friday("17:00"));
        look_at_start(app).await;
        assert_eq!(app.callbacks().await.len(), 10);
        app.run_all_jobs().await;
        assert_eq!(app.callbacks().await.len(), 10);
        let voicemails = app.voicemails().await;
        assert_eq!(voicemails.len(), 7);
        assert!(voicemails.iter().all(|voicemail| voicemail.state == VoicemailState::Stored), "{voicemails:?}");
        for sid in &sids {
            let call = app.call(sid).await;
            assert_eq!(call.restored_at, Some(friday("17:00")), "{call:?}");
            assert!(call.decision.as_ref().unwrap().open, "open at its start");
        }
        let due: Vec<_> = app.callbacks().await.into_iter().map(|view| view.callback.due_at).collect();
        assert_eq!(due, [Some(friday("18:00")); 10]);
        assert_eq!(app.count("call").await, 10);
        let alarms = alarms_of(app, "restored").await;
        assert!(alarms.len() == 1 && alarms[0].contains("восстановлено 10"), "{alarms:?}");
        let counts_before = app.counts().await;
        assert_eq!(counts(app).await, [10, 10, 0], "a second look restores nothing");
        assert_eq!(app.counts().await, counts_before);
    }

    async fn a_promise_that_has_passed_is_overdue_and_first(app) {
        app.post("voice", &Form::call("CA-tonight").from("+79280000009")).await;
        app.post("status", &Form::call("CA-tonight").from("+79280000009").status("completed")).await;
        let evening = at("2026-11-19T19:00:00+03:00");
        let sid = app.exchange.hold_call(HeldCall::new("+79280000001", PARENTS, evening).leaving(6_000));
        let (answer, is_good) = ask(app, Some(at("2026-11-19T13:30:00+03:00"))).await;
        assert!(is_good && answer["restored"] == 1, "{answer}");
        let waiting = app.callbacks().await;
        let first = &waiting[0].callback;
        assert_eq!((waiting.len(), first.due_at), (2, Some(friday("18:00"))));
        assert!(first.is_overdue(app.now()) && first.received_at == evening);
        assert!(!app.call(&sid).await.decision.unwrap().open, "closed at its start");
        app.leave_the_jobs().await;
    }

    async fn a_call_known_by_webhooks_is_not_doubled(app) {
        app.exchange.call(CallPlan::new("+79280000001", PARENTS).leaving(9_000, Ending::HangsUp)).await;
        app.exchange.call(CallPlan::new("+79280000002", PARENTS).patient(5_000)).await;
        app.run_all_jobs().await;
        let before = app.counts().await;
        assert_eq!(counts(app).await, [2, 2, 0]);
        assert_eq!(app.counts().await, before);
        assert!(alarms_of(app, "restored").await.is_empty());
    }

    async fn a_late_webhook_of_a_restored_call_is_no_second_call(app) {
        let sid = app.exchange.hold_call(missed("+79280000001", "19:00").leaving(6_000));
        assert_eq!(counts(app).await, [1, 0, 1]);
        let form = Form::call(&sid).status("completed");
        app.post("voice", &form).await;
        let recording = app.voicemails().await[0].recording_id.clone();
        let form = form.recording(&recording, "6", app.exchange.api_base()).with("RecordingStatus", "completed");
        app.post("recording", &form).await;
        app.post("status", &form).await;
        assert_eq!((app.count("call").await, app.count("voicemail").await), (1, 1));
        assert_eq!(app.callbacks().await.len(), 1);
        assert!(app.call(&sid).await.restored_at.is_some());
        app.run_all_jobs().await;
    }

    /// Its list told the id as it is, and the caller was called twice.
    async fn a_call_whose_id_no_database_takes_is_not_doubled(app) {
        for (n, sid) in ["x".repeat(300), "CA\u{1}b".to_owned()].into_iter().enumerate() {
            let api_base = provider_with_one_call(&sid).await;
            app.restart(|setup| setup.api_base = api_base).await;
            let form = Form::call(&sid).from("+79280000300");
            app.post("voice", &form).await;
            let message = form.clone().recording("RE0", "6", app.exchange.api_base());
            app.post("message", &message.status("completed")).await;
            app.post("status", &form.status("completed")).await;
            app.advance_minutes(30);
            assert_eq!(counts(app).await, [1, 1, 0], "{sid:?}");
            assert_eq!((app.count("call").await, app.count("voicemail").await), (n as i64 + 1, n as i64 + 1), "{sid:?}");
        }
        assert_eq!(app.callbacks().await.len(), 1);
        app.leave_the_jobs().await;
    }

    async fn a_message_whose_callback_was_lost_long_ago_is_found(app) {
        let mut plan = CallPlan::new("+79280000001", PARENTS).leaving(9_000, Ending::HangsUp);
        plan.delivery.lost = vec![perezvon::app::demo::Purpose::Recording, perezvon::app::demo::Purpose::Action];
        let report = app.exchange.call(plan).await;
        app.leave_the_jobs().await;
        assert_eq!(counts(app).await, [1, 1, 0], "its callback may still be on its way");
        app.advance_minutes(6);
        assert_eq!(counts(app).await, [1, 0, 1]);
        assert_eq!(app.call(&report.sid).await.outcome(), Outcome::Voicemail);
        assert_eq!(app.voicemails().await.len(), 1);
        assert_eq!(counts(app).await, [1, 1, 0]);
        app.run_all_jobs().await;
    }

    async fn many_pages_are_read_in_goes_and_across_a_restart(app) {
        for minute in 0..60 {
            app.exchange.hold_call(missed(&format!("+792800003{minute:02}"), &format!("14:{minute:02}")));
        }
        app.exchange.set_faults(RestFaults { page_size: Some(1), ..RestFaults::default() });
        look_at_start(app).await;
        assert_eq!(app.count("call").await, 50, "one go has its bound");
        let place = standing(app).await;
        assert!(place.look.unwrap().next.is_some() && place.covered_until.is_none());
        app.restart(|_| {}).await;
        let began_at = app.now();
        app.advance_minutes(1);
        app.run_jobs().await;
        let place = standing(app).await;
        assert_eq!((app.count("call").await, place.covered_until), (60, Some(began_at)));
        assert_eq!(place.look.map(|look| (look.listed, look.known, look.restored)), Some((60, 0, 60)));
        assert_eq!(app.exchange.counters().pages, 61, "no page is read twice");
        assert_eq!(alarms_of(app, "restored").await.len(), 1);
        app.leave_the_jobs().await;
    }

    async fn a_provider_that_fails_is_asked_again_and_leaves_no_gap(app) {
        for minute in 10..16 {
            app.exchange.hold_call(missed(&format!("+792800003{minute}"), &format!("14:{minute}")));
        }
        let faults = RestFaults { page_size: Some(2), good_pages: 1, list_errors: 1, ..RestFaults::default() };
        app.exchange.set_faults(faults);
        let (answer, is_good) = ask(app, None).await;
        assert!(!is_good && answer["error"].as_str().unwrap().contains("500"), "{answer}");
        assert_eq!((answer["restored"].as_i64(), app.count("call").await), (Some(2), 2));
        let row = standing(app).await;
        assert!(row.covered_until.is_none() && row.failing_since.is_some() && row.error.is_some());
        app.advance_minutes(90);
        assert_eq!(counts(app).await, [6, 0, 6]);
        let row = standing(app).await;
        assert!(row.covered_until.is_some() && row.failing_since.is_none() && row.error.is_none());
        app.leave_the_jobs().await;
    }

    async fn looks_that_fail_for_long_raise_an_alarm(app) {
        app.exchange.set_faults(RestFaults { list_errors: 3, ..RestFaults::default() });
        look_at_start(app).await;
        assert!(alarms_of(app, "reconcile_failing").await.is_empty());
        app.advance_minutes(121);
        app.run_jobs().await;
        let alarms = alarms_of(app, "reconcile_failing").await;
        assert!(alarms.len() == 1 && alarms[0].contains("оператор ответил 500"), "{alarms:?}");
        app.run_all_jobs().await;
        assert!(alarms_of(app, "reconcile_failing").await.is_empty());
    }

    async fn the_pause_that_a_provider_asks_for_is_kept(app) {
        app.exchange.set_faults(RestFaults { lists_later: Some(240), ..RestFaults::default() });
        look_at_start(app).await;
        let next = app.store().next_job_at().await.unwrap().unwrap();
        assert_eq!(next.duration_since(app.now()).as_secs(), 240);
        app.exchange.set_faults(RestFaults::default());
        app.run_all_jobs().await;
        assert!(standing(app).await.covered_until.is_some());
    }

    async fn credentials_do_not_follow_a_page_to_another_host(app) {
        app.exchange.hold_call(missed("+79280000001", "19:00"));
        app.exchange.hold_call(missed("+79280000002", "19:10"));
        app.exchange.set_faults(RestFaults {
            page_size: Some(1),
            next_page: Some("https://evil.example/Calls.json".to_owned()),
            ..RestFaults::default()
        });
        let (answer, is_good) = ask(app, None).await;
        assert!(!is_good && answer["error"].as_str().unwrap().contains("api_base"), "{answer}");
        assert_eq!(app.count("call").await, 1, "what was read is not lost");
        app.leave_the_jobs().await;
    }

    async fn next_page_on_another_port_names_the_key_to_mend(app) {
        app.exchange.hold_call(missed("+79280000001", "19:00"));
        app.exchange.hold_call(missed("+79280000002", "19:10"));
        for origin in ["https://evil.example", "http://127.0.0.1:1"] {
            let next_page = Some(format!("{origin}/Calls.json"));
            app.exchange.set_faults(RestFaults { page_size: Some(1), next_page, ..RestFaults::default() });
            let (answer, is_good) = ask(app, None).await;
            let error = answer["error"].as_str().unwrap();
            assert!(!is_good && error.contains(origin) && error.contains("api_base"), "{error}");
            assert!(!error.contains("recording_hosts"), "{error}");
        }
        app.leave_the_jobs().await;
    }

    async fn refused_connection_is_told_as_nothing_compared(app) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        app.restart(|setup| setup.api_base = format!("http://127.0.0.1:{port}/2010-04-01")).await;
        let args = ReconcileArgs { since: None, provider: None, json: false };
        let mut out = Vec::new();
        assert!(!reconcile::run(&app.worker().reconciler(), &args, &mut out).await.unwrap());
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("ничего не сверено: оператор недоступен"), "{text}");
        assert!(!text.contains("Успели сверить"), "{text}");
    }

    async fn endless_pages_fail_the_look_and_spare_the_other_list(app) {
        let provider = EndlessCalls::start(2).await;
        app.restart(|setup| setup.api_base = provider.api_base.clone()).await;
        look_at_start(app).await;
        let row = standing(app).await;
        assert!(row.error.as_ref().is_some_and(|error| error.contains("список звонков")), "{row:?}");
        assert!(row.covered_until.is_none() && row.look.as_ref().is_some_and(|look| look.next.is_none()), "{row:?}");
        assert_eq!(counts_of(&row), Some([2, 0, 2]), "the same calls are counted once");
        assert_eq!((app.count("call").await, app.voicemails().await.len()), (2, 1), "the recordings are read");
        let pages = provider.pages();
        assert!(pages < 50, "{pages} pages");
        app.advance_minutes(121);
        app.run_jobs().await;
        assert_eq!(provider.pages(), 2 * pages, "the next look begins anew");
        assert_eq!(counts_of(&standing(app).await), Some([2, 2, 0]));
        let alarms = alarms_of(app, "reconcile_failing").await;
        assert!(alarms.len() == 1 && alarms[0].contains("не кончается"), "{alarms:?}");
        app.leave_the_jobs().await;
    }

    async fn list_with_more_pages_than_any_has_fails_the_look(app) {
        let provider = EndlessCalls::start(60).await;
        app.restart(|setup| setup.api_base = provider.api_base.clone()).await;
        look_at_start(app).await;
        for _ in 0..2 {
            app.advance_minutes(1);
            app.run_jobs().await;
        }
        let row = standing(app).await;
        assert_eq!((provider.pages(), counts_of(&row)), (150, Some([60, 0, 60])), "three goes count each call once");
        assert!(row.error.is_none() && row.look.unwrap().next.is_some_and(|place| place.pages == 150));
        app.sql("UPDATE reconciliation SET next_pages = 5000").await;
        app.restart(|_| {}).await;
        app.advance_minutes(1);
        app.run_jobs().await;
        let row = standing(app).await;
        assert_eq!((provider.pages(), counts_of(&row)), (151, Some([60, 0, 60])));
        assert!(row.error.is_some_and(|error| error.contains("5000")) && row.covered_until.is_none());
        assert_eq!(app.voicemails().await.len(), 1, "the recordings are read");
        app.leave_the_jobs().await;
    }

    /// They wrote the number of pages behind the name of the list.
    async fn look_of_an_earlier_version_begins_anew(app) {
        let provider = EndlessCalls::start(60).await;
        app.restart(|setup| setup.api_base = provider.api_base.clone()).await;
        look_at_start(app).await;
        app.sql("UPDATE reconciliation SET next_list = 'calls 50', next_pages = NULL").await;
        app.advance_minutes(1);
        app.run_jobs().await;
        let row = standing(app).await;
        assert!(row.error.is_none() && row.look.unwrap().next.is_some_and(|place| place.pages == 50));
        assert_eq!(provider.pages(), 100);
        app.leave_the_jobs().await;
    }

    async fn look_that_lost_its_turn_leaves_the_place_of_the_other(app) {
        look_at_start(app).await;
        let (store, row) = (app.store(), standing(app).await);
        let slow = store.lease_look(row.id, app.now()).await.unwrap().expect("nobody looks");
        app.advance_minutes(6);
        let other = store.lease_look(row.id, app.now()).await.unwrap().expect("the turn has ended");
        let address = Some("http://127.0.0.1/2010-04-01/Calls.json?Page=1".to_owned());
        let incomplete_since = Some(app.now());
        let place = LookPlace { list: LookList::Recordings, address, pages: 7, incomplete_since };
        let look = Look { next: Some(place), ..row.look.unwrap() };
        assert!(store.save_look(row.id, other, &look, app.now()).await.unwrap());
        store.fail_look(row.id, slow, "оператор ответил 410", true, app.now()).await.unwrap();
        let row = standing(app).await;
        assert_eq!((row.look, row.error), (Some(look), None));
    }

    async fn clock_a_little_behind_takes_no_turn_of_another(app) {
        look_at_start(app).await;
        let (store, id) = (app.store(), standing(app).await.id);
        for (seconds, is_taken) in [(2, false), (60, false), (61, true)] {
            let ahead = app.now() + SignedDuration::from_secs(seconds);
            let other = store.lease_look(id, ahead).await.unwrap().expect("nobody looks");
            let taken = store.lease_look(id, app.now()).await.unwrap();
            assert_eq!(taken.is_some(), is_taken, "{seconds} s");
            store.pause_look(id, taken.unwrap_or(other)).await.unwrap();
        }
    }

    async fn two_instances_restore_each_call_once(app) {
        six_hours_of_calls(app);
        let (store, other) = app.second_house().await;
        let args = ReconcileArgs { since: None, provider: None, json: true };
        let (one, two) = (app.worker().reconciler(), other.reconciler());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let ended = tokio::join!(reconcile::run(&one, &args, &mut first), reconcile::run(&two, &args, &mut second));
        assert!(ended.0.unwrap() && ended.1.unwrap());
        let restored = |out: &[u8]| serde_json::from_slice::<Value>(out).unwrap()[0]["restored"].as_i64().unwrap();
        assert_eq!(restored(&first) + restored(&second), 10);
        assert_eq!((app.count("call").await, app.callbacks().await.len()), (10, 10));
        drop((one, two, other));
        store.close().await;
        app.leave_the_jobs().await;
    }

    async fn a_caller_called_back_since_is_not_called_twice(app) {
        let sid = app.exchange.hold_call(missed("+79280000001", "14:00"));
        let with_message = app.exchange.hold_call(missed("+79280000002", "14:00").leaving(6_000));
        let madina = Actor::officer(1, "Мадина И.");
        for (sid, caller) in [("CA1", "+79280000001"), ("CA2", "+79280000002")] {
            app.post("voice", &Form::call(sid).from(caller)).await;
            app.post("status", &Form::call(sid).from(caller).status("completed")).await;
            app.act(app.callback().await.id, &madina, Action::Done { note: String::new() }).await.unwrap();
        }
        assert_eq!(counts(app).await, [2, 0, 2]);
        let done = app.call("CA1").await.callback_id;
        assert_eq!(app.call(&sid).await.callback_id, done, "the callback that followed answers this call too");
        let waiting = app.callback().await;
        assert_eq!(waiting.caller.unwrap().e164(), "+79280000002", "a message that nobody heard opens another one");
        assert_eq!(app.call(&with_message).await.callback_id, Some(waiting.id));
        app.leave_the_jobs().await;
    }

    /// Nobody knew of the other line when he was called back.
    async fn who_was_called_back_on_another_line_is_proposed_to_close(app) {
        let madina = Actor::officer(1, "Мадина И.");
        let sid = app.exchange.hold_call(missed("+79280000001", "14:00"));
        let staff = Form::call("CA1").from("+79280000001").to(STAFF);
        app.post("voice", &staff).await;
        app.post("status", &staff.clone().status("completed")).await;
        let answered = app.callback().await.id;
        app.act(answered, &madina, Action::Dial).await.unwrap();
        app.act(answered, &madina, Action::Done { note: String::new() }).await.unwrap();
        look_at_start(app).await;
        let waiting = app.callback().await;
        assert_eq!(app.call(&sid).await.callback_id, Some(waiting.id));
        assert_eq!(waiting.proposed_callback_id, Some(answered));
        app.leave_the_jobs().await;
    }

    /// He had something to add, and the officer's «Готово» came a moment later.
    async fn who_rings_again_after_the_talk_is_called_again(app) {
        let madina = Actor::officer(1, "Мадина И.");
        app.post("voice", &Form::call("CA1").from("+79280000001")).await;
        app.post("status", &Form::call("CA1").from("+79280000001").status("completed")).await;
        let id = app.callback().await.id;
        app.clock.set(monday("09:30"));
        app.act(id, &madina, Action::Dial).await.unwrap();
        app.clock.set(monday("09:37"));
        let again = app.exchange.hold_call(HeldCall::new("+79280000001", PARENTS, monday("09:36")));
        app.act(id, &madina, Action::Done { note: String::new() }).await.unwrap();
        look_at_start(app).await;
        let waiting = app.callback().await;
        assert!(waiting.id != id && app.call(&again).await.callback_id == Some(waiting.id), "{waiting:?}");
        app.leave_the_jobs().await;
    }

    async fn who_got_through_since_is_proposed_to_close(app) {
        app.exchange.hold_call(missed("+79280000001", "14:00"));
        app.clock.set(friday("15:00"));
        let talk = app.exchange.call(CallPlan::new("+79280000001", PARENTS).answered(120)).await;
        assert_eq!(app.call(&talk.sid).await.outcome(), Outcome::Answered);
        assert_eq!(counts(app).await, [2, 1, 1]);
        assert_eq!(app.callback().await.proposed_call_id, Some(app.call(&talk.sid).await.id));
        app.leave_the_jobs().await;
    }

    async fn an_officer_who_answered_is_known_by_his_leg(app) {
        let sid = app.exchange.hold_call(missed("+79280000001", "14:00"));
        app.exchange.hold_call(leg(&sid, "14:00:05"));
        assert_eq!(counts(app).await, [1, 0, 1]);
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Answered);
        assert!(app.callbacks().await.is_empty());
    }

    async fn talk_read_before_an_error_is_known_after_it(app) {
        let sid = app.exchange.hold_call(missed("+79280000001", "14:00"));
        app.exchange.hold_call(leg(&sid, "14:00:05"));
        let faults = RestFaults { page_size: Some(1), good_pages: 1, list_errors: 1, ..RestFaults::default() };
        app.exchange.set_faults(faults);
        assert!(!ask(app, None).await.1, "the page with the officer's leg is read, that with the call is not");
        app.restart(|_| {}).await;
        assert_eq!(counts(app).await, [1, 0, 1]);
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Answered);
        assert!(app.callbacks().await.is_empty(), "nobody is called back who was talked to");
        app.leave_the_jobs().await;
    }

    async fn lost_talk_of_a_known_call_is_found_by_a_look(app) {
        app.clock.set(friday("14:00"));
        let sid = talk_without_its_end(app).await;
        app.clock.set(friday("14:03"));
        assert_eq!(counts(app).await, [1, 1, 0], "its webhook may still be on its way");
        app.clock.set(friday("14:20"));
        assert_eq!(counts(app).await, [1, 0, 1]);
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Answered);
        assert_eq!(counts(app).await, [1, 1, 0], "it is news once");
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Answered);
        assert!(app.callbacks().await.is_empty(), "nobody is called back who was talked to");
    }

    async fn lost_talk_is_asked_about_before_a_call_counts_as_missed(app) {
        app.clock.set(friday("14:00"));
        let sid = talk_without_its_end(app).await;
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Answered);
        assert!(app.call(&sid).await.ended_at.is_some() && app.callbacks().await.is_empty());
    }

    /// That the first telephone was busy was once taken for all there was to know.
    async fn talk_after_a_busy_telephone_is_known_by_its_leg(app) {
        app.clock.set(friday("14:00"));
        app.restart(|setup| setup.ring = vec!["+79280000054", "+79280000055"]).await;
        let sid = talk_without_its_end(app).await;
        app.post("dialled/0", &Form::call(&sid).with("DialCallStatus", "busy")).await;
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Answered);
        assert!(app.callbacks().await.is_empty());
    }

    async fn an_earlier_call_of_a_caller_who_waits_brings_its_earlier_promise(app) {
        app.exchange.hold_call(missed("+79280000001", "14:00"));
        app.post("voice", &Form::call("CA1")).await;
        app.post("status", &Form::call("CA1").status("completed")).await;
        assert_eq!(app.callback().await.due_at, Some(monday("18:00")));
        assert_eq!(counts(app).await, [1, 0, 1]);
        let callback = app.callback().await;
        assert_eq!((callback.due_at, callback.received_at), (Some(friday("18:00")), friday("14:00")));
        app.leave_the_jobs().await;
    }

    async fn looks_are_planned_hourly_and_once_at_a_time(app) {
        look_at_start(app).await;
        app.worker().plan_looks(false).await.unwrap();
        assert_eq!(app.run_jobs().await, 0, "the last one was just now");
        app.advance_minutes(60);
        app.worker().plan_looks(false).await.unwrap();
        app.worker().plan_looks(false).await.unwrap();
        assert_eq!(app.run_jobs().await, 1);
        assert_eq!(standing(app).await.covered_until, Some(app.now()));
    }

    async fn clock_that_ran_ahead_ends_no_reconciliation(app) {
        app.clock.set(at("2036-11-20T14:00:00+03:00"));
        look_at_start(app).await;
        app.clock.set(friday("14:00"));
        app.exchange.hold_call(missed("+79280000001", "13:00"));
        app.worker().plan_looks(false).await.unwrap();
        assert_eq!(app.run_jobs().await, 1, "a look is due");
        assert_eq!(standing(app).await.covered_until, Some(friday("14:00")));
        assert_eq!(app.callbacks().await.len(), 1);
        app.sql("UPDATE reconciliation SET covered_until = 4000000000000, widely_covered_at = 4000000000000").await;
        app.exchange.hold_call(missed("+79280000002", "13:30"));
        app.worker().plan_looks(false).await.unwrap();
        app.run_jobs().await;
        assert_eq!(app.callbacks().await.len(), 2);
        app.exchange.hold_call(missed("+79280000003", "13:40"));
        assert_eq!(counts(app).await, [3, 2, 1], "the command knows it too");
        app.sql("UPDATE reconciliation SET failing_since = 4000000000000").await;
        app.exchange.set_faults(RestFaults { list_errors: 1, ..RestFaults::default() });
        assert!(!ask(app, None).await.1);
        assert_eq!(standing(app).await.failing_since, Some(friday("14:00")));
        app.leave_the_jobs().await;
    }

    async fn the_nightly_look_goes_back_over_several_days(app) {
        app.clock.set(friday("10:00"));
        look_at_start(app).await;
        for hour in [17, 21, 24, 26, 27] {
            app.clock.set(friday("00:30"));
            app.advance_minutes(60 * hour);
            app.worker().plan_looks(false).await.unwrap();
            app.run_jobs().await;
        }
        assert_eq!(standing(app).await.widely_covered_at, Some(at("2026-11-21T02:30:00+03:00")));
    }

    async fn the_button_asks_the_provider_at_once_and_by_role(app) {
        look_at_start(app).await;
        let sid = app.exchange.hold_call(missed("+79280000001", "19:00"));
        let mut officer = app.browser("Аишат", Role::Officer).await;
        assert!(!officer.get("/health-ui").await.body.contains("Сверить с оператором"));
        assert_eq!(officer.post("/health-ui/reconcile", &[("provider", "twilio")]).await.status, 403);
        let mut senior = app.browser("Мадина", Role::Senior).await;
        let page = senior.get("/health-ui").await.body;
        assert!(page.contains("Сверить с оператором") && page.contains("Сверка с оператором twilio"), "{page}");
        let pressed = senior.post("/health-ui/reconcile", &[("provider", "twilio")]).await;
        assert_eq!((pressed.status, pressed.location.as_str()), (303, "/health-ui"));
        assert!(senior.get("/health-ui").await.body.contains("Идёт"));
        app.run_jobs().await;
        let id = app.call(&sid).await.id;
        assert!(senior.get("/health-ui").await.body.contains("восстановлено: 1"));
        assert!(senior.get(&format!("/calls/{id}")).await.body.contains("осстановлен"));
        assert!(senior.get("/calls").await.body.contains("осстановлен"));
        assert!(senior.get("/callbacks").await.body.contains("осстановлен"));
        let call: Value = serde_json::from_str(&senior.get(&format!("/api/v1/calls/{id}")).await.body).unwrap();
        assert_eq!(call["restored"], true);
        app.leave_the_jobs().await;
    }

    async fn readiness_says_how_old_the_last_look_is(app) {
        let readyz = async || -> Value { serde_json::from_str(&app.get("/readyz").await.body).unwrap() };
        app.worker().heartbeat.beat();
        let never = readyz().await;
        assert!(never["reconciled_seconds_ago"]["twilio"].is_null(), "{never}");
        assert_eq!(never["degraded"], serde_json::json!(["reconciliation twilio"]));
        look_at_start(app).await;
        app.advance_minutes(10);
        let now = readyz().await;
        assert_eq!((&now["reconciled_seconds_ago"]["twilio"], &now["degraded"]), (&600.into(), &serde_json::json!([])));
        app.advance_minutes(171);
        app.worker().heartbeat.beat();
        assert_eq!(readyz().await["degraded"], serde_json::json!(["reconciliation twilio"]));
        app.becomes_ready().await;
        let page = app.browser("Мадина", Role::Senior).await.get("/health-ui").await.body;
        assert!(page.contains("сверка должна идти каждый час"), "{page}");
        app.restart(|setup| setup.api_base = "https://api.somleng.org/2010-04-01".to_owned()).await;
        let without = readyz().await;
        assert!(without["reconciled_seconds_ago"]["twilio"].is_null() && without["degraded"] == serde_json::json!([]));
    }

    async fn a_provider_without_lists_is_named_in_words(app) {
        app.restart(|setup| setup.api_base = "https://api.somleng.org/2010-04-01".to_owned()).await;
        let page = app.browser("Мадина", Role::Senior).await.get("/health-ui").await.body;
        assert!(page.contains("не отдаёт список звонков"), "{page}");
        app.worker().plan_looks(true).await.unwrap();
        assert_eq!(app.run_jobs().await, 0);
        let args = ReconcileArgs { since: None, provider: Some("twilio".to_owned()), json: true };
        let refused = reconcile::run(&app.worker().reconciler(), &args, &mut Vec::new()).await.unwrap_err();
        assert!(refused.to_string().contains("не отдаёт список звонков"), "{refused}");
    }

    async fn the_command_restores_beside_the_service(app) {
        let sid = app.exchange.hold_call(missed("+79280000001", "19:00").leaving(6_000));
        let config = app.folder.path().join("perezvon.toml");
        std::fs::write(&config, app.config_text()).unwrap();
        let run = |extra: &'static [&'static str]| {
            let config = config.clone();
            let command = move || {
                let since = ["reconcile", "--since", "2026-11-20T13:30:00+03:00", "--config"];
                let program = env!("CARGO_BIN_EXE_perezvon");
                Command::new(program).args(since).arg(&config).args(extra).output().expect("the program is there")
            };
            async move { tokio::task::spawn_blocking(command).await.unwrap() }
        };
        let done = run(&["--json"]).await;
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
        assert!(done.status.success(), "{done:?}");
        let answer = &answer[0];
        assert_eq!((&answer["provider"], &answer["from"]), (&"twilio".into(), &"2026-11-20T13:30:00+03:00".into()));
        assert_eq!(["listed", "known", "restored"].map(|name| answer[name].as_i64()), [Some(1), Some(0), Some(1)]);
        assert!(answer["error"].is_null() && answer["to"].as_str().is_some());
        assert_eq!(app.call(&sid).await.outcome(), Outcome::Voicemail);
        let done = run(&[]).await;
        let told = String::from_utf8(done.stdout).unwrap();
        assert!(told.contains("уже были: 1, восстановлено: 0"), "{told}");
        app.exchange.set_faults(RestFaults { list_errors: 1, ..RestFaults::default() });
        let done = run(&["--json"]).await;
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        app.leave_the_jobs().await;
    }
}
