//! `find`: finds out whether the message of a saved request was sent.

use std::path::PathBuf;

use clap::Args;
use highlevel::{Finding, Timestamp};
use serde_json::json;

use crate::access::ApiAccessArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::Printer;
use crate::saved::SavedRequest;
use crate::text::rows;

/// Wrapped by clap to the width of the terminal.
const AFTER_HELP: &str = "\
Exit codes: 0 it was sent, 7 no such message exists yet, 8 several messages could be the one, so a person has to look. The \
conversation of the contact is read back, so the credentials need the scopes conversations.readonly and \
conversations/message.readonly.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FindArgs {
    /// File that `send --save` wrote, or the output of `send --json`; - reads it from standard input
    file: PathBuf,
}

impl FindArgs {
    pub(crate) async fn run(self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let saved = SavedRequest::read(&self.file)?;
        check_target(&saved, access)?;
        let api = access.open(saved.location.as_deref()).await?;
        if api.client.location_id().is_none() {
            return Err(CommandError::usage(
                "the location of the message is not known",
                "pass --location ID, or set HIGHLEVEL_LOCATION_ID",
            ));
        }
        let finding = api.client.find(&saved.fingerprint()).await;
        let finding = finding.map_err(|error| {
            let failure = CommandError::of(&error);
            let reason = failure.reason();
            failure
                .because(reason, "the conversation could not be read back, so the outcome is still unknown")
        })?;
        match finding {
            Finding::Sent(id) => {
                let json = || json!({ "outcome": "sent", "exitCode": 0, "messageId": id });
                Ok(printer
                    .result(json, || format!("it was sent\n{}", rows([("message", id.to_string())])))?)
            }
            Finding::NotFound(examined) => {
                let until = Timestamp::from(examined.until);
                let message = format!("it is not among the {} messages until {until}", examined.messages);
                Err(CommandError::new(ExitReason::NotFound, message)
                    .with_help(
                        "HighLevel can take minutes to show a message; run the command again before you decide to send it again",
                    )
                    .with_field("examinedMessages", json!(examined.messages))
                    .with_field("examinedConversations", json!(examined.conversations))
                    .with_field("examinedUntil", json!(until.as_str())))
            }
            Finding::Ambiguous(ids) => {
                let listed: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let message = if listed.is_empty() {
                    "there are more messages than are examined, so the outcome is still unknown".to_owned()
                } else {
                    format!("these messages could be the one: {}", listed.join(", "))
                };
                Err(CommandError::new(ExitReason::Ambiguous, message)
                    .with_help("compare them with `highlevel message show ID`")
                    .with_field("messageIds", json!(ids)))
            }
        }
    }
}

/// Rejects a search in another API or location than the one that the message was sent to: it would not be found there.
fn check_target(saved: &SavedRequest, access: &ApiAccessArgs) -> Result<(), CommandError> {
    let base_url = access.base_url()?;
    if saved.base_url.trim_end_matches('/') != base_url.trim_end_matches('/') {
        return Err(CommandError::usage(
            format!("the message was sent to {}, but the base URL is {base_url}", saved.base_url),
            format!("pass --base-url {}", saved.base_url),
        ));
    }
    match (&saved.location, access.location()) {
        (Some(saved), Some(location)) if saved != location => Err(CommandError::usage(
            format!("the message was sent for the location {saved}, but the location is {location}"),
            format!("pass --location {saved}, with credentials of that location"),
        )),
        _ => Ok(()),
    }
}
