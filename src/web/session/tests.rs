//! What must hold of every session, whatever the pages do with it.

use axum::http::HeaderValue;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

use super::*;
use crate::core::calendar::{Calendar, Hours};
use crate::core::line::Lines;
use crate::store::Store;
use crate::time::Clock;

async fn house() -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("perezvon.db").display());
    let store = Store::open(&url, Lines::new(Vec::new(), Calendar::new(Hours::default()))).await.unwrap();
    let clock = Clock::standing_at("2026-11-23T09:00:00+03:00".parse().unwrap());
    (House::on_trial(folder.path(), clock, store), folder)
}

fn record(id: Id) -> Record {
    let data = [("theme".to_owned(), "dark".into())].into();
    Record { id, data, expiry_date: tower_sessions::cookie::time::OffsetDateTime::UNIX_EPOCH }
}

#[tokio::test]
async fn an_id_from_outside_is_never_taken_for_a_new_session() {
    let (house, _folder) = house().await;
    let keeper = Keeper::new(house.clone());
    let made_up: Id = "AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
    let mut new = record(made_up);
    keeper.create(&mut new).await.unwrap();
    assert_ne!(new.id, made_up);
    assert!(keeper.load(&made_up).await.unwrap().is_none());
    assert_eq!(keeper.load(&new.id).await.unwrap().unwrap().data, new.data);
    keeper.save(&record(made_up)).await.unwrap();
    assert!(keeper.load(&made_up).await.unwrap().is_none(), "saving makes no session");
}

#[tokio::test]
async fn session_of_nobody_lasts_two_hours_and_use_makes_it_no_longer() {
    let (house, _folder) = house().await;
    let keeper = Keeper::new(house.clone());
    let mut session = record(Id::default());
    keeper.create(&mut session).await.unwrap();
    house.clock.advance(IDLE_TIMEOUT - SignedDuration::from_millis(1));
    assert!(keeper.load(&session.id).await.unwrap().is_some());
    keeper.save(&session).await.unwrap();
    house.clock.advance(SignedDuration::from_millis(1));
    assert!(keeper.load(&session.id).await.unwrap().is_none());
    assert_eq!(house.store.delete_expired_sessions(house.clock.now()).await.unwrap(), 1);
}

/// Threat: a commit for each request keeps the one writer busy.
#[tokio::test]
async fn use_is_written_down_every_five_minutes_at_most() {
    let (house, _folder) = house().await;
    let keeper = Keeper::new(house.clone());
    let entered = serde_json::json!({"officer": 7, "at": house.clock.now().as_millisecond()});
    let mut session = Record { data: [(ENTERED.to_owned(), entered)].into(), ..record(Id::default()) };
    keeper.create(&mut session).await.unwrap();
    let expires_at = async || house.store.sessions_of(7, house.clock.now()).await.unwrap()[0].expires_at;
    let at_first = expires_at().await;
    for (minute, later) in [(1, 0), (4, 0), (5, 5), (6, 5), (9, 5), (10, 10), (100, 100)] {
        house.clock.set(at_first - IDLE_TIMEOUT + SignedDuration::from_mins(minute));
        assert!(keeper.load(&session.id).await.unwrap().is_some());
        assert_eq!(expires_at().await, at_first + SignedDuration::from_mins(later), "used in minute {minute}");
    }
}

#[test]
fn browsers_are_told_apart_by_what_only_they_say() {
    for (told, family) in [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "Firefox"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36", "Chrome"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 YaBrowser/25.10 Safari/537.36",
            "Яндекс Браузер",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", "Edge"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1", "Safari"),
        ("curl/8.5", "Другой браузер"),
    ] {
        let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(told))]);
        assert_eq!(browser(&headers), family, "{told}");
    }
}
