//! Webhooks that are refused: a clear word, a counter, nothing changed, nothing lost.

use axum::body::Body;
use axum::http::Request;

use crate::harness::{Form, stories};

stories! {
    async fn a_wrong_signature_is_refused_and_changes_nothing(app) {
        app.message_from("CA1", "+79280000001").await;
        let before = app.counts().await;
        let form = Form::call("CA1").status("completed");
        let honest = perezvon::providers::twiml::form_signature(crate::harness::TOKEN, "https://calls.example.org/webhooks/twilio/status", &form.0);
        for (endpoint, body, signed) in [
            ("status", form.encoded(), ""),
            ("status", form.encoded(), "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("status", format!("{}&From=%2B79280000009", form.encoded()), honest.as_str()),
            ("voice", form.encoded(), honest.as_str()),
            ("status?x=1", form.encoded(), honest.as_str()),
        ] {
            let answer = app.post_raw(endpoint, body.into_bytes(), signed).await;
            assert_eq!(answer.status, 403, "{endpoint} {signed}: {}", answer.body);
            assert!(!answer.body.contains("12345678901234567890123456789012"));
        }
        assert_eq!(app.counts().await, before);
        assert!(app.get("/metrics").await.body.contains("perezvon_refused_signatures_total"));
        app.leave_the_jobs().await;
    }

    async fn a_webhook_without_a_signature_is_refused(app) {
        let request = Request::post("/webhooks/twilio/voice").body(Body::from(Form::call("CA1").encoded())).unwrap();
        assert_eq!(app.request(request).await.status, 403);
        assert_eq!(app.get("/webhooks/twilio/voice?CallSid=CA1").await.status, 403);
        assert_eq!(app.count("delivery").await, 0);
    }

    async fn a_provider_or_an_address_that_is_unknown_is_not_found(app) {
        let unknown = Request::post("/webhooks/mango/voice").body(Body::from(Form::call("CA1").encoded())).unwrap();
        assert_eq!(app.request(unknown).await.status, 404);
        for endpoint in ["nothing", "dialled/x", "dialled/007", "voice/", "keyed/100"] {
            assert_eq!(app.post(endpoint, &Form::call("CA1")).await.status, 404, "{endpoint}");
        }
        assert_eq!(app.count("delivery").await, 0);
    }

    async fn a_webhook_that_makes_no_sense_is_a_bad_request(app) {
        for (endpoint, form) in [
            ("status", Form::call("CA1").without("CallSid")),
            ("status", Form::call(" ")),
            ("recording", Form::call("CA1")),
            ("recording", Form::call("CA1").with("RecordingStatus", "completed")),
        ] {
            let answer = app.post(endpoint, &form).await;
            assert_eq!(answer.status, 400, "{form:?}: {}", answer.body);
        }
        assert_eq!((app.count("delivery").await, app.count("call").await), (0, 0));
    }

    async fn a_body_larger_than_any_webhook_is_refused_unread(app) {
        let answer = app.post("voice", &Form::call("CA1").with("X", &"x".repeat(65 * 1024))).await;
        assert_eq!(answer.status, 413);
        assert_eq!(app.post("voice", &Form::call("CA1").with("X", &"x".repeat(60 * 1024))).await.status, 200);
        assert_eq!(app.count("delivery").await, 1);
    }

    async fn texts_that_look_like_commands_are_kept_as_texts(app) {
        let nasty = "'; DROP TABLE call; -- \u{1F600} </Say>";
        let answer = app.post("voice", &Form::call("CA1").from(nasty).to(nasty).with("ForwardedFrom", nasty)).await;
        assert!(answer.offers_to_record(), "{answer:?}");
        let call = app.call("CA1").await;
        assert_eq!((call.dialled.as_deref(), call.caller.unwrap().raw.as_str()), (Some(nasty), nasty));
    }

    async fn nonsense_in_numbers_and_times_is_passed_over(app) {
        for (n, value) in ["-1", "9999999999999999999999", "NaN", "1e400", "", "٣"].into_iter().enumerate() {
            let form = Form::call(&format!("CA{n}")).status("completed").with("CallDuration", value);
            let form = form.with("Timestamp", value).with("RecordingDuration", value).with("SequenceNumber", value);
            assert_eq!(app.post("status", &form).await.status, 200, "{value}");
            assert_eq!(app.call(&format!("CA{n}")).await.started_at, app.now(), "{value}");
        }
    }

    async fn a_time_of_the_provider_that_cannot_be_is_not_believed(app) {
        for (n, told) in ["Fri, 20 Nov 2076 16:30:00 +0000", "Thu, 01 Jan 1970 00:00:00 +0000"].into_iter().enumerate() {
            app.post("status", &Form::call(&format!("CA{n}")).with("Timestamp", told)).await;
            assert_eq!(app.call(&format!("CA{n}")).await.started_at, app.now(), "{told}");
        }
    }
}
