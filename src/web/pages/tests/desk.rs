//! One entry of the list, worked with plain forms.

use super::*;

#[tokio::test]
async fn an_entry_is_taken_done_undone_and_done_again_with_plain_forms() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let (first, second) = (school.callback_of("89281234567").await, school.callback_of("89631204517").await);

    let taken = school.post(&format!("/callbacks/{first}/claim?line=parents"), &cookie, "version=2").await;
    assert_eq!(taken.header(LOCATION), format!("/callbacks?line=parents&at={first}#c{first}"));
    let list = school.get(&format!("/callbacks?at={first}"), &cookie).await.text;
    assert!(list.contains("<title>(2) Перезвонить</title>"), "{list}");
    assert!(list.contains("href=\"tel:+79281234567\"") && !list.contains("href=\"tel:+79631204517\""));

    let form = format!("version=3&next={second}&note=%D0%BF%D0%BE%D0%BC%D0%BE%D0%B3%D0%BB%D0%B8");
    let done = school.post(&format!("/callbacks/{first}/done"), &cookie, &form).await;
    assert_eq!(done.header(LOCATION), format!("/callbacks?at={second}&did={first}#c{second}"));
    assert_eq!(school.state(first).await, "done");
    let list = school.get(&format!("/callbacks?at={second}&did={first}"), &cookie).await.text;
    assert!(list.contains("«Готово», 8 928 123-45-67") && list.contains("сделано 1"), "{list}");
    assert!(school.get("/callbacks?show=done", &cookie).await.text.contains("помогли"));

    let undone = school.post(&format!("/callbacks/{first}/undo"), &cookie, "version=4").await;
    assert_eq!(undone.status, StatusCode::SEE_OTHER);
    assert_eq!(school.state(first).await, "claimed");
}

#[tokio::test]
async fn what_was_refused_is_told_and_what_was_typed_is_kept() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    school.post(&format!("/callbacks/{id}/claim"), &madina, "version=2").await;

    let lost = school.post(&format!("/callbacks/{id}/claim"), &aishat, "version=3").await;
    assert_eq!(lost.status, StatusCode::CONFLICT);
    let taken = "Это обращение уже взяла Мадина И. в 9:12. Можно слушать, звонить пока не нужно.";
    assert!(lost.text.contains(taken), "{}", lost.text);
    let older = school.post(&format!("/callbacks/{id}/dial"), &aishat, "version=2").await;
    assert!(older.status == StatusCode::CONFLICT && older.text.contains(taken), "a page from before says the same");

    let stale = school.post(&format!("/callbacks/{id}/done"), &madina, "version=2&note=typed+words").await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(
        stale.text.contains("Пока вы работали с обращением, оно изменилось")
            && stale.text.contains("value=\"typed words\"")
    );

    let no_note = school.post(&format!("/callbacks/{id}/decline"), &madina, "version=3&reason=not_enough_data").await;
    assert_eq!(no_note.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(no_note.text.contains("Нужна заметка"));
    assert!(no_note.text.contains("value=\"not_enough_data\" required checked"), "{}", no_note.text);

    let no_time = school.post(&format!("/callbacks/{id}/later"), &madina, "version=3&when=at&until=soon").await;
    assert!(no_time.text.contains("Выберите, до какого времени отложить."));
    let past =
        school.post(&format!("/callbacks/{id}/later"), &madina, "version=3&when=at&until=2026-11-20T10:00").await;
    assert!(past.text.contains("Это время уже прошло"), "{}", past.status);
    assert_eq!(school.state(id).await, "claimed");
}

#[tokio::test]
async fn an_observer_reads_and_changes_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("head").await;
    let id = school.callback_of("89281234567").await;
    let list = school.get("/callbacks", &cookie).await;
    assert!(list.text.contains("8 928 123-45-67") && !list.text.contains("Беру и звоню"));
    let refused = school.post(&format!("/callbacks/{id}/claim"), &cookie, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("нужна роль «Сотрудник»"));
    assert_eq!(school.state(id).await, "open");
}

/// Nine entries with all their forms were 58 kB.
#[tokio::test]
async fn only_the_unfolded_entry_carries_its_forms() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let ids = school.callbacks_of(200).await;
    let page = school.get(&format!("/callbacks?at={}", ids[7]), &cookie).await.text;
    assert_eq!(page.matches("Беру и звоню").count(), 1);
    assert!(page.contains(&format!("action=\"/callbacks/{}/dial", ids[7])));
    assert!(page.contains(&format!("/callbacks?at={}#c{}\"", ids[8], ids[8])), "the others are links");
    assert!(page.len() < 200 * 1024, "{} bytes", page.len());
}

