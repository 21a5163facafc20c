//! Officers at work: they take, dial, close, put off, decline, hand over and undo, and get in each other's way.

use std::collections::BTreeMap;

use futures_util::future::join;
use perezvon::core::callback::{Action, AttemptOutcome, Callback, Notes, Reason, Refusal};
use perezvon::core::officer::Actor;
use perezvon::store::{ActError, ListFilter, ListPeriod, StateFilter};
use perezvon::time::{SignedDuration, Timestamp};

use super::ledger::Rule;
use super::{Event, Year, calendar};

/// What an officer has before him.
#[derive(Clone, Debug)]
struct Work {
    id: i64,
    version: i64,
    is_dialled: bool,
}

pub struct Office {
    officers: Vec<Actor>,
    work: Vec<Option<Work>>,
    /// Whose telephone calls whom, and how long the talk takes: by number, or by the entry if it has none.
    telephones: BTreeMap<String, (usize, Timestamp)>,
    /// The next working day of which nobody has seen the list.
    opens_at: Timestamp,
}

impl Office {
    pub fn new(size: usize) -> Self {
        let officers = (1..=size as i64).map(|n| Actor::officer(n, &format!("Специалист {n}"))).collect();
        Self { officers, work: vec![None; size], telephones: BTreeMap::new(), opens_at: Timestamp::UNIX_EPOCH }
    }

    pub fn size(&self) -> usize {
        self.officers.len()
    }
}

