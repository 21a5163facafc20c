//! `perezvon reconcile`: asks the providers for their lists now, and says what came of it. It may run beside the service:
//! one look at a time is taken through the lists of a provider.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::cli::instant;
use crate::core::calendar::Calendar;
use crate::jobs::{LookEnd, LookReport, Reconciler};
use crate::providers::{Listing, NoListing, Provider, listing_of};
use crate::time::{EARLIEST_PLAUSIBLE, Timestamp};

/// How often and how many times a look that is under way elsewhere is waited for.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
const MAX_BUSY_TRIES: u32 = 30;

#[derive(Clone, Debug, Args)]
pub struct ReconcileArgs {
    /// С какого времени смотреть, например 2026-11-20T13:30:00+03:00; не больше 80 дней назад. По умолчанию за неделю и с
    /// последней удачной сверки
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    pub since: Option<Timestamp>,
    /// Только это подключение
    #[arg(long, value_name = "ПОДКЛЮЧЕНИЕ")]
    pub provider: Option<String>,
    /// Ответить одним JSON
    #[arg(long)]
    pub json: bool,
}

/// What was found at one provider. The names are promises.
#[derive(Debug, Serialize)]
struct Answer {
    provider: String,
    from: String,
    to: String,
    listed: i64,
    known: i64,
    restored: i64,
    error: Option<String>,
}

/// `false`: a look failed.
pub async fn run(reconciler: &Reconciler, args: &ReconcileArgs, out: &mut dyn Write) -> anyhow::Result<bool> {
    let mut chosen = reconciler.listed();
    if let Some(name) = &args.provider {
        chosen.retain(|(provider, _)| **provider.name() == *name);
        if chosen.is_empty() {
            bail!("{}", why_not_asked(reconciler, name));
        }
    }
    if reconciler.clock.now() < EARLIEST_PLAUSIBLE {
        bail!("часы этого компьютера показывают {}: установите время", reconciler.clock.now());
    }
    let mut reports = Vec::new();
    for (provider, listing) in chosen {
        reports.push(look(reconciler, provider, listing, args.since).await?);
    }
    let is_good = reports.iter().all(|report| report.end == LookEnd::Finished);
    let lines = reconciler.store.lines();
    let calendar = lines.default_calendar();
    if args.json {
        let answers: Vec<Answer> = reports.iter().map(|report| answer(report, calendar)).collect();
        writeln!(out, "{}", serde_json::to_string(&answers)?)?;
    } else {
        reports.iter().try_for_each(|report| writeln!(out, "{}", sentence(report, calendar)))?;
        if reports.is_empty() {
            writeln!(out, "Подключений, у которых можно спросить списки звонков, нет.")?;
        }
    }
    Ok(is_good)
}

/// A whole look, however many goes it takes.
async fn look(
    reconciler: &Reconciler,
    provider: &dyn Provider,
    listing: &dyn Listing,
    since: Option<Timestamp>,
) -> anyhow::Result<LookReport> {
    let mut busy = 0;
    loop {
        let report = reconciler.look(provider, listing, since, true).await?;
        match report.end {
            LookEnd::Paused => {}
            LookEnd::Busy if busy < MAX_BUSY_TRIES => {
                busy += 1;
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            _ => return Ok(report),
        }
    }
}

fn error(end: &LookEnd) -> Option<String> {
    match end {
        LookEnd::Finished => None,
        LookEnd::Paused => Some("сверка не закончена".to_owned()),
        LookEnd::Busy => Some("сверка уже идёт; повторите через несколько минут".to_owned()),
        LookEnd::Failed { error, .. } => Some(error.clone()),
    }
}

fn answer(report: &LookReport, calendar: &Calendar) -> Answer {
    let look = &report.look;
    Answer {
        provider: report.provider.to_string(),
        from: calendar.written(look.from),
        to: calendar.written(look.to),
        listed: look.listed,
        known: look.known,
        restored: look.restored,
        error: error(&report.end),
    }
}

fn sentence(report: &LookReport, calendar: &Calendar) -> String {
    let (provider, look) = (&report.provider, &report.look);
    let when = |at: Timestamp| at.to_zoned(calendar.time_zone().clone()).strftime("%d.%m.%Y, %H:%M").to_string();
    let counts = format!(
        "с {} по {}. Звонков у оператора: {}, уже были: {}, восстановлено: {}.",
        when(look.from),
        when(look.to),
        look.listed,
        look.known,
        look.restored
    );
    match error(&report.end) {
        None => format!("✓ {provider}: {counts}"),
        Some(error) if !look.has_begun() => format!("✗ {provider}: ничего не сверено: {error}."),
        Some(error) => format!("✗ {provider}: {error}. Успели сверить {counts}"),
    }
}

fn why_not_asked(reconciler: &Reconciler, name: &str) -> String {
    match reconciler.providers.get(name) {
        Some(provider) => {
            let why = listing_of(provider).err().map_or("", NoListing::in_words);
            format!("подключение {name}: {why}")
        }
        None => {
            let mut known: Vec<&str> = reconciler.providers.iter().map(|provider| &**provider.name()).collect();
            known.sort_unstable();
            format!("подключения {name} нет; есть {}", known.join(", "))
        }
    }
}
