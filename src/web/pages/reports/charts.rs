//! The pictures of a report: places and sizes for SVG. Each has a table beside it, for ears and for narrow screens.

use super::words::working;
use crate::core::report::Heat;
use crate::core::timetable::Span;
use crate::core::wording::WEEK;

/// One hour of the week.
pub(super) struct HeatCell {
    pub x: usize,
    pub y: usize,
    pub count: i64,
    /// 0 for none to 5 for the most.
    pub level: i64,
    /// Any part of the hour is working time.
    pub works: bool,
}

/// Seven rows of 24 cells.
pub(super) struct HeatMap {
    pub days: Vec<(usize, Vec<HeatCell>)>,
    /// Working hours as x, y, width.
    pub frames: Vec<(usize, usize, usize)>,
}

pub(super) const CELL: (usize, usize) = (36, 28);
const LABELS: (usize, usize) = (36, 22);

impl HeatMap {
    /// `hours`: the working hours of each weekday.
    pub fn of(heat: &Heat, hours: &[Vec<Span>; 7]) -> Self {
        let most = heat.iter().flatten().copied().max().unwrap_or(0);
        let level = |count: i64| if count == 0 { 0 } else { (count * 5 + most - 1) / most };
        let x = |minute: u16| LABELS.0 + usize::from(minute) * CELL.0 / 60;
        let y = |day: usize| LABELS.1 + day * CELL.1;
        let cell = |day: usize, hour: usize| {
            let (from, until) = (hour as u16 * 60, hour as u16 * 60 + 60);
            HeatCell {
                x: x(from),
                y: y(day),
                count: heat[day][hour],
                level: level(heat[day][hour]),
                works: hours[day].iter().any(|(start, end)| *start < until && from < *end),
            }
        };
        let days = (0..WEEK.len()).map(|day| (day, (0..24).map(|hour| cell(day, hour)).collect())).collect();
        let frames = hours.iter().enumerate();
        let frames = frames
            .flat_map(|(day, spans)| spans.iter().map(move |(from, until)| (x(*from), y(day), x(*until) - x(*from))));
        Self { days, frames: frames.collect() }
    }

    pub fn width(&self) -> usize {
        LABELS.0 + 24 * CELL.0 + 2
    }

    pub fn height(&self) -> usize {
        LABELS.1 + 7 * CELL.1 + 2
    }

    /// For the table: hour by hour, each with its seven days.
    pub fn hours(&self) -> impl Iterator<Item = (usize, Vec<&HeatCell>)> {
        (0..24).map(|hour| (hour, self.days.iter().map(|(_, cells)| &cells[hour]).collect()))
    }
}

/// One week of a month.
pub(super) struct Bar {
    pub x: usize,
    pub y: usize,
    pub height: usize,
    /// «2–8.11».
    pub label: String,
    /// «2 ч 10 мин», empty where nobody was tried.
    pub told: String,
}

pub(super) struct Bars {
    pub bars: Vec<Bar>,
    /// Where the goal line lies, and its words; `None` without working hours.
    pub goal: Option<(usize, String)>,
}

const BAR_STEP: usize = 110;
pub(super) const TOP: usize = 26;
pub(super) const TALL: usize = 150;

impl Bars {
    /// `weeks`: label, and milliseconds of working time if there were any.
    pub fn of(weeks: &[(String, Option<i64>)], goal_ms: i64) -> Self {
        let longest = weeks.iter().filter_map(|(_, ms)| *ms).fold(goal_ms, i64::max).max(1);
        let height = |ms: i64| (ms as f64 / longest as f64 * TALL as f64).round() as usize;
        let bar = |(place, (label, ms)): (usize, &(String, Option<i64>))| {
            let height = ms.map_or(0, height);
            let told = ms.map(working).unwrap_or_default();
            Bar { x: place * BAR_STEP + 20, y: TOP + TALL - height, height, label: label.clone(), told }
        };
        Self {
            bars: weeks.iter().enumerate().map(bar).collect(),
            goal: (goal_ms > 0).then(|| (TOP + TALL - height(goal_ms), format!("цель {}", working(goal_ms)))),
        }
    }

    pub fn width(&self) -> usize {
        self.bars.len() * BAR_STEP + 80
    }

    pub fn height(&self) -> usize {
        TOP + TALL + 26
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_darkest_and_any_call_is_seen() {
        let mut heat = Heat::default();
        (heat[0][9], heat[6][23], heat[3][0]) = (100, 1, 50);
        let mut hours: [Vec<Span>; 7] = Default::default();
        hours[0] = vec![(540, 780), (840, 1110)];
        let map = HeatMap::of(&heat, &hours);
        let level = |day: usize, hour: usize| map.days[day].1[hour].level;
        assert_eq!((level(0, 9), level(6, 23), level(3, 0), level(1, 1)), (5, 1, 3, 0));
        let works: Vec<usize> = (0..24).filter(|hour| map.days[0].1[*hour].works).collect();
        assert_eq!(works, [9, 10, 11, 12, 14, 15, 16, 17, 18]);
        assert_eq!(map.frames, [(360, 22, 144), (540, 22, 162)]);
        assert!(map.hours().all(|(_, cells)| cells.len() == 7));
    }

    #[test]
    fn bars_are_measured_against_the_longest_and_the_goal() {
        let weeks = [("1.11".to_owned(), None), ("2–8.11".to_owned(), Some(9 * 3_600_000))];
        let bars = Bars::of(&weeks, 18 * 3_600_000);
        let (y, told) = bars.goal.as_ref().unwrap();
        assert_eq!((*y, told.replace('\u{a0}', " ").as_str()), (TOP, "цель 18 ч"));
        let sizes: Vec<_> = bars.bars.iter().map(|bar| (bar.y, bar.height, bar.told.is_empty())).collect();
        assert_eq!(sizes, [(TOP + TALL, 0, true), (TOP + TALL / 2, TALL / 2, false)]);
        assert!(Bars::of(&weeks, 0).goal.is_none());
        assert_eq!(Bars::of(&[("1.11".to_owned(), Some(0))], 0).bars[0].height, 0);
    }
}
