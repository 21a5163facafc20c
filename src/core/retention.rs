//! How long the school keeps personal data. Every term is unset until the school has decided.

/// Of a year; so that no term ends before its year does.
const YEAR_DAYS: u32 = 366;

/// The school's terms; `None`: kept without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Sound of messages, with their words and picture.
    pub audio_days: Option<u32>,
    /// Numbers, names and notes of callers.
    pub numbers_days: Option<u32>,
    /// Numbers in the raw requests of providers.
    pub deliveries_days: Option<u32>,
    /// Calls and callbacks altogether.
    pub statistics_years: Option<u32>,
}

impl Terms {
    /// What is kept, the key, the unit and the term, in the order of the configuration.
    fn each(&self) -> [(&'static str, &'static str, &'static str, Option<u32>); 4] {
        [
            ("звук сообщений", "audio_days", "дн.", self.audio_days),
            ("номера и заметки", "numbers_days", "дн.", self.numbers_days),
            ("номера в запросах операторов", "deliveries_days", "дн.", self.deliveries_days),
            ("звонки и обращения", "statistics_years", "г.", self.statistics_years),
        ]
    }

    /// After how many days calls and callbacks go altogether.
    pub fn days_of_statistics(&self) -> Option<u32> {
        self.statistics_years.map(|years| years.saturating_mul(YEAR_DAYS))
    }

    /// After how many days sound goes: at the latest with its call.
    pub fn days_of_audio(&self) -> Option<u32> {
        self.audio_days.into_iter().chain(self.days_of_statistics()).min()
    }

    /// After how many days numbers go: at the latest with their calls, which leave none behind elsewhere.
    pub fn days_of_numbers(&self) -> Option<u32> {
        self.numbers_days.into_iter().chain(self.days_of_statistics()).min()
    }

    /// After how many days numbers go out of the raw requests: at the latest with the others.
    pub fn days_of_deliveries(&self) -> Option<u32> {
        self.deliveries_days.into_iter().chain(self.days_of_numbers()).min()
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// «звук сообщений (audio_days), номера (numbers_days)»: what the school has not decided about; empty if nothing.
    pub fn undecided_words(&self) -> String {
        let undecided = self.each().into_iter().filter(|(_, _, _, term)| term.is_none());
        undecided.map(|(what, key, _, _)| format!("{what} ({key})")).collect::<Vec<_>>().join(", ")
    }

    /// «звук сообщений 90 дн., номера 365 дн.»: what it has decided.
    pub fn in_words(&self) -> String {
        let decided =
            self.each().into_iter().filter_map(|(what, _, unit, term)| Some(format!("{what} {} {unit}", term?)));
        decided.collect::<Vec<_>>().join(", ")
    }
}
