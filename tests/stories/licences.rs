//! The licences of everything that is linked in: asked of cargo, without a network.

use std::process::Command;

/// Each may be linked into a program under MIT that a school runs and hands on.
const ALLOWED: [&str; 13] = [
    "0BSD",
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "Unlicense",
];
/// Weak copyleft: changes to these files themselves would have to be published, and we make none. Also of the tests alone.
const ALLOWED_UNCHANGED: [&str; 2] = ["MPL-2.0", "CDLA-Permissive-2.0"];

#[test]
fn every_dependency_has_a_licence_that_lets_a_school_use_it() {
    let told = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = told("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: serde_json::Value = serde_json::from_str(&told(env!("CARGO"), &arguments)).unwrap();
    let refused: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or("")))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(metadata["packages"].as_array().unwrap().len() > 100, "the dependencies are listed");
    assert_eq!(refused, Vec::<String>::new());
}

/// An SPDX expression, or an older one with a slash: one side of each OR must be allowed, and both of each AND.
fn is_allowed(expression: &str) -> bool {
    let known = |licence: &str| ALLOWED.iter().chain(&ALLOWED_UNCHANGED).any(|allowed| *allowed == licence.trim());
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
