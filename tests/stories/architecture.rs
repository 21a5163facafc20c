//! The arrows between the rooms of the house, read from its source: main -> app -> {web, jobs} -> {store, recordings,
//! providers} -> core -> time, never back up, and never between neighbours.

use std::path::{Path, PathBuf};

/// Rooms on one floor do not know each other.
const FLOORS: [&[&str]; 6] =
    [&["main"], &["app"], &["web", "jobs"], &["store", "recordings", "providers"], &["core"], &["time"]];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

struct Source {
    /// Below `src/`: `store/mod.rs`.
    path: PathBuf,
    /// Without comments and texts.
    code: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn read(folder: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = code_of(&text);
                found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), code, text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    read(&root, &root, &mut found);
    assert!(found.len() > 50, "the source is there");
    found
}

/// The lines before the tests, without comments; texts in quotes are emptied.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_tests = line.trim() == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'));
        if is_tests && !line.starts_with(' ') {
            break;
        }
        let line = if line.trim_start().starts_with("//") { "" } else { line };
        let bare: Vec<&str> = line.split('"').step_by(2).collect();
        code.push_str(&bare.join("\"\""));
        code.push('\n');
    }
    code
}

impl Source {
    fn room(&self) -> String {
        let first = self.path.components().next().unwrap().as_os_str().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }

    /// How many folders deep this module lies: `super::` so often is the crate.
    fn depth(&self) -> usize {
        let is_folder = self.path.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs");
        self.path.components().count() - usize::from(is_folder)
    }

    fn is_test(&self) -> bool {
        let of_tests = ["tests", "properties", "examples", "snapshots_of_the_dialogue"];
        self.path.with_extension("").components().any(|part| of_tests.iter().any(|name| part.as_os_str() == *name))
    }

    /// The rooms named after this prefix: `crate::store::…`, and in `use crate::{store, core}`.
    fn named_after(&self, prefix: &str) -> Vec<String> {
        let mut rooms = Vec::new();
        for (at, _) in self.code.match_indices(prefix) {
            if self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &self.code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => {
                    let (mut depth, mut word, mut is_first) = (0, String::new(), true);
                    for c in group.chars() {
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => (word, is_first) = (String::new(), true),
                            c if depth == 0 && is_first && (c.is_alphanumeric() || c == '_') => word.push(c),
                            c if depth == 0 && !c.is_whitespace() => is_first = false,
                            _ => {}
                        }
                        if depth == 0 && !word.is_empty() && !rooms.contains(&word) && floor(&word).is_some() {
                            rooms.push(word.clone());
                        }
                    }
                }
                None => rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()),
            }
        }
        rooms
    }

    fn line_of(&self, needle: &str) -> String {
        let line = self.code.lines().position(|line| line.contains(needle)).map_or(0, |index| index + 1);
        format!("src/{}:{line}", self.path.display())
    }
}

#[test]
fn the_arrows_between_the_rooms_point_down() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let own = source.room();
        let Some(own_floor) = floor(&own) else { continue };
        let climbing = "super::".repeat(source.depth());
        for prefix in ["crate::", "perezvon::", climbing.as_str()] {
            for room in source.named_after(prefix) {
                let Some(other) = floor(&room) else { continue };
                if room != own && other <= own_floor {
                    wrong.push(format!("{own} -> {room} at {}", source.line_of(&format!("{prefix}{room}"))));
                }
            }
        }
    }
    assert_eq!(
        wrong,
        Vec::<String>::new(),
        "main -> app -> {{web, jobs}} -> {{store, recordings, providers}} -> core -> time"
    );
}

#[test]
fn core_and_providers_do_nothing_but_think() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| ["core", "providers"].contains(&source.room().as_str())) {
        if source.is_test() {
            continue;
        }
        for word in [
            "async fn",
            "async move",
            ".await",
            "std::fs",
            "std::net::Tcp",
            "std::net::Udp",
            "std::thread",
            "std::env",
            "std::time::SystemTime",
            "std::time::Instant",
            "tokio",
            "sqlx",
            "reqwest",
            "getrandom",
            "metrics::",
        ] {
            if source.code.contains(word) {
                wrong.push(format!("{word} at {}", source.line_of(word)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn sql_is_written_in_the_store_and_nowhere_else() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "store" && !source.is_test()) {
        if source.code.contains("sqlx") {
            wrong.push(format!("sqlx at {}", source.line_of("sqlx")));
        }
        for words in ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE "] {
            if source.text.contains(words) {
                wrong.push(format!("{words}in src/{}", source.path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The reader above is a small one: what it must find, and what it must pass over.
#[test]
fn the_reader_of_the_arrows_sees_them() {
    let source = |path: &str, text: &str| Source { path: path.into(), code: code_of(text), text: text.to_owned() };
    let groups = source(
        "core/a.rs",
        "use crate::{store::Store, time::{self, Clock}};\nfn f() { crate::web::x() }\n// crate::app\n",
    );
    assert_eq!(groups.named_after("crate::"), ["store", "time", "web"]);
    assert_eq!((groups.depth(), groups.room().as_str()), (2, "core"));
    let climbing = source(
        "store/mod.rs",
        "use super::jobs;\nlet text = \"crate::app\";\n#[cfg(test)]\nmod tests {\nuse crate::app;\n}\n",
    );
    assert_eq!(
        (climbing.depth(), climbing.named_after("super::"), climbing.named_after("crate::")),
        (1, vec!["jobs".to_owned()], vec![])
    );
}
