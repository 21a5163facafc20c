//! Our own failures: a caller never hears them, and what came meanwhile is applied later.

use std::time::Duration;

use perezvon::core::call::Outcome;
use perezvon::core::callback::Action;
use perezvon::core::officer::{Actor, Role};
use perezvon::store::SpoolDepth;

use crate::harness::{App, Engine, Form, patiently, stories};

/// Another instance wins the first contest for this table.
async fn lose_once(app: &App, event: &str, code: &str) {
    let statements = [
        "CREATE SEQUENCE contests".to_owned(),
        format!(
            "CREATE FUNCTION lose_once() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF nextval('contests') = 1 THEN
                        RAISE EXCEPTION 'another instance was first' USING ERRCODE = '{code}';
                    END IF;
                    RETURN NEW;
                END $$"
        ),
        format!("CREATE TRIGGER contests BEFORE {event} FOR EACH ROW EXECUTE FUNCTION lose_once()"),
    ];
    for statement in statements.iter().filter(|_| app.engine == Engine::Postgres) {
        app.sql(statement).await;
    }
}

stories! {
    /// The whole batch once went to the spool, and its callers got the offer instead of the officers.
    async fn deadlock_with_another_instance_spools_nothing(app) {
        lose_once(app, "INSERT ON call_key", "40P01").await;
        assert_eq!(app.post("status", &Form::call("CA1").status("completed")).await.status, 200);
        assert_eq!(app.spooled_files(), 0);
        assert!(app.find("CA1").await.is_some());
        app.leave_the_jobs().await;
    }

    /// He once got an error page, and did not know whether the caller was his.
    async fn deadlock_costs_no_officer_his_step(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        lose_once(app, "UPDATE ON callback", "40P01").await;
        let officer = Actor::officer(1, "Мадина И.");
        let claimed = app.act(app.callback().await.id, &officer, Action::Claim).await.unwrap();
        assert_eq!(claimed.desk.state.as_str(), "claimed");
        assert_eq!(app.number("SELECT COUNT(*) FROM callback_history WHERE kind = 'claim'").await, 1);
        app.leave_the_jobs().await;
    }

    /// Instances whose ids share a remainder once gave an error page for each meeting.
    async fn taken_id_costs_no_officer_his_step(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        lose_once(app, "INSERT ON callback_history", "23505").await;
        let officer = Actor::officer(1, "Мадина И.");
        let claimed = app.act(app.callback().await.id, &officer, Action::Claim).await.unwrap();
        assert_eq!(claimed.desk.state.as_str(), "claimed");
        app.leave_the_jobs().await;
    }

    async fn without_the_database_callers_get_the_offer(app) {
        app.post("voice", &Form::call("CA0").from("+79280000000")).await;
        app.take_the_database_away().await;
        let offer = app.post("voice", &Form::call("CA1")).await;
        assert!(offer.offers_to_record(), "{offer:?}");
        assert!(app.post("fallback", &Form::call("CA1")).await.offers_to_record());
        assert!(app.post("dialled/0", &Form::call("CA1")).await.offers_to_record());
        let thanks = app.post("message", &Form::call("CA1").recording("RE1", "7", app.exchange.api_base())).await;
        assert_eq!((thanks.status, thanks.verbs()), (200, vec!["Say", "Hangup"]), "the message is at the provider");
        assert_eq!(app.post("status", &Form::call("CA1").status("completed")).await.status, 200);
        app.bring_the_database_back().await;
        assert!(app.find("CA1").await.is_none());

        assert_eq!(app.store().drain_spool(&app.clock).await, 5);
        let call = app.call("CA1").await;
        assert_eq!((call.outcome(), call.line.unwrap().as_str()), (Outcome::Voicemail, "parents"));
        assert_eq!(app.callback().await.caller.unwrap().e164(), "+79280000001");
        assert_eq!(app.count("voicemail").await, 1);
        app.leave_the_jobs().await;
    }

    async fn the_worker_applies_what_came_during_an_outage_by_itself(app) {
        app.take_the_database_away().await;
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        assert_eq!(app.store().drain_spool(&app.clock).await, 0, "still away");
        app.bring_the_database_back().await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let working = tokio::spawn(app.worker().run(stopped));
        while app.find("CA1").await.is_none() {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
        working.await.unwrap();
        assert_eq!(app.view("CA1").await.deliveries.len(), 1);
    }

    async fn what_came_during_an_outage_outlives_the_program(app) {
        app.take_the_database_away().await;
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        let message = Form::call("CA1").recording("RE1", "7", app.exchange.api_base());
        assert_eq!(app.post("message", &message).await.status, 200);
        assert_eq!(app.spooled_files(), 2);
        app.crash().await;
        app.bring_the_database_back().await;
        app.restart(|_| ()).await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 2);
        assert_eq!((app.view("CA1").await.deliveries.len(), app.spooled_files()), (2, 0));
        assert_eq!(app.callback().await.caller.unwrap().e164(), "+79280000001");
        let alarm = app.alarms().await.remove(0);
        assert_eq!((alarm.kind.as_str(), alarm.subject.as_str()), ("we_failed", "database"));
        assert!(alarm.told.contains("Проверьте"), "{}", alarm.told);
        app.leave_the_jobs().await;
    }

    async fn a_late_delivery_that_can_never_be_kept_lets_the_others_pass(app) {
        app.post("voice", &Form::call("CA1")).await;
        app.take_the_database_away().await;
        app.post("dialled/0", &Form::call("CA1")).await;
        app.post("voice", &Form::call("CA2").from("+79280000002")).await;
        app.bring_the_database_back().await;
        app.sql("UPDATE call SET direction = 'sideways'").await;
        assert_eq!(app.store().drain_spool(&app.clock).await, 1);
        assert!(app.find("CA2").await.is_some());
        assert_eq!(app.spool_names().iter().filter(|name| name.ends_with(".set_aside")).count(), 1, "for somebody to look at");
        let mut subjects: Vec<_> = app.alarms().await.into_iter().map(|alarm| alarm.subject).collect();
        subjects.sort();
        assert_eq!(subjects, ["database", "late"]);
        assert_eq!(app.store().drain_spool(&app.clock).await, 0);
    }

    async fn a_delivery_that_takes_too_long_is_kept_once(app) {
        let lock = match app.engine {
            crate::harness::Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE call_key IN ACCESS EXCLUSIVE MODE",
        };
        for statement in lock.split("; ") {
            app.sql(statement).await;
        }
        assert!(app.post("voice", &Form::call("CA1")).await.offers_to_record());
        assert_eq!(app.spooled_files(), 1, "it outlives a crash while it waits in the queue");
        app.sql("ROLLBACK").await;
        while app.spooled_files() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(app.store().drain_spool(&app.clock).await, 0);
        assert_eq!(app.view("CA1").await.deliveries.len(), 1);
    }

    async fn whoever_asks_for_the_fallback_tells_of_a_fault_of_ours(app) {
        assert!(app.post("fallback", &Form::call("CA1")).await.offers_to_record());
        while app.alarms().await.is_empty() {
            tokio::task::yield_now().await;
        }
        let alarm = app.alarms().await.remove(0);
        assert_eq!((alarm.kind.as_str(), alarm.subject.as_str()), ("we_failed", "twilio"));
        assert!(alarm.told.contains("Проверьте"), "{}", alarm.told);
    }


    /// The worker once waited for the whole queue, two minutes for each recording of a host that says nothing, and with it
    /// waited the deliveries of an outage and the end of the program.
    async fn a_storage_that_says_nothing_holds_up_neither_late_deliveries_nor_the_stop(app) {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        for n in 1..=5 {
            app.message_from(&format!("CA{n}"), &format!("+7928000000{n}")).await;
        }
        app.sql(&format!("UPDATE voicemail SET url = '{url}/RE'")).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let working = tokio::spawn(app.worker().run(stopped));
        while app.number("SELECT COUNT(*) FROM job WHERE leased_until IS NOT NULL").await < 2 {
            tokio::task::yield_now().await;
        }
        app.take_the_database_away().await;
        assert!(app.post("voice", &Form::call("CA9")).await.offers_to_record());
        app.bring_the_database_back().await;
        let delivered = async {
            while app.find("CA9").await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), delivered).await.expect("delivered beside the waiting jobs");
        stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(300), working).await.expect("it stops").unwrap();
        let again = "SELECT COUNT(*) FROM job WHERE kind = 'fetch_recording' AND given_up_at IS NULL";
        assert_eq!(app.number(again).await, 5, "none is lost");
        app.leave_the_jobs().await;
    }

    async fn a_database_that_is_away_fails_readiness_and_not_health(app) {
        app.worker().heartbeat.beat();
        app.becomes_ready().await;
        if app.engine == Engine::Postgres {
            app.take_the_database_away().await;
            assert_eq!((app.get("/readyz").await.status, app.get("/healthz").await.status), (503, 200));
            app.bring_the_database_back().await;
            app.becomes_ready().await;
        }
    }

    async fn a_database_that_can_be_read_and_not_written_is_not_ready(app) {
        app.worker().heartbeat.beat();
        let lock = match app.engine {
            crate::harness::Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE meta IN EXCLUSIVE MODE",
        };
        for statement in lock.split("; ") {
            app.sql(statement).await;
        }
        let answer = app.get("/readyz").await;
        assert_eq!((answer.status, answer.body.contains("does not answer")), (503, true), "{answer:?}");
        app.sql("ROLLBACK").await;
        let answer = app.get("/readyz").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Whoever looks for a dead server looks in the wrong place.
    async fn database_that_may_only_be_read_is_said_to_answer(app) {
        let mut madina = app.browser("Мадина", Role::Officer).await;
        let lock = match app.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE meta IN EXCLUSIVE MODE",
        };
        for statement in lock.split("; ") {
            app.sql(statement).await;
        }
        let page = madina.get("/health-ui").await.body;
        assert!(page.contains("отвечает, но не сохраняет звонки"), "{page}");
        app.sql("ROLLBACK").await;
    }

    /// Gauges that could not be read do not make a database away that takes every call.
    async fn gauges_that_are_not_measured_leave_the_database_up(app) {
        app.sql("ALTER TABLE alarm RENAME TO alarm_away").await;
        // The gauges are those of the whole process: another story may set them between.
        patiently("the truth on /metrics", async {
            let says = |page: &str| page.contains("database_up 1\n") && page.contains("database_measured 0\n");
            while !says(&app.get("/metrics").await.body) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        app.sql("ALTER TABLE alarm_away RENAME TO alarm").await;
        patiently("all measured", async {
            while !app.get("/metrics").await.body.contains("perezvon_database_measured 1\n") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn a_worker_that_does_not_run_is_not_ready(app) {
        let answer = app.get("/readyz").await;
        assert_eq!((answer.status, answer.body.contains("does not run")), (503, true), "{answer:?}");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let working = tokio::spawn(app.worker().run(stopped));
        app.becomes_ready().await;
        stop.send(true).unwrap();
        working.await.unwrap();
        app.worker().heartbeat.stop();
        assert_eq!(app.get("/readyz").await.status, 503);
    }

    async fn one_table_broken_fails_no_officers_later_action(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        let id = app.callback().await.id;
        let madina = perezvon::core::officer::Actor::officer(1, "Мадина И.");
        app.sql("ALTER TABLE audit RENAME TO audit_away").await;
        let failed = app.act(id, &madina, perezvon::core::callback::Action::Claim).await;
        assert!(matches!(failed, Err(perezvon::store::ActError::Store(_))), "{failed:?}");
        assert_eq!(app.post("status", &Form::call("CA2").from("+79280000002").status("completed")).await.status, 200);
        app.sql("ALTER TABLE audit_away RENAME TO audit").await;
        let claimed = app.act(id, &madina, perezvon::core::callback::Action::Claim).await.unwrap();
        assert_eq!(claimed.registration_number.as_deref(), Some("2026-000001"), "the failure took no number");
    }

    async fn more_than_may_wait_for_the_writer_are_spooled(app) {
        let lock = match app.engine {
            crate::harness::Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE call_key IN ACCESS EXCLUSIVE MODE",
        };
        for statement in lock.split("; ") {
            app.sql(statement).await;
        }
        let sent = 4096 + 512 + 100;
        let waiting: Vec<_> = (0..sent)
            .map(|n| {
                let (form, app) = (Form::call(&format!("CA{n}")).status("completed"), app);
                async move { app.post("status", &form).await.status }
            })
            .collect();
        let mut waiting = Box::pin(futures_util::future::join_all(waiting));
        // All are begun before the first one can have an answer: the writer stands before the lock.
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let offer = app.post("voice", &Form::call("CAx")).await;
        assert!(offer.offers_to_record(), "{offer:?}");
        app.sql("ROLLBACK").await;
        let acknowledged: Vec<_> = waiting.await.into_iter().enumerate().filter(|(_, status)| *status == 200).collect();
        assert!(!acknowledged.is_empty(), "how many depends on the disk");
        while app.store().spool_depth() != SpoolDepth::default() {
            app.store().drain_spool(&app.clock).await;
            tokio::task::yield_now().await;
        }
        for (n, _) in acknowledged {
            assert!(app.find(&format!("CA{n}")).await.is_some(), "CA{n} was acknowledged");
        }
        assert!(app.find("CAx").await.is_some());
    }
}
