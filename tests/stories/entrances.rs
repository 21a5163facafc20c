//! Who may enter where: every page, form and action of the API against everybody who may ask. Threat: a new address that
//! forgets to ask who comes.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, REFERER};
use axum::http::{Method, Request};
use perezvon::core::officer::{Actor, Role};
use perezvon::store::OfficerChange;
use perezvon::web::password;
use serde_json::Value;
use tower::ServiceExt;

use crate::harness::{App, friday, stories_on_sqlite};

/// Who may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Least {
    /// Also whoever is not signed in.
    Anybody,
    /// Whoever proves to be the provider.
    Provider,
    /// Whoever has given a password and owes the second factor.
    HalfWay,
    /// Whoever has this role, or a higher one.
    Has(Role),
}

use Least::{Anybody, HalfWay, Provider};

const OBSERVER: Least = Least::Has(Role::Observer);
const OFFICER: Least = Least::Has(Role::Officer);
const SENIOR: Least = Least::Has(Role::Senior);
const ADMIN: Least = Least::Has(Role::Admin);

/// Every address of the service. What a role may see or do at one of them beyond that is tested where it is made.
const ENTRANCES: &[(&str, &str, Least)] = &[
    ("GET", "/", Anybody),
    ("GET", "/alarms/{id}/seen", Anybody),
    ("POST", "/alarms/{id}/seen", SENIOR),
    ("GET", "/assets/{version}/{name}", Anybody),
    ("GET", "/audit", ADMIN),
    ("GET", "/audit.csv", ADMIN),
    ("GET", "/audit.xlsx", ADMIN),
    ("GET", "/calendar", OBSERVER),
    ("GET", "/calendar.ics", OBSERVER),
    ("POST", "/calendar/check", SENIOR),
    ("GET", "/calendar/close", SENIOR),
    ("GET", "/calendar/data", OBSERVER),
    ("POST", "/calendar/data", ADMIN),
    ("POST", "/calendar/edit", SENIOR),
    ("GET", "/calendar/history", OBSERVER),
    ("GET", "/calendar/ics", SENIOR),
    ("POST", "/calendar/ics", SENIOR),
    ("POST", "/calendar/save", SENIOR),
    ("GET", "/calendar/week", SENIOR),
    ("GET", "/callbacks", OBSERVER),
    ("GET", "/callbacks.csv", OFFICER),
    ("GET", "/callbacks.xlsx", OFFICER),
    ("GET", "/callbacks/events", OBSERVER),
    ("GET", "/callbacks/new", OFFICER),
    ("POST", "/callbacks/new", OFFICER),
    ("GET", "/callbacks/print", OBSERVER),
    ("GET", "/callbacks/undo", Anybody),
    ("POST", "/callbacks/undo", OFFICER),
    ("GET", "/callbacks/{id}", OBSERVER),
    ("GET", "/callbacks/{id}/notes", OFFICER),
    ("POST", "/callbacks/{id}/notes", OFFICER),
    ("GET", "/callbacks/{id}/{verb}", OBSERVER),
    ("POST", "/callbacks/{id}/{verb}", OFFICER),
    ("GET", "/blocked", SENIOR),
    ("POST", "/blocked/remove", SENIOR),
    ("GET", "/callers", OFFICER),
    ("POST", "/callers", OFFICER),
    ("GET", "/callers/{id}", OFFICER),
    ("POST", "/callers/{id}", OFFICER),
    ("GET", "/callers/{id}/personal.json", ADMIN),
    ("POST", "/callers/{id}/block", SENIOR),
    ("POST", "/callers/{id}/unblock", SENIOR),
    ("GET", "/calls", OBSERVER),
    ("GET", "/calls.csv", OFFICER),
    ("GET", "/calls.xlsx", OFFICER),
    ("GET", "/calls/{id}", OBSERVER),
    ("POST", "/calls/{id}/recordings/{voicemail}/erase", ADMIN),
    ("POST", "/calls/{id}/recordings/{voicemail}/retry", OFFICER),
    ("POST", "/confirm", OBSERVER),
    ("GET", "/greetings/{file}", Anybody),
    ("GET", "/greetings/{number}/{file}", Anybody),
    ("GET", "/health-ui", OBSERVER),
    ("POST", "/health-ui/reconcile", SENIOR),
    ("GET", "/healthz", Anybody),
    ("GET", "/invite/{secret}", Anybody),
    ("POST", "/invite/{secret}", Anybody),
    ("GET", "/lines", ADMIN),
    ("POST", "/lines/{id}/test", ADMIN),
    ("GET", "/login", Anybody),
    ("POST", "/login", Anybody),
    ("GET", "/login/code", HalfWay),
    ("POST", "/login/code", HalfWay),
    ("POST", "/logout", Anybody),
    ("GET", "/me", OBSERVER),
    ("GET", "/me/factor", OBSERVER),
    ("POST", "/me/factor", OBSERVER),
    ("POST", "/me/factor/new", OBSERVER),
    ("POST", "/me/factor/off", OBSERVER),
    ("POST", "/me/logout", OBSERVER),
    ("POST", "/me/password", OBSERVER),
    ("POST", "/me/telephone", OFFICER),
    ("GET", "/metrics", Anybody),
    ("GET", "/people", ADMIN),
    ("POST", "/people", ADMIN),
    ("GET", "/people/{id}", ADMIN),
    ("POST", "/people/{id}/{verb}", ADMIN),
    ("GET", "/poster", Anybody),
    ("GET", "/prompts", SENIOR),
    ("POST", "/prompts", SENIOR),
    ("GET", "/prompts/{id}/{what}", SENIOR),
    ("POST", "/prompts/{id}/{what}", SENIOR),
    ("GET", "/readyz", Anybody),
    ("GET", "/reports", OBSERVER),
    ("GET", "/reports/sheet", OBSERVER),
    ("GET", "/reports/xlsx", OBSERVER),
    ("GET", "/schedule.ics", Anybody),
    ("GET", "/schedule.json", Anybody),
    ("GET", "/webhooks/{name}/{*endpoint}", Provider),
    ("POST", "/webhooks/{name}/{*endpoint}", Provider),
    ("GET", "/api/openapi.json", Anybody),
    ("GET", "/api/v1/callbacks", OBSERVER),
    ("POST", "/api/v1/callbacks", OFFICER),
    ("POST", "/api/v1/callbacks/next", OFFICER),
    ("GET", "/api/v1/callbacks/{id}", OBSERVER),
    ("POST", "/api/v1/callbacks/{id}/attempts", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/call-anyway", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/claim", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/clarify", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/decline", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/done", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/exceptional", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/later", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/release", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/reopen", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/same", OFFICER),
    ("POST", "/api/v1/callbacks/{id}/undo", OFFICER),
    ("GET", "/api/v1/calls", OBSERVER),
    ("GET", "/api/v1/calls/{id}", OBSERVER),
    ("GET", "/api/v1/hours", OBSERVER),
    ("GET", "/api/v1/lines", OBSERVER),
    ("GET", "/api/v1/voicemails/{id}/audio", OFFICER),
    ("POST", "/api/v1/voicemails/{id}/retry", OFFICER),
];

