//! The commands of the house. Each one reads the configuration, does its work in `app`, and ends with 0, or with 1 and
//! the reason in words.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use perezvon::app::check::{self, Probe};
use perezvon::app::cli::{
    self, Cli, Command, KeyCommand, OfficerCommand, PbxCommand, ProviderCommand, TokenCommand, WebhookCommand,
};
use perezvon::app::config::{self, Config, Mistakes};
use perezvon::app::{
    backup, demo, encryption, hours, house, pbx, people, privacy, provider, reconcile, replay, serve, telemetry,
    verify, webhook_verify,
};
use perezvon::core::calendar::Calendar;
use perezvon::core::line::LineId;
use perezvon::jobs::{Http, Reconciler, Worker, try_mail};
use perezvon::recordings::{Folder, KeyFile};
use perezvon::store::{Store, marks_of};
use perezvon::time::Clock;

/// Timeout of writing the last lines of the log.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    // Whatever the service writes is private to its user, also below folders that were made beforehand.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    match run(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Unlike the macro this does not panic where nobody reads standard error.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: the command has told what is wrong by itself.
async fn run(cli: Cli) -> anyhow::Result<bool> {
    let load = || config::load(cli.config.as_deref(), config::environment());
    let now = Clock::System.now();
    let out = &mut std::io::stdout();
    match cli.command {
        Command::Serve(args) => {
            let log = telemetry::start_logs();
            let served = match load() {
                Ok(config) => serve::run(config, args.rehearse_at).await,
                Err(mistakes) => Err(mistakes.into()),
            };
            log.flush(LAST_LINES_TIMEOUT);
            served?;
        }
        Command::Demo(args) => demo::run(args.at, out).await?,
        Command::Hours(args) => {
            let calendar = calendar(&load()?, args.line.as_deref())?;
            hours::run(&args, &calendar, &mut std::io::stdin().lock(), out)?;
        }
        Command::Check => {
            let mut config = load();
            let probes = probes(&mut config).await;
            return check::run(config, now, probes, out).await;
        }
        Command::Officer(command) => {
            let config = load()?;
            let store = match &command {
                OfficerCommand::Add { .. } => open_or_make(&config).await?,
                _ => open(&config).await?,
            };
            people::officer(&command, &store, now, out).await?;
        }
        Command::Token(command) => {
            let config = load()?;
            let store = match &command {
                TokenCommand::Add { .. } => open_or_make(&config).await?,
                _ => open(&config).await?,
            };
            people::token(&command, &store, now, out).await?;
        }
        Command::Reconcile(args) => {
            let config = load()?;
            let store = open(&config).await?;
            let providers = house::providers(&config, false);
            let reconciler = Reconciler { clock: Clock::System, store, providers, http: Http::new() };
            return reconcile::run(&reconciler, &args, out).await;
        }
        Command::Provider(ProviderCommand::Fallback(args)) => provider::fallback(&load()?, &args, out)?,
        Command::Pbx(PbxCommand::Config(args)) => {
            let mut config = load()?;
            take_the_hours_of_now(&mut config).await;
            pbx::config(&config, &args, out)?;
        }
        Command::Webhook(WebhookCommand::Verify(args)) => {
            warn(args.warning());
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body).context("тело запроса не читается")?;
            return webhook_verify::run(&args, &body, now, out);
        }
        Command::Backup(args) => return backup::make(&load()?, &args.into, now, out).await,
        Command::Restore(args) => {
            let mut config = load()?;
            config.storage.key_file = args.key_file.or(config.storage.key_file);
            return backup::restore(&config, &args.backup, args.forgotten.as_deref(), now, out).await;
        }
        Command::Key(KeyCommand::New { file }) => encryption::new_key(&file, out)?,
        Command::Encrypt => {
            let config = load()?;
            let store = open_to_read(&config).await?;
            return encryption::encrypt(&config, &store, out).await;
        }
        Command::Find(args) => {
            let config = load()?;
            let worker = worker(&config, open_to_read(&config).await?)?;
            return privacy::find(&config, &worker, &args, now, out).await;
        }
        Command::Forget(args) => {
            let config = load()?;
            let worker = worker(&config, open(&config).await?)?;
            return privacy::forget(&config, &worker, &args, now, out).await;
        }
        Command::Retention(args) => {
            let config = load()?;
            let worker = worker(&config, open(&config).await?)?;
            return privacy::retention(&config, &worker, &args, out).await;
        }
        Command::Verify(args) => {
            if let Some(folder) = &args.backup {
                // A configuration with mistakes is no reason to leave a backup unverified.
                let configured = || load().ok().and_then(|config| config.storage.key_file);
                let key = args.key_file.or_else(configured).map(|file| KeyFile::new(&file));
                return backup::verify(folder, key.as_ref(), out).await;
            }
            let config = load()?;
            let store = if args.adopt { open(&config).await? } else { open_to_read(&config).await? };
            let worker = worker(&config, store)?;
            let is_whole = verify::run_both_ways(&worker, args.adopt, out).await?;
            return Ok(verify::audit(&worker.store, args.audit_head, out).await? && is_whole);
        }
        Command::Replay(args) => {
            let config = load()?;
            let store = open(&config).await?;
            return match (&args.into, &args.spool) {
                (Some(into), _) => {
                    warn(replay::warning(into));
                    replay::into(&config, &store, into, out).await
                }
                (None, Some(path)) => replay::spool(path, &store, now, &mut std::io::stdin().lock(), out).await,
                (None, None) => anyhow::bail!("укажите --into или --spool"),
            };
        }
    }
    out.flush()?;
    Ok(true)
}

