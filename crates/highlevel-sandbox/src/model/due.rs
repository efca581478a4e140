//! The times at which the clock changes messages: it sends scheduled ones, and fails those that the live API accepts and
//! does not deliver.

use chrono::DateTime;
use serde_json::Value;

use super::message::{MessageDirection, SCHEDULED, StoredMessage, scheduled_time};

/// The reason of the failure of a WhatsApp message without a text. [maint]
pub(crate) const TEXT_REQUIRED: &str = "The parameter text.body is required.";

/// The time until a message fails, in seconds.
const FAILURE_DELAY: i64 = 5;

impl StoredMessage {
    /// Returns the time at which the clock changes the message, in seconds since 1970.
    pub(crate) fn due(&self) -> Option<i64> {
        if self.status == SCHEDULED {
            return scheduled_time(&self.request.to_value());
        }
        failure_time(self)
    }
}

/// Returns the time at which a message fails, in seconds since 1970. `None` if it does not fail by itself.
///
/// The live API sends each WhatsApp message as a text, without its `attachments`. One that has only attachments is accepted,
/// and WhatsApp rejects it later. [maint]
fn failure_time(message: &StoredMessage) -> Option<i64> {
    let is_waiting = matches!(&*message.status, "pending" | "delivered");
    if !is_waiting
        || message.channel != "WhatsApp"
        || message.direction != MessageDirection::Outbound
        || message.conversation_provider_id.is_some()
        || !has_only_attachments(&message.request.to_value())
    {
        return None;
    }
    let since = DateTime::parse_from_rfc3339(&message.history.last()?.at).ok()?;
    since.timestamp().checked_add(FAILURE_DELAY)
}

/// Returns `true` for a request to send attachments without a text or media. Requests with a direction describe the past.
fn has_only_attachments(request: &Value) -> bool {
    let text = request.get("message").and_then(Value::as_str).unwrap_or_default();
    let attachments = request.get("attachments").and_then(Value::as_array);
    let has_other_content =
        ["whatsapp", "templateId", "direction"].iter().any(|field| request.get(*field).is_some());
    text.trim().is_empty() && attachments.is_some_and(|urls| !urls.is_empty()) && !has_other_content
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whatsapp_messages_without_content_fail() {
        let files = json!({ "attachments": ["https://files.example/a.jpg"] });
        let with = |name: &str, value: Value| {
            let mut request = files.clone();
            request[name] = value;
            request
        };
        let cases = [
            ("WhatsApp", "outbound", "pending", None, files.clone(), true),
            ("WhatsApp", "outbound", "delivered", None, files.clone(), true),
            ("WhatsApp", "outbound", "pending", None, with("message", json!(" \n")), true),
            ("WhatsApp", "outbound", "pending", None, with("message", json!("a")), false),
            ("WhatsApp", "outbound", "pending", None, with("whatsapp", json!({"type": "media"})), false),
            ("WhatsApp", "outbound", "pending", None, with("templateId", json!("t")), false),
            ("WhatsApp", "outbound", "pending", None, with("direction", json!("outbound")), false),
            ("WhatsApp", "outbound", "pending", None, json!({ "attachments": [] }), false),
            ("WhatsApp", "outbound", "pending", Some("p"), files.clone(), false),
            ("WhatsApp", "outbound", "read", None, files.clone(), false),
            ("WhatsApp", "outbound", "failed", None, files.clone(), false),
            ("WhatsApp", "inbound", "delivered", None, files.clone(), false),
            ("SMS", "outbound", "pending", None, files.clone(), false),
        ];
        for (channel, direction, status, provider, request, fails) in cases {
            let message = json!({
                "id": "m", "contactId": "c", "conversationId": "v", "direction": direction, "channel": channel,
                "conversationProviderId": provider, "dateAdded": "2026-01-31T09:30:00Z", "status": status,
                "history": [{ "status": status, "at": "2026-01-31T09:30:00.900Z" }], "request": request,
            });
            let time = failure_time(&serde_json::from_value(message.clone()).unwrap());
            assert_eq!(time, fails.then_some(1_769_851_805), "{message}");
        }
    }
}
