//! When a callback is to be answered by: counted once when it is opened, and anew when the hours change.

use super::Callback;
use crate::core::calendar::Period;
use crate::core::line::Line;
use crate::time::Timestamp;

/// The list a callback stands on and its due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `None`: no working hours within 400 days, so never due.
    pub period: Option<Period>,
    pub term_due_at: Option<Timestamp>,
}

impl Terms {
    pub fn due_at(&self) -> Option<Timestamp> {
        self.period.map(|period| period.end)
    }
}

impl Callback {
    pub fn terms(&self) -> Terms {
        Terms { period: self.period, term_due_at: self.term_due_at }
    }

    /// What the change of a line from `before` to `after` at `now` makes of this callback's due times. `None`: nothing, since
    /// it is closed or the change does not touch it. A date that was promised to the caller stays with his call.
    pub fn moved(&self, before: &Line, after: &Line, now: Timestamp) -> Option<Terms> {
        if self.desk.state.closed_at().is_some() {
            return None;
        }
        let (was, will) = (self.terms_by(before, now), self.terms_by(after, now));
        (was != will && will != self.terms()).then_some(will)
    }

    /// The due times that a callback has by the clock of now, where a clock that ran ahead has put it off. `None`: it was not
    /// received after `latest`, or is closed.
    pub fn brought_near(&self, line: &Line, latest: Timestamp, now: Timestamp) -> Option<Terms> {
        if self.desk.state.closed_at().is_some() || self.received_at <= latest {
            return None;
        }
        let calendar = &line.calendar;
        let period = calendar.period_at(now).or_else(|| calendar.next_period(now))?;
        let term_due_at = match line.response_term {
            Some(term) => calendar.due_after_hours(now, term),
            None => self.term_due_at,
        };
        Some(Terms { period: Some(period), term_due_at })
    }

    /// A change makes nobody late who was not late before: then it is due by the end of the first period that ends later
    /// than now.
    fn terms_by(&self, line: &Line, now: Timestamp) -> Terms {
        let calendar = &line.calendar;
        let around = |at| calendar.period_at(at).or_else(|| calendar.next_period(at));
        let mut period = around(self.received_at);
        let is_late = self.due_at.is_some_and(|due| due <= now);
        if !is_late && period.is_none_or(|period| period.end <= now) {
            period = around(now);
        }
        let term_due_at = match line.response_term {
            Some(term) => calendar.due_after_hours(self.received_at, term),
            // Set under an earlier configuration: not ours to take away.
            None => self.term_due_at,
        };
        Terms { period, term_due_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::calendar::{Calendar, Closure, Hours};
    use crate::core::callback::{Channel, Desk, Notes, State};
    use crate::core::line::LineId;

    fn instant(text: &str) -> Timestamp {
        format!("2026-11-{text}:00+03:00").parse().expect("an instant")
    }

    fn line(closed: Option<(&str, &str)>) -> Line {
        let closures = closed.map(|(start, end)| Closure {
            period: Period { start: instant(start), end: instant(end) },
            reason: String::new(),
        });
        let calendar = Calendar::with_closures(Hours::default(), closures.into_iter().collect());
        Line::new(LineId::new("parents"), None, "Родители", calendar)
    }

    /// Left on Friday evening, so it stands on Monday's list.
    fn callback(state: State) -> Callback {
        let period = Period { start: instant("23T09:00"), end: instant("23T18:00") };
        Callback {
            id: 1,
            line: LineId::new("parents"),
            caller: None,
            callback_number: None,
            channel: Channel::Telephone,
            received_at: instant("20T19:40"),
            registered_at: None,
            registration_number: None,
            period: Some(period),
            due_at: Some(period.end),
            term_due_at: None,
            desk: Desk { state, notes: Notes::default() },
            proposed_call_id: None,
            proposed_callback_id: None,
            version: 1,
        }
    }

    #[test]
    fn closing_at_noon_makes_nobody_late() {
        let noon = instant("23T12:00");
        let moved = |until: &str| callback(State::Open).moved(&line(None), &line(Some(("23T12:00", until))), noon);
        let due = |terms: Option<Terms>| terms.and_then(|terms| terms.due_at());
        assert_eq!(due(moved("24T00:00")), Some(instant("24T18:00")));
        assert_eq!(due(moved("23T14:00")), Some(instant("23T18:00")).filter(|_| moved("23T14:00").is_some()));
        assert_eq!(moved("23T14:00").and_then(|terms| terms.period).map(|it| it.start), Some(instant("23T14:00")));
    }

    #[test]
    fn what_is_closed_or_not_touched_or_late_already_stays() {
        let noon = instant("23T12:00");
        let by = crate::core::officer::Actor::system();
        let done = callback(State::Done { by, at: noon, note: String::new() });
        let closed = line(Some(("23T12:00", "24T00:00")));
        assert_eq!(done.moved(&line(None), &closed, noon), None);
        let next_week = line(Some(("30T09:00", "30T18:00")));
        assert_eq!(callback(State::Open).moved(&line(None), &next_week, noon), None);
        let tuesday = instant("24T10:00");
        let late = callback(State::Open).moved(&line(None), &line(Some(("24T10:00", "25T00:00"))), tuesday);
        assert_eq!(late, None, "it was due on Monday and stays so");
    }
}
