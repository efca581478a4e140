//! Child processes: this test program, started again with a role.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use highlevel_postgres::Database;
use serde_json::{Value, json};

use super::TEST_TIMEOUT;

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
    /// Starts a sender, which prints `ready`, sends until it reads a line, drains, and prints `drained`.
    pub(crate) fn sender(url: &str, base_url: &str, token: &str, settings: &Value) -> Self {
        Self::start(&json!({
            "role": "sender", "url": url, "base_url": base_url, "token": token, "settings": settings,
        }))
    }

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

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("the process ends");
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
    let role: Value = serde_json::from_str(&role).expect("a role");
    let level = tracing_subscriber::filter::LevelFilter::WARN;
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        match role["role"].as_str() {
            Some("sender") => send(&role).await,
            other => panic!("unknown role {other:?}"),
        }
    });
}

/// Waits for a line on standard input, or its end.
async fn told() {
    let read = || std::io::stdin().read_line(&mut String::new());
    let _ = tokio::task::spawn_blocking(read).await;
}

async fn send(role: &Value) {
    let text = |name: &str| role[name].as_str().expect("an argument").to_owned();
    let settings = &role["settings"];
    let number = |name: &str, default: u64| settings[name].as_u64().unwrap_or(default);
    let database = Database::builder(text("url"))
        .deployment("test")
        .limits(super::generous_limits())
        .connect()
        .await
        .expect("a connection");
    let clients = super::clients(text("base_url"), text("token"), &database);
    let sender = database
        .outbox()
        .sender(clients)
        .in_flight(usize::try_from(number("in_flight", 16)).expect("a small number"))
        .attempt_timeout(Duration::from_millis(number("attempt_ms", 5_000)))
        .lease_margin(Duration::from_millis(number("margin_ms", 2_000)))
        .poll_interval(Duration::from_millis(10))
        .start();
    say("ready");
    told().await;
    say(if sender.drain(TEST_TIMEOUT).await { "drained" } else { "timed out" });
}
