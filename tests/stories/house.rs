//! The pages about the house itself: lines, the audit, its state.

use perezvon::core::callback::Action;
use perezvon::core::officer::{Actor, Role};

use crate::harness::*;

fn madina() -> Actor {
    Actor::officer(101, "Мадина И.")
}

/// The service misses a file that was taken away for a while; one made in its place would be taken for it.
#[test]
fn commands_that_read_make_no_database() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    let (config, database) = (at("perezvon.toml"), at("perezvon.db"));
    let text = format!(
        "[storage]\ndatabase = \"sqlite:{database}\"\nrecordings = \"{}\"\nemergency = \"{}\"\n",
        at("recordings"),
        at("emergency")
    );
    std::fs::write(&config, text).unwrap();
    let run = |words: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_perezvon"));
        command.args(["--config", &config]).args(words.split(' ')).stdin(std::process::Stdio::null());
        command.output().expect("the program is there")
    };
    let (other, backups) = (at("other.db"), at("backups"));
    for words in [
        "check",
        "verify",
        "officer list",
        "officer reset zarema",
        "officer disable zarema",
        "token list",
        "token revoke 1",
        "reconcile",
        &format!("replay --into sqlite:{other}"),
        "replay --spool -",
        &format!("backup {backups}"),
    ] {
        let done = run(words);
        assert!(!std::path::Path::new(&database).exists(), "{words}");
        let (printed, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if words == "check" {
            assert!(printed.contains("файла ещё нет"), "{printed}");
        } else {
            assert!(
                !done.status.success() && error.contains(&format!("базы данных {database} нет")),
                "{words}: {error}"
            );
        }
    }
    assert!(run("officer add Зарема --login zarema --role admin").status.success());
    assert!(run("officer list").status.success());
}

