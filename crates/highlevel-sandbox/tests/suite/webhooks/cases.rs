//! Requests, and the events that they produce.

use highlevel_sandbox::ProviderKind;
use serde_json::{Value, json};

use crate::caller::{INBOUND, OUTBOUND, SEND};
use crate::conformance::Sandbox;

#[derive(Clone)]
pub(super) struct Case {
    pub(super) path: &'static str,
    pub(super) body: Value,
    pub(super) event: &'static str,
    /// The documented example with the same fields.
    pub(super) example: &'static str,
    /// Fields of the example that the request does not set.
    pub(super) absent: &'static [&'static str],
    /// Fields of the event with their values.
    pub(super) expected: Value,
}

pub(super) fn text_cases(sandbox: &Sandbox) -> Vec<Case> {
    let (contact, provider) = (sandbox.contact_id(), sandbox.conversation_provider_id());
    vec![
        Case {
            path: SEND,
            body: json!({
                "type": "SMS", "contactId": contact, "conversationProviderId": provider, "message": "Hello",
                "status": "delivered",
            }),
            event: "OutboundMessage",
            example: "OutboundMessageSms",
            absent: &["attachments", "chatWidgetId"],
            expected: json!({
                "messageType": "SMS", "body": "Hello", "contentType": "text/plain", "status": "delivered",
                "conversationProviderId": provider,
            }),
        },
        Case {
            path: INBOUND,
            body: json!({"type": "SMS", "contactId": contact, "message": "Hi", "date": "2024-07-29T15:51:28+02:00"}),
            event: "InboundMessage",
            example: "InboundMessageSms",
            absent: &["attachments"],
            expected: json!({
                "body": "Hi", "direction": "inbound", "status": "delivered", "dateAdded": "2024-07-29T13:51:28.000Z",
            }),
        },
    ]
}

pub(super) fn email_cases(sandbox: &Sandbox) -> Vec<Case> {
    let (contact, provider) = (sandbox.contact_id(), sandbox.conversation_provider_id());
    vec![
        Case {
            path: SEND,
            body: json!({
                "type": "Email", "contactId": contact, "conversationProviderId": provider, "html": "<p>a</p>",
                "message": "a", "subject": "b", "emailFrom": "Desk <desk@example.com>", "emailTo": "recipient@company.com",
                "emailCc": ["cc@example.com"], "emailBcc": ["bcc@example.com"], "threadId": "thread",
                "status": "pending",
            }),
            event: "OutboundMessage",
            example: "OutboundMessageEmail",
            absent: &[],
            expected: json!({
                "messageType": "Email", "body": "<p>a</p>", "plainText": "a", "subject": "b", "threadId": "thread",
                "from": "Desk <desk@example.com>", "to": ["recipient@company.com"], "cc": "cc@example.com",
                "bccList": ["bcc@example.com"],
            }),
        },
        // It is sent to the contact's address if the request has none.
        Case {
            path: SEND,
            body: json!({"type": "Email", "contactId": contact, "html": "a", "status": "pending"}),
            event: "OutboundMessage",
            example: "OutboundMessageEmail",
            absent: &["subject", "conversationProviderId"],
            expected: json!({"body": "a", "to": ["ada@example.com"]}),
        },
        Case {
            path: INBOUND,
            body: json!({"type": "Email", "contactId": contact, "message": "a", "subject": "b"}),
            event: "InboundMessage",
            example: "OutboundMessageEmail",
            absent: &["conversationProviderId"],
            expected: json!({"body": "a", "from": "ada@example.com"}),
        },
    ]
}

/// Calls that an app has added have the fields of their example, and no `callStatus`.
pub(super) fn call_cases(sandbox: &Sandbox) -> Vec<Case> {
    [
        (OUTBOUND, "OutboundMessage", "completed", "completed"),
        (OUTBOUND, "OutboundMessage", "completed", "voicemail"),
        (OUTBOUND, "OutboundMessage", "failed", "no-answer"),
        (INBOUND, "InboundMessage", "completed", "completed"),
        (INBOUND, "InboundMessage", "voicemail", "voicemail"),
    ]
    .map(|(path, event, status, call_status)| Case {
        path,
        body: json!({
            "type": "Call", "contactId": sandbox.contact_id(),
            "conversationProviderId": sandbox.provider_id(ProviderKind::Call),
            "attachments": ["https://example.com/a.mp3"], "call": {"status": call_status, "to": "+15037081210"},
        }),
        event,
        example: "OutboundMessageAddedCall",
        absent: &[],
        expected: json!({
            "messageType": "Custom", "status": status, "callStatus": null,
            "attachments": ["https://example.com/a.mp3"],
        }),
    })
    .to_vec()
}
