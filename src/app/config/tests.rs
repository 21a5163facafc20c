use super::schema::{Key, ROOT, Shape};
use super::*;
use crate::core::calendar::WorkingHours;
use crate::core::dialing::DialingRules;
use crate::core::line::LineId;
use crate::jobs::MailSecurity;
use crate::providers::twiml::{Settings, Signature};

const EXAMPLE: &str = include_str!("../../../perezvon.example.toml");

const PROVIDER: &str = r#"[[providers]]
name = "twilio"
kind = "twiml"
account_sid = "AC1"
auth_tokens = ["pervyi-klyuch"]
"#;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let environment = environment.iter().map(|(name, value)| (format!("PEREZVON_{name}"), (*value).to_owned()));
    parse(text, Some(Path::new("perezvon.toml")), environment)
}

fn good(text: &str, environment: &[(&str, &str)]) -> Config {
    read(text, environment).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn mistakes(text: &str, environment: &[(&str, &str)]) -> Vec<Mistake> {
    read(text, environment).map(|_| ()).expect_err("mistakes").0
}

/// The one mistake of a text: its line, its key, and words of what it says.
fn says(text: &str, line: usize, key: &str, words: &[&str]) {
    let found = mistakes(text, &[]);
    let [mistake] = &found[..] else { panic!("{text}: {found:#?}") };
    assert_eq!((mistake.line, mistake.key.as_str()), (Some(line), key), "{mistake}");
    let sentence = mistake.to_string();
    assert!(sentence.starts_with(&format!("perezvon.toml, строка {line}, {key}: ")), "{sentence}");
    assert!(words.iter().all(|word| sentence.contains(word)), "{sentence} lacks one of {words:?}");
}

fn line(config: &Config, id: &str) -> crate::core::line::Line {
    config.lines.get(&LineId::new(id)).expect("the line").clone()
}

/// The first provider, of the family of TwiML.
fn twiml(config: &Config) -> (Settings, Option<String>) {
    match &config.providers[0] {
        ProviderConfig::Twiml { settings, api_token } => (settings.clone(), api_token.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_file_the_school_has_its_two_lines_and_its_hours() {
    let config = good("", &[]);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.storage.database, "sqlite:perezvon.db");
    assert_eq!(config.storage.recordings, Path::new("recordings"));
    assert!(config.providers.is_empty());
    let told = |id| {
        let line = line(&config, id);
        let number = line.number.expect("a number").e164().to_owned();
        (number, line.title, line.audience, line.ring.len(), line.ring_seconds, line.max_message_seconds)
    };
    assert_eq!(told("staff"), ("+79288036355".into(), "Сотрудники".into(), "сотрудникам".into(), 0, 20, 180));
    assert_eq!(told("parents"), ("+79288328088".into(), "Родители".into(), "родителям".into(), 0, 20, 180));
    assert_eq!(config.lines.iter().count(), 2);
    assert!(config.lines.iter().all(|line| line.response_term.is_none() && line.callback_without_message));
}

#[test]
fn the_example_is_without_mistakes_and_equals_the_defaults() {
    let (example, defaults) = (good(EXAMPLE, &[]), good("", &[]));
    assert_eq!(example.default_calendar.version(), defaults.default_calendar.version());
    assert_eq!(format!("{:?}", example.storage), format!("{:?}", defaults.storage));
    let lines = |config: &Config| format!("{:?}", config.lines.iter().collect::<Vec<_>>());
    assert_eq!(lines(&example), lines(&defaults));
}

#[test]
fn the_provider_of_the_example_works_once_its_marks_are_taken_away() {
    let (head, provider) = EXAMPLE.split_once("# [[providers]]").expect("the provider's section");
    let provider = provider.replace("\n# ", "\n");
    let config = good(&format!("{head}[[providers]]{provider}"), &[]);
    assert_eq!(config.providers[0].name(), "twilio");
}

#[test]
fn the_example_mentions_every_key() {
    fn look(keys: &[Key]) {
        for key in keys {
            let mentioned =
                EXAMPLE.contains(&format!("{} =", key.name)) || EXAMPLE.contains(&format!("[{}]", key.name));
            assert!(mentioned, "{} is not in the example", key.name);
            match key.shape {
                Shape::Table(keys) | Shape::Tables(keys) | Shape::Named { keys, .. } => look(keys),
                _ => {}
            }
        }
    }
    look(ROOT);
}

#[test]
fn a_slip_of_the_keyboard_is_told_with_line_and_column() {
    let found = mistakes("[server]\nlisten = \n", &[]);
    assert_eq!((found.len(), found[0].line), (1, Some(2)));
    assert!(found[0].what.contains("столбец"), "{}", found[0]);
    let twice = mistakes("[server]\n[storage]\n[server]", &[]);
    assert!(twice[0].line == Some(3) && twice[0].what.contains("уже был выше"), "{}", twice[0]);
}

#[test]
fn a_mistyped_key_names_the_nearest_one_wherever_it_is() {
    says("\n[server]\nlisen = \"x\"", 3, "server.lisen", &["Вероятно, имелось в виду listen", "public_url"]);
    says("[sever]\n", 1, "sever", &["server"]);
    says(
        "[[lines]]\nid = \"parents\"\nnumber = \"89288328088\"\nring_secods = 20",
        4,
        "lines.parents.ring_secods",
        &["ring_seconds"],
    );
    says(&format!("{PROVIDER}auth_token = \"x\""), 6, "providers.twilio.auth_token", &["auth_tokens"]);
    says("[hours.week]\nmnday = []", 2, "hours.week.mnday", &["mon"]);
}

#[test]
fn a_wrong_type_is_told_with_the_right_spelling() {
    says("[server]\nlisten = 8080", 2, "server.listen", &["целое число", "listen = \"…\""]);
    let head = "[[lines]]\nid = \"a\"\nnumber = \"89288328088\"\n";
    says(&format!("{head}ring = \"89281112233\""), 4, "lines.a.ring", &["ring = [\"…\", \"…\"]"]);
    says(&format!("{head}ring = [\n89281112233]"), 5, "lines.a.ring[0]", &["в кавычки"]);
    says(&format!("{head}ring_seconds = \"20\""), 4, "lines.a.ring_seconds", &["ring_seconds = 20"]);
    says(&format!("{head}callback_without_message = 1"), 4, "lines.a.callback_without_message", &["true"]);
    says("[lines]\nid = \"a\"", 1, "lines", &["[[lines]]"]);
    says("server = 1", 1, "server", &["[server]"]);
}

#[test]
fn addresses_are_checked() {
    says("[server]\nlisten = \":8080\"", 2, "server.listen", &["127.0.0.1:8080"]);
    says("[server]\nlisten = \"localhost:8080\"", 2, "server.listen", &["IP-адрес"]);
    let url = |text: &str, word: &str| {
        says(&format!("[server]\npublic_url = \"{text}\""), 2, "server.public_url", &[word, "https://"]);
    };
    url("calls.example.org", "не адрес");
    url("ftp://calls.example.org", "https:// или http://");
    url("https://calls.example.org/perezvon", "\"https://calls.example.org\"");
    url("https://calls.example.org?x=1", "?");
    let config = good("server.public_url = \"https://Calls.example.org/\"", &[]);
    assert_eq!(config.server.public_url, "https://calls.example.org");
    let config = good("server.listen = \"0.0.0.0:9000\"", &[]);
    assert_eq!(config.server.public_url, "http://127.0.0.1:9000");
}

#[test]
fn storage_is_a_known_database_and_a_folder() {
    says("[storage]\ndatabase = \"perezvon.db\"", 2, "storage.database", &["sqlite:perezvon.db"]);
    says("[storage]\ndatabase = \"mysql://u:tayna@db/x\"", 2, "storage.database", &["«mysql»", "postgres://"]);
    says("[storage]\ndatabase = \"sqlite:\"", 2, "storage.database", &["файл"]);
    says("[storage]\nrecordings = \"s3://bucket/x\"", 2, "storage.recordings", &["ка только папка"]);
    let config = good("storage.database = \"postgresql://u:tayna@db:5432/calls\"", &[]);
    assert_eq!(config.storage.database_shown(), "postgresql://db:5432/calls");
    assert_eq!(config.storage.database_file(), None);
    assert!(!format!("{config:?}").contains("tayna"));
    let file = |database: &str| good(&format!("storage.database = \"{database}\""), &[]).storage.database_file();
    assert_eq!(file("sqlite:///var/perezvon.db?mode=rwc"), Some("/var/perezvon.db".into()));
}

#[test]
fn lines_have_names_numbers_and_limits_of_their_own() {
    let one = |id: &str, rest: &str| format!("[[lines]]\nid = \"{id}\"\nnumber = \"8 928 832-80-88\"\n{rest}");
    says("[[lines]]\nid = \"a\"", 1, "lines.a.number", &["не хватает"]);
    says("[[lines]]\nid = \"a\"\nnumber = \"12\"", 3, "lines.a.number", &["«12»", "8 928 832-80-88"]);
    says(&one("unknown", ""), 2, "lines.unknown.id", &["занято"]);
    says(&one("родители", ""), 2, "lines[0].id", &["латинскими"]);
    says(&one("a", "ring_seconds = 4"), 4, "lines.a.ring_seconds", &["от 5 до 120"]);
    says(&one("a", "max_message_seconds = 601"), 4, "lines.a.max_message_seconds", &["от 10 до 600"]);
    let three_minutes = "ring_seconds = 60\nring = [\"89280000001\", \"89280000002\", \"89280000003\"]";
    says(&one("a", three_minutes), 5, "lines.a.ring", &["180 с", "120 с"]);
    for hours in ["0", "-1", "nan", "1e9"] {
        says(&one("a", &format!("response_term_hours = {hours}")), 4, "lines.a.response_term_hours", &["больше 0"]);
    }
    for (key, value, read) in [("ring_seconds", 5, 5), ("ring_seconds", 120, 120)] {
        assert_eq!(line(&good(&one("a", &format!("{key} = {value}")), &[]), "a").ring_seconds, read);
    }
    let config = good(&one("parents", "response_term_hours = 8\naliases = [\"8 871 222-22-22\", \"trunk-1\"]"), &[]);
    let parents = line(&config, "parents");
    assert_eq!(parents.response_term, Some(WorkingHours::from_hours(8)));
    assert_eq!(parents.aliases, ["+78712222222", "trunk-1"]);
    assert_eq!((parents.title.as_str(), parents.audience.as_str()), ("Родители", "родителям"));
    assert!(config.lines.regulation_reasons);
    assert!(!good("callbacks.regulation_reasons = false", &[]).lines.regulation_reasons);
    says("lines = []", 1, "lines", &["[[lines]]"]);
}

#[test]
fn no_number_belongs_to_two_lines_and_no_line_rings_itself() {
    let two = |second: &str| {
        format!("[[lines]]\nid = \"a\"\nnumber = \"89288328088\"\naliases = [\"Trunk\"]\n[[lines]]\n{second}")
    };
    says(&two("id = \"b\"\nnumber = \"+7 928 832 80 88\""), 7, "lines.b.number", &["lines.a"]);
    says(&two("id = \"b\"\nnumber = \"89288036355\"\naliases = [\"trunk\"]"), 8, "lines.b.aliases[0]", &["lines.a"]);
    says(&two("id = \"A\"\nnumber = \"89288036355\""), 6, "lines.A.id", &["уже есть"]);
    let rings = two("id = \"b\"\nnumber = \"89288036355\"\nring = [\"8 928 111-22-33\", \"8 928 832-80-88\"]");
    says(&rings, 8, "lines.b.ring[1]", &["сама себе"]);
}

#[test]
fn hours_are_told_with_the_line_of_the_very_value() {
    says("[hours.week]\nmon = [\n\"09:00-18:00\",\n\"9-18\"]", 4, "hours.week.mon[1]", &["9-18"]);
    let own = "[[lines]]\nid = \"a\"\nnumber = \"89288328088\"\nhours = { week = { tue = [\"x\"] } }";
    says(own, 4, "lines.a.hours.week.tue[0]", &[]);
    // The lines inherit it, and it is said once.
    says(
        "[hours]\nholidays = [\"fr\"]\n[[lines]]\nid = \"a\"\nnumber = \"89288328088\"\nhours = {}",
        2,
        "hours.holidays[0]",
        &[],
    );
}

#[test]
fn several_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "[server]\nlisten = 1\n[hours]\ntimezone = \"Moscow\"\n[[lines]]\nid = \"a\"\nnumber = \"1\"\n\
                ring_seconds = 1\n[[providers]]\nname = \"x y\"\nkind = \"twimll\"\n";
    let lines: Vec<_> = mistakes(text, &[("SERVR", "x")]).iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 4, 7, 8, 9, 9, 10, 11].map(Some).into_iter().chain([None]).collect::<Vec<_>>());
}

