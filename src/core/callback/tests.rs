//! The rules of working a callback, without a database.

use super::*;
use crate::core::calendar::Hours;
use crate::core::dialing::DialingRules;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

fn aishat() -> Actor {
    Actor::officer(2, "Айшат М.")
}

const MONDAY_9: &str = "2026-11-23T09:00:00+03:00";

fn waiting() -> Callback {
    Callback {
        id: 1,
        line: LineId::new("parents"),
        caller: Some(PhoneNumber::parse("+79281234567").unwrap()),
        callback_number: Some(PhoneNumber::parse("+79281234567").unwrap()),
        channel: Channel::Telephone,
        received_at: at("2026-11-20T19:40:00+03:00"),
        registered_at: None,
        registration_number: None,
        period: Some(Period { start: at(MONDAY_9), end: at("2026-11-23T18:00:00+03:00") }),
        due_at: Some(at("2026-11-23T18:00:00+03:00")),
        term_due_at: None,
        desk: Desk { state: State::Open, notes: Notes::default() },
        proposed_call_id: None,
        proposed_callback_id: None,
        version: 1,
    }
}

/// An officer at this instant, with so many vain attempts behind the callback.
fn act_after(
    callback: &mut Callback,
    action: Action,
    by: &Actor,
    now: &str,
    vain_attempts: usize,
) -> Result<HistoryEntry, Refusal> {
    let calendar = Calendar::new(Hours::default());
    let bench = Bench {
        now: at(now),
        by,
        calendar: &calendar,
        vain_attempts,
        vain_on_two_days: true,
        regulation_reasons: true,
        dialing: &DialingRules::default(),
        siblings: &[],
    };
    callback.act(&action, Notes::default(), &bench)
}

fn act(callback: &mut Callback, action: Action, by: &Actor, now: &str) -> Result<HistoryEntry, Refusal> {
    act_after(callback, action, by, now, 0)
}

fn no_answer() -> Action {
    Action::Attempt { outcome: AttemptOutcome::NoAnswer, note: String::new(), next_at: None }
}

fn planned(callback: &Callback) -> Timestamp {
    match &callback.desk.state {
        State::Later { until, .. } => *until,
        state => panic!("nothing is planned: {state:?}"),
    }
}

#[test]
fn one_officer_holds_a_callback_for_fifteen_minutes_and_not_a_moment_longer() {
    let mut callback = waiting();
    act(&mut callback, Action::Claim, &madina(), "2026-11-23T09:00:00+03:00").unwrap();
    let refused = act(&mut callback, Action::Claim, &aishat(), "2026-11-23T09:14:59.999+03:00");
    assert_eq!(refused, Err(Refusal::ClaimedByOther { by: madina(), at: at(MONDAY_9) }));
    act(&mut callback, Action::Claim, &aishat(), "2026-11-23T09:15:00+03:00").unwrap();
    assert_eq!(callback.desk.state.holder(at("2026-11-23T09:20:00+03:00")), Some(&aishat()));
}

#[test]
fn claiming_ones_own_again_renews_the_lease_and_keeps_its_beginning() {
    let mut callback = waiting();
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    act(&mut callback, Action::Claim, &madina(), "2026-11-23T09:10:00+03:00").unwrap();
    let State::Claimed { at: since, until, .. } = callback.desk.state else { panic!("not claimed") };
    assert_eq!((since, until), (at(MONDAY_9), at("2026-11-23T09:25:00+03:00")));
}

#[test]
fn whoever_holds_no_lease_may_still_finish_what_nobody_else_took() {
    let mut callback = waiting();
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    act(&mut callback, Action::Done { note: String::new() }, &madina(), "2026-11-23T11:00:00+03:00").unwrap();
    assert_eq!(callback.desk.state.as_str(), "done");
}

#[test]
fn the_first_action_registers_and_the_second_does_not() {
    let mut callback = waiting();
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    act(&mut callback, Action::Release, &madina(), "2026-11-23T09:05:00+03:00").unwrap();
    assert_eq!(callback.registered_at, Some(at(MONDAY_9)));
}

