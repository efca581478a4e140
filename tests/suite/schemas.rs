//! Compares the generated types with the spec: the JSON Schema that schemars derives from each type equals the schema
//! that the type was generated from.
//!
//! Both sides are normalised first. [`Difference`] lists the accepted differences. A listed difference that no type has
//! is an error.

use std::collections::{BTreeMap, BTreeSet};

use highlevel_sandbox::Spec;
use highlevel_wire::types;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// An accepted difference between the Rust types and the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// Only the fields in `x-required-on-receive` are required in received objects.
    FewerRequired,
    /// An optional field may also be `null`.
    OptionalTakesNull,
    /// An untagged enum is `anyOf`. Its branches have different types, so `oneOf` accepts the same values.
    UnionIsAnyOf,
    /// A number has the format `double`. An integer has the format of the spec.
    NumberIsDouble,
}

const DIFFERENCES: [Difference; 4] = [
    Difference::FewerRequired,
    Difference::OptionalTakesNull,
    Difference::UnionIsAnyOf,
    Difference::NumberIsDouble,
];

/// Returns the schemas of the Rust types by name.
fn rust_schemas() -> BTreeMap<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    macro_rules! register {
        ($($name:ident)+) => { $( generator.subschema_for::<types::$name>(); )+ };
    }
    // The types of their fields are registered with them.
    register!(
        SendMessageRequest SendMessageResponse InboundMessageRequest OutboundCallRequest AddMessageResponse
        BadRequestError UnauthorizedError ForbiddenError NotFoundError UnprocessableEntityError
        OutboundMessage InboundMessage ProviderOutboundMessage Install Uninstall AppUpdate ConversationUpdate
        ConversationUnreadUpdate LcEmailStats ContactDndUpdate VoiceAiCallEnd ApiVersion
        ContactRequest UpdateContactRequest SearchContactsRequest ContactTagsRequest ContactNoteRequest
        ContactResponse UpsertContactResponse DuplicateContactResponse SearchContactsResponse ListContactsResponse ContactTagsResponse
        ContactNoteResponse CreateConversationRequest UpdateConversationRequest SearchConversationsResponse
        ConversationDetails ConversationResponse TypingRequest TypingResponse
        UpdateMessageStatusRequest UpdateEmailStatusRequest UpdateEmailStatusResponse CancelScheduledResponse
        SetAttachmentsRequest ListMessagesResponse MessageResponse EmailDetails ExportMessagesResponse
        UploadFilesResponse UploadError Transcription ConversationFilter ConversationSortKey ExportChannel ExportSortKey
    );
    generator.definitions().iter().map(|(name, schema)| (name.clone(), schema.clone())).collect()
}

/// Normalises a schema of a Rust type.
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

/// Normalises a schema of the spec.
fn spec_form(schema: &Value, used: &mut BTreeSet<Difference>) -> Value {
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
            // `nullable`: all nullable lists are optional, and so accept `null` anyway.
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
            extension if extension.starts_with("x-") => {}
            "required" => {
                form.insert(key.clone(), sorted(value));
            }
            "properties" => {
                let properties = value
                    .as_object()
                    .expect("an object")
                    .iter()
                    .map(|(name, p)| (name.clone(), spec_form(p, used)));
                form.insert(key.clone(), Value::Object(properties.collect()));
            }
            "items" | "additionalProperties" => {
                form.insert(key.clone(), spec_form(value, used));
            }
            "oneOf" => {
                let branches = value.as_array().expect("a list").iter().map(|branch| spec_form(branch, used));
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
fn generated_types_match_the_spec() {
    let spec = Spec::load().expect("the embedded spec is valid");
    let described = spec.document()["components"]["schemas"].as_object().expect("schemas");
    let rust = rust_schemas();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(rust.keys().collect()), names(described.keys().collect()), "each schema has a type");

    let mut used = BTreeSet::new();
    for (name, schema) in described {
        let expected = spec_form(schema, &mut used);
        let found = rust_form(&rust[name], &mut used);
        assert_eq!(found, expected, "{name}: found {found:#}, expected {expected:#}");
    }
    assert_eq!(used, DIFFERENCES.into_iter().collect(), "remove differences that do not exist any more");
}

#[test]
fn missing_fields_and_other_types_are_found() {
    let spec = Spec::load().expect("the embedded spec is valid");
    let described = &spec.document()["components"]["schemas"]["CallDetails"];
    let rust = &rust_schemas()["CallDetails"];
    let same = |changed: &Value| {
        let mut used = BTreeSet::new();
        rust_form(changed, &mut used) == spec_form(described, &mut used)
    };
    assert!(same(rust));
    for (pointer, value) in [
        ("/properties/to/type", json!("integer")),
        ("/properties", json!({})),
        ("/properties/status", json!({ "$ref": "#/$defs/SendStatus" })),
    ] {
        let mut changed = rust.clone();
        *changed.pointer_mut(pointer).expect("the pointer exists") = value;
        assert!(!same(&changed), "{pointer}");
    }
}