#[test]
fn a_provider_has_a_name_a_kind_a_signature_and_a_secret() {
    let with = |key: &str, value: &str| -> String {
        PROVIDER.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect::<String>()
            + value
    };
    says(&with("name", "name = \"a b\""), 5, "providers[0].name", &["/webhooks/"]);
    says(&with("kind", "kind = \"twml\""), 5, "providers.twilio.kind", &["kind = \"twiml\""]);
    says(&with("kind", "kind = \"mango\"\nany = 1"), 5, "providers.twilio.kind", &["ещё не встроен"]);
    says(&with("signature", "signature = \"telnix\""), 6, "providers.twilio.signature", &["\"telnyx\""]);
    says(&with("auth_tokens", ""), 1, "providers.twilio.auth_tokens", &["auth_tokens_file"]);
    says(&with("auth_tokens", "auth_tokens = []"), 5, "providers.twilio.auth_tokens", &["ни одного ключа"]);
    says(&with("auth_tokens", "auth_tokens = [\"…\"]"), 5, "providers.twilio.auth_tokens[0]", &["не ключ"]);
    says(&with("x", "signature = \"telnyx\""), 5, "providers.twilio.auth_tokens[0]", &["base64"]);
    says(&with("x", "signature = \"signalwire\""), 1, "providers.twilio.api_base", &["signalwire.com"]);
    says(&with("x", "api_base = \"http://api.twilio.com\""), 6, "providers.twilio.api_base", &["https://"]);
    let hosts = |host: &str| with("x", &format!("recording_hosts = [\"{host}\"]"));
    says(&hosts("http://api.twilio.com"), 6, "providers.twilio.recording_hosts[0]", &["этой же машины"]);
    says(&with("x", "api_token = \"два слова\""), 6, "providers.twilio.api_token", &["не ключ"]);
    says(&hosts("*.twilio.com"), 6, "providers.twilio.recording_hosts[0]", &["имя узла"]);
    says(&format!("{PROVIDER}{PROVIDER}"), 7, "providers.twilio.name", &["уже есть"]);
    let renamed = PROVIDER.replace("\"twilio\"", "\"main\"");
    says(&format!("{PROVIDER}{renamed}"), 9, "providers.main.account_sid", &["уже есть в другом подключении"]);

    let (settings, _) = twiml(&good(PROVIDER, &[]));
    assert_eq!(settings.signature, Signature::Twilio);
    assert_eq!(settings.api_base, "https://api.twilio.com/2010-04-01");
    assert_eq!(settings.recording_hosts, ["api.twilio.com"]);
    assert_eq!((settings.voice.as_str(), settings.language.as_str()), ("Polly.Tatyana", "ru-RU"));
    let local = with("x", "api_base = \"http://127.0.0.1:9000/2010-04-01/\"\nrecording_hosts = [\"127.0.0.1:9000\"]");
    let (settings, _) = twiml(&good(&local, &[]));
    assert_eq!((settings.api_base.as_str(), settings.recording_hosts.len()), ("http://127.0.0.1:9000/2010-04-01", 1));
}

