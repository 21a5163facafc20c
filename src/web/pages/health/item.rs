//! A line of the page: a sign, a title, a sentence, and what to do.

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Good,
    Fair,
    Bad,
}

impl Mark {
    /// Of the whole page.
    pub fn verdict(self) -> &'static str {
        match self {
            Self::Good => "Всё работает",
            Self::Fair => "Есть замечания",
            Self::Bad => "Не работает",
        }
    }

    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "bad",
        }
    }
}

/// One thing that may be well or not.
pub(super) struct Item {
    pub mark: Mark,
    pub title: String,
    pub text: String,
    /// «Что делать».
    pub remedy: &'static str,
}

impl Item {
    pub fn good(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mark: Mark::Good, title: title.into(), text: text.into(), remedy: "" }
    }

    pub fn fair(title: impl Into<String>, text: impl Into<String>, remedy: &'static str) -> Self {
        Self { mark: Mark::Fair, title: title.into(), text: text.into(), remedy }
    }

    pub fn bad(title: impl Into<String>, text: impl Into<String>, remedy: &'static str) -> Self {
        Self { mark: Mark::Bad, title: title.into(), text: text.into(), remedy }
    }

    pub fn sign(&self) -> &'static str {
        match self.mark {
            Mark::Good => "✓",
            Mark::Fair => "!",
            Mark::Bad => "✗",
        }
    }

    pub fn class(&self) -> &'static str {
        self.mark.class()
    }

    pub fn spoken(&self) -> &'static str {
        match self.mark {
            Mark::Good => "в порядке",
            Mark::Fair => "замечание",
            Mark::Bad => "не работает",
        }
    }
}
