//! `perezvon serve`: the service until somebody asks it to end.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::config::Config;
use super::house;
use crate::time::{Clock, Timestamp};

/// Runs until SIGTERM or SIGINT, then finishes what is in hand.
pub async fn run(config: Config, rehearse_at: Option<Timestamp>) -> anyhow::Result<()> {
    let clock = rehearse_at.map_or(Clock::System, Clock::starting_at);
    let built = house::build(&config, clock.clone(), rehearse_at.is_some()).await?;
    for warning in config.default_calendar.warnings(clock.now()) {
        warn!("{warning}");
    }
    if config.providers.is_empty() {
        warn!("No provider is configured: nobody can call. See perezvon.example.toml, [[providers]]");
    }
    if built.store.officers().await?.is_empty() {
        warn!("Nobody can sign in yet: perezvon officer add NAME --login LOGIN --role admin");
    }
    let address = config.server.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("адрес {address} занят или недоступен"))?;
    let running = house::run(built, listener)?;
    info!(address = %running.address, "Listening at http://{}", running.address);
    wait_for_the_end().await?;
    info!("Ending: finishing what is in hand");
    running.stop().await;
    info!("Ended");
    Ok(())
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
