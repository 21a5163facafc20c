//! Who works here: invited by a one-time link, changed by an administrator, guarded by a second factor.

use perezvon::core::officer::Role;
use perezvon::time::SignedDuration;
use perezvon::web::password;
use sqlx::Row;
use totp_rs::{Builder, Secret};

use crate::harness::{App, Browser, Page, hidden_fields, stories};

const PASSWORD: &str = "кот ест сыр по утрам";
const OTHER: &str = "синий чайник 42";

async fn hires(app: &App, login: &str, role: Role) -> i64 {
    let hash = password::hash(PASSWORD);
    assert!(app.store().add_officer(login, &format!("{login} И."), role, &hash, app.now()).await.unwrap());
    id_of(app, login).await
}

async fn id_of(app: &App, login: &str) -> i64 {
    app.number(&format!("SELECT id FROM officer WHERE login = '{login}'")).await
}

async fn admin(app: &App) -> Browser<'_> {
    hires(app, "zarema", Role::Admin).await;
    Browser::signed_in(app, "zarema", PASSWORD).await
}

/// The address of the one-time link that a page shows.
pub fn link(page: &Page) -> String {
    let link = page.body.split_once("value=\"https://calls.example.org").expect("a link").1;
    link.split_once('"').unwrap().0.to_owned()
}

pub async fn invites(admin: &mut Browser<'_>, login: &str) -> String {
    let page = admin.post("/people", &[("name", "Айшат М."), ("login", login), ("role", "officer")]).await;
    assert_eq!(page.status, 200, "{page:?}");
    link(&page)
}

