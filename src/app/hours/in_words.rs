//! The same answer for people, in short Russian sentences.

use std::fmt::Write;

use crate::core::calendar::{Answer, Calendar, DayRule, Period, Question, TimeState};
use crate::core::wording::day_and_month;
use crate::core::written_text::in_one_line;
use crate::time::{Time, Timestamp, Zoned};

const WEEKDAYS: [&str; 7] = ["пн", "вт", "ср", "чт", "пт", "сб", "вс"];

pub(super) fn reply(calendar: &Calendar, question: &Question) -> String {
    let answer = calendar.answer(question.at);
    let words = Words { calendar, year: local(calendar, question.at).year() };
    let mut text = format!("{}: {}.\n", words.instant(question.at), words.state(&answer));
    let mut line = |sentence: String| {
        let _ = writeln!(text, "{sentence}");
    };
    line(match answer.next_period {
        Some(next) => format!("Следующее рабочее время: {}.", words.period(next)),
        None => "В ближайшие 400 дней нового рабочего времени нет.".to_owned(),
    });
    for (name, hours) in &question.due_hours {
        line(words.due(&format!("{name} ч"), calendar.due_after_hours(question.at, *hours)));
    }
    for (name, days) in &question.due_working_days {
        line(words.due(&format!("{name} раб. дн."), calendar.due_after_working_days(question.at, *days)));
    }
    for (_, until) in &question.until {
        let minutes = calendar.working_ms_between(question.at, *until) / 60_000;
        line(format!("Рабочего времени до {}: {} ч {} мин.", words.instant(*until), minutes / 60, minutes % 60));
    }
    if answer.provisional {
        line(format!("Переносы выходных на {} год не опубликованы: ответ может измениться.", words.year));
    }
    text
}

struct Words<'c> {
    calendar: &'c Calendar,
    /// The year that needs no saying.
    year: i16,
}

impl Words<'_> {
    fn state(&self, answer: &Answer) -> String {
        match (answer.time_state, answer.current_period) {
            (TimeState::Open, Some(period)) => {
                format!("рабочее время, до {}", self.end(period, local(self.calendar, answer.at)))
            }
            (TimeState::Open | TimeState::ClosedDay, _) => format!("нерабочее время, {}", self.closed_day(answer)),
            (TimeState::BeforeOpening, _) => "нерабочее время, рабочий день ещё не начался".to_owned(),
            (TimeState::AfterClosing, _) => "нерабочее время, рабочий день закончился".to_owned(),
            (TimeState::Break, _) => "нерабочее время, перерыв".to_owned(),
            (TimeState::ClosedNow, _) => "линия закрыта экстренно".to_owned(),
        }
    }

    fn closed_day(&self, answer: &Answer) -> String {
        let kind = match answer.day_rule {
            DayRule::Holiday => "праздничный день",
            DayRule::RegionalHoliday => "праздничный день республики",
            DayRule::TransferredDayOff => "перенесённый выходной",
            DayRule::Weekend => "выходной",
            DayRule::OverrideClosed => "закрыто по решению школы",
            DayRule::WorkingWeekend | DayRule::Workday | DayRule::OverrideOpen | DayRule::OverrideHours => {
                "часов работы в этот день нет"
            }
        };
        match self.calendar.day(self.calendar.local_date(answer.at)).title {
            "" => kind.to_owned(),
            title => format!("{kind} ({})", in_one_line(title)),
        }
    }

    fn due(&self, term: &str, due: Option<Timestamp>) -> String {
        match due {
            Some(due) => format!("Срок {term}: {}.", self.instant(due)),
            None => format!("Срок {term}: рабочие часы не заданы."),
        }
    }

    /// «пн, 23 ноября, 9:00–18:00»
    fn period(&self, period: Period) -> String {
        let start = local(self.calendar, period.start);
        let end = self.end(period, start.clone());
        let dash = if end.contains(' ') { " – " } else { "–" };
        format!("{}{dash}{end}", self.wall(&start))
    }

    /// The end of a period for a reader who knows the date of `known`: «18:00», «24:00» or «вт, 24 ноября, 6:00».
    fn end(&self, period: Period, known: Zoned) -> String {
        let end = local(self.calendar, period.end);
        if end.date() == known.date() {
            clock(end.time())
        } else if end.time() == Time::midnight() && known.date() == end.date().yesterday().unwrap_or(end.date()) {
            "24:00".to_owned()
        } else {
            self.wall(&end)
        }
    }

    fn instant(&self, at: Timestamp) -> String {
        self.wall(&local(self.calendar, at))
    }

    /// «пн, 23 ноября, 9:00»
    fn wall(&self, at: &Zoned) -> String {
        let weekday = WEEKDAYS[at.weekday().to_monday_zero_offset() as usize];
        let year = if at.year() == self.year { String::new() } else { format!(" {} года", at.year()) };
        format!("{weekday}, {}{year}, {}", day_and_month(at.date()), clock(at.time()))
    }
}

