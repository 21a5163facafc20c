//! The words of which greetings for an exchange are joined, in `perezvon check`.

use super::Report;
use crate::app::config::Prompts;

impl Report {
    /// The words of which greetings for an exchange are joined.
    pub(super) fn sounds(&mut self, prompts: &Prompts) {
        let name = "Слова для приветствий на своей АТС";
        let folder = prompts.sounds.folder().display();
        let found = prompts.sounds.vocabulary();
        let Some(first) = found.lacking.first() else {
            return match found.says_callback {
                true => self.good(format!("{name}: {folder}, дата перезвона произносится.")),
                false => self.good(format!(
                    "{name}: {folder}, дата перезвона произносится, но без слов «обратный звонок»: в этом выпуске пакета                      их не вырезать."
                )),
            };
        };
        let more = match found.lacking.len() {
            1 => String::new(),
            count => format!(", всего не хватает: {count}"),
        };
        let lacking = format!("{name}: в папке {folder} нет {first}{more}. Даты перезвона звонящий не услышит.");
        match prompts.is_configured {
            true => self.bad(format!(
                "{lacking} Поставьте пакет asterisk-core-sounds-ru-wav или исправьте prompts.sounds."
            )),
            false => self.fair(format!(
                "{lacking} Если звонки принимает своя АТС, поставьте пакет asterisk-core-sounds-ru-wav или впишите папку в \
                 prompts.sounds."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check::tests::report as whole_report;
    use crate::recordings::{Sounds, tone};

    #[tokio::test]
    async fn words_that_are_missing_must_be_mended_where_their_folder_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let hello = folder.path().join("hello.wav");
        std::fs::write(hello, tone::wav_bytes(&[0; 8_000])).unwrap();
        let text = format!("[prompts]\nsounds = \"{}\"", folder.path().display());
        let (sound, text) = whole_report(&text, "2026-11-20T12:00:00Z", vec![]).await;
        assert!(!sound);
        assert!(
            text.contains("✗ Слова для приветствий на своей АТС: в папке ")
                && text.contains("нет vm-nobodyavail.wav, всего"),
            "{text}"
        );
        let mut report = Report { findings: Vec::new() };
        let sounds = Sounds::new(&folder.path().join("none"));
        report.sounds(&Prompts { sounds, is_configured: false });
        let mut out = Vec::new();
        assert!(report.write(&mut out).unwrap(), "only a thought");
        assert!(String::from_utf8(out).unwrap().starts_with("! Слова для приветствий"));
    }

    #[tokio::test]
    async fn words_that_are_there_are_told_in_one_line() {
        let text = "[prompts]\nsounds = \"/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU\"";
        let (sound, text) = whole_report(text, "2026-11-20T12:00:00Z", vec![]).await;
        assert!(sound, "{text}");
        assert!(text.contains("sounds/ru_RU_f_IvrvoiceRU, дата перезвона произносится.\n"), "{text}");
    }
}
