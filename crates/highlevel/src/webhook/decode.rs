//! Decodes the body of an event whose signature is genuine.
//!
//! The JSON is parsed once, straight into the typed event; see [`one_pass`]. Only a body for which that fails is parsed a
//! second time, into a JSON object: one that has the same field twice, and one that cannot be decoded, to find the reason.

use serde_json::{Map, Value};

use super::envelope::{Envelope, Field};
use super::error::{WebhookError, WebhookErrorKind};
use super::event::Event;
use super::kind::EventKind;
use super::one_pass;

/// A body that is a JSON object.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    pub(super) envelope: Envelope<'a>,
    pub(super) event: Result<Event, WebhookError>,
}

/// Decodes a body.
///
/// # Errors
///
/// Returns an error if the body is not a JSON object. If it is not an event, the error is in [`Decoded::event`], so
/// that the envelope can be checked first.
pub(super) fn decode(body: &[u8]) -> Result<Decoded<'_>, WebhookError> {
    if let Some((envelope, event)) = one_pass::decode(body) {
        return Ok(Decoded { envelope, event: Ok(event) });
    }
    let json: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        WebhookError::new(
            WebhookErrorKind::Malformed,
            format!("the signature is genuine, but the body is not a JSON object: {error}"),
        )
    })?;
    let envelope = Envelope::of(&json);
    let event = from_object(&envelope.name, json);
    Ok(Decoded { envelope, event })
}

/// Decodes a JSON object. A field whose value has an unexpected type is moved to the unknown fields.
fn from_object(name: &Field<'_>, json: Map<String, Value>) -> Result<Event, WebhookError> {
    let name = match name {
        Field::Text(name) => name,
        Field::Missing if is_text(&json, "id") && is_text(&json, "agentId") => {
            return leniently(EventKind::VoiceAiCallEnd, json);
        }
        Field::Missing => return Err(malformed("/type is missing")),
        Field::Null | Field::Other => return Err(malformed("/type is not a string")),
    };
    match EventKind::of(name) {
        Some(kind) => leniently(kind, json),
        None => Ok(Event::Unknown { name: name.clone().into_owned(), json }),
    }
}

fn is_text(json: &Map<String, Value>, key: &str) -> bool {
    json.get(key).is_some_and(Value::is_string)
}

fn leniently(kind: EventKind, json: Map<String, Value>) -> Result<Event, WebhookError> {
    kind.decode_leniently(json).map_err(|error| malformed(&error.describe()))
}

fn malformed(reason: &str) -> WebhookError {
    WebhookError::new(
        WebhookErrorKind::Malformed,
        format!("the signature is genuine, but the event cannot be decoded: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn by_object(body: &str) -> Result<(Envelope<'static>, Event), String> {
        let json: Map<String, Value> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let envelope = Envelope::of(&json);
        let event = from_object(&envelope.name, json).map_err(|error| error.to_string())?;
        Ok((envelope, event))
    }

    #[test]
    fn known_events_are_decoded_in_one_pass() {
        for body in [
            include_str!("../../tests/data/events/outbound_message.json"),
            include_str!("../../tests/data/events/outbound_call.json"),
            include_str!("../../tests/data/events/outbound_email.json"),
            include_str!("../../tests/data/events/inbound_message.json"),
            include_str!("../../tests/data/events/provider_sms.json"),
            include_str!("../../tests/data/events/provider_email.json"),
            include_str!("../../tests/data/events/install.json"),
            include_str!("../../tests/data/events/uninstall.json"),
            r#"{"body":"\"type\":\"SMS\"","appId":null,"newField":[1.5],"type" : "InboundMessage"}"#,
            r#"{"type":"ConversationUpdate","oldConversationId":"a","newConversationId":"b"}"#,
            r#"{"type":"ConversationUnreadUpdate","id":"a","unreadCount":0}"#,
            r#"{"type":"LCEmailStats","webhookPayload":{"event":"opened","new":1}}"#,
            r#"{"type":"ContactDndUpdate","id":"a","dnd":true,"dndSettings":{"SMS":{"status":"active"}}}"#,
            r#"{"type":"UPDATE","appId":"a","previousVersionId":"b"}"#,
            r#"{"id":"a","agentId":"b","transcript":"bot:Hi\nhuman:Hello"}"#,
            r#"{"id":"a","agentId":"b","extractedData":{"type":"lead"},"duration":"12"}"#,
            // Fields with an unexpected type.
            r#"{"type":"InboundMessage","callDuration":"120","from":{},"to":{},"body":["\u0041"],"direction":7}"#,
            r#"{"type":"InboundMessage","callDuration":"\u0031","attachments":[{"url":"u"},null],"mentions":"m"}"#,
            r#"{"type":"INSTALL","appId":"a","trial":{"onTrial":"yes"},"installType":[],"timestamp":7}"#,
        ] {
            assert_eq!(one_pass::decode(body.as_bytes()), by_object(body).ok(), "{body}");
        }
    }

    #[test]
    fn all_other_events_are_decoded_from_an_object() {
        for body in [
            r#"{"type":"ContactCreate"}"#,
            r#"{"type":"InboundMessage","type":"SMS","messageId":"m"}"#,
            r#"{"type":"InboundMessage","body":"a","body":"b"}"#,
            r#"{"nested":{"type":"SMS"},"type":"InboundMessage"}"#,
            r#"{"t\u0079pe":"InboundMessage"}"#,
            r#"{"id":"a","agentId":"b","extractedData":{"type":"SMS"}}"#,
        ] {
            assert_eq!(one_pass::decode(body.as_bytes()), None, "{body}");
            by_object(body).expect(body);
        }
    }

    proptest! {
        #[test]
        fn one_pass_and_an_object_give_the_same_event(
            fields in proptest::collection::vec((
                select(&[
                    "type", "type", "appId", "locationId", "timestamp", "webhookId", "messageId", "emailMessageId",
                    "dateAdded", "body", "attachments", "to", "callDuration", "newField", "t\\u0079pe", "id", "agentId",
                ][..]),
                select(&[
                    "\"OutboundMessage\"", "\"InboundMessage\"", "\"SMS\"", "\"INSTALL\"", "\"UNINSTALL\"", "\"X\"",
                    "\"\"", "\"\\u0041\\n\\ud83c\\udf89\"", "\"\\ud800\"", "null", "7", "-0", "1.5e300", "1e999", "[]",
                    "[\"a\", null]", "{\"type\":\"SMS\"}", "{\"a\":{\"b\":[true]}}", "12345678901234567890123", "tru",
                ][..]),
            ), 0..8),
            name in select(&["OutboundMessage", "SMS", "INSTALL", "X"][..]),
            at in 0..8_usize,
            end in select(&["}", "}", "}", "} ", "}}", ",}", ""][..]),
        ) {
            let mut fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            fields.insert(at.min(fields.len()), format!("\"type\":\"{name}\""));
            let body = format!("{{{}{end}", fields.join(","));
            if let Some(decoded) = one_pass::decode(body.as_bytes()) {
                prop_assert_eq!(Ok(decoded), by_object(&body), "{}", body);
            }
        }
    }
}