#[tokio::test]
async fn who_got_through_by_himself_is_not_called_again_by_habit() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let deliver = async |sid: &str, facts: Vec<Fact>| {
        let delivery = told_of(sid, "+79281234567", facts, school.clock.now());
        school.house.store.deliver(delivery).await.unwrap().call.unwrap()
    };
    let missed = Fact::Rang { ringing: Ringing::NoAnswer, talk_seconds: None };
    let id = deliver("CA1", vec![missed, Fact::Ended]).await.callback_id.unwrap();
    school.clock.set(school.clock.now() + SignedDuration::from_mins(5));
    let talk = Fact::Rang { ringing: Ringing::Answered, talk_seconds: Some(180) };
    deliver("CA2", vec![Fact::Answered, talk, Fact::Ended]).await;

    let page = school.get("/callbacks", &cookie).await.text;
    assert!(page.contains("<strong class=\"reached\">Дозвонились сами</strong>"), "on the folded line too: {page}");
    for words in ["говорили сегодня", "Закрыть", "Всё равно перезвонить"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for words in ["Беру и звоню", "/no-answer", "data-key=\"Enter\""] {
        assert!(!page.contains(words), "{words}: {page}");
    }

    let anyway = school.post(&format!("/callbacks/{id}/call-anyway"), &cookie, "").await;
    assert_eq!(anyway.header(LOCATION), format!("/callbacks?at={id}#c{id}"));
    assert_eq!(school.state(id).await, "claimed");
    let page = school.get(&format!("/callbacks?at={id}"), &cookie).await.text;
    assert!(page.contains("href=\"tel:+79281234567\"") && !page.contains("/call-anyway"), "{page}");
}

#[tokio::test]
async fn dialling_claims_and_counts_one_attempt_however_it_ends() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let id = school.callback_of("89281234567").await;
    school.post(&format!("/callbacks/{id}/dial"), &madina, "").await;
    let page = school.get("/callbacks", &madina).await.text;
    assert!(page.contains("попытка 1, 9:12") && page.contains("href=\"tel:+79281234567\""), "{page}");
    school.post(&format!("/callbacks/{id}/no-answer"), &madina, "").await;
    let page = school.get("/callbacks?show=later", &madina).await.text;
    assert!(page.contains("попыток 1 (сегодня, 9:12)"), "{page}");
    school.post(&format!("/callbacks/{id}/no-answer"), &madina, "").await;
    assert!(school.get("/callbacks?show=later", &madina).await.text.contains("попыток 2 (сегодня, 9:12)"));
}

#[tokio::test]
async fn after_three_vain_attempts_on_two_days_closing_is_offered() {
    let school = School::open().await;
    let offered =
        async |cookie: &str| school.get("/callbacks?show=later", cookie).await.text.contains("Закрыть: не дозвонились");
    let madina = school.sign_in("madina").await;
    let id = school.callback_of("89281234567").await;
    for _ in 0..3 {
        school.post(&format!("/callbacks/{id}/no-answer"), &madina, "").await;
    }
    assert!(!offered(&madina).await, "all on one day");
    let page = school.get("/callbacks?show=later", &madina).await.text;
    assert!(!page.contains("value=\"not_reached\""), "nor among the reasons");
    let refused = school.post(&format!("/callbacks/{id}/decline"), &madina, "reason=not_reached").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    school.clock.set(school.clock.now() + SignedDuration::from_hours(24));
    let madina = school.sign_in("madina").await;
    school.post(&format!("/callbacks/{id}/no-answer"), &madina, "").await;
    assert!(offered(&madina).await);
    school.post(&format!("/callbacks/{id}/decline"), &madina, "reason=not_reached").await;
    assert_eq!(school.state(id).await, "declined");
}

#[tokio::test]
async fn a_refusal_for_want_of_a_note_says_which_note() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let id = school.callback_of("89281234567").await;
    for (reason, told) in [
        ("not_enough_data", "Нужна заметка: напишите одним предложением, чего не хватает."),
        ("not_constructive", "Нужна заметка: напишите одним предложением, как был задан вопрос."),
        ("already_answered", "Укажите, где уже есть ответ"),
    ] {
        let refused = school.post(&format!("/callbacks/{id}/decline"), &madina, &form(&[("reason", reason)])).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains(told), "{reason}: {}", refused.text);
    }
}

