//! Texts that may be kept: without control characters, which PostgreSQL refuses (NUL), which no page shows, and which make a line
//! of a header or of a log look like two. Looked for once, before any handler reads a path, a query, a form or a JSON body.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use bytes::Bytes;
use serde_json::Value;

/// Fields in which lines may be broken and tabs typed, on pages and in the API.
const MULTI_LINE: [&str; 2] = ["note", "summary"];
/// Fields of the sign-in that say where to go afterwards: one that makes no sense leads to the start.
const WAYS_ON: [&str; 2] = ["to", "kept_to"];

/// Where a control character stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unkeepable {
    Path,
    /// The name of the field or parameter.
    Field(String),
    /// The form did not come whole, so nobody knows what is missing.
    BrokenOff,
}

/// A tab in a query came with what was copied out of a table: a space says the same.
pub(super) fn take_tabs_out_of_query(address: &mut Uri) {
    let without = address.path_and_query().filter(|it| it.query().is_some_and(|query| query.contains("%09")));
    let without = without.and_then(|it| it.as_str().replace("%09", "+").parse().ok());
    if let Some(path_and_query) = without {
        let mut parts = std::mem::take(address).into_parts();
        parts.path_and_query = Some(path_and_query);
        *address = Uri::from_parts(parts).expect("only the query is another one");
    }
}

/// The same in the fields of a form that have one line.
fn without_tabs(form: Bytes) -> Bytes {
    if !form.contains(&b'\t') && !form.windows(3).any(|three| three == b"%09") {
        return form;
    }
    let mut without = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(&form) {
        match may_have_lines(&name) {
            true => without.append_pair(&name, &value),
            false => without.append_pair(&name, &value.replace('\t', " ")),
        };
    }
    without.finish().into()
}

/// Looks at the path and the query.
pub(super) fn check_address(address: &Uri) -> Result<(), Unkeepable> {
    let path = address.path();
    if decoded(path).contains(char::is_control) {
        return Err(Unkeepable::Path);
    }
    check_fields(path, address.query().unwrap_or("").as_bytes(), |_| false)
}

