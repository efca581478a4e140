//! The program as a process that ends with its test.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use highlevel_test_support::Directory;
use serde_json::Value;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highlevel-sandbox"));
    command.env_remove("HIGHLEVEL_SANDBOX_URL").env_remove("HIGHLEVEL_SANDBOX_ADMIN_TOKEN");
    command
}

pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts the program. Its output is not read yet.
    pub(crate) fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = program();
        command.args(arguments);
        Self::of(command)
    }

    /// Starts the program by another command.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("it has ended").unwrap()
    }

    /// Takes standard error, which the command must have piped.
    pub(crate) fn errors(&mut self) -> Lines<BufReader<ChildStderr>> {
        BufReader::new(self.child.stderr.take().unwrap()).lines()
    }

    /// Reads up to the `ready` line, and returns its JSON.
    pub(crate) fn ready(&mut self) -> Value {
        loop {
            if let Some(json) = self.line().strip_prefix("ready ") {
                return serde_json::from_str(json).unwrap();
            }
        }
    }

    pub(crate) fn rest(self) -> impl Iterator<Item = String> {
        let mut this = self;
        std::iter::from_fn(move || this.lines.next().map(Result::unwrap))
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a directory that is removed with its test.
pub(crate) fn directory(name: &str) -> Directory {
    Directory::create(std::env::temp_dir(), &format!("highlevel-sandbox-{name}"))
}
