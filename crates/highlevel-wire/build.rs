//! Generates types and operations from the embedded description.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Cargo shows each of these lines as an error, and nothing else: no trace, no command line.
            for line in message.lines().filter(|line| !line.trim().is_empty()) {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let directory = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo has not set OUT_DIR")?;
    let output = highlevel_codegen::run_embedded().map_err(|problems| problems.to_string())?;
    write(&directory.join("generated.rs"), &output.source)?;
    write(&directory.join("outline.txt"), &output.outline)?;
    write(&directory.join("normalised.json"), &output.normalised)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
