//! The sandbox on the command line.

mod cli;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use highlevel_sandbox::Sandbox;

use cli::arguments::{self, Command, Options};
use cli::{failure, live, welcome};

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help => say(arguments::HELP),
        Command::Version => say(concat!("highlevel-sandbox ", env!("CARGO_PKG_VERSION"))),
        Command::Serve(options) => run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", failure::words(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. `println!` panics when nobody reads any more.
fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn run(options: &Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sandbox = options.builder().start().await?;
        say(&welcome::text(&welcome::Facts::of(&sandbox, options)))?;
        tokio::select! {
            result = watch(&sandbox) => result,
            result = stop_signal() => result,
        }
    })
}

/// Prints a line for everything that happens, for ever.
async fn watch(sandbox: &Sandbox) -> io::Result<()> {
    let mut entries = sandbox.follow();
    loop {
        say(&live::line(&entries.next().await))?;
    }
}

/// Resolves on Ctrl-C, and when a supervisor asks to stop.
async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
