//! Stories of the live list: who is told, of what, and when it ends.

use std::pin::pin;
use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::{StreamExt, poll};

use super::*;

/// A page's stream as a browser reads it.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    /// The next event (comments and `retry` alone are none); `None`: the stream is over.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                match event.contains("event:") {
                    true => return Some(event),
                    false => continue,
                }
            }
            let soon = tokio::time::timeout(Duration::from_secs(300), self.body.next()).await;
            let bytes = soon.expect("an event comes")?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn generation(&mut self) -> u64 {
        let event = self.next().await.expect("the stream goes on");
        assert!(event.contains("event: list"), "{event}");
        let (_, id) = event.split_once("id: ").unwrap();
        let id = id.lines().next().unwrap();
        assert!(event.contains(&format!("data: {{\"generation\":{id},\"at\":\"9:12\"}}")), "{event}");
        id.parse().unwrap()
    }
}

impl School {
    /// Opens a page's stream; whatever refuses it is the status.
    async fn listen(&self, cookie: &str, last: Option<u64>) -> Result<Stream, StatusCode> {
        let mut request = Request::get("/callbacks/events").header(COOKIE, cookie).header("accept-encoding", "gzip");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
        assert!(!answer.headers().contains_key("content-encoding"), "compression would keep events back");
        Ok(Stream { body: answer.into_body().into_data_stream(), text: String::new() })
    }
}

#[tokio::test]
async fn an_open_page_is_told_of_a_claim() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    let mut page = school.listen(&aishat, None).await.unwrap();
    let first = page.generation().await;
    school.post(&format!("/callbacks/{id}/claim"), &madina, "").await;
    assert_eq!(page.generation().await, first + 1);
    let mut observer = school.listen(&school.sign_in("head").await, Some(first)).await.unwrap();
    assert_eq!(observer.generation().await, first + 1, "who comes back hears what he missed");
}

#[tokio::test]
async fn who_has_missed_nothing_hears_nothing() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let seen = school.listen(&cookie, None).await.unwrap().generation().await;
    let mut page = school.listen(&cookie, Some(seen)).await.unwrap();
    assert_eq!(page.body.next().await.unwrap().unwrap(), "retry: 3000\n: listening\n\n");
    school.callback_of("89281234567").await;
    assert_eq!(page.generation().await, seen + 1);
}

#[tokio::test]
async fn a_burst_of_changes_is_one_event() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let mut page = school.listen(&cookie, None).await.unwrap();
    let first = page.generation().await;
    school.callback_of("89280000001").await;
    {
        // From here on the stream has heard of the first change and waits for more.
        let mut event = pin!(page.body.next());
        assert!(poll!(&mut event).is_pending());
    }
    school.callback_of("89280000002").await;
    school.callback_of("89280000003").await;
    assert_eq!(page.generation().await, first + 3);
    assert!(poll!(pin!(page.body.next())).is_pending(), "and nothing after it");
}

#[tokio::test]
async fn a_refused_action_is_no_news() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let id = school.callback_of("89281234567").await;
    school.post(&format!("/callbacks/{id}/claim"), &madina, "").await;
    let before = school.house.store.listen().borrow().list;
    school.post(&format!("/callbacks/{id}/claim"), &aishat, "").await;
    school.get("/callbacks", &aishat).await;
    assert_eq!(school.house.store.listen().borrow().list, before);
}

#[tokio::test]
async fn nobody_listens_without_a_session() {
    let school = School::open().await;
    for cookie in ["", "__Host-perezvon_session=0123456789abcdef"] {
        assert_eq!(school.listen(cookie, None).await.err(), Some(StatusCode::UNAUTHORIZED));
    }
}

#[tokio::test]
async fn the_stream_ends_with_its_session_and_with_no_other() {
    let school = School::open().await;
    let (one, other) = (school.sign_in("madina").await, school.sign_in("madina").await);
    let head = school.sign_in("head").await;
    let mut page = school.listen(&one, None).await.unwrap();
    let mut others = school.listen(&other, None).await.unwrap();
    let mut heads = school.listen(&head, None).await.unwrap();
    for page in [&mut page, &mut others, &mut heads] {
        page.generation().await;
    }

    school.post("/logout", &one, "").await;
    assert!(page.next().await.unwrap().contains("event: signed-out"));
    assert!(page.next().await.is_none(), "signed out");

    school.callback_of("89281234567").await;
    others.generation().await;
    school.house.store.disable_officer("madina", school.clock.now()).await.unwrap();
    assert!(others.next().await.unwrap().contains("event: signed-out"));
    assert!(others.next().await.is_none(), "disabled");

    school.callback_of("89281234568").await;
    heads.generation().await;
    // An open page that updates itself is use; the rest of the day is longer than two hours.
    for hour in 1..12 {
        school.clock.set(school.clock.now() + SignedDuration::from_hours(1));
        school.callback_of(&format!("892812346{hour:02}")).await;
        assert!(heads.next().await.unwrap().contains("event: list"), "hour {hour}");
    }
    school.clock.set(school.clock.now() + SignedDuration::from_hours(1));
    school.callback_of("89281234569").await;
    assert!(heads.next().await.unwrap().contains("event: signed-out"));
    assert!(heads.next().await.is_none(), "twelve hours are over");
}

#[tokio::test]
async fn streams_are_bounded_and_hold_no_connection_of_the_database() {
    let school = School::open().await;
    let (madina, aishat) = (school.sign_in("madina").await, school.sign_in("aishat").await);
    let mut pages = Vec::new();
    for _ in 0..20 {
        let mut page = school.listen(&madina, None).await.unwrap();
        page.generation().await;
        pages.push(page);
    }
    assert_eq!(school.listen(&madina, None).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    assert!(school.listen(&aishat, None).await.is_ok(), "each has his own places");
    assert_eq!(school.get("/callbacks", &madina).await.status, StatusCode::OK, "twenty streams, four readers");
    pages.pop();
    assert!(school.listen(&madina, None).await.is_ok(), "a closed page leaves its place");
}

#[tokio::test]
async fn all_streams_end_with_the_program() {
    let school = School::open().await;
    let cookie = school.sign_in("madina").await;
    let mut page = school.listen(&cookie, None).await.unwrap();
    page.generation().await;
    school.house.store.stop_telling();
    assert!(page.next().await.is_none());
    let mut late = school.listen(&cookie, None).await.unwrap();
    assert!(late.next().await.is_none(), "who comes now is sent away at once");
}
