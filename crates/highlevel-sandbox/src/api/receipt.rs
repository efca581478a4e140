//! The response bodies of accepted requests.

use std::ops::Deref;

use serde::Serialize;
use serde_json::{Value, json};

use crate::fidelity::Strictness;
use crate::model::{Message, is_phone};
use crate::operation::Operation;

/// Returns the body of a successful response: the fields of recordings of the live API, and with
/// [`Strictness::Documented`] also those that the reference has in addition.
pub(super) fn receipt<R, S: Deref<Target = str> + Serialize>(
    operation: Operation,
    message: &Message<R, S>,
    strictness: Strictness,
    trace_id: &str,
) -> Value {
    let mut receipt = json!({ "conversationId": message.conversation_id });
    if operation == Operation::SendMessage && &*message.channel == "GMB" {
        receipt["messageIds"] = json!([message.id]);
    } else {
        receipt["messageId"] = json!(message.id);
    }
    let is_documented = strictness == Strictness::Documented;
    let adds = matches!(operation, Operation::AddInboundMessage | Operation::AddOutboundCall);
    if adds {
        receipt["success"] = json!(true);
        if is_documented {
            receipt["message"] = json!("Message added successfully.");
        }
        if is_documented || &*message.channel == "Live_Chat" {
            receipt["contactId"] = json!(message.contact_id);
            receipt["dateAdded"] = json!(message.date_added);
        }
    }
    if operation == Operation::UpdateMessageStatus {
        receipt["status"] = json!(message.status);
    }
    if let Some(id) = &message.email_message_id {
        receipt["emailMessageId"] = json!(id);
    }
    // Recordings of calls have none.
    if !(adds && is_phone(&message.channel)) {
        receipt["traceId"] = json!(trace_id);
    }
    receipt
}
