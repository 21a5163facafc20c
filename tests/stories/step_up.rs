//! The password once more: an open browser alone changes no access, carries no files away and erases nothing.

use perezvon::core::officer::Role;
use perezvon::time::SignedDuration;
use perezvon::web::password;
use sqlx::Row;

use crate::entrances;
use crate::harness::{App, Browser, Page, friday, hidden_fields, stories};

const PASSWORD: &str = "кот ест сыр по утрам";
const ASKS: &str = "Подтвердите паролем";

async fn hires(app: &App, login: &str, role: Role) -> i64 {
    let hash = password::hash(PASSWORD);
    assert!(app.store().add_officer(login, &format!("{login} И."), role, &hash, app.now()).await.unwrap());
    app.number(&format!("SELECT id FROM officer WHERE login = '{login}'")).await
}

/// Somebody who came in longer ago than a typed password counts.
async fn signed_in_before<'a>(app: &'a App, login: &str, role: Role) -> Browser<'a> {
    hires(app, login, role).await;
    let browser = Browser::signed_in(app, login, PASSWORD).await;
    app.clock.advance(SignedDuration::from_mins(5));
    browser
}

/// Sends what a page that asks has carried, with this password.
async fn confirms(browser: &mut Browser<'_>, asked: &Page, password: &str) -> Page {
    assert!(asked.body.contains(ASKS), "{asked:?}");
    let form = asked.body.split_once("<form method=\"post\" action=\"").expect("the form that asks").1;
    let address = form.split_once('"').unwrap().0;
    let mut fields = hidden_fields(asked);
    fields.push(("confirm_password".to_owned(), password.to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(address, &fields).await
}

stories! {
    /// Threat: whoever finds an open browser makes himself or a friend an administrator.
    async fn open_session_alone_changes_no_access(app) {
        let mut admin = signed_in_before(app, "zarema", Role::Admin).await;
        let id = hires(app, "aishat", Role::Officer).await;
        let before = app.rows("SELECT id FROM audit").await.len();
        for (verb, fields) in [
            ("role", &[("role", "admin")][..]), ("r%6Fle", &[("role", "admin")]), ("disable", &[]), ("link", &[]),
            ("factor-off", &[]),
        ] {
            let page = admin.post(&format!("/people/{id}/{verb}"), fields).await;
            assert_eq!(page.status, 200, "{verb}: {page:?}");
            assert!(page.body.contains(ASKS) && page.body.contains("aishat И."), "{verb}: {page:?}");
        }
        let page = admin.post("/people", &[("name", "Подруга"), ("login", "friend"), ("role", "admin")]).await;
        assert!(page.body.contains(ASKS) && page.body.contains("Подруга") && page.body.contains("Администратор"));
        assert_eq!(app.rows("SELECT id FROM audit").await.len(), before, "nothing was done");
        assert_eq!(app.count("officer").await, 2);
        // What opens the house to nobody goes on as ever.
        assert_eq!(admin.post(&format!("/people/{id}/name"), &[("name", "Айшат М.")]).await.status, 303);
    }

    async fn right_password_goes_on_with_exactly_that_action(app) {
        let mut admin = signed_in_before(app, "zarema", Role::Admin).await;
        let typed = [("name", "Айшат \"М.\""), ("login", "aishat"), ("role", "officer")];
        let asked = admin.post("/people", &typed).await;
        let wrong = confirms(&mut admin, &asked, "не тот пароль").await;
        assert_eq!(wrong.status, 422, "{wrong:?}");
        assert!(wrong.body.contains("Пароль не подходит"), "{wrong:?}");
        assert!(hidden_fields(&wrong).contains(&("login".to_owned(), "aishat".to_owned())), "what was typed is kept");
        assert_eq!(app.count("officer").await, 1);
        let done = confirms(&mut admin, &wrong, PASSWORD).await;
        assert!(done.body.contains("https://calls.example.org/invite/"), "{done:?}");
        let name = app.text("SELECT name FROM officer WHERE login = 'aishat'").await;
        assert_eq!(name, "Айшат \"М.\"");
        let actions = app.rows("SELECT action FROM audit ORDER BY id").await;
        let actions: Vec<String> = actions.iter().map(|row| row.get(0)).collect();
        assert!(actions.contains(&"confirm_failed".to_owned()), "{actions:?}");
        // It counts for some minutes.
        let id = app.number("SELECT id FROM officer WHERE login = 'aishat'").await;
        app.clock.advance(SignedDuration::from_secs(299));
        assert_eq!(admin.post(&format!("/people/{id}/disable"), &[]).await.status, 303);
        app.clock.advance(SignedDuration::from_secs(1));
        assert!(admin.post(&format!("/people/{id}/enable"), &[]).await.body.contains(ASKS));
    }

    /// Threat: an open browser carries the whole log away.
    async fn open_session_alone_carries_no_file_away(app) {
        app.message_from("CA1", "+79280000001").await;
        let id = app.callback().await.id;
        let mut admin = signed_in_before(app, "zarema", Role::Admin).await;
        let exports = app.rows("SELECT id FROM audit WHERE action IN ('export', 'find')").await.len();
        for file in [
            "/calls.csv", "/calls.xlsx?period=month", "/callbacks.csv", "/callbacks.xlsx?show=all", "/audit.csv",
            "/audit.xlsx", "/reports/xlsx", &format!("/callers/{id}/personal.json"),
        ] {
            let page = admin.get(file).await;
            assert_eq!(page.status, 200, "{file}: {page:?}");
            assert!(page.body.contains(ASKS) && page.content_type.starts_with("text/html"), "{file}: {page:?}");
        }
        let done = app.rows("SELECT id FROM audit WHERE action IN ('export', 'find')").await.len();
        assert_eq!(done, exports);
        let asked = admin.get("/calls.csv?line=parents&search=928").await;
        assert_eq!(confirms(&mut admin, &asked, "не тот").await.status, 422);
        let back = confirms(&mut admin, &asked, PASSWORD).await;
        assert_eq!((back.status, &*back.location), (303, "/calls.csv?line=parents&search=928"));
        assert!(admin.get(&back.location).await.content_type.starts_with("text/csv"));
        let second = admin.get("/calls.xlsx?line=parents").await;
        assert!(!second.body.contains(ASKS), "the same month in another format asks for nothing");
        // The list of the morning is everyday work.
        app.clock.advance(SignedDuration::from_mins(6));
        assert!(!admin.get("/callbacks/print").await.body.contains(ASKS));
        app.leave_the_jobs().await;
    }

    /// Threat: an open browser erases a message, or has officers' calls go to its own telephone.
    async fn open_session_alone_erases_nothing(app) {
        app.message_from("CA1", "+79280000001").await;
        let mut admin = signed_in_before(app, "zarema", Role::Admin).await;
        let asked = admin.post("/calls/7/recordings/7/erase", &[("reason", "просит мама")]).await;
        assert!(asked.body.contains(ASKS) && asked.body.contains("навсегда"), "{asked:?}");
        assert_eq!(confirms(&mut admin, &asked, PASSWORD).await.status, 404, "the handler has its say");
        app.clock.advance(SignedDuration::from_mins(5));
        let asked = admin.post("/me/telephone", &[("telephone", "101")]).await;
        assert!(asked.body.contains(ASKS) && asked.body.contains("101"), "{asked:?}");
        assert_eq!(app.number("SELECT count(telephone) FROM officer").await, 0);
        assert_eq!(confirms(&mut admin, &asked, PASSWORD).await.location, "/me?done=telephone");
        app.clock.advance(SignedDuration::from_mins(5));
        assert!(admin.post("/me/factor/new", &[]).await.body.contains(ASKS));
        app.leave_the_jobs().await;
    }

    /// Threat: whoever has a session tries passwords at the question; whoever has none keeps the officer from answering it.
    async fn wrong_passwords_are_limited_and_lock_nobody_else_out(app) {
        let mut admin = signed_in_before(app, "zarema", Role::Admin).await;
        let mut thief = Browser::at(app, [203, 0, 113, 7]);
        thief.cookie = admin.cookie.clone();
        let asked = thief.get("/audit.csv").await;
        for _ in 0..10 {
            assert_eq!(confirms(&mut thief, &asked, "не тот").await.status, 422);
        }
        let late = confirms(&mut thief, &asked, PASSWORD).await;
        assert_eq!(late.status, 429, "{late:?}");
        assert!(late.body.contains("Слишком много неудачных попыток"), "{late:?}");
        // Tries at signing in, from the officer's address too, are counted apart.
        let mut guesser = Browser::new(app);
        for _ in 0..11 {
            guesser.sign_in("zarema", "не тот").await;
        }
        let asked = admin.get("/audit.csv").await;
        assert_eq!(confirms(&mut admin, &asked, PASSWORD).await.status, 303);
    }

    async fn whoever_may_not_is_refused_without_a_question(app) {
        let mut officer = signed_in_before(app, "aishat", Role::Officer).await;
        assert_eq!(officer.get("/audit.csv").await.status, 403);
        assert_eq!(officer.post("/people", &[("name", "Я"), ("login", "x"), ("role", "admin")]).await.status, 403);
        let to = officer.post("/confirm", &[("to", "https://evil.example/"), ("confirm_password", PASSWORD)]).await;
        assert_eq!((to.status, &*to.location), (303, "/callbacks"));
        let mut nobody = Browser::new(app);
        assert!(nobody.get("/calls.csv").await.location.starts_with("/login"));
        assert_eq!(nobody.post("/confirm", &[("to", "/calls.csv"), ("confirm_password", PASSWORD)]).await.status, 401);
    }

    async fn clock_that_was_set_back_confirms_nothing(app) {
        app.clock.set(friday("12:00"));
        hires(app, "zarema", Role::Admin).await;
        let mut admin = Browser::signed_in(app, "zarema", PASSWORD).await;
        assert!(!admin.get("/audit.csv").await.body.contains(ASKS), "who has just come in has just typed it");
        app.clock.set(friday("11:59"));
        assert!(admin.get("/audit.csv").await.body.contains(ASKS));
    }

    /// Threat: a new address hands out a file, and nobody thinks of the password.
    async fn no_file_is_handed_out_without_the_password(app) {
        app.message_from("CA1", "+79280000001").await;
        let id = app.callback().await.id.to_string();
        let mut admin = signed_in_before(app, "zarema", Role::Admin).await;
        let is_public = |address: &&str| ["/calendar.ics", "/schedule.ics", "/schedule.json", "/readyz"].contains(address);
        let pages = entrances::templates("GET").filter(|address| !address.starts_with("/api") && !is_public(address));
        for template in pages.filter(|address| !address.contains("events") && !address.contains("/webhooks")) {
            let page = admin.get(&template.replace("{id}", &id)).await;
            let is_file = ["csv", "json", "spreadsheet", "calendar"].iter().any(|kind| page.content_type.contains(kind));
            assert!(!is_file, "{template}: {}", page.content_type);
        }
        app.leave_the_jobs().await;
    }
}
