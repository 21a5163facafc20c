//! What people and programs are given, read as they read it: its texts, or what in it acts that should not.

use calamine::Reader as _;
use quick_xml::events::Event;
use serde_json::Value;

use crate::harness::Received;

/// In a document of its own each of these begins something.
const FORMULAS: [char; 5] = ['=', '+', '-', '@', '\t'];
/// Attributes of which a browser follows the value.
const ADDRESSES: [&str; 4] = ["href", "src", "action", "formaction"];
/// Turns the text after it round.
pub const OVERRIDE: char = '\u{202e}';

/// Begins a line of its own where a text may do so.
pub const LINE: &str = "Bcc: zq@example.org";

const VERBS: [&str; 9] = ["Response", "Say", "Play", "Gather", "Record", "Dial", "Number", "Redirect", "Hangup"];
const HEADERS: [&str; 10] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Content-Type",
    "Content-Transfer-Encoding",
];
const PROPERTIES: [&str; 17] = [
    "BEGIN",
    "END",
    "VERSION",
    "PRODID",
    "CALSCALE",
    "X-WR-CALNAME",
    "NAME",
    "UID",
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "SUMMARY",
    "DESCRIPTION",
    "TRANSP",
    "CLASS",
    "X-PEREZVON-WORKED",
    "REFRESH-INTERVAL",
];

/// The texts of a document, or what is wrong with it.
pub type Texts = Result<Vec<String>, String>;

/// Reads an answer by its own type.
pub fn read(content_type: &str, bytes: &[u8]) -> Texts {
    let text = String::from_utf8_lossy(bytes);
    match content_type.split(';').next().unwrap_or_default() {
        "text/html" => html(&text),
        "application/json" | "application/problem+json" => json(&text),
        "text/csv" => csv(bytes),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => xlsx(bytes),
        "text/calendar" => calendar(&text),
        "text/event-stream" => events(&text),
        "text/xml" => twiml(&text),
        // Without a type there is no body; the others are made of no text of anybody's, and nosniff keeps them what they are.
        "" | "text/plain" | "text/css" | "text/javascript" => Ok(vec![text.into_owned()]),
        made if made.starts_with("image/") || made.starts_with("audio/") => Ok(Vec::new()),
        other => Err(format!("a document of the unknown type {other}")),
    }
}

fn without_override(texts: Vec<String>) -> Texts {
    match texts.iter().find(|text| text.contains(OVERRIDE)) {
        Some(text) => Err(format!("turns the text after it round: {text}")),
        None => Ok(texts),
    }
}

/// A tag: its name, and its attributes with their values.
type Tag = (String, Vec<(String, String)>);

/// The tags and the texts between them, as a browser tells them apart.
fn tags(document: &str) -> (Vec<Tag>, Vec<String>) {
    let (mut tags, mut texts) = (Vec::new(), Vec::new());
    let mut rest = document;
    while let Some((text, behind)) = rest.split_once('<') {
        texts.push(unescaped(text));
        let mut quote = None;
        let end = behind.find(|c: char| {
            match (quote, c) {
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), _) if open == c => quote = None,
                _ => {}
            }
            quote.is_none() && c == '>'
        });
        let end = end.unwrap_or(behind.len());
        tags.push(tag(&behind[..end]));
        rest = behind.get(end + 1..).unwrap_or_default();
    }
    texts.push(unescaped(rest));
    (tags, texts)
}

fn tag(inside: &str) -> Tag {
    let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    let mut attributes = Vec::new();
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let attribute = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = "";
        if let Some(behind) = rest.strip_prefix('=') {
            (value, rest) = match behind.chars().next() {
                Some(quote @ ('"' | '\'')) => behind[1..].split_once(quote).unwrap_or((&behind[1..], "")),
                _ => behind.split_at(behind.find(char::is_whitespace).unwrap_or(behind.len())),
            };
        }
        attributes.push((attribute, unescaped(value)));
    }
    (name.trim_matches('/').to_owned(), attributes)
}