#[test]
fn attempts_are_planned_an_hour_on_then_after_lunch_then_on_the_next_working_day() {
    for (vain, now, next) in [
        (0, "2026-11-23T09:10:00+03:00", "2026-11-23T10:10:00+03:00"),
        (0, "2026-11-23T17:30:00+03:00", "2026-11-24T09:30:00+03:00"),
        (0, "2026-11-23T17:00:00+03:00", "2026-11-24T09:00:00+03:00"),
        (1, "2026-11-23T10:10:00+03:00", "2026-11-23T14:00:00+03:00"),
        (1, "2026-11-23T14:00:00+03:00", "2026-11-24T09:00:00+03:00"),
        (2, "2026-11-23T14:00:00+03:00", "2026-11-24T09:00:00+03:00"),
        (2, "2026-11-27T14:00:00+03:00", "2026-11-30T09:00:00+03:00"),
        (7, "2026-12-30T14:00:00+03:00", "2027-01-11T09:00:00+03:00"),
    ] {
        let mut callback = waiting();
        act_after(&mut callback, no_answer(), &madina(), now, vain).unwrap();
        assert_eq!(planned(&callback), at(next), "{vain} vain attempts, {now}");
    }
}

#[test]
fn a_wish_outside_working_time_is_moved_to_the_next_opening() {
    for (wish, kept) in [
        ("2026-11-23T12:00:00+03:00", "2026-11-23T12:00:00+03:00"),
        ("2026-11-23T18:00:00+03:00", "2026-11-24T09:00:00+03:00"),
        ("2026-11-28T12:00:00+03:00", "2026-11-30T09:00:00+03:00"),
    ] {
        let mut callback = waiting();
        act(&mut callback, Action::Later { until: at(wish), note: String::new() }, &madina(), MONDAY_9).unwrap();
        assert_eq!(planned(&callback), at(kept), "{wish}");
    }
    let past = Action::Later { until: at("2026-11-23T08:59:59+03:00"), note: String::new() };
    assert_eq!(act(&mut waiting(), past, &madina(), MONDAY_9), Err(Refusal::InThePast));
}

#[test]
fn reaching_the_caller_keeps_the_callback_in_hand() {
    let mut callback = waiting();
    let reached = Action::Attempt { outcome: AttemptOutcome::Reached, note: String::new(), next_at: None };
    act(&mut callback, reached, &madina(), MONDAY_9).unwrap();
    assert_eq!(callback.desk.state.holder(at(MONDAY_9)), Some(&madina()));
}

#[test]
fn the_two_reasons_of_the_regulation_need_a_note_and_can_be_switched_off() {
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_from_regulation()) {
        let decline = |note: &str| Action::Decline { reason, note: note.to_owned() };
        assert!(matches!(act(&mut waiting(), decline(" "), &madina(), MONDAY_9), Err(Refusal::NoteNeeded(_))));
        act(&mut waiting(), decline("нет класса"), &madina(), MONDAY_9).unwrap();
        let calendar = Calendar::new(Hours::default());
        let off = Bench {
            now: at(MONDAY_9),
            by: &madina(),
            calendar: &calendar,
            vain_attempts: 0,
            vain_on_two_days: false,
            regulation_reasons: false,
            dialing: &DialingRules::default(),
            siblings: &[],
        };
        let refused = waiting().act(&decline("нет класса"), Notes::default(), &off);
        assert_eq!(refused, Err(Refusal::ReasonOff(reason.as_str())));
    }
}

#[test]
fn what_was_answered_before_names_the_document() {
    let decline = Action::Decline { reason: Reason::AlreadyAnswered, note: String::new() };
    assert_eq!(act(&mut waiting(), decline.clone(), &madina(), MONDAY_9), Err(Refusal::ReferenceNeeded));
    let calendar = Calendar::new(Hours::default());
    let by = madina();
    let bench = Bench {
        now: at(MONDAY_9),
        by: &by,
        calendar: &calendar,
        vain_attempts: 0,
        vain_on_two_days: false,
        regulation_reasons: true,
        dialing: &DialingRules::default(),
        siblings: &[],
    };
    let notes = Notes { reference: Some("2026-000017".to_owned()), ..Notes::default() };
    waiting().act(&decline, notes, &bench).unwrap();
}

#[test]
fn nobody_is_given_up_before_the_third_attempt() {
    let decline = || Action::Decline { reason: Reason::NotReached, note: String::new() };
    assert_eq!(act_after(&mut waiting(), decline(), &madina(), MONDAY_9, 2), Err(Refusal::NotTried));
    act_after(&mut waiting(), decline(), &madina(), MONDAY_9, 3).unwrap();
}

