//! Days to come that are not as their weekday is: for the public page, for other calendars, and for people who plan.

use super::days::days_after;
use super::{Calendar, DayRule, IcsEvent, Interval};
use crate::time::Date;

/// Dates in a row with one meaning, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialDays {
    pub from: Date,
    pub to: Date,
    pub rule: DayRule,
    /// The name of the holiday or the reason of the exception; may be empty.
    pub title: String,
    /// When the line is open; empty on a day off.
    pub hours: Vec<Interval>,
}

impl Calendar {
    /// What differs from the ordinary week in the `days` dates from `from` on: holidays, moved days off, worked weekends, short
    /// days, exceptions. Ordinary weekends are not told.
    pub fn special_days(&self, from: Date, days: i32) -> Vec<SpecialDays> {
        let mut found: Vec<SpecialDays> = Vec::new();
        for ahead in 0..days {
            let date = days_after(from, ahead);
            let day = self.day(date);
            let is_usual = matches!(day.rule, DayRule::Workday | DayRule::Weekend) && !day.shortened;
            if is_usual {
                continue;
            }
            let hours: Vec<Interval> = day.intervals().collect();
            match found.last_mut() {
                Some(last)
                    if days_after(last.to, 1) == date
                        && last.rule == day.rule
                        && last.title == day.title
                        && last.hours == hours =>
                {
                    last.to = date;
                }
                _ => {
                    found.push(SpecialDays { from: date, to: date, rule: day.rule, title: day.title.to_owned(), hours })
                }
            }
        }
        found
    }

    /// The same without those that are worked: «Ближайшие нерабочие дни».
    pub fn days_off(&self, from: Date, days: i32) -> Vec<SpecialDays> {
        self.special_days(from, days).into_iter().filter(|days| days.hours.is_empty()).collect()
    }
}

impl SpecialDays {
    /// «День народного единства», «перенесённый выходной», «ремонт, 10:00–14:00».
    pub fn words(&self) -> String {
        let name = match self.title.as_str() {
            "" => match self.rule {
                DayRule::Holiday | DayRule::RegionalHoliday => "праздничный день",
                DayRule::TransferredDayOff => "перенесённый выходной",
                DayRule::WorkingWeekend => "рабочий выходной",
                DayRule::Workday => "сокращённый день",
                DayRule::Weekend | DayRule::OverrideClosed => "нерабочий день",
                DayRule::OverrideOpen => "рабочий день",
                DayRule::OverrideHours => "другие часы",
            },
            title => title,
        };
        let hours: Vec<String> = self.hours.iter().map(|it| it.to_string().replace('-', "–")).collect();
        if hours.is_empty() { name.to_owned() } else { format!("{name}, {}", hours.join(", ")) }
    }

    /// As an event of a calendar file.
    pub fn event(&self) -> IcsEvent {
        let mut summary = self.words();
        if let Some(first) = summary.chars().next() {
            summary = first.to_uppercase().chain(summary.chars().skip(1)).collect();
        }
        IcsEvent { from: self.from, to: self.to, summary, worked: !self.hours.is_empty() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Hours;
    use super::*;

    #[test]
    fn coming_days_off_have_their_names_and_ordinary_weekends_are_not_among_them() {
        let entry = json!({"from": "2026-11-25", "to": "2026-11-26", "mode": "hours", "hours": ["10:00-14:00"], "reason": "ремонт"});
        let calendar = Calendar::new(Hours::from_json(&json!({"overrides": [entry]})).expect("good hours"));
        let from = Date::constant(2026, 11, 1);
        let special = calendar.special_days(from, 72);
        let told: Vec<String> = special.iter().map(|it| format!("{}..{} {}", it.from, it.to, it.words())).collect();
        assert_eq!(
            told,
            [
                "2026-11-04..2026-11-04 День народного единства",
                "2026-11-25..2026-11-26 ремонт, 10:00–14:00",
                "2026-12-31..2026-12-31 перенесённый выходной",
                "2027-01-01..2027-01-06 Новогодние каникулы",
                "2027-01-07..2027-01-07 Рождество Христово",
                "2027-01-08..2027-01-08 Новогодние каникулы",
            ]
        );
        assert_eq!(calendar.days_off(from, 30).len(), 1);
        assert!(special[1].event().worked && special[1].event().summary == "Ремонт, 10:00–14:00");
    }
}
