//! The parsed spec, with the queries that several steps share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The directions in which a component is sent: to HighLevel, from it, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchemaUse {
    /// Part of a request.
    pub sent: bool,
    /// Part of a response or of a webhook.
    pub received: bool,
}

/// A parsed spec.
#[derive(Debug, Clone)]
pub struct Document {
    value: Value,
    directions: BTreeMap<String, SchemaUse>,
}

impl Document {
    /// Wraps a parsed spec and determines the direction of each schema.
    pub fn new(value: Value) -> Self {
        let directions = directions(&value);
        Self { value, directions }
    }

    /// Returns the whole spec.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the schemas under `components`, by name.
    pub fn schemas(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.value
            .pointer("/components/schemas")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.as_str(), schema))
    }

    /// Returns a schema under `components`.
    pub fn schema(&self, name: &str) -> Option<&Value> {
        self.value.get("components")?.get("schemas")?.get(name)
    }

    /// Returns the direction of a schema. Both flags are `false` if nothing refers to it.
    pub fn direction(&self, name: &str) -> SchemaUse {
        self.directions.get(name).copied().unwrap_or_default()
    }

    /// Returns the operations with path and method.
    pub fn operations(&self) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
        const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let paths = self.value.get("paths").and_then(Value::as_object);
        paths.into_iter().flatten().flat_map(|(path, item)| {
            METHODS
                .iter()
                .filter_map(move |method| Some((path.as_str(), *method, item.get(method)?.as_object()?)))
        })
    }

    /// Returns the operations that are generated: all but those with `x-hand-written`.
    pub fn generated_operations(&self) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
        self.operations().filter(|(_, _, operation)| !is_hand_written(operation))
    }

    /// Returns the value that a local reference points to.
    pub fn resolve(&self, reference: &str) -> Option<&Value> {
        self.value.pointer(reference.strip_prefix('#')?)
    }
}

/// Returns the name in `#/components/schemas/NAME`.
pub(crate) fn schema_name(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/components/schemas/")
}

/// The key of an operation that the SDK implements without a generated function. Its value is the reason.
pub(crate) const HAND_WRITTEN: &str = "x-hand-written";

/// Returns `true` for an operation that is not generated.
pub(crate) fn is_hand_written(operation: &Map<String, Value>) -> bool {
    operation.contains_key(HAND_WRITTEN)
}

/// Escapes a key for a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Calls `visit` for the value and everything below it, each with its JSON pointer.
pub(crate) fn walk<'v>(value: &'v Value, pointer: &str, visit: &mut dyn FnMut(&str, &'v Value)) {
    visit(pointer, value);
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                walk(child, &format!("{pointer}/{}", escape(key)), visit);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                walk(child, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => {}
    }
}

fn directions(document: &Value) -> BTreeMap<String, SchemaUse> {
    let mut directions: BTreeMap<String, SchemaUse> = BTreeMap::new();
    let operations = document
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|paths| paths.values())
        .filter_map(Value::as_object)
        .flat_map(|item| item.values());
    let mut sent = Vec::new();
    let mut received = Vec::new();
    for operation in operations {
        sent.extend(operation.get("requestBody"));
        sent.extend(operation.get("parameters"));
        received.extend(operation.get("responses"));
    }
    received.extend(document.get("x-webhooks"));
    for name in reachable(document, &sent) {
        directions.entry(name).or_default().sent = true;
    }
    for name in reachable(document, &received) {
        directions.entry(name).or_default().received = true;
    }
    directions
}

/// Returns the names of the schemas that the roots refer to, directly or through others.
fn reachable(document: &Value, roots: &[&Value]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<String> = Vec::new();
    for root in roots {
        collect_references(root, &mut waiting);
    }
    while let Some(reference) = waiting.pop() {
        if !seen.insert(reference.clone()) {
            continue;
        }
        if let Some(target) = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)) {
            collect_references(target, &mut waiting);
        }
    }
    seen.iter().filter_map(|reference| schema_name(reference)).map(str::to_owned).collect()
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    walk(value, "", &mut |pointer, value| {
        if pointer.ends_with("/$ref")
            && let Some(reference) = value.as_str()
        {
            into.push(reference.to_owned());
        }
    });
}
