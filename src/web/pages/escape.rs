//! How the texts of people get into pages: as text and never as markup, and each read in its own order, or the name of one caller
//! could turn round the number of the next.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};

use crate::core::written_text::changes_direction;

/// The escaping of all templates, named in `askama.toml`.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::web) struct Page;

impl Escaper for Page {
    fn write_escaped_str<W: Write>(&self, mut to: W, text: &str) -> fmt::Result {
        text.split(changes_direction).try_for_each(|piece| Html.write_escaped_str(&mut to, piece))
    }

    fn write_escaped_char<W: Write>(&self, to: W, c: char) -> fmt::Result {
        if changes_direction(c) { Ok(()) } else { Html.write_escaped_char(to, c) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threat: a name that shows another number than the one that is dialled.
    #[test]
    fn page_has_no_markup_and_no_turn_of_anybody() {
        let mut page = String::new();
        Page.write_escaped_str(&mut page, "\u{202e}<b>&\"'\u{2066}Ан\u{2069}на").unwrap();
        "\u{202e}<".chars().for_each(|c| Page.write_escaped_char(&mut page, c).unwrap());
        assert_eq!(page, "&#60;b&#62;&#38;&#34;&#39;Анна&#60;");
    }
}
