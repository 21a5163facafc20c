//! The words of which greetings for an exchange are joined, in `perezvon check`.

use super::Report;
use crate::app::config::{Config, ProviderConfig};
use crate::recordings::SOUND_PACKAGE;

impl Report {
    /// Only where there is an exchange to play them, or somebody wrote the folder down.
    pub(super) fn sounds(&mut self, config: &Config) {
        let has_exchange = config.providers.iter().any(|provider| matches!(provider, ProviderConfig::Asterisk(_)));
        let (sounds, is_configured) = (&config.prompts.sounds, config.prompts.is_configured);
        if !has_exchange && !is_configured {
            return;
        }
        let name = "Слова приветствий для своей АТС";
        let Some(folder) = sounds.find() else {
            let lacking = format!("{name} не найдены, искали здесь: {sounds}. Дату перезвона звонящий не услышит.");
            return self.sounds_lack(&lacking, is_configured);
        };
        let (path, found) = (folder.path().display(), folder.vocabulary());
        let Some(first) = found.lacking.first() else {
            return match found.says_callback {
                true => self.good(format!("{name}: {path}, дата перезвона произносится.")),
                false => self.good(format!(
                    "{name}: {path}, дата перезвона произносится, но без слов «обратный звонок»: в этом выпуске пакета \
                     их не вырезать."
                )),
            };
        };
        let more = match found.lacking.len() {
            1 => String::new(),
            count => format!(", всего не хватает: {count}"),
        };
        let lacking = format!("{name}: в папке {path} нет {first}{more}. Дату перезвона звонящий может не услышать.");
        self.sounds_lack(&lacking, is_configured);
    }

    /// Where nobody wrote a folder down, a telephone without a spoken date is a telephone all the same.
    fn sounds_lack(&mut self, lacking: &str, is_configured: bool) {
        let package = format!("{lacking} Поставьте пакет: apt-get install {SOUND_PACKAGE}");
        match is_configured {
            true => self.bad(format!("{package}, или исправьте prompts.sounds.")),
            false => self.fair(format!("{package}, или впишите папку в prompts.sounds.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::app::check::tests::report as whole_report;
    use crate::app::config::{self, Prompts};
    use crate::recordings::{SoundFolder, Sounds, tone};

    const EXCHANGE: &str =
        "[[providers]]\nname = \"pbx\"\nkind = \"asterisk\"\ntokens = [\"tishe-vody-nizhe-travy\"]\n";

    fn of_default_folder(text: &str, folder: &Path) -> (bool, String) {
        let mut config = config::parse(text, None, []).unwrap();
        config.prompts = Prompts { sounds: Sounds::within([folder]), is_configured: false };
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
        let searched = format!("не найдены, искали здесь: {}.", folder.path().display());
        assert!(sound && text.starts_with("! Слова приветствий для своей АТС ") && text.contains(&searched), "{text}");
        assert!(text.contains("apt-get install asterisk-core-sounds-ru-wav, или впишите папку"), "{text}");
        assert_eq!(of_default_folder("", folder.path()), (true, String::new()), "without one nobody plays them");
    }

    #[tokio::test]
    async fn words_that_are_there_are_told_in_one_line() {
        let folder = SoundFolder::installed();
        let text = format!("[prompts]\nsounds = \"{}\"", folder.path().display());
        let (sound, text) = whole_report(&text, "2026-11-20T12:00:00Z", vec![]).await;
        assert!(sound, "{text}");
        let taken =
            format!("✓ Слова приветствий для своей АТС: {}, дата перезвона произносится.\n", folder.path().display());
        assert!(text.contains(&taken), "{text}");
    }
}
