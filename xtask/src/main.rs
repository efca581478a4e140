//! Commands for maintainers: `cargo xtask COMMAND`.
//!
//! The crate depends on parsers of JSON and YAML only, so that it compiles in seconds.

mod bench;
mod cargo;
mod codegen;
mod drift;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  codegen           regenerate from spec/openapi.yaml and update the committed source and the snapshots
  codegen --check   fail with a diff if generated code or a snapshot of it is not up to date
  drift FILE…       compare the spec with OpenAPI files of the vendor; fail unless spec/drift.yaml lists the differences
  bench [--quick]   compare the SDK with reqwest, ghl-sdk and the JavaScript SDK; --quick takes seconds
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["codegen"] => codegen::update(),
        ["codegen", "--check"] => codegen::check(),
        ["drift", files @ ..] if !files.is_empty() => drift::run(files),
        ["bench"] => bench::run(false),
        ["bench", "--quick"] => bench::run(true),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown command `{}`\n\n{HELP}", other.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}
