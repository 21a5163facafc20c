//! One entry of the list: everything an officer needs to know before, during and after the call.

use super::actions::Typed;
use super::{Message, Told, messages};
use crate::core::calendar::Calendar;
use crate::core::callback::{Channel, Reason, State};
use crate::core::officer::{Actor, Role};
use crate::core::phone::PhoneNumber;
use crate::store::{CallbackView, Person, Step};
use crate::time::{SignedDuration, Timestamp, ToSpan};
use crate::web::pages::steps;
use crate::web::pages::words::{Wall, counted, length, span};

/// Who looks, when, and by which calendar.
pub(super) struct Bench<'a> {
    pub person: &'a Person,
    pub calendar: &'a Calendar,
    pub now: Timestamp,
    /// Whether the two reasons of the regulation may be used.
    pub reasons: bool,
}

/// The talk that makes an entry propose to close itself.
pub(super) struct Talk {
    pub at: Option<Timestamp>,
    pub seconds: Option<u32>,
}

/// Who has the entry in hand, as far as this officer is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    Nobody,
    Mine,
    Another,
    Closed,
}

pub(super) struct Card {
    pub id: i64,
    pub version: i64,
    /// With all its forms and players; the others are one line each, or a list of hundreds would weigh megabytes.
    pub unfolded: bool,
    /// The address at which it is unfolded.
    pub link: String,
    /// «2 из 9».
    pub place: String,
    /// The entry to go on with.
    pub next: Option<i64>,
    /// Spaced for the eye; `None`: withheld.
    pub number: Option<String>,
    pub tel: String,
    pub keyed: bool,
    pub channel: Option<&'static str>,
    pub registration: Option<String>,
    pub called: String,
    pub waiting: Option<String>,
    pub due: Option<String>,
    pub overdue: bool,
    /// What is going on with it, if anything.
    pub state: Option<String>,
    pub counts: Vec<String>,
    pub calls: Option<String>,
    pub silent: bool,
    pub messages: Vec<Message>,
    /// Messages older than those.
    pub earlier_messages: i64,
    pub proposal: Option<String>,
    pub summary: Option<String>,
    pub steps: Vec<String>,
    pub log: Option<i64>,
    pub undo: Option<Undo>,
    /// Set if something was not done here.
    pub told: Option<String>,
    pub typed: Typed,
    pub later: Vec<(&'static str, String)>,
    pub reasons: Vec<(&'static str, &'static str, bool)>,
    may_act: bool,
    hand: Hand,
}

impl Card {
    pub fn of(view: CallbackView, talk: Option<Talk>, told: Option<&Told>, bench: &Bench<'_>) -> Self {
        let wall = Wall::new(bench.calendar.time_zone(), bench.now);
        let CallbackView { callback, calls, voicemails, .. } = &view;
        let me = &bench.person.actor;
        let told = told.filter(|told| told.id == callback.id);
        let closed = callback.desk.state.closed_at().is_some();
        let overdue = callback.is_overdue(bench.now);
        let number = callback.callback_number.as_ref();
        let hand = match callback.desk.state.holder(bench.now) {
            _ if closed => Hand::Closed,
            None => Hand::Nobody,
            Some(holder) if holder.id == me.id => Hand::Mine,
            Some(_) => Hand::Another,
        };
        Self {
            id: callback.id,
            version: callback.version,
            unfolded: false,
            link: String::new(),
            place: String::new(),
            next: None,
            number: number.map(PhoneNumber::spaced),
            tel: number.map_or_else(String::new, |number| format!("tel:{}", number.e164())),
            keyed: callback.channel == Channel::Telephone && number.is_some() && callback.caller.is_none(),
            channel: (callback.channel != Channel::Telephone).then(|| callback.channel.title()),
            registration: callback.registration_number.clone(),
            called: wall.listed(callback.received_at),
            waiting: (!closed).then(|| wall.waiting(callback.received_at)),
            due: match callback.due_at {
                _ if closed => None,
                Some(due_at) if overdue => {
                    Some(format!("просрочено на\u{a0}{}", span(crate::time::elapsed_ms(due_at, bench.now))))
                }
                Some(due_at) => Some(wall.until(due_at)),
                None => Some("без срока".to_owned()),
            },
            overdue,
            state: match &talk {
                Some(talk) if hand == Hand::Nobody => Some(talk_words(talk, &wall)),
                _ => state_words(&callback.desk.state, hand, &wall),
            },
            counts: counts(&view),
            calls: call_times(&view, &wall),
            silent: voicemails.is_empty() && callback.channel == Channel::Telephone,
            messages: messages(voicemails, bench.person, &wall),
            earlier_messages: view.voicemails_count - voicemails.len() as i64,
            proposal: talk.filter(|_| !closed).map(|talk| proposal(&talk, &wall)),
            summary: callback.desk.notes.summary.clone(),
            steps: view.history.iter().rev().map(|step| step_words(step, &wall)).take(12).collect(),
            log: calls.last().map(|call| call.id),
            undo: Undo::of(&view, me, &wall),
            told: told.map(|told| told.sentence.clone()),
            typed: told.map(|told| told.typed.clone()).unwrap_or_default(),
            later: later_choices(bench, &wall),
            reasons: Reason::ALL
                .into_iter()
                .filter(|reason| bench.reasons || !reason.is_from_regulation())
                .map(|reason| (reason.as_str(), reason.title(), reason.is_from_regulation()))
                .collect(),
            may_act: bench.person.role >= Role::Officer,
            hand,
        }
    }

