//! The officers' work on the list: one holds a callback at a time, every step can be taken back, nothing is lost.

use std::collections::BTreeSet;

use perezvon::core::callback::{Action, AttemptOutcome, Channel, Notes, Reason, Refusal, State};
use perezvon::core::line::LineId;
use perezvon::core::officer::Actor;
use perezvon::core::phone::PhoneNumber;
use perezvon::store::{ActError, ListPeriod, NewCallback, StateFilter};
use perezvon::time::SignedDuration;
use sqlx::Row;

use crate::harness::{App, Form, at, friday, monday, stories};

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

fn aishat() -> Actor {
    Actor::officer(2, "Айшат М.")
}

/// So many callers who hung up in the greeting.
async fn callers(app: &App, count: usize) {
    for n in 0..count {
        let caller = format!("+7928{n:07}");
        app.post("status", &Form::call(&format!("CA{n}")).from(&caller).status("completed")).await;
    }
    app.leave_the_jobs().await;
}

fn vain() -> Action {
    Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None }
}

fn done() -> Action {
    Action::Done { note: String::new() }
}

stories! {
    async fn twenty_who_ask_for_the_next_at_once_get_twenty_different_ones(app) {
        callers(app, 20).await;
        app.clock.set(monday("09:00"));
        let officers: Vec<Actor> = (0..20).map(|n| Actor::officer(n, "Сотрудник")).collect();
        let claimed = futures_util::future::join_all(officers.iter().map(|officer| app.next(officer))).await;
        let ids: BTreeSet<i64> = claimed.iter().map(|claimed| claimed.as_ref().unwrap().id).collect();
        assert_eq!(ids.len(), 20);
        assert!(matches!(app.next(&Actor::officer(99, "Поздний")).await, Err(ActError::NobodyWaits)));
    }

    async fn two_who_press_next_at_once_and_one_who_waits_is_given_once(app) {
        callers(app, 1).await;
        let (madina, aishat) = (madina(), aishat());
        let (one, other) = tokio::join!(app.next(&madina), app.next(&aishat));
        assert_eq!([&one, &other].iter().filter(|claimed| claimed.is_ok()).count(), 1, "{one:?} {other:?}");
    }

    async fn a_claim_holds_fifteen_minutes_and_not_a_moment_longer(app) {
        callers(app, 1).await;
        app.clock.set(monday("09:00"));
        let id = app.next(&madina()).await.unwrap().id;
        app.clock.set(monday("09:14:59"));
        assert!(matches!(app.act(id, &aishat(), Action::Claim).await, Err(ActError::Refused(Refusal::ClaimedByOther { .. }))));
        assert!(matches!(app.next(&aishat()).await, Err(ActError::NobodyWaits)));
        app.clock.set(monday("09:15:00"));
        assert_eq!(app.next(&aishat()).await.unwrap().id, id);
        let late = app.act(id, &madina(), done()).await;
        assert!(matches!(late, Err(ActError::Refused(Refusal::ClaimedByOther { .. }))), "{late:?}");
    }

    async fn claiming_ones_own_again_renews_the_lease_and_is_no_step_to_undo(app) {
        callers(app, 1).await;
        let id = app.next(&madina()).await.unwrap().id;
        app.advance_minutes(14);
        app.act(id, &madina(), Action::Claim).await.unwrap();
        app.advance_minutes(14);
        assert!(app.act(id, &aishat(), Action::Claim).await.is_err());
        let undone = app.store().undo(id, None, &madina(), app.now()).await.unwrap();
        assert_eq!(undone.desk.state, State::Open);
    }

    async fn registration_numbers_run_without_gaps_under_concurrency_and_refusals(app) {
        callers(app, 30).await;
        app.clock.set(monday("09:00"));
        let ids: Vec<i64> = app.callbacks().await.iter().map(|view| view.callback.id).collect();
        let (madina, aishat) = (madina(), aishat());
        let claims = ids.iter().flat_map(|id| [(*id, &madina), (*id, &aishat)]);
        let results = futures_util::future::join_all(claims.map(|(id, by)| app.act(id, by, Action::Claim))).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 30, "each once");
        let refused = Action::Decline { reason: Reason::NotEnoughData, note: String::new() };
        assert!(app.act(ids[0], &madina, refused).await.is_err());
        let numbers: BTreeSet<String> = app.callbacks().await.into_iter().filter_map(|view| view.callback.registration_number).collect();
        let expected: BTreeSet<String> = (1..=30).map(|n| format!("2026-{n:06}")).collect();
        assert_eq!(numbers, expected);
    }

    async fn a_new_year_begins_with_number_one_at_moscow_midnight(app) {
        callers(app, 2).await;
        let ids: Vec<i64> = app.callbacks().await.iter().map(|view| view.callback.id).collect();
        app.clock.set(at("2026-12-31T20:59:59Z"));
        assert_eq!(app.act(ids[0], &madina(), done()).await.unwrap().registration_number.unwrap(), "2026-000001");
        app.clock.set(at("2026-12-31T21:00:00Z"));
        assert_eq!(app.act(ids[1], &madina(), done()).await.unwrap().registration_number.unwrap(), "2027-000001");
    }

    async fn undo_brings_back_what_was_and_only_ones_own(app) {
        callers(app, 1).await;
        app.clock.set(monday("09:00"));
        let claimed = app.next(&madina()).await.unwrap();
        let closed = app.act(claimed.id, &madina(), done()).await.unwrap();
        assert!(app.callbacks().await.is_empty());
        assert!(matches!(app.store().undo(claimed.id, None, &aishat(), app.now()).await, Err(ActError::NothingToUndo)));
        assert!(matches!(app.store().undo(claimed.id, Some(1), &madina(), app.now()).await, Err(ActError::Stale(_))));
        let undone = app.store().undo(claimed.id, Some(closed.version), &madina(), app.now()).await.unwrap();
        assert_eq!((undone.desk, undone.registration_number), (claimed.desk, claimed.registration_number));
        let undone = app.store().undo(claimed.id, None, &madina(), app.now()).await.unwrap();
        assert_eq!(undone.desk.state, State::Open);
        assert!(matches!(app.store().undo(claimed.id, None, &madina(), app.now()).await, Err(ActError::NothingToUndo)));
    }

    async fn reopening_while_the_caller_waits_anew_is_refused_and_harms_nothing(app) {
        callers(app, 1).await;
        let id = app.callback().await.id;
        app.act(id, &madina(), done()).await.unwrap();
        app.post("status", &Form::call("CA8").from("+79280000000").status("completed")).await;
        let second = app.callback().await.id;
        assert!(matches!(app.act(id, &madina(), Action::Reopen).await, Err(ActError::AnotherOpen)));
        assert!(matches!(app.store().undo(id, None, &madina(), app.now()).await, Err(ActError::AnotherOpen)));
        assert_eq!(app.callback().await.id, second);
        assert!(app.act(second, &aishat(), done()).await.is_ok(), "the writer goes on after a refusal");
        assert!(app.act(id, &madina(), Action::Reopen).await.is_ok());
    }

    async fn the_next_attempt_is_planned_inside_working_time(app) {
        callers(app, 1).await;
        app.clock.set(monday("17:30"));
        let id = app.next(&madina()).await.unwrap().id;
        let State::Later { until, .. } = app.act(id, &madina(), vain()).await.unwrap().desk.state else { panic!() };
        assert_eq!(until, at("2026-11-24T09:30:00+03:00"), "one working hour later, across the night");
        app.clock.set(until);
        let again = app.next(&madina()).await.unwrap();
        assert_eq!(again.id, id);
        let wish = Action::Attempt { outcome: AttemptOutcome::Busy, note: String::new(), next_at: Some(at("2026-11-28T12:00:00+03:00")) };
        let State::Later { until, .. } = app.act(id, &madina(), wish).await.unwrap().desk.state else { panic!() };
        assert_eq!(until, at("2026-11-30T09:00:00+03:00"), "a wish for Saturday becomes Monday");
    }

    async fn what_is_put_off_waits_until_its_time_and_not_longer(app) {
        callers(app, 1).await;
        app.clock.set(monday("10:00"));
        let id = app.callback().await.id;
        let until = monday("14:00");
        app.act(id, &madina(), Action::Later { until, note: String::new() }).await.unwrap();
        app.clock.set(monday("13:59:59"));
        assert!(matches!(app.next(&aishat()).await, Err(ActError::NobodyWaits)));
        app.clock.set(until);
        assert_eq!(app.next(&aishat()).await.unwrap().id, id);
        let past = Action::Later { until: monday("09:00"), note: String::new() };
        assert!(matches!(app.act(id, &aishat(), past).await, Err(ActError::Refused(Refusal::InThePast))));
    }

    async fn clarifying_says_what_and_declining_says_why(app) {
        callers(app, 1).await;
        app.clock.set(monday("10:00"));
        let id = app.callback().await.id;
        let clarify = |note: &str| Action::Clarify { note: note.to_owned(), next_at: None };
        assert!(matches!(app.act(id, &madina(), clarify("  ")).await, Err(ActError::Refused(Refusal::NoteNeeded(_)))));
        app.act(id, &madina(), clarify("Уточнить класс")).await.unwrap();
        let decline = |reason, note: &str| Action::Decline { reason, note: note.to_owned() };
        assert!(app.act(id, &madina(), decline(Reason::NotConstructive, "")).await.is_err());
        assert!(matches!(
            app.act(id, &madina(), decline(Reason::AlreadyAnswered, "")).await,
            Err(ActError::Refused(Refusal::ReferenceNeeded))
        ));
        assert_eq!(app.callback().await.desk.state.as_str(), "later", "refusals change nothing");
        let notes = Notes { reference: Some("2026-000001".to_owned()), ..Notes::default() };
        let declined = app.act_with(id, &madina(), decline(Reason::AlreadyAnswered, ""), notes).await.unwrap();
        assert!(matches!(declined.desk.state, State::Declined { reason: Reason::AlreadyAnswered, .. }));
        let kept = app.store().callback(id).await.unwrap().unwrap();
        assert_eq!(kept.callback, declined);
        assert_eq!(kept.history.iter().map(|step| step.kind.as_str()).collect::<Vec<_>>(), ["clarify", "decline"]);
    }

    async fn who_gets_through_later_is_proposed_to_close_and_never_silently_closed(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        app.clock.set(monday("09:05"));
        app.post("voice", &Form::call("CA2")).await;
        let talked = Form::call("CA2").with("DialCallStatus", "completed").with("DialCallDuration", "60");
        app.post("dialled/0", &talked).await;
        let waiting = app.callback().await;
        assert_eq!(waiting.proposed_call_id, Some(app.call("CA2").await.id));
        assert_eq!(waiting.desk.state, State::Open);
        let stale = app.store().act(waiting.id, Some(waiting.version - 1), Action::Claim, Notes::default(), &madina(), &app.lines(), app.now()).await;
        assert!(matches!(stale, Err(ActError::Stale(_))), "a page from before the talk does not dial");
        let claimed = app.act(waiting.id, &madina(), Action::Claim).await.unwrap();
        assert_eq!(claimed.proposed_call_id, waiting.proposed_call_id, "a claim does not hide the talk");
        assert_eq!(app.act(waiting.id, &madina(), Action::CallAnyway).await.unwrap().proposed_call_id, None);
        app.leave_the_jobs().await;
    }

    async fn who_got_through_is_the_last_that_next_hands_out(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        app.advance_minutes(1);
        app.post("status", &Form::call("CA2").from("+79280000002").status("completed")).await;
        app.clock.set(monday("09:05"));
        app.post("voice", &Form::call("CA3")).await;
        app.post("dialled/0", &Form::call("CA3").with("DialCallStatus", "completed").with("DialCallDuration", "60")).await;
        let first = app.next(&madina()).await.unwrap();
        assert_eq!(first.caller.unwrap().e164(), "+79280000002", "though the other one waits longer");
        app.act(first.id, &madina(), Action::Done { note: String::new() }).await.unwrap();
        let last = app.next(&madina()).await.unwrap();
        assert!(last.proposed_call_id.is_some());
        app.leave_the_jobs().await;
    }

    async fn who_calls_again_is_not_put_off_beyond_the_new_promise(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        app.clock.set(monday("09:05"));
        let id = app.callback().await.id;
        let until = monday("09:00") + SignedDuration::from_hours(4 * 24);
        app.act(id, &madina(), Action::Later { until, note: String::new() }).await.unwrap();
        app.clock.set(monday("19:30"));
        app.post("status", &Form::call("CA2").status("completed")).await;
        let tuesday = monday("09:00") + SignedDuration::from_hours(24);
        let State::Later { until, .. } = app.callback().await.desk.state else { panic!("still put off") };
        assert_eq!(until, tuesday);
        app.leave_the_jobs().await;
    }

    async fn a_request_by_hand_joins_though_a_colleague_holds_the_callback(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        app.clock.set(monday("09:05"));
        let id = app.callback().await.id;
        app.act(id, &madina(), Action::Claim).await.unwrap();
        let new = NewCallback {
            line: LineId::new("parents"),
            callback_number: PhoneNumber::parse("+79280000001").ok(),
            channel: Channel::Meeting,
            notes: Notes { summary: Some("не видно оценок".to_owned()), ..Notes::default() },
        };
        let joined = app.store().register_by_hand(new, &aishat(), &app.lines(), app.now()).await.unwrap();
        assert_eq!((joined.id, joined.desk.state.as_str()), (id, "claimed"));
        let told = app.store().callback(id).await.unwrap().unwrap().history.pop().unwrap();
        assert_eq!((told.kind.as_str(), told.note.as_str()), ("joined", "Родительское собрание: не видно оценок"));
        app.leave_the_jobs().await;
    }

    async fn what_is_not_done_carries_over_and_comes_first(app) {
        app.clock.set(friday("10:00"));
        for (sid, caller, minutes) in [("CA1", "+79280000001", 0), ("CA2", "+79280000002", 5), ("CA3", "+79280000003", 9 * 60)] {
            app.clock.set(friday("10:00") + SignedDuration::from_mins(minutes));
            app.post("status", &Form::call(sid).from(caller).status("completed")).await;
        }
        app.clock.set(monday("09:30"));
        app.post("status", &Form::call("CA4").from("+79280000004").status("completed")).await;
        let order = |views: Vec<perezvon::store::CallbackView>| {
            views.iter().map(|view| view.callback.caller.as_ref().unwrap().e164()[11..].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(order(app.callbacks().await), ["1", "2", "3", "4"]);
        let today = app.list(ListPeriod::UpTo(monday("09:00")), StateFilter::Unclosed).await;
        assert_eq!(order(today), ["1", "2", "3", "4"], "the list of the day has the overdue ones too");
        assert_eq!(order(app.list(ListPeriod::Between(monday("09:00"), monday("09:00")), StateFilter::Unclosed).await), ["3", "4"]);
        assert!(app.callbacks().await[0].callback.is_overdue(app.now()));
        let counted = app.store().count_open(app.now()).await.unwrap();
        assert_eq!(counted, [(LineId::new("parents"), 4, 2)]);
        for expected in ["1", "2", "3", "4"] {
            let next = app.next(&madina()).await.unwrap();
            assert_eq!(&next.caller.unwrap().e164()[11..], expected);
            app.act(next.id, &madina(), done()).await.unwrap();
        }
        app.leave_the_jobs().await;
    }

    async fn nothing_falls_out_of_a_list_of_many_pages(app) {
        callers(app, 25).await;
        let mut filter = perezvon::store::ListFilter { period: ListPeriod::All, line: None, state: StateFilter::All, after: None, limit: 10 };
        let mut seen = BTreeSet::new();
        loop {
            let page = app.store().callbacks(&filter).await.unwrap();
            seen.extend(page.items.iter().map(|view| view.callback.id));
            let Some(next) = page.next else { break };
            filter.after = Some(next);
        }
        assert_eq!(seen.len(), 25);
    }

    async fn a_request_by_hand_joins_the_caller_who_waits(app) {
        callers(app, 1).await;
        let new = NewCallback {
            line: LineId::new("parents"),
            callback_number: Some(PhoneNumber::parse("8 928 000-00-00").unwrap()),
            channel: Channel::InPerson,
            notes: Notes { summary: Some("Не видно оценок".to_owned()), ..Notes::default() },
        };
        let joined = app.store().register_by_hand(new.clone(), &madina(), &app.lines(), app.now()).await.unwrap();
        assert_eq!((joined.id, joined.desk.notes.summary.as_deref()), (app.callback().await.id, Some("Не видно оценок")));
        let without = NewCallback { callback_number: None, ..new };
        let first = app.store().register_by_hand(without.clone(), &madina(), &app.lines(), app.now()).await.unwrap();
        let second = app.store().register_by_hand(without, &madina(), &app.lines(), app.now()).await.unwrap();
        assert_ne!(first.id, second.id, "requests without a number never merge");
        assert_eq!((first.channel, first.registration_number.as_deref()), (Channel::InPerson, Some("2026-000002")));
    }

    async fn a_stale_version_is_told_the_present_state(app) {
        callers(app, 1).await;
        let seen = app.callback().await;
        app.act(seen.id, &madina(), Action::Claim).await.unwrap();
        let stale = app.store().act(seen.id, Some(seen.version), done(), Notes::default(), &aishat(), &app.lines(), app.now()).await;
        let Err(ActError::Stale(present)) = stale else { panic!("{stale:?}") };
        assert_eq!(present.desk.state.holder(app.now()), Some(&madina()));
        assert!(matches!(app.act(7, &madina(), done()).await, Err(ActError::NotFound(7))));
    }

    async fn a_clock_set_back_makes_no_negative_times_and_claims_survive(app) {
        app.post("voice", &Form::call("CA1")).await;
        app.clock.set(friday("18:30"));
        app.post("status", &Form::call("CA1").status("completed")).await;
        let call = app.call("CA1").await;
        assert!(call.ended_at.unwrap() >= call.started_at);
        let before = app.callback().await;
        app.post("status", &Form::call("CA2").from("+79280000002").status("completed")).await;
        assert!(app.call("CA2").await.id > call.id, "ids go on");
        let held = app.act(before.id, &madina(), Action::Claim).await.unwrap();
        app.clock.set(friday("17:00"));
        app.worker().clock_jumped(-90 * 60 * 1000, friday("18:30")).await;
        assert!(app.act(held.id, &aishat(), Action::Claim).await.is_err());
        app.clock.set(friday("17:15"));
        assert!(app.act(held.id, &aishat(), Action::Claim).await.is_ok());
        assert!(app.get("/metrics").await.body.lines().all(|line| !line.contains(" -")), "no negative gauge");
        app.leave_the_jobs().await;
    }

    /// Undo is only worth its key if nothing of the step remains: the row is compared column by column.
    async fn taking_back_any_action_restores_the_row_but_for_its_version_and_registration(app) {
        callers(app, 1).await;
        app.clock.set(monday("10:00"));
        let id = app.callback().await.id;
        let columns = "state, actor_id, actor_name, acted_at, until_at, reason, note, asker, topic, summary, reference, proposed_call_id, closed_at, due_at, period_starts_at, received_at, term_due_at, channel, caller, callback_number, line";
        let row = async || {
            let rows = app.rows(&format!("SELECT {columns} FROM callback WHERE id = {id}")).await;
            (0..columns.split(", ").count())
                .map(|place| rows[0].try_get::<Option<String>, _>(place).unwrap_or_else(|_| rows[0].get::<Option<i64>, _>(place).map(|number| number.to_string())))
                .collect::<Vec<_>>()
        };
        let decline = |reason| Action::Decline { reason, note: "заметка".to_owned() };
        let later = || Action::Later { until: monday("14:00"), note: "позже".to_owned() };
        let clarify = || Action::Clarify { note: "Уточнить класс".to_owned(), next_at: None };
        let told = || Notes { summary: Some("оценки".to_owned()), topic: Some("marks".to_owned()), reference: Some("№ 5".to_owned()), ..Notes::default() };
        let actions = || {
            vec![
                Action::Claim, Action::Dial, Action::Release, Action::HandOver { to: aishat() }, vain(), done(), later(), clarify(),
                Action::Exceptional { note: "сказали".to_owned() }, decline(Reason::NotARequest), decline(Reason::AlreadyAnswered), Action::Describe,
            ]
        };
        for held in [false, true] {
            if held {
                app.act_with(id, &madina(), Action::Claim, Notes { asker: Some("parent".to_owned()), ..Notes::default() }).await.unwrap();
            }
            for action in actions().into_iter().filter(|action| !held || *action != Action::Claim) {
                let before = row().await;
                app.advance_minutes(1);
                app.act_with(id, &madina(), action.clone(), told()).await.unwrap_or_else(|error| panic!("{action:?}: {error}"));
                assert_ne!(row().await, before, "{action:?} changes something");
                app.store().undo_last(&madina(), monday("00:00"), app.now()).await.unwrap();
                assert_eq!(row().await, before, "{action:?}");
            }
        }
        app.act(id, &madina(), done()).await.unwrap();
        let before = row().await;
        app.act(id, &madina(), Action::Reopen).await.unwrap();
        app.store().undo_last(&madina(), monday("00:00"), app.now()).await.unwrap();
        assert_eq!(row().await, before);
    }

    async fn a_proposal_that_was_dropped_comes_back_with_undo(app) {
        app.post("status", &Form::call("CA1").status("completed")).await;
        app.clock.set(monday("09:05"));
        app.post("voice", &Form::call("CA2")).await;
        app.post("dialled/0", &Form::call("CA2").with("DialCallStatus", "completed").with("DialCallDuration", "60")).await;
        let waiting = app.callback().await;
        assert!(waiting.proposed_call_id.is_some());
        app.act(waiting.id, &madina(), Action::CallAnyway).await.unwrap();
        let undone = app.store().undo_last(&madina(), monday("00:00"), app.now()).await.unwrap();
        assert_eq!((undone.proposed_call_id, undone.desk), (waiting.proposed_call_id, waiting.desk));
        app.leave_the_jobs().await;
    }

    async fn the_last_step_is_found_wherever_it_was_and_not_past_a_colleague(app) {
        callers(app, 3).await;
        app.clock.set(monday("10:00"));
        let ids: Vec<i64> = app.callbacks().await.iter().map(|view| view.callback.id).collect();
        let back = async |by: &Actor| app.store().undo_last(by, monday("00:00"), app.now()).await;
        for id in &ids {
            app.act(*id, &madina(), done()).await.unwrap();
        }
        assert!(matches!(back(&aishat()).await, Err(ActError::NothingToUndo)));
        assert_eq!(back(&madina()).await.unwrap().id, ids[2]);
        assert_eq!(back(&madina()).await.unwrap().id, ids[1]);
        app.act(ids[0], &aishat(), Action::Reopen).await.unwrap();
        let Err(ActError::GoneOn(present)) = back(&madina()).await else { panic!("a colleague has gone on") };
        assert_eq!((present.id, present.desk.state), (ids[0], State::Open));
    }

    async fn who_is_handed_an_entry_holds_it_and_its_giver_does_not(app) {
        callers(app, 1).await;
        app.clock.set(monday("10:00"));
        let id = app.next(&madina()).await.unwrap().id;
        app.advance_minutes(10);
        let handed = app.act(id, &madina(), Action::HandOver { to: aishat() }).await.unwrap();
        assert_eq!(handed.desk.state, State::Claimed { by: aishat(), at: monday("10:10"), until: monday("10:25") });
        assert!(matches!(app.act(id, &madina(), Action::Dial).await, Err(ActError::Refused(Refusal::ClaimedByOther { .. }))));
        assert!(matches!(app.act(id, &madina(), Action::HandOver { to: madina() }).await, Err(ActError::Refused(_))), "nor taken back by force");
        app.act(id, &aishat(), done()).await.unwrap();
    }

    async fn a_note_that_comes_too_late_changes_neither_the_callback_nor_its_version(app) {
        callers(app, 1).await;
        app.clock.set(monday("10:00"));
        let closed = app.act(app.callback().await.id, &madina(), done()).await.unwrap();
        app.store().keep_note(closed.id, "тоже звонила", &aishat(), app.now()).await.unwrap();
        let view = app.store().callback(closed.id).await.unwrap().unwrap();
        assert_eq!(view.callback, closed);
        let last = view.history.last().unwrap();
        assert_eq!((last.kind.as_str(), last.note.as_str(), last.undoable), ("note", "тоже звонила", false));
        assert!(matches!(app.store().undo(closed.id, None, &aishat(), app.now()).await, Err(ActError::NothingToUndo)));
        assert!(app.store().undo(closed.id, None, &madina(), app.now()).await.is_ok(), "the note does not stand in the way");
        let noted = app.rows("SELECT actor_name FROM audit WHERE action = 'note'").await;
        assert_eq!(noted.len(), 1);
        assert!(matches!(app.store().keep_note(7, "x", &aishat(), app.now()).await, Err(ActError::NotFound(7))));
    }

    async fn what_was_dialled_and_how_it_ended_is_one_try(app) {
        callers(app, 1).await;
        app.clock.set(monday("10:00"));
        let id = app.callback().await.id;
        let tries = async || -> Vec<_> {
            app.store().callback(id).await.unwrap().unwrap().attempts().into_iter().map(|attempt| attempt.at).collect()
        };
        app.act(id, &madina(), Action::Dial).await.unwrap();
        app.advance_minutes(1);
        app.act(id, &madina(), vain()).await.unwrap();
        assert_eq!(tries().await, [monday("10:00")]);
        app.advance_minutes(59);
        app.act(id, &aishat(), vain()).await.unwrap();
        assert_eq!(tries().await, [monday("10:00"), monday("11:00")]);
        app.store().undo_last(&aishat(), monday("00:00"), app.now()).await.unwrap();
        app.act(id, &madina(), Action::Dial).await.unwrap();
        app.advance_minutes(1);
        app.act(id, &madina(), Action::Release).await.unwrap();
        app.act(id, &aishat(), vain()).await.unwrap();
        assert_eq!(tries().await, [monday("10:00"), monday("11:00"), monday("11:01")]);
    }
}