#[test]
fn nobody_is_given_up_on_the_first_day() {
    let calendar = Calendar::new(Hours::default());
    let decline = Action::Decline { reason: Reason::NotReached, note: String::new() };
    for (vain_on_two_days, expected) in [(false, Err(Refusal::NotTried)), (true, Ok(()))] {
        let by = madina();
        let bench = Bench {
            now: at(MONDAY_9),
            by: &by,
            calendar: &calendar,
            vain_attempts: 9,
            vain_on_two_days,
            regulation_reasons: true,
            dialing: &DialingRules::default(),
            siblings: &[],
        };
        assert_eq!(waiting().act(&decline, Notes::default(), &bench).map(|_| ()), expected);
    }
}

#[test]
fn clearing_up_says_what() {
    let clarify = |note: &str| Action::Clarify { note: note.to_owned(), next_at: None };
    assert!(matches!(act(&mut waiting(), clarify(""), &madina(), MONDAY_9), Err(Refusal::NoteNeeded(_))));
    act(&mut waiting(), clarify("в каком классе"), &madina(), MONDAY_9).unwrap();
}

#[test]
fn nothing_but_reopening_touches_what_is_closed() {
    let mut callback = waiting();
    act(&mut callback, Action::Done { note: String::new() }, &madina(), MONDAY_9).unwrap();
    assert_eq!(act(&mut callback, Action::Claim, &madina(), MONDAY_9), Err(Refusal::Closed { state: "done" }));
    act(&mut callback, Action::Reopen, &aishat(), MONDAY_9).unwrap();
    assert_eq!(callback.desk.state, State::Open);
    assert_eq!(act(&mut callback, Action::Reopen, &aishat(), MONDAY_9), Err(Refusal::NotClosed));
}

#[test]
fn each_step_keeps_the_desk_as_it_was_before() {
    let mut callback = waiting();
    let before = callback.desk.clone();
    let entry = act(&mut callback, Action::Done { note: "решено".to_owned() }, &madina(), MONDAY_9).unwrap();
    assert_eq!(entry.before, before);
    assert_eq!((entry.kind, entry.note.as_str(), callback.version), ("done", "решено", 2));
}

#[test]
fn a_refused_action_changes_nothing() {
    let mut callback = waiting();
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    let before = callback.clone();
    act(&mut callback, Action::Done { note: String::new() }, &aishat(), "2026-11-23T09:05:00+03:00").unwrap_err();
    let long = Action::Done { note: "х".repeat(LONGEST_NOTE + 1) };
    assert_eq!(act(&mut callback, long, &madina(), MONDAY_9), Err(Refusal::TooLong { field: "note" }));
    assert_eq!(callback, before);
}

#[test]
fn overdue_is_later_than_due_not_at_it() {
    let callback = waiting();
    assert!(!callback.is_overdue(at("2026-11-23T18:00:00+03:00")));
    assert!(callback.is_overdue(at("2026-11-23T18:00:00.001+03:00")));
}

#[test]
fn a_proposal_to_close_outlives_a_claim_and_ends_only_by_word() {
    let mut callback = Callback { proposed_call_id: Some(7), ..waiting() };
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    assert_eq!(callback.proposed_call_id, Some(7));
    act(&mut callback, Action::CallAnyway, &madina(), MONDAY_9).unwrap();
    assert_eq!(callback.proposed_call_id, None);
}

#[test]
fn nobody_is_put_off_for_longer_than_a_hundred_days() {
    let later = |until: &str| Action::Later { until: at(until), note: String::new() };
    act(&mut waiting(), later("2027-03-03T09:00:00+03:00"), &madina(), MONDAY_9).unwrap();
    assert_eq!(act(&mut waiting(), later("2027-03-04T09:00:00+03:00"), &madina(), MONDAY_9), Err(Refusal::TooFar));
}

