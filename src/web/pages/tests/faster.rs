//! Two officers at one entry: the slower one is told who was faster, and loses nothing.

use super::*;

#[tokio::test]
async fn the_note_of_the_slower_one_is_kept_in_the_history() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    for (at, text, told) in [
        ("done", "про оценки", "Пока вы писали, Мадина И. закрыла обращение. Ваша заметка сохранена в истории."),
        ("decline", "не про нас", "Пока вы писали, Мадина И. закрыла обращение. Ваша заметка сохранена в истории."),
    ] {
        let seen = school.version(id).await;
        school.post(&format!("/callbacks/{id}/done"), &madina, &form(&[("note", "помогли")])).await;
        let sent = form(&[("version", &seen), ("note", text), ("reason", "not_a_request")]);
        let late = school.post(&format!("/callbacks/{id}/{at}"), &aishat, &sent).await;
        assert_eq!(late.status, StatusCode::CONFLICT);
        assert!(late.text.contains(told), "{at}: {}", late.text);
        let history = school.house.store.callback(id).await.unwrap().unwrap().history;
        let kept = history.last().unwrap();
        assert_eq!((kept.kind.as_str(), kept.note.as_str()), ("note", text));
        assert!(kept.by.name.starts_with("Айшат"));
        school.post(&format!("/callbacks/{id}/reopen"), &madina, "").await;
    }
}

#[tokio::test]
async fn a_note_beside_a_lost_claim_is_kept_and_the_entry_stays_with_its_officer() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    let seen = school.version(id).await;
    school.post(&format!("/callbacks/{id}/dial"), &madina, "").await;
    let sent = form(&[("version", &seen), ("note", "перезвонить после уроков")]);
    let late = school.post(&format!("/callbacks/{id}/no-answer"), &aishat, &sent).await;
    let told = "Пока вы писали, Мадина И. взяла обращение. Ваша заметка сохранена в истории.";
    assert!(late.text.contains(told), "{}", late.text);
    assert!(late.text.contains("заметка, Айшат") && late.text.contains("(перезвонить после уроков)"), "{}", late.text);
    assert_eq!(school.state(id).await, "claimed");
    let without = school.post(&format!("/callbacks/{id}/done"), &aishat, &form(&[("version", &seen)])).await;
    assert!(without.text.contains("Это обращение уже взяла Мадина И. в 9:12."));
}

#[tokio::test]
async fn what_was_typed_stays_in_its_field_while_the_entry_can_still_be_worked() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let id = school.callback_of("89281234567").await;
    let seen = school.version(id).await;
    school.callback_of("89281234567").await;
    let late =
        school.post(&format!("/callbacks/{id}/done"), &madina, &form(&[("version", &seen), ("note", "помогли")])).await;
    assert!(late.text.contains("То, что вы написали, осталось в поле.") && late.text.contains("value=\"помогли\""));
    assert!(school.house.store.callback(id).await.unwrap().unwrap().history.iter().all(|step| step.kind != "note"));
}

/// Reloading the answer to a refused form was a blank 405.
#[tokio::test]
async fn who_reloads_after_a_refusal_comes_back_to_the_entry() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let id = school.callback_of("89281234567").await;
    for verb in ["done", "decline", "undo"] {
        let again = school.get(&format!("/callbacks/{id}/{verb}"), &madina).await;
        assert_eq!(again.header(LOCATION), format!("/callbacks?show=all&at={id}#c{id}"), "{verb}");
    }
    for address in ["/callbacks/undo", "/alarms/7/seen"] {
        assert_eq!(school.get(address, &madina).await.header(LOCATION), "/callbacks", "{address}");
    }
}

#[tokio::test]
async fn an_entry_handed_over_stands_with_the_colleague_until_it_is_taken_back() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    let officers = school.house.store.officers().await.unwrap();
    let of = |login: &str| officers.iter().find(|officer| officer.login == login).unwrap().id.to_string();
    let page = school.get("/callbacks", &madina).await.text;
    assert!(page.contains(&format!("name=\"to\" value=\"{}\" data-digit=\"1\"", of("aishat"))), "{page}");
    assert!(!page.contains(&of("head")), "an observer works no list");
    for to in [of("head"), "7".to_owned(), String::new()] {
        let refused = school.post(&format!("/callbacks/{id}/hand-over"), &madina, &form(&[("to", &to)])).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains("Выберите, кому передать."));
    }
    let handed = school.post(&format!("/callbacks/{id}/hand-over"), &madina, &form(&[("to", &of("aishat"))])).await;
    assert_eq!(handed.header(LOCATION), format!("/callbacks?did={id}"));
    let page = school.get(&format!("/callbacks?did={id}"), &madina).await.text;
    assert!(page.contains("Сейчас звонят другие") && page.contains("с 9:12 (освободится в 9:27)"), "{page}");
    assert!(page.contains("«Передать коллеге»") && page.contains("Теперь обращение у коллеги: Айшат"), "{page}");
    let lost = school.post(&format!("/callbacks/{id}/dial"), &madina, "").await;
    assert!(lost.text.contains("Это обращение уже взяла Айшат"));
    assert!(school.get("/callbacks", &aishat).await.text.contains("у вас в работе с 9:12"));
    school.post("/callbacks/undo", &madina, "").await;
    assert_eq!(school.state(id).await, "open");
}