impl Year<'_> {
    /// One step of one officer, and when his next one comes.
    pub async fn officer_works(&mut self, officer: usize) {
        let now = self.now();
        if !calendar::is_open(now) {
            // The last of the promises lies behind the year; nobody works while it settles.
            if now < crate::harness::at("2026-12-31T00:00:00+03:00") {
                let late = SignedDuration::from_secs(self.random.between(1, 900));
                self.on(calendar::next_opening(now) + late, Event::Officer(officer));
            }
            return;
        }
        if now >= self.office.opens_at {
            self.office.opens_at = calendar::next_opening(now);
            self.is_list_due = true;
        }
        self.check_lists_if_due().await;
        let pause = if self.faults.is_down || self.faults.is_database_away() {
            self.random.between(300, 1_200)
        } else {
            match self.office.work[officer].take() {
                None => self.takes(officer).await,
                Some(work) if work.is_dialled => self.closes(officer, work).await,
                Some(work) => self.dials(officer, work).await,
            }
        };
        self.after(pause, Event::Officer(officer));
    }

    async fn act(&self, officer: usize, id: i64, version: Option<i64>, action: Action) -> Result<Callback, ActError> {
        let (store, lines, by) = (self.app.store(), self.app.lines(), &self.office.officers[officer]);
        store.act(id, version, action, Notes::default(), by, &lines, self.now()).await
    }

    async fn takes(&mut self, officer: usize) -> i64 {
        if self.random.chance(60) {
            return self.two_take_at_once(officer).await;
        }
        match self.app.next(&self.office.officers[officer].clone()).await {
            Ok(callback) => {
                let (id, version) = (callback.id, callback.version);
                self.trace(callback.received_at.as_millisecond().unsigned_abs());
                self.office.work[officer] = Some(Work { id, version, is_dialled: false });
                self.random.between(20, 120)
            }
            Err(ActError::NobodyWaits) => self.random.between(600, self.settings.rest_seconds()),
            Err(other) => panic!("the next one: {other}"),
        }
    }

    /// Two officers press «Беру и звоню» on the same entry in the same moment.
    async fn two_take_at_once(&mut self, officer: usize) -> i64 {
        let filter =
            ListFilter { period: ListPeriod::All, line: None, state: StateFilter::Only("open"), after: None, limit: 1 };
        let page = self.app.store().callbacks(&filter).await.expect("the list can be read");
        let Some(first) = page.items.first().map(|view| view.callback.clone()) else { return 600 };
        self.figures.contests += 1;
        let other = (officer + 1) % self.office.size();
        let version = Some(first.version);
        let (one, two) =
            join(self.act(officer, first.id, version, Action::Dial), self.act(other, first.id, version, Action::Dial))
                .await;
        let mut pause = 60;
        for (who, result) in [(officer, one), (other, two)] {
            let Ok(callback) = result else { continue };
            let talk = self.telephone_rings(who, &callback);
            if who == officer {
                pause = talk;
            }
            if self.office.work[who].is_none() {
                self.office.work[who] = Some(Work { id: callback.id, version: callback.version, is_dialled: true });
            }
        }
        pause
    }

    async fn dials(&mut self, officer: usize, work: Work) -> i64 {
        match self.act(officer, work.id, Some(work.version), Action::Dial).await {
            Ok(callback) => {
                let pause = self.telephone_rings(officer, &callback);
                self.colleague_tries_the_other_line(officer, &callback).await;
                let version = callback.version;
                self.office.work[officer] = Some(Work { id: work.id, version, is_dialled: true });
                pause
            }
            // Somebody called again meanwhile: the page is loaded anew.
            Err(ActError::Stale(callback)) => {
                let version = callback.version;
                self.office.work[officer] = Some(Work { id: work.id, version, is_dialled: false });
                15
            }
            Err(ActError::Refused(_)) => {
                self.figures.warned += 1;
                30
            }
            Err(other) => panic!("dialling {}: {other}", work.id),
        }
    }

    /// How long the officer is on the telephone. Nobody else may be with the same number.
    pub fn telephone_rings(&mut self, officer: usize, callback: &Callback) -> i64 {
        self.figures.attempts += 1;
        let talk = self.random.between(40, 420);
        let number = callback.number_to_dial().map(|number| number.e164().to_owned());
        let number = number.unwrap_or_else(|| format!("callback {}", callback.id));
        let now = self.now();
        if let Some((other, until)) = self.office.telephones.get(&number)
            && *other != officer
            && now < *until
        {
            let what = format!("{number} was dialled by officers {other} and {officer} at {now}");
            self.report(Rule::OneDialsAtATime, what);
        }
        self.office.telephones.insert(number, (officer, now + SignedDuration::from_secs(talk)));
        talk
    }

    /// A colleague wants to call the same person on the other line.
    async fn colleague_tries_the_other_line(&mut self, officer: usize, callback: &Callback) {
        let view = self.app.store().callback(callback.id).await.expect("it can be read").expect("it is there");
        let Some(sibling) = view.siblings.first().filter(|_| self.random.chance(700)) else { return };
        let colleague = (officer + 1) % self.office.size();
        let tried = self.act(colleague, sibling.id, None, Action::Dial).await;
        self.figures.contests += 1;
        match tried {
            Err(ActError::Refused(Refusal::HeldOnOtherLine(_))) => self.figures.warned += 1,
            Ok(callback) => {
                self.telephone_rings(colleague, &callback);
            }
            Err(ActError::Refused(Refusal::ClaimedByOther { .. })) => {}
            Err(other) => panic!("the other line: {other}"),
        }
    }

    async fn closes(&mut self, officer: usize, work: Work) -> i64 {
        let now = self.now();
        let note = || "пояснили".to_owned();
        let unanswered = |outcome| Action::Attempt { outcome, note: String::new(), next_at: None };
        let action = match self.random.weighted(&[60, 14, 6, 5, 3, 4, 2, 3, 3]) {
            0 => Action::Done { note: note() },
            1 => unanswered(AttemptOutcome::NoAnswer),
            2 => unanswered(AttemptOutcome::Busy),
            3 => {
                let until = now + SignedDuration::from_secs(self.random.between(1_800, 5 * 24 * 3_600));
                Action::Later { until, note: note() }
            }
            4 => Action::Clarify { note: note(), next_at: None },
            5 => Action::Decline { reason: Reason::NotConstructive, note: note() },
            6 => Action::Exceptional { note: note() },
            7 => {
                let to = self.office.officers[(officer + 1) % self.office.size()].clone();
                Action::HandOver { to }
            }
            _ => Action::Release,
        };
        match self.act(officer, work.id, None, action).await {
            Ok(callback) => {
                self.trace(callback.version.unsigned_abs());
                self.waiting.handled(&callback, now);
                if callback.desk.state.closed_at().is_some() {
                    self.figures.closed += 1;
                    self.accepts_for_the_other_line(officer, &callback).await;
                }
                if self.random.chance(50) {
                    // «Z»: it was a slip of the finger.
                    let by = self.office.officers[officer].clone();
                    if let Ok(undone) = self.app.store().undo(callback.id, None, &by, now).await {
                        self.waiting.handled(&undone, now);
                        self.office.work[officer] =
                            Some(Work { id: callback.id, version: callback.version, is_dialled: true });
                    }
                }
            }
            // His claim ran out in an outage and somebody else has gone on, or it is closed.
            Err(ActError::Refused(_)) => {}
            Err(other) => panic!("closing {}: {other}", work.id),
        }
        self.random.between(10, 60)
    }

    /// One key gives the entry of the other line the same outcome.
    async fn accepts_for_the_other_line(&mut self, officer: usize, callback: &Callback) {
        let Some(number) = callback.number_to_dial().filter(|_| self.random.chance(500)) else { return };
        let sql = format!(
            "SELECT id FROM callback WHERE proposed_callback_id = {} AND callback_number = '{}' AND closed_at IS NULL",
            callback.id,
            number.e164()
        );
        let Some(id) = self.app.optional_number(&sql).await else { return };
        let (store, lines, by) = (self.app.store(), self.app.lines(), &self.office.officers[officer]);
        match store.accept_proposed_outcome(id, None, None, by, &lines, self.now()).await {
            Ok(callback) => {
                self.figures.closed += 1;
                self.waiting.handled(&callback, self.now());
            }
            Err(ActError::Refused(_)) => {}
            Err(other) => panic!("the proposed outcome: {other}"),
        }
    }
}
