//! What is wrong in the configuration: all of it at once, each with its place and what to write instead.

use std::{fmt, io};

use super::tree::Place;
use crate::recordings::{Damaged, KeyError};

/// One mistake. No field ever holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file as it was named, or «переменная окружения PEREZVON_…», or «встроенные настройки».
    pub file: String,
    /// From one. `None`: not tied to a line.
    pub line: Option<usize>,
    /// The key with its way from the root: `lines.parents.ring_seconds`, `hours.week.mon[0]`. Empty: the whole file.
    pub key: String,
    /// What is wrong, Russian, no full stop.
    pub what: String,
    /// What to write instead: a Russian sentence without its full stop.
    pub instead: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", строка {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ", {}", self.key)?;
        }
        write!(f, ": {}. {}.", self.what, self.instead)
    }
}

/// Every mistake of one configuration, in the order of the file. Displayed one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

/// What a mistake points at: a place in a file or the environment, and the key that stands there.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub place: Place,
    pub key: String,
}

/// Collects mistakes while the rest is read on.
pub(super) struct Notes {
    file: String,
    mistakes: Vec<Mistake>,
}

impl Notes {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), mistakes: Vec::new() }
    }

    pub fn add(&mut self, at: &At, what: impl Into<String>, instead: impl Into<String>) {
        let (file, line) = match &at.place {
            Place::File { line } => (self.file.clone(), *line),
            Place::Variable(name) => (format!("переменная окружения {name}"), None),
            Place::BuiltIn => ("встроенные настройки".to_owned(), None),
        };
        let mistake = Mistake { file, line, key: at.key.clone(), what: what.into(), instead: instead.into() };
        // Lines inherit from [hours]: what is wrong there is said once, not once more for every line.
        if !self.mistakes.iter().any(|known| same_spot(known, &mistake) && known.what == mistake.what) {
            self.mistakes.push(mistake);
        }
    }

    /// Whether something was already said about this key, a key above it or a key below it.
    pub fn has_one_about(&self, key: &str) -> bool {
        self.mistakes.iter().any(|known| is_above(&known.key, key) || is_above(key, &known.key))
    }

    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// `Ok` if nothing was noted.
    pub fn finish(mut self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() {
            return Ok(());
        }
        self.mistakes.sort_by_key(|mistake| (mistake.file != self.file, mistake.line));
        Err(Mistakes(self.mistakes))
    }
}

fn same_spot(a: &Mistake, b: &Mistake) -> bool {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    (&a.file, a.line) == (&b.file, b.line) && last(&a.key) == last(&b.key)
}

fn is_above(above: &str, key: &str) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A value quoted for a mistake: short, on one line, and without the password that an address may carry.
pub(super) fn shown(text: &str) -> String {
    let masked = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    };
    let mut short: String = masked.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if masked.chars().count() > 60 {
        short.push('…');
    }
    format!("«{short}»")
}

/// Why a file or folder could not be used, in Russian where the reason is a usual one.
pub fn reason(error: &io::Error) -> String {
    if let Some(error) = KeyError::of(error) {
        return error.in_russian().to_owned();
    }
    match error.kind() {
        _ if Damaged::is_in(error) => "зашифрованный файл обрезан или изменён".to_owned(),
        io::ErrorKind::NotFound => "нет такого файла или папки".to_owned(),
        io::ErrorKind::PermissionDenied => "нет прав".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "диск только для чтения".to_owned(),
        io::ErrorKind::StorageFull => "на диске нет места".to_owned(),
        io::ErrorKind::IsADirectory => "это папка".to_owned(),
        io::ErrorKind::NotADirectory => "на этом пути не папка, а файл".to_owned(),
        io::ErrorKind::InvalidData => "текст не в кодировке UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

/// The known word that a mistyped one is nearest to, if any is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_never_quoted() {
        assert_eq!(shown("postgress://school:pa@ss@db/calls"), "«postgress://…@db/calls»");
        assert_eq!(shown("две\nстроки"), "«две строки»");
    }

    #[test]
    fn a_word_far_from_all_known_ones_has_no_nearest() {
        assert_eq!(nearest("lisen", ["listen", "public_url"]), Some("listen"));
        assert_eq!(nearest("xyz", ["listen", "public_url"]), None);
    }
}
