//! `perezvon hours`: what the working calendar says about an instant, for people, programs and tests from outside.

mod in_words;

use std::io::{BufRead, Write};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::core::calendar::{Calendar, Hours, HoursError, Question, WorkingHours};
use crate::time::Timestamp;

/// Ответить, рабочее ли время, почему, когда следующее и к какому сроку нужен ответ.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct HoursArgs {
    /// Линия, о часах которой вопрос; без неё — часы школы
    #[arg(long, value_name = "ID")]
    pub line: Option<String>,
    /// Момент времени, например 2026-11-20T19:30:00+03:00
    #[arg(long, value_name = "RFC3339", required_unless_present = "stdin", conflicts_with = "stdin")]
    pub at: Option<String>,
    /// Срок в рабочих часах, можно дробных (0.25); можно несколько
    #[arg(long, value_name = "N", num_args = 1.., conflicts_with = "stdin")]
    pub due_hours: Vec<String>,
    /// Срок в рабочих днях; можно несколько
    #[arg(long, value_name = "N", num_args = 1.., conflicts_with = "stdin")]
    pub due_working_days: Vec<String>,
    /// Сосчитать рабочее время до этого момента; можно несколько
    #[arg(long, value_name = "RFC3339", num_args = 1.., conflicts_with = "stdin")]
    pub until: Vec<String>,
    /// Ответить в JSON
    #[arg(long)]
    pub json: bool,
    /// Читать вопросы со стандартного ввода, по одному JSON в строке: {"at":…,"due_hours":[…],"due_working_days":[…],"until":[…]}
    #[arg(long)]
    pub stdin: bool,
}

/// Answers one question of the command line, or every line of `input`.
///
/// # Errors
/// A question that cannot be read. With `--stdin` such a line is answered with `{"error":…}` and the error comes at the
/// end, after all other lines are answered.
pub fn run(
    args: &HoursArgs,
    calendar: &Calendar,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    if args.stdin {
        return answer_lines(calendar, input, output);
    }
    let question = question_of_args(args)?;
    if args.json {
        writeln!(output, "{}", serde_json::to_string(&calendar.reply(&question))?)?;
    } else {
        write!(output, "{}", in_words::reply(calendar, &question))?;
    }
    Ok(())
}

fn answer_lines(calendar: &Calendar, input: &mut dyn BufRead, output: &mut dyn Write) -> anyhow::Result<()> {
    let (mut line, mut unreadable) = (Vec::new(), 0_u64);
    while input.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            let reply = answer_line(calendar, &line).unwrap_or_else(|error| {
                unreadable += 1;
                serde_json::json!({"error": format!("{error:#}")}).to_string()
            });
            writeln!(output, "{reply}")?;
            // Whoever asks line by line waits for the answer.
            output.flush()?;
        }
        line.clear();
    }
    if unreadable > 0 {
        bail!("не удалось разобрать строк: {unreadable}; причина каждой — в её ответе");
    }
    Ok(())
}

fn answer_line(calendar: &Calendar, line: &[u8]) -> anyhow::Result<String> {
    let request: Value = serde_json::from_slice(line).context("строка не читается как JSON")?;
    let question = question_of_json(&request)?;
    let reply = match request.get("config") {
        None | Some(Value::Null) => calendar.reply(&question),
        Some(config) => Calendar::new(hours_of_sample(config)?).reply(&question),
    };
    Ok(serde_json::to_string(&reply)?)
}

/// The hours of a request from outside. Those of the sample cases carry a `note` for their readers.
fn hours_of_sample(config: &Value) -> anyhow::Result<Hours> {
    let mut config = config.clone();
    if let Some(config) = config.as_object_mut() {
        config.remove("note");
    }
    Hours::from_json(&config).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(HoursError::to_string).collect();
        anyhow::anyhow!("config: {}", mistakes.join("; "))
    })
}

fn question_of_args(args: &HoursArgs) -> anyhow::Result<Question> {
    let at = args.at.as_deref().context("не указан момент: --at 2026-11-20T19:30:00+03:00")?;
    Ok(Question {
        at: instant(at).context("--at")?,
        due_hours: named(&args.due_hours, working_hours).context("--due-hours")?,
        due_working_days: named(&args.due_working_days, working_days).context("--due-working-days")?,
        until: named(&args.until, instant).context("--until")?,
    })
}

