//! The published lines: their numbers, the technical numbers that stand for them, and what each promises.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::calendar::{Calendar, WorkingHours};
use super::changes::Changes;
use super::dialing::DialingRules;
use super::greetings::OfLine;
use super::phone::{PhoneNumber, Telephone, addresses};

/// The configured name of a line: `staff`, `parents`. [`LineId::unknown`] stands for calls to a number nobody configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub Arc<str>);

impl LineId {
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// «Неизвестная линия»: such calls are logged and get the offer to record like all others (R18).
    pub fn unknown() -> Self {
        Self::new("unknown")
    }

    pub fn is_unknown(&self) -> bool {
        &*self.0 == "unknown"
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One published line.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: LineId,
    /// `None` only for the unknown line.
    pub number: Option<PhoneNumber>,
    /// Technical and forwarded-from numbers: E.164 where they are numbers, the provider's word otherwise.
    pub aliases: Vec<String>,
    /// «Сотрудники», «Родители».
    pub title: String,
    /// Whom the greeting says it helps: «сотрудникам», «родителям». Empty: not said.
    pub audience: String,
    /// Published beside the number. `None` where the school has published none (R17).
    pub email: Option<String>,
    /// Officers' telephones, rung one after another in working time; empty = straight to the message.
    pub ring: Vec<Telephone>,
    /// How long each phone rings, seconds.
    pub ring_seconds: u32,
    /// The longest message, seconds.
    pub max_message_seconds: u32,
    /// The regulation's response term in working hours; blank in our copy, so unset by default (R8).
    pub response_term: Option<WorkingHours>,
    /// Whether the greeting says that the message is recorded.
    pub recording_notice: bool,
    /// Whether a visible caller who left no message is called back all the same.
    pub callback_without_message: bool,
    /// What the school recorded itself and switched on; the rest is spoken.
    pub greetings: OfLine,
    pub calendar: Calendar,
}

impl Line {
    /// A line with the usual values: no aliases, nobody rung, messages of three minutes.
    pub fn new(id: LineId, number: Option<PhoneNumber>, title: &str, calendar: Calendar) -> Self {
        Self {
            id,
            number,
            aliases: Vec::new(),
            title: title.to_owned(),
            audience: String::new(),
            email: None,
            ring: Vec::new(),
            ring_seconds: 20,
            max_message_seconds: 180,
            response_term: None,
            recording_notice: false,
            callback_without_message: true,
            greetings: OfLine::new(),
            calendar,
        }
    }
}

impl Line {
    /// The same line with all its texts spoken.
    pub fn spoken(&self) -> Self {
        Self { greetings: OfLine::new(), ..self.clone() }
    }
}

/// All lines of the house. Looking one up always gives a line: the unknown one if need be.
#[derive(Clone, Debug)]
pub struct Lines {
    lines: Arc<[Line]>,
    by_number: Arc<HashMap<String, usize>>,
    unknown: Arc<Line>,
    /// Whether callbacks may be declined with the two reasons of the regulation (R11).
    pub regulation_reasons: bool,
    /// Which numbers are dialed without asking (R27).
    pub dialing: DialingRules,
}

impl Lines {
    /// `default_calendar` answers for calls to unknown numbers.
    pub fn new(lines: Vec<Line>, default_calendar: Calendar) -> Self {
        let mut by_number = HashMap::new();
        for (index, line) in lines.iter().enumerate() {
            for number in line.number.iter().map(|number| number.e164()).chain(line.aliases.iter().map(String::as_str))
            {
                by_number.entry(spelling(number)).or_insert(index);
            }
        }
        let unknown = Line::new(LineId::unknown(), None, "Неизвестная линия", default_calendar);
        Self {
            lines: lines.into(),
            by_number: by_number.into(),
            unknown: unknown.into(),
            regulation_reasons: true,
            dialing: DialingRules::default(),
        }
    }

    /// The same lines, each changed; the unknown one too.
    pub(super) fn each(&self, change: impl Fn(&Line) -> Line) -> Self {
        Self {
            lines: self.lines.iter().map(&change).collect(),
            unknown: Arc::new(change(&self.unknown)),
            ..self.clone()
        }
    }

