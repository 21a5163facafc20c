//! Reading the section `[hours]`: every mistake at once, each with its key and with what to write instead.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::days::DataSet;
use super::hours::{Hours, Override, OverrideMode, ShortDays, WEEKDAYS};
use super::interval::{Interval, MINUTES_A_DAY};
use crate::time::{Date, TimeZone};

/// One mistake of the configuration. The text is for the administrator, in Russian, and says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursError {
    /// Where, inside the section: `week.mon[0]`. Empty when the section itself has the wrong shape.
    pub key: String,
    pub problem: String,
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.problem) } else { write!(f, "{}: {}", self.key, self.problem) }
    }
}

impl std::error::Error for HoursError {}

impl Hours {
    /// Reads `{timezone, week, holidays, short_days, overrides}`; a missing key has the school's value.
    ///
    /// # Errors
    /// Every mistake there is, in the order of the keys.
    pub fn from_json(value: &Value) -> Result<Self, Vec<HoursError>> {
        let mut reader = Reader::default();
        let hours = reader.hours(value);
        if reader.mistakes.is_empty() { Ok(hours) } else { Err(reader.mistakes) }
    }
}

/// A week of its own, `{mon: ["09:00-18:00"], …}`, Monday first; a missing day is a day off.
///
/// # Errors
/// Every mistake there is.
pub fn week_from_json(value: &Value) -> Result<[Vec<Interval>; 7], Vec<HoursError>> {
    let mut reader = Reader::default();
    let week = reader.week(value);
    if reader.mistakes.is_empty() { Ok(week) } else { Err(reader.mistakes) }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(|mistakes| {
            D::Error::custom(mistakes.iter().map(HoursError::to_string).collect::<Vec<_>>().join("; "))
        })
    }
}

/// Reads on after a mistake, with some harmless value in its place, so that all are found in one go.
#[derive(Default)]
struct Reader {
    mistakes: Vec<HoursError>,
}

impl Reader {
    fn hours(&mut self, value: &Value) -> Hours {
        let mut hours = Hours::default();
        let known = ["timezone", "week", "holidays", "short_days", "overrides"];
        let Some(section) = self.object("", value, &known) else { return hours };
        if let Some(value) = section.get("timezone") {
            hours.time_zone = self.time_zone(value).unwrap_or(hours.time_zone);
        }
        if let Some(value) = section.get("week") {
            hours.week = self.week(value);
        }
        if let Some(value) = section.get("holidays") {
            hours.holidays = self.holidays(value);
        }
        if let Some(value) = section.get("short_days") {
            hours.short_days = self.short_days(value);
        }
        if let Some(value) = section.get("overrides") {
            let entries = self.list("overrides", value, "[{ from = \"2027-03-09\", … }]").iter().enumerate();
            hours.overrides =
                entries.filter_map(|(at, entry)| self.override_entry(&format!("overrides[{at}]"), entry)).collect();
        }
        hours
    }

