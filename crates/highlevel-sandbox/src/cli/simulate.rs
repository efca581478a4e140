//! `simulate`: lets something happen on the contact's side.

use http::Method;
use lexopt::{Arg, Parser, ValueExt};
use serde_json::{Map, Value, json};

use super::arguments::{Action, Stop, next, other, text};
use super::client::{Target, target_help};
use super::output::{note, say};
use super::trigger::field;
use crate::shell::json_line;

pub(crate) const HELP: &str = concat!(
    "\
Lets something happen on the contact's side: it is stored, its webhook is sent, and the message is printed.

Usage: highlevel-sandbox simulate inbound [--contact ID] [--type CHANNEL] [--message TEXT] [--field NAME=VALUE]...
       highlevel-sandbox simulate call [--direction DIRECTION] [--outcome OUTCOME] [--contact ID] [--duration SECONDS]
                                       [--recording URL]... [--user ID]
       highlevel-sandbox simulate status MESSAGE_ID [STATUS] [--call-status STATUS] [--error TEXT]

inbound:
  --contact ID         who writes [default: the contact that `serve` prints]
  --type CHANNEL       SMS, Email, WhatsApp, IG, FB, … [default: SMS]
  --message TEXT       the text
  --field NAME=VALUE   any other field of POST /conversations/messages/inbound: JSON, or else text

call:
  --direction DIRECTION  inbound or outbound [default: inbound]
  --outcome OUTCOME    answered, voicemail, no-answer, busy, failed, canceled or pending [default: answered]
  --contact ID         whom the call is with [default: the contact that `serve` prints]
  --duration SECONDS   how long it was [default: 60 when somebody answered or it reached voicemail]
  --recording URL      the URL of a recording
  --user ID            the user of the location who took part

status:
  MESSAGE_ID STATUS    for example delivered, read or failed
  --call-status STATUS how a call went, for example completed
  --error TEXT         why it failed

Options:
",
    target_help!()
);

/// What happens: its route, and how it is read from the command line.
struct Kind {
    name: &'static str,
    path: &'static str,
    /// Names of words that have no option, in order.
    words: &'static [&'static str],
    /// Options with the fields that they set.
    options: &'static [(&'static str, &'static str)],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "inbound",
        path: "simulate/inbound",
        words: &[],
        options: &[("contact", "contactId"), ("type", "type"), ("message", "message")],
    },
    Kind {
        name: "call",
        path: "simulate/call",
        words: &[],
        options: &[
            ("direction", "direction"),
            ("outcome", "outcome"),
            ("contact", "contactId"),
            ("duration", "durationSeconds"),
            ("recording", "recordings"),
            ("user", "userId"),
        ],
    },
    Kind {
        name: "status",
        path: "simulate/status",
        words: &["messageId", "status"],
        options: &[("call-status", "callStatus"), ("error", "error")],
    },
];

/// What is said when the event of what happened went nowhere.
const UNTOLD: &str = "no event was sent, because no webhook URL is set: start the sandbox with `--webhook-url URL`, or \
                      set one with PATCH /_sandbox/webhooks {\"url\": \"URL\"}";

pub(crate) fn read(parser: &mut Parser) -> Result<Action, Stop> {
    let (target, path, body) = request(parser)?;
    Ok(Box::new(move || {
        say(&json_line(&target.call(Method::POST, path, Some(&body))?))?;
        if target.call(Method::GET, "webhooks", None)?.get("url").is_none() {
            note(UNTOLD);
        }
        Ok(())
    }))
}

