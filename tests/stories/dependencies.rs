//! What is linked in: asked of cargo, without a network, and judged by `deny.toml`, which `cargo deny` reads as well. Threat:
//! a crate from somewhere else, under a licence that binds a school, or one that brings a second cryptography.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use rustsec::{Database, Lockfile};
use serde_json::Value;
use toml_edit::DocumentMut;

use crate::harness::not_tried;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

static RULES: LazyLock<DocumentMut> =
    LazyLock::new(|| include_str!("../../deny.toml").parse().expect("deny.toml is TOML"));

fn packages() -> Vec<Value> {
    let told = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = told("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let mut metadata: Value = serde_json::from_str(&told(env!("CARGO"), &arguments)).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else { panic!("packages are a list") };
    assert!(packages.len() > 100, "the dependencies are listed");
    packages
}

fn named(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap())
}

#[test]
fn every_dependency_has_a_licence_that_lets_a_school_use_it() {
    let licence = |package: &Value| package["license"].as_str().unwrap_or("").to_owned();
    let refused: Vec<String> = packages()
        .iter()
        .filter(|package| !is_allowed(&licence(package)))
        .map(|package| format!("{}: {}", named(package), licence(package)))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn every_dependency_comes_from_the_one_registry() {
    let foreign: Vec<String> = packages()
        .iter()
        // Our own has no source.
        .filter(|package| !package["source"].is_null() && package["source"] != CRATES_IO)
        .map(named)
        .collect();
    assert_eq!(foreign, Vec::<String>::new());
    for kind in ["unknown-registry", "unknown-git"] {
        assert_eq!(RULES["sources"][kind].as_str(), Some("deny"), "{kind}");
    }
}

#[test]
fn banned_crate_is_not_linked_in() {
    let banned: Vec<&str> = RULES["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_inline_table().unwrap()["name"].as_str().unwrap())
        .collect();
    assert!(!banned.is_empty());
    let found: Vec<String> =
        packages().iter().filter(|package| banned.contains(&package["name"].as_str().unwrap())).map(named).collect();
    assert_eq!(found, Vec::<String>::new());
}

/// What of Cargo.lock has a known hole, by the database of RustSec in this folder: `crate version: advisory`.
fn holes(database: &Path) -> Vec<String> {
    let ignored = RULES["advisories"].get("ignore").and_then(|it| it.as_array());
    let is_ignored = |id: &str| ignored.is_some_and(|ignored| ignored.iter().any(|it| it.as_str() == Some(id)));
    let locked = Lockfile::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let database = Database::open(database).unwrap_or_else(|error| panic!("{}: {error}", database.display()));
    assert!(database.iter().next().is_some(), "a database without advisories");
    let holes = database.vulnerabilities(&locked).into_iter().filter(|hole| !is_ignored(hole.advisory.id.as_str()));
    holes.map(|it| format!("{} {}: {}", it.package.name, it.package.version, it.advisory.id)).collect()
}

/// Threat: a hole that everybody knows of stays in a crate that is linked in.
#[test]
fn no_dependency_has_a_known_hole() {
    match std::env::var_os("ADVISORY_DB") {
        Some(database) => assert_eq!(holes(Path::new(&database)), Vec::<String>::new()),
        None => not_tried("дыры в зависимостях: ADVISORY_DB=папка с базой RustSec (github.com/rustsec/advisory-db)"),
    }
}

#[test]
fn known_hole_is_found() {
    let database = tempfile::tempdir().unwrap();
    let advise = |krate: &str, id: &str, patched: &str| {
        let folder = database.path().join("crates").join(krate);
        fs::create_dir_all(&folder).unwrap();
        let advisory = format!(
            "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{krate}\"\ndate = \"2026-01-01\"\n\n[versions]\npatched = [{patched}]\n```\n\n# A hole\n\nOf a test.\n"
        );
        fs::write(folder.join(format!("{id}.md")), advisory).unwrap();
    };
    advise("hyper", "RUSTSEC-2026-9001", "\">= 0.0.1\"");
    assert_eq!(holes(database.path()), Vec::<String>::new());
    advise("sqlx", "RUSTSEC-2026-9002", "");
    let found = holes(database.path());
    assert!(
        matches!(&found[..], [hole] if hole.starts_with("sqlx ") && hole.ends_with(": RUSTSEC-2026-9002")),
        "{found:?}"
    );
}

/// An SPDX expression, or an older one with a slash: one side of each OR must be allowed, and both of each AND.
fn is_allowed(expression: &str) -> bool {
    let allowed = RULES["licenses"]["allow"].as_array().unwrap();
    let known = |licence: &str| allowed.iter().any(|allowed| allowed.as_str() == Some(licence.trim()));
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression.split(" AND ").all(|part| part.split(" OR ").any(known))
}

#[test]
fn an_unknown_or_missing_licence_is_refused() {
    for (expression, allowed) in [
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("GPL-3.0-only", false),
        ("MIT AND GPL-2.0", false),
        ("AGPL-3.0 OR MIT", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}
