//! A third party as judge: Twilio's own Python library signs requests that we must believe, and rebuilds our documents.

use std::io::Write;
use std::process::{Command, Stdio};

use perezvon::providers::RawRequest;
use perezvon::providers::twiml::{Signature, check_request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Form, STAFF, at, friday, stories};

/// Runs `tests/twilio/check.py`.
fn ask(question: &Value) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/twilio-venv/bin/python");
    let install = "python3 -m venv target/twilio-venv && target/twilio-venv/bin/pip install --no-deps --require-hashes \
                   -r tests/twilio/requirements.txt";
    assert!(python.exists(), "Twilio's own library is missing: run tests/run, or: {install}");
    let mut child = Command::new(python)
        .arg(root.join("tests/twilio/check.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter starts");
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "tests/twilio/check.py failed");
    serde_json::from_slice(&output.stdout).expect("it answers in JSON")
}

#[test]
fn what_the_official_library_signs_is_believed() {
    let form = |fields: &[(&str, &str)]| {
        Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    let json_body = r#"{"говорит":"да"}"#;
    let digest: String = Sha256::digest(json_body).iter().map(|byte| format!("{byte:02x}")).collect();
    let host = "https://calls.example.org";
    let with_digest = format!("{host}/webhooks/twilio/voice?bodySHA256={digest}");
    let cases: Vec<(String, Form, &str)> = vec![
        (format!("{host}/webhooks/twilio/voice"), Form::call("CA1"), "POST"),
        (
            format!("{host}/webhooks/twilio/voice"),
            form(&[("CallSid", "CA1"), ("From", ""), ("a", "1"), ("Z", "2"), ("B", "3")]),
            "POST",
        ),
        (
            format!("{host}/webhooks/twilio/voice"),
            form(&[("CallerName", "Зарема Цечоева & сын «+7»"), ("CallSid", "CA1")]),
            "POST",
        ),
        (format!("{host}/webhooks/twilio/voice?foo=1&bar=%D1%8F"), Form::call("CA1"), "POST"),
        (format!("{host}/webhooks/twilio/voice?{}", Form::call("CA1").encoded()), form(&[]), "GET"),
        (format!("{host}:8443/webhooks/twilio/voice"), Form::call("CA1"), "POST"),
        (format!("{host}:443/webhooks/twilio/voice"), Form::call("CA1"), "POST"),
        ("http://calls.example.org:80/webhooks/twilio/voice".to_owned(), Form::call("CA1"), "POST"),
        (with_digest, form(&[]), "JSON"),
    ];
    let requests: Vec<Value> = cases
        .iter()
        .map(|(url, form, _)| {
            let params: serde_json::Map<String, Value> =
                form.0.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({ "token": "12345", "url": url, "params": params })
        })
        .collect();
    let answer = ask(&json!({ "requests": requests, "documents": [] }));
    for ((url, form, kind), signed) in cases.iter().zip(answer["signatures"].as_array().unwrap()) {
        let (method, content_type, body) = match *kind {
            "JSON" => ("POST", "application/json", json_body.to_owned()),
            method => (
                method,
                "application/x-www-form-urlencoded",
                if method == "GET" { String::new() } else { form.encoded() },
            ),
        };
        let request = |token: &str| {
            let request = RawRequest {
                method: method.to_owned(),
                target: url.clone(),
                endpoint: "voice".to_owned(),
                headers: vec![
                    ("content-type".to_owned(), content_type.to_owned()),
                    ("x-twilio-signature".to_owned(), signed.as_str().unwrap().to_owned()),
                ],
                body: body.clone().into(),
            };
            check_request(Signature::Twilio, &[token.to_owned()], url, &request, at("2026-11-20T16:30:00Z"))
        };
        assert_eq!(request("12345"), Ok(()), "{kind} {url}");
        assert!(request("54321").is_err(), "{kind} {url}");
    }
}

stories! {
    async fn the_official_builder_knows_every_verb_and_attribute_of_our_documents(app) {
        let mut documents = Vec::new();
        let base = app.exchange.api_base();
        let hidden = Form::call("CA2").from("anonymous").status("in-progress");
        for (time, endpoint, form) in [
            ("12:00", "voice", Form::call("CA1")),
            ("12:00", "dialled/0", Form::call("CA1").with("DialCallStatus", "busy")),
            ("12:01", "dialled/1", Form::call("CA1").with("DialCallStatus", "busy")),
            ("12:02", "signal", Form::call("CA1").with("Digits", "1")),
            ("12:03", "message", Form::call("CA1").recording("RE1", "7", base)),
            ("19:00", "voice", hidden.clone()),
            ("19:01", "message", hidden.clone().recording("RE2", "7", base)),
            ("19:02", "keyed/0", hidden.clone().with("Digits", "12")),
            ("19:03", "keyed/1", hidden.with("Digits", "89280000301")),
            ("19:04", "voice", Form::call("CA3").to(STAFF)),
            ("19:05", "message", Form::call("CA3").to(STAFF)),
            ("19:06", "voice", Form::call("CA4")),
            ("19:07", "fallback", Form::call("CA4")),
            ("19:08", "status", Form::call("CA4").status("completed")),
        ] {
            app.clock.set(friday(time));
            documents.push(app.post(endpoint, &form).await.body);
        }
        let answer = ask(&json!({ "requests": [], "documents": documents }));
        assert_eq!(answer["mistakes"], json!([]));
        let wrong = ["<Response><Dance/></Response>", "<Response><Say mood=\"kind\">а</Say></Response>"];
        let answer = ask(&json!({ "requests": [], "documents": wrong }));
        assert_eq!(answer["mistakes"].as_array().unwrap().len(), 2, "the judge sees mistakes");
        app.leave_the_jobs().await;
    }
}
