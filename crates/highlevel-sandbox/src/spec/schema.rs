//! Converts `OpenAPI` 3.0 schemas to JSON Schema.
//!
//! The formats differ in a few points. In `OpenAPI`, `nullable` replaces the type `null`, siblings of `$ref` are ignored,
//! exclusive bounds are flags, and `format` may specify the width of an integer.

use serde_json::{Map, Value, json};

use super::width::INT64;

/// Converts a schema of `components/schemas`, and those that it refers to, to JSON Schema draft 7. References are unchanged.
pub(super) fn with_references(document: &Value, name: &str) -> Map<String, Value> {
    let schemas = &document["components"]["schemas"];
    let mut converted = Map::new();
    let mut pending = vec![name.to_owned()];
    while let Some(name) = pending.pop() {
        if let Some(schema) = schemas.get(&name)
            && !converted.contains_key(&name)
        {
            let schema = convert(schema);
            collect_references(&schema, &mut pending);
            converted.insert(name, schema);
        }
    }
    converted
}

/// Collects the names of the schemas that a value refers to.
fn collect_references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            // A reference may point into a schema.
            let name = referenced_schema(value).and_then(|path| path.split('/').next());
            names.extend(name.map(|name| name.replace("~1", "/").replace("~0", "~")));
            fields.values().for_each(|field| collect_references(field, names));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect_references(entry, names)),
        _ => {}
    }
}

fn convert(schema: &Value) -> Value {
    let Some(source) = schema.as_object() else {
        return schema.clone();
    };
    if let Some(reference) = source.get("$ref") {
        return json!({ "$ref": reference });
    }
    let mut target = Map::new();
    for (key, value) in source {
        let converted = match key.as_str() {
            "type" | "enum" | "format" | "required" | "pattern" | "minimum" | "maximum" | "multipleOf"
            | "minLength" | "maxLength" | "minItems" | "maxItems" | "uniqueItems" | "minProperties"
            | "maxProperties" => value.clone(),
            "properties" => value.as_object().map_or_else(|| value.clone(), |each| convert_each(each).into()),
            "items" | "additionalProperties" | "not" => convert(value),
            "allOf" | "anyOf" | "oneOf" => match value.as_array() {
                Some(schemas) => schemas.iter().map(convert).collect(),
                None => continue,
            },
            // The other keywords are annotations (`example`, `title`, `x-…`) or handled below.
            _ => continue,
        };
        target.insert(key.clone(), converted);
    }
    if source.get("nullable") == Some(&Value::Bool(true)) {
        allow_null(&mut target);
    }
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if source.get(flag) == Some(&Value::Bool(true))
            && let Some(limit) = target.remove(bound)
        {
            target.insert(flag.to_owned(), limit);
        }
    }
    bound_by_width(&mut target);
    Value::Object(target)
}

fn convert_each(schemas: &Map<String, Value>) -> Map<String, Value> {
    schemas.iter().map(|(name, schema)| (name.clone(), convert(schema))).collect()
}

/// Applies `nullable` to `type` and `enum`. Without a `type`, all types are already allowed.
fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind, "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

fn bound_by_width(schema: &mut Map<String, Value>) {
    match schema.get("format").and_then(Value::as_str) {
        Some("int32") => {
            schema.entry("minimum").or_insert_with(|| i32::MIN.into());
            schema.entry("maximum").or_insert_with(|| i32::MAX.into());
        }
        Some("int64") => {
            schema.insert(INT64.to_owned(), true.into());
        }
        _ => return,
    }
    schema.remove("format");
}

pub(super) fn referenced_schema(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_converted_with_their_references() {
        let to = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let document = json!({ "components": { "schemas": {
            "Id": {"type": "string"},
            "List": {"type": "array", "items": to("Entry")},
            "Entry": {"properties": {"id": to("Id"), "children": to("List"), "$ref": {"type": "string"}}},
            "Choice": {"oneOf": [to("Id"), {"not": to("a~1b~0c")}]},
            "a/b~c": {"additionalProperties": to("Entry/properties/id")},
            "Missing": to("Unknown"),
        }}});
        let cases = [
            ("Id", &["Id"][..]),
            ("List", &["Entry", "Id", "List"]),
            ("Entry", &["Entry", "Id", "List"]),
            ("Choice", &["Choice", "Entry", "Id", "List", "a/b~c"]),
            ("Missing", &["Missing"]),
            ("Unknown", &[]),
        ];
        for (name, expected) in cases {
            let found = with_references(&document, name);
            assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn all_differences_are_converted() {
        let cases = [
            (
                json!({"type": "string", "example": "a", "description": "b", "x-c": 1}),
                json!({"type": "string"}),
            ),
            (
                json!({"$ref": "#/components/schemas/Id", "description": "a"}),
                json!({"$ref": "#/components/schemas/Id"}),
            ),
            (
                json!({"type": "array", "nullable": true, "items": {}}),
                json!({"type": ["array", "null"], "items": {}}),
            ),
            (
                json!({"type": "string", "nullable": true, "enum": ["a"]}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (json!({"type": "string", "nullable": false}), json!({"type": "string"})),
            (json!({"minimum": 1, "exclusiveMinimum": true}), json!({"exclusiveMinimum": 1})),
            (json!({"minimum": 1, "exclusiveMinimum": false}), json!({"minimum": 1})),
            (
                json!({"type": "integer", "format": "int64", "minimum": 0}),
                json!({"type": "integer", "minimum": 0, "int64": true}),
            ),
            (json!({"additionalProperties": false}), json!({"additionalProperties": false})),
            (
                json!({"oneOf": [{"title": "One", "type": "string"}, {"properties": {"example": {"example": 1}}}]}),
                json!({"oneOf": [{"type": "string"}, {"properties": {"example": {}}}]}),
            ),
        ];
        for (openapi, expected) in cases {
            assert_eq!(convert(&openapi), expected, "{openapi}");
        }
    }
}
