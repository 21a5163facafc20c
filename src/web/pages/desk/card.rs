//! One entry of the list: everything an officer needs to know before, during and after the call.

use super::Message;
use super::actions::Typed;
use super::calling::Calling;
use super::choices::{Colleague, Later, WhyNot, later_choices, reasons};
use super::message::messages_of;
use super::siblings::{Also, ProposedOutcome, brief};
use super::told::Told;
use super::undo::Undo;
use crate::core::calendar::Calendar;
use crate::core::callback::{ATTEMPTS_BEFORE_GIVING_UP, Channel, State};
use crate::core::line::{LineId, Lines};
use crate::core::officer::{Actor, Role};
use crate::core::phone::PhoneNumber;
use crate::store::{CallbackView, Person, Step};
use crate::time::Timestamp;
use crate::web::pages::log::card_address;
use crate::web::pages::steps;
use crate::web::pages::words::{Wall, counted, length, span};

/// Who looks, when, and by which calendar.
pub(super) struct Bench<'a> {
    pub person: &'a Person,
    pub lines: &'a Lines,
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

/// What closes or puts off an entry with one key.
pub(super) struct Proposal {
    /// «Дозвонились сами.»
    pub lead: String,
    pub text: String,
    /// What the folded row says.
    pub brief: String,
    /// Whether it closes; else it puts off.
    pub closes: bool,
    pub button: String,
    /// The action of its form.
    pub verb: &'static str,
    /// The callback of another line.
    pub source: Option<i64>,
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
    /// The entry to go on with.
    pub next: Option<i64>,
    /// Spaced for the eye; `None`: withheld.
    pub number: Option<String>,
    pub tel: String,
    /// A premium or foreign number: whoever dials it is asked before (R27).
    pub not_allowed: bool,
    /// «Петрова А.»; `None`: nobody has given the number a name.
    pub name: Option<String>,
    /// The address of everything about the caller.
    pub caller_page: Option<String>,
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
    /// No webhook reported one of its calls: the provider's list did.
    pub restored: bool,
    pub silent: bool,
    pub messages: Vec<Message>,
    /// Messages older than those.
    pub earlier_messages: i64,
    pub proposal: Option<Proposal>,
    /// The same number on other lines, as the folded row says it.
    pub also_brief: Option<String>,
    pub also: Vec<Also>,
    /// Where the callbacks of other lines stand: by id, an address.
    pub jumps: Vec<(i64, String)>,
    pub summary: Option<String>,
    pub steps: Vec<String>,
    pub log: Option<i64>,
    pub undo: Option<Undo>,
    /// Set if something was not done here.
    pub told: Option<String>,
    pub typed: Typed,
    pub later: Vec<Later>,
    pub reasons: Vec<WhyNot>,
    pub line_id: LineId,
    pub colleagues: Vec<Colleague>,
    /// Whether this officer's last step was to dial, so that the attempt is written down already.
    pub begun: bool,
    /// So many attempts on different days reached nobody that it may be closed for that.
    pub hopeless: bool,
    /// The exchange rings this officer first and then the number.
    pub rings: bool,
    /// The call it has placed.
    pub calling: Option<Calling>,
    pub desk: State,
    may_act: bool,
    hand: Hand,
}