/// Which sandbox, the path below `/_sandbox/`, and the body of the request to it.
fn request(parser: &mut Parser) -> Result<(Target, &'static str, Value), Stop> {
    let mut target = Target::default();
    let mut kind = None;
    let mut body = Map::new();
    let mut words = 0;
    while let Some(argument) = next(parser)? {
        match (argument, kind) {
            (Arg::Value(word), None) => {
                let word = word.to_string_lossy().into_owned();
                kind = Some(KINDS.iter().find(|kind| kind.name == word).ok_or_else(|| {
                    Stop::Problem(format!("`{word}` cannot be simulated; there are inbound, call and status"))
                })?);
            }
            (Arg::Value(word), Some(kind)) if words < kind.words.len() => {
                let word = word.string().map_err(|_| Stop::Problem("a word is not UTF-8".to_owned()))?;
                body.insert(kind.words[words].to_owned(), json!(word));
                words += 1;
            }
            (Arg::Long("field"), Some(kind)) if kind.name == "inbound" => {
                let (name, value) = field(&text(parser, "--field")?)?;
                body.insert(name, value);
            }
            (Arg::Long(name), kind) => {
                let name = name.to_owned();
                let options = kind.map_or(&[][..], |kind| kind.options);
                if let Some((_, field)) = options.iter().find(|(option, _)| *option == name) {
                    let value = text(parser, &format!("--{name}"))?;
                    set(&mut body, field, &value)?;
                } else if !target.read(&name, parser)? {
                    return Err(other(Arg::Long(&name)));
                }
            }
            (argument, _) => return Err(other(argument)),
        }
    }
    let Some(kind) = kind else {
        return Err(Stop::Problem("what is to happen? there are inbound, call and status".to_owned()));
    };
    if kind.name == "call" {
        body.entry("direction").or_insert_with(|| json!("inbound"));
    }
    if kind.name == "status" && words == 0 {
        return Err(Stop::Problem("which message? say `simulate status MESSAGE_ID STATUS`".to_owned()));
    }
    Ok((target, kind.path, Value::Object(body)))
}

fn set(body: &mut Map<String, Value>, field: &str, value: &str) -> Result<(), Stop> {
    let value = match field {
        "durationSeconds" => {
            let seconds: u64 = value.parse().map_err(|_| {
                Stop::Problem(format!("--duration is `{value}`, and has to be whole seconds"))
            })?;
            json!(seconds)
        }
        "recordings" => {
            let mut all = body.get("recordings").and_then(Value::as_array).cloned().unwrap_or_default();
            all.push(json!(value));
            json!(all)
        }
        _ => json!(value),
    };
    body.insert(field.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_a_request() {
        let cases = [
            ("inbound", Ok(("simulate/inbound", json!({})))),
            (
                "inbound --contact c --type Email --message Hi --field subject=Tonight",
                Ok((
                    "simulate/inbound",
                    json!({"contactId": "c", "type": "Email", "message": "Hi", "subject": "Tonight"}),
                )),
            ),
            ("call", Ok(("simulate/call", json!({"direction": "inbound"})))),
            (
                "call --direction outbound --outcome no-answer --duration 5 --recording a --recording b --user u",
                Ok((
                    "simulate/call",
                    json!({
                        "direction": "outbound", "outcome": "no-answer", "durationSeconds": 5,
                        "recordings": ["a", "b"], "userId": "u",
                    }),
                )),
            ),
            ("status m read", Ok(("simulate/status", json!({"messageId": "m", "status": "read"})))),
            (
                "status m --call-status busy --error x",
                Ok(("simulate/status", json!({"messageId": "m", "callStatus": "busy", "error": "x"}))),
            ),
            ("", Err("what is to happen?")),
            ("rain", Err("`rain` cannot be simulated")),
            ("status", Err("which message?")),
            ("status m read twice", Err("`twice` has no meaning here")),
            ("call --duration long", Err("--duration is `long`")),
            ("call --message Hi", Err("there is no option --message")),
        ];
        for (line, expected) in cases {
            match (request(&mut Parser::from_args(line.split_whitespace())), expected) {
                (Ok((_, path, body)), Ok(expected)) => assert_eq!((path, body), expected, "{line}"),
                (Err(Stop::Problem(found)), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
    }
}
