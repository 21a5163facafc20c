//! Times for which the school closed a line at once: taken out of the working hours, instant by instant.

use super::periods::Period;
use crate::time::Timestamp;

/// The line is closed in this period, whatever its hours say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    pub period: Period,
    /// Why, for people.
    pub reason: String,
}

/// Closures in order, those that overlap or touch made one, for cutting periods.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts(Vec<Period>);

impl Cuts {
    pub fn of(closures: &[Closure]) -> Self {
        let mut cuts: Vec<Period> = closures.iter().map(|closure| closure.period).collect();
        cuts.retain(|cut| cut.start < cut.end);
        cuts.sort_by_key(|cut| cut.start);
        cuts.dedup_by(|next, kept| {
            let touches = next.start <= kept.end;
            if touches {
                kept.end = kept.end.max(next.end);
            }
            touches
        });
        Self(cuts)
    }

    pub fn contain(&self, at: Timestamp) -> bool {
        let after = self.0.partition_point(|cut| cut.start <= at);
        after > 0 && at < self.0[after - 1].end
    }

    /// What is left of a period, in order.
    pub fn leave(&self, period: Period) -> impl DoubleEndedIterator<Item = Period> {
        let first = self.0.partition_point(|cut| cut.end <= period.start);
        let cuts = &self.0[first..];
        let cuts = &cuts[..cuts.partition_point(|cut| cut.start < period.end)];
        (0..=cuts.len()).filter_map(move |at| {
            let start = if at == 0 { period.start } else { cuts[at - 1].end };
            let end = cuts.get(at).map_or(period.end, |cut| cut.start);
            (start < end).then_some(Period { start, end })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millisecond;

    fn period(start: i64, end: i64) -> Period {
        Period { start: from_millisecond(start), end: from_millisecond(end) }
    }

    fn left(cuts: &[(i64, i64)], of: (i64, i64)) -> Vec<(i64, i64)> {
        let closure = |(start, end): &(i64, i64)| Closure { period: period(*start, *end), reason: String::new() };
        let cuts = Cuts::of(&cuts.iter().map(closure).collect::<Vec<_>>());
        let left = cuts.leave(period(of.0, of.1));
        left.map(|it| (it.start.as_millisecond(), it.end.as_millisecond())).collect()
    }

    #[test]
    fn what_is_closed_is_cut_out_and_the_end_belongs_to_the_open_time_again() {
        assert_eq!(left(&[], (9, 18)), [(9, 18)]);
        assert_eq!(left(&[(12, 14)], (9, 18)), [(9, 12), (14, 18)]);
        assert_eq!(left(&[(13, 14), (12, 13), (11, 15), (16, 16)], (9, 18)), [(9, 11), (15, 18)]);
        assert_eq!(left(&[(0, 9), (18, 20)], (9, 18)), [(9, 18)]);
        assert_eq!(left(&[(0, 10), (17, 20)], (9, 18)), [(10, 17)]);
        assert_eq!(left(&[(9, 18)], (9, 18)), []);
    }
}
