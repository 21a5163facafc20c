//! The words of a callback: how it came, why it was declined, how an attempt ended, what may be noted.

use serde::{Deserialize, Serialize};

use super::Refusal;

/// How a request reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Telephone,
    InPerson,
    Meeting,
    Email,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Telephone, Self::InPerson, Self::Meeting, Self::Email];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telephone => "telephone",
            Self::InPerson => "in_person",
            Self::Meeting => "meeting",
            Self::Email => "email",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Telephone => "Телефон",
            Self::InPerson => "Лично",
            Self::Meeting => "Родительское собрание",
            Self::Email => "Электронная почта",
        }
    }
}

/// Why a callback is declined. The first two stand in the regulation, need a note, and can be switched off (R11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NotEnoughData,
    NotConstructive,
    /// Wrong number, advertising, silence.
    NotARequest,
    /// Answered before: the source document is named.
    AlreadyAnswered,
    /// Several attempts on different days reached nobody.
    NotReached,
}

impl Reason {
    pub const ALL: [Self; 5] =
        [Self::NotEnoughData, Self::NotConstructive, Self::NotARequest, Self::AlreadyAnswered, Self::NotReached];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotEnoughData => "not_enough_data",
            Self::NotConstructive => "not_constructive",
            Self::NotARequest => "not_a_request",
            Self::AlreadyAnswered => "already_answered",
            Self::NotReached => "not_reached",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::NotEnoughData => "Недостаточно сведений, чтобы решить вопрос",
            Self::NotConstructive => "Вопрос задан некорректно или обсуждение неконструктивно",
            Self::NotARequest => "Не обращение: ошиблись номером, реклама, тишина",
            Self::AlreadyAnswered => "Вопрос уже решён, есть ответ",
            Self::NotReached => "Не дозвонились",
        }
    }

    /// Taken from the regulation (Annex 6 to order No. 60 of 22.12.2023).
    pub fn is_from_regulation(self) -> bool {
        matches!(self, Self::NotEnoughData | Self::NotConstructive)
    }
}

/// How one attempt to reach the caller ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    Reached,
    NoAnswer,
    Busy,
}

impl AttemptOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
        }
    }
}

/// What an officer may note (R19). None of it is needed to close a callback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// `employee`, `parent`, `legal_representative`, `not_established`.
    pub asker: Option<String>,
    /// `marks`, `attendance`, `lesson_planning`, `conducting_lessons`, `other`.
    pub topic: Option<String>,
    /// The difficulty in one clear sentence.
    pub summary: Option<String>,
    /// An earlier callback or document where it was discussed before.
    pub reference: Option<String>,
    /// Said along with a step that has no note of its own (claim, release, reopen, describe): it stands in the history
    /// line of that step and nowhere else.
    #[serde(skip)]
    pub remark: Option<String>,
}

pub const ASKERS: [&str; 4] = ["employee", "parent", "legal_representative", "not_established"];
pub const TOPICS: [&str; 5] = ["marks", "attendance", "lesson_planning", "conducting_lessons", "other"];
/// The longest note, summary or reference, in characters.
pub const LONGEST_NOTE: usize = 2000;

impl Notes {
    /// Takes over what `later` knows.
    pub(super) fn update(&mut self, later: Notes) {
        for (slot, value) in [
            (&mut self.asker, later.asker),
            (&mut self.topic, later.topic),
            (&mut self.summary, later.summary),
            (&mut self.reference, later.reference),
        ] {
            if let Some(value) = value {
                *slot = Some(value).filter(|value| !value.is_empty());
            }
        }
    }
}

/// Known words and bounded lengths.
pub(super) fn check_notes(notes: &Notes) -> Result<(), Refusal> {
    for (field, value, known) in [("asker", &notes.asker, &ASKERS[..]), ("topic", &notes.topic, &TOPICS[..])] {
        if let Some(value) = value
            && !value.is_empty()
            && !known.contains(&value.as_str())
        {
            return Err(Refusal::UnknownWord {
                field,
                value: value.chars().take(40).collect(),
                known: known.join(", "),
            });
        }
    }
    for (field, value) in [("summary", &notes.summary), ("reference", &notes.reference)] {
        check_length(field, value.as_deref().unwrap_or(""))?;
    }
    Ok(())
}

pub(super) fn check_length(field: &'static str, text: &str) -> Result<(), Refusal> {
    match text.chars().count() > LONGEST_NOTE {
        true => Err(Refusal::TooLong { field }),
        false => Ok(()),
    }
}
