//! What a form of the calendar asks for: kept as it was typed, read into a step, and every mistake told beside its field.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::civil::DateTime;

use super::words::dates_words;
use crate::core::calendar::{
    DataSet, Exception, ExceptionMode, HoursChanges, HoursStep, Interval, LONGEST_EXCEPTION_DAYS, LONGEST_REASON,
    MOST_EXCEPTIONS, StepRefusal, data_set_of, read_ics,
};
use crate::core::line::{LineId, Lines};
use crate::time::{Date, Time, TimeZone, Timestamp};
use crate::web::pages::words::counted;

pub(super) const DAYS: [(&str, &str); 7] = [
    ("mon", "Понедельник"),
    ("tue", "Вторник"),
    ("wed", "Среда"),
    ("thu", "Четверг"),
    ("fri", "Пятница"),
    ("sat", "Суббота"),
    ("sun", "Воскресенье"),
];

/// A mistake and the field it belongs to, by its id on the page.
pub(super) struct Mistake {
    pub field: &'static str,
    pub text: String,
}

/// The fields of a form, as they came.
#[derive(Clone, Default)]
pub(super) struct Asked(pub Vec<(String, String)>);

impl Asked {
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == value
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    /// Everything but the revision that was seen, to be sent again.
    pub fn fields(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter().filter(|(name, _)| name != "seen")
    }

    /// The line chosen; `None`: all.
    pub fn line(&self) -> Option<LineId> {
        Some(self.get("line")).filter(|line| !line.is_empty()).map(LineId::new)
    }