#[test]
fn an_exchange_has_tokens_a_trunk_and_perhaps_the_way_to_its_rest_interface() {
    const EXCHANGE: &str = "[[providers]]\nname = \"pbx\"\nkind = \"asterisk\"\ntokens = [\"kalitka\"]\n";
    let with = |more: &str| format!("{EXCHANGE}{more}");
    let exchange = |text: &str| match &good(text, &[]).providers[0] {
        ProviderConfig::Asterisk(settings) => settings.clone(),
        other => panic!("{other:?}"),
    };
    let plain = exchange(EXCHANGE);
    assert_eq!((plain.tokens, plain.trunk.as_str(), plain.ari.is_none()), (vec!["kalitka".to_owned()], "trunk", true));
    let ari = "ari_base = \"http://127.0.0.1:8088/ari/\"\nari_user = \"perezvon\"\nari_password = \"kalitka\"";
    let whole = exchange(&with(ari));
    assert_eq!(whole.ari.as_ref().unwrap().base, "http://127.0.0.1:8088/ari");
    assert!(!format!("{:?} {whole:?}", good(&with(ari), &[])).contains("kalitka"));

    says(&EXCHANGE.replace("tokens = [\"kalitka\"]", ""), 1, "providers.pbx.tokens", &["tokens_file"]);
    says(&EXCHANGE.replace("kalitka", "два слова"), 4, "providers.pbx.tokens[0]", &["не ключ"]);
    says(&with("trunk = \"a;b\""), 5, "providers.pbx.trunk", &["pjsip.conf"]);
    says(&with("ari_base = \"http://127.0.0.1:8088/ari\"\nari_user = \"u\""), 1, "providers.pbx.ari_password", &[]);
    says(&with(&ari.replace("127.0.0.1", "10.0.0.5")), 5, "providers.pbx.ari_base", &["https://"]);
    says(&EXCHANGE.replace("\"asterisk\"", "\"asterix\""), 3, "providers.pbx.kind", &["kind = \"asterisk\""]);
    says(&with("account_sid = \"AC1\""), 5, "providers.pbx.account_sid", &["kind = \"twiml\""]);
    says(&format!("{PROVIDER}trunk = \"t\""), 6, "providers.twilio.trunk", &["kind = \"asterisk\""]);
}

