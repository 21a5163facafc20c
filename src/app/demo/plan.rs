//! What a caller is going to do, and what came of it.

use super::sounds::Sound;
use super::wire::Form;
use crate::time::Timestamp;

/// One caller's intentions, all of them: the call then runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPlan {
    /// `From` as the network sends it: E.164, or a word for a withheld number.
    pub caller: String,
    /// `To`: the number that rang.
    pub called: String,
    pub forwarded_from: Option<String>,
    /// `None`: when the clock says.
    pub starts_at: Option<Timestamp>,
    /// The line and what happens, in Russian, for the printed account.
    pub line_title: String,
    pub story: String,
    /// What the officers' phones do, one `Dial` after another; those not named do not answer.
    pub officers: Vec<Officer>,
    /// What the caller does at each `Gather`; those not named are heard out.
    pub at_prompts: Vec<AtPrompt>,
    /// What the caller does at each signal; hangs up at those not named.
    pub at_signals: Vec<AtSignal>,
    /// Hangs up this long after the call was answered, unless at the signal or talking by then.
    pub patience_ms: Option<u32>,
    pub delivery: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Officer {
    Answers {
        seconds: u32,
    },
    Busy,
    NoAnswer,
    /// The number cannot be reached at all.
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPrompt {
    HearsOut,
    /// Presses one key while the prompt still speaks.
    Skips(char),
    /// Types this after the prompt.
    Types(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtSignal {
    Leaves { sound: Sound, then: Ending },
    StaysSilent,
    HangsUp,
}

/// How a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    HangsUp,
    Presses(char),
    /// Stops talking and waits.
    FallsSilent,
}

/// What the network does to the requests of this call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Everything is sent twice.
    pub twice: bool,
    /// Recording callbacks overtake the dialogue; status callbacks come after the call, the last one first.
    pub reversed: bool,
    /// Callbacks of these purposes never arrive.
    pub lost: Vec<Purpose>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Voice,
    Action,
    Fallback,
    Status,
    Recording,
    Sound,
}

impl CallPlan {
    /// Hears the greeting out and hangs up at the signal. Officers do not answer.
    pub fn new(caller: &str, called: &str) -> Self {
        Self {
            caller: caller.to_owned(),
            called: called.to_owned(),
            forwarded_from: None,
            starts_at: None,
            line_title: String::new(),
            story: String::new(),
            officers: Vec::new(),
            at_prompts: Vec::new(),
            at_signals: Vec::new(),
            patience_ms: None,
            delivery: Delivery::default(),
        }
    }

    /// The officer answers and talks for so long.
    pub fn answered(self, seconds: u32) -> Self {
        self.rung([Officer::Answers { seconds }])
    }

    pub fn rung(mut self, officers: impl IntoIterator<Item = Officer>) -> Self {
        self.officers.extend(officers);
        self
    }

    /// Hangs up so long after the call was answered.
    pub fn patient(mut self, patience_ms: u32) -> Self {
        self.patience_ms = Some(patience_ms);
        self
    }

    /// Rings at this number, forwarded from the one that was dialled.
    pub fn forwarded_to(mut self, technical: &str) -> Self {
        self.forwarded_from = Some(std::mem::replace(&mut self.called, technical.to_owned()));
        self
    }

    pub fn at_prompt(mut self, intent: AtPrompt) -> Self {
        self.at_prompts.push(intent);
        self
    }

    pub fn at_signal(mut self, intent: AtSignal) -> Self {
        self.at_signals.push(intent);
        self
    }

    /// Leaves a message of about this length and ends it so.
    pub fn leaving(mut self, length_ms: u32, then: Ending) -> Self {
        // Who hides his number names one all the same, or nobody could call him back.
        let number = self.caller.strip_prefix("+79").map_or("89280000301".to_owned(), |rest| format!("89{rest}"));
        // To each number its own voice, always the same.
        let voice = self.caller.bytes().fold(7, |voice: u64, byte| voice.wrapping_mul(31).wrapping_add(byte.into()));
        let sound = Sound::Speech { length_ms, voice, number };
        self.at_signals.push(AtSignal::Leaves { sound, then });
        self
    }
}

/// Everything that happened in one call.
#[derive(Clone, Debug)]
pub struct CallReport {
    pub sid: String,
    pub plan: CallPlan,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// What was heard, one text a verb; `[address]` for a sound, «…» where the caller did not wait for the end.
    pub heard: Vec<String>,
    /// The verbs that were run, in their order, and those inside a `Gather` after it.
    pub verbs: Vec<String>,
    pub requests: Vec<Sent>,
    /// What the provider would complain of. Empty in a good call.
    pub warnings: Vec<String>,
    /// The signal was heard.
    pub was_offered: bool,
    pub recordings: Vec<Recorded>,
    pub ended: Ended,
}

/// One request that was sent, and what came back.
#[derive(Clone, Debug)]
pub struct Sent {
    pub purpose: Purpose,
    pub url: String,
    pub form: Form,
    /// `None`: no answer, or lost on the way as planned.
    pub status: Option<u16>,
}

/// What one `Record` left at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub sid: String,
    pub length_ms: u32,
    /// Why there is nothing to fetch: 16101 too short, 16102 silent.
    pub absent: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    CallerHungUp,
    ServiceHungUp,
    /// The document came to its end.
    NothingLeft,
    /// The service could not be understood, nor its fallback.
    Failed {
        code: u32,
    },
    /// More documents than any sane dialogue needs.
    Looped,
}

impl CallReport {
    /// What was sent for this purpose, in the order it was sent.
    pub fn sent(&self, purpose: Purpose) -> impl Iterator<Item = &Sent> {
        self.requests.iter().filter(move |sent| sent.purpose == purpose)
    }
}

impl Sent {
    /// A field of the form, empty if it was not sent.
    pub fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}
