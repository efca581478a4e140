//! The guides that the published crate contains.

use std::process::Command;

use crate::metadata::root;

/// The crate contains the guides of `docs/`, so that docs.rs can show them.
#[test]
fn the_package_contains_the_guides() {
    let arguments = ["package", "--list", "--package", "highlevel", "--allow-dirty", "--offline"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8(output.stdout).expect("UTF-8");
    for guide in [
        "auth.md",
        "blocking.md",
        "bridge.md",
        "delivery.md",
        "observability.md",
        "testing.md",
        "webhooks.md",
    ] {
        let packaged = format!("guide/{guide}");
        assert!(files.lines().any(|file| file == packaged), "the package lacks {packaged}");
        let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a guide");
        let copy = read(&format!("crates/highlevel/{packaged}"));
        assert_eq!(
            copy,
            read(&format!("docs/{guide}")),
            "{packaged} differs from docs/{guide}: link it again"
        );
    }
}
