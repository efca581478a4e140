//! `send`: sends a message on a channel.

mod channel;
mod content;
mod outcome;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use highlevel::Delivery;

use self::channel::SendChannel;
use self::outcome::SendAttempt;
use crate::access::ApiAccessArgs;
use crate::failure::CommandError;
use crate::interrupt::Interrupts;
use crate::output::Printer;
use crate::saved::SavedRequest;

/// Wrapped by clap to the width of the terminal.
const AFTER_HELP: &str = "\
Exit codes: 0 accepted by HighLevel, 2 the command cannot be executed as written, 3 not sent, 4 rejected, 5 unknown: it may \
have been sent, 6 accepted, but the receipt is unreadable, 7 there is no such contact. Only after 3 is it safe to run the \
same command again.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct SendArgs {
    #[command(subcommand)]
    channel: SendChannel,
    /// Save the request to a new file before it is sent, so that `highlevel find FILE` can find out its outcome
    #[arg(long, global = true, value_name = "FILE", help_heading = "Message")]
    save: Option<PathBuf>,
}

impl SendArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let Self { channel, save } = self;
        let content = channel.read_content()?;
        let recipient = channel.recipient();
        let api = if recipient.needs_lookup() {
            access.open_with_location().await?
        } else {
            access.open(None).await?
        };
        let mut interrupts = Interrupts::new()?;
        let contact = tokio::select! {
            contact = recipient.resolve(&api.client) => contact?,
            () = interrupts.next() => return Err(outcome::interrupted_before()),
        };
        let saved = SavedRequest {
            base_url: api.client.base_url().to_owned(),
            location: api.client.location_id().map(ToString::to_string),
            attempted: SystemTime::now(),
            request: channel.request(&contact, content),
        };
        if let Some(path) = &save {
            saved.create(path)?;
        }
        let attempt = SendAttempt { saved, path: save };
        let messages = api.client.messages();
        let result = tokio::select! {
            biased;
            result = messages.send(attempt.saved.request.clone()) => Some(result),
            () = interrupts.next() => None,
        };
        match result {
            Some(Ok(receipt)) => attempt.accepted(&receipt, printer),
            Some(Err(error)) if error.delivery() == Delivery::Unknown => Err(attempt.unknown(&error)),
            Some(Err(error)) => Err(attempt.failed(&error)),
            None => Err(attempt.interrupted()),
        }
    }
}
