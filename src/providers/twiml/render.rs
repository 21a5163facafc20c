//! Scripts → documents (provider contract, TwiML §6). Only the subset that all four dialects run; every attribute whose
//! default differs between them is written out.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::super::Reply;
use super::{Endpoint, Settings, Signature};
use crate::core::phone::Telephone;
use crate::core::script::{Step, Verb, offer};

/// Documents over 64 kB are refused whole (error 11750), and the caller would hear the provider's regret.
const MAX_DOCUMENT_BYTES: usize = 60_000;
/// One `Say` takes about 4,096 characters.
const MAX_SAID: usize = 4_000;
/// What Telnyx allows a phone to ring, seconds.
const RING_SECONDS: std::ops::RangeInclusive<u32> = 5..=120;

/// The document for a script. One that grew too large becomes the plain offer to record.
pub(super) fn render(settings: &Settings, script: &[Verb]) -> Reply {
    let written = |script: &[Verb]| document(settings, script).expect("writing to memory does not fail");
    let mut body = written(script);
    if body.len() > MAX_DOCUMENT_BYTES {
        body = written(&offer());
    }
    Reply { content_type: "text/xml; charset=utf-8", body }
}

type Xml = Writer<Vec<u8>>;

fn document(settings: &Settings, script: &[Verb]) -> io::Result<String> {
    let mut xml = Writer::new(Vec::new());
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let response = xml.create_element("Response");
    match script {
        [] => response.write_empty()?,
        _ => response.write_inner_content(|xml| script.iter().try_for_each(|verb| write_verb(xml, settings, verb)))?,
    };
    Ok(String::from_utf8(xml.into_inner()).expect("made of strings"))
}

fn write_verb(xml: &mut Xml, settings: &Settings, verb: &Verb) -> io::Result<()> {
    let step_url = |step: Step| Endpoint::Dialogue(step).url(settings);
    match verb {
        Verb::Say(text) => say(xml, settings, text),
        Verb::Play(address) => match address.starts_with('/') {
            true => text_element(xml, "Play", &[], &format!("{}{address}", settings.public_url)),
            false => text_element(xml, "Play", &[], address),
        },
        Verb::Gather { prompt, max_digits, timeout_seconds, next } => {
            gather(xml, settings, prompt, *max_digits, *timeout_seconds, &step_url(*next))
        }
        Verb::Record { max_seconds, silence_seconds, next } => {
            record(xml, settings, *max_seconds, *silence_seconds, &step_url(*next))
        }
        // An extension of the school's own exchange is not to be reached from here: the next step, as after a dead number.
        Verb::Dial { telephone: Telephone::Extension(_), next, .. } => {
            text_element(xml, "Redirect", &[("method", "POST")], &step_url(*next))
        }
        Verb::Dial { telephone: Telephone::Number(number), seconds, next } => {
            let timeout = (*seconds).clamp(*RING_SECONDS.start(), *RING_SECONDS.end()).to_string();
            let action = step_url(*next);
            // Nothing more: Somleng knows these alone.
            let attributes = [("action", action.as_str()), ("method", "POST"), ("timeout", &timeout)];
            xml.create_element("Dial")
                .with_attributes(attributes)
                .write_inner_content(|xml| text_element(xml, "Number", &[], number.e164()))
                .map(drop)
        }
        Verb::Redirect(step) => text_element(xml, "Redirect", &[("method", "POST")], &step_url(*step)),
        Verb::Hangup => xml.create_element("Hangup").write_empty().map(drop),
    }
}

/// Voice and language both: one without the other is a pair of somebody else's choice, and may be an invalid one.
fn say(xml: &mut Xml, settings: &Settings, text: &str) -> io::Result<()> {
    let attributes = [("voice", settings.voice.as_str()), ("language", &settings.language)];
    let text: String = text.chars().take(MAX_SAID).collect();
    text_element(xml, "Say", &attributes, &text)
}

/// Any key in the greeting leads to the signal, `#` too, which the regular callers press. With `finishOnKey="#"` it
/// would end the input as an empty one, for which nobody asks `action`; with no finish key it is a digit like the
/// others. A dialect that should take the empty attribute for its default goes on to the verb after the Gather, which
/// is the signal as well. A number on the keypad needs the `#` for its end.
fn gather(
    xml: &mut Xml,
    settings: &Settings,
    prompt: &[Verb],
    max_digits: Option<u32>,
    timeout_seconds: u32,
    action: &str,
) -> io::Result<()> {
    let timeout = timeout_seconds.to_string();
    let max_digits = max_digits.map(|digits| digits.to_string());
    let finish_on_key = if max_digits.as_deref() == Some("1") { "" } else { "#" };
    let mut attributes = vec![("input", "dtmf"), ("action", action), ("method", "POST"), ("timeout", &timeout)];
    if let Some(max_digits) = &max_digits {
        attributes.push(("numDigits", max_digits));
    }
    attributes.push(("finishOnKey", finish_on_key));
    // Nothing else may stand inside a Gather (Somleng, Telnyx).
    let mut spoken = prompt.iter().filter(|verb| matches!(verb, Verb::Say(_) | Verb::Play(_)));
    let gather = xml.create_element("Gather").with_attributes(attributes);
    gather.write_inner_content(|xml| spoken.try_for_each(|verb| write_verb(xml, settings, verb))).map(drop)
}

/// Silence is kept (`do-not-trim`): a pause for thought belongs to the message, and our own measuring needs it. The
/// event `absent` is asked for, or a silent message would never be closed.
fn record(xml: &mut Xml, settings: &Settings, max_seconds: u32, silence_seconds: u32, action: &str) -> io::Result<()> {
    let (max_length, timeout) = (max_seconds.to_string(), silence_seconds.to_string());
    let callback = Endpoint::Recording.url(settings);
    let mut attributes = vec![
        ("action", action),
        ("method", "POST"),
        ("maxLength", &max_length),
        ("timeout", &timeout),
        ("finishOnKey", "#"),
        ("playBeep", "true"),
        ("trim", "do-not-trim"),
        ("recordingStatusCallback", &callback),
        ("recordingStatusCallbackMethod", "POST"),
        ("recordingStatusCallbackEvent", "completed absent"),
    ];
    if settings.signature == Signature::Telnyx {
        // Its default is two channels, the other one being our silence.
        attributes.push(("channels", "single"));
    }
    xml.create_element("Record").with_attributes(attributes).write_empty().map(drop)
}

fn text_element(xml: &mut Xml, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
    let attributes: Vec<(&str, String)> = attributes.iter().map(|(name, value)| (*name, allowed(value))).collect();
    let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
    let element = xml.create_element(name).with_attributes(attributes);
    element.write_text_content(BytesText::new(&allowed(text))).map(drop)
}

/// The characters that XML 1.0 can carry at all, escaped or not; the others are dropped.
fn allowed(text: &str) -> String {
    let forbidden = |c: char| c.is_control() && !matches!(c, '\t' | '\n') || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().filter(|c| !forbidden(*c)).collect()
}
