//! `SECURITY.md`: each threat has a test, and the test is there.

use std::path::Path;

#[test]
fn every_threat_has_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = include_str!("../../SECURITY.md").lines().filter(|line| line.starts_with("| "));
    let mut threats = 0;
    for row in table.filter(|line| !line.starts_with("| threat")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, _, tests] = cells[..] else { panic!("three columns: {row}") };
        let mut source = String::new();
        for named in tests.split('`').skip(1).step_by(2) {
            let (path, test) = named.split_once("::").unwrap_or((named, ""));
            if !path.is_empty() {
                source = std::fs::read_to_string(root.join(path)).unwrap_or_else(|_| panic!("{threat}: {path}"));
            }
            assert!(test.is_empty() || source.contains(&format!("fn {test}(")), "{threat}: {named}");
        }
        assert!(!source.is_empty(), "{threat} has no test");
        threats += 1;
    }
    assert!(threats > 30, "the table is read");
}
