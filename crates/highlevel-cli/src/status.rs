//! `status`: reports the delivery of a message through a conversation provider.

use clap::{Args, Subcommand, ValueEnum};
use highlevel::{MessageId, Status};
use serde_json::json;

use crate::access::ApiAccessArgs;
use crate::failure::CommandError;
use crate::output::Printer;
use crate::values;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct MessageStatusArgs {
    #[command(subcommand)]
    command: StatusCommand,
}

#[derive(Debug, Subcommand)]
enum StatusCommand {
    /// Set the status of a message
    Set(StatusSetArgs),
}

#[derive(Debug, Args)]
struct StatusSetArgs {
    /// Message to change
    #[arg(value_parser = values::filled)]
    id: String,
    /// New status
    #[arg(value_enum)]
    status: MessageProgress,
    /// Reason of a failure, which users see
    #[arg(long, value_name = "TEXT", value_parser = values::filled, required_if_eq("status", "failed"))]
    reason: Option<String>,
    /// Code of the error of the provider
    #[arg(long, value_name = "CODE", value_parser = values::filled, requires = "reason")]
    code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MessageProgress {
    Pending,
    Delivered,
    Read,
    Failed,
}

impl MessageStatusArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let StatusCommand::Set(StatusSetArgs { id, status, reason, code }) = self.command;
        if reason.is_some() && status != MessageProgress::Failed {
            return Err(CommandError::usage(
                "a reason belongs to the status `failed`",
                "leave out --reason, or set the status to failed",
            ));
        }
        let name = status.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let status = match status {
            MessageProgress::Pending => Status::pending(),
            MessageProgress::Delivered => Status::delivered(),
            MessageProgress::Read => Status::read(),
            MessageProgress::Failed => Status::failed(reason.unwrap_or_default()),
        };
        let status = match code {
            Some(code) => status.code(code),
            None => status,
        };
        let api = access.open(None).await?;
        let receipt = api.client.messages().set_status(&MessageId::from(&id), status).await?;
        let json = || {
            json!({
                "outcome": "updated", "exitCode": 0, "messageId": id, "status": name, "response": receipt.response(),
            })
        };
        Ok(printer.result(json, || format!("the message {id} is {name}"))?)
    }
}
