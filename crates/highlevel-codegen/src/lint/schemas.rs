//! Rules about schemas in both directions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::walk::each_schema;
use crate::document::{escape, schema_name};
use crate::generate::TIMESTAMP;
use crate::open_enums::{UNKNOWN, variant_name};
use crate::{Document, Problem};

/// Every component and every field is described: the descriptions become the documentation of the SDK.
pub(super) fn descriptions(document: &Document, problems: &mut Vec<Problem>) {
    let described =
        |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.trim().is_empty());
    for (name, schema) in document.schemas() {
        let place = format!("/components/schemas/{}", escape(name));
        if !described(schema) {
            problems.push(Problem::new(&place, "has no description", "describe it in a sentence"));
        }
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            if schema.get("$ref").is_none() && !described(schema) {
                problems.push(Problem::new(
                    format!("{place}/properties/{}", escape(property)),
                    "has no description",
                    "describe the field in a sentence, with its unit",
                ));
            }
        }
    }
}

/// The generator changes names that are not in camel case, and the finishing step looks types up by name.
pub(super) fn names(document: &Document, problems: &mut Vec<Problem>) {
    for (name, schema) in document.schemas() {
        let place = format!("/components/schemas/{}", escape(name));
        if !is_camel_case(name, char::is_ascii_uppercase) || name == "Self" {
            problems.push(Problem::new(
                &place,
                "is not a name in camel case, so the generator would change it and lose its enum or constructor",
                "write words that start with one capital, like `SmsMessage`",
            ));
        }
        if schema.get("$ref").is_some() {
            problems.push(Problem::new(
                place,
                "is a second name for another component; two that refer to each other never end",
                "refer to the other component where this one is used",
            ));
        }
    }
}

/// Letters and digits, no two capitals in a row, and a first letter of the kind asked for.
pub(super) fn is_camel_case(name: &str, first: fn(&char) -> bool) -> bool {
    name.chars().next().is_some_and(|letter| first(&letter))
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && !name.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_uppercase))
}

/// Only components have names, and only named types can be documented, constructed and kept open.
pub(super) fn nested(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        let is_component =
            pointer.strip_prefix("/components/schemas/").is_some_and(|rest| !rest.contains('/'));
        if !is_component && schema.get("properties").is_some() {
            problems.push(Problem::new(
                pointer,
                "is an object without a name, so its type would have neither documentation nor constructor",
                "make it a component and refer to it",
            ));
        }
    });
}

/// References lead to components: the generator supports no other place.
pub(super) fn targets(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return;
        };
        // Another rule reports references to nothing.
        let exists = document.resolve(reference).is_some();
        if exists && schema_name(reference).is_none_or(|name| name.contains('/')) {
            problems.push(Problem::new(
                pointer,
                format!("refers to `{reference}`, which is not a component; the generator panics about that"),
                "make it a component and write `$ref: \"#/components/schemas/NAME\"`",
            ));
        }
    });
}

/// Enums are named components of distinct strings, so that they can be made open.
pub(super) fn enums(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        let Some(values) = schema.get("enum").and_then(Value::as_array) else {
            return;
        };
        let is_component =
            pointer.strip_prefix("/components/schemas/").is_some_and(|rest| !rest.contains('/'));
        if !is_component {
            problems.push(Problem::new(
                pointer,
                "is an enum without a name; it would reject a whole response because of one new value",
                "make it a component and refer to it",
            ));
            return;
        }
        if values.is_empty() {
            problems.push(Problem::new(
                pointer,
                "is an enum without values",
                "list the values, or write `type: string` alone",
            ));
        }
        let mut variants: BTreeMap<String, &str> = BTreeMap::new();
        for value in values {
            let Some(wire) = value.as_str() else {
                problems.push(Problem::new(
                    pointer,
                    format!("has the value {value}, which is not a string"),
                    if value.is_number() {
                        "use `type: integer` without an enum, and list the values in the description"
                    } else {
                        "put it in quotes if it is a text, or leave it out"
                    },
                ));
                continue;
            };
            let variant = variant_name(wire);
            let obstacle = match variant.as_str() {
                "" => Some("it has no letter or digit"),
                "Self" => Some("that name is a keyword of Rust"),
                UNKNOWN => Some("that name is taken by the variant that keeps undocumented values"),
                _ => None,
            };
            if let Some(obstacle) = obstacle {
                problems.push(Problem::new(
                    pointer,
                    format!("the value `{wire}` cannot be a variant: {obstacle}"),
                    "leave it out; it is kept as an undocumented value",
                ));
            } else if let Some(other) = variants.insert(variant.clone(), wire) {
                problems.push(Problem::new(
                    pointer,
                    format!("the values `{other}` and `{wire}` would both be the variant {variant}"),
                    "leave one of them out; it is kept as an undocumented value",
                ));
            }
        }
    });
}

