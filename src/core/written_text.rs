//! Texts that people, callers and providers wrote, on their way to whoever reads them.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_its_own_order() {
        assert_eq!(in_order("Оценки\u{202e}txt.exe\u{202c} \u{2067}за год\u{2069}"), "Оценкиtxt.exe за год");
        assert_eq!(in_order("Петрова\u{a0}А.\nза\u{ad}пись"), "Петрова\u{a0}А.\nза\u{ad}пись");
    }

    #[test]
    fn text_in_one_line_begins_no_other_and_commands_no_terminal() {
        assert_eq!(in_one_line("Оценки\r\n✓ Стёрто\u{1b}[2J\u{202e}7"), "Оценки  ✓ Стёрто [2J7");
    }
}
