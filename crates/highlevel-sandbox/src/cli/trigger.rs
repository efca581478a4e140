//! `trigger`: sends an event that nothing happened for.

use http::Method;
use lexopt::{Arg, Parser, ValueExt};
use serde_json::{Map, Value, json};

use super::arguments::{Action, Stop, next, other, text};
use super::client::{Target, target_help};
use super::output::say;
use crate::shell::json_line;

pub(crate) const HELP: &str = concat!(
    "\
Sends a signed webhook event that nothing happened for, as the specification's example has it, and prints the delivery.

Usage: highlevel-sandbox trigger EVENT [options]

Events: OutboundMessage, InboundMessage, ProviderOutboundMessage, INSTALL, UNINSTALL

Options:
  --example NAME       another example of the event: message, call, voicemail, email, sms, location
  --field NAME=VALUE   sets a field of the payload: JSON, or else text; null removes it. Can be repeated
  --to URL             where to send it [default: where such events go]
",
    target_help!()
);

pub(crate) fn read(parser: &mut Parser) -> Result<Action, Stop> {
    let (target, body) = request(parser)?;
    Ok(Box::new(move || say(&json_line(&target.call(Method::POST, "events/trigger", Some(&body))?))))
}

/// Which sandbox, and the body of the request to it.
fn request(parser: &mut Parser) -> Result<(Target, Value), Stop> {
    let mut target = Target::default();
    let mut body = Map::new();
    let mut fields = Map::new();
    while let Some(argument) = next(parser)? {
        match argument {
            Arg::Value(event) if !body.contains_key("event") => {
                let event = event.string().map_err(|_| Stop::Problem("the event is not UTF-8".to_owned()))?;
                body.insert("event".to_owned(), json!(event));
            }
            Arg::Long("example") => {
                drop(body.insert("example".to_owned(), json!(text(parser, "--example")?)));
            }
            Arg::Long("to") => drop(body.insert("url".to_owned(), json!(text(parser, "--to")?))),
            Arg::Long("field") => {
                let (name, value) = field(&text(parser, "--field")?)?;
                fields.insert(name, value);
            }
            Arg::Long(name) => {
                let name = name.to_owned();
                if !target.read(&name, parser)? {
                    return Err(other(Arg::Long(&name)));
                }
            }
            argument => return Err(other(argument)),
        }
    }
    if !body.contains_key("event") {
        return Err(Stop::Problem("which event? say for example `trigger INSTALL`".to_owned()));
    }
    if !fields.is_empty() {
        body.insert("fields".to_owned(), Value::Object(fields));
    }
    Ok((target, Value::Object(body)))
}

/// A field as it is written on the command line: `NAME=VALUE`, JSON or else text.
pub(super) fn field(text: &str) -> Result<(String, Value), Stop> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value))))
        }
        _ => Err(Stop::Problem(format!(
            "--field is `{text}`, and has to be like body=Hello or callDuration=90"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_a_request() {
        let cases = [
            ("INSTALL", Ok(json!({"event": "INSTALL"}))),
            (
                "OutboundMessage --example call --field callDuration=90 --field userId=null --to http://a/",
                Ok(json!({
                    "event": "OutboundMessage", "example": "call", "fields": {"callDuration": 90, "userId": null},
                    "url": "http://a/",
                })),
            ),
            ("--field body=Hello=you X", Ok(json!({"event": "X", "fields": {"body": "Hello=you"}}))),
            ("", Err("which event?")),
            ("INSTALL --field body", Err("--field is `body`, and has to be like")),
            ("INSTALL UNINSTALL", Err("`UNINSTALL` has no meaning here")),
            ("INSTALL --form a", Err("there is no option --form")),
        ];
        for (line, expected) in cases {
            match (request(&mut Parser::from_args(line.split_whitespace())), expected) {
                (Ok((_, body)), Ok(expected)) => assert_eq!(body, expected, "{line}"),
                (Err(Stop::Problem(found)), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
    }
}
