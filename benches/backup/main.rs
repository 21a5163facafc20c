//! What a backup of many calls costs: minutes and bytes of a first and a second backup, of reading it again, and of a restore;
//! and what it costs to keep and to read a minute of sound encrypted, against plain.
//!
//! ```text
//! cargo bench --bench backup -- [--calls 100000] [--message-bytes 160000] [--into postgres://…]
//! ```
//!
//! Each call has four deliveries of 600 bytes, every twentieth leaves a message. Bytes of tables grow with the calls, so a
//! million is ten times the figures of 100,000; minutes belong to one machine on one day. `--into` restores there as well.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use perezvon::app::config;
use perezvon::core::call::{CallEvent, CallKey, Direction, Fact, RecordingState};
use perezvon::core::phone::Caller;
use perezvon::jobs::backup::{BackupRequest, BackupSource, Forgetting, MadeBy, make, restore, verify};
use perezvon::recordings::{Folder, KeyFile, RecordingName};
use perezvon::store::{Delivery, Store, StoredSound};
use perezvon::time::{SignedDuration, TimeZone, Timestamp};

/// One call in so many leaves a message.
const CALLS_PER_MESSAGE: usize = 20;
/// A school's callers call again.
const CALLERS: usize = 20_000;
/// As many requests wait for the writer at once.
const AT_ONCE: usize = 256;
const BODY_BYTES: usize = 600;
/// A minute of a telephone line: 8 kHz, 16 bits.
const MINUTE_BYTES: usize = 960_000;
/// As a download comes.
const PIECE_BYTES: usize = 16 * 1024;
/// Plain and encrypted in turn.
const ROUNDS: usize = 41;

struct Options {
    calls: usize,
    message_bytes: usize,
    into: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let mut options = Options { calls: 100_000, message_bytes: 160_000, into: None };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} takes a value"))?;
        match word.as_str() {
            "--calls" => options.calls = value.parse()?,
            "--message-bytes" => options.message_bytes = value.parse()?,
            "--into" => options.into = Some(value),
            _ => anyhow::bail!("usage: cargo bench --bench backup -- [--calls N] [--message-bytes N] [--into URL]"),
        }
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(&options))
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    let place = tempfile::Builder::new().prefix("perezvon-bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let at = |name: &str| place.path().join(name);
    compare_encryption(place.path()).await?;
    let database = format!("sqlite:{}", at("perezvon.db").display());
    let began = Instant::now();
    fill(&database, &at("recordings"), options).await?;
    println!("{} calls made in {:.0?}", options.calls, began.elapsed());
    println!("database {} MB, recordings {} MB", megabytes(&at("perezvon.db"))?, megabytes(&at("recordings"))?);

    let mut backups = Vec::new();
    for name in ["first backup", "second backup"] {
        let request = BackupRequest {
            source: BackupSource {
                key: None,
                database: database.clone(),
                recordings: at("recordings"),
                emergency: at("emergency"),
            },
            into: at("backups"),
            made_by: MadeBy::Command,
            created_at: start(),
            zone: TimeZone::UTC,
        };
        reset_peak_memory();
        let before = megabytes(&at("backups")).unwrap_or(0);
        let (took, made) = timed(make(&request)).await;
        let made = made?;
        ensure!(made.manifest.defects.is_empty(), "{:?}", made.manifest.defects);
        let tables =
            made.manifest.tables.iter().filter_map(|entry| {
                made.manifest.files.iter().find(|file| file.name == entry.file).map(|file| file.size)
            });
        let (tables, grown) = (tables.sum::<u64>() / 1_000_000, megabytes(&at("backups"))? - before);
        println!(
            "{name}: {took:.1?}, verified; {} rows, tables {tables} MB, new on the disk {grown} MB, {} linked, peak {} MB",
            made.manifest.tables.iter().map(|entry| entry.rows).sum::<u64>(),
            made.linked,
            peak_memory_megabytes()
        );
        backups.push(made.folder);
    }
    let (took, verified) = timed(verify(&backups[1], None)).await;
    ensure!(verified?.1.is_empty());
    println!("read again: {took:.1?}");
    let into = std::iter::once(format!("sqlite:{}", at("restored.db").display())).chain(options.into.clone());
    let lines = config::parse("", None, [])?.lines;
    let nobody_forgotten = Forgetting { list: Default::default(), lines, now: start() };
    for (index, url) in into.enumerate() {
        reset_peak_memory();
        let folder = at(&format!("restored-{index}"));
        let (took, restored) = timed(restore(&backups[1], &url, &folder, &nobody_forgotten, None)).await;
        let engine = url.split(':').next().unwrap_or_default();
        println!(
            "restore into {engine}: {took:.1?}, compared; {} rows, peak {} MB",
            restored?.rows,
            peak_memory_megabytes()
        );
    }
    Ok(())
}

