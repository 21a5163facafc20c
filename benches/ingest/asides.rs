//! Figures beside the rate: what lies in the log of changes, how soon the service answers, what it weighs, how long a page
//! and a minute of sound take.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perezvon::app::config;
use perezvon::core::call::{CallEvent, CallKey, Direction, Fact};
use perezvon::core::phone::Caller;
use perezvon::recordings::{measure, tone};
use perezvon::store::{CallFilter, Delivery, ListFilter, ListPeriod, StateFilter, Store};
use perezvon::time::Clock;

use crate::contestant::Contestant;
use crate::{forms, load};

/// Times that something short is done for one figure.
const TIMES: usize = 200;

/// Of a binary of the service; nothing of a yardstick.
pub async fn print_of(contestant: &Contestant, folder: &Path) -> anyhow::Result<()> {
    let Contestant::Service { name, binary } = contestant else { return Ok(()) };
    println!("\n{name}");
    println!("  binary                        {:>8.1} MB", std::fs::metadata(binary)?.len() as f64 / 1e6);
    let mut running = contestant.start(folder).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    println!("  idle memory                   {:>8.1} MiB", running.memory("VmRSS")?);
    let mut starts = Vec::new();
    for _ in 0..15 {
        starts.push(running.restart().await?);
    }
    let (least, median) = least_and_median(starts);
    println!("  start to first answer         {:>8.1} ms at best, {:.1} ms median", ms(least), ms(median));
    for (connections, count) in [(1, 500), (64, 4_000)] {
        println!(
            "  WAL at {connections:>2} connections          {:>8.2} kB a callback",
            wal(contestant, folder, connections, count).await?
        );
    }
    Ok(())
}

/// Kilobytes that the write-ahead log grows by for each callback, while a reader that does not move keeps it from
/// starting over.
async fn wal(contestant: &Contestant, folder: &Path, connections: usize, count: usize) -> anyhow::Result<f64> {
    let running = contestant.start(folder).await?;
    // Some calls first: an empty database writes the same few pages again and again.
    load::run(running.address, 64, forms::requests(0, count)).await?;
    let mut reader = running.database().await?;
    for sql in ["BEGIN", "SELECT COUNT(*) FROM meta"] {
        sqlx::raw_sql(sql).execute(&mut reader).await?;
    }
    load::run(running.address, connections, forms::requests(1_000_000, 1)).await?;
    let before = running.wal_bytes()?;
    load::run(running.address, connections, forms::requests(2_000_000, count)).await?;
    Ok((running.wal_bytes()? - before) as f64 / 1000.0 / count as f64)
}

/// What needs no process of its own: pages through the store, and the measuring of sound.
pub async fn print_in_process(folder: &Path) -> anyhow::Result<()> {
    println!("\nin this process");
    for open in [10, 500] {
        let folder = tempfile::Builder::new().prefix("ingest-").tempdir_in(folder)?;
        let lines = config::parse("", None, [])?.lines;
        let store = Store::open(&format!("sqlite:{}", folder.path().join("perezvon.db").display()), lines).await?;
        for call in 0..open {
            store.deliver(missed_call(call)).await?;
        }
        let list =
            ListFilter { period: ListPeriod::All, line: None, state: StateFilter::Unclosed, after: None, limit: 500 };
        let newest = CallFilter { limit: 50, ..CallFilter::default() };
        let (mut lists, mut pages) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let started = Instant::now();
            let page = store.callbacks(&list).await?;
            lists.push(started.elapsed());
            anyhow::ensure!(page.items.len() == open, "{} callbacks are open, not {open}", page.items.len());
            let started = Instant::now();
            store.calls(&newest).await?;
            pages.push(started.elapsed());
        }
        println!("  list of {open:>3} open callbacks    {:>8.3} ms median", ms(least_and_median(lists).1));
        println!("  newest 50 of {open:>3} calls        {:>8.3} ms median", ms(least_and_median(pages).1));
        store.close().await;
    }
    let minute = tone::wav_bytes(&tone::speech_like(60_000, 1));
    let times = (0..TIMES).map(|_| {
        let started = Instant::now();
        std::hint::black_box(measure(std::hint::black_box(&minute))).expect("it is a whole WAV file");
        started.elapsed()
    });
    println!("  measuring a minute of sound   {:>8.3} ms median", ms(least_and_median(times.collect()).1));
    Ok(())
}

/// A call that came and ended: whoever made it waits for a callback.
fn missed_call(number: usize) -> Delivery {
    let at = Clock::System.now();
    let parties = Fact::Parties {
        direction: Direction::Inbound,
        dialled: "+79288328088".to_owned(),
        forwarded_from: None,
        caller: Caller::from_provider(&format!("+7928{number:07}")),
    };
    let provider: Arc<str> = "twilio".into();
    Delivery {
        provider: provider.clone(),
        endpoint: "status".to_owned(),
        method: "POST".to_owned(),
        target: "/webhooks/twilio/status".to_owned(),
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: vec![b'x'; 530].into(),
        received_at: at,
        key: Some(CallKey { provider, provider_call_id: format!("CA{number:032}") }),
        events: [parties, Fact::Ended].map(|fact| CallEvent { at, fact }).into(),
        can_be_asked: true,
        applied_at: None,
    }
}

fn least_and_median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[0], times[times.len() / 2])
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
