//! One number on two lines: its entries show each other, and the second officer is asked before he dials (R26).

use super::*;

/// A school of two lines, and the entries of one number on both: staff, parents.
async fn waits_on_both() -> (School, i64, i64) {
    let calendar = Calendar::new(Hours::default());
    let line = |id: &str, number: &str, title: &str| {
        Line::new(LineId::new(id), PhoneNumber::parse(number).ok(), title, calendar.clone())
    };
    let school =
        School::open_with(vec![line("staff", "89288036355", "Сотрудники"), line("parents", "89288328088", "Родители")])
            .await;
    let (staff, parents) =
        (school.waits_on("staff", "89281234567").await, school.waits_on("parents", "89281234567").await);
    (school, staff, parents)
}

#[tokio::test]
async fn list_and_card_name_the_other_line() {
    let (school, staff, parents) = waits_on_both().await;
    let cookie = school.sign_in("madina").await;
    let page = school.get(&format!("/callbacks?at={staff}"), &cookie).await.text;
    assert!(page.contains("<strong class=\"also\">ждёт также на линии «Сотрудники»</strong>"), "the row: {page}");
    assert!(page.contains("<strong>Ждёт также на линии «Родители».</strong>"), "the card: {page}");
    let jump = format!("<a class=\"jump\" href=\"/callbacks?at={parents}#c{parents}\" data-key=\"KeyL\"");
    assert!(page.contains(&jump), "{page}");
    let page = school.get("/callbacks?line=staff", &cookie).await.text;
    assert!(page.contains(&format!("href=\"/callbacks/{parents}\"")), "which this view does not show: {page}");
    school.waits_on("staff", "89631204517").await;
    let alone = school.get("/callbacks", &cookie).await.text;
    assert_eq!(alone.matches("ждёт также").count(), 2, "who waits on one line has nothing of it: {alone}");
}

#[tokio::test]
async fn a_colleague_is_asked_first_and_dials_with_a_second_step() {
    let (school, staff, parents) = waits_on_both().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let seen = school.version(parents).await;
    school.post(&format!("/callbacks/{staff}/dial"), &madina, "").await;
    let held = "ейчас звонит Мадина И., линия «Сотрудники», с\u{a0}9:12";
    let page = school.get(&format!("/callbacks?at={parents}"), &aishat).await.text;
    assert_eq!(page.matches(held).count(), 2, "row and card: {page}");
    assert!(page.contains("Всё равно позвонить") && page.contains("data-key=\"Enter\""), "{page}");

    let asked = school.post(&format!("/callbacks/{parents}/dial"), &aishat, &form(&[("version", &seen)])).await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    let question =
        format!("По этому номеру с{held}. Дождитесь, чем кончится разговор, или нажмите «Всё равно позвонить».");
    assert!(asked.text.contains(&question), "{}", asked.text);
    assert!(!asked.text.contains("data-key=\"Enter\""), "Enter does not dial by habit: {}", asked.text);
    assert_eq!(school.state(parents).await, "open");

    let confirmed = form(&[("version", &seen), ("confirm", "1")]);
    let dialled = school.post(&format!("/callbacks/{parents}/dial"), &aishat, &confirmed).await;
    assert_eq!(dialled.status, StatusCode::SEE_OTHER, "{}", dialled.text);
    assert_eq!(school.state(parents).await, "claimed");
}

#[tokio::test]
async fn number_that_a_colleague_holds_without_calling_is_told_as_held() {
    let (school, staff, parents) = waits_on_both().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    school.post(&format!("/callbacks/{staff}/claim"), &madina, "").await;
    let asked = school.post(&format!("/callbacks/{parents}/dial"), &aishat, "").await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    let held = "Этот номер сейчас в работе у коллеги: Мадина И., линия «Сотрудники», с\u{a0}9:12. Дождитесь";
    assert!(asked.text.contains(held), "{}", asked.text);
}

