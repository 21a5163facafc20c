//! The same number on other lines: who calls it there, and what was decided there (R26).

use super::card::state_words;
use crate::core::callback::{Callback, Sibling, SiblingAttempt, SiblingHolder, State};
use crate::core::line::{LineId, Lines};
use crate::core::officer::Actor;
use crate::store::CallbackView;
use crate::web::pages::words::Wall;

/// One sibling, as the card shows it.
pub(super) struct Also {
    pub id: i64,
    /// «Ждёт также на линии «Сотрудники».»
    pub lead: String,
    /// What is known of it.
    pub text: String,
    /// A colleague calls there or holds it.
    pub held: bool,
}

/// The outcome of another line, proposed to this one.
pub(super) struct ProposedOutcome {
    pub id: i64,
    pub lead: String,
    pub text: String,
    /// Whether it closes; else it puts off.
    pub closes: bool,
    /// The button: «Закрыть так же».
    pub button: String,
    /// One line in the folded row.
    pub brief: String,
}

/// «на линии «Сотрудники»», or where the line is the same one.
fn at_line(there: &LineId, here: &LineId, lines: &Lines) -> String {
    if there == here {
        "в другом обращении этой линии".to_owned()
    } else {
        format!("на линии «{}»", lines.by_id(there).title)
    }
}

fn of_line(there: &LineId, here: &LineId, lines: &Lines) -> String {
    if there == here {
        "другое обращение этой линии".to_owned()
    } else {
        format!("линия «{}»", lines.by_id(there).title)
    }
}

/// «сейчас звонит Айшат М., линия «Сотрудники», с 9:12».
pub(super) fn holder_words(holder: &SiblingHolder, line: &str, wall: &Wall<'_>) -> String {
    let (by, since) = (&holder.by, wall.clock(holder.since));
    if holder.is_calling {
        format!("сейчас звонит {by}, {line}, с\u{a0}{since}")
    } else {
        format!("сейчас в работе у коллеги: {by}, {line}, с\u{a0}{since}")
    }
}

/// The same as a whole sentence: «по этому номеру сейчас звонит Айшат М., …».
pub(in crate::web::pages) fn held_number(holder: &SiblingHolder, line: &str, wall: &Wall<'_>) -> String {
    let number = if holder.is_calling { "по этому номеру" } else { "этот номер" };
    format!("{number} {}", holder_words(holder, line, wall))
}

/// Why «Беру и звоню» did not dial, and the way on.
pub(super) fn question(holder: &SiblingHolder, here: &LineId, lines: &Lines, wall: &Wall<'_>) -> String {
    let held = sentence(&held_number(holder, &of_line(&holder.line, here, lines), wall));
    format!("{held} Дождитесь, чем кончится разговор, или нажмите «Всё равно позвонить».")
}

/// Why it cannot be handed over to somebody else than the holder of its sibling.
pub(super) fn only_to_holder(holder: &SiblingHolder, here: &LineId, lines: &Lines, wall: &Wall<'_>) -> String {
    let held = held_number(holder, &of_line(&holder.line, here, lines), wall);
    format!("Передать другому нельзя: {held}. Сначала пусть освободится то обращение.")
}

/// «ждёт также на линии «Сотрудники»», «ждёт также на линиях «Сотрудники», «Бухгалтерия»»: for one line of a list.
pub(super) fn brief(view: &CallbackView, me: &Actor, lines: &Lines, wall: &Wall<'_>) -> Option<String> {
    let here = &view.callback.line;
    if let Some(holder) = Sibling::held_by_colleague(&view.siblings, me, wall.now) {
        return Some(holder_words(&holder, &of_line(&holder.line, here, lines), wall));
    }
    let others: Vec<&Sibling> = view.siblings.iter().filter(|sibling| sibling.line != *here).collect();
    match (others.as_slice(), view.siblings.first()) {
        (_, None) => None,
        ([], Some(sibling)) => Some(format!("ждёт также {}", at_line(&sibling.line, here, lines))),
        ([one], _) => Some(format!("ждёт также {}", at_line(&one.line, here, lines))),
        (several, _) => {
            let titles = several.iter().map(|sibling| format!("«{}»", lines.by_id(&sibling.line).title));
            Some(format!("ждёт также на линиях {}", titles.collect::<Vec<_>>().join(", ")))
        }
    }
}