#[test]
fn the_environment_is_stronger_than_the_file() {
    let environment = [
        ("SERVER__LISTEN", "0.0.0.0:80"),
        ("LINES__PARENTS__RING", "8 928 111-22-33, 8 928 111-22-34"),
        ("LINES__PARENTS__RING_SECONDS", "15"),
        ("LINES__STAFF__RING", "[\"89281112235\"]"),
        ("LINES__STAFF__HOURS__WEEK__SAT", "09:00-12:00"),
        ("HOURS__WEEK__FRI", "09:00-17:00"),
        ("PROVIDERS__TWILIO__AUTH_TOKENS", "12345, 67890"),
        ("PROVIDERS__TWILIO__ACCOUNT_SID", "12345"),
    ];
    let config = good(&format!("server.listen = \"127.0.0.1:1\"\n{PROVIDER}"), &environment);
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:80");
    assert_eq!((line(&config, "parents").ring.len(), line(&config, "parents").ring_seconds), (2, 15));
    assert_eq!(line(&config, "staff").ring[0].to_string(), "+79281112235");
    let (settings, _) = twiml(&config);
    assert_eq!((settings.auth_tokens.join(" "), settings.account_sid.as_str()), ("12345 67890".into(), "12345"));
    // The same by file: a variable for one weekday leaves the others alone.
    let day = |day: &str, from: &str| format!("{day} = [\"{from}\"], ");
    let week: String =
        ["mon", "tue", "wed", "thu"].map(|name| day(name, "09:00-18:00")).concat() + &day("fri", "09:00-17:00");
    let file = |week: &str| good(&format!("[hours]\nweek = {{ {week} }}"), &[]).default_calendar;
    assert_eq!(config.default_calendar.version(), file(&week).version());
    let with_saturday = week + &day("sat", "09:00-12:00");
    assert_eq!(line(&config, "staff").calendar.version(), file(&with_saturday).version());
}

