//! Reads objects that HighLevel sent, even if some of their fields do not have the documented type.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An object that was read.
#[derive(Debug)]
pub(crate) struct ReadObject<T> {
    pub(crate) value: T,
    /// The fields whose value has an unexpected type. They are missing in `value`.
    pub(crate) mistyped: Map<String, Value>,
}

/// An object that cannot be read even without its mistyped fields, in most cases because it lacks a field.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) error: serde_json::Error,
    pub(crate) mistyped: Map<String, Value>,
}

/// Reads an object without the fields whose value has an unexpected type.
pub(crate) fn read<T: DeserializeOwned>(json: Map<String, Value>) -> Result<ReadObject<T>, Unreadable> {
    let value = |json: &Map<String, Value>| serde_json::from_value::<T>(Value::Object(json.clone()));
    if let Ok(value) = value(&json) {
        return Ok(ReadObject { value, mistyped: Map::new() });
    }
    let (mistyped, typed) =
        json.into_iter().partition::<Map<_, _>, _>(|(key, value)| is_mistyped::<T>(key, value));
    match value(&typed) {
        Ok(value) => Ok(ReadObject { value, mistyped }),
        Err(error) => Err(Unreadable { error, mistyped }),
    }
}

/// Reads the body of a response without the fields whose value has an unexpected type.
#[cfg(feature = "client")]
pub(crate) fn read_body<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let fields: Map<String, Value> = serde_json::from_slice(body)?;
    read(fields).map(|read| read.value).map_err(|unreadable| unreadable.error)
}

/// Reads the body of a response after `repair` has changed it. A body that is no object is read as it is.
#[cfg(feature = "client")]
pub(crate) fn read_repaired<T: DeserializeOwned>(
    body: &[u8],
    repair: fn(&mut Value),
) -> serde_json::Result<T> {
    let mut body: Value = serde_json::from_slice(body)?;
    repair(&mut body);
    match body {
        Value::Object(fields) => read(fields).map(|read| read.value).map_err(|unreadable| unreadable.error),
        other => serde_json::from_value(other),
    }
}

/// Removes the fields of an object whose value has an unexpected type. An object that lacks a field is left unchanged.
#[cfg(feature = "client")]
pub(crate) fn remove_mistyped<T: DeserializeOwned>(object: &mut Value) {
    if let Value::Object(fields) = object
        && let Ok(read) = read::<T>(fields.clone())
    {
        fields.retain(|name, _| !read.mistyped.contains_key(name));
    }
}

impl Unreadable {
    /// Describes the error, by the JSON pointer of the field if it is about one.
    pub(crate) fn describe(&self) -> String {
        let error = self.error.to_string();
        match missing_field(&error) {
            Some(field) if self.mistyped.contains_key(field) => format!("/{field} has the wrong type"),
            Some(field) => format!("/{field} is missing"),
            None => error,
        }
    }
}

/// Returns `true` if an object with this field alone cannot be read for another reason than that it lacks others.
fn is_mistyped<T: DeserializeOwned>(key: &str, value: &Value) -> bool {
    let alone = Map::from_iter([(key.to_owned(), value.clone())]);
    match serde_json::from_value::<T>(Value::Object(alone)) {
        Ok(_) => false,
        Err(error) => missing_field(&error.to_string()).is_none(),
    }
}

/// Returns the field that is missing according to an error of serde.
fn missing_field(error: &str) -> Option<&str> {
    error.strip_prefix("missing field `")?.split('`').next()
}
