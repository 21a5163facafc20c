use super::*;

#[tokio::test]
async fn a_callback_has_exactly_its_promised_fields() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    let callback = school.callback(&id).await;
    let mut expected = vec![
        "id",
        "registration_number",
        "line",
        "line_title",
        "caller",
        "callback_number",
        "channel",
        "received_at",
        "registered_at",
        "period",
        "due_at",
        "term_due_at",
        "state",
        "version",
        "claimed_by",
        "until",
        "closed_at",
        "closed_by",
        "note",
        "decision_reason",
        "proposal",
        "proposed_callback",
        "siblings",
        "asker",
        "topic",
        "summary",
        "reference",
        "calls",
        "calls_count",
        "voicemails",
        "voicemails_count",
        "attempts",
    ];
    expected.sort_unstable();
    let mut found = fields(&callback);
    found.sort_unstable();
    assert_eq!(found, expected);
    let monday = json!({"starts_at": "2026-11-23T09:00:00+03:00", "ends_at": "2026-11-23T18:00:00+03:00"});
    for (field, value) in [
        ("id", json!(id)),
        ("line", json!("parents")),
        ("caller", json!(CALLER)),
        ("callback_number", json!(CALLER)),
        ("channel", json!("telephone")),
        ("received_at", json!(FRIDAY_EVENING)),
        ("registered_at", json!(null)),
        ("registration_number", json!(null)),
        ("period", monday.clone()),
        ("due_at", monday["ends_at"].clone()),
        ("term_due_at", json!(null)),
        ("state", json!("open")),
        ("version", json!(1)),
        ("claimed_by", json!(null)),
        ("attempts", json!([])),
    ] {
        assert_eq!(callback[field], value, "{field}");
    }
    let voicemail = &callback["voicemails"][0];
    assert_eq!(
        *voicemail,
        json!({"id": voicemail["id"].as_str().unwrap(), "call_id": callback["calls"][0].as_str().unwrap(),
            "received_at": FRIDAY_EVENING, "state": "pending", "duration_ms": null, "has_speech": null,
            "audio_url": null, "failure": null, "transcript": null, "said_number": null})
    );
}

#[tokio::test]
async fn a_stored_message_says_how_long_it_is_and_whether_a_voice_is_heard() {
    for (speech_ms, has_speech) in [(299, false), (300, true)] {
        let school = School::at(FRIDAY_EVENING).await;
        let id = school.leaves_a_message(CALLER).await;
        let voicemail = school.callback(&id).await["voicemails"][0].clone();
        let voicemail_id = school.stores_sound(&voicemail, b"RIFF", speech_ms).await;
        let stored = &school.callback(&id).await["voicemails"][0];
        assert_eq!(stored["state"], "stored");
        assert_eq!((&stored["duration_ms"], &stored["has_speech"]), (&json!(12_345), &json!(has_speech)));
        assert_eq!(stored["audio_url"], format!("/api/v1/voicemails/{voicemail_id}/audio"));
    }
}

