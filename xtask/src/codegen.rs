//! Generates anew, and updates or checks the snapshots.
//!
//! Generating is part of building `highlevel-wire`; the tests that hold the snapshots show what was built. So this
//! command is those tests, in the mode that is asked for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where reviewers read.
const SNAPSHOTS: &str = "tests/snapshots";

/// Builds, and writes what was built into the snapshots.
pub(crate) fn update() -> Result<(), String> {
    if !run("always", &["--package", "highlevel-tests"])? {
        return Err("the snapshots were not updated: the messages above say why".to_owned());
    }
    remove_leftovers()?;
    let changed = git_status()?;
    if changed.is_empty() {
        println!("codegen: the snapshots were up to date");
    } else {
        println!(
            "codegen: the snapshots have changed; read `git diff {SNAPSHOTS}` and commit them\n{changed}"
        );
    }
    Ok(())
}

/// Builds, and compares what was built with the snapshots.
pub(crate) fn check() -> Result<(), String> {
    // With the features of the whole workspace, as `cargo test --workspace` has just compiled them.
    if run("no", &["--workspace"])? {
        println!("codegen: the snapshots are what is generated");
        Ok(())
    } else {
        Err("the snapshots are not what is generated: run `cargo xtask codegen`, read the diff and commit it"
            .to_owned())
    }
}

/// The tests that hold the snapshots.
const TESTS: [&str; 7] = [
    "snapshots::outline",
    "snapshots::normalised_spec",
    "snapshots::generated_source",
    "requests::requests",
    "webhook_events::events",
    "faults::matrix::no_fault_delivers_twice_and_each_says_what_is_known",
    "faults::evidence::what_the_transport_says_was_written_is_what_the_server_may_have_read",
];

/// Runs the tests that hold the snapshots; `false` if one failed.
fn run(insta_update: &str, packages: &[&str]) -> Result<bool, String> {
    let test = [&["test", "--quiet", "--test", "suite"], packages].concat();
    let list = Command::new(cargo())
        .args(&test)
        .args(["--", "--list", "--exact"])
        .args(TESTS)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !list.status.success() {
        return Err("it does not build: the messages above say why".to_owned());
    }
    let found = String::from_utf8_lossy(&list.stdout).lines().filter(|line| line.ends_with(": test")).count();
    if found != TESTS.len() {
        return Err(format!(
            "{found} of the {} tests that hold the snapshots were found: correct their names in xtask/src/codegen.rs",
            TESTS.len()
        ));
    }
    let status = Command::new(cargo())
        .args(&test)
        .args(["--", "--exact"])
        .args(TESTS)
        .env("INSTA_UPDATE", insta_update)
        // A backtrace of a snapshot that differs would bury the diff.
        .env("RUST_BACKTRACE", "0")
        .env("INSTA_WORKSPACE_ROOT", root())
        .current_dir(root())
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    Ok(status.success())
}

/// Removes what an earlier failed test wrote beside the snapshots.
fn remove_leftovers() -> Result<(), String> {
    let folder = root().join(SNAPSHOTS);
    let fault = |error: std::io::Error| format!("{} cannot be tidied: {error}", folder.display());
    for entry in std::fs::read_dir(&folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.to_string_lossy().ends_with(".snap.new") {
            std::fs::remove_file(path).map_err(fault)?;
        }
    }
    Ok(())
}

fn git_status() -> Result<String, String> {
    let output = Command::new("git")
        .args(["status", "--short", "--", SNAPSHOTS])
        .current_dir(root())
        .output()
        .map_err(|error| format!("git cannot be run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
