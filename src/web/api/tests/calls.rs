use super::*;

#[tokio::test]
async fn a_call_has_exactly_its_promised_fields_and_its_events() {
    let school = School::at(FRIDAY_EVENING).await;
    let (id, callback_id) = school.rings(CALLER, vec![message(), Fact::MessageOver]).await;
    let call = school.get(OFFICER, &format!("/api/v1/calls/{id}")).await.good();
    let mut expected = vec![
        "id",
        "provider",
        "provider_call_id",
        "line",
        "direction",
        "caller",
        "dialled",
        "forwarded_from",
        "started_at",
        "answered_at",
        "ended_at",
        "talk_ms",
        "decision",
        "promised_period",
        "outcome",
        "voicemails",
        "callback_id",
        "restored",
        "blocked",
        "events",
    ];
    expected.sort_unstable();
    let mut found = fields(&call);
    found.sort_unstable();
    assert_eq!(found, expected);
    let version = school.house.lines().get(&LineId::new("parents")).unwrap().calendar.version().to_owned();
    for (field, value) in [
        ("id", json!(id.to_string())),
        ("provider", json!("twilio")),
        ("line", json!("parents")),
        ("direction", json!("inbound")),
        ("caller", json!(CALLER)),
        ("started_at", json!(FRIDAY_EVENING)),
        ("ended_at", json!(FRIDAY_EVENING)),
        ("talk_ms", json!(null)),
        (
            "decision",
            json!({"open": false, "day_rule": "workday", "time_state": "after_closing", "calendar_version": version}),
        ),
        ("outcome", json!("voicemail")),
        ("callback_id", json!(callback_id)),
    ] {
        assert_eq!(call[field], value, "{field}");
    }
    assert_eq!(call["voicemails"][0]["call_id"], id.to_string());
    assert_eq!(fields(&call["events"][0]).len(), 5);
    assert_eq!(call["events"][0]["endpoint"], "status");
    assert!(call["events"][0]["body"].as_str().unwrap().starts_with("CallSid="));
    let seen = school.get(OBSERVER, &format!("/api/v1/calls/{id}")).await.good();
    assert_eq!(seen["events"][0]["body"], json!(null), "it may say where the sound is");
}

#[tokio::test]
async fn the_log_is_filtered_by_line_time_outcome_and_number() {
    let school = School::at("2026-11-20T12:00:00+03:00").await;
    let (missed, _) = school.rings(CALLER, vec![]).await;
    school.moves_to(FRIDAY_EVENING);
    let (message_left, _) = school.rings(CALLER, vec![message()]).await;
    let (staff, _) = school.rings_line("89288036355", "+79280000001", vec![]).await;
    let (strayed, _) = school.rings_line("84950000000", "anonymous", vec![]).await;
    let log = async |query: &str| {
        let list = school.get(OBSERVER, &format!("/api/v1/calls?{query}")).await.good();
        assert!(list["items"].as_array().unwrap().iter().all(|call| call["events"].is_null()));
        ids(&list)
    };
    let text = |ids: &[i64]| ids.iter().map(i64::to_string).collect::<Vec<_>>();
    assert_eq!(log("").await, text(&[strayed, staff, message_left, missed]));
    assert_eq!(log("line=parents").await, text(&[message_left, missed]));
    assert_eq!(log("line=unknown").await, text(&[strayed]));
    assert_eq!(log("outcome=missed").await, text(&[missed]));
    assert_eq!(log("line=parents&outcome=voicemail").await, text(&[message_left]));
    assert_eq!(log("number=89281112233").await, text(&[message_left, missed]));
    assert_eq!(log("number=%2B79281112233&outcome=missed").await, text(&[missed]));
    assert_eq!(log("number=111-22").await, text(&[message_left, missed]));
    assert_eq!(log("number=8+(928)+111&outcome=missed").await, text(&[missed]));
    assert_eq!(log("from=2026-11-20T16:30:00Z&line=parents").await, text(&[message_left]));
    assert_eq!(log("to=2026-11-20T19:30:00+03:00").await, text(&[missed]), "the end is not part of it");
}

#[tokio::test]
async fn hours_are_answered_as_the_command_line_does() {
    let school = School::with_hours(FRIDAY_EVENING, json!({"week": {"sat": ["10:00-14:00"]}})).await;
    let now = school.get(OBSERVER, "/api/v1/hours").await.good();
    assert_eq!(
        now,
        json!({"open": false, "local": FRIDAY_EVENING, "day_rule": "workday", "shortened": false,
            "time_state": "after_closing", "current_period": null,
            "next_period": {"start": "2026-11-23T09:00:00+03:00", "end": "2026-11-23T18:00:00+03:00"},
            "due_hours": {}, "due_working_days": {}, "working_ms_until": {}})
    );
    for at in ["2026-11-21T10:00:00%2B03:00", "2026-11-21T10:00:00+03:00", "2026-11-21T07:00:00Z"] {
        let parents = school.get(OBSERVER, &format!("/api/v1/hours?line=parents&at={at}")).await.good();
        assert_eq!((&parents["open"], &parents["local"]), (&json!(true), &json!("2026-11-21T10:00:00+03:00")), "{at}");
    }
}

#[tokio::test]
async fn the_lines_are_told_with_their_hours() {
    let school = School::at(MONDAY_MORNING).await;
    let lines = school.get(OBSERVER, "/api/v1/lines").await.good();
    assert_eq!(ids(&lines), ["staff", "parents"]);
    let parents = &lines["items"][1];
    assert_eq!(parents["hours"]["week"]["mon"], json!(["09:00-18:00"]));
    assert_eq!(
        (&parents["number"], &parents["title"], &parents["open_now"]),
        (&json!("+79288328088"), &json!("PARENTS"), &json!(true))
    );
    assert_eq!((&parents["ring_seconds"], &parents["max_message_seconds"]), (&json!(20), &json!(180)));
    assert_eq!((&parents["response_term_hours"], parents["aliases"].as_array().unwrap().len()), (&json!(null), 1));
}
