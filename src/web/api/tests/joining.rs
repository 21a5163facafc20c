//! What arrives at a callback while officers work on it.

use super::*;
use crate::core::call::Ringing;

const PARENTS: &str = "89288328088";

fn talk() -> Fact {
    Fact::Rang { ringing: Ringing::Answered, talk_seconds: Some(60) }
}

#[tokio::test]
async fn who_got_through_in_another_way_is_proposed_to_be_closed() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.moves_to("2026-11-23T09:30:00+03:00");
    let (call, _) = school.rings(CALLER, vec![talk()]).await;
    assert_eq!(school.callback(&id).await["proposal"], call.to_string());
    let claimed = school.act(OFFICER, &id, "claim", Value::Null).await.good();
    assert_eq!(claimed["proposal"], call.to_string(), "a claim does not hide it");
    assert_eq!(school.act(OFFICER, &id, "call-anyway", Value::Null).await.good()["proposal"], json!(null));
}

#[tokio::test]
async fn a_talk_from_before_the_message_proposes_nothing() {
    let school = School::at(MONDAY_MORNING).await;
    let started_at = school.house.clock.now();
    school.tells("CA-early", started_at, vec![parties(PARENTS, CALLER)]).await;
    school.moves_to("2026-11-23T09:30:00+03:00");
    let id = school.leaves_a_message(CALLER).await;
    school.tells("CA-early", started_at, vec![talk(), Fact::Ended]).await;
    assert_eq!(school.callback(&id).await["proposal"], json!(null), "the news came late, the talk was early");
}

#[tokio::test]
async fn whoever_calls_again_after_the_talk_was_not_helped_by_it() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.moves_to("2026-11-23T09:30:00+03:00");
    school.rings(CALLER, vec![talk()]).await;
    school.moves_to("2026-11-23T09:40:00+03:00");
    assert_eq!(school.leaves_a_message(CALLER).await, id);
    assert_eq!(school.callback(&id).await["proposal"], json!(null));
}

#[tokio::test]
async fn nobody_closes_a_callback_without_having_seen_the_message_that_joined() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    let seen = school.act(OFFICER, &id, "claim", Value::Null).await.good()["version"].clone();
    school.moves_to("2026-11-23T09:06:00+03:00");
    assert_eq!(school.leaves_a_message(CALLER).await, id, "it joins");
    let problem = school.act(OFFICER, &id, "done", json!({"version": seen})).await.problem(409);
    assert_eq!(problem["type"], "urn:perezvon:stale");
    assert_eq!(problem["current"]["voicemails"].as_array().unwrap().len(), 2);
    let now_seen = &problem["current"]["version"];
    school.act(OFFICER, &id, "done", json!({"version": now_seen})).await.good();
}

#[tokio::test]
async fn a_message_that_comes_after_its_call_is_seen_before_closing_and_opens_again_what_was_closed() {
    let school = School::at(FRIDAY_EVENING).await;
    let started_at = school.house.clock.now();
    let silent = vec![parties(PARENTS, CALLER), Fact::MessageOver, Fact::Ended];
    let (_, callback) = school.tells("CA-late", started_at, silent).await;
    let id = callback.unwrap();
    let first =
        Fact::Recording { id: "RE0".to_owned(), state: RecordingState::Completed, url: None, length_seconds: None };
    school.tells("CA-late", started_at, vec![first]).await;
    school.act(OFFICER, &id, "done", json!({"version": 1})).await.problem(409);

    let (_, silent) = {
        let facts = vec![parties(PARENTS, "+79280000001"), Fact::MessageOver, Fact::Ended];
        school.tells("CA-closed", started_at, facts).await
    };
    let closed = silent.unwrap();
    school.act(OFFICER, &closed, "decline", json!({"reason": "not_a_request"})).await.good();
    let (_, again) = school.tells("CA-closed", started_at, vec![message()]).await;
    let again = again.unwrap();
    assert_ne!(again, closed);
    assert_eq!(school.callback(&again).await["voicemails"].as_array().unwrap().len(), 1);
    assert_eq!(school.callback(&closed).await["state"], "declined");
}
