//! What the command line says to whoever asks for help or makes a mistake. clap writes both in English: its help gets
//! Russian words, and of its errors only the kind and the context are taken.

use std::error::Error as _;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};

use super::Cli;

const HELP: &str = "{about-with-newline}\nКак вызывать: {usage}\n\n{all-args}{after-help}";
/// Words in clap's help that no template reaches.
const HELP_WORDS: [(&str, &str); 3] =
    [("[OPTIONS]", "[ПАРАМЕТРЫ]"), ("[default: ", "[по умолчанию: "), ("[possible values: ", "[возможно: ")];
/// The beginning of the usage in the context of an error.
const USAGE: &str = "Usage: ";

/// The command line as it was typed. `Err`: help, the version or a mistake has been printed, and the process ends with this
/// status: 0 after what was asked for, 2 after a mistake.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    try_parse(words).map_err(|error| {
        let text = text_of(&error);
        // Unlike the macros these do not panic where nobody reads.
        let _ = if error.use_stderr() {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            std::io::stdout().write_all(text.as_bytes())
        };
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

fn try_parse<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Cli, clap::Error> {
    let matches = with_russian_help(Cli::command()).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

fn with_russian_help(command: Command) -> Command {
    command
        .help_template(HELP)
        .subcommand_help_heading("Команды")
        .subcommand_value_name("КОМАНДА")
        .mut_args(|arg| arg.help_heading("Параметры"))
        .mut_subcommands(with_russian_help)
}

/// The help, the version, or what is wrong and how the command is called.
fn text_of(error: &clap::Error) -> String {
    let is_asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::DisplayVersion
    );
    if is_asked_for {
        return in_russian(&error.render().to_string());
    }
    let mut text = sentence(error);
    text.push('\n');
    if let Some(suggestion) = suggestion(error) {
        text.push_str(&format!("Может быть, {suggestion}?\n"));
    }
    if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
        let usage = in_russian(&usage.to_string());
        text.push_str(&format!("\nКак вызывать: {}\n", usage.trim().trim_start_matches(USAGE)));
    }
    text.push_str("Подробнее: то же с параметром --help\n");
    text
}

fn in_russian(help: &str) -> String {
    HELP_WORDS.iter().fold(help.to_owned(), |help, (english, russian)| help.replace(english, russian))
}

