//! On Friday evening: everybody is offered to leave a message.

use perezvon::store::CallbackView;

use super::{PARENTS, School, comes_to_the_signal, leaves_a_message};
use crate::harness::{App, Ending, SAME_WORDS, STAFF, likeness, stories_on_sqlite, words};

/// Speaks, and types the number when asked for it, which is the one to dial then.
async fn leaves_a_typed_number(app: &App, from: Option<&str>) -> CallbackView {
    let school = School::on_friday(app, "19:30").await;
    let call = school.exchange.dial(from, PARENTS).await;
    comes_to_the_signal(&call).await;
    call.say(&words(&["hello"])).await;
    call.press("#").await;
    call.hears_for_more(300).await;
    call.press("89281112233#").await;
    assert_eq!(call.is_over().await, Ending::TheyHungUp);
    school.knows_of(1).await;
    let row = school.row().await;
    assert_eq!(row.callback.callback_number.as_ref().unwrap().e164(), "+79281112233");
    row
}

stories_on_sqlite! {
    async fn the_caller_hears_the_greeting_of_the_house_and_is_heard(app) {
        let school = School::on_friday(app, "19:30").await;
        let said = words(&["hello", "vm-tocallback", "digits/8", "digits/9", "digits/2", "digits/8"]);
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        call.is_answered().await;
        call.the_beep_is_over().await;
        call.say(&said).await;
        call.hang_up().await;
        school.knows_of(1).await;

        let row = school.row().await;
        assert_eq!(row.callback.line.as_str(), "parents");
        assert_eq!(row.callback.callback_number.as_ref().unwrap().e164(), "+79281234567");
        assert_eq!(school.outcomes().await, ["voicemail"]);
        let kept = school.sound_of(&row.voicemails[0]);
        let alike = likeness(&said, &kept);
        assert!(alike > SAME_WORDS, "what is kept is what was said: {alike}");
        let longer_ms = kept.len() as i64 / 8 - said.len() as i64 / 8;
        assert!((-60..600).contains(&longer_ms), "{longer_ms} ms");

        let greeting = school.greeting("89288328088", "closed").await;
        let alike = likeness(&greeting, &call.heard());
        assert!(alike > SAME_WORDS, "what the caller heard is the greeting of the house: {alike}");
        assert_eq!(school.exchange.recorded_bytes(), 0, "the exchange keeps no copy");
    }

    async fn who_says_nothing_has_left_no_words(app) {
        let mut school = School::on_friday(app, "19:30").await;
        school.exchange.set_global("PZ_SILENCE", "1");
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        comes_to_the_signal(&call).await;
        assert_eq!(call.is_over().await, Ending::TheyHungUp, "after a silence the exchange takes leave");
        school.knows_of(1).await;
        let row = school.row().await;
        let sound = row.voicemails[0].sound.as_ref().unwrap();
        assert_eq!(sound.speech_ms, 0);
        assert!(sound.length_ms < 3_000, "{sound:?}");
    }

    async fn who_hangs_up_in_the_greeting_is_called_back(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("+79281234567"), "79288328088").await;
        call.is_answered().await;
        call.hears_for(500).await;
        call.hang_up().await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!(row.callback.caller.as_ref().unwrap().e164(), "+79281234567");
        assert_eq!((school.outcomes().await, row.voicemails_count), (vec!["abandoned".to_owned()], 0));
    }

    async fn who_hangs_up_in_the_beep_has_left_no_message(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        call.is_answered().await;
        call.hears_for(300).await;
        call.press("1").await;
        call.the_beep_begins().await;
        call.hang_up().await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!(row.callback.caller.as_ref().unwrap().e164(), "+79281234567");
        assert_eq!((school.outcomes().await, row.voicemails_count), (vec!["abandoned".to_owned()], 0));
    }

    async fn who_withholds_the_number_is_asked_for_it_and_called_back_there(app) {
        let row = leaves_a_typed_number(app, None).await;
        assert_eq!((row.voicemails[0].caller.as_ref(), row.voicemails_count), (None, 1));
    }

    /// Whoever seems to call from the school's own number, or from a local one, cannot be called back there.
    async fn caller_whose_number_cannot_be_dialled_is_asked_for_one(app) {
        leaves_a_typed_number(app, Some(PARENTS)).await;
        assert_eq!(app.alarm_kinds().await, ["own_number"], "the telephone company has to mend it");
    }

    async fn local_number_is_asked_for_a_whole_one(app) {
        leaves_a_typed_number(app, Some("2345678")).await;
    }

    /// The digits of a parameter were once taken for the end of the number.
    async fn parameters_are_no_part_of_the_number(app) {
        let school = School::on_friday(app, "19:30").await;
        let from = "<sip:+79281234567;ext=5;phone-context=+7@127.0.0.1>";
        leaves_a_message(&school.exchange.dial_as(from, PARENTS, "").await, &words(&["hello"])).await;
        school.knows_of(1).await;
        assert_eq!(school.row().await.callback.caller.as_ref().unwrap().e164(), "+79281234567");
    }

    async fn who_withholds_the_number_and_only_speaks_is_on_the_list_without_one(app) {
        let school = School::on_friday(app, "19:30").await;
        let said = words(&["hello", "vm-tocallback"]);
        leaves_a_message(&school.exchange.dial(None, PARENTS).await, &said).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!((row.callback.caller.as_ref(), row.callback.callback_number.as_ref()), (None, None));
        assert!(likeness(&said, &school.sound_of(&row.voicemails[0])) > SAME_WORDS);
    }

    async fn who_shows_the_number_and_presses_the_hash_is_thanked_and_not_asked(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        comes_to_the_signal(&call).await;
        call.say(&words(&["hello"])).await;
        call.press("#").await;
        assert_eq!(call.is_over().await, Ending::TheyHungUp);
        assert!(likeness(&words(&["privacy-thankyou"]), &call.heard()) > SAME_WORDS);
        assert!(likeness(&words(&["privacy-prompt"]), &call.heard()) < 0.8);
        school.knows_of(1).await;
        assert_eq!(school.row().await.voicemails_count, 1);
    }

    async fn who_calls_twice_is_on_the_list_once_with_both_messages(app) {
        let school = School::on_friday(app, "19:30").await;
        for (from, said) in [("79281234567", "vm-tocallback"), ("89281234567", "please-try-again")] {
            leaves_a_message(&school.exchange.dial(Some(from), PARENTS).await, &words(&["hello", said])).await;
        }
        school.knows_of(2).await;
        let row = school.row().await;
        assert_eq!((row.calls_count, row.voicemails_count), (2, 2));
    }

    async fn a_message_without_end_is_cut_and_the_caller_thanked(app) {
        let school = School::on_friday(app, "19:30").await;
        let call = school.exchange.dial(Some("79281234567"), PARENTS).await;
        comes_to_the_signal(&call).await;
        let said = words(&["hello", "demo-congrats"]);
        call.begins_to_say(&said);
        assert_eq!(call.is_over().await, Ending::TheyHungUp);
        assert!(likeness(&words(&["privacy-thankyou"]), &call.heard()) > SAME_WORDS);
        school.knows_of(1).await;
        let kept = school.sound_of(&school.row().await.voicemails[0]);
        let seconds = kept.len() / 8_000;
        assert!((9..12).contains(&seconds), "{seconds} s of {}", said.len() / 8_000);
    }

    async fn ten_callers_at_once_are_all_heard(app) {
        let school = School::on_friday(app, "19:30").await;
        let said = |n: usize| {
            let digit = format!("digits/{n}");
            let sentence = ["vm-tocallback", "please-try-again", "vm-nobodyavail", "number-not-answering"][n % 4];
            words(&["hello", &digit, sentence, &digit])
        };
        let callers = (0..10).map(|n| {
            let (exchange, said) = (&school.exchange, said(n));
            async move {
                let call = exchange.dial(Some(&format!("7928000010{n}")), PARENTS).await;
                leaves_a_message(&call, &said).await;
            }
        });
        futures_util::future::join_all(callers).await;
        school.knows_of(10).await;
        let rows = app.callbacks().await;
        assert_eq!(rows.len(), 10);
        for n in 0..10 {
            let number = format!("+7928000010{n}");
            let is_his = |number: &str| rows.iter().find(|row| row.callback.caller.as_ref().unwrap().e164() == number);
            let row = is_his(&number).unwrap_or_else(|| panic!("{number} is on the list"));
            // A busy machine loses packets of everybody's sound: what is left is still most like what he has said.
            let heard = school.sound_of(&row.voicemails[0]);
            let alike: Vec<f64> = (0..10).map(|other| likeness(&said(other), &heard)).collect();
            let closest = (0..10).max_by(|one, other| alike[*one].total_cmp(&alike[*other]));
            assert!(closest == Some(n) && alike[n] > SAME_WORDS, "{number}: {alike:?}");
        }
    }

    async fn a_number_that_nobody_configured_is_answered_too(app) {
        let school = School::on_friday(app, "19:30").await;
        leaves_a_message(&school.exchange.dial(Some("79281234567"), "84951234567").await, &words(&["hello"])).await;
        school.knows_of(1).await;
        let row = school.row().await;
        assert_eq!((row.callback.line.as_str(), row.voicemails_count), ("unknown", 1));
    }

    async fn a_call_that_was_passed_on_belongs_to_the_line_that_was_dialled(app) {
        let school = School::on_friday(app, "19:30").await;
        let passed_on = format!("Diversion: <sip:{STAFF}@127.0.0.1>;reason=unconditional\r\n");
        let call = school.exchange.dial_as("<sip:79281234567@127.0.0.1>", "78712000199", &passed_on).await;
        call.is_answered().await;
        call.hang_up().await;
        school.knows_of(1).await;
        assert_eq!(app.text("SELECT line FROM call").await, "staff");
    }

    async fn nothing_that_a_caller_calls_himself_is_run(app) {
        let school = School::on_friday(app, "19:30").await;
        let trap = app.folder.path().join("trap");
        let touch = format!("touch ${{IFS}} {}", trap.display());
        let names = [
            format!("'; {touch}; '"),
            format!("$({touch}) `{touch}` | {touch} &"),
            "${SHELL(id)}&id=evil&line=evil,1,Hangup()\r\nChannel: evil".to_owned(),
            "../../evil\"'\\".to_owned(),
        ];
        for name in &names {
            let shown = name.replace('\\', "\\\\").replace('"', "\\\"").replace("\r\n", " ");
            let user: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let call = school.exchange.dial_as(&format!("\"{shown}\" <sip:{user}@127.0.0.1>"), PARENTS, "").await;
            call.is_answered().await;
            call.hears_for(300).await;
            call.hang_up().await;
        }
        school.knows_of(names.len() as i64).await;
        assert!(!trap.exists());
        assert!(!school.exchange.log().contains("uid="));
        assert_eq!(app.number("SELECT COUNT(*) FROM call WHERE provider_call_id LIKE 'school-%'").await, 4);
        assert_eq!(school.outcomes().await, ["abandoned"; 4]);
    }
}
