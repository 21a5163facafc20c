//! A number on the pages of calls and callers leads to the callback that waits for it, so that nobody dials it past a colleague
//! (R26).

use perezvon::core::callback::Action;
use perezvon::core::line::LineId;
use perezvon::core::officer::{Actor, Role};

use crate::harness::{App, Form, PARENTS, STAFF, monday, stories};

const CALLER: &str = "+79280000001";
const DIALS: &str = "href=\"tel:+79280000001\"";

/// The caller has hung up in the greeting of this line. The callback and the call.
async fn waits_on(app: &App, line: &str) -> (i64, i64) {
    app.clock.set(monday("09:00"));
    let sid = format!("CA{line}");
    app.post("status", &Form::call(&sid).from(CALLER).to(line).status("completed")).await;
    app.leave_the_jobs().await;
    let call = app.call(&sid).await;
    (call.callback_id.unwrap(), call.id)
}

fn title(app: &App, line: &str) -> String {
    app.lines().by_id(&LineId::new(line)).title.clone()
}

/// What the pages of this call and of its caller say.
async fn pages(app: &App, call: i64) -> [String; 3] {
    let mut browser = app.browser("Мадина И.", Role::Officer).await;
    let caller = format!("/callers/{call}");
    let mut pages = [format!("/calls/{call}"), format!("{caller}?fragment=1"), caller];
    for page in &mut pages {
        *page = browser.get(page).await.body;
    }
    pages
}

stories! {
    async fn number_that_waits_leads_to_its_callback(app) {
        let (callback, call) = waits_on(app, PARENTS).await;
        let note = format!("Этот номер ждёт звонка: линия «{}». Звоните из обращения", title(app, "parents"));
        for page in pages(app, call).await {
            assert!(page.contains(&format!("href=\"/callbacks/{callback}\"")) && page.contains(&note), "{page}");
            assert!(!page.contains(DIALS), "{page}");
        }
    }

    async fn number_that_a_colleague_calls_is_told_with_his_name(app) {
        let (staff, _) = waits_on(app, STAFF).await;
        let (_, call) = waits_on(app, PARENTS).await;
        app.act(staff, &Actor::officer(2, "Айшат М."), Action::Dial).await.unwrap();
        let line = title(app, "staff");
        let note = format!("По этому номеру сейчас звонит Айшат М., линия «{line}», с\u{a0}9:00. <a href=\"/callbacks/{staff}\">");
        for page in pages(app, call).await {
            assert!(page.contains(&note) && !page.contains(DIALS), "{page}");
        }
    }

    async fn number_that_an_officer_holds_leads_him_to_his_callback(app) {
        waits_on(app, STAFF).await;
        let (parents, call) = waits_on(app, PARENTS).await;
        let mut madina = app.browser("Мадина И.", Role::Officer).await;
        assert_eq!(madina.post(&format!("/callbacks/{parents}/claim"), &[]).await.status, 303);
        let page = madina.get(&format!("/calls/{call}")).await.body;
        let note = format!("Обращение с этим номером у вас, линия «{}», с\u{a0}9:00.", title(app, "parents"));
        assert!(page.contains(&note) && page.contains(&format!("<a href=\"/callbacks/{parents}\">")), "{page}");
        assert!(!page.contains(DIALS), "{page}");
    }

    async fn number_that_nobody_waits_at_is_dialled_at_once(app) {
        let (callback, call) = waits_on(app, PARENTS).await;
        app.act(callback, &Actor::officer(2, "Айшат М."), Action::Done { note: String::new() }).await.unwrap();
        for page in pages(app, call).await {
            assert!(page.contains(DIALS) && !page.contains("Открыть обращение"), "{page}");
        }
    }
}
