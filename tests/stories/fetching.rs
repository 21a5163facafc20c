//! The sound of a message: fetched from the provider by a durable job, checked, kept, and only then deleted there.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use perezvon::app::demo::{AtSignal, CallPlan, Ending, Purpose, RestFaults, Sound};
use perezvon::store::{Voicemail, VoicemailState};
use perezvon::time::SignedDuration;
use std::sync::{Arc, Mutex};

use crate::harness::{App, Form, PARENTS, lease_jobs, stories};

/// Someone calls over loopback and leaves a message of twelve seconds. The answer is the recording's id.
pub(crate) async fn a_message(app: &App) -> String {
    let plan = CallPlan::new("+79280000001", PARENTS).leaving(12_000, Ending::HangsUp);
    let report = app.exchange.call(plan).await;
    assert_eq!(report.warnings, Vec::<String>::new());
    report.recordings[0].sid.clone()
}

pub(crate) async fn voicemail(app: &App) -> Voicemail {
    let mut all = app.voicemails().await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub(crate) async fn stored_bytes(app: &App) -> Vec<u8> {
    let sound = voicemail(app).await.sound.expect("the sound is here");
    std::fs::read(app.folder.path().join("recordings").join(sound.name)).expect("its file is there")
}

/// Another provider's HTTP side in place of the simulated one: one answer to everything, and what it was asked.
pub(crate) async fn scripted(
    app: &App,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<(String, bool)>>>) {
    let asked: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let seen = asked.clone();
    let router = axum::Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
        seen.lock().unwrap().push((uri.path().to_owned(), headers.contains_key(header::AUTHORIZATION)));
        answer()
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    let api_base = base.clone();
    app.restart(|setup| setup.api_base = api_base).await;
    (base, asked)
}

/// Telnyx in place of the simulated provider: its storage knows the signature `fresh` alone, and its list of recordings
/// tells it to whoever shows the API key.
async fn telnyx(app: &App) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let storage = base.clone();
    let router = axum::Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
        let key = headers.get(header::AUTHORIZATION).map(|key| key.to_str().unwrap().to_owned());
        match (uri.path(), uri.query(), key.as_deref()) {
            ("/stored/RE1", Some("signature=fresh"), None) => {
                perezvon::recordings::tone::wav_bytes(&[900; 7 * 8_000]).into_response()
            }
            (path, Some("CallSid=CA1"), Some("Bearer api-key")) if path.ends_with("/Recordings.json") => {
                let recording = |sid: &str| {
                    let url = format!("{storage}/stored/{sid}?signature=fresh");
                    format!(r#"{{"sid": "{sid}", "call_sid": "CA1", "status": "completed", "media_url": "{url}"}}"#)
                };
                format!(r#"{{"recordings": [{}, {}]}}"#, recording("RE2"), recording("RE1")).into_response()
            }
            _ => StatusCode::FORBIDDEN.into_response(),
        }
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    let api_base = base.clone();
    app.restart(|setup| {
        let public_key = format!("{}=", "A".repeat(43));
        setup.provider_keys =
            format!("signature = \"telnyx\"\nauth_tokens = [\"{public_key}\"]\napi_token = \"api-key\"");
        setup.api_base = api_base;
    })
    .await;
    base
}

/// A message that lies at `base`.
pub(crate) async fn a_message_at(app: &App, base: &str) {
    app.post("voice", &Form::call("CA1")).await;
    let ended = Form::call("CA1").status("completed").recording("RE1", "7", base);
    app.post("recording", &ended.with("RecordingStatus", "completed")).await;
    app.post("status", &Form::call("CA1").status("completed")).await;
}

stories! {
    async fn a_message_is_fetched_measured_and_then_deleted_at_the_provider(app) {
        let sid = a_message(app).await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        app.run_jobs().await;
        let kept = voicemail(app).await;
        assert_eq!(kept.state, VoicemailState::Stored);
        let sound = kept.sound.unwrap();
        assert!(sound.speech_ms > 2_000 && (11_000..13_500).contains(&sound.length_ms), "{sound:?}");
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!(app.exchange.counters().deleted, [sid]);
        assert!(kept.deleted_at_provider_at.is_some());
    }

    async fn a_recording_that_is_not_ready_yet_is_asked_for_again(app) {
        app.exchange.set_faults(RestFaults { not_ready: 3, server_errors: 2, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        assert!(app.exchange.counters().deleted.is_empty());
        app.run_all_jobs().await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!((app.exchange.counters().fetched[&sid], app.exchange.counters().faults), (1, 5));
    }

    async fn a_download_that_breaks_off_leaves_nothing_and_is_repeated(app) {
        app.exchange.set_faults(RestFaults { lost_connections: 2, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_jobs().await;
        let partial = app.folder.path().join("recordings/.partial");
        assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0);
        app.run_all_jobs().await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
    }

    async fn a_file_cut_short_is_fetched_again_and_never_costs_the_original(app) {
        app.exchange.set_faults(RestFaults { cut_files: 1, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_jobs().await;
        assert!(app.exchange.counters().deleted.is_empty());
        app.run_all_jobs().await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!(voicemail(app).await.sound.unwrap().damage, "");
        assert_eq!(app.exchange.counters().deleted, [sid]);
    }

    /// The tries that found nothing were once counted as tries of the damaged file, which then was kept as it was.
    async fn a_file_cut_short_after_a_slow_beginning_is_fetched_again_all_the_same(app) {
        app.exchange.set_faults(RestFaults { not_ready: 5, cut_files: 1, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!(stored_bytes(app).await, app.exchange.recording_wav(&sid).unwrap());
        assert_eq!(app.exchange.counters().deleted, [sid]);
    }

    async fn a_file_that_stays_damaged_is_kept_as_it_is_with_an_alarm_and_the_original_is_left(app) {
        app.exchange.set_faults(RestFaults { cut_files: 100, ..RestFaults::default() });
        a_message(app).await;
        app.run_all_jobs().await;
        let kept = voicemail(app).await;
        assert_eq!(kept.state, VoicemailState::Stored);
        assert!(!kept.sound.unwrap().damage.is_empty());
        assert!(app.exchange.counters().deleted.is_empty());
        assert_eq!(app.alarm_kinds().await, ["recording_damaged"]);
    }

    /// Of 25 seconds that officers could hear two were left when the next answer was cut off earlier.
    async fn half_a_message_is_replaced_by_more_of_it_alone(app) {
        let whole = perezvon::recordings::tone::wav_bytes(&[900; 7 * 8_000]);
        let cut = |seconds: usize| whole[..44 + seconds * 16_000].to_vec();
        let sent = Arc::new(Mutex::new(cut(4)));
        let answer = sent.clone();
        let (base, _) = scripted(app, move || answer.lock().unwrap().clone().into_response()).await;
        a_message_at(app, &base).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        for (answer, kept) in [(cut(2), cut(4)), (cut(5), cut(5)), (cut(1), cut(5)), (whole.clone(), whole.clone())] {
            sent.lock().unwrap().clone_from(&answer);
            let id = voicemail(app).await.id;
            app.store().plan_job(perezvon::store::JobKind::FetchRecording, id, app.now()).await.unwrap();
            app.run_all_jobs().await;
            assert!(stored_bytes(app).await == kept, "{} bytes came", answer.len());
            let sound = voicemail(app).await.sound.unwrap();
            assert_eq!(sound.size_bytes, kept.len() as i64, "{} bytes came", answer.len());
        }
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    /// «Есть сообщения, записи которых нет больше часа», it was said of one that officers could hear.
    async fn half_a_message_that_can_be_heard_is_not_called_late(app) {
        let half = perezvon::recordings::tone::wav_bytes(&[900; 7 * 8_000])[..60_000].to_vec();
        let sent = Arc::new(Mutex::new(half));
        let answer = sent.clone();
        let (base, _) = scripted(app, move || answer.lock().unwrap().clone().into_response()).await;
        a_message_at(app, &base).await;
        app.run_all_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_damaged"]);
        *sent.lock().unwrap() = b"<html>come again later</html>".to_vec();
        let id = voicemail(app).await.id;
        app.store().plan_job(perezvon::store::JobKind::FetchRecording, id, app.now()).await.unwrap();
        for _ in 0..6 {
            app.run_jobs().await;
            app.advance_minutes(60);
        }
        assert!(app.text("SELECT last_error FROM job").await.contains("HTML"), "it was asked for");
        assert_eq!(app.alarm_kinds().await, ["recording_damaged"]);
        app.leave_the_jobs().await;
    }

    /// A crash between the renaming and the commit leaves a row that knows another file.
    async fn a_row_that_knows_another_half_than_the_folder_is_set_right(app) {
        let whole = perezvon::recordings::tone::wav_bytes(&[900; 7 * 8_000]);
        let cut = |seconds: usize| whole[..44 + seconds * 16_000].to_vec();
        let answer = cut(3);
        let (base, _) = scripted(app, move || answer.clone().into_response()).await;
        a_message_at(app, &base).await;
        app.run_all_jobs().await;
        let known = voicemail(app).await;
        let path = app.folder.path().join("recordings").join(known.sound.unwrap().name);
        std::fs::write(path, cut(5)).unwrap();
        app.store().plan_job(perezvon::store::JobKind::FetchRecording, known.id, app.now()).await.unwrap();
        app.run_all_jobs().await;
        assert_eq!((stored_bytes(app).await, voicemail(app).await.sound.unwrap().length_ms), (cut(5), 5_000));
    }

    async fn somebody_is_told_after_an_hour_and_the_alarm_goes_with_its_cause(app) {
        app.exchange.set_faults(RestFaults { not_ready: 10_000, ..RestFaults::default() });
        a_message(app).await;
        let began_at = app.now();
        while app.alarms().await.is_empty() {
            let next_at = app.store().next_job_at().await.unwrap().unwrap();
            app.clock.set(app.now().max(next_at));
            app.run_jobs().await;
        }
        assert_eq!(app.alarm_kinds().await, ["recording_late"]);
        let waited = app.now().duration_since(began_at);
        assert!((SignedDuration::from_mins(60)..SignedDuration::from_mins(125)).contains(&waited), "{waited}");
        app.exchange.set_faults(RestFaults::default());
        app.run_all_jobs().await;
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    async fn what_its_provider_does_not_have_for_60_days_is_given_up(app) {
        app.exchange.set_faults(RestFaults { not_ready: 10_000, ..RestFaults::default() });
        a_message(app).await;
        let began_at = app.now();
        app.run_all_jobs().await;
        assert!(app.now().duration_since(began_at) >= SignedDuration::from_hours(60 * 24), "{}", app.now());
        let lost = voicemail(app).await;
        assert_eq!(lost.state, VoicemailState::Failed);
        assert!(lost.failure.unwrap().contains("404"));
        assert_eq!(app.alarm_kinds().await, ["recording_lost"], "it is late no longer");
        assert_eq!(app.callbacks().await.len(), 1);
        assert_eq!(app.store().jobs_summary().await.unwrap().given_up, [("fetch_recording".to_owned(), 1)]);
    }

    async fn a_redirect_to_a_stranger_is_refused_and_he_never_sees_the_password(app) {
        let met: Arc<Mutex<u32>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stranger = format!("http://localhost:{}/RE1.wav", listener.local_addr().unwrap().port());
        let count = met.clone();
        let router = axum::Router::new().fallback(async move |headers: HeaderMap| {
            *count.lock().unwrap() += u32::from(headers.contains_key(header::AUTHORIZATION));
            "nothing that sounds"
        });
        tokio::spawn(async { axum::serve(listener, router).await });
        for location in [stranger.as_str(), "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "//evil.example/x", "http://a:b@127.0.0.1/"] {
            app.exchange.set_faults(RestFaults { redirect_to: Some(location.to_owned()), ..RestFaults::default() });
            app.sql("DELETE FROM voicemail").await;
            a_message(app).await;
            app.run_jobs().await;
            assert_ne!(voicemail(app).await.state, VoicemailState::Stored, "{location}");
            let error = app.text("SELECT last_error FROM job WHERE kind = 'fetch_recording' ORDER BY id DESC").await;
            // Another port of this very machine may be looked at, as the configuration itself is here; but as a stranger.
            let is_refused = error.contains("trust") || error.contains("307") || location == stranger;
            assert!(is_refused, "{location}: {error}");
            app.leave_the_jobs().await;
            app.sql("DELETE FROM callback").await;
        }
        assert_eq!(*met.lock().unwrap(), 0, "the password was shown to a stranger");
        assert!(app.exchange.counters().deleted.is_empty());
    }

    async fn an_address_from_a_webhook_that_is_not_the_providers_is_never_asked(app) {
        let (base, asked) = scripted(app, || StatusCode::NOT_FOUND.into_response()).await;
        let stranger = base.replace("127.0.0.1", "localhost");
        for (n, url) in [stranger.as_str(), "https://evil.example/RE1", "http://127.0.0.1:1@evil.example/", "gopher://127.0.0.1/"].into_iter().enumerate() {
            let form = Form::call(&format!("CA{n}")).from(&format!("+7928000000{n}")).status("completed");
            let form = form.recording("RE1", "7", "x").with("RecordingUrl", url).with("RecordingStatus", "completed");
            app.post("recording", &form).await;
        }
        app.run_jobs().await;
        let states = async || app.voicemails().await.iter().map(|voicemail| voicemail.state).collect::<Vec<_>>();
        assert_eq!(states().await, [VoicemailState::Pending; 4]);
        assert_eq!(app.alarm_kinds().await, ["recording_late"; 4], "each host is to be allowed or not");
        for _ in 0..20 {
            app.advance_minutes(360);
            app.run_jobs().await;
        }
        assert_eq!(states().await, [VoicemailState::Pending; 4], "somebody may add the host to the configuration");
        assert_eq!(*asked.lock().unwrap(), []);
        assert_eq!(app.alarm_kinds().await, ["recording_late"; 4]);
    }

    /// A host forgotten in `recording_hosts` once cost the message at the first try.
    async fn a_storage_that_the_configuration_forgot_costs_no_message(app) {
        a_message(app).await;
        let url = app.text("SELECT url FROM voicemail").await;
        app.sql("UPDATE voicemail SET url = 'https://storage.example/RE1'").await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        let alarms = app.alarms().await;
        assert_eq!((alarms.len(), alarms[0].kind.as_str()), (1, "recording_late"));
        assert!(alarms[0].told.contains("storage.example") && alarms[0].told.contains("recording_hosts"), "{alarms:?}");
        app.sql(&format!("UPDATE voicemail SET url = '{url}'")).await;
        app.advance_minutes(60);
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    async fn a_redirect_that_is_not_allowed_costs_no_message(app) {
        let redirect_to = Some("http://169.254.169.254/latest/meta-data".to_owned());
        app.exchange.set_faults(RestFaults { redirect_to, ..RestFaults::default() });
        a_message(app).await;
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_late"]);
        app.advance_minutes(120);
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        app.exchange.set_faults(RestFaults::default());
        app.run_all_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    async fn an_error_page_with_status_200_is_no_recording(app) {
        let xml = "<?xml version=\"1.0\"?><TwilioResponse><RestException><Status>404</Status></RestException></TwilioResponse>";
        let (base, _) = scripted(app, move || ([(header::CONTENT_TYPE, "application/xml")], xml).into_response()).await;
        a_message_at(app, &base).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        assert!(!app.text("SELECT last_error FROM job WHERE kind = 'fetch_recording'").await.is_empty());
    }

    async fn an_empty_answer_is_no_recording(app) {
        let (base, _) = scripted(app, || StatusCode::OK.into_response()).await;
        a_message_at(app, &base).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
    }

    async fn a_refused_password_raises_an_alarm_at_once_and_is_tried_again(app) {
        let (base, asked) = scripted(app, || StatusCode::UNAUTHORIZED.into_response()).await;
        a_message_at(app, &base).await;
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_late"]);
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        assert!(asked.lock().unwrap().iter().all(|(_, with_credentials)| *with_credentials));
    }

    async fn a_recording_larger_than_any_message_is_refused(app) {
        let (base, _) = scripted(app, || {
            let megabyte = bytes::Bytes::from(vec![0; 1 << 20]);
            let begin = bytes::Bytes::from(perezvon::recordings::tone::wav_bytes(&[0; 800]));
            let pieces = std::iter::once(begin).chain(std::iter::repeat_n(megabyte, 140));
            axum::body::Body::from_stream(futures_util::stream::iter(pieces.map(Ok::<_, std::io::Error>))).into_response()
        })
        .await;
        a_message_at(app, &base).await;
        app.run_jobs().await;
        let refused = voicemail(app).await;
        assert_eq!(refused.state, VoicemailState::Failed);
        assert!(refused.failure.unwrap().contains("larger"));
        assert_eq!(app.alarm_kinds().await, ["recording_lost"]);
        assert_eq!(std::fs::read_dir(app.folder.path().join("recordings/.partial")).unwrap().count(), 0);
    }

    async fn nothing_is_deleted_at_the_provider_while_the_disk_refuses(app) {
        a_message(app).await;
        let partial = app.folder.path().join("recordings/.partial");
        std::fs::remove_dir_all(&partial).unwrap();
        std::fs::write(&partial, "in the way").unwrap();
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        assert!(app.exchange.counters().deleted.is_empty());
        assert_eq!(app.get("/readyz").await.status, 503);
        std::fs::remove_file(&partial).unwrap();
        std::fs::create_dir(&partial).unwrap();
        app.run_all_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.exchange.counters().deleted.len(), 1);
    }

    async fn deletion_is_repeated_until_it_is_done_and_gone_counts_as_done(app) {
        app.exchange.set_faults(RestFaults { deletion_errors: 3, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_all_jobs().await;
        assert_eq!(app.exchange.counters().deleted, [sid]);
        let (base, _) = scripted(app, || StatusCode::NOT_FOUND.into_response()).await;
        let _ = base;
        let id = voicemail(app).await.id;
        app.sql("UPDATE voicemail SET deleted_at_provider_at = NULL").await;
        app.store().plan_job(perezvon::store::JobKind::DeleteRecording, id, app.now()).await.unwrap();
        app.run_jobs().await;
        assert!(voicemail(app).await.deleted_at_provider_at.is_some());
        assert_eq!(app.count("job").await, 0);
    }

    /// The copy of a provider that was taken out of the configuration once counted as deleted.
    async fn a_copy_of_a_provider_that_is_configured_no_longer_is_deleted_when_it_is_back(app) {
        app.exchange.set_faults(RestFaults { deletion_errors: 1, ..RestFaults::default() });
        let sid = a_message(app).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        app.restart(|setup| setup.provider = "other").await;
        app.advance_minutes(60);
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_not_deleted"]);
        assert_eq!(app.number("SELECT COUNT(*) FROM job WHERE kind = 'delete_recording'").await, 1);
        app.restart(|setup| setup.provider = "twilio").await;
        app.run_all_jobs().await;
        assert_eq!(app.exchange.counters().deleted, [sid]);
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    /// Raised before a commit that failed, it once stood for ever.
    async fn alarms_about_a_recording_end_when_it_is_stored_whole(app) {
        a_message(app).await;
        let id = voicemail(app).await.id.to_string();
        for kind in ["recording_damaged", "recording_lost"] {
            app.store().raise_alarm(kind, &id, "Что-то с записью.", app.now()).await.unwrap();
        }
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
    }

    /// The way to ask for a fresh address was there, and nobody went it: after ten minutes the message was out of reach.
    async fn an_address_that_has_expired_is_asked_for_anew(app) {
        a_message_at(app, "http://127.0.0.1:1").await;
        let base = telnyx(app).await;
        let id = voicemail(app).await.id;
        let told_urls = [format!("'{base}/stored/RE1?signature=old'"), "NULL".to_owned()];
        for (recording_id, url) in [("RE1", &told_urls[0]), ("of-our-making", &told_urls[0]), ("RE1", &told_urls[1])] {
            let pending = format!("state = 'pending', name = NULL, url = {url}, recording_id = '{recording_id}'");
            app.sql(&format!("UPDATE voicemail SET {pending}")).await;
            app.sql("DELETE FROM job").await;
            app.store().plan_job(perezvon::store::JobKind::FetchRecording, id, app.now()).await.unwrap();
            app.run_jobs().await;
            assert_eq!(voicemail(app).await.state, VoicemailState::Stored, "{recording_id} {url}");
        }
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
        app.leave_the_jobs().await;
    }

    /// What a clock a year ahead had planned or leased once waited for that year.
    async fn jobs_planned_and_leased_by_a_clock_that_ran_ahead_run_when_it_is_set_right(app) {
        app.exchange.set_faults(RestFaults { not_ready: 1, ..RestFaults::default() });
        let right = app.now();
        let a_year_ms = 365 * 24 * 3_600_000;
        app.advance_minutes(a_year_ms / 60_000);
        app.message_from("CA2", "+79280000002").await;
        assert_eq!(lease_jobs(&app.store(), app.now()).await.len(), 1);
        a_message(app).await;
        app.run_jobs().await;
        app.clock.set(right);
        app.worker().clock_jumped(-a_year_ms, app.now()).await;
        assert!(app.number("SELECT MAX(created_at) FROM job").await <= right.as_millisecond());
        app.advance_minutes(61);
        assert!(app.run_jobs().await >= 2);
        let states: Vec<_> = app.voicemails().await.iter().map(|voicemail| voicemail.state).collect();
        assert!(states.contains(&VoicemailState::Stored), "{states:?}");
        app.leave_the_jobs().await;
    }

    /// It once waited for ten minutes after every restart.
    async fn a_fetch_cut_off_by_a_crash_is_done_again_at_the_next_start(app) {
        a_message(app).await;
        assert!(!lease_jobs(&app.store(), app.now()).await.is_empty());
        assert_eq!(app.run_jobs().await, 0, "it is in hand");
        app.crash().await;
        app.restart(|_| ()).await;
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    async fn nobody_takes_the_jobs_of_another_living_instance(app) {
        a_message(app).await;
        let (store, worker) = app.second_house().await;
        assert!(!lease_jobs(&store, app.now()).await.is_empty());
        app.restart(|_| ()).await;
        assert_eq!(app.run_jobs().await, 0, "the other one is at it");
        drop(worker);
        store.close().await;
        app.advance_minutes(10);
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored, "it never came back");
    }

    /// A start once freed what a colleague held whose clock was a second ahead, and the job was done twice.
    async fn clock_a_little_ahead_costs_no_instance_its_jobs(app) {
        a_message(app).await;
        let (store, other) = app.second_house().await;
        for seconds in [1, 60] {
            let ahead = app.now() + SignedDuration::from_secs(seconds);
            assert!(!lease_jobs(&store, ahead).await.is_empty());
            app.worker().resume().await.unwrap();
            assert_eq!(app.run_jobs().await, 0, "{seconds} s");
            store.give_leases_back().await.unwrap();
        }
        lease_jobs(&store, app.now() + SignedDuration::from_secs(61)).await;
        app.worker().resume().await.unwrap();
        assert!(app.run_jobs().await > 0);
        drop(other);
        store.close().await;
        app.leave_the_jobs().await;
    }

    async fn a_worker_that_stops_gives_its_jobs_back(app) {
        a_message(app).await;
        assert!(!lease_jobs(&app.store(), app.now()).await.is_empty());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        stop.send(true).unwrap();
        app.worker().run(stopped).await;
        assert_eq!(app.number("SELECT COUNT(*) FROM job WHERE leased_until IS NOT NULL").await, 0);
        app.leave_the_jobs().await;
    }

    async fn a_message_of_a_provider_that_is_configured_no_longer_waits_with_an_alarm(app) {
        a_message(app).await;
        app.restart(|setup| setup.provider = "other").await;
        app.run_jobs().await;
        assert_eq!(app.alarm_kinds().await, ["recording_late"]);
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        app.restart(|setup| setup.provider = "twilio").await;
        app.run_all_jobs().await;
        assert_eq!(app.alarm_kinds().await, Vec::<String>::new());
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    async fn an_absent_recording_closes_the_call_and_leaves_the_caller_on_the_list(app) {
        let report = app.exchange.call(CallPlan::new("+79280000001", PARENTS).at_signal(AtSignal::StaysSilent)).await;
        assert_eq!(report.sent(Purpose::Recording).next().unwrap().field("RecordingStatus"), "absent");
        assert_eq!(app.call(&report.sid).await.outcome().as_str(), "no_message");
        assert_eq!((app.callbacks().await.len(), app.voicemails().await.len()), (1, 0));
        app.run_all_jobs().await;
        assert_eq!(app.callbacks().await.len(), 1);
    }

    async fn a_tone_and_a_very_short_message_are_labelled_and_never_thrown_away(app) {
        for (caller, sound) in [
            ("+79280000001", Sound::BusyTone { length_ms: 8_000 }),
            ("+79280000002", Sound::Speech { length_ms: 1_200, voice: 3, number: String::new() }),
        ] {
            let plan = CallPlan::new(caller, PARENTS).at_signal(AtSignal::Leaves { sound, then: Ending::HangsUp });
            app.exchange.call(plan).await;
        }
        app.run_jobs().await;
        let kept = app.voicemails().await;
        assert_eq!(kept.iter().map(|voicemail| voicemail.state).collect::<Vec<_>>(), [VoicemailState::Stored; 2]);
        let speech: Vec<i64> = kept.iter().map(|voicemail| voicemail.sound.as_ref().unwrap().speech_ms).collect();
        assert!(speech.iter().all(|speech_ms| *speech_ms < 2_000), "{speech:?}");
        assert_eq!(app.callbacks().await.len(), 2);
    }
}
