//! What the calendar does not know yet, for the administrator to settle before callers notice.

use std::fmt;

use super::days::{DataSet, days_after};
use super::published::RegionalStatus;
use super::{Calendar, HORIZON_DAYS};
use crate::time::{Date, Timestamp};

/// How long before a feast of the republic we begin to ask about it. Its act comes 6 to 11 days ahead.
const FEAST_NOTICE_DAYS: i32 = 60;

/// Something about the days ahead that a person must find out. Shown in Russian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalendarWarning {
    /// The government's act on the days off of this year is not in our data.
    YearNotOfficial { year: i16 },
    /// A feast whose act is not out, or a day on which sources disagree; it is worked as long as no override covers it.
    FeastNotAnnounced { date: Date, name: String, estimated: bool },
    /// Nothing is open within 400 days.
    NoWorkingHours,
}

impl Calendar {
    /// What to find out as of `now`, the most pressing first.
    pub fn warnings(&self, now: Timestamp) -> Vec<CalendarWarning> {
        let today = self.local_date(now);
        let mut warnings = Vec::new();
        if self.first_working_instant(now).is_none() {
            warnings.push(CalendarWarning::NoWorkingHours);
        }
        if self.hours().follows(DataSet::Russia) {
            // The act of a year must be out a month before the year begins.
            let next_year = (today.month() == 12).then(|| today.year().saturating_add(1));
            let years = [Some(today.year()), next_year].into_iter().flatten();
            let unknown = years.filter(|year| !self.hours().data.is_official(*year));
            warnings.extend(unknown.map(|year| CalendarWarning::YearNotOfficial { year }));
        }
        if self.hours().follows(DataSet::Chechnya) {
            warnings.extend(self.unsettled_feasts(today));
        }
        warnings
    }

    fn unsettled_feasts(&self, today: Date) -> impl Iterator<Item = CalendarWarning> + '_ {
        self.hours()
            .data
            .regional_days(today, days_after(today, FEAST_NOTICE_DAYS))
            .filter(|day| day.status != RegionalStatus::Announced)
            .filter(|day| !self.hours().overrides().iter().any(|entry| entry.covers(day.date)))
            .map(|day| CalendarWarning::FeastNotAnnounced {
                date: day.date,
                name: day.name.clone(),
                estimated: day.status == RegionalStatus::Estimated,
            })
    }
}

impl fmt::Display for CalendarWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::YearNotOfficial { year } => write!(
                f,
                "Постановления о переносе выходных дней на {year} год в календаре нет: известны только праздничные дни. \
                 Обновите программу или внесите переносы вручную."
            ),
            Self::FeastNotAnnounced { date, name, estimated } => {
                let date = date.strftime("%d.%m.%Y");
                let doubt = if *estimated {
                    "дата расчётная, указа ещё нет"
                } else {
                    "источники расходятся"
                };
                write!(f, "{name}, {date}: {doubt}. Сейчас этот день рабочий. Если он нерабочий, закройте его.")
            }
            Self::NoWorkingHours => write!(
                f,
                "Рабочие часы не заданы: в ближайшие {HORIZON_DAYS} дней линия всегда закрыта. Укажите часы работы."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::calendar::Hours;

    fn warnings(hours: serde_json::Value, now: &str) -> Vec<CalendarWarning> {
        let calendar = Calendar::new(Hours::from_json(&hours).expect("good hours"));
        calendar.warnings(now.parse().expect("an instant"))
    }

    #[test]
    fn a_next_year_without_an_act_is_told_from_the_first_of_december() {
        let missing = [CalendarWarning::YearNotOfficial { year: 2028 }];
        assert_eq!(warnings(json!({}), "2027-11-30T23:59:59+03:00"), []);
        assert_eq!(warnings(json!({}), "2027-12-01T00:00:00+03:00"), missing);
        assert!(warnings(json!({}), "2028-06-01T00:00:00+03:00").contains(&missing[0]));
        assert_eq!(warnings(json!({"holidays": []}), "2027-12-01T00:00:00+03:00"), []);
    }

    #[test]
    fn a_feast_is_asked_about_for_sixty_days_or_until_it_is_settled() {
        // The estimated Uraza-Bayram of 2027 is 9 March.
        assert_eq!(warnings(json!({}), "2027-01-07T23:59:59+03:00"), []);
        let told = warnings(json!({}), "2027-01-08T00:00:00+03:00");
        assert!(matches!(told[..], [CalendarWarning::FeastNotAnnounced { estimated: true, .. }]), "{told:?}");
        let settled = json!({"overrides": [{"from": "2027-03-09", "to": "2027-03-10", "mode": "closed"}]});
        assert_eq!(warnings(settled, "2027-01-08T00:00:00+03:00"), []);
        assert_eq!(warnings(json!({"holidays": ["ru"]}), "2027-01-08T00:00:00+03:00"), []);
    }

    #[test]
    fn a_line_that_never_opens_is_told() {
        assert_eq!(warnings(json!({"week": {}}), "2026-11-23T00:00:00+03:00"), [CalendarWarning::NoWorkingHours]);
    }
}
