//! The sandbox on the command line.

mod cli;
mod shell;

use std::io::ErrorKind;
use std::process::ExitCode;

use cli::{arguments, failure};

fn main() -> ExitCode {
    let print_panic = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A damaged state file can make the database panic. What is reported is that the file is damaged.
        if std::thread::current().name() != Some(highlevel_sandbox::CHECK_THREAD) {
            print_panic(panic);
        }
    }));
    // Warnings, for example that the state file cannot be written, go to standard error. The formatter escapes terminal
    // sequences in them.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
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
