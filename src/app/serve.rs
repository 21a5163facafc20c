//! `perezvon serve`: the service until somebody asks it to end.

use std::io::Write;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::config::Config;
use super::house;
use crate::time::{Clock, Timestamp};

/// Runs until SIGTERM or SIGINT, then finishes what is in hand.
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
    let unsaved = running.stop().await;
    if !unsaved.is_empty() {
        error!(
            "{} deliveries could be saved nowhere and follow here. Take them in: perezvon replay --spool FILE",
            unsaved.len()
        );
        let text = unsaved.join("\n") + "\n";
        // Straight to the descriptor: the log may drop lines, these may not.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        bail!("не сохранено звонков: {}", unsaved.len());
    }
    info!("Ended");
    match ended {
        None => Ok(()),
        Some(task) => Err(task.into()),
    }
}

/// Returns when the process is asked to end.
pub async fn wait_for_the_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