/// For a command that does single pieces of the worker's work.
fn worker(config: &Config, store: Store) -> anyhow::Result<Worker> {
    let folder = Folder::open(&config.storage.recordings)?.encrypted_with(config.storage.key());
    Ok(house::worker_of_a_command(config, store, folder))
}

/// Unlike the macro this does not panic where nobody reads standard error.
fn warn(text: Option<&str>) {
    if let Some(text) = text {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Opens the database that is there. A file that the service misses is not made behind its back.
async fn open(config: &Config) -> anyhow::Result<Store> {
    if let Some(missing) = config.storage.missing_database() {
        anyhow::bail!(missing);
    }
    let opened = Store::open_existing(&config.storage.database, config.lines.clone()).await;
    opened.with_context(|| cannot_be_opened(config))
}

/// The same for a command that only reads.
async fn open_to_read(config: &Config) -> anyhow::Result<Store> {
    if let Some(missing) = config.storage.missing_database() {
        anyhow::bail!(missing);
    }
    let opened = Store::open_to_read(&config.storage.database, config.lines.clone()).await;
    opened.with_context(|| cannot_be_opened(config))
}

/// The same for a command that may be the first of all.
async fn open_or_make(config: &Config) -> anyhow::Result<Store> {
    // Calls of the service would go into the new one.
    let storage = &config.storage;
    let marks = marks_of(&storage.database, &storage.recordings, &storage.emergency_folder());
    if !marks.is_empty()
        && let Some(missing) = storage.missing_database()
    {
        let marks: Vec<String> = marks.iter().map(|mark| mark.display().to_string()).collect();
        anyhow::bail!("{missing} Чтобы начать с пустой, уберите отметки о прежней: {}", marks.join(", "));
    }
    let opened = Store::open(&config.storage.database, config.lines.clone()).await;
    opened.with_context(|| cannot_be_opened(config))
}

fn cannot_be_opened(config: &Config) -> String {
    format!("база данных {} не открывается", config.storage.database_shown())
}

/// The lines with what the school changed since. A database that is not there yet has no changes.
async fn take_the_hours_of_now(config: &mut Config) {
    if config.storage.missing_database().is_some() {
        return;
    }
    match open(config).await {
        Ok(store) => config.lines = store.lines(),
        Err(error) => eprintln!("{error:#}. Часы взяты из настроек, без изменений со страницы «Календарь»."),
    }
}

/// The calendar of a line, or the house's own.
fn calendar(config: &Config, line: Option<&str>) -> anyhow::Result<Calendar> {
    let Some(id) = line else { return Ok(config.default_calendar.clone()) };
    let known = || config.lines.iter().map(|line| line.id.as_str()).collect::<Vec<_>>().join(", ");
    let line = config.lines.get(&LineId::new(id)).with_context(|| format!("линии {id} нет; есть {}", known()))?;
    Ok(line.calendar.clone())
}

/// What only a look at the running parts can tell.
/// From the store come the lines as the school has them now.
async fn probes(config: &mut Result<Config, Mistakes>) -> Vec<Probe> {
    let Ok(config) = config else { return Vec::new() };
    let mut probes = Vec::new();
    // Of a file that is not there the look at the disk speaks.
    if config.storage.missing_database().is_none() {
        probes.push(Probe { name: "База данных".to_owned(), result: probe_database(config).await });
    }
    probes.extend(check::operators::ask(config, Clock::System.now()).await);
    if let Some(mail) = &config.mail {
        probes.push(Probe { name: "Почта".to_owned(), result: try_mail(mail).await });
    }
    probes
}

async fn probe_database(config: &mut Config) -> Result<String, String> {
    match open(config).await {
        Ok(store) => {
            config.lines = store.lines();
            let (folder, officers) = (&config.storage.recordings, store.officers().await);
            match (store.misses_recordings(folder).await, officers) {
                (Ok(true), _) => Err(format!(
                    "{} не та папка записей, которую она знает: диск не подключён? Новые сообщения в неё не пишутся",
                    folder.display()
                )),
                (Ok(false), Ok(officers)) => Ok(format!("открывается, сотрудников: {}", officers.len())),
                (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
            }
        }
        Err(error) => Err(format!("{error:#}")),
    }
}
