//! What is true of every page.

use super::*;

#[tokio::test]
async fn names_and_notes_are_text_and_never_markup() {
    let school = School::open().await;
    let cookie = school.sign_in("aishat").await;
    let id = school.callback_of("89281234567").await;
    let page = school.get("/callbacks", &cookie).await.text;
    assert!(!page.contains("<script>alert") && page.contains("alert(1)") && page.contains("alert("));
    let note = Action::Done { note: "<img src=x onerror=alert(2)>".to_owned() };
    let store = &school.house.store;
    let by = Actor::system();
    store.act(id, None, note, Notes::default(), &by, &school.house.lines(), school.clock.now()).await.unwrap();
    let page = school.get("/callbacks?show=all", &cookie).await.text;
    assert!(!page.contains("<img") && page.contains("onerror"));
    let page = school.get("/calls?number=%22%3E%3Cscript%3E", &cookie).await.text;
    assert!(!page.contains("\"><script>"));
}

#[tokio::test]
async fn a_wrong_address_has_a_way_on() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    for address in ["/nothing", "/calls/7", "/calls/abc", "/callbacks/abc"] {
        let answer = school.get(address, &cookie).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
        assert!(answer.text.contains("Такой страницы нет.") && answer.text.contains("href=\"/callbacks\""));
    }
    let answer = school.post("/callbacks/7/dance", &cookie, "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn stylesheet_and_script_are_kept_for_good_under_their_hash() {
    let school = School::open().await;
    let page = school.get("/login", "").await.text;
    let css = page.split('"').find(|part| part.ends_with("/perezvon.css")).unwrap();
    let css = school.get(css, "").await;
    assert_eq!(css.status, StatusCode::OK);
    assert!(css.header(axum::http::header::CACHE_CONTROL).contains("immutable"));
    let older = school.get("/assets/0/perezvon.css", "").await;
    assert_eq!(older.header(axum::http::header::CACHE_CONTROL), "no-cache");
}
