//! Callbacks that never came: the provider is asked what it knows, and a call nobody ended is ended.

use perezvon::app::demo::{CallPlan, CallReport, Ending, Purpose};
use perezvon::core::call::Outcome;
use perezvon::store::VoicemailState;

use crate::harness::{App, Form, PARENTS, stories};

/// The provider holds a message, and of all it sent only the arrival and the end of the call have reached us.
async fn a_message_nobody_told_of(app: &App) -> CallReport {
    let plan = CallPlan::new("+79280000001", PARENTS).leaving(9_000, Ending::HangsUp);
    let report = app.exchange.call(plan).await;
    for table in ["delivery", "call_key", "call", "voicemail", "callback", "job"] {
        app.sql(&format!("DELETE FROM {table}")).await;
    }
    app.post("voice", &Form::call(&report.sid)).await;
    app.post("status", &Form::call(&report.sid).status("completed")).await;
    report
}

stories! {
    async fn a_lost_recording_callback_is_found_by_asking(app) {
        let report = a_message_nobody_told_of(app).await;
        assert_eq!(app.call(&report.sid).await.outcome(), Outcome::Abandoned);
        assert_eq!(app.voicemails().await.len(), 0);
        app.advance_minutes(5);
        app.run_all_jobs().await;
        assert_eq!(app.call(&report.sid).await.outcome(), Outcome::Voicemail);
        let found = app.voicemails().await;
        assert_eq!((found.len(), found[0].state), (1, VoicemailState::Stored));
        assert_eq!(app.callbacks().await.len(), 1);
        assert_eq!(app.exchange.counters().deleted, [report.recordings[0].sid.clone()]);
        let own: Vec<_> = app.rows("SELECT id FROM delivery WHERE method = 'OWN'").await;
        assert!(!own.is_empty(), "what was asked for is kept like what was sent");
    }

    async fn a_call_of_whose_end_nobody_told_is_ended_by_asking(app) {
        let mut plan = CallPlan::new("+79280000001", PARENTS).patient(5_000);
        plan.delivery.lost = vec![Purpose::Status];
        let report = app.exchange.call(plan).await;
        assert_eq!(app.call(&report.sid).await.outcome(), Outcome::InProgress);
        assert_eq!(app.callbacks().await.len(), 0);
        app.advance_minutes(29);
        app.worker().sweep().await;
        assert_eq!(app.run_jobs().await, 0, "it may still be going on");
        app.advance_minutes(2);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        let call = app.call(&report.sid).await;
        assert_eq!((call.outcome(), call.ended_at), (Outcome::Abandoned, Some(report.ended_at)));
        assert_eq!(app.callbacks().await.len(), 1);
    }

    async fn a_call_that_nobody_ever_ends_is_ended_after_four_hours(app) {
        app.restart(|setup| setup.api_base = "http://127.0.0.1:1/nobody".to_owned()).await;
        app.post("voice", &Form::call("CA1")).await;
        let began_at = app.now();
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_jobs().await;
        assert_eq!(app.callbacks().await.len(), 0);
        app.run_all_jobs().await;
        let call = app.call("CA1").await;
        let lasted = call.ended_at.unwrap().duration_since(began_at);
        assert!((4..6).contains(&lasted.as_hours()), "{lasted}");
        assert_eq!(app.callback().await.caller.unwrap().e164(), "+79280000001");
    }

    /// Questions to a silent host take two minutes each, two at a time, and the ends waited with them.
    async fn call_ends_after_four_hours_without_an_answer(app) {
        for n in 0..120 {
            app.post("voice", &Form::call(&format!("CA{n}")).from(&format!("+7928000{n:04}"))).await;
        }
        for minutes in [31, 1, 4 * 60 + 4 - 32] {
            app.advance_minutes(minutes);
            app.worker().sweep().await;
        }
        assert_eq!(app.callbacks().await.len(), 0, "a minute is missing");
        for _ in 0..2 {
            app.advance_minutes(1);
            app.worker().sweep().await;
        }
        assert_eq!(app.callbacks().await.len(), 120, "no question was ever answered");
        app.leave_the_jobs().await;
    }

    async fn old_call_is_asked_about_before_it_is_ended(app) {
        let mut plan = CallPlan::new("+79280000001", PARENTS).patient(5_000);
        plan.delivery.lost = vec![Purpose::Status];
        let report = app.exchange.call(plan).await;
        app.advance_minutes(5 * 60);
        for _ in 0..2 {
            app.worker().sweep().await;
        }
        assert_eq!(app.callbacks().await.len(), 0, "the service was away: the answer may come yet");
        app.run_all_jobs().await;
        assert_eq!(app.call(&report.sid).await.ended_at, Some(report.ended_at));
        assert_eq!(app.number("SELECT COUNT(*) FROM delivery WHERE endpoint = 'assumed-end'").await, 0);
    }

    async fn a_call_the_provider_has_forgotten_is_over(app) {
        app.post("voice", &Form::call("CA1")).await;
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        assert_eq!(app.call("CA1").await.outcome(), Outcome::Abandoned);
        assert_eq!(app.callbacks().await.len(), 1);
    }

    async fn a_call_of_a_provider_that_is_gone_is_ended_all_the_same(app) {
        app.post("voice", &Form::call("CA1")).await;
        app.restart(|setup| setup.provider = "other").await;
        app.advance_minutes(31);
        app.worker().sweep().await;
        app.run_all_jobs().await;
        assert_eq!(app.callbacks().await.len(), 1);
    }

    async fn a_message_that_comes_to_light_after_its_callback_was_closed_is_put_on_the_list_again(app) {
        a_message_nobody_told_of(app).await;
        let first = app.callback().await.id;
        let madina = perezvon::core::officer::Actor::officer(1, "Мадина И.");
        app.act(first, &madina, perezvon::core::callback::Action::Done { note: String::new() }).await.unwrap();
        app.run_all_jobs().await;
        assert_ne!(app.callback().await.id, first);
        assert_eq!(app.voicemails().await.len(), 1);
    }

    async fn asking_twice_finds_nothing_new(app) {
        let report = app.exchange.call(CallPlan::new("+79280000001", PARENTS).leaving(9_000, Ending::HangsUp)).await;
        app.run_all_jobs().await;
        let before = app.counts().await;
        let id = app.call(&report.sid).await.id;
        app.store().plan_job(perezvon::store::JobKind::ReconcileCall, id, app.now()).await.unwrap();
        app.run_all_jobs().await;
        assert_eq!(app.counts().await, before);
    }

    /// With the interface away, the oldest fifty alone were asked about, and the list stayed empty for hours.
    async fn every_call_without_an_end_reaches_the_list_in_time(app) {
        app.restart(|setup| setup.api_base = "http://127.0.0.1:1".to_owned()).await;
        for n in 0..220 {
            app.post("voice", &Form::call(&format!("CA{n}")).from(&format!("+7928000{n:04}"))).await;
        }
        app.advance_minutes(31);
        for _ in 0..3 {
            app.worker().sweep().await;
            app.run_jobs().await;
            app.advance_minutes(1);
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM job WHERE kind = 'reconcile_call'").await, 220, "all are asked about");
        for _ in 0..45 {
            app.advance_minutes(5);
            app.run_jobs().await;
        }
        assert_eq!(app.callbacks().await.len(), 220, "after four hours they have ended");
        app.leave_the_jobs().await;
    }
}