/// Looks at a form, whose bytes are then read again by its handler. One that says it is larger than `limit` is left to the
/// handler, which refuses it; what breaks off, or turns out to be larger, reaches no handler: half a form would be taken for one
/// whose other fields are empty.
pub(super) async fn check_form(request: Request, limit: usize) -> Result<Request, Unkeepable> {
    if !is_small_form(request.headers(), limit) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let body = without_tabs(to_bytes(body, limit).await.map_err(|_| Unkeepable::BrokenOff)?);
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    check_fields(parts.uri.path(), &body, may_have_lines)?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn is_small_form(headers: &HeaderMap, limit: usize) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_large = header(CONTENT_LENGTH).parse::<usize>().is_ok_and(|length| length > limit);
    header(CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") && !is_large
}

/// Looks at all texts and names of a JSON document.
pub(super) fn check_json(value: &Value) -> Result<(), Unkeepable> {
    check_value("", value)
}

fn check_fields(path: &str, encoded: &[u8], has_lines: impl Fn(&str) -> bool) -> Result<(), Unkeepable> {
    let leads_on = |name: &str| path.starts_with("/login") && WAYS_ON.contains(&name);
    for (name, value) in form_urlencoded::parse(encoded) {
        if !leads_on(&name) {
            check_text(&name, &name, false)?;
            check_text(&name, &value, has_lines(&name))?;
        }
    }
    Ok(())
}

fn check_value(name: &str, value: &Value) -> Result<(), Unkeepable> {
    match value {
        Value::String(text) => check_text(name, text, may_have_lines(name)),
        Value::Array(values) => values.iter().try_for_each(|value| check_value(name, value)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            check_text(name, name, false)?;
            check_value(name, value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_text(name: &str, text: &str, has_lines: bool) -> Result<(), Unkeepable> {
    let is_wrong = |c: char| c.is_control() && !(has_lines && matches!(c, '\n' | '\r' | '\t'));
    if text.contains(is_wrong) {
        return Err(Unkeepable::Field(name.chars().filter(|c| !c.is_control()).take(60).collect()));
    }
    Ok(())
}

/// A form that waits for its sender to sign in has the names of its fields after a colon.
fn may_have_lines(name: &str) -> bool {
    MULTI_LINE.contains(&name.rsplit(':').next().unwrap_or(name))
}

/// A path as the text that it spells. It may have the signs that part the fields of a form.
fn decoded(path: &str) -> String {
    let pieces = path.split(['&', '=']);
    pieces.flat_map(|piece| form_urlencoded::parse(piece.as_bytes())).map(|(piece, _)| piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Result<(), Unkeepable> {
        Err(Unkeepable::Field(name.to_owned()))
    }

    /// Threat: a connection that breaks off wipes what the fields that never came would have kept.
    #[tokio::test]
    async fn form_that_breaks_off_is_no_empty_form() {
        let sent = [Ok("name=%D0%90"), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
        let body = Body::from_stream(futures_util::stream::iter(sent));
        let request = Request::post("/callers/7").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let checked = check_form(request.body(body).unwrap(), 1000).await;
        assert_eq!(checked.map(drop), Err(Unkeepable::BrokenOff));
        let large = Request::post("/callers/7").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let checked = check_form(large.body(Body::from("name=".repeat(1000))).unwrap(), 1000).await;
        assert_eq!(checked.map(drop), Err(Unkeepable::BrokenOff));
    }

    /// A number copied out of a table comes with a tab.
    #[tokio::test]
    async fn tab_in_a_field_of_one_line_is_a_space() {
        let form = "number=%098+928%09&note=a%09b&name=\tA";
        let request = Request::post("/callers").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let checked = check_form(request.body(Body::from(form)).unwrap(), 1000).await.unwrap();
        let (parts, body) = checked.into_parts();
        let body = to_bytes(body, 1000).await.unwrap();
        let fields: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
        let expected = [("number", " 8 928 "), ("note", "a\tb"), ("name", " A")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parts.headers[CONTENT_LENGTH], body.len().to_string());
        let mut address: Uri = "/calls?search=%098+928%09&x=1".parse().unwrap();
        take_tabs_out_of_query(&mut address);
        assert_eq!(address, "/calls?search=+8+928+&x=1");
        let mut address: Uri = "/calls%09?x=1".parse().unwrap();
        take_tabs_out_of_query(&mut address);
        assert_eq!(check_address(&address), Err(Unkeepable::Path));
    }

    #[test]
    fn only_notes_have_lines_and_tabs() {
        let check = |form: &str| check_fields("/callbacks/7/done", form.as_bytes(), may_have_lines);
        for form in ["note=a%0D%0Ab%09c", "summary=%0A", "kept%3Anote=%0A", "login=a&name=%D0%90", ""] {
            assert_eq!(check(form), Ok(()), "{form}");
        }
        for (form, name) in [
            ("note=%00", "note"),
            ("note=%1B", "note"),
            ("login=a%00", "login"),
            ("login=a%0Ab", "login"),
            ("name=%7F", "name"),
            ("name=%C2%85", "name"),
            ("to=%00", "to"),
            ("a%00b=1", "ab"),
        ] {
            assert_eq!(check(form), field(name), "{form}");
        }
    }

    #[test]
    fn where_to_go_after_signing_in_is_no_field() {
        assert_eq!(check_fields("/login", b"to=%00&kept_to=%00", may_have_lines), Ok(()));
        assert_eq!(check_fields("/login/code", b"to=%00&login=%00", may_have_lines), field("login"));
    }

    #[test]
    fn paths_and_json_are_looked_at_whole() {
        let at = |address: &str| check_address(&address.parse().unwrap());
        assert_eq!(at("/callers/%2B79280000001?x=1"), Ok(()));
        assert_eq!(at("/callers/a%00b"), Err(Unkeepable::Path));
        assert_eq!(at("/a=b%7F&c"), Err(Unkeepable::Path));
        assert_eq!(at("/calls?number=%0A"), field("number"));
        let json = |text: &str| check_json(&serde_json::from_str(text).unwrap());
        assert_eq!(json(r#"{"note": "a\n\tb", "version": 1, "email": null}"#), Ok(()));
        assert_eq!(json(r#"{"email": "a\nb"}"#), field("email"));
        assert_eq!(json(r#"{"note": "\u0000"}"#), field("note"));
        assert_eq!(json(r#"{"a": [{"b": "\u001f"}]}"#), field("b"));
    }
}
