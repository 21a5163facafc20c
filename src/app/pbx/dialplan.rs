//! The dialplan of the exchange: what is the same everywhere (`common.conf`), and the lines of this configuration.
//!
//! Nothing of it depends on the clock, so equal settings give equal text, and [`version`] tells whether an exchange
//! runs the text of today.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Exchange;
use super::hours::weekly_times;
use crate::core::line::{Line, LineId};
use crate::core::phone::{PhoneNumber, Telephone};
use crate::core::written_text::in_one_line;
use crate::providers::asterisk::{digits, endpoint};

const COMMON: &str = include_str!("common.conf");
/// The dialplan tells the exchange its version in this global variable, at the first call.
pub const VERSION_VARIABLE: &str = "PZ_VERSION";

/// The whole dialplan without its head.
pub(super) fn dialplan(exchange: &Exchange<'_>) -> String {
    fill(&template(exchange), exchange, &version(exchange))
}

/// Short text that changes with the dialplan, whatever the address of the service.
pub fn version(exchange: &Exchange<'_>) -> String {
    short_hash(&template(exchange))
}

pub(super) fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn template(exchange: &Exchange<'_>) -> String {
    let mut text = lines(exchange);
    text.push_str(COMMON);
    let allowed: String = exchange
        .lines
        .dialing
        .patterns()
        .map(|pattern| format!("exten => _{pattern},1,Goto(perezvon-dial,${{EXTEN}},1)\n"))
        .collect();
    text.replace("@ALLOWED@", &allowed)
        .replace("@TRUNK@", &exchange.settings.trunk)
        .replace("@NAME@", &exchange.settings.name)
}

fn fill(template: &str, exchange: &Exchange<'_>, version: &str) -> String {
    template.replace("@VERSION@", version).replace("@TOKEN_FILE@", super::TOKEN_FILE).replace("@URL@", &exchange.url)
}

fn lines(exchange: &Exchange<'_>) -> String {
    let mut text = String::from(
        "; ------------------------------------------------------------------- номера ---\n\
         ; Опубликованные и технические номера, как их может прислать оператор связи.\n\
         [perezvon-numbers]\n",
    );
    for line in exchange.lines.iter() {
        let _ = writeln!(text, "; {}", comment(&line.title));
        let numbers = line.number.iter().map(PhoneNumber::e164).chain(line.aliases.iter().map(String::as_str));
        for number in numbers {
            match spellings(number) {
                Some(spellings) => {
                    for spelling in spellings {
                        let _ = writeln!(text, "exten => {spelling},1,Set(PZ_LINE=${{EXTEN}})");
                        let _ = writeln!(text, " same => n,Goto(perezvon-line-{},begin,1)", line.id);
                    }
                }
                None => {
                    let _ = writeln!(text, "; {}: не может стоять в диалплане, пропущен", comment(number));
                }
            }
        }
    }
    text.push('\n');
    for line in exchange.lines.iter() {
        write_line(&mut text, line, &exchange.settings.trunk);
    }
    write_line(&mut text, exchange.lines.by_id(&LineId::unknown()), &exchange.settings.trunk);
    text
}

/// How a trunk may send a number; `None`: the word of a provider that a dialplan cannot hold.
pub(super) fn spellings(number: &str) -> Option<Vec<String>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '_' | '-');
    Some(match (number.strip_prefix("+7"), number.strip_prefix('+')) {
        (Some(rest), _) if rest.len() == 10 => ["8", "7", "+7", ""].map(|prefix| format!("{prefix}{rest}")).into(),
        (_, Some(digits)) => vec![digits.to_owned(), number.to_owned()],
        // A leading underscore would make a pattern of it; one letter alone may be an extension with a meaning of its own.
        _ if number.len() > 1 && !number.starts_with('_') && number.chars().all(plain) => vec![number.to_owned()],
        _ => return None,
    })
}

/// One context: `begin` asks the service, `open` rings the telephones.
fn write_line(text: &mut String, line: &Line, trunk: &str) {
    let Line { id, title, ring_seconds, max_message_seconds, .. } = line;
    let _ = writeln!(text, "; Линия «{}»", comment(title));
    let _ = writeln!(text, "[perezvon-line-{id}]");
    let _ = writeln!(text, "exten => begin,1,Set(PZ_MAX={max_message_seconds})");
    text.push_str(" same => n,Gosub(perezvon-begin,s,1)\n");
    text.push_str(" same => n,GotoIf($[\"${PZ_PLAN}\" = \"open\"]?open,1)\n");
    let times = if line.ring.is_empty() { Vec::new() } else { weekly_times(&line.calendar) };
    if !times.is_empty() {
        text.push_str(" same => n,GotoIf($[\"${PZ_PLAN}\" = \"voicemail\"]?perezvon-message,closed,1)\n");
        text.push_str("; Перезвон не ответил: решают часы\n");
        for time in times {
            let _ = writeln!(text, " same => n,GotoIfTime({time}?open,1)");
        }
    }
    text.push_str(" same => n,Goto(perezvon-message,closed,1)\n");
    for (index, telephone) in line.ring.iter().enumerate() {
        text.push_str(if index == 0 { "exten => open,1," } else { " same => n," });
        match telephone {
            Telephone::Extension(_) => {
                text.push_str("Set(CALLERID(num)=${PZ_FROM})\n");
            }
            // A telephone company lets only its customer's own numbers call.
            Telephone::Number(_) => {
                let own = line.number.as_ref().map_or("", digits);
                let _ = writeln!(text, "Set(CALLERID(num)={own})\n same => n,Set(CALLERID(name)=)");
            }
        }
        let _ = writeln!(text, " same => n,Dial({},{ring_seconds},i)", endpoint(telephone, trunk));
        text.push_str(" same => n,GotoIf($[\"${DIALSTATUS}\" = \"ANSWER\"]?over,1)\n");
    }
    match line.ring.is_empty() {
        true => text.push_str("exten => open,1,Goto(perezvon-message,busy,1)\n\n"),
        false => text.push_str(" same => n,Goto(perezvon-message,busy,1)\nexten => over,1,Hangup()\n\n"),
    }
}

/// Text for one line of a comment.
pub(super) fn comment(text: &str) -> String {
    in_one_line(text).chars().take(80).collect()
}
