//! Every field into which somebody may write a text, as the sources declare them, and what each takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::strangers;

/// Fields whose text is kept or shown as it was written.
const TEXTS: &str = "
    form: email name note reason reference summary
    config override: reason
    config line: audience email title
    config mail: from to alarms_to
    config provider: language voice
    config school: name order regulation_url site
    config transcription: model
    twilio: CallSid Called Caller Diversion ForwardedFrom From RecordingSid RecordingUrl SipHeader_Diversion To
    asterisk: diversion from id line";

/// Fields that take a word of a list, a date, a number, an id or an address of a machine, and what is none is not taken.
const WORDS: &str = "
    form: address after asker at before browser callback_number callbacks calls channel confirm cursor day did direction
        done download file fragment from hours id keep large limit line login mode month next number officer outcome period
        provider role saved search seen set show sound state step strips telephone text time to topic until verb version
        voicemail what when who
    config backup: at folder
    config dialing: allowed
    config hours: holidays policy timezone
    config line: aliases id number ring
    config mail: evening morning smtp user
    config override: hours mode
    config prompts: sounds
    config provider: account_sid api_base ari_base ari_user kind name recording_hosts signature trunk
    config server: listen public_url
    config storage: database emergency key_file recordings
    config transcription: url
    config week: fri mon sat sun thu tue wed
    twilio: CallDuration CallInitiatedAt CallStatus DialBridged DialCallDuration DialCallStatus Digits Direction ParentCallSid
        RecordingDuration RecordingStartTime RecordingStatus StartTime Timestamp
    asterisk: callback dial ended record started talk to";

/// Fields that are never shown again.
const SECRETS: &str = "
    form: code confirm_password new_password new_password_again password password_again
    config mail: password password_file
    config provider: api_token api_token_file ari_password ari_password_file auth_tokens auth_tokens_file tokens tokens_file
    config transcription: token token_file";

/// The names of a list as above, by what stands before the colon.
pub fn lists<'l>(list: &'l str, between: &str) -> BTreeMap<&'l str, Vec<&'l str>> {
    let mut of = "";
    let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let names = match line.split_once(':') {
            Some((head, names)) => {
                of = head;
                names
            }
            None => line,
        };
        let names = names.trim().trim_end_matches(between.trim()).split(between).map(str::trim);
        lists.entry(of).or_default().extend(names.filter(|name| !name.is_empty()));
    }
    lists
}

/// `form note`, `config line title`: the names of a list above.
fn listed(list: &str) -> BTreeSet<String> {
    let lists = lists(list, " ");
    lists.iter().flat_map(|(of, names)| names.iter().map(move |name| format!("{of} {name}"))).collect()
}

/// Fields whose text is kept or shown as it was written.
pub fn texts() -> BTreeSet<String> {
    listed(TEXTS)
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sources below a folder, without tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()));
        }
    }
    found
}

/// The text fields of all structures that are read from a form, a query or a body of the API.
pub fn names_of_forms() -> BTreeSet<String> {
    let mut names = strangers::field_names();
    for (_, text) in sources(&source("src/web")) {
        for declaration in text.split("Deserialize").skip(1) {
            let Some((head, body)) = declaration.split_once("{\n") else { continue };
            if head.len() > 200 || !head.contains("struct ") {
                continue;
            }
            for line in body.split("\n}").next().unwrap().lines() {
                let field = line.trim().trim_start_matches("pub ").trim_end_matches(',').split_once(": ");
                if let Some((name, "String" | "Option<String>")) = field {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    names
}

/// `line title`: the keys of the configuration that take a text or several.
fn names_of_the_configuration() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (path, text) in sources(&source("src/app/config")) {
        let mut section = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in text.lines() {
            if let Some((name, _)) = line.split_once("const ").and_then(|(_, rest)| rest.split_once(": &["))
                && name != "KEYS"
            {
                section = name.to_lowercase();
            }
            for key in line.split("key(\"").skip(1) {
                if let Some((name, shape)) = key.split_once("\", Shape::")
                    && shape.starts_with("Text")
                {
                    names.insert(format!("{section} {name}"));
                }
            }
        }
    }
    names
}

/// The quoted words of a source behind one of these beginnings.
fn quoted<'t>(text: &'t str, beginnings: &[&str], is_name: impl Fn(&str) -> bool) -> BTreeSet<&'t str> {
    let behind = beginnings.iter().flat_map(|beginning| text.split(beginning).skip(1));
    behind.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name).filter(|name| is_name(name)).collect()
}

/// All fields that the sources declare.
fn declared() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = names_of_forms().iter().map(|name| format!("form {name}")).collect();
    names.extend(names_of_the_configuration().iter().map(|name| format!("config {name}")));
    let read = |path: &str| std::fs::read_to_string(source(path)).unwrap();
    let twilio = read("src/providers/twiml/parse.rs");
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|c| c.is_ascii_alphabetic() || c == b'_')
    };
    names.extend(twilio.split('"').filter(|name| is_name(name)).map(|name| format!("twilio {name}")));
    let asterisk = read("src/providers/asterisk/parse.rs");
    let is_name = |name: &str| name.bytes().all(|c| c.is_ascii_lowercase());
    let calls =
        ["word(\"", "text(\"", "values(\"", "seconds(\"", "call_id(\"", "told_at(form, \"", "told_at(&form, \""];
    names.extend(quoted(&asterisk, &calls, is_name).iter().map(|name| format!("asterisk {name}")));
    names
}

/// Threat: a new field whose text acts where it is shown, because nobody has tried.
#[test]
fn every_text_field_is_known_to_the_payloads() {
    let lists = [listed(TEXTS), listed(WORDS), listed(SECRETS)];
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for name in lists.iter().flatten() {
        *times.entry(name.to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    let (known, declared) = (times.keys().cloned().collect::<BTreeSet<_>>(), declared());
    let new: Vec<_> = declared.difference(&known).collect();
    let gone: Vec<_> = known.difference(&declared).collect();
    assert!(new.is_empty() && gone.is_empty() && twice.is_empty(), "new: {new:?}; gone: {gone:?}; twice: {twice:?}");
}
