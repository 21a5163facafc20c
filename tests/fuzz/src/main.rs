//! What strangers send, made up by libFuzzer from what it sees our code do. `FUZZ_TARGET` names the harness; nothing may panic,
//! and what each says beside that must hold.

#![no_main]

mod calls;
mod files;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

const TARGETS: [(&str, fn(&[u8])); 9] = [
    ("twiml", calls::twiml),
    ("twiml_signature", calls::twiml_signature),
    ("twiml_lists", calls::twiml_lists),
    ("asterisk", calls::asterisk),
    ("recording", files::recording),
    ("ics", files::ics),
    ("holidays", files::holidays),
    ("config", files::config),
    ("words", files::words),
];

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let known = TARGETS.into_iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("FUZZ_TARGET={name}: there are {:?}", TARGETS.map(|(known, _)| known))).1
});

fuzz_target!(|input: &[u8]| TARGET(input));
