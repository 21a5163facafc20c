//! `[transcription]`: the speech server that writes messages down. Without the section no sound leaves the house.

use super::mistakes::Notes;
use super::places::{base_url, is_loopback};
use super::providers::ReadFile;
use super::secret::secret;
use super::section::Section;
use super::tree::Node;
use crate::jobs::TranscriptionSettings;

/// `None`: no such section, or something was noted.
pub(super) fn transcription(root: &Node, read_file: ReadFile<'_>, notes: &mut Notes) -> Option<TranscriptionSettings> {
    let section = Section::of(root, "transcription")?;
    let example = "http://127.0.0.1:9000";
    let at = section.at("url");
    let url = section.required("url", example, notes).and_then(|text| base_url(text, &at, example, notes));
    let url = url.filter(|url| {
        let is_safe = url.scheme() == "https" || is_loopback(url);
        if !is_safe {
            let instead = "Напишите https://; http допустим только для этой же машины";
            notes.add(&at, "по http голос звонящего шёл бы открытым", instead);
        }
        is_safe
    });
    let model = section.required("model", "Systran/faster-whisper-small", notes);
    let token = secret(&section, "token", "ключа", read_file, notes);
    if let Some(token) = token.as_ref().filter(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
        let spaces = if token.contains(' ') {
            "в нём есть пробелы"
        } else {
            "в нём есть лишние знаки"
        };
        let key = if section.has("token") { "token" } else { "token_file" };
        notes.add(&section.at(key), format!("это не ключ: {spaces}"), "Скопируйте ключ целиком, без пробелов");
    }
    // The whole address of the interface is what some servers print.
    let url = url?.as_str().trim_end_matches('/').to_owned();
    let url = url.strip_suffix("/audio/transcriptions").unwrap_or(&url);
    let url = url.strip_suffix("/v1").unwrap_or(url).to_owned();
    Some(TranscriptionSettings { url, model: model?.to_owned(), token })
}
