//! A process of this crate's program `token-process`, and a directory for it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Far longer than it takes: it only ends a run in which something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that runs. It is killed at the latest when this is dropped.
pub(super) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    said: RefCell<Vec<String>>,
}

impl Process {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_token-process"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, lines, said: RefCell::default() }
    }

    /// The next line that it says.
    pub(super) fn line(&self) -> String {
        let line =
            self.lines.recv_timeout(PATIENCE).expect("the process says something; its own error is above");
        self.said.borrow_mut().push(line.clone());
        line
    }

    /// What it says after a word; what it says before that is passed over.
    pub(super) fn after(&self, word: &str) -> String {
        loop {
            if let Some((first, rest)) = self.line().split_once(' ')
                && first == word
            {
                return rest.to_owned();
            }
        }
    }

    /// Tells it something.
    pub(super) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the process listens");
    }

    /// Kills it, as `kill -9` does, and answers all that it said.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("a process that ends");
        let mut said = self.said.take();
        said.extend(self.lines.iter());
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that does not exist yet; it is removed afterwards.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tokens-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn text(&self) -> &str {
        self.0.to_str().expect("a name that is text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
