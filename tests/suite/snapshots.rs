//! Snapshots for reviewers, and the committed output of the generator. The files change only through
//! `cargo xtask codegen`.

use std::fs;
use std::sync::LazyLock;

use highlevel_codegen::GeneratedFiles;

use crate::metadata::root;

/// The snapshots of this folder, each checked by a test of this binary.
pub(crate) const SNAPSHOTS: [&str; 7] = [
    "outline",
    "normalised-spec",
    "requests",
    "webhook-events",
    "fault-matrix",
    "find-matrix",
    "transport-evidence",
];

/// Compares a text with its snapshot.
pub(crate) fn check(name: &str, text: &str) {
    assert!(SNAPSHOTS.contains(&name), "{name} is not in the list of snapshots");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The output of the generator, relative to the root of the workspace. Published crates are compiled from it.
pub(crate) const GENERATED_SOURCE: &str = "crates/highlevel-wire/src/generated.rs";

static OUTPUT: LazyLock<GeneratedFiles> =
    LazyLock::new(|| highlevel_codegen::run_embedded().expect("the spec is valid"));

/// Returns a message with the first difference of two texts, or `None` if they are equal.
fn difference(committed: &str, generated: &str) -> Option<String> {
    if committed == generated {
        return None;
    }
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (committed, generated) = (lines(committed), lines(generated));
    let common = committed.iter().zip(&generated).take_while(|(left, right)| left == right).count();
    let line = |lines: &[String]| lines.get(common).map_or("the end".to_owned(), |line| format!("{line:?}"));
    Some(format!(
        "line {} of {GENERATED_SOURCE} is {}, but the generator writes {}; run `cargo xtask codegen` and commit the result",
        common + 1,
        line(&committed),
        line(&generated)
    ))
}

#[test]
fn outline() {
    check("outline", &OUTPUT.outline);
}

#[test]
fn normalised_spec() {
    check("normalised-spec", &OUTPUT.normalised);
}

/// Compares the bytes, and writes them where insta updates snapshots.
#[test]
fn generated_source() {
    let path = root().join(GENERATED_SOURCE);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let Some(difference) = difference(&committed, &OUTPUT.source) else { return };
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always");
    assert!(update, "{difference}");
    fs::write(&path, &OUTPUT.source).expect("the file can be written");
}

#[test]
fn a_committed_source_that_differs_is_reported() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    for (committed, expected) in [
        (
            "a\nc\n",
            "line 2 of crates/highlevel-wire/src/generated.rs is \"c\", but the generator writes \"b\"",
        ),
        (
            "a\nb",
            "line 3 of crates/highlevel-wire/src/generated.rs is the end, but the generator writes \"\"",
        ),
        (
            "a\r\nb\n",
            "line 1 of crates/highlevel-wire/src/generated.rs is \"a\\r\", but the generator writes \"a\"",
        ),
        ("", "line 1 of crates/highlevel-wire/src/generated.rs is \"\", but the generator writes \"a\""),
    ] {
        let message = difference(committed, "a\nb\n").expect("a difference");
        assert!(message.starts_with(expected), "{message}");
    }
}
