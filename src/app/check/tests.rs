use super::*;
use crate::app::config;
use crate::core::changes::Changes;
use crate::core::greetings::Recorded;
use crate::core::line::LineId;

pub(super) async fn report(text: &str, now: &str, probes: Vec<Probe>) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let environment = [
        ("PEREZVON_STORAGE__DATABASE".to_owned(), format!("sqlite:{}", path("perezvon.db"))),
        ("PEREZVON_STORAGE__RECORDINGS".to_owned(), path("записи/внутри")),
    ];
    let config = config::parse(text, Some(Path::new("perezvon.toml")), environment);
    let mut out = Vec::new();
    let sound = run(config, now.parse().unwrap(), probes, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().all(|line| line.starts_with(['✓', '!', '✗'])), "{text}");
    (sound, text)
}

const PROVIDER: &str = r#"
    [[providers]]
    name = "twilio"
    kind = "twiml"
    account_sid = "AC1"
    auth_tokens = ["tishe-vody-nizhe-travy"]
"#;

#[tokio::test]
async fn the_schools_own_values_need_no_mending_and_the_blank_term_is_told() {
    let (sound, text) = report("", "2026-11-20T19:30:00+03:00", vec![]).await;
    assert!(sound, "{text}");
    assert!(text.contains("8 928 832-80-88: сейчас закрыта, откроется пн, 23.11.2026, 9:00."), "{text}");
    assert!(text.contains("! Линия «Родители»: срок ответа не задан."), "{text}");
    assert!(text.contains("! Подключений к операторам связи нет"), "{text}");
}

#[tokio::test]
async fn monitoring_that_everybody_sees_is_worth_a_thought() {
    for (key, is_told) in [("true", true), ("false", false)] {
        let text = format!("[server]\nmonitoring_through_proxy = {key}");
        let (sound, text) = report(&text, "2026-11-20T12:00:00+03:00", vec![]).await;
        assert!(sound, "{text}");
        assert_eq!(text.contains("! Сведения о состоянии службы (/metrics, /readyz) видны всем"), is_told, "{text}");
    }
}

#[tokio::test]
async fn address_of_the_example_is_told_before_anybody_is_connected() {
    let example = std::fs::read_to_string("perezvon.example.toml").unwrap();
    let (_, text) = report(&example, "2026-11-20T12:00:00+03:00", vec![]).await;
    assert!(text.contains("! Адрес https://calls.example.org взят из примера"), "{text}");
    let (_, text) =
        report("server.public_url = \"https://calls.school.ru\"", "2026-11-20T12:00:00+03:00", vec![]).await;
    assert!(text.contains("✓ Адрес службы снаружи: https://calls.school.ru."), "{text}");
}

/// The second place of a service, and what the check says of it.
async fn second_place(emergency: &Path) -> String {
    let text = format!("[storage]\nemergency = \"{}\"", emergency.display());
    let (sound, text) = report(&text, "2026-11-20T12:00:00+03:00", vec![]).await;
    assert!(sound, "the first place is there: {text}");
    text.lines().find(|line| line.contains("Запасная папка")).unwrap().to_owned()
}

