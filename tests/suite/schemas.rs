//! The generated types say the same as the description: the JSON Schema of each type, derived by schemars from the
//! Rust source, equals the schema that the type was generated from.
//!
//! Both sides are brought to one form first. Where they still differ, the difference is named in [`Difference`], and
//! one that no type needs any more is an error.

use std::collections::{BTreeMap, BTreeSet};

use highlevel_sandbox::Spec;
use highlevel_wire::types;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// What the Rust types accept beyond the description, or say in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// In what HighLevel sends, only `x-required-on-receive` stays required.
    FewerRequired,
    /// A field that may be left out may also be `null`.
    OptionalTakesNull,
    /// An untagged enum is `anyOf`; its branches are of different types, so that it says the same as `oneOf`.
    UnionIsAnyOf,
    /// A number has the format `double`, an integer keeps the one of the description.
    NumberIsDouble,
}

const DIFFERENCES: [Difference; 4] = [
    Difference::FewerRequired,
    Difference::OptionalTakesNull,
    Difference::UnionIsAnyOf,
    Difference::NumberIsDouble,
];

/// The schemas of the Rust types by name, with references as bare names.
fn of_the_types() -> BTreeMap<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    macro_rules! register {
        ($($name:ident)+) => { $( generator.subschema_for::<types::$name>(); )+ };
    }
    // What these refer to is registered along with them.
    register!(
        SendMessageRequest SendMessageResponse InboundMessageRequest OutboundCallRequest AddMessageResponse
        BadRequestError UnauthorizedError UnprocessableEntityError OutboundMessage InboundMessage
        ProviderOutboundMessage Install Uninstall ApiVersion
    );
    generator.definitions().iter().map(|(name, schema)| (name.clone(), schema.clone())).collect()
}

/// A schema of the Rust side in the common form.
fn rust_form(schema: &Value, used: &mut BTreeSet<Difference>) -> Value {
    let Some(object) = schema.as_object() else { return schema.clone() };
    if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
        return json!({ "$ref": reference.trim_start_matches("#/$defs/") });
    }
    // Option<T> of a reference: anyOf [T, null].
    if let Some(branches) = object.get("anyOf").and_then(Value::as_array) {
        let others: Vec<&Value> = branches.iter().filter(|branch| branch["type"] != "null").collect();
        if others.len() < branches.len() && others.len() == 1 {
            let mut form = rust_form(others[0], used);
            form["nullable"] = json!(true);
            return form;
        }
    }
    let required = object.get("required").cloned().unwrap_or_else(|| json!([]));
    let mut form = Map::new();
    for (key, value) in object {
        match key.as_str() {
            "description" | "title" => {}
            "anyOf" => {
                used.insert(Difference::UnionIsAnyOf);
                let branches =
                    value.as_array().expect("a list").iter().map(|branch| rust_form(branch, used)).collect();
                form.insert("oneOf".to_owned(), Value::Array(branches));
            }
            "type" if value.is_array() => {
                let types: Vec<&Value> =
                    value.as_array().expect("a list").iter().filter(|kind| **kind != "null").collect();
                form.insert("type".to_owned(), types[0].clone());
                form.insert("nullable".to_owned(), json!(true));
            }
            "format" if *value == "double" => {
                used.insert(Difference::NumberIsDouble);
            }
            "properties" => {
                let properties = value.as_object().expect("an object").iter().map(|(name, property)| {
                    let mut form = rust_form(property, used);
                    let is_required = required.as_array().is_some_and(|all| all.contains(&json!(name)));
                    if !is_required
                        && form.as_object_mut().is_some_and(|form| form.remove("nullable").is_some())
                    {
                        used.insert(Difference::OptionalTakesNull);
                    }
                    (name.clone(), form)
                });
                form.insert(key.clone(), Value::Object(properties.collect()));
            }
            "items" => {
                form.insert(key.clone(), rust_form(value, used));
            }
            "required" => {
                form.insert(key.clone(), sorted(value));
            }
            _ => {
                form.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(form)
}

/// A schema of the description in the common form.
fn description_form(schema: &Value, used: &mut BTreeSet<Difference>) -> Value {
    let Some(object) = schema.as_object() else { return schema.clone() };
    if object.is_empty() {
        return json!(true);
    }
    if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
        return json!({ "$ref": reference.trim_start_matches("#/components/schemas/") });
    }
    let mut form = Map::new();
    for (key, value) in object {
        match key.as_str() {
            // `nullable`: every list that may be null may also be left out, and then takes null anyway.
            "description" | "title" | "example" | "nullable" => {}
            "required" if object.contains_key("x-required-on-receive") => {
                if sorted(value) != sorted(&object["x-required-on-receive"]) {
                    used.insert(Difference::FewerRequired);
                }
            }
            "x-required-on-receive" => {
                if *value != json!([]) {
                    form.insert("required".to_owned(), sorted(value));
                }
            }
            "required" => {
                form.insert(key.clone(), sorted(value));
            }
            "properties" => {
                let properties = value
                    .as_object()
                    .expect("an object")
                    .iter()
                    .map(|(name, p)| (name.clone(), description_form(p, used)));
                form.insert(key.clone(), Value::Object(properties.collect()));
            }
            "items" | "additionalProperties" => {
                form.insert(key.clone(), description_form(value, used));
            }
            "oneOf" => {
                let branches =
                    value.as_array().expect("a list").iter().map(|branch| description_form(branch, used));
                form.insert(key.clone(), Value::Array(branches.collect()));
            }
            _ => {
                form.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(form)
}

fn sorted(list: &Value) -> Value {
    let mut list = list.as_array().expect("a list").clone();
    list.sort_by_key(ToString::to_string);
    Value::Array(list)
}

#[test]
fn the_types_say_the_same_as_the_description() {
    let contract = Spec::load().expect("the embedded description is valid");
    let described = contract.document()["components"]["schemas"].as_object().expect("schemas");
    let rust = of_the_types();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(rust.keys().collect()), names(described.keys().collect()), "every schema has its type");

    let mut used = BTreeSet::new();
    for (name, schema) in described {
        let expected = description_form(schema, &mut used);
        let found = rust_form(&rust[name], &mut used);
        assert_eq!(found, expected, "{name}: {found:#} is not {expected:#}");
    }
    assert_eq!(used, DIFFERENCES.into_iter().collect(), "a named difference that is not there any more goes");
}

/// The comparison finds a field that is missing, and one of another type.
#[test]
fn a_difference_is_found() {
    let contract = Spec::load().expect("the embedded description is valid");
    let described = &contract.document()["components"]["schemas"]["CallDetails"];
    let rust = &of_the_types()["CallDetails"];
    let same = |changed: &Value| {
        let mut used = BTreeSet::new();
        rust_form(changed, &mut used) == description_form(described, &mut used)
    };
    assert!(same(rust));
    for (pointer, value) in [
        ("/properties/to/type", json!("integer")),
        ("/properties", json!({})),
        ("/properties/status", json!({ "$ref": "#/$defs/SendStatus" })),
    ] {
        let mut changed = rust.clone();
        *changed.pointer_mut(pointer).expect("it is there") = value;
        assert!(!same(&changed), "{pointer}");
    }
}
