//! Everything that arrives over HTTP: providers' webhooks, the JSON API, the officer's pages, health.
//!
//! Handlers are thin: rules live in `core`, rows in `store`, wording in the page. [`Error`] alone knows status codes.

pub mod api;
mod auth;
mod document;
mod edge;
mod error;
mod greetings;
mod health;
mod known_device;
mod login_throttle;
mod pages;
pub mod password;
mod plain_text;
mod rejection_log;
mod second_factor;
mod session;
pub mod sheet;
pub mod webhooks;
mod work_queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::timeout::TimeoutLayer;

pub use self::edge::{Overloaded, came_too_slowly, has_reserved_place};
pub use self::error::Error;
use self::login_throttle::{LoginThrottle, Origin};
pub use self::pages::AUDIT_ACTIONS;
pub use self::rejection_log::{Rejection, RejectionLog};
use self::work_queue::WorkQueue;
use crate::core::line::Lines;
use crate::core::line_scope::LineScope;
use crate::core::retention::Terms;
use crate::core::school::School;
use crate::providers::{Provider, Providers};
use crate::recordings::{Folder, Joiner};
use crate::store::{Person, Store};
use crate::time::{Clock, Heartbeat};

/// An answer to a person or program of the school begins within this time, the sending of their form included, or a
/// slow sender would hold a connection for ever.
const ANSWER_PEOPLE_WITHIN: Duration = Duration::from_secs(30);

/// A greeting of 10 MB over a school's slow line, and the time to make telephone sound of it.
const UPLOAD_WITHIN: Duration = Duration::from_secs(180);

/// Passwords hashed at once by each of the two queues: each takes 19 MiB and a core for some 30 ms.
const MAX_HASHING: usize = 1;
/// Requests that wait to hash a password: some 3 s of work.
const MAX_WAITING_TO_HASH: usize = 100;

/// What a request may use. Cheap to clone.
#[derive(Clone)]
pub struct House {
    parts: Arc<Parts>,
    /// As whoever asks may see it. It stands before that of the parts, which sees all.
    pub store: Store,
    checks: health::Checks,
    /// What strangers may write into the log.
    pub rejections: RejectionLog,
    documents: pages::Documents,
    throttle: Arc<LoginThrottle>,
    hashing: Hashing,
}

/// Turns of hashing passwords. Browsers that have signed in before have a queue of their own: strangers, from however many
/// addresses, make no officer wait.
#[derive(Clone)]
struct Hashing {
    known: WorkQueue<Origin>,
    strangers: WorkQueue<Origin>,
}

impl Hashing {
    fn new() -> Self {
        let queue = || WorkQueue::new(MAX_HASHING, MAX_WAITING_TO_HASH);
        Self { known: queue(), strangers: queue() }
    }

    fn of(&self, origin: Origin) -> &WorkQueue<Origin> {
        match origin {
            Origin::Device { .. } => &self.known,
            Origin::Address(_) => &self.strangers,
        }
    }
}

/// The parts of a [`House`].
pub struct Parts {
    pub clock: Clock,
    pub store: Store,
    pub folder: Folder,
    pub paths: StoragePaths,
    /// Makes the greetings that exchanges play.
    pub joiner: Joiner,
    pub providers: Providers,
    pub school: School,
    /// `https://calls.example.org`: links and cookies are made for it.
    pub public_url: String,
    /// Whether `/metrics` and `/readyz` answer whoever comes through a proxy.
    pub monitoring_through_proxy: bool,
    pub metrics: PrometheusHandle,
    /// Every page carries a banner: this is a rehearsal, not the school's phone.
    pub rehearsal: bool,
    /// Whether the worker sends letters, and whether it asks for the words of messages.
    pub sends_mail: bool,
    pub transcribes: bool,
    /// Whether the worker makes a backup every night.
    pub backs_up: bool,
    /// How long personal data is kept.
    pub retention: Terms,
    /// Of the worker, for readiness.
    pub worker: Heartbeat,
}

/// What the service writes to. Each may lie on a disk of its own.
#[derive(Clone, Debug)]
pub struct StoragePaths {
    /// The folder of recordings, with the first folder of the spool.
    pub recordings: PathBuf,
    /// The file of the database; `None` with PostgreSQL, whose disk is not ours.
    pub database: Option<PathBuf>,
    /// The second folder of the spool.
    pub emergency: PathBuf,
}

impl House {
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store.clone(),
            parts: Arc::new(parts),
            checks: health::Checks::default(),
            rejections: RejectionLog::default(),
            documents: pages::Documents::default(),
            throttle: Arc::default(),
            hashing: Hashing::new(),
        }
    }

    /// The lines as the school has them now.
    pub fn lines(&self) -> Lines {
        self.store.lines()
    }

    /// The same house as this person may see it: whatever is read and done through it belongs to their lines.
    pub fn seen_by(&self, person: &Person) -> Self {
        self.limited_to(&person.lines)
    }

    fn limited_to(&self, scope: &LineScope) -> Self {
        Self { store: self.store.limited_to(&scope.configured(&self.lines())), ..self.clone() }
    }

    /// The exchange that rings officers' telephones. A rehearsal rings nobody.
    pub fn dialler(&self) -> Option<&dyn Provider> {
        self.providers.dialler().filter(|_| !self.rehearsal)
    }
}

#[cfg(test)]
impl House {
    /// A house for tests in `folder`, behind `https://calls.example.org`, without providers.
    fn on_trial(folder: &std::path::Path, clock: Clock, store: Store) -> Self {
        Self::on_trial_with(folder, clock, store, Providers::default())
    }

    fn on_trial_with(folder: &std::path::Path, clock: Clock, store: Store, providers: Providers) -> Self {
        let recordings = Folder::open(folder.join("recordings")).unwrap();
        let sounds = crate::recordings::Sounds::within([folder.join("sounds")]);
        Self::new(Parts {
            clock,
            store,
            folder: recordings.clone(),
            paths: StoragePaths {
                recordings: folder.join("recordings"),
                database: None,
                emergency: folder.join("emergency"),
            },
            joiner: Joiner::new(recordings, sounds),
            providers,
            school: School { name: "Гимназия № 1".to_owned(), ..School::default() },
            public_url: "https://calls.example.org".to_owned(),
            monitoring_through_proxy: false,
            metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
            rehearsal: false,
            sends_mail: false,
            transcribes: false,
            backs_up: false,
            retention: Terms::default(),
            worker: Heartbeat::default(),
        })
    }
}

impl std::ops::Deref for House {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// All addresses of the service.
pub fn router(house: House) -> Router {
    let api = api::router().layer(session::layer(&house)).layer(pages::csrf(&house));
    let people = Router::new().nest("/api", api).merge(pages::router(&house));
    Router::new()
        .merge(people.layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ANSWER_PEOPLE_WITHIN)))
        .merge(pages::uploads(&house).layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, UPLOAD_WITHIN)))
        .merge(greetings::router())
        .merge(webhooks::router())
        .merge(health::router())
        .layer(from_fn_with_state(house.clone(), edge::guard))
        .with_state(house)
}