    /// The line a call was meant for. The number the call was forwarded from says more than the technical number it
    /// arrived at: both published numbers are mobile ones and may share one trunk (R18). Of several diversions the first
    /// that is one of our lines counts: the call may have been forwarded before it came to us, and after.
    pub fn of_call(&self, dialled: &str, forwarded_from: Option<&str>) -> &Line {
        let known = |number: &str| self.by_number.get(&spelling(number)).map(|index| &self.lines[*index]);
        let any_known = |header: &str| known(header).or_else(|| addresses(header).find_map(known));
        forwarded_from.and_then(any_known).or_else(|| any_known(dialled)).unwrap_or(&self.unknown)
    }

    /// Whether this number is one of our lines, or a technical number of one: nobody's number to be called at (R25).
    pub fn is_own(&self, number: &PhoneNumber) -> bool {
        self.by_number.contains_key(number.e164())
    }

    /// The line of this name, or the unknown line for a name that is configured no longer.
    pub fn by_id(&self, id: &LineId) -> &Line {
        self.get(id).unwrap_or(&self.unknown)
    }

    pub fn get(&self, id: &LineId) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == *id)
    }

    /// Whether these are the very same lines, unchanged since the others were taken.
    pub fn are_the_same(&self, others: &Self) -> bool {
        Arc::ptr_eq(&self.lines, &others.lines) && Arc::ptr_eq(&self.unknown, &others.unknown)
    }

    /// The calendar of lines that have no hours of their own.
    pub fn default_calendar(&self) -> &Calendar {
        &self.unknown.calendar
    }

    pub fn iter(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }
}

/// The lines as the school has them now: as configured, with what it changed since. Hours and greetings change while
/// calls come in, so whoever begins something takes one whole set and keeps to it.
#[derive(Clone, Debug)]
pub struct LiveLines {
    configured: Arc<Lines>,
    /// With the changes that they were made of.
    current: Arc<RwLock<(Lines, Changes)>>,
}

impl LiveLines {
    pub fn new(configured: Lines) -> Self {
        let current = (configured.clone(), Changes::default());
        Self { current: Arc::new(RwLock::new(current)), configured: Arc::new(configured) }
    }

    pub fn now(&self) -> Lines {
        self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The lines as they would be with these changes.
    pub fn with(&self, changes: &Changes) -> Lines {
        self.configured.with(changes)
    }

    /// All holders of a clone see the lines with these changes from now on. They stay the same lines if nothing has changed.
    pub fn change(&self, changes: &Changes) {
        if self.current.read().unwrap_or_else(PoisonError::into_inner).1 == *changes {
            return;
        }
        let changed = (self.configured.with(changes), changes.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = changed;
    }
}

/// One spelling for comparing: E.164 where the text is a number, the lower-cased text otherwise.
fn spelling(number: &str) -> String {
    match PhoneNumber::parse(number) {
        Ok(number) => number.e164().to_owned(),
        Err(_) => number.trim().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::Hours;

    fn lines() -> Lines {
        let calendar = Calendar::new(Hours::default());
        let line = |id: &str, number: &str, aliases: &[&str]| Line {
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            ..Line::new(LineId::new(id), PhoneNumber::parse(number).ok(), id, calendar.clone())
        };
        let staff = line("staff", "+79288036355", &["sip:gate@school.example"]);
        Lines::new(vec![staff, line("parents", "89288328088", &["+78712000100"])], calendar)
    }

    #[derive(serde::Deserialize)]
    struct Case {
        to: String,
        forwarded_from: Option<String>,
        line: String,
    }

    #[test]
    fn line_is_found_in_every_kind_of_address() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/data/cases/lines.json")).unwrap();
        for Case { to, forwarded_from, line } in cases {
            let found = lines().of_call(&to, forwarded_from.as_deref()).id.clone();
            assert_eq!(found.as_str(), line, "{to} {forwarded_from:?}");
        }
    }

    #[test]
    fn published_and_technical_numbers_are_our_own() {
        for (number, is_own) in [("89288036355", true), ("+78712000100", true), ("+79280000001", false)] {
            assert_eq!(lines().is_own(&PhoneNumber::parse(number).unwrap()), is_own, "{number}");
        }
    }
}
