//! Generates types and operations from the embedded spec.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(message) = generate() {
        // Cargo shows each of these lines as an error and fails the build. A failing exit status would make it show
        // them again, with the command line of this program.
        for line in message.lines().filter(|line| !line.trim().is_empty()) {
            println!("cargo::error={line}");
        }
    }
}

fn generate() -> Result<(), String> {
    let directory = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo has not set OUT_DIR")?;
    let output =
        highlevel_codegen::run_embedded().map_err(|problems| format!("spec/openapi.yaml: {problems}"))?;
    write(&directory.join("generated.rs"), &output.source)?;
    write(&directory.join("outline.txt"), &output.outline)?;
    write(&directory.join("normalised.json"), &output.normalised)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
