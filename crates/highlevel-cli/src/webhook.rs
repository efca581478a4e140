//! `webhook`: verifies captured events, and receives events.

mod accepted;
mod listen;
mod verify;

use clap::{Args, Subcommand};

use self::listen::ListenArgs;
use self::verify::VerifyArgs;
use crate::failure::CommandError;
use crate::output::Printer;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Verify a captured event, offline
    ///
    /// Reports which check fails. The exit code is 0 if the event is genuine, and 1 otherwise.
    Verify(VerifyArgs),
    /// Receive events, verify and print them, and forward them to a local URL
    Listen(ListenArgs),
}

impl WebhookArgs {
    pub(crate) async fn run(self, printer: Printer) -> Result<(), CommandError> {
        match self.command {
            WebhookCommand::Verify(args) => args.run(printer),
            WebhookCommand::Listen(args) => args.run(printer).await,
        }
    }
}
