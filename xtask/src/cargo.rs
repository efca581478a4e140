//! Starts cargo from a program that cargo itself started.

use std::process::Command;

/// Returns a command that runs cargo in the environment of the person who started `cargo xtask`.
///
/// `cargo run` describes the package `xtask` in `CARGO_PKG_*` and `CARGO_MANIFEST_*`. The build script of ring asks to be
/// rerun if these change, so passing them on would recompile ring and everything that depends on it, and the next
/// command outside of xtask would recompile it all again.
pub(crate) fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_xtask) {
            command.env_remove(name);
        }
    }
    command
}

fn describes_xtask(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_about_the_package_xtask_are_not_passed_on() {
        // `cargo test` sets them as `cargo run` does.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let command = command();
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION_MAJOR"] {
            assert!(removed.contains(&std::ffi::OsStr::new(name)), "{name} is passed on: {removed:?}");
        }
        assert!(!removed.contains(&std::ffi::OsStr::new("CARGO_TARGET_DIR")));
    }
}
