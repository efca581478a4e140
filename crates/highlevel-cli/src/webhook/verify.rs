//! `webhook verify`: verifies a captured event, and reports which check fails.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use clap::Args;
use highlevel::Timestamp;
use highlevel::webhook::{WebhookError, WebhookErrorKind};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::accepted::AcceptedEventArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::Printer;
use crate::text::rows;
use crate::values;

/// The header with the signature.
const SIGNATURE: &str = "x-ghl-signature";

/// A larger file is not read: no event is nearly as long.
const MAX_LENGTH: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// File that contains the body, byte for byte as it arrived; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    body: OsString,
    /// Value of the header X-GHL-Signature
    #[arg(long, value_name = "BASE64", allow_hyphen_values = true)]
    signature: String,
    /// Time at which the event arrived, which its timestamp is compared with [default: now]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    at: Option<SystemTime>,
    #[command(flatten)]
    accepted: AcceptedEventArgs,
}

/// The checks, in the order of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventCheck {
    Size,
    Signature,
    Json,
    App,
    Timestamp,
    Type,
}

impl EventCheck {
    const ALL: [Self; 6] = [Self::Size, Self::Signature, Self::Json, Self::App, Self::Timestamp, Self::Type];

    fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Signature => "signature",
            Self::Json => "json",
            Self::App => "app",
            Self::Timestamp => "timestamp",
            Self::Type => "type",
        }
    }

    /// Returns the check that an error is from.
    fn of(error: &WebhookError, body: &[u8]) -> Self {
        match error.kind() {
            WebhookErrorKind::TooLarge => Self::Size,
            WebhookErrorKind::SignatureMissing | WebhookErrorKind::SignatureInvalid => Self::Signature,
            WebhookErrorKind::OtherApp => Self::App,
            WebhookErrorKind::Stale | WebhookErrorKind::Future => Self::Timestamp,
            _ => match serde_json::from_slice::<Map<String, Value>>(body) {
                Err(_) => Self::Json,
                Ok(event) if is_malformed(event.get("timestamp")) => Self::Timestamp,
                Ok(_) => Self::Type,
            },
        }
    }
}

/// Returns `true` for a timestamp that is not a point in time. An event need not have one.
fn is_malformed(timestamp: Option<&Value>) -> bool {
    match timestamp {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => text.parse::<Timestamp>().is_err(),
        Some(_) => true,
    }
}

impl VerifyArgs {
    pub(super) fn run(self, printer: Printer) -> Result<(), CommandError> {
        let body = self.read_body()?;
        let signature = HeaderValue::from_str(self.signature.trim()).map_err(|_| {
            CommandError::usage(
                "the signature contains a character that a header cannot carry",
                "pass the value of the header X-GHL-Signature as it arrived",
            )
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, signature);
        let now = self.at.unwrap_or_else(SystemTime::now);
        match self.accepted.receiver()?.verify(&headers, body.clone(), now) {
            Ok(event) => {
                let json = || {
                    json!({
                        "outcome": "valid",
                        "exitCode": 0,
                        "checks": checks(None, ""),
                        "event": event.event().name(),
                        "id": event.id().as_str(),
                        "keyId": event.key_id(),
                    })
                };
                let text = || {
                    let facts = [
                        ("event", event.event().name()),
                        ("id", event.id().as_str()),
                        ("key", event.key_id()),
                    ];
                    let facts = facts.map(|(label, value)| (label, value.to_owned()));
                    format!("{}\nvalid\n{}", table(None), rows(facts))
                };
                Ok(printer.result(json, text)?)
            }
            Err(error) => {
                let check = EventCheck::of(&error, &body);
                let (message, help) = explain(&error, check, now);
                if !printer.is_json() {
                    printer.result(|| Value::Null, || table(Some(check)))?;
                }
                Err(CommandError::new(
                    ExitReason::Failure,
                    format!("the check `{}` fails: {message}", check.name()),
                )
                .with_help(help)
                .with_field("failedCheck", json!(check.name()))
                .with_field("checks", checks(Some(check), &message)))
            }
        }
    }

    fn read_body(&self) -> Result<Vec<u8>, CommandError> {
        let path = Path::new(&self.body);
        let mut body = Vec::new();
        let read = if path == Path::new("-") {
            io::stdin().lock().take(MAX_LENGTH).read_to_end(&mut body)
        } else {
            File::open(path).and_then(|file| file.take(MAX_LENGTH).read_to_end(&mut body))
        };
        read.map_err(|error| {
            CommandError::usage(
                format!("the body cannot be read from {}: {error}", path.display()),
                "check the path and the permissions of the file",
            )
        })?;
        Ok(body)
    }
}

/// Returns the result of a check, if this one has failed. Checks after it were not made.
fn result(check: EventCheck, failed: Option<EventCheck>) -> &'static str {
    match failed {
        Some(failed) if check == failed => "failed",
        Some(failed) if check > failed => "not checked",
        _ => "ok",
    }
}

fn table(failed: Option<EventCheck>) -> String {
    rows(EventCheck::ALL.map(|check| (check.name(), result(check, failed).to_owned())))
}

fn checks(failed: Option<EventCheck>, message: &str) -> Value {
    let checks = EventCheck::ALL.map(|check| {
        let mut entry = json!({ "check": check.name(), "result": result(check, failed) });
        if Some(check) == failed {
            entry["message"] = json!(message);
        }
        entry
    });
    json!(checks)
}

/// Returns the message of an error and its fix. The error of the receiver names the methods of the SDK in some fixes.
fn explain(error: &WebhookError, check: EventCheck, now: SystemTime) -> (String, &'static str) {
    let text = error.to_string();
    let before_fix = || text.split("; ").next().unwrap_or_default().to_owned();
    match (error.kind(), check) {
        (WebhookErrorKind::Stale | WebhookErrorKind::Future, _) => (
            format!("{} at {}", before_fix(), Timestamp::from(now)),
            "pass --at TIME with the time at which the event arrived; otherwise check the clock of this machine",
        ),
        (_, EventCheck::Signature) if text.contains("PublicKey::published") => (
            before_fix(),
            "leave out --key and unset HIGHLEVEL_WEBHOOK_KEY to verify with the key that HighLevel has published",
        ),
        (_, EventCheck::Signature) => {
            (text, "capture the body before it is parsed, and pass the key of the sender with --key")
        }
        (_, EventCheck::Size) => (text, "the file may contain more than the body"),
        (_, EventCheck::App) => {
            (text, "the event is genuine; pass --app with the id of the app that it is for")
        }
        (_, EventCheck::Json | EventCheck::Timestamp | EventCheck::Type) => {
            (text, "the sender has signed this body, so the error is there; report it with the body")
        }
    }
}
