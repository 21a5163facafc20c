//! The grid of one month: each date with its kind as a letter and a word, never by colour alone.

use super::words::{by_line, closures_on, day_words, month_words};
use super::{Scope, View};
use crate::core::calendar::{Calendar, DayRule};
use crate::core::wording::day_and_month;
use crate::time::{Date, ToSpan};
use crate::web::pages::words::weekday;

pub(super) struct Month {
    pub title: String,
    /// The address of the same day a month away.
    pub previous: Option<String>,
    pub next: Option<String>,
    pub weeks: Vec<[Option<Cell>; 7]>,
}

pub(super) struct Cell {
    pub date: Date,
    pub address: String,
    /// `П`, `В`, …; empty on an ordinary working day.
    pub mark: String,
    /// The class of its colour.
    pub kind: &'static str,
    /// « ноября, среда, праздничный день: День народного единства»: what follows the number when read out.
    pub said: String,
    pub is_today: bool,
    pub is_chosen: bool,
}

impl Month {
    pub fn of(scope: &Scope<'_>, view: &View, chosen: Date, today: Date) -> Self {
        let first = chosen.first_of_month();
        let away = |months: i64| {
            let day = chosen.checked_add(months.months()).ok()?;
            Some(View { day: day.to_string(), ..view.clone() }.address())
        };
        let days = std::iter::successors(Some(first), |date| date.tomorrow().ok());
        let mut weeks: Vec<[Option<Cell>; 7]> = Vec::new();
        for date in days.take_while(|date| date.month() == first.month()) {
            let column = date.weekday().to_monday_zero_offset() as usize;
            if column == 0 || weeks.is_empty() {
                weeks.push(std::array::from_fn(|_| None));
            }
            if let Some(week) = weeks.last_mut() {
                week[column] = Some(cell(scope, view, date, chosen, today));
            }
        }
        Self { title: month_words(first), previous: away(-1), next: away(1), weeks }
    }
}

fn cell(scope: &Scope<'_>, view: &View, date: Date, chosen: Date, today: Date) -> Cell {
    let mut marks: Vec<(String, &'static str)> = Vec::new();
    for line in scope.lines() {
        let mark = mark(&line.calendar, date);
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    let kind = if marks.len() == 1 { marks[0].1 } else { "own" };
    let shown = |mark: &String| if mark.is_empty() { "Р".to_owned() } else { mark.clone() };
    let mark = match &marks[..] {
        [(mark, _)] => mark.clone(),
        several => several.iter().map(|(mark, _)| shown(mark)).collect::<Vec<_>>().join("/"),
    };
    let said = by_line(scope.lines(), |line| day_words(&line.calendar, date)).join("; ");
    let month = day_and_month(date);
    let month = month.trim_start_matches(|c: char| c.is_ascii_digit());
    Cell {
        date,
        address: View { day: date.to_string(), ..view.clone() }.address(),
        mark,
        kind,
        said: format!("{month}, {}, {said}", weekday(date.weekday())),
        is_today: date == today,
        is_chosen: date == chosen,
    }
}

/// The letters of the legend, and the class of the colour.
fn mark(calendar: &Calendar, date: Date) -> (String, &'static str) {
    let day = calendar.day(date);
    let (mark, kind) = match day.rule {
        DayRule::Holiday | DayRule::RegionalHoliday => ("П", "holiday"),
        DayRule::TransferredDayOff => ("↔В", "moved"),
        DayRule::WorkingWeekend => ("↔Р", "moved"),
        DayRule::Weekend => ("В", "off"),
        DayRule::Workday if day.shortened => ("К", "worked"),
        DayRule::Workday => ("", "worked"),
        DayRule::OverrideClosed => ("СВ", "own"),
        DayRule::OverrideOpen | DayRule::OverrideHours => ("СР", "own"),
    };
    let is_cut = closures_on(calendar, date).next().is_some();
    (if is_cut { format!("{mark}З") } else { mark.to_owned() }, kind)
}
