//! Everybody is recognised: a caller is known by the number to dial, however it is written, and is answered however the
//! request is written (R6, R25). The cases are those of telephone companies and exchanges in the field.

use axum::body::Body;
use axum::http::Request;
use perezvon::core::call::Outcome;
use perezvon::core::callback::{Action, Channel, Notes};
use perezvon::core::officer::Actor;
use perezvon::core::phone::PhoneNumber;
use perezvon::providers::twiml::form_signature;
use perezvon::store::NewCallback;

use crate::harness::{Answer, App, Form, PARENTS, STAFF, TECHNICAL, TOKEN, friday, stories};

const CALLER: &str = "+79281110001";

/// Who hangs up without a message.
async fn hangs_up(app: &App, call: &Form) {
    assert_eq!(app.post("voice", call).await.status, 200);
    assert_eq!(app.post("status", &call.clone().status("completed")).await.status, 200);
}

/// A withheld caller leaves a message and then types `digits`.
async fn types(app: &App, sid: &str, digits: &str) -> Answer {
    let call = Form::call(sid).from("anonymous").status("in-progress");
    app.post("voice", &call).await;
    app.post("message", &call.clone().recording(&format!("RE{sid}"), "7", app.exchange.api_base())).await;
    app.post("keyed/0", &call.with("Digits", digits)).await
}

fn officer() -> Actor {
    Actor::officer(1, "Мадина И.")
}

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    number: Option<String>,
}

#[derive(serde::Deserialize)]
struct Unreadable {
    what: String,
    body: String,
    caller: Option<String>,
}

