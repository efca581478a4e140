//! Builds and runs the benchmarks, a separate package outside the workspace with its own lock file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo;

/// The programs that measure, in the order in which they run.
const PROGRAMS: [&str; 4] = ["bench", "webhook", "storm", "sandbox"];

/// Runs the benchmarks, which print tables. No measurement passes or fails.
pub(crate) fn run(quick: bool) -> Result<(), String> {
    let mut build = cargo::command();
    build.args(["build", "--release"]);
    finish(build)?;
    install_javascript();
    let sandbox = sandbox()?;
    for program in PROGRAMS {
        let mut bench = cargo::command();
        bench.args(["run", "--quiet", "--release", "--bin", program, "--"]);
        bench.args(quick.then_some("--quick"));
        bench.env("HIGHLEVEL_SANDBOX", &sandbox);
        // Some of the compared clients would send requests to loopback through a proxy.
        bench.env("NO_PROXY", "localhost,127.0.0.1").env("no_proxy", "localhost,127.0.0.1");
        finish(bench)?;
    }
    postgres(quick, &sandbox)
}

/// Measures the outbox in a temporary cluster of Debian's tools.
fn postgres(quick: bool, sandbox: &Path) -> Result<(), String> {
    if !Command::new("pg_virtualenv").arg("-h").stdout(Stdio::null()).status().is_ok_and(|it| it.success()) {
        println!("SKIPPED: the outbox; install Debian's package postgresql to measure it");
        return Ok(());
    }
    let mut bench = Command::new("pg_virtualenv");
    // The tool turns `fsync` off; the last option counts.
    bench.args(["-o", "shared_buffers=512MB", "-o", "max_wal_size=4GB", "-o", "fsync=on"]);
    bench.args(["cargo", "run", "--quiet", "--release", "--bin", "postgres", "--"]);
    bench.args(quick.then_some("--quick"));
    bench.env("HIGHLEVEL_SANDBOX", sandbox);
    finish(bench)
}

/// Builds the sandbox program as a release and returns its path.
fn sandbox() -> Result<PathBuf, String> {
    let root = folder().join("..");
    let status = cargo::command()
        .args(["build", "--release", "--package", "highlevel-sandbox", "--bin", "highlevel-sandbox"])
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .current_dir(&root)
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err("the sandbox does not build, see the messages above".to_owned());
    }
    let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let program =
        target.join("release").join("highlevel-sandbox").with_extension(std::env::consts::EXE_EXTENSION);
    program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
}

fn finish(mut command: Command) -> Result<(), String> {
    let status =
        command.current_dir(folder()).status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the benchmarks failed, see the messages above".to_owned()) }
}

/// Installs the official JavaScript SDK in the versions of the lock file, without running its install scripts. If that
/// fails, the program that compares with it reports that it skips the comparison.
fn install_javascript() {
    if folder().join("node_modules/.package-lock.json").exists() {
        return;
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder())
        .stdout(Stdio::null())
        .status();
    if !npm.is_ok_and(|status| status.success()) {
        eprintln!("xtask: npm could not install the packages of benchmarks/package-lock.json");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../benchmarks")
}
