//! With the feature `schemars`, types describe themselves.

use highlevel_wire::{Timestamp, types};
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

#[test]
fn schema_of_a_request() {
    let schema = schema::<types::SendMessageRequest>();
    assert_eq!(schema["title"], "SendMessageRequest");
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["required"], json!(["contactId", "status", "type"]));
    let spec = &crate::spec::schemas()["SendMessageRequest"]["properties"];
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&schema["properties"]), keys(spec));
    assert_eq!(schema["properties"]["type"]["$ref"], "#/$defs/SendMessageType");
    assert_eq!(schema["properties"]["scheduledTimestamp"]["format"], "int64");
}

#[test]
fn schemas_of_an_enum_an_id_and_a_timestamp() {
    assert_eq!(
        schema::<types::SendStatus>()["enum"],
        crate::spec::schemas()["SendStatus"]["enum"],
        "the documented values"
    );
    assert_eq!(schema::<types::ContactId>()["type"], "string");
    let timestamp = schema::<Timestamp>();
    assert_eq!((&timestamp["type"], &timestamp["format"]), (&json!("string"), &json!("date-time")));
}

#[test]
fn schema_of_a_received_object() {
    let schema = schema::<types::SendMessageResponse>();
    assert_eq!(schema["required"], json!(["conversationId"]));
    assert_ne!(schema["additionalProperties"], json!(false), "unknown fields are kept");
    assert_eq!(schema["properties"]["messageIds"]["type"], json!(["array", "null"]));
}
