//! A simulated year: callers, a provider that loses, repeats and delays what it has to report, faults for hours at a time and
//! officers at work, all from one seed. At its end a ledger compares what the provider and the callers know with what the
//! service made of it.
//!
//! The long one: `YEAR_SEED=1 YEAR_CALLS=100000 cargo test --release --test stories year:: -- --ignored --nocapture`.

mod calendar;
mod callers;
mod changes;
mod dialogue;
mod faults;
mod inbox;
mod ledger;
mod listing;
mod lists;
mod oddities;
mod officers;
mod proof;
mod provider;
mod random;
mod sounds;
mod tables;

use std::collections::BTreeMap;

use futures_util::future::join;
use perezvon::time::{SignedDuration, Timestamp};

use self::callers::Call;
use self::faults::{Fault, Faults};
use self::inbox::Inbox;
use self::lists::Waiting;
use self::oddities::Oddity;
use self::officers::Office;
use self::provider::FakeProvider;
use self::random::{Random, mix};
use crate::harness::{Answer, App, Engine, at, tell_on_one_thread};

const BEGINS: &str = "2026-01-01T00:00:00+03:00";
const DAYS_OF_A_YEAR: i64 = 365;
/// After the year everything works, and what is still under way comes to its end: a message that its provider has lost is
/// given up after sixty days.
const SETTLING_DAYS: i64 = 75;
/// Faults end so long before the year does.
const FAULTLESS_DAYS: i64 = 3;
/// A year of fewer calls is run for every change, and has more of what is rare.
const SHORT_YEAR: usize = 20_000;

/// How a year is run.
#[derive(Clone, Copy, Debug)]
struct Settings {
    seed: u64,
    calls: usize,
    days: i64,
    has_faults: bool,
    /// Of a thousand calls so many begin with a request that cannot be read in some field; of a thousand messages so many are
    /// sound of another kind.
    odd_per_mille: u64,
}

impl Settings {
    fn year(seed: u64, calls: usize) -> Self {
        let odd_per_mille = if calls < SHORT_YEAR { 40 } else { 8 };
        Self { seed, calls, days: DAYS_OF_A_YEAR, has_faults: true, odd_per_mille }
    }

    fn end(&self) -> Timestamp {
        at(BEGINS) + SignedDuration::from_hours(24 * self.days)
    }

    fn is_short(&self) -> bool {
        self.calls < SHORT_YEAR
    }

    /// How often the service looks around when nothing happens. A year of few calls is not worth thousands of looks at nothing.
    fn idle_minutes(&self) -> i64 {
        if self.is_short() { 24 * 60 } else { 30 }
    }

    /// How long the service waits at least from one sweep to the next.
    fn sweep_minutes(&self) -> i64 {
        if self.is_short() { 180 } else { 30 }
    }

    /// How long an officer rests at most who found nobody.
    fn rest_seconds(&self) -> i64 {
        if self.is_short() { 3 * 3_600 } else { 1_200 }
    }
}

/// What a year came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Figures {
    webhooks: u64,
    /// Requests of the provider that never reached the service.
    unheard: u64,
    /// Requests that were answered with 503, since nothing could be made durable.
    unsaved: u64,
    repeated: u64,
    at_once: u64,
    kills: u64,
    outages: u64,
    /// How often the file of the database was away, or replaced by a copy of itself.
    moved_files: u64,
    blocked_spools: u64,
    rest_faults: u64,
    jobs: u64,
    attempts: u64,
    closed: u64,
    contests: u64,
    /// Officers who were kept from dialling a number that a colleague held.
    warned: u64,
    /// Instants at which the list of the working period was compared with who waits.
    lists: u64,
    /// What everything that happened comes to: equal in two runs of one seed.
    trace: u64,
}

enum Event {
    Call(usize, dialogue::Step),
    /// A callback of the provider that is on its way.
    Callback(dialogue::Callback),
    Tick,
    Officer(usize),
    FaultBegins(Fault),
    FaultEnds(Fault),
    NextCall,
}

struct Year<'a> {
    app: &'a App,
    settings: Settings,
    provider: FakeProvider,
    random: Random,
    people: Vec<String>,
    calls: Vec<Call>,
    /// What the log must have of requests that name no call.
    nameless: Vec<Call>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    queued: u64,
    faults: Faults,
    office: Office,
    figures: Figures,
    /// What a rule of the ledger says was broken on the way.
    violations: Vec<ledger::Violation>,
    inbox: Inbox,
    waiting: Waiting,
    /// The list is to be looked at, as soon as everything works.
    is_list_due: bool,
    swept_at: Timestamp,
    list_read_at: Timestamp,
}