fn question_of_json(request: &Value) -> anyhow::Result<Question> {
    let request = request.as_object().context("нужен объект вида {\"at\":\"2026-11-20T19:30:00+03:00\"}")?;
    let texts = |key: &str| texts(request.get(key)).with_context(|| key.to_owned());
    let at = request
        .get("at")
        .and_then(Value::as_str)
        .context("at: нужен момент, например \"2026-11-20T19:30:00+03:00\"")?;
    Ok(Question {
        at: instant(at).context("at")?,
        due_hours: named(&texts("due_hours")?, working_hours).context("due_hours")?,
        due_working_days: named(&texts("due_working_days")?, working_days).context("due_working_days")?,
        until: named(&texts("until")?, instant).context("until")?,
    })
}

/// Each text once, with what it means.
fn named<T>(texts: &[String], read: fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Vec<(String, T)>> {
    let mut read_texts: Vec<(String, T)> = Vec::with_capacity(texts.len());
    for text in texts {
        if read_texts.iter().all(|(known, _)| known != text) {
            read_texts.push((text.clone(), read(text)?));
        }
    }
    Ok(read_texts)
}

/// The numbers and texts of a list, as they were written.
fn texts(list: Option<&Value>) -> anyhow::Result<Vec<String>> {
    let list = match list {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(list) => list.as_array().context("нужен список")?,
    };
    let text = |value: &Value| match value {
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        other => bail!("{other} — не число и не момент времени"),
    };
    list.iter().map(text).collect()
}

fn instant(text: &str) -> anyhow::Result<Timestamp> {
    text.parse()
        .map_err(|_| anyhow::anyhow!("«{text}» — не момент времени; напишите, например, 2026-11-20T19:30:00+03:00"))
}

fn working_hours(text: &str) -> anyhow::Result<WorkingHours> {
    Ok(text.parse()?)
}

fn working_days(text: &str) -> anyhow::Result<u32> {
    text.parse().map_err(|_| anyhow::anyhow!("«{text}» — не число дней; напишите целое число, например 3"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        hours: HoursArgs,
    }

    fn asked(arguments: &[&str], input: &str) -> (String, anyhow::Result<()>) {
        let command = Command::try_parse_from([&["hours"], arguments].concat()).expect("good arguments");
        let mut output = Vec::new();
        let calendar = Calendar::new(Hours::default());
        let result = run(&command.hours, &calendar, &mut input.as_bytes(), &mut output);
        (String::from_utf8(output).expect("text"), result)
    }

    fn reply(line: &str) -> Value {
        let (output, result) = asked(&["--stdin"], line);
        result.expect("an answer");
        serde_json::from_str(&output).expect("JSON")
    }

    /// The same answer, if instants are compared as instants and not by the offset they are written with.
    fn as_instants(value: &Value) -> Value {
        match value {
            Value::String(text) => match text.parse::<Timestamp>() {
                Ok(instant) => json!(instant.to_string()),
                Err(_) => value.clone(),
            },
            Value::Array(values) => values.iter().map(as_instants).collect(),
            Value::Object(values) => values.iter().map(|(key, value)| (key.clone(), as_instants(value))).collect(),
            _ => value.clone(),
        }
    }

    #[test]
    fn all_sample_cases_are_answered_as_expected() {
        let samples: Value = serde_json::from_str(include_str!("../../tests/data/calendar_cases.json")).expect("cases");
        let cases = samples["cases"].as_array().expect("a list");
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        let mut wrong = Vec::new();
        for case in cases {
            let (config, expect) = (&samples["configs"][case["config"].as_str().expect("a name")], &case["expect"]);
            let request = json!({"config": config, "at": case["at"], "due_hours": keys(&expect["due_hours"]),
                "due_working_days": keys(&expect["due_working_days"]), "until": keys(&expect["working_ms_until"])});
            let reply = reply(&request.to_string());
            if as_instants(&reply) != as_instants(expect) {
                wrong.push(format!("{}\n  expected {expect}\n  answered {reply}", case["id"]));
            } else if reply["local"] != expect["local"] {
                wrong.push(format!("{}: written {} instead of {}", case["id"], reply["local"], expect["local"]));
            }
        }
        assert_eq!(cases.len(), 387);
        assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    }

    #[test]
    fn a_question_of_the_command_line_is_answered_in_the_order_of_the_samples() {
        let (output, result) = asked(
            &[
                "--at",
                "2024-07-16T05:59:59.999Z",
                "--due-hours",
                "2",
                "0.25",
                "--due-hours",
                "2.0",
                "--json",
                "--due-working-days",
                "10",
                "--until",
                "2024-07-17T00:00:00+03:00",
                "2024-07-01T00:00:00Z",
            ],
            "",
        );
        result.expect("an answer");
        let expected = concat!(
            r#"{"open":false,"local":"2024-07-16T08:59:59.999+03:00","day_rule":"workday","shortened":false,"#,
            r#""time_state":"before_opening","current_period":null,"#,
            r#""next_period":{"start":"2024-07-16T09:00:00+03:00","end":"2024-07-16T18:00:00+03:00"},"#,
            r#""due_hours":{"2":"2024-07-16T11:00:00+03:00","0.25":"2024-07-16T09:15:00+03:00","2.0":"2024-07-16T11:00:00+03:00"},"#,
            r#""due_working_days":{"10":"2024-07-30T18:00:00+03:00"},"#,
            r#""working_ms_until":{"2024-07-17T00:00:00+03:00":32400000,"2024-07-01T00:00:00Z":0}}"#,
            "\n"
        );
        assert_eq!(output, expected);
    }

    #[test]
    fn absent_terms_are_empty_objects() {
        let answer = reply(r#"{"at":"2026-11-23T12:00:00+03:00","due_hours":null}"#);
        assert_eq!((&answer["due_hours"], &answer["due_working_days"]), (&json!({}), &json!({})));
        assert_eq!(answer["working_ms_until"], json!({}));
    }

    #[test]
    fn a_number_names_its_answer_as_it_was_written() {
        let answer = reply(r#"{"at":"2026-11-23T09:00:00+03:00","due_hours":[0.25,2,"9.0",2],"due_working_days":[0]}"#);
        let keys: Vec<_> = answer["due_hours"].as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["0.25", "2", "9.0"]);
        assert_eq!(answer["due_working_days"], json!({"0": "2026-11-23T18:00:00+03:00"}));
    }

    #[test]
    fn a_bad_line_is_answered_with_an_error_and_the_rest_goes_on() {
        let good = r#"{"at":"2026-11-23T12:00:00+03:00"}"#;
        let bad = [
            "{",
            "[]",
            "{}",
            r#"{"at":"вчера"}"#,
            r#"{"at":"2026-11-23T12:00:00"}"#,
            r#"{"at":"2026-11-23T12:00:00+03:00","due_hours":[-1]}"#,
            r#"{"at":"2026-11-23T12:00:00+03:00","due_working_days":[1.5]}"#,
            r#"{"at":"2026-11-23T12:00:00+03:00","until":"2026-11-24T12:00:00+03:00"}"#,
            r#"{"at":"2026-11-23T12:00:00+03:00","config":{"timezone":"Mars/Olympus"}}"#,
        ];
        let (output, result) = asked(&["--stdin"], &format!("{good}\n\n{}\n{good}", bad.join("\r\n")));
        let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), bad.len() + 2);
        let is_error = |line: &Value| line["error"].as_str().is_some_and(|error| !error.is_empty());
        assert!(lines[1..=bad.len()].iter().all(is_error), "{output}");
        assert!(!is_error(&lines[0]) && !is_error(&lines[bad.len() + 1]), "{output}");
        assert!(result.is_err());
    }

    #[test]
    fn an_offset_of_odd_seconds_is_rounded_without_moving_the_instant() {
        let answer = reply(r#"{"at":"1900-01-01T00:00:00Z","config":{"holidays":[]}}"#);
        assert_eq!(answer["local"], "1900-01-01T02:30:00+02:30", "Moscow was 2:30:17 ahead");
    }

    #[test]
    fn a_question_that_cannot_be_read_names_its_flag() {
        let (_, result) = asked(&["--at", "2026-11-23T12:00:00+03:00", "--due-hours", "восемь"], "");
        assert!(format!("{:#}", result.expect_err("a mistake")).starts_with("--due-hours: "));
        assert!(Command::try_parse_from(["hours"]).is_err(), "an instant is needed");
    }
}
