//! The tests once more through PgBouncer in transaction mode, with three connections to the server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cluster::{self, POOLER};

/// Tests that crash the server, fail over, cut connections or set a clock connect without the pooler anyway.
const SKIPPED: [&str; 6] =
    ["fence::", "limits::", "crash::", "lost_claims::", "shared::processes_share", "pooler::"];

#[test]
fn the_suite_passes_through_a_pooler_in_transaction_mode() {
    if std::env::var_os(POOLER).is_some() || cluster::shared().is_none() {
        return;
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&paths).chain([PathBuf::from("/usr/sbin")]);
    let Some(pooler) = directories.map(|path| path.join("pgbouncer")).find(|path| path.exists()) else {
        let text = "PgBouncer is not installed: install it (Debian: `apt-get install pgbouncer`)";
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{text}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: the tests through a connection pooler. {text}");
        return;
    };
    run(&pooler);
}

fn run(pooler: &Path) {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg("--test-threads=6").env(POOLER, pooler);
    for name in SKIPPED {
        command.args(["--skip", name]);
    }
    let output = command.output().expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("outbox::"), "no test ran: {text}");
}