async fn actions(app: &App) -> Vec<(String, String, String)> {
    let rows = app.rows("SELECT actor_name, action, detail FROM audit ORDER BY id").await;
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// What an authenticator app shows now.
pub fn code(app: &App, secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().expect("a good secret");
    totp.generate(u64::try_from(app.now().as_second()).unwrap()).to_string()
}

/// Switches the second factor on: the secret and the recovery codes.
pub async fn switches_factor_on(app: &App, browser: &mut Browser<'_>) -> (String, Vec<String>) {
    assert_eq!(browser.post("/me/factor/new", &[]).await.location, "/me/factor");
    let page = browser.get("/me/factor").await;
    assert!(page.body.contains("role=\"img\" aria-label=\"QR-код для приложения\""), "{page:?}");
    let secret = page.body.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0.replace(' ', "");
    let wrong = browser.post("/me/factor", &[("code", "000000")]).await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    let page = browser.post("/me/factor", &[("code", &code(app, &secret))]).await;
    assert_eq!(page.status, 200, "{page:?}");
    let codes = page.body.split("<code>").skip(1).map(|rest| rest.split_once("</code>").unwrap().0.to_owned());
    (secret, codes.collect())
}

stories! {
    async fn an_invitation_is_used_once_and_the_invited_chooses_the_password(app) {
        let mut admin = admin(app).await;
        let link = invites(&mut admin, "aishat").await;
        let secret = link.strip_prefix("/invite/").unwrap();
        for row in app.rows("SELECT * FROM invitation").await {
            assert!(!String::from_utf8_lossy(&row.get::<Vec<u8>, _>("secret_sha256")).contains(secret));
        }
        let list = admin.get("/people").await.body.replace('\u{a0}', " ");
        assert!(list.contains("приглашён, ссылка до пн 23.11, 19:30"), "{list}");
        let mut aishat = Browser::new(app);
        assert_eq!(aishat.sign_in("aishat", "").await.status, 422, "nobody has a password yet");
        assert!(aishat.get(&link).await.body.contains("Здравствуйте, Айшат М."));
        for (password, again, why) in [
            ("коротко", "коротко", "Слишком короткий пароль"),
            ("1234567890", "1234567890", "Такой пароль подбирают первым"),
            ("aishat-2026", "aishat-2026", "совпадает с вашим логином"),
            (OTHER, PASSWORD, "Пароли не совпадают"),
        ] {
            let page = aishat.post(&link, &[("password", password), ("password_again", again)]).await;
            assert_eq!(page.status, 422, "{password}");
            assert!(page.body.contains(why), "{why}: {}", page.body);
        }
        let page = aishat.post(&link, &[("password", OTHER), ("password_again", OTHER)]).await;
        assert_eq!((page.status, page.location.as_str()), (303, "/callbacks"));
        assert!(aishat.is_in().await);
        for page in [
            Browser::new(app).get(&link).await,
            Browser::new(app).post(&link, &[("password", PASSWORD), ("password_again", PASSWORD)]).await,
        ] {
            assert_eq!(page.status, 410);
            assert!(page.body.contains("Ссылка не действует"));
        }
        Browser::signed_in(app, "aishat", OTHER).await;
    }

    async fn two_who_use_a_link_at_once_are_not_both_let_in(app) {
        let mut admin = admin(app).await;
        let link = invites(&mut admin, "aishat").await;
        let (mut one, mut two) = (Browser::new(app), Browser::new(app));
        let form = [("password", OTHER), ("password_again", OTHER)];
        let (one, two) = tokio::join!(one.post(&link, &form), two.post(&link, &form));
        let mut answers = [one.status, two.status];
        answers.sort_unstable();
        assert_eq!(answers, [303, 410]);
    }

    async fn two_administrators_who_disable_each_other_at_once_leave_one(app) {
        let one = hires(app, "one", Role::Admin).await;
        let two = hires(app, "two", Role::Admin).await;
        let mut by_one = Browser::signed_in(app, "one", PASSWORD).await;
        let mut by_two = Browser::signed_in(app, "two", PASSWORD).await;
        let (on_two, on_one) = (format!("/people/{two}/disable"), format!("/people/{one}/disable"));
        tokio::join!(by_one.post(&on_two, &[]), by_two.post(&on_one, &[]));
        assert_eq!(app.number("SELECT COUNT(*) FROM officer WHERE disabled_at IS NULL").await, 1);
    }

    async fn a_link_expires_after_three_days_and_a_new_one_voids_the_old(app) {
        let mut admin = admin(app).await;
        let old = invites(&mut admin, "aishat").await;
        let id = id_of(app, "aishat").await;
        let new = link(&admin.post(&format!("/people/{id}/link"), &[]).await);
        assert_eq!(Browser::new(app).get(&old).await.status, 410);
        app.clock.advance(SignedDuration::from_hours(72) - SignedDuration::from_millis(1));
        assert_eq!(Browser::new(app).get(&new).await.status, 200);
        app.clock.advance(SignedDuration::from_millis(1));
        let late = Browser::new(app).post(&new, &[("password", OTHER), ("password_again", OTHER)]).await;
        assert_eq!(late.status, 410);
        let mut admin = Browser::signed_in(app, "zarema", PASSWORD).await;
        assert!(admin.get("/people").await.body.contains("ссылка больше не действует, нужна новая"));
    }

    async fn a_new_link_leaves_the_old_password_until_it_is_used(app) {
        let mut admin = admin(app).await;
        let id = hires(app, "madina", Role::Officer).await;
        let mut madina = Browser::signed_in(app, "madina", PASSWORD).await;
        let link = link(&admin.post(&format!("/people/{id}/link"), &[]).await);
        assert!(madina.is_in().await);
        let mut elsewhere = Browser::new(app);
        elsewhere.post(&link, &[("password", OTHER), ("password_again", OTHER)]).await;
        assert!(elsewhere.is_in().await && !madina.is_in().await);
        assert_eq!(madina.sign_in("madina", PASSWORD).await.status, 422);
    }

    async fn what_an_administrator_changes_works_at_once_and_is_written_down(app) {
        let mut admin = admin(app).await;
        let id = hires(app, "madina", Role::Officer).await;
        let mut madina = Browser::signed_in(app, "madina", PASSWORD).await;
        assert_eq!(madina.get("/people").await.status, 403);
        let change = async |admin: &mut Browser<'_>, verb: &str, fields: &[(&str, &str)]| {
            let page = admin.post(&format!("/people/{id}/{verb}"), fields).await;
            assert_eq!(page.location, format!("/people/{id}?done={verb}"), "{page:?}");
        };
        change(&mut admin, "name", &[("name", "Мадина Исаева")]).await;
        change(&mut admin, "role", &[("role", "admin")]).await;
        assert_eq!(madina.get("/people").await.status, 200, "the role works at once");
        change(&mut admin, "role", &[("role", "observer")]).await;
        assert!(madina.get("/people").await.body.contains("нужна роль «Администратор»"));
        change(&mut admin, "logout", &[]).await;
        assert!(!madina.is_in().await);
        madina.sign_in("madina", PASSWORD).await;
        change(&mut admin, "disable", &[]).await;
        assert!(!madina.is_in().await);
        assert_eq!(madina.sign_in("madina", PASSWORD).await.status, 422);
        assert_eq!(admin.post(&format!("/people/{id}/link"), &[]).await.status, 422, "who is out gets no link");
        change(&mut admin, "enable", &[]).await;
        assert_eq!(madina.sign_in("madina", PASSWORD).await.status, 303);
        let by_admin: Vec<_> = actions(app).await.into_iter().filter(|(who, what, _)| who == "zarema И." && what != "login").collect();
        let told: Vec<_> = by_admin.iter().map(|(_, what, how)| (what.as_str(), how.as_str())).collect();
        assert_eq!(
            told,
            [
                ("officer_rename", "madina И. → Мадина Исаева"),
                ("officer_role", "madina: Сотрудник → Администратор"),
                ("officer_role", "madina: Администратор → Наблюдатель"),
                ("sessions_end", ""),
                ("officer_disable", "madina"),
                ("officer_enable", "madina"),
            ]
        );
    }

    async fn the_last_administrator_stays(app) {
        let mut admin = admin(app).await;
        let id = id_of(app, "zarema").await;
        // Somebody invited who has no password yet, and somebody disabled, are no help.
        let page = admin.post("/people", &[("name", "Б"), ("login", "b"), ("role", "admin")]).await;
        assert_eq!(page.status, 200);
        hires(app, "old", Role::Admin).await;
        app.store().disable_officer("old", app.now()).await.unwrap();
        for (verb, role) in [("disable", ""), ("role", "senior")] {
            let page = admin.post(&format!("/people/{id}/{verb}"), &[("role", role)]).await;
            assert_eq!(page.status, 422);
            assert!(page.body.contains("Это последний администратор"), "{}", page.body);
        }
        hires(app, "other", Role::Admin).await;
        assert_eq!(admin.post(&format!("/people/{id}/role"), &[("role", "senior")]).await.status, 303);
        assert_eq!(admin.get("/people").await.status, 403);
    }

    async fn people_are_added_with_sense_and_once(app) {
        let mut admin = admin(app).await;
        for (name, login, role, why) in [
            ("", "b", "officer", "Напишите имя"),
            ("Б", "", "officer", "Напишите логин"),
            ("Б", "b b", "officer", "В логине могут быть"),
            ("Б", "zarema", "officer", "Такой логин уже есть"),
            ("Б", "b", "boss", "Выберите роль"),
            (&"я".repeat(101), "b", "officer", "Слишком длинное имя"),
        ] {
            let page = admin.post("/people", &[("name", name), ("login", login), ("role", role)]).await;
            assert_eq!(page.status, 422, "{why}");
            assert!(page.body.contains(why), "{why}: {}", page.body);
        }
        assert_eq!(app.count("officer").await, 1);
        for address in ["/people/x", "/people/7"] {
            assert_eq!(admin.get(address).await.status, 404, "{address}");
            assert_eq!(admin.post(&format!("{address}/disable"), &[]).await.status, 404, "{address}");
        }
    }

    async fn a_new_password_of_ones_own_needs_the_old_one_and_ends_the_other_sessions(app) {
        hires(app, "madina", Role::Officer).await;
        let mut here = Browser::signed_in(app, "madina", PASSWORD).await;
        let mut there = Browser::signed_in(app, "madina", PASSWORD).await;
        let form = |old, new, again| [("password", old), ("new_password", new), ("new_password_again", again)];
        for (form, why) in [
            (form("не тот пароль", OTHER, OTHER), "Нынешний пароль не подходит."),
            (form(PASSWORD, "коротко", "коротко"), "Слишком короткий пароль"),
            (form(PASSWORD, OTHER, "не то же самое"), "Пароли не совпадают"),
        ] {
            let page = here.post("/me/password", &form).await;
            assert_eq!(page.status, 422, "{why}");
            assert!(page.body.contains(why), "{why}: {}", page.body);
        }
        assert_eq!(here.post("/me/password", &form(PASSWORD, OTHER, OTHER)).await.location, "/me?done=password");
        assert!(here.is_in().await && !there.is_in().await);
        assert_eq!(there.sign_in("madina", PASSWORD).await.status, 422);
        assert_eq!(there.sign_in("madina", OTHER).await.status, 303);
    }

    async fn with_a_second_factor_the_password_alone_opens_nothing(app) {
        hires(app, "madina", Role::Officer).await;
        let mut madina = Browser::signed_in(app, "madina", PASSWORD).await;
        let mut elsewhere = Browser::signed_in(app, "madina", PASSWORD).await;
        let (secret, codes) = switches_factor_on(app, &mut madina).await;
        assert_eq!(codes.len(), 8);
        assert!(madina.is_in().await && !elsewhere.is_in().await, "sessions without the factor are over");
        assert_eq!(madina.get("/me/factor").await.location, "/me", "the secret is not shown again");
        let kept: String = app.text("SELECT content FROM session").await;
        assert!(!kept.contains(&secret), "{kept}");

        let used = code(app, &secret);
        let mut browser = Browser::new(app);
        let page = browser.sign_in("madina", PASSWORD).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Шесть цифр из приложения"), "{}", page.body);
        assert!(!browser.is_in().await, "half way is not in");
        let half = browser.cookie.clone();
        let page = browser.post("/login/code", &[("code", &used)]).await;
        assert_eq!(page.status, 422, "the code that switched it on is used up: {page:?}");
        app.clock.advance(SignedDuration::from_secs(30));
        let fresh = code(app, &secret);
        let page = browser.post("/login/code", &[("code", &format!("{} {}", &fresh[..3], &fresh[3..]))]).await;
        assert_eq!((page.status, page.location.as_str()), (303, "/callbacks"), "{page:?}");
        assert!(browser.is_in().await);
        assert_ne!(browser.cookie, half, "the id changes once more");

        let mut thief = Browser::new(app);
        thief.sign_in("madina", PASSWORD).await;
        for seen in [&fresh, &used] {
            assert_eq!(thief.post("/login/code", &[("code", seen)]).await.status, 422, "a code counts once");
        }
        assert_eq!(thief.post("/login/code", &[("code", &codes[0])]).await.status, 303, "a recovery code");
        let mut twice = Browser::new(app);
        twice.sign_in("madina", PASSWORD).await;
        assert_eq!(twice.post("/login/code", &[("code", &codes[0])]).await.status, 422);
        assert!(madina.get("/me").await.body.contains("Осталось: 7"));
    }

    async fn codes_are_not_guessed(app) {
        hires(app, "madina", Role::Officer).await;
        let mut madina = Browser::signed_in(app, "madina", PASSWORD).await;
        let (secret, _) = switches_factor_on(app, &mut madina).await;
        app.clock.advance(SignedDuration::from_secs(60));
        let right = code(app, &secret);
        let mut thief = Browser::new(app);
        for _ in 0..10 {
            // Signing in with the password anew gives no new tries.
            thief.sign_in("madina", PASSWORD).await;
            let wrong = if right == "123456" { "654321" } else { "123456" };
            assert_eq!(thief.post("/login/code", &[("code", wrong)]).await.status, 422);
        }
        let page = thief.post("/login/code", &[("code", &right)]).await;
        assert_eq!(page.status, 429, "{page:?}");
        app.clock.advance(SignedDuration::from_mins(10));
        assert_eq!(thief.post("/login/code", &[("code", &right)]).await.status, 401, "the password is too long ago");
        assert_eq!(actions(app).await.iter().filter(|(_, what, _)| what == "factor_failed").count(), 10);
    }

    async fn a_lost_telephone_is_helped_by_an_administrator_and_a_link_does_not_go_round_the_factor(app) {
        let mut admin = admin(app).await;
        let id = hires(app, "madina", Role::Officer).await;
        let mut madina = Browser::signed_in(app, "madina", PASSWORD).await;
        switches_factor_on(app, &mut madina).await;
        assert!(admin.get("/people").await.body.contains("включён"));
        let link = link(&admin.post(&format!("/people/{id}/link"), &[]).await);
        let mut browser = Browser::new(app);
        let page = browser.post(&link, &[("password", OTHER), ("password_again", OTHER)]).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Шесть цифр из приложения") && !browser.is_in().await);
        assert_eq!(admin.post(&format!("/people/{id}/factor-off"), &[]).await.status, 303);
        assert_eq!(browser.sign_in("madina", OTHER).await.status, 303);
        assert_eq!(app.count("recovery_code").await, 0);
        let told = actions(app).await;
        assert!(told.iter().any(|(who, what, _)| who == "zarema И." && what == "factor_off"), "{told:?}");
        assert_eq!(browser.post("/me/factor/off", &[("password", OTHER)]).await.location, "/me?done=factor-off");
    }

    async fn what_was_typed_goes_through_the_second_step_too(app) {
        hires(app, "madina", Role::Officer).await;
        let mut madina = Browser::signed_in(app, "madina", PASSWORD).await;
        let (secret, _) = switches_factor_on(app, &mut madina).await;
        app.clock.advance(SignedDuration::from_hours(12));
        let mut page = madina.post("/callbacks/7/done", &[("note", "Перезвонила маме")]).await;
        for (address, field, value) in
            [("/login", "password", PASSWORD.to_owned()), ("/login/code", "code", code(app, &secret))]
        {
            let mut fields = hidden_fields(&page);
            fields.extend([("login".to_owned(), "madina".to_owned()), (field.to_owned(), value)]);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            page = madina.post(address, &fields).await;
            assert_eq!(page.status, 200, "{page:?}");
        }
        assert!(page.body.contains("<blockquote class=\"written\">Перезвонила маме</blockquote>"), "{}", page.body);
    }
}
