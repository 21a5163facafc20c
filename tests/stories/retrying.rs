//! A message is not given up while its provider may have it, and whoever mends the cause has it at once (R24).

use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use perezvon::app::demo::{CallPlan, Ending, RestFaults};
use perezvon::core::officer::Role;
use perezvon::recordings::tone;
use perezvon::store::VoicemailState;
use perezvon::time::SignedDuration;
use serde_json::Value;

use crate::fetching::{a_message, a_message_at, scripted, stored_bytes, voicemail};
use crate::harness::{App, Form, PARENTS, stories};

const WRONG_PASSWORD: &str = "signature = \"twilio\"\nauth_tokens = [\"12345678901234567890123456789012\"]\n\
                              api_token = \"of-last-year-00000000000000000000\"";

/// The service with a password that its provider does not take any more.
async fn with_a_wrong_password(app: &App) {
    app.restart(|setup| setup.provider_keys = WRONG_PASSWORD.to_owned()).await;
}

async fn with_the_right_password(app: &App) {
    app.restart(|setup| setup.provider_keys = WRONG_PASSWORD.split("\napi").next().unwrap().to_owned()).await;
}

/// Runs what is due, job by job, until so many days are over.
async fn days_pass(app: &App, days: i64) {
    let end = app.now() + SignedDuration::from_hours(24 * days);
    while let Some(next_at) = app.store().next_job_at().await.unwrap().filter(|next_at| *next_at <= end) {
        app.clock.set(app.now().max(next_at));
        app.run_jobs().await;
    }
    app.clock.set(end);
}

/// As a version that gave up after a week has left it.
async fn give_up(app: &App) {
    app.sql("UPDATE voicemail SET state = 'failed', failure = 'the provider answered 401 Unauthorized'").await;
    app.sql("UPDATE job SET given_up_at = 1, attempts = 172, run_at = 1").await;
}

/// Half a message that officers can hear, whose provider does not answer.
async fn half_a_message(app: &App) -> String {
    app.exchange.set_faults(RestFaults { cut_files: 1, ..RestFaults::default() });
    let sid = a_message(app).await;
    app.run_jobs().await;
    app.exchange.set_faults(RestFaults { server_errors: 10_000, ..RestFaults::default() });
    days_pass(app, 2).await;
    assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    sid
}

async fn fetch_is_due_in(app: &App) -> i64 {
    let run_at = app.number("SELECT run_at FROM job WHERE kind = 'fetch_recording'").await;
    (run_at - app.now().as_millisecond()) / 1000
}

