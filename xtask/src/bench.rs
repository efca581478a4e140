//! Builds and runs the benchmarks, a package outside the workspace with a lock file of its own.

use std::path::Path;
use std::process::Command;

/// Measures, and prints tables. Nothing passes or fails.
pub(crate) fn run(quick: bool) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benchmarks");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(&cargo);
    build.args(["build", "--release"]);
    let mut bench = Command::new(&cargo);
    bench.args(["run", "--quiet", "--release", "--bin", "bench", "--"]);
    bench.args(quick.then_some("--quick"));
    // Not every client that is compared leaves loopback to itself.
    bench.env("NO_PROXY", "localhost").env("no_proxy", "localhost");
    for command in [&mut build, &mut bench] {
        let status =
            command.current_dir(&folder).status().map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !status.success() {
            return Err("the benchmarks did not run to their end: the messages above say why".to_owned());
        }
    }
    Ok(())
}