    /// An uploaded file, carried from the upload to the saving.
    pub fn file(&self) -> String {
        let bytes = BASE64.decode(self.get("content")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn with_file(step: &str, line: &str, bytes: &[u8]) -> Self {
        let fields = [("step", step.to_owned()), ("line", line.to_owned()), ("content", BASE64.encode(bytes))];
        Self(fields.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The step that these fields mean.
    pub fn step(&self, lines: &Lines, changes: &HoursChanges, now: Timestamp) -> Result<HoursStep, Vec<Mistake>> {
        let line = self.line();
        if line.as_ref().is_some_and(|line| lines.get(line).is_none()) {
            return Err(vec![mistake("line", "Выберите линию из списка.")]);
        }
        let calendar = line.as_ref().map_or(lines.default_calendar(), |line| &lines.by_id(line).calendar);
        match self.get("step") {
            "exception" => self.exception(line, lines, changes),
            "week" => self.week(line),
            "close" => self.close(line, calendar.time_zone(), now),
            "open" => match self.get("id").parse() {
                Ok(id) => Ok(HoursStep::OpenAgain { id }),
                Err(_) => Err(vec![mistake("told", "Этой остановки нет.")]),
            },
            "data" => {
                let text = self.file();
                match data_set_of(&text) {
                    Some(set) => Ok(HoursStep::TakeData { set, text }),
                    None => Err(vec![mistake("file", "Это не файл календаря: нужен ru.json или ru-ce.json.")]),
                }
            }
            "built_in" => match DataSet::ALL.into_iter().find(|set| set.as_str() == self.get("set")) {
                Some(set) => Ok(HoursStep::TakeBuiltIn { set }),
                None => Err(vec![mistake("told", "Нет такого календаря.")]),
            },
            "ics" => self.events(line),
            _ => Err(vec![mistake("told", "Форма пришла не целиком. Вернитесь и повторите.")]),
        }
    }

    fn exception(
        &self,
        line: Option<LineId>,
        lines: &Lines,
        changes: &HoursChanges,
    ) -> Result<HoursStep, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let from: Option<Date> = self.get("from").parse().ok();
        let to: Option<Date> = if self.get("to").is_empty() { from } else { self.get("to").parse().ok() };
        if from.is_none() {
            mistakes.push(mistake("from", "Укажите дату."));
        }
        if to.is_none() || to < from {
            mistakes.push(mistake("to", "Последний день должен быть не раньше первого."));
        }
        if self.is("mode", "rule") {
            return match (from, to, mistakes.is_empty()) {
                (Some(from), Some(to), true) => to_the_rule(line, from, to, lines, changes),
                _ => Err(mistakes),
            };
        }
        let mode = match self.get("mode") {
            "worked" => Some(ExceptionMode::Worked),
            "closed" => Some(ExceptionMode::Closed),
            "hours" => match intervals(self.get("hours")) {
                Ok(hours) if hours.is_empty() => {
                    mistakes.push(mistake("hours", "Напишите часы, например 9:00–17:00."));
                    None
                }
                // On one day that was picked the hours are meant as they stand; in a row of days only for the worked ones.
                Ok(hours) if from == to => Some(ExceptionMode::Open(hours)),
                Ok(hours) => Some(ExceptionMode::Hours(hours)),
                Err(text) => {
                    mistakes.push(mistake("hours", &text));
                    None
                }
            },
            _ => {
                mistakes.push(mistake("mode", "Выберите, каким будет день."));
                None
            }
        };
        if self.get("reason").chars().count() > LONGEST_REASON {
            mistakes.push(long_reason());
        }
        match (from, to, mode, mistakes.is_empty()) {
            (Some(from), Some(to), Some(mode), true) => {
                let reason = self.get("reason").to_owned();
                Ok(HoursStep::Except(vec![Exception { id: 0, line, from, to, mode, reason }]))
            }
            _ => Err(mistakes),
        }
    }

    fn week(&self, line: Option<LineId>) -> Result<HoursStep, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let week = DAYS.map(|(day, _)| {
            intervals(self.get(day)).unwrap_or_else(|text| {
                mistakes.push(mistake(day, &text));
                Vec::new()
            })
        });
        if mistakes.is_empty() { Ok(HoursStep::Week { line, week }) } else { Err(mistakes) }
    }

    fn close(&self, line: Option<LineId>, zone: &TimeZone, now: Timestamp) -> Result<HoursStep, Vec<Mistake>> {
        let today = now.to_zoned(zone.clone()).date();
        let at = |local: DateTime| local.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
        let (until, field) = match self.get("until") {
            "time" => (self.get("time").parse::<Time>().ok().and_then(|time| at(today.to_datetime(time))), "time"),
            "at" => (self.get("at").parse::<DateTime>().ok().and_then(at), "at"),
            _ => (today.tomorrow().ok().and_then(|day| at(day.to_datetime(Time::midnight()))), "until"),
        };
        let mut mistakes = Vec::new();
        match until {
            None => mistakes.push(mistake(field, "Укажите, до какого времени закрыть.")),
            Some(until) if until <= now => {
                mistakes.push(mistake(field, "Это время уже прошло. Укажите более позднее."))
            }
            Some(_) => {}
        }
        if self.get("reason").is_empty() {
            mistakes.push(mistake("reason", "Напишите причину: её увидят все сотрудники."));
        }
        if self.get("reason").chars().count() > LONGEST_REASON {
            mistakes.push(long_reason());
        }
        match until {
            Some(until) if mistakes.is_empty() => {
                Ok(HoursStep::Close { line, until, reason: self.get("reason").to_owned() })
            }
            _ => Err(mistakes),
        }
    }

    fn events(&self, line: Option<LineId>) -> Result<HoursStep, Vec<Mistake>> {
        let (events, refused) = read_ics(&self.file()).map_err(|text| vec![mistake("file", &text)])?;
        if events.is_empty() {
            let why = refused.first().map_or(String::new(), |it| format!(" Строка {}: {}.", it.line, it.problem));
            return Err(vec![mistake("file", &format!("В файле нет событий, которые можно загрузить.{why}"))]);
        }
        let except = |event: crate::core::calendar::IcsEvent| Exception {
            id: 0,
            line: line.clone(),
            from: event.from,
            to: event.to,
            mode: ExceptionMode::Closed,
            reason: event.summary,
        };
        Ok(HoursStep::Except(events.into_iter().map(except).collect()))
    }
}

/// These dates of this line, and no others, follow the rules again: exceptions about nothing else end, of others their
/// dates are taken out.
fn to_the_rule(
    line: Option<LineId>,
    from: Date,
    to: Date,
    lines: &Lines,
    changes: &HoursChanges,
) -> Result<HoursStep, Vec<Mistake>> {
    let dates = || {
        let all = std::iter::successors(Some(from), |date| date.tomorrow().ok());
        all.take_while(|date| *date <= to).take(LONGEST_EXCEPTION_DAYS as usize)
    };
    let mut concerned = lines.iter().filter(|it| line.as_ref().is_none_or(|line| it.id == *line));
    if concerned.all(|line| dates().all(|date| changes.is_by_the_rule(&line.id, date))) {
        return Err(vec![mistake("mode", "День и так по общему правилу: менять нечего.")]);
    }
    let touches = |of: &Option<LineId>| line.is_none() || of.is_none() || *of == line;
    let covering = || changes.exceptions.iter().filter(|it| it.from <= to && from <= it.to && touches(&it.line));
    let nothing_else = |it: &Exception| from <= it.from && it.to <= to && (line.is_none() || it.line == line);
    if covering().all(nothing_else) {
        return Ok(HoursStep::EndExceptions(covering().map(|it| it.id).collect()));
    }
    let mode = ExceptionMode::Rule;
    Ok(HoursStep::Except(vec![Exception { id: 0, line, from, to, mode, reason: String::new() }]))
}

fn mistake(field: &'static str, text: &str) -> Mistake {
    Mistake { field, text: text.to_owned() }
}

fn long_reason() -> Mistake {
    let most = counted(LONGEST_REASON as i64, ["знака", "знаков", "знаков"]);
    mistake("reason", &format!("Причина длиннее {most}. Напишите короче."))
}

/// «9:00–13:00, 14:00–18:00» as people type it; nothing typed is no hours.
fn intervals(text: &str) -> Result<Vec<Interval>, String> {
    let parts = text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty());
    let read = parts.map(|part| {
        let part = part.replace(['–', '—'], "-");
        let (opens, closes) = part.split_once('-').unwrap_or((&part, ""));
        interval(opens.trim(), closes.trim())
    });
    read.collect()
}

/// `9:00` and `18:00`; midnight as an end is the end of the day.
fn interval(opens: &str, closes: &str) -> Result<Interval, String> {
    let full = |text: &str| match text.split_once(':') {
        Some((hour, minute)) if hour.len() == 1 => format!("0{hour}:{minute}"),
        _ => text.to_owned(),
    };
    let closes = match full(closes) {
        midnight if midnight == "00:00" => "24:00".to_owned(),
        closes => closes,
    };
    format!("{}-{closes}", full(opens)).parse::<Interval>().map_err(|error| {
        let text = error.to_string();
        format!("{text}.")
    })
}

/// Why a step was refused, beside the field it belongs to.
pub(super) fn refused(refusal: &StepRefusal, step: &HoursStep) -> Mistake {
    let field = match step {
        HoursStep::Except(_) => "to",
        HoursStep::Close { .. } => "until",
        HoursStep::TakeData { .. } => "file",
        _ => "told",
    };
    let longest = match step {
        HoursStep::Except(all) => all.iter().max_by_key(|it| it.to).map(|it| dates_words(it.from, it.to)),
        _ => None,
    };
    let text = match refusal {
        StepRefusal::Gone => "Этого уже нет: кто-то отменил раньше. Откройте календарь заново.".to_owned(),
        StepRefusal::TooMany => format!("Исключений больше {MOST_EXCEPTIONS}. Отмените лишние."),
        StepRefusal::TooLong => {
            let days = counted(i64::from(LONGEST_EXCEPTION_DAYS), ["дня", "дней", "дней"]);
            let which = longest.map_or(String::new(), |dates| format!(" ({dates})"));
            format!("Промежуток длиннее {days}{which}. Разделите его.")
        }
        StepRefusal::Backwards => "Последний день должен быть не раньше первого.".to_owned(),
        StepRefusal::InThePast => "Это время уже прошло. Укажите более позднее.".to_owned(),
        StepRefusal::LongReason => long_reason().text,
        StepRefusal::BadData(mistakes) => {
            let shown: Vec<&str> = mistakes.iter().take(10).map(String::as_str).collect();
            format!("Файл не подходит. {}", shown.join(" "))
        }
        StepRefusal::SameData => "Эти данные уже действуют: менять нечего.".to_owned(),
    };
    mistake(field, &text)
}
