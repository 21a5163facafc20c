//! Signing in and staying in: who has no right to a session gets none, who has one keeps it whatever fails.

use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use perezvon::core::callback::Channel;
use perezvon::core::line::LineId;
use perezvon::core::officer::{Actor, Role};
use perezvon::core::phone::PhoneNumber;
use perezvon::store::NewCallback;
use perezvon::time::SignedDuration;
use perezvon::web::password;
use sqlx::Row;

use crate::harness::{App, Browser, hidden_fields, stories};

const PASSWORD: &str = "кот ест сыр по утрам";

async fn hires(app: &App, login: &str, role: Role) {
    let hash = password::hash(PASSWORD);
    assert!(app.store().add_officer(login, &format!("{login} И."), role, &hash, app.now()).await.unwrap());
}

async fn madina(app: &App) -> Browser<'_> {
    hires(app, "madina", Role::Officer).await;
    Browser::signed_in(app, "madina", PASSWORD).await
}

async fn a_callback(app: &App) -> i64 {
    let new = NewCallback {
        line: LineId::new("parents"),
        callback_number: PhoneNumber::parse("89281234567").ok(),
        channel: Channel::InPerson,
        notes: Default::default(),
    };
    app.store().register_by_hand(new, &Actor::system(), &app.lines(), app.now()).await.unwrap().id
}