/// The supported forms of `oneOf` and `anyOf`.
pub(super) fn unions(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        for key in ["oneOf", "anyOf"] {
            let Some(branches) = schema.get(key).and_then(Value::as_array) else {
                continue;
            };
            let place = format!("{pointer}/{key}");
            if branches.is_empty() {
                problems.push(Problem::new(place, "has no branches", "list them, or remove the keyword"));
            } else if branches
                .iter()
                .all(|branch| branch.get("required").is_some() && branch.get("type").is_none())
            {
                problems.push(Problem::new(
                    place,
                    "requires one field or another; the generated type drops a field when both are sent",
                    "keep the fields optional, describe the rule, and check it in the SDK",
                ));
            } else if branches.iter().any(|branch| is_enum(document, branch)) {
                problems.push(Problem::new(
                    place,
                    "joins an enum with another type; the generated type cannot be decoded",
                    "refer to the enum alone: enums keep undocumented values anyway",
                ));
            } else if key == "anyOf" {
                problems.push(Problem::new(
                    place,
                    "becomes a type that tries its branches in turn and loses fields",
                    "use `oneOf` with branches of different types",
                ));
            } else {
                let mut types = BTreeMap::new();
                for (index, branch) in branches.iter().enumerate() {
                    let target = branch["$ref"].as_str().and_then(|reference| document.resolve(reference));
                    let kind = target.unwrap_or(branch)["type"].as_str().unwrap_or_default();
                    if let Some(first) = types.insert(kind, index) {
                        problems.push(Problem::new(
                            format!("{place}/{index}"),
                            format!("is of the same type as branch {first}, which is tried first and takes its values"),
                            "use branches of different types, or one object with the fields of all",
                        ));
                    }
                    if branch.get("$ref").is_none() && branch.get("title").is_none() {
                        problems.push(Problem::new(
                            format!("{place}/{index}"),
                            "has no title, so its variant would be named by a number",
                            "add a short title, different from those of the other branches",
                        ));
                    }
                }
            }
        }
    });
}

fn is_enum(document: &Document, schema: &Value) -> bool {
    let target = schema["$ref"].as_str().and_then(|reference| document.resolve(reference)).unwrap_or(schema);
    target.get("enum").is_some()
}

/// The same title twice silently reuses the first type.
pub(super) fn titles(document: &Document, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    each_schema(document, &mut |pointer, schema| {
        let Some(title) = schema.get("title").and_then(Value::as_str) else {
            return;
        };
        if let Some(first) = seen.get(title) {
            problems.push(Problem::new(
                format!("{pointer}/title"),
                format!("`{title}` is the title of {first} as well, whose type would be used here too"),
                "choose another title, or make the schema a component and refer to it",
            ));
        } else {
            seen.insert(title, pointer.to_owned());
        }
    });
}

/// Numbers are sent with a fraction: `1669287863.0`.
pub(super) fn numbers(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        let component = pointer.strip_prefix("/components/schemas/").and_then(|rest| rest.split('/').next());
        let sent = component.map_or_else(
            || pointer.contains("/parameters/") || pointer.contains("/requestBody/"),
            |name| document.direction(name).sent,
        );
        if sent && schema["type"] == "number" {
            problems.push(Problem::new(
                pointer,
                "is a number in a request, and would be sent with a fraction (1.0)",
                "write `type: integer` and `format: int64`",
            ));
        }
    });
}

