//! Child processes: this test program, started again with a role.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::TEST_TIMEOUT;
use super::roles::{self, AbortAt, Arguments};

/// The variable that holds the role and its arguments, as JSON.
const ROLE: &str = "HIGHLEVEL_POSTGRES_TEST_ROLE";
/// Precedes the lines of a child: the test harness prints others.
const MARK: &str = "child: ";

/// A running child process. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a process, which prints `ready`, works until it reads a line, drains, and prints `drained`.
    pub(crate) fn start(role: &Value) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "support::child::run_role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let input = child.stdin.take().expect("a piped standard input");
        let output = BufReader::new(child.stdout.take().expect("a piped standard output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The first line follows the name of the test.
                if let Some((_, line)) = line.split_once(MARK)
                    && sender.send(line.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self { child, input, lines }
    }

    /// Returns the next line that the process prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(TEST_TIMEOUT).expect("a line within the hang guard")
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the process reads its input");
    }

    /// Takes the lines that the process prints from now on.
    pub(crate) fn take_lines(&mut self) -> Receiver<String> {
        std::mem::replace(&mut self.lines, channel().1)
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("the process ends");
    }

    /// Returns `true` once the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child process").is_some()
    }

    /// Sends a signal, named like `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill").success(), "SIG{name}");
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(mut self) {
        self.child.wait().expect("the process ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn say(line: &str) {
    println!("{MARK}{line}");
}

/// Not a test: the entry point of child processes. Does nothing in the test program itself.
#[test]
fn run_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let role = Arguments(serde_json::from_str(&role).expect("a role"));
    if let Some(point) = role.0["abort_at"].as_str() {
        let countdown = AtomicI64::new(role.0["countdown"].as_i64().unwrap_or(1));
        let subscriber = AbortAt { point: point.to_owned(), countdown };
        tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
    } else {
        let level = tracing_subscriber::filter::LevelFilter::ERROR;
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        match role.0["role"].as_str() {
            Some("sender") => roles::send(&role).await,
            Some("reader") => roles::read(&role).await,
            Some("caller") => roles::call(&role).await,
            Some("store") => roles::store(&role).await,
            Some("limiter") => roles::limiter(&role).await,
            Some("deduplicator") => roles::deduplicator(&role).await,
            other => panic!("unknown role {other:?}"),
        }
    });
}
