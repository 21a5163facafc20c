//! Hours that change while the service runs: at once for the next caller, with due times that move along, and nothing lost.

use perezvon::core::calendar::{Exception, ExceptionMode, HoursStep, TimeState};
use perezvon::core::callback::Action;
use perezvon::core::line::LineId;
use perezvon::core::officer::Actor;
use perezvon::store::HoursError;
use perezvon::time::Timestamp;

use crate::harness::{App, Form, STAFF, at, monday, stories};

fn aishat() -> Actor {
    Actor::officer(2, "Айшат М.")
}

fn close(line: Option<&str>, until: Timestamp) -> HoursStep {
    HoursStep::Close { line: line.map(LineId::new), until, reason: "нет связи".to_owned() }
}

fn day_off(day: &str) -> HoursStep {
    let date = day.parse().unwrap();
    HoursStep::Except(vec![Exception {
        id: 0,
        line: None,
        from: date,
        to: date,
        mode: ExceptionMode::Closed,
        reason: "ремонт".to_owned(),
    }])
}

async fn change(app: &App, step: HoursStep) -> usize {
    let done = app.store().change_hours(step, None, &aishat(), "192.0.2.1", app.now()).await;
    done.unwrap_or_else(|error| panic!("{error}")).moved.len()
}

async fn due_at(app: &App, id: i64) -> Option<Timestamp> {
    app.store().callback(id).await.unwrap().unwrap().callback.due_at
}