/// What is wrong, with a full stop.
fn sentence(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(listed).unwrap_or_default();
    let (arg, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::UnknownArgument if arg.starts_with('-') => format!("Нет параметра {arg}."),
        ErrorKind::UnknownArgument => format!("Лишнее слово «{arg}»."),
        ErrorKind::InvalidSubcommand => format!("Нет команды «{}».", context(ContextKind::InvalidSubcommand)),
        ErrorKind::MissingSubcommand => {
            format!("Не названа команда. Возможно: {}.", context(ContextKind::ValidSubcommand))
        }
        ErrorKind::MissingRequiredArgument => format!("Не хватает: {arg}."),
        ErrorKind::InvalidValue if value.is_empty() => format!("У {arg} нет значения."),
        ErrorKind::InvalidValue => {
            format!("Значение «{value}» для {arg} не подходит. Возможно: {}.", context(ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("Значение «{value}» для {arg} не подходит{reason}.")
        }
        ErrorKind::ArgumentConflict => match context(ContextKind::PriorArg) {
            prior if prior == arg => format!("{arg} можно указать только один раз."),
            prior => format!("{arg} не указывают вместе с {prior}."),
        },
        ErrorKind::TooManyValues => format!("Лишнее значение «{value}» у {arg}."),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("У {arg} не столько значений, сколько нужно.")
        }
        ErrorKind::NoEquals => format!("После {arg} нужен знак равенства и значение."),
        ErrorKind::InvalidUtf8 => "Одно из слов записано не в UTF-8.".to_owned(),
        _ => "Команду не удалось прочитать.".to_owned(),
    }
}

/// The nearest name that there is.
fn suggestion(error: &clap::Error) -> Option<String> {
    [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .map(listed)
        .find(|names| !names.is_empty())
}

fn listed(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(names) => names.join(", "),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed, and the exit status.
    fn printed(words: &str) -> (String, i32) {
        let error = try_parse(words.split(' ')).unwrap_err();
        (text_of(&error), error.exit_code())
    }

    #[test]
    fn mistakes_of_the_command_line_are_told_in_russian() {
        for (words, told) in [
            ("perezvon serve --unknown", "Нет параметра --unknown.\n\nКак вызывать: perezvon serve [ПАРАМЕТРЫ]\n"),
            ("perezvon serve --rehearse 1", "Нет параметра --rehearse.\nМожет быть, --rehearse-at?\n"),
            ("perezvon serv", "Нет команды «serv».\nМожет быть, serve?\n"),
            ("perezvon officer ad", "Нет команды «ad».\nМожет быть, add?\n"),
            ("perezvon serve now", "Лишнее слово «now».\n"),
            ("perezvon officer --config её", "Не названа команда. Возможно: add, list, reset, disable.\n"),
            (
                "perezvon officer add Мадина --login m --role boss",
                "Значение «boss» для --role <РОЛЬ> не подходит: нужна роль observer, officer, senior или admin.\n",
            ),
            ("perezvon hours", "Не хватает: --at <RFC3339>.\n"),
            ("perezvon officer add Мадина", "Не хватает: --login <ЛОГИН>, --role <РОЛЬ>.\n"),
            ("perezvon replay", "Не хватает: <--into <БАЗА>|--spool <ФАЙЛ>>.\n"),
            ("perezvon serve --rehearse-at", "У --rehearse-at <RFC3339> нет значения.\n"),
            (
                "perezvon serve --rehearse-at вчера",
                "Значение «вчера» для --rehearse-at <RFC3339> не подходит: напишите время",
            ),
            (
                "perezvon token revoke мой",
                "Значение «мой» для <НОМЕР> не подходит: нужен номер из perezvon token list.\n",
            ),
            ("perezvon hours --stdin --at 1", "--stdin не указывают вместе с --at <RFC3339>.\n"),
            ("perezvon hours --at 1 --at 2", "--at <RFC3339> можно указать только один раз.\n"),
            ("perezvon hours --json=yes", "Лишнее значение «yes» у --json.\n"),
        ] {
            let (text, status) = printed(words);
            assert!(text.starts_with(told), "{words}: {text}");
            assert!(text.ends_with("Подробнее: то же с параметром --help\n"), "{words}: {text}");
            assert_eq!(status, 2, "{words}");
        }
    }

    #[test]
    fn unknown_kind_of_mistake_is_told_in_russian() {
        let text = text_of(&clap::Error::new(ErrorKind::Io));
        assert_eq!(text, "Команду не удалось прочитать.\nПодробнее: то же с параметром --help\n");
    }

    #[test]
    fn help_that_was_asked_for_is_no_mistake() {
        let asked = ["perezvon --help", "perezvon serve -h", "perezvon --version"];
        assert_eq!(asked.map(|words| printed(words).1), [0; 3]);
        let (text, status) = printed("perezvon");
        assert!(text.contains("Как вызывать: perezvon") && text.contains("Команды:"), "{text}");
        assert_eq!(status, 2, "nothing was asked for");
    }

    /// Names that stand in Russian sentences: of programs, formats, roles and values, beside those of the commands.
    const NAMES: &str = "API Asterisk Auth Content-Type ID JSON Key N POST Signing Somleng Token accepted admin asterisk kind \
        observer postgres senior signalwire telnyx twilio twiml";

    /// The English words of a help page that name nothing: a word of letters that is neither a parameter nor a name.
    fn english_words<'a>(text: &'a str, names: &[&str]) -> Vec<&'a str> {
        text.split_whitespace()
            .map(|word| word.trim_start_matches(['<', '[', '(']))
            .filter(|word| !word.starts_with('-'))
            .map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()))
            .filter(|word| !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '-'))
            .filter(|word| !names.contains(word))
            .collect()
    }

    fn command_names(command: &Command) -> Vec<&str> {
        let below = command.get_subcommands().flat_map(command_names);
        std::iter::once(command.get_name()).chain(below).collect()
    }

    /// `perezvon officer add: the`, for each help page from this one down.
    fn english_of(command: &Command, path: &str, names: &[&str], found: &mut Vec<String>) {
        let (text, _) = printed(&format!("{path} --help"));
        found.extend(english_words(&text, names).iter().map(|word| format!("{path}: {word}")));
        for subcommand in command.get_subcommands() {
            english_of(subcommand, &format!("{path} {}", subcommand.get_name()), names, found);
        }
    }

    #[test]
    fn no_help_page_has_english_words() {
        let (command, mut found) = (Cli::command(), Vec::new());
        let names: Vec<&str> = NAMES.split(' ').chain(command_names(&command)).collect();
        english_of(&command, "perezvon", &names, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn english_words_beside_russian_ones_are_seen() {
        let page = "Usage: perezvon serve [OPTIONS] --at <TIME>\n  --json  Печатать the answer в JSON, [default: 0.25]";
        assert_eq!(
            english_words(page, &["perezvon", "serve", "JSON"]),
            ["Usage", "OPTIONS", "TIME", "the", "answer", "default"]
        );
    }
}
