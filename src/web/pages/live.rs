//! Live updates of the list: one stream of server-sent events for each open page. An event says only that there is something
//! to fetch; what it is the page asks for itself, as whoever it is then.
//!
//! `event: list`, `id: N`, `data: {"generation":N,"at":"9:14"}`. The first comes at once, so that nothing is missed between
//! the page and its stream; a browser that comes back with the id of the last one gets it only if something happened since.
//! `event: signed-out` is the last one of a session that is over.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::words::Wall;
use crate::store::Told;
use crate::time::Timestamp;
use crate::web::{House, session};

/// Changes within this time are one event: the first of a burst waits for the others.
const SETTLE: Duration = Duration::from_millis(200);
/// How often a quiet stream looks around: at other houses, at its session.
const TICK: Duration = Duration::from_secs(3);
/// Between two questions whether the session still holds. What ends here is told at once; this is for what ends by time or
/// in another house.
const CHECK_EVERY_MS: i64 = 15_000;
/// A comment keeps the connection from being taken for dead, and finds out if it is.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What a browser waits before it comes back by itself.
const RETRY: Duration = Duration::from_secs(3);
/// Pages that one person may have open, and all together: half of what the listener has for pages, so that there is room for work.
const MOST_OF_ONE: usize = 20;
const MOST_OF_ALL: usize = 256;

pub(super) fn router() -> Router<House> {
    Router::new().route("/callbacks/events", get(events)).layer(Extension(Arc::new(Places::default())))
}

/// Open streams, by whose they are.
#[derive(Default)]
struct Places(Mutex<HashMap<String, usize>>);

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: there are as many as may be.
    fn take(self: Arc<Self>, whose: String) -> Option<Place> {
        let mut taken = self.lock();
        let own = taken.get(&whose).copied().unwrap_or(0);
        if own >= MOST_OF_ONE || taken.values().sum::<usize>() >= MOST_OF_ALL {
            return None;
        }
        taken.insert(whose.clone(), own + 1);
        drop(taken);
        Some(Place { places: self, whose })
    }
}

/// One stream's place, free again when it is dropped.
struct Place {
    places: Arc<Places>,
    whose: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(own) = taken.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

/// Proxies shall pass on each event as it comes.
const UNBUFFERED: [(HeaderName, &str); 1] = [(HeaderName::from_static("x-accel-buffering"), "no")];

/// A program reads the status, so nobody is led to the way in: 401 without a session, 429 with too many streams.
async fn events(State(house): State<House>, Extension(places): Extension<Arc<Places>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let person = match session::person(&parts, &house).await {
        Ok(Some(person)) => person,
        Ok(None) => return StatusCode::UNAUTHORIZED.into_response(),
        Err(failed) => return failed.status().into_response(),
    };
    let Some(place) = places.take(person.actor.id) else { return StatusCode::TOO_MANY_REQUESTS.into_response() };
    // Where the others stand now, so that what they do from here on is noticed.
    let _ = house.store.look_at_other_houses().await;
    let told = house.store.listen();
    let present = *told.borrow();
    let last_seen = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listening = Listening {
        seen: Told { list: last_seen.unwrap_or(0), ..present },
        checked_at: house.clock.now(),
        told,
        ticks,
        parts,
        house,
        begun: false,
        ended: false,
        _place: place,
    };
    let events = stream::unfold(listening, async |mut listening| {
        let event = listening.next().await?;
        Some((Ok::<_, Infallible>(event), listening))
    });
    (UNBUFFERED, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response()
}

/// One page's stream. It holds no connection of the database between its short questions.
struct Listening {
    house: House,
    /// Of the request that began it: whose session it is.
    parts: Parts,
    told: watch::Receiver<Told>,
    /// What the page knows of.
    seen: Told,
    checked_at: Timestamp,
    ticks: Interval,
    begun: bool,
    ended: bool,
    _place: Place,
}

#[derive(Serialize)]
struct News {
    generation: u64,
    /// «9:14», by the school's clock.
    at: String,
}

impl Listening {
    /// The next event; `None`: the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let told = *self.told.borrow_and_update();
            if told.over || self.ended {
                return None;
            }
            if !self.is_signed_in(told).await {
                self.ended = true;
                return Some(Event::default().event("signed-out").data("{}"));
            }
            if told.list != self.seen.list {
                return self.list().await;
            }
            if !self.begun {
                self.begun = true;
                return Some(Event::default().retry(RETRY).comment("listening"));
            }
            tokio::select! {
                changed = self.told.changed() => changed.ok()?,
                _ = self.ticks.tick() => {
                    // A database that is away tells no news; the page hears of it when it asks for the list.
                    let _ = self.house.store.look_at_other_houses().await;
                }
            }
        }
    }

    /// «The list has changed», with all that changed meanwhile.
    async fn list(&mut self) -> Option<Event> {
        let mut event = Event::default().event("list");
        match self.begun {
            true => tokio::time::sleep(SETTLE).await,
            false => event = event.retry(RETRY),
        }
        self.begun = true;
        let told = *self.told.borrow_and_update();
        if told.over {
            return None;
        }
        self.seen.list = told.list;
        let lines = self.house.lines();
        let now = self.house.clock.now();
        let at = Wall::new(lines.default_calendar().time_zone(), now).clock(now);
        event.id(told.list.to_string()).json_data(News { generation: told.list, at }).ok()
    }

    /// Asks when somebody was shown out here, and from time to time.
    async fn is_signed_in(&mut self, told: Told) -> bool {
        let now = self.house.clock.now();
        let age_ms = (now.as_millisecond() - self.checked_at.as_millisecond()).abs();
        if told.people == self.seen.people && age_ms < CHECK_EVERY_MS {
            return true;
        }
        self.seen.people = told.people;
        self.checked_at = now;
        // Nobody is shown out because the database is away.
        session::still_holds(&self.parts, &self.house).await.unwrap_or(true)
    }
}