#[tokio::test]
async fn withheld_numbers_are_null_and_never_merge() {
    let school = School::at(FRIDAY_EVENING).await;
    let first = school.leaves_a_message("anonymous").await;
    school.moves_to("2026-11-20T19:31:00+03:00");
    let second = school.leaves_a_message("anonymous").await;
    assert_ne!(first, second);
    let callback = school.callback(&first).await;
    assert_eq!((&callback["caller"], &callback["callback_number"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn while_closed_current_and_next_are_the_list_being_prepared() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    for period in ["current", "next"] {
        let list = school.get(OFFICER, &format!("/api/v1/callbacks?period={period}")).await.good();
        assert_eq!(fields(&list).len(), 3);
        assert_eq!(list["period"]["starts_at"], "2026-11-23T09:00:00+03:00", "{period}");
        assert_eq!((ids(&list), &list["next_cursor"]), (vec![id.clone()], &json!(null)), "{period}");
    }
}

#[tokio::test]
async fn while_open_current_carries_over_and_next_has_only_its_own() {
    let school = School::at("2026-11-19T19:30:00+03:00").await;
    let left_on_thursday = school.leaves_a_message("+79280000001").await;
    school.moves_to("2026-11-20T12:00:00+03:00");
    let missed_on_friday = school.rings("+79280000002", vec![]).await.1.unwrap();
    school.moves_to(FRIDAY_EVENING);
    let left_on_friday = school.leaves_a_message("+79280000003").await;

    school.moves_to("2026-11-20T17:59:59.999+03:00");
    let list = |period: &str| format!("/api/v1/callbacks?period={period}");
    let current = school.get(OFFICER, &list("current")).await.good();
    assert_eq!(current["period"]["ends_at"], "2026-11-20T18:00:00+03:00");
    assert_eq!(ids(&current), [left_on_thursday.clone(), missed_on_friday.clone()]);
    let next = school.get(OFFICER, &list("next")).await.good();
    assert_eq!(next["period"]["starts_at"], "2026-11-23T09:00:00+03:00");
    assert_eq!(ids(&next), [left_on_friday.as_str()]);

    school.moves_to("2026-11-20T18:00:00+03:00");
    for period in ["current", "next", "all"] {
        let all = school.get(OFFICER, &list(period)).await.good();
        assert_eq!(ids(&all), [&*left_on_thursday, &*missed_on_friday, &*left_on_friday], "{period}");
    }
}

#[tokio::test]
async fn a_line_that_opens_later_than_the_house_is_in_the_current_list_all_the_same() {
    let week = json!({"week": {"mon": ["10:00-19:00"], "sat": ["10:00-14:00"]}});
    let school = School::with_hours("2026-11-22T12:00:00+03:00", week).await;
    let for_monday = school.leaves_a_message(CALLER).await;
    school.moves_to("2026-11-23T12:00:00+03:00");
    for query in ["period=current", "period=current&line=parents"] {
        let list = school.get(OFFICER, &format!("/api/v1/callbacks?{query}")).await.good();
        assert_eq!(ids(&list), [for_monday.as_str()], "{query}");
    }
    // Friday of the house: the message stands on the list of Saturday, which only this line has.
    school.moves_to("2026-11-27T12:00:00+03:00");
    let for_saturday = school.leaves_a_message("+79280000007").await;
    let next = school.get(OFFICER, "/api/v1/callbacks?period=next").await.good();
    assert_eq!(ids(&next), [for_saturday.as_str()]);
    let own = school.get(OFFICER, "/api/v1/callbacks?period=next&line=parents").await.good();
    assert_eq!(own["period"]["starts_at"], "2026-11-28T10:00:00+03:00");
}

#[tokio::test]
async fn a_house_without_hours_shows_everybody_who_waits() {
    let school = School::with_hours(FRIDAY_EVENING, json!({"week": {}})).await;
    let id = school.leaves_a_message(CALLER).await;
    let list = school.get(OFFICER, "/api/v1/callbacks?period=current&line=parents").await.good();
    assert_eq!((&list["period"], ids(&list)), (&json!(null), vec![id]));
    assert_eq!((&list["items"][0]["period"], &list["items"][0]["due_at"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn pages_of_two_meet_all_five_exactly_once() {
    let school = School::at(FRIDAY_EVENING).await;
    let callbacks = school.leave_messages(5).await;
    for (path, expected) in [("callbacks", callbacks.clone()), ("calls", Vec::new())] {
        let (mut met, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = school.get(OBSERVER, &format!("/api/v1/{path}?limit=2&cursor={cursor}")).await.good();
            met.push(ids(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(met.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1], "{path}");
        let met = met.concat();
        match path {
            "callbacks" => assert_eq!(met, expected),
            _ => assert!(met.is_sorted_by(|newer, older| newer.parse::<i64>().unwrap() > older.parse().unwrap())),
        }
    }
}

#[tokio::test]
async fn states_are_filtered_by_their_words() {
    let school = School::at(FRIDAY_EVENING).await;
    let callbacks = school.leave_messages(4).await;
    school.moves_to(MONDAY_MORNING);
    school.act(OFFICER, &callbacks[0], "claim", Value::Null).await.good();
    school.act(OFFICER, &callbacks[1], "done", Value::Null).await.good();
    school.act(OFFICER, &callbacks[2], "attempts", json!({"outcome": "busy"})).await.good();
    let list = async |state: &str| ids(&school.get(OFFICER, &format!("/api/v1/callbacks?state={state}")).await.good());
    assert_eq!(list("").await, [0, 2, 3].map(|n| callbacks[n].clone()));
    assert_eq!(list("open").await, list("").await);
    assert_eq!(list("all").await.len(), 4);
    assert_eq!(list("claimed").await, [callbacks[0].clone()]);
    assert_eq!(list("done").await, [callbacks[1].clone()]);
    assert_eq!(list("later").await, [callbacks[2].clone()]);
    assert!(list("declined").await.is_empty());
    assert!(list("exceptional").await.is_empty());

    school.moves_to("2026-11-23T09:20:00+03:00");
    assert!(list("claimed").await.is_empty(), "the lease is over");
    let callback = school.callback(&callbacks[0]).await;
    assert_eq!((&callback["state"], &callback["claimed_by"]), (&json!("open"), &json!(null)));
    assert!(list("open").await.contains(&callbacks[0]));
}

#[tokio::test]
async fn a_caller_who_rings_without_end_does_not_take_the_list_away() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    let database = school.database().await;
    let rings = "
        INSERT INTO call (id, provider, provider_call_id, started_at, recordings, outcome, callback_id)
        WITH RECURSIVE ring (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ring WHERE n < 40000)
        SELECT n, 'twilio', 'CA' || n, 0, '{}', 'abandoned', (SELECT id FROM callback) FROM ring";
    sqlx::query(rings).execute(&database).await.unwrap();
    database.close().await;
    let list = school.get(OFFICER, "/api/v1/callbacks").await.good();
    assert_eq!(ids(&list), [id.as_str()]);
    assert_eq!(list["items"][0]["calls"].as_array().unwrap().len(), 200, "one caller makes no answer endless");
    assert_eq!(list["items"][0]["calls_count"], 40_001, "more than a statement has parameters");
    assert_eq!(list["items"][0]["voicemails"].as_array().unwrap().len(), 1);
}