/// Templates of the addresses that are asked or sent to in this way.
pub fn templates(wanted: &str) -> impl Iterator<Item = &'static str> {
    ENTRANCES.iter().filter(move |(method, ..)| *method == wanted).map(|(_, template, _)| *template)
}

/// Somebody who asks.
struct Visitor {
    who: String,
    role: Option<Role>,
    credentials: Credentials,
}

enum Credentials {
    None,
    Session(String),
    Token(String),
}

impl Visitor {
    fn may_enter(&self, least: Least) -> bool {
        match least {
            Anybody => true,
            Provider | HalfWay => false,
            Least::Has(role) => self.role.is_some_and(|own| own >= role),
        }
    }
}

/// Methods and templates of all routes that the source declares, those of the API from its description.
async fn declared(app: &App) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    read_routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"), &mut found);
    let (_, document) = app.whole(Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            found.insert((method.to_uppercase(), path.clone()));
        }
    }
    found
}

fn read_routes(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_routes(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let prefix = if path.ends_with("api/mod.rs") { "/api" } else { "" };
            for declaration in text.split(".route(").skip(1) {
                let declaration = inside(declaration);
                let Some(template) = declaration.split('"').nth(1).filter(|it| it.starts_with('/')) else { continue };
                for (word, methods) in [
                    ("get(", &["GET"][..]),
                    ("post(", &["POST"]),
                    ("on(MethodFilter::GET.or(MethodFilter::POST)", &["GET", "POST"]),
                ] {
                    if declaration.contains(&format!(" {word}")) || declaration.contains(&format!(").{word}")) {
                        found
                            .extend(methods.iter().map(|method| ((*method).to_owned(), format!("{prefix}{template}"))));
                    }
                }
            }
        }
    }
}

/// What stands in the brackets that are open at the beginning of this text.
fn inside(text: &str) -> &str {
    let mut depth = 1;
    let end = text.char_indices().find(|(_, sign)| {
        depth += i32::from(*sign == '(') - i32::from(*sign == ')');
        depth == 0
    });
    end.map_or(text, |(end, _)| &text[..end])
}

