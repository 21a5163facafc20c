use super::*;

#[tokio::test]
async fn of_two_who_claim_the_second_reads_the_name_of_the_first() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.moves_to(MONDAY_MORNING);
    let claimed = school.act(OFFICER, &id, "claim", Value::Null).await.good();
    assert_eq!(
        (&claimed["state"], &claimed["claimed_by"], &claimed["version"]),
        (&json!("claimed"), &json!(OFFICER), &json!(2))
    );
    assert_eq!(claimed["until"], "2026-11-23T09:20:00+03:00");
    assert_eq!(claimed["registered_at"], MONDAY_MORNING);
    assert_eq!(claimed["registration_number"], "2026-000001");

    let problem = school.act(COLLEAGUE, &id, "claim", Value::Null).await.problem(409);
    assert_eq!((&problem["type"], &problem["claimed_by"]), (&json!("urn:perezvon:claimed"), &json!(OFFICER)));
    assert_eq!(problem["current"], claimed);

    school.moves_to("2026-11-23T09:20:00+03:00");
    assert_eq!(school.act(COLLEAGUE, &id, "claim", Value::Null).await.good()["claimed_by"], COLLEAGUE);
    let released = school.act(COLLEAGUE, &id, "release", json!({})).await.good();
    assert_eq!((&released["state"], &released["claimed_by"]), (&json!("open"), &json!(null)));
}

#[tokio::test]
async fn of_all_who_ask_for_the_next_one_at_once_no_two_get_the_same() {
    let school = School::at(FRIDAY_EVENING).await;
    let callbacks = school.leave_messages(2).await;
    let next = |who| school.post(who, "/api/v1/callbacks/next", Value::Null);
    let (mine, hers) = tokio::join!(next(OFFICER), next(COLLEAGUE));
    let mut got = [mine.good()["id"].as_str().unwrap().to_owned(), hers.good()["id"].as_str().unwrap().to_owned()];
    got.sort();
    assert_eq!(got.to_vec(), callbacks);
    let again = next(OFFICER).await.good();
    assert_eq!(again["claimed_by"], OFFICER, "what I hold comes first");
    assert_eq!(again["version"], 2);
}

#[tokio::test]
async fn when_nobody_waits_there_is_no_next_one() {
    let school = School::at(FRIDAY_EVENING).await;
    school.leaves_a_message(CALLER).await;
    let next = async |body: Value| school.post(OFFICER, "/api/v1/callbacks/next", body).await;
    assert_eq!(next(json!({"line": "staff"})).await.problem(404)["type"], "urn:perezvon:nobody-waits");
    assert_eq!(next(json!({"line": "parents"})).await.good()["caller"], CALLER);
}

#[tokio::test]
async fn an_old_version_is_refused_with_the_present_state() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    let noted =
        school.act(OFFICER, &id, "release", json!({"version": 1, "summary": "Не открывается журнал"})).await.good();
    for action in ["claim", "done", "undo", "release"] {
        let problem = school.act(COLLEAGUE, &id, action, json!({"version": 1})).await.problem(409);
        assert_eq!(problem["type"], "urn:perezvon:stale", "{action}");
        assert_eq!(problem["current"], noted, "{action}");
    }
    assert_eq!(school.callback(&id).await, noted, "nothing has changed");
}

#[tokio::test]
async fn every_step_can_be_taken_back_by_whoever_made_it() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.act(OFFICER, &id, "claim", Value::Null).await.good();
    let done = school.act(OFFICER, &id, "done", json!({"note": "Помогли", "topic": "marks"})).await.good();
    assert_eq!(
        (&done["state"], &done["note"], &done["closed_by"]),
        (&json!("done"), &json!("Помогли"), &json!(OFFICER))
    );
    assert_eq!((&done["closed_at"], &done["topic"]), (&json!(MONDAY_MORNING), &json!("marks")));
    assert_eq!(
        school.act(COLLEAGUE, &id, "undo", Value::Null).await.problem(409)["type"],
        "urn:perezvon:nothing-to-undo"
    );
    let back = school.act(OFFICER, &id, "undo", json!({"version": done["version"]})).await.good();
    assert_eq!(
        (&back["state"], &back["claimed_by"], &back["topic"]),
        (&json!("claimed"), &json!(OFFICER), &json!(null))
    );
    let open = school.act(OFFICER, &id, "undo", Value::Null).await.good();
    assert_eq!((&open["state"], &open["version"]), (&json!("open"), &json!(5)));
    assert_eq!(open["registration_number"], "2026-000001", "what was registered stays so");
    assert!(school.act(OFFICER, &id, "undo", Value::Null).await.status == StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_step_of_a_colleague_in_between_cannot_be_taken_back() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.act(OFFICER, &id, "done", Value::Null).await.good();
    school.act(COLLEAGUE, &id, "reopen", json!({"note": "Звонит опять"})).await.good();
    school.act(OFFICER, &id, "undo", Value::Null).await.problem(409);
    assert_eq!(school.act(COLLEAGUE, &id, "undo", Value::Null).await.good()["state"], "done");
}

