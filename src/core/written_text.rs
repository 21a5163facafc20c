//! Texts that people, callers and providers wrote, on their way to whoever reads them.

use serde_json::error::Category;

/// Whether this character turns round how the text beside it is read (Unicode's embeddings, overrides and isolates). No school's
/// text needs one, and whoever writes one makes a line say what it does not.
pub fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The text as it stands in a file or a letter: read in its own order. What else may not stand there is the writer's to know.
pub fn in_order(text: &str) -> String {
    text.chars().filter(|c| !changes_direction(*c)).collect()
}

/// The same in one line of a terminal or of somebody's file: it begins no line of its own and commands nothing.
pub fn in_one_line(text: &str) -> String {
    text.chars().filter(|c| !changes_direction(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a part of this program, or a library, says of its failure, up to what it quotes: that is the text it could not cope with.
pub fn before_quotes(message: &str) -> String {
    match message.split_once(['`', '"', '«']) {
        Some((before, _)) => format!("{before}…"),
        None => message.to_owned(),
    }
}

/// What is wrong with a JSON text, without a word of it.
pub fn json_error(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data => "a value of another kind than expected",
        Category::Eof => "it breaks off",
        Category::Io | Category::Syntax => "no JSON",
    };
    format!("{what} at line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threat: the words of a message, or a number, in the reason why they could not be read.
    #[test]
    fn json_that_cannot_be_read_is_not_quoted() {
        let error = serde_json::from_str::<u32>(" \"8 928 111-22-33\"").unwrap_err();
        assert!(error.to_string().contains("111-22-33"), "{error}");
        assert_eq!(json_error(&error), "a value of another kind than expected at line 1, column 18");
        let error = serde_json::from_str::<u32>("").unwrap_err();
        assert!(json_error(&error).starts_with("it breaks off at line 1"), "{error}");
    }

    #[test]
    fn text_is_read_in_its_own_order() {
        assert_eq!(in_order("Оценки\u{202e}txt.exe\u{202c} \u{2067}за год\u{2069}"), "Оценкиtxt.exe за год");
        assert_eq!(in_order("Петрова\u{a0}А.\nза\u{ad}пись"), "Петрова\u{a0}А.\nза\u{ad}пись");
    }

    /// Threat: a panic in the midst of a text writes it into the log.
    #[test]
    fn panic_is_logged_without_the_text_it_happened_in() {
        let panic =
            std::panic::catch_unwind(|| "Зулихан: 8 928 111-22-33"[..std::hint::black_box(1)].len()).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("Зулихан"), "{message}");
        let logged = before_quotes(message);
        assert!(!logged.contains("улихан") && logged.contains("is not a char boundary"), "{logged}");
        assert_eq!(before_quotes("a promise broken"), "a promise broken");
    }

    #[test]
    fn text_in_one_line_begins_no_other_and_commands_no_terminal() {
        assert_eq!(in_one_line("Оценки\r\n✓ Стёрто\u{1b}[2J\u{202e}7"), "Оценки  ✓ Стёрто [2J7");
    }
}
