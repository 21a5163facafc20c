//! The log and the page of one call.

use super::*;

#[tokio::test]
async fn a_call_is_found_by_its_number_and_shows_why_and_what_the_provider_sent() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let at: Timestamp = "2026-11-21T19:40:00+03:00".parse().unwrap();
    let recording =
        Fact::Recording { id: "RE1".to_owned(), state: RecordingState::Completed, url: None, length_seconds: Some(14) };
    let delivery = told_of("CA1", "+79281234567", vec![recording, Fact::Ended], at);
    let call = school.house.store.deliver(delivery).await.unwrap().call.unwrap();

    let log = school.get("/calls?number=928+123+45+67&outcome=voicemail&line=parents", &cookie).await.text;
    assert!(log.contains("8 928 123-45-67") && log.contains("сб\u{a0}21.11, 19:40"), "{log}");
    assert!(school.get("/calls?outcome=missed", &cookie).await.text.contains("Таких звонков нет."));
    assert!(school.get("/calls?number=12", &cookie).await.text.contains("Такой номер не распознан."));

    let page = school.get(&format!("/calls/{}", call.id), &cookie).await.text;
    for words in
        ["нерабочее время: выходной; календарь 20", "Запись ещё передаётся", "в понедельник, 23 ноября", "CallSid=CA1"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("x=<script>"));

    let list = school.get("/callbacks", &cookie).await.text;
    assert!(
        list.contains("ждёт 37\u{a0}ч") && list.contains("до\u{a0}18:00") && list.contains("<title>(1) "),
        "{list}"
    );
}
