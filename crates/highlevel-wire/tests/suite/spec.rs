//! The description, as an oracle that knows nothing of the Rust types.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let output = highlevel_codegen::run_embedded().expect("the spec is valid");
    serde_json::from_str(&output.normalised).expect("it is JSON")
});

/// The schemas of all components, by name.
pub(crate) fn schemas() -> &'static Map<String, Value> {
    SPEC["components"]["schemas"].as_object().expect("there are schemas")
}

/// The names of the components for which something holds.
pub(crate) fn names(holds: impl Fn(&Value) -> bool) -> Vec<&'static str> {
    schemas().iter().filter(|(_, schema)| holds(schema)).map(|(name, _)| name.as_str()).collect()
}

/// A value that the schema allows, with all fields.
pub(crate) fn sample(schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/components/schemas/").expect("a component");
        return sample(&schemas()[name]);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    if let Some(branches) = schema["oneOf"].as_array() {
        return sample(&branches[0]);
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => json!("2024-07-29T15:51:28.071Z"),
        Some("string") => json!("text"),
        Some("integer") => json!(7),
        Some("number") => json!(2.5),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(&schema["items"])]),
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => {
                properties.iter().map(|(name, schema)| (name.clone(), sample(schema))).collect()
            }
            None => json!({ "anything": [1] }),
        },
        None => json!({ "anything": 1 }),
        other => panic!("the type {other:?}"),
    }
}

/// [`sample`] with the required fields only.
pub(crate) fn smallest(schema: &Value) -> Value {
    let mut value = sample(schema);
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    value.as_object_mut().expect("an object").retain(|name, _| required.contains(&json!(name)));
    value
}
