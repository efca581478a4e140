//! Counts instructions with callgrind. Other load on the machine changes these counts very little.

use std::path::Path;
use std::process::{Command, Stdio};

/// The tool, where it is installed.
pub struct Callgrind(());

impl Callgrind {
    /// Returns the tool. Prints that the instructions are skipped if it is not installed.
    pub fn find() -> Option<Self> {
        let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
        let found = version.is_ok_and(|status| status.success()).then_some(Self(()));
        if found.is_none() {
            println!("SKIPPED: instructions; install valgrind to count them\n");
        }
        found
    }

    /// Returns the instructions of one repetition in user mode: the difference of two runs of this program, divided by the
    /// difference of their repetitions, so that the start of the program does not count. The number of repetitions is the last
    /// argument.
    pub fn per_repetition(&self, arguments: &[&str], repetitions: [u32; 2]) -> f64 {
        let program = std::env::current_exe().expect("this program");
        let [few, many] = repetitions.map(|count| run(&program, arguments, count) as f64);
        (many - few) / f64::from(repetitions[1] - repetitions[0])
    }
}

/// Returns the instructions of a whole run.
fn run(program: &Path, arguments: &[&str], repetitions: u32) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .arg(repetitions.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, count)| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("no count in `{text}`"))
}
