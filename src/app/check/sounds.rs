//! The words of which greetings for an exchange are joined, in `perezvon check`.

use super::Report;
use crate::app::config::{Config, ProviderConfig};

impl Report {
    /// Only where there is an exchange to play them, or somebody wrote the folder down.
    pub(super) fn sounds(&mut self, config: &Config) {
        let has_exchange = config.providers.iter().any(|provider| matches!(provider, ProviderConfig::Asterisk(_)));
        let (sounds, is_configured) = (&config.prompts.sounds, config.prompts.is_configured);
        if !has_exchange && !is_configured {
            return;
        }
        let name = "Слова приветствий для своей АТС";
        let folder = sounds.folder().display();
        let found = sounds.vocabulary();
        let Some(first) = found.lacking.first() else {
            return match found.says_callback {
                true => self.good(format!("{name}: {folder}, дата перезвона произносится.")),
                false => self.good(format!(
                    "{name}: {folder}, дата перезвона произносится, но без слов «обратный звонок»: в этом выпуске пакета \
                     их не вырезать."
                )),
            };
        };
        let more = match found.lacking.len() {
            1 => String::new(),
            count => format!(", всего не хватает: {count}"),
        };
        let lacking = format!("{name}: в папке {folder} нет {first}{more}. Дату перезвона звонящий не услышит.");
        match is_configured {
            true => {
                self.bad(format!("{lacking} Поставьте пакет asterisk-core-sounds-ru-wav или исправьте prompts.sounds."))
            }
            false => self.fair(format!(
                "{lacking} Поставьте пакет asterisk-core-sounds-ru-wav или впишите папку в prompts.sounds."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::app::check::tests::report as whole_report;
    use crate::app::config::{self, Prompts};
    use crate::recordings::{Sounds, tone};

    const EXCHANGE: &str =
        "[[providers]]\nname = \"pbx\"\nkind = \"asterisk\"\ntokens = [\"tishe-vody-nizhe-travy\"]\n";

    fn of_default_folder(text: &str, folder: &Path) -> (bool, String) {
        let mut config = config::parse(text, None, []).unwrap();
        config.prompts = Prompts { sounds: Sounds::new(folder), is_configured: false };
        let mut report = Report { findings: Vec::new() };
        report.sounds(&config);
        let mut out = Vec::new();
        (report.write(&mut out).unwrap(), String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn words_that_are_missing_must_be_mended_where_their_folder_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hello.wav"), tone::wav_bytes(&[0; 8_000])).unwrap();
        let text = format!("[prompts]\nsounds = \"{}\"", folder.path().display());
        let (sound, text) = whole_report(&text, "2026-11-20T12:00:00Z", vec![]).await;
        assert!(!sound);
        assert!(text.contains("✗ Слова приветствий для своей АТС: в папке "), "{text}");
        assert!(text.contains("нет vm-nobodyavail.wav, всего не хватает: "), "{text}");
    }

    #[test]
    fn words_that_are_missing_where_they_usually_are_are_a_thought_for_those_who_have_an_exchange() {
        let folder = tempfile::tempdir().unwrap();
        let (sound, text) = of_default_folder(EXCHANGE, folder.path());
        assert!(sound && text.starts_with("! Слова приветствий для своей АТС: в папке "), "{text}");
        assert_eq!(of_default_folder("", folder.path()), (true, String::new()), "without one nobody plays them");
    }

    #[tokio::test]
    async fn words_that_are_there_are_told_in_one_line() {
        let text = "[prompts]\nsounds = \"/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU\"";
        let (sound, text) = whole_report(text, "2026-11-20T12:00:00Z", vec![]).await;
        assert!(sound, "{text}");
        assert!(text.contains("✓ Слова приветствий для своей АТС: /usr/share/"), "{text}");
        assert!(text.contains("sounds/ru_RU_f_IvrvoiceRU, дата перезвона произносится.\n"), "{text}");
    }
}
