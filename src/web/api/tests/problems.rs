use super::*;

const CALLBACKS: &str = "/api/v1/callbacks";

#[tokio::test]
async fn whoever_is_not_signed_in_is_asked_for_a_token() {
    let school = School::at(MONDAY_MORNING).await;
    for (method, path) in [
        ("GET", "/api/v1/callbacks"),
        ("GET", "/api/v1/calls"),
        ("GET", "/api/v1/lines"),
        ("GET", "/api/v1/hours"),
        ("GET", "/api/v1/voicemails/1/audio"),
        ("POST", "/api/v1/callbacks/1/claim"),
        ("POST", "/api/v1/callbacks/next"),
    ] {
        let nobody = school.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(nobody.problem(401)["type"], "about:blank", "{path}");
        assert_eq!(nobody.header("www-authenticate"), "Bearer", "{path}");
    }
    school.get("Незнакомец", CALLBACKS).await.problem(401);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let school = School::at(MONDAY_MORNING).await;
    school.get(OFFICER, CALLBACKS).await.good();
    let token = school.house.store.tokens().await.unwrap().into_iter().find(|token| token.name == OFFICER).unwrap();
    assert!(school.house.store.revoke_token(token.id, school.house.clock.now()).await.unwrap());
    school.get(OFFICER, CALLBACKS).await.problem(401);
    school.get(COLLEAGUE, CALLBACKS).await.good();
}

#[tokio::test]
async fn an_observer_reads_and_does_nothing() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    school.get(OBSERVER, CALLBACKS).await.good();
    for action in
        ["claim", "release", "attempts", "done", "later", "clarify", "exceptional", "decline", "reopen", "undo"]
    {
        school.act(OBSERVER, &id, action, json!({"nonsense": 1})).await.problem(403);
    }
    school.post(OBSERVER, "/api/v1/callbacks/next", Value::Null).await.problem(403);
    let problem = school.post(OBSERVER, CALLBACKS, json!({"line": "parents"})).await.problem(403);
    assert_eq!(problem["detail"], "this needs the role officer");
    assert_eq!(school.callback(&id).await["version"], 1);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused_by_name() {
    let school = School::at(FRIDAY_EVENING).await;
    for (query, named) in [
        ("callbacks?state=maybe", "state: «maybe» is none of open, claimed"),
        ("callbacks?period=past", "period: «past»"),
        ("callbacks?line=garage", "lines are staff, parents"),
        ("callbacks?limit=501", "limit: «501» is no number from 1 to 500"),
        ("callbacks?limit=0", "limit"),
        ("callbacks?cursor=abc", "cursor"),
        ("callbacks?cursor=1.2", "cursor"),
        ("callbacks?stat=open", "unknown field `stat`"),
        ("calls?limit=201", "limit: «201» is no number from 1 to 200"),
        ("calls?cursor=1.2.3", "cursor"),
        ("calls?from=yesterday", "from: «yesterday»"),
        ("calls?outcome=fine", "outcome: «fine»"),
        ("calls?number=abc", "number"),
        ("hours?at=2026-11-20", "at: «2026-11-20»"),
        ("hours?line=garage", "line"),
    ] {
        let problem = school.get(OFFICER, &format!("/api/v1/{query}")).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{query}: {problem}");
    }
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_refused_with_its_place() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    for (action, body, named) in [
        ("claim", "{\"version\": 1,\n}", "line 2 column 1"),
        ("claim", "[1]", "a JSON object is expected"),
        ("claim", "{\"colour\": 1}", "unknown field `colour`"),
        ("claim", "{\"version\": \"1\"}", "line 1 column"),
        ("done", "{\"note\": \"\\u0000\"}", "U+0000"),
        ("attempts", "", "missing field `outcome`"),
        ("attempts", "{\"outcome\": \"maybe\"}", "`reached`, `no_answer`, `busy`"),
        ("later", "{}", "missing field `until`"),
        ("later", "{\"until\": \"tomorrow\"}", "line 1 column"),
        ("decline", "{}", "missing field `reason`"),
        ("undo", "{\"note\": \"x\"}", "unknown field `note`"),
    ] {
        let request = signed(OFFICER, "POST", &format!("{CALLBACKS}/{id}/{action}"));
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.into()).unwrap();
        let problem = school.send(request).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{action} {body}: {problem}");
    }
    for (body, named) in [
        (json!({}), "missing field `line`"),
        (json!({"line": "garage"}), "lines are staff, parents"),
        (json!({"line": "staff", "channel": "pigeon"}), "channel"),
        (json!({"line": "staff", "callback_number": "12"}), "callback_number"),
        (json!({"line": "staff", "callback_number": "+79288328088"}), "callback_number"),
    ] {
        let problem = school.post(OFFICER, CALLBACKS, body.clone()).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{body}: {problem}");
    }
    assert_eq!(school.callback(&id).await["version"], 1);
}

#[tokio::test]
async fn only_json_of_a_bounded_size_is_read() {
    let school = School::at(FRIDAY_EVENING).await;
    let id = school.leaves_a_message(CALLER).await;
    let send = async |kind: Option<&str>, body: String| {
        let request = signed(OFFICER, "POST", &format!("{CALLBACKS}/{id}/claim"));
        let request = kind.into_iter().fold(request, |request, kind| request.header(CONTENT_TYPE, kind));
        school.send(request.body(body.into()).unwrap()).await
    };
    let form = "application/x-www-form-urlencoded";
    send(Some(form), "note=x".to_owned()).await.problem(415);
    send(Some("text/plain"), "{}".to_owned()).await.problem(415);
    send(Some("application/json"), format!("{{{}}}", " ".repeat(64 * 1024))).await.problem(413);
    send(Some("application/json"), format!("{{{}}}", " ".repeat(64 * 1024 - 2))).await.good();
    send(Some(form), String::new()).await.good();
    send(None, "{}".to_owned()).await.good();
}

#[tokio::test]
async fn an_address_nobody_knows_and_a_method_it_has_not_are_problems_too() {
    let school = School::at(MONDAY_MORNING).await;
    for path in
        ["/api/v1/nothing", "/api/v1/callbacks/7", "/api/v1/callbacks/abc", "/api/v1/calls/7", "/api/v2", "/api/%ff"]
    {
        school.get(OFFICER, path).await.problem(404);
    }
    school.act(OFFICER, "7", "claim", Value::Null).await.problem(404);
    school.act(OFFICER, "7", "explode", Value::Null).await.problem(404);
    let wrong = school.send(signed(OFFICER, "DELETE", CALLBACKS).body(Body::empty()).unwrap()).await;
    wrong.problem(405);
    assert_eq!(wrong.header("allow"), "GET,HEAD,POST");
    let outside = school.send(signed(OFFICER, "GET", "/nothing").body(Body::empty()).unwrap()).await;
    assert_ne!(outside.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_database_that_is_gone_is_worth_another_try() {
    let school = School::at(MONDAY_MORNING).await;
    school.house.store.clone().close().await;
    let problem = school.get(OFFICER, CALLBACKS).await;
    assert_eq!((&problem.problem(503)["retry"], problem.header("retry-after")), (&json!(5), "5"));
    assert_eq!(problem.json()["detail"], "the database is not available", "nothing of its insides");
}
