//! The sandbox as a program.

mod cli;
mod shell;

use std::process::ExitCode;

fn main() -> ExitCode {
    silence_state_file_check();
    // Warnings, for example about a state file that cannot be written, go to standard error. The formatter escapes
    // terminal sequences in them.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    cli::run(std::env::args_os())
}

/// Prints no panic of the thread that checks a state file. A damaged file can make the database panic; the error that
/// follows reports the file as damaged.
fn silence_state_file_check() {
    let print_panic = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(highlevel_sandbox::CHECK_THREAD) {
            print_panic(panic);
        }
    }));
}
