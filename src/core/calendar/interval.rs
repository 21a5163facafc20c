//! Part of a day by the clock on the wall, as people write it.

use std::fmt;
use std::str::FromStr;

pub(super) const MINUTES_A_DAY: u16 = 24 * 60;

/// Part of a day by the clock on the wall, in minutes after midnight; the start belongs to it, the end does not.
/// Written `09:00-18:00`; `24:00` may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    pub(super) start: u16,
    pub(super) end: u16,
}

impl Interval {
    /// Minutes after midnight.
    pub fn start_minute(self) -> u16 {
        self.start
    }

    /// Minutes after midnight; 1440 is the end of the day.
    pub fn end_minute(self) -> u16 {
        self.end
    }

    /// Sorted, and those that overlap made one. Intervals that only touch stay apart: a short day takes its minutes from
    /// the last one alone.
    pub(super) fn in_order(mut intervals: Vec<Self>) -> Vec<Self> {
        intervals.sort();
        intervals.dedup_by(|next, kept| {
            let overlap = next.start < kept.end;
            if overlap {
                kept.end = kept.end.max(next.end);
            }
            overlap
        });
        intervals
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

/// Why a text is not an interval, in the administrator's language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    #[error("«{0}» — не промежуток времени; напишите часы и минуты двумя цифрами, например 09:00-18:00")]
    Shape(String),
    #[error("«{0}»: нет такого времени; часы от 00 до 23, минуты от 00 до 59, конец дня — 24:00")]
    Clock(String),
    #[error(
        "«{0}» кончается не позже, чем начинается; ночную смену напишите двумя промежутками: до 24:00 и с 00:00 следующего дня"
    )]
    Backwards(String),
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let shape = || IntervalError::Shape(text.to_owned());
        let (start, end) = text.split_once('-').ok_or_else(shape)?;
        let (start, end) = (minute(start).ok_or_else(shape)?, minute(end).ok_or_else(shape)?);
        let (Some(start @ 0..MINUTES_A_DAY), Some(end)) = (start, end) else {
            return Err(IntervalError::Clock(text.to_owned()));
        };
        if end <= start {
            return Err(IntervalError::Backwards(text.to_owned()));
        }
        Ok(Self { start, end })
    }
}

/// `HH:MM` in minutes; outside `None` for another shape, inside `None` for a time that no clock shows.
fn minute(text: &str) -> Option<Option<u16>> {
    let [h1, h2, b':', m1, m2] = *text.as_bytes() else { return None };
    let number = |tens: u8, ones: u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
    };
    let (hours, minutes) = (number(h1, h2)?, number(m1, m2)?);
    Some((minutes < 60 && hours * 60 + minutes <= MINUTES_A_DAY).then_some(hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(text: &str) -> Interval {
        text.parse().expect("an interval")
    }

    #[test]
    fn an_interval_reads_back_as_it_was_written() {
        for text in ["09:00-18:00", "00:00-24:00", "23:59-24:00", "00:00-00:01"] {
            assert_eq!(interval(text).to_string(), text);
        }
    }

    #[test]
    fn an_interval_that_no_clock_shows_is_refused_with_the_right_way_to_write_it() {
        for text in ["", "09:00", "9:00-18:00", "09:00–18:00", "09:00-18:00 ", "+9:00-18:00", "09:0०-18:00"] {
            assert_eq!(text.parse::<Interval>(), Err(IntervalError::Shape(text.to_owned())), "{text}");
        }
        for text in ["09:60-18:00", "24:00-24:00", "09:00-24:01", "25:00-26:00"] {
            assert_eq!(text.parse::<Interval>(), Err(IntervalError::Clock(text.to_owned())), "{text}");
        }
        for text in ["18:00-09:00", "22:00-00:00", "09:00-09:00"] {
            assert_eq!(text.parse::<Interval>(), Err(IntervalError::Backwards(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn overlapping_intervals_become_one_and_touching_ones_stay_apart() {
        let listed = ["14:00-18:00", "09:00-12:00", "10:00-11:00", "11:30-13:00", "18:00-19:00"].map(interval);
        let in_order: Vec<_> = Interval::in_order(listed.to_vec()).iter().map(Interval::to_string).collect();
        assert_eq!(in_order, ["09:00-13:00", "14:00-18:00", "18:00-19:00"]);
    }
}