stories! {
    async fn a_stolen_table_signs_nobody_in(app) {
        let mut browser = madina(app).await;
        assert!(browser.is_in().await);
        let rows = app.rows("SELECT id, content FROM session").await;
        assert_eq!(rows.len(), 1);
        let (id, content): (String, String) = (rows[0].get(0), rows[0].get(1));
        let secret = browser.cookie.strip_prefix("__Host-perezvon_session=").unwrap();
        assert!(!id.contains(secret) && !content.contains(secret), "{id} {content}");
        for stolen in [&id, &content, &id[..22]] {
            let mut thief = Browser::new(app);
            thief.cookie = format!("__Host-perezvon_session={stolen}");
            assert!(!thief.is_in().await, "{stolen}");
        }
    }

    async fn an_id_made_up_by_somebody_else_is_never_adopted_and_each_sign_in_has_its_own(app) {
        hires(app, "madina", Role::Officer).await;
        let planted = "__Host-perezvon_session=AAAAAAAAAAAAAAAAAAAAAA";
        let mut victim = Browser::new(app);
        victim.cookie = planted.to_owned();
        assert_eq!(victim.sign_in("madina", PASSWORD).await.status, 303);
        assert_ne!(victim.cookie, planted);
        let mut attacker = Browser::new(app);
        attacker.cookie = planted.to_owned();
        assert!(!attacker.is_in().await && victim.is_in().await);

        let first = victim.cookie.clone();
        assert_eq!(victim.sign_in("madina", PASSWORD).await.status, 303);
        assert_ne!(victim.cookie, first);
        attacker.cookie = first;
        assert!(!attacker.is_in().await, "the session before the sign-in is over");
        assert_eq!(app.count("session").await, 1);
    }

    async fn a_session_ends_after_twelve_hours_of_the_houses_clock_however_it_is_used(app) {
        let mut browser = madina(app).await;
        for _ in 0..11 {
            app.clock.advance(SignedDuration::from_hours(1));
            assert!(browser.is_in().await);
        }
        app.clock.advance(SignedDuration::from_hours(1) - SignedDuration::from_millis(1));
        assert!(browser.is_in().await);
        app.clock.advance(SignedDuration::from_millis(1));
        assert!(!browser.is_in().await);
        let mut again = Browser::signed_in(app, "madina", PASSWORD).await;
        assert!(again.is_in().await);
        assert_eq!(app.count("session").await, 1, "what has expired is swept out");
    }

    /// Threat: a browser that was left open in the evening works as its officer until the morning.
    async fn a_session_ends_after_two_hours_without_use(app) {
        let mut browser = madina(app).await;
        for _ in 0..2 {
            app.clock.advance(SignedDuration::from_hours(2) - SignedDuration::from_millis(1));
            assert!(browser.is_in().await);
        }
        app.clock.advance(SignedDuration::from_hours(2));
        let page = browser.post("/callbacks/7/done", &[("note", "Мама просила перезвонить")]).await;
        assert_eq!(page.status, 401);
        assert!(page.body.contains("то, что вы написали, не потеряется"), "{}", page.body);
        assert!(page.body.contains("value=\"Мама просила перезвонить\""), "{}", page.body);
        assert!(!browser.is_in().await);
    }

    /// Threat: another site on the same host, or a page over http, plants a session.
    async fn cookies_are_tied_to_the_host_under_https_alone(app) {
        hires(app, "madina", Role::Officer).await;
        let page = Browser::new(app).sign_in("madina", PASSWORD).await;
        assert!(page.set_cookie.starts_with("__Host-perezvon_session=") && page.set_cookie.contains("Secure"));
        assert!(page.set_device.starts_with("__Host-perezvon_device=") && page.set_device.contains("Secure"));
        app.restart(|setup| setup.public_url = "http://127.0.0.1:8080".to_owned()).await;
        let mut plain = Browser::new(app);
        let page = plain.sign_in("madina", PASSWORD).await;
        assert!(page.set_cookie.starts_with("perezvon_session=") && !page.set_cookie.contains("Secure"));
        assert!(page.set_device.starts_with("perezvon_device=") && !page.set_device.contains("Secure"));
        assert!(plain.is_in().await);
    }

    async fn the_cookie_is_for_this_site_alone_and_lasts_as_long_as_the_session(app) {
        hires(app, "madina", Role::Officer).await;
        let cookie = Browser::new(app).sign_in("madina", PASSWORD).await.set_cookie;
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=43200"] {
            assert!(cookie.contains(attribute), "{attribute}: {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }

    async fn while_the_table_of_sessions_is_away_nobody_is_signed_out(app) {
        let mut browser = madina(app).await;
        let cookie = browser.cookie.clone();
        app.sql("ALTER TABLE session RENAME TO session_away").await;
        let page = browser.get("/callbacks").await;
        assert_eq!((page.status, page.set_cookie.as_str()), (503, ""), "{page:?}");
        assert!(page.body.contains("Ошибка у нас, код"), "{page:?}");
        let sent = browser.post("/callbacks/7/done", &[("note", "перезвонила")]).await;
        assert_eq!((sent.status, sent.set_cookie.as_str()), (503, ""));
        let api = browser.send(Request::get("/api/v1/lines"), String::new()).await;
        assert_eq!((api.status, api.set_cookie.as_str()), (503, ""), "{api:?}");
        let out = browser.post("/logout", &[]).await;
        assert_eq!((out.status, out.set_cookie.as_str()), (503, ""), "who is told to be out is out");
        let mut other = Browser::new(app);
        let refused = other.sign_in("madina", PASSWORD).await;
        assert_eq!((refused.status, refused.set_cookie.as_str()), (503, ""), "{refused:?}");
        app.sql("ALTER TABLE session_away RENAME TO session").await;
        assert_eq!(browser.cookie, cookie);
        assert!(browser.is_in().await);
    }

    async fn who_is_signed_out_everywhere_is_out_at_once_on_every_instance(app) {
        let mut one = madina(app).await;
        let mut two = Browser::signed_in(app, "madina", PASSWORD).await;
        let me = one.get("/me").await.body;
        assert_eq!(me.matches("<li><span>").count(), 2, "{me}");
        assert_eq!(me.matches("это устройство").count(), 1);
        let (elsewhere, _worker) = app.second_house().await;
        let id = app.number("SELECT id FROM officer").await;
        // Two houses make ids from the same clock, which stands.
        app.clock.advance(SignedDuration::from_secs(1));
        elsewhere.end_sessions(id, "", &Actor::system(), "", app.now()).await.unwrap();
        assert!(!one.is_in().await && !two.is_in().await);
        app.clock.advance(SignedDuration::from_secs(1));

        let mut three = Browser::signed_in(app, "madina", PASSWORD).await;
        let mut four = Browser::signed_in(app, "madina", PASSWORD).await;
        assert_eq!(three.post("/me/logout", &[]).await.location, "/login");
        assert!(three.cookie.is_empty() && !four.is_in().await);
        assert_eq!(app.count("session").await, 0);
    }

    async fn the_api_takes_the_same_session_and_no_form_of_another_site(app) {
        let mut browser = madina(app).await;
        assert_eq!(browser.send(Request::get("/api/v1/lines"), String::new()).await.status, 200);
        let id = a_callback(app).await;
        for (address, status) in [(format!("/api/v1/callbacks/{id}/claim"), 403), ("/login".to_owned(), 403)] {
            let request = Request::post(&address)
                .header("sec-fetch-site", "cross-site")
                .header("origin", "https://evil.example")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let page = browser.send(request, format!("login=madina&password={PASSWORD}")).await;
            assert_eq!(page.status, status, "{address}");
        }
        let mut stranger = Browser::new(app);
        assert_eq!(stranger.send(Request::get("/api/v1/lines"), String::new()).await.status, 401);
    }

    async fn what_was_typed_outlives_the_session_and_is_sent_with_one_button(app) {
        let mut browser = madina(app).await;
        let id = a_callback(app).await;
        let text = "Мама «Ивана» просила <перезвонить> & прислать расписание";
        app.clock.advance(SignedDuration::from_hours(12));
        let done = format!("/callbacks/{id}/done?line=parents");
        let page = browser.post(&done, &[("note", text), ("reason", "one"), ("reason", "two")]).await;
        assert_eq!(page.status, 401);
        assert!(page.body.contains("то, что вы написали, не потеряется"), "{}", page.body);
        assert_eq!(app.store().callback(id).await.unwrap().unwrap().callback.desk.state.as_str(), "open");

        // A wrong password in between loses nothing.
        let with = |page: &_, more: &[(&str, &str)]| -> Vec<(String, String)> {
            let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            hidden_fields(page).into_iter().chain(more).collect()
        };
        let fields = with(&page, &[("login", "madina"), ("password", "не тот пароль")]);
        let page = browser.post("/login", &borrowed(&fields)).await;
        assert_eq!(page.status, 422);
        let fields = with(&page, &[("login", "madina"), ("password", PASSWORD)]);
        let page = browser.post("/login", &borrowed(&fields)).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body.contains("Вы вошли. Отправить то, что вы написали?"), "{}", page.body);
        assert!(page.body.contains("Мама «Ивана» просила &#60;перезвонить&#62;"), "{}", page.body);
        assert!(page.body.contains(&format!("action=\"{done}\"")), "{}", page.body);
        assert!(page.body.contains("href=\"/callbacks?line=parents\""), "the page it stood on: {}", page.body);
        let fields = hidden_fields(&page);
        assert_eq!(borrowed(&fields), [("note", text), ("reason", "one"), ("reason", "two")]);

        assert_eq!(browser.post(&done, &borrowed(&fields[..1])).await.status, 303);
        let callback = app.store().callback(id).await.unwrap().unwrap().callback;
        assert_eq!(callback.desk.state.as_str(), "done");
        assert_eq!(app.text("SELECT note FROM callback").await, text);
    }

    async fn scripts_are_told_401_and_whoever_looks_is_led_to_the_way_in(app) {
        let mut browser = Browser::new(app);
        assert_eq!(browser.get("/calls?line=parents").await.location, "/login?to=%2Fcalls%3Fline%3Dparents");
        for mode in ["cors", "same-origin", "no-cors"] {
            let page = browser.send(Request::get("/callbacks").header("sec-fetch-mode", mode), String::new()).await;
            assert_eq!(page.status, 401, "{mode}");
            assert!(page.body.contains("<h1>Вход</h1>"));
        }
        // A file is not carried, and a password never.
        let upload = Request::post("/callbacks/7/done").header(CONTENT_TYPE, "multipart/form-data; boundary=x");
        let page = browser.send(upload, "--x--".to_owned()).await;
        assert_eq!((page.status, hidden_fields(&page).len()), (401, 1), "{page:?}");
        let page = browser.post("/me/password", &[("password", PASSWORD), ("new_password", "секрет")]).await;
        assert_eq!(page.status, 401);
        assert!(!page.body.contains("секрет") && page.body.contains("Войдите и повторите."), "{}", page.body);
    }

    /// Threat: a password that was typed into the field of the login stands in the audit.
    async fn who_tries_to_come_in_is_written_down_without_the_password(app) {
        let mut browser = madina(app).await;
        browser.sign_in("madina", "тайное слово").await;
        // The password, typed into the field above its own.
        browser.sign_in("тайное слово", "").await;
        browser.post("/logout", &[]).await;
        let rows = app.rows("SELECT actor_name, action, detail FROM audit ORDER BY id").await;
        let rows: Vec<[String; 3]> = rows.iter().map(|row| [0, 1, 2].map(|column| row.get(column))).collect();
        let told: Vec<_> = rows.iter().map(|[who, what, how]| (who.as_str(), what.as_str(), how.as_str())).collect();
        assert_eq!(
            told,
            [
                ("Командная строка", "officer_add", "madina, madina И., Сотрудник"),
                ("madina И.", "login", ""),
                ("madina И.", "login_failed", "madina"),
                ("Неизвестно кто", "login_failed", ""),
                ("madina И.", "logout", ""),
            ]
        );
    }
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
