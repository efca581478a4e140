//! Writes to standard output and standard error.

use std::io::{self, Write};

use serde_json::Value;

use crate::text::{json_line, printable_lines};

/// Prints results as text or as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    is_json: bool,
}

impl Printer {
    pub(crate) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Returns `true` if results are printed as JSON.
    pub(crate) fn is_json(self) -> bool {
        self.is_json
    }

    /// Prints a result: one line of JSON, or text. Unlike `println!`, it returns an error when the reader has closed the
    /// pipe.
    pub(crate) fn result(
        self,
        json: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        let line = if self.is_json { json_line(&json()) } else { printable_lines(&text()) };
        write(format!("{line}\n").as_bytes())
    }
}

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()
}

/// Prints lines on standard error. A closed pipe is ignored.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable_lines(text));
}
