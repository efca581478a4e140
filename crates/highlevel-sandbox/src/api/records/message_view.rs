//! Messages as the API returns them. They have the same names and addresses as the events.

use serde_json::{Map, Value, json};

use crate::model::{Message, Model, StoredMessage, is_email, is_phone};
use crate::webhook::payload::{Envelope, event_payload};

/// Fields of an event that are also fields of a message.
const SHARED: [&str; 12] = [
    "direction",
    "status",
    "locationId",
    "contactId",
    "conversationId",
    "conversationProviderId",
    "body",
    "contentType",
    "from",
    "to",
    "source",
    "dateAdded",
];

/// Returns a message. An email has no body: `meta` has the ID to read it with.
pub(super) fn message(message: &StoredMessage, model: &Model) -> Value {
    let message = message.parsed();
    let event = event(&message, model);
    let mut view = Map::new();
    let mut set = |name: &str, value: Option<&Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            view.insert(name.to_owned(), value.clone());
        }
    };
    for name in SHARED {
        set(name, event.get(name).filter(|_| !(name == "body" && is_email(&message.channel))));
    }
    set("id", event.get("messageId"));
    set("type", event.get("messageTypeId"));
    set("messageType", event.get("messageTypeString"));
    set("userId", event.get("userId").filter(|user| **user != json!("")));
    // Not those of the event, which may not have the files of the contact yet.
    set("attachments", message.request.get("attachments"));
    set("altId", message.request.get("altId"));
    set("dateUpdated", Some(&json!(message.history.last().map_or(&message.date_added, |last| &last.at))));
    set("meta", meta(&message).as_ref());
    let failure = message.history.last().and_then(|last| last.error.as_ref());
    set("error", failure.map(|error| json!(error)).as_ref());
    Value::Object(view)
}

/// Returns an email with its body.
pub(super) fn email(message: &StoredMessage, model: &Model) -> Value {
    let message = message.parsed();
    let event = event(&message, model);
    let mut view = Map::new();
    let mut set = |name: &str, value: Option<&Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            view.insert(name.to_owned(), value.clone());
        }
    };
    for name in SHARED.into_iter().chain(["threadId", "subject"]) {
        set(name, event.get(name));
    }
    set("id", event.get("emailMessageId"));
    set("cc", event.get("ccList"));
    set("bcc", event.get("bccList"));
    set("altId", message.request.get("altId"));
    set("attachments", message.request.get("attachments"));
    set("replyToMessageId", message.request.get("emailMessageId"));
    let is_html = message.field("html").is_some();
    set("contentType", Some(&json!(if is_html { "text/html" } else { "text/plain" })));
    Value::Object(view)
}

/// Returns the fields of the event about a message.
fn event(message: &Message, model: &Model) -> Value {
    let empty = String::new;
    let envelope = Envelope { timestamp: empty(), webhook_id: empty(), app_id: empty(), version_id: empty() };
    event_payload(message, model, &envelope)
}

fn meta(message: &Message) -> Option<Value> {
    if let Some(id) = &message.email_message_id {
        return Some(json!({ "email": { "messageIds": [id] } }));
    }
    if !is_phone(&message.channel) {
        return None;
    }
    let mut call = Map::new();
    if let Some(seconds) = super::calls::duration(message) {
        call.insert("duration".to_owned(), json!(seconds));
    }
    if let Some(status) = &message.call_status {
        call.insert("status".to_owned(), json!(status));
    }
    Some(json!({ "call": call }))
}
