//! Which part of the log is looked at, as it stands in the address.

use serde::Deserialize;

use super::super::frame::Choice;
use super::super::words::Wall;
use super::words::{outcome_title, resolution_title};
use crate::core::call::{Direction, Outcome};
use crate::core::line::LineId;
use crate::core::search::Search;
use crate::store::{CallFilter, CallPage, Resolution};
use crate::time::{Date, ToSpan};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    /// A number, part of one, a name, or words.
    #[serde(alias = "number")]
    pub search: String,
    /// `today`, `yesterday`, `week`, `month`, or empty: all history. Dates typed in go before it.
    pub period: String,
    /// `2026-11-20`, as a browser's field writes it; both days belong to it.
    pub from: String,
    pub to: String,
    pub line: String,
    /// The word of an [`Outcome`] or of a [`Resolution`].
    pub outcome: String,
    /// `inbound`, `outbound`, or empty.
    pub direction: String,
    /// Where this page of the log begins; empty for the first.
    pub after: String,
}

/// One choice that is an address.
pub(super) struct Link {
    pub address: String,
    pub label: &'static str,
    pub chosen: bool,
}

const PERIODS: [(&str, &str); 5] =
    [("", "Всё время"), ("today", "Сегодня"), ("yesterday", "Вчера"), ("week", "Неделя"), ("month", "Месяц")];

impl View {
    pub fn filter(&self, wall: &Wall<'_>, limit: u32) -> CallFilter {
        let (from, to) = self.days(wall.today());
        let midnight = |date: Date| {
            let zone = wall.local(wall.now).time_zone().clone();
            date.to_zoned(zone).map(|midnight| midnight.timestamp()).ok()
        };
        let next_day = |date: Date| date.checked_add(1.day()).ok();
        CallFilter {
            line: (!self.line.is_empty()).then(|| LineId::new(&self.line)),
            from: from.and_then(midnight),
            to: to.and_then(next_day).and_then(midnight),
            direction: self.direction(),
            outcome: Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == self.outcome),
            resolution: Resolution::ALL.into_iter().find(|resolution| resolution.as_str() == self.outcome),
            search: Search::parse(&self.search),
            after: CallPage::parse_cursor(&self.after),
            limit,
        }
    }

    /// The first and the last day, where there are any.
    fn days(&self, today: Date) -> (Option<Date>, Option<Date>) {
        let typed: [Option<Date>; 2] = [&self.from, &self.to].map(|date| date.parse().ok());
        if let [from, to] = typed
            && (from.is_some() || to.is_some())
        {
            return (from, to);
        }
        let back = |days: i64| today.checked_sub(days.days()).ok();
        match self.period.as_str() {
            "today" => (Some(today), Some(today)),
            "yesterday" => (back(1), back(1)),
            "week" => (back(6), Some(today)),
            "month" => (today.checked_sub(1.month()).ok(), Some(today)),
            _ => (None, None),
        }
    }

    fn direction(&self) -> Option<Direction> {
        match self.direction.as_str() {
            "inbound" => Some(Direction::Inbound),
            "outbound" => Some(Direction::Outbound),
            _ => None,
        }
    }

    fn has_dates(&self) -> bool {
        !(self.from.is_empty() && self.to.is_empty())
    }

    pub fn is_filtered(&self) -> bool {
        let filters = [&self.search, &self.period, &self.from, &self.to, &self.line, &self.outcome, &self.direction];
        filters.iter().any(|filter| !filter.trim().is_empty())
    }

    pub fn with_after(&self, after: &str) -> Self {
        Self { after: after.to_owned(), ..self.clone() }
    }

    /// `/calls?line=parents&…`.
    pub fn address(&self, path: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("search", &self.search),
            ("period", &self.period),
            ("from", &self.from),
            ("to", &self.to),
            ("line", &self.line),
            ("outcome", &self.outcome),
            ("direction", &self.direction),
            ("after", &self.after),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    pub fn periods(&self) -> Vec<Link> {
        let of = |(word, label): (&str, &'static str)| {
            let view = Self {
                period: word.to_owned(),
                from: String::new(),
                to: String::new(),
                after: String::new(),
                ..self.clone()
            };
            Link { address: view.address("/calls"), label, chosen: !self.has_dates() && self.period == word }
        };
        PERIODS.into_iter().map(of).collect()
    }

    pub fn outcomes(&self) -> Vec<Choice> {
        let calls = [
            Outcome::Answered,
            Outcome::Voicemail,
            Outcome::NoMessage,
            Outcome::Missed,
            Outcome::Abandoned,
            Outcome::InProgress,
        ];
        let calls = calls.into_iter().map(|outcome| (outcome.as_str(), outcome_title(outcome)));
        let callbacks = [
            Resolution::CalledBack,
            Resolution::GotThrough,
            Resolution::NotReached,
            Resolution::Declined,
            Resolution::Exceptional,
            Resolution::Waiting,
        ];
        let callbacks = callbacks.into_iter().map(|resolution| (resolution.as_str(), resolution_title(resolution)));
        choices(&self.outcome, std::iter::once(("", "любой")).chain(calls).chain(callbacks))
    }

    pub fn directions(&self) -> Vec<Choice> {
        choices(&self.direction, [("", "любое"), ("inbound", "входящие"), ("outbound", "исходящие")].into_iter())
    }

    /// In words, for the audit: what the file holds.
    pub fn described(&self) -> String {
        let view = self.with_after("");
        let address = view.address("");
        if address.is_empty() { "всё".to_owned() } else { address.trim_start_matches('?').to_owned() }
    }
}

fn choices<'a>(chosen: &str, all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Choice> {
    let of = |(value, label): (&str, &str)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        chosen: chosen == value,
    };
    all.map(of).collect()
}