#[tokio::test]
async fn second_place_that_cannot_help_is_told() {
    let memory = Path::new("/dev/shm/perezvon-check-of-a-test");
    let told = second_place(memory).await;
    assert!(told.starts_with('!') && told.contains("в памяти") && !memory.exists(), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let told = second_place(&folder.path().join("second")).await;
    assert!(told.starts_with('!') && told.contains("на том же диске, что и записи"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    let told = second_place(&folder.path().join("missing/second")).await;
    assert!(told.starts_with('!') && told.contains("недоступна: нет такого файла или папки"), "{told}");
}

#[test]
fn second_place_outlives_a_restart_of_the_machine() {
    let storage = config::parse("", None, []).unwrap().storage;
    assert!(storage.emergency_folder().starts_with("/var/tmp"), "{:?}", storage.emergency_folder());
}

#[test]
fn remedy_fits_the_error() {
    let read_only = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(!mend(&read_only).contains("Создайте"));
    assert!(mend(&std::io::ErrorKind::NotFound.into()).contains("Создайте"));
}

#[tokio::test]
async fn an_extension_that_no_provider_can_ring_must_be_mended() {
    let line = "[[lines]]\nid = \"a\"\nnumber = \"89288328088\"\nring = [\"101\"]\n";
    let (sound, text) = report(&format!("{line}{PROVIDER}"), "2026-11-20T12:00:00+03:00", vec![]).await;
    assert!(!sound && text.contains("✗ Линия «a»: внутренний номер 101 может набрать только своя АТС"), "{text}");
    let exchange = "[[providers]]\nname = \"pbx\"\nkind = \"asterisk\"\ntokens = [\"0123456789abcdef0123456789\"]\n";
    let (sound, text) = report(&format!("{line}{exchange}"), "2026-11-20T12:00:00+03:00", vec![]).await;
    assert!(sound, "{text}");
}

#[tokio::test]
async fn the_addresses_to_copy_are_there_and_the_keys_are_not() {
    let text = format!("server.public_url = \"http://calls.example.org\"\n{PROVIDER}");
    let (sound, text) = report(&text, "2026-11-20T12:00:00+03:00", vec![]).await;
    assert!(sound, "{text}");
    for endpoint in ["voice", "status", "fallback"] {
        assert!(text.contains(&format!("http://calls.example.org/webhooks/twilio/{endpoint}")), "{text}");
    }
    assert!(text.contains("perezvon provider fallback twilio"), "what is to answer while the server is away: {text}");
    assert!(text.contains("! Адрес http://calls.example.org без шифрования"), "{text}");
    assert!(!text.contains("tishe-vody"), "{text}");
}

#[tokio::test]
async fn recorded_greetings_are_counted_and_long_ones_named() {
    let mut config = config::parse("", None, std::iter::empty()).unwrap();
    let mut changes = Changes::default();
    for (kind, length_ms) in [(GreetingKind::Closed, 25_001), (GreetingKind::Thanks, 3_000)] {
        let recorded = Recorded { name: "x".into(), length_ms };
        changes.greetings.switch_on(LineId::new("parents"), kind, recorded);
    }
    config.lines = config.lines.with(&changes);
    let mut report = Report { findings: Vec::new() };
    report.prompts(&config);
    let mut out = Vec::new();
    assert!(report.write(&mut out).unwrap(), "nothing must be mended");
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("✓ Приветствия линии «Родители»: своих записей 2 из 6, остальное читает робот."), "{text}");
    assert!(text.contains("! Приветствие линии «Родители», «После рабочего времени», длится 26 с."), "{text}");
    assert_eq!(text.matches("длится").count(), 1, "{text}");
    assert!(!text.contains("Приветствия линии «Сотрудники»"), "{text}");
}

#[tokio::test]
async fn every_mistake_and_a_failed_probe_must_be_mended() {
    let probes = vec![
        Probe {
            name: "База данных".to_owned(), result: Err("не отвечает; запустите её".to_owned())
        },
        Probe { name: "Тексты".to_owned(), result: Ok("на месте".to_owned()) },
    ];
    let (sound, text) =
        report("[server]\nlisen = 1\n[hours]\ntimezone = \"Moscow\"", "2026-11-20T12:00:00Z", probes).await;
    assert!(!sound);
    assert!(text.contains("✗ perezvon.toml, строка 2, server.lisen: "), "{text}");
    assert!(text.contains("✗ perezvon.toml, строка 4, hours.timezone: "), "{text}");
    assert!(text.contains("✗ База данных: не отвечает; запустите её."), "{text}");
    assert!(text.contains("✓ Тексты: на месте."), "{text}");
    assert!(text.ends_with("✗ Нужно исправить: 3. Исправьте и запустите perezvon check ещё раз.\n"), "{text}");
}

/// What the check says of a service whose folders are missing. It makes none of them.
async fn without_folders(has_database: bool) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    if has_database {
        std::fs::write(path("perezvon.db"), "").unwrap();
    }
    let environment = [
        ("PEREZVON_STORAGE__DATABASE".to_owned(), format!("sqlite:{}", path("perezvon.db"))),
        ("PEREZVON_STORAGE__RECORDINGS".to_owned(), path("disk/recordings")),
    ];
    let text = format!("[backup]\nfolder = \"{}\"", path("backups"));
    let (config, mut out) = (config::parse(&text, None, environment), Vec::new());
    let sound = run(config, "2026-11-20T12:00:00+03:00".parse().unwrap(), vec![], &mut out).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(has_database), "nothing is made");
    (sound, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn missing_recordings_are_a_mistake_beside_a_database() {
    let (sound, text) = without_folders(false).await;
    assert!(sound && text.contains("! Папки записей ") && text.contains("её сделает служба при запуске"), "{text}");
    assert!(text.contains("! Папки резервных копий "), "{text}");
    let (sound, text) = without_folders(true).await;
    assert!(!sound && text.contains("✗ Папка записей "), "{text}");
    assert!(text.contains("не найдена, хотя база данных есть: диск не подключён?"), "{text}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_must_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let environment = ["DATABASE", "RECORDINGS"].map(|key| {
        let below = file.join("below").display().to_string();
        let value = if key == "DATABASE" { format!("sqlite:{below}/perezvon.db") } else { below };
        (format!("PEREZVON_STORAGE__{key}"), value)
    });
    let mut out = Vec::new();
    let sound = run(config::parse("", None, environment), Timestamp::UNIX_EPOCH, vec![], &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(!sound);
    assert!(text.contains("✗ Папка записей ") && text.contains("✗ В папку базы данных "), "{text}");
}
