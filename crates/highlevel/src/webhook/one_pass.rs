//! Parses the JSON of an event once, straight into its type, while the fields of the envelope are captured.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::envelope::{Envelope, Field};
use super::event::Event;
use super::kind::EventKind;

/// Decodes a body. `None` if that fails, or if the event is unknown.
///
/// The `type` can be anywhere in the object, so it is searched in the text first, and compared with the parsed one
/// afterwards. An event without a `type` can only be a `VoiceAiCallEnd`.
pub(super) fn decode(body: &[u8]) -> Option<(Envelope<'_>, Event)> {
    let name = find_name(body);
    let kind = match name.and_then(EventKind::of) {
        Some(kind) => kind,
        // The name, if there is one, may belong to a nested object.
        None if memchr::memmem::find(body, br#""agentId""#).is_some() => EventKind::VoiceAiCallEnd,
        None => return None,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let (envelope, event) = json.deserialize_map(EventVisitor { kind }).ok()?;
    json.end().ok()?;
    let is_of_kind = match (&envelope.name, &event) {
        (Field::Text(found), _) => name == Some(found) && EventKind::of(found) == Some(kind),
        (Field::Missing, Event::VoiceAiCallEnd(call)) => call.agent_id.is_some(),
        _ => false,
    };
    is_of_kind.then_some((envelope, event))
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

/// Reads an object into an event of this kind.
struct EventVisitor {
    kind: EventKind,
}

impl<'de> Visitor<'de> for EventVisitor {
    type Value = (Envelope<'de>, Event);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        let mut captured = Captured::default();
        let object = Object { fields, key: Cow::Borrowed(""), captured: &mut captured };
        let mut event = self.kind.decode(MapAccessDeserializer::new(object))?;
        event.add_mistyped(captured.mistyped);
        Ok((captured.envelope, event))
    }
}

/// The fields that are captured while an object is read.
#[derive(Default)]
struct Captured<'de> {
    envelope: Envelope<'de>,
    /// The fields whose value has an unexpected type. The event is read without them.
    mistyped: Map<String, Value>,
}

/// An object whose fields are read.
struct Object<'c, 'de, A> {
    fields: A,
    /// The key of the current field.
    key: Cow<'de, str>,
    captured: &'c mut Captured<'de>,
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, A: MapAccess<'de>> Object<'_, 'de, A> {
    /// Reads the value of the current field. Of fields with the same name the last one counts for the envelope.
    fn read(&mut self) -> Result<Found<'de>, A::Error> {
        let found = self.fields.next_value()?;
        if let Some(field) = self.captured.envelope.field_mut(&self.key) {
            *field = Field::from(&found);
        }
        Ok(found)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Object<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Key(key)) = self.fields.next_key()? else { return Ok(None) };
        self.key = key.clone();
        seed.deserialize(CowStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        let value = match self.read()? {
            Found::Text(text) => seed.deserialize(Text(text)),
            Found::Other(value) => seed.deserialize(value),
        };
        value.map_err(de::Error::custom)
    }

    /// Reads the value of a field that is known by name. If its type is unexpected and the field is optional, the value
    /// is captured.
    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, A::Error> {
        let value = match self.read()? {
            // The type of a field accepts either all texts or none, so a long one need not be copied.
            Found::Text(Cow::Owned(text)) if V::deserialize(Text(Cow::Borrowed(""))).is_ok() => {
                return V::deserialize(Text(Cow::Owned(text))).map_err(de::Error::custom);
            }
            Found::Text(text) => match V::deserialize(Text(text.clone())) {
                Ok(value) => return Ok(value),
                Err(_) => Value::String(text.into_owned()),
            },
            Found::Other(value) => match V::deserialize(value.clone()) {
                Ok(value) => return Ok(value),
                Err(_) => value,
            },
        };
        let missing = V::deserialize(Value::Null).map_err(de::Error::custom)?;
        self.captured.mistyped.insert(self.key.clone().into_owned(), value);
        Ok(missing)
    }
}

/// A value of a field.
enum Found<'de> {
    /// A text, borrowed from the body if it contains no escapes.
    Text(Cow<'de, str>),
    Other(Value),
}

impl<'de> From<&Found<'de>> for Field<'de> {
    fn from(found: &Found<'de>) -> Self {
        match found {
            Found::Text(text) => Self::Text(text.clone()),
            Found::Other(value) => value.into(),
        }
    }
}

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoundVisitor)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Found<'de>, E> {
        Ok(Found::Other(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Found<'de>, E> {
        Ok(Found::Other(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Found<'de>, E> {
        Ok(Found::Other(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Found<'de>, E> {
        Ok(Found::Other(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Found<'de>, E> {
        Ok(Found::Other(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Found<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(entries)).map(Found::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Found<'de>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(fields)).map(Found::Other)
    }
}

/// A text as a deserializer. Unlike those of serde, it can be an optional value.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        CowStrDeserializer::new(self.0).deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
