//! Stories of the list on paper.

use super::*;

#[tokio::test]
async fn everybody_on_the_list_stands_on_paper_fourteen_to_a_sheet() {
    let school = School::open().await;
    let cookie = school.sign_in("head").await;
    school.callbacks_of(40).await;
    let page = school.get("/callbacks/print", &cookie).await;
    assert_eq!(page.status, StatusCode::OK);
    for sheet in 1..=3 {
        assert!(page.text.contains(&format!("Страница {sheet} из 3")), "{}", page.text);
    }
    assert_eq!(page.text.matches("Список для перезвона на 23.11.2026").count(), 5, "title, heading, three sheets");
    assert_eq!(page.text.matches("<td class=\"tel\">8 928 ").count(), 40);
    assert!(page.text.contains("<td>пн\u{a0}23.11, 9:12</td><td>до пн\u{a0}23.11, 18:00</td>"), "{}", page.text);
    assert_eq!(page.text.matches("<th scope=\"col\">Подпись</th>").count(), 3);

    sqlx::any::install_default_drivers();
    let file = format!("sqlite:{}", school._folder.path().join("perezvon.db").display());
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&file).await.unwrap();
    let kept: Vec<(String, String, String)> =
        sqlx::query_as("SELECT actor_name, object, detail FROM audit WHERE action = 'print'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(kept, [("Директор".to_owned(), "callbacks".to_owned(), "40\u{a0}обращений".to_owned())]);
}

/// More than the store gives at once.
#[tokio::test]
async fn a_long_list_is_printed_whole() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    school.callbacks_of(410).await;
    let page = school.get("/callbacks/print?line=parents", &cookie).await.text;
    assert_eq!(page.matches("<td class=\"tel\">8 928 ").count(), 410);
    assert!(page.contains("Страница 30 из 30") && page.contains("(линия «Родители»)"));
}

#[tokio::test]
async fn paper_shows_what_the_address_asks_for() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let (open, done) = (school.callback_of("89281234567").await, school.callback_of("89281234568").await);
    school.close(&[done]).await;
    school.post(&format!("/callbacks/{open}/claim"), &cookie, "").await;
    for (query, numbers, told) in [
        ("", &["8 928 123-45-67"][..], "В работе: Мадина И., с 9:12."),
        ("?show=done", &["8 928 123-45-68"], "Готово: Перезвон, 9:12."),
        ("?show=all", &["8 928 123-45-67", "8 928 123-45-68"], "открытые и сделанные сегодня"),
        ("?show=later", &[], "Всех обзвонили: в списке никого нет."),
        ("?line=staff", &[], "Страница 1 из 1"),
    ] {
        let page = school.get(&format!("/callbacks/print{query}"), &cookie).await.text;
        for number in ["8 928 123-45-67", "8 928 123-45-68"] {
            assert_eq!(page.contains(number), numbers.contains(&number), "{query} {number}: {page}");
        }
        assert!(page.contains(told), "{query} {told}: {page}");
        assert!(!page.contains("<script>alert"));
    }
}

#[tokio::test]
async fn nobody_prints_without_a_session() {
    let school = School::open().await;
    let answer = school.get("/callbacks/print?show=all", "").await;
    assert_eq!(answer.header(LOCATION), "/login?to=%2Fcallbacks%2Fprint%3Fshow%3Dall");
}
