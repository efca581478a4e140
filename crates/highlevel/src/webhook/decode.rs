//! Decodes the body of an event whose signature is genuine.
//!
//! The JSON is parsed once, straight into the typed event, while the fields of the envelope are captured. Only a body
//! for which that fails is parsed a second time, into a JSON object: one that has fields of an unexpected type or the
//! same field twice, and one that cannot be decoded, to find the reason.

use std::borrow::Cow;
use std::fmt;

use highlevel_wire::types::{
    EventName, InboundMessage, Install, OutboundMessage, ProviderChannel, ProviderOutboundMessage, Uninstall,
};
use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::envelope::{Envelope, Field};
use super::error::{WebhookError, WebhookErrorKind};
use super::event::Event;
use crate::lenient::{self, Read};

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
    if let Some((envelope, event)) = in_one_pass(body) {
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

/// The variant of an event, without the one for unknown events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OutboundMessage,
    InboundMessage,
    ProviderOutboundMessage,
    Install,
    Uninstall,
}

impl Kind {
    /// Returns the kind of a `type`, which is the name of the event, or the channel of a `ProviderOutboundMessage`.
    fn of(name: &str) -> Option<Self> {
        Some(match EventName::from(name) {
            EventName::OutboundMessage => Self::OutboundMessage,
            EventName::InboundMessage => Self::InboundMessage,
            EventName::Install => Self::Install,
            EventName::Uninstall => Self::Uninstall,
            _ => match ProviderChannel::from(name) {
                ProviderChannel::Unknown(_) => return None,
                _ => Self::ProviderOutboundMessage,
            },
        })
    }
}

/// Decodes a JSON object. A field whose value has an unexpected type is moved to the unknown fields.
fn from_object(name: &Field<'_>, json: Map<String, Value>) -> Result<Event, WebhookError> {
    let name = match name {
        Field::Text(name) => name,
        Field::Missing => return Err(malformed("/type is missing")),
        Field::Null | Field::Other => return Err(malformed("/type is not a string")),
    };
    Ok(match Kind::of(name) {
        Some(Kind::OutboundMessage) => {
            Event::OutboundMessage(leniently(json, |event: &mut OutboundMessage| &mut event.extra)?)
        }
        Some(Kind::InboundMessage) => {
            Event::InboundMessage(leniently(json, |event: &mut InboundMessage| &mut event.extra)?)
        }
        Some(Kind::ProviderOutboundMessage) => {
            Event::ProviderOutboundMessage(leniently(json, |event: &mut ProviderOutboundMessage| {
                &mut event.extra
            })?)
        }
        Some(Kind::Install) => Event::Install(leniently(json, |event: &mut Install| &mut event.extra)?),
        Some(Kind::Uninstall) => Event::Uninstall(leniently(json, |event: &mut Uninstall| &mut event.extra)?),
        None => Event::Unknown { name: name.clone().into_owned(), json },
    })
}

fn leniently<T: DeserializeOwned>(
    json: Map<String, Value>,
    extra: impl FnOnce(&mut T) -> &mut Map<String, Value>,
) -> Result<Box<T>, WebhookError> {
    let Read { mut value, mistyped } =
        lenient::read::<T>(json).map_err(|error| malformed(&error.describe()))?;
    extra(&mut value).extend(mistyped);
    Ok(Box::new(value))
}

fn malformed(reason: &str) -> WebhookError {
    WebhookError::new(
        WebhookErrorKind::Malformed,
        format!("the signature is genuine, but the event cannot be decoded: {reason}"),
    )
}

/// Decodes a body in one pass. `None` if that fails, or if the event is unknown.
///
/// The `type` can be anywhere in the object, so it is searched in the text first, and compared with the parsed one
/// afterwards.
fn in_one_pass(body: &[u8]) -> Option<(Envelope<'_>, Event)> {
    let name = find_name(body)?;
    let kind = Kind::of(name)?;
    let mut envelope = Envelope::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let visitor = EventVisitor { kind, envelope: &mut envelope };
    let event = json.deserialize_map(visitor).and_then(|event| json.end().map(|()| event)).ok()?;
    (envelope.name.text() == Some(name)).then_some((envelope, event))
}

/// Returns the text after a `"type":` near the start of the body, where HighLevel writes it, or after the last one. It
/// may belong to a nested object.
fn find_name(body: &[u8]) -> Option<&str> {
    const KEY: &[u8] = br#""type""#;
    const START: usize = 256;
    let start = &body[..body.len().min(START)];
    let at = memchr::memmem::find(start, KEY).or_else(|| memchr::memmem::rfind(body, KEY))?;
    let value = body[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?;
    let value = value.trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(&value[..memchr::memchr(b'"', value)?]).ok()
}

/// Reads an object into an event of this kind, and captures its envelope.
struct EventVisitor<'e, 'de> {
    kind: Kind,
    envelope: &'e mut Envelope<'de>,
}

impl<'de> Visitor<'de> for EventVisitor<'_, 'de> {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Event, A::Error> {
        let object = MapAccessDeserializer::new(Captured { fields, envelope: self.envelope, value: None });
        Ok(match self.kind {
            Kind::OutboundMessage => Event::OutboundMessage(Box::deserialize(object)?),
            Kind::InboundMessage => Event::InboundMessage(Box::deserialize(object)?),
            Kind::ProviderOutboundMessage => Event::ProviderOutboundMessage(Box::deserialize(object)?),
            Kind::Install => Event::Install(Box::deserialize(object)?),
            Kind::Uninstall => Event::Uninstall(Box::deserialize(object)?),
        })
    }
}

/// The fields of an object, of which those of the envelope are captured as they pass.
struct Captured<'e, 'de, A> {
    fields: A,
    envelope: &'e mut Envelope<'de>,
    /// The value of the current field, if it is one of the envelope.
    value: Option<Value>,
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Captured<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Key(key)) = self.fields.next_key()? else { return Ok(None) };
        if let Some(field) = self.envelope.field_mut(&key) {
            let value: Value = self.fields.next_value()?;
            // Of fields with the same name the last one counts.
            *field = Field::from(&value);
            self.value = Some(value);
        }
        seed.deserialize(CowStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(de::Error::custom),
            None => self.fields.next_value_seed(seed),
        }
    }
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
        ] {
            assert_eq!(in_one_pass(body.as_bytes()), by_object(body).ok(), "{body}");
        }
    }

    #[test]
    fn all_other_events_are_decoded_from_an_object() {
        for body in [
            r#"{"type":"ContactCreate"}"#,
            r#"{"type":"InboundMessage","type":"SMS","messageId":"m"}"#,
            r#"{"type":"InboundMessage","body":"a","body":"b"}"#,
            r#"{"type":"InboundMessage","callDuration":"120"}"#,
            r#"{"nested":{"type":"SMS"},"type":"InboundMessage"}"#,
            r#"{"t\u0079pe":"InboundMessage"}"#,
        ] {
            assert_eq!(in_one_pass(body.as_bytes()), None, "{body}");
            by_object(body).expect(body);
        }
    }

    proptest! {
        #[test]
        fn one_pass_and_an_object_give_the_same_event(
            fields in proptest::collection::vec((
                select(&[
                    "type", "type", "appId", "locationId", "timestamp", "webhookId", "messageId", "emailMessageId",
                    "dateAdded", "body", "attachments", "to", "callDuration", "newField", "t\\u0079pe",
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
            if let Some(decoded) = in_one_pass(body.as_bytes()) {
                prop_assert_eq!(Ok(decoded), by_object(&body), "{}", body);
            }
        }
    }
}
