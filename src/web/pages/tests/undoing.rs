//! «Отменить»: every own step of the day, the last one first, wherever its entry stands now.

use super::*;

impl School {
    /// The version of the entry, as its forms carry it.
    pub(super) async fn version(&self, id: i64) -> String {
        self.house.store.callback(id).await.unwrap().unwrap().callback.version.to_string()
    }
}

#[tokio::test]
async fn the_last_own_step_is_taken_back_though_its_entry_has_left_the_list() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let (first, second) = (school.callback_of("89281234567").await, school.callback_of("89631204517").await);
    school.post(&format!("/callbacks/{first}/dial"), &madina, "").await;
    school.post(&format!("/callbacks/{first}/done"), &madina, "").await;
    school.post(&format!("/callbacks/{second}/no-answer"), &madina, "").await;

    let undone = school.post("/callbacks/undo?line=parents", &madina, "").await;
    assert_eq!(undone.header(LOCATION), format!("/callbacks?line=parents&at={second}&undone={second}#c{second}"));
    let page = school.get(&format!("/callbacks?at={second}&undone={second}"), &madina).await.text;
    assert!(page.contains("Отменено: «Не дозвонились», 8 963 120-45-17."), "{page}");
    school.post("/callbacks/undo", &madina, "").await;
    assert_eq!((school.state(first).await, school.state(second).await), ("claimed", "open"));
    school.post("/callbacks/undo", &madina, "").await;
    assert_eq!(school.state(first).await, "open");
    let nothing = school.post("/callbacks/undo", &madina, "").await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    assert!(nothing.text.contains("Отменить нечего"), "{}", nothing.text);
}

#[tokio::test]
async fn a_step_from_which_a_colleague_has_gone_on_stays() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    school.post(&format!("/callbacks/{id}/no-answer"), &madina, "").await;
    school.post(&format!("/callbacks/{id}/dial"), &aishat, "").await;
    let refused = school.post("/callbacks/undo", &madina, "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("Отменить уже нельзя: после вас с обращением работали дальше"), "{}", refused.text);
    assert_eq!(school.state(id).await, "claimed");
}

#[tokio::test]
async fn twenty_steps_go_back_and_the_twenty_first_and_yesterdays_stay() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let ids = school.callbacks_of(21).await;
    for id in &ids {
        school.post(&format!("/callbacks/{id}/done"), &madina, "").await;
    }
    for _ in 0..20 {
        assert_eq!(school.post("/callbacks/undo", &madina, "").await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(school.post("/callbacks/undo", &madina, "").await.status, StatusCode::CONFLICT);
    assert_eq!((school.state(ids[0]).await, school.state(ids[1]).await), ("done", "open"));

    school.post(&format!("/callbacks/{}/done", ids[1]), &madina, "").await;
    school.clock.set(school.clock.now() + SignedDuration::from_hours(24));
    let madina = school.sign_in("madina").await;
    assert_eq!(school.post("/callbacks/undo", &madina, "").await.status, StatusCode::CONFLICT);
    assert_eq!(school.state(ids[1]).await, "done");
}

#[tokio::test]
async fn a_note_may_follow_a_closure_and_is_no_step_of_its_own() {
    let school = School::open().await;
    let madina = school.sign_in("madina").await;
    let id = school.callback_of("89281234567").await;
    school.post(&format!("/callbacks/{id}/done"), &madina, "").await;
    let page = school.get(&format!("/callbacks?did={id}"), &madina).await.text;
    assert!(page.contains(&format!("action=\"/callbacks/{id}/note\"")), "{page}");
    let noted = school.post(&format!("/callbacks/{id}/note"), &madina, &form(&[("note", "перезвонила мама")])).await;
    assert_eq!(noted.header(LOCATION), "/callbacks");
    assert!(school.get(&format!("/callbacks?show=done&at={id}"), &madina).await.text.contains("(перезвонила мама)"));
    school.post("/callbacks/undo", &madina, "").await;
    assert_eq!(school.state(id).await, "open", "the closure is what was taken back");
}
