//! A child process, and a scratch directory for it.
#![allow(dead_code, reason = "each module of this target uses some of it")]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use highlevel_test_support::Directory;

/// A hang guard, far longer than any step takes.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A running child process. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    printed: RefCell<Vec<String>>,
}

impl Process {
    /// Starts a program, which is `env!("CARGO_BIN_EXE_name")`. Its standard error is that of the test.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(command)
    }

    /// Starts a prepared command with its standard input and output connected to this value.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let input = child.stdin.take().expect("a piped standard input");
        let output = BufReader::new(child.stdout.take().expect("a piped standard output"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, lines, printed: RefCell::default() }
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the standard input of the process.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the process reads its input");
    }

    /// Returns the next line that the process prints.
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(TEST_TIMEOUT).expect("a line within the hang guard");
        self.printed.borrow_mut().push(line.clone());
        line
    }

    /// Returns the rest of the next line that starts with a word; other lines are skipped.
    pub(crate) fn after(&self, word: &str) -> String {
        loop {
            let line = self.line();
            match line.split_once(' ') {
                Some((first, rest)) if first == word => return rest.to_owned(),
                None if line == word => return String::new(),
                _ => {}
            }
        }
    }

    /// Returns `true` if the process prints nothing for this long.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        matches!(self.lines.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// Stops the process with SIGSTOP and returns once all of its threads are stopped.
    pub(crate) fn stop(&self) {
        stop(self.id());
    }

    /// Continues a stopped process with SIGCONT.
    pub(crate) fn resume(&self) {
        signal(self.id(), "CONT");
    }

    /// Kills the process with SIGKILL and returns all lines that it printed.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("the process ends");
        let mut printed = self.printed.take();
        printed.extend(self.lines.iter());
        printed
    }

    /// Waits until the process has ended by itself. Returns its exit status.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        let end = Instant::now() + TEST_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child process") {
                return status;
            }
            assert!(Instant::now() < end, "process {} does not end", self.id());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stops a process with SIGSTOP and returns once it is stopped.
pub(crate) fn stop(id: u32) {
    signal(id, "STOP");
    let end = Instant::now() + TEST_TIMEOUT;
    while !state(id).starts_with('T') {
        assert!(Instant::now() < end, "process {id} does not stop");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a signal, named like `STOP`.
pub(crate) fn signal(id: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().expect("kill");
    assert!(status.success(), "SIG{name} to process {id}");
}

/// Returns the state of a process as `ps` prints it.
fn state(id: u32) -> String {
    let output = Command::new("ps").args(["-o", "state=", "-p"]).arg(id.to_string()).output().expect("ps");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Returns a directory for one test, which does not exist yet.
pub(crate) fn scratch() -> Directory {
    Directory::absent(env!("CARGO_TARGET_TMPDIR"), "processes")
}
