//! The machine's clock ran ahead for a while: whoever rang meanwhile is on the list of today, nothing is held or given up until
//! that date comes, and no call is logged twice.

use perezvon::app::demo::RestFaults;
use perezvon::core::callback::{Action, AttemptOutcome};
use perezvon::core::officer::Actor;
use perezvon::store::{ListPeriod, StateFilter, VoicemailState};
use perezvon::time::{SignedDuration, Timestamp};

use crate::fetching::{a_message, voicemail};
use crate::harness::{App, Form, PARENTS, STAFF, monday, stories};

fn days_later(at: Timestamp, days: i64) -> Timestamp {
    at + SignedDuration::from_hours(24 * days)
}

/// The clock is set right, by a start or by the steering of time.
async fn clock_is_set_right(app: &App, now: Timestamp) {
    app.clock.set(now);
    app.worker().resume().await.unwrap();
    app.worker().sweep().await;
    app.worker().put_right_after_a_fast_clock().await.unwrap();
}

async fn missed(app: &App, sid: &str, caller: &str) {
    let form = Form::call(sid).from(caller).to(PARENTS);
    app.post("voice", &form).await;
    app.post("status", &form.status("completed")).await;
}

async fn ids_of_today(app: &App) -> Vec<i64> {
    let (lines, now) = (app.lines(), app.now());
    let period = ListPeriod::current(lines.default_calendar(), now).1;
    app.list(period, StateFilter::Unclosed).await.into_iter().map(|view| view.callback.id).collect()
}

stories! {
    /// He stood on the list of February, and nobody was told.
    async fn who_rang_meanwhile_waits_today(app) {
        let now = monday("10:00");
        app.clock.set(days_later(now, 61));
        missed(app, "CA-ahead", "+79280000001").await;
        let promised = app.callback().await.due_at.unwrap();
        clock_is_set_right(app, now).await;
        let waiting = app.callback().await;
        assert!(promised > days_later(now, 60) && waiting.due_at == Some(monday("18:00")), "{waiting:?}");
        assert_eq!(ids_of_today(app).await, [waiting.id]);
        let told = app.alarms().await;
        assert!(told.len() == 1 && told[0].told.contains("Часы сервера спешили"), "{told:?}");
        clock_is_set_right(app, monday("10:05")).await;
        assert_eq!(app.callback().await.version, waiting.version, "once");
        // He gets through on the other line: nobody calls him for nothing.
        let form = Form::call("CA-talk").from("+79280000001").to(STAFF);
        app.post("voice", &form).await;
        app.advance_minutes(2);
        app.post("dialled/0", &form.clone().with("DialCallStatus", "completed").with("DialCallDuration", "60")).await;
        app.post("status", &form.status("completed")).await;
        assert_eq!(app.callback().await.proposed_call_id, Some(app.call("CA-talk").await.id));
        app.leave_the_jobs().await;
    }

    /// «Нет ответа» put him off for two months.
    async fn who_was_put_off_meanwhile_waits_again(app) {
        let now = monday("10:00");
        app.clock.set(now);
        missed(app, "CA1", "+79280000001").await;
        let (id, by) = (app.callback().await.id, Actor::officer(1, "Мадина И."));
        app.clock.set(days_later(now, 61));
        let unanswered = Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None };
        app.act(id, &by, Action::Dial).await.unwrap();
        app.act(id, &by, unanswered).await.unwrap();
        clock_is_set_right(app, now).await;
        assert_eq!(app.next(&by).await.unwrap().id, id);
        app.leave_the_jobs().await;
    }

    /// Clocks of two instances differ by some minutes, and a clock that was never set takes everything for written ahead.
    async fn slow_clock_puts_nothing_right(app) {
        app.clock.set(monday("10:00"));
        missed(app, "CA1", "+79280000001").await;
        let id = app.callback().await.id;
        app.act(id, &Actor::officer(1, "Мадина И."), Action::Claim).await.unwrap();
        for slow in [monday("09:50"), "2000-01-01T00:00:07Z".parse().unwrap()] {
            app.clock.set(slow);
            app.worker().put_right_after_a_fast_clock().await.unwrap();
        }
        app.clock.set(monday("10:01"));
        assert_eq!(app.callback().await.due_at, Some(monday("18:00")));
        assert!(app.next(&Actor::officer(2, "Аминат К.")).await.is_err(), "the claim holds");
        assert!(app.alarms().await.is_empty());
        app.leave_the_jobs().await;
    }

    /// What was promised by a good clock stays.
    async fn who_rang_before_waits_as_promised(app) {
        app.clock.set(monday("19:00"));
        missed(app, "CA-evening", "+79280000001").await;
        let promised = app.callback().await.due_at;
        clock_is_set_right(app, monday("19:10")).await;
        assert_eq!(app.callback().await.due_at, promised);
        assert!(app.alarms().await.is_empty());
        app.leave_the_jobs().await;
    }

    /// A colleague was told «nobody waits» for three days.
    async fn claim_of_meanwhile_binds_nobody(app) {
        let now = monday("10:00");
        app.clock.set(now);
        missed(app, "CA1", "+79280000001").await;
        let id = app.callback().await.id;
        app.clock.set(days_later(now, 3));
        app.act(id, &Actor::officer(1, "Мадина И."), Action::Claim).await.unwrap();
        clock_is_set_right(app, now).await;
        assert_eq!(app.next(&Actor::officer(2, "Аминат К.")).await.unwrap().id, id);
        clock_is_set_right(app, monday("10:05")).await;
        assert!(app.next(&Actor::officer(1, "Мадина И.")).await.is_err(), "a claim of now holds");
        app.leave_the_jobs().await;
    }

    /// Sixty days had passed by the clock, so its provider was believed to have lost it.
    async fn message_given_up_meanwhile_is_fetched(app) {
        app.exchange.set_faults(RestFaults { not_ready: 100, ..RestFaults::default() });
        a_message(app).await;
        app.run_jobs().await;
        let now = app.now();
        app.clock.set(days_later(now, 61));
        app.run_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Failed);
        app.exchange.set_faults(RestFaults::default());
        clock_is_set_right(app, now).await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Pending);
        app.run_all_jobs().await;
        assert_eq!(voicemail(app).await.state, VoicemailState::Stored);
    }

    /// The start of the right time brought every listed call in again.
    async fn calls_of_before_are_known_after_it(app) {
        let now = monday("10:00");
        app.clock.set(now);
        missed(app, "CA1", "+79280000001").await;
        app.clock.set(days_later(now, 100));
        app.worker().sweep().await;
        clock_is_set_right(app, now).await;
        assert_eq!(app.count("call_key").await, 1);
        app.leave_the_jobs().await;
    }

    /// Calls of the weeks before the first start came to the list.
    async fn clock_that_was_never_set_settles_no_first_day(app) {
        app.sql("DELETE FROM reconciliation").await;
        let now = app.now();
        app.clock.set("2000-01-01T00:00:07Z".parse().unwrap());
        app.worker().plan_looks(true).await.unwrap();
        assert_eq!(app.count("reconciliation").await, 0);
        app.clock.set(now);
        app.worker().plan_looks(true).await.unwrap();
        assert!(app.number("SELECT MIN(service_since) FROM reconciliation").await > 1_735_689_600_000);
        app.leave_the_jobs().await;
    }
}
