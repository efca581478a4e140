//! Printing.

use std::io::{self, Write};

/// Prints a line. `println!` panics when nobody reads any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
