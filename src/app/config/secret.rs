//! One secret: a key, or a file that another key names.

use super::mistakes::{Notes, reason};
use super::providers::ReadFile;
use super::section::Section;

/// The text of `key` or of the file that `key_file` names; one of them at most. The path is not quoted in mistakes: sooner
/// or later somebody writes the secret itself there. `what` names it in the genitive: «пароля».
pub(super) fn secret(
    section: &Section<'_>,
    key: &str,
    what: &str,
    read_file: ReadFile<'_>,
    notes: &mut Notes,
) -> Option<String> {
    let file_key = format!("{key}_file");
    let own = section.text(key);
    let Some(file) = section.text(&file_key) else {
        if own == Some("") {
            notes.add(&section.at(key), "значение пустое", format!("Впишите его или уберите {key}"));
        }
        return own.filter(|text| !text.is_empty()).map(str::to_owned);
    };
    let at = section.at(&file_key);
    if own.is_some() {
        notes.add(&at, format!("заданы и {key}, и {file_key}"), "Оставьте одно из двух");
        return None;
    }
    match read_file(file) {
        Ok(text) => {
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.lines().count() > 1 {
                notes.add(&at, format!("в файле {what} не одна строка"), "Запишите в него одну строку");
                return None;
            }
            Some(text.to_owned())
        }
        Err(error) => {
            let told = format!("файл {what} не читается: {}", reason(&error));
            notes.add(&at, told, "Проверьте путь (он от текущей папки) и права: файл должна читать служба");
            None
        }
    }
}
