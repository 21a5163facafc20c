//! `perezvon webhook verify`: why was this webhook refused? Checks one request as the service would, from its parts.

use std::io::Write;
use std::path::PathBuf;

use super::cli::instant;
use crate::providers::RawRequest;
use crate::providers::asterisk::check_token;
use crate::providers::twiml::signature::Refused;
use crate::providers::twiml::{Signature, check_request, explain};
use crate::time::Timestamp;
use anyhow::{Context as _, bail};

/// The parts of the request. Its body is read byte for byte from standard input.
#[derive(clap::Args, Debug)]
pub struct VerifyArgs {
    /// twiml или asterisk, как в настройках
    #[arg(long, value_name = "ВИД")]
    pub kind: String,
    /// Кто подписывает, для twiml: twilio (и Somleng), signalwire или telnyx
    #[arg(long, value_name = "ПОДПИСЬ", default_value = "twilio")]
    pub signature: String,
    /// Файл с Auth Token, Signing Key, открытым ключом или токеном; во время смены можно несколько ключей, по одному в строке
    #[arg(long, value_name = "ФАЙЛ", required_unless_present = "secret")]
    pub secret_file: Option<PathBuf>,
    /// Сам ключ, можно несколько. Его видят все, кто работает на этой машине, и хранит история команд: лучше --secret-file
    #[arg(long, value_name = "КЛЮЧ")]
    pub secret: Vec<String>,
    /// Метод запроса
    #[arg(long, value_name = "МЕТОД", default_value = "POST")]
    pub method: String,
    /// Полный адрес, каким его знает оператор, со всем, что после «?»
    #[arg(long, value_name = "АДРЕС")]
    pub url: String,
    /// «Имя: значение», можно несколько: подпись и Content-Type, если это не форма
    #[arg(long = "header", value_name = "ЗАГОЛОВОК")]
    pub headers: Vec<String>,
    /// Когда пришёл запрос, если подпись устаревает, например 2026-11-20T19:30:00+03:00; по умолчанию сейчас
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    pub at: Option<Timestamp>,
}

/// Writes `accepted`, or `refused` with the reason and what to try. True: accepted.
///
/// # Errors
/// When the question itself cannot be understood: an unknown kind, a header without a colon.
pub fn run(args: &VerifyArgs, body: &[u8], now: Timestamp, out: &mut dyn Write) -> anyhow::Result<bool> {
    let request = request(args, body)?;
    let secrets = secrets(args)?;
    let now = args.at.unwrap_or(now);
    let check = |request: &RawRequest| match args.kind.as_str() {
        "twiml" => {
            let signature = signature(&args.signature)?;
            let checked = check_request(signature, &secrets, &args.url, request, now);
            let explained = |refused| explain(signature, &secrets, &args.url, request, refused);
            Ok(checked.map_err(|refused| reason(&explained(refused), args)))
        }
        "asterisk" => Ok(check_token(request, &secrets).map_err(|refused| refused.to_string())),
        "megafon_vats" | "mango" | "zadarma" | "voximplant" => {
            bail!("the kind {} is not built yet; twiml and asterisk are", args.kind)
        }
        other => bail!("there is no kind {other}; write twiml or asterisk"),
    };
    match check(&request)? {
        Ok(()) => writeln!(out, "accepted")?,
        Err(reason) => {
            writeln!(out, "refused: {reason}")?;
            if let Some(body) = without_line_end(&request.body)
                && check(&RawRequest { body, ..request })?.is_ok()
            {
                writeln!(out, "It fits without the line end after the body: the body has to come byte for byte.")?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

impl VerifyArgs {
    /// What is said beside the answer, if a secret stands on the command line.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.secret.is_empty()).then_some(
            "Внимание: ключ в командной строке видят все, кто работает на этой машине, и хранит история команд. \
             Запишите его в файл и укажите --secret-file ФАЙЛ.",
        )
    }
}

/// From the file, one a line, and from the command line.
fn secrets(args: &VerifyArgs) -> anyhow::Result<Vec<String>> {
    let mut secrets = args.secret.clone();
    if let Some(path) = &args.secret_file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("the file {} cannot be read", path.display()))?;
        let count = secrets.len();
        secrets.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        if secrets.len() == count {
            bail!("the file {} has no secret; write one a line", path.display());
        }
    }
    Ok(secrets)
}

