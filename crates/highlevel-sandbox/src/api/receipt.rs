//! The response bodies of accepted requests.

use serde_json::{Value, json};

use crate::model::Message;
use crate::operation::Operation;

/// Returns the body of a successful response.
pub(super) fn receipt<R>(operation: Operation, message: &Message<R>) -> Value {
    let mut receipt = match operation {
        Operation::SendMessage => json!({
            "conversationId": message.conversation_id,
            "messageId": message.id,
            "msg": "Message queued successfully.",
        }),
        Operation::AddInboundMessage | Operation::AddOutboundCall => json!({
            "success": true,
            "conversationId": message.conversation_id,
            "messageId": message.id,
            "message": "Message added successfully.",
            "contactId": message.contact_id,
            "dateAdded": message.date_added,
        }),
        _ => json!({
            "conversationId": message.conversation_id,
            "messageId": message.id,
            "status": message.status,
        }),
    };
    if let Some(id) = &message.email_message_id {
        receipt["emailMessageId"] = json!(id);
    }
    receipt
}
