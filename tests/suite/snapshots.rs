//! Snapshots for reviewers. The files change only through `cargo xtask codegen`.

/// The snapshots of this folder, each checked by a test of this binary.
pub(crate) const SNAPSHOTS: [&str; 7] = [
    "outline",
    "normalised-spec",
    "generated-source",
    "requests",
    "webhook-events",
    "fault-matrix",
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

#[test]
fn outline() {
    check("outline", highlevel_wire::OUTLINE);
}

#[test]
fn normalised_spec() {
    check("normalised-spec", highlevel_wire::NORMALISED_SPEC);
}

#[test]
fn generated_source() {
    check("generated-source", highlevel_wire::GENERATED_SOURCE);
}
