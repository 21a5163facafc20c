//! The exchange is asked over ARI to place a call: the officer's telephone rings first, then the caller's.

use std::fmt::Write as _;

use perezvon::core::callback::{Channel, Notes, State};
use perezvon::core::line::LineId;
use perezvon::core::officer::Actor;
use perezvon::core::phone::{PhoneNumber, Telephone};
use perezvon::store::{Dialling, NewCallback};
use perezvon::time::SignedDuration;

use super::{STAFF_AS_SHOWN, School};
use crate::harness::{ARI_PASSWORD, ARI_USER, App, Ending, SAME_WORDS, likeness, patiently, stories_on_sqlite, words};

async fn ask_to_call(school: &School<'_>, number: &str) {
    // The client asks for ciphers even to speak plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let form = [
        ("endpoint", "PJSIP/101"),
        ("context", "perezvon-callback"),
        ("extension", number),
        ("priority", "1"),
        ("callerId", STAFF_AS_SHOWN),
        ("channelId", "perezvon-1"),
    ];
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let address = url::Url::parse_with_params(&format!("{}/channels", school.exchange.ari_base()), form);
    let request = client.post(address.expect("an address"));
    let answer = request.basic_auth(ARI_USER, Some(ARI_PASSWORD)).send().await.expect("the exchange answers");
    assert_eq!(answer.status(), 200);
}

/// A house that may ask the exchange to call, and somebody who waits on the staff's line.
async fn with_somebody_waiting(app: &App) -> School<'_> {
    let school = School::on_friday(app, "12:00").await;
    let base = school.exchange.ari_base();
    app.restart(|setup| {
        let tables = &mut setup.tables;
        let _ = writeln!(tables, "ari_base = {base:?}\nari_user = {ARI_USER:?}\nari_password = {ARI_PASSWORD:?}");
    })
    .await;
    let new = NewCallback {
        line: LineId::new("staff"),
        callback_number: PhoneNumber::parse("+79281234567").ok(),
        channel: Channel::InPerson,
        notes: Notes::default(),
    };
    app.store().register_by_hand(new, &madina(), &app.lines(), app.now()).await.expect("it is registered");
    school
}

fn madina() -> Actor {
    Actor::officer(7, "Мадина И.")
}

/// «Беру и звоню» of an officer with the telephone 101.
async fn press(app: &App) {
    let callback = app.callback().await;
    let with = Dialling { telephone: Telephone::parse("101").expect("an extension"), provider: "asterisk".to_owned() };
    let pressed =
        app.store().dial(callback.id, callback.version, with, false, &madina(), &app.lines(), app.now()).await;
    pressed.expect("nobody else calls");
    app.run_jobs().await;
}

async fn after(app: &App, seconds: i64) {
    app.clock.advance(SignedDuration::from_secs(seconds));
    app.run_jobs().await;
}

async fn attempts(app: &App) -> Vec<(&'static str, String)> {
    let waiting = app.callbacks().await.remove(0);
    waiting.attempts().into_iter().map(|attempt| (attempt.outcome, attempt.by.name)).collect()
}

