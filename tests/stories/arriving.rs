//! Webhooks late, twice, out of order, or alone: every call is logged once, and nobody is forgotten.

use perezvon::core::call::Outcome;

use crate::harness::{Form, friday, stories};

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
        app.sql("DELETE FROM job").await;
    }
}