#[test]
fn whole_lists_may_come_from_the_environment() {
    let provider = r#"[{ name = "main", kind = "twiml", account_sid = "AC1" }]"#;
    let config = good("", &[("PROVIDERS", provider), ("PROVIDERS__MAIN__AUTH_TOKENS", "a1")]);
    assert_eq!(config.providers[0].name(), "main");
}

#[test]
fn mistakes_of_the_environment_name_the_variable() {
    let found =
        mistakes(PROVIDER, &[("LINES__PARENT__RING", ""), ("LINES__STAFF__RING_SECONDS", "tayna"), ("HOURS", "x")]);
    let of = |name: &str| {
        let file = format!("переменная окружения PEREZVON_{name}");
        found.iter().find(|mistake| mistake.file == file).unwrap_or_else(|| panic!("{name}: {found:?}")).to_string()
    };
    assert!(of("LINES__PARENT__RING").contains("PEREZVON_LINES__PARENTS__RING"));
    assert!(of("LINES__STAFF__RING_SECONDS").contains("lines.staff.ring_seconds"));
    assert!(of("HOURS").contains("TOML"));
    let close = mistakes("", &[("SERVER_LISTEN", "x"), ("XYZ", "x"), ("URL", "of the exchange's script")]);
    assert_eq!(close.len(), 2, "{close:?}");
    assert!(close[0].instead.contains("PEREZVON_SERVER__LISTEN") && close[1].instead.contains("Уберите"), "{close:?}");
    assert!(found.iter().all(|mistake| !mistake.to_string().contains("tayna")));
}

#[test]
fn secrets_come_from_files_and_never_go_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    std::fs::write(&path, "vtoroi-klyuch\r\n\n  tretii-klyuch\n").unwrap();
    let text = format!("{PROVIDER}auth_tokens_file = {:?}", path.display().to_string());
    let config = good(&text, &[]);
    let (settings, _) = twiml(&config);
    assert_eq!(settings.auth_tokens, ["pervyi-klyuch", "vtoroi-klyuch", "tretii-klyuch"]);
    assert!(!format!("{config:?} {config:#?}").contains("klyuch"));

    std::fs::write(&path, "klyuch-api\n").unwrap();
    let config = good(&format!("{PROVIDER}api_token_file = {:?}", path.display().to_string()), &[]);
    let (_, api_token) = twiml(&config);
    assert_eq!(api_token.as_deref(), Some("klyuch-api"));
    assert!(!format!("{config:?}").contains("klyuch"));

    std::fs::write(&path, "klyuch s probelom\n").unwrap();
    let found = mistakes(&text, &[]);
    assert_eq!((found.len(), found[0].line), (1, Some(6)));
    assert!(!format!("{found:?}").contains("probelom"));
    std::fs::write(&path, "\n").unwrap();
    says(&text, 6, "providers.twilio.auth_tokens_file", &["пуст"]);
    std::fs::remove_file(&path).unwrap();
    says(&text, 6, "providers.twilio.auth_tokens_file", &["не читается", "нет такого файла"]);
}

