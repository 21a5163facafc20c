//! Blocked numbers: who calls from one hears the greeting and comes to no list; nothing else changes, and nothing is lost.

use perezvon::core::call::Outcome;
use perezvon::core::officer::Role;

use crate::harness::{App, Browser, Form, monday, stories};

const SPAMMER: &str = "+79281110001";
const NEIGHBOUR: &str = "+79281110002";

/// The card of whoever made this call.
async fn card(app: &App, sid: &str) -> String {
    format!("/callers/{}", app.call(sid).await.id)
}

/// A senior who has blocked the caller of CA1, whose callback is open.
async fn block_first_caller(app: &App) -> Browser<'_> {
    app.message_from("CA1", SPAMMER).await;
    let mut senior = app.browser("Зарема", Role::Senior).await;
    let block = format!("{}/block", card(app, "CA1").await);
    assert_eq!(senior.post(&block, &[("reason", "рассылка")]).await.status, 303);
    senior
}

/// All that is known of a call but whose it is, when, and whether it is on the list.
async fn row(app: &App, sid: &str) -> Vec<String> {
    let columns = "provider, direction, dialled, line, recordings, outcome, day_rule, time_state, calendar_version";
    let mut row = Vec::new();
    for column in columns.split(", ") {
        let value = app.text(&format!("SELECT {column} FROM call WHERE provider_call_id = '{sid}'")).await;
        row.push(value.replace(sid, "SID"));
    }
    let count = |table: &str| {
        format!("SELECT COUNT(*) FROM {table} JOIN call ON call.id = {table}.call_id WHERE provider_call_id = '{sid}'")
    };
    for table in ["delivery", "voicemail"] {
        row.push(app.number(&count(table)).await.to_string());
    }
    row
}

stories! {
    /// Threat: one caller floods the list, so that the others are called back late.
    async fn blocked_caller_comes_to_no_list_and_loses_nothing(app) {
        let mut senior = block_first_caller(app).await;
        let waiting = app.callbacks().await;
        assert_eq!((waiting.len(), waiting[0].calls.len()), (1, 1), "what waits already stays");
        let greeting = app.message_from("CA2", SPAMMER).await;
        app.message_from("CA3", NEIGHBOUR).await;
        assert!(greeting.verbs().contains(&"Record"), "he hears the greeting: {}", greeting.body);
        let (blocked, other) = (app.call("CA2").await, app.call("CA3").await);
        assert!(blocked.blocked_at.is_some() && blocked.callback_id.is_none());
        assert!(other.blocked_at.is_none() && other.callback_id.is_some(), "nobody else is touched");
        assert_eq!(blocked.outcome(), Outcome::Voicemail);
        assert_eq!(app.callbacks().await.len(), 2);
        assert_eq!(app.callbacks().await.iter().map(|view| view.calls.len()).sum::<usize>(), 2);
        let [mut one, mut two] = [row(app, "CA2").await, row(app, "CA3").await];
        for row in [&mut one, &mut two] {
            row.iter_mut().for_each(|value| *value = value.replace("CA2", "").replace("CA3", ""));
        }
        one[4].clear();
        two[4].clear();
        assert_eq!(one, two, "all else of the call is as it would be");
        let fetches = app.count("job WHERE kind = 'fetch_recording'").await;
        assert_eq!((app.count("voicemail").await, fetches), (3, 3), "his message is kept and fetched like the others");
        assert!(senior.get("/calls").await.body.contains("<strong>заблокирован</strong>"));
        let page = senior.get(&format!("/calls/{}", blocked.id)).await.body;
        assert!(page.contains("номер в списке заблокированных") && page.contains("<h2>Сообщения</h2>"), "{page}");
        app.leave_the_jobs().await;
    }

    async fn blocked_caller_rings_no_officer_in_working_time(app) {
        app.restart(|setup| setup.ring = vec!["8 928 000-00-55"]).await;
        block_first_caller(app).await;
        app.clock.set(monday("10:00"));
        let greeting = app.post("voice", &Form::call("CA2").from(SPAMMER)).await;
        assert!(!greeting.verbs().contains(&"Dial") && greeting.verbs().contains(&"Record"), "{}", greeting.body);
        let greeting = app.post("voice", &Form::call("CA3").from(NEIGHBOUR)).await;
        assert!(greeting.verbs().contains(&"Dial"), "{}", greeting.body);
        app.leave_the_jobs().await;
    }

    /// Threat: a caller is forgotten because somebody blocked him, and nobody knows who.
    async fn blocking_is_audited_listed_and_taken_back(app) {
        let mut senior = block_first_caller(app).await;
        let audited = app.text("SELECT object || ' ' || detail || ' ' || actor_name FROM audit WHERE action = 'block'").await;
        assert_eq!(audited, format!("caller {SPAMMER} рассылка Зарема"));
        let list = senior.get("/blocked").await.body;
        assert!(list.contains("8 928 111-00-01") && list.contains("рассылка") && list.contains("Зарема"), "{list}");
        app.message_from("CA2", SPAMMER).await;
        assert_eq!(senior.post("/blocked/remove", &[("number", SPAMMER)]).await.location, "/blocked");
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'unblock'").await, 1);
        assert!(app.call("CA2").await.blocked_at.is_some(), "what is past stays as it was");
        app.message_from("CA3", SPAMMER).await;
        assert!(app.call("CA3").await.callback_id.is_some(), "he comes to the list again");
        let card = card(app, "CA3").await;
        assert!(senior.get(&card).await.body.contains("Заблокировать номер"));
        assert_eq!(senior.post(&format!("{card}/block"), &[("reason", "ещё раз")]).await.status, 303);
        assert!(senior.get(&card).await.body.contains("Номер заблокирован."));
        assert_eq!(senior.post(&format!("{card}/unblock"), &[]).await.status, 303);
        assert_eq!(app.count("blocked_number").await, 0);
        app.leave_the_jobs().await;
    }

    async fn only_seniors_block_and_only_with_a_reason(app) {
        app.message_from("CA1", SPAMMER).await;
        let card = card(app, "CA1").await;
        let mut officer = app.browser("Мадина И.", Role::Officer).await;
        assert!(!officer.get(&card).await.body.contains("Заблокировать номер"));
        for (address, field) in [(format!("{card}/block"), "reason"), (format!("{card}/unblock"), "x"), ("/blocked/remove".to_owned(), "number")] {
            assert_eq!(officer.post(&address, &[(field, "x")]).await.status, 403, "{address}");
        }
        assert_eq!(officer.get("/blocked").await.status, 403);
        let mut senior = app.browser("Зарема", Role::Senior).await;
        let long = "я".repeat(301);
        for reason in ["", "  ", &long] {
            let refused = senior.post(&format!("{card}/block"), &[("reason", reason)]).await;
            assert!(refused.status == 422 && refused.body.contains("Напишите причину"), "{reason}: {}", refused.body);
        }
        assert_eq!(app.count("blocked_number").await, 0);
        app.leave_the_jobs().await;
    }
}
