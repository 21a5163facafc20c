//! The configuration: `perezvon.toml`, the environment over it, the school's own values under it.
//!
//! [`load`] finds the text, [`parse`] makes a [`Config`] of it or tells every mistake at once. The way through here: the
//! text becomes a tree in which every value knows its line, takes what it lacks from `built_in.toml`, is overlaid
//! with the environment (see `environment.rs` for the one rule of names), is checked against the keys that exist,
//! and is read room by room. `perezvon.example.toml` explains every key.

mod asterisk;
mod backup;
mod dialing;
mod environment;
mod hours;
mod lines;
mod mail;
mod mistakes;
mod places;
mod prompts;
mod providers;
mod retention;
mod schema;
mod school;
mod secret;
mod section;
mod syntax;
#[cfg(test)]
mod tests;
mod transcription;
mod tree;

use std::path::{Path, PathBuf};

use crate::core::calendar::Calendar;
use crate::core::line::Lines;
use crate::core::phone::PhoneNumber;
use crate::core::retention::Terms;
use crate::core::school::School;
use crate::jobs::backup::BackupSettings;
use crate::jobs::{MailSettings, TranscriptionSettings};

pub use mistakes::{Mistake, Mistakes, reason};
pub use places::{Server, Storage, is_loopback};
pub use prompts::Prompts;
pub use providers::ProviderConfig;

use mistakes::{At, Notes};
use tree::{Node, Place, line_and_column};

/// The file looked for in the current folder when none is named.
pub const FILE_NAME: &str = "perezvon.toml";

const BUILT_IN: &str = include_str!("built_in.toml");

/// Everything the administrator decides. Its `Debug` holds no secret.
#[derive(Clone, Debug)]
pub struct Config {
    pub school: School,
    pub server: Server,
    pub storage: Storage,
    pub lines: Lines,
    /// Of lines without hours of their own, and of calls to unknown numbers.
    pub default_calendar: Calendar,
    pub prompts: Prompts,
    pub providers: Vec<ProviderConfig>,
    /// `None`: nobody is written to.
    pub mail: Option<MailSettings>,
    /// `None`: messages are not written down.
    pub transcription: Option<TranscriptionSettings>,
    /// `None`: no nightly backup.
    pub backup: Option<BackupSettings>,
    /// How long personal data is kept.
    pub retention: Terms,
    /// The file it was read from; `None`: the built-in defaults.
    pub source: Option<PathBuf>,
}

