//! Who calls, from where, how the network writes it, and what he does: all of it known before the service hears of it.

use perezvon::time::Timestamp;

use super::oddities::Oddity;
use super::random::Random;
use crate::harness::{PARENTS, STAFF, TECHNICAL};

/// A number of the provider that leads to us and that no line is configured for.
pub const STRAY: &str = "+74951112233";
/// Callers without a number that could be dialled, as networks write them. Our own numbers are nobody's.
const WITHHELD: [&str; 9] = [
    "anonymous",
    "",
    "+266696687",
    "Restricted",
    "2293042",
    "sip:anonymous@anonymous.invalid",
    PARENTS,
    STAFF,
    TECHNICAL,
];

/// What a caller does once the officers' phones have rung in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    HangsUpInGreeting,
    HangsUpAtSignal,
    StaysSilent,
    Leaves { length_ms: u32 },
}

/// How well the provider's requests about one call reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Good,
    /// Callbacks are lost, repeated, late.
    Flaky,
    /// Nothing ever reaches us: the provider plays a document of its own.
    Cut,
}

/// One call as it was, whatever the service heard of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub sid: String,
    pub from: String,
    pub to: String,
    pub forwarded_from: Option<String>,
    pub line: &'static str,
    /// Who calls, as E.164, if the network shows it.
    pub number: Option<String>,
    pub started_at: Timestamp,
    pub intent: Intent,
    pub network: Network,
    /// What a withheld caller types when he is asked.
    pub types: Option<String>,
    /// How its first request cannot be read.
    pub oddity: Option<Oddity>,
    /// It is what the log has of a request without an id, and at the provider there is no such call.
    pub is_nameless: bool,
    // What came of it.
    pub is_over: bool,
    pub has_talked: bool,
    /// The messages, by the provider's ids.
    pub messages: Vec<String>,
    // What the service has acknowledged, durably as far as the fault content.
    /// When it first answered anything about the call.
    pub heard_at: Option<Timestamp>,
    pub is_reported: bool,
    /// A request that names the called number was acknowledged durably.
    pub is_line_known: bool,
    pub message_heard_at: Option<Timestamp>,
    /// The same, where it was durable.
    pub message_kept_at: Option<Timestamp>,
    /// When it first answered something that tells of a message, or that the call is over without one.
    pub waits_since: Option<Timestamp>,
    pub typed: Option<String>,
    /// A number typed while nothing was durable: the service may have it or not.
    pub may_have_typed: Option<String>,
}

impl Call {
    /// The number that is to be called back.
    pub fn number_to_dial(&self) -> Option<&str> {
        self.number.as_deref().or(self.typed.as_deref())
    }

    /// Whether the caller waits to be called back, by the rules of the house: he left a message, or nobody talked with him and
    /// there is a number to dial.
    pub fn needs_callback(&self) -> bool {
        !self.messages.is_empty() || (!self.has_talked && self.number_to_dial().is_some())
    }
}

/// Everybody who calls in a year, by E.164.
pub fn people(random: &mut Random, count: usize) -> Vec<String> {
    (0..count as u64)
        .map(|n| {
            // Spread over the range, and each its own.
            let tail = n * 7_919 % 10_000_000;
            match random.below(25) {
                0 => format!("+3749{:07}", tail),
                1 => format!("+9955{:08}", 10_000_000 + tail),
                _ => format!("+79{:02}{tail:07}", 10 + random.below(80)),
            }
        })
        .collect()
}

/// One call that begins now.
pub fn invent(random: &mut Random, people: &[String], earlier: &[Call], at: Timestamp) -> Call {
    let (to, forwarded_from, line) = match random.weighted(&[30, 8, 4, 35, 15, 8, 1]) {
        0 => (STAFF.to_owned(), None, "staff"),
        1 => ("89288036355".to_owned(), None, "staff"),
        2 => ("sip:89288036355@192.0.2.5:5060".to_owned(), None, "staff"),
        3 => (PARENTS.to_owned(), None, "parents"),
        4 => (TECHNICAL.to_owned(), Some(PARENTS.to_owned()), "parents"),
        5 => (TECHNICAL.to_owned(), None, "parents"),
        _ => (STRAY.to_owned(), None, "unknown"),
    };
    let is_withheld = random.chance(60);
    let person = who(random, people, earlier);
    let from = if is_withheld { random.pick(&WITHHELD).to_owned() } else { spelling(random, &person) };
    let intent = match random.weighted(&[30, 15, 5, 50]) {
        0 => Intent::HangsUpInGreeting,
        1 => Intent::HangsUpAtSignal,
        2 => Intent::StaysSilent,
        _ => Intent::Leaves { length_ms: random.between(600, 1_600) as u32 },
    };
    let network = match random.weighted(&[68, 30, 2]) {
        0 => Network::Good,
        1 => Network::Flaky,
        _ => Network::Cut,
    };
    let types = (is_withheld && random.chance(500)).then(|| person.clone());
    Call {
        sid: format!("CA{:08x}{:024x}", random.next() as u32, earlier.len()),
        from,
        to,
        forwarded_from,
        line,
        number: (!is_withheld).then_some(person),
        started_at: at,
        intent,
        network,
        types,
        oddity: None,
        is_nameless: false,
        is_over: false,
        has_talked: false,
        messages: Vec::new(),
        heard_at: None,
        is_reported: false,
        is_line_known: false,
        message_heard_at: None,
        message_kept_at: None,
        waits_since: None,
        typed: None,
        may_have_typed: None,
    }
}

/// Somebody; often somebody who has called not long ago, on whatever line, and a few call again and again.
fn who(random: &mut Random, people: &[String], earlier: &[Call]) -> String {
    let latest = earlier.len().saturating_sub(12);
    match random.weighted(&[60, 15, 25]) {
        0 => random.pick_ref(people).clone(),
        1 => random.pick_ref(&people[..people.len().min(40)]).clone(),
        _ => {
            let numbers: Vec<&String> = earlier[latest..].iter().filter_map(|call| call.number.as_ref()).collect();
            if numbers.is_empty() { random.pick_ref(people).clone() } else { random.pick(&numbers).clone() }
        }
    }
}

/// One of the ways in which trunks write this number.
fn spelling(random: &mut Random, e164: &str) -> String {
    let digits = &e164[1..];
    let Some(national) = e164.strip_prefix("+7") else {
        return match random.below(6) {
            0 => format!("00{digits}"),
            1 => format!("sip:{e164}@198.51.100.7;user=phone"),
            2 => digits.to_owned(),
            _ => e164.to_owned(),
        };
    };
    match random.below(25) {
        0 => format!("8{national}"),
        1 => format!("sip:{e164}@198.51.100.7"),
        2 => format!("sip:8{national}@trunk.example.org;user=phone"),
        3 => format!("tel:{e164}"),
        4 => format!("+8{national}"),
        5 => format!("007{national}"),
        6 => digits.to_owned(),
        7 => format!("\"Madina\" <sip:{e164}@192.0.2.1:5060>;tag=a1"),
        8 => national.to_owned(),
        9 => format!("8 ({}) {}-{}-{}", &national[..3], &national[3..6], &national[6..8], &national[8..]),
        10 => format!("tel:8-{}-{};ext=12", &national[..3], &national[3..]),
        _ => e164.to_owned(),
    }
}
