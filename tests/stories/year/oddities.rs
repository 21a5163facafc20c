//! Voice requests that cannot be read in some field, as providers and trunks in the field send them. Their callers get the
//! offer and are in the log all the same.

use perezvon::time::Timestamp;
use sha2::{Digest, Sha256};

use super::Year;
use super::callers::Call;
use super::random::Random;
use crate::harness::Form;

/// How the first request of a call cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// These bytes stand behind its fields.
    Ends(&'static [u8]),
    Direction(&'static str),
    NoCaller,
    NoId,
    /// No database would take the id of the call, in whatever request.
    LongId,
}

const ODDITIES: [Oddity; 11] = [
    // Names in Windows-1251, and bytes of Latin-1 as they are.
    Oddity::Ends(b"&CallerName=%CC%E0%E4%E8%ED%E0"),
    Oddity::Ends(b"&SipHeader_X-Name=Andr\xe9"),
    Oddity::Ends(b"&SpeechResult=100%"),
    // Fields that come twice.
    Oddity::Ends(b"&From=anonymous"),
    Oddity::Ends(b"&Direction=outbound-dial"),
    Oddity::Ends(b"&CallSid=CA-other"),
    Oddity::Direction("sideways"),
    Oddity::Direction("outbound-dial"),
    Oddity::NoCaller,
    Oddity::NoId,
    Oddity::LongId,
];

/// Ids of more characters than this are replaced by their checksum, bytes.
const LONGEST_ID: usize = 200;
/// A request without an id that comes again within this time is no second call, seconds.
const REPEATED_WITHIN: i64 = 600;

impl Oddity {
    /// So many of a thousand calls begin so.
    pub fn befall(call: &mut Call, per_mille: u64) {
        let mut random = Random::of(&call.sid);
        call.oddity = random.chance(per_mille).then(|| random.pick(&ODDITIES));
        if call.oddity == Some(Self::LongId) {
            call.sid.insert_str(0, &"x".repeat(270));
        }
    }

    /// This request, spoilt so.
    pub fn body(self, form: &Form) -> Vec<u8> {
        let encoded = |form: Form| form.encoded().into_bytes();
        match self {
            Self::Ends(end) => [&encoded(form.clone()), end].concat(),
            Self::Direction(word) => encoded(form.clone().with("Direction", word)),
            Self::NoCaller => encoded(form.clone().without("From")),
            Self::NoId => encoded(form.clone().without("CallSid")),
            Self::LongId => encoded(form.clone()),
        }
    }
}

impl Call {
    pub fn id_in_log(&self) -> String {
        usable(&self.sid)
    }
}

/// Under which id the log has the call that this request tells of.
pub fn id_in_log(body: &[u8], at: Timestamp) -> String {
    let told = form_urlencoded::parse(body).find(|(name, _)| name == "CallSid");
    told.map_or_else(|| id_of_nameless(body, at), |(_, sid)| usable(&sid))
}

fn usable(sid: &str) -> String {
    if sid.len() <= LONGEST_ID { sid.to_owned() } else { checksum(sid.as_bytes()) }
}

fn id_of_nameless(body: &[u8], at: Timestamp) -> String {
    checksum(&[body, &at.as_second().div_euclid(REPEATED_WITHIN).to_be_bytes()].concat())
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256-".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

impl Year<'_> {
    /// Every call that may be in the log.
    pub fn known_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().chain(&self.nameless)
    }

    /// A request that names no call was answered. The log has it as a call of its own that is over, for nothing that comes
    /// later can be known to be of it, and its caller is on the list at once.
    pub fn nameless_call_begins(&mut self, index: usize, body: &[u8]) {
        let (now, is_durable) = (self.now(), self.faults.is_durable());
        let call = Call {
            sid: id_of_nameless(body, now),
            started_at: now,
            is_nameless: true,
            is_over: true,
            has_talked: false,
            messages: Vec::new(),
            heard_at: Some(now),
            is_reported: is_durable,
            is_line_known: is_durable,
            ..self.calls[index].clone()
        };
        if let Some(number) = call.number.clone().filter(|_| is_durable) {
            self.waiting.begin((call.line.to_owned(), number), now);
        }
        self.nameless.push(call);
    }
}
