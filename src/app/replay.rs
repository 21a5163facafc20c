//! `perezvon replay`: deliveries that were saved elsewhere are taken into the database.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::Context;

use super::cli::ReplayArgs;
use crate::store::{Store, read_spooled};

/// Takes in every line of spooled text; lines of another kind, as the log of a service that ended has them, are passed over.
/// `false`: some could not be taken in.
pub async fn run(
    args: &ReplayArgs,
    store: &Store,
    stdin: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let (mut applied, mut others, mut failures) = (0, 0, 0);
    for line in lines(&args.spool, stdin)? {
        let Ok(delivery) = read_spooled(&line) else {
            others += usize::from(!line.trim().is_empty());
            continue;
        };
        let received_at = delivery.received_at;
        match store.deliver(delivery).await {
            Ok(_) => applied += 1,
            Err(failed) => {
                failures += 1;
                writeln!(out, "Не внесён звонок, принятый {received_at}: {failed}")?;
            }
        }
    }
    writeln!(out, "Внесено: {applied}. Не внесено: {failures}. Пропущено других строк: {others}.")?;
    Ok(failures == 0)
}

/// All lines of a file, of the files of a folder in the order of their names, or of standard input (`-`).
fn lines(path: &Path, stdin: &mut dyn BufRead) -> anyhow::Result<Vec<String>> {
    let cannot_read = || format!("{} не читается", path.display());
    if path == Path::new("-") {
        return stdin.lines().collect::<Result<_, _>>().with_context(cannot_read);
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
        for line in reader.lines() {
            lines.push(line.with_context(cannot_read)?);
        }
    }
    Ok(lines)
}
