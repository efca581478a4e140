//! Printing.

use std::io::{self, Write};

/// Prints a line. `println!` panics when nobody reads any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Says something beside the output. That nobody can read it is no reason to fail.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "note: {line}");
}
