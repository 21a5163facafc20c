use std::collections::BTreeSet;

use super::*;

async fn description(school: &School) -> Value {
    school.send(Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await.good()
}

#[tokio::test]
async fn the_description_names_every_route_and_needs_no_login() {
    let description = description(&School::at(MONDAY_MORNING).await).await;
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        described.extend(fields(methods).into_iter().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let action = |action| format!("POST /api/v1/callbacks/{{id}}/{action}");
    let actions = [
        "claim",
        "call-anyway",
        "release",
        "attempts",
        "done",
        "later",
        "clarify",
        "exceptional",
        "decline",
        "reopen",
        "same",
        "undo",
    ];
    let expected = actions.map(action).into_iter().chain(
        [
            "GET /api/v1/callbacks",
            "POST /api/v1/callbacks",
            "POST /api/v1/callbacks/next",
            "GET /api/v1/callbacks/{id}",
            "GET /api/v1/calls",
            "GET /api/v1/calls/{id}",
            "GET /api/v1/voicemails/{id}/audio",
            "POST /api/v1/voicemails/{id}/retry",
            "GET /api/v1/hours",
            "GET /api/v1/lines",
        ]
        .map(str::to_owned),
    );
    assert_eq!(described, expected.collect());
    for scheme in ["bearer", "session"] {
        assert!(description["components"]["securitySchemes"][scheme]["type"].is_string(), "{scheme}");
    }
    assert_eq!(description["security"], json!([{"bearer": []}, {"session": []}]));
}

#[tokio::test]
async fn every_described_route_is_there() {
    let school = School::at(MONDAY_MORNING).await;
    for (path, methods) in description(&school).await["paths"].as_object().unwrap() {
        for method in fields(methods) {
            let path = path.replace("{id}", "1");
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(&path);
            let answered = school.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_part_of_the_description_is_there_and_says_something() {
    let description = description(&School::at(MONDAY_MORNING).await).await;
    let text = description.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name} is referred to");
    }
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{place} {status}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["schema"].is_object(), "{place} {parameter}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_answered_fits_what_is_described() {
    let school = School::at(FRIDAY_EVENING).await;
    let description = description(&school).await;
    let (call, callback) = school.rings(CALLER, vec![message()]).await;
    let callback = callback.unwrap();
    let voicemail = school.callback(&callback).await["voicemails"][0].clone();
    school.stores_sound(&voicemail, b"0123456789", 1).await;
    school.moves_to(MONDAY_MORNING);
    school.act(OFFICER, &callback, "attempts", json!({"outcome": "busy"})).await.good();
    for (path, template) in [
        ("/api/v1/callbacks".to_owned(), "/api/v1/callbacks"),
        (format!("/api/v1/callbacks/{callback}"), "/api/v1/callbacks/{id}"),
        ("/api/v1/calls".to_owned(), "/api/v1/calls"),
        (format!("/api/v1/calls/{call}"), "/api/v1/calls/{id}"),
        ("/api/v1/hours".to_owned(), "/api/v1/hours"),
        ("/api/v1/lines".to_owned(), "/api/v1/lines"),
    ] {
        let answered = school.get(OFFICER, &path).await.good();
        let described = &description["paths"][template]["get"]["responses"]["200"]["content"]["application/json"];
        check(&description, &described["schema"], &answered, template);
    }
    let problem = school.get(OFFICER, "/api/v1/callbacks?limit=x").await.problem(400);
    check(&description, &json!({"$ref": "#/components/schemas/Problem"}), &problem, "problem");
    let stale = school.act(OFFICER, &callback, "claim", json!({"version": 1})).await.problem(409);
    check(&description, &json!({"$ref": "#/components/schemas/Problem"}), &stale, "stale");
    let done = school.act(OFFICER, &callback, "done", Value::Null).await.good();
    check(&description, &json!({"$ref": "#/components/schemas/Callback"}), &done, "done");
}

/// Types, words and fields; an object has all fields that are required, and none that are not described.
#[track_caller]
fn check(description: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return check(description, &description["components"]["schemas"][name], value, place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let is_null = |choice: &&Value| (choice["type"] == "null") == value.is_null();
        let choice = choices.iter().find(is_null).unwrap_or_else(|| panic!("{place}: {value}"));
        return check(description, choice, value, place);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds: Vec<&Value> = schema["type"].as_array().map_or(vec![&schema["type"]], |kinds| kinds.iter().collect());
    assert!(kinds.contains(&&json!(kind)), "{place}: {value} is none of {kinds:?}");
    if let Some(known) = schema["enum"].as_array() {
        assert!(known.contains(value), "{place}: {value} is none of {known:?}");
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        check(description, &schema["items"], item, &format!("{place}[{n}]"));
    }
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return };
    for (name, field) in object {
        let property = properties.get(name).unwrap_or_else(|| panic!("{place}.{name} is not described"));
        check(description, property, field, &format!("{place}.{name}"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(required.as_str().unwrap()), "{place} has no {required}");
    }
}
