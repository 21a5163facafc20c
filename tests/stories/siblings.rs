//! One number that waits on both lines is called by one officer, once (R26).

use std::time::Duration;

use perezvon::core::callback::{Action, AttemptOutcome, Callback, Reason, Refusal, State};
use perezvon::core::officer::Actor;
use perezvon::store::{ActError, CallbackView};
use sqlx::{AnyConnection, Connection};

use crate::harness::{App, Engine, Form, PARENTS, STAFF, monday, patiently, stories};

const CALLER: &str = "+79280000001";

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

fn aishat() -> Actor {
    Actor::officer(2, "Айшат М.")
}

fn done() -> Action {
    Action::Done { note: "выслали памятку".to_owned() }
}

fn no_answer() -> Action {
    Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None }
}

/// This caller hung up in the greetings of both lines on Friday evening; it is Monday, nine o'clock. The callbacks of the
/// staff's and of the parents' line.
async fn waits_on_both(app: &App, caller: &str) -> (i64, i64) {
    for (sid, line) in [("staff", STAFF), ("parents", PARENTS)] {
        app.post("status", &Form::call(&format!("{sid}{caller}")).from(caller).to(line).status("completed")).await;
    }
    app.leave_the_jobs().await;
    app.clock.set(monday("09:00"));
    let waiting = app.callbacks().await;
    let of = |line: &str| {
        let is_it = |view: &&CallbackView| {
            view.callback.line.as_str() == line && view.callback.callback_number.as_ref().unwrap().e164() == caller
        };
        waiting.iter().find(is_it).expect("he waits there").callback.id
    };
    (of("staff"), of("parents"))
}

async fn view(app: &App, id: i64) -> CallbackView {
    app.store().callback(id).await.unwrap().expect("it is there")
}

async fn same(app: &App, id: i64, by: &Actor) -> Result<Callback, ActError> {
    app.store().accept_proposed_outcome(id, None, None, by, &app.lines(), app.now()).await
}

fn is_held_elsewhere<T: std::fmt::Debug>(result: &Result<T, ActError>) -> bool {
    matches!(result, Err(ActError::Refused(Refusal::HeldOnOtherLine(_))))
}