#[test]
fn dialling_claims_and_is_a_step_each_time() {
    let mut callback = waiting();
    let first = act(&mut callback, Action::Dial, &madina(), MONDAY_9).unwrap();
    assert_eq!((first.kind, callback.version), ("dial", 2));
    act(&mut callback, Action::Dial, &madina(), "2026-11-23T09:05:00+03:00").unwrap();
    assert_eq!(callback.version, 3, "a page from before may not dial again");
    let until = at("2026-11-23T09:20:00+03:00");
    assert_eq!(callback.desk.state, State::Claimed { by: madina(), at: at(MONDAY_9), until });
    assert!(act(&mut callback, Action::Dial, &aishat(), "2026-11-23T09:19:59+03:00").is_err());
}

#[test]
fn what_a_colleague_holds_is_handed_over_by_nobody_else() {
    let mut callback = waiting();
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    let to_aishat = || Action::HandOver { to: aishat() };
    let refused = act(&mut callback, to_aishat(), &aishat(), MONDAY_9);
    assert!(matches!(refused, Err(Refusal::ClaimedByOther { .. })));
    let handed = act(&mut callback, to_aishat(), &madina(), MONDAY_9).unwrap();
    assert_eq!((handed.kind, handed.note.as_str()), ("hand_over", "Айшат М."));
    assert_eq!(callback.desk.state.holder(at(MONDAY_9)), Some(&aishat()));
    act(&mut callback, Action::Done { note: String::new() }, &aishat(), MONDAY_9).unwrap();
    assert_eq!(act(&mut callback, to_aishat(), &madina(), MONDAY_9), Err(Refusal::Closed { state: "done" }));
}

#[test]
fn each_reason_of_the_regulation_asks_for_its_own_note() {
    for (reason, missing) in [(Reason::NotEnoughData, WHAT_IS_MISSING), (Reason::NotConstructive, HOW_IT_WAS_PUT)] {
        let decline = Action::Decline { reason, note: " ".to_owned() };
        assert_eq!(act(&mut waiting(), decline, &madina(), MONDAY_9), Err(Refusal::NoteNeeded(missing)));
    }
}

#[test]
fn the_number_to_dial_is_that_of_the_network_and_else_the_one_that_was_typed() {
    let mut callback = waiting();
    let typed = PhoneNumber::parse("+79631204517").unwrap();
    callback.callback_number = Some(typed.clone());
    assert_eq!(callback.number_to_dial(), callback.caller.as_ref());
    callback.caller = None;
    assert_eq!(callback.number_to_dial(), Some(&typed));
    callback.callback_number = None;
    assert_eq!(callback.number_to_dial(), None);
}

fn on_the_other_line(state: State) -> Sibling {
    Sibling { id: 2, line: LineId::new("staff"), state, placed_call: None, last_attempt: None }
}

fn claim_by(by: Actor, at_minute: &str) -> State {
    let at: Timestamp = at(at_minute);
    State::Claimed { by, at, until: at + LEASE }
}

/// An officer at nine on Monday beside these siblings.
fn act_beside(
    callback: &mut Callback,
    action: Action,
    by: &Actor,
    siblings: &[Sibling],
) -> Result<HistoryEntry, Refusal> {
    let calendar = Calendar::new(Hours::default());
    let bench = Bench {
        now: at(MONDAY_9),
        by,
        calendar: &calendar,
        vain_attempts: 0,
        vain_on_two_days: false,
        regulation_reasons: true,
        dialing: &DialingRules::default(),
        siblings,
    };
    callback.act(&action, Notes::default(), &bench)
}

#[test]
fn a_number_held_on_another_line_is_claimed_only_if_confirmed() {
    let held = [on_the_other_line(claim_by(aishat(), "2026-11-23T08:55:00+03:00"))];
    for action in [Action::Claim, Action::Dial, Action::CallAnyway] {
        let mut callback = waiting();
        let Err(Refusal::HeldOnOtherLine(holder)) = act_beside(&mut callback, action.clone(), &madina(), &held) else {
            panic!("{action:?} is not guarded");
        };
        assert_eq!((holder.callback_id, &holder.by, holder.line.as_str()), (2, &aishat(), "staff"));
        assert_eq!(callback, waiting(), "nothing has changed");
        act_beside(&mut callback, action.clone(), &aishat(), &held).expect("it is the same person");
        let mut callback = waiting();
        let step = act_beside(&mut callback, Action::Confirmed(Box::new(action)), &madina(), &held).unwrap();
        assert_eq!(step.outcome, Some(CONFIRMED), "the history says so");
        assert_eq!(callback.desk.state.holder(at(MONDAY_9)), Some(&madina()));
        act_beside(&mut callback, Action::Claim, &madina(), &held).expect("who holds it was asked before");
        let again = act_beside(&mut callback, Action::Dial, &madina(), &held);
        assert!(matches!(again, Err(Refusal::HeldOnOtherLine(_))), "{again:?}");
    }
}

