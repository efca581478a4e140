//! Runs the program, and checks that no output contains a secret.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use highlevel_sandbox::Sandbox;
use highlevel_test_support::Directory;
use serde_json::Value;

/// A run of the program that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Returns the only line of output, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.trim_end().lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).expect("JSON")
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Asserts that the error contains these parts.
    #[track_caller]
    pub(crate) fn complains(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stderr.contains(part), "{part} is not in {}", self.stderr);
        }
    }
}

/// A sandbox, and the environment in which the program finds it.
pub(crate) struct Setup {
    pub(crate) sandbox: Sandbox,
    pub(crate) directory: Directory,
    secrets: Vec<String>,
}

impl Setup {
    pub(crate) async fn new() -> Self {
        Self::with(Sandbox::start().await.expect("a sandbox"))
    }

    pub(crate) fn with(sandbox: Sandbox) -> Self {
        let directory = Directory::create(env!("CARGO_TARGET_TMPDIR"), "cli");
        let secrets = vec![sandbox.token().to_owned(), sandbox.client_secret()];
        Self { sandbox, directory, secrets }
    }

    /// Returns the program with the token and the location of the sandbox. Standard input is empty, and there is no terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.anonymous(arguments);
        command.env("HIGHLEVEL_TOKEN", self.sandbox.token());
        command.env("HIGHLEVEL_LOCATION_ID", self.sandbox.location_id());
        command
    }

    /// Returns the program without credentials.
    pub(crate) fn anonymous(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highlevel"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HIGHLEVEL_") {
                command.env_remove(name);
            }
        }
        command.env("HIGHLEVEL_BASE_URL", self.sandbox.base_url());
        command.env("HOME", self.directory.path()).env_remove("XDG_DATA_HOME").env("COLUMNS", "100");
        command.current_dir(self.directory.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.output(self.command(arguments))
    }

    /// Runs the program with this standard input.
    #[track_caller]
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
        // A program that does not read its input may have ended.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        self.wait(child)
    }

    #[track_caller]
    pub(crate) fn output(&self, mut command: Command) -> Run {
        self.check(command.output().expect("the program runs"))
    }

    #[track_caller]
    pub(crate) fn wait(&self, child: Child) -> Run {
        self.check(child.wait_with_output().expect("the program ends"))
    }

    #[track_caller]
    fn check(&self, output: Output) -> Run {
        let run = Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        self.assert_no_secret(&run.stdout);
        self.assert_no_secret(&run.stderr);
        let is_safe = |character: char| character == '\n' || !character.is_control();
        assert!(run.stdout.chars().chain(run.stderr.chars()).all(is_safe), "{run:?}");
        run
    }

    #[track_caller]
    pub(crate) fn assert_no_secret(&self, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret), "the output contains a secret: {text}");
        }
    }

    /// Returns the path of a file in the directory of the test, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.file(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes a file in the directory of the test, and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.directory.file(name), content).expect("a file");
        self.path(name)
    }
}
