//! The house is away, is silent or does not believe the exchange: the caller does not notice, and nothing is lost.

use super::{PARENTS, School, TOKEN, comes_to_the_signal, leaves_a_message, provider};
use crate::harness::{Behind, SAME_WORDS, likeness, stories_on_sqlite, words};

const NO_TELEPHONES: [&str; 0] = [];

stories_on_sqlite! {
    async fn away_for_the_whole_call_the_message_comes_later(app) {
        let school = School::with(app, "19:30", &NO_TELEPHONES, "").await;
        school.door.leads_to(Behind::Nobody).await;
        let said = words(&["hello", "vm-tocallback"]);
        leaves_a_message(&school.exchange.dial(Some("79281234567"), PARENTS).await, &said).await;
        school.exchange.tries_in_vain(2).await;
        assert_eq!(app.count("call").await, 0);
        school.door.leads_to(Behind::Service(app.address)).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!((row.calls_count, row.voicemails_count), (1, 1));
        assert!(likeness(&said, &school.sound_of(&row.voicemails[0])) > SAME_WORDS);
    }

    /// The service ends, the exchange is started anew meanwhile, and each of them knows what it was told before.
    async fn away_for_six_hours_every_caller_is_on_the_list(app) {
        let school = School::with(app, "19:30", &NO_TELEPHONES, "").await;
        school.door.leads_to(Behind::Nobody).await;
        let said = words(&["hello", "vm-tocallback"]);
        leaves_a_message(&school.exchange.dial(Some("79281234567"), PARENTS).await, &said).await;
        leaves_a_message(&school.exchange.dial(None, PARENTS).await, &said).await;
        school.exchange.tries_in_vain(2).await;
        app.crash().await;
        school.exchange.kill();
        school.exchange.start().await;
        let silent = school.exchange.dial(Some("79281234568"), PARENTS).await;
        silent.is_answered().await;
        silent.hang_up().await;
        school.exchange.tries_in_vain(5).await;
        app.advance_minutes(6 * 60);
        app.restart(|_| ()).await;
        school.door.leads_to(Behind::Service(app.address)).await;
        school.knows_of(3).await;
        let waiting = app.callbacks().await;
        let mut callers: Vec<_> = waiting
            .iter()
            .map(|row| (row.callback.caller.as_ref().map(|caller| caller.e164().to_owned()), row.voicemails_count))
            .collect();
        callers.sort();
        assert_eq!(
            callers,
            [(None, 1), (Some("+79281234567".to_owned()), 1), (Some("+79281234568".to_owned()), 0)]
        );
        for message in waiting.iter().flat_map(|row| &row.voicemails) {
            assert!(likeness(&said, &school.sound_of(message)) > SAME_WORDS);
        }
    }

    async fn away_in_working_time_the_officers_are_rung_all_the_same(app) {
        let day = "[\"00:00-24:00\"]";
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|name| format!("{name} = {day}"));
        let always = format!("week = {{ {} }}", days.join(", "));
        let school = School::with(app, "12:00", &["101"], &always).await;
        school.door.leads_to(Behind::Nobody).await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        let officer = school.exchange.phone_101.rings().await;
        officer.answer().await;
        call.is_answered().await;
        call.say(&words(&["hello", "hello"])).await;
        call.hang_up().await;
        school.door.leads_to(Behind::Service(app.address)).await;
        school.knows_of(1).await;
        assert_eq!(school.outcomes().await, ["answered"]);
        assert!(app.callbacks().await.is_empty());
    }

    async fn silent_for_the_whole_call_the_message_comes_later(app) {
        let school = School::with(app, "19:30", &NO_TELEPHONES, "").await;
        school.door.leads_to(Behind::Deaf).await;
        let said = words(&["hello", "please-try-again"]);
        leaves_a_message(&school.exchange.dial(Some("79281234567"), PARENTS).await, &said).await;
        school.door.leads_to(Behind::Service(app.address)).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!((row.calls_count, row.voicemails_count), (1, 1));
        assert!(likeness(&said, &school.sound_of(&row.voicemails[0])) > SAME_WORDS);
    }

    async fn an_answer_that_is_lost_makes_no_second_message(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        comes_to_the_signal(&call).await;
        let said = words(&["hello", "vm-tocallback"]);
        call.say(&said).await;
        school.door.leads_to(Behind::LosesAnswers(app.address)).await;
        call.hang_up().await;
        school.exchange.tries_in_vain(2).await;
        assert_eq!(app.count("voicemail").await, 1);
        school.door.leads_to(Behind::Service(app.address)).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!((row.calls_count, row.voicemails_count), (1, 1));
        assert!(likeness(&said, &school.sound_of(&row.voicemails[0])) > SAME_WORDS);
    }

    async fn a_wrong_token_is_refused_and_the_exchange_keeps_all_until_it_is_put_right(app) {
        let school = School::with(app, "19:30", &NO_TELEPHONES, "").await;
        app.restart(|setup| setup.tables = provider("another-token-of-the-house")).await;
        let said = words(&["hello", "vm-tocallback"]);
        leaves_a_message(&school.exchange.dial(Some("79281234567"), PARENTS).await, &said).await;
        school.exchange.tries_in_vain(2).await;
        assert_eq!((app.count("call").await, app.count("delivery").await), (0, 0));
        assert!(school.exchange.recorded_bytes() > said.len() as u64);
        app.restart(|setup| setup.tables = provider(TOKEN)).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!((row.calls_count, row.voicemails_count), (1, 1));
        assert!(likeness(&said, &school.sound_of(&row.voicemails[0])) > SAME_WORDS);
    }

    async fn an_exchange_that_dies_in_a_message_brings_what_there_is_of_it(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        comes_to_the_signal(&call).await;
        let said = words(&["hello", "vm-tocallback", "cannot-complete-as-dialed", "please-try-again"]);
        call.begins_to_say(&said);
        school.exchange.has_recorded(32_000).await;
        school.exchange.kill();
        let cut_off = school.exchange.recorded_bytes();
        school.exchange.start().await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!(row.callback.caller.as_ref().unwrap().e164(), "+79281234567");
        assert_eq!((row.calls_count, row.voicemails_count), (1, 1));
        let kept = school.sound_of(&row.voicemails[0]);
        assert!(kept.len() as u64 * 2 + 100 > cut_off, "{} of {cut_off} bytes", kept.len() * 2);
        assert!(likeness(&kept[..kept.len() - 1_600], &said) > SAME_WORDS);
        assert_eq!(school.exchange.recorded_bytes(), 0);
    }

    async fn an_exchange_that_dies_in_the_greeting_tells_of_the_caller_all_the_same(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        call.is_answered().await;
        school.exchange.kill();
        school.exchange.start().await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!(row.callback.caller.as_ref().unwrap().e164(), "+79281234567");
        assert_eq!(row.voicemails_count, 0);
    }
}
