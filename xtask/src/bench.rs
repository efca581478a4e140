//! Builds and runs the benchmarks, a package outside the workspace with a lock file of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that measure, in the order in which they run.
const PROGRAMS: [&str; 3] = ["bench", "webhook", "sandbox"];

/// Measures, and prints tables. Nothing passes or fails.
pub(crate) fn run(quick: bool) -> Result<(), String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(&cargo);
    build.args(["build", "--release"]);
    finish(build)?;
    install_javascript();
    let sandbox = sandbox(&cargo)?;
    for program in PROGRAMS {
        let mut bench = Command::new(&cargo);
        bench.args(["run", "--quiet", "--release", "--bin", program, "--"]);
        bench.args(quick.then_some("--quick"));
        bench.env("HIGHLEVEL_SANDBOX", &sandbox);
        // Not every client that is compared leaves loopback to itself.
        bench.env("NO_PROXY", "localhost").env("no_proxy", "localhost");
        finish(bench)?;
    }
    Ok(())
}

/// Builds the program of the sandbox as it would be given away, and answers where it is.
fn sandbox(cargo: &str) -> Result<PathBuf, String> {
    let root = folder().join("..");
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "highlevel-sandbox", "--bin", "highlevel-sandbox"])
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .current_dir(&root)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err("the sandbox cannot be built: the messages above say why".to_owned());
    }
    let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let program =
        target.join("release").join("highlevel-sandbox").with_extension(std::env::consts::EXE_EXTENSION);
    program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
}

fn finish(mut command: Command) -> Result<(), String> {
    let status =
        command.current_dir(folder()).status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the benchmarks did not run to their end: the messages above say why".to_owned())
    }
}

/// Installs the official JavaScript SDK, in the versions of the lock file and without running any of its scripts. Where
/// that is not possible, the program that compares with it says that it is skipped.
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
        eprintln!("xtask: npm could not install what benchmarks/package-lock.json lists");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../benchmarks")
}
