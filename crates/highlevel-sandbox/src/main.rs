//! The sandbox on the command line.

mod cli;
mod shell;

use std::io::ErrorKind;
use std::process::ExitCode;

use cli::{arguments, failure};

fn main() -> ExitCode {
    let action = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(action) => action,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match action() {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", failure::words(&error));
            ExitCode::FAILURE
        }
    }
}