impl Card {
    pub fn of(view: CallbackView, talk: Option<Talk>, told: Option<&Told>, bench: &Bench<'_>) -> Self {
        let wall = Wall::new(bench.calendar.time_zone(), bench.now);
        let CallbackView { callback, calls, voicemails, .. } = &view;
        let me = &bench.person.actor;
        let told = told.filter(|told| told.id == Some(callback.id));
        let closed = callback.desk.state.closed_at().is_some();
        let overdue = callback.is_overdue(bench.now);
        let number = callback.number_to_dial();
        let hand = match callback.desk.state.holder(bench.now) {
            _ if closed => Hand::Closed,
            None => Hand::Nobody,
            Some(holder) if holder.id == me.id => Hand::Mine,
            Some(_) => Hand::Another,
        };
        let outcome = ProposedOutcome::of(&view, bench.lines, &wall).filter(|_| !closed);
        // A closed line knows more than a talk, and a talk more than a caller who was put off.
        let outcome = outcome.filter(|outcome| outcome.closes || talk.is_none());
        let source = outcome.as_ref().map(|outcome| outcome.id);
        let also = view.siblings.iter().filter(|sibling| Some(sibling.id) != source);
        let also: Vec<Also> = also.map(|sibling| Also::of(sibling, &callback.line, me, bench.lines, &wall)).collect();
        // What stands on a line that this person does not see has no address for them.
        let sees = |line: &LineId| bench.person.lines.allows(line);
        let seen = view.siblings.iter().filter(|sibling| sees(&sibling.line)).map(|sibling| sibling.id);
        let seen_source = view.proposed_outcome.iter().filter(|source| sees(&source.line)).map(|source| source.id);
        let jumps = seen.chain(seen_source).filter(|id| Some(*id) == source || also.iter().any(|also| also.id == *id));
        Self {
            id: callback.id,
            version: callback.version,
            unfolded: false,
            link: String::new(),
            next: None,
            number: number.map(PhoneNumber::spaced),
            tel: number
                .filter(|number| !number.is_erased())
                .map_or_else(String::new, |it| format!("tel:{}", it.e164())),
            not_allowed: number.is_some_and(|number| !number.is_erased() && !bench.lines.dialing.allows(number)),
            name: None,
            caller_page: number.map(|_| card_address(callback.id)),
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
                Some(talk) if hand == Hand::Nobody && outcome.is_none() => Some(talk_words(talk, &wall)),
                _ => held_words(&callback.desk.state, hand, &wall),
            },
            counts: counts(&view, &wall),
            calls: call_times(&view, &wall),
            restored: calls.iter().any(|call| call.restored_at.is_some()),
            silent: voicemails.is_empty() && callback.channel == Channel::Telephone,
            messages: messages_of(voicemails, bench.person, &wall, Some(number.is_some())),
            earlier_messages: view.voicemails_count - voicemails.len() as i64,
            also_brief: brief(&view, me, bench.lines, &wall)
                .filter(|_| matches!(hand, Hand::Nobody | Hand::Mine) && source.is_none()),
            jumps: jumps.map(|id| (id, format!("/callbacks/{id}"))).collect(),
            also,
            proposal: match outcome {
                Some(outcome) => Some(Proposal::of_outcome(outcome)),
                None => talk.filter(|_| !closed).map(|talk| Proposal::of_talk(&talk, &wall)),
            },
            summary: callback.desk.notes.summary.clone(),
            steps: view
                .history
                .iter()
                .rev()
                .filter(|step| step.undoable || step.kind != "claim")
                .map(|step| step_words(step, &wall))
                .take(12)
                .collect(),
            log: calls.last().map(|call| call.id),
            undo: Undo::of(&view, me, &wall),
            told: told.map(|told| told.sentence.clone()),
            typed: told.map(|told| told.typed.clone()).unwrap_or_default(),
            later: later_choices(bench, &wall),
            reasons: reasons(bench.reasons),
            line_id: callback.line.clone(),
            colleagues: Vec::new(),
            begun: begun_by(&view, me),
            hopeless: is_hopeless(&view, &wall),
            rings: false,
            calling: None,
            desk: callback.desk.state.clone(),
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

    /// What the card's look depends on, as further classes.
    pub fn classes(&self) -> String {
        let on = [(self.overdue, " late"), (self.mine(), " mine"), (self.closed(), " closed")];
        on.into_iter().filter(|(on, _)| *on).map(|(_, class)| class).collect()
    }

    /// The address of a callback on another line, for whoever sees that line.
    pub fn jump(&self, id: &i64) -> Option<&str> {
        self.jumps.iter().find(|(known, _)| known == id).map(|(_, address)| &**address)
    }

    pub fn is_held_by_colleague(&self) -> bool {
        self.hand == Hand::Another
    }

    /// Whether a colleague calls or holds the same number on another line.
    fn sibling_is_held(&self) -> bool {
        self.also.iter().any(|also| also.held)
    }

    /// The same, for somebody who has not taken this callback in spite of it.
    pub fn held_elsewhere(&self) -> bool {
        !self.mine() && self.sibling_is_held()
    }

    /// Whether to dial what this officer holds already takes the button that goes on all the same.
    pub fn dials_all_the_same(&self) -> bool {
        self.mine() && !self.begun && (self.sibling_is_held() || (self.not_allowed && !self.rings))
    }

    /// Whether this officer has just been asked about that, or about the number.
    pub fn was_asked(&self) -> bool {
        let verb = self.typed.verb.as_str();
        let about_holder = self.held_elsewhere() && matches!(verb, "dial" | "claim" | "call-anyway");
        self.told.is_some() && (about_holder || (self.not_allowed && verb == "dial"))
    }

    /// Whether the button that goes on all the same stands beside the usual one, or in its place.
    pub fn may_go_on(&self) -> bool {
        self.was_asked() || (self.held_elsewhere() && !self.not_allowed)
    }

    pub fn closed(&self) -> bool {
        self.hand == Hand::Closed
    }

    pub fn workable(&self) -> bool {
        self.free() || self.mine()
    }

    /// Whether a call of this officer goes on here.
    pub fn is_calling(&self) -> bool {
        self.calling.as_ref().is_some_and(|call| call.goes_on)
    }

    /// The action of «Готово» and its words: closing where that is proposed.
    pub fn result_verb(&self) -> &'static str {
        self.proposal.as_ref().filter(|proposal| proposal.closes).map_or("done", |proposal| proposal.verb)
    }

    pub fn result_button(&self) -> &str {
        self.proposal.as_ref().filter(|proposal| proposal.closes).map_or("Готово", |proposal| &proposal.button)
    }

