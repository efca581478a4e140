//! The command line, defined for clap.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::access::ApiAccessArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::{self, Printer};
use crate::text::printable_lines;
use crate::{contact, conversation, doctor, find, generate, oauth, send, status, webhook};

/// The line that `--version` prints.
const VERSION: &str = concat!("highlevel ", env!("CARGO_PKG_VERSION"));

/// Wrapped by clap to the width of the terminal.
const AFTER_HELP: &str = "\
Secrets are never arguments: set HIGHLEVEL_TOKEN and HIGHLEVEL_CLIENT_SECRET, or pass --token-file and \
--client-secret-file. With --json, each result and each error is one line of JSON on standard output.";

/// Send messages, read conversations, verify webhooks and manage tokens of HighLevel
#[derive(Debug, Parser)]
#[command(name = "highlevel", version, propagate_version = true, max_term_width = 110)]
// An option that is repeated has its last value.
#[command(args_override_self = true, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = AFTER_HELP)]
struct Program {
    #[command(subcommand)]
    command: ProgramCommand,
    /// Print results and errors as JSON, one object per line
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    access: ApiAccessArgs,
}

#[derive(Debug, Subcommand)]
enum ProgramCommand {
    /// Send a message
    Send(Box<send::SendArgs>),
    /// Find out whether a message was sent whose outcome is unknown
    Find(find::FindArgs),
    /// Find, show and store contacts
    Contact(contact::ContactArgs),
    /// List and show conversations
    Conversation(conversation::ConversationArgs),
    /// Show messages
    Message(conversation::MessageShowArgs),
    /// Report the delivery of a message through a conversation provider
    Status(status::MessageStatusArgs),
    /// Verify and receive webhook events
    Webhook(webhook::WebhookArgs),
    /// Install an app and manage its tokens
    #[command(name = "oauth")]
    OAuth(Box<oauth::OAuthArgs>),
    /// Examine the configuration, the connection and the credentials
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(generate::ShellArgs),
    /// Print a manual page in roff format
    Man(generate::ManualArgs),
}

impl Program {
    async fn run(self, printer: Printer) -> Result<(), CommandError> {
        let access = &self.access;
        let result = match self.command {
            ProgramCommand::Send(args) => args.run(access, printer).await,
            ProgramCommand::Find(args) => args.run(access, printer).await,
            ProgramCommand::Contact(args) => args.run(access, printer).await,
            ProgramCommand::Conversation(args) => args.run(access, printer).await,
            ProgramCommand::Message(args) => args.run(access, printer).await,
            ProgramCommand::Status(args) => args.run(access, printer).await,
            ProgramCommand::Webhook(args) => args.run(printer).await,
            ProgramCommand::OAuth(args) => args.run(access, printer).await,
            ProgramCommand::Doctor(args) => args.run(access, printer).await,
            ProgramCommand::Completions(args) => args.run(Self::command()),
            ProgramCommand::Man(args) => args.run(Self::command()),
        };
        access.flush().await;
        result
    }
}

/// Runs the command that the arguments name, the name of the program first.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = match Program::try_parse_from(arguments) {
        Ok(program) => program,
        Err(error) if error.use_stderr() => {
            output::complain(error.to_string().trim_end());
            return ExitReason::Usage.code().into();
        }
        Err(help) => {
            // clap would add the name of the command.
            let is_version = help.kind() == ErrorKind::DisplayVersion;
            let text =
                if is_version { VERSION.to_owned() } else { printable_lines(help.to_string().trim_end()) };
            let written = output::write(format!("{text}\n").as_bytes());
            return exit(written.map_err(CommandError::from), Printer::new(false));
        }
    };
    let printer = Printer::new(program.json);
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(program.run(printer));
            // A name that is still being resolved must not delay the end.
            runtime.shutdown_background();
            result
        }
        Err(error) => {
            let message = format!("the operating system provides no resources to start: {error}");
            Err(CommandError::new(ExitReason::NotSent, message))
        }
    };
    exit(result, printer)
}

/// Prints the error, if there is one, and returns the exit code.
fn exit(result: Result<(), CommandError>, printer: Printer) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.reason() != ExitReason::OutputClosed {
        output::complain(&error.text());
        if printer.is_json() {
            // The exit code reports more than the output, which may be closed.
            let _ = printer.result(|| error.to_json(), String::new);
        }
    }
    error.reason().code().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        Program::command().debug_assert();
    }
}