stories! {
    async fn a_test_call_goes_the_whole_way_and_leaves_nobody_on_the_list(app) {
        let mut admin = app.browser("Завуч", Role::Admin).await;
        let page = admin.post("/lines/parents/test", &[("provider", "twilio")]).await;
        assert_eq!(page.status, 200);
        for told in ["Подпись принята", "Звонок записан", "Линия узнана: «Родители»", "Решено: нерабочее время", "предложение оставить сообщение"] {
            assert!(page.body.contains(told), "{told}: {}", page.body);
        }
        assert_eq!((app.count("call").await, app.count("callback").await), (1, 0));
        assert_eq!(app.text("SELECT action FROM audit ORDER BY id DESC LIMIT 1").await, "test_call");
        app.leave_the_jobs().await;
    }

    async fn the_pages_of_the_house_are_for_the_administrator(app) {
        let mut senior = app.browser("Старшая", Role::Senior).await;
        for path in ["/lines", "/audit", "/audit.csv", "/audit.xlsx"] {
            assert_eq!(senior.get(path).await.status, 403, "{path}");
        }
        assert_eq!(senior.post("/lines/parents/test", &[("provider", "twilio")]).await.status, 403);
        assert_eq!(senior.get("/health-ui").await.status, 200);
        assert_eq!(app.count("call").await, 0);
    }

    async fn no_file_leaves_the_house_without_a_row(app) {
        let mut admin = app.browser("Завуч", Role::Admin).await;
        for (path, file) in [
            ("/audit.csv?what=login", "audit.csv"), ("/audit.xlsx", "audit.xlsx"), ("/reports/xlsx", "report.xlsx"),
            ("/calls.csv", "calls.csv"), ("/callbacks.csv", "callbacks.csv"),
        ] {
            assert_eq!(admin.get(path).await.status, 200, "{path}");
            let last = "FROM audit ORDER BY id DESC LIMIT 1";
            assert_eq!(app.text(&format!("SELECT action {last}")).await, "export", "{path}");
            assert_eq!(app.text(&format!("SELECT object {last}")).await, file);
            assert_ne!(app.text(&format!("SELECT address {last}")).await, "", "{path}");
        }
    }

    async fn a_broken_form_of_a_test_call_is_answered_in_russian(app) {
        let mut admin = app.browser("Завуч", Role::Admin).await;
        let refused = admin.post("/lines/parents/test", &[]).await;
        assert_eq!(refused.status, 404);
        assert!(refused.body.contains("Такой страницы нет"), "{}", refused.body);
        admin.post("/lines/parents/test", &[("provider", "twilio")]).await;
        let address = app.text("SELECT address FROM audit WHERE action = 'test_call'").await;
        assert_ne!(address, "", "the row says from where");
        app.leave_the_jobs().await;
    }

    async fn the_audit_tells_who_did_what_by_person_and_by_action(app) {
        app.message_from("CA1", "+79280000001").await;
        let waiting = app.callback().await;
        app.act(waiting.id, &madina(), Action::Claim).await.unwrap();
        let mut admin = app.browser("=HYPERLINK(\"http://зло\")", Role::Admin).await;
        let all = admin.get("/audit").await.body;
        assert!(all.contains("взято в работу") && all.contains("вход"), "{all}");
        let claims = admin.get("/audit?what=claim").await.body;
        assert_eq!(claims.matches(&format!("/callbacks/{}", waiting.id)).count(), 1);
        assert!(!claims.contains("<td>вход</td>"), "{claims}");
        let hers = admin.get(&format!("/audit?who={}&what=claim&from=2020-01-01&to=2099-01-01", madina().id)).await.body;
        assert!(hers.contains(&madina().name));
        assert!(admin.get("/audit?from=2099-01-01").await.body.contains("Таких записей нет"));
        let sheet = admin.get("/audit.csv").await;
        assert!(sheet.content_type.starts_with("text/csv"));
        assert!(sheet.body.contains("'=HYPERLINK"), "a formula stays text: {}", sheet.body);
        app.leave_the_jobs().await;
    }

    async fn call_without_a_dialled_number_is_told_in_words(app) {
        app.post("voice", &Form::call("CA1").without("To")).await;
        app.post("status", &Form::call("CA1").without("To").status("completed")).await;
        let told: Vec<String> = app.alarms().await.into_iter().map(|alarm| alarm.told).collect();
        assert!(told.len() == 1 && told[0].starts_with("Звонок без номера, на который звонили"), "{told:?}");
        app.leave_the_jobs().await;
    }

    async fn what_does_not_work_is_said_with_what_to_do(app) {
        let mut officer = app.browser("Мадина", Role::Officer).await;
        let well = officer.get("/health-ui").await.body;
        for told in ["звонков ещё не было", "0, все забраны", "Почта"] {
            assert!(well.contains(told), "{told}: {well}");
        }
        app.message_from("CA1", "+79280000001").await;
        app.advance_minutes(30);
        let late = officer.get("/health-ui").await.body;
        assert!(late.contains("1, первая ждёт 30\u{a0}мин") && late.contains("Что делать:"), "{late}");
        assert!(late.contains("Фоновые задания") && late.contains("остановились"), "no worker runs in a story");
        assert!(late.contains("Не работает"));
        app.leave_the_jobs().await;
    }

    async fn a_warning_that_was_read_is_not_raised_again_while_its_cause_goes_on(app) {
        // From December on the next year's days off have to be official.
        app.clock.set(at("2027-12-02T10:00:00+03:00"));
        let mut admin = app.browser("Завуч", Role::Admin).await;
        app.worker().sweep().await;
        let raised = app.alarms().await;
        assert!(raised.iter().any(|alarm| alarm.kind == "calendar"), "{raised:?}");
        for alarm in raised {
            assert_eq!(admin.post(&format!("/alarms/{}/seen", alarm.id), &[]).await.status, 303);
        }
        app.worker().sweep().await;
        assert!(app.alarms().await.is_empty());
    }
}