impl<'a> Year<'a> {
    async fn begin(app: &'a App, settings: Settings) -> Self {
        let begins_at = at(BEGINS);
        app.clock.set(begins_at);
        let provider = FakeProvider::open(app.clock.clone(), &app.database, app.folder.path().join("recordings")).await;
        // Some callers of the year are from Armenia, Georgia and ranges that are not dialed unasked; officers call them all back.
        app.restart(|setup| {
            setup.api_base = provider.api_base.clone();
            setup.tables = "[dialing]\nallowed = [\"ru\", \"+7\", \"+374\", \"+995\"]\n".to_owned();
        })
        .await;
        let mut random = Random::new(mix(settings.seed));
        let people = callers::people(&mut random, settings.calls / 12 + 20);
        let mut year = Self {
            app,
            settings,
            provider,
            random,
            people,
            calls: Vec::with_capacity(settings.calls),
            nameless: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            faults: Faults::default(),
            office: Office::new(2 + settings.calls / 20_000),
            figures: Figures::default(),
            violations: Vec::new(),
            inbox: Inbox::default(),
            waiting: Waiting::default(),
            is_list_due: false,
            swept_at: begins_at,
            list_read_at: begins_at,
        };
        year.after(1, Event::Tick);
        year.after(1, Event::NextCall);
        for officer in 0..year.office.size() {
            year.after(60, Event::Officer(officer));
        }
        if settings.has_faults {
            year.plan_faults();
        }
        year
    }

    fn now(&self) -> Timestamp {
        self.app.now()
    }

    fn after(&mut self, seconds: i64, event: Event) {
        self.on(self.now() + SignedDuration::from_secs(seconds), event);
    }

    fn on(&mut self, at: Timestamp, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }

    fn trace(&mut self, word: u64) {
        self.figures.trace = mix(self.figures.trace ^ word ^ self.now().as_millisecond().unsigned_abs());
    }

    fn report(&mut self, rule: ledger::Rule, what: String) {
        self.violations.push(ledger::Violation { rule, what });
    }

    /// Everything until the last day is over.
    async fn run(&mut self) {
        let ends_at = self.settings.end();
        self.run_until(ends_at).await;
        self.end_all_faults().await;
        self.run_until(ends_at + SignedDuration::from_hours(24 * SETTLING_DAYS)).await;
    }

    async fn run_until(&mut self, end: Timestamp) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 < end) {
            let ((at, _), event) = entry.remove_entry();
            self.app.clock.set(at.max(self.now()));
            self.handle(event).await;
        }
        self.app.clock.set(end);
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::NextCall => self.next_call(),
            Event::Call(call, step) => self.step(call, step).await,
            Event::Callback(callback) => self.deliver(callback).await,
            Event::Tick => {
                self.tick().await;
                self.after(self.settings.idle_minutes() * 60, Event::Tick);
            }
            Event::Officer(officer) => self.officer_works(officer).await,
            Event::FaultBegins(fault) => self.begin_fault(fault).await,
            Event::FaultEnds(fault) => self.end_fault(fault).await,
        }
    }

    /// Calls come one after another, as thick as the hour of the day is busy.
    fn next_call(&mut self) {
        if self.calls.len() == self.settings.calls {
            return;
        }
        let now = self.now();
        let mut call = callers::invent(&mut self.random, &self.people, &self.calls, now);
        Oddity::befall(&mut call, self.settings.odd_per_mille);
        self.calls.push(call);
        self.after(0, Event::Call(self.calls.len() - 1, dialogue::Step::Arrives));
        // Seconds that are left, weighed by how busy they are: the mean load of a week is about 33.
        let ends_at = self.settings.end() - SignedDuration::from_hours(6);
        let left = (self.settings.calls - self.calls.len()).max(1) as i64;
        let seconds_left = ends_at.duration_since(now).as_secs().max(1);
        let mut credit = self.random.between(0, 2 * seconds_left * 33 / left);
        let mut next = now;
        while credit > 0 && next < ends_at {
            let load = i64::try_from(calendar::load(next)).expect("small");
            let step = (credit / load).clamp(1, 3_600);
            credit -= step * load;
            next += SignedDuration::from_secs(step);
        }
        self.on(next.max(now + SignedDuration::from_secs(1)), Event::NextCall);
    }

    /// What the worker of the service does by itself.
    async fn tick(&mut self) {
        if self.faults.is_down {
            return;
        }
        self.app.store().drain_spool(&self.app.clock).await;
        if self.faults.is_database_away() {
            return;
        }
        let now = self.now();
        if now.duration_since(self.swept_at).as_mins() >= self.settings.sweep_minutes() {
            self.swept_at = now;
            self.app.worker().sweep().await;
            self.app.store().tend_spool(now).await;
        }
        // After an outage in which nothing was written this is the first to find its connection broken; as in the service the
        // next turn opens another.
        if self.app.worker().plan_looks(false).await.is_err() {
            self.app.worker().plan_looks(false).await.expect("the database is there");
        }
        self.figures.jobs += self.app.run_jobs().await as u64;
        if now.duration_since(self.list_read_at).as_hours() >= 24 * 7 {
            self.list_read_at = now;
            lists::check_whole(self).await;
        }
        self.check_lists_if_due().await;
    }

    /// One request of the provider, now and then twice at once.
    async fn post(&mut self, endpoint: &str, body: &[u8]) -> Answer {
        self.figures.webhooks += 1;
        let now = self.now();
        let answers = if self.random.chance(40) {
            self.figures.at_once += 1;
            let (first, second) = join(self.app.post_bytes(endpoint, body), self.app.post_bytes(endpoint, body)).await;
            vec![first, second]
        } else {
            vec![self.app.post_bytes(endpoint, body).await]
        };
        if self.faults.is_durable() {
            let acknowledged = answers.iter().filter(|answer| (200..300).contains(&answer.status));
            acknowledged.for_each(|_| self.inbox.acknowledged(endpoint, body, now));
        }
        let answer = answers.into_iter().next().expect("it was asked once");
        self.trace(u64::from(answer.status));
        if self.random.chance(if self.settings.is_short() { 120 } else { 300 }) {
            let soon = self.random.between(1, 60);
            self.after(soon, Event::Callback(dialogue::Callback::nothing()));
        }
        answer
    }
}