#[test]
fn a_named_file_must_be_there_and_be_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let load = || load(Some(&path), []);
    let missing = load().map(|_| ()).expect_err("a mistake").to_string();
    assert!(missing.contains("a.toml: файл настроек не читается: нет такого файла"), "{missing}");
    std::fs::write(&path, b"[server]\n# \xcf\xf0\n").unwrap();
    let found = load().map(|_| ()).expect_err("a mistake").0;
    assert!(found[0].line == Some(2) && found[0].what.contains("UTF-8"), "{}", found[0]);
    std::fs::write(&path, "\u{feff}[server]\r\nlisten = \"127.0.0.1:1\"\r\n").unwrap();
    let config = load().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!((config.server.listen.port(), config.source.as_deref()), (1, Some(path.as_path())));
}

#[test]
fn the_school_publishes_what_it_says_and_nothing_is_guessed() {
    let ours = good("", &[]);
    let email = |config: &Config, id: &str| config.lines.get(&LineId::new(id)).and_then(|line| line.email.clone());
    assert_eq!(ours.school.name, "Гимназия Культуры мира им. А. Д. Адилсолтанова");
    assert_eq!(ours.school.order.as_deref(), Some("№ 60 от 22.12.2023"));
    assert_eq!((ours.school.site.as_deref(), ours.school.regulation_url.as_deref()), (None, None));
    assert_eq!((email(&ours, "staff"), email(&ours, "parents").as_deref()), (None, Some("nuradilovo1@mail.ru")));

    let other = "[school]\nname = \"Школа № 2\"\nregulation_url = \"https://school.example.org/r.pdf\"\n\
                 [[lines]]\nid = \"parents\"\nnumber = \"8 928 000-00-01\"";
    let other = good(other, &[]);
    assert_eq!((other.school.name.as_str(), other.school.order.as_deref()), ("Школа № 2", None));
    assert_eq!(other.school.regulation_url.as_deref(), Some("https://school.example.org/r.pdf"));
    assert_eq!(email(&other, "parents"), None, "another number is another school's line");

    let same = "[[lines]]\nid = \"parents\"\nnumber = \"+79288328088\"\nring = [\"8 928 111-22-33\"]";
    assert_eq!(email(&good(same, &[]), "parents").as_deref(), Some("nuradilovo1@mail.ru"));
}

#[test]
fn what_the_school_publishes_is_checked() {
    let found = mistakes("[school]\nname = \"\"\nsite = \"school.example.org\"\nregulaton_url = \"x\"", &[]);
    let keys: Vec<_> = found.iter().map(|mistake| (mistake.key.as_str(), mistake.line)).collect();
    assert_eq!(keys, [("school.name", Some(2)), ("school.site", Some(3)), ("school.regulaton_url", Some(4))]);
    assert!(found[2].instead.contains("regulation_url"), "{}", found[2]);
    let found = mistakes("", &[("LINES__STAFF__EMAIL", "nuradilovo1 mail.ru")]);
    assert_eq!((found.len(), found[0].what.contains("не адрес электронной почты")), (1, true), "{}", found[0]);
    assert_eq!(mistakes(&format!("[school]\nname = \"{}\"", "Ш".repeat(121)), &[]).len(), 1);
}

const MAIL: &str = "[mail]\nsmtp = \"smtp://mail.school.ru:587\"\nfrom = \"p@school.ru\"\nto = [\"d@school.ru\"]\n";

#[test]
fn without_a_mail_section_nobody_is_written_to() {
    assert!(good("", &[]).mail.is_none());
}

#[test]
fn the_mail_of_the_example_works_once_its_marks_are_taken_away() {
    let (head, rest) = EXAMPLE.split_once("# [mail]").expect("the mail section");
    let (mail, rest) = rest.split_once("\n\n").expect("its end");
    let mail = mail.replace("\n# ", "\n");
    let config = good(&format!("{head}[mail]{mail}\n\n{rest}"), &[]);
    let mail = config.mail.expect("mail");
    assert_eq!((mail.host.as_str(), mail.port, mail.security), ("mail.example.org", 587, MailSecurity::StartTls));
    assert_eq!((mail.to.len(), mail.alarms_to.len(), mail.personal_data), (1, 1, false));
    assert_eq!(mail.public_url, "https://calls.example.org");
}