/// The variables of the process. Names and values that are no Unicode are passed over.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads `path`, or `perezvon.toml` in the current folder if there is one, or the built-in defaults; then the
/// `PEREZVON_…` variables of `environment` (usually [`environment()`]), and the files that secrets are in.
///
/// # Errors
/// Every mistake there is. A file that was named and cannot be read is one; so is an unknown `PEREZVON_…` variable.
pub fn load(path: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, Mistakes> {
    let usual = Path::new(FILE_NAME);
    let Some(path) = path.or_else(|| usual.exists().then_some(usual)) else { return parse("", None, environment) };
    let bytes = std::fs::read(path).map_err(|error| {
        let instead = "Проверьте путь и права; без --config берётся perezvon.toml из текущей папки, а если его нет, настройки школы";
        whole_file(path, None, format!("файл настроек не читается: {}", reason(&error)), instead)
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        whole_file(path, Some(line), "текст не в кодировке UTF-8".to_owned(), "Сохраните файл в UTF-8")
    })?;
    parse(text, Some(path), environment)
}

/// Reads a configuration from its text. `source` is the file's name for mistakes and for [`Config::source`].
///
/// # Errors
/// Every mistake there is; only a text that is no TOML is one mistake alone.
pub fn parse(
    text: &str,
    source: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Mistakes> {
    let file = source.map_or_else(|| FILE_NAME.to_owned(), |path| path.display().to_string());
    let mut root = Node::parse(text, |line| Place::File { line }).map_err(|error| {
        let (line, column) = line_and_column(text, error.span().map_or(text.len(), |span| span.start));
        let what = format!("ошибка записи, столбец {column}: {}", syntax::in_russian(error.message()));
        whole_file(Path::new(&file), Some(line), what, "Исправьте эту строку или соседнюю, затем проверьте ещё раз")
    })?;
    let mut notes = Notes::new(&file);
    take_defaults(&mut root);
    let variables: Vec<_> = environment.into_iter().collect();
    environment::apply(&mut root, &variables, &mut notes);
    inherit_hours(&mut root);
    providers::refuse_kinds_to_come(&mut root, &mut notes);
    schema::check(&root, schema::ROOT, "", &mut notes);

    let school = school::school(&root, &mut notes);
    let server = places::server(&root, &mut notes);
    let storage = places::storage(&root, &mut notes);
    let default_calendar = root.get("hours").and_then(|hours| hours::calendar(hours, "hours", &mut notes));
    let dialing = dialing::dialing(&root, &mut notes);
    let lines = lines::lines(&root, default_calendar.as_ref(), dialing, &mut notes);
    let prompts = prompts::prompts(&root, &mut notes);
    let public_url = server.as_ref().map(|server| server.public_url.as_str());
    let providers = providers::providers(&root, public_url, &|path| std::fs::read_to_string(path), &mut notes);
    let mail = mail::mail(&root, public_url, &|path| std::fs::read_to_string(path), &mut notes);
    let transcription = transcription::transcription(&root, &|path| std::fs::read_to_string(path), &mut notes);
    let backup = backup::backup(&root, &mut notes);
    let retention = retention::retention(&root, &mut notes);
    let config = || {
        Some(Config {
            school: school?,
            server: server?,
            storage: storage?,
            lines: lines?,
            default_calendar: default_calendar?,
            prompts: prompts?,
            providers,
            mail,
            transcription,
            backup,
            retention,
            source: source.map(Path::to_owned),
        })
    };
    let config = config();
    if config.is_none() && notes.is_empty() {
        let at = At { place: Place::File { line: None }, key: String::new() };
        notes.add(&at, "настройки не складываются", "Сравните их с примером perezvon.example.toml");
    }
    notes.finish()?;
    Ok(config.expect("what is missing has been noted"))
}

/// Puts the school's values under what the file says: key by key in single tables, whole where the file has no lines.
/// The school's own lines keep their title and audience when the file leaves them out, and their e-mail as long as they
/// keep their number. A file that names another school keeps nothing of ours.
fn take_defaults(root: &mut Node) {
    let built_in = Node::parse(BUILT_IN, |_| Place::BuiltIn).expect("a test reads the built-in values");
    for section in built_in.entries() {
        match root.get_mut(&section.key) {
            None => root.set(&section.key, section.node.clone()),
            Some(school) if section.key == "school" && school.get("name").is_some() => {}
            Some(lines) if section.key == "lines" => {
                for line in lines.elements_mut() {
                    let same =
                        |known: &&Node| known.get("id").and_then(Node::text) == line.get("id").and_then(Node::text);
                    if let Some(known) = section.node.elements().iter().find(same) {
                        line.fill_from(&known.only(&["title", "audience"]));
                        if number(line).is_some() && number(line) == number(known) {
                            line.fill_from(&known.only(&["email"]));
                        }
                    }
                }
            }
            Some(table) => table.fill_from(&section.node),
        }
    }
}

fn number(line: &Node) -> Option<PhoneNumber> {
    PhoneNumber::parse(line.get("number")?.text()?).ok()
}

/// A line with hours of its own has the common ones where it is silent: holidays and overrides need no second copy.
fn inherit_hours(root: &mut Node) {
    let Some(common) = root.get("hours").cloned() else { return };
    for line in root.get_mut("lines").map(Node::elements_mut).unwrap_or_default() {
        if let Some(own) = line.get_mut("hours") {
            own.fill_from(&common);
        }
    }
}

fn whole_file(path: &Path, line: Option<usize>, what: String, instead: &str) -> Mistakes {
    let file = path.display().to_string();
    Mistakes(vec![Mistake { file, line, key: String::new(), what, instead: instead.to_owned() }])
}
