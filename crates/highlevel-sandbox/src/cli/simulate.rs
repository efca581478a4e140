//! `simulate`: inbound messages, calls and status changes.

use std::io;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::admin_client::AdminClient;
use super::values::{self, Choice};
use super::{output, values::choice};
use crate::shell::json_line;

/// The note that is printed if the webhook was not sent.
const NO_WEBHOOK_URL: &str = "no event was sent, because no webhook URL is set; start the sandbox with \
                              `--webhook-url URL`, or set one with PATCH /_sandbox/webhooks {\"url\": \"URL\"}";

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    #[command(subcommand)]
    event: SimulatedEvent,
    #[command(flatten)]
    sandbox: AdminClient,
}

#[derive(Debug, Subcommand)]
enum SimulatedEvent {
    /// Receive a message from a contact
    Inbound(InboundArgs),
    /// Make or receive a call
    Call(CallArgs),
    /// Change the status of a message
    Status(StatusArgs),
}

#[derive(Debug, Args)]
struct InboundArgs {
    /// Contact that sends the message [default: the contact that `serve` prints]
    #[arg(long, value_name = "ID")]
    contact: Option<String>,
    /// SMS, Email, WhatsApp, IG, FB, … [default: SMS]
    #[arg(long = "type", value_name = "CHANNEL")]
    channel: Option<String>,
    /// Text of the message
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// Set another field of POST /conversations/messages/inbound to JSON or else a string; can be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = values::field, allow_hyphen_values = true)]
    fields: Vec<(String, Value)>,
}

#[derive(Debug, Args)]
struct CallArgs {
    /// Direction of the call
    #[arg(long, default_value = "inbound", value_parser = choice(DIRECTIONS))]
    direction: &'static str,
    /// Outcome of the call [default: answered]
    #[arg(long, value_parser = choice(OUTCOMES))]
    outcome: Option<&'static str>,
    /// Contact that calls or is called [default: the contact that `serve` prints]
    #[arg(long, value_name = "ID")]
    contact: Option<String>,
    /// Duration of the call [default: 60 if a person or voicemail picked up]
    #[arg(long, value_name = "SECONDS", value_parser = values::whole_seconds)]
    duration: Option<u64>,
    /// URL of a recording; can be repeated
    #[arg(long = "recording", value_name = "URL")]
    recordings: Vec<String>,
    /// User of the location who took part
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Message to change
    #[arg(value_name = "MESSAGE_ID")]
    message: String,
    /// New status, for example delivered, read or failed
    status: Option<String>,
    /// New status of a call, for example completed
    #[arg(long, value_name = "STATUS")]
    call_status: Option<String>,
    /// Reason of a failure
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    error: Option<String>,
}

const fn word(name: &'static str) -> Choice<&'static str> {
    Choice { name, help: "", value: name }
}

const DIRECTIONS: [Choice<&str>; 2] = [word("inbound"), word("outbound")];

const OUTCOMES: [Choice<&str>; 7] = [
    word("answered"),
    word("voicemail"),
    word("no-answer"),
    word("busy"),
    word("failed"),
    word("canceled"),
    word("pending"),
];

impl SimulateArgs {
    pub(super) fn run(&self) -> io::Result<()> {
        let (path, body) = self.event.request();
        output::print(&json_line(&self.sandbox.call(Method::POST, path, Some(&body))?))?;
        if self.sandbox.call(Method::GET, "webhooks", None)?.get("url").is_none() {
            output::note(NO_WEBHOOK_URL);
        }
        Ok(())
    }
}

impl SimulatedEvent {
    /// Returns the path below `/_sandbox/` and the body of the request.
    fn request(&self) -> (&'static str, Value) {
        match self {
            Self::Inbound(InboundArgs { contact, channel, message, fields }) => {
                let body = object([
                    ("contactId", contact.as_ref().map(|id| json!(id))),
                    ("type", channel.as_ref().map(|channel| json!(channel))),
                    ("message", message.as_ref().map(|text| json!(text))),
                ]);
                ("simulate/inbound", body.into_iter().chain(fields.iter().cloned()).collect())
            }
            Self::Call(CallArgs { direction, outcome, contact, duration, recordings, user }) => {
                let body = object([
                    ("direction", Some(json!(direction))),
                    ("outcome", outcome.map(|outcome| json!(outcome))),
                    ("contactId", contact.as_ref().map(|id| json!(id))),
                    ("durationSeconds", duration.map(|seconds| json!(seconds))),
                    ("recordings", (!recordings.is_empty()).then(|| json!(recordings))),
                    ("userId", user.as_ref().map(|id| json!(id))),
                ]);
                ("simulate/call", Value::Object(body))
            }
            Self::Status(StatusArgs { message, status, call_status, error }) => {
                let body = object([
                    ("messageId", Some(json!(message))),
                    ("status", status.as_ref().map(|status| json!(status))),
                    ("callStatus", call_status.as_ref().map(|status| json!(status))),
                    ("error", error.as_ref().map(|text| json!(text))),
                ]);
                ("simulate/status", Value::Object(body))
            }
        }
    }
}

/// Returns an object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::tests::parse;
    use super::*;

    #[derive(Debug, Parser)]
    struct Simulate {
        #[command(flatten)]
        args: SimulateArgs,
    }

    #[test]
    fn options_become_a_request() {
        for (line, path, body) in [
            ("inbound", "simulate/inbound", json!({})),
            (
                "inbound --contact c --type Email --message Hi --field subject=Tonight",
                "simulate/inbound",
                json!({"contactId": "c", "type": "Email", "message": "Hi", "subject": "Tonight"}),
            ),
            ("inbound --message -50%", "simulate/inbound", json!({"message": "-50%"})),
            ("call", "simulate/call", json!({"direction": "inbound"})),
            (
                "call --direction outbound --outcome no-answer --duration 5 --recording a --recording b --user u",
                "simulate/call",
                json!({
                    "direction": "outbound", "outcome": "no-answer", "durationSeconds": 5,
                    "recordings": ["a", "b"], "userId": "u",
                }),
            ),
            ("status m read", "simulate/status", json!({"messageId": "m", "status": "read"})),
            (
                "status m --call-status busy --error x",
                "simulate/status",
                json!({"messageId": "m", "callStatus": "busy", "error": "x"}),
            ),
        ] {
            assert_eq!(parse::<Simulate>(line).unwrap().args.event.request(), (path, body), "{line}");
        }
    }

    #[test]
    fn the_sandbox_can_be_chosen_before_and_after_the_event() {
        let expected = parse::<Simulate>("--url http://a --admin-token -t call").unwrap().args.sandbox;
        assert_eq!(parse::<Simulate>("call --url http://a --admin-token -t").unwrap().args.sandbox, expected);
        assert_ne!(expected, AdminClient::default());
    }

    #[test]
    fn invalid_arguments_are_named() {
        for (line, expected) in [
            ("", "Usage:"),
            ("rain", "unrecognized subcommand 'rain'"),
            ("inbond", "a similar subcommand exists: 'inbound'"),
            ("status", "required arguments were not provided:\n  <MESSAGE_ID>"),
            ("status m read twice", "unexpected argument 'twice' found"),
            (
                "call --duration long",
                "invalid value 'long' for '--duration <SECONDS>': expected whole seconds",
            ),
            ("call --outcome buzy", "a similar value exists: 'busy'"),
            ("call --message Hi", "unexpected argument '--message' found"),
        ] {
            let error = parse::<Simulate>(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