    /// The note typed beside the result of a call.
    pub fn remark(&self) -> &str {
        match self.typed.verb.as_str() {
            "done" | "same" | "no-answer" | "busy" => &self.typed.note,
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

fn held_words(state: &State, hand: Hand, wall: &Wall<'_>) -> Option<String> {
    match state {
        // It is renewed while its page is open, so its end says nothing.
        State::Claimed { at, .. } if hand == Hand::Mine => Some(format!("у вас в работе с {}", wall.clock(*at))),
        State::Claimed { by, at, until } if hand == Hand::Another => {
            Some(format!("в работе: {by}, с {} (освободится в {})", wall.clock(*at), wall.clock(*until)))
        }
        state => state_words(state, wall),
    }
}

pub(super) fn state_words(state: &State, wall: &Wall<'_>) -> Option<String> {
    let closed = |what: &str, by: &Actor, at: &Timestamp, note: &str| {
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        Some(format!("{what} {}, {by}{note}", wall.moment(*at)))
    };
    match state {
        State::Open => None,
        State::Claimed { by, at, .. } => Some(format!("брали в работу: {by}, {}", wall.moment(*at))),
        State::Later { until, by, .. } if wall.now < *until => Some(format!("отложено {}: {by}", wall.until(*until))),
        State::Later { until, .. } => Some(format!("пора звонить: откладывали до {}", wall.clock(*until))),
        State::Done { by, at, note } => closed("готово", by, at, note),
        State::Exceptional { by, at, note } => closed("направлен в поддержку портала", by, at, note),
        State::Declined { by, at, reason, note } => closed(&format!("отклонено ({})", reason.title()), by, at, note),
    }
}

/// Nobody who needs an answer calls more often than this while he waits for it: a machine does, or somebody who disturbs.
const MANY_CALLS: i64 = 20;

/// «звонил 3 раза», «много звонков: 205», «попытка 1, 9:12», «попыток 2 (сегодня, 9:10)»: what fits into one line of the list.
fn counts(view: &CallbackView, wall: &Wall<'_>) -> Vec<String> {
    let calls = view.calls_count;
    let called = match calls {
        ..=1 => None,
        2..=MANY_CALLS => Some(format!("звонил {}", counted(calls, ["раз", "раза", "раз"]))),
        _ => Some(format!("много звонков: {calls}")),
    };
    let attempts = view.attempts();
    let tried = attempts.last().map(|last| match (&view.callback.desk.state, attempts.len()) {
        (State::Claimed { .. }, count) => format!("попытка {count}, {}", wall.clock(last.at)),
        (_, count) => format!("попыток {count} ({})", wall.moment(last.at)),
    });
    called.into_iter().chain(tried).collect()
}

fn begun_by(view: &CallbackView, me: &Actor) -> bool {
    let last = view.history.iter().rev().find(|step| step.undoable);
    last.is_some_and(|step| step.kind == "dial" && step.by.id == me.id)
}

/// Whether as many attempts as it takes reached nobody, on at least two different days (UX §3).
fn is_hopeless(view: &CallbackView, wall: &Wall<'_>) -> bool {
    let attempts = view.attempts();
    let vain = || attempts.iter().filter(|attempt| matches!(attempt.outcome, "no_answer" | "busy"));
    let days: std::collections::BTreeSet<_> = vain().map(|attempt| wall.local(attempt.at).date()).collect();
    vain().count() >= ATTEMPTS_BEFORE_GIVING_UP && days.len() > 1
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
    let advice = match view.calls_count > MANY_CALLS && view.callback.number_to_dial().is_some() {
        true => " Много звонков: если это спам, старший может заблокировать номер на карточке звонящего.",
        false => "",
    };
    (times.len() > 1).then(|| format!("Звонил {count}: {dots}{}.{advice}", times.join("; ")))
}

/// «говорили сегодня, 9:05, 3:00».
fn talk_words(talk: &Talk, wall: &Wall<'_>) -> String {
    let at = talk.at.map_or_else(String::new, |at| format!(" {}", wall.moment(at)));
    let lasted = talk.seconds.map_or_else(String::new, |seconds| format!(", {}", length(i64::from(seconds) * 1000)));
    format!("говорили{at}{lasted}")
}

impl Proposal {
    fn of_talk(talk: &Talk, wall: &Wall<'_>) -> Self {
        let talked = talk_words(talk, wall);
        Self {
            lead: "Дозвонились сами.".to_owned(),
            text: format!("С этим номером уже {talked}. Если вопрос решён, закройте обращение."),
            brief: "Дозвонились сами".to_owned(),
            closes: true,
            button: "Закрыть".to_owned(),
            verb: "done",
            source: None,
        }
    }

    fn of_outcome(outcome: ProposedOutcome) -> Self {
        let ProposedOutcome { id, lead, text, closes, button, brief } = outcome;
        Self { lead, text, brief, closes, button, verb: "same", source: Some(id) }
    }
}

/// «сегодня, 9:12: взято в работу, Мадина И.».
fn step_words(step: &Step, wall: &Wall<'_>) -> String {
    let note = if step.note.is_empty() || step.kind == "undo" { String::new() } else { format!(" ({})", step.note) };
    format!("{}: {}, {}{note}", wall.moment(step.at), steps::past(step), step.by)
}