stories! {
    async fn caller_in_an_address_who_hangs_up_is_on_the_list(app) {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../data/cases/numbers.json")).unwrap();
        let numbers = cases.iter().filter(|case| case.number.as_deref() == Some(CALLER));
        let mut calls = 0;
        for Case { text, .. } in numbers {
            hangs_up(app, &Form::call(&format!("CA{calls}")).from(text)).await;
            calls += 1;
        }
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.calls_count, calls > 30), (calls, true));
        assert_eq!(waiting.callback.number_to_dial().unwrap().e164(), CALLER);
    }

    async fn message_from_an_address_and_a_call_from_its_number_are_one(app) {
        app.message_from("CA1", "sip:89281110001@192.0.2.10:5060;user=phone").await;
        app.message_from("CA2", "<sip:+79281110001@sip.example.net>;tag=abc").await;
        hangs_up(app, &Form::call("CA3").from(CALLER)).await;
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].calls.len(), waiting[0].voicemails.len()), (1, 3, 2));
        app.leave_the_jobs().await;
    }

    async fn local_number_is_nobodys_and_never_merges(app) {
        for sid in ["CA1", "CA2"] {
            app.message_from(sid, "2293042").await;
        }
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].callback.number_to_dial()), (2, None));
        assert_eq!(app.call("CA1").await.caller.unwrap().raw, "2293042");
        app.leave_the_jobs().await;
    }

    async fn line_is_found_in_an_address_and_among_diversions(app) {
        for (sid, form, line) in [
            ("CA1", Form::call("CA1").to("sip:89288328088@192.0.2.5:5060"), "parents"),
            ("CA2", Form::call("CA2").to("tel:+79288036355"), "staff"),
            ("CA3", Form::call("CA3").to("+74951112233").with("ForwardedFrom", "+79281110009, +79288036355"), "staff"),
            ("CA4", Form::call("CA4").to("+74951112233").with("Diversion", "<sip:89288036355@203.0.113.10>;reason=no-answer"), "staff"),
            ("CA5", Form::call("CA5").to("+74951112233").with("ForwardedFrom", "+79281110009"), "unknown"),
        ] {
            hangs_up(app, &form).await;
            assert_eq!(app.call(sid).await.line.unwrap().as_str(), line, "{sid}");
        }
    }

    async fn unknown_number_in_two_spellings_is_one_alarm(app) {
        for (sid, to) in [("CA1", "sip:84951112233@a;tag=1"), ("CA2", "<sip:+74951112233@b>;tag=2")] {
            hangs_up(app, &Form::call(sid).to(to)).await;
        }
        let [alarm] = &app.alarms().await[..] else { panic!("one alarm") };
        assert_eq!((alarm.kind.as_str(), alarm.subject.as_str()), ("unknown_line", "+74951112233"));
    }

    async fn own_number_as_caller_id_alarms_once_and_never_merges(app) {
        for (sid, own) in [("CA1", PARENTS), ("CA2", "sip:89288328088@trunk"), ("CA3", STAFF), ("CA4", TECHNICAL)] {
            let answer = app.message_from(sid, own).await;
            assert!(!answer.said().contains("у нас записан"), "{}", answer.said());
        }
        hangs_up(app, &Form::call("CA5").from(PARENTS)).await;
        let waiting = app.callbacks().await;
        assert_eq!(waiting.len(), 4, "who leaves no message cannot be called back");
        for view in &waiting {
            assert_eq!((&view.callback.caller, &view.callback.callback_number), (&None, &None));
        }
        assert_eq!(app.call("CA1").await.caller.unwrap().raw, PARENTS);
        let [alarm] = &app.alarms().await[..] else { panic!("one alarm: {:?}", app.alarms().await) };
        assert_eq!((alarm.kind.as_str(), alarm.subject.as_str()), ("own_number", "twilio"));
        assert!(alarm.told.contains("8 928 832-80-88") && alarm.told.contains("оператор"), "{}", alarm.told);
        app.leave_the_jobs().await;
    }

    async fn caller_behind_an_own_number_is_known_once_he_is_told(app) {
        for callers in [[PARENTS, CALLER], [CALLER, PARENTS]] {
            let sid = format!("CA{}", callers[0].trim_start_matches('+'));
            app.post("voice", &Form::call(&sid).from(callers[0])).await;
            app.post("status", &Form::call(&sid).from(callers[1]).status("completed")).await;
            assert_eq!(app.call(&sid).await.caller.unwrap().number.unwrap().e164(), CALLER);
        }
        assert_eq!(app.callback().await.caller.unwrap().e164(), CALLER);
    }

    /// The report that has his number comes after the one that tells of his message.
    async fn number_shown_after_the_message_is_the_one_to_dial(app) {
        app.message_from("CA1", "+79280000301").await;
        for (sid, caller) in [("CA2", "+79280000301"), ("CA3", CALLER)] {
            app.post("voice", &Form::call(sid).without("From")).await;
            let bare = Form::call(sid).without("From").without("To").without("CallStatus");
            let message = bare.recording(&format!("RE{sid}"), "7", app.exchange.api_base());
            app.post("recording", &message.with("RecordingStatus", "completed")).await;
            assert_eq!(app.callbacks().await.len(), 2, "nobody knows yet who it was");
            app.post("status", &Form::call(sid).from(caller).status("completed")).await;
        }
        let waiting = app.callbacks().await;
        let known = waiting.iter().map(|view| (view.callback.number_to_dial().unwrap().e164(), view.calls.len()));
        assert_eq!(known.collect::<Vec<_>>(), [("+79280000301", 2), (CALLER, 1)]);
        assert_eq!(waiting[1].callback.caller.as_ref().unwrap().e164(), CALLER);
        app.leave_the_jobs().await;
    }

    async fn typed_number_of_our_own_is_not_taken(app) {
        let again = types(app, "CA1", "89288328088").await;
        assert!(again.said().contains("не распознан"), "{}", again.said());
        assert_eq!(app.callback().await.callback_number, None);
        let call = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("keyed/1", &call.with("Digits", "89280000301")).await;
        assert_eq!(app.callback().await.callback_number.unwrap().e164(), "+79280000301");
        app.leave_the_jobs().await;
    }

    async fn typed_number_that_waits_already_joins_its_entry(app) {
        app.message_from("CA1", "+79280000301").await;
        let before = app.callback().await;
        app.advance_minutes(10);
        let taken = types(app, "CA2", "89280000301").await;
        assert!(taken.said().contains("8 9 2 8 0 0 0 0 3 0 1"), "{}", taken.said());
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.callback.id, waiting.calls.len(), waiting.voicemails.len()), (before.id, 2, 2));
        assert_eq!((waiting.callback.received_at, waiting.callback.version > before.version), (friday("19:30"), true));
        assert_eq!(app.call("CA2").await.callback_id, Some(before.id));
        assert_eq!(app.count("callback").await, 1);
        // Told once more, and the end of the call.
        types(app, "CA2", "89280000301").await;
        app.post("status", &Form::call("CA2").from("anonymous").status("completed")).await;
        assert_eq!(app.callbacks().await.len(), 1);
        app.leave_the_jobs().await;
    }

    async fn call_of_a_number_that_was_typed_joins_that_entry(app) {
        types(app, "CA1", "89280000301").await;
        app.advance_minutes(10);
        let again = app.message_from("CA2", "sip:89280000301@host").await;
        assert!(again.said().contains("у нас записан"), "{}", again.said());
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.calls.len(), waiting.callback.received_at), (2, friday("19:30")));
        assert_eq!(waiting.callback.caller.as_ref().unwrap().e164(), "+79280000301");
        app.leave_the_jobs().await;
    }

    async fn entry_that_joins_brings_its_earlier_place_along(app) {
        let first = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("voice", &first).await;
        app.post("message", &first.clone().recording("RE1", "7", app.exchange.api_base())).await;
        app.advance_minutes(10);
        app.message_from("CA2", "+79280000301").await;
        app.post("keyed/0", &first.with("Digits", "89280000301")).await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.callback.received_at, waiting.voicemails.len()), (friday("19:30"), 2));
        app.leave_the_jobs().await;
    }

    async fn two_withheld_callers_who_type_one_number_are_one_entry(app) {
        for sid in ["CA1", "CA2"] {
            types(app, sid, "9280000301").await;
        }
        let silent = Form::call("CA3").from("").status("in-progress");
        app.post("voice", &silent).await;
        app.post("message", &silent).await;
        app.post("keyed/0", &silent.clone().with("Digits", "+7 928 000-03-01")).await;
        app.post("status", &silent.status("completed")).await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.calls.len(), waiting.voicemails.len()), (3, 2));
        assert_eq!(waiting.callback.number_to_dial().unwrap().e164(), "+79280000301");
        app.leave_the_jobs().await;
    }

    async fn typed_number_joins_nothing_on_another_line(app) {
        app.post("status", &Form::call("CA1").from("+79280000301").to(STAFF).status("completed")).await;
        types(app, "CA2", "89280000301").await;
        assert_eq!(app.callbacks().await.len(), 2);
        app.leave_the_jobs().await;
    }

    async fn what_an_officer_holds_takes_the_other_entry_in(app) {
        let call = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("voice", &call).await;
        app.post("message", &call.clone().recording("RE1", "7", app.exchange.api_base())).await;
        let held = app.callback().await;
        app.act(held.id, &officer(), Action::Claim).await.unwrap();
        hangs_up(app, &Form::call("CA2").from("+79280000301")).await;
        app.post("keyed/0", &call.with("Digits", "89280000301")).await;
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.callback.id, waiting.calls.len()), (held.id, 2));
        assert!(waiting.callback.registration_number.is_some());
        assert_eq!(waiting.callback.number_to_dial().unwrap().e164(), "+79280000301");
        app.leave_the_jobs().await;
    }

    async fn two_entries_in_officers_hands_stay_two(app) {
        let call = Form::call("CA1").from("anonymous").status("in-progress");
        app.post("voice", &call).await;
        app.post("message", &call.clone().recording("RE1", "7", app.exchange.api_base())).await;
        hangs_up(app, &Form::call("CA2").from("+79280000301")).await;
        for view in app.callbacks().await {
            app.act(view.callback.id, &officer(), Action::Claim).await.unwrap();
        }
        app.post("keyed/0", &call.with("Digits", "89280000301")).await;
        let waiting = app.callbacks().await;
        assert_eq!(waiting.len(), 2);
        assert!(waiting.iter().all(|view| view.callback.number_to_dial().unwrap().e164() == "+79280000301"));
        app.leave_the_jobs().await;
    }

    async fn number_noted_by_hand_joins_the_entry_where_it_was_typed(app) {
        types(app, "CA1", "89280000301").await;
        let new = NewCallback {
            line: app.call("CA1").await.line.unwrap(),
            callback_number: PhoneNumber::parse("tel:8-928-000-03-01").ok(),
            channel: Channel::InPerson,
            notes: Notes { summary: Some("Оценки за четверть".to_owned()), ..Notes::default() },
        };
        app.store().register_by_hand(new, &officer(), &app.lines(), app.now()).await.unwrap();
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!((waiting.calls.len(), waiting.callback.registration_number.is_some()), (1, true));
        app.leave_the_jobs().await;
    }

    async fn talk_with_a_caller_who_typed_his_number_proposes_to_close(app) {
        types(app, "CA1", "89280000301").await;
        app.advance_minutes(5);
        let talk = Form::call("CA2").from("+79280000301").status("in-progress");
        app.post("voice", &talk).await;
        app.post("dialled/0", &talk.with("DialCallStatus", "ANSWERED").with("DialCallDuration", "40")).await;
        assert_eq!(app.callback().await.proposed_call_id, Some(app.call("CA2").await.id));
        app.leave_the_jobs().await;
    }

    async fn unreadable_request_gets_the_offer_and_is_in_the_log(app) {
        let cases: Vec<Unreadable> =
            serde_json::from_str(include_str!("../data/cases/unreadable_twiml.json")).unwrap();
        // Of an empty request nothing tells which call it belongs to.
        let cases = cases.into_iter().filter(|case| !case.body.is_empty());
        for (n, Unreadable { what, body, caller }) in cases.enumerate() {
            // Each a call of its own.
            let body: Vec<u8> = body.replace("CA1", &format!("CA1{n}")).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            for endpoint in ["voice", "fallback", "voice"] {
                let answer = app.post_bytes(endpoint, &body).await;
                assert!(answer.offers_to_record(), "{what}, {endpoint}: {answer:?}");
            }
            assert_eq!(app.count("call").await, n as i64 + 1, "{what}");
            let newest = app.text("SELECT COALESCE(caller, '') AS caller FROM call ORDER BY id DESC LIMIT 1").await;
            assert_eq!(newest, caller.unwrap_or_default(), "{what}");
            assert_eq!(app.count("delivery").await, (n as i64 + 1) * 3, "{what}");
        }
        app.leave_the_jobs().await;
    }

    async fn caller_without_an_id_is_on_the_list_at_once(app) {
        let answer = app.post("voice", &Form::call("CA1").without("CallSid")).await;
        assert!(answer.offers_to_record(), "{answer:?}");
        assert_eq!(app.callback().await.number_to_dial().unwrap().e164(), "+79280000001");
        let message = Form::call("").without("CallSid").recording("RE1", "7", app.exchange.api_base());
        assert_eq!(app.post("message", &message).await.status, 200);
        let [waiting] = &app.callbacks().await[..] else { panic!("one entry") };
        assert_eq!(waiting.voicemails.len(), 1);
        app.leave_the_jobs().await;
    }

    async fn end_of_a_call_with_a_long_id_is_the_end_of_that_call(app) {
        let call = Form::call(&"x".repeat(300));
        assert!(app.post("voice", &call).await.offers_to_record());
        assert_eq!(app.post("status", &call.status("COMPLETED")).await.status, 200);
        assert_eq!((app.count("call").await, app.callbacks().await.len()), (1, 1));
    }

    async fn request_that_is_no_form_gets_the_offer_at_the_fallback(app) {
        let url = "https://calls.example.org/webhooks/twilio/fallback";
        let request = Request::post("/webhooks/twilio/fallback")
            .header("content-type", "application/json")
            .header("x-twilio-signature", form_signature(TOKEN, url, &[]))
            .body(Body::empty())
            .unwrap();
        let answer = app.request(request).await;
        assert!(answer.offers_to_record(), "{answer:?}");
        assert_eq!((app.count("delivery").await, app.count("call").await), (1, 1));
    }

    async fn unreadable_request_with_a_wrong_signature_is_refused(app) {
        for body in ["CallSid=CA1&CallerName=%CC%E0", "", "From=%"] {
            let answer = app.post_raw("voice", body.into(), "AAAAAAAAAAAAAAAAAAAAAAAAAAA=").await;
            assert_eq!(answer.status, 403, "{body}");
        }
        assert_eq!(app.count("delivery").await, 0);
    }

    async fn unreadable_question_of_an_exchange_is_answered(app) {
        let exchange = "[[providers]]\nname = \"asterisk\"\nkind = \"asterisk\"\ntokens = [\"token\"]";
        app.restart(|setup| setup.tables.push_str(exchange)).await;
        for (n, (body, caller)) in [
            ("id=pbx-1&line=89288328088@from-trunk&from=%CC%E0%E4", ""),
            ("id=pbx-2&line=PJSIP/89288328088&from=%22Madina%22+%3C79281110001%3E", CALLER),
            ("id=pbx-3&line=89288328088&from=sip:89281110001@10.0.0.1&x=%", CALLER),
            ("line=89288328088&from=89281110001", CALLER),
        ]
        .into_iter()
        .enumerate()
        {
            let request = Request::post("/webhooks/asterisk/incoming")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("authorization", "bearer token")
                .body(Body::from(body))
                .unwrap();
            let answer = app.request(request).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "voicemail"), "{body}");
            assert_eq!(app.count("call").await, n as i64 + 1, "{body}");
            let newest = app.text("SELECT line || ' ' || COALESCE(caller, '') AS told FROM call ORDER BY id DESC LIMIT 1").await;
            assert_eq!(newest, format!("parents {caller}"), "{body}");
        }
    }

    async fn status_in_capitals_ends_the_call(app) {
        for (sid, word) in [("CA1", "COMPLETED"), ("CA2", "cancelled"), ("CA3", "No_Answer")] {
            app.post("status", &Form::call(sid).status(word)).await;
            assert_eq!(app.call(sid).await.outcome(), Outcome::Abandoned, "{word}");
        }
        assert_eq!(app.callbacks().await.len(), 1);
    }
}
