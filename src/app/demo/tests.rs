//! The simulated provider against a service of a few lines: what it sends, hears, keeps and forgives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::*;
use crate::providers::twiml::form_signature;
use crate::recordings::tone;
use crate::time::{Clock, TimeZone, Timestamp};

const TOKEN: &str = "12345678901234567890123456789012";
const ACCOUNT: &str = "AC00000000000000000000000000000001";
const PUBLIC_URL: &str = "https://calls.example.org";
const VOICEMAIL: &str = "<Response><Gather numDigits=\"1\" timeout=\"1\" action=\"/signal\"><Say>Здравствуйте!</Say></Gather>\
    <Record action=\"/done\" maxLength=\"20\" timeout=\"10\" finishOnKey=\"#\" recordingStatusCallback=\"/recorded\" \
    recordingStatusCallbackEvent=\"completed absent\"/><Redirect>/done</Redirect></Response>";
const GOODBYE: &str = "<Response><Say>До свидания.</Say><Hangup/></Response>";

/// A service that answers each path with the same reply, and checks each signature.
#[derive(Clone, Default)]
struct Stub {
    replies: Arc<BTreeMap<&'static str, (u16, &'static str, &'static str)>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    fn new(replies: &[(&'static str, &'static str)]) -> Self {
        Self::with(replies.iter().map(|(path, xml)| (*path, (200, "text/xml", *xml))))
    }

    fn with(replies: impl IntoIterator<Item = (&'static str, (u16, &'static str, &'static str))>) -> Self {
        Self { replies: Arc::new(replies.into_iter().collect()), seen: Arc::default() }
    }

    async fn answer(&self, uri: Uri, headers: &HeaderMap, body: &str) -> Response {
        let form: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(
            headers["x-twilio-signature"],
            *form_signature(TOKEN, &format!("{PUBLIC_URL}{uri}"), &form),
            "{uri}"
        );
        self.seen.lock().unwrap().push(uri.to_string());
        if uri.path() == "/prompt.wav" {
            return tone::wav_bytes(&tone::silence(7_000)).into_response();
        }
        match self.replies.get(uri.path()) {
            Some((status, kind, text)) => {
                (StatusCode::from_u16(*status).unwrap(), [(header::CONTENT_TYPE, *kind)], *text).into_response()
            }
            None => StatusCode::NO_CONTENT.into_response(),
        }
    }

    /// Starts the service and a provider that calls it.
    async fn exchange(&self) -> Exchange {
        let stub = self.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook_base = format!("http://{}/webhooks/demo", listener.local_addr().unwrap());
        let router =
            axum::Router::new().fallback(async move |_: Method, uri: Uri, headers: HeaderMap, body: String| {
                stub.answer(uri, &headers, &body).await
            });
        tokio::spawn(async { axum::serve(listener, router).await });
        let settings = ExchangeSettings {
            account_sid: ACCOUNT.to_owned(),
            auth_token: TOKEN.to_owned(),
            webhook_base,
            public_url: PUBLIC_URL.to_owned(),
            clock: Clock::standing_at(friday_at_17()),
            advances_clock: true,
            voices: Voices::generated(),
        };
        Exchange::start(settings).await.unwrap()
    }
}

fn friday_at_17() -> Timestamp {
    "2026-11-20T17:00:00+03:00".parse().unwrap()
}

fn caller() -> CallPlan {
    CallPlan::new("+79280000112", "+79288328088")
}

fn purposes(report: &CallReport) -> Vec<Purpose> {
    report.requests.iter().map(|sent| sent.purpose).collect()
}

