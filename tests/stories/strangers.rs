//! What strangers may not do: make us work, fill the log, look behind the proxy, or have their control characters kept.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use perezvon::core::officer::Role;

use crate::harness::{App, Browser, Form, stories};

/// Every address that takes a form; ids that there are not.
const FORMS: [&str; 33] = [
    "/login",
    "/login/code",
    "/logout",
    "/invite/secret",
    "/me/telephone",
    "/me/factor",
    "/me/factor/new",
    "/me/factor/off",
    "/me/password",
    "/me/logout",
    "/callbacks/new",
    "/callbacks/undo",
    "/callbacks/7/claim",
    "/callbacks/7/done",
    "/callbacks/7/attempts",
    "/callbacks/7/decline",
    "/callbacks/7/later",
    "/callbacks/7/notes",
    "/callbacks/next",
    "/alarms/7/seen",
    "/calls/7/recordings/7/erase",
    "/calls/7/recordings/7/retry",
    "/callers/+79280000001",
    "/calendar/check",
    "/calendar/edit",
    "/calendar/save",
    "/health-ui/reconcile",
    "/lines/parents/test",
    "/people",
    "/people/7/role",
    "/people/7/disable",
    "/prompts/7/on",
    "/callbacks/7/undo",
];

/// Every action of the API that takes a body.
const ACTIONS: [&str; 14] = [
    "callbacks",
    "callbacks/next",
    "callbacks/7/claim",
    "callbacks/7/call-anyway",
    "callbacks/7/release",
    "callbacks/7/attempts",
    "callbacks/7/done",
    "callbacks/7/later",
    "callbacks/7/clarify",
    "callbacks/7/exceptional",
    "callbacks/7/decline",
    "callbacks/7/reopen",
    "callbacks/7/same",
    "callbacks/7/undo",
];

const TEXTS: [&str; 9] =
    ["note", "asker", "topic", "summary", "reference", "line", "callback_number", "channel", "reason"];

/// The names of all fields on our pages, from their templates.
pub fn field_names() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages/templates");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for element in ["<input", "<textarea", "<select"] {
            for tag in text.split(element).skip(1) {
                let name =
                    tag.split('>').next().unwrap().split("name=\"").nth(1).and_then(|rest| rest.split('"').next());
                names.extend(name.filter(|name| !name.contains('{')).map(str::to_owned));
            }
        }
    }
    assert!(names.len() > 30 && names.contains("note") && names.contains("login"), "{names:?}");
    names
}

async fn headers_of(app: &App, request: Request<Body>) -> (u16, String) {
    let (parts, _) = app.whole(request).await;
    let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let names = [
        "x-content-type-options",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "strict-transport-security",
    ];
    (parts.status.as_u16(), names.map(header).join(" | "))
}

