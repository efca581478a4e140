//! The error of a command: the exit code, the message for people with its fix, and the same as JSON.

use std::error::Error as _;
use std::io;

use highlevel::{Delivery, Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::exit::ExitReason;

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    reason: ExitReason,
    message: String,
    help: Option<String>,
    /// Further fields of the error in JSON.
    details: Map<String, Value>,
    /// Further fields of the line of JSON.
    fields: Map<String, Value>,
}

impl CommandError {
    /// Creates an error from a message in lower case, without a full stop.
    pub(crate) fn new(reason: ExitReason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message, help: None, details: Map::new(), fields: Map::new() }
    }

    /// Creates the error of a command that cannot be executed as it is written, with the fix.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(ExitReason::Usage, message).with_help(help)
    }

    /// Creates the error of a request.
    pub(crate) fn of(error: &Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::Configuration | ErrorKind::InvalidRequest => ExitReason::Usage,
            _ => error.delivery().into(),
        };
        let mut message = error.to_string();
        if let Some(cause) = root_cause(error) {
            message = format!("{message} ({cause})");
        }
        let mut failure = Self::new(reason, message);
        failure.help = help(error);
        failure.details = details(error);
        failure
    }

    /// Sets the fix.
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets another exit code, and puts a context in front of the message.
    pub(crate) fn because(mut self, reason: ExitReason, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self.reason = reason;
        self
    }

    /// Adds a field to the line of JSON.
    pub(crate) fn with_field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(crate) fn reason(&self) -> ExitReason {
        self.reason
    }

    /// Returns the message and, on further lines, the fix.
    pub(crate) fn text(&self) -> String {
        let help = self.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        format!("error: {}{help}", self.message)
    }

    /// Returns the error as an object.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = self.details.clone();
        error.insert("message".to_owned(), json!(self.message));
        if let Some(help) = &self.help {
            error.insert("help".to_owned(), json!(help));
        }
        let mut line = self.fields.clone();
        line.insert("outcome".to_owned(), json!(self.reason.name()));
        line.insert("exitCode".to_owned(), json!(self.reason.code()));
        line.insert("error".to_owned(), Value::Object(error));
        Value::Object(line)
    }
}

/// An error of the output.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(ExitReason::OutputClosed, "the output was closed"),
            _ => Self::new(ExitReason::Failure, format!("the output cannot be written: {error}")),
        }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

/// Returns the innermost cause of an error, if the error does not contain its text.
fn root_cause(error: &Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    (!error.to_string().contains(&text)).then_some(text)
}

/// Returns the fix of an error.
fn help(error: &Error) -> Option<String> {
    let by_code = if error.is_contact_not_found() {
        Some("the contact was deleted or merged; look it up with `highlevel contact find --phone NUMBER`")
    } else if error.is_without_consent() {
        Some(
            "the contact has do-not-disturb on for this channel or has unsubscribed; do not send it another way",
        )
    } else if error.is_window_closed() {
        Some(
            "the last message of the contact is too old for this channel; use another channel, or wait for a reply",
        )
    } else if error.is_provider_inaccessible() {
        Some(
            "check the id and the kind of the conversation provider, and that it belongs to the app of the token",
        )
    } else if error.is_recipient_invalid() {
        Some("correct the phone number or the email address of the contact with `highlevel contact upsert`")
    } else {
        None
    };
    if let Some(help) = by_code {
        return Some(help.to_owned());
    }
    let help = match (error.kind(), error.status()) {
        (ErrorKind::Configuration | ErrorKind::InvalidRequest, _) => return None,
        (ErrorKind::NeedsAuthorization, _) => {
            "run `highlevel oauth login`, so that an owner of the location installs the app"
        }
        (ErrorKind::LocationInactive, _) => "activate the location in HighLevel; its tokens remain stored",
        (ErrorKind::Token, _) => "`highlevel oauth status` lists the stored tokens",
        (ErrorKind::RateLimited, _) | (_, Some(429)) => {
            return Some(match error.retry_after() {
                Some(wait) => format!("run the command again in {} s", wait.as_secs().max(1)),
                None => "run the command again in 10 s, when the burst window has passed".to_owned(),
            });
        }
        (_, Some(401)) => "check the token and its scopes with `highlevel doctor`",
        (_, Some(403)) => "check that the token belongs to the location with `highlevel doctor`",
        (ErrorKind::Connect, _) => {
            "check the network and the base URL with `highlevel doctor`; then run the command again"
        }
        _ => match error.delivery() {
            Delivery::NotSent => "nothing was sent; run the command again",
            Delivery::Rejected => "fix the reason above, then run the command again",
            Delivery::Unknown if error.is_retryable() => "the request can be repeated; run the command again",
            Delivery::Unknown => "look for its effect before you run the command again",
            Delivery::Accepted => "do not run the command again; it was executed",
        },
    };
    Some(help.to_owned())
}

/// Returns the details that HighLevel sent.
fn details(error: &Error) -> Map<String, Value> {
    let mut details = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            details.insert(name.to_owned(), value);
        }
    };
    set("operation", json!(error.operation()));
    set("kind", json!(error.kind().as_str().replace('_', "-")));
    set("attempts", json!(error.attempts()));
    set("retryable", json!(error.is_retryable()));
    set("status", json!(error.status()));
    set("code", json!(error.code()));
    set("traceId", json!(error.trace_id()));
    set("retryAfterSeconds", json!(error.retry_after().map(|wait| wait.as_secs())));
    if !error.messages().is_empty() {
        set("messages", json!(error.messages()));
    }
    details
}
