//! What the documentation demands and a schema cannot say.

use serde_json::Value;

use super::Operation;
use crate::contract::Violation;

/// The faults of a body, in addition to those that its schema found.
pub(super) fn violations(operation: Operation, body: &Value, found: &[Violation]) -> Vec<Violation> {
    let Some(fields) = body.as_object() else {
        // The schema says that already.
        return Vec::new();
    };
    let mut violations = Vec::new();
    let names_party = fields.contains_key("conversationId") || fields.contains_key("contactId");
    if operation != Operation::SendMessage && !names_party {
        violations.push(Violation::new(
            "/conversationId",
            "required",
            "or contactId is required, but both are missing",
        ));
    }
    if operation == Operation::AddInboundMessage
        && let Some(channel) = fields.get("type").and_then(Value::as_str)
        // What an unknown type needs nobody knows; a misspelt `SMS` needs nothing.
        && found.iter().all(|violation| violation.pointer != "/type")
        && !has_default_provider(channel)
        && !fields.contains_key("conversationProviderId")
    {
        let problem = format!("is required for every type but SMS and Email; this one is {channel}");
        violations.push(Violation::new("/conversationProviderId", "required", &problem));
    }
    violations
}

fn has_default_provider(channel: &str) -> bool {
    matches!(channel, "SMS" | "Email")
}
