//! The command line, defined for clap, and a module for each command.

mod admin_client;
mod failure;
mod generate;
mod health;
#[cfg(feature = "mcp")]
mod mcp;
mod output;
mod serve;
mod simulate;
mod trigger;
mod values;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

/// Exit code of arguments that cannot be parsed.
const USAGE_ERROR: u8 = 2;

/// The line that `--version` prints.
const VERSION: &str = concat!("highlevel-sandbox ", env!("CARGO_PKG_VERSION"));

/// The port to listen on, and the URL of a sandbox that does. Not one of the ports that Linux, macOS and Windows assign.
const DEFAULT_PORT: u16 = 4010;
const DEFAULT_URL: &str = "http://127.0.0.1:4010";

/// Wrapped by clap to the width of the terminal.
const AFTER_HELP: &str = "\
The sandbox prints all that is needed to send a first message, then a line that starts with `ready`, followed by the \
same as JSON, then a line for each request and each webhook. Ctrl-C or SIGTERM stops it.";

/// A local HighLevel to develop and test against
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
// Without a command, the arguments are those of `serve`. An option that is repeated has its last value.
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
#[command(after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a sandbox (the default)
    Serve(Box<serve::ServeArgs>),
    /// Check that a sandbox is running
    ///
    /// The exit code is 1 if it is not, as health checks of containers need it.
    Health(health::HealthArgs),
    /// Send an example of a webhook event
    ///
    /// The event is signed, and its delivery is printed as JSON.
    Trigger(trigger::TriggerArgs),
    /// Simulate an inbound message, a call or a status change
    ///
    /// It is stored, its webhook is sent, and the message is printed as JSON.
    Simulate(simulate::SimulateArgs),
    /// Serve the tools of a coding agent over MCP
    ///
    /// A server of the Model Context Protocol on standard input and output, for a sandbox that runs already: it plays the
    /// contact, breaks requests and explains rejections.
    #[cfg(feature = "mcp")]
    Mcp(mcp::McpArgs),
    /// Print a completion script for a shell
    Completions(generate::CompletionsArgs),
    /// Print a manual page in roff format
    Man(generate::ManArgs),
}

impl Cli {
    fn run(self) -> io::Result<()> {
        match self.command {
            None => self.serve.run(),
            Some(Command::Serve(args)) => args.run(),
            Some(Command::Health(args)) => args.run(),
            Some(Command::Trigger(args)) => args.run(),
            Some(Command::Simulate(args)) => args.run(),
            #[cfg(feature = "mcp")]
            Some(Command::Mcp(args)) => args.run(),
            Some(Command::Completions(args)) => args.run(Self::command()),
            Some(Command::Man(args)) => args.run(Self::command()),
        }
    }
}

/// Runs the command that the arguments name, the name of the program first.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.run(),
        Err(error) if error.use_stderr() => {
            eprint!("{}", output::escape_lines(&error.to_string()));
            return ExitCode::from(USAGE_ERROR);
        }
        // clap would add the name of the command.
        Err(error) if error.kind() == ErrorKind::DisplayVersion => output::print(VERSION),
        Err(help) => output::print(help.to_string().trim_end()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", failure::describe(&error));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a command line that is split at white space, without the name of the program.
    pub(super) fn parse<T: Parser>(line: &str) -> Result<T, String> {
        let arguments = std::iter::once("highlevel-sandbox").chain(line.split_whitespace());
        T::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_find_a_sandbox_on_the_default_port() {
        assert_eq!(DEFAULT_URL, format!("http://127.0.0.1:{DEFAULT_PORT}"));
    }

    #[test]
    fn serve_is_the_default_command() {
        for (line, expected) in [("", false), ("--json", true), ("serve --json", true), ("serve", false)] {
            let cli: Cli = parse(line).unwrap();
            let args = match cli.command {
                None => cli.serve,
                Some(Command::Serve(args)) => *args,
                Some(other) => panic!("{line}: {other:?}"),
            };
            assert_eq!(args.json, expected, "{line}");
        }
        let error = parse::<Cli>("--json serve").unwrap_err();
        assert!(error.contains("the subcommand 'serve' cannot be used with '--json'"), "{error}");
    }
}
