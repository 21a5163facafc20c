//! The log of calls, over all history: what is found, what is kept apart from the calls to find it by, and what is erased.

use perezvon::core::callback::{Action, Notes};
use perezvon::core::officer::Actor;
use perezvon::core::phone::PhoneNumber;
use perezvon::core::search::Search;
use perezvon::store::{CallFilter, CallPage, Contact, Resolution, VoicemailState};
use perezvon::time::SignedDuration;

use crate::harness::{App, Form, monday, stories};

async fn found(app: &App, typed: &str) -> Vec<String> {
    let filter = CallFilter { search: Search::parse(typed), limit: 50, ..CallFilter::default() };
    let page = app.store().calls(&filter).await.unwrap();
    assert_eq!(app.store().count_calls(&filter, 1000).await.unwrap().number, page.entries.len(), "{typed}");
    page.entries.into_iter().map(|entry| entry.call.key.provider_call_id).collect()
}

fn madina() -> Actor {
    Actor::officer(1, "Мадина И.")
}

stories! {
    async fn three_digits_of_a_number_find_all_its_calls_in_any_spelling(app) {
        app.message_from("CA1", "+79281234567").await;
        app.message_from("CA2", "+79631204517").await;
        app.advance_minutes(60 * 24 * 300);
        app.message_from("CA3", "+79281234567").await;
        app.message_from("CA4", "anonymous").await;
        for typed in ["123-45", "8 (928) 123", "+7928", "4567", "8 928 123-45-67"] {
            assert_eq!(found(app, typed).await, ["CA3", "CA1"], "{typed}");
        }
        assert_eq!(found(app, "963").await, ["CA2"]);
        assert_eq!(found(app, "+7").await, Vec::<String>::new());
        assert_eq!(found(app, "111").await, Vec::<String>::new());
        app.leave_the_jobs().await;
    }

    async fn a_number_learnt_after_its_call_began_is_found(app) {
        let news = Form(vec![("CallSid".to_owned(), "CA1".to_owned())]).with("RecordingStatus", "completed");
        app.post("recording", &news.recording("RE1", "7", "https://api.twilio.com/2010-04-01")).await;
        assert_eq!(found(app, "000-00-01").await, Vec::<String>::new());
        app.post("voice", &Form::call("CA1")).await;
        assert_eq!(found(app, "000-00-01").await, ["CA1"]);
        app.leave_the_jobs().await;
    }

    async fn a_caller_is_kept_once_to_be_found_by_however_often_he_calls(app) {
        for call in 0..5 {
            app.message_from(&format!("CA{call}"), "+79281234567").await;
            assert_eq!(found(app, "4567").await.len(), call + 1);
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM number_tail").await, 9);
        app.leave_the_jobs().await;
    }

    async fn a_database_from_before_the_search_is_searched_at_once(app) {
        app.message_from("CA1", "+79281234567").await;
        found(app, "4567").await;
        let filled = app.text("SELECT CAST(MIN(tail) AS TEXT) FROM number_tail").await;
        app.sql("DELETE FROM number_tail").await;
        let migration = include_str!("../../migrations/0004_contacts.sql");
        let from = migration.find("INSERT INTO number_tail").unwrap();
        let fill = &migration[from..from + migration[from..].find(';').unwrap()];
        app.sql(fill).await;
        assert_eq!(app.text("SELECT CAST(MIN(tail) AS TEXT) FROM number_tail").await, filled);
        assert_eq!(found(app, "928 123").await, ["CA1"]);
        app.leave_the_jobs().await;
    }

    async fn names_and_notes_find_calls_and_a_new_name_takes_the_place_of_the_old(app) {
        app.message_from("CA1", "+79281234567").await;
        let number = PhoneNumber::parse("+79281234567").unwrap();
        for (name, finds, not) in [("Петрова Анна", "анны", "сидорова"), ("Сидорова <b>", "СИДОРОВА", "петрова")] {
            let contact = Contact { name: name.to_owned(), note: "мама 5 «Б»".to_owned() };
            app.store().set_contact(&number, contact, &madina(), "192.0.2.1", app.now()).await.unwrap();
            assert_eq!(found(app, finds).await, ["CA1"], "{finds}");
            assert_eq!(found(app, not).await, Vec::<String>::new(), "{not}");
        }
        assert_eq!(app.store().contacts(std::slice::from_ref(&number)).await.unwrap()[&number].name, "Сидорова <b>");
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'contact'").await, 2);
        let id = app.callback().await.id;
        let notes = Notes { summary: Some("Не открывается Журнал".to_owned()), ..Notes::default() };
        app.act_with(id, &madina(), Action::Describe, notes).await.unwrap();
        assert_eq!(found(app, "журнал открывается").await, ["CA1"]);
        assert_eq!(found(app, "журнал анна").await, Vec::<String>::new());
        app.leave_the_jobs().await;
    }

    async fn a_word_that_is_everywhere_finds_the_newest_and_several_words_find_all_that_have_them(app) {
        app.message_from("CA1", "+79281234567").await;
        app.message_from("CA2", "+79281234568").await;
        for view in app.callbacks().await {
            let summary = match view.callback.caller.as_ref().unwrap().e164() {
                "+79281234567" => "Не видно оценок, журнал пуст",
                _ => "Не видно оценок",
            };
            let notes = Notes { summary: Some(summary.to_owned()), ..Notes::default() };
            app.act_with(view.callback.id, &madina(), Action::Describe, notes).await.unwrap();
        }
        assert_eq!(found(app, "оценок").await, ["CA2", "CA1"]);
        // Callbacks of long ago with each of these words.
        app.sql(
            "INSERT INTO callback_word (word, callback_id)
             WITH RECURSIVE old (id) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT id + 1 FROM old WHERE id < 6000)
             SELECT DISTINCT callback_word.word, old.id FROM callback_word, old",
        )
        .await;
        assert_eq!(found(app, "оценок").await, ["CA2", "CA1"]);
        assert_eq!(found(app, "оценок журнала").await, ["CA1"]);
        app.sql("DELETE FROM callback_word WHERE callback_id < 5500").await;
        assert_eq!(found(app, "видно оценок журнала").await, ["CA1"]);
        let filter = CallFilter { search: Search::parse("оценок"), limit: 50, ..CallFilter::default() };
        assert!(!app.store().calls(&filter).await.unwrap().newest_only);
        app.leave_the_jobs().await;
    }

    async fn the_calls_of_many_numbers_are_paged_in_one_order_without_gap_or_repeat(app) {
        let sids: Vec<String> = (0..90).map(|call| format!("CA{call:02}")).collect();
        for (call, sid) in sids.iter().enumerate() {
            app.message_from(sid, ["+79281234501", "+79281234502", "+79281234503"][call * call % 3]).await;
        }
        let number = PhoneNumber::parse("+79281234502").unwrap();
        let contact = Contact { name: "Петрова".to_owned(), note: String::new() };
        app.store().set_contact(&number, contact, &madina(), "", app.now()).await.unwrap();
        for view in app.callbacks().await {
            let notes = Notes { summary: Some("Петрова".to_owned()), ..Notes::default() };
            app.act_with(view.callback.id, &madina(), Action::Describe, notes).await.unwrap();
        }
        for typed in ["12345", "Петрова"] {
            let mut filter = CallFilter { search: Search::parse(typed), limit: 7, ..CallFilter::default() };
            let mut seen: Vec<String> = Vec::new();
            loop {
                let page = app.store().calls(&filter).await.unwrap();
                seen.extend(page.entries.into_iter().map(|entry| entry.call.key.provider_call_id));
                filter.after = page.next;
                if filter.after.is_none() {
                    break;
                }
            }
            let newest_first: Vec<String> = sids.iter().rev().cloned().collect();
            assert_eq!(seen, newest_first, "{typed}");
        }
        app.leave_the_jobs().await;
    }

    async fn what_became_of_a_callback_is_a_filter(app) {
        app.message_from("CA1", "+79281234567").await;
        app.message_from("CA2", "+79631204517").await;
        app.clock.set(monday("09:12"));
        let first = app.callbacks().await[0].callback.id;
        app.act(first, &madina(), Action::Done { note: String::new() }).await.unwrap();
        for (resolution, sid) in [(Resolution::CalledBack, "CA1"), (Resolution::Waiting, "CA2")] {
            let filter = CallFilter { resolution: Some(resolution), limit: 50, ..CallFilter::default() };
            let CallPage { entries, next, .. } = app.store().calls(&filter).await.unwrap();
            assert_eq!((entries.len(), entries[0].call.key.provider_call_id.as_str(), next), (1, sid, None));
        }
        app.leave_the_jobs().await;
    }

    async fn an_erased_message_is_gone_from_the_disk_and_from_the_provider_and_its_row_stays(app) {
        let plan = perezvon::app::demo::CallPlan::new("+79280000001", crate::harness::PARENTS)
            .leaving(12_000, perezvon::app::demo::Ending::HangsUp);
        app.exchange.call(plan).await;
        app.run_all_jobs().await;
        let voicemail = app.voicemails().await.remove(0);
        let name = voicemail.sound.unwrap().name;
        let file = app.folder.path().join("recordings").join(&name);
        assert!(file.exists());
        let erase = || async { app.store().erase_voicemail(voicemail.id, &madina(), "просьба", "", app.now()).await };
        assert!(erase().await.unwrap());
        assert!(!erase().await.unwrap(), "erasing twice changes nothing");
        // The service stopped before it took the file away: the worker does.
        app.worker().sweep().await;
        assert!(!file.exists());
        assert_eq!(app.store().files_to_erase().await.unwrap().len(), 0);
        let left = app.voicemails().await.remove(0);
        assert_eq!((left.state, left.sound, left.failure.as_deref()), (VoicemailState::Erased, None, Some("просьба")));
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'erase'").await, 1);
        app.run_all_jobs().await;
    }

    async fn a_message_erased_before_it_was_fetched_is_deleted_at_the_provider_and_never_kept(app) {
        let plan = perezvon::app::demo::CallPlan::new("+79280000001", crate::harness::PARENTS)
            .leaving(12_000, perezvon::app::demo::Ending::HangsUp);
        app.exchange.call(plan).await;
        let voicemail = app.voicemails().await.remove(0);
        assert_eq!(voicemail.state, VoicemailState::Pending);
        assert!(app.store().erase_voicemail(voicemail.id, &madina(), "просьба", "", app.now()).await.unwrap());
        app.clock.advance(SignedDuration::from_mins(1));
        app.run_all_jobs().await;
        let left = app.voicemails().await.remove(0);
        assert_eq!((left.state, left.sound), (VoicemailState::Erased, None));
        assert!(left.deleted_at_provider_at.is_some());
        assert_eq!(app.exchange.counters().deleted.len(), 1);
    }
}