#[test]
fn the_connection_to_the_mail_server_is_encrypted_unless_it_is_this_very_machine() {
    for (smtp, expected) in [
        ("smtp://mail.school.ru:587", ("mail.school.ru", 587, MailSecurity::StartTls)),
        ("smtp://mail.school.ru", ("mail.school.ru", 587, MailSecurity::StartTls)),
        ("smtps://mail.school.ru", ("mail.school.ru", 465, MailSecurity::Tls)),
        ("smtp://10.0.0.5:25", ("10.0.0.5", 25, MailSecurity::StartTls)),
        ("smtp://127.0.0.1", ("127.0.0.1", 25, MailSecurity::Plain)),
        ("smtp://localhost:2525", ("localhost", 2525, MailSecurity::Plain)),
        ("smtp://[::1]:2525", ("::1", 2525, MailSecurity::Plain)),
        ("smtp://127.0.0.1.evil.example", ("127.0.0.1.evil.example", 587, MailSecurity::StartTls)),
    ] {
        let mail = good(&MAIL.replace("smtp://mail.school.ru:587", smtp), &[]).mail.expect("mail");
        assert_eq!((mail.host.as_str(), mail.port, mail.security), expected, "{smtp}");
    }
}

#[test]
fn mistakes_of_the_mail_are_told_with_their_remedy() {
    let with = |from: &str, to: &str| MAIL.replace(from, to);
    let smtp = "\"smtp://mail.school.ru:587\"";
    says(&with(smtp, "\"mail.school.ru\""), 2, "mail.smtp", &["не адрес", "smtp://узел:587"]);
    says(&with(smtp, "\"http://mail.school.ru\""), 2, "mail.smtp", &["не адрес"]);
    says(&with(smtp, "\"smtp://u:geheim@mail.school.ru\""), 2, "mail.smtp", &["имя или пароль", "password_file"]);
    says(&with(smtp, "\"smtp://mail.school.ru/path\""), 2, "mail.smtp", &["только узел"]);
    says(&with("\"p@school.ru\"", "\"Перезвон\""), 3, "mail.from", &["не почтовый адрес"]);
    says(&with("from = \"p@school.ru\"\n", ""), 1, "mail.from", &["не хватает ключа from"]);
    says(&with("\"d@school.ru\"", "\"д@school.ru\""), 4, "mail.to[0]", &["латинские"]);
    says(&with("to = [\"d@school.ru\"]", ""), 1, "mail.to", &["писать некому"]);
    says(&format!("{MAIL}user = \"p\""), 5, "mail.user", &["нет пароля"]);
    says(&format!("{MAIL}password = \"p\""), 1, "mail.user", &["имени нет"]);
    says(&format!("{MAIL}morning = \"8.55\""), 5, "mail.morning", &["не время", "08:55"]);
    says(&format!("{MAIL}evening = \"24:30\""), 5, "mail.evening", &["не время"]);
    says(&format!("{MAIL}user = \"p\"\npassword_file = \"/no/such/file\""), 6, "mail.password_file", &["не читается"]);
    says(&format!("{MAIL}pasword = \"p\""), 5, "mail.pasword", &["Вероятно, имелось в виду password"]);
    says("[mail]\nfrom = \"p@school.ru\"\nto = [\"d@school.ru\"]", 1, "mail.smtp", &["не хватает ключа smtp"]);
}

#[test]
fn the_password_of_the_mail_may_come_from_the_environment_and_is_never_printed() {
    let config = good(&format!("{MAIL}user = \"perezvon\""), &[("MAIL__PASSWORD", "geheim")]);
    assert_eq!(config.mail.as_ref().expect("mail").login, Some(("perezvon".to_owned(), "geheim".to_owned())));
    assert!(!format!("{config:?}").contains("geheim"));
}

const TRANSCRIPTION: &str = "[transcription]\nurl = \"http://127.0.0.1:9000\"\nmodel = \"small\"\n";

#[test]
fn no_sound_is_sent_anywhere_unless_a_server_is_named() {
    assert!(good("", &[]).transcription.is_none());
    let config = good(&format!("{TRANSCRIPTION}token = \"geheim\""), &[]);
    assert!(!format!("{config:?}").contains("geheim"));
    let settings = config.transcription.expect("a speech server");
    assert_eq!((settings.url.as_str(), settings.model.as_str()), ("http://127.0.0.1:9000", "small"));
    for url in
        ["https://speech.school.ru/", "https://speech.school.ru/v1", "https://speech.school.ru/v1/audio/transcriptions"]
    {
        let settings = good(&TRANSCRIPTION.replace("http://127.0.0.1:9000", url), &[]).transcription;
        assert_eq!(settings.expect("a speech server").url, "https://speech.school.ru", "{url}");
    }
}