#[tokio::test]
async fn a_caller_who_presses_no_key_comes_to_the_next_verb() {
    let exchange = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/done", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().leaving(4_000, Ending::Presses('#'))).await;
    assert_eq!(report.verbs, ["Gather", "Say", "Record", "Say", "Hangup"]);
    assert_eq!(report.heard, ["Здравствуйте!", "До свидания."]);
    assert_eq!((report.ended, report.was_offered), (Ended::ServiceHungUp, true));
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_in_the_greeting_asks_for_the_action_at_once() {
    let exchange = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/signal", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().at_prompt(AtPrompt::Skips('1'))).await;
    assert_eq!(report.sent(Purpose::Action).next().unwrap().field("Digits"), "1");
    assert!(!report.was_offered);
}

#[tokio::test]
async fn typed_digits_end_at_the_finish_key() {
    let asks = "<Response><Gather action=\"/typed\" timeout=\"8\"><Say>Наберите номер</Say></Gather></Response>";
    let exchange = Stub::new(&[("/webhooks/demo/voice", asks), ("/typed", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().at_prompt(AtPrompt::Types("89280000112#".to_owned()))).await;
    assert_eq!(report.sent(Purpose::Action).next().unwrap().field("Digits"), "89280000112");
}

#[tokio::test]
async fn hanging_up_ends_a_message_and_the_last_answer_is_not_played() {
    let exchange = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/done", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().leaving(4_000, Ending::HangsUp)).await;
    let action = report.sent(Purpose::Action).next().unwrap();
    assert_eq!((action.field("Digits"), action.field("CallStatus")), ("hangup", "completed"));
    assert_eq!(action.field("RecordingDuration"), "4");
    assert_eq!((report.heard.len(), report.ended), (1, Ended::CallerHungUp));
    let statuses: Vec<_> = report.sent(Purpose::Status).map(|sent| sent.field("CallStatus")).collect();
    assert_eq!(statuses, ["initiated", "ringing", "in-progress", "completed"]);
    let end = report.sent(Purpose::Status).last().unwrap();
    assert_eq!((end.field("SequenceNumber"), end.field("Timestamp")), ("3", "Fri, 20 Nov 2026 14:00:06 +0000"));
    let recorded = report.sent(Purpose::Recording).next().unwrap();
    assert_eq!(
        (recorded.field("RecordingStatus"), recorded.field("RecordingUrl")),
        ("completed", action.field("RecordingUrl"))
    );
}

#[tokio::test]
async fn silence_passes_over_the_record_and_is_reported_as_absent() {
    let exchange = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/done", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().at_signal(AtSignal::StaysSilent)).await;
    assert_eq!(report.verbs, ["Gather", "Say", "Record", "Redirect", "Say", "Hangup"]);
    let recorded = report.sent(Purpose::Recording).next().unwrap();
    assert_eq!((recorded.field("RecordingStatus"), recorded.field("ErrorCode")), ("absent", "16102"));
}

#[tokio::test]
async fn a_message_is_cut_at_the_longest_length_and_the_dialogue_goes_on() {
    let exchange = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/done", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().leaving(60_000, Ending::HangsUp)).await;
    let action = report.sent(Purpose::Action).next().unwrap();
    assert_eq!((action.field("RecordingDuration"), action.field("CallStatus")), ("20", "in-progress"));
    assert_eq!(report.ended, Ended::ServiceHungUp);
}

#[tokio::test]
async fn officers_phones_are_rung_and_what_came_of_it_is_told() {
    let dials = "<Response><Dial action=\"/dialled\" timeout=\"20\">+79280000500</Dial></Response>";
    for (plan, status, seconds, ended) in [
        (caller().answered(95), "completed", "95", Ended::ServiceHungUp),
        (caller().rung([Officer::Busy]), "busy", "", Ended::ServiceHungUp),
        (caller(), "no-answer", "", Ended::ServiceHungUp),
        (caller().rung([Officer::Dead]), "failed", "", Ended::ServiceHungUp),
        (caller().patient(12_000), "canceled", "", Ended::CallerHungUp),
    ] {
        let exchange = Stub::new(&[("/webhooks/demo/voice", dials), ("/dialled", GOODBYE)]).exchange().await;
        let report = exchange.call(plan).await;
        let action = report.sent(Purpose::Action).next().unwrap();
        assert_eq!((action.field("DialCallStatus"), action.field("DialCallDuration")), (status, seconds));
        assert_eq!(report.ended, ended);
    }
}

#[tokio::test]
async fn a_failure_goes_to_the_fallback_and_a_second_one_ends_the_call() {
    for (broken, code) in [
        ((500, "text/xml", GOODBYE), "11200"),
        ((200, "text/html", GOODBYE), "12300"),
        ((200, "text/xml", "<Response>"), "12100"),
    ] {
        let works = [("/webhooks/demo/voice", broken), ("/webhooks/demo/fallback", (200, "text/xml", GOODBYE))];
        let report = Stub::with(works).exchange().await.call(caller()).await;
        let fallback = report.sent(Purpose::Fallback).next().unwrap();
        assert_eq!((fallback.field("ErrorCode"), report.ended), (code, Ended::ServiceHungUp));
        assert_eq!(fallback.field("ErrorUrl"), "https://calls.example.org/webhooks/demo/voice");

        let fails = [("/webhooks/demo/voice", broken), ("/webhooks/demo/fallback", broken)];
        let report = Stub::with(fails).exchange().await.call(caller()).await;
        assert_eq!(report.ended, Ended::Failed { code: code.parse().unwrap() });
    }
}

#[tokio::test]
async fn a_prompt_is_fetched_and_lasts_as_long_as_its_sound() {
    let plays = "<Response><Play>/prompt.wav</Play><Pause length=\"2\"/></Response>";
    let report = Stub::new(&[("/webhooks/demo/voice", plays)]).exchange().await.call(caller()).await;
    assert_eq!(report.heard, ["[https://calls.example.org/prompt.wav]"]);
    assert_eq!(report.sent(Purpose::Status).last().unwrap().field("CallDuration"), "9");
    assert_eq!((report.warnings, report.ended), (vec![], Ended::NothingLeft));

    let plays = "<Response><Play>/nothing.wav</Play></Response>";
    let report = Stub::new(&[("/webhooks/demo/voice", plays)]).exchange().await.call(caller()).await;
    assert_eq!(report.warnings.len(), 1);
}

#[tokio::test]
async fn a_dialogue_that_runs_in_circles_is_stopped() {
    let circle = "<Response><Redirect>/webhooks/demo/voice</Redirect></Response>";
    let report = Stub::new(&[("/webhooks/demo/voice", circle)]).exchange().await.call(caller()).await;
    assert_eq!(report.ended, Ended::Looped);
    assert_eq!(report.sent(Purpose::Voice).chain(report.sent(Purpose::Action)).count(), 30);
}

#[tokio::test]
async fn what_the_provider_does_not_know_is_a_warning() {
    let strange = "<Response><Say mood=\"kind\">а</Say><Dance/></Response>";
    let report = Stub::new(&[("/webhooks/demo/voice", strange)]).exchange().await.call(caller()).await;
    assert_eq!(report.warnings.len(), 3, "{:?}", report.warnings);
    assert_eq!(report.ended, Ended::NothingLeft);
}

#[tokio::test]
async fn requests_come_twice_late_or_never_as_the_plan_says() {
    let stub = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/done", GOODBYE)]);
    let exchange = stub.exchange().await;
    let mut twice = caller().leaving(4_000, Ending::Presses('#'));
    twice.delivery.twice = true;
    let report = exchange.call(twice).await;
    assert!(report.requests.chunks(2).all(|pair| pair[0].form == pair[1].form && pair[0].url == pair[1].url));
    assert_eq!(stub.seen.lock().unwrap().len(), 14);

    let mut reversed = caller().leaving(4_000, Ending::HangsUp);
    reversed.delivery.reversed = true;
    let report = exchange.call(reversed).await;
    use Purpose::{Action, Recording, Status, Voice};
    assert_eq!(purposes(&report), [Voice, Recording, Action, Status, Status, Status, Status]);
    assert_eq!(report.sent(Status).next().unwrap().field("SequenceNumber"), "3");

    let mut lost = caller().leaving(4_000, Ending::HangsUp);
    lost.delivery.lost = vec![Recording, Status];
    let report = exchange.call(lost).await;
    assert!(report.sent(Recording).chain(report.sent(Status)).all(|sent| sent.status.is_none()));
    assert_eq!(report.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn recordings_are_fetched_with_the_password_and_deleted_once() {
    let exchange = Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/done", GOODBYE)]).exchange().await;
    let report = exchange.call(caller().leaving(4_000, Ending::HangsUp)).await;
    let sid = &report.recordings[0].sid;
    let url = report.sent(Purpose::Action).next().unwrap().field("RecordingUrl");
    assert_eq!(url, format!("{}/Accounts/{ACCOUNT}/Recordings/{sid}", exchange.api_base()));

    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = async |url: String| client.get(url).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap();
    assert_eq!(client.get(format!("{url}.wav")).send().await.unwrap().status(), 401);
    exchange.set_faults(RestFaults { not_ready: 1, server_errors: 1, lost_connections: 1, ..RestFaults::default() });
    assert_eq!(get(format!("{url}.wav")).await.status(), 404);
    assert_eq!(get(format!("{url}.wav")).await.status(), 500);
    assert!(get(format!("{url}.wav")).await.bytes().await.is_err());
    let whole = exchange.recording_wav(sid).unwrap();
    assert_eq!(get(url.to_owned()).await.bytes().await.unwrap(), whole);

    exchange.set_faults(RestFaults {
        cut_files: 5,
        redirect_to: Some("http://127.0.0.1:1/elsewhere".to_owned()),
        deletion_errors: 1,
        ..RestFaults::default()
    });
    assert_eq!(get(format!("{url}.wav")).await.bytes().await.unwrap(), whole[..whole.len() / 2]);
    assert_eq!(get(format!("{url}.wav")).await.status(), 307);

    let list = get(format!("{}/Accounts/{ACCOUNT}/Recordings.json?CallSid={}", exchange.api_base(), report.sid)).await;
    let list: Value = serde_json::from_slice(&list.bytes().await.unwrap()).unwrap();
    assert_eq!(list["recordings"][0]["sid"], **sid);
    let call = get(format!("{}/Accounts/{ACCOUNT}/Calls/{}.json", exchange.api_base(), report.sid)).await;
    let call: Value = serde_json::from_slice(&call.bytes().await.unwrap()).unwrap();
    assert_eq!((&call["status"], &call["duration"]), (&"completed".into(), &"6".into()));

    let delete = async || client.delete(format!("{url}.json")).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap();
    for status in [500, 204, 404] {
        assert_eq!(delete().await.status(), status);
    }
    let counters = exchange.counters();
    assert_eq!((counters.fetched[sid], counters.faults, counters.refused), (1, 6, 1));
    assert!(counters.deleted.iter().eq([sid]));
    exchange.stop().await;
}

#[tokio::test]
async fn a_whole_friday_evening_goes_by_in_order_and_is_told() {
    let at: Timestamp = "2026-11-20T19:30:00+03:00".parse().unwrap();
    let exchange =
        Stub::new(&[("/webhooks/demo/voice", VOICEMAIL), ("/signal", VOICEMAIL), ("/done", GOODBYE)]).exchange().await;
    let mut reports = Vec::new();
    for plan in friday_evening(&Numbers::default(), at) {
        let starts_at = plan.starts_at.unwrap();
        let report = exchange.call(plan).await;
        assert_eq!((report.started_at, &report.warnings), (starts_at, &vec![]), "{}", report.plan.story);
        reports.push(report);
    }
    assert!(reports.len() >= 22);
    assert!(reports.is_sorted_by(|before, after| before.ended_at <= after.started_at));
    let closing = "2026-11-20T18:00:00+03:00".parse().unwrap();
    assert_eq!(reports.iter().filter(|report| report.started_at < closing).count(), 10);
    assert!(exchange.settings.clock.now() < at);

    let account = tell(&reports, &TimeZone::get("Europe/Moscow").unwrap());
    assert_eq!(account.lines().count(), reports.len());
    assert!(account.contains("18:01 · Родители · 8 928 000-02-01 · оставили сообщение, 20 с\n"), "{account}");
    assert!(account.contains("номер скрыт"), "{account}");
    // This service rings nobody.
    assert!(account.contains("сотрудник ответил — сотруднику не звонили\n"), "{account}");
}
