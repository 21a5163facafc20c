//! Stories of registering by hand and of the notes.

use super::*;
use crate::store::CallbackView;

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl School {
    async fn view(&self, id: i64) -> CallbackView {
        self.house.store.callback(id).await.unwrap().unwrap()
    }
}

/// The callback an answer leads to.
fn led_to(answer: &Answer) -> i64 {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.header(LOCATION).rsplit("#c").next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_came_in_person_stands_on_the_list_with_the_way_he_came() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let page = school.get("/callbacks/new?line=parents", &cookie).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("value=\"parents\" required checked"), "{}", page.text);
    let typed = form(&[
        ("line", "parents"),
        ("channel", "in_person"),
        ("number", "8 (928) 123-45-67"),
        ("email", ""),
        ("asker", "parent"),
        ("topic", "marks"),
        ("summary", " Не видны <b>оценки</b>. "),
        ("reference", ""),
    ]);
    let answer = school.post("/callbacks/new", &cookie, &typed).await;
    let id = led_to(&answer);
    assert_eq!(answer.header(LOCATION), format!("/callbacks?at={id}#c{id}"));
    let callback = school.view(id).await.callback;
    assert_eq!(callback.channel, Channel::InPerson);
    assert_eq!(callback.callback_number, PhoneNumber::parse("89281234567").ok());
    assert_eq!(callback.registration_number.as_deref(), Some("2026-000001"));
    let notes = &callback.desk.notes;
    assert_eq!((notes.asker.as_deref(), notes.topic.as_deref()), (Some("parent"), Some("marks")));
    assert_eq!((notes.summary.as_deref(), notes.reference.as_deref()), (Some("Не видны <b>оценки</b>."), None));
    let list = school.get(answer.header(LOCATION), &cookie).await.text;
    assert!(list.contains("Лично") && list.contains("оценки"));
}

#[tokio::test]
async fn who_left_only_an_address_of_e_mail_can_be_answered() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let typed = form(&[("line", "parents"), ("channel", "email"), ("email", "mama@mail.ru")]);
    let id = led_to(&school.post("/callbacks/new", &cookie, &typed).await);
    let callback = school.view(id).await.callback;
    assert_eq!(callback.desk.notes.summary.as_deref(), Some("Ответить на почту: mama@mail.ru"));
    assert_eq!(callback.callback_number, None);
}

#[tokio::test]
async fn all_mistakes_are_told_at_once_above_what_was_typed() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let long = "о".repeat(2001);
    for (typed, told) in [
        (
            vec![],
            &["#line\">Выберите линию.", "#channel\">Выберите, как обратились.", "#number\">Укажите телефон, адрес"][..],
        ),
        (
            vec![("line", "nobody"), ("channel", "pigeon"), ("number", "123<i>"), ("email", "@"), ("asker", "x")],
            &["#line\"", "#channel\"", "#number\">Телефон не распознан.", "#email\">Адрес почты", "#asker\">Выберите"],
        ),
        (
            vec![("line", "parents"), ("channel", "meeting"), ("number", "tel:89288328088")],
            &["#number\">Это номер самой линии."],
        ),
        (
            vec![("line", "parents"), ("channel", "meeting"), ("summary", &long), ("email", "mama@mail.ru")],
            &["#summary\">«Суть вопроса»: не больше 2000"],
        ),
    ] {
        let answer = school.post("/callbacks/new", &cookie, &form(&typed)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        for words in told {
            assert!(answer.text.contains(words), "{words}: {}", answer.text);
        }
        assert_eq!(answer.text.matches("<li><a href=\"#").count(), told.len(), "{}", answer.text);
        assert!(answer.text.contains("<title>Ошибка: ") && answer.text.contains("tabindex=\"-1\" autofocus"));
        for (name, value) in typed.iter().filter(|(name, _)| *name == "number" || *name == "email") {
            assert!(answer.text.contains(&value.replace('<', "&#60;").replace('>', "&#62;")), "{name} stays");
        }
    }
    assert_eq!(school.house.store.count_open(school.clock.now()).await.unwrap(), [], "nothing was registered");
}

/// PostgreSQL keeps no such character in a text.
#[tokio::test]
async fn a_character_that_cannot_be_kept_is_a_mistake_of_its_field() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let typed = form(&[("line", "parents"), ("channel", "meeting"), ("summary", "до\0ма")]);
    let refused = school.post("/callbacks/new", &cookie, &typed).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("В поле «summary»"), "{}", refused.text);
    assert_eq!(school.house.store.count_open(school.clock.now()).await.unwrap(), [], "nothing was registered");
}

#[tokio::test]
async fn a_second_request_of_a_number_joins_the_first_and_clears_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let first = school.callback_of("89281234567").await;
    let typed = form(&[("line", "parents"), ("channel", "meeting"), ("number", "89281234567"), ("topic", "other")]);
    assert_eq!(led_to(&school.post("/callbacks/new", &cookie, &typed).await), first);
    let notes = school.view(first).await.callback.desk.notes;
    assert_eq!(notes.topic.as_deref(), Some("other"));
    assert!(notes.summary.is_some_and(|summary| summary.contains("сводка")));
    let long = "о".repeat(2000);
    let typed = form(&[("line", "parents"), ("channel", "meeting"), ("number", "89281234567"), ("summary", &long)]);
    let refused = school.post("/callbacks/new", &cookie, &typed).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Слишком длинно") && refused.text.contains(&long));
}

#[tokio::test]
async fn notes_are_changed_and_cleared_and_a_colleagues_change_is_not_written_over_unseen() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    let address = format!("/callbacks/{id}/notes");
    let page = school.get(&address, &madina).await.text;
    assert!(page.contains("alert(&#39;сводка&#39;)") && page.contains("name=\"version\" value=\"2\""), "{page}");

    let first = form(&[("version", "2"), ("asker", "parent"), ("topic", ""), ("summary", ""), ("reference", "2026-7")]);
    let saved = school.post(&address, &madina, &first).await;
    assert_eq!(saved.header(LOCATION), format!("/callbacks?at={id}#c{id}"), "{}", saved.text);
    let notes = school.view(id).await.callback.desk.notes;
    assert_eq!(
        (notes.asker.as_deref(), notes.summary, notes.reference.as_deref()),
        (Some("parent"), None, Some("2026-7"))
    );

    let second = form(&[("version", "2"), ("asker", "employee"), ("summary", "Моё")]);
    let refused = school.post(&address, &aishat, &second).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    for words in ["оно изменилось", "Моё", "value=\"employee\" selected", "name=\"version\" value=\"3\""]
    {
        assert!(refused.text.contains(words), "{words}: {}", refused.text);
    }
    assert_eq!(school.view(id).await.callback.desk.notes.asker.as_deref(), Some("parent"));

    school.close(&[id]).await;
    let closed = school.post(&address, &madina, &form(&[("topic", "other")])).await;
    assert_eq!(closed.header(LOCATION), format!("/callbacks/{id}"), "what is closed stands in the view of all");
    let there = school.get(&format!("/callbacks/{id}"), &madina).await;
    assert_eq!(there.header(LOCATION), format!("/callbacks?show=all&at={id}#c{id}"));
}

#[tokio::test]
async fn an_observer_registers_and_notes_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("head").await;
    let id = school.callback_of("89281234567").await;
    for address in ["/callbacks/new".to_owned(), format!("/callbacks/{id}/notes")] {
        assert_eq!(school.get(&address, &cookie).await.status, StatusCode::FORBIDDEN);
        let answer = school.post(&address, &cookie, &form(&[("line", "parents"), ("summary", "x")])).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(school.view(id).await.callback.version, 2);
}
