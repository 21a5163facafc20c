//! The wiring: a configuration and a clock become a running house.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::config::{Config, ProviderConfig, Storage};
use super::{listener, telemetry};
use crate::jobs::backup::NightlyBackup;
use crate::jobs::{Http, Transcriber, Worker};
use crate::providers::asterisk::Asterisk;
use crate::providers::twiml::Twiml;
use crate::providers::{Provider, Providers};
use crate::recordings::{Folder, Joiner};
use crate::store::Store;
use crate::time::{Clock, Heartbeat};
use crate::web::{House, Parts};

/// The mark of a database that holds a rehearsal.
const REHEARSAL: &str = "rehearsal";

/// Everything below the socket: what handlers and the worker use.
pub struct Built {
    pub house: House,
    pub worker: Worker,
    pub store: Store,
}

/// Opens the database and the folder and puts the parts together. Nothing runs yet but the writer.
pub async fn build(config: &Config, clock: Clock, rehearse: bool) -> anyhow::Result<Built> {
    let database = config.storage.database_shown();
    let store = Store::open(&config.storage.database, config.lines.clone())
        .await
        .with_context(|| format!("база данных {database} не открывается"))?;
    let marked = store.meta(REHEARSAL).await?.is_some();
    if rehearse && !marked {
        if !store.is_empty().await? {
            bail!("база данных {database} уже хранит настоящие звонки: учение идёт только с пустой или учебной базой");
        }
        store.set_meta(REHEARSAL, &clock.now().to_string()).await?;
    }
    let folder = Folder::open(&config.storage.recordings)
        .with_context(|| format!("папка записей {} не открывается", config.storage.recordings.display()))?;
    let store = store
        .with_late_folder(&config.storage.recordings.join(".late"))
        .with_context(|| format!("в папке записей {} нельзя писать", config.storage.recordings.display()))?;
    let providers = providers(config, rehearse);
    let heartbeat = Heartbeat::default();
    // A rehearsal's callers have never called: nobody is written to about them.
    let mail = config.mail.clone().filter(|_| !(rehearse || marked)).map(Arc::new);
    let Storage { database, recordings } = config.storage.clone();
    let backup = config.backup.clone().filter(|_| !(rehearse || marked));
    let backup = backup.map(|settings| Arc::new(NightlyBackup::new(settings, database, recordings)));
    let house = House::new(Parts {
        clock: clock.clone(),
        store: store.clone(),
        folder: folder.clone(),
        joiner: Joiner::new(folder.clone(), config.prompts.sounds.clone()),
        providers: providers.clone(),
        school: config.school.clone(),
        public_url: config.server.public_url.clone(),
        metrics: telemetry::metrics(),
        rehearsal: rehearse || marked,
        sends_mail: mail.is_some(),
        transcribes: config.transcription.is_some(),
        backs_up: backup.is_some(),
        worker: heartbeat.clone(),
    });
    let worker = Worker {
        clock,
        store: store.clone(),
        folder,
        providers,
        http: Http::new(),
        mail,
        transcriber: config.transcription.clone().map(Transcriber::new),
        backup,
        heartbeat,
    };
    Ok(Built { house, worker, store })
}

/// A worker for a command that does single pieces of its work while the service may run beside it.
pub fn worker_of_a_command(config: &Config, store: Store, folder: Folder) -> Worker {
    Worker {
        clock: Clock::System,
        store,
        folder,
        providers: providers(config, false),
        http: Http::new(),
        mail: None,
        transcriber: config.transcription.clone().map(Transcriber::new),
        backup: None,
        heartbeat: Heartbeat::default(),
    }
}

/// The codecs of the configured providers. In a rehearsal our clock is not theirs.
pub fn providers(config: &Config, rehearse: bool) -> Providers {
    Providers::new(config.providers.iter().map(|config| provider(config, rehearse)))
}

fn provider(config: &ProviderConfig, rehearse: bool) -> Box<dyn Provider> {
    match config {
        ProviderConfig::Twiml { settings, api_token } => match api_token {
            Some(token) => Box::new(Twiml::new(settings.clone()).with_api_token(token.clone())),
            None => Box::new(Twiml::new(settings.clone())),
        },
        ProviderConfig::Asterisk(settings) if rehearse => Box::new(Asterisk::new(settings.clone()).rehearsed()),
        ProviderConfig::Asterisk(settings) => Box::new(Asterisk::new(settings.clone())),
    }
}

/// A house that answers at an address.
pub struct Running {
    pub address: SocketAddr,
    pub worker: Worker,
    pub store: Store,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    working: JoinHandle<()>,
}

/// Begins to listen and to work. `listener` may be bound to port 0.
pub fn run(built: Built, listener: TcpListener) -> anyhow::Result<Running> {
    let Built { house, worker, store } = built;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(telemetry::keep_metrics_small(house.metrics.clone(), stopped.clone()));
    let serving = tokio::spawn(listener::serve(listener, crate::web::router(house), stopped.clone()));
    let (over, work) = (Over(worker.heartbeat.clone()), worker.clone().run(stopped));
    let working = tokio::spawn(async move {
        let _over = over;
        work.await;
    });
    Ok(Running { address, worker, store, stop, serving, working })
}

/// Ends the heartbeat of the worker however the worker ends, by a panic too.
struct Over(Heartbeat);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Running {
    /// Takes nothing new, finishes what is in hand, closes the database.
    pub async fn stop(self) {
        let Self { worker, store, stop, serving, working, .. } = self;
        let _ = stop.send(true);
        store.stop_telling();
        let _ = serving.await;
        let _ = working.await;
        drop(worker);
        store.close().await;
    }
}