/// Values have no limits, and points in time use their component.
pub(super) fn limits(document: &Document, problems: &mut Vec<Problem>) {
    const LIMITS: [&str; 9] = [
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ];
    each_schema(document, &mut |pointer, schema| {
        for key in LIMITS {
            if schema.get(key).is_some() {
                problems.push(Problem::new(
                    format!("{pointer}/{key}"),
                    "becomes a type that rejects whole responses, and that has no JSON schema",
                    "write the limit into the description, and check it in the SDK if it matters before sending",
                ));
            }
        }
        if let Some(format @ ("uuid" | "date" | "ip" | "ipv4" | "ipv6")) = schema["format"].as_str() {
            problems.push(Problem::new(
                format!("{pointer}/format"),
                format!("makes a text of the format `{format}` a type that rejects whole responses"),
                "remove it, and name the format in the description",
            ));
        }
        if schema["format"] == "date-time" && pointer != format!("/components/schemas/{TIMESTAMP}") {
            problems.push(Problem::new(
                pointer,
                "is a point in time outside the component for it, and one malformed date would reject a whole response",
                format!("write `$ref: \"#/components/schemas/{TIMESTAMP}\"`"),
            ));
        }
    });
}

/// Keywords that the generator ignores, does not support, or interprets differently.
pub(super) fn keywords(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        if schema.get("allOf").is_some() {
            problems.push(Problem::new(
                format!("{pointer}/allOf"),
                "is merged into a type that shares nothing with its parts, and whose fields are not documented",
                "refer to one component alone, or write the fields out (a YAML anchor saves repeating them)",
            ));
        }
        if schema.get("not").is_some() {
            problems.push(Problem::new(
                format!("{pointer}/not"),
                "makes the generator panic",
                "describe the excluded values",
            ));
        }
        if schema.get("const").is_some() {
            problems.push(Problem::new(
                format!("{pointer}/const"),
                "is ignored by the generator",
                "write an enum with one value, as a component",
            ));
        }
        if schema["type"].is_array() {
            problems.push(Problem::new(
                format!("{pointer}/type"),
                "is a list of types, which OpenAPI 3.0 does not have",
                "write one type, and `nullable: true` if it may be null",
            ));
        }
        if schema.get("default").is_some() {
            problems.push(Problem::new(
                format!("{pointer}/default"),
                "would be sent although the caller did not ask for it",
                "describe the value that HighLevel assumes if the field is missing",
            ));
        }
    });
}

/// `required` names fields that exist, and no two fields get the same Rust name.
pub(super) fn properties(document: &Document, problems: &mut Vec<Problem>) {
    each_schema(document, &mut |pointer, schema| {
        let properties = schema.get("properties").and_then(Value::as_object);
        // A branch of a union may require fields of the object around it; another rule reports that.
        if properties.is_none() && schema.get("type").is_none() {
            return;
        }
        let names: BTreeSet<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        for key in ["required", "x-required-on-receive"] {
            for name in
                schema.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
            {
                if !names.contains(name) {
                    problems.push(Problem::new(
                        format!("{pointer}/{key}"),
                        format!("names `{name}`, which is not a property"),
                        "correct the name, or add the property",
                    ));
                }
            }
        }
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for name in names {
            let letters: String =
                name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
            let place = format!("{pointer}/properties/{}", escape(name));
            if letters.is_empty() {
                problems.push(Problem::new(
                    place,
                    "has no letter or digit to make a Rust name of",
                    "leave it among the unknown fields",
                ));
                continue;
            }
            if letters == "extra" && schema.get("additionalProperties").is_some() {
                problems.push(Problem::new(
                    place,
                    "would get the Rust name of the field that keeps the unknown fields",
                    "leave it among the unknown fields",
                ));
                continue;
            }
            if let Some(other) = seen.insert(letters, name) {
                problems.push(Problem::new(
                    place,
                    format!("would get the same Rust name as `{other}`"),
                    "describe one of them and leave the other among the unknown fields",
                ));
            }
        }
    });
}