fn unescaped(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let numbered = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    named.iter().chain(&numbered).fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// A page runs nothing but our own scripts, and leads nowhere but to addresses.
fn html(page: &str) -> Texts {
    let (tags, mut texts) = tags(page);
    for (name, attributes) in tags {
        if name == "script" && page.contains("<script>") {
            return Err("a script of its own".to_owned());
        }
        if name.contains("zq") {
            return Err(format!("the element {name}"));
        }
        for (attribute, value) in attributes {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '/' | ':');
            let is_address = ADDRESSES.contains(&attribute.as_str());
            if attribute.starts_with("on")
                || attribute.contains("zq")
                || !attribute.chars().all(|c| plain(c) || c.is_ascii_uppercase())
            {
                return Err(format!("the attribute {attribute} of {name}"));
            }
            if is_address
                && !["/", "#", "?", "tel:", "https://", "http://", "mailto:", "otpauth:"]
                    .iter()
                    .any(|it| value.starts_with(it))
                && !value.is_empty()
            {
                return Err(format!("{name} leads to {value}"));
            }
            texts.push(value);
        }
    }
    without_override(texts)
}

fn json(text: &str) -> Texts {
    fn add(value: &Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| add(value, texts)),
            Value::Object(fields) => fields.values().for_each(|value| add(value, texts)),
            _ => {}
        }
    }
    let mut texts = Vec::new();
    add(&serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?, &mut texts);
    Ok(texts)
}

fn csv(bytes: &[u8]) -> Texts {
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').has_headers(false).flexible(true).from_reader(bytes);
    let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(|error| format!("no table: {error}"))?;
    let cells: Vec<String> = rows.iter().flat_map(|row| row.iter().map(str::to_owned)).collect();
    match cells.iter().find(|cell| cell.starts_with(FORMULAS) && cell.parse::<f64>().is_err()) {
        Some(cell) => Err(format!("a formula: {cell}")),
        None => without_override(cells),
    }
}

fn xlsx(bytes: &[u8]) -> Texts {
    let cursor = std::io::Cursor::new(bytes.to_vec());
    let mut workbook = calamine::Xlsx::new(cursor).map_err(|error| format!("no workbook: {error}"))?;
    let mut cells = Vec::new();
    for name in workbook.sheet_names() {
        let formulas = workbook.worksheet_formula(&name).map_err(|error| error.to_string())?;
        if let Some((_, _, formula)) = formulas.used_cells().next() {
            return Err(format!("a formula: {formula}"));
        }
        let range = workbook.worksheet_range(&name).map_err(|error| error.to_string())?;
        cells.extend(range.used_cells().map(|(_, _, cell)| cell.to_string()));
        cells.push(name);
    }
    without_override(cells)
}

fn calendar(text: &str) -> Texts {
    let unfolded = icalendar::parser::unfold(text);
    let parsed = icalendar::parser::read_calendar(&unfolded).map_err(|error| format!("no calendar: {error}"))?;
    if let Some(component) = parsed.components.iter().find(|component| component.name != "VEVENT") {
        return Err(format!("the component {}", component.name));
    }
    let mut texts = Vec::new();
    for line in text.replace("\r\n ", "").replace("\r\n\t", "").split_terminator("\r\n") {
        let (head, value) = line.split_once(':').ok_or_else(|| format!("no property: {line}"))?;
        let name = head.split(';').next().unwrap_or_default();
        if !PROPERTIES.contains(&name) || line.contains(char::is_control) {
            return Err(format!("a line that nobody meant: {line:?}"));
        }
        let plain = [("\\n", "\n"), ("\\N", "\n"), ("\\,", ","), ("\\;", ";"), ("\\\\", "\\")];
        texts.push(plain.iter().fold(value.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)));
    }
    without_override(texts)
}

fn events(text: &str) -> Texts {
    let is_known = |line: &&str| {
        line.is_empty() || ["event:", "id:", "data:", "retry:", ":"].iter().any(|it| line.starts_with(it))
    };
    match text.lines().find(|line| !is_known(line)) {
        Some(line) => Err(format!("a line that nobody meant: {line}")),
        None => Ok(vec![text.to_owned()]),
    }
}

