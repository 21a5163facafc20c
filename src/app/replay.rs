//! `perezvon replay --into`: the call log and the list made anew from all that the providers have told.

use std::io::Write;

use anyhow::{Context, bail};

use super::config::Config;
use super::house;
use crate::jobs;
use crate::store::Store;

/// Applies all kept deliveries of the configured database to an empty one. `false`: some could not be read any more.
pub async fn into(config: &Config, source: &Store, url: &str, out: &mut dyn Write) -> anyhow::Result<bool> {
    if url == config.storage.database {
        bail!("это та же база, из которой берутся запросы: укажите другую, пустую");
    }
    let target = Store::open(url, config.lines.clone()).await.context("база из --into не открывается")?;
    if !target.is_empty().await? {
        target.close().await;
        bail!("база из --into не пуста, ничего не изменено. Укажите новую");
    }
    let replayed = jobs::replay(source, &target, &house::providers(config, false)).await?;
    target.close().await;
    for reason in &replayed.reasons {
        writeln!(out, "✗ {reason}")?;
    }
    match replayed.not_applied {
        0 => writeln!(out, "✓ Запросов повторено: {}.", replayed.deliveries)?,
        count => writeln!(
            out,
            "✗ Запросов повторено: {}, из них не понято и отложено без разбора: {count}.",
            replayed.deliveries
        )?,
    }
    Ok(replayed.not_applied == 0)
}