stories_on_sqlite! {
    async fn one_key_rings_the_officer_then_the_caller_and_writes_the_attempt_down(app) {
        let school = with_somebody_waiting(app).await;
        press(app).await;
        let officer = school.exchange.phone_101.rings().await;
        after(app, 2).await;
        assert_eq!(app.count("placed_call WHERE answered_at IS NULL").await, 1);
        officer.answer().await;
        let caller = school.exchange.trunk.rings().await;
        assert_eq!((caller.dialled(), caller.shows()), ("79281234567".to_owned(), STAFF_AS_SHOWN.to_owned()));
        caller.answer().await;
        after(app, 2).await;
        assert_eq!(app.count("placed_call WHERE answered_at IS NOT NULL AND over_at IS NULL").await, 1);
        officer.say(&words(&["hello"])).await;
        caller.say(&words(&["vm-tocallback"])).await;
        caller.hang_up().await;
        officer.is_over().await;
        school.knows_of(1).await;
        assert_eq!(attempts(app).await, [("reached", "Мадина И.".to_owned())]);
        let callback = app.callback().await;
        assert!(matches!(callback.desk.state, State::Claimed { .. }) && callback.proposed_call_id.is_none());
        after(app, 10).await;
        assert!(school.exchange.phone_101.is_quiet().await);
    }

    async fn a_busy_caller_is_put_off_by_the_exchange_itself(app) {
        let school = with_somebody_waiting(app).await;
        press(app).await;
        let officer = school.exchange.phone_101.rings().await;
        officer.answer().await;
        school.exchange.trunk.rings().await.is_busy().await;
        officer.is_over().await;
        school.knows_of(1).await;
        assert_eq!(attempts(app).await, [("busy", "Мадина И.".to_owned())]);
        assert!(matches!(app.callback().await.desk.state, State::Later { .. }));
        after(app, 2).await;
    }

    async fn an_officer_who_is_busy_himself_counts_nothing_against_the_caller(app) {
        let school = with_somebody_waiting(app).await;
        press(app).await;
        school.exchange.phone_101.rings().await.is_busy().await;
        patiently("the exchange to give up", async {
            while app.count("placed_call WHERE ending IS NULL").await > 0 {
                after(app, 5).await;
            }
        })
        .await;
        assert_eq!(app.text("SELECT ending FROM placed_call").await, "not_picked_up");
        assert!(school.exchange.trunk.is_quiet().await);
        assert!(attempts(app).await.is_empty());
        press(app).await;
        let officer = school.exchange.phone_101.rings().await;
        officer.answer().await;
        let caller = school.exchange.trunk.rings().await;
        officer.hang_up().await;
        caller.is_over().await;
        school.knows_of(1).await;
        assert_eq!(app.count("placed_call WHERE ending = 'gave_up'").await, 1);
        after(app, 5).await;
    }

    async fn a_telephone_that_the_exchange_does_not_know_rings_nobody(app) {
        let _school = with_somebody_waiting(app).await;
        let callback = app.callback().await;
        let with = Dialling { telephone: Telephone::parse("199").expect("an extension"), provider: "asterisk".to_owned() };
        app.store().dial(callback.id, callback.version, with, false, &madina(), &app.lines(), app.now()).await.expect("it is taken");
        app.run_jobs().await;
        assert_eq!(app.text("SELECT ending FROM placed_call").await, "no_such_telephone");
    }

    async fn a_house_that_dies_while_the_officers_telephone_rings_does_not_ring_it_again(app) {
        let school = with_somebody_waiting(app).await;
        press(app).await;
        let officer = school.exchange.phone_101.rings().await;
        app.crash().await;
        app.restart(|_| {}).await;
        after(app, 31).await;
        officer.answer().await;
        let caller = school.exchange.trunk.rings().await;
        caller.answer().await;
        after(app, 2).await;
        officer.say(&words(&["hello", "vm-tocallback"])).await;
        officer.hang_up().await;
        caller.is_over().await;
        school.knows_of(1).await;
        after(app, 10).await;
        assert!(school.exchange.phone_101.is_quiet().await);
        assert_eq!(attempts(app).await, [("reached", "Мадина И.".to_owned())]);
    }

    async fn the_caller_sees_the_line_and_the_talk_is_an_outbound_call(app) {
        let school = School::on_friday(app, "12:00").await;
        ask_to_call(&school, "79281234567").await;
        let officer = school.exchange.phone_101.rings().await;
        assert!(school.exchange.trunk.is_quiet().await, "nobody is rung before the officer answers");
        officer.answer().await;
        let caller = school.exchange.trunk.rings().await;
        assert_eq!((caller.dialled(), caller.shows()), ("79281234567".to_owned(), STAFF_AS_SHOWN.to_owned()));
        caller.answer().await;
        let said = words(&["hello", "vm-tocallback"]);
        officer.say(&said).await;
        assert!(likeness(&said, &caller.heard()) > SAME_WORDS, "the caller hears the officer");
        officer.hang_up().await;
        assert_eq!(caller.is_over().await, Ending::TheyHungUp);
        school.knows_of(1).await;
        assert_eq!(app.text("SELECT direction FROM call").await, "outbound");
        assert_eq!(school.outcomes().await, ["answered"]);
        assert!(app.callbacks().await.is_empty());
    }

    async fn a_busy_caller_was_not_reached(app) {
        let school = School::on_friday(app, "12:00").await;
        ask_to_call(&school, "79281234567").await;
        let officer = school.exchange.phone_101.rings().await;
        officer.answer().await;
        school.exchange.trunk.rings().await.is_busy().await;
        officer.is_over().await;
        school.knows_of(1).await;
        assert_eq!((app.text("SELECT direction FROM call").await, app.text("SELECT ringing FROM call").await), ("outbound".to_owned(), "busy".to_owned()));
        assert!(app.callbacks().await.is_empty());
    }
}
