//! Regenerates the API's types and operations, and updates or checks the committed source and the snapshots.
//!
//! The build of `highlevel-wire` runs the generator, and tests compare its output with the committed source and the
//! snapshots. This command runs those tests, either to update the files or to check them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo;

/// The folder of the snapshots, which reviewers read.
const SNAPSHOTS: &str = "tests/snapshots";

/// The output of the generator, which published crates are compiled from.
const SOURCE: &str = "crates/highlevel-wire/src/generated.rs";

/// Builds the generated code and updates the committed source and the snapshots.
pub(crate) fn update() -> Result<(), String> {
    if !run(&[&GENERATED[..], &OUTCOMES].concat(), "always", &["--package", "highlevel-tests"])? {
        return Err("the files were not updated, see the messages above".to_owned());
    }
    remove_leftovers()?;
    let changed = git_status()?;
    if changed.is_empty() {
        println!("codegen: the committed source and the snapshots were up to date");
    } else {
        println!("codegen: files have changed; review `git diff {SNAPSHOTS}` and commit them\n{changed}");
    }
    Ok(())
}

/// Builds the generated code and compares it with the committed source and the snapshots of the generated code.
pub(crate) fn check() -> Result<(), String> {
    // With the features of the whole workspace, so that the artefacts of `cargo test --workspace` are reused.
    if run(&GENERATED, "no", &["--workspace"])? {
        println!("codegen: the committed source and its snapshots are up to date");
        Ok(())
    } else {
        Err("the committed files differ from the generated code; run `cargo xtask codegen`, review the diff and commit it"
            .to_owned())
    }
}

/// The tests that compare the committed source and the snapshots of what is generated.
const GENERATED: [&str; 5] = [
    "snapshots::outline",
    "snapshots::normalised_spec",
    "snapshots::generated_source",
    "requests::requests",
    "webhook_events::events",
];

/// The tests that compare the outcomes under all faults. They take minutes, so `--check` leaves them to `cargo test`.
const OUTCOMES: [&str; 3] = [
    "faults::matrix::no_fault_delivers_twice_and_every_outcome_is_correct",
    "find::matrix::results_agree_with_the_ledger_under_all_faults",
    "faults::evidence::requests_that_the_server_read_are_reported_as_written",
];

/// Runs these tests. Returns `false` if one failed.
fn run(tests: &[&str], insta_update: &str, packages: &[&str]) -> Result<bool, String> {
    let test = [&["test", "--quiet", "--test", "suite"], packages].concat();
    let list = cargo::command()
        .args(&test)
        .args(["--", "--list", "--exact"])
        .args(tests)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !list.status.success() {
        return Err("the tests do not build, see the messages above".to_owned());
    }
    let found = String::from_utf8_lossy(&list.stdout).lines().filter(|line| line.ends_with(": test")).count();
    if found != tests.len() {
        return Err(format!(
            "only {found} of the {} tests that compare committed files exist; correct their names in xtask/src/codegen.rs",
            tests.len()
        ));
    }
    let status = cargo::command()
        .args(&test)
        .args(["--", "--exact"])
        .args(tests)
        .env("INSTA_UPDATE", insta_update)
        // A backtrace would bury the diff of a snapshot.
        .env("RUST_BACKTRACE", "0")
        .env("INSTA_WORKSPACE_ROOT", root())
        .current_dir(root())
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    Ok(status.success())
}

/// Removes the files that earlier failed tests wrote beside the snapshots.
fn remove_leftovers() -> Result<(), String> {
    let folder = root().join(SNAPSHOTS);
    let failure = |error: std::io::Error| format!("cannot remove leftovers in {}: {error}", folder.display());
    for entry in std::fs::read_dir(&folder).map_err(failure)? {
        let path = entry.map_err(failure)?.path();
        if path.to_string_lossy().ends_with(".snap.new") {
            std::fs::remove_file(path).map_err(failure)?;
        }
    }
    Ok(())
}

fn git_status() -> Result<String, String> {
    let output = Command::new("git")
        .args(["status", "--short", "--", SNAPSHOTS, SOURCE])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