#[tokio::test]
async fn one_officer_goes_on_with_his_other_line_unasked() {
    let (school, staff, parents) = waits_on_both().await;
    let madina = school.sign_in("madina").await;
    school.post(&format!("/callbacks/{staff}/dial"), &madina, "").await;
    let page = school.get(&format!("/callbacks?at={parents}"), &madina).await.text;
    assert!(page.contains("Там обращение у вас, с 9:12.") && !page.contains("Всё равно позвонить"), "{page}");
    let dialled = school.post(&format!("/callbacks/{parents}/dial"), &madina, "").await;
    assert_eq!(dialled.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_answer_on_the_other_line_closes_with_one_key() {
    let (school, staff, parents) = waits_on_both().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    school.post(&format!("/callbacks/{staff}/done"), &madina, &form(&[("note", "помогли войти")])).await;
    let page = school.get("/callbacks", &aishat).await.text;
    for words in [
        "<span>Закрыто на другой линии</span>",
        "<strong class=\"reached\">уже ответили на линии «Сотрудники»</strong>",
        "<strong>Уже ответили на линии «Сотрудники».</strong> Готово сегодня, 9:12, Мадина И.: помогли войти.",
        "Закрыть так же<kbd aria-hidden=\"true\">D</kbd>",
        "Всё равно перезвонить<kbd aria-hidden=\"true\">W</kbd>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for words in ["Беру и звоню", "/no-answer", "data-key=\"Enter\""] {
        assert!(!page.contains(words), "{words}: {page}");
    }
    school.post(&format!("/callbacks/{parents}/same"), &aishat, "").await;
    assert_eq!(school.state(parents).await, "done");
    let note = &school.house.store.callback(parents).await.unwrap().unwrap().callback.desk.state;
    assert!(matches!(note, crate::core::callback::State::Done { note, .. } if note == "помогли войти"), "{note:?}");
}

#[tokio::test]
async fn a_number_just_tried_is_put_off_with_one_key() {
    let (school, staff, parents) = waits_on_both().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let seen = school.version(parents).await;
    school.post(&format!("/callbacks/{staff}/dial"), &madina, "").await;
    school.clock.set(school.clock.now() + SignedDuration::from_mins(1));
    school.post(&format!("/callbacks/{staff}/no-answer"), &madina, "").await;
    let old = school.post(&format!("/callbacks/{parents}/dial"), &aishat, &form(&[("version", &seen)])).await;
    assert_eq!(old.status, StatusCode::CONFLICT, "a page from before does not dial");
    let page = school.get(&format!("/callbacks?at={parents}"), &aishat).await.text;
    for words in [
        "<strong>Уже звонили на линии «Сотрудники».</strong> Не ответили сегодня, 9:13, Мадина И. Там отложено до\u{a0}10:13.",
        "Отложить так же, до\u{a0}10:13<kbd aria-hidden=\"true\">T</kbd>",
        "Всё равно перезвонить<kbd aria-hidden=\"true\">W</kbd>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("data-key=\"Enter\""), "{page}");
    school.post(&format!("/callbacks/{parents}/same"), &aishat, "").await;
    assert_eq!(school.state(parents).await, "later");
    let undone = school.post("/callbacks/undo", &madina, "").await;
    assert_eq!(undone.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_undone_outcome_is_proposed_no_longer() {
    let (school, staff, parents) = waits_on_both().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    school.post(&format!("/callbacks/{staff}/done"), &madina, "").await;
    school.post("/callbacks/undo", &madina, "").await;
    let page = school.get(&format!("/callbacks?at={parents}"), &aishat).await.text;
    assert!(page.contains("Беру и звоню") && !page.contains("/same"), "{page}");
    let late = school.post(&format!("/callbacks/{parents}/same"), &aishat, "").await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("там снова работают с этим номером"));
    assert_eq!(school.state(parents).await, "open");
}

#[tokio::test]
async fn paper_and_export_name_the_other_line() {
    let (school, ..) = waits_on_both().await;
    let cookie = school.sign_in("madina").await;
    let paper = school.get("/callbacks/print", &cookie).await.text;
    assert!(paper.contains("Ждёт также: «Сотрудники».") && paper.contains("Ждёт также: «Родители»."), "{paper}");
    let csv = school.get("/callbacks.csv", &cookie).await.text;
    assert!(csv.contains("Ждёт также на линии") && csv.contains(";Сотрудники\r\n"), "{csv}");
}
