//! The wiring: a configuration and a clock become a running house.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

use super::config::{Config, ProviderConfig};
use super::{listener, telemetry};
use crate::core::retention::Terms;
use crate::jobs::backup::NightlyBackup;
use crate::jobs::{Http, Retention, Transcriber, Worker};
use crate::providers::asterisk::Asterisk;
use crate::providers::twiml::Twiml;
use crate::providers::{Provider, Providers};
use crate::recordings::{Folder, Joiner};
use crate::store::{Instance, Purpose, Store, StoreError};
use crate::time::{Clock, Heartbeat};
use crate::web::{House, Parts, StoragePaths};

/// Timeout of the database at the start: callers wait meanwhile. One that comes later is opened when it comes.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of the stop of a task. What only memory holds is saved or printed after it, before a service manager loses patience.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const GOING_ON: &str = "Callers get the offer to leave a message, and their calls are spooled until it is there";

/// Everything below the socket: what handlers and the worker use.
pub struct Built {
    pub house: House,
    pub worker: Worker,
    pub store: Store,
}

/// Opens the database and the folder and puts the parts together. Nothing runs yet but the writer.
pub async fn build(config: &Config, clock: Clock, rehearse: bool) -> anyhow::Result<Built> {
    let database = config.storage.database_shown();
    let recordings = &config.storage.recordings;
    let purpose = match rehearse {
        true => Purpose::Rehearsal { started: clock.now().to_string() },
        false => Purpose::Calls { recordings: recordings.clone(), emergency: config.storage.emergency_folder() },
    };
    let folder = Folder::open(recordings).unwrap_or_else(|failed| {
        error!(error = %failed, "The folder of recordings cannot be written: {failed}. {GOING_ON}");
        Folder::unchecked(recordings)
    });
    let spool = config.storage.spool_folders();
    let spool = if rehearse { spool.for_rehearsal() } else { spool };
    let store = Store::begin(&config.storage.database, config.lines.clone(), purpose)
        .with_context(|| format!("база данных {database} не открывается"))?
        .with_spool(spool.clone())
        .with_instance(Instance::take(&recordings.join(".instances")));
    let folder = folder.refused_while(store.foreign_recordings()).encrypted_with(config.storage.key());
    if let Err(failed) = folder.key_state().await {
        error!(error = %failed, "Messages can be neither kept nor heard: {failed}. They stay with their provider until the key is back");
    }
    match tokio::time::timeout(DATABASE_TIMEOUT, store.ready()).await {
        Ok(Ok(())) => {}
        Ok(Err(StoreError::WrongPurpose { is_rehearsal: false })) => {
            bail!("база данных {database} уже хранит настоящие звонки: учение идёт только с пустой или учебной базой");
        }
        Ok(Err(StoreError::WrongPurpose { is_rehearsal: true })) => {
            bail!("база данных {database} осталась от учения: настоящие звонки в неё не пишутся, укажите другую");
        }
        Ok(Err(failed)) => error!(error = %failed, "The database {database} is away: {failed}. {GOING_ON}"),
        Err(_) => error!("The database {database} does not answer. {GOING_ON}"),
    }
    let providers = providers(config, rehearse);
    let heartbeat = Heartbeat::default();
    // A rehearsal's callers have never called: nobody is written to about them.
    let mail = config.mail.clone().filter(|_| !rehearse).map(Arc::new);
    let backup = config.backup.clone().filter(|_| !rehearse);
    let backup = backup.map(|settings| Arc::new(NightlyBackup::new(settings, config.storage.backup_source())));
    let house = House::new(Parts {
        clock: clock.clone(),
        store: store.clone(),
        folder: folder.clone(),
        paths: StoragePaths {
            recordings: recordings.clone(),
            database: config.storage.database_file(),
            emergency: spool.emergency,
        },
        joiner: Joiner::new(folder.clone(), config.prompts.sounds.clone()),
        providers: providers.clone(),
        school: config.school.clone(),
        public_url: config.server.public_url.clone(),
        monitoring_through_proxy: config.server.monitoring_through_proxy,
        metrics: telemetry::metrics(),
        rehearsal: rehearse,
        sends_mail: mail.is_some(),
        transcribes: config.transcription.is_some(),
        backs_up: backup.is_some(),
        retention: config.retention,
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
        reconciles: !rehearse,
        backup,
        retention: Arc::new(Retention::new(if rehearse { Terms::default() } else { config.retention })),
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
        reconciles: false,
        backup: None,
        retention: Arc::default(),
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

/// A task without which the service is none has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskEnded {
    #[error("the task that writes to the database has ended")]
    Writer,
    #[error("the task that works off the queue has ended")]
    Worker,
    #[error("the task that accepts connections has ended")]
    Listener,
}

/// Begins to listen and to work. `listener` may be bound to port 0.
pub fn run(built: Built, listener: TcpListener) -> anyhow::Result<Running> {
    let Built { house, worker, store } = built;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(telemetry::keep_metrics_small(house.metrics.clone(), stopped.clone()));
    let rejections = house.rejections.clone();
    let serving = tokio::spawn(listener::serve(listener, crate::web::router(house), rejections, stopped.clone()));
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
    /// Returns when a task has ended that only a new start of the process brings back.
    pub async fn task_ended(&mut self) -> TaskEnded {
        tokio::select! {
            () = self.store.writer_ended() => TaskEnded::Writer,
            _ = &mut self.working => TaskEnded::Worker,
            _ = &mut self.serving => TaskEnded::Listener,
        }
    }

    /// Takes nothing new, finishes what is in hand, closes the database. The answer is what could be saved nowhere, as lines
    /// for `perezvon replay --spool`.
    pub async fn stop(self) -> Vec<String> {
        let Self { worker, store, stop, serving, working, .. } = self;
        let _ = stop.send(true);
        store.stop_telling();
        for mut task in [serving, working] {
            if !task.is_finished() && tokio::time::timeout(STOP_TIMEOUT, &mut task).await.is_err() {
                error!("A task hangs and is broken off");
                task.abort();
            }
        }
        let unsaved = store.drain_spool_at_stop(&worker.clock).await;
        drop(worker);
        store.close().await;
        unsaved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;

    async fn running(folder: &std::path::Path) -> Running {
        let text = format!(
            "[storage]\ndatabase = \"sqlite:{0}/perezvon.db\"\nrecordings = \"{0}/recordings\"\nemergency = \"{0}/emergency\"",
            folder.display()
        );
        let config = config::parse(&text, None, []).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        run(build(&config, Clock::System, false).await.unwrap(), listener).unwrap()
    }

    async fn healthz(running: &Running) -> u16 {
        let client = crate::jobs::client_builder().build().unwrap();
        client.get(format!("http://{}/healthz", running.address)).send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn dead_writer_ends_the_service_and_is_not_healthy() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = running(folder.path()).await;
        assert_eq!(healthz(&running).await, 200);
        running.store.panic_in_the_writer().await;
        assert_eq!(running.task_ended().await, TaskEnded::Writer);
        assert_eq!(healthz(&running).await, 503);
        assert_eq!(running.stop().await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn dead_worker_ends_the_service_and_is_not_healthy() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = running(folder.path()).await;
        running.working.abort();
        assert_eq!(running.task_ended().await, TaskEnded::Worker);
        assert_eq!(healthz(&running).await, 503);
        running.stop().await;
    }
}
