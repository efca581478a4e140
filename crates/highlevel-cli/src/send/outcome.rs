//! The outcomes of a request to send, and how to find out about an unknown one.

use std::path::PathBuf;

use highlevel::wire::types::SendMessageResponse;
use highlevel::{Error, Receipt};
use serde_json::json;

use super::channel::schedule;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::Printer;
use crate::saved::{SavedRequest, find_command};
use crate::text::{json_line, rows};

/// A request, and the file that it is saved in.
pub(super) struct SendAttempt {
    pub(super) saved: SavedRequest,
    pub(super) path: Option<PathBuf>,
}

impl SendAttempt {
    /// Prints the receipt.
    ///
    /// # Errors
    ///
    /// Returns an error with the exit code of an unreadable receipt if it cannot be printed: the message was accepted, and
    /// must not be sent again.
    pub(super) fn accepted(
        &self,
        receipt: &Receipt<SendMessageResponse>,
        printer: Printer,
    ) -> Result<(), CommandError> {
        let scheduled = schedule(&self.saved.request);
        let json = || {
            json!({
                "outcome": "accepted",
                "exitCode": 0,
                "channel": self.saved.request.type_,
                "messageId": receipt.message_id(),
                "messageIds": receipt.message_ids().collect::<Vec<_>>(),
                "conversationId": receipt.conversation_id(),
                "contactId": self.saved.request.contact_id,
                "scheduledFor": scheduled,
                "httpStatus": receipt.http_status(),
                "attempts": receipt.attempts(),
                "traceId": receipt.trace_id(),
                "response": receipt.response(),
            })
        };
        let text = || {
            let mut lines = vec![
                ("message", receipt.message_id().to_string()),
                ("conversation", receipt.conversation_id().to_string()),
                ("contact", self.saved.request.contact_id.to_string()),
            ];
            lines.extend(scheduled.clone().map(|time| ("scheduled for", time)));
            format!("accepted by HighLevel: {}\n{}", self.saved.request.type_, rows(lines))
        };
        printer.result(json, text).map_err(|error| {
            let failure = CommandError::from(error);
            if failure.reason() == ExitReason::OutputClosed {
                return failure;
            }
            let context = format!("the message {} was accepted", receipt.message_id());
            failure.because(ExitReason::Unreadable, &context).with_help("do not send it again")
        })
    }

    /// Returns the error of a request that may have been done.
    pub(super) fn unknown(&self, error: &Error) -> CommandError {
        let failure = CommandError::of(error);
        failure.with_help(self.how_to_find_out()).with_field("saved", self.saved.to_json())
    }

    /// Returns the error of a request that was interrupted.
    pub(super) fn interrupted(&self) -> CommandError {
        let message = "the command was interrupted; the message may have been sent";
        let failure = CommandError::new(ExitReason::Unknown, message);
        failure.with_help(self.how_to_find_out()).with_field("saved", self.saved.to_json())
    }

    /// Returns the error of a request that was certainly not done, or whose receipt is unreadable.
    pub(super) fn failed(&self, error: &Error) -> CommandError {
        let failure = CommandError::of(error);
        if failure.reason() == ExitReason::Unreadable {
            let contact = &self.saved.request.contact_id;
            return failure
                .with_help(format!(
                    "do not send it again; `{}` finds its id, and `highlevel conversation list --contact {contact}` the \
                     conversation",
                    self.path.as_ref().map_or("highlevel find".to_owned(), |path| find_command(path))
                ))
                .with_field("saved", self.saved.to_json());
        }
        // Nothing has to be found out, and the same command can be run again.
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
        failure
    }

    fn how_to_find_out(&self) -> String {
        match &self.path {
            Some(path) => {
                format!("before you send it again, find out whether it was sent: {}", find_command(path))
            }
            None => format!(
                "before you send it again, find out whether it was sent:\n\nhighlevel find - <<'END'\n{}\nEND\n",
                json_line(&self.saved.to_json())
            ),
        }
    }
}

/// Returns the error of a command that was interrupted before the message was sent.
pub(super) fn interrupted_before() -> CommandError {
    CommandError::new(ExitReason::NotSent, "the command was interrupted before the message was sent")
}
