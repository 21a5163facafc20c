//! A whole Friday evening of callers, from the provider's side to the officer's list: what must come of it is read from
//! what the callers did, not from the code under test.

use std::collections::{BTreeMap, BTreeSet};

use perezvon::app::demo::{
    AtPrompt, AtSignal, CallPlan, CallReport, Numbers, Officer, Purpose, RestFaults, Sound, friday_evening,
};
use perezvon::core::phone::PhoneNumber;
use perezvon::store::VoicemailState;

use crate::harness::{App, friday, stories};

/// Line, caller (his number, or the call's id where it is withheld), and how many messages of how much speech.
type Waiting = BTreeMap<(String, String), Vec<bool>>;

fn line_of(plan: &CallPlan) -> &'static str {
    match plan.line_title.as_str() {
        "Сотрудники" => "staff",
        "Родители" => "parents",
        _ => "unknown",
    }
}

fn visible(plan: &CallPlan) -> Option<String> {
    let hidden = ["anonymous", "+7378742833"].contains(&plan.caller.as_str());
    (!hidden).then(|| plan.caller.clone())
}

/// Whether an officer was reached, by the plan: only in hours, and only if somebody's phone answered.
fn was_answered(plan: &CallPlan) -> bool {
    plan.starts_at.unwrap() < friday("18:00")
        && plan.officers.iter().any(|officer| matches!(officer, Officer::Answers { .. }))
}

/// What a caller left at the signal, by the plan: nothing, or a message with speech in it or without.
fn left(plan: &CallPlan) -> Option<bool> {
    match plan.at_signals.first() {
        Some(AtSignal::Leaves { sound: Sound::Speech { length_ms, .. }, .. }) => Some(*length_ms >= 2_000),
        Some(AtSignal::Leaves { .. }) => Some(false),
        _ => None,
    }
}

/// Who must wait at the end, from what each caller did.
fn expected(reports: &[CallReport]) -> Waiting {
    let mut waiting = Waiting::new();
    for report in reports {
        let plan = &report.plan;
        let typed = plan.at_prompts.iter().any(|at_prompt| matches!(at_prompt, AtPrompt::Types(_)));
        let message = left(plan).filter(|_| !was_answered(plan));
        let key = (line_of(plan).to_owned(), visible(plan).unwrap_or_else(|| report.sid.clone()));
        if was_answered(plan) || (visible(plan).is_none() && message.is_none() && !typed) {
            continue;
        }
        waiting.entry(key).or_default().extend(message);
    }
    waiting
}

async fn found(app: &App) -> Waiting {
    let mut waiting = Waiting::new();
    for view in app.callbacks().await {
        let caller = match &view.callback.caller {
            Some(number) => number.e164().to_owned(),
            None => {
                let id = view.calls[0].id;
                app.text(&format!("SELECT provider_call_id FROM call WHERE id = {id}")).await
            }
        };
        let spoke = view.voicemails.iter().map(|voicemail| {
            assert_eq!(voicemail.state, VoicemailState::Stored, "{voicemail:?}");
            voicemail.sound.as_ref().is_some_and(|sound| sound.speech_ms >= 2_000)
        });
        let key = (view.callback.line.to_string(), caller);
        let twice = waiting.insert(key.clone(), spoke.collect());
        assert!(twice.is_none(), "{key:?} is on the list twice");
    }
    waiting
}

/// Places all calls; in an evening of faults every request comes twice, callbacks come in reverse or not at all.
async fn run(app: &App, with_faults: bool) -> Vec<CallReport> {
    app.clock.set(friday("17:00"));
    let mut reports = Vec::new();
    for (n, mut plan) in friday_evening(&Numbers::default(), friday("19:30")).into_iter().enumerate() {
        if with_faults {
            plan.delivery.twice = n % 2 == 0;
            plan.delivery.reversed = n % 3 == 0;
            if n % 4 == 1 {
                plan.delivery.lost = vec![Purpose::Recording, Purpose::Status];
            }
        }
        reports.push(app.exchange.call(plan).await);
        app.run_jobs().await;
    }
    app.clock.set(app.now().max(friday("19:30")));
    // By then nobody can still be on the line, and whoever was not told of is asked about.
    app.advance_minutes(31);
    app.worker().sweep().await;
    app.run_all_jobs().await;
    reports
}

async fn check(app: &App, reports: &[CallReport]) {
    let calls: BTreeSet<&str> = reports.iter().map(|report| report.sid.as_str()).collect();
    assert_eq!(app.count("call").await as usize, calls.len(), "every call once");
    for report in reports {
        assert_eq!(report.warnings, Vec::<String>::new(), "{}", report.plan.story);
        let call = app.call(&report.sid).await;
        assert_eq!(call.line.unwrap().as_str(), line_of(&report.plan), "{}", report.plan.story);
        let open = report.plan.starts_at.unwrap() < friday("18:00");
        assert_eq!(call.decision.unwrap().open, open, "{}", report.plan.story);
        let number = visible(&report.plan).map(|caller| PhoneNumber::parse(&caller).unwrap());
        assert_eq!(call.caller.unwrap().number, number, "{}", report.plan.story);
    }
    let with_sound = reports.iter().flat_map(|report| &report.recordings).filter(|recorded| recorded.absent.is_none());
    let provided: BTreeSet<String> = with_sound.map(|recorded| recorded.sid.clone()).collect();
    let counters = app.exchange.counters();
    assert_eq!(counters.deleted.iter().cloned().collect::<BTreeSet<_>>(), provided, "all copies are deleted");
    assert_eq!(counters.deleted.len(), provided.len(), "each once");
    assert_eq!(counters.refused, 0, "always with the password");
    assert!(app.alarm_kinds().await.iter().all(|kind| kind == "unknown_line" || kind == "calendar"));
    let asked = app
        .callbacks()
        .await
        .into_iter()
        .find(|view| view.callback.callback_number.as_ref().is_some_and(|number| number.e164() == "+79280000301"));
    assert!(asked.is_some_and(|view| view.callback.caller.is_none()), "the number typed is the one to dial");
}

stories! {
    async fn a_whole_evening_ends_in_the_list_the_callers_made(app) {
        let reports = run(app, false).await;
        assert_eq!(found(app).await, expected(&reports));
        check(app, &reports).await;
    }

    async fn the_same_evening_with_everything_going_wrong_ends_in_the_same_list(app) {
        app.exchange.set_faults(RestFaults {
            not_ready: 2,
            server_errors: 1,
            lost_connections: 1,
            cut_files: 1,
            deletion_errors: 1,
            ..RestFaults::default()
        });
        let reports = run(app, true).await;
        let (mut found, expected) = (found(app).await, expected(&reports));
        // An end that overtook the news of the talk: the entry is there with the proposal to close it (R12).
        for report in reports.iter().filter(|report| was_answered(&report.plan)) {
            let key = (line_of(&report.plan).to_owned(), report.plan.caller.clone());
            if !expected.contains_key(&key) && found.remove(&key).is_some() {
                let views = app.callbacks().await;
                let entry = views.iter().find(|view| view.callback.caller.as_ref().is_some_and(|number| number.e164() == report.plan.caller));
                assert!(entry.unwrap().callback.proposed_call_id.is_some(), "{}", report.plan.story);
            }
        }
        assert_eq!(found, expected);
        check(app, &reports).await;
    }
}
