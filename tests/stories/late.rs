//! Calls that become known later than they happened: by their end alone, by late webhooks, from the spool.

use perezvon::core::callback::Action;
use perezvon::core::officer::Actor;
use perezvon::time::{SignedDuration, Timestamp};

use crate::harness::{App, Form, PARENTS, STAFF, friday, monday, patiently, stories};

const CALLER: &str = "+79280000001";

/// The end of a call that lasted so many seconds, as its provider reports it at last.
fn ended(sid: &str, at: Timestamp, seconds: u32) -> Form {
    let at = at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
    let form = Form::call(sid).from(CALLER).status("completed");
    form.with("CallDuration", &seconds.to_string()).with("Timestamp", &at)
}

/// A call that reached nobody and was reported at once.
async fn missed(app: &App, sid: &str, line: &str) {
    let form = Form::call(sid).from(CALLER).to(line);
    app.post("voice", &form).await;
    app.post("status", &form.status("completed")).await;
}

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

async fn act_at(app: &App, id: i64, at: Timestamp, action: Action) {
    app.clock.set(at);
    app.act(id, &madina(), action).await.unwrap();
}

/// The caller waits on this line from 10:00 on Monday, is called at 10:05, and «Готово» comes at 10:10.
async fn called_back(app: &App, line: &str) -> i64 {
    app.clock.set(monday("10:00"));
    missed(app, "CA-first", line).await;
    let id = app.callback().await.id;
    act_at(app, id, monday("10:05"), Action::Dial).await;
    act_at(app, id, monday("10:10"), Action::Done { note: String::new() }).await;
    id
}

/// The caller gets through to an officer at 10:00 on the other line. The answer is the id of that call.
async fn talk(app: &App) -> i64 {
    app.clock.set(monday("10:00"));
    let form = Form::call("CA-talk").from(CALLER).to(STAFF);
    app.post("voice", &form).await;
    app.advance_minutes(2);
    app.post("dialled/0", &form.clone().with("DialCallStatus", "completed").with("DialCallDuration", "60")).await;
    app.post("status", &form.status("completed")).await;
    app.call("CA-talk").await.id
}