#[tokio::test]
async fn an_attempt_in_vain_plans_the_next_one_inside_working_time() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    let later = school.act(OFFICER, &id, "attempts", json!({"outcome": "no_answer", "note": "гудки"})).await.good();
    assert_eq!((&later["state"], &later["until"]), (&json!("later"), &json!("2026-11-23T10:05:00+03:00")));
    let evening = json!({"outcome": "busy", "next_attempt_at": "2026-11-23T20:00:00+03:00"});
    let morning = school.act(OFFICER, &id, "attempts", evening).await.good();
    assert_eq!(morning["until"], "2026-11-24T09:00:00+03:00");
    school.act(OFFICER, &id, "attempts", json!({"outcome": "reached"})).await.good();
    let attempts = &school.callback(&id).await["attempts"];
    assert_eq!(attempts[0], json!({"at": MONDAY_MORNING, "by": OFFICER, "outcome": "no_answer", "note": "гудки"}));
    assert_eq!((&attempts[1]["outcome"], &attempts[2]["outcome"]), (&json!("busy"), &json!("reached")));
}

#[tokio::test]
async fn the_ways_to_close_and_to_put_off_keep_their_rules() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    let act = async |action: &str, body: Value| school.act(OFFICER, &id, action, body).await;
    let until = |at: &str| json!({ "until": at });
    assert_eq!(act("later", until("2026-11-21T12:00:00+03:00")).await.problem(422)["type"], "urn:perezvon:refused");
    assert_eq!(act("later", until("2026-11-23T12:00:00Z")).await.good()["until"], "2026-11-23T15:00:00+03:00");
    assert_eq!(
        act("clarify", json!({})).await.problem(422)["detail"],
        "a note is needed: say what has to be cleared up"
    );
    assert_eq!(act("clarify", json!({"note": "какой класс"})).await.good()["state"], "later");
    act("decline", json!({"reason": "not_constructive"})).await.problem(422);
    act("decline", json!({"reason": "already_answered"})).await.problem(422);
    assert_eq!(act("reopen", Value::Null).await.problem(409)["type"], "urn:perezvon:not-closed");
    let declined = act("decline", json!({"reason": "already_answered", "reference": "2026-000001"})).await.good();
    assert_eq!((&declined["state"], &declined["decision_reason"]), (&json!("declined"), &json!("already_answered")));
    assert_eq!(act("done", Value::Null).await.problem(409)["type"], "urn:perezvon:closed");
    assert_eq!(act("reopen", Value::Null).await.good()["state"], "open");
    assert_eq!(act("exceptional", json!({"note": "сбой портала"})).await.good()["state"], "exceptional");
    assert_eq!(act("reopen", json!({"topic": "weather"})).await.problem(422)["type"], "urn:perezvon:refused");
    act("reopen", json!({"summary": "я".repeat(2001)})).await.problem(422);
}