    pub fn free(&self) -> bool {
        self.may_act && self.hand == Hand::Nobody
    }

    pub fn mine(&self) -> bool {
        self.may_act && self.hand == Hand::Mine
    }

    pub fn closed(&self) -> bool {
        self.hand == Hand::Closed
    }

    pub fn workable(&self) -> bool {
        self.free() || self.mine()
    }

    /// The note typed beside the result of a call.
    pub fn remark(&self) -> &str {
        match self.typed.verb.as_str() {
            "done" | "no-answer" | "busy" => &self.typed.note,
            _ => "",
        }
    }

    /// Whether the officer was among the rarer choices as something was refused.
    pub fn was_choosing(&self) -> bool {
        matches!(self.typed.verb.as_str(), "later" | "clarify" | "decline" | "exceptional")
    }

    pub fn may_undo(&self) -> bool {
        self.may_act && self.undo.is_some()
    }
}

/// An officer's own last step, ready to be taken back.
pub(super) struct Undo {
    pub id: i64,
    pub version: i64,
    /// «Готово».
    pub what: String,
    /// What followed from it, if it is good to know.
    pub followed: Option<String>,
    pub number: String,
}

impl Undo {
    pub fn of(view: &CallbackView, me: &Actor, wall: &Wall<'_>) -> Option<Self> {
        let last = view.history.iter().rev().find(|step| !matches!(step.kind.as_str(), "undo" | "due_moved"))?;
        if last.by.id != me.id || last.kind == "describe" {
            return None;
        }
        let followed = match &view.callback.desk.state {
            State::Later { until, .. } => Some(format!("Следующая попытка: {}.", wall.coming(*until))),
            _ => None,
        };
        let number = view.callback.callback_number.as_ref();
        Some(Self {
            id: view.callback.id,
            version: view.callback.version,
            what: steps::button(last),
            followed,
            number: number.map_or_else(|| "номер скрыт".to_owned(), PhoneNumber::spaced),
        })
    }
}

fn state_words(state: &State, hand: Hand, wall: &Wall<'_>) -> Option<String> {
    let closed = |what: &str, by: &Actor, at: &Timestamp, note: &str| {
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        Some(format!("{what} {}, {by}{note}", wall.moment(*at)))
    };
    match state {
        State::Open => None,
        State::Claimed { at, until, .. } if hand == Hand::Mine => {
            Some(format!("у вас в работе с {}, освободится в {}", wall.clock(*at), wall.clock(*until)))
        }
        State::Claimed { by, at, until } if hand == Hand::Another => {
            Some(format!("в работе: {by}, с {} (освободится в {})", wall.clock(*at), wall.clock(*until)))
        }
        State::Claimed { by, at, .. } => Some(format!("брали в работу: {by}, {}", wall.moment(*at))),
        State::Later { until, by, .. } if wall.now < *until => Some(format!("отложено {}: {by}", wall.until(*until))),
        State::Later { until, .. } => Some(format!("пора звонить: откладывали до {}", wall.clock(*until))),
        State::Done { by, at, note } => closed("готово", by, at, note),
        State::Exceptional { by, at, note } => closed("направлен в поддержку портала", by, at, note),
        State::Declined { by, at, reason, note } => closed(&format!("отклонено ({})", reason.title()), by, at, note),
    }
}

/// «звонил 3 раза», «попыток 1»: what fits into one line of the list.
fn counts(view: &CallbackView) -> Vec<String> {
    let calls = view.calls_count;
    let attempts = view.attempts().count();
    let called = (calls > 1).then(|| format!("звонил {}", counted(calls, ["раз", "раза", "раз"])));
    called.into_iter().chain((attempts > 0).then(|| format!("попыток {attempts}"))).collect()
}

/// «Звонил 3 раза: сб 21.11, 11:02; 11:05; 18:30.» The last five are named.
fn call_times(view: &CallbackView, wall: &Wall<'_>) -> Option<String> {
    let mut times: Vec<String> = Vec::new();
    let mut last_day = None;
    for call in view.calls.iter().rev().take(5).rev() {
        let day = wall.local(call.started_at).date();
        let same_day = last_day.replace(day) == Some(day);
        times.push(if same_day { wall.clock(call.started_at) } else { wall.listed(call.started_at) });
    }
    let count = counted(view.calls_count, ["раз", "раза", "раз"]);
    let dots = if view.calls_count > times.len() as i64 { "… " } else { "" };
    (times.len() > 1).then(|| format!("Звонил {count}: {dots}{}.", times.join("; ")))
}

/// «говорили сегодня, 9:05, 3:00».
fn talk_words(talk: &Talk, wall: &Wall<'_>) -> String {
    let at = talk.at.map_or_else(String::new, |at| format!(" {}", wall.moment(at)));
    let lasted = talk.seconds.map_or_else(String::new, |seconds| format!(", {}", length(i64::from(seconds) * 1000)));
    format!("говорили{at}{lasted}")
}

fn proposal(talk: &Talk, wall: &Wall<'_>) -> String {
    format!("С этим номером уже {}. Если вопрос решён, закройте обращение.", talk_words(talk, wall))
}

/// «сегодня, 9:12: взято в работу, Мадина И.».
fn step_words(step: &Step, wall: &Wall<'_>) -> String {
    let note = if step.note.is_empty() || step.kind == "undo" { String::new() } else { format!(" ({})", step.note) };
    format!("{}: {}, {}{note}", wall.moment(step.at), steps::past(step), step.by)
}

/// «на час», «после обеда», «на завтра»: with the instant they lead to, which is never outside working time.
fn later_choices(bench: &Bench<'_>, wall: &Wall<'_>) -> Vec<(&'static str, String)> {
    ["hour", "afternoon", "tomorrow"]
        .into_iter()
        .filter_map(|choice| {
            let until = bench.calendar.first_working_instant(later(choice, bench.now, wall)?)?;
            let label = match choice {
                "hour" => format!("На час, {}", wall.until(until)),
                "afternoon" => format!("После обеда, {}", wall.until(until)),
                _ => format!("На следующий день, {}", wall.until(until)),
            };
            Some((choice, label))
        })
        .collect()
}

/// The instant a choice of «Отложить» means; `None`: there is no such choice, or not today.
pub(super) fn later(choice: &str, now: Timestamp, wall: &Wall<'_>) -> Option<Timestamp> {
    let at = |day: crate::time::Date, hour| {
        Some(wall.local(now).with().date(day).time(jiff::civil::time(hour, 0, 0, 0)).build().ok()?.timestamp())
    };
    match choice {
        "hour" => Some(now + SignedDuration::from_hours(1)),
        "afternoon" => at(wall.today(), 14).filter(|afternoon| *afternoon > now),
        "tomorrow" => at(wall.today().checked_add(1.day()).ok()?, 9),
        _ => None,
    }
}
