//! Test events: examples of the spec, with fields merged in.

use std::io::{self, ErrorKind};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::spec::Spec;

/// The preferred names of default examples, in order.
const PREFERRED: [&str; 3] = ["message", "sms", "location"];

/// A test event, based on an example of the spec.
///
/// ```
/// use highlevel_sandbox::Trigger;
///
/// let install = Trigger::new("INSTALL");
/// let email = Trigger::new("OutboundMessage").example("email").field("subject", "Tonight").field("source", ());
/// # let _ = (install, email);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) example: Option<String>,
    #[serde(default)]
    pub(crate) fields: Map<String, Value>,
    #[serde(default)]
    pub(crate) url: Option<String>,
}

impl Trigger {
    /// Creates a test event by its name under `x-webhooks`: `OutboundMessage`, `InboundMessage`,
    /// `ProviderOutboundMessage`, `INSTALL` or `UNINSTALL`.
    pub fn new(event: impl Into<String>) -> Self {
        Self { event: event.into(), ..Self::default() }
    }

    /// Selects another example of the event, such as `call`, `voicemail` or `email`.
    pub fn example(mut self, name: impl Into<String>) -> Self {
        self.example = Some(name.into());
        self
    }

    /// Sets a field of the payload. Any name is allowed; null removes the field, and objects are merged.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Sends it to this URL instead of the configured one.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }
}

/// A test event that can be sent, with its examples.
#[derive(Debug)]
pub(crate) struct EventExamples {
    pub(crate) event: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) examples: Vec<&'static str>,
}

/// Returns all events of the spec with the names of their examples.
pub(crate) fn events(spec: &'static Spec) -> Vec<EventExamples> {
    let events = spec.document()["x-webhooks"].as_object().into_iter().flatten();
    let event = |(event, definition): (&'static String, &'static Value)| EventExamples {
        event,
        summary: definition["summary"].as_str().unwrap_or_default(),
        examples: definition["examples"].as_object().into_iter().flatten().map(|(name, _)| &**name).collect(),
    };
    events.map(event).collect()
}

/// Returns the payload of the example.
pub(crate) fn example(spec: &Spec, trigger: &Trigger) -> io::Result<Map<String, Value>> {
    let Trigger { event, example, .. } = trigger;
    let document = spec.document();
    let events = document["x-webhooks"].as_object();
    let Some(definition) = events.and_then(|events| events.get(event)) else {
        let names: Vec<&str> = events.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        return Err(invalid(&format!("unknown event {event:?}; known events: {}", names.join(", "))));
    };
    let examples = definition["examples"].as_object();
    let named = |name: &str| examples.and_then(|examples| examples.get(name));
    let found = match example {
        Some(name) => named(name),
        None => PREFERRED.iter().find_map(|name| named(name)).or_else(|| examples?.values().next()),
    };
    let value = found
        .and_then(|example| document.pointer(example["$ref"].as_str()?.trim_start_matches('#')))
        .and_then(|example| example["value"].as_object());
    value.cloned().ok_or_else(|| {
        let names: Vec<&str> = examples.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let requested = example.as_deref().unwrap_or_default();
        invalid(&format!("{event} has no example {requested:?}; known examples: {}", names.join(", ")))
    })
}

/// Merges a patch as RFC 7396 specifies: null removes, objects are merged, any other value replaces.
pub(crate) fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(&name)),
            Value::Object(patch) => {
                let field = target.entry(name).or_insert_with(|| json!({}));
                if !field.is_object() {
                    *field = json!({});
                }
                if let Value::Object(field) = field {
                    merge(field, patch);
                }
            }
            value => drop(target.insert(name, value)),
        }
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn fields_are_merged_as_in_the_rfc() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (target, patch, expected) in cases {
            let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else { unreachable!() };
            merge(&mut target, patch);
            assert_eq!(Value::Object(target), expected);
        }
    }
}