#[test]
fn an_expired_claim_of_a_sibling_guards_nothing() {
    for (claimed_at, guarded) in [("2026-11-23T08:45:00+03:00", false), ("2026-11-23T08:45:01+03:00", true)] {
        let siblings = [on_the_other_line(claim_by(aishat(), claimed_at))];
        let refused = act_beside(&mut waiting(), Action::Claim, &madina(), &siblings).is_err();
        assert_eq!(refused, guarded, "{claimed_at}");
    }
}

#[test]
fn a_placed_call_guards_the_sibling_whatever_its_state() {
    let calling = Some((aishat(), at("2026-11-23T08:59:00+03:00")));
    let sibling = Sibling { placed_call: calling, ..on_the_other_line(State::Open) };
    assert!(sibling.holder(at(MONDAY_9)).unwrap().is_calling);
    let siblings = [sibling];
    let refused = act_beside(&mut waiting(), Action::Dial, &madina(), &siblings);
    assert!(matches!(refused, Err(Refusal::HeldOnOtherLine(_))), "{refused:?}");
    act_beside(&mut waiting(), Action::Done { note: String::new() }, &madina(), &siblings).expect("nothing rings");
}

#[test]
fn an_outcome_is_proposed_until_its_callback_is_worked_on_again() {
    let mut callback = waiting();
    assert_eq!(callback.outcome_for_siblings(at(MONDAY_9)), None);
    act(&mut callback, no_answer(), &madina(), MONDAY_9).unwrap();
    let until = planned(&callback);
    let put_off = Some(Action::Later { until, note: String::new() });
    assert_eq!(callback.outcome_for_siblings(at(MONDAY_9)), put_off);
    assert_eq!(callback.outcome_for_siblings(until), None, "its time has come");
    act(&mut callback, Action::Claim, &madina(), MONDAY_9).unwrap();
    assert_eq!(callback.outcome_for_siblings(at(MONDAY_9)), None);
    let decline = Action::Decline { reason: Reason::NotARequest, note: "реклама".to_owned() };
    act(&mut callback, decline.clone(), &madina(), MONDAY_9).unwrap();
    assert_eq!(callback.outcome_for_siblings(at(MONDAY_9)), Some(decline));
}

#[test]
fn an_own_outcome_drops_the_proposal_of_another_line() {
    let proposed = || Callback { proposed_callback_id: Some(2), ..waiting() };
    let reached = Action::Attempt { outcome: AttemptOutcome::Reached, note: String::new(), next_at: None };
    for (action, left) in [
        (Action::Claim, Some(2)),
        (reached, Some(2)),
        (Action::CallAnyway, None),
        (no_answer(), None),
        (Action::Describe, Some(2)),
        (Action::Done { note: String::new() }, None),
    ] {
        let mut callback = proposed();
        act(&mut callback, action.clone(), &madina(), MONDAY_9).unwrap();
        assert_eq!(callback.proposed_callback_id, left, "{action:?}");
    }
}

/// Threat: toll fraud. A forged caller id of a premium number stands on the list like any other.
#[test]
fn a_premium_number_is_dialed_only_if_confirmed() {
    let premium = || {
        let number = PhoneNumber::parse("88095550000").ok();
        Callback { caller: number.clone(), callback_number: number, ..waiting() }
    };
    assert_eq!(act(&mut premium(), Action::Dial, &madina(), MONDAY_9), Err(Refusal::NumberNotAllowed));
    act(&mut premium(), Action::Claim, &madina(), MONDAY_9).expect("whoever takes it looks at it first");
    let confirmed = || Action::Confirmed(Box::new(Action::Dial));
    let step = act(&mut premium(), confirmed(), &madina(), MONDAY_9).unwrap();
    assert_eq!(step.outcome, Some(CONFIRMED_NUMBER), "the history says so");
    let step = act(&mut waiting(), confirmed(), &madina(), MONDAY_9).unwrap();
    assert_eq!(step.outcome, None, "there was nothing to ask about");
}
