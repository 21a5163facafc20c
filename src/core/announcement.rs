//! The greeting as an exchange plays it: which recorded words it consists of. An exchange that is asked once plays and
//! records by itself and cannot read a text, so the date of the callback is put together from the words of a sound package.
//!
//! The words stand in the nominative, as they were recorded: «обратный звонок: понедельник, двадцать третий ноября». No hour is
//! told: it would sound like an appointment, and the promise is «в рабочее время».

use std::borrow::Cow;
use std::str::FromStr;

use super::calendar::Period;
use super::call::Decision;
use super::greetings::{GreetingKind, Recorded};
use super::line::Line;
use super::wording;
use crate::time::{TimeZone, Timestamp, ToSpan, Weekday};

/// Why the exchange takes the call itself, as it says in the address it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The line is closed, or nobody is to be rung.
    Closed,
    /// The officers' telephones were rung in vain.
    Busy,
}

impl Reason {
    /// The word in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Busy => "busy",
        }
    }
}

impl FromStr for Reason {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Closed, Self::Busy].into_iter().find(|reason| reason.as_str() == word).ok_or(())
    }
}

/// What a greeting is joined of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Word(Word),
    /// So many milliseconds of silence.
    Pause(u32),
    /// The school's own recording.
    Recorded(Recorded),
}

/// A recorded word or sentence of the Russian sound package of Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// «Здравствуйте!»
    Hello,
    /// «В данный момент никто не может принять ваш звонок.»
    NobodyAvailable,
    /// «Оставьте сообщение после сигнала. После этого нажмите решётку или повесьте трубку.»
    LeaveMessage,
    /// «обратный звонок»: part of a sentence, so not every version of the package has it.
    Callback,
    Today,
    Tomorrow,
    Weekday(Weekday),
    /// «третий»: 1 to 20 and 30.
    Ordinal(u8),
    /// «ноября»: 1 to 12.
    OfMonth(u8),
    /// «двадцать» before an ordinal: 20 and 30.
    Tens(u8),
}

impl Word {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let sentences = [Self::Hello, Self::NobodyAvailable, Self::LeaveMessage, Self::Callback];
        let near = [Self::Today, Self::Tomorrow];
        sentences
            .into_iter()
            .chain(near)
            .chain(wording::WEEK.into_iter().map(Self::Weekday))
            .chain((1..=20).chain([30]).map(Self::Ordinal))
            .chain((1..=12).map(Self::OfMonth))
            .chain([20, 30].map(Self::Tens))
    }

    /// The file below the folder of the package, without its ending: `digits/day-1`.
    pub fn file(self) -> Cow<'static, str> {
        let fixed = match self {
            Self::Hello => "hello",
            Self::NobodyAvailable => "vm-nobodyavail",
            Self::LeaveMessage => "vm-intro",
            // «Номер не определён или не разрешён, поэтому обратный звонок не будет выполнен.»
            Self::Callback => "unidentified-no-callback",
            Self::Today => "digits/today",
            Self::Tomorrow => "digits/tomorrow",
            Self::Weekday(day) => return format!("digits/day-{}", day.to_sunday_zero_offset()).into(),
            Self::Ordinal(number) => return format!("digits/h-{number}").into(),
            Self::OfMonth(month) => return format!("digits/mon-{}", month - 1).into(),
            Self::Tens(number) => return format!("digits/{number}").into(),
        };
        fixed.into()
    }
}

/// Pieces that are spoken together or not at all: without one of its words a sentence would mislead.
pub type Sentence = Vec<Piece>;

/// Between sentences.
const SENTENCE_MS: u32 = 450;
/// Where a comma or a colon stands.
const COMMA_MS: u32 = 180;

/// What a caller hears at this instant, before the signal; at most 25 seconds where the school recorded nothing itself.
///
/// The hours at the instant decide, as they do for the call itself: a line that has opened since it was called promises the
/// period that has just begun, and where telephones rang until the line closed no day is told. In working time the
/// greeting is the one of working time whatever the exchange says, for it also asks for `closed` where nobody is to be rung.
pub fn greeting(line: &Line, reason: Reason, at: Timestamp) -> Vec<Sentence> {
    let decision = Decision::at(line, at);
    let kind = match (reason, decision.open) {
        (_, true) => wording::kind_busy(&decision, at),
        (Reason::Busy, false) => GreetingKind::BusyLate,
        (Reason::Closed, false) => wording::kind_closed(&decision),
    };
    let when = when(&decision, kind, line.calendar.time_zone(), at);
    let say = |word| vec![Piece::Word(word)];
    let mut sentences = match (line.greetings.get(&kind), kind) {
        // What the school recorded for working time says «сегодня» or «в ближайшее рабочее время» itself.
        (Some(recorded), GreetingKind::Busy | GreetingKind::BusyLate) => vec![vec![Piece::Recorded(recorded.clone())]],
        (Some(recorded), _) => vec![vec![Piece::Recorded(recorded.clone())], when],
        (None, _) => vec![say(Word::Hello), say(Word::NobodyAvailable), when, say(Word::LeaveMessage)],
    };
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// All that is spoken, with a pause between two sentences.
pub fn spoken(sentences: &[Sentence]) -> Vec<Piece> {
    sentences.join(&Piece::Pause(SENTENCE_MS))
}

/// The day told is the day stored (R7). Empty where none is told: no hours ahead, or less than half an hour of the day left,
/// when nobody promises «сегодня» any more.
fn when(decision: &Decision, kind: GreetingKind, zone: &TimeZone, at: Timestamp) -> Sentence {
    let day = match (&decision.promise, kind) {
        (None, _) => return Vec::new(),
        (Some(_), GreetingKind::BusyLate) => return Vec::new(),
        (Some(_), GreetingKind::Busy) => vec![Piece::Word(Word::Today)],
        (Some(promise), _) => day(promise, zone, at),
    };
    [Piece::Word(Word::Callback), Piece::Pause(COMMA_MS)].into_iter().chain(day).collect()
}

/// «завтра, понедельник, двадцать третий ноября»: when the period begins.
fn day(promise: &Period, zone: &TimeZone, at: Timestamp) -> Vec<Piece> {
    let comma = Piece::Pause(COMMA_MS);
    let (day, today) = (promise.start.to_zoned(zone.clone()).date(), at.to_zoned(zone.clone()).date());
    let mut said = Vec::new();
    if day == today {
        said.extend([Piece::Word(Word::Today), comma.clone()]);
    } else if today.checked_add(1.day()).is_ok_and(|tomorrow| day == tomorrow) {
        said.extend([Piece::Word(Word::Tomorrow), comma.clone()]);
    }
    said.extend([Piece::Word(Word::Weekday(day.weekday())), comma]);
    said.extend(ordinal(small(day.day())).map(Piece::Word));
    said.push(Piece::Word(Word::OfMonth(small(day.month()))));
    said
}

/// Days and months are small and never negative.
fn small(number: i8) -> u8 {
    number.unsigned_abs()
}

/// «двадцать третий». 20 and 30 have words of their own.
fn ordinal(day: u8) -> impl Iterator<Item = Word> {
    let (tens, ones) = (day / 10 * 10, day % 10);
    let (first, last) = if day > 20 && ones > 0 { (Some(Word::Tens(tens)), ones) } else { (None, day) };
    first.into_iter().chain([Word::Ordinal(last)])
}

#[cfg(test)]
mod tests;
