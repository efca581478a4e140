//! Writes to standard output and standard error.

use std::io::{self, Write};

use crate::shell::printable;

/// Prints a line. Unlike `println!`, it returns an error when the reader has closed the pipe.
pub(super) fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Writes bytes to standard output.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()
}

/// Prints a note on standard error. A closed pipe is ignored.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "note: {line}");
}

/// Escapes each line of a text that quotes arguments.
pub(super) fn escape_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