#[tokio::test]
async fn the_remark_of_a_step_without_a_note_of_its_own_stands_in_its_history() {
    let school = School::at(MONDAY_MORNING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.act(OFFICER, &id, "release", json!({"note": "урок до 10:00"})).await.good();
    let view = school.house.store.callback(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((view.history[0].kind.as_str(), view.history[0].note.as_str()), ("release", "урок до 10:00"));
}

#[tokio::test]
async fn what_came_in_another_way_is_registered_or_joins_who_waits() {
    let school = School::at(MONDAY_MORNING).await;
    let by_hand = json!({"line": "parents", "callback_number": "8 928 111-22-33", "channel": "meeting",
        "asker": "parent", "summary": "Нет оценок", "note": "после собрания"});
    let registered = school.post(OFFICER, "/api/v1/callbacks", by_hand.clone()).await;
    assert_eq!(registered.status, StatusCode::CREATED);
    let first = registered.json();
    let id = first["id"].as_str().unwrap();
    assert_eq!(registered.header("location"), format!("/api/v1/callbacks/{id}"));
    assert_eq!((&first["channel"], &first["caller"]), (&json!("meeting"), &json!(CALLER)));
    assert_eq!((&first["asker"], &first["summary"]), (&json!("parent"), &json!("Нет оценок")));
    assert_eq!(first["period"]["starts_at"], "2026-11-23T09:00:00+03:00");
    assert_eq!(first["registration_number"], "2026-000001");

    let again = school.post(COLLEAGUE, "/api/v1/callbacks", by_hand.clone()).await.good();
    assert_eq!((&again["id"], &again["registration_number"]), (&first["id"], &first["registration_number"]));
    assert_eq!(school.leaves_a_message(CALLER).await, id, "a call joins it too");
    let nameless = json!({"line": "parents"});
    let one = school.post(OFFICER, "/api/v1/callbacks", nameless.clone()).await.good();
    let two = school.post(OFFICER, "/api/v1/callbacks", nameless).await.good();
    assert_ne!(one["id"], two["id"]);
    assert_eq!((&one["channel"], &one["callback_number"]), (&json!("in_person"), &json!(null)));

    school.act(OFFICER, id, "claim", Value::Null).await.good();
    let held = school.post(COLLEAGUE, "/api/v1/callbacks", by_hand).await.good();
    assert_eq!((&held["id"], &held["claimed_by"]), (&first["id"], &json!(OFFICER)), "written down, the desk stays");
}

#[tokio::test]
async fn registration_numbers_run_without_gaps_and_begin_anew_each_year() {
    let school = School::at("2026-12-30T20:00:00+03:00").await;
    let callbacks = school.leave_messages(6).await;
    let number = async |who, id: &str| {
        let claimed = school.act(who, id, "claim", Value::Null).await.good();
        claimed["registration_number"].as_str().unwrap().to_owned()
    };
    assert_eq!(number(OFFICER, &callbacks[0]).await, "2026-000001");
    school.act(COLLEAGUE, &callbacks[0], "claim", Value::Null).await.problem(409);
    school.act(OFFICER, &callbacks[1], "clarify", json!({})).await.problem(422);
    school.act(OFFICER, &callbacks[1], "done", json!({"version": 7})).await.problem(409);
    let claims = callbacks[1..5].iter().map(|id| number(COLLEAGUE, id));
    let mut numbers = futures_util::future::join_all(claims).await;
    numbers.sort();
    assert_eq!(numbers, ["2026-000002", "2026-000003", "2026-000004", "2026-000005"]);
    school.moves_to("2027-01-01T00:00:00+03:00");
    assert_eq!(number(OFFICER, &callbacks[5]).await, "2027-000001");
}

#[tokio::test]
async fn reopening_makes_no_second_open_callback_of_one_number() {
    let school = School::at(MONDAY_MORNING).await;
    let first = school.leaves_a_message(CALLER).await;
    school.act(OFFICER, &first, "done", Value::Null).await.good();
    school.moves_to("2026-11-23T09:10:00+03:00");
    let second = school.leaves_a_message(CALLER).await;
    assert_ne!(first, second);
    for action in ["reopen", "undo"] {
        let problem = school.act(OFFICER, &first, action, Value::Null).await.problem(409);
        assert_eq!(problem["type"], "urn:perezvon:another-open", "{action}");
        assert_eq!(problem["current"]["state"], "done");
    }
}

#[tokio::test]
async fn a_number_held_on_another_line_is_claimed_when_confirmed() {
    let school = School::at(MONDAY_MORNING).await;
    let parents = school.leaves_a_message(CALLER).await;
    let staff = school.rings_line("+79288036355", CALLER, vec![message()]).await.1.unwrap();
    let before = school.callback(&staff).await;
    assert_eq!(before["siblings"][0]["id"], parents);
    assert_eq!(before["siblings"][0]["held_by"], Value::Null);
    school.act(OFFICER, &parents, "claim", Value::Null).await.good();

    let problem = school.act(COLLEAGUE, &staff, "claim", Value::Null).await.problem(409);
    assert_eq!(problem["type"], "urn:perezvon:held-on-other-line");
    assert_eq!(problem["claimed_by"], OFFICER);
    let held = json!({
        "id": parents, "line": "parents", "line_title": "PARENTS", "held_by": OFFICER, "held_since": MONDAY_MORNING,
    });
    assert_eq!(problem["held_sibling"], held);
    assert_eq!(problem["current"]["state"], "open", "nothing has changed");
    for body in [json!({"confirm_other_line": false}), json!({"note": "срочно"})] {
        school.act(COLLEAGUE, &staff, "claim", body).await.problem(409);
    }
    school.post(COLLEAGUE, "/api/v1/callbacks/next", Value::Null).await.problem(404);
    let claimed = school.act(COLLEAGUE, &staff, "claim", json!({"confirm_other_line": true})).await.good();
    assert_eq!((&claimed["claimed_by"], &claimed["siblings"][0]["held_by"]), (&json!(COLLEAGUE), &json!(OFFICER)));
}

#[tokio::test]
async fn the_outcome_of_another_line_is_accepted_with_one_request() {
    let school = School::at(MONDAY_MORNING).await;
    let parents = school.leaves_a_message(CALLER).await;
    let staff = school.rings_line("+79288036355", CALLER, vec![message()]).await.1.unwrap();
    assert_eq!(
        school.act(COLLEAGUE, &staff, "same", Value::Null).await.problem(409)["type"],
        "urn:perezvon:nothing-proposed"
    );
    let done = school.act(OFFICER, &parents, "done", json!({"note": "Помогли"})).await.good();
    let proposed = school.callback(&staff).await;
    assert_eq!((&proposed["proposed_callback"], &proposed["state"]), (&json!(parents), &json!("open")));
    assert_eq!(
        school.act(COLLEAGUE, &staff, "same", json!({"version": 1})).await.problem(409)["type"],
        "urn:perezvon:stale"
    );
    let same = school.act(COLLEAGUE, &staff, "same", json!({"version": proposed["version"]})).await.good();
    assert_eq!((&same["state"], &same["note"]), (&json!("done"), &json!("Помогли")));
    assert_eq!(same["reference"], done["registration_number"]);
    assert_eq!(same["proposed_callback"], Value::Null);
}