/// Runs a year and lets the ledger say what it came to.
async fn run(app: &App, settings: Settings) -> (ledger::Totals, Figures) {
    let mut year = Year::begin(app, settings).await;
    year.run().await;
    let (totals, violations) = ledger::audit(&mut year).await;
    let figures = year.figures.clone();
    year.provider.close().await;
    let shown: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} entries of the ledger are wrong. Again: YEAR_SEED={} YEAR_CALLS={} cargo test --release --test stories \
         year::{}::long_year_loses_nobody -- --ignored --nocapture\n{}",
        violations.len(),
        settings.seed,
        settings.calls,
        if app.engine == Engine::Sqlite { "sqlite" } else { "postgres" },
        shown.join("\n")
    );
    (totals, figures)
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

async fn a_year(app: &App, seed: u64, calls: usize) {
    let (totals, figures) = run(app, Settings::year(seed, calls)).await;
    println!("seed {seed}: {totals}\n{figures}");
}

async fn long_year(app: &App) {
    a_year(app, from_environment("YEAR_SEED", 1), from_environment("YEAR_CALLS", 100_000) as usize).await;
}

async fn runs_twice(app: &App) {
    let settings = Settings { seed: 7, calls: 60, days: 30, has_faults: true, odd_per_mille: 200 };
    let other = App::start(app.engine).await;
    let (first, second) = (run(app, settings).await, run(&other, settings).await);
    other.end().await;
    assert_eq!(first, second);
}

mod sqlite {
    use super::*;

    #[test]
    fn year_of_seed_one_loses_nobody() {
        tell_on_one_thread(Engine::Sqlite, |app| Box::pin(a_year(app, 1, 1_500)));
    }

    #[test]
    fn year_of_seed_two_loses_nobody() {
        tell_on_one_thread(Engine::Sqlite, |app| Box::pin(a_year(app, 2, 1_500)));
    }

    #[test]
    fn same_seed_is_the_same_year() {
        tell_on_one_thread(Engine::Sqlite, |app| Box::pin(runs_twice(app)));
    }

    #[test]
    fn every_rule_of_the_ledger_can_fail() {
        tell_on_one_thread(Engine::Sqlite, |app| Box::pin(proof::every_rule_fails(app)));
    }

    #[test]
    #[ignore = "takes minutes"]
    fn long_year_loses_nobody() {
        tell_on_one_thread(Engine::Sqlite, |app| Box::pin(long_year(app)));
    }
}

mod postgres {
    use super::*;

    #[test]
    fn year_of_seed_three_loses_nobody() {
        tell_on_one_thread(Engine::Postgres, |app| Box::pin(a_year(app, 3, 300)));
    }

    #[test]
    #[ignore = "takes minutes"]
    fn long_year_loses_nobody() {
        tell_on_one_thread(Engine::Postgres, |app| Box::pin(long_year(app)));
    }
}
