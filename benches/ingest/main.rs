//! How fast the service keeps webhooks, as ratios to what the machine could do at best, taken side by side in one run.
//!
//! ```text
//! cargo bench --bench ingest -- [--quick] [--rounds 3] [--folder target] [--connections 1,64] [--against NAME=BINARY]…
//! ```
//!
//! Absolute figures belong to one machine on one day; only the ratios and the counts can be compared.

mod asides;
mod attacks;
mod contestant;
mod forms;
mod load;
mod table;
mod yardsticks;

use std::path::{Path, PathBuf};

use anyhow::Context;

use self::contestant::Contestant;
use self::table::{Point, Row};

/// Connections, and requests of one run over them.
const POINTS: [(usize, usize); 4] = [(1, 2_000), (8, 8_000), (64, 20_000), (256, 20_000)];

struct Options {
    quick: bool,
    rounds: usize,
    folder: PathBuf,
    connections: Vec<usize>,
    contestants: Vec<Contestant>,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let Some(["--yardstick", address, configuration, log @ ..]) =
        Some(words.iter().map(String::as_str).collect::<Vec<_>>().as_slice())
    {
        // The workers of the service, to compare like with like.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let serving = yardsticks::serve(Path::new(configuration), address.parse()?, log.first().map(Path::new));
        return runtime.block_on(serving);
    }
    let options = options(words)?;
    // One thread: what the generator takes is missing from what it measures.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&options))
}

fn options(words: Vec<String>) -> anyhow::Result<Options> {
    let service = Contestant::Service { name: "perezvon".to_owned(), binary: env!("CARGO_BIN_EXE_perezvon").into() };
    let mut options = Options {
        quick: false,
        rounds: 3,
        // Beside the binaries: a real disk more often than the folder for temporary files is.
        folder: env!("CARGO_TARGET_TMPDIR").into(),
        connections: POINTS.iter().map(|(connections, _)| *connections).collect(),
        contestants: vec![Contestant::WithoutStoring, Contestant::Log, service],
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => (options.quick, options.rounds) = (true, 1),
            "--rounds" => options.rounds = value()?.parse()?,
            "--folder" => options.folder = value()?.into(),
            "--connections" => {
                options.connections = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--against" => {
                let (name, binary) = value()?
                    .split_once('=')
                    .map(|(name, path)| (name.to_owned(), path.into()))
                    .context("--against wants NAME=BINARY, another binary of the service to run in the same rounds")?;
                options.contestants.push(Contestant::Service { name, binary });
            }
            unknown => anyhow::bail!("unknown option {unknown}"),
        }
    }
    Ok(options)
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    let folder = options.folder.canonicalize()?;
    println!("Interleaved rounds: {}; files below {}\n", options.rounds, folder.display());
    println!("{}", table::HEADING);
    let mut first_call = 0;
    for (connections, requests) in POINTS.into_iter().filter(|(count, _)| options.connections.contains(count)) {
        let count = if options.quick { requests / 4 } else { requests };
        let mut point = Point::new(connections, &options.contestants);
        for round in 0..options.rounds {
            let mut rows = Vec::new();
            // Nobody always runs first, in the quiet after a pause.
            for index in 0..options.contestants.len() {
                let index = (index + round) % options.contestants.len();
                let requests = forms::requests(first_call, count);
                first_call += forms::calls_of(count);
                rows.push((index, row(&options.contestants[index], &folder, connections, requests).await?));
            }
            rows.sort_by_key(|(index, _)| *index);
            point.add(rows.into_iter().map(|(_, row)| row).collect());
        }
        print!("{point}");
    }
    for contestant in &options.contestants {
        asides::print_of(contestant, &folder).await?;
        attacks::print_of(contestant, &folder).await?;
    }
    asides::print_in_process(&folder).await
}

async fn row(
    contestant: &Contestant,
    folder: &Path,
    connections: usize,
    requests: Vec<Vec<u8>>,
) -> anyhow::Result<Row> {
    let running = contestant.start(folder).await?;
    if !running.is_service() {
        let run = load::run(running.address, connections, requests).await?;
        return Ok(Row { run, commits: None, peak_mib: running.memory("VmHWM")? });
    }
    let (commits_before, _) = running.commits().await?;
    let run = load::run(running.address, connections, requests).await?;
    let (commits, _) = running.commits().await?;
    let peak_mib = running.memory("VmHWM")?;
    let found = running.kill_and_count().await?;
    anyhow::ensure!(found == run.answered, "{} were answered with 200, {found} are found", run.answered);
    Ok(Row { run, commits: Some(commits - commits_before), peak_mib })
}
