//! Reads our replies as a provider does: strictly as XML, then verb by verb, and notes what it would not know.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// One element of a reply: a verb, or a noun inside one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub text: String,
    pub children: Vec<Element>,
}

/// Why a reply is no document (error 12100 at Twilio).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not well-formed XML: {0}")]
    Malformed(String),
    #[error("the root element is not Response")]
    NoResponse,
}

/// A longer text is not spoken.
const SAY_CHARACTERS: usize = 4_096;

/// What Twilio knows: each element, its attributes, and the elements it may contain.
const KNOWN: [(&str, &[&str], &[&str]); 11] = [
    ("Response", &[], &["Say", "Play", "Pause", "Gather", "Record", "Dial", "Redirect", "Reject", "Hangup"]),
    ("Say", &["voice", "language", "loop"], &[]),
    ("Play", &["loop", "digits"], &[]),
    ("Pause", &["length"], &[]),
    (
        "Gather",
        &["input", "action", "method", "timeout", "numDigits", "finishOnKey", "actionOnEmptyResult"],
        &["Say", "Play", "Pause"],
    ),
    (
        "Record",
        &[
            "action",
            "method",
            "timeout",
            "finishOnKey",
            "maxLength",
            "playBeep",
            "trim",
            "recordingStatusCallback",
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
            "transcribe",
            "transcribeCallback",
        ],
        &[],
    ),
    ("Dial", &["action", "method", "timeout", "callerId", "timeLimit", "record", "answerOnBridge"], &["Number", "Sip"]),
    ("Number", &["statusCallback", "statusCallbackEvent", "sendDigits"], &[]),
    ("Redirect", &["method"], &[]),
    ("Reject", &["reason"], &[]),
    ("Hangup", &[], &[]),
];

impl Element {
    /// The attribute, or the provider's default.
    pub fn attribute<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.attributes.get(name).map_or(default, String::as_str)
    }

    /// A whole number out of an attribute; nonsense counts as the default, as at Twilio.
    pub fn number(&self, name: &str, default: u32) -> u32 {
        self.attributes.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// What Twilio would warn of (error 12200): unknown elements, attributes and places, in this element and below.
    pub fn doubts(&self) -> Vec<String> {
        let Some((_, attributes, children)) = KNOWN.iter().find(|(name, ..)| *name == self.name) else {
            return vec![format!("unknown element {}", self.name)];
        };
        let strange_attributes = self.attributes.keys().filter(|name| !attributes.contains(&name.as_str()));
        let misplaced = self.children.iter().filter(|child| !children.contains(&child.name.as_str()));
        let mut doubts: Vec<String> =
            strange_attributes.map(|name| format!("unknown attribute {name} on {}", self.name)).collect();
        if self.name == "Say" && self.text.chars().count() > SAY_CHARACTERS {
            doubts.push(format!("Say of more than {SAY_CHARACTERS} characters"));
        }
        doubts.extend(misplaced.map(|child| format!("{} inside {}", child.name, self.name)));
        doubts.extend(self.children.iter().flat_map(Element::doubts));
        doubts
    }
}

/// Reads a whole reply and gives its root, `Response`.
pub fn read(xml: &str) -> Result<Element, Unreadable> {
    let malformed = |why: &dyn ToString| Unreadable::Malformed(why.to_string());
    let mut reader = Reader::from_str(xml);
    // The bottom stands for the document itself, so that the root is a child like any other.
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|why| malformed(&why))?;
        let top = open.last_mut().expect("the bottom stays: the reader refuses an end tag without its start");
        match event {
            Event::Start(tag) => open.push(element(&tag)?),
            Event::Empty(tag) => top.children.push(element(&tag)?),
            Event::End(_) => {
                let closed = open.pop().expect("the reader refuses an end tag without its start");
                open.last_mut().expect("the bottom stays").children.push(closed);
            }
            Event::Text(text) => top.text.push_str(&text.xml10_content()),
            Event::CData(text) => top.text.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().map_err(|why| malformed(&why))? {
                Some(character) => top.text.push(character),
                None => top.text.push_str(
                    quick_xml::escape::resolve_predefined_entity(&name)
                        .ok_or_else(|| malformed(&"an entity that XML does not define"))?,
                ),
            },
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let Some(document) = open.pop().filter(|document| open.is_empty() && document.text.trim().is_empty()) else {
        return Err(malformed(&"text outside the root, or an element that is not closed"));
    };
    let mut roots = document.children.into_iter();
    match (roots.next(), roots.next()) {
        (Some(root), None) if root.name == "Response" => Ok(root),
        _ => Err(Unreadable::NoResponse),
    }
}

fn element(tag: &BytesStart<'_>) -> Result<Element, Unreadable> {
    let mut element = Element { name: tag.name().as_ref().to_owned(), ..Element::default() };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|why| Unreadable::Malformed(why.to_string()))?;
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Explicit1_0)
            .map_err(|why| Unreadable::Malformed(why.to_string()))?;
        element.attributes.insert(attribute.key.as_ref().to_owned(), value.into_owned());
    }
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_with_its_escapes() {
        let reply = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Gather action=\"/next?a=1&amp;b=2\">\
                     <Say>Мы &amp; вы &#33;</Say></Gather><Hangup/></Response>";
        let root = read(reply).unwrap();
        assert_eq!(root.children[0].attribute("action", ""), "/next?a=1&b=2");
        assert_eq!(root.children[0].children[0].text, "Мы & вы !");
        assert_eq!(root.children[1].name, "Hangup");
        assert_eq!(root.doubts(), Vec::<String>::new());
    }

    #[test]
    fn broken_and_foreign_replies_are_refused() {
        assert_eq!(read("<html></html>"), Err(Unreadable::NoResponse));
        assert_eq!(read(""), Err(Unreadable::NoResponse));
        for broken in ["<Response><Say></Response>", "<Response>", "<Response>&nbsp;</Response>", "ok"] {
            assert!(matches!(read(broken), Err(Unreadable::Malformed(_))), "{broken}");
        }
    }

    #[test]
    fn what_the_provider_would_not_know_is_noted() {
        let root = read("<Response><say>a</say><Record speed=\"2\"/><Gather><Record/></Gather></Response>").unwrap();
        assert_eq!(
            root.doubts(),
            ["say inside Response", "unknown element say", "unknown attribute speed on Record", "Record inside Gather"]
        );
    }
}