stories! {
    /// A password of 30 December was final on 7 January, and ten messages with it, while all lay at the provider.
    async fn a_wrong_password_costs_no_message_in_a_hundred_days(app) {
        with_a_wrong_password(app).await;
        a_message(app).await;
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_late"], "at once");
        days_pass(app, 100).await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        assert!(fetch_is_due_in(app).await <= 6 * 3_600, "tried every six hours");
        with_the_right_password(app).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored, "at once, not in six hours");
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    /// Three hundred messages behind one wrong password were three hundred alarms, and as many lines of mail.
    async fn one_cause_raises_one_alarm_until_its_last_message_is_stored(app) {
        with_a_wrong_password(app).await;
        for n in 0..3 {
            let plan = CallPlan::new(&format!("+7928000000{n}"), PARENTS).leaving(12_000, Ending::HangsUp);
            app.exchange.call(plan).await;
        }
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_late"]);
        with_the_right_password(app).await;
        app.sql("UPDATE job SET run_at = run_at + 3600000 WHERE id = (SELECT MAX(id) FROM job)").await;
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_late"], "one still waits");
        app.advance_minutes(60);
        app.run_jobs().await;
        let states: Vec<_> = app.voicemails().await.iter().map(|voicemail| voicemail.state).collect();
        assert_eq!(states, [VoicemailState::Stored; 3]);
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    async fn a_new_password_brings_back_what_was_given_up(app) {
        with_a_wrong_password(app).await;
        a_message(app).await;
        app.run_jobs().await;
        give_up(app).await;
        app.restart(|_| ()).await;
        assert_eq!((app.run_jobs().await, voicemail(app).await.state), (0, VoicemailState::Failed), "nothing is new");
        with_the_right_password(app).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    async fn a_new_password_deletes_what_could_not_be_deleted(app) {
        app.exchange.set_faults(RestFaults { deletion_errors: 1, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_jobs().await;
        app.sql("UPDATE job SET given_up_at = 1, attempts = 172 WHERE kind = 'delete_recording'").await;
        app.restart(|setup| setup.provider_keys.push_str("\napi_token = \"12345678901234567890123456789012\"")).await;
        app.run_jobs().await;
        assert_eq!(app.exchange.counters().deleted, [sid]);
    }

    async fn a_provider_that_is_away_for_two_months_costs_no_message(app) {
        let sid = a_message(app).await;
        app.exchange.set_faults(RestFaults { server_errors: 10_000, ..RestFaults::default() });
        days_pass(app, 62).await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        app.exchange.set_faults(RestFaults::default());
        days_pass(app, 1).await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
    }

    async fn a_recording_callback_that_comes_again_is_tried_at_once(app) {
        app.exchange.set_faults(RestFaults { not_ready: 10_000, ..RestFaults::default() });
        let sid = a_message(app).await;
        days_pass(app, 2).await;
        app.exchange.set_faults(RestFaults::default());
        for is_given_up in [false, true] {
            if is_given_up {
                give_up(app).await;
            }
            let call = app.text("SELECT provider_call_id FROM call_key").await;
            let url = app.text("SELECT url FROM voicemail").await;
            let told = Form::call(&call).recording(&sid, "12", "x").with("RecordingUrl", &url);
            app.post("recording", &told.with("RecordingStatus", "completed")).await;
            assert!(fetch_is_due_in(app).await <= 0, "given up: {is_given_up}");
            assert_eq!(voicemail(app).await.state, VoicemailState::Pending, "given up: {is_given_up}");
        }
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    async fn an_officer_has_a_message_tried_again(app) {
        a_message(app).await;
        let id = voicemail(app).await.id;
        let call = app.number("SELECT call_id FROM voicemail").await;
        let callback = app.callback().await.id;
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        let mut observer = app.browser("Наблюдатель", Role::Observer).await;
        for (page, form) in [
            (format!("/calls/{call}"), format!("/calls/{call}/recordings/{id}/retry")),
            (format!("/callbacks?at={callback}"), format!("/callbacks/{callback}/retry")),
        ] {
            give_up(app).await;
            assert!(madina.get(&page).await.body.contains("Попробовать ещё раз"), "{page}");
            assert!(!observer.get(&page).await.body.contains("Попробовать ещё раз"), "{page}");
            let voicemail_id = id.to_string();
            let fields = [("voicemail", voicemail_id.as_str())];
            assert_eq!(observer.post(&form, &fields).await.status, 403, "{form}");
            assert_eq!(voicemail(app).await.state, VoicemailState::Failed, "{form}");
            assert_eq!(madina.post(&form, &fields).await.status, 303, "{form}");
            assert_eq!(voicemail(app).await.state, VoicemailState::Pending, "{form}");
            assert!(fetch_is_due_in(app).await <= 0, "{form}");
        }
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'retry'").await, 2);
    }

    async fn the_button_is_there_once_a_message_is_late(app) {
        a_message(app).await;
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        let page = madina.get("/callbacks").await.body;
        assert!(page.contains("обычно до 2 минут") && !page.contains("Попробовать ещё раз"));
        app.advance_minutes(3);
        let page = madina.get("/callbacks").await.body;
        assert!(page.contains("Попытки продолжаются") && page.contains("Попробовать ещё раз"));
        app.leave_the_jobs().await;
    }

    async fn a_program_has_a_message_tried_again(app) {
        a_message(app).await;
        let id = voicemail(app).await.id;
        give_up(app).await;
        let retry = || Request::post(format!("/api/v1/voicemails/{id}/retry")).header("sec-fetch-site", "same-origin");
        let mut observer = app.browser("Наблюдатель", Role::Observer).await;
        assert_eq!(observer.send(retry(), String::new()).await.status, 403);
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        let answer = madina.send(retry(), String::new()).await;
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, told["state"].as_str(), &told["failure"]), (200, Some("pending"), &Value::Null));
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(madina.send(retry(), String::new()).await.status, 409, "it is here");
        let nothing = Request::post("/api/v1/voicemails/1/retry").header("sec-fetch-site", "same-origin");
        assert_eq!(madina.send(nothing, String::new()).await.status, 404);
    }

    async fn a_pause_that_the_provider_asks_for_is_kept_within_bounds(app) {
        // The story's clock shows 20 November 2026, 16:30 UTC and some seconds.
        for (asked_for, seconds) in [
            ("600", 600..=600),
            ("Fri, 20 Nov 2026 17:30:00 GMT", 3_500..=3_600),
            ("0", 2..=2),
            ("Fri, 20 Nov 2020 17:30:00 GMT", 2..=2),
            ("999999999", 21_600..=21_600),
            ("nonsense", 2..=2),
        ] {
            let busy = move || (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, asked_for)]).into_response();
            let (base, _) = scripted(app, busy).await;
            app.sql("DELETE FROM voicemail").await;
            app.leave_the_jobs().await;
            app.sql("DELETE FROM call").await;
            app.sql("DELETE FROM call_key").await;
            a_message_at(app, &base).await;
            app.run_jobs().await;
            let due_in = fetch_is_due_in(app).await;
            assert!(seconds.contains(&due_in), "{asked_for}: {due_in}");
        }
    }

    /// A restore from a backup made five of five messages `failed` while their files lay in the folder.
    async fn a_whole_file_in_our_own_folder_is_adopted(app) {
        let sid = a_message(app).await;
        app.run_jobs().await;
        app.sql("UPDATE voicemail SET state = 'pending', name = NULL, deleted_at_provider_at = NULL").await;
        let id = voicemail(app).await.id;
        app.store().plan_job(perezvon::store::JobKind::FetchRecording, id, app.now()).await.unwrap();
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!(app.exchange.counters().fetched[&sid], 1, "nobody was asked");
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    async fn a_cut_file_in_our_folder_is_fetched_again_whole(app) {
        let sid = a_message(app).await;
        let whole = app.exchange.recording_wav(&sid).unwrap();
        let (id, at) = { let it = voicemail(app).await; (it.id, it.received_at) };
        let name = perezvon::recordings::RecordingName::of(id, at, "wav").unwrap();
        let path = app.folder.path().join("recordings").join(name.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        app.run_jobs().await;
        assert_eq!(stored_bytes(app).await, whole);
        assert_eq!(app.exchange.counters().deleted, [sid]);
    }

    /// The half was once all that officers ever heard: nobody asked for the whole again.
    async fn half_a_file_is_kept_for_now_and_fetched_whole_later(app) {
        app.exchange.set_faults(RestFaults { cut_files: 1, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_jobs().await;
        with_a_wrong_password(app).await;
        days_pass(app, 1).await;
        app.worker().sweep().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.alarm_kinds().await, ["recording_damaged", "recording_late"], "the password is still wrong");
        with_the_right_password(app).await;
        days_pass(app, 1).await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!(app.exchange.counters().deleted, [sid]);
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    async fn the_rest_of_a_half_is_tried_at_once_for_whoever_asks(app) {
        let sid = half_a_message(app).await;
        let id = voicemail(app).await.id;
        let retry = || Request::post(format!("/api/v1/voicemails/{id}/retry")).header("sec-fetch-site", "same-origin");
        let page = format!("/calls/{}", app.number("SELECT call_id FROM voicemail").await);
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        assert!(madina.get(&page).await.body.contains("Попробовать ещё раз"));
        let answer = madina.send(retry(), String::new()).await;
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, told["state"].as_str()), (200, Some("stored")), "it can be heard meanwhile");
        assert!(fetch_is_due_in(app).await <= 0);
        app.run_jobs().await;
        assert!(fetch_is_due_in(app).await > 0);
        let call = app.text("SELECT provider_call_id FROM call_key").await;
        let url = app.text("SELECT url FROM voicemail").await;
        let told = Form::call(&call).recording(&sid, "12", "x").with("RecordingUrl", &url);
        app.post("recording", &told.with("RecordingStatus", "completed")).await;
        assert!(fetch_is_due_in(app).await <= 0, "told again");
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        app.exchange.set_faults(RestFaults::default());
        app.run_all_jobs().await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!(madina.send(retry(), String::new()).await.status, 409, "all of it is here");
        assert!(!madina.get(&page).await.body.contains("Попробовать ещё раз"));
    }

    /// «Первая ждёт 40 дней», it was said of a message that had been heard long ago.
    async fn half_a_message_is_no_recording_on_its_way(app) {
        half_a_message(app).await;
        let page = app.browser("Завуч", Role::Admin).await.get("/health-ui").await.body;
        assert!(page.contains("0, все забраны") && !page.contains("первая ждёт"), "{page}");
        assert!(page.contains("Неполные записи") && page.contains("1\u{a0}запись: слушать можно"), "{page}");
        let ready: Value = serde_json::from_str(&app.get("/readyz").await.body).unwrap();
        assert_eq!(ready["oldest_job_seconds"], 0);
        app.leave_the_jobs().await;
    }

    async fn a_cut_file_is_kept_when_its_provider_has_no_other(app) {
        let (base, _) = scripted(app, || StatusCode::NOT_FOUND.into_response()).await;
        a_message_at(app, &base).await;
        let it = voicemail(app).await;
        let name = perezvon::recordings::RecordingName::of(it.id, it.received_at, "wav").unwrap();
        let path = app.folder.path().join("recordings").join(name.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &tone::wav_bytes(&[900; 7 * 8_000])[..50_000]).unwrap();
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.alarm_kinds().await, ["recording_damaged"]);
    }

    async fn a_recording_over_the_limit_stays_at_its_provider(app) {
        let (base, asked) = scripted(app, || {
            let length = [(header::CONTENT_LENGTH, (200 * 1024 * 1024).to_string())];
            (length, axum::body::Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>()))
                .into_response()
        })
        .await;
        a_message_at(app, &base).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Failed);
        let alarm = app.alarms().await.remove(0);
        assert!(alarm.told.contains("128 МБ") && alarm.told.contains("осталась у оператора"), "{}", alarm.told);
        assert_eq!(app.number("SELECT COUNT(*) FROM job WHERE kind = 'delete_recording'").await, 0);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    /// Set back while the service was down, the clock once left a message waiting for a year.
    async fn a_clock_set_back_while_the_service_was_down_delays_no_job(app) {
        app.exchange.set_faults(RestFaults { not_ready: 1, ..RestFaults::default() });
        let right = app.now();
        app.advance_minutes(365 * 24 * 60);
        a_message(app).await;
        app.run_jobs().await;
        app.clock.set(right);
        app.restart(|_| ()).await;
        assert_eq!(fetch_is_due_in(app).await, 2, "its own pause");
        app.run_all_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    /// Four recordings at a byte a second once stopped everything for two minutes, the telephones of officers too.
    async fn a_host_that_says_nothing_holds_up_no_other(app) {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slow = format!("http://{}", silent.local_addr().unwrap());
        for n in 1..=8 {
            let form = Form::call(&format!("CA{n}")).from(&format!("+7928000010{n}")).status("completed");
            app.post("recording", &form.recording(&format!("RE{n}"), "7", &slow).with("RecordingStatus", "completed")).await;
        }
        let last_slow = app.number("SELECT MAX(subject) FROM job WHERE kind = 'fetch_recording'").await;
        let sid = a_message(app).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let working = tokio::spawn(app.worker().run(stopped));
        let in_hand = format!(
            "SELECT COUNT(*) FROM job WHERE kind = 'fetch_recording' AND subject <= {last_slow} AND leased_until IS NOT NULL"
        );
        let done = async {
            let mut most = 0;
            while app.exchange.counters().deleted != [sid.clone()] {
                most = most.max(app.number(&in_hand).await);
            }
            most
        };
        let most = tokio::time::timeout(std::time::Duration::from_secs(300), done).await.expect("deleted beside the others");
        assert_eq!(most, 2, "of the slow host");
        stop.send(true).unwrap();
        working.await.unwrap();
        app.leave_the_jobs().await;
    }
}