/// Keeps and reads a minute of sound, plain and encrypted in turn. Keeping it includes bringing it to the disk.
async fn compare_encryption(place: &Path) -> anyhow::Result<()> {
    let key = KeyFile::create(&place.join("key"))?;
    let plain = Folder::open(place.join("plain"))?;
    let encrypted = Folder::open(place.join("encrypted"))?.encrypted_with(Some(key));
    let sound: Vec<u8> = (0..MINUTE_BYTES).map(|n| (n * 31 % 251) as u8).collect();
    let mut took: [[Vec<Duration>; 2]; 2] = Default::default();
    let mut on_disk = [0; 2];
    for round in 0..ROUNDS {
        let name = RecordingName::of(round as i64 + 1, start(), "wav")?;
        for (kind, folder) in [&plain, &encrypted].into_iter().enumerate() {
            let keep = async {
                let mut incoming = folder.begin(name.clone(), u64::MAX).await?;
                for piece in sound.chunks(PIECE_BYTES) {
                    incoming.write(piece).await?;
                }
                incoming.finish().await
            };
            let (kept_in, kept) = timed(keep).await;
            kept?;
            let (read_in, read) = timed(folder.read(&name)).await;
            ensure!(read? == sound);
            took[0][kind].push(kept_in);
            took[1][kind].push(read_in);
            on_disk[kind] = std::fs::metadata(folder.path().join(name.as_str()))?.len();
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    for (what, [plain, encrypted]) in ["kept", "read"].into_iter().zip(&mut took) {
        let (plain, encrypted) = (median(plain), median(encrypted));
        let ratio = encrypted.as_secs_f64() / plain.as_secs_f64();
        println!("a minute of sound {what}: plain {plain:.2?}, encrypted {encrypted:.2?}, {ratio:.2} times");
    }
    println!("its file: plain {} bytes, encrypted {} bytes", on_disk[0], on_disk[1]);
    Ok(())
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let done = work.await;
    (began.elapsed(), done)
}

fn start() -> Timestamp {
    "2026-11-20T16:30:00Z".parse().expect("an instant")
}

/// A log of calls through the store's own way.
async fn fill(database: &str, recordings: &Path, options: &Options) -> anyhow::Result<()> {
    let config = config::parse("", None, [])?;
    let store = Store::open(database, config.lines).await?;
    let folder = Folder::open(recordings)?;
    let deliveries = stream::iter((0..options.calls).flat_map(deliveries_of));
    deliveries
        .map(|delivery| {
            let store = store.clone();
            async move { store.deliver(delivery).await.map(drop) }
        })
        .buffered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let sound: Vec<u8> = (0..options.message_bytes).map(|n| (n * 31 % 251) as u8).collect();
    for index in (0..options.calls).step_by(CALLS_PER_MESSAGE) {
        let id = store.call_named("twilio", &sid(index)).await?.context("the call is there")?;
        let voicemail = store.voicemail_of(id, &format!("RE{index}")).await?.context("its message is there")?;
        let name = RecordingName::of(voicemail.id, voicemail.received_at, "wav")?;
        let mut incoming = folder.begin(name.clone(), u64::MAX).await?;
        incoming.write(&index.to_le_bytes()).await?;
        incoming.write(&sound).await?;
        let kept = incoming.finish().await?;
        let sound = StoredSound {
            name: name.to_string(),
            format: "wav".to_owned(),
            content_type: "audio/wav".to_owned(),
            size_bytes: kept.size_bytes as i64,
            sha256: kept.sha256.0.to_vec(),
            length_ms: 10_000,
            speech_ms: 8_000,
            loudness_centibels: -250,
            peaks: vec![100; 200],
            damage: String::new(),
        };
        store.voicemail_stored(voicemail.id, sound, &[], voicemail.received_at).await?;
    }
    store.close().await;
    Ok(())
}

fn sid(index: usize) -> String {
    format!("CA{index:032x}")
}

fn deliveries_of(index: usize) -> Vec<Delivery> {
    let began = start() + SignedDuration::from_secs(index as i64 * 60);
    let caller = format!("+7928{:07}", index % CALLERS);
    let event = |seconds: i64, fact| CallEvent { at: began + SignedDuration::from_secs(seconds), fact };
    let parties = Fact::Parties {
        direction: Direction::Inbound,
        dialled: "+79288328088".to_owned(),
        forwarded_from: None,
        caller: Caller::from_provider(&caller),
    };
    let mut facts =
        vec![("voice", 0, Some(parties)), ("message", 20, Some(Fact::MessageOver)), ("status", 21, Some(Fact::Ended))];
    let recording = Fact::Recording {
        id: format!("RE{index}"),
        state: RecordingState::Completed,
        url: Some(format!("https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE{index}")),
        length_seconds: Some(10),
    };
    facts.push(("recording", 22, index.is_multiple_of(CALLS_PER_MESSAGE).then_some(recording)));
    facts
        .into_iter()
        .map(|(endpoint, seconds, fact)| {
            // As unlike from call to call as the forms of a provider: ids, numbers, times.
            let mut body =
                format!("CallSid={}&From=%2B{}&Timestamp={}", sid(index), &caller[1..], index * 60 + seconds as usize);
            while body.len() < BODY_BYTES {
                body.push_str("&ApiVersion=2010-04-01&Direction=inbound&CallerCountry=RU&ToCountry=RU");
            }
            Delivery {
                provider: "twilio".into(),
                endpoint: endpoint.to_owned(),
                method: "POST".to_owned(),
                target: format!("/webhooks/twilio/{endpoint}"),
                content_type: "application/x-www-form-urlencoded".to_owned(),
                body: body.into(),
                received_at: began + SignedDuration::from_secs(seconds),
                key: Some(CallKey { provider: "twilio".into(), provider_call_id: sid(index) }),
                events: fact.map(|fact| event(seconds, fact)).into_iter().collect(),
                can_be_asked: false,
                applied_at: None,
            }
        })
        .collect()
}

/// What lies on the disk: a file with several names counts once.
fn megabytes(path: &Path) -> anyhow::Result<u64> {
    let told = std::process::Command::new("du").args(["--summarize", "--bytes"]).arg(path).output()?;
    ensure!(told.status.success(), "{}", path.display());
    let text = String::from_utf8(told.stdout)?;
    Ok(text.split_whitespace().next().context("du tells a size")?.parse::<u64>()? / 1_000_000)
}

/// From here on the peak is counted anew.
fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_memory_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1000
}