stories! {
    /// Threat: characters that PostgreSQL does not keep make an alarm of a typing mistake, and others hide in a line.
    async fn no_control_character_comes_through_any_form(app) {
        let mut admin = app.browser("Админ", Role::Admin).await;
        for address in FORMS {
            for name in field_names() {
                let leads_on = address.starts_with("/login") && name == "to";
                let refused = admin.post(address, &[("version", "1"), (name.as_str(), "а\0б")]).await;
                assert_eq!(refused.status == 400 && refused.body.contains(&format!("В поле «{name}»")), !leads_on, "{address} {name}: {refused:?}");
            }
        }
        for address in ["/calls?number=%00", "/callbacks?line=%1F", "/audit?who=%7F", "/?large=%00", "/login?x=%00"] {
            assert_eq!(admin.get(address).await.status, 400, "{address}");
        }
        assert_eq!(admin.get("/callers/%00").await.status, 404);
        // A note may have lines and tabs.
        assert_eq!(admin.post("/callbacks/7/notes", &[("version", "1"), ("summary", "а\r\n\tб")]).await.status, 404);
    }

    /// Threat: the same by the API.
    async fn no_control_character_comes_through_the_api(app) {
        let mut officer = app.browser("Мадина", Role::Officer).await;
        let mut post = async |action: &str, body: String| {
            let request = Request::post(format!("/api/v1/{action}")).header(CONTENT_TYPE, "application/json");
            officer.send(request.header("sec-fetch-site", "same-origin"), body).await
        };
        for action in ACTIONS {
            for name in TEXTS {
                let refused = post(action, format!(r#"{{"{name}": "а\u0000б"}}"#)).await;
                assert_eq!(refused.status, 400, "{action} {name}: {refused:?}");
                assert!(refused.body.contains(&format!("{name}: control characters")), "{action}: {refused:?}");
            }
        }
        assert_eq!(post("callbacks/7/done", r#"{"note": "а\n\tб"}"#.to_owned()).await.status, 404);
        for query in ["callbacks?line=%00", "calls?number=%0A", "hours?at=%7F"] {
            assert_eq!(officer.get(&format!("/api/v1/{query}")).await.status, 400, "{query}");
        }
    }

    /// Threat: a page after the sign-in whose address no header can carry.
    async fn a_way_on_that_no_header_can_carry_leads_to_the_start(app) {
        const PASSWORD: &str = "кот ест сыр по утрам";
        let hash = perezvon::web::password::hash(PASSWORD);
        assert!(app.store().add_officer("madina", "Мадина И.", Role::Officer, &hash, app.now()).await.unwrap());
        for to in ["/calls\0", "/calls\r\nx: y", "/calls\u{7f}", "\u{1b}"] {
            let query: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
            let mut browser = Browser::new(app);
            assert_eq!(browser.get(&format!("/login?to={query}")).await.status, 200, "{to:?}");
            let fields = [("login", "madina"), ("password", PASSWORD), ("to", to)];
            let entered = browser.post("/login", &fields).await;
            assert_eq!((entered.status, entered.location.as_str()), (303, "/callbacks"), "{to:?}");
        }
    }

    /// Threat: forms with thousands of fields, each of which is sorted and signed.
    async fn a_form_of_too_many_fields_is_malformed(app) {
        let mut form = Form::call("CA1");
        form.0.extend((0..300).map(|number| (format!("X{number:03}"), "x".to_owned())));
        let wrong = app.post_raw("voice", form.encoded().into_bytes(), "AAAAAAAAAAAAAAAAAAAAAAAAAAA=").await;
        assert_eq!(wrong.status, 400, "{wrong:?}");
        assert!(wrong.body.contains("more than 200 fields"), "{wrong:?}");
        assert_eq!(app.post("status", &form).await.status, 400);
        assert_eq!(app.count("delivery").await, 0);
        // A caller waits, and it is really his provider.
        assert!(app.post("voice", &form).await.offers_to_record());
        assert_eq!(app.call("CA1").await.caller.unwrap().raw, "+79280000001");
    }

    /// Threat: whoever reaches the proxy reads how the school's service is.
    /// Threat: the signature says nothing of where a name ends, so that one caught request becomes calls without end.
    async fn caught_request_with_moved_borders_is_one_more_call_at_most(app) {
        let (sid, caller) = ("CA9f0d8c7b6a5e4f3d2c1b0a99887766af", "+79280000001");
        let signed = Form::call(sid).from(caller).without("Direction");
        app.post("voice", &signed).await;
        let fields: String = ["CallStatusringing", "From+79280000001", "To+79288328088"].concat();
        let bare = signed.without("CallStatus").without("From").without("To");
        // How many characters the id takes in, or gives away, and how many of the rest are a name.
        for (taken, given, name) in [(17, 0, 4), (10, 0, 12), (16, 0, 3), (4, 0, 13), (0, 2, 12), (0, 2, 2)] {
            let whole = format!("{sid}{fields}");
            let (id, rest) = whole.split_at(sid.len() + taken - given);
            let (name, value) = rest.split_at(name);
            let moved = bare.clone().with("CallSid", id).with(name, value);
            assert!(app.post("voice", &moved).await.offers_to_record(), "{moved:?}");
            assert_eq!(app.post("status", &moved).await.status, 400, "{moved:?}");
        }
        assert_eq!(app.count("call").await, 2);
        assert_eq!(app.call(sid).await.started_at, app.clock.now());
        app.leave_the_jobs().await;
    }

    async fn who_comes_through_a_proxy_is_told_nothing_of_the_service(app) {
        let ask = async |path: &str, name: &str, value: &str| {
            let request = Request::get(path).header(name, value).body(Body::empty()).unwrap();
            app.request(request).await
        };
        for path in ["/metrics", "/readyz"] {
            for (name, value) in [("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.1"), ("x-forwarded-for", "")] {
                let refused = ask(path, name, value).await;
                assert_eq!(refused.status, 403, "{path} {name}");
                assert!(refused.body.contains("monitoring_through_proxy"), "{refused:?}");
            }
            // No worker runs here, so the service is not ready; but it says so.
            assert_ne!(app.get(path).await.status, 403, "{path}");
        }
        assert_eq!(ask("/healthz", "x-forwarded-for", "203.0.113.1").await.status, 200);
        app.restart(|setup| setup.server_keys = "monitoring_through_proxy = true".to_owned()).await;
        for path in ["/metrics", "/readyz"] {
            assert_ne!(ask(path, "x-forwarded-for", "203.0.113.1").await.status, 403, "{path}");
        }
    }

    /// Threat: an answer that a browser takes for something else, or hands to a page of another site.
    async fn every_answer_tells_the_browser_what_it_is_for(app) {
        const OURS: &str = "nosniff | same-origin | same-origin | max-age=31536000";
        const PUBLISHED: &str = "nosniff | same-origin | cross-origin | max-age=31536000";
        for (address, status, headers) in [
            ("/", 200, PUBLISHED),
            ("/poster", 200, PUBLISHED),
            ("/schedule.json", 200, PUBLISHED),
            ("/schedule.ics", 200, PUBLISHED),
            ("/login", 200, OURS),
            ("/callbacks", 303, OURS),
            ("/nothing", 404, OURS),
            ("/callers/%00", 404, OURS),
            ("/api/openapi.json", 200, OURS),
            ("/api/v1/callbacks", 401, OURS),
            ("/api/v1/nothing", 404, OURS),
            ("/greetings/none.wav", 404, OURS),
            ("/webhooks/twilio/voice", 403, OURS),
            ("/webhooks/nobody/voice", 404, OURS),
            ("/healthz", 200, OURS),
            ("/metrics", 200, OURS),
        ] {
            let answered = headers_of(app, Request::get(address).body(Body::empty()).unwrap()).await;
            assert_eq!(answered, (status, headers.to_owned()), "{address}");
        }
        let large = Request::post("/webhooks/twilio/voice").header(CONTENT_LENGTH, 70_000).body(Body::from("x".repeat(70_000)));
        assert_eq!(headers_of(app, large.unwrap()).await, (413, OURS.to_owned()));
        app.restart(|setup| setup.public_url = "http://127.0.0.1:8080".to_owned()).await;
        let plain = headers_of(app, Request::get("/login").body(Body::empty()).unwrap()).await;
        assert_eq!(plain, (200, "nosniff | same-origin | same-origin | ".to_owned()), "https is not promised where it is not");
    }
}