stories! {
    async fn callbacks_of_one_number_on_two_lines_know_each_other(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        waits_on_both(app, "+79280000002").await;
        for (id, other, line) in [(staff, parents, "parents"), (parents, staff, "staff")] {
            let siblings = view(app, id).await.siblings;
            assert_eq!(siblings.iter().map(|it| (it.id, it.line.as_str())).collect::<Vec<_>>(), [(other, line)]);
        }
        app.act(staff, &madina(), Action::Claim).await.unwrap();
        let holder = view(app, parents).await.siblings[0].holder(app.now()).expect("it is held");
        assert_eq!((holder.by, holder.since, holder.is_calling), (madina(), app.now(), false));
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        assert!(view(app, parents).await.siblings[0].holder(app.now()).unwrap().is_calling);
    }

    async fn a_typed_number_is_known_on_the_other_line(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.sql(&format!("UPDATE callback SET caller = NULL WHERE id = {staff}")).await;
        assert_eq!(view(app, parents).await.siblings[0].id, staff);
        app.act(staff, &madina(), Action::Claim).await.unwrap();
        assert!(is_held_elsewhere(&app.act(parents, &aishat(), Action::Claim).await));
    }

    async fn a_colleague_is_asked_before_the_other_line_dials(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        for action in [Action::Claim, Action::Dial] {
            let asked = app.act(parents, &aishat(), action).await;
            let Err(ActError::Refused(Refusal::HeldOnOtherLine(holder))) = asked else { panic!("{asked:?}") };
            assert_eq!((holder.callback_id, holder.by, holder.is_calling), (staff, madina(), true));
        }
        assert_eq!(view(app, parents).await.callback.desk.state, State::Open);
        let confirmed = Action::Confirmed(Box::new(Action::Dial));
        let held = app.act(parents, &aishat(), confirmed).await.unwrap();
        assert_eq!(held.desk.state.holder(app.now()), Some(&aishat()));
        assert_eq!(view(app, parents).await.attempts().len(), 1, "it is an attempt like any other");
        app.act(parents, &aishat(), Action::Claim).await.expect("her page renews what she holds");
    }

    /// Each was taken when nobody knew that both are one caller's: he typed his number, or the network showed it late.
    async fn number_known_after_both_were_taken_is_asked_about_before_it_is_dialled(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.sql(&format!("UPDATE callback SET caller = NULL, callback_number = NULL, dial_number = NULL WHERE id = {staff}"))
            .await;
        app.act(staff, &madina(), Action::Claim).await.unwrap();
        app.act(parents, &aishat(), Action::Claim).await.unwrap();
        app.sql(&format!("UPDATE callback SET callback_number = '{CALLER}', dial_number = '{CALLER}' WHERE id = {staff}"))
            .await;
        for (id, by) in [(staff, madina()), (parents, aishat())] {
            assert!(is_held_elsewhere(&app.act(id, &by, Action::Dial).await));
            app.act(id, &by, Action::Claim).await.expect("what is held stays held");
        }
        let confirmed = Action::Confirmed(Box::new(Action::Dial));
        app.act(staff, &madina(), confirmed).await.expect("she has asked her colleague");
    }

    async fn one_officer_takes_both_lines_without_being_asked(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        app.act(parents, &madina(), Action::Dial).await.unwrap();
        assert_eq!(app.next(&madina()).await.unwrap().desk.state.holder(app.now()), Some(&madina()));
        assert!(matches!(app.next(&aishat()).await, Err(ActError::NobodyWaits)));
    }

    async fn a_claim_that_ran_out_frees_the_other_line(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Claim).await.unwrap();
        app.clock.set(monday("09:14:59"));
        assert!(is_held_elsewhere(&app.act(parents, &aishat(), Action::Claim).await));
        app.clock.set(monday("09:15"));
        app.act(parents, &aishat(), Action::Claim).await.unwrap();
        let late = app.act(staff, &madina(), Action::Claim).await;
        assert!(is_held_elsewhere(&late), "{late:?}");
    }

    async fn two_who_claim_the_two_lines_at_once_are_one(app) {
        let (other, _worker) = app.second_house().await;
        let (madina, aishat, lines) = (madina(), aishat(), app.lines());
        for number in 0..12 {
            let (staff, parents) = waits_on_both(app, &format!("+792800001{number:02}")).await;
            let (here, now) = (app.store(), app.now());
            let claim = |store: perezvon::store::Store, id: i64, by: Actor| {
                let lines = lines.clone();
                async move { store.act(id, None, Action::Claim, Default::default(), &by, &lines, now).await }
            };
            let (one, two) = tokio::join!(
                claim(here.clone(), staff, madina.clone()),
                claim(other.clone(), parents, aishat.clone())
            );
            assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1, "{one:?} {two:?}");
            assert!(is_held_elsewhere(&one) || is_held_elsewhere(&two), "{one:?} {two:?}");
        }
        other.close().await;
    }

    async fn next_never_hands_out_a_number_that_a_colleague_holds(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        let (other, _worker) = app.second_house().await;
        let (madina, aishat, lines) = (madina(), aishat(), app.lines());
        let (one, two) = tokio::join!(
            app.next(&madina),
            other.claim_next(None, &aishat, &lines, app.now())
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let (held, holder) = match (&one, &two) {
            (Ok(held), _) => (held.id, &madina),
            (_, Ok(held)) => (held.id, &aishat),
            _ => unreachable!(),
        };
        let colleague = if holder == &madina { &aishat } else { &madina };
        assert!(matches!(app.next(colleague).await, Err(ActError::NobodyWaits)), "nor later");
        app.act(held, holder, Action::Release).await.unwrap();
        let freed = app.next(colleague).await.unwrap().id;
        assert!([staff, parents].contains(&freed));
        other.close().await;
    }

    async fn next_goes_on_to_somebody_else_meanwhile(app) {
        let (staff, _) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Claim).await.unwrap();
        app.post("status", &Form::call("CA9").from("+79280000009").status("completed")).await;
        app.leave_the_jobs().await;
        assert_eq!(app.next(&aishat()).await.unwrap().caller.unwrap().e164(), "+79280000009");
        assert!(matches!(app.next(&Actor::officer(3, "Патимат")).await, Err(ActError::NobodyWaits)));
    }

    async fn an_answer_on_one_line_is_proposed_to_the_other(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        let before = view(app, parents).await.callback.version;
        let closed = app.act(staff, &madina(), done()).await.unwrap();
        let proposed = view(app, parents).await;
        assert_eq!(proposed.callback.desk.state, State::Open, "nothing is closed silently");
        assert_eq!(proposed.proposed_outcome.unwrap().id, staff);
        assert!(proposed.callback.version > before, "a page from before the talk does not dial");
        let accepted = same(app, parents, &aishat()).await.unwrap();
        let State::Done { by, note, .. } = &accepted.desk.state else { panic!("{accepted:?}") };
        assert_eq!((by, note.as_str()), (&aishat(), "выслали памятку"));
        assert_eq!(accepted.desk.notes.reference, closed.registration_number, "R19: where it was discussed before");
        assert!(app.callbacks().await.is_empty());
        let back = app.store().undo(parents, None, &aishat(), app.now()).await.unwrap();
        assert_eq!(back.proposed_callback_id, Some(staff), "the proposal is there again");
    }

    async fn every_closing_is_proposed_as_it_was(app) {
        let decline = Action::Decline { reason: Reason::NotEnoughData, note: "нет класса".to_owned() };
        let exceptional = Action::Exceptional { note: String::new() };
        for (number, action, word) in [("+79280000001", decline, "declined"), ("+79280000002", exceptional, "exceptional")] {
            let (staff, parents) = waits_on_both(app, number).await;
            app.act(staff, &madina(), action).await.unwrap();
            assert_eq!(same(app, parents, &aishat()).await.unwrap().desk.state.as_str(), word);
        }
    }

    async fn attempts_of_one_line_let_the_other_give_up_too(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        for _ in 0..3 {
            app.act(staff, &madina(), no_answer()).await.unwrap();
            app.advance_minutes(24 * 60);
        }
        let give_up = Action::Decline { reason: Reason::NotReached, note: String::new() };
        app.act(staff, &madina(), give_up).await.unwrap();
        let declined = same(app, parents, &madina()).await.unwrap();
        assert!(matches!(declined.desk.state, State::Declined { reason: Reason::NotReached, .. }));
    }

    async fn undo_takes_the_proposal_back(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        for outcome in [done(), no_answer()] {
            app.act(staff, &madina(), outcome).await.unwrap();
            assert!(view(app, parents).await.proposed_outcome.is_some());
            app.store().undo_last(&madina(), monday("00:00"), app.now()).await.unwrap();
            let nothing = same(app, parents, &aishat()).await;
            assert!(matches!(nothing, Err(ActError::Refused(Refusal::NothingProposed))), "{nothing:?}");
            assert!(is_held_elsewhere(&app.act(parents, &aishat(), Action::Dial).await), "she holds it again");
        }
        app.act(staff, &madina(), done()).await.unwrap();
        app.act(staff, &aishat(), Action::Reopen).await.unwrap();
        assert_eq!(view(app, parents).await.callback.proposed_callback_id, None);
    }

    async fn nobody_gets_a_number_that_a_colleague_holds(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Claim).await.unwrap();
        let confirmed = Action::Confirmed(Box::new(Action::Claim));
        app.act(parents, &aishat(), confirmed).await.unwrap();
        let third = Actor::officer(3, "Залина К.");
        let handed = app.act(staff, &madina(), Action::HandOver { to: third.clone() }).await;
        assert!(is_held_elsewhere(&handed), "{handed:?}");
        app.act(staff, &madina(), Action::HandOver { to: aishat() }).await.expect("one officer has both");
        let handed = app.act(staff, &aishat(), Action::HandOver { to: third }).await;
        assert!(is_held_elsewhere(&handed), "what she keeps is not released with it: {handed:?}");
    }

    async fn undo_gives_no_number_back_that_a_colleague_holds(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        app.act(staff, &madina(), done()).await.unwrap();
        app.act(parents, &aishat(), Action::Dial).await.expect("the other one is closed");
        let back = app.store().undo_last(&madina(), monday("00:00"), app.now()).await.unwrap();
        assert_eq!(back.desk.state, State::Open);
        assert!(is_held_elsewhere(&app.act(staff, &madina(), Action::Dial).await));
    }

    async fn a_talk_queues_for_the_number_with_officers(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.clock.set(monday("09:05"));
        let form = Form::call("CA9").from(CALLER).to(STAFF);
        app.post("voice", &form).await;
        let talked = form.with("DialCallStatus", "completed").with("DialCallDuration", "60");
        if app.engine == Engine::Postgres {
            // Another instance is in the middle of an officer's step.
            let mut officer = AnyConnection::connect(&app.database).await.unwrap();
            let mut step = officer.begin().await.unwrap();
            for statement in [
                "INSERT INTO number_lock (tail) VALUES ('001') ON CONFLICT (tail) DO UPDATE SET tail = excluded.tail",
                &format!("UPDATE callback SET version = version + 1 WHERE id = {parents}"),
            ] {
                sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *step).await.unwrap();
            }
            let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
                AND wait_event_type = 'Lock' AND query LIKE '%number_lock%'";
            tokio::join!(app.post("dialled/0", &talked), async {
                patiently("the talk to queue", async {
                    while app.number(waits).await == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                })
                .await;
                let other = format!("UPDATE callback SET version = version + 1 WHERE id = {staff}");
                sqlx::query(sqlx::AssertSqlSafe(other)).execute(&mut *step).await.expect("no deadlock");
                step.commit().await.unwrap();
            });
        } else {
            app.post("dialled/0", &talked).await;
        }
        let call = Some(app.call("CA9").await.id);
        for id in [staff, parents] {
            assert_eq!(view(app, id).await.callback.proposed_call_id, call);
        }
        app.leave_the_jobs().await;
    }

    async fn a_number_just_tried_is_not_dialled_again_at_once(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.post("status", &Form::call("CA9").from("+79280000009").status("completed")).await;
        app.leave_the_jobs().await;
        app.act(staff, &madina(), Action::Dial).await.unwrap();
        app.advance_minutes(1);
        app.act(staff, &madina(), no_answer()).await.unwrap();
        let tried = view(app, parents).await;
        let attempt = tried.siblings[0].last_attempt.clone().unwrap();
        assert_eq!((attempt.at, attempt.by, attempt.outcome), (app.now(), madina(), "no_answer"));
        let next = app.next(&aishat()).await.unwrap();
        assert_eq!(next.caller.as_ref().unwrap().e164(), "+79280000009", "he comes last now");
        app.act(next.id, &aishat(), done()).await.unwrap();
        let put_off = same(app, parents, &aishat()).await.unwrap();
        let State::Later { until, .. } = put_off.desk.state else { panic!("{put_off:?}") };
        assert_eq!(until, monday("10:01"), "until the same time");
        assert_eq!(view(app, staff).await.callback.proposed_callback_id, None, "it is not proposed back");
        app.clock.set(until);
        assert_eq!(app.next(&aishat()).await.unwrap().id, staff.min(parents), "then he is called again, by one");
        assert!(matches!(app.next(&madina()).await, Err(ActError::NobodyWaits)));
    }

    async fn calling_anyway_drops_the_proposal_and_undo_brings_it_back(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), done()).await.unwrap();
        let anyway = app.act(parents, &aishat(), Action::CallAnyway).await.unwrap();
        assert_eq!(anyway.proposed_callback_id, None);
        let undone = app.store().undo(parents, None, &aishat(), app.now()).await.unwrap();
        assert_eq!(undone.proposed_callback_id, Some(staff));
    }

    async fn who_calls_again_is_not_proposed_to_be_closed(app) {
        let (staff, parents) = waits_on_both(app, CALLER).await;
        app.act(staff, &madina(), done()).await.unwrap();
        app.advance_minutes(5);
        app.post("status", &Form::call("CA9").from(CALLER).status("completed")).await;
        app.leave_the_jobs().await;
        assert_eq!(view(app, parents).await.callback.proposed_callback_id, None);
    }

    async fn who_gets_through_on_one_line_is_proposed_on_both(app) {
        for (number, called) in [("+79280000001", STAFF), ("+79280000002", PARENTS)] {
            let (staff, parents) = waits_on_both(app, number).await;
            app.clock.set(monday("09:05"));
            let form = Form::call(&format!("CA{number}")).from(number).to(called);
            app.post("voice", &form).await;
            let talked = form.clone().with("DialCallStatus", "completed").with("DialCallDuration", "60");
            app.post("dialled/0", &talked).await;
            let call = Some(app.call(&format!("CA{number}")).await.id);
            for id in [staff, parents] {
                let waiting = view(app, id).await.callback;
                assert_eq!((waiting.proposed_call_id, waiting.desk.state), (call, State::Open), "{called}");
            }
            app.leave_the_jobs().await;
        }
    }
}