/// On Friday evening an hour later and the next day were both Monday, 9:00.
#[tokio::test]
async fn no_two_choices_of_putting_off_lead_to_the_same_instant() {
    let school = School::open().await;
    school.callback_of("89281234567").await;
    for (now, labels) in [
        ("2026-11-23T09:12:00+03:00", &["На час, до 10:12", "После обеда, до 14:00", "На следующий день, до вт"][..]),
        ("2026-11-23T13:00:00+03:00", &["На час, до 14:00", "На следующий день, до вт"]),
        ("2026-11-20T19:30:00+03:00", &["На час, до пн"]),
    ] {
        school.clock.set(now.parse().unwrap());
        let madina = school.sign_in("madina").await;
        let page = school.get("/callbacks", &madina).await.text.replace('\u{a0}', " ");
        let shown =
            ["На час, до", "После обеда, до", "На следующий день, до"].iter().filter(|label| page.contains(**label));
        assert_eq!(shown.count(), labels.len(), "{now}");
        assert!(labels.iter().all(|label| page.contains(label)), "{now}");
    }
}

/// It went as soon as another line was chosen.
#[tokio::test]
async fn the_unknown_line_can_be_chosen_while_somebody_waits_there_and_while_it_is_chosen() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let has_it = |answer: Answer| answer.text.contains("line=unknown");
    assert!(!has_it(school.get("/callbacks", &madina).await));
    assert!(has_it(school.get("/callbacks?line=unknown", &madina).await), "chosen and empty");
    let mut delivery = told_of("CA1", "+79281234567", vec![Fact::Ended], school.clock.now());
    for event in &mut delivery.events {
        if let Fact::Parties { dialled, .. } = &mut event.fact {
            *dialled = "+78712000199".to_owned();
        }
    }
    school.house.store.deliver(delivery).await.unwrap();
    assert!(has_it(school.get("/callbacks?line=parents", &madina).await));
}

#[tokio::test]
async fn overdue_entries_are_counted_and_stand_first_and_what_became_due_stands_among_the_open() {
    let school = School::open().await;
    let (first, second) = (school.callback_of("89281234567").await, school.callback_of("89631204517").await);
    let madina = school.sign_in("madina").await;
    let put_off = school.post(&format!("/callbacks/{second}/later"), &madina, "when=hour").await;
    assert_eq!(put_off.status, StatusCode::SEE_OTHER);
    school.clock.set("2026-11-24T09:05:00+03:00".parse().unwrap());
    let third = school.callback_of("89631204518").await;
    let madina = school.sign_in("madina").await;
    let page = school.get("/callbacks", &madina).await.text;
    let places = [first, second, third].map(|id| page.find(&format!("id=\"c{id}\"")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    assert!(
        page.contains("Осталось 3") && page.contains("просрочено 2") && page.contains("первый срок 18:00"),
        "{page}"
    );
    assert!(page.contains("просрочено на\u{a0}15\u{a0}ч 5\u{a0}мин") && !page.contains("Отложенные</span>"));
}

/// «Готово» went on to an entry that a colleague held.
#[tokio::test]
async fn after_an_entry_comes_the_next_that_can_be_worked() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let ids = school.callbacks_of(3).await;
    school.post(&format!("/callbacks/{}/claim", ids[1]), &aishat, "").await;
    let page = school.get(&format!("/callbacks?at={}", ids[0]), &madina).await.text;
    assert!(page.contains(&format!("name=\"next\" value=\"{}\"", ids[2])), "{page}");
    let page = school.get(&format!("/callbacks?at={}", ids[2]), &madina).await.text;
    assert!(page.contains(&format!("name=\"next\" value=\"{}\"", ids[0])), "{page}");
}

#[tokio::test]
async fn the_page_in_hand_keeps_its_entry_though_it_was_closed_meanwhile() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let ids = school.callbacks_of(2).await;
    school.close(&ids[..1]).await;
    let shown = |page: Answer| page.text.contains(&format!("id=\"c{}\" open", ids[0]));
    assert!(!shown(school.get(&format!("/callbacks?at={}", ids[0]), &madina).await));
    assert!(shown(school.get(&format!("/callbacks?at={}&keep=1", ids[0]), &madina).await));
}

/// The page asks for the list again a moment later, with the entry that its address names.
#[tokio::test]
async fn everybody_stays_called_after_the_last_one() {
    let school = School::open().await;
    let id = school.callback_of("+79280000001").await;
    let cookie = school.sign_in("madina").await;
    let done =
        school.post(&format!("/callbacks/{id}/done"), &cookie, "note=%D0%BF%D0%BE%D0%BC%D0%BE%D0%B3%D0%BB%D0%B8").await;
    let address = done.header(LOCATION);
    assert!(done.status == StatusCode::SEE_OTHER && !address.contains("at="), "{address}");
    let page = school.get(&format!("{address}&keep=1"), &cookie).await.text;
    assert!(page.contains("Всех обзвонили.") && !page.contains(&format!("id=\"c{id}\"")), "{page}");
}
