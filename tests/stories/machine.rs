//! What the service and its tests take from the machine, and what happens where that is missing (docs/machine.md).

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use perezvon::core::officer::Role;
use perezvon::recordings::{SOUND_FOLDERS, SOUND_PACKAGE};

use crate::harness::{App, stories};

const PBX: &str = "[[providers]]\nname = \"pbx\"\nkind = \"asterisk\"\ntokens = [\"tishe-vody-nizhe-travy\"]\n";

fn project(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(project(file)).unwrap()
}

#[test]
fn documents_and_scripts_name_every_folder_of_the_sounds() {
    for file in ["perezvon.example.toml", "docs/asterisk.md", "docs/machine.md", "tests/run"] {
        let text = text(file);
        for name in SOUND_FOLDERS.into_iter().chain([SOUND_PACKAGE]) {
            assert!(text.contains(name), "{file} does not name {name}");
        }
    }
}

#[test]
fn service_reads_nothing_of_proc() {
    fn look(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                assert!(!std::fs::read_to_string(&path).unwrap().contains("/proc/"), "{}", path.display());
            }
        }
    }
    look(&project("src"));
}

/// No certificates, no home, no locale, no search path, no sounds where they usually lie.
#[test]
fn demo_runs_where_the_machine_has_nothing() {
    let folder = tempfile::Builder::new().prefix("perezvon-bare-").tempdir().unwrap();
    let mut demo = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_perezvon"), "demo"])
        .env_clear()
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", folder.path())
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = String::new();
    let mut lines = BufReader::new(demo.stdout.take().unwrap());
    while !printed.contains("Закончить: Ctrl+C") && lines.read_line(&mut printed).unwrap() > 0 {}
    demo.kill().unwrap();
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    demo.wait().unwrap();
    assert!(printed.contains("Список для перезвона:  http://127.0.0.1:"), "{printed}\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

/// Runs `tests/summary` on what the three runners printed.
fn summary(cargo: &str, node: &str, fuzz: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let files = [("cargo", cargo), ("node", node), ("fuzz", fuzz)].map(|(name, printed)| {
        let file = folder.path().join(name);
        std::fs::write(&file, printed).unwrap();
        file
    });
    Command::new("bash").arg(project("tests/summary")).args(files).output().unwrap()
}

const CARGO: &str = "     Running unittests src/lib.rs (target/debug/deps/perezvon-1)
test core::phone::tests::a_number ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
     Running tests/stories/main.rs (target/debug/deps/stories-1)
test architecture::arrows ... ok
test desk::sqlite::claims ... ok
test desk::postgres::claims ... ok
test calls::after_hours::sqlite::is_recorded ... ok
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.10s
   Doc-tests perezvon
test src/core/phone.rs - core::phone (line 3) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s
";
const NODE: &str = "# tests 3\n# suites 0\n# pass 3\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n";
const FUZZ: &str =
    "fuzz ics: 20000 inputs, corpus 7, nothing found\nfuzz words: 20000 inputs, corpus 9, nothing found\n";

#[test]
fn summary_has_a_line_for_each_part() {
    let green = summary(CARGO, NODE, FUZZ);
    assert!(green.status.success(), "{green:?}");
    let lines: Vec<String> = String::from_utf8(green.stdout).unwrap().lines().map(str::to_owned).collect();
    let part = |name: &str, passed: u8| format!("{name}: {passed} passed, 0 failed");
    let once = ["unit", "stories", "sqlite", "postgres", "calls", "docs"].map(|name| part(name, 1));
    let expected: Vec<String> = once.into_iter().chain([part("browser", 3), part("fuzz", 2)]).collect();
    assert_eq!(lines, expected);
}

#[test]
fn part_that_did_not_run_is_not_green() {
    let no_postgres = CARGO.replace("test desk::postgres::claims ... ok\n", "").replace("4 passed", "3 passed");
    for (cargo, node, fuzz, missing) in [
        (no_postgres.as_str(), NODE, FUZZ, "postgres"),
        (&CARGO.replace("calls::after_hours", "evening"), NODE, FUZZ, "calls"),
        (CARGO, "", FUZZ, "browser"),
        (CARGO, NODE, "", "fuzz"),
        ("", NODE, FUZZ, "unit"),
    ] {
        let red = summary(cargo, node, fuzz);
        let printed = String::from_utf8(red.stdout).unwrap();
        assert!(!red.status.success() && printed.contains(&format!("{missing}: 0 passed, 0 failed\n")), "{printed}");
    }
}

#[test]
fn failed_or_uncounted_test_is_not_green() {
    let failed =
        CARGO.replace("claims ... ok", "claims ... FAILED").replace("4 passed; 0 failed", "2 passed; 2 failed");
    let is_green = |cargo: &str, node: &str, fuzz: &str| summary(cargo, node, fuzz).status.success();
    assert!(!is_green(&failed, NODE, FUZZ));
    assert!(!is_green(&CARGO.replace("4 passed", "5 passed"), NODE, FUZZ), "one was not recognised");
    assert!(!is_green(CARGO, &NODE.replace("# cancelled 0", "# cancelled 1"), FUZZ));
    assert!(!is_green(CARGO, NODE, &FUZZ.replace("corpus 9, nothing found", "an input was found that breaks it")));
}

async fn health(app: &App) -> String {
    app.browser("Мадина", Role::Officer).await.get("/health-ui").await.body
}

stories! {
    async fn health_page_names_the_sound_package_in_use(app) {
        assert!(!health(app).await.contains("Слова приветствий"), "nobody plays them");
        app.restart(|setup| setup.tables = PBX.to_owned()).await;
        let found = health(app).await;
        assert!(found.contains("sounds/ru") && found.contains("дата перезвона произносится"), "{found}");
    }

    async fn health_page_says_what_to_install_where_there_are_no_sounds(app) {
        let none = app.folder.path().join("none");
        app.restart(|setup| setup.tables = format!("{PBX}[prompts]\nsounds = \"{}\"", none.display())).await;
        let missing = health(app).await;
        assert!(missing.contains("не найдены, дату перезвона звонящий не услышит"), "{missing}");
        assert!(missing.contains(SOUND_PACKAGE), "{missing}");
    }
}
