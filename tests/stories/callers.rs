//! Who calls: withheld numbers, callers who come again, and one open callback for a line and a number.

use perezvon::app::demo::{CallPlan, Ending};
use perezvon::core::call::Outcome;
use perezvon::core::officer::Role;
use perezvon::store::VoicemailState;

use crate::harness::{Form, PARENTS, STAFF, friday, stories};

stories! {
    async fn withheld_numbers_never_merge(app) {
        for (sid, caller) in [("CA1", "anonymous"), ("CA2", "anonymous"), ("CA3", ""), ("CA4", "+266696687")] {
            app.message_from(sid, caller).await;
        }
        let waiting = app.callbacks().await;
        assert_eq!(waiting.len(), 4);
        assert!(waiting.iter().all(|view| view.callback.caller.is_none() && view.voicemails.len() == 1));
        app.leave_the_jobs().await;
    }

    async fn a_word_spelt_on_the_keypad_is_a_withheld_number_and_nothing_to_dial(app) {
        app.message_from("CA1", "+7378742833").await;
        let callback = app.callback().await;
        assert_eq!((callback.caller, callback.callback_number), (None, None));
        assert_eq!(app.call("CA1").await.caller.unwrap().raw, "+7378742833");
        app.leave_the_jobs().await;
    }

    async fn a_withheld_caller_who_types_a_number_gets_one_to_be_called_at(app) {
        let call = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("voice", &call).await;
        let asked = app.post("message", &call.clone().recording("RE1", "7", app.exchange.api_base())).await;
        assert!(asked.verbs().contains(&"Gather") && asked.said().contains("Наберите номер"), "{}", asked.body);
        let again = app.post("keyed/0", &call.clone().with("Digits", "123")).await;
        assert!(again.said().contains("не распознан"), "{}", again.said());
        let taken = app.post("keyed/1", &call.clone().with("Digits", "89280000301")).await;
        assert!(taken.said().contains("8 9 2 8 0 0 0 0 3 0 1"), "{}", taken.said());
        let callback = app.callback().await;
        assert_eq!(callback.caller, None);
        assert_eq!(callback.callback_number.unwrap().e164(), "+79280000301");
        app.leave_the_jobs().await;
    }

    async fn a_withheld_caller_who_stays_silent_but_types_a_number_is_put_on_the_list(app) {
        let call = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("voice", &call).await;
        app.post("message", &call).await;
        app.post("keyed/0", &call.clone().with("Digits", "9280000301")).await;
        app.post("status", &call.status("completed")).await;
        assert_eq!(app.callback().await.callback_number.unwrap().e164(), "+79280000301");
    }

    async fn a_withheld_caller_who_stays_silent_is_in_the_log_alone(app) {
        let call = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("voice", &call).await;
        app.post("message", &call).await;
        app.post("keyed/0", &call).await;
        app.post("recording", &call.clone().with("RecordingSid", "RE1").with("RecordingStatus", "absent")).await;
        app.post("status", &call.status("completed")).await;
        assert_eq!(app.call("CA1").await.outcome(), Outcome::NoMessage);
        assert_eq!(app.callbacks().await.len(), 0);
    }

    async fn who_calls_again_joins_his_callback_and_hears_that_he_is_on_the_list(app) {
        let first = app.message_from("CA1", "+79280000001").await;
        app.advance_minutes(10);
        let second = app.message_from("CA2", "+79280000001").await;
        assert!(!first.said().contains("у нас записан"), "{}", first.said());
        assert!(second.said().contains("у нас записан"), "{}", second.said());
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].calls.len(), waiting[0].voicemails.len()), (1, 2, 2));
        assert_eq!(waiting[0].callback.received_at, friday("19:30"), "the first call counts");
        app.post("voice", &Form::call("CA2")).await;
        assert_eq!(app.callbacks().await.len(), 1);
        app.leave_the_jobs().await;
    }

    async fn the_same_number_on_two_lines_is_two_callbacks(app) {
        for (sid, line) in [("CA1", STAFF), ("CA2", PARENTS)] {
            app.post("status", &Form::call(sid).to(line).status("completed")).await;
        }
        let mut lines: Vec<_> = app.callbacks().await.iter().map(|view| view.callback.line.to_string()).collect();
        lines.sort();
        assert_eq!(lines, ["parents", "staff"]);
    }

    async fn fifty_calls_of_one_number_at_once_are_one_callback(app) {
        let posts = (0..50).map(|n| async move {
            let spelling = ["+79280000001", "89280000001", "79280000001"][n % 3];
            app.post("status", &Form::call(&format!("CA{n}")).from(spelling).status("completed")).await.status
        });
        assert!(futures_util::future::join_all(posts).await.iter().all(|status| *status == 200));
        app.take_in_the_spool().await;
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].calls.len()), (1, 50));
    }

    async fn who_calls_all_night_makes_his_entry_no_longer_than_two_hundred_calls(app) {
        for n in 0..205 {
            app.post("status", &Form::call(&format!("CA{n}")).from("+79280000001").status("completed")).await;
        }
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].calls.len(), waiting[0].calls_count), (1, 200, 205));
        assert_eq!(waiting[0].calls[199].id, app.call("CA204").await.id, "the newest, oldest first");
        let mut browser = app.browser("Мадина И.", Role::Officer).await;
        let page = browser.get("/callbacks").await.body;
        assert!(page.contains("много звонков: 205") && page.contains("Много звонков: если это спам"), "{page}");
        app.leave_the_jobs().await;
    }

    async fn two_houses_on_one_database_open_one_callback_for_one_number(app) {
        if app.engine == crate::harness::Engine::Sqlite {
            return; // One process at a time: two writers of one SQLite file are not offered.
        }
        let (other, worker) = app.second_house().await;
        let deliveries = (0..40).map(|n| {
            let other = other.clone();
            async move {
                let form = Form::call(&format!("CA{n}")).status("completed");
                if n % 2 == 0 {
                    assert_eq!(app.post("status", &form).await.status, 200);
                } else {
                    let providers = app.worker().providers;
                    let provider = providers.get("twilio").unwrap();
                    let request = perezvon::providers::RawRequest {
                        method: "POST".to_owned(),
                        target: "/webhooks/twilio/status".to_owned(),
                        endpoint: "status".to_owned(),
                        headers: signed_headers(&form),
                        body: form.encoded().into(),
                    };
                    let parsed = provider.parse(provider.verify(&request, app.now()).unwrap(), app.now()).unwrap();
                    let delivery = perezvon::store::Delivery {
                        provider: provider.name().clone(),
                        endpoint: request.endpoint.clone(),
                        method: request.method.clone(),
                        target: request.target.clone(),
                        content_type: String::new(),
                        body: request.body.clone(),
                        received_at: app.now(),
                        key: parsed.key,
                        events: parsed.events,
                        can_be_asked: true,
                        applied_at: None,
                    };
                    other.deliver(delivery).await.unwrap();
                }
            }
        });
        futures_util::future::join_all(deliveries).await;
        app.take_in_the_spool().await;
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].calls.len(), app.count("call").await), (1, 40, 40));
        drop(worker);
        other.close().await;
    }

    /// Such a call is over for us at once, and its caller still on the line.
    async fn caller_without_an_id_is_recorded_and_on_the_list(app) {
        for (time, caller) in [("14:00", "+79280000001"), ("19:30", "+79280000002")] {
            app.clock.set(friday(time));
            let left = app.exchange.call(CallPlan::new(caller, PARENTS).leaving(9_000, Ending::HangsUp)).await;
            for table in ["delivery", "call_key", "call", "voicemail", "callback", "job"] {
                app.sql(&format!("DELETE FROM {table}")).await;
            }
            let call = Form::call("").without("CallSid").from(caller).status("in-progress");
            let greeting = app.post("voice", &call).await;
            assert!(greeting.offers_to_record() && !greeting.verbs().contains(&"Dial"), "{greeting:?}");
            app.advance_minutes(1);
            let over = call.status("completed").with("Digits", "hangup");
            let over = over.recording(&left.recordings[0].sid, "9", app.exchange.api_base());
            assert_eq!(app.post("message", &over).await.status, 200);
            app.run_all_jobs().await;
            let [waiting] = &app.callbacks().await[..] else { panic!("one callback") };
            let [message] = &waiting.voicemails[..] else { panic!("one message") };
            assert_eq!(message.state, VoicemailState::Stored);
            assert_eq!(waiting.callback.caller.as_ref().unwrap().e164(), caller);
        }
    }

    async fn hanging_up_in_the_greeting_is_called_back_unless_the_line_says_no(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        assert_eq!(app.callbacks().await.len(), 1);
        app.restart(|setup| setup.line_keys = "callback_without_message = false".to_owned()).await;
        app.post("status", &Form::call("CA2").from("+79280000002").status("completed")).await;
        assert_eq!(app.callbacks().await.len(), 1);
        app.message_from("CA3", "+79280000003").await;
        assert_eq!(app.callbacks().await.len(), 2, "a message is a message");
        app.leave_the_jobs().await;
    }
}

fn signed_headers(form: &Form) -> Vec<(String, String)> {
    let url = "https://calls.example.org/webhooks/twilio/status";
    let signed = perezvon::providers::twiml::form_signature(crate::harness::TOKEN, url, &form.0);
    vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("x-twilio-signature".to_owned(), signed),
    ]
}
