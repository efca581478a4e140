//! Prepares the spec for progenitor: removes parts that it does not support, and relaxes the types that HighLevel sends.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::Document;
use crate::document::is_hand_written;

/// Applies the steps below, in order.
pub fn normalise(document: &Document) -> Value {
    let mut value = document.value().clone();
    drop_hand_written(&mut value);
    drop_error_responses(&mut value);
    drop_version_parameter(&mut value);
    relax_received(&mut value);
    drop_reference_siblings(&mut value);
    drop_unread_parts(&mut value);
    value
}

/// Removes the operations that the SDK implements without a generated function. Their types stay among the components.
pub fn drop_hand_written(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        item.retain(|_, operation| !operation.as_object().is_some_and(is_hand_written));
    }
    paths.retain(|_, item| item.as_object().is_none_or(|item| !item.is_empty()));
}

/// Removes every response that is not a success.
///
/// Typed error responses lose data: an error whose body differs from the documented one would have neither status nor
/// headers. The SDK reads error bodies itself; their types stay among the components.
pub fn drop_error_responses(document: &mut Value) {
    each_operation(document, |operation| {
        if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
            responses.retain(|status, _| status.starts_with('2'));
        }
    });
}

/// Removes the `Version` header parameter. It would become an argument of every operation; the
/// request context has it instead.
pub fn drop_version_parameter(document: &mut Value) {
    let is_version = {
        let parameters = document.pointer("/components/parameters").cloned().unwrap_or_default();
        move |parameter: &Value| {
            let target = parameter
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix("#/components/parameters/"))
                .and_then(|name| parameters.get(name));
            let parameter = target.unwrap_or(parameter);
            parameter["in"] == "header" && parameter["name"] == "Version"
        }
    };
    each_operation(document, |operation| {
        if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.retain(|parameter| !is_version(parameter));
        }
    });
}

/// Makes `x-required-on-receive` the `required` of each schema that has it: strict on send, lenient on receive. Removes the
/// other extensions of schemas.
pub fn relax_received(document: &mut Value) {
    each_schema(document, |schema| {
        if let Some(required) = schema.remove("x-required-on-receive") {
            if required.as_array().is_some_and(Vec::is_empty) {
                schema.remove("required");
            } else {
                schema.insert("required".to_owned(), required);
            }
        }
        schema.retain(|key, _| !key.starts_with("x-"));
    });
}

/// Removes the keys beside a `$ref`: descriptions for readers and for the finishing step.
pub fn drop_reference_siblings(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(reference @ Value::String(_)) = map.get("$ref") {
                *value = json!({ "$ref": reference });
            } else {
                map.values_mut().for_each(drop_reference_siblings);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_reference_siblings),
        _ => {}
    }
}

/// Removes the parts that the generator does not read, so that reviewers of the normalised spec see only relevant ones.
pub fn drop_unread_parts(document: &mut Value) {
    remove(document, &["security", "servers", "tags", "x-webhooks"]);
    if let Some(components) = document.get_mut("components") {
        remove(components, &["examples", "headers", "securitySchemes"]);
    }
    each_operation(document, |operation| {
        operation.retain(|key, _| !key.starts_with("x-"));
    });
    keep_used(document, "parameters");
    keep_used(document, "responses");
    let responses = document.pointer_mut("/components/responses").and_then(Value::as_object_mut);
    for response in responses.into_iter().flat_map(Map::values_mut) {
        remove(response, &["headers"]);
    }
    drop_examples(document);
}

/// Removes the components of one kind that no operation refers to.
fn keep_used(document: &mut Value, kind: &str) {
    let mut used = BTreeSet::new();
    each_operation(document, |operation| {
        let entries: Vec<&Value> = match operation.get(kind) {
            Some(Value::Object(map)) => map.values().collect(),
            Some(Value::Array(items)) => items.iter().collect(),
            _ => Vec::new(),
        };
        used.extend(entries.iter().filter_map(|entry| entry["$ref"].as_str()).map(str::to_owned));
    });
    let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(named) = components.get_mut(kind).and_then(Value::as_object_mut) {
        named.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        if named.is_empty() {
            components.remove(kind);
        }
    }
}

/// Removes `example` and `examples`, except if that is the name of a property.
fn drop_examples(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("example");
            map.remove("examples");
            for (key, child) in map {
                match child {
                    Value::Object(named) if key == "properties" || key == "schemas" => {
                        named.values_mut().for_each(drop_examples);
                    }
                    child => drop_examples(child),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_examples),
        _ => {}
    }
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

fn each_operation(document: &mut Value, mut edit: impl FnMut(&mut Map<String, Value>)) {
    let items = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in items.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for operation in item.values_mut().filter_map(Value::as_object_mut) {
            edit(operation);
        }
    }
}

fn each_schema(document: &mut Value, mut edit: impl FnMut(&mut Map<String, Value>)) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    schemas.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut).for_each(&mut edit);
}
