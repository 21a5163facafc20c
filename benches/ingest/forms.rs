//! Signed status callbacks as Twilio sends them: every field of the contract, empty geography included.

use perezvon::providers::twiml::form_signature;
use perezvon::time::{Clock, TimeZone};

pub const PUBLIC_URL: &str = "https://calls.example.org";
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "12345678901234567890123456789012";
const TARGET: &str = "/webhooks/twilio/status";

/// What is told of a call, one callback each.
const STATUSES: [&str; 4] = ["initiated", "ringing", "in-progress", "completed"];
/// Calls under way at once. The callbacks of one call come this far apart, so they seldom share a commit.
const UNDER_WAY: usize = 500;

/// Whole HTTP requests, ready to be written. Call ids begin at `first_call`, so no two runs tell of the same call.
pub fn requests(first_call: usize, count: usize) -> Vec<Vec<u8>> {
    let now = Clock::System.now().to_zoned(TimeZone::UTC);
    let timestamp = jiff::fmt::rfc2822::to_string(&now).expect("this year has four digits");
    (0..count)
        .map(|index| {
            let (block, place) = (index / (UNDER_WAY * STATUSES.len()), index % (UNDER_WAY * STATUSES.len()));
            let call = first_call + block * UNDER_WAY + place % UNDER_WAY;
            request(call, place / UNDER_WAY, &timestamp)
        })
        .collect()
}

/// How many calls `count` requests tell of, at most.
pub fn calls_of(count: usize) -> usize {
    count.div_ceil(UNDER_WAY * STATUSES.len()) * UNDER_WAY
}

fn request(call: usize, step: usize, timestamp: &str) -> Vec<u8> {
    let form = form(call, step, timestamp);
    let signed = form_signature(TOKEN, &format!("{PUBLIC_URL}{TARGET}"), &form);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    format!(
        "POST {TARGET} HTTP/1.1\r\nHost: calls.example.org\r\nContent-Type: application/x-www-form-urlencoded; \
         charset=UTF-8\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nX-Twilio-Signature: {signed}\r\n\
         I-Twilio-Idempotency-Token: 0a1b2c3d-{call:08x}-{step}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Ids of real calls have no order: neighbours in time are no neighbours in an index.
fn sid(call: usize) -> String {
    let golden_ratio = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
    format!("CA{:032x}", (call as u128 + 1).wrapping_mul(golden_ratio))
}

fn form(call: usize, step: usize, timestamp: &str) -> Vec<(String, String)> {
    let caller = format!("+7928{:07}", call % 10_000_000);
    let (sid, sequence) = (sid(call), step.to_string());
    let ended = step == STATUSES.len() - 1;
    let mut fields = vec![
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", &sid),
        ("CallStatus", STATUSES[step]),
        ("Called", "+79288328088"),
        ("CalledCity", ""),
        ("CalledCountry", "RU"),
        ("CalledState", ""),
        ("CalledZip", ""),
        ("Caller", &caller),
        ("CallerCity", ""),
        ("CallerCountry", "RU"),
        ("CallerState", ""),
        ("CallerZip", ""),
        ("Direction", "inbound"),
        ("From", &caller),
        ("FromCity", ""),
        ("FromCountry", "RU"),
        ("FromState", ""),
        ("FromZip", ""),
        ("To", "+79288328088"),
        ("ToCity", ""),
        ("ToCountry", "RU"),
        ("ToState", ""),
        ("ToZip", ""),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", &sequence),
        ("Timestamp", timestamp),
    ];
    if ended {
        fields.extend([("CallDuration", "21"), ("Duration", "1")]);
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