/// A document for a provider, by a parser of XML: only our verbs, without a document type, instructions or entities of anybody's.
pub fn twiml(document: &str) -> Texts {
    let wrong = |error: &dyn std::fmt::Display| format!("no XML: {error}");
    let mut reader = quick_xml::Reader::from_str(document);
    let (mut texts, mut text) = (Vec::new(), String::new());
    loop {
        let event = reader.read_event().map_err(|error| wrong(&error))?;
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name();
                let name = name.as_ref();
                if !VERBS.contains(&name) {
                    return Err(format!("the element {name}"));
                }
                for attribute in element.attributes() {
                    let attribute = attribute.map_err(|error| wrong(&error))?;
                    let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
                    texts.push(value.map_err(|error| wrong(&error))?.into_owned());
                }
            }
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().map_err(|error| wrong(&error))? {
                Some(c) => text.push(c),
                None => text.push_str(
                    quick_xml::escape::resolve_predefined_entity(name)
                        .ok_or_else(|| format!("the entity {}", &**name))?,
                ),
            },
            Event::End(_) => texts.push(std::mem::take(&mut text)),
            Event::Decl(_) => {}
            Event::Eof => break,
            other => return Err(format!("{other:?} in a document for a provider")),
        }
    }
    // Nobody reads it with his eyes.
    Ok(texts)
}

/// A letter: our headers alone, and its body and table are what a mail program shows as text.
pub fn letter(letter: &Received) -> Texts {
    if let Some(header) = letter.headers().iter().find(|header| !HEADERS.contains(&header.as_str())) {
        return Err(format!("the header {header}"));
    }
    let text = letter.text();
    let mut texts = without_lines_of_others(&text)?;
    texts.push(letter.subject());
    texts.push(letter.header("From"));
    texts.push(letter.header("To"));
    if let Some((_, table)) = letter.attachment() {
        texts.extend(xlsx(&table)?);
    }
    without_override(texts)
}

/// What a command prints: nobody's text begins a line of its own, or tells the terminal anything.
pub fn printed(text: &str) -> Texts {
    match text.chars().find(|c| c.is_control() && *c != '\n') {
        Some(sign) => Err(format!("a command to the terminal: {sign:?}")),
        None => without_override(without_lines_of_others(text)?),
    }
}

fn without_lines_of_others(text: &str) -> Texts {
    match text.lines().find(|line| line.trim_start().starts_with(LINE)) {
        Some(line) => Err(format!("a line of somebody's: {line}")),
        None => Ok(vec![text.to_owned()]),
    }
}

/// The dialplan: what people call their lines stands in comments of one line.
pub fn dialplan(text: &str) -> Texts {
    let is_known =
        |line: &&str| line.is_empty() || [";", "[", "exten => ", " same => n"].iter().any(|it| line.starts_with(it));
    let strange = text
        .lines()
        .find(|line| !is_known(line) || line.starts_with(";--") || !line.starts_with(';') && line.contains("zq"));
    match strange {
        Some(line) => Err(format!("a line that nobody meant: {line}")),
        None => without_override(vec![text.to_owned()]),
    }
}

#[test]
fn reader_of_each_surface_notices_what_acts() {
    let event = |line: &str| format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
    let letter = |head: &str, text: &str| {
        let raw = format!("From: a@x\r\n{head}Content-Type: text/plain\r\n\r\n{text}\r\n");
        self::letter(&Received { to: Vec::new(), raw })
    };
    let formula = "\u{feff}Имя\r\n=1+1\r\n";
    for (harmless, acts) in [
        (html("<p title=\"a\">&#60;zq&#62;</p>"), html("<p><zq></p>")),
        (html("<img src=\"/x\" alt=\"&#34; zq\">"), html("<img src=\"/x\" alt=\"\" zq=\"\">")),
        (html("<a href=\"/x\">a</a>"), html("<a href=\"javascript:x\">a</a>")),
        (html("<p>Анна</p>"), html("<p>Ан\u{202e}на</p>")),
        (csv("\u{feff}Имя\r\n'=1+1\r\n".as_bytes()), csv(formula.as_bytes())),
        (calendar(&event("SUMMARY:a\\nX-ZQ:b")), calendar(&event("SUMMARY:a\r\nX-ZQ:b"))),
        (twiml("<Response><Say>&lt;Dial&gt;</Say></Response>"), twiml("<Response><Say><Sms/></Say></Response>")),
        (twiml("<Response/>"), twiml("<!DOCTYPE x><Response>&xxe;</Response>")),
        (letter("", "a"), letter("Bcc: zq@example.org\r\n", "a")),
        (letter("", "a Bcc: zq@example.org"), letter("", "a\r\nBcc: zq@example.org")),
        (printed("a Bcc: zq@example.org"), printed("a\u{1b}[2J")),
        (dialplan("; zq\n[perezvon]\n"), dialplan("[perezvon]\nexten => s,1,System(zq)\n")),
    ] {
        assert!(harmless.is_ok() && acts.is_err(), "{harmless:?} {acts:?}");
    }
}
