//! On Friday at noon: the officers' telephones ring, one after another.

use super::{PARENTS, School, leaves_a_message};
use crate::harness::{Ending, SAME_WORDS, likeness, stories_on_sqlite, words};

stories_on_sqlite! {
    async fn an_officer_answers_and_nobody_has_to_be_called_back(app) {
        let school = School::on_friday(app, "12:00").await;
        let (asked, told) = (words(&["hello", "vm-tocallback"]), words(&["hello", "please-try-again"]));
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        let officer = school.exchange.phone_101.rings().await;
        assert_eq!(officer.shows(), "79281234567");
        officer.answer().await;
        call.is_answered().await;
        futures_util::join!(call.say(&asked), officer.say(&told));
        officer.hang_up().await;
        assert_eq!(call.is_over().await, Ending::TheyHungUp);
        assert!(likeness(&asked, &officer.heard()) > SAME_WORDS, "the officer hears the caller");
        assert!(likeness(&told, &call.heard()) > SAME_WORDS, "the caller hears the officer");
        school.knows_of(1).await;
        assert_eq!(school.outcomes().await, ["answered"]);
        assert!(app.number("SELECT talk_seconds FROM call").await >= 2);
        assert!(app.callbacks().await.is_empty());
        assert!(school.exchange.phone_102.is_quiet().await);
    }

    async fn the_second_officer_answers_when_the_first_speaks(app) {
        let school = School::on_friday(app, "12:00").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        school.exchange.phone_101.rings().await.is_busy().await;
        let officer = school.exchange.phone_102.rings().await;
        officer.answer().await;
        call.is_answered().await;
        call.say(&words(&["hello", "hello"])).await;
        call.hang_up().await;
        officer.is_over().await;
        school.knows_of(1).await;
        assert_eq!(school.outcomes().await, ["answered"]);
        assert!(app.callbacks().await.is_empty());
    }

    async fn when_all_officers_speak_the_caller_leaves_a_message(app) {
        let school = School::on_friday(app, "12:00").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        school.exchange.phone_101.rings().await.is_busy().await;
        school.exchange.phone_102.rings().await.is_busy().await;
        let said = words(&["hello", "vm-tocallback"]);
        leaves_a_message(&call, &said).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert!(likeness(&said, &school.sound_of(&row.voicemails[0])) > SAME_WORDS);
        assert_eq!(app.text("SELECT ringing FROM call").await, "busy");
    }

    async fn when_nobody_takes_up_the_telephone_the_caller_leaves_a_message(app) {
        let school = School::on_friday(app, "12:00").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        for phone in [&school.exchange.phone_101, &school.exchange.phone_102] {
            assert_eq!(phone.rings().await.is_over().await, Ending::Refused(487), "it rings no longer");
        }
        leaves_a_message(&call, &words(&["hello"])).await;
        school.knows_of(1).await;
        assert_eq!(school.row().await.voicemails_count, 1);
        assert_eq!(app.text("SELECT ringing FROM call").await, "no_answer");
    }

    async fn who_gives_up_while_it_rings_is_called_back(app) {
        let school = School::on_friday(app, "12:00").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        let officer = school.exchange.phone_101.rings().await;
        call.hang_up().await;
        officer.is_over().await;
        school.knows_of(1).await;
        assert_eq!(school.outcomes().await, ["missed"]);
        assert_eq!(school.row().await.callback.caller.as_ref().unwrap().e164(), "+79281234567");
        assert!(school.exchange.phone_102.is_quiet().await, "nobody else is rung");
    }
}