stories! {
    async fn call_known_by_its_end_is_judged_by_its_start(app) {
        for (sid, end, is_open, due_at) in [
            ("CA1", "18:01:34", true, friday("18:00")),
            ("CA2", "18:01:35", false, monday("18:00")),
        ] {
            app.clock.set(friday("18:03"));
            let end = friday(end);
            app.post("status", &ended(sid, end, 95).from(&format!("+7928000010{}", &sid[2..]))).await;
            let call = app.call(sid).await;
            assert_eq!((call.started_at, call.ended_at), (end - SignedDuration::from_secs(95), Some(end)));
            assert_eq!(call.decision.as_ref().unwrap().open, is_open, "{call:?}");
            let callback = app.store().callback(call.callback_id.unwrap()).await.unwrap().unwrap().callback;
            assert_eq!((callback.received_at, callback.due_at), (call.started_at, Some(due_at)));
        }
        app.leave_the_jobs().await;
    }

    /// The only report of a call to a number that is none of our lines, which no list of calls is asked about.
    async fn call_known_by_an_end_that_came_days_late_was_promised_the_day_of_its_start(app) {
        app.clock.set(monday("21:51"));
        app.post("status", &ended("CA1", friday("14:06:23"), 5).to("+74951112233")).await;
        let (call, callback) = (app.call("CA1").await, app.callback().await);
        assert_eq!((call.started_at, call.line.unwrap().as_str()), (friday("14:06:18"), "unknown"));
        assert_eq!((callback.received_at, callback.due_at), (friday("14:06:18"), Some(friday("18:00"))));
        app.leave_the_jobs().await;
    }

    async fn voice_webhook_after_the_end_changes_no_decision(app) {
        app.clock.set(friday("18:01:07"));
        app.post("status", &ended("CA1", friday("18:01:05"), 95)).await;
        app.clock.set(friday("18:01:20"));
        let answer = app.post("voice", &Form::call("CA1").from(CALLER)).await;
        assert!(answer.offers_to_record() && !answer.verbs().contains(&"Dial"), "nobody rings for a call that is over");
        let call = app.call("CA1").await;
        assert!(call.started_at == friday("17:59:30") && call.decision.unwrap().open);
        assert_eq!((app.count("call").await, app.callback().await.due_at), (1, Some(friday("18:00"))));
        app.leave_the_jobs().await;
    }

    /// The database was away at the beginning of the call, and back before the spool was taken in.
    async fn spooled_voice_webhook_changes_no_decision(app) {
        app.clock.set(friday("17:59:31"));
        app.take_the_database_away().await;
        assert!(app.post("voice", &Form::call("CA1").from(CALLER)).await.offers_to_record());
        app.bring_the_database_back().await;
        database_answers(app).await;
        app.clock.set(friday("18:01:07"));
        app.post("status", &ended("CA1", friday("18:01:05"), 95)).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 1);
        let call = app.call("CA1").await;
        assert!(call.started_at == friday("17:59:30") && call.decision.unwrap().open);
        assert_eq!(app.callback().await.due_at, Some(friday("18:00")));
        app.leave_the_jobs().await;
    }

    async fn late_webhook_joins_the_callback_that_followed(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("13:00"));
        for _ in 0..2 {
            app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        }
        assert_eq!(app.call("CA-late").await.callback_id, Some(done), "the callback answers this call too");
        assert!(app.callbacks().await.is_empty(), "nobody is called twice");
        app.leave_the_jobs().await;
    }

    /// Its first status comes as late as its end.
    async fn several_late_webhooks_join_the_callback_that_followed(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("13:00"));
        app.post("status", &ended("CA-late", monday("09:30"), 0).without("CallDuration").status("ringing")).await;
        app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        assert_eq!(app.call("CA-late").await.callback_id, Some(done));
        assert!(app.callbacks().await.is_empty());
        app.leave_the_jobs().await;
    }

    async fn late_call_after_the_last_dial_waits(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("13:00"));
        app.post("status", &ended("CA-late", monday("10:07"), 40)).await;
        let waiting = app.callback().await;
        assert!(waiting.id != done && app.call("CA-late").await.callback_id == Some(waiting.id), "{waiting:?}");
        app.leave_the_jobs().await;
    }

    async fn late_message_waits_though_its_caller_was_called_back(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("13:00"));
        let end = ended("CA-late", monday("09:31"), 40);
        let message = end.clone().recording("RE1", "7", app.exchange.api_base()).with("RecordingStatus", "completed");
        app.post("recording", &message).await;
        app.post("status", &end).await;
        let waiting = app.callback().await;
        assert!(waiting.id != done, "nobody has heard it");
        assert_eq!((waiting.proposed_call_id, waiting.proposed_callback_id), (None, None));
        app.leave_the_jobs().await;
    }

    async fn who_rings_again_at_once_waits_again(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("10:11"));
        missed(app, "CA-again", PARENTS).await;
        assert_ne!(app.callback().await.id, done);
        app.leave_the_jobs().await;
    }

    async fn late_call_of_who_got_through_since_proposes_to_close(app) {
        let talk_id = talk(app).await;
        app.clock.set(monday("13:00"));
        app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        assert_eq!(app.callback().await.proposed_call_id, Some(talk_id));
        app.post("status", &ended("CA-later", monday("10:30"), 40)).await;
        let waiting = app.callback().await;
        assert_eq!(waiting.proposed_call_id, None, "after the talk he rang again: {waiting:?}");
        app.leave_the_jobs().await;
    }

    /// The talk answers the earlier of them alone, whichever becomes known first.
    async fn late_calls_before_and_after_a_talk_propose_nothing(app) {
        talk(app).await;
        app.clock.set(monday("13:00"));
        app.post("status", &ended("CA-later", monday("10:30"), 40)).await;
        app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        let waiting = app.callback().await;
        assert_eq!((waiting.proposed_call_id, waiting.proposed_callback_id), (None, None), "{waiting:?}");
        app.leave_the_jobs().await;
    }

    async fn spooled_calls_before_and_after_a_talk_propose_nothing(app) {
        talk(app).await;
        app.clock.set(monday("13:00"));
        app.take_the_database_away().await;
        app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        app.post("status", &ended("CA-later", monday("10:30"), 40)).await;
        app.bring_the_database_back().await;
        database_answers(app).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_eq!(app.callback().await.proposed_call_id, None);
        app.leave_the_jobs().await;
    }

    /// Nobody reported the end, so that it is no more than assumed, hours after the talk.
    async fn call_without_an_end_is_answered_by_a_talk_since(app) {
        app.clock.set(monday("09:31"));
        app.post("voice", &Form::call("CA-endless").from(CALLER)).await;
        let talk_id = talk(app).await;
        for minutes in [4 * 60, 10, 10] {
            app.advance_minutes(minutes);
            app.worker().sweep().await;
        }
        let waiting = app.callback().await;
        assert_eq!(app.call("CA-endless").await.callback_id, Some(waiting.id));
        assert_eq!(waiting.proposed_call_id, Some(talk_id));
        app.leave_the_jobs().await;
    }

    /// «Готово» was about the talk. Nobody has dialled since he rang again.
    async fn callback_closed_for_an_earlier_talk_answers_no_later_call(app) {
        app.clock.set(monday("09:31"));
        missed(app, "CA-first", PARENTS).await;
        let id = app.callback().await.id;
        talk(app).await;
        app.clock.set(monday("10:30"));
        app.take_the_database_away().await;
        missed(app, "CA-again", PARENTS).await;
        app.bring_the_database_back().await;
        database_answers(app).await;
        act_at(app, id, monday("12:00"), Action::Done { note: String::new() }).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_ne!(app.callback().await.id, id, "he has rung after the talk");
        app.leave_the_jobs().await;
    }

    /// He was called back by a clock that ran half an hour ahead, and rings again after it was put right.
    async fn outcome_of_a_clock_that_ran_ahead_answers_no_call(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("09:40"));
        missed(app, "CA-again", PARENTS).await;
        assert_ne!(app.callback().await.id, done);
        app.leave_the_jobs().await;
    }

    async fn outcome_of_a_clock_that_ran_ahead_answers_no_spooled_call(app) {
        let done = called_back(app, PARENTS).await;
        app.clock.set(monday("09:40"));
        app.take_the_database_away().await;
        missed(app, "CA-again", PARENTS).await;
        app.bring_the_database_back().await;
        database_answers(app).await;
        app.clock.set(monday("09:45"));
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_ne!(app.callback().await.id, done);
        app.leave_the_jobs().await;
    }

    /// Who was dialled last week is called back without a dial, by an officer's own telephone.
    async fn dial_before_the_callback_says_nothing_of_it(app) {
        app.clock.set(friday("10:00"));
        missed(app, "CA-friday", STAFF).await;
        let id = app.callback().await.id;
        act_at(app, id, friday("10:05"), Action::Dial).await;
        act_at(app, id, friday("10:10"), Action::Done { note: String::new() }).await;
        app.clock.set(monday("10:00"));
        missed(app, "CA-first", PARENTS).await;
        let done = app.callback().await.id;
        act_at(app, done, monday("10:05"), Action::Claim).await;
        act_at(app, done, monday("10:10"), Action::Done { note: String::new() }).await;
        app.clock.set(monday("13:00"));
        app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        assert_eq!(app.call("CA-late").await.callback_id, Some(done));
        assert!(app.callbacks().await.is_empty(), "nobody is called twice");
        app.leave_the_jobs().await;
    }

    async fn late_call_answered_on_the_other_line_proposes_to_close(app) {
        let done = called_back(app, STAFF).await;
        app.clock.set(monday("13:00"));
        app.post("status", &ended("CA-late", monday("09:31"), 40)).await;
        let waiting = app.callback().await;
        assert_eq!(app.call("CA-late").await.callback_id, Some(waiting.id));
        assert_eq!((waiting.line.as_str(), waiting.proposed_callback_id), ("parents", Some(done)));
        app.leave_the_jobs().await;
    }

    /// A year found it: the request that names the line lay on a disk that was away, while the message came in and the end was
    /// assumed. Its caller stood on the unknown line, without his number.
    async fn line_that_becomes_known_after_an_assumed_end_is_the_line(app) {
        app.clock.set(monday("10:00"));
        app.take_the_database_away().await;
        app.post("voice", &Form::call("CA1").from(CALLER)).await;
        let spool = app.folder.path().join("recordings/.spool");
        let away = app.folder.path().join("away");
        std::fs::rename(&spool, &away).unwrap();
        app.bring_the_database_back().await;
        database_answers(app).await;
        let bare = Form::call("CA1").without("From").without("To").without("CallStatus");
        let message = bare.recording("RE1", "7", app.exchange.api_base()).with("RecordingStatus", "completed");
        app.post("recording", &message).await;
        for minutes in [4 * 60, 10, 10] {
            app.advance_minutes(minutes);
            app.worker().sweep().await;
        }
        assert_eq!(app.callback().await.line.as_str(), "unknown");
        let _ = std::fs::remove_dir_all(&spool);
        std::fs::rename(&away, &spool).unwrap();
        assert_eq!(app.store().drain_spool(&app.clock).await, 1);
        let waiting = app.callback().await;
        assert_eq!(waiting.line.as_str(), "parents");
        assert_eq!(waiting.number_to_dial().map(|number| number.e164().to_owned()), Some(CALLER.to_owned()));
        app.leave_the_jobs().await;
    }

    /// The database is back, and officers work with it, before the spool is taken in; or another instance had it all along.
    async fn spooled_call_joins_the_callback_that_followed(app) {
        app.clock.set(monday("10:00"));
        missed(app, "CA-first", PARENTS).await;
        let id = app.callback().await.id;
        app.clock.set(monday("10:02"));
        app.take_the_database_away().await;
        missed(app, "CA-spooled", PARENTS).await;
        app.bring_the_database_back().await;
        database_answers(app).await;
        act_at(app, id, monday("10:05"), Action::Dial).await;
        act_at(app, id, monday("10:10"), Action::Done { note: String::new() }).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_eq!(app.call("CA-spooled").await.callback_id, Some(id));
        assert!(app.callbacks().await.is_empty(), "nobody is called twice");
        app.take_the_database_away().await;
        missed(app, "CA-again", PARENTS).await;
        app.bring_the_database_back().await;
        database_answers(app).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_ne!(app.callback().await.id, id, "he has rung after the talk");
        app.leave_the_jobs().await;
    }
}

/// The writer connects anew after an error.
async fn database_answers(app: &App) {
    patiently("the database", async {
        while app.store().ping_writer().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
