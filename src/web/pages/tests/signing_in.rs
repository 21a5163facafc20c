//! Who comes in, how, and for how long.

use std::net::IpAddr;

use axum::http::header::RETRY_AFTER;

use super::*;
use crate::web::login_throttle::Origin;
use crate::web::{MAX_HASHING, MAX_WAITING_TO_HASH};

#[tokio::test]
async fn who_has_the_password_gets_a_session_and_the_list() {
    let school = School::open().await;
    let answer = school.try_to_sign_in([192, 0, 2, 1], "madina", PASSWORD).await;
    assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, "/callbacks"));
    let cookie = answer.header(SET_COOKIE);
    for attribute in ["perezvon_device=", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=15552000", "Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let list = school.get("/callbacks", &answer.cookie()).await;
    assert_eq!(list.status, StatusCode::OK);
    for words in
        ["Мадина И.", "Перезвонить сегодня, понедельник 23 ноября", "Сейчас рабочее время, до", "Всех обзвонили."]
    {
        assert!(list.text.contains(words), "{words}");
    }
    assert!(list.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    assert!(!list.header(CONTENT_SECURITY_POLICY).contains("unsafe"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_read_the_same() {
    let school = School::open().await;
    for (login, password) in [("madina", "неправильный"), ("nobody", PASSWORD), ("", ""), ("madina", "")] {
        let answer = school.try_to_sign_in([192, 0, 2, 1], login, password).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{login}");
        assert!(answer.text.contains("Логин или пароль не подходят."));
        assert!(answer.headers.get(SET_COOKIE).is_none());
    }
}

#[tokio::test]
async fn after_ten_failures_even_the_right_password_waits_a_quarter_of_an_hour() {
    let school = School::open().await;
    for _ in 0..10 {
        school.try_to_sign_in([192, 0, 2, 7], "madina", "x").await;
    }
    let refused = school.try_to_sign_in([192, 0, 2, 7], "madina", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.text.contains("Подождите 15\u{a0}минут"), "{}", refused.text);
    let elsewhere = school.try_to_sign_in([192, 0, 2, 8], "madina", PASSWORD).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER);
    school.clock.set(school.clock.now() + SignedDuration::from_mins(15));
    let later = school.try_to_sign_in([192, 0, 2, 7], "madina", PASSWORD).await;
    assert_eq!(later.status, StatusCode::SEE_OTHER);
}

/// Threat: so many sign-ins at once that the service runs out of memory, or that they wait without end.
#[tokio::test]
async fn one_too_many_at_once_is_asked_to_wait_and_loses_nothing() {
    let school = School::open().await;
    let origin = Origin::address(IpAddr::from([192, 0, 2, 7]));
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
    for _ in 0..MAX_HASHING + MAX_WAITING_TO_HASH {
        let (house, ended) = (school.house.clone(), ended.clone());
        tokio::spawn(async move { house.hashing.of(origin).run(origin, move || ended.lock().unwrap().recv()).await });
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        let refused = school.try_to_sign_in([192, 0, 2, 7], "madina", PASSWORD).await;
        assert_eq!((refused.status, refused.header(RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "5"));
        assert!(refused.text.contains("Подождите несколько секунд") && refused.text.contains("value=\"madina\""));
    }
    drop(end);
    // The first from elsewhere comes in between, and none of the twenty counts as a failure.
    for from in [[192, 0, 2, 8], [192, 0, 2, 7]] {
        assert_eq!(school.try_to_sign_in(from, "madina", PASSWORD).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn pages_are_for_those_who_are_signed_in() {
    let school = School::open().await;
    for (address, way_in) in [
        ("/callbacks", "/login?to=%2Fcallbacks"),
        ("/callbacks/7", "/login?to=%2Fcallbacks%2F7"),
        ("/calls?line=parents", "/login?to=%2Fcalls%3Fline%3Dparents"),
        ("/calls/7", "/login?to=%2Fcalls%2F7"),
    ] {
        let answer = school.get(address, "__Host-perezvon_session=0123456789abcdef").await;
        assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, way_in));
        assert!(!answer.text.contains("Перезвонить"));
    }
    let id = school.callback_of("89281234567").await;
    let answer = school.post(&format!("/callbacks/{id}/done"), "", "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("<h1>Вход</h1>"));
    assert_eq!(school.state(id).await, "open");
}

#[tokio::test]
async fn a_session_ends_by_signing_out_by_time_by_a_new_password_and_with_its_officer() {
    let school = School::open().await;
    let signed_in = async |cookie: &str| school.get("/callbacks", cookie).await.status == StatusCode::OK;

    let (one, two) = (school.sign_in("madina").await, school.sign_in("madina").await);
    assert_ne!(one, two, "each sign-in has an id of its own");
    assert_eq!(school.post("/logout", &one, "").await.header(LOCATION), "/login");
    assert!(!signed_in(&one).await && signed_in(&two).await);

    school.clock.set(school.clock.now() + SignedDuration::from_hours(12));
    assert!(!signed_in(&two).await);

    let three = school.sign_in("madina").await;
    assert!(school.house.store.set_password("madina", &password::hash("новый"), school.clock.now()).await.unwrap());
    assert!(!signed_in(&three).await);

    let four = school.sign_in("aishat").await;
    assert!(school.house.store.disable_officer("aishat", school.clock.now()).await.unwrap());
    assert!(!signed_in(&four).await);
    let refused = school.try_to_sign_in([192, 0, 2, 1], "aishat", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_form_on_another_site_changes_nothing() {
    let school = School::open().await;
    let (cookie, id) = (school.sign_in("madina").await, school.callback_of("89281234567").await);
    let address = format!("/callbacks/{id}/done");
    for (header, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        let request = Request::post(&address).header(COOKIE, &cookie).header("host", "calls.example.org");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(header, value);
        let answer = school.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{header}: {value}");
        assert!(answer.text.contains("Запрос пришёл с другого сайта"));
    }
    assert_eq!(school.state(id).await, "open");
    let behind_proxy = Request::post(&address).header(COOKIE, &cookie).header("host", "127.0.0.1:8080");
    let behind_proxy = behind_proxy.header("origin", "https://calls.example.org");
    let behind_proxy = behind_proxy.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(school.send(behind_proxy.body(Body::empty()).unwrap()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(school.state(id).await, "done");
}