fn clock(time: Time) -> String {
    format!("{}:{:02}", time.hour(), time.minute())
}

fn local(calendar: &Calendar, at: Timestamp) -> Zoned {
    at.to_zoned(calendar.time_zone().clone())
}

#[cfg(test)]
mod tests {
    use super::super::{HoursArgs, run};
    use super::*;
    use crate::core::calendar::Hours;

    fn said(at: &str, due_hours: &[&str], hours: serde_json::Value) -> String {
        let calendar = Calendar::new(Hours::from_json(&hours).expect("good hours"));
        let due_hours = due_hours.iter().map(|hours| (*hours).to_owned()).collect();
        let args = HoursArgs { at: Some(at.to_owned()), due_hours, ..HoursArgs::default() };
        let mut output = Vec::new();
        run(&args, &calendar, &mut std::io::empty(), &mut output).expect("an answer");
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn the_answer_says_when_why_and_when_next() {
        for (at, words) in [
            (
                "2026-11-21T12:00:00+03:00",
                "сб, 21 ноября, 12:00: нерабочее время, выходной.\nСледующее рабочее время: пн, 23 ноября, 9:00–18:00.\n",
            ),
            (
                "2026-11-23T12:00:00+03:00",
                "пн, 23 ноября, 12:00: рабочее время, до 18:00.\nСледующее рабочее время: вт, 24 ноября, 9:00–18:00.\n",
            ),
            (
                "2026-12-31T12:00:00+03:00",
                "чт, 31 декабря, 12:00: нерабочее время, перенесённый выходной.\n\
                 Следующее рабочее время: пн, 11 января 2027 года, 9:00–18:00.\n",
            ),
            (
                "2026-11-04T12:00:00+03:00",
                "ср, 4 ноября, 12:00: нерабочее время, праздничный день (День народного единства).\n\
                 Следующее рабочее время: чт, 5 ноября, 9:00–18:00.\n",
            ),
        ] {
            assert_eq!(said(at, &[], serde_json::json!({})), words);
        }
    }

    #[test]
    fn a_line_without_hours_promises_no_date() {
        let words = said("2026-11-23T12:00:00+03:00", &["8"], serde_json::json!({"week": {}}));
        assert!(words.ends_with("Срок 8 ч: рабочие часы не заданы.\n"), "{words}");
    }

    #[test]
    fn a_night_is_told_with_both_its_days() {
        let night =
            serde_json::json!({"week": {"mon": ["22:00-24:00"], "tue": ["00:00-06:00"], "sat": ["20:00-24:00"]}});
        let words = said("2026-11-22T12:00:00+03:00", &[], night.clone());
        assert!(words.contains("пн, 23 ноября, 22:00 – вт, 24 ноября, 6:00."), "{words}");
        let words = said("2026-11-27T12:00:00+03:00", &[], night);
        assert!(words.contains("сб, 28 ноября, 20:00–24:00."), "{words}");
    }
}
