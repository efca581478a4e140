//! Reads objects that HighLevel sent, even if some of their fields are not what the documentation says.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An object that was read.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    /// The fields whose value has an odd type, as they came. They are missing in `value`.
    pub(crate) odd: Map<String, Value>,
}

/// Why an object cannot be read: even without its odd fields something is wrong, mostly that it lacks a field.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) error: serde_json::Error,
    pub(crate) odd: Map<String, Value>,
}

/// Reads an object; fields of an odd type are set aside.
pub(crate) fn read<T: DeserializeOwned>(json: Map<String, Value>) -> Result<Read<T>, Unreadable> {
    let value = |json: &Map<String, Value>| serde_json::from_value::<T>(Value::Object(json.clone()));
    if let Ok(value) = value(&json) {
        return Ok(Read { value, odd: Map::new() });
    }
    let (odd, good) = json.into_iter().partition::<Map<_, _>, _>(|(key, value)| is_odd::<T>(key, value));
    match value(&good) {
        Ok(value) => Ok(Read { value, odd }),
        Err(error) => Err(Unreadable { error, odd }),
    }
}

impl Unreadable {
    /// What is wrong, by the JSON pointer of the field if it is one field.
    pub(crate) fn describe(&self) -> String {
        let error = self.error.to_string();
        match missing_field(&error) {
            Some(field) if self.odd.contains_key(field) => format!("/{field} has the wrong type"),
            Some(field) => format!("/{field} is missing"),
            None => error,
        }
    }
}

/// Whether a field alone is what makes an object unreadable. An object of this one field lacks others, which is not
/// its fault.
fn is_odd<T: DeserializeOwned>(key: &str, value: &Value) -> bool {
    let alone = Map::from_iter([(key.to_owned(), value.clone())]);
    match serde_json::from_value::<T>(Value::Object(alone)) {
        Ok(_) => false,
        Err(error) => missing_field(&error.to_string()).is_none(),
    }
}

/// The field that serde says is missing.
fn missing_field(error: &str) -> Option<&str> {
    error.strip_prefix("missing field `")?.split('`').next()
}