stories! {
    async fn a_closure_takes_effect_for_the_very_next_call_and_ends_by_itself(app) {
        app.clock.set(monday("12:00"));
        assert!(app.post("voice", &Form::call("CA0")).await.body.contains("<Dial"));
        change(app, close(Some("parents"), monday("14:00"))).await;
        let greeting = app.post("voice", &Form::call("CA1").from("+79280000002")).await;
        assert!(greeting.body.contains("Сейчас нерабочее время") && !greeting.body.contains("<Dial"), "{}", greeting.body);
        let decision = app.call("CA1").await.decision.unwrap();
        assert_eq!((decision.open, decision.time_state), (false, TimeState::ClosedNow));
        assert_ne!(decision.calendar_version, app.call("CA0").await.decision.unwrap().calendar_version);
        assert_eq!(decision.promise.map(|period| period.start), Some(monday("14:00")), "the same day, after the closure");
        let staff = app.post("voice", &Form::call("CA2").from("+79280000003").to(STAFF)).await;
        assert!(staff.body.contains("<Dial"), "the other line stays open");

        app.clock.set(monday("13:59:59"));
        assert!(!app.post("voice", &Form::call("CA3").from("+79280000004")).await.body.contains("<Dial"));
        app.clock.set(monday("14:00"));
        assert!(app.post("voice", &Form::call("CA4").from("+79280000005")).await.body.contains("<Dial"));
        app.leave_the_jobs().await;
    }

    async fn a_closure_is_ended_early_once(app) {
        app.clock.set(monday("12:00"));
        change(app, close(None, monday("17:00"))).await;
        let id = app.store().hours_in_force().await.unwrap()[0].id;
        app.clock.set(monday("13:00"));
        change(app, HoursStep::OpenAgain { id }).await;
        assert!(app.post("voice", &Form::call("CA1")).await.body.contains("<Dial"));
        let again = app.store().change_hours(HoursStep::OpenAgain { id }, None, &aishat(), "", app.now()).await;
        assert!(matches!(again, Err(HoursError::Refused(_))), "{again:?}");
        let lines = app.store().lines();
        assert!(!lines.default_calendar().is_open(monday("12:30")), "what was closed then stays so");
        app.leave_the_jobs().await;
    }

    async fn closing_moves_the_due_times_of_those_who_wait_and_of_nobody_else(app) {
        for (sid, caller) in [("CA1", "+79280000001"), ("CA2", "+79280000002")] {
            app.message_from(sid, caller).await;
        }
        app.leave_the_jobs().await;
        app.clock.set(monday("11:00"));
        let (first, second) = (app.callbacks().await[0].callback.id, app.callbacks().await[1].callback.id);
        app.act(first, &aishat(), Action::Done { note: String::new() }).await.unwrap();
        let version = app.callback().await.version;

        app.clock.set(monday("12:00"));
        let looked = app.store().look_at_hours(&close(None, monday("23:00")), app.now()).await.unwrap();
        assert_eq!(looked.moved.len(), 1);
        assert_eq!(app.count("hours_change").await, 0, "looking writes nothing");
        assert_eq!(due_at(app, second).await, Some(monday("18:00")));

        assert_eq!(change(app, close(None, monday("23:00"))).await, 1);
        let tuesday = at("2026-11-24T18:00:00+03:00");
        assert_eq!((due_at(app, first).await, due_at(app, second).await), (Some(monday("18:00")), Some(tuesday)));
        let moved = app.store().callback(second).await.unwrap().unwrap();
        assert_eq!(moved.callback.period.map(|period| period.end), Some(tuesday));
        assert_eq!(moved.callback.version, version, "nobody's page became invalid");
        let step = moved.history.last().unwrap();
        assert_eq!((step.kind.as_str(), step.note.as_str()), ("due_moved", "23.11.2026, 18:00 → 24.11.2026, 18:00"));
        assert_eq!(app.call("CA2").await.decision.unwrap().promise.map(|it| it.start), Some(monday("09:00")));
        assert_eq!(
            app.text("SELECT detail FROM audit WHERE action = 'due_moved'").await,
            "23.11.2026, 18:00 → 24.11.2026, 18:00"
        );
        let told = app.text("SELECT detail FROM audit WHERE action = 'hours_close'").await;
        assert!(told.contains("«нет связи»") && told.ends_with("due times moved: 1"), "{told}");
        assert_eq!(app.text("SELECT address FROM audit WHERE action = 'hours_close'").await, "192.0.2.1");
    }

    async fn an_exception_that_ends_gives_the_due_time_back(app) {
        app.message_from("CA1", "+79280000001").await;
        app.leave_the_jobs().await;
        let id = app.callback().await.id;
        assert_eq!(change(app, day_off("2026-11-23")).await, 1);
        assert_eq!(due_at(app, id).await, Some(at("2026-11-24T18:00:00+03:00")));
        assert_eq!(change(app, day_off("2026-12-10")).await, 0, "it touches nobody");
        let exceptions = app.store().hours_changes().await.unwrap().exceptions;
        let monday_off = exceptions.iter().find(|it| it.from == "2026-11-23".parse().unwrap()).unwrap().id;
        assert_eq!(change(app, HoursStep::EndExceptions(vec![monday_off])).await, 1);
        assert_eq!(due_at(app, id).await, Some(monday("18:00")));
        let history = app.store().hours_history(None, 10).await.unwrap();
        assert_eq!(history.len(), 2, "nothing is deleted");
        assert_eq!(history[1].ended.as_ref().map(|(_, by)| by.as_str()), Some("Айшат М."));
    }

    async fn of_two_changes_at_once_one_is_asked_to_look_again_and_neither_is_lost(app) {
        let store = app.store();
        let seen = store.look_at_hours(&day_off("2026-12-10"), app.now()).await.unwrap().revision;
        let (one, other) = (aishat(), Actor::officer(3, "Мадина И."));
        let (one, other) = tokio::join!(
            store.change_hours(day_off("2026-12-10"), Some(seen), &one, "", app.now()),
            store.change_hours(day_off("2026-12-11"), Some(seen), &other, "", app.now()),
        );
        assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|done| **done).count(), 1);
        let refused = one.err().or(other.err()).unwrap();
        assert!(matches!(refused, HoursError::Stale), "{refused}");

        let (first, second) = (aishat(), aishat());
        let (first, second) = tokio::join!(
            store.change_hours(day_off("2026-12-15"), None, &first, "", app.now()),
            store.change_hours(day_off("2026-12-16"), None, &second, "", app.now()),
        );
        assert!(first.is_ok() && second.is_ok());
        let lines = store.lines();
        for noon in ["2026-12-15T12:00:00+03:00", "2026-12-16T12:00:00+03:00"] {
            assert!(!lines.default_calendar().is_open(at(noon)), "{noon}");
        }
    }

    async fn changed_hours_outlive_the_house_and_reach_another_one(app) {
        let (other, worker) = app.second_house().await;
        change(app, day_off("2026-11-23")).await;
        assert!(other.lines().default_calendar().is_open(monday("12:00")));
        worker.sweep().await;
        assert!(!other.lines().default_calendar().is_open(monday("12:00")));
        drop(worker);
        other.close().await;
        app.restart(|_| {}).await;
        assert!(!app.store().lines().default_calendar().is_open(monday("12:00")));
        let told = app.get("/api/v1/hours").await;
        assert_eq!(told.status, 401, "the answer is for those who are signed in");
    }
}