fn request(args: &VerifyArgs, body: &[u8]) -> anyhow::Result<RawRequest> {
    let header = |line: &String| {
        let (name, value) =
            line.split_once(':').with_context(|| format!("«{line}» is no header; write 'Name: value'"))?;
        Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    Ok(RawRequest {
        method: args.method.to_ascii_uppercase(),
        target: String::new(),
        endpoint: String::new(),
        headers: args.headers.iter().map(header).collect::<anyhow::Result<_>>()?,
        body: body.to_vec().into(),
    })
}

fn signature(word: &str) -> anyhow::Result<Signature> {
    Ok(match word {
        "twilio" => Signature::Twilio,
        "signalwire" => Signature::SignalWire,
        "telnyx" => Signature::Telnyx,
        other => bail!("there is no signature {other}; write twilio, signalwire or telnyx"),
    })
}

/// The reason, with what helps at a terminal: the headers that were given, the whole address.
fn reason(refused: &Refused, args: &VerifyArgs) -> String {
    match refused {
        Refused::MissingHeader(_) => {
            let given: Vec<&str> = args.headers.iter().filter_map(|line| line.split(':').next()).collect();
            let given = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
            format!("{refused} (headers given: {given})")
        }
        Refused::WrongSignature { .. } => {
            format!("{refused}\nsigned address tried, with and without port: {}", args.url)
        }
        _ => refused.to_string(),
    }
}

/// What `echo` and editors put at the end of a saved body.
fn without_line_end(body: &bytes::Bytes) -> Option<bytes::Bytes> {
    let length = body.strip_suffix(b"\r\n").or(body.strip_suffix(b"\n"))?.len();
    Some(body.slice(..length))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: VerifyArgs,
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const BODY: &str = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&\
                        Caller=%2B14158675309";

    fn verify(arguments: &[&str], body: &str) -> anyhow::Result<(bool, String)> {
        let args = Command::try_parse_from([&["verify"], arguments].concat())?.args;
        let mut out = Vec::new();
        let accepted = run(&args, body.as_bytes(), NOW, &mut out)?;
        Ok((accepted, String::from_utf8(out)?))
    }

    fn twilio(url: &str, body: &str) -> (bool, String) {
        let header = "x-twilio-signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        verify(&["--kind", "twiml", "--secret", "12345", "--url", url, "--header", header], body).unwrap()
    }

    #[test]
    fn a_right_signature_is_accepted_and_a_wrong_one_explained() {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(twilio(url, BODY), (true, "accepted\n".to_owned()));
        for (url, body, words) in [
            ("http://mycompany.com/myapp.php?foo=1&bar=2", BODY.to_owned(), "it fits with https instead of http"),
            ("https://mycompany.com/other.php?foo=1&bar=2", BODY.to_owned(), "signed address tried"),
            (url, format!("{BODY}\n"), "line end"),
        ] {
            let (accepted, said) = twilio(url, &body);
            assert!(!accepted && said.starts_with("refused: ") && said.contains(words), "{said}");
            assert!(!said.contains("12345\n") && !said.contains("14158675309"), "{said}");
        }
    }

    /// Threat: a secret on the command line stands in the list of processes and in the history of the shell.
    #[test]
    fn secrets_come_from_a_file_and_on_the_command_line_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("secrets"), "old\n\n  12345  \n").unwrap();
        std::fs::write(path("empty"), " \n").unwrap();
        let header = "x-twilio-signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let check = |option: &str, value: &str| {
            verify(&["--kind", "twiml", option, value, "--url", url, "--header", header], BODY)
        };
        assert!(check("--secret-file", &path("secrets")).unwrap().0);
        for name in ["empty", "missing"] {
            let error = check("--secret-file", &path(name)).unwrap_err().to_string();
            assert!(error.contains(&path(name)) && !error.contains("12345"), "{error}");
        }
        let warning = |option: &str| {
            let args = Command::try_parse_from(["verify", "--kind", "twiml", "--url", url, option, "x"]).unwrap().args;
            args.warning()
        };
        assert_eq!(warning("--secret-file"), None);
        assert!(warning("--secret").unwrap().contains("--secret-file"));
        assert!(
            Command::try_parse_from(["verify", "--kind", "twiml", "--url", url]).is_err(),
            "one of the two is needed"
        );
    }

    #[test]
    fn a_missing_header_is_named_together_with_those_that_came() {
        let (accepted, said) = verify(
            &["--kind", "twiml", "--secret", "x", "--url", "https://a.example/", "--header", "X-Signature: x"],
            "",
        )
        .unwrap();
        assert!(!accepted && said.contains("X-Twilio-Signature is missing") && said.contains("X-Signature"), "{said}");
    }

    #[test]
    fn the_instant_of_a_telnyx_request_can_be_given() {
        let vectors = include_str!("../../tests/data/telnyx_signature_vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let case = &vectors["cases"][0];
        let text = |field: &str| case[field].as_str().unwrap();
        let signature = format!("telnyx-signature-ed25519: {}", text("telnyx_signature_ed25519"));
        let timestamp = format!("telnyx-timestamp: {}", text("telnyx_timestamp"));
        let mut arguments = vec!["--kind", "twiml", "--signature", "telnyx", "--url", "https://a.example/"];
        arguments.extend(["--secret", text("public_key"), "--header", &signature, "--header", &timestamp]);
        let (accepted, said) = verify(&arguments, text("body")).unwrap();
        assert!(!accepted && said.contains("in the future"), "{said}");
        arguments.extend(["--at", "2025-11-24T15:45:00Z"]);
        assert_eq!(verify(&arguments, text("body")).unwrap(), (true, "accepted\n".to_owned()));
    }

    #[test]
    fn a_bearer_token_is_compared() {
        let check = |header: &str| {
            let arguments =
                ["--kind", "asterisk", "--secret", "old", "--secret", "new", "--url", "/", "--header", header];
            verify(&arguments, "").unwrap().0
        };
        assert!(check("Authorization: Bearer new") && check("authorization: Bearer old"));
        assert!(!check("Authorization: Bearer ne") && !check("Authorization: new") && !check("X: y"));
    }

    #[test]
    fn a_question_that_cannot_be_understood_says_why() {
        for (kind, header, words) in [
            ("mango", "a: b", "not built yet"),
            ("twilio", "a: b", "there is no kind"),
            ("twiml", "ab", "is no header"),
        ] {
            let asked = verify(&["--kind", kind, "--secret", "x", "--url", "/", "--header", header], "");
            assert!(asked.unwrap_err().to_string().contains(words));
        }
    }
}
