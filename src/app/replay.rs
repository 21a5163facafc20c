//! `perezvon replay`: the call log and the list made anew from all that the providers have told (`--into`), and deliveries
//! that were saved elsewhere (`--spool`).

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail};

use super::config::Config;
use super::house;
use crate::jobs;
use crate::store::{Delivery, Store, read_spooled};
use crate::time::{SignedDuration, Timestamp};

/// How far the clock of the machine that saved a delivery may be ahead of ours.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);
/// 1 January 2020: no delivery is older than this service.
const FIRST_INSTANT: Timestamp = Timestamp::constant(1_577_836_800, 0);

/// What is said beside the work, if the address of the database holds a password.
pub fn warning(url: &str) -> Option<&'static str> {
    let has_password = url::Url::parse(url).is_ok_and(|url| url.password().is_some());
    has_password.then_some(
        "Внимание: пароль в командной строке видят все, кто работает на этой машине, и хранит история команд. Уберите \
         его из адреса и задайте переменной PGPASSWORD или в файле ~/.pgpass.",
    )
}

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

/// Takes in every line of spooled text; lines of another kind, as the log of a service that ended has them, are passed over.
/// `false`: some could not be taken in.
pub async fn spool(
    path: &Path,
    store: &Store,
    now: Timestamp,
    stdin: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let (mut applied, mut others, mut failures) = (0, 0, 0);
    for line in lines(path, stdin)? {
        let Some(delivery) = spooled_part(&line) else {
            others += usize::from(!line.trim_ascii().is_empty());
            continue;
        };
        let delivery = match str::from_utf8(delivery).map_err(io::Error::other).and_then(read_spooled) {
            Ok(delivery) => delivery,
            Err(broken) => {
                failures += 1;
                writeln!(out, "Строка похожа на сохранённое событие и не читается (обрезана?): {broken}")?;
                continue;
            }
        };
        let received_at = delivery.received_at;
        if !(FIRST_INSTANT..=now + CLOCK_TOLERANCE).contains(&received_at) {
            failures += 1;
            writeln!(out, "Не внесено событие, принятое {received_at}: такого времени приёма быть не может")?;
            continue;
        }
        match store.deliver(Delivery { applied_at: Some(now), ..delivery }).await {
            Ok(_) => applied += 1,
            Err(failed) => {
                failures += 1;
                writeln!(out, "Не внесено событие, принятое {received_at}: {failed}")?;
            }
        }
    }
    writeln!(out, "Внесено событий: {applied}. Не внесено: {failures}. Пропущено других строк: {others}.")?;
    if applied == 0 && failures == 0 {
        writeln!(out, "Сохранённых событий здесь нет.")?;
    }
    Ok(failures == 0 && applied > 0)
}

/// The spooled delivery in a line. The journal of the system puts its own words before it.
fn spooled_part(line: &[u8]) -> Option<&[u8]> {
    const BEGINNING: &[u8] = br#"{"provider":"#;
    let at = line.windows(BEGINNING.len()).position(|window| window == BEGINNING)?;
    Some(line[at..].trim_ascii_end())
}

/// All lines of a file, of the files of a folder in the order of their names, or of standard input (`-`).
fn lines(path: &Path, stdin: &mut dyn BufRead) -> anyhow::Result<Vec<Vec<u8>>> {
    let cannot_read = || format!("{} не читается", path.display());
    if path == Path::new("-") {
        return stdin.split(b'\n').collect::<Result<_, _>>().with_context(cannot_read);
    }
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(cannot_read)?;
        files =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().with_context(cannot_read)?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json" || extension == "set_aside"));
        files.sort();
    }
    let mut lines = Vec::new();
    for file in files {
        let reader = BufReader::new(fs::File::open(&file).with_context(cannot_read)?);
        for line in reader.split(b'\n') {
            lines.push(line.with_context(cannot_read)?);
        }
    }
    Ok(lines)
}