    fn time_zone(&mut self, value: &Value) -> Option<TimeZone> {
        let name = self.text("timezone", value, "\"Europe/Moscow\"")?;
        let zone = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some() && !zone.is_unknown());
        if zone.is_none() {
            let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let near = nearest(name, known.iter().map(String::as_str)).unwrap_or("Europe/Moscow");
            self.mistake("timezone", format!("«{name}» — нет такого часового пояса; напишите, например, \"{near}\""));
        }
        zone
    }

    fn week(&mut self, value: &Value) -> [Vec<Interval>; 7] {
        let Some(week) = self.object("week", value, &WEEKDAYS) else { return Default::default() };
        WEEKDAYS.map(|day| {
            week.get(day).map(|intervals| self.intervals(&format!("week.{day}"), intervals)).unwrap_or_default()
        })
    }

    fn intervals(&mut self, key: &str, value: &Value) -> Vec<Interval> {
        let mut intervals = Vec::new();
        for (at, value) in self.list(key, value, "[\"09:00-18:00\"]").iter().enumerate() {
            let key = format!("{key}[{at}]");
            let Some(text) = self.text(&key, value, "\"09:00-18:00\"") else { continue };
            match text.parse::<Interval>() {
                Ok(interval) => intervals.push(interval),
                Err(error) => self.mistake(&key, error.to_string()),
            }
        }
        Interval::in_order(intervals)
    }

    fn holidays(&mut self, value: &Value) -> Vec<DataSet> {
        let mut sets = Vec::new();
        for (at, value) in self.list("holidays", value, "[\"ru\", \"ru-ce\"]").iter().enumerate() {
            let key = format!("holidays[{at}]");
            let Some(name) = self.text(&key, value, "\"ru\"") else { continue };
            match DataSet::ALL.into_iter().find(|set| set.as_str() == name) {
                Some(set) if sets.contains(&set) => {}
                Some(set) => sets.push(set),
                None => self.mistake(&key, format!("«{name}» — нет такого календаря; есть \"ru\" и \"ru-ce\"")),
            }
        }
        sets.sort();
        sets
    }

    fn short_days(&mut self, value: &Value) -> ShortDays {
        let known = ["policy", "minutes"];
        let Some(section) = self.object("short_days", value, &known) else { return ShortDays::Ignore };
        let policies = "напишите \"ignore\" (работать как обычно) или \"close_early\" (закрываться раньше)";
        // One hour is what article 95 of the Labour Code takes off.
        let minutes = section.get("minutes").map_or(Some(60), Value::as_u64);
        let minutes = minutes.filter(|minutes| (1..=u64::from(MINUTES_A_DAY)).contains(minutes));
        let Some(policy) = section.get("policy") else {
            self.mistake("short_days.policy", format!("не указано; {policies}"));
            return ShortDays::Ignore;
        };
        match (policy.as_str(), minutes) {
            (Some("ignore"), _) => ShortDays::Ignore,
            (Some("close_early"), Some(minutes)) => ShortDays::CloseEarly { minutes: minutes as u16 },
            (Some("close_early"), None) => {
                self.mistake("short_days.minutes", "нужно целое число минут от 1 до 1440, например 60".to_owned());
                ShortDays::Ignore
            }
            _ => {
                self.mistake("short_days.policy", format!("{policy} — нет такого правила; {policies}"));
                ShortDays::Ignore
            }
        }
    }

    fn override_entry(&mut self, key: &str, value: &Value) -> Option<Override> {
        let entry = self.object(key, value, &["from", "to", "mode", "hours", "reason"])?;
        let from = self.date(&format!("{key}.from"), entry.get("from"));
        let to = self.date(&format!("{key}.to"), entry.get("to"));
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            self.mistake(&format!("{key}.to"), format!("{to} раньше, чем from ({from}); поменяйте даты местами"));
        }
        let mode = self.mode(key, entry);
        let reason = match entry.get("reason") {
            None | Some(Value::Null) => "",
            Some(reason) => self.text(&format!("{key}.reason"), reason, "\"ремонт\"").unwrap_or(""),
        };
        Some(Override { from: from?, to: to?, mode: mode?, reason: reason.to_owned() })
    }

    fn mode(&mut self, key: &str, entry: &Map<String, Value>) -> Option<OverrideMode> {
        let hours_key = format!("{key}.hours");
        let hours = match entry.get("hours") {
            None | Some(Value::Null) => Vec::new(),
            Some(hours) => self.intervals(&hours_key, hours),
        };
        let given = entry.get("hours").is_some_and(|hours| !hours.is_null() && hours != &Value::Array(Vec::new()));
        let modes =
            "напишите \"closed\" (закрыто), \"open\" (открыто в часы hours) или \"hours\" (другие часы в рабочий день)";
        match entry.get("mode").map(|mode| (mode, mode.as_str())) {
            Some((_, Some("closed"))) if given => {
                self.mistake(
                    &hours_key,
                    "закрытый день не имеет часов; уберите hours или напишите mode = \"hours\"".to_owned(),
                );
                None
            }
            Some((_, Some("closed"))) => Some(OverrideMode::Closed),
            Some((_, Some("open" | "hours"))) if !given => {
                self.mistake(
                    &hours_key,
                    "не указаны часы; напишите, например, [\"10:00-14:00\"], или mode = \"closed\"".to_owned(),
                );
                None
            }
            Some((_, Some("open"))) => Some(OverrideMode::Open(hours)),
            Some((_, Some("hours"))) => Some(OverrideMode::Hours(hours)),
            Some((mode, _)) => {
                self.mistake(&format!("{key}.mode"), format!("{mode} — нет такого вида; {modes}"));
                None
            }
            None => {
                self.mistake(&format!("{key}.mode"), format!("не указано; {modes}"));
                None
            }
        }
    }

    fn date(&mut self, key: &str, value: Option<&Value>) -> Option<Date> {
        // The library also reads a date out of longer texts; an instant here would be a misunderstanding.
        let date = value.and_then(Value::as_str).filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
        if date.is_none() {
            let found = value.map_or("не указано".to_owned(), |value| format!("{value} — не дата"));
            self.mistake(key, format!("{found}; напишите год, месяц и день: \"2027-03-09\""));
        }
        date
    }

    fn text<'v>(&mut self, key: &str, value: &'v Value, example: &str) -> Option<&'v str> {
        let text = value.as_str();
        match text {
            None => self.mistake(key, format!("нужен текст в кавычках, например {example}")),
            Some(text) if text.contains(char::is_control) => {
                self.mistake(key, "в тексте есть знаки, которых не видно; уберите их".to_owned());
            }
            Some(_) => {}
        }
        text
    }

    fn list<'v>(&mut self, key: &str, value: &'v Value, example: &str) -> &'v [Value] {
        let list = value.as_array();
        if list.is_none() {
            self.mistake(key, format!("нужен список в квадратных скобках, например {example}"));
        }
        list.map_or(&[], Vec::as_slice)
    }

    fn object<'v>(&mut self, key: &str, value: &'v Value, known: &[&str]) -> Option<&'v Map<String, Value>> {
        let Some(object) = value.as_object() else {
            self.mistake(key, format!("нужен раздел с ключами {}", known.join(", ")));
            return None;
        };
        for unknown in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let advice = match nearest(unknown, known.iter().copied()) {
                Some(near) => format!("возможно, {near}"),
                None => format!("есть {}", known.join(", ")),
            };
            let dot = if key.is_empty() { "" } else { "." };
            self.mistake(&format!("{key}{dot}{unknown}"), format!("нет такого ключа; {advice}"));
        }
        Some(object)
    }

    fn mistake(&mut self, key: &str, problem: String) {
        self.mistakes.push(HoursError { key: key.to_owned(), problem });
    }
}

