//! Webhooks late, twice, out of order, or alone: every call is logged once, under its line, and nobody is forgotten.

use std::sync::atomic::{AtomicI64, Ordering};

use perezvon::core::call::Outcome;

use crate::harness::{Form, PARENTS, STAFF, TECHNICAL, friday, stories};

stories! {
    async fn a_late_ringing_does_not_reopen_an_ended_call(app) {
        app.post("voice", &Form::call("CA1")).await;
        app.post("status", &Form::call("CA1").status("completed")).await;
        let ended = app.call("CA1").await;
        app.advance_minutes(1);
        app.post("status", &Form::call("CA1").status("ringing")).await;
        app.post("status", &Form::call("CA1").status("in-progress")).await;
        let after = app.call("CA1").await;
        assert_eq!((after.ended_at, after.outcome()), (ended.ended_at, Outcome::Abandoned));
        assert_eq!(after.ended_at, Some(friday("19:30")));
        assert_eq!(app.callbacks().await.len(), 1);
    }

    async fn the_same_webhook_twice_changes_nothing_but_the_inbox(app) {
        app.message_from("CA1", "+79280000001").await;
        let (call, callback, counts) = (app.call("CA1").await, app.callback().await, app.counts().await);
        app.clock.set(friday("19:30"));
        app.message_from("CA1", "+79280000001").await;
        assert_eq!(app.call("CA1").await, call);
        assert_eq!(app.callback().await, callback);
        let again = app.counts().await;
        for (table, count) in counts {
            let expected = if table == "delivery" { 2 * count } else { count };
            assert_eq!(again[table], expected, "{table}");
        }
        app.leave_the_jobs().await;
    }

    async fn the_recording_callback_before_the_dialogue_leads_to_the_same_call(app) {
        let base = app.exchange.api_base();
        let ended = |sid: &str| Form::call(sid).from("+79280000002").status("completed").recording("RE1", "7", base);
        for sid in ["CA1", "CA2"] {
            app.clock.set(friday("19:30"));
            app.post("voice", &Form::call(sid).from("+79280000002")).await;
            app.advance_minutes(1);
            let (message, recording) = (ended(sid).with("Digits", "hangup"), ended(sid).with("RecordingStatus", "completed"));
            match sid {
                "CA1" => (app.post("message", &message).await, app.post("recording", &recording).await),
                _ => (app.post("recording", &recording).await, app.post("message", &message).await),
            };
        }
        let (straight, reversed) = (app.call("CA1").await, app.call("CA2").await);
        assert_eq!(reversed.recordings, straight.recordings);
        assert_eq!((reversed.outcome(), reversed.ended_at), (straight.outcome(), straight.ended_at));
        assert_eq!(app.count("voicemail").await, 2);
        app.leave_the_jobs().await;
    }

    async fn a_completed_without_anything_before_it_is_logged_and_put_on_the_list(app) {
        let answer = app.post("status", &Form::call("CA1").status("completed").with("CallDuration", "9")).await;
        assert_eq!(answer.status, 200);
        let call = app.call("CA1").await;
        assert_eq!((call.outcome(), call.line.as_ref().map(|line| line.as_str())), (Outcome::Abandoned, Some("parents")));
        assert_eq!(app.callback().await.callback_number.unwrap().e164(), "+79280000001");
    }

    /// Nobody heard of it before: the provider had played a document of its own.
    async fn call_heard_of_at_its_end_is_promised_by_its_start(app) {
        app.clock.set(friday("18:04"));
        let ended = Form::call("CA1").status("completed").with("Timestamp", "Fri, 20 Nov 2026 15:02:00 +0000");
        app.post("status", &ended.with("CallDuration", "300")).await;
        let call = app.call("CA1").await;
        assert_eq!((call.started_at, call.outcome()), (friday("17:57"), Outcome::Missed));
        assert_eq!(app.callback().await.due_at, Some(friday("18:00")));
    }

    async fn an_officers_leg_is_kept_raw_and_is_no_call(app) {
        let leg = Form::call("CA9").with("ParentCallSid", "CA1").with("Direction", "outbound-dial").to("+79280000055");
        assert_eq!(app.post("status", &leg.status("completed")).await.status, 200);
        assert_eq!((app.count("delivery").await, app.count("call").await), (1, 0));
    }

    async fn a_call_we_made_ourselves_is_logged_and_asks_for_no_callback(app) {
        let ours = Form::call("CA1").with("Direction", "outbound-api").from(PARENTS).to("+79280000001");
        app.post("status", &ours.status("no-answer")).await;
        assert_eq!(app.call("CA1").await.line.unwrap().as_str(), "parents");
        assert_eq!(app.callbacks().await.len(), 0);
    }

    async fn an_unknown_line_is_logged_with_an_alarm_and_gets_the_offer(app) {
        let answer = app.post("voice", &Form::call("CA1").to("+78712000199")).await;
        assert!(answer.offers_to_record(), "{}", answer.body);
        assert!(app.call("CA1").await.line.unwrap().is_unknown());
        let alarms = app.alarms().await;
        assert_eq!((alarms.len(), alarms[0].kind.as_str()), (1, "unknown_line"));
        assert!(alarms[0].told.contains("+78712000199"), "{}", alarms[0].told);
        app.post("voice", &Form::call("CA2").to("+78712000199")).await;
        assert_eq!(app.alarms().await.len(), 1, "the same cause is one alarm");
        app.post("status", &Form::call("CA1").to("+78712000199").status("completed")).await;
        assert_eq!(app.callback().await.line.as_str(), "unknown");
    }

    async fn an_alias_finds_its_line_and_forwarded_from_says_more(app) {
        app.post("voice", &Form::call("CA1").to(TECHNICAL)).await;
        app.post("voice", &Form::call("CA2").to(TECHNICAL).with("ForwardedFrom", STAFF)).await;
        app.post("voice", &Form::call("CA3").to("+78712000199").with("ForwardedFrom", "8 928 832-80-88")).await;
        app.post("voice", &Form::call("CA4").to(TECHNICAL).with("ForwardedFrom", "+70000000000")).await;
        for (sid, line) in [("CA1", "parents"), ("CA2", "staff"), ("CA3", "parents"), ("CA4", "parents")] {
            assert_eq!(app.call(sid).await.line.unwrap().as_str(), line, "{sid}");
        }
        assert_eq!(app.alarms().await.len(), 0);
    }

    async fn every_delivery_is_kept_byte_for_byte(app) {
        let form = Form::call("CA1").with("CallerName", "Зарема Ц.").with("FromCity", "").with("X", "a+b & c=d %");
        app.post("voice", &form).await;
        // Another spelling of the same fields: signed over what they mean, kept as they came.
        let unusual = form.encoded().replace('+', "%20").into_bytes();
        let url = "https://calls.example.org/webhooks/twilio/status";
        let signed = perezvon::providers::twiml::form_signature(crate::harness::TOKEN, url, &form.0);
        assert_eq!(app.post_raw("status", unusual.clone(), &signed).await.status, 200);
        let kept = app.view("CA1").await.deliveries;
        assert_eq!(kept[0].body, form.encoded().into_bytes());
        assert_eq!(kept[1].body, unusual);
        assert_eq!(kept[1].content_type, "application/x-www-form-urlencoded");
    }

    async fn a_webhook_by_get_is_read_from_its_query(app) {
        let query = Form::call("CA1").encoded();
        let target = format!("/webhooks/twilio/voice?{query}");
        let signed = perezvon::providers::twiml::form_signature(crate::harness::TOKEN, &format!("https://calls.example.org{target}"), &[]);
        let request = axum::http::Request::get(&target).header("x-twilio-signature", signed);
        let answer = app.request(request.body(axum::body::Body::empty()).unwrap()).await;
        assert!(answer.offers_to_record(), "{answer:?}");
        assert_eq!(app.text("SELECT target FROM delivery").await, target);
        assert_eq!(app.text("SELECT method FROM delivery").await, "GET");
    }

    async fn five_hundred_calls_at_once_are_five_hundred_calls(app) {
        let repeated = &AtomicI64::new(0);
        let posts = (0..500).map(|n| {
            let form = Form::call(&format!("CA{n}")).from(&format!("+7928{:07}", n % 100)).status("completed");
            async move {
                loop {
                    match app.post("status", &form).await.status {
                        // On a machine that stands still nothing may be durable in time: the provider repeats.
                        503 => repeated.fetch_add(1, Ordering::Relaxed),
                        status => break status,
                    };
                }
            }
        });
        let statuses = futures_util::future::join_all(posts).await;
        assert!(statuses.iter().all(|status| *status == 200));
        app.take_in_the_spool().await;
        assert_eq!(app.count("call").await, 500);
        let repeated = repeated.load(Ordering::Relaxed);
        assert!((500..=500 + repeated).contains(&app.count("delivery").await), "each once, {repeated} asked again");
        assert_eq!(app.callbacks().await.len(), 100);
        assert_eq!(app.number("SELECT COUNT(DISTINCT id) FROM call").await, 500);
    }
}
