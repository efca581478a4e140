//! `trigger`: sends an example of a webhook event.

use std::io;

use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};

use super::admin_client::AdminClient;
use super::{output, values};
use crate::shell::json_line;

#[derive(Debug, Args)]
pub(super) struct TriggerArgs {
    /// Event of the spec, for example `OutboundMessage`, `InboundMessage`, `ProviderOutboundMessage` or `INSTALL`
    event: String,
    /// Another example of the event, for example call, voicemail, email or comment
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
    /// Set a field of the payload to JSON or else a string; null removes it; can be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = values::field, allow_hyphen_values = true)]
    fields: Vec<(String, Value)>,
    /// URL to send the event to [default: where such events are sent]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    sandbox: AdminClient,
}

impl TriggerArgs {
    pub(super) fn run(&self) -> io::Result<()> {
        let delivery = self.sandbox.call(Method::POST, "events/trigger", Some(&self.body()))?;
        output::print(&json_line(&delivery))
    }

    /// Returns the body of the request to the admin API.
    fn body(&self) -> Value {
        let mut body = Map::from_iter([("event".to_owned(), json!(self.event))]);
        if let Some(example) = &self.example {
            body.insert("example".to_owned(), json!(example));
        }
        if let Some(url) = &self.to {
            body.insert("url".to_owned(), json!(url));
        }
        if !self.fields.is_empty() {
            body.insert("fields".to_owned(), self.fields.iter().cloned().collect());
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::tests::parse;
    use super::*;

    #[derive(Debug, Parser)]
    struct Trigger {
        #[command(flatten)]
        args: TriggerArgs,
    }

    #[test]
    fn options_become_the_body_of_a_request() {
        for (line, expected) in [
            ("INSTALL", json!({"event": "INSTALL"})),
            (
                "OutboundMessage --example call --field callDuration=90 --field userId=null --to http://a/",
                json!({
                    "event": "OutboundMessage", "example": "call", "fields": {"callDuration": 90, "userId": null},
                    "url": "http://a/",
                }),
            ),
            ("--field body=Hello=you X", json!({"event": "X", "fields": {"body": "Hello=you"}})),
        ] {
            assert_eq!(parse::<Trigger>(line).unwrap().args.body(), expected, "{line}");
        }
    }

    #[test]
    fn invalid_arguments_are_named() {
        for (line, expected) in [
            ("", "required arguments were not provided:\n  <EVENT>"),
            ("INSTALL --field body", "invalid value 'body' for '--field <NAME=VALUE>': expected NAME=VALUE"),
            ("INSTALL UNINSTALL", "unexpected argument 'UNINSTALL' found"),
            ("INSTALL --form a", "unexpected argument '--form' found"),
        ] {
            let error = parse::<Trigger>(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
