//! JSON stored as text. A parsed value takes up to ninety times the memory.

use std::fmt::{self, Formatter};

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::json_size::MAX_VALUES;

/// The maximum length, in bytes: that of a request body, plus the fields that a simulation adds.
const MAX_LENGTH: usize = 2 * 1024 * 1024;

/// A JSON value as compact text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawJson(Box<str>);

impl RawJson {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the value.
    pub(crate) fn to_value(&self) -> Value {
        // The text was serialized from JSON, so this cannot fail.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Default for RawJson {
    fn default() -> Self {
        Self("null".into())
    }
}

impl From<&Value> for RawJson {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    /// Transcribes the value while reading it, so that a value that is too large is never held in memory completely.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut transcript = Transcript { text: String::new(), values: 0 };
        Part(&mut transcript).deserialize(deserializer)?;
        Ok(Self(transcript.text.into()))
    }
}

/// The text written so far.
struct Transcript {
    text: String,
    values: usize,
}

impl Transcript {
    fn push<E: Error>(&mut self, json: &str) -> Result<(), E> {
        if self.text.len() + json.len() > MAX_LENGTH {
            return Err(E::custom(format!(
                "the request of a message exceeds the limit of {MAX_LENGTH} bytes"
            )));
        }
        self.text.push_str(json);
        Ok(())
    }

    fn push_value<E: Error>(&mut self, value: impl Serialize) -> Result<(), E> {
        self.push(&serde_json::to_string(&value).map_err(E::custom)?)
    }
}

/// A seed that transcribes one value.
struct Part<'a>(&'a mut Transcript);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.values += 1;
        if self.0.values > MAX_VALUES {
            return Err(D::Error::custom(format!(
                "the request of a message exceeds the limit of {MAX_VALUES} values"
            )));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push("null")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.push_value(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.push_value(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.push_value(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.push_value(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.push_value(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.0.push("[")?;
        let mut is_first = true;
        loop {
            let length = self.0.text.len();
            if !std::mem::replace(&mut is_first, false) {
                self.0.push(",")?;
            }
            if values.next_element_seed(Part(self.0))?.is_none() {
                self.0.text.truncate(length);
                return self.0.push("]");
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.0.push("{")?;
        let mut is_first = true;
        while let Some(name) = fields.next_key::<String>()? {
            if !std::mem::replace(&mut is_first, false) {
                self.0.push(",")?;
            }
            self.0.push_value(&name)?;
            self.0.push(":")?;
            fields.next_value_seed(Part(self.0))?;
        }
        self.0.push("}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_survive_a_round_trip() {
        let value = json!({
            "a": [1, -2, 1.5, 18_446_744_073_709_551_615_u64, "x\"\n\u{1f600}", true, null, [], {}],
            "": {"nested": [[{"b": "c"}]]}, "last": 1e300,
        });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let raw: RawJson = serde_json::from_str(&text).unwrap();
            assert_eq!(raw.to_value(), value);
            assert_eq!(raw, RawJson::from(&value));
            assert_eq!(serde_json::to_value(&raw).unwrap(), value);
        }
        assert_eq!(serde_json::from_value::<RawJson>(value.clone()).unwrap().to_value(), value);
        let yaml: RawJson =
            serde_saphyr::from_str("{message: Hello, n: 5, f: 1.5, l: [a, ~, true]}").unwrap();
        assert_eq!(yaml.to_value(), json!({"message": "Hello", "n": 5, "f": 1.5, "l": ["a", null, true]}));
        assert_eq!(RawJson::default().to_value(), Value::Null);
    }

    #[test]
    fn oversized_values_are_rejected_while_reading() {
        let array = |length: usize| format!("[{}0]", "0,".repeat(length - 1));
        assert!(serde_json::from_str::<RawJson>(&array(MAX_VALUES - 1)).is_ok());
        let error = serde_json::from_str::<RawJson>(&array(MAX_VALUES)).unwrap_err().to_string();
        assert!(error.starts_with("the request of a message exceeds the limit of 20000 values"), "{error}");
        let long = serde_json::to_string(&"x".repeat(MAX_LENGTH)).unwrap();
        let error = serde_json::from_str::<RawJson>(&long).unwrap_err().to_string();
        assert!(error.starts_with("the request of a message exceeds the limit of 2097152 bytes"), "{error}");
    }
}
