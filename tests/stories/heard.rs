//! What the caller hears: officers first in hours, one prompt after hours, and the offer to record at the end of all.

use perezvon::core::call::Outcome;

use crate::harness::{Form, at, friday, monday, stories};

stories! {
    async fn an_open_line_rings_the_officers_one_after_another_and_then_offers(app) {
        app.clock.set(friday("12:00"));
        let first = app.post("voice", &Form::call("CA1")).await;
        assert_eq!(first.verbs(), ["Dial", "Number", "Redirect"]);
        assert!(first.body.contains("+79280000055"));
        let second = app.post("dialled/0", &Form::call("CA1").with("DialCallStatus", "no-answer")).await;
        assert!(second.body.contains("+79280000056"), "{}", second.body);
        let third = app.post("dialled/1", &Form::call("CA1").with("DialCallStatus", "no-answer")).await;
        assert!(third.offers_to_record(), "{}", third.body);
        assert!(third.said().contains("перезвоним сегодня"), "{}", third.said());
    }

    async fn a_message_left_after_a_talk_that_broke_off_is_on_the_list(app) {
        app.clock.set(friday("12:00"));
        app.post("voice", &Form::call("CA1")).await;
        let talked = Form::call("CA1").with("DialCallStatus", "completed").with("DialCallDuration", "60");
        app.post("dialled/0", &talked).await;
        app.post("fallback", &Form::call("CA1")).await;
        app.post("message", &Form::call("CA1").recording("RE1", "7", "https://api.twilio.com/2010-04-01")).await;
        assert_eq!(app.call("CA1").await.outcome(), Outcome::Answered);
        assert_eq!(app.callback().await.desk.state.as_str(), "open");
        app.leave_the_jobs().await;
    }

    async fn a_trunk_that_does_not_tell_the_dialled_number_loses_no_caller(app) {
        let call = Form::call("CA1").without("To");
        assert!(app.post("voice", &call).await.offers_to_record());
        let message = call.recording("RE1", "7", "https://api.twilio.com/2010-04-01");
        app.post("message", &message.status("completed")).await;
        let waiting = app.callback().await;
        assert!(waiting.line.is_unknown());
        assert_eq!(waiting.caller.unwrap().e164(), "+79280000001");
        assert_eq!(app.alarm_kinds().await, ["unknown_line"]);
        app.leave_the_jobs().await;
    }

    async fn a_recording_that_is_told_before_its_call_does_not_lose_the_line(app) {
        let news = Form(vec![("CallSid".to_owned(), "CA1".to_owned())]).with("RecordingStatus", "completed");
        app.post("recording", &news.recording("RE1", "7", "https://api.twilio.com/2010-04-01")).await;
        assert_eq!(app.call("CA1").await.line, None);
        app.post("voice", &Form::call("CA1")).await;
        let waiting = app.callback().await;
        assert_eq!((waiting.line.as_str(), waiting.caller.unwrap().e164()), ("parents", "+79280000001"));
        app.leave_the_jobs().await;
    }

    async fn a_second_message_of_a_call_that_comes_after_closing_is_on_the_list_again(app) {
        let base = "https://api.twilio.com/2010-04-01";
        app.post("voice", &Form::call("CA1")).await;
        app.post("message", &Form::call("CA1").recording("RE1", "7", base)).await;
        let first = app.callback().await.id;
        let done = perezvon::core::callback::Action::Done { note: String::new() };
        app.act(first, &perezvon::core::officer::Actor::officer(1, "Мадина И."), done).await.unwrap();
        app.post("message", &Form::call("CA1").recording("RE2", "9", base)).await;
        assert_ne!(app.callbacks().await.last().unwrap().callback.id, first);
        app.leave_the_jobs().await;
    }

    async fn whoever_talked_with_an_officer_is_not_called_back(app) {
        app.clock.set(friday("12:00"));
        app.post("voice", &Form::call("CA1")).await;
        app.advance_minutes(3);
        let talked = Form::call("CA1").with("DialCallStatus", "completed").with("DialCallDuration", "95").with("DialBridged", "true");
        let answer = app.post("dialled/0", &talked).await;
        assert_eq!(answer.verbs(), ["Hangup"]);
        app.post("status", &Form::call("CA1").status("completed")).await;
        assert_eq!(app.call("CA1").await.outcome(), Outcome::Answered);
        assert_eq!((app.callbacks().await.len(), app.count("job").await), (0, 0));
    }

    async fn busy_no_answer_and_a_dead_number_lead_to_the_offer_due_today(app) {
        for (n, status) in ["busy", "no-answer", "failed", "canceled"].into_iter().enumerate() {
            app.clock.set(friday("12:00"));
            let call = Form::call(&format!("CA{n}")).from(&format!("+792800001{n:02}"));
            app.post("voice", &call).await;
            app.post("dialled/0", &call.clone().with("DialCallStatus", status)).await;
            let offer = app.post("dialled/1", &call.clone().with("DialCallStatus", status)).await;
            assert!(offer.offers_to_record() && offer.said().contains("сегодня"), "{status}: {}", offer.body);
            app.post("status", &call.status("completed")).await;
        }
        let waiting = app.callbacks().await;
        assert_eq!(waiting.len(), 4);
        for view in waiting {
            assert_eq!(view.callback.due_at, Some(friday("18:00")));
            assert_eq!(view.callback.period.unwrap().start, friday("09:00"));
        }
    }

    async fn an_answer_without_a_bridge_is_no_talk(app) {
        app.clock.set(friday("12:00"));
        app.post("voice", &Form::call("CA1")).await;
        let unbridged = Form::call("CA1").with("DialCallStatus", "completed").with("DialBridged", "false");
        app.post("dialled/0", &unbridged).await;
        let offer = app.post("dialled/1", &unbridged).await;
        assert!(offer.offers_to_record(), "{}", offer.body);
        app.post("status", &Form::call("CA1").status("completed")).await;
        assert_eq!(app.callbacks().await.len(), 1);
    }

    async fn a_closed_line_says_one_prompt_and_promises_the_date_that_is_stored(app) {
        for (instant, told, stored) in [
            ("2026-11-20T18:00:00+03:00", "в понедельник, 23 ноября", "2026-11-23"),
            ("2026-11-21T12:00:00+03:00", "в понедельник, 23 ноября", "2026-11-23"),
            ("2026-11-23T08:59:59+03:00", "в понедельник, 23 ноября", "2026-11-23"),
            ("2026-11-23T18:00:00+03:00", "во вторник, 24 ноября", "2026-11-24"),
            ("2026-12-30T23:59:59+03:00", "в понедельник, 11 января", "2027-01-11"),
            ("2027-04-30T20:00:00+03:00", "во вторник, 4 мая", "2027-05-04"),
        ] {
            app.clock.set(at(instant));
            let greeting = app.message_from(instant, "+79280000001").await;
            assert_eq!(greeting.body.matches("<Say").count(), 1, "{}", greeting.body);
            let callback = app.callback().await;
            assert!(greeting.said().contains(told), "{instant}: told «{}», stored {callback:?}", greeting.said());
            assert_eq!(callback.period.unwrap().start, at(&format!("{stored}T09:00:00+03:00")), "{instant}");
            assert_eq!(callback.due_at, Some(at(&format!("{stored}T18:00:00+03:00"))), "{instant}");
            app.sql("DELETE FROM callback").await;
            app.leave_the_jobs().await;
        }
    }

    async fn the_closing_minute_is_after_hours(app) {
        app.clock.set(friday("17:59:59"));
        assert_eq!(app.post("voice", &Form::call("CA1")).await.verbs()[0], "Dial");
        app.clock.set(friday("18:00:00"));
        assert_eq!(app.post("voice", &Form::call("CA2")).await.verbs()[0], "Gather");
        let (open, closed) = (app.call("CA1").await.decision.unwrap(), app.call("CA2").await.decision.unwrap());
        assert!(open.open && !closed.open);
        assert_eq!((open.promise.unwrap().start, closed.promise.unwrap().start), (friday("09:00"), monday("09:00")));
    }

    async fn shortly_before_closing_nobody_promises_today(app) {
        app.clock.set(friday("17:31"));
        app.post("voice", &Form::call("CA1")).await;
        app.post("dialled/0", &Form::call("CA1").with("DialCallStatus", "busy")).await;
        let offer = app.post("dialled/1", &Form::call("CA1").with("DialCallStatus", "busy")).await;
        assert!(!offer.said().contains("сегодня"), "{}", offer.said());
    }

    async fn what_was_decided_stays_when_the_hours_change_meanwhile(app) {
        app.post("voice", &Form::call("CA1")).await;
        let decided = app.call("CA1").await.decision;
        app.restart(|setup| setup.hours = r#"week = { mon = ["12:00-13:00"], fri = ["09:00-23:00"] }"#.to_owned()).await;
        let again = app.post("voice", &Form::call("CA1")).await;
        assert_eq!(again.verbs()[0], "Gather", "still closed for this call");
        app.post("status", &Form::call("CA1").status("completed")).await;
        assert_eq!(app.call("CA1").await.decision, decided);
        assert_eq!(app.callback().await.due_at, Some(monday("18:00")));
        assert_eq!(app.post("voice", &Form::call("CA2").from("+79280000002")).await.verbs()[0], "Dial", "open for the next");
    }

    async fn a_house_without_working_hours_promises_no_date_and_forgets_nobody(app) {
        app.restart(|setup| setup.hours = "week = {}".to_owned()).await;
        let greeting = app.message_from("CA1", "+79280000001").await;
        assert!(greeting.offers_to_record(), "{}", greeting.body);
        let callback = app.callback().await;
        assert_eq!((callback.period, callback.due_at), (None, None));
        let holder = perezvon::core::officer::Actor::officer(1, "Мадина И.");
        assert_eq!(app.next(&holder).await.unwrap().id, callback.id);
        app.leave_the_jobs().await;
    }

    async fn a_key_leads_to_the_signal_and_the_message_is_thanked_for(app) {
        app.post("voice", &Form::call("CA1")).await;
        let signal = app.post("signal", &Form::call("CA1").with("Digits", "#")).await;
        assert_eq!(signal.verbs(), ["Record", "Redirect"]);
        assert_eq!(signal.attribute("recordingStatusCallbackEvent"), Some("completed absent"));
        let form = Form::call("CA1").status("in-progress").recording("RE1", "7", app.exchange.api_base());
        let thanks = app.post("message", &form.with("Digits", "#")).await;
        assert_eq!(thanks.verbs(), ["Say", "Hangup"]);
        assert!(thanks.said().contains("записано"), "{}", thanks.said());
        app.leave_the_jobs().await;
    }

    async fn the_fallback_always_offers(app) {
        let known = Form::call("CA1").with("ErrorCode", "11200").with("ErrorUrl", "https://calls.example.org/webhooks/twilio/voice");
        assert!(app.post("fallback", &known).await.offers_to_record());
        app.clock.set(friday("12:00"));
        assert!(app.post("fallback", &Form::call("CA2")).await.offers_to_record());
        assert!(app.post("fallback", &Form::call("CA3").without("To").without("From")).await.offers_to_record());
        assert_eq!(app.count("call").await, 3);
    }
}
