//! `perezvon serve`: the service until somebody asks it to end.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::config::Config;
use super::house::{self, TaskEnded};
use super::log_writer::duplicate;
use crate::time::{Clock, Timestamp};

/// What can be printed nowhere else lies in this file of the working folder.
const UNSAVED_FILE: &str = "perezvon-unsaved.jsonl";
/// Timeout of writing it to one place.
const PRINT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT, then finishes what is in hand. SIGHUP and SIGQUIT do the same.
pub async fn run(config: Config, rehearse_at: Option<Timestamp>) -> anyhow::Result<()> {
    let clock = rehearse_at.map_or(Clock::System, Clock::starting_at);
    let address = config.server.listen;
    // Bound before anything else, so that whoever calls meanwhile waits and is not refused.
    let listener = TcpListener::bind(address).await.with_context(|| format!("адрес {address} занят или недоступен"))?;
    let built = house::build(&config, clock.clone(), rehearse_at.is_some()).await?;
    for warning in config.default_calendar.warnings(clock.now()) {
        warn!("{warning}");
    }
    if config.providers.is_empty() {
        warn!("No provider is configured: nobody can call. See perezvon.example.toml, [[providers]]");
    }
    // Beside the work: a database that does not answer would keep callers waiting.
    let store = built.store.clone();
    tokio::spawn(async move {
        if store.officers().await.is_ok_and(|officers| officers.is_empty()) {
            warn!("Nobody can sign in yet: perezvon officer add NAME --login LOGIN --role admin");
        }
    });
    let mut running = house::run(built, listener)?;
    info!(address = %running.address, "Listening at http://{}", running.address);
    let ended = tokio::select! {
        asked = wait_for_the_end() => asked.map(|()| None)?,
        task = running.task_ended() => Some(task),
    };
    match ended {
        None => info!("Ending: finishing what is in hand"),
        Some(task) => error!("Ending to be started anew: {task}"),
    }
    conclude(ended, &running.stop().await)
}

/// Prints what could be saved nowhere. An error, and so an exit status at which a service manager starts the service again,
/// if there was any or if a task ended by itself.
fn conclude(ended: Option<TaskEnded>, unsaved: &[String]) -> anyhow::Result<()> {
    if !unsaved.is_empty() {
        error!(
            "{} deliveries could be saved nowhere and follow here. Take them in: perezvon replay --spool FILE",
            unsaved.len()
        );
        print_unsaved(unsaved);
        bail!("не сохранено событий: {}", unsaved.len());
    }
    info!("Ended");
    ended.map_or(Ok(()), |task| Err(task.into()))
}

/// Writes the lines to the first of these that takes them all: standard error, standard output, a file in the working folder.
/// One that nobody reads any more holds up the end for some seconds.
fn print_unsaved(lines: &[String]) {
    let text: Arc<str> = (lines.join("\n") + "\n").into();
    // Straight to the descriptor: the log may drop lines, these may not.
    let places: [fn(&str) -> io::Result<()>; 3] = [
        |text| duplicate(io::stderr())?.write_all(text.as_bytes()),
        |text| duplicate(io::stdout())?.write_all(text.as_bytes()),
        |text| {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.create(true).append(true).mode(0o600).open(UNSAVED_FILE)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        },
    ];
    for place in places {
        let (done, written) = mpsc::channel();
        let text = text.clone();
        thread::spawn(move || done.send(place(&text)));
        if matches!(written.recv_timeout(PRINT_TIMEOUT), Ok(Ok(()))) {
            return;
        }
    }
}

/// Returns when the process is asked to end.
pub async fn wait_for_the_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A terminal that is closed, and the key for leaving a core: what memory alone holds must not end with them.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        _ = quit.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_that_lost_a_task_ends_with_an_error() {
        assert!(conclude(None, &[]).is_ok());
        for task in [TaskEnded::Writer, TaskEnded::Worker, TaskEnded::Listener] {
            assert!(conclude(Some(task), &[]).is_err(), "{task}");
        }
    }
}
