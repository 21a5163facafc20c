//! The figures of all rounds, as ratios to the yardsticks of the same round.

use std::fmt;

use crate::contestant::Contestant;
use crate::load::Run;

pub const HEADING: &str = "\
conns  contestant        req/s   of without storing   of the bare log   p50 ms   p99 ms   p99 ratio   commits/callback   batch   peak MiB
                                  min / median        min / median                        median / max";

/// One contestant in one round.
pub struct Row {
    pub run: Run,
    pub commits: Option<f64>,
    pub peak_mib: f64,
}

/// One number of connections: all rounds, each with all contestants. The first two are the yardsticks.
pub struct Point {
    connections: usize,
    names: Vec<String>,
    rounds: Vec<Vec<Row>>,
}

impl Point {
    pub fn new(connections: usize, contestants: &[Contestant]) -> Self {
        let names = contestants.iter().map(|contestant| contestant.name().to_owned()).collect();
        Self { connections, names, rounds: Vec::new() }
    }

    pub fn add(&mut self, round: Vec<Row>) {
        self.rounds.push(round);
    }

    /// A figure of each round, in order of size.
    fn sorted(&self, figure: impl Fn(&[Row]) -> f64) -> Sorted {
        let mut figures: Vec<f64> = self.rounds.iter().map(|round| figure(round)).collect();
        figures.sort_by(f64::total_cmp);
        Sorted(figures)
    }
}

struct Sorted(Vec<f64>);

impl Sorted {
    fn min(&self) -> f64 {
        self.0[0]
    }
    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }
    fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names.iter().enumerate() {
            let rate = self.sorted(|round| round[index].run.per_second);
            let of =
                |yardstick: usize| self.sorted(|round| round[index].run.per_second / round[yardstick].run.per_second);
            let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
            let p50 = self.sorted(|round| ms(round[index].run.p50));
            let p99 = self.sorted(|round| ms(round[index].run.p99));
            let p99_ratio = self.sorted(|round| ms(round[index].run.p99) / ms(round[0].run.p99));
            let (of_nothing, of_log) = (of(0), of(1));
            write!(
                f,
                "{:>5}  {name:<15} {:>7.0}       {:.3} / {:.3}       {:.3} / {:.3} {:>8.2} {:>8.2}   {:.2} / {:.2}",
                self.connections,
                rate.median(),
                of_nothing.min(),
                of_nothing.median(),
                of_log.min(),
                of_log.median(),
                p50.median(),
                p99.median(),
                p99_ratio.median(),
                p99_ratio.max(),
            )?;
            let commits = self.sorted(|round| round[index].commits.unwrap_or(0.0) / round[index].run.answered as f64);
            match commits.median() {
                0.0 => write!(f, "                  -       -")?,
                commits => write!(f, "             {commits:>6.4} {:>7.1}", 1.0 / commits)?,
            }
            writeln!(f, " {:>10.1}", self.sorted(|round| round[index].peak_mib).max())?;
        }
        Ok(())
    }
}
