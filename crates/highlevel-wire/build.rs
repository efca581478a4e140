//! With the feature `generate`, generates types and operations from the embedded spec. Without it, the crate is compiled from the
//! committed `src/generated.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "generate")]
    generate::run();
}

#[cfg(feature = "generate")]
mod generate {
    use std::path::PathBuf;
    use std::{env, fs};

    pub(crate) fn run() {
        if let Err(message) = generate() {
            // Cargo shows each of these lines as an error and fails the build. A failing exit status would make it
            // show them again, with the command line of this program.
            for line in message.lines().filter(|line| !line.trim().is_empty()) {
                println!("cargo::error={line}");
            }
        }
    }

    fn generate() -> Result<(), String> {
        let directory = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo has not set OUT_DIR")?;
        let output =
            highlevel_codegen::run_embedded().map_err(|problems| format!("spec/openapi.yaml: {problems}"))?;
        let path = directory.join("generated.rs");
        fs::write(&path, output.source).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}
