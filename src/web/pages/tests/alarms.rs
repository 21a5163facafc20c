//! Alarms above the list.

use super::*;

/// An alarm without an end of its own stood above the list for ever.
#[tokio::test]
async fn an_alarm_that_was_read_goes_and_the_audit_keeps_who_read_it() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let store = &school.house.store;
    for n in 0..53 {
        store.raise_alarm("unknown_line", &n.to_string(), &format!("Линия {n}."), school.clock.now()).await.unwrap();
    }
    assert!(!school.get("/callbacks", &madina).await.text.contains("Прочитано"), "an officer is not asked");
    let page = school.get("/callbacks", &aishat).await.text;
    assert!(page.contains("Линия 52.") && page.contains("И ещё 3.") && !page.contains("Линия 2."), "{page}");

    let newest = store.alarms().await.unwrap()[0].id;
    let refused = school.post(&format!("/alarms/{newest}/seen"), &madina, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for _ in 0..2 {
        let seen = school.post(&format!("/alarms/{newest}/seen?line=parents"), &aishat, "").await;
        assert_eq!(seen.header(LOCATION), "/callbacks?line=parents");
    }
    let page = school.get("/callbacks", &aishat).await.text;
    assert!(!page.contains("Линия 52.") && page.contains("И ещё 2."));
    let by = Actor::system();
    assert!(!store.acknowledge_alarm(newest, &by, school.clock.now()).await.unwrap(), "once");

    sqlx::any::install_default_drivers();
    let file = format!("sqlite:{}", school._folder.path().join("perezvon.db").display());
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&file).await.unwrap();
    let kept: Vec<(String, String)> = sqlx::query_as("SELECT actor_name, detail FROM audit WHERE action = 'seen'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, [("Айшат <script>alert(1)</script>".to_owned(), "unknown_line 52".to_owned())]);
}

#[tokio::test]
async fn what_an_alarm_says_is_for_the_senior_and_its_number_for_all() {
    let school = School::open().await;
    let told = "Позвонили на незнакомый номер +79285550011.";
    school.house.store.raise_alarm("unknown_line", "1", told, school.clock.now()).await.unwrap();
    for (login, reads) in [("head", false), ("madina", false), ("aishat", true)] {
        let page = school.get("/health-ui", &school.sign_in(login).await).await;
        assert_eq!(page.text.contains("+79285550011"), reads, "{login}");
        assert_eq!(page.text.contains("Не прочитано: 1."), !reads, "{login}");
        assert!(page.text.contains("Предупреждения"), "{login}");
    }
}

#[tokio::test]
async fn the_state_of_the_house_names_the_mail() {
    let school = School::open().await;
    let page = school.get("/health-ui", &school.sign_in("head").await).await.text;
    assert!(page.contains("Почта") && page.contains("не настроена") && page.contains("Часы"), "{page}");
    assert!(!page.contains("Расшифровки"), "nobody asks for them");
}