/// The known word most like the one that was written, if any is like it at all. A city is compared without its continent.
fn nearest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let written = written.to_lowercase();
    let likeness = |word: &str| {
        let word = word.to_lowercase();
        let city = word.rsplit('/').next().unwrap_or(&word);
        strsim::jaro_winkler(&written, &word).max(strsim::jaro_winkler(&written, city))
    };
    known
        .map(|word| (likeness(word), word))
        .filter(|(like, _)| *like > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mistakes(value: Value) -> Vec<String> {
        Hours::from_json(&value).expect_err("mistakes").iter().map(HoursError::to_string).collect()
    }

    #[test]
    fn nothing_written_means_the_schools_hours() {
        assert_eq!(Hours::from_json(&json!({})), Ok(Hours::default()));
        assert_eq!(Hours::from_json(&Hours::default().to_json()), Ok(Hours::default()));
    }

    #[test]
    fn an_empty_week_is_closed_and_a_missing_one_is_the_schools() {
        let closed = Hours::from_json(&json!({"week": {"mon": []}})).expect("hours");
        assert!(closed.week.iter().all(Vec::is_empty));
    }

    #[test]
    fn every_mistake_is_found_at_once_with_its_key_and_the_way_out() {
        let found = mistakes(json!({
            "timezone": "Moscow",
            "week": {"mon": ["9-18", "10:00-12:00"], "monday": [], "tue": "09:00-18:00"},
            "holidays": ["ru", "en"],
            "short_days": {"policy": "close_early", "minutes": 0},
            "overrides": [
                {"from": "2027-03-10", "to": "2027-03-09", "mode": "closed"},
                {"from": "9 марта", "mode": "open"},
                {"from": "2027-03-09", "to": "2027-03-09", "mode": "shut"},
                {"from": "2027-03-09", "to": "2027-03-09", "mode": "closed", "hours": ["09:00-10:00"]},
            ],
            "hollidays": [],
        }));
        let keys: Vec<&str> = found.iter().filter_map(|text| text.split(": ").next()).collect();
        assert_eq!(
            keys,
            [
                "hollidays",
                "timezone",
                "week.monday",
                "week.mon[0]",
                "week.tue",
                "holidays[1]",
                "short_days.minutes",
                "overrides[0].to",
                "overrides[1].from",
                "overrides[1].to",
                "overrides[1].hours",
                "overrides[2].mode",
                "overrides[3].hours",
            ]
        );
        assert!(found[0].ends_with("возможно, holidays"), "{}", found[0]);
        assert!(found[1].ends_with("\"Europe/Moscow\""), "{}", found[1]);
        assert!(found[2].ends_with("возможно, mon"), "{}", found[2]);
        assert!(found[3].ends_with("например 09:00-18:00"), "{}", found[3]);
    }

    #[test]
    fn a_section_of_the_wrong_shape_is_one_mistake() {
        for value in [json!(null), json!([]), json!("09:00-18:00"), json!(9)] {
            assert_eq!(mistakes(value).len(), 1);
        }
    }

    #[test]
    fn an_instant_is_not_taken_for_a_date() {
        for text in ["2027-03-09T00:00:00+03:00", "2027-02-29", "20270309", "2027-3-9", ""] {
            let entry = json!({"from": text, "to": "2027-03-09", "mode": "closed"});
            assert_eq!(mistakes(json!({"overrides": [entry]})).len(), 1, "{text}");
        }
    }

    #[test]
    fn serde_tells_the_same_mistakes() {
        let error =
            serde_json::from_value::<Hours>(json!({"week": {"mon": [9]}, "timezone": ""})).expect_err("mistakes");
        assert!(error.to_string().contains("week.mon[0]: ") && error.to_string().contains("timezone: "), "{error}");
    }
}