impl Also {
    pub fn of(sibling: &Sibling, here: &LineId, me: &Actor, lines: &Lines, wall: &Wall<'_>) -> Self {
        let waits = format!("Ждёт также {}.", at_line(&sibling.line, here, lines));
        let (lead, text, held) = match (sibling.holder(wall.now), &sibling.state) {
            (Some(holder), _) if holder.by.id != me.id => {
                let line = of_line(&holder.line, here, lines);
                (sentence(&holder_words(&holder, &line, wall)), String::new(), true)
            }
            (Some(holder), _) => (waits, format!("Там обращение у вас, с {}.", wall.clock(holder.since)), false),
            (None, State::Later { until, .. }) if wall.now < *until => {
                (waits, format!("Там отложено {}.", wall.until(*until)), false)
            }
            (None, _) => (waits, String::new(), false),
        };
        let tried = sibling.last_attempt.as_ref().filter(|_| !held).map(|it| sentence(&attempt_words(it, wall)));
        let text = [text].into_iter().filter(|text| !text.is_empty()).chain(tried).collect::<Vec<_>>().join(" ");
        Self { id: sibling.id, lead, text, held }
    }
}

impl ProposedOutcome {
    /// `None`: nothing is proposed, or not any more.
    pub fn of(view: &CallbackView, lines: &Lines, wall: &Wall<'_>) -> Option<Self> {
        let source = view.proposed_outcome.as_ref()?;
        source.outcome_for_siblings(wall.now)?;
        let here = &view.callback.line;
        let line = at_line(&source.line, here, lines);
        match &source.desk.state {
            State::Later { until, by, .. } => {
                let sibling = view.siblings.iter().find(|sibling| sibling.id == source.id);
                let tried = sibling.and_then(|sibling| sibling.last_attempt.as_ref());
                let tried = tried.filter(|tried| wall.local(tried.at).date() == wall.today());
                let until = wall.until(*until);
                let (lead, text) = match tried {
                    Some(tried) => (
                        format!("Уже звонили {line}."),
                        format!("{} Там отложено {until}.", attempt_sentence(tried, wall)),
                    ),
                    None => (format!("Отложено {line}."), format!("{}: {by}.", sentence(&until).trim_end_matches('.'))),
                };
                let brief = match tried {
                    Some(tried) => format!("уже звонили {line}, {}", wall.clock(tried.at)),
                    None => format!("отложено {line} {until}"),
                };
                Some(Self {
                    id: source.id,
                    lead,
                    text,
                    closes: false,
                    button: format!("Отложить так же, {until}"),
                    brief,
                })
            }
            state => {
                let what = if matches!(state, State::Done { .. }) {
                    "Уже ответили"
                } else {
                    "Уже закрыто"
                };
                let lead = format!("{what} {line}.");
                let how = state_words(state, wall).unwrap_or_default();
                let text = format!("{} Если вопрос тот же, закройте и это обращение.", sentence(&how));
                let brief = format!("{} {line}", what.to_lowercase());
                Some(Self {
                    id: source.id, lead, text, closes: true, button: "Закрыть так же".to_owned(), brief
                })
            }
        }
    }
}

/// Whether another line has closed its callback of this number, so that this one only has to be closed.
pub(super) fn is_answered_elsewhere(view: &CallbackView) -> bool {
    let closed = |source: &Callback| source.desk.state.closed_at().is_some();
    view.proposed_outcome.as_ref().is_some_and(closed)
}

fn attempt_words(attempt: &SiblingAttempt, wall: &Wall<'_>) -> String {
    let outcome = match attempt.outcome {
        "reached" => "дозвонились",
        "busy" => "было занято",
        "no_answer" => "не ответили",
        _ => "чем кончилось, не отмечено",
    };
    format!("звонили {}: {outcome}", wall.moment(attempt.at))
}

/// «Не ответили сегодня, 9:12, Мадина И.»
fn attempt_sentence(attempt: &SiblingAttempt, wall: &Wall<'_>) -> String {
    let outcome = match attempt.outcome {
        "reached" => "Дозвонились",
        "busy" => "Было занято",
        "no_answer" => "Не ответили",
        _ => "Набирали номер",
    };
    sentence(&format!("{outcome} {}, {}", wall.moment(attempt.at), attempt.by))
}

/// With a capital letter and one full stop.
pub(in crate::web::pages) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!', '…']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}