#[test]
fn mistakes_of_the_speech_server_are_told_with_their_remedy() {
    let url = |url: &str| TRANSCRIPTION.replace("http://127.0.0.1:9000", url);
    says(&url("http://speech.school.ru"), 2, "transcription.url", &["открытым", "https://"]);
    says(&url("http://192.168.0.5:9000"), 2, "transcription.url", &["открытым"]);
    says(&url("https://u:geheim@speech.school.ru"), 2, "transcription.url", &["имя или пароль"]);
    says(&url("speech"), 2, "transcription.url", &["не адрес"]);
    says("[transcription]\nurl = \"http://127.0.0.1:9000\"", 1, "transcription.model", &["не хватает ключа model"]);
    says(&format!("{TRANSCRIPTION}token = \"a b\""), 4, "transcription.token", &["пробелы"]);
    says(
        &format!("{TRANSCRIPTION}token = \"a\"\ntoken_file = \"b\""),
        5,
        "transcription.token_file",
        &["Оставьте одно"],
    );
    says(&format!("{TRANSCRIPTION}tokn = \"a\""), 4, "transcription.tokn", &["token"]);
}

#[test]
fn nightly_backup_needs_only_its_folder() {
    assert!(good("", &[]).backup.is_none());
    let backup = good("[backup]\nfolder = \"/mnt/backups\"\n", &[]).backup.unwrap();
    assert_eq!(
        (backup.folder.as_path(), backup.at.to_string(), backup.keep),
        (Path::new("/mnt/backups"), "03:00:00".into(), 14)
    );
    let own = good("[backup]\nfolder = \"b\"\nat = \"2:30\"\n", &[("BACKUP__KEEP", "3")]).backup.unwrap();
    assert_eq!((own.at.to_string(), own.keep), ("02:30:00".into(), 3));
    says("[backup]\nat = \"03:00\"\n", 1, "backup.folder", &["не хватает ключа"]);
    says("[backup]\nfolder = \"b\"\nat = \"25:00\"\n", 3, "backup.at", &["не время", "03:00"]);
    says("[backup]\nfolder = \"b\"\nkeep = 0\n", 3, "backup.keep", &["0 копий", "14"]);
    says("[backup]\nfolder = \"s3://bucket\"\n", 2, "backup.folder", &["не папка"]);
}

/// Threat: a slip of the keyboard erases everything tonight.
#[test]
fn terms_of_retention_are_unset_until_the_school_decides() {
    assert!(parse("", None, []).unwrap().retention.is_empty());
    let text = "[retention]\naudio_days = 90\nstatistics_years = 5";
    let terms = parse(text, None, []).unwrap().retention;
    assert_eq!((terms.audio_days, terms.numbers_days, terms.statistics_years), (Some(90), None, Some(5)));
    assert_eq!(terms.in_words(), "звук сообщений 90 дн., звонки и обращения 5 г.");
    for (line, key) in [
        ("audio_days = 0", "retention.audio_days"),
        ("numbers_days = -1", "retention.numbers_days"),
        ("deliveries_days = 99999", "retention.deliveries_days"),
        ("statistics_years = 101", "retention.statistics_years"),
    ] {
        says(&format!("[retention]\n{line}"), 2, key, &["от 1 до", "уберите ключ"]);
    }
}

/// Threat: toll fraud by a slip of the keyboard that allows the world.
#[test]
fn mistakes_of_dialing_are_told_with_their_remedy() {
    let config = good("[dialing]\nallowed = [\"ru\", \"+374\"]\nmax_calls_per_hour = 5", &[]);
    assert_eq!(config.lines.dialing, DialingRules::parse(&["ru", "+374"], 5).unwrap());
    assert_eq!(good("", &[]).lines.dialing, DialingRules::default());
    for entry in ["374", "+", "Россия", "RU"] {
        says(&format!("dialing.allowed = [\"ru\", \"{entry}\"]"), 1, "dialing.allowed[1]", &[entry, "\"+374\""]);
    }
    for calls in ["0", "-1", "1001"] {
        says(&format!("dialing.max_calls_per_hour = {calls}"), 1, "dialing.max_calls_per_hour", &["от 1 до 1000"]);
    }
    let rings = "[[lines]]\nid = \"a\"\nnumber = \"89288328088\"\nring = [\"101\", \"8 809 555-00-00\"]";
    says(rings, 4, "lines.a.ring[1]", &["8 809 555-00-00", "dialing.allowed"]);
}