async fn token(app: &App, name: &str, role: Role) -> (i64, String) {
    let (secret, digest) = password::generate_token();
    (app.store().add_token(name, role, digest, None, app.now()).await.unwrap(), secret)
}

/// Everybody who may ask.
async fn visitors(app: &App) -> Vec<Visitor> {
    let mut visitors = vec![Visitor { who: "nobody".to_owned(), role: None, credentials: Credentials::None }];
    let mut add = |who: String, role, credentials| visitors.push(Visitor { who, role, credentials });
    for role in Role::ALL {
        let browser = app.browser(role.as_str(), role).await;
        add(format!("{role:?}"), Some(role), Credentials::Session(browser.cookie));
        let (_, secret) = token(app, role.as_str(), role).await;
        add(format!("a token of {role:?}"), Some(role), Credentials::Token(secret));
    }
    let disabled = app.browser("disabled", Role::Admin).await.cookie;
    let officers = app.store().officers().await.unwrap();
    let id = officers.iter().find(|officer| officer.name == "disabled").unwrap().id;
    app.store().change_officer(id, OfficerChange::Disable, &Actor::command_line(), "", app.now()).await.unwrap();
    add("somebody disabled".to_owned(), None, Credentials::Session(disabled));
    let (id, secret) = token(app, "revoked", Role::Admin).await;
    assert!(app.store().revoke_token(id, app.now()).await.unwrap());
    add("a revoked token".to_owned(), None, Credentials::Token(secret));
    add("an unknown token".to_owned(), None, Credentials::Token("perezvon_0".to_owned()));
    visitors
}

/// Whether the answer shows the way in or names the role that is needed.
async fn is_refused(app: &App, visitor: &Visitor, method: &str, template: &str) -> bool {
    let ids = [("{id}", "1"), ("{voicemail}", "1"), ("{number}", "1"), ("{verb}", "claim"), ("{what}", "sound")];
    let more = [("{secret}", "x"), ("{version}", "x"), ("{name}", "twilio"), ("{file}", "x"), ("{*endpoint}", "voice")];
    let address =
        ids.into_iter().chain(more).fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(address)
        .header(REFERER, "https://calls.example.org/callbacks")
        .header("sec-fetch-site", "same-origin");
    let request = match &visitor.credentials {
        Credentials::None => request,
        Credentials::Session(cookie) => request.header(COOKIE, cookie),
        Credentials::Token(secret) => request.header(AUTHORIZATION, format!("Bearer {secret}")),
    };
    let is_upload = matches!(template, "/prompts" | "/calendar/data" | "/calendar/ics") && method == "POST";
    let (content_type, body) = match template.starts_with("/api") {
        true => ("application/json", "{}"),
        false if is_upload => ("multipart/form-data; boundary=x", "--x--\r\n"),
        false => ("application/x-www-form-urlencoded", ""),
    };
    let request = request.header(CONTENT_TYPE, content_type).body(Body::from(body)).unwrap();
    // Its body may never end.
    let answer = app.router().oneshot(request).await.unwrap();
    let leads_in = answer.headers().get(LOCATION).is_some_and(|to| to.to_str().unwrap().starts_with("/login"));
    matches!(answer.status().as_u16(), 401 | 403) || leads_in
}

stories_on_sqlite! {
    async fn every_entrance_stands_in_the_table(app) {
        let table: BTreeSet<_> =
            ENTRANCES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(table.len(), ENTRANCES.len(), "each stands there once");
        let declared = declared(app).await;
        let new: Vec<_> = declared.difference(&table).collect();
        let gone: Vec<_> = table.difference(&declared).collect();
        assert!(new.is_empty() && gone.is_empty(), "without a row: {new:?}; without a route: {gone:?}");
    }

    async fn everybody_enters_where_his_role_lets_him_and_nowhere_else(app) {
        app.clock.set(friday("19:40"));
        let visitors = visitors(app).await;
        let mut wrong = Vec::new();
        for (method, template, least) in ENTRANCES {
            for visitor in &visitors {
                let is_page = !template.starts_with("/api");
                // A session ends there.
                let ends = matches!(*template, "/logout" | "/me/logout");
                // Programs have no pages.
                let is_stranger = is_page && matches!(visitor.credentials, Credentials::Token(_));
                if ends || is_stranger && *least != Anybody && visitor.role.is_some() {
                    continue;
                }
                let is_refused = is_refused(app, visitor, method, template).await;
                if is_refused == visitor.may_enter(*least) {
                    let what = if is_refused { "is refused" } else { "enters" };
                    wrong.push(format!("{} {what}: {method} {template}, {least:?}", visitor.who));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
