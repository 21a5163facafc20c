//! The exchange is asked over ARI to place a call: the officer's telephone rings first, then the caller's.

use super::{STAFF_AS_SHOWN, School};
use crate::harness::{ARI_PASSWORD, ARI_USER, Ending, likeness, stories_on_sqlite, words};

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

stories_on_sqlite! {
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
        assert!(likeness(&said, &caller.heard()) > 0.95, "the caller hears the officer");
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
